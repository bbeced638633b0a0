"""Annotations as pydantic understands them: what only bubus knows in them is told in pydantic's words."""

from __future__ import annotations

import types
import typing
from collections import abc
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import msgspec
import typing_extensions as te

from bubus._constraints import is_constraint, limited, limits_in
from bubus._faults import Invalid, refuse
from bubus._marks import Limits, ValueSerializer, ValueValidator
from bubus._narrow import is_class
from bubus._pydantic import is_foreign, present
from bubus._types import MISSING

if TYPE_CHECKING:
    from bubus._types import Check

Native: TypeAlias = Callable[[Any], Any]
"""Returns what is put beside a class of ours in an Annotated, to tell pydantic how to check it; None for nothing."""

UNIONS: Final = (typing.Union, types.UnionType)
_CALLABLE: Final[Any] = abc.Callable
NO_TYPES_INSIDE: Final[tuple[Any, ...]] = (typing.Literal, te.Literal, _CALLABLE)
_TEXT: Final = ("strip_whitespace", "to_lower", "to_upper")


def bridged(annotation: Any, native: Native) -> Any:
    """Return *annotation* with the parts that only bubus knows told to pydantic."""
    origin: Any = typing.get_origin(annotation)
    arguments: tuple[Any, ...] = typing.get_args(annotation)
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
    return typing.Union[found] if origin in UNIONS else origin[found]  # noqa: UP007 - not known before run time


def _is_ours(kind: Any) -> bool:
    return is_class(kind) and not is_foreign(kind) and (attrs.has(kind) or issubclass(kind, msgspec.Struct))


def told(items: Iterable[Any]) -> Iterator[Any]:
    """Yield the items of an Annotated as pydantic understands them."""
    for item in items:
        if isinstance(item, Limits):
            yield from _limits(item)
        elif isinstance(item, ValueValidator):
            yield getattr(present(), f"{item.mode.title()}Validator")(item.function)
        elif isinstance(item, ValueSerializer):
            yield _serializer(item)
        elif is_constraint(item) and not type(item).__module__.startswith("annotated_types"):
            yield present().AfterValidator(raising(limited(lambda value: value, limits_in([item])), "value"))
        else:
            yield item


def _limits(item: Limits) -> Iterator[Any]:
    said = {name: value for name, value in attrs.asdict(item, recurse=False).items() if value is not None}
    text = {name: said.pop(name) for name in _TEXT if name in said}
    if text:
        yield present().StringConstraints(**text)
    if said:
        yield present().Field(**said)


def _serializer(item: ValueSerializer) -> Any:
    kind = getattr(present(), f"{item.mode.title()}Serializer")
    returns = {} if item.return_type is MISSING else {"return_type": item.return_type}
    return kind(item.function, when_used=item.when_used, **returns)


def raising(check: Check, title: str) -> Check:
    """Return *check* with its faults in an error that pydantic takes over."""

    def raises(value: Any) -> Any:
        try:
            return check(value)
        except Invalid as invalid:
            raise refuse(title, invalid.faults) from None

    return raises
