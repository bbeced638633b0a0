"""The desk: takes orders and leads each through warehouse and billing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from .billing import DeclinedError
from .events import GoodsReturned, GoodsWanted, OrderPlaced, ParcelSent, PaymentWanted
from .goods import Outcome
from .warehouse import SoldOutError

if TYPE_CHECKING:
    from bubus import EventBus

    from .books import Books
    from .goods import Receipt


@attrs.define
class Desk:
    """The bus that orders come in on, and the two that it asks."""

    bus: EventBus
    warehouse: EventBus
    billing: EventBus
    books: Books

    def open(self) -> None:
        """Register the handlers, one of them by the decorator."""
        self.bus.on(OrderPlaced, self.fulfil)

        @self.bus.on(ParcelSent)
        def count_parcel(event: ParcelSent) -> None:
            del event
            self.books.parcels += 1

    async def fulfil(self, event: OrderPlaced) -> Outcome:
        """Return what becomes of an order; whatever was put aside in vain goes back."""
        outcome = await self._outcome(event)
        self.books.close(outcome)
        return outcome

    async def _outcome(self, event: OrderPlaced) -> Outcome:
        wanted = GoodsWanted(order=event.order, lines=event.lines)
        try:
            reservation = await self.warehouse.dispatch(wanted).event_result()
        except SoldOutError:
            return Outcome.SOLD_OUT
        try:
            receipt = await self._pay(event)
        except DeclinedError:
            await self.warehouse.dispatch(GoodsReturned(order=event.order, reservation=reservation))
            return Outcome.DECLINED
        self.bus.dispatch(ParcelSent(order=event.order, receipt=receipt))
        return Outcome.SHIPPED

    async def _pay(self, event: OrderPlaced) -> Receipt:
        wanted = PaymentWanted(order=event.order, customer=event.customer, cents=event.cents)
        return await self.billing.dispatch(wanted).event_result()
