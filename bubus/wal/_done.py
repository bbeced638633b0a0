"""Telling those who wait what became of their lines."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import attrs

from bubus.errors import LogWriteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bubus.wal._options import OnError

Done: TypeAlias = Callable[[LogWriteError | None], object]
"""Called once, in the event loop: with None when the line is where `fsync` promises it to be, else with the error."""


class Line(Protocol):
    """The line of a completed event, and who waits for it."""

    @property
    def event_id(self) -> str:
        """The event's id."""
        ...

    @property
    def body(self) -> bytes:
        """One JSON object on one line that is safe to print, without the closing brace."""
        ...

    def written(self, error: LogWriteError | None, /) -> object:
        """Learn that the line is where `fsync` promises it to be, or why it is not."""
        ...


@attrs.define(eq=False)
class PlainLine:
    """A line that somebody else than a bus adds."""

    event_id: str
    body: bytes
    written: Done


logger: Final = logging.getLogger("bubus")


def tell(waiting: Iterable[Done], error: Callable[[], LogWriteError] | None = None) -> None:
    """Call each, every one with an error of its own; one that raises does not keep the others waiting."""
    for done in waiting:
        try:
            _ = done(error() if error else None)
        except Exception:
            logger.exception("a callback of the log raised")


def acknowledge(lines: Iterable[Line]) -> None:
    """Tell those who wait for *lines* that all is well; see `tell`."""
    for line in lines:
        try:
            _ = line.written(None)
        except Exception:
            logger.exception("a callback of the log raised")


@attrs.define
class Losses:
    """What is said of lines that are not in the log, and to whom."""

    path: Path
    on_error: OnError
    count: int = 0
    """Lines lost so far."""

    def report(self, lines: Sequence[Line], error: Callable[[], LogWriteError]) -> None:
        """Tell those who wait for *lines* that they are lost; if `on_error` takes care of it, that all is well."""
        if self.is_handled(error(), [line.body for line in lines]):
            acknowledge(lines)
            return
        for line in lines:
            tell((line.written,), partial(_with_line, error, line.body))

    def is_handled(self, error: LogWriteError, lines: Sequence[bytes]) -> bool:
        """Count the loss, give it to an `on_error` that is a callable, and return whether that took it."""
        self.count += len(lines)
        error.lines = tuple(lines)
        if not callable(self.on_error):
            return False
        try:
            _ = self.on_error(error)
        except Exception:
            logger.exception("the on_error of a log raised")
            return False
        return True

    def unwritten(self, cause: OSError) -> Callable[[], LogWriteError]:
        """Return what makes the errors for lines that *cause* kept out."""
        return partial(self._error, cause, "not written to the log")

    def untrusted(self, cause: OSError) -> LogWriteError:
        """Return the error for all that comes after *cause*, which only opening the log anew can mend."""
        return self._error(cause, "the log takes nothing until reopen() is called, because this failed")

    def _error(self, cause: OSError, text: str) -> LogWriteError:
        error = LogWriteError(cause.errno or errno.EIO, f"{text}: {cause.strerror or cause}", str(self.path))
        error.__cause__ = cause
        return error


def _with_line(error: Callable[[], LogWriteError], line: bytes) -> LogWriteError:
    failed = error()
    failed.lines = (line,)
    return failed
