"""What the log writes for a value that msgspec cannot write by itself."""

from __future__ import annotations

import ipaddress
import re
from collections import deque
from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from bubus._narrow import attribute
from bubus._pydantic_values import written
from bubus._types import MISSING
from bubus.errors import EncodeError

if TYPE_CHECKING:
    from collections.abc import Callable


def write_unknown(value: object) -> object:
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
    key = attribute(value, "key")
    if not isinstance(key, str):  # one that was read from a file has none
        raise EncodeError("a time zone without a name cannot be written")
    return key


def _pattern(value: re.Pattern[str]) -> str:
    pattern = attribute(value, "pattern")
    if not isinstance(pattern, str):
        raise EncodeError("a pattern of bytes cannot be written; use one of text")
    if value.flags != re.compile(pattern).flags:
        raise EncodeError(f"the flags of {value!r} cannot be written; write them in the pattern, as in (?i)")
    return pattern


_CONVERSIONS: Final[tuple[tuple[type, Callable[..., object]], ...]] = (
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
