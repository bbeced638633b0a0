"""Reading a log: what is noticed, what is kept, and what it costs."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bubus.errors import LogDamagedError, LogOpenError, OptionError
from bubus.wal import WriteAheadLog, records
from bubus.wal._files import follow
from tests.wal_faults import parts, seal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bubus.wal import LogReader, LogRecord

LEGACY = b'{"event_type":"Ping","event_id":"old","event_timeout":300.0,"event_path":["EventBus"],"data":"x"}\n'
COUNT = 30


def line(number: int, size: int = 60) -> bytes:
    """Return the *number*-th line of a log."""
    return seal(b"".join(parts(str(number), size)), number)


LINES = [line(number) for number in range(1, COUNT + 1)]


def write(path: Path, lines: Sequence[bytes]) -> Path:
    """Write a log and the file of its lock, as if it had been closed."""
    path.with_name(path.name + ".lock").write_bytes(b"0\n")
    path.write_bytes(b"".join(lines))
    return path


def read_all(path: Path) -> tuple[list[bytes], int, list[LogDamagedError]]:
    """Return all lines that can be read, how many faults were counted, and those faults."""
    faults: list[LogDamagedError] = []
    reader: LogReader[LogRecord] = records(path, faults.append)
    return [record.data + b"\n" for record in reader], reader.damaged, faults


def assert_noticed(path: Path, intact: Sequence[bytes]) -> None:
    """Check that damage is reported, and that every line that was not touched is still read."""
    with pytest.raises(LogDamagedError):
        list(records(path))
    found, damaged, faults = read_all(path)
    assert damaged == len(faults) > 0
    assert found == list(intact)


def test_D2_every_single_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """Flip one bit at 2,000 places: the line is reported, all others are read."""
    chance, whole = random.Random(2), b"".join(LINES)
    for place in chance.sample(range(len(whole) * 8), 2000):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        path = write(tmp_path / "events.jsonl", [bytes(changed)])
        with pytest.raises(LogDamagedError) as caught:
            list(records(path))
        hit = whole.count(b"\n", 0, place // 8)
        assert caught.value.line in {hit + 1, hit + 2}
        intact = [data for number, data in enumerate(LINES) if number != hit]
        if whole[place // 8] == 0x0A and hit + 1 < COUNT:
            del intact[hit]  # the line feed was hit: two lines became one
        elif whole[place // 8] == 0x0A:
            continue  # the last line feed became part of the last line
        assert read_all(path)[0] == intact, place


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, len(b"".join(LINES)) - 1), noise=st.binary(min_size=1, max_size=700))
def test_D2_overwritten_bytes_are_noticed(tmp_path: Path, start: int, noise: bytes) -> None:
    """Whatever is written over the log, every line that was not touched is read, and the rest is reported."""
    whole = b"".join(LINES)
    changed = (whole[:start] + noise + whole[start + len(noise) :])[: len(whole)]
    if changed == whole:
        return
    path = write(tmp_path / "events.jsonl", [changed])
    with pytest.raises(LogDamagedError):
        list(records(path))
    intact = [data for data in LINES if (b"\n" + data) in b"\n" + changed]
    assert len(intact) >= COUNT - 2 - len(noise) // min(map(len, LINES))
    assert [data for data in read_all(path)[0] if data in intact] == intact


@pytest.mark.parametrize("at", [0, 1, 14, COUNT - 2])
def test_D2_a_missing_line_is_noticed(tmp_path: Path, at: int) -> None:
    """A removed line leaves a gap in the numbers, also at the beginning."""
    left = LINES[:at] + LINES[at + 1 :]
    path = write(tmp_path / "events.jsonl", left)
    assert_noticed(path, left)
    with pytest.raises(LogDamagedError, match=f"line {at + 1} is missing"):
        list(records(path))


@pytest.mark.parametrize("at", [0, 14, COUNT - 1])
def test_D2_a_doubled_line_is_noticed_and_read_once(tmp_path: Path, at: int) -> None:
    """The second of two equal lines is not yielded."""
    path = write(tmp_path / "events.jsonl", [*LINES[: at + 1], LINES[at], *LINES[at + 1 :]])
    assert_noticed(path, LINES)


@pytest.mark.parametrize("at", [0, 14, COUNT - 2])
def test_D2_swapped_lines_are_noticed_and_both_read(tmp_path: Path, at: int) -> None:
    """Lines in the wrong order are reported, and none is dropped."""
    lines = [*LINES[:at], LINES[at + 1], LINES[at], *LINES[at + 2 :]]
    assert_noticed(write(tmp_path / "events.jsonl", lines), lines)


def test_D2_zeros_in_the_middle_are_noticed(tmp_path: Path) -> None:
    """512 bytes of zeros cost the lines they hit."""
    whole = bytearray(b"".join(LINES))
    whole[1024:1536] = bytes(512)
    first, last = b"".join(LINES).count(b"\n", 0, 1024), b"".join(LINES).count(b"\n", 0, 1535)
    path = write(tmp_path / "events.jsonl", [bytes(whole)])
    assert_noticed(path, LINES[:first] + LINES[last + 1 :])


def test_a_fault_names_file_line_byte_and_reason(tmp_path: Path) -> None:
    """The error says where to look and what is wrong, in attributes and in words."""
    path = write(tmp_path / "events.jsonl", [*LINES[:2], LINES[2].replace(b"x", b"y", 1), *LINES[3:]])
    with pytest.raises(LogDamagedError, match="event_crc") as caught:
        list(records(path))
    error = caught.value
    assert (error.file, error.line, error.offset) == (str(path), 3, len(LINES[0] + LINES[1]))
    assert str(path) in str(error)
    assert isinstance(error, ValueError)


def test_skip_warns_of_each_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """on_error="skip" goes on, but never silently."""
    path = write(tmp_path / "events.jsonl", [*LINES[:2], b"\x1b[31m{nonsense\n", *LINES[3:]])
    reader = records(path, "skip")
    assert len(list(reader)) == COUNT - 1
    assert reader.damaged == len(caplog.records) == 2  # the line itself, and its number
    assert "\x1b" not in caplog.text


def test_a_torn_tail_is_reported_after_all_whole_lines(tmp_path: Path) -> None:
    """Reading a log that was not opened since the crash yields all whole lines first."""
    path = write(tmp_path / "events.jsonl", [*LINES, b'{"event_type":'])
    reader, found = records(path), 0
    with pytest.raises(LogDamagedError, match="torn"):  # noqa: PT012 - how far it came is the point
        for _ in reader:
            found += 1
    assert found == COUNT


def test_a_last_line_without_line_feed_is_read(tmp_path: Path) -> None:
    """It is whole when its checksum fits, or when it is JSON of an older bubus."""
    path = write(tmp_path / "events.jsonl", [b"".join(LINES)[:-1]])
    assert len(list(records(path))) == COUNT
    path.write_bytes(LEGACY[:-1])
    assert len(list(records(path))) == 1


def test_lines_of_an_older_bubus_are_read_unchecked(tmp_path: Path) -> None:
    """Before, between and after ours, whoever of the two programs wrote when."""
    lines = [LEGACY, LEGACY, LINES[0], LEGACY, LINES[1], LEGACY]
    path = write(tmp_path / "events.jsonl", lines)
    found = list(records(path))
    assert [record.data + b"\n" for record in found] == lines
    assert found[0].head.event_path == ("EventBus",)
    assert found[0].head.event_timeout == 300.0
    assert found[0].seq is None


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"7",
        b"\xff\xfe",
        b'{"event_type":7}',
        b'{"event_type":"A","event_created_at":"yesterday"}',
        b'{"event_type":"A","event_id":{}}',
        b'{"event_type":"\\ud800"}',
        b'{"event_type":"A"}{"event_type":"B"}',
        b'{"event_type":"A","event_seq":3}',
        b'{"event_type":"A","event_crc":3}',
        b'{"event_type":"A","event_seq":3,"event_crc":"3"}',
        b'{"event_type":"A","event_seq":' + b"9" * 5000 + b',"event_crc":' + b"9" * 5000 + b"}",
        b'{"event_type":"A","x":' + b"[" * 200 + b"]" * 200 + b"}",
    ],
)
def test_S3_what_is_no_event_is_one_kind_of_error(tmp_path: Path, bad: bytes) -> None:
    """Bytes that somebody else wrote give LogDamagedError and nothing else; the lines around them are read."""
    path = write(tmp_path / "events.jsonl", [LINES[0], bad + b"\n", LINES[1]])
    found, _, (fault,) = read_all(path)
    assert found == LINES[:2]
    assert fault.line == 2
    assert fault.reason.isprintable()


def test_S1_nesting_ends_in_an_error_and_not_in_a_crash(tmp_path: Path) -> None:
    """Ten million levels, also with a valid checksum, are refused before a decoder sees them."""
    for deep in (b"[" * 10_000_000, b'{"a":' * 3_000_000):
        path = write(tmp_path / "events.jsonl", [seal(b'{"event_type":"A","x":' + deep, 1)])
        assert "128" in read_all(path)[2][0].reason


def test_brackets_in_strings_are_no_nesting(tmp_path: Path) -> None:
    """Text may hold any number of brackets, and wide lines are not deep ones."""
    bodies = [b'"' + b"[{" * 5000 + b'\\""', b"[" + b"[]," * 5000 + b"1]", b'"\\\\","y":[' + b"{}," * 200 + b"1]"]
    lines = [seal(b'{"event_type":"A","x":' + body, number) for number, body in enumerate(bodies, 1)]
    assert len(list(records(write(tmp_path / "events.jsonl", lines)))) == 3


def test_S2_a_line_too_long_is_passed_over_without_being_held(tmp_path: Path) -> None:
    """A line of 1 GB costs no memory: the lines before and after it are read."""
    path = write(tmp_path / "events.jsonl", [LINES[0]])
    with path.open("r+b") as file:
        file.seek(1 << 30)
        file.write(b"\n" + LINES[1])
    code = (
        "import resource, sys; from bubus.wal import records\n"
        "faults = []; before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = [record.seq for record in records(sys.argv[1], faults.append)]\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print(found, len(faults), grown < 2 * 16 * 1024 + 8192)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 2] 1 True\n"


def test_max_line_bytes_counts_without_the_line_feed(tmp_path: Path) -> None:
    """A line of exactly the limit is read, one byte more is not."""
    first, second = line(1, 2000), line(2, 2001)
    path = write(tmp_path / "events.jsonl", [first, second, line(3)])
    reader = records(path, lambda _: None, max_line_bytes=len(first) - 1)
    assert [record.seq for record in reader] == [1, 3]


def test_full_files_come_first_and_a_break_between_two_is_noticed(tmp_path: Path) -> None:
    """All files read as one; a missing file is a gap."""
    path = write(tmp_path / "events.jsonl", LINES[20:])
    for number in range(4):
        part = b"".join(LINES[5 * number : 5 * number + 5])
        (tmp_path / f"events.jsonl.{number + 1:06}").write_bytes(part)
    assert [record.seq for record in records(path)] == list(range(1, COUNT + 1))
    (tmp_path / "events.jsonl.000003").unlink()
    with pytest.raises(LogDamagedError, match="lines 11 to 15 are missing"):
        list(records(path))
    (tmp_path / "events.jsonl.000001").unlink()
    (tmp_path / "events.jsonl.000002").unlink()
    assert [record.seq for record in records(path)] == list(range(16, COUNT + 1))


def test_one_full_file_alone_is_readable(tmp_path: Path) -> None:
    """Reading a single full file, or a copy of it, is no reason to miss the others."""
    (tmp_path / "events.jsonl.000003").write_bytes(b"".join(LINES[10:]))
    assert len(list(records(tmp_path / "events.jsonl.000003"))) == 20


def test_a_damaged_gz_is_reported_and_the_next_file_is_read(tmp_path: Path) -> None:
    """What cannot be decompressed is damage with a place; files after it are still read."""
    path = write(tmp_path / "events.jsonl", LINES[20:])
    packed = gzip.compress(b"".join(LINES[:20]))
    for broken in (packed[: len(packed) // 2], packed[:-8] + bytes(8), b"no gzip at all"):
        (tmp_path / "events.jsonl.000001.gz").write_bytes(broken)
        found, _, faults = read_all(path)
        assert found[-10:] == LINES[20:]
        assert "decompressed" in faults[0].reason


def test_D4_readers_follow_a_log_that_is_being_rotated(tmp_path: Path) -> None:
    """A file that gets its number while it is read, and lines that come meanwhile, are neither lost nor doubled."""
    path, more = write(tmp_path / "events.jsonl", LINES[:5]), iter(range(5, COUNT))
    found: list[int | None] = []
    for record in records(path):
        found.append(record.seq)
        for number in (next(more, None), next(more, None)):
            if number is None:
                break
            with path.open("ab") as file:
                file.write(LINES[number])
            if number % 3 == 0:
                path.rename(tmp_path / f"events.jsonl.{number:06}")
    assert found == list(range(1, COUNT + 1))


def test_D4_a_file_that_is_deleted_while_others_are_read_is_missing_and_no_more(tmp_path: Path) -> None:
    """What was deleted (`keep`) is reported as missing lines; what was compressed meanwhile is read."""
    path = write(tmp_path / "events.jsonl", LINES[15:])
    full = [tmp_path / f"events.jsonl.{number:06}" for number in range(1, 4)]
    for number, file in enumerate(full):
        file.write_bytes(b"".join(LINES[5 * number : 5 * number + 5]))
    found, faults = list[int | None](), list[LogDamagedError]()
    for record in records(path, faults.append):
        found.append(record.seq)
        if record.seq == 2:
            full[1].unlink()
            full[2].with_name(full[2].name + ".gz").write_bytes(gzip.compress(full[2].read_bytes()))
            full[2].unlink()
    assert found == [*range(1, 6), *range(11, COUNT + 1)]
    assert [fault.reason.partition(" are")[0] for fault in faults] == ["lines 6 to 10"]


def test_D4_a_file_that_is_deleted_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    """Even if lines were added, and it got its number and was deleted, since its reader had come to the end."""
    path, found = write(tmp_path / "events.jsonl", LINES[:5]), list[bytes]()
    for _, opened in follow(path):
        found += opened.readlines()
        if len(found) == 5:
            with path.open("ab") as file:
                file.write(b"".join(LINES[5:8]))
            path.unlink()
            (tmp_path / "events.jsonl.000002").write_bytes(b"".join(LINES[8:10]))
            path.write_bytes(b"".join(LINES[10:]))
    assert found == LINES


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.000001", "events.jsonl.000001.gz"])
def test_a_file_that_cannot_be_opened_is_an_error_of_ours(tmp_path: Path, name: str) -> None:
    """Such as a directory of that name, or a link to nothing; the error says which it is."""
    (tmp_path / name).mkdir()
    with pytest.raises(LogOpenError, match=rf"cannot be read \(.*{name}'"):
        list(records(tmp_path / "events.jsonl"))
    (tmp_path / name).rmdir()
    (tmp_path / name).symlink_to(tmp_path / "nothing")
    if name != "events.jsonl":
        with pytest.raises(LogOpenError, match=rf"cannot be read \(.*{name}'"):
            list(records(tmp_path / "events.jsonl"))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong path is an error at the call, not an empty log."""
    with pytest.raises(LogOpenError, match="check the path"):
        records(tmp_path / "evnts.jsonl")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LogOpenError, match="cannot be read"):
        records(tmp_path / "file" / "events.jsonl")
    for path in ("", "a\0b", "logs/"):
        with pytest.raises(OptionError, match="ends in a file name"):
            records(path)
    WriteAheadLog(tmp_path / "events.jsonl").close()
    assert list(records(tmp_path / "events.jsonl")) == []


def test_a_bad_on_error_is_refused(tmp_path: Path) -> None:
    """Only the two words and callables will do."""
    path = write(tmp_path / "events.jsonl", LINES)
    with pytest.raises(OptionError, match="on_error"):
        records(path, "ignore")  # pyright: ignore[reportArgumentType] - that is the test
