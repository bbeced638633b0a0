"""Events that one bus passes on to another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import BusClosed, DeadlockError


class Order(BaseEvent[str]):
    n: int = 0


class Parent(BaseEvent[str]):
    pass


class Child(BaseEvent[str]):
    pass


async def test_a_forwarded_event_has_the_names_of_its_buses_as_path() -> None:
    """``event_path`` lists the buses in the order in which they accepted the event."""
    first, second, third = EventBus("Path first"), EventBus("Path second"), EventBus("Path third")
    first.on("*", second.dispatch)
    second.on("*", third.dispatch)
    order = await first.dispatch(Order())

    assert order.event_path == ["Path first", "Path second", "Path third"]
    assert [bus.statistics().completed for bus in (first, second, third)] == [1, 1, 1]


async def test_results_of_all_buses_are_in_one_place() -> None:
    """``event_results`` holds the results of every bus, each with the bus that made it."""
    first, second = EventBus(), EventBus()
    first.on(Order, lambda event: "one")
    first.on("*", second.dispatch)
    second.on(Order, lambda event: "two")
    order = await first.dispatch(Order())

    assert await order.event_results_list() == ["one", "two"]
    assert {result.eventbus_id for result in order.event_results.values()} == {first.id, second.id}
    assert {result.eventbus_name for result in order.event_results.values()} == {first.name, second.name}


async def test_a_forward_is_recorded_but_is_no_result() -> None:
    """The record of the forward is complete and named ``<bus>.dispatch``; no helper sees it."""
    first, second = EventBus(), EventBus("Forward target")
    first.on("*", second.dispatch)
    order = await first.dispatch(Order())

    [forward] = order.event_results.values()
    assert (forward.status, forward.error, forward.handler_name) == ("completed", None, "Forward target.dispatch")
    assert await order.event_results_list(raise_if_none=False) == []
    assert await order.event_result(raise_if_none=False) is None
    assert await order.event_results_filtered(raise_if_none=False) == {}


@pytest.mark.parametrize("event_class", [Order, BaseEvent], ids=["typed", "bare"])
async def test_returning_the_handled_event_is_a_forward(event_class: type[BaseEvent[Any]]) -> None:
    """A handler of the user's own that passes the event on and returns it leaves no value either."""
    first, second = EventBus(), EventBus()

    async def pass_on(event: BaseEvent[Any]) -> BaseEvent[Any]:
        return second.dispatch(event)

    first.on("*", pass_on)
    order = await first.dispatch(event_class(event_type="Order"))

    [result] = order.event_results.values()
    assert (result.status, result.error) == ("completed", None)
    assert await order.event_result(raise_if_none=False) is None
    assert order.event_path == [first.name, second.name]


async def test_R17_a_forwarded_event_is_complete_when_every_bus_is_done() -> None:
    """As long as the target bus has not run its handlers the event is not complete."""
    first, second = EventBus(), EventBus()
    gate, inside = asyncio.Event(), asyncio.Event()

    async def hold(event: Order) -> str:
        inside.set()
        await gate.wait()
        return "second"

    first.on("*", second.dispatch)
    second.on(Order, hold)
    order = first.dispatch(Order())
    await first.wait_until_idle()
    await inside.wait()
    assert order.event_status == "started"
    assert order.event_completed_at is None

    gate.set()
    assert await order.event_result() == "second"
    assert order.event_status == "completed"


async def test_R17_the_status_only_moves_forward() -> None:
    """At every point where somebody can look, the status is the same as before or a later one."""
    rank = {"pending": 0, "started": 1, "completed": 2}
    buses = [EventBus() for _ in range(3)]
    seen: list[int] = []

    async def look(event: Order) -> None:
        seen.append(rank[event.event_status])
        await asyncio.sleep(0)
        seen.append(rank[event.event_status])

    for bus, target in zip(buses, [*buses[1:], buses[0]], strict=True):
        bus.on(Order, look)
        bus.on("*", target.dispatch)
    order = Order()
    seen.append(rank[order.event_status])
    buses[0].dispatch(order)
    seen.append(rank[order.event_status])

    async def watch() -> None:
        while order.event_status != "completed":
            seen.append(rank[order.event_status])
            await asyncio.sleep(0)
        seen.append(rank[order.event_status])

    await asyncio.gather(watch(), order)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 2)


@pytest.mark.parametrize("size", [1, 2, 3, 10])
async def test_a_ring_of_buses_ends(size: int) -> None:
    """Each bus of a ring runs the event once, whichever it enters by."""
    for entry in range(size):
        buses = [EventBus() for _ in range(size)]
        for index, bus in enumerate(buses):
            bus.on(Order, lambda event, index=index: str(index))
            bus.on("*", buses[(index + 1) % size].dispatch)
        order = await buses[entry].dispatch(Order())

        assert sorted(map(str, await order.event_results_list())) == sorted(map(str, range(size)))
        assert len(order.event_path) == size
        assert len(order.event_results) == 2 * size


async def test_a_diamond_of_buses_runs_the_last_once() -> None:
    """Two ways to the same bus: it accepts the event from the first and ignores the second."""
    top, left, right, bottom = (EventBus() for _ in range(4))
    seen: list[str] = []
    top.on("*", left.dispatch)
    top.on("*", right.dispatch)
    left.on("*", bottom.dispatch)
    right.on("*", bottom.dispatch)
    bottom.on(Order, lambda event: seen.append("bottom"))
    order = await top.dispatch(Order())

    assert seen == ["bottom"]
    assert sorted(order.event_path) == sorted(bus.name for bus in (top, left, right, bottom))
    assert all(result.error is None for result in order.event_results.values())


async def test_R38_loops_are_found_by_bus_and_not_by_name() -> None:
    """An event that carries the name of a bus in its path, from another process, is accepted by that bus."""
    bus = EventBus("Known elsewhere")
    seen: list[int] = []
    bus.on(Order, lambda event: seen.append(event.n))
    order = await bus.dispatch(Order(n=1, event_path=["Known elsewhere"]))

    assert (seen, order.event_status) == ([1], "completed")


async def test_a_forward_is_no_child() -> None:
    """The forwarded event is the same event: it has no parent, and no children come of it."""
    first, second = EventBus(), EventBus()
    first.on("*", second.dispatch)
    order = await first.dispatch(Order())

    assert (order.event_parent_id, order.event_children) == (None, [])


async def test_a_forwarded_child_keeps_its_parent() -> None:
    """A child that its bus forwards is one child, complete when the other bus is done too."""
    first, second = EventBus(), EventBus()
    gate = asyncio.Event()

    async def hold(event: Order) -> str:
        await gate.wait()
        return "second"

    async def parent(event: Parent) -> None:
        first.dispatch(Order())

    first.on(Parent, parent)
    first.on(Order, second.dispatch)
    second.on(Order, hold)
    event = first.dispatch(Parent())
    await first.wait_until_idle()
    assert event.event_status == "started"

    gate.set()
    await event
    [order] = event.event_children
    assert order.event_parent_id == event.event_id
    assert order.event_path == [first.name, second.name]


async def test_an_awaited_child_is_complete_on_the_bus_it_was_forwarded_to() -> None:
    """A handler that awaits a child gets it back with the results of all buses, out of turn on each."""
    first, second = EventBus(), EventBus()
    seen: list[str] = []

    async def parent(event: Parent) -> str:
        child = await first.dispatch(Order(n=1))
        return ",".join(map(str, await child.event_results_list()))

    first.on(Parent, parent)
    first.on(Order, lambda event: f"first {event.n}")
    first.on(Order, second.dispatch)
    second.on(Order, lambda event: f"second {event.n}")
    second.on(Order, lambda event: seen.append(f"second {event.n}"))
    event = first.dispatch(Parent())
    queued = first.dispatch(Order(n=2))

    assert await event.event_result() == "first 1,second 1"
    await queued
    assert seen == ["second 1", "second 2"]


async def test_awaiting_what_was_just_forwarded_raises() -> None:
    """A handler that awaits its own event on the other bus would wait for itself."""
    first, second = EventBus(), EventBus()

    async def forward(event: Order) -> None:
        await second.dispatch(event)

    first.on(Order, forward)
    order = await first.dispatch(Order())

    [result] = order.event_results.values()
    assert isinstance(result.error, DeadlockError)
    assert order.event_path == [first.name, second.name]
    assert order.event_status == "completed"


async def test_both_buses_run_at_the_same_time() -> None:
    """The target does not wait for the remaining handlers of the bus that forwarded."""
    first, second = EventBus(), EventBus()
    together = asyncio.Barrier(2)

    async def meet(event: Order) -> str:
        await together.wait()
        return "met"

    first.on(Order, second.dispatch)
    first.on(Order, meet)
    second.on(Order, meet)
    async with asyncio.timeout(10):
        order = await first.dispatch(Order())
    assert await order.event_results_list() == ["met", "met"]


async def test_a_forward_to_an_ended_bus_is_that_handlers_error() -> None:
    """The event completes on the first bus, with the refusal as the forward's error."""
    first, second = EventBus(), EventBus()
    await second.stop(clear=True)
    first.on("*", second.dispatch)
    first.on(Order, lambda event: "fine")
    order = await first.dispatch(Order())

    fine, refused = order.event_results.values()
    assert fine.result == "fine"
    assert isinstance(refused.error, BusClosed)
    assert order.event_path == [first.name]


async def test_a_forward_into_a_full_bus_is_accepted() -> None:
    """``max_pending`` never refuses what a handler dispatches."""
    first, second = EventBus(), EventBus(max_pending=1)
    first.on("*", second.dispatch)
    second.dispatch(Order())
    order = await first.dispatch(Order())

    assert order.event_path == [first.name, second.name]
    await second.wait_until_idle()
    assert second.statistics().completed == 2


async def test_a_forwarded_class_pattern_forwards_only_that_class() -> None:
    """Forwards are handlers like others: a class as pattern forwards events of that class."""
    first, second = EventBus(), EventBus()
    first.on(Order, second.dispatch)
    parent, order = await first.dispatch(Parent()), await first.dispatch(Order())

    assert parent.event_path == [first.name]
    assert order.event_path == [first.name, second.name]


@pytest.mark.virtual_time
async def test_each_bus_has_its_own_clock_for_a_forwarded_event() -> None:
    """A forwarded event is no child: the timeout of a handler here does not cancel a handler there."""
    first, second = EventBus(), EventBus()

    async def too_slow(event: Order) -> str:
        await asyncio.sleep(5)
        return "never"

    async def behind(event: Parent) -> None:
        await asyncio.sleep(2)

    async def in_time(event: Order) -> str:
        await asyncio.sleep(0.5)
        return "in time"

    first.on(Order, second.dispatch)
    first.on(Order, too_slow)
    second.on(Parent, behind)
    second.on(Order, in_time)
    second.dispatch(Parent())
    order = await first.dispatch(Order(event_timeout=1))

    assert await order.event_results_list(raise_if_any=False) == ["in time"]


async def test_an_awaited_child_that_is_forwarded_back_is_run_out_of_turn() -> None:
    """A handler awaits a child on another bus, which forwards it to the bus of that handler: no deadlock."""
    home, other = EventBus(), EventBus()
    seen: list[str] = []

    async def parent(event: Parent) -> str:
        child = await other.dispatch(Order())
        return child.event_status

    home.on(Parent, parent)
    home.on(Order, lambda event: seen.append("home"))
    other.on(Order, lambda event: seen.append("other"))
    other.on("*", home.dispatch)
    event = home.dispatch(Parent())
    async with asyncio.timeout(10):
        assert await event.event_result() == "completed"
    assert seen == ["other", "home"]


@pytest.mark.parametrize("gather", [False, True], ids=["await", "gather"])
async def test_a_grandchild_that_is_forwarded_to_a_waiting_grandparent_is_run_out_of_turn(*, gather: bool) -> None:
    """
    A handler waits, itself or by tasks, for a child whose handler waits for a grandchild, and that is forwarded to
    the bus of the first handler: no deadlock.
    """
    home, middle, last = EventBus(), EventBus(), EventBus()

    async def wait(event: BaseEvent[Any]) -> None:
        await event

    async def parent(event: Parent) -> str:
        child = middle.dispatch(Child())
        await (asyncio.gather(wait(child)) if gather else wait(child))
        return child.event_status

    async def send(event: Child) -> None:
        await last.dispatch(Order())

    home.on(Parent, parent)
    home.on(Order, lambda event: "home")
    middle.on(Child, send)
    last.on("*", home.dispatch)
    event = home.dispatch(Parent())
    async with asyncio.timeout(10):
        assert await event.event_result() == "completed"
    [child] = event.event_children
    assert [await order.event_results_list() for order in child.event_children] == [["home"]]
