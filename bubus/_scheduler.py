"""
WHICH event a bus runs next.

Each bus runs its events first in, first out, one at a time. The first `dispatch` on an idle bus asks the loop for one
turn, and either that turn or the first `await event`, if it comes sooner, begins with the queue. What does not suspend
is run there and then. Where a handler suspends, `proceed` goes on as soon as it has settled; meanwhile, and until the
turn of the loop after the last one, a `Guard` is the bus' only task beside those of the handlers. Events awaited
inside handlers leave the queue early and run beside what the bus runs already.
"""

from __future__ import annotations

import asyncio
import logging
import math
from asyncio import get_running_loop
from collections import OrderedDict
from contextvars import Context, copy_context
from functools import partial
from itertools import chain
from time import monotonic, time
from typing import TYPE_CHECKING, Literal

import attrs

import bubus._dispatch as dispatching
from bubus._alarm import Alarm
from bubus._call import NO_SHARE
from bubus._context import get_call, live_call_in
from bubus._guard import Guard
from bubus._state import DONE, NO_CONTEXT, NO_LOOP, QUEUED, RUNNING, STATE, EventState, Share, put, state_of
from bubus._statistics import Statistics
from bubus._steps import PROCESS_EVENT, STEP, drive, is_driven
from bubus._tasks import leave, spawn
from bubus._tree import escape
from bubus._waiting import unblock_rest, waiting_for_handlers
from bubus.errors import (
    AlreadyDispatchedError,
    BusClosed,
    BusStopped,
    BusStopping,
    CapacityError,
    DeadlockError,
    NoLoopError,
    WrongLoopError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bubus._bus import EventBus
    from bubus._call import Call
    from bubus._event import AnyEvent
    from bubus._expect import Expectations
    from bubus._handlers import Handler, Registry
    from bubus._history import History
    from bubus._ledger import Ledger
    from bubus._plan import Plan
    from bubus._state import Outcome

logger = logging.getLogger("bubus")

OUTCOMES: tuple[Outcome, ...] = ("failed", "cancelled", "unhandled")

# Memory is looked at with the first completed event and every 25th after it.
_MEMORY_CHECK = 25

# Bytes by which the history of a bus must have grown before all buses are added up again.
_NOTICEABLE = 16_384

# The drain lets others run after so many events that did not suspend, or sooner: see `held_up`.
_TURN = 200

# Seconds; a handler of which it shows at all counts as one event more for each of these that it took.
_USUAL = 0.000_02

_CUT_OFF = (
    "bus %s: the event loop ended, or cancelled its tasks, with %d events not done, which are cut off; await them, "
    "or the end of `async with` the bus"
)


@attrs.define(eq=False, repr=False)
class Scheduler:
    """The queue of one bus and everything that moves it. Holds no reference to the bus while idle."""

    bus_id: str
    bus_name: str
    registry: Registry
    history: History
    expectations: Expectations
    options: dispatching.Options
    max_pending: float
    warn_of_memory: Callable[[], None]
    """Warns once if all buses together hold too much."""

    ledger: Ledger | None = None
    """Writes to the log of the bus, if it has one."""

    plans: dict[Share, Plan] = attrs.Factory(dict[Share, "Plan"])
    """How to run what was recovered or replayed."""

    accepted: int = 0
    completed: int = 0
    outcomes: dict[Outcome, int] = attrs.Factory(lambda: dict.fromkeys(OUTCOMES, 0))
    """How many events had one that is worth a word."""

    loop: asyncio.AbstractEventLoop | None = None
    """The loop this bus runs in, once it has been used."""

    _bytes_told: int = 0
    """What the history held when all buses were last added up."""

    closing: bool = False
    """Whether `dispatch` has to look whether it is allowed at all: while a `stop` runs, and after the last."""

    _stops: int = 0
    """Calls of `stop` that have not returned."""

    _cuts: int = 0
    """Those of them that are done with waiting: nothing is accepted any more, not even inside handlers."""

    stopped: bool = False
    closed: bool = False

    _queue: OrderedDict[Share, None] = attrs.Factory(OrderedDict[Share, None])
    _take_next: Callable[[bool], tuple[Share, None]] = attrs.field(init=False)
    """`popitem` of the queue: bound once, since a subclass of dict takes long to look it up."""

    _running: dict[Share, None] = attrs.Factory(dict[Share, None])
    alarm: Alarm = attrs.field(init=False)
    epoch: float = 0.0
    """What makes a Unix time of a reading of `time.monotonic`; taken anew whenever the bus begins with something."""

    _draining: bool = False
    _left: int = _TURN
    """How many quick events may still run before the loop must get a turn; awaited ones count too."""

    _knows_time: bool = False
    """Whether the clock on the wall was looked at in this turn of the loop."""

    _turn: asyncio.Handle | None = None
    _guard: Guard | None = None
    """There while the bus has begun with something and is not done, and until the turn of the loop after that."""

    _departure: tuple[asyncio.Handle, BaseException] | None = None
    """A SystemExit or KeyboardInterrupt that is to leave in the next turn of the loop."""

    _halting: asyncio.Task[None] | None = None
    stepping: bool = False
    """Whether an overridden `step` is under way, which is one at a time."""

    _drivers: int = 0
    """How many events overridden methods have in hand, or are not done with."""

    _waiting: list[tuple[asyncio.Future[None], Callable[[], bool]]] = attrs.Factory(
        list["tuple[asyncio.Future[None], Callable[[], bool]]"]
    )
    """Who waits for a condition that may come true when a share is done."""

    def __attrs_post_init__(self) -> None:
        self.alarm = Alarm(self._running)
        self._take_next = self._queue.popitem

    # -- what is going on --------------------------------------------------------------------------------------------

    def statistics(self) -> Statistics:
        """Return the counters as they are now."""
        pending = len(self._queue)
        return Statistics(
            accepted=self.accepted,
            pending=pending,
            started=self.accepted - self.completed - pending,
            completed=self.completed,
            **self.outcomes,
        )

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or running here."""
        return not self._queue and not self._running

    @property
    def is_running(self) -> bool:
        """Whether handlers are at work here."""
        return bool(self._running)

    # -- accepting ---------------------------------------------------------------------------------------------------

    def accept(self, event: AnyEvent, bus: EventBus, plan: Plan | None = None) -> None:  # noqa: C901, PLR0912 - one look each; calls cost more
        """
        Queue *event*, or raise and leave no trace of it.

        Raises:
            NoLoopError: If no event loop runs in this thread.
            WrongLoopError: If this bus runs in another loop.
            BusStopping: While `stop` runs.
            BusClosed: After ``stop(clear=True)``.
            AlreadyDispatchedError: If this bus has the event already, and this is no forward inside its handler.
            CapacityError: If `max_pending` events are queued and this is no handler.
            EncodeError: If the event cannot be written to the log of the bus.
            LogError: If the log takes nothing.
        """
        try:
            loop = get_running_loop()
        except RuntimeError:
            raise self._no_loop() from None
        if loop is not self.loop:
            self._move_to(loop)
        call = get_call()
        if call is not None and not (call.live and call.share.state.loop is loop):
            call = None  # of a handler that has returned, or of one in another thread, whose context was copied
        state = state_of(event)
        if state is not None and self._has(event, state, call, loop):
            return
        if self.closing:
            self._check_open(call)
        if len(self._queue) >= self.max_pending and call is None and plan is None:
            raise self._too_many()
        if event.event_id in self.history.events:
            self._check_id(event)
        event.event_path.append(self.bus_name)
        debt = None if self.ledger is None else self.ledger.admit(event, None if state else call, plan, self)
        if state is None:
            state = EventState(loop, {}, (self.bus_id,))
            share = Share(event, state, bus, self, copy_context())
            state.shares = (share,)
            if call is not None:
                _make_child(event, state, call)
            put(event, STATE, state)
        else:
            if state.loop is NO_LOOP:
                _settle_in(event, state, call, loop)
            share = Share(event, state, bus, self, copy_context())
            state.accept(share, self.bus_id)
        if debt is not None:
            debt.incur(share)
        if plan is not None:
            self.plans[share] = plan
            state.recovered = plan.is_logged
        self.stopped = False
        self.accepted += 1
        self.history.add(event)
        self._queue[share] = None
        if self._turn is None and not self._draining:
            self._ask_for_turn(loop)
        if self.expectations.waiting:  # last: it calls code of the user's
            self.expectations.resolve(event)

    def _has(self, event: AnyEvent, state: EventState, call: Call | None, loop: asyncio.AbstractEventLoop) -> bool:
        if self.bus_id in state.bus_ids:
            self._check_forward(event, call)
            return True
        if state.loop is not loop and state.loop is not NO_LOOP:
            self._check_loop(state.loop, loop)
        return state.recovered and self.ledger is not None and event.event_id in self.ledger.settled

    def _check_forward(self, event: AnyEvent, call: Call | None) -> None:
        # A ring or diamond of forwards comes back here from inside a handler of this same event.
        if call is None or call.event is not event:
            raise AlreadyDispatchedError(
                f"{event.event_type}#{event.event_id[-4:]} was already dispatched on bus {self.bus_name!r}; "
                + "dispatch a new event, or event.model_copy(update={'event_id': bubus.models.uuid7str()})"
            )

    def refuse_if_closed(self) -> None:
        """Raise `BusClosed` after ``stop(clear=True)``."""
        if self.closed:
            raise BusClosed(f"bus {self.bus_name!r} was ended by stop(clear=True); make a new EventBus")

    def _check_open(self, call: Call | None) -> None:
        self.refuse_if_closed()
        if self._stops and (call is None or self._cuts):
            raise BusStopping(f"bus {self.bus_name!r} is stopping; dispatch again after stop() has returned")

    def _too_many(self) -> CapacityError:
        return CapacityError(
            f"EventBus at capacity: {len(self._queue)} pending events on bus {self.bus_name!r} "
            + f"(max_pending={self.max_pending}); await some of them first, or raise max_pending (None = no limit)"
        )

    def _check_id(self, event: AnyEvent) -> None:
        other = self.history.events.get(event.event_id)
        if other is not None and other is not event and other.event_status != "completed":
            raise AlreadyDispatchedError(
                f"another event with the id {event.event_id} is in flight on bus {self.bus_name!r}; "
                + "give each event an id of its own"
            )

    # -- the loop ----------------------------------------------------------------------------------------------------

    def _no_loop(self) -> NoLoopError:
        return NoLoopError(
            f"bus {self.bus_name!r}: no event loop runs in this thread; dispatch inside an async function, "
            + "or use bus.dispatch_threadsafe(event) from another thread"
        )

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.loop is not None and not self.loop.is_closed():
            if self.loop.is_running() or not self.idle:
                self._check_loop(self.loop, loop)
            self._forget_loop()
        else:
            self.settle_leftovers()
        self.loop = loop
        self._left = _TURN

    def _forget_loop(self) -> None:
        """Let go of what was asked of a loop that may never go on; the bus is idle."""
        self._departure = None
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if self._guard is not None:
            self._rest(self._guard)

    def _check_loop(self, owner: asyncio.AbstractEventLoop, loop: asyncio.AbstractEventLoop) -> None:
        if owner is not loop:
            raise WrongLoopError(
                f"bus {self.bus_name!r} belongs to another event loop; use bus.dispatch_threadsafe(event) "
                + "from other threads and loops, or stop() the bus there first"
            )

    def settle_leftovers(self) -> None:
        """Settle what a closed loop has left behind; nothing of it can run any more."""
        if self.loop is None or not self.loop.is_closed():
            return
        self._turn, self._guard, self._departure, self._draining = None, None, None, False
        self.alarm.drop()
        error = BusStopped(f"the event loop of bus {self.bus_name!r} was closed before this was done")
        self._cut_queue(error)
        running = list(self._running)
        self._running.clear()  # a child may lead back here
        for share in running:
            dispatching.settle_dead(share, error)
            self._finish(share)
        self._waiting.clear()
        if self.ledger is not None:
            self.ledger.finish()

    # -- running ----------------------------------------------------------------------------------------------------

    def _ask_for_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turn = loop.call_soon(self._take_turn, context=Context())
        self._knows_time = False

    def _take_turn(self) -> None:
        self._left, self._knows_time = _TURN, False
        try:
            self.start()
        finally:
            self._turn = None  # not before: nothing that is begun here needs to ask for another
        if self._running or self._queue:
            self._wait_for_more()
        elif self._guard is not None:
            self._rest(self._guard)
        if self._departure is not None:
            self.leave_now()

    def start(self) -> None:
        """Begin with the queue now, if nothing runs."""
        if not self._queue or self._running or self._draining or self.stepping:
            return
        if self._guard is not None:
            self.cut_off_if_ending()
        if not self._knows_time:
            self._tell_time()
        queue, running, take = self._queue, self._running, self._take_next
        self._draining = True
        try:
            while queue and not running and self._left > 0:
                if self.ledger is not None and (self.ledger.held or self.ledger.paused) and self._is_held():
                    break
                _ = self._begin(take(False)[0], 0)
        finally:
            self._draining = False
        if running or queue:
            self._wait_for_more()
        elif self._guard is not None:
            self._rest_soon(self._guard)

    def _tell_time(self) -> None:
        """Look at the clock on the wall: done once in a turn of the loop."""
        self.epoch = time() - monotonic()
        self._knows_time = True

    def _begin(self, share: Share, nesting: int) -> bool:
        """Run what does not suspend of an event; tell whether that was all of it."""
        cls = type(share.bus)
        if cls.step is not STEP or cls.process_event is not PROCESS_EVENT:
            return self._hand_over(share, in_turn=not (nesting or self.stepping))
        self._left -= 1
        share.stage = RUNNING
        self._running[share] = None
        if not dispatching.run(
            share, self._handlers(share) if self.plans else self.registry.match(share.event), nesting
        ):
            return False
        self._finish(share)
        return True

    def _handlers(self, share: Share) -> Sequence[Handler]:
        handlers = self.registry.match(share.event)
        plan = self.plans.pop(share, None)
        return handlers if plan is None else plan.select(share, handlers)

    def _hand_over(self, share: Share, *, in_turn: bool) -> Literal[False]:
        """Let the bus' own methods run an event: they were overridden, or wrapped. Until they do it stays queued."""
        self._queue[share] = None
        self._queue.move_to_end(share, last=False)
        self._running[share] = None
        self._drivers += 1
        drive(share, self, in_turn=in_turn)
        return False

    def held_up(self, seconds: float) -> None:
        """Let others run the sooner, since a handler took *seconds*: of its own, or while it was suspended."""
        self._left -= int(seconds / _USUAL)

    def proceed(self, share: Share) -> None:
        """Go on with *share*: the handlers it had to wait for have settled."""
        if share.stage is DONE or not dispatching.go_on(share):
            return
        self._finish(share)
        if share.behind is not None:
            self.run_each(share.behind)
        self._go_on()

    def _go_on(self) -> None:
        """See to it that what is left gets its turn, or that the bus comes to rest."""
        if self._running or self._queue:
            self._wait_for_more()
        elif self._guard is not None:
            self._rest_soon(self._guard)

    def _wait_for_more(self) -> None:
        loop = self.loop
        if loop is None or loop.is_closed():
            return
        if self._turn is None and not self._running and not self._is_held():
            self._ask_for_turn(loop)
        if self._guard is None:
            self._guard = Guard(self._cut_off, loop.create_future())
            self._guard.start(loop)
        self._guard.resting = False

    def _rest_soon(self, guard: Guard) -> None:
        """Rest in the next turn of the loop, unless there is more to do by then: a burst of events needs one guard."""
        guard.resting = True
        if self._turn is None and self.loop is not None and not self.loop.is_closed():
            self._ask_for_turn(self.loop)

    def _is_held(self) -> bool:
        """Tell whether the next event in the queue must wait for the log."""
        return self.ledger is not None and self.ledger.holds(next(iter(self._queue)))

    def _rest(self, guard: Guard) -> None:
        """Let go of what only work needs."""
        self._guard = None
        if self.loop is not None and not self.loop.is_closed():
            self.alarm.clear()
            guard.end()

    def _finish(self, share: Share) -> None:
        """Give this bus' share of an event back: the one place where it becomes done."""
        if share.stage is DONE:
            return
        share.stage = DONE
        self._running.pop(share, None)
        share.context = NO_CONTEXT
        state = share.state
        if state.open_work > 1:
            unblock_rest(state)
        if share.leaving is not None and not state.loop.is_closed():
            state.leaving = True
            self._departure = state.loop.call_soon(self._leave, share.leaving), share.leaving
            self._left = 0  # nothing may run before that has left
        state.release()
        if self._waiting:
            self._tell_waiting()

    def _leave(self, error: BaseException) -> None:
        self._departure = None
        leave(error)

    def leave_now(self) -> None:
        """Raise what would leave through the loop in its next turn, if there is such an error."""
        if self._departure is not None:
            handle, error = self._departure
            handle.cancel()
            self._leave(error)

    # -- out of turn -------------------------------------------------------------------------------------------------

    def queued_states(self) -> list[EventState]:
        """Return the states of all events in the queue."""
        return [share.state for share in self._queue]

    def queued_events(self) -> list[AnyEvent]:
        """Return all events in the queue, next one first."""
        return [share.event for share in self._queue]

    def run_out_of_turn(self, share: Share, nesting: int) -> None:
        """Take *share* out of the queue and run it, beside what runs already."""
        if not self._knows_time:
            self._tell_time()
        if self.ledger is not None:  # which may hold it
            self.run_each(iter((share,)))
            return
        _ = self._take(share, nesting)
        if not self._draining:
            self._go_on()

    def run_each(self, shares: Iterator[Share]) -> None:
        """Do with *shares* what `run_out_of_turn` does, one after another."""
        for share in shares:
            if share.stage is QUEUED:
                if self.ledger is not None and (debt := self.ledger.held.get(share)):
                    debt.then = partial(self.run_each, chain((share,), shares))
                    break
                if not self._take(share, 0):
                    share.behind = shares
                    break
        if not self._draining:
            self._go_on()

    def _take(self, share: Share, nesting: int) -> bool:
        del self._queue[share]
        return self._begin(share, nesting)

    # -- by hand -----------------------------------------------------------------------------------------------------

    def head(self) -> Share | None:
        """Return what is next in the queue, if it may begin now."""
        return None if self._running else next(iter(self._queue), None)

    def share_of(self, event: AnyEvent) -> Share | None:
        """Return this bus' share of *event*, until the event is complete."""
        state = state_of(event)
        shares = () if state is None else state.shares
        return next((share for share in shares if share.runner is self), None)

    def extra_share(self, event: AnyEvent, state: EventState, bus: EventBus) -> Share:
        """Return one more share of an event that this bus has had already."""
        self._check_loop(state.loop, get_running_loop())
        share = Share(event, state, bus, self, copy_context())
        state.accept(share, self.bus_id)
        self.accepted += 1
        return share

    def begin_by_hand(self, share: Share, timeout: float | None, handlers: Sequence[Handler] | None = None) -> None:
        """Begin with *share* now, wherever it is in the queue, and beside what runs already."""
        if self.ledger is not None and (debt := self.ledger.held.get(share)):
            debt.then = partial(self.begin_by_hand, share, timeout, handlers)
            return
        if share.stage is not QUEUED:
            return
        self._queue.pop(share, None)
        share.stage = RUNNING
        self._running[share] = None
        self._tell_time()
        found = self._handlers(share) if handlers is None else handlers
        if dispatching.run(share, found, dispatching.MAX_NESTING, timeout):
            self._finish(share)
            if share.behind is not None:
                self.run_each(share.behind)
        self._go_on()

    def resume(self, share: Share, *, in_turn: bool) -> None:
        """Go on after overridden methods have run *share*, or have failed to."""
        self._drivers -= 1
        if in_turn:
            self.stepping = False
        if share.stage is DONE and share.behind is not None:
            self.run_each(share.behind)
        self._go_on()
        if self._waiting:
            self._tell_waiting()

    # -- the end of an event -----------------------------------------------------------------------------------------

    def event_completed(self, share: Share) -> None:
        """Count the event by how it ended, and let the history forget it when its time comes."""
        self.completed += 1
        if share.outcome is not None:
            self.outcomes[share.outcome] += 1
        for call in share.calls:
            call.share, call.handler = NO_SHARE, None
        share.calls = ()
        self.history.complete(share.event)
        if self.completed % _MEMORY_CHECK == 1:
            self._check_memory()

    def _check_memory(self) -> None:
        if not self.history.measure(_MEMORY_CHECK):
            return
        held = self.history.bytes
        if held - self._bytes_told > _NOTICEABLE or self.completed == 1:
            self._bytes_told = held
            self.warn_of_memory()

    # -- stopping ----------------------------------------------------------------------------------------------------

    def cut(self, share: Share, error: BaseException) -> tuple[Sequence[Call], float]:
        """Cut *share* off for the reason *error*; return its running handlers, and the seconds they have to end."""
        if share.stage is QUEUED:
            del self._queue[share]
            dispatching.settle_unrun(share, self._handlers(share), error)
            self._finish(share)
            return (), 0.0
        dispatching.mark_cut(share, error)
        return share.calls, self.options.cancel_grace

    def cancel_pending(self, share: Share, error: BaseException) -> None:
        """Settle those handlers of *share* that have not begun, for the reason *error*."""
        calls, _ = self.cut(share, error) if share.stage is QUEUED else (share.calls, 0.0)
        for call in calls:
            if call.start_time is None:
                dispatching.cut(call, error, 0.0)

    def cut_off_if_ending(self) -> None:
        """Do what an immediate `stop` does, if the event loop is about to end: it cancels all tasks."""
        if self._guard is not None and self._guard.cancelled:
            self._cut_off(self._guard)

    def _cut_off(self, guard: Guard) -> None:
        if guard is self._guard:
            self._guard = None  # what is dispatched from now on is none of its business
            if not guard.resting:
                reason = "its event loop ended, or cancelled its tasks; dispatch again in a loop that goes on"
                count = len(self._queue) + len(self._running)
                logger.info(_CUT_OFF, escape(self.bus_name), count)  # no warning: that would show on stderr, unasked
                self.cut_all(BusStopped(f"bus {self.bus_name!r} was cut off: {reason}"))
                self.stopped = True

    def cut_all(self, error: BusStopped) -> None:
        """Cut off all that is queued, running or expected."""
        self.expectations.fail(error)
        self._cut_queue(error)
        for share in list(self._running):
            dispatching.cut_calls(share, error, self.options.cancel_grace)

    def drop_queue(self, error: BusStopped) -> None:
        """Cut off all that is queued; what is running goes on."""
        self.settle_leftovers()
        self._cut_queue(error)

    def _cut_queue(self, error: BusStopped) -> None:
        for share in list(self._queue):
            _ = self.cut(share, error)

    def check_loop(self) -> None:
        """Raise `WrongLoopError` where this loop could wait for ever for a bus that works in another one."""
        self.settle_leftovers()
        if self.loop is not None and not self.idle:
            self._check_loop(self.loop, asyncio.get_running_loop())

    def close(self) -> None:
        """End the bus for good."""
        self.closed = self.closing = True
        self.registry.clear()
        self.history.clear()
        if self.ledger is not None:
            self.ledger.close(inside=bool(self._running))

    async def stop(self, timeout: float, *, clear: bool = False) -> None:
        """
        Let events finish for *timeout* seconds, then cut the rest off; with *clear*, end the bus for good.

        Raises:
            WrongLoopError: If the bus runs in another loop.
        """
        self.check_loop()
        call = live_call_in(asyncio.get_running_loop())
        spared = call.share if call is not None and call.share in self._running else None
        self._stops += 1
        self.closing = True
        try:
            await self._finish_within(timeout, spared, inside=call is not None)
            await self._cut_and_wait(spared, call, clear=clear)
            self.stopped = True
        finally:
            self._stops -= 1
            self.closing = self.closed or self._stops > 0

    def wake(self) -> None:
        """Ask for a turn, if the queue can go on."""
        if self.loop is not None and not self._draining and not self.loop.is_closed():
            self._go_on()

    def put_first(self, events: Sequence[AnyEvent]) -> None:
        """Move events that are queued here to the front, in this order."""
        wanted = {event.event_id: number for number, event in enumerate(events)}
        shares = [share for share in self._queue if share.event.event_id in wanted]
        for share in sorted(shares, key=lambda share: wanted[share.event.event_id], reverse=True):
            self._queue.move_to_end(share, last=False)

    def halt(self) -> None:
        """Stop at once, from where nobody can wait for it."""
        halted = self._halting is not None and not self._halting.done()
        if not halted and self.loop is not None and not self.loop.is_closed():
            self._halting = spawn(self.stop(0.0), loop=self.loop, context=Context(), eager_start=False)

    async def _finish_within(self, timeout: float, spared: Share | None, *, inside: bool) -> None:
        if timeout <= 0:
            return
        try:
            async with asyncio.timeout(None if timeout == math.inf else timeout):
                await (self.until_idle_inside(spared) if inside else self.until_idle())
        except DeadlockError:
            logger.debug("bus %s: what waits for the handler that stops it is cut off", escape(self.bus_name))
        except TimeoutError:
            logger.debug("bus %s was not idle within %s s; the rest is cut off", escape(self.bus_name), timeout)

    async def _cut_and_wait(self, spared: Share | None, call: Call | None, *, clear: bool) -> None:
        self._cuts += 1
        if call is not None:
            call.spared = True
        try:
            self.cut_all(BusStopped(f"bus {self.bus_name!r} was stopped before this was done"))
            await self.until_idle(spared)
            if clear and self.ledger is not None:
                await self.ledger.secure()
        finally:
            self._cuts -= 1
            if call is not None:
                call.spared = False

    # -- becoming idle -----------------------------------------------------------------------------------------------

    async def until_idle(self, spared: Share | None = None) -> None:
        """Wait until nothing is queued or running, *spared* excepted, and all lines of the log are written."""
        await self._until_all_ran(spared)
        while self.ledger is not None and self.ledger.pending:
            await self.ledger.drain()
            await self._until_all_ran(spared)

    async def _until_all_ran(self, spared: Share | None) -> None:
        # Overridden methods are waited for too, but not by themselves, and not when all is cut off.
        inside = is_driven(self)
        await self._until(lambda: self._is_idle_but(spared) and (inside or not self._drivers or self._cuts > 0))

    async def until_idle_inside(self, spared: Share | None = None) -> None:
        """
        Do what `until_idle` does in a handler, which is known to wait for one event after another.

        That is a handler of another bus, or of *spared*, behind which the queue would stand still.

        Raises:
            DeadlockError: If one of them waits for that handler.
        """
        while share := next((one for one in chain(self._running, self._queue) if one is not spared), None):
            with waiting_for_handlers(share):
                if spared is not None and share.stage is QUEUED:
                    self.run_each(iter((share,)))
                await self.until_done(share)
        await self.until_idle(spared)

    async def until_free(self) -> None:
        """Wait until no handler runs."""
        await self._until(lambda: not self._running)

    async def until_done(self, share: Share) -> None:
        """Wait until the handlers of *share* have run."""
        await self._until(lambda: share.stage is DONE)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            future = asyncio.get_running_loop().create_future()
            entry = (future, condition)
            self._waiting.append(entry)
            try:
                await future
            finally:
                if entry in self._waiting:
                    self._waiting.remove(entry)

    def _is_idle_but(self, spared: Share | None) -> bool:
        return not self._queue and (not self._running or self._running.keys() == {spared})

    def _tell_waiting(self) -> None:
        for future, condition in self._waiting:
            if not future.done() and condition():
                future.set_result(None)


def _settle_in(event: AnyEvent, state: EventState, call: Call | None, loop: asyncio.AbstractEventLoop) -> None:
    """Give an event that only had results set by hand its loop and parent."""
    state.loop = loop
    if call is not None:
        _make_child(event, state, call)


def _make_child(event: AnyEvent, state: EventState, call: Call) -> None:
    """Make *event* a child of the one being handled, unless it says that it belongs to another."""
    parent = call.event
    if event.event_parent_id not in (None, parent.event_id):
        return
    put(event, "event_parent_id", parent.event_id)
    call.share.state.adopt(state)
    call.event_children.append(event)
