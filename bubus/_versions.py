"""Versions of event classes: what an older program wrote is brought up to date before it is checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from bubus._callables import as_coroutine_function, call_fault, handler_name
from bubus._narrow import is_dict
from bubus._tree import describe_error, describe_value
from bubus._types import Values
from bubus.errors import DefinitionError, InvalidEvent, NewerVersionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bubus._shape import EventShape

Upcast: TypeAlias = Callable[[Values], Values]
"""Takes the JSON object of an event as one version wrote it, and returns it as the next version does."""

_PARTS: Final = re.compile(r"[0-9]+|[^0-9.]+")


def version_key(version: str) -> tuple[tuple[int, str], ...]:
    """Return what versions are compared by: ``1.10`` is newer than ``1.9``, and ``1`` is ``1.0``."""
    found: list[str] = _PARTS.findall(version)
    parts = [(int(part), "") if part.isdigit() else (-1, part) for part in found]
    while parts and parts[-1] == (0, ""):
        _ = parts.pop()
    return tuple(parts)


def checked_upcast_version(cls: type[EventShape], version: object) -> str:
    """
    Return *version*.

    Raises:
        DefinitionError: If *cls* has no version, or *version* is not older.
    """
    current = cls.__event_version__
    if current is None:
        raise DefinitionError(f"{cls.__qualname__} has no version to bring old events up to: class E(..., version='2')")
    if not isinstance(version, str) or version_key(version) >= version_key(current):
        raise DefinitionError(
            f"{cls.__qualname__}.upcast({describe_value(version)}): name a version older than {current!r}, as a str"
        )
    return version


def register_upcast(cls: type[EventShape], version: str, upcast: Upcast) -> None:
    """
    Have *upcast* applied to what was written by programs with *cls* of that version.

    Raises:
        DefinitionError: If *upcast* cannot be called with one dict, or that version has an upcast already.
    """
    _check_upcast(f"{cls.__qualname__}.upcast({version!r})", upcast)
    upcasts = _upcasts(cls)
    if any(version_key(other) == version_key(version) for other in upcasts):
        raise DefinitionError(f"{cls.__qualname__} has an upcast from version {version!r} already")
    cls.__event_upcasts__ = dict(sorted({**upcasts, version: upcast}.items(), key=lambda item: version_key(item[0])))


def _check_upcast(where: str, upcast: object) -> None:
    if not callable(upcast):
        raise DefinitionError(
            f"{where} decorates a function that takes and returns a dict, not {describe_value(upcast)}"
        )
    name = handler_name(upcast)
    if as_coroutine_function(upcast) is not None:
        raise DefinitionError(f"{where}: {name} is a coroutine function, which nobody awaits; make it a plain `def`")
    if fault := call_fault(upcast, {}):
        raise DefinitionError(
            f"{where}: {name}{fault[0]} cannot be called with one dict ({fault[1]}): give it one parameter"
        )


def up_to_date(values: dict[str, object], cls: type[EventShape]) -> dict[str, object]:
    """
    Return an event's JSON object as the *cls* of this program writes it.

    Each upcast takes what is not newer than its version; those of later versions follow.

    Raises:
        NewerVersionError: If it was written by a newer version of *cls*.
        InvalidEvent: If an upcast fails.
    """
    origin = cast("type[EventShape]", cls.__event_origin__)
    current, found = origin.__event_version__, _version(values)
    if current is None or found is None or found == current:
        return values
    written, newest = version_key(found), version_key(current)
    if written > newest:
        raise NewerVersionError(
            f"{origin.__qualname__}: version {describe_value(found)} is newer than {current!r} of this program; "
            + "update the program, or ask for such events as BaseEvent"
        )
    steps = list(_steps(origin, written))
    for version, upcast in steps:
        values = _applied(origin, version, upcast, values)
    return {key: value for key, value in values.items() if key != "event_schema"} if steps else values


def _version(values: dict[str, object]) -> str | None:
    schema = values.get("event_schema")
    return (schema.rpartition("@")[2] or None) if isinstance(schema, str) and "@" in schema else None


def _upcasts(cls: type[EventShape]) -> Mapping[str, Upcast]:
    own: Mapping[str, Upcast] | None = cls.__dict__.get("__event_upcasts__")
    return own or {}


def _steps(origin: type[EventShape], written: tuple[tuple[int, str], ...]) -> Iterator[tuple[str, Upcast]]:
    return ((version, upcast) for version, upcast in _upcasts(origin).items() if version_key(version) >= written)


def _applied(origin: type[EventShape], version: str, upcast: Upcast, values: dict[str, object]) -> dict[str, object]:
    try:
        found = cast("object", upcast(dict(values)))
    except Exception as error:
        raise InvalidEvent(
            f"{origin.__qualname__}: the upcast from version {version!r} failed: {describe_error(error)}"
        ) from error
    if not is_dict(found):
        raise InvalidEvent(
            f"{origin.__qualname__}: the upcast from version {version!r} returned {describe_value(found)}, no dict"
        )
    return cast("dict[str, object]", found)
