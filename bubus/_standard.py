"""
Values of the standard library that text stands for in JSON: addresses, patterns, fractions, time zones, paths, complex.

Their checks accept what pydantic's do, and say the same of what they refuse.
"""

from __future__ import annotations

import ipaddress
import os
import pathlib
import re
import typing
from collections.abc import Hashable
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bubus._coerce import Scalar
from bubus._faults import fail
from bubus._narrow import arguments_of, attribute, item_of, origin_of, remade

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bubus._types import Check

_ADDRESSES: Final[dict[type, str]] = {
    ipaddress.IPv4Address: "ip_v4_address",
    ipaddress.IPv6Address: "ip_v6_address",
    ipaddress.IPv4Network: "ip_v4_network",
    ipaddress.IPv6Network: "ip_v6_network",
    ipaddress.IPv4Interface: "ip_v4_interface",
    ipaddress.IPv6Interface: "ip_v6_interface",
}
_PATHS: Final = (
    *(pathlib.PurePath, pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath),
)
_PATH_LIKE: Final = os.PathLike
_NONE: Final[frozenset[type]] = frozenset()
_GENERIC: Final = frozenset[object]((re.Pattern, os.PathLike))
_OLDER: Final = frozenset[object]((attribute(typing, "Pattern"), attribute(typing, "Hashable")))
"""Older spellings, which annotations may have."""


def standard(annotation: object) -> Scalar | None:
    """Return how values of a type are checked, None if it is none of those here."""
    origin = origin_of(annotation)
    if origin in _GENERIC:
        annotation = item_of(origin, arguments_of(annotation))  # typing.Pattern[str] is re.Pattern[str]
    try:
        return _SCALARS.get(origin if annotation in _OLDER else annotation)
    except TypeError:  # unhashable, such as a list of Annotated with a list in it
        return None


def _instance(kind: type) -> Check:
    def check(value: object) -> object:
        return value if isinstance(value, kind) else fail("is_instance_of", value, **{"class": kind.__name__})

    return check


def _address(kind: type, word: str) -> Check:
    def check(value: object) -> object:
        if isinstance(value, kind):
            return value
        try:
            return remade(kind, value)
        except (ValueError, TypeError):
            return fail(word, value)

    return check


def _fraction(value: object) -> object:
    if isinstance(value, Fraction):
        return value
    if not isinstance(value, int | float | str):
        fail("fraction_type", value)
    try:
        return Fraction(value)
    except (ValueError, ArithmeticError):
        return fail("fraction_parsing", value)


def _zone(value: object) -> object:
    if isinstance(value, ZoneInfo):
        return value
    try:
        return remade(ZoneInfo, value)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        return fail("zoneinfo_str", value, zone=str(value))


def _pattern(content: type | None, word: str) -> Check:
    """Return the check of a pattern; *content* is what it is of, None if either will do."""

    def check(value: object) -> object:
        given: object = getattr(value, "pattern", value)
        if not isinstance(given, content or (str, bytes)) or (given is not value and not _is_pattern(value)):
            fail(word, value)
        try:
            return value if _is_pattern(value) else remade(re.compile, given)
        except re.error:
            return fail("pattern_regex", value)

    return check


def _is_pattern(value: object) -> bool:
    return isinstance(value, re.Pattern)


def _path(kind: type, make: Callable[..., object], content: type = str) -> Check:
    def check(value: object) -> object:
        if isinstance(value, kind):
            return value
        if not isinstance(value, content):
            fail("path_type", value, path_type=kind)
        return make(value.decode() if isinstance(value, bytes) else value)

    return check


def _complex(word: str, *, json: bool) -> Check:
    def check(value: object) -> object:
        if not isinstance(value, complex | int | float | str) or (json and isinstance(value, bool)):
            fail("complex_type", value)
        try:
            return complex(value)
        except ValueError:
            return fail(word, value)

    return check


def _hashable(value: object) -> object:
    return value if isinstance(value, Hashable) else fail("is_hashable", value)


def _scalars() -> Iterator[tuple[object, Scalar]]:
    for cls, word in _ADDRESSES.items():
        lax = _address(cls, word)
        yield cls, Scalar(cls.__name__, _instance(cls), lax, lax, frozenset({cls}))
    yield Fraction, Scalar("fraction", _instance(Fraction), _fraction, _fraction, frozenset({Fraction}))
    yield ZoneInfo, Scalar("zoneinfo", _zone, _zone, _zone, frozenset({ZoneInfo}))
    patterns: dict[object, Check] = {
        re.Pattern: _pattern(None, "pattern_type"),
        re.Pattern[str]: _pattern(str, "pattern_str_type"),
        re.Pattern[bytes]: _pattern(bytes, "pattern_bytes_type"),
    }
    for kind, check in patterns.items():
        yield kind, Scalar("pattern", check, check, check, _NONE)
    for cls in _PATHS:
        lax = _path(cls, cls)
        yield cls, Scalar("path", _instance(cls), lax, lax, frozenset({cls}))
    for kind, content in ((_PATH_LIKE, str), (_PATH_LIKE[str], str), (_PATH_LIKE[bytes], bytes)):
        json = _path(_PATH_LIKE, pathlib.PurePath)
        yield (
            kind,
            Scalar("path", _instance(_PATH_LIKE), json, _path(_PATH_LIKE, pathlib.PurePath, content), _NONE, json),
        )
    python, json = _complex("complex_type", json=False), _complex("complex_str_parsing", json=True)
    yield complex, Scalar("complex", _instance(complex), json, python, frozenset({complex}), lax_json=json)
    yield Hashable, Scalar("hashable", _hashable, _hashable, _hashable, _NONE)


_SCALARS: Final[dict[object, Scalar]] = dict(_scalars())
