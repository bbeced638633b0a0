"""Event classes as existing programs write them, in our words and in pydantic's."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Literal

import pydantic
import pytest

import bubus
from bubus import BaseEvent, EventBus, ValidationError
from bubus.models import PythonIdentifierStr, PythonIdStr, T_EventResultType, UUIDStr

FIELDS = pytest.mark.parametrize("make_field", [bubus.Field, pydantic.Field], ids=["ours", "pydantic"])


@dataclass(slots=True)
class Node:
    """As large programs have them by the thousand."""

    number: int
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    parent: Node | None = None


class Later(BaseEvent[str]):
    """Its fields name classes that come below."""

    one: Address | None = None
    many: list[Address] = bubus.Field(default_factory=list)


class Address(pydantic.BaseModel):
    street: str


class Selected(BaseEvent[T_EventResultType], Generic[T_EventResultType]):
    """What is done to one node; subclasses say what comes of it."""

    node: Node


class Clicked(Selected[dict[str, Any] | None]):
    button: Literal["left", "right"] = "left"


Later.model_rebuild()


# -- fields ----------------------------------------------------------------------------------------------------------


def test_names_of_later_classes_are_found_by_model_rebuild() -> None:
    """Values are checked by them, and dumped by them."""
    event = Later.model_validate({"one": {"street": "High Street"}, "many": [{"street": "Low Street"}]})
    assert isinstance(event.one, Address)
    assert event.model_dump()["many"] == [{"street": "Low Street"}]
    assert Later.model_validate_json(event.model_dump_json()) == event
    with pytest.raises(ValidationError, match="street"):
        Later.model_validate({"one": {}})


def rebuilt_one_further_up(cls: type[BaseEvent[Any]]) -> bool | None:
    """Rebuild a class with the names of who calls this."""
    return cls.model_rebuild(_parent_namespace_depth=3)


def test_names_may_be_handed_to_model_rebuild() -> None:
    """As a dict, or those of the caller's caller; an argument that does not exist is refused."""
    made: dict[str, Any] = {}
    program = "from bubus import BaseEvent\nclass {}(BaseEvent[str]):\n    x: 'Unknown'\n"
    for name in ("One", "Two"):
        exec(program.format(name), made)
    assert made["One"].model_rebuild(raise_errors=False, _types_namespace={}) is False
    assert made["One"].model_rebuild(_types_namespace={"Unknown": int}) is True
    Unknown = float
    assert rebuilt_one_further_up(made["Two"]) is True
    assert (made["One"](x="3").x, made["Two"](x="3").x, Unknown("3")) == (3, 3.0, 3.0)
    with pytest.raises(TypeError, match="namespace"):
        made["One"].model_rebuild(namespace={})


def test_a_name_that_is_nowhere_is_told_when_it_is_rebuilt(tmp_path: Path) -> None:
    """The error names the class and the name; once it exists, rebuilding works."""
    (tmp_path / "program.py").write_text(
        "from bubus import BaseEvent\n"
        "class Event(BaseEvent[str]):\n"
        "    what: 'Missing'\n"
        "try:\n"
        "    Event.model_rebuild()\n"
        "except TypeError as error:\n"
        "    print(error)\n"
        "class Missing(BaseEvent[str]):\n"
        "    pass\n"
        "Event.model_rebuild()\n"
        "print(Event(what=Missing()).what)\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"],
        env={**os.environ, "PYTHONPATH": str(Path(bubus.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert "Event" in first
    assert "Missing" in first
    assert "Missing#" in second


def test_a_slotted_dataclass_is_a_field_and_keeps_its_identity() -> None:
    """It passes as it is, comes from a dict as well, and goes through JSON."""
    parent = Node(1)
    node = Node(2, {"href": "/"}, parent)
    event = Clicked(node=node)
    assert event.node is node
    assert Clicked.model_validate({"node": {"number": 3}}).node == Node(3)
    again = Clicked.model_validate_json(event.model_dump_json())
    assert (again.node, type(again.node.parent)) == (node, Node)
    with pytest.raises(ValidationError, match="number"):
        Clicked.model_validate({"node": {"attributes": {}}})


def test_the_strings_of_the_older_package_are_checked_in_events() -> None:
    """`UUIDStr` and its relatives are types of fields, without pydantic being needed."""

    class Named(BaseEvent[str]):
        name: PythonIdentifierStr = "good"
        id: UUIDStr | None = None
        handler: PythonIdStr | None = None

    event = Named(name="Login", id="06b05d58-2a26-72f7-8000-087c83accc4d", handler="12.34")
    assert Named.model_validate_json(event.model_dump_json()) == event
    with pytest.raises(ValidationError) as caught:
        Named(name="a b", id="none", handler="x")
    assert [(error["loc"], error["type"]) for error in caught.value.errors()] == [
        (("name",), "value_error"),
        (("id",), "value_error"),
        (("handler",), "value_error"),
    ]


# -- time limits -----------------------------------------------------------------------------------------------------


@FIELDS
def test_the_time_limit_of_a_class_may_come_from_a_factory(make_field: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called for each event, so that the environment decides at that moment; subclasses inherit it."""

    class Slow(BaseEvent[str]):
        event_timeout: float | None = make_field(default_factory=lambda: float(os.environ.get("LIMIT", "15")))

    class Slower(Slow):
        pass

    assert (Slow().event_timeout, Slower().event_timeout) == (15.0, 15.0)
    monkeypatch.setenv("LIMIT", "2.5")
    assert (Slow().event_timeout, Slower().event_timeout) == (2.5, 2.5)
    assert Slow(event_timeout=1).event_timeout == 1.0
    with pytest.raises(ValidationError, match="event_timeout"):
        Slow(event_timeout=-1)


@FIELDS
def test_the_time_limit_of_a_class_may_be_a_plain_default(make_field: Any) -> None:
    """With or without a `Field` around it, and with or without an annotation of its own."""

    class Plain(BaseEvent[str]):
        event_timeout: float | None = 45.0

    class Described(BaseEvent[str]):
        event_timeout: float | None = make_field(default=30.0, description="seconds", ge=0)

    class Unlimited(Plain):
        event_timeout: float | None = None

    assert [cls().event_timeout for cls in (Plain, Described, Unlimited)] == [45.0, 30.0, None]


@pytest.mark.virtual_time
async def test_the_time_limit_from_a_factory_counts() -> None:
    """The handler is cancelled after so many seconds."""

    class Slow(BaseEvent[str]):
        event_timeout: float | None = pydantic.Field(default_factory=lambda: 0.5)

    async def forever(_: Slow) -> str:
        await asyncio.Event().wait()
        return "never"

    bus = EventBus("limits")
    bus.on(Slow, forever)
    with pytest.raises(TimeoutError, match=r"0\.5 s"):
        await bus.dispatch(Slow()).event_result()


# -- results ---------------------------------------------------------------------------------------------------------


async def test_a_generic_class_is_used_with_and_without_its_argument() -> None:
    """`Selected[dict]` checks results by dict, a subclass by what it says; handlers of the class get both."""
    bus = EventBus("results")
    node = Node(1)
    bus.on(Selected, lambda event: {"number": event.node.number})
    bare: Any = Selected  # as programs write it: dict without its arguments
    plain, clicked = bare[dict](node=node), Clicked(node=node)
    assert await bus.dispatch(plain).event_result() == {"number": 1}
    assert await bus.dispatch(clicked).event_result() == {"number": 1}
    assert (plain.event_type, clicked.event_type) == ("Selected", "Clicked")
    wrong = Selected[int](node=node)
    with pytest.raises(ValidationError, match="valid integer"):
        await bus.dispatch(wrong).event_result()


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Clicked(node=Node(1)), "dict[str, typing.Any] | None"),
        (Later(), "<class 'str'>"),
        (BaseEvent(event_type="AdHoc"), None),
    ],
    ids=["generic", "class", "none"],
)
def test_a_dump_tells_the_type_of_results_as_text(event: BaseEvent[Any], text: str | None) -> None:
    """None where it was not said."""
    assert event.model_dump()["event_result_type"] == text


def test_the_type_of_results_may_be_a_class_attribute() -> None:
    """As in programs that do not write it in brackets."""

    class Old(BaseEvent[Any]):
        event_result_type: Any = dict

    assert Old.event_result_type is dict
    assert Old().model_dump()["event_result_type"] == "<class 'dict'>"


async def test_a_dump_has_what_it_had() -> None:
    """The framework's fields in their order, the event's own, and no results."""
    bus = EventBus("dumped")
    event = await bus.dispatch(Later())
    dump = event.model_dump(mode="json")
    assert list(dump) == [
        "event_type",
        "event_schema",
        *(name for name in dump if name not in {"event_type", "event_schema", "one", "many"}),
        "one",
        "many",
    ]
    assert set(dump) == {
        *("event_type", "event_schema", "event_id", "event_parent_id", "event_path", "event_timeout"),
        *("event_result_type", "event_created_at", "event_processed_at", "one", "many"),
    }
    assert (dump["event_path"], dump["event_timeout"], dump["event_parent_id"]) == (["dumped"], 60.0, None)
    processed = datetime.fromisoformat(dump["event_processed_at"])
    assert processed == event.event_completed_at
    again = Later.model_validate(dump)
    assert (again, again.event_status) == (event, "pending")
