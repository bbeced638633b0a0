"""Results are validated to the T of BaseEvent[T] (design.md 3.7): good values in, bad ones are that handler's error."""

import dataclasses
import datetime as dt
import enum
import re
import types
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar, Union
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import ValidationError

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntFlag):
    LOW = 1
    HIGH = 2


class Person(TypedDict):
    name: str


class Pair(NamedTuple):
    left: int
    right: str


@attrs.define
class Point:
    x: int


@attrs.define
class Point3(Point):
    z: int = 0


@dataclasses.dataclass
class Box:
    size: int


class Packed(msgspec.Struct):
    size: int


class Model(pydantic.BaseModel):
    size: int


class Plain:
    pass


class PlainToo(Plain):
    pass


class Answer(BaseEvent[str]):
    text: str = ""


UserId = NewType("UserId", int)
Positive = Annotated[int, msgspec.Meta(gt=0)]

POINT3 = Point3(x=1, z=2)
PLAIN = PlainToo()
MODEL = Model(size=1)
ANSWER = Answer(text="a")
NOW = dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC)


def make(result_type: Any) -> type[BaseEvent[Any]]:
    """Return an event class whose handlers return *result_type*."""
    base: Any = BaseEvent
    return types.new_class("Asked", (base[result_type],))


async def result_of(result_type: Any, value: object) -> Any:
    """Return the record of a handler that returned *value*."""
    bus, kind = EventBus(), make(result_type)
    bus.on(kind, lambda event: value)
    event = await bus.dispatch(kind())
    (record,) = event.event_results.values()
    return record


GOOD: list[tuple[Any, object, object]] = [
    (str, "a", "a"),
    (int, 1, 1),
    (int, "42", 42),
    (int, 1.0, 1),
    (float, 1, 1.0),
    (float, "1.5", 1.5),
    (bool, True, True),
    (bool, "yes", True),
    (bytes, b"\x00", b"\x00"),
    (Any, PLAIN, PLAIN),
    (object, PLAIN, PLAIN),
    (list[int], [1, "2"], [1, 2]),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (set[int], {1}, {1}),
    (frozenset[str], frozenset({"a"}), frozenset({"a"})),
    (tuple[int, str], (1, "a"), (1, "a")),
    (tuple[int, ...], (1, 2), (1, 2)),
    (Sequence[int], [1], [1]),
    (Mapping[str, int], {"a": 1}, {"a": 1}),
    (dict[str, list[tuple[int, str]]], {"a": [(1, "b")]}, {"a": [(1, "b")]}),
    (int | None, 3, 3),
    (Optional[str], "a", "a"),  # noqa: UP045 - the old form must work too
    (Union[int, str], "a", "a"),  # noqa: UP007 - the old form must work too
    (int | list[str], ["a"], ["a"]),
    (Literal["a", "b"], "b", "b"),
    (Literal[1] | None, 1, 1),
    (Positive, 1, 1),
    (Annotated[str, "a comment"], "a", "a"),
    (UserId, 7, 7),
    (Person, {"name": "a"}, {"name": "a"}),
    (Pair, Pair(1, "a"), Pair(1, "a")),
    (Colour, Colour.RED, Colour.RED),
    (Colour, "red", Colour.RED),
    (Level, Level.LOW | Level.HIGH, Level.LOW | Level.HIGH),
    (dt.datetime, NOW, NOW),
    (dt.datetime, "2026-01-02T03:04:00Z", NOW),
    (dt.date, dt.date(2026, 1, 2), dt.date(2026, 1, 2)),
    (dt.timedelta, dt.timedelta(seconds=1), dt.timedelta(seconds=1)),
    (UUID, UUID(int=1), UUID(int=1)),
    (Decimal, "1.50", Decimal("1.50")),
    (Path, Path("a"), Path("a")),
    (Point, {"x": "1"}, Point(x=1)),
    (Box, Box(size=1), Box(size=1)),
    (Packed, Packed(size=1), Packed(size=1)),
    (list[Packed], [{"size": 1}], [Packed(size=1)]),
    (Model, {"size": 1}, Model(size=1)),
    (Plain | Point, PLAIN, PLAIN),
    (Point | Box | None, Box(size=1), Box(size=1)),
    (type[Plain], PlainToo, PlainToo),
    (Callable[[int], int], abs, abs),
]

BAD: list[tuple[Any, object]] = [
    (str, 1),
    (int, "forty-two"),
    (int, 1.5),
    (int, [1]),
    (float, "a"),
    (bool, "perhaps"),
    (list[int], ["a"]),
    (list[int], 1),
    (dict[str, int], {"a": "b"}),
    (dict[str, int], [1]),
    (set[int], {"a"}),
    (tuple[int, str], (1,)),
    (tuple[int, str], (1, "a", 2)),
    (dict[str, list[tuple[int, str]]], {"a": [("b", "c")]}),
    (int | None, "a"),
    (Optional[str], 1),  # noqa: UP045 - the old form must work too
    (int | list[str], {"a": 1}),
    (Literal["a", "b"], "c"),
    (Positive, 0),
    (UserId, "a"),
    (Person, {"nome": "a"}),
    (Colour, "green"),
    (dt.datetime, "soon"),
    (UUID, "not one"),
    (Decimal, "much"),
    (Point, {"y": 1}),
    (Point, Box(size=1)),
    (Box, {"size": "a"}),
    (Packed, {"size": "a"}),
    (Model, {"size": "a"}),
    (Plain, "text"),
    (Plain | Point, 3),
    (type[Plain], int),
    (Callable[[int], int], 3),
    (Answer, "text"),
]


def label(value: object) -> str:
    # Addresses and ids differ from one process to the next; pytest-xdist needs the same names in all.
    return re.sub(r" at 0x[0-9a-f]+|#[0-9a-f]{4}\b", "", str(value).replace("typing.", ""))[:60]


@pytest.mark.parametrize(("result_type", "value", "expected"), GOOD, ids=label)
async def test_R45_a_fitting_result_is_kept(result_type: Any, value: object, expected: object) -> None:
    """A value that fits T, or can be read as T, is the result, of the very type T asks for."""
    record = await result_of(result_type, value)
    assert (record.status, record.error) == ("completed", None)
    assert record.result == expected
    assert type(record.result) is type(expected)


@pytest.mark.parametrize(("result_type", "value"), BAD, ids=label)
async def test_R45_a_bad_result_is_that_handlers_error(result_type: Any, value: object) -> None:
    """A value that does not fit T makes this handler's result a ValidationError and nothing else."""
    record = await result_of(result_type, value)
    assert record.status == "error"
    assert isinstance(record.error, ValidationError)
    assert record.result is None


@pytest.mark.parametrize("result_type", [entry[0] for entry in GOOD], ids=label)
async def test_R45_none_is_always_accepted(result_type: Any) -> None:
    """A handler may always return nothing."""
    record = await result_of(result_type, None)
    assert (record.status, record.error, record.result) == ("completed", None, None)


@pytest.mark.parametrize(
    ("result_type", "value"),
    [(Point, POINT3), (Plain, PLAIN), (Model, MODEL), (Answer, ANSWER), (Plain | None, PLAIN), (Any, MODEL)],
    ids=label,
)
async def test_R45_instances_keep_their_identity(result_type: Any, value: object) -> None:
    """An instance of the declared class or a subclass is the result itself, not a copy."""
    record = await result_of(result_type, value)
    assert record.result is value


async def test_R45_one_bad_result_leaves_the_others() -> None:
    """The other handlers of the event, and the bus, are not touched by a bad result."""
    bus, kind = EventBus(), make(list[int])
    for value in ([1], "bad", [2]):
        bus.on(kind, lambda event, value=value: value)
    first, bad, last = (await bus.dispatch(kind())).event_results.values()
    assert (first.result, last.result) == ([1], [2])
    assert isinstance(bad.error, ValidationError)
    event = await bus.dispatch(kind())
    assert event.event_status == "completed"
    with pytest.raises(ValidationError):
        await event.event_result()


async def test_R45_the_error_tells_what_was_returned() -> None:
    """The ValidationError shows the input, in the shape pydantic's errors have."""
    record = await result_of(int, "forty-two")
    (fault,) = record.error.errors()
    assert fault["input"] == "forty-two"
    assert set(fault) >= {"type", "loc", "msg", "input"}


@pytest.mark.parametrize("value", ["text", 1, [PLAIN], PLAIN])
async def test_R46_an_event_of_none_keeps_what_is_returned(value: object) -> None:
    """`BaseEvent[None]` validates nothing, and a value returned anyway is kept."""
    record = await result_of(None, value)
    assert (record.status, record.result) == ("completed", value)


async def test_R46_an_event_of_none_never_misses_a_result() -> None:
    """`event_result()` of a `BaseEvent[None]` returns None."""
    bus, kind = EventBus(), make(None)
    bus.on(kind, lambda event: None)
    assert await bus.dispatch(kind()).event_result() is None


class Bare(BaseEvent):
    pass


@pytest.mark.parametrize("value", ["text", 1, [PLAIN], PLAIN])
async def test_R45_a_bare_event_validates_nothing(value: object) -> None:
    """Without a T any value is kept as it is."""
    bus = EventBus()
    bus.on(Bare, lambda event: value)
    (record,) = (await bus.dispatch(Bare())).event_results.values()
    assert record.result is value


class Page(BaseEvent[list[T]], Generic[T]):
    pass


class IntPage(Page[int]):
    pass


@pytest.mark.parametrize("kind", [Page[int], IntPage])
async def test_R45_a_generic_event_is_checked_by_its_argument(kind: Callable[[], Page[int]]) -> None:
    """`Page[int]()` and a subclass of `Page[int]` check results against list[int]."""
    bus = EventBus()
    pages: Any = Page
    bus.on(pages, lambda event: ["1", 2])
    bus.on(pages, lambda event: ["a"])
    good, bad = (await bus.dispatch(kind())).event_results.values()
    assert good.result == [1, 2]
    assert isinstance(bad.error, ValidationError)


async def test_R45_an_unbound_generic_event_takes_any_item() -> None:
    """`Page()` without an argument checks for a list only."""
    bus = EventBus()
    bus.on("Page", lambda event: ["a", 1])
    bus.on("Page", lambda event: 5)
    event: BaseEvent[Any] = Page[Any]()
    good, bad = (await bus.dispatch(event)).event_results.values()
    assert good.result == ["a", 1]
    assert isinstance(bad.error, ValidationError)


class Parent(BaseEvent[int]):
    pass


class Heir(Parent):
    pass


class Overridden(BaseEvent[str]):
    event_result_type = int


async def test_R45_subclasses_inherit_the_result_type() -> None:
    """A subclass checks against its parent's T."""
    bus = EventBus()
    bus.on("Heir", lambda event: "42")
    assert await bus.dispatch(Heir()).event_result() == 42


async def test_R45_event_result_type_overrides_t() -> None:
    """A class that sets `event_result_type` is checked against that."""
    bus = EventBus()
    bus.on(Overridden, lambda event: "42")
    (record,) = (await bus.dispatch(Overridden())).event_results.values()
    assert record.result == 42


async def test_R45_awaited_results_are_checked_too() -> None:
    """What a coroutine returns is validated like the value of a plain function, in parallel mode as well."""
    bus, kind = EventBus(parallel_handlers=True), make(int)

    async def good(event: BaseEvent[Any]) -> str:
        return "42"

    async def bad(event: BaseEvent[Any]) -> str:
        return "x"

    bus.on(kind, good)
    bus.on(kind, bad)
    first, second = (await bus.dispatch(kind())).event_results.values()
    assert first.result == 42
    assert isinstance(second.error, ValidationError)


async def test_R45_a_value_that_fails_while_it_is_checked() -> None:
    """An object whose own methods raise during validation is an error of that handler, not of the bus."""

    class Hostile(dict[str, int]):
        def items(self) -> Any:
            raise ArithmeticError

        __iter__ = keys = items  # type: ignore[assignment] # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride] - hostile on purpose

    bus, kind = EventBus(), make(dict[str, int])
    bus.on(kind, lambda event: Hostile(a=1))
    bus.on(kind, lambda event: {"a": 1})
    event = await bus.dispatch(kind())
    assert [record.status in {"completed", "error"} for record in event.event_results.values()] == [True, True]
    assert list(event.event_results.values())[1].result == {"a": 1}


async def test_R45_a_cyclic_value_is_that_handlers_error() -> None:
    """A list that contains itself is refused without hanging or ending the bus."""
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    record = await result_of(list[list[int]], cyclic)
    assert record.status == "error"
    assert isinstance(record.error, ValidationError)
