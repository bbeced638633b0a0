"""Timeouts (design.md 4.8): whose clock runs when, whom it stops, and what becomes of the children."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import EventCancelled, HandlerTimeout, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.virtual_time


class Job(BaseEvent[str]):
    label: str = ""


class Step(BaseEvent[str]):
    label: str = ""


class Detail(BaseEvent[str]):
    pass


class Hasty(BaseEvent[str]):
    event_timeout: float | None = 0.5


def now() -> float:
    return asyncio.get_running_loop().time()


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def errors(event: BaseEvent[Any]) -> list[BaseException | None]:
    return [record.error for record in event.event_results.values()]


def values(event: BaseEvent[Any]) -> list[object]:
    return [record.result for record in event.event_results.values()]


def takes(seconds: float, answer: str = "done") -> Callable[[BaseEvent[Any]], Any]:
    async def handler(event: BaseEvent[Any]) -> str:
        await asyncio.sleep(seconds)
        return answer

    return handler


# --- the handler's clock -------------------------------------------------------------------------------------------


async def test_R24_time_in_the_queue_does_not_count() -> None:
    """An event that waited longer than its timeout still gets its full time once its handler starts."""
    bus = EventBus()
    bus.on(Job, takes(3))
    bus.on(Step, takes(0.5))
    first = bus.dispatch(Job(event_timeout=10))
    second = bus.dispatch(Step(event_timeout=1))
    assert await second.event_result() == "done"
    assert await first.event_result() == "done"


async def test_R24_each_handler_has_its_own_clock() -> None:
    """Three handlers in a row may together take longer than the event's timeout."""
    bus = EventBus()
    for number in range(3):
        bus.on(Job, takes(0.6, f"h{number}"))
    event = await bus.dispatch(Job(event_timeout=1))
    assert values(event) == ["h0", "h1", "h2"]
    assert errors(event) == [None, None, None]


@pytest.mark.parametrize("parallel", [False, True])
async def test_R24_a_timeout_stops_one_handler_only(*, parallel: bool) -> None:
    """The handler that takes too long becomes an error; those before and after it run to their end."""
    bus = EventBus(parallel_handlers=parallel)
    bus.on(Job, takes(0.1, "before"))
    bus.on(Job, takes(9))
    bus.on(Job, takes(0.1, "after"))
    event = await bus.dispatch(Job(event_timeout=1))
    before, late, after = event.event_results.values()
    assert (before.result, after.result) == ("before", "after")
    assert (before.status, late.status, after.status) == ("completed", "error", "completed")
    assert isinstance(late.error, HandlerTimeout)
    assert isinstance(late.error, TimeoutError)
    assert late.result is None


async def test_F3_the_handler_is_stopped_at_its_deadline() -> None:
    """The handler's own cleanup runs at the moment the timeout expires, counted from the handler's start."""
    bus = EventBus()
    spans: list[float] = []

    async def hang(event: Job) -> str:
        start = now()
        try:
            await forever()
        finally:
            spans.append(now() - start)
        return "never"

    bus.on(Job, hang)
    await bus.dispatch(Job(event_timeout=2.5))
    (span,) = spans
    assert abs(span - 2.5) < 0.05


async def test_R24_event_result_raises_the_timeout() -> None:
    """`event_result()` raises the HandlerTimeout itself, with a text that names handler and limit."""
    bus = EventBus()

    async def dawdle(event: Job) -> str:
        await forever()
        return "never"

    bus.on(Job, dawdle)
    event = bus.dispatch(Job(event_timeout=0.25))
    with pytest.raises(HandlerTimeout, match="dawdle") as caught:
        await event.event_result()
    assert "0.25" in str(caught.value)
    assert errors(event) == [caught.value]


async def test_R24_the_bus_goes_on_after_a_timeout() -> None:
    """Events queued behind one that times out run as usual."""
    bus = EventBus()
    bus.on(Job, takes(9))
    bus.on(Step, takes(0))
    bus.dispatch(Job(event_timeout=1))
    assert await bus.dispatch(Step()).event_result() == "done"
    await bus.wait_until_idle(5)


@pytest.mark.parametrize("limit", [None, 0, 0.0])
async def test_R24_none_and_zero_mean_no_limit(limit: float | None) -> None:
    """With `event_timeout` None or 0 a handler may take a day."""
    bus = EventBus(slow_handler_seconds=0)
    bus.on(Job, takes(86_400))
    assert await bus.dispatch(Job(event_timeout=limit)).event_result() == "done"


async def test_R24_sixty_seconds_unless_said_otherwise() -> None:
    """Without a timeout of its own a handler gets 60 s: 59 are fine, 61 are not."""
    bus = EventBus(slow_handler_seconds=0)
    bus.on(Job, takes(59))
    bus.on(Job, takes(61))
    event = await bus.dispatch(Job())
    good, bad = errors(event)
    assert good is None
    assert isinstance(bad, HandlerTimeout)


async def test_R24_a_class_may_set_its_own_default() -> None:
    """A redeclared `event_timeout` is the limit of that class, and the record says so."""
    bus = EventBus()
    bus.on(Hasty, takes(0.9))
    event = await bus.dispatch(Hasty())
    (record,) = event.event_results.values()
    assert isinstance(record.error, HandlerTimeout)
    assert record.timeout == 0.5


def test_R24_a_negative_timeout_is_refused() -> None:
    """A negative limit is a ValidationError (a ValueError) where the event is made."""
    with pytest.raises(ValueError, match="event_timeout"):
        Job(event_timeout=-1)


async def test_R24_a_handler_that_ends_in_time_leaves_no_timer() -> None:
    """After the last handler nothing is armed: an idle bus never wakes the loop."""
    bus = EventBus()
    bus.on(Job, takes(0.5))
    await bus.dispatch(Job(event_timeout=1_000))
    await turns()
    armed: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled")  # noqa: B009 - private to asyncio
    assert [handle for handle in armed if not handle.cancelled()] == []


async def test_R24_the_handlers_own_timeouts_stay_its_own() -> None:
    """A TimeoutError of `asyncio.timeout` inside the handler is that handler's plain error, long before its limit."""
    bus = EventBus()

    async def impatient(event: Job) -> str:
        async with asyncio.timeout(0.1):
            await forever()
        return "never"

    bus.on(Job, impatient)
    start = now()
    event = await bus.dispatch(Job(event_timeout=10))
    (error,) = errors(event)
    assert type(error) is TimeoutError
    assert now() - start < 5


async def test_R24_a_handler_may_catch_its_own_timeout() -> None:
    """A handler that gives up on something itself is no failure."""
    bus = EventBus()

    async def careful(event: Job) -> str:
        try:
            async with asyncio.timeout(0.1):
                await forever()
        except TimeoutError:
            return "gave up"
        return "never"

    bus.on(Job, careful)
    assert await bus.dispatch(Job(event_timeout=1)).event_result() == "gave up"


async def test_R24_timeout_shorter_than_one_turn_still_settles() -> None:
    """A limit of a nanosecond stops a handler that suspends and spares one that does not."""
    bus = EventBus()
    bus.on(Job, lambda event: "at once")
    bus.on(Job, takes(1))
    event = await bus.dispatch(Job(event_timeout=1e-9))
    _, slow = errors(event)
    assert isinstance(slow, HandlerTimeout)


# --- sync handlers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parallel", [False, True])
def test_R25_a_sync_overrun_is_a_timeout_result(*, parallel: bool) -> None:
    """A sync handler that blocks past its limit ends as a TimeoutError result, and the next handler runs."""
    bus = EventBus(parallel_handlers=parallel)

    def block(event: Job) -> str:
        time.sleep(0.05)
        return "too late"

    async def main() -> Job:
        bus.on(Job, block)
        bus.on(Job, lambda event: "fine")
        return await bus.dispatch(Job(event_timeout=0.01))

    event = asyncio.run(main())
    late, fine = event.event_results.values()
    assert isinstance(late.error, TimeoutError)
    assert (late.status, late.result) == ("error", None)
    assert (fine.status, fine.result) == ("completed", "fine")


def test_R25_a_sync_handler_in_time_keeps_its_result() -> None:
    """A quick sync handler is not touched by a timeout."""
    bus = EventBus()
    bus.on(Job, lambda event: "quick")

    async def main() -> str | None:
        return await bus.dispatch(Job(event_timeout=30)).event_result()

    assert asyncio.run(main()) == "quick"


# --- children ------------------------------------------------------------------------------------------------------


async def test_R19_the_clock_covers_waiting_for_a_child() -> None:
    """A handler that waits too long for its child times out; the child is cancelled and settled."""
    bus = EventBus()
    children: list[Step] = []

    async def parent(event: Job) -> str:
        children.append(bus.dispatch(Step(event_timeout=None)))
        await children[0]
        return "never"

    bus.on(Job, parent)
    bus.on(Step, takes(100))
    event = await bus.dispatch(Job(event_timeout=1))
    (error,) = errors(event)
    (child_error,) = errors(children[0])
    assert isinstance(error, HandlerTimeout)
    assert isinstance(child_error, EventCancelled)
    assert children[0].event_status == "completed"
    assert now() < 90


async def test_R19_queued_children_of_a_timed_out_call_never_run() -> None:
    """Children still in the queue settle as cancelled, without one of their handlers running."""
    bus = EventBus()
    ran: list[str] = []
    children: list[Step] = []

    def note(event: Step) -> str:
        ran.append(event.label)
        return event.label

    async def parent(event: Job) -> str:
        children.extend(bus.dispatch(Step(label=str(number))) for number in range(3))
        await forever()
        return "never"

    bus.on(Job, parent)
    bus.on(Step, note)
    event = await bus.dispatch(Job(event_timeout=1))
    assert event.event_status == "completed"
    assert [child.event_status for child in children] == ["completed"] * 3
    assert ran == []
    for child in children:
        with pytest.raises(EventCancelled):
            await child.event_result()


async def test_R19_running_children_on_another_bus_are_cancelled() -> None:
    """A child running on another bus is stopped there; its cleanup runs, and unrelated work there goes on."""
    bus, other = EventBus(), EventBus()
    seen: list[str] = []
    children: list[Step] = []

    async def long(event: Step) -> str:
        try:
            await forever()
        finally:
            seen.append("stopped")
        return "never"

    async def parent(event: Job) -> str:
        children.append(other.dispatch(Step(event_timeout=None)))
        await forever()
        return "never"

    bus.on(Job, parent)
    other.on(Step, long)
    other.on(Detail, takes(0, "unrelated"))
    event = bus.dispatch(Job(event_timeout=1))
    await turns()
    unrelated = other.dispatch(Detail())
    await event
    assert seen == ["stopped"]
    assert isinstance(errors(children[0])[0], EventCancelled)
    assert await unrelated.event_result() == "unrelated"


async def test_R14_unrelated_events_survive_a_timeout() -> None:
    """Events that others queued on the child's bus are neither cancelled nor reordered by the parent's timeout."""
    bus, other = EventBus(), EventBus()
    order: list[str] = []

    async def record(event: Step) -> str:
        await asyncio.sleep(0.4)
        order.append(event.label)
        return event.label

    async def parent(event: Job) -> str:
        await other.dispatch(Step(label="child", event_timeout=None))
        await forever()
        return "never"

    other.on(Step, record)
    bus.on(Job, parent)
    unrelated = [other.dispatch(Step(label=f"u{number}")) for number in range(5)]
    event = bus.dispatch(Job(event_timeout=1))
    await event
    assert [await each.event_result() for each in unrelated] == ["u0", "u1", "u2", "u3", "u4"]
    assert [label for label in order if label != "child"] == ["u0", "u1", "u2", "u3", "u4"]


async def test_R19_grandchildren_are_cancelled_too() -> None:
    """The whole subtree of a timed-out call settles, however deep and on whatever bus."""
    bus, other = EventBus(), EventBus()
    family: list[BaseEvent[str]] = []

    async def parent(event: Job) -> str:
        family.append(bus.dispatch(Step(event_timeout=None)))
        await family[0]
        return "never"

    async def child(event: Step) -> str:
        family.append(other.dispatch(Detail(event_timeout=None)))
        await family[1]
        return "never"

    bus.on(Job, parent)
    bus.on(Step, child)
    other.on(Detail, takes(1_000))
    event = await bus.dispatch(Job(event_timeout=1))
    assert [each.event_status for each in (event, *family)] == ["completed"] * 3
    assert [type(errors(each)[0]) for each in family] == [EventCancelled, EventCancelled]
    await other.wait_until_idle(1)


async def test_R19_a_child_forwarded_to_two_buses_is_cancelled_on_both() -> None:
    """Cancelling a child covers every bus that accepted it."""
    bus, left, right = EventBus(), EventBus(), EventBus()
    children: list[Step] = []

    async def parent(event: Job) -> str:
        children.append(left.dispatch(Step(event_timeout=None)))
        await children[0]
        return "never"

    bus.on(Job, parent)
    left.on("*", right.dispatch)
    left.on(Step, takes(1_000))
    right.on(Step, takes(1_000))
    await bus.dispatch(Job(event_timeout=1))
    assert [type(error) for error in errors(children[0]) if error] == [EventCancelled, EventCancelled]
    await left.wait_until_idle(1)
    await right.wait_until_idle(1)


async def test_R19_completed_children_keep_their_results() -> None:
    """What a child had finished before the timeout stays as it was."""
    bus = EventBus()
    children: list[Step] = []

    async def parent(event: Job) -> str:
        children.append(await bus.dispatch(Step()))
        await forever()
        return "never"

    bus.on(Job, parent)
    bus.on(Step, takes(0.1, "kept"))
    await bus.dispatch(Job(event_timeout=1))
    assert await children[0].event_result() == "kept"


async def test_R19_children_of_the_other_handlers_are_spared() -> None:
    """A timeout takes only the children which that very call dispatched, not those of its siblings."""
    bus, other = EventBus(parallel_handlers=True), EventBus()
    mine: list[Step] = []
    yours: list[Step] = []

    async def late(event: Job) -> str:
        mine.append(other.dispatch(Step(label="mine")))
        await forever()
        return "never"

    async def quick(event: Job) -> str:
        yours.append(other.dispatch(Step(label="yours")))
        return "quick"

    bus.on(Job, late)
    bus.on(Job, quick)
    other.on(Step, takes(3))
    await bus.dispatch(Job(event_timeout=1))
    assert await yours[0].event_result() == "done"
    assert isinstance(errors(mine[0])[0], EventCancelled)


async def test_R19_a_handler_that_fails_otherwise_leaves_its_children_running() -> None:
    """Only a timeout takes the children along: those of a handler that raised run to their end."""
    bus = EventBus()
    children: list[Step] = []

    def parent(event: Job) -> str:
        children.append(bus.dispatch(Step()))
        msg = "after the dispatch"
        raise ValueError(msg)

    bus.on(Job, parent)
    bus.on(Step, takes(0.5, "ran on"))
    event = await bus.dispatch(Job())
    assert isinstance(errors(event)[0], ValueError)
    assert await children[0].event_result() == "ran on"


async def test_R19_children_dispatched_by_the_handlers_tasks_belong_to_it() -> None:
    """An event that a task of the handler dispatched is the call's child, and is cancelled with it."""
    bus = EventBus()
    children: list[Step] = []

    async def helper() -> None:
        children.append(bus.dispatch(Step()))

    async def parent(event: Job) -> str:
        await asyncio.create_task(helper())
        await forever()
        return "never"

    bus.on(Job, parent)
    bus.on(Step, takes(0))
    event = await bus.dispatch(Job(event_timeout=1))
    assert children[0].event_parent_id == event.event_id
    with pytest.raises(EventCancelled):
        await children[0].event_result()


async def test_R19_an_outside_awaiter_of_a_cancelled_child_wakes_up() -> None:
    """Somebody else waiting for the child is released as soon as the parent's timeout cancels it."""
    bus = EventBus()
    born: asyncio.Future[Step] = asyncio.get_running_loop().create_future()

    async def parent(event: Job) -> str:
        born.set_result(bus.dispatch(Step()))
        await forever()
        return "never"

    bus.on(Job, parent)
    bus.on(Step, takes(0))
    event = bus.dispatch(Job(event_timeout=1))
    child = await born
    async with asyncio.timeout(5):
        await child
    assert child.event_status == "completed"
    await event


async def test_R19_a_child_has_its_own_clock_as_well() -> None:
    """A child that times out first is an error of the child; the parent's handler goes on and may ask for it."""
    bus = EventBus()

    async def parent(event: Job) -> str:
        child = await bus.dispatch(Step(event_timeout=0.5))
        return type(errors(child)[0]).__name__

    bus.on(Job, parent)
    bus.on(Step, takes(9))
    assert await bus.dispatch(Job(event_timeout=5)).event_result() == "HandlerTimeout"


async def test_R19_a_forwarded_event_is_not_a_child() -> None:
    """When the forwarding handler times out, the other bus's handlers go on under their own clocks."""
    bus, other = EventBus(), EventBus()

    async def forward_and_hang(event: Job) -> str:
        other.dispatch(event)
        await forever()
        return "never"

    bus.on(Job, forward_and_hang)
    other.on(Job, takes(0.9, "other"))
    other.on(Job, takes(0.9, "again"))
    event = await bus.dispatch(Job(event_timeout=1))
    assert sorted(value for value in values(event) if isinstance(value, str)) == ["again", "other"]
    assert [type(error) for error in errors(event) if error] == [HandlerTimeout]


async def test_R19_many_children_are_all_settled() -> None:
    """A call that dispatched 2,000 children and timed out settles every one of them."""
    bus = EventBus(max_pending=None)
    children: list[Step] = []

    async def parent(event: Job) -> str:
        children.extend(bus.dispatch(Step()) for _ in range(2_000))
        await forever()
        return "never"

    bus.on(Job, parent)
    bus.on(Step, takes(0))
    await bus.dispatch(Job(event_timeout=1))
    assert {child.event_status for child in children} == {"completed"}
    assert bus.statistics().pending == 0


# --- handlers that do not obey -------------------------------------------------------------------------------------


async def test_R26_a_handler_that_swallows_cancellation_is_abandoned(caplog: pytest.LogCaptureFixture) -> None:
    """It ends as a timeout at deadline + grace, the next event runs, its late value is dropped, and it is reported."""
    bus = EventBus(cancel_grace=0.2)
    release = asyncio.Event()
    ended: list[str] = []

    async def stubborn(event: Job) -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        ended.append("late")
        return "late value"

    bus.on(Job, stubborn)
    bus.on(Step, takes(0))
    start = now()
    with caplog.at_level(logging.WARNING, "bubus"):
        event = await bus.dispatch(Job(event_timeout=1))
    assert abs(now() - start - 1.2) < 0.1
    assert isinstance(errors(event)[0], HandlerTimeout)
    assert [record for record in caplog.records if "stubborn" in record.getMessage()] != []
    assert await bus.dispatch(Step()).event_result() == "done"
    release.set()
    await turns()
    assert ended == ["late"]
    assert values(event) == [None]
    assert isinstance(errors(event)[0], HandlerTimeout)


async def test_R26_an_answer_after_the_deadline_is_no_success() -> None:
    """A handler that catches its cancellation and returns within the grace is still a timeout."""
    bus = EventBus()

    async def excuse(event: Job) -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            return "as if nothing had happened"
        return "never"

    bus.on(Job, excuse)
    event = await bus.dispatch(Job(event_timeout=1))
    assert isinstance(errors(event)[0], HandlerTimeout)
    assert values(event) == [None]


async def test_R26_another_error_during_cleanup_is_still_a_timeout(caplog: pytest.LogCaptureFixture) -> None:
    """A handler whose cleanup raises ends as a timeout, and the other error is logged or chained, never swallowed."""
    bus = EventBus()

    async def clumsy(event: Job) -> str:
        try:
            await forever()
        finally:
            msg = "broken cleanup"
            raise LookupError(msg)

    bus.on(Job, clumsy)
    event = await bus.dispatch(Job(event_timeout=1))
    (error,) = errors(event)
    assert isinstance(error, TimeoutError)
    assert isinstance(error.__cause__ or error.__context__, LookupError) or "broken cleanup" in caplog.text


async def test_R26_cleanup_within_the_grace_is_waited_for() -> None:
    """The event completes after the handler's cleanup, if that takes less than `cancel_grace`."""
    bus = EventBus(cancel_grace=2)
    seen: list[str] = []

    async def tidy(event: Job) -> str:
        try:
            await forever()
        finally:
            await asyncio.sleep(1.5)
            seen.append("tidied up")
        return "never"

    bus.on(Job, tidy)
    await bus.dispatch(Job(event_timeout=1))
    assert seen == ["tidied up"]


@pytest.mark.parametrize(("answer", "told"), [("value", "returned a value"), (LookupError("late"), "raised")])
async def test_R26_what_an_abandoned_handler_came_to_names_its_event(
    caplog: pytest.LogCaptureFixture, answer: str | Exception, told: str
) -> None:
    """The event is complete by then, but its type is still in the message."""
    bus = EventBus(cancel_grace=0.2)
    release = asyncio.Event()

    async def stubborn(event: Job) -> str:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    bus.on(Job, stubborn)
    event = await bus.dispatch(Job(event_timeout=1))
    release.set()
    await turns()
    last = caplog.records[-1].getMessage()
    assert last.startswith(f"handler stubborn of Job#{event.event_id[-4:]} on bus {bus.name} {told} after it was")


async def test_R26_stubborn_parallel_handlers_share_one_grace() -> None:
    """Ten handlers that swallow cancellation together cost one grace period, not ten."""
    bus = EventBus(parallel_handlers=True, cancel_grace=0.2)
    release = asyncio.Event()

    def make() -> Callable[[Job], Any]:
        async def stubborn(event: Job) -> str:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return "late"

        return stubborn

    for _ in range(10):
        bus.on(Job, make())
    start = now()
    event = await bus.dispatch(Job(event_timeout=1))
    assert abs(now() - start - 1.2) < 0.1
    assert {type(error) for error in errors(event)} == {HandlerTimeout}
    release.set()
    await turns()


async def test_R26_a_stubborn_child_does_not_hold_up_the_parent() -> None:
    """A timed-out parent settles within the grace although its child refuses to be cancelled."""
    bus, other = EventBus(cancel_grace=0.2), EventBus(cancel_grace=0.2)
    release = asyncio.Event()
    children: list[Step] = []

    async def stubborn(event: Step) -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    async def parent(event: Job) -> str:
        children.append(other.dispatch(Step(event_timeout=None)))
        await children[0]
        return "never"

    bus.on(Job, parent)
    other.on(Step, stubborn)
    start = now()
    await bus.dispatch(Job(event_timeout=1))
    assert now() - start <= 1.6
    assert isinstance(errors(children[0])[0], EventCancelled)
    release.set()
    await turns()


@pytest.mark.parametrize("grace", [-1, float("nan")])
def test_R26_a_senseless_grace_is_refused(grace: float) -> None:
    """`cancel_grace` is a number of seconds, zero or more."""
    with pytest.raises(OptionError, match="cancel_grace"):
        EventBus(cancel_grace=grace)


# --- the waiter's clock --------------------------------------------------------------------------------------------


async def test_R24_the_waiters_clock_never_cancels_the_work() -> None:
    """`event_result(timeout=…)` gives up alone: the handler goes on and its result is there later."""
    bus = EventBus()
    bus.on(Job, takes(2))
    event = bus.dispatch(Job())
    with pytest.raises(TimeoutError):
        await event.event_result(timeout=0.5)
    assert event.event_status == "started"
    assert await event.event_result() == "done"


async def test_R24_giving_up_on_await_never_cancels_the_work() -> None:
    """`asyncio.timeout` around `await event` leaves the event alone."""
    bus = EventBus()
    bus.on(Job, takes(2))
    event = bus.dispatch(Job())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await event
    assert await event.event_result() == "done"


async def test_R24_giving_up_on_a_child_never_cancels_it() -> None:
    """A handler that stops waiting for its child leaves the child running."""
    bus = EventBus()
    children: list[Step] = []

    async def parent(event: Job) -> str:
        children.append(bus.dispatch(Step()))
        try:
            async with asyncio.timeout(0.5):
                await children[0]
        except TimeoutError:
            return "moved on"
        return "waited"

    bus.on(Job, parent)
    bus.on(Step, takes(2))
    assert await bus.dispatch(Job()).event_result() == "moved on"
    assert await children[0].event_result() == "done"


async def test_R24_a_zero_wait_asks_without_waiting() -> None:
    """`event_result(timeout=0)` raises at once while the event is open, and answers once it is complete."""
    bus = EventBus()
    bus.on(Job, takes(2))
    event = bus.dispatch(Job())
    start = now()
    with pytest.raises(TimeoutError):
        await event.event_result(timeout=0)
    assert now() - start < 1
    await event
    assert await event.event_result(timeout=0) == "done"


async def test_R22_wait_until_idle_raises_when_it_gives_up() -> None:
    """`wait_until_idle(timeout)` raises TimeoutError, and the work goes on."""
    bus = EventBus()
    bus.on(Job, takes(2))
    event = bus.dispatch(Job())
    with pytest.raises(TimeoutError):
        await bus.wait_until_idle(timeout=0.5)
    await bus.wait_until_idle(timeout=5)
    assert await event.event_result() == "done"


async def test_R22_wait_until_idle_returns_after_errors_and_timeouts() -> None:
    """The bus becomes idle after any mixture of failed, timed-out and good events."""
    bus = EventBus()

    async def mixed(event: Job) -> str:
        if event.label == "fail":
            raise ValueError(event.label)
        if event.label == "hang":
            await forever()
        return event.label

    bus.on(Job, mixed)
    for label in ["ok", "fail", "hang"] * 5:
        bus.dispatch(Job(label=label, event_timeout=0.5))
    await bus.wait_until_idle(timeout=20)
    counts = bus.statistics()
    assert (counts.accepted, counts.pending, counts.started, counts.completed) == (15, 0, 0, 15)


async def test_R22_an_idle_bus_is_idle_at_once() -> None:
    """`wait_until_idle` of a bus that never ran anything returns, also with a zero timeout."""
    bus = EventBus()
    await bus.wait_until_idle()
    await bus.wait_until_idle(timeout=0)
