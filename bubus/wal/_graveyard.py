"""``<path>.dead``: events that were tried often enough, readable like a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from bubus.wal._appender import Untrusted
from bubus.wal._frame import clean
from bubus.wal._logged import logged
from bubus.wal._names import sibling
from bubus.wal._series import Series

if TYPE_CHECKING:
    from bubus.wal._file import Clock, Disk
    from bubus.wal._journal import Unfinished
    from bubus.wal._lock import LogLock
    from bubus.wal._options import Options

_encode: Final = msgspec.json.Encoder().encode


class Graveyard:
    """Buries an event once, with the reason and how often each handler was tried."""

    def __init__(self, disk: Disk, clock: Clock, lock: LogLock, options: Options) -> None:
        self._disk: Final = disk
        self._clock: Final = clock
        self._lock: Final = lock
        self._options: Final = attrs.evolve(
            options, path=sibling(options.path, ".dead"), rotate_bytes=None, rotate_seconds=None, keep=None
        )

    def bury(self, event: Unfinished, reason: str) -> None:
        """
        Write an event down, unless it is there already, and force it to the disk.

        Raises:
            OSError: If that failed.

        """
        try:
            series = Series(self._disk, self._clock, self._lock, self._options)
            try:
                series.open()
                # a recovery that was killed between this and its note in the journal comes here again
                if not (series.seq and logged(series.path, {event.event_id}, 0, self._options.max_line_bytes)):
                    _write(series, event, reason)
                series.sync()  # in that case too: it may have been killed before it did that
            finally:
                series.close()
        except Untrusted as error:
            raise error.cause from error


def _write(series: Series, event: Unfinished, reason: str) -> None:
    end = b',"event_error":%b,"event_attempts":%b' % (_encode(reason), _encode(event.attempts))
    written = series.write([clean(event.event.rstrip().removesuffix(b"}") + end)])
    if written.error is not None:
        raise written.error
