"""The events of the demo's shop, and what they are made of."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - the event classes read their annotations at run time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

import attrs
from msgspec import Meta

from bubus._event import BaseEvent

Name = Annotated[str, Meta(min_length=1, max_length=200)]
OrderId = Annotated[str, Meta(min_length=1, max_length=40)]


class Currency(StrEnum):
    """The currencies in which one can pay."""

    BRL = "BRL"
    CHF = "CHF"
    EUR = "EUR"
    GBP = "GBP"
    INR = "INR"
    JPY = "JPY"
    KWD = "KWD"
    PLN = "PLN"
    USD = "USD"


class Outcome(StrEnum):
    """What became of an order."""

    SHIPPED = "shipped"
    DECLINED = "declined"
    BACKORDERED = "backordered"


@attrs.frozen
class Customer:
    """Who ordered."""

    name: Name
    city: str
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]


@attrs.frozen
class Item:
    """One line of an order."""

    sku: Name
    name: Name
    quantity: Annotated[int, Meta(ge=1, le=10_000)]
    unit_price: Decimal
    warehouse: Name
    discount_percent: Decimal = Decimal(0)


@attrs.frozen
class Shipping:
    """How an order travels, and for how much."""

    method: Literal["standard", "express"]
    cost: Decimal


@attrs.frozen
class Payment:
    """How an order is paid; of a card only the last digits are known."""

    method: Literal["card", "invoice", "transfer"]
    last4: Annotated[str, Meta(pattern="^[0-9]{4}$")] | None = None


class OrderPlaced(BaseEvent[Outcome]):
    """A line of the file."""

    order_id: OrderId
    placed_at: Annotated[datetime, Meta(tz=True)]
    customer: Customer
    currency: Currency
    items: list[Item]
    shipping: Shipping
    payment: Payment
    total: Decimal
    note: str = ""


class PaymentRequested(BaseEvent[str]):
    """Asks for the code under which the payment was authorised."""

    order_id: OrderId
    amount: Decimal
    currency: Currency
    payment: Payment


class StockRequested(BaseEvent[int]):
    """Asks a warehouse to put goods aside."""

    order_id: OrderId
    item: Item


class ShipmentBooked(BaseEvent[str]):
    """Asks for the number by which the parcel can be tracked."""

    order_id: OrderId
    shipping: Shipping


class OrderRefused(BaseEvent[None]):
    """Tells the customer why nothing will arrive."""

    order_id: OrderId
    outcome: Outcome
    reason: str
