"""Events as plain dicts and lists, as pydantic dumps its models."""

from __future__ import annotations

import dataclasses
from collections import deque
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec
from typing_extensions import TypeIs

from bubus._narrow import is_mapping, kind_of
from bubus._pydantic_values import dumped
from bubus._types import MISSING
from bubus.errors import EncodeError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_AS_THEY_ARE: Final = (str, int, float, bool, type(None))
_LISTS: Final = (list, tuple, set, frozenset, deque)


def dump(value: Any, *, json: bool) -> Any:
    """
    Return *value* with every record in it as a dict; with *json* only of what JSON has.

    Raises:
        EncodeError: If *json* and there is something that JSON cannot tell.
    """
    if type(value) in _AS_THEY_ARE:
        return value
    if (fields := _fields_of(value)) is not None:
        return {name: dump(item, json=json) for name, item in fields.items()}
    if is_mapping(value):
        return _dump_mapping(value, json=json)
    if _is_list(value):
        items = [dump(item, json=json) for item in value]
        return items if json else _rebuilt(value, items)
    return _json_leaf(value) if json else value


def _is_list(value: object) -> TypeIs[Collection[Any]]:
    return issubclass(kind_of(value), _LISTS) and not hasattr(value, "_fields")


def _rebuilt(value: Any, items: list[Any]) -> Any:
    try:
        return type(value)(items)
    except TypeError:  # a record in a set became a dict, which cannot be in one
        return items


def _fields_of(value: Any) -> Mapping[str, Any] | None:
    """Return the fields of a record by name, None if *value* is no record."""
    cls = kind_of(value)
    if hasattr(cls, "__event_origin__"):
        return {name: item for name, item in value.__dict__.items() if not name.startswith("_")}
    if attrs.has(cls):
        return {field.name: getattr(value, field.name) for field in attrs.fields(cls)}
    if dataclasses.is_dataclass(cls):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(cls)}
    if issubclass(cls, msgspec.Struct):
        return {name: getattr(value, name) for name in cls.__struct_fields__}
    return None


def _dump_mapping(value: Mapping[Any, Any], *, json: bool) -> dict[Any, Any]:
    return {_json_key(key) if json else key: dump(item, json=json) for key, item in value.items()}


def _json_key(key: object) -> str:
    plain = dump(key, json=True)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, bool):
        return str(plain).lower()
    if isinstance(plain, int | float):
        return str(plain)
    raise EncodeError(f"{key!r} cannot be a key in JSON")


def _json_leaf(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return _utf8(bytes(value))
    if isinstance(value, Enum):
        return dump(value.value, json=True)
    if isinstance(value, PurePath):
        return str(value)
    if (data := dumped(value, "json")) is not MISSING:
        return data
    try:
        return msgspec.to_builtins(value)
    except TypeError as error:
        raise EncodeError(f"{type(value).__qualname__} cannot be dumped as JSON") from error


def _utf8(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise EncodeError(f"bytes that are no UTF-8 cannot be dumped as JSON: {error}") from error
