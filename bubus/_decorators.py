"""The decorators of a class body: validators, serializers, computed fields. Each leaves a `Marked` function behind."""

from __future__ import annotations

import inspect
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, TypeVar, cast, overload

from bubus._marks import (
    ComputedField,
    FieldSerializer,
    FieldValidator,
    Mark,
    Marked,
    ModelSerializer,
    ModelValidator,
    SerializerMode,
    ValidatorMode,
    WhenUsed,
)
from bubus._narrow import made
from bubus._types import MISSING
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

F = TypeVar("F")
"""Type checkers see the decorated function itself."""

_VALIDATOR_MODES: Final = ("before", "after", "wrap", "plain")
_SERIALIZER_MODES: Final = ("plain", "wrap")
_USES: Final = ("always", "unless-none", "json", "json-unless-none")


def _choose(word: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DefinitionError(f"@{word}: {value!r} is none of {', '.join(choices)}")


def _names(word: str, names: tuple[object, ...]) -> tuple[str, ...]:
    if not names or not all(isinstance(name, str) for name in names):
        raise DefinitionError(f'@{word} needs the names of its fields, as text: `@{word}("amount")`')
    return tuple(str(name) for name in names)


def _leave(function: F, mark: Mark) -> F:
    return cast("F", cast("object", Marked(function, mark)))


def class_method(word: str, function: F) -> F:
    """
    Return *function* as a class method, if it is none yet.

    Raises:
        DefinitionError: If it takes an instance.
    """
    if not inspect.isfunction(function):
        return function
    if next(iter(inspect.signature(function).parameters), "cls") == "self":
        raise DefinitionError(f"@{word} cannot be on a method of the instance; put @classmethod below it, and take cls")
    return cast("F", classmethod(function))


def field_validator(
    field: str, /, *fields: str, mode: ValidatorMode = "after", check_fields: bool | None = None
) -> Callable[[F], F]:
    """
    Check fields by a class method ``(cls, value)`` that returns the value to keep, or raises ValueError.

    Args:
        field: Name of a field; ``"*"`` means all.
        fields: Further names.
        mode: ``"before"`` or ``"after"`` the type is checked, ``"plain"`` instead of it, or ``"wrap"`` around it
            (the method takes ``(cls, value, handler)`` and calls the handler). One more parameter gets a
            `ValidationInfo`.
        check_fields: False allows names of fields that only subclasses have.

    Raises:
        DefinitionError: If there is no name, or no such mode.
    """
    names = _names("field_validator", (field, *fields))
    _choose("field_validator", mode, _VALIDATOR_MODES)
    mark = FieldValidator(names, mode, check_fields)
    return lambda function: _leave(class_method("field_validator", function), mark)


def model_validator(*, mode: Literal["before", "wrap", "after"]) -> Callable[[F], F]:
    """
    Check whole events.

    Args:
        mode: ``"before"``: a class method ``(cls, data)`` that returns the data to go on with; ``"wrap"``: one
            ``(cls, data, handler)`` that returns the event; ``"after"``: a method that returns ``self``.

    Raises:
        DefinitionError: If there is no such mode.
    """
    _choose("model_validator", mode, ("before", "wrap", "after"))
    mark = ModelValidator(mode)
    if mode == "after":
        return lambda function: _leave(function, mark)
    return lambda function: _leave(class_method("model_validator", function), mark)


def field_serializer(
    field: str,
    /,
    *fields: str,
    mode: SerializerMode = "plain",
    return_type: object = MISSING,
    when_used: WhenUsed = "always",
    check_fields: bool | None = None,
) -> Callable[[F], F]:
    """
    Dump fields by a method ``(self, value)`` that returns what stands for the value.

    Args:
        field: Name of a field; ``"*"`` means all.
        fields: Further names.
        mode: ``"wrap"``: the method takes ``(self, value, handler)`` and may call the handler for the usual dump.
        return_type: What it returns, for the JSON schema; by default what it is annotated with.
        when_used: When not ``"always"``: only in JSON, and/or not for None.
        check_fields: False allows names of fields that only subclasses have.

    Raises:
        DefinitionError: If there is no name, or no such mode.
    """
    names = _names("field_serializer", (field, *fields))
    _choose("field_serializer", mode, _SERIALIZER_MODES)
    _choose("field_serializer", when_used, _USES)
    mark = FieldSerializer(names, mode, when_used, return_type, check_fields)
    return lambda function: _leave(function, mark)


@overload
def model_serializer(function: F, /) -> F: ...
@overload
def model_serializer(
    *, mode: SerializerMode = ..., when_used: WhenUsed = ..., return_type: object = ...
) -> Callable[[F], F]: ...
def model_serializer(
    function: object = None,
    /,
    *,
    mode: SerializerMode = "plain",
    when_used: WhenUsed = "always",
    return_type: object = MISSING,
) -> object:
    """
    Dump whole events by a method ``(self)`` that returns what stands for the event.

    Args:
        function: The method, when it is used without brackets.
        mode: ``"wrap"``: the method takes ``(self, handler)`` and may call ``handler(self)`` for the usual dump.
        when_used: When not ``"always"``: only in JSON.
        return_type: What it returns, for the JSON schema; by default what it is annotated with.

    Raises:
        DefinitionError: If there is no such mode.
    """
    _choose("model_serializer", mode, _SERIALIZER_MODES)
    _choose("model_serializer", when_used, _USES)
    mark = ModelSerializer(mode, when_used, return_type)
    return _leave(function, mark) if function is not None else partial(_leave, mark=mark)


@overload
def computed_field(function: F, /) -> F: ...
@overload
def computed_field(
    *,
    alias: str | None = ...,
    title: str | None = ...,
    description: str | None = ...,
    deprecated: str | bool | None = ...,
    examples: list[object] | None = ...,
    json_schema_extra: object = ...,
    repr: bool = ...,
    return_type: object = ...,
) -> Callable[[F], F]: ...
def computed_field(function: object = None, /, **facts: object) -> object:
    """
    Dump and show a property as if it were a field: ``@computed_field`` above ``@property`` (or ``cached_property``).

    Args:
        function: The property, when it is used without brackets; a plain method is made one.
        facts: `alias`, `title`, `description`, `deprecated`, `examples`, `json_schema_extra`, `repr`, and `return_type`
            where the property has no annotation.
    """
    mark = made(ComputedField, facts)
    return _computed(function, mark) if function is not None else partial(_computed, mark=mark)


def _computed(function: object, mark: ComputedField) -> object:
    return _leave(_property(function), mark)


def _property(function: object) -> object:
    """Return *function*, or a property of it if it is none yet."""
    if isinstance(function, (property, cached_property)):
        return cast("object", function)
    return property(cast("Callable[..., object]", function))
