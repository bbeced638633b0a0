"""The lines of a file that nobody vouches for, one at a time."""

from __future__ import annotations

from codecs import BOM_UTF8
from itertools import count
from typing import IO, TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 1 << 20
"""Bytes of a line that are held in memory; a thousand times a usual order."""


@attrs.frozen
class Line:
    """One line, with its end cut off."""

    number: int
    data: bytes
    """The first `LONGEST` bytes at most."""

    size: int
    """Bytes that the line takes in the file, its end included."""

    @property
    def whole(self) -> bool:
        """Whether `data` is all of it."""
        return self.size <= LONGEST


def read_lines(file: IO[bytes]) -> Iterator[Line]:
    """Yield the lines of *file*, split at line feeds only; memory does not grow with their length."""
    for number in count(1):
        data = file.readline(LONGEST)
        if not data:
            return
        size = len(data) + _skip_rest(file, data)
        start = data.removeprefix(BOM_UTF8) if number == 1 else data
        yield Line(number, start.removesuffix(b"\n"), size)


def _skip_rest(file: IO[bytes], data: bytes) -> int:
    skipped = 0
    while len(data) == LONGEST and not data.endswith(b"\n"):
        data = file.readline(LONGEST)
        skipped += len(data)
    return skipped
