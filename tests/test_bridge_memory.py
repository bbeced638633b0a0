"""Bridges in one process and in virtual time: waiting, outboxes, windows, endings; no server is needed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.bridges import Bridge, Delivery, Message, Outbox, Seen, SeenFile, Verdict
from bubus.bridges._base import checked_name, shard_of
from bubus.bridges._safe import safe
from bubus.bridges.memory import MemoryBridge, MemoryServer, MemoryTransport
from bubus.errors import (
    BridgeConnectError,
    BridgeFull,
    BridgeRefused,
    BridgeStateError,
    BridgeUnavailable,
    HandlerTimeout,
    OptionError,
    WaitTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.virtual_time


class Note(BaseEvent[str]):
    """What is sent."""

    text: str = ""


@pytest.fixture
def server() -> MemoryServer:
    """Return a server of this test."""
    return MemoryServer()


# -- outages ---------------------------------------------------------------------------------------------------------


async def test_an_outage_is_waited_for_and_said_once(server: MemoryServer, caplog: pytest.LogCaptureFixture) -> None:
    """Attempts come at longer and longer intervals, a second at most; what waits is sent within a second of the end."""
    bridge, bus = MemoryBridge(server, stream="s", group="g"), EventBus("B")
    bus.on("*", bridge.dispatch)
    bridge.on("*", lambda event: None)
    loop = asyncio.get_running_loop()
    async with bridge:
        server.go_down()
        event = bus.dispatch(Note(event_timeout=None))
        await asyncio.sleep(3600)
        assert event.event_status == "started"
        assert bridge.statistics().waiting == 1
        server.come_back()
        back = loop.time()
        await event
        assert loop.time() - back <= 1.0
    said = [record.getMessage().split(": ", 1)[1] for record in caplog.records if "server" in record.getMessage()]
    assert [text[:26] for text in said] == ["the server does not answer", "the server answers again"]


async def test_an_outage_ends_at_the_handlers_timeout(server: MemoryServer) -> None:
    """The event of the sending bus fails as with any handler; it is not sent later either, as somebody was told."""
    bridge, bus = MemoryBridge(server, stream="s", group="g"), EventBus("B")
    bus.on("*", bridge.dispatch)
    found: list[BaseEvent[Any]] = []
    bridge.on("*", found.append)
    async with bridge:
        server.go_down()
        event = await bus.dispatch(Note(event_timeout=2.0))
        with pytest.raises(HandlerTimeout):
            await event.event_result()
        server.come_back()
        await bridge.dispatch(Note(text="next"))
        await asyncio.sleep(5)
    assert [one.text for one in found if isinstance(one, Note)] == ["next"]


async def test_no_more_wait_in_memory_than_may(server: MemoryServer) -> None:
    """One more is refused, loudly."""
    async with MemoryBridge(server, stream="s", max_waiting=2) as bridge:
        server.go_down()
        sending = [asyncio.create_task(bridge.dispatch(Note())) for _ in range(2)]
        await asyncio.sleep(1)
        with pytest.raises(BridgeFull, match="max_waiting"):
            await bridge.dispatch(Note())
        server.come_back()
        await asyncio.gather(*sending)


async def test_stop_in_an_outage_ends_in_time_and_tells_who_waits(server: MemoryServer) -> None:
    """Whoever waits for the server learns that the outcome is unknown."""
    bridge = MemoryBridge(server, stream="s", group="g")
    bridge.on("*", print)
    await bridge.start()
    server.go_down()
    sending = [asyncio.create_task(bridge.dispatch(Note())) for _ in range(3)]
    asking = asyncio.create_task(bridge.request(Note(), timeout=100))
    await asyncio.sleep(1)
    loop = asyncio.get_running_loop()
    start = loop.time()
    await bridge.stop(timeout=2)
    assert loop.time() - start <= 2.5
    for task in (*sending, asking):
        with pytest.raises(BridgeStateError, match="it may have it or not"):
            await task


async def test_start_fails_while_the_server_is_down_and_may_be_called_again(
    server: MemoryServer, tmp_path: Path
) -> None:
    """The outbox is closed again too."""
    bridge = MemoryBridge(server, stream="s", outbox=Outbox(tmp_path / "box", fsync="no"))
    server.go_down()
    with pytest.raises(BridgeConnectError):
        await bridge.start()
    server.come_back()
    async with bridge:
        await bridge.dispatch(Note())


async def test_a_request_in_an_outage_ends_in_time(server: MemoryServer) -> None:
    """It is not sent later."""
    async with MemoryBridge(server, stream="s") as bridge:
        server.go_down()
        with pytest.raises(WaitTimeout):
            await bridge.request(Note(), timeout=3)
        server.come_back()
        await asyncio.sleep(5)
        assert bridge.statistics().sent == 0


class Odd(MemoryTransport):
    """An engine that behaves badly in one way or another."""

    failures: Sequence[Exception] = ()

    async def publish(self, messages: Sequence[Message], *, dead: bool = False) -> list[Exception | None]:
        """Fail as long as there are failures to come."""
        if self.failures:
            error, *self.failures = self.failures
            raise error
        return await super().publish(messages, dead=dead)

    async def fetch(self, limit: int, wait: float) -> Sequence[Delivery]:
        """Fail likewise."""
        if self.failures:
            error, *self.failures = self.failures
            raise error
        return await super().fetch(limit, wait)


async def test_an_error_that_nobody_expected_does_not_end_sending_or_receiving(
    server: MemoryServer, tmp_path: Path
) -> None:
    """Whoever waits for that event is told; the outbox tries again, and receiving goes on."""
    transport = Odd(server, stream="s", group=None)
    async with Bridge(transport) as bridge:
        transport.failures = [ZeroDivisionError("a bug")]
        with pytest.raises(ZeroDivisionError):
            await bridge.dispatch(Note())
        await bridge.dispatch(Note())

    outbox = Outbox(tmp_path / "box")
    transport = Odd(server, stream="s", group="g")
    found: list[BaseEvent[Any]] = []
    async with Bridge(transport, outbox=outbox) as bridge:
        bridge.on("*", found.append)
        transport.failures = [ZeroDivisionError("a bug")] * 3
        await bridge.dispatch(Note(text="last"))
        await asyncio.sleep(10)
        assert len(outbox) == 0
    assert [one.text for one in found if isinstance(one, Note)] == ["", "last"]


async def test_a_window_that_fails_costs_no_event(server: MemoryServer, caplog: pytest.LogCaptureFixture) -> None:
    """What it cannot tell now is delivered again; what it cannot note is said."""

    class Broken(Seen):
        failures = 3

        def has(self, event_id: str) -> bool:
            if self.failures:
                self.failures -= 1
                raise OSError("no disk")
            return super().has(event_id)

        def add(self, event_ids: Sequence[str]) -> None:
            raise OSError("no disk")

    bridge = MemoryBridge(server, stream="s", group="g", window=Broken(), lease=1.0)
    found: list[BaseEvent[Any]] = []
    bridge.on("*", found.append)
    async with bridge:
        await bridge.dispatch(Note())
        await asyncio.sleep(10)
    assert len(found) == 1
    assert caplog.text.count("cannot be taken now") == 3
    assert "the window cannot be written" in caplog.text


async def test_a_stream_in_memory_drops_what_all_groups_have_done(server: MemoryServer) -> None:
    """At max_events; what a group has not done is never dropped, sending waits instead."""
    fast = MemoryBridge(server, stream="s", group="fast", max_events=5)
    found: list[BaseEvent[Any]] = []
    fast.on("*", found.append)
    async with fast, MemoryBridge(server, stream="s", group="slow", max_events=5) as slow:
        for _ in range(5):
            await fast.dispatch(Note())
        sending = asyncio.create_task(fast.dispatch(Note(text="sixth")))
        await asyncio.sleep(60)
        assert not sending.done()
        slow.on("*", found.append)
        await sending
        await asyncio.sleep(1)
    assert len(found) == 12


async def test_an_id_is_forgotten_after_the_dedupe_window() -> None:
    """Servers remember ids for a while only; the window of the receiving side does the rest."""
    server = MemoryServer(dedupe_seconds=10)
    bridge = MemoryBridge(server, stream="s", group="g")
    found: list[BaseEvent[Any]] = []
    bridge.on("*", found.append)
    async with bridge:
        event = Note()
        await bridge.dispatch(event)
        await asyncio.sleep(11)
        await bridge.dispatch(event)
        await asyncio.sleep(1)
    assert len(found) == 1
    assert bridge.statistics().repeated == 1


async def test_bridges_of_one_loop_share_a_server() -> None:
    """Without one of its own, a bridge uses that of its event loop: nothing is left for other tests."""
    sender, receiver = MemoryBridge(stream="s"), MemoryBridge(stream="s", group="g")
    found: list[BaseEvent[Any]] = []
    receiver.on("*", found.append)
    async with sender, receiver:
        await sender.dispatch(Note())
        await asyncio.sleep(1)
    assert len(found) == 1


async def test_a_handler_of_a_bridge_has_the_events_timeout(server: MemoryServer) -> None:
    """As on a bus; the event is tried again, and is then a dead letter."""
    bridge = MemoryBridge(server, stream="s", group="g", max_deliveries=2)

    @bridge.on(Note)
    async def hang(event: Note) -> str:
        return await asyncio.get_running_loop().create_future()

    async with bridge:
        await bridge.dispatch(Note(event_timeout=5))
        await asyncio.sleep(60)
        [letter] = await bridge.dead_letters()
    assert "exceeded event_timeout=5.0 s" in letter.error
    assert letter.deliveries == 2


async def test_a_bad_result_is_that_handlers_error(server: MemoryServer) -> None:
    """A handler of a bridge is held to ``BaseEvent[T]`` too."""
    bridge = MemoryBridge(server, stream="s", group="g")
    bridge.on("Note", lambda event: ["no text"])
    async with bridge:
        event = await bridge.request(Note())
    with pytest.raises(Exception, match="ValidationError"):
        await event.event_result()


# -- windows ---------------------------------------------------------------------------------------------------------


def test_a_window_remembers_as_many_as_it_may(tmp_path: Path) -> None:
    """The oldest ids are forgotten first; a file keeps them for the next process, and for others at the same time."""
    file = SeenFile(tmp_path / "seen.db", limit=3)
    other = SeenFile(tmp_path / "seen.db", limit=3)
    for window in (Seen(limit=3), file):
        window.add(["a", "b"])
        window.add(["c", "d", "c"])
        assert [window.has(one) for one in "abcde"] == [False, True, True, True, False]
    assert other.has("d")
    for window in (file, other):
        window.close()
    with pytest.raises(OptionError, match="limit=0"):
        Seen(limit=0)
    with pytest.raises(OptionError, match="limit=0"):
        SeenFile(tmp_path / "other.db", limit=0)


def test_an_effect_is_there_once_or_not_at_all(tmp_path: Path) -> None:
    """With its note in one transaction; each effect of an event has a name of its own."""
    seen = SeenFile(tmp_path / "seen.db")
    with seen.effect("setup", "0") as db:
        assert db is not None
        db.execute("create table effects (id text)")
    for fails in (True, False, False):
        with contextlib.suppress(ZeroDivisionError), seen.effect("charge", "1") as db:
            if db is not None:
                db.execute("insert into effects values ('1')")
                assert fails is False or 1 / 0
    with seen.effect("mail", "1") as db:
        assert db is not None
        assert db.execute("select * from effects").fetchall() == [("1",)]
    seen.close()


# -- small things ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nats://user:pass@host:4222", "nats://***@host:4222"),
        ("nats://a:b@h1,tls://c:d@h2", "nats://***@h1,tls://***@h2"),
        ("redis://:p@ss@h/0 failed", "redis://***@h/0 failed"),
        ("redis://h?password=secret&db=1", "redis://h?password=***&db=1"),
        ("unix:///run/x.sock", "unix:///run/x.sock"),
    ],
)
def test_S10_urls_are_shown_without_secrets(text: str, shown: str) -> None:
    """User, password and tokens are left out."""
    assert safe(text) == shown


def test_names_and_shards() -> None:
    """Names are those that all engines take; a key always has the same shard, everywhere."""
    assert checked_name("stream", "orders-2_x") == "orders-2_x"
    assert [shard_of(Message("1", b"", key=key), 16) for key in ("a", "b", "order-7")] == [3, 9, 10]
    assert shard_of(Message("1", b"", key="a"), 0) == 0


async def test_a_transport_that_is_not_connected_says_so(server: MemoryServer) -> None:
    """Every call is an outage, not a crash."""
    transport = MemoryTransport(server, stream="s", group="g")
    delivery = Delivery("1", b"", b"", 1, 1)
    assert isinstance((await transport.publish([Message("1", b"")]))[0], BridgeUnavailable)
    for call in (
        transport.fetch(1, 1),
        transport.settle([delivery], Verdict.DONE),
        transport.letters(1),
        transport.reply("x", b""),
        transport.replies(),
    ):
        with pytest.raises(BridgeUnavailable):
            await call
    await transport.close()


async def test_a_bridge_shows_what_it_is(server: MemoryServer) -> None:
    """Its kind, stream, group and state."""
    bridge = MemoryBridge(server, stream="orders", group="billing")
    assert repr(bridge) == "<MemoryBridge(orders) group=billing new>"
    async with bridge:
        assert repr(bridge) == "<MemoryBridge(orders) group=billing started>"
        with pytest.raises(BridgeRefused):
            raise BridgeRefused("x")
    assert repr(bridge) == "<MemoryBridge(orders) group=billing stopped>"
