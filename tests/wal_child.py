"""A process that writes a log, for tests that limit, kill or trace it. Usage: python wal_child.py ACTION PATH ..."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bubus.wal import WriteAheadLog
from tests.wal_faults import Acks, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bubus.errors import LogWriteError
    from bubus.wal import Fsync


async def limits(folder: str, *sizes: str) -> None:
    """Do `limit` for each of *sizes*."""
    for size in sizes:
        await limit(Path(folder) / size / "events.jsonl", int(size))


async def limit(path: Path, size: int) -> None:
    """Write until files may not grow any more, lift the limit, and write one more line."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    log, acks = WriteAheadLog(path), Acks()
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    number = 0
    while not acks.errors:
        acks.add(log, str(number))
        await log.drain()
        number += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    acks.add(log, "after")
    log.close()
    sys.stdout.write(f"{size} {len(acks.good) - 1} {len(acks.errors)} {acks.good[-1]}\n")


async def script(path: str, fsync: Fsync, ahead: str, events: str) -> None:
    """Accept, run and log *events* events, two at a time, and say at once what was acknowledged."""
    log = WriteAheadLog(path, fsync=fsync, ahead=ahead == "ahead", rotate_bytes=1200)
    pairs = [(str(number), str(number + 1)) for number in range(0, int(events), 2)]
    for pair in pairs:
        await asyncio.gather(*(run(log, event_id, 1) for event_id in pair))
    log.close()


async def forever(log: WriteAheadLog, prefix: str, batch: int, pipe: int) -> None:
    """Accept, run and log events, *batch* at a time, until killed."""
    for first in count(0, batch):
        await asyncio.gather(*(run(log, f"{prefix}-{first + number}", pipe) for number in range(batch)))


async def run(log: WriteAheadLog, event_id: str, pipe: int) -> None:
    """Do what a bus does with an event that has one handler."""
    loop = asyncio.get_running_loop()
    head, payload, tail = parts(event_id)
    if log.ahead:
        ready: asyncio.Future[None] = loop.create_future()
        log.accept(event_id, head, payload, lambda error: _settle(ready, error))
        await ready
        os.write(pipe, f"accepted {event_id}\n".encode())
        log.attempt(event_id, "app.handler#1")
        await asyncio.sleep(0)
        log.outcome(event_id, "app.handler#1", b'{"status":"completed"}')
    written: asyncio.Future[None] = loop.create_future()
    log.append(event_id, head, payload, tail, lambda error: _settle(written, error))
    await written
    os.write(pipe, f"completed {event_id}\n".encode())


def _settle(future: asyncio.Future[None], error: LogWriteError | None) -> None:
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


if __name__ == "__main__":
    action, *arguments = sys.argv[1:]
    actions: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"limits": limits, "script": script}
    asyncio.run(actions[action](*arguments))
