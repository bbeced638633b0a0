"""A clock for `retry` that tests move: nothing is slept, every pause is on record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import threading


@attrs.define
class FakeClock:
    """Time that passes only when someone sleeps; chance that is always the same."""

    time: float = 0.0
    chance: float = 0.5
    slept: list[float] = attrs.Factory(list[float])

    def now(self) -> float:
        """Return the seconds slept so far."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.slept.append(seconds)
        self.time += seconds

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        """Let *timeout* seconds pass; without a timeout wait for *event* in earnest, which another thread sets."""
        if timeout is None:
            return event.wait()
        self.sleep(timeout)
        return event.is_set()

    def uniform(self, low: float, high: float) -> float:
        """Return the number at `chance` of the way from *low* to *high*."""
        return low + self.chance * (high - low)
