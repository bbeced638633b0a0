"""What programs of the older package ask of an event, or tell it by hand; nothing else in bubus uses it."""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING, cast

from bubus._callables import handler_name, identified_name
from bubus._older_result import CompletedSignal, apply_update, check_update, settles
from bubus._result import EventResult, Origin
from bubus._state import DONE, NO_LOOP, EventState, set_state, state_of
from bubus._tree import describe_value
from bubus.errors import OptionTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from typing_extensions import Unpack

    from bubus._bus import EventBus
    from bubus._event import AnyEvent
    from bubus._older_result import ResultUpdate


class OlderEvent:
    """The small print of the older package's events."""

    __slots__: tuple[str, ...] = ()

    @property
    def event_processed_at(self) -> datetime | None:
        """The older name of `event_completed_at`."""
        return _event(self).event_completed_at

    @property
    def event_completed_signal(self) -> CompletedSignal:
        """Something with the `is_set` and `wait` of an asyncio.Event, set when the event is complete."""
        event = _event(self)
        return CompletedSignal(event, lambda: event.event_status == "completed", lambda: event)

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
            _ = state.complete()  # no bus has it, so it is nobody's child

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
        check_update(update)
        event = _event(self)
        state = state_of(event) or _state_by_hand(event)
        origin = _origin(handler) if eventbus is None else eventbus.handlers.origin_of(handler)
        record = state.results.get(origin.handler_id)
        if record is None:
            record = EventResult(event.event_id, origin, event.event_timeout, event.event_result_type)
            state.results[origin.handler_id] = record
        if state.status == "pending" and (settles(update) or update.get("status") == "started"):
            now = monotonic()
            state.start(now, time() - now)
        apply_update(record, update, type(event).__event_result__, event)
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
