"""The files of a log in the order they were written, also while somebody writes and rotates it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bubus.wal._lines import open_bytes, open_log, unreadable
from bubus.wal._names import rotated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase
    from pathlib import Path


def follow(path: Path, last: int = 0) -> Iterator[tuple[Path, BufferedIOBase]]:
    """
    Yield each file of the log, open: first the full ones with a number greater than *last*, then the one at *path*.

    That one is yielded again, where reading stopped, when it has got its number meanwhile: lines may have been written
    to it before. A full file that is deleted meanwhile is passed over; whoever counts lines will notice.

    Raises:
        LogOpenError: If a file cannot be opened.

    """
    while True:
        for number, full, opened in _full(path, last):
            last = number
            with opened:
                yield full, opened
        try:
            file = open_log(path)
        except FileNotFoundError:
            if not _newer(path, last):
                return
            continue
        with file:
            if _newer(path, last):
                continue  # rotated since we looked: those files come first
            yield path, file
            newer = _newer(path, last)
            if not newer:
                return
            if _is_at(file, newer[0][1]):
                last = newer[0][0]
            yield path, file  # also if it was deleted since


def _full(path: Path, last: int) -> Iterator[tuple[int, Path, BufferedIOBase]]:
    gone: Path | None = None
    while newer := _newer(path, last):
        for number, full in newer:
            try:
                file = open_bytes(full)
            except FileNotFoundError as error:
                if full == gone:
                    raise unreadable(error, full) from error  # a link to nothing has a name, too
                gone = full
                break  # deleted or compressed since we looked
            last = number
            yield number, full, file


def _is_at(file: BufferedIOBase, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _newer(path: Path, last: int) -> list[tuple[int, Path]]:
    return [(number, full) for number, full in rotated(path) if number > last]
