"""The fields every event has: their defaults and the rules for values given by hand."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from bubus._coerce import lax_float, lax_str, lax_uuid
from bubus._compile import compile_type
from bubus._faults import fail, Fault, Invalid

VERSION: Final = os.environ.get("LIBRARY_VERSION", "1.0.0")
"""Version in `event_schema` of classes that name none; read once, at import."""

WIRE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,127}")
"""What an event type may be called: plain ASCII, so that no two names look alike."""

RESERVED_PREFIXES: Final = ("event_", "model_")

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
    }
)
"""Dumps of events may hold these; they tell what became of that event and are no part of a new one."""


def check_event_type(value: object) -> str:
    """Accept a wire name."""
    name = lax_str(value)
    if WIRE_NAME.fullmatch(name) is None or name.startswith("__"):
        fail("string_pattern_mismatch", value, pattern=WIRE_NAME.pattern)
    return name


def check_id(value: object) -> str:
    """Accept a UUID of any version, as object or text; return it as text."""
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


_check_datetime: Final = compile_type(datetime, "event_created_at").check


def check_created_at(value: object) -> datetime:
    """Accept a point in time; one without a time zone is taken as UTC."""
    moment: datetime = _check_datetime(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


CHECKS: Final[dict[str, Any]] = {
    "event_type": check_event_type,
    "event_schema": lax_str,
    "event_id": check_id,
    "event_parent_id": check_parent_id,
    "event_path": compile_type(list[str], "event_path").check,
    "event_timeout": check_timeout,
    "event_created_at": check_created_at,
}
"""The framework's fields, in the order they are written, and their rules."""


def utc_now() -> datetime:
    """Return this moment (aware, UTC)."""
    return datetime.now(UTC)


def schema_of(cls: type, version: str | None) -> str:
    """Return the default `event_schema` of *cls*."""
    return f"{cls.__module__}.{cls.__qualname__}@{version or VERSION}"
