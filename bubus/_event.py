"""BaseEvent: an event as users see it, with its results and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, Self, TypeAlias, TypeGuard, TypeVar, overload

from typing_extensions import override

import bubus._result as selecting
from bubus._context import live_call
from bubus._model import EventModel
from bubus._narrow import namespace_of
from bubus._older_event import OlderEvent
from bubus._predicates import checked_predicate
from bubus._seconds import checked_timeout
from bubus._state import EventState, Status, state_of
from bubus._tree import ICONS, Row, describe_error, describe_seconds, describe_value, escape, render
from bubus._types import T_EventResultType
from bubus._waiting import wait
from bubus.errors import NotInHandlerError, WaitTimeout

if TYPE_CHECKING:
    from bubus._bus import EventBus
    from bubus._result import AnyResult, EventResult, Include

_K = TypeVar("_K")
_V = TypeVar("_V")


class BaseEvent(OlderEvent, EventModel, Generic[T_EventResultType]):
    """
    An event: subclass it, annotate its fields, and say in brackets what its handlers return.

    ```python
    class UserLoginEvent(BaseEvent[str]):
        username: str
    ```
    """

    __event_root__: ClassVar[bool] = True

    if TYPE_CHECKING:

        def __init__(self, *, event_type: str = "BaseEvent", **extra: object) -> None:
            """Make an ad-hoc event; subclasses have a constructor of their own fields."""
            super().__init__(event_type=event_type)
            del extra

        @classmethod
        def __event_contract__(cls, handler: Callable[[Self], T_EventResultType], /) -> None:
            """Bind event and result for type checkers; `EventBus.on` matches event classes by it."""

    # -- what became of it -------------------------------------------------------------------------------------------

    @property
    def event_status(self) -> Status:
        """``"pending"``, ``"started"`` or ``"completed"``; it only moves forward."""
        state = state_of(self)
        return "pending" if state is None else state.status

    @property
    def event_started_at(self) -> datetime | None:
        """When the first bus began with it (aware, UTC)."""
        state = state_of(self)
        return None if state is None else _moment(state, state.started)

    @property
    def event_completed_at(self) -> datetime | None:
        """When all handlers on all buses, and all children, were done (aware, UTC)."""
        state = state_of(self)
        return None if state is None else _moment(state, state.completed)

    @property
    def event_results(self) -> dict[str, EventResult[T_EventResultType]]:
        """The results of all handlers on all buses, by handler id, in run order."""
        state = state_of(self)
        return {} if state is None else state.results

    @property
    def event_children(self) -> list[AnyEvent]:
        """The events that its handlers dispatched, by handler and in order."""
        return [child for result in self.event_results.values() for child in result.event_children]

    @property
    def event_bus(self) -> EventBus:
        """
        The bus that runs the current handler of this event.

        Raises:
            NotInHandlerError: Outside a handler.
        """
        call = live_call()
        if call is None:
            raise NotInHandlerError("event_bus is known inside a handler only; outside, keep a reference to the bus")
        return call.bus

    # -- waiting -----------------------------------------------------------------------------------------------------

    def __await__(self) -> Generator[object, None, Self]:
        """
        Wait until the event is complete and return it; errors of handlers are not raised.

        Raises:
            NotDispatchedError: If no bus has accepted it.
            DeadlockError: Inside its own handler, or that of one of its children.
            LogWriteError: If its line is not in the log of a bus; the event itself is complete.
        """
        return wait(self)

    async def _completed(self, timeout: float | None) -> None:
        if timeout is None:
            await self
            return
        clock = asyncio.timeout(checked_timeout(timeout))
        try:
            async with clock:
                await self
        except TimeoutError:
            if not clock.expired():
                raise
            raise WaitTimeout(
                f"{self.event_type} was not complete within {timeout} s; it goes on, and can be awaited again"
            ) from None

    # -- results -----------------------------------------------------------------------------------------------------

    @overload
    async def event_result(
        self,
        timeout: float | None = None,
        include: None = None,
        raise_if_any: bool = True,
        raise_if_none: Literal[True] = True,
    ) -> T_EventResultType: ...
    @overload
    async def event_result(
        self,
        timeout: float | None = None,
        include: Include[T_EventResultType] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = True,
    ) -> T_EventResultType | None: ...
    async def event_result(
        self,
        timeout: float | None = None,
        include: Include[T_EventResultType] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = True,
    ) -> T_EventResultType | None:
        """
        Wait for the event and return the first wanted value, in run order.

        Args:
            timeout: Seconds to wait at most; the work itself goes on. None waits as long as it takes.
            include: Tells whether an `EventResult` is wanted, whose value may be None; by default those with a value.
            raise_if_any: Raise what handlers raised.
            raise_if_none: Raise if no handler returned a wanted value. ``BaseEvent[None]`` never does.

        Raises:
            Exception: The error of a handler as it was raised; several as one ExceptionGroup.
            NoResultError: If there is no value and *raise_if_none*.
            OptionError: If *timeout* is negative.
            OptionTypeError: If it is no number.
            WaitTimeout: After *timeout* seconds (a TimeoutError).
        """
        wanted = await self._select(timeout, include, raise_if_any, raise_if_none)
        return wanted[0].result if wanted else None

    async def event_results_filtered(
        self,
        timeout: float | None = None,
        include: Include[T_EventResultType] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = True,
    ) -> dict[str, EventResult[T_EventResultType]]:
        """Wait for the event and return the wanted results by handler id; see `event_result`."""
        wanted = await self._select(timeout, include, raise_if_any, raise_if_none)
        return {result.handler_id: result for result in wanted}

    @overload
    async def event_results_list(
        self,
        timeout: float | None = None,
        include: None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = True,
    ) -> list[T_EventResultType]: ...
    @overload
    async def event_results_list(
        self,
        timeout: float | None = None,
        include: Include[T_EventResultType] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = True,
    ) -> list[T_EventResultType | None]: ...
    async def event_results_list(
        self,
        timeout: float | None = None,
        include: Include[T_EventResultType] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = True,
    ) -> list[T_EventResultType] | list[T_EventResultType | None]:
        """Wait for the event and return the wanted values in run order; see `event_result`."""
        wanted = await self._select(timeout, include, raise_if_any, raise_if_none)
        return [result.result for result in wanted]

    @overload
    async def event_results_by_handler_id(
        self,
        timeout: float | None = None,
        include: None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = True,
    ) -> dict[str, T_EventResultType]: ...
    @overload
    async def event_results_by_handler_id(
        self,
        timeout: float | None = None,
        include: Include[T_EventResultType] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = True,
    ) -> dict[str, T_EventResultType | None]: ...
    async def event_results_by_handler_id(
        self,
        timeout: float | None = None,
        include: Include[T_EventResultType] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = True,
    ) -> dict[str, T_EventResultType] | dict[str, T_EventResultType | None]:
        """Wait for the event and return the wanted values by handler id; see `event_result`."""
        wanted = await self._select(timeout, include, raise_if_any, raise_if_none)
        return {result.handler_id: result.result for result in wanted}

    @overload
    async def event_results_by_handler_name(
        self,
        timeout: float | None = None,
        include: None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = True,
    ) -> dict[str, T_EventResultType]: ...
    @overload
    async def event_results_by_handler_name(
        self,
        timeout: float | None = None,
        include: Include[T_EventResultType] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = True,
    ) -> dict[str, T_EventResultType | None]: ...
    async def event_results_by_handler_name(
        self,
        timeout: float | None = None,
        include: Include[T_EventResultType] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = True,
    ) -> dict[str, T_EventResultType] | dict[str, T_EventResultType | None]:
        """Wait for the event and return the wanted values by handler name; a repeated name gets ``#2``, ``#3``."""
        return selecting.by_name(await self._select(timeout, include, raise_if_any, raise_if_none))

    @overload
    async def event_results_flat_dict(
        self: BaseEvent[dict[_K, _V]],
        timeout: float | None = None,
        include: Include[dict[_K, _V]] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = False,
        raise_if_conflicts: bool = False,
    ) -> dict[_K, _V]: ...
    @overload
    async def event_results_flat_dict(
        self,
        timeout: float | None = None,
        include: Include[T_EventResultType] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = False,
        raise_if_conflicts: bool = False,
    ) -> dict[object, object]: ...
    async def event_results_flat_dict(
        self,
        timeout: float | None = None,
        include: Callable[[AnyResult], bool] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = False,
        raise_if_conflicts: bool = False,
    ) -> object:
        """
        Wait for the event and merge all dicts that handlers returned; the last handler wins.

        Raises:
            ResultConflictError: If two returned the same key and *raise_if_conflicts*.
        """
        wanted = await self._select(timeout, _also(include, Mapping), raise_if_any, raise_if_none)
        return selecting.flat_dict(wanted, raise_if_conflicts=raise_if_conflicts)

    @overload
    async def event_results_flat_list(
        self: BaseEvent[list[_V]],
        timeout: float | None = None,
        include: Include[list[_V]] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = False,
    ) -> list[_V]: ...
    @overload
    async def event_results_flat_list(
        self,
        timeout: float | None = None,
        include: Include[T_EventResultType] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = False,
    ) -> list[object]: ...
    async def event_results_flat_list(
        self,
        timeout: float | None = None,
        include: Callable[[AnyResult], bool] | None = None,
        raise_if_any: bool = True,
        raise_if_none: bool = False,
    ) -> object:
        """Wait for the event and join all lists that handlers returned, in run order; see `event_result`."""
        wanted = await self._select(timeout, _also(include, list), raise_if_any, raise_if_none)
        return selecting.flat_list(wanted)

    async def _select(
        self, timeout: float | None, include: Include[T_EventResultType] | None, raise_if_any: bool, raise_if_none: bool
    ) -> list[EventResult[T_EventResultType]]:
        wanted = checked_predicate("include", include)
        await self._completed(timeout)
        return selecting.select(
            self.event_results.values(),
            wanted,
            raise_if_any=raise_if_any,
            raise_if_none=raise_if_none and self.event_result_type is not None,
            event_name=self.event_type,
        )

    # -- showing -----------------------------------------------------------------------------------------------------

    def event_log_tree(self) -> str:
        """Return the event, its handlers' results and its children as a tree, one line each."""
        return render([tree_row(self)])

    def event_log_safe_summary(self) -> dict[str, object]:
        """Return the metadata, and nothing of the payload: safe to log."""
        return {
            "event_type": escape(self.event_type),
            "event_id": self.event_id,
            "event_parent_id": self.event_parent_id,
            "event_path": [escape(name) for name in self.event_path],
            "event_status": self.event_status,
            "event_created_at": self.event_created_at.isoformat(),
            "handlers": len(self.event_results),
            "errors": sum(result.error is not None for result in self.event_results.values()),
            "children": len(self.event_children),
        }

    @override
    def __str__(self) -> str:
        """Return ``<last bus or ?>▶ Name#<last 4 of the id> <status icon>``."""
        if not is_whole(self):
            return repr(self)
        bus = self.event_path[-1] if self.event_path else "?"
        return f"{escape(bus)}▶ {escape(self.event_type)}#{self.event_id[-4:]} {ICONS[self.event_status]}"


AnyEvent: TypeAlias = "BaseEvent"  # T is invariant: only its default, Any, takes them all
"""An event of any result type."""


def is_whole(event: AnyEvent) -> bool:
    """Tell whether the constructor of events has run: an ``__init__`` of a user may not have called it."""
    return "event_id" in namespace_of(event)


def is_event(value: object) -> TypeGuard[AnyEvent]:
    """Tell whether *value* is an event, of any class."""
    return isinstance(value, BaseEvent)


def _moment(state: EventState, reading: float | None) -> datetime | None:
    return None if reading is None else datetime.fromtimestamp(state.epoch + reading, UTC)


def _also(include: Callable[[AnyResult], bool] | None, kind: type) -> Callable[[AnyResult], bool]:
    wanted = checked_predicate("include", include) or selecting.is_value
    return lambda result: wanted(result) and isinstance(result.result, kind)


def tree_row(event: AnyEvent) -> Row:
    """Return *event* as a row, with its results and their children below it."""
    name = f"{ICONS[event.event_status]} {escape(event.event_type)}#{event.event_id[-4:]}"
    started, completed = event.event_started_at, event.event_completed_at
    took = f" ({describe_seconds((completed - started).total_seconds())})" if started and completed else ""
    return Row(name + took, (result_row(result) for result in event.event_results.values()))


def result_row(result: AnyResult) -> Row:
    """Return *result* as a row, with the events that its handler dispatched below it."""
    name = f"{ICONS[result.status]} {escape(result.eventbus_name)}.{escape(result.handler_name)}"
    if result.forwarded:
        name = f"{ICONS[result.status]} {escape(result.handler_name)}"
    took = "" if result.duration is None else f" ({describe_seconds(result.duration)})"
    return Row(name + took + _outcome(result), (tree_row(child) for child in result.event_children))


def _outcome(result: AnyResult) -> str:
    if result.error is not None:
        return f" ☠ {describe_error(result.error)}"
    if result.included:
        return f" → {describe_value(result.result)}"
    return ""
