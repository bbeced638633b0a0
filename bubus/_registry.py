"""Event classes by the name they have on the wire, for reading logs and messages. It keeps no class alive."""

from __future__ import annotations

import weakref
from typing import Final

_CLASSES: Final[dict[str, list[weakref.ref[type]]]] = {}


def register(event_type: str, cls: type) -> None:
    """Make *cls* known as *event_type*."""
    alive = [ref for ref in _CLASSES.get(event_type, ()) if ref() is not None]
    _CLASSES[event_type] = [*alive, weakref.ref(cls, lambda _: _forget(event_type))]


def _forget(event_type: str) -> None:
    alive = [ref for ref in _CLASSES.get(event_type, ()) if ref() is not None]
    if alive:
        _CLASSES[event_type] = alive
    else:
        _ = _CLASSES.pop(event_type, None)


def candidates(event_type: str) -> list[type]:
    """Return all living classes known as *event_type*, the oldest first; more than one are ambiguous."""
    return [cls for ref in _CLASSES.get(event_type, ()) if (cls := ref()) is not None]


def registered(event_type: str, schema: str = "") -> type | None:
    """
    Return the class known as *event_type*, or None.

    Of several, the one whose module and name stand in *schema* (an `event_schema`) is meant, else the latest.
    """
    classes = candidates(event_type)
    if len(classes) > 1:
        name = schema.rpartition("@")[0]
        classes.sort(key=lambda cls: f"{cls.__module__}.{cls.__qualname__}" == name)
    return classes[-1] if classes else None
