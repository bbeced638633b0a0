"""EventBus: what users hold. It checks arguments and wires the parts; the parts do the work."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import threading
import warnings
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Never, Protocol, Self, TypeAlias, TypeVar, overload
from weakref import WeakSet

from typing_extensions import override

from bubus._context import live_call_in
from bubus._dispatch import Options
from bubus._event import AnyEvent, is_whole, tree_row
from bubus._expect import Expectation, Expectations, Predicate, Waiting
from bubus._handlers import Registry, Subscription, describe_key, normalize_pattern
from bubus._history import History
from bubus._hooks import Middleware, checked_middlewares, hooks_of
from bubus._ids import new_id
from bubus._ledger import Ledger
from bubus._live_handlers import LiveHandlers
from bubus._model import EventMeta
from bubus._older_bus import OlderBus
from bubus._plan import inherited_plan, replaying
from bubus._predicates import checked_predicate
from bubus._pydantic_schema import bus_schema
from bubus._recovery import RecoveryReport, recover
from bubus._replay import Choice, ReplayReport, checked_moment, replay
from bubus._scheduler import Scheduler
from bubus._seconds import checked_seconds, checked_timeout
from bubus._state import state_of
from bubus._threads import Delivery
from bubus._tree import describe_value, escape, render
from bubus._waiting import blocks
from bubus._watched import WatchedScheduler
from bubus.errors import (
    BusNameError,
    DeadlockError,
    HandlerError,
    NoLoopError,
    NotAnEventError,
    NotSubscribedError,
    OptionError,
    OptionTypeError,
    WaitTimeout,
)
from bubus.wal import Newer, OnDamage, WriteAheadLog

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Coroutine, Iterable
    from concurrent.futures import Future
    from datetime import datetime
    from types import TracebackType

    from bubus._statistics import Statistics

logger = logging.getLogger("bubus")

E = TypeVar("E", bound=AnyEvent)
E_co = TypeVar("E_co", covariant=True)
R = TypeVar("R")
S = TypeVar("S")
Y = TypeVar("Y")
R_contra = TypeVar("R_contra", contravariant=True)


class EventClass(Protocol[E_co, R_contra]):
    """A class of events *E* whose handlers return *R*: what ``class Login(BaseEvent[str])`` is to a type checker."""

    def __event_contract__(self, handler: Callable[[E_co], R_contra], /) -> None: ...

    def __call__(self, *args: Any, **kwargs: Any) -> object:  # pyright: ignore[reportExplicitAny, reportAny] - stands for any parameters at all
        """Tell the class from its events, which cannot be called."""
        ...


HandlerReturn: TypeAlias = R | Awaitable[R | E | None] | None
"""What a handler of *E* may return: an *R*, None or the event itself (to pass it on), now or as an awaitable."""


class HandlerDecorator(Protocol[E, R]):
    """
    What ``bus.on(Login)`` returns: it checks event and result, and gives the function back.

    A function that cannot return None keeps its result type; so does one that returns the event, to forward it.
    """

    @overload
    def __call__(self, handler: Callable[[E], Coroutine[Y, S, R]], /) -> Callable[[E], Coroutine[Y, S, R]]: ...
    @overload
    def __call__(
        self, handler: Callable[[E], Coroutine[Y, S, R | None]], /
    ) -> Callable[[E], Coroutine[Y, S, R | None]]: ...
    @overload
    def __call__(self, handler: Callable[[E], Awaitable[R | None]], /) -> Callable[[E], Awaitable[R | None]]: ...
    @overload
    def __call__(self, handler: Callable[[E], R], /) -> Callable[[E], R]: ...
    @overload
    def __call__(self, handler: Callable[[E], R | None], /) -> Callable[[E], R | None]: ...
    @overload
    def __call__(self, handler: Callable[[E], E], /) -> Callable[[E], E]: ...
    @overload
    def __call__(self, handler: Callable[[E], Coroutine[Y, S, E]], /) -> Callable[[E], Coroutine[Y, S, E]]: ...


class NamedDecorator(Protocol):
    """What ``bus.on("name")`` returns: it takes a handler of any event class, and gives it back."""

    def __call__(self, handler: Callable[[E], R], /) -> Callable[[E], R]: ...


class _Default:
    """The type of an argument that was not given."""

    @override
    def __repr__(self) -> str:
        return "<not given>"


_UNSET = _Default()

# All buses together; above it one warning names them.
_MEMORY_LIMIT = 50 * 1024 * 1024
_TOO_MUCH = (
    "high memory usage: the histories of all event buses hold %.1f MB (%s); "
    + "lower max_history_size, or keep large payloads outside events"
)


_NO_FORWARD: Final = (
    "dispatch_threadsafe of bus {bus!r} is no handler, since an event belongs to one event loop: forward with its "
    + "`dispatch` if both buses are in one loop; from one thread to another, let a handler send a copy and await it: "
    + "`await asyncio.wrap_future(other.dispatch_threadsafe(event.model_copy()))`"
)

# Buses are made in many threads, and a set must not change while it is walked.
_instances_lock = threading.RLock()

_is: Final[Callable[[object, type], bool]] = isinstance
"""The same, for callers without a type checker: a checker takes it for needless where it knows the type."""


class EventBus(OlderBus):
    """
    An event bus: handlers are registered with `on`, events are given to `dispatch`.

    Each bus runs its events first in, first out, one at a time, in the event loop it is first used in; different
    buses run concurrently. A bus needs no closing: it has no task or timer while it is idle.

    Args:
        name: Any printable name; one that another running bus has gets a suffix and a warning.
        wal_path: Where to log each completed event: a path, or a `WriteAheadLog` with options of its own.
        parallel_handlers: Run all handlers of an event at once instead of one after another.
        max_history_size: Events to remember; more only while they are in flight. None = all, 0 = only in flight.
        max_pending: Events that may wait in the queue; more raise `CapacityError`, except inside handlers.
            None = no limit. By default 100, or no limit if *max_history_size* is None.
        cancel_grace: Seconds that a cancelled handler has to end before it is left behind.
        max_depth: How deep handlers may dispatch inside handlers.
        slow_handler_seconds: Seconds after which a running handler is warned of, once. 0 = never.
        middlewares: What is told of each change of an event and its results, outermost first; see `Middleware`.

    Raises:
        OptionError: If a number is out of range.
        OptionTypeError: If an argument has the wrong type.
        BusNameError: If the name is empty or not printable.
        MiddlewareError: If a middleware is none, is given twice, or has a hook that cannot be called or does not exist.
        LogError: If the log cannot be opened; see `WriteAheadLog`.
    """

    all_instances: ClassVar[WeakSet[EventBus]] = WeakSet()
    """All buses that are alive, except those ended by ``stop(clear=True)``."""

    name: str
    id: str
    """A uuid7: what tells one bus from another."""

    middlewares: tuple[Middleware, ...]
    """What is told of each change, outermost first."""

    def __init__(
        self,
        name: str | None = None,
        wal_path: str | os.PathLike[str] | WriteAheadLog | None = None,
        parallel_handlers: bool = False,
        max_history_size: int | None = 50,
        *,
        max_pending: int | _Default | None = _UNSET,
        cancel_grace: float = 0.2,
        max_depth: int = 100,
        slow_handler_seconds: float = 15.0,
        middlewares: Iterable[Middleware] = (),
    ) -> None:
        _check_count("max_history_size", max_history_size, least=0)
        _check_count("max_depth", max_depth, least=1)
        if isinstance(max_pending, _Default):
            max_pending = None if max_history_size is None else 100
        _check_count("max_pending", max_pending, least=1)
        _check_flag("parallel_handlers", parallel_handlers)
        checked_grace = checked_seconds("cancel_grace", cancel_grace)
        checked_slow = checked_seconds("slow_handler_seconds", slow_handler_seconds)
        self.middlewares = checked_middlewares(middlewares)
        hooks = hooks_of(self.middlewares)
        self.id = new_id()
        self.name = _free_name(name, self.id)
        self._home: asyncio.AbstractEventLoop | None = _running_loop()
        ledger = None if wal_path is None else _ledger(wal_path, self.id)
        before_call = ledger.before_call if ledger is not None and ledger.log.ahead else None
        if hooks is not None:
            hooks.then, before_call = before_call, hooks.before_call
        make = Scheduler if hooks is None else partial(WatchedScheduler, hooks=hooks)
        scheduler = make(
            bus_id=self.id,
            bus_name=self.name,
            registry=Registry(self.id, self.name, _forward_name),
            history=History(math.inf if max_history_size is None else max_history_size),
            expectations=Expectations(),
            options=Options(parallel_handlers, checked_grace, max_depth, checked_slow, before_call),
            max_pending=math.inf if max_pending is None else max_pending,
            warn_of_memory=_warn_of_memory,
            ledger=ledger,
        )
        super().__init__(scheduler)
        with _instances_lock:
            EventBus.all_instances.add(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> object:
        return bus_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: object, _handler: object) -> dict[str, object]:
        return {"type": "string", "title": cls.__name__, "description": "The name of an event bus"}

    @override
    def __repr__(self) -> str:
        counts, ledger = self.statistics(), self._scheduler.ledger
        level = "" if ledger is None else f", log {ledger.log.durability}"
        work = f"{counts.pending} pending, {counts.started} started, {counts.completed} completed"
        return f"<{type(self).__name__} {escape(self.name)}: {work}{level}>"

    # -- registering -------------------------------------------------------------------------------------------------

    @overload
    def on(self, pattern: EventClass[E, R], handler: Callable[[E], HandlerReturn[R, E]], /) -> Subscription: ...
    @overload
    def on(self, pattern: str, handler: Callable[[AnyEvent], object], /) -> Subscription: ...
    @overload
    def on(self, pattern: str, handler: Callable[[E], object], /) -> Subscription: ...
    @overload
    def on(self, pattern: EventClass[E, R], /) -> HandlerDecorator[E, R]: ...
    @overload
    def on(self, pattern: str, /) -> NamedDecorator: ...
    def on(self, pattern: object, handler: object = _UNSET, /) -> object:
        """
        Call *handler* for every event that *pattern* means.

        Args:
            pattern: An event class (its subclasses are meant too), the name of an event type, or ``"*"``.
            handler: Any callable of one event, sync or async; without it, a decorator is returned.

        Raises:
            PatternError: If *pattern* is nothing of these.
            HandlerError: If *handler* cannot be called with one event, is a generator function, or forwards by
                `dispatch_threadsafe`.
        """
        return self._register(pattern, handler, once=False)

    @overload
    def once(self, pattern: EventClass[E, R], handler: Callable[[E], HandlerReturn[R, E]], /) -> Subscription: ...
    @overload
    def once(self, pattern: str, handler: Callable[[AnyEvent], object], /) -> Subscription: ...
    @overload
    def once(self, pattern: str, handler: Callable[[E], object], /) -> Subscription: ...
    @overload
    def once(self, pattern: EventClass[E, R], /) -> HandlerDecorator[E, R]: ...
    @overload
    def once(self, pattern: str, /) -> NamedDecorator: ...
    def once(self, pattern: object, handler: object = _UNSET, /) -> object:
        """Call *handler* for the next event that *pattern* means, and never again; see `on`."""
        return self._register(pattern, handler, once=True)

    def _register(self, pattern: object, handler: object, *, once: bool) -> object:
        if handler is not _UNSET:
            return self._subscribe(pattern, handler, once=once, stacklevel=5)
        _ = normalize_pattern(pattern)

        def decorate(function: object) -> object:
            _ = self._subscribe(pattern, function, once=once, stacklevel=4)
            return function

        return decorate

    def _subscribe(self, pattern: object, handler: object, *, once: bool, stacklevel: int) -> Subscription:
        self._scheduler.refuse_if_closed()
        registry = self._scheduler.registry
        name = registry.namesake(pattern, handler)
        if name is not None:
            _warn_of_namesake(name, pattern, stacklevel)
        return Subscription(registry.add(pattern, handler, once=once), registry)

    @overload
    def off(self, subscription: Subscription, /) -> None: ...
    @overload
    def off(self, pattern: EventClass[E, Never] | str, handler: Callable[[E], object], /) -> None: ...
    def off(self, pattern: object, handler: object = _UNSET, /) -> None:
        """
        End a registration: ``off(subscription)`` or ``off(pattern, handler)``.

        Raises:
            NotSubscribedError: If it is not registered on this bus.
            PatternError: If *pattern* is none.
        """
        registry = self._scheduler.registry
        if not isinstance(pattern, Subscription):
            name = describe_key(normalize_pattern(pattern))
            if handler is _UNSET:
                raise NotSubscribedError(f"off({name}) does not say which handler: give it, too, off({name}, handler)")
            registry.remove(pattern, handler)
        elif not registry.discard(pattern.handler):
            raise NotSubscribedError(f"{pattern.handler.name} is not registered on bus {self.name!r} (any more)")

    @property
    def handlers(self) -> LiveHandlers:
        """The registered callables by the name of their pattern; what is changed in it is registered or taken out."""
        return LiveHandlers(self._scheduler.registry)

    # -- dispatching -------------------------------------------------------------------------------------------------

    def dispatch(self, event: E) -> E:
        """
        Queue *event* and return it at once, still pending; ``await`` it to wait until it is complete.

        Inside a handler the event becomes a child of the one being handled. A rejected event is left as it was.

        Raises:
            NotAnEventError: If it is no event, or one whose own ``__init__`` has not called that of its base.
            NoLoopError: If no event loop runs in this thread.
            WrongLoopError: If the bus, or the event, belongs to another loop.
            AlreadyDispatchedError: If this bus has had the event already.
            CapacityError: If `max_pending` events are queued.
            BusStopping: While `stop` runs.
            BusClosed: After ``stop(clear=True)``.
            EncodeError: If the bus has a log and the event cannot be written to it.
            LogWriteError: If the log takes nothing (any more).
        """
        kind = type(event)
        if type(kind) is not EventMeta and not _is(kind, EventMeta):  # faster than isinstance(event, BaseEvent)
            raise _no_event(event)
        plan = inherited_plan(is_forward=state_of(event) is not None) if replaying else None
        try:
            self._scheduler.accept(event, self, plan)
        except AttributeError:
            if is_whole(event):
                raise
            raise NotAnEventError(
                f"this {kind.__name__} was never made: its __init__ has not called super().__init__(); let it, or "
                + "declare fields and leave __init__ out"
            ) from None
        return event

    def dispatch_threadsafe(self, event: E) -> Future[E]:
        """
        Dispatch *event* from any thread; the future holds the completed event, or what `dispatch` raised.

        In the thread of the bus' own event loop its `result` would wait for ever, and raises a `DeadlockError`;
        `concurrent.futures.wait` and `as_completed` cannot tell, and do wait for ever there.

        Raises:
            NotAnEventError: If it is no event.
            NoLoopError: If the bus was neither made nor used in an event loop that still runs.
        """
        if not _is(type(event), EventMeta):
            raise _no_event(event)
        loop = self._scheduler.loop
        if loop is None or loop.is_closed():
            loop = self._home
        if loop is None or loop.is_closed():
            raise NoLoopError(
                f"bus {self.name!r} runs in no event loop: make it, use it in `async with`, or dispatch a first event, "
                + "inside the loop"
            )
        delivery = Delivery(self, event, loop)
        future = delivery.future
        _ = loop.call_soon_threadsafe(delivery)
        return future

    @overload
    def expect(
        self,
        event_type: EventClass[E, Never],
        timeout: float | None = None,
        predicate: Callable[[E], object] | None = None,
        *,
        include: Callable[[E], object] | None = None,
        exclude: Callable[[E], object] | None = None,
    ) -> Coroutine[object, None, E]: ...
    @overload
    def expect(
        self,
        event_type: str,
        timeout: float | None = None,
        predicate: Callable[[AnyEvent], object] | None = None,
        *,
        include: Callable[[AnyEvent], object] | None = None,
        exclude: Callable[[AnyEvent], object] | None = None,
    ) -> Coroutine[object, None, AnyEvent]: ...
    def expect(
        self,
        event_type: object,
        timeout: float | None = None,
        predicate: Predicate | None = None,
        *,
        include: Predicate | None = None,
        exclude: Predicate | None = None,
    ) -> Coroutine[object, None, AnyEvent]:
        """
        Wait for the next event that is dispatched on this bus and fits; it is returned still pending.

        Waiting and its clock begin with this call, not with the first ``await``: call it before what causes the event.

        Args:
            event_type: A pattern as for `on`.
            timeout: Seconds; None = for ever.
            predicate: Tells whether an event fits.
            include: The same under its other name; both must hold.
            exclude: Tells whether an event does not fit.

        Raises:
            PatternError: If *event_type* is no pattern.
            OptionError: If *timeout* is negative.
            OptionTypeError: If it is no number, or a predicate is no plain function.
            NoLoopError: If no event loop runs.
            WaitTimeout: After *timeout* seconds (a TimeoutError).
            BusStopped: If the bus is stopped meanwhile.
            BusClosed: After ``stop(clear=True)``.
            Exception: What a predicate raised.
        """
        key = normalize_pattern(event_type)
        loop = _running_loop()
        if loop is None:
            raise NoLoopError("expect() needs a running event loop: call it inside an async function")
        seconds = checked_timeout(timeout)
        deadline = None if seconds is None else loop.time() + seconds
        checks = checked_predicate("predicate", predicate), checked_predicate("include", include)
        wanted = tuple(check for check in checks if check is not None)
        unwanted = checked_predicate("exclude", exclude)
        self._scheduler.refuse_if_closed()
        waiting = Waiting(key, wanted, unwanted, deadline, loop.create_future(), self.name, seconds or 0.0)
        return Expectation[AnyEvent](waiting, self._scheduler.expectations)

    # -- what is going on --------------------------------------------------------------------------------------------

    @property
    def event_history(self) -> dict[str, AnyEvent]:
        """The remembered events by id, oldest first."""
        return self._scheduler.history.events

    @property
    def events_pending(self) -> list[AnyEvent]:
        """The remembered events that no bus has begun with."""
        return [event for event in self.event_history.values() if event.event_status == "pending"]

    @property
    def events_started(self) -> list[AnyEvent]:
        """The remembered events that are being handled, or wait for their children."""
        return [event for event in self.event_history.values() if event.event_status == "started"]

    @property
    def events_completed(self) -> list[AnyEvent]:
        """The remembered events that are done."""
        return [event for event in self.event_history.values() if event.event_status == "completed"]

    @property
    def wal(self) -> WriteAheadLog | None:
        """The log of the bus, if it has one."""
        ledger = self._scheduler.ledger
        return None if ledger is None else ledger.log

    @property
    def stopped(self) -> bool:
        """Whether the bus was stopped and not used since."""
        return self._scheduler.stopped

    @property
    def history_bytes(self) -> int:
        """Bytes that the remembered events hold, as last measured: when the process has grown much, and in `stop`."""
        return self._scheduler.history.bytes

    def _check_total_memory_usage(self) -> None:
        """Measure what this bus remembers now, and warn if all buses together hold too much."""
        self._scheduler.history.measure_latest()
        _warn_of_memory(again=True)

    def statistics(self) -> Statistics:
        """Return counts of what has become of all events so far."""
        return self._scheduler.statistics()

    def log_tree(self) -> str:
        """Return the remembered events as a tree: handlers, results, durations, errors and children."""
        events = self.event_history.values()
        shown_below = {child.event_id for event in events for child in event.event_children}
        roots = [tree_row(event) for event in events if event.event_id not in shown_below]
        return f"{escape(self.name)}\n{render(roots)}" if roots else f"{escape(self.name)}: no events"

    # -- the log -----------------------------------------------------------------------------------------------------

    async def recover(self, max_attempts: int = 3) -> RecoveryReport:
        """
        Dispatch again what an earlier process has accepted and not finished; register all handlers first.

        It is run in the order in which it was accepted, before what is queued, with its ids and parents. Handlers that
        had finished are not run again; others are, from the beginning. An event whose handler was started
        *max_attempts* times and never finished, as one that kills its process, is moved to ``<path>.dead``.

        Raises:
            OptionError: If the bus has no log with ``ahead=True``, or *max_attempts* is less than 1.
            OptionTypeError: If *max_attempts* is no whole number.
            LogWriteError: If an event cannot be moved; nothing is dispatched then.
        """
        return await recover(self._scheduler, self, max_attempts, _ledgers(but=self))

    async def replay(
        self,
        path: str | os.PathLike[str],
        *,
        where: Callable[[AnyEvent], object] | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        handlers: Iterable[Callable[..., object] | str] | None = None,
        children: bool = False,
        dry_run: bool = False,
        speed: float | None = None,
        on_error: OnDamage = "raise",
        newer: Newer = "raise",
    ) -> ReplayReport:
        """
        Dispatch the events of a log once more, in its order, with their ids, parents and times; log nothing of it.

        Events that handlers dispatched are left out, because the handlers dispatch them again. It waits while 100
        events are on their way, and returns when all are complete.

        Args:
            path: The log, as it was given to `WriteAheadLog`.
            where: Tells whether an event is to be replayed.
            since: Leave out what was created before (a datetime, or ISO text; UTC if it has no time zone).
            until: Leave out what was created then or later.
            handlers: Run only these: the callables, or their names (``save``, ``app.save`` or ``app.save#1``).
            children: Replay every line, and run no handler for what handlers dispatch.
            dry_run: Only count.
            speed: 1 keeps the recorded pace, 2 doubles it; None is as fast as possible.
            on_error: What to do about damage; see `bubus.wal.read`.
            newer: What to do about events of a newer version of their class; see `bubus.wal.read`.

        Raises:
            LogOpenError: If there is no such log.
            LogDamagedError: At the first line that is not what was written.
            OptionError: If an option is out of range, or one of *handlers* is not registered.
            OptionTypeError: If an option has the wrong type.
            DeadlockError: Inside a handler that this bus waits for.
        """
        _check_flag("children", children)
        _check_flag("dry_run", dry_run)
        choice = Choice(
            where=checked_predicate("where", where),
            since=checked_moment("since", since),
            until=checked_moment("until", until),
            children=children,
        )
        return await replay(
            self._scheduler,
            self,
            path,
            choice=choice,
            handlers=handlers,
            dry_run=dry_run,
            speed=speed,
            on_error=on_error,
            newer=newer,
        )

    # -- ending ------------------------------------------------------------------------------------------------------

    async def wait_until_idle(self, timeout: float | None = None) -> None:
        """
        Wait until nothing is queued or running on this bus, and the lines of what is complete are in its log.

        Args:
            timeout: Seconds; None = as long as it takes.

        Raises:
            OptionError: If *timeout* is negative.
            OptionTypeError: If it is no number.
            WaitTimeout: After *timeout* seconds (a TimeoutError).
            DeadlockError: Inside a handler that this bus, or a handler of it, waits for.
            WrongLoopError: If the bus runs in another loop.
        """
        call = live_call_in(asyncio.get_running_loop())
        if call is not None and blocks(call, self._scheduler):
            raise DeadlockError(
                f"bus {self.name!r} is never idle inside its own handler {call.handler_name}; "
                + "wait outside, or await single events"
            )
        self._scheduler.check_loop()
        clock = asyncio.timeout(checked_timeout(timeout))
        try:
            async with clock:
                await (self._scheduler.until_idle() if call is None else self._scheduler.until_idle_inside())
        except TimeoutError:
            if not clock.expired():
                raise
            raise WaitTimeout(f"bus {self.name!r} was not idle within {timeout} s: {self!r}") from None

    async def stop(self, timeout: float | None = None, clear: bool = False) -> None:
        """
        Let events finish for *timeout* seconds (None = 0), then cut off the rest within `cancel_grace`.

        What is cut off becomes `BusStopped` errors; everybody who waits wakes up. The bus can be used again, also in
        another loop.

        Args:
            timeout:
                Seconds; ``math.inf`` = as long as it takes. Inside a handler what waits for that handler, and so would
                never finish, is cut off at once.
            clear:
                End the bus for good: forget its handlers and history, free its name, close its log. A handler of the
                bus may do this too; the log is closed as soon as the event it handles has its line.

        Raises:
            OptionError: If *timeout* is negative.
            OptionTypeError: If it is no number.
            WrongLoopError: If the bus has work in another loop.
            LogWriteError: If the last lines could not be forced to the disk; the bus has ended all the same.
        """
        _check_flag("clear", clear)
        seconds = 0.0 if timeout is None else checked_seconds("timeout", timeout, infinite=True)
        self._scheduler.history.measure_latest()
        _warn_of_memory()
        await self._scheduler.stop(seconds, clear=clear)
        if clear:
            with _instances_lock:
                EventBus.all_instances.discard(self)
            self._scheduler.close()

    async def __aenter__(self) -> Self:
        """Belong to this loop from now on, so that other threads can dispatch at once."""
        self._home = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        """Finish all events, or cut them off if the block raised."""
        await self.stop(timeout=math.inf if kind is None else 0)
        return False


def _ledger(wal_path: str | os.PathLike[str] | WriteAheadLog, bus_id: str) -> Ledger:
    log = wal_path if isinstance(wal_path, WriteAheadLog) else WriteAheadLog(wal_path)
    return Ledger(log, bus_id)


def _no_event(value: object) -> NotAnEventError:
    return NotAnEventError(f"cannot dispatch {describe_value(value)}: make an instance of a BaseEvent subclass")


def _forward_name(handler: object) -> str | None:
    """
    Return the name of the bus whose `dispatch` *handler* is, if it is one; programs may have wrapped that.

    Raises:
        HandlerError: If it is a `dispatch_threadsafe`: the event belongs to one event loop.
    """
    owner = getattr(handler, "__self__", None)
    if not isinstance(owner, EventBus):
        return None
    if handler == owner.dispatch_threadsafe:
        raise HandlerError(_NO_FORWARD.format(bus=escape(owner.name)))
    return owner.name if handler == owner.dispatch or getattr(handler, "__name__", None) == "dispatch" else None


def _warn_of_namesake(name: str, pattern: object, stacklevel: int) -> None:
    """Warn of a handler called as another one of the same pattern: results are told apart by name often enough."""
    warnings.warn(
        f"a handler named {name} is registered for {describe_key(normalize_pattern(pattern))!r} already, so results "
        + "by name are ambiguous; give each handler a name of its own, or off() the first one",
        UserWarning,
        stacklevel=stacklevel,
    )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _free_name(name: object, bus_id: str) -> str:
    if name is None:
        return f"EventBus_{bus_id[-8:]}"
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise BusNameError(f"{describe_value(name)} is no name for a bus: use any printable text that is not empty")
    if not _is_taken(name):
        return name
    _ = gc.collect()  # a bus that was dropped inside a reference cycle may still hold the name
    if not _is_taken(name):
        return name
    new = f"{name}_{bus_id[-8:]}"
    warnings.warn(
        f"an EventBus named {name!r} exists already, this one is called {new!r}; "
        + "give each bus a name of its own, or stop() the other one first",
        UserWarning,
        stacklevel=3,
    )
    return new


def _is_taken(name: str) -> bool:
    return any(bus.name == name and not bus.stopped for bus in _all_buses())


def _ledgers(*, but: EventBus) -> list[Ledger]:
    ledgers = [bus._scheduler.ledger for bus in _all_buses() if bus is not but]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - this module's own
    return [ledger for ledger in ledgers if ledger is not None]


def _all_buses() -> list[EventBus]:
    with _instances_lock:
        return list(EventBus.all_instances)


def _check_count(option: str, value: object, *, least: int) -> None:
    if value is None and option != "max_depth":
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise OptionTypeError(f"{option}={describe_value(value)} must be a whole number of at least {least}")
    if value < least:
        raise OptionError(f"{option}={value} must be at least {least}")


def _check_flag(option: str, value: object) -> None:
    if not isinstance(value, bool):
        raise OptionTypeError(f"{option}={describe_value(value)} must be True or False")


_memory_warned = False


def _warn_of_memory(*, again: bool = False) -> None:
    """Warn if all buses together hold too much; once per process, unless *again*."""
    global _memory_warned  # noqa: PLW0603 - once per process
    held = {bus.name: bus.history_bytes for bus in _all_buses()}
    total = sum(held.values())
    if total <= _MEMORY_LIMIT or (_memory_warned and not again):
        return
    _memory_warned = True
    largest = sorted(held.items(), key=lambda item: item[1], reverse=True)
    logger.warning(
        _TOO_MUCH,
        total / 1e6,
        ", ".join(f"{escape(name)} {size / 1e6:.1f} MB" for name, size in largest[:10]),
    )
