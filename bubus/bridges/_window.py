"""What a group has done: events that are delivered again, as they are after a crash, have no effect twice."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from bubus.errors import OptionError

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Sequence


class Window(Protocol):
    """Remembers ids of events. Members of a group that run in several processes should share one."""

    def has(self, event_id: str) -> bool:
        """Tell whether the event was done."""
        ...

    def add(self, event_ids: Sequence[str]) -> None:
        """Note that events are done; called before the server is told."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class Seen:
    """
    A window in memory: it knows what this process has done since it began.

    Args:
        limit: Ids to remember; the oldest are forgotten. At least three times what is redelivered at once.

    Raises:
        OptionError: If *limit* is below 1.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit: Final = checked_limit(limit)
        self._ids: dict[str, None] = {}

    def has(self, event_id: str) -> bool:
        """Tell whether the event was done here."""
        return event_id in self._ids

    def add(self, event_ids: Sequence[str]) -> None:
        """Note that events are done."""
        self._ids.update(dict.fromkeys(event_ids))
        while len(self._ids) > self._limit:
            del self._ids[next(iter(self._ids))]

    def close(self) -> None:
        """Forget nothing."""


class SeenFile:
    """
    A window in an SQLite file, which survives this process and is shared with others on this machine.

    Use one file for each group. An effect in that same file is there once, whatever is killed and when:

    ```python
    seen = SeenFile("billing.db")

    def charge(event: OrderCreated) -> None:
        with seen.effect("charge", event.event_id) as db:
            if db is not None:  # None: it was done before
                db.execute("insert into charges values (?, ?)", (event.order_id, event.amount))
    ```

    Args:
        path: The file; made if there is none.
        limit: Ids to remember; the oldest are forgotten.

    Raises:
        OptionError: If *limit* is below 1.
    """

    def __init__(self, path: str | os.PathLike[str], limit: int = 1_000_000) -> None:
        self._limit: Final = checked_limit(limit)
        self.path: Path = Path(path)
        self._db: Final = sqlite3.connect(self.path, timeout=5.0, isolation_level=None, check_same_thread=False)
        _ = self._db.execute("pragma journal_mode = wal")
        _ = self._db.execute("pragma synchronous = normal")
        _ = self._db.execute("create table if not exists seen (n integer primary key autoincrement, id text unique)")

    def has(self, event_id: str) -> bool:
        """Tell whether the event was done."""
        return self._db.execute("select 1 from seen where id = ?", (event_id,)).fetchone() is not None

    def add(self, event_ids: Sequence[str]) -> None:
        """Note that events are done, in one transaction."""
        with self._transaction():
            self._insert(event_ids)

    @contextlib.contextmanager
    def effect(self, name: str, event_id: str) -> Generator[sqlite3.Connection | None]:
        """
        Do something and note that it is done, in one transaction: both are there or neither.

        Args:
            name: What is done, since an event may have several effects.
            event_id: For which event.

        Yields:
            The connection to do it with; None if it was done before. What the block raises undoes it.
        """
        key = f"{name}/{event_id}"
        with self._transaction():
            if self.has(key):
                yield None
            else:
                yield self._db
                self._insert([key])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _insert(self, keys: Sequence[str]) -> None:
        _ = self._db.executemany("insert or ignore into seen (id) values (?)", [(key,) for key in keys])
        _ = self._db.execute("delete from seen where n <= (select max(n) from seen) - ?", (self._limit,))

    @contextlib.contextmanager
    def _transaction(self) -> Generator[None]:
        _ = self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            _ = self._db.execute("rollback")
            raise
        _ = self._db.execute("commit")


def checked_limit(limit: int) -> int:
    """
    Return *limit*.

    Raises:
        OptionError: If it is below 1.
    """
    if limit < 1:
        raise OptionError(f"limit={limit} must be at least 1")
    return limit
