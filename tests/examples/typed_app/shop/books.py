"""The books: what the shop knows at the end of the day, kept while it works or rebuilt from its logs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .goods import Line, Outcome, Receipt, Reservation

OPENING_STOCK = {"bolt": 500, "nut": 500, "hinge": 40, "lock": 6}


@attrs.define
class Books:
    """Stock, money and outcomes."""

    stock: Counter[str] = attrs.field(factory=lambda: Counter(OPENING_STOCK))
    paid: Counter[str] = attrs.Factory(Counter[str])
    """Cents by customer."""

    outcomes: Counter[str] = attrs.Factory(Counter[str])
    parcels: int = 0

    def missing(self, lines: Iterable[Line]) -> list[str]:
        """Return the articles of which there is not enough."""
        wanted: Counter[str] = Counter()
        for line in lines:
            wanted[line.article] += line.quantity
        return sorted(article for article, number in wanted.items() if self.stock[article] < number)

    def take(self, reservation: Reservation) -> None:
        """Take goods from the shelves."""
        self.stock.subtract(reservation.shelves)

    def put_back(self, reservation: Reservation) -> None:
        """Put goods back on the shelves."""
        self.stock.update(reservation.shelves)

    def receive(self, customer: str, receipt: Receipt) -> None:
        """Enter a payment."""
        self.paid[customer] += receipt.cents

    def close(self, outcome: Outcome) -> None:
        """Enter what became of an order."""
        self.outcomes[outcome.value] += 1

    def to_json(self) -> str:
        """Return the books as one line, in a fixed order."""
        return msgspec.json.encode(attrs.asdict(self), order="deterministic").decode()
