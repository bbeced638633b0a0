"""What somebody may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of *known* that *name* may be a misspelling of."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), None)
