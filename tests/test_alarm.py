"""The one timer of a bus: what it costs, and that each handler is told in its own time."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import HandlerTimeout
from bubus.testing import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.virtual_time


class Job(BaseEvent[str]):
    """An event whose handlers suspend."""


async def forever() -> str:
    """Wait for what never comes."""
    return await asyncio.get_running_loop().create_future()


class TimersOfLoop:
    """Counts the timers that are set on the running loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.handles: list[asyncio.TimerHandle] = []
        loop = asyncio.get_running_loop()
        call_at: Callable[..., asyncio.TimerHandle] = loop.call_at

        def counting(when: float, *arguments: Any, **options: Any) -> asyncio.TimerHandle:
            self.handles.append(call_at(when, *arguments, **options))
            return self.handles[-1]

        monkeypatch.setattr(loop, "call_at", counting)

    @property
    def waiting(self) -> list[asyncio.TimerHandle]:
        """Those that are still to ring."""
        now = asyncio.get_running_loop().time()
        return [handle for handle in self.handles if not handle.cancelled() and handle.when() > now]


def suspending(bus: EventBus, seconds: float) -> None:
    """Register a handler of its own that takes *seconds*."""

    async def handle(event: Job) -> str:
        return await asyncio.sleep(seconds, "done")

    bus.on(Job, handle)


async def test_a_thousand_suspended_handlers_need_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers that start together share the timer, and it is gone when they have ended in time."""
    bus, go = EventBus(parallel_handlers=True), asyncio.Event()

    async def wait(event: Job) -> str:
        await go.wait()
        return "done"

    for _ in range(1_000):
        bus.on(Job, partial(wait))  # the same function would be called once
    timers = TimersOfLoop(monkeypatch)

    event = bus.dispatch(Job())
    await asyncio.sleep(0)
    assert len(timers.waiting) == 1
    go.set()
    await event
    await asyncio.sleep(0)  # in which the bus comes to rest

    assert timers.waiting == []
    assert len(timers.handles) == 1


async def test_events_one_after_another_share_the_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the queue is not empty, the timer is neither cancelled nor set anew for each event."""
    bus = EventBus()
    suspending(bus, 0.01)
    events = [bus.dispatch(Job()) for _ in range(50)]
    timers = TimersOfLoop(monkeypatch)
    await asyncio.gather(*events)

    # 50 of the sleeping handlers' own, and one of the bus
    assert len(timers.handles) == 51
    assert timers.waiting == []


async def test_each_handler_is_timed_out_in_its_own_time() -> None:
    """Of events with different timeouts, on one bus at once, each is cut off when its own time is over."""
    bus, loop = EventBus(slow_handler_seconds=0), asyncio.get_running_loop()
    ended: dict[float | None, float] = {}

    async def outer(event: BaseEvent[None]) -> None:
        await asyncio.gather(*(bus.dispatch(Job(event_timeout=seconds)) for seconds in (3.0, 0.5, 1.0, 0.25)))

    async def hang(event: Job) -> str:
        try:
            return await forever()
        finally:
            ended[event.event_timeout] = loop.time()

    bus.on("Outer", outer)
    bus.on(Job, hang)
    start = loop.time()
    parent = await bus.dispatch(BaseEvent[None](event_type="Outer"))

    assert {seconds: at - start for seconds, at in ended.items()} == pytest.approx(
        {3.0: 3.0, 0.5: 0.5, 1.0: 1.0, 0.25: 0.25}, abs=0.002
    )
    errors = [result.error for child in parent.event_children for result in child.event_results.values()]
    assert [type(error) for error in errors] == [HandlerTimeout] * 4


async def test_a_timeout_is_kept_beside_a_handler_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer that was set for a handler which has ended since rings for nobody, and then for who is left."""
    bus, loop = EventBus(parallel_handlers=True, slow_handler_seconds=0), asyncio.get_running_loop()
    bus.on(Job, lambda event: asyncio.sleep(0.1, "quick"))
    bus.on(Job, lambda event: forever())
    start = loop.time()
    event = await bus.dispatch(Job(event_timeout=2.0))

    assert loop.time() - start == pytest.approx(2.0, abs=0.002)
    assert [type(result.error) for result in event.event_results.values()] == [type(None), HandlerTimeout]


def test_an_idle_bus_leaves_no_timer_behind() -> None:
    """After a handler that suspended, the loop has nothing left that it would wake up for."""

    async def main() -> None:
        bus = EventBus()
        suspending(bus, 0.01)
        await bus.dispatch(Job())

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
        at_end = runner.get_loop().time()
        runner.run(asyncio.sleep(100))
        assert runner.get_loop().time() == pytest.approx(at_end + 100)
