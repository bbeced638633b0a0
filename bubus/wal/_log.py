"""WriteAheadLog: its options, files and lock, and what a bus asks of it."""

from __future__ import annotations

import asyncio
import errno
import os
import weakref
from asyncio import get_running_loop
from contextlib import ExitStack
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from typing_extensions import override

from bubus._narrow import attribute
from bubus._tree import escape
from bubus.errors import LogClosedError, LogError, LogInUseError, LogOpenError, LogWriteError
from bubus.wal._appender import Appender, Untrusted
from bubus.wal._done import Done, Line, Losses, PlainLine
from bubus.wal._file import Clock, Disk
from bubus.wal._forks import watch
from bubus.wal._frame import clean
from bubus.wal._graveyard import Graveyard
from bubus.wal._journal import Journal, Unfinished
from bubus.wal._journal_writer import JournalWriter
from bubus.wal._line_writer import LineWriter
from bubus.wal._lock import LogLock
from bubus.wal._logged import logged
from bubus.wal._options import MAX_LINE_BYTES, Fsync, OnError, Options
from bubus.wal._series import Series

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Collection, Container
    from pathlib import Path

_Parts: TypeAlias = (
    "tuple[weakref.finalize[..., WriteAheadLog], int, LogLock, JournalWriter | None, LineWriter, Graveyard]"
)
"""What is made anew when a log is opened: see its attributes of these types."""


class WriteAheadLog:
    """
    A file with one line for each completed event, which survives crashes as well as `fsync` promises.

    Not promised: that handlers run exactly once (after a crash one runs again if it had not finished), what a disk
    keeps that lies about a sync, and anything on NFS or SMB, whose locks and appends are no match for a local disk's.

    ```python
    bus = EventBus(wal_path=WriteAheadLog("events.jsonl", fsync="always", rotate_bytes=100_000_000, keep=10))
    ```

    Args:
        path: The file; it appears with its first line. Missing directories are made.

        fsync:
            ``"no"`` hands each line to the operating system, so that it survives the end of the process; ``"everysec"``
            also forces it to the disk within a second; ``"always"`` does so before the event counts as complete.

        ahead: Keep a journal beside the log, from which `EventBus.recover` goes on after a crash.
        rotate_bytes: Begin a new file before this one would be larger.
        rotate_seconds: Begin a new file when this one's first line is older.
        keep: Full files to keep; older ones are deleted. None keeps all.
        max_line_bytes: Longest line to write.

        on_error:
            ``"raise"`` gives a `LogWriteError` to whoever awaits the event, ``"stop"`` also stops the bus, a callable
            gets the error (with the lost `lines`) and the events count as complete.

    Raises:
        LogLockedError: If another process, or another log of this one, has the file open.
        LogOpenError: If the file cannot be written.
        LogDamagedError: If its last line is not what was written. (A line torn by a crash is cut off and kept in
            ``<path>.broken``.)
        OptionError: If an option is out of range.
        OptionTypeError: If an option has the wrong type.

    """

    _disk: ClassVar[Disk] = Disk()
    _clock: ClassVar[Clock] = Clock()
    _has_just_failed: bool = False
    """Whether `secure` was what failed, so that it is for `close` to say so."""

    _finalizer: weakref.finalize[[], WriteAheadLog]
    _owner: int
    """Id of the process that opened it."""

    _lock: LogLock
    _journal: JournalWriter | None
    _lines: LineWriter
    _graveyard: Graveyard

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fsync: Fsync = "no",
        ahead: bool = False,
        rotate_bytes: int | None = None,
        rotate_seconds: float | None = None,
        keep: int | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
        on_error: OnError = "raise",
    ) -> None:
        self._options: Final = Options(
            path=path,
            fsync=fsync,
            ahead=ahead,
            rotate_bytes=rotate_bytes,
            rotate_seconds=rotate_seconds,
            keep=keep,
            max_line_bytes=max_line_bytes,
            on_error=on_error,
        )
        self._losses: Final = Losses(self._options.path, on_error)
        self._loop: AbstractEventLoop | None = None
        self._closed: str | None = None
        self._buses: set[str] = set()
        self._finalizer, self._owner, self._lock, self._journal, self._lines, self._graveyard = self._opened()
        watch(self)

    @override
    def __repr__(self) -> str:
        """Name the file, what an acknowledgement means, and whether anything can be written."""
        state = "closed" if self._closed else "failed" if self.failure else f"line {self._lines.series.seq}"
        return f"<WriteAheadLog {escape(repr(str(self.path)))} {self.durability} {state}>"

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def durability(self) -> str:
        """What an acknowledgement means, in the constructor's words, such as ``"fsync=always ahead"``."""
        return f"fsync={self.fsync}{' ahead' * self.ahead}"

    @property
    def path(self) -> Path:
        """The file's absolute path."""
        return self._options.path

    @property
    def fsync(self) -> Fsync:
        """When lines are forced to the disk."""
        return self._options.fsync

    @property
    def ahead(self) -> bool:
        """Whether accepted events are journaled before their handlers start."""
        return self._options.ahead

    @property
    def on_error(self) -> OnError:
        """What is done about lines that cannot be written."""
        return self._options.on_error

    @property
    def longest(self) -> int:
        """Bytes that an event, or what a handler came to, may have."""
        return self._lines.longest

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, or belongs to the parent process."""
        return self._closed is not None

    @property
    def lost_lines(self) -> int:
        """Lines that could not be written since the log was made."""
        return self._losses.count

    @property
    def failure(self) -> LogWriteError | None:
        """A new error that says why nothing can be written until `reopen`; None when something can."""
        if self._closed is not None:
            return LogClosedError(errno.EBADF, self._closed, str(self.path))
        cause = self._lines.failure or (self._journal.failure if self._journal else None)
        return None if cause is None else self._losses.untrusted(cause)

    # -- who uses it -------------------------------------------------------------------------------------------------

    def attach(self, bus_id: str) -> None:
        """
        Count the bus among those that write here.

        Raises:
            LogClosedError: If the log is closed.
            LogInUseError: If it keeps a journal, and another bus writes here.

        """
        if self._closed is not None:
            raise LogClosedError(errno.EBADF, self._closed, str(self.path))
        if self.ahead and self._buses:
            raise LogInUseError("a log with ahead=True is for one bus; give each its own, or leave ahead out")
        self._buses.add(bus_id)

    def detach(self, bus_id: str) -> None:
        """
        Count the bus no more, and `close` after the last.

        Raises:
            LogWriteError: If the last lines could not be forced to the disk.

        """
        self._buses.discard(bus_id)
        if not self._buses:
            self.close()

    def check(self, size: int) -> None:
        """
        Find out before an event of so many bytes is accepted whether its line would be.

        Raises:
            LogClosedError: If the log is closed.
            LogWriteError: If it takes nothing until `reopen`; a callable `on_error` gets that with each lost line.
            LogLineTooLongError: If the line would be too long; only what the handlers come to can still make it so.
            LogInUseError: If another event loop writes here.

        """
        lines = self._lines
        if (
            self._closed is None
            and get_running_loop() is self._loop
            and lines.failure is None
            and size <= lines.longest
        ):
            return
        _ = self._current_loop()
        failure = self.failure
        if failure is not None and (self._closed is not None or not callable(self.on_error)):
            raise failure
        if size > self._lines.longest:
            raise self._lines.too_long(size)

    # -- completed events --------------------------------------------------------------------------------------------

    def append(self, event_id: str, head: bytes, payload: bytes, tail: bytes, done: Done) -> None:
        """
        Add the line of a completed event, with all others of this turn of the loop or with `flush`.

        The parts make one JSON object without its closing brace. *done* is called later, in the loop, never from here.

        Raises:
            LogClosedError: If the log is closed.

        """
        if self._closed is None:
            _ = self._current_loop()
        self.add(PlainLine(event_id, clean(head + payload + tail), done))

    def add(self, line: Line) -> None:
        """
        Do what `append` does for a line that is whole, and whose event `check` has let through.

        Raises:
            LogClosedError: If the log is closed.

        """
        if self._closed is not None:
            closed = LogClosedError(errno.EBADF, self._closed, str(self.path))
            closed.lines = (line.body,)
            raise closed
        lines = self._lines
        if len(line.body) > lines.longest:
            lines.refuse(self._current_loop(), line)
            return
        if lines.turn is None:
            lines.ask_for_turn(self._current_loop())
        lines.append(line)

    def flush(self) -> None:
        """Write what was appended now, instead of at the end of the loop's turn."""
        self._lines.flush()

    async def drain(self) -> None:
        """Return when all that was appended is written, as safely as `fsync` promises, or reported as lost."""
        await self._lines.drain()

    def sync(self) -> None:
        """Write what was appended and force it to the disk now; it may block."""
        self._finish()

    # -- accepted events ---------------------------------------------------------------------------------------------

    def accept(self, event_id: str, head: bytes, payload: bytes, ready: Done) -> None:
        """
        Journal an event before it is queued, and call *ready* as soon as its handlers may start.

        The parts make one JSON object without its closing brace. Unless `fsync` is ``"always"``, *ready* is called from
        here. An `on_error` that is a callable gets the errors, and the event is run without being journaled.

        Raises:
            LogWriteError: If it cannot be journaled; it must not be run.

        """
        event = clean(head + payload) + b"}"
        error = self.failure or self._accept(event_id, event, ready)
        if error is not None:
            if not self._losses.is_handled(error, [event]):
                raise error
            _ = ready(None)

    def attempt(self, event_id: str, handler: str) -> int:
        """Journal that a handler is about to run, and return how often it was started; 1 without a journal."""
        return self._journal.attempt(self._current_loop(), event_id, handler) if self._journal else 1

    def outcome(self, event_id: str, handler: str, result: bytes) -> None:
        """Journal what a handler came to, one JSON object."""
        if self._journal:
            self._journal.outcome(self._current_loop(), event_id, handler, clean(result))

    @property
    def journaled(self) -> Container[str]:
        """Ids of the events that are in the journal and not done."""
        return () if self._journal is None else self._journal.journal.live

    @property
    def waiting(self) -> int:
        """How many events wait for a recovery."""
        return 0 if self._journal is None else len(self._journal.journal.left)

    def leave(self, event_id: str) -> bool:
        """Leave an event of this process for `unfinished` to return, and tell whether the journal has it."""
        if event_id not in self.journaled or self._journal is None:
            return False
        self._journal.journal.left[event_id] = None
        return True

    def left(self, event_id: str) -> Unfinished | None:
        """Return what is known of an event that nobody works on, or None if there is no such."""
        journal = None if self._journal is None else self._journal.journal
        return journal.live.get(event_id) if journal is not None and event_id in journal.left else None

    async def logged(self, event_ids: Collection[str], after: int = 0) -> set[str]:
        """Return those of *event_ids* that have a line whose number is greater than *after*."""
        return await asyncio.to_thread(logged, self.path, event_ids, after, self._options.max_line_bytes)

    def resume(self, event_id: str) -> None:
        """Take notice that an event which `unfinished` has returned is run again."""
        if self._journal is not None:
            self._journal.journal.left.pop(event_id, None)

    async def unfinished(self) -> list[Unfinished]:
        """Return what a process before this one, or `leave`, has left and has no line in the log, in accepted order."""
        if self._journal is None:
            return []
        live, loop = self._journal.journal.live, self._current_loop()
        left = {event_id: live[event_id] for event_id in self._journal.journal.left if event_id in live}
        after = min((event.after for event in left.values()), default=0)
        for event_id in await self.logged(left, after):
            self._journal.done(loop, event_id)
        return [event for event_id, event in live.items() if event_id in left]

    async def bury(self, event: Unfinished, reason: str) -> None:
        """
        Write an event that is not to be tried again to ``<path>.dead``, with *reason*, and forget it.

        Raises:
            LogWriteError: If it cannot be written.

        """
        try:
            await asyncio.to_thread(self._graveyard.bury, event, reason)
        except OSError as error:
            failed = self._losses.unwritten(error)
            raise failed() from error
        if self._journal:
            self._journal.done(self._current_loop(), event.event_id)

    # -- end and new beginning ---------------------------------------------------------------------------------------

    async def secure(self, bus_id: str) -> None:
        """
        Return when all that was appended is as safe as `fsync` promises; what failed is raised by `close`.

        That is left to others as long as other buses than *bus_id*, or another event loop, write here.

        """
        if self._closed is None and self._buses <= {bus_id} and not self._is_elsewhere(get_running_loop()):
            loop, before = self._current_loop(), self._lines.failure
            await self._lines.secure()
            if self._journal is not None:
                await self._journal.secure(loop)
            self._has_just_failed = before is None and self._lines.failure is not None

    def close(self) -> None:
        """
        Write what was appended, as safely as `fsync` promises, and free the lock; it may block on the disk.

        Raises:
            LogWriteError: If the last lines could not be forced to the disk.

        """
        if self._closed is not None:
            return
        before = None if self._has_just_failed else self._lines.failure
        self._finish()
        self._closed = "the log is closed; reopen() opens it again"
        self._release()
        if before is None and self._lines.failure is not None:
            failed = self._losses.unwritten(self._lines.failure)
            raise failed()

    def reopen(self) -> None:
        """
        Open a closed log again, or begin a new file after an error that made this one untrustworthy.

        Raises:
            LogClosedError: In a forked child; open a log of its own there.
            LogOpenError: If the file cannot be written.
            LogDamagedError: If its last line is not what was written.

        """
        if self._owner != os.getpid():
            raise LogClosedError(errno.EBADF, str(self._closed), str(self.path))
        if self.failure is None:
            return
        failed, journal = None, None
        if self._closed is None:
            failed, journal = self._lines.series.file, self._journal
            self._finish()
            self._release()
            self._closed = "the log could not be opened again; reopen() tries once more"
        opened = self._opened(failed, journal)
        self._finalizer, self._owner, self._lock, self._journal, self._lines, self._graveyard = opened

    def after_fork(self) -> None:
        """Leave everything to the parent process."""
        self._closed = "this log belongs to the parent process; open one of its own here"
        _ = self._finalizer.detach()
        self._lines.abandon()
        if self._journal is not None:
            self._journal.abandon()
        self._lock.abandon()

    def _opened(self, failed: Appender | None = None, journal: JournalWriter | None = None) -> _Parts:
        try:
            return self._open_all(failed, journal)
        except LogError:
            raise
        except OSError as error:
            raise self._unopened(error) from error
        except Untrusted as error:
            raise self._unopened(error.cause) from error

    def _open_all(self, failed: Appender | None, journal: JournalWriter | None) -> _Parts:
        disk, options = self._disk, self._options
        with ExitStack() as stack:
            disk.make_directory(self.path.parent)
            lock = LogLock(disk, self.path)
            _ = stack.callback(lock.release)
            series = Series(disk, self._clock, lock, options)
            _ = stack.callback(series.close)
            series.open()
            if failed is not None:
                series.put_aside(failed, cut=self.fsync == "always")
            if journal is not None:
                _ = stack.callback(journal.journal.close)
                journal.reopen()
            elif self.ahead:
                journal = self._new_journal(stack)
            # without `close` too, a log that is no longer used gives back its files and the lock
            finalizer: weakref.finalize[[], WriteAheadLog] = weakref.finalize(self, stack.pop_all().close)
        lines = LineWriter(series, options, self._losses, None if journal is None else journal.logged)
        graveyard = Graveyard(disk, self._clock, lock, options)
        self._closed, self._loop, self._has_just_failed = None, None, False
        return finalizer, os.getpid(), lock, journal, lines, graveyard

    def _new_journal(self, stack: ExitStack) -> JournalWriter:
        journal = Journal(self._disk, self.path, self._options.max_line_bytes)
        _ = stack.callback(journal.close)
        journal.open()
        return JournalWriter(journal, self._losses, self.fsync)

    def _unopened(self, error: OSError) -> LogOpenError:
        text = f"the log cannot be opened ({error.strerror or error}); check the path and who may write there"
        name: object = attribute(error, "filename") or self.path
        return LogOpenError(error.errno or errno.EIO, text, str(name))

    def _finish(self) -> None:
        self._lines.finish()
        if self._journal is not None:
            self._journal.finish()

    def _release(self) -> None:
        self._lines.close()
        if self._journal is not None:
            self._journal.close()
        _ = self._finalizer()

    def _current_loop(self) -> AbstractEventLoop:
        loop = get_running_loop()
        if loop is not self._loop:
            if self._is_elsewhere(loop):
                raise LogInUseError("another event loop writes to this log now; give the buses of each loop their own")
            self._loop = loop
            self._lines.move(loop)
            if self._journal is not None:
                self._journal.move(loop)
        return loop

    def _is_elsewhere(self, loop: AbstractEventLoop) -> bool:
        return self._loop is not None and self._loop is not loop and self._loop.is_running()

    def _accept(self, event_id: str, event: bytes, ready: Done) -> LogWriteError | None:
        loop, journal = self._current_loop(), self._journal
        if journal is None:
            raise LogClosedError(errno.EINVAL, "this log keeps no journal; open it with ahead=True", str(self.path))
        if len(event) > self._lines.longest:
            return self._lines.too_long(len(event))
        try:
            journal.accept(loop, event_id, event, self._lines.series.seq, ready)
        except OSError as error:
            return self._losses.unwritten(error)()
        except Untrusted as error:
            return self._losses.untrusted(error.cause)
        return None
