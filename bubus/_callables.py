"""What a callable is called, and what calling it gives."""

from __future__ import annotations

import functools
import inspect
from types import CodeType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


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


def identified_name(handler: object) -> str:
    """Return ``module.qualname@address``: one of its own for every object that lives."""
    return f"{qualified_name(handler)}@{id(handler):x}"


def owned_name(handler: object) -> str:
    """Return ``Class.name`` of a bound method and ``module.name`` of anything else: what tells namesakes apart."""
    owner = cast("object", getattr(handler, "__self__", None))
    if owner is None:
        return f"{getattr(handler, '__module__', '?')}.{handler_name(handler)}"
    cls = owner if isinstance(owner, type) else type(owner)
    return f"{cls.__name__}.{handler_name(handler)}"


def call_fault(function: Callable[..., object], *arguments: object) -> tuple[inspect.Signature, TypeError] | None:
    """Return the signature of *function* and why it cannot take *arguments*; None if it can, or nobody knows."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # some builtins have none; calling them will tell
        return None
    try:
        _ = signature.bind(*arguments)
    except TypeError as error:
        return signature, error
    return None


def as_coroutine_function(handler: Callable[..., object]) -> Callable[..., Awaitable[object]] | None:
    """Return *handler* if calling it gives a coroutine and runs nothing yet."""
    function = _unwrapped(handler)
    makes = inspect.iscoroutinefunction(function) or _is_decorated_generator(function)
    return cast("Callable[..., Awaitable[object]]", handler) if makes else None


def is_generator_function(handler: Callable[..., object]) -> bool:
    """Tell whether calling *handler* runs nothing of it, since its body has a ``yield``."""
    function = _unwrapped(handler)
    if not (inspect.isroutine(function) or isinstance(function, type)):
        function = cast("object", inspect.getattr_static(type(function), "__call__", None))  # of an object: its method
    if inspect.isasyncgenfunction(function):
        return True
    return inspect.isgeneratorfunction(function) and not _is_decorated_generator(function)


def _unwrapped(handler: object) -> object:
    while isinstance(handler, functools.partial | staticmethod):
        handler = cast("object", handler.func if isinstance(handler, functools.partial) else handler.__func__)
    return handler


def _is_decorated_generator(function: object) -> bool:
    """Tell whether *function* is a generator function under ``@types.coroutine``, whose calls can be awaited."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return isinstance(code, CodeType) and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)
