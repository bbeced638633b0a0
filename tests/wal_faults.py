"""Disks for the tests of the log: one that fails by plan, and one that knows what a power cut would leave."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from itertools import product
from typing import TYPE_CHECKING

import attrs

from bubus.wal import WriteAheadLog
from bubus.wal._file import Clock, Disk
from bubus.wal._frame import seal_all

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from bubus.errors import LogWriteError


class Crash(BaseException):
    """The process is dead: nothing it does from now on has any effect."""


@attrs.define
class Plan:
    """Which call of an operation fails, counted from 1, and how."""

    operation: str
    """Name of a method of `FaultDisk`, or ``"*"`` for all."""

    at: int
    code: int = errno.EIO
    lasting: bool = False
    crash: bool = False


class FaultDisk(Disk):
    """
    Real files; counts what is done to them, and fails, shortens or delays it as told.

    A sync does nothing: none of these tests cuts the power.
    """

    plan: Plan | None = None
    is_short: bool = False
    """Whether half of each write is taken before the rest is asked for again."""

    gate: threading.Event | None = None
    """What each sync waits for."""

    on_sync: Callable[[], object] | None = None
    """Called after each sync."""

    is_dead: bool = False
    on_death: Callable[[], object] | None = None

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.fds: dict[int, Path] = {}
        self.syncing = threading.Event()
        self.lock_of_all = threading.RLock()
        """Held by whoever does something: the log's threads meet here, and `die` comes between two steps only."""

    def die(self) -> None:
        """Do what the end of a process does: close its files, and so free its locks."""
        with self.lock_of_all:
            self.is_dead = True
            self.on_death = None
            for fd in self.fds:
                os.close(fd)
            self.fds.clear()

    def open(self, path: Path) -> int:
        with self.lock_of_all:
            self._step("open")
            return self._opened(super().open(path), path)

    def create(self, path: Path) -> int:
        with self.lock_of_all:
            self._step("create")
            return self._opened(super().create(path), path)

    def hold(self, path: Path) -> int:
        with self.lock_of_all:
            self._step("open")
            return self._opened(super().hold(path), path)

    def overwrite(self, fd: int, data: bytes) -> None:
        with self.lock_of_all:
            self._step("write")
            super().overwrite(fd, data)

    def close(self, fd: int) -> None:
        with self.lock_of_all:
            if fd in self.fds:
                del self.fds[fd]
                super().close(fd)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        with self.lock_of_all:
            self._step("write")
            return super().write(fd, data[: len(data) // 2] if self.is_short and len(data) > 1 else data)

    def sync(self, fd: int) -> None:
        self.syncing.set()
        self._take_time(fd)
        with self.lock_of_all:
            self._step("sync")
            if self.on_sync is not None:
                self.on_sync()

    def truncate(self, fd: int, size: int) -> None:
        with self.lock_of_all:
            self._step("truncate")
            super().truncate(fd, size)

    def rename(self, source: Path, target: Path) -> None:
        with self.lock_of_all:
            self._step("rename")
            super().rename(source, target)

    def remove(self, path: Path) -> None:
        with self.lock_of_all:
            self._step("remove")
            super().remove(path)

    def sync_directory(self, path: Path) -> None:
        with self.lock_of_all:
            self._step("sync_directory")

    def _take_time(self, fd: int) -> None:
        """Wait, as a sync of *fd* that has begun does."""
        del fd  # here all take the same time
        if self.gate is not None:
            assert self.gate.wait(30)

    def _opened(self, fd: int, path: Path) -> int:
        self.fds[fd] = path
        return fd

    def _step(self, operation: str) -> None:
        if self.is_dead:
            raise Crash
        self.calls[operation] += 1
        self.calls["*"] += 1
        plan = self.plan
        if plan is None or plan.operation not in (operation, "*"):
            return
        count = self.calls[plan.operation]
        if count == plan.at or (plan.lasting and count > plan.at):
            if plan.crash:
                self.is_dead = True
                if self.on_death is not None:
                    self.on_death()
                raise Crash
            raise OSError(plan.code, os.strerror(plan.code))


@attrs.define(eq=False)
class _File:
    now: bytes = b""
    safe: bytes = b""
    """What is on the disk for certain."""

    past: tuple[bytes, ...] = ()
    """What it was before each cut, or write over it, since then: a power cut may undo that."""


@attrs.frozen
class _Change:
    """What one call did to the names in a directory; it reaches the disk as a whole or not at all."""

    gone: Path
    name: Path | None = None
    file: _File | None = None

    def apply(self, names: dict[Path, _File]) -> None:
        names.pop(self.gone, None)
        if self.name is not None and self.file is not None:
            names[self.name] = self.file


class PowerDisk(FaultDisk):
    """
    Keeps beside the real files what a power cut could leave of them.

    Until a directory is synced, each change of a name in it may be on the disk or not, whatever became of those before
    it. Of a file there is what was written before the last sync of it began, and maybe more, such as what was cut off.
    """

    before_step: Callable[[], object] | None = None
    """Called before anything is done, in whichever thread does it."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[Path, _File] = {}
        self.safe_names: dict[Path, _File] = {}
        self.changes: list[_Change] = []
        """What was done to names since their directory was synced."""

        self.files: dict[int, _File] = {}

    def open(self, path: Path) -> int:
        with self.lock_of_all:
            fd = super().open(path)
            self.files[fd] = self.names[path]
            return fd

    def create(self, path: Path) -> int:
        with self.lock_of_all:
            fd = super().create(path)
            file = self.files[fd] = _File()
            self._change(_Change(path, path, file))
            return fd

    def hold(self, path: Path) -> int:
        with self.lock_of_all:
            is_new = self.look(path) is None
            fd = super().hold(path)
            if is_new:
                self._change(_Change(path, path, _File()))
            self.files[fd] = self.names[path]
            return fd

    def overwrite(self, fd: int, data: bytes) -> None:
        with self.lock_of_all:
            super().overwrite(fd, data)
            file = self.files[fd]
            file.past += (file.now,)
            file.now = data + file.now[len(data) :]

    def write(self, fd: int, data: bytes | memoryview) -> int:
        with self.lock_of_all:
            written = super().write(fd, data)
            self.files[fd].now += bytes(data[:written])
            return written

    def truncate(self, fd: int, size: int) -> None:
        with self.lock_of_all:
            super().truncate(fd, size)
            file = self.files[fd]
            file.past += (file.now,)
            file.now = file.now[:size]

    def sync(self, fd: int) -> None:
        file = self.files[fd]
        begun, undone = file.now, len(file.past)
        super().sync(fd)
        file.safe, file.past = begun, file.past[undone:]

    def rename(self, source: Path, target: Path) -> None:
        with self.lock_of_all:
            super().rename(source, target)
            self._change(_Change(source, target, self.names[source]))

    def remove(self, path: Path) -> None:
        with self.lock_of_all:
            super().remove(path)
            if path in self.names:
                self._change(_Change(path))

    def sync_directory(self, path: Path) -> None:
        with self.lock_of_all:
            super().sync_directory(path)
            done = [change for change in self.changes if change.gone.parent == path]
            self.changes = [change for change in self.changes if change not in done]
            for change in done:
                change.apply(self.safe_names)

    def cut_power(self, chance: random.Random, home: Path) -> None:
        """Write to *home* one of the states that a power cut now may leave."""
        kept = [chance.random() < 0.5 for _ in self.changes]
        lay_out(home, {path.name: _remainder(file, chance) for path, file in self._names_with(kept).items()})

    def aftermaths(self) -> Iterator[dict[str, bytes]]:
        """
        Yield what a power cut now may leave, for each set of changes of names that has reached the disk.

        Of each file there is all that was written, or only what is safe, or all that was there before it was cut. The
        file of the lock is left out.
        """
        for kept in product((False, True), repeat=len(self.changes)):
            names = {path.name: file for path, file in self._names_with(kept).items() if path.suffix != ".lock"}
            for contents in product(*({file.safe, file.now, *file.past} for file in names.values())):
                yield dict(zip(names, contents, strict=True))

    def _names_with(self, kept: Sequence[bool]) -> dict[Path, _File]:
        names = dict(self.safe_names)
        for change, is_kept in zip(self.changes, kept, strict=True):
            if is_kept:
                change.apply(names)
        return names

    def _change(self, change: _Change) -> None:
        change.apply(self.names)
        self.changes.append(change)

    def _step(self, operation: str) -> None:
        if self.before_step is not None and not self.is_dead:
            self.before_step()
        super()._step(operation)


def lay_out(home: Path, files: Mapping[str, bytes]) -> None:
    """Make a directory that holds just these files."""
    home.mkdir()
    for name, data in files.items():
        (home / name).write_bytes(data)


def _remainder(file: _File, chance: random.Random) -> bytes:
    """Return what is left of a file: some first part of what was not synced, and maybe zeros up to its size."""
    if file.past and chance.random() < 0.5:
        return chance.choice((file.safe, *file.past))
    if not file.now.startswith(file.safe):
        return file.now
    length = chance.randint(len(file.safe), len(file.now))
    if chance.random() < 0.5:
        length = max(len(file.safe), length - length % 512)
    rest = len(file.now) - length
    return file.now[:length] + b"\0" * chance.choice((0, rest, chance.randint(0, rest)))


class FakeTime(Clock):
    """Time that a test moves."""

    now = 1_000_000.0

    def time(self) -> float:
        return self.now


def log_on(disk: Disk, clock: Clock | None = None) -> type[WriteAheadLog]:
    """Return a `WriteAheadLog` class that uses *disk*."""

    class Log(WriteAheadLog):
        _disk = disk
        _clock = clock or Clock()

    return Log


@attrs.define
class Acks:
    """Who was told what."""

    good: list[str] = attrs.Factory(list[str])
    errors: dict[str, LogWriteError] = attrs.Factory(dict[str, "LogWriteError"])

    def add(self, log: WriteAheadLog, event_id: str, size: int = 60) -> None:
        """Append the line of an event, and remember what is said of it."""
        log.append(event_id, *parts(event_id, size), lambda error: self._done(event_id, error))

    def _done(self, event_id: str, error: LogWriteError | None) -> None:
        assert event_id not in self.good
        assert event_id not in self.errors
        if error is None:
            self.good.append(event_id)
        else:
            self.errors[event_id] = error


def parts(event_id: str, size: int = 60) -> tuple[bytes, bytes, bytes]:
    """Return the three parts of a line, whose payload has *size* bytes."""
    head = b'{"event_type":"Ping","event_schema":"tests.Ping@1.0.0","event_id":"%b"' % event_id.encode()
    return head, b',"data":"%b"' % (b"x" * size), b',"event_status":"completed","event_results":{}'


def seal(body: bytes, seq: int) -> bytes:
    """Return the whole line for *body*, a JSON object without its closing brace."""
    return seal_all([body], seq - 1)
