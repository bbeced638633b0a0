"""What `retry` costs a call that succeeds at once, the call itself included."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

from bubus import helpers
from tests.benchmarks._measure import Row, ratios

LIMITS: Final[dict[str, float | None]] = {
    "retry, no timeout": 1.0,
    "retry": 1.0,
    "retry with a free semaphore, global": 1.5,
    "retry with a free semaphore, self": 1.5,
    "retry with a free semaphore, multiprocess": None,
}
"""The ratio each may have. Files are shown only: their cost is the kernel's."""


class _Service:
    @helpers.retry(semaphore_limit=2, semaphore_scope="self")
    async def method(self) -> None:
        pass


@helpers.retry(timeout=None)
async def _without_timeout() -> None:
    pass


@helpers.retry
async def _plain() -> None:
    pass


@helpers.retry(semaphore_limit=2)
async def _limited() -> None:
    pass


@helpers.retry(semaphore_limit=2, semaphore_scope="multiprocess")
async def _limited_everywhere() -> None:
    pass


def rows() -> list[Row]:
    """Measure, and return a row for each kind of call."""
    calls = (_without_timeout, _plain, _limited, _Service().method, _limited_everywhere)
    before = helpers.MULTIPROCESS_SEMAPHORE_DIR
    with tempfile.TemporaryDirectory() as directory:
        helpers.MULTIPROCESS_SEMAPHORE_DIR = Path(directory)
        try:
            measured = asyncio.run(ratios(dict(zip(LIMITS, calls, strict=True))))
        finally:
            helpers.MULTIPROCESS_SEMAPHORE_DIR = before
    return [Row(name, ratio, LIMITS[name]) for name, ratio in measured.items()]


if __name__ == "__main__":
    sys.stdout.writelines(f"{row}\n" for row in rows())
