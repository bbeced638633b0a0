"""The power cut before each step of the log: with every set of changes of names that may have reached the disk."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import attrs
import pytest

from bubus.errors import LogOpenError
from bubus.wal import WriteAheadLog, records
from bubus.wal._appender import Appender, Untrusted
from bubus.wal._journal import Journal
from bubus.wal._names import rotated
from tests.test_wal_journal import accept, complete, left
from tests.until import until
from tests.wal_faults import Acks, Crash, FaultDisk, Plan, PowerDisk, lay_out, log_on, parts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bubus.wal import Fsync

MODES: tuple[Fsync, ...] = ("no", "everysec", "always")


class LazyDisk(PowerDisk):
    """Syncs one file when it is told to, and the others at once."""

    def __init__(self, slow: str) -> None:
        super().__init__()
        self.slow = slow
        """What the name of that file ends in."""

        self.is_waiting = threading.Event()
        self.is_time = threading.Event()
        self.synced = 0
        """How often another file was synced."""

    def sync(self, fd: int) -> None:
        super().sync(fd)
        self.synced += not self.fds[fd].name.endswith(self.slow)

    def _take_time(self, fd: int) -> None:
        if self.fds[fd].name.endswith(self.slow):
            self.is_waiting.set()
            assert self.is_time.wait(30)


@attrs.define
class Cuts:
    """What power cuts may leave of a log, each with what had been promised by then."""

    disk: PowerDisk
    home: Path
    promised: list[str] = attrs.Factory(list[str])
    """Ids of events that must survive."""

    _left: dict[frozenset[tuple[str, bytes]], frozenset[str]] = attrs.field(init=False, factory=dict)

    def add(self) -> None:
        """Cut the power now, in every way."""
        for files in self.disk.aftermaths():
            left = frozenset(files.items())
            self._left[left] = self._left.get(left, frozenset()).union(self.promised)

    async def check(self) -> int:
        """Open what each has left, see that nothing promised is missing and nothing there twice, and count them."""
        for number, (files, promised) in enumerate(self._left.items()):
            found = await _found(self.home / str(number), dict(files))
            assert len(found) == len(set(found)), sorted(files)
            assert promised <= set(found), sorted(files)
        return len(self._left)


async def _found(home: Path, files: Mapping[str, bytes]) -> list[str]:
    """Return the ids of all events that are in the log, whose numbers have no gap, or left to be recovered."""
    lay_out(home, files)
    log = WriteAheadLog(home / "events.jsonl", ahead=True)
    found = [event.event_id for event in await log.unfinished()]
    log.close()
    if log.path.exists() or rotated(log.path):
        found += [record.event_id for record in records(log.path)]
    return found


def killed(disk: PowerDisk, log: WriteAheadLog) -> None:
    """Do what the end of the process does; the next one may use the disk."""
    log.after_fork()
    disk.die()
    disk.is_dead = False


async def test_no_compaction_of_the_journal_can_lose_an_event(tmp_path: Path) -> None:
    """Tried again at once, before anything was synced since the last: what was synced before is found all the same."""
    disk = PowerDisk()
    cuts = Cuts(disk, tmp_path)
    disk.make_directory(tmp_path / "log")
    journal = Journal(disk, tmp_path / "log" / "events.jsonl", 1000)
    journal.open()
    disk.before_step = cuts.add
    for number in range(0, 12, 3):
        _accept(journal, number)
        old = journal.begin_anew()
        _accept(journal, number + 1)
        journal.sync()
        cuts.promised += [str(number), str(number + 1)]
        if old is not None:
            journal.replace(old)
        _accept(journal, number + 2)
        cuts.promised += [str(number + 2)] * (not journal.is_unsafe)
    journal.close()
    cuts.add()
    assert disk.calls["rename"] > 1
    assert await cuts.check() > 30


def _accept(journal: Journal, number: int) -> None:
    head, payload, _ = parts(str(number))
    journal.accept(str(number), head + payload + b"}", 0)


@pytest.mark.real_time
async def test_what_came_while_the_journal_was_compacted_is_synced_when_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`close` is as safe as `fsync` promises, also for what was written to the new file after that was synced."""
    monkeypatch.setattr("bubus.wal._journal._SMALL", 1000)
    monkeypatch.setattr("bubus.wal._pulse.INTERVAL", 0.0)
    disk = LazyDisk(".journal.new")
    log = log_on(disk)(tmp_path / "log" / "events.jsonl", fsync="everysec", ahead=True)
    await accept(log, "a")
    await accept(log, "b", 1000)
    log.sync()
    await complete(log, "a")
    await until(disk.is_waiting.is_set, 1_000_000)
    await accept(log, "c")
    disk.is_time.set()
    log.close()
    assert disk.calls["rename"] == 1
    cuts = Cuts(disk, tmp_path, ["a", "b", "c"])
    cuts.add()
    assert await cuts.check() > 0


@pytest.mark.real_time
@pytest.mark.parametrize("mode", MODES)
async def test_no_rotation_can_lose_a_line(tmp_path: Path, mode: Fsync) -> None:
    """The next file never stands under the name of the one before without that having its own."""
    disk, acks = PowerDisk(), Acks()
    cuts = Cuts(disk, tmp_path)
    if mode == "always":
        cuts.promised = acks.good
    log = log_on(disk)(tmp_path / "log" / "events.jsonl", fsync=mode, rotate_bytes=700)
    disk.before_step = cuts.add
    for number in range(9):
        acks.add(log, str(number))
        await log.drain()
    log.close()
    if mode == "everysec":
        cuts.promised = acks.good
    cuts.add()
    assert acks.good == [str(number) for number in range(9)]
    assert disk.calls["rename"] == 2
    assert await cuts.check() > 10


@pytest.mark.real_time
@pytest.mark.parametrize("mode", ["everysec", "always"])
async def test_a_line_that_a_killed_process_has_not_synced_counts_when_it_is_synced(
    tmp_path: Path, mode: Fsync
) -> None:
    """Found in the log, its event is dropped from the journal: not before the line is safe."""
    path, disk = tmp_path / "log" / "events.jsonl", PowerDisk()
    first = log_on(disk)(path, ahead=True)
    await accept(first, "a")
    await complete(first, "a")
    killed(disk, first)
    second = log_on(disk)(path, fsync=mode, ahead=True)
    cuts = Cuts(disk, tmp_path, ["a"])
    disk.before_step = cuts.add
    assert await second.unfinished() == []
    second.close()
    cuts.add()
    assert await cuts.check() > 0


@pytest.mark.real_time
async def test_a_journal_forgets_no_event_before_its_line_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With "everysec" the end of an event may be lost for a second, but not what was accepted long ago."""
    monkeypatch.setattr("bubus.wal._pulse.INTERVAL", 0.0)
    disk, path = LazyDisk("events.jsonl"), tmp_path / "log" / "events.jsonl"
    log = log_on(disk)(path, fsync="everysec", ahead=True)
    await accept(log, "a")
    await until(lambda: disk.synced, 1_000_000)
    await complete(log, "a")
    for event_id in "bcd":
        before = disk.synced
        await accept(log, event_id)
        await until(lambda before=before: disk.synced > before, 1_000_000)
    assert disk.is_waiting.is_set()
    cuts = Cuts(disk, tmp_path, ["a"])
    cuts.add()
    disk.is_time.set()
    log.close()
    assert await cuts.check() > 0
    assert [event.event_id for event in await left(path)] == ["b", "c", "d"]


@pytest.mark.real_time
async def test_an_event_that_a_killed_process_buried_is_forgotten_when_that_is_safe(tmp_path: Path) -> None:
    """Killed before ``.dead`` was synced, the next process finds the event there and syncs it, however it got there."""
    path, disk = tmp_path / "log" / "events.jsonl", PowerDisk()
    first = log_on(disk)(path, ahead=True)
    await accept(first, "a")
    killed(disk, first)
    second = log_on(disk)(path, ahead=True)
    (event,) = await second.unfinished()
    disk.plan = Plan("sync", disk.calls["sync"] + 1, crash=True)
    with pytest.raises(Crash):
        await second.bury(event, "tried often enough")
    disk.plan = None
    killed(disk, second)
    third = log_on(disk)(path, fsync="always", ahead=True)
    (event,) = await third.unfinished()
    await third.bury(event, "tried often enough")
    third.close()
    dead = path.with_name("events.jsonl.dead")
    for number, files in enumerate(disk.aftermaths()):
        home = tmp_path / str(number)
        lay_out(home, files)
        buried = [record.event_id for record in records(home / dead.name)] if dead.name in files else []
        assert buried == ["a"] or [event.event_id for event in await left(home / path.name)] == ["a"]


@pytest.mark.real_time
async def test_a_line_that_was_reported_as_lost_does_not_come_back(tmp_path: Path) -> None:
    """After a failed sync `reopen` cuts it off, and syncs that before anything else is written."""
    disk, acks = PowerDisk(), Acks()
    log = log_on(disk)(tmp_path / "log" / "events.jsonl", fsync="always")
    acks.add(log, "a")
    await log.drain()
    disk.plan = Plan("sync", disk.calls["sync"] + 1)
    acks.add(log, "b")
    await log.drain()
    disk.plan = None
    log.reopen()
    acks.add(log, "c")
    await log.drain()
    log.close()
    assert (acks.good, list(acks.errors)) == (["a", "c"], ["b"])
    for number, files in enumerate(disk.aftermaths()):
        assert await _found(tmp_path / str(number), files) == ["a", "c"]


@pytest.mark.real_time
async def test_a_journal_that_could_not_be_compacted_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut does not bring the half file back, whose records the old one has left behind since."""
    disk = PowerDisk()
    disk.make_directory(tmp_path / "log")
    journal = Journal(disk, tmp_path / "log" / "events.jsonl", 1000)
    journal.open()
    _accept(journal, 1)
    journal.sync()
    write = disk.write

    def fill(fd: int, data: bytes | memoryview) -> int:
        _ = write(fd, data)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(fd: int, size: int) -> None:
        raise OSError(errno.EIO, f"{fd} cannot be cut to {size}")

    with monkeypatch.context() as full:
        full.setattr(disk, "write", fill)
        full.setattr(disk, "truncate", refuse)
        with pytest.raises(Untrusted):
            journal.begin_anew()
    journal.done("1")
    journal.write()
    journal.sync()
    journal.close()
    for files in disk.aftermaths():
        assert files.keys() == {"events.jsonl.journal"}


async def _rotate(log: WriteAheadLog, acks: Acks) -> list[Path]:
    """Add lines until there is a full file, and return what there is then."""
    while not (full := [file for _, file in rotated(log.path)]):
        acks.add(log, str(len(acks.good)))
        await log.drain()
    return full


@pytest.mark.real_time
async def test_a_file_number_is_not_given_twice(tmp_path: Path) -> None:
    """
    A full file that was moved away leaves its number in the lock's file, whatever a power cut leaves of that.

    It is synced before the number is used, and from then on it is there at every moment: also after the next process
    has opened and closed the log.
    """
    disk, path = PowerDisk(), tmp_path / "log" / "events.jsonl"
    log = log_on(disk)(path, rotate_bytes=700)
    (first,) = await _rotate(log, Acks())
    lock, notes = disk.names[path.with_name("events.jsonl.lock")], set[bytes]()

    def look() -> None:
        notes.update({lock.safe, lock.now, *lock.past})

    first.unlink()
    look()
    disk.before_step = look
    log.close()
    log_on(disk)(path, rotate_bytes=700).close()
    look()
    assert len(notes) > 1
    for number, note in enumerate(notes):
        home = tmp_path / str(number)
        lay_out(home, {"events.jsonl.lock": note})
        second = WriteAheadLog(home / "events.jsonl", rotate_bytes=700)
        assert [file.name for file in await _rotate(second, Acks())] == ["events.jsonl.000002"]
        second.close()


async def test_a_full_disk_does_not_take_the_file_numbers(tmp_path: Path) -> None:
    """What the lock's file says outlives any call that fails while the log is opened."""
    path = tmp_path / "events.jsonl"
    log = WriteAheadLog(path, rotate_bytes=700)
    (first,) = await _rotate(log, Acks())
    log.close()
    first.unlink()
    refused, disk = 0, FaultDisk()
    while True:
        disk.plan = Plan("*", disk.calls["*"] + refused + 1, errno.ENOSPC)
        try:
            log = log_on(disk)(path, rotate_bytes=700)
        except LogOpenError:
            refused += 1
        else:
            break
    disk.plan = None
    assert refused
    assert [file.name for file in await _rotate(log, Acks())] == ["events.jsonl.000002"]
    log.close()


def test_a_file_that_could_not_be_opened_again_is_not_called_safe(tmp_path: Path) -> None:
    """A renaming closes it for a moment: after a failure there, what no sync has covered is not on the disk."""
    disk = FaultDisk()
    file = Appender(disk, tmp_path / "one")
    file.write(b"safe\n")
    file.sync()
    file.write(b"not yet\n")
    disk.plan = Plan("open", disk.calls["open"] + 1)

    with pytest.raises(OSError, match="Input/output error"):
        file.rename(tmp_path / "two")
    with pytest.raises(Untrusted, match="could not be opened again"):
        file.sync()
    assert file.safe == len(b"safe\n")
