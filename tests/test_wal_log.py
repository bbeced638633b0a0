"""The log in an event loop: batches, acknowledgements, syncs, rotation, end and new beginning."""

from __future__ import annotations

import asyncio
import gc
import gzip
import os
import stat
import subprocess
import sys
import threading
import weakref
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bubus.errors import (
    LogClosedError,
    LogDamagedError,
    LogLineTooLongError,
    LogLockedError,
    LogOpenError,
    OptionError,
    OptionTypeError,
)
from bubus.wal import WriteAheadLog, records
from tests.wal_faults import Acks, FakeTime, FaultDisk, log_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from pathlib import Path

    from bubus.wal import Fsync

MODES: tuple[Fsync, ...] = ("no", "everysec", "always")


def ids(path: Path) -> list[str]:
    """Return the ids of all lines of a log."""
    return [record.event_id for record in records(path)]


def full_files(folder: Path) -> list[Path]:
    """Return the full files of the log in *folder*."""
    return sorted(folder.glob("events.jsonl.0*"))


async def test_the_file_appears_with_its_first_line(tmp_path: Path) -> None:
    """Opening makes directories and the lock's file, but the log itself only comes with a line."""
    path = tmp_path / "deep" / "er" / "events.jsonl"
    log, acks = WriteAheadLog(path), Acks()
    assert not path.exists()
    assert list(records(path)) == []
    acks.add(log, "a")
    await log.drain()
    assert acks.good == ["a"]
    assert ids(path) == ["a"]
    log.close()


async def test_a_line_is_flat_json_with_its_number_and_checksum_last(tmp_path: Path) -> None:
    """Any JSON tool reads a line; event_seq and event_crc are its last keys."""
    path = tmp_path / "events.jsonl"
    log, acks = WriteAheadLog(path), Acks()
    acks.add(log, "a")
    log.flush()
    acks.add(log, "b")
    log.close()
    lines = [msgspec.json.decode(line, type=dict[str, Any]) for line in path.read_bytes().splitlines()]
    assert [line["event_seq"] for line in lines] == [1, 2]
    assert [list(line)[-2:] for line in lines] == [["event_seq", "event_crc"]] * 2
    assert lines[0]["data"] == "x" * 60


async def test_the_checksum_covers_all_bytes_before_its_key(tmp_path: Path) -> None:
    """event_crc is the crc32 of everything that stands before its key."""
    path = tmp_path / "events.jsonl"
    log, acks = WriteAheadLog(path), Acks()
    acks.add(log, "a")
    log.close()
    before, _, after = path.read_bytes().rpartition(b'"event_crc":')
    assert zlib.crc32(before) == int(after.rstrip(b"}\n"))


@pytest.mark.parametrize("mode", ["no", "everysec"])
async def test_lines_of_one_turn_are_one_write(tmp_path: Path, mode: Fsync) -> None:
    """However many lines a turn of the loop brings, they are handed over with one call, and then acknowledged."""
    disk = FaultDisk()
    log, acks = log_on(disk)(tmp_path / "events.jsonl", fsync=mode), Acks()
    before = disk.calls["write"]
    for number in range(50):
        acks.add(log, str(number))
    assert acks.good == []
    await asyncio.sleep(0)
    assert disk.calls["write"] == before + 1
    assert acks.good == [str(number) for number in range(50)]
    log.close()


async def test_flush_does_not_wait_for_the_end_of_the_turn(tmp_path: Path) -> None:
    """After `flush` the lines are with the operating system and acknowledged."""
    path = tmp_path / "events.jsonl"
    log, acks = WriteAheadLog(path), Acks()
    acks.add(log, "a")
    log.flush()
    assert acks.good == ids(path) == ["a"]
    log.close()


@pytest.mark.real_time
async def test_R11_always_acknowledges_after_the_sync_only(tmp_path: Path) -> None:
    """With fsync="always" nobody is told before the sync; those who come meanwhile share the next one."""
    disk = FaultDisk()
    log, acks = log_on(disk)(tmp_path / "events.jsonl", fsync="always"), Acks()
    disk.gate = threading.Event()
    acks.add(log, "a")
    for _ in range(5):
        await asyncio.sleep(0)
    for number in range(20):
        acks.add(log, str(number))
    await asyncio.sleep(0)
    assert acks.good == []
    disk.gate.set()
    await log.drain()
    assert acks.good == ["a", *map(str, range(20))]
    assert disk.calls["sync"] == 2
    log.close()


@pytest.mark.real_time
@pytest.mark.parametrize("mode", ["everysec", "always"])
async def test_E4_a_slow_disk_does_not_stop_the_loop(
    tmp_path: Path, mode: Fsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a sync hangs, the loop turns and lines are still taken."""
    monkeypatch.setattr("bubus.wal._pulse.INTERVAL", 0)
    disk = FaultDisk()
    log, acks = log_on(disk)(tmp_path / "events.jsonl", fsync=mode), Acks()
    gate = disk.gate = threading.Event()
    acks.add(log, "a")
    assert await asyncio.to_thread(disk.syncing.wait, 30)
    for number in range(100):
        acks.add(log, str(number))
        await asyncio.sleep(0)
    assert len(acks.good) == (101 if mode == "everysec" else 0)
    gate.set()
    await log.drain()
    assert len(acks.good) == 101
    log.close()


@pytest.mark.real_time
async def test_everysec_syncs_once_while_dirty_and_never_while_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines of one second share one timer and one sync, and a log without new lines has neither."""
    disk, loop, timers, synced = FaultDisk(), asyncio.get_running_loop(), Counter[float](), asyncio.Event()
    call_later = loop.call_later

    def spy(
        delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timers[delay] += 1
        return call_later(delay / 20, callback, *args, context=context)

    monkeypatch.setattr(loop, "call_later", spy)
    disk.on_sync = lambda: loop.call_soon_threadsafe(synced.set)
    log, acks = log_on(disk)(tmp_path / "events.jsonl", fsync="everysec"), Acks()
    await asyncio.sleep(0)
    assert not timers
    for number in range(30):
        acks.add(log, str(number))
        await asyncio.sleep(0)
    assert len(acks.good) == 30
    await synced.wait()
    await asyncio.sleep(0)
    assert timers == {1.0: 1}
    assert disk.calls["sync"] == 1
    log.close()
    assert disk.calls["sync_directory"] == 1


@pytest.mark.parametrize("mode", MODES)
async def test_close_writes_and_syncs_what_is_left(tmp_path: Path, mode: Fsync) -> None:
    """Lines appended just before `close` are in the file and acknowledged when it returns."""
    path = tmp_path / "events.jsonl"
    disk = FaultDisk()
    log, acks = log_on(disk)(path, fsync=mode), Acks()
    acks.add(log, "a")
    log.close()
    log.close()
    assert acks.good == ids(path) == ["a"]
    assert (disk.calls["sync"] > 0) is (mode != "no")
    assert log.is_closed
    with pytest.raises(LogClosedError, match="reopen"):
        acks.add(log, "b")


@pytest.mark.parametrize("mode", MODES)
async def test_numbers_go_on_after_reopening(tmp_path: Path, mode: Fsync) -> None:
    """A second process, or `reopen`, numbers its lines after those that are there."""
    path, acks = tmp_path / "events.jsonl", Acks()
    for turn in range(3):
        log = WriteAheadLog(path, fsync=mode)
        acks.add(log, f"{turn}a")
        log.close()
        log.reopen()
        acks.add(log, f"{turn}b")
        log.close()
    assert [record.seq for record in records(path)] == [1, 2, 3, 4, 5, 6]


def test_a_log_outlives_its_event_loop(tmp_path: Path) -> None:
    """What one loop left behind is written in the next, or by `close`."""
    path, acks = tmp_path / "events.jsonl", Acks()
    log = WriteAheadLog(path, fsync="always")

    async def append(event_id: str) -> None:
        acks.add(log, event_id)

    asyncio.run(append("a"))
    asyncio.run(append("b"))
    log.close()
    assert acks.good == ids(path) == ["a", "b"]


@pytest.mark.real_time
@pytest.mark.parametrize("mode", MODES)
async def test_R30_an_unused_log_is_collected_and_frees_its_lock(
    tmp_path: Path, mode: Fsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `close`, and without the garbage collector, a dropped log gives back its descriptors and its lock."""
    monkeypatch.setattr("bubus.wal._pulse.INTERVAL", 0)
    gc.disable()
    try:
        log, acks = WriteAheadLog(tmp_path / "events.jsonl", fsync=mode, ahead=True), Acks()
        acks.add(log, "a")
        await log.drain()
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        there = weakref.ref(log, lambda _: loop.call_soon_threadsafe(gone.set))
        del log
        await asyncio.wait_for(gone.wait(), 10)  # a last sync may be in the other thread
        assert there() is None
        WriteAheadLog(tmp_path / "events.jsonl").close()
    finally:
        gc.enable()


async def test_too_long_a_line_is_refused_and_the_next_one_is_not(tmp_path: Path) -> None:
    """A line that no reader would accept is not written."""
    path = tmp_path / "events.jsonl"
    log, acks = WriteAheadLog(path, max_line_bytes=2000), Acks()
    acks.add(log, "long", 2000)
    acks.add(log, "short")
    await log.drain()
    await asyncio.sleep(0)
    assert isinstance(acks.errors["long"], LogLineTooLongError)
    assert acks.good == ids(path) == ["short"]
    assert log.lost_lines == 1
    log.close()


async def test_S7_nothing_in_the_file_acts_on_a_terminal(tmp_path: Path) -> None:
    """Line feeds between tokens, C1 controls, line separators and bidi marks are written so that `cat` is safe."""
    path = tmp_path / "events.jsonl"
    log = WriteAheadLog(path)
    text = "\x7f\x85\x9b\u2028\u2029\u202e\u2066 é 汉 😀"
    log.append("a", b'{"event_type":"Ping"', b',\n"data":\r\n"%b"' % text.encode(), b"", lambda _: None)
    log.close()
    (record,) = records(path)
    assert record.payload == {"data": text}
    assert record.data.decode().isprintable()


def test_D3_a_second_open_fails_at_once_and_names_the_owner(tmp_path: Path) -> None:
    """Two writers on one file are impossible, in one process and in two."""
    path = tmp_path / "events.jsonl"
    log = WriteAheadLog(path)
    with pytest.raises(LogLockedError, match=str(os.getpid())) as caught:
        WriteAheadLog(tmp_path / "." / "x" / ".." / "events.jsonl")
    assert caught.value.pid == os.getpid()
    code = (
        "import sys; from bubus.wal import WriteAheadLog; from bubus.errors import LogLockedError\n"
        "try: WriteAheadLog(sys.argv[1])\nexcept LogLockedError as error: print(error.pid)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(os.getpid())
    log.close()
    WriteAheadLog(path).close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_E5_a_forked_child_neither_writes_nor_keeps_the_lock(tmp_path: Path) -> None:
    """
    In a child the log refuses, and what was noted for the journal is left to the parent; the lock is free when that
    ends, although the child lives on.
    """
    path = tmp_path / "events.jsonl"
    code = """
import asyncio, os, sys
from bubus.wal import WriteAheadLog
from bubus.errors import LogClosedError
async def main():
    log = WriteAheadLog(sys.argv[1], fsync="everysec", ahead=True)
    log.append("a", b'{"event_type":"A","event_id":"a"', b"", b"", lambda error: None)
    log.accept("c", b'{"event_type":"A","event_id":"c"', b"", lambda error: None)
    log.outcome("c", "app.handler#1", b"{}")
    sys.stdout.flush()
    if os.fork() == 0:
        await asyncio.sleep(0)
        for refused in (lambda: log.append("b", b"{", b"", b"", print), log.reopen,
                        lambda: log.accept("b", b"{", b"", print)):
            try:
                refused()
            except LogClosedError as error:
                print("refused", "parent" in str(error), flush=True)
        sys.stdin.read()  # lives until the test ends
        os._exit(0)
    await asyncio.sleep(0)
    os._exit(0)
asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout
        assert child.wait(30) == 0
        assert [child.stdout.readline() for _ in range(3)] == ["refused True\n"] * 3
        log = WriteAheadLog(path, ahead=True)
        assert ids(path) == ["a"]
        assert [event.outcomes for event in asyncio.run(log.unfinished())] == [{"app.handler#1": b"{}"}]
        log.close()


@pytest.mark.parametrize("mode", MODES)
async def test_rotation_by_size_keeps_every_file_within_its_limit(tmp_path: Path, mode: Fsync) -> None:
    """No file is larger than rotate_bytes, and all of them read as one log."""
    path, acks = tmp_path / "events.jsonl", Acks()
    log = WriteAheadLog(path, fsync=mode, rotate_bytes=1000)
    for number in range(40):
        acks.add(log, str(number))
        if number % 7 == 0:
            await log.drain()
    await log.drain()
    log.close()
    files = full_files(tmp_path)
    assert len(files) > 5
    assert max(file.stat().st_size for file in files) <= 1000
    assert ids(path) == acks.good == [str(number) for number in range(40)]


async def test_a_line_larger_than_the_limit_gets_a_file_of_its_own(tmp_path: Path) -> None:
    """rotate_bytes never keeps a line out."""
    path, acks = tmp_path / "events.jsonl", Acks()
    log = WriteAheadLog(path, rotate_bytes=300)
    for number in range(4):
        acks.add(log, str(number), 500)
    await log.drain()
    log.close()
    assert ids(path) == ["0", "1", "2", "3"]
    assert len(full_files(tmp_path)) == 3


async def test_rotation_by_age_counts_from_the_first_line(tmp_path: Path) -> None:
    """A file whose first line is older than rotate_seconds is full when the next line comes; no timer runs."""
    clock, path, acks = FakeTime(), tmp_path / "events.jsonl", Acks()
    log = log_on(FaultDisk(), clock)(path, rotate_seconds=60)
    for number in range(6):
        acks.add(log, str(number))
        await log.drain()
        clock.now += 25
    log.close()
    assert ids(path) == list("012345")
    assert len(full_files(tmp_path)) == 1


async def test_keep_deletes_the_oldest_files(tmp_path: Path) -> None:
    """Only *keep* full files stay; reading begins with what is left."""
    path, acks = tmp_path / "events.jsonl", Acks()
    log = WriteAheadLog(path, rotate_bytes=500, keep=2)
    for number in range(30):
        acks.add(log, str(number))
        await log.drain()
    log.close()
    assert len(full_files(tmp_path)) == 2
    left = ids(path)
    assert left == [str(number) for number in range(30)][-len(left) :]


async def test_numbers_of_files_go_on_when_all_were_moved_away(tmp_path: Path) -> None:
    """A file moved to an archive never meets another of its name, nor do the lines' numbers begin again."""
    path, acks = tmp_path / "events.jsonl", Acks()
    names: list[str] = []
    for turn in range(2):
        log = WriteAheadLog(path, rotate_bytes=300)
        for number in range(5):
            acks.add(log, f"{turn}{number}")
            await log.drain()
        log.close()
        for file in full_files(tmp_path):
            names.append(file.name)
            file.unlink()
    assert len(set(names)) == len(names) > 4
    assert [record.seq for record in records(path)][-1] == 10


async def test_compressed_files_are_read_and_counted(tmp_path: Path) -> None:
    """A full file may be replaced by its .gz, also when it holds the last number."""
    path, acks = tmp_path / "events.jsonl", Acks()
    log = WriteAheadLog(path, rotate_bytes=500)
    for number in range(12):
        acks.add(log, str(number))
    await log.drain()
    log.close()
    path.rename(tmp_path / "events.jsonl.000099")
    for file in full_files(tmp_path):
        (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    log = WriteAheadLog(path, rotate_bytes=500)
    acks.add(log, "12")
    log.close()
    assert ids(path) == [str(number) for number in range(13)]


async def test_S6_files_are_private_and_links_are_not_followed(tmp_path: Path) -> None:
    """Mode 0600; a link at the log's or a full file's name is refused or left alone."""
    path, acks = tmp_path / "events.jsonl", Acks()
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / "events.jsonl.000001").symlink_to(victim)
    log = WriteAheadLog(path, rotate_bytes=300)
    for number in range(5):
        acks.add(log, str(number))
        await log.drain()
    log.close()
    assert (tmp_path / "events.jsonl.000001").is_symlink()
    assert victim.read_bytes() == b"mine"
    for file in (path, tmp_path / "events.jsonl.lock", tmp_path / "events.jsonl.000002"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    link = tmp_path / "link.jsonl"
    link.symlink_to(victim)
    with pytest.raises(LogOpenError):
        WriteAheadLog(link)
    assert victim.read_bytes() == b"mine"


def test_what_is_no_ordinary_file_is_refused(tmp_path: Path) -> None:
    """A directory or a pipe is no log, and opening one does not hang."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(LogOpenError):
            WriteAheadLog(path)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"path": ""}, OptionError),
        ({"path": "a\0b"}, OptionError),
        ({"path": "logs/"}, OptionError),
        ({"path": b"events"}, OptionTypeError),
        ({"path": 3}, OptionTypeError),
        ({"fsync": "sometimes"}, OptionError),
        ({"fsync": None}, OptionError),
        ({"ahead": 1}, OptionTypeError),
        ({"rotate_bytes": 0}, OptionError),
        ({"rotate_bytes": "1k"}, OptionTypeError),
        ({"rotate_bytes": True}, OptionTypeError),
        ({"rotate_bytes": 1.5}, OptionTypeError),
        ({"rotate_seconds": float("nan")}, OptionError),
        ({"rotate_seconds": 0}, OptionError),
        ({"rotate_bytes": 9, "keep": 0}, OptionError),
        ({"keep": 3}, OptionError),
        ({"max_line_bytes": 10}, OptionError),
        ({"on_error": "ignore"}, OptionError),
        ({"on_error": None}, OptionError),
    ],
)
def test_bad_options_are_refused_by_name(tmp_path: Path, options: dict[str, Any], error: type[Exception]) -> None:
    """Each mistake has its error class, and the message names the option; nothing is made on the disk."""
    given: dict[str, Any] = {"path": tmp_path / "sub" / "events.jsonl", **options}
    with pytest.raises(error, match=next(reversed(options)) if "path" not in options else "path"):
        WriteAheadLog(**given)
    assert list(tmp_path.iterdir()) == []


def test_repr_says_what_an_acknowledgement_means(tmp_path: Path) -> None:
    """The policy, the position and the state can be seen."""
    log = WriteAheadLog(tmp_path / "events\x1b.jsonl", fsync="always")
    assert "fsync=always" in repr(log)
    assert "\x1b" not in repr(log)
    log.close()
    assert "closed" in repr(log)


async def test_a_damaged_last_line_is_for_a_person_to_decide_about(tmp_path: Path) -> None:
    """A whole last line that is not what was written keeps the log closed, and its place is named."""
    path, acks = tmp_path / "events.jsonl", Acks()
    log = WriteAheadLog(path)
    for number in range(3):
        acks.add(log, str(number))
    log.close()
    data = bytearray(path.read_bytes())
    data[-80] ^= 1
    path.write_bytes(data)
    with pytest.raises(LogDamagedError) as caught:
        WriteAheadLog(path)
    assert (caught.value.file, caught.value.line) == (str(path), 3)
    assert caught.value.offset == data[:-1].rindex(b"\n") + 1
    assert path.read_bytes() == data
