"""`EventBus.dispatch`: what it accepts, what it refuses, and that a refusal leaves no trace."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import (
    AlreadyDispatchedError,
    BubusError,
    BusClosed,
    BusStopped,
    BusStopping,
    CapacityError,
    HandlerCancelled,
    NoLoopError,
    NotAnEventError,
    NotDispatchedError,
)


class Job(BaseEvent[str]):
    n: int = 0


class Parent(BaseEvent):
    pass


class Outer(BaseEvent):
    inner: Job


def kind(thing: object) -> str:
    """Name a parameter, the same way in every run."""
    return type(thing).__name__


def trace(bus: EventBus, *events: BaseEvent[Any]) -> list[object]:
    """Return all that a dispatch changes, to compare before and after a refused one."""
    seen: list[object] = [bus.statistics(), list(bus.event_history), list(bus.events_pending)]
    for event in events:
        seen += [event.event_status, list(event.event_path), event.event_parent_id, dict(event.event_results)]
        seen += [list(event.event_children)]
    return seen


async def test_dispatch_returns_the_same_event_still_pending() -> None:
    """Dispatch is synchronous: it returns its argument, and no handler has run yet."""
    bus = EventBus()
    seen: list[int] = []
    bus.on(Job, lambda event: seen.append(event.n))
    job = Job(n=1)

    assert bus.dispatch(job) is job
    assert (job.event_status, job.event_path, seen) == ("pending", [bus.name], [])
    assert bus.events_pending == [job]

    assert await job is job
    assert (job.event_status, seen) == ("completed", [1])


async def test_statistics_count_each_event_once() -> None:
    """Accepted is the sum of pending, started and completed, at every step."""
    bus = EventBus()
    gate, inside = asyncio.Event(), asyncio.Event()

    async def wait(event: Job) -> None:
        inside.set()
        await gate.wait()

    bus.on(Job, wait)
    first, second = bus.dispatch(Job()), bus.dispatch(Job())
    counts = bus.statistics()
    assert (counts.accepted, counts.pending, counts.started, counts.completed) == (2, 2, 0, 0)

    await inside.wait()
    counts = bus.statistics()
    assert (counts.accepted, counts.pending, counts.started, counts.completed) == (2, 1, 1, 0)
    assert (bus.events_pending, bus.events_started, bus.events_completed) == ([second], [first], [])

    gate.set()
    await bus.wait_until_idle()
    counts = bus.statistics()
    assert (counts.accepted, counts.pending, counts.started, counts.completed) == (2, 0, 0, 2)
    assert (counts.failed, counts.cancelled, counts.unhandled) == (0, 0, 0)
    assert bus.events_completed == [first, second]


async def test_statistics_are_a_frozen_snapshot() -> None:
    """The record of counters neither changes later nor can be changed."""
    bus = EventBus()
    before = bus.statistics()
    await bus.dispatch(Job())

    assert before.accepted == 0
    with pytest.raises(AttributeError):
        before.accepted = 7  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue] - the point of the test


async def test_R46_unheard_event_completes_and_is_counted() -> None:
    """An event nobody listens to completes at once, has no results and counts as unhandled."""
    bus = EventBus()
    job = await bus.dispatch(Job())

    assert (job.event_status, job.event_results) == ("completed", {})
    assert bus.statistics().unhandled == 1


async def test_R46_unheard_event_is_told_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    """Each event without a handler has one line at DEBUG; one that is handled, or a higher level, has none."""
    bus = EventBus("desk")
    bus.on(Parent, lambda event: None)
    caplog.set_level(logging.INFO, logger="bubus")
    await bus.dispatch(Job())
    assert caplog.records == []

    caplog.set_level(logging.DEBUG, logger="bubus")
    job = await bus.dispatch(Job())
    await bus.dispatch(Parent())
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", f"no handler is registered for Job#{job.event_id[-4:]} on bus desk")
    ]


async def test_R46_failed_event_is_counted() -> None:
    """An event with a failed handler counts as failed, also when another handler succeeded."""
    bus = EventBus()

    def fail(event: Job) -> None:
        raise ValueError("broken")

    bus.on(Job, fail)
    bus.on(Job, lambda event: "fine")
    await bus.dispatch(Job())

    counts = bus.statistics()
    assert (counts.completed, counts.failed, counts.unhandled) == (1, 1, 0)


def test_R61_dispatch_without_a_loop_is_refused() -> None:
    """Without a running loop dispatch raises, and the event can be dispatched later."""
    bus = EventBus()
    job = Job()
    before = trace(bus, job)
    with pytest.raises(NoLoopError, match=r"async|loop") as caught:
        bus.dispatch(job)

    assert isinstance(caught.value, RuntimeError)
    assert trace(bus, job) == before

    async def later() -> None:
        await bus.dispatch(job)

    asyncio.run(later())
    assert job.event_status == "completed"


@pytest.mark.parametrize("thing", [None, "Job", 7, Job, object(), {"event_type": "Job"}], ids=kind)
async def test_dispatch_of_a_non_event_is_refused(thing: Any) -> None:
    """Only an instance of an event class can be dispatched; the error says so."""
    bus = EventBus()
    before = trace(bus)
    with pytest.raises(NotAnEventError, match=r"(?i)instance|event object|BaseEvent") as caught:
        bus.dispatch(thing)

    assert isinstance(caught.value, TypeError)
    assert trace(bus) == before


class Unmade(BaseEvent[str]):
    """An event class with a constructor that leaves out that of its base."""

    number: int

    def __init__(self, number: int) -> None:  # pyright: ignore[reportMissingSuperCall] - the point of it
        self.number = number


async def test_an_event_whose_constructor_was_never_called_is_refused() -> None:
    """The error says what is missing; the event can be shown, and awaiting it is refused."""
    bus = EventBus()
    unmade = Unmade(3)

    with pytest.raises(NotAnEventError, match=r"Unmade.*super\(\).__init__\(\)"):
        bus.dispatch(unmade)
    with pytest.raises(NotDispatchedError, match="Unmade"):
        await unmade
    assert (repr(unmade), str(unmade)) == ("Unmade#?(number=3)", "Unmade#?(number=3)")
    assert bus.statistics().accepted == 0


async def test_R49_second_dispatch_on_the_same_bus_is_refused() -> None:
    """The same event twice on one bus raises, whether it is queued or complete."""
    bus = EventBus()
    seen: list[str] = []
    bus.on(Job, lambda event: seen.append(event.event_id))
    job = bus.dispatch(Job())
    before = trace(bus, job)
    with pytest.raises(AlreadyDispatchedError, match=r"(?i)new|copy|another") as caught:
        bus.dispatch(job)
    assert isinstance(caught.value, RuntimeError)
    assert trace(bus, job) == before

    await job
    before = trace(bus, job)
    with pytest.raises(AlreadyDispatchedError):
        bus.dispatch(job)
    assert trace(bus, job) == before
    assert seen == [job.event_id]


async def test_dispatch_on_a_second_bus_is_accepted() -> None:
    """One event may be dispatched on several buses, each of which runs its handlers once."""
    first, second = EventBus(), EventBus()
    seen: list[str] = []
    first.on(Job, lambda event: seen.append("first"))
    second.on(Job, lambda event: seen.append("second"))
    job = Job()
    first.dispatch(job)
    await second.dispatch(job)

    assert sorted(seen) == ["first", "second"]
    assert job.event_path == [first.name, second.name]


async def test_dispatch_inside_a_handler_of_the_same_event_does_nothing() -> None:
    """A handler that dispatches the event it handles on the same bus gets it back, and nothing runs twice."""
    bus = EventBus()
    seen: list[bool] = []

    def again(event: Job) -> None:
        seen.append(bus.dispatch(event) is event)

    bus.on(Job, again)
    job = await bus.dispatch(Job())

    assert (seen, job.event_path, job.event_children) == ([True], [bus.name], [])
    assert bus.statistics().accepted == 1


async def test_dispatch_inside_a_handler_of_another_event_is_refused() -> None:
    """Only handlers of the same event may repeat its dispatch; a refused one leaves no child (R6)."""
    bus = EventBus()
    old = await bus.dispatch(Job())

    def repeat(event: Parent) -> None:
        bus.dispatch(old)

    bus.on(Parent, repeat)
    parent = await bus.dispatch(Parent())

    [result] = parent.event_results.values()
    assert isinstance(result.error, AlreadyDispatchedError)
    assert (parent.event_children, result.event_children, old.event_parent_id) == ([], [], None)


async def test_R49_awaiting_an_undispatched_event_raises() -> None:
    """Nobody would complete it, so the await raises, and the event can still be dispatched."""
    bus = EventBus()
    job = Job()
    before = trace(bus, job)
    with pytest.raises(NotDispatchedError, match="dispatch") as caught:
        await job
    assert isinstance(caught.value, RuntimeError)
    assert trace(bus, job) == before

    with pytest.raises(NotDispatchedError):
        await job.event_result()

    await bus.dispatch(job)
    assert job.event_status == "completed"


async def test_R49_event_as_a_field_keeps_its_identity() -> None:
    """An event inside an event is the same object for whoever handles the outer one."""
    bus = EventBus()
    inner = Job(n=3)
    seen: list[bool] = []
    bus.on(Outer, lambda event: seen.append(event.inner is inner))
    await bus.dispatch(Outer(inner=inner))

    assert seen == [True]


async def test_R5_limit_is_100_by_default_and_each_event_counts_once() -> None:
    """Exactly 100 events can be pending; the next is refused without a trace, until there is room again."""
    bus = EventBus()
    for n in range(100):
        bus.dispatch(Job(n=n))
    job = Job()
    before = trace(bus, job)
    with pytest.raises(CapacityError, match=r"100.*max_pending|max_pending.*100") as caught:
        bus.dispatch(job)
    assert isinstance(caught.value, RuntimeError)
    assert trace(bus, job) == before

    await bus.wait_until_idle()
    await bus.dispatch(job)
    assert bus.statistics().completed == 101


@pytest.mark.parametrize("limit", [1, 3, 150])
async def test_R5_max_pending_bounds_what_is_queued_and_not_started(limit: int) -> None:
    """The event that runs does not count against the limit."""
    bus = EventBus(max_pending=limit)
    gate, inside = asyncio.Event(), asyncio.Event()

    async def wait(event: Job) -> None:
        inside.set()
        await gate.wait()

    bus.on(Job, wait)
    bus.dispatch(Job())
    await inside.wait()
    for _ in range(limit):
        bus.dispatch(Job())
    with pytest.raises(CapacityError):
        bus.dispatch(Job())
    assert bus.statistics().pending == limit

    gate.set()
    await bus.wait_until_idle()
    assert bus.statistics().completed == limit + 1


@pytest.mark.parametrize("bus_options", [{"max_pending": None}, {"max_history_size": None}], ids=repr)
async def test_R5_the_limit_can_be_off(bus_options: dict[str, Any]) -> None:
    """No limit with ``max_pending=None``, nor by default when the history has none."""
    bus = EventBus(**bus_options)
    for _ in range(1_000):
        bus.dispatch(Job())
    await bus.wait_until_idle()

    assert bus.statistics().completed == 1_000


async def test_R5_an_unlimited_history_can_have_a_limit_of_pending_events() -> None:
    """An explicit ``max_pending`` counts, whatever the history's size."""
    bus = EventBus(max_history_size=None, max_pending=2)
    bus.dispatch(Job())
    bus.dispatch(Job())
    with pytest.raises(CapacityError):
        bus.dispatch(Job())
    await bus.wait_until_idle()


async def test_R6_a_handler_may_fan_out_without_limit() -> None:
    """Whatever a running handler dispatches is accepted: 10,000 children with room for 3."""
    bus = EventBus(max_pending=3)
    done: list[int] = []
    bus.on(Job, lambda event: done.append(event.n))

    async def fan_out(event: Parent) -> None:
        for n in range(10_000):
            bus.dispatch(Job(n=n))

    bus.on(Parent, fan_out)
    parent = await bus.dispatch(Parent())

    assert done == list(range(10_000))
    assert parent.event_status == "completed"
    assert len(parent.event_children) == 10_000
    assert bus.statistics().completed == 10_001


async def test_dispatch_while_stopping_is_refused() -> None:
    """While `stop` lets events finish, new ones are refused; afterwards the bus works again."""
    bus = EventBus()
    gate, inside = asyncio.Event(), asyncio.Event()

    async def wait(event: Job) -> None:
        inside.set()
        await gate.wait()

    bus.on(Job, wait)
    first = bus.dispatch(Job())
    await inside.wait()
    stopping = asyncio.create_task(bus.stop(timeout=60))
    await asyncio.sleep(0)
    job = Job()
    before = trace(bus, job)
    with pytest.raises(BusStopping, match=r"(?i)after|wait|until") as caught:
        bus.dispatch(job)
    assert isinstance(caught.value, RuntimeError)
    assert trace(bus, job) == before

    gate.set()
    await stopping
    assert first.event_status == "completed"
    await bus.dispatch(job)
    assert job.event_status == "completed"


async def test_dispatch_after_the_end_of_the_bus_is_refused() -> None:
    """A bus ended by ``stop(clear=True)`` accepts nothing more."""
    bus = EventBus()
    await bus.dispatch(Job())
    await bus.stop(clear=True)
    job = Job()
    before = trace(bus, job)
    with pytest.raises(BusClosed, match=r"(?i)new|EventBus\(|without clear") as caught:
        bus.dispatch(job)

    assert isinstance(caught.value, RuntimeError)
    assert trace(bus, job) == before


async def test_a_stopped_bus_can_be_used_again() -> None:
    """The next dispatch starts a stopped bus, with its handlers."""
    bus = EventBus()
    seen: list[int] = []
    bus.on(Job, lambda event: seen.append(event.n))
    await bus.dispatch(Job(n=1))
    await bus.stop()
    await bus.dispatch(Job(n=2))

    assert seen == [1, 2]


async def test_stop_settles_what_is_queued_and_running() -> None:
    """After an immediate stop every awaiter wakes up, and the results say why there is no value."""
    bus = EventBus()
    inside = asyncio.Event()

    async def for_ever(event: Job) -> str:
        inside.set()
        await asyncio.get_running_loop().create_future()
        return "never"

    bus.on(Job, for_ever)
    running, queued = bus.dispatch(Job()), bus.dispatch(Job())
    waiters = [asyncio.create_task(_wait_for(job)) for job in (running, queued)]
    await inside.wait()
    await bus.stop()

    assert await asyncio.gather(*waiters) == [running, queued]
    for job in (running, queued):
        with pytest.raises(BusStopped):
            await job.event_result()


async def _wait_for(job: Job) -> Job:
    return await job


async def test_R3_cancelled_error_of_a_handler_is_its_own_error() -> None:
    """A handler that awaits a cancelled future fails alone: its event settles and the next one runs."""
    bus = EventBus()

    async def awaits_cancelled(event: Job) -> str:
        future = asyncio.get_running_loop().create_future()
        future.cancel("by hand")
        await future
        return "never"

    bus.on(Job, awaits_cancelled)
    bus.on(Job, lambda event: "sibling")
    first, second = bus.dispatch(Job()), bus.dispatch(Job())
    await bus.wait_until_idle()

    for job in (first, second):
        failed, fine = job.event_results.values()
        assert isinstance(failed.error, HandlerCancelled)
        assert isinstance(failed.error, BubusError)
        assert isinstance(failed.error.__cause__, asyncio.CancelledError)
        assert fine.result == "sibling"


async def test_R3_cancelled_error_of_a_sync_handler_is_its_own_error() -> None:
    """Also a plain function cannot end the run loop by raising CancelledError."""
    bus = EventBus()

    def cancel(event: Job) -> str:
        raise asyncio.CancelledError

    bus.on(Job, cancel)
    bus.on(Job, lambda event: "sibling")
    job = await bus.dispatch(Job())

    failed, fine = job.event_results.values()
    assert isinstance(failed.error, HandlerCancelled)
    assert fine.result == "sibling"
    assert asyncio.current_task() is not None


async def test_R3_handler_that_cancels_its_own_task_fails_alone() -> None:
    """A handler that cancels the task it runs in is settled, and the bus goes on."""
    bus = EventBus()

    async def cancel_itself(event: Job) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return "never"

    bus.on(Job, cancel_itself)
    first = await bus.dispatch(Job())
    second = await bus.dispatch(Job())

    for job in (first, second):
        [result] = job.event_results.values()
        assert isinstance(result.error, HandlerCancelled)


async def test_handlers_may_dispatch_on_a_bus_at_its_limit() -> None:
    """A forward or child from inside a handler is accepted by a bus that is full."""
    full, other = EventBus(max_pending=1), EventBus()
    full.dispatch(Job(n=1))
    with pytest.raises(CapacityError):
        full.dispatch(Job(n=2))

    async def cross(event: Parent) -> None:
        await full.dispatch(Job(n=3))

    other.on(Parent, cross)
    parent = await other.dispatch(Parent())

    [result] = parent.event_results.values()
    assert result.status == "completed"
    await full.wait_until_idle()
    assert full.statistics().completed == 2


async def test_async_with_drains_on_exit() -> None:
    """Leaving ``async with EventBus() as bus`` waits for what is queued."""
    done: list[int] = []
    async with EventBus() as bus:
        bus.on(Job, lambda event: done.append(event.n))
        for n in range(5):
            bus.dispatch(Job(n=n))
        assert done == []

    assert done == [0, 1, 2, 3, 4]


async def test_times_follow_the_clock_on_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system's clock was set, or the machine slept, the next event knows the new time at once."""
    bus, moved = EventBus(), 0.0
    bus.on("Job", lambda event: "done")
    bus.dispatch(BaseEvent[Any](event_type="Job"))
    await asyncio.sleep(0)  # the bus takes its turn, and knows the time
    await asyncio.sleep(0)
    moved = 3600.0
    monkeypatch.setattr("bubus._scheduler.time", lambda: time.time() + moved)
    event = await bus.dispatch(BaseEvent[Any](event_type="Job"))

    assert event.event_started_at is not None
    assert event.event_started_at.timestamp() - time.time() > moved / 2
