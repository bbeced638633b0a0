"""The outbox: events that the server does not have yet, in a file that survives this process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from typing import TYPE_CHECKING, Final

import msgspec

from bubus.bridges._base import Message
from bubus.bridges._window import checked_limit
from bubus.errors import BridgeFull, LogClosedError, LogOpenError
from bubus.wal._appender import Untrusted
from bubus.wal._done import Losses
from bubus.wal._file import Clock, Disk
from bubus.wal._forks import watch
from bubus.wal._frame import clean
from bubus.wal._graveyard import Graveyard
from bubus.wal._journal import Journal, Unfinished
from bubus.wal._journal_writer import JournalWriter
from bubus.wal._lock import LogLock
from bubus.wal._options import MAX_LINE_BYTES, Options

if TYPE_CHECKING:
    import os

    from bubus.errors import LogWriteError
    from bubus.wal._options import Fsync


class _Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message as the journal keeps it."""

    head: str = ""
    key: str = ""
    topic: str = ""
    body: msgspec.Raw = msgspec.Raw(b"null")
    packed: bytes = b""
    """The body, if a line of a journal cannot hold it as it is."""


_kept = msgspec.json.Decoder(_Kept)


class Outbox:
    """
    A file, ``<path>.journal``, that holds events until the server has them.

    An event is complete for its bus as soon as the outbox holds it. After a crash the next bridge with this outbox
    sends what is left, under the same ids, when it has started, for which it needs the server. One process can have it
    open at a time.

    Args:
        path: Begins the names of its files; missing directories are made.
        fsync: ``"always"`` waits until the disk has an event, ``"no"`` until the operating system has it: that
            survives the end of the process, not a power cut.
        limit: Events to hold; one more is refused.

    Raises:
        OptionError: If an option is out of range.
        OptionTypeError: If an option has the wrong type.
    """

    def __init__(self, path: str | os.PathLike[str], *, fsync: Fsync = "always", limit: int = 100_000) -> None:
        self._limit: Final = checked_limit(limit)
        self._options: Final = Options(
            path=path,
            fsync=fsync,
            ahead=True,
            rotate_bytes=None,
            rotate_seconds=None,
            keep=None,
            max_line_bytes=2 * MAX_LINE_BYTES,
            on_error="raise",
        )
        self._disk: Final = Disk()
        self._opened: tuple[JournalWriter, LogLock, Graveyard] | None = None
        watch(self)

    def __len__(self) -> int:
        """Return how many events it holds; 0 while it is closed."""
        return 0 if self._opened is None else len(self._opened[0].journal.live)

    def open(self) -> list[Message]:
        """
        Open the file and return what it holds, oldest first.

        Raises:
            LogLockedError: If another process, or another bridge of this one, has it open.
            LogOpenError: If it cannot be opened.
            LogDamagedError: If a line, its torn end apart, is not what was written.
        """
        path = self._options.path
        with contextlib.ExitStack() as stack:
            try:
                self._disk.make_directory(path.parent)
                lock = LogLock(self._disk, path)
                _ = stack.callback(lock.release)
                journal = Journal(self._disk, path, self._options.max_line_bytes)
                _ = stack.callback(journal.close)
                journal.open()
            except (OSError, Untrusted) as error:
                if isinstance(error, LogOpenError):
                    raise
                cause = error.cause if isinstance(error, Untrusted) else error
                text = f"the outbox cannot be opened ({cause.strerror or cause})"
                raise LogOpenError(cause.errno or errno.EIO, text, str(path)) from error
            _ = stack.pop_all()
        writer = JournalWriter(journal, Losses(path, "raise"), self._options.fsync)
        graveyard = Graveyard(self._disk, Clock(), lock, self._options)
        self._opened = writer, lock, graveyard
        return [_unpacked(kept.event_id, kept.event) for kept in journal.live.values()]

    async def put(self, message: Message) -> None:
        """
        Return when the file has *message*.

        Raises:
            BridgeFull: If it holds as many as it may.
            LogWriteError: If it cannot be written.
        """
        writer, _, _ = self._open()
        if message.id in writer.journal.live:
            return
        if len(writer.journal.live) >= self._limit:
            raise BridgeFull(f"the outbox {self._options.path} is full (limit={self._limit}); wait for the server")
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()

        def ready(error: LogWriteError | None) -> None:
            if not written.done():
                _settle(written, error)

        losses = Losses(self._options.path, "raise")
        try:
            writer.accept(loop, message.id, _packed(message), 0, ready)
        except OSError as error:
            failed = losses.unwritten(error)
            raise failed() from error
        except Untrusted as error:
            raise losses.untrusted(error.cause) from error
        await written

    def done(self, message_id: str) -> None:
        """Forget a message, because the server has it."""
        writer, _, _ = self._open()
        writer.done(asyncio.get_running_loop(), message_id)

    def bury(self, message_id: str, reason: str) -> None:
        """
        Move a message that the server will never take to ``<path>.dead``, with *reason*; `bubus.wal.read` reads it.

        Raises:
            OSError: If that failed.
        """
        writer, _, graveyard = self._open()
        message = _unpacked(message_id, writer.journal.live[message_id].event)
        graveyard.bury(Unfinished(message_id, message.body, 0), reason)
        self.done(message_id)

    def close(self) -> None:
        """Write what is noted and let others have the file; what is in it stays."""
        if self._opened is not None:
            writer, lock, _ = self._opened
            self._opened = None
            writer.finish()
            writer.close()
            lock.release()

    def after_fork(self) -> None:
        """Leave the file to the parent process."""
        if self._opened is not None:
            writer, lock, _ = self._opened
            self._opened = None
            writer.abandon()
            lock.abandon()

    def _open(self) -> tuple[JournalWriter, LogLock, Graveyard]:
        if self._opened is None:
            raise LogClosedError(errno.EBADF, "the outbox is closed", str(self._options.path))
        return self._opened


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _packed(message: Message) -> bytes:
    body, packed = message.body, b""
    if not (body.startswith(b"{") and body.endswith(b"}") and clean(body) == body):
        body, packed = b"null", message.body  # it would not come back byte for byte
    kept = _Kept(message.head.decode(), message.key, message.topic, msgspec.Raw(body), packed)
    return clean(msgspec.json.encode(kept))


def _unpacked(message_id: str, data: bytes) -> Message:
    kept = _kept.decode(data)
    return Message(message_id, kept.packed or bytes(kept.body), kept.head.encode(), kept.key, kept.topic)
