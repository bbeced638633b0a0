"""
What a bridge costs, against the client that it uses doing the same by itself, on real servers in the same run.

Sending is one event after another, each acknowledged; receiving is in batches. Costs are processor time of this
process, which holds on a busy machine. The limit is on the bridge; what the bus adds is shown beside it. The rates are
what this machine does with server and workers on the same processors.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import nats
from redis.asyncio import Redis

from bubus import BaseEvent, EventBus
from bubus._codec import encode
from bubus.bridges.nats import NatsBridge
from bubus.bridges.redis import RedisBridge
from tests.benchmarks._measure import Row
from tests.bridge_engines import new_stream
from tests.servers import NatsServer, RedisServer, running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bubus.bridges import Bridge

EVENTS: Final = 400
ROUNDS: Final = 7
WORKER_EVENTS: Final = 8_000
LIMIT: Final = 1.5


class Sent(BaseEvent[None]):
    """About 290 bytes."""

    data: str
    number: int = 0


def event() -> Sent:
    """Return what is sent."""
    return Sent(data="x" * 60)


def rows() -> list[Row]:
    """Measure all and return it."""
    with running(NatsServer) as nats_server, running(RedisServer) as redis_server:
        return [
            *asyncio.run(_nats(nats_server.url)),
            *asyncio.run(_redis(redis_server.url)),
            *_workers("NATS", nats_server.url),
            *_workers("Redis", redis_server.url),
        ]


async def _ratio(raw: Callable[[], Awaitable[object]], ours: Callable[[], Awaitable[object]]) -> float:
    """Return the median of what *ours* takes as a multiple of *raw*, each for `EVENTS` events."""
    for call in (raw, ours):
        await call()
    return statistics.median([await _seconds(ours) / await _seconds(raw) for _ in range(ROUNDS)])


async def _seconds(call: Callable[[], Awaitable[object]]) -> float:
    start = time.process_time()
    await call()
    return time.process_time() - start


async def _nats(url: str) -> list[Row]:
    stream = new_stream()
    client = nats.NATS()
    await client.connect(url)
    js = client.jetstream()

    async def publish_raw() -> None:
        for _ in range(EVENTS):
            one = event()
            await js.publish(f"{stream}.0.Sent", encode(one), headers={"Nats-Msg-Id": one.event_id})

    async with NatsBridge(url, stream=stream) as sender:
        sending = await _ratio(publish_raw, lambda: _send(sender))
        through_a_bus = await _ratio(publish_raw, lambda: _send_through_a_bus(sender))
        pull = await js.pull_subscribe(f"{stream}.>", durable="raw")

        async def receive_raw() -> None:
            count = 0
            while count < EVENTS:
                for message in await pull.fetch(64, timeout=5):
                    await message.ack()
                    count += 1

        receiving = await _receiving(sender, NatsBridge(url, stream=stream, group="ours"), receive_raw)
    await client.close()
    return [
        Row("NATS: bridge.dispatch / the client's publish, acknowledged", sending, LIMIT),
        Row("NATS: bus.dispatch to a bridge / the same", through_a_bus, None),
        Row("NATS: receive, handle, acknowledge / the client's fetch + ack", receiving, None),
    ]


async def _redis(url: str) -> list[Row]:
    stream = new_stream()
    client = Redis.from_url(url)

    async def publish_raw() -> None:
        for _ in range(EVENTS):
            one = event()
            await client.execute_command("XADD", stream, "*", "id", one.event_id, "body", encode(one), "head", b"")

    async with RedisBridge(url, stream=stream) as sender:
        sending = await _ratio(publish_raw, lambda: _send(sender))
        through_a_bus = await _ratio(publish_raw, lambda: _send_through_a_bus(sender))
        await client.execute_command("XGROUP CREATE", stream, "raw", "0")

        async def receive_raw() -> None:
            count = 0
            while count < EVENTS:
                read = await client.execute_command(
                    "XREADGROUP", "GROUP", "raw", "me", "COUNT", 64, "BLOCK", 5000, "STREAMS", stream, ">"
                )
                [[_, entries]] = read or []
                await client.execute_command("XACK", stream, "raw", *(entry[0] for entry in entries))
                count += len(entries)

        receiving = await _receiving(sender, RedisBridge(url, stream=stream, group="ours"), receive_raw)
    await client.aclose()
    return [
        Row("Redis: bridge.dispatch / the client's XADD", sending, LIMIT),
        Row("Redis: bus.dispatch to a bridge / the same", through_a_bus, None),
        Row("Redis: receive, handle, acknowledge / XREADGROUP + XACK", receiving, None),
    ]


async def _send(bridge: Bridge) -> None:
    for _ in range(EVENTS):
        await bridge.dispatch(event())


async def _send_through_a_bus(bridge: Bridge) -> None:
    bus = EventBus()
    bus.on("*", bridge.dispatch)
    for _ in range(EVENTS):
        await bus.dispatch(event())


async def _receiving(sender: Bridge, receiver: Bridge, receive_raw: Callable[[], Awaitable[object]]) -> float:
    """Return what a bus costs that handles what is in the stream, as a multiple of taking it raw."""
    bus = EventBus(max_pending=None)
    bus.on(Sent, _ignore)
    done, wanted = asyncio.Event(), 0

    def count(_: Sent) -> None:
        if bus.statistics().accepted >= wanted:
            done.set()

    bus.on(Sent, count)
    for _ in range(ROUNDS + 2):
        await _send_at_once(sender, EVENTS)
    ratios: list[float] = []
    for _ in range(ROUNDS):
        raw = await _seconds(receive_raw)
        ratios.append(raw)
    receiver.on("*", bus.dispatch)
    total = 2 * EVENTS * (ROUNDS + 1) + EVENTS * (ROUNDS + 2)
    start = time.process_time()
    wanted = total
    async with receiver:
        await done.wait()
        ours = (time.process_time() - start) / total * EVENTS
    return ours / statistics.median(ratios)


async def _send_at_once(bridge: Bridge, count: int) -> None:
    await asyncio.gather(*(bridge.dispatch(event()) for _ in range(count)))


def _ignore(_: Sent) -> None:
    pass


# -- several workers ---------------------------------------------------------------------------------------------------


def _workers(name: str, url: str) -> list[Row]:
    rates = [_rate(url, count) for count in (1, 2)]
    return [
        Row(f"{name}: events per second, {count} worker{'s' * (count > 1)}", rate, None)
        for count, rate in zip((1, 2), rates, strict=True)
    ]


def _rate(url: str, count: int) -> float:
    """Return how many events per second *count* processes handle together."""
    stream = new_stream()
    asyncio.run(_fill(url, stream))
    command = [sys.executable, "-m", "tests.benchmarks.bridges", url, stream]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    asyncio.run(_until_done(url, stream))
    reports = [json.loads(worker.communicate()[0]) for worker in workers]
    first = min(report["first"] for report in reports if report["first"])
    last = max(report["last"] for report in reports)
    return sum(report["count"] for report in reports) / (last - first)


def _bridge(url: str, stream: str, group: str | None = None) -> Bridge:
    make: Any = NatsBridge if url.startswith("nats") else RedisBridge
    bridge: Bridge = make(url, stream=stream, group=group)
    return bridge


async def _fill(url: str, stream: str) -> None:
    async with _bridge(url, stream) as bridge:
        for _ in range(WORKER_EVENTS // 500):
            await _send_at_once(bridge, 500)


async def _until_done(url: str, stream: str) -> None:
    async with _bridge(url, stream) as bridge:
        while not await _is_done(bridge, url):  # noqa: ASYNC110 - other processes do it
            await asyncio.sleep(0.1)


async def _is_done(bridge: Bridge, url: str) -> bool:
    transport: Any = bridge.transport
    if isinstance(bridge, NatsBridge):
        try:
            info = await transport._js.consumer_info(transport.stream, "workers")
        except Exception:  # noqa: BLE001 - the workers have not made it yet
            return False
        return not info.num_pending and not info.num_ack_pending and info.delivered.stream_seq >= WORKER_EVENTS
    groups: list[dict[str, int | None]] = []
    client: Any = Redis.from_url(url)
    async with client:
        for key in transport._keys:
            groups += await client.xinfo_groups(key)
    read = sum(group["entries-read"] or 0 for group in groups)
    return read == WORKER_EVENTS and not any(group["pending"] for group in groups)


async def _work(url: str, stream: str) -> None:
    """Be a worker that counts, until the end of standard input."""
    bus, times = EventBus(max_pending=None), [0.0, 0.0]
    bridge = _bridge(url, stream, "workers")

    def handle(_: Sent) -> None:
        times[1] = time.time()
        times[0] = times[0] or times[1]

    bus.on(Sent, handle)
    bridge.on("*", bus.dispatch)
    async with bridge:
        await asyncio.to_thread(sys.stdin.read)
    report = {"count": bridge.statistics().done, "first": times[0], "last": times[1]}
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
