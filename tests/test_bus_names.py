"""Names and options of a bus, and the list of all buses."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import uuid
import warnings
from typing import Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import BusNameError, OptionError, OptionTypeError


class Ping(BaseEvent[str]):
    pass


GOOD_NAMES = ["a", "not an identifier!", "0191e5ab-1234", "zażółć", "名前", "🚌", "a.b/c\\d", "class", "x" * 300]
BAD_NAMES: list[Any] = ["", "two\nlines", "nul\0", "esc\x1b[31m", "bidi\u202e", "c1\x9b", "\ud800", 7, b"name", True]


@pytest.mark.parametrize("name", GOOD_NAMES, ids=range(len(GOOD_NAMES)))
def test_R37_any_printable_name_is_a_name(name: str) -> None:
    """Identifiers, sentences, UUIDs and other scripts are all good names."""
    assert EventBus(name).name == name


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_R37_other_names_are_refused(name: Any) -> None:
    """An empty or unprintable name raises, says what is allowed, and leaves no bus."""
    before = list(EventBus.all_instances)
    with pytest.raises(BusNameError, match=r"(?i)printable") as caught:
        EventBus(name)

    assert isinstance(caught.value, ValueError)
    assert str(caught.value).isprintable()
    assert list(EventBus.all_instances) == before


def test_R37_names_are_checked_under_optimisation() -> None:
    """The check is no assert: ``python -O`` refuses the same names."""
    program = "from bubus import EventBus\ntry:\n    EventBus('')\nexcept ValueError:\n    print('refused')"
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=False)

    assert (done.stdout.strip(), done.stderr, done.returncode) == ("refused", "", 0)


def test_a_bus_without_a_name_gets_one_of_its_own() -> None:
    """Default names and ids are unique; the id is a uuid7."""
    buses = [EventBus() for _ in range(100)]

    assert len({bus.name for bus in buses}) == 100
    assert len({bus.id for bus in buses}) == 100
    assert {uuid.UUID(bus.id).version for bus in buses} == {7}


def test_R38_a_second_bus_of_a_name_is_renamed_with_a_warning() -> None:
    """The name gets a suffix, and the warning says both names."""
    first = EventBus("Twice")
    with pytest.warns(UserWarning, match="Twice") as caught:
        second = EventBus("Twice")

    assert first.name == "Twice"
    assert second.name != "Twice"
    assert second.name.startswith("Twice")
    assert second.name in str(caught[0].message)
    with pytest.warns(UserWarning, match="Twice"):
        third = EventBus("Twice")
    assert len({first.name, second.name, third.name}) == 3


def test_R38_the_warning_points_at_the_caller() -> None:
    """The warning names the line that made the second bus."""
    first = EventBus("Pointed at")
    with pytest.warns(UserWarning, match="Pointed at") as caught:
        EventBus("Pointed at")

    assert caught[0].filename == __file__
    assert first.name == "Pointed at"


def test_R38_a_dropped_bus_frees_its_name() -> None:
    """A bus that is gone does not count."""
    for _ in range(3):
        assert EventBus("Dropped").name == "Dropped"


def test_R38_a_dropped_bus_in_a_cycle_frees_its_name() -> None:
    """Before renaming, one garbage collection finds out whether the other bus is still alive."""
    gc.disable()
    try:
        bus = EventBus("In a cycle")
        bus.on("*", lambda event, bus=bus: None)
        del bus
        assert EventBus("In a cycle").name == "In a cycle"
    finally:
        gc.enable()


@pytest.mark.parametrize("clear", [False, True])
async def test_R38_a_stopped_bus_frees_its_name(*, clear: bool) -> None:
    """A stopped bus does not block its name, though it is alive."""
    name = f"Stopped {clear}"
    first = EventBus(name)
    await first.dispatch(Ping())
    await first.stop(clear=clear)

    assert EventBus(name).name == name


async def test_R38_buses_of_the_same_name_forward_to_each_other() -> None:
    """A stopped bus that works again beside one of its name: identity is the id, so neither blocks the other."""
    first = EventBus("Same")
    await first.stop()
    second = EventBus("Same")
    seen: list[str] = []
    first.on(Ping, lambda event: seen.append("first"))
    first.on("*", second.dispatch)
    second.on(Ping, lambda event: seen.append("second"))
    ping = await first.dispatch(Ping())

    assert sorted(seen) == ["first", "second"]
    assert ping.event_path == ["Same", "Same"]


async def test_all_instances_holds_live_buses_weakly() -> None:
    """Every bus is listed until it is dropped or ended for good."""
    first, second, third = EventBus(), EventBus(), EventBus()
    assert {first, second, third} <= set(EventBus.all_instances)

    third_id = third.id
    await second.stop(clear=True)
    del third
    gc.collect()
    assert first in EventBus.all_instances
    assert second not in EventBus.all_instances
    assert third_id not in {bus.id for bus in EventBus.all_instances}


OUT_OF_RANGE: list[dict[str, Any]] = [
    {"max_history_size": -1},
    {"max_pending": -1},
    {"max_pending": 0},
    {"cancel_grace": -0.1},
    {"cancel_grace": math.nan},
    {"cancel_grace": math.inf},
    {"max_depth": 0},
    {"max_depth": -5},
    {"slow_handler_seconds": -1},
    {"slow_handler_seconds": math.nan},
]
WRONG_TYPE: list[dict[str, Any]] = [
    {"max_history_size": "50"},
    {"max_history_size": 1.5},
    {"max_history_size": True},
    {"max_pending": "many"},
    {"max_pending": 2.0},
    {"cancel_grace": "0.2"},
    {"cancel_grace": None},
    {"max_depth": None},
    {"max_depth": "deep"},
    {"slow_handler_seconds": "15"},
    {"parallel_handlers": "yes"},
]


@pytest.mark.parametrize("options", OUT_OF_RANGE, ids=repr)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    """The error names the option and what it may be; no bus and no name is left behind."""
    _refuse(options, OptionError)


@pytest.mark.parametrize("options", WRONG_TYPE, ids=repr)
def test_options_of_the_wrong_type_are_refused(options: dict[str, Any]) -> None:
    """The same for a value of another type, bool for int included."""
    _refuse(options, OptionTypeError)


def _refuse(options: dict[str, Any], error: type[OptionError | OptionTypeError]) -> None:
    [option] = options
    before = list(EventBus.all_instances)
    with pytest.raises(error, match=option) as caught:
        EventBus("Refused", **options)
    assert isinstance(caught.value, ValueError | TypeError)
    assert list(EventBus.all_instances) == before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert EventBus("Refused").name == "Refused"


def test_positional_options_are_those_of_the_older_bubus() -> None:
    """Name, log, parallel handlers and history size may be given by position; the rest by name only."""
    bus = EventBus("Positional", None, True, 7)

    assert bus.name == "Positional"
    too_many: Any = EventBus
    with pytest.raises(TypeError):
        too_many("Too many", None, True, 7, 100)
