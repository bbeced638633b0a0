"""Handlers: what was registered for which events, and which of it an event calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import attrs

from bubus._event import BaseEvent
from bubus._model import EventMeta
from bubus._result import Origin
from bubus._tree import describe_value
from bubus.errors import HandlerError, NotSubscribedError, PatternError

if TYPE_CHECKING:
    from types import TracebackType

AnyHandler = Callable[[Any], object]
"""Any callable of one event, sync or async."""

Key = type[BaseEvent[Any]] | str
"""An event class, the name of an event type, or ``"*"``."""

# Enough for every class of a large application; ad-hoc names come from data and must not fill the memory.
_CACHE_LIMIT = 1024


@attrs.frozen(eq=False)
class Handler:
    """One registered handler."""

    id: str
    """Unique among all handlers of all buses."""

    name: str
    origin: Origin
    key: Key
    function: AnyHandler
    is_coroutine_function: bool
    forwards: bool
    """Whether it passes events on to another bus."""

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
        self._registry.discard(self.handler)

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
    raise PatternError(
        f"cannot register for {describe_value(pattern)}: "
        "use an event class, the name of an event type, or '*' for all events"
    )


def check_handler(handler: object) -> AnyHandler:
    """
    Return *handler* if it can be called with one event.

    Raises:
        HandlerError: If not.
    """
    if not callable(handler):
        raise HandlerError(f"{describe_value(handler)} is not callable: a handler takes one event")
    try:
        signature = inspect.signature(handler)
    except (ValueError, TypeError):  # some builtins have none; calling them will tell
        return handler
    try:
        signature.bind(None)
    except TypeError as error:
        raise HandlerError(
            f"{handler_name(handler)}{signature} cannot be called with one event ({error}): "
            "give it exactly one required parameter"
        ) from None
    return handler


def handler_name(handler: object) -> str:
    """Return the name results show: a function's ``__name__``, else what it wraps, else its type's."""
    if isinstance(handler, functools.partial):
        return handler_name(handler.func)
    name = getattr(handler, "__name__", None)
    return name if isinstance(name, str) else type(handler).__name__


def qualified_name(handler: object) -> str:
    """Return ``module.qualname``, which stays the same from one run to the next."""
    if isinstance(handler, functools.partial):
        return qualified_name(handler.func)
    named = handler if hasattr(handler, "__qualname__") else type(handler)
    return f"{getattr(named, '__module__', '?')}.{getattr(named, '__qualname__', '?')}"


def is_coroutine_function(handler: object) -> bool:
    """Tell whether calling *handler* gives a coroutine and runs nothing yet."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    return inspect.iscoroutinefunction(handler)


@attrs.define(eq=False, repr=False)
class Registry:
    """The handlers of one bus, by class or name, in order of registration."""

    _bus_id: str
    _bus_name: str
    _by_key: dict[Key, list[Handler]] = attrs.Factory(dict[Key, list[Handler]])
    _cache: dict[tuple[type, str], tuple[Handler, ...]] = attrs.Factory(dict[tuple[type, str], tuple[Handler, ...]])
    _names: dict[str, int] = attrs.Factory(dict[str, int])
    _added: int = 0

    def add(self, pattern: object, function: object, *, once: bool = False, forwards_to: str | None = None) -> Handler:
        """
        Register *function* for *pattern*.

        Raises:
            PatternError: If *pattern* is no event class and no name.
            HandlerError: If *function* cannot be called with one event.
        """
        key, checked = normalize_pattern(pattern), check_handler(function)
        self._added += 1
        handler_id = self._next_id(checked)
        name = handler_name(checked) if forwards_to is None else f"{forwards_to}.dispatch"
        handler = Handler(
            id=handler_id,
            name=name,
            origin=Origin(handler_id, name, self._bus_id, self._bus_name),
            key=key,
            function=checked,
            is_coroutine_function=is_coroutine_function(checked),
            forwards=forwards_to is not None,
            once=once,
            number=self._added,
        )
        self._by_key.setdefault(key, []).append(handler)
        self._cache.clear()
        return handler

    def _next_id(self, function: AnyHandler) -> str:
        name = qualified_name(function)
        number = self._names[name] = self._names.get(name, 0) + 1
        return f"{self._bus_id}:{name}#{number}"

    def discard(self, handler: Handler) -> bool:
        """Take *handler* out; tell whether it was there."""
        handlers = self._by_key.get(handler.key, [])
        if handler not in handlers:
            return False
        handlers.remove(handler)
        if not handlers:
            del self._by_key[handler.key]
        self._cache.clear()
        return True

    def remove(self, pattern: object, function: object) -> None:
        """
        Take out the latest registration of *function* for *pattern*.

        Raises:
            NotSubscribedError: If there is none.
        """
        key = normalize_pattern(pattern)
        for handler in reversed(self._by_key.get(key, [])):
            if handler.function == function:
                self.discard(handler)
                return
        raise NotSubscribedError(
            f"{handler_name(function)} is not registered for {describe_key(key)}: "
            "pass the pattern and the same callable that on() was given, or the Subscription it returned"
        )

    def all(self) -> list[Handler]:
        """Return all handlers."""
        return [handler for handlers in self._by_key.values() for handler in handlers]

    def clear(self) -> None:
        """Forget all handlers."""
        self._by_key.clear()
        self._cache.clear()

    def by_name(self) -> dict[str, list[AnyHandler]]:
        """Return the callables by the name of their pattern."""
        names: dict[str, list[AnyHandler]] = {}
        for key, handlers in self._by_key.items():
            names.setdefault(describe_key(key), []).extend(handler.function for handler in handlers)
        return names

    def match(self, event: BaseEvent[Any]) -> tuple[Handler, ...]:
        """Return what *event* calls: by class and name in the order of `on`, then ``"*"``; `once` handlers leave."""
        try:
            return self._cache[type(event), event.event_type]
        except KeyError:
            return self._look_up(event, (type(event), event.event_type))

    def _look_up(self, event: BaseEvent[Any], cache_key: tuple[type, str]) -> tuple[Handler, ...]:
        handlers = self._find(event)
        once = [handler for handler in handlers if handler.once]
        for handler in once:
            self.discard(handler)
        if not once:
            if len(self._cache) >= _CACHE_LIMIT:
                self._cache.clear()
            self._cache[cache_key] = handlers
        return handlers

    def _find(self, event: BaseEvent[Any]) -> tuple[Handler, ...]:
        typed = [
            handler for key, found in self._by_key.items() if key != "*" and matches(key, event) for handler in found
        ]
        typed.sort(key=lambda handler: handler.number)
        return _without_repeats([*typed, *self._by_key.get("*", [])])


def matches(key: Key, event: BaseEvent[Any]) -> bool:
    """Tell whether *event* is meant by *key*; an undecoded event counts as the class whose name it carries."""
    if isinstance(key, str):
        return key in ("*", event.event_type)
    return isinstance(event, key) or (type(event) is BaseEvent and key.__event_type__ == event.event_type)


def describe_key(key: Key) -> str:
    """Return the name of an event type, or ``"*"``."""
    return key if isinstance(key, str) else key.__event_type__


def _without_repeats(handlers: list[Handler]) -> tuple[Handler, ...]:
    """Keep the first of handlers with the same callable: what two patterns match runs once."""
    first_key: dict[object, Key] = {}
    return tuple(h for h in handlers if first_key.setdefault(_identity(h.function), h.key) == h.key)


def _identity(function: AnyHandler) -> object:
    # Bound methods are made anew on each access and compare by value; objects without a hash only by identity.
    return function if function.__hash__ is not None else id(function)
