"""
The end of a file after a crash.

What a power cut or a kill leaves is a *torn tail*: after the last whole line, half a line without line feed, or blocks
that were never written and read as zeros. It is copied to ``<path>.broken`` and cut off. A whole line that is not what
was written is *damage*, which nobody but a person may decide about: the log is not opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from bubus.errors import LogDamagedError
from bubus.wal._appender import Appender, Untrusted
from bubus.wal._frame import BadLine, too_long, unseal
from bubus.wal._names import sibling
from bubus.wal._record import is_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bubus.wal._file import Disk

_BLOCK: Final = 1 << 16
_ZERO: Final = 0x00


@attrs.frozen
class Tail:
    """How a file ends."""

    end: int
    """Where its last good line ends."""

    seq: int | None
    """Number of that line; None when there is none or it was written by an older bubus."""

    sealed: bool = True
    """False when only that line's line feed is missing."""


def repair(disk: Disk, file: Appender, max_line_bytes: int) -> int | None:
    """
    Cut off a torn tail, and return the number of the last line if it has one.

    Raises:
        LogDamagedError: If the last line is damaged.

    """
    tail = find_tail(file, max_line_bytes)
    if not tail.sealed:
        file.write(b"\n")
    elif tail.end < file.size:
        keep(disk, file, tail.end)
        file.cut(tail.end)
    return tail.seq


def find_tail(file: Appender, max_line_bytes: int) -> Tail:
    """
    Find the last good line.

    Raises:
        LogDamagedError: If a whole line that is no torn tail stands behind it.

    """
    for start, end in _lines_backwards(file):
        whole = file.read(1, end - 1) == b"\n"
        line = file.read(min(end - whole - start, max_line_bytes + 1), start)
        fault, seq = _judge(line, max_line_bytes)
        if fault is None:
            return Tail(end, seq, sealed=whole)
        if whole and _ZERO not in line:
            raise LogDamagedError(str(file.path), _line_number(file, start), start, fault)
    return Tail(0, None)


def _judge(line: bytes, max_line_bytes: int) -> tuple[str | None, int | None]:
    if len(line) > max_line_bytes:
        return str(too_long(max_line_bytes)), None
    try:
        seq = unseal(line)
    except BadLine as error:
        return str(error), None
    if seq is None and not is_event(line):
        return "no event (run `bubus log check` on the file)", None
    return None, seq


def _lines_backwards(file: Appender) -> Iterator[tuple[int, int]]:
    end = file.size
    while end:
        start = _line_feed_before(file, end - 1) + 1
        yield start, end
        end = start


def _line_feed_before(file: Appender, end: int) -> int:
    while end:
        start = max(0, end - _BLOCK)
        at = file.read(end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at
        end = start
    return -1


def _line_number(file: Appender, offset: int) -> int:
    return 1 + sum(block.count(b"\n") for block in _blocks(file, 0, offset))


def _blocks(file: Appender, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _BLOCK):
        yield file.read(min(_BLOCK, end - at), at)


def keep(disk: Disk, file: Appender, start: int) -> None:
    """Copy what stands from *start* on to ``<path>.broken``."""
    broken = Appender(disk, sibling(file.path, ".broken"))
    try:
        for block in _blocks(file, start, file.size):
            broken.write(block)
        broken.sync()
    except Untrusted as error:
        raise error.cause from error
    finally:
        broken.close()
