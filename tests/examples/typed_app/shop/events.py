"""The events: each says in brackets what its handlers return."""

from __future__ import annotations

from typing import Generic, TypeVar

from bubus import BaseEvent, Field

from .goods import Cents, Line, Name, Outcome, Receipt, Reservation

T = TypeVar("T")


class OrderPlaced(BaseEvent[Outcome]):
    """A customer wants something."""

    order: Name
    customer: Name
    lines: list[Line] = Field(default_factory=list[Line])

    @property
    def cents(self) -> int:
        """What it costs."""
        return sum(line.total for line in self.lines)


class AboutOrder(BaseEvent[T], Generic[T]):
    """A step on the way of an order."""

    order: Name


class GoodsWanted(AboutOrder[Reservation]):
    """The warehouse is to put goods aside."""

    lines: list[Line]


class GoodsReturned(AboutOrder[None]):
    """The warehouse gets goods back: the order comes to nothing."""

    reservation: Reservation


class PaymentWanted(AboutOrder[Receipt]):
    """A customer is to pay."""

    customer: Name
    cents: Cents


class ParcelSent(AboutOrder[None]):
    """Goods have left the house."""

    receipt: Receipt
