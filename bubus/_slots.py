"""
Slots that all processes of one user share: files locked by the kernel.

A lock is gone with its process, however that ends, so it is never stale and nobody judges it by its age. Files are
never deleted: whoever locked a deleted file would hold a lock that nobody else can see.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import os
import re
import stat
import sys
import tempfile
from pathlib import Path
from typing import Final

import attrs
from filelock import lock_descriptor, unlock_descriptor

from bubus.errors import SemaphoreDirError

_VARIABLE: Final = "BUBUS_SEMAPHORE_DIR"
_OTHERS: Final = 0o077
"""Permission bits that the default directory, in a place anyone can write to, may not have."""
_OTHERS_WRITE: Final = 0o022
"""Those that a directory of the user's choice may not have."""
_OPEN: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)

_held: set[Slot] = set()


@attrs.define
class _Home:
    """Where the files are."""

    assigned: Path | None = None


_home: Final = _Home()


def directory() -> Path:
    """Return where the files are: as assigned, as the environment says now, or a directory of this user."""
    return _chosen() or Path(tempfile.gettempdir()) / f"bubus-{_user()}"


def assign_directory(path: str | os.PathLike[str]) -> None:
    """Keep the files in *path* from now on."""
    _home.assigned = Path(path)


def prepare_directory() -> Path:
    """
    Return the directory, made if it is missing.

    Raises:
        SemaphoreDirError: If it is no directory, another user's, or others may write to it.

    """
    path, chosen = directory(), _chosen() is not None
    try:
        facts = path.stat(follow_symlinks=chosen)
    except FileNotFoundError:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = path.stat(follow_symlinks=chosen)
    _check(path, facts, _OTHERS_WRITE if chosen else _OTHERS)
    return path


def stem(name: str) -> str:
    """Return the start of the file names for *name*: readable, harmless, and different for every name."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', name)[:40]}-{digest[:16]}"


@attrs.define(eq=False)
class Slot:
    """A locked file: no other process, thread or task has it before `release` or the end of this process."""

    _descriptor: int

    def release(self) -> None:
        """Unlock; harmless in a forked child, which has none of its parent's locks."""
        if self._descriptor >= 0:
            try:
                unlock_descriptor(self._descriptor)  # a child forked behind Python's back may have the file open too
            finally:
                self.close()

    def close(self) -> None:
        """Close the file; the lock goes with the last process that has it open."""
        descriptor, self._descriptor = self._descriptor, -1
        _held.discard(self)
        os.close(descriptor)

    def lock(self, path: Path) -> bool:
        """Try once to lock the file, and return whether it is ours and still the one at *path*."""
        return lock_descriptor(self._descriptor, blocking=False) and _is_at(path, self._descriptor)


def take(path: Path) -> Slot | None:
    """Lock the file at *path* if nobody has it; never wait."""
    _watch_forks()
    slot = Slot(os.open(path, _OPEN, 0o600))
    _held.add(slot)
    locked = False
    try:
        locked = slot.lock(path)
    finally:
        if not locked:
            slot.close()
    return slot if locked else None


def _chosen() -> Path | None:
    if _home.assigned is not None:
        return _home.assigned
    variable = os.environ.get(_VARIABLE)
    return Path(variable) if variable else None


def _user() -> str:
    return getpass.getuser() if sys.platform == "win32" else str(os.geteuid())


def _check(path: Path, facts: os.stat_result, forbidden: int) -> None:
    if not stat.S_ISDIR(facts.st_mode):
        raise SemaphoreDirError(f"{path} is no directory; remove it, or set {_VARIABLE} to a directory of yours")
    if sys.platform == "win32":
        return  # a directory's mode says nothing there, and the default is inside the user's profile
    if facts.st_uid != os.geteuid():
        raise SemaphoreDirError(f"{path} belongs to user {facts.st_uid}; set {_VARIABLE} to a directory of yours")
    if facts.st_mode & forbidden:
        raise SemaphoreDirError(
            f"{path} is open to other users (mode {facts.st_mode & 0o777:o}); run: chmod 700 {path}"
        )


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:  # deleted between open and lock, as cleaners of temporary files do
        return False


@functools.cache
def _watch_forks() -> None:
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=_drop_inherited)


def _drop_inherited() -> None:
    # A child that kept its parent's files open would keep the locks after the parent was killed.
    for slot in [*_held]:
        slot.close()
