"""
pydantic's words in a class body or an annotation, as the records of bubus.

Its decorators, its `Field` and `PrivateAttr`, and the items of an `Annotated` that bubus has too. Others stay what they
are: `bubus._pydantic_types` leaves values of such types to pydantic.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, cast

from bubus._aliases import lookups
from bubus._field_info import FieldInfo
from bubus._marks import (
    ComputedField,
    FieldSerializer,
    FieldValidator,
    Limits,
    Mark,
    Marked,
    ModelSerializer,
    ModelValidator,
    Private,
    ValueSerializer,
    ValueValidator,
)
from bubus._narrow import attribute, attrs_fields, kind_of, made
from bubus._pydantic import core, present, pydantic
from bubus._types import MISSING
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bubus._marks import SerializerMode, ValidatorMode, WhenUsed
    from bubus._pydantic import Pydantic

_SAID: Final = (
    "default",
    "default_factory",
    "alias",
    "title",
    "description",
    "examples",
    "exclude",
    "exclude_if",
    "deprecated",
    "json_schema_extra",
    "frozen",
    "validate_default",
)
"""Attributes of a field's description that mean the same in both libraries; None is not said."""

_LIMITS: Final = frozenset(field.name for field in attrs_fields(Limits))

ModelMode: TypeAlias = Literal["before", "wrap", "after"]


class _WithFunction(Protocol):
    func: Callable[..., object]


class _Serializes(_WithFunction, Protocol):
    when_used: WhenUsed
    return_type: object


class _PrivateAttribute(Protocol):
    default: object
    default_factory: Callable[[], object] | None


class _Field(Protocol):
    """What is used of pydantic's FieldInfo."""

    alias: str | None
    discriminator: object
    field_title_generator: object
    metadata: list[object]
    repr: bool


class _Decorator(Protocol):
    """What a decorator of pydantic was told; each kind has some of it."""

    decorator_repr: str
    fields: tuple[str, ...]
    mode: str
    check_fields: bool | None
    when_used: WhenUsed
    return_type: object


class _Proxy(Protocol):
    """What a decorator of pydantic leaves in a class body."""

    decorator_info: _Decorator
    wrapped: object


def in_own_words(value: object) -> object:
    """
    Return the record that says the same as *value* from pydantic, or *value* itself.

    Raises:
        DefinitionError: If it is of pydantic and has no meaning in an event.
    """
    module = pydantic()
    if module is None:
        return value
    for kind, translate in _translations(module).items():
        if isinstance(value, kind):
            return translate(value)
    return value


@functools.cache
def _translations(module: Pydantic) -> Mapping[type, Callable[..., object]]:
    """Return what translates the instances of each class of pydantic."""
    general = kind_of(cast("_Field", module.Field(pattern="x")).metadata[0])
    proxy = kind_of(module.model_validator(mode="after")(_known))
    return {
        proxy: _decorated,
        module.fields.FieldInfo: _field,
        module.fields.ModelPrivateAttr: _private,
        module.AliasChoices: lookups,
        module.AliasPath: lookups,
        module.BeforeValidator: _validator("before"),
        module.AfterValidator: _validator("after"),
        module.WrapValidator: _validator("wrap"),
        module.PlainValidator: _validator("plain"),
        module.PlainSerializer: _serializer("plain"),
        module.WrapSerializer: _serializer("wrap"),
        module.StringConstraints: _limits,
        module.Strict: _limits,
        module.AllowInfNan: _limits,
        module.FailFast: _limits,
        general: _limits,
    }


def _validator(mode: ValidatorMode) -> Callable[[_WithFunction], ValueValidator]:
    return lambda one: ValueValidator(one.func, mode)


def _serializer(mode: SerializerMode) -> Callable[[_Serializes], ValueSerializer]:
    return lambda one: ValueSerializer(one.func, mode, one.when_used, _known(one.return_type))


def _known(value: object) -> object:
    """Return *value*, with the mark of bubus for what is not given in place of pydantic's."""
    return MISSING if value is core().PydanticUndefined else value


def _limits(item: object) -> object:
    """Return the limits in *item*, or itself if there is one that bubus does not have."""
    values: dict[str, object] = getattr(item, "__dict__", {})
    said = {name: value for name, value in values.items() if value is not None}
    return made(Limits, said) if said.keys() <= _LIMITS else item


def _private(attribute: _PrivateAttribute) -> Private:
    return Private(_known(attribute.default), attribute.default_factory)


# -- fields ------------------------------------------------------------------------------------------------------------


def _field(info: _Field) -> FieldInfo:
    values = {name: _known(getattr(info, name, None)) for name in _SAID}
    facts = {name: value for name, value in values.items() if value is not MISSING and value is not None}
    if values["default"] is None:
        facts["default"] = None
    if not info.repr:
        facts["repr"] = False
    facts |= _aliases(info)
    metadata = [*info.metadata, *_discriminator(info)]
    _refuse_unknown(info)
    return FieldInfo.said(**facts, metadata=tuple(map(in_own_words, metadata)))


def _aliases(info: _Field) -> dict[str, object]:
    """Return the aliases that differ from `alias`, which pydantic puts in their places."""
    names = ("validation_alias", "serialization_alias")
    return {
        name: in_own_words(value)
        for name in names
        if (value := attribute(info, name)) is not None and value != info.alias
    }


def _discriminator(info: _Field) -> list[object]:
    found = info.discriminator
    if isinstance(found, str):
        return [present().Discriminator(found)]
    return [] if found is None else [found]


def _refuse_unknown(info: _Field) -> None:
    if info.field_title_generator is not None:
        raise DefinitionError("pydantic.Field(field_title_generator=…) is not known to bubus; give the field a title")


# -- decorators --------------------------------------------------------------------------------------------------------


def _decorated(proxy: _Proxy) -> Marked:
    info = proxy.decorator_info
    mark = _MARKS.get(info.decorator_repr)
    if mark is None:
        raise DefinitionError(
            f"{info.decorator_repr} is a decorator of pydantic 1; use @field_validator or @model_validator"
        )
    function: object = getattr(info, "wrapped_property", proxy.wrapped)
    return Marked(function, mark(info))


def _computed(info: _Decorator) -> ComputedField:
    names = ("alias", "title", "description", "deprecated", "examples", "json_schema_extra", "repr")
    facts = {name: attribute(info, name) for name in names}
    return made(ComputedField, {"return_type": _known(info.return_type), **facts})


_MARKS: Final[Mapping[str, Callable[[_Decorator], Mark]]] = {
    "@field_validator": lambda info: FieldValidator(
        tuple(info.fields), cast("ValidatorMode", info.mode), info.check_fields
    ),
    "@model_validator": lambda info: ModelValidator(cast("ModelMode", info.mode)),
    "@field_serializer": lambda info: FieldSerializer(
        tuple(info.fields),
        cast("SerializerMode", info.mode),
        info.when_used,
        _known(info.return_type),
        info.check_fields,
    ),
    "@model_serializer": lambda info: ModelSerializer(
        cast("SerializerMode", info.mode), info.when_used, _known(info.return_type)
    ),
    "@computed_field": _computed,
}
