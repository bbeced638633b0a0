"""The kernel's lock on ``<path>.lock``, held as long as the log is open and freed with its owner, however that ends."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Final

from bubus.errors import LogLockedError
from bubus.wal._names import sibling

if TYPE_CHECKING:
    from pathlib import Path

    from bubus.wal._file import Disk

_LONGEST_NOTE: Final = 64


class LogLock:
    """
    The lock, and what its file says: the owner's process id, and how many files were rotated so far.

    The file is never deleted: whoever waits for a deleted one and whoever makes it anew would both have "the" lock.
    """

    def __init__(self, disk: Disk, log: Path) -> None:
        self._disk: Final = disk
        self._log: Final = log
        self._path: Final = sibling(log, ".lock")
        self._fd: int = self._acquire()
        self.rotated: int = 0
        """Number of the last full file, remembered although that file may have been moved away."""

        try:
            self.rotated = _numbers(self._disk.read(self._fd, _LONGEST_NOTE, 0))[1]
            self._write(os.getpid())
        except BaseException:
            self.abandon()
            raise

    def note(self, rotated: int) -> None:
        """Write down how many files are full, for good: no number is to be given twice."""
        self.rotated = rotated
        self._write(os.getpid())
        self._disk.sync(self._fd)

    def release(self) -> None:
        """Give the lock back."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):  # the lock goes with the descriptor; the note is for people only
                self._write(0)
            self.abandon()

    def abandon(self) -> None:
        """Close the descriptor and leave the note: in a forked child the lock is the parent's."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._disk.close(fd)

    def _acquire(self) -> int:
        while True:
            fd = self._disk.hold(self._path)
            try:
                if self._take(fd):
                    return fd
            except BaseException:
                self._disk.close(fd)
                raise
            self._disk.close(fd)  # the file was deleted between open and lock, and somebody may have made a new one

    def _take(self, fd: int) -> bool:
        if not self._disk.lock(fd):
            raise self._locked(fd)
        return self._is_current(fd)

    def _is_current(self, fd: int) -> bool:
        there, ours = self._disk.look(self._path), self._disk.stat(fd)
        return there is not None and (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _locked(self, fd: int) -> LogLockedError:
        pid = _numbers(self._disk.read(fd, _LONGEST_NOTE, 0))[0] or None
        owner = f"process {pid}" if pid else "another process"
        owner += " (this one)" if pid == os.getpid() else ""
        error = LogLockedError(
            errno.EWOULDBLOCK, f"{owner} has this log open; close it there or give each process its own", str(self._log)
        )
        error.pid = pid
        return error

    def _write(self, pid: int) -> None:
        # Over what is there, which is as long: were it cut first, a kill or a full disk could leave nothing.
        self._disk.overwrite(self._fd, b"%-10d\n%-18d\n" % (pid, self.rotated))


def noted_rotations(log: Path) -> int | None:
    """Return how many files of *log* were rotated as far as its lock's file tells; None when there is no such file."""
    try:
        return _numbers(sibling(log, ".lock").read_bytes()[:_LONGEST_NOTE])[1]
    except FileNotFoundError:
        return None


def _numbers(note: bytes) -> tuple[int, int]:
    lines = note.split(b"\n")
    pid, rotated = (int(line) if line.strip().isdigit() else 0 for line in (*lines, b"", b"")[:2])
    return pid, rotated
