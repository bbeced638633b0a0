"""The client of nats-py, which leaves nothing behind of a connection that broke while it was being made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import ParseResult, unquote

from nats.aio.client import Client
from nats.errors import Error as NatsError
from typing_extensions import override

from bubus._tasks import cancel

if TYPE_CHECKING:
    from types import FrameType

    from nats.aio.client import Srv


_CLOSE_SECONDS: Final = 2.0
"""How long the other side may take to read what was sent, when the connection is closed."""


class _Url(ParseResult):
    """The URL of a server; user and password are as they are meant."""

    @property
    @override
    def username(self) -> str | None:
        return _unquoted(super().username)

    @property
    @override
    def password(self) -> str | None:
        return _unquoted(super().password)


def _unquoted(text: str | None) -> str | None:
    return None if text is None else unquote(text)


class TidyClient(Client):
    """
    A client that ends one connection before it makes the next.

    When a server goes away in the handshake, or just after it, nats-py (2.16) connects again and forgets what it had:
    the stream stays open, and its tasks read from the next one. And before it connects again, or closes, it waits until
    all is sent, which never ends where the other side takes nothing more.

    And it insists on TLS where that is asked for: nats-py sends the password in clear text to a server that says it
    has none, and so to anybody who can change what the server says. Of user and password in a URL it decodes what is
    quoted (``%40``), as other clients do.
    """

    @staticmethod
    @override
    def _parse_server_uri(connect_url: str) -> ParseResult:
        return _Url(*Client._parse_server_uri(connect_url))  # noqa: SLF001 - a static method has no super()

    @override
    async def _attempt_reconnect(self) -> None:
        self._end_connection()
        await super()._attempt_reconnect()

    @override
    async def _connect_to_server(self, s: Srv) -> None:
        self._end_connection()
        await super()._connect_to_server(s)

    @override
    def _connect_command(self) -> bytes:
        if self._wants_tls() and not (self._server_info.get("tls_required") or self.options["tls_handshake_first"]):
            raise NatsError("the server has no TLS, and nothing is sent to it in clear text")
        return super()._connect_command()

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

    def _wants_tls(self) -> bool:
        scheme = "" if self._current_server is None else self._current_server.uri.scheme
        return scheme == "tls" or (scheme == "nats" and "tls" in self.options)

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
