"""What lies beside a log: its journal, and the events that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bubus.wal import leftovers, records
from bubus.wal._names import sibling

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bubus.wal import OnDamage


@attrs.frozen
class Beside:
    """How many events the files beside a log hold; None where there is no such file."""

    unfinished: int | None
    """Accepted and without a line in the log: `EventBus.recover` runs them."""

    dead: int | None
    """Given up by `EventBus.recover`."""

    def told(self) -> Iterator[str]:
        """Yield a line of text for each file there is."""
        if self.unfinished is not None:
            yield f"{self.unfinished} events in the journal, accepted and not finished"
        if self.dead is not None:
            yield f"{self.dead} events in the .dead file, given up"


def look_beside(log: Path, on_damage: OnDamage) -> Beside:
    """
    Count the events in the files beside *log*, which must exist.

    Raises:
        LogError: If a file cannot be read.
    """
    left, dead = leftovers(log, on_damage), sibling(log, ".dead")
    buried = sum(1 for _ in records(dead, on_damage)) if dead.exists() else None
    return Beside(None if left is None else len(left), buried)
