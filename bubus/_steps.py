"""
Driving a bus by hand, one event at a time, in the older package's words.

A bus runs its events by itself and calls none of these methods, unless they are not the originals on its type:
a subclass has overridden `step` or `process_event`, or a program has wrapped them. Then every event goes
through them, in a task of its own, and stays queued until the original `process_event` is reached.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeVar, cast, overload

import attrs

from bubus._context import enter
from bubus._event import AnyEvent, is_event
from bubus._expect import Expectation, Waiting
from bubus._state import DONE, QUEUED, accepted_state, state_of
from bubus._tree import describe_error, describe_value, escape
from bubus._waiting import waiting_for_handlers
from bubus.errors import BusStopped, NotAnEventError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bubus._bus import EventBus
    from bubus._scheduler import Scheduler
    from bubus._state import Share

logger = logging.getLogger("bubus")

E = TypeVar("E", bound="AnyEvent")
R = TypeVar("R")


@attrs.define(eq=False)
class Handed:
    """An event that a bus has handed over to an overridden method."""

    share: Share
    taken: bool = False
    """Whether the original `step` has taken it."""


_handed: ContextVar[Handed | None] = ContextVar("bubus_handed", default=None)
_hand: Final = cast("Callable[[Handed], None]", _handed.set)  # as `enter`: no frame is to keep the token


class Steps:
    """The methods that run one event, or one handler, at once."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler: Scheduler = scheduler

    async def step(
        self, event: AnyEvent | None = None, timeout: float | None = None, wait_for_timeout: float = 0.1
    ) -> AnyEvent | None:
        """
        Run the next event of the queue, or *event*, and return it when its handlers on this bus have run.

        Args:
            event: The event; by default the next one, when no handler of this bus runs.
            timeout: Seconds for each handler; None = what the event says, 0 = no limit.
            wait_for_timeout: Seconds to wait for an event; if none comes, None is returned.

        Raises:
            NotRunningError: If the bus has not been used, or was reset (an AssertionError too).
        """
        found = await self._next_event(wait_for_timeout) if event is None else event
        if found is not None:
            await self.process_event(found, timeout=timeout)
        return found

    async def process_event(self, event: AnyEvent, timeout: float | None = None) -> None:
        """
        Run *event* on this bus at once, and return when its handlers have run; one that has run is left as it is.

        Cancelling this does not cancel the event.

        Args:
            event: The event; one that is not queued here is accepted as `dispatch` does it.
            timeout: Seconds for each handler; None = what the event says, 0 = no limit.

        Raises:
            NotAnEventError: If it is no event.
            DeadlockError: Inside its own handler or that of one of its children, or if one of its handlers waits for
                the one that calls this.
            BubusError: What `dispatch` raises.
        """
        scheduler, share = self._scheduler, self._accepted(event)
        if share is None or share.stage is DONE:
            return
        with waiting_for_handlers(share):
            if share.stage is QUEUED:
                scheduler.begin_by_hand(share, timeout)
            await scheduler.until_done(share)

    @overload
    async def execute_handler(
        self, event: E, handler: Callable[[E], Awaitable[R]], timeout: float | None = None
    ) -> R: ...
    @overload
    async def execute_handler(self, event: E, handler: Callable[[E], R], timeout: float | None = None) -> R: ...
    async def execute_handler(self, event: AnyEvent, handler: object, timeout: float | None = None) -> object:
        """
        Run one handler for *event* at once, and return its value; the record is in `event_results`.

        Args:
            event: The event; if this bus has not had it, this handler is all that runs for it here.
            handler: A callable of one event, registered or not.
            timeout: Seconds; None = what the event says, 0 = no limit.

        Raises:
            Exception: What the handler raised.
            NotAnEventError: If *event* is no event.
            HandlerError: If *handler* cannot be called with one event.
            BubusError: What `dispatch` raises.
        """
        scheduler, bus = self._scheduler, cast("EventBus", self)
        record = scheduler.registry.handler_of(handler)
        share = self._accepted(event) if _is_new(event, scheduler) else None
        state = accepted_state(event)
        share = share or scheduler.extra_share(event, state, bus)
        scheduler.begin_by_hand(share, timeout, (record,))
        return await state.results[record.id]

    def _accepted(self, event: AnyEvent) -> Share | None:
        """Return this bus' share of *event*, accepting it if that has not been done; None if it is complete."""
        if _is_new(event, self._scheduler):
            self._scheduler.accept(event, cast("EventBus", self))
        return self._scheduler.share_of(event)

    async def _next_event(self, seconds: float) -> AnyEvent | None:
        handed = _handed.get()
        if handed is not None and handed.share.runner is self._scheduler and not handed.taken:
            handed.taken = True
            return handed.share.event
        self._check_running()
        try:
            async with asyncio.timeout(seconds):
                return await _next_in_turn(self._scheduler)
        except TimeoutError:
            return None

    def _check_running(self) -> None:
        """Raise `NotRunningError` where no event can come by itself."""


STEP: Final[object] = Steps.step
PROCESS_EVENT: Final[object] = Steps.process_event
"""The originals: as long as a bus' type has these, nobody needs to call them."""


def _is_new(event: object, scheduler: Scheduler) -> bool:
    if not is_event(event):
        raise NotAnEventError(f"cannot process {describe_value(event)}: make an instance of a BaseEvent subclass")
    state = state_of(event)
    return state is None or scheduler.bus_id not in state.bus_ids


async def _next_in_turn(scheduler: Scheduler) -> AnyEvent:
    await scheduler.until_free()
    head = scheduler.head()
    if head is not None:
        return head.event
    future: asyncio.Future[AnyEvent] = asyncio.get_running_loop().create_future()
    return await Expectation(Waiting("*", (), None, None, future), scheduler.expectations)


def is_driven(scheduler: Scheduler) -> bool:
    """Tell whether this code is part of an overridden method that the bus of *scheduler* has called."""
    handed = _handed.get()
    return handed is not None and handed.share.runner is scheduler


# -- overridden methods --------------------------------------------------------------------------------------------

_driving: set[asyncio.Task[None]] = set()


def drive(share: Share, scheduler: Scheduler, *, in_turn: bool) -> None:
    """Call the methods of the bus of *share*, in a task of its own, until they have run it."""
    work = _drive(share, scheduler, in_turn=in_turn)
    task = asyncio.Task(work, loop=share.state.loop, context=share.context.copy())
    _driving.add(task)
    task.add_done_callback(_driving.discard)


async def _drive(share: Share, scheduler: Scheduler, *, in_turn: bool) -> None:
    enter(None)  # the dispatcher's: what is dispatched here is no child of it
    handed = Handed(share, taken=not in_turn)
    _hand(handed)
    scheduler.stepping = scheduler.stepping or in_turn
    try:
        await (_step(handed) if in_turn else share.bus.process_event(share.event))
        if share.stage is QUEUED:
            logger.warning(
                "%s#%s: process_event() of bus %s did not call super(), so no handler was called",
                escape(share.event.event_type),
                share.event.event_id[-4:],
                escape(share.bus.name),
            )
            scheduler.begin_by_hand(share, None, ())
    except BaseException as error:
        _refuse(share, scheduler, error)
        if not isinstance(error, Exception):
            raise
    finally:
        scheduler.resume(share, in_turn=in_turn)


async def _step(handed: Handed) -> None:
    """Call `step` until the event is taken: an override may put it off, and is asked again."""
    share = handed.share
    while share.stage is QUEUED and not handed.taken:
        _ = await share.bus.step()
        if not handed.taken:
            await asyncio.sleep(0)


def _refuse(share: Share, scheduler: Scheduler, error: BaseException) -> None:
    """Settle what an overridden method has not run because it raised."""
    logger.error(
        "step() or process_event() of bus %s raised: %s",
        escape(share.bus.name),
        describe_error(error),
        exc_info=error,
    )
    if share.stage is QUEUED:
        reason = error if isinstance(error, Exception) else BusStopped(f"bus {share.bus.name!r} was cut off: {error!r}")
        _ = scheduler.cut(share, reason)
