"""Logs that released versions have written, byte for byte as they did, are read and gone on with."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest

from bubus import BaseEvent, EventBus
from bubus.wal import read, records

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.jsonl"), key=lambda path: path.stem)
TEXT = 'quote " and \\ and newline \n, \u2028, \x7f, ünïcödé 😀'


class Color(Enum):
    RED = "red"


class UserLoginEvent(BaseEvent[str]):
    username: str
    is_admin: bool = False
    tags: list[str] = attrs.Factory(list[str])
    seen_at: datetime


class OrderPlaced(BaseEvent[dict[str, Any]]):
    order_id: UUID
    total: Decimal
    items: dict[str, int]
    color: Color
    note: str | None
    took: timedelta


class ChildEvent(BaseEvent[Any]):
    text: str


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_D5_golden_files_are_read_as_they_are(path: Path) -> None:
    """Every value has its type, extras are there, and nothing of the run-time state has become an extra."""
    child, alice, _, bob, untimed, timed, ad_hoc = read(path)
    assert isinstance(child, ChildEvent)
    assert child.text == TEXT
    assert child.event_parent_id == alice.event_id
    assert isinstance(alice, UserLoginEvent)
    assert (alice.username, alice.tags, alice.event_path[0]) == ("alice", ["a", "b"], "Main")
    assert alice.seen_at == datetime(2025, 1, 2, 3, 4, 5, 678901, UTC)
    assert bob.model_extra == {"extra_field": {"nested": [1, 2.5, None, True]}}
    assert isinstance(untimed, OrderPlaced)
    assert isinstance(timed, OrderPlaced)
    assert (untimed.event_timeout, timed.event_timeout) == (None, 5.0)
    assert (untimed.order_id, untimed.total, untimed.color) == (UUID(int=7), Decimal("12.50"), Color.RED)
    assert (untimed.items, untimed.note, untimed.took) == ({"a": 1}, None, timedelta(seconds=90))
    assert type(ad_hoc) is BaseEvent
    assert ad_hoc.event_type == "AdHocEvent"
    assert ad_hoc.model_extra == {"anything": "goes", "number": 3}
    assert {event.event_status for event in read(path)} == {"pending"}
    assert all(event.event_created_at.tzinfo is not None for event in read(path))


def test_there_are_golden_files_of_the_older_bubus_and_of_this() -> None:
    """1.5.6 wrote some with and some without forwards; those it forwarded have themselves as parent."""
    assert [path.stem for path in GOLDEN] == ["bubus-1.5.6", "bubus-1.5.6-forwarded", "bubus-2.0.0a1"]
    assert [record.seq for record in records(GOLDEN[0])] == [None] * 7
    assert all(record.head.event_parent_id for record in records(GOLDEN[1]))
    assert [record.seq for record in records(GOLDEN[2])] == list(range(1, 8))


def is_continued(before: Path, after: Path) -> bool:
    """Tell whether one file begins with all of the other."""
    return after.read_bytes().startswith(before.read_bytes())


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
async def test_D5_golden_files_are_replayed_and_gone_on_with(tmp_path: Path, path: Path) -> None:
    """Roots are dispatched again, and a bus appends to a copy of the file."""
    log = tmp_path / "events.jsonl"
    shutil.copy(path, log)
    bus = EventBus(wal_path=log)
    seen: list[tuple[str, str | None]] = []
    bus.on("*", lambda event: seen.append((event.event_type, event.event_parent_id)))
    assert (await bus.replay(log)).replayed == 5
    assert seen == [(name, None) for name in ["UserLoginEvent"] * 2 + ["OrderPlaced"] * 2 + ["AdHocEvent"]]
    await bus.dispatch(ChildEvent(text="new"))
    assert [event.event_type for event in read(log)][-2:] == ["AdHocEvent", "ChildEvent"]
    assert is_continued(path, log)
