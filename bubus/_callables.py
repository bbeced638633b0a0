"""What a callable is called, and what calling it gives."""

from __future__ import annotations

import functools
import inspect
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
    function: Callable[..., object] = handler
    while isinstance(function, functools.partial):
        function = cast("Callable[..., object]", function.func)
    return cast("Callable[..., Awaitable[object]]", handler) if inspect.iscoroutinefunction(function) else None
