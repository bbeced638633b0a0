"""Events dispatched and awaited inside handlers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import DeadlockError, EventCancelled, HandlerTimeout


class Parent(BaseEvent[str]):
    pass


class Child(BaseEvent[str]):
    n: int = 0


class Unrelated(BaseEvent[str]):
    n: int = 0


class Chain(BaseEvent[int]):
    left: int


async def turns(count: int = 20) -> None:
    """Let everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_child_knows_its_parent_and_the_parent_its_child() -> None:
    """What a handler dispatches gets the handled event as parent, and is listed under event and result."""
    bus = EventBus()

    async def parent(event: Parent) -> str:
        return str(await bus.dispatch(Child()).event_result())

    bus.on(Parent, parent)
    bus.on(Child, lambda event: "from the child")
    event = await bus.dispatch(Parent())

    [child] = event.event_children
    [result] = event.event_results.values()
    assert child.event_parent_id == event.event_id
    assert event.event_parent_id is None
    assert result.result == "from the child"
    assert result.event_children == [child]
    assert result.child_events == [child]


async def test_a_parent_is_complete_only_after_its_children() -> None:
    """The bus goes on when the handlers return; the parent stays started until the child is complete."""
    bus, other = EventBus(), EventBus()
    gate = asyncio.Event()
    children: list[Child] = []

    async def child(event: Child) -> None:
        await gate.wait()

    bus.on(Parent, lambda event: children.append(other.dispatch(Child())))
    other.on(Child, child)
    event = bus.dispatch(Parent())
    await bus.dispatch(Unrelated())
    assert event.event_status == "started"
    assert event.event_completed_at is None
    assert all(result.status == "completed" for result in event.event_results.values())

    gate.set()
    await event
    assert event.event_status == "completed"
    assert [one.event_status for one in children] == ["completed"]
    assert children[0].event_completed_at is not None
    assert event.event_completed_at is not None
    assert children[0].event_completed_at <= event.event_completed_at


async def test_grandchildren_count_as_well() -> None:
    """An event waits for its whole tree, on the same bus, though nobody awaits any part of it."""
    bus = EventBus()
    done: list[int] = []

    async def go_on(event: Chain) -> None:
        await asyncio.sleep(0)
        if event.left:
            bus.dispatch(Chain(left=event.left - 1))
        done.append(event.left)

    bus.on(Chain, go_on)
    await bus.dispatch(Chain(left=5))

    assert done == [5, 4, 3, 2, 1, 0]


async def test_an_event_with_another_parent_is_no_child() -> None:
    """Whoever sets ``event_parent_id`` by hand detaches the event from the running handler."""
    bus, other = EventBus(), EventBus()
    stranger = await bus.dispatch(Unrelated())
    gate = asyncio.Event()
    sent: list[Child] = []

    async def child(event: Child) -> None:
        await gate.wait()

    bus.on(Parent, lambda event: sent.append(other.dispatch(Child(event_parent_id=stranger.event_id))))
    other.on(Child, child)
    event = await bus.dispatch(Parent())

    assert event.event_status == "completed"
    assert event.event_children == []
    assert sent[0].event_parent_id == stranger.event_id
    assert sent[0].event_status != "completed"
    gate.set()
    await sent[0]


async def test_an_event_with_the_right_parent_set_is_a_child() -> None:
    """Setting ``event_parent_id`` to the handled event's id changes nothing."""
    bus = EventBus()
    bus.on(Parent, lambda event: void(bus.dispatch(Child(event_parent_id=event.event_id))))
    event = await bus.dispatch(Parent())

    assert [child.event_status for child in event.event_children] == ["completed"]


def void(_: object) -> None:
    """Drop a value, so that a lambda returns None."""


async def test_an_event_is_child_of_its_first_dispatch_only() -> None:
    """What was dispatched before, outside, is no child when a handler dispatches it on one more bus."""
    bus, other = EventBus(), EventBus()
    early = await bus.dispatch(Child())
    bus.on(Parent, lambda event: void(other.dispatch(early)))
    event = await bus.dispatch(Parent())

    assert (event.event_children, early.event_parent_id) == ([], None)
    await other.wait_until_idle()


async def test_awaited_siblings_run_side_by_side() -> None:
    """Children awaited together with gather run at the same time, also on one serial bus."""
    bus = EventBus()
    together = asyncio.Barrier(3)

    async def child(event: Child) -> str:
        await together.wait()
        return str(event.n)

    async def parent(event: Parent) -> str:
        children = [bus.dispatch(Child(n=n)) for n in range(3)]
        return "".join(await asyncio.gather(*(one.event_result() for one in children)))

    bus.on(Child, child)
    bus.on(Parent, parent)
    async with asyncio.timeout(10):
        assert await bus.dispatch(Parent()).event_result() == "012"


async def test_an_awaited_event_runs_on_every_bus_it_is_queued_on() -> None:
    """All buses that have the awaited event in their queue run it out of turn; their other events keep waiting."""
    home, first, second = EventBus(), EventBus(), EventBus()
    gate = asyncio.Event()
    seen: list[str] = []

    async def hold(event: Unrelated) -> None:
        await gate.wait()

    for bus, name in ((first, "first"), (second, "second")):
        bus.on(Unrelated, hold)
        bus.on(Child, lambda event, name=name: seen.append(name))

    async def parent(event: Parent) -> str:
        child = Child()
        first.dispatch(child)
        second.dispatch(child)
        await child
        return child.event_status

    home.on(Parent, parent)
    held = [bus.dispatch(Unrelated()) for bus in (first, second)]
    await turns()
    assert await home.dispatch(Parent()).event_result() == "completed"
    assert sorted(seen) == ["first", "second"]
    assert [one.event_status for one in held] == ["started", "started"]

    gate.set()
    await asyncio.gather(first.wait_until_idle(), second.wait_until_idle())


async def test_an_event_that_runs_already_is_only_waited_for() -> None:
    """Awaiting a running event from a handler of another bus does not start it again."""
    home, other = EventBus(), EventBus()
    gate, inside = asyncio.Event(), asyncio.Event()
    calls: list[int] = []

    async def child(event: Child) -> str:
        calls.append(event.n)
        inside.set()
        await gate.wait()
        return "once"

    async def parent(event: Parent) -> str:
        gate.set()
        return str(await running.event_result())

    other.on(Child, child)
    home.on(Parent, parent)
    running = other.dispatch(Child())
    await inside.wait()

    assert await home.dispatch(Parent()).event_result() == "once"
    assert calls == [0]


async def test_deep_nesting_of_awaits_works() -> None:
    """A chain of 95 handlers, each awaiting the next, ends with the sum (beyond 32 levels it costs no stack)."""
    bus = EventBus(max_depth=100)

    async def go_on(event: Chain) -> int:
        if not event.left:
            return 0
        return 1 + int(await bus.dispatch(Chain(left=event.left - 1)).event_result())

    bus.on(Chain, go_on)
    assert await bus.dispatch(Chain(left=95)).event_result() == 95


async def test_an_await_that_needs_a_grandchild_of_a_busy_bus_ends() -> None:
    """The awaited child leaves a grandchild on the bus whose handler waits: it is run, not waited for in vain."""
    bus = EventBus()
    seen: list[str] = []

    async def parent(event: Parent) -> None:
        await bus.dispatch(Child())
        seen.append("parent")

    async def child(event: Child) -> None:
        await asyncio.sleep(0)
        bus.dispatch(Chain(left=0))
        seen.append("child")

    bus.on(Parent, parent)
    bus.on(Child, child)
    bus.on(Chain, lambda event: void(seen.append("grandchild")))
    bus.on(Unrelated, lambda event: seen.append("unrelated"))
    bus.dispatch(Parent())
    await bus.dispatch(Unrelated())

    assert seen == ["child", "grandchild", "parent", "unrelated"]


async def test_awaiting_the_handled_event_raises() -> None:
    """A handler that awaits its own event would wait for ever: it gets an error that says what to do."""
    bus = EventBus()

    async def wait_for_itself(event: Parent) -> None:
        await event

    bus.on(Parent, wait_for_itself)
    event = await bus.dispatch(Parent())

    [result] = event.event_results.values()
    assert isinstance(result.error, DeadlockError)
    assert isinstance(result.error, RuntimeError)
    assert "await" in str(result.error)


async def test_awaiting_the_result_of_the_handled_event_raises() -> None:
    """The same holds for `event_result`."""
    bus = EventBus()

    async def wait_for_itself(event: Parent) -> str:
        return str(await event.event_result())

    bus.on(Parent, wait_for_itself)
    event = await bus.dispatch(Parent())

    [result] = event.event_results.values()
    assert isinstance(result.error, DeadlockError)


async def test_awaiting_an_ancestor_raises() -> None:
    """A grandchild that awaits its grandparent gets the error, and the whole tree completes."""
    bus = EventBus()
    top: list[Chain] = []

    async def go_on(event: Chain) -> int:
        if event.left:
            return int(await bus.dispatch(Chain(left=event.left - 1)).event_result())
        await top[0]
        return 0

    bus.on(Chain, go_on)
    top.append(bus.dispatch(Chain(left=2)))
    with pytest.raises(DeadlockError):
        await top[0].event_result()
    assert top[0].event_status == "completed"


async def test_awaiting_an_ancestor_from_another_bus_raises() -> None:
    """Ancestors are known across buses."""
    bus, other = EventBus(), EventBus()
    top: list[Parent] = []

    async def parent(event: Parent) -> None:
        await other.dispatch(Child())

    async def child(event: Child) -> None:
        await top[0]

    bus.on(Parent, parent)
    other.on(Child, child)
    top.append(bus.dispatch(Parent()))
    await top[0]

    [result] = top[0].event_children[0].event_results.values()
    assert isinstance(result.error, DeadlockError)


async def test_waiting_for_the_own_bus_raises() -> None:
    """``wait_until_idle()`` of a bus inside its own handler raises, inside a handler of another bus it waits."""
    bus, other = EventBus(), EventBus()

    async def look_at_itself(event: Parent) -> None:
        await bus.wait_until_idle()

    bus.on(Parent, look_at_itself)
    event = await bus.dispatch(Parent())
    [result] = event.event_results.values()
    assert isinstance(result.error, DeadlockError)

    async def look_at_other(event: Child) -> str:
        await other.wait_until_idle()
        return "idle"

    bus.on(Child, look_at_other)
    other.dispatch(Unrelated())
    assert await bus.dispatch(Child()).event_result() == "idle"


@pytest.mark.virtual_time
@pytest.mark.parametrize("begun", [False, True], ids=["queued", "begun"])
async def test_waiting_for_another_bus_lets_the_own_one_run_what_that_waits_for(begun: bool) -> None:
    """A handler far below has queued a child on the bus whose handler waits for the other bus to be idle."""
    bus, other, third = EventBus(), EventBus(), EventBus()

    async def look_at_other(event: Parent) -> str:
        child = other.dispatch(Child(event_timeout=None))
        await asyncio.sleep(2 if begun else 0)
        await other.wait_until_idle()
        return child.event_status

    async def ask_the_third(event: Child) -> str:
        far = third.dispatch(Chain(left=1, event_timeout=None))
        await asyncio.sleep(1)
        await far
        return "child"

    def leave_a_child(event: Chain) -> int:
        bus.dispatch(Unrelated())
        return 0

    bus.on(Parent, look_at_other)
    bus.on(Unrelated, lambda event: "at last")
    other.on(Child, ask_the_third)
    third.on(Chain, leave_a_child)
    parent = bus.dispatch(Parent(event_timeout=None))
    assert await asyncio.wait_for(parent.event_result(), 60) == "completed"


@pytest.mark.virtual_time
async def test_handlers_that_wait_for_each_others_buses_are_a_deadlock() -> None:
    """The second of two gets the error, and the first goes on."""
    bus, other = EventBus(), EventBus()

    async def look_at_other(event: Parent) -> str:
        await asyncio.sleep(1)
        await other.wait_until_idle()
        return "parent"

    async def look_at_bus(event: Child) -> str:
        await asyncio.sleep(2)
        await bus.wait_until_idle()
        return "child"

    bus.on(Parent, look_at_other)
    other.on(Child, look_at_bus)
    parent, child = bus.dispatch(Parent(event_timeout=None)), other.dispatch(Child(event_timeout=None))
    assert await asyncio.wait_for(parent.event_result(), 60) == "parent"
    [result] = (await child).event_results.values()
    assert isinstance(result.error, DeadlockError)


async def test_stop_inside_a_handler_does_not_wait_for_it() -> None:
    """A handler may stop its own bus: stop returns, and everything settles."""
    bus = EventBus()
    order: list[str] = []

    async def stop(event: Parent) -> None:
        await bus.stop()
        order.append("stopped")

    bus.on(Parent, stop)
    event, queued = bus.dispatch(Parent()), bus.dispatch(Unrelated())
    async with asyncio.timeout(10):
        await event
        await queued
    assert (event.event_status, queued.event_status) == ("completed", "completed")


async def test_cancelling_an_await_outside_does_not_cancel_the_event() -> None:
    """A task that gives up waiting changes nothing for the event nor for others who wait."""
    bus = EventBus()
    gate, inside = asyncio.Event(), asyncio.Event()

    async def child(event: Child) -> str:
        inside.set()
        await gate.wait()
        return "done"

    bus.on(Child, child)
    event = bus.dispatch(Child())

    async def wait() -> Child:
        return await event

    impatient, patient = asyncio.create_task(wait()), asyncio.create_task(wait())
    await inside.wait()
    impatient.cancel()
    await asyncio.wait([impatient])
    assert impatient.cancelled()
    assert event.event_status == "started"

    gate.set()
    assert await patient is event
    assert await event.event_result() == "done"


async def test_cancelling_the_await_that_started_the_queue_does_not_cancel_the_event() -> None:
    """Also the await that begins the work on an idle bus owns nothing of it."""
    bus = EventBus()
    gate = asyncio.Event()

    async def child(event: Child) -> str:
        await gate.wait()
        return "done"

    bus.on(Child, child)
    event = bus.dispatch(Child())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await event
    gate.set()

    assert await event.event_result() == "done"


async def test_cancelling_an_await_inside_a_handler_does_not_cancel_the_child() -> None:
    """A handler that stops waiting for its child goes on; the child completes by itself."""
    bus = EventBus()
    gate = asyncio.Event()

    async def child(event: Child) -> str:
        await gate.wait()
        return "done"

    async def parent(event: Parent) -> str:
        one = bus.dispatch(Child())
        try:
            async with asyncio.timeout(0):
                await one
        except TimeoutError:
            gate.set()
        return one.event_status

    bus.on(Child, child)
    bus.on(Parent, parent)
    event = await bus.dispatch(Parent())

    assert await event.event_result() == "started"
    assert await event.event_children[0].event_result(raise_if_any=True) == "done"


async def test_tasks_of_a_running_handler_are_inside() -> None:
    """A task started by a handler that has not returned dispatches children and gets them at once."""
    bus = EventBus()

    async def send() -> str:
        return str(await bus.dispatch(Child()).event_result())

    async def parent(event: Parent) -> str:
        return await asyncio.create_task(send())

    bus.on(Parent, parent)
    bus.on(Child, lambda event: "at once")
    event = bus.dispatch(Parent())
    queued = bus.dispatch(Unrelated())
    assert await event.event_result() == "at once"
    assert [child.event_parent_id for child in event.event_children] == [event.event_id]
    await queued


async def test_R20_a_task_that_outlives_its_handler_is_outside() -> None:
    """Its dispatches have no parent, it waits its turn, and the bus still runs one event at a time."""
    bus = EventBus()
    release = asyncio.Event()
    tasks: list[asyncio.Task[str | None]] = []
    running, peak = 0, 0
    seen: list[str] = []

    async def work(event: BaseEvent[Any]) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await turns(5)
        seen.append(event.event_type)
        running -= 1

    async def afterwards() -> str | None:
        await release.wait()
        child = bus.dispatch(Child())
        await child
        return child.event_parent_id

    async def parent(event: Parent) -> None:
        tasks.append(asyncio.create_task(afterwards()))

    bus.on(Parent, parent)
    bus.on(Child, work)
    bus.on(Unrelated, work)
    event = await bus.dispatch(Parent())
    bus.dispatch(Unrelated())
    bus.dispatch(Unrelated())
    release.set()

    assert await tasks[0] is None
    assert event.event_children == []
    assert (peak, seen) == (1, ["Unrelated", "Unrelated", "Child"])


async def test_a_callback_after_the_handler_is_outside() -> None:
    """Also a ``call_soon`` callback that inherited the handler's context dispatches without a parent."""
    bus = EventBus()
    sent: list[Child] = []
    gate = asyncio.Event()

    def later() -> None:
        sent.append(bus.dispatch(Child()))
        gate.set()

    bus.on(Parent, lambda event: void(asyncio.get_running_loop().call_soon(later)))
    event = await bus.dispatch(Parent())
    await gate.wait()
    await sent[0]

    assert sent[0].event_parent_id is None
    assert event.event_children == []


async def test_a_parallel_bus_runs_all_handlers_of_an_event_at_once() -> None:
    """With ``parallel_handlers=True`` the handlers of one event wait for each other without a deadlock."""
    bus = EventBus(parallel_handlers=True)
    together = asyncio.Barrier(3)

    async def meet(event: Parent) -> str:
        await together.wait()
        return "met"

    async def meet_too(event: Parent) -> str:
        return await meet(event)

    async def meet_also(event: Parent) -> str:
        return await meet(event)

    for handler in (meet, meet_too, meet_also):
        bus.on(Parent, handler)
    async with asyncio.timeout(10):
        event = await bus.dispatch(Parent())
    assert await event.event_results_list() == ["met"] * 3


async def test_a_serial_bus_runs_the_handlers_of_an_event_one_by_one() -> None:
    """The second handler starts when the first has returned."""
    bus = EventBus()
    seen: list[str] = []

    async def first(event: Parent) -> None:
        seen.append("first>")
        await turns(3)
        seen.append("first<")

    bus.on(Parent, first)
    bus.on(Parent, lambda event: seen.append("second"))
    await bus.dispatch(Parent())

    assert seen == ["first>", "first<", "second"]


@pytest.mark.virtual_time
async def test_R14_a_timeout_cancels_the_handler_and_its_children_only() -> None:
    """What another bus runs, or has queued before the child, is not touched by the timeout."""
    home, other = EventBus(), EventBus()
    seen: list[str] = []

    async def slow(event: Unrelated) -> str:
        await asyncio.sleep(5)
        seen.append(f"unrelated {event.n}")
        return "fine"

    async def child(event: Child) -> str:
        await asyncio.sleep(50)
        seen.append("child")
        return "never"

    async def parent(event: Parent) -> str:
        return str(await other.dispatch(Child()).event_result())

    home.on(Parent, parent)
    home.on(Parent, lambda event: "sibling")
    other.on(Unrelated, slow)
    other.on(Child, child)
    unrelated = [other.dispatch(Unrelated(n=n)) for n in range(3)]
    await turns()
    event = await home.dispatch(Parent(event_timeout=1))
    failed, sibling = event.event_results.values()
    assert isinstance(failed.error, HandlerTimeout)
    assert isinstance(failed.error, TimeoutError)
    assert sibling.result == "sibling"
    [cut] = event.event_children
    assert cut.event_status == "completed"
    assert [type(result.error) for result in cut.event_results.values()] == [EventCancelled]

    await other.wait_until_idle()
    assert [await one.event_result() for one in unrelated] == ["fine"] * 3
    assert seen == ["unrelated 0", "unrelated 1", "unrelated 2"]


@pytest.mark.virtual_time
async def test_R14_an_event_awaited_by_a_timed_out_stranger_goes_on() -> None:
    """A handler that awaits somebody else's event and times out does not take it along."""
    home, other = EventBus(), EventBus()

    async def slow(event: Unrelated) -> str:
        await asyncio.sleep(5)
        return "fine"

    async def parent(event: Parent) -> str:
        return str(await foreign.event_result())

    home.on(Parent, parent)
    other.on(Unrelated, slow)
    foreign = other.dispatch(Unrelated())
    event = await home.dispatch(Parent(event_timeout=1))

    [failed] = event.event_results.values()
    assert isinstance(failed.error, HandlerTimeout)
    assert foreign.event_status == "started"
    assert await foreign.event_result() == "fine"


async def test_R18_completion_does_not_depend_on_history() -> None:
    """Nested trees complete with any history size, and the parent keeps its children."""
    for size in (0, 1, 2):
        bus = EventBus(max_history_size=size)

        async def go_on(event: Chain, bus: EventBus = bus) -> int:
            if event.left:
                first, second = (bus.dispatch(Chain(left=event.left - 1)) for _ in range(2))
                await second
                await first
            return event.left

        bus.on(Chain, go_on)
        event = await bus.dispatch(Chain(left=4))

        assert event.event_status == "completed"
        assert bus.statistics().completed == 31
        assert len(event.event_children) == 2
        assert len(bus.event_history) <= size


async def test_R18_events_in_flight_are_never_evicted() -> None:
    """History may exceed its limit by what is in flight, and goes back to it afterwards."""
    bus = EventBus(max_history_size=1, max_pending=None)
    gate, inside = asyncio.Event(), asyncio.Event()

    async def hold(event: Child) -> None:
        inside.set()
        await gate.wait()

    bus.on(Child, hold)
    events = [bus.dispatch(Child(n=n)) for n in range(5)]
    await inside.wait()
    assert (bus.events_started, bus.events_pending) == (events[:1], events[1:])
    assert len(bus.event_history) == 5

    gate.set()
    await bus.wait_until_idle()
    assert bus.events_completed == events[-1:]


async def test_two_buses_whose_handlers_wait_for_what_is_queued_on_the_other_go_on() -> None:
    """
    A handler waits for a child whose leftover is queued behind an event of the other bus, and that event's handler
    waits for a child whose leftover is queued behind the first handler: nobody awaits an ancestor, so all end.
    """
    left, right = EventBus(), EventBus()

    async def parent(event: Parent) -> None:
        first = right.dispatch(Child(n=1))
        right.dispatch(Child(n=2))
        await first

    async def child(event: Child) -> None:
        if event.n == 1:
            right.dispatch(Unrelated(n=1))  # queued behind Child 2
        else:
            await left.dispatch(Chain(left=0))

    async def chain(event: Chain) -> None:
        left.dispatch(Unrelated(n=2))  # queued behind Parent

    left.on(Parent, parent)
    right.on(Child, child)
    left.on(Chain, chain)
    async with asyncio.timeout(10):
        event = await left.dispatch(Parent())
    assert [one.event_status for one in event.event_children] == ["completed", "completed"]
