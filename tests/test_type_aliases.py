"""Named types, as the ``type`` statement of Python 3.12 makes them, as fields and as results."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from bubus import EventBus
from bubus.errors import ValidationError

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is of Python 3.12")

SOURCE = """
type Number = int | float
type Many[T] = list[T]
type Later = tuple[Unknown, int]
type Json = dict[str, Json] | list[Json] | int | None

class Order(BaseEvent[Number]):
    amount: Number
    items: Many[int] = Field(default_factory=list)
    data: Json = None
    later: Later | None = None
"""


@pytest.fixture(name="order")
def order_class() -> Any:
    """Return a class whose fields have named types."""
    names: dict[str, Any] = {"__name__": __name__}
    source = "from bubus import BaseEvent, Field" + SOURCE + "\nUnknown = str"
    exec(compile(source, "aliases", "exec", dont_inherit=True), names)
    return names["Order"]


def test_values_are_checked_by_what_the_name_stands_for(order: Any) -> None:
    """Also by a generic one, one that contains itself, and one whose names exist later."""
    event = order(amount=1, items=["2"], data={"a": [1, {"b": "3"}]}, later=["x", "1"])

    assert (event.items, event.data, event.later) == ([2], {"a": [1, {"b": 3}]}, ("x", 1))
    with pytest.raises(ValidationError, match="amount"):
        order(amount=[])
    with pytest.raises(ValidationError, match="data"):
        order(amount=1, data={"a": ["x"]})


def test_events_with_named_types_are_written_and_read(order: Any) -> None:
    """JSON and the schema know what the name stands for."""
    event = order(amount=1, items=[2], data={"a": [None]})

    assert order.model_validate_json(event.model_dump_json()).data == {"a": [None]}
    assert order.model_json_schema()["properties"]["items"]["$ref"].endswith("Many")


async def test_results_are_checked_by_a_named_type(order: Any) -> None:
    """``BaseEvent[Number]`` takes the value of a handler that is one of them, and no other."""
    bus = EventBus()
    bus.on(order, lambda event: event.data)

    assert await bus.dispatch(order(amount=1, data=5)).event_result() == 5
    with pytest.raises(ValidationError):
        await bus.dispatch(order(amount=1, data=[])).event_result()
