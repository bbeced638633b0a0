"""Disk errors: what is lost, who is told, what the file looks like, and when it goes on."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bubus.errors import LogOpenError, LogWriteError
from bubus.wal import WriteAheadLog, records
from bubus.wal._names import rotated
from tests.wal_faults import Acks, FaultDisk, Plan, log_on, parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from bubus.wal import Fsync

MODES: tuple[Fsync, ...] = ("no", "everysec", "always")
CHILD = Path(__file__).with_name("wal_child.py")


def ids(path: Path) -> list[str]:
    """Return the ids of all lines of a log, which must be without fault."""
    return [record.event_id for record in records(path)]


@pytest.mark.real_time
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("is_short", [False, True])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EFBIG])
async def test_E1_E2_a_failed_write_is_undone_and_the_next_one_succeeds(
    tmp_path: Path, mode: Fsync, *, lasting: bool, is_short: bool, code: int
) -> None:
    """Whichever write fails, once or for a while: its lines are lost and nobody else's, and the file stays whole."""
    for at in range(1, 12):
        path, disk, acks = tmp_path / str(at) / "events.jsonl", FaultDisk(), Acks()
        log = log_on(disk)(path, fsync=mode, rotate_bytes=600)
        disk.is_short = is_short
        disk.plan = Plan("write", disk.calls["write"] + at, code, lasting=lasting)
        for number in range(8):
            acks.add(log, str(number))
            await log.drain()
        assert lasting is False or acks.errors
        assert all(error.errno == code for error in acks.errors.values())
        assert path.parent.joinpath("events.jsonl").exists() or not acks.good or lasting
        assert log.failure is None
        disk.plan = None
        acks.add(log, "after")
        await log.drain()
        assert acks.good[-1] == "after"
        assert log.lost_lines == len(acks.errors)
        log.close()
        assert ids(path) == acks.good


@pytest.mark.real_time
async def test_a_full_file_that_cannot_be_deleted_costs_no_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A reader holds it on Windows, say: it is reported, and deleted with the next rotation."""
    path, disk, acks = tmp_path / "events.jsonl", FaultDisk(), Acks()
    log = log_on(disk)(path, rotate_bytes=300, keep=1)
    disk.plan = Plan("remove", 1, errno.EACCES, lasting=True)
    for number in range(6):
        acks.add(log, str(number))
        await log.drain()
    disk.plan = None
    assert acks.errors == {}
    assert ids(path) == acks.good
    assert "events.jsonl.000001 is one more than keep and cannot be deleted now" in caplog.text
    acks.add(log, "after")
    await log.drain()
    log.close()
    assert [number for number, _ in rotated(path)] == [6]


@pytest.mark.parametrize("left", [0, -5], ids=["emptied", "cut in a line"])
async def test_a_file_that_other_code_cuts_is_written_no_more(tmp_path: Path, left: int) -> None:
    """The line would be glued to half a line, or stand alone: its event gets the error, and `reopen` goes on."""
    path, acks = tmp_path / "events.jsonl", Acks()
    log = WriteAheadLog(path)
    acks.add(log, "a")
    await log.drain()
    os.truncate(path, path.stat().st_size + left if left else 0)
    acks.add(log, "lost")
    await log.drain()
    assert "other code has cut the file" in str(acks.errors["lost"])
    log.reopen()
    acks.add(log, "b")
    await log.drain()
    log.close()
    assert acks.good == ["a", "b"]
    assert ids(path) == ["b"]


def test_E1_a_full_disk_costs_no_half_line(tmp_path: Path) -> None:
    """With a limit on the file's size the kernel takes half a line first; the file ends on a whole one, and goes on."""
    limits = [str(limit) for limit in range(1000, 1400, 25)]
    done = subprocess.run(
        [sys.executable, str(CHILD), "limits", str(tmp_path), *limits], capture_output=True, text=True, check=True
    )
    told = [line.split() for line in done.stdout.splitlines()]
    assert [limit for limit, *_ in told] == limits
    for limit, good, lost, after in told:
        assert int(lost) > 0
        assert ids(tmp_path / limit / "events.jsonl") == [*map(str, range(int(good))), after]


@pytest.mark.real_time
@pytest.mark.parametrize("mode", ["everysec", "always"])
async def test_E3_after_a_failed_sync_nothing_is_acknowledged_until_reopen(tmp_path: Path, mode: Fsync) -> None:
    """The first EIO of a sync ends it: no retry, everybody is told, and `reopen` begins a new file."""
    for at in range(1, 6):
        path, disk, acks = tmp_path / str(at) / "events.jsonl", FaultDisk(), Acks()
        log = log_on(disk)(path, fsync=mode)
        disk.plan = Plan("sync", at)
        for number in range(5):
            acks.add(log, str(number))
            await log.drain()
            if mode == "everysec":
                log.sync()
        assert len(acks.good) == (at if mode == "everysec" else at - 1)
        assert set(acks.good).isdisjoint(acks.errors)
        assert len(acks.good) + len(acks.errors) == 5
        assert disk.calls["sync"] == at
        failure = log.failure
        assert failure
        assert failure.errno == errno.EIO
        assert isinstance(failure.__cause__, OSError)
        log.reopen()
        assert log.failure is None
        acks.add(log, "after")
        await log.drain()
        log.close()
        assert acks.good[-1] == "after"
        assert ids(path) == acks.good
        if mode == "always":  # what was written and not synced was reported as lost, and is kept beside
            assert b'"event_id":"%d"' % (at - 1) in path.with_name("events.jsonl.broken").read_bytes()


async def test_E3_every_waiter_gets_an_error_of_its_own(tmp_path: Path) -> None:
    """Errors are not shared, so that the traceback of one waiter does not grow with the others'."""
    disk, acks = FaultDisk(), Acks()
    log = log_on(disk)(tmp_path / "events.jsonl")
    disk.plan = Plan("write", disk.calls["write"] + 1)
    acks.add(log, "a")
    acks.add(log, "b")
    await log.drain()
    assert acks.errors["a"] is not acks.errors["b"]
    log.close()


@pytest.mark.parametrize("mode", MODES)
async def test_on_error_as_a_callable_gets_the_lost_lines(tmp_path: Path, mode: Fsync) -> None:
    """The callable has the error with the lines, and the events count as complete."""
    disk, acks, told = FaultDisk(), Acks(), list[LogWriteError]()
    log = log_on(disk)(tmp_path / "events.jsonl", fsync=mode, on_error=told.append)
    disk.plan = Plan("write", disk.calls["write"] + 1, errno.ENOSPC)
    acks.add(log, "a")
    acks.add(log, "b")
    await log.drain()
    assert acks.good == ["a", "b"]
    (error,) = told
    assert error.lines == tuple(b"".join(parts(event_id)) for event_id in "ab")
    assert log.lost_lines == 2
    log.close()


async def test_an_on_error_that_raises_is_as_good_as_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its error is logged, and whoever waits is told of the loss."""

    def fail(_: LogWriteError) -> None:
        raise ZeroDivisionError

    disk, acks = FaultDisk(), Acks()
    log = log_on(disk)(tmp_path / "events.jsonl", on_error=fail)
    disk.plan = Plan("write", disk.calls["write"] + 1)
    acks.add(log, "a")
    await log.drain()
    assert "a" in acks.errors
    assert "ZeroDivisionError" in caplog.text
    log.close()


async def test_a_callback_that_raises_does_not_keep_others_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One broken waiter is logged; the others are told."""

    def fail(_: LogWriteError | None) -> None:
        raise ZeroDivisionError

    log, acks = WriteAheadLog(tmp_path / "events.jsonl"), Acks()
    log.append("bad", *parts("bad"), fail)
    acks.add(log, "a")
    await log.drain()
    assert acks.good == ["a"]
    assert "ZeroDivisionError" in caplog.text
    log.close()


def _close(disk: FaultDisk, path: Path) -> None:
    os.close(_descriptor(disk, path))


def _reuse(disk: FaultDisk, path: Path) -> None:
    fd = _descriptor(disk, path)
    other = os.open(path.with_name("other"), os.O_RDWR | os.O_CREAT)
    os.dup2(other, fd)
    os.close(other)


def _delete(disk: FaultDisk, path: Path) -> None:
    path.unlink()


def _remove_directory(disk: FaultDisk, path: Path) -> None:
    shutil.rmtree(path.parent)


def _descriptor(disk: FaultDisk, path: Path) -> int:
    (fd,) = (fd for fd, name in disk.fds.items() if name == path)
    return fd


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("harm", [_close, _reuse, _delete, _remove_directory])
async def test_E5_a_file_that_is_no_longer_ours_is_an_error(
    tmp_path: Path, mode: Fsync, harm: Callable[[FaultDisk, Path], None]
) -> None:
    """Descriptor closed or reused by other code, file or directory deleted: no silent new file, no foreign write."""
    path, disk, acks = tmp_path / "logs" / "events.jsonl", FaultDisk(), Acks()
    log = log_on(disk)(path, fsync=mode)
    acks.add(log, "a")
    await log.drain()
    harm(disk, path)
    for event_id in "bc":
        acks.add(log, event_id)
        await log.drain()
    assert list(acks.errors) == ["b", "c"]
    assert path.exists() is (harm in (_close, _reuse))
    if harm is _reuse:
        assert path.with_name("other").read_bytes() == b""
    log.reopen()
    acks.add(log, "d")
    log.close()
    assert ids(path) == (["a", "d"] if harm in (_close, _reuse) else ["d"])


def _failure_to_open(disk: FaultDisk, path: Path) -> LogOpenError | None:
    try:
        log_on(disk)(path, ahead=True).close()
    except LogOpenError as error:
        return error
    return None


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EMFILE])
def test_E5_what_keeps_a_log_from_opening_is_said_at_once(tmp_path: Path, code: int) -> None:
    """Every step of opening may fail: LogOpenError with errno, cause and path, and the lock is free afterwards."""
    path = tmp_path / "events.jsonl"
    (tmp_path / "events.jsonl").write_bytes(b'{"event_type":"A"}\n{"torn')
    for at in range(1, 30):
        disk = FaultDisk()
        disk.plan = Plan("*", at, code)
        if (error := _failure_to_open(disk, path)) is None:
            break
        assert error.errno == code
        assert isinstance(error.__cause__, OSError)
        assert disk.fds == {}
    else:
        pytest.fail("opening has no end")
    assert at > 5
    assert ids(path) == [""]


def test_E5_a_directory_nobody_may_write_is_refused(tmp_path: Path) -> None:
    """The constructor proves that the path is writable."""
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; the test above plays it")
    tmp_path.chmod(0o500)
    with pytest.raises(LogOpenError):
        WriteAheadLog(tmp_path / "events.jsonl")


async def test_a_half_line_that_cannot_be_cut_off_ends_the_log(tmp_path: Path) -> None:
    """If not even ftruncate works nothing is written after the half line; `reopen` cuts it off."""
    path, disk, acks = tmp_path / "events.jsonl", FaultDisk(), Acks()
    log = log_on(disk)(path)
    acks.add(log, "a")
    await log.drain()

    disk.is_short = True
    disk.plan = Plan("*", disk.calls["*"] + 2, lasting=True)
    for event_id in "bc":
        acks.add(log, event_id)
        await log.drain()
    assert list(acks.errors) == ["b", "c"]
    assert log.failure
    assert len(path.read_bytes().splitlines()) == 2
    disk.plan = None
    log.reopen()
    acks.add(log, "d")
    log.close()
    assert ids(path) == ["a", "d"]


async def test_reopen_of_a_healthy_log_does_nothing(tmp_path: Path) -> None:
    """It may be called whenever somebody is in doubt."""
    path, acks = tmp_path / "events.jsonl", Acks()
    log = WriteAheadLog(path)
    acks.add(log, "a")
    log.flush()
    log.reopen()
    acks.add(log, "b")
    log.close()
    assert ids(path) == ["a", "b"]
    assert not list(tmp_path.glob("events.jsonl.0*"))  # noqa: ASYNC240 - it is a small directory


@pytest.mark.parametrize("mode", MODES)
async def test_a_failed_rotation_is_tried_again(tmp_path: Path, mode: Fsync) -> None:
    """When a full file cannot be renamed its next lines are lost with an error; later ones begin the new file."""
    path, disk, acks = tmp_path / "events.jsonl", FaultDisk(), Acks()
    log = log_on(disk)(path, fsync=mode, rotate_bytes=400)
    disk.plan = Plan("rename", 1, errno.EACCES)
    for number in range(6):
        acks.add(log, str(number))
        await log.drain()
    assert len(acks.errors) == 1
    log.close()
    assert ids(path) == acks.good
