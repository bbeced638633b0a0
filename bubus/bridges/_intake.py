"""
Receiving: each delivery becomes an event, is worked on, and is settled when that is done.

A delivery ends in one of four ways: done; again, after a while; among the dead letters, after too many attempts; or
handed back untouched, when this process stops.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextvars import Context
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import attrs

from bubus._seconds import checked_seconds
from bubus._tasks import cancel
from bubus._tree import describe_error, escape
from bubus.bridges._base import Delivery, Message, Verdict
from bubus.bridges._link import Patience
from bubus.bridges._safe import logger, safe
from bubus.bridges._wire import EventDecoder, Head, decode_head_of, encode_head, encode_reply
from bubus.bridges._work import HandBack, without, work
from bubus.errors import AlreadyDispatchedError, BridgeError, BridgeUnavailable, InvalidEvent, OptionError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Iterable, Sequence

    from bubus._event import AnyEvent
    from bubus._handlers import Handler, Registry
    from bubus._result import EventResult
    from bubus.bridges._base import Transport
    from bubus.bridges._link import Link
    from bubus.bridges._window import Window

_FETCH_SECONDS: Final = 5.0
_LONGEST_DELAY: Final = 60.0
_LONGEST_REASON: Final = 2000


@attrs.frozen
class Limits:
    """How much is received at once, and how often."""

    max_in_flight: int
    max_deliveries: int
    retry_delay: float
    """Seconds before the second delivery; doubled for each further one."""

    max_event_bytes: int

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("max_in_flight", "max_deliveries", "max_event_bytes"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name}={getattr(self, name)} must be at least 1")
        _ = checked_seconds("retry_delay", self.retry_delay)


@attrs.define(eq=False)
class Flight:
    """A delivery that is being worked on."""

    deliveries: list[Delivery]
    """Those to settle: more than one if a lease ended, or the server came back and knew of nothing."""

    has_effect: bool = False
    """Whether handlers have done it, so that it must not be done again."""

    task: asyncio.Task[None] | None = None


@attrs.define
class Tally:
    """What became of deliveries so far."""

    done: int = 0
    repeated: int = 0
    """Delivered again although they were done."""

    failed: int = 0
    """Attempts that failed; each is made again, or becomes a dead letter."""

    buried: int = 0


class Intake:
    """Receives for one group."""

    def __init__(self, transport: Transport, link: Link, registry: Registry, window: Window, limits: Limits) -> None:
        self.tally: Final = Tally()
        self._transport: Final = transport
        self._link: Final = link
        self._registry: Final = registry
        self._window: Final = window
        self._limits: Final = limits
        self._decoder: Final = EventDecoder(limits.max_event_bytes)
        self._flights: dict[str, Flight] = {}
        self._finished: list[tuple[str, Flight]] = []
        """By id of the event: what is done, and not acknowledged yet."""

        self._acknowledging: asyncio.Task[None] | None = None
        self._changed: asyncio.Event = asyncio.Event()
        self._receiving: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Events that are being worked on, or not acknowledged yet."""
        return len(self._flights)

    def start(self) -> None:
        """Begin to receive, in the next turn of the loop."""
        if self._receiving is None:
            self._receiving, self._keeping = _spawn(self._receive()), _spawn(self._keep_leases())

    async def stop(self, timeout: float) -> None:
        """Receive no more, finish what is in flight within *timeout* seconds, and hand back the rest."""
        await cancel([self._receiving])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._idle()
        await cancel([self._keeping])
        await cancel([flight.task for flight in self._flights.values()])
        await cancel([self._acknowledging])

    async def _idle(self) -> None:
        while self._flights:
            self._changed.clear()
            _ = await self._changed.wait()

    # -- receiving ---------------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        patience = Patience(self._link)
        while True:
            room = await self._room()
            try:
                deliveries = await self._transport.fetch(room, _FETCH_SECONDS)
            except Exception as error:  # noqa: BLE001 - receiving must go on, whatever a client raises
                self._link.lost(error)
                await patience.wait()
                continue
            self._link.restored()
            patience = Patience(self._link)
            for delivery in deliveries:
                self._try_to_take(delivery)

    def _receive_no_more(self) -> None:
        if self._receiving is not None and not self._receiving.cancelled() and not self._receiving.cancelling():
            logger.error("a bus that was given to bridge.on() has been ended: nothing is received any more")
            _ = self._receiving.cancel()

    async def _room(self) -> int:
        while (room := self._limits.max_in_flight - len(self._flights)) <= 0:
            self._changed.clear()
            _ = await self._changed.wait()
        return room

    def _try_to_take(self, delivery: Delivery) -> None:
        try:
            self._take(delivery)
        except Exception:  # noqa: BLE001 - it is logged
            # such as a window whose file cannot be read; the delivery comes again when its lease ends
            logger.exception("delivery %s cannot be taken now", escape(delivery.id))

    def _take(self, delivery: Delivery) -> None:
        head = Head()
        try:
            head = decode_head_of(delivery)
            event = self._decoder.decode(delivery, head, self._transport.origin)
        except InvalidEvent as error:
            self._begin(delivery.id, delivery, self._bury(delivery, head, str(error)))
            return
        event_id = event.event_id
        flight = self._flights.get(event_id)
        if flight is not None:
            # its lease ended, or the server came back and does not know of it; the work goes on
            flight.deliveries.append(delivery)
        elif self._window.has(event_id):
            self.tally.repeated += 1
            self._begin(event_id, delivery, None)
        else:
            self._begin(event_id, delivery, self._work_for(event, delivery, head))

    def _work_for(self, event: AnyEvent, delivery: Delivery, head: Head) -> Awaitable[bool] | None:
        """Return what is to be done for a delivery, None if nothing is."""
        if head.group and head.group != self._transport.group:
            return None
        handlers = without(self._registry.match(event), head.buses)
        if not handlers:
            return None
        if delivery.attempt > self._limits.max_deliveries:
            return self._bury(delivery, head, "it was delivered that often and never settled: does it end its worker?")
        return self._handle(event, delivery, head, handlers)

    def _begin(self, event_id: str, delivery: Delivery, work: Awaitable[bool] | None) -> None:
        flight = self._flights[event_id] = Flight([delivery])
        if work is None:
            self._finish(event_id, flight)
        else:
            flight.task = _spawn(self._fly(event_id, flight, work))

    async def _fly(self, event_id: str, flight: Flight, work: Awaitable[bool]) -> None:
        try:
            flight.has_effect = await work
        except _Again as again:
            await self._give_back(event_id, flight, again.delay)
        except HandBack as reason:
            if reason.for_good:
                self._receive_no_more()
            await self._give_back(event_id, flight, self._limits.retry_delay)
        except asyncio.CancelledError:
            await self._give_back(event_id, flight, 0.0)
            raise
        except Exception:  # noqa: BLE001 - it is logged
            logger.exception("event %s cannot be worked on now", escape(event_id))
            await self._give_back(event_id, flight, self._limits.retry_delay)
        else:
            self._finish(event_id, flight)

    # -- working -----------------------------------------------------------------------------------------------------

    async def _handle(self, event: AnyEvent, delivery: Delivery, head: Head, handlers: Sequence[Handler]) -> bool:
        results = await work(event, handlers)
        errors = [result.error for result in results if result.error is not None]
        if head.reply:
            await self._reply(event, head, results)
        elif errors:
            self.tally.failed += 1
            return await self._failed(event, delivery, head, errors)
        return True

    async def _failed(self, event: AnyEvent, delivery: Delivery, head: Head, errors: Sequence[BaseException]) -> bool:
        forged = any(isinstance(error, AlreadyDispatchedError) for error in errors)
        if not forged and delivery.attempt < self._limits.max_deliveries:
            logger.warning(
                "%s %s failed (delivery %d of %d) and will be delivered again: %s",
                escape(event.event_type),
                event.event_id,
                delivery.attempt,
                self._limits.max_deliveries,
                describe_error(errors[0]),
            )
            raise _Again(min(self._limits.retry_delay * 2.0 ** (delivery.attempt - 1), _LONGEST_DELAY))
        reason = "; ".join(map(describe_error, errors))
        return await self._bury(delivery, head, reason)

    async def _reply(self, event: AnyEvent, head: Head, results: Iterable[EventResult[object]]) -> None:
        try:
            await self._transport.reply(head.reply, encode_reply(event.event_id, results))
        except BridgeError as error:
            # whoever asked may be gone; it will say that it had to wait too long
            logger.warning("the results of %s could not be sent: %s", event.event_id, safe(error))

    async def _bury(self, delivery: Delivery, head: Head, reason: str) -> bool:
        """Put a delivery among the dead letters; whoever comes after a crash between that and its end does it again."""
        self.tally.buried += 1
        reason = escape(" ".join(reason.split()), _LONGEST_REASON)
        logger.error("event %s is now a dead letter: %s", escape(delivery.id), reason)
        group = self._transport.group or ""
        letter = attrs.evolve(
            _as_message(delivery),
            id=f"{delivery.id}/{group}",
            head=encode_head(
                Head(
                    head.buses,
                    head.streams,
                    head.path,
                    group=group,
                    error=reason,
                    deliveries=delivery.attempt,
                    buried_at=datetime.now(UTC).isoformat(),
                )
            ),
        )
        patience = Patience(self._link)
        while (refusal := await self._publish_dead(letter)) is not None:
            if not isinstance(refusal, BridgeUnavailable):
                logger.error("the dead letter of %s cannot be stored: %s", escape(delivery.id), safe(refusal))
                raise _Again(_LONGEST_DELAY)
            self._link.lost(refusal)
            await patience.wait()
        return False

    async def _publish_dead(self, letter: Message) -> Exception | None:
        try:
            [outcome] = await self._transport.publish([letter], dead=True)
        except BridgeUnavailable as error:
            return error
        return outcome

    # -- settling ----------------------------------------------------------------------------------------------------

    def _finish(self, event_id: str, flight: Flight) -> None:
        flight.task = None
        self._finished.append((event_id, flight))
        if self._acknowledging is None:
            self._acknowledging = _spawn(self._acknowledge())

    async def _acknowledge(self) -> None:
        """Tell the window and the server of all that is done; exists only while there is something to tell."""
        try:
            while self._finished:
                finished, self._finished = self._finished, []
                self._remember([event_id for event_id, flight in finished if flight.has_effect])
                await self._settle([delivery for _, flight in finished for delivery in _taken(flight.deliveries)])
                self._forget(finished)
        finally:
            self._acknowledging = None

    def _remember(self, event_ids: Sequence[str]) -> None:
        try:
            self._window.add(event_ids)
        except Exception:  # noqa: BLE001 - it is logged
            logger.exception("the window cannot be written: if these events come again, they are done again")

    async def _settle(self, deliveries: Sequence[Delivery]) -> None:
        patience = Patience(self._link)
        while True:
            try:
                await self._transport.settle(deliveries, Verdict.DONE)
            except BridgeUnavailable as error:
                self._link.lost(error)
                await patience.wait()
            else:
                return

    def _forget(self, finished: Iterable[tuple[str, Flight]]) -> None:
        for event_id, flight in finished:
            if flight.deliveries:  # one more came while this was acknowledged
                self._finished.append((event_id, flight))
            else:
                self.tally.done += flight.has_effect
                del self._flights[event_id]
        self._changed.set()

    async def _give_back(self, event_id: str, flight: Flight, delay: float) -> None:
        _ = self._flights.pop(event_id, None)
        self._changed.set()
        try:
            await self._transport.settle(flight.deliveries[-1:], Verdict.AGAIN, delay)
        except BridgeUnavailable as error:
            self._link.lost(error)  # it comes again when its lease ends

    async def _keep_leases(self) -> None:
        """Tell the server from time to time what is still being worked on."""
        while True:
            await asyncio.sleep(self._transport.lease / 3)
            working = [delivery for flight in self._flights.values() for delivery in flight.deliveries[-1:]]
            if working:
                try:
                    await self._transport.settle(working, Verdict.WORKING)
                except BridgeUnavailable as error:
                    self._link.lost(error)


class _Again(Exception):  # noqa: N818 - says what to do
    """The delivery is to be made again."""

    def __init__(self, delay: float) -> None:
        self.delay: Final = delay
        super().__init__(delay)


def _as_message(delivery: Delivery) -> Message:
    return Message(delivery.id, delivery.body, delivery.head)


def _taken(deliveries: list[Delivery]) -> list[Delivery]:
    taken = list(deliveries)
    deliveries.clear()
    return taken


def _spawn(work: Coroutine[object, None, None]) -> asyncio.Task[None]:
    # a context of its own: what is received belongs to no handler that happens to run now
    return asyncio.get_running_loop().create_task(work, context=Context())
