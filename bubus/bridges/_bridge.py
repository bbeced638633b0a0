"""Bridge: what users hold. It checks arguments and wires the parts; the parts do the work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias, TypedDict, TypeVar, overload

import attrs
from typing_extensions import override

from bubus._event import AnyEvent, is_event
from bubus._handlers import AnyHandler, Registry, Subscription, normalize_pattern
from bubus._ids import new_id
from bubus._seconds import checked_seconds
from bubus._tree import describe_value
from bubus.bridges._base import Message, Verdict
from bubus.bridges._intake import Intake, Limits
from bubus.bridges._letters import DeadLetter, letter_of
from bubus.bridges._link import Link
from bubus.bridges._outbox import Outbox
from bubus.bridges._requests import Requests
from bubus.bridges._sender import Sender
from bubus.bridges._window import Seen, Window
from bubus.bridges._wire import MAX_EVENT_BYTES, outgoing
from bubus.errors import BridgeStateError, NotAnEventError, OptionError, OptionTypeError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from types import TracebackType

    from bubus._bus import EventClass, HandlerDecorator, HandlerReturn, NamedDecorator
    from bubus.bridges._base import Transport

E = TypeVar("E", bound="AnyEvent")
R = TypeVar("R")

KeyFunction: TypeAlias = AnyHandler
"""
A callable of one event: returns what events of one kind have in common, such as the number of their order; None for an
event without.
"""

OutboxLike: TypeAlias = "Outbox | str | os.PathLike[str] | None"

_State: TypeAlias = Literal["new", "starting", "started", "stopped"]


class _Default:
    """The type of an argument that was not given."""


_UNSET = _Default()


class BridgeOptions(TypedDict, total=False):
    """What every bridge takes by keyword; `Bridge` says what it means."""

    key: KeyFunction | None
    max_in_flight: int
    max_deliveries: int
    retry_delay: float
    window: Window | None
    outbox: OutboxLike
    max_waiting: int
    max_event_bytes: int


@attrs.frozen(kw_only=True)
class BridgeStatistics:
    """What a bridge has done so far, and what it is at."""

    sent: int
    """Events that the server has taken."""

    waiting: int
    """Events that wait for the server."""

    in_flight: int
    """Received events that are being worked on."""

    done: int
    """Received events that were done and acknowledged."""

    repeated: int
    """Events that were delivered again although they were done; they had no effect."""

    failed: int
    """Attempts that failed."""

    buried: int
    """Events that became dead letters here."""


class Bridge:
    """
    Carries events between this process and others, over a stream that a `Transport` keeps.

    `bubus.bridges` says what is promised and what is not.

    Args:
        transport: The engine. It belongs to the bridge from now on.
        key: Returns what events have in common that must stay in order, such as ``lambda e: e.order_id``; None for an
            event that need not.
        max_in_flight: Received events that are worked on at once.
        max_deliveries: How often an event is tried before it becomes a dead letter.
        retry_delay: Seconds before the second try; doubled for each further one, up to a minute.
        window: Remembers what was done; by default a `Seen`. A `SeenFile` survives the process.
        outbox: Holds events that the server does not have yet: an `Outbox`, or the path of one. Without it they wait
            in memory, and whoever dispatched them waits too. `start` needs the server all the same.
        max_waiting: Events that may wait for the server in memory.
        max_event_bytes: Largest event, and reply, that is decoded.

    Raises:
        OptionError: If an option is out of range.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        key: KeyFunction | None = None,
        max_in_flight: int = 64,
        max_deliveries: int = 5,
        retry_delay: float = 1.0,
        window: Window | None = None,
        outbox: OutboxLike = None,
        max_waiting: int = 10_000,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        limits = Limits(
            max_in_flight=max_in_flight,
            max_deliveries=max_deliveries,
            retry_delay=retry_delay,
            max_event_bytes=max_event_bytes,
        )
        if max_waiting < 1:
            raise OptionError(f"max_waiting={max_waiting} must be at least 1")
        _check_key(key)
        self.id: str = new_id()
        self.name: str = f"{type(self).__name__}({transport.stream})"
        self.transport: Transport = transport
        """The engine's own interface; for what the bridge itself does not offer."""

        self._key: Final = key
        self._registry: Final = Registry(self.id, self.name)
        self._state: _State = "new"
        self._link: Final = Link(self.name)
        self._outbox: Final = outbox if isinstance(outbox, Outbox | None) else Outbox(outbox)
        self._window: Final = window or Seen()
        self._sender: Final = Sender(transport, self._link, self._outbox, max_waiting)
        self._requests: Final = Requests(transport, self._link, max_event_bytes)
        self._intake: Final = Intake(transport, self._link, self._registry, self._window, limits)

    @override
    def __repr__(self) -> str:
        return f"<{self.name} group={self.transport.group} {self._state}>"

    # -- beginning and end -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """
        Return when events can be sent and, with a group, all that others send from now on will be received.

        Raises:
            BridgeConnectError: If the server cannot be reached or refuses; `start` may be called again.
            BridgeStateError: If the bridge was started before; a stopped one is never started again.
            OptionError: If the stream does not fit the options.
            LogError: If the outbox cannot be opened.
        """
        if self._state != "new":
            raise BridgeStateError(f"{self!r} cannot be started; make a new bridge")
        self._state = "starting"
        try:
            left = await self._open()
        except BaseException:
            self._state = "new" if self._is("starting") else "stopped"
            raise
        if not self._is("starting"):
            await self._close()
            raise BridgeStateError(f"{self!r} was stopped while it started")
        self._state = "started"
        if left:
            self._sender.resume(left)
        if self._registry.names():
            self._intake.start()

    def _is(self, state: _State) -> bool:
        return self._state == state

    async def _open(self) -> list[Message]:
        left = [] if self._outbox is None else self._outbox.open()
        try:
            await self.transport.connect(self._link, ordered=self._key is not None)
        except BaseException:
            if self._outbox is not None:
                self._outbox.close()
            raise
        return left

    async def stop(self, timeout: float = 10.0) -> None:
        """
        Receive no more, finish what is being done and send what waits, within *timeout* seconds; then let go.

        What was received and is not done by then is handed back: another worker gets it. What the server does not have
        yet stays in the outbox, or fails. It is final, and doing it twice is no error.

        Raises:
            OptionError: If *timeout* is negative.
            OptionTypeError: If it is no number.
        """
        timeout = checked_seconds("timeout", timeout, infinite=True)
        started, self._state = self._state == "started", "stopped"
        if not started:
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        try:
            await self._intake.stop(timeout)
            _ = await asyncio.wait([loop.create_task(self._sender.drain())], timeout=max(0.0, end - loop.time()))
        finally:
            await self._close()

    async def _close(self) -> None:
        await self._sender.stop()
        await self._requests.stop()
        await self.transport.close()
        self._window.close()
        if self._outbox is not None:
            self._outbox.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        """Finish what is being done, or hand it back at once if the block raised."""
        await (self.stop() if kind is None else self.stop(0))
        return False

    # -- out ---------------------------------------------------------------------------------------------------------

    async def dispatch(self, event: AnyEvent) -> None:
        """
        Return when the server has *event*, or the outbox: a handler for ``bus.on("*", bridge.dispatch)``.

        While the server does not answer it waits. An event that came out of this stream is not put into it again.

        Raises:
            NotAnEventError: If it is no event.
            BridgeStateError: Before `start`, and after `stop`.
            EncodeError: If it cannot be written.
            BridgeFull: If too many events wait already.
            BridgeRefused: If the server will never take it, such as one that is too large.
        """
        message = self._message(event)
        if message is not None:
            await self._sender.send(message)

    async def request(self, event: E, *, timeout: float = 60.0, group: str | None = None) -> E:
        """
        Have one remote worker handle *event*, and return it, completed, with that worker's results.

        Errors of its handlers are `RemoteError` in those results; `event_result()` raises them. It is not delivered
        again because of them.

        Args:
            event: A new event.
            timeout: Seconds to wait for the results; the work itself may go on.
            group: Which group is asked; None asks all, and takes the results of whoever answers first.

        Raises:
            OptionError: If *timeout* is negative.
            OptionTypeError: If it is no number.
            WaitTimeout: If no results come in time (a TimeoutError).
            AlreadyDispatchedError: If the event was dispatched before.
            BridgeStateError: Before `start`, and after `stop`.
            EncodeError: If it cannot be written.
        """
        self._check()
        timeout = checked_seconds("timeout", timeout, infinite=True)

        async def send() -> None:
            message = self._message(event, reply=self.transport.inbox, group=group or "")
            if message is None:
                raise BridgeStateError(f"{event.event_type} came out of this stream; request() takes a new event")
            await self._sender.send_now(message)

        return await self._requests.ask(event, send, timeout)

    def _message(self, event: AnyEvent, *, reply: str = "", group: str = "") -> Message | None:
        self._check()
        if not is_event(event):
            raise NotAnEventError(f"cannot send {describe_value(event)}: make an instance of a BaseEvent subclass")
        key = None if self._key is None else self._key(event)
        text = "" if key is None else str(key)
        return outgoing(event, self.transport.origin, text, reply=reply, group=group)

    def _check(self) -> None:
        if self._state != "started":
            remedy = "a stopped bridge is closed for good" if self._state == "stopped" else "await bridge.start() first"
            raise BridgeStateError(f"{self!r}: {remedy}")

    # -- in ----------------------------------------------------------------------------------------------------------

    @overload
    def on(self, pattern: EventClass[E, R], handler: Callable[[E], HandlerReturn[R, E]], /) -> Subscription: ...
    @overload
    def on(self, pattern: str, handler: Callable[[AnyEvent], object], /) -> Subscription: ...
    @overload
    def on(self, pattern: str, handler: Callable[[E], object], /) -> Subscription: ...
    @overload
    def on(self, pattern: EventClass[E, R], /) -> HandlerDecorator[E, R]: ...
    @overload
    def on(self, pattern: str, /) -> NamedDecorator: ...
    def on(self, pattern: object, handler: object = _UNSET, /) -> object:
        """
        Give received events that *pattern* means to *handler*, usually the `dispatch` of a bus.

        An event is acknowledged when all its handlers are done and each event they returned is complete. Those that no
        handler is registered for are acknowledged and passed over.

        Args:
            pattern: As for `EventBus.on`.
            handler: Any callable of one event, sync or async; without it, a decorator is returned.

        Raises:
            OptionError: If the bridge has no group.
            PatternError: If *pattern* is nothing of these.
            HandlerError: If *handler* cannot be called with one event.
        """
        if self.transport.group is None:
            raise OptionError(f"{self.name} only sends: give it a group to receive")
        if handler is not _UNSET:
            return self._subscribe(pattern, handler)
        _ = normalize_pattern(pattern)

        def decorate(function: object) -> object:
            _ = self._subscribe(pattern, function)
            return function

        return decorate

    def _subscribe(self, pattern: object, handler: object) -> Subscription:
        subscription = Subscription(self._registry.add(pattern, handler), self._registry)
        if self._state == "started":
            self._intake.start()
        return subscription

    # -- what is going on --------------------------------------------------------------------------------------------

    def statistics(self) -> BridgeStatistics:
        """Return counts of what has become of all events so far."""
        tally = self._intake.tally
        return BridgeStatistics(
            sent=self._sender.sent,
            waiting=self._sender.waiting,
            in_flight=self._intake.in_flight,
            done=tally.done,
            repeated=tally.repeated,
            failed=tally.failed,
            buried=tally.buried,
        )

    # -- dead letters ------------------------------------------------------------------------------------------------

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """
        Return the oldest dead letters of all groups of this stream.

        Raises:
            BridgeStateError: Before `start`, and after `stop`.
            BridgeUnavailable: If the server does not answer.
        """
        self._check()
        return [letter_of(delivery) for delivery in await self.transport.letters(limit)]

    async def requeue(self, letter: DeadLetter) -> None:
        """
        Deliver a dead letter again, to the group that could not do it, and delete it.

        Raises:
            BridgeStateError: Before `start`, and after `stop`.
        """
        self._check()
        await self._sender.send_now(letter.as_message())
        await self.discard(letter)

    async def discard(self, letter: DeadLetter) -> None:
        """
        Delete a dead letter.

        Raises:
            BridgeStateError: Before `start`, and after `stop`.
            BridgeUnavailable: If the server does not answer.
        """
        self._check()
        await self.transport.settle([letter.delivery], Verdict.DONE)


def _check_key(value: object) -> None:
    if value is not None and not callable(value):
        raise OptionTypeError(
            f"key={describe_value(value)} must be a function of the event, such as lambda event: event.order_id"
        )
