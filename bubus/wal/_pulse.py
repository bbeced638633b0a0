"""At most one call a second, and none while there is nothing to do."""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Callable

INTERVAL: Final = 1.0
"""Seconds."""


class Pulse:
    """Makes a call a second after the first `touch` since it last did."""

    def __init__(self) -> None:
        self._timer: TimerHandle | None = None

    def touch(self, loop: AbstractEventLoop, beat: Callable[[], object]) -> None:
        """Have *beat* called, unless that is about to happen."""
        if self._timer is None:
            # it is kept by the loop's timer only: kept here, a log would hold itself
            self._timer = loop.call_later(INTERVAL, self._fire, beat, context=Context())

    def stop(self) -> None:
        """Forget the call, or the timer of a loop that has ended."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _fire(self, beat: Callable[[], object]) -> None:
        self._timer = None
        _ = beat()
