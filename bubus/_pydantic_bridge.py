"""Annotations as pydantic understands them: what only bubus knows in them is told in pydantic's words."""

from __future__ import annotations

import types
import typing
from collections import abc
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import msgspec
import typing_extensions as te

from bubus._constraints import is_constraint, limited, limits_in
from bubus._faults import Invalid, refuse
from bubus._marks import Limits, ValueSerializer, ValueValidator
from bubus._narrow import arguments_of, attribute, is_class, item_of, method, origin_of
from bubus._pydantic import is_foreign, present
from bubus._types import MISSING

if TYPE_CHECKING:
    from bubus._types import Check

Native: TypeAlias = Callable[[object], object]
"""Returns what is put beside a class of ours in an Annotated, to tell pydantic how to check it; None for nothing."""

_UNION: Final = attribute(typing, "Union")
UNIONS: Final = (_UNION, attribute(types, "UnionType"))
_CALLABLE: Final[object] = abc.Callable
NO_TYPES_INSIDE: Final[tuple[object, ...]] = (typing.Literal, te.Literal, _CALLABLE)
_TEXT: Final = ("strip_whitespace", "to_lower", "to_upper")


def bridged(annotation: object, native: Native) -> object:
    """Return *annotation* with the parts that only bubus knows told to pydantic."""
    origin, arguments = origin_of(annotation), arguments_of(annotation)
    if _is_ours(origin or annotation):
        item = native(annotation)
        return annotation if item is None else typing.Annotated[annotation, item]
    if not arguments or origin in NO_TYPES_INSIDE:
        return annotation
    if origin is typing.Annotated:
        kind, *items = arguments
        return typing.Annotated[bridged(kind, native), *told(items)] if items else bridged(kind, native)
    found = tuple(bridged(argument, native) for argument in arguments)
    if found == arguments:
        return annotation
    return item_of(_UNION if origin in UNIONS else origin, found)


def _is_ours(kind: object) -> bool:
    return is_class(kind) and not is_foreign(kind) and (attrs.has(kind) or issubclass(kind, msgspec.Struct))


def told(items: Iterable[object]) -> Iterator[object]:
    """Yield the items of an Annotated as pydantic understands them."""
    for item in items:
        if isinstance(item, Limits):
            yield from _limits(item)
        elif isinstance(item, ValueValidator):
            yield method(present(), f"{item.mode.title()}Validator")(item.function)
        elif isinstance(item, ValueSerializer):
            yield _serializer(item)
        elif is_constraint(item) and not type(item).__module__.startswith("annotated_types"):
            yield method(present(), "AfterValidator")(raising(limited(lambda value: value, limits_in([item])), "value"))
        else:
            yield item


def _limits(item: Limits) -> Iterator[object]:
    facts: dict[str, object] = attrs.asdict(item, recurse=False)
    said = {name: value for name, value in facts.items() if value is not None}
    text = {name: said.pop(name) for name in _TEXT if name in said}
    if text:
        yield present().StringConstraints(**text)
    if said:
        yield present().Field(**said)


def _serializer(item: ValueSerializer) -> object:
    kind = method(present(), f"{item.mode.title()}Serializer")
    returns = {} if item.return_type is MISSING else {"return_type": item.return_type}
    return kind(item.function, when_used=item.when_used, **returns)


def raising(check: Check, title: str) -> Check:
    """Return *check* with its faults in an error that pydantic takes over."""

    def raises(value: object) -> object:
        try:
            return check(value)
        except Invalid as invalid:
            raise refuse(title, invalid.faults) from None

    return raises
