"""EventModel: the fields of events, their validation and construction; what becomes of them is in `bubus._event`."""

from __future__ import annotations

import contextlib
import inspect
from abc import ABCMeta
from datetime import datetime  # noqa: TC003 - named by fields, so looked up at run time
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Never, Self, TypeAlias, cast, final

import attrs
from typing_extensions import TypedDict, Unpack, dataclass_transform, override

import bubus._framework as framework
from bubus._body import opened
from bubus._codec import as_builtins, validate_json
from bubus._config import KEYS, title_of
from bubus._construct import hides_input, is_written, public
from bubus._copies import construct, copied, fields_set
from bubus._define import define, refuse_decorator
from bubus._dump import Options, dump_value
from bubus._event_dump import dump_plan
from bubus._faults import Fault, Invalid, refuse
from bubus._functions import context as validation_context
from bubus._generics import is_concrete, name_of
from bubus._hints import hint
from bubus._ids import new_id
from bubus._json_schema import SchemaMode, schema_of
from bubus._json_text import json_text
from bubus._marks import ComputedField
from bubus._mode import LAX, Mode, mode_for
from bubus._narrow import attribute, attrs_fields, item_of, method, namespace_of
from bubus._picks import IncEx, Picks, picks_of
from bubus._privates import private_names
from bubus._pydantic_schema import event_json_schema, event_schema, event_serializer
from bubus._registry import register
from bubus._shape import EventShape
from bubus._tree import escape
from bubus._types import MISSING, Values
from bubus._variables import put
from bubus._versions import Upcast, checked_upcast_version, register_upcast
from bubus._whole import arguments_in, kept, told
from bubus._words import Field, PrivateAttr
from bubus.errors import DefinitionError, OptionError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import FrameType

    from bubus._field_info import FieldInfo
    from bubus._pydantic import JsonSchemaHandler, Schema, SchemaHandler

_OF_THIS_OBJECT: Final = frozenset({"_event_state", "_event_route"})
"""What became of an event, and how it came here: a copy has neither."""

_REPR_LIMIT: Final = 60  # characters per value


Extra: TypeAlias = Literal["allow", "ignore", "forbid"]


class DumpOptions(TypedDict, total=False):
    """Options of `model_dump` and `model_dump_json`."""

    by_alias: bool | None
    """Use the serialization aliases; None leaves it to the class' `serialize_by_alias`."""

    exclude_unset: bool
    """Leave out what was not given."""

    exclude_defaults: bool
    """Leave out what is equal to its default."""

    exclude_none: bool
    """Leave out fields that are None."""

    exclude_computed_fields: bool
    round_trip: bool
    """Leave out what is no part of a new event: computed fields, and what became of this one."""

    serialize_as_any: bool
    """Dump what a field holds as its own class says, and not as the declared one."""

    polymorphic_serialization: bool | None
    """Likewise."""

    fallback: Callable[..., object] | None
    """Returns something for JSON in place of a value that JSON does not know."""

    context: object
    """What serializers find in `SerializationInfo.context`."""


def _is_one_of(known: tuple[object, ...], given: object) -> bool:
    """Tell whether an option, of callers without a type checker too, is one of those that are known."""
    return given in known


def _frame_above(depth: int) -> FrameType | None:
    """Return the code that has called what calls this, or what is *depth* calls above; None if there is none."""
    frame = inspect.currentframe()
    for _ in range(depth + 1):
        frame = None if frame is None else frame.f_back
    return frame


def _names_above(depth: int) -> Mapping[str, object]:
    """Return the names that the code knows which is *depth* calls above what calls this."""
    frame = _frame_above(depth + 1)
    return {} if frame is None else frame.f_locals


_PASS_ON: Final = ("builtins", "typing", "typing_extensions")
"""Modules whose classes take no keywords themselves."""


@dataclass_transform(eq_default=False, kw_only_default=True, field_specifiers=(Field, PrivateAttr, attrs.field))
class EventMeta(ABCMeta):
    """Makes every subclass of `EventModel` an attrs class with a constructor of its own; no decorator is needed."""

    # Events may have abstract bases and methods, but nothing is registered as one: to ask is as fast as of any class.
    __instancecheck__: Final = type.__instancecheck__
    __subclasscheck__: Final = type.__subclasscheck__

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, object],
        *,
        version: str | None = None,
        **options: object,
    ) -> EventMeta:
        frame = _frame_above(1)  # the code that runs the class statement: it knows the names that annotations may use
        body = opened(name, namespace, options)
        if frame is not None:  # type("Name", (BaseEvent,), {}) leaves it to what calls type.__new__
            _ = body.namespace.setdefault("__module__", frame.f_globals.get("__name__"))
        _refuse_options(name, bases, options)
        cls = super().__new__(mcs, name, bases, body.namespace, **options)
        define(cast("type[EventShape]", cls), body, version, frame)
        _ = method(super(cast("type[object]", cls), cls), "__pydantic_init_subclass__")(**options)
        return cls

    def __init__(
        cls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, object],
        *,
        version: str | None = None,
        **options: object,
    ) -> None:
        del version
        super().__init__(name, bases, namespace, **options)

    if not TYPE_CHECKING:  # to type checkers a class with it would have any attribute

        def __setattr__(cls, name: str, value: object) -> None:
            refuse_decorator(cls, name)
            super().__setattr__(name, value)

    @property
    def model_fields(cls) -> Mapping[str, FieldInfo]:
        """
        All fields by name, with what is said of them.

        Raises:
            DefinitionError: If a name in an annotation does not exist.
        """
        blueprint = cast("type[EventShape]", cls).__event_blueprint__
        blueprint.finish()
        return dict(blueprint.infos)

    @property
    def model_computed_fields(cls) -> Mapping[str, ComputedField]:
        """Computed fields by name."""
        blueprint = cast("type[EventShape]", cls).__event_blueprint__
        return {name: mark for name, mark in blueprint.marks.items() if isinstance(mark, ComputedField)}


def _refuse_options(name: str, bases: tuple[type, ...], options: Mapping[str, object]) -> None:
    """Refuse what stands behind the bases and is no setting, unless a base of the user's own may want it."""
    mros = [cls for base in bases for cls in base.__mro__ if cls.__module__ not in _PASS_ON]
    if options and not any("__init_subclass__" in namespace_of(cls) for cls in mros):
        unknown = next(iter(options))
        raise DefinitionError(
            f"class {name}(…, {unknown}=…): there is no such setting, but version=… and those of `model_config`"
            + hint(unknown, {"version", *KEYS})
        )


class EventModel(EventShape, metaclass=EventMeta):
    """Base of `BaseEvent`: an event before any bus has seen it."""

    model_config: ClassVar[Mapping[str, object]] = {"extra": "allow"}

    event_result_type: ClassVar[object] = Any
    """T of ``BaseEvent[T]``: what handlers return. None if nothing, Any if it was not said."""

    __event_root__: ClassVar[bool] = False
    __event_given__: ClassVar[Mapping[str, object]] = {}
    __event_version__: ClassVar[str | None] = None
    __event_cached__: ClassVar[frozenset[str]] = frozenset()
    __event_arguments__: ClassVar[tuple[object, ...]] = ()

    event_type: str = attrs.field(factory=str)
    event_schema: str = attrs.field(factory=str)
    event_id: str = attrs.field(factory=new_id)
    event_parent_id: str | None = None
    event_path: list[str] = attrs.field(factory=list)
    event_timeout: float | None = 60.0
    event_created_at: datetime = attrs.field(factory=framework.utc_now)

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        if cls.__event_origin__ is cls:
            register(cls.__event_type__, cls)

    def __class_getitem__(cls, parameters: object) -> object:
        """Return the class with its type variables filled in: a subclass that checks fields and results by them."""
        generic = method(super(), "__class_getitem__")  # that of Generic, a base of the subclasses only
        return specialise(cls, generic(parameters))

    @classmethod
    @override
    def __event_build__(cls, values: object, mode: Mode) -> Self:
        """
        Return an event made from what was read, in one mode.

        Raises:
            ValidationError: With every fault.
        """
        build = cls.__event_blueprint__.build(mode)
        if build is not None:
            return cast("Self", told(cls, mode, build, values, None))
        if mode == LAX or not (mode.base64 or is_written(cls.__init__)):  # a user's constructor goes first
            return cls(**cast("Mapping[str, Never]", arguments_in(cls, values, mode)))
        event = cls.__new__(cls)
        cls.__event_blueprint__.init(mode)(event, **arguments_in(cls, values, mode))
        return event

    @classmethod
    @override
    def __event_from__(cls, value: object, mode: Mode) -> Self:
        """
        Return what a field of this class makes of *value*.

        Raises:
            Invalid: If it does not fit.
        """
        build = cls.__event_blueprint__.build(mode)
        try:
            if build is not None:
                return cast("Self", build(value, None))
            if isinstance(value, cls):
                return kept(cls, value, mode)
            return cls.__event_build__(arguments_in(cls, value, mode), mode)
        except ValidationError as error:
            raise Invalid([Fault.of_error(one) for one in error.errors()]) from None

    @classmethod
    def upcast(cls, version: str) -> Callable[[Upcast], Upcast]:
        """
        Decorate what brings events of an older *version* up to date when they are read.

        ```python
        class OrderCreated(BaseEvent, version="2"):
            customer_id: str

        @OrderCreated.upcast("1")
        def rename_customer(old: dict[str, Any]) -> dict[str, Any]:
            return {**old, "customer_id": old["customer"]}
        ```

        The function gets the event's JSON object, and returns it as the next version that has an upcast, or the class,
        takes it.

        Raises:
            DefinitionError: If the class has no version, *version* is not older or has an upcast already, or the
                function is async or cannot be called with one dict.
        """
        older = checked_upcast_version(cls, version)

        def decorate(function: Upcast) -> Upcast:
            register_upcast(cls, older, function)
            return function

        return decorate

    # -- pydantic's words ----------------------------------------------------------------------------------------------

    @classmethod
    def model_validate(
        cls,
        obj: object,
        *,
        strict: bool | None = None,
        extra: Extra | None = None,
        from_attributes: bool | None = None,
        context: object = None,
        by_alias: bool | None = None,
        by_name: bool | None = None,
    ) -> Self:
        """
        Return *obj* if it is an event of this class, else one made from it as from a dict.

        Args:
            obj: An event or a dict, or what a `model_validator` makes a dict of.
            strict: True converts nothing, False converts whatever the class says; None leaves it to the class.
            extra: What becomes of what is no field; None leaves it to the class.
            from_attributes: Whether any other object is read by its attributes; None leaves it to the class.
            context: What validators find in `ValidationInfo.context`.
            by_alias: Whether fields are found by their aliases; None leaves it to the class.
            by_name: Whether they are found by their names; likewise.

        Raises:
            ValidationError: If it does not fit.
            OptionError: If fields shall be found neither by aliases nor by names.
        """
        mode = mode_for(strict, extra=extra, from_attributes=from_attributes, by_alias=by_alias, by_name=by_name)
        try:
            with known(context):
                return cls.__event_from__(obj, mode)
        except Invalid as invalid:
            raise refuse(title_of(cls), invalid.faults, hide_input=hides_input(cls)) from invalid.__cause__

    @classmethod
    def model_validate_json(
        cls,
        json_data: bytes | bytearray | str,
        *,
        strict: bool | None = None,
        extra: Extra | None = None,
        context: object = None,
        by_alias: bool | None = None,
        by_name: bool | None = None,
    ) -> Self:
        """
        Return the event in *json_data*; bytes are UTF-8 text there, as in pydantic.

        Args:
            json_data: JSON.
            strict: As in `model_validate`, and so are the others.
            extra: What becomes of what is no field.
            context: What validators find in `ValidationInfo.context`.
            by_alias: Whether fields are found by their aliases.
            by_name: Whether they are found by their names.

        Raises:
            ValidationError: If there is none.
            OptionError: If fields shall be found neither by aliases nor by names.
        """
        mode = mode_for(strict, json=True, extra=extra, by_alias=by_alias, by_name=by_name)
        with known(context):
            return validate_json(json_data, cls, mode)

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: object) -> Self:
        """
        Return an event made of *values* that are known to be good: nothing is checked, converted or required.

        Args:
            _fields_set: What `model_fields_set` shall be; by default the names of *values*.
            values: Fields, by alias or name, and extras.
        """
        return construct(cls, values, _fields_set)

    def model_dump(
        self,
        *,
        mode: Literal["python", "json"] = "python",
        include: IncEx = None,
        exclude: IncEx = None,
        warnings: bool | Literal["none", "warn"] = True,
        **options: Unpack[DumpOptions],
    ) -> Values:
        """
        Return the event as a dict, and every record in it.

        Args:
            mode: With ``"json"`` every value is one that JSON has.
            include: Dump only these fields: a set of names, or a dict from names to what to dump within them.
            exclude: Leave these out; likewise.
            warnings: Changes nothing: values are not checked again, so nothing is warned of.
            options: See `DumpOptions`.

        Raises:
            EncodeError: If JSON cannot tell a value.
            OptionError: If *mode* is none, or *warnings* shall be errors.
        """
        if not _is_one_of(("python", "json"), mode):
            raise OptionError(f"mode={mode!r} is neither 'python' nor 'json'")
        if not _is_one_of((True, False, "none", "warn"), warnings):
            raise OptionError("warnings='error' is not known: values are not checked again when they are dumped")
        chosen = Options(json=mode == "json", **options)
        return cast("Values", dump_value(self, chosen, picks_of(include, exclude)))

    def model_dump_json(
        self,
        *,
        indent: int | None = None,
        ensure_ascii: bool = False,
        include: IncEx = None,
        exclude: IncEx = None,
        warnings: bool | Literal["none", "warn"] = True,
        **options: Unpack[DumpOptions],
    ) -> str:
        """
        Return the event as JSON.

        Args:
            indent: Spaces per level; by default all is on one line.
            ensure_ascii: Write all but ASCII as escapes.
            include: As in `model_dump`.
            exclude: As in `model_dump`.
            warnings: As in `model_dump`.
            options: See `DumpOptions`.

        Raises:
            EncodeError: If JSON cannot tell a value.
        """
        dumped = self.model_dump(mode="json", include=include, exclude=exclude, warnings=warnings, **options)
        inf_nan = str(type(self).model_config.get("ser_json_inf_nan", "null"))
        return json_text(dumped, indent, inf_nan, ensure_ascii=ensure_ascii)

    @classmethod
    def model_json_schema(
        cls,
        by_alias: bool = True,
        ref_template: str = "#/$defs/{model}",
        mode: SchemaMode = "validation",
    ) -> Values:
        """
        Return the JSON schema of the event's JSON.

        Args:
            by_alias: Name fields by their aliases.
            ref_template: How definitions are referred to; ``{model}`` stands for the name.
            mode: What is read (``"validation"``), or what `model_dump_json` writes (``"serialization"``).

        Raises:
            SchemaError: If JSON has no values of a field's type.
        """
        return schema_of(cls, mode, ref_template, by_alias=by_alias)

    @classmethod
    def __event_dump__(cls, value: EventShape, options: Options, picks: Picks) -> object:
        """Dump an event of this class or a subclass as its own class says."""
        return dump_plan(type(value)).dump(value, options, picks)

    @override
    @classmethod
    def __event_dump_as__(cls, value: EventShape, options: Options, picks: Picks) -> object:
        """Dump an event of a subclass with the fields of this class only."""
        return dump_plan(cls).dump(value, options, picks)

    @override
    def __event_write__(self) -> dict[str, object]:
        """Return what the log writes, in JSON's types."""
        return as_builtins(self)

    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
        """
        Return a copy that no bus has seen.

        Args:
            update: Other values for fields, which are not checked, and extras.
            deep: Copy what is in the fields, too.
        """
        return copied(self, update or {}, deep=deep)

    @override
    def model_post_init(self, context: object, /) -> None:
        """Override it to do more when an event has been made and its fields are checked."""

    @classmethod
    def model_rebuild(
        cls,
        *,
        force: bool = False,
        raise_errors: bool = True,
        _parent_namespace_depth: int = 2,
        _types_namespace: Mapping[str, object] | None = None,
    ) -> bool | None:
        """
        Look now for the names in annotations that did not exist when the class was made.

        This happens by itself when the class is used; here the names that the caller knows count as well.

        Args:
            force: Changes nothing: what is complete stays so.
            raise_errors: False returns False when a name still does not exist.
            _parent_namespace_depth: Whose names count; 2 are those of the caller, 3 of the caller's caller.
            _types_namespace: Names that count instead of the caller's.

        Returns:
            None if the class was complete, True if it is now.

        Raises:
            DefinitionError: If a name still does not exist.
        """
        del force
        blueprint = cls.__event_blueprint__
        if blueprint.complete:
            return None
        names = _names_above(_parent_namespace_depth - 1) if _types_namespace is None else _types_namespace
        blueprint.learn(names)
        try:
            blueprint.finish()
        except DefinitionError:
            if raise_errors:
                raise
            return False
        return True

    @property
    def model_extra(self) -> Values | None:
        """What the event holds beside its fields, None if its class keeps nothing of that kind."""
        cls = type(self)
        fields = {field.name for field in attrs_fields(cls)}
        found = {name: value for name, value in public(self).items() if name not in fields}
        return found if found or cls.model_config.get("extra", "allow") == "allow" else None

    @property
    def model_fields_set(self) -> set[str]:
        """
        Names of the fields and extras that were given, or differ from their default.

        What was assigned later over a value made by a `default_factory` does not count, nor what plain msgspec read.
        """
        return fields_set(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, handler: SchemaHandler) -> Schema:
        return event_schema(cls, handler)

    @property
    def __pydantic_serializer__(self) -> object:
        """What pydantic dumps an event with where no type says that it is one."""
        return event_serializer(type(self))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: object, handler: JsonSchemaHandler) -> dict[str, object]:
        return event_json_schema(cls, schema, handler)

    # -- the object ----------------------------------------------------------------------------------------------------

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EventModel) or type(other).__event_origin__ is not type(self).__event_origin__:
            return NotImplemented
        if compared(self) != compared(other):
            return False
        names = private_names(self) | private_names(other)
        return not names or private(self, names) == private(other, names)

    @override
    def __hash__(self) -> int:
        return hash(self.event_id)

    def __iter__(self) -> Iterator[tuple[str, object]]:
        """Yield the names and values of fields and extras, so that ``dict(event)`` has them, as they are."""
        return iter(public(self).items())

    @override
    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in namespace_of(self).items() if name not in _OF_THIS_OBJECT}

    @override
    def __reduce__(self) -> tuple[object, ...]:
        cls = type(self)
        return blank, (cls.__event_origin__, cls.__event_arguments__), self.__getstate__()

    @override
    def __repr__(self) -> str:
        hidden = {field.name for field in attrs_fields(type(self)) if not field.repr} | set(framework.CHECKS)
        shown = [
            f"{escape(name)}={escape(_Repr(value), _REPR_LIMIT)}"
            for name, value in {**public(self), **computed(self)}.items()
            if name not in hidden
        ]
        event_id = str(namespace_of(self).get("event_id", "?"))  # an own __init__ may have made no event of it
        return f"{type(self).__name__}#{escape(event_id[-4:])}({', '.join(shown)})"


@final
class _Repr:
    """Shows a value by its repr where its str is asked for."""

    def __init__(self, value: object) -> None:
        self.value = value

    @override
    def __str__(self) -> str:
        return repr(self.value)


def specialise(origin: type[EventShape], alias: object) -> object:
    """
    Return the subclass of *origin* in which the arguments of *alias* stand for its type variables.

    It is made once. While an argument is a type variable, or a name still to be looked up, *alias* itself is returned.
    """
    arguments = cast("tuple[object, ...]", attribute(alias, "__args__"))
    if not is_concrete(alias):
        return alias
    known: Mapping[str, type[EventShape]] | None = origin.__dict__.get("__event_specialised__")
    key = repr(arguments)
    cls = None if known is None else known.get(key)
    if cls is None or cls.__event_arguments__ != arguments:
        cls = _fill_in(origin, alias, arguments)
        origin.__event_specialised__ = {**(known or {}), key: cls}
    return cls


def _fill_in(origin: type[EventShape], alias: object, arguments: tuple[object, ...]) -> type[EventShape]:
    suffix = f"[{', '.join(map(name_of, arguments))}]"
    namespace: dict[str, object] = {
        "__module__": origin.__module__,
        "__qualname__": origin.__qualname__ + suffix,
        "__doc__": origin.__doc__,
        "__orig_bases__": (alias,),
        "__event_origin__": origin.__event_origin__,
        "__event_arguments__": arguments,
    }
    return cast("type[EventShape]", EventMeta(origin.__name__ + suffix, (origin,), namespace))


def blank(origin: type[EventShape], arguments: tuple[object, ...]) -> EventShape:
    """Return an event without fields, for `copy` and `pickle` to fill."""
    cls = cast("type[EventShape]", item_of(origin, arguments)) if arguments else origin
    return cls.__new__(cls)


def computed(event: EventModel) -> dict[str, object]:
    """Return the computed fields that are shown, by name."""
    marks = event.__event_blueprint__.marks
    return {name: getattr(event, name) for name, mark in marks.items() if isinstance(mark, ComputedField) and mark.repr}


def compared(event: EventModel) -> dict[str, object]:
    """Return what counts when events are compared."""
    values = public(event)
    for field in attrs_fields(type(event)):
        if not field.eq:
            _ = values.pop(field.name, None)
    return values


def private(event: EventModel, names: Iterable[str]) -> dict[str, object]:
    """Return private attributes, those not made yet too."""
    return {name: getattr(event, name, MISSING) for name in names}


def known(context: object) -> contextlib.AbstractContextManager[None]:
    """Let validators know the context, if there is one."""
    return contextlib.nullcontext() if context is None else put(validation_context, context)
