"""The events a bus remembers: all that are in flight, and the latest completed up to a limit."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs

from bubus._memory import Memory

if TYPE_CHECKING:
    from bubus._event import BaseEvent

# In-flight events are measured again until they have completed, but never more than so many at once.
_MOST_REMEASURED = 100


@attrs.define(eq=False, repr=False)
class History:
    """Events by id, oldest first; every operation is O(1)."""

    limit: int | None
    """At most this many events, unless more are in flight; None = unlimited."""

    events: dict[str, BaseEvent[Any]] = attrs.Factory(dict[str, "BaseEvent[Any]"])
    memory: Memory = attrs.Factory(Memory)
    _completed: deque[BaseEvent[Any]] = attrs.Factory(deque["BaseEvent[Any]"])
    """In the order of completion, which is the order they go in; empty when unlimited."""

    _unmeasured: int = 0
    """How many of the latest events `memory` does not know."""

    def add(self, event: BaseEvent[Any]) -> None:
        """Remember an event that has just been accepted."""
        self._unmeasured += 1
        self.events[event.event_id] = event
        if self.limit is not None and len(self.events) > self.limit:
            self._evict(self.limit)

    def complete(self, event: BaseEvent[Any]) -> None:
        """Learn that *event* may go."""
        if self.limit is None:
            return
        self._completed.append(event)
        if len(self.events) > self.limit:
            self._evict(self.limit)

    def clear(self) -> None:
        """Forget all events."""
        self.events.clear()
        self._completed.clear()
        self.memory = Memory()

    def measure(self, in_flight: int) -> int:
        """Return the bytes held; only what came since the last call, or was in flight then, is looked at."""
        latest = islice(reversed(self.events.values()), self._unmeasured)
        self.memory.measure(latest)
        self._unmeasured = min(in_flight, _MOST_REMEASURED)
        return self.bytes

    @property
    def bytes(self) -> int:
        """The bytes held, as last measured."""
        return self.memory.total(len(self.events))

    def _evict(self, limit: int) -> None:
        while self._completed and len(self.events) > limit:
            event = self._completed.popleft()
            if self.events.get(event.event_id) is event:
                del self.events[event.event_id]
                self.memory.forget(event.event_id)
