"""What every bridge promises, whatever is behind it: one suite for all engines."""

from __future__ import annotations

import asyncio
import copy
import logging
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bubus import BaseEvent, EventBus
from bubus.bridges import Bridge, Seen, SeenFile
from bubus.bridges._base import Message
from bubus.bridges._wire import route_of
from bubus.bridges.nats import NatsBridge
from bubus.bridges.redis import RedisBridge
from bubus.errors import (
    AlreadyDispatchedError,
    BridgeStateError,
    HandlerError,
    NotAnEventError,
    OptionError,
    OptionTypeError,
    PatternError,
    RemoteError,
    WaitTimeout,
)
from tests.bridge_engines import ENGINES, LEASE, Engine, new_stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.real_time

PATIENCE = 20.0
"""Seconds after which a test gives up."""


class OrderCreated(BaseEvent[str]):
    """What most tests send."""

    order_id: int
    step: int = 0


def by_order(event: OrderCreated) -> int:
    """Return what keeps events of one order in order."""
    return event.order_id


class Loose(BaseEvent[list[bytes]]):
    """An event with results that JSON has no word for."""


@pytest.fixture(params=list(ENGINES))
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """Return each engine."""
    async with ENGINES[request.param]() as one:
        yield one


@pytest.fixture
def stream() -> str:
    """Return a stream that only this test uses."""
    return new_stream()


async def until(condition: Callable[[], object]) -> None:
    """Return when *condition* holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a server, which sets no event of ours
            await asyncio.sleep(0.01)


def collect(bridge: Bridge, kind: Any = "*") -> list[BaseEvent[Any]]:
    """Return the list that what *bridge* receives is put into."""
    found: list[BaseEvent[Any]] = []
    bridge.on(kind, found.append)
    return found


# -- what arrives ----------------------------------------------------------------------------------------------------


async def test_an_event_arrives_as_it_was_with_a_state_of_its_own(engine: Engine, stream: str) -> None:
    """Id, parent, path and time are kept; status and results are those of the bus that receives it."""
    here, there = EventBus("Here"), EventBus("There")
    seen: list[tuple[str, list[str]]] = []
    there.on(OrderCreated, lambda event: seen.append((event.event_status, event.event_path)) or "billed")
    sender, receiver = engine.bridge(stream), engine.bridge(stream, "billing")
    here.on("*", sender.dispatch)
    receiver.on(OrderCreated, there.dispatch)
    parent = "018f8e40-1234-7000-8000-000000000000"
    async with sender, receiver:
        sent = await here.dispatch(OrderCreated(order_id=7, event_parent_id=parent))
        assert (await sent.event_results_list(raise_if_none=False)) == []
        await until(lambda: there.events_completed)

    [received] = there.events_completed
    assert received is not sent
    assert isinstance(received, OrderCreated)
    assert (received.event_id, received.event_parent_id) == (sent.event_id, parent)
    assert (received.event_created_at, received.order_id) == (sent.event_created_at, 7)
    assert seen == [("started", ["Here", "There"])]
    assert await received.event_result() == "billed"


async def test_what_is_sent_after_start_arrives(engine: Engine, stream: str) -> None:
    """`start` returns when the group exists: nothing that is sent afterwards can be missed."""
    async with engine.bridge(stream, "late") as receiver, engine.bridge(stream) as sender:
        event = OrderCreated(order_id=1)
        await sender.dispatch(event)
        found = collect(receiver, OrderCreated)
        await until(lambda: found)

    assert [one.event_id for one in found] == [event.event_id]


async def test_a_group_that_comes_later_gets_what_was_sent_before(engine: Engine, stream: str) -> None:
    """The stream keeps events for groups that do not exist yet."""
    async with engine.bridge(stream) as sender:
        await sender.dispatch(OrderCreated(order_id=1))
    later = engine.bridge(stream, "later")
    found = collect(later)
    async with later:
        await until(lambda: found)


async def test_members_of_a_group_share_its_events(engine: Engine, stream: str) -> None:
    """Each event goes to one member, and every member gets some."""
    one, two = (engine.bridge(stream, "g", max_in_flight=2) for _ in range(2))
    sender = engine.bridge(stream)
    counts: Counter[str] = Counter()
    ids: list[str] = []

    def member(name: str) -> Callable[[BaseEvent[Any]], Any]:
        async def handle(event: BaseEvent[Any]) -> None:
            counts[name] += 1
            ids.append(event.event_id)
            await asyncio.sleep(0.01)

        return handle

    one.on("*", member("one"))
    two.on("*", member("two"))
    async with one, two, sender:
        events = [OrderCreated(order_id=number) for number in range(60)]
        for event in events:
            await sender.dispatch(event)
        await until(lambda: len(ids) >= 60)
    assert sorted(ids) == sorted(event.event_id for event in events)
    assert min(counts["one"], counts["two"]) > 0


async def test_different_groups_each_get_everything(engine: Engine, stream: str) -> None:
    """What one group has done is still there for another."""
    billing, shipping, sender = (
        engine.bridge(stream, "billing"),
        engine.bridge(stream, "shipping"),
        engine.bridge(stream),
    )
    billed, shipped = collect(billing), collect(shipping)
    async with billing, shipping, sender:
        for number in range(10):
            await sender.dispatch(OrderCreated(order_id=number))
        await until(lambda: len(billed) == len(shipped) == 10)


async def test_an_id_is_stored_once(engine: Engine, stream: str) -> None:
    """Whoever does not know whether an event was sent may send it again."""
    sender, receiver = engine.bridge(stream), engine.bridge(stream, "g")
    found = collect(receiver)
    async with sender, receiver:
        event, last = OrderCreated(order_id=1), OrderCreated(order_id=2)
        for _ in range(5):
            await sender.dispatch(event)
        await sender.dispatch(last)
        await until(lambda: len(found) >= 2)
    assert [one.event_id for one in found] == [event.event_id, last.event_id]


async def test_what_was_done_has_no_effect_when_it_comes_again(engine: Engine, stream: str) -> None:
    """An id that the window knows is acknowledged and not handled."""
    window = Seen()
    event = OrderCreated(order_id=1)
    window.add([event.event_id])
    receiver = engine.bridge(stream, "g", window=window)
    found = collect(receiver)
    async with engine.bridge(stream) as sender, receiver:
        await sender.dispatch(event)
        await sender.dispatch(last := OrderCreated(order_id=2))
        await until(lambda: found)
    assert [one.event_id for one in found] == [last.event_id]
    assert receiver.statistics().repeated == 1


# -- order -----------------------------------------------------------------------------------------------------------


async def test_events_with_the_same_key_stay_in_order(engine: Engine, stream: str) -> None:
    """Also with two workers, and with a handler that fails now and then."""
    sender = engine.bridge(stream, key=by_order, shards=4)
    workers = [engine.bridge(stream, "g", shards=4) for _ in range(2)]
    steps: dict[int, list[int]] = {}
    failed: set[str] = set()

    async def handle(event: OrderCreated) -> None:
        await asyncio.sleep(0.001 * (event.step % 3))
        if event.step % 4 == 1 and event.event_id not in failed:
            failed.add(event.event_id)
            raise ValueError("once")
        steps.setdefault(event.order_id, []).append(event.step)

    for worker in workers:
        worker.on(OrderCreated, handle)
    async with sender, workers[0], workers[1]:
        await asyncio.gather(
            *(sender.dispatch(OrderCreated(order_id=order, step=step)) for step in range(6) for order in range(6))
        )
        await until(lambda: sum(map(len, steps.values())) >= 36)
    assert steps == {order: list(range(6)) for order in range(6)}


async def test_a_key_needs_a_stream_that_keeps_order(engine: Engine, stream: str) -> None:
    """A stream made without shards cannot keep the order that a key asks for: that is an error, not silence."""
    async with engine.bridge(stream):
        with pytest.raises(OptionError, match="without shards"):
            await engine.bridge(stream, key=by_order).start()
        with pytest.raises(OptionError, match="shards=0, not 3"):
            await engine.bridge(stream, shards=3).start()


async def test_receivers_take_over_the_shards_of_the_stream(engine: Engine, stream: str) -> None:
    """Only the side that sends names the key; a receiver gets all shards, whatever it was told."""
    sender, receiver = engine.bridge(stream, key=by_order), engine.bridge(stream, "g")
    found = collect(receiver)
    async with sender, receiver:
        for number in range(40):
            await sender.dispatch(OrderCreated(order_id=number))
        await until(lambda: len(found) == 40)


# -- failures --------------------------------------------------------------------------------------------------------


async def test_a_failed_event_is_delivered_again(engine: Engine, stream: str, caplog: pytest.LogCaptureFixture) -> None:
    """Until it succeeds; each time as a fresh event."""
    bus = EventBus("Flaky")
    statuses: list[str] = []

    def handle(event: OrderCreated) -> str:
        statuses.append(event.event_status)
        if len(statuses) < 3:
            raise ValueError("not yet")
        return "done"

    bus.on(OrderCreated, handle)
    receiver = engine.bridge(stream, "g")
    receiver.on("*", bus.dispatch)
    async with engine.bridge(stream) as sender, receiver:
        await sender.dispatch(OrderCreated(order_id=1))
        await until(lambda: receiver.statistics().done)
        assert await sender.dead_letters() == []
    assert statuses == ["started"] * 3
    assert receiver.statistics().failed == 2
    assert "delivery 1 of 5" in caplog.text


async def test_a_poison_event_becomes_a_dead_letter_and_can_be_queued_again(engine: Engine, stream: str) -> None:
    """After max_deliveries, with its error; others go on meanwhile, and a group gets back its own letters only."""
    sender = engine.bridge(stream)
    billing, shipping = engine.bridge(stream, "billing", max_deliveries=3), engine.bridge(stream, "shipping")
    tries: Counter[int] = Counter()
    is_mended = False

    def handle(event: OrderCreated) -> None:
        tries[event.order_id] += 1
        if event.order_id == 13 and not is_mended:
            raise ValueError("poison \x1b[31m")

    billing.on(OrderCreated, handle)
    shipped = collect(shipping)
    async with sender, billing, shipping:
        for number in (12, 13, 14):
            await sender.dispatch(event := OrderCreated(order_id=number))
        await until(lambda: billing.statistics().buried)
        await until(lambda: billing.statistics().in_flight == 0)
        assert tries == {12: 1, 13: 3, 14: 1}

        [letter] = await sender.dead_letters()
        assert (letter.group, letter.deliveries) == ("billing", 3)
        assert "ValueError: poison \\x1b[31m" in letter.error
        assert msgspec.json.decode(letter.body)["order_id"] == 13

        is_mended = True
        await sender.requeue(letter)
        await until(lambda: tries[13] == 4)
        assert await sender.dead_letters() == []
        await sender.dispatch(last := OrderCreated(order_id=15))
        await until(lambda: shipped and shipped[-1].event_id == last.event_id)
    assert len(shipped) == 4
    assert event.event_id in {one.event_id for one in shipped}


async def test_a_dead_letter_can_be_discarded(engine: Engine, stream: str) -> None:
    """It is gone then."""
    receiver = engine.bridge(stream, "g", max_deliveries=1)
    receiver.on("*", lambda event: 1 // 0)
    async with receiver:
        await receiver.dispatch(OrderCreated(order_id=1))
        await receiver.dispatch(OrderCreated(order_id=2))
        await until(lambda: receiver.statistics().buried == 2 and not receiver.statistics().in_flight)
        letters = await receiver.dead_letters()
        assert len(letters) == 2
        assert len(await receiver.dead_letters(limit=1)) == 1
        await receiver.discard(letters[0])
        assert [letter.id for letter in await receiver.dead_letters()] == [letters[1].id]


HOSTILE = {
    "no JSON": b"\xff\xfe",
    "no object": b"[1]",
    "no event type": b'{"a":1}',
    "too deep": b'{"event_type":"OrderCreated","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "too large": b'{"event_type":"OrderCreated","x":"' + b"a" * 600_000 + b'"}',
    "wrong field": b'{"event_type":"OrderCreated","order_id":"seven"}',
    "a type of no event": b'{"event_type":"__import__"}',
    "no id": b'{"event_type":"OrderCreated","order_id":1,"event_id":"../../etc"}',
    "surrogates": b'{"event_type":"OrderCreated","order_id":1,"x":"\\ud800"}',
}


async def test_what_is_no_event_becomes_a_dead_letter_at_once(engine: Engine, stream: str) -> None:
    """It is looked at before it is decoded, and trying again would not help; the events behind it go on."""
    receiver = engine.bridge(stream, "g", max_event_bytes=500_000)
    found = collect(receiver)
    async with engine.bridge(stream) as sender, receiver:
        messages = [Message(f"id-{number}", body) for number, body in enumerate(HOSTILE.values())]
        assert await sender.transport.publish(messages) == [None] * len(HOSTILE)
        assert await sender.transport.publish([Message("head", b"{}", b'{"buses":7}')]) == [None]
        await sender.dispatch(last := OrderCreated(order_id=1))
        await until(lambda: found and receiver.statistics().buried == len(HOSTILE) + 1)
        await until(lambda: receiver.statistics().in_flight == 0)
        letters = await receiver.dead_letters()
    assert [one.event_id for one in found] == [last.event_id]
    assert {letter.id: letter.body for letter in letters if letter.id != "head"} == {
        message.id: message.body for message in messages
    }
    assert all(letter.deliveries == 1 for letter in letters)


async def test_a_slow_handler_keeps_its_lease(engine: Engine, stream: str) -> None:
    """One that takes three times the lease runs once."""
    one, two = engine.bridge(stream, "g"), engine.bridge(stream, "g")
    runs: list[str] = []

    async def handle(event: OrderCreated) -> None:
        runs.append(event.event_id)
        await asyncio.sleep(3 * LEASE)

    one.on(OrderCreated, handle)
    two.on(OrderCreated, handle)
    async with one, two:
        await one.dispatch(event := OrderCreated(order_id=1))
        await until(lambda: one.statistics().done or two.statistics().done)
    assert runs == [event.event_id]


async def test_what_a_dead_worker_had_goes_to_another(engine: Engine, stream: str) -> None:
    """When its lease ends."""
    dead = engine.bridge(stream, "g")
    async with dead:
        await dead.dispatch(event := OrderCreated(order_id=1))
        assert [one.id for one in await dead.transport.fetch(5, PATIENCE)] == [event.event_id]
    other = engine.bridge(stream, "g")
    found = collect(other)
    async with other:
        await until(lambda: found)
    assert [one.event_id for one in found] == [event.event_id]


# -- loops, forgeries, unknown types -----------------------------------------------------------------------------------


async def test_a_ring_of_processes_has_an_event_once_each(engine: Engine, stream: str) -> None:
    """What came out of a stream does not go in again, and no bus gets what it had: by id, not by name."""
    buses = [EventBus(name, max_pending=None) for name in ("Same", "Other")]
    bridges = [engine.bridge(stream, f"g{number}") for number in range(2)]
    for bus, bridge in zip(buses, bridges, strict=True):
        bus.on("*", bridge.dispatch)
        bridge.on("*", bus.dispatch)
    async with bridges[0], bridges[1]:
        event = await buses[0].dispatch(OrderCreated(order_id=1))
        back = await buses[1].dispatch(OrderCreated(order_id=2))
        await until(lambda: [bus.statistics().completed for bus in buses] == [2, 2])
        await asyncio.sleep(0.1)
    assert [bus.statistics().accepted for bus in buses] == [2, 2]
    assert [bridge.statistics().sent for bridge in bridges] == [1, 1]
    assert buses[1].event_history[event.event_id].event_path == ["Same", "Other"]
    assert buses[0].event_history[back.event_id].event_path == ["Other", "Same"]


async def test_events_pass_on_through_two_streams_and_never_back(engine: Engine, stream: str) -> None:
    """A chain of three processes that forward everything both ways: each has the event once."""
    first, second = stream, new_stream()
    buses = [EventBus(f"P{number}") for number in range(3)]
    links = [
        (engine.bridge(first, "p0"), buses[0]),
        (engine.bridge(first, "p1"), buses[1]),
        (engine.bridge(second, "p1"), buses[1]),
        (engine.bridge(second, "p2"), buses[2]),
    ]
    for bridge, bus in links:
        bus.on("*", bridge.dispatch)
        bridge.on("*", bus.dispatch)
        await bridge.start()
    await buses[0].dispatch(event := OrderCreated(order_id=1))
    await until(lambda: buses[2].statistics().completed)
    await asyncio.sleep(0.1)
    for bridge, _ in links:
        await bridge.stop()
    assert [bus.statistics().accepted for bus in buses] == [1, 1, 1]
    assert buses[2].event_history[event.event_id].event_path == ["P0", "P1", "P2"]


UNKNOWN = (
    b'{ "event_type":"FromTheFuture", "event_id":"018f8e40-0000-7000-8000-00000000000%d",'
    b'\n "event_created_at":"2026-01-02T03:04:05.678+01:00", "n":1.50, "big":123456789012345678901234567890,'
    b' "text":"\\u00e9\xc3\xa9", "event_path":["Far"], "nested":{"b":1,"a":[null, true]} }'
)
EXTRA = (
    b'{"event_type":"OrderCreated","event_id":"018f8e40-0000-7000-8000-0000000000ff","later_field":{"z":1.0},'
    b'"order_id":"5"}'
)


async def test_unknown_events_are_forwarded_byte_for_byte(engine: Engine, stream: str) -> None:
    """So are fields that this version does not know: what passes through a process is not changed by it."""
    second = new_stream()
    middle, bus = engine.bridge(stream, "middle"), EventBus("Middle")
    onwards, end = engine.bridge(second), engine.bridge(second, "end")
    found: list[BaseEvent[Any]] = []
    middle.on("*", bus.dispatch)
    bus.on("*", onwards.dispatch)
    end.on("*", found.append)
    async with middle, onwards, end, engine.bridge(stream) as sender:
        await sender.transport.publish([Message("u", UNKNOWN % 1), Message("x", EXTRA)])
        await until(lambda: len(found) == 2)
    assert [route.body for event in found if (route := route_of(event))] == [UNKNOWN % 1, EXTRA]
    unknown, known = found
    assert type(unknown) is BaseEvent
    assert (unknown.event_type, unknown.event_path) == ("FromTheFuture", ["Far", "Middle"])
    assert isinstance(known, OrderCreated)
    assert (known.order_id, known.model_extra) == (5, {"later_field": {"z": 1.0}})


class Moved(BaseEvent[None], version="2"):
    """An event of which there are several versions."""

    place: str = ""


async def test_a_newer_version_passes_through_as_it_is(engine: Engine, stream: str) -> None:
    """While programs are updated one by one: handlers of the class get it undecoded, and it goes on unchanged."""
    receiver = engine.bridge(stream, "g")
    found = collect(receiver, Moved)
    schema = Moved(place="x").event_schema.rpartition("@")[0]
    bodies = [
        b'{"event_type":"Moved","event_schema":"%b@%d","event_id":"018f8e40-0000-7000-8000-00000000000%d","to":[1.0]}'
        % (schema.encode(), version, version)
        for version in (2, 3)
    ]
    async with receiver:
        await receiver.transport.publish([Message(str(number), body) for number, body in enumerate(bodies)])
        await until(lambda: len(found) == 2)
    assert [type(event) for event in found] == [Moved, BaseEvent]
    assert [event.model_extra for event in found] == [{"to": [1.0]}, {"to": [1.0]}]
    assert [route.body for event in found if (route := route_of(event))] == bodies


async def test_a_received_event_that_was_changed_is_forwarded_as_it_is_now(engine: Engine, stream: str) -> None:
    """Only what nobody changed keeps its bytes."""
    second = new_stream()
    middle, onwards, end = engine.bridge(stream, "middle"), engine.bridge(second), engine.bridge(second, "end")

    async def change(event: OrderCreated) -> None:
        event.order_id += 1
        await onwards.dispatch(event)

    middle.on(OrderCreated, change)
    found = collect(end)
    async with middle, onwards, end:
        await middle.dispatch(OrderCreated(order_id=1))
        await until(lambda: found)
    [event] = found
    assert isinstance(event, OrderCreated)
    assert event.order_id == 2


async def test_a_new_event_made_of_a_received_one_is_sent(engine: Engine, stream: str) -> None:
    """Only the event itself has been in the stream: a copy with an id of its own goes out like any other."""
    receiver = engine.bridge(stream, "g")
    found: list[int] = []

    async def follow(event: OrderCreated) -> None:
        found.append(event.step)
        if event.step == 0:
            for step, one in enumerate((copy.copy(event), event), 1):
                one.event_id, one.step = str(uuid.uuid4()), step
                await receiver.dispatch(one)

    receiver.on(OrderCreated, follow)
    async with receiver:
        await receiver.dispatch(OrderCreated(order_id=1))
        await until(lambda: len(found) == 3)
    assert found == [0, 1, 2]


async def test_S9_a_forged_id_does_not_touch_the_live_event(engine: Engine, stream: str) -> None:
    """An event with the id of one that is in flight here is refused, and that one goes on."""
    bus, gate = EventBus("Live"), asyncio.Event()

    async def handle(event: OrderCreated) -> str:
        await gate.wait()
        return f"order {event.order_id}"

    bus.on(OrderCreated, handle)
    receiver = engine.bridge(stream, "g")
    receiver.on("*", bus.dispatch)
    live = bus.dispatch(OrderCreated(order_id=1))
    async with engine.bridge(stream) as forger, receiver:
        await forger.dispatch(OrderCreated(order_id=666, event_id=live.event_id))
        await until(lambda: receiver.statistics().buried)
        gate.set()
        assert await live.event_result() == "order 1"
        await until(lambda: receiver.statistics().in_flight == 0)
        [letter] = await receiver.dead_letters()
    assert bus.event_history[live.event_id] is live
    assert "another event with the id" in letter.error


async def test_an_id_of_a_bus_in_the_path_is_no_name(engine: Engine, stream: str) -> None:
    """Two processes may call their buses alike, R38; what users see in event_path is names."""
    receiver, bus = engine.bridge(stream, "g"), EventBus("Twin")
    receiver.on("*", bus.dispatch)
    async with engine.bridge(stream) as sender, receiver:
        await sender.dispatch(event := OrderCreated(order_id=1, event_path=["Twin"]))
        await until(lambda: bus.events_completed)
    assert bus.event_history[event.event_id].event_path == ["Twin", "Twin"]


# -- requests --------------------------------------------------------------------------------------------------------


async def test_a_request_returns_the_event_with_its_results(engine: Engine, stream: str) -> None:
    """Typed and validated as those of a local dispatch; the event is complete."""
    bus = EventBus("Worker")
    bus.on(OrderCreated, lambda event: f"billed {event.order_id}")
    bus.on(OrderCreated, lambda event: None)
    bus.on(Loose, lambda event: [b"\xff\x00"])
    worker = engine.bridge(stream, "g")
    worker.on("*", bus.dispatch)
    async with engine.bridge(stream) as client, worker:
        event = await client.request(OrderCreated(order_id=7), timeout=PATIENCE)
        loose = await client.request(Loose(), timeout=PATIENCE)
    assert event.event_status == "completed"
    assert await event.event_result() == "billed 7"
    assert await loose.event_result() == [b"\xff\x00"]
    assert [(one.handler_name, one.eventbus_name) for one in event.event_results.values()] == [
        ("<lambda>", "Worker"),
        ("<lambda>", "Worker"),
    ]
    assert bus.statistics().completed == 2


async def test_a_request_brings_back_errors_and_is_not_repeated(engine: Engine, stream: str) -> None:
    """They are what the result raises; whoever asked decides whether to ask again."""
    worker = engine.bridge(stream, "g")
    calls: list[int] = []

    @worker.on(OrderCreated)
    async def handle(event: OrderCreated) -> str:
        calls.append(event.order_id)
        raise KeyError(event.order_id)

    async with worker:
        event = await worker.request(OrderCreated(order_id=7), timeout=PATIENCE)
        with pytest.raises(RemoteError, match="KeyError: 7") as caught:
            await event.event_result()
        await until(lambda: worker.statistics().in_flight == 0)
        assert await worker.dead_letters() == []
    assert caught.value.error_type == "KeyError"
    assert calls == [7]


async def test_a_request_can_name_the_group(engine: Engine, stream: str) -> None:
    """Only its members handle it."""
    billing, shipping = engine.bridge(stream, "billing"), engine.bridge(stream, "shipping")
    billing.on(OrderCreated, lambda event: "billed")
    shipping.on(OrderCreated, lambda event: "shipped")
    async with billing, shipping:
        event = await billing.request(OrderCreated(order_id=7), timeout=PATIENCE, group="shipping")
        assert await event.event_results_list() == ["shipped"]
        await until(lambda: not billing.statistics().in_flight and not shipping.statistics().in_flight)
    assert (billing.statistics().done, shipping.statistics().done) == (0, 1)


async def test_a_request_that_nobody_answers_fails_in_time(engine: Engine, stream: str) -> None:
    """The error is raised, and is the event's result too; nobody who awaits the event is left behind."""
    async with engine.bridge(stream) as client:
        event = OrderCreated(order_id=7)
        with pytest.raises(WaitTimeout, match="no results of OrderCreated"):
            await client.request(event, timeout=0.1)
        await event
        with pytest.raises(WaitTimeout):
            await event.event_result()
        with pytest.raises(AlreadyDispatchedError):
            await client.request(event)


async def test_a_request_inside_a_handler_is_a_child(engine: Engine, stream: str) -> None:
    """It names its parent, and is shown below it."""
    bus, worker = EventBus("Asks"), engine.bridge(stream, "g")
    worker.on(OrderCreated, lambda event: f"for {event.event_parent_id}")

    async def ask(event: Loose) -> list[bytes]:
        answer = await (await worker.request(OrderCreated(order_id=1), timeout=PATIENCE)).event_result()
        return [answer.encode()]

    bus.on(Loose, ask)
    async with worker:
        event = await bus.dispatch(Loose())
    assert await event.event_result() == [f"for {event.event_id}".encode()]
    assert [child.event_type for child in event.event_children] == ["OrderCreated"]


# -- pressure and endings ----------------------------------------------------------------------------------------------


async def test_no_more_is_received_than_can_be_worked_on(engine: Engine, stream: str) -> None:
    """At most max_in_flight events are here at once; the rest stays in the stream."""
    receiver, gate = engine.bridge(stream, "g", max_in_flight=3), asyncio.Event()
    running: list[str] = []

    async def handle(event: OrderCreated) -> None:
        running.append(event.event_id)
        await gate.wait()

    receiver.on(OrderCreated, handle)
    async with engine.bridge(stream) as sender, receiver:
        for number in range(10):
            await sender.dispatch(OrderCreated(order_id=number))
        await until(lambda: len(running) == 3)
        await asyncio.sleep(0.1)
        assert (len(running), receiver.statistics().in_flight) == (3, 3)
        gate.set()
        await until(lambda: len(running) == 10)


async def test_a_bus_that_is_full_is_waited_for(engine: Engine, stream: str) -> None:
    """Its CapacityError is no failure of the event."""
    bus = EventBus("Narrow", max_pending=1)
    bus.on(OrderCreated, lambda event: asyncio.sleep(0.005, "ok"))
    receiver = engine.bridge(stream, "g")
    receiver.on("*", bus.dispatch)
    async with engine.bridge(stream) as sender, receiver:
        for number in range(15):
            await sender.dispatch(OrderCreated(order_id=number))
        await until(lambda: receiver.statistics().done == 15)
    assert receiver.statistics().failed == 0


async def test_stop_finishes_what_is_being_done(engine: Engine, stream: str) -> None:
    """And acknowledges it; what was not received stays for others."""
    receiver, started = engine.bridge(stream, "g", max_in_flight=1), asyncio.Event()
    done: list[str] = []

    async def handle(event: OrderCreated) -> None:
        started.set()
        await asyncio.sleep(0.05)
        done.append(event.event_id)

    receiver.on(OrderCreated, handle)
    first, second = OrderCreated(order_id=1), OrderCreated(order_id=2)
    await receiver.start()
    await receiver.dispatch(first)
    await receiver.dispatch(second)
    await started.wait()
    await receiver.stop()
    await receiver.stop()
    assert done == [first.event_id]

    other = engine.bridge(stream, "g")
    found = collect(other)
    async with other:
        await until(lambda: found)
        await asyncio.sleep(0.1)
    assert [one.event_id for one in found] == [second.event_id]


async def test_stop_hands_back_what_is_not_done_in_time(engine: Engine, stream: str) -> None:
    """It is cut off here, and done elsewhere without waiting for the lease; that is no failure."""
    receiver, started = engine.bridge(stream, "g", lease=30.0, max_deliveries=1), asyncio.Event()

    async def hang(event: OrderCreated) -> None:
        started.set()
        await asyncio.get_running_loop().create_future()

    receiver.on(OrderCreated, hang)
    await receiver.start()
    await receiver.dispatch(event := OrderCreated(order_id=1))
    await started.wait()
    other = engine.bridge(stream, "g", lease=30.0)
    found = collect(other)
    async with other:
        await receiver.stop(timeout=0.01)
        await until(lambda: found)
    assert [one.event_id for one in found] == [event.event_id]
    assert receiver.statistics().failed == receiver.statistics().buried == 0


async def test_a_bus_that_stops_hands_its_events_back(engine: Engine, stream: str) -> None:
    """They were not handled: another worker gets them."""
    bus, started = EventBus("Ends"), asyncio.Event()

    async def hang(event: OrderCreated) -> None:
        started.set()
        await asyncio.get_running_loop().create_future()

    bus.on(OrderCreated, hang)
    receiver, other = engine.bridge(stream, "g", max_in_flight=1), engine.bridge(stream, "g")
    receiver.on("*", bus.dispatch)
    await receiver.start()
    await receiver.dispatch(event := OrderCreated(order_id=1))
    await started.wait()
    found = collect(other)
    async with other:
        await bus.stop(clear=True)
        await until(lambda: found)
    await receiver.stop()
    assert [one.event_id for one in found] == [event.event_id]
    assert receiver.statistics().failed == 0


async def test_a_bridge_is_used_between_start_and_stop(engine: Engine, stream: str) -> None:
    """Before and after that it says so, and a stopped one never comes back."""
    bridge = engine.bridge(stream, "g")
    for use in (bridge.dispatch, bridge.request):
        with pytest.raises(BridgeStateError, match="start"):
            await use(OrderCreated(order_id=1))
    async with bridge:
        with pytest.raises(BridgeStateError):
            await bridge.start()
        with pytest.raises(NotAnEventError):
            await bridge.dispatch("no event")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - that is the test
    with pytest.raises(BridgeStateError, match="closed for good"):
        await bridge.dispatch(OrderCreated(order_id=1))
    with pytest.raises(BridgeStateError, match="make a new bridge"):
        await bridge.start()
    with pytest.raises(BridgeStateError):
        await bridge.dead_letters()


async def test_a_failed_dispatch_is_a_failed_handler(engine: Engine, stream: str) -> None:
    """To the bus the bridge is a handler like any other."""
    bus, bridge = EventBus("Out"), engine.bridge(stream)
    bus.on("*", bridge.dispatch)
    event = await bus.dispatch(OrderCreated(order_id=1))
    with pytest.raises(BridgeStateError):
        await event.event_result()


async def test_a_window_in_a_file_is_shared_by_processes_and_survives_them(
    engine: Engine, stream: str, tmp_path: Path
) -> None:
    """What one worker has done, its successor does not do again."""
    event = OrderCreated(order_id=1)
    found: list[BaseEvent[Any]] = []

    async def receive() -> tuple[int, int]:
        receiver = engine.bridge(stream, "g", window=SeenFile(tmp_path / "seen.db"))
        receiver.on("*", found.append)
        async with receiver:
            await receiver.transport.publish([Message(new_stream(), event.model_dump_json().encode())])
            await until(lambda: receiver.statistics().done or receiver.statistics().repeated)
        return receiver.statistics().done, receiver.statistics().repeated

    assert [await receive(), await receive()] == [(1, 0), (0, 1)]
    assert [one.event_id for one in found] == [event.event_id]


# -- wrong use -------------------------------------------------------------------------------------------------------


def test_the_url_of_another_server_is_refused() -> None:
    """When the bridge is made, and without the password in it."""
    for make, url in (
        (RedisBridge, "nats://user:secret@here"),
        (RedisBridge, "here:6379"),
        (NatsBridge, "redis://here"),
    ):
        with pytest.raises(OptionError, match="its URLs are") as caught:
            make(url, stream="s")
        assert "secret" not in str(caught.value)
    assert NatsBridge(["here:4222", "tls://there"], stream="s").name == "NatsBridge(s)"


async def test_wrong_options_are_refused(engine: Engine) -> None:
    """With the name of the option and what it may be."""
    for options in ({"max_in_flight": 0}, {"max_deliveries": 0}, {"retry_delay": -1}, {"lease": 0.1}, {"shards": -1}):
        with pytest.raises(OptionError, match=next(iter(options))):
            engine.bridge("s", "g", **options)
    for name in ("", "a.b", "a b", "*", ">", "ä", "x" * 65, "-a"):
        with pytest.raises(OptionError, match="stream="):
            engine.bridge(name)
    with pytest.raises(OptionTypeError, match="key='x' must be a function"):
        engine.bridge("s", key="x")
    with pytest.raises(OptionTypeError):
        engine.bridge(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - that is the test
    with pytest.raises(OptionError, match="group"):
        engine.bridge("s").on("*", print)
    with pytest.raises(PatternError):
        engine.bridge("s", "g").on(7, print)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType] - that is the test
    with pytest.raises(HandlerError):
        engine.bridge("s", "g").on("*", lambda: None)  # type: ignore[misc, arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType] - that is the test


async def test_nothing_hostile_reaches_a_terminal(
    engine: Engine, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Names and errors of others are escaped in logs."""
    caplog.set_level(logging.DEBUG)
    receiver = engine.bridge(stream, "g", max_deliveries=1)

    def fail(event: BaseEvent[Any]) -> None:
        raise ValueError("\x1b[2J\u202e")

    receiver.on("*", fail)
    async with receiver:
        await receiver.transport.publish([Message("\x1bid", b'{"event_type":"\x1b"}'), Message("b", UNKNOWN % 2)])
        await until(lambda: receiver.statistics().buried == 2 and not receiver.statistics().in_flight)
    assert "dead letter" in caplog.text
    assert not {"\x1b", "\u202e"} & set(caplog.text)
