"""Type variables: what they stand for in a class, and the names of classes made by filling them in."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any, ClassVar, ForwardRef, Generic, Protocol, TypeAlias, TypeVar

from bubus._narrow import is_class

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Bindings: TypeAlias = dict[Any, dict[Any, Any]]
"""For each base of a class what its type variables stand for there."""


def substitute(annotation: Any, mapping: Mapping[Any, Any]) -> Any:
    """Return *annotation* with type variables replaced as *mapping* says."""
    if isinstance(annotation, TypeVar):
        return mapping.get(annotation, annotation)
    if is_class(annotation):
        return annotation
    parameters: tuple[Any, ...] = getattr(annotation, "__parameters__", ())
    if not any(parameter in mapping for parameter in parameters):
        return annotation
    alias: Any = annotation
    return alias[tuple(mapping.get(parameter, parameter) for parameter in parameters)]


def bindings(cls: type, resolve: Callable[[type, Any], Any]) -> Bindings:
    """
    Return what the type variables of each base of *cls* stand for.

    Args:
        cls: The class.
        resolve: Returns a type argument with its strings evaluated where the given class was written.
    """
    found: Bindings = {}
    _bind(cls, {}, resolve, found)
    return found


def _bind(cls: type, scope: Mapping[Any, Any], resolve: Callable[[type, Any], Any], found: Bindings) -> None:
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin: Any = typing.get_origin(base) or base
        if origin in (object, Generic, Protocol) or not is_class(origin):
            continue
        arguments = [substitute(resolve(cls, argument), scope) for argument in typing.get_args(base)]
        mapping = dict(zip(getattr(origin, "__parameters__", ()), arguments, strict=False))
        _bind(origin, found.setdefault(origin, mapping), resolve, found)


def is_concrete(alias: Any) -> bool:
    """Tell whether all type arguments of *alias* are known: no type variable, no name still to be looked up."""
    return not alias.__parameters__ and not any(map(_has_names, typing.get_args(alias)))


def _has_names(argument: Any) -> bool:
    if isinstance(argument, str | ForwardRef):
        return True
    origin = typing.get_origin(argument)
    if origin is typing.Literal:
        return False
    arguments = typing.get_args(argument)
    return any(map(_has_names, arguments[:1] if origin is typing.Annotated else arguments))


def name_of(annotation: Any) -> str:
    """Return a short name for a type argument."""
    if is_class(annotation):
        return str(annotation.__qualname__)
    return repr(annotation).replace("typing.", "")


def is_class_variable(annotation: Any, *, has_default: bool) -> bool:
    """Tell whether *annotation*, evaluated or not, is a ClassVar, or a Final whose value stands in the class body."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        name = annotation.partition("[")[0].rpartition(".")[2].strip()
        return name == "ClassVar" or (has_default and name == "Final")
    kind = typing.get_origin(annotation) or annotation
    return kind is ClassVar or (has_default and kind is typing.Final)
