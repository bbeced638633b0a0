"""
How a benchmark measures: against a floor taken in the same run, in rounds, by medians.

The floor is ``await asyncio.create_task(noop())``. Seconds say something about a machine, the ratio to the floor about
the code. Every round measures the floor and then each candidate, so that a slow moment falls on all of them.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping


@attrs.frozen
class Row:
    """One line of a benchmark's result."""

    name: str
    """What was measured."""

    ratio: float
    """Its time, as a multiple of the floor's."""

    limit: float | None
    """The ratio it may have; None for a figure that is only shown."""

    @property
    def ok(self) -> bool:
        """Return whether it is within its limit."""
        return self.limit is None or self.ratio <= self.limit

    def __str__(self) -> str:
        """Return the line as text."""
        bound = "" if self.limit is None else f"  <= {self.limit:.2f}  {'ok' if self.ok else 'TOO SLOW'}"
        return f"{self.name:<48} {self.ratio:6.2f}{bound}"


async def floor() -> None:
    """Do the least that an event loop charges for running something."""
    await asyncio.create_task(_noop())


async def seconds_per_call(call: Callable[[], Awaitable[object]], calls: int) -> float:
    """Return how long one of *calls* calls in a row took, in seconds."""
    start = time.perf_counter()
    for _ in range(calls):
        await call()
    return (time.perf_counter() - start) / calls


async def ratios(
    candidates: Mapping[str, Callable[[], Awaitable[object]]], *, calls: int = 2000, rounds: int = 9
) -> dict[str, float]:
    """
    Return for each candidate the median, over the rounds, of its time as a multiple of the floor's.

    Args:
        candidates: What to call, by name.
        calls: Calls in a row that are timed together.
        rounds: How often all is repeated.

    """
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for call in (floor, *candidates.values()):
        await seconds_per_call(call, calls // 10 + 1)  # warm up
    for _ in range(rounds):
        least = await seconds_per_call(floor, calls)
        for name, call in candidates.items():
            taken[name].append(await seconds_per_call(call, calls) / least)
    return {name: statistics.median(times) for name, times in taken.items()}


async def _noop() -> None:
    pass
