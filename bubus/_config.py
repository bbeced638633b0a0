"""Settings of event classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

import attrs
from typing_extensions import TypedDict

from bubus._narrow import attribute, attrs_fields, made
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class ConfigDict(TypedDict, total=False):
    """Settings of an event class, in `model_config` or behind its bases: ``class E(BaseEvent, extra=…)``."""

    title: str | None
    """Title in the JSON schema."""

    extra: Literal["allow", "ignore", "forbid"] | None
    """What becomes of arguments that are no fields: kept (the default), dropped, refused."""

    frozen: bool
    """Refuse assignments."""

    validate_assignment: bool
    """Check values assigned to fields."""

    validate_default: bool
    """Check defaults."""

    strict: bool
    """Convert nothing."""

    populate_by_name: bool
    """Take arguments by the name of the field as well as by its alias."""

    validate_by_name: bool
    """Likewise."""

    validate_by_alias: bool
    """False: take arguments by the name of the field only."""

    serialize_by_alias: bool
    """Dump by alias unless told otherwise."""

    loc_by_alias: bool
    """False: tell the place of a fault by the names of fields."""

    alias_generator: Callable[[str], str] | None
    """Makes the aliases of fields that have none of their own."""

    arbitrary_types_allowed: bool
    """False: refuse types that can only be told by isinstance, which are allowed by default."""

    from_attributes: bool
    """Let `model_validate` read any object by its attributes."""

    revalidate_instances: Literal["never", "always", "subclass-instances"]
    """Which events of this class, given where one is wanted, are made anew; by default none is."""

    use_enum_values: bool
    """Keep the value of an enum's member, instead of the member."""

    str_strip_whitespace: bool
    str_to_lower: bool
    str_to_upper: bool
    str_min_length: int
    str_max_length: int | None
    coerce_numbers_to_str: bool
    allow_inf_nan: bool
    """False: refuse infinities and NaN in every float."""

    ser_json_bytes: Literal["utf8", "base64", "hex"]
    """How `model_dump` writes bytes in JSON."""

    val_json_bytes: Literal["utf8", "base64", "hex"]
    """How `model_validate_json` reads them."""

    ser_json_timedelta: Literal["iso8601", "float"]
    """How `model_dump` writes a timedelta in JSON; a float is in seconds."""

    ser_json_temporal: Literal["iso8601", "seconds", "milliseconds"]
    """How it writes dates, times and timedeltas."""

    ser_json_inf_nan: Literal["null", "constants", "strings"]
    """How it writes infinities and NaN."""

    json_schema_extra: object
    """A dict for the JSON schema, or a function that changes the schema's dict."""

    hide_input_in_errors: bool
    """Leave the values out of the text of errors."""


_FLAG: Final = (True, False)
_BYTES: Final = ("utf8", "base64", "hex")
_CHOICES: Final[dict[str, tuple[object, ...]]] = {
    "extra": ("allow", "ignore", "forbid", None),
    "revalidate_instances": ("never", "always", "subclass-instances"),
    "ser_json_bytes": _BYTES,
    "val_json_bytes": _BYTES,
    "ser_json_timedelta": ("iso8601", "float"),
    "ser_json_temporal": ("iso8601", "seconds", "milliseconds"),
    "ser_json_inf_nan": ("null", "constants", "strings"),
    **dict.fromkeys(
        (
            *("frozen", "validate_assignment", "validate_default", "strict", "populate_by_name", "validate_by_name"),
            *("validate_by_alias", "serialize_by_alias", "loc_by_alias", "arbitrary_types_allowed", "use_enum_values"),
            *("str_strip_whitespace", "str_to_lower", "str_to_upper", "coerce_numbers_to_str", "allow_inf_nan"),
            *("hide_input_in_errors", "from_attributes"),
        ),
        _FLAG,
    ),
}
_OTHERS: Final[dict[str, Callable[[object], bool]]] = {
    "title": lambda value: value is None or isinstance(value, str),
    "alias_generator": lambda value: value is None or callable(value),
    "str_min_length": lambda value: type(value) is int and value >= 0,
    "str_max_length": lambda value: value is None or (type(value) is int and value >= 0),
    "json_schema_extra": lambda value: value is None or callable(value) or isinstance(value, dict),
}
KEYS: Final = frozenset({*_CHOICES, *_OTHERS})
"""All settings there are."""


@attrs.frozen(slots=True)
class Settings:
    """The settings that change how types are checked."""

    strict: bool = False
    arbitrary_types_allowed: bool = True
    use_enum_values: bool = False
    str_strip_whitespace: bool = False
    str_to_lower: bool = False
    str_to_upper: bool = False
    str_min_length: int = 0
    str_max_length: int | None = None
    coerce_numbers_to_str: bool = False
    allow_inf_nan: bool = True
    val_json_bytes: str = "utf8"
    extra: str | None = None
    """What becomes of keys that a TypedDict does not declare; dropped by default."""


DEFAULT: Final = Settings()
_SETTINGS: Final = tuple(field.name for field in attrs_fields(Settings))


def settings_of(config: Mapping[str, object]) -> Settings:
    """Return what *config* says of types."""
    return made(Settings, {name: config[name] for name in _SETTINGS if name in config})


def merged_config(cls: type, own: Mapping[str, object]) -> ConfigDict:
    """
    Return the settings of a new class: its *own* ones over those of its bases.

    Raises:
        DefinitionError: If a setting is unknown, or two contradict each other.
    """
    merged: dict[str, object] = {}
    for base in reversed(cls.__mro__[1:]):
        inherited: Mapping[str, object] | None = base.__dict__.get("model_config")
        merged.update(inherited or {})
    for key, value in own.items():
        _check(cls, key, value)
        merged[key] = value
    if merged.get("validate_by_alias") is False and not by_name(merged):
        raise DefinitionError(
            f"{cls.__qualname__}.model_config: with validate_by_alias=False fields are found by name; "
            + "set validate_by_name=True"
        )
    return cast("ConfigDict", cast("object", merged))


def by_name(config: Mapping[str, object]) -> bool:
    """Tell whether arguments are taken by the names of fields that have an alias."""
    return bool(config.get("validate_by_name", config.get("populate_by_name", False)))


def _check(cls: type, key: str, value: object) -> None:
    if key not in KEYS:
        raise DefinitionError(f"{cls.__qualname__}.model_config: {_unsupported(key)}")
    if key in _CHOICES and not any(
        value is one or (value == one and type(value) is type(one)) for one in _CHOICES[key]
    ):
        raise DefinitionError(f"{cls.__qualname__}.model_config: {key}={value!r} is none of {_CHOICES[key]}")
    if key in _OTHERS and not _OTHERS[key](value):
        raise DefinitionError(f"{cls.__qualname__}.model_config: {key}={value!r} is no value for this setting")


def _unsupported(key: str) -> str:
    return f"{key!r} is not supported; remove it, there is {_listing(KEYS)}"


def _listing(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def title_of(cls: type) -> str:
    """Return what a class is called in its errors."""
    config = cast("Mapping[str, object]", attribute(cls, "model_config"))
    return str(config.get("title") or cls.__name__)
