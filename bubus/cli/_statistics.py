"""What a log holds, in numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, TypedDict

import attrs

if TYPE_CHECKING:
    from datetime import datetime

    from bubus.cli._beside import Beside
    from bubus.wal import LogRecord

_MOST_NAMES: Final = 1000
OTHERS: Final = "(others)"
"""Counts what has one of too many names: how many there are is up to whoever wrote the log."""


class Calls(TypedDict):
    """Of one handler."""

    calls: int
    seconds: float


class Counted(TypedDict):
    """What `LogStatistics` has counted, as JSON has it."""

    lines: int
    bytes: int
    failed: int
    first: str | None
    last: str | None
    types: dict[str, int]
    handlers: dict[str, Calls]
    unfinished: int | None
    """Events in the journal that have no line in the log; None without a journal."""

    dead: int | None
    """Events that were given up; None if there was never one."""


@attrs.define
class LogStatistics:
    """Counts the lines of a log."""

    lines: int = 0
    bytes: int = 0
    """Of the lines, uncompressed."""

    failed: int = 0
    """Events of which a handler failed."""

    first: datetime | None = None
    last: datetime | None = None
    """When the earliest and latest of its events were created."""

    types: Counter[str] = attrs.Factory(Counter[str])
    handlers: Counter[str] = attrs.Factory(Counter[str])
    seconds: defaultdict[str, float] = attrs.Factory(lambda: defaultdict[str, float](float))
    """That the handlers took, by name."""

    def add(self, record: LogRecord) -> None:
        """Count one line."""
        self.lines += 1
        self.bytes += len(record.data) + 1
        self.types[_name(record.event_type, self.types)] += 1
        created = record.head.event_created_at
        if created is not None:
            self.first = created if self.first is None else min(self.first, created)
            self.last = created if self.last is None else max(self.last, created)
        results = record.results.values()
        self.failed += any(result.status == "error" for result in results)
        for result in results:
            name = _name(f"{result.eventbus_name}.{result.handler_name}", self.handlers)
            self.handlers[name] += 1
            self.seconds[name] += result.duration or 0.0

    def as_dict(self, beside: Beside) -> Counted:
        """Return all as JSON has it, with what lies *beside* the log."""
        return {
            "lines": self.lines,
            "bytes": self.bytes,
            "failed": self.failed,
            "first": None if self.first is None else self.first.isoformat(),
            "last": None if self.last is None else self.last.isoformat(),
            "types": dict(self.types.most_common()),
            "handlers": {
                name: {"calls": calls, "seconds": round(self.seconds[name], 6)}
                for name, calls in self.handlers.most_common()
            },
            "unfinished": beside.unfinished,
            "dead": beside.dead,
        }


def _name(name: str, known: Counter[str]) -> str:
    return name if name in known or len(known) < _MOST_NAMES else OTHERS
