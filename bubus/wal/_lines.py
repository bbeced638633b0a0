"""The lines of one file, in memory that grows neither with the file nor with a line."""

from __future__ import annotations

import errno
import gzip
from typing import TYPE_CHECKING, Final

from bubus.errors import LogOpenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedIOBase
    from pathlib import Path

_BLOCK: Final = 1 << 16
_LF: Final = 0x0A


def open_bytes(path: Path) -> BufferedIOBase:
    """
    Open a full file, plain or ``.gz``.

    Raises:
        FileNotFoundError: If there is none.
        LogOpenError: If it cannot be opened.

    """
    return _opened(_open_gzip if path.suffix == ".gz" else _open_plain, path)


def open_log(path: Path) -> BufferedIOBase:
    """
    Open the file that is being written, whatever it is called.

    Raises:
        FileNotFoundError: If there is none.
        LogOpenError: If it cannot be opened.

    """
    return _opened(_open_plain, path)


def unreadable(error: OSError, path: Path) -> LogOpenError:
    """Return the error for a file that is there and cannot be opened."""
    text = f"the file cannot be read ({error.strerror}); check what it is and who may read it"
    return LogOpenError(error.errno or errno.EIO, text, str(path))


def _opened(function: Callable[[Path], BufferedIOBase], path: Path) -> BufferedIOBase:
    try:
        return function(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(error, path) from error


def _open_plain(path: Path) -> BufferedIOBase:
    return path.open("rb")


def _open_gzip(path: Path) -> BufferedIOBase:
    return gzip.open(path, "rb")


class Lines:
    r"""Yields lists of lines, split at ``b"\n"`` only and without it."""

    is_torn: bool = False
    """Whether the file ends without a line feed, and the last line is being looked at."""

    skipped: int = 0
    """Bytes of the line being looked at that are not given, because it is longer than it may be."""

    def __init__(self, file: BufferedIOBase, longest: int) -> None:
        self._file: Final = file
        self._longest: Final = longest
        self._pieces: list[bytes] = []
        self._size: int = 0
        self._put_back: bytes = b""

    def __iter__(self) -> Iterator[list[bytes]]:
        """Yield all there is, a block at a time; of a line too long as much as shows that."""
        while block := self._block():
            self._pieces.append(block)
            self._size += len(block)
            if _LF in block:
                yield self._whole()
            elif self._size > self._longest:
                yield [self._pass_over()]
        if self._size:
            self.is_torn = True
            yield [b"".join(self._pieces)]

    def _block(self) -> bytes:
        block, self._put_back = self._put_back, b""
        # asked twice at the end of half a line: its writer may just be at work
        return block or self._file.read1(_BLOCK) or (self._file.read1(_BLOCK) if self._size else b"")

    def _whole(self) -> list[bytes]:
        lines = b"".join(self._pieces).split(b"\n")
        rest = lines.pop()
        self._pieces, self._size = [rest] * bool(rest), len(rest)
        return lines

    def _pass_over(self) -> bytes:
        line, size = b"".join(self._pieces)[: self._longest + 1], self._size
        self._pieces, self._size = [], 0
        while block := self._file.read1(_BLOCK):
            end = block.find(b"\n")
            if end >= 0:
                size, self._put_back = size + end, block[end + 1 :]
                break
            size += len(block)
        self.skipped = size - len(line)
        return line
