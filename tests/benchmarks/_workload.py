"""
One event with two fields and one async handler, on any package that has bubus' names; prints seconds per event.

Run as a script in the package's own environment: ``python _workload.py PACKAGE SECONDS``. It needs nothing else.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BATCH = 40
"""Events that are queued together."""

HISTORY = 50
"""Events that are remembered."""

# What a package must be told to do as the others do unasked: to forget its oldest events.
OPTIONS: dict[str, dict[str, Any]] = {"abxbus": {"max_history_drop": True}}


class Workload:
    """The bus of a package with one handler, and how many events it was given and has handled."""

    def __init__(self, package: str) -> None:
        module: Any = importlib.import_module(package)
        self.dispatched = self.handled = 0
        self.event_class: Any = _event_class(module.BaseEvent[str])
        self.bus: Any = module.EventBus(max_history_size=HISTORY, **OPTIONS.get(package, {}))
        self.bus.on(self.event_class, self.handle)

    async def handle(self, event: Any) -> str:
        """Handle one event."""
        self.handled += 1
        return event.customer

    def dispatch(self) -> Any:
        """Make and dispatch one event."""
        self.dispatched += 1
        return self.bus.dispatch(self.event_class(customer="Ada", amount=self.dispatched))

    async def queued(self) -> None:
        """Dispatch a batch of events, then wait for all."""
        for event in [self.dispatch() for _ in range(BATCH)]:
            await event

    async def awaited(self) -> None:
        """Dispatch a batch of events and wait for each before the next."""
        for _ in range(BATCH):
            await self.dispatch()


def _event_class(base: Any) -> Any:
    class Order(base):
        customer: str
        amount: int

    return Order


async def seconds_per_event(call: Callable[[], Awaitable[object]], seconds: float) -> float:
    """
    Call *call* again and again for *seconds* seconds; return how long one event of its batches took.

    Both in processor time: what other programs do meanwhile is left out, and so is what a bus waits without working.
    """
    await call()  # warm up
    batches, start = 0, time.process_time()
    while (taken := time.process_time() - start) < seconds or not batches:
        await call()
        batches += 1
    return taken / batches / BATCH


async def main(package: str, seconds: float) -> dict[str, float]:
    """
    Return the seconds per event, by how the events are dispatched.

    Raises:
        RuntimeError: If not every event was handled: then the figures would mean nothing.
    """
    work = Workload(package)
    figures = {
        "queued in batches of 40": await seconds_per_event(work.queued, seconds),
        "awaited each": await seconds_per_event(work.awaited, seconds),
    }
    if work.handled != work.dispatched:
        raise RuntimeError(f"{package} handled {work.handled} of {work.dispatched} events")
    if hasattr(work.bus, "stop"):  # without it, bubus 1.5.6 keeps `asyncio.run` from ending
        await work.bus.stop()
    return figures


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(sys.argv[1], float(sys.argv[2])))) + "\n")
