"""JSON schemas of event classes, in pydantic's shape."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import inspect
import os
import re
import typing
from collections import abc
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Final, Literal, TypeAlias, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import typing_extensions as te

from bubus._arguments import is_meant
from bubus._constraints import is_constraint, limits_in
from bubus._dump import dump
from bubus._event_dump import return_type
from bubus._fields import alias_value, evaluated
from bubus._foreign import merged_info
from bubus._generics import LITERALS, UNION, UNIONS, WRAPPERS, mapping_of, substitute
from bubus._marks import (
    ComputedField,
    FieldSerializer,
    FieldValidator,
    ModelSerializer,
    ValueSerializer,
    ValueValidator,
)
from bubus._mode import LAX
from bubus._narrow import (
    arguments_of,
    attribute,
    attrs_fields,
    bare,
    dataclass_fields,
    is_class,
    is_dict,
    is_factory,
    is_list_or_tuple,
    is_named_tuple,
    is_type_alias,
    item_of,
    method,
    origin_of,
)
from bubus._pydantic_schema import described
from bubus._pydantic_types import adapter, is_adapted
from bubus._types import MISSING
from bubus._wire_values import ADDRESSES
from bubus.errors import EncodeError, SchemaError

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bubus._field_info import FieldInfo
    from bubus._shape import EventShape

Schema: TypeAlias = dict[str, object]
SchemaMode: TypeAlias = Literal["validation", "serialization"]

_PLAIN: Final[dict[object, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    None: {"type": "null"},
    bytes: {"type": "string", "format": "binary"},
    bytearray: {"type": "string", "format": "binary"},
    dt.date: {"type": "string", "format": "date"},
    dt.datetime: {"type": "string", "format": "date-time"},
    dt.time: {"type": "string", "format": "time"},
    dt.timedelta: {"type": "string", "format": "duration"},
    UUID: {"type": "string", "format": "uuid"},
    complex: {"type": "string"},
    ZoneInfo: {"type": "string", "format": "zoneinfo"},
    re.Pattern: {"type": "string", "format": "regex"},
    os.PathLike: {"type": "string", "format": "path"},
    **{kind: {"type": "string", "format": kind.__name__.lower().removesuffix("address")} for kind in ADDRESSES},
    Any: {},
    te.Any: {},
    object: {},
    typing.Hashable: {},
    abc.Hashable: {},
    te.LiteralString: {"type": "string"},
}
_LISTS: Final = frozenset[object](
    (list, collections.deque, abc.Sequence, abc.MutableSequence, abc.Iterable, abc.Collection)
)
_SETS: Final = frozenset[object]((set, frozenset, abc.Set, abc.MutableSet))
_DICTS: Final = frozenset[object](
    (
        *(dict, collections.OrderedDict, collections.defaultdict, collections.Counter),
        *(abc.Mapping, abc.MutableMapping),
    )
)
_GENERIC: Final = frozenset[object]((re.Pattern, os.PathLike))
_NOT_REQUIRED: Final = frozenset[object]((typing.NotRequired, te.NotRequired))
_TYPE_NAMES: Final[tuple[tuple[type, str], ...]] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (type(None), "null"),
)
_NUMBER_WORDS: Final = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "multiple_of": "multipleOf",
}
_KEY_WORDS: Final = ("$ref", "format", "pattern", "minLength", "maxLength")
_LENGTH_WORDS: Final = {"string": "Length", "array": "Items", "object": "Properties"}


@attrs.define(slots=True, eq=False)
class SchemaMaker:
    """Makes one schema, and collects the definitions that it refers to."""

    mode: SchemaMode
    by_alias: bool
    template: str
    definitions: dict[str, Schema] = attrs.Factory(dict[str, Schema])
    names: dict[object, str] = attrs.Factory(dict[object, str])

    def of(self, annotation: object) -> Schema:
        """
        Return the schema of a type.

        Raises:
            SchemaError: If JSON has no values of it.
        """
        for make in _MAKERS:
            found = make(self, annotation)
            if found is not None:
                return found
        raise SchemaError(
            f"{annotation!r} has no JSON schema; leave such fields out of what is described, or declare another type"
        )

    def reference(self, key: object, name: str, make: Callable[[], Schema]) -> Schema:
        """Return a reference to the definition of *key*, which *make* makes once."""
        found = self.names.get(key)
        if found is None:
            taken = set(self.names.values())
            longer = f"{getattr(key, '__module__', '')}.{getattr(key, '__qualname__', name)}".replace(".", "__")
            found = self.names[key] = longer if name in taken else name
            self.definitions[found] = {}
            self.definitions[found] = make()
        return {"$ref": self.template.format(model=found)}

    def name_of(self, info: FieldInfo, name: str) -> str:
        """Return the name of a field in JSON."""
        if not self.by_alias:
            return name
        if self.mode == "serialization":
            return info.serialization_alias or info.alias or name
        alias = info.validation_alias or info.alias or name
        return alias if isinstance(alias, str) else next((str(path[0]) for path in alias if len(path) == 1), name)


def schema_of(cls: type[EventShape], mode: SchemaMode, template: str, *, by_alias: bool) -> Schema:
    """
    Return the JSON schema of an event class.

    Raises:
        SchemaError: If JSON has no values of a field's type.
    """
    maker = SchemaMaker(mode, by_alias, template)
    reference = maker.of(cls)
    name = maker.names[cls]
    if _refers_to(maker.definitions, str(reference["$ref"])):
        return {"$defs": dict(sorted(maker.definitions.items())), **reference}
    own = maker.definitions.pop(name)
    return {"$defs": dict(sorted(maker.definitions.items())), **own} if maker.definitions else own


def _refers_to(value: object, reference: str) -> bool:
    if is_dict(value):
        return value.get("$ref") == reference or any(_refers_to(item, reference) for item in value.values())
    return is_list_or_tuple(value) and any(_refers_to(item, reference) for item in value)


# -- types -------------------------------------------------------------------------------------------------------------


def _plain(_: SchemaMaker, annotation: object) -> Schema | None:
    try:
        found = _PLAIN.get(annotation)
    except TypeError:  # unhashable, such as Annotated with a list in it
        return None
    return None if found is None else dict(found)


def _foreign(maker: SchemaMaker, annotation: object) -> Schema | None:
    """Let pydantic describe what it checks."""
    if not is_adapted(annotation):
        return None
    # In a list, so that a model is referred to by name.
    made = method(adapter(item_of(list, described(annotation)), "JSON schema", LAX), "json_schema")
    whole = cast("Schema", made(mode=maker.mode, by_alias=maker.by_alias, ref_template=maker.template))
    maker.definitions.update(cast("dict[str, Schema]", whole.get("$defs", {})))
    return cast("Schema", whole["items"])


def _wrapped(maker: SchemaMaker, annotation: object) -> Schema | None:
    if isinstance(annotation, typing.NewType):
        return maker.of(annotation.__supertype__)
    if isinstance(annotation, typing.TypeVar):
        constraints = annotation.__constraints__
        return maker.of(item_of(UNION, constraints) if constraints else annotation.__bound__ or Any)
    origin, arguments = origin_of(annotation), arguments_of(annotation)
    alias = origin or annotation
    if is_type_alias(alias):
        value = alias_value(annotation)
        return maker.reference(annotation, alias.__name__, lambda: maker.of(value))
    return maker.of(arguments[0]) if origin in WRAPPERS else None


def _annotated(maker: SchemaMaker, annotation: object) -> Schema | None:
    if origin_of(annotation) is not typing.Annotated:
        return None
    info = merged_info(annotation, None)
    return {**_described(maker, info.annotation, info.metadata), **facts_of(info)}


def _described(maker: SchemaMaker, kind: object, items: tuple[object, ...]) -> Schema:
    """Return the schema of a type with the items of its Annotated."""
    if items and is_adapted(typing.Annotated[kind, *items]):
        return maker.of(typing.Annotated[kind, *items])
    dumped = [item for item in items if isinstance(item, ValueSerializer)]
    if maker.mode == "serialization" and dumped and dumped[-1].return_type is not MISSING:
        return maker.of(dumped[-1].return_type)
    if maker.mode == "validation" and any(isinstance(item, ValueValidator) and item.mode == "plain" for item in items):
        return {}
    limits = limits_in([item for item in items if is_constraint(item)])
    extra: Schema = {}
    for item in items:
        extra.update(_meta_facts(item))
    members = arguments_of(kind) if origin_of(kind) in UNIONS else ()
    if type(None) in members and len(members) == 2:  # noqa: PLR2004 - limits are those of the type beside None
        parts = [maker.of(one) if one is type(None) else _limited(maker, one, limits) for one in members]
        return {"anyOf": parts, **extra}
    return {**_limited(maker, kind, limits), **extra}


def _meta_facts(item: object) -> Schema:
    """Return what a msgspec.Meta says beside limits."""
    if not isinstance(item, msgspec.Meta):
        return {}
    facts: Schema = {"title": item.title, "description": item.description, "examples": item.examples}
    more: Schema = item.extra_json_schema or {}
    return {**{name: fact for name, fact in facts.items() if fact is not None}, **more}


def _limited(maker: SchemaMaker, kind: object, limits: dict[str, object]) -> Schema:
    schema = maker.of(kind)
    if kind is Decimal:
        return _limited_decimal(schema, limits)
    kind_name = str(schema.get("type", ""))
    if kind_name in ("integer", "number"):
        return {**schema, **{word: limits[name] for name, word in _NUMBER_WORDS.items() if name in limits}}
    if "pattern" in limits and kind_name == "string":
        schema["pattern"] = getattr(limits["pattern"], "pattern", limits["pattern"])
    if kind_name in _LENGTH_WORDS:
        word = _LENGTH_WORDS[kind_name]
        schema |= {f"{end}{word}": limits[f"{end}_length"] for end in ("min", "max") if f"{end}_length" in limits}
    return schema


def _members(schema: Schema) -> list[Schema]:
    """Return the schemas of which one must fit."""
    return cast("list[Schema]", schema.get("anyOf", []))


def _limited_decimal(schema: Schema, limits: dict[str, object]) -> Schema:
    if "anyOf" in schema:
        words = {word: float(cast("float", limits[name])) for name, word in _NUMBER_WORDS.items() if name in limits}
        first, *others = _members(schema)
        schema["anyOf"] = [{**first, **words}, *others]
    return schema


def _decimal(maker: SchemaMaker, annotation: object) -> Schema | None:
    if annotation is not Decimal:
        return None
    if maker.mode == "serialization":
        return {"type": "string"}
    return {"anyOf": [{"type": "number"}, {"type": "string"}]}


def _union(maker: SchemaMaker, annotation: object) -> Schema | None:
    if origin_of(annotation) not in UNIONS:
        return None
    found: list[Schema] = []
    for argument in arguments_of(annotation):
        schema = maker.of(argument)
        if schema not in found:
            found.append(schema)
    return found[0] if len(found) == 1 else {"anyOf": found}


def _literal(_: SchemaMaker, annotation: object) -> Schema | None:
    if origin_of(annotation) not in LITERALS:
        return None
    values = [attribute(one, "value") if isinstance(one, enum.Enum) else one for one in arguments_of(annotation)]
    return {"const": values[0], **_type_of(values)} if len(values) == 1 else {"enum": values, **_type_of(values)}


def _type_of(values: list[object]) -> Schema:
    """Return the type that all values have, nothing if they differ."""
    names = {next((name for kind, name in _TYPE_NAMES if isinstance(value, kind)), None) for value in values}
    return {"type": name} if len(names) == 1 and (name := names.pop()) is not None else {}


def _enum(maker: SchemaMaker, annotation: object) -> Schema | None:
    if not is_class(annotation) or not issubclass(annotation, enum.Enum):
        return None
    members = [attribute(member, "value") for member in annotation]

    def make() -> Schema:
        return {"enum": members, "title": annotation.__name__, **_type_of(members), **_doc(annotation)}

    return maker.reference(annotation, annotation.__name__, make)


def _doc(kind: type) -> Schema:
    """Return the description in a class' own docstring; one that a dataclass or a NamedTuple writes is none."""
    text: str | None = kind.__dict__.get("__doc__")
    return {"description": inspect.cleandoc(text)} if text and not text.startswith(f"{kind.__name__}(") else {}


def _fraction(maker: SchemaMaker, annotation: object) -> Schema | None:
    if annotation is not Fraction:
        return None
    text: Schema = {"type": "string", "format": "fraction"}
    return text if maker.mode == "serialization" else {"anyOf": [{"type": "number"}, text]}


def _generic(_: SchemaMaker, annotation: object) -> Schema | None:
    origin = origin_of(annotation)
    return dict(_PLAIN[origin]) if origin in _GENERIC else None


def _path(_: SchemaMaker, annotation: object) -> Schema | None:
    is_path = is_class(annotation) and issubclass(annotation, PurePath)
    return {"type": "string", "format": "path"} if is_path else None


def _list(maker: SchemaMaker, annotation: object) -> Schema | None:
    kind = bare(annotation)
    if not is_class(kind) or (kind not in _LISTS and kind not in _SETS):
        return None
    (item,) = arguments_of(annotation) or (Any,)
    unique: Schema = {"uniqueItems": True} if kind in _SETS else {}
    return {"type": "array", "items": maker.of(item), **unique}


def _tuple(maker: SchemaMaker, annotation: object) -> Schema | None:
    if (bare(annotation)) is not tuple:
        return None
    arguments = arguments_of(annotation)
    if annotation is tuple or (len(arguments) == 2 and arguments[1] is ...):  # noqa: PLR2004 - tuple[X, ...]
        return {"type": "array", "items": maker.of(arguments[0] if arguments else Any)}
    return _fixed([maker.of(argument) for argument in arguments], len(arguments))


def _fixed(items: list[Schema], least: int) -> Schema:
    some: Schema = {"prefixItems": items} if items else {}
    return {"type": "array", "minItems": least, "maxItems": len(items), **some}


def _dict(maker: SchemaMaker, annotation: object) -> Schema | None:
    kind = bare(annotation)
    if not is_class(kind) or kind not in _DICTS:
        return None
    arguments = arguments_of(annotation)
    if kind is collections.Counter:
        arguments = (*(arguments or (Any,)), int)
    key, value = arguments or (Any, Any)
    names = {word: fact for word, fact in maker.of(key).items() if word in _KEY_WORDS}
    special: Schema = {"propertyNames": names} if names else {}
    return {"type": "object", "additionalProperties": maker.of(value) or True, **special}


def _live(_: SchemaMaker, annotation: object) -> Schema | None:
    return {} if (bare(annotation)) is type else None


# -- records -----------------------------------------------------------------------------------------------------------

Part: TypeAlias = tuple[str, object, object, bool]
"""Name, type, default (MISSING if there is none to show), and whether it is required."""


def _record(maker: SchemaMaker, annotation: object) -> Schema | None:
    """Describe TypedDicts, NamedTuples, dataclasses, attrs classes and Structs."""
    kind = bare(annotation)
    parts = next((read for fits, read in _RECORDS if fits(kind)), None)
    if parts is None or not isinstance(kind, type):
        return None
    mapping = mapping_of(kind, arguments_of(annotation))
    hints = {name: substitute(hint, mapping) for name, hint in evaluated(kind).items()}
    make = _tuple_of_parts if is_named_tuple(kind) else _object_of_parts
    return maker.reference(annotation, kind.__name__, lambda: make(maker, kind, list(parts(kind, hints))))


def _object_of_parts(maker: SchemaMaker, kind: type, parts: list[Part]) -> Schema:
    properties = {name: _part(maker, name, hint, default) for name, hint, default, _ in parts}
    required = [name for name, _, _, needed in parts if needed]
    return {
        "type": "object",
        "title": kind.__name__,
        "properties": properties,
        **({"required": required} if required else {}),
        **_doc(kind),
    }


def _tuple_of_parts(maker: SchemaMaker, _: type, parts: list[Part]) -> Schema:
    items = [_part(maker, name, hint, default) for name, hint, default, _ in parts]
    return _fixed(items, sum(needed for *_, needed in parts))


def _part(maker: SchemaMaker, name: str, hint: object, default: object) -> Schema:
    return {**titled(maker.of(hint), name), **default_of(default)}


def _keys(kind: type, hints: dict[str, object]) -> abc.Iterable[Part]:
    optional = {name for name, hint in hints.items() if origin_of(hint) in _NOT_REQUIRED}
    required = cast("frozenset[str]", attribute(kind, "__required_keys__")) - optional
    return ((name, hint, MISSING, name in required) for name, hint in hints.items())


def _places(kind: type, hints: dict[str, object]) -> abc.Iterable[Part]:
    defaults = cast("Mapping[str, object]", attribute(kind, "_field_defaults"))
    names = cast("tuple[str, ...]", attribute(kind, "_fields"))
    return ((name, hints.get(name, Any), defaults.get(name, MISSING), name not in defaults) for name in names)


def _dataclass_fields(kind: type, hints: dict[str, object]) -> abc.Iterable[Part]:
    for field in dataclass_fields(kind):
        if field.init:
            own = attribute(field, "default")
            default = MISSING if own is dataclasses.MISSING else own
            required = default is MISSING and field.default_factory is dataclasses.MISSING
            yield field.name, hints[field.name], default, required


def _attrs_fields(kind: type, hints: dict[str, object]) -> abc.Iterable[Part]:
    for field in attrs_fields(kind):
        if field.init:
            default: object = field.default
            shown = MISSING if default is attrs.NOTHING or is_factory(default) else default
            yield field.alias or field.name, hints.get(field.name, Any), shown, default is attrs.NOTHING


def _struct_fields(kind: type, hints: dict[str, object]) -> abc.Iterable[Part]:
    for field in msgspec.structs.fields(cast("type[msgspec.Struct]", kind)):
        own = attribute(field, "default")
        default = MISSING if own is msgspec.NODEFAULT else own
        yield field.encode_name, hints.get(field.name, Any), default, field.required


_RECORDS: Final[
    tuple[tuple[Callable[[object], bool], Callable[[type, dict[str, object]], abc.Iterable[Part]]], ...]
] = (
    (te.is_typeddict, _keys),
    (is_named_tuple, _places),
    (lambda kind: is_class(kind) and issubclass(kind, msgspec.Struct), _struct_fields),
    (lambda kind: is_class(kind) and attrs.has(kind), _attrs_fields),
    (lambda kind: is_class(kind) and dataclasses.is_dataclass(kind), _dataclass_fields),
)


# -- events ------------------------------------------------------------------------------------------------------------


def _event(maker: SchemaMaker, annotation: object) -> Schema | None:
    origin = origin_of(annotation)
    kind = item_of(origin, arguments_of(annotation)) if hasattr(origin, "__event_from__") else annotation
    if not hasattr(kind, "__event_from__"):
        return None
    cls = cast("type[EventShape]", kind)
    return maker.reference(cls, cls.__name__, lambda: _event_now(maker, cls))


def _event_now(maker: SchemaMaker, cls: type[EventShape]) -> Schema:
    marks, config = cls.__event_blueprint__.marks, cls.model_config
    whole = [(name, mark) for name, mark in marks.items() if isinstance(mark, ModelSerializer)]
    if maker.mode == "serialization" and whole:
        returned = return_type(cls, whole[-1][0], whole[-1][1].return_type)
        return maker.of(Any if returned is MISSING else returned)
    schema = _extended(_object(maker, cls), config.get("json_schema_extra"))
    if config.get("title"):
        schema["title"] = config["title"]
    extra = config.get("extra", "allow")
    return {**schema, **({} if extra in ("ignore", None) else {"additionalProperties": extra == "allow"}), **_doc(cls)}


def _object(maker: SchemaMaker, cls: type[EventShape]) -> Schema:
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for name, info in cls.model_fields.items():
        if info.exclude and maker.mode == "serialization":
            continue
        key = maker.name_of(info, name)
        properties[key] = _field(maker, cls, name, key, info)
        required += [key] * info.is_required()
    if maker.mode == "serialization":
        for name, mark in cls.model_computed_fields.items():
            key = mark.alias or name if maker.by_alias else name
            properties[key] = _computed(maker, cls, name, key, mark)
            required.append(key)
    some: Schema = {"required": required} if required else {}
    return {"type": "object", "title": cls.__name__, "properties": properties, **some}


def _field(maker: SchemaMaker, cls: type[EventShape], name: str, key: str, info: FieldInfo) -> Schema:
    try:
        base, by_function = _base(maker, cls, name, info)
    except SchemaError as error:
        raise SchemaError(f"{cls.__qualname__}.{name}: {error}") from None
    schema = {**titled(base, key), **facts_of(info)}
    if not by_function and info.default_factory is None:
        schema |= default_of(info.default)
    return _extended(schema, info.json_schema_extra)


def _base(maker: SchemaMaker, cls: type[EventShape], name: str, info: FieldInfo) -> tuple[Schema, bool]:
    """Return the schema of a field's type, or of what its serializer returns, and whether it is that."""
    for function, mark in cls.__event_blueprint__.marks.items():
        if maker.mode == "serialization" and isinstance(mark, FieldSerializer) and is_meant(name, mark.fields):
            returned = return_type(cls, function, mark.return_type)
            if returned is not MISSING and mark.when_used != "unless-none":
                return maker.of(returned), True
        replaces = isinstance(mark, FieldValidator) and mark.mode == "plain" and is_meant(name, mark.fields)
        if maker.mode == "validation" and replaces:
            return {}, False
    return _described(maker, info.annotation, info.metadata), False


def _computed(maker: SchemaMaker, cls: type[EventShape], name: str, key: str, mark: ComputedField) -> Schema:
    returned = return_type(cls, name, mark.return_type)
    schema = titled(maker.of(Any if returned is MISSING else returned), key)
    facts: Schema = {"title": mark.title, "description": mark.description, "examples": mark.examples}
    schema |= {name: fact for name, fact in facts.items() if fact is not None}
    schema |= {"deprecated": True} if mark.deprecated else {}
    return _extended({**schema, "readOnly": True}, mark.json_schema_extra)


def facts_of(info: FieldInfo) -> Schema:
    """Return what is said of a field for its readers."""
    facts: Schema = {"title": info.title, "description": info.description, "examples": info.examples}
    found = {name: fact for name, fact in facts.items() if fact is not None}
    return {**found, "deprecated": True} if info.deprecated else found


def titled(schema: Schema, name: str) -> Schema:
    """Return a schema with a title made of a name, unless it refers to one that has a title of its own."""
    others = [one for one in _members(schema) if one != {"type": "null"}]
    referring = "$ref" in schema or (len(others) == 1 and "$ref" in others[0])
    return schema if referring or "title" in schema else {**schema, "title": name.title().replace("_", " ").strip()}


def default_of(default: object) -> Schema:
    """Return the default as JSON has it, nothing if it has none."""
    if default is MISSING:
        return {}
    try:
        return {"default": dump(default, json=True)}
    except EncodeError:
        return {}


def _extended(schema: Schema, extra: object) -> Schema:
    """Return a schema with what the user adds: a dict, or a function that changes it."""
    if callable(extra):
        _ = extra(schema)
        return schema
    return {**schema, **cast("Schema", extra or {})}


_MAKERS: Final[tuple[Callable[[SchemaMaker, object], Schema | None], ...]] = (
    _plain,
    _foreign,
    _decimal,
    _wrapped,
    _annotated,
    _union,
    _literal,
    _enum,
    _path,
    _fraction,
    _generic,
    _list,
    _tuple,
    _dict,
    _live,
    _event,
    _record,
)
"""Each looks at an annotation and describes it, or leaves it to the next."""
