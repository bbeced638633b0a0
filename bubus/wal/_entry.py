"""An event as a line: what is known when it is dispatched, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from bubus._codec import MAX_DEPTH, encode, encode_value
from bubus._tree import escape
from bubus.errors import EncodeError

if TYPE_CHECKING:
    from collections.abc import Iterable

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

_MOST_ORIGINS: Final = 1024

_to_json: Final = msgspec.json.Encoder().encode


@attrs.frozen
class Entry:
    """An event as it was dispatched: its line up to the value of `event_path`, and from there to the payload's end."""

    before: bytes
    after: bytes

    def with_path(self, path: list[str]) -> bytes:
        """Return the event with this path, a JSON object without its closing brace."""
        return self.before + _to_json(path) + self.after


def entry_of(event: BaseEvent[Any], parent_id: str | None) -> Entry:
    """
    Write *event* down.

    Args:
        event: The event.
        parent_id: Its parent, if it does not know it yet.

    Raises:
        EncodeError: If a field cannot be written, or not without loss.
    """
    data = encode(event)
    if parent_id is not None and event.event_parent_id is None:
        data = data.replace(_NO_PARENT, b'"event_parent_id":%b' % _to_json(parent_id), 1)
    # quotes within values are escaped, so that what looks like one of the keys is it
    path = data.index(_PATH) + len(_PATH)
    return Entry(data[:path], data[data.index(_AFTER_PATH, path) : -1])


class Tails:
    """Writes what became of events; remembers the constant part of what each handler's results begin with."""

    def __init__(self) -> None:
        self._beginnings: dict[Origin, bytes] = {}

    def tail(self, state: EventState) -> bytes:
        """Return the keys behind the payload, up to `event_results`."""
        started, completed = _moment(state, state.started), _moment(state, state.completed)
        return (
            b',"event_status":"completed","event_started_at":%b,"event_completed_at":%b,"event_processed_at":%b,'
            b'"event_results":{%b}' % (started, completed, completed, self._results(state.results.values()))
        )

    def _results(self, results: Iterable[EventResult[Any]]) -> bytes:
        return b",".join([self._beginning(result.origin) + outcome(result) for result in results])

    def _beginning(self, origin: Origin) -> bytes:
        found = self._beginnings.get(origin)
        if found is None:
            if len(self._beginnings) >= _MOST_ORIGINS:
                self._beginnings.clear()
            names = _to_json(origin.handler_name), _to_json(origin.eventbus_name)
            found = b'%b:{"handler_name":%b,"eventbus_name":%b,' % (_to_json(origin.handler_id), *names)
            self._beginnings[origin] = found
        return found


def outcome(result: EventResult[Any]) -> bytes:
    """Return what a handler came to, the end of a JSON object: status, duration (seconds), result or error."""
    duration = b"null" if result.duration is None else b"%a" % result.duration
    if result.error is None:
        value = b"null" if result.forwarded else _value(result.result)
        return b'"status":"%b","duration":%b,"result":%b}' % (result.status.encode(), duration, value)
    return b'"status":"error","duration":%b,"error":%b}' % (duration, _to_json(error_text(result.error)))


def error_text(error: BaseException) -> str:
    """Return an error's type and message, as a line says them."""
    return f"{type(error).__name__}: {escape(error, _LONGEST_ERROR)}"


def _value(value: object) -> bytes:
    try:
        return b"null" if value is None else encode_value(value, "the result", _RESULT_DEPTH)
    except EncodeError as error:  # the event is complete: what cannot be kept of it must not cost the rest
        return b'null,"unwritten":' + _to_json(escape(error))


def _moment(state: EventState, reading: float | None) -> bytes:
    return b"null" if reading is None else _to_json(datetime.fromtimestamp(state.epoch + reading, UTC))
