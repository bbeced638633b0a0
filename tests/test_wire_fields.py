"""What pydantic's types hold comes back wherever it stands: in events within events, in records, and in results."""

from __future__ import annotations

import dataclasses
import io
import ipaddress
import re
import types
from fractions import Fraction
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Generic, NamedTuple, NewType, TypeVar
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest
import typing_extensions as te
from pydantic import Base64Str, BaseModel, ImportString, IPvAnyAddress, Json

from bubus import BaseEvent, EventBus, WriteAheadLog
from bubus._codec import decode, encode, encode_result
from bubus.bridges._wire import decode_reply, encode_reply, results_of
from bubus.errors import EncodeError
from bubus.wal import read
from tests.test_pydantic_types import GOOD, event_class, name

if TYPE_CHECKING:
    from pathlib import Path

_T = TypeVar("_T")
UTC_FILE = b"TZif" + bytes(32) + b"\0\0\0\x01\0\0\0\x04" + bytes(6) + b"UTC\0"


def holder(kind: Any) -> Any:
    """Return an event class whose fields hold events of a class in many ways."""
    of: Any = {"list": list, "dict": dict, "tuple": tuple, "noted": Annotated}
    fields = {
        "one": kind,
        "many": of["list"][kind],
        "named": of["dict"][str, kind],
        "maybe": kind | None,
        "pair": of["tuple"][int, kind],
        "either": int | kind,
        "noted": of["noted"][kind, "a note"],
    }
    return types.new_class("Outer", (BaseEvent,), exec_body=lambda body: body.update(__annotations__=fields))


def held(cls: Any, make: Any) -> Any:
    """Return an event of such a class; *make* makes the inner ones."""
    return cls(
        one=make(),
        many=[make(), make()],
        named={"a": make()},
        maybe=make(),
        pair=(1, make()),
        either=make(),
        noted=make(),
    )


KINDS = [row for row in GOOD if not any(word in repr(row[0]) for word in ("Crate", "Bolt"))]
"""Types that pydantic's own models can have."""


@pytest.mark.parametrize(("kind", "value", "expected"), KINDS, ids=map(name, [kind for kind, _, _ in KINDS]))
class TestEventsInEvents:
    """An inner event keeps what its fields hold."""

    def test_they_come_back_from_the_log(self, kind: Any, value: Any, expected: Any) -> None:
        """However the outer event holds them."""
        inner: Any = event_class(kind)
        cls = holder(inner)
        event = held(cls, lambda: inner(it=value))
        back = decode(encode(event), cls)

        assert back == event
        assert back.many[1].it == expected

    def test_they_come_back_from_json_as_models_do(self, kind: Any, value: Any, expected: Any) -> None:
        """`model_validate_json` reads what `model_dump_json` wrote, wherever pydantic itself can."""
        inner: Any = event_class(kind)
        model: Any = pydantic.create_model("Model", it=(kind, ...))
        models = holding(model)
        theirs = reread(models, models(one=model(it=value)))
        cls = holder(inner)
        ours = reread(cls, held(cls, lambda: inner(it=value)))

        if theirs is None:  # such as bytes that are no text, or aliases
            assert ours is None
        else:
            assert theirs.one.it == expected
            assert [one.it for one in (ours.one, *ours.many, ours.named["a"], ours.pair[1], ours.noted)] == [
                expected
            ] * 6


def holding(kind: Any) -> Any:
    """Return a model that holds a model."""
    return pydantic.create_model("Models", one=(kind, ...))


def reread(cls: Any, made: Any) -> Any:
    """Return what comes back of an event or a model from its JSON, None if that is refused."""
    try:
        return cls.model_validate_json(made.model_dump_json(round_trip=True))
    except ValueError:
        return None


class Inner(BaseEvent[None]):
    """An event of types whose values are written otherwise."""

    data: Json[dict[str, int]]
    text: Base64Str
    at: IPvAnyAddress = pydantic.Field(alias="where")
    raw: bytes = b"\xff"


class Derived(Inner):
    """Another, with one more field."""

    function: ImportString[Any]


def inner(kind: type[Inner] = Inner, **more: Any) -> Any:
    """Return such an event."""
    return kind.model_validate({"data": '{"a": 1}', "text": "aGVsbG8=", "where": "10.0.0.1", **more})


@dataclasses.dataclass
class Box(Generic[_T]):
    """A dataclass."""

    it: _T
    inner: Inner


@dataclasses.dataclass(slots=True)
class Slotted:
    """One without a dict."""

    it: Json[Any]


@attrs.define
class Crate:
    """An attrs class."""

    it: Base64Str
    inner: Inner | None = None


class Pair(NamedTuple):
    """A NamedTuple."""

    number: int
    at: IPvAnyAddress


class Tree(te.TypedDict):
    """A TypedDict that holds itself."""

    it: Json[Any]
    trees: te.NotRequired[list[Tree]]


class Model(BaseModel):
    """A model of pydantic with events in it."""

    one: Inner
    more: list[Inner | int] = []


InnerId = NewType("InnerId", Inner)
Nested = te.TypeAliasType("Nested", "list[Nested] | Json[int]")


def box() -> Box[Any]:
    """Return a box of things that JSON tells otherwise."""
    return Box({"b": [2]}, inner())


VALUES: list[tuple[Any, Any]] = [
    (Box[Json[Any]], box()),
    (list[Box[Json[Any]]], [box()]),
    (Slotted, Slotted([1])),
    (Crate | None, Crate("hello", inner())),
    (dict[str, Crate], {"a": Crate("hello")}),
    (Pair, Pair(1, ipaddress.IPv4Address("10.0.0.1"))),
    (tuple[Pair, ...], (Pair(1, ipaddress.IPv4Address("10.0.0.1")),)),
    (tuple[int, Json[Any]], (1, '{"a": 2}')),
    (Model, Model(one=inner(), more=[inner(), 3])),
    (Crate | Model | Inner, inner()),
    (Crate | Model | Inner, Model(one=inner())),
    (list[Inner | Json[Any]], [inner(), '{"a": 1}', "3"]),
    (InnerId, inner()),
    (dict[str, Annotated[list[Json[int]], "a note"]], {"a": ["1", "2"]}),
]


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=range(len(VALUES)))
class TestRecords:
    """Dataclasses, attrs classes, NamedTuples, models: what is in them is written as their types say."""

    def test_they_come_back_from_the_log(self, kind: Any, value: Any) -> None:
        """As the fields of an event."""
        cls = event_class(kind)
        event = cls(it=value)

        assert decode(encode(event), cls) == event

    def test_they_come_back_from_another_machine_as_results(self, kind: Any, value: Any) -> None:
        """As the result of a request over a bridge."""
        asked: Any = BaseEvent[kind]
        event = asked()
        result = event.event_result_update(len, result=value)
        reply = decode_reply(encode_reply(event.event_id, [result]), 10_000)
        (back,) = results_of(reply, event).values()

        assert result.error is None
        assert back.error is None
        assert back.result == result.result


def test_a_typed_dict_that_holds_itself_is_written_at_every_level() -> None:
    """And so is a named type that does."""
    cls = event_class(Tree)
    event = cls(it={"it": "1", "trees": [{"it": "[2]", "trees": [{"it": "{}"}]}]})
    nested_cls = event_class(Nested)
    nested = nested_cls(it=["1", ["2"]])

    assert event.it["trees"][0]["it"] == [2]
    assert decode(encode(event), cls) == event
    assert nested.it == [1, [2]]
    assert decode(encode(nested), nested_cls) == nested


def test_an_event_of_a_derived_class_is_written_as_that_class_says() -> None:
    """It is read as the declared class, with the other fields as extras: what they say is not lost."""
    cls = event_class(Inner)
    back = decode(encode(cls(it=inner(Derived, function="math.cos"))), cls).it

    assert type(back) is Inner
    assert (back.data, back.text, back.raw, vars(back)["function"]) == ({"a": 1}, "hello", b"\xff", "math.cos")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ipaddress.IPv4Address, "10.0.0.1"),
        (ipaddress.IPv6Network, "::/8"),
        (re.Pattern[str], "(?i)a+"),
        (Fraction, "1/3"),
        (ZoneInfo, "Europe/Berlin"),
        (PurePosixPath, "a/b"),
        (complex, "1+2j"),
        (dict[ipaddress.IPv4Address, list[Fraction]], {"10.0.0.1": ["1/2"]}),
    ],
)
def test_types_of_the_standard_library_come_back(kind: Any, text: Any) -> None:
    """From the log, and from JSON: text stands for them."""
    cls = event_class(kind)
    event = cls(it=text)

    assert event.it != text
    assert decode(encode(event), cls) == event
    assert cls.model_validate_json(event.model_dump_json()) == event


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (re.compile("a", re.IGNORECASE), "the flags of"),
        (re.compile(b"a"), "a pattern of bytes"),
        (ZoneInfo.from_file(io.BytesIO(UTC_FILE)), "a time zone without a name"),
    ],
)
def test_what_their_text_would_not_tell_is_refused(value: Any, words: str) -> None:
    """Nothing is lost in silence: the field and the remedy are named."""
    cls = event_class(type(value))
    with pytest.raises(EncodeError, match=rf"Probe\.it: {words}"):
        encode(cls(it=value))


def test_what_cannot_be_written_names_the_field() -> None:
    """Of the outer event."""

    class Secret(BaseEvent[None]):
        word: pydantic.SecretStr

    cls = event_class(list[Secret])
    with pytest.raises(EncodeError, match=r"Probe\.it: it holds a secret"):
        encode(cls(it=[Secret(word=pydantic.SecretStr("x"))]))


def test_what_no_type_tells_of_is_written_as_it_is() -> None:
    """An extra, or the value of a field typed Any; also an address, as pydantic writes it."""
    cls = event_class(Any)
    back = decode(encode(cls(it=[inner()], extra=inner())), cls)

    assert (back.it[0]["data"], back.it[0]["text"], back.it[0]["at"]) == ({"a": 1}, "hello", "10.0.0.1")
    assert back.extra["data"] == {"a": 1}


async def test_fields_and_results_come_back_from_a_log_on_disk(tmp_path: Path) -> None:
    """What the handlers returned stands in the line as T says."""

    class Asked(BaseEvent[Inner]):
        inner: Inner

    path = tmp_path / "log.jsonl"
    async with EventBus(wal_path=WriteAheadLog(path)) as bus:
        bus.on(Asked, lambda event: event.inner)
        event = await bus.dispatch(Asked(inner=inner()))
    (back,) = read(path, [Asked])
    line = msgspec.json.decode(path.read_bytes())
    (result,) = line["event_results"].values()

    assert back.inner == event.inner
    assert (result["result"]["data"], result["result"]["text"]) == ('{"a":1}', "aGVsbG8=")


def test_results_of_types_without_a_hash_are_written_too() -> None:
    """Such as an Annotated that holds a list."""
    assert encode_result({"a": 1}, Annotated[Json[Any], ["no hash"]], 9) == b'"{\\"a\\":1}"'
    assert encode_result({"a": 1}, Any, 9) == encode_result({"a": 1}, dict[str, int], 9) == b'{"a":1}'
