"""`bubus demo`: what it prints is held against an independent count of the same file."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest

from bubus import cli
from bubus._bus import EventBus
from bubus.cli import _demo
from bubus.cli._damage import Damage, Kind
from bubus.cli._lines import LONGEST, Line, read_lines
from bubus.cli._orders import OrderPlaced
from bubus.cli._reader import Reader
from bubus.cli._summary import Durations
from tests import make_orders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


# What a terminal might obey: everything but printable text and line feeds, and what changes the direction of text.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
COINS = {"CHF": Decimal("0.05"), "JPY": Decimal(1), "KWD": Decimal("0.001")}
CURRENCIES = {"BRL", "CHF", "EUR", "GBP", "INR", "JPY", "KWD", "PLN", "USD"}


# -- the independent count: plain json and Decimal ---------------------------------------------------------------------


@dataclass
class Expected:
    """What a file must come to."""

    lines: int = 0
    faults: dict[int, str] = field(default_factory=dict[int, str])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    shipped: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    events: Counter[str] = field(default_factory=Counter[str])
    failed: Counter[str] = field(default_factory=Counter[str])

    def add(self, order: dict[str, Any]) -> None:
        declined = order["payment"].get("last4") in {"0002", "9995", "0069"}
        silent = sum(item["warehouse"].startswith("REY-") for item in order["items"])
        outcome = "declined" if declined else "backordered" if silent else "shipped"
        self.outcomes[outcome] += 1
        self.events.update(["OrderPlaced", "PaymentRequested"])
        self.events["StockRequested"] += 0 if declined else len(order["items"])
        self.events["ShipmentBooked" if outcome == "shipped" else "OrderRefused"] += 1
        self.failed["PaymentRequested"] += declined
        self.failed["StockRequested"] += 0 if declined else silent
        if outcome == "shipped":
            currency = order["currency"]
            self.shipped[currency] = self.shipped.get(currency, Decimal(0)) + Decimal(order["total"])


def counted(data: bytes) -> Expected:
    expected = Expected()
    seen: set[str] = set()
    lines = data.split(b"\n")
    for number, line in enumerate(lines[: None if lines[-1] else -1], 1):
        expected.lines += 1
        order, kind = parsed(line)
        if kind is None and order is not None and order["order_id"] in seen:
            kind = "duplicate_id"
        if kind is not None or order is None:
            expected.faults[number] = kind or "?"
            continue
        seen.add(order["order_id"])
        expected.add(order)
    return expected


def refuse_constant(name: str) -> float:
    raise json.JSONDecodeError(f"{name} is no JSON", name, 0)


def parsed(line: bytes) -> tuple[dict[str, Any] | None, str | None]:
    if not line.strip():
        return None, "empty_line"
    if line.count(b"[[[["):
        return None, "too_deep"
    try:
        value: object = json.loads(line.decode(), parse_constant=refuse_constant)
    except UnicodeDecodeError:
        return None, "bad_utf8"
    except json.JSONDecodeError as error:
        ended = error.pos >= len(error.doc) or error.msg.startswith("Unterminated string")
        return None, "torn_line" if ended and line.startswith(b"{") else "not_json"
    return (value, fault(value)) if is_object(value) else (None, "not_an_object")


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_array(value: object) -> bool:
    return isinstance(value, list)


def fault(order: dict[str, Any]) -> str | None:
    return fault_of_shape(order) or fault_of_content(order)


def fault_of_shape(order: dict[str, Any]) -> str | None:
    if not {"order_id", "placed_at", "customer", "currency", "items", "shipping", "payment", "total"} <= order.keys():
        return "missing_field"
    items = order["items"]
    if not is_array(items) or not is_object(order["customer"]):
        return "wrong_type"
    if not all({"sku", "name", "quantity", "unit_price", "warehouse"} <= item.keys() for item in items):
        return "missing_field"
    texts = [order["customer"]["name"], *(item["unit_price"] for item in items)]
    numbers = [item["quantity"] for item in items]
    fine = all(isinstance(text, str) for text in texts) and all(isinstance(number, int) for number in numbers)
    return None if fine else "wrong_type"


def fault_of_content(order: dict[str, Any]) -> str | None:
    if order["currency"] not in CURRENCIES:
        return "unknown_currency"
    try:
        datetime.fromisoformat(order["placed_at"])
    except ValueError:
        return "bad_time"
    return "no_items" if not order["items"] else fault_of_amounts(order)


def fault_of_amounts(order: dict[str, Any]) -> str | None:
    prices = [Decimal(item["unit_price"]) for item in order["items"]] + [Decimal(order["shipping"]["cost"])]
    if not all(price.is_finite() for price in prices):
        return "not_a_number"
    if min(prices) < 0:
        return "negative_price"
    return None if Decimal(order["total"]) == due(order) else "wrong_total"


def due(order: dict[str, Any]) -> Decimal:
    coin = COINS.get(order["currency"], Decimal("0.01"))
    amount = Decimal(order["shipping"]["cost"])
    for item in order["items"]:
        rest = (100 - Decimal(item.get("discount_percent", "0"))) / 100
        amount += (item["quantity"] * Decimal(item["unit_price"]) * rest / coin).quantize(1, ROUND_HALF_UP) * coin
    return amount


# -- running the program -----------------------------------------------------------------------------------------------


def demo(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m bubus demo`` with its output piped."""
    return subprocess.run(
        [sys.executable, "-m", "bubus", "demo", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=False,
        env=plain_environment() | environment,
    )


def plain_environment() -> dict[str, str]:
    forcing = {"FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"}
    return {name: value for name, value in os.environ.items() if name not in forcing} | {"PYTHONUTF8": "1"}


def summary_of(*arguments: str | Path) -> dict[str, Any]:
    done = demo(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def reported(stderr: str, name: str) -> dict[int, str]:
    """Return the kinds of damage by line number, as stderr lists them."""
    found = re.findall(rf"^{re.escape(name)}:(\d+): (\w+): .+$", stderr, re.MULTILINE)
    return {int(number): kind for number, kind in found}


def assert_equal(summary: dict[str, Any], expected: Expected) -> None:
    assert summary["lines"] == expected.lines
    assert summary["damage"] == Counter(expected.faults.values())
    assert {name: number for name, number in summary["outcomes"].items() if number} == expected.outcomes
    assert {name: Decimal(text) for name, text in summary["shipped"].items()} == expected.shipped
    types = summary["types"]
    assert {name: kind["count"] for name, kind in types.items()} == +expected.events
    assert {name: kind["audited"] for name, kind in types.items()} == +expected.events
    assert {name: kind["failed"] for name, kind in types.items() if kind["failed"]} == +expected.failed
    assert summary["events"] == expected.events.total()


@pytest.fixture(scope="module")
def sample_run() -> subprocess.CompletedProcess[str]:
    """One run of the sample, as text in a pipe."""
    return demo()


@pytest.fixture(scope="module")
def intact_lines() -> list[bytes]:
    """The intact lines of the sample."""
    data = make_orders.SAMPLE.read_bytes()
    damaged = counted(data).faults
    return [line for number, line in enumerate(data.split(b"\n"), 1) if number not in damaged]


def written(folder: Path, lines: Iterable[bytes], name: str = "mine.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


# -- the sample --------------------------------------------------------------------------------------------------------


def test_the_generator_makes_the_sample_byte_for_byte() -> None:
    """The packaged file is what its generator makes, on every version of Python."""
    assert make_orders.SAMPLE.read_bytes() == make_orders.sample()


def test_the_sample_has_1000_intact_orders_and_a_dozen_kinds_of_damage() -> None:
    """An independent count of the file finds the damage that the generator planted, and nothing else."""
    expected = counted(make_orders.SAMPLE.read_bytes())
    planted = Counter(kind for kind, _ in make_orders.FAULTS)
    planted["torn_line"] += 1
    assert expected.outcomes.total() == 1_000
    assert Counter(expected.faults.values()) == planted
    assert len(planted) >= 12
    assert min(expected.outcomes["declined"], expected.outcomes["backordered"]) >= 5


def test_the_summary_agrees_with_an_independent_count() -> None:
    """Counts, failures, damage by kind, outcomes and amounts are those that plain json and Decimal find in the file."""
    assert_equal(summary_of(), counted(make_orders.SAMPLE.read_bytes()))


def test_every_damaged_line_is_reported_with_its_number(sample_run: subprocess.CompletedProcess[str]) -> None:
    """Stderr lists exactly the damaged lines, each with number, kind and a reason."""
    expected = counted(make_orders.SAMPLE.read_bytes())
    assert reported(sample_run.stderr, "orders.jsonl") == expected.faults
    assert len(sample_run.stderr.splitlines()) == len(expected.faults)


def test_reasons_name_the_place_and_the_value(sample_run: subprocess.CompletedProcess[str]) -> None:
    """A reason says which field is wrong and what stands there."""
    assert re.search(r"wrong_type: items\.0\.quantity: .*'three'", sample_run.stderr)
    assert re.search(r"missing_field: items\.0\.sku: ", sample_run.stderr)
    assert re.search(r"duplicate_id: order_id: 'R25-000003' is that of line 3$", sample_run.stderr, re.MULTILINE)


def test_a_pipe_gets_readable_text_without_progress_bar(sample_run: subprocess.CompletedProcess[str]) -> None:
    """Piped output has tables, totals and the slowest order's tree, and no bar."""
    text = sample_run.stdout
    assert sample_run.returncode == 0
    assert re.search(r"OrderPlaced +1,000 +0 +1,000 +[\d.]+ +[\d.]+", text)
    assert re.search(r"torn_line +4\b", text)
    assert re.search(r"1,040 lines, 40 of them damaged", text)
    assert re.search(r"events in [\d.]+ s: [\d,]+ events/s", text)
    assert re.search(r"The slowest order, R25-\d{6}:\n└── ✅ OrderPlaced#", text)
    assert "%" not in text + sample_run.stderr


def test_nothing_that_a_terminal_obeys_reaches_the_output(sample_run: subprocess.CompletedProcess[str]) -> None:
    """Control characters of the data, of which the sample has many, arrive as escape sequences."""
    assert UNSAFE.findall(sample_run.stdout + sample_run.stderr) == []
    assert r"\x1b[31mEUR" in sample_run.stderr.replace("\\\\", "\\")


# -- other files -------------------------------------------------------------------------------------------------------


def test_outcomes_depend_on_the_orders_not_on_their_sequence(tmp_path: Path, intact_lines: list[bytes]) -> None:
    """The same orders the other way round have the same outcomes and failures."""
    backwards = intact_lines[::-1]
    assert_equal(summary_of(written(tmp_path, backwards)), counted(b"\n".join(intact_lines)))


def test_the_tree_shows_nested_events_and_what_failed(tmp_path: Path, intact_lines: list[bytes]) -> None:
    """An order whose warehouse is silent shows its payment, the handler that ran out of time, and the refusal."""
    silent = next(line for line in intact_lines if b'"REY-1"' in line)
    tree = demo(written(tmp_path, [silent])).stdout.partition("The slowest order")[2].splitlines()
    order, *nested = [line for line in tree if "#" in line and "HandlerTimeout" not in line]
    assert re.fullmatch(r"└── ✅ OrderPlaced#\w{4} \([\d.]+ ms\)", order)
    assert {name for line in nested for name in re.findall(r"✅ (\w+)#", line)} == {
        "PaymentRequested",
        "StockRequested",
        "OrderRefused",
    }
    assert any(re.search(r"❌ orders\.reserve .* HandlerTimeout: ", line) for line in tree)


def test_a_file_of_damage_only(tmp_path: Path) -> None:
    """Without one intact order there is no event, and the exit code is still 0."""
    path = written(tmp_path, [b"{", b"[]", b"", b"\xff", b'{"order_id": 1}'])
    done = demo(path)
    kinds = ["torn_line", "not_an_object", "empty_line", "bad_utf8", "missing_field"]
    assert done.returncode == 0
    assert reported(done.stderr, "mine.jsonl") == dict(enumerate(kinds, 1))
    assert "0 events in" in done.stdout


def test_an_empty_file(tmp_path: Path) -> None:
    """No line is no error."""
    path = tmp_path / "empty.jsonl"
    path.touch()
    assert summary_of(path)["lines"] == 0


def test_line_ends_and_byte_order_mark_of_other_systems(tmp_path: Path, intact_lines: list[bytes]) -> None:
    """A file written on Windows, with CR LF and a byte order mark, is read as it is meant."""
    path = written(tmp_path, [b"\xef\xbb\xbf" + intact_lines[0] + b"\r", intact_lines[1] + b"\r"])
    assert summary_of(path)["outcomes"]["shipped"] == counted(b"\n".join(intact_lines[:2])).outcomes["shipped"]
    assert summary_of(path)["damaged"] == 0


@pytest.mark.parametrize("name", ["missing.jsonl", "", "\x1b[31mred.jsonl"], ids=["missing", "folder", "hostile"])
def test_a_file_that_cannot_be_read_ends_with_2(tmp_path: Path, name: str) -> None:
    """A missing file, or a folder, gives one clear message and exit code 2."""
    done = demo(tmp_path / name)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"Error: cannot read .+: (No such file or directory|Is a directory); name a file .+\n", done.stderr
    )
    assert UNSAFE.findall(done.stderr) == []


def test_hostile_text_in_intact_orders(tmp_path: Path, intact_lines: list[bytes]) -> None:
    """An order id that clears the screen is shown in the tree's heading as an escape sequence."""
    order = json.loads(intact_lines[0]) | {"order_id": "\x1b[2J\x9b31m\u202e[bold]"}
    done = demo(written(tmp_path, [json.dumps(order).encode()]))
    assert UNSAFE.findall(done.stdout + done.stderr) == []
    assert r"The slowest order, \x1b[2J\x9b31m\u202e[bold]:" in done.stdout


def test_characters_that_the_terminal_lacks(tmp_path: Path, intact_lines: list[bytes]) -> None:
    """Where output is ASCII, what is not ASCII is shown as an escape sequence."""
    path = written(tmp_path, [b"\xff", intact_lines[0]])
    done = demo(path, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_a_reader_that_leaves_early(tmp_path: Path, intact_lines: list[bytes]) -> None:
    """A pipe closed by its reader, as by `head`, ends the program without a traceback."""
    with subprocess.Popen(
        [sys.executable, "-m", "bubus", "demo", written(tmp_path, intact_lines[:50])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=plain_environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_a_progress_bar(tmp_path: Path, intact_lines: list[bytes]) -> None:
    """Before a terminal the share that is read is shown while it grows."""
    assert "%" in on_terminal(sys.executable, "-m", "bubus", "demo", written(tmp_path, intact_lines[:50]))


def on_terminal(*command: str | Path) -> str:
    import pty  # noqa: PLC0415 - exists on POSIX only

    near, far = pty.openpty()
    with subprocess.Popen(command, stdout=far, stderr=far, env=plain_environment() | {"TERM": "xterm"}) as process:
        os.close(far)
        with os.fdopen(near, "rb", buffering=0) as screen:
            text = b"".join(screen_reads(screen))
    assert process.returncode == 0
    return text.decode()


def screen_reads(screen: io.FileIO) -> Iterator[bytes]:
    with contextlib.suppress(OSError):  # Linux reports the end of a terminal as an error
        while chunk := screen.read(65_536):
            yield chunk


# -- the extra ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_the_extra_one_message_names_it(package: str) -> None:
    """Where the extra is not installed, the program says how to install it and ends with 2."""
    done = run_without(package)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"bubus: the command line needs {package}: pip install 'bubus[cli]'\n"


def test_another_missing_module_is_not_explained_away() -> None:
    """A module that the extra does not bring is reported as what it is."""
    problem = ModuleNotFoundError("No module named 'bubus.gone'", name="bubus.gone")
    with pytest.raises(ModuleNotFoundError) as caught:
        cli.refusal(problem)
    assert caught.value is problem


def run_without(package: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.modules[{package!r}] = None; from bubus.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, "demo"], capture_output=True, encoding="utf-8", timeout=50, check=False
    )


# -- in this process ---------------------------------------------------------------------------------------------------


class Silent:
    """A watcher that keeps the most orders it saw in flight."""

    def __init__(self) -> None:
        self.most = 0

    def on_line(self, line: Line, fault: Damage | None) -> None:
        buses = [bus for bus in EventBus.all_instances if bus.name == "orders"]
        events = [event for bus in buses for event in bus.events_pending + bus.events_started]
        self.most = max(self.most, sum(isinstance(event, OrderPlaced) for event in events))


def read_one(order: dict[str, Any]) -> OrderPlaced | Damage:
    data = json.dumps(order).encode()
    return Reader().read(Line(1, data, len(data)))


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        (("items", 0, "unit_price"), "1E+999999", Kind.TOO_LARGE),
        (("items", 0, "unit_price"), "sNaN", Kind.NOT_A_NUMBER),
        (("items", 0, "unit_price"), "-Infinity", Kind.NOT_A_NUMBER),
        (("items", 0, "unit_price"), "12,50", Kind.WRONG_TYPE),
        (("items", 0, "discount_percent"), "100.1", Kind.TOO_LARGE),
        (("items", 0, "quantity"), 0, Kind.WRONG_TYPE),
        (("items", 0, "quantity"), 10**40, Kind.WRONG_TYPE),
        (("total",), "-1", Kind.NEGATIVE_PRICE),
        (("currency",), 978, Kind.WRONG_TYPE),
        (("placed_at",), "2025-03-01T10:00:00", Kind.BAD_TIME),
        (("customer", "country"), "Deutschland", Kind.WRONG_TYPE),
        (("payment", "last4"), "12345", Kind.WRONG_TYPE),
        (("order_id",), "", Kind.WRONG_TYPE),
        (("order_id",), "x" * 41, Kind.WRONG_TYPE),
        (("order_id",), "\ud800", Kind.NOT_JSON),
        (("event_timeout",), 1e-9, Kind.RESERVED_FIELD),
        (("event_id",), "0195f5a0-0000-7000-8000-000000000000", Kind.RESERVED_FIELD),
        (("_event_state",), {}, Kind.WRONG_TYPE),
    ],
)
def test_kinds_of_damage(intact_lines: list[bytes], path: tuple[str | int, ...], value: object, kind: Kind) -> None:
    """One wrong value makes the whole line damaged, of the kind that fits."""
    order = json.loads(intact_lines[0])
    parent = order
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    fault = read_one(order)
    assert isinstance(fault, Damage)
    assert fault.kind is kind


def test_the_gravest_of_several_faults_counts(intact_lines: list[bytes]) -> None:
    """A line with three faults is counted once, under the kind that stands first."""
    order = json.loads(intact_lines[0]) | {"currency": "XBT", "placed_at": "yesterday"}
    del order["payment"]
    fault = read_one(order)
    assert isinstance(fault, Damage)
    assert fault.kind is Kind.MISSING_FIELD


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b'{"order_id":"R1","note":"half', Kind.TORN_LINE),
        (b'{"order_id":"R1","note":"half\\', Kind.TORN_LINE),
        (b'{"order_id":"R1","items":[{', Kind.TORN_LINE),
        (b'{"order_id":', Kind.TORN_LINE),
        (b'{"order_id":}', Kind.NOT_JSON),
        (b'{"note":"}"', Kind.TORN_LINE),
        (b'{"note":"{"}}', Kind.NOT_JSON),
        (b'"R1"', Kind.NOT_AN_OBJECT),
        (b"9" * 5_000, Kind.NOT_JSON),
        (b"[" * 30, Kind.NOT_JSON),
        (b"[" * 500_000, Kind.TOO_DEEP),
        (b'{"' + b'\\"' * 500_000, Kind.TORN_LINE),
        (b'{"' + b'\\"' * 500_000 + b"{" * 33, Kind.TORN_LINE),
        (b'{"\xed\xa0\x80":1}', Kind.BAD_UTF8),
    ],
    ids=itertools.count(),
)
def test_lines_that_are_no_order(line: bytes, kind: Kind) -> None:
    """Torn, foreign and hostile lines get their kind at once, however long they are."""
    fault = Reader().read(Line(1, line, len(line)))
    assert isinstance(fault, Damage)
    assert fault.kind is kind


def test_brackets_within_strings_are_no_nesting(intact_lines: list[bytes]) -> None:
    """Depth counts objects and arrays, not what a customer wrote."""
    order = json.loads(intact_lines[0]) | {"note": '\\"' + "[{" * 100}
    assert not isinstance(read_one(order), Damage)


def test_random_damage_never_stops_the_reader(intact_lines: list[bytes]) -> None:
    """Whatever is done to the bytes of an order, the result is an order or a kind of damage, never an exception."""
    chance = random.Random(7)
    spoilers = (
        b'"',
        b"{",
        b"]",
        b"\\",
        b"\x00",
        b"\xff",
        b"null",
        b"1e999",
        b'"1E+99999999999999999999"',
        b'"-0"',
        b'""',
    )
    reader = Reader()
    found: Counter[str] = Counter()
    for number in range(3_000):
        data = bytearray(chance.choice(intact_lines))
        spot = chance.choice(list(re.finditer(rb'"[^"]*"|\d+|.', data)))
        data[spot.start() : spot.end()] = chance.choice(spoilers)
        fault = reader.read(Line(number, bytes(data), len(data)))
        found[fault.kind if isinstance(fault, Damage) else "intact"] += 1
    assert len(found) >= 7


def test_a_line_without_end_is_not_held_in_memory() -> None:
    """Of a line that is too long only the beginning is kept; the next line is read as it is."""
    first, second = read_lines(io.BytesIO(b"x" * (3 * LONGEST) + b"\nnext"))
    assert (len(first.data), first.size, first.whole) == (LONGEST, 3 * LONGEST + 1, False)
    assert second == Line(2, b"next", 4)
    fault = Reader().read(first)
    assert isinstance(fault, Damage)
    assert fault.kind is Kind.TOO_LONG


def test_a_duplicate_is_measured_against_intact_orders_only(intact_lines: list[bytes]) -> None:
    """An id is taken by the first intact order that has it, not by a damaged line."""
    reader = Reader()
    damaged = intact_lines[0].replace(b'"total":"', b'"total":"9')
    found = [
        reader.read(Line(number, data, len(data))) for number, data in enumerate([damaged, *intact_lines[:1] * 2], 1)
    ]
    kinds = [fault.kind if isinstance(fault, Damage) else None for fault in found]
    assert kinds == [Kind.WRONG_TOTAL, None, Kind.DUPLICATE_ID]


def test_quantiles_are_true_to_two_percent() -> None:
    """The distribution that is kept gives the quantiles of all durations, within the width of its classes."""
    seconds = [0.0005 * 1.01**step for step in range(999)]
    durations = Durations()
    for value in seconds:
        durations.add(value)
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    assert math.isclose(durations.quantile(0.50), cuts[49], rel_tol=0.02)
    assert math.isclose(durations.quantile(0.95), cuts[94], rel_tol=0.02)
    assert Durations().quantile(0.5) == 0.0


async def test_orders_in_flight_are_constant_in_number(intact_lines: list[bytes]) -> None:
    """However long the file, no more than a window of orders is with the bus."""
    watcher = Silent()
    summary = await _demo.run(io.BytesIO(b"\n".join(intact_lines[:300])), watcher)
    assert summary.outcomes.total() == 300
    assert 0 < watcher.most <= _demo.WINDOW
