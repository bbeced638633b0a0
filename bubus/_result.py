"""The record of one handler's work on one event, and how results are selected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeGuard, TypeVar, cast

import attrs
from typing_extensions import override

from bubus._ids import new_id
from bubus._older_result import OlderResult
from bubus._tree import describe_error, describe_value, escape
from bubus._types import ResultStatus, T_EventResultType
from bubus.errors import NoResultError, ResultConflictError

if TYPE_CHECKING:
    from bubus._event import AnyEvent


@attrs.frozen
class Origin:
    """Where a result comes from; one object per handler, shared by all its results."""

    handler_id: str
    handler_name: str
    eventbus_id: str
    eventbus_name: str


@attrs.define(eq=False, repr=False)
class EventResult(OlderResult, Generic[T_EventResultType]):
    """
    What one handler made of one event.

    Awaiting it waits for the handler and returns its value, or raises its error.
    """

    event_id: str
    origin: Origin
    """The handler and bus it comes from."""

    timeout: float | None
    """Seconds the handler may take; None or 0 = no limit."""

    result_type: object
    """T of the event's ``BaseEvent[T]``."""

    status: ResultStatus = "pending"
    result: T_EventResultType | None = None
    error: BaseException | None = None
    """The exception object itself."""

    forwarded: bool = False
    """The value is an event that was passed on, not a result."""

    _children: list[AnyEvent] | None = None
    _started: float | None = None
    _duration: float | None = None
    """Set with the last change of the status, which is final."""

    _id: str | None = None
    _waiters: list[asyncio.Future[None]] | None = None

    @property
    def event_children(self) -> list[AnyEvent]:
        """Events that this handler dispatched, in order."""
        if self._children is None:
            self._children = []
        return self._children

    @property
    def handler_id(self) -> str:
        """The id of the handler, unique among all buses."""
        return self.origin.handler_id

    @property
    def handler_name(self) -> str:
        """The name of the handler."""
        return self.origin.handler_name

    @property
    def eventbus_id(self) -> str:
        """The id of the bus that ran the handler."""
        return self.origin.eventbus_id

    @property
    def eventbus_name(self) -> str:
        """The name of the bus that ran the handler."""
        return self.origin.eventbus_name

    @property
    def id(self) -> str:
        """The uuid7 of this record."""
        if self._id is None:
            self._id = new_id()
        return self._id

    @property
    def child_events(self) -> list[AnyEvent]:
        """The older name of `event_children`."""
        return self.event_children

    @property
    def started_at(self) -> datetime | None:
        """When the handler started (aware, UTC)."""
        return None if self._started is None else datetime.fromtimestamp(self._started, UTC)

    @property
    def completed_at(self) -> datetime | None:
        """When the record was settled (aware, UTC)."""
        if self._duration is None or self._started is None:
            return None
        return datetime.fromtimestamp(self._started + self._duration, UTC)

    @property
    def duration(self) -> float | None:
        """Seconds between start and end; None before the end."""
        return self._duration

    @property
    def settled(self) -> bool:
        """Whether the record is final."""
        return self.status in ("completed", "error")

    @property
    def included(self) -> bool:
        """Whether the record holds a value: no error, no forward, not None."""
        return self.status == "completed" and self.result is not None and not self.forwarded

    def start(self, now: float) -> None:
        """Record that the handler starts *now*, a Unix time in seconds; until it is settled that may be said anew."""
        if self._duration is None:
            self.status = "started"
            self._started = now

    def complete(self, value: T_EventResultType | None, duration: float, *, forwarded: bool = False) -> None:
        """Record the handler's value; *duration* in seconds."""
        if self._duration is None:
            self.status = "completed"
            self.result = value
            self.forwarded = forwarded
            self._duration = duration
            if self._waiters is not None:
                self._wake()

    def fail(self, error: BaseException, duration: float = 0.0) -> None:
        """Record the handler's error; *duration* in seconds."""
        if self._duration is None:
            self.status = "error"
            self.error = error
            self._duration = duration
            if self._started is None:
                self._started = time()
            self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done() and not waiter.get_loop().is_closed():
                waiter.set_result(None)

    @override
    def __repr__(self) -> str:
        if self.error is not None:
            outcome = f" {describe_error(self.error)}"
        else:
            outcome = f" {describe_value(self.result)}" if self.status == "completed" else ""
        return f"<EventResult {escape(self.eventbus_name)}.{escape(self.handler_name)} {self.status}{outcome}>"

    def __await__(self) -> Generator[object, None, T_EventResultType | None]:
        while not self.settled:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters = [*(self._waiters or ()), waiter]
            yield from waiter
        if self.error is not None:
            raise self.error
        return self.result


AnyResult: TypeAlias = "EventResult"  # as `AnyEvent`
"""A result of any type."""

Include: TypeAlias = Callable[[EventResult[T_EventResultType]], bool]
"""Tells whether a result is wanted."""

_Value = TypeVar("_Value")


def is_value(result: AnyResult) -> bool:
    """Tell whether *result* holds a value: the default of every `include`."""
    return result.included


def select(
    results: Iterable[EventResult[_Value]],
    include: Include[_Value] | None,
    *,
    raise_if_any: bool,
    raise_if_none: bool,
    event_name: str,
) -> list[EventResult[_Value]]:
    """
    Return the wanted results, in run order.

    Raises:
        Exception: The error of a handler, if *raise_if_any*; several as an ExceptionGroup.
        NoResultError: If nothing is left and *raise_if_none*.
    """
    everything = list(results)
    if raise_if_any:
        raise_errors(everything, event_name)
    wanted = [result for result in everything if (include or is_value)(result)]
    if raise_if_none and not wanted:
        raise NoResultError(_why_none(everything, event_name))
    return wanted


def raise_errors(results: Iterable[AnyResult], event_name: str) -> None:
    """Raise the only error as it is, several as one group, and none not at all."""
    errors = [result.error for result in results if result.error is not None]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup(f"{len(errors)} handlers of {event_name} failed", errors)


def _why_none(results: list[AnyResult], event_name: str) -> str:
    remedy = "pass raise_if_none=False to get None instead"
    if not results:
        return f"no handler ran for {event_name}: register one with bus.on(...), or {remedy}"
    failed = sum(result.error is not None for result in results)
    who = "the only handler" if len(results) == 1 else f"none of the {len(results)} handlers"
    what = "returned no wanted value" if len(results) == 1 else "returned a wanted value"
    return f"{who} of {event_name} {what} ({failed} failed); {remedy}"


def by_name(results: Iterable[EventResult[_Value]]) -> dict[str, _Value | None]:
    """Return the values by handler name; the second of a name gets ``#2``, and so on."""
    values: dict[str, _Value | None] = {}
    for result in results:
        name, number = result.handler_name, 1
        while name in values:
            number += 1
            name = f"{result.handler_name}#{number}"
        values[name] = result.result
    return values


def flat_dict(results: Iterable[AnyResult], *, raise_if_conflicts: bool) -> dict[object, object]:
    """
    Return all dict values merged into one; the last handler wins.

    Raises:
        ResultConflictError: If two handlers returned the same key and *raise_if_conflicts*.
    """
    merged: dict[object, object] = {}
    for result in results:
        value: object = result.result
        if not _is_mapping(value):
            continue
        both = merged.keys() & value.keys() if raise_if_conflicts else ()
        if both:
            raise ResultConflictError(
                f"handler {result.handler_name} returned keys that another handler returned before: "
                + f"{sorted(map(repr, both))}; return other keys or leave out raise_if_conflicts"
            )
        merged.update(value)
    return merged


def _is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, Mapping)


def flat_list(results: Iterable[AnyResult]) -> list[object]:
    """Return the items of all list, tuple and set values, one after another."""
    merged: list[object] = []
    for result in results:
        if isinstance(result.result, list | tuple | set | frozenset):
            merged.extend(cast("Iterable[object]", result.result))
    return merged
