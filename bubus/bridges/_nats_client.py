"""The client of nats-py, which leaves nothing behind of a connection that broke while it was being made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from nats.aio.client import Client
from typing_extensions import override

from bubus._tasks import cancel

if TYPE_CHECKING:
    from types import FrameType

    from nats.aio.client import Srv


_CLOSE_SECONDS: Final = 2.0
"""How long the other side may take to read what was sent, when the connection is closed."""


class TidyClient(Client):
    """
    A client that ends one connection before it makes the next.

    When a server goes away in the handshake, or just after it, nats-py (2.16) connects again and forgets what it had:
    the stream stays open, and its tasks read from the next one. And before it connects again, or closes, it waits until
    all is sent, which never ends where the other side takes nothing more.
    """

    @override
    async def _attempt_reconnect(self) -> None:
        self._end_connection()
        await super()._attempt_reconnect()

    @override
    async def _connect_to_server(self, s: Srv) -> None:
        self._end_connection()
        await super()._connect_to_server(s)

    @override
    async def close(self) -> None:
        """Close the connection, also when closing was cancelled before, and wait for all tasks."""
        clock = asyncio.timeout(_CLOSE_SECONDS)
        try:
            async with clock:
                await super().close()
        except TimeoutError:
            if not clock.expired():
                raise
        finally:
            self._end_connection()
            await cancel(task for task in asyncio.all_tasks() - {asyncio.current_task()} if self._owns(task))

    def _end_connection(self) -> None:
        for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
            if task is not None:
                _ = task.cancel()
        if self._transport is None:
            return
        writer: asyncio.StreamWriter | None = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
        else:  # a WebSocket
            self._transport.close()

    def _owns(self, task: asyncio.Task[object]) -> bool:
        """Tell whether *task* runs a method of this client, or of one of its subscriptions."""
        frame: FrameType | None = getattr(task.get_coro(), "cr_frame", None)
        owner: object = None if frame is None else frame.f_locals.get("self")
        return owner is self or getattr(owner, "_conn", None) is self
