"""The lines of completed events in an event loop: collected in a turn, written at its end, synced in a thread."""

from __future__ import annotations

import asyncio
import errno
import os
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from bubus.errors import LogLineTooLongError
from bubus.wal._appender import Untrusted
from bubus.wal._done import Losses, acknowledge, logger
from bubus.wal._frame import SEAL_BYTES
from bubus.wal._pulse import Pulse
from bubus.wal._runway import Runway
from bubus.wal._series import Series, Written

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, Handle
    from collections.abc import Callable, Sequence

    from bubus.wal._done import Line
    from bubus.wal._options import Options


@attrs.define
class _Commit:
    """A batch in the other thread, on its way to the disk."""

    lines: list[Line]
    written: Written = attrs.field(factory=lambda: Written(0, OSError(errno.EIO, os.strerror(errno.EIO))))


class LineWriter:
    """
    Writes what was appended in one turn of the loop with one call.

    Unless `fsync` is ``"always"``, that happens in the loop, which costs microseconds. What can take longer, which is
    every sync, and so every new file, happens in a thread; lines that come meanwhile wait for the next write.
    """

    failure: OSError | None = None
    """Why nothing can be written any more until the log is opened anew."""

    def __init__(
        self,
        series: Series,
        options: Options,
        losses: Losses,
        on_safe: Callable[[AbstractEventLoop | None, Sequence[str]], None] | None = None,
    ) -> None:
        self.series: Final = series
        self._on_safe: Final = on_safe  # told of the ids of lines: what is not synced may be lost at a power cut
        self._unsafe: list[str] = []
        self._losses: Final = losses
        self._fsync: Final = options.fsync
        self._rotates: Final = options.rotate_bytes is not None or options.rotate_seconds is not None
        self.longest: Final = options.max_line_bytes - SEAL_BYTES
        self._loop: AbstractEventLoop | None = None
        self.turn: Handle | None = None
        """The turn of the loop that has been asked for."""

        self._pending: list[Line] = []
        self._commit: _Commit | None = None
        self._drained: list[Future[None]] = []
        self._runway: Final = Runway()
        self._pulse: Final = Pulse()

    def ask_for_turn(self, loop: AbstractEventLoop) -> None:
        """Write at the end of this turn of the loop."""
        # a context of its own, or the turn would hold on to the one of some handler
        self.turn = loop.call_soon(self.flush, context=Context())

    def append(self, line: Line) -> None:
        """Add a line of at most `longest` bytes; it is told later what became of it, never from here."""
        self._pending.append(line)

    def refuse(self, loop: AbstractEventLoop, line: Line) -> None:
        """Report a line that is too long as lost, in the next turn of the loop."""
        _ = loop.call_soon(self._losses.report, [line], partial(self.too_long, len(line.body)))

    def too_long(self, size: int) -> LogLineTooLongError:
        """Return the error for a line that no reader would accept."""
        return LogLineTooLongError(
            errno.EMSGSIZE,
            f"a line of {size} bytes does not fit into max_line_bytes={self.longest + SEAL_BYTES}; keep large "
            + "values elsewhere and log where they are",
            str(self.series.path),
        )

    def flush(self) -> None:
        """Write what was appended now, instead of at the end of the loop's turn."""
        self.turn = None
        if not self._pending or self._commit is not None:
            return  # a batch that is under way takes the next one along when it lands
        if self.failure is not None:
            self._refuse(self.failure)
        elif self._fsync == "always" or self._is_due():
            self._take_off()
        else:
            lines = self._take()
            self._settle(lines, self.series.write([line.body for line in lines]))
            self._begin_pulse()

    async def drain(self) -> None:
        """Return when all that was appended is written or lost."""
        self.flush()
        if self._pending or self._commit is not None:
            await self._landing()

    async def secure(self) -> None:
        """Return when all that was appended is as safe as `fsync` promises, or known not to be."""
        await self.drain()
        while self._fsync != "no" and self.series.is_unsafe and self.failure is None and self._loop is not None:
            if not self._runway.is_busy:
                self._launch_sync(self._loop)
            await self._landing()

    async def _landing(self) -> None:
        drained: Future[None] = asyncio.get_running_loop().create_future()
        self._drained.append(drained)
        await drained

    def move(self, loop: AbstractEventLoop) -> None:
        """Go on in another loop, which may be after the end of the last; what was left there is still written."""
        self._loop = loop
        self.turn = loop.call_soon(self.flush)
        self._pulse.stop()
        self._runway.leave(loop)
        self._begin_pulse()

    def finish(self) -> None:
        """Write what was appended, as safely as `fsync` promises; it may block on the disk."""
        self.flush()
        while self._runway.is_busy:
            self._runway.wait()  # what lands may start the next one
        if self._fsync != "no" and self.series.is_unsafe and self.failure is None:
            self._sync()
        self._tell_safe(self._take_unsafe())

    def close(self) -> None:
        """Give the descriptor and the thread back."""
        self._pulse.stop()
        self._runway.close()
        self.series.close()

    def abandon(self) -> None:
        """Close the descriptor, and leave all else to the parent of a forked child."""
        self._pending.clear()
        self._unsafe.clear()
        self._runway.abandon()
        self.series.close()

    def _take(self) -> list[Line]:
        lines, self._pending = self._pending, []
        return lines

    def _is_due(self) -> bool:
        # asked before anything is written, because a new file means a sync of the old one
        return self._rotates and self.series.is_due(sum(len(line.body) + SEAL_BYTES for line in self._pending))

    def _take_off(self) -> None:
        if self._loop is not None and not self._runway.is_busy:  # else a sync is under way and flushes when it lands
            commit = self._commit = _Commit(self._take())
            self._runway.launch(self._loop, partial(self._write_and_sync, commit), partial(self._landed, commit))

    def _write_and_sync(self, commit: _Commit) -> None:
        """Run in the other thread."""
        written = self.series.write([line.body for line in commit.lines])
        if self._fsync == "always" and written.count:
            try:
                self.series.sync()
            except Untrusted as error:
                written = Written(0, error)
        commit.written = written  # not before the sync: whatever else it may raise, nothing counts as written

    def _landed(self, commit: _Commit) -> None:
        self._commit = None
        self._settle(commit.lines, commit.written)
        self._begin_pulse()
        self.flush()

    def _begin_pulse(self) -> None:
        if self._fsync == "everysec" and self._loop is not None and self.series.is_unsafe:
            self._pulse.touch(self._loop, self._beat)

    def _beat(self) -> None:
        if self._runway.is_busy:
            self._begin_pulse()
        elif self._loop is not None and self.failure is None:
            self._launch_sync(self._loop)

    def _launch_sync(self, loop: AbstractEventLoop) -> None:
        self._runway.launch(loop, self._sync, partial(self._synced, self._take_unsafe()))

    def _sync(self) -> None:
        """Run in the other thread, or when that has nothing to do."""
        try:
            self.series.sync()
        except Untrusted as error:
            self.failure = error.cause

    def _synced(self, event_ids: list[str]) -> None:
        self._tell_safe(event_ids)
        if self.failure is not None and not self._losses.is_handled(self._losses.untrusted(self.failure), ()):
            logger.error("the log could not be forced to the disk and takes nothing until reopen(): %s", self.failure)
        self._begin_pulse()
        self.flush()
        self._wake()

    def _settle(self, lines: Sequence[Line], written: Written) -> None:
        self._acknowledge(lines if written.error is None else lines[: written.count])
        if written.error is not None:
            cause = self._cause(written.error)
            self._losses.report(lines[written.count :], self._losses.unwritten(cause))
        if self._drained:
            self._wake()

    def _acknowledge(self, lines: Sequence[Line]) -> None:
        if self._on_safe is not None:
            self._unsafe += [line.event_id for line in lines]
            if self._fsync != "everysec":
                self._tell_safe(self._take_unsafe())
        acknowledge(lines)

    def _take_unsafe(self) -> list[str]:
        event_ids, self._unsafe = self._unsafe, []
        return event_ids

    def _tell_safe(self, event_ids: list[str]) -> None:
        if event_ids and self._on_safe is not None and self.failure is None:
            self._on_safe(self._loop, event_ids)

    def _cause(self, error: OSError | Untrusted) -> OSError:
        if isinstance(error, Untrusted):
            self.failure = error.cause
            return error.cause
        return error

    def _refuse(self, failure: OSError) -> None:
        self._losses.report(self._take(), partial(self._losses.untrusted, failure))
        self._wake()

    def _wake(self) -> None:
        if self._drained and not self._pending and self._commit is None:
            drained, self._drained = self._drained, []
            for waiter in drained:
                if not waiter.done():
                    waiter.set_result(None)
