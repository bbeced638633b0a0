"""After a crash: what was accepted and not finished is run again, as far as it was not."""

from __future__ import annotations

import contextlib
import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, Final

import attrs

from bubus._context import enter
from bubus._resumption import Resumption
from bubus._state import accepted_state
from bubus._tree import describe_value, escape
from bubus.errors import OptionError, OptionTypeError
from bubus.wal._frame import BadLine
from bubus.wal._typed import EventDecoder

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from bubus._bus import EventBus
    from bubus._event import AnyEvent
    from bubus._ledger import Ledger
    from bubus._scheduler import Scheduler
    from bubus.wal import Unfinished

logger: Final = logging.getLogger("bubus")


@attrs.frozen
class RecoveryReport:
    """What `EventBus.recover` has done."""

    events: tuple[AnyEvent, ...]
    """The events that were dispatched again, in accepted order; ``await`` them to wait until they are complete."""

    dead: tuple[str, ...]
    """Ids of the events that were given up, and are in ``<path>.dead`` now."""


async def recover(
    scheduler: Scheduler, bus: EventBus, max_attempts: object, others: Iterable[Ledger]
) -> RecoveryReport:
    """Do what `EventBus.recover` says; *others* are the ledgers of the buses that events may be forwarded to."""
    ledger = scheduler.ledger
    if ledger is None or not ledger.log.ahead:
        raise OptionError(
            f"bus {bus.name!r} has no journal to recover from: EventBus(wal_path=WriteAheadLog(path, ahead=True))"
        )
    most = _checked_attempts(max_attempts)
    ledger.forgotten = 0
    async with ledger.recovery:
        with _paused(scheduler, ledger):
            left = await ledger.log.unfinished()
            events, dead = await _sorted(ledger, left, most)
            for other in others:
                await other.settle({event.event_id for event, _ in events})
            # another bus that recovers may have forwarded some of them here meanwhile
            events = [(event, unfinished) for event, unfinished in events if ledger.log.left(event.event_id)]
            for event, unfinished in events:
                _dispatch(scheduler, bus, event, Resumption(unfinished))
                ledger.take_on(unfinished)  # not before: a bus that is stopping refuses it
            fresh = tuple(event for event, _ in events)
            _adopt(fresh)
            scheduler.put_first(fresh)
    return RecoveryReport(fresh, dead)


def _checked_attempts(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise OptionTypeError(f"max_attempts={describe_value(value)} must be a whole number of at least 1")
    if value < 1:
        raise OptionError(f"max_attempts={value} must be at least 1")
    return value


@contextlib.contextmanager
def _paused(scheduler: Scheduler, ledger: Ledger) -> Generator[None]:
    """Let no new event begin meanwhile, unless the bus is at work already."""
    ledger.paused = not scheduler.is_running
    try:
        yield
    finally:
        ledger.paused = False
        scheduler.wake()


async def _sorted(
    ledger: Ledger, left: Iterable[Unfinished], most: int
) -> tuple[list[tuple[AnyEvent, Unfinished]], tuple[str, ...]]:
    """Return the events to be run, with what is known of them, and the ids of those that are given up."""
    decode, events, dead = EventDecoder(None, "base").decode, list[tuple["AnyEvent", "Unfinished"]](), list[str]()
    for unfinished in left:
        reason = _exhausted(unfinished, most)
        if reason is None:
            try:
                events.append((_fresh(decode(unfinished.event, None)), unfinished))
            except BadLine as error:
                reason = f"it cannot be read any more: {error}"
        if reason is not None:
            await ledger.log.bury(unfinished, reason)
            dead.append(unfinished.event_id)
            logger.warning("event %s is given up and kept in the .dead file: %s", unfinished.event_id, reason)
    return events, tuple(dead)


def _fresh(event: AnyEvent | None) -> AnyEvent:
    if event is None:
        raise BadLine("no event")
    return event


def _exhausted(unfinished: Unfinished, most: int) -> str | None:
    for key, attempts in unfinished.attempts.items():
        if attempts >= most and key not in unfinished.outcomes:
            return f"handler {escape(key)} was started {attempts} times and never finished"
    return None


def _dispatch(scheduler: Scheduler, bus: EventBus, event: AnyEvent, plan: Resumption) -> None:
    context = copy_context()
    context.run(enter, None)  # it is nobody's child, wherever it is recovered
    context.run(scheduler.accept, event, bus, plan)


def _adopt(events: Iterable[AnyEvent]) -> None:
    """Make parents wait for their children again."""
    by_id = {event.event_id: event for event in events}
    for event in by_id.values():
        parent = by_id.get(event.event_parent_id or "")
        if parent is not None:
            accepted_state(parent).adopt(accepted_state(event))
