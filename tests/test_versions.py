"""Versions of event classes, and what brings older events up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bubus import BaseEvent, EventBus
from bubus._codec import decode, encode
from bubus._versions import version_key
from bubus.errors import DefinitionError, InvalidEvent, LogDamagedError, NewerVersionError, OptionError
from bubus.wal import read

if TYPE_CHECKING:
    from pathlib import Path


class OrderShipped(BaseEvent[None], version="3"):
    customer_id: str
    total_cents: int


@OrderShipped.upcast("2")
def total_in_cents(old: dict[str, Any]) -> dict[str, Any]:
    old["total_cents"] = round(old.pop("total") * 100)
    return old


@OrderShipped.upcast("1")
def rename_customer(old: dict[str, Any]) -> dict[str, Any]:
    old["customer_id"] = old.pop("customer")
    return old


class Unversioned(BaseEvent[None]):
    x: int


def line(cls: type[BaseEvent[Any]], version: str, **fields: object) -> bytes:
    """Return an event as a program with that version of its class wrote it."""
    name = cls.__name__
    return msgspec.json.encode({"event_type": name, "event_schema": f"shop.{name}@{version}", **fields})


@pytest.mark.parametrize(
    "old",
    [
        line(OrderShipped, "1", customer="Ada", total=1.5),
        line(OrderShipped, "0.9", customer="Ada", total=1.5),
        line(OrderShipped, "1.0", customer="Ada", total=1.5),
        line(OrderShipped, "2", customer_id="Ada", total=1.5),
        line(OrderShipped, "1.5", customer_id="Ada", total=1.5),
        line(OrderShipped, "3", customer_id="Ada", total_cents=150),
    ],
)
def test_older_versions_are_brought_up_to_date_step_by_step(old: bytes) -> None:
    """Each upcast takes what is not newer than it says, in the order of versions, whatever the order of definition."""
    event = decode(old, OrderShipped)
    assert (event.customer_id, event.total_cents) == ("Ada", 150)
    assert event.event_schema.endswith("OrderShipped@3")
    assert event.model_extra == {}


def test_a_newer_version_is_an_error(tmp_path: Path) -> None:
    """Nobody can know what its fields mean; on request it is read as a BaseEvent, whole."""
    newer = line(OrderShipped, "3.1", buyer="Ada")
    with pytest.raises(NewerVersionError, match=r"version '3.1' is newer than '3'"):
        decode(newer, OrderShipped)
    path = tmp_path / "events.jsonl"
    path.write_bytes(newer + b"\n")
    with pytest.raises(LogDamagedError, match="newer") as caught:
        list(read(path))
    assert caught.value.line == 1
    (event,) = read(path, newer="base")
    assert type(event) is BaseEvent
    assert event.model_extra == {"buyer": "Ada"}
    with pytest.raises(OptionError, match="newer"):
        read(path, newer="x")  # pyright: ignore[reportArgumentType] - what the test is about


def test_classes_without_a_version_take_what_fits() -> None:
    """Their schema holds the version of the whole library, which says nothing of the class."""
    assert decode(line(Unversioned, "99", x=1), Unversioned).x == 1


def test_a_version_is_not_inherited() -> None:
    """A subclass has other fields, and so versions of its own."""

    class Special(OrderShipped):
        reason: str

    fields = {"customer_id": "Ada", "total_cents": 1, "reason": "gift"}
    assert decode(line(Special, "99", **fields), Special).reason == "gift"


def drop_missing(old: dict[str, Any]) -> dict[str, Any]:
    del old["missing"]
    return old


def return_nothing(old: dict[str, Any]) -> None:
    del old["x"]


@pytest.mark.parametrize("failing", [drop_missing, return_nothing])
def test_a_failing_upcast_is_an_invalid_event(failing: Any) -> None:
    """What it raises, or returns, is told with the version."""

    class Failing(BaseEvent[None], version="2"):
        x: int

    Failing.upcast("1")(failing)
    with pytest.raises(InvalidEvent, match="upcast from version '1'"):
        decode(line(Failing, "1", x=1), Failing)


def test_an_upcast_that_makes_no_sense_is_refused() -> None:
    """It needs a class with a version, an older version of its own, and no other upcast for that."""
    with pytest.raises(DefinitionError, match="has no version"):
        Unversioned.upcast("1")(dict)
    for version in ("3", "3.0", "4"):
        with pytest.raises(DefinitionError, match="older than '3'"):
            OrderShipped.upcast(version)(dict)
    with pytest.raises(DefinitionError, match="already"):
        OrderShipped.upcast("1.0")(dict)


async def asynchronous(old: dict[str, Any]) -> dict[str, Any]:
    return old


def of_none() -> dict[str, Any]:
    return {}


def of_two(old: dict[str, Any], version: str) -> dict[str, Any]:
    return {**old, "version": version}


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (3, r"Checked\.upcast\('1'\) decorates a function that takes and returns a dict, not 3"),
        (of_none, r"of_none\(.*cannot be called with one dict"),
        (of_two, r"of_two\(.*cannot be called with one dict \(missing a required argument: 'version'\)"),
        (asynchronous, "asynchronous is a coroutine function, which nobody awaits"),
    ],
)
def test_an_upcast_that_cannot_be_called_is_refused_when_it_is_given(function: Any, told: str) -> None:
    """Not in the middle of reading a log, and the version can be given a better one."""

    class Checked(BaseEvent[None], version="2"): ...

    with pytest.raises(DefinitionError, match=told):
        Checked.upcast("1")(function)
    assert Checked.upcast("1")(rename_customer) is rename_customer


def test_an_upcast_without_a_version_is_refused_when_it_is_defined() -> None:
    """A bare ``@E.upcast`` would never be called."""
    bare: Any = OrderShipped.upcast
    with pytest.raises(DefinitionError, match="name a version older than '3'"):

        @bare
        def forgotten(old: dict[str, Any]) -> dict[str, Any]:
            return old


def test_versions_compare_number_by_number() -> None:
    """As people write them."""
    versions = ["10", "2", "1.10", "1.2", "1", "0.9"]
    assert sorted(versions, key=version_key) == versions[::-1]
    assert version_key("1.0.0") == version_key("1")


async def test_old_lines_of_a_log_are_read_as_today(tmp_path: Path) -> None:
    """A file with lines of all versions yields one class."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(line(OrderShipped, "1", customer="Ada", total=1) + b"\n")
    bus = EventBus(wal_path=path)
    await bus.dispatch(OrderShipped(customer_id="Bob", total_cents=7))
    assert [(event.customer_id, event.total_cents) for event in read(path, [OrderShipped])] == [
        ("Ada", 100),
        ("Bob", 7),
    ]
    assert encode(OrderShipped(customer_id="x", total_cents=1)).count(b"OrderShipped@3") == 1
