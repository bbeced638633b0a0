"""
The files of one log: the one being written, and the full ones before it, ``<path>.000001``, ``<path>.000002``, ...

All of this is synchronous and knows nothing of event loops: `WriteAheadLog` decides in which thread it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from bubus._tree import escape
from bubus.wal._appender import Appender, Untrusted
from bubus.wal._done import logger
from bubus.wal._frame import SEAL_BYTES, BadLine, seal_all, unseal
from bubus.wal._lines import open_bytes
from bubus.wal._names import numbered, rotated
from bubus.wal._record import decode_head
from bubus.wal._repair import keep, repair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bubus.wal._file import Clock, Disk
    from bubus.wal._lock import LogLock
    from bubus.wal._options import Options

_FIRST_LINE: Final = 1 << 16


@attrs.frozen
class Written:
    """What became of a batch of lines: the first `count` are in the log, the others are not because of `error`."""

    count: int
    error: OSError | Untrusted | None = None


class Series:
    """Appends numbered lines, and begins a new file when one is full."""

    def __init__(self, disk: Disk, clock: Clock, lock: LogLock, options: Options) -> None:
        self.path: Final = options.path
        self._disk: Final = disk
        self._clock: Final = clock
        self._lock: Final = lock
        self._options: Final = options
        self.file: Appender = Appender(disk, self.path)
        self.seq: int = 0
        self._born: float = 0.0

    def open(self) -> None:
        """
        Open and repair the file if there is one, and find the number of the last line.

        Unless `fsync` is ``"no"`` it is synced: the process before this one may have died before it did that, and an
        event that is found in the log is forgotten elsewhere.

        Raises:
            LogDamagedError: If its last line is damaged.
            Untrusted: If it could not be synced.

        """
        found = repair(self._disk, self.file, self._options.max_line_bytes) if self.file.open() else None
        if self._options.fsync != "no":
            self.sync()
        self.seq = self._last_seq() if found is None else found
        self._born = self._birth()

    @property
    def is_unsafe(self) -> bool:
        """Whether there are lines that no sync has covered."""
        return self.file.size > self.file.safe

    def is_due(self, more: int) -> bool:
        """Return whether a file is full, or would be with *more* bytes."""
        if not self.file.size:
            return False
        limit, seconds = self._options.rotate_bytes, self._options.rotate_seconds
        return (limit is not None and self.file.size + more > limit) or (
            seconds is not None and self._clock.time() - self._born >= seconds
        )

    def write(self, bodies: Sequence[bytes]) -> Written:
        """Number, seal and append the lines, each a JSON object without its closing brace, in one write per file."""
        count = 0
        try:
            for chunk in self._chunks(bodies):
                self._write_chunk(chunk)
                count += len(chunk)
        except (OSError, Untrusted) as error:
            return Written(count, error)
        return Written(count)

    def sync(self) -> None:
        """
        Return when all lines are on the disk.

        Raises:
            Untrusted: If that failed.

        """
        self.file.sync()

    def rotate(self) -> None:
        """
        End the file and give it its number; the next line begins a new one.

        It is synced first, so that no line of the next file outlives one of this.

        Raises:
            OSError: If the file cannot be renamed now.
            Untrusted: If it could not be synced.

        """
        if not self.file.is_open:
            return
        self.file.sync()
        self.retire()
        self._prune()

    def retire(self) -> None:
        """
        End the file as it is, and give it its number.

        Raises:
            OSError: If it cannot be renamed now.
            Untrusted: If nobody knows whether a power cut would leave it a name.

        """
        number = self._next_number()
        self._lock.note(number)
        self.file.close()
        self._disk.rename(self.path, numbered(self.path, number))
        self.file = Appender(self._disk, self.path)
        try:
            self._disk.sync_directory(self.path.parent)  # else the next file could take the name of this one before
        except OSError as error:
            raise Untrusted(error) from error

    def put_aside(self, failed: Appender, *, cut: bool) -> None:
        """
        Begin a new file after *failed* could not be synced.

        Args:
            failed: The file as it was known then, before it was opened again.
            cut: Cut off what no sync has covered, and keep it in ``<path>.broken``: it was reported as lost.

        """
        if not self.file.is_open:
            return
        if cut and self.file.is_same(failed) and failed.safe < self.file.size:
            keep(self._disk, self.file, failed.safe)
            self.file.cut(failed.safe)
            self.file.sync()  # else a power cut could bring back what was reported as lost
        if self.file.size:
            self.retire()
        else:
            self.file.close()
            self._disk.remove(self.path)
        self.open()

    def close(self) -> None:
        """Give the descriptor back."""
        self.file.close()

    def _write_chunk(self, chunk: Sequence[bytes]) -> None:
        if not chunk:
            self.rotate()
            return
        if not self.file.size:
            self._born = self._clock.time()
        self.file.write(seal_all(chunk, self.seq))
        self.seq += len(chunk)

    def _chunks(self, bodies: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        """Yield what goes into each file; an empty chunk stands for a rotation."""
        if self.is_due(len(bodies[0]) + SEAL_BYTES):
            yield ()
        limit, start, used = self._options.rotate_bytes, 0, self.file.size
        if limit is not None:
            for end, body in enumerate(bodies):
                size = len(body) + SEAL_BYTES
                if used + size > limit and end > start:
                    yield bodies[start:end]
                    yield ()
                    start, used = end, 0
                used += size
        yield bodies[start:] if start else bodies

    def _next_number(self) -> int:
        there = rotated(self.path)
        number = max(self._lock.rotated, there[-1][0] if there else 0) + 1
        while self._disk.look(numbered(self.path, number)) is not None:
            number += 1  # something else has that name, and renaming would delete it
        return number

    def _prune(self) -> None:
        if self._options.keep is not None:
            for _, path in rotated(self.path)[: -self._options.keep]:
                self._remove(path)

    def _remove(self, path: Path) -> None:
        try:
            self._disk.remove(path)
        except OSError as error:  # such as a reader on Windows: no reason to lose lines, the next rotation tries again
            logger.warning("%s is one more than keep and cannot be deleted now: %s", escape(path), escape(error))

    def _last_seq(self) -> int:
        files = [path for _, path in rotated(self.path)] + [self.path] * bool(self.file.size)
        return next((seq for path in reversed(files) if (seq := self._greatest(path))), 0)

    def _greatest(self, path: Path) -> int:
        """Return the greatest number in a file whose last line does not tell it: an older bubus wrote that."""
        with open_bytes(path) as file:
            lines = iter(lambda: file.readline(self._options.max_line_bytes + 1), b"")
            return max(map(_number, lines), default=0)

    def _birth(self) -> float:
        first = self.file.read(_FIRST_LINE, 0).split(b"\n", 1)[0] if self.file.size else b""
        try:
            head = decode_head(first, seq=0)
        except BadLine:
            return self._clock.time()
        began = head.event_processed_at or head.event_completed_at or head.event_created_at
        return began.timestamp() if began else self._clock.time()


def _number(line: bytes) -> int:
    try:
        return unseal(line.removesuffix(b"\n")) or 0
    except BadLine:
        return 0
