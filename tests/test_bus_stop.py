"""Stopping (design.md 4.13, R21-R23): at once or gently, for good or not, and every awaiter wakes up."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import warnings
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import BubusError, BusClosed, BusStopped, BusStopping

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.virtual_time


class Job(BaseEvent[str]):
    label: str = ""


class Child(BaseEvent[str]):
    pass


class Probe(BaseEvent[str]):
    pass


def now() -> float:
    return asyncio.get_running_loop().time()


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def records(event: BaseEvent[Any]) -> list[Any]:
    return list(event.event_results.values())


def errors(event: BaseEvent[Any]) -> list[type[BaseException] | None]:
    return [type(record.error) if record.error else None for record in records(event)]


async def hang(event: BaseEvent[Any]) -> str:
    await forever()
    return "never"


def takes(seconds: float) -> Callable[[BaseEvent[Any]], Any]:
    async def handler(event: BaseEvent[Any]) -> str:
        await asyncio.sleep(seconds)
        return "done"

    return handler


def make(**options: Any) -> EventBus:
    bus = EventBus(**options)
    bus.on(Probe, lambda event: "probe")
    return bus


def silence(tasks: set[asyncio.Task[Any]]) -> None:
    """Keep tasks whose loop was closed under them from complaining that they never ended."""
    for task in tasks:
        setattr(task, "_log_destroy_pending", False)  # noqa: B010 - private to asyncio


async def works(bus: EventBus) -> bool:
    return await bus.dispatch(Probe()).event_result() == "probe"


# --- at once -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [{}, {"timeout": None}, {"timeout": 0}])
async def test_R21_stop_is_immediate(arguments: dict[str, Any]) -> None:
    """`stop()` cuts off what runs and what is queued; every event settles, `await` returns, `event_result()` raises."""
    bus = make()
    bus.on(Job, hang)
    events = [bus.dispatch(Job(label=str(number))) for number in range(5)]
    awaiters = [asyncio.create_task(event.event_result()) for event in events]
    await turns()
    start = now()
    await bus.stop(**arguments)
    assert now() - start <= 0.2
    for event in events:
        assert await event is event
        assert event.event_status == "completed"
    assert {type(outcome) for outcome in await asyncio.gather(*awaiters, return_exceptions=True)} == {BusStopped}
    assert errors(events[0]) == [BusStopped]


async def test_R21_stop_before_the_first_turn_runs_nothing() -> None:
    """Events stopped in the very tick of their dispatch never reach a handler."""
    bus = make()
    ran: list[str] = []
    bus.on(Job, lambda event: ran.append(event.label))
    event = bus.dispatch(Job(label="early"))
    await bus.stop()
    assert await event is event
    with pytest.raises(BusStopped):
        await event.event_result()
    assert ran == []


async def test_R21_what_was_complete_stays_complete() -> None:
    """Results from before the stop are untouched."""
    bus = make()
    event = await bus.dispatch(Probe())
    await bus.stop()
    assert await event.event_result() == "probe"


async def test_R21_finished_handlers_of_an_event_keep_their_results() -> None:
    """Of an event that is cut off, the handlers that had finished keep their values; only the rest is BusStopped."""
    bus = make()
    bus.on(Job, lambda event: "finished")
    bus.on(Job, hang)
    bus.on(Job, lambda event: "not begun")
    event = bus.dispatch(Job())
    await turns()
    await bus.stop()
    assert errors(event) == [None, BusStopped, BusStopped]
    assert records(event)[0].result == "finished"


@pytest.mark.parametrize("parallel", [False, True])
async def test_R21_cleanup_runs_within_the_grace(*, parallel: bool) -> None:
    """`finally` blocks of running handlers have run when `stop()` returns, if they take less than `cancel_grace`."""
    bus = make(cancel_grace=1, parallel_handlers=parallel)
    seen: list[str] = []

    async def tidy(event: Job) -> str:
        try:
            await forever()
        finally:
            await asyncio.sleep(0.7)
            seen.append("tidied up")
        return "never"

    bus.on(Job, tidy)
    event = bus.dispatch(Job())
    await turns()
    await bus.stop()
    assert seen == ["tidied up"]
    assert errors(event) == [BusStopped]


@pytest.mark.parametrize("parallel", [False, True])
async def test_R21_stop_returns_in_time_whatever_handlers_do(*, parallel: bool) -> None:
    """Twenty handlers that swallow cancellation cannot hold `stop(timeout)` longer than timeout + grace."""
    bus = make(cancel_grace=0.2, parallel_handlers=parallel)
    release = asyncio.Event()

    def stubborn() -> Callable[[Job], Any]:
        async def handler(event: Job) -> str:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return "late"

        return handler

    for _ in range(20):
        bus.on(Job, stubborn())
    event = bus.dispatch(Job(event_timeout=None))
    await turns()
    start = now()
    await bus.stop(timeout=1)
    assert now() - start <= 1.25
    assert set(errors(event)) == {BusStopped}
    release.set()
    await turns()
    assert {record.result for record in records(event)} == {None}
    assert await works(bus)


async def test_R21_a_cleanup_longer_than_the_grace_is_left_behind() -> None:
    """`stop()` does not wait for a cleanup that takes longer than `cancel_grace`; the event is settled anyway."""
    bus = make(cancel_grace=0.2)

    async def slow_to_leave(event: Job) -> str:
        try:
            await forever()
        finally:
            await asyncio.sleep(3)
        return "never"

    bus.on(Job, slow_to_leave)
    event = bus.dispatch(Job())
    await turns()
    start = now()
    await bus.stop()
    assert now() - start <= 0.25
    assert errors(event) == [BusStopped]
    await asyncio.sleep(5)


# --- gently --------------------------------------------------------------------------------------------------------


async def test_R23_a_gentle_stop_finishes_what_was_accepted() -> None:
    """`stop(timeout=s)` lets queued and running events end normally and returns as soon as they have."""
    bus = make()
    bus.on(Job, takes(1))
    events = [bus.dispatch(Job()) for _ in range(4)]
    start = now()
    await bus.stop(timeout=60)
    assert abs(now() - start - 4) < 0.1
    assert [await event.event_result() for event in events] == ["done"] * 4


async def test_R23_a_gentle_stop_cuts_off_what_takes_longer() -> None:
    """When the time is up, what has ended is kept and the rest is BusStopped, never reported as handled."""
    bus = make()
    bus.on(Job, takes(1))
    events = [bus.dispatch(Job()) for _ in range(5)]
    start = now()
    await bus.stop(timeout=2.5)
    assert now() - start <= 2.75
    outcomes = await asyncio.gather(*[event.event_result() for event in events], return_exceptions=True)
    assert outcomes[:2] == ["done", "done"]
    assert {type(outcome) for outcome in outcomes[2:]} == {BusStopped}


async def test_R23_dispatch_while_stopping_raises_and_leaves_no_trace() -> None:
    """While `stop(timeout)` runs the bus takes nothing, and a refused event can be dispatched afterwards."""
    bus = make()
    bus.on(Job, takes(1))
    event = bus.dispatch(Job())
    await turns()
    stopping = asyncio.create_task(bus.stop(timeout=60))
    await turns()
    refused = Probe()
    with pytest.raises(BusStopping):
        bus.dispatch(refused)
    assert (refused.event_status, list(refused.event_path), refused.event_id in bus.event_history) == (
        "pending",
        [],
        False,
    )
    await stopping
    assert await event.event_result() == "done"
    assert await bus.dispatch(refused).event_result() == "probe"


async def test_R23_a_gentle_stop_waits_for_children_on_this_bus() -> None:
    """Children that were queued before the stop are finished, too."""
    bus = make()

    def parent(event: Job) -> str:
        for _ in range(3):
            bus.dispatch(Child())
        return "parent"

    bus.on(Job, parent)
    bus.on(Child, takes(1))
    event = bus.dispatch(Job())
    await turns()
    await bus.stop(timeout=60)
    assert [await child.event_result() for child in event.event_children] == ["done"] * 3


async def test_R23_leaving_the_block_drains() -> None:
    """`async with EventBus()` finishes all events before it goes on."""
    async with EventBus() as bus:
        bus.on(Job, takes(1))
        events = [bus.dispatch(Job()) for _ in range(3)]
    assert [event.event_status for event in events] == ["completed"] * 3
    assert [await event.event_result() for event in events] == ["done"] * 3


# --- again and again -----------------------------------------------------------------------------------------------


async def test_R21_stop_is_idempotent() -> None:
    """Stopping a fresh bus, twice, or from several tasks at once does nothing harmful."""
    bus = make()
    await bus.stop()
    await bus.stop(timeout=1)
    assert await works(bus)
    bus.on(Job, hang)
    event = bus.dispatch(Job())
    await turns()
    await asyncio.gather(bus.stop(), bus.stop(timeout=5), bus.stop())
    assert errors(event) == [BusStopped]
    assert await works(bus)


async def test_R21_an_impatient_stop_overtakes_a_gentle_one() -> None:
    """`stop()` during `stop(timeout=60)` ends both soon: whoever is in a hurry need not wait for the other."""
    bus = make()
    bus.on(Job, takes(50))
    event = bus.dispatch(Job())
    start = now()
    gentle = asyncio.create_task(bus.stop(timeout=60))
    await turns()
    await bus.stop()
    assert now() - start <= 1
    await gentle
    assert now() - start <= 1
    assert errors(event) == [BusStopped]


async def test_R21_a_gentle_stop_does_not_hold_up_an_impatient_one() -> None:
    """`stop()` returns within the grace although another task begins `stop(timeout=60)`, whatever cleanups dispatch."""
    bus = make(cancel_grace=0.2)

    async def untidy(event: Job) -> str:
        try:
            await forever()
        finally:
            await asyncio.sleep(0.1)
            bus.dispatch(Child())
        return "never"

    bus.on(Job, untidy)
    bus.on(Child, takes(30))
    bus.dispatch(Job())
    await turns()
    start = now()
    impatient = asyncio.create_task(bus.stop())
    gentle = asyncio.create_task(bus.stop(timeout=60))
    await impatient
    assert now() - start <= 0.25
    await gentle


async def test_R21_a_stopped_bus_can_be_used_again() -> None:
    """After `stop()` handlers and history are still there, and the next dispatch starts the bus."""
    bus = make()
    for _ in range(3):
        event = await bus.dispatch(Probe())
        await bus.stop()
        assert event.event_id in bus.event_history
    assert await works(bus)


def test_R21_a_stopped_bus_can_be_used_in_a_new_loop() -> None:
    """A bus that was stopped, or was idle when its loop ended, works in the next loop."""
    bus = make()

    async def use_and_stop() -> bool:
        result = await works(bus)
        await bus.stop()
        return result

    async def use() -> bool:
        return await works(bus)

    assert [asyncio.run(each()) for each in (use_and_stop, use, use, use_and_stop)] == [True] * 4


# --- awaiters of other kinds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("clear", [False, True])
async def test_R21_expect_wakes_up(*, clear: bool) -> None:
    """Who waits for an event by `expect()` without a timeout is released by `stop()`."""
    bus = make()
    waiting = asyncio.create_task(bus.expect(Job))
    await turns()
    await bus.stop(clear=clear)
    with pytest.raises(BubusError):
        async with asyncio.timeout(5):
            await waiting


async def test_R21_wait_until_idle_wakes_up() -> None:
    """Who waits until the bus is idle is released by `stop()`."""
    bus = make()
    bus.on(Job, hang)
    bus.dispatch(Job())
    waiting = asyncio.create_task(bus.wait_until_idle())
    await turns()
    await bus.stop()
    async with asyncio.timeout(5):
        await waiting


async def test_R21_results_can_be_awaited_through_a_stop() -> None:
    """Awaiting a single EventResult raises BusStopped when the bus stops."""
    bus = make()
    bus.on(Job, hang)
    event = bus.dispatch(Job())
    await turns()

    async def wait_for(record: Any) -> object:
        return await record

    waiting = asyncio.create_task(wait_for(records(event)[0]))
    await turns()
    await bus.stop()
    with pytest.raises(BusStopped):
        await waiting


async def test_R21_a_handler_that_waits_for_a_stopped_bus_goes_on() -> None:
    """A handler on one bus that awaits a child on another is released when that other bus stops."""
    bus, other = make(), make()

    async def parent(event: Job) -> str:
        child = await other.dispatch(Child())
        return str(errors(child))

    bus.on(Job, parent)
    other.on(Child, hang)
    event = bus.dispatch(Job())
    await turns()
    await other.stop()
    assert "BusStopped" in str(await event.event_result())


# --- inside a handler ----------------------------------------------------------------------------------------------


async def test_R21_stop_inside_a_handler_does_not_wait_for_it() -> None:
    """A handler may stop its own bus: the call returns, what is queued is cut off, and the event settles."""
    bus = make()
    steps: list[str] = []

    async def closer(event: Job) -> str:
        steps.append("before")
        await bus.stop()
        steps.append("after")
        return "closed"

    bus.on(Job, closer)
    first, second = bus.dispatch(Job()), bus.dispatch(Probe())
    async with asyncio.timeout(5):
        await first
        await second
    assert steps == ["before", "after"]
    with pytest.raises(BusStopped):
        await second.event_result()
    await turns()
    assert await works(bus)


@pytest.mark.parametrize("arguments", [{"timeout": 3}, {"clear": True}, {"timeout": 3, "clear": True}])
async def test_R21_every_kind_of_stop_inside_a_handler_returns(arguments: dict[str, Any]) -> None:
    """Neither a gentle nor a final stop inside a handler deadlocks."""
    bus = make()
    steps: list[str] = []

    async def closer(event: Job) -> str:
        await bus.stop(**arguments)
        steps.append("after")
        return "closed"

    bus.on(Job, closer)
    event = bus.dispatch(Job())
    async with asyncio.timeout(10):
        await event
    assert steps == ["after"]
    await turns()


async def test_R21_stop_inside_a_child_of_the_same_bus() -> None:
    """A handler that awaits a child whose handler stops the bus is settled like everything else."""
    bus = make()

    async def parent(event: Job) -> str:
        await bus.dispatch(Child())
        return "parent"

    async def closer(event: Child) -> str:
        await bus.stop()
        return "closed"

    bus.on(Job, parent)
    bus.on(Child, closer)
    event = bus.dispatch(Job())
    async with asyncio.timeout(5):
        await event
    await turns()
    assert {child.event_status for child in event.event_children} == {"completed"}
    assert await works(bus)


# --- forwards and children -----------------------------------------------------------------------------------------


async def test_R21_of_a_forwarded_event_only_this_share_is_cut_off() -> None:
    """Stopping the source leaves the target's handlers of the same event running, and the event waits for them."""
    source, target = make(), make()
    source.on(Job, target.dispatch)
    source.on(Job, hang)
    target.on(Job, takes(2))
    event = source.dispatch(Job())
    await turns()
    await source.stop()
    assert event.event_status == "started"
    await event
    assert sorted(str(record.result) for record in records(event) if record.eventbus_id == target.id) == ["done"]
    assert [type(record.error) for record in records(event) if record.error] == [BusStopped]


async def test_R21_stopping_the_target_cuts_off_the_targets_share() -> None:
    """Stopping the bus that an event was forwarded to leaves the source's results alone."""
    source, target = make(), make()
    source.on("*", target.dispatch)
    source.on(Job, lambda event: "source")
    target.on(Job, hang)
    event = source.dispatch(Job())
    await turns()
    await target.stop()
    await event
    assert "source" in [record.result for record in records(event)]
    assert [record.eventbus_id for record in records(event) if record.error] == [target.id]


async def test_R21_a_queued_forward_is_cut_off_without_a_record() -> None:
    """When the target stops before it began with the event, the event completes and asking for its result raises."""
    source, target = make(), make()
    source.on("*", target.dispatch)
    target.on(Child, hang)
    target.on(Job, lambda event: "target")
    target.dispatch(Child())
    event = source.dispatch(Job())
    await turns()
    await target.stop()
    async with asyncio.timeout(5):
        await event
    with pytest.raises(BusStopped):
        await event.event_result()


# --- for good ------------------------------------------------------------------------------------------------------


async def test_R38_clear_ends_the_bus_for_good() -> None:
    """After `stop(clear=True)` handlers, history and the place in `all_instances` are gone, and dispatch raises."""
    bus = make(name="ended")
    event = await bus.dispatch(Probe())
    await bus.stop(clear=True)
    assert bus not in EventBus.all_instances
    assert len(bus.event_history) == 0
    assert not bus.handlers
    refused = Probe()
    with pytest.raises(BusClosed):
        bus.dispatch(refused)
    assert refused.event_path == []
    assert await event.event_result() == "probe"
    await bus.stop()
    await bus.stop(clear=True)


async def test_R38_clear_frees_the_name() -> None:
    """A new bus may take the name of one that has ended, or is stopped, without a warning."""
    first = EventBus(name="reused")
    await first.stop(clear=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = EventBus(name="reused")
    assert second.name == "reused"
    await second.stop()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        third = EventBus(name="reused")
    assert third.name == "reused"


async def test_R38_clear_settles_what_was_left() -> None:
    """Ending a bus with running and queued work settles all of it first."""
    bus = make()
    bus.on(Job, hang)
    events: list[BaseEvent[str]] = [bus.dispatch(Job()), bus.dispatch(Probe())]
    await turns()
    await bus.stop(clear=True)
    assert [event.event_status for event in events] == ["completed", "completed"]
    for event in events:
        with pytest.raises(BusStopped):
            await event.event_result()


async def test_R38_clear_lets_go_of_the_handlers() -> None:
    """Objects that only the handlers of an ended bus referred to are freed."""

    class Service:
        def handle(self, event: Job) -> str:
            return "served"

    service = Service()
    bus = make()
    bus.on(Job, service.handle)
    await bus.dispatch(Job())
    gone = weakref.ref(service)
    del service
    assert gone() is not None
    await bus.stop(clear=True)
    assert gone() is None


# --- the loop ends -------------------------------------------------------------------------------------------------


def test_R2_the_end_of_asyncio_run_is_a_stop() -> None:
    """Work that is unfinished when `asyncio.run` ends settles as BusStopped, and cleanup blocks have run."""
    bus = make()
    seen: list[str] = []

    async def tidy(event: Job) -> str:
        try:
            await forever()
        finally:
            seen.append("cleaned")
        return "never"

    bus.on(Job, tidy)
    events: list[BaseEvent[str]] = []

    async def main() -> None:
        events.extend([bus.dispatch(Job()), bus.dispatch(Probe())])
        await turns(5)

    asyncio.run(main())
    assert seen == ["cleaned"]
    assert [event.event_status for event in events] == ["completed", "completed"]
    assert errors(events[0]) == [BusStopped]
    assert asyncio.run(works(bus))


def test_R2_a_dispatch_nobody_waited_for_settles_with_the_loop() -> None:
    """An event dispatched in the last tick of `asyncio.run` is settled, at the latest when the bus is used again."""
    bus = make()
    events: list[Probe] = []

    async def main() -> None:
        events.append(bus.dispatch(Probe()))

    asyncio.run(main())
    assert asyncio.run(works(bus))
    assert events[0].event_status == "completed"


def test_F7_leftovers_of_a_closed_loop_are_settled_at_the_next_use() -> None:
    """Events of a loop that was closed without cancelling its tasks become BusStopped when the bus is used again."""
    bus = make()
    bus.on(Job, hang)
    events: list[BaseEvent[str]] = []

    async def main() -> None:
        events.extend([bus.dispatch(Job()), bus.dispatch(Probe())])
        await turns(5)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    left = asyncio.all_tasks(loop)
    loop.close()
    assert asyncio.run(works(bus))
    assert [event.event_status for event in events] == ["completed", "completed"]
    assert errors(events[0]) == [BusStopped]
    silence(left)


def test_F7_a_family_left_in_a_closed_loop_is_settled_at_the_next_use() -> None:
    """Running parents, running and queued children, on one bus and on two, all become BusStopped."""
    bus, other = make(), make()
    events: list[BaseEvent[str]] = []

    async def parent(event: Job) -> str:
        events.extend([bus.dispatch(Child()), other.dispatch(Child()), bus.dispatch(Probe())])
        await asyncio.gather(events[1], events[2])
        return "never"

    async def main() -> None:
        events.append(bus.dispatch(Job()))
        await turns(5)

    bus.on(Job, parent)
    for each in (bus, other):
        each.on(Child, hang)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    left = asyncio.all_tasks(loop)
    loop.close()
    assert asyncio.run(works(bus))
    assert asyncio.run(works(other))
    assert [event.event_status for event in events] == ["completed"] * 4
    assert [errors(event) for event in events] == [[BusStopped]] * 4
    silence(left)


def test_F7_the_tasks_of_a_closed_loop_can_be_collected() -> None:
    """Freeing a bus's suspended tasks after their loop was closed raises nothing, with more events in the queue."""
    bus = make()

    async def parent(event: Job) -> str:
        await bus.dispatch(Child())
        return "never"

    async def main() -> None:
        for event in (Job(), Probe(), Probe()):
            bus.dispatch(event)
        await turns(5)

    bus.on(Job, parent)
    bus.on(Child, hang)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    silence(asyncio.all_tasks(loop))
    loop.close()
    del loop
    gc.collect()  # pytest makes an error of whatever a coroutine raises while it is closed
    assert asyncio.run(works(bus))


def test_F7_an_event_of_a_closed_loop_can_be_asked_for_its_result() -> None:
    """After the next use of the bus, awaiting a leftover returns at once, in the new loop."""
    bus = make()
    bus.on(Job, hang)
    bus.on(Job, lambda event: "not begun")
    events: list[Job] = []

    async def leave() -> None:
        events.append(bus.dispatch(Job()))
        await turns(5)

    async def ask() -> None:
        assert await works(bus)
        assert await events[0] is events[0]
        assert errors(events[0]) == [BusStopped, BusStopped]

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave())
    left = asyncio.all_tasks(loop)
    loop.close()
    asyncio.run(ask())
    silence(left)


async def test_R21_a_patient_stop_inside_a_handler_runs_what_is_queued_behind_it() -> None:
    """With no limit of time, too: the queue does not wait for the handler that waits for it."""
    bus, done = EventBus(), list[str]()

    async def stopper(event: Job) -> str:
        bus.dispatch(Child())
        await bus.stop(timeout=math.inf)
        done.append("stopped")
        return "stopped"

    bus.on(Job, stopper)
    bus.on(Child, lambda event: done.append("child"))
    assert await bus.dispatch(Job()).event_result() == "stopped"
    assert done == ["child", "stopped"]


@pytest.mark.parametrize("waits", ["await", "process_event", "stop"])
async def test_R21_a_patient_stop_cuts_off_what_waits_for_the_handler_that_calls_it(waits: str) -> None:
    """Two buses whose handlers wait for each other, of which one stops the other: it would never finish."""
    first, second = EventBus(), EventBus()

    async def waiter(event: Job) -> str:
        child = Child()
        if waits == "process_event":
            await second.process_event(child)
        elif waits == "await":
            await second.dispatch(child)
        else:
            _ = second.dispatch(child)
            await second.stop(timeout=math.inf)
        return "never"

    async def stopper(event: Child) -> str:
        await first.stop(timeout=math.inf)
        return "stopped"

    first.on(Job, waiter)
    second.on(Child, stopper)
    event = Job(event_timeout=None)
    _ = await first.dispatch(event)
    assert errors(event) == [BusStopped]
    (child,) = event.event_children
    assert (await child).event_status == "completed"
    assert records(child)[0].result == "stopped"


async def test_a_stop_that_is_cancelled_stops_nothing() -> None:
    """While it waits it has cut off nothing: the bus goes on, is not called stopped, and keeps its name."""
    bus = EventBus()
    gate = asyncio.Event()

    async def wait(event: Job) -> str:
        await gate.wait()
        return "done"

    bus.on(Job, wait)
    event = bus.dispatch(Job())
    stopping = asyncio.ensure_future(bus.stop(timeout=math.inf))
    await turns()
    stopping.cancel()
    await turns()

    assert (bus.stopped, event.event_status) == (False, "started")
    gate.set()
    assert await event.event_result() == "done"
    assert await bus.dispatch(Job()).event_result() == "done"


async def test_clear_must_be_true_or_false() -> None:
    """A text would be true: the bus would end for good."""
    bus = EventBus()
    wrong: Any = "no"

    with pytest.raises(BubusError, match="clear='no' must be True or False"):
        await bus.stop(clear=wrong)
    await bus.dispatch(Job())


def test_a_loop_that_ends_with_work_in_hand_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever forgot to await would not know otherwise: one line at INFO counts what was cut off."""
    caplog.set_level(logging.INFO, "bubus")
    events: list[Job] = []

    async def wait(event: Job) -> str:
        await asyncio.Event().wait()
        return "never"

    async def main() -> None:
        bus = EventBus(name="Forgetful")
        bus.on(Job, wait)
        events.extend(bus.dispatch(Job()) for _ in range(3))
        await turns()

    asyncio.run(main())

    assert {event.event_status for event in events} == {"completed"}
    [line] = [record.getMessage() for record in caplog.records if "await them" in record.getMessage()]
    assert line.startswith("bus Forgetful: the event loop ended, or cancelled its tasks, with 3 events not done")
