"""The slow-handler warning (R29): once per call, after `slow_handler_seconds`, saying what the handler waits on."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest

from bubus import BaseEvent, EventBus

pytestmark = pytest.mark.virtual_time


class Job(BaseEvent[str]):
    pass


class LongChild(BaseEvent[str]):
    pass


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def crawl(event: BaseEvent[Any]) -> str:
    await asyncio.sleep(100)
    return "at last"


def lines(caplog: pytest.LogCaptureFixture, handler: str = "crawl") -> list[str]:
    """Return the warnings about *handler*."""
    logged = [record for record in caplog.records if record.name.split(".")[0] == "bubus"]
    assert {record.levelno for record in logged} <= {logging.WARNING}
    assert logging.getLogger("bubus").level == logging.NOTSET
    return [record.getMessage() for record in logged if handler in record.getMessage()]


async def test_R29_one_warning_per_call(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that runs far beyond the threshold is reported once, with its name, its event and the bus."""
    bus = EventBus(name="slow_bus")
    bus.on(Job, crawl)
    assert await bus.dispatch(Job(event_timeout=None)).event_result() == "at last"
    (line,) = lines(caplog)
    assert "Job" in line
    assert "slow_bus" in line
    assert "15" in line


async def test_R29_the_default_threshold_is_fifteen_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said at 14.9 s, and the warning is there at 15.1 s while the handler still runs."""
    bus = EventBus()
    bus.on(Job, crawl)
    event = bus.dispatch(Job(event_timeout=None))
    await asyncio.sleep(14.9)
    assert lines(caplog) == []
    await asyncio.sleep(0.2)
    assert len(lines(caplog)) == 1
    assert event.event_status == "started"
    await event
    assert len(lines(caplog)) == 1


async def test_R29_the_threshold_is_an_option(caplog: pytest.LogCaptureFixture) -> None:
    """`slow_handler_seconds=0.5` warns after half a second."""
    bus = EventBus(slow_handler_seconds=0.5)
    bus.on(Job, crawl)
    event = bus.dispatch(Job(event_timeout=None))
    await asyncio.sleep(0.4)
    assert lines(caplog) == []
    await asyncio.sleep(0.2)
    assert len(lines(caplog)) == 1
    await event


async def test_R29_zero_switches_it_off(caplog: pytest.LogCaptureFixture) -> None:
    """`slow_handler_seconds=0` never warns."""
    bus = EventBus(slow_handler_seconds=0)
    bus.on(Job, crawl)
    await bus.dispatch(Job(event_timeout=None))
    assert lines(caplog) == []


async def test_R29_a_quick_handler_is_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    """Handlers below the threshold are never reported, also not later."""
    bus = EventBus()

    async def quick(event: Job) -> str:
        await asyncio.sleep(14)
        return "quick"

    bus.on(Job, quick)
    await bus.dispatch(Job(event_timeout=None))
    await asyncio.sleep(100)
    assert lines(caplog, "quick") == []


async def test_R29_each_call_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Two slow calls, and two slow handlers of one event, are reported one by one."""
    bus = EventBus(parallel_handlers=True)
    bus.on(Job, crawl)

    async def crawl_too(event: Job) -> str:
        return await crawl(event)

    bus.on(Job, crawl_too)
    for _ in range(2):
        await bus.dispatch(Job(event_timeout=None))
    assert len(lines(caplog)) == 4
    assert len(lines(caplog, "crawl_too")) == 2


async def test_R29_queue_time_is_not_slowness(caplog: pytest.LogCaptureFixture) -> None:
    """An event that waited long for its turn is not reported when its handler is quick."""
    bus = EventBus()

    async def brief(event: LongChild) -> str:
        await asyncio.sleep(1)
        return "brief"

    bus.on(Job, crawl)
    bus.on(LongChild, brief)
    bus.dispatch(Job(event_timeout=None))
    await bus.dispatch(LongChild())
    assert lines(caplog, "brief") == []


async def test_R29_it_names_the_child_it_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that awaits a child is reported as waiting for that event, on that bus."""
    bus, other = EventBus(), EventBus(name="the_other_bus")

    async def parent(event: Job) -> str:
        await other.dispatch(LongChild(event_timeout=None))
        return "parent"

    bus.on(Job, parent)
    other.on(LongChild, crawl)
    await bus.dispatch(Job(event_timeout=None))
    (line,) = lines(caplog, "parent")
    assert "LongChild" in line


async def test_R29_it_names_the_child_it_drives(caplog: pytest.LogCaptureFixture) -> None:
    """The same goes for one that waits for the child's handlers by `process_event`."""
    bus, other = EventBus(), EventBus()

    async def parent(event: Job) -> str:
        await other.process_event(other.dispatch(LongChild(event_timeout=None)))
        return "parent"

    bus.on(Job, parent)
    other.on(LongChild, crawl)
    await bus.dispatch(Job(event_timeout=None))
    (line,) = lines(caplog, "parent")
    assert "waits for its child LongChild" in line


async def test_R29_it_says_where_the_handler_stands(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that awaits something else is not said to wait for an event, and the two texts differ."""
    bus = EventBus(name="b")

    async def waits_elsewhere(event: Job) -> str:
        await asyncio.sleep(100)
        return "done"

    bus.on(Job, waits_elsewhere)
    await bus.dispatch(Job(event_timeout=None))
    (line,) = lines(caplog, "waits_elsewhere")
    assert "LongChild" not in line
    assert "wait" in line.lower() or "await" in line.lower() or "test_bus_slow.py" in line


async def test_R29_control_characters_never_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Names with terminal codes are escaped in the warning."""
    bus = EventBus()

    async def nasty(event: Job) -> str:
        return await crawl(event)

    nasty.__name__ = "crawl\x1b[31m"
    bus.on(Job, nasty)
    await bus.dispatch(Job(event_timeout=None))
    (line,) = lines(caplog)
    assert "\x1b" not in line


async def test_R29_the_timeout_comes_first(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that is stopped by its timeout before the threshold is not reported as slow."""
    bus = EventBus()
    bus.on(Job, crawl)
    await bus.dispatch(Job(event_timeout=1))
    await asyncio.sleep(50)
    assert [line for line in lines(caplog) if "slow" in line.lower()] == []


async def test_R29_no_task_and_one_timer(caplog: pytest.LogCaptureFixture) -> None:
    """Watching costs no task, and at most two timers (warning and timeout) for a suspended handler; none afterwards."""
    counts: list[int] = []
    timers: list[int] = []
    for seconds in (0.0, 15.0):
        bus = EventBus(slow_handler_seconds=seconds)
        bus.on(Job, crawl)
        event = bus.dispatch(Job(event_timeout=1_000))
        await turns()
        counts.append(len(asyncio.all_tasks()))
        timers.append(armed())
        await event
        await turns()
        assert armed() == 0
    assert counts[0] == counts[1]
    assert timers[1] <= timers[0] + 1


def armed() -> int:
    handles: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled")  # noqa: B009 - private to asyncio
    return sum(not handle.cancelled() for handle in handles)


def test_R25_a_blocking_handler_is_reported_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    """A sync handler that blocked the loop beyond the threshold is reported once, by name, when it has returned."""
    bus = EventBus(slow_handler_seconds=0.01)

    def blocker(event: Job) -> str:
        time.sleep(0.05)
        return "blocked"

    async def main() -> str | None:
        bus.on(Job, blocker)
        result = await bus.dispatch(Job()).event_result()
        await turns()
        return result

    assert asyncio.run(main()) == "blocked"
    assert len(lines(caplog, "blocker")) == 1


def test_R25_a_coroutine_that_blocks_is_reported_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    """An async handler that blocks the loop without suspending is reported like a sync one."""
    bus = EventBus(slow_handler_seconds=0.01)

    async def busy(event: Job) -> str:
        time.sleep(0.05)  # noqa: ASYNC251 - blocking is what is tested
        return "blocked"

    async def main() -> str | None:
        bus.on(Job, busy)
        result = await bus.dispatch(Job()).event_result()
        await turns()
        return result

    assert asyncio.run(main()) == "blocked"
    assert len(lines(caplog, "busy")) == 1


async def test_R29_children_that_are_gathered_are_named(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that awaits its children in tasks waits for them, and for nothing of its own."""
    bus = EventBus(slow_handler_seconds=10)

    async def gather(event: Job) -> str:
        children = [bus.dispatch(LongChild()), bus.dispatch(LongChild())]
        await asyncio.gather(*children)
        return "done"

    bus.on(Job, gather)
    bus.on(LongChild, crawl)
    await bus.dispatch(Job(event_timeout=None))

    (line,) = lines(caplog, "gather")
    assert line.count("LongChild#") == 2
    assert "its children" in line
