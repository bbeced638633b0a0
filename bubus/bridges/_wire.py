"""
Events and results as bytes, for `Message` and `Delivery`.

The body of a message is the event, as any other program can read it. Its head is what only bridges need. What is
received is data: it names no class, its size and nesting are bounded before it is decoded, and an event that is passed
on unchanged keeps its bytes.
"""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec

from bubus._codec import MAX_DEPTH, decode, depth_exceeds, encode, encode_result
from bubus._compile import compile_type
from bubus._event import AnyEvent, BaseEvent
from bubus._mode import WIRE
from bubus._registry import registered
from bubus._result import EventResult, Origin
from bubus._state import state_of
from bubus._tree import escape
from bubus.bridges._base import Message
from bubus.errors import BubusError, DefinitionError, EncodeError, InvalidEvent, NewerVersionError, RemoteError
from bubus.wal._frame import BadLine
from bubus.wal._record import READ_ERRORS, decode_head
from bubus.wal._typed import shortcut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bubus._types import Check
    from bubus.bridges._base import Delivery

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""Largest event that is sent or decoded, unless told otherwise; servers have limits of their own."""

_MAX_HEAD_BYTES: Final = 256 * 1024
_LONGEST_ERROR: Final = 2000
_RESULT_DEPTH: Final = MAX_DEPTH - 3
_BEGINNING: Final = re.compile(
    rb'\{"event_type":"([A-Za-z_][A-Za-z0-9_.]{0,127})","event_schema":"([\w.<>@+-]{0,512})"'
)
"""How events begin that another bubus wrote."""

_ROUTE: Final = "_event_route"
_NULL: Final = msgspec.Raw(b"null")


class Head(msgspec.Struct, frozen=True, omit_defaults=True):
    """What goes with an event."""

    buses: tuple[str, ...] = ()
    """Ids of all buses, in all processes, that have had it: none of them gets it again."""

    streams: tuple[str, ...] = ()
    """Identities of all streams it came through before this one."""

    path: tuple[str, ...] = ()
    """Names of buses that come after those in the body's `event_path`."""

    reply: str = ""
    """The inbox that wants its results."""

    group: str = ""
    """The only group it is meant for; all, if empty."""

    error: str = ""
    """Why it is a dead letter."""

    deliveries: int = 0
    """How often it was delivered before it became one."""

    buried_at: str = ""
    """When it became one, in ISO 8601."""


_heads: Final = msgspec.json.Decoder(Head)


def encode_head(head: Head) -> bytes:
    """Return *head* as JSON in ASCII, which every server keeps; nothing for one that says nothing."""
    data = msgspec.json.encode(head)
    if data == b"{}":
        return b""
    return data if data.isascii() else json.dumps(msgspec.to_builtins(head)).encode()


def decode_head_of(delivery: Delivery) -> Head:
    """
    Return the head of a delivery; one of a program that knows no heads has an empty one.

    Raises:
        InvalidEvent: If it is none.
    """
    data = delivery.head
    if not data:
        return Head()
    if len(data) > _MAX_HEAD_BYTES:
        raise InvalidEvent(f"its head has {len(data)} bytes, more than {_MAX_HEAD_BYTES}")
    try:
        return _heads.decode(data)
    except READ_ERRORS as error:
        raise InvalidEvent(f"its head cannot be read: {escape(error)}") from error


@attrs.frozen
class Route:
    """How an event came here; it stays with the event, and is never shown or written."""

    event_id: str
    """Of which event: another that was made from it has come no way."""

    head: Head
    body: bytes
    origin: str
    """The stream it came from."""

    path_length: int
    """How many names its `event_path` had then."""

    snapshot: bytes | None
    """The event as it was written here then; None if that is what *body* says."""


def route_of(event: AnyEvent) -> Route | None:
    """Return how *event* came into this process, None for one that was made here."""
    route: Route | None = event.__dict__.get(_ROUTE)
    return route if route is not None and route.event_id == event.event_id else None


# -- sending ---------------------------------------------------------------------------------------------------------


def outgoing(event: AnyEvent, origin: str, key: str, *, reply: str = "", group: str = "") -> Message | None:
    """
    Return the message for *event*, or None if it has been in the stream *origin* already.

    Raises:
        EncodeError: If it cannot be written.
    """
    route = route_of(event)
    if route is not None and (origin == route.origin or origin in route.head.streams):
        return None
    state = state_of(event)
    buses = () if state is None else state.bus_ids
    if route is None:
        head = Head(buses, reply=reply, group=group)
        return Message(event.event_id, encode(event), encode_head(head), key, event.event_type)
    body, path = _body(event, route)
    head = Head((*route.head.buses, *buses), (*route.head.streams, route.origin), path, reply, group)
    return Message(event.event_id, body, encode_head(head), key, event.event_type)


def _body(event: AnyEvent, route: Route) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a received event, as they were if nobody changed it, and the names they lack."""
    then, now = copy.copy(event), encode(event)
    object.__setattr__(then, "event_path", event.event_path[: route.path_length])
    if encode(then) == (_as_decoded(route, type(event)) if route.snapshot is None else route.snapshot):
        return route.body, (*route.head.path, *event.event_path[route.path_length :])
    return now, ()


def _as_decoded(route: Route, cls: type) -> bytes:
    fresh = _thoroughly(route.body, cls)
    fresh.event_path.extend(route.head.path)
    return encode(fresh)


# -- receiving -------------------------------------------------------------------------------------------------------


@attrs.define
class EventDecoder:
    """Makes events of deliveries."""

    max_bytes: int
    _quick: dict[str, tuple[type, Callable[[bytes], AnyEvent | None]]] = attrs.field(
        factory=dict[str, "tuple[type, Callable[[bytes], AnyEvent | None]]"], init=False
    )
    """For each class the decoder in C that reads its ordinary events."""

    def decode(self, delivery: Delivery, head: Head, origin: str) -> AnyEvent:
        """
        Return a fresh event: of the class registered under its type, else a BaseEvent that holds all its fields.

        Raises:
            InvalidEvent: If there is none.
        """
        body = delivery.body
        if len(body) > self.max_bytes:
            raise InvalidEvent(f"it has {len(body)} bytes, more than max_event_bytes={self.max_bytes}")
        name, schema = _names_in(body)
        cls = registered(name, schema)
        event = None if cls is None else self._decode_quickly(body, name, cls)
        snapshot = None
        if event is None:
            event = _thoroughly(body, cls or BaseEvent)
            event.event_path.extend(head.path)
            snapshot = _snapshot(event)
        else:
            event.event_path.extend(head.path)
        object.__setattr__(event, _ROUTE, Route(event.event_id, head, body, origin, len(event.event_path), snapshot))
        return event

    def _decode_quickly(self, body: bytes, name: str, cls: type) -> AnyEvent | None:
        quick = self._quick.get(name)
        if quick is None or quick[0] is not cls:
            quick = self._quick[name] = cls, shortcut(cls)
        event: AnyEvent | None = quick[1](body)
        return event


def _snapshot(event: AnyEvent) -> bytes:
    """Return *event* as it is now: what its body leaves to defaults, such as the time, differs when decoded again."""
    try:
        return encode(event)
    except EncodeError:
        return b""  # who forwards it is told


def _names_in(body: bytes) -> tuple[str, str]:
    """Return the type and schema of an event, as far as they are needed to find its class."""
    found = _BEGINNING.match(body)
    if found is not None:
        return found[1].decode(), found[2].decode()
    try:
        head = decode_head(body, None)
    except BadLine as error:
        raise InvalidEvent(str(error)) from error
    return head.event_type, head.event_schema


def _thoroughly(body: bytes, cls: type) -> AnyEvent:
    try:
        return decode(body, cast("type[AnyEvent]", cls))
    except NewerVersionError:  # what this program does not know yet passes through it as it is
        return decode(body, BaseEvent)


# -- results ---------------------------------------------------------------------------------------------------------


class WireResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one handler came to."""

    handler_id: str
    handler_name: str
    bus_id: str
    bus_name: str
    duration: float | None = None
    """Seconds."""

    result: msgspec.Raw = _NULL
    forwarded: bool = False
    error: tuple[str, str] | None = None
    """Name of its class, and message."""


class Reply(msgspec.Struct, frozen=True):
    """What the handlers of a requested event came to."""

    event_id: str
    results: tuple[WireResult, ...]


_replies: Final = msgspec.json.Decoder(Reply)


def encode_reply(event_id: str, results: Iterable[EventResult[object]]) -> bytes:
    """Return the reply to a request; a result that cannot be written becomes an error."""
    return msgspec.json.encode(Reply(event_id, tuple(map(_wire_result, results))))


def _wire_result(result: EventResult[object]) -> WireResult:
    origin, error, value = result.origin, result.error, b"null"
    if error is None and not result.forwarded:
        try:
            value = encode_result(result.result, result.result_type, _RESULT_DEPTH)
        except EncodeError as refused:
            error = refused
    return WireResult(
        origin.handler_id,
        origin.handler_name,
        origin.eventbus_id,
        origin.eventbus_name,
        result.duration,
        msgspec.Raw(value),
        result.forwarded,
        None if error is None else error_of(error),
    )


def error_of(error: BaseException) -> tuple[str, str]:
    """Return an error's class and message, safe to print and of bounded length."""
    return type(error).__name__, escape(error, _LONGEST_ERROR)


def decode_reply(data: bytes, max_bytes: int) -> Reply:
    """
    Return the reply in *data*.

    Raises:
        InvalidEvent: If there is none.
    """
    if len(data) > max_bytes:
        raise InvalidEvent(f"a reply of {len(data)} bytes, more than max_event_bytes={max_bytes}")
    if depth_exceeds(data, MAX_DEPTH):
        raise InvalidEvent(f"a reply nested deeper than {MAX_DEPTH}")
    try:
        return _replies.decode(data)
    except READ_ERRORS as error:
        raise InvalidEvent(f"no reply: {escape(error)}") from error


def results_of(reply: Reply, event: AnyEvent) -> dict[str, EventResult[object]]:
    """Return the results in *reply* as if the handlers had run here: values are those of ``BaseEvent[T]``."""
    check = _result_check(type(event))
    return {wire.handler_id: _result(wire, event, check) for wire in reply.results}


def _result_check(cls: type[AnyEvent]) -> Check | None:
    if cls.__event_result__ is None:
        return None
    try:
        return compile_type(cls.event_result_type, f"the result of {cls.__name__}", WIRE).validate
    except DefinitionError:  # of a type that JSON does not have: what it has may do
        return cls.__event_result__


def _result(wire: WireResult, event: AnyEvent, check: Check | None) -> EventResult[object]:
    origin = Origin(wire.handler_id, wire.handler_name, wire.bus_id, wire.bus_name)
    kind: object = event.event_result_type
    result: EventResult[object] = EventResult(event.event_id, origin, event.event_timeout, kind)
    try:
        value = _value(wire, check)
    except (BubusError, ValueError) as error:
        result.fail(error, wire.duration or 0.0)
    else:
        result.complete(value, wire.duration or 0.0, forwarded=wire.forwarded)
    return result


def _value(wire: WireResult, check: Check | None) -> object:
    if wire.error is not None:
        raise RemoteError(*wire.error)
    value = cast("object", msgspec.json.decode(wire.result))
    return value if check is None else check(value)
