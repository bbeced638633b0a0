"""Taking what is damaged out of a log, by hand: good lines stay as they are, the others go to ``<path>.corrupt``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from bubus.errors import LogDamagedError, LogOpenError
from bubus.wal._appender import Appender, Untrusted
from bubus.wal._file import Disk
from bubus.wal._frame import BadLine, unseal
from bubus.wal._journal import MOST_AROUND, Journal, decode_entry, journal_files
from bubus.wal._lines import Lines, open_bytes
from bubus.wal._lock import LogLock
from bubus.wal._names import rotated, sibling
from bubus.wal._options import MAX_LINE_BYTES
from bubus.wal._read import existing, pass_over
from bubus.wal._record import decode_head
from bubus.wal._repair import repair

_BLOCK: Final = 1 << 16

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


def mend(path: str | os.PathLike[str]) -> int:
    """
    Make a log whole as far as that is possible, and return how many damaged lines were taken out.

    A torn end goes to ``<path>.broken``, damaged lines to ``<path>.corrupt``. In the log their numbers stay missing,
    which readers go on to report; the journal is written anew, with what the other lines leave unfinished.

    Raises:
        LogLockedError: If somebody has the log open.
        LogOpenError: If there is no such log, or it cannot be written.
    """
    log, disk = existing(path), Disk()
    with ExitStack() as stack:
        lock = LogLock(disk, log)
        _ = stack.callback(lock.release)
        try:
            moved = sum(_mend_file(disk, log, file) for file in (*_plain_files(log), log))
            return moved + _mend_journal(disk, log)
        except Untrusted as error:
            raise LogOpenError(error.cause.errno or 0, str(error.cause), str(log)) from error


def _plain_files(log: Path) -> list[Path]:
    return [full for _, full in rotated(log) if full.suffix != ".gz"]


def _mend_file(disk: Disk, log: Path, path: Path) -> int:
    file = Appender(disk, path)
    if not file.open():
        return 0
    try:
        bad = list(_bad_lines(path, MAX_LINE_BYTES, decode_head))
        is_torn = bool(bad) and file.read(1, file.size - 1) != b"\n" and bad[-1][1] == file.size
        if len(bad) > is_torn:
            _move(disk, file, bad, sibling(log, ".corrupt"))
            return len(bad)
        _ = repair(disk, file, MAX_LINE_BYTES)
        file.sync()
        return 0
    finally:
        file.close()


def _mend_journal(disk: Disk, log: Path) -> int:
    journal = Journal(disk, log, MAX_LINE_BYTES)
    try:
        journal.open()
    except LogDamagedError:
        moved = sum(_keep_bad_entries(disk, file, sibling(log, ".corrupt")) for file in journal_files(log))
        journal.open(pass_over)
        return moved
    finally:
        journal.close()
    return 0


def _keep_bad_entries(disk: Disk, path: Path, corrupt: Path) -> int:
    file = Appender(disk, path)
    if not file.open():
        return 0
    try:
        bad = list(_bad_lines(path, MAX_LINE_BYTES + MOST_AROUND, decode_entry))
        if bad:
            _copy(disk, file, bad, corrupt)
        return len(bad)
    finally:
        file.close()


def _bad_lines(path: Path, longest: int, decode: Callable[[bytes, int | None], object]) -> Iterator[tuple[int, int]]:
    """Yield where each line begins and ends that is not what was written."""
    offset = 0
    with open_bytes(path) as opened:
        source = Lines(opened, longest)
        for lines in source:
            for data in lines:
                start, whole = offset, not source.is_torn
                offset += len(data) + source.skipped + whole
                source.skipped = 0
                if len(data) > longest or not _is_good(data, decode):
                    yield start, offset


def _is_good(data: bytes, decode: Callable[[bytes, int | None], object]) -> bool:
    try:
        _ = decode(data, unseal(data))
    except BadLine:
        return False
    return True


def _move(disk: Disk, file: Appender, bad: list[tuple[int, int]], corrupt: Path) -> None:
    """Copy the bad lines to *corrupt*, and replace the file by one that has only the others."""
    _copy(disk, file, bad, corrupt)
    good = zip([0, *(end for _, end in bad)], [*(start for start, _ in bad), file.size], strict=True)
    fresh = sibling(file.path, ".mended")
    disk.remove(fresh)
    _copy(disk, file, good, fresh)
    disk.rename(fresh, file.path)
    disk.sync_directory(file.path.parent)


def _copy(disk: Disk, source: Appender, parts: Iterable[tuple[int, int]], target: Path) -> None:
    copy = Appender(disk, target)
    if not copy.open():
        copy.create()
    try:
        for start, end in parts:
            for at in range(start, end, _BLOCK):
                copy.write(source.read(min(_BLOCK, end - at), at))
        copy.sync()
    finally:
        copy.close()
