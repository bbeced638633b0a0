"""The journal: what was accepted and is not finished, whatever happened in between."""

from __future__ import annotations

import asyncio
import errno
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, strategies as st

from bubus.errors import LogClosedError, LogDamagedError, LogLineTooLongError, LogWriteError
from bubus.wal import WriteAheadLog, records
from bubus.wal._journal import Accepted, Attempt, Done, Outcome, unfinished
from tests.until import until
from tests.wal_faults import Acks, FaultDisk, Plan, log_on, parts

if TYPE_CHECKING:
    from pathlib import Path

    from bubus.wal import Fsync, Unfinished
    from bubus.wal._journal import Entry

MODES: tuple[Fsync, ...] = ("no", "everysec", "always")


async def accept(log: WriteAheadLog, event_id: str, size: int = 60) -> None:
    """Journal an event, and return when its handlers may start."""
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(error: LogWriteError | None) -> None:
        if error is None:
            ready.set_result(None)
        else:
            ready.set_exception(error)

    head, payload, _ = parts(event_id, size)
    log.accept(event_id, head, payload, tell)
    await ready


async def complete(log: WriteAheadLog, event_id: str) -> None:
    """Run one handler of an accepted event, and write its line."""
    log.attempt(event_id, "app.handler#1")
    log.outcome(event_id, "app.handler#1", b'{"status":"completed"}')
    acks = Acks()
    acks.add(log, event_id)
    await log.drain()
    assert acks.good == [event_id]


async def left(path: Path) -> list[Unfinished]:
    """Open the log, and return what a process before this one left."""
    log = WriteAheadLog(path, ahead=True)
    found = await log.unfinished()
    log.close()
    return found


@pytest.mark.real_time
@pytest.mark.parametrize("mode", MODES)
async def test_R10_what_was_accepted_and_not_finished_is_found_again(tmp_path: Path, mode: Fsync) -> None:
    """In accepted order, as dispatched, with the attempts at each handler and what finished ones came to."""
    path = tmp_path / "events.jsonl"
    log = WriteAheadLog(path, fsync=mode, ahead=True)
    for event_id in "abcd":
        await accept(log, event_id)
    await complete(log, "b")
    assert log.attempt("c", "app.first#1") == 1
    log.outcome("c", "app.first#1", b'{"status":"completed","result":7}')
    assert log.attempt("c", "app.second#1") == 1
    assert log.attempt("c", "app.second#1") == 2
    log.close()
    first, second, third = await left(path)
    assert [first.event_id, second.event_id, third.event_id] == ["a", "c", "d"]
    head, payload, _ = parts("a")
    assert first.event == head + payload + b"}"
    assert first.attempts == first.outcomes == {}
    assert second.attempts == {"app.first#1": 1, "app.second#1": 2}
    assert second.outcomes == {"app.first#1": b'{"status":"completed","result":7}'}
    assert [event.event_id for event in await left(path)] == ["a", "c", "d"]


async def test_events_of_this_run_are_not_left_over(tmp_path: Path) -> None:
    """`unfinished` tells of the process before, not of what is running now."""
    path = tmp_path / "events.jsonl"
    log = WriteAheadLog(path, ahead=True)
    await accept(log, "a")
    assert await log.unfinished() == []
    log.close()
    log.reopen()
    await accept(log, "b")
    assert [event.event_id for event in await log.unfinished()] == ["a"]
    log.close()


async def test_attempts_go_on_counting_after_a_crash(tmp_path: Path) -> None:
    """A handler that ends the process counts as started each time."""
    path = tmp_path / "events.jsonl"
    log = WriteAheadLog(path, ahead=True)
    await accept(log, "a")
    for number in range(1, 4):
        assert log.attempt("a", "app.handler#1") == number
        log.close()
        log.reopen()
    log.close()
    assert (await left(path))[0].attempts == {"app.handler#1": 3}


@pytest.mark.real_time
@pytest.mark.parametrize("rotate", [None, 300])
async def test_an_event_whose_line_is_in_the_log_is_dropped(tmp_path: Path, rotate: int | None) -> None:
    """Killed between the line and the note in the journal, an event is not written again."""
    path, journal = tmp_path / "events.jsonl", tmp_path / "events.jsonl.journal"
    log = WriteAheadLog(path, ahead=True, rotate_bytes=rotate)
    for event_id in "abcdef":
        await accept(log, event_id)
        if event_id in "ad":
            await complete(log, event_id)
    before = journal.read_bytes()
    await complete(log, "b")
    await complete(log, "f")
    log.close()
    journal.write_bytes(before)
    assert [event.event_id for event in await left(path)] == ["c", "e"]
    assert [event.event_id for event in await left(path)] == ["c", "e"]


async def test_R10_attempts_are_written_before_the_handler_may_run(tmp_path: Path) -> None:
    """What `accept` and `attempt` say is with the operating system when they return: a handler may end it all."""
    path, journal = tmp_path / "events.jsonl", tmp_path / "events.jsonl.journal"
    log = WriteAheadLog(path, ahead=True)
    head, payload, _ = parts("a")
    log.accept("a", head, payload, lambda _: None)
    assert journal.read_bytes().count(b'"op":"accept"') == 1
    log.attempt("a", "app.first#1")
    log.outcome("a", "app.first#1", b"{}")
    log.attempt("a", "app.second#1")
    written = journal.read_bytes()
    assert [written.count(b'"op":"%b"' % kind) for kind in (b"attempt", b"outcome")] == [2, 1]
    log.close()


async def test_no_journal_stays_when_nothing_is_unfinished(tmp_path: Path) -> None:
    """After an orderly end the journal is gone at the next open."""
    path = tmp_path / "events.jsonl"
    log = WriteAheadLog(path, ahead=True)
    await accept(log, "a")
    await complete(log, "a")
    log.close()
    assert await left(path) == []
    assert not path.with_name("events.jsonl.journal").exists()


@pytest.mark.real_time
@pytest.mark.parametrize("mode", MODES)
async def test_the_journal_is_compacted_while_events_come(
    tmp_path: Path, mode: Fsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is small again soon, however many events pass, and never forgets one that is not finished."""
    monkeypatch.setattr("bubus.wal._journal._SMALL", 4000)
    monkeypatch.setattr("bubus.wal._pulse.INTERVAL", 0.0)
    path, disk = tmp_path / "events.jsonl", FaultDisk()
    log = log_on(disk)(path, fsync=mode, ahead=True)
    await accept(log, "stays")
    log.attempt("stays", "app.handler#1")
    log.outcome("stays", "app.other#1", b"{}")
    for number in range(400):
        await accept(log, str(number))
        await complete(log, str(number))
        await until(lambda: sum(map(_size, tmp_path.glob("events.jsonl.journal*"))) < 10_000, 1_000_000)
    log.close()
    assert disk.calls["rename"] > 10
    (found,) = await left(path)
    assert (found.event_id, found.attempts, found.outcomes) == ("stays", {"app.handler#1": 1}, {"app.other#1": b"{}"})


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # renamed since it was listed
        return 0


@pytest.mark.real_time
async def test_always_starts_no_handler_before_the_journal_is_synced(tmp_path: Path) -> None:
    """Accepted means on the disk; those who come in the same turn share one sync."""
    disk, path = FaultDisk(), tmp_path / "events.jsonl"
    log = log_on(disk)(path, fsync="always", ahead=True)
    disk.gate = threading.Event()
    waiting = [asyncio.ensure_future(accept(log, str(number))) for number in range(10)]
    assert await asyncio.to_thread(disk.syncing.wait, 30)
    assert not any(task.done() for task in waiting)
    disk.gate.set()
    await asyncio.gather(*waiting)
    assert disk.calls["sync"] == 1
    log.close()


@pytest.mark.parametrize("mode", MODES)
async def test_an_event_that_cannot_be_journaled_is_refused(tmp_path: Path, mode: Fsync) -> None:
    """ENOSPC: `accept` raises, the event leaves no trace, and the next one is accepted."""
    disk, path = FaultDisk(), tmp_path / "events.jsonl"
    log = log_on(disk)(path, fsync=mode, ahead=True)
    await accept(log, "a")
    disk.plan = Plan("write", disk.calls["write"] + 1, errno.ENOSPC)
    with pytest.raises(LogWriteError) as caught:
        await accept(log, "b")
    assert caught.value.errno == errno.ENOSPC
    await accept(log, "c")
    log.close()
    assert [event.event_id for event in await left(path)] == ["a", "c"]


async def test_on_error_as_a_callable_lets_the_event_run(tmp_path: Path) -> None:
    """What cannot be journaled is handed to the callable and run all the same."""
    disk, path, told = FaultDisk(), tmp_path / "events.jsonl", list[LogWriteError]()
    log = log_on(disk)(path, ahead=True, on_error=told.append)
    disk.plan = Plan("write", disk.calls["write"] + 1, errno.ENOSPC)
    await accept(log, "a")
    assert len(told) == 1
    await complete(log, "a")
    log.close()
    assert [record.event_id for record in records(path)] == ["a"]
    assert await left(path) == []


async def test_attempts_and_outcomes_wait_for_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Handlers run on while the disk is full; what they did is written as soon as there is room."""
    disk, path = FaultDisk(), tmp_path / "events.jsonl"
    log = log_on(disk)(path, ahead=True)
    await accept(log, "a")
    disk.plan = Plan("write", disk.calls["write"] + 1, errno.ENOSPC, lasting=True)
    assert log.attempt("a", "app.handler#1") == 1
    log.outcome("a", "app.handler#1", b"{}")
    await asyncio.sleep(0)
    assert log.attempt("a", "app.handler#2") == 1
    disk.plan = None
    await accept(log, "b")
    assert len(caplog.records) == 1
    log.close()
    found = await left(path)
    assert found[0].attempts == {"app.handler#1": 1, "app.handler#2": 1}
    assert found[0].outcomes == {"app.handler#1": b"{}"}


@pytest.mark.real_time
@pytest.mark.parametrize("mode", ["everysec", "always"])
async def test_E3_a_failed_sync_of_the_journal_ends_it_until_reopen(tmp_path: Path, mode: Fsync) -> None:
    """Nothing is accepted after the first EIO; `reopen` writes all that is unfinished to a new file."""
    disk, path = FaultDisk(), tmp_path / "events.jsonl"
    log = log_on(disk)(path, fsync=mode, ahead=True)
    await accept(log, "a")
    disk.plan = Plan("sync", disk.calls["sync"] + 1)
    if mode == "always":
        with pytest.raises(LogWriteError):
            await accept(log, "b")
    else:
        log.sync()
    with pytest.raises(LogWriteError, match="reopen"):
        await accept(log, "c")
    log.reopen()
    await accept(log, "d")
    log.close()
    assert [event.event_id for event in await left(path)] == ["a", "d"]


async def test_too_large_an_event_is_refused_at_dispatch(tmp_path: Path) -> None:
    """It would have no line either."""
    log = WriteAheadLog(tmp_path / "events.jsonl", ahead=True, max_line_bytes=2000)
    with pytest.raises(LogLineTooLongError, match="max_line_bytes=2000"):
        await accept(log, "a", 2000)
    log.close()


async def test_without_ahead_there_is_no_journal(tmp_path: Path) -> None:
    """Attempts and outcomes cost nothing then, and `accept` says what is missing."""
    log = WriteAheadLog(tmp_path / "events.jsonl")
    assert log.attempt("a", "app.handler#1") == 1
    log.outcome("a", "app.handler#1", b"{}")
    assert await log.unfinished() == []
    with pytest.raises(LogClosedError, match="ahead=True"):
        await accept(log, "a")
    log.close()


async def test_the_dead_are_buried_once_and_readable(tmp_path: Path) -> None:
    """`bury` writes an event with its error beside the log, and forgets it; doing so twice leaves one line."""
    path = tmp_path / "events.jsonl"
    log = WriteAheadLog(path, ahead=True)
    await accept(log, "a")
    log.attempt("a", "app.handler#1")
    await accept(log, "b")
    log.close()
    log.reopen()
    dead, _ = await log.unfinished()
    await log.bury(dead, "killed the process\u2028three times")
    await log.bury(dead, "killed the process\u2028three times")
    assert [event.event_id for event in await log.unfinished()] == ["b"]
    log.close()
    (record,) = records(path.with_name("events.jsonl.dead"))
    line = msgspec.json.decode(record.data)
    assert line["event_error"] == "killed the process\u2028three times"
    assert line["event_attempts"] == {"app.handler#1": 1}
    assert line["data"] == "x" * 60
    assert [event.event_id for event in await left(path)] == ["b"]


async def test_a_damaged_journal_is_not_guessed_at(tmp_path: Path) -> None:
    """A changed line in the middle keeps the log closed and is named; a torn tail is cut off."""
    path, journal = tmp_path / "events.jsonl", tmp_path / "events.jsonl.journal"
    log = WriteAheadLog(path, ahead=True)
    for event_id in "abc":
        await accept(log, event_id)
    log.close()
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-30])
    assert [event.event_id for event in await left(path)] == ["a", "b"]
    journal.write_bytes(whole.replace(b"xxx", b"xyx", 1))
    with pytest.raises(LogDamagedError, match="journal"):
        WriteAheadLog(path, ahead=True)
    WriteAheadLog(path).close()


_IDS, _HANDLERS = st.sampled_from("abc"), st.sampled_from(["f#1", "g#1"])
_ENTRIES: st.SearchStrategy[list[Entry]] = st.lists(
    st.one_of(
        st.builds(Accepted, _IDS, st.just(0), st.just(msgspec.Raw(b"{}"))),
        st.builds(Attempt, _IDS, _HANDLERS, st.integers(1, 5)),
        st.builds(Outcome, _IDS, _HANDLERS, st.just(msgspec.Raw(b"1"))),
        st.builds(Done, _IDS),
    )
)


@given(before=_ENTRIES, after=_ENTRIES)
def test_reading_entries_twice_changes_nothing(before: list[Entry], after: list[Entry]) -> None:
    """A new file that begins with what was unfinished, read after the old one, leaves the same unfinished."""
    carried: list[Entry] = []
    for event in unfinished(before).values():
        carried.append(Accepted(event.event_id, event.after, msgspec.Raw(event.event)))
        carried += [Attempt(event.event_id, handler, number) for handler, number in event.attempts.items()]
        carried += [Outcome(event.event_id, name, msgspec.Raw(result)) for name, result in event.outcomes.items()]
    assert unfinished(carried + after) == unfinished(before + after)
    assert unfinished(before + carried + after) == unfinished(before + after)
