"""The demo's shop: three buses that forward to each other, and the handlers of its events."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from bubus.cli._orders import (
    OrderPlaced,
    OrderRefused,
    Outcome,
    PaymentRequested,
    ShipmentBooked,
    StockRequested,
)
from bubus.errors import BubusError

if TYPE_CHECKING:
    from bubus._bus import EventBus
    from bubus._event import AnyEvent
    from bubus.cli._orders import Item

_DECLINES = {"0002": "the issuer declined it", "9995": "insufficient funds", "0069": "it has expired"}

_PATIENCE = {"REY": 0.05}
"""Seconds that the warehouses of a region have to answer; the line to this one is down, they never do."""


class CardDeclinedError(BubusError):
    """The issuer of a card refuses to pay."""


@attrs.define
class Shop:
    """
    The handlers; every event goes in on `orders`, and from there to `payments` and `audit`.

    What a handler does depends on the event alone: the same file gives the same outcomes.
    """

    orders: EventBus
    payments: EventBus
    audit: EventBus
    audited: Counter[str] = attrs.Factory(Counter[str])
    """Events by type, as the last of the three buses saw them."""

    def open(self) -> None:
        """Register the handlers and connect the buses."""
        _ = self.orders.on(OrderPlaced, self.fulfil)
        _ = self.orders.on(StockRequested, self.reserve)
        _ = self.orders.on(ShipmentBooked, self.book)
        _ = self.orders.on(OrderRefused, self.apologise)
        _ = self.payments.on(PaymentRequested, self.authorise)
        _ = self.audit.on("*", self.record)
        _ = self.orders.on("*", self.payments.dispatch)
        _ = self.payments.on("*", self.audit.dispatch)

    async def fulfil(self, order: OrderPlaced) -> Outcome:
        """Have the order paid, its goods put aside and sent; each step is an event of its own."""
        try:
            await self._pay(order)
            await self._reserve_all(order)
        except CardDeclinedError as error:
            return await self._refuse(order, Outcome.DECLINED, error)
        except TimeoutError as error:
            return await self._refuse(order, Outcome.BACKORDERED, error)
        shipment = ShipmentBooked(order_id=order.order_id, shipping=order.shipping)
        _ = await self.orders.dispatch(shipment).event_result()
        return Outcome.SHIPPED

    async def authorise(self, request: PaymentRequested) -> str:
        """Return the issuer's code, or fail as the issuer of the card decides."""
        await asyncio.sleep(0)
        if reason := _DECLINES.get(request.payment.last4 or ""):
            raise CardDeclinedError(f"card ending in {request.payment.last4}: {reason}")
        return f"AUTH-{request.order_id}"

    async def reserve(self, request: StockRequested) -> int:
        """Return how many pieces the warehouse has put aside; where the line is down, no answer ever comes."""
        if _region(request.item) in _PATIENCE:
            await asyncio.get_running_loop().create_future()
        return request.item.quantity

    async def book(self, request: ShipmentBooked) -> str:
        """Return the number of the parcel."""
        return f"{request.shipping.method[:3].upper()}-{request.order_id}"

    def apologise(self, refusal: OrderRefused) -> None:
        """Tell the customer; nobody waits for an answer."""
        del refusal

    def record(self, event: AnyEvent) -> None:
        """Keep book of every event, whatever it is."""
        self.audited[event.event_type] += 1

    async def _pay(self, order: OrderPlaced) -> None:
        request = PaymentRequested(
            order_id=order.order_id, amount=order.total, currency=order.currency, payment=order.payment
        )
        _ = await self.orders.dispatch(request).event_result()

    async def _reserve_all(self, order: OrderPlaced) -> None:
        _ = await asyncio.gather(*(self._reserve_one(order.order_id, item) for item in order.items))

    async def _reserve_one(self, order_id: str, item: Item) -> None:
        request = StockRequested(order_id=order_id, item=item, event_timeout=_PATIENCE.get(_region(item)))
        _ = await self.orders.dispatch(request).event_result()

    async def _refuse(self, order: OrderPlaced, outcome: Outcome, error: Exception) -> Outcome:
        _ = await self.orders.dispatch(OrderRefused(order_id=order.order_id, outcome=outcome, reason=str(error)))
        return outcome


def _region(item: Item) -> str:
    return item.warehouse.partition("-")[0]
