"""
What decorators leave in a class body, and what may stand in an `Annotated`: small records, made by anybody.

How it goes on: `bubus._define` hands each value of a class body to `bubus._foreign.translated`, collects what is
`Marked` (own and inherited) into `Blueprint.marks`, and puts the function itself back in its place. The function of a
mark is looked up by its attribute's name on the final class, so that a subclass can override it. `bubus._functions`
makes checks of validators, `bubus._serial` dumpers of serializers.

For other libraries' decorators: let `bubus._foreign` return a `Marked` with one of these records; for their items in an
`Annotated`, a `ValueValidator` or `ValueSerializer`; for their descriptions of fields, a `bubus._field_info.FieldInfo`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, final

import attrs
from typing_extensions import override

from bubus._narrow import attrs_fields, method
from bubus._types import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

ValidatorMode: TypeAlias = Literal["before", "after", "wrap", "plain"]
SerializerMode: TypeAlias = Literal["plain", "wrap"]
WhenUsed: TypeAlias = Literal["always", "unless-none", "json", "json-unless-none"]


@attrs.frozen(slots=True, eq=False)
class FieldValidator:
    """A class method ``(cls, value[, handler][, info])`` that checks fields."""

    fields: tuple[str, ...]
    """Names; ``"*"`` stands for all fields of the class but those of the framework."""

    mode: ValidatorMode = "after"
    check_fields: bool | None = None
    """False: names may be those of fields that only a subclass has."""


@attrs.frozen(slots=True, eq=False)
class ModelValidator:
    """
    A function that checks a whole event.

    ``(cls, data[, info])`` before, ``(cls, data, handler[, info])`` around, ``(self[, info])`` after.
    """

    mode: Literal["before", "wrap", "after"]


@attrs.frozen(slots=True, eq=False)
class FieldSerializer:
    """A method ``(self, value[, handler][, info])`` that dumps fields."""

    fields: tuple[str, ...]
    """Names; ``"*"`` stands for all."""

    mode: SerializerMode = "plain"
    when_used: WhenUsed = "always"
    return_type: object = MISSING
    check_fields: bool | None = None


@attrs.frozen(slots=True, eq=False)
class ModelSerializer:
    """A method ``(self[, handler][, info])`` that dumps a whole event."""

    mode: SerializerMode = "plain"
    when_used: WhenUsed = "always"
    return_type: object = MISSING


@attrs.frozen(slots=True, eq=False)
class ComputedField:
    """A property that is dumped and shown as if it were a field."""

    return_type: object = MISSING
    alias: str | None = None
    title: str | None = None
    description: str | None = None
    deprecated: str | bool | None = None
    examples: list[object] | None = None
    json_schema_extra: object = None
    repr: bool = True


Mark: TypeAlias = FieldValidator | ModelValidator | FieldSerializer | ModelSerializer | ComputedField


@final
class Marked:
    """A function of a class body with its mark; outside an event class it acts as the function does."""

    __slots__ = ("function", "mark")

    def __init__(self, function: object, mark: Mark) -> None:
        self.function = function
        """A function, class method, static method or property."""

        self.mark = mark

    def __get__(self, instance: object, owner: type | None = None) -> object:
        return method(self.function, "__get__")(instance, owner)

    def __call__(self, *arguments: object, **more: object) -> object:
        return method(self.function, "__call__")(*arguments, **more)


@attrs.frozen(slots=True, eq=False)
class Private:
    """What `PrivateAttr` returns: an attribute of each event that is no field."""

    default: object = MISSING
    default_factory: Callable[[], object] | None = None


@attrs.frozen(slots=True, eq=False)
class ValueValidator:
    """In an `Annotated`: a function ``(value[, handler][, info])`` that checks the value."""

    function: Callable[..., object]
    mode: ValidatorMode = "after"


@attrs.frozen(slots=True, eq=False)
class ValueSerializer:
    """In an `Annotated`: a function ``(value[, handler][, info])`` that dumps the value."""

    function: Callable[..., object]
    mode: SerializerMode = "plain"
    when_used: WhenUsed = "always"
    return_type: object = MISSING


@attrs.frozen(slots=True, eq=False, repr=False)
class Limits:
    """In an `Annotated`: limits of a value, named as in `Field`; None is no limit."""

    gt: object = None
    ge: object = None
    lt: object = None
    le: object = None
    multiple_of: object = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: object = None
    max_digits: int | None = None
    decimal_places: int | None = None
    allow_inf_nan: bool | None = None
    coerce_numbers_to_str: bool | None = None
    strict: bool | None = None
    strip_whitespace: bool | None = None
    to_lower: bool | None = None
    to_upper: bool | None = None
    union_mode: Literal["smart", "left_to_right"] | None = None

    @override
    def __repr__(self) -> str:
        """Return the limits that there are."""
        found: dict[str, object] = {field.name: getattr(self, field.name) for field in attrs_fields(Limits)}
        return f"Limits({', '.join(f'{name}={value!r}' for name, value in found.items() if value is not None)})"
