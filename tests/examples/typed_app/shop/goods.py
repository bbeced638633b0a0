"""What orders are made of: plain values, that events and results hold."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import attrs
from msgspec import Meta

Quantity = Annotated[int, Meta(ge=1, le=1000)]
Cents = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1, max_length=80)]


class Outcome(StrEnum):
    """What became of an order."""

    SHIPPED = "shipped"
    SOLD_OUT = "sold out"
    DECLINED = "declined"


@attrs.frozen
class Line:
    """So many of one article, at a price each."""

    article: Name
    quantity: Quantity
    cents: Cents

    @property
    def total(self) -> int:
        """The price of the line, in cents."""
        return self.quantity * self.cents


@attrs.frozen
class Reservation:
    """The shelves that goods were taken from, by article."""

    order: str
    shelves: dict[str, int]


@attrs.frozen
class Receipt:
    """That somebody has paid."""

    number: int
    order: str
    cents: int
