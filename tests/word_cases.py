"""
The words of pydantic, and what programs do with them: the table in which bubus is compared with pydantic.

A case makes a class from a vocabulary, ours or pydantic's, and does something with it. `tests/test_words_table.py` runs
each with both and compares the outcomes.
"""

from __future__ import annotations

import datetime as dt
import enum
import types
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

import annotated_types as at
import attrs
import msgspec
import pydantic

import bubus
from bubus import _decorators, _words

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


OURS = Vocabulary(
    bubus.BaseEvent,
    types.SimpleNamespace(
        **{name: getattr(_decorators, name) for name in ("field_validator", "model_validator", "field_serializer")},
        model_serializer=_decorators.model_serializer,
        computed_field=_decorators.computed_field,
        Field=_words.Field,
        PrivateAttr=_words.PrivateAttr,
        ValidationError=bubus.ValidationError,
    ),
    ours=True,
)
THEIRS = Vocabulary(_Base, pydantic, ours=False)


@attrs.frozen
class Case:
    """One thing to try."""

    name: str
    make: Make
    act: Act


def new(name: str, make: Make, **acts: Act) -> Iterator[Case]:
    """Yield one case per thing to do with a class."""
    for title, act in acts.items():
        yield Case(f"{name}: {title}", make, act)


class Colour(enum.Enum):
    """Members of their own kind."""

    RED = "red"
    BLUE = 2


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
    for ours, theirs, values in META:
        for value in values:
            yield Case(f"{ours!r}: {value!r}", _either(ours, theirs), _made_of(value))


def _limited(kind: Any, facts: dict[str, Any], config: dict[str, Any]) -> Make:
    return lambda words: words.new(config=config, x=(kind, words.Field(**facts)))


def _either(ours: Any, theirs: Any) -> Make:
    return lambda words: words.new(x=ours if words.ours else theirs)


def _made_of(value: Any) -> Act:
    return lambda cls: cls(x=value)


def all_cases() -> list[Case]:
    """Return the table."""
    return [*limit_cases()]
