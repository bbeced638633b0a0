"""The write-ahead log: what was acknowledged is never lost, and can be read and replayed."""

from __future__ import annotations

from bubus.wal._journal import Unfinished as Unfinished
from bubus.wal._leftovers import leftovers as leftovers
from bubus.wal._log import WriteAheadLog as WriteAheadLog
from bubus.wal._mend import mend as mend
from bubus.wal._options import Fsync as Fsync
from bubus.wal._read import LogReader as LogReader, OnDamage as OnDamage, records as records
from bubus.wal._record import LoggedResult as LoggedResult, LogRecord as LogRecord
from bubus.wal._typed import Newer as Newer, read as read
