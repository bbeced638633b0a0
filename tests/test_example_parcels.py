"""The parcel service of tests/examples/parcels, driven over HTTP as its users would."""

from __future__ import annotations

import json
import re
import signal
import socketserver
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parent / "examples"
TARIFF = {
    "near": {"countries": ["AT", "DE"], "base": 390, "per_kg": 50},
    "far": {"countries": ["JP"], "base": 2400, "per_kg": 900},
}
PARCEL = {"length": 30, "width": 20, "height": 10, "weight": "1.5"}
GOOD_CARD, POOR_CARD, WRONG_CARD = "4539 1488 0343 6467", "4000 0000 0000 0002", "4539 1488 0343 6468"


class Printer(socketserver.StreamRequestHandler):
    """A label printer: answers each line with what it printed, or, out of paper, with nothing."""

    out_of_paper = threading.Event()
    closing = threading.Event()

    def handle(self) -> None:
        line = self.rfile.readline().decode().strip()
        if self.out_of_paper.is_set():
            self.rfile.readline()  # until the service hangs up
        else:
            self.wfile.write(f"[{line}]\n".encode())


@pytest.fixture(scope="module")
def printer() -> Iterator[str]:
    """Address of a label printer."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Printer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Server:
    """The service in a process of its own."""

    def __init__(self, folder: Path, printer: str) -> None:
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "parcels.app:app", "--port", "0"]
        environment = {"PARCELS": str(folder), "PRINTER": printer, "PYTHONPATH": str(Path(__file__).parent.parent)}
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        self.log: list[str] = []
        port = self._port()
        self._reader = threading.Thread(target=self._read_on)
        self._reader.start()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def _port(self) -> str:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
                return found[1]
        raise AssertionError("".join(self.log))

    def _read_on(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def stop(self) -> int:
        """Ask it to end; return its exit status."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


def new_folder(path: Path) -> Path:
    """Return a folder with what the service needs to begin with."""
    (path / "tariff.json").write_text(json.dumps(TARIFF))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service's data."""
    return new_folder(tmp_path_factory.mktemp("parcels"))


@pytest.fixture(scope="module")
def server(folder: Path, printer: str) -> Iterator[Server]:
    """The running service."""
    running = Server(folder, printer)
    yield running
    code = running.stop()
    assert code in (0, -signal.SIGTERM), "".join(running.log)
    assert not [line for line in running.log if "Traceback" in line], "".join(running.log)


def booking(**changes: Any) -> dict[str, Any]:
    """Return the body of a booking."""
    body = {
        "parcel": PARCEL,
        "country": " at ",
        "recipient": "ada@example.com",
        "card": GOOD_CARD,
        "insuredCents": 5000,
    }
    return {**body, **changes}


def parcels(folder: Path) -> list[Any]:
    """Return what the database has."""
    database = sqlite3.connect(folder / "parcels.sqlite")
    try:
        return database.execute("SELECT number, recipient, state FROM parcel ORDER BY number").fetchall()
    finally:
        database.close()


def test_a_quote(server: Server) -> None:
    """A body becomes an event, its values are converted, and the handler's result is the answer."""
    answer = server.client.post("/quotes", json={"parcel": PARCEL, "country": "jp"})

    assert (answer.status_code, answer.json()) == (200, {"cents": 3750, "zone": "far", "charged_weight": 1.5})


BAD_BODIES: list[tuple[str, Any, list[list[str]]]] = [
    ("/quotes", {"parcel": {**PARCEL, "weight": 99}, "country": "Austria"}, [["parcel", "weight"], ["country"]]),
    ("/quotes", {"country": "AT"}, [["parcel"]]),
    ("/bookings", booking(recipient="nobody", callback="no url"), [["recipient"], ["callback"]]),
    ("/bookings", booking(parcel={**PARCEL, "weight": 0.05}, insuredCents=20000), [[]]),
    ("/scans", {"number": "7", "depot": "x"}, [["number"], ["depot"]]),
    ("/quotes", ["no", "object"], [[]]),
]


@pytest.mark.parametrize(("path", "body", "places"), BAD_BODIES)
def test_bad_bodies_are_told_place_by_place(server: Server, path: str, body: Any, places: list[list[str]]) -> None:
    """FastAPI's usual answer lists every fault, each with its place in the body."""
    answer = server.client.post(path, json=body)

    assert answer.status_code == 422
    assert [fault["loc"] for fault in answer.json()["detail"]] == [["body", *place] for place in places]


FRAMEWORK_FIELDS = {
    "event_type": "PaymentDue",
    "event_id": "01a2111e-113e-74d9-9c2d-92ed06ba12e4",
    "event_parent_id": "01a2111e-113e-74d9-9c2d-92ed06ba12e4",
    "event_timeout": None,
    "event_path": ["Desk"],
}


@pytest.mark.parametrize("name", FRAMEWORK_FIELDS)
def test_a_body_sets_no_field_of_the_framework(server: Server, name: str) -> None:
    """Whoever sends one does not choose which handlers run, for how long, or whose child the event seems to be."""
    answer = server.client.post("/quotes", json={"parcel": PARCEL, "country": "jp", name: FRAMEWORK_FIELDS[name]})

    assert answer.status_code == 422
    assert [(fault["loc"], fault["msg"]) for fault in answer.json()["detail"]] == [
        (["body"], f"Value error, only this service sets {name}")
    ]


def test_a_booking_from_quote_to_label(server: Server, folder: Path) -> None:
    """Nested events quote, charge and print; the parcel is stored; the audit has each event, and no card number."""
    before = len(parcels(folder))
    answer = server.client.post("/bookings", json=booking(callback="https://shop.example/hook"))
    audit = (folder / "audit.jsonl").read_text()
    written = [json.loads(line) for line in audit.splitlines()]

    assert answer.status_code == 201
    number = answer.json()["number"]
    assert answer.json() == {"number": number, "cents": 515, "label": f"[{number} AT]"}
    assert parcels(folder)[before:] == [(number, "ada@example.com", "booked")]
    assert [one["event_type"] for one in written[-4:]] == ["QuoteAsked", "PaymentDue", "LabelNeeded", "ParcelBooked"]
    assert written[-1]["card"] == "**********"
    assert len({one["event_parent_id"] for one in written[-4:-1]}) == 1
    assert "0343" not in audit


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"card": POOR_CARD}, (402, "Declined"), "the bank declines"),
        ({"card": WRONG_CARD}, (422, "ValidationError"), "the card number has a typing error"),
        ({"country": "FR"}, (409, "NotServed"), "no parcels to FR"),
    ],
)
def test_a_booking_that_fails_on_its_way(
    server: Server, folder: Path, changes: dict[str, str], status: tuple[int, str], words: str
) -> None:
    """What a nested event's handler raised is the answer, with its own status, and nothing was stored."""
    before = parcels(folder)
    answer = server.client.post("/bookings", json=booking(**changes))

    assert (answer.status_code, answer.json()["error"]) == status
    assert words in answer.json()["detail"]
    assert parcels(folder) == before


def test_scans_of_a_parcel(server: Server, folder: Path) -> None:
    """The response is the event itself, as its class dumps it; a parcel nobody knows is a 404."""
    number = server.client.post("/bookings", json=booking()).json()["number"]
    first = server.client.post("/scans", json={"number": number, "depot": "Wien"})
    server.client.post("/scans", json={"number": number, "depot": "Graz", "delivered": "yes"})
    unknown = server.client.post("/scans", json={"number": "P-999999", "depot": "Wien"})

    assert first.json().items() >= {"event_type": "ParcelScanned", "number": number, "depot": "Wien"}.items()
    assert first.json()["event_path"] == ["Desk", "Audit"]
    assert server.client.get(f"/parcels/{number}/depots").json() == ["Wien", "Graz"]
    assert (number, "ada@example.com", "delivered") in parcels(folder)
    assert (unknown.status_code, unknown.json()["error"]) == (404, "Unknown")


def test_the_history_tells_events_of_several_classes(server: Server) -> None:
    """A model with a field for one of two event classes shows them with their status and errors."""
    server.client.post("/bookings", json=booking(card=POOR_CARD))
    last = server.client.get("/history").json()[-1]

    assert last["event"]["event_type"] == "ParcelBooked"
    assert last["event"]["insuredCents"] == 5000
    assert last["status"] == "completed"
    assert last["errors"] == ["Declined('the bank declines 5.15')"]


def test_the_documentation_knows_the_events(server: Server) -> None:
    """OpenAPI lists each event class once, with its fields by alias, their rules, and the discriminator's mapping."""
    schemas = server.client.get("/openapi.json").json()["components"]["schemas"]
    booked = schemas.get("ParcelBooked") or schemas["ParcelBooked-Input"]

    assert booked["required"] == ["parcel", "country", "recipient", "card"]
    assert booked["properties"]["insuredCents"].items() >= {"minimum": 0, "default": 0}.items()
    assert booked["properties"]["insuredCents"]["description"] == "What is paid if it is lost"
    assert booked["properties"]["card"]["format"] == "password"
    assert booked["description"] == "Somebody sends a parcel."
    assert schemas["Tracked"]["properties"]["event"]["discriminator"]["propertyName"] == "event_type"


def test_a_lost_tariff_is_told_and_mended(server: Server, folder: Path) -> None:
    """While a file is missing the service says so; when it is back, all goes on without a restart."""
    away = (folder / "tariff.json").rename(folder / "away.json")
    broken = server.client.post("/quotes", json={"parcel": PARCEL, "country": "AT"})
    away.rename(folder / "tariff.json")
    mended = server.client.post("/quotes", json={"parcel": PARCEL, "country": "AT"})

    assert (broken.status_code, broken.json()["error"]) == (503, "FileNotFoundError")
    assert "tariff.json" in broken.json()["detail"]
    assert mended.status_code == 200


def test_a_printer_without_paper_times_out(server: Server, folder: Path) -> None:
    """The label's own timeout ends the booking; the next one works."""
    before = parcels(folder)
    Printer.out_of_paper.set()
    late = server.client.post("/bookings", json=booking())
    Printer.out_of_paper.clear()

    assert (late.status_code, late.json()["error"]) == (504, "HandlerTimeout")
    assert "LabelNeeded" in late.json()["detail"] or "print_label" in late.json()["detail"]
    assert parcels(folder) == before
    assert server.client.post("/bookings", json=booking()).status_code == 201


def test_a_restart_goes_on_counting(tmp_path: Path, printer: str) -> None:
    """A service stopped and started again knows the parcels of before."""
    folder = new_folder(tmp_path)
    numbers: list[str] = []
    for _ in range(2):
        server = Server(folder, printer)
        numbers.append(server.client.post("/bookings", json=booking()).json()["number"])
        assert server.stop() in (0, -signal.SIGTERM), "".join(server.log)

    assert numbers == ["P-000001", "P-000002"]
    assert [number for number, *_ in parcels(folder)] == numbers
