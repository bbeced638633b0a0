"""Events and buses as types inside pydantic: in a model, a TypeAdapter, and their JSON schema."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

import attrs
import msgspec
import pydantic
import pydantic_core
import pytest
from fastapi.encoders import jsonable_encoder
from pydantic import TypeAdapter

import bubus
from bubus import BaseEvent, ConfigDict, EventBus, Field

JsonSchemaMode: TypeAlias = Literal["validation", "serialization"]
T = TypeVar("T")


@attrs.define
class Box:
    """A class that pydantic does not know, which holds itself."""

    size: int
    inner: Box | None = None


class Bolt(msgspec.Struct):
    """Another one."""

    length: int = 1


class Address(pydantic.BaseModel):
    """A model of pydantic in an event in a model of pydantic."""

    street: str


class Login(BaseEvent[str]):
    """A user logs in."""

    event_type: Literal["Login"] = "Login"  # pyright: ignore[reportIncompatibleVariableOverride] - a discriminator needs the one name

    name: Annotated[str, Field(min_length=2, description="who")]
    address: Address | None = None
    box: Box | None = None
    bolts: list[Bolt] = attrs.field(factory=list)
    level: int = Field(default=1, ge=0, alias="Level")


class Shape(BaseEvent[None]):
    """Something with a name."""

    name: str = "shape"


class Square(Shape):
    """A shape with a side."""

    side: int


class Logout(BaseEvent[None]):
    """A user has gone."""

    event_type: Literal["Logout"] = "Logout"  # pyright: ignore[reportIncompatibleVariableOverride] - a discriminator needs the one name

    login: Login | None = None
    before: Logout | None = None


class Admin(Login):
    """A user with more rights."""

    token: str = "secret"


class Page(BaseEvent[T], Generic[T]):
    """A generic event."""

    items: list[T] = attrs.field(factory=list)


class Strict(BaseEvent[None]):
    """An event that takes no extras."""

    model_config = ConfigDict(extra="forbid", title="Closed")

    number: int


class Session(pydantic.BaseModel):
    """A model with events and a bus."""

    last: Login
    known: dict[str, Login | Logout] = {}
    bus: EventBus | None = None


Any_Event = TypeAdapter[Any](Annotated[Login | Logout, pydantic.Field(discriminator="event_type")])


class TestValidation:
    """What pydantic makes of values for events."""

    def test_an_event_keeps_its_identity(self) -> None:
        """Also one of a subclass; so does a bus."""
        login, bus = Admin(name="ada"), EventBus("Door")
        session = Session(last=login, bus=bus)

        assert session.last is login
        assert session.bus is bus

    def test_a_dict_and_json_become_events(self) -> None:
        """By the event's own rules, aliases included."""
        session = Session.model_validate({"last": {"name": "ada", "Level": "3", "box": {"size": "2"}}})
        read = Session.model_validate_json('{"last": {"name": "ada", "address": {"street": "Main"}}}')

        assert (session.last.level, session.last.box) == (3, Box(2))
        assert read.last.address == Address(street="Main")

    def test_faults_have_their_place_in_the_whole(self) -> None:
        """One error lists those of the model and of the events in it, and both libraries catch an event's own."""
        with pytest.raises(pydantic.ValidationError) as caught:
            Session.model_validate({"last": {"name": "x", "address": {}}, "known": {"a": 1}, "bus": 2})

        places = [fault["loc"] for fault in caught.value.errors()]
        assert places[:2] == [("last", "name"), ("last", "address", "street")]
        assert places[-1] == ("bus",)
        with pytest.raises(bubus.ValidationError):
            Login.model_validate({"name": "x"})

    def test_strictness_is_passed_on(self) -> None:
        """Nothing is converted in strict mode."""
        with pytest.raises(pydantic.ValidationError) as caught:
            TypeAdapter(Login).validate_json('{"name": "ada", "Level": "3"}', strict=True)

        assert [(fault["loc"], fault["type"]) for fault in caught.value.errors()] == [(("Level",), "int_type")]

    def test_a_discriminator_chooses_the_class(self) -> None:
        """The event's type, declared as a Literal, tells which class is meant."""
        login = Login(name="ada")

        assert type(Any_Event.validate_python({"event_type": "Logout"})) is Logout
        assert type(Any_Event.validate_json('{"event_type": "Login", "name": "ada"}')) is Login
        assert Any_Event.validate_python(login) is login
        with pytest.raises(pydantic.ValidationError, match="union_tag_invalid"):
            Any_Event.validate_python({"event_type": "Other"})

    def test_extras_follow_the_event(self) -> None:
        """They are kept where the class keeps them, refused where it refuses them."""
        assert TypeAdapter(Login).validate_python({"name": "ada", "more": 1}).model_extra == {"more": 1}
        with pytest.raises(pydantic.ValidationError, match="extra_forbidden"):
            TypeAdapter(Strict).validate_python({"number": 1, "more": 1})


class TestDumps:
    """What a model with events dumps."""

    def test_it_is_what_the_event_dumps(self) -> None:
        """In both modes, and with pydantic's options."""
        login = Login(name="ada", Level=2)
        session = Session(last=login)

        assert session.model_dump()["last"] == login.model_dump()
        assert session.model_dump(mode="json")["last"] == login.model_dump(mode="json")
        assert session.model_dump(by_alias=True)["last"]["Level"] == 2
        assert session.model_dump(include={"last": {"name"}}) == {"last": {"name": "ada"}}
        assert session.model_dump(exclude_unset=True)["last"].items() >= {"name": "ada", "level": 2}.items()
        assert Session.model_validate_json(session.model_dump_json(by_alias=True)).last == login

    def test_fields_of_a_subclass_stay_inside(self) -> None:
        """A field typed by the base shows what the base has, so that nothing leaks."""
        session = Session(last=Admin(name="ada"))

        assert "token" not in session.model_dump()["last"]
        assert "secret" not in session.model_dump_json()

    def test_a_bus_is_its_name_in_json(self) -> None:
        """And itself in Python."""
        session = Session(last=Login(name="ada"), bus=EventBus("Gate"))

        assert session.model_dump()["bus"] is session.bus
        assert session.model_dump(mode="json")["bus"] == "Gate"
        with pytest.raises(pydantic.ValidationError, match="bus"):
            Session.model_validate_json('{"last": {"name": "ada"}, "bus": "Gate"}')


@pytest.mark.parametrize("mode", ["validation", "serialization"])
class TestJsonSchema:
    """The JSON schema that pydantic makes."""

    def test_bubus_describes_pydantics_types_too(self, mode: JsonSchemaMode) -> None:
        """`model_json_schema` of an event with types of pydantic, and classes that only bubus knows within them."""

        class Sent(BaseEvent[None]):
            to: pydantic.EmailStr
            home: Address
            boxes: Annotated[list[Box], pydantic.WithJsonSchema({"type": "array", "items": {}})]
            link: pydantic.HttpUrl | None = None

        schema = Sent.model_json_schema(mode=mode)

        assert schema["properties"]["to"].items() >= {"format": "email", "type": "string"}.items()
        assert schema["properties"]["home"] == {"$ref": "#/$defs/Address"}
        assert schema["properties"]["boxes"]["items"] == {}
        assert schema["properties"]["link"]["anyOf"][0]["format"] == "uri"
        assert schema["$defs"]["Address"]["required"] == ["street"]

    def test_each_class_is_described_once(self, mode: JsonSchemaMode) -> None:
        """Events, models, attrs classes and Structs, also those that hold themselves, are referred to by name."""
        schema = TypeAdapter(Logout).json_schema(mode=mode)
        definitions = schema["$defs"]
        reference = {"anyOf": [{"$ref": "#/$defs/Logout"}, {"type": "null"}], "default": None}

        assert definitions.keys() == {"Logout", "Login", "Address", "Box", "Bolt"}
        assert definitions["Logout"]["properties"]["before"] == reference
        assert definitions["Box"]["properties"]["inner"]["anyOf"][0] == {"$ref": "#/$defs/Box"}

    def test_fields_have_their_rules(self, mode: JsonSchemaMode) -> None:
        """Names by alias, limits, descriptions, defaults, what is required, and whether there may be more."""
        schema = TypeAdapter(Login).json_schema(mode=mode)
        name = {"description": "who", "minLength": 2, "title": "Name", "type": "string"}

        assert (schema["title"], schema["description"], schema["required"]) == ("Login", "A user logs in.", ["name"])
        assert schema["properties"]["name"] == name
        assert schema["properties"]["Level"] == {"default": 1, "minimum": 0, "title": "Level", "type": "integer"}
        assert schema["properties"]["event_type"]["const"] == "Login"
        assert schema["additionalProperties"] is True

    def test_settings_and_type_arguments_show(self, mode: JsonSchemaMode) -> None:
        """The title of the settings, closed classes, and generic ones by their arguments."""
        schema = TypeAdapter(list[Page[int] | Strict]).json_schema(mode=mode)

        assert schema["$defs"].keys() == {"Page_int_", "Strict"}
        assert schema["$defs"]["Page_int_"]["properties"]["items"]["items"] == {"type": "integer"}
        assert schema["$defs"]["Strict"]["title"] == "Closed"
        assert schema["$defs"]["Strict"]["additionalProperties"] is False

    def test_discriminator_and_bus(self, mode: JsonSchemaMode) -> None:
        """The discriminator has its mapping, and a bus is the text that it is shown as."""
        schema = Any_Event.json_schema(mode=mode)

        assert schema["discriminator"]["mapping"] == {"Login": "#/$defs/Login", "Logout": "#/$defs/Logout"}
        assert Session.model_json_schema(mode=mode)["properties"]["bus"]["anyOf"][0]["type"] == "string"


class TestWhereNoTypeSaysSo:
    """Events that pydantic meets without having been told that they are some."""

    def test_they_are_dumped_as_what_they_are(self) -> None:
        """In a field of any type, in a plain dict, and by FastAPI's encoder."""

        class Holder(pydantic.BaseModel):
            anything: Any
            part: Shape | None = None

        square = Square(side=2)
        holder = Holder(anything=[square], part=square)

        assert holder.model_dump()["anything"][0]["side"] == 2
        assert '"side":2' in holder.model_dump_json(include={"anything"})
        assert pydantic_core.to_jsonable_python({"a": square})["a"]["side"] == 2
        assert jsonable_encoder({"a": [square]})["a"][0]["side"] == 2

    def test_serialize_as_any_dumps_the_whole_event(self) -> None:
        """Where only the fields of the declared class would be dumped."""

        class Holder(pydantic.BaseModel):
            part: Shape

        holder = Holder(part=Square(side=2))

        assert "side" not in holder.model_dump()["part"]
        assert holder.model_dump(serialize_as_any=True)["part"]["side"] == 2
        assert '"side":2' in holder.model_dump_json(serialize_as_any=True)

    def test_another_member_of_a_union_is_dumped_by_its_own_type(self) -> None:
        """The event's serializer takes events only; what fits nothing is warned of, as everywhere in pydantic."""

        class Holder(pydantic.BaseModel):
            part: Shape | pydantic.Json[Any]
            shape: Shape | None = None

        assert Holder.model_validate({"part": "[1]"}).model_dump_json(round_trip=True) == '{"part":"[1]","shape":null}'
        with pytest.warns(UserWarning, match="Expected `Shape`"):
            assert Holder.model_construct(part=1, shape="no shape").model_dump()["shape"] == "no shape"
