"""What somebody may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of *known* that *name* may be a misspelling of."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), None)


def hint(name: str, known: Iterable[str]) -> str:
    """Return the question that ends a message, empty if *name* is like none of *known*."""
    meant = closest(name, known)
    return "" if meant is None else f"; did you mean {meant}?"
