"""
What was accepted and is not finished, on the disk: ``<path>.journal``.

One sealed JSON object a line, of four kinds: an event was *accepted* (before any handler starts), an *attempt* at a
handler begins, its *outcome* is known, the event is *done* (its line is in the log). What is done need not be kept:
when the file has grown, a new one begins with what is not, as ``<path>.journal.new``, and takes the name of the old
one as soon as it is safe. Whoever finds both reads the old one and then the new one: a record may be met twice.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import msgspec

from bubus.wal._appender import Appender, Untrusted
from bubus.wal._frame import BadLine, seal_all
from bubus.wal._names import sibling
from bubus.wal._read import LogReader
from bubus.wal._record import READ_ERRORS
from bubus.wal._repair import repair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bubus.wal._file import Disk
    from bubus.wal._read import OnDamage

_SMALL: Final = 1 << 20
"""Bytes below which a journal is not worth compacting."""

MOST_AROUND: Final = 1 << 17
"""Bytes a record may have beyond the event or result in it: ids, a handler's name, the longest text of an error."""


class Accepted(msgspec.Struct, frozen=True, tag_field="op", tag="accept"):
    """An event is to be run."""

    id: str
    after: int
    """Number of the last line in the log: the event's own comes later."""

    event: msgspec.Raw


class Attempt(msgspec.Struct, frozen=True, tag_field="op", tag="attempt"):
    """A handler is about to run for the *n*-th time."""

    id: str
    handler: str
    n: int


class Outcome(msgspec.Struct, frozen=True, tag_field="op", tag="outcome"):
    """A handler has finished."""

    id: str
    handler: str
    result: msgspec.Raw


class Done(msgspec.Struct, frozen=True, tag_field="op", tag="done"):
    """The event needs no recovery: its line is in the log, or it is buried."""

    id: str


Entry: TypeAlias = Accepted | Attempt | Outcome | Done

_decoder: Final[msgspec.json.Decoder[Entry]] = msgspec.json.Decoder(Accepted | Attempt | Outcome | Done)
_encode: Final = msgspec.json.Encoder().encode


@attrs.define
class Unfinished:
    """An event that was accepted and is not done."""

    event_id: str
    event: bytes
    """The event as it was dispatched, one JSON object."""

    after: int
    """Number of the last line in the log when it was accepted."""

    attempts: dict[str, int] = attrs.Factory(dict[str, int])
    """How often each handler was started."""

    outcomes: dict[str, bytes] = attrs.Factory(dict[str, bytes])
    """What each finished handler came to, one JSON object."""


def unfinished(entries: Iterable[Entry]) -> dict[str, Unfinished]:
    """Return what the entries leave unfinished, by event id, in the order in which it was accepted."""
    left: dict[str, Unfinished] = {}
    for entry in entries:
        _apply(entry, left)
    return left


def _apply(entry: Entry, left: dict[str, Unfinished]) -> None:
    event = left.get(entry.id)
    match entry:
        case Accepted():
            if event is None:
                left[entry.id] = Unfinished(entry.id, bytes(entry.event), entry.after)
        case Attempt() if event:
            event.attempts[entry.handler] = max(entry.n, event.attempts.get(entry.handler, 0))
        case Outcome() if event:
            event.outcomes[entry.handler] = bytes(entry.result)
        case Done():
            _ = left.pop(entry.id, None)
        case _:
            pass  # of an event that is done


def journal_files(log: Path) -> tuple[Path, Path]:
    """Return the names of a log's journal, and of the one that is to take its place; they are read in this order."""
    return sibling(log, ".journal"), sibling(log, ".journal.new")


def read_journal(path: Path, max_record_bytes: int, on_error: OnDamage = "raise") -> LogReader[Entry]:
    """
    Yield the entries of one journal file, oldest first.

    Raises:
        LogDamagedError: While reading, at the first line that is not what was written, unless *on_error* says else.

    """
    return LogReader(path, decode_entry, on_error, max_record_bytes)


def decode_entry(data: bytes, seq: int | None, *_: object) -> Entry:
    """
    Decode a line that `unseal` has seen.

    Raises:
        BadLine: If it is no entry.

    """
    if seq is None:
        raise BadLine("not what was written (no event_crc at its end)")
    try:
        return _decoder.decode(data)
    except READ_ERRORS as error:
        raise BadLine("no journal entry") from error


class Journal:
    """
    Writes the journal, and remembers what is unfinished.

    All of this is synchronous and knows nothing of event loops; for that there is `JournalWriter`.
    """

    live: dict[str, Unfinished]
    """What is unfinished, by event id, in accepted order."""

    left: dict[str, None]
    """Ids of what is unfinished and nobody works on, in accepted order."""

    def __init__(self, disk: Disk, log: Path, max_line_bytes: int) -> None:
        self._disk: Final = disk
        path, following = journal_files(log)
        self._path: Final = path
        self._next: Final = following
        self._max_record_bytes: Final = max_line_bytes + MOST_AROUND
        self._seq: int = 0
        self._unwritten: list[bytes] = []
        self._worthwhile: int = _SMALL
        self._file: Appender = Appender(disk, self._path)
        self.live = {}
        self.left = {}

    def open(self, on_error: OnDamage = "raise") -> None:
        """
        Read what a process before this one left unfinished.

        Raises:
            LogDamagedError: If a line is not what was written, the torn end of the file apart, unless *on_error* says
                what to do about that.

        """
        self.live = unfinished(chain(self._recovered(self._path, on_error), self._recovered(self._next, on_error)))
        self.left = dict.fromkeys(self.live)
        if any(map(self._disk.look, (self._path, self._next))):
            self.rewrite()

    @property
    def is_unsafe(self) -> bool:
        """Whether there are records that no sync has covered."""
        return self._file.size > self._file.safe

    @property
    def has_grown(self) -> bool:
        """Whether it is time for `begin_anew`."""
        return self._file.size > self._worthwhile

    def accept(self, event_id: str, event: bytes, after: int) -> None:
        """
        Write down that an event is to be run.

        Raises:
            OSError: If that is not possible now; the event is as if it had never been.
            Untrusted: If it is not possible until the log is opened anew.

        """
        accepted = Unfinished(event_id, event, after)
        record = _accepted(accepted)
        self._unwritten.append(record)
        try:
            self.write()
        except BaseException:
            self._unwritten.remove(record)
            raise
        self.live[event_id] = accepted

    def attempt(self, event_id: str, handler: str) -> int:
        """Note that a handler is about to run, to be written by `write`, and return how often it was started."""
        if event_id not in self.live:
            return 1
        attempts = self.live[event_id].attempts
        attempts[handler] = number = attempts.get(handler, 0) + 1
        self._unwritten.append(_attempt(event_id, handler, number))
        return number

    def outcome(self, event_id: str, handler: str, result: bytes) -> None:
        """Note what a handler came to, to be written by `write`."""
        if event_id in self.live:
            self.live[event_id].outcomes[handler] = result
            self._unwritten.append(_outcome(event_id, handler, result))

    def done(self, event_id: str) -> None:
        """Note that an event needs no recovery, to be written by `write`."""
        self.left.pop(event_id, None)
        if self.live.pop(event_id, None) is not None:
            self._unwritten.append(b'{"op":"done","id":%b' % _encode(event_id))

    def write(self) -> None:
        """
        Write what was noted; what cannot be written now stays noted.

        Raises:
            OSError: If it cannot be written now.
            Untrusted: If it cannot be written until the log is opened anew.

        """
        if self._unwritten:
            self._file.write(seal_all(self._unwritten, self._seq))
            self._seq += len(self._unwritten)
            self._unwritten.clear()

    def sync(self) -> None:
        """
        Return when all that was written is on the disk.

        Raises:
            Untrusted: If that failed.

        """
        self._file.sync()

    def begin_anew(self) -> Appender | None:
        """
        Go on in a new file that begins with what is unfinished, and return the old one, for `replace` after a `sync`.

        The present file must have been synced since it got its name. Else this does nothing and returns None: of that
        renaming and of the next file's creation a power cut could leave just the latter, and so no name of this file.

        Raises:
            OSError: If there is no room for it now; the old file goes on.

        """
        if not self._file.is_named:
            return None
        self._worthwhile = 2 * self._file.size  # should this fail, do not try again with every write
        old, self._file = self._file, self._fresh(self._next)
        return old

    def replace(self, old: Appender) -> None:
        """
        Give the new file the place of *old*.

        A power cut before the next `sync` may undo that, which does not matter: whoever finds both names reads both.

        Raises:
            OSError: If it cannot be renamed.

        """
        old.close()
        self._file.rename(self._path)

    def rewrite(self) -> None:
        """
        Replace whatever files there are by one that holds what is unfinished; it may block on the disk.

        Raises:
            OSError: If it cannot be written.
            Untrusted: If it could not be synced.

        """
        self._file.close()
        self._file = Appender(self._disk, self._path)
        if self.live:
            self._file = self._fresh(sibling(self._path, ".tmp"))
            self._file.sync()
            self._file.rename(self._path)
        else:
            self._disk.remove(self._path)
        self._disk.sync_directory(self._path.parent)  # else the old records of ".new" could come without these
        if self._disk.look(self._next) is not None:
            self._disk.remove(self._next)
            self._disk.sync_directory(self._path.parent)  # else they could come back after those that follow

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()

    def abandon(self) -> None:
        """Give the descriptor back, and forget what was noted and what is unfinished: that is for another process."""
        self._unwritten.clear()
        self.live.clear()
        self.left.clear()
        self.close()

    def _fresh(self, path: Path) -> Appender:
        self._disk.remove(path)
        file, records = Appender(self._disk, path), list(_records(self.live.values()))
        try:
            file.create()
            file.write(seal_all(records, 0))
        except (OSError, Untrusted):
            file.close()
            with suppress(OSError):
                self._disk.remove(path)  # the old file goes on, and what is here is not to be read after it
                self._disk.sync_directory(path.parent)
            raise
        self._seq = len(records)
        self._unwritten.clear()
        self._worthwhile = max(_SMALL, 2 * file.size)
        return file

    def _recovered(self, path: Path, on_error: OnDamage) -> Iterator[Entry]:
        file = Appender(self._disk, path)
        if file.open():
            try:
                if on_error == "raise":
                    _ = repair(self._disk, file, self._max_record_bytes)
            finally:
                file.close()
            yield from read_journal(path, self._max_record_bytes, on_error)


def _records(events: Iterable[Unfinished]) -> Iterator[bytes]:
    for event in events:
        yield _accepted(event)
        for handler, number in event.attempts.items():
            yield _attempt(event.event_id, handler, number)
        for handler, result in event.outcomes.items():
            yield _outcome(event.event_id, handler, result)


def _accepted(event: Unfinished) -> bytes:
    return b'{"op":"accept","id":%b,"after":%d,"event":%b' % (_encode(event.event_id), event.after, event.event)


def _attempt(event_id: str, handler: str, number: int) -> bytes:
    return b'{"op":"attempt","id":%b,"handler":%b,"n":%d' % (_encode(event_id), _encode(handler), number)


def _outcome(event_id: str, handler: str, result: bytes) -> bytes:
    return b'{"op":"outcome","id":%b,"handler":%b,"result":%b' % (_encode(event_id), _encode(handler), result)
