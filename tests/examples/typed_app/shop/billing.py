"""Billing: asks a slow and unreliable bank, with `retry`."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

import attrs

from bubus import retry

from .events import PaymentWanted
from .goods import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bubus import EventBus

    from .books import Books


class DeclinedError(Exception):
    """The bank refuses to pay."""


class BankBusyError(Exception):
    """The bank does not answer; asking again may help."""


@attrs.define
class Bank:
    """A bank that fails at the first call of a customer, and lets nobody spend more than their credit."""

    credit: int = 50_000
    spent: Counter[str] = attrs.Factory(Counter[str])
    known: set[str] = attrs.Factory(set[str])

    @retry(wait=0.001, retries=2, timeout=5, retry_on=(BankBusyError,))
    async def pay(self, customer: str, cents: int) -> int:
        """Return what the customer may still spend, in cents."""
        await asyncio.sleep(0)
        if customer not in self.known:
            self.known.add(customer)
            raise BankBusyError(customer)
        if self.spent[customer] + cents > self.credit:
            raise DeclinedError(f"{customer} cannot pay {cents / 100:.2f}")
        self.spent[customer] += cents
        return self.credit - self.spent[customer]


@attrs.define
class Billing:
    """Takes payments."""

    bus: EventBus
    books: Books
    bank: Bank = attrs.Factory(Bank)
    numbers: Iterator[int] = attrs.Factory(lambda: count(1))

    def open(self) -> None:
        """Register the handler."""
        self.bus.on(PaymentWanted, self.charge)

    async def charge(self, event: PaymentWanted) -> Receipt:
        """Have a customer pay."""
        await self.bank.pay(event.customer, event.cents)
        receipt = Receipt(next(self.numbers), event.order, event.cents)
        self.books.receive(event.customer, receipt)
        return receipt
