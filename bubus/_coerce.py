"""
Numbers, text and other single values: what each type accepts, and what it makes of it.

Every kind has two checks. The strict one takes the type's own instances; the lax one also takes what pydantic's
lax mode takes. Exact instances of a field's type seldom get here: the constructor lets them pass.
"""

from __future__ import annotations

import base64
import enum
import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, SupportsFloat, cast
from uuid import UUID

import attrs

from bubus._faults import Invalid, fail
from bubus._narrow import attribute
from bubus._temporal import (
    lax_date,
    lax_datetime,
    lax_time,
    lax_timedelta,
    strict_date,
    strict_datetime,
    strict_time,
    strict_timedelta,
    text_date,
    text_datetime,
    text_time,
    text_timedelta,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bubus._types import Check

_INT_TEXT: Final = re.compile(r"\s*([+-]?[0-9]+(?:_[0-9]+)*)(?:\.0+)?\s*")
_FLOAT_TEXT: Final = re.compile(r"\s*[+-]?(?:[0-9.][0-9._e+-]*|inf|infinity|nan)\s*", re.IGNORECASE)
_MAX_INT_DIGITS: Final = 4300
_MAX_EXACT: Final = 2**63
_TRUE: Final = frozenset({"1", "on", "t", "true", "y", "yes"})
_FALSE: Final = frozenset({"0", "off", "f", "false", "n", "no"})
_UUID_BYTES: Final = 16
_UUID_TEXT: Final = re.compile(
    r"(urn:uuid:)?(\{)?[0-9a-f]{8}(?:(-[0-9a-f]{4}){3}-|[0-9a-f]{12})[0-9a-f]{12}(?(2)\})", re.IGNORECASE
)


def _text(value: object, kind: str) -> str | None:
    """Return the text that *value* is or encodes, None if it is neither."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            fail(kind, value)
    return None


def strict_int(value: object) -> int:
    """Accept an int that is no bool."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    return fail("int_type", value)


def lax_int(value: object) -> int:
    """Accept also bools, whole numbers of other types and decimal text."""
    if isinstance(value, int):
        return int(value)
    if (text := _text(value, "int_parsing")) is not None:
        return _int_from_text(text, value)
    if isinstance(value, enum.Enum) and isinstance(own := attribute(value, "value"), int):
        return int(own)
    return _int_from_number(value)


def _int_from_text(text: str, value: object) -> int:
    match = _INT_TEXT.fullmatch(text)
    if len(text) > _MAX_INT_DIGITS:
        fail("int_parsing_size", value)
    if match is None:
        fail("int_parsing", value)
    return int(match[1])


def _int_from_number(value: object) -> int:
    index: Callable[[], int] | None = getattr(value, "__index__", None)
    if index is not None and not isinstance(value, type):
        return int(index())
    number = _float_or_none(value)
    if number is None:
        fail("int_type", value)
    if not math.isfinite(number):
        fail("finite_number", value)
    if number != math.floor(number):
        fail("int_from_float", value)
    if abs(number) >= _MAX_EXACT and isinstance(value, float):
        fail("int_parsing_size", value)
    return int(value) if isinstance(value, Decimal | Fraction) else int(number)


def _float_or_none(value: object) -> float | None:
    if isinstance(value, type) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        return None
    try:
        return float(cast("SupportsFloat", value))  # or it has __index__
    except (TypeError, ValueError, OverflowError):
        return None


def strict_float(value: object) -> float:
    """Accept a number that is no bool, from anything that converts itself to float."""
    number = None if isinstance(value, bool | str | bytes) else _float_or_none(value)
    if number is None:
        fail("float_type", value)
    return number


def lax_float(value: object) -> float:
    """Accept also bools and text."""
    if (text := _text(value, "float_parsing")) is not None:
        return _float_from_text(text, value)
    number = _float_or_none(value)
    if number is None:
        fail("float_type", value)
    return number


def _float_from_text(text: str, value: object) -> float:
    try:
        if _FLOAT_TEXT.fullmatch(text):
            return float(text)
    except ValueError:
        pass
    return fail("float_parsing", value)


def strict_bool(value: object) -> bool:
    """Accept True and False."""
    if isinstance(value, bool):
        return value
    return fail("bool_type", value)


def lax_bool(value: object) -> bool:
    """Accept also 0 and 1 of any number type, and the usual words."""
    if isinstance(value, bool):
        return value
    if (text := _text(value, "bool_parsing")) is not None:
        return _bool_from_text(text, value)
    number = _float_or_none(value)
    if number in (0, 1):
        return number == 1
    return fail(
        "bool_parsing" if number is not None and number.is_integer() and abs(number) < _MAX_EXACT else "bool_type",
        value,
    )


def _bool_from_text(text: str, value: object) -> bool:
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    return fail("bool_parsing", value)


def strict_str(value: object) -> str:
    """Accept a str; a subclass' instance becomes a plain str."""
    if isinstance(value, enum.Enum) and isinstance(value, str):
        return str(attribute(value, "value"))
    if isinstance(value, str):
        return str.__str__(value)
    return fail("string_type", value)


def lax_str(value: object) -> str:
    """Accept also UTF-8 bytes, and enum members by their value."""
    if isinstance(value, bytes | bytearray):
        try:
            return value.decode()
        except UnicodeDecodeError:
            fail("string_unicode", value)
    if isinstance(value, enum.Enum) and not isinstance(value, str):
        return str(attribute(value, "value"))
    return strict_str(value)


def strict_bytes(value: object) -> bytes:
    """Accept bytes."""
    if isinstance(value, bytes):
        return value
    return fail("bytes_type", value)


def lax_bytes(value: object) -> bytes:
    """Accept also a bytearray, and text, which becomes UTF-8."""
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, str):
        return _utf8(value)
    return strict_bytes(value)


def wire_bytes(value: object) -> bytes:
    """Accept bytes, or text that is base64."""
    if not isinstance(value, str):
        return strict_bytes(value)
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as error:
        fail("bytes_invalid_encoding", value, encoding="base64", encoding_error=str(error))


def _utf8(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        fail("string_unicode", value)


def strict_none(value: object) -> None:
    """Accept None."""
    if value is not None:
        fail("none_required", value)


def strict_decimal(value: object) -> Decimal:
    """Accept a finite Decimal."""
    if not isinstance(value, Decimal):
        fail("is_instance_of", value, **{"class": "Decimal"})
    if not value.is_finite():
        fail("finite_number", value)
    return value


def lax_decimal(value: object) -> Decimal:
    """Accept also whole numbers, text, and floats as they print."""
    if isinstance(value, Decimal):
        return strict_decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        fail("decimal_type", value)
    try:
        number = Decimal(str(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        fail("decimal_parsing", value)
    return number if number.is_finite() else fail("finite_number", value)


def strict_uuid(value: object) -> UUID:
    """Accept a UUID."""
    if isinstance(value, UUID):
        return value
    return fail("is_instance_of", value, **{"class": "UUID"})


def lax_uuid(value: object) -> UUID:
    """Accept also text, and bytes that hold 16 bytes or text."""
    if isinstance(value, UUID):
        return value
    if isinstance(value, bytes) and len(value) == _UUID_BYTES:
        return UUID(bytes=value)
    text = _text(value, "uuid_type")
    if text is None:
        fail("uuid_type", value)
    if _UUID_TEXT.fullmatch(text) is None:
        fail("uuid_parsing", value, error="expected 32 hexadecimal digits, in groups of 8-4-4-4-12 or in one")
    return UUID(text)


def strict_path(value: object) -> Path:
    """Accept a Path."""
    if isinstance(value, Path):
        return value
    return fail("is_instance_of", value, **{"class": "Path"})


def lax_path(value: object) -> Path:
    """Accept also text."""
    if isinstance(value, Path):
        return value
    return Path(value) if isinstance(value, str) else fail("path_type", value, path_type=Path)


@attrs.frozen(slots=True, eq=False)
class Scalar:
    """How values of one type are checked."""

    label: str
    """Its name in the location of a union's fault."""

    strict: Check
    json: Check
    """The strict check of values from JSON, where text may stand for what JSON has no word for."""

    lax: Check
    exact: frozenset[type]
    """Instances of exactly these need no check."""

    lax_json: Check | None = None
    """The lax check of values from JSON, if that is another one."""


def _plain(kind: type, label: str, strict: Check, lax: Check, json: Check | None = None) -> Scalar:
    return Scalar(label, strict, json or strict, lax, frozenset({kind}))


SCALARS: Final[dict[object, Scalar]] = {
    int: _plain(int, "int", strict_int, lax_int),
    float: _plain(float, "float", strict_float, lax_float),
    bool: _plain(bool, "bool", strict_bool, lax_bool),
    str: _plain(str, "str", strict_str, lax_str),
    bytes: _plain(bytes, "bytes", strict_bytes, lax_bytes, lax_bytes),
    type(None): _plain(type(None), "none", strict_none, strict_none),
    datetime: _plain(datetime, "datetime", strict_datetime, lax_datetime, text_datetime),
    date: _plain(date, "date", strict_date, lax_date, text_date),
    time: _plain(time, "time", strict_time, lax_time, text_time),
    timedelta: _plain(timedelta, "timedelta", strict_timedelta, lax_timedelta, text_timedelta),
    Decimal: Scalar("decimal", strict_decimal, lax_decimal, lax_decimal, frozenset()),  # NaN is refused
    UUID: _plain(UUID, "uuid", strict_uuid, lax_uuid, lax_uuid),
    Path: _plain(type(Path()), "path", strict_path, lax_path, lax_path),
}
"""The single values, by type."""

WIRE_BYTES: Final = _plain(bytes, "bytes", strict_bytes, wire_bytes, wire_bytes)
"""Bytes from JSON in which they are base64."""


def _hex_bytes(value: object) -> bytes:
    """Accept bytes, or text that is their hexadecimal digits."""
    if not isinstance(value, str):
        return strict_bytes(value)
    try:
        return bytes.fromhex(value)
    except ValueError as error:
        fail("bytes_invalid_encoding", value, encoding="hex", encoding_error=str(error))


def _base64_bytes(value: object) -> bytes:
    """Accept bytes, or text that is base64 of either alphabet."""
    return wire_bytes(value.replace("-", "+").replace("_", "/") if isinstance(value, str) else value)


JSON_BYTES: Final = {
    "utf8": SCALARS[bytes],
    "base64": _plain(bytes, "bytes", strict_bytes, _base64_bytes, _base64_bytes),
    "hex": _plain(bytes, "bytes", strict_bytes, _hex_bytes, _hex_bytes),
}
"""Bytes from JSON, by the setting `val_json_bytes`."""


def number_or_text(check: Check) -> Check:
    """Return a check for text that takes numbers, too."""

    def numbers_too(value: object) -> object:
        is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        return check(str(value) if is_number else value)

    return numbers_too


def any_decimal(check: Check) -> Check:
    """Return a check for Decimals that takes infinities and NaN, too."""

    def not_finite_too(value: object) -> object:
        try:
            return check(value)
        except Invalid as invalid:
            if invalid.faults[0].kind != "finite_number":
                raise
            return Decimal(str(value))

    return not_finite_too
