"""The files of a log in the order they were written, also while somebody writes and rotates it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bubus.wal._lines import open_bytes
from bubus.wal._names import rotated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedIOBase
    from pathlib import Path


def follow(path: Path, last: int = 0) -> Iterator[tuple[Path, BufferedIOBase]]:
    """
    Yield each file of the log, open: first the full ones with a number greater than *last*, then the one at *path*.

    That one is yielded again, where reading stopped, when it has got its number meanwhile: lines may have been written
    to it before.
    """
    while True:
        for number, full in _newer(path, last):
            last = number
            with open_bytes(full) as file:
                yield full, file
        try:
            file = path.open("rb")
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
            if os.path.samestat(os.fstat(file.fileno()), newer[0][1].stat()):
                last = newer[0][0]
                yield path, file


def _newer(path: Path, last: int) -> list[tuple[int, Path]]:
    return [(number, full) for number, full in rotated(path) if number > last]
