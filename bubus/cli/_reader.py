"""From a line to an order, or to what is wrong with it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import attrs

from bubus._codec import Unreadable, read_object
from bubus.cli._damage import Damage, Kind, in_bytes, in_fields, in_names, in_order, in_syntax
from bubus.cli._lines import LONGEST, Line
from bubus.cli._orders import OrderPlaced
from bubus.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable

REMEMBERED = 100_000
"""Order ids that are kept to find duplicates; a bound, so that memory does not grow with the file."""


@attrs.define
class Reader:
    """Turns lines into orders; it remembers the ids of the last `REMEMBERED` orders, with their lines."""

    _seen: OrderedDict[str, int] = attrs.Factory(OrderedDict[str, int])

    def read(self, line: Line) -> OrderPlaced | Damage:
        """Return the order that *line* holds, or the gravest fault."""
        if not line.whole:
            return Damage(Kind.TOO_LONG, f"{line.size} bytes, where {LONGEST} are allowed")
        if fault := _gravest(in_bytes(line.data)):
            return fault
        try:
            order = _order(read_object(line.data))
        except Unreadable as error:
            return in_syntax(line.data, str(error))
        if isinstance(order, Damage):
            return order
        return _gravest(in_order(order)) or self._repeated(order, line) or order

    def _repeated(self, order: OrderPlaced, line: Line) -> Damage | None:
        first = self._seen.setdefault(order.order_id, line.number)
        if first != line.number:
            return Damage(Kind.DUPLICATE_ID, f"order_id: {order.order_id!r} is that of line {first}")
        if len(self._seen) > REMEMBERED:
            _ = self._seen.popitem(last=False)
        return None


def _order(fields: dict[str, object]) -> OrderPlaced | Damage:
    if fault := _gravest(in_names(fields)):
        return fault
    try:
        return OrderPlaced.model_validate(fields)
    except ValidationError as error:
        return _gravest(in_fields(error)) or Damage(Kind.WRONG_TYPE, str(error))


def _gravest(faults: Iterable[Damage]) -> Damage | None:
    return min(faults, key=lambda fault: fault.rank, default=None)
