"""Reading a log: every line checked, in order, in memory that does not grow with the log."""

from __future__ import annotations

import errno
import gzip
import logging
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Final, Generic, Literal, Protocol, TypeAlias, TypeVar, cast

from typing_extensions import override

from bubus._tree import escape
from bubus.errors import LogDamagedError, LogOpenError, OptionError
from bubus.wal._files import follow
from bubus.wal._frame import BadLine, is_sealed, too_long, unseal
from bubus.wal._lines import Lines, unreadable
from bubus.wal._lock import noted_rotations
from bubus.wal._names import rotated
from bubus.wal._numbers import Numbers
from bubus.wal._options import MAX_LINE_BYTES, checked_path
from bubus.wal._record import LogRecord, decode_head

if TYPE_CHECKING:
    import os
    from io import BufferedIOBase
    from pathlib import Path

OnDamage: TypeAlias = Literal["raise", "skip"] | Callable[[LogDamagedError], object]
"""What to do about damage: stop with it, log it and go on, or call with it and go on."""

_BROKEN_GZIP: Final = (EOFError, zlib.error, gzip.BadGzipFile)
_TORN: Final = "torn: the file ends within this line"
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

_logger: Final = logging.getLogger("bubus")


class Decode(Protocol[_T_co]):
    """Makes something of a line, or None of one to pass over; raises `BadLine` when that is impossible."""

    def __call__(self, data: bytes, seq: int | None, file: Path, line: int, offset: int, /) -> _T_co | None: ...


class LogReader(Iterator[_T], Generic[_T]):
    """
    Yields what *decode* makes of each line of a log.

    Every line that can be read is yielded, also when lines before it are missing.
    """

    damaged: int = 0
    """Faults met so far; more than 0 only when they do not end the reading."""

    def __init__(
        self, path: Path, decode: Decode[_T], on_error: OnDamage, max_line_bytes: int, *, after_file: int = 0
    ) -> None:
        self._path: Final = path
        self._decode: Final = decode
        self._report: Final = _reaction(on_error)
        self._longest: Final = max_line_bytes
        self._numbers: Final = Numbers(None if after_file else _first_number(path))
        self._lines: Final = self._walk(after_file)

    @override
    def __iter__(self) -> Iterator[_T]:  # noqa: PYI034 - the generator itself, which is faster than going through `__next__`
        """Return the lines that are left."""
        return self._lines

    @override
    def __next__(self) -> _T:
        """Return the next line."""
        return next(self._lines)

    def _walk(self, after_file: int) -> Iterator[_T]:
        previous, number, offset = None, 0, 0
        for path, file in follow(self._path, after_file):
            if file is not previous:
                previous, number, offset = file, 0, 0
            number, offset = yield from self._read(path, file, number, offset)

    def _read(self, path: Path, file: BufferedIOBase, number: int, offset: int) -> Generator[_T, None, tuple[int, int]]:
        decode, numbers, longest, source = self._decode, self._numbers, self._longest, Lines(file, self._longest)
        blocks = iter(source)
        while lines := self._next(blocks, path):
            for data in lines:
                number, start, seq, size = number + 1, offset, None, len(data)
                offset += size + 1
                try:
                    if size > longest:
                        raise too_long(longest)
                    expected = numbers.next
                    seq = expected if is_sealed(data, expected) else unseal(data)
                    value = decode(data, seq, path, number, start)
                except BadLine as error:
                    self._damage(path, number, start, _TORN if source.is_torn else str(error))
                    offset, source.skipped = offset + source.skipped, 0
                    if seq is not None:
                        _ = numbers.fault(
                            seq
                        )  # it is there, whatever it holds: the next line need not report it missing
                    continue
                if seq is not None:
                    if seq == expected:
                        numbers.next = seq + 1
                    elif self._is_repeated(seq, path, number, start):
                        continue
                if value is not None:
                    yield value
        return number, offset

    def _next(self, blocks: Iterator[list[bytes]], path: Path) -> list[bytes]:
        """Return the next lines, or none at the end."""
        nothing: list[bytes] = []
        try:
            return next(blocks, nothing)
        except _BROKEN_GZIP as error:
            self._damage(path, 1, 0, f"the file can only be decompressed in part ({error})")
            return nothing

    def _is_repeated(self, seq: int, path: Path, number: int, offset: int) -> bool:
        fault = self._numbers.fault(seq)
        if fault is None:
            return False
        self._damage(path, number, offset, fault.reason)
        return fault.repeated

    def _damage(self, path: Path, number: int, offset: int, reason: str) -> None:
        error = LogDamagedError(str(path), number, offset, reason)
        if self._report is None:
            raise error
        self.damaged += 1
        _ = self._report(error)


def records(
    path: str | os.PathLike[str], on_error: OnDamage = "raise", *, max_line_bytes: int = MAX_LINE_BYTES
) -> LogReader[LogRecord]:
    """
    Yield the lines of a log, its full files (``.gz`` too) first, as they are.

    Lines of an older bubus, which have no `event_crc`, are read unchecked.

    Args:
        path: The log, as it was given to `WriteAheadLog`.
        on_error: ``"raise"``, ``"skip"`` (each fault is logged as a warning and counted in `LogReader.damaged`), or
            what to call with each fault.
        max_line_bytes: Longest line to accept.

    Raises:
        LogOpenError: If there is no such log.
        LogDamagedError: While reading, at the first line that is not what was written.

    """
    return LogReader(existing(path), _record, on_error, max_line_bytes)


def existing(path: str | os.PathLike[str]) -> Path:
    """
    Return the one spelling of *path*, where there is a log.

    Raises:
        LogOpenError: If there is none, or it is the journal of one.
        OptionError: If the path does not end in a file's name.
        OptionTypeError: If it is no str and no path of one.

    """
    log = checked_path(path)
    base = _base_of_journal(log)
    if base is not None and _is_there(base):
        raise LogOpenError(
            errno.EINVAL, f"this is a log's journal; name the log itself, {escape(base.name)}", str(path)
        )
    if not _is_there(log):
        raise LogOpenError(errno.ENOENT, "no log is there; check the path", str(path))
    return log


def _base_of_journal(path: Path) -> Path | None:
    journal = path.name.removesuffix(".new")
    name = journal.removesuffix(".journal")
    return path.with_name(name) if name not in {"", journal} else None


def _is_there(log: Path) -> bool:
    try:
        return log.exists() or bool(rotated(log)) or noted_rotations(log) is not None
    except OSError as error:  # such as a directory that nobody may look into
        raise unreadable(error, log) from error


def _record(data: bytes, seq: int | None, file: Path, line: int, offset: int) -> LogRecord:
    return LogRecord(file, line, offset, data, decode_head(data, seq))


def _first_number(path: Path) -> int | None:
    full = rotated(path)
    # whoever reads a single full file, a copy, or what is left after older files were moved away begins anywhere
    begins = full[0][0] == 1 if full else noted_rotations(path) == 0
    return 1 if begins else None


def _reaction(on_error: object) -> Callable[[LogDamagedError], object] | None:
    if on_error == "raise":
        return None
    if on_error == "skip":
        return _warn
    if not callable(on_error):
        raise OptionError(f'on_error must be "raise", "skip" or a callable, not {escape(repr(on_error))}')
    return cast("Callable[[LogDamagedError], object]", on_error)


def _warn(error: LogDamagedError) -> None:
    _logger.warning("passed over damage in a log: %s", error)


def pass_over(_: LogDamagedError) -> None:
    """Do nothing about damage, as an `on_error`: it was reported before."""
