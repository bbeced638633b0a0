"""Recursion (issue 2's recursion guard, R50, F8): stopped at `max_depth` by an error result, and free below it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import DepthError, EventCancelled

if TYPE_CHECKING:
    from collections.abc import Callable


class Ping(BaseEvent[int]):
    left: int = -1


class Pong(BaseEvent[int]):
    pass


class Probe(BaseEvent[str]):
    pass


def chain(event: BaseEvent[Any]) -> list[BaseEvent[Any]]:
    """Return *event* and its first child, that one's first child, and so on."""
    found = [event]
    while found[-1].event_children:
        found.append(found[-1].event_children[0])
    return found


def depth_errors(events: list[BaseEvent[Any]]) -> list[bool]:
    """Tell of each event whether a handler of it ended in a DepthError."""
    return [any(isinstance(each.error, DepthError) for each in event.event_results.values()) for event in events]


def endless(bus: EventBus, *, awaited: bool) -> Callable[[Ping], Any]:
    async def again(event: Ping) -> int:
        child = bus.dispatch(Ping())
        if awaited:
            await child
        return 1

    return again


async def works(bus: EventBus) -> bool:
    with bus.on(Probe, lambda event: "probe"):
        return await bus.dispatch(Probe()).event_result() == "probe"


@pytest.mark.parametrize("awaited", [True, False])
@pytest.mark.parametrize("max_depth", [1, 5, 100, 300])
async def test_R50_endless_recursion_stops_at_max_depth(max_depth: int, *, awaited: bool) -> None:
    """`max_depth` levels below the first event run; the next is one DepthError, all settle, and the bus goes on."""
    bus = EventBus(max_depth=max_depth, max_history_size=10)
    bus.on(Ping, endless(bus, awaited=awaited))
    event = await bus.dispatch(Ping())
    events = chain(event)
    assert len(events) == 1 + max_depth + 1
    assert depth_errors(events) == [False] * (len(events) - 1) + [True]
    assert {each.event_status for each in events} == {"completed"}
    await bus.wait_until_idle()
    assert await works(bus)


async def test_R50_the_limit_counts_exactly() -> None:
    """One more `max_depth` means one more event, so that the limit is what it says."""
    lengths: list[int] = []
    for max_depth in (3, 4, 10, 11):
        bus = EventBus(max_depth=max_depth)
        bus.on(Ping, endless(bus, awaited=True))
        lengths.append(len(chain(await bus.dispatch(Ping()))))
    assert [length - lengths[0] for length in lengths] == [0, 1, 7, 8]


async def test_R50_the_error_names_the_limit() -> None:
    """The DepthError is a RecursionError that names the option to raise and its value."""
    bus = EventBus(max_depth=7)
    bus.on(Ping, endless(bus, awaited=False))
    last = chain(await bus.dispatch(Ping()))[-1]
    with pytest.raises(RecursionError, match="max_depth") as caught:
        await last.event_result()
    assert isinstance(caught.value, DepthError)
    assert "7" in str(caught.value)


async def test_R50_legitimate_recursion_is_not_disturbed() -> None:
    """Fifty levels, far above what programs need, work with the default limit."""
    bus = EventBus()

    async def count_down(event: Ping) -> int:
        if not event.left:
            return 0
        below = await bus.dispatch(Ping(left=event.left - 1)).event_result()
        return 1 + below

    bus.on(Ping, count_down)
    assert await bus.dispatch(Ping(left=50)).event_result() == 50


async def test_R50_siblings_do_not_count_as_depth() -> None:
    """A thousand children of one event are one level, not a thousand."""
    bus = EventBus(max_depth=5)

    async def fan_out(event: Ping) -> int:
        if event.left:
            for _ in range(1_000):
                await bus.dispatch(Ping(left=0))
        return 1

    bus.on(Ping, fan_out)
    event = await bus.dispatch(Ping(left=1))
    assert not any(depth_errors([event, *event.event_children]))


@pytest.mark.parametrize("awaited", [True, False])
async def test_F8_a_ring_of_two_types_on_two_buses_stops(*, awaited: bool) -> None:
    """A handler on A that makes B's event, whose handler makes A's, is stopped like plain recursion."""
    one, two = EventBus(max_depth=20), EventBus(max_depth=20)

    async def ping(event: Ping) -> int:
        child = two.dispatch(Pong())
        if awaited:
            await child
        return 1

    async def pong(event: Pong) -> int:
        child = one.dispatch(Ping())
        if awaited:
            await child
        return 2

    one.on(Ping, ping)
    two.on(Pong, pong)
    async with asyncio.timeout(60):
        event = await one.dispatch(Ping())
    events = chain(event)
    assert len(events) <= 41
    assert depth_errors(events)[-1]
    assert await works(one)
    assert await works(two)


@pytest.mark.parametrize("parallel", [False, True])
async def test_F8_a_thousand_awaited_levels(*, parallel: bool) -> None:
    """With `max_depth=2000` a thousand nested awaits work: depth costs no stack."""
    bus = EventBus(max_depth=2_000, max_history_size=10, parallel_handlers=parallel)

    async def count_down(event: Ping) -> int:
        if not event.left:
            return 0
        child = await bus.dispatch(Ping(left=event.left - 1))
        below = await child.event_result()
        return 1 + below

    bus.on(Ping, count_down)
    async with asyncio.timeout(60):
        assert await bus.dispatch(Ping(left=1_000)).event_result() == 1_000


async def test_F8_a_thousand_awaited_levels_over_two_buses() -> None:
    """Nested awaits that alternate between two buses go as deep as on one."""
    one, two = (EventBus(max_depth=2_000, max_history_size=10) for _ in range(2))

    def make(other: EventBus) -> Callable[[Ping], Any]:
        async def count_down(event: Ping) -> int:
            if not event.left:
                return 0
            return 1 + await other.dispatch(Ping(left=event.left - 1)).event_result()

        return count_down

    one.on(Ping, make(two))
    two.on(Ping, make(one))
    async with asyncio.timeout(60):
        assert await one.dispatch(Ping(left=1_000)).event_result() == 1_000


async def long_chain(levels: int) -> tuple[EventBus, Ping]:
    """Return a bus and the root of a completed chain of unawaited children."""
    bus = EventBus(max_depth=10_000, max_history_size=None)

    def count_down(event: Ping) -> int:
        if event.left:
            bus.dispatch(Ping(left=event.left - 1))
        return event.left

    bus.on(Ping, count_down)
    return bus, await bus.dispatch(Ping(left=levels))


async def test_F8_three_thousand_levels_complete_from_below() -> None:
    """A chain of unawaited children completes up to its root without a RecursionError."""
    _, event = await long_chain(3_000)
    assert len(chain(event)) == 3_001
    assert {each.event_status for each in chain(event)} == {"completed"}


async def test_F8_a_deep_tree_can_be_shown() -> None:
    """`log_tree()` and `event_log_tree()` show a chain of 2,000 levels without a RecursionError."""
    bus, event = await long_chain(2_000)
    assert bus.log_tree().count("Ping") == event.event_log_tree().count("Ping") == 2_001


@pytest.mark.virtual_time
async def test_F8_a_suspended_chain_is_cancelled_to_its_end() -> None:
    """A timeout at the root of 1,000 nested waits settles every level of it."""
    bus = EventBus(max_depth=2_000, max_history_size=None, slow_handler_seconds=0)

    async def descend(event: Ping) -> int:
        if event.left:
            await bus.dispatch(Ping(left=event.left - 1, event_timeout=None))
        else:
            await asyncio.get_running_loop().create_future()
        return 1

    bus.on(Ping, descend)
    event = bus.dispatch(Ping(left=1_000, event_timeout=1))
    async with asyncio.timeout(60):
        await event
    events = chain(event)
    assert len(events) == 1_001
    assert {each.event_status for each in events} == {"completed"}
    assert {type(record.error) for each in events[1:] for record in each.event_results.values()} == {EventCancelled}
    assert await works(bus)


async def test_L5_a_ring_of_forwards_stops_by_itself() -> None:
    """Ten buses that forward in a circle each handle the event once, whatever bus it started on."""
    buses = [EventBus() for _ in range(10)]
    seen: list[int] = []
    for number, bus in enumerate(buses):
        bus.on("*", buses[(number + 1) % 10].dispatch)
        bus.on(Ping, lambda event, number=number: seen.append(number))
    event = await buses[3].dispatch(Ping())
    assert sorted(seen) == list(range(10))
    assert event.event_path == [buses[(3 + step) % 10].name for step in range(10)]


async def test_L5_ten_thousand_handlers() -> None:
    """One event with 10,000 handlers runs each once, in order."""
    bus = EventBus()
    seen: list[int] = []
    for number in range(10_000):
        bus.on(Ping, lambda event, number=number: seen.append(number))
    event = await bus.dispatch(Ping())
    assert seen == list(range(10_000))
    assert len(event.event_results) == 10_000


async def test_L5_a_thousand_buses() -> None:
    """A star of 1,000 buses each handles the forwarded event once."""
    hub = EventBus()
    spokes = [EventBus() for _ in range(1_000)]
    for spoke in spokes:
        hub.on("*", spoke.dispatch)
        spoke.on(Ping, lambda event: event.left)
    event = await hub.dispatch(Ping(left=7))
    assert len(event.event_path) == 1_001
    assert sum(record.result == 7 for record in event.event_results.values()) == 1_000
