"""The warehouse: a bus of its own, whose handlers are methods."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import attrs

from .events import GoodsReturned, GoodsWanted
from .goods import Reservation

if TYPE_CHECKING:
    from bubus import EventBus

    from .books import Books


class SoldOutError(Exception):
    """There is not enough of something."""


@attrs.define
class Warehouse:
    """Puts goods aside, and takes them back."""

    bus: EventBus
    books: Books

    def open(self) -> None:
        """Register the handlers."""
        self.bus.on(GoodsWanted, self.reserve)
        self.bus.on(GoodsReturned, self.take_back)

    async def reserve(self, event: GoodsWanted) -> Reservation:
        """Put everything aside or nothing."""
        if missing := self.books.missing(event.lines):
            raise SoldOutError(f"order {event.order}: not enough of {', '.join(missing)}")
        shelves: Counter[str] = Counter()
        for line in event.lines:
            shelves[line.article] += line.quantity
        reservation = Reservation(event.order, dict(shelves))
        self.books.take(reservation)
        return reservation

    def take_back(self, event: GoodsReturned) -> None:
        """Put goods back where they were."""
        self.books.put_back(event.reservation)
