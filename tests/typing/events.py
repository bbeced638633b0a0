"""Event classes, constructed rightly and wrongly. Only type checkers read this folder; see tests/test_typing.py."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar, assert_type

import attrs

from bubus import BaseEvent, Field

T = TypeVar("T")


def is_short(event: object, attribute: attrs.Attribute[str], value: str) -> None:
    """Check a value, as attrs validators do."""
    del event, attribute, value


class Login(BaseEvent[str]):
    """An event with fields of every kind."""

    user: str
    admin: bool = False
    tags: list[str] = []  # noqa: RUF012 - each event gets its own
    limit: int = Field(default=3)
    named: int = Field(default=3, alias="named")
    parts: list[int] = Field(default_factory=list[int])
    shown: str = Field(repr=False)
    short: str = attrs.field(default="", validator=is_short)
    made: dict[str, int] = attrs.field(factory=dict[str, int])
    hidden: str = attrs.field(default="", init=False)
    known: ClassVar[int] = 0


class AdminLogin(Login):
    """Inherits fields and result."""

    level: int = 1


class Counting(BaseEvent[None]):
    """An event with an attribute of its own that is no field."""

    _seen: int = 0

    def look(self) -> int:
        """Read and write it."""
        self._seen += 1
        self._seen = "one"  # must fail: a str is no int
        return assert_type(self._seen, int)


class Stamp:
    """A mixin that is no event."""

    stamp: ClassVar[str] = "x"


class Stamped(Stamp, BaseEvent[int]):
    """An event with a mixin."""

    text: str = ""


class Page(BaseEvent[list[T]], Generic[T]):
    """A generic event."""

    first: T
    number: int = 0


class Pair(BaseEvent[tuple[T, int]], Generic[T], version="2"):
    """A generic event of a version."""

    left: T


class Numbers(Page[int]):
    """A generic event whose type is settled."""


class ByPosition(BaseEvent[None]):
    """Type checkers see a default by its keyword only (PEP 681); at run time, this field has one."""

    count: int = Field(3)


class BadDefault(BaseEvent[None]):
    """Defaults are checked."""

    count: int = "three"  # must fail: a str is no int
    limit: int = Field(default="three")  # must fail: a str is no int
    parts: list[int] = Field(default_factory=list[str])  # must fail: a list of str is no list of int


# Construction.
assert_type(Login(user="a", shown="b"), Login)
assert_type(Login(user="a", shown="b", admin=True, tags=["x"], limit=1, named=2, parts=[1], short="", made={}), Login)
assert_type(AdminLogin(user="a", shown="b", level=3), AdminLogin)
assert_type(Stamped(text="a"), Stamped)
assert_type(Counting(), Counting)
assert_type(Page[int](first=1), Page[int])
assert_type(Page(first="x"), Page[str])
assert_type(Pair[str](left=""), Pair[str])
assert_type(Numbers(first=1), Numbers)
assert_type(ByPosition(count=3), ByPosition)
ByPosition()  # must fail: the default was given by position
Login()  # must fail: user and shown are missing
Login(user="a")  # must fail: shown is missing
Login(user=1, shown="b")  # must fail: an int is no str
Login(user="a", shown=None)  # must fail: None is no str
Login(user="a", shown="b", colour="red")  # must fail: there is no such field
Login("a", shown="b")  # must fail: by keyword only
Login(user="a", shown="b", hidden="c")  # must fail: not an argument
Login(user="a", shown="b", known=1)  # must fail: a class variable
Login(user="a", shown="b", tags=[1])  # must fail: a list of int is no list of str
Login(user="a", shown="b", parts=["x"])  # must fail: a list of str is no list of int
Login(user="a", shown="b", short=1)  # must fail: an int is no str
AdminLogin(level=1)  # must fail: inherited fields are missing
AdminLogin(user="a", shown="b", level="high")  # must fail: a str is no int
Page[int](first="x")  # must fail: a str is no int
Pair[str](left=1)  # must fail: an int is no str
Numbers(first="x")  # must fail: a str is no int

# The fields that every event has.
login = Login(user="a", shown="b", event_timeout=None, event_parent_id="x", event_id="y", event_path=["bus"])
assert_type(Login(user="a", shown="b", event_type="Other"), Login)
Login(user="a", shown="b", event_timeout="soon")  # must fail: a str is no number
Login(user="a", shown="b", event_parent_id=1)  # must fail: an int is no str
Login(user="a", shown="b", event_results={})  # must fail: not an argument
Login(user="a", shown="b", event_bus=None)  # must fail: not an argument
Login(user="a", shown="b", _event_state=None)  # must fail: private
assert_type(login.event_id, str)
assert_type(login.event_type, str)
assert_type(login.event_schema, str)
assert_type(login.event_path, list[str])
assert_type(login.event_timeout, float | None)
assert_type(login.event_parent_id, str | None)
assert_type(login.event_created_at, datetime)
assert_type(login.event_started_at, datetime | None)
assert_type(login.event_completed_at, datetime | None)
assert_type(login.event_children, list[BaseEvent[Any]])
login.event_status = "completed"  # must fail: nobody else sets it
login.event_results = {}  # must fail: nobody else sets it

# Fields.
assert_type(login.user, str)
assert_type(login.limit, int)
assert_type(login.parts, list[int])
assert_type(login.made, dict[str, int])
assert_type(login.hidden, str)
assert_type(Login.known, int)
assert_type(AdminLogin(user="a", shown="b").user, str)
assert_type(Page[int](first=1).first, int)
assert_type(Numbers(first=1).first, int)
assert_type(Stamped().stamp, str)
login.user = "b"
login.user = 3  # must fail: an int is no str
login.colour = "red"  # must fail: there is no such field

# Ad-hoc events.
assert_type(BaseEvent[Any](event_type="Any"), BaseEvent[Any])
assert_type(BaseEvent[Any](event_type="Any", user="a", count=1), BaseEvent[Any])
assert_type(BaseEvent[int](), BaseEvent[int])
BaseEvent[Any]("Any")  # must fail: by keyword only
BaseEvent[Any](event_type=1)  # must fail: an int is no str

# Copies, and pydantic's words.
assert_type(copy.copy(login), Login)
assert_type(copy.deepcopy(Page[int](first=1)), Page[int])
assert_type(copy.replace(login, user="b"), Login)
assert_type(attrs.evolve(login, user="b"), Login)  # must fail in mypy: its plugin knows decorated classes only
copy.replace(login, user=3)  # must fail in mypy: an int is no str; for others, copy.replace takes anything
copy.replace(login, colour="red")  # must fail in mypy: there is no such field
assert_type(Login.model_validate({"user": "a"}), Login)
assert_type(Page[int].model_validate({"first": 1}), Page[int])
assert_type(AdminLogin.model_validate_json(b"{}"), AdminLogin)
assert_type(login.model_dump_json(), str)
Login.model_validate_json({"user": "a"})  # must fail: a dict is no JSON
login.model_dump(mode="yaml")  # must fail: there is no such mode
