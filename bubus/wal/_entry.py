"""An event as a line: what is known when it is dispatched, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from math import modf
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bubus._codec import MAX_DEPTH, encode, encode_result
from bubus._tree import escape
from bubus.errors import EncodeError

if TYPE_CHECKING:
    from bubus._event import BaseEvent
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
_MILLION: Final = 1_000_000

_to_json: Final = msgspec.json.Encoder().encode


def written(event: BaseEvent[Any], parent_id: str | None) -> bytes:
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
    """Return what `written` returned with another `event_path`, and without the closing brace."""
    start = event.index(_PATH) + len(_PATH)
    return event[:start] + _to_json(path) + event[event.index(_AFTER_PATH, start) : -1]


class Tails:
    """Writes what became of events; remembers the constant part of what each handler's results begin with."""

    def __init__(self) -> None:
        self._beginnings: dict[str, bytes] = {}
        self._second, self._up_to_second = -1.0, b""

    def tail(self, state: EventState) -> bytes:
        """Return the keys behind the payload, up to `event_results`."""
        started, completed = self._moment(state.epoch, state.started), self._moment(state.epoch, state.completed)
        known = self._beginnings
        results = [
            (known.get(result.origin.handler_id) or self._beginning(result.origin)) + outcome(result)
            for result in state.results.values()
        ]
        return (
            b',"event_status":"completed","event_started_at":%b,"event_completed_at":%b,"event_processed_at":%b,'
            b'"event_results":{%b}' % (started, completed, completed, b",".join(results))
        )

    def _moment(self, epoch: float, reading: float | None) -> bytes:
        if reading is None:
            return b"null"
        fraction, second = modf(epoch + reading)
        micros = round(fraction * 1e6)
        if micros == _MILLION:
            second, micros = second + 1, 0
        if second != self._second:  # many events end in one second, and all but the fraction is the same for them
            self._second = second
            self._up_to_second = datetime.fromtimestamp(second, UTC).strftime('"%Y-%m-%dT%H:%M:%S').encode()
        return b'%b.%06dZ"' % (self._up_to_second, micros)

    def _beginning(self, origin: Origin) -> bytes:
        if len(self._beginnings) >= _MOST_HANDLERS:
            self._beginnings.clear()
        names = _to_json(origin.handler_name), _to_json(origin.eventbus_name)
        found = b'%b:{"handler_name":%b,"eventbus_name":%b,' % (_to_json(origin.handler_id), *names)
        self._beginnings[origin.handler_id] = found
        return found


def outcome(result: EventResult[Any]) -> bytes:
    """Return what a handler came to, the end of a JSON object: status, duration (seconds), result or error."""
    if result.error is not None:
        return b'"status":"error","duration":%a,"error":%b}' % (
            result.duration or 0.0,
            _to_json(error_text(result.error)),
        )
    value = b"null" if result.forwarded else _value(result)
    return b'"status":"completed","duration":%a,"result":%b}' % (result.duration, value)


def error_text(error: BaseException) -> str:
    """Return an error's type and message, as a line says them."""
    return f"{type(error).__name__}: {escape(error, _LONGEST_ERROR)}"


def _value(result: EventResult[Any]) -> bytes:
    value = result.result
    try:
        return b"null" if value is None else encode_result(value, result.result_type, _RESULT_DEPTH)
    except EncodeError as error:  # the event is complete: what cannot be kept of it must not cost the rest
        return b'null,"unwritten":' + _to_json(escape(error))
