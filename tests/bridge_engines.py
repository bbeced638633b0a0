"""The engines that the tests of bridges run against, all used in the same way."""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import TYPE_CHECKING, Any, Protocol

from bubus.bridges.memory import MemoryBridge, MemoryServer

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


ENGINES: dict[str, Callable[[], contextlib.AbstractAsyncContextManager[Engine]]] = {"memory": memory_engine}
