"""Attributes of a bus that existing programs read, or assign None to between runs."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pydantic
import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import BusStopped, CapacityError, NoResultError, OptionTypeError
from tests.until import until


class Ask(BaseEvent[str]):
    pass


class Large(BaseEvent[str]):
    payload: str


def answer(_: Ask) -> str:
    return "answer"


RESET = ("event_queue", "_on_idle", "_runloop_task")


async def test_a_fresh_bus_has_nothing_that_runs() -> None:
    """No queue, no task, no signal: as before the first dispatch of the older package."""
    bus = EventBus("fresh")
    assert [getattr(bus, name) for name in RESET] == [None] * 3
    assert bus._is_running is False  # pyright: ignore[reportPrivateUsage] - existing programs read it
    assert (bus.parallel_handlers, bus.max_history_size) == (False, 50)


async def test_the_attributes_report_what_the_bus_does() -> None:
    """They follow the queue, the handlers and `stop`."""
    bus: Any = EventBus("busy", max_pending=2)
    goes_on = asyncio.Event()

    async def waits(_: Ask) -> str:
        await goes_on.wait()
        return "done"

    bus.on(Ask, waits)
    first, second = bus.dispatch(Ask()), bus.dispatch(Ask())
    assert bus._is_running
    assert (bus.event_queue.qsize(), bus.event_queue.maxsize, bus.event_queue.full()) == (2, 2, True)
    assert list(bus.event_queue) == [first, second]
    await until(lambda: first.event_status != "pending")
    assert (len(bus.event_queue), bus.event_queue.full(), bus.event_queue.empty()) == (1, False, False)
    assert (bus._on_idle.is_set(), bus._runloop_task.done()) == (False, False)
    assert bool(bus.event_queue)
    goes_on.set()
    assert await bus._on_idle.wait() is True
    await bus._runloop_task
    assert (bus._on_idle.is_set(), bus._runloop_task.done(), bus.event_queue.empty()) == (True, True, True)
    assert "0 queued" in repr(bus.event_queue)
    await bus.stop()
    assert (bus._is_running, bus._runloop_task, bus._on_idle) == (False, None, None)


async def test_cancelling_the_run_loop_cuts_off_as_stop_does() -> None:
    """Whoever waits wakes up; the bus can be used again."""
    bus: Any = EventBus("cancelled")

    async def hangs(_: Ask) -> str:
        await asyncio.Event().wait()
        return "never"

    subscription = bus.on(Ask, hangs)
    running, queued = bus.dispatch(Ask()), bus.dispatch(Ask())
    await until(lambda: running.event_status != "pending")
    loop = bus._runloop_task
    assert loop.cancel()
    for event in (running, queued):
        with pytest.raises(BusStopped):
            await event.event_result()
    assert (loop.cancelled(), loop.cancel()) == (True, False)
    subscription.off()
    bus.on(Ask, answer)
    assert await bus.dispatch(Ask()).event_result() == "answer"


async def test_a_reset_settles_what_is_queued_and_the_bus_begins_anew() -> None:
    """Assigning None, as programs do between runs, leaves no awaiter hanging; what is running goes on."""
    bus: Any = EventBus("reset")
    goes_on = asyncio.Event()

    async def waits(_: Ask) -> str:
        await goes_on.wait()
        return "done"

    bus.on(Ask, waits)
    running, lost = bus.dispatch(Ask()), bus.dispatch(Ask())
    waiting = asyncio.ensure_future(lost.event_result())
    await until(lambda: running.event_status == "started")
    bus.event_queue = None
    bus._on_idle = None
    bus._runloop_task = None
    bus._is_running = False
    with pytest.raises(BusStopped, match="event_queue = None"):
        await waiting
    assert [getattr(bus, name) for name in RESET] == [None] * 3
    assert not bus._is_running
    goes_on.set()
    assert await running.event_result() == "done"
    assert await bus.dispatch(Ask()).event_result() == "done"
    assert bus._is_running


def test_a_bus_is_reset_from_one_loop_to_the_next() -> None:
    """One bus serves several runs, also when the last one ended in the middle of its work."""
    bus: Any = EventBus("runs")
    bus.on(Ask, answer)
    left: list[Ask] = []

    async def run(*, leave: bool) -> str:
        result = await bus.dispatch(Ask()).event_result()
        if leave:
            left.append(bus.dispatch(Ask()))
        return result

    for leave in (True, False):
        assert asyncio.run(run(leave=leave)) == "answer"
        bus.event_queue = bus._on_idle = bus._runloop_task = None
        bus._is_running = False
    assert left[0].event_status == "completed"


async def test_what_a_bus_decides_itself_cannot_be_replaced() -> None:
    """Anything but None is refused, with the reason."""
    bus: Any = EventBus("strict")
    for name in (*RESET, "_is_running"):
        with pytest.raises(OptionTypeError, match=f"{name} = .*can be reset to None"):
            setattr(bus, name, True)


async def test_the_capacity_error_says_that_the_bus_is_at_capacity() -> None:
    """Programs look for these words."""
    bus = EventBus("full", max_pending=1)
    bus.dispatch(Ask())
    with pytest.raises(CapacityError, match="EventBus at capacity") as caught:
        bus.dispatch(Ask())
    assert isinstance(caught.value, RuntimeError)
    await bus.wait_until_idle()


async def test_a_second_bus_of_a_name_gets_eight_characters_more() -> None:
    """A UserWarning says so."""
    first = EventBus("twin")
    with pytest.warns(UserWarning, match="an EventBus named 'twin' exists already"):
        second = EventBus("twin")
    assert second.name.startswith(f"{first.name}_")
    assert len(second.name) == len("twin_") + 8


async def test_memory_is_checked_on_demand(caplog: pytest.LogCaptureFixture) -> None:
    """`_check_total_memory_usage()` measures now and warns each time it is asked, unless all is well."""
    bus: Any = EventBus("heavy", max_history_size=None)
    with caplog.at_level(logging.WARNING, "bubus"):
        bus._check_total_memory_usage()
        assert caplog.text == ""
        for _ in range(3):
            await bus.dispatch(Large(payload="x" * 20_000_000))
        caplog.clear()
        bus._check_total_memory_usage()
        bus._check_total_memory_usage()
    await bus.stop(clear=True)
    assert caplog.text.count("high memory usage") == 2
    assert "heavy" in caplog.text


async def test_a_bus_is_a_field_of_a_pydantic_model_and_stays_the_same_object() -> None:
    """Watchdogs are models that hold their bus."""

    class Watchdog(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(arbitrary_types_allowed=True, extra="forbid", validate_assignment=False)

        event_bus: EventBus = pydantic.Field(default_factory=EventBus)

    bus = EventBus("held")
    assert Watchdog(event_bus=bus).event_bus is bus
    assert isinstance(Watchdog().event_bus, EventBus)
    with pytest.raises(pydantic.ValidationError, match="instance of EventBus"):
        Watchdog.model_validate({"event_bus": "no bus"})


async def test_history_is_a_dict_from_id_to_event() -> None:
    """Programs look up parents in it."""
    bus = EventBus("remembers")
    event = await bus.dispatch(Ask())
    assert isinstance(bus.event_history, dict)
    assert bus.event_history.get(event.event_id) is event
    with pytest.raises(NoResultError):
        await event.event_result()
