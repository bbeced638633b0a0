"""Bridges to servers that ask for a password, and talk TLS: who gets in, and what is told to whom."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from bubus import BaseEvent
from bubus.bridges.nats import NatsBridge
from bubus.bridges.redis import RedisBridge
from bubus.errors import BridgeConnectError
from tests.bridge_engines import new_stream, quick
from tests.servers import (
    PASSWORD,
    GuardedNatsServer,
    GuardedRedisServer,
    Proxy,
    Server,
    TlsNatsServer,
    certificate_and_key,
    running,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from bubus.bridges import Bridge

pytestmark = [pytest.mark.real_time, pytest.mark.outside]

WATCHDOG = 30.0
WRONG = "wr0ng:w@rd/2"

KINDS: dict[str, type[Server]] = {"nats": GuardedNatsServer}
if sys.platform != "win32":  # for which there is no server in a wheel
    KINDS["redis"] = GuardedRedisServer

REFUSED = {"nats": "Authorization Violation", "redis": "invalid username-password pair"}


class Note(BaseEvent[None]):
    text: str


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    """Return the name of each kind of server."""
    return str(request.param)


@pytest.fixture
def server(kind: str) -> Iterator[Server]:
    """Return a server that asks for a password."""
    with running(KINDS[kind]) as one:
        yield one


def bridge_to(url: str, group: str | None = None, **options: Any) -> Bridge:
    """Return a bridge that has not started."""
    make: Callable[..., Bridge] = RedisBridge if url.startswith("redis") else NatsBridge
    return make(url, group=group, **quick({"stream": new_stream(), "timeout": 2.0, **options}))


def address(scheme: str, port: int, password: str = PASSWORD) -> str:
    """Return the URL of a server on this machine with a password in it."""
    return f"{scheme}://default:{quote(password, safe='')}@127.0.0.1:{port}"


async def carry(bridge: Bridge, text: str) -> None:
    """See an event through *bridge*, which is started and reads its own stream."""
    arrived: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    with bridge.on(Note, lambda event: None if arrived.done() else arrived.set_result(event.text)):
        await bridge.dispatch(Note(text=text))
        assert await asyncio.wait_for(arrived, WATCHDOG) == text


async def refusal(bridge: Bridge) -> str:
    """Return why *bridge* does not start."""
    with pytest.raises(BridgeConnectError) as caught:
        await bridge.start()
    return str(caught.value)


async def test_the_right_password_opens_the_server(kind: str, server: Server) -> None:
    """In the URL, with its odd characters quoted, or among the options of the client."""
    async with bridge_to(address(kind, server.port), "g") as bridge:
        await carry(bridge, "by URL")
    user = "user" if kind == "nats" else "username"
    async with bridge_to(server.url, "g", client={user: "default", "password": PASSWORD}) as bridge:
        await carry(bridge, "by option")


async def test_a_wrong_password_is_an_error_that_names_the_server(kind: str, server: Server) -> None:
    """`start` says what the server said, and where it is; without a password likewise."""
    text = await refusal(bridge_to(address(kind, server.port, WRONG), timeout=0.5))
    assert REFUSED[kind] in text
    assert f"{kind}://***@127.0.0.1:{server.port}" in text
    assert "who may use it" in text
    text = await refusal(bridge_to(server.url, timeout=0.5))
    assert ("Authorization" if kind == "nats" else "Authentication required") in text


async def test_a_wrong_password_is_told_at_once(kind: str, server: Server) -> None:
    """What a server has answered is final: nobody waits until the time for connecting is over."""
    async with asyncio.timeout(WATCHDOG):
        text = await refusal(bridge_to(address(kind, server.port, WRONG), timeout=3600.0))
    assert REFUSED[kind] in text


async def test_a_second_nats_server_may_know_the_password() -> None:
    """Of several servers each is asked, with the password of its own URL, before it is an error."""
    async with asyncio.timeout(WATCHDOG):
        with running(GuardedNatsServer) as first, running(GuardedNatsServer) as second:
            urls = [address("nats", first.port, WRONG), address("nats", second.port)]
            stream, client = new_stream(), {"dont_randomize": True}
            async with NatsBridge(urls, stream=stream, group="g", client=client) as bridge:
                await carry(bridge, "by the second")
            text = await refusal(NatsBridge([urls[0], urls[0]], stream=stream, timeout=3600.0, client=client))
    assert REFUSED["nats"] in text


async def test_S10_passwords_are_never_shown(kind: str, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in repr nor in errors nor in logs, whether they are right or wrong, quoted or not, also in an outage."""
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    for secret in (WRONG, "wr0ng-word"):
        bridge = bridge_to(address(kind, server.port, secret), timeout=0.5)
        shown += [await refusal(bridge), repr(bridge), repr(bridge.transport)]
    with contextlib.suppress(ValueError):  # of a URL in which nothing is quoted the client may say that it is none
        bridge = bridge_to(f"{kind}://default:{WRONG}@127.0.0.1:{server.port}", timeout=0.5)
        shown += [repr(bridge), repr(bridge.transport), await refusal(bridge)]
    good = bridge_to(address(kind, server.port))
    async with good:
        await good.dispatch(Note(text="1"))
        await asyncio.to_thread(server.kill)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(good.dispatch(Note(text="2")), 0.3)
        shown += [repr(good), repr(good.transport)]
        await good.stop(timeout=0)
    everything = caplog.text + "\n".join(shown)
    assert "does not answer" in everything
    for secret in (PASSWORD, WRONG):
        for part in (secret, quote(secret, safe=""), secret.partition(":")[0], secret.rpartition("/")[0]):
            assert part not in everything


@contextlib.asynccontextmanager
async def behind_tls(kind: str) -> AsyncGenerator[tuple[str, Proxy, dict[str, Any]]]:
    """Yield the scheme of a server that talks TLS, what stands before it, and what a client needs to trust it."""
    certificate, key = certificate_and_key()
    if kind == "nats":
        with running(TlsNatsServer) as server:
            async with Proxy(server.port) as proxy:
                yield "tls", proxy, {"tls": ssl.create_default_context(cafile=certificate)}
        return
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with running(GuardedRedisServer) as server:
        async with Proxy(server.port, context) as proxy:
            yield "rediss", proxy, {"ssl_ca_certs": str(certificate)}


async def test_tls_carries_events_and_comes_back_after_a_cut(kind: str) -> None:
    """With a certificate that is trusted; a connection that ends is made again, in TLS too."""
    async with behind_tls(kind) as (scheme, proxy, trusted):
        async with bridge_to(address(scheme, proxy.port), "g", client=trusted) as bridge:
            await carry(bridge, "before")
            proxy.cut()
            await carry(bridge, "after")
        text = await refusal(bridge_to(address(scheme, proxy.port, WRONG), client=trusted, timeout=1.0))
        assert REFUSED[kind] in text


async def test_tls_needs_a_certificate_that_is_trusted(kind: str) -> None:
    """One that nobody vouches for is an error that says so; nothing was sent there, least of all a password."""
    async with behind_tls(kind) as (scheme, proxy, _):
        text = await refusal(bridge_to(address(scheme, proxy.port), timeout=1.0))
        assert "certificate verify failed" in text
        assert f"{scheme}://***@127.0.0.1:{proxy.port}" in text


async def test_tls_is_never_given_up(kind: str, server: Server) -> None:
    """A server that has none does not get the password in clear text, which is what nats-py would do."""
    seen = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, there_writer = await asyncio.open_connection("127.0.0.1", server.port)
        if kind == "nats":
            writer.write(await there.readline())  # the server speaks first, of what it can and cannot
        seen.extend(await reader.read(65536))
        there_writer.transport.abort()
        writer.transport.abort()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as between:
        port = between.sockets[0].getsockname()[1]
        bridges = [bridge_to(address({"nats": "tls", "redis": "rediss"}[kind], port), timeout=0.5)]
        if kind == "nats":
            bridges.append(bridge_to(address("nats", port), timeout=0.5, client={"tls": ssl.create_default_context()}))
        for bridge in bridges:
            text = await refusal(bridge)
            assert ("no TLS" if kind == "nats" else "check that the server runs") in text
    assert not any(secret.encode() in seen for secret in (PASSWORD, quote(PASSWORD, safe="")))
    assert bool(seen) == (kind == "redis")  # whose client speaks first, and begins with TLS
