"""The events a bus remembers: all that are in flight, and the latest completed up to a limit."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs

from bubus._memory import Memory

if TYPE_CHECKING:
    from bubus._event import BaseEvent

# What is measured at once, at most: it must not show even where thousands of events are in flight.
_MOST_MEASURED = 1_000


@attrs.define(eq=False, repr=False)
class History:
    """Events by id, oldest first; every operation is O(1)."""

    limit: int | None
    """At most this many events, unless more are in flight; None = unlimited."""

    events: dict[str, BaseEvent[Any]] = attrs.Factory(dict[str, "BaseEvent[Any]"])
    memory: Memory = attrs.Factory(Memory)
    _completed: deque[BaseEvent[Any]] = attrs.Factory(deque["BaseEvent[Any]"])
    """In the order of completion, which is the order they go in."""

    def add(self, event: BaseEvent[Any]) -> None:
        """Remember an event that has just been accepted."""
        self.events[event.event_id] = event
        if self.limit is not None and len(self.events) > self.limit:
            self._evict(self.limit)

    def complete(self, event: BaseEvent[Any]) -> None:
        """Learn that *event* may go."""
        self._completed.append(event)
        if self.limit is not None and len(self.events) > self.limit:
            self._evict(self.limit)

    def clear(self) -> None:
        """Forget all events."""
        self.events.clear()
        self._completed.clear()
        self.memory = Memory()

    def measure_completed(self, count: int) -> None:
        """Take the latest *count* completed events into account."""
        self.memory.measure(islice(reversed(self._completed), count))

    def measure_latest(self) -> None:
        """Take the latest events into account, also those in flight."""
        self.memory.measure(islice(reversed(self.events.values()), _MOST_MEASURED))

    @property
    def bytes(self) -> int:
        """The bytes held, as last measured."""
        return self.memory.total(len(self.events))

    def _evict(self, limit: int) -> None:
        events, completed = self.events, self._completed
        while completed and len(events) > limit:
            event = completed.popleft()
            if events.get(event.event_id) is event:
                del events[event.event_id]
                if self.memory.large:
                    self.memory.forget(event.event_id)
