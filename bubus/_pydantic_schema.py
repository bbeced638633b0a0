"""
Events and buses inside pydantic: what `__get_pydantic_core_schema__` returns, so that a model, a TypeAdapter or FastAPI
can have them as types.

The event validates and dumps itself. Its fields are told to pydantic for the JSON schema and for discriminators only.
"""

from __future__ import annotations

import inspect
import typing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec

from bubus._config import title_of
from bubus._dump import Options
from bubus._faults import Invalid, refuse
from bubus._fields import evaluated
from bubus._mode import LAX, LAX_JSON, STRICT, STRICT_JSON, WIRE
from bubus._narrow import attribute, attrs_fields, made
from bubus._picks import picks_of
from bubus._pydantic import core, present
from bubus._pydantic_bridge import bridged
from bubus._pydantic_values import in_log, refuse_other, serializer_of
from bubus._types import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bubus._field_info import FieldInfo
    from bubus._pydantic import (
        JsonSchemaHandler,
        Schema,
        SchemaHandler,
        Schemas,
        SerializationInfo,
        Serializer,
        ValidationInfo,
    )
    from bubus._shape import EventShape

_NOTHING: Final[frozenset[object]] = frozenset()
_open: Final[ContextVar[frozenset[object]]] = ContextVar("bubus_open_schemas", default=_NOTHING)
"""Event classes whose schema is being made: within it, a class refers to itself by name."""

_PLAIN: Final = {ord("["): "_", ord("]"): "_", ord(" "): None}
"""What makes the name of a class with type arguments one that pydantic takes apart as it should."""

_SHOWN: Final = ("title", "description", "examples", "deprecated", "json_schema_extra")
_OPTIONS: Final = tuple(field.name for field in attrs_fields(Options) if field.name not in {"json", "style"})


def event_schema(cls: type[EventShape], handler: SchemaHandler) -> Schema:
    """Return pydantic's schema of an event class."""
    schemas = core().core_schema
    return _opened(cls, lambda ref: _event_schema(cls, handler, schemas, ref))


def _opened(kind: type, make: Callable[[str], Schema]) -> Schema:
    """Return the schema that *make* makes under a name; while it runs, that name stands for its coming result."""
    ref = f"{kind.__module__}.{kind.__qualname__}:{id(kind)}".translate(_PLAIN)
    if kind in _open.get():
        return core().core_schema.definition_reference_schema(ref)
    token = _open.set(_open.get() | {kind})
    try:
        return make(ref)
    finally:
        _open.reset(token)


def _event_schema(cls: type[EventShape], handler: SchemaHandler, schemas: Schemas, ref: str) -> Schema:
    fields = _fields_schema(cls, handler, schemas)
    lax, strict = (
        schemas.with_info_wrap_validator_function(_validating(cls, strict=strict), fields) for strict in (False, True)
    )
    serialize = schemas.plain_serializer_function_ser_schema(_dump_as(cls), info_arg=True)
    return schemas.lax_or_strict_schema(lax, strict, ref=ref, serialization=serialize)


def _validating(cls: type[EventShape], *, strict: bool) -> Callable[[object, object, ValidationInfo], object]:
    from_python, from_json = (STRICT, STRICT_JSON) if strict else (LAX, LAX_JSON)

    def validate(value: object, _: object, info: ValidationInfo) -> object:
        mode = WIRE if in_log.get() else from_json if info.mode == "json" else from_python
        try:
            return cls.__event_from__(value, mode)
        except Invalid as invalid:
            raise refuse(title_of(cls), invalid.faults) from None

    return validate


def _dump_as(cls: type[EventShape]) -> Callable[[EventShape, SerializationInfo], object]:
    """Return the function that dumps an event where *cls* is declared: no field that only a subclass has, as always."""

    def write(event: EventShape, info: SerializationInfo) -> object:
        refuse_other(event, cls)
        if in_log.get():
            return event.__event_write__()
        options: dict[str, object] = {name: getattr(info, name, None) for name in _OPTIONS}
        said = {name: value for name, value in options.items() if value is not None}
        chosen = made(Options, {"json": info.mode == "json", **said})
        return cls.__event_dump_as__(event, chosen, picks_of(info.include, info.exclude))

    return write


# -- what the JSON schema and discriminators are made of ---------------------------------------------------------------


def _fields_schema(cls: type[EventShape], handler: SchemaHandler, schemas: Schemas) -> Schema:
    extra = cls.model_config.get("extra", "allow")
    fields = {name: _field_schema(info, handler, schemas) for name, info in cls.model_fields.items()}
    return schemas.typed_dict_schema(fields, extra_behavior=extra, cls_name=cls.__name__)


def _field_schema(info: FieldInfo, handler: SchemaHandler, schemas: Schemas) -> Schema:
    shown = {name: value for name in _SHOWN if (value := attribute(info, name)) is not None}
    schema = handler.generate_schema(typing.Annotated[described(info.full_annotation), present().Field(**shown)])
    if not info.is_required():
        default = (
            {"default": info.default} if info.default is not MISSING else {"default_factory": info.default_factory}
        )
        schema = schemas.with_default_schema(schema, **default)
    alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
    return schemas.typed_dict_field(
        schema,
        required=info.is_required(),
        validation_alias=alias,
        serialization_alias=info.serialization_alias or info.alias,
        serialization_exclude=info.exclude,
    )


def described(annotation: object) -> object:
    """Return *annotation* with what pydantic must be told to describe it by a JSON schema."""
    return bridged(annotation, _beside)


def _beside(annotation: object) -> object:
    """Return what tells pydantic the fields of a class that only bubus knows; events tell them by themselves."""
    kind = typing.get_origin(annotation) or annotation
    return None if hasattr(kind, "__event_origin__") else _Described(cast("type", kind))


@attrs.frozen(slots=True, eq=False)
class _Described:
    """In an Annotated for pydantic's JSON schema: an attrs class or a Struct."""

    kind: type

    def __get_pydantic_core_schema__(self, _: object, handler: SchemaHandler) -> Schema:
        schemas = core().core_schema
        return _opened(self.kind, lambda ref: _record_schema(self.kind, handler, schemas, ref))


def _record_schema(kind: type, handler: SchemaHandler, schemas: Schemas, ref: str) -> Schema:
    hints = evaluated(kind)
    fields = {
        key: schemas.typed_dict_field(handler.generate_schema(described(hints[name])), required=required)
        for key, name, required in _record_fields(kind)
    }
    return schemas.typed_dict_schema(fields, cls_name=kind.__name__, ref=ref, config={"title": kind.__name__})


def _record_fields(kind: type) -> list[tuple[str, str, bool]]:
    """Return of each field of a record its key in a dict, its name, and whether it has no default."""
    if attrs.has(kind):
        own = [field for field in attrs_fields(kind) if field.init]
        return [(field.alias or field.name, field.name, field.default is attrs.NOTHING) for field in own]
    fields = msgspec.structs.fields(cast("type[msgspec.Struct]", kind))
    return [(field.encode_name, field.name, field.required) for field in fields]


def event_serializer(cls: type[EventShape]) -> Serializer:
    """
    Return pydantic's serializer of an event class.

    Raises:
        AttributeError: If pydantic is not imported.
    """
    found = serializer_of(cls)
    if found is None:
        raise AttributeError("there is a serializer of pydantic only where pydantic is imported")
    return found


def event_json_schema(cls: type[EventShape], schema: object, handler: JsonSchemaHandler) -> Schema:
    """Return the JSON schema of an event class, for *schema* as `event_schema` made it."""
    found = handler(schema)
    own = handler.resolve_ref_schema(found)
    own["title"] = cls.model_config.get("title") or cls.__name__
    extra = cls.model_config.get("extra", "allow")
    if extra != "ignore":
        own["additionalProperties"] = extra == "allow"
    description = inspect.cleandoc(cls.__doc__ or "")
    if description:
        own["description"] = description
    return found


def bus_schema(cls: type) -> Schema:
    """Return pydantic's schema of a class of buses: an instance, which JSON shows by its name."""
    schemas = core().core_schema
    serialize = schemas.plain_serializer_function_ser_schema(_name_of, when_used="json")
    return schemas.is_instance_schema(cls, serialization=serialize)


def _name_of(bus: object) -> object:
    return attribute(bus, "name")
