"""
pydantic's words in a class body or an annotation, as the records of bubus.

Its decorators, its `Field` and `PrivateAttr`, and the items of an `Annotated` that bubus has too. Others stay what they
are: `bubus._pydantic_types` leaves values of such types to pydantic.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Final

import attrs

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
from bubus._narrow import kind_of
from bubus._pydantic import present, pydantic
from bubus._types import MISSING
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bubus._marks import ValidatorMode

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

_LIMITS: Final = frozenset(field.name for field in attrs.fields(Limits))


def in_own_words(value: Any) -> Any:
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
def _translations(module: Any) -> Mapping[type, Callable[[Any], Any]]:
    """Return what translates the instances of each class of pydantic."""
    general: Any = kind_of(module.Field(pattern="x").metadata[0])
    proxy: Any = kind_of(module.model_validator(mode="after")(_known))
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
        module.PlainSerializer: lambda one: ValueSerializer(one.func, "plain", one.when_used, _known(one.return_type)),
        module.WrapSerializer: lambda one: ValueSerializer(one.func, "wrap", one.when_used, _known(one.return_type)),
        module.StringConstraints: _limits,
        module.Strict: _limits,
        module.AllowInfNan: _limits,
        module.FailFast: _limits,
        general: _limits,
    }


def _validator(mode: ValidatorMode) -> Callable[[Any], ValueValidator]:
    return lambda one: ValueValidator(one.func, mode)


def _known(value: Any) -> Any:
    """Return *value*, with the mark of bubus for what is not given in place of pydantic's."""
    core: Any = sys.modules["pydantic_core"]
    return MISSING if value is core.PydanticUndefined else value


def _limits(item: Any) -> Any:
    """Return the limits in *item*, or itself if there is one that bubus does not have."""
    values: dict[str, Any] = getattr(item, "__dict__", {})
    said = {name: value for name, value in values.items() if value is not None}
    return Limits(**said) if said.keys() <= _LIMITS else item


def _private(attribute: Any) -> Private:
    return Private(_known(attribute.default), attribute.default_factory)


# -- fields ------------------------------------------------------------------------------------------------------------


def _field(info: Any) -> FieldInfo:
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


def _aliases(info: Any) -> dict[str, Any]:
    """Return the aliases that differ from `alias`, which pydantic puts in their places."""
    names = ("validation_alias", "serialization_alias")
    return {
        name: in_own_words(value)
        for name in names
        if (value := getattr(info, name)) is not None and value != info.alias
    }


def _discriminator(info: Any) -> list[Any]:
    if info.discriminator is None:
        return []
    return [present().Discriminator(info.discriminator) if isinstance(info.discriminator, str) else info.discriminator]


def _refuse_unknown(info: Any) -> None:
    if info.field_title_generator is not None:
        raise DefinitionError("pydantic.Field(field_title_generator=…) is not known to bubus; give the field a title")


# -- decorators --------------------------------------------------------------------------------------------------------


def _decorated(proxy: Any) -> Marked:
    info = proxy.decorator_info
    mark = _MARKS.get(info.decorator_repr)
    if mark is None:
        raise DefinitionError(
            f"{info.decorator_repr} is a decorator of pydantic 1; use @field_validator or @model_validator"
        )
    return Marked(getattr(info, "wrapped_property", proxy.wrapped), mark(info))


def _computed(info: Any) -> ComputedField:
    names = ("alias", "title", "description", "deprecated", "examples", "json_schema_extra", "repr")
    return ComputedField(_known(info.return_type), **{name: getattr(info, name) for name in names})


_MARKS: Final[Mapping[str, Callable[[Any], Mark]]] = {
    "@field_validator": lambda info: FieldValidator(tuple(info.fields), info.mode, info.check_fields),
    "@model_validator": lambda info: ModelValidator(info.mode),
    "@field_serializer": lambda info: FieldSerializer(
        tuple(info.fields), info.mode, info.when_used, _known(info.return_type), info.check_fields
    ),
    "@model_serializer": lambda info: ModelSerializer(info.mode, info.when_used, _known(info.return_type)),
    "@computed_field": _computed,
}
