"""The import paths of the older package, and the half-private names that programs reach for."""

from __future__ import annotations

import importlib
import logging
from datetime import UTC, datetime
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Any

import pydantic
import pytest

import bubus
from bubus import BaseEvent, EventBus, helpers, logging as bubus_logging, models, service
from bubus.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = {
    "bubus": "EventBus BaseEvent EventResult EventHandler UUIDStr PythonIdStr PythonIdentifierStr",
    "bubus.models": "BaseEvent EventResult EventHandler T_EventResultType UUIDStr PythonIdStr PythonIdentifierStr "
    "get_handler_id get_handler_name LIBRARY_VERSION _extract_basemodel_generic_arg EventHandlerFunc "
    "EventHandlerMethod EventHandlerClassMethod AsyncEventHandlerFunc AsyncEventHandlerMethod "
    "EventResultFilter logger uuid7str AsyncEventHandlerClassMethod validate_event_name validate_python_id_str "
    "validate_uuid_str",
    "bubus.service": "EventBus EventPatternType logger BaseEvent EventHandler UUIDStr PythonIdStr PythonIdentifierStr "
    "T_EventResultType get_handler_id get_handler_name uuid7str",
    "bubus.helpers": "logger retry time_execution GLOBAL_RETRY_SEMAPHORES MULTIPROCESS_SEMAPHORE_DIR PSUTIL_AVAILABLE",
    "bubus.logging": "log_eventbus_tree log_event_tree log_eventresult_tree log_timeout_tree format_timestamp "
    "format_result_value",
}


class Ask(BaseEvent[str]):
    pass


class Child(BaseEvent[int]):
    pass


@pytest.mark.parametrize("path", NAMES)
def test_every_name_is_where_it_was(path: str) -> None:
    """Programs import it from the module they know."""
    module = importlib.import_module(path)
    assert [name for name in NAMES[path].split() if not hasattr(module, name)] == []


def test_the_names_are_the_same_objects_everywhere() -> None:
    """What is patched or compared in one place is so in all."""
    assert models.BaseEvent is bubus.BaseEvent
    assert models.EventResult is bubus.EventResult
    assert service.EventBus is bubus.EventBus
    assert helpers.retry is bubus.retry
    assert service.logger is logging.getLogger("bubus")
    assert distribution("bubus").name == "bubus"


def test_helpers_hold_real_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory can be assigned; the semaphores of retried functions are in the dict."""
    monkeypatch.setattr("bubus._slots._home.assigned", None)  # so that the assignment ends with the test
    helpers.MULTIPROCESS_SEMAPHORE_DIR = tmp_path
    assert tmp_path == helpers.MULTIPROCESS_SEMAPHORE_DIR
    assert isinstance(helpers.PSUTIL_AVAILABLE, bool)


async def test_the_semaphore_of_a_retried_function_is_in_the_dict() -> None:
    """Programs look there for the slots that are taken."""
    seen: list[str] = []

    @helpers.retry(retries=0, semaphore_limit=1, semaphore_name="older-imports")
    async def limited() -> None:
        seen.extend(key for key in helpers.GLOBAL_RETRY_SEMAPHORES if "older-imports" in str(key))

    await limited()
    assert len(seen) == 1


def extract(cls: type) -> Any:
    return models._extract_basemodel_generic_arg(cls)  # pyright: ignore[reportPrivateUsage] - existing programs call it


def test_the_generic_argument_of_a_class_is_found() -> None:
    """Also that of a base; None where nothing was said."""

    class Listing(BaseEvent[list[int]]):
        pass

    class Sub(Listing):
        pass

    assert [extract(cls) for cls in (Ask, Listing, Sub, BaseEvent)] == [str, list[int], list[int], None]


# -- strings ---------------------------------------------------------------------------------------------------------

UUID = "06b05d58-2a26-72f7-8000-087c83accc4d"
STRINGS = [
    (models.UUIDStr, models.validate_uuid_str, UUID, ["no", "123", ""]),
    (models.PythonIdStr, models.validate_python_id_str, "12.34", ["abc", "1.2.3", "", "1."]),
    (models.PythonIdentifierStr, models.validate_event_name, "UserLogin", ["a b", "_private", "1a", ""]),
]


@pytest.mark.parametrize(("kind", "check", "good", "bad"), STRINGS, ids=["uuid", "id", "identifier"])
def test_strings_are_checked_by_function_and_by_pydantic(
    kind: Any, check: Callable[[str], str], good: str, bad: list[str]
) -> None:
    """The aliases are types of fields; what does not fit is a ValueError that says what would."""
    adapter = pydantic.TypeAdapter[str](kind)
    assert check(good) == good == adapter.validate_python(good)
    for text in bad:
        with pytest.raises(OptionError, match="must be"):
            check(text)
        with pytest.raises(pydantic.ValidationError, match="must be"):
            adapter.validate_python(text)


# -- trees -----------------------------------------------------------------------------------------------------------


async def family() -> tuple[EventBus, BaseEvent[Any]]:
    bus = EventBus("family")

    async def ask(_: Ask) -> str:
        await bus.dispatch(Child())
        return "asked"

    bus.on(Ask, ask)
    bus.on(Child, lambda _: 7)
    return bus, await bus.dispatch(Ask())


async def test_trees_are_returned_as_text(caplog: pytest.LogCaptureFixture) -> None:
    """The bus' tree is logged too; all hold the events, their results and their children."""
    bus, event = await family()
    with caplog.at_level(logging.WARNING, "bubus"):
        text = bubus_logging.log_eventbus_tree(bus)
    assert text == bus.log_tree()
    assert text in caplog.text
    assert bubus_logging.log_event_tree(event) == event.event_log_tree()
    result = next(iter(event.event_results.values()))
    first, *below = bubus_logging.log_eventresult_tree(result).split("\n")
    assert first.startswith("└── ✅ family.ask (")
    assert first.endswith("→ 'asked'")
    assert "Child#" in below[0]


async def test_trees_may_be_part_of_another() -> None:
    """The indent begins every line, and a branch that is not the last goes on."""
    _, event = await family()
    lines = bubus_logging.log_event_tree(event, indent="  ", is_last=False).split("\n")
    assert lines[0].startswith("  ├── ✅ Ask#")
    assert all(line.startswith("  │   ") for line in lines[1:])
    assert len(lines) == 4


async def test_the_tree_of_a_timeout_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It names the handler and its limit."""
    _, event = await family()
    result = next(iter(event.event_results.values()))
    with caplog.at_level(logging.WARNING, "bubus"):
        bubus_logging.log_timeout_tree(event, result)
    assert "handler ask exceeded 60.0 s" in caplog.text
    assert event.event_log_tree() in caplog.text


def test_values_and_times_are_formatted_for_a_line() -> None:
    """Containers by their size, events by their str, text in quotes and escaped."""
    format_value = bubus_logging.format_result_value
    event = Ask()
    assert format_value({"a": 1}) == "dict(1 items)"
    assert format_value([1, 2, 3]) == "list(3 items)"
    assert format_value("a\x1b") == "'a\\x1b'"
    assert (format_value(None), format_value(5)) == ("None", "5")
    assert format_value(event) == f"Event({event})"
    moment = datetime(2026, 11, 24, 10, 30, 5, 123456, tzinfo=UTC)
    assert (bubus_logging.format_timestamp(moment), bubus_logging.format_timestamp(None)) == ("10:30:05.123", "N/A")
