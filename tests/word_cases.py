"""
The words of pydantic, and what programs do with them: the table in which bubus is compared with pydantic.

A case makes a class from a vocabulary, ours or pydantic's, and does something with it. `tests/test_words_table.py` runs
each with both and compares the outcomes.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import functools
import ipaddress
import json
import os
import pathlib
import re
import types
import uuid
import warnings
from collections import abc
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, NewType, NotRequired, TypeAlias
from zoneinfo import ZoneInfo

import annotated_types as at
import attrs
import msgspec
import pydantic
from typing_extensions import TypedDict, TypeIs

import bubus
from bubus._narrow import is_dict, is_list_or_tuple

Make: TypeAlias = Callable[["Vocabulary"], Any]
Act: TypeAlias = Callable[[Any], Any]


@attrs.frozen
class Vocabulary:
    """The words of one library."""

    base: Any
    words: Any
    ours: bool

    def __getattr__(self, name: str) -> Any:
        return getattr(self.words, name)

    def new(self, /, *, config: dict[str, Any] | None = None, **fields: Any) -> Any:
        """Return a class with fields: an annotation, or an annotation and what stands behind the ``=``."""
        body: dict[str, Any] = {"__annotations__": {}, "__module__": __name__}
        for name, field in fields.items():
            body["__annotations__"][name] = field[0] if isinstance(field, tuple) else field
            if isinstance(field, tuple):
                body[name] = field[1]
        if config is not None:
            body["model_config"] = config
        return types.new_class("M", (self.base,), exec_body=lambda namespace: namespace.update(body))


class _Base(pydantic.BaseModel):
    """What is nearest to a bare event among pydantic's models."""

    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)


OURS = Vocabulary(bubus.BaseEvent, bubus, ours=True)
THEIRS = Vocabulary(_Base, pydantic, ours=False)


@attrs.frozen
class Case:
    """One thing to try."""

    name: str
    make: Make
    act: Act


def new(name: str, make: Make, /, **acts: Act) -> Iterator[Case]:
    """Yield one case per thing to do with a class."""
    for title, act in acts.items():
        yield Case(f"{name}: {title}", make, act)


def is_set(value: object) -> TypeIs[set[Any]]:
    """Tell whether *value* is a set."""
    return isinstance(value, set)


def shown(value: Any) -> str:
    """Return the repr of *value* with sets in order, which must not depend on the process."""
    if is_dict(value):
        return "{" + ", ".join(f"{key!r}: {shown(one)}" for key, one in value.items()) + "}"
    return "{" + ", ".join(sorted(map(repr, value))) + "}" if is_set(value) else repr(value)


class Colour(enum.Enum):
    """Members of their own kind."""

    RED = "red"
    BLUE = 2


class Ranked(enum.IntEnum):
    """Members that are numbers."""

    LOW = 1
    HIGH = 2


class Pair(NamedTuple):
    """A NamedTuple."""

    a: int
    b: str = "x"


class Plain:
    """A class that nobody can decode."""


# -- limits ------------------------------------------------------------------------------------------------------------

Row: TypeAlias = "tuple[Any, dict[str, Any], dict[str, Any], list[Any]]"
"""A type, what `Field` says of it, settings of the class, and values."""

NAN, INF = float("nan"), float("inf")

LIMITS: list[Row] = [
    (int, {"gt": 3}, {}, [3, 4, "4", 3.0, None]),
    (int, {"ge": 3}, {}, [2, 3]),
    (int, {"lt": 3}, {}, [3, 2]),
    (int, {"le": 3}, {}, [4, 3]),
    (int, {"multiple_of": 3}, {}, [4, 6, 0]),
    (int, {"gt": 1, "lt": 5, "multiple_of": 2}, {}, [1, 3, 4, 6]),
    (float, {"gt": 1.5}, {}, [1.5, "1.6", NAN]),
    (float, {"multiple_of": 0.5}, {}, [1.25, 1.5]),
    (float, {"allow_inf_nan": False}, {}, [NAN, INF, "inf", 1.0]),
    (float, {}, {"allow_inf_nan": False}, [NAN, 1]),
    (Decimal, {"gt": 1}, {}, ["1", "1.01"]),
    (Decimal, {"max_digits": 4, "decimal_places": 2}, {}, ["1.234", "123.45", "1234", "99.99", "0.001", "1E3", "-1.5"]),
    (Decimal, {"max_digits": 3}, {}, ["1.234", "0.0012", "12345", "0.123", "1.50"]),
    (Decimal, {"decimal_places": 1}, {}, ["1.234", "12345", "0.1", "1.50"]),
    (Decimal, {"allow_inf_nan": True}, {}, ["NaN", "1"]),
    (Decimal, {"multiple_of": Decimal("0.5")}, {}, ["1.25", 1.5]),
    (bool, {"gt": 0}, {}, [False, True]),
    (str, {"min_length": 2}, {}, ["a", "ab", b"a"]),
    (str, {"max_length": 2}, {}, ["abc", "ab", "\U0001f600\U0001f600"]),
    (str, {"pattern": "^a.c$"}, {}, ["abc", "xabc", "a\nc"]),
    (str, {"pattern": "b"}, {}, ["abc", "ac"]),
    (str, {"min_length": 1, "max_length": 3, "pattern": "^[a-z]*$"}, {}, ["", "ABC", "abcd", "abc"]),
    (str, {"coerce_numbers_to_str": True}, {}, [1, 1.5, True, Decimal("1.50"), None]),
    (bytes, {"min_length": 2, "max_length": 3}, {}, [b"a", b"abcd", "ab"]),
    (list[int], {"min_length": 1, "max_length": 2}, {}, [[], [1], [1, 2, 3], ["x"]]),
    (set[int], {"min_length": 2}, {}, [[1, 1], [1, 2]]),
    (tuple[int, ...], {"max_length": 1}, {}, [(1, 2), [1]]),
    (dict[str, int], {"min_length": 1}, {}, [{}, {"a": 1}]),
    (dt.date, {"gt": dt.date(2020, 1, 1)}, {}, ["2020-01-01", "2020-01-02"]),
    (dt.datetime, {"le": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, {}, ["2020-01-01T00:00:01Z", "2020-01-01T00:00:00Z"]),
    (dt.timedelta, {"gt": dt.timedelta(days=1, seconds=5)}, {}, [5, 90000]),
    (dt.timedelta, {"ge": dt.timedelta(seconds=-300)}, {}, [-301, -300]),
    (dt.time, {"lt": dt.time(3, 4)}, {}, ["03:04", "03:03"]),
    (int | None, {"gt": 3}, {}, [None, 3, 4]),
    (str | None, {"min_length": 2}, {}, ["a", None]),
    (list[int] | None, {"max_length": 1}, {}, [[1, 2], None]),
    (int | str, {"union_mode": "left_to_right"}, {}, ["1", "a", 1]),
    (int | str, {}, {}, ["1", "a", 1]),
    (Any, {"gt": 3}, {}, [3, 4]),
    (Annotated[int, at.Ge(1), at.Ge(5)], {}, {}, [3, 5]),
    (Annotated[int, at.Ge(5), at.Ge(1)], {}, {}, [3, 0]),
    (Annotated[int, at.Ge(5)], {"ge": 1}, {}, [3, 5]),
    (Annotated[int, at.Ge(5)], {"lt": 9}, {}, [4, 9, 8]),
    (Annotated[int, at.Interval(gt=1, le=5)], {"multiple_of": 2}, {}, [1, 2, 3, 6]),
    (Annotated[str, at.Len(2, 3)], {"pattern": "^a"}, {}, ["a", "abcd", "bcd", "abc"]),
    (Annotated[list[Annotated[int, at.Gt(0)]], at.MinLen(1)], {}, {}, [[], [0], [1]]),
    (list[Annotated[str, at.MaxLen(1)]], {"max_length": 1}, {}, [["ab"], ["a", "b"], ["a"]]),
    (dict[Annotated[str, at.MinLen(2)], Annotated[int, at.Gt(0)]], {}, {}, [{"a": 1}, {"ab": 0}, {"ab": 1}]),
    (int, {"strict": True}, {}, ["1", 1, True, 1.0]),
    (list[int], {"strict": True}, {}, [["1"], (1,)]),
    (int | None, {"strict": True}, {}, ["1", None]),
    (dt.date, {"strict": True}, {}, ["2020-01-01", dt.date(2020, 1, 1)]),
    (int, {"strict": False}, {"strict": True}, ["1"]),
    (int, {}, {"strict": True}, ["1", 1]),
    (list[int], {}, {"strict": True}, [["1"], [1], (1,)]),
    (dict[str, float], {}, {"strict": True}, [{"a": "1"}, {"a": 1}]),
    (str, {}, {"str_strip_whitespace": True}, ["  a ", b" a ", "\ta\n"]),
    (str, {"min_length": 3}, {"str_strip_whitespace": True}, [" a      ", " abc "]),
    (str, {}, {"str_to_lower": True}, ["ABC", "\u0130"]),
    (str, {}, {"str_to_upper": True}, ["abc", "\u00df"]),
    (str, {"pattern": "^[a-z]+$"}, {"str_to_upper": True}, ["ab", "AB"]),
    (str, {}, {"str_min_length": 2, "str_max_length": 3}, ["a", "abcd", "ab"]),
    (str, {"min_length": 1}, {"str_min_length": 2}, ["a", ""]),
    (str | None, {"min_length": 1}, {"str_min_length": 2}, ["a", ""]),
    (dict[str, list[str]], {}, {"str_to_upper": True}, [{"a": ["b"]}]),
    (str | int, {}, {"str_strip_whitespace": True}, [" a ", 1]),
    (str, {}, {"coerce_numbers_to_str": True}, [1, 1.5, True]),
    (list[str], {}, {"coerce_numbers_to_str": True}, [[1, "a"]]),
    (Colour, {}, {"use_enum_values": True}, ["red", Colour.BLUE, 2, "x"]),
    (list[Colour] | None, {}, {"use_enum_values": True}, [["red"], None]),
    (dict[Colour, int], {}, {"use_enum_values": True}, [{"red": 1}]),
    (Literal["a"], {"description": "a letter"}, {}, ["a", "b"]),
]
_IP = ipaddress.ip_address("10.0.0.1")
STANDARD: list[tuple[Any, list[Any]]] = [
    (ipaddress.IPv4Address, ["10.0.0.1", "x", 5, _IP]),
    (ipaddress.IPv6Address, ["::1", "10.0.0.1"]),
    (ipaddress.IPv4Network, ["10.0.0.0/8", "10.0.0.1/8"]),
    (ipaddress.IPv6Network, ["::/8", 1.5]),
    (ipaddress.IPv4Interface, ["10.0.0.1/8"]),
    (ipaddress.IPv6Interface, ["::1/8"]),
    (re.Pattern, ["a+", "(", 5, re.compile("a")]),
    (re.Pattern[str], ["a", b"a", re.compile(b"a")]),
    (Fraction, ["1/2", 0.5, "1/0", None]),
    (ZoneInfo, ["Europe/Berlin", "Nope", 5]),
    (pathlib.PurePath, ["a", 5, pathlib.PureWindowsPath("a")]),
    (os.PathLike, ["a", b"a"]),
    (os.PathLike[bytes], [b"a", "a"]),
    (complex, ["1+2j", "x", True, b"1"]),
    (abc.Hashable, [1, [1]]),
    (ipaddress.IPv4Address | str, ["10.0.0.1", "x"]),
    (dict[ipaddress.IPv4Address, int], [{"10.0.0.1": "1"}]),
]
"""Types of the standard library that text stands for in JSON, and values."""

META: list[tuple[Any, Any, list[Any]]] = [
    (Annotated[int, msgspec.Meta(gt=3)], Annotated[int, pydantic.Field(gt=3)], [3, 4]),
    (Annotated[str, msgspec.Meta(min_length=2, pattern="^a")], Annotated[str, at.MinLen(2)], ["a", "ab"]),
    (Annotated[list[int], msgspec.Meta(max_length=1)], Annotated[list[int], at.MaxLen(1)], [[1, 2], [1]]),
    (Annotated[float, msgspec.Meta(multiple_of=0.5)], Annotated[float, at.MultipleOf(0.5)], [0.75, 1.5]),
]
"""msgspec's limits, and the same in words that pydantic knows."""


def limit_cases() -> Iterator[Case]:
    """Yield one case per row and value."""
    for kind, facts, config, values in LIMITS:
        name = f"{kind!r} {facts or ''} {config or ''}"
        for value in values:
            yield Case(f"{name}: {value!r}", _limited(kind, facts, config), _made_of(value))
    for kind, values in STANDARD:
        for value in values:
            make = _limited(kind, {}, {})
            yield from new(
                f"{kind!r}: {value!r}",
                make,
                made=_made_of(value),
                strict=_validated(value, strict=True),
                dumped=_dumped({"mode": "json"}, x=value),
            )
            if isinstance(value, str | int | float):
                yield Case(f"{kind!r}: {value!r} in JSON", make, _read(value))
    for ours, theirs, values in META:
        for value in values:
            yield Case(f"{ours!r}: {value!r}", _either(ours, theirs), _made_of(value))


def _limited(kind: Any, facts: dict[str, Any], config: dict[str, Any]) -> Make:
    return lambda words: words.new(config=config, x=(kind, words.Field(**facts)))


def _either(ours: Any, theirs: Any) -> Make:
    return lambda words: words.new(x=ours if words.ours else theirs)


def _validated(value: Any, **options: Any) -> Act:
    return lambda cls: cls.model_validate({"x": value}, **options)


def _read(value: Any) -> Act:
    return lambda cls: cls.model_validate_json(json.dumps({"x": value}))


def _made_of(value: Any) -> Act:
    return lambda cls: cls(x=value)


# -- classes with methods ----------------------------------------------------------------------------------------------


def validated(words: Vocabulary) -> Any:  # noqa: C901 - a method per mode
    """Return a class with a validator of each mode."""
    w = words

    class M(w.base):
        before: int = 1
        after: int = 2
        wrapped: int = 3
        plain: int = 4
        told: int = 5
        both: list[int] = [1]  # noqa: RUF012

        @w.field_validator("before", mode="before")
        @classmethod
        def _before(cls, value: Any) -> Any:
            return refusing(value) if value != "seven" else 7

        @w.field_validator("after")
        @classmethod
        def _after(cls, value: int) -> int:
            return refusing(value) * 2

        @w.field_validator("wrapped", mode="wrap")
        @classmethod
        def _wrapped(cls, value: Any, handler: Any) -> Any:
            if value == "raw":
                return value
            try:
                return handler(value) + 1
            except w.ValidationError as error:
                if value == "caught":
                    return error.errors()[0]["type"]
                raise

        @w.field_validator("plain", mode="plain")
        @classmethod
        def _plain(cls, value: Any) -> Any:
            return refusing(value)

        @w.field_validator("told")
        @classmethod
        def _told(cls, value: int, info: Any) -> Any:
            return [value, own(info.data), info.field_name, info.mode, info.context]

        @w.field_validator("both", "after", mode="before")
        @classmethod
        def _both(cls, value: Any) -> Any:
            return [value] if isinstance(value, float) else value

        @w.field_validator("both")
        @classmethod
        def _both_after(cls, value: list[int]) -> list[int]:
            return [*value, 0]

    return M


def refusing(value: Any) -> Any:
    """Return *value*, or refuse it in the way that it names."""
    if value in ("value", 100):
        raise ValueError("no such value")
    if value == "assert":
        raise AssertionError("not asserted")
    if value == "type":
        raise TypeError("wrong type")
    if value == "key":
        raise KeyError("key")
    return value


def own(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that users declared."""
    return {name: value for name, value in data.items() if not name.startswith("event_")}


VALIDATED: list[dict[str, Any]] = [
    {},
    *({"before": value} for value in ("seven", "8", "x", "value", "assert", "type", "key")),
    *({"after": value} for value in ("4", "x", 100, 1.0)),
    *({"wrapped": value} for value in (1, "raw", "caught", "bad", None)),
    *({"plain": value} for value in ("anything", None, "value", "assert")),
    *({"told": 1}, {"told": 1, "before": 2}, {"told": 1, "before": "x"}, {"told": "x"}),
    *({"both": 1.0}, {"both": [2]}, {"both": ["x", "y"]}, {"before": "x", "after": "y", "plain": "value"}),
]


def whole(words: Vocabulary) -> Any:
    """Return a class with validators of whole models."""
    w = words

    class M(w.base):
        a: int
        b: int = 0
        seen: list[str] = []  # noqa: RUF012

        @w.model_validator(mode="before")
        @classmethod
        def _split(cls, data: Any) -> Any:
            if isinstance(data, str):
                first, _, second = data.partition("-")
                return {"a": first, "b": second}
            if is_dict(data) and data.get("a") == "refused":
                raise ValueError("refused before")
            return data

        @w.model_validator(mode="wrap")
        @classmethod
        def _wrap(cls, data: Any, handler: Any) -> Any:
            if is_dict(data) and data.get("a") == "assert":
                raise AssertionError("refused around")
            made = handler(data)
            made.seen.append("wrap")
            return made

        @w.model_validator(mode="after")
        def _order(self) -> Any:
            if self.a > self.b > 0:
                raise ValueError("a must not exceed b")
            self.seen.append("after")
            return self

    return M


def after_only(words: Vocabulary) -> Any:
    """Return a class with validators after it, one of which wants to know more, and one that hands out another."""
    w = words

    class M(w.base):
        a: int = 1

        @w.model_validator(mode="after")
        def _more(self, info: Any) -> Any:
            context: dict[str, int] = info.context or {}
            self.a += context.get("add", 1)
            return self

    return M


def ordered(words: Vocabulary) -> Any:
    """Return a class that tells in which order functions ran."""
    w = words
    calls: list[str] = []

    class M(w.base):
        x: int = 0
        calls_: list[str] = calls

        @w.field_validator("x", mode="before")
        @classmethod
        def _first(cls, value: Any) -> Any:
            calls.append("before 1")
            return value

        @w.field_validator("x", mode="before")
        @classmethod
        def _second(cls, value: Any) -> Any:
            calls.append("before 2")
            return value

        @w.field_validator("x")
        @classmethod
        def _third(cls, value: Any) -> Any:
            calls.append("after 1")
            return value

        @w.field_validator("x")
        @classmethod
        def _fourth(cls, value: Any) -> Any:
            calls.append("after 2")
            return value

        @w.field_validator("x", mode="wrap")
        @classmethod
        def _fifth(cls, value: Any, handler: Any) -> Any:
            calls.append("wrap in")
            made = handler(value)
            calls.append("wrap out")
            return made

        @w.model_validator(mode="before")
        @classmethod
        def _model_first(cls, data: Any) -> Any:
            calls.append("model before")
            return data

        @w.model_validator(mode="after")
        def _model_last(self) -> Any:
            calls.append("model after")
            return self

        def model_post_init(self, context: Any, /) -> None:
            calls.append(f"post init {context}")

    M.calls = calls
    return M


def inherited(words: Vocabulary) -> Any:
    """Return a subclass that overrides one validator of its base, and adds another."""
    w = words

    class Base(w.base):
        x: int = 1
        y: int = 2

        @w.field_validator("x")
        @classmethod
        def _x(cls, value: int) -> int:
            return value + 1

        @w.field_validator("y")
        @classmethod
        def _y(cls, value: int) -> int:
            return value + 10

    class M(Base):
        z: int = 3

        @classmethod
        def _x(cls, value: int) -> int:
            return value + 100

        @w.field_validator("z", "y")
        @classmethod
        def _z(cls, value: int) -> int:
            return value * 2

    return M


def starred(words: Vocabulary) -> Any:
    """Return a class with a validator for all fields."""
    w = words

    class M(w.base):
        x: str = ""
        y: str = ""

        @w.field_validator("*", mode="before")
        @classmethod
        def _any(cls, value: Any) -> Any:
            return value or "empty"

    return M


def told(cls: Any, **arguments: Any) -> Any:
    """Return what *cls* makes, and what ran meanwhile."""
    del cls.calls[:]
    cls(**arguments)
    return list(cls.calls)


def method_cases() -> Iterator[Case]:
    """Yield what validators do."""
    for arguments in VALIDATED:
        yield Case(f"validators: {arguments}", validated, _keywords(arguments))
    yield from new(
        "validators",
        validated,
        json=lambda cls: cls.model_validate_json('{"told": 1, "before": "seven"}'),
        context=lambda cls: cls.model_validate({"told": 1}, context={"a": 1}),
        strict=lambda cls: cls.model_validate({"after": "1", "before": 1}, strict=True),
    )
    yield from new(
        "whole",
        whole,
        good=lambda cls: cls(a=1, b=2),
        bad=lambda cls: cls(a=3, b=2),
        text=lambda cls: cls.model_validate("1-2"),
        bad_text=lambda cls: cls.model_validate("x-2"),
        refused=lambda cls: cls(a="refused"),
        asserted=lambda cls: cls(a="assert"),
        missing=lambda cls: cls(b=1),
        number=lambda cls: cls.model_validate(5),
        json_list=lambda cls: cls.model_validate_json("[1]"),
        json_text=lambda cls: cls.model_validate_json('"3-4"'),
        json=lambda cls: cls.model_validate_json('{"a": 3, "b": 1}'),
        instance=lambda cls: cls.model_validate(cls(a=1)),
        instance_again=lambda cls: cls.model_validate(cls(a=1)).seen,
    )
    yield from new(
        "after",
        after_only,
        made=lambda cls: cls(a="4"),
        context=lambda cls: cls.model_validate({"a": 1}, context={"add": 10}),
        json=lambda cls: cls.model_validate_json('{"a": 1}', context={"add": 10}),
        bad=lambda cls: cls(a="x"),
    )
    yield from new("order", ordered, given=lambda cls: told(cls, x=1), default=told)
    yield from new("inherited", inherited, given=lambda cls: cls(x=1, y=1, z=1), default=lambda cls: cls())
    yield from new("star", starred, given=lambda cls: cls(x="", y="b"), default=lambda cls: cls())


def _keywords(arguments: dict[str, Any]) -> Act:
    return lambda cls: cls(**arguments)


# -- aliases, settings, assignments ------------------------------------------------------------------------------------


def _fields(config: dict[str, Any] | None = None, **facts: tuple[Any, dict[str, Any]]) -> Make:
    """Return a maker of a class with fields that `Field` describes."""
    return lambda w: w.new(config=config, **{name: (kind, w.Field(**said)) for name, (kind, said) in facts.items()})


ALIASED = _fields(x=(int, {"alias": "y"}), plain=(int, {"default": 1}))
POPULATED = _fields({"populate_by_name": True}, x=(int, {"alias": "y"}))
BY_NAME = _fields({"validate_by_name": True, "validate_by_alias": False}, x=(int, {"alias": "y", "default": 1}))
THREE = _fields(
    x=(int, {"alias": "a", "validation_alias": "v", "serialization_alias": "s"}),
    v=(int, {"default": 2, "validation_alias": "w"}),
    s=(int, {"default": 3, "serialization_alias": "t"}),
)
SWAPPED = _fields(a=(int, {"alias": "b"}), b=(int, {"alias": "a"}))
ODD = _fields(x=(int, {"alias": "not-a-name"}), y=(int, {"alias": "class", "default": 2}))
FORBIDDING = _fields({"extra": "forbid"}, x=(int, {"alias": "y", "default": 1}))
IGNORING = _fields({"extra": "ignore"}, x=(int, {"default": 1}))
GENERATED = _fields({"alias_generator": str.upper}, x=(int, {}), y=(int, {"default": 1, "alias": "z"}))
LOC_BY_NAME = _fields({"loc_by_alias": False}, x=(int, {"alias": "y"}))
DEFAULTS = _fields({"validate_default": True}, x=(int, {"default": "5"}), y=(int, {"default": "x"}))
ONE_DEFAULT = _fields(x=(int, {"default": "x", "validate_default": True}), y=(int, {"default": "x"}))


def one_more(data: dict[str, Any]) -> Any:
    """Return a default that depends on another field."""
    return data["a"] + 1


FACTORY = _fields(a=(int, {"default": 1}), x=(int, {"default_factory": one_more}))
FROZEN = _fields({"frozen": True}, x=(int, {"default": 1}))
ONE_FROZEN = _fields(x=(int, {"default": 1, "frozen": True}), y=(int, {"default": 2}))
CHECKED = _fields(
    {"validate_assignment": True}, x=(int, {"default": 1, "gt": 0}), y=(list[int], {"default_factory": list})
)
CHECKED_FORBIDDING = _fields({"validate_assignment": True, "extra": "forbid"}, x=(int, {"default": 1}))


def assigned(name: str, value: Any) -> Act:
    """Return what assigns to a new object, and returns it."""

    def act(cls: Any) -> Any:
        made = cls()
        setattr(made, name, value)
        return made, made.model_fields_set

    return act


def deleted(name: str) -> Act:
    """Return what deletes an attribute of a new object."""
    return lambda cls: delattr(cls(), name)


def setting_cases() -> Iterator[Case]:
    """Yield what aliases and settings do."""
    for name, make in (("alias", ALIASED), ("populate", POPULATED), ("loc", LOC_BY_NAME)):
        yield from new(
            name,
            make,
            alias=lambda cls: cls(y="1"),
            bad=lambda cls: cls(y="x"),
            missing=lambda cls: cls(),
            json=lambda cls: cls.model_validate_json('{"y": 3}'),
            dump=lambda cls: cls(y=1).model_dump(),
            dump_by_alias=lambda cls: cls(y=1).model_dump(by_alias=True),
            given=lambda cls: cls(y=1).model_fields_set,
        )
    yield from new(
        "populate",
        POPULATED,
        name=lambda cls: cls(x=1),
        bad_name=lambda cls: cls(x="x"),
        json_name=lambda cls: cls.model_validate_json('{"x": "q"}'),
        both=lambda cls: cls(x=1, y=2).x,
    )
    yield from new("by name", BY_NAME, name=lambda cls: cls(x="2").x, bad=lambda cls: cls(x="y"))
    yield from new(
        "three aliases",
        THREE,
        made=lambda cls: cls(v=1, w=4, s=5),
        dump=lambda cls: cls(v=1).model_dump(by_alias=True),
        json=lambda cls: cls(v=1).model_dump_json(by_alias=True),
        missing=lambda cls: cls(a=1),
    )
    yield from new("swapped", SWAPPED, made=lambda cls: cls(a=1, b=2), bad=lambda cls: cls(a="x", b=2))
    yield from new("odd names", ODD, made=lambda cls: cls(**{"not-a-name": 1, "class": "3"}), missing=lambda cls: cls())
    yield from new(
        "forbid",
        FORBIDDING,
        extra=lambda cls: cls(z=1),
        name=lambda cls: cls(x=1),
        several=lambda cls: cls(y="q", z=1, w=None),
        extras=lambda cls: cls().model_extra,
        json=lambda cls: cls.model_validate_json('{"z": [1]}'),
    )
    yield from new("ignore", IGNORING, extra=lambda cls: cls(z=1), extras=lambda cls: cls(z=1).model_extra)
    yield from new(
        "generator",
        GENERATED,
        made=lambda cls: cls(X=1, z=2),
        missing=lambda cls: cls(x=1, y=2),
        dump=lambda cls: cls(X=1).model_dump(by_alias=True),
    )
    yield from new("defaults", DEFAULTS, made=lambda cls: cls(), good=lambda cls: cls(y=1))
    yield from new("one default", ONE_DEFAULT, made=lambda cls: cls(), good=lambda cls: cls(x=1))
    yield from new("factory of data", FACTORY, made=lambda cls: cls(a=5), bad=lambda cls: cls(a="x", x=1))
    for name, make in (("frozen", FROZEN), ("one frozen", ONE_FROZEN), ("checked", CHECKED)):
        yield Case(f"{name}: assign", make, assigned("x", 5))
        yield Case(f"{name}: assign bad", make, assigned("x", "q"))
        yield Case(f"{name}: assign other", make, assigned("y", ["1"]))
        yield Case(f"{name}: delete", make, deleted("x"))
    yield Case("checked: converted", CHECKED, assigned("x", "7"))
    yield Case("checked: limited", CHECKED, assigned("x", -1))
    yield Case("checked: extra", CHECKED, assigned("other", 1))
    yield Case("checked, forbidding: extra", CHECKED_FORBIDDING, assigned("other", 1))
    yield Case("unchecked: assign bad", IGNORING, assigned("x", "q"))


PLACES: dict[str, Callable[[Any], Any]] = {
    "choices": lambda w: w.AliasChoices("a", "b"),
    "path": lambda w: w.AliasPath("p", 0),
    "deep path": lambda w: w.AliasPath("p", -1, "q"),
    "choices of paths": lambda w: w.AliasChoices("a", w.AliasPath("p", "q"), w.AliasPath("r", 1)),
}
FOUND: dict[str, list[dict[str, Any]]] = {
    "choices": [{"a": 1}, {"b": "2"}, {"a": 1, "b": 2}, {"a": "x", "b": 2}, {"x": 1}, {}],
    "path": [{"p": ["3"]}, {"p": []}, {"p": "text"}, {"p": {0: 5}}, {"p": ["x"]}, {"p": [1], "q": 2}, {}],
    "deep path": [{"p": [{"q": 6}]}, {"p": [1, {"q": "x"}]}, {"p": [{"z": 1}]}, {"p": None}],
    "choices of paths": [
        *({"p": {"q": 4}}, {"r": [0, 5], "p": {"z": 1}}, {"a": 1, "p": [3], "r": [1, 2]}, {"p": {"q": "x"}}),
    ],
}
"""Places where a value may be found, and arguments that have one there or not."""

POLICIES: list[dict[str, Any]] = [
    *({}, {"extra": "forbid"}, {"extra": "ignore"}, {"extra": "forbid", "populate_by_name": True}),
    {"loc_by_alias": False},
]


def place_cases() -> Iterator[Case]:
    """Yield what is found elsewhere than under the name of a field."""
    for name, place in PLACES.items():
        make = _placed(place, {})
        yield from new(
            f"alias {name}",
            make,
            read=schema_text,
            dumped=lambda cls: cls.model_construct(x=1).model_dump(by_alias=True),
            by_name=lambda cls: cls.model_validate({"x": 1}, by_name=True),
        )
        for values in FOUND[name]:
            for config in POLICIES:
                if not ("x" in values and config.get("extra") is None):  # see "populate: both"
                    yield Case(f"alias {name} {config} {values}", _placed(place, config), _keywords(values))


def _placed(place: Callable[[Any], Any], config: dict[str, Any]) -> Make:
    return lambda w: w.new(config=config, x=(int, w.Field(validation_alias=place(w))))


class Thing:
    """An object with attributes, one of which cannot be read."""

    y: int = 1
    x: int = 2
    part: Any = types.SimpleNamespace(x="3")
    extra: int = 4

    @property
    def bad(self) -> int:
        """Refuse to be read."""
        raise LookupError("not there")


THING = Thing()


def with_part(words: Vocabulary, **config: Any) -> Any:
    """Return a class with an alias, and another one within it."""
    w = words

    class Part(w.base):
        x: int = 0

    class M(w.base):
        model_config = config

        x: int = w.Field(0, alias="y")
        part: Part = Part()

    M.Part = Part
    return M


def _with_part(**config: Any) -> Make:
    return lambda words: with_part(words, **config)


def again(words: Vocabulary, which: str) -> Any:
    """Return a class with another in it, whose instances are made anew."""
    w = words

    class Part(w.base):
        model_config = {"revalidate_instances": which}  # noqa: RUF012

        x: int = 1

    class Special(Part):
        z: int = 2

    class M(w.base):
        part: Part
        either: Part | int = 0

    M.Part, M.Special = Part, Special
    return M


def _again(which: str) -> Make:
    return lambda words: again(words, which)


def _remade(cls: Any, kind: Any) -> Any:
    """Return what becomes of an instance that was changed, and whether it is the same object."""
    part = kind(x=2)
    part.x = "5"
    made = cls(part=part, either=part)
    return made.part is part, type(made.part).__name__, made, made.part.model_fields_set & {"x"}


def derived(words: Vocabulary) -> Any:
    """Return a class that changes the type and default of a field of its base."""
    w = words

    class Base(w.base):
        x: int = 1
        kind: ClassVar[str] = "base"

    class M(Base):
        x: float = 2.5  # pyright: ignore[reportIncompatibleVariableOverride] - what the case is about
        y: list[int] = [1]  # noqa: RUF012

    return M


def cached(words: Vocabulary) -> Any:
    """Return a class with values that are made once."""
    w = words

    class M(w.base):
        x: int = 1

        @w.computed_field
        @functools.cached_property
        def told(self) -> int:
            return self.x + 1

        @functools.cached_property
        def kept(self) -> int:
            return self.x + 2

    return M


def constructed(words: Vocabulary) -> Any:
    """Return a class with a constructor of its own."""
    w = words

    class M(w.base):
        x: int

        def __init__(self, x: Any, **more: Any) -> None:
            base: Any = super()
            base.__init__(x=int(x) * 2, **more)

    return M


def with_pair(words: Vocabulary) -> Any:
    """Return a class with a tuple of two kinds of records."""
    w = words

    class Part(w.base):
        a: int = 1
        b: int = 2

    class M(w.base):
        pair: tuple[Part, int] = (Part(), 3)

    return M


def _used(cls: Any) -> Any:
    made = cls()
    return made.kept, made.told, made.model_dump(), made.model_extra, made.model_copy(update={"x": 5}).kept


def class_cases() -> Iterator[Case]:
    """Yield what classes do with what is no field, or not only one."""
    for policy in ("allow", "ignore", "forbid"):
        keys = _fields({"extra": policy}, x=(Keys, {}))
        yield Case(f"keys {policy}: given", keys, lambda cls: cls(x={"a": "1", "z": 3}))
        yield Case(f"keys {policy}: in JSON", keys, lambda cls: cls.model_validate_json('{"x": {"a": "q", "z": 3}}'))
    yield from new(
        "item",
        _fields(x=(Item | None, {"default": None})),
        no_defaults=lambda cls: cls(x=Item(1)).model_dump(exclude_defaults=True),
        changed=lambda cls: cls(x=Item(1, "y", [2])).model_dump(exclude_defaults=True),
        no_none=lambda cls: cls.model_construct(x=Item(1, None)).model_dump(exclude_none=True, warnings=False),  # pyright: ignore[reportArgumentType]
    )
    yield from new(
        "derived",
        derived,
        default=lambda cls: cls(),
        given=lambda cls: cls(x="3", y=("4",)),
        variable=lambda cls: cls(kind="other"),
        items=lambda cls: [item for item in cls() if not item[0].startswith("event_")],
    )
    yield from new(
        "cached", cached, used=_used, given=lambda cls: cls(told=4), again=lambda cls: cls.model_validate({"x": 3}).told
    )
    yield from new(
        "own constructor",
        constructed,
        called=lambda cls: cls(3),
        read=lambda cls: cls.model_validate({"x": 3}),
        read_json=lambda cls: cls.model_validate_json('{"x": 3}'),
        missing=lambda cls: cls.model_validate({"x": 1, "z": 2}).model_extra,
    )
    yield from new(
        "pair",
        with_pair,
        included=lambda cls: cls().model_dump(include={"pair": {0: {"a"}}}),
        excluded=lambda cls: cls().model_dump(exclude={"pair": {1: True, 0: {"b"}}}, mode="json"),
    )
    yield Case("title: bad", _fields({"title": "Titled"}, x=(int, {})), lambda cls: cls(x="q"))
    yield Case(
        "title: bad JSON", _fields({"title": "Titled"}, x=(int, {})), lambda cls: cls.model_validate_json('{"x": "q"}')
    )


def call_cases() -> Iterator[Case]:
    """Yield what callers of `model_validate` ask for, and what settings say of objects that are no dicts."""
    yield from new(
        "asked",
        _with_part(),
        by_name=lambda cls: cls.model_validate({"x": 1, "part": {"x": 2}}, by_name=True),
        by_name_only=lambda cls: cls.model_validate({"x": 1}, by_alias=False, by_name=True),
        by_alias=lambda cls: cls.model_validate({"y": "q"}, by_alias=True),
        by_alias_too=lambda cls: cls.model_validate_json('{"y": "1"}', by_alias=True, by_name=True),
        json_by_name=lambda cls: cls.model_validate_json('{"x": "q"}', by_name=True, by_alias=False),
        forbidden=lambda cls: cls.model_validate({"y": 1, "z": 2}, extra="forbid"),
        forbidden_within=lambda cls: cls.model_validate_json('{"part": {"z": 2}}', extra="forbid"),
        ignored=lambda cls: cls.model_validate({"y": 1, "z": 2}, extra="ignore"),
        attributes=lambda cls: cls.model_validate(THING, from_attributes=True),
        no_attributes=lambda cls: cls.model_validate(THING, from_attributes=False),
        number=lambda cls: cls.model_validate(5, from_attributes=True),
        kind=lambda cls: cls.model_validate(Thing, from_attributes=True),
        attributes_and_names=lambda cls: cls.model_validate(THING, from_attributes=True, by_name=True, by_alias=False),
        json_attributes=lambda cls: cls.model_validate_json("[1]"),
    )
    yield from new(
        "attributes",
        _with_part(from_attributes=True),
        read=lambda cls: cls.model_validate(THING),
        within=lambda cls: cls(part=cls.Part()),
        not_within=lambda cls: cls(part=THING),
        text=lambda cls: cls.model_validate("x"),
        not_now=lambda cls: cls.model_validate(THING, from_attributes=False),
    )
    yield Case("attributes: that fail", _fields({"from_attributes": True}, bad=(int, {})), _read_thing)
    yield Case(
        "attributes: forbidding", _fields({"from_attributes": True, "extra": "forbid"}, x=(int, {})), _read_thing
    )
    yield Case("by name and allowing: extras", _with_part(extra="ignore"), _extras_kept)
    for which in ("never", "always", "subclass-instances"):
        yield from new(
            f"instances {which}",
            _again(which),
            own=lambda cls: _remade(cls, cls.Part),
            special=lambda cls: _remade(cls, cls.Special),
            valid=lambda cls: cls(part=cls.Part(x=3)).part,
        )


def _read_thing(cls: Any) -> Any:
    return cls.model_validate(THING)


def _extras_kept(cls: Any) -> Any:
    return cls.model_validate({"z": 2}, extra="allow").model_extra


# -- dumps -------------------------------------------------------------------------------------------------------------


def nested(words: Vocabulary) -> Any:
    """Return a class with others in it."""
    w = words

    class Part(w.base):
        x: int = 1
        y: int | None = None

    class Special(Part):
        z: int = 9

    class M(w.base):
        a: int = 1
        part: Part = Part()
        parts: list[Part] = [Part(), Part(x=5)]  # noqa: RUF012
        by_name: dict[str, Part] = {"k": Part()}  # noqa: RUF012
        maybe: Part | None = None
        anything: Any = None
        secret: str = w.Field("q", exclude=True)

    M.Part, M.Special = Part, Special
    return M


PICKS: list[dict[str, Any]] = [
    {},
    *({"include": {"a", "secret"}}, {"include": {"a": True}}, {"include": set()}, {"include": {"nope"}}),
    *(
        {"exclude": {"a"}},
        {"exclude": {"part": {"x"}}},
        {"exclude": {"parts": {0}}},
        {"exclude": {"parts": {-1: {"x"}}}},
    ),
    *({"include": {"part": {"x"}}}, {"include": {"parts": {"__all__": {"x"}}}}, {"include": {"parts": {0: True}}}),
    *({"exclude": {"parts": {"__all__": {"x"}, 0: {"y"}}}}, {"exclude": {"by_name": {"k": {"x"}}}}),
    *({"include": {"part": True, "a": ...}}, {"exclude": {"a": False, "part": True}}, {"exclude_none": True}),
    *({"exclude_defaults": True}, {"exclude_unset": True}, {"include": {"part"}, "exclude": {"part": {"x"}}}),
    *({"exclude": {"parts": {7}}}, {"include": {"parts": [0]}}, {"exclude": {"by_name": {"zz"}}}),
    *({"include": {"parts": {0: {"x"}, 1: {"y"}}}}, {"exclude": set()}, {"include": {"part", "a"}, "exclude": {"a"}}),
]


def serialized(words: Vocabulary) -> Any:
    """Return a class with serializers."""
    w = words

    class M(w.base):
        x: int = 1
        day: dt.date = dt.date(2020, 1, 1)
        maybe: int | None = None
        wrapped: list[int] = [1, 2]  # noqa: RUF012
        _private: int = 3

        @w.field_serializer("x")
        def _x(self, value: int) -> str:
            return f"<{value}>"

        @w.field_serializer("day", when_used="json")
        def _day(self, value: dt.date, info: Any) -> str:
            return f"{value:%d.%m.%Y} {info.mode} {info.by_alias} {info.context}"

        @w.field_serializer("maybe", when_used="unless-none")
        def _maybe(self, value: int) -> int:
            return value + 100

        @w.field_serializer("wrapped", mode="wrap")
        def _wrapped(self, value: list[int], handler: Any) -> Any:
            return {"items": handler(value)}

        @w.computed_field
        @property
        def double(self) -> int:
            return self.x * 2

        @w.computed_field(alias="TRIPLE")
        @property
        def triple(self) -> dt.timedelta:
            return dt.timedelta(seconds=self.x * 3)

    return M


def dumped_whole(words: Vocabulary) -> Any:
    """Return a class with a serializer of its own."""
    w = words

    class M(w.base):
        x: int = 1
        day: dt.date = dt.date(2020, 1, 1)

        @w.model_serializer
        def _dump(self) -> dict[str, Any]:
            return {"only": self.x, "day": self.day}

    return M


def wrapped_whole(words: Vocabulary) -> Any:
    """Return a class with a serializer around the usual one."""
    w = words

    class M(w.base):
        x: int = 1

        @w.model_serializer(mode="wrap")
        def _dump(self, handler: Any, info: Any) -> dict[str, Any]:
            return {**handler(self), "mode": info.mode}

    return M


DUMPS: list[dict[str, Any]] = [
    {},
    *(
        {"mode": "json"},
        {"by_alias": True},
        {"round_trip": True},
        {"exclude": {"double"}},
        {"exclude_computed_fields": True},
    ),
    *({"mode": "json", "context": {"a": 1}}, {"exclude_none": True}, {"include": {"wrapped", "triple"}}),
]

VALUES: list[tuple[Any, Any]] = [
    (Colour, Colour.RED),
    (set[int], {1}),
    (tuple[int, str], (1, "a")),
    (Decimal, Decimal("1.50")),
    (bytes, b"ab"),
    (dt.timedelta, dt.timedelta(days=1, seconds=2.5)),
    (dt.datetime, dt.datetime(2020, 1, 1, 1, 2, 3, 400000, tzinfo=dt.UTC)),
    (dt.time, dt.time(1, 2, 3, 4)),
    (float, NAN),
    (float, 1e20),
    (int, 2**80),
    (dict[Colour, int], {Colour.RED: 1}),
    (dict[bool, int], {True: 1}),
    (dict[int | None, int], {None: 1, 2: 3}),
    (dict[dt.timedelta, int], {dt.timedelta(days=1): 1}),
    (dt.timedelta, dt.timedelta(days=400, hours=1, minutes=2)),
    (dt.timedelta, dt.timedelta(days=-1, microseconds=10)),
    (dt.timedelta, dt.timedelta(0)),
    (Any, {"a": {1}, "b": (Colour.BLUE, b"x")}),
    (str, '\u00e9\u2028\x7f\x01\n"\\'),
    (complex, 1 + 2j),
    (list[float], [1.0, 1e16, 1.5e-7]),
]
UNTYPED: list[Any] = [
    *(NAN, [INF], {"a": -INF}, {NAN: 1}, {1.5: 1}, Decimal("NaN"), ipaddress.ip_address("10.0.0.1"), re.compile("a")),
    *(Fraction(1, 2), pathlib.Path("a"), uuid.UUID(int=1), collections.deque([1]), {(1, "a"): 3}, Ranked.LOW),
]
"""Values in a field of any type."""

STYLES: list[dict[str, Any]] = [
    {"ser_json_bytes": "base64"},
    {"ser_json_bytes": "hex"},
    {"ser_json_timedelta": "float"},
    {"ser_json_temporal": "seconds"},
    {"ser_json_temporal": "milliseconds"},
    {"ser_json_inf_nan": "constants"},
    {"ser_json_inf_nan": "strings"},
    {"val_json_bytes": "base64"},
    {"val_json_bytes": "hex"},
]


def styled(words: Vocabulary, config: dict[str, Any]) -> Any:
    """Return a class with a field of each kind that settings change in JSON."""
    return words.new(
        config=config,
        span=(dt.timedelta, dt.timedelta(days=1, seconds=2.5)),
        moment=(dt.datetime, dt.datetime(2020, 1, 1, 1, 2, 3, 400000, tzinfo=dt.UTC)),
        naive=(dt.datetime, dt.datetime(2020, 1, 1)),  # noqa: DTZ001 - naive on purpose
        day=(dt.date, dt.date(2020, 1, 1)),
        clock=(dt.time, dt.time(1, 2, 3, 4)),
        raw=(bytes, b"\xfb\xff" if config.get("ser_json_bytes") else b"ab"),
        real=(float, INF),
        keys=(dict[dt.timedelta, int], {dt.timedelta(days=1): 1}),
    )


def dump_cases() -> Iterator[Case]:
    """Yield what dumps say."""
    for options in PICKS:
        yield Case(f"dump {shown(options)}", nested, _dumped(options))
    yield from new(
        "dump",
        nested,
        given=lambda cls: cls(part={"x": 2}, extra=[1]).model_dump(exclude_unset=True),
        changed=lambda cls: cls(part={"x": 2}, extra=[1]).model_dump(exclude_defaults=True),
        special=lambda cls: cls(part=cls.Special(), maybe=cls.Special(), anything=cls.Special()).model_dump(),
        special_everywhere=lambda cls: cls(part=cls.Special()).model_dump(polymorphic_serialization=True),
        special_items=lambda cls: cls(parts=[cls.Special()], by_name={"s": cls.Special()}).model_dump(mode="json"),
        as_any=lambda cls: cls(part=cls.Special()).model_dump(serialize_as_any=True),
        extras=lambda cls: cls(extra={"x": cls.Part()}).model_dump(mode="json"),
        special_json=lambda cls: cls(part=cls.Special()).model_dump_json(exclude={"parts"}),
    )
    for options in DUMPS:
        yield Case(f"serializers {shown(options)}", serialized, _dumped(options, x=5, maybe=7))
    for make in (dumped_whole, wrapped_whole):
        yield from new(
            make.__name__,
            make,
            python=lambda cls: cls().model_dump(),
            json=lambda cls: cls().model_dump(mode="json"),
            text=lambda cls: cls().model_dump_json(),
        )
    yield from new(
        "serializers",
        serialized,
        repr=lambda cls: [word for word in ("double=2", "triple=") if word in repr(cls())],
        text=lambda cls: cls().model_dump_json(),
    )
    for kind, value in VALUES:
        name = f"{kind!r} {value!r}"
        yield Case(f"dump {name}", _either(kind, kind), _dumped({"mode": "json"}, x=value))
        yield Case(f"text {name}", _either(kind, kind), _text(x=value))
    for value in UNTYPED:
        yield Case(f"dump anything {value!r}", _either(Any, Any), _dumped({"mode": "json"}, x=value))
        yield Case(f"text anything {value!r}", _either(Any, Any), _text(x=value))
    for config in STYLES[-4:-2]:
        yield Case(f"dump anything {config}", _styled_number(config), _dumped({"mode": "json"}, x=[NAN, -INF]))
    yield from new(
        "dump options",
        _either(Any, Any),
        fallback=lambda cls: cls(x=[Plain]).model_dump(mode="json", fallback=_no_json),
        fallback_text=lambda cls: cls(x=Plain).model_dump_json(include={"x"}, fallback=repr),
        ascii=lambda cls: cls(x="\u00e9\U0001f600").model_dump_json(include={"x"}, ensure_ascii=True),
        indented=lambda cls: cls(x="\u00e9").model_dump_json(include={"x"}, ensure_ascii=True, indent=2),
        quiet=lambda cls: cls(x=1).model_dump(warnings=False),
        quiet_text=lambda cls: cls(x=1).model_dump_json(include={"x"}, warnings="none"),
        pair=lambda cls: cls(x=Pair(1)).model_dump(),
    )
    yield Case("dump options: typed pair", _either(Pair, Pair), _dumped({}, x=Pair(1)))
    yield Case("dump options: wrongly typed", _either(int, int), _warned)
    for config in STYLES:
        yield Case(f"dump {config}", _styled(config), _dumped({"mode": "json"}))
        yield Case(f"text {config}", _styled(config), lambda cls: cls().model_dump_json())
    yield Case("read base64", _styled(STYLES[-2]), lambda cls: cls.model_validate_json('{"raw": "-_8="}').raw)
    yield Case("read bad base64", _styled(STYLES[-2]), lambda cls: cls.model_validate_json('{"raw": "x"}').raw)
    yield Case("read hex", _styled(STYLES[-1]), lambda cls: cls.model_validate_json('{"raw": "fbff"}').raw)


def _styled_number(config: dict[str, Any]) -> Make:
    return lambda words: words.new(config=config, x=(Any, None), real=(float, INF), reals=(list[float], [NAN]))


def _no_json(_: Any) -> Any:
    return {"a": {1}}


def _warned(cls: Any) -> Any:
    """Return a dump of a value of another type, and of how much it warned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return cls.model_construct(x="q").model_dump(), len(caught)


def _styled(config: dict[str, Any]) -> Make:
    return lambda words: styled(words, config)


def _dumped(options: dict[str, Any], **arguments: Any) -> Act:
    return lambda cls: cls(**arguments).model_dump(**options)


def _text(**arguments: Any) -> Act:
    return lambda cls: cls(**arguments).model_dump_json(include={"x"})


# -- copies, construction ----------------------------------------------------------------------------------------------


def _private(words: Vocabulary) -> Any:
    """Return a class with private attributes."""
    w = words

    class M(w.base):
        x: int = 1
        _plain: int = 5
        _list: list[int] = []  # noqa: RUF012
        _made: dict[str, int] = w.PrivateAttr(default_factory=dict)
        _late: int

        def model_post_init(self, context: Any, /) -> None:
            self._late = self.x + self._plain
            self._list.append(self.x)

    return M


def privates(made: Any) -> Any:
    """Return the private attributes."""
    return made._plain, made._list, made._made, made._late


def copy_cases() -> Iterator[Case]:
    """Yield what copies and unchecked construction do."""
    yield from new(
        "construct",
        CHECKED,
        plain=lambda cls: cls.model_construct(x="unchecked", other=1),
        given=lambda cls: cls.model_construct(x=5).model_fields_set,
        said=lambda cls: cls.model_construct({"y"}, x=5).model_fields_set,
        defaults=lambda cls: cls.model_construct(),
    )
    yield from new(
        "construct by alias",
        ALIASED,
        alias=lambda cls: cls.model_construct(y=1),
        name=lambda cls: cls.model_construct(x=1),
        missing=lambda cls: "x" in vars(cls.model_construct()),
    )
    yield from new(
        "copy",
        nested,
        equal=lambda cls: [made.model_copy() == made for made in [cls(a=5)]],
        shallow=lambda cls: [made.model_copy().parts is made.parts for made in [cls()]],
        deep=lambda cls: [made.model_copy(deep=True).parts is made.parts for made in [cls()]],
        update=lambda cls: cls().model_copy(update={"a": "unchecked", "other": 1}),
        given=lambda cls: cls(part={}).model_copy(update={"a": 2}).model_fields_set,
    )
    yield from new(
        "private",
        _private,
        made=lambda cls: privates(cls(x=2)),
        own=lambda cls: (privates(cls(x=2)), privates(cls(x=3))),
        copied=lambda cls: privates(cls(x=2).model_copy()),
        constructed=lambda cls: privates(cls.model_construct(x=4)),
        dumped=lambda cls: cls().model_dump(),
        extra=lambda cls: cls(_plain=7)._plain,
        json=lambda cls: privates(cls.model_validate_json('{"x": 9}')),
        unknown=lambda cls: cls()._nothing,
    )
    yield from new(
        "fields set",
        nested,
        none=lambda cls: cls().model_fields_set,
        default=lambda cls: cls(a=1).model_fields_set,
        extra=lambda cls: cls(other=1).model_fields_set,
        json=lambda cls: cls.model_validate_json('{"a": 1, "part": {}}').part.model_fields_set,
    )


# -- JSON schemas ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Item:
    a: int
    b: str = "x"
    c: list[int] = dataclasses.field(default_factory=list[int])


class Keys(TypedDict):
    """A TypedDict."""

    a: int
    b: NotRequired[str]


UserId = NewType("UserId", int)

DESCRIBED: list[Any] = [
    *(str, int, float, bool, type(None), bytes, Decimal, dt.date, dt.datetime, dt.time, dt.timedelta, uuid.UUID),
    *(pathlib.Path, Any, object, list, list[int], set[int], frozenset[str], tuple, tuple[int, ...], tuple[int, str]),
    *(tuple[()], dict, dict[str, int], dict[int, str], dict[Colour, int], dict[str, Any], int | str, int | None),
    *(int | str | None, Literal["a"], Literal["a", "b"], Literal["a", 1, None], Colour, Ranked, Item, Keys, Pair),  # noqa: PYI061
    *(
        UserId,
        list[Item | None],
        dict[str, list[Item]],
        abc.Sequence[int],
        collections.deque[int],
        abc.Mapping[str, int],
    ),
    *(collections.OrderedDict[str, int], collections.Counter[str], type[int], abc.Iterable[int], Plain),
    *(Annotated[int, at.Gt(3)], list[Annotated[int, at.Ge(3), at.Lt(9)]], Annotated[str, at.Len(1, 2)]),
    *(Annotated[list[int], at.Len(1, 2)], Annotated[dict[str, int], at.MinLen(1)], Annotated[int | None, at.Le(3)]),
    *(Annotated[Decimal, at.Gt(1)], Annotated[dt.date, at.Gt(dt.date(2020, 1, 1))], Annotated[float, at.MultipleOf(2)]),
    *(kind for kind, _ in STANDARD if kind is not abc.Hashable),
    *(Item | Keys, Annotated[dict[Annotated[str, at.MinLen(1)], int], "a note"]),
]


def schema_text(cls: Any, **options: Any) -> str:
    """Return a schema as text without the framework's fields, keys in order."""
    return json.dumps(without_framework(cls.model_json_schema(**options)), sort_keys=True)


def without_framework(schema: Any) -> Any:
    """Return a schema, or a part of it, without the framework's fields."""
    if is_dict(schema):
        kept = {key: without_framework(one) for key, one in schema.items() if not str(key).startswith("event_")}
        if kept.get("description", "").startswith(("What is nearest", "An event: subclass")):
            del kept["description"]
        return kept
    return [without_framework(one) for one in schema] if is_list_or_tuple(schema) else schema


def described(words: Vocabulary) -> Any:
    """Return a class of which much is said."""
    w = words

    class Tree(w.base):
        v: int
        kids: list[Any] = []  # noqa: RUF012

    class M(w.base):
        """About it.

        And more.
        """

        model_config = {  # noqa: RUF012
            "extra": "forbid",
            "title": "My M",
            "json_schema_extra": {"examples": [1]},
        }

        a: int = w.Field(1, title="T", description="D", examples=[1, 2], json_schema_extra={"k": "v"}, deprecated=True)
        b_b: int = w.Field(alias="bb", gt=1)
        c: str = w.Field("x", exclude=True)
        d: list[int] = w.Field(default_factory=list, max_length=3)
        e: Colour = Colour.RED
        f: Colour = w.Field(Colour.RED, description="colour")
        g: Tree = w.Field(description="tree")
        h: dt.date = dt.date(2020, 1, 1)
        i: int | None = None
        j: bytes = b"a"
        k: Any = 7
        o: int = w.Field(5, frozen=True, strict=True, repr=False)
        m: int = w.Field(2, validation_alias="vm", serialization_alias="sm")
        n: float = 0.5

        @w.computed_field(description="cd", title="CT")
        @property
        def computed(self) -> int:
            return 1

        @w.field_serializer("o")
        def _o(self, value: int) -> str:
            return str(value)

        @w.field_validator("n", mode="plain")
        @classmethod
        def _n(cls, value: Any) -> Any:
            return value

    return M


def schema_cases() -> Iterator[Case]:
    """Yield what schemas say."""
    for kind in DESCRIBED:
        yield Case(f"schema {kind!r}", _described(kind), schema_text)
        yield Case(f"schema of dumps {kind!r}", _described(kind), lambda cls: schema_text(cls, mode="serialization"))
    yield from new(
        "schema",
        described,
        read=schema_text,
        dumped=lambda cls: schema_text(cls, mode="serialization"),
        by_name=lambda cls: schema_text(cls, by_alias=False),
        template=lambda cls: schema_text(cls, ref_template="#/components/{model}"),
    )
    for make in (dumped_whole, wrapped_whole, nested):
        yield Case(f"schema {make.__name__}", make, schema_text)
        yield Case(f"schema of dumps {make.__name__}", make, lambda cls: schema_text(cls, mode="serialization"))


def _described(kind: Any) -> Make:
    return lambda words: words.new(config={"extra": "ignore"}, x_y=kind)


def all_cases() -> list[Case]:
    """Return the table."""
    return [
        *schema_cases(),
        *limit_cases(),
        *method_cases(),
        *setting_cases(),
        *place_cases(),
        *call_cases(),
        *class_cases(),
        *dump_cases(),
        *copy_cases(),
    ]
