"""Limits on values, from msgspec.Meta and annotated-types: each is a check of what the type made of a value."""

from __future__ import annotations

import datetime as dt
import math
import operator
import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from bubus._coerce import any_decimal, number_or_text
from bubus._faults import Fault, Invalid, call_user, fail
from bubus._field_info import FieldInfo
from bubus._foreign import translated
from bubus._marks import ValueSerializer, ValueValidator
from bubus._narrow import attribute, is_class, kind_of
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sized

    from bubus._config import Settings
    from bubus._types import Check

_SOURCES: Final = frozenset({"msgspec", "msgspec._core", "annotated_types", "bubus._marks"})
_FLOAT_SLACK: Final = 1e9  # a float may miss a multiple by a billionth of itself
_COLLECTIONS: Final = {list: "List", tuple: "Tuple", set: "Set", frozenset: "Frozenset", dict: "Dictionary"}


Steps: TypeAlias = dict[str, object]
"""Limits by name; ``func`` is a list."""

Step: TypeAlias = "Callable[..., None]"
"""Checks one limit: takes what the type made of a value, which is of the type that the limit is for, and the value."""


def is_constraint(item: object) -> bool:
    """Tell whether *item*, found in an Annotated, limits values in a way known here."""
    return type(item).__module__ in _SOURCES and not isinstance(item, ValueSerializer | ValueValidator)


def grouped(items: Iterable[object]) -> Iterator[list[object]]:
    """Yield what in the items of an Annotated changes its check: limits that stand together, and single functions."""
    group: list[object] = []
    for item in _opened(items):
        if is_constraint(item):
            group.append(item)
        elif isinstance(item, ValueValidator):
            if group:
                yield group
            yield [item]
            group = []
    if group:
        yield group


def _opened(items: Iterable[object]) -> Iterator[object]:
    """Yield items in the words of bubus, those of a `Field` one by one."""
    for item in map(translated, items):
        if isinstance(item, FieldInfo):
            yield from _opened(item.metadata)
        else:
            yield item


def limits_in(items: Iterable[object]) -> Steps:
    """Return the limits among *items*, in the order they are checked; of several of a name the last one counts."""
    parts = [part for item in items for part in _parts(item)]
    found = {name: getattr(part, name) for part in parts for name in _READ if getattr(part, name, None) is not None}
    if "func" in found:
        found["func"] = [func for part in parts if (func := cast("object", getattr(part, "func", None))) is not None]
    if "max_digits" in found or "decimal_places" in found:
        found["digits"] = (found.get("max_digits"), found.get("decimal_places"))
    return {name: found[name] for name in _NAMES if name in found}


def _parts(item: object) -> Iterable[object]:
    """Return what a group such as annotated_types.Interval consists of, or the item itself."""
    return cast("Iterable[object]", item) if hasattr(item, "__iter__") else [item]


def common_limits(kind: type, settings: Settings) -> Steps:
    """Return the limits that the settings of a class put on all values of a type."""
    found: Steps = {}
    if kind is float and not settings.allow_inf_nan:
        found["allow_inf_nan"] = False
    if kind is str:
        words = {"strip_whitespace", "to_lower", "to_upper", "min_length", "max_length"}
        found = {word: value for word in words if (value := attribute(settings, f"str_{word}"))}
        if settings.coerce_numbers_to_str:
            found["coerce_numbers_to_str"] = True
    return found


def adapted(kind: type, check: Check, limits: Steps, *, convert: bool) -> Check:
    """Return the *check* of a single value as those limits want it that widen it."""
    if kind is str and convert and limits.get("coerce_numbers_to_str"):
        return number_or_text(check)
    if kind is Decimal and limits.get("allow_inf_nan"):
        return any_decimal(check)
    return check


def refuse_useless(owner: str, kind: object, limits: Steps) -> None:
    """
    Refuse limits that no value of a type can have.

    Raises:
        DefinitionError: If there are any.
    """
    fitting = next((words for kinds, words in _FITTING if kind in kinds), None) if is_class(kind) else None
    useless = [] if fitting is None else sorted(limits.keys() - fitting)
    if useless:
        raise DefinitionError(f"{owner}: {', '.join(useless)} cannot limit {attribute(kind, '__name__')}; remove it")


def limited(check: Check, limits: Steps) -> Check:
    """
    Return *check* followed by the checks for *limits*; None is not limited.

    Raises:
        DefinitionError: If a limit is none.
    """
    try:
        steps = [_STEPS[name](name, limit) for name, limit in limits.items() if name in _STEPS]
    except (re.error, TypeError, ArithmeticError) as error:
        raise DefinitionError(f"{limits} are no limits: {error}") from error
    before, after = _changes(limits, _FIRST), _changes(limits, _LAST)

    def limited_check(value: object) -> object:
        result = check(value)
        if result is None:
            return None
        for change in before:
            result = change(result)
        for step in steps:
            step(result, value)
        for change in after:
            result = change(result)
        return result

    return limited_check


_FIRST: Final[dict[str, Callable[..., object]]] = {"strip_whitespace": str.strip}
_LAST: Final[dict[str, Callable[..., object]]] = {"to_lower": str.lower, "to_upper": str.upper}


def _changes(limits: Steps, known: dict[str, Callable[..., object]]) -> list[Callable[..., object]]:
    return [change for name, change in known.items() if limits.get(name)]


_UNITS: Final = (("hour", 3_600_000_000), ("minute", 60_000_000), ("second", 1_000_000))


def _spelled(span: dt.timedelta) -> str:
    """Return a timedelta in words."""
    words = [(span.days, "day")]
    rest = (span.seconds * 1_000_000) + span.microseconds
    for name, size in _UNITS:
        words.append((rest // size, name))
        rest %= size
    words.append((rest, "microsecond"))
    return " and ".join(f"{number} {name}{'s' * (number != 1)}" for number, name in words if number) or "0 seconds"


def _printed(limit: object) -> object:
    if isinstance(limit, dt.timedelta):
        return _spelled(limit)
    return limit.isoformat().replace("+00:00", "Z") if isinstance(limit, dt.date | dt.time) else limit


def _comparison(kind: str, fits: Callable[..., object]) -> Callable[[str, object], Step]:
    def make(name: str, limit: object) -> Step:
        def step(result: object, value: object) -> None:
            try:
                fit = fits(result, limit)
            except TypeError as error:
                raise Invalid([Fault("type_error", f"Type error, {error}", value)]) from error
            if not fit:
                told = result if isinstance(result, dt.timedelta) else value  # as pydantic does
                fail(kind, told, **{name: _printed(limit)})

        return step

    return make


def _is_multiple(result: float, factor: float) -> bool:
    """Tell whether a number, which may be a Decimal, is a multiple of another."""
    if not isinstance(result, float):
        return bool(result % factor == 0)
    rest = abs(result % factor)
    slack = abs(result) / _FLOAT_SLACK
    return bool(rest <= slack or abs(rest - factor) <= slack)


def _length(name: str, limit: int) -> Step:
    short = name == "min_length"

    def step(result: Sized, value: object) -> None:
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


def _pattern(_: str, limit: str | re.Pattern[str]) -> Step:
    expression = re.compile(limit)

    def step(result: str, value: object) -> None:
        if expression.search(result) is None:
            fail("string_pattern_mismatch", value, pattern=expression.pattern)

    return step


def _zone(_: str, aware: object) -> Step:
    def step(result: dt.datetime | dt.time, value: object) -> None:
        if (result.tzinfo is not None) is not bool(aware):
            fail("timezone_aware" if aware else "timezone_naive", value)

    return step


def _predicates(_: str, functions: list[Callable[[object], object]]) -> Step:
    def step(result: object, value: object) -> None:
        for function in functions:
            if not call_user(function, value, result):
                fail("predicate_failed", value, name=repr(getattr(function, "__qualname__", repr(function))))

    return step


def _finite(_: str, allowed: bool) -> Step:
    def step(result: float, value: object) -> None:
        if not allowed and not math.isfinite(result):
            fail("finite_number", value)

    return step


_EXACTLY: Final = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)


def _digits(_: str, limits: tuple[int | None, int | None]) -> Step:
    """Count digits as pydantic does: zeros of an exponent count, those before the first digit do not."""
    most, places = limits

    def step(result: Decimal, value: object) -> None:
        digits, behind = _counted(result)
        if most is not None and digits > most:
            fail("decimal_max_digits", value, max_digits=most)
        if places is not None and behind > places:
            fail("decimal_max_places", value, decimal_places=places)
        if most is not None and places is not None and digits - behind > most - places:
            fail("decimal_whole_digits", value, whole_digits=most - places)

    return step


def _counted(number: Decimal) -> tuple[int, int]:
    """Return how many digits a Decimal has in all, and how many of them behind the point."""
    _, digits, exponent = number.normalize(_EXACTLY).as_tuple()
    if not isinstance(exponent, int):  # it is not finite
        return 0, 0
    behind = max(0, -exponent)
    return max(len(digits) + max(0, exponent), behind), behind


_STEPS: Final[dict[str, Callable[..., Step]]] = {
    "allow_inf_nan": _finite,
    "digits": _digits,
    "multiple_of": _comparison("multiple_of", _is_multiple),
    "le": _comparison("less_than_equal", operator.le),
    "lt": _comparison("less_than", operator.lt),
    "ge": _comparison("greater_than_equal", operator.ge),
    "gt": _comparison("greater_than", operator.gt),
    "min_length": _length,
    "max_length": _length,
    "pattern": _pattern,
    "tz": _zone,
    "func": _predicates,
}
"""How limits are checked, in this order."""

_NAMES: Final = (
    *_STEPS,
    *_FIRST,
    *_LAST,
    *("strict", "coerce_numbers_to_str", "union_mode"),
)

_READ: Final = (*_NAMES, "max_digits", "decimal_places")
_ANY: Final = frozenset({"strict", "func"})
_NUMBER: Final = _ANY | {"multiple_of", "le", "lt", "ge", "gt", "allow_inf_nan"}
_MOMENT: Final = _ANY | {"le", "lt", "ge", "gt", "tz"}
_LENGTH: Final = _ANY | {"min_length", "max_length"}
_FITTING: Final[tuple[tuple[frozenset[object], frozenset[str]], ...]] = (
    (frozenset[object]((int, float, bool)), _NUMBER),
    (frozenset[object]((Decimal,)), _NUMBER | {"digits"}),
    (
        frozenset[object]((str,)),
        _LENGTH | {"pattern", "strip_whitespace", "to_lower", "to_upper", "coerce_numbers_to_str"},
    ),
    (frozenset[object]((bytes,)), _LENGTH),
    (frozenset[object]((dt.date, dt.datetime, dt.time, dt.timedelta)), _MOMENT),
)
"""Which limits there are for a type; no others are checked when the class is made."""
