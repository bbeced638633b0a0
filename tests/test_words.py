"""What bubus says of its own to pydantic's words: errors of classes, the log, plain msgspec, no pydantic."""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import pickle
import subprocess
import sys
from collections.abc import Hashable  # noqa: TC003 - a field's type
from typing import TYPE_CHECKING, Annotated, Any, Generic, Self, TypeVar

import attrs
import msgspec
import pytest

from bubus import (
    AliasPath,
    BaseEvent,
    BubusError,
    ConfigDict,
    EventBus,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    computed_field,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from bubus._codec import decode, encode
from bubus._marks import ValueSerializer, ValueValidator
from bubus.errors import DefinitionError, EncodeError, OptionError, OptionTypeError, SchemaError
from bubus.wal._typed import shortcut
from tests.field_kinds import made, new_class

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Twofold(BaseEvent[None]):
    """An event whose validators change what they are given."""

    x: int = 0
    words: Annotated[str, ValueValidator(str.title)] = ""
    seen: int = 0

    @field_validator("x")
    @classmethod
    def _double(cls, value: int) -> int:
        return value * 2

    @model_validator(mode="after")
    def _count(self) -> Twofold:
        self.seen += 1
        return self


class Priced(BaseEvent[str], Generic[T]):
    """An event with an alias, a computed field and a serializer."""

    price: int = Field(alias="cents", ge=0)
    content: T | None = None
    _cache: dict[str, int] = {}  # noqa: RUF012 - copied per event

    @computed_field
    @property
    def euros(self) -> float:
        """The price in another unit."""
        return self.price / 100

    @field_serializer("price", when_used="json")
    def _price(self, value: int) -> str:
        return f"{value} ct"


def first_letter(value: str) -> str:
    """Return a text with all but its beginning left out."""
    return value[0] + "…"


def negative(value: int, handler: Callable[[int], int]) -> int:
    """Return the usual dump with another sign."""
    return -handler(value)


def next_one(value: int) -> int:
    """Return a number that follows."""
    return value + 1


class TestMistakesInClasses:
    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({"nope": 1}, "'nope' is not supported"),
            ({"json_encoders": {}}, "'json_encoders' is not supported"),
            ({"extra": "maybe"}, "extra='maybe' is none of"),
            ({"frozen": "yes"}, "frozen='yes' is none of"),
            ({"frozen": 1}, "frozen=1 is none of"),
            ({"str_max_length": -1}, "no value for this setting"),
            ({"title": 5}, "no value for this setting"),
            ({"validate_by_alias": False}, "set validate_by_name=True"),
        ],
        ids=str,
    )
    def test_settings_that_are_not_honoured_are_refused(self, config: dict[str, Any], words: str) -> None:
        """A setting that is unknown, unsupported or has no such value is an error of the class, never ignored."""
        with pytest.raises(DefinitionError, match=words):
            new_class("Wrong", BaseEvent, model_config=config)

    @pytest.mark.parametrize(
        ("kind", "facts"),
        [
            (int, {"min_length": 1}),
            (int, {"pattern": "a"}),
            (str, {"gt": 1}),
            (str, {"multiple_of": 2}),
            (bytes, {"pattern": "a"}),
            (bool, {"max_digits": 1}),
            (str, {"pattern": "("}),
        ],
        ids=str,
    )
    def test_limits_that_a_type_cannot_have_are_refused(self, kind: Any, facts: dict[str, Any]) -> None:
        """A limit that no value of a type can meet or miss is an error of the class; pydantic tells it at the value."""
        with pytest.raises(DefinitionError, match="limit"):
            new_class("Wrong", BaseEvent, __annotations__={"x": kind}, x=Field(**facts))

    def test_arguments_of_field_are_checked(self) -> None:
        """Field() refuses what it does not know, and two defaults."""
        with pytest.raises(DefinitionError, match="no argument gte"):
            made(Field, 3, gte=1)
        with pytest.raises(DefinitionError, match="both"):
            made(Field, 3, default_factory=int)
        with pytest.raises(DefinitionError, match="both"):
            made(PrivateAttr, 3, default_factory=int)

    def test_decorators_name_fields_that_exist(self) -> None:
        """A validator or serializer for a field that is not there is an error, unless it is meant for subclasses."""
        check: Any = made(field_validator("nope"), first_letter)
        with pytest.raises(DefinitionError, match="names nope"):
            new_class("Wrong", BaseEvent, _check=check)

        class Mixin(BaseEvent[None]):
            @field_validator("later", check_fields=False)
            @classmethod
            def _check(cls, value: int) -> int:
                return value + 1

        class Later(Mixin):
            later: int

        assert Later(later=1).later == 2

    @pytest.mark.parametrize(
        ("decorate", "words"),
        [
            (lambda: made(field_validator, "x", mode="sideways"), "'sideways' is none of"),
            (lambda: made(field_validator, print), "needs the names"),
            (lambda: made(model_validator, mode="plain"), "'plain' is none of"),
            (lambda: made(field_serializer, "x", when_used="never"), "'never' is none of"),
            (lambda: made(model_serializer, mode="before"), "'before' is none of"),
            (lambda: made(field_validator("x"), EventBus.stop), "put @classmethod below it"),
        ],
    )
    def test_decorators_check_how_they_are_used(self, decorate: Callable[[], Any], words: str) -> None:
        """A mode that is none, a missing name or an instance method is told at once."""
        with pytest.raises(DefinitionError, match=words):
            decorate()

    def test_functions_with_a_wrong_number_of_arguments_are_refused(self) -> None:
        """A validator that could not be called is an error of the class."""

        def check(cls: type, value: int, info: ValidationInfo, more: int) -> int:
            return value + more

        function: Any = field_validator("x")(check)
        with pytest.raises(DefinitionError, match="takes 3 arguments"):
            new_class("Wrong", BaseEvent, __annotations__={"x": int}, _check=function)

    def test_classes_can_be_forbidden(self) -> None:
        """arbitrary_types_allowed=False refuses types that can only be told by isinstance."""

        class Plain:
            """A class that nobody can decode."""

        assert new_class("Fine", BaseEvent, __annotations__={"x": Plain}) is not None
        with pytest.raises(DefinitionError, match="arbitrary_types_allowed"):
            new_class("Wrong", BaseEvent, __annotations__={"x": Plain}, model_config={"arbitrary_types_allowed": False})

    def test_private_names_of_events_are_kept(self) -> None:
        """A private attribute cannot take the place of the event's state, nor go without an underscore."""
        with pytest.raises(DefinitionError, match="have already"):
            new_class("Wrong", BaseEvent, _event_state=5)
        with pytest.raises(DefinitionError, match="one underscore"):
            new_class("Wrong", BaseEvent, x=PrivateAttr(5))


class TestSettings:
    def test_they_may_stand_behind_the_bases(self) -> None:
        """A setting may be given where the class names its bases; it is inherited, and overridden, like others."""

        class Cold(BaseEvent[None], validate_assignment=True, title="Cold"):
            x: int = 1

        class Warm(Cold, validate_assignment=False):
            pass

        with pytest.raises(ValidationError, match="int_parsing"):
            setattr(Cold(), "x", "two")  # noqa: B010 - wrong on purpose
        warm = Warm()
        setattr(warm, "x", "two")  # noqa: B010
        assert vars(warm)["x"] == "two"
        assert Cold.model_json_schema()["title"] == Warm.model_json_schema()["title"] == "Cold"

    def test_a_failed_assignment_changes_nothing(self) -> None:
        """Where a validator refuses the event with the new value, the old value stays; pydantic keeps the bad one."""

        class Span(BaseEvent[None]):
            model_config = ConfigDict(validate_assignment=True)
            first: int = 0
            last: int = 9

            @model_validator(mode="after")
            def _order(self) -> Span:
                if self.first > self.last:
                    raise ValueError("first must not exceed last")
                return self

        span = Span()
        with pytest.raises(ValidationError, match="must not exceed"):
            span.first = 10
        assert (span.first, span.model_fields_set) == (0, set())

    def test_inputs_can_be_hidden(self) -> None:
        """hide_input_in_errors keeps values out of the text."""

        class Secret(BaseEvent[None], hide_input_in_errors=True):
            pin: int

        with pytest.raises(ValidationError) as caught:
            made(Secret, pin="hunter2")
        assert "hunter2" not in str(caught.value)
        assert "pin" in str(caught.value)

    def test_events_that_cannot_change_can_be_dispatched(self) -> None:
        """A frozen event, and one whose assignments are checked, go through a bus like any other."""

        class Frozen(BaseEvent[int]):
            model_config = ConfigDict(frozen=True)
            x: int = 1

        class Checked(BaseEvent[int], validate_assignment=True):
            x: int = 1

        async def scenario() -> list[int | None]:
            bus = EventBus()
            bus.on(Frozen, lambda event: event.x)
            bus.on(Checked, lambda event: event.x)
            return [await (await bus.dispatch(event)).event_result() for event in (Frozen(x=2), Checked(x=3))]

        assert asyncio.run(scenario()) == [2, 3]


class TestTheWire:
    def test_an_event_that_is_read_is_not_validated_again(self) -> None:
        """Functions that change values do not do so once more when the log, or another machine, reads the event."""
        event = Twofold(x=2, words="a tale")
        back = decode(encode(event), Twofold)

        assert (event.x, event.words, event.seen) == (4, "A Tale", 1)
        assert back == event

    def test_names_are_read_where_aliases_are_declared(self) -> None:
        """What is written has the names of fields, and is read by them; model_dump_json has aliases if asked."""
        event = Priced[int](cents=5, content=1)

        assert json.loads(encode(event))["price"] == 5
        assert decode(encode(event), Priced[int]) == event
        with pytest.raises(ValidationError, match="cents"):
            Priced[int].model_validate_json('{"price": 5}')

    def test_what_needs_the_constructor_is_read_by_it(self) -> None:
        """A log is decoded in C only where nothing is done to an event after its fields are there."""

        class Started(BaseEvent[None]):
            x: int = 1
            _later: list[int] = PrivateAttr(default_factory=lambda: [0])

            def model_post_init(self, context: Any, /) -> None:
                self._later.append(self.x)

        class Stripped(BaseEvent[None], str_strip_whitespace=True):
            text: str

        class Forbidding(BaseEvent[None], extra="forbid"):
            x: int

        assert shortcut(Started)(encode(Started())) is None
        assert shortcut(Stripped)(encode(Stripped(text="a"))) is None
        assert shortcut(Forbidding)(encode(Forbidding(x=1))) is not None
        assert vars(decode(encode(Started(x=5)), Started))["_later"] == [0, 5]

    def test_types_are_checked_all_the_same(self) -> None:
        """What is no value of the type is refused, and limits hold."""
        line = encode(Priced[int](cents=5)).replace(b'"price":5', b'"price":-5')

        with pytest.raises(BubusError, match="greater than or equal to 0"):
            decode(line, Priced[int])

    def test_plain_msgspec_reads_events_with_private_attributes(self) -> None:
        """It calls no constructor; private attributes are there when they are asked for."""
        event = msgspec.json.decode(b'{"price": 5}', type=Priced[int])

        assert event._cache == {}  # pyright: ignore[reportPrivateUsage] - its own
        assert event.model_fields_set >= {"price"}


class TestCopies:
    def test_what_was_given_and_private_attributes_are_copied(self) -> None:
        """A copy has the private attributes and model_fields_set of its original."""
        event = Priced[int](cents=5, content=None)
        event._cache["a"] = 1  # pyright: ignore[reportPrivateUsage] - its own
        copies: list[Any] = [copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))]

        for other in copies:
            assert other == event
            assert other._cache == {"a": 1}
            assert other.model_fields_set == {"price", "content"}

    def test_private_attributes_are_compared(self) -> None:
        """Two events differ if their private attributes do."""
        event = Priced[int](cents=5)
        other = event.model_copy(deep=True)
        assert other == event
        other._cache["a"] = 1  # pyright: ignore[reportPrivateUsage] - its own

        assert other != event


class TestDumps:
    def test_the_framework_is_dumped_as_it_was(self) -> None:
        """A dump tells the result type as text and when the event was processed, and nothing of results."""
        dumped = Priced[int](cents=5).model_dump()

        assert [name for name in dumped if name.startswith("event_")] == [
            *("event_type", "event_schema", "event_id", "event_parent_id", "event_path", "event_timeout"),
            *("event_result_type", "event_created_at", "event_processed_at"),
        ]
        assert dumped["event_result_type"] == "<class 'str'>"
        assert dumped["euros"] == 0.05

    def test_a_dump_can_be_validated(self) -> None:
        """Without what is only dumped, a dump makes an equal event."""
        event = Priced[int](cents=5, content=7)

        assert Priced[int].model_validate(event.model_dump(round_trip=True, by_alias=True)) == event

    def test_options_are_checked(self) -> None:
        """A mode that is none, and text where names are wanted, are errors."""
        event = Twofold()
        with pytest.raises(OptionError, match="neither"):
            made(event.model_dump, mode="xml")
        with pytest.raises(OptionTypeError, match="names no fields"):
            event.model_dump(include="x")

    def test_what_json_cannot_tell_is_refused(self) -> None:
        """Half a surrogate pair, bytes that are no text and objects are EncodeErrors."""
        for payload in ("\ud800", b"\xff", object()):
            with pytest.raises(EncodeError):
                made(BaseEvent[Any], payload=payload).model_dump_json()

    def test_text_can_be_indented(self) -> None:
        """Indent= gives one line per value."""
        text = Twofold(x=1).model_dump_json(indent=2, include={"x", "words"})

        assert text == '{\n  "x": 2,\n  "words": ""\n}'

    def test_serializers_in_annotations_run(self) -> None:
        """A function in an Annotated dumps the value, also within lists, dicts and unions."""

        class Masked(BaseEvent[None]):
            one: Annotated[str, ValueSerializer(first_letter)] = "secret"
            many: list[Annotated[int, ValueSerializer(str, when_used="json")]] = [1]  # noqa: RUF012
            named: dict[str, Annotated[int, ValueSerializer(negative, "wrap")]] = {}  # noqa: RUF012
            maybe: Annotated[int, ValueSerializer(next_one)] | None = None

        event = Masked(named={"a": 1}, maybe=5)
        names = {"one", "many", "named", "maybe"}

        assert event.model_dump(include=names) == {"one": "s…", "many": [1], "named": {"a": -1}, "maybe": 6}
        assert event.model_dump(include=names, mode="json")["many"] == ["1"]

    def test_errors_can_be_written(self) -> None:
        """ValidationError.json() says what errors() does."""
        with pytest.raises(ValidationError) as caught:
            made(Priced[int], cents=-1)

        assert json.loads(caught.value.json(include_context=False)) == [
            {
                "type": "greater_than_equal",
                "loc": ["cents"],
                "msg": "Input should be greater than or equal to 0",
                "input": -1,
            }
        ]
        assert "input" not in caught.value.errors(include_input=False)[0]


class TestFields:
    def test_model_fields_tell_what_was_said(self) -> None:
        """model_fields has every field with type, default, limits and words."""
        fields = Priced[int].model_fields

        assert list(fields)[-2:] == ["price", "content"]
        assert (fields["price"].annotation, fields["price"].alias, fields["price"].is_required()) == (
            int,
            "cents",
            True,
        )
        assert fields["content"].annotation == int | None
        assert fields["event_timeout"].default == 60.0
        assert repr(fields["price"]) == (
            "FieldInfo(annotation=int, required=True, alias='cents', metadata=[Limits(ge=0)])"
        )
        assert set(Priced.model_computed_fields) == {"euros"}

    def test_a_name_that_comes_later_is_found(self) -> None:
        """model_rebuild finds names that the caller knows by now; without them it raises, or returns False."""

        class Early(BaseEvent[None]):
            later: Later  # pyright: ignore[reportUndefinedVariable] # noqa: F821 - it comes later

        assert Early.model_rebuild(raise_errors=False) is False
        with pytest.raises(DefinitionError, match="Later"):
            Early.model_rebuild()
        later = type("Later", (), {})
        locals_before_rebuild: dict[str, Any] = {"Later": later}
        exec("Early.model_rebuild()", {}, {"Early": Early, **locals_before_rebuild})
        assert Early.model_rebuild() is None
        assert isinstance(vars(made(Early, later=later()))["later"], later)

    def test_no_schema_is_told(self) -> None:
        """A type that JSON has no values of has no schema, and the error says so."""

        class Odd(BaseEvent[None]):
            thing: EventBus | None = None

        with pytest.raises(SchemaError, match=r"Odd\.thing: .*EventBus"):
            Odd.model_json_schema()

    def test_anything_in_json_may_be_hashable(self) -> None:
        """Such a field has the schema of pydantic: one that says nothing."""

        class Tagged(BaseEvent[None]):
            tag: Hashable

        assert Tagged.model_json_schema()["properties"]["tag"] == {"title": "Tag"}

    def test_an_event_that_contains_itself_has_a_schema(self) -> None:
        """A recursive class is described by a reference to itself."""
        schema = Node.model_json_schema()

        assert schema["$ref"] == "#/$defs/Node"
        assert schema["$defs"]["Node"]["properties"]["kids"]["items"] == {"$ref": "#/$defs/Node"}


class Node(BaseEvent[None]):
    """An event with events of its own class in it."""

    kids: list[Node] = []  # noqa: RUF012 - copied per event


def test_what_a_property_caches_is_no_part_of_the_event() -> None:
    """It is not logged, compared or shown; a dump with what is computed can be validated."""

    class Cached(BaseEvent[None]):
        x: int = 1

        @computed_field
        @functools.cached_property
        def told(self) -> int:
            return self.x + 1

        @functools.cached_property
        def kept(self) -> int:
            return self.x + 2

    event = Cached()
    fresh = event.model_copy()
    assert (event.told, event.kept) == (2, 3)
    assert event == fresh
    assert b"kept" not in encode(event)
    assert decode(encode(event), Cached) == event
    assert "kept" not in repr(event)
    assert Cached.model_validate(event.model_dump()) == event
    assert dict(event)["x"] == 1


class TestReplace:
    """`copy.replace`, which calls ``__replace__``; before Python 3.13 there is only the latter."""

    def test_what_is_not_replaced_stays(self) -> None:
        """Extras and private attributes too, and what was given; what is new is checked, and counts as given."""
        event = Noted.model_validate({"bee": 3, "more": "kept", "other": 1})
        event._notes.append("x")  # pyright: ignore[reportPrivateUsage] - its own
        replaced = replace(event, count="5", other=2, third=3)

        assert (replaced.bee, replaced.count, replaced.model_extra) == (3, 5, {"more": "kept", "other": 2, "third": 3})
        assert replaced._notes == ["x"]  # pyright: ignore[reportPrivateUsage] - its own
        assert replaced.model_fields_set == {"bee", "count", "more", "other", "third"}
        assert (event.count, event.model_extra) == (1, {"more": "kept", "other": 1})
        with pytest.raises(ValidationError, match="count"):
            replace(event, count="many")

    @pytest.mark.parametrize("name", ["number", "n", "deep"])
    def test_a_field_is_found_by_name(self, name: str) -> None:
        """However the constructor finds it; and by its alias, which type checkers know it by."""
        event = Aliased.model_validate({"n": 1, "in": [2]})
        replaced = replace(event, **{name: 7})

        assert replaced.model_dump(include={"number", "deep"}) == {"number": 1, "deep": 2} | {
            {"n": "number"}.get(name, name): 7
        }
        assert replaced.model_extra == {}

    def test_a_validator_of_the_whole_event_sees_the_replaced_one(self) -> None:
        """What does not fit together is refused."""
        with pytest.raises(ValidationError, match="too large"):
            replace(Whole(low=1, high=2), high=0)

    def test_a_mixin_of_attrs_changes_nothing(self) -> None:
        """Nor does a subclass; a ``__replace__`` that is written counts."""
        assert replace(Mixed.model_validate({"level": 2, "more": 1}), level=3).model_extra == {"more": 1}
        assert replace(Written.model_validate({"more": 1}), more=2).model_extra == {"more": 1}

    def test_what_a_class_forbids_stays_forbidden(self) -> None:
        """A name that is unknown to a class without extras is refused."""
        with pytest.raises(ValidationError, match="third"):
            replace(Strict(), third=3)


def replace(event: Any, **changes: object) -> Any:
    """Do as `copy.replace`, which came with Python 3.13."""
    return event.__replace__(**changes) if sys.version_info < (3, 13) else copy.replace(event, **changes)


class Noted(BaseEvent[None]):
    """It keeps extras, and notes."""

    bee: int = 2
    count: int = 1
    _notes: list[str] = PrivateAttr(default_factory=list)


class Aliased(BaseEvent[None]):
    """Its fields go by other names."""

    number: int = Field(alias="n")
    deep: int = Field(default=0, validation_alias=AliasPath("in", 0))


class Whole(BaseEvent[None]):
    """Its fields depend on each other."""

    low: int
    high: int

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low > self.high:
            raise ValueError("too large")
        return self


@attrs.define(slots=False, kw_only=True)
class Levelled:
    """An attrs class."""

    level: int = 0


class Mixed(Levelled, BaseEvent[None]):
    """An event that is one."""


class Writing(BaseEvent[None]):
    """It replaces nothing."""

    def __replace__(self, /, **changes: object) -> Self:
        """Return itself."""
        return self


class Written(Writing):
    """It inherits that."""


class Strict(BaseEvent[None]):
    """It takes no extras."""

    model_config = ConfigDict(extra="forbid")


class TestCost:
    def test_a_class_without_words_pays_nothing(self) -> None:
        """The constructor of a plain class calls nothing of validators, infos or private attributes."""

        class Bare(BaseEvent[None]):
            x: int
            y: str = "a"

        names = Bare.__init__.__code__.co_names

        assert not {"_check_asking", "_info", "_data", "_context", "_dig", "_validate"} & set(names)
        assert "_event_fields_set" not in vars(Bare(x=1))
        assert vars(Bare(x=1, y="b"))["_event_fields_set"]

    def test_pydantic_is_never_imported(self) -> None:
        """All words work where pydantic is not imported, and do not import it."""
        code = (
            "import sys\n"
            "from bubus import BaseEvent, ConfigDict, Field, PrivateAttr, computed_field, field_validator\n"
            "class E(BaseEvent):\n"
            "    model_config = ConfigDict(extra='forbid', validate_assignment=True)\n"
            "    x: int = Field(1, ge=0, alias='X')\n"
            "    _p: int = PrivateAttr(2)\n"
            "    @field_validator('x')\n"
            "    @classmethod\n"
            "    def f(cls, v): return v + 1\n"
            "    @computed_field\n"
            "    @property\n"
            "    def c(self) -> int: return self.x\n"
            "e = E(X=1)\n"
            "e.x = 5\n"
            "try: E(X=-1)\n"
            "except ValueError as error: print(error.errors()[0]['type'])\n"
            "print(e.model_dump(include={'x', 'c'}), bool(E.model_json_schema()), e.model_copy() == e)\n"
            "print([name for name in sys.modules if name.startswith('pydantic')])\n"
        )
        done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)

        assert done.stdout.splitlines() == ["greater_than_equal", "{'x': 6, 'c': 6} True True", "[]"]
