"""Fields and results of pydantic's types: pydantic checks them, and they are dumped, written and read again."""

from __future__ import annotations

import datetime as dt
import ipaddress
import math
import subprocess
import sys
import types
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import annotated_types
import attrs
import msgspec
import pydantic
import pytest
import typing_extensions as te
from pydantic import (
    UUID4,
    AwareDatetime,
    Base64Bytes,
    Base64Str,
    BaseModel,
    ByteSize,
    Discriminator,
    EmailStr,
    FilePath,
    HttpUrl,
    ImportString,
    InstanceOf,
    IPvAnyAddress,
    Json,
    JsonValue,
    NameEmail,
    NonNegativeInt,
    OnErrorOmit,
    PastDate,
    PostgresDsn,
    RootModel,
    SecretStr,
    SkipValidation,
    Strict,
    StrictInt,
    Tag,
    TypeAdapter,
    WithJsonSchema,
)
from pydantic_core import core_schema

from bubus import BaseEvent, EventBus, ValidationError
from bubus._codec import decode, encode
from bubus.errors import DefinitionError, EncodeError

EMAIL = "ada@example.com"


class Address(BaseModel):
    """A model with an alias and bytes."""

    street: str = pydantic.Field(alias="Street")
    number: int = 1
    stamp: bytes = b""


class Home(Address):
    """A model derived from another."""

    floor: int = 0


class Cat(BaseModel):
    """One member of a union."""

    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    """The other one."""

    kind: Literal["dog"]
    name: str


class Names(RootModel[list[str]]):
    """A model that is a list."""


@pydantic.dataclasses.dataclass
class Point:
    """A dataclass of pydantic."""

    x: int
    y: int = 0


@pydantic.with_config({"str_to_lower": True})
class Lowered(te.TypedDict):
    """A TypedDict with settings of pydantic."""

    name: str


@attrs.define
class Crate:
    """A class that only bubus knows."""

    size: int
    label: bytes = b"\xff"


class Bolt(msgspec.Struct):
    """Another one."""

    size: int


class Celsius:
    """A class of a user that tells pydantic how to check it."""

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Celsius) and other.degrees == self.degrees

    def __hash__(self) -> int:
        return hash(self.degrees)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        serialize = core_schema.plain_serializer_function_ser_schema(lambda value: value.degrees)
        return core_schema.no_info_after_validator_function(cls, handler(float), serialization=serialize)


Pet = Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]
Tagged = Annotated[
    Annotated[int, Tag("number")] | Annotated[str, Tag("text")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "number"),
]

GOOD: list[tuple[Any, Any, Any]] = [
    (EmailStr, EMAIL, EMAIL),
    (NameEmail, f"Ada <{EMAIL}>", NameEmail("Ada", EMAIL)),
    (HttpUrl, "http://example.com", HttpUrl("http://example.com/")),
    (PostgresDsn, "postgres://a:b@host/base", PostgresDsn("postgres://a:b@host/base")),
    (Json[list[int]], "[1, 2]", [1, 2]),
    (Base64Str, "aGVsbG8=", "hello"),
    (Base64Bytes, "aGVsbG8=", b"hello"),
    (IPvAnyAddress, "10.0.0.1", ipaddress.IPv4Address("10.0.0.1")),
    (ByteSize, "3KB", 3000),
    (UUID4, "0b5e2b4a-5c69-4a0e-8b0a-1c4b6f0f0a11", UUID("0b5e2b4a-5c69-4a0e-8b0a-1c4b6f0f0a11")),
    (FilePath, __file__, Path(__file__)),
    (PastDate, "2001-02-03", dt.date(2001, 2, 3)),
    (AwareDatetime, "2001-02-03T04:05:06Z", dt.datetime(2001, 2, 3, 4, 5, 6, tzinfo=dt.UTC)),
    (ImportString[Any], "math.cos", math.cos),
    (pydantic.constr(strip_whitespace=True, to_upper=True, max_length=3), " abc ", "ABC"),
    (pydantic.conlist(int, min_length=1), ("1",), [1]),
    (pydantic.condecimal(max_digits=4, decimal_places=2), "1.25", Decimal("1.25")),
    (NonNegativeInt, "3", 3),
    (StrictInt, 3, 3),
    (Annotated[bytes, WithJsonSchema({"type": "string"})], b"\xff\x00", b"\xff\x00"),
    (InstanceOf[int], 3, 3),
    (SkipValidation[int], 3, 3),
    (list[OnErrorOmit[int]], [1, "x", "2"], [1, 2]),
    (JsonValue, {"a": [1, None, "x"]}, {"a": [1, None, "x"]}),
    (Address, {"Street": "Main", "stamp": b"x"}, Address(Street="Main", stamp=b"x")),
    (list[Address], [{"Street": "Main"}], [Address(Street="Main")]),
    (dict[str, HttpUrl], {"a": "http://b.c"}, {"a": HttpUrl("http://b.c/")}),
    (Home | Address, {"Street": "Main", "floor": 2}, Home(Street="Main", floor=2)),
    (Address | int | None, "7", 7),
    (HttpUrl | None, None, None),
    (Pet, {"kind": "dog", "name": "Rex"}, Dog(kind="dog", name="Rex")),
    (list[Pet], [{"kind": "cat"}], [Cat(kind="cat")]),
    (Tagged, "7", "7"),
    (Names, ["a"], Names(["a"])),
    (Point, {"x": "1"}, Point(1)),
    (Lowered, {"name": "ADA"}, {"name": "ada"}),
    (Celsius, "36.6", Celsius(36.6)),
    (Annotated[list[Crate], Strict(False)], [{"size": "2"}], [Crate(2)]),
    (Annotated[dict[str, Bolt], pydantic.Field(description="by name")], {"a": {"size": 2}}, {"a": Bolt(2)}),
    (Annotated[Crate, WithJsonSchema({})], {"size": 2, "label": "x"}, Crate(2, b"x")),
    (Annotated[Crate | HttpUrl, WithJsonSchema({})], {"size": 2}, Crate(2)),
    (Annotated[str, msgspec.Meta(max_length=3), WithJsonSchema({})], "abc", "abc"),
]
"""Type, a value that a caller gives, and what it becomes."""

BAD: list[tuple[Any, Any]] = [
    (EmailStr, "nobody"),
    (HttpUrl, "ftp://example.com"),
    (Json[list[int]], '["x"]'),
    (UUID4, "00000000-0000-1000-8000-000000000000"),
    (FilePath, "/nowhere/at/all"),
    (PastDate, "2999-01-01"),
    (AwareDatetime, "2001-02-03T04:05:06"),
    (StrictInt, "3"),
    (pydantic.conlist(int, min_length=2), [1]),
    (list[Address], [{"Street": "Main"}, {"Street": 1, "number": "x"}]),
    (Address | int, "x"),
    (Pet, {"kind": "bird"}),
    (Names, [1]),
    (Point, {"y": 2}),
    (SecretStr, 5),
    (dict[str, HttpUrl], {"a": "no url"}),
]
"""Type, and a value that it refuses."""


def event_class(kind: Any) -> Any:
    """Return an event class with one field of a type."""
    return types.new_class("Probe", (BaseEvent,), exec_body=lambda body: body.update(__annotations__={"it": kind}))


def name(kind: Any) -> str:
    """Return a short name for a test."""
    return repr(kind).replace("typing.", "").replace("pydantic.", "")[:40]


@pytest.mark.parametrize(("kind", "value", "expected"), GOOD, ids=map(name, [kind for kind, _, _ in GOOD]))
class TestGoodValues:
    """Values that pydantic accepts."""

    def test_the_constructor_makes_of_it_what_pydantic_makes(self, kind: Any, value: Any, expected: Any) -> None:
        """The value is converted as the type says."""
        assert event_class(kind)(it=value).it == expected

    def test_it_comes_back_from_the_log(self, kind: Any, value: Any, expected: Any) -> None:
        """What is written as a line is read back as the same value."""
        cls = event_class(kind)

        assert decode(encode(cls(it=value)), cls).it == expected

    def test_a_result_is_converted_too(self, kind: Any, value: Any, expected: Any) -> None:
        """``BaseEvent[T]`` checks results by the same rules."""
        asked: Any = BaseEvent[kind]

        assert asked.__event_result__(value) == expected


@pytest.mark.parametrize(("kind", "value"), BAD, ids=map(name, [kind for kind, _ in BAD]))
def test_faults_are_pydantics(kind: Any, value: Any) -> None:
    """Kind, place, words and input of each fault are what pydantic tells of the same value, under the field's name."""
    with pytest.raises(pydantic.ValidationError) as theirs:
        TypeAdapter(kind).validate_python(value)
    with pytest.raises(ValidationError) as ours:
        event_class(kind)(it=value)
    expected = [{**fault, "loc": ("it", *fault["loc"])} for fault in theirs.value.errors(include_url=False)]

    assert [dict(fault, ctx=None) for fault in ours.value.errors()] == [dict(fault, ctx=None) for fault in expected]


class Move(BaseEvent[Home]):
    """An event with models in its field and its result."""

    to: Address
    link: HttpUrl | None = None


class TestModels:
    """Models of pydantic as fields and results."""

    def test_an_instance_keeps_its_identity(self) -> None:
        """Also one of a subclass, and in a list."""
        home = Home(Street="Main")
        listed: Any = event_class(list[Address])

        assert Move(to=home).to is home
        assert listed(it=[home]).it[0] is home

    def test_aliases_are_wanted_in_json_and_names_written_to_the_log(self) -> None:
        """JSON is read as pydantic reads it; the log has names, whatever a model's aliases."""
        event = Move.model_validate_json('{"to": {"Street": "Main", "number": "2"}, "link": "http://a.b"}')

        assert event.to == Address(Street="Main", number=2)
        assert b'"to":{"street":"Main","number":2,"stamp":""},"link":"http://a.b/"' in encode(event)

    def test_strict_validation_converts_nothing(self) -> None:
        """Strictness reaches the model's fields, from JSON and from Python."""
        with pytest.raises(ValidationError) as from_json:
            Move.model_validate_json('{"to": {"Street": "Main", "number": "2"}}', strict=True)
        with pytest.raises(ValidationError) as from_python:
            Move.model_validate({"to": {"Street": "Main", "number": "2"}}, strict=True)

        for caught in (from_json, from_python):
            assert [fault["loc"] for fault in caught.value.errors()] == [("to", "number")]

    async def test_handlers_may_return_a_dict_for_it(self) -> None:
        """A result is validated to the model; one that does not fit is that handler's error, for both to catch."""
        bus = EventBus()
        results: list[Any] = [{"Street": "Main", "floor": "3"}, {"floor": "x"}]
        for result in results:
            bus.on(Move, lambda _, result=result: result)
        event = await bus.dispatch(Move(to=Address(Street="Side")))
        good, bad = event.event_results.values()

        assert good.result == Home(Street="Main", floor=3)
        assert isinstance(bad.error, pydantic.ValidationError)
        assert isinstance(bad.error, ValidationError)
        assert [fault["loc"] for fault in bad.error.errors()] == [("Street",), ("floor",)]

    def test_a_model_whose_names_come_later_works_when_they_are_there(self) -> None:
        """Until then using the event is an error that names what is missing."""
        names: dict[str, Any] = {"BaseModel": BaseModel, "BaseEvent": BaseEvent, "__name__": "later"}
        program = "class Holder(BaseModel):\n  inner: 'Inner'\nclass Early(BaseEvent[None]):\n  holder: Holder\n"
        exec(compile(program, "later", "exec", dont_inherit=True), names)

        with pytest.raises(DefinitionError, match="Holder"):
            names["Early"](holder={"inner": 1})
        names["Holder"].model_rebuild(_types_namespace={"Inner": int})
        assert names["Early"](holder={"inner": "1"}).holder.inner == 1


class TestSecrets:
    """SecretStr and its relatives."""

    def test_dumps_are_masked_and_the_value_is_there(self) -> None:
        """As in pydantic."""
        event = event_class(SecretStr)(it="hunter2")

        assert event.it.get_secret_value() == "hunter2"
        assert "hunter2" not in event.model_dump_json() + repr(event) + repr(event.model_dump())

    @pytest.mark.parametrize("kind", [SecretStr, SecretStr | None, list[SecretStr], dict[str, SecretStr], Any])
    def test_they_are_not_written_to_a_log(self, kind: Any) -> None:
        """Asterisks could not be read back, so the field is named and nothing is written."""
        secret: Any = SecretStr("hunter2")
        value = [secret] if kind == list[SecretStr] else {"a": secret} if kind == dict[str, SecretStr] else secret

        with pytest.raises(EncodeError, match=r"Probe\.it: it holds a secret") as caught:
            encode(event_class(kind)(it=value))
        assert "hunter2" not in str(caught.value)

    def test_nor_those_in_a_model_unless_it_says_how(self) -> None:
        """A model's own serializer may write the secret; then it is read back."""

        class Login(BaseModel):
            password: SecretStr | None = None

        class Open(Login):
            @pydantic.field_serializer("password", when_used="json-unless-none")
            def _open(self, value: SecretStr) -> str:
                return value.get_secret_value()

        with pytest.raises(EncodeError, match="it holds a secret"):
            encode(event_class(Login)(it={"password": "x"}))
        assert decode(encode(event_class(Login)(it={})), event_class(Login)).it == Login()
        cls = event_class(Open)
        assert decode(encode(cls(it={"password": "x"})), cls).it.password == SecretStr("x")


def test_what_pydantic_cannot_check_is_refused_at_class_definition() -> None:
    """The error names the field and says what pydantic says."""
    with pytest.raises(DefinitionError, match=r"Probe\.it: .*discriminator"):
        event_class(Annotated[Cat | Dog, pydantic.Field(discriminator="name")])


def test_types_that_need_no_pydantic_are_left_to_bubus() -> None:
    """Constraints of annotated-types, which PositiveInt and its relatives are made of, do not call pydantic."""
    plain: Any = BaseEvent[Annotated[int, annotated_types.Gt(3)]]
    with pytest.raises(ValidationError) as caught:
        plain.__event_result__(2)

    assert caught.value.errors()[0]["type"] == "greater_than"


def test_a_bus_as_the_type_of_a_field_is_left_to_bubus() -> None:
    """It is the same whether pydantic is imported or not, also for a subclass: identity is kept, JSON refused."""

    class Special(EventBus):
        pass

    bus = Special()
    cls = event_class(Special | None)

    assert cls(it=bus).it is bus
    with pytest.raises(ValidationError, match="isinstance"):
        cls.model_validate_json('{"it": "Special"}')


def test_events_do_not_import_pydantic() -> None:
    """Neither importing bubus, nor defining, dispatching, dumping and writing events imports it."""
    program = """
import asyncio, sys
import annotated_types
from typing import Annotated
from bubus import BaseEvent, EventBus
from bubus._codec import decode, encode
class Order(BaseEvent[int]):
    amount: Annotated[int, annotated_types.Ge(1)]
async def main():
    bus = EventBus()
    bus.on(Order, lambda event: event.amount)
    event = await bus.dispatch(Order(amount="3"))
    decode(encode(event), Order).model_dump_json()
    print(await event.event_result())
asyncio.run(main())
print([name for name in sys.modules if name.startswith("pydantic")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50)

    assert done.stdout.split("\n")[:2] == ["3", "[]"], done.stderr
