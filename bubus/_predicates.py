"""Functions of the user's that tell by their truth whether something is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from bubus._callables import as_coroutine_function, is_generator_function
from bubus._tree import describe_value
from bubus.errors import OptionTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

_is_callable = cast("Callable[[object], bool]", callable)  # as a guard it would make the check unreachable
P = TypeVar("P", bound="Callable[..., object] | None")


def checked_predicate(option: str, predicate: P) -> P:
    """
    Return *predicate*, whose calls will tell something.

    Raises:
        OptionTypeError: If it cannot be called, or a call makes a coroutine or a generator, which are always true.
    """
    if predicate is None:
        return predicate
    if not _is_callable(predicate):
        raise OptionTypeError(f"{option}={describe_value(predicate)} must be a function that returns True or False")
    if as_coroutine_function(predicate) is not None or is_generator_function(predicate):
        raise OptionTypeError(
            f"{option}={describe_value(predicate)} must be a plain function: what an async one or a generator returns "
            + "counts as True before it has run; use `def`, and await beforehand what it needs"
        )
    return predicate
