"""Kinds of fields, and values good and bad for them: the table in which bubus is compared with pydantic."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import fractions
import types
import uuid
from collections import abc
from decimal import Decimal
from pathlib import Path, PurePath
from typing import (  # noqa: UP035 - the old names may be used
    TYPE_CHECKING,
    Annotated,
    Any,
    Dict,
    List,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Set,
    Tuple,
    Type,
    Union,
)

import annotated_types as at
import msgspec
from typing_extensions import TypeAliasType, TypedDict, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


E = TypeVar("E")


def made(cls: Callable[..., E], /, *arguments: Any, **more: Any) -> E:
    """Return ``cls(…)``, out of sight of type checkers: for arguments that are wrong on purpose."""
    return cls(*arguments, **more)


def new_class(name: str, *bases: Any, **body: Any) -> Any:
    """Return a new class, out of sight of type checkers."""
    return types.new_class(name, bases, exec_body=lambda namespace: namespace.update(body))


class Text(str):
    """A subclass of str."""

    __slots__ = ()


class Whole(int):
    """A subclass of int."""


class Real(float):
    """A subclass of float."""


class Raw(bytes):
    """A subclass of bytes."""


class Index:
    """Converts itself to int."""

    def __index__(self) -> int:
        return 3


class Floating:
    """Converts itself to float."""

    def __float__(self) -> float:
        return 3.5


class Number(enum.IntEnum):
    """Members that are numbers."""

    A = 1


class Word(enum.StrEnum):
    """Members that are text."""

    A = "1"


class Mixed(enum.Enum):
    """Members of their own kind."""

    A = 1
    B = "x"


class Bits(enum.IntFlag):
    """Flags that are numbers."""

    A = 1
    B = 2


class Flags(enum.Flag):
    """Flags of their own kind."""

    A = 1
    B = 2


class Half(float, enum.Enum):
    """Members that are floats."""

    A = 1.5


class Plain:
    """A class that nobody can decode."""


class SubPlain(Plain):
    """A subclass of it."""


@dataclasses.dataclass
class Item:
    """A dataclass."""

    a: int
    b: str = "x"
    c: int = dataclasses.field(default=3, init=False)


@dataclasses.dataclass(slots=True, kw_only=True)
class Slotted:
    """A dataclass with slots."""

    a: int
    d: list[int] = dataclasses.field(default_factory=list[int])


@dataclasses.dataclass
class Positive:
    """A dataclass that checks itself."""

    a: int

    def __post_init__(self) -> None:
        """Refuse negative numbers."""
        if self.a < 0:
            raise ValueError("negative")


@dataclasses.dataclass
class Tree:
    """A dataclass that contains itself."""

    v: int
    kids: list[Tree] = dataclasses.field(default_factory=list["Tree"])


class Keys(TypedDict):
    """A TypedDict."""

    a: int
    b: NotRequired[str]


class OtherKeys(TypedDict):
    """Another TypedDict."""

    a: str
    z: NotRequired[int]


class NoKeys(TypedDict, total=False):
    """A TypedDict that requires nothing."""

    a: int


class Pair(NamedTuple):
    """A NamedTuple."""

    a: int
    b: str = "x"


class MyList(list[Any]):
    """A subclass of list."""


class MyDict(dict[Any, Any]):
    """A subclass of dict."""


class MyMapping(abc.Mapping[Any, Any]):
    """A mapping that is no dict."""

    def __init__(self, values: dict[Any, Any]) -> None:
        self.values_ = values

    def __getitem__(self, key: Any) -> Any:
        return self.values_[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


class MySequence(abc.Sequence[Any]):
    """A sequence that is no list."""

    def __init__(self, values: list[Any]) -> None:
        self.values_ = values

    def __getitem__(self, index: Any) -> Any:
        return self.values_[index]

    def __len__(self) -> int:
        return len(self.values_)


class MyIterable:
    """Can be iterated over, and nothing else."""

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2])


CALLABLE: Any = abc.Callable
UserId = NewType("UserId", int)
T = TypeVar("T")
Bound = TypeVar("Bound", bound=int)
Either = TypeVar("Either", int, str)
Json = TypeAliasType("Json", "dict[str, Json] | list[Json] | int | None")

NUMBERS_AND_TEXT: list[Any] = [
    *(1, 0, 2, True, 1.0, 1.5, float("nan"), float("inf"), 1e300, 2**70, -(2**70), 10**400, 1 + 0j),
    *("1", " 1 ", "+1", "-1", "1_000", "_1", "1__0", "1.0", "1.", "1.00", ".0", "1.5", "1e3", "0x10", "\u0663", ""),
    *("abc", "yes", "TRUE", "off", "t ", "nan", "inf", "Infinity", "-0", "9" * 5000, "1" * 25, "001", "-001", "+ 1"),
    *("1 2", "\n1", "--1", "0_0", "1e400", b"1", b"\xff", bytearray(b"1"), Text("1"), Whole(1), Real(1.0), Raw(b"1")),
    *(Index(), Floating(), Number.A, Word.A, Mixed.A, Decimal(1), Decimal("1.5"), Decimal("NaN")),
    *(fractions.Fraction(1), fractions.Fraction(1, 2), None, [], [1, 2], (1, 2), Plain()),
]
CONTAINERS: list[Any] = [
    *([1, 2], (1, 2), {1, 2}, frozenset({1, 2}), collections.deque([1, 2]), {1: 2}.keys(), {1: 2}.values()),
    *({1: 2}.items(), range(2), "ab", b"ab", {1: 2}, MyList([1]), MyDict({1: 2}), MyMapping({1: 2}), MyIterable()),
    *(None, 5, bytearray(b"a"), [[1, 2]], [(1, 2)], types.MappingProxyType({1: 2}), collections.OrderedDict({1: 2})),
    *(collections.Counter([1]), collections.defaultdict(int, {1: 2}), [1, "x", None], {"1": 2}, {1: "x", "y": 3}, ()),
    *((1,), (1, 2, 3), [[]], ["1", 2.0], ("1", 2), {"1"}, [1, True], ["a", "b"], ("1", "b"), {"a": 1}, [None]),
    *({"a": "1", "z": 2}, [{"a": 1}], [["1"]], {"a": ["1"]}, {"a": {"b": ["2"]}}, [[[1]]], {"a": None}, [Item(1)]),
    *([{"a": "5"}], {True: 1}, {1.0: 1}, {None: 1}, {(1,): 1}, MySequence([1, 2])),
]
RECORDS: list[Any] = [
    *({"a": "1"}, {"a": 1, "b": 2}, {"a": 1, "b": "z"}, {"a": 1, "c": 5}, {"a": 1, "q": 5}, Item(1), Slotted(a=1)),
    *({"a": 1, "d": ["2"]}, 5, [1], {"b": 1}, {1: 2}, {}, [("a", 1)], collections.OrderedDict(a=1), (1,), (1, "b")),
    *([1, "b"], ("x", "b"), (1, "b", 3), {"a": 1, "z": 2}, Pair(1), "ab", (), None, {"a": []}, {"a": -1}, Positive(1)),
    *({"v": "1", "kids": [{"v": 2}]}, {"v": 1, "kids": [{"v": "x"}]}, Plain(), SubPlain(), {"a": None}),
    *(int, bool, str, type, len, Plain),
]
MOMENTS: list[Any] = [
    *("2020-01-01T00:00:00Z", "2020-01-01 00:00", "2020-01-01T00:00:00.123456789+01:00", "2020-01-01t00:00:00z"),
    *("2020-01-01_00:00:00", "2020-01-01T00:00:00+0100", "2020-01-01T00:00:00+01", "2020-01-01T00:00:00-23:59"),
    *("2020-01-01T00:00:00+24:00", "2020-01-01T00:00:00+01:60", "2020-01-01T00:00:00 Z", "2020-01-01T24:00:00"),
    *("2020-01-01T00:60", "2020-01-01T00:00:60", "2020-01-01T", "2020-01-01", "2020-1-1", "20200101", "2020-13-01"),
    *("2020-02-30", "0000-01-01", "0001-01-01", "abcd-01-01", "2020/01/01", "2020-01-01X00:00", "", "x", "1", "1.5"),
    *("-1", "1e3", "1577836800", "1577836800.123456", "1577836800000", "20000000000", "20000000001", "-20000000001"),
    *(" 2020-01-01T00:00:00Z ", "2020-01-01T00:00:00.", "2020-01-01T00:00:00.1", "2020-01-01T00:00:00,5"),
    *("2020-01-01T00:00:00\u221201:00", "2020-01-01T00:00:00Zx", "300000000000000", "2020-W01-1", "2020-01-01T0000"),
    *("2020-01-01T00:00:00-00:00", "00:00", "00:00:00", "23:59:59.999999", "24:00", "00:60", "0:00", "00", "00:00Z"),
    *("00:00:00+25:00", "12:00 Z", "00:00:00.1234567", "T00:00", "P1D", "PT1H", "P1DT2H3M4.5S", "-P1D", "+P1D", "P1Y"),
    *("P1M", "P1W", "PT1.5H", "P1DT", "PT", "P", "p1d", "PT1S2M", "1 day", "2 days, 01:02:03", "1d 00:00:01"),
    *("1 00:00:01", "-01:02:03", "25:00:00", "100:00:00", "1 day ", "1day", "P1000000000D", "PT1", "P1.5D", "PT1,5S"),
    *("999999999 days", "1000000000 days", "PT-1S", "1 DAYS", "D", "1:02:03", "01:2:03", b"2020-01-01", b"1", b"P1D"),
    *(0, 1, 1.5, True, -1, 10**12, 2 * 10**10, 2 * 10**10 + 1, 10**20, float("nan"), float("inf"), 1e20, -1e20, 86400),
    *(dt.date(2020, 1, 1), dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),  # noqa: DTZ001 - naive on purpose
    *(dt.time(1), dt.timedelta(1), None, [], Decimal("1.5"), Whole(1), Text("2020-01-01")),
]
UUIDS: list[Any] = [
    *("12345678-1234-1234-1234-123456789012", "{12345678-1234-1234-1234-123456789012}", b"1" * 16, b"1" * 15, 5, None),
    *("urn:uuid:12345678-1234-1234-1234-123456789012", "12345678123412341234123456789012", uuid.UUID(int=5), ""),
    *("12345678-12341234-1234-123456789012", "g2345678123412341234123456789012", "1-2345678123412341234123456789012"),
    *(" 12345678123412341234123456789012", b"12345678123412341234123456789012"),
]
SOME_OF_EACH: list[Any] = [
    *(1, "1", 1.0, 1.5, True, None, b"1", "a", b"a", [1], ["1"], (1, 2), {"a": 1}, {1}, Mixed.A, Number.A, Word.A),
    *(Decimal(1), dt.date(2020, 1, 1), dt.datetime(2020, 1, 1), "2020-01-01", "2020-01-01T01:00", uuid.UUID(int=5)),  # noqa: DTZ001
    *("12345678123412341234123456789012", Path("a"), Item(1), {"a": "1"}, {"a": 1, "z": 2}, {"a": 1, "d": [1]}),
    *(
        Plain(),
        Text("1"),
        Whole(1),
        "yes",
        0,
        "x",
        {"a": "q"},
        [1, "a"],
        {"1": 1},
        "1.5",
        frozenset({1}),
        bytearray(b"a"),
    ),
]

SCALARS: list[Any] = [int, float, bool, str, bytes, type(None), Decimal, Any, object, UserId, T, Bound, Either]
COLLECTIONS: list[Any] = [
    *(list, list[int], list[str], list[float], list[bool], list[Any], set, set[int], set[Any], frozenset[int], tuple),
    *(
        tuple[int, ...],
        tuple[int, str],
        tuple[()],
        dict,
        dict[int, int],
        dict[str, int],
        dict[str, Any],
        dict[int, str],
    ),
    *(dict[str, list[int]], dict[str, dict[str, list[int]]], list[list[list[int]]], list[int | None], list[set[int]]),
    *(dict[bool, int], dict[float, int], list[tuple[int, int]], tuple[int, ...] | None, list[Item], list[Keys]),
    *(List[int], Dict[str, int], Tuple[int, ...], Set[int], abc.Set[int], abc.Sequence[int], abc.MutableSequence[int]),  # noqa: UP006
    *(abc.Mapping[int, int], abc.MutableMapping[int, int], collections.deque[int], collections.OrderedDict[int, int]),
    *(collections.Counter[int],),
]
CHOICES: list[Any] = [
    *(Mixed, Number, Word, Bits, Flags, Half, Literal[1, "a", None, True], Literal[1], Literal["1"], Literal[b"1"]),  # noqa: PYI061
    *(Literal[Mixed.A], Literal[Number.A], Literal[True], Literal[1, 2]),
]
CLASSES: list[Any] = [
    *(Item, Slotted, Positive, Tree, Keys, OtherKeys, NoKeys, Pair, Plain, SubPlain, type, type[int], type[Plain]),
    *(Type[Any], CALLABLE, abc.Callable[[int], int], Item | Slotted, Keys | OtherKeys, Pair | Item, Item | None),  # noqa: UP006
    *(Item | Keys, dict[str, int] | Item, list[int] | Item),
]
UNIONS: list[Any] = [
    *(int | str, str | int, int | float, float | int, bool | int, int | bool, int | str | None, Optional[int]),  # noqa: UP045
    *(bytes | str, str | bytes, list[int] | list[str], int | list[int], tuple[int, int] | list[int]),
    *(set[int] | list[int], dt.date | dt.datetime, dt.datetime | dt.date, dt.datetime | str, uuid.UUID | str),
    *(Union[int, Any], Union[Any, int], Literal[1] | str, Word | int, str | Word, Number | int, int | Number),  # noqa: UP007
    *(Mixed | int, Path | str, Decimal | float, float | Decimal, Decimal | int | str, dict[str, int] | list[int]),
    *(
        bool | str,
        Literal["a"] | int,
        list[int | str],
        dict[str, int | None],
        Plain | int,
        int | Plain,
        type[int] | int,
    ),
    *(bytes | int,),
]
LIMITED: list[tuple[Any, list[Any]]] = [
    (Annotated[int, at.Gt(3)], [2, "2", 5, 4.0, None]),
    (Annotated[int, at.Ge(3), at.Lt(5), at.MultipleOf(2)], [2, 6, 3, 4, "4"]),
    (Annotated[int, at.Interval(gt=1, le=5)], [1, 2, 5, 6]),
    (Annotated[str, at.Len(2, 3)], ["a", "aaaa", b"a", "abc"]),
    (Annotated[list[int], at.MinLen(2)], [[1], ["1", "2"], 5]),
    (Annotated[list[int], at.MaxLen(1)], [[1]]),
    (Annotated[dict[Any, Any], at.MinLen(1)], [{}, {1: 1}]),
    (Annotated[tuple[int, ...], at.MinLen(2)], [(1,), (1, 2)]),
    (Annotated[set[int], at.MinLen(2)], [(1,), (1, 1), (1, 2)]),
    (Annotated[frozenset[int], at.MinLen(2)], [(1,)]),
    (Annotated[bytes, at.MinLen(2)], [b"a", b"abc", "a"]),
    (Annotated[bytes, at.MaxLen(1)], [b"a", b"abc"]),
    (Annotated[float, at.MultipleOf(0.1)], [0.3, 0.35, 1e10]),
    (Annotated[float, at.Ge(0)], [0, -1, "-1", float("nan")]),
    (Annotated[Decimal, at.Gt(1)], [1, "2"]),
    (Annotated[dt.datetime, at.Gt(dt.datetime(2020, 1, 1))], ["2019-01-01T00:00", "2021-01-01T00:00"]),  # noqa: DTZ001
    (Annotated[dt.date, at.Le(dt.date(2020, 1, 1))], ["2019-01-01", "2021-01-01"]),
    (Annotated[int | None, at.Gt(3)], [None, 2, 4]),
    (Annotated[int | str, at.Gt(3)], [2, 4]),
    (Annotated[int, at.Predicate(lambda value: value % 2 == 0)], [3, 4, "4"]),
    (Annotated[list[Annotated[int, at.Gt(0)]], at.MinLen(1)], [[0, 1], [], [1]]),
    (Annotated[int, "a note"], [1, "x"]),
    (Annotated[Annotated[int, at.Gt(0)], at.Lt(9)], [0, 9, 5]),
]

TABLE: list[tuple[Any, list[Any]]] = [
    *((kind, NUMBERS_AND_TEXT) for kind in SCALARS),
    *((kind, CONTAINERS) for kind in COLLECTIONS),
    *((kind, SOME_OF_EACH + NUMBERS_AND_TEXT[:9]) for kind in CHOICES),
    *((kind, RECORDS) for kind in CLASSES),
    *((kind, SOME_OF_EACH) for kind in UNIONS),
    *((kind, MOMENTS) for kind in (dt.datetime, dt.date, dt.time, dt.timedelta)),
    (uuid.UUID, UUIDS),
    (Path, ["a", Path("a"), PurePath("a"), b"a", 5, None, Text("a")]),
    (Json, [1, [1], {"a": [{"b": None}]}, None]),
    *LIMITED,
]
"""Every kind with the values it is tried with."""


class Struct(msgspec.Struct):
    """A Struct, which pydantic does not know."""

    a: int
    b: list[int] = []
