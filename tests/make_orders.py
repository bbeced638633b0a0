"""
Make the sample file of `bubus demo`: 1,000 intact orders among damaged lines, the same bytes every time.

Run ``python -m tests.make_orders`` to write ``bubus/cli/orders.jsonl`` again. Only ``Random.random()`` is used, the
one method whose sequence Python promises to keep from version to version.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import bubus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SAMPLE = Path(bubus.__file__).parent / "cli" / "orders.jsonl"
SEED = 20250301
INTACT = 1_000
OPENED_AT = datetime(2025, 3, 1, 6, tzinfo=UTC)
DECLINED_CARDS = ("0002", "9995", "0069")
SILENT_WAREHOUSE = "REY-1"

Order: TypeAlias = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Market:
    """One country we sell to."""

    country: str
    currency: str
    step: Decimal
    rate: Decimal
    zone: timezone
    warehouses: tuple[str, ...]
    names: tuple[str, ...]
    cities: tuple[str, ...]


def _market(place: str, warehouses: str, names: Sequence[str], cities: Sequence[str]) -> Market:
    country, currency, step, rate, hours = place.split()
    return Market(
        country=country,
        currency=currency,
        step=Decimal(step),
        rate=Decimal(rate),
        zone=timezone(timedelta(hours=float(hours))),
        warehouses=tuple(warehouses.split()),
        names=tuple(names),
        cities=tuple(cities),
    )


# Country, currency, its smallest coin, what a euro costs, hours ahead of UTC.
MARKETS = (
    _market("DE EUR 0.01 1 1", "HAM-1 HAM-2", ["Jörg Weiß", "Anneliese Groß", "Çağla Şahin"], ["Köln", "Görlitz"]),
    _market("FR EUR 0.01 1 1", "LYS-1 HAM-1", ["Zoé Lefèvre", "Benoît Garçon", "Maëlys Noël"], ["Besançon", "Orléans"]),
    _market("PL PLN 0.01 4.2 1", "GDN-1", ["Łukasz Żółć", "Małgorzata Źrebięca"], ["Łódź", "Świętochłowice"]),
    _market("GB GBP 0.01 0.85 0", "LYS-1", ["Siân Llewelyn", "O'Brien, Niamh", "Ian Smith"], ["Leeds", "Ynys Môn"]),
    _market("CH CHF 0.05 0.95 1", "HAM-2 LYS-1", ["Réto Füglister", "Nadja Bühler"], ["Zürich", "Genève"]),
    _market("US USD 0.01 1.1 -5", "ATL-2 SEA-1", ["José Peña", "Wren 🐦 Taylor", "DeShawn Hill"], ["Reno", "Española"]),
    _market("BR BRL 0.01 6.1 -3", "GRU-1", ["João Gonçalves", "Conceição Araújo"], ["São Paulo", "Maceió"]),
    _market("JP JPY 1 160 9", "OSA-1", ["山田 太郎", "佐藤 美咲", "髙橋 一生"], ["大阪市", "札幌市"]),
    _market("IN INR 0.01 91 5.5", "DXB-1", ["प्रिया शर्मा", "Arjun Nair"], ["मुंबई", "Kochi"]),
    _market("KW KWD 0.001 0.34 3", "DXB-1", ["فاطمة الصباح", "يوسف العنزي"], ["الكويت", "Ḥawallī"]),
)
PRODUCTS = (
    ("MUG-01", "Becher „Größe L“", "8.90"),
    ("TEA-22", "抹茶 — ceremonial, 40 g", "24.50"),
    ("PEN-07", "Stylo-plume n° 7", "61.00"),
    ("LMP-14", "Desk lamp, 4000 K", "49.99"),
    ("SOC-03", "Chaussettes été", "6.40"),
    ("BAG-30", "Rucksack 30 L", "89.00"),
    ("CBL-02", 'Cable 2 m, 1/4" jack', "11.25"),
    ("JAM-05", "Żurawina & śliwka", "4.75"),
    ("CAM-90", "Câmera Ω-7", "1249.00"),
    ("KEY-61", "Keyboard ⌨ 61 keys", "329.00"),
)
NOTES = (
    "Please ring twice",
    "Geschenk 🎁, bitte ohne Preis",
    "leave it at №4",
    "C:\\new\\table",
    # what a terminal would obey: colours, a wiped screen, a C1 introducer, text turned right to left
    "\x1b[31mred\x1b[0m \x1b[2J",
    "bell\x07 and \x9b31m csi",
    "invoice\u202egnp.exe",
    "two\u2028lines\x85or\x7fthree",
)


@dataclass
class Chance:
    """Choices made of `random()` alone."""

    source: random.Random = field(default_factory=lambda: random.Random(SEED))

    def below(self, limit: int) -> int:
        return int(self.source.random() * limit)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def happens(self, percent: float) -> bool:
        return self.source.random() * 100 < percent


def rounded(amount: Decimal, step: Decimal) -> Decimal:
    """Round to the smallest coin, half up."""
    return ((amount / step).to_integral_value(ROUND_HALF_UP) * step).quantize(step)


def line_total(item: Order, step: Decimal) -> Decimal:
    """Price of one line of an order after its discount."""
    full = item["quantity"] * Decimal(item["unit_price"])
    return rounded(full * (100 - Decimal(item.get("discount_percent", "0"))) / 100, step)


def total(order: Order, step: Decimal) -> str:
    """What the customer pays."""
    goods = sum((line_total(item, step) for item in order["items"]), Decimal(0))
    return str((goods + Decimal(order["shipping"]["cost"])).quantize(step))


def _item(chance: Chance, market: Market, warehouse: str) -> Order:
    sku, name, euros = chance.pick(PRODUCTS)
    item: Order = {"sku": sku, "name": name, "quantity": 1 + chance.below(4)}
    item["unit_price"] = str(rounded(Decimal(euros) * market.rate, market.step))
    if chance.happens(30):
        item["discount_percent"] = chance.pick(("5", "10", "12.5", "33.3"))
    return item | {"warehouse": warehouse}


def _items(chance: Chance, market: Market) -> list[Order]:
    items = [_item(chance, market, chance.pick(market.warehouses)) for _ in range(1 + chance.below(4))]
    if chance.happens(1):
        chance.pick(items)["warehouse"] = SILENT_WAREHOUSE
    return items


def _payment(chance: Chance) -> Order:
    method = chance.pick(("card", "card", "card", "invoice", "transfer"))
    if method != "card":
        return {"method": method}
    last4 = chance.pick(DECLINED_CARDS) if chance.happens(5) else f"{1000 + chance.below(8000)}"
    return {"method": method, "last4": last4}


def _placed_at(number: int, market: Market) -> str:
    return (OPENED_AT + timedelta(seconds=37 * number)).astimezone(market.zone).isoformat()


def intact(chance: Chance, number: int) -> Order:
    """One order that nothing is wrong with."""
    market = chance.pick(MARKETS)
    name = chance.pick(market.names)
    order: Order = {
        "order_id": f"R25-{number:06d}",
        "placed_at": _placed_at(number, market),
        "customer": {"name": name, "city": chance.pick(market.cities), "country": market.country},
        "currency": market.currency,
        "items": _items(chance, market),
        "shipping": {
            "method": chance.pick(("standard", "express")),
            "cost": str(rounded(4 * market.rate, market.step)),
        },
        "payment": _payment(chance),
    }
    if chance.happens(12):
        order["note"] = chance.pick(NOTES)
    return order | {"total": total(order, market.step)}


def encoded(order: object) -> bytes:
    """Write as most programs do: Unicode as it is, no blanks."""
    return json.dumps(order, ensure_ascii=False, separators=(",", ":")).encode()


def _without(*path: str | int) -> Callable[[Order], bytes]:
    def damage(order: Order) -> bytes:
        _parent(order, path).pop(path[-1])
        return encoded(order)

    return damage


def _with(value: object, *path: str | int) -> Callable[[Order], bytes]:
    def damage(order: Order) -> bytes:
        _parent(order, path)[path[-1]] = value
        return encoded(order)

    return damage


def _parent(order: Order, path: Sequence[str | int]) -> Any:
    parent: Any = order
    for step in path[:-1]:
        parent = parent[step]
    return parent


def _torn(share: float) -> Callable[[Order], bytes]:
    return lambda order: (line := encoded(order))[: int(len(line) * share)]


def _text(line: bytes) -> Callable[[Order], bytes]:
    return lambda _order: line


def _replaced(old: bytes, new: bytes) -> Callable[[Order], bytes]:
    return lambda order: encoded(order).replace(old, new, 1)


def _deep(levels: int) -> Callable[[Order], bytes]:
    return lambda order: encoded(order)[:-1] + b',"extra":' + b"[" * levels + b"]" * levels + b"}"


def _again(order: Order) -> bytes:
    return encoded(order | {"order_id": "R25-000003"})


# Every fault has its kind, as `bubus demo` names it.
FAULTS: tuple[tuple[str, Callable[[Order], bytes]], ...] = (
    ("empty_line", _text(b"")),
    ("not_json", _replaced(b'"items":', b"'items':")),
    ("torn_line", _torn(0.6)),
    ("missing_field", _without("payment")),
    ("wrong_type", _with("three", "items", 0, "quantity")),
    ("negative_price", _with("-3.00", "items", 0, "unit_price")),
    ("unknown_currency", _with("XBT", "currency")),
    ("duplicate_id", _again),
    ("bad_utf8", _replaced(b'"country"', '"größe":1,"country"'.encode("latin-1"))),
    ("not_an_object", _text(b'["order_id","placed_at","customer"]')),
    ("too_deep", _deep(200)),
    ("not_a_number", _with("NaN", "items", 0, "unit_price")),
    ("wrong_total", _with("1.23", "total")),
    ("bad_time", _with("2025-02-30T10:00:00+01:00", "placed_at")),
    ("no_items", _with([], "items")),
    ("empty_line", _text(b" \t ")),
    ("not_json", _replaced(b"}]", b"},]")),
    ("torn_line", _torn(0.25)),
    ("missing_field", _without("items", 0, "sku")),
    ("wrong_type", _with({"amount": 12}, "items", 0, "unit_price")),
    ("negative_price", _with("-0.01", "shipping", "cost")),
    ("unknown_currency", _with("\x1b[31mEUR\x1b[0m", "currency")),
    ("duplicate_id", _again),
    ("bad_utf8", _replaced(b'"currency"', b'"\xff\xfe":0,"currency"')),
    ("not_an_object", _text(b"null")),
    ("too_deep", _deep(5_000)),
    ("not_a_number", _with("Infinity", "shipping", "cost")),
    ("wrong_total", _with("0", "total")),
    ("bad_time", _with("\x9b2Jyesterday\u202e", "placed_at")),
    ("not_json", lambda order: encoded(order) + encoded(order)),
    ("missing_field", lambda _order: b"{}"),
    ("wrong_type", _with(None, "customer")),
    ("not_an_object", _text(b"1250.00")),
    ("not_json", _replaced(b'"quantity":', b'"quantity":NaN,"was":')),
    ("wrong_type", _with("R25", "items")),
    ("torn_line", lambda order: encoded(order)[:-1]),
    ("not_json", _text("-- 5 Zeilen übersprungen --".encode())),
    ("empty_line", _text(b"\r")),
    ("wrong_type", _with(17, "customer", "name")),
)


def lines() -> Iterator[bytes]:
    """Yield the lines without their ends: the damaged ones spread evenly, a torn one last."""
    chance = Chance()
    every = INTACT // (len(FAULTS) + 1)
    faults = iter(FAULTS)
    for number in range(1, INTACT + 1):
        yield encoded(intact(chance, number))
        if number % every == 0 and (fault := next(faults, None)):
            yield fault[1](intact(chance, INTACT + number))
    yield _torn(0.5)(intact(chance, 3 * INTACT))


def sample() -> bytes:
    """Return the whole file; its writer died in the middle of the last line."""
    return b"\n".join(lines())


if __name__ == "__main__":
    SAMPLE.write_bytes(sample())
