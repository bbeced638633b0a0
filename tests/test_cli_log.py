"""The command line of a log: check, cat, stats, replay, and the demo's --log."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from bubus import BaseEvent, EventBus, WriteAheadLog
from bubus.cli._command import bubus
from bubus.cli._where import Condition, ConditionError
from bubus.errors import LogDamagedError
from bubus.wal import mend, read, records
from tests.test_wal_journal import accept, complete, left
from tests.wal_faults import FaultDisk, seal

if TYPE_CHECKING:
    from pathlib import Path


class Sold(BaseEvent[str]):
    item: str
    amount: int
    buyer: dict[str, str]


class Returned(BaseEvent[None]):
    item: str


class SyncedFiles(FaultDisk):
    """Remembers which files were synced."""

    def __init__(self) -> None:
        super().__init__()
        self.synced: list[Path] = []

    def sync(self, fd: int) -> None:
        super().sync(fd)
        self.synced.append(self.fds[fd])


PROGRAM = """
from bubus import BaseEvent, EventBus

class SoldAgain(BaseEvent[None]):
    event_type: str = "Sold"

bus = EventBus()
seen = []

@bus.on("Sold")
def note(event):
    print("note", event.item)
    if event.item == "bad":
        raise ValueError(event.item)

@bus.on("*")
def count(event):
    print("count", event.event_type)

def make():
    return bus
"""


def run(*arguments: object) -> Result:
    """Run the program."""
    return CliRunner().invoke(bubus, [str(argument) for argument in arguments])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a log with four events."""
    path = tmp_path / "events.jsonl"

    async def write() -> None:
        bus = EventBus("Till", wal_path=path)
        bus.on(Sold, lambda event: "ok"[: 1 // (event.amount - 3)])
        for number, item in enumerate(("pen", "ink\x1b[31m", "cup")):
            await bus.dispatch(Sold(item=item, amount=number + 1, buyer={"name": "Ada" if number else "Bob"}))
        await bus.dispatch(Returned(item="pen"))
        await bus.stop(clear=True)

    asyncio.run(write())
    return path


def damage(path: Path) -> None:
    """Change a byte in the second line, and tear the last one."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"amount":2', b'"amount":7')
    path.write_bytes(b"".join(lines)[:-20])


def test_check_finds_a_good_log_good(path: Path) -> None:
    """Exit code 0, and the count."""
    result = run("log", "check", path)
    assert (result.exit_code, result.output) == (0, "4 good lines, 0 faults\n")


def test_check_reports_each_fault_with_its_place(path: Path) -> None:
    """Exit code 1; file, line and byte are named on stderr."""
    damage(path)
    result = run("log", "check", path)
    assert result.exit_code == 1
    assert "2 good lines" in result.stdout
    assert f"{path}, line 2, byte " in result.stderr
    assert "torn" in result.stderr


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """Return the path of a log with a journal: one event is complete, two are not, and one was given up."""
    path = tmp_path / "crashed.jsonl"

    async def write() -> None:
        log = WriteAheadLog(path, ahead=True)
        for event_id in "abcd":
            await accept(log, event_id)
        log.close()
        log.reopen()
        await log.bury((await log.unfinished())[3], "tried often enough")
        await asyncio.sleep(0)
        before = path.with_name("crashed.jsonl.journal").read_bytes()
        await complete(log, "a")
        log.close()
        path.with_name("crashed.jsonl.journal").write_bytes(before)  # killed before it noted that one has its line

    asyncio.run(write())
    return path


def test_check_and_stats_tell_what_is_not_finished_and_what_was_given_up(crashed: Path) -> None:
    """As `recover` would find it: an event that has its line is finished, whatever the journal says."""
    told = "2 events in the journal, accepted and not finished\n1 events in the .dead file, given up\n"
    files = {file.name: file.read_bytes() for file in crashed.parent.iterdir()}
    result = run("log", "check", crashed)
    assert (result.exit_code, result.output) == (0, f"1 good lines, 0 faults\n{told}")
    assert run("log", "stats", crashed).output.endswith(told)
    counted = json.loads(run("log", "stats", crashed, "--json").output)
    assert (counted["lines"], counted["unfinished"], counted["dead"]) == (1, 2, 1)
    assert {file.name: file.read_bytes() for file in crashed.parent.iterdir()} == files


def test_check_and_stats_read_a_journal_that_is_being_replaced(crashed: Path) -> None:
    """Of its two files the new one is the later."""
    journal = crashed.with_name("crashed.jsonl.journal")
    new = crashed.with_name("crashed.jsonl.journal.new")
    new.write_bytes(seal(b'{"op":"done","id":"b"', 1))
    assert "1 events in the journal" in run("log", "check", crashed).output
    journal.unlink()
    assert "0 events in the journal" in run("log", "check", crashed).output


@pytest.mark.parametrize("end", [".journal", ".dead"])
def test_check_reports_damage_beside_the_log_too(crashed: Path, end: str) -> None:
    """Exit code 1, and file, line and byte on stderr."""
    file = crashed.with_name(f"crashed.jsonl{end}")
    file.write_bytes(file.read_bytes().replace(b"xx", b"xy", 1))
    for command in ("check", "stats"):
        result = run("log", command, crashed)
        assert result.exit_code == 1
        assert f"{file}, line 1, byte 0: " in result.stderr
    assert run("log", "check", crashed).stdout.startswith("1 good lines, 1 faults\n")


def test_check_repair_lets_a_log_with_a_damaged_journal_open_again(crashed: Path) -> None:
    """The damaged entry is kept in .corrupt; what the others leave unfinished is found as before."""
    journal = crashed.with_name("crashed.jsonl.journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    bad = lines[1].replace(b"xx", b"xy", 1)
    journal.write_bytes(b"".join((lines[0], bad, *lines[2:])))
    with pytest.raises(LogDamagedError, match="journal"):
        WriteAheadLog(crashed, ahead=True)
    result = run("log", "check", crashed, "--repair")
    assert result.exit_code == 1
    assert "moved 1 damaged lines to crashed.jsonl.corrupt" in result.stdout
    assert crashed.with_name("crashed.jsonl.corrupt").read_bytes() == bad
    assert [event.event_id for event in asyncio.run(left(crashed))] == ["c"]
    assert run("log", "check", crashed, "--repair").exit_code == 0


def test_a_journal_is_not_taken_for_a_log(crashed: Path) -> None:
    """Its entries are no events, and a repair would throw them out."""
    journal = crashed.with_name("crashed.jsonl.journal")
    before = journal.read_bytes()
    for arguments in (["check"], ["check", "--repair"], ["stats"], ["cat"]):
        result = run("log", *arguments, journal)
        assert result.exit_code == 2
        assert "name the log itself, crashed.jsonl" in result.stderr
    assert journal.read_bytes() == before
    lonely = crashed.with_name("lonely.journal")
    WriteAheadLog(lonely).close()
    assert run("log", "check", lonely).exit_code == 0


def test_check_repair_takes_damage_out_and_keeps_it(path: Path) -> None:
    """Good lines stay byte for byte, the others are in .corrupt; then a bus goes on with the log."""
    before = path.read_bytes().splitlines(keepends=True)
    damage(path)
    damaged = path.read_bytes().splitlines(keepends=True)
    result = run("log", "check", path, "--repair")
    assert result.exit_code == 1
    assert "moved 2 damaged lines to events.jsonl.corrupt" in result.stdout
    assert path.read_bytes() == before[0] + before[2]
    assert path.with_name("events.jsonl.corrupt").read_bytes() == damaged[1] + damaged[3]
    WriteAheadLog(path).close()
    assert mend(path) == 0
    assert "lines are missing in 1 places" in result.stdout
    again = run("log", "check", path, "--repair")
    assert again.exit_code == 1
    assert "lines are missing in 1 places" in again.stdout
    assert "nothing is lost" not in again.stdout


def test_check_repair_of_a_torn_end_loses_nothing(path: Path) -> None:
    """That is no damage but a crash: it goes to .broken, as when a bus opens the log."""
    before = path.read_bytes()
    with path.open("ab") as file:
        file.write(b'{"event_type":"Half')
    result = run("log", "check", path, "--repair")
    assert result.exit_code == 0
    assert "nothing is lost" in result.stdout
    assert path.read_bytes() == before
    assert path.with_name("events.jsonl.broken").read_bytes() == b'{"event_type":"Half'
    assert run("log", "check", path).exit_code == 0


def test_a_cut_by_repair_is_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was cut off is not there again after a power cut."""
    disk = SyncedFiles()
    monkeypatch.setattr("bubus.wal._mend.Disk", lambda: disk)
    with path.open("ab") as file:
        file.write(b'{"event_type":"Half')
    assert mend(path) == 0
    assert disk.synced == [path.with_name("events.jsonl.broken"), path]


def test_a_damaged_last_line_keeps_a_log_closed_until_it_is_repaired(path: Path) -> None:
    """That is what the option is for."""
    path.write_bytes(path.read_bytes().replace(b'"item":"pen","event_status"', b'"item":"pin","event_status"'))
    with pytest.raises(ValueError, match="event_crc"):
        WriteAheadLog(path)
    assert run("log", "check", path, "--repair").exit_code == 1
    WriteAheadLog(path).close()
    assert len(list(records(path))) == 3


def test_repair_is_refused_while_somebody_writes(path: Path) -> None:
    """Exit code 2, and the owner is named."""
    log = WriteAheadLog(path)
    result = run("log", "check", path, "--repair")
    assert result.exit_code == 2
    assert "has this log open" in result.stderr
    log.close()


def test_repair_mends_full_files_too(path: Path) -> None:
    """Each file keeps its good lines."""
    log = WriteAheadLog(path, rotate_bytes=1000)
    log.close()
    path.rename(path.with_name("events.jsonl.000001"))
    lines = path.with_name("events.jsonl.000001").read_bytes().splitlines(keepends=True)
    path.with_name("events.jsonl.000001").write_bytes(b"".join((lines[0], b"\xff\x00 no line\n", *lines[1:])))
    assert mend(path) == 1
    assert path.with_name("events.jsonl.000001").read_bytes() == b"".join(lines)
    assert path.with_name("events.jsonl.corrupt").read_bytes() == b"\xff\x00 no line\n"


def test_cat_prints_lines_as_they_are(path: Path) -> None:
    """All of them, and JSON."""
    result = run("log", "cat", path)
    assert result.exit_code == 0
    assert result.output == path.read_text("ascii")


def test_cat_chooses_by_type_and_conditions(path: Path) -> None:
    """Types are alternatives, conditions must all hold."""

    def items(*options: str) -> list[str]:
        return [json.loads(line)["item"] for line in run("log", "cat", path, *options).output.splitlines()]

    assert items("--type", "Returned") == ["pen"]
    assert len(items("--type", "Returned", "--type", "Sold")) == 4
    assert items("--where", "amount>=2", "--where", "item~c") == ["cup"]
    assert items("--where", "buyer.name=Bob") == ["pen"]
    assert items("--where", "buyer.name!=Bob", "--where", "amount<3") == ["ink\x1b[31m"]
    assert items("--where", "nothing.there=1") == []


def test_S7_cat_prints_no_control_characters(tmp_path: Path) -> None:
    """Lines that somebody else wrote are escaped, with the same meaning."""
    path = tmp_path / "events.jsonl"
    path.write_bytes('{"event_type":"X","text":"\x7f\x9b31m\u2028\u202e"}\n'.encode())
    output = run("log", "cat", path).output
    assert output.isascii()
    assert json.loads(output)["text"] == "\x7f\x9b31m\u2028\u202e"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("n=7", True), ("n = 7", True), ("n!=7", False), ("n<8", True), ("n<=7", True), ("n>7", False), ("n>=7", True),
        ("s=7", True), ('s="7"', True), ("s~7", True), ("t>=2026-01-01", True), ("t<2026-01-01", False), ("l~2", True),
        ("d.x=null", True), ("d.x.y=1", False), ("n~7", False), ("b=true", True), ("s<8", True), ("none=1", False),
    ],
)  # fmt: skip
def test_conditions(text: str, holds: bool) -> None:
    """Values are JSON or text; what cannot be compared does not fit."""
    values = {"n": 7, "s": "7", "t": "2026-03-04T05:06:07Z", "l": [1, 2], "d": {"x": None}, "b": True}
    assert Condition.parse(text).holds(values) is holds


@pytest.mark.parametrize("text", ["", "amount", "=3", "\x1b[0m"])
def test_what_is_no_condition_is_refused(text: str, path: Path) -> None:
    """With an example, and exit code 2."""
    with pytest.raises(ConditionError, match="KEY=VALUE"):
        Condition.parse(text)
    result = run("log", "cat", path, "--where", text)
    assert result.exit_code == 2
    assert "KEY=VALUE" in result.stderr


def test_stats_counts_what_there_is(path: Path) -> None:
    """Types, handlers, failures and times; as text and as JSON."""
    counted = json.loads(run("log", "stats", path, "--json").output)
    assert counted["lines"] == 4
    assert counted["bytes"] == path.stat().st_size
    assert counted["failed"] == 1
    assert counted["types"] == {"Sold": 3, "Returned": 1}
    assert counted["handlers"]["Till.<lambda>"]["calls"] == 3
    assert counted["first"] < counted["last"]
    text = run("log", "stats", path).output
    assert text.startswith(f"4 events, 1 failed, {path.stat().st_size} bytes\n")
    assert "        3  Sold\n" in text


def test_commands_say_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    """Exit code 2 and one line, whichever command."""
    for command in ("check", "cat", "stats"):
        result = run("log", command, tmp_path / "none.jsonl")
        assert result.exit_code == 2
        assert "no log is there" in result.stderr
        assert "Traceback" not in result.stderr


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a program in the current directory."""
    (tmp_path / "replayed_program.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "replayed_program", raising=False)
    return "replayed_program"


@pytest.mark.parametrize("name", ["bus", "make"])
def test_replay_runs_the_events_on_the_bus_of_a_program(path: Path, app: str, name: str) -> None:
    """The bus may be an object or what a function returns; the counts are printed."""
    result = run("log", "replay", path, "--app", f"{app}:{name}", "--where", "amount<3", "--handler", "note")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "note pen"
    assert result.stdout.splitlines()[-1] == "4 read, 2 chosen, 2 replayed, 0 failed, 0 damaged"
    assert run("log", "replay", path, "--app", f"{app}:{name}", "--type", "Returned").stdout == (
        "count Returned\n4 read, 1 chosen, 1 replayed, 0 failed, 0 damaged\n"
    )
    assert "0 replayed" in run("log", "replay", path, "--app", f"{app}:{name}", "--dry-run").stdout


def test_replay_exits_with_1_where_something_failed(path: Path, app: str) -> None:
    """Failed handlers, or damage that was passed over; without --skip damage ends it."""
    path.write_bytes(path.read_bytes().replace(b'"item":"cup","amount":3', b'"item":"bad","amount":3'))
    result = run("log", "replay", path, "--app", f"{app}:bus")
    assert result.exit_code == 2
    assert "event_crc" in result.stderr
    assert result.stdout.splitlines()[-1] == "2 read, 2 chosen, 2 replayed, 0 failed, 0 damaged"
    assert result.stdout.count("note ") == 2
    result = run("log", "replay", path, "--app", f"{app}:bus", "--skip")
    assert result.exit_code == 1
    assert "3 read, 3 chosen, 3 replayed, 0 failed, 2 damaged" in result.stdout


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bus", "module:bus"),
        ("none:bus", "no module"),
        ("{}:none", "has no none; its buses are bus"),
        ("{}:seen", "not an EventBus"),
    ],
)
def test_replay_says_what_is_wrong_with_an_app(path: Path, app: str, name: str, why: str) -> None:
    """Exit code 2 and the reason."""
    result = run("log", "replay", path, "--app", name.format(app))
    assert result.exit_code == 2
    assert why in result.stderr


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"), ("def", "SyntaxError: invalid syntax"),
        ("import nothing_of_the_kind", "No module named 'nothing_of_the_kind'"),
        ("raise SystemExit(3)", "SystemExit: 3"), ("raise ValueError('\\x1b[31m')", r"ValueError: \x1b[31m"),
    ],
)  # fmt: skip
def test_replay_says_why_a_program_cannot_be_loaded(path: Path, app: str, code: str, why: str) -> None:
    """Exit code 2, the module, the error and its place, and no traceback."""
    path.with_name("replayed_program.py").write_text(f"\n{code}\n")
    result = run("log", "replay", path, "--app", f"{app}:bus")
    assert result.exit_code == 2
    assert f"the module {app} cannot be imported (`python -c 'import {app}'` shows where): " in result.stderr
    assert why in result.stderr
    assert "replayed_program.py, line 2" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_replay_says_why_a_function_returns_no_bus(path: Path, app: str) -> None:
    """Likewise where that raises."""
    path.with_name("replayed_program.py").write_text("def make():\n    raise OSError('no database')\n")
    result = run("log", "replay", path, "--app", f"{app}:make")
    assert result.exit_code == 2
    assert f"{app}:make raised OSError: no database (" in result.stderr


def test_the_demo_logs_its_orders(tmp_path: Path) -> None:
    """`bubus demo --log FILE`: the file can be read, checked and counted; a path that cannot be written is refused."""
    path = tmp_path / "demo.jsonl"
    result = run("demo", "--json", "--log", path)
    assert result.exit_code == 0
    events = list(read(path))
    assert {event.event_type for event in events} >= {"OrderPlaced"}
    assert len([event for event in events if event.event_type == "OrderPlaced"]) >= 1000
    assert run("log", "check", path).exit_code == 0
    (tmp_path / "file").touch()
    result = run("demo", "--log", tmp_path / "file" / "demo.jsonl")
    assert result.exit_code == 2
    assert "cannot be opened" in result.stderr
