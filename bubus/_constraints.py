"""Limits on values, from msgspec.Meta and annotated-types: each is a check of what the type made of a value."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bubus._faults import Fault, Invalid, call_user, fail
from bubus._marks import ValueSerializer, ValueValidator
from bubus._narrow import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sized

    from bubus._types import Check

_NAMES: Final = ("multiple_of", "le", "lt", "ge", "gt", "min_length", "max_length", "pattern", "tz", "func")
_SOURCES: Final = frozenset({"msgspec", "msgspec._core", "annotated_types", "bubus._marks"})
_FLOAT_SLACK: Final = 1e9  # a float may miss a multiple by a billionth of itself
_COLLECTIONS: Final = {list: "List", tuple: "Tuple", set: "Set", frozenset: "Frozenset", dict: "Dictionary"}


Limit: TypeAlias = tuple[str, Any]
"""Name of a limit, and its value."""


def is_constraint(item: object) -> bool:
    """Tell whether *item*, found in an Annotated, limits values in a way known here."""
    return type(item).__module__ in _SOURCES and not isinstance(item, ValueValidator | ValueSerializer)


def limits_in(items: Iterable[Any]) -> list[Limit]:
    """Return the limits among the items of an Annotated, in the order they are checked."""
    parts = [part for item in items if is_constraint(item) for part in _parts(item)]
    return [(name, getattr(part, name)) for name in _NAMES for part in parts if getattr(part, name, None) is not None]


def _parts(item: Any) -> Iterable[Any]:
    """Return what a group such as annotated_types.Interval consists of, or the item itself."""
    return iter(item) if hasattr(item, "__iter__") else [item]


def limited(check: Check, limits: Iterable[Limit]) -> Check:
    """Return *check* followed by the checks for *limits*; None is not limited."""
    steps = [_STEPS[name](name, limit) for name, limit in limits]

    def limited_check(value: Any) -> Any:
        result = check(value)
        if result is not None:
            for step in steps:
                step(result, value)
        return result

    return limited_check


def _printed(limit: Any) -> Any:
    return limit.isoformat() if isinstance(limit, dt.date | dt.time) else limit


def _comparison(kind: str, fits: Callable[[Any, Any], bool]) -> Callable[[str, Any], Callable[[Any, Any], None]]:
    def make(name: str, limit: Any) -> Callable[[Any, Any], None]:
        def step(result: Any, value: Any) -> None:
            try:
                fit = fits(result, limit)
            except TypeError as error:
                raise Invalid([Fault("type_error", f"Type error, {error}", value)]) from error
            if not fit:
                fail(kind, value, **{name: _printed(limit)})

        return step

    return make


def _is_multiple(result: Any, factor: Any) -> bool:
    if not isinstance(result, float):
        return bool(result % factor == 0)
    rest = abs(result % factor)
    slack = abs(result) / _FLOAT_SLACK
    return bool(rest <= slack or abs(rest - factor) <= slack)


def _length(name: str, limit: int) -> Callable[[Any, Any], None]:
    short = name == "min_length"

    def step(result: Sized, value: Any) -> None:
        length = len(result)
        if length >= limit if short else length <= limit:
            return
        if isinstance(result, str | bytes):
            word = "string" if isinstance(result, str) else "bytes"
            fail(f"{word}_too_{'short' if short else 'long'}", value, **{name: limit})
        own = kind_of(result)
        field = next((word for kind, word in _COLLECTIONS.items() if issubclass(own, kind)), own.__name__)
        fail(f"too_{'short' if short else 'long'}", value, field_type=field, **{name: limit}, actual_length=length)

    return step


def _pattern(_: str, limit: str | re.Pattern[str]) -> Callable[[Any, Any], None]:
    expression = re.compile(limit)

    def step(result: str, value: Any) -> None:
        if expression.search(result) is None:
            fail("string_pattern_mismatch", value, pattern=expression.pattern)

    return step


def _zone(_: str, aware: Any) -> Callable[[Any, Any], None]:
    def step(result: dt.datetime | dt.time, value: Any) -> None:
        if (result.tzinfo is not None) is not bool(aware):
            fail("timezone_aware" if aware else "timezone_naive", value)

    return step


def _predicate(_: str, function: Callable[[Any], object]) -> Callable[[Any, Any], None]:
    name = getattr(function, "__qualname__", repr(function))

    def step(result: Any, value: Any) -> None:
        if not call_user(function, value, result):
            fail("predicate_failed", value, name=repr(name))

    return step


_STEPS: Final[dict[str, Callable[[str, Any], Callable[[Any, Any], None]]]] = {
    "multiple_of": _comparison("multiple_of", _is_multiple),
    "le": _comparison("less_than_equal", lambda result, limit: result <= limit),
    "lt": _comparison("less_than", lambda result, limit: result < limit),
    "ge": _comparison("greater_than_equal", lambda result, limit: result >= limit),
    "gt": _comparison("greater_than", lambda result, limit: result > limit),
    "min_length": _length,
    "max_length": _length,
    "pattern": _pattern,
    "tz": _zone,
    "func": _predicate,
}
