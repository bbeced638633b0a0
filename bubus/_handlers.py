"""Handlers: what was registered for which events, and which of it an event calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias
from weakref import WeakValueDictionary

import attrs

from bubus._callables import (
    as_coroutine_function,
    call_fault,
    handler_name,
    identified_name,
    is_generator_function,
    owned_name,
    qualified_name,
)
from bubus._event import AnyEvent, BaseEvent, is_event
from bubus._model import EventMeta
from bubus._result import Origin
from bubus._tree import describe_value
from bubus.errors import HandlerError, NotSubscribedError, PatternError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType


AnyHandler: TypeAlias = Callable[[Any], object]  # pyright: ignore[reportExplicitAny] - of any class of events
"""Any callable of one event, sync or async."""

Key = type[AnyEvent] | str
"""An event class, the name of an event type, or ``"*"``."""

# Enough for every class of a large application; ad-hoc names come from data and must not fill the memory.
_CACHE_LIMIT = 1024


class Shown(Protocol):
    """A list of handlers that somebody holds."""

    def refresh(self, functions: Iterable[AnyHandler]) -> None:
        """Show *functions* from now on."""
        ...


@attrs.frozen(eq=False)
class Handler:
    """One registered handler."""

    id: str
    """Unique among all handlers of all buses."""

    name: str
    origin: Origin
    key: Key
    function: AnyHandler
    coroutine_function: Callable[..., Awaitable[object]] | None
    """The function again, if it is one that makes coroutines."""

    once: bool
    number: int
    """Position in the order of registration."""


@attrs.frozen(eq=False)
class Subscription:
    """What `EventBus.on` returns: ends the registration by `off`, or at the end of a ``with`` block."""

    handler: Handler
    _registry: Registry

    def off(self) -> None:
        """End the registration; doing it twice is no error."""
        _ = self._registry.discard(self.handler)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.off()


def normalize_pattern(pattern: object) -> Key:
    """
    Return the key that *pattern* registers under; ``Page[int]`` becomes its origin ``Page``.

    Raises:
        PatternError: If it is no event class and no name.
    """
    for candidate in (pattern, getattr(pattern, "__origin__", None)):
        if isinstance(candidate, EventMeta) and issubclass(candidate, BaseEvent):
            return candidate.__event_origin__
    if isinstance(pattern, str) and pattern and pattern.isprintable():
        return pattern
    raise PatternError(_why_no_pattern(pattern))


def _why_no_pattern(pattern: object) -> str:
    patterns = "an event class, the name of an event type, or '*' for all events"
    if is_event(pattern):
        return f"{describe_value(pattern)} is an event, not its class: use {patterns}"
    if callable(pattern) and not isinstance(pattern, type):
        name = handler_name(pattern)
        return (
            f"{name} is a function, not a pattern: write @bus.on(Event) above it, bus.on(Event, {name}) or "
            + f"bus.off(Event, {name}), where Event is {patterns}"
        )
    return f"cannot register for {describe_value(pattern)}: use {patterns}"


def check_handler(handler: object) -> AnyHandler:
    """
    Return *handler* if it can be called with one event, and the call runs it.

    Raises:
        HandlerError: If not.
    """
    if not callable(handler):
        remedy = "to forward, write .dispatch behind a bus" if hasattr(handler, "dispatch") else "it takes one event"
        raise HandlerError(f"{describe_value(handler)} is not callable, as a handler must be: {remedy}")
    if is_generator_function(handler):
        raise HandlerError(
            f"{handler_name(handler)} has a `yield` in its body, so that a call makes a generator and runs nothing: "
            + "use `return` (and `async def`, to await), and no `yield`"
        )
    if fault := call_fault(handler, None):
        raise HandlerError(
            f"{handler_name(handler)}{fault[0]} cannot be called with one event ({fault[1]}): "
            + "give it exactly one required parameter"
        )
    return handler


@attrs.define(eq=False, repr=False)
class Registry:
    """The handlers of one bus, by class or name, in order of registration."""

    _bus_id: str
    _bus_name: str
    _target: Callable[[object], str | None] = lambda _: None
    """Names the bus that a callable passes events on to; None for any other callable."""

    _by_key: dict[Key, list[Handler]] = attrs.Factory(dict[Key, list[Handler]])
    _cache: dict[type, dict[str, tuple[Handler, ...]]] = attrs.Factory(dict[type, dict[str, tuple[Handler, ...]]])
    """What `match` returned, by class and name."""

    _names: dict[str, int] = attrs.Factory(dict[str, int])
    _added: int = 0

    _latest: WeakValueDictionary[tuple[str, str], Handler] = attrs.Factory(
        WeakValueDictionary["tuple[str, str]", Handler]
    )
    """The latest handler of each pattern and name."""

    live: WeakValueDictionary[str, Shown] | None = None
    """The lists that somebody holds, by the name of their pattern; they are told of every change."""

    def add(self, pattern: object, function: object, *, once: bool = False) -> Handler:
        """
        Register *function* for *pattern*.

        Raises:
            PatternError: If *pattern* is no event class and no name.
            HandlerError: If *function* cannot be called with one event.
        """
        handler = self._make(normalize_pattern(pattern), check_handler(function), once=once)
        self._place(handler)
        self._changed()
        return handler

    def _place(self, handler: Handler) -> None:
        self._by_key.setdefault(handler.key, []).append(handler)
        self._latest[describe_key(handler.key), self._known_as(handler.function)] = handler

    def _known_as(self, function: object) -> str:
        target = self._target(function)
        return owned_name(function) if target is None else f"{target}.dispatch"

    def namesake(self, pattern: object, function: object) -> str | None:
        """
        Return the name that *function* shares with the latest handler of the same name and pattern, if any does.

        Raises:
            PatternError: As `add`.
            HandlerError: As `add`.
        """
        key, name = normalize_pattern(pattern), self._known_as(check_handler(function))
        found = self._latest.get((describe_key(key), name))
        return name if found is not None and found in self._by_key.get(found.key, ()) else None

    def _make(self, key: Key, function: AnyHandler, *, once: bool = False) -> Handler:
        self._added += 1
        origin = self._origin(function, self._next_id(function))
        return Handler(
            id=origin.handler_id,
            name=origin.handler_name,
            origin=origin,
            key=key,
            function=function,
            coroutine_function=as_coroutine_function(function),
            once=once,
            number=self._added,
        )

    def _origin(self, function: AnyHandler, handler_id: str) -> Origin:
        target = self._target(function)
        name = handler_name(function) if target is None else f"{target}.dispatch"
        return Origin(handler_id, name, self._bus_id, self._bus_name)

    def origin_of(self, function: AnyHandler) -> Origin:
        """Return where results of *function* come from; for one that is not registered, by its identity."""
        found = self._registered(function)
        return self._origin(function, f"{self._bus_id}:{identified_name(function)}") if found is None else found.origin

    def handler_of(self, function: object) -> Handler:
        """
        Return *function* as a handler, whether it is registered or not.

        Raises:
            HandlerError: If it cannot be called with one event.
        """
        checked = check_handler(function)
        found = self._registered(checked)
        if found is None:
            origin = self.origin_of(checked)
            found = attrs.evolve(self._make("*", checked), id=origin.handler_id, origin=origin)
        return found

    def _registered(self, function: object) -> Handler | None:
        everything = (handler for handlers in self._by_key.values() for handler in handlers)
        return next((handler for handler in everything if handler.function == function), None)

    def _next_id(self, function: AnyHandler) -> str:
        name = qualified_name(function)
        number = self._names[name] = self._names.get(name, 0) + 1
        return f"{self._bus_id}:{name}#{number}"

    def _changed(self) -> None:
        self._cache.clear()
        for name, functions in () if self.live is None else list(self.live.items()):
            functions.refresh(self.functions(name))

    def discard(self, handler: Handler) -> bool:
        """Take *handler* out; tell whether it was there."""
        handlers = self._by_key.get(handler.key, [])
        for found in handlers:
            if found.id == handler.id:  # its place in the order may have changed
                handlers.remove(found)
                if not handlers:
                    del self._by_key[handler.key]
                self._changed()
                return True
        return False

    def remove(self, pattern: object, function: object) -> None:
        """
        Take out the latest registration of *function* for *pattern*.

        Raises:
            NotSubscribedError: If there is none.
        """
        key = normalize_pattern(pattern)
        for handler in reversed(self._by_key.get(key, [])):
            if handler.function == function:
                _ = self.discard(handler)
                return
        raise NotSubscribedError(
            f"{handler_name(function)} is not registered for {describe_key(key)}: "
            + "pass the pattern and the same callable that on() was given, or the Subscription it returned"
        )

    def all(self) -> list[Handler]:
        """Return all handlers."""
        return [handler for handlers in self._by_key.values() for handler in handlers]

    def clear(self) -> None:
        """Forget all handlers."""
        self._by_key.clear()
        self._changed()

    # -- by name -----------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of all patterns that have handlers."""
        return list(dict.fromkeys(map(describe_key, self._by_key)))

    def functions(self, name: str) -> list[AnyHandler]:
        """Return the callables registered for the patterns called *name*, in order."""
        return [handler.function for handler in self._named(name)]

    def _named(self, name: str) -> list[Handler]:
        found = [one for key, handlers in self._by_key.items() if describe_key(key) == name for one in handlers]
        return sorted(found, key=lambda handler: handler.number)

    def arrange(self, name: str, functions: Iterable[object]) -> None:
        """
        Make *functions* the handlers of the patterns called *name*, in this order.

        Those that are registered stay what they are; new ones are registered for the name.

        Raises:
            PatternError: If *name* is no name.
            HandlerError: If one of them cannot be called with one event; then nothing has changed.
        """
        key, left = normalize_pattern(name), self._named(name)
        wanted = [_taken(left, checked) or self._make(key, checked) for checked in map(check_handler, functions)]
        for handler in self._named(name):
            self._by_key[handler.key].remove(handler)
        for number, handler in zip(sorted(handler.number for handler in wanted), wanted, strict=True):
            placed = handler if handler.number == number else attrs.evolve(handler, number=number)
            self._place(placed)
        for empty in [key for key, handlers in self._by_key.items() if not handlers]:
            del self._by_key[empty]
        self._changed()

    # -- by event ----------------------------------------------------------------------------------------------------

    def match(self, event: AnyEvent) -> tuple[Handler, ...]:
        """Return what *event* calls: by class and name in the order of `on`, then ``"*"``; `once` handlers leave."""
        try:
            return self._cache[type(event)][event.event_type]
        except KeyError:
            return self._look_up(event)

    def _look_up(self, event: AnyEvent) -> tuple[Handler, ...]:
        handlers = self._find(event)
        once = [handler for handler in handlers if handler.once]
        for handler in once:
            _ = self.discard(handler)
        if not once:
            if len(self._cache) >= _CACHE_LIMIT or len(self._cache.get(type(event), ())) >= _CACHE_LIMIT:
                self._cache.clear()
            self._cache.setdefault(type(event), {})[event.event_type] = handlers
        return handlers

    def _find(self, event: AnyEvent) -> tuple[Handler, ...]:
        typed = [
            handler for key, found in self._by_key.items() if key != "*" and matches(key, event) for handler in found
        ]
        typed.sort(key=lambda handler: handler.number)
        return _without_repeats([*typed, *self._by_key.get("*", [])])


def matches(key: Key, event: AnyEvent) -> bool:
    """Tell whether *event* is meant by *key*; an undecoded event counts as the class whose name it carries."""
    if isinstance(key, str):
        return key in ("*", event.event_type)
    return isinstance(event, key) or (type(event) is BaseEvent and key.__event_type__ == event.event_type)


def describe_key(key: Key) -> str:
    """Return the name of an event type, or ``"*"``."""
    return key if isinstance(key, str) else key.__event_type__


def _taken(handlers: list[Handler], function: AnyHandler) -> Handler | None:
    """Take the first handler that calls *function* out of *handlers*."""
    for handler in handlers:
        if handler.function == function:
            handlers.remove(handler)
            return handler
    return None


def _without_repeats(handlers: list[Handler]) -> tuple[Handler, ...]:
    """Keep the first of handlers with the same callable: what two patterns match runs once."""
    first_key: dict[object, Key] = {}
    return tuple(h for h in handlers if first_key.setdefault(_identity(h.function), h.key) == h.key)


def _identity(function: AnyHandler) -> object:
    # Bound methods are made anew on each access and compare by value; objects without a hash only by identity.
    return function if function.__hash__ is not None else id(function)
