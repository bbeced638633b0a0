"""What bridges promise when servers, workers and networks fail: on real servers, with real kills."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.bridges import Bridge, Outbox, SeenFile
from bubus.bridges._nats_client import TidyClient
from bubus.bridges.nats import NatsBridge
from bubus.bridges.redis import RedisBridge, RedisTransport
from bubus.errors import BridgeConnectError, BridgeRefused, BridgeStateError, HandlerTimeout, OptionError
from tests.bridge_engines import LEASE, new_stream, quick, shared
from tests.bridge_worker import STEPS, Ordered
from tests.servers import (
    EverysecRedisServer,
    NatsServer,
    Proxy,
    RedisServer,
    Server,
    free_port,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.real_time, pytest.mark.outside]

KILLS = 20
PUBLISHERS = 16
OUTAGE_SECONDS = float(os.environ.get("BUBUS_TEST_OUTAGE", "1"))
"""How long a server is away; 10 by hand."""

PATIENCE = 30.0 + OUTAGE_SECONDS

SERVERS: dict[str, type[Server]] = {"nats": NatsServer}
if sys.platform != "win32":  # for which there is no server in a wheel
    SERVERS["redis"] = RedisServer


@pytest.fixture(params=list(SERVERS))
def kind(request: pytest.FixtureRequest) -> type[Server]:
    """Return each kind of server."""
    return SERVERS[request.param]


@pytest.fixture
def server(kind: type[Server]) -> Iterator[Server]:
    """Return a server of this test only, which it may kill."""
    with running(kind) as one:
        yield one


def bridge_to(url: str, stream: str, group: str | None = None, **options: Any) -> Bridge:
    """Return a bridge that has not started."""
    make: Callable[..., Bridge] = NatsBridge if url.startswith("nats") else RedisBridge
    return make(url, stream=stream, group=group, **quick(options))


def in_eight(event: Ordered) -> int:
    """Return a key that every eighth event has."""
    return event.number % 8


async def until(condition: Callable[[], object]) -> None:
    """Return when *condition* holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a server, which sets no event of ours
            await asyncio.sleep(0.01)


async def stored(bridge: Bridge) -> int:
    """Return how many events the stream of *bridge* holds."""
    transport: Any = bridge.transport
    if isinstance(bridge, NatsBridge):
        info = await transport._js.stream_info(transport.stream)
        return int(info.state.messages)
    return sum([await transport._server.execute_command("XLEN", key) for key in transport._keys])


class Large(BaseEvent[None]):
    """More than goes into a buffer."""

    data: str


class Effects:
    """What a handler has done."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.order: dict[int, list[int]] = {}

    async def handle(self, event: Ordered) -> None:
        """Do it."""
        await asyncio.sleep(0)
        self.count[event.event_id] += 1
        self.order.setdefault(event.number % 8, []).append(event.number)


async def test_M1_a_server_that_is_killed_loses_nothing_it_acknowledged(server: Server) -> None:
    """SIGKILL 20 times under 16 publishers: every acknowledged event has its effect, once, and is stored once."""
    stream, effects, acked, stop = new_stream(), Effects(), list[str](), asyncio.Event()
    sender = bridge_to(server.url, stream, timeout=2.0)
    receiver = bridge_to(server.url, stream, "g", max_deliveries=100, timeout=2.0)
    receiver.on(Ordered, effects.handle)

    async def publish() -> None:
        while not stop.is_set():
            event = Ordered(number=len(acked))
            await sender.dispatch(event)
            acked.append(event.event_id)
            await asyncio.sleep(0.001)

    async with sender, receiver:
        async with asyncio.TaskGroup() as publishers:
            for _ in range(PUBLISHERS):
                publishers.create_task(publish())
            for _ in range(KILLS):
                before = len(acked)
                await asyncio.sleep(random.uniform(0.02, 0.12))
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
                await until(lambda before=before: len(acked) > before)
            stop.set()
        await until(lambda: effects.count.keys() >= set(acked))
        await until(lambda: receiver.statistics().in_flight == 0)
        assert await stored(sender) == len(acked) == len(set(acked))
    assert len(acked) > KILLS * PUBLISHERS
    assert set(effects.count) == set(acked)
    assert set(effects.count.values()) == {1}


async def test_M2_a_worker_that_is_killed_at_any_step_costs_nothing(kind: type[Server], tmp_path: Path) -> None:
    """Its events go to the next one; an effect in the window's own file is there once, whenever the kill comes."""
    server, stream, file = shared(kind), new_stream(), tmp_path / "effects.db"
    SeenFile(file).close()
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("create table effects (id text)")
        db.commit()
    sent: list[str] = []
    async with bridge_to(server.url, stream) as sender:
        for step in STEPS:
            for number in range(5):
                await sender.dispatch(event := Ordered(number=number))
                sent.append(event.event_id)
            await asyncio.to_thread(run_worker, server.url, stream, file, step, len(sent))
    with contextlib.closing(sqlite3.connect(file)) as db:
        effects = [row[0] for row in db.execute("select id from effects")]
    assert sorted(effects) == sorted(sent)


def run_worker(url: str, stream: str, file: Path, step: str, total: int) -> None:
    """Run a worker until it has killed itself, or until all effects are there."""
    command = [sys.executable, "-m", "tests.bridge_worker", url, stream, str(file), step]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        try:
            if step == "never":
                while count_effects(file) < total:
                    assert worker.poll() is None
                    time.sleep(0.05)
                worker.stdin.close()
            assert worker.wait(PATIENCE) == (0 if step == "never" else -9)
        finally:
            worker.kill()


def count_effects(file: Path) -> int:
    """Return how many effects there are."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        return int(db.execute("select count(*) from effects").fetchone()[0])


async def test_M3_in_an_outage_events_wait_and_keep_their_order(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The server is away: dispatching waits, nothing is lost, order per key is kept; it is said once, and its end."""
    stream, effects = new_stream(), Effects()
    sender = bridge_to(server.url, stream, key=in_eight, shards=4)
    receiver = bridge_to(server.url, stream, "g", max_deliveries=100)
    receiver.on(Ordered, effects.handle)
    bus = EventBus("Out", max_pending=None)
    bus.on("*", sender.dispatch)
    async with sender, receiver:
        await bus.dispatch(Ordered(number=0))
        await until(lambda: len(effects.count) == 1)
        await asyncio.to_thread(server.kill)
        events = [bus.dispatch(Ordered(number=number)) for number in range(1, 80)]
        await asyncio.sleep(OUTAGE_SECONDS)
        assert [event.event_status for event in events[:2]] == ["started", "pending"]
        await asyncio.to_thread(server.start)
        back = asyncio.get_running_loop().time()
        await events[0]
        assert asyncio.get_running_loop().time() - back < 10  # 2 s is promised; a busy machine gets five times that
        await until(lambda: len(effects.count) == 80)
    assert effects.order == {key: list(range(key, 80, 8)) for key in range(8)}
    assert set(effects.count.values()) == {1}
    said = [record.getMessage() for record in caplog.records if "server" in record.getMessage()]
    assert len([text for text in said if "does not answer" in text]) == 2  # one for each bridge
    assert len([text for text in said if "answers again" in text]) == 2


async def test_M3_an_outbox_holds_events_for_a_server_that_is_away(server: Server, tmp_path: Path) -> None:
    """With an outbox the event is complete at once, and survives the end of the bridge; the next one sends it."""
    stream, effects = new_stream(), Effects()
    bus = EventBus("Out")
    first = bridge_to(server.url, stream, outbox=tmp_path / "outbox")
    subscription = bus.on("*", first.dispatch)
    await first.start()
    await asyncio.to_thread(server.kill)
    for number in range(20):
        event = await bus.dispatch(Ordered(number=number))
        await event.event_results_filtered(raise_if_none=False)
    await first.stop(timeout=0.05)
    subscription.off()

    await asyncio.to_thread(server.start)
    receiver = bridge_to(server.url, stream, "g")
    receiver.on(Ordered, effects.handle)
    async with receiver, bridge_to(server.url, stream, outbox=Outbox(tmp_path / "outbox")) as second:
        await until(lambda: len(effects.count) == 20)
        await until(lambda: second.statistics().waiting == 0)
    assert [number for numbers in effects.order.values() for number in numbers] == [
        number for key in range(8) for number in range(key, 20, 8)
    ]
    assert set(effects.count.values()) == {1}


async def test_an_outage_fails_a_handler_at_its_own_timeout(server: Server) -> None:
    """Without an outbox an event waits as long as its handlers may, and then fails as with any handler."""
    bus, bridge = EventBus("Out"), bridge_to(server.url, new_stream(), timeout=0.5)
    bus.on("*", bridge.dispatch)
    async with bridge:
        await asyncio.to_thread(server.kill)
        event = await bus.dispatch(Ordered(number=1, event_timeout=0.2))
        with pytest.raises(HandlerTimeout):
            await event.event_result()
        await bridge.stop(timeout=0.1)


async def test_M3_a_server_that_stands_still_is_waited_for(server: Server) -> None:
    """SIGSTOP: connections stay open and nothing answers; what was sent meanwhile is stored once."""
    stream, effects = new_stream(), Effects()
    sender, receiver = bridge_to(server.url, stream, timeout=0.4), bridge_to(server.url, stream, "g")
    receiver.on(Ordered, effects.handle)
    async with sender, receiver:
        server.pause()
        sending = [asyncio.create_task(sender.dispatch(Ordered(number=number))) for number in range(5)]
        await asyncio.sleep(OUTAGE_SECONDS)
        assert not any(task.done() for task in sending)
        server.resume()
        await asyncio.gather(*sending)
        await until(lambda: len(effects.count) == 5)
        assert await stored(sender) == 5
    assert set(effects.count.values()) == {1}


async def test_M3_a_slow_network_only_takes_longer(kind: type[Server]) -> None:
    """With 200 ms each way, longer than the pause between attempts, each event is stored once and has one effect."""
    stream, server, effects = new_stream(), shared(kind), Effects()
    async with Proxy(server.port) as proxy:
        proxy.delay = 0.2
        url = server.url.replace(str(server.port), str(proxy.port))
        receiver = bridge_to(url, stream, "g")
        receiver.on(Ordered, effects.handle)
        async with receiver, bridge_to(url, stream) as sender:
            await asyncio.gather(*(sender.dispatch(Ordered(number=number)) for number in range(10)))
            await until(lambda: len(effects.count) == 10)
            proxy.delay = 0.0
            assert await stored(sender) == 10
    assert set(effects.count.values()) == {1}


async def test_M3_a_half_open_connection_is_noticed(kind: type[Server]) -> None:
    """The network loses both connections and tells nobody: they connect anew, and nothing is lost or doubled."""
    stream, server, effects = new_stream(), shared(kind), Effects()
    async with Proxy(server.port) as proxy:
        url = server.url.replace(str(server.port), str(proxy.port))
        options: dict[str, Any] = {"timeout": 0.5}
        if kind is NatsServer:  # whose client finds out by pings: two may be unanswered, and one is sent every 10 s
            options["client"] = {"ping_interval": 0.5}
        receiver = bridge_to(url, stream, "g", **options)
        receiver.on(Ordered, effects.handle)
        async with receiver, bridge_to(url, stream, **options) as sender:
            await sender.dispatch(Ordered(number=0))
            proxy.lose()
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*(sender.dispatch(Ordered(number=number)) for number in range(1, 6)))
            await until(lambda: len(effects.count) == 6)
            assert await stored(sender) == 6
    assert set(effects.count.values()) == {1}


@pytest.mark.parametrize("lines", [0, 1, 2])
async def test_M3_a_connection_that_ends_while_it_is_made_leaves_nothing(kind: type[Server], lines: int) -> None:
    """Three times the server goes away in the handshake: each stream is closed, and no task of it is left."""
    server = shared(kind)
    async with Proxy(server.port) as proxy:
        url = server.url.replace(str(server.port), str(proxy.port))
        async with bridge_to(url, new_stream(), "g") as bridge:
            await bridge.dispatch(Ordered(number=0))
            tasks = len(asyncio.all_tasks())
            proxy.hang_up_after = [lines] * 3
            proxy.cut()
            async with asyncio.timeout(PATIENCE):
                await bridge.dispatch(Ordered(number=1))
            assert proxy.hang_up_after == []
            await until(lambda: len(asyncio.all_tasks()) == tasks)
            gc.collect()  # which warns of a stream that was forgotten


async def test_a_close_that_is_cancelled_can_be_done_again() -> None:
    """However far a NATS client came with it, its connection is closed and its tasks end."""
    server = shared(NatsServer)
    for turns in range(12):
        client = TidyClient()
        await client.connect([server.url])
        closing = asyncio.create_task(client.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        await client.close()
        del client, closing
        gc.collect()


async def test_M3_a_network_that_takes_nothing_more_holds_nothing_up(kind: type[Server]) -> None:
    """More is sent than all buffers hold: it goes over a new connection, and each event is stored once."""
    stream, server = new_stream(), shared(kind)
    async with Proxy(server.port) as proxy:
        url = server.url.replace(str(server.port), str(proxy.port))
        options: dict[str, Any] = {"timeout": 1.0}
        if kind is NatsServer:  # whose client finds out by pings: two may be unanswered, and one is sent every 10 s
            options["client"] = {"ping_interval": 0.5}
        async with bridge_to(url, stream, **options) as sender:
            await sender.dispatch(Large(data=""))
            proxy.stall()
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*(sender.dispatch(Large(data="x" * 900_000)) for _ in range(20)))
            assert await stored(sender) == 21


async def test_a_stop_does_not_wait_for_a_network_that_takes_nothing(kind: type[Server]) -> None:
    """However much is to be sent: it ends, and whoever waits learns it."""
    server = shared(kind)
    async with Proxy(server.port) as proxy:
        sender = bridge_to(server.url.replace(str(server.port), str(proxy.port)), new_stream())
        await sender.start()
        await sender.dispatch(Large(data=""))
        proxy.stall()
        sending = [asyncio.create_task(sender.dispatch(Large(data="x" * 900_000))) for _ in range(20)]
        await asyncio.sleep(0.5)
        async with asyncio.timeout(PATIENCE):
            await sender.stop(0.1)
            done, _ = await asyncio.wait(sending)
        assert {type(one.exception()) for one in done} == {BridgeStateError}


async def test_M4_a_lost_reply_stores_nothing_twice(kind: type[Server]) -> None:
    """The server has the event and its answer is lost: it is sent again under the same id, and stored once."""
    stream, server = new_stream(), shared(kind)
    async with Proxy(server.port) as proxy:
        url = server.url.replace(str(server.port), str(proxy.port))
        async with bridge_to(url, stream, timeout=0.5) as sender:
            for number in range(3):
                proxy.swallow_replies = True
                sending = asyncio.create_task(sender.dispatch(Ordered(number=number)))
                await asyncio.sleep(0.7)
                assert not sending.done()
                proxy.swallow_replies = False
                proxy.cut()
                await sending
            assert await stored(sender) == 3


async def test_M4_a_cancelled_dispatch_can_be_repeated(kind: type[Server]) -> None:
    """It may have been stored or not; under the same id it is stored once in any case."""
    stream, server = new_stream(), shared(kind)
    async with bridge_to(server.url, stream) as sender:
        events = [Ordered(number=number) for number in range(30)]
        for turns, event in enumerate(events):
            sending = asyncio.create_task(sender.dispatch(event))
            for _ in range(turns):
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.wait([sending])
        for event in events:
            await sender.dispatch(event)
        assert await stored(sender) == 30


async def test_R56_R57_receiving_goes_on_after_the_server_has_come_back(server: Server) -> None:
    """A bridge that only receives notices by itself, and gets what others send then."""
    stream, effects = new_stream(), Effects()
    receiver = bridge_to(server.url, stream, "g")
    receiver.on(Ordered, effects.handle)
    async with receiver:
        for round_ in range(3):
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            async with bridge_to(server.url, stream) as sender:
                await sender.dispatch(Ordered(number=round_))
            await until(lambda round_=round_: len(effects.count) == round_ + 1)


async def test_a_server_that_is_not_there_is_an_error_at_start(kind: type[Server]) -> None:
    """`start` raises, says what to check, and may be called again."""
    with running(kind) as server:
        server.kill()
        bridge = bridge_to(server.url, new_stream(), timeout=0.5)
        for _ in range(2):
            with pytest.raises(BridgeConnectError, match="check that the server runs"):
                await bridge.start()
        server.start()
        async with bridge:
            await bridge.dispatch(Ordered(number=1))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no server in a wheel")
async def test_M1_a_redis_that_may_lose_events_is_named_at_start(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With appendfsync everysec an acknowledgement means less; with wait_for_disk it means what it should."""
    with running(EverysecRedisServer) as server:
        async with bridge_to(server.url, new_stream()):
            assert "up to two seconds" in caplog.text
        caplog.clear()
        async with bridge_to(server.url, stream := new_stream(), wait_for_disk=True) as safe:
            assert not caplog.records
            await asyncio.gather(*(safe.dispatch(Ordered(number=number)) for number in range(50)))
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            async with bridge_to(server.url, stream) as other:
                assert await stored(other) == 50
    caplog.clear()
    monkeypatch.setattr(RedisServer, "appendonly", "no")
    with running(RedisServer) as server:
        async with bridge_to(server.url, new_stream()):
            assert "set appendonly yes" in caplog.text


async def test_what_the_server_will_never_take_is_refused_at_once() -> None:
    """A NATS server has a largest payload; the event fails, and those behind it go on."""
    async with bridge_to(shared(NatsServer).url, new_stream()) as bridge:
        with pytest.raises(BridgeRefused, match="max_payload"):
            await bridge.dispatch(BaseEvent(event_type="Large", text="x" * 2_000_000))
        await bridge.dispatch(Ordered(number=1))


async def test_a_refused_event_does_not_stay_in_the_outbox(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for it any more: it is buried beside the outbox, readable like a log, and said."""
    outbox = Outbox(tmp_path / "outbox")
    async with bridge_to(shared(NatsServer).url, new_stream(), outbox=outbox) as bridge:
        await bridge.dispatch(event := BaseEvent(event_type="Large", text="x" * 2_000_000))
        await bridge.dispatch(Ordered(number=1))
        await until(lambda: len(outbox) == 0)
    assert "can never be sent" in caplog.text
    assert event.event_id in (tmp_path / "outbox.dead").read_text("utf-8")


@pytest.mark.parametrize("inbox", ["orders.0.x", "$JS.API.STREAM.DELETE.orders", "_INBOX.>", "{x}:id:1", ""])
async def test_a_reply_goes_to_inboxes_only(kind: type[Server], inbox: str) -> None:
    """Whoever sends an event names where its results go: nothing but an inbox is accepted there."""
    async with bridge_to(shared(kind).url, new_stream()) as bridge:
        with pytest.raises(BridgeRefused, match="no inbox"):
            await bridge.transport.reply(inbox, b"x")


async def test_the_lease_of_a_group_that_exists_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """NATS keeps it with the group: a member that was told another takes the group's, and says so."""
    stream = new_stream()
    async with bridge_to(shared(NatsServer).url, stream, "g"):
        pass
    async with bridge_to(shared(NatsServer).url, stream, "g", lease=5.0) as other:
        assert other.transport.lease == LEASE
    assert "which is used here too" in caplog.text


async def test_a_full_stream_makes_sending_wait(kind: type[Server], caplog: pytest.LogCaptureFixture) -> None:
    """Nothing that was not read is thrown away: with max_events the sender waits for room, and says so once."""
    stream, url = new_stream(), shared(kind).url
    async with bridge_to(url, stream, "g", max_events=3) as bridge:
        for number in range(3):
            await bridge.dispatch(Ordered(number=number))
        sending = asyncio.create_task(bridge.dispatch(Ordered(number=3)))
        await asyncio.sleep(0.1)
        assert not sending.done()
        assert caplog.text.count("sending waits for room") == 1
        assert "does not answer" not in caplog.text
        if isinstance(bridge.transport, RedisTransport):  # what every group has done makes room there
            effects = Effects()
            bridge.on(Ordered, effects.handle)
            await sending
            await until(lambda: len(effects.count) == 4)
        else:
            sending.cancel()
            await asyncio.wait([sending])


@pytest.mark.parametrize("module", ["nats", "redis"])
def test_a_missing_extra_is_named(module: str) -> None:
    """Importing the module says which extra brings what is missing; the package itself needs none."""
    code = f"import sys, bubus.bridges.memory; sys.modules[{module!r}] = None; import bubus.bridges.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"MissingExtraError: bubus.bridges.{module} needs {module}: pip install 'bubus[{module}]'" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no server in a wheel")
async def test_a_cluster_of_redis_is_used_as_one() -> None:
    """All keys of a stream are in one slot."""
    with running(ClusterRedisServer) as server:
        async with bridge_to(server.url, stream := new_stream(), "g", cluster=True, shards=2) as bridge:
            effects = Effects()
            bridge.on(Ordered, effects.handle)
            for number in range(4):
                await bridge.dispatch(Ordered(number=number))
            await until(lambda: len(effects.count) == 4)
            event = await bridge.request(Ordered(number=5), timeout=PATIENCE)
            assert event.event_status == "completed"
        with pytest.raises(OptionError, match="shards=2, not 3"):
            await bridge_to(server.url, stream, cluster=True, shards=3).start()


class ClusterRedisServer(RedisServer):
    """A cluster of one."""

    def options(self) -> dict[str, str]:
        """Return further settings."""
        return {"cluster-enabled": "yes", "cluster-port": str(free_port())}

    def answers(self) -> bool:
        """Give it all slots, and wait until it serves them."""
        return super().answers() and b"cluster_state:ok" in self.ask("CLUSTER INFO") + self.ask(
            "CLUSTER ADDSLOTSRANGE 0 16383"
        )
