"""
Sending: one batch at a time, each message under its id until the server has it.

What happened to a message is unknown after a timeout, a lost connection or a cancelled call. So it is sent again with
the same id, which the server stores once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING, Final

import attrs

from bubus._tasks import cancel
from bubus.bridges._link import Link, Patience
from bubus.bridges._safe import logger, safe
from bubus.errors import BridgeFull, BridgeRefused, BridgeStateError, BridgeUnavailable, StreamFull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bubus.bridges._base import Message, Transport
    from bubus.bridges._outbox import Outbox

BATCH: Final = 256
"""Most messages that are sent at once."""


@attrs.define(eq=False)
class Parcel:
    """A message on its way."""

    message: Message
    waiter: asyncio.Future[None] | None
    """Whoever waits for it; None where the outbox holds it."""

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits any more: its sender was told that it failed."""
        return self.waiter is not None and self.waiter.done()


class Sender:
    """Sends messages in the order in which they came; its task exists only while there are some."""

    def __init__(self, transport: Transport, link: Link, outbox: Outbox | None, max_waiting: int) -> None:
        self.sent: int = 0
        """Messages that the server has taken."""

        self._transport: Final = transport
        self._link: Final = link
        self._outbox: Final = outbox
        self._max_waiting: Final = max_waiting
        self._queue: deque[Parcel] = deque()
        self._batch: list[Parcel] = []
        """What is being sent."""

        self._task: asyncio.Task[None] | None = None
        self._is_full: bool = False
        """Whether it was said that there is no room."""

    @property
    def waiting(self) -> int:
        """How many messages the server does not have yet."""
        return len(self._queue) + len(self._batch)

    def resume(self, messages: Sequence[Message]) -> None:
        """Send what the outbox held from before."""
        self._queue.extend(Parcel(message, None) for message in messages)
        self._work()

    async def send(self, message: Message) -> None:
        """
        Return when the server has *message*, or the outbox.

        Raises:
            BridgeFull: If too many wait already.
            BridgeRefused: If the server will never take it.
            BridgeStateError: If the bridge was stopped before.
            LogWriteError: If the outbox cannot be written.
        """
        if self._outbox is not None:
            await self._outbox.put(message)
            self._queue.append(Parcel(message, None))
            self._work()
            return
        await self.send_now(message)

    async def send_now(self, message: Message) -> None:
        """Return when the server itself has *message*; otherwise like `send`."""
        if self.waiting >= self._max_waiting:
            raise BridgeFull(f"{self._max_waiting} events (max_waiting) wait for the server already")
        waiter = asyncio.get_running_loop().create_future()
        self._queue.append(Parcel(message, waiter))
        self._work()
        await waiter

    async def drain(self) -> None:
        """Return when nothing is left to be sent."""
        if self._task is not None:
            _ = await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Give up what is left; the outbox keeps its part."""
        await cancel([self._task])
        while self._queue:
            waiter = self._queue.popleft().waiter
            if waiter is not None and not waiter.done():
                waiter.set_exception(
                    BridgeStateError("the bridge was stopped before the server had the event; it may have it or not")
                )

    def _work(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._send_all(), context=Context())

    async def _send_all(self) -> None:
        try:
            while self._queue:
                self._batch = self._next_batch()
                await self._send_batch(self._batch)
        finally:
            self._queue.extendleft(reversed(self._batch))
            self._batch = []
            self._task = None

    def _next_batch(self) -> list[Parcel]:
        """Take messages from the queue, but no two with the same key: the second waits until the first is there."""
        batch: list[Parcel] = []
        keys: set[str] = set()
        while self._queue and len(batch) < BATCH:
            key = self._queue[0].message.key
            if key in keys:
                break
            if key:
                keys.add(key)
            batch.append(self._queue.popleft())
        return batch

    async def _send_batch(self, batch: list[Parcel]) -> None:
        """Send *batch* until nothing of it is left; a cancelled call leaves in it what is."""
        patience = Patience(self._link)
        while batch:
            batch[:] = [parcel for parcel in batch if not parcel.is_abandoned]
            outcomes = await self._publish([parcel.message for parcel in batch])
            batch[:] = [
                parcel for parcel, outcome in zip(batch, outcomes, strict=True) if not self._settled(parcel, outcome)
            ]
            if batch:
                await patience.wait()

    async def _publish(self, messages: list[Message]) -> list[Exception | None]:
        if not messages:
            return []
        try:
            return await self._transport.publish(messages)
        except Exception as error:  # noqa: BLE001 - whoever waits is told of whatever it is
            return [error] * len(messages)

    def _settled(self, parcel: Parcel, outcome: Exception | None) -> bool:
        if isinstance(outcome, StreamFull):
            self._say_full(outcome)
            return False
        if isinstance(outcome, BridgeUnavailable) or (parcel.waiter is None and not _is_final(outcome)):
            self._link.lost(outcome)
            return False
        if outcome is None:
            self.sent += 1
            self._link.restored()
            self._is_full = False
        if parcel.waiter is None:
            self._clear(parcel.message, outcome)
        elif parcel.waiter.done():
            pass
        elif outcome is None:
            parcel.waiter.set_result(None)
        else:
            parcel.waiter.set_exception(outcome)
        return True

    def _say_full(self, outcome: StreamFull) -> None:
        if not self._is_full:
            self._is_full = True
            logger.warning("%r: sending waits for room: %s", self._transport, safe(outcome))

    def _clear(self, message: Message, refusal: Exception | None) -> None:
        """Take a message out of the outbox, since the server has it or never will."""
        if self._outbox is None:
            return
        if refusal is None:
            self._outbox.done(message.id)
            return
        logger.error("event %s can never be sent and is taken out of the outbox: %s", message.id, safe(refusal))
        try:
            self._outbox.bury(message.id, safe(refusal))
        except OSError as error:
            logger.error("it stays in the outbox, because it cannot be buried: %s", error)


def _is_final(outcome: Exception | None) -> bool:
    return outcome is None or isinstance(outcome, BridgeRefused)
