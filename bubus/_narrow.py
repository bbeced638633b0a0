"""
Tests of type that tell type checkers what they mean, and ways to ask whose answers are not `Any`.

A bare `isinstance` leaves the parts of a container unknown. What stands here for a function of another library is that
function itself, with the type that it should have.
"""

from __future__ import annotations

import dataclasses
import inspect
import operator
import typing
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeGuard, cast

import attrs
import msgspec
from typing_extensions import TypeAliasType, TypeIs

if typing.TYPE_CHECKING:
    from bubus._types import T

attribute: Final[Callable[[object, str], object]] = getattr
"""Returns an attribute by name, of which nothing is known."""

item_of: Final = cast("Callable[[object, object], object]", operator.getitem)
"""Returns what a container has for a key, or an annotation with something in its brackets."""

static_attribute: Final[Callable[[object, str], object]] = inspect.getattr_static
"""Returns an attribute by name as it stands in the class, without asking it for the value."""

method: Final[Callable[[object, str], Callable[..., object]]] = getattr
"""Returns a method by name."""

namespace_of: Final[Callable[[object], Mapping[str, object]]] = vars
"""Returns the attributes of a class or an object itself, by name."""

arguments_of: Final[Callable[[object], tuple[object, ...]]] = typing.get_args
"""Returns what stands in the brackets of an annotation."""

TYPE_ALIASES: Final[tuple[type, ...]] = (TypeAliasType, getattr(typing, "TypeAliasType", TypeAliasType))
"""The class of what ``type X = …`` makes, and the one that does the same in older Pythons."""

origin_of: Final[Callable[[object], object]] = typing.get_origin
"""Returns what stands before the brackets of an annotation, None if it has none."""

attrs_fields: Final[Callable[[type], tuple[attrs.Attribute[object], ...]]] = attrs.fields
"""Returns the fields of an attrs class."""

is_dataclass: Final[Callable[[object], bool]] = dataclasses.is_dataclass

dataclass_fields: Final = cast("Callable[[type], tuple[dataclasses.Field[object], ...]]", dataclasses.fields)
"""Returns the fields of a dataclass."""

to_builtins: Final[Callable[..., object]] = msgspec.to_builtins
"""Returns what msgspec would write, as plain objects."""

convert: Final[Callable[..., object]] = msgspec.convert
"""Returns an object as an instance of a type."""


def made(kind: Callable[..., T], facts: Mapping[str, object]) -> T:
    """Return what *kind* makes of arguments whose types are known to be right."""
    return kind(**facts)


def remade(kind: Callable[..., object], *arguments: object) -> object:
    """Return an instance of a class whose constructor is known to take *arguments*."""
    return kind(*arguments)


class Factory(Protocol):
    """What `attrs.Factory` returns, which is a class typed as a function."""

    @property
    def factory(self) -> Callable[..., object]:
        """Makes the default; takes the instance if *takes_self*, else nothing."""
        ...

    @property
    def takes_self(self) -> bool: ...


_FACTORY: Final[type[object]] = type(attrs.Factory(object))


def is_dataclass_field(default: object) -> TypeIs[dataclasses.Field[object]]:
    """Tell whether a default is what `dataclasses.field` returns."""
    return isinstance(default, dataclasses.Field)


def is_type_alias(value: object) -> TypeIs[TypeAliasType]:
    """Tell whether *value* is what ``type X = …`` makes."""
    return isinstance(value, TYPE_ALIASES)


def is_factory(default: object) -> TypeIs[Factory]:
    """Tell whether the default of an attrs field is made for each instance."""
    return isinstance(default, _FACTORY)


def kind_of(value: object) -> type[object]:
    """Return the class of *value*."""
    return type(value)


def bare(annotation: object) -> object:
    """Return what stands before the brackets of an annotation, which is all of it if it has none."""
    return origin_of(annotation) or annotation


def is_mapping(value: object) -> TypeIs[Mapping[object, object]]:
    """Tell whether *value* is a mapping."""
    return isinstance(value, Mapping)


def is_dict(value: object) -> TypeIs[dict[object, object]]:
    """Tell whether *value* is a dict."""
    return isinstance(value, dict)


def is_list_or_tuple(value: object) -> TypeIs[list[object] | tuple[object, ...]]:
    """Tell whether *value* is a list or a tuple."""
    return isinstance(value, list | tuple)


def is_named_tuple(kind: object) -> TypeGuard[type[tuple[object, ...]]]:
    """Tell whether *kind* is a NamedTuple."""
    return is_class(kind) and hasattr(kind, "_fields") and issubclass(kind, tuple)


def is_class(annotation: object) -> TypeIs[type[object]]:
    """Tell whether *annotation* is a class, and not something like ``list[int]``."""
    return isinstance(annotation, type) and not hasattr(annotation, "__origin__")


def is_checkable(kind: type) -> bool:
    """Tell whether `isinstance` takes *kind*: it refuses most protocols, and TypedDicts."""
    try:
        _ = isinstance(None, kind)
    except TypeError:
        return False
    return True
