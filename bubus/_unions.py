"""Unions, literals and enums: values that may be one of several things."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import attrs
import msgspec

from bubus._coerce import lax_float, lax_int, lax_str
from bubus._faults import Fault, Invalid, fail
from bubus._narrow import attribute, is_mapping, kind_of
from bubus._types import MISSING, Check


@attrs.frozen(slots=True, eq=False)
class Member:
    """One type of a union, as it is checked at one level."""

    label: str
    check: Check
    fields: frozenset[str] | None
    """Names of a record's fields: the more of them a dict has, the better the record fits."""


Levels = Sequence[Callable[[], Sequence[Member]]]


def union_check(levels: Levels) -> Check:
    """
    Return a check that takes the member that fits best.

    Args:
        levels: The members, first as they are checked exactly, then with subclasses, then with conversions;
            made when they are first needed.
    """

    def check(value: object) -> object:
        if is_mapping(value) and any(member.fields for member in levels[-1]()):
            return _best_record(levels, value)
        for level in levels:
            found = _first(level(), value)
            if found is not MISSING:
                return found
        raise Invalid(_all_faults(levels[-1](), value))

    return check


def _first(members: Iterable[Member], value: object) -> object:
    for member in members:
        found = _attempt(member, value)
        if found is not MISSING:
            return found
    return MISSING


def _attempt(member: Member, value: object) -> object:
    try:
        return member.check(value)
    except Invalid:
        return MISSING


def _best_record(levels: Levels, value: Mapping[object, object]) -> object:
    """
    Return the result of the member that fits a dict best.

    Between two records the one with more fields in the dict, else the one that is closer, else the first.
    """
    best: object = MISSING
    best_fields, best_level = None, -1
    for position, member in enumerate(levels[-1]()):
        found, level = _closest(levels, position, value)
        if found is MISSING:
            continue
        fields = None if member.fields is None else len(member.fields & value.keys())
        if fields is None and level == len(levels):
            return found
        if best is MISSING or _fits_better(fields, best_fields, level > best_level):
            best, best_fields, best_level = found, fields, level
    if best is MISSING:
        raise Invalid(_all_faults(levels[-1](), value))
    return best


def _fits_better(fields: int | None, best: int | None, closer: bool) -> bool:
    if fields is None or best is None or fields == best:
        return closer
    return fields > best


def _closest(levels: Levels, position: int, value: object) -> tuple[object, int]:
    """Return the result of one member at the first level that takes *value*, and how close that level is."""
    for passed, level in enumerate(levels):
        found = _attempt(level()[position], value)
        if found is not MISSING:
            return found, len(levels) - passed
    return MISSING, 0


def _all_faults(members: Iterable[Member], value: object) -> list[Fault]:
    faults: list[Fault] = []
    for member in members:
        try:
            _ = member.check(value)
        except Invalid as invalid:
            faults += [one.under(member.label) for one in invalid.faults]
    return faults


def optional_check(check: Check) -> Check:
    """Return *check*, but None passes."""
    return lambda value: None if value is None else check(value)


def listing(values: Iterable[object]) -> str:
    """Return ``1, 2 or 3``."""
    words = [repr(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def literal_check(values: Sequence[object], *, written: bool) -> Check:
    """
    Return a check for one of *values*; the value that comes out is the one from the annotation.

    Args:
        values: What the annotation lists.
        written: Whether the check is for what msgspec wrote, where other things stand for members of enums and bytes.
    """
    exact = {(kind_of(value), value): value for value in values}
    equal = dict(_as_written(values)) if written else {}
    equal |= {value: value for value in values}  # of equal ones, such as 1 and True, the last counts
    expected = listing(values)

    def check(value: object) -> object:
        try:
            found = exact.get((kind_of(value), value), MISSING)
            found = equal.get(value, MISSING) if found is MISSING else found
        except TypeError:  # unhashable, so it is none of them
            found = MISSING
        return fail("literal_error", value, expected=expected) if found is MISSING else found

    return check


def _as_written(values: Iterable[object]) -> Iterable[tuple[object, object]]:
    """Yield what msgspec writes for those values that are not written as they are, and the values."""
    for value in values:
        written: object = msgspec.to_builtins(value) if isinstance(value, enum.Enum | bytes) else None
        if isinstance(written, str | int | float):
            yield written, value


_BY_MIXIN: Final[tuple[tuple[type, Check], ...]] = ((int, lax_int), (str, lax_str), (float, lax_float))


def enum_check(kind: type[enum.Enum], *, convert: bool) -> Check:
    """Return a check that takes members and their values, also converted ones if the members are numbers or text."""
    converter = next((check for mixin, check in _BY_MIXIN if convert and issubclass(kind, mixin)), None)
    expected = listing(attribute(member, "value") for member in kind)

    def check(value: object) -> object:
        if isinstance(value, kind):
            return value
        for candidate in _enum_values(value, converter):
            try:
                return kind(candidate)
            except (ValueError, TypeError):
                continue
        return fail("enum", value, expected=expected)

    return check


def _enum_values(value: object, convert: Check | None) -> Iterable[object]:
    yield value
    if convert is not None:
        try:
            yield convert(value)
        except Invalid:
            return


def enum_label(kind: type[enum.Enum]) -> str:
    """Return the name of *kind* in the location of a union's fault."""
    prefix = next((f"{mixin.__name__}-" for mixin, _ in _BY_MIXIN if issubclass(kind, mixin)), "")
    return f"{prefix}enum[{kind.__name__}]"
