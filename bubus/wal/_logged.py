"""Which events have their line in a log already, without reading more of it than needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bubus.wal._frame import BadLine, unseal
from bubus.wal._lines import open_bytes
from bubus.wal._names import rotated
from bubus.wal._read import LogReader, OnDamage
from bubus.wal._record import decode_head

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def logged(
    path: Path, event_ids: Collection[str], after: int, max_line_bytes: int, on_error: OnDamage = "skip"
) -> set[str]:
    """Return those of *event_ids* that have a line whose number is greater than *after*."""

    def event_id(data: bytes, seq: int | None, *_: object) -> str:
        return "" if seq is None or seq <= after else decode_head(data, seq).event_id

    wanted = set(event_ids)
    if not wanted:
        return set()
    before = _files_before(path, after, max_line_bytes)
    lines = LogReader(path, event_id, on_error, max_line_bytes, after_file=before)
    return wanted.intersection(lines)


def _files_before(path: Path, after: int, max_line_bytes: int) -> int:
    """Return the number of the last full file of which no line can have a number greater than *after*."""
    skipped = 0
    for (number, _), (_, following) in zip(full := rotated(path), full[1:], strict=False):
        first = _first_seq(following, max_line_bytes)
        if first is None or first > after + 1:
            break
        skipped = number
    return skipped


def _first_seq(path: Path, max_line_bytes: int) -> int | None:
    with open_bytes(path) as file:
        try:
            return unseal(file.readline(max_line_bytes + 1).removesuffix(b"\n"))
        except BadLine:
            return None
