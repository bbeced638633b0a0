"""One file that only grows, by whole writes."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from bubus.wal._file import Disk


class Untrusted(Exception):  # noqa: N818 - names a state
    """Nobody knows what is on the disk; `cause` says why. Only opening the log anew helps."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause: Final = cause


class Appender:
    """
    The descriptor of a file that is written at its end.

    A write is whole or undone. The file appears with the first one.
    """

    size: int = 0
    """Bytes in the file, as of the last write or open."""

    safe: int = 0
    """Bytes known to survive a power cut."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self.path: Path = path
        self._disk: Final = disk
        self._fd: int = -1
        self._identity: tuple[int, int] = (0, 0)
        self._unnamed: bool = True  # its name is not yet known to be on the disk, even if a process before us made it

    @property
    def is_open(self) -> bool:
        """Whether there is a descriptor."""
        return self._fd >= 0

    @property
    def is_named(self) -> bool:
        """Whether a power cut would leave the file under its name: `sync` sees to that."""
        return not self._unnamed

    def is_same(self, other: Appender) -> bool:
        """Return whether *other* is or was the same file."""
        return self._identity == other._identity

    def open(self) -> bool:
        """Open the file if there is one, and say so."""
        if self._disk.look(self.path) is None:
            return False
        self._hold(self._disk.open(self.path))
        return True

    def create(self) -> None:
        """Make the file, which must not exist."""
        self._hold(self._disk.create(self.path))

    def write(self, data: bytes) -> None:
        """
        Append *data*, all or nothing.

        Raises:
            OSError: If it cannot be written now; the file is as it was.
            Untrusted: If the file is no longer ours, or what was half written cannot be cut off.

        """
        if self._fd < 0 and not self.open():
            self.create()
        start = self._look()
        if start != self.size:
            raise Untrusted(OSError(errno.EIO, "other code has cut the file or written to it", str(self.path)))
        try:
            self._write_all(data)
        except BaseException:
            self._cut(start)
            raise
        self.size = start + len(data)

    def sync(self) -> None:
        """
        Return when all that was written is on the disk.

        Raises:
            Untrusted: If that failed. The system may have dropped what it could not write, so that a second try
                would succeed without having done anything.

        """
        if self._fd < 0:
            if self.size > self.safe:
                raise Untrusted(OSError(errno.EBADF, "the file could not be opened again", str(self.path)))
            return
        size = self.size
        try:
            self._disk.sync(self._fd)
            if self._unnamed:
                self._disk.sync_directory(self.path.parent)
        except OSError as error:
            raise Untrusted(error) from error
        self._unnamed = False
        self.safe = size

    def cut(self, size: int) -> None:
        """Cut the file to *size* bytes."""
        self._disk.truncate(self._fd, size)
        self.size = size

    def read(self, size: int, offset: int) -> bytes:
        """Return up to *size* bytes from *offset*."""
        return self._disk.read(self._fd, size, offset)

    def rename(self, path: Path) -> None:
        """Move the file, which some systems refuse while it is open, and go on with it; `sync` makes that safe."""
        safe = self.safe
        self.close()
        try:
            self._disk.rename(self.path, path)
            self.path = path
        finally:
            self._hold(self._disk.open(self.path))
            self.safe = safe

    def close(self) -> None:
        """Give the descriptor back, if it is still ours."""
        fd, self._fd = self._fd, -1
        if fd >= 0 and self._is_ours(fd):
            self._disk.close(fd)

    def _hold(self, fd: int) -> None:
        status = self._disk.stat(fd)
        if not stat.S_ISREG(status.st_mode):
            self._disk.close(fd)
            raise OSError(errno.EINVAL, "not an ordinary file", str(self.path))
        self._fd = fd
        self._identity = (status.st_dev, status.st_ino)
        self._unnamed = True
        self.size = self.safe = status.st_size

    def _look(self) -> int:
        # One call finds all three: closed by other code, its number given to another file, deleted.
        try:
            status = self._disk.stat(self._fd)
        except OSError as error:
            raise Untrusted(_explained(error, "the log's descriptor was closed by other code")) from error
        if (status.st_dev, status.st_ino) != self._identity:
            raise Untrusted(OSError(errno.EBADF, "the log's descriptor was closed by other code and used again"))
        if status.st_nlink == 0:
            raise Untrusted(OSError(errno.ENOENT, "the file was deleted while the log was open", str(self.path)))
        return status.st_size

    def _write_all(self, data: bytes) -> None:
        written = self._disk.write(self._fd, data)
        while written < len(data):
            more = self._disk.write(self._fd, memoryview(data)[written:])
            if more == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(self.path))
            written += more

    def _cut(self, size: int) -> None:
        try:
            self._disk.truncate(self._fd, size)
        except OSError as error:
            raise Untrusted(_explained(error, "half a line was written and cannot be cut off")) from error

    def _is_ours(self, fd: int) -> bool:
        try:
            status = self._disk.stat(fd)
        except OSError:
            return False  # closed by other code
        return (status.st_dev, status.st_ino) == self._identity


def _explained(error: OSError, text: str) -> OSError:
    return OSError(error.errno, f"{text} ({error.strerror})")
