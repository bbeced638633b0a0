"""Type variables: what they stand for in a class, and the names of classes made by filling them in."""

from __future__ import annotations

import types
import typing
from typing import TYPE_CHECKING, ClassVar, Final, ForwardRef, Generic, Protocol, TypeAlias, TypeVar, cast

import typing_extensions as te

from bubus._narrow import arguments_of, attribute, bare, is_class, item_of, namespace_of, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Bindings: TypeAlias = dict[object, dict[object, object]]
"""For each base of a class what its type variables stand for there."""

_ROOTS: Final = frozenset[object]((object, Generic, Protocol))

UNION: Final[object] = attribute(typing, "Union")
"""The older spelling of ``|``, which annotations may have."""

SELF: Final[object] = attribute(typing, "Self")
UNIONS: Final = frozenset[object]((UNION, types.UnionType))
LITERALS: Final = frozenset[object]((typing.Literal, te.Literal))
WRAPPERS: Final = frozenset[object](
    (te.Required, te.NotRequired, te.ReadOnly, typing.Final, typing.Required, typing.NotRequired)
)
"""What only says something of a field and not of its values."""


def substitute(annotation: object, mapping: Mapping[object, object]) -> object:
    """Return *annotation* with type variables replaced as *mapping* says."""
    if isinstance(annotation, TypeVar):
        return mapping.get(annotation, annotation)
    if is_class(annotation):
        return annotation
    parameters = parameters_of(annotation)
    if not any(parameter in mapping for parameter in parameters):
        return annotation
    return item_of(annotation, tuple(mapping.get(parameter, parameter) for parameter in parameters))


def with_self(annotation: object, cls: type) -> object:
    """Return *annotation* with *cls* in place of ``Self``."""
    if annotation is SELF:
        return cls
    origin, arguments = origin_of(annotation), arguments_of(annotation)
    if origin in LITERALS or not arguments:
        return annotation
    filled = tuple(with_self(argument, cls) for argument in arguments)
    if all(one is other for one, other in zip(filled, arguments, strict=True)):
        return annotation
    return item_of(UNION if origin in UNIONS else origin, filled[0] if len(filled) == 1 else filled)


def parameters_of(annotation: object) -> tuple[object, ...]:
    """Return the type variables of an annotation."""
    found: tuple[object, ...] = getattr(annotation, "__parameters__", ())
    return found


def mapping_of(origin: object, arguments: Iterable[object]) -> dict[object, object]:
    """Return what the type variables of a generic class stand for when *arguments* are in its brackets."""
    return dict(zip(parameters_of(origin), arguments, strict=False))


def bindings(cls: type, resolve: Callable[[type, object], object]) -> Bindings:
    """
    Return what the type variables of each base of *cls* stand for.

    Args:
        cls: The class.
        resolve: Returns a type argument with its strings evaluated where the given class was written.
    """
    found: Bindings = {}
    _bind(cls, {}, resolve, found)
    return found


def _bind(
    cls: type, scope: Mapping[object, object], resolve: Callable[[type, object], object], found: Bindings
) -> None:
    for base in cast("tuple[object, ...]", namespace_of(cls).get("__orig_bases__", cls.__bases__)):
        origin = bare(base)
        if origin in _ROOTS or not is_class(origin):
            continue
        arguments = [substitute(resolve(cls, argument), scope) for argument in arguments_of(base)]
        _bind(origin, found.setdefault(origin, mapping_of(origin, arguments)), resolve, found)


def is_concrete(alias: object) -> bool:
    """Tell whether all type arguments of *alias* are known: no type variable, no name still to be looked up."""
    return not parameters_of(alias) and not any(map(_has_names, arguments_of(alias)))


def _has_names(argument: object) -> bool:
    if isinstance(argument, str | ForwardRef):
        return True
    origin = origin_of(argument)
    if origin is typing.Literal:
        return False
    arguments = arguments_of(argument)
    return any(map(_has_names, arguments[:1] if origin is typing.Annotated else arguments))


def name_of(annotation: object) -> str:
    """Return a short name for a type argument."""
    if is_class(annotation):
        return str(annotation.__qualname__)
    return repr(annotation).replace("typing.", "")


def is_class_variable(annotation: object, *, has_default: bool) -> bool:
    """Tell whether *annotation*, evaluated or not, is a ClassVar, or a Final whose value stands in the class body."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        name = annotation.partition("[")[0].rpartition(".")[2].strip()
        return name == "ClassVar" or (has_default and name == "Final")
    kind = bare(annotation)
    return kind is ClassVar or (has_default and kind is typing.Final)
