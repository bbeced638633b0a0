"""The fields every event has: their defaults and the rules for values given by hand."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bubus._coerce import lax_float, lax_str, lax_uuid
from bubus._compile import compile_type
from bubus._faults import fail
from bubus._temporal import lax_datetime

if TYPE_CHECKING:
    from bubus._types import Check

VERSION: Final = os.environ.get("LIBRARY_VERSION", "1.0.0")
"""Version in `event_schema` of classes that name none; read once, at import."""

WIRE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,127}")
"""What an event type may be called: plain ASCII, so that no two names look alike."""

_CANONICAL_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OWN_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{6})?Z", re.ASCII
)  # as encoders write it

RUN_TIME_NAMES: Final = frozenset(
    {
        "event_results",
        "event_result_type",
        "event_status",
        "event_started_at",
        "event_completed_at",
        "event_processed_at",
        "event_children",
        "event_bus",
        "event_seq",
        "event_crc",
    }
)
"""Dumps of events and lines of logs hold these; they tell what became of that event and are no part of a new one."""


def check_event_type(value: object) -> str:
    """Accept a wire name."""
    name = lax_str(value)
    if WIRE_NAME.fullmatch(name) is None or name.startswith("__"):
        fail("string_pattern_mismatch", value, pattern=WIRE_NAME.pattern)
    return name


def check_id(value: object) -> str:
    """Accept a UUID of any version, as object or text; return it as text."""
    if type(value) is str and _CANONICAL_ID.fullmatch(value):
        return value
    return str(lax_uuid(value))


def check_parent_id(value: object) -> str | None:
    """Accept None or an id."""
    return None if value is None else check_id(value)


def check_timeout(value: object) -> float | None:
    """Accept None, or seconds: finite and not negative."""
    if value is None:
        return None
    seconds = lax_float(value)
    if seconds < 0:
        fail("greater_than_equal", value, ge=0)
    return seconds if seconds < float("inf") else fail("finite_number", value)


def check_created_at(value: object) -> datetime:
    """Accept a point in time; one without a time zone is taken as UTC."""
    if type(value) is str and _OWN_TIME.fullmatch(value) and (quick := _from_iso(value)):
        return quick
    moment = lax_datetime(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _from_iso(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


CHECKS: Final[dict[str, Check]] = {
    "event_type": check_event_type,
    "event_schema": lax_str,
    "event_id": check_id,
    "event_parent_id": check_parent_id,
    "event_path": compile_type(list[str], "event_path").check,
    "event_timeout": check_timeout,
    "event_created_at": check_created_at,
}
"""The framework's fields, in the order they are written, and their rules."""


EXACT: Final[dict[str, frozenset[type]]] = {
    "event_schema": frozenset({str}),
    "event_parent_id": frozenset({type(None)}),
}
"""Framework's fields of which some values need no check."""


def utc_now() -> datetime:
    """Return this moment (aware, UTC)."""
    return datetime.now(UTC)  # looked up with each call, as what freezes time in tests puts another class there


def schema_of(cls: type, version: str | None) -> str:
    """Return the default `event_schema` of *cls*."""
    return f"{cls.__module__}.{cls.__qualname__}@{version or VERSION}"
