"""What one received event does here: its handlers, one after another, and what they came to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from time import monotonic, time
from typing import TYPE_CHECKING, Final

from typing_extensions import TypeIs

from bubus._event import AnyEvent, is_event
from bubus._result import EventResult
from bubus.errors import BusClosed, BusStopped, BusStopping, CapacityError, HandlerTimeout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bubus._handlers import Handler

_SHORTEST: Final = 0.005
_LONGEST: Final = 0.5
"""Seconds until a bus that had no room is asked again."""


class HandBack(Exception):  # noqa: N818 - says what to do: nobody failed
    """The bus was stopped: another worker is to do it."""

    def __init__(self, *, for_good: bool) -> None:
        super().__init__(for_good)
        self.for_good: Final = for_good
        """Whether the bus will never take an event again."""


def bus_of(handler: Handler) -> str | None:
    """Return the id of the bus whose `dispatch` *handler* is, None if it is something else."""
    if getattr(handler.function, "__name__", None) != "dispatch":
        return None
    bus_id: object = getattr(getattr(handler.function, "__self__", None), "id", None)
    return bus_id if isinstance(bus_id, str) else None


def without(handlers: Iterable[Handler], buses: Iterable[str]) -> list[Handler]:
    """Return the handlers that are no bus which had the event already."""
    had = set(buses)
    return [handler for handler in handlers if bus_of(handler) not in had] if had else list(handlers)


async def work(event: AnyEvent, handlers: Iterable[Handler]) -> list[EventResult[object]]:
    """
    Run the handlers of a received event and return what they came to, and those of the buses it was given to.

    Raises:
        HandBack: If a bus stopped before it was done.
    """
    results: list[EventResult[object]] = []
    for handler in handlers:
        results += await _run(event, handler)
    if any(isinstance(result.error, BusStopped) for result in results):
        raise HandBack(for_good=False)
    return results


async def _run(event: AnyEvent, handler: Handler) -> list[EventResult[object]]:
    start = monotonic()
    kind: object = event.event_result_type
    result: EventResult[object] = EventResult(event.event_id, handler.origin, event.event_timeout, kind)
    result.start(time())
    try:
        value = await _call(event, handler)
        if is_event(value):
            return await _completed(value)
        check = type(event).__event_result__
        result.complete(value if check is None else check(value), monotonic() - start)
    except BusClosed as error:
        raise HandBack(for_good=True) from error
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is its result
        result.fail(error, monotonic() - start)
    return [result]


async def _completed(event: AnyEvent) -> list[EventResult[object]]:
    """Wait for what a bus was given: its own clocks limit that."""
    await event
    return list(event.event_results.values())


async def _call(event: AnyEvent, handler: Handler) -> object:
    value = await _accepted(event, handler)
    if is_event(value) or not _is_awaitable(value):
        return value
    limit = event.event_timeout or None
    clock = asyncio.timeout(limit)
    try:
        async with clock:
            return await value
    except TimeoutError:
        if not clock.expired():
            raise
        raise HandlerTimeout(f"handler {handler.name} of {event.event_type} exceeded event_timeout={limit} s") from None


def _is_awaitable(value: object) -> TypeIs[Awaitable[object]]:
    return isinstance(value, Awaitable)


async def _accepted(event: AnyEvent, handler: Handler) -> object:
    """Call *handler*; a bus that has no room, or is about to stop, is asked again until it takes the event."""
    pause = _SHORTEST
    while True:
        try:
            return handler.function(event)
        except (CapacityError, BusStopping):
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST)
