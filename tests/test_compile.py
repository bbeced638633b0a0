"""Compiled checks: what they accept and make of values, compared with pydantic where it knows the type."""

from __future__ import annotations

import json
import math
import re
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Generic, Protocol, TypeVar

import attrs
import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError as PydanticError

from bubus._compile import compile_type
from bubus._faults import Invalid, in_json_words
from bubus._fields import Scope
from bubus._mode import LAX, LAX_JSON, STRICT, WIRE, Mode
from bubus._narrow import is_dict, kind_of
from bubus.errors import DefinitionError, ValidationError
from tests.field_kinds import LIMITED, TABLE, Item, Plain, Struct, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

Outcome = tuple[str, Any]

LOOSE = {
    "date_parsing": "the reason is worded by the Rust parser",
    "datetime_parsing": "likewise",
    "time_parsing": "likewise",
    "time_delta_parsing": "likewise",
    "uuid_parsing": "likewise",
    "date_from_datetime_parsing": "likewise",
    "datetime_from_date_parsing": "likewise",
    "path_type": "pydantic's names the private class of the platform",
    "too_long": "pydantic does not count some iterables to the end",
}
"""Kinds of faults whose wording is not compared, and why."""

DIFFERENT = {
    ("collections.abc.Sequence[int]", "MyList"): "a list comes out, whatever list class went in",
    ("collections.abc.Sequence[int]", "MySequence"): "a list comes out: nobody knows how to build another class",
    ("collections.abc.Sequence[int]", "bytearray"): "it is a sequence of numbers",
    ("<enum 'Number'>", "str"): "text too long for an i64 is no member, and no other fault",
    ("<flag 'Bits'>", "str"): "Python's flags have no upper bound",
    ("dict[str, int] | tests.field_kinds.Item", "OrderedDict"): "a subclass of dict is no exact match for Item either",
}
"""Where bubus differs from pydantic in lax mode, and why: by annotation and class of the value."""


def comparable(kind: str, loc: tuple[Any, ...], msg: str) -> tuple[Any, ...]:
    """Return what is compared of a fault."""
    return (
        kind,
        tuple(part for part in loc if part != "path" and not str(part).startswith("lax-or-strict")),
        LOOSE.get(kind, msg),
    )


def pydantics(kind: Any, value: Any, mode: Mode) -> Outcome:
    """Return what pydantic makes of *value*."""
    adapter = adapter_of(kind)
    strict = mode.strict or None
    try:
        return "ok", adapter.validate_json(value, strict=strict) if mode.json else adapter.validate_python(
            value, strict=strict
        )
    except PydanticError as error:
        return "faults", [comparable(one["type"], one["loc"], one["msg"]) for one in error.errors(include_input=False)]


def adapter_of(kind: Any) -> TypeAdapter[Any]:
    """Return pydantic's validator; arbitrary classes are allowed where pydantic lets that be said."""
    try:
        return TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:
        return TypeAdapter(kind)


def ours(kind: Any, value: Any, mode: Mode) -> Outcome:
    """Return what bubus makes of *value*."""
    validator = compile_type(Scope("tests.field_kinds", {}).resolve(kind), "field", mode)
    value = json.loads(value) if mode.json else value
    try:
        result = validator.check(value)
    except Invalid as invalid:
        faults = in_json_words(invalid.faults) if mode.json else invalid.faults
        return "faults", [comparable(one.kind, one.loc, one.msg) for one in faults]
    if validator.exact is None or type(value) in validator.exact:
        assert same(result, value), "a value that needs no check comes out as it went in"
    return "ok", result


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal and of the same class, through and through."""
    if type(one) is not type(other):
        return False
    if kind_of(one) in (list, tuple, deque):
        return same_parts(list(one), list(other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    if is_dict(one):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return bool(one == other) or (isinstance(one, Decimal) and one.is_nan() and other.is_nan())


def same_parts(one: list[Any], other: list[Any]) -> bool:
    """Tell whether two lists have the same parts."""
    return len(one) == len(other) and all(map(same, one, other))


def differences(kind: Any, values: list[Any], mode: Mode) -> Iterator[tuple[Any, Outcome, Outcome]]:
    """Yield the values of which bubus makes something else than pydantic."""
    for value in values:
        here, there = ours(kind, value, mode), pydantics(kind, value, mode)
        if here[0] != there[0] or not (same(here[1], there[1]) if here[0] == "ok" else here[1] == there[1]):
            yield value, here, there


@pytest.mark.parametrize(
    ("kind", "values"), TABLE, ids=[re.sub(" at 0x[0-9a-f]+", "", repr(kind)) for kind, _ in TABLE]
)
def test_R59_lax_mode_is_pydantics(kind: Any, values: list[Any]) -> None:
    """Values, their types, and the kind, place and wording of faults are pydantic's, but for a list of exceptions."""
    found = list(differences(kind, values, LAX))
    known = {(annotation, name) for annotation, name in DIFFERENT if annotation == repr(kind)}

    assert {(repr(kind), type(value).__name__) for value, _, _ in found} == known, found


def test_the_table_is_large_enough() -> None:
    """At least 5,000 pairs of type and value are compared; less than half a percent of them may differ."""
    pairs = sum(len(values) for _, values in TABLE)

    assert pairs >= 5000
    assert len(DIFFERENT) <= pairs / 200


JSON_VALUES: list[str] = [
    *("1", "0", "1.0", "1.5", "true", "null", '"1"', '"a"', '"x"', "[1]", '["1"]', "[1, 2]", '{"a": 1}', '{"a": "1"}'),
    *('"2020-01-01"', '"2020-01-01T01:00"', '"12345678123412341234123456789012"', '{"1": 2}', '{"a": 1, "q": 5}', "[]"),
]
JSON_DIFFERENT = {
    "Json": "a recursive alias is named by its name",
    "<enum 'Number'>": "as in lax mode",
    "<flag 'Bits'>": "as in lax mode",
    "collections.abc.Sequence[int]": "told as in Python",
    "<class 'type'>": "told as of other classes that JSON cannot hold",
    "typing.Type[typing.Any]": "likewise",
    "type[int] | int": "likewise",
    "int | tests.field_kinds.Number": "a number that fits a member is that member rather than a converted int",
    "<class 'datetime.timedelta'>": "true is one second, as in Python",
}


@pytest.mark.parametrize("kind", [kind for kind, _ in TABLE[: -len(LIMITED)]], ids=repr)
def test_values_from_json_are_read_as_by_pydantic(kind: Any) -> None:
    """JSON text may stand for what JSON has no word for; live objects are refused."""
    found = list(differences(kind, list(JSON_VALUES), LAX_JSON))

    assert not found or repr(kind) in JSON_DIFFERENT, found


STRICT_KINDS: list[Any] = [int, float, bool, str, bytes, list[int], tuple[int, ...], dict[str, int], int | str, Item]


@pytest.mark.parametrize("kind", STRICT_KINDS, ids=repr)
def test_strict_mode_is_pydantics(kind: Any) -> None:
    """In strict mode nothing is converted."""
    values = next(values for known, values in TABLE if known == kind)

    assert not list(differences(kind, values, STRICT))


def check(kind: Any, value: object, mode: Mode = LAX) -> Any:
    """Return what *kind* makes of *value*."""
    return compile_type(kind, "field", mode).check(value)


def faults(kind: Any, value: object, mode: Mode = LAX) -> list[tuple[str, tuple[int | str, ...]]]:
    """Return the kind and place of each fault of *value*."""
    with pytest.raises(Invalid) as caught:
        check(kind, value, mode)
    return [(one.kind, one.loc) for one in caught.value.faults]


@attrs.define
class Point:
    """An attrs class."""

    x: int
    y: int = 0


@attrs.define
class Circle:
    """An attrs class that shares a field with another."""

    x: int
    radius: float = attrs.field(default=1.0, alias="r")


@attrs.define
class Upper:
    """An attrs class with a converter and a validator."""

    text: str = attrs.field(converter=str.upper, validator=attrs.validators.max_len(3))


U = TypeVar("U")


@attrs.define
class Box(Generic[U]):
    """A generic attrs class."""

    content: U


class Model(BaseModel):
    """A pydantic model."""

    a: int


class TestAttrsClasses:
    def test_a_dict_becomes_an_instance(self) -> None:
        """A dict is taken as the arguments, which are converted to their types."""
        assert check(Point, {"x": "1"}) == Point(1, 0)

    def test_an_instance_keeps_its_identity(self) -> None:
        """An instance passes as it is, also one of a subclass."""

        class Special(Point):
            pass

        point, special = Point(1), Special(2)

        assert check(Point, point) is point
        assert check(list[Point], [special])[0] is special

    def test_the_class_with_more_of_the_keys_wins(self) -> None:
        """In a union of classes a dict becomes the one that has most of its keys."""
        assert check(Point | Circle, {"x": 1, "r": 2}) == Circle(1, 2.0)
        assert check(Point | Circle, {"x": 1, "y": 2}) == Point(1, 2)

    def test_converters_and_validators_run(self) -> None:
        """Attrs' converter makes the value, its validator may refuse it."""
        assert check(Upper, {"text": "ab"}) == Upper("AB")
        assert faults(Upper, {"text": "abcd"}) == [("value_error", ())]

    def test_a_generic_one_is_checked_by_its_argument(self) -> None:
        """``Box[int]`` checks the field typed T against int."""
        assert check(Box[int], {"content": "5"}) == Box(5)
        assert faults(Box[int], {"content": "x"}) == [("int_parsing", ("content",))]

    def test_every_fault_is_told(self) -> None:
        """A list of dicts tells each bad part, with the way to it."""
        assert faults(list[Point], [{"x": "a"}, {"x": 1, "y": "b"}, {}]) == [
            ("int_parsing", (0, "x")),
            ("int_parsing", (1, "y")),
            ("missing", (2, "x")),
        ]


class TestStructs:
    def test_a_dict_becomes_an_instance(self) -> None:
        """Msgspec builds a Struct from a dict."""
        assert check(Struct, {"a": "1"}) == Struct(1)

    def test_an_instance_keeps_its_identity(self) -> None:
        """An instance passes as it is."""
        struct = Struct(1)

        assert check(Struct, struct) is struct

    def test_a_fault_says_where(self) -> None:
        """The path that msgspec tells becomes the place of the fault."""
        assert faults(list[Struct], [{"a": 1, "b": [1, "x"]}]) == [("struct_type", (0, "b", 1))]


class TestPydanticModels:
    def test_a_model_checks_itself(self) -> None:
        """A dict becomes a model, an instance keeps its identity, faults are pydantic's."""
        model = Model(a=1)

        assert check(Model, {"a": "2"}) == Model(a=2)
        assert check(Model | None, model) is model
        assert faults(list[Model], [{"a": "x"}]) == [("int_parsing", (0, "a"))]


class TestUncheckable:
    @pytest.mark.parametrize("annotation", [5, "int", [int], ..., {"a": int}], ids=repr)
    def test_what_is_no_type_is_refused(self, annotation: Any) -> None:
        """An annotation that is no type at all cannot be compiled."""
        with pytest.raises(DefinitionError, match=r"field: .* neither be decoded"):
            compile_type(annotation, "field")

    def test_R45_a_protocol_that_cannot_be_checked_is_refused(self) -> None:
        """A type that can be neither decoded nor told by isinstance is an error when it is compiled."""

        class Talker(Protocol):
            def talk(self) -> str: ...

        with pytest.raises(DefinitionError, match="Talker"):
            compile_type(list[Talker], "field")

    @pytest.mark.parametrize("kind", [Plain, type[Plain]], ids=repr)
    def test_what_can_only_be_checked_is_refused_from_json(self, kind: Any) -> None:
        """An arbitrary class is accepted as an object, and never made from JSON."""
        value = Plain if kind is not Plain else Plain()

        assert check(kind, value) is value
        assert faults(kind, {"a": 1}, LAX_JSON) == [("needs_python_object", ())]


class TestMeta:
    @pytest.mark.parametrize(
        ("kind", "good", "bad", "fault"),
        [
            (Annotated[int, msgspec.Meta(gt=0)], "1", 0, "greater_than"),
            (Annotated[int, msgspec.Meta(ge=0, le=5)], 5, 6, "less_than_equal"),
            (Annotated[str, msgspec.Meta(pattern="^a")], "ab", "b", "string_pattern_mismatch"),
            (Annotated[list[int], msgspec.Meta(min_length=1)], ["1"], [], "too_short"),
            (Annotated[int, msgspec.Meta(multiple_of=3)], 6, 7, "multiple_of"),
        ],
    )
    def test_limits_of_msgspec_count(self, kind: Any, good: object, bad: object, fault: str) -> None:
        """Limits in msgspec.Meta are checked on what the type made of the value."""
        assert check(kind, good) is not None
        assert faults(kind, bad) == [(fault, ())]


class TestWire:
    def test_bytes_are_base64(self) -> None:
        """On the wire text that stands for bytes is base64."""
        assert check(bytes, "/w==", WIRE) == b"\xff"
        assert faults(bytes, "a", WIRE) == [("bytes_invalid_encoding", ())]

    def test_elsewhere_bytes_are_text(self) -> None:
        """In pydantic's JSON they are UTF-8."""
        assert check(bytes, "/w==", LAX_JSON) == b"/w=="


class TestValidate:
    def test_faults_become_the_public_error(self) -> None:
        """`validate` raises ValidationError, headed by the owner."""
        with pytest.raises(ValidationError) as caught:
            compile_type(list[int], "the result of Login").validate([1, "x"])

        assert caught.value.title == "the result of Login"
        assert caught.value.errors()[0]["loc"] == (1,)

    def test_none_always_passes(self) -> None:
        """A handler may always return nothing."""
        assert compile_type(int, "field").validate(None) is None


class Hostile(dict[str, int]):
    """A dict that cannot be read."""

    def keys(self) -> Any:
        """Fail."""
        raise ArithmeticError("no")

    __iter__ = keys  # pyright: ignore[reportAssignmentType] - hostile on purpose


class Endless:
    """Fails while it is iterated over."""

    def __iter__(self) -> Iterator[int]:
        """Yield one item and fail."""
        yield 1
        raise ArithmeticError("no")


class TestHostileValues:
    def test_a_container_that_fails_is_refused(self) -> None:
        """What a container raises while it is looked at is a fault of it."""
        assert faults(dict[str, int], Hostile(a=1)) == [("mapping_type", ())]
        assert faults(list[list[int]], [Endless()]) == [("iteration_error", (0,))]

    def test_a_cycle_is_refused(self) -> None:
        """A value without end is a fault, not a crash."""
        cyclic: dict[str, Any] = {"v": 1, "kids": []}
        cyclic["kids"].append(cyclic)

        with pytest.raises(ValidationError, match="cyclic reference"):
            compile_type(Tree, "field").validate(cyclic)


class TestFastPath:
    def test_lists_of_plain_values_are_copied(self) -> None:
        """Msgspec checks a list in C and returns a new one."""
        values = [1, 2]
        checked = check(list[int], values)

        assert checked == values
        assert checked is not values

    def test_what_msgspec_refuses_is_looked_at_again(self) -> None:
        """A list with a value to be converted, or a bad one, is not lost on the fast path."""
        assert check(dict[str, list[int]], {"a": ["1", 2.0, True]}) == {"a": [1, 2, 1]}
        assert faults(dict[str, list[int]], {"a": [1, "x"], "b": 5}) == [
            ("int_parsing", ("a", 1)),
            ("list_type", ("b",)),
        ]
