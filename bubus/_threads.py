"""Bringing an event from another thread into a bus' event loop."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from bubus._state import accepted_state
from bubus.errors import BusStopped

if TYPE_CHECKING:
    from bubus._bus import EventBus
    from bubus._event import AnyEvent

E = TypeVar("E", bound="AnyEvent")


class Delivery(Generic[E]):
    """
    One event on its way: the callback that a loop runs, and the waiter that the event wakes.

    Its future is resolved whatever happens. A loop that closes drops its callbacks, so the last chance is
    `__del__`: nobody must wait for ever on a delivery that nobody will make.
    """

    def __init__(self, bus: EventBus, event: E) -> None:
        self.future: Future[E] = Future()
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
