"""The time and the chance that `retry` and its semaphores ask for, in one place that tests replace."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import Protocol


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Clock(Protocol):
    """What `current` must be able to do. Async code sleeps by its event loop, which has a clock of its own."""

    def now(self) -> float:
        """Return seconds since some moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        ...

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        """Block this thread until *event* is set, at most *timeout* seconds; return whether it is set."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """Return a random number between *low* and *high*."""
        ...


class SystemClock:
    """The real time; in an event loop, that of the loop."""

    def now(self) -> float:
        """Return seconds by the clock of the running loop, else by the machine's."""
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds)

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        """Block this thread until *event* is set, at most *timeout* seconds."""
        return event.wait(timeout if timeout is None else min(timeout, threading.TIMEOUT_MAX))

    def uniform(self, low: float, high: float) -> float:
        """Return a random number between *low* and *high*."""
        return random.uniform(low, high)  # noqa: S311 - spreads pauses, keeps no secret


current: Clock = SystemClock()
"""The clock in use; read at each call, so that a test can put its own here."""
