"""Replay: the events of a log once more, as they were, without logging them again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bubus import BaseEvent, EventBus, ReplayReport, WriteAheadLog
from bubus.errors import DeadlockError, LogDamagedError, LogOpenError, OptionError, OptionTypeError
from bubus.wal import records

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 1, 1, tzinfo=UTC)


class Ordered(BaseEvent[str]):
    number: int


class Packed(BaseEvent[str]):
    number: int


@attrs.define
class Shop:
    """A program whose first handler dispatches a child."""

    bus: EventBus
    seen: list[str] = attrs.Factory(list[str])
    events: list[BaseEvent[Any]] = attrs.Factory(list[BaseEvent[Any]])

    def open(self) -> EventBus:
        """Register the handlers."""
        self.bus.on(Ordered, self.pack)
        self.bus.on(Ordered, self.count)
        self.bus.on(Packed, self.label)
        return self.bus

    async def pack(self, event: Ordered) -> str:
        """Have the order packed."""
        self.seen.append(f"pack {event.number}")
        self.events.append(event)
        await self.bus.dispatch(Packed(number=event.number))
        return "packed"

    def count(self, event: Ordered) -> str:
        """Fail at 13."""
        self.seen.append(f"count {event.number}")
        return str(1 // (13 - event.number))

    def label(self, event: Packed) -> str:
        """Label a parcel."""
        self.seen.append(f"label {event.number}")
        self.events.append(event)
        return "labelled"


async def recorded(path: Path, numbers: range) -> list[Ordered]:
    """Write the log of some orders, one a minute."""
    bus = Shop(EventBus(wal_path=path)).open()
    orders = [
        bus.dispatch(Ordered(number=number, event_created_at=START + timedelta(minutes=number))) for number in numbers
    ]
    await bus.stop(timeout=10, clear=True)
    return orders


async def test_roots_are_dispatched_again_with_ids_and_times(tmp_path: Path) -> None:
    """Handlers dispatch the children anew; ids and times of the roots are as they were, the path is the new one."""
    path = tmp_path / "events.jsonl"
    orders = await recorded(path, range(3))
    shop = Shop(EventBus("Again"))
    report = await shop.open().replay(path)
    assert report == ReplayReport(read=6, chosen=3, replayed=3)
    assert [one for one in shop.seen if one.startswith("pack")] == ["pack 0", "pack 1", "pack 2"]
    assert shop.seen.count("label 1") == 1
    again = [event for event in shop.events if isinstance(event, Ordered)]
    assert [event.event_id for event in again] == [order.event_id for order in orders]
    assert [event.event_created_at for event in again] == [order.event_created_at for order in orders]
    assert [event.event_path for event in again] == [["Again"]] * 3


async def test_nothing_is_logged_again(tmp_path: Path) -> None:
    """Neither the events nor what their handlers dispatch, on no bus with a log; what is new in between is."""
    path = tmp_path / "events.jsonl"
    await recorded(path, range(2))
    bus = EventBus(wal_path=WriteAheadLog(path, ahead=True))
    other = EventBus(wal_path=tmp_path / "other.jsonl")
    shop = Shop(bus)
    shop.open()
    bus.on(Packed, other.dispatch)
    bus.on(Ordered, lambda event: other.dispatch(Packed(number=7)).event_id)
    report, _ = await asyncio.gather(bus.replay(path), other.dispatch(Packed(number=99)))
    assert report.replayed == 2
    assert len(list(records(path))) == 4
    assert [record.payload for record in records(tmp_path / "other.jsonl")] == [{"number": 99}]
    await bus.dispatch(Packed(number=5))
    assert len(list(records(path))) == 5
    await bus.stop(clear=True)


async def test_children_replays_every_line_and_silences_what_handlers_dispatch(tmp_path: Path) -> None:
    """Each event of the log is handled once, with its parent; a handler's own dispatch completes without results."""
    path = tmp_path / "events.jsonl"
    orders = await recorded(path, range(2))
    shop = Shop(EventBus())
    report = await shop.open().replay(path, children=True)
    assert report == ReplayReport(read=4, chosen=4, replayed=4)
    assert sorted(shop.seen) == sorted(f"{what} {number}" for what in ("pack", "count", "label") for number in range(2))
    parcels = [event for event in shop.events if isinstance(event, Packed)]
    assert [event.event_parent_id for event in parcels] == [order.event_id for order in orders]


async def test_a_forward_is_no_dispatch_of_its_own(tmp_path: Path) -> None:
    """An event that is forwarded while it is replayed runs on the other bus too."""
    path = tmp_path / "events.jsonl"
    await recorded(path, range(1))
    bus, other = EventBus(), EventBus()
    seen: list[int] = []
    bus.on(Ordered, other.dispatch)
    other.on(Ordered, lambda event: seen.append(event.number))
    await bus.replay(path, children=True)
    assert seen == [0]


async def test_where_since_and_until_choose_events(tmp_path: Path) -> None:
    """By a predicate and by the time of creation, given as datetime or text."""
    path = tmp_path / "events.jsonl"
    await recorded(path, range(10))
    shop = Shop(EventBus())
    bus = shop.open()
    report = await bus.replay(
        path,
        since=START + timedelta(minutes=2),
        until="2026-01-01T00:07:00",
        where=lambda event: isinstance(event, Ordered) and event.number % 2 == 0,
    )
    assert [one for one in shop.seen if one.startswith("pack")] == ["pack 2", "pack 4", "pack 6"]
    assert (report.chosen, report.replayed) == (3, 3)
    assert (await bus.replay(path, since="2026-01-01T00:09:00Z")).chosen == 1


async def test_handlers_chooses_who_runs(tmp_path: Path) -> None:
    """By the callable or by one of its names; a name that nobody has is an error."""
    path = tmp_path / "events.jsonl"
    await recorded(path, range(1))
    shop = Shop(EventBus())
    bus = shop.open()
    module = Shop.__module__
    for wanted in (shop.count, "count", f"{module}.Shop.count", f"{module}.Shop.count#1"):
        shop.seen.clear()
        await bus.replay(path, handlers=[wanted])
        assert shop.seen == ["count 0"]
    with pytest.raises(OptionError, match=rf"__main__\.count.*; it has {module}\.Shop\.count"):
        await bus.replay(path, handlers=["__main__.count"])
    with pytest.raises(OptionError, match=r"nobody.*; it has none"):
        await EventBus().replay(path, handlers=["nobody"])
    with pytest.raises(OptionTypeError, match="list"):
        await bus.replay(path, handlers="count")


async def test_a_dry_run_only_counts(tmp_path: Path) -> None:
    """Nothing is dispatched."""
    path = tmp_path / "events.jsonl"
    await recorded(path, range(3))
    shop = Shop(EventBus())
    assert await shop.open().replay(path, dry_run=True) == ReplayReport(read=6, chosen=3)
    assert shop.seen == []


async def test_failures_are_counted(tmp_path: Path) -> None:
    """The number of events of which a handler failed."""
    path = tmp_path / "events.jsonl"
    await recorded(path, range(12, 15))
    assert (await Shop(EventBus()).open().replay(path)).failed == 1


@pytest.mark.virtual_time
async def test_speed_keeps_the_recorded_pace(tmp_path: Path) -> None:
    """A minute between two events stays one, or becomes half; without it nothing waits."""
    path = tmp_path / "events.jsonl"
    await recorded(path, range(4))
    bus, loop = EventBus(), asyncio.get_running_loop()
    times: list[float] = []
    bus.on(Ordered, lambda event: times.append(loop.time() - start))
    for speed, gap in ((1.0, 60), (2, 30), (None, 0)):
        times.clear()
        start = loop.time()
        await bus.replay(path, speed=speed)
        assert times == pytest.approx([0, gap, 2 * gap, 3 * gap])


async def test_at_most_a_hundred_are_in_flight(tmp_path: Path) -> None:
    """However long the log is; max_pending does not count."""
    path = tmp_path / "events.jsonl"
    await recorded(path, range(20, 120))
    path.write_bytes(b"".join(_renumbered(path, times) for times in range(3)))
    bus, most = EventBus(max_pending=1, max_history_size=0), 0

    async def look(event: Ordered) -> None:
        nonlocal most
        most = max(most, len(bus.event_history))
        await asyncio.sleep(0)

    bus.on("Ordered", look)
    report = await bus.replay(path)
    assert report.replayed == 300
    assert most == 100


def _renumbered(path: Path, times: int) -> bytes:
    """Return the lines of a log as an older bubus would have written them, with ids of their own."""
    lines = (record.data for record in records(path))
    return b"".join(
        line[: line.rindex(b',"event_seq"')].replace(b'"event_id":"0', b'"event_id":"%d' % times) + b"}\n"
        for line in lines
    )


async def test_a_replay_inside_a_handler_of_the_same_bus_is_refused(tmp_path: Path) -> None:
    """The bus would wait for itself; another bus may replay there."""
    path = tmp_path / "events.jsonl"
    await recorded(path, range(1))
    bus, other = EventBus(), EventBus()
    seen: list[str] = []
    other.on(Ordered, lambda event: seen.append(f"{event.event_parent_id}"))

    async def handler(event: Packed) -> str:
        with pytest.raises(DeadlockError):
            await bus.replay(path)
        return str((await other.replay(path)).replayed)

    bus.on(Packed, handler)
    assert await bus.dispatch(Packed(number=1)).event_result() == "1"
    assert seen == ["None"]


async def test_damage_ends_a_replay_unless_it_is_passed_over(tmp_path: Path) -> None:
    """What came before it was replayed, and the error says how much that was; with "skip" it is counted."""
    path = tmp_path / "events.jsonl"
    await recorded(path, range(3))
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"number":1,"event_status"', b'"number":2,"event_status"', 1))
    shop = Shop(EventBus())
    bus = shop.open()
    with pytest.raises(LogDamagedError) as caught:
        await bus.replay(path)
    told = caught.value.replay
    assert told is not None
    assert 0 < told.replayed == len([one for one in shop.seen if one.startswith("count")])
    report = await bus.replay(path, on_error="skip")
    assert report.damaged == 2  # the line itself, and its number missing
    assert report.read == 5


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"since": "yesterday"}, OptionError),
        ({"until": 3}, OptionTypeError),
        ({"speed": 0}, OptionError),
        ({"speed": "1"}, OptionTypeError),
        ({"dry_run": 1}, OptionTypeError),
        ({"children": "no"}, OptionTypeError),
        ({"on_error": "ignore"}, OptionError),
        ({"newer": "ignore"}, OptionError),
    ],
)
async def test_bad_options_are_refused(tmp_path: Path, options: dict[str, Any], error: type[Exception]) -> None:
    """Before anything is read."""
    path = tmp_path / "events.jsonl"
    await recorded(path, range(1))
    with pytest.raises(error, match=next(iter(options))):
        await EventBus().replay(path, **options)


async def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong path is no empty log."""
    with pytest.raises(LogOpenError):
        await EventBus().replay(tmp_path / "none.jsonl")
