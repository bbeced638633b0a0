"""The engines that the tests of bridges run against, all used in the same way."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

from bubus.bridges.memory import MemoryBridge, MemoryServer
from bubus.bridges.nats import NatsBridge
from bubus.bridges.redis import RedisBridge
from tests.servers import NatsServer, RedisServer, Server, running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from bubus.bridges import Bridge

LEASE = 1.0
"""Seconds; short, because tests wait for its end."""

_numbers = itertools.count(1)


def new_stream() -> str:
    """Return a name that no other test uses, in this process or another."""
    return f"s{os.getpid()}_{next(_numbers)}"


def quick(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with short times where none were given."""
    return {"lease": LEASE, "retry_delay": 0.05, **options}


class Engine(Protocol):
    """Makes bridges to one server."""

    def bridge(self, stream: str, group: str | None = None, **options: Any) -> Bridge:
        """Return a bridge that has not started."""
        ...


class MemoryEngine:
    """Bridges within this process."""

    def __init__(self) -> None:
        self.server = MemoryServer()

    def bridge(self, stream: str, group: str | None = None, **options: Any) -> Bridge:
        """Return a bridge that has not started."""
        return MemoryBridge(self.server, stream=stream, group=group, **quick(options))


@contextlib.asynccontextmanager
async def memory_engine() -> AsyncGenerator[Engine]:
    """Yield an engine without a server."""
    yield MemoryEngine()


class NatsEngine:
    """Bridges over a NATS server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def bridge(self, stream: str, group: str | None = None, **options: Any) -> Bridge:
        """Return a bridge that has not started."""
        return NatsBridge(self.url, stream=stream, group=group, **quick(options))


@functools.cache
def shared(kind: type[Server]) -> Server:
    """Return the server of that kind that all tests of this process use."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    server: Server = stack.enter_context(running(kind))
    return server


@contextlib.asynccontextmanager
async def nats_engine() -> AsyncGenerator[Engine]:
    """Yield an engine with the NATS server of this process."""
    yield NatsEngine(shared(NatsServer).url)


class RedisEngine:
    """Bridges over a server that speaks as Redis does."""

    def __init__(self, url: str) -> None:
        self.url = url

    def bridge(self, stream: str, group: str | None = None, **options: Any) -> Bridge:
        """Return a bridge that has not started."""
        return RedisBridge(self.url, stream=stream, group=group, **quick(options))


@contextlib.asynccontextmanager
async def redis_engine() -> AsyncGenerator[Engine]:
    """Yield an engine with the Redis server of this process."""
    yield RedisEngine(shared(RedisServer).url)


ENGINES: dict[str, Callable[[], contextlib.AbstractAsyncContextManager[Engine]]] = {
    "memory": memory_engine,
    "nats": nats_engine,
}
if sys.platform != "win32":  # for which there is no server in a wheel
    ENGINES["redis"] = redis_engine
