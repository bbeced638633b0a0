"""The numbers of a log's lines: what is missing, what came twice, what came late."""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs

_GAPS: Final = 1000
"""Gaps that are remembered; a bound, so that memory does not grow with the damage."""


@attrs.frozen
class Fault:
    """What is wrong with a number."""

    reason: str
    repeated: bool = False
    """Whether the line was there before, so that nothing is lost without it."""


@attrs.define
class Numbers:
    """Expects each number once, in order; after a fault it goes on from what it saw."""

    next: int | None
    """The number to come; None before the first when any will do."""

    _gaps: deque[range] = attrs.field(factory=lambda: deque[range](maxlen=_GAPS), init=False)

    def fault(self, seq: int) -> Fault | None:
        """Take the number of the next line and return what is wrong with it."""
        expected, self.next = self.next, max(seq + 1, self.next or 0)
        if expected is None or seq == expected:
            return None
        if seq > expected:
            gap = range(expected, seq)
            self._gaps.append(gap)
            return Fault(f"{_lines(gap)} missing before this one, which is number {seq}")
        return self._late(seq, expected)

    def _late(self, seq: int, expected: int) -> Fault:
        for gap in self._gaps:
            if seq in gap:
                self._gaps.remove(gap)
                self._gaps.extend(rest for rest in (range(gap.start, seq), range(seq + 1, gap.stop)) if rest)
                return Fault(f"out of order: number {seq} where {expected} should be")
        return Fault(f"number {seq} for the second time", repeated=True)


def _lines(gap: range) -> str:
    return f"line {gap[0]} is" if len(gap) == 1 else f"lines {gap[0]} to {gap[-1]} are"
