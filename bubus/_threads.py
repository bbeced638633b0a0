"""Bringing an event from another thread into a bus' event loop."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from typing_extensions import override

import bubus._clock as clock
from bubus._state import accepted_state
from bubus.errors import BusStopped, DeadlockError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from bubus._bus import EventBus
    from bubus._event import AnyEvent

E = TypeVar("E", bound="AnyEvent")


class EventFuture(Future[E]):
    """
    What other threads wait for; in the thread of the event loop that has to handle the event it refuses to block.

    `concurrent.futures.wait` and `as_completed` look past its methods, so that they do block: call them without a
    timeout in other threads only.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        super().__init__()
        self._loop: AbstractEventLoop = loop

    @override
    def result(self, timeout: float | None = None) -> E:
        """
        Return the completed event; wait for it at most *timeout* seconds.

        Raises:
            DeadlockError: If the event's own loop would have to wait.
            TimeoutError: If that time is over.
        """
        self._refuse_to_block(timeout)
        return super().result(timeout)

    @override
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """
        Return why the event could not be dispatched or logged, None if it could; wait as `result` does.

        Raises:
            DeadlockError: If the event's own loop would have to wait.
            TimeoutError: If that time is over.
        """
        self._refuse_to_block(timeout)
        return super().exception(timeout)

    def _refuse_to_block(self, timeout: float | None) -> None:
        if (timeout is None or timeout > 0) and not self.done() and clock.running_loop() is self._loop:
            raise DeadlockError(
                "this would stop the event loop that has to handle the event: in the thread of the bus use "
                + "`await bus.dispatch(event)`, or outside handlers `await asyncio.wrap_future(future)` for this future"
            )


class Delivery(Generic[E]):
    """
    One event on its way: the callback that a loop runs, and the waiter that the event wakes.

    Its future is resolved whatever happens. A loop that closes drops its callbacks, so the last chance is
    `__del__`: nobody must wait for ever on a delivery that nobody will make.
    """

    def __init__(self, bus: EventBus, event: E, loop: AbstractEventLoop) -> None:
        self.future: EventFuture[E] = EventFuture(loop)
        self._bus: EventBus = bus
        self._event: E = event

    def __call__(self) -> None:
        """Dispatch the event; runs in the loop of the bus."""
        try:
            _ = self._bus.dispatch(self._event)
        except Exception as error:  # noqa: BLE001 - it belongs to the thread that asked
            self.future.set_exception(error)
            return
        state = accepted_state(self._event)
        if state.open_work:
            state.add_waiter(self)
        else:
            self.set_result(None)

    def done(self) -> bool:
        """Tell whether the future needs nothing more."""
        return self.future.done()

    def set_result(self, _: None, /) -> None:
        """Hand the completed event over, or say that it could not be logged."""
        fault = accepted_state(self._event).fault()
        if self.future.done():
            return
        if fault is None:
            self.future.set_result(self._event)
        else:
            self.future.set_exception(fault)

    def __del__(self) -> None:
        if not self.future.done():
            self.future.set_exception(
                BusStopped(f"the event loop of bus {self._bus.name!r} ended before it could take the event")
            )
