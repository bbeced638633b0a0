"""
What the bus costs: each of its jobs in floors, what a long history adds, what an event weighs, and what idling takes.

Each timing is divided by a floor taken directly before it; a row is the median of these ratios over all rounds.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import selectors
import statistics
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING, Final

import attrs

from bubus import BaseEvent, EventBus
from tests.benchmarks._measure import Row, floor, seconds_per_call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BATCH: Final = 40
"""Events that are queued together."""

HANDLERS: Final = 100
"""Handlers that run in parallel."""

OLD_PYTHON: Final = 2.5
"""How much more than its limit a timing may take on Python 3.11, which has no eager tasks."""


@attrs.frozen
class Effort:
    """How much is run for a figure."""

    rounds: int = 15
    operations: int = 2000
    """Events, handlers or objects that are timed together."""

    history: int = 100_000
    """Events in the long history."""

    short_history: int = 1_000
    runs: int = 3
    """How often the histories are compared."""

    held: int = 5_000
    """Events whose memory is measured."""

    idle_seconds: float = 1.0


FULL: Final = Effort()
QUICK: Final = Effort(rounds=1, operations=100, history=800, short_history=80, runs=1, held=200, idle_seconds=0.05)


class Order(BaseEvent[str]):
    """An event with two fields of payload."""

    customer: str
    amount: int


class Outer(BaseEvent[str]):
    """An event whose handler awaits an `Order`."""

    customer: str
    amount: int


@attrs.frozen
class Job:
    """One thing the bus does, and the floors each of its operations may take."""

    name: str
    limit: float
    call: Callable[[], Awaitable[object]]
    operations: int = 1
    """How many operations one call is."""

    async def ratio(self, operations: int) -> float:
        """Return the time of one operation, in floors."""
        calls = max(1, operations // self.operations)
        least = await seconds_per_call(floor, operations)
        return await seconds_per_call(self.call, calls) / self.operations / least

    def row(self, ratios: list[float]) -> Row:
        """Return the line that says the median of *ratios*."""
        allowed = OLD_PYTHON if sys.version_info < (3, 12) else 1.0
        return Row(self.name, statistics.median(ratios), self.limit * allowed)


def rows(effort: Effort = FULL) -> list[Row]:
    """Measure, and return a row for each figure."""
    return [*asyncio.run(_timings(effort)), *_growth(effort), _weight(effort), _idling(effort.idle_seconds)]


# -- jobs --------------------------------------------------------------------------------------------------------------


async def _timings(effort: Effort) -> list[Row]:
    jobs = _jobs()
    for job in jobs:
        await job.ratio(effort.operations // 10)  # warm up
    taken: dict[str, list[float]] = {job.name: [] for job in jobs}
    for _ in range(effort.rounds):
        for job in jobs:
            taken[job.name].append(await job.ratio(effort.operations))
    return [job.row(taken[job.name]) for job in jobs]


def _jobs() -> list[Job]:
    return [
        Job("one event, queued in batches of 40", 1.4, _batch_on(_plain_bus()), BATCH),
        Job("one event, awaited each", 1.8, _each_on(_plain_bus())),
        Job("construction of an event", 0.5, _construct, BATCH),
        Job("an event that awaits one nested child", 3.0, _each_on(_nesting_bus(), Outer)),
        Job("an event forwarded through three buses", 3.5, _each_on(_first_of_three())),
        Job("100 parallel suspending handlers, per handler", 1.5, _each_on(_parallel_bus()), HANDLERS),
        Job("a handler that suspends once", 3.0, _each_on(_suspending_bus())),
    ]


def _batch_on(bus: EventBus) -> Callable[[], Awaitable[object]]:
    async def batch() -> None:
        events = [bus.dispatch(Order(customer="Ada", amount=number)) for number in range(BATCH)]
        await events[-1]  # first in, first out: all others are complete by then

    return batch


def _each_on(bus: EventBus, kind: type[Order | Outer] = Order) -> Callable[[], Awaitable[object]]:
    async def each() -> None:
        await bus.dispatch(kind(customer="Ada", amount=1))

    return each


async def _construct() -> None:
    for number in range(BATCH):
        Order(customer="Ada", amount=number)


# -- buses -------------------------------------------------------------------------------------------------------------


async def answer(event: Order | Outer) -> str:
    """Handle an event without suspending."""
    return event.customer


async def answer_later(event: Order | Outer) -> str:
    """Handle an event, suspending once."""
    await asyncio.sleep(0)
    return event.customer


def _plain_bus(max_history_size: int | None = 50) -> EventBus:
    bus = EventBus(max_history_size=max_history_size)
    bus.on(Order, answer)
    return bus


def _suspending_bus() -> EventBus:
    bus = EventBus()
    bus.on(Order, answer_later)
    return bus


def _nesting_bus() -> EventBus:
    bus = _plain_bus()

    async def outer(event: Outer) -> str:
        await bus.dispatch(Order(customer=event.customer, amount=event.amount))
        return event.customer

    bus.on(Outer, outer)
    return bus


def _first_of_three() -> EventBus:
    first, second, third = EventBus(), EventBus(), _plain_bus()
    first.on("*", second.dispatch)
    second.on("*", third.dispatch)
    return first


def _parallel_bus() -> EventBus:
    bus = EventBus(parallel_handlers=True)
    for number in range(HANDLERS):
        bus.on(Order, _another_answer(number))
    return bus


def _another_answer(number: int) -> Callable[[Order], Awaitable[str]]:
    # The same function is called once per event, however often it is registered.
    async def answer(event: Order) -> str:
        await asyncio.sleep(0)
        return event.customer

    answer.__name__ = f"answer_{number}"
    return answer


# -- history -----------------------------------------------------------------------------------------------------------


def _growth(effort: Effort) -> list[Row]:
    # A long history is above the 50 MB that bubus warns of: rightly, but not in a table.
    silent = logging.NullHandler()
    logging.getLogger("bubus").addHandler(silent)
    try:
        runs = [asyncio.run(_growth_once(effort)) for _ in range(effort.runs)]
    finally:
        logging.getLogger("bubus").removeHandler(silent)
    at_end, on_the_way = (statistics.median(ratios) for ratios in zip(*runs, strict=True))
    reference = f"{effort.history:,} in history, to one at {effort.short_history:,}"
    return [
        Row(f"an event at {reference}", at_end, 1.3),
        Row("the same, mean of all up to there, with full gc", on_the_way, None),
    ]


async def _growth_once(effort: Effort) -> tuple[float, float]:
    """
    Return what an event takes at the end of a long history and on the way there, to what one takes in a short one.

    Processor time in slices, of which the median counts: a full garbage collection goes through all that is held, so
    one that falls into the last slices would be all they show. The mean of the way there has its share of them.
    """
    size, slices = effort.short_history, 10
    short = statistics.median([await _slice(await _filled(size // 2), size) for _ in range(slices)])
    bus = _plain_bus(max_history_size=None)
    way = await _slice(bus, effort.history - size * slices // 2)
    long = statistics.median([await _slice(bus, size) for _ in range(slices)])
    return long / short, way / short


async def _filled(count: int) -> EventBus:
    bus = _plain_bus(max_history_size=None)
    await _slice(bus, count)
    return bus


async def _slice(bus: EventBus, count: int) -> float:
    """Return the processor time that one of *count* events more takes, in floors."""
    least = await _processor_seconds(floor, count)
    return await _processor_seconds(_batch_on(bus), max(1, count // BATCH)) / BATCH / least


async def _processor_seconds(call: Callable[[], Awaitable[object]], calls: int) -> float:
    # On Windows processor time moves on in steps of 16 ms only.
    clock = time.perf_counter if sys.platform == "win32" else time.process_time
    start = clock()
    for _ in range(calls):
        await call()
    return (clock() - start) / calls


# -- memory ------------------------------------------------------------------------------------------------------------


def _weight(effort: Effort) -> Row:
    return Row("kB per completed event held in history", asyncio.run(_bytes_per_event(effort.held)) / 1000, 1.6)


async def _bytes_per_event(count: int) -> float:
    bus = _plain_bus(max_history_size=None)
    await _hold(bus, range(BATCH))
    gc.collect()
    tracemalloc.start()
    try:
        await _hold(bus, range(count))
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()


async def _hold(bus: EventBus, amounts: range) -> None:
    # Every payload is its own, so that nothing is counted once for many events.
    for amount in amounts:
        await bus.dispatch(Order(customer=f"customer {amount}", amount=1_000_000 + amount))


# -- idling ------------------------------------------------------------------------------------------------------------


class _CountingSelector(selectors.DefaultSelector):
    """Counts how often the loop wakes up: each of its turns begins with one `select`."""

    turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as usual."""
        self.turns += 1
        return super().select(timeout)


def _idling(seconds: float) -> Row:
    selector = _CountingSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        alone = runner.run(_turns(selector, seconds))
        buses = [_suspending_bus() for _ in range(20)]
        runner.run(_use(buses))
        wakeups = runner.run(_turns(selector, seconds)) - alone
    return Row(f"wake-ups of {len(buses)} idle buses in {seconds:g} s", wakeups, 0.0)


async def _use(buses: list[EventBus]) -> None:
    for bus in buses:
        await bus.dispatch(Order(customer="Ada", amount=1))


async def _turns(selector: _CountingSelector, seconds: float) -> int:
    """Return how many turns the loop takes while its only task sleeps."""
    await asyncio.sleep(0)
    before = selector.turns
    await asyncio.sleep(seconds)
    return selector.turns - before
