"""What the demo counts, in memory that does not grow with the file."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from bubus.cli._damage import Kind
from bubus.cli._orders import Currency, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bubus._event import AnyEvent
    from bubus.cli._orders import OrderPlaced

_STEP = math.log(1.02)
"""Durations are kept to 2 %: about 1,000 classes from a microsecond to a minute, however many there are."""


@attrs.define
class Durations:
    """Seconds, many of them, of which only the distribution is kept."""

    _classes: Counter[int] = attrs.Factory(Counter[int])

    def add(self, seconds: float) -> None:
        """Count one duration; what is less than a microsecond counts as one."""
        self._classes[round(math.log(max(seconds, 1e-6)) / _STEP)] += 1

    def quantile(self, share: float) -> float:
        """Return the duration that *share* (0 to 1) of all do not exceed; 0.0 if there are none."""
        left = math.ceil(share * self._classes.total())
        for step in sorted(self._classes):
            left -= self._classes[step]
            if left <= 0:
                return math.exp(step * _STEP)
        return 0.0


@attrs.define
class TypeSummary:
    """The events of one type."""

    count: int = 0
    failed: int = 0
    """Events of which at least one handler failed or ran out of time."""

    durations: Durations = attrs.Factory(Durations)

    def add(self, event: AnyEvent) -> None:
        """Count a completed event."""
        self.count += 1
        self.failed += any(result.error is not None for result in event.event_results.values())
        self.durations.add(seconds_of(event))


@attrs.define
class Summary:
    """The whole run."""

    lines: int = 0
    seconds: float = 0.0
    types: defaultdict[str, TypeSummary] = attrs.Factory(lambda: defaultdict[str, TypeSummary](TypeSummary))
    damage: Counter[Kind] = attrs.Factory(Counter[Kind])
    outcomes: Counter[Outcome] = attrs.Factory(Counter[Outcome])
    shipped: defaultdict[Currency, Decimal] = attrs.Factory(lambda: defaultdict[Currency, Decimal](Decimal))
    """What the shipped orders cost, by currency."""

    audited: Mapping[str, int] = attrs.Factory(dict[str, int])
    """Events by type, as the third bus saw them."""

    slowest: OrderPlaced | None = None

    @property
    def events(self) -> int:
        """Events of all types."""
        return sum(kind.count for kind in self.types.values())

    @property
    def events_per_second(self) -> float:
        """Events of all types by the time that the whole file took, reading included."""
        return self.events / self.seconds if self.seconds else 0.0

    def add(self, order: OrderPlaced, outcome: Outcome) -> None:
        """Count a completed order and everything it caused."""
        for event in _with_descendants(order):
            self.types[event.event_type].add(event)
        self.outcomes[outcome] += 1
        if outcome is Outcome.SHIPPED:
            self.shipped[order.currency] += order.total
        if self.slowest is None or seconds_of(order) > seconds_of(self.slowest):
            self.slowest = order

    def as_dict(self) -> dict[str, object]:
        """Return everything in JSON's types."""
        return {
            "lines": self.lines,
            "damaged": self.damage.total(),
            "damage": {str(kind): self.damage[kind] for kind in Kind if self.damage[kind]},
            "outcomes": {str(outcome): self.outcomes[outcome] for outcome in Outcome},
            "shipped": {str(currency): str(self.shipped[currency]) for currency in sorted(self.shipped)},
            "events": self.events,
            "seconds": round(self.seconds, 6),
            "events_per_second": round(self.events_per_second, 1),
            "types": {name: self._type_as_dict(name) for name in self.types},
            "slowest": self._slowest_as_dict(),
        }

    def _type_as_dict(self, name: str) -> dict[str, object]:
        kind = self.types[name]
        return {
            "count": kind.count,
            "failed": kind.failed,
            "audited": self.audited.get(name, 0),
            "p50_ms": round(kind.durations.quantile(0.50) * 1000, 3),
            "p95_ms": round(kind.durations.quantile(0.95) * 1000, 3),
        }

    def _slowest_as_dict(self) -> dict[str, object] | None:
        order = self.slowest
        if order is None:
            return None
        return {
            "order_id": order.order_id,
            "ms": round(seconds_of(order) * 1000, 3),
            "tree": order.event_log_tree().splitlines(),
        }


def seconds_of(event: AnyEvent) -> float:
    """Return how long *event* took, children included, from the start of its first handler."""
    started, completed = event.event_started_at, event.event_completed_at
    return (completed - started).total_seconds() if started and completed else 0.0


def _with_descendants(event: AnyEvent) -> Iterator[AnyEvent]:
    waiting = [event]
    while waiting:
        yield (current := waiting.pop())
        waiting.extend(reversed(current.event_children))
