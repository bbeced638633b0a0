"""History and capacity (design.md 4.12): what a bus remembers, what it lets go, and what it refuses."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import AlreadyDispatchedError, BubusError, CapacityError, OptionError, OptionTypeError


class Job(BaseEvent[int]):
    number: int = 0


class Child(BaseEvent[int]):
    number: int = 0


class Grandchild(BaseEvent[int]):
    pass


def number_of(event: Job) -> int:
    return event.number


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def remembered(bus: EventBus) -> list[int]:
    return [event.number for event in bus.event_history.values() if isinstance(event, Job)]


def gate(bus: EventBus) -> asyncio.Event:
    """Let every Job on *bus* wait for the returned asyncio.Event."""
    go = asyncio.Event()

    async def held(event: Job) -> int:
        await go.wait()
        return event.number

    bus.on(Job, held)
    return go


def trace(bus: EventBus, event: BaseEvent[Any]) -> tuple[object, ...]:
    """Return everything a dispatch could leave behind, for comparison before and after."""
    return (
        bus.statistics(),
        list(bus.event_history),
        event.event_status,
        list(event.event_path),
        dict(event.event_results),
        event.event_parent_id,
        event.event_started_at,
        event.event_completed_at,
        msgspec.to_builtins(event),
    )


# --- limits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 7, 50])
async def test_R31_at_most_the_limit_of_completed_events(limit: int) -> None:
    """After any number of events exactly the latest *limit* are remembered, in order."""
    bus = EventBus(max_history_size=limit)
    bus.on(Job, number_of)
    for number in range(120):
        await bus.dispatch(Job(number=number))
        await bus.wait_until_idle()
        assert len(bus.event_history) <= limit
    assert remembered(bus) == list(range(120 - limit, 120))


async def test_R31_the_default_limit_is_fifty() -> None:
    """A bus without options remembers 50 events."""
    bus = EventBus()
    for number in range(80):
        await bus.dispatch(Job(number=number))
    assert remembered(bus) == list(range(30, 80))


async def test_R31_zero_keeps_only_what_is_in_flight() -> None:
    """With `max_history_size=0` a running event is in the history, and none is once all is done."""
    bus = EventBus(max_history_size=0)
    go = gate(bus)
    event = bus.dispatch(Job(number=1))
    await turns()
    assert remembered(bus) == [1]
    go.set()
    assert await event.event_result() == 1
    await bus.wait_until_idle()
    assert len(bus.event_history) == 0


async def test_R31_none_is_unlimited() -> None:
    """With `max_history_size=None` nothing is ever dropped, and the capacity is unlimited as well."""
    bus = EventBus(max_history_size=None)
    bus.on(Job, number_of)
    for number in range(1_000):
        bus.dispatch(Job(number=number))
    await bus.wait_until_idle()
    assert remembered(bus) == list(range(1_000))


@pytest.mark.parametrize("limit", [0, 1, 2])
async def test_R18_what_is_in_flight_is_never_dropped(limit: int) -> None:
    """Pending and running events stay in the history, however many; afterwards the limit holds again."""
    bus = EventBus(max_history_size=limit)
    go = gate(bus)
    events = [bus.dispatch(Job(number=number)) for number in range(20)]
    await turns()
    assert remembered(bus) == list(range(20))
    assert (len(bus.events_pending), len(bus.events_started), len(bus.events_completed)) == (19, 1, 0)
    go.set()
    assert [await event.event_result() for event in events] == list(range(20))
    await bus.wait_until_idle()
    assert remembered(bus) == list(range(20 - limit, 20))


async def test_R18_the_oldest_completed_go_first() -> None:
    """A running event survives while completed ones, also younger ones, are dropped around it."""
    bus, slow = EventBus(max_history_size=3), EventBus()
    go = gate(slow)
    bus.on(Job, lambda event: event.number)
    pinned = Job(number=-1)
    slow.dispatch(pinned)
    bus.dispatch(pinned)
    for number in range(10):
        await bus.dispatch(Job(number=number))
    assert sorted(remembered(bus)) == [-1, 8, 9]
    go.set()
    await pinned
    await bus.dispatch(Job(number=10))
    await bus.dispatch(Job(number=11))
    await bus.dispatch(Job(number=12))
    assert sorted(remembered(bus)) == [10, 11, 12]


async def test_R31_the_lists_by_status_agree_with_the_history() -> None:
    """`events_pending`, `events_started` and `events_completed` together are the history."""
    bus = EventBus(max_history_size=5)
    go = gate(bus)
    bus.on(Child, lambda event: event.number)
    for number in range(8):
        await bus.dispatch(Child(number=number))
    bus.dispatch(Job(number=1))
    bus.dispatch(Job(number=2))
    await turns()
    together = [*bus.events_pending, *bus.events_started, *bus.events_completed]
    assert {event.event_id for event in together} == set(bus.event_history)
    assert len(together) == len(bus.event_history) == 5
    go.set()
    await bus.wait_until_idle()


async def test_R31_a_dropped_event_keeps_its_results() -> None:
    """An event that left the history can still be awaited and asked for results, and not be dispatched again."""
    bus = EventBus(max_history_size=1)
    bus.on(Job, number_of)
    old = await bus.dispatch(Job(number=1))
    await bus.dispatch(Job(number=2))
    assert old.event_id not in bus.event_history
    assert await old is old
    assert await old.event_result() == 1
    with pytest.raises(AlreadyDispatchedError):
        bus.dispatch(old)


async def test_R31_each_bus_has_its_own_limit() -> None:
    """A forwarded event is in the history of both buses, and each forgets by its own rule."""
    small, large = EventBus(max_history_size=1), EventBus(max_history_size=10)
    small.on("*", large.dispatch)
    large.on(Job, number_of)
    for number in range(5):
        await small.dispatch(Job(number=number))
    await large.wait_until_idle()
    assert (remembered(small), remembered(large)) == ([4], [0, 1, 2, 3, 4])


# --- nested trees --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, 1, 2, 50, None])
@pytest.mark.parametrize("awaited", [True, False])
@pytest.mark.parametrize("parallel", [True, False])
async def test_R18_nested_trees_complete_with_any_limit(limit: int | None, *, awaited: bool, parallel: bool) -> None:
    """A parent with 5 children of 3 children each completes last, with all links intact, whatever is remembered."""
    bus = EventBus(max_history_size=limit, parallel_handlers=parallel)
    done: list[str] = []

    async def parent(event: Job) -> int:
        children = [bus.dispatch(Child(number=number)) for number in range(5)]
        if awaited:
            for child in children:
                await child
                done.append(child.event_status)
        return 1

    async def child(event: Child) -> int:
        for _ in range(3):
            bus.dispatch(Grandchild())
        await asyncio.sleep(0)
        return 2

    bus.on(Job, parent)
    bus.on(Child, child)
    bus.on(Grandchild, lambda event: 3)
    event = await bus.dispatch(Job())
    assert done == ["completed"] * 5 * awaited
    assert len(event.event_children) == 5
    for each in event.event_children:
        assert each.event_parent_id == event.event_id
        assert [leaf.event_status for leaf in each.event_children] == ["completed"] * 3
    assert event.event_status == "completed"
    assert event.event_log_tree().count("Grandchild") >= 15
    bus.log_tree()


@pytest.mark.parametrize("limit", [0, 1])
async def test_R18_a_parent_waits_for_children_that_were_dropped(limit: int) -> None:
    """The parent stays started until its last child is complete, although earlier children left the history."""
    bus, slow = EventBus(max_history_size=limit), EventBus(max_history_size=limit)
    go = asyncio.Event()

    async def last(event: Grandchild) -> int:
        await go.wait()
        return 3

    def parent(event: Job) -> int:
        for number in range(4):
            bus.dispatch(Child(number=number))
        slow.dispatch(Grandchild())
        return 1

    bus.on(Job, parent)
    bus.on(Child, lambda event: event.number)
    slow.on(Grandchild, last)
    event = bus.dispatch(Job())
    await turns(30)
    assert event.event_status == "started"
    assert [child.event_status for child in event.event_children] == ["completed"] * 4 + ["started"]
    go.set()
    await event
    assert [child.event_status for child in event.event_children] == ["completed"] * 5


# --- capacity ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "room"), [({}, 100), ({"max_pending": 3}, 3), ({"max_pending": 1}, 1)])
async def test_R5_exactly_the_limit_is_accepted(options: dict[str, Any], room: int) -> None:
    """Exactly `max_pending` events are taken, each counted once; the refusal of the next names the number."""
    bus = EventBus(**options)
    bus.on(Job, number_of)
    events = [bus.dispatch(Job(number=number)) for number in range(room)]
    for _ in range(2):
        with pytest.raises(CapacityError, match=str(room)):
            bus.dispatch(Job())
    assert [await event.event_result() for event in events] == list(range(room))
    assert bus.statistics().accepted == room


async def test_R5_room_comes_back_as_events_complete() -> None:
    """After the queue has been worked off the bus takes as many again."""
    bus = EventBus(max_pending=5)
    bus.on(Job, number_of)
    for _ in range(3):
        for number in range(5):
            bus.dispatch(Job(number=number))
        with pytest.raises(CapacityError):
            bus.dispatch(Job())
        await bus.wait_until_idle()
    assert bus.statistics().completed == 15


@pytest.mark.parametrize(
    "options",
    [{"max_pending": None}, {"max_history_size": None}, {"max_pending": None, "max_history_size": 1}],
)
async def test_R5_none_switches_the_capacity_off(options: dict[str, int | None]) -> None:
    """Without a limit, said or implied by an unlimited history, any number may be pending."""
    bus = EventBus(**options)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - only two of the options
    bus.on(Job, number_of)
    for number in range(1_000):
        bus.dispatch(Job(number=number))
    await bus.wait_until_idle()
    assert bus.statistics().completed == 1_000


async def test_R5_an_explicit_capacity_holds_with_unlimited_history() -> None:
    """`max_pending` is respected when `max_history_size` is None."""
    bus = EventBus(max_history_size=None, max_pending=2)
    bus.on(Job, number_of)
    bus.dispatch(Job())
    bus.dispatch(Job())
    with pytest.raises(CapacityError):
        bus.dispatch(Job())
    await bus.wait_until_idle()


async def test_R6_a_refused_dispatch_leaves_no_trace() -> None:
    """Neither the event nor the bus shows that a dispatch was refused, and the event can be dispatched later."""
    bus = EventBus(max_pending=1)
    bus.on(Job, number_of)
    bus.dispatch(Job(number=1))
    refused = Job(number=2)
    before = trace(bus, refused)
    with pytest.raises(CapacityError):
        bus.dispatch(refused)
    assert trace(bus, refused) == before
    with pytest.raises(BubusError):
        await refused
    await bus.wait_until_idle()
    assert await bus.dispatch(refused).event_result() == 2
    assert refused.event_path == [bus.name]


async def test_R6_an_event_refused_by_one_bus_goes_on_on_another() -> None:
    """A refusal by one bus does not touch the event's work on the bus that has accepted it."""
    full, free = EventBus(max_pending=1), EventBus()
    full.on(Job, number_of)
    free.on(Job, number_of)
    full.dispatch(Job())
    event = free.dispatch(Job(number=7))
    with pytest.raises(CapacityError):
        full.dispatch(event)
    assert await event.event_result() == 7
    assert event.event_path == [free.name]
    await full.wait_until_idle()


async def test_R6_dispatch_inside_a_handler_is_never_refused() -> None:
    """A handler may dispatch 10,000 children on a bus with room for one; all complete, and so does the parent."""
    bus = EventBus(max_pending=1, max_history_size=10)
    total = 0

    def count(event: Child) -> int:
        nonlocal total
        total += event.number
        return event.number

    async def parent(event: Job) -> int:
        for number in range(10_000):
            bus.dispatch(Child(number=number))
        return 1

    bus.on(Job, parent)
    bus.on(Child, count)
    event = await bus.dispatch(Job())
    assert total == sum(range(10_000))
    assert len(event.event_children) == 10_000
    assert {child.event_status for child in event.event_children} == {"completed"}
    assert len(bus.event_history) <= 10


async def test_R6_forwards_inside_a_handler_are_never_refused() -> None:
    """A full target bus accepts what another bus forwards to it."""
    source, target = EventBus(), EventBus(max_pending=1)
    source.on("*", target.dispatch)
    target.on(Job, number_of)
    events = [source.dispatch(Job(number=number)) for number in range(50)]
    await source.wait_until_idle()
    await target.wait_until_idle()
    assert [await event.event_result() for event in events] == list(range(50))


async def test_L3_every_event_is_accounted_for() -> None:
    """Emitting far more than fits: accepted and refused add up to what was tried, and all accepted ones complete."""
    bus = EventBus(max_pending=10, max_history_size=5)
    bus.on(Job, number_of)
    refused = 0
    for number in range(5_000):
        try:
            bus.dispatch(Job(number=number))
        except CapacityError:
            refused += 1
            await asyncio.sleep(0)
        assert len(bus.events_pending) <= 10
    await bus.wait_until_idle()
    counts = bus.statistics()
    assert counts.accepted + refused == 5_000
    assert (counts.completed, counts.pending, counts.started) == (counts.accepted, 0, 0)
    assert refused > 0


# --- options -------------------------------------------------------------------------------------------------------

NUMBERS = ["max_history_size", "max_pending", "cancel_grace", "max_depth", "slow_handler_seconds"]


@pytest.mark.parametrize("option", NUMBERS)
@pytest.mark.parametrize(
    ("value", "expected"),
    [(-1, OptionError), ("10", OptionTypeError), ([], OptionTypeError), (True, OptionTypeError)],
)
def test_R31_senseless_options_are_refused(option: str, value: Any, expected: type[Exception]) -> None:
    """A negative or non-numeric limit raises where the bus is made, names the option, and leaves no bus behind."""
    before = set(EventBus.all_instances)
    options: dict[str, Any] = {option: value}
    with pytest.raises(expected, match=option):
        EventBus(**options)
    assert set(EventBus.all_instances) <= before


async def test_log_tree_shows_every_event_once() -> None:
    """Also one whose parent was named by hand, even as itself: it was dispatched by no handler, so it is a root."""
    bus = EventBus(name="Tree")

    async def ask(event: BaseEvent[Any]) -> str:
        await bus.dispatch(BaseEvent[Any](event_type="Below"))
        return "asked"

    bus.on("Ask", ask)
    bus.on("Below", lambda event: "below")
    first = await bus.dispatch(BaseEvent[Any](event_type="Ask"))
    await bus.dispatch(BaseEvent[Any](event_type="ByHand", event_parent_id=first.event_id))
    own = BaseEvent[Any](event_type="Own")
    own.event_parent_id = own.event_id
    await bus.dispatch(own)

    assert re.findall(r"Tree$|\w+(?=#)|Tree\.\w+", bus.log_tree(), re.MULTILINE) == [
        *("Tree", "Ask", "Tree.ask", "Below", "ByHand", "Own"),
    ]
