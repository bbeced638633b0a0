"""How events are dumped: their fields, extras and computed fields, by what is said of them, once per class."""

from __future__ import annotations

import inspect
import typing
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs

from bubus._arguments import is_meant
from bubus._construct import public
from bubus._copies import default_of, fields_set
from bubus._dump import Dumper, Options, Style, dump_value, style_of
from bubus._functions import required_arguments
from bubus._marks import ComputedField, FieldSerializer, ModelSerializer
from bubus._narrow import attrs_fields, method, static_attribute
from bubus._serial import Serializer, compile_dumper, info_of, is_used
from bubus._types import MISSING
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bubus._field_info import FieldInfo
    from bubus._picks import Picks
    from bubus._shape import EventShape


Whole: TypeAlias = "Callable[[EventShape, Callable[[EventShape], object], Options, Picks], object]"
"""The serializer of a whole event: takes event, usual dump, options and picks."""


@attrs.frozen(slots=True, eq=False)
class DumpedField:
    """A field, or a computed one, as it is dumped."""

    name: str
    alias: str
    dumper: Callable[[EventShape], Dumper]
    """Takes the event, whose method may be needed."""

    exclude: bool = False
    exclude_if: Callable[[object], bool] | None = None
    attribute: attrs.Attribute[object] | None = None
    """The attrs field, None if it is computed."""


@attrs.frozen(slots=True, eq=False)
class DumpPlan:
    """How events of one class are dumped."""

    cls: type[EventShape]
    fields: Mapping[str, DumpedField]
    computed: tuple[DumpedField, ...]
    style: Style
    by_alias: bool
    whole: Whole | None
    """The serializer of the whole event, if there is one."""

    def dump(self, event: EventShape, options: Options, picks: Picks) -> object:
        """
        Return *event* as a dict, or as what its serializer makes of it.

        Raises:
            EncodeError: If JSON should tell what it cannot.
        """
        options = options.in_style(self.style)
        if self.whole is None:
            return self.dump_fields(event, options, picks)
        return self.whole(event, lambda value: self.dump_fields(value, options, picks), options, picks)

    def dump_fields(self, event: EventShape, options: Options, picks: Picks) -> dict[str, object]:
        """Return the fields of *event*, its extras and its computed fields."""
        aliased = self.by_alias if options.by_alias is None else options.by_alias
        found: dict[str, object] = {}
        for field, value in self._parts(event, options):
            inner = None if self._is_left_out(field, value, event, options) else picks.of(field.name)
            if inner is not None:
                found[field.alias if aliased else field.name] = field.dumper(event)(value, options, inner)
        return found

    def _parts(self, event: EventShape, options: Options) -> Iterator[tuple[DumpedField, object]]:
        given = fields_set(event) if options.exclude_unset else None
        for name, value in public(event).items():
            field = self.fields.get(name)
            if field is None and (type(event) is not self.cls and name in event.__event_blueprint__.infos):
                continue  # a field of a subclass only
            if given is None or name in given:
                yield field or DumpedField(name, name, _as_it_is), value
            if given is None and name in _BESIDE:
                yield from self._beside(event, _BESIDE[name], options)
        if not (options.round_trip or options.exclude_computed_fields):
            for field in self.computed:
                yield field, getattr(event, field.name)

    def _beside(self, event: EventShape, name: str, options: Options) -> Iterator[tuple[DumpedField, object]]:
        """Yield what the framework tells of an event beside its fields."""
        value: object = getattr(event, name, None)
        if name == "event_result_type":
            value = None if value is None or value is Any else str(value)
        if not (options.exclude_defaults or options.round_trip):
            yield DumpedField(name, name, _as_it_is), value

    def _is_left_out(self, field: DumpedField, value: object, event: EventShape, options: Options) -> bool:
        if field.exclude or (options.exclude_none and value is None):
            return True
        if field.exclude_if is not None and field.exclude_if(value):
            return True
        return options.exclude_defaults and _is_default(field, value, event)


_BESIDE: Final = {"event_timeout": "event_result_type", "event_created_at": "event_processed_at"}
"""What is told of an event though it is no field of it, by the field that it stands behind."""


def _as_it_is(_: object) -> Dumper:
    return dump_value


def _is_default(field: DumpedField, value: object, event: EventShape) -> bool:
    if field.attribute is None or field.attribute.default is attrs.NOTHING:
        return False
    default = default_of(field.attribute, event)
    return bool(default is value or default == value)


def dump_plan(cls: type[EventShape]) -> DumpPlan:
    """
    Return how events of *cls* are dumped; it is made once.

    Raises:
        DefinitionError: If a serializer cannot be called, or there are two for the same.
    """
    found: DumpPlan | None = cls.__dict__.get("__event_dump_plan__")
    if found is None:
        found = cls.__event_dump_plan__ = _made(cls)
    return found


def _made(cls: type[EventShape]) -> DumpPlan:
    infos: Mapping[str, FieldInfo] = cls.model_fields
    attributes = {attribute.name: attribute for attribute in attrs_fields(cls)}
    marks = cls.__event_blueprint__.marks
    computed = [(name, mark) for name, mark in marks.items() if isinstance(mark, ComputedField)]
    whole = [(name, mark) for name, mark in marks.items() if isinstance(mark, ModelSerializer)]
    return DumpPlan(
        cls,
        {name: _field(cls, name, info, attributes[name]) for name, info in infos.items()},
        tuple(_computed(cls, name, mark) for name, mark in computed),
        style_of(cls.model_config),
        bool(cls.model_config.get("serialize_by_alias", False)),
        _whole(cls, *whole[-1]) if whole else None,
    )


def _field(cls: type[EventShape], name: str, info: FieldInfo, attribute: attrs.Attribute[object]) -> DumpedField:
    alias = info.serialization_alias or info.alias or name
    inner = compile_dumper(info.full_annotation, f"{cls.__qualname__}.{name}")
    dumper = _dumper(cls, name, inner)
    return DumpedField(name, alias, dumper, bool(info.exclude), info.exclude_if, attribute)


def _dumper(cls: type[EventShape], name: str, inner: Dumper | None) -> Callable[[EventShape], Dumper]:
    """Return how a field is dumped, by the method for it if there is one."""
    mine = [
        (function, mark)
        for function, mark in cls.__event_blueprint__.marks.items()
        if isinstance(mark, FieldSerializer) and is_meant(name, mark.fields)
    ]
    if not mine:
        return lambda _: inner or dump_value
    function, mark = mine[-1]
    owner = f"{cls.__qualname__}.{function}"
    call = _method(cls, function, 2 if mark.mode == "wrap" else 1, owner)
    returned = return_type(cls, function, mark.return_type)
    serializer = Serializer(call, mark.mode, mark.when_used, returned, owner, name)
    return lambda event: serializer.around(inner, event)


def _method(cls: type[EventShape], name: str, usual: int, owner: str) -> Callable[..., object]:
    """
    Return a serializer as a function of event, *usual* arguments, and an info.

    Raises:
        DefinitionError: If it takes another number of arguments.
    """
    function = method(cls, name)
    takes_event = inspect.isfunction(static_attribute(cls, name))
    number = required_arguments(function) - takes_event
    if number not in (usual, usual + 1):
        raise DefinitionError(f"{owner} takes {number} arguments beside self; a serializer of this mode takes {usual}")
    asks = number == usual + 1

    def call(event: EventShape, *arguments: object) -> object:
        given = arguments if asks else arguments[:-1]
        return method(event, name)(*given) if takes_event else function(*given)

    return call


def return_type(cls: type[EventShape], name: str, said: object) -> object:
    """Return what a function is said to return, MISSING if nobody says it."""
    if said is not MISSING:
        return said
    found = static_attribute(cls, name)
    function: object = found.fget if isinstance(found, property) else _function_of(found)
    try:
        return cast("object", typing.get_type_hints(function, include_extras=True).get("return", MISSING))
    except NameError:  # only type checkers know it
        return MISSING


def _function_of(found: object) -> object:
    function: object = getattr(found, "func", getattr(found, "__func__", found))
    return function


def _computed(cls: type[EventShape], name: str, mark: ComputedField) -> DumpedField:
    found = static_attribute(cls, name)
    if not isinstance(found, property | cached_property):
        raise DefinitionError(f"{cls.__qualname__}.{name} is computed, but no property; put @property below")
    returned = return_type(cls, name, mark.return_type)
    inner = None if returned is MISSING else compile_dumper(returned, f"{cls.__qualname__}.{name}")
    return DumpedField(name, mark.alias or name, _dumper(cls, name, inner))


def _whole(cls: type[EventShape], name: str, mark: ModelSerializer) -> Whole:
    owner = f"{cls.__qualname__}.{name}"
    call = _method(cls, name, 1 if mark.mode == "wrap" else 0, owner)

    def whole(event: EventShape, usual: Callable[[EventShape], object], options: Options, picks: Picks) -> object:
        if not is_used(mark.when_used, event, options):
            return usual(event)
        more = (usual,) if mark.mode == "wrap" else ()
        return dump_value(call(event, *more, info_of(options, picks)), options, picks)

    return whole
