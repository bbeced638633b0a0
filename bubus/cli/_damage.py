"""What is wrong with a line: its kind, to be counted, and the reason, to be read."""

from __future__ import annotations

import json
import re
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

import attrs

from bubus._codec import depth_exceeds
from bubus._tree import escape
from bubus.cli._orders import Currency

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bubus.cli._orders import Item, OrderPlaced
    from bubus.errors import ErrorDetails, ValidationError

DEEPEST = 32
"""Objects and arrays within each other that a line may have; an order has 3."""

LARGEST = Decimal(10) ** 12
"""No amount is larger; so none can overflow when it is multiplied."""

# The quantifiers are possessive: no line can make the search take more than one pass.
_TOKENS = re.compile(rb'(?P<text>"(?:[^"\\]++|\\.)*+(?P<end>"?))|[\[\]{}]', re.DOTALL)
_OPENING, _CLOSING = (b"[", b"{"), (b"]", b"}")
_COIN = {
    Currency.CHF: Decimal("0.05"),
    Currency.JPY: Decimal(1),
    Currency.KWD: Decimal("0.001"),
}
_CENT = Decimal("0.01")


class Kind(StrEnum):
    """What can be wrong; of several faults of a line the one that stands first here counts."""

    EMPTY_LINE = "empty_line"
    TOO_LONG = "too_long"
    BAD_UTF8 = "bad_utf8"
    TOO_DEEP = "too_deep"
    TORN_LINE = "torn_line"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    RESERVED_FIELD = "reserved_field"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_CURRENCY = "unknown_currency"
    BAD_TIME = "bad_time"
    NO_ITEMS = "no_items"
    NOT_A_NUMBER = "not_a_number"
    NEGATIVE_PRICE = "negative_price"
    TOO_LARGE = "too_large"
    WRONG_TOTAL = "wrong_total"
    DUPLICATE_ID = "duplicate_id"


_RANK = {kind: rank for rank, kind in enumerate(Kind)}


@attrs.frozen
class Damage:
    """One fault of one line."""

    kind: Kind
    reason: str

    @property
    def rank(self) -> int:
        """Position among the kinds."""
        return _RANK[self.kind]


def in_bytes(data: bytes) -> Iterator[Damage]:
    """Yield what can be seen before anything is decoded."""
    if not data.strip():
        yield Damage(Kind.EMPTY_LINE, "the line is empty")
    try:
        _ = data.decode()
    except UnicodeDecodeError as error:
        yield Damage(Kind.BAD_UTF8, f"byte {error.start} is no UTF-8: {error.reason}")
    if _too_deep(data):
        yield Damage(Kind.TOO_DEEP, f"objects and arrays are nested more than {DEEPEST} levels deep")


def in_syntax(data: bytes, problem: str) -> Damage:
    """Tell a line that ends too early from one that is JSON but no object, and from one that is no JSON at all."""
    if data.lstrip().startswith(b"{"):
        torn = _ends_inside(data)
        return Damage(Kind.TORN_LINE, "the line ends inside an order") if torn else Damage(Kind.NOT_JSON, problem)
    try:
        value = cast("object", json.loads(data))
    except ValueError:
        return Damage(Kind.NOT_JSON, problem)
    return Damage(Kind.NOT_AN_OBJECT, f"an order is an object, not {escape(repr(value), 60)}")


def in_names(fields: Iterable[str]) -> Iterator[Damage]:
    """Yield the fields that are the bus' own business: a file must not choose an event's id, parent or timeout."""
    for name in fields:
        if name.startswith("event_"):
            yield Damage(Kind.RESERVED_FIELD, f"{escape(name, 40)}: names that start with event_ are not for orders")


def in_fields(error: ValidationError) -> Iterator[Damage]:
    """Yield the fields that do not fit their types."""
    for fault in error.errors():
        kind = _kind_of_field(fault)
        found = "" if kind is Kind.MISSING_FIELD else f", not {escape(repr(fault['input']), 60)}"
        yield Damage(kind, f"{_place(fault['loc'])}: {fault['msg']}{found}")


def in_order(order: OrderPlaced) -> Iterator[Damage]:
    """Yield what is wrong with an order whose types are right."""
    if not order.items:
        yield Damage(Kind.NO_ITEMS, "items: an order has at least one")
    wrong = [fault for amount in _amounts(order) for fault in _in_amount(*amount)]
    yield from wrong
    if not wrong and (due := _due(order)) != order.total:
        yield Damage(Kind.WRONG_TOTAL, f"total: {order.total} is stated, the items and shipping make {due}")


def _too_deep(data: bytes) -> bool:
    # nearly every line has fewer brackets than levels are allowed: those are not looked at one by one
    return data.count(b"[") + data.count(b"{") > DEEPEST and depth_exceeds(data, DEEPEST)


def _ends_inside(data: bytes) -> bool:
    opened = 0
    for token in _TOKENS.finditer(data):
        if token["text"] and not token["end"]:
            return True
        opened += (token[0] in _OPENING) - (token[0] in _CLOSING)
    return opened > 0


_KINDS: Final[Mapping[tuple[int | str, ...], Kind]] = {
    ("currency",): Kind.UNKNOWN_CURRENCY,
    ("placed_at",): Kind.BAD_TIME,
}
"""What text is that does not fit, by field."""


def _kind_of_field(fault: ErrorDetails) -> Kind:
    if fault["type"] == "missing":
        return Kind.MISSING_FIELD
    if fault["type"] == "finite_number":
        return Kind.NOT_A_NUMBER
    if not isinstance(fault["input"], str):
        return Kind.WRONG_TYPE
    return _KINDS.get(fault["loc"], Kind.WRONG_TYPE)


def _place(loc: Sequence[str | int]) -> str:
    return ".".join(escape(part, 40) for part in loc)


def _amounts(order: OrderPlaced) -> Iterator[tuple[str, Decimal, Decimal]]:
    for number, item in enumerate(order.items):
        yield f"items.{number}.unit_price", item.unit_price, LARGEST
        yield f"items.{number}.discount_percent", item.discount_percent, Decimal(100)
    yield "shipping.cost", order.shipping.cost, LARGEST
    yield "total", order.total, LARGEST


def _in_amount(name: str, amount: Decimal, most: Decimal) -> Iterator[Damage]:
    if not amount.is_finite():
        yield Damage(Kind.NOT_A_NUMBER, f"{name}: {amount} is no amount")
    elif amount < 0:
        yield Damage(Kind.NEGATIVE_PRICE, f"{name}: {amount} is less than nothing")
    elif amount > most:
        yield Damage(Kind.TOO_LARGE, f"{name}: {amount} is more than {most:,}")


def _due(order: OrderPlaced) -> Decimal:
    coin = _COIN.get(order.currency, _CENT)
    return sum((_item_price(item, coin) for item in order.items), order.shipping.cost)


def _item_price(item: Item, coin: Decimal) -> Decimal:
    price = item.quantity * item.unit_price * (100 - item.discount_percent) / 100
    return (price / coin).to_integral_value(ROUND_HALF_UP) * coin
