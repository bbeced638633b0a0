"""Lists, sets, tuples and mappings: checks made of the checks for their parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, TypeGuard, cast

import msgspec

from bubus._faults import Collector, Invalid, fail, fault
from bubus._narrow import convert, kind_of

if TYPE_CHECKING:
    from bubus._types import Check

_NO_LIST: Final = (str, bytes, bytearray, Mapping)

_KEPT: Final[dict[type, Callable[[list[object]], object]]] = {tuple: tuple, deque: deque}
"""Classes of sequences that stay what they are."""

Accepts: TypeAlias = Callable[[object], TypeGuard[Iterable[object]]]
"""Tells whether a value counts as the container."""

AcceptsMapping: TypeAlias = Callable[[object], TypeGuard[Mapping[object, object]]]
"""Tells whether a value counts as the dict."""


def accepts_iterable(value: object) -> TypeGuard[Iterable[object]]:
    """Tell whether lax mode takes *value* for a list, set or tuple."""
    return isinstance(value, Iterable) and not isinstance(value, _NO_LIST)


def accepts_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    """Tell whether lax mode takes *value* for a dict."""
    return isinstance(value, Mapping)


def accepts_only(*types: type[Iterable[object]]) -> Accepts:
    """Return a test for instances of *types* (strict mode)."""

    def accepts(value: object) -> TypeGuard[Iterable[object]]:
        return isinstance(value, types)

    return accepts


def accepts_exactly(*types: type[Iterable[object]]) -> Accepts:
    """Return a test for instances of *types* themselves, without their subclasses."""

    def accepts(value: object) -> TypeGuard[Iterable[object]]:
        return type(value) in types

    return accepts


def accepts_dict(value: object) -> TypeGuard[Mapping[object, object]]:
    """Tell whether strict mode takes *value* for a dict."""
    return isinstance(value, dict)


def accepts_exact_dict(value: object) -> TypeGuard[Mapping[object, object]]:
    """Tell whether *value* is a dict of no subclass."""
    return type(value) is dict


def listed(value: Iterable[object]) -> list[object]:
    """
    Return the items of *value*.

    Raises:
        Invalid: If it cannot be iterated over after all.
    """
    try:
        return list(value)
    except Exception as error:
        raise Invalid([fault("iteration_error", value, error=f"{type(error).__name__}: {error}")]) from error


def paired(value: Mapping[object, object]) -> dict[object, object]:
    """
    Return the items of *value*.

    Raises:
        Invalid: If it is no mapping after all.
    """
    try:
        return dict(value)
    except Exception as error:
        raise Invalid([fault("mapping_type", value, error=f"{type(error).__name__}: {error}")]) from error


def each(item: Check, values: Sequence[object]) -> list[object]:
    """
    Return what *item* makes of each value.

    Raises:
        Invalid: With the faults of all values.
    """
    try:
        return [item(value) for value in values]
    except Invalid:
        faults = Collector()
        results = [faults.run(item, value, index) for index, value in enumerate(values)]
        faults.close()
        return results


def collection_check(kind: str, accepts: Accepts, build: Callable[[list[object]], object], item: Check | None) -> Check:
    """Return a check for a list, set, frozenset, deque or tuple of any length."""

    def check(value: object) -> object:
        if not accepts(value):
            fail(kind, value)
        values = listed(value)
        return build(values if item is None else each(item, values))

    return check


def set_maker(kind: Callable[[list[object]], object]) -> Callable[[list[object]], object]:
    """Return *kind*, with a fault instead of a TypeError for an item that cannot be in a set."""

    def make(items: list[object]) -> object:
        try:
            return kind(items)
        except TypeError:
            faults = Collector()
            for index, item in enumerate(items):
                _ = faults.run(_hashable, item, index)
            faults.close()
            raise

    return make


def _hashable(item: object) -> None:
    try:
        _ = hash(item)
    except TypeError:
        fail("set_item_not_hashable", item)


def tuple_check(accepts: Accepts, items: Sequence[Check]) -> Check:
    """Return a check for a tuple of fixed length."""
    expected = len(items)

    def check(value: object) -> object:
        if not accepts(value):
            fail("tuple_type", value)
        values = listed(value)
        if len(values) > expected:
            fail("too_long", value, field_type="Tuple", max_length=expected, actual_length=len(values))
        faults = Collector()
        results = [faults.run(item, part, index) for index, (item, part) in enumerate(zip(items, values, strict=False))]
        for index in range(len(values), expected):
            faults.add(fault("missing", value), index)
        faults.close()
        return tuple(results)

    return check


def sequence_check(kind: type, item: Check | None) -> Check:
    """Return a check for an abstract sequence or iterable; tuples and deques keep their type, others become lists."""

    def check(value: object) -> object:
        own = kind_of(value)
        if issubclass(own, (str, bytes)):
            fail("sequence_str", value, type_name=own.__name__)
        if not issubclass(own, kind) or issubclass(own, Mapping):
            fail("is_instance_of", value, **{"class": kind.__name__})
        values = listed(cast("Iterable[object]", value))
        make = _KEPT.get(own, list)
        return make(values if item is None else each(item, values))

    return check


def subclass_check(kinds: tuple[type, ...]) -> Check:
    """Return a check for classes, of one of *kinds* if any are given."""

    def check(value: object) -> object:
        if not kinds:
            return value if isinstance(value, type) else fail("is_type", value)
        if isinstance(value, type) and issubclass(value, kinds):
            return value
        return fail("is_subclass_of", value, **{"class": " or ".join(kind.__name__ for kind in kinds)})

    return check


def mapping_check(
    kind: str,
    accepts: AcceptsMapping,
    build: Callable[[dict[object, object]], object],
    key: Check | None,
    item: Check | None,
) -> Check:
    """Return a check for a dict and its relatives."""

    def check(value: object) -> object:
        if not accepts(value):
            fail(kind, value)
        pairs = paired(value)
        return build(pairs if key is None and item is None else _each_pair(key or _same, item or _same, pairs))

    return check


def _same(value: object) -> object:
    return value


def _each_pair(key: Check, item: Check, pairs: Mapping[object, object]) -> dict[object, object]:
    try:
        return {key(name): item(value) for name, value in pairs.items()}
    except Invalid:
        faults = Collector()
        results = {
            faults.run(key, name, _part(name), "[key]"): faults.run(item, value, _part(name))
            for name, value in pairs.items()
        }
        faults.close()
        return results


def _part(name: object) -> int | str:
    return int(name) if isinstance(name, int) else str(name)


def msgspec_first(exact: type, annotation: object, slow: Check) -> Check:
    """Return a check that lets msgspec try *annotation* in C; what it does not take goes to *slow*."""

    def check(value: object) -> object:
        if type(value) is exact:
            try:
                return convert(value, annotation)
            except msgspec.ValidationError:
                return slow(value)
        return slow(value)

    return check
