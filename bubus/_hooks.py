"""
Middleware: what is told of each change of an event, and of what its handlers make of it.

A bus without middlewares has nothing of this: its scheduler is another class, see `_watched`. Hooks are told in the
context of the event's dispatch, of which there is one copy for each bus. What they set there before the handlers begin
is what the handlers see.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeAlias

import attrs
from typing_extensions import ParamSpec

from bubus._callables import as_coroutine_function, call_fault, is_generator_function
from bubus._hints import closest
from bubus._narrow import attribute, namespace_of
from bubus._tasks import leave
from bubus._tree import describe_error, describe_value, escape
from bubus.errors import MiddlewareError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterable, Sequence
    from contextvars import Context

    from bubus._bus import EventBus
    from bubus._call import Call
    from bubus._event import AnyEvent
    from bubus._result import AnyResult
    from bubus._state import Share

logger = logging.getLogger("bubus")

EventChange: TypeAlias = Literal["pending", "started", "completed"]
"""What an event has become, on one bus."""

ResultChange: TypeAlias = Literal["started", "completed", "error"]
"""What the record of a handler has become."""

P = ParamSpec("P")

_EVENT: Final = "on_event_change"
_RESULT: Final = "on_event_result_change"
_ARGUMENTS: Final = {_EVENT: ("bus", "event", "status"), _RESULT: ("bus", "event", "result", "status")}
"""The hooks, and what each is called with, by position."""

_REMEDY: Final = "hooks are plain functions: start a task in it, or register an async handler instead"


class Middleware:
    """
    Base class of what is told of events and handlers: override what you want to know, and give an instance to a bus.

    The methods are plain functions, called at the moment of the change, while the bus waits. One that raises is logged
    and disturbs nothing. Several middlewares learn of beginnings in the order in which the bus was given them, and of
    ends in the opposite order, so that each encloses the next.
    """

    def on_event_change(self, bus: EventBus, event: AnyEvent, status: EventChange, /) -> None:
        """
        Learn that *bus* has accepted *event*, begins with it, or sees it complete: each once, in this order.

        An event that is given to `execute_handler` besides is told of once more for that.

        ``"pending"`` and ``"started"`` are told in the context that the handlers get copies of, a copy of the
        dispatcher's: they and what they call see the context variables that are set here. ``"completed"`` is told when
        the event is complete on all buses, with all its children. An event that is cut off before its turn, or that
        nobody handles, is told of in the same way.
        """
        del bus, event, status

    def on_event_result_change(
        self, bus: EventBus, event: AnyEvent, result: AnyResult, status: ResultChange, /
    ) -> None:
        """
        Learn that a handler begins, and that it has returned or failed; *result* says which one, and what came of it.

        ``"started"`` is told in a context of which the handler gets a copy: only this handler sees the context
        variables that are set here. A handler that is cut off before its turn has an ``"error"`` and no beginning.
        """
        del bus, event, result, status


@attrs.define(eq=False)
class Hook(Generic[P]):
    """An overridden method of one middleware."""

    name: str
    method: Callable[P, object]
    failures: int = 0
    """How often it has raised."""

    def tell(self, context: Context, loop: AbstractEventLoop, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call the method in *context*; what it raises is logged the first time, the tenth, the hundredth, …"""
        try:
            answer = context.run(self.method, *args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - a hook must not disturb what it is told of
            self._failed(error)
            if isinstance(error, SystemExit | KeyboardInterrupt) and not loop.is_closed():
                _ = loop.call_soon(leave, error)
        else:
            if isinstance(answer, Coroutine):
                answer.close()
                self._failed(MiddlewareError(f"{self.name} returned a coroutine, which nobody awaits; {_REMEDY}"))

    def _failed(self, error: BaseException) -> None:
        self.failures += 1
        if str(self.failures).strip("0") == "1":
            logger.error(
                "%s raised (%d times so far); events and handlers go on without it: %s",
                escape(self.name),
                self.failures,
                describe_error(error),
                exc_info=error,
            )


@attrs.define(eq=False)
class Watch:
    """One bus' share of an event, from its acceptance until the event is complete."""

    context: Context
    """What the event's hooks are told in, and what the contexts of the handlers are copies of."""

    has_begun: bool = False
    calls: set[Call] = attrs.Factory(set["Call"])
    """Of which it was told that they begin."""


@attrs.define(eq=False)
class Hooks:
    """What the middlewares of one bus want to be told."""

    events: Sequence[Hook[[EventBus, AnyEvent, EventChange]]]
    results: Sequence[Hook[[EventBus, AnyEvent, AnyResult, ResultChange]]]
    then: Callable[[Call], None] | None = None
    """Told of each handler too, before it begins: the log."""

    _watched: dict[Share, Watch] = attrs.field(init=False, factory=dict["Share", Watch])

    @property
    def failures(self) -> int:
        """How often hooks have raised."""
        return sum(hook.failures for hook in self.events) + sum(hook.failures for hook in self.results)

    def accepted(self, share: Share) -> None:
        """Tell that an event waits for its turn."""
        watch = self._watched[share] = Watch(share.context)
        self._tell_of_event(share, watch, "pending")

    def begun(self, share: Share) -> None:
        """Tell that an event has its turn, if that was not told yet."""
        watch = self._watched[share]
        if not watch.has_begun:
            watch.has_begun = True
            self._tell_of_event(share, watch, "started")

    def before_call(self, call: Call) -> None:
        """Tell that a handler begins, and see to it that its context is a copy of the one in which that was told."""
        if self.then is not None:
            self.then(call)
        share = call.share
        self.begun(share)
        watch = self._watched[share]
        watch.calls.add(call)
        context = watch.context.copy()
        call.start(share.state.epoch + monotonic())
        for hook in self.results:
            hook.tell(context, share.state.loop, share.bus, share.event, call, "started")
        share.context = context.copy()
        call.after = partial(self._after_call, context, call.after)

    def _after_call(self, context: Context, then: Callable[[Call], None] | None, call: Call) -> None:
        if then is not None:
            then(call)
        self._tell_of_end(call.share, call, context)

    def _tell_of_end(self, share: Share, call: Call, context: Context) -> None:
        status: ResultChange = "completed" if call.status == "completed" else "error"
        for hook in reversed(self.results):
            hook.tell(context.copy(), share.state.loop, share.bus, share.event, call, status)

    def completed(self, share: Share, calls: Sequence[Call]) -> None:
        """Tell that an event is complete, after those handlers of it that were cut off before their turn."""
        self.begun(share)
        watch = self._watched.pop(share)
        for call in calls:
            if call not in watch.calls:
                self._tell_of_end(share, call, watch.context)
        self._tell_of_event(share, watch, "completed")

    def _tell_of_event(self, share: Share, watch: Watch, status: EventChange) -> None:
        is_end = status == "completed"
        for hook in reversed(self.events) if is_end else self.events:
            context = watch.context.copy() if is_end else watch.context
            hook.tell(context, share.state.loop, share.bus, share.event, status)


def checked_middlewares(middlewares: Iterable[object]) -> tuple[Middleware, ...]:
    """
    Return *middlewares* as a tuple.

    Raises:
        MiddlewareError: If one of them is no middleware or is there twice, if a hook is no plain function or takes
            other arguments than it is given, or if a method is named as hooks are and is none.
    """
    try:
        given = list(middlewares)
    except TypeError as error:
        raise MiddlewareError(f"middlewares={describe_value(middlewares)} must be a list of middlewares") from error
    found: list[Middleware] = []
    for one in given:
        found.append(_checked(one, found))
    return tuple(found)


def hooks_of(middlewares: Iterable[Middleware]) -> Hooks | None:
    """Return what *middlewares* want to be told, if they want anything."""
    events = [
        Hook(_name(one, _EVENT), one.on_event_change)
        for one in middlewares
        if getattr(one.on_event_change, "__func__", None) is not Middleware.on_event_change
    ]
    results = [
        Hook(_name(one, _RESULT), one.on_event_result_change)
        for one in middlewares
        if getattr(one.on_event_result_change, "__func__", None) is not Middleware.on_event_result_change
    ]
    return Hooks(events, results) if events or results else None


def _checked(middleware: object, others: Sequence[Middleware]) -> Middleware:
    if not isinstance(middleware, Middleware):
        raise MiddlewareError(f"{describe_value(middleware)} is no middleware: {_remedy_for(middleware)}")
    if any(middleware is other for other in others):
        raise MiddlewareError(f"{describe_value(middleware)} is given twice: it would be told everything twice")
    for name in _ARGUMENTS:
        _check_hook(_name(middleware, name), attribute(middleware, name), _ARGUMENTS[name])
    _refuse_no_hooks(middleware)
    return middleware


def _check_hook(name: str, hook: object, arguments: Sequence[str]) -> None:
    called = f"it is called as {name[:-2]}({', '.join(arguments)})"
    if not callable(hook):
        raise MiddlewareError(f"{name[:-2]} is {describe_value(hook)}, not a method: {called}")
    if as_coroutine_function(hook) is not None:
        raise MiddlewareError(f"{name} is a coroutine function, which nobody awaits; {_REMEDY}")
    if is_generator_function(hook):
        raise MiddlewareError(f"{name} has a `yield` in its body, so that calling it runs nothing; {_REMEDY}")
    if fault := call_fault(hook, *arguments):
        raise MiddlewareError(f"{name[:-2]}{fault[0]} cannot be called ({fault[1]}): {called}")


def _refuse_no_hooks(middleware: Middleware) -> None:
    """Refuse a method that is named as hooks are: it would never be called. Other bases may name theirs so."""
    for cls in type(middleware).__mro__:
        if issubclass(cls, Middleware):
            for name, value in namespace_of(cls).items():
                if name.startswith("on_") and callable(value) and name not in _ARGUMENTS:
                    raise MiddlewareError(f"{_name(middleware, name)} is no hook: {_meant(name)}")


def _meant(name: str) -> str:
    hook = closest(name, _ARGUMENTS)
    return (
        f"hooks are {' and '.join(_ARGUMENTS)}; begin the name of a method of your own with something else"
        if hook is None
        else f"did you mean {hook}?"
    )


def _remedy_for(value: object) -> str:
    if isinstance(value, type):
        return f"give the bus an instance, {value.__name__}(), of a class derived from bubus.Middleware"
    return "derive its class from bubus.Middleware"


def _name(middleware: Middleware, method: str) -> str:
    return f"{type(middleware).__name__}.{method}()"
