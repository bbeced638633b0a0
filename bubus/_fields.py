"""What a class body declares: the names, annotations and defaults of fields, as they are written."""

from __future__ import annotations

import copy
import dataclasses
import keyword
import sys
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeAlias, overload

import attrs
import typing_extensions as te

from bubus._generics import is_class_variable
from bubus._narrow import is_class, kind_of
from bubus._types import MISSING
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bubus._types import T

FieldSource: TypeAlias = Any
"""What `attrs.field` returns: an object private to attrs, made into an `attrs.Attribute` by it."""

ALIAS: Final = "bubus.alias"
"""Key in a field's metadata: the alias as it was given, which attrs may not be able to use."""

RESERVED_PREFIXES: Final = ("event_", "model_")
_NOT_FIELDS: Final = frozenset({"model_config", "event_result_type"})
_EMPTY: Final[dict[type, Callable[[], Any]]] = {list: list, dict: dict, set: set}
_OPTIMIZED: Final = 0x1  # inspect.CO_OPTIMIZED: set for functions, not for class bodies and modules
_UNDECLARED: Final = (object, Generic, Protocol)
_SOURCE_TYPE: Final = kind_of(attrs.field())  # attrs does not name it


@overload
def Field(default: T, /, *, alias: str | None = ..., repr: bool = ...) -> T: ...
@overload
def Field(*, default: T, alias: str | None = ..., repr: bool = ...) -> T: ...
@overload
def Field(*, default_factory: Callable[[], T], alias: str | None = ..., repr: bool = ...) -> T: ...
@overload
def Field(*, alias: str | None = ..., repr: bool = ...) -> Any: ...
def Field(  # noqa: N802 - pydantic's name
    default: Any = attrs.NOTHING,
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
    if default_factory is not None:
        default = attrs.Factory(default_factory)
    usable = alias if alias and alias.isidentifier() and not keyword.iskeyword(alias) else None
    return attrs.field(
        default=attrs.NOTHING if default is ... else default, alias=usable, repr=repr, metadata={ALIAS: alias}
    )


class UnknownName(NameError):  # noqa: N818 - says what is wrong
    """A name in an annotation does not exist, or not yet."""


def evaluated(
    kind: Any, global_names: dict[str, Any] | None = None, local_names: dict[str, Any] | None = None
) -> dict[str, Any]:
    """
    Return the annotations of a class with every string in them evaluated.

    Raises:
        UnknownName: If a name does not exist (yet).
    """
    try:
        return te.get_type_hints(kind, global_names, local_names, include_extras=True)
    except NameError as error:
        raise UnknownName(str(error)) from None


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
            UnknownName: If a name does not exist (yet).
        """
        if is_class(annotation) or annotation is None:
            return annotation
        holder = type("holder", (), {"__annotations__": {"it": annotation}})
        module = sys.modules.get(self.module)
        names: dict[str, Any] = dict(vars(module)) if module else {}
        return evaluated(holder, names, self._locals())["it"]

    def _locals(self) -> dict[str, Any]:
        found = dict(self.own)
        for names in reversed(list(_local_names(self.frame))):
            found.update(names)
        return found


def _local_names(frame: types.FrameType | None) -> Iterator[Mapping[str, Any]]:
    """Yield the local names of a class body, of the class bodies around it and of the function around them."""
    while frame is not None and frame.f_locals is not frame.f_globals:
        yield frame.f_locals
        if frame.f_code.co_flags & _OPTIMIZED:
            return
        frame = frame.f_back


@attrs.frozen(slots=True, eq=False)
class Declaration:
    """One field as a class body declares it."""

    name: str
    annotation: Any
    """Unevaluated where it is a string; MISSING if only the default of an inherited field is replaced."""

    source: FieldSource


def declarations(cls: type, namespace: Mapping[str, Any], inherited: frozenset[str]) -> dict[str, Declaration]:
    """
    Return the fields that the body of *cls* declares, and those of its plain mixins.

    Raises:
        DefinitionError: If a name is reserved, private, or no field is meant.
    """
    found = {one.name: one for base in reversed(cls.__mro__[1:]) for one in _mixed_in(base, inherited)}
    annotations = te.get_annotations(cls, format=te.Format.FORWARDREF)
    for name, annotation in annotations.items():
        if _is_field(name, annotation, namespace):
            _refuse_name(cls, name, inherited)
            found[name] = Declaration(name, annotation, source_of(namespace.get(name, MISSING)))
    for name, value in namespace.items():
        if name not in annotations and _replaces_default(cls, name, value, inherited):
            found[name] = Declaration(name, MISSING, source_of(value))
    return found


def _is_field(name: str, annotation: Any, namespace: Mapping[str, Any]) -> bool:
    if name.startswith("_") or name in _NOT_FIELDS:
        return False
    return not is_class_variable(annotation, has_default=name in namespace)


def _refuse_name(cls: type, name: str, inherited: frozenset[str]) -> None:
    if name.startswith(RESERVED_PREFIXES) and name not in inherited:
        raise DefinitionError(
            f"{cls.__qualname__}.{name}: names that begin with event_ or model_ are kept for bubus; rename the field"
        )
    if name == "self":
        raise DefinitionError(f"{cls.__qualname__}.self: a field cannot be called like the event itself; rename it")


def _replaces_default(cls: type, name: str, value: object, inherited: frozenset[str]) -> bool:
    if name in inherited:
        if hasattr(type(value), "__get__"):
            raise DefinitionError(f"{cls.__qualname__}.{name} would hide a field of that name; rename it")
        return True
    if isinstance(value, _SOURCE_TYPE):
        raise DefinitionError(f"{cls.__qualname__}.{name} has no annotation; write `{name}: <type> = …`")
    return False


def _mixed_in(base: Any, inherited: frozenset[str]) -> Iterable[Declaration]:
    """Yield the fields of a base that is neither an event nor an attrs class: attrs would not see them."""
    if (
        base in _UNDECLARED
        or attrs.has(base)
        or getattr(base, "_is_protocol", False)
        or "__event_blueprint__" in base.__dict__
    ):
        return
    for name, annotation in te.get_annotations(base, format=te.Format.FORWARDREF).items():
        if name not in inherited and _is_field(name, annotation, base.__dict__):
            yield Declaration(name, annotation, source_of(_mixed_in_default(base, name)))


def _mixed_in_default(base: Any, name: str) -> Any:
    if not dataclasses.is_dataclass(base):
        return base.__dict__.get(name, MISSING)
    field = next((field for field in dataclasses.fields(base) if field.name == name), None)
    if field is None:
        return MISSING
    if field.default_factory is not dataclasses.MISSING:
        return attrs.field(factory=field.default_factory)
    return MISSING if field.default is dataclasses.MISSING else field.default


def source_of(default: Any) -> FieldSource:
    """Return the attrs field for what stands behind the ``=`` in a class body."""
    if isinstance(default, _SOURCE_TYPE):
        return default
    return attrs.field() if default is MISSING else attrs.field(default=default)


def own_copy(default: Any) -> Any:
    """Return *default* itself if it cannot change, else a factory that makes a copy per instance."""
    if isinstance(default, Hashable):
        return default
    make = _EMPTY.get(kind_of(default))
    return attrs.Factory(lambda: copy.deepcopy(default)) if make is None or default else attrs.Factory(make)
