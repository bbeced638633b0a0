"""What `inspect.signature` tells of the constructor of an event class."""

from __future__ import annotations

import inspect
from inspect import Parameter
from typing import Any, Generic, TypeVar

import pytest

from bubus import AliasChoices, BaseEvent, Field

T = TypeVar("T")


class Order(BaseEvent[None]):
    amount: int
    note: str = ""
    items: list[str] = Field(default_factory=list)
    origin: str = Field(default="here", alias="from_")
    place: str = Field(validation_alias=AliasChoices("city", "town"))


class Page(BaseEvent[None], Generic[T]):
    item: T


def parameters(cls: type[BaseEvent[Any]]) -> dict[str, Parameter]:
    """Return the parameters of the constructor of *cls*."""
    return dict(inspect.signature(cls).parameters)


def test_the_frameworks_arguments_come_first() -> None:
    """What can be given by name is told in the order of the fields, and that more can be given."""
    names = list(parameters(Order))

    assert names[:3] == ["event_type", "event_schema", "event_id"]
    assert names[-6:] == ["amount", "note", "items", "from_", "city", "_extras"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("amount", "amount: int"),
        ("note", "note: str = ''"),
        ("items", "items: list[str] = <factory>"),
        ("from_", "from_: str = 'here'"),
        ("city", "city: str"),
        ("event_type", "event_type: str = 'Order'"),
        ("event_id", "event_id: str = <factory>"),
        ("event_timeout", "event_timeout: float | None = 60.0"),
    ],
)
def test_types_and_defaults_are_told(name: str, told: str) -> None:
    """A field that must be given has no default; one that is made for each event has a mark that says so."""
    assert str(parameters(Order)[name]) == told


def test_a_default_can_be_used_as_it_is_told() -> None:
    """Frameworks that read signatures take the value itself."""
    told = parameters(Order)

    assert told["note"].default == ""
    assert told["amount"].default is Parameter.empty
    assert inspect.signature(Order).return_annotation is None


def test_a_filled_in_generic_tells_its_types() -> None:
    """The signature of ``Page[int]`` has int where the class has T."""
    assert parameters(Page[int])["item"].annotation is int
