"""What somebody may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def closest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """Return the one of *known* that *name* may be a misspelling of; 1.0 is the *likeness* of what is the same."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=likeness)), None)


def hint(name: str, known: Iterable[str]) -> str:
    """Return the question that ends a message, empty if *name* is like none of *known*."""
    meant = closest(name, known)
    return "" if meant is None else f"; did you mean {meant}?"
