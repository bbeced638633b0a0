"""What of pydantic a program has imported. It is never imported here: whoever uses its objects has done so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, cast

from typing_extensions import override

from bubus.errors import MissingExtraError

if TYPE_CHECKING:
    from pydantic.errors import PydanticUserError
    from pydantic_core import (
        PydanticCustomError,
        PydanticKnownError,
        PydanticSerializationUnexpectedValue,
        SchemaError,
        ValidationError,
    )

    from bubus._picks import IncEx

_OLDEST: Final = (2, 11)
_SOURCES: Final = ("pydantic", "pydantic_core")
_MARKS: Final = ("__get_pydantic_core_schema__", "__pydantic_validator__", "__pydantic_config__")

Schema: TypeAlias = dict[str, object]
"""A schema of pydantic's core, or a JSON schema."""

_Make: TypeAlias = Callable[..., object]
_MakeSchema: TypeAlias = Callable[..., Schema]


class Serializer(Protocol):
    """What writes values of a class."""

    def to_python(self, value: object, /, **options: object) -> object:
        """Return *value* as plain data."""
        ...


class Adapter(Protocol):
    """A TypeAdapter: it checks and writes values of a type."""

    serializer: Serializer

    def validate_python(self, value: object, /, **options: object) -> object:
        """Return the value to keep."""
        ...

    def validate_json(self, text: bytes, /, **options: object) -> object:
        """Return the value to keep of what *text* says."""
        ...

    def dump_python(self, value: object, /, **options: object) -> object:
        """Return *value* as plain data."""
        ...


class SchemaHandler(Protocol):
    """What pydantic hands to `__get_pydantic_core_schema__`."""

    def generate_schema(self, kind: object, /) -> Schema:
        """Return the schema of a type."""
        ...


class SerializationInfo(Protocol):
    """What pydantic hands to a serializer."""

    mode: str
    include: IncEx
    exclude: IncEx


class ValidationInfo(Protocol):
    """What pydantic hands to a validator."""

    mode: Literal["python", "json"]


class JsonSchemaHandler(Protocol):
    """What pydantic hands to `__get_pydantic_json_schema__`."""

    def __call__(self, schema: object, /) -> Schema:
        """Return the JSON schema that *schema* stands for."""
        ...

    def resolve_ref_schema(self, schema: Schema, /) -> Schema:
        """Return the schema that *schema* refers to."""
        ...


class _Fields(Protocol):
    FieldInfo: type
    ModelPrivateAttr: type


class Pydantic(Protocol):
    """What is used of the module pydantic."""

    fields: _Fields
    AfterValidator: type
    AliasChoices: type
    AliasPath: type
    AllowInfNan: type
    BeforeValidator: type
    Discriminator: _Make
    FailFast: type
    Field: _Make
    PlainSerializer: type
    PlainValidator: type
    PydanticUserError: type[PydanticUserError]
    Strict: type
    StringConstraints: type
    TypeAdapter: Callable[..., Adapter]
    WrapSerializer: type
    WrapValidator: type
    model_validator: Callable[..., _Make]

    @override
    def __hash__(self) -> int: ...


class Schemas(Protocol):
    """What is used of the module pydantic_core.core_schema."""

    definition_reference_schema: _MakeSchema
    is_instance_schema: _MakeSchema
    lax_or_strict_schema: _MakeSchema
    no_info_plain_validator_function: _MakeSchema
    plain_serializer_function_ser_schema: _MakeSchema
    typed_dict_field: _MakeSchema
    typed_dict_schema: _MakeSchema
    with_default_schema: _MakeSchema
    with_info_wrap_validator_function: _MakeSchema


class Core(Protocol):
    """What is used of the module pydantic_core."""

    core_schema: Schemas
    PydanticCustomError: type[PydanticCustomError]
    PydanticKnownError: type[PydanticKnownError]
    PydanticSerializationUnexpectedValue: type[PydanticSerializationUnexpectedValue]
    PydanticUndefined: object
    SchemaError: type[SchemaError]
    ValidationError: type[ValidationError]
    to_json: Callable[[object], bytes]


def pydantic() -> Pydantic | None:
    """
    Return the module pydantic if the program has imported it, else None.

    Raises:
        MissingExtraError: If it is too old to be used.
    """
    module = sys.modules.get("pydantic")
    version: str | None = getattr(module, "VERSION", None)  # not there while it is being imported
    if version is not None and tuple(map(int, version.split(".")[:2])) < _OLDEST:
        raise MissingExtraError(
            f"pydantic {version} is too old for its objects in events; there must be 2.11 or later: "
            + "pip install -U 'bubus[pydantic]'"
        )
    return cast("Pydantic", cast("object", module)) if version is not None else None


def present() -> Pydantic:
    """Return the module pydantic where something of it was met: so the program has imported it."""
    return cast("Pydantic", pydantic())


def core() -> Core:
    """Return the module pydantic_core where something of pydantic was met."""
    return cast("Core", cast("object", sys.modules["pydantic_core"]))


def is_foreign(kind: object) -> bool:
    """Tell whether *kind* is a class, none of bubus, that pydantic brings, or that tells pydantic how to check it."""
    if hasattr(kind, "__event_origin__") or _module(getattr(kind, _MARKS[0], None)).startswith("bubus."):
        return False  # events and buses are the same whether pydantic is imported or not
    return any(hasattr(kind, mark) for mark in _MARKS) or _module(kind).partition(".")[0] in _SOURCES


def _module(kind: object) -> str:
    module: object = getattr(kind, "__module__", None)
    return module if isinstance(module, str) else ""
