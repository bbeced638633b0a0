"""The journal in an event loop: what is written at once, what at the end of the turn, what is synced and when."""

from __future__ import annotations

import errno
import os
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from bubus.wal._appender import Appender, Untrusted
from bubus.wal._done import Losses, logger, tell
from bubus.wal._pulse import Pulse
from bubus.wal._runway import Runway

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, Handle
    from collections.abc import Sequence

    from bubus.wal._done import Done
    from bubus.wal._journal import Journal
    from bubus.wal._options import Fsync


@attrs.define
class _Sync:
    waiting: list[tuple[str, Done]]
    """Ids of accepted events, and whom to tell."""

    replaced: Appender | None
    """The file that the one to be synced takes the place of."""

    failure: OSError | None = attrs.field(factory=lambda: OSError(errno.EIO, os.strerror(errno.EIO)))
    """What went wrong: something, until the sync has returned."""


class JournalWriter:
    """Writes accepted events and attempts at once, the rest with them or at the end of the loop's turn."""

    failure: OSError | None = None
    """Why nothing can be written any more until the log is opened anew."""

    def __init__(self, journal: Journal, losses: Losses, fsync: Fsync) -> None:
        self.journal: Final = journal
        self._losses: Final = losses
        self._fsync: Final = fsync
        self._waiting: list[tuple[str, Done]] = []
        self._landings: list[Future[None]] = []
        self._turn: Handle | None = None
        self._runway: Final = Runway()
        self._pulse: Final = Pulse()
        self._is_behind: bool = False
        self._is_light: bool = True
        """Whether little is left to be carried over: with "everysec", events wait up to a second to be done."""

    def accept(self, loop: AbstractEventLoop, event_id: str, event: bytes, after: int, ready: Done) -> None:
        """
        Write down that an event is to be run, and call *ready* as soon as its handlers may start.

        Raises:
            OSError: If that is not possible now; *ready* is not called.
            Untrusted: If it is not possible until the log is opened anew; *ready* is not called.

        """
        try:
            self.journal.accept(event_id, event, after)
        except Untrusted as error:
            self.failure = error.cause
            raise
        if self._fsync == "always":
            self._waiting.append((event_id, ready))
            self._at_end_of_turn(loop)
        else:
            self._written(loop)
            _ = ready(None)

    def attempt(self, loop: AbstractEventLoop, event_id: str, handler: str) -> int:
        """
        Write down that a handler is about to run, and return how often it was started.

        When that is not possible now it is written with the next entry; the handler may run.
        """
        number = self.journal.attempt(event_id, handler)
        self._write(loop)
        return number

    def outcome(self, loop: AbstractEventLoop, event_id: str, handler: str, result: bytes) -> None:
        """Note what a handler came to."""
        self.journal.outcome(event_id, handler, result)
        self._at_end_of_turn(loop)

    def done(self, loop: AbstractEventLoop, event_id: str) -> None:
        """Note that an event needs no recovery."""
        self.journal.done(event_id)
        self._at_end_of_turn(loop)

    def move(self, loop: AbstractEventLoop) -> None:
        """Go on in another loop, which may be after the end of the last."""
        self._runway.leave(loop)
        self._turn = None
        self._pulse.stop()

    def reopen(self) -> None:
        """
        Write all that is unfinished to a new file; it may block on the disk.

        Raises:
            OSError: If it cannot be written.
            Untrusted: If it could not be synced.

        """
        self._runway.wait()
        self.journal.rewrite()
        self.failure = None

    def logged(self, loop: AbstractEventLoop | None, event_ids: Sequence[str]) -> None:
        """Note that events have their lines, as safe as `fsync` promises, and so need no recovery."""
        for event_id in event_ids:
            self.journal.done(event_id)
        if loop is None:
            return
        self._at_end_of_turn(loop)
        self._is_light = True
        if self._is_due():
            self._take_off(loop)

    async def secure(self, loop: AbstractEventLoop) -> None:
        """Return when all that was noted is as safe as `fsync` promises, or known not to be."""
        _ = self._try_to_write()
        while self._fsync != "no" and self.journal.is_unsafe and self.failure is None:
            self._take_off(loop)
            landed: Future[None] = loop.create_future()
            self._landings.append(landed)
            await landed

    def finish(self) -> None:
        """Write what was noted, as safely as `fsync` promises; it may block on the disk."""
        while self._runway.is_busy:
            self._runway.wait()
        _ = self._try_to_write()
        if self._fsync != "no" and (self._waiting or self.journal.is_unsafe) and self.failure is None:
            flight = _Sync(self._take_waiting(), None)
            self._sync(flight)
            self._landed(None, flight)
        self._settle(self._take_waiting())

    def close(self) -> None:
        """Give the descriptor and the thread back."""
        self._stop_turn()
        self._pulse.stop()
        self._runway.close()
        self.journal.close()

    def abandon(self) -> None:
        """Close the descriptor, and leave all else to the parent of a forked child."""
        self._stop_turn()
        self._runway.abandon()
        self._waiting.clear()
        self.journal.abandon()

    def _write(self, loop: AbstractEventLoop) -> None:
        if self._try_to_write():
            self._written(loop)

    def _try_to_write(self) -> bool:
        try:
            self.journal.write()
        except OSError as error:
            if not self._is_behind:  # it stays noted for the next write; one warning is enough
                logger.warning("the log's journal cannot be written now: %s", error)
            self._is_behind = True
            return False
        except Untrusted as error:
            self.failure = error.cause
            return False
        self._is_behind = False
        return True

    def _written(self, loop: AbstractEventLoop) -> None:
        if self._fsync == "everysec":
            self._pulse.touch(loop, partial(self._beat, loop))
        elif self._is_due():
            self._take_off(loop)

    def _beat(self, loop: AbstractEventLoop) -> None:
        if self._runway.is_busy:
            self._pulse.touch(loop, partial(self._beat, loop))
        else:
            self._is_light = False
            self._take_off(loop)

    def _at_end_of_turn(self, loop: AbstractEventLoop) -> None:
        if self._turn is None:
            self._turn = loop.call_soon(self._end_turn, loop, context=Context())

    def _stop_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()

    def _end_turn(self, loop: AbstractEventLoop) -> None:
        self._turn = None
        self._write(loop)
        if self._waiting:
            self._take_off(loop)

    def _take_off(self, loop: AbstractEventLoop) -> None:
        if self._runway.is_busy:
            return
        flight = _Sync(self._take_waiting(), self._begin_anew() if self._is_due() else None)
        self._runway.launch(loop, partial(self._sync, flight), partial(self._landed, loop, flight))

    def _begin_anew(self) -> Appender | None:
        try:
            return self.journal.begin_anew()
        except (OSError, Untrusted) as error:
            logger.warning("the log's journal cannot be compacted now and goes on growing: %s", error)
            return None

    def _sync(self, flight: _Sync) -> None:
        try:
            self.journal.sync()
            flight.failure = None
        except Untrusted as error:
            flight.failure = error.cause

    def _landed(self, loop: AbstractEventLoop | None, flight: _Sync) -> None:
        self.failure = flight.failure or self.failure
        if flight.replaced is not None:
            self._replace(flight.replaced)
        self._settle(flight.waiting)
        landings, self._landings = self._landings, []
        for landed in landings:
            if not landed.done() and not landed.get_loop().is_closed():
                landed.set_result(None)
        if loop is not None and (self._waiting or self._is_due()):
            self._take_off(loop)

    def _is_due(self) -> bool:
        """Tell whether it is time to compact the journal."""
        return self.journal.has_grown and self._is_light and self.failure is None

    def _replace(self, old: Appender) -> None:
        if self.failure is not None:
            old.close()
            return
        try:
            self.journal.replace(old)
        except OSError as error:
            self.failure = error

    def _settle(self, waiting: list[tuple[str, Done]]) -> None:
        failure = self.failure
        if failure is not None:
            for event_id, _ in waiting:  # whoever is told of an error must not find the event run after a restart
                _ = self.journal.live.pop(event_id, None)
        tell((ready for _, ready in waiting), None if failure is None else partial(self._losses.untrusted, failure))

    def _take_waiting(self) -> list[tuple[str, Done]]:
        waiting, self._waiting = self._waiting, []
        return waiting
