"""What a bus writes to its log: one line for each event it accepted, when that is complete, and whom to tell."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import attrs

from bubus.errors import BusStopped, LogError
from bubus.wal._entry import Tails, entry_of, outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from bubus._context import Call
    from bubus._event import BaseEvent
    from bubus._handlers import Handler
    from bubus._state import EventState, Share
    from bubus.errors import LogWriteError
    from bubus.wal import WriteAheadLog
    from bubus.wal._entry import Entry


class Ledger:
    """The bus' side of a log."""

    pending: int = 0
    """Lines on their way."""

    paused: bool = False
    """Whether the queue is to wait, because what is recovered comes first."""

    def __init__(self, log: WriteAheadLog, bus_id: str) -> None:
        self.log = log
        self.tails = Tails()
        self.held: dict[Share, Debt] = {}
        """What is not in the journal yet."""

        self.recovery = asyncio.Lock()
        """Held while something is recovered."""

        self._bus_id = bus_id
        log.attach(bus_id)

    def admit(self, event: BaseEvent[Any], parent: BaseEvent[Any] | None, *, journaled: bool) -> Debt:
        """
        Write *event* down before it is accepted.

        Args:
            event: The event.
            parent: The one being handled, if the event is dispatched for the first time.
            journaled: Whether the journal has it already.

        Raises:
            EncodeError: If it cannot be written.
            LogError: If the log takes nothing, or never such a long line.
        """
        entry = entry_of(event, None if parent is None else parent.event_id)
        self.log.check(entry)
        debt = Debt(self, entry)
        if self.log.ahead and not journaled:
            debt.is_ready = False
            self.log.accept(event.event_id, entry.with_path(event.event_path), b"", debt.accepted)
        return debt

    def holds(self, share: Share) -> bool:
        """Tell whether the next event, *share*, must wait: it is not in the journal yet, or others come first."""
        return self.paused or share in self.held

    def before_call(self, call: Call) -> None:
        """Journal that a handler is about to run, and later what it came to."""
        if call.share.event.event_id in self.log.journaled:
            self.log.attempt(call.event.event_id, handler_key(call.handler))
            call.after = self._after_call

    def _after_call(self, call: Call) -> None:
        if not was_stopped(call.cut or call.result.error):
            self.log.outcome(call.event.event_id, handler_key(call.handler), b"{" + outcome(call.result))

    async def drain(self) -> None:
        """Return when the lines so far are written or lost."""
        await self.log.drain()
        if self.pending:
            await asyncio.sleep(0)

    def finish(self) -> None:
        """Write all lines now, because their event loop has ended; it may block on the disk."""
        if self.pending or self.held:
            self.log.sync()

    def close(self) -> None:
        """
        End the bus' use of the log, and close that unless other buses use it; it may block on the disk.

        Raises:
            LogWriteError: If the last lines could not be forced to the disk.
        """
        self.log.detach(self._bus_id)


@attrs.define(eq=False, repr=False)
class Debt:
    """The line that a bus owes to an event as soon as it has accepted that."""

    ledger: Ledger
    _entry: Entry
    share: Share = attrs.field(init=False)

    is_ready: bool = True
    """Whether handlers may start: the event is in the journal, if there is one."""

    then: Callable[[], None] | None = None
    """What waits for that."""

    _is_open: bool = False

    def incur(self, share: Share) -> None:
        """Take notice that the event was accepted."""
        self.share, self._is_open = share, True
        if not self.is_ready:
            self.ledger.held[share] = self
        lines = share.state.lines = share.state.lines or Lines(share.state)
        # buses that share a log write an event once
        if all(debt.ledger.log is not self.ledger.log for debt in lines.due):
            lines.due.append(self)

    def accepted(self, error: LogWriteError | None) -> None:
        """Let the event's handlers run, or cut it off if it could not be journaled."""
        self.is_ready = True
        if not self._is_open:
            return  # that was quick: dispatch has yet to go on
        share = self.share
        del self.ledger.held[share]
        if error is not None and share.state.lines is not None:
            share.state.lines.fail(self, error)
            share.runner.cut(share, error)
        if self.then is not None:
            self.then()
        share.runner.wake()

    def is_kept(self) -> bool:
        """Tell whether the event is no matter for the log yet: it was stopped, and its journal has it."""
        return (
            self.ledger.log.ahead and was_stopped(self.share.cut) and self.ledger.log.leave(self.share.event.event_id)
        )

    def write(self, done: Callable[[LogWriteError | None], object]) -> None:
        """
        Hand the line over; *done* is called later.

        Raises:
            LogError: If the log is closed, or in use elsewhere.
        """
        event, ledger = self.share.event, self.ledger
        body, tail = self._entry.with_path(event.event_path), ledger.tails.tail(self.share.state)
        ledger.log.append(event.event_id, body, b"", tail, done)


@attrs.define(eq=False, repr=False)
class Lines:
    """
    The lines of one event, one for each log.

    An event whose work is done is complete only when they are where `fsync` promises them to be. Until then they are
    open work like any other, while the buses go on.
    """

    state: EventState
    due: list[Debt] = attrs.Factory(list[Debt])
    """Those to be written when the work is done."""

    _on_their_way: list[Debt] = attrs.Factory(list[Debt])
    _fault: LogError | None = None

    @property
    def fault(self) -> LogError | None:
        """A new error for whoever waits, if a line is not where it should be."""
        if self._fault is None:
            return None
        # not shared, so that the traceback of one waiter does not grow with those of others
        fault = copy.copy(self._fault)
        fault.__cause__ = self._fault.__cause__
        return fault

    def write(self) -> None:
        """Write what is due, now that the work is done."""
        due, self.due = self.due, []
        for debt in due:
            if debt.is_kept():
                continue
            debt.ledger.pending += 1
            self.state.open_work += 1
            self._on_their_way.append(debt)
            self._write(debt)

    def _write(self, debt: Debt) -> None:
        def done(error: LogWriteError | None) -> None:
            self._settle(debt, error)
            self.state.release()

        try:
            debt.write(done)
        except LogError as error:
            self.state.open_work -= 1
            self._settle(debt, error)

    def _settle(self, debt: Debt, error: LogError | None) -> None:
        debt.ledger.pending -= 1
        self._on_their_way.remove(debt)
        if error is not None:
            self.fail(debt, error)

    def fail(self, debt: Debt, error: LogError) -> None:
        """Take notice that the event is not where its log should have it."""
        self._fault = self._fault or error
        if debt.ledger.log.on_error == "stop":
            debt.share.runner.halt()

    def flush(self) -> None:
        """Have what is on its way written now, because somebody waits for it."""
        for debt in tuple(self._on_their_way):
            debt.ledger.log.flush()


def handler_key(handler: Handler) -> str:
    """Return ``module.qualname#n``, by which the next process knows a handler too."""
    return handler.id.partition(":")[2]


def was_stopped(error: BaseException | None) -> bool:
    """Tell whether *error* comes from a bus that was stopped, or whose event loop ended."""
    while error is not None and not isinstance(error, BusStopped):
        error = error.__cause__
    return error is not None
