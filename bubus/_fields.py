"""What a class body declares: the names, annotations and defaults of fields, as they are written."""

from __future__ import annotations

import copy
import dataclasses
import keyword
import sys
import types
from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeAlias, cast

import attrs
import typing_extensions as te

from bubus._field_info import FieldInfo
from bubus._foreign import translated
from bubus._generics import is_class_variable, substitute
from bubus._hints import hint
from bubus._narrow import (
    arguments_of,
    attribute,
    bare,
    dataclass_fields,
    is_class,
    is_dataclass,
    is_dataclass_field,
    is_factory,
    kind_of,
    namespace_of,
)
from bubus._types import MISSING
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

FieldSource: TypeAlias = object
"""What `attrs.field` returns: an object private to attrs, made into an `attrs.Attribute` by it."""

RESERVED_PREFIXES: Final = ("event_", "model_")
_NOT_FIELDS: Final = frozenset({"model_config", "event_result_type"})
_EMPTY: Final[dict[type, Callable[[], object]]] = {list: list, dict: dict, set: set}
_OPTIMIZED: Final = 0x1  # inspect.CO_OPTIMIZED: set for functions, not for class bodies and modules
_OF_TYPE_FORMS: Final = frozenset({"types", "typing", "typing_extensions"})
"""Where the classes of ``int | None``, ``Literal["a"]`` and type variables come from."""

_UNDECLARED: Final[tuple[object, ...]] = (object, Generic, Protocol)
_attrs_field: Final[Callable[..., object]] = attrs.field
_SOURCE_TYPE: Final = kind_of(_attrs_field())  # attrs does not name it


class UnknownName(NameError):  # noqa: N818 - says what is wrong
    """A name in an annotation does not exist, or not yet."""


def evaluated(
    kind: object, global_names: dict[str, object] | None = None, local_names: dict[str, object] | None = None
) -> dict[str, object]:
    """
    Return the annotations of a class with every string in them evaluated.

    Raises:
        UnknownName: If a name does not exist (yet).
    """
    try:
        return te.get_type_hints(kind, global_names, local_names, include_extras=True)
    except (NameError, AttributeError) as error:  # the latter of a module that is just being imported
        raise UnknownName(str(error)) from None


@attrs.define(slots=True, eq=False)
class Scope:
    """Where the names in a class' annotations are looked up: what it knows by itself, its function, its module."""

    module: str
    own: dict[str, object]
    frame: types.FrameType | None = None
    """The code that runs the class statement; let go as soon as all names are found."""

    body: Mapping[str, object] = attrs.Factory(dict[str, object])
    """The types in the class body itself."""

    def resolve(self, annotation: object, module: str | None = None) -> object:
        """
        Return *annotation* with every string in it evaluated.

        Args:
            annotation: It, as it is written.
            module: Where it is written, if that is another module than the class'.

        Raises:
            UnknownName: If a name does not exist (yet).
        """
        if is_class(annotation) or annotation is None:
            return annotation
        holder = type("holder", (), {"__annotations__": {"it": annotation}})
        names: dict[str, object] = {}
        for one in (self.module, module):
            names |= vars(sys.modules[one]) if one in sys.modules else {}
        return evaluated(holder, names, self._locals())["it"]

    def _locals(self) -> dict[str, object]:
        found = dict(self.own)
        for names in reversed(list(_local_names(self.frame))):
            found.update(names)
        found.update(self.body)
        return found


def alias_value(annotation: object) -> object:
    """
    Return what a named type stands for, with what *annotation* fills in; it may contain its name.

    Raises:
        UnknownName: If another name in it does not exist (yet).
    """
    alias = cast("te.TypeAliasType", bare(annotation))
    try:
        value = attribute(alias, "__value__")
    except NameError as error:  # Python's own looks its names up now
        raise UnknownName(str(error)) from None
    value = Scope(alias.__module__ or "", {alias.__name__: alias}).resolve(value)
    return substitute(value, dict(zip(alias.__type_params__, arguments_of(annotation), strict=False)))


def _local_names(frame: types.FrameType | None) -> Iterator[Mapping[str, object]]:
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
    annotation: object
    """Unevaluated where it is a string; MISSING if only the default of an inherited field is replaced."""

    source: FieldSource
    """What attrs makes its attribute from."""

    info: FieldInfo | None = None
    """What stands behind the ``=``; None if nothing does, or a field of attrs."""

    module: str | None = None
    """Where a mixin declares it, whose names its annotation uses; None if the class itself does."""


def declared(name: str, annotation: object, default: object, module: str | None = None) -> Declaration:
    """Return the declaration of a field with what stands behind the ``=``, MISSING if nothing does."""
    if is_dataclass_field(default):
        default = _of_dataclass(default)
    info = info_of(default)
    return Declaration(name, annotation, source_of(default if info is None else info), info, module)


def declarations(cls: type, namespace: Mapping[str, object], inherited: frozenset[str]) -> dict[str, Declaration]:
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
            found[name] = declared(name, annotation, namespace.get(name, MISSING))
        elif name in inherited:
            raise DefinitionError(
                f"{cls.__qualname__}.{name} is a field in a base, and cannot become a class variable; give it another "
                + f"default, `{name}: <type> = …`, or rename it"
            )
    for name, value in namespace.items():
        if name not in annotations and _replaces_default(cls, name, value, inherited):
            found[name] = declared(name, MISSING, value)
    return found


def _is_field(name: str, annotation: object, namespace: Mapping[str, object]) -> bool:
    if name.startswith("_") or name in _NOT_FIELDS:
        return False
    return not is_class_variable(annotation, has_default=name in namespace)


def _refuse_name(cls: type, name: str, inherited: frozenset[str]) -> None:
    if name.startswith(RESERVED_PREFIXES) and name not in inherited:
        raise DefinitionError(
            f"{cls.__qualname__}.{name}: names that begin with event_ or model_ are kept for bubus; rename the field"
            + hint(name, inherited)
        )
    if not name.isidentifier() or keyword.iskeyword(name):
        raise DefinitionError(
            f"{cls.__qualname__}: no attribute can be called {name!r}; rename the field, with Field(alias={name!r})"
        )
    if name == "self":
        raise DefinitionError(f"{cls.__qualname__}.self: a field cannot be called like the event itself; rename it")


def refuse_hidden(cls: type, names: Iterable[str]) -> None:
    """
    Refuse fields whose values could not be kept in the ``__dict__`` of events.

    Raises:
        DefinitionError: If the class has a property, a slot or the like of that name.
    """
    for name in names:
        owner = next((base for base in cls.__mro__ if name in base.__dict__), None)
        if owner is not None and hasattr(type(namespace_of(owner)[name]), "__set__"):
            raise DefinitionError(
                f"{cls.__qualname__}.{name}: a property or slot of {owner.__qualname__} would hide this field, as "
                + "events keep theirs in their __dict__; rename one of the two, or leave out the __slots__"
            )


def types_in(namespace: Mapping[str, object]) -> dict[str, object]:
    """Return the types in a class body, which its annotations may name."""
    return {name: value for name, value in namespace.items() if is_class(value) or _is_type_form(value)}


def _replaces_default(cls: type, name: str, value: object, inherited: frozenset[str]) -> bool:
    if name in inherited:
        if hasattr(type(value), "__get__"):
            raise DefinitionError(f"{cls.__qualname__}.{name} would hide a field of that name; rename it")
        return True
    if isinstance(value, _SOURCE_TYPE | FieldInfo):
        raise DefinitionError(f"{cls.__qualname__}.{name} has no annotation; write `{name}: <type> = …`")
    if name.startswith(RESERVED_PREFIXES) and not _is_method(value) and not _is_known(cls, name):
        raise DefinitionError(
            f"{cls.__qualname__}.{name} sets nothing that events have, and names that begin with event_ or model_ are "
            + f"kept for bubus; rename it{hint(name, inherited)}"
        )
    if not name.startswith("_") and _is_data(value) and not _is_known(cls, name):
        raise DefinitionError(
            f"{cls.__qualname__}.{name} has no annotation: write `{name}: <type> = …` for a field, and "
            + f"`{name}: ClassVar = …` for what all events of the class have in common"
        )
    return False


def _is_known(cls: type, name: str) -> bool:
    """Tell whether a base has an attribute of that name, which may be a setting of it."""
    return any(hasattr(base, name) for base in cls.__bases__)


def _is_data(value: object) -> bool:
    """Tell whether a value may be meant as the default of a field: it is no function, type or module."""
    return not (_is_method(value) or isinstance(value, types.ModuleType) or _is_type_form(value))


def _is_type_form(value: object) -> bool:
    return type(value).__module__ in _OF_TYPE_FORMS


def _is_method(value: object) -> bool:
    return callable(value) or hasattr(type(value), "__get__")


def _mixed_in(base: type, inherited: frozenset[str]) -> Iterable[Declaration]:
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
            yield declared(name, annotation, translated(_mixed_in_default(base, name)), base.__module__)


def _mixed_in_default(base: type, name: str) -> object:
    if not is_dataclass(base):
        return namespace_of(base).get(name, MISSING)
    return next((field for field in dataclass_fields(base) if field.name == name), MISSING)


def _of_dataclass(field: dataclasses.Field[object]) -> object:
    """Return the default that a field of dataclasses describes."""
    if field.default_factory is not dataclasses.MISSING:
        return _attrs_field(factory=field.default_factory, repr=field.repr)
    default = attribute(field, "default")
    return _attrs_field(default=attrs.NOTHING if default is dataclasses.MISSING else default, repr=field.repr)


def info_of(default: object) -> FieldInfo | None:
    """Return what a default says of its field, None if it is one of attrs or missing."""
    if isinstance(default, FieldInfo):
        return default
    return None if default is MISSING or isinstance(default, _SOURCE_TYPE) else FieldInfo.said(default=default)


def source_of(default: object) -> FieldSource:
    """Return the attrs field for what stands behind the ``=`` in a class body."""
    if isinstance(default, _SOURCE_TYPE):
        return default
    info = default if isinstance(default, FieldInfo) else FieldInfo()
    return _attrs_field(default=attrs_default(info), alias=attrs_alias(info), repr=info.repr)


def attrs_default(info: FieldInfo) -> object:
    """Return the default as attrs wants it."""
    if info.default_factory is not None:
        factory = info.default_factory
        return attrs.Factory((lambda: factory({})) if info.factory_takes_data else factory)
    return attrs.NOTHING if info.default is MISSING else info.default


def attrs_alias(info: FieldInfo) -> str | None:
    """Return the name in the constructor, None if it is no name that attrs can use."""
    name = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
    return name if name and _can_be_parameter(name) else None


def _can_be_parameter(name: str) -> bool:
    """Tell whether a function that attrs writes can have a parameter of that name beside the event itself."""
    return name.isidentifier() and not keyword.iskeyword(name) and name != "self"


def with_own_aliases(
    cls: type, fields: Iterable[attrs.Attribute[object]], declared: Mapping[str, Declaration]
) -> Iterator[attrs.Attribute[object]]:
    """
    Yield the attributes, without aliases that belong to two of them: attrs makes each a parameter of a function.

    Raises:
        DefinitionError: If such an alias, or one that is no name, was declared in attrs' words, so that only attrs
            could know of it.
    """
    owners = Counter(field.alias or field.name for field in fields)
    for field in fields:
        alias = field.alias or field.name
        if alias == field.name or (owners[alias] == 1 and _can_be_parameter(alias)):
            yield field
        elif field.name in declared and declared[field.name].info is None:
            raise DefinitionError(
                f"{cls.__qualname__}.{field.name}: attrs cannot make a parameter of the alias {alias!r}, as it is no "
                + f"name for one or belongs to another field, too; choose another, or write Field(alias={alias!r})"
            )
        else:
            yield field.evolve(alias=None)


def info_of_attribute(attribute: attrs.Attribute[object]) -> FieldInfo:
    """Return what a field that was declared in attrs' words says."""
    facts: dict[str, object] = {"repr": bool(attribute.repr)}
    default: object = attribute.default
    if is_factory(default):
        facts["default_factory"] = default.factory
    elif default is not attrs.NOTHING:
        facts["default"] = default
    if attribute.alias not in (None, attribute.name):
        facts["alias"] = attribute.alias
    return FieldInfo.said(**facts)


def own_copy(default: object) -> object:
    """
    Return *default* itself if it cannot change, else a factory that makes a copy per instance.

    Raises:
        TypeError: If it cannot be copied.
    """
    if isinstance(default, Hashable):
        return default
    make = _EMPTY.get(kind_of(default))
    if make is not None and not default:
        return attrs.Factory(make)
    _ = copy.deepcopy(default)  # the class is to blame, not who makes an event
    return attrs.Factory(lambda: copy.deepcopy(default))
