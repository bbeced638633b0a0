"""What blocks on the disk, in a thread of its own: one flight at a time."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable


@attrs.define
class _Flight:
    work: Callable[[], None]
    land: Callable[[], None]
    loop: AbstractEventLoop
    over: threading.Event = attrs.Factory(threading.Event)
    fault: BaseException | None = None


class Runway:
    """
    Runs *work* in a thread and then *land* in the event loop, one pair at a time.

    Not the loop's own threads: programs fill those with work that may wait for an event, and so for us. The thread is
    started by the first flight and ends with this object.
    """

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._flight: _Flight | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a flight has not landed."""
        return self._flight is not None

    def launch(self, loop: AbstractEventLoop, work: Callable[[], None], land: Callable[[], None]) -> None:
        """Start a flight; none may be under way. What *work* raises comes out of the loop after *land*."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, thread_name_prefix="bubus-log")
        flight = self._flight = _Flight(work, land, loop)
        _ = self._threads.submit(self._fly, flight)

    def wait(self) -> None:
        """Block until the flight is over, and land it at once; for whoever closes, or has a new loop."""
        flight = self._flight
        if flight is not None:
            _ = flight.over.wait()
            self._land(flight)

    def leave(self, loop: AbstractEventLoop) -> None:
        """Land a flight of another loop than *loop*: that one may have ended since."""
        while self._flight is not None and self._flight.loop is not loop:
            self.wait()  # what lands may start the next one

    def close(self) -> None:
        """Wait for the flight and end the thread."""
        self.wait()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown()

    def abandon(self) -> None:
        """Forget the flight and the thread: a forked child has neither."""
        self._threads = self._flight = None

    def _fly(self, flight: _Flight) -> None:
        try:
            flight.work()
        except BaseException as error:  # noqa: BLE001 - raised again where somebody sees it
            flight.fault = error
        flight.over.set()
        with contextlib.suppress(RuntimeError):  # the loop has ended; `leave` or `close` lands the flight
            _ = flight.loop.call_soon_threadsafe(self._land, flight)

    def _land(self, flight: _Flight) -> None:
        if self._flight is flight:
            self._flight = None
            flight.land()
            if flight.fault is not None:
                raise flight.fault
