"""Events as plain dicts and lists, as pydantic dumps its models."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import math
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

import attrs
import msgspec
from typing_extensions import TypeIs, TypeVar

from bubus._narrow import (
    attribute,
    attrs_fields,
    is_list_or_tuple,
    is_mapping,
    kind_of,
    made,
    method,
    remade,
    to_builtins,
)
from bubus._picks import ALL, Picks
from bubus._pydantic_values import dumped
from bubus._types import MISSING
from bubus._wire_values import ADDRESSES
from bubus.errors import EncodeError

if TYPE_CHECKING:
    from collections.abc import Collection

_K = TypeVar("_K")

_AS_THEY_ARE: Final = frozenset[object]((str, int, bool, type(None)))
_LISTS: Final = (list, tuple, set, frozenset, deque)
_KEPT: Final = frozenset[object]((OrderedDict, Counter))
"""Mappings that keep their class in Python."""


@attrs.frozen(slots=True)
class Style:
    """How JSON says what it has no word for; the names are those of the settings without ``ser_json_``."""

    bytes: str = "utf8"
    timedelta: str = "iso8601"
    temporal: str = "iso8601"
    inf_nan: str = "null"


DEFAULT_STYLE: Final = Style()


def style_of(config: Mapping[str, object]) -> Style:
    """Return what the settings of a class say of JSON."""
    names = [field.name for field in attrs_fields(Style)]
    found = {name: config[f"ser_json_{name}"] for name in names if f"ser_json_{name}" in config}
    return made(Style, found) if found else DEFAULT_STYLE


@attrs.frozen(slots=True)
class Options:
    """What `model_dump` was asked for."""

    json: bool = False
    by_alias: bool | None = None
    exclude_unset: bool = False
    exclude_defaults: bool = False
    exclude_none: bool = False
    exclude_computed_fields: bool = False
    round_trip: bool = False
    serialize_as_any: bool = False
    polymorphic_serialization: bool | None = None
    context: object = None
    fallback: Callable[[object], object] | None = None
    style: Style = DEFAULT_STYLE

    @property
    def mode(self) -> Literal["python", "json"]:
        """Pydantic's word for it."""
        return "json" if self.json else "python"

    def in_style(self, style: Style) -> Options:
        """Return the same for values of a class with a style of its own."""
        return self if style == self.style else attrs.evolve(self, style=style)

    def for_pydantic(self) -> dict[str, object]:
        """Return them as the arguments of pydantic's serializers."""
        names = ("by_alias", "exclude_unset", "exclude_defaults", "exclude_none", "round_trip", "context", "fallback")
        return {name: getattr(self, name) for name in names}

    @property
    def by_own_class(self) -> bool:
        """Whether records are dumped as their own classes say, and not as those of the fields that hold them."""
        return self.serialize_as_any or bool(self.polymorphic_serialization)


Dumper: TypeAlias = Callable[[object, Options, Picks], object]
"""Dumps a value of a certain type."""


def dump(value: object, *, json: bool) -> object:
    """
    Return *value* with every record in it as a dict; with *json* only of what JSON has.

    Raises:
        EncodeError: If *json* and there is something that JSON cannot tell.
    """
    return dump_value(value, Options(json=json), ALL)


def dump_value(value: object, options: Options, picks: Picks) -> object:
    """
    Return *value* as its own class says.

    Raises:
        EncodeError: If there is something that JSON cannot tell, and it should be JSON.
    """
    cls = kind_of(value)
    if cls in _AS_THEY_ARE:
        return value
    if hasattr(cls, "__event_dump__"):
        return method(cls, "__event_dump__")(value, options, picks)
    if (fields := fields_of(value)) is not None:
        return dump_items(_wanted(value, fields, options), options, picks, dump_value)
    if is_mapping(value):
        return dump_mapping(value, options, picks, dump_value)
    if is_list(value):
        return dump_list(value, options, picks, dump_value)
    return dump_leaf(value, options, picks)


def dump_float(value: object, options: Options, picks: Picks) -> object:
    """Return the value of a field typed float, of which `model_dump` tells infinities and NaN as they are."""
    return value if type(value) is float else dump_value(value, options, picks)


def _wanted(value: object, fields: Mapping[str, object], options: Options) -> Mapping[str, object]:
    """Return the fields of a record without those that shall be left out for their values."""
    if options.exclude_none:
        fields = {name: one for name, one in fields.items() if one is not None}
    if options.exclude_defaults and dataclasses.is_dataclass(value):
        defaults = {field.name: _default_of(field) for field in dataclasses.fields(value)}
        fields = {name: one for name, one in fields.items() if defaults[name] != one}
    return fields


def _default_of(field: dataclasses.Field[object]) -> object:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def dump_items(fields: Mapping[_K, object], options: Options, picks: Picks, item: Dumper) -> dict[_K, object]:
    """Return the picked ones of named values."""
    found: dict[_K, object] = {}
    for name, value in fields.items():
        inner = picks.of(name)
        if inner is not None:
            found[name] = item(value, options, inner)
    return found


def dump_mapping(value: Mapping[object, object], options: Options, picks: Picks, item: Dumper) -> object:
    """Return the picked items of a mapping; in JSON keys are text."""
    found = dump_items(value, options, picks, item)
    if options.json:
        return {json_key(key, options): one for key, one in found.items()}
    kind = kind_of(value)
    return remade(kind if kind in _KEPT else dict, found)


def dump_list(value: Collection[object], options: Options, picks: Picks, item: Dumper) -> object:
    """Return the picked items of a list, set, tuple or deque, which stays what it is in Python."""
    length = len(value)
    items: list[object] = []
    for index, one in enumerate(value):
        inner = picks.of_index(index, length)
        if inner is not None:
            items.append(item(one, options, inner))
    return items if options.json else _rebuilt(value, items)


def is_list(value: object) -> TypeIs[Collection[object]]:
    """Tell whether *value* is dumped as a list."""
    return issubclass(kind_of(value), _LISTS)


def _rebuilt(value: object, items: list[object]) -> object:
    try:
        return remade(tuple if hasattr(value, "_fields") else kind_of(value), items)
    except TypeError:  # a record in a set became a dict, which cannot be in one
        return items


def fields_of(value: object) -> Mapping[str, object] | None:
    """Return the fields of a record by name, None if *value* is no record."""
    cls = kind_of(value)
    if attrs.has(cls):
        return {field.name: getattr(value, field.name) for field in attrs_fields(cls)}
    if dataclasses.is_dataclass(cls):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(cls)}
    if issubclass(cls, msgspec.Struct):
        return {name: getattr(value, name) for name in cls.__struct_fields__}
    return None


def json_key(key: object, options: Options) -> str:
    """
    Return a key as JSON has it: text.

    Raises:
        EncodeError: If it has none.
    """
    if is_list_or_tuple(key):
        return ",".join(json_key(part, options) for part in key)
    plain = dump_value(key, attrs.evolve(options, json=True), ALL)
    if plain is None or isinstance(plain, str):
        return str(plain)
    if isinstance(plain, bool):
        return str(plain).lower()
    if isinstance(plain, int | float):
        return str(int(plain)) if plain == plain // 1 and not isinstance(key, float) else str(plain)
    raise EncodeError(f"{key!r} cannot be a key in JSON")


def dump_leaf(value: object, options: Options, picks: Picks) -> object:
    """
    Return a single value.

    Raises:
        EncodeError: If JSON cannot tell it, and it should be JSON.
    """
    data = dumped(value, options.mode, include=picks.include, exclude=picks.exclude, **options.for_pydantic())
    if data is not MISSING:
        return data
    if not options.json:
        return value
    if isinstance(value, Enum):
        return dump_value(attribute(value, "value"), options, ALL)
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value, options.style)
    try:
        return to_builtins(value)
    except TypeError as error:
        if options.fallback is not None:
            return dump_value(options.fallback(value), options, picks)
        raise EncodeError(f"{type(value).__qualname__} cannot be dumped as JSON") from error


def _text_of_bytes(value: bytes | bytearray, style: Style) -> str:
    if style.bytes == "hex":
        return value.hex()
    if style.bytes == "base64":
        return base64.urlsafe_b64encode(value).decode()
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise EncodeError(f"bytes that are no UTF-8 cannot be dumped as JSON: {error}") from error


_SCALE: Final = {"seconds": 1, "milliseconds": 1000}
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _number(value: float, style: Style) -> float | None:
    number = float.__float__(value)
    return None if style.inf_nan == "null" and not math.isfinite(number) else number


def _iso_span(value: dt.timedelta) -> str:
    """Return a timedelta in ISO 8601, in pydantic's form; a year has 365 days."""
    micros = value // dt.timedelta(microseconds=1)
    days, rest = divmod(abs(micros), 86_400_000_000)
    date = _units((days // 365, "Y"), (days % 365, "D"))
    minutes, rest = divmod(rest, 60_000_000)
    seconds, micro = divmod(rest, 1_000_000)
    second = f"{seconds}.{micro:06}".rstrip("0") if micro else seconds
    clock = _units((minutes // 60, "H"), (minutes % 60, "M"), (second, "S"))
    time = f"T{clock}" if clock else "" if date else "T0S"
    return f"{'-' if micros < 0 else ''}P{date}{time}"


def _units(*parts: tuple[int | str, str]) -> str:
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def _span(value: dt.timedelta, style: Style) -> object:
    if style.temporal == "iso8601":
        return value.total_seconds() if style.timedelta == "float" else _iso_span(value)
    return value.total_seconds() * _SCALE[style.temporal]


def _moment(value: dt.date, style: Style) -> object:
    if style.temporal == "iso8601":
        return to_builtins(value)
    moment = value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    aware = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment
    return _span(aware - _EPOCH, style)


def _time(value: dt.time, style: Style) -> object:
    if style.temporal == "iso8601":
        return to_builtins(value)
    span = dt.timedelta(hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond)
    return _span(span, style)


def _plain(convert: Callable[..., object]) -> Callable[..., object]:
    def in_style(value: object, _: Style) -> object:
        return convert(value)

    return in_style


def _pattern(value: re.Pattern[str], style: Style) -> object:
    return dump_value(value.pattern, Options(json=True, style=style), ALL)


def _complex(value: complex, _: Style) -> str:
    return str(value).strip("()")


_CONVERSIONS: Final[tuple[tuple[type | tuple[type, ...], Callable[..., object]], ...]] = (
    ((bytes, bytearray), _text_of_bytes),
    ((PurePath, Fraction, ZoneInfo, *ADDRESSES), _plain(str)),
    (re.Pattern, _pattern),
    (dt.timedelta, _span),
    (dt.date, _moment),
    (dt.time, _time),
    (complex, _complex),
    (str, _plain(str.__str__)),
    (int, _plain(int.__int__)),
    (float, _number),
)
"""How JSON says what is not one of its own, by class."""
