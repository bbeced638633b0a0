"""An event as a line: what is known when it is dispatched, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from bubus._codec import MAX_DEPTH, encode, encode_result
from bubus._tree import escape
from bubus.wal._frame import clean

if TYPE_CHECKING:
    from bubus._event import AnyEvent
    from bubus._result import EventResult, Origin
    from bubus._state import EventState

_NO_PARENT: Final = b'"event_parent_id":null'
_PATH: Final = b'"event_path":'
_AFTER_PATH: Final = b',"event_timeout":'

_RESULT_DEPTH: Final = MAX_DEPTH - 3
"""Levels that are left for a handler's result: it stands in the line, in `event_results`, in what one handler did."""

_LONGEST_ERROR: Final = 10_000
"""Characters of an error's text; whoever needs more than that has put a payload into it."""

_MOST_HANDLERS: Final = 1024
_BEGUN: Final = b',"event_status":"completed","event_started_at":'
_ENDED: Final = b',"event_completed_at":'
_PROCESSED: Final = b',"event_processed_at":'
_RESULTS: Final = b',"event_results":{'
_COMPLETED: Final = b'"status":"completed","duration":'
_FAILED: Final = b'"status":"error","duration":'

_to_json: Final = msgspec.json.Encoder().encode
_moment: Final = datetime.fromtimestamp


def written(event: AnyEvent, parent_id: str | None) -> bytes:
    """
    Return *event* as a JSON object.

    Args:
        event: The event.
        parent_id: Its parent, if it does not know it yet.

    Raises:
        EncodeError: If a field cannot be written, or not without loss.
    """
    data = encode(event)
    if parent_id is not None and event.event_parent_id is None:
        # quotes within values are escaped, so that what looks like the key is it; the same goes for `with_path`
        data = data.replace(_NO_PARENT, b'"event_parent_id":%b' % _to_json(parent_id), 1)
    return data


def with_path(event: bytes, path: list[str]) -> bytes:
    """Return what `written` returned with another `event_path`."""
    start = event.index(_PATH) + len(_PATH)
    return event[:start] + _to_json(path) + event[event.index(_AFTER_PATH, start) :]


class Scribe:
    """Writes what became of events; remembers what all results of a handler have in common."""

    def __init__(self) -> None:
        self._beginnings: dict[str, bytes] = {}

    def line(self, event: bytes, state: EventState) -> bytes:
        """Return what `written` returned and the keys behind the payload, up to `event_results`, without the brace."""
        epoch, started, completed = state.epoch, state.started, state.completed
        begun = b"null" if started is None else _to_json(_moment(epoch + started, UTC))
        ended = b"null" if completed is None else _to_json(_moment(epoch + completed, UTC))
        known = self._beginnings
        results = [
            outcome(result, known.get(result.origin.handler_id) or self._beginning(result.origin))
            for result in state.results.values()
        ]
        all_results = results[0] if len(results) == 1 else b",".join(results)
        # ten parts: `join` has room for so many, and asks for memory for more
        return b"".join((event[:-1], _BEGUN, begun, _ENDED, ended, _PROCESSED, ended, _RESULTS, all_results, b"}"))

    def _beginning(self, origin: Origin) -> bytes:
        if len(self._beginnings) >= _MOST_HANDLERS:
            self._beginnings.clear()
        names = _to_json(origin.handler_name), _to_json(origin.eventbus_name)
        found = clean(b'%b:{"handler_name":%b,"eventbus_name":%b,' % (_to_json(origin.handler_id), *names))
        self._beginnings[origin.handler_id] = found
        return found


def outcome(result: EventResult[object], beginning: bytes = b"{") -> bytes:
    """Return *beginning* and what a handler came to, safe to print: status, duration (seconds), result or error."""
    if result.error is not None:
        error = clean(_to_json(error_text(result.error)))
        return b"".join((beginning, _FAILED, _to_json(result.duration or 0.0), b',"error":', error, b"}"))
    if result.status != "completed":  # set by hand, or its event was completed without it
        return b'%b"status":"%b","duration":null,"result":null}' % (beginning, result.status.encode())
    value = result.result
    is_plain = type(value) is str and result.result_type is str and value.isascii() and "\x7f" not in value
    data = _to_json(value) if is_plain else _value(result)
    return b"".join((beginning, _COMPLETED, _to_json(result.duration), b',"result":', data, b"}"))


def journaled(result: EventResult[object], longest: int) -> bytes:
    """Return `outcome` as a whole JSON object; a result that makes it longer than *longest* bytes stays out of it."""
    data = outcome(result)
    if result.error is not None or len(data) <= longest:
        return data
    reason = f"{len(data)} bytes, and the log takes {longest}"
    return b"".join((b"{", _COMPLETED, _to_json(result.duration), b',"result":', _without(reason), b"}"))


def error_text(error: BaseException) -> str:
    """Return an error's type and message, as a line says them."""
    return f"{type(error).__name__}: {escape(error, _LONGEST_ERROR)}"


def _value(result: EventResult[object]) -> bytes:
    if result.forwarded or result.result is None:
        return b"null"
    try:
        return clean(encode_result(result.result, result.result_type, _RESULT_DEPTH))
    except Exception as error:  # noqa: BLE001 - the event is complete: what cannot be kept of it must not cost the rest
        return _without(escape(error))


def _without(reason: str) -> bytes:
    return b'null,"unwritten":' + clean(_to_json(reason))
