"""Recovery: what was accepted and not finished is run again, as far as it was not finished."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bubus import BaseEvent, EventBus, WriteAheadLog
from bubus.errors import (
    BusStopped,
    BusStopping,
    EarlierError,
    HandlerGoneError,
    LogLineTooLongError,
    LogWriteError,
    OptionError,
    OptionTypeError,
)
from bubus.wal import records
from tests.wal_faults import FaultDisk, Plan, log_on

if TYPE_CHECKING:
    from bubus.wal import Fsync

ROUNDS = int(os.environ.get("BUBUS_KILLS", "200")) // 5
MODES: tuple[Fsync, ...] = ("no", "everysec", "always")


class Job(BaseEvent[str]):
    name: str


class Part(BaseEvent[int]):
    number: int


def ahead(path: Path, fsync: Fsync = "no") -> WriteAheadLog:
    """Return a log with a journal."""
    return WriteAheadLog(path, fsync=fsync, ahead=True)


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log."""
    return [json.loads(record.data) for record in records(path)]


@attrs.define
class Crew:
    """Handlers of one program, which remember what they were given."""

    seen: list[str] = attrs.Factory(list[str])
    stuck: set[str] = attrs.Factory(set[str])
    """Whose second handler never ends."""

    def first(self, event: Job) -> str:
        """Be done at once."""
        self.seen.append(f"first {event.name}")
        return f"did {event.name}"

    async def second(self, event: Job) -> str:
        """Hang where told."""
        self.seen.append(f"second {event.name}")
        if event.name in self.stuck:
            await asyncio.get_running_loop().create_future()
        return "done"

    def bus(self, path: Path, fsync: Fsync = "no") -> EventBus:
        """Return a bus with both handlers and a journal."""
        bus = EventBus(wal_path=ahead(path, fsync))
        bus.on(Job, self.first)
        bus.on(Job, self.second)
        return bus


async def interrupted(path: Path, names: str, crew: Crew) -> list[Job]:
    """Dispatch jobs, and stop the bus for good when all that can be done is done."""
    bus = crew.bus(path)
    jobs = [bus.dispatch(Job(name=name)) for name in names]
    for _ in range(20):
        await asyncio.sleep(0)
    await bus.stop(clear=True)
    return jobs


async def crash(bus: EventBus) -> None:
    """Leave the files as the death of the process would, and tidy up what is left of it in this one."""
    assert bus.wal is not None
    bus.wal.after_fork()
    await bus.stop()


async def test_what_stop_cut_off_stays_in_the_journal_and_is_recovered(tmp_path: Path) -> None:
    """The next process runs only the handlers that had not finished, and writes the line with all results."""
    path, crew = tmp_path / "events.jsonl", Crew(stuck={"b"})
    jobs = await interrupted(path, "abc", crew)
    assert isinstance(list(jobs[1].event_results.values())[1].error, BusStopped)
    assert [line["name"] for line in lines(path)] == ["a"]
    assert crew.seen == ["first a", "second a", "first b", "second b"]

    later = Crew()
    bus = later.bus(path)
    report = await bus.recover()
    assert [event.event_id for event in report.events] == [job.event_id for job in jobs[1:]]
    assert [type(event) for event in report.events] == [Job, Job]
    assert report.dead == ()
    for event in report.events:
        await event
    assert later.seen == ["second b", "first c", "second c"]
    assert [line["name"] for line in lines(path)] == ["a", "b", "c"]
    assert [result["result"] for result in lines(path)[1]["event_results"].values()] == ["did b", "done"]
    assert await report.events[0].event_results_list() == ["did b", "done"]
    await bus.stop(clear=True)

    again = Crew()
    bus = again.bus(path)
    assert (await bus.recover()).events == ()
    await bus.stop(clear=True)


async def test_recover_goes_before_what_is_queued(tmp_path: Path) -> None:
    """Recovered events come first, in accepted order, although new ones were dispatched before."""
    path = tmp_path / "events.jsonl"
    await interrupted(path, "abc", Crew(stuck={"a"}))
    crew = Crew()
    bus = crew.bus(path)
    new = bus.dispatch(Job(name="new"))
    await bus.recover()
    await new
    assert [one for one in crew.seen if one.startswith("second")] == ["second a", "second b", "second c", "second new"]
    await bus.stop(clear=True)


async def test_recover_twice_runs_nothing_twice(tmp_path: Path) -> None:
    """Also at the same time, and while the events are in flight; what stop leaves later is there again."""
    path = tmp_path / "events.jsonl"
    await interrupted(path, "ab", Crew(stuck={"a"}))
    crew = Crew(stuck={"b"})
    bus = crew.bus(path)
    first, second = await asyncio.gather(bus.recover(), bus.recover())
    assert len(first.events) + len(second.events) == 2
    await first.events[0]
    assert (await bus.recover()).events == ()
    await bus.stop()
    crew.stuck.clear()
    report = await bus.recover()
    assert [event.event_id for event in report.events] == [first.events[1].event_id]
    await report.events[0]
    assert crew.seen.count("first a") == 0
    assert crew.seen.count("first b") == 1
    await bus.stop(clear=True)


async def test_children_are_recovered_with_their_parents(tmp_path: Path) -> None:
    """A child keeps its parent, and its line comes before that of the parent."""
    path = tmp_path / "events.jsonl"
    bus = EventBus(wal_path=ahead(path))
    bus.on(Job, lambda event: str(bus.dispatch(Part(number=1)).event_id))
    bus.on(Part, lambda event: asyncio.get_running_loop().create_future())
    job = bus.dispatch(Job(name="parent"))
    for _ in range(5):
        await asyncio.sleep(0)
    await crash(bus)
    assert lines(path) == []

    bus = EventBus(wal_path=ahead(path))
    bus.on(Job, lambda event: pytest.fail("it had finished"))
    bus.on(Part, lambda event: event.number)
    report = await bus.recover()
    assert [event.event_type for event in report.events] == ["Job", "Part"]
    await report.events[0]
    assert [line["event_type"] for line in lines(path)] == ["Part", "Job"]
    assert [line["event_parent_id"] for line in lines(path)] == [job.event_id, None]
    await bus.stop(clear=True)


async def test_an_error_counts_as_finished(tmp_path: Path) -> None:
    """A handler that failed before the crash is not run again; its error is told as it was."""
    path = tmp_path / "events.jsonl"
    bus = EventBus(wal_path=ahead(path))
    bus.on(Job, lambda event: "x"[1])
    bus.on(Job, lambda event: asyncio.get_running_loop().create_future())
    bus.dispatch(Job(name="a"))
    for _ in range(5):
        await asyncio.sleep(0)
    await bus.stop(clear=True)

    bus = EventBus(wal_path=ahead(path))
    bus.on(Job, lambda event: pytest.fail("it had finished"))
    bus.on(Job, lambda event: "done")
    (event,) = (await bus.recover()).events
    assert await event.event_result(raise_if_any=False) == "done"
    with pytest.raises(EarlierError, match="IndexError: string index out of range"):
        await event.event_result()
    await bus.stop(clear=True)


async def test_a_handler_that_is_gone_is_an_error_result(tmp_path: Path) -> None:
    """Who began with the event and is no longer registered is named; what it had finished counts."""
    path = tmp_path / "events.jsonl"
    await interrupted(path, "a", Crew(stuck={"a"}))
    bus = EventBus(wal_path=ahead(path))
    (event,) = (await bus.recover()).events
    await event
    first, second = event.event_results.values()
    assert first.result == "did a"
    assert first.handler_name == "first"
    assert isinstance(second.error, HandlerGoneError)
    assert "Crew.second#1" in str(second.error)
    await bus.stop(clear=True)


async def test_an_event_that_is_recovered_before_any_handler_is_registered_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody had begun with it, so that no result can say so: it is finished, and a warning names the remedy."""
    path = tmp_path / "events.jsonl"
    (_, job) = await interrupted(path, "ab", Crew(stuck={"a"}))
    bus = EventBus(wal_path=ahead(path))
    for event in (await bus.recover()).events:
        await event
    assert len([one for one in caplog.messages if "before recover()" in one]) == 2
    assert f"event {job.event_id} (Job) is recovered and no handler is registered for it" in caplog.text
    await bus.stop(clear=True)


async def test_whoever_dispatches_and_does_not_recover_is_told_of_what_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, at the first new event; not after recover()."""
    path = tmp_path / "events.jsonl"
    _ = await interrupted(path, "ab", Crew(stuck={"a"}))
    bus = Crew().bus(path)
    for name in "cd":
        await bus.dispatch(Job(name=name))
    (told,) = [one for one in caplog.messages if "await bus.recover()" in one]
    assert "2 events that an earlier process has not finished" in told
    await bus.stop(clear=True)
    caplog.clear()

    bus = Crew().bus(path)
    for event in (await bus.recover()).events:
        await event
    await bus.dispatch(Job(name="e"))
    assert not [one for one in caplog.messages if "await bus.recover()" in one]
    await bus.stop(clear=True)


async def test_C5_after_max_attempts_an_event_goes_to_the_dead_file(tmp_path: Path) -> None:
    """It was started so often and never finished: it is kept beside, with the reason, and others go on."""
    path = tmp_path / "events.jsonl"
    (job,) = await interrupted(path, "a", Crew(stuck={"a"}))
    for attempt in (2, 3):
        crew = Crew(stuck={"a"})
        bus = crew.bus(path)
        report = await bus.recover()
        assert len(report.events) == 1, attempt
        for _ in range(5):
            await asyncio.sleep(0)
        assert crew.seen == ["second a"]
        await bus.stop(clear=True)
    bus = Crew().bus(path)
    report = await bus.recover(max_attempts=3)
    assert report.events == ()
    assert report.dead == (job.event_id,)
    await bus.stop(clear=True)
    (dead,) = lines(path.with_name("events.jsonl.dead"))
    assert dead["name"] == "a"
    assert "Crew.second#1 was started 3 times" in dead["event_error"]
    assert lines(path) == []


async def test_an_event_that_cannot_be_read_any_more_goes_to_the_dead_file(tmp_path: Path) -> None:
    """A field that its class has got since, without an upcast: nothing is lost, and the reason is told."""
    path = tmp_path / "events.jsonl"
    bus = EventBus(wal_path=ahead(path))
    old = bus.dispatch(BaseEvent(event_type="Changed", name="a"))
    await bus.stop(clear=True)

    class Changed(BaseEvent[None]):
        name: str
        added: int

    bus = EventBus(wal_path=ahead(path))
    report = await bus.recover()
    assert report.dead == (old.event_id,)
    await bus.stop(clear=True)
    assert "added" in lines(path.with_name("events.jsonl.dead"))[0]["event_error"]
    assert Changed.__event_type__ == "Changed"


@pytest.mark.parametrize("mode", MODES)
async def test_E1_a_journal_that_cannot_be_written_refuses_the_event(tmp_path: Path, mode: Fsync) -> None:
    """Dispatch raises and leaves no trace, no handler runs; once there is room it works again."""
    disk = FaultDisk()
    bus = EventBus(wal_path=log_on(disk)(tmp_path / "events.jsonl", fsync=mode, ahead=True))
    seen: list[str] = []
    bus.on(Job, lambda event: seen.append(event.name))
    disk.plan = Plan("write", disk.calls["write"] + 1, errno.ENOSPC)
    event = Job(name="refused")
    with pytest.raises(LogWriteError):
        bus.dispatch(event)
    assert event.event_path == []
    assert not bus.event_history
    await bus.dispatch(Job(name="taken"))
    assert seen == ["taken"]
    assert [line["name"] for line in lines(tmp_path / "events.jsonl")] == ["taken"]
    await bus.stop(clear=True)


@pytest.mark.real_time
async def test_R10_no_handler_starts_before_the_event_is_safe(tmp_path: Path) -> None:
    """With fsync="always" the queue waits for the journal's sync, also for an event awaited inside a handler."""
    disk = FaultDisk()
    bus = EventBus(wal_path=log_on(disk)(tmp_path / "events.jsonl", fsync="always", ahead=True))
    seen: list[str] = []

    async def parent(event: Job) -> str:
        seen.append("parent")
        part = await bus.dispatch(Part(number=1))
        return str(await part.event_result())

    def child(event: Part) -> int:
        seen.append("child")
        return event.number

    bus.on(Job, parent)
    bus.on(Part, child)
    disk.gate = threading.Event()
    job = bus.dispatch(Job(name="a"))
    await asyncio.to_thread(disk.syncing.wait)
    assert seen == []
    disk.gate.set()
    assert await job.event_result() == "1"
    assert seen == ["parent", "child"]
    await bus.stop(clear=True)


@pytest.mark.real_time
async def test_what_is_cut_off_before_it_is_journaled_is_let_go(tmp_path: Path) -> None:
    """When the journal has it at last, nothing waits for it any more, and the bus does not keep it."""
    disk = FaultDisk()
    log = log_on(disk)(tmp_path / "events.jsonl", fsync="always", ahead=True)
    bus = EventBus(wal_path=log, max_history_size=0)
    await bus.dispatch(Part(number=1))
    disk.syncing.clear()
    disk.gate = threading.Event()
    event = bus.dispatch(Part(number=2))
    await asyncio.to_thread(disk.syncing.wait)
    await bus.stop()
    assert event.event_status == "completed"
    gone = weakref.ref(event)
    del event
    disk.gate.set()
    await bus.dispatch(Part(number=3))
    gc.collect()
    assert gone() is None
    await bus.stop(clear=True)


async def test_E3_a_failed_sync_of_the_journal_cuts_the_event_off(tmp_path: Path) -> None:
    """Nobody knows whether it would be recovered: its handlers do not run, and whoever awaits is told."""
    disk = FaultDisk()
    bus = EventBus(wal_path=log_on(disk)(tmp_path / "events.jsonl", fsync="always", ahead=True))
    bus.on(Job, lambda event: pytest.fail("it is not safe"))
    disk.plan = Plan("sync", disk.calls["sync"] + 1)
    event = bus.dispatch(Job(name="a"))
    with pytest.raises(LogWriteError):
        await event
    assert event.event_status == "completed"
    with pytest.raises(LogWriteError, match="reopen"):
        bus.dispatch(Job(name="b"))
    await bus.stop(clear=True)


async def test_recover_needs_a_journal_and_a_sensible_number(tmp_path: Path) -> None:
    """The mistake and the remedy are named."""
    with pytest.raises(OptionError, match="ahead=True"):
        await EventBus(wal_path=tmp_path / "plain.jsonl").recover()
    with pytest.raises(OptionError, match="ahead=True"):
        await EventBus().recover()
    bus = EventBus(wal_path=ahead(tmp_path / "events.jsonl"))
    with pytest.raises(OptionError, match="max_attempts"):
        await bus.recover(max_attempts=0)
    with pytest.raises(OptionTypeError, match="max_attempts"):
        await bus.recover(max_attempts="3")  # pyright: ignore[reportArgumentType] - what the test is about
    await bus.stop(clear=True)


@pytest.mark.outside
@pytest.mark.timeout(300)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_C1_C4_C5_a_bus_killed_at_any_moment_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """40 processes killed, and the recovery of each, at random moments and by handlers; see `bus_rounds.play`."""
    seed = random.randrange(1 << 30)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("bus_rounds.py")), str(tmp_path), str(ROUNDS), str(seed)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"seed {seed}\n{done.stdout}\n{done.stderr}"
    assert f"rounds={ROUNDS}," in done.stdout


@pytest.mark.outside
@pytest.mark.timeout(300)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("mode", ["no", "always"])
def test_C2_C4_two_buses_killed_before_every_step_lose_and_repeat_nothing(tmp_path: Path, mode: Fsync) -> None:
    """One forwards to the other; killed before its n-th step on the disk, for every n, and again while recovering."""
    assert _points("all", tmp_path, mode) > 50


@pytest.mark.outside
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("strace") is None and "CI" not in os.environ, reason="needs strace")
def test_C2_two_buses_killed_by_the_kernel_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """The same with real processes, and some system calls of each kind before which they are killed."""
    assert _points("traced", tmp_path, "always") == 5


def _points(action: str, home: Path, mode: Fsync) -> int:
    script = str(Path(__file__).with_name("bus_points.py"))
    done = subprocess.run(
        [sys.executable, script, action, str(home), mode], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return int(done.stdout.split()[1])


@pytest.mark.parametrize("second_is_ahead", [True, False])
async def test_an_event_that_the_other_bus_has_logged_is_not_forwarded_again(
    tmp_path: Path, *, second_is_ahead: bool
) -> None:
    """A power cut took the end of the first log only: nothing runs twice, no line of the second is written twice."""
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    seen: list[str] = []

    def pair() -> tuple[EventBus, EventBus]:
        buses = (
            EventBus("First", wal_path=ahead(first)),
            EventBus("Second", wal_path=WriteAheadLog(second, ahead=second_is_ahead)),
        )
        buses[0].on(Job, buses[1].dispatch)
        buses[1].on(Job, lambda event: seen.append(event.name))
        return buses

    buses = pair()
    await buses[0].dispatch(Job(name="a"))
    for bus in buses:
        await crash(bus)
    journal = first.with_name("first.jsonl.journal")
    accepted, attempt, *_ = journal.read_bytes().splitlines(keepends=True)
    assert b'"op":"attempt"' in attempt
    journal.write_bytes(accepted + attempt)
    first.unlink()

    buses = pair()
    (event,) = (await buses[0].recover()).events
    await event
    assert seen == ["a"]
    assert [line["name"] for line in lines(first)] == [line["name"] for line in lines(second)] == ["a"]
    for bus in buses:
        await bus.stop(clear=True)


async def test_what_is_replayed_after_a_recovery_is_forwarded_as_ever(tmp_path: Path) -> None:
    """Only the recovered event itself is kept from a bus that has had it, not others with its id."""
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    seen: list[str] = []

    def pair() -> tuple[EventBus, EventBus]:
        buses = EventBus("First", wal_path=ahead(first)), EventBus("Second", wal_path=ahead(second))
        buses[0].on(Job, buses[1].dispatch)
        return buses

    buses = pair()
    buses[1].on(Job, lambda event: asyncio.get_running_loop().create_future())
    buses[0].dispatch(Job(name="a"))
    for _ in range(5):
        await asyncio.sleep(0)
    for bus in buses:
        await crash(bus)

    buses = pair()
    buses[1].on(Job, lambda event: seen.append(event.name))
    for event in [*(await buses[0].recover()).events, *(await buses[1].recover()).events]:
        await event
    assert seen == ["a"]
    assert (await buses[0].replay(first)).replayed == 1
    assert seen == ["a", "a"]
    for bus in buses:
        await bus.stop(clear=True)


async def test_what_a_stopping_bus_refuses_is_recovered_afterwards(tmp_path: Path) -> None:
    """A recovery that a stop interrupts says so, and the next one in this process finds all events."""
    path = tmp_path / "events.jsonl"
    jobs = await interrupted(path, "ab", Crew(stuck={"a"}))
    bus, gate = Crew().bus(path), asyncio.Event()

    async def hold(event: Part) -> int:
        await gate.wait()
        return event.number

    bus.on(Part, hold)
    bus.dispatch(Part(number=1))
    await asyncio.sleep(0)
    stop = asyncio.create_task(bus.stop(timeout=60))
    await asyncio.sleep(0)
    with pytest.raises(BusStopping):
        await bus.recover()
    gate.set()
    await stop
    report = await bus.recover()
    assert [event.event_id for event in report.events] == [job.event_id for job in jobs]
    for event in report.events:
        await event
    assert [line["event_type"] for line in lines(path)] == ["Part", "Job", "Job"]
    await bus.stop(clear=True)


async def test_the_longest_event_that_is_accepted_can_be_recovered(tmp_path: Path) -> None:
    """What the journal writes around an event does not count: the log opens again, and has the event."""
    path = tmp_path / "events.jsonl"
    bus = EventBus(wal_path=WriteAheadLog(path, ahead=True, max_line_bytes=2048))
    refused = 0
    for size in range(2048, 0, -1):
        try:
            bus.dispatch(Job(name="x" * size))
        except LogLineTooLongError:
            refused += 1
        else:
            break
    assert 0 < refused < 2000
    await bus.stop(clear=True)

    bus = EventBus(wal_path=WriteAheadLog(path, ahead=True, max_line_bytes=2048))
    (event,) = (await bus.recover()).events
    assert isinstance(event, Job)
    assert len(event.name) == 2048 - refused
    with pytest.raises(LogLineTooLongError):
        await event  # with what became of it, it does not fit
    await bus.stop(clear=True)


async def test_a_result_too_long_for_the_log_counts_as_one_that_cannot_be_written(tmp_path: Path) -> None:
    """The log opens again; the handler is not run again, and its result is None."""
    path, seen = tmp_path / "events.jsonl", list[str]()

    def bus() -> EventBus:
        bus = EventBus(wal_path=WriteAheadLog(path, ahead=True, max_line_bytes=2048))
        bus.on(Job, lambda event: seen.append(event.name) or "x" * 200_000)
        bus.on(Job, lambda event: asyncio.get_running_loop().create_future() if len(seen) == 1 else "done")
        return bus

    first = bus()
    first.dispatch(Job(name="a"))
    for _ in range(5):
        await asyncio.sleep(0)
    await first.stop(clear=True)
    assert b'"unwritten":"2000' in path.with_name("events.jsonl.journal").read_bytes()

    seen.append("the second handler ends")
    second = bus()
    (event,) = (await second.recover()).events
    await event
    assert seen == ["a", "the second handler ends"]
    assert [result.result for result in event.event_results.values()] == [None, "done"]
    await second.stop(clear=True)
