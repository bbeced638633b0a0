"""What a class body declares: names, annotations and defaults of the fields, read once per class."""

from __future__ import annotations

import copy
import sys
import types
import typing
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, overload

import attrs
import typing_extensions
from typing_extensions import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bubus._types import T

NO_DEFAULT: Final[Any] = attrs.NOTHING
_OPTIMIZED: Final = 0x1  # inspect.CO_OPTIMIZED: set for functions, not for class bodies and modules


@overload
def Field(default: T, /, *, alias: str | None = ..., repr: bool = ...) -> T: ...
@overload
def Field(*, default: T, alias: str | None = ..., repr: bool = ...) -> T: ...
@overload
def Field(*, default_factory: Callable[[], T], alias: str | None = ..., repr: bool = ...) -> T: ...
@overload
def Field(*, alias: str | None = ..., repr: bool = ...) -> Any: ...
def Field(  # noqa: N802 - pydantic's name
    default: Any = NO_DEFAULT,
    *,
    default_factory: Callable[[], Any] | None = None,
    alias: str | None = None,
    repr: bool = True,  # noqa: A002 - pydantic's name
) -> Any:
    """
    Declare a field with more than a plain default.

    Args:
        default: Used when the argument is not given; ``...`` means required.
        default_factory: Called for a default, once per instance.
        alias: Name of the constructor's argument.
        repr: Show the field in the event's repr.
    """
    return attrs.field(
        default=NO_DEFAULT if default is ... else default, factory=default_factory, alias=alias, repr=repr
    )


@attrs.define(slots=True, eq=False)
class Scope:
    """Where the names in a class' annotations are looked up: what it knows by itself, its function, its module."""

    module: str
    own: dict[str, Any]
    frame: types.FrameType | None = None
    """The code that runs the class statement; let go as soon as all names are found."""

    def resolve(self, annotation: Any) -> Any:
        """
        Return *annotation* with every string in it evaluated.

        Raises:
            NameError: If a name does not exist (yet).
        """
        if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
            return annotation
        holder = type("holder", (), {"__annotations__": {"it": annotation}})
        module = sys.modules.get(self.module)
        hints = typing_extensions.get_type_hints(holder, vars(module) if module else {}, self._locals(), True)
        return hints["it"]

    def _locals(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for names in reversed(list(_local_names(self.frame))):
            found.update(names)
        return {**self.own, **found}


def _local_names(frame: types.FrameType | None) -> Iterator[Mapping[str, Any]]:
    """Yield the local names of a class body, of the class bodies around it and of the function around them."""
    while frame is not None and frame.f_locals is not frame.f_globals:
        yield frame.f_locals
        if frame.f_code.co_flags & _OPTIMIZED:
            return
        frame = frame.f_back


def annotations_of(cls: type) -> dict[str, Any]:
    """Return the annotations in the body of *cls*, unevaluated where they are strings."""
    return dict(typing_extensions.get_annotations(cls, format=Format.FORWARDREF))


def is_class_variable(annotation: Any) -> bool:
    """Tell whether *annotation* is a ClassVar, evaluated or not."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        return annotation.removeprefix("typing.").removeprefix("t.").startswith("ClassVar")
    return annotation is ClassVar or typing.get_origin(annotation) is ClassVar


def substitute(annotation: Any, mapping: Mapping[Any, Any]) -> Any:
    """Return *annotation* with type variables replaced as *mapping* says."""
    if isinstance(annotation, TypeVar):
        return mapping.get(annotation, annotation)
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation
    parameters: tuple[Any, ...] = getattr(annotation, "__parameters__", ())
    if not any(parameter in mapping for parameter in parameters):
        return annotation
    return annotation[tuple(mapping.get(parameter, parameter) for parameter in parameters)]


def declare(default: Any) -> Any:
    """Return the attrs field for what stands behind the ``=`` in a class body."""
    if type(default).__name__ == "_CountingAttr" and type(default).__module__.startswith("attr"):
        return default
    return attrs.field(default=own_copy(default))


def own_copy(default: Any) -> Any:
    """Return *default* itself if it cannot change, else a factory that makes a copy per instance."""
    if default in ([], {}, set()) and type(default) in (list, dict, set):
        return attrs.Factory(type(default))
    if type(default).__hash__ is None:
        return attrs.Factory(lambda: copy.deepcopy(default))
    return default
