"""
The state of an event while it is on its way, and the share that each bus has in it.

Rule: a status changes in `EventState.start` and `EventState.complete` only, and never goes back.
"""

from __future__ import annotations

import asyncio
import copy
from contextvars import Context
from enum import Enum
from operator import attrgetter
from time import monotonic, time
from typing import TYPE_CHECKING, Final, Literal, Protocol, cast

import attrs

from bubus._narrow import namespace_of
from bubus.errors import NotDispatchedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bubus._bus import EventBus
    from bubus._call import Call
    from bubus._context import Runner
    from bubus._event import AnyEvent
    from bubus._ledger import Debt
    from bubus._result import AnyResult
    from bubus.errors import LogError

Status = Literal["pending", "started", "completed"]
Outcome = Literal["failed", "cancelled", "unhandled"]


class Waiter(Protocol):
    """What is told that an event is complete: a future, or something like one."""

    def done(self) -> bool:
        """Tell whether nobody waits any more."""
        ...

    def set_result(self, result: None, /) -> None:
        """Wake whoever waits."""
        ...


_NOBODY: Iterator[Call] = iter(())

NO_CONTEXT = Context()
"""Stands for a context that was let go."""


class Stage(Enum):
    """Where a bus is with its share of an event."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


QUEUED, RUNNING, DONE = Stage  # an attribute of an Enum takes longer to look up


@attrs.define(eq=False, repr=False)
class Share:
    """The part that one bus has in one event: to run its handlers."""

    event: AnyEvent
    state: EventState
    bus: EventBus
    runner: Runner
    context: Context
    """The dispatcher's context; let go when the handlers have run."""

    stage: Stage = QUEUED
    calls: Sequence[Call] = ()
    waiting: Iterator[Call] = _NOBODY
    """Those of `calls` that have not had their turn."""

    active: int = 0
    """Handlers that have started and not settled, and one more while others are being started: the last one goes on."""

    behind: Iterator[Share] | None = None
    """What runs out of turn when this is done."""

    outcome: Outcome | None = None
    """What there is to say of how it ended; None: all handlers have returned."""

    cut: BaseException | None = None
    """Why this share was cut off, if it was."""

    leaving: BaseException | None = None
    """A SystemExit or KeyboardInterrupt that must leave through the loop."""


NO_LOOP: Final = cast("asyncio.AbstractEventLoop", cast("object", None))
"""Stands for the loop of an event of which only results were set by hand: no bus has accepted it."""


@attrs.define(eq=False, repr=False)
class EventState:
    """All run-time state of one event; the event itself holds its data only."""

    loop: asyncio.AbstractEventLoop
    results: dict[str, AnyResult]
    """By handler id, in run order."""

    bus_ids: tuple[str, ...]
    """The buses that accepted it: one at first."""

    shares: tuple[Share, ...] = ()
    """The share of each bus that accepted the event; emptied when it completes."""

    status: Status = "pending"
    open_work: int = 1
    """Buses that have accepted the event and not run it, plus children that are not complete."""

    depth: int = 0
    """How many handlers lie between this event and one dispatched outside any."""

    parent: EventState | None = None
    """Told when this event completes, then let go."""

    waiters: list[Waiter] | None = None
    awaited_by: list[Call] | None = None
    """Handler calls that wait for this event."""

    leaving: bool = False
    """A handler raised SystemExit or KeyboardInterrupt."""

    started: float | None = None
    completed: float | None = None
    """Readings of `time.monotonic`, in seconds."""

    epoch: float = 0.0
    """What makes a reading of `time.monotonic` a Unix time."""

    debt: Debt | None = None
    """Set by buses that log the event."""

    lost: LogError | None = None
    """Why a line of the event is not in a log."""

    recovered: bool = False
    """Whether it was found in a journal: buses that it is forwarded to may have had it in an earlier process."""

    def start(self, now: float = 0.0, epoch: float = 0.0) -> None:
        """Record that the first bus begins with the event; *epoch* makes a Unix time of *now*, by `time.monotonic`."""
        self.status = "started"
        self.started = now or monotonic()
        self.epoch = epoch or time() - self.started

    def accept(self, share: Share, bus_id: str) -> None:
        """Add the share of one more bus."""
        self.bus_ids += (bus_id,)
        self.shares += (share,)
        self.open_work += 1

    def adopt(self, child: EventState) -> None:
        """Make *child* part of this event's open work."""
        child.parent = self
        child.depth = self.depth + 1
        self.open_work += 1

    def release(self) -> None:
        """Tell that one piece of open work is done; completes the event, and its parents, when it was the last."""
        self.open_work -= 1
        state: EventState | None = self
        while state is not None and not state.open_work:
            if state.debt is not None:
                state.finish()
                state.debt.pay()
                if state.open_work:
                    return
            state = state.complete()

    def fault(self) -> LogError | None:
        """Return a new error for whoever waits, if a line of the event is not where it should be."""
        if self.lost is None:
            return None
        # not shared, so that the traceback of one waiter does not grow with those of others
        fault = copy.copy(self.lost)
        fault.__cause__ = self.lost.__cause__
        return fault

    def finish(self) -> None:
        """Record when all work was done; it may be repeated, and changes nothing then."""
        if self.completed is None:
            self.completed = monotonic()
            if not self.epoch:  # no bus has begun with it
                self.epoch = time() - self.completed

    def complete(self) -> EventState | None:
        """Record that all work is done, and tell all that wait; return the parent, which has less open work now."""
        if self.completed is None:
            self.finish()
        self.status = "completed"
        shares = self.shares
        self.shares = ()
        for share in shares:
            share.runner.event_completed(share)
        if self.waiters is not None:
            self._wake(self.waiters)
        parent = self.parent
        if parent is not None:
            self.parent = None
            parent.open_work -= 1
        return parent

    def add_waiter(self, waiter: Waiter) -> None:
        """Tell *waiter* when the event is complete."""
        if self.waiters is None:
            self.waiters = []
        self.waiters.append(waiter)

    def _wake(self, waiters: list[Waiter]) -> None:
        self.waiters = None
        lost = self.loop.is_closed()
        for waiter in waiters:
            # A future of a closed loop cannot be resolved, and nobody waits for it any more.
            if not waiter.done() and not (lost and isinstance(waiter, asyncio.Future)):
                waiter.set_result(None)


STATE: Final = "_event_state"
"""The attribute with the run-time state; the leading underscore keeps it out of every encoding."""

put: Final = object.__setattr__
"""Sets an attribute also where the event class is frozen."""


state_of: Final = cast("Callable[[AnyEvent], EventState | None]", attrgetter(STATE))
"""Returns the run-time state of an event, or None before its first dispatch."""


def accepted_state(event: AnyEvent) -> EventState:
    """
    Return the run-time state of an event that a bus has accepted.

    Raises:
        NotDispatchedError: If none has.
    """
    state = state_of(event)
    if state is None or (state.loop is NO_LOOP and state.status != "completed"):
        kind = namespace_of(event).get("event_type", type(event).__name__)  # its constructor may not have been called
        raise NotDispatchedError(
            f"{kind!r} was not dispatched on any bus, so nobody would complete it: "
            + "await bus.dispatch(event) instead"
        )
    return state


def set_state(event: AnyEvent, state: EventState) -> None:
    """Give *event* its run-time state."""
    put(event, STATE, state)


def new_state(event: AnyEvent, loop: asyncio.AbstractEventLoop) -> EventState:
    """Give *event* the state of one that no bus here has accepted, but that is open all the same."""
    state = EventState(loop, {}, ())
    set_state(event, state)
    return state
