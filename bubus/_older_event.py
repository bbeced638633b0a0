"""What programs of the older package ask of an event, or tell it by hand; nothing else in bubus uses it."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Final, Literal, TypedDict, cast

from typing_extensions import override

from bubus._callables import handler_name, identified_name
from bubus._result import EventResult, Origin
from bubus._state import DONE, NO_LOOP, EventState, set_state, state_of
from bubus._tree import describe_value
from bubus.errors import OptionError, OptionTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from typing_extensions import Unpack

    from bubus._bus import EventBus
    from bubus._event import AnyEvent
    from bubus._result import ResultStatus


class ResultUpdate(TypedDict, total=False):
    """What `event_result_update` takes."""

    status: ResultStatus
    result: object
    error: BaseException | str | None
    timeout: float | None
    """Seconds."""


class CompletedSignal:
    """What used to be an asyncio.Event: tells whether an event is complete, and waits for it."""

    __slots__ = ("_event",)

    def __init__(self, event: AnyEvent) -> None:
        self._event: Final = event

    def is_set(self) -> bool:
        """Tell whether the event is complete."""
        return self._event.event_status == "completed"

    async def wait(self) -> Literal[True]:
        """
        Wait until the event is complete.

        Raises:
            NotDispatchedError: If no bus has accepted it.
            DeadlockError: Inside its own handler.
        """
        await self._event
        return True

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._event} [{'set' if self.is_set() else 'unset'}]>"


class OlderEvent:
    """The small print of the older package's events."""

    __slots__ = ()

    @property
    def event_processed_at(self) -> datetime | None:
        """The older name of `event_completed_at`."""
        return _event(self).event_completed_at

    @property
    def event_completed_signal(self) -> CompletedSignal:
        """Something with the `is_set` and `wait` of an asyncio.Event, set when the event is complete."""
        return CompletedSignal(_event(self))

    def event_are_all_children_complete(self) -> bool:
        """Tell whether all events that handlers dispatched, and theirs in turn, are complete."""
        return all(child.event_status == "completed" for child in _descendants(_event(self)))

    def event_mark_complete_if_all_handlers_completed(self) -> None:
        """
        Complete an event whose results were all set by hand.

        One that a bus has accepted completes by itself, and not before the bus is done: for it nothing happens.
        """
        event = _event(self)
        state = state_of(event) or _state_by_hand(event)
        settled = all(result.settled for result in state.results.values())
        if settled and state.loop is NO_LOOP and state.status != "completed":
            _ = state.complete()

    def event_cancel_pending_child_processing(self, error: BaseException) -> None:
        """
        Settle the handlers of all unfinished children that have not begun with *error*; running ones go on.

        Raises:
            OptionTypeError: If *error* is no exception.
        """
        _check_error(error)
        for child in _event(self).event_children:
            _cancel_pending(child, error)

    def event_result_update(
        self, handler: Callable[..., object], eventbus: EventBus | None = None, **update: Unpack[ResultUpdate]
    ) -> EventResult[object]:
        """
        Make or change the record of *handler* by hand, and return it.

        A *result* or *error* settles it; what is settled does not change any more. A result is checked against T of
        ``BaseEvent[T]`` as one that was returned.

        Raises:
            OptionError: If *status* is none.
            OptionTypeError: If anything else is to be changed.
        """
        _check_update(update)
        event = _event(self)
        state = state_of(event) or _state_by_hand(event)
        origin = _origin(handler) if eventbus is None else eventbus.handlers.origin_of(handler)
        record = state.results.get(origin.handler_id)
        if record is None:
            record = EventResult(event.event_id, origin, event.event_timeout, event.event_result_type)
            state.results[origin.handler_id] = record
        _apply(event, state, record, update)
        return record


def _event(event: OlderEvent) -> AnyEvent:
    return cast("AnyEvent", event)


def _descendants(event: AnyEvent) -> Iterator[AnyEvent]:
    todo = event.event_children
    for child in todo:  # grows as it is walked: a tree of any depth needs no stack
        todo += child.event_children
        yield child


def _state_by_hand(event: AnyEvent) -> EventState:
    state = EventState(NO_LOOP, {}, (), open_work=0)
    set_state(event, state)
    return state


def _origin(handler: Callable[..., object]) -> Origin:
    return Origin(identified_name(handler), handler_name(handler), "", "EventBus")


def _cancel_pending(child: AnyEvent, error: BaseException) -> None:
    state = state_of(child)
    for share in () if state is None else state.shares:
        if share.stage is not DONE:
            share.runner.cancel_pending(share, error)


def _check_error(error: object) -> None:
    if not isinstance(error, BaseException):
        raise OptionTypeError(f"error={describe_value(error)} must be an exception object")


def _check_update(update: ResultUpdate) -> None:
    unknown = update.keys() - ResultUpdate.__annotations__.keys()
    if unknown:
        raise OptionTypeError(
            f"event_result_update() cannot change {', '.join(sorted(unknown))}: "
            f"only {', '.join(ResultUpdate.__annotations__)}"
        )
    status = update.get("status", "pending")
    if status not in ("pending", "started", "completed", "error"):
        raise OptionError(f"status={describe_value(status)} must be pending, started, completed or error")


def _apply(event: AnyEvent, state: EventState, record: EventResult[object], update: ResultUpdate) -> None:
    if "timeout" in update:
        record.timeout = update["timeout"]
    error, status = _error_of(update), update.get("status", "pending")
    settles = error is not None or "result" in update or status in ("completed", "error")
    if settles or status == "started":
        if state.status == "pending":
            state.start()
        record.start(time())
    if not settles:
        return
    if error is None and status == "error":
        error = RuntimeError("marked as failed by hand, without an error")
    _settle(event, record, update.get("result"), error)


def _error_of(update: ResultUpdate) -> BaseException | None:
    error, result = update.get("error"), update.get("result")
    if error is None and isinstance(result, Exception):
        return result
    return RuntimeError(error) if isinstance(error, str) else error


def _settle(event: AnyEvent, record: EventResult[object], value: object, error: BaseException | None) -> None:
    started = record.started_at
    duration = 0.0 if started is None else max(time() - started.timestamp(), 0.0)
    check = type(event).__event_result__
    try:
        if error is None and value is not None and value is not event and check is not None:
            value = check(value)
    except Exception as refused:  # noqa: BLE001 - also what a value's own code raises while it is checked
        error = refused
    if error is None:
        record.complete(value, duration, forwarded=value is event)
    else:
        record.fail(error, duration)
