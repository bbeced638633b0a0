"""What programs of the older package read of a bus, or assign to reset it; nothing else in bubus uses it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, final

from typing_extensions import override

from bubus._steps import Steps
from bubus._tree import describe_value, escape
from bubus.errors import BusStopped, NotRunningError, OptionTypeError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from bubus._event import AnyEvent
    from bubus._scheduler import Scheduler


@final
class QueueView:
    """What used to be an asyncio.Queue: the events that no handler has seen, next one first."""

    __slots__ = ("_scheduler",)

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    @property
    def maxsize(self) -> int:
        """How many events may be queued; 0 = any number."""
        limit = self._scheduler.max_pending
        return 0 if limit == math.inf else int(limit)

    def qsize(self) -> int:
        """Return how many events are queued."""
        return len(self._scheduler.queued_events())

    def empty(self) -> bool:
        """Tell whether no event is queued."""
        return not self.qsize()

    def full(self) -> bool:
        """Tell whether `dispatch` outside handlers would raise `CapacityError`."""
        return 0 < self.maxsize <= self.qsize()

    def __iter__(self) -> Iterator[AnyEvent]:
        return iter(self._scheduler.queued_events())

    def __len__(self) -> int:
        return self.qsize()

    def __bool__(self) -> bool:
        return True  # as any object was that `event_queue` gave; None says that there is no queue

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {escape(self._scheduler.bus_name)}: {self.qsize()} queued>"


@final
class IdleSignal:
    """What used to be an asyncio.Event: set while nothing is queued or running."""

    __slots__ = ("_scheduler",)

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def is_set(self) -> bool:
        """Tell whether the bus is idle."""
        return self._scheduler.idle

    async def wait(self) -> Literal[True]:
        """
        Wait until the bus is idle; outside its handlers only.

        Raises:
            WrongLoopError: If the bus runs in another loop.
        """
        self._scheduler.check_loop()
        await self._scheduler.until_idle()
        return True


@final
class RunLoop:
    """What used to be a task: the bus at work. It needs no task of its own, but is told of in the same words."""

    __slots__ = ("_scheduler",)

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def done(self) -> bool:
        """Tell whether there is nothing to do."""
        return self._scheduler.idle

    def cancelled(self) -> bool:
        """Tell whether the bus was stopped and not used since."""
        return self._scheduler.stopped

    def cancel(self, msg: object = None) -> bool:
        """Cut off all that is queued and running, as ``stop()`` does; tell whether there was anything."""
        del msg
        if self._scheduler.idle:
            return False
        self._scheduler.cut_all(BusStopped(f"the work of bus {self._scheduler.bus_name!r} was cancelled"))
        self._scheduler.stopped = True
        return True

    def __await__(self) -> Generator[object, None, None]:
        yield from IdleSignal(self._scheduler).wait().__await__()


class OlderBus(Steps):
    """The small print of the older package's bus: attributes with underscores that programs came to rely on."""

    _torn_at: int = 0
    """How many events had been accepted when the bus was last reset: as many as now, and it has not begun anew."""

    @property
    def parallel_handlers(self) -> bool:
        """Whether all handlers of an event run at once."""
        return self._scheduler.options.parallel_handlers

    @property
    def max_history_size(self) -> int | None:
        """How many events are remembered; None = all."""
        limit = self._scheduler.history.limit
        return None if limit == math.inf else int(limit)

    @property
    def _torn_down(self) -> bool:
        return self._scheduler.accepted == self._torn_at

    @override
    def _check_running(self) -> None:
        if self._torn_down:
            raise NotRunningError(
                f"bus {self._scheduler.bus_name!r} has not been used, or was reset: dispatch an event first, "
                + "or pass one to step()"
            )

    @property
    def event_queue(self) -> QueueView | None:
        """The queue, or None before the first `dispatch` and after a reset. Assign None to settle what is queued."""
        return None if self._torn_down else QueueView(self._scheduler)

    @event_queue.setter
    def event_queue(self, nothing: None) -> None:
        _only_reset("event_queue", nothing)
        self._scheduler.drop_queue(
            BusStopped(f"bus {self._scheduler.bus_name!r} was reset by event_queue = None before this was done")
        )
        self._torn_at = self._scheduler.accepted

    @property
    def _is_running(self) -> bool | None:
        """Whether the bus takes events from its queue: from the first `dispatch` until it is stopped or reset."""
        scheduler = self._scheduler
        lives = scheduler.loop is not None and not scheduler.loop.is_closed()
        return lives and not (self._torn_down or scheduler.stopped or scheduler.closed)

    @_is_running.setter
    def _is_running(self, nothing: Literal[False] | None) -> None:
        _only_reset("_is_running", nothing or None)

    @property
    def _on_idle(self) -> IdleSignal | None:
        """Set while nothing is queued or running; None where `_is_running` is False."""
        return IdleSignal(self._scheduler) if self._is_running else None

    @_on_idle.setter
    def _on_idle(self, nothing: None) -> None:
        _only_reset("_on_idle", nothing)

    @property
    def _runloop_task(self) -> RunLoop | None:
        """What is at work; None where `_is_running` is False."""
        return RunLoop(self._scheduler) if self._is_running else None

    @_runloop_task.setter
    def _runloop_task(self, nothing: None) -> None:
        _only_reset("_runloop_task", nothing)


def _only_reset(name: str, value: object) -> None:
    """Refuse to set what the bus itself decides."""
    if value is not None:
        raise OptionTypeError(f"{name} = {describe_value(value)}: it can be reset to None, and not be replaced")
