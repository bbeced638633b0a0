"""Counting what becomes of events."""

from __future__ import annotations

import attrs


@attrs.frozen
class Statistics:
    """
    Snapshot returned by `EventBus.statistics`.

    ``accepted == pending + started + completed`` always holds; `failed`, `cancelled` and `unhandled` say how
    some of the completed events ended, each event counting once at most.
    """

    accepted: int
    """Events that `dispatch` took, forwards included."""

    pending: int
    """Events that are queued and that no handler has seen."""

    started: int
    """Events that are being handled, or wait for their children or other buses."""

    completed: int
    """Events that are done on every bus, with all their children."""

    failed: int
    """Completed events of which a handler on this bus failed."""

    cancelled: int
    """Completed events that were cut off on this bus: by `stop`, or with the handler that dispatched them."""

    unhandled: int
    """Completed events for which no handler was registered on this bus."""

    failed_hooks: int = 0
    """How often a middleware of this bus has raised; the first time is logged."""
