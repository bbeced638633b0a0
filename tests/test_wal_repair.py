"""What a crash leaves at the end of a log, and what opening it makes of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bubus.errors import LogDamagedError
from bubus.wal import WriteAheadLog, records
from tests.wal_faults import Acks, Crash, FaultDisk, Plan, log_on

if TYPE_CHECKING:
    from pathlib import Path

LEGACY = b'{"event_type":"Ping","event_id":"%b","event_timeout":300.0,"data":"by an older bubus"}\n'


async def write(path: Path, *event_ids: str, size: int = 60) -> None:
    """Append lines to the log at *path*, and close it."""
    log, acks = log_on(FaultDisk())(path), Acks()
    for event_id in event_ids:
        acks.add(log, event_id, size)
    log.close()
    assert acks.good == list(event_ids)


def ids(path: Path) -> list[str]:
    """Return the ids of all lines of a log."""
    return [record.event_id for record in records(path)]


async def test_D1_cut_at_every_byte_loses_the_torn_line_only(tmp_path: Path) -> None:
    """Wherever the file ends, it opens; whole lines stay, the torn one is kept beside, and appending works."""
    path, broken = tmp_path / "events.jsonl", tmp_path / "events.jsonl.broken"
    await write(path, "a", "b", "c")
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        broken.unlink(missing_ok=True)
        kept = whole[:size].count(b"\n")
        torn = whole[:size].rpartition(b"\n")[2]
        if torn and whole[size : size + 1] == b"\n":  # only its line feed is missing: nothing is lost
            kept, torn = kept + 1, b""
        await write(path, "new")
        assert ids(path) == [*"abc"[:kept], "new"], size
        assert (broken.read_bytes() if torn else b"") == torn, size
        assert broken.exists() is bool(torn)


@pytest.mark.parametrize("zeros", [1, 100, 5000, 300_000])
async def test_blocks_that_were_never_written_are_a_torn_tail(tmp_path: Path, zeros: int) -> None:
    """What a power cut leaves as zeros, in a line or behind it, is cut off."""
    path = tmp_path / "events.jsonl"
    await write(path, "a", "b")
    whole = path.read_bytes()
    for torn in (b"\0" * zeros, whole.splitlines()[1][:50] + b"\0" * zeros, b"\0" * zeros + whole[-20:]):
        path.write_bytes(whole + torn)
        await write(path, "c")
        assert ids(path) == ["a", "b", "c"]


async def test_the_tail_may_be_longer_than_a_line_may_be(tmp_path: Path) -> None:
    """A torn line that exceeds max_line_bytes is cut off too."""
    path = tmp_path / "events.jsonl"
    await write(path, "a")
    with path.open("ab") as file:
        file.write(b'{"event_type":"' + b"x" * 5000)
    WriteAheadLog(path, max_line_bytes=1024).close()
    assert ids(path) == ["a"]


async def test_a_whole_line_that_is_too_long_is_not_cut_off(tmp_path: Path) -> None:
    """Opened with a smaller max_line_bytes, a log refuses instead of throwing good lines away, and says the remedy."""
    path = tmp_path / "events.jsonl"
    await write(path, "a", size=3000)
    whole = path.read_bytes()
    with pytest.raises(LogDamagedError, match="max_line_bytes=1024; open the log with a larger one"):
        WriteAheadLog(path, max_line_bytes=1024)
    assert path.read_bytes() == whole


async def test_lines_of_an_older_bubus_stay_and_ours_follow(tmp_path: Path) -> None:
    """A file without numbers is gone on with from 1; one that went back and forth goes on from the greatest."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(LEGACY % b"old1" + LEGACY % b"old2")
    await write(path, "a", "b")
    with path.open("ab") as file:
        file.write(LEGACY % b"old3")
    await write(path, "c")
    assert [(record.event_id, record.seq) for record in records(path)] == [
        ("old1", None),
        ("old2", None),
        ("a", 1),
        ("b", 2),
        ("old3", None),
        ("c", 3),
    ]


async def test_an_older_bubus_torn_tail_is_cut_off(tmp_path: Path) -> None:
    """Without a checksum, a line counts as whole when it is JSON with an event_type."""
    path = tmp_path / "events.jsonl"
    line = LEGACY % b"old"
    for size in range(1, len(line) - 1):
        path.write_bytes(line + line[:size])
        await write(path, "a")
        assert ids(path) == ["old", "a"]


async def test_opening_after_a_crash_between_two_files_goes_on_counting(tmp_path: Path) -> None:
    """Killed after the file got its number and before the next one began: numbers go on, nothing is missing."""
    path = tmp_path / "events.jsonl"
    await write(path, "a", "b")
    path.rename(tmp_path / "events.jsonl.000001")
    await write(path, "c")
    assert [(record.event_id, record.seq) for record in records(path)] == [("a", 1), ("b", 2), ("c", 3)]


async def test_a_repair_may_itself_be_killed(tmp_path: Path) -> None:
    """Killed before any step of a repair, the next open ends it; the torn line is in .broken at least once."""
    path, broken = tmp_path / "events.jsonl", tmp_path / "events.jsonl.broken"
    await write(path, "a", "b")
    whole = path.read_bytes()
    for step in range(1, 50):
        path.write_bytes(whole[:-5])
        broken.unlink(missing_ok=True)
        if not killed_at(path, step):
            break
        await write(path, "c")
        assert ids(path) == ["a", "c"]
        assert whole.splitlines()[1][:-4] in broken.read_bytes()
    else:
        pytest.fail("the repair has no end")


def killed_at(path: Path, step: int) -> bool:
    """Open the log on a disk that dies at *step*, and return whether it came to that."""
    disk = FaultDisk()
    disk.plan = Plan("*", step, crash=True)
    try:
        log_on(disk)(path).close()
    except Crash:
        return True
    finally:
        disk.die()
    return False
