"""Events as bytes: what is written comes back, what would not is refused, and hostile bytes do no harm."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import json
import math
import re
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import attrs
import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from typing_extensions import TypedDict

from bubus import BaseEvent
from bubus._codec import MAX_DEPTH, decode, depth_exceeds, encode
from bubus._narrow import is_dict, is_list_or_tuple
from bubus.errors import BubusError, EncodeError, InvalidEvent
from tests.field_kinds import made

if TYPE_CHECKING:
    from collections.abc import Callable


class Colour(enum.Enum):
    """Members that are written by value."""

    RED = "red"


class Bits(enum.IntFlag):
    """Flags."""

    A = 1
    B = 2


class Pair(NamedTuple):
    """Written as a list."""

    a: int
    b: str


class Keys(TypedDict):
    """Written as an object."""

    a: int


@dataclasses.dataclass
class Item:
    """A dataclass."""

    price: Decimal


@attrs.define
class Point:
    """An attrs class."""

    x: int


class Struct(msgspec.Struct):
    """A Struct."""

    a: int


class Text(str):
    """A subclass of str, which msgspec does not write by itself."""

    __slots__ = ()


class Note(BaseEvent[None]):
    """An event that can hold anything."""

    payload: Any = None


class Everything(BaseEvent[None]):
    """An event with a field of every kind that can be written."""

    text: str = "a\u2028\x7f\x9b"
    number: int = 2**70
    real: float = -0.0
    flag: bool = True
    raw: bytes = b"\xff\x00"
    nothing: None = None
    items: list[dict[str, tuple[int, ...]]] = [{"a": (1, 2)}]  # noqa: RUF012
    tags: set[str] = {"x"}  # noqa: RUF012
    frozen: frozenset[int] = frozenset({1})
    pair: tuple[int, str] = (1, "a")
    maybe: int | None = None
    either: int | str = "5"
    kind: Literal["a", 1] = 1
    colour: Colour = Colour.RED
    bits: Bits = Bits.A | Bits.B
    moment: dt.datetime = dt.datetime(2020, 1, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    day: dt.date = dt.date(2020, 1, 1)
    clock: dt.time = dt.time(1, 2, 3)
    span: dt.timedelta = dt.timedelta(days=1, seconds=2, microseconds=3)
    id: uuid.UUID = uuid.UUID(int=5)
    price: Decimal = Decimal("1.50")
    path: Path = Path("a/b")
    named: Pair = Pair(1, "x")
    keys: Keys = {"a": 1}  # noqa: RUF012
    item: Item = attrs.field(factory=lambda: Item(Decimal("2.5")))
    point: Point = attrs.field(factory=lambda: Point(1))
    struct: Struct = attrs.field(factory=lambda: Struct(1))
    classes: Item | Point = attrs.field(factory=lambda: Point(2))
    queue: collections.deque[int] = attrs.field(factory=lambda: collections.deque([1]))
    by_number: dict[int, str] = {1: "a"}  # noqa: RUF012
    by_flag: dict[bool, int] = {True: 1}  # noqa: RUF012
    by_day: dict[dt.date, int] = {dt.date(2020, 1, 1): 1}  # noqa: RUF012
    inner: Note | None = attrs.field(factory=lambda: Note(payload=[1]))


class TestRoundTrip:
    def test_R59_every_kind_of_field_comes_back(self) -> None:
        """An event with a field of every kind is equal after writing and reading."""
        event = made(Everything, extra={"b": [1, None]})
        back = decode(encode(event), Everything)

        assert back == event
        assert {name: type(value) for name, value in back.__dict__.items()} == {
            name: type(value) for name, value in event.__dict__.items()
        }

    def test_literals_that_json_has_not_come_back(self) -> None:
        """What stands in JSON for the member of an enum, or for bytes, is read as what was written."""

        class Marked(BaseEvent[None]):
            member: Literal[Colour.RED, 7]
            mark: Literal[b"\xff", "x"]

        for event in (Marked(member=Colour.RED, mark=b"\xff"), Marked(member=7, mark="x")):
            assert decode(encode(event), Marked) == event
        with pytest.raises(InvalidEvent, match="mark"):
            decode(encode(event).replace(b'"x"', b'"y"'), Marked)

    def test_json_as_pydantic_writes_it_comes_back_too(self) -> None:
        """model_dump_json writes bytes as UTF-8, and model_validate_json reads them so."""
        event = Everything(raw=b"text")

        assert Everything.model_validate_json(event.model_dump_json()) == event

    def test_extras_come_back(self) -> None:
        """Extras are read, which plain msgspec does not do."""
        assert decode(encode(made(Note, more=[1])), Note).model_extra == {"more": [1]}

    def test_what_plain_msgspec_wrote_is_read(self) -> None:
        """A line of plain msgspec is the same line."""
        note = Note(payload={"a": 1})

        assert decode(msgspec.json.encode(note), Note) == note

    def test_subclasses_of_plain_types_are_written(self) -> None:
        """A subclass of str, int or bytes is written as what it is."""
        assert json.loads(encode(Note(payload=[Text("a")])))["payload"] == ["a"]

    def test_S7_a_line_is_safe_to_look_at(self) -> None:
        """Control characters that JSON allows raw are escaped, and read back."""
        note = Note(payload="\x7f\x80\x9b\u2028\u2029\u00e9")
        line = encode(note)

        assert not re.search("[\x7f-\x9f\u2028\u2029]", line.decode())
        assert "\u00e9" in line.decode()
        assert b"\n" not in line
        assert decode(line, Note) == note


PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=20,
)


def in_list(value: object) -> list[object]:
    """Return *value* one list deeper."""
    return [value]


def in_dict(value: object) -> dict[str, object]:
    """Return *value* one dict deeper."""
    return {"a": value}


class TestRefusals:
    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (float("nan"), "payload is nan"),
            ([1, {"a": float("inf")}], r"payload\[1\].a is inf"),
            ({"x": (float("-inf"),)}, r"payload.x\[0\] is -inf"),
            ("\ud800", "payload: .*surrogates"),
            ({"\ud800": 1}, "payload: .*surrogates"),
            ({(1, 2): 3}, "payload: a tuple cannot be a key"),
            ({None: 1}, "payload: NoneType"),
            (object(), "payload: object cannot be written"),
            (len, "payload: .*cannot be written"),
            (int, "payload: type cannot be written"),
            (ValueError("x"), "payload: ValueError cannot be written"),
            ((one for one in [1]), "payload: generator cannot be written"),
            (range(3), "payload: range cannot be written"),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_F1_what_cannot_be_written_is_refused_with_its_field(self, payload: object, reason: str) -> None:
        """An event that cannot be written, or not without loss, raises; the message names the field."""
        with pytest.raises(EncodeError, match=f"Note.{reason}"):
            encode(Note(payload=payload))

    def test_F1_cycles_are_refused(self) -> None:
        """A value that contains itself is refused."""
        cyclic: list[Any] = []
        cyclic.append(cyclic)

        with pytest.raises(EncodeError, match=r"Note.payload contains itself"):
            encode(Note(payload=cyclic))

    @pytest.mark.parametrize("wrap", [in_list, in_dict])
    def test_F1_the_depth_is_bounded(self, wrap: Callable[[Any], Any]) -> None:
        """Nesting to the limit is written and read; one level more is refused."""
        payload: Any = 1
        for _ in range(MAX_DEPTH - 1):
            payload = wrap(payload)

        assert decode(encode(Note(payload=payload)), Note).payload == payload
        with pytest.raises(EncodeError, match=r"Note.payload is nested deeper than 128"):
            encode(Note(payload=wrap(payload)))

    def test_F1_a_bad_extra_is_named(self) -> None:
        """Extras are looked at like fields."""
        with pytest.raises(EncodeError, match=r"Note.more: object"):
            encode(made(Note, more=object()))

    def test_the_word_null_in_text_is_no_fault(self) -> None:
        """Nulls and Nones are not mistaken for numbers."""
        note = made(Note, payload=["null", None, {"null": None}], more=None)

        assert decode(encode(note), Note) == note

    def test_errors_are_of_the_family(self) -> None:
        """EncodeError and InvalidEvent are ValueErrors of bubus."""
        for error in (EncodeError, InvalidEvent):
            assert issubclass(error, ValueError)
            assert issubclass(error, BubusError)

    @given(PAYLOADS)
    @settings(max_examples=200, deadline=None)
    def test_F1_an_event_comes_back_or_is_refused(self, payload: Any) -> None:
        """Whatever the payload: reading gives what was written, or writing raised."""
        note = Note(payload=payload)
        try:
            line = encode(note)
        except EncodeError:
            assert "\\ud" in ascii(payload) or not all(map(math.isfinite, floats_in(payload)))
        else:
            assert decode(line, Note) == note


def floats_in(value: Any) -> list[float]:
    """Return all floats in a payload."""
    if isinstance(value, float):
        return [value]
    if is_dict(value):
        return [number for item in value.values() for number in floats_in(item)]
    return [number for item in value for number in floats_in(item)] if is_list_or_tuple(value) else []


class TestHostileBytes:
    @pytest.mark.parametrize(
        "line",
        [
            *(b"", b"{", b"[]", b"5", b"null", b'"x"', b"{}x", b'{"a": NaN}', b'{"payload": Infinity}'),
            *(b'{"payload": 1e999}', b'{"payload": ' + b"9" * 5000 + b"}", b"\xff", b'{"payload": "\xff"}'),
            *(b'{"payload": "\\ud800"}', b"\xef\xbb\xbf{}", b'{"payload": "\x00"}', b'{"payload": "\xc0\x80"}'),
            *(b'{"event_id": "x"}', b'{"event_type": "*"}', b'{"event_timeout": -1}', b'{"_event_state": 1}'),
            *(b'{"event_result": 1}', b'{"event_created_at": "never"}', b'{"event_path": 5}'),
        ],
        ids=lambda line: repr(line)[:40],
    )
    def test_S3_each_gives_the_one_error(self, line: bytes) -> None:
        """Whatever is wrong with a line, reading it raises InvalidEvent."""
        with pytest.raises(InvalidEvent, match="no Note: "):
            decode(line, Note)

    def test_the_reason_is_told(self) -> None:
        """The message says what was wrong, and with which field."""
        with pytest.raises(InvalidEvent, match="event_id") as caught:
            decode(b'{"event_id": "x"}', Note)

        assert caught.value.__cause__ is not None

    def test_the_last_of_equal_keys_counts(self) -> None:
        """Duplicate keys are not an error; the last one is read."""
        assert decode(b'{"payload": 1, "payload": 2}', Note).payload == 2

    def test_large_numbers_are_exact(self) -> None:
        """Numbers beyond 64 bits are not rounded."""
        assert decode(b'{"payload": 123456789012345678901234567890}', Note).payload == 123456789012345678901234567890

    @pytest.mark.parametrize(
        "line",
        [b"[" * 10_000_000, b'{"a":' * 2_000_000, b'{"skipped":' + b"[" * 5_000_000, b'{"' + b'\\"' * 3_000_000],
        ids=["lists", "objects", "unknown field", "open string"],
    )
    def test_S1_deep_nesting_is_refused_before_it_is_decoded(self, line: bytes) -> None:
        """Millions of levels are refused in an instant, without recursion."""
        with pytest.raises(InvalidEvent):
            decode(line, Note)

    def test_S1_threads_with_small_stacks_survive(self) -> None:
        """Nesting up to the limit fits in the smallest stack; beyond it nothing is decoded."""
        code = (
            "import sys, threading\n"
            "from bubus import BaseEvent\n"
            "from bubus._codec import decode\n"
            "from bubus.errors import InvalidEvent\n"
            "sys.setrecursionlimit(10**6)\n"
            "def run():\n"
            "    decode(b'{\"a\":' + b'[' * 127 + b']' * 127 + b'}', BaseEvent)\n"
            "    for line in (b'[' * 3_000_000, b'{\"a\":' * 1_000_000):\n"
            "        try: decode(line, BaseEvent)\n"
            "        except InvalidEvent: print('refused')\n"
            "threading.stack_size(64 * 1024 if sys.version_info < (3, 12) else 256 * 1024)\n"
            "thread = threading.Thread(target=run); thread.start(); thread.join()\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

        assert (done.returncode, done.stdout.split()) == (0, ["refused", "refused"]), done.stderr

    def test_brackets_in_text_are_no_nesting(self) -> None:
        """Only real lists and objects count."""
        note = Note(payload="[" * 1000 + '"' + "{" * 1000 + "\\")

        assert decode(encode(note), Note) == note
        assert not depth_exceeds(b'{"a": "' + b"[" * 1000 + b'\\"[[["}', 2)
        assert depth_exceeds(b"[[[]]]", 2)
        assert not depth_exceeds(b"[[], [[]], []]", 3)

    @given(st.binary(max_size=200) | st.text(alphabet='{}[]":,\\ue19.x- ').map(str.encode))
    @settings(max_examples=300, deadline=None)
    def test_S3_nothing_else_is_raised(self, line: bytes) -> None:
        """Random bytes are an event or an InvalidEvent."""
        try:
            event = decode(line, Note)
        except InvalidEvent:
            return
        assert isinstance(event, Note)

    def test_S4_nothing_is_imported_or_run(self) -> None:
        """While hostile lines are read, nothing is imported, compiled, opened or executed."""
        code = (
            "import sys\n"
            "from bubus import BaseEvent\n"
            "from bubus._codec import decode\n"
            "from bubus.errors import InvalidEvent\n"
            "class Note(BaseEvent): payload: object = None\n"
            'lines = [b\'{"event_type": "os.system", "event_schema": "os.system@1", "payload": "__import__"}\',\n'
            "         b'{\"__class__\": \"os\"}', b'{\"py/object\": \"os.system\"}', b'[', b'\\xff']\n"
            "def read():\n"
            "    for line in lines:\n"
            "        try: decode(line, Note)\n"
            "        except InvalidEvent: pass\n"
            "read()\n"
            "watched = {'import', 'exec', 'compile', 'open', 'subprocess.Popen', 'os.system', 'pickle.find_class',\n"
            "    'socket.connect', 'ctypes.dlopen'}\n"
            "seen, on = [], [False]\n"
            "sys.addaudithook(lambda name, args: on[0] and name in watched and seen.append(name))\n"
            "on[0] = True\n"
            "for _ in range(1000): read()\n"
            "on[0] = False\n"
            "print(seen)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert done.stdout.strip() == "[]"
