"""What a recovery would find, without opening the log: somebody may be using it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bubus.wal._journal import MOST_AROUND, journal_files, read_journal, unfinished
from bubus.wal._logged import logged
from bubus.wal._options import MAX_LINE_BYTES
from bubus.wal._read import existing, pass_over

if TYPE_CHECKING:
    import os

    from bubus.wal._journal import Unfinished
    from bubus.wal._read import OnDamage


def leftovers(path: str | os.PathLike[str], on_error: OnDamage = "raise") -> list[Unfinished] | None:
    """
    Return the events that were accepted and have no line in the log, in accepted order; None if there is no journal.

    Args:
        path: The log, as it was given to `WriteAheadLog`.
        on_error: What to do about damage in the journal, as in `records`; damage in the log is passed over.

    Raises:
        LogOpenError: If there is no such log.
        LogDamagedError: At the first line of the journal that is not what was written.

    """
    log = existing(path)
    files = [file for file in journal_files(log) if file.exists()]
    if not files:
        return None
    entries = (entry for file in files for entry in read_journal(file, MAX_LINE_BYTES + MOST_AROUND, on_error))
    left = unfinished(entries)
    after = min((event.after for event in left.values()), default=0)
    for event_id in logged(log, left, after, MAX_LINE_BYTES, pass_over):
        del left[event_id]
    return list(left.values())
