"""How much memory events hold, and the one warning about it."""

from __future__ import annotations

import math
import os
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID

import attrs
import msgspec

from bubus._narrow import namespace_of
from bubus._state import EventState, state_of

if TYPE_CHECKING:
    from bubus._event import AnyEvent

# Measured: an event with a small payload and one result, with everything that refers to it.
_SMALL_EVENT = 1_600

# A field below this adds nothing worth counting.
_SMALL_FIELD = 512

# These come first in an event's `__dict__` and are always small.
_FRAMEWORK_FIELDS = 7

# One event is walked no further than this: a field may refer to half of the application.
_MAX_OBJECTS = 10_000

_SMALL_TYPES = frozenset({int, float, bool, type(None), datetime, UUID, EventState})
_CONTAINERS = (list, tuple, set, frozenset, deque)


# A process that has grown by less cannot hold events worth a warning, which begins at 50 MB.
_NOTICEABLE_GROWTH = 32 * 1024 * 1024


if sys.platform == "win32":

    def _peak() -> float:
        """Return infinity: there is no cheap way to ask for the memory of this process."""
        return math.inf

else:
    import resource

    def _peak() -> float:
        """Return the most memory that this process has had so far, in bytes."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _resident() -> float:
    """Return the memory that this process has now, in bytes; infinity where that is not told as on Linux."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, AttributeError):
        return math.inf


_PEAK_AT_IMPORT = 0.0 if sys.platform == "win32" else _peak()

# A process begins with the peak of the one that started it: growth below that does not show.
_PEAK_IS_HIGH = _PEAK_AT_IMPORT - _resident() > _NOTICEABLE_GROWTH


def may_be_large() -> bool:
    """Tell whether events can hold much at all: one look at the process instead of one at each event."""
    return _PEAK_IS_HIGH or _peak() - _PEAK_AT_IMPORT > _NOTICEABLE_GROWTH


def event_size(event: AnyEvent) -> int:
    """Return the bytes that a large payload and large results of *event* hold; 0 for a small event."""
    total = 0
    for value in islice(namespace_of(event).values(), _FRAMEWORK_FIELDS, None):
        if type(value) not in _SMALL_TYPES and not (type(value) is str and len(value) < _SMALL_FIELD):
            total += _field_size(value)
    state = state_of(event)
    for result in () if state is None else state.results.values():
        returned: object = result.result
        if type(returned) not in _SMALL_TYPES and not (type(returned) is str and len(returned) < _SMALL_FIELD):
            total += 0 if result.forwarded else _field_size(returned)
    return total


def _field_size(value: object) -> int:
    size = deep_size(value)
    return size if size > _SMALL_FIELD else 0


def deep_size(value: object) -> int:
    """Return the bytes of *value* with what its containers and data classes hold; other objects count flat."""
    total, seen, todo = 0, set[int](), [value]
    while todo and len(seen) < _MAX_OBJECTS:
        item = todo.pop()
        if id(item) not in seen:
            seen.add(id(item))
            total += sys.getsizeof(item, 0)
            todo.extend(_parts(item))
    return total


def _parts(item: object) -> Iterable[object]:
    if isinstance(item, Mapping):
        mapping = cast("Mapping[object, object]", item)
        return [*mapping.keys(), *mapping.values()]
    if isinstance(item, _CONTAINERS):
        return cast("Iterable[object]", item)
    if isinstance(item, msgspec.Struct):
        return [getattr(item, name) for name in item.__struct_fields__]
    if _is_record(item):
        fields: dict[str, object] = getattr(item, "__dict__", {})
        return [value for name, value in fields.items() if name != "_event_state"]
    return ()


def _is_record(item: object) -> bool:
    return attrs.has(item.__class__) or hasattr(item, "__dataclass_fields__") or hasattr(item, "model_fields_set")


@attrs.define(eq=False, repr=False)
class Memory:
    """What the history of one bus holds, in bytes; small events count flat, large ones are measured once."""

    large: dict[str, int] = attrs.Factory(dict[str, int])
    """Sizes of the large events, by event id."""

    large_total: int = 0

    def measure(self, events: Iterable[AnyEvent]) -> None:
        """Take *events* into account, as they are now."""
        for event in events:
            if size := event_size(event):
                self.large_total += size - self.large.get(event.event_id, 0)
                self.large[event.event_id] = size

    def forget(self, event_id: str) -> None:
        """Leave out an event that the history has let go."""
        self.large_total -= self.large.pop(event_id, 0)

    def total(self, count: int) -> int:
        """Return the bytes held by a history of *count* events."""
        return count * _SMALL_EVENT + self.large_total
