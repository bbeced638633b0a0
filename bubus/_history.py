"""The events a bus remembers: all that are in flight, and the latest completed up to a limit."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

import attrs

from bubus._memory import Memory, may_be_large

if TYPE_CHECKING:
    from bubus._event import AnyEvent

# What is measured at once, at most: it must not show even where thousands of events are in flight.
_MOST_MEASURED = 1_000


@attrs.define(eq=False, repr=False)
class History:
    """Events by id, oldest first; every operation is O(1)."""

    limit: float
    """At most this many events, unless more are in flight."""

    events: dict[str, AnyEvent] = attrs.Factory(dict[str, "AnyEvent"])
    memory: Memory = attrs.Factory(Memory)
    _completed: deque[AnyEvent] = attrs.Factory(deque["AnyEvent"])
    """In the order of completion, which is the order they go in."""

    _measured: bool = False
    """Whether each completed event has been taken into account in its turn."""

    def add(self, event: AnyEvent) -> None:
        """Remember an event that has just been accepted."""
        events = self.events
        events[event.event_id] = event
        if len(events) > self.limit:
            self._evict()

    def complete(self, event: AnyEvent) -> None:
        """Learn that *event* may go."""
        self._completed.append(event)
        if len(self.events) > self.limit:
            self._evict()

    def clear(self) -> None:
        """Forget all events."""
        self.events.clear()
        self._completed.clear()
        self.memory = Memory()
        self._measured = False

    def measure(self, count: int) -> bool:
        """Take the latest *count* completed events into account, at first all; tell whether they can be large."""
        if not may_be_large():
            return False
        if self._measured:
            self.memory.measure(islice(reversed(self._completed), count))
        else:
            self._measured = True
            self.memory.measure(self.events.values())
        return True

    def measure_latest(self) -> None:
        """Take the latest events into account, also those in flight."""
        self.memory.measure(islice(reversed(self.events.values()), _MOST_MEASURED))

    @property
    def bytes(self) -> int:
        """The bytes held, as last measured."""
        return self.memory.total(len(self.events))

    def _evict(self) -> None:
        events, completed = self.events, self._completed
        while completed:
            event = completed.popleft()
            event_id = event.event_id
            if events.get(event_id) is event:
                del events[event_id]
                if self.memory.large:
                    self.memory.forget(event_id)
                if len(events) <= self.limit:
                    break
