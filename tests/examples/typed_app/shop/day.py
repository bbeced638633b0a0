"""One day of the shop: three buses, each with a log, and the orders of a file."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from bubus import EventBus

from .billing import Billing
from .books import Books
from .desk import Desk
from .events import OrderPlaced
from .warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .goods import Outcome

BUSES = ("desk", "warehouse", "billing")


def log_of(folder: Path, bus: str) -> Path:
    """Return the log of a bus."""
    return folder / f"{bus}.jsonl"


def read_orders(path: Path) -> list[OrderPlaced]:
    """
    Return the orders of a file, one a line.

    Raises:
        ValidationError: If a line is no order; every fault is listed.
    """
    return [OrderPlaced.model_validate_json(line) for line in path.read_bytes().split(b"\n") if line]


async def work(orders: Sequence[OrderPlaced], logs: Path) -> Books:
    """Process *orders* and return the books."""
    logging.getLogger("bubus").setLevel(logging.ERROR)  # that handlers fail is part of the business
    async with AsyncExitStack() as stack:
        desk, warehouse, billing = [
            await stack.enter_async_context(EventBus(name, wal_path=log_of(logs, name), max_pending=None))
            for name in BUSES
        ]
        books = Books()
        Warehouse(warehouse, books).open()
        Billing(billing, books).open()
        Desk(desk, warehouse, billing, books).open()
        outcomes: list[Outcome] = [await desk.dispatch(order).event_result() for order in orders]
    if len(outcomes) != books.outcomes.total():
        raise RuntimeError(f"{len(outcomes)} outcomes, but {books.outcomes.total()} in the books")
    return books
