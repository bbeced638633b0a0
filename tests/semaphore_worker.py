"""
A process that takes a slot again and again, for the tests of the multiprocess semaphore.

Usage: python semaphore_worker.py DIRECTORY LOG LIMIT SECONDS HOLD

It prints "ready", waits for a line on stdin, and works for SECONDS. Each time inside it appends two lines to LOG,
``<pid> enter <ns>`` and ``<pid> leave <ns>``, by the machine's monotonic clock. At the end it prints how often it was
inside and the longest time, in seconds, that it waited.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from pathlib import Path

from bubus import helpers


async def main(directory: str, log: str, limit: int, seconds: float, hold: float) -> None:
    """Work until the time is over."""
    helpers.MULTIPROCESS_SEMAPHORE_DIR = Path(directory)
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    entered = 0.0

    def note(what: str) -> None:
        os.write(file, b"%d %s %d\n" % (os.getpid(), what.encode(), time.monotonic_ns()))

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    @helpers.retry(retries=0, timeout=None, semaphore_limit=limit, semaphore_name="w", semaphore_scope="multiprocess")
    async def work() -> None:
        nonlocal entered
        entered = time.monotonic()
        note("enter")
        await asyncio.sleep(random.uniform(0, 2 * hold))
        note("leave")

    say("ready")
    sys.stdin.readline()
    count, longest, end = 0, 0.0, time.monotonic() + seconds
    while (asked := time.monotonic()) < end:
        await work()
        count, longest = count + 1, max(longest, entered - asked)
    say(f"{count} {longest}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])))
