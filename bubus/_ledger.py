"""What a bus writes to its log: one line for each event it accepted, when that is complete, and whom to tell."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import TYPE_CHECKING, Protocol

import attrs
from typing_extensions import override

from bubus._codec import encode
from bubus._context import Runner
from bubus._resumption import Resumption, handler_key
from bubus._tasks import spawn
from bubus.errors import BusStopped, LogError, LogWriteError
from bubus.wal._entry import Scribe, journaled, with_path, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bubus._call import Call
    from bubus._event import AnyEvent
    from bubus._plan import Plan
    from bubus._state import Share
    from bubus.wal import Unfinished, WriteAheadLog


logger = logging.getLogger("bubus")


class Host(Runner, Protocol):
    """What a ledger knows of the scheduler of its bus."""

    plans: dict[Share, Plan]


class Ledger:
    """The bus' side of a log."""

    def __init__(self, log: WriteAheadLog, bus_id: str) -> None:
        # Defaults in the class would do, but an attribute that hides one takes three times as long to set.
        self.pending: int = 0
        """Lines on their way."""

        self.owed: int = 0
        """Accepted events that have no line yet, those on their way included."""

        self.paused: bool = False
        """Whether the queue is to wait, because what is recovered comes first."""

        self.log: WriteAheadLog = log
        self._ahead: bool = log.ahead
        self.scribe: Scribe = Scribe()
        self.held: dict[Share, JournaledDebt] = {}
        """What is not in the journal yet."""

        self.forgotten: int = log.waiting
        """Events of an earlier process that wait for a recovery nobody has asked for, or was told of."""

        self.recovery: asyncio.Lock = asyncio.Lock()
        """Held while something is recovered."""

        self.settled: set[str] = set()
        """Ids of events that a recovery has found in the log, or has dispatched here: a recovered one is no forward."""

        self._bus_id: str = bus_id
        self.ends: bool = False
        """Whether the last line that is owed ends the use of the log."""

        self._ending: asyncio.Task[None] | None = None
        log.attach(bus_id)

    def admit(self, event: AnyEvent, call: Call | None, plan: Plan | None, host: Host) -> Debt | None:
        """
        Write *event* down before it is accepted.

        Args:
            event: The event, whose path has the name of this bus already; that is taken back if this raises.
            call: The one that dispatches it, if it is dispatched for the first time.
            plan: How to run the event, if it is not simply new.
            host: The scheduler of the bus.

        Raises:
            EncodeError: If it cannot be written.
            LogError: If the log takes nothing, or never such a long line.
        """
        if plan is not None and not plan.is_logged:
            return None
        parent_id = None if call is None else call.event.event_id
        try:
            if self._ahead:
                return self._admit_ahead(event, parent_id, plan, host)
            data = encode(event) if parent_id is None else written(event, parent_id)
            self.log.check(len(data))
        except BaseException as error:
            _ = event.event_path.pop()
            if isinstance(error, LogWriteError) and self.log.on_error == "stop":
                host.halt()
            raise
        return Debt(self, data, len(event.event_path))

    def _admit_ahead(self, event: AnyEvent, parent_id: str | None, plan: Plan | None, host: Host) -> Debt:
        name = event.event_path.pop()  # it is added again when the event is recovered
        try:
            data = written(event, parent_id)
        finally:
            event.event_path.append(name)
        self.log.check(len(data))
        if self.forgotten and plan is None:
            self._tell_of_forgotten()
        left = self.log.left(event.event_id) if plan is None else None
        if left is not None:
            self.take_on(left)
        resumed = None if left is None else Resumption(left)
        is_ready = plan is not None or resumed is not None
        debt = JournaledDebt(self, data, len(event.event_path) - 1, is_ready=is_ready, host=host, plan=resumed)
        if not debt.is_ready:
            self.log.accept(event.event_id, data[:-1], b"", debt.accepted)
        return debt

    def _tell_of_forgotten(self) -> None:
        logger.warning(
            "%s: %d events that an earlier process has not finished are in the journal: `await bus.recover()`",
            self.log,
            self.forgotten,
        )
        self.forgotten = 0

    def take_on(self, unfinished: Unfinished) -> None:
        """Take notice that an event is finished here, so that no other recovery begins with it."""
        self.settled.add(unfinished.event_id)
        self.log.resume(unfinished.event_id)

    async def settle(self, event_ids: set[str]) -> None:
        """Find out which events are in the log already, so that they need not run here again."""
        self.settled |= await self.log.logged(event_ids)

    def holds(self, share: Share) -> bool:
        """Tell whether the next event, *share*, must wait: it is not in the journal yet, or others come first."""
        return self.paused or share in self.held

    def before_call(self, call: Call) -> None:
        """Journal that a handler is about to run, and later what it came to."""
        if call.share.event.event_id in self.log.journaled:
            _ = self.log.attempt(call.event.event_id, handler_key(call.handler_id))
            call.after = self._after_call

    def _after_call(self, call: Call) -> None:
        if not was_stopped(call.cut or call.error):
            self.log.outcome(call.event.event_id, handler_key(call.handler_id), journaled(call, self.log.longest))

    async def drain(self) -> None:
        """Return when the lines so far are written or lost."""
        await self.log.drain()
        if self.pending:
            await asyncio.sleep(0)

    def finish(self) -> None:
        """Write all lines now, because their event loop has ended; it may block on the disk."""
        if self.pending or self.held:
            self.log.sync()

    async def secure(self) -> None:
        """Have done by another thread what `close` would block for."""
        await self.log.secure(self._bus_id)

    def close(self, *, inside: bool = False) -> None:
        """
        End the bus' use of the log, and close that unless other buses use it; it may block on the disk.

        Args:
            inside: Whether a handler of the bus does this. Then it happens when the lines that are owed are written:
                that of the event it handles is one.

        Raises:
            LogWriteError: If the last lines could not be forced to the disk.
        """
        if inside and self.owed:
            self.ends = True
        else:
            self.ends = False
            self.log.detach(self._bus_id)

    def end_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the bus' use of the log now that the last line is paid, which `close` has left to that."""
        if not loop.is_closed():
            self._ending = spawn(self._end(), loop=loop, context=Context(), eager_start=False)

    async def _end(self) -> None:
        try:
            await self.secure()
        finally:
            try:
                self.close()
            except LogWriteError as error:
                logger.error("the last lines of a log could not be forced to the disk: %s", error)  # noqa: TRY400 - it has no frames of interest


@attrs.define(eq=False, repr=False)
class Debt:
    """
    The line that a bus owes to an event as soon as it has accepted that.

    An event whose work is done is complete only when its lines are where `fsync` promises them to be. Until then they
    are open work like any other, while the buses go on. An event knows its first debt, and that the next, until they
    are paid: an event that is kept must not keep its buses.
    """

    ledger: Ledger
    body: bytes
    """The event as it was dispatched, and the line of what became of it as soon as that is known."""

    _path_length: int
    """How many names the event's path has in `body`."""

    share: Share = attrs.field(init=False)

    is_due: bool = False
    """Whether the event was accepted and the line is not on its way."""

    next: Debt | None = None

    @property
    def event_id(self) -> str:
        """The event's id."""
        return self.share.event.event_id

    def incur(self, share: Share) -> None:
        """Take notice that the event was accepted."""
        self.share = share
        first = share.state.debt
        if first is None:
            share.state.debt = self
        elif any(other.is_due and other.ledger.log is self.ledger.log for other in first):
            return  # buses that share a log write an event once
        else:
            self.next, first.next = first.next, self
        self.is_due = True
        self.ledger.owed += 1

    def __iter__(self) -> Iterator[Debt]:
        """Yield this and the following."""
        debt: Debt | None = self
        while debt is not None:
            yield debt
            debt = debt.next

    def pay(self) -> None:
        """Write what is due, here and in the following, now that the work is done."""
        if self.next is None:
            if self.is_due:
                self.write()
            return
        for debt in self:
            if debt.is_due:
                debt.write()

    def write(self) -> None:
        """Hand the line over to the log."""
        self.is_due = False
        ledger, share = self.ledger, self.share
        state, path = share.state, share.event.event_path
        if len(path) != self._path_length:
            self.body = with_path(self.body, path)
        self.body = ledger.scribe.line(self.body, state)
        ledger.pending += 1
        state.open_work += 1
        try:
            ledger.log.add(self)
        except LogError as error:
            ledger.pending -= 1
            state.open_work -= 1
            self.fail(error.with_traceback(None))  # our frames refer to the bus
            self.forget()

    def written(self, error: LogWriteError | None, /) -> None:
        """Let the event complete, with the line or without."""
        state = self.share.state
        self.ledger.pending -= 1
        if error is not None:
            self.fail(error)
        self.forget()
        state.release()

    def forget(self) -> None:
        """Let the event go: nothing is left to be done here."""
        state, ledger = self.share.state, self.ledger
        ledger.owed -= 1
        if ledger.ends and not ledger.owed:
            ledger.end_in(state.loop)
        if state.debt is self:
            state.debt = self.next
            return
        for debt in state.debt or ():
            if debt.next is self:
                debt.next = self.next

    def fail(self, error: LogError) -> None:
        """Remember why the line is not where it should be."""
        self.share.state.lost = self.share.state.lost or error
        if self.ledger.log.on_error == "stop":
            self.share.runner.halt()

    def flush(self) -> None:
        """Have what is on its way written now, because somebody waits for it."""
        for debt in self:
            debt.ledger.log.flush()


@attrs.define(eq=False, repr=False)
class JournaledDebt(Debt):
    """The same of an event that is journaled before its handlers start."""

    is_ready: bool = attrs.field(kw_only=True)
    """Whether handlers may start: the event is in the journal."""

    host: Host = attrs.field(kw_only=True)
    """The scheduler of the bus."""

    plan: Plan | None = attrs.field(kw_only=True)
    """How to run the event, if it was found in the journal."""

    is_incurred: bool = False
    """Whether the event was accepted."""

    then: Callable[[], None] | None = None
    """What waits for that."""

    @override
    def incur(self, share: Share) -> None:
        """Take notice that the event was accepted."""
        if not self.is_ready:
            self.ledger.held[share] = self
        if self.plan is not None:
            self.host.plans[share] = self.plan
        self.is_incurred = True
        super().incur(share)

    @override
    def write(self) -> None:
        """Hand the line over to the log, unless it is no matter for that: the next process finds it in the journal."""
        if _is_unfinished(self.share) and self.ledger.log.leave(self.event_id):
            self.is_due: bool = False
            self.forget()
        else:
            super().write()

    def accepted(self, error: LogWriteError | None) -> None:
        """Let the event's handlers run, or cut it off if it could not be journaled."""
        self.is_ready = True
        if not self.is_incurred:
            return  # that was quick: dispatch has yet to go on
        share = self.share
        del self.ledger.held[share]
        if error is not None and self.is_due:
            self.fail(error)
            _ = share.runner.cut(share, error)
        if self.then is not None:
            self.then()
        share.runner.wake()


def was_stopped(error: BaseException | None) -> bool:
    """Tell whether *error* comes from a bus that was stopped, or whose event loop ended."""
    while error is not None and not isinstance(error, BusStopped):
        error = error.__cause__
    return error is not None


def _is_unfinished(share: Share) -> bool:
    """Tell whether a stop has kept handlers from finishing: not if all that was left is the one that asked for it."""
    calls = share.calls
    return was_stopped(share.cut) and (not calls or any(was_stopped(call.cut or call.error) for call in calls))
