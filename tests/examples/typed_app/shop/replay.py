"""The books, rebuilt from the logs with nothing but msgspec: event classes and results are types that it decodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import msgspec

from .books import Books
from .day import BUSES, log_of
from .events import GoodsReturned, GoodsWanted, OrderPlaced, ParcelSent, PaymentWanted
from .goods import Outcome, Receipt, Reservation

if TYPE_CHECKING:
    from pathlib import Path

E = TypeVar("E")
R = TypeVar("R")


class DamagedError(Exception):
    """A line of a log cannot be read."""


class Head(msgspec.Struct):
    """What tells which class a line is of."""

    event_type: str


class Result(msgspec.Struct, Generic[R]):
    """What one handler made of an event."""

    status: str
    result: R | None = None


class Results(msgspec.Struct, Generic[R]):
    """The results in a line."""

    event_results: dict[str, Result[R]]

    def value(self) -> R | None:
        """Return what the handler returned; None if it failed."""
        return next((one.result for one in self.event_results.values() if one.status == "completed"), None)


Enter: TypeAlias = Callable[[Books, bytes], object]
"""Enters a line of a log into the books."""


def enter(event: type[E], result: type[Results[R]], into: Callable[[Books, E, R], object]) -> Enter:
    """Return what enters events of a class that were handled; those whose handler failed changed nothing."""
    events, results = msgspec.json.Decoder(event), msgspec.json.Decoder(result)

    def enter_line(books: Books, line: bytes) -> None:
        value = results.decode(line).value()
        if value is not None:
            into(books, events.decode(line), value)

    return enter_line


def enter_event(event: type[E], into: Callable[[Books, E], object]) -> Enter:
    """Return what enters events of a class that have no result."""
    events = msgspec.json.Decoder(event)
    return lambda books, line: into(books, events.decode(line))


def count_parcel(books: Books, _: ParcelSent) -> None:
    """Enter a parcel."""
    books.parcels += 1


ENTRIES: Mapping[str, Enter] = {
    "OrderPlaced": enter(OrderPlaced, Results[Outcome], lambda books, _, outcome: books.close(outcome)),
    "GoodsWanted": enter(GoodsWanted, Results[Reservation], lambda books, _, goods: books.take(goods)),
    "PaymentWanted": enter(
        PaymentWanted, Results[Receipt], lambda books, event, paid: books.receive(event.customer, paid)
    ),
    "GoodsReturned": enter_event(GoodsReturned, lambda books, event: books.put_back(event.reservation)),
    "ParcelSent": enter_event(ParcelSent, count_parcel),
}


def lines_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each line of a log with its place."""
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if line:
            yield f"{path.name}, line {number}", line


def replay(logs: Path) -> Books:
    """
    Return the books that the logs of a day lead to.

    Raises:
        DamagedError: If a line is not what the shop writes.
    """
    books, heads = Books(), msgspec.json.Decoder(Head)
    for bus in BUSES:
        for place, line in lines_of(log_of(logs, bus)):
            try:
                ENTRIES[heads.decode(line).event_type](books, line)
            except (msgspec.DecodeError, KeyError) as error:
                raise DamagedError(f"{place}: {error}") from error
    return books
