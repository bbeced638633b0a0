"""Who runs right now: the handler call that code runs in, and what a bus offers to an awaited event."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bubus._alarm import Alarm
    from bubus._call import Call
    from bubus._dispatch import Options
    from bubus._state import EventState, Share


class Runner(Protocol):
    """What an event knows of the scheduler of a bus that accepted it."""

    options: Options
    alarm: Alarm
    epoch: float
    """What makes a Unix time of a reading of `time.monotonic`."""

    def start(self) -> None:
        """Begin with the queue now if nothing runs, instead of in the next turn of the loop."""
        ...

    def queued_states(self) -> Iterable[EventState]:
        """Return the states of all events in the queue."""
        ...

    def run_out_of_turn(self, share: Share, nesting: int) -> None:
        """Take *share* out of the queue and run it, beside what runs already."""
        ...

    def run_each(self, shares: Iterator[Share]) -> None:
        """Do with *shares* what `run_out_of_turn` does, one after another."""
        ...

    def held_up(self, seconds: float) -> None:
        """Learn that a handler took *seconds*."""
        ...

    def leave_now(self) -> None:
        """Raise what would leave through the loop in its next turn, if there is such an error."""
        ...

    def proceed(self, share: Share) -> None:
        """Go on with *share*: the handlers it had to wait for have settled."""
        ...

    def cut_off_if_ending(self) -> None:
        """Do what an immediate `stop` does, if the event loop is about to end."""
        ...

    def cut(self, share: Share, error: BaseException) -> tuple[Sequence[Call], float]:
        """Cut *share* off for the reason *error*; return its running handlers, and the seconds they have to end."""
        ...

    def cancel_pending(self, share: Share, error: BaseException) -> None:
        """Settle those handlers of *share* that have not begun, for the reason *error*."""
        ...

    def settle_leftovers(self) -> None:
        """Settle what a closed event loop has left behind."""
        ...

    def event_completed(self, share: Share) -> None:
        """Learn that the event of *share* is complete on every bus, with all its children."""
        ...

    def halt(self) -> None:
        """Stop the bus as soon as possible."""
        ...

    def wake(self) -> None:
        """See whether the queue can go on."""
        ...


current_call: ContextVar[Call | None] = ContextVar("bubus_current_call", default=None)

get_call: Final = current_call.get
"""Returns the call that this code belongs to, live or not. (A method of an imported object takes longer to look up.)"""

enter: Final = cast("Callable[[Call | None], None]", current_call.set)
"""Makes a call the current one, for good: the token that could undo it would keep the context alive, in a frame."""


def live_call() -> Call | None:
    """Return the call this code runs in, or None outside handlers and after the handler has returned."""
    call = get_call()
    return call if call is not None and call.live else None


def live_call_in(loop: asyncio.AbstractEventLoop) -> Call | None:
    """Do what `live_call` does for code in *loop*: in another thread, a copied context may know a handler elsewhere."""
    call = live_call()
    return call if call is not None and call.share.state.loop is loop else None
