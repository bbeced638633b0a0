"""Replay: the events of a log once more, as they were, and without logging them again."""

from __future__ import annotations

import asyncio
import math
from contextvars import copy_context
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from bubus._context import enter, live_call
from bubus._plan import current_replay, replaying
from bubus._resumption import handler_key
from bubus._state import accepted_state
from bubus._tree import describe_value, escape
from bubus._waiting import blocks
from bubus.errors import DeadlockError, LogDamagedError, OptionError, OptionTypeError
from bubus.wal import read

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from bubus._bus import EventBus
    from bubus._event import AnyEvent
    from bubus._handlers import AnyHandler, Handler, Registry
    from bubus._plan import Plan
    from bubus._scheduler import Scheduler
    from bubus._state import Share
    from bubus.wal import Newer, OnDamage

IN_FLIGHT: Final = 100
"""Events of a replay that are on their way at once."""

_LINES_PER_TURN: Final = 500
"""Lines that may be read and passed over before others get a turn."""

_MOST_NAMES: Final = 10
"""Handlers that an error lists."""

Where: TypeAlias = "Callable[[AnyEvent], object]"
Handlers: TypeAlias = "Iterable[AnyHandler | str]"


@attrs.define
class ReplayReport:
    """What `EventBus.replay` came to."""

    read: int = 0
    """Events in the log."""

    chosen: int = 0
    """Those of them that were to be replayed."""

    replayed: int = 0
    """Those that were dispatched again; none in a dry run."""

    failed: int = 0
    """Those of which a handler failed."""

    damaged: int = 0
    """Faults in the log that were passed over."""


@attrs.frozen(kw_only=True)
class Choice:
    """Which events are to be replayed."""

    where: Where | None
    since: datetime | None
    until: datetime | None
    children: bool

    def admits(self, event: AnyEvent) -> bool:
        """Tell whether *event* is one of them."""
        if event.event_parent_id not in (None, event.event_id) and not self.children:
            return False
        created = event.event_created_at
        if (self.since is not None and created < self.since) or (self.until is not None and created >= self.until):
            return False
        return self.where is None or bool(self.where(event))


class _As:
    """A plan for what the handlers of replayed events dispatch: it is not logged, and maybe not run."""

    is_logged: bool = False

    def __init__(self, *, is_silent: bool) -> None:
        self._is_silent: bool = is_silent

    def select(self, _: Share, handlers: Sequence[Handler], /) -> Sequence[Handler]:
        """Return all handlers or none."""
        return () if self._is_silent else handlers


_UNLOGGED: Final = _As(is_silent=False)
_SILENT: Final = _As(is_silent=True)


@attrs.define(eq=False)
class Replay:
    """One replay: the plan of its events, and how many of them are on their way."""

    _wanted: frozenset[str] | None
    """Ids of the handlers that are to run; None = all."""

    _children: bool
    report: ReplayReport = attrs.Factory(ReplayReport)
    _free: asyncio.Semaphore = attrs.Factory(lambda: asyncio.Semaphore(IN_FLIGHT))
    _in_flight: int = 0
    _ended: bool = False

    @property
    def is_logged(self) -> bool:
        """Whether the events are logged again: no."""
        return False

    def select(self, _: Share, handlers: Sequence[Handler], /) -> Sequence[Handler]:
        """Return the wanted handlers."""
        return [one for one in handlers if one.id in self._wanted] if self._wanted is not None else handlers

    def inherited(self, *, is_forward: bool) -> Plan:
        """Return how to run what the handlers dispatch: where children are replayed too, they must not come twice."""
        return _SILENT if self._children and not is_forward else _UNLOGGED

    async def dispatch(self, scheduler: Scheduler, bus: EventBus, event: AnyEvent) -> None:
        """Dispatch *event* as soon as few enough are on their way."""
        _ = await self._free.acquire()
        event.event_path.clear()
        if event.event_parent_id == event.event_id:  # so an older bubus wrote what it had forwarded
            object.__setattr__(event, "event_parent_id", None)
        context = copy_context()
        context.run(enter, None)  # it is nobody's child, whoever replays it
        _ = context.run(current_replay.set, self)
        try:
            context.run(scheduler.accept, event, bus, self)
        except BaseException:
            self._free.release()
            raise
        self.report.replayed += 1
        self._in_flight += 1
        accepted_state(event).add_waiter(_Landing(self, event))

    def landed(self, event: AnyEvent) -> None:
        """Take notice that *event* is complete."""
        self._in_flight -= 1
        self.report.failed += any(result.error is not None for result in event.event_results.values())
        self._free.release()
        if self._ended and not self._in_flight:
            replaying.discard(self)

    async def all_landed(self) -> None:
        """Wait until nothing is on its way."""
        for _ in range(IN_FLIGHT):
            _ = await self._free.acquire()

    def end(self) -> None:
        """Dispatch nothing more; what is on its way stays part of the replay."""
        self._ended = True
        if not self._in_flight:
            replaying.discard(self)


@attrs.frozen
class _Landing:
    """The waiter that an event of a replay wakes."""

    _replay: Replay
    _event: AnyEvent

    def done(self) -> bool:
        """Wait in any case."""
        return False

    def set_result(self, _: None, /) -> None:
        """Hand the completed event over."""
        self._replay.landed(self._event)


@attrs.define
class Pace:
    """Waits as long between events as there was between them, divided by `speed`; not at all if that is None."""

    _speed: float | None
    _begin: tuple[float, datetime] | None = None

    async def wait(self, created: datetime) -> None:
        """Return when it is time for an event that was created then."""
        if self._speed is None:
            return
        now = asyncio.get_running_loop().time()
        start, first = self._begin = self._begin or (now, created)
        await asyncio.sleep(max(0.0, start + (created - first).total_seconds() / self._speed - now))


async def replay(
    scheduler: Scheduler,
    bus: EventBus,
    path: str | os.PathLike[str],
    *,
    choice: Choice,
    handlers: Handlers | None,
    dry_run: bool,
    speed: object,
    on_error: OnDamage,
    newer: Newer,
) -> ReplayReport:
    """Do what `EventBus.replay` says."""
    _refuse_own(scheduler, bus)
    wanted = None if handlers is None else _ids(scheduler.registry, handlers)
    run, pace = Replay(wanted, choice.children), Pace(_checked_speed(speed))
    lines = read(path, on_error=on_error, newer=newer)
    replaying.add(run)
    try:
        for event in lines:
            run.report.read += 1
            if choice.admits(event):
                run.report.chosen += 1
                await pace.wait(event.event_created_at)
                if not dry_run:
                    await run.dispatch(scheduler, bus, event)
            if run.report.read % _LINES_PER_TURN == 0:
                await asyncio.sleep(0)
        await run.all_landed()
    except LogDamagedError as error:
        await run.all_landed()  # so that the report is final
        error.replay = run.report
        raise
    finally:
        run.end()
    run.report.damaged = lines.damaged
    return run.report


def _refuse_own(scheduler: Scheduler, bus: EventBus) -> None:
    call = live_call()
    if call is not None and blocks(call, scheduler):
        raise DeadlockError(
            f"bus {bus.name!r} cannot replay inside its own handler {call.handler_name}, which it waits for; "
            + "replay outside, or on another bus"
        )


def _ids(registry: Registry, wanted: Handlers) -> frozenset[str]:
    if isinstance(wanted, str):
        raise OptionTypeError(f"handlers={wanted!r} is a single name; put it into a list")
    return frozenset(handler.id for one in wanted for handler in _found(registry, one))


def _found(registry: Registry, wanted: AnyHandler | str) -> list[Handler]:
    found = [handler for handler in registry.all() if _is_meant(handler, wanted)]
    if not found:
        raise OptionError(
            f"handlers names {describe_value(wanted)}, which is not registered on this bus; it has {_names(registry)}"
        )
    return found


def _names(registry: Registry) -> str:
    """Return what the handlers are called, as text for an error."""
    names = sorted({handler_key(handler.id).rpartition("#")[0] for handler in registry.all()})
    shown = ", ".join(map(escape, names[:_MOST_NAMES]))
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown or "none"


def _is_meant(handler: Handler, wanted: AnyHandler | str) -> bool:
    if not isinstance(wanted, str):
        return handler.function == wanted
    key = handler_key(handler.id)
    return wanted in (handler.name, key, key.rpartition("#")[0])


def _checked_speed(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionTypeError(f"speed={describe_value(value)} must be a number, or None for as fast as possible")
    if not 0 < value < math.inf:
        raise OptionError(f"speed={value} must be greater than 0: 1 keeps the recorded pace, 2 doubles it")
    return value


def checked_moment(option: str, value: object) -> datetime | None:
    """
    Return a point in time that was given as a datetime or as ISO text; without a time zone it is UTC.

    Raises:
        OptionTypeError: If it is nothing of these.
        OptionError: If the text is no date.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise OptionError(f"{option}={describe_value(value)} is no date like 2026-11-24T18:30:00Z") from None
    if not isinstance(value, datetime):
        raise OptionTypeError(f"{option}={describe_value(value)} must be a datetime, or such a date as text")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value
