"""What a line says, decoded as far as nobody's classes are needed for it."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from bubus._codec import MAX_DEPTH, depth_exceeds
from bubus._tree import escape
from bubus.wal._frame import BadLine

if TYPE_CHECKING:
    from pathlib import Path

    from bubus._types import Values

_NULL: Final = Raw(b"null")
_BRACE, _BRACKET = b"{["  # as numbers: counting those is faster than counting bytes


class LineHead(msgspec.Struct, frozen=True, gc=False):
    """The framework's keys of a line; what else it holds stays undecoded."""

    event_type: str
    event_schema: str = ""
    event_id: str = ""
    event_parent_id: str | None = None
    event_path: tuple[str, ...] = ()
    event_timeout: float | None = None
    event_created_at: datetime | None = None
    event_status: str = ""
    event_started_at: datetime | None = None
    event_completed_at: datetime | None = None
    event_processed_at: datetime | None = None
    event_results: Raw = _NULL
    event_seq: int | UnsetType | None = UNSET
    event_crc: int | UnsetType | None = UNSET


class LoggedResult(msgspec.Struct, frozen=True):
    """What a line says of one handler."""

    handler_name: str = ""
    eventbus_name: str = ""
    status: str = ""
    duration: float | None = None
    """Seconds."""

    result: Raw = _NULL
    error: Raw = _NULL


_heads: Final = msgspec.json.Decoder(LineHead)
_results: Final = msgspec.json.Decoder(dict[str, LoggedResult] | None)
_objects: Final = msgspec.json.Decoder(dict[str, Raw])


def decode_head(line: bytes, seq: int | None) -> LineHead:
    """
    Decode the framework's keys of a line that `unseal` has seen.

    Raises:
        BadLine: If it is no event, nested too deeply, or says that it is sealed although it is not.

    """
    # nearly every line has fewer brackets than levels are allowed: only the others are looked at one by one
    if line.count(_BRACE) + line.count(_BRACKET) > MAX_DEPTH and depth_exceeds(line, MAX_DEPTH):
        raise BadLine(f"more than {MAX_DEPTH} levels of nesting")
    try:
        head = _heads.decode(line)
    except READ_ERRORS as error:
        raise BadLine(f"no event: {escape(error)}") from error
    if seq is None and not (head.event_seq is UNSET and head.event_crc is UNSET):
        raise BadLine("the line is not what was written (event_seq and event_crc do not stand at its end)")
    return head


def is_event(line: bytes) -> bool:
    """Return whether *line*, which is not sealed, is one that an older bubus wrote."""
    try:
        _ = decode_head(line, None)
    except BadLine:
        return False
    return True


READ_ERRORS: Final = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError, ValueError)
"""All that msgspec raises for bad bytes; a MsgspecError alone is not enough."""


class LogRecord(msgspec.Struct, frozen=True):
    """One line of a log, with its place."""

    file: Path
    line: int
    """Number of the line in its file, from 1."""

    offset: int
    """Bytes before it in its file (decompressed)."""

    data: bytes
    """The line as it stands in the file, without line feed; ``msgspec.json.decode(data, type=...)`` reads it."""

    head: LineHead
    """The framework's keys, decoded."""

    @property
    def event_type(self) -> str:
        """Name of the event's class."""
        return self.head.event_type

    @property
    def event_id(self) -> str:
        """Id of the event; empty when the line names none."""
        return self.head.event_id

    @property
    def seq(self) -> int | None:
        """Number of the line in the log, from 1; None in lines of an older bubus."""
        return self.head.event_seq or None

    @property
    def results(self) -> dict[str, LoggedResult]:
        """
        What the handlers returned, by handler id; decoded at each call.

        Raises:
            ValueError: If the line's results have another shape.

        """
        return _results.decode(self.head.event_results) or {}

    @property
    def payload(self) -> Values:
        """The event's own fields and extras as plain JSON values; decoded at each call."""
        values = _objects.decode(self.data)
        return {key: msgspec.json.decode(raw) for key, raw in values.items() if not key.startswith("event_")}
