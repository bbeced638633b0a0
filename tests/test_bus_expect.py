"""`expect`: waiting for an event that somebody else will dispatch."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import BubusError, BusClosed, OptionError, PatternError, WaitTimeout


class Reply(BaseEvent[str]):
    n: int = 0


class LateReply(Reply):
    pass


class Start(BaseEvent[str]):
    pass


async def wait_for_reply(bus: EventBus) -> Reply:
    return await bus.expect(Reply)


async def test_R40_expect_resolves_at_dispatch() -> None:
    """The waiter gets the event while it is still queued behind others."""
    bus = EventBus()
    gate, inside = asyncio.Event(), asyncio.Event()

    async def hold(event: Start) -> None:
        inside.set()
        await gate.wait()

    bus.on(Start, hold)
    waiter = asyncio.create_task(wait_for_reply(bus))
    bus.dispatch(Start())
    await inside.wait()
    reply = bus.dispatch(Reply())

    assert await waiter is reply
    assert reply.event_status == "pending"
    gate.set()
    await reply


async def test_R40_expect_works_inside_a_handler() -> None:
    """A handler may wait for an event of its own bus that is dispatched meanwhile."""
    bus = EventBus()
    inside = asyncio.Event()

    async def ask(event: Start) -> str:
        inside.set()
        reply = await bus.expect(Reply)
        return f"reply {reply.n}"

    bus.on(Start, ask)
    start = bus.dispatch(Start())
    await inside.wait()
    reply = bus.dispatch(Reply(n=7))
    async with asyncio.timeout(10):
        assert await start.event_result() == "reply 7"
    await reply


async def test_R39_what_comes_between_the_call_and_the_await_is_found() -> None:
    """`expect` registers at the call: an event dispatched before the await is not missed."""
    bus = EventBus()
    waiter = bus.expect(Reply)
    reply = bus.dispatch(Reply())
    bus.dispatch(Reply(n=1))
    await reply

    assert await waiter is reply
    await bus.wait_until_idle()


async def test_R39_a_handler_can_await_the_event_it_causes() -> None:
    """Registered before the dispatch, awaited after it: nothing is missed inside a handler either."""
    bus = EventBus()

    async def ask(event: Start) -> str:
        waiter = bus.expect(Reply)
        child = bus.dispatch(Reply())
        found = await waiter
        return str(found is child)

    bus.on(Start, ask)
    assert await bus.dispatch(Start()).event_result() == "True"


async def test_R41_waiters_leave_no_results() -> None:
    """Waiting is no handler: no record, no slot, and the event counts as unhandled."""
    bus = EventBus()
    waiters = [bus.expect(Reply) for _ in range(3)]
    reply = await bus.dispatch(Reply())

    assert [await waiter for waiter in waiters] == [reply] * 3
    assert (reply.event_results, bus.handlers) == ({}, {})
    assert bus.statistics().unhandled == 1


async def test_expect_takes_classes_names_and_everything() -> None:
    """The patterns are those of `on`: subclasses match their class, names the event type."""
    bus = EventBus()
    by_class, by_name, by_star = bus.expect(Reply), bus.expect("LateReply"), bus.expect("*")
    start = bus.dispatch(Start())
    late = bus.dispatch(LateReply())

    assert [await by_class, await by_name, await by_star] == [late, late, start]
    await bus.wait_until_idle()


async def test_expect_waits_for_the_event_that_satisfies_all_conditions() -> None:
    """`predicate` and `include` must hold, `exclude` must not."""
    bus = EventBus()
    by_predicate = bus.expect(Reply, predicate=lambda event: event.n > 1)
    by_include = bus.expect(Reply, include=lambda event: event.n > 2)
    by_exclude = bus.expect(Reply, exclude=lambda event: event.n < 4)
    by_all = bus.expect(
        Reply, predicate=lambda event: event.n > 1, include=lambda event: event.n > 2, exclude=lambda event: event.n < 6
    )
    replies = [bus.dispatch(Reply(n=n)) for n in range(10)]

    assert [await by_predicate, await by_include, await by_exclude, await by_all] == [
        replies[2],
        replies[3],
        replies[4],
        replies[6],
    ]
    await bus.wait_until_idle()


async def test_R41_errors_of_a_predicate_go_to_the_waiter_only() -> None:
    """The event, its handlers and other waiters do not notice that somebody's predicate raises."""
    bus = EventBus()
    bus.on(Reply, lambda event: "fine")

    def broken(event: Reply) -> bool:
        raise ZeroDivisionError("predicate")

    unlucky, lucky = bus.expect(Reply, predicate=broken), bus.expect(Reply)
    reply = bus.dispatch(Reply())

    assert await reply.event_result() == "fine"
    assert await lucky is reply
    with pytest.raises(ZeroDivisionError, match="predicate"):
        await unlucky


@pytest.mark.virtual_time
async def test_expect_times_out() -> None:
    """After `timeout` seconds the waiter gets a TimeoutError that names what it waited for."""
    bus = EventBus()
    start = asyncio.get_running_loop().time()
    with pytest.raises(WaitTimeout, match="Reply") as caught:
        await bus.expect(Reply, timeout=3)

    assert isinstance(caught.value, TimeoutError)
    assert round(asyncio.get_running_loop().time() - start, 6) == 3


@pytest.mark.virtual_time
async def test_the_clock_of_expect_starts_at_the_call() -> None:
    """The time between the call and the await counts; an event in time is found although it is awaited late."""
    bus = EventBus()
    missed, found = bus.expect(Reply, timeout=1), bus.expect(Start, timeout=1)
    start = await bus.dispatch(Start())
    await asyncio.sleep(2)
    reply = await bus.dispatch(Reply())

    assert await found is start
    with pytest.raises(WaitTimeout):
        await missed
    assert reply.event_status == "completed"


@pytest.mark.virtual_time
async def test_a_cancelled_expect_is_forgotten() -> None:
    """Whoever stops waiting leaves neither a timer nor a predicate behind."""
    bus = EventBus()
    asked: list[int] = []

    def note(event: Reply) -> bool:
        asked.append(event.n)
        return False

    async def wait() -> Reply:
        return await bus.expect(Reply, timeout=100, predicate=note)

    waiter = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await bus.dispatch(Reply(n=1))
    waiter.cancel()
    await asyncio.wait([waiter])
    await bus.dispatch(Reply(n=2))

    assert waiter.cancelled()
    assert asked == [1]


@pytest.mark.parametrize("timeout", [None, 100.0], ids=["without", "with timeout"])
async def test_an_expect_that_is_dropped_unawaited_is_forgotten(timeout: float | None) -> None:
    """The coroutine unregisters when it goes, closed or not, though it was never awaited."""
    bus = EventBus()
    asked: list[int] = []

    def note(event: Reply) -> bool:
        asked.append(event.n)
        return False

    dropped = bus.expect(Reply, timeout=timeout, predicate=note)
    closed = bus.expect(Reply, timeout=timeout, predicate=note)
    await bus.dispatch(Reply(n=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine that was never awaited says so
        del dropped
        closed.close()
        del closed
        gc.collect()
    await bus.dispatch(Reply(n=2))

    assert asked == [1, 1]


async def test_expect_finds_forwarded_events() -> None:
    """A bus that gets the event from another one resolves its waiters too."""
    first, second = EventBus(), EventBus()
    first.on("*", second.dispatch)
    waiter = second.expect(Reply)
    reply = await first.dispatch(Reply())

    assert await waiter is reply


async def test_a_refused_dispatch_resolves_no_waiter() -> None:
    """An event that the bus did not accept is not reported to anybody."""
    bus = EventBus(max_pending=1)
    first = bus.dispatch(Reply(n=1))
    waiter = bus.expect(Reply)
    with pytest.raises(BubusError):
        bus.dispatch(Reply(n=2))
    await first
    third = await bus.dispatch(Reply(n=3))

    assert await waiter is third


async def test_a_bus_that_ends_wakes_its_waiters() -> None:
    """After ``stop(clear=True)`` no event will ever come: whoever waits gets an error."""
    bus = EventBus()
    waiter = asyncio.create_task(wait_for_reply(bus))
    await asyncio.sleep(0)
    await bus.stop(clear=True)

    async with asyncio.timeout(10):
        with pytest.raises(BubusError):
            await waiter


@pytest.mark.parametrize("pattern", [None, 7, int, ""], ids=repr)
async def test_expect_of_a_wrong_pattern_is_refused_at_the_call(pattern: Any) -> None:
    """Not the await, the call itself raises."""
    with pytest.raises(PatternError, match=r"(?i)event class"):
        _ = EventBus().expect(pattern)


@pytest.mark.parametrize("timeout", [-1, float("nan")], ids=repr)
async def test_expect_with_a_wrong_timeout_is_refused_at_the_call(timeout: float) -> None:
    """A negative time or none at all is an error, and nothing is registered."""
    bus = EventBus()
    with pytest.raises(OptionError, match="timeout"):
        _ = bus.expect(Reply, timeout=timeout)
    await bus.dispatch(Reply())


@pytest.mark.virtual_time
async def test_a_timeout_says_what_was_waited_for() -> None:
    """Its message names the pattern, the bus and the seconds."""
    bus = EventBus("replies")
    with pytest.raises(WaitTimeout, match=r"no expected Reply was dispatched on bus 'replies' within 2\.5 s; call"):
        await bus.expect(Reply, timeout=2.5)


def test_a_wait_that_outlives_its_loop_ends_without_a_word(
    recwarn: pytest.WarningsRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that waits when its loop is closed can be collected: nothing is asked of that loop any more."""
    complaints: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", complaints.append)

    async def leave_waiting() -> None:
        task = asyncio.create_task(wait_for_reply(EventBus()))
        await asyncio.sleep(0)
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue] - the task is left on purpose

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave_waiting())
    loop.close()
    del loop
    _ = gc.collect()
    assert not complaints
    assert not recwarn.list


async def test_a_predicate_that_cancels_loses_no_event() -> None:
    """Whatever a predicate raises is its waiter's, wrapped where a future could not bring it; the event is handled."""
    bus = EventBus()
    bus.on(Reply, lambda event: "handled")
    cancelled = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    empty: list[Any] = []
    expected = [
        bus.expect(Reply, predicate=lambda _: cancelled.result()),
        bus.expect(Reply, exclude=lambda _: next(iter(empty))),
    ]

    assert await bus.dispatch(Reply()).event_result() == "handled"

    for one, name in zip(expected, ("CancelledError", "StopIteration"), strict=True):
        with pytest.raises(RuntimeError, match=rf"expect\(Reply\) raised {name}"):
            await one


async def test_a_predicate_may_dispatch_what_its_own_wait_is_for() -> None:
    """The waiter gets the first event that fits, and both are handled."""
    bus = EventBus()
    bus.on(Reply, lambda event: "handled")
    inner = [Reply()]

    def fits(event: Reply) -> bool:
        if event is not inner[0]:
            bus.dispatch(inner[0])
        return True

    expected = bus.expect(Reply, predicate=fits)
    outer = bus.dispatch(Reply())

    assert await expected is inner[0]
    assert [await outer.event_result(), await inner[0].event_result()] == ["handled", "handled"]


async def test_expect_after_the_end_of_the_bus_is_refused() -> None:
    """Nothing will be dispatched any more, so nobody may wait for it; nor does a handler make sense."""
    bus = EventBus()
    await bus.stop(clear=True)

    with pytest.raises(BusClosed, match="make a new EventBus"):
        await bus.expect(Reply)
    with pytest.raises(BusClosed):
        bus.on(Reply, lambda event: "never")
