"""What a bus writes to its log: one line for each event it accepted, when that is complete, and whom to tell."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import attrs

from bubus.errors import LogError
from bubus.wal._entry import Tails, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bubus._event import BaseEvent
    from bubus._state import EventState, Share
    from bubus.errors import LogWriteError
    from bubus.wal import WriteAheadLog
    from bubus.wal._entry import Entry


class Ledger:
    """The bus' side of a log."""

    pending: int = 0
    """Lines on their way."""

    def __init__(self, log: WriteAheadLog, bus_id: str) -> None:
        self.log = log
        self.tails = Tails()
        self._bus_id = bus_id
        log.attach(bus_id)

    def admit(self, event: BaseEvent[Any], parent: BaseEvent[Any] | None) -> Debt:
        """
        Write *event* down before it is accepted.

        Args:
            event: The event.
            parent: The one being handled, if the event is dispatched for the first time.

        Raises:
            EncodeError: If it cannot be written.
            LogError: If the log takes nothing, or never such a long line.
        """
        entry = entry_of(event, None if parent is None else parent.event_id)
        self.log.check(entry)
        return Debt(self, entry)

    async def drain(self) -> None:
        """Return when the lines so far are written or lost."""
        await self.log.drain()
        if self.pending:
            await asyncio.sleep(0)

    def finish(self) -> None:
        """Write all lines now, because their event loop has ended; it may block on the disk."""
        if self.pending:
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

    def incur(self, share: Share) -> None:
        """Take notice that the event was accepted."""
        self.share = share
        lines = share.state.lines = share.state.lines or Lines(share.state)
        # buses that share a log write an event once
        if all(debt.ledger.log is not self.ledger.log for debt in lines.due):
            lines.due.append(self)

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
            self._fault = self._fault or error
            if debt.ledger.log.on_error == "stop":
                debt.share.runner.halt()

    def flush(self) -> None:
        """Have what is on its way written now, because somebody waits for it."""
        for debt in tuple(self._on_their_way):
            debt.ledger.log.flush()
