"""
All that the log asks of the operating system.

Nothing else in this package opens, writes, syncs, renames or locks a file or looks at a clock: a test that replaces
these two classes sees, fails or forgets every step.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE: Final = 0o600
"""Mode of the files the log makes: events hold what their senders trusted us with."""

_PRIVATE_DIRECTORY: Final = 0o700
_EVERYWHERE: Final = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_LOCKED_BYTE: Final = 1 << 30
"""Windows refuses to read what is locked, so a byte far behind the owner's process id is locked."""

if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        _ = os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

    _sync = os.fsync

else:
    import fcntl

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    if sys.platform == "darwin":

        def _sync(fd: int) -> None:
            _ = fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync leaves it in the drive's cache there

    else:
        _sync = os.fdatasync


class Disk:
    """The file system. Files are known by descriptor once they are open; symbolic links are never followed."""

    def open(self, path: Path) -> int:
        """Open a file for appending and reading."""
        return os.open(path, _EVERYWHERE | os.O_APPEND | getattr(os, "O_NONBLOCK", 0))

    def create(self, path: Path) -> int:
        """Make a file that must not exist yet, and open it for appending and reading."""
        return os.open(path, _EVERYWHERE | os.O_APPEND | os.O_CREAT | os.O_EXCL, PRIVATE)

    def hold(self, path: Path) -> int:
        """Open a file to lock it and to write over it; it is made if it is missing."""
        return os.open(path, _EVERYWHERE | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), PRIVATE)

    def overwrite(self, fd: int, data: bytes) -> None:
        """Write over the beginning of a file that `hold` has opened; less than a sector is written whole or not."""
        _ = os.lseek(fd, 0, os.SEEK_SET)
        _ = os.write(fd, data)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """Append and return how many bytes were taken, which may be fewer than given."""
        return os.write(fd, data)

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """Return up to *size* bytes from *offset*."""
        _ = os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, size)

    def sync(self, fd: int) -> None:
        """Return when all that was written is on the disk."""
        _sync(fd)

    def truncate(self, fd: int, size: int) -> None:
        """Cut the file to *size* bytes."""
        os.ftruncate(fd, size)

    def stat(self, fd: int) -> os.stat_result:
        """Describe an open file."""
        return os.fstat(fd)

    def close(self, fd: int) -> None:
        """Give the descriptor back."""
        os.close(fd)

    def look(self, path: Path) -> os.stat_result | None:
        """Describe what is at *path*, a link itself included; None when nothing is."""
        try:
            return path.lstat()
        except FileNotFoundError:
            return None

    def rename(self, source: Path, target: Path) -> None:
        """Move a file; a file at *target* is replaced in one step."""
        _ = source.replace(target)

    def remove(self, path: Path) -> None:
        """Delete a file that may be gone already."""
        path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        """Return when the names in the directory *path* are on the disk."""
        if sys.platform == "win32":
            return  # it has no such call: NTFS writes names in order by itself
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def make_directory(self, path: Path) -> None:
        """Make a directory and its parents where they are missing."""
        if path.is_dir():
            return
        self.make_directory(path.parent)
        path.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
        self.sync_directory(path.parent)

    def lock(self, fd: int) -> bool:
        """Take the kernel's lock on an open file until it is closed; False when someone else has it."""
        try:
            _lock(fd)
        except (BlockingIOError, PermissionError):
            return False
        return True


class Clock:
    """The time of day; the loop's own clock serves for everything shorter than a rotation."""

    def time(self) -> float:
        """Return the seconds since 1970."""
        return time.time()
