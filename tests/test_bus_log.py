"""A bus with a log: one line for each completed event, acknowledged before whoever waits goes on."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import math
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bubus import BaseEvent, EventBus, WriteAheadLog
from bubus.errors import (
    BusClosed,
    BusStopped,
    BusStopping,
    EncodeError,
    LogClosedError,
    LogInUseError,
    LogLineTooLongError,
    LogLockedError,
    LogWriteError,
    OptionTypeError,
)
from bubus.wal import read, records
from tests.until import until
from tests.wal_faults import FaultDisk, Plan, log_on

if TYPE_CHECKING:
    from pathlib import Path

    from bubus.wal import Fsync

MODES: tuple[Fsync, ...] = ("no", "everysec", "always")


class ImportantEvent(BaseEvent[str]):
    data: str


class Child(BaseEvent[str]):
    number: int = 0


class Anything(BaseEvent[Any]):
    value: object = None


def lines(path: Path) -> list[dict[str, Any]]:
    """Return all lines of a log, as any JSON tool reads them."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def types(path: Path) -> list[str]:
    """Return the types of the events in a log."""
    return [line["event_type"] for line in lines(path)]


def greet(event: ImportantEvent) -> str:
    return f"got {event.data}"


async def test_a_completed_event_is_one_flat_line_with_its_keys_in_order(tmp_path: Path) -> None:
    """Metadata, payload and extras, what became of it, number and checksum."""
    bus = EventBus("Shop", wal_path=tmp_path / "events.jsonl")
    bus.on(ImportantEvent, greet)
    event = await bus.dispatch(ImportantEvent.model_validate({"data": "critical", "source": "web"}))
    (line,) = lines(tmp_path / "events.jsonl")
    assert list(line) == [
        "event_type", "event_schema", "event_id", "event_parent_id", "event_path", "event_timeout", "event_created_at",
        "data", "source",
        "event_status", "event_started_at", "event_completed_at", "event_processed_at", "event_results",
        "event_seq", "event_crc",
    ]  # fmt: skip
    assert line["event_type"] == "ImportantEvent"
    assert line["event_id"] == event.event_id
    assert line["event_path"] == ["Shop"]
    assert line["event_status"] == "completed"
    assert line["data"] == "critical"
    assert line["source"] == "web"
    assert line["event_processed_at"] == line["event_completed_at"]
    (result,) = event.event_results.values()
    assert line["event_results"] == {
        result.handler_id: {
            "handler_name": "greet",
            "eventbus_name": "Shop",
            "status": "completed",
            "duration": result.duration,
            "result": "got critical",
        }
    }
    assert line["event_seq"] == 1


def test_the_bus_says_at_which_level_it_acknowledges(tmp_path: Path) -> None:
    """The repr of a bus with a log names the level of durability; one without says nothing of it."""
    bus = EventBus("shop", wal_path=WriteAheadLog(tmp_path / "log.jsonl", fsync="always", ahead=True))
    assert repr(bus).endswith(", log fsync=always ahead>")
    assert "log" not in repr(EventBus("plain"))


async def test_a_line_is_read_by_plain_msgspec(tmp_path: Path) -> None:
    """A line is an event of its class for msgspec alone, and the times are those of the event."""
    bus = EventBus(wal_path=str(tmp_path / "events.jsonl"))
    event = await bus.dispatch(ImportantEvent(data="critical"))
    (line,) = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert msgspec.json.decode(line, type=ImportantEvent) == event
    (record,) = records(tmp_path / "events.jsonl")
    assert record.head.event_started_at == event.event_started_at
    assert record.head.event_completed_at == event.event_completed_at


@pytest.mark.parametrize("mode", MODES)
async def test_await_returns_after_the_line_is_written(tmp_path: Path, mode: Fsync) -> None:
    """Whoever has awaited an event finds its line in the file, whatever else was awaited before."""
    path = tmp_path / "events.jsonl"
    bus = EventBus(wal_path=WriteAheadLog(path, fsync=mode))
    bus.on(ImportantEvent, greet)
    for number in range(5):
        await bus.dispatch(ImportantEvent(data=str(number)))
        assert len(lines(path)) == number + 1
    batch = [bus.dispatch(ImportantEvent(data=str(number))) for number in range(40)]
    await batch[-1]
    assert types(path) == ["ImportantEvent"] * 45
    await bus.stop(clear=True)


@pytest.mark.real_time
async def test_the_bus_goes_on_while_a_line_is_on_its_way(tmp_path: Path) -> None:
    """Until the disk has a line its event is not complete, but the next events run."""
    disk = FaultDisk()
    disk.gate = threading.Event()
    bus = EventBus(wal_path=log_on(disk)(tmp_path / "events.jsonl", fsync="always"))
    seen = asyncio.Queue[str]()
    bus.on(ImportantEvent, lambda event: seen.put_nowait(event.data))
    events = [bus.dispatch(ImportantEvent(data=data)) for data in "abc"]
    assert [await seen.get() for _ in events] == ["a", "b", "c"]
    await asyncio.to_thread(disk.syncing.wait)
    assert [event.event_status for event in events] == ["started"] * 3
    assert bus.statistics().completed == 0
    idle = asyncio.ensure_future(bus.wait_until_idle())
    await asyncio.sleep(0)
    assert not idle.done()
    disk.gate.set()
    await idle
    assert [event.event_status for event in events] == ["completed"] * 3
    await bus.stop(clear=True)


async def test_a_batch_is_one_write(tmp_path: Path) -> None:
    """Forty events that are dispatched together cost one call of the operating system."""
    disk = FaultDisk()
    bus = EventBus(wal_path=log_on(disk)(tmp_path / "events.jsonl"))
    before = disk.calls["write"]
    for event in [bus.dispatch(ImportantEvent(data=str(number))) for number in range(40)]:
        await event
    assert disk.calls["write"] == before + 1


async def test_lines_stand_in_the_order_of_completion(tmp_path: Path) -> None:
    """A child, awaited or not, comes before its parent, and knows it."""
    path = tmp_path / "events.jsonl"
    bus = EventBus(wal_path=path)

    async def parent(event: ImportantEvent) -> str:
        later = bus.dispatch(Child(number=1))
        assert (await bus.dispatch(Child(number=2))).event_status == "completed"
        assert len(lines(path)) == 1
        return later.event_id

    bus.on(ImportantEvent, parent)
    event = await bus.dispatch(ImportantEvent(data="x"))
    assert [line.get("number") for line in lines(path)] == [2, 1, None]
    assert [line["event_parent_id"] for line in lines(path)] == [event.event_id, event.event_id, None]


async def test_the_payload_is_that_of_the_dispatch(tmp_path: Path) -> None:
    """What a handler does to an event is not what was accepted."""
    bus = EventBus(wal_path=tmp_path / "events.jsonl")
    bus.on(ImportantEvent, lambda event: setattr(event, "data", "changed"))
    await bus.dispatch(ImportantEvent(data="as it was"))
    assert lines(tmp_path / "events.jsonl")[0]["data"] == "as it was"


async def test_a_forwarded_event_is_written_by_each_bus_with_a_log(tmp_path: Path) -> None:
    """Both lines tell of the whole path and of all results."""
    first = EventBus("First", wal_path=tmp_path / "first.jsonl")
    second = EventBus("Second", wal_path=tmp_path / "second.jsonl")
    first.on("*", second.dispatch)
    second.on(ImportantEvent, greet)
    await first.dispatch(ImportantEvent(data="x"))
    (here,), (there,) = lines(tmp_path / "first.jsonl"), lines(tmp_path / "second.jsonl")
    assert here == there
    assert here["event_path"] == ["First", "Second"]
    results = list(here["event_results"].values())
    assert [result["handler_name"] for result in results] == ["Second.dispatch", "greet"]
    assert [result["result"] for result in results] == [None, "got x"]


async def test_buses_may_share_a_log_and_write_an_event_once(tmp_path: Path) -> None:
    """Two buses with one log; it is closed with the last of them."""
    log = WriteAheadLog(tmp_path / "events.jsonl")
    first, second = EventBus("First", wal_path=log), EventBus("Second", wal_path=log)
    first.on("*", second.dispatch)
    await first.dispatch(ImportantEvent(data="x"))
    await second.dispatch(Child())
    assert types(log.path) == ["ImportantEvent", "Child"]
    await first.stop(clear=True)
    assert not log.is_closed
    await second.stop(clear=True)
    assert log.is_closed


@pytest.mark.virtual_time
async def test_failed_and_timed_out_events_get_a_line_too(tmp_path: Path) -> None:
    """The line says what was raised."""

    async def hang(event: ImportantEvent) -> str:
        return await asyncio.get_running_loop().create_future()

    bus = EventBus("Shop", wal_path=tmp_path / "events.jsonl")
    bus.on(ImportantEvent, hang)
    bus.on(ImportantEvent, lambda event: "x"[1])
    await bus.dispatch(ImportantEvent(data="x", event_timeout=1))
    first, second = lines(tmp_path / "events.jsonl")[0]["event_results"].values()
    assert first["status"] == second["status"] == "error"
    assert first["error"].startswith("HandlerTimeout: ")
    assert second["error"] == "IndexError: string index out of range"
    assert "result" not in first


async def test_what_is_cut_off_by_stop_gets_a_line(tmp_path: Path) -> None:
    """Both the event that runs and the one in the queue, with the reason."""
    path = tmp_path / "events.jsonl"
    bus = EventBus(wal_path=path)
    entered = asyncio.Event()

    async def hang(event: ImportantEvent) -> None:
        entered.set()
        await asyncio.get_running_loop().create_future()

    bus.on("ImportantEvent", hang)
    events = [bus.dispatch(ImportantEvent(data=data)) for data in "ab"]
    await entered.wait()
    await bus.stop()
    assert [event.event_status for event in events] == ["completed"] * 2
    assert [line["data"] for line in lines(path)] == ["b", "a"]
    errors = [next(iter(line["event_results"].values()))["error"] for line in lines(path)]
    assert all(error.startswith("BusStopped: ") for error in errors)
    assert lines(path)[0]["event_started_at"] is None


@pytest.mark.parametrize(
    "value",
    [object(), math.nan, {"x": [math.inf]}, "\ud800", {(1, 2): 3}],
    ids=["object", "nan", "infinity", "surrogate", "tuple key"],
)
async def test_F1_what_cannot_be_encoded_is_refused_at_dispatch(tmp_path: Path, value: object) -> None:
    """The error names the field, no handler runs, and nothing is left of the event anywhere."""
    bus = EventBus(wal_path=tmp_path / "events.jsonl")
    bus.on("*", lambda event: pytest.fail("it was not accepted"))
    event = Anything(value=value)
    with pytest.raises(EncodeError, match=r"Anything\.value"):
        bus.dispatch(event)
    assert event.event_path == []
    assert not bus.event_history
    assert bus.statistics().accepted == 0
    await bus.wait_until_idle()
    assert lines(tmp_path / "events.jsonl") == []


@pytest.mark.parametrize(
    ("value", "why"), [(object(), "object"), (math.nan, "nan"), ({(1,): 2}, "key")], ids=["object", "nan", "tuple key"]
)
async def test_a_result_that_cannot_be_encoded_costs_nothing_but_itself(
    tmp_path: Path, value: object, why: str
) -> None:
    """The event is logged all the same, and the line says what is missing from it and why."""
    bus = EventBus(wal_path=tmp_path / "events.jsonl")
    bus.on(Anything, lambda event: value)
    await bus.dispatch(Anything())
    (result,) = lines(tmp_path / "events.jsonl")[0]["event_results"].values()
    assert result["status"] == "completed"
    assert result["result"] is None
    assert why in result["unwritten"]


async def test_a_result_that_was_never_settled_is_logged_as_it_is(tmp_path: Path) -> None:
    """Nobody can take a handler that was only said to have started for one that has returned None."""
    bus = EventBus(wal_path=tmp_path / "events.jsonl")
    bus.on(Child, lambda event: "done")

    def elsewhere(event: Child) -> str:
        return str(event.number)

    event = Child()
    event.event_result_update(elsewhere, status="started")
    await bus.dispatch(event)
    (line,) = lines(tmp_path / "events.jsonl")
    assert [(one["status"], one["result"]) for one in line["event_results"].values()] == [
        ("started", None),
        ("completed", "done"),
    ]


async def test_a_result_nested_too_deeply_does_not_spoil_the_line(tmp_path: Path) -> None:
    """What no reader would take is not written."""
    deep: Any = None
    for _ in range(127):
        deep = [deep]
    bus = EventBus(wal_path=tmp_path / "events.jsonl")
    bus.on(Anything, lambda event: deep)
    await bus.dispatch(Anything())
    (record,) = records(tmp_path / "events.jsonl")
    assert [msgspec.json.decode(result.result) for result in record.results.values()] == [None]


async def test_an_event_too_long_for_the_log_is_refused_at_dispatch(tmp_path: Path) -> None:
    """A line that no reader would take is none; when only the results make it too long, the waiter is told."""
    bus = EventBus(wal_path=WriteAheadLog(tmp_path / "events.jsonl", max_line_bytes=2000))
    bus.on(ImportantEvent, lambda event: "y" * 3000)
    with pytest.raises(LogLineTooLongError, match="max_line_bytes=2000"):
        bus.dispatch(ImportantEvent(data="x" * 3000))
    assert not bus.event_history
    event = bus.dispatch(ImportantEvent(data="x"))
    with pytest.raises(LogLineTooLongError):
        await event
    assert event.event_status == "completed"
    await bus.dispatch(Child())
    assert types(tmp_path / "events.jsonl") == ["Child"]


@pytest.mark.parametrize("mode", MODES)
async def test_on_error_raise_tells_whoever_awaits(tmp_path: Path, mode: Fsync) -> None:
    """The event is complete, each waiter gets an error of its own, and later events are written."""
    disk = FaultDisk()
    bus = EventBus(wal_path=log_on(disk)(tmp_path / "events.jsonl", fsync=mode))
    bus.on(ImportantEvent, greet)
    disk.plan = Plan("write", disk.calls["write"] + 1, errno.ENOSPC)
    event = bus.dispatch(ImportantEvent(data="lost"))
    first, second = await asyncio.gather(_awaited(event), _awaited(event), return_exceptions=True)
    assert isinstance(first, LogWriteError)
    assert isinstance(second, LogWriteError)
    assert first is not second
    assert first.errno == errno.ENOSPC
    assert isinstance(first.__cause__, OSError)
    assert b"lost" in first.lines[0]
    assert event.event_status == "completed"
    with pytest.raises(LogWriteError):
        await event.event_result()
    await bus.dispatch(ImportantEvent(data="kept"))
    assert [line["data"] for line in lines(tmp_path / "events.jsonl")] == ["kept"]
    await bus.stop(clear=True)


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def _awaited(event: BaseEvent[Any]) -> None:
    await event


async def test_an_error_of_the_log_reaches_other_threads_too(tmp_path: Path) -> None:
    """The future of dispatch_threadsafe raises it."""
    disk = FaultDisk()
    bus = EventBus(wal_path=log_on(disk)(tmp_path / "events.jsonl"))
    disk.plan = Plan("write", disk.calls["write"] + 1, errno.ENOSPC)
    future = bus.dispatch_threadsafe(ImportantEvent(data="lost"))
    with pytest.raises(LogWriteError):
        await asyncio.wrap_future(future)


async def test_E3_after_a_failed_sync_dispatch_raises_until_reopen(tmp_path: Path) -> None:
    """The disk has lost what it was given: nothing is taken until the log is opened anew."""
    disk = FaultDisk()
    log = log_on(disk)(tmp_path / "events.jsonl", fsync="always")
    bus = EventBus(wal_path=log)
    disk.plan = Plan("sync", disk.calls["sync"] + 1)
    with pytest.raises(LogWriteError):
        await bus.dispatch(ImportantEvent(data="lost"))
    for _ in range(2):
        with pytest.raises(LogWriteError, match=r"reopen\(\)"):
            bus.dispatch(ImportantEvent(data="refused"))
    assert bus.statistics().accepted == 1
    assert bus.wal is log
    log.reopen()
    await bus.dispatch(ImportantEvent(data="kept"))
    assert [event.data for event in read(log.path, [ImportantEvent])] == ["kept"]
    await bus.stop(clear=True)


@pytest.mark.parametrize("mode", MODES)
async def test_on_error_stop_stops_the_bus(tmp_path: Path, mode: Fsync) -> None:
    """What is queued and running is cut off, as by `stop`; the lost event's waiter gets the error."""
    disk = FaultDisk()
    bus = EventBus(wal_path=log_on(disk)(tmp_path / "events.jsonl", fsync=mode, on_error="stop"))
    hung = asyncio.get_running_loop().create_future()
    bus.on(Child, lambda event: hung)
    disk.plan = Plan("write", disk.calls["write"] + 1, errno.ENOSPC)
    first, second = bus.dispatch(ImportantEvent(data="lost")), bus.dispatch(Child())
    with pytest.raises(LogWriteError):
        await first
    await second
    (result,) = second.event_results.values()
    assert type(result.error).__name__ == "BusStopped"
    await _turns(3)
    assert bus.stopped
    await bus.stop(clear=True)


async def test_on_error_stop_stops_the_bus_also_when_dispatch_is_refused(tmp_path: Path) -> None:
    """The error comes from dispatch, and the bus stops."""
    disk = FaultDisk()
    log = log_on(disk)(tmp_path / "events.jsonl", on_error="stop")
    bus = EventBus(wal_path=log)
    log.close()
    with pytest.raises(LogClosedError):
        bus.dispatch(ImportantEvent(data="refused"))
    await _turns(3)
    assert bus.stopped


@pytest.mark.parametrize("mode", MODES)
async def test_on_error_as_a_callable_takes_the_loss(tmp_path: Path, mode: Fsync) -> None:
    """It gets the lines; awaiting raises nothing, and the bus goes on, also after a failed sync."""
    disk, errors = FaultDisk(), list[LogWriteError]()
    bus = EventBus(wal_path=log_on(disk)(tmp_path / "events.jsonl", fsync=mode, on_error=errors.append))
    disk.plan = Plan("sync" if mode == "always" else "write", 1 + disk.calls["write"] * (mode != "always"))
    disk.calls["sync"] = 0
    for data in "ab":
        await bus.dispatch(ImportantEvent(data=data))
    assert errors
    assert b'"data":"a"' in errors[0].lines[0]
    await bus.stop(clear=True)


async def test_D3_a_second_bus_on_the_same_path_fails_at_once(tmp_path: Path) -> None:
    """The lock names its owner; stop(clear=True) frees it."""
    path = tmp_path / "events.jsonl"
    bus = EventBus(wal_path=path)
    await bus.dispatch(ImportantEvent(data="x"))
    with pytest.raises(LogLockedError, match="this one"):
        EventBus(wal_path=path)
    await bus.stop(clear=True)
    again = EventBus(wal_path=path)
    await again.dispatch(ImportantEvent(data="y"))
    assert [line["event_seq"] for line in lines(path)] == [1, 2]


@pytest.mark.parametrize("ahead", [False, True])
async def test_an_event_that_is_kept_keeps_no_bus_and_no_log(tmp_path: Path, *, ahead: bool) -> None:
    """Not even when it was forwarded, or its line is lost, which whoever awaits it is told all the same."""
    paths = [tmp_path / "first.jsonl", tmp_path / "second.jsonl"]

    async def kept() -> list[BaseEvent[Any]]:
        first, second = (EventBus(wal_path=WriteAheadLog(path, ahead=ahead, max_line_bytes=2000)) for path in paths)
        first.on(Child, second.dispatch)
        first.on(ImportantEvent, lambda event: event.data * 2000)
        lost = first.dispatch(ImportantEvent(data="x"))
        with pytest.raises(LogLineTooLongError):
            await lost
        return [await first.dispatch(Child()), lost]

    events = await kept()
    await _turns(3)
    gc.collect()
    for path in paths:
        WriteAheadLog(path, ahead=ahead).close()
    with pytest.raises(LogLineTooLongError):
        await events[1]
    assert [line["event_type"] for path in paths for line in lines(path)] == ["Child", "Child"]


async def test_a_dropped_bus_frees_its_log(tmp_path: Path) -> None:
    """Without any stop, the lock goes with the last reference."""
    bus = EventBus(wal_path=tmp_path / "events.jsonl")
    await bus.dispatch(ImportantEvent(data="x"))
    await asyncio.sleep(0)
    del bus
    gc.collect()
    EventBus(wal_path=tmp_path / "events.jsonl")


async def test_a_log_with_a_journal_is_for_one_bus(tmp_path: Path) -> None:
    """Two buses could not tell whose handlers have run."""
    log = WriteAheadLog(tmp_path / "events.jsonl", ahead=True)
    bus = EventBus(wal_path=log)
    with pytest.raises(LogInUseError):
        EventBus(wal_path=log)
    await bus.stop(clear=True)
    with pytest.raises(LogClosedError):
        EventBus(wal_path=log)


def test_a_wal_path_of_a_wrong_type_is_refused() -> None:
    """Only paths and logs will do."""
    with pytest.raises(OptionTypeError, match="path"):
        EventBus(wal_path=3)  # pyright: ignore[reportArgumentType] - what the test is about


def test_a_log_outlives_its_event_loop(tmp_path: Path) -> None:
    """What was on its way when asyncio.run ended is written, and the bus goes on in the next loop."""
    bus = EventBus(wal_path=WriteAheadLog(tmp_path / "events.jsonl", fsync="always"))
    events: list[BaseEvent[Any]] = []

    async def leave() -> None:
        events.append(bus.dispatch(ImportantEvent(data="left")))
        await asyncio.sleep(0)

    async def go_on() -> None:
        await bus.dispatch(ImportantEvent(data="next"))
        await events[0]
        await bus.stop(clear=True)

    asyncio.run(leave())
    asyncio.run(go_on())
    assert events[0].event_status == "completed"
    assert [line["data"] for line in lines(tmp_path / "events.jsonl")] == ["left", "next"]


async def test_a_log_serves_one_event_loop_at_a_time(tmp_path: Path) -> None:
    """Buses of two threads must not share a log: they would write over each other."""
    log = WriteAheadLog(tmp_path / "events.jsonl")
    bus = EventBus(wal_path=log)
    await bus.dispatch(ImportantEvent(data="x"))

    async def elsewhere() -> None:
        other = EventBus(wal_path=log)
        with pytest.raises(LogInUseError):
            other.dispatch(ImportantEvent(data="y"))

    await asyncio.to_thread(asyncio.run, elsewhere())
    assert len(lines(log.path)) == 1


async def test_extras_cannot_pass_for_the_end_of_a_line(tmp_path: Path) -> None:
    """An event made from a line does not bring its number and checksum along."""
    event = BaseEvent(event_type="Copied", event_seq="x", event_crc=None, event_status="odd")
    bus = EventBus(wal_path=tmp_path / "events.jsonl")
    await bus.dispatch(event)
    (copied,) = read(tmp_path / "events.jsonl")
    assert copied.model_extra == {}


@pytest.mark.real_time
@pytest.mark.parametrize(("mode", "ahead"), [("everysec", False), ("everysec", True), ("always", True)])
async def test_E4_the_end_of_a_bus_does_not_stop_the_loop(tmp_path: Path, mode: Fsync, *, ahead: bool) -> None:
    """While the last sync hangs the loop turns, nothing is accepted, and the log is closed when it is over."""
    disk = FaultDisk()
    bus = EventBus(wal_path=log_on(disk)(tmp_path / "events.jsonl", fsync=mode, ahead=ahead))
    await bus.dispatch(Child())
    disk.syncing.clear()
    disk.gate = threading.Event()
    end = asyncio.create_task(bus.stop(clear=True))
    await asyncio.to_thread(disk.syncing.wait)
    assert not end.done()
    assert bus.wal is not None
    assert not bus.wal.is_closed
    with pytest.raises(BusStopping):
        bus.dispatch(Child())
    disk.gate.set()
    await end
    assert bus.wal.is_closed


@pytest.mark.real_time
async def test_what_a_handler_dispatches_while_it_ends_the_bus_is_refused(tmp_path: Path) -> None:
    """Also during the last sync: nothing is accepted that could not run any more."""
    disk = FaultDisk()
    log = log_on(disk)(tmp_path / "events.jsonl", fsync="everysec")
    bus = EventBus(wal_path=log)
    refused: list[bool] = []

    async def beside() -> None:
        await asyncio.to_thread(disk.syncing.wait)
        with pytest.raises(BusStopping):
            bus.dispatch(Child())
        refused.append(True)
        assert disk.gate is not None
        disk.gate.set()

    async def end(event: ImportantEvent) -> str:
        task = asyncio.create_task(beside())
        await bus.stop(clear=True)
        await task
        return event.data

    bus.on(ImportantEvent, end)
    await bus.dispatch(Child())
    disk.syncing.clear()
    disk.gate = threading.Event()
    event = bus.dispatch(ImportantEvent(data="x"))
    await event
    assert refused == [True]
    assert types(tmp_path / "events.jsonl") == ["Child", "ImportantEvent"]
    await until(lambda: log.is_closed, 1_000_000)


@pytest.mark.real_time
@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("mode", MODES)
async def test_a_handler_that_ends_the_bus_loses_no_line(tmp_path: Path, mode: Fsync, *, ahead: bool) -> None:
    """The log is closed, and free, when the event it handles and the one that waits for that have theirs."""
    path = tmp_path / "events.jsonl"
    log = WriteAheadLog(path, fsync=mode, ahead=ahead)
    bus = EventBus(wal_path=log)

    async def parent(event: ImportantEvent) -> str:
        await bus.dispatch(Child())
        return event.data

    async def end(event: Child) -> str:
        await bus.stop(clear=True)
        assert not log.is_closed
        return "ended"

    bus.on(ImportantEvent, parent)
    bus.on(Child, end)
    event = await bus.dispatch(ImportantEvent(data="x"))
    with pytest.raises(BusStopped):
        await event.event_result()
    assert await event.event_children[0].event_result() == "ended"
    await until(lambda: log.is_closed, 1_000_000)
    assert types(path) == ["Child"] if ahead else ["Child", "ImportantEvent"]
    later = WriteAheadLog(path, ahead=True)
    assert [left.event_id for left in await later.unfinished()] == [event.event_id] * ahead
    later.close()


@pytest.mark.real_time
async def test_a_handler_that_ends_the_bus_is_told_of_in_a_warning_if_that_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for the end of the log: an error of the last sync is logged, and the lock is freed."""
    disk, path = FaultDisk(), tmp_path / "events.jsonl"
    log = log_on(disk)(path, fsync="everysec")
    bus = EventBus(wal_path=log)

    async def end(event: ImportantEvent) -> str:
        await bus.stop(clear=True)
        disk.plan = Plan("sync", disk.calls["sync"] + 1)
        return event.data

    bus.on(ImportantEvent, end)
    await bus.dispatch(ImportantEvent(data="x"))
    await until(lambda: log.is_closed, 1_000_000)
    assert [record.levelname for record in caplog.records if "could not be forced to the disk" in record.message]
    WriteAheadLog(path).close()


@pytest.mark.real_time
async def test_a_bus_ends_although_its_log_is_used_in_another_loop(tmp_path: Path) -> None:
    """What is left to be written is for the others, who go on."""
    log = WriteAheadLog(tmp_path / "events.jsonl", fsync="everysec")
    bus, other = EventBus(wal_path=log), EventBus(wal_path=log)
    await bus.dispatch(Child())
    await asyncio.to_thread(asyncio.run, other.stop(clear=True))
    assert other not in EventBus.all_instances
    with pytest.raises(BusClosed):
        other.dispatch(Child())
    assert not log.is_closed
    await bus.dispatch(Child())
    await bus.stop(clear=True)
    assert len(lines(log.path)) == 2


@pytest.mark.parametrize("ahead", [False, True])
async def test_E3_a_last_sync_that_fails_is_told_at_the_end_of_the_bus(tmp_path: Path, *, ahead: bool) -> None:
    """Nobody awaits the event any more, so `stop` raises, and the log is closed all the same."""
    disk = FaultDisk()
    bus = EventBus(wal_path=log_on(disk)(tmp_path / "events.jsonl", fsync="everysec", ahead=ahead))
    await bus.dispatch(Child())
    disk.plan = Plan("sync", disk.calls["sync"] + 1)
    with pytest.raises(LogWriteError):
        await bus.stop(clear=True)
    assert bus.wal is not None
    assert bus.wal.is_closed
    assert bus not in EventBus.all_instances


async def test_E3_a_log_that_was_opened_again_tells_of_its_own_failures_only(tmp_path: Path) -> None:
    """What failed at the end of one bus is no news at the next `close`, nor is what `failure` has said since."""
    disk = FaultDisk()
    log = log_on(disk)(tmp_path / "events.jsonl", fsync="everysec")
    bus = EventBus(wal_path=log)
    await bus.dispatch(Child())
    disk.plan = Plan("sync", disk.calls["sync"] + 1)
    with pytest.raises(LogWriteError):
        await bus.stop(clear=True)
    log.reopen()
    assert log.failure is None
    bus = EventBus(wal_path=log)
    await bus.dispatch(Child())
    disk.plan = Plan("sync", disk.calls["sync"] + 1)
    log.sync()
    assert log.failure
    log.close()
    assert log.is_closed
    await bus.stop()


@pytest.mark.virtual_time
async def test_cancelled_events_get_a_line_too(tmp_path: Path) -> None:
    """A child that is cancelled with its parent's handler is complete, and its line says why."""
    bus = EventBus(wal_path=tmp_path / "events.jsonl")

    async def parent(event: ImportantEvent) -> str:
        await bus.dispatch(Child())
        return event.data

    async def hang(event: Child) -> None:
        await asyncio.get_running_loop().create_future()

    bus.on(ImportantEvent, parent)
    bus.on(Child, hang)
    await bus.dispatch(ImportantEvent(data="x", event_timeout=1))
    assert types(tmp_path / "events.jsonl") == ["Child", "ImportantEvent"]
    (result,) = lines(tmp_path / "events.jsonl")[0]["event_results"].values()
    assert result["error"].startswith("EventCancelled: ")


@pytest.mark.parametrize("ahead", [False, True])
async def test_without_fsync_no_thread_is_started(tmp_path: Path, *, ahead: bool) -> None:
    """The loop itself hands lines to the operating system: the hot path has no thread hop."""
    before = set(threading.enumerate())
    bus = EventBus(wal_path=WriteAheadLog(tmp_path / "events.jsonl", ahead=ahead))
    for _ in range(3):
        await bus.dispatch(Child())
    assert set(threading.enumerate()) <= before
    assert len(lines(tmp_path / "events.jsonl")) == 3
    await bus.stop(clear=True)
    assert set(threading.enumerate()) <= before
