"""In which context handlers run, and which bus they see."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from contextvars import ContextVar
from typing import Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import CapacityError, NotInHandlerError

user: ContextVar[str] = ContextVar("user", default="nobody")
holder: ContextVar[object] = ContextVar("holder", default=None)


class Ask(BaseEvent[str]):
    pass


class Child(BaseEvent[str]):
    pass


class Thing:
    """Something a weak reference can watch."""


async def who(event: BaseEvent[Any]) -> str:
    """Return the user whose context this handler runs in, after a suspension."""
    before = user.get()
    await asyncio.sleep(0)
    return before if user.get() == before else "changed"


def who_sync(event: BaseEvent[Any]) -> str:
    """Return the user whose context this handler runs in."""
    return user.get()


def ask_as(bus: EventBus, name: str) -> Ask:
    """Dispatch in a context of its own."""

    def ask() -> Ask:
        user.set(name)
        return bus.dispatch(Ask())

    return contextvars.copy_context().run(ask)


@pytest.mark.parametrize("parallel", [False, True], ids=["serial", "parallel"])
async def test_R8_handlers_see_the_context_of_their_dispatch(*, parallel: bool) -> None:
    """Alice's event is handled as Alice, Bob's as Bob, by sync and async handlers, whoever was first."""
    bus = EventBus(parallel_handlers=parallel)
    bus.on(Ask, who)
    bus.on(Ask, who_sync)
    asked = {name: ask_as(bus, name) for name in ("alice", "bob", "carol")}

    for name, event in asked.items():
        assert await event.event_results_list() == [name, name]
    assert user.get() == "nobody"


async def test_R8_the_context_is_the_one_at_dispatch() -> None:
    """What the dispatcher sets later is not seen, and awaiting elsewhere changes nothing."""
    bus = EventBus()
    bus.on(Ask, who)
    token = user.set("before")
    event = bus.dispatch(Ask())
    user.set("after")
    result = await event.event_result()
    user.reset(token)

    assert result == "before"


async def test_R8_children_inherit_the_context_of_the_handler() -> None:
    """A child sees what its parent's handler has set before the dispatch, awaited or not."""
    bus = EventBus()

    async def parent(event: Ask) -> str:
        user.set(f"{user.get()}'s handler")
        awaited, left = bus.dispatch(Child()), bus.dispatch(Child())
        user.set("too late")
        await awaited
        assert left.event_status == "pending"
        return str(await awaited.event_result())

    bus.on(Ask, parent)
    bus.on(Child, who)
    event = ask_as(bus, "alice")

    assert await event.event_result() == "alice's handler"
    await event
    assert [await child.event_result() for child in event.event_children] == ["alice's handler"] * 2


async def test_R8_forwarded_events_keep_the_context() -> None:
    """The target bus runs its handlers in the context of the first dispatch."""
    first, second = EventBus(), EventBus()
    first.on("*", second.dispatch)
    second.on(Ask, who)
    events = [ask_as(first, name) for name in ("alice", "bob")]

    assert [await event.event_result() for event in events] == ["alice", "bob"]


@pytest.mark.parametrize("parallel", [False, True], ids=["serial", "parallel"])
@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_R9_what_a_handler_sets_stays_in_its_call(*, parallel: bool, sync: bool) -> None:
    """Neither siblings nor later events nor the dispatcher see what a handler sets."""
    bus = EventBus(parallel_handlers=parallel)

    def intrude(event: Ask) -> None:
        user.set("intruder")

    async def intrude_async(event: Ask) -> None:
        user.set("intruder")

    bus.on(Ask, intrude if sync else intrude_async)
    bus.on(Ask, who)
    bus.on(Ask, who_sync)
    first, second = ask_as(bus, "alice"), ask_as(bus, "bob")

    assert await first.event_results_list() == ["alice", "alice"]
    assert await second.event_results_list() == ["bob", "bob"]
    assert user.get() == "nobody"


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
async def test_R9_no_context_is_kept_after_completion(*, sync: bool) -> None:
    """What dispatcher and handlers had in their contexts is freed, though event and bus live on."""
    bus = EventBus()
    watched: list[weakref.ref[Thing]] = []

    def put() -> None:
        thing = Thing()
        watched.append(weakref.ref(thing))
        holder.set(thing)

    async def put_async(event: Ask) -> None:
        put()
        await asyncio.sleep(0)

    def put_sync(event: Ask) -> None:
        put()

    def ask() -> Ask:
        put()
        return bus.dispatch(Ask())

    bus.on(Ask, put_sync if sync else put_async)
    event = contextvars.copy_context().run(ask)
    await event
    await bus.wait_until_idle()
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()

    assert [reference() for reference in watched] == [None, None]
    assert list(bus.events_completed) == [event]


async def test_R9_a_refused_dispatch_keeps_no_context() -> None:
    """An event that was not accepted holds nothing of its dispatcher."""
    bus = EventBus(max_pending=1)
    bus.dispatch(Ask())
    watched: list[weakref.ref[Thing]] = []
    refused = Ask()

    def ask() -> None:
        thing = Thing()
        watched.append(weakref.ref(thing))
        holder.set(thing)
        with pytest.raises(CapacityError):
            bus.dispatch(refused)

    contextvars.copy_context().run(ask)
    gc.collect()
    assert watched[0]() is None
    await bus.wait_until_idle()


async def test_R42_event_bus_is_the_bus_that_runs_the_handler() -> None:
    """After forwarding, each handler sees its own bus, also after a suspension and beside the other."""
    first, second, third = EventBus(), EventBus(), EventBus()
    seen: list[tuple[str, str, str]] = []
    together = asyncio.Barrier(3)

    def register(bus: EventBus) -> None:
        async def look(event: Ask) -> None:
            before = event.event_bus.id
            await together.wait()
            seen.append((bus.id, before, event.event_bus.id))

        bus.on(Ask, look)

    for bus in (first, second, third):
        register(bus)
    first.on("*", second.dispatch)
    second.on("*", third.dispatch)
    # The forwards come after the typed handlers, which wait: start the other buses from outside.
    event = first.dispatch(Ask())
    second.dispatch(event)
    third.dispatch(event)
    async with asyncio.timeout(10):
        await event

    assert sorted(seen) == sorted((bus.id, bus.id, bus.id) for bus in (first, second, third))


@pytest.mark.parametrize("parallel", [False, True], ids=["serial", "parallel"])
async def test_R42_sync_and_async_handlers_see_their_bus(*, parallel: bool) -> None:
    """`event_bus` works in plain functions and in coroutines."""
    bus = EventBus(parallel_handlers=parallel)

    async def name(event: Ask) -> str:
        return event.event_bus.name

    bus.on(Ask, name)
    bus.on(Ask, lambda event: event.event_bus.name)
    event = await bus.dispatch(Ask())

    assert await event.event_results_list() == [bus.name, bus.name]


async def test_R42_inside_a_nested_handler_it_is_the_inner_bus() -> None:
    """A child on another bus sees that bus; the parent sees its own again afterwards."""
    outer, inner = EventBus(), EventBus()

    async def parent(event: Ask) -> str:
        first = event.event_bus.name
        child = str(await inner.dispatch(Child()).event_result())
        return f"{first} {child} {event.event_bus.name}"

    outer.on(Ask, parent)
    inner.on(Child, lambda event: event.event_bus.name)

    assert await outer.dispatch(Ask()).event_result() == f"{outer.name} {inner.name} {outer.name}"


async def test_R42_outside_handlers_there_is_no_event_bus() -> None:
    """Before, after and beside handlers the property raises and says where it works."""
    bus = EventBus()
    event = Ask()
    for _ in range(2):
        with pytest.raises(NotInHandlerError, match="handler") as caught:
            _ = event.event_bus
        assert isinstance(caught.value, RuntimeError)
        if event.event_status == "pending":
            await bus.dispatch(event)
    assert event.event_status == "completed"
