"""What the log writes for a value that msgspec cannot write by itself."""

from __future__ import annotations

import ipaddress
import re
from collections import deque
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Final
from zoneinfo import ZoneInfo

from bubus._pydantic_values import written
from bubus._types import MISSING
from bubus.errors import EncodeError


def write_unknown(value: Any) -> Any:
    """
    Return something that msgspec can write for a value that it cannot.

    Raises:
        TypeError: If there is nothing.
        EncodeError: If it could not be read back.
    """
    if isinstance(value, bool):  # it is a key
        return "true" if value else "false"
    if isinstance(value, tuple):  # it is a key
        raise TypeError("a tuple cannot be a key in JSON")
    for kind, convert in _CONVERSIONS:
        if isinstance(value, kind):
            return convert(value)
    if (data := written(value)) is not MISSING:
        return data
    raise TypeError(f"{type(value).__qualname__} cannot be written as JSON")


ADDRESSES: Final = (
    *(ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
    *(ipaddress.IPv4Interface, ipaddress.IPv6Interface),
)


def _complex(value: complex) -> str:
    return str(value).strip("()")


def _zone(value: ZoneInfo) -> str:
    if value.key is None:  # pyright: ignore[reportUnnecessaryComparison] - one that was read from a file has none
        raise EncodeError("a time zone without a name cannot be written")
    return value.key


def _pattern(value: Any) -> Any:
    if isinstance(value.pattern, bytes):
        raise EncodeError("a pattern of bytes cannot be written; use one of text")
    if value.flags != re.compile(value.pattern).flags:
        raise EncodeError(f"the flags of {value!r} cannot be written; write them in the pattern, as in (?i)")
    return value.pattern


_CONVERSIONS: Final[tuple[tuple[type, Any], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, bytes),
    (deque, list),
    (PurePath, str),
    *((kind, str) for kind in (*ADDRESSES, Fraction)),
    (ZoneInfo, _zone),
    (complex, _complex),
    (re.Pattern, _pattern),
)
