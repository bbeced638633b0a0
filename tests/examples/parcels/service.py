"""The parcel service itself: what each event causes. It knows nothing of HTTP."""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
from typing import TYPE_CHECKING, Any

from bubus import BaseEvent, EventBus

from .events import Booking, LabelNeeded, ParcelBooked, ParcelScanned, PaymentDue, Quote, QuoteAsked, Receipt

if TYPE_CHECKING:
    from pathlib import Path

TABLES = """
CREATE TABLE IF NOT EXISTS parcel (number TEXT PRIMARY KEY, recipient TEXT, cents INTEGER, state TEXT);
CREATE TABLE IF NOT EXISTS scan (number TEXT, depot TEXT, at TEXT);
"""


class Refused(Exception):
    """The service cannot do what it is asked."""


class Declined(Refused):
    """The bank does not pay."""


class NotServed(Refused):
    """Nobody brings parcels there."""


class Unknown(Refused):
    """There is no such parcel."""


class ParcelService:
    """Quotes, books and tracks parcels; bookings survive in a database, and each event leaves a line in the audit."""

    def __init__(self, folder: Path, printer: str) -> None:
        self.folder = folder
        self.printer = printer
        """Address of the label printer, ``host:port``."""

        self.desk, self.audit = EventBus("Desk"), EventBus("Audit")
        self.database = sqlite3.connect(folder / "parcels.sqlite")
        self.database.executescript(TABLES)
        (last,) = self.database.execute("SELECT COUNT(*) FROM parcel").fetchone()
        self.numbers = itertools.count(last + 1)
        self.desk.on(QuoteAsked, self.quote)
        self.desk.on(PaymentDue, self.charge)
        self.desk.on(LabelNeeded, self.print_label)
        self.desk.on(ParcelBooked, self.book)
        self.desk.on(ParcelScanned, self.scan)
        self.desk.on("*", self.audit.dispatch)
        self.audit.on("*", self.write_audit)

    async def close(self) -> None:
        """Finish what has begun."""
        await self.desk.stop(timeout=5)
        await self.audit.stop(timeout=5)
        self.database.close()

    def quote(self, event: QuoteAsked) -> Quote:
        """Look the price up in the tariff, which may be changed while the service runs."""
        tariff = json.loads((self.folder / "tariff.json").read_text("utf-8"))
        zone = next((name for name, one in tariff.items() if event.country in one["countries"]), None)
        if zone is None:
            raise NotServed(f"no parcels to {event.country}")
        weight = event.parcel.charged_weight
        return Quote(
            cents=round(tariff[zone]["base"] + tariff[zone]["per_kg"] * weight), zone=zone, charged_weight=weight
        )

    def charge(self, event: PaymentDue) -> Receipt:
        """Take money from a card; a bank of this size declines what costs more than the card's last four digits."""
        digits = event.card.get_secret_value().replace(" ", "")
        if event.cents > int(digits[-4:]):
            raise Declined(f"the bank declines {event.cents / 100:.2f}")
        return Receipt(cents=event.cents, card=f"…{digits[-4:]}")

    async def print_label(self, event: LabelNeeded) -> str:
        """Send the label to the printer and return what it says it has printed."""
        host, _, port = self.printer.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(f"{event.number} {event.country}\n".encode())
            await writer.drain()
            return (await reader.readline()).decode().strip()
        finally:
            writer.close()

    async def book(self, event: ParcelBooked) -> Booking:
        """Quote, charge, print, store: each step is an event of its own, and the first that fails ends the booking."""
        quote = await self.desk.dispatch(QuoteAsked(parcel=event.parcel, country=event.country)).event_result()
        cents = quote.cents + event.insured_cents // 100
        await self.desk.dispatch(PaymentDue(cents=cents, card=event.card)).event_result()
        number = f"P-{next(self.numbers):06}"
        label = await self.desk.dispatch(LabelNeeded(number=number, country=event.country)).event_result()
        with self.database:
            self.database.execute("INSERT INTO parcel VALUES (?, ?, ?, 'booked')", (number, event.recipient, cents))
        return Booking(number=number, cents=cents, label=label)

    def scan(self, event: ParcelScanned) -> int:
        """Note where a parcel is."""
        state = "delivered" if event.delivered else "on its way"
        with self.database:
            changed = self.database.execute("UPDATE parcel SET state = ? WHERE number = ?", (state, event.number))
            if not changed.rowcount:
                raise Unknown(f"there is no parcel {event.number}")
            self.database.execute(
                "INSERT INTO scan VALUES (?, ?, ?)", (event.number, event.depot, event.event_created_at.isoformat())
            )
        return len(self.scans(event.number))

    def scans(self, number: str) -> list[str]:
        """Return the depots that a parcel has passed, in order."""
        rows = self.database.execute("SELECT depot FROM scan WHERE number = ? ORDER BY at", (number,))
        return [depot for (depot,) in rows]

    def write_audit(self, event: BaseEvent[Any]) -> None:
        """Add the event to the audit: with its values, but secrets masked."""
        with (self.folder / "audit.jsonl").open("a", encoding="utf-8") as file:
            file.write(event.model_dump_json() + "\n")
