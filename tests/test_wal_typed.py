"""Reading a log as events."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from typing_extensions import assert_type  # noqa: UP035 - of Python 3.11 too

from bubus import BaseEvent
from bubus._codec import encode
from bubus.errors import LogDamagedError, OptionTypeError
from bubus.wal import LogReader, read
from bubus.wal._typed import EventDecoder, shortcut
from tests.wal_faults import seal

if TYPE_CHECKING:
    from collections.abc import Sequence

STATUS = b',"event_status":"completed","event_results":{"h":{"status":"completed","result":{"event_type":"X"}}}'


class PlainEvent(BaseEvent[str]):
    """All of its fields are such that C alone can read them."""

    text: str
    number: int = 3
    ratio: float = 0.5
    names: list[str] = attrs.field(factory=list[str])
    maybe: int | None = None


class RichEvent(BaseEvent[None]):
    """Its fields need what msgspec does not do."""

    at: datetime
    more: dict[str, Any] = attrs.field(factory=dict[str, Any])
    checked: int = attrs.field(default=1, validator=attrs.validators.gt(0))


def line(event: BaseEvent[Any], number: int) -> bytes:
    """Return the line of a completed event."""
    return seal(encode(event)[:-1] + STATUS, number)


def write(folder: Path, lines: Sequence[bytes]) -> Path:
    """Write a log."""
    path = folder / "events.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def _with(**values: object) -> PlainEvent:
    return PlainEvent.model_validate(values)


EVENTS: list[BaseEvent[Any]] = [
    PlainEvent(text="a"),
    PlainEvent(text='é"\\\n,"event_status":"x', number=-(10**18), ratio=1e300, names=["", "[{"], maybe=0),
    _with(text="extra", surprise={"event_status": "y", "z": [1]}),
    _with(text="nested", surprise={"a": 1, "event_status": "y"}),
    PlainEvent(
        text="slow", event_timeout=None, event_path=["One", "Two"], event_parent_id=PlainEvent(text="p").event_id
    ),
    RichEvent(at=datetime(2025, 1, 2, tzinfo=UTC), more={"a": [None, {"b": 1}]}),
    BaseEvent(event_type="Unregistered", data="critical", deep={"a": [1]}),
]


def test_events_come_back_as_they_were(tmp_path: Path) -> None:
    """Class, fields, extras, ids, parents and times are those that were dispatched; nothing of the results is left."""
    path = write(tmp_path, [line(event, number) for number, event in enumerate(EVENTS, 1)])
    found = list(read(path))
    assert [type(event) for event in found] == [type(event) for event in EVENTS]
    assert [event.model_dump() for event in found] == [event.model_dump() for event in EVENTS]
    assert {event.event_status for event in found} == {"pending"}
    assert all(not event.event_results for event in found)


def test_the_shortcut_agrees_with_the_long_way() -> None:
    """Where C reads a line, the result is what the ordinary way gives, attribute by attribute and in order."""
    decoder, taken = EventDecoder(None), 0
    for event in EVENTS:
        data = line(event, 1)[:-1]
        by_shortcut, thoroughly = decoder.decode(data, 1), decoder._thoroughly(data, 1)  # pyright: ignore[reportPrivateUsage] - the two are compared
        assert by_shortcut is not None
        assert thoroughly is not None
        assert list(vars(by_shortcut).items()) == list(vars(thoroughly).items())
    plain = shortcut(PlainEvent)
    for event in EVENTS[:2]:
        taken += plain(encode(event)) is not None
    assert taken == 2
    assert plain(encode(EVENTS[2])) is None
    assert shortcut(RichEvent)(encode(EVENTS[5])) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"number":3', b'"number":"4"'),
        (b'"number":3', b'"number":4.0'),
        (b'"text":"a"', b'"text":"a","text":"b"'),
        (b'"number":3,', b""),
        (b'"ratio":0.5', b'"ratio":7'),
        (b"@1.0.0", b"@9.9.9"),
        (b'"event_timeout":60.0', b'"event_timeout":0'),
    ],
)
def test_unusual_lines_are_read_as_the_long_way_reads_them(tmp_path: Path, old: bytes, new: bytes) -> None:
    """Lax numbers, defaults, duplicate keys, another version: the shortcut never decides otherwise."""
    data = encode(EVENTS[0])
    assert old in data
    changed = data.replace(old, new, 1)[:-1] + STATUS
    path = write(tmp_path, [seal(changed, 1)])
    (event,) = read(path)
    expected = EventDecoder(None)._thoroughly(seal(changed, 1)[:-1], 1)  # pyright: ignore[reportPrivateUsage] - see above
    assert expected is not None
    assert vars(event) == vars(expected)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"number":3', b'"number":"many"'),
        (b'"text":"a"', b'"text":7'),
        (b'"event_timeout":60.0', b'"event_timeout":-1'),
        (b'"event_id":"0', b'"event_id":"g'),
        (b'"event_path":[]', b'"event_path":7'),
    ],
)
def test_what_does_not_fit_its_class_is_reported_with_its_place(tmp_path: Path, old: bytes, new: bytes) -> None:
    """A valid checksum does not make a value right; the next line is read."""
    data = encode(EVENTS[0])
    assert old in data
    bad = seal(data.replace(old, new, 1)[:-1] + STATUS, 1)
    path = write(tmp_path, [bad, line(EVENTS[0], 2)])
    with pytest.raises(LogDamagedError, match="line 1"):
        list(read(path))
    reader = read(path, on_error="skip")
    assert list(reader) == [EVENTS[0]]
    assert reader.damaged == 1


def test_types_choose_classes_and_events(tmp_path: Path) -> None:
    """Only events of these classes are yielded, and the result is typed by them."""
    path = write(tmp_path, [line(event, number) for number, event in enumerate(EVENTS, 1)])
    found = read(path, [PlainEvent])
    assert_type(found, LogReader[PlainEvent])
    assert [event.text for event in found] == ["a", EVENTS[1].model_dump()["text"], "extra", "nested", "slow"]
    with pytest.raises(OptionTypeError, match="event classes"):
        read(path, ["PlainEvent"])  # type: ignore[list-item] # pyright: ignore[reportCallIssue, reportArgumentType] - that is the test


@pytest.mark.parametrize(
    ("types", "told"),
    [(PlainEvent, r"list of event classes: \[PlainEvent\]"), (3, "not 3"), ("A", "not 'A'")],
)
def test_types_are_a_list(tmp_path: Path, types: Any, told: str) -> None:
    """A class alone is refused before anything is read, with what to write instead."""
    with pytest.raises(OptionTypeError, match=told):
        read(write(tmp_path, []), types)


@pytest.mark.parametrize("key", ["surprise", "text", "names", "maybe"])
def test_S1_nesting_is_harmless_in_a_thread_with_a_small_stack(tmp_path: Path, key: str) -> None:
    """The shortcut looks at no brackets before it decodes: its decoder must stop at the first that does not fit."""
    event = encode(EVENTS[0])[:-1]
    deep = [event + b',"%b":' % key.encode() + bracket * 3_000_000 + STATUS for bracket in (b"[", b'{"a":')]
    path = write(tmp_path, [seal(body, number) for number, body in enumerate(deep, 1)])
    code = (
        "import sys, threading; sys.path.insert(0, sys.argv[2]); from bubus.wal import read; from tests import"
        " test_wal_typed\nfaults = []\nthreading.stack_size(128 * 1024)\n"
        "run = lambda: list(read(sys.argv[1], on_error=faults.append, max_line_bytes=1 << 26))\n"
        "thread = threading.Thread(target=run)\n"
        "thread.start(); thread.join(); print(len(faults))"
    )
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code, str(path), root], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"


def test_reading_takes_the_same_memory_however_long_the_log_is(tmp_path: Path) -> None:
    """Fifty thousand lines, 16 MB, are read within 4 MB."""
    data = encode(EVENTS[0])[:-1] + STATUS
    path = write(tmp_path, [seal(data, number) for number in range(1, 50_001)])
    assert path.stat().st_size > 16_000_000
    assert next(read(path)) == EVENTS[0]
    tracemalloc.start()
    assert sum(1 for _ in read(path)) == 50_000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4_000_000


def test_S4_nothing_named_by_data_is_imported_or_built(tmp_path: Path) -> None:
    """Types and schemas in a log are only looked up: nothing is imported, run, opened or started for them."""
    names = ["os.system", "subprocess.Popen", "builtins.eval", "object"]
    lines = [
        seal(
            b'{"event_type":"%b","event_schema":"%b@1","args":["id"]' % (name.encode(), name.encode()) + STATUS, number
        )
        for number, name in enumerate(names, 1)
    ]
    decoder, seen = EventDecoder(None), list[str]()
    watched = ("import", "exec", "compile", "subprocess.Popen", "os.system", "pickle.find_class", "socket.connect")
    watching = [False]
    sys.addaudithook(lambda name, _: seen.append(name) if watching[0] and name in watched else None)
    decoder.decode(lines[0][:-1], 1)
    watching[0] = True
    found = [decoder.decode(data[:-1], 1) for data in lines]
    watching[0] = False
    assert seen == []
    assert {type(event) for event in found} == {BaseEvent}
    spoofed = ["__import__", "*", "PlainEvent ", "Pl\u0430inEvent", "a" * 129, ""]
    path = write(tmp_path, [seal(b'{"event_type":"%b"' % name.encode(), n) for n, name in enumerate(spoofed, 1)])
    reader = read(path, on_error="skip")
    assert list(reader) == []
    assert reader.damaged >= len(spoofed)


def test_of_two_classes_with_one_name_the_schema_tells(tmp_path: Path) -> None:
    """Modules may use the same name; a line goes to the class that wrote it."""

    def define(qualname: str) -> type[BaseEvent[Any]]:
        class Twin(BaseEvent[None]):
            __qualname__ = qualname

        return Twin

    twins = [define("First.Twin"), define("Second.Twin"), define("Third.Twin")]
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(encode(cls()) + b"\n" for cls in twins))
    assert [type(event) for event in read(path)] == twins
