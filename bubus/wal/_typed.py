"""Lines as events of their classes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, TypeVar, cast, overload

import attrs
import msgspec
from msgspec.structs import asdict
from typing_extensions import TypeIs

from bubus._codec import decode
from bubus._compile import compile_type
from bubus._event import AnyEvent, BaseEvent
from bubus._framework import CHECKS
from bubus._mode import WIRE
from bubus._narrow import attribute, attrs_fields, item_of, method
from bubus._registry import registered
from bubus._tree import describe_value, escape
from bubus.errors import DefinitionError, InvalidEvent, NewerVersionError, OptionError, OptionTypeError
from bubus.wal._frame import BadLine, unsealed
from bubus.wal._options import MAX_LINE_BYTES
from bubus.wal._read import LogReader, OnDamage, existing
from bubus.wal._record import decode_head

if TYPE_CHECKING:
    import os
    from datetime import datetime

    class _Row(msgspec.Struct):
        """What there is in a line of any class."""

        event_id: str
        event_parent_id: str | None
        event_created_at: datetime


_E = TypeVar("_E", bound="AnyEvent")
_Class: TypeAlias = "type[AnyEvent]"
_Shortcut: TypeAlias = Callable[[bytes], "AnyEvent | None"]

_TYPE: Final = b'{"event_type":"'
_STATUS: Final = b',"event_status":"'
"""Begins what a line says beside its event. Within the event only an object can hold it, and is then cut in two."""

Newer: TypeAlias = Literal["raise", "base"]
"""What to do about events of a newer version of their class."""

_SHORTEST: Final = 200
"""Bytes that an event takes at least, where it is not worth looking for its end."""

_TIMEOUT: Final = method(operator, "or_")(Annotated[float, msgspec.Meta(ge=0)], None)
_HEX: Final = bytes.maketrans(b"0123456789abcdef", b"0" * 16)
_ID: Final = b"00000000-0000-0000-0000-000000000000"


@overload
def read(
    path: str | os.PathLike[str],
    types: None = None,
    on_error: OnDamage = "raise",
    *,
    newer: Newer = "raise",
    max_line_bytes: int = MAX_LINE_BYTES,
) -> LogReader[AnyEvent]: ...
@overload
def read(
    path: str | os.PathLike[str],
    types: Iterable[type[_E]],
    on_error: OnDamage = "raise",
    *,
    newer: Newer = "raise",
    max_line_bytes: int = MAX_LINE_BYTES,
) -> LogReader[_E]: ...
def read(
    path: str | os.PathLike[str],
    types: Iterable[_Class] | None = None,
    on_error: OnDamage = "raise",
    *,
    newer: Newer = "raise",
    max_line_bytes: int = MAX_LINE_BYTES,
) -> LogReader[_E] | LogReader[AnyEvent]:
    """
    Yield the events of a log, its full files (``.gz`` too) first: fresh ones, that can be dispatched again.

    A line becomes an event of the class that has its `event_type`, or a `BaseEvent` that holds all its fields when
    there is none. Nothing in a log is ever imported.

    Args:
        path: The log, as it was given to `WriteAheadLog`.
        types: Yield only events of these classes; None yields all.
        on_error: ``"raise"``, ``"skip"`` (each fault is logged as a warning and counted in `LogReader.damaged`), or
            what to call with each fault.
        newer: What to do about events of a newer version of their class (``version="..."``) than this program has:
            ``"raise"`` reports them like damage, ``"base"`` yields a `BaseEvent` that holds all their fields.
        max_line_bytes: Longest line to accept.

    Raises:
        LogOpenError: If there is no such log.
        LogDamagedError: While reading, at the first line that is not what was written, or does not fit its class.
        OptionError: If *on_error* or *newer* is out of range.
        OptionTypeError: If *types* is no iterable of event classes.

    """
    wanted = None if types is None else {cls.__event_type__: cls for cls in _classes(types)}
    return LogReader(existing(path), EventDecoder(wanted, checked_newer(newer)).decode, on_error, max_line_bytes)


def checked_newer(newer: object) -> Newer:
    """
    Return *newer*.

    Raises:
        OptionError: If it is none of the two words.
    """
    if newer not in ("raise", "base"):
        raise OptionError(f'newer is "raise" or "base", not {escape(repr(newer))}')
    return newer


def _no_shortcut(_: bytes) -> None:
    return None


@attrs.define
class EventDecoder:
    """Makes an event of a line; it remembers how, for each type of event."""

    _wanted: dict[str, _Class] | None = None
    _newer: Newer = "raise"
    _shortcuts: dict[bytes, _Shortcut] = attrs.field(factory=dict[bytes, "_Shortcut"], init=False)
    _beginning: bytes = attrs.field(default=_TYPE + b'"', init=False)
    _shortcut: _Shortcut = attrs.field(default=_no_shortcut, init=False)
    """The one for lines with that beginning, such as the last was."""

    def decode(self, data: bytes, seq: int | None, *_: object) -> AnyEvent | None:
        """
        Return the event in *data*, or None if that type is not wanted.

        Raises:
            BadLine: If there is none.

        """
        end = data.find(_STATUS, _SHORTEST)
        if seq is not None and end > 0:
            if not data.startswith(self._beginning):
                self._turn_to(data)
            # what became of the event is no part of a new one, and so is not decoded
            if (event := self._shortcut(data[:end] + b"}")) is not None:
                return event
        return self._thoroughly(data, seq)

    def _turn_to(self, data: bytes) -> None:
        """Take the shortcut for lines that begin as *data* does."""
        name = data[len(_TYPE) : data.find(b'"', len(_TYPE))] if data.startswith(_TYPE) else b""
        self._beginning = b'%b%b"' % (_TYPE, name)
        self._shortcut = self._shortcuts.get(name) or self._make(name)

    def _thoroughly(self, data: bytes, seq: int | None) -> AnyEvent | None:
        head = decode_head(data, seq)
        cls = self._class(head.event_type, head.event_schema)
        if cls is None:
            return None
        event = data if seq is None else unsealed(data)
        try:
            return self._decoded(event, cls)
        except (InvalidEvent, DefinitionError) as error:
            raise BadLine(escape(" ".join(str(error).split()))) from error

    def _decoded(self, event: bytes, cls: _Class) -> AnyEvent:
        try:
            return decode(event, cls)
        except NewerVersionError:
            if self._newer == "raise":
                raise
            return decode(event, BaseEvent)

    def _class(self, event_type: str, schema: str = "") -> _Class | None:
        if self._wanted is not None:
            return self._wanted.get(event_type)
        return cast("_Class | None", registered(event_type, schema)) or BaseEvent

    def _make(self, name: bytes) -> _Shortcut:
        cls = self._class(name.decode("ascii", "replace"))
        if cls is None or cls is BaseEvent:
            return _no_shortcut  # not remembered: how many unknown names there are is up to whoever wrote the log
        found = self._shortcuts[name] = shortcut(cls)
        return found


def shortcut(cls: _Class) -> _Shortcut:
    """
    Return a decoder in C for lines of *cls*.

    It returns None for every line if a field needs more than C has, and for a line in which anything is unusual:
    extras, defaults, another version, a time zone. Such lines are decoded thoroughly.
    """
    if not _is_plain(cls):
        return _no_shortcut
    fields = attrs.fields_dict(cls)
    # exactly the fields of the class: another key would be an extra, a missing one a default
    row = msgspec.defstruct(
        "Row", [(name, _kind(field)) for name, field in fields.items()], forbid_unknown_fields=True, gc=False
    )
    try:
        decode_row = cast("Callable[[bytes], _Row]", msgspec.json.Decoder(row).decode)
    except TypeError:
        return _no_shortcut

    new = cast("Callable[[object], object]", cls.__new__)

    def decode_event(data: bytes) -> object:
        try:  # however deep the line is nested: the decoder stops at the first bracket that is not in the types
            found = decode_row(data)
        except (msgspec.MsgspecError, ValueError):
            return None
        parent = found.event_parent_id
        if found.event_id.encode().translate(_HEX) != _ID or found.event_created_at.tzinfo is not UTC:
            return None
        if parent is not None and parent.encode().translate(_HEX) != _ID:
            return None
        event = new(cls)
        event.__dict__ = asdict(found)
        return event

    return cast("_Shortcut", decode_event)


def _kind(field: attrs.Attribute[object]) -> object:
    if field.name in {"event_type", "event_schema"}:
        return item_of(Literal, field.default)
    if field.name == "event_timeout":
        return _TIMEOUT
    return field.type


def _is_plain(cls: _Class) -> bool:
    if cls.__event_origin__ is not cls or hasattr(cls, "__attrs_pre_init__") or hasattr(cls, "__attrs_post_init__"):
        return False
    blueprint = cls.__event_blueprint__
    _ = blueprint.init(WIRE)  # completes it
    return blueprint.is_plain and all(map(_is_plain_field, attrs_fields(cls)))


def _is_plain_field(field: attrs.Attribute[object]) -> bool:
    if attribute(field, "converter") or field.validator or not field.init:
        return False
    if field.name in CHECKS:
        return True
    try:
        return field.name == field.alias and compile_type(field.type, field.name, WIRE).in_c
    except DefinitionError:
        return False


def _classes(types: object) -> list[_Class]:
    if _is_event_class(types):
        raise OptionTypeError(f"types takes a list of event classes: [{types.__qualname__}]")
    if not _is_iterable(types):
        raise OptionTypeError(f"types takes a list of event classes, not {describe_value(types)}")
    return [_checked(cls) for cls in types]


def _is_iterable(value: object) -> TypeIs[Iterable[object]]:
    return isinstance(value, Iterable)


def _checked(cls: object) -> _Class:
    if not _is_event_class(cls):
        raise OptionTypeError(f"types are event classes, not {escape(repr(cls))}")
    return cls


def _is_event_class(value: object) -> TypeIs[_Class]:
    return isinstance(value, type) and issubclass(value, BaseEvent)
