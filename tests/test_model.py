"""Event classes and events: framework fields, construction, extras, generics, equality, copies, pydantic's words."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import gc
import inspect
import json
import linecache
import os
import pickle
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

import attrs
import msgspec
import pytest
from typing_extensions import override

from bubus import BaseEvent
from bubus._codec import decode, encode
from bubus._registry import candidates, registered
from bubus.errors import DefinitionError, ValidationError
from tests.field_kinds import Tree, made, new_class

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Login(BaseEvent[str]):
    """An event with two fields."""

    username: str
    attempts: int = 0


class Page(BaseEvent[list[T]], Generic[T]):
    """A generic event whose result depends on its type variable."""

    items: list[T]
    first: T | None = None


class Holder(BaseEvent[None]):
    """An event with an event in it."""

    inner: Login
    more: list[Login] = []  # noqa: RUF012 - copied per event


def faults(cls: type[BaseEvent[Any]], /, **arguments: Any) -> list[tuple[str, tuple[Any, ...]]]:
    """Return type and place of each fault of a constructor call."""
    with pytest.raises(ValidationError) as caught:
        cls(**arguments)
    return [(one["type"], one["loc"]) for one in caught.value.errors()]


def extra_of(event: BaseEvent[Any]) -> Any:
    """Return the extra called "extra", of which type checkers do not know."""
    return vars(event)["extra"]


class TestFrameworkFields:
    def test_defaults(self) -> None:
        """An event knows its type, schema, id, path, timeout and time from the start."""
        before = dt.datetime.now(dt.UTC)
        login = Login(username="a")

        assert login.event_type == "Login"
        assert login.event_schema == f"{__name__}.Login@1.0.0"
        assert uuid.UUID(login.event_id).version == 7
        assert (login.event_parent_id, login.event_path, login.event_timeout) == (None, [], 60.0)
        assert before <= login.event_created_at <= dt.datetime.now(dt.UTC)
        assert login.event_created_at.tzinfo is dt.UTC

    def test_frozen_time_is_what_an_event_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Libraries that freeze time in tests put another class in the place of datetime."""

        class Frozen(dt.datetime):
            @classmethod
            @override
            def now(cls, tz: dt.tzinfo | None = None) -> Self:
                return cls(2020, 1, 2, tzinfo=tz)

        monkeypatch.setattr("bubus._framework.datetime", Frozen)

        assert made(Login, username="a").event_created_at == dt.datetime(2020, 1, 2, tzinfo=dt.UTC)

    def test_they_come_first(self) -> None:
        """Framework fields are written first, then the payload, then extras."""
        names = [*json.loads(msgspec.json.encode(made(Login, username="a", extra=1)))]

        assert names == [
            *("event_type", "event_schema", "event_id", "event_parent_id", "event_path", "event_timeout"),
            *("event_created_at", "username", "attempts", "extra"),
        ]

    def test_no_two_events_share_a_path(self) -> None:
        """Each event has a path of its own."""
        first, second = Login(username="a"), Login(username="b")
        first.event_path.append("bus")

        assert second.event_path == []

    @pytest.mark.parametrize(
        "given",
        [uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005", "00000000000000000000000000000005", uuid.uuid4()],
        ids=["version 0", "text", "hex", "version 4"],
    )
    def test_a_given_id_may_be_a_uuid_of_any_version(self, given: object) -> None:
        """A UUID object or its text becomes the id, in the usual form."""
        login = made(Login, username="a", event_id=given, event_parent_id=given)

        assert login.event_id == login.event_parent_id == str(uuid.UUID(str(given)))

    @pytest.mark.parametrize(
        ("name", "value", "fault"),
        [
            ("event_id", "x", "uuid_parsing"),
            ("event_id", None, "uuid_type"),
            ("event_parent_id", "x", "uuid_parsing"),
            ("event_timeout", -1, "greater_than_equal"),
            ("event_timeout", float("nan"), "finite_number"),
            ("event_timeout", float("inf"), "finite_number"),
            ("event_timeout", "soon", "float_parsing"),
            ("event_path", "bus", "list_type"),
            ("event_created_at", "yesterday", "datetime_from_date_parsing"),
            ("event_schema", 5, "string_type"),
            ("event_type", "", "string_pattern_mismatch"),
            ("event_type", "*", "string_pattern_mismatch"),
            ("event_type", "__init__", "string_pattern_mismatch"),
            ("event_type", "L\u043egin", "string_pattern_mismatch"),
            ("event_type", "Login ", "string_pattern_mismatch"),
            ("event_type", "x" * 129, "string_pattern_mismatch"),
        ],
    )
    def test_bad_values_are_refused(self, name: str, value: object, fault: str) -> None:
        """Values given for framework fields are checked like any others."""
        assert faults(Login, username="a", **{name: value}) == [(fault, (name,))]

    @pytest.mark.parametrize(("given", "seconds"), [(None, None), (0, 0.0), ("1.5", 1.5), (True, 1.0)])
    def test_timeouts(self, given: object, seconds: float | None) -> None:
        """A timeout is None or a number of seconds that is not negative."""
        assert made(Login, username="a", event_timeout=given).event_timeout == seconds

    @pytest.mark.parametrize(
        "given",
        [
            "2020-01-01T02:00:00+02:00",
            "2020-01-01T00:00:00Z",
            "2020-01-01T00:00:00",
            1577836800,
            dt.datetime(2020, 1, 1),  # noqa: DTZ001 - naive on purpose
        ],
        ids=str,
    )
    def test_times_are_utc(self, given: object) -> None:
        """A given time of creation is made UTC; without a time zone it is taken as UTC."""
        created = made(Login, username="a", event_created_at=given).event_created_at

        assert created == dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        assert created.tzinfo is dt.UTC

    def test_overrides(self) -> None:
        """A class may give framework fields other defaults, and narrower types."""

        class Slow(Login):
            event_timeout: float | None = 300
            event_type: Literal["slow"] = "slow"  # pyright: ignore[reportIncompatibleVariableOverride] - narrower on purpose
            event_schema: str = "shop/slow@3"

        slow = Slow(username="a")

        assert (slow.event_timeout, slow.event_type, slow.event_schema) == (300.0, "slow", "shop/slow@3")
        assert Slow.__event_type__ == "slow"
        assert faults(Slow, username="a", event_type="fast") == [("literal_error", ("event_type",))]

    def test_a_bad_override_is_refused(self) -> None:
        """A default that no event may have is an error of the class."""
        with pytest.raises(DefinitionError, match="event_timeout = -1"):
            new_class("Slow", Login, event_timeout=-1)

    def test_a_class_that_has_no_wire_name_is_refused(self) -> None:
        """A class whose name is no plain ASCII needs an event_type."""
        with pytest.raises(DefinitionError, match="give it one"):
            new_class("Gr\u00f6\u00dfe", BaseEvent)

    def test_versions(self) -> None:
        """`version=` stands in the schema of that class."""

        class Order(BaseEvent[None], version="2"):
            pass

        class Later(Order):
            pass

        assert Order().event_schema.endswith("Order@2")
        assert Later().event_schema.endswith("Later@1.0.0")

    def test_the_version_comes_from_the_environment(self) -> None:
        """LIBRARY_VERSION is read at import."""
        code = "from bubus import BaseEvent\nclass E(BaseEvent): pass\nprint(E().event_schema)"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "LIBRARY_VERSION": "7.8"},
            capture_output=True,
            text=True,
            check=True,
        )

        assert done.stdout.strip() == "__main__.E@7.8"


class TestConstruction:
    def test_values_are_converted(self) -> None:
        """Arguments are converted as pydantic converts them."""
        login = made(Login, username=b"a", attempts="5")

        assert (login.username, login.attempts) == ("a", 5)

    def test_R36_every_bad_argument_is_told_at_once(self) -> None:
        """One error lists missing and bad arguments, also those of the framework."""
        assert faults(Login, attempts="x", event_timeout=-1) == [
            ("greater_than_equal", ("event_timeout",)),
            ("missing", ("username",)),
            ("int_parsing", ("attempts",)),
        ]

    def test_the_error_has_pydantics_shape(self) -> None:
        """errors() has type, loc, msg and input; to what is missing belongs all that was given."""
        with pytest.raises(ValidationError) as caught:
            made(Login, attempts=1)

        assert isinstance(caught.value, ValueError)
        assert caught.value.title == "Login"
        assert caught.value.errors() == [
            {"type": "missing", "loc": ("username",), "msg": "Field required", "input": {"attempts": 1}}
        ]

    def test_R36_positional_arguments_are_refused(self) -> None:
        """Events are made by keyword."""
        login: Any = Login

        with pytest.raises(TypeError, match="positional"):
            login("a")

    def test_nothing_is_named_so_that_it_collides(self) -> None:
        """Fields may be called like anything that the constructor uses itself."""

        class Odd(BaseEvent[None]):
            cls: int
            value: int
            type: int
            given: int
            faults: int
            isinstance: int

        odd = made(Odd, **dict.fromkeys(("cls", "value", "type", "given", "faults", "isinstance", "self"), "7"))

        assert (odd.cls, odd.value, odd.type, odd.given, odd.faults, odd.isinstance) == (7,) * 6
        assert odd.model_extra == {"self": "7"}

    def test_an_ad_hoc_event_needs_no_class(self) -> None:
        """BaseEvent itself takes any payload."""
        event = made(BaseEvent[Any], event_type="Ping", a=1)

        assert (event.event_type, event.model_extra) == ("Ping", {"a": 1})

    def test_a_written_constructor_is_called(self) -> None:
        """A class may have a constructor of its own, which its subclasses inherit."""

        class Named(Login):
            def __init__(self, name: str, **more: Any) -> None:
                super().__init__(username=name.upper(), **more)

        class Twice(Named):
            times: int = 2

        twice: Any = Twice

        assert Named("a", attempts="3").attempts == 3
        assert twice("a", times="5").times == 5
        assert twice("b").username == "B"
        with pytest.raises(ValidationError) as caught:
            twice("a", times="x")
        assert caught.value.title == "Twice"

    def test_the_constructor_of_a_mixin_is_called(self) -> None:
        """A plain mixin may wrap the constructor, as everywhere in Python."""

        class Stamp:
            def __init__(self, **arguments: Any) -> None:
                super().__init__(**{"username": "stamped", **arguments})

        class Stamped(Stamp, Login):
            pass

        assert made(Stamped).username == "stamped"

    def test_the_source_of_the_constructor_can_be_read(self) -> None:
        """The written constructor has a place in linecache, so that debuggers show it, until the class is gone."""

        class Short(BaseEvent[None]):
            amount: int

        filename = Short.__init__.__code__.co_filename

        assert "amount" in inspect.getsource(Short.__init__)
        assert filename in linecache.cache
        del Short
        gc.collect()
        assert filename not in linecache.cache

    def test_cyclic_values_are_refused(self) -> None:
        """A value that contains itself is a fault, not a crash, where its type has no end."""
        cyclic: dict[str, Any] = {"v": 1, "kids": []}
        cyclic["kids"].append(cyclic)

        class Deep(BaseEvent[None]):
            tree: Tree

        assert faults(Deep, tree=cyclic) == [("recursion_loop", ("tree",))]

    def test_R60_an_event_class_is_an_attrs_class(self) -> None:
        """Attrs knows the class and its fields, with evaluated types."""
        fields = attrs.fields(Login)
        evolve = vars(attrs)["evolve"]  # type checkers cannot tell what it returns
        replaced = evolve(Login(username="a"), username="b")

        assert fields.username.type is str
        assert fields.attempts.default == 0
        assert attrs.asdict(Login(username="a"))["username"] == "a"
        assert replaced.username == "b"
        assert attrs.has(Login)

    def test_R60_classes_are_registered_once(self) -> None:
        """A class is known by its wire name, once, and forgotten with it."""

        class Remembered(BaseEvent[None]):
            pass

        assert candidates("Remembered") == [Remembered]
        assert registered("Remembered") is Remembered
        del Remembered
        gc.collect()
        assert registered("Remembered") is None

    def test_the_latest_of_two_classes_of_a_name_counts(self) -> None:
        """Two living classes of one name are ambiguous; that can be found out."""

        def make() -> type[BaseEvent[Any]]:
            class Doubled(BaseEvent[None]):
                pass

            return Doubled

        first, second = make(), make()

        assert registered("Doubled") is second
        assert candidates("Doubled") == [first, second]


class TestExtras:
    def test_unknown_arguments_are_kept(self) -> None:
        """By default what is no field is kept beside the fields."""
        login = made(Login, username="a", ip="::1")

        assert login.model_extra == {"ip": "::1"}
        assert vars(login)["ip"] == "::1"

    def test_R49_they_can_be_forbidden(self) -> None:
        """extra="forbid" refuses them, in the constructor and from JSON, also in subclasses."""

        class Strict(Login):
            model_config = {"extra": "forbid"}  # noqa: RUF012 - as in pydantic

        class Stricter(Strict):
            pass

        for cls in (Strict, Stricter):
            assert faults(cls, usrname="a") == [("missing", ("username",)), ("extra_forbidden", ("usrname",))]
            with pytest.raises(ValidationError, match="usrname"):
                cls.model_validate_json('{"username": "a", "usrname": "b"}')

    def test_they_can_be_ignored(self) -> None:
        """extra="ignore" drops them."""

        class Loose(Login):
            model_config = {"extra": "ignore"}  # noqa: RUF012

        loose = made(Loose, username="a", ip=1)

        assert "ip" not in vars(loose)
        assert loose.model_extra is None, "as in pydantic"

    @pytest.mark.parametrize("name", ["_secret", "_event_state", "event_result", "model_dump", "__class__"])
    def test_names_that_would_be_lost_or_hide_something_are_refused(self, name: str) -> None:
        """An extra can neither replace what events can do, nor reach their state."""
        assert faults(Login, username="a", **{name: 1}) == [("extra_forbidden", (name,))]

    def test_a_misspelt_setting_is_told_of(self) -> None:
        """It is kept, as every extra, with a warning where it was given; other names, and JSON, are left alone."""
        with pytest.warns(
            UserWarning, match=r"^Login has no field event_timeot.*; did you mean event_timeout\?"
        ) as told:
            login = made(Login, username="a", event_timeot=3)
        assert login.model_extra == {"event_timeot": 3}
        assert login.event_timeout == 60
        with pytest.warns(UserWarning, match="event_tiemout") as told_here:
            Login.model_validate({"username": "a", "event_tiemout": 3})
        assert [one.filename for one in told_here] == [__file__]
        assert len(told) == 1
        assert told[0].filename.endswith("field_kinds.py"), "which has `made`"

        free = made(Login, username="a", event_colour="red", model_x=1, event_part=2, even_timeout=3)
        assert set(free.model_extra or {}) == {"event_colour", "model_x", "event_part", "even_timeout"}
        for again in (
            Login.model_validate_json(login.model_dump_json()),
            decode(encode(login), Login),
            login.model_copy(),
            pickle.loads(pickle.dumps(login)),
        ):
            assert again.model_extra == {"event_timeot": 3}

    def test_what_became_of_another_event_is_dropped(self) -> None:
        """A dump may say how an event ended; an event made from it has not ended."""
        login = Login.model_validate({"username": "a", "event_status": "completed", "event_results": {}})

        assert login.model_extra == {}
        assert login.event_status == "pending"

    @pytest.mark.parametrize("config", [{"extra": "maybe"}, {"exrta": "forbid"}])
    def test_unknown_settings_are_refused(self, config: dict[str, str]) -> None:
        """A setting that is not there is an error of the class."""
        with pytest.raises(DefinitionError, match="model_config"):
            new_class("Wrong", BaseEvent, model_config=config)


class TestResults:
    @pytest.mark.parametrize(
        ("declared", "expected"),
        [(BaseEvent, Any), (BaseEvent[None], None), (BaseEvent[Any], Any)],
        ids=["bare", "None", "Any"],
    )
    def test_nothing_is_checked_without_a_type(self, declared: Any, expected: Any) -> None:
        """BaseEvent, BaseEvent[None] and BaseEvent[Any] check no result."""
        cls = new_class("Made", declared)

        assert cls.event_result_type is expected
        assert cls.__event_result__ is None

    def test_the_type_is_inherited(self) -> None:
        """A subclass returns what its base returns."""

        class Special(Login):
            pass

        assert Special.event_result_type is str
        assert Special.__event_result__ is not None
        assert Special.__event_result__("x") == "x"

    def test_it_can_be_overridden(self) -> None:
        """A class attribute event_result_type replaces T; an argument would not, so it is refused."""

        class Counted(Login):
            event_result_type = int

        assert Counted.event_result_type is int
        check = Counted.__event_result__
        assert check is not None
        assert check("5") == 5
        assert "event_result_type" not in {field.name for field in attrs.fields(Counted)}
        with pytest.raises(ValidationError, match=r"event_result_type\n.*BaseEvent\[…\]"):
            made(Login, username="a", event_result_type=int)
        assert Login.model_validate(made(Login, username="a").model_dump()).event_result_type is str

    def test_a_bad_result_is_told(self) -> None:
        """A value that T does not admit raises ValidationError; None always passes."""
        check = Login.__event_result__
        assert check is not None
        assert check(None) is None
        with pytest.raises(ValidationError, match="the result of Login"):
            check(5)

    def test_a_type_variable_with_a_bound_counts(self) -> None:
        """A generic event that is not filled in checks what is known of its type variables."""
        assert repr(Page.event_result_type) == "list[~T]"
        assert Page.__event_result__ is not None
        assert Page.__event_result__((1, "a")) == [1, "a"]
        with pytest.raises(ValidationError):
            Page.__event_result__(5)


class TestGenerics:
    def test_a_filled_in_class_checks_fields_and_results(self) -> None:
        """Page[int] is a Page whose fields typed T, and results, are checked against int."""
        page = made(Page[int], items=["1"], first="2")

        assert isinstance(page, Page)
        assert (page.items, page.first, page.event_type) == ([1], 2, "Page")
        assert faults(Page[int], items=["x"]) == [("int_parsing", ("items", 0))]
        check = Page[int].__event_result__
        assert check is not None
        assert check(["3"]) == [3]

    def test_it_is_made_once(self) -> None:
        """The same arguments give the same class; its origin is what handlers match."""
        assert Page[int] is Page[int]
        assert Page[int] is not Page[str]
        assert Page[int].__event_origin__ is Page
        assert Page.__event_origin__ is Page
        assert Page in candidates("Page")
        assert Page[int] not in candidates("Page")

    def test_equal_literals_of_different_types_do_not_share_a_class(self) -> None:
        """Literal[1] and Literal[True] are equal in Python, and yet not the same."""
        assert Page[Literal[1]] is not Page[Literal[True]]

    def test_a_subclass_of_a_filled_in_class(self) -> None:
        """A subclass inherits what the type variable stands for, and has a type of its own."""

        class Names(Page[str]):
            total: int = 0

        assert Names.event_result_type == list[str]
        assert Names(items=["a"]).event_type == "Names"
        assert faults(Names, items=[5]) == [("string_type", ("items", 0))]

    def test_type_variables_pass_through_generic_subclasses(self) -> None:
        """A generic subclass may rename, reorder and add type variables."""
        K = TypeVar("K")
        V = TypeVar("V")

        class Keyed(Page[V], Generic[K, V]):
            key: K

        keyed = made(Keyed[str, int], items=["1"], key="a")

        assert keyed.items == [1]
        assert Keyed[str, int].event_result_type == list[int]
        assert faults(Keyed[str, int], items=[], key=1) == [("string_type", ("key",))]

    def test_plain_msgspec_reads_a_filled_in_class(self) -> None:
        """Plain decode checks by the type argument as well."""
        line = msgspec.json.encode(Page[int](items=[1]))

        assert msgspec.json.decode(line, type=Page[int]).items == [1]
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(line.replace(b"[1]", b'["a"]'), type=Page[int])

    def test_an_ad_hoc_result_type_counts(self) -> None:
        """BaseEvent[str](…) is an event whose results are checked."""
        event = BaseEvent[str](event_type="Ping")

        assert type(event).__event_result__ is not None
        assert event.event_type == "Ping"
        assert BaseEvent[str]().event_type == "BaseEvent"

    def test_a_class_without_type_variables_cannot_be_filled_in(self) -> None:
        """Login[int] is a mistake."""
        login: Any = Login

        with pytest.raises(TypeError, match="not a generic class"):
            login[int]


class TestNestedEvents:
    def test_R49_an_event_in_a_field_keeps_its_identity(self) -> None:
        """An event given for a field is that event, also of a subclass."""

        class Special(Login):
            pass

        inner, special = Login(username="a"), Special(username="b")
        holder = Holder(inner=inner, more=[inner, special])

        assert holder.inner is inner
        assert holder.more[0] is inner
        assert holder.more[1] is special

    def test_a_dict_becomes_an_event(self) -> None:
        """A dict given for a field is made an event of the declared class, with its faults in place."""
        assert made(Holder, inner={"username": "a"}).inner.username == "a"
        assert faults(Holder, inner={}, more=[{"username": 5}, 7]) == [
            ("missing", ("inner", "username")),
            ("string_type", ("more", 0, "username")),
            ("model_type", ("more", 1)),
        ]


class TestComparison:
    def test_class_and_fields_count(self) -> None:
        """Events are equal when class, fields and extras are."""

        class Special(Login):
            pass

        login = made(Login, username="a", ip=1)
        same = Login.model_validate(login.model_dump())
        other = Special.model_validate({**login.model_dump(), "event_type": "Login"})

        assert login == same
        assert login != made(Login, username="a", ip=1), "another id"
        assert login != Login.model_validate({**login.model_dump(), "ip": 2})
        assert login != other
        assert login != "a"

    def test_the_hash_is_that_of_the_id(self) -> None:
        """An event can be a key, also while its fields change."""
        login = Login(username="a")
        known = {login: 1}
        login.username = "b"

        assert hash(login) == hash(login.event_id)
        assert known[login] == 1

    def test_fields_can_be_left_out(self) -> None:
        """attrs.field(eq=False) does not count."""

        class Noted(Login):
            note: str = attrs.field(default="", eq=False)

        first = made(Noted, username="a", note="x")

        assert first == Noted.model_validate({**first.model_dump(), "note": "y"})

    def test_filled_in_classes_compare_by_their_origin(self) -> None:
        """Page[int] and Page events are equal when their fields are."""
        page = Page[int](items=[1])

        assert page == Page.model_validate(page.model_dump())


class TestRepr:
    def test_it_is_short(self) -> None:
        """The repr shows class, end of the id, payload and extras."""
        login = made(Login, username="a", ip="::1")

        assert repr(login) == f"Login#{login.event_id[-4:]}(username='a', attempts=0, ip='::1')"

    def test_S7_control_characters_are_escaped(self) -> None:
        """Nothing that a terminal obeys goes through."""
        shown = repr(made(Login, username="\x1b[31m\u202e\x9b\u2028", **{"a\x1bb": 1}))

        assert shown.isprintable()

    def test_long_values_are_cut(self) -> None:
        """A long value does not fill the screen."""
        assert len(repr(Login(username="x" * 10_000))) < 200

    def test_a_value_that_cannot_be_shown_is_named(self) -> None:
        """A value whose repr raises does not break that of the event."""

        class Silent:
            def __repr__(self) -> str:
                raise RuntimeError("no")

        assert "unprintable" in repr(made(Login, username="a", odd=Silent()))

    def test_fields_can_be_hidden(self) -> None:
        """attrs.field(repr=False) is not shown."""

        class Secret(BaseEvent[None]):
            password: str = attrs.field(repr=False)

        assert "hunter2" not in repr(Secret(password="hunter2"))


def through_pickle(event: T) -> T:
    """Return what pickle makes of an event."""
    back: T = pickle.loads(pickle.dumps(event))
    return back


class TestCopies:
    @pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, through_pickle])
    def test_a_copy_has_the_same_fields_and_no_state(self, make: Callable[[Login], Login]) -> None:
        """copy, deepcopy and pickle give an equal event that no bus has seen."""
        login = made(Login, username="a", extra=[1])
        vars(login)["_event_state"] = object()
        other = make(login)

        assert other == login
        assert other is not login
        assert other.event_id == login.event_id
        assert "_event_state" not in vars(other)

    def test_a_deep_copy_shares_nothing(self) -> None:
        """A deep copy copies what is in the fields, a shallow one does not."""
        login = made(Login, username="a", extra=[1])

        assert extra_of(copy.deepcopy(login)) is not extra_of(login)
        assert extra_of(copy.copy(login)) is extra_of(login)

    def test_events_of_filled_in_classes_are_pickled(self) -> None:
        """Page[int] has no name in its module, and its events can be pickled all the same."""
        page = Page[int](items=[1])
        back = pickle.loads(pickle.dumps(page))

        assert back == page
        assert type(back) is Page[int]


class TestState:
    def test_it_is_part_of_nothing(self) -> None:
        """Run-time state is never written, dumped, compared or shown."""
        login = Login(username="a")
        same = copy.copy(login)
        vars(login)["_event_state"] = "state"

        assert login == same
        assert "state" not in repr(login).replace("_event_state", "")
        assert "_event_state" not in login.model_dump()
        assert b"_event_state" not in msgspec.json.encode(login)
        assert login.model_extra == {}
        assert attrs.asdict(login) == attrs.asdict(same)


class TestPlainMsgspec:
    def test_a_plain_decoded_event_is_complete(self) -> None:
        """Plain msgspec bypasses the constructor; ids, time and path are there all the same."""
        login = msgspec.json.decode(b'{"username": "a", "_event_state": 5}', type=Login)

        assert uuid.UUID(login.event_id).version == 7
        assert login.event_created_at.tzinfo is not None
        assert (login.event_type, login.event_path, login.attempts) == ("Login", [], 0)
        assert "_event_state" not in vars(login)

    def test_both_ways(self) -> None:
        """What plain msgspec writes, plain msgspec reads."""
        holder = Holder(inner=Login(username="a"))

        assert msgspec.json.decode(msgspec.json.encode(holder), type=Holder) == holder

    def test_R59_plain_msgspec_runs_validators(self) -> None:
        """Validators of attrs run there too."""

        class Limited(BaseEvent[None]):
            amount: int = attrs.field(validator=attrs.validators.gt(0))

        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(b'{"amount": 0}', type=Limited)


class TestPydanticsWords:
    def test_model_validate_takes_events_and_dicts(self) -> None:
        """An event of the class passes as it is, a dict makes one, anything else is refused."""
        login = Login(username="a")

        assert Login.model_validate(login) is login
        assert Login.model_validate({"username": "a", "attempts": "1"}).attempts == 1
        with pytest.raises(ValidationError) as caught:
            Login.model_validate(5)
        assert caught.value.errors()[0]["type"] == "model_type"
        with pytest.raises(ValidationError, match="Keys should be strings"):
            Login.model_validate({1: 2})

    def test_strict_validation_converts_nothing(self) -> None:
        """strict=True takes only values of the right type."""
        with pytest.raises(ValidationError):
            Login.model_validate({"username": "a", "attempts": "1"}, strict=True)

    def test_a_dump_is_a_dict(self) -> None:
        """model_dump makes dicts of events, dataclasses, attrs classes and Structs, through containers."""

        @dataclasses.dataclass
        class Item:
            price: int

        class Order(BaseEvent[None]):
            items: list[Item]
            when: dt.date
            login: Login | None = None

        order = Order(items=[Item(1)], when=dt.date(2020, 1, 1), login=Login(username="a"))
        dumped, in_json = order.model_dump(), order.model_dump(mode="json")

        assert (dumped["items"], dumped["when"]) == ([{"price": 1}], dt.date(2020, 1, 1))
        assert in_json["when"] == "2020-01-01"
        assert dumped["login"]["username"] == "a"
        assert json.loads(order.model_dump_json()) == in_json

    def test_a_dump_can_be_validated(self) -> None:
        """An event made from a dump, in Python or JSON, is equal to the dumped one."""
        login = made(Login, username="a", extra={"b": [1]})

        assert Login.model_validate(login.model_dump()) == login
        assert Login.model_validate_json(login.model_dump_json()) == login

    def test_json_that_is_none_is_told(self) -> None:
        """Text that is no JSON is a fault of type json_invalid, JSON that is no object one of type model_type."""
        for text, kind in (("{", "json_invalid"), ("[]", "model_type"), (b"\xff", "json_invalid")):
            with pytest.raises(ValidationError) as caught:
                Login.model_validate_json(text)
            assert caught.value.errors()[0]["type"] == kind
