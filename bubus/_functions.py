"""Functions that users put before, after, around or in place of the check of a value."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeAlias, final

import attrs
import msgspec

from bubus._faults import Invalid, fault, refuse, told_by
from bubus._narrow import attribute
from bubus._types import T_Given
from bubus._wire_values import write_unknown
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bubus._marks import ValidatorMode
    from bubus._types import Check, Values

_NO_DEFAULT: Final[object] = inspect.Parameter.empty
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@attrs.frozen(slots=True, eq=False)
class ValidationInfo(Generic[T_Given]):
    """What a validator may know beside the value."""

    data: Values
    """The fields validated before, by name; those with faults are not in it."""

    field_name: str | None = None
    context: T_Given = attrs.field(default=None)
    """What was given as ``context=`` to `model_validate`."""

    mode: Literal["python", "json"] = "python"
    """Where the value comes from."""

    config: Mapping[str, object] | None = None
    """`model_config` of the class."""


context: Final[ContextVar[object]] = ContextVar("bubus_validation_context", default=None)
"""The ``context=`` of the running `model_validate` or `model_dump`."""

current: Final[ContextVar[ValidationInfo | None]] = ContextVar("bubus_validation_info", default=None)
"""What the functions of the field being checked may know; set only for fields that have functions which ask."""


def required_arguments(function: Callable[..., object]) -> int:
    """Return how many arguments *function* must be given by position; 1 if nobody knows."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of many classes in C nobody knows the signature
        return 1
    return sum(
        one.kind in _POSITIONAL and attribute(one, "default") is inspect.Parameter.empty for one in parameters
    ) or min(1, len(parameters))


def wants_info(function: Callable[..., object], usual: int, owner: str) -> bool:
    """
    Tell whether *function* takes one argument more than the *usual* number.

    Raises:
        DefinitionError: If it takes neither.
    """
    number = required_arguments(function)
    if number in (usual, usual + 1):
        return number == usual + 1
    raise DefinitionError(
        f"{owner}: {getattr(function, '__qualname__', function)!s} takes {number} arguments by position, "
        + f"and would be called with {usual}, or {usual + 1} to get a ValidationInfo"
    )


def info_now() -> ValidationInfo:
    """Return what is known of the value being checked."""
    return current.get() or ValidationInfo({}, context=context.get())


def call_validator(function: Callable[..., object], value: object, *arguments: object) -> object:
    """
    Call a validator; a ValueError, an AssertionError and the faults of another value are faults of *value*.

    Raises:
        Invalid: If it raised one of them; anything else, also a TypeError, is raised as it is.
    """
    try:
        return function(*arguments)
    except AssertionError as error:
        raise Invalid([fault("assertion_error", value, error=error)]) from error
    except ValueError as error:
        raise Invalid(told_by(error, value)) from error


@final
class Handler:
    """What a function around a check calls to have the value checked."""

    def __init__(self, check: Check, title: str) -> None:
        self._check = check
        self._title = title

    def __call__(self, value: object, outer_location: str | int | None = None, /) -> object:
        """
        Return the checked value.

        Raises:
            ValidationError: If it does not fit.
        """
        try:
            return self._check(value)
        except Invalid as invalid:
            where = () if outer_location is None else (outer_location,)
            raise refuse(self._title, [one.under(*where) for one in invalid.faults]) from None


def applied(check: Check, function: Callable[..., object], mode: ValidatorMode, owner: str) -> tuple[Check, bool]:
    """
    Return *check* with a user's *function* before, after, around or in place of it, and whether it asks for the info.

    Raises:
        DefinitionError: If the function takes a wrong number of arguments.
    """
    asks = wants_info(function, 2 if mode == "wrap" else 1, owner)
    return _APPLY[mode](check, function, (info_now,) if asks else (), owner), asks


def reread(check: Check, made: Check) -> Check:
    """
    Return a check for what was written after *made*, which is *check* with a user's function, had made it.

    The function has done its work, and may do more than check: it counts only where it leaves what was written as it
    is, and so gives back its type (`AfterValidator(str)` of a URL). Nothing that was once accepted is refused by it.
    """

    def read(value: object) -> object:
        with contextlib.suppress(Exception):  # it is asked for its opinion; the check decides
            again = made(value)
            if msgspec.to_builtins(again, enc_hook=write_unknown) == value:
                return again
        return check(value)

    return read


_More: TypeAlias = tuple[Callable[[], object], ...]


def _before(check: Check, function: Callable[..., object], more: _More, _: str) -> Check:
    return lambda value: check(call_validator(function, value, value, *(make() for make in more)))


def _after(check: Check, function: Callable[..., object], more: _More, _: str) -> Check:
    return lambda value: call_validator(function, value, check(value), *(make() for make in more))


def _plain(_: Check, function: Callable[..., object], more: _More, _owner: str) -> Check:
    return lambda value: call_validator(function, value, value, *(make() for make in more))


def _wrap(check: Check, function: Callable[..., object], more: _More, owner: str) -> Check:
    handler = Handler(check, owner)
    return lambda value: call_validator(function, value, value, handler, *(make() for make in more))


_APPLY: Final[dict[str, Callable[[Check, Callable[..., object], _More, str], Check]]] = {
    "before": _before,
    "after": _after,
    "plain": _plain,
    "wrap": _wrap,
}
