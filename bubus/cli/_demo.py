"""The demo's job: a file of orders through three buses, a constant number of them at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import IO, TYPE_CHECKING, Protocol

from bubus._bus import EventBus
from bubus.cli._damage import Damage
from bubus.cli._lines import read_lines
from bubus.cli._reader import Reader
from bubus.cli._shop import Shop
from bubus.cli._summary import Summary

if TYPE_CHECKING:
    from pathlib import Path

    from bubus.cli._lines import Line
    from bubus.cli._orders import OrderPlaced

WINDOW = 50
"""Orders in flight: enough to keep the buses busy, and well below what a bus accepts by default (100)."""


class Watcher(Protocol):
    """Learns of each line as it is read."""

    def on_line(self, line: Line, fault: Damage | None) -> None:
        """Take notice of *line* and of what is wrong with it, if anything."""


async def run(file: IO[bytes], watcher: Watcher, log: Path | None = None) -> Summary:
    """
    Put every intact order of *file* through the shop and return what was counted.

    Args:
        file: One order a line.
        watcher: Told of each line.
        log: Where the orders' bus logs its events.

    Raises:
        LogError: If that is not possible.
    """
    began = perf_counter()
    async with EventBus("orders", wal_path=log) as orders, EventBus("payments") as payments, EventBus("audit") as audit:
        shop = Shop(orders, payments, audit)
        shop.open()
        summary = Summary(audited=shop.audited)
        await _serve(file, shop, summary, watcher)
    summary.seconds = perf_counter() - began
    return summary


async def _serve(file: IO[bytes], shop: Shop, summary: Summary, watcher: Watcher) -> None:
    reader = Reader()
    in_flight: deque[OrderPlaced] = deque()
    for line in read_lines(file):
        summary.lines += 1
        order = reader.read(line)
        if isinstance(order, Damage):
            summary.damage[order.kind] += 1
            watcher.on_line(line, order)
            await asyncio.sleep(0)  # else nothing could interrupt a file without one intact order
            continue
        watcher.on_line(line, None)
        in_flight.append(shop.orders.dispatch(order))
        if len(in_flight) == WINDOW:
            await _count(in_flight.popleft(), summary)
    while in_flight:
        await _count(in_flight.popleft(), summary)


async def _count(order: OrderPlaced, summary: Summary) -> None:
    summary.add(order, await order.event_result())
