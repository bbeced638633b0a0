"""How to run an event again that was accepted before and not finished: only what had not finished."""

from __future__ import annotations

import contextlib
import logging
from time import time
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from bubus._result import AnyResult, EventResult, Origin
from bubus._tree import escape
from bubus.errors import EarlierError, HandlerGoneError
from bubus.wal import LoggedResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bubus._event import AnyEvent
    from bubus._handlers import Handler
    from bubus._state import Share
    from bubus.wal import Unfinished

logger: Final = logging.getLogger("bubus")

_NO_HANDLER: Final = "no handler is registered for it: it counts as finished; register all handlers before recover()"
_results: Final = msgspec.json.Decoder(LoggedResult)


@attrs.frozen
class Resumption:
    """How to run an event that was begun in an earlier process: only what that has not finished."""

    _unfinished: Unfinished
    is_logged: bool = True

    def select(self, share: Share, handlers: Sequence[Handler]) -> Sequence[Handler]:
        """Return the handlers that have not finished; the results of the others are taken over."""
        there = {handler_key(handler.id): handler for handler in handlers}
        done, begun = self._unfinished.outcomes, self._unfinished.attempts
        if not (handlers or done or begun):
            logger.warning(
                "event %s (%s) is recovered and %s", share.event.event_id, escape(share.event.event_type), _NO_HANDLER
            )
        for key in (*done, *(key for key in begun if key not in done and key not in there)):
            origin = there[key].origin if key in there else _lost_origin(key, share)
            share.state.results[origin.handler_id] = _record(share.event, origin, done.get(key))
        return [handler for key, handler in there.items() if key not in done]


def _lost_origin(key: str, share: Share) -> Origin:
    name = key.rpartition("#")[0].rpartition(".")[2]
    return Origin(f"{share.bus.id}:{key}", name, share.bus.id, share.bus.name)


def _record(event: AnyEvent, origin: Origin, outcome: bytes | None) -> AnyResult:
    record: AnyResult = EventResult(event.event_id, origin, event.event_timeout, event.event_result_type)
    record.start(time())
    if outcome is None:
        gone = HandlerGoneError(
            f"{origin.handler_id.partition(':')[2]} had begun before the crash and is not registered any more: "
            + "register all handlers before recover()"
        )
        logger.warning("event %s: %s", event.event_id, escape(gone))
        record.fail(gone)
        return record
    found = _results.decode(outcome)
    duration = found.duration or 0.0
    error = msgspec.json.decode(found.error, type=object)
    if error is None:
        record.complete(_value(event, msgspec.json.decode(found.result, type=object)), duration)
    else:
        record.fail(EarlierError(f"{origin.handler_name} failed in an earlier process: {error}"), duration)
    return record


def _value(event: AnyEvent, value: object) -> object:
    check = type(event).__event_result__
    if value is None or check is None:
        return value
    with contextlib.suppress(ValueError):  # what JSON made of it is all there is left
        return check(value)
    return value


def handler_key(handler_id: str) -> str:
    """Return ``module.qualname#n``, by which the next process knows a handler too."""
    return handler_id.partition(":")[2]
