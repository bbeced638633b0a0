"""
Help for the tests of programs that use bubus.

`VirtualTimeLoop` lets hours of timeouts pass at once and turns a deadlock into an error. `settled`, `settle` and
`assert_settled` check what a bus promises: every accepted event settles, and no task is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from bubus._bus import EventBus
from bubus._seconds import checked_seconds
from bubus.errors import NotSettledError, StuckLoopError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable, Iterator

    from bubus._event import AnyEvent
    from bubus._result import EventResult

__all__ = ["VirtualTimeLoop", "assert_settled", "settle", "settled"]

_LAST_TURNS: Final = 32
"""Loop turns a task that is done with its work may take to end: a drain needs two or three."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """
    An event loop whose clock jumps to the next timer as soon as nothing else is to do.

    A sleep of a day ends at once, in the right order with all other timers. When every task waits and no timer is
    set, nothing can ever happen again: `StuckLoopError` is raised instead of waiting for ever. For code in one
    thread only: whoever waits for other threads, processes or sockets needs a real loop.

    Use it as a factory: ``asyncio.Runner(loop_factory=VirtualTimeLoop)``.
    """

    def __init__(self) -> None:
        self._virtual: Final = _JumpingSelector()
        super().__init__(self._virtual)

    @override
    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._virtual.now


class _JumpingSelector(selectors.DefaultSelector):
    """Moves its clock on where another selector would wait."""

    now: float = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            self._jump(timeout)
        return ready

    def _jump(self, timeout: float | None) -> None:
        if timeout is None:
            raise StuckLoopError(_stuck(asyncio.all_tasks(asyncio.get_running_loop())))
        self.now += max(timeout, 0.0)


def _stuck(tasks: Iterable[asyncio.Task[object]]) -> str:
    return (
        "every task waits and no timer is set, so nothing can ever happen again. Set what they wait for, or use a "
        f"real event loop if that comes from a thread or a socket. Waiting: {_names(tasks)}"
    )


def _names(tasks: Iterable[asyncio.Task[object]]) -> str:
    return ", ".join(sorted(f"{task.get_name()} ({task.get_coro()!r})" for task in tasks)) or "nobody"


@contextlib.asynccontextmanager
async def settled(*buses: EventBus, timeout: float = 5.0) -> AsyncGenerator[None]:
    """
    Check on leaving the block that it left nothing unfinished.

    Buses that were out of order before the block, and tasks that ran before it, do not count.

    Args:
        buses: The buses to look at, by default all that are alive; where several threads have buses, name those
            of this one.
        timeout: Seconds of the loop's clock that unfinished events get to complete.

    Raises:
        NotSettledError: If an event is unfinished, the counters of a bus do not add up, or a task is left.
        OptionError: If *timeout* is negative.
        OptionTypeError: If it is no number.

    """
    broken, running = {bus.id for bus in buses or _alive() if _faults(bus)}, asyncio.all_tasks()
    yield
    await _settle([bus for bus in buses or _alive() if bus.id not in broken], timeout, running)


async def settle(*buses: EventBus, timeout: float = 5.0) -> None:
    """
    Wait until every bus is done, then check that nothing is left.

    Args:
        buses: The buses to wait for, by default all that are alive.
        timeout: Seconds of the loop's clock that unfinished events get to complete.

    Raises:
        NotSettledError: If an event is unfinished, the counters of a bus do not add up, or a task is left.
        OptionError: If *timeout* is negative.
        OptionTypeError: If it is no number.

    """
    await _settle(buses or _alive(), timeout, set())


def assert_settled(*buses: EventBus) -> None:
    """
    Check that nothing is queued or running and that all counters add up.

    Args:
        buses: The buses to look at, by default all that are alive.

    Raises:
        NotSettledError: If an event is unfinished or the counters of a bus do not add up.

    """
    _report(fault for bus in buses or _alive() for fault in _faults(bus))


async def _settle(buses: Collection[EventBus], timeout: float, running: set[asyncio.Task[object]]) -> None:
    with contextlib.suppress(TimeoutError):  # what is unfinished by then is reported below
        async with asyncio.timeout(checked_seconds("timeout", timeout)):
            await _completed(buses)
    left = await _tasks_left(running)
    _report([*(fault for bus in buses for fault in _faults(bus)), *(f"task left: {_names([task])}" for task in left)])


async def _completed(buses: Iterable[EventBus]) -> None:
    waited: set[str] = set()  # an event that is unfinished after its await is a fault, not a reason to wait again
    while fresh := [event for event in _unfinished(buses) if event.event_id not in waited]:
        for event in fresh:
            waited.add(event.event_id)
            await event


async def _tasks_left(running: set[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    expected = running | {task for task in (asyncio.current_task(),) if task}
    left = asyncio.all_tasks() - expected
    for _ in range(_LAST_TURNS):
        if not left:
            break
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - expected
    return left


def _alive() -> list[EventBus]:
    return sorted(EventBus.all_instances, key=lambda bus: bus.id)


def _unfinished(buses: Iterable[EventBus]) -> list[AnyEvent]:
    return [event for bus in buses for event in (*bus.events_pending, *bus.events_started)]


def _report(faults: Iterable[str]) -> None:
    if text := "\n  ".join(faults):
        raise NotSettledError(f"not everything is settled; await the events or stop the bus first:\n  {text}")


def _faults(bus: EventBus) -> list[str]:
    faults = [*_wrong_counts(bus), *(_unfinished_event(event) for event in _unfinished([bus]))]
    return [f"{bus.name}: {fault}" for fault in (*faults, *_false_completions(bus))]


def _wrong_counts(bus: EventBus) -> Iterator[str]:
    count = bus.statistics()
    if count.accepted != count.pending + count.started + count.completed:
        yield f"accepted is not pending + started + completed in {count}"
    if count.pending or count.started:
        yield f"{count.pending} pending and {count.started} started events"


def _unfinished_event(event: AnyEvent) -> str:
    results = ", ".join(f"{result.handler_name} {result.status}" for result in event.event_results.values())
    return f"{event.event_type} {event.event_id} is {event.event_status} ({results or 'no results'})"


def _false_completions(bus: EventBus) -> Iterator[str]:
    for event in bus.events_completed:
        if event.event_status != "completed" or event.event_completed_at is None:
            yield f"listed as completed: {_unfinished_event(event)}"
        if any(_is_open(result) for result in event.event_results.values()):
            yield f"completed with an open result: {_unfinished_event(event)}"


def _is_open(result: EventResult[object]) -> bool:
    return result.status not in {"completed", "error"} or result.completed_at is None
