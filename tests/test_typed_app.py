"""The strictly typed application in tests/examples, as its users see it: run, read back, checked, and broken."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from tests.type_checkers import SOURCE, basedpyright, mypy

APP: Final = Path(__file__).parent / "examples" / "typed_app"
STOCK: Final = {"bolt": 500, "nut": 500, "hinge": 40, "lock": 6}
CREDIT: Final = 50_000

Order = dict[str, Any]


def shop(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the application as a program of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "shop", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=APP,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert (done.returncode, done.stderr if code == 0 else "") == (code, "")
    return done


def written(path: Path, orders: list[Order]) -> Path:
    """Write *orders*, one a line."""
    path.write_text("".join(f"{json.dumps(order)}\n" for order in orders), "utf-8")
    return path


def order(number: int, customer: str, **wanted: tuple[int, int]) -> Order:
    """Return an order of so many articles at so many cents each."""
    lines = [{"article": name, "quantity": count, "cents": cents} for name, (count, cents) in wanted.items()]
    return {"order": str(number), "customer": customer, "lines": lines}


def expected(orders: list[Order]) -> dict[str, Any]:
    """Work out the books of a day without a bus."""
    stock, paid, outcomes = Counter(STOCK), Counter[str](), Counter[str]()
    for one in orders:
        wanted: Counter[str] = Counter()
        for line in one["lines"]:
            wanted[line["article"]] += line["quantity"]
        cents = sum(line["quantity"] * line["cents"] for line in one["lines"])
        if any(stock[article] < count for article, count in wanted.items()):
            outcomes["sold out"] += 1
        elif paid[one["customer"]] + cents > CREDIT:
            outcomes["declined"] += 1
        else:
            outcomes["shipped"] += 1
            paid[one["customer"]] += cents
            stock.subtract(wanted)
    return {"outcomes": outcomes, "paid": paid, "parcels": outcomes["shipped"], "stock": stock}


def random_orders(count: int) -> list[Order]:
    """Return orders of which some are sold out and some cannot be paid."""
    choice = random.Random(7)
    return [
        order(
            number,
            choice.choice(["ada", "bob", "cy"]),
            **{
                name: (choice.randint(1, 4), choice.randint(1, 900))
                for name in choice.sample(sorted(STOCK), choice.randint(1, 2))
            },
        )
        for number in range(count)
    ]


def test_a_day_leads_to_the_right_books(tmp_path: Path) -> None:
    """Orders ship, are sold out or are declined; goods that were put aside in vain go back."""
    orders = [
        order(1, "ada", bolt=(10, 20), lock=(4, 4000)),
        order(2, "bob", lock=(3, 4000)),
        order(3, "ada", hinge=(40, 1500)),
        order(4, "bob", hinge=(4, 1500)),
    ]

    assert json.loads(shop("day", written(tmp_path / "orders", orders), tmp_path).stdout) == {
        "outcomes": {"shipped": 2, "sold out": 1, "declined": 1},
        "paid": {"ada": 16_200, "bob": 6_000},
        "parcels": 2,
        "stock": {"bolt": 490, "nut": 500, "hinge": 36, "lock": 2},
    }


def test_the_logs_lead_to_the_same_books(tmp_path: Path) -> None:
    """What msgspec alone reads from the three logs is what the handlers did, and what the orders ask for."""
    orders = random_orders(150)
    books = shop("day", written(tmp_path / "orders", orders), tmp_path).stdout

    assert shop("replay", tmp_path).stdout == books
    assert json.loads(books) == expected(orders)
    assert set(json.loads(books)["outcomes"]) == {"shipped", "sold out", "declined"}


def test_a_bad_order_is_refused_before_anything_happens(tmp_path: Path) -> None:
    """Every fault of it is named, and no log is begun."""
    orders = [order(1, "ada", bolt=(1, 20)), {**order(2, "", bolt=(0, 20)), "order": 3}]
    done = shop("day", written(tmp_path / "orders", orders), tmp_path, code=2)

    assert "ValidationError: 3 validation errors for OrderPlaced" in done.stderr
    assert [place in done.stderr for place in ("\norder\n", "\ncustomer\n", "\nlines.0.quantity\n")] == [True] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orders"]


def test_a_damaged_log_is_refused(tmp_path: Path) -> None:
    """The file and line are named."""
    shop("day", written(tmp_path / "orders", [order(n, "ada", bolt=(1, 20)) for n in range(3)]), tmp_path)
    log = tmp_path / "billing.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"cents":20', b'"cents":"twenty"', 2).replace(b'"twenty"', b"20", 1))

    assert "DamagedError: billing.jsonl, line 1: " in shop("replay", tmp_path, code=2).stderr


def copied(folder: Path) -> Path:
    """Return a copy of the application's package, whose settings lead type checkers to this bubus."""
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as settings:
        settings.write(f"extraPaths = {json.dumps([str(SOURCE)])}\n")
    return folder / "shop"


@pytest.mark.typecheck
@pytest.mark.timeout(600)
def test_type_checkers_find_nothing(tmp_path: Path) -> None:
    """Neither basedpyright, in the strict mode that the application has chosen, nor mypy --strict."""
    package = copied(tmp_path / "app")

    assert basedpyright(package) == {}
    assert mypy(package) == {}


MISTAKES: Final = {
    "billing.py": ("-> Receipt:", "-> Receipt | int:", "(PaymentWanted, self.charge)", "Receipt"),
    "day.py": (
        "(order).event_result()",
        "(order)",
        "(order) for order",
        '"list[OrderPlaced]" is not assignable',
    ),
    "desk.py": ("cents=event.cents)", 'cents="all")', 'cents="all")', 'cannot be assigned to parameter "cents"'),
    "replay.py": ("receive(event.customer", "receive(event.client", "event.client", 'for class "PaymentWanted"'),
    "warehouse.py": (
        "on(GoodsReturned, self",
        "on(GoodsWanted, self",
        "(GoodsWanted, self.take_back)",
        "GoodsReturned",
    ),
}
"""By file: what is written, the mistake instead, the line that a type checker then shows, and what it says of it."""


@pytest.mark.typecheck
@pytest.mark.timeout(600)
def test_mistakes_are_found_where_they_are(tmp_path: Path) -> None:
    """A wrong result, argument, event or field is an error of the type checker at its line, and there is no other."""
    package = copied(tmp_path / "app")
    wanted: dict[tuple[str, int], str] = {}
    for name, (right, wrong, shown, said) in MISTAKES.items():
        text = (package / name).read_text("utf-8")
        assert text.count(right) == 1
        text = text.replace(right, wrong)
        (package / name).write_text(text, "utf-8")
        (number,) = (number for number, line in enumerate(text.splitlines(), 1) if shown in line)
        wanted[name, number] = said
    found = basedpyright(package)

    assert found.keys() == wanted.keys()
    assert [found[place] for place, said in wanted.items() if said not in found[place]] == []
