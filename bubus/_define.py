"""Turns a class statement into an event class: an attrs class with a constructor of its own and compiled checks."""

from __future__ import annotations

import contextlib
import copy
import functools
import typing
import weakref
from typing import TYPE_CHECKING, Any, Final, cast

import attrs
import typing_extensions as te

from bubus._arguments import Argument, Situation, argument, check_marks
from bubus._assign import assign, delete, guards
from bubus._body import Body, collected_marks, is_root
from bubus._compile import compile_type
from bubus._config import DEFAULT, merged_config, settings_of
from bubus._construct import is_of_root, is_written, stands_in, write_init
from bubus._copies import replaced
from bubus._faults import Invalid
from bubus._field_info import FieldInfo
from bubus._fields import (
    Declaration,
    Scope,
    UnknownName,
    attrs_alias,
    attrs_default,
    declarations,
    evaluated,
    info_of_attribute,
    own_copy,
    refuse_hidden,
    types_in,
    with_own_aliases,
)
from bubus._foreign import merged_info
from bubus._framework import CHECKS, WIRE_NAME, schema_of
from bubus._generics import Bindings, bindings, parameters_of, substitute, with_self
from bubus._marks import ModelValidator
from bubus._mode import LAX, Mode
from bubus._narrow import attribute, attrs_fields, is_factory, namespace_of
from bubus._privates import factories, install, private_attributes
from bubus._shape import Build, Init
from bubus._types import MISSING
from bubus._whole import builder, whole_init
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType

    from bubus._marks import Mark
    from bubus._shape import EventShape

_SAID_OF_PLAIN_FIELDS: Final = frozenset({"default", "default_factory", "repr", "title", "description", "examples"})
_NAMES: Final = ("event_type", "event_schema")


@attrs.define(slots=True, eq=False)
class Blueprint:
    """What an event class was made from, and what was compiled for it."""

    cls: type[EventShape]
    scope: Scope
    declared: dict[str, Declaration]
    """Fields in its own body and in mixins that are no event classes."""

    result: object = MISSING
    """What stands in its body as `event_result_type`."""

    complete: bool = False
    """Whether all names in its annotations were found."""

    types: dict[str, object] = attrs.Factory(dict[str, object])
    """Own and mixed-in annotations, evaluated."""

    own_marks: Mapping[str, Mark] = attrs.Factory(dict[str, "Mark"])
    """What decorators left in its own body, by the names of the functions."""

    marks: Mapping[str, Mark] = attrs.Factory(dict[str, "Mark"])
    """Those of its bases too."""

    infos: dict[str, FieldInfo] = attrs.Factory(dict[str, FieldInfo])
    """All fields with what is said of them, in order, once the class is complete: `model_fields`."""

    inits: dict[Mode, Init] = attrs.Factory(dict[Mode, Init])
    """Constructors by mode, written when first needed."""

    fills: dict[Mode, Init] = attrs.Factory(dict["Mode", "Init"])
    """The same, without the validators of the whole event."""

    arguments: list[Argument] = attrs.Factory(list["Argument"])
    """The fields as the usual constructor sees them, once the class is complete."""

    builds: dict[Mode, Build | None] = attrs.Factory(dict["Mode", "Build | None"])
    """What runs the validators of the whole event, by mode; None if there are none."""

    @property
    def is_plain(self) -> bool:
        """Whether nothing but types is said of the fields: then msgspec may decode events without the constructor."""
        if self.marks or any(factories(self.cls)) or not is_of_root(self.cls, "model_post_init"):
            return False
        if attrs.evolve(settings_of(self.cls.model_config), extra=DEFAULT.extra) != DEFAULT:
            return False
        return all(info.given <= _SAID_OF_PLAIN_FIELDS for info in self.infos.values())

    def init(self, mode: Mode) -> Init:
        """
        Return the constructor for values of one mode.

        Raises:
            DefinitionError: If a name in an annotation does not exist, or a type cannot be checked.
        """
        found = self.inits.get(mode)
        if found is None:
            self.finish()
            found = self.inits.get(mode) or self.write(mode, _arguments(self, mode))
        return found

    def fill(self, mode: Mode) -> Init:
        """
        Return the constructor that runs no validator of the whole event.

        Raises:
            DefinitionError: As `init`.
        """
        _ = self.init(mode)
        return self.fills[mode]

    def build(self, mode: Mode) -> Build | None:
        """
        Return what makes an event of anything with the validators of the whole event, None if there are none.

        Raises:
            DefinitionError: As `init`.
        """
        _ = self.init(mode)
        return self.builds[mode]

    def complete_arguments(self) -> list[Argument]:
        """
        Return the fields as the usual constructor sees them.

        Raises:
            DefinitionError: If a name in an annotation does not exist.
        """
        self.finish()
        return self.arguments

    def finish(self) -> None:
        """
        Complete the class, which is about to be used.

        Raises:
            DefinitionError: If a name in an annotation still does not exist, or a type cannot be checked.
        """
        try:
            complete(self)
        except UnknownName as error:
            raise DefinitionError(
                f"{self.cls.__qualname__}: {error} (it stands in an annotation); define it before the event is used, "
                + "and import it outside `if TYPE_CHECKING`"
            ) from None

    def learn(self, names: Mapping[str, object]) -> None:
        """Let further *names* be found in annotations."""
        self.scope.own = {**names, **self.scope.own}

    def argument(self, name: str) -> tuple[int, Argument]:
        """Return the number of a field, and the field as the usual constructor sees it."""
        return next((index, one) for index, one in enumerate(self.arguments) if one.name == name)

    def write(self, mode: Mode, arguments: list[Argument]) -> Init:
        """Write the constructor for one mode."""
        fill = init = write_init(self.cls, arguments, mode, dict(factories(self.cls)))
        build = builder(self.cls, fill, self.marks, mode) if self.has_whole and mode.calls("whole") else None
        if build is not None:
            init = whole_init(self.cls, fill, build, mode)
        self.builds[mode], self.inits[mode], self.fills[mode] = build, init, fill
        return init

    @property
    def has_whole(self) -> bool:
        """Whether there are validators of the whole event."""
        return any(isinstance(mark, ModelValidator) for mark in self.marks.values())


_PENDING: Final[weakref.WeakSet[type[EventShape]]] = weakref.WeakSet()
"""Classes with names still to be found."""


def blueprint_of(cls: type) -> Blueprint | None:
    """Return what *cls* itself was made from, None if it is no event class."""
    found: Blueprint | None = cls.__dict__.get("__event_blueprint__")
    return found


def define(cls: type[EventShape], body: Body, version: str | None, frame: FrameType | None) -> None:
    """
    Make the new class *cls* an event class.

    Args:
        cls: The class.
        body: What it was made from.
        version: Its version, for `event_schema`.
        frame: The code that runs the class statement.

    Raises:
        DefinitionError: If it cannot be one.
    """
    namespace = body.namespace
    _refuse_decorated(cls, namespace)
    parameters = cast("tuple[typing.TypeVar, ...]", namespace.get("__type_params__", ()))
    own: dict[str, object] = {parameter.__name__: parameter for parameter in parameters}
    cls.__event_privates__ = private_attributes(cls, namespace)
    known = frozenset({*CHECKS, *(field.name for field in _inherited_fields(cls))})
    declared = declarations(cls, namespace, known)
    for name in declared.keys() & namespace.keys():
        delattr(cls, name)
    refuse_hidden(cls, {*known, *declared})
    undeclared = {name: value for name, value in namespace.items() if name not in declared}
    scope = Scope(cls.__module__, {**own, cls.__name__: cls}, frame, types_in(undeclared))
    blueprint = Blueprint(cls, scope, declared, namespace.get("event_result_type", MISSING))
    blueprint.own_marks, blueprint.marks = body.marks, collected_marks(cls, body.marks)
    cls.__event_blueprint__ = blueprint
    install(cls, cls.__event_privates__)
    cls.model_config = merged_config(cls, body.config)
    cls.__event_parameter__ = parameters_of(cls)[0] if namespace.get("__event_root__") else MISSING
    cls.__event_origin__ = cast("type[EventShape]", namespace.get("__event_origin__", cls))
    cls.__event_cached__ = _cached_names(cls)
    cls.__event_arguments__ = cast("tuple[object, ...]", namespace.get("__event_arguments__", ()))
    cls.__event_version__ = version
    _make_attrs_class(cls, declared, version)
    _complete_or_wait(blueprint)
    _install_init(blueprint, namespace)


def _cached_names(cls: type) -> frozenset[str]:
    """Return the names under which cached properties keep their values in an event: they are no part of it."""
    found = {name: value for base in reversed(cls.__mro__) for name, value in namespace_of(base).items()}
    return frozenset(name for name, value in found.items() if isinstance(value, functools.cached_property))


def _refuse_decorated(cls: type, namespace: Mapping[str, object]) -> None:
    if "__attrs_attrs__" in namespace or "__dataclass_fields__" in namespace:
        raise _decorated(cls)


def refuse_decorator(cls: type, name: str) -> None:
    """
    Refuse what a decorator puts in a finished class, which would break it.

    Raises:
        DefinitionError: If *name* is the first that attrs or dataclasses put there.
    """
    if name == "__dataclass_fields__" or (name == "__attrs_attrs__" and name in cls.__dict__):
        raise _decorated(cls)


def _decorated(cls: type) -> DefinitionError:
    return DefinitionError(f"{cls.__qualname__} is an attrs class already, as every event; remove the decorator")


def _inherited_fields(cls: type) -> Iterable[attrs.Attribute[object]]:
    for base in reversed(cls.__mro__[1:]):
        yield from base.__dict__.get("__attrs_attrs__", ())


def _name(cls: type[EventShape], defaults: Mapping[str, object], version: str | None) -> dict[str, object]:
    """Return the default type name and schema: from its body, else from that of a base, else from the class' name."""
    given = defaults.get("event_type", cls.__event_given__.get("event_type"))
    name = cls.__event_origin__.__name__ if given is None else given
    if not isinstance(name, str) or WIRE_NAME.fullmatch(name) is None:
        raise DefinitionError(
            f"{cls.__qualname__}: the event type {name!r} must be ASCII letters, digits, _ and dots, 128 at most; "
            + 'name the class so, or give it one: `event_type: str = "…"`'
        )
    schema = defaults.get("event_schema", cls.__event_given__.get("event_schema"))
    cls.__event_given__ = {**cls.__event_given__, **{name: defaults[name] for name in _NAMES if name in defaults}}
    cls.__event_type__ = name
    return {"event_type": name, "event_schema": schema or schema_of(cls.__event_origin__, version)}


def _make_attrs_class(cls: type[EventShape], declared: Mapping[str, Declaration], version: str | None) -> None:
    inherited = {field.name: field for field in _inherited_fields(cls)}
    order = {name: index for index, name in enumerate(dict.fromkeys([*CHECKS, *inherited, *declared]))}

    def transform(_: type, fields: list[attrs.Attribute[object]]) -> list[attrs.Attribute[object]]:
        defaults = {
            field.name: field.default for field in fields if field.name in declared and _has_plain_default(field)
        }
        names = _name(cls, defaults, version)
        in_order = sorted(with_own_aliases(cls, fields, declared), key=lambda field: order[field.name])
        return [settle(field, names) for field in in_order]

    def settle(field: attrs.Attribute[object], names: Mapping[str, object]) -> attrs.Attribute[object]:
        kind = declared[field.name].annotation if field.name in declared else field.type
        default = field.default
        if default is attrs.NOTHING and field.name in CHECKS:
            default = inherited[field.name].default
        default = names.get(field.name, default)
        return field.evolve(default=_settle_default(cls, field.name, default), type=None if kind is MISSING else kind)

    sources = {name: declaration.source for name, declaration in declared.items()}
    _keep_replace(cls)
    _ = attrs.define(
        cls,
        these=sources,
        slots=False,
        kw_only=True,
        init=False,
        eq=False,
        order=False,
        repr=False,
        field_transformer=transform,
    )


def _keep_replace(cls: type[EventShape]) -> None:
    """Let attrs find a ``__replace__`` in the class, or it would put one there that knows of no extras."""
    found: object = getattr(cls, "__replace__", attrs.evolve)
    type.__setattr__(cls, "__replace__", replaced if found is attrs.evolve else found)


def _has_plain_default(field: attrs.Attribute[object]) -> bool:
    return field.default is not attrs.NOTHING and not is_factory(field.default)


def _settle_default(cls: type, name: str, default: object) -> object:
    """Check a default of a framework field; make one that could change a factory of copies."""
    if default is attrs.NOTHING or is_factory(default):
        return default
    if name not in CHECKS:
        return _own_copy(cls, name, default)
    try:
        return CHECKS[name](default)
    except Invalid as invalid:
        raise DefinitionError(f"{cls.__qualname__}.{name} = {default!r}: {invalid.faults[0].msg}") from None


def _own_copy(cls: type, name: str, default: object) -> object:
    try:
        return own_copy(default)
    except (TypeError, copy.Error) as error:
        raise DefinitionError(
            f"{cls.__qualname__}.{name}: its default cannot be copied for each event ({error}); write "
            + "Field(default_factory=…)"
        ) from error


def _complete_or_wait(blueprint: Blueprint) -> None:
    """Compile a new class now, or as soon as the names it needs exist; do so for those that waited for it."""
    frame = blueprint.scope.frame
    try:
        complete(blueprint)
    except UnknownName:
        _wait_for_names(blueprint)
    for waiting in map(blueprint_of, list(_PENDING)):
        if waiting is not None:
            _tell(waiting, blueprint.cls, frame)
    if not blueprint.complete:
        _PENDING.add(blueprint.cls)


def _tell(waiting: Blueprint, cls: type, frame: FrameType | None) -> None:
    """Let a waiting class know one that was just written beside it, whose name does not exist before it is done."""
    if waiting.scope.frame is frame:
        waiting.scope.own[cls.__name__] = cls
    try:
        complete(waiting)
    except (UnknownName, DefinitionError):
        return  # whoever uses that class is told


def _wait_for_names(blueprint: Blueprint) -> None:
    def check_result(value: object) -> object:
        blueprint.finish()
        check = blueprint.cls.__event_result__
        return value if check is None else check(value)

    blueprint.cls.__event_result__ = staticmethod(check_result)
    blueprint.cls.event_result_type = MISSING


def complete(blueprint: Blueprint) -> None:
    """
    Evaluate and compile all annotations of a class.

    Raises:
        UnknownName: If a name does not exist yet.
        DefinitionError: If a type cannot be checked.
    """
    if blueprint.complete:
        return
    cls = blueprint.cls
    for base in cls.__mro__[1:]:
        if (above := blueprint_of(base)) is not None:
            complete(above)
    own = {name: _resolved(blueprint, one) for name, one in blueprint.declared.items() if one.annotation is not MISSING}
    known = bindings(cls, _resolver)
    _set_types(blueprint, own, known)
    blueprint.infos = _infos(blueprint)
    _set_result(blueprint, known)
    check_marks(cls, blueprint.marks, blueprint.infos)
    blueprint.arguments = _arguments(blueprint, LAX)
    _guard(blueprint)
    _ = blueprint.write(LAX, blueprint.arguments)
    blueprint.scope.frame = None
    blueprint.complete = True
    _PENDING.discard(cls)


def _resolved(blueprint: Blueprint, field: Declaration) -> object:
    """Return the annotation of a field with every string in it evaluated."""
    try:
        return blueprint.scope.resolve(field.annotation, field.module)
    except (SyntaxError, TypeError, ValueError, LookupError) as error:
        raise DefinitionError(
            f"{blueprint.cls.__qualname__}.{field.name}: {field.annotation!r} is no type: {error}"
        ) from error


def _resolver(cls: type, argument: object) -> object:
    blueprint = blueprint_of(cls)
    return argument if blueprint is None or argument is None else blueprint.scope.resolve(argument)


def _set_types(blueprint: Blueprint, own: Mapping[str, object], known: Bindings) -> None:
    """Give every attrs field its type: as the class that declares it says, with type variables filled in."""
    cls = blueprint.cls
    found: dict[str, object] = {}
    for base in reversed(cls.__mro__[1:]):
        for name, annotation in _types_of(base).items():
            found[name] = substitute(annotation, known.get(base, {}))
    found.update(own)
    for field in attrs_fields(cls):
        object.__setattr__(field, "type", with_self(found[field.name], cls))  # as attrs.resolve_types does
    blueprint.types = dict(own)
    types = {name: with_self(annotation, cls) for name, annotation in own.items()}
    cls.__annotations__ = {**_other_annotations(blueprint), **types}  # where plain msgspec looks, and evaluates all


def _infos(blueprint: Blueprint) -> dict[str, FieldInfo]:
    """Return what is said of each field; what an annotation says of an own field goes to its attrs field as well."""
    found: dict[str, FieldInfo] = {}
    inherited = _inherited_infos(blueprint.cls)
    for field in attrs_fields(blueprint.cls):
        declaration = blueprint.declared.get(field.name)
        info = _info(field, declaration, inherited.get(field.name))
        if declaration is not None:
            _settle_attribute(blueprint.cls, field, info)
        found[field.name] = _with_alias(blueprint.cls, field.name, info)
    return found


def _with_alias(cls: type[EventShape], name: str, info: FieldInfo) -> FieldInfo:
    """Return *info* with the alias that the class generates for a field without one of its own."""
    generate = cls.model_config.get("alias_generator")
    if generate is None or name in CHECKS or info.alias or info.validation_alias or info.serialization_alias:
        return info
    alias = cast("Callable[[str], object]", generate)(name)
    if not isinstance(alias, str):
        raise DefinitionError(f"{cls.__qualname__}: alias_generator returned {alias!r} for {name}; it must return text")
    return FieldInfo.said(alias=alias).over(info)


def _inherited_infos(cls: type[EventShape]) -> dict[str, FieldInfo]:
    found: dict[str, FieldInfo] = {}
    for base in reversed(cls.__mro__[1:]):
        if (above := blueprint_of(base)) is not None:
            found.update(above.infos)
    return found


def _info(attribute: attrs.Attribute[object], declaration: Declaration | None, base: FieldInfo | None) -> FieldInfo:
    """Return what is said of a field by its annotation and default, or by the class that it comes from."""
    said = None if declaration is None else declaration.info
    if base is not None and (declaration is None or declaration.annotation is MISSING):
        kept = attrs.evolve(base, annotation=merged_info(attribute.type, None).annotation)
        if declaration is None and attribute.name not in _NAMES:
            return kept
        return (said or info_of_attribute(attribute)).over(kept)
    return merged_info(attribute.type, said or info_of_attribute(attribute))


def _settle_attribute(cls: type, attribute: attrs.Attribute[object], info: FieldInfo) -> None:
    """Tell attrs the default and alias that stand in the annotation, which was not evaluated before."""
    if attribute.default is attrs.NOTHING and not info.is_required():
        object.__setattr__(attribute, "default", _settle_default(cls, attribute.name, attrs_default(info)))
    alias = attrs_alias(info)
    if alias is not None and all(alias != other.alias for other in attrs_fields(cls)):
        object.__setattr__(attribute, "alias", alias)


def _other_annotations(blueprint: Blueprint) -> dict[str, object]:
    """Return the annotations of class variables and private attributes, without those that only type checkers know."""
    found: dict[str, object] = {}
    for name, annotation in te.get_annotations(blueprint.cls, format=te.Format.FORWARDREF).items():
        with contextlib.suppress(UnknownName):
            found[name] = blueprint.scope.resolve(annotation)
    return found


def _types_of(base: type) -> Mapping[str, object]:
    blueprint = blueprint_of(base)
    if blueprint is not None:
        return blueprint.types
    fields: tuple[attrs.Attribute[object], ...] | None = base.__dict__.get("__attrs_attrs__")
    own = [field.name for field in fields or () if not attribute(field, "inherited")]
    hints = evaluated(base) if own else {}
    return {name: hints.get(name, Any) for name in own}


def _set_result(blueprint: Blueprint, known: Bindings) -> None:
    cls = blueprint.cls
    annotation = _result_annotation(cls, known)
    cls.event_result_type = annotation
    if annotation is Any or annotation is None:
        cls.__event_result__ = None
    else:
        cls.__event_result__ = compile_type(annotation, f"the result of {cls.__name__}").validate


def _result_annotation(cls: type[EventShape], known: Bindings) -> object:
    """Return T of the event, from the nearest class that sets it; Any if none does."""
    for base in cls.__mro__:
        blueprint = blueprint_of(base)
        if blueprint is not None and blueprint.result is not MISSING:
            return _result(blueprint.scope.resolve(blueprint.result))
        parameter = namespace_of(base).get("__event_parameter__", MISSING)
        if parameter is not MISSING:
            return _result(substitute(parameter, known.get(base, {})))
    return Any


def _result(annotation: object) -> object:
    if isinstance(annotation, typing.TypeVar):
        default = getattr(annotation, "__default__", Any)
        annotation = Any if default is None or default is te.NoDefault else default
    return None if annotation is type(None) else annotation


def _arguments(blueprint: Blueprint, mode: Mode) -> list[Argument]:
    cls = blueprint.cls
    here = Situation(cls, blueprint.marks, mode)
    return [
        argument(here, attribute, blueprint.infos[attribute.name], redeclared=_redeclared(cls, attribute.name))
        for attribute in attrs_fields(cls)
    ]


def _guard(blueprint: Blueprint) -> None:
    """Let assignments be checked or refused, if the class wants it; its own or inherited __setattr__ stays."""
    cls = blueprint.cls
    if guards(cls, blueprint.infos):
        if cls.__setattr__ is object.__setattr__:
            type.__setattr__(cls, "__setattr__", assign)
        if cls.__delattr__ is object.__delattr__:
            type.__setattr__(cls, "__delattr__", delete)


def _redeclared(cls: type[EventShape], name: str) -> bool:
    """Tell whether a subclass of the root gave a framework field an annotation of its own."""
    return any(
        name in _types_of(base) for base in cls.__mro__ if "__event_blueprint__" in base.__dict__ and not is_root(base)
    )


def _install_init(blueprint: Blueprint, namespace: Mapping[str, object]) -> None:
    """Give the class its constructor, unless it or a plain mixin has one of its own."""
    cls = blueprint.cls
    if "__init__" in namespace or _inherits_own_init(cls):
        return
    init = blueprint.inits.get(LAX) or _first_init(blueprint)
    type.__setattr__(cls, "__init__", init)


def _inherits_own_init(cls: type) -> bool:
    """Tell whether the nearest constructor above *cls* was written by a user; attrs' and dataclasses' do not count."""
    for base in cls.__mro__[1:-1]:
        init = namespace_of(base).get("__init__")
        made = attrs.has(base) or "__dataclass_fields__" in base.__dict__
        if init is not None and ("__event_blueprint__" in base.__dict__ or not made):
            return not is_written(init)
    return False


def _first_init(blueprint: Blueprint) -> Init:
    """Return a constructor for a class that waits for names: it looks for them and makes way for the real one."""

    def __init__(self: object, /, **arguments: object) -> None:  # noqa: N807 - it stands in for one
        init = blueprint.init(LAX)
        if blueprint.cls.__dict__.get("__init__") is first:
            type.__setattr__(blueprint.cls, "__init__", init)
        init(self, **arguments)

    first = stands_in(__init__)
    return first
