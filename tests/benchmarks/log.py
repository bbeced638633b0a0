"""
What the log costs, against what the same bytes cost without it, in one run.

Run it with ``python -m tests.benchmarks.log``; it writes to the directory for temporary files.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from bubus import BaseEvent, EventBus
from bubus._codec import encode
from bubus.wal import WriteAheadLog, read, records
from tests.benchmarks._measure import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bubus.errors import LogWriteError
    from bubus.wal import Fsync

LINES: Final = 30_000
DISPATCHERS: Final = 64
SYNCS: Final = 60
BATCH: Final = 40
ROUNDS: Final = 7

STATUS: Final = (
    b',"event_status":"completed","event_started_at":"2025-11-22T23:42:13.746991Z",'
    b'"event_completed_at":"2025-11-22T23:42:13.746991Z","event_processed_at":"2025-11-22T23:42:13.746991Z",'
    b'"event_results":{"0191e3c4":{"handler_name":"handler","eventbus_name":"EventBus","status":"completed",'
    b'"duration":0.001,"result":"ok"}}'
)


class ImportantEvent(BaseEvent[str]):
    """What is written and read."""

    data: str
    number: int = 0


def rows() -> list[Row]:
    """Measure all and return it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        return [_logging(home), *_reading(home), *_writing(home), *_syncing(home)]


def _body() -> bytes:
    return encode(ImportantEvent(data="x" * 100))[:-1]


def _seconds(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    call()
    return clock() - start


def _ratio(
    floor: Callable[[], object], candidate: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the median, over the rounds, of the candidate's time as a multiple of the floor's."""
    floor()
    candidate()
    return statistics.median(_seconds(candidate, clock) / _seconds(floor, clock) for _ in range(ROUNDS))


def _exhaust(items: Iterable[object]) -> None:
    deque(items, maxlen=0)


# -- a bus with a log: what that adds to the cost of an event ----------------------------------------------------------


def _logging(folder: Path) -> Row:
    def batches(path: Path | None) -> None:
        asyncio.run(_handle(path))

    ratio = _ratio(lambda: batches(None), lambda: batches(folder / "bus.jsonl"), time.process_time)
    return Row(f'bus with a log, fsync="no", batches of {BATCH}: added / own', ratio - 1, 0.9)


async def _handle(path: Path | None) -> None:
    bus = EventBus(wal_path=path)
    bus.on(ImportantEvent, _answer)
    for _ in range(LINES // BATCH // 10):
        for event in [bus.dispatch(ImportantEvent(data="x", number=number)) for number in range(BATCH)]:
            await event
    await bus.stop(clear=True)


async def _answer(event: ImportantEvent) -> str:
    return event.data


# -- reading: a bare loop that decodes and checks nothing --------------------------------------------------------------


def _reading(folder: Path) -> list[Row]:
    path = folder / "read.jsonl"
    asyncio.run(_write(path, LINES))
    decoder = msgspec.json.Decoder(ImportantEvent)

    def bare() -> None:
        with path.open("rb") as file:
            for line in file:
                decoder.decode(line)

    return [
        Row(
            "read() / a bare loop of decode(line)",
            _ratio(bare, lambda: _exhaust(read(path)), time.process_time),
            1 / 0.4,
        ),
        Row("records() / the same", _ratio(bare, lambda: _exhaust(records(path)), time.process_time), None),
    ]


async def _write(path: Path, count: int) -> None:
    log, body = WriteAheadLog(path), _body()
    for number in range(count):
        log.append(str(number), body, b"", STATUS, _ignore)
        if number % BATCH == 0:
            log.flush()
    log.close()


def _ignore(error: LogWriteError | None) -> None:
    if error is not None:
        raise error


# -- writing: os.write of the same batches -----------------------------------------------------------------------------


def _writing(folder: Path) -> list[Row]:
    line = _body() + STATUS + b"\n"

    def raw() -> None:
        fd = os.open(folder / "raw.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC)
        for _ in range(LINES // BATCH):
            os.write(fd, line * BATCH)
        os.close(fd)

    def logged(fsync: Fsync) -> None:
        path = folder / f"write-{fsync}.jsonl"
        path.unlink(missing_ok=True)
        asyncio.run(_write(path, LINES))

    return [
        Row(f'append, fsync="no" / os.write of {BATCH} lines', _ratio(raw, lambda: logged("no")), None),
        Row("tasks that one appended line costs", _seconds(lambda: logged("no")) / LINES / _task(), None),
    ]


def _task() -> float:
    async def run() -> float:
        start = time.perf_counter()
        for _ in range(2000):
            await asyncio.create_task(_noop())
        return (time.perf_counter() - start) / 2000

    return asyncio.run(run())


async def _noop() -> None:
    pass


# -- syncing: write and fdatasync of as many lines as there are dispatchers --------------------------------------------


def _syncing(folder: Path) -> list[Row]:
    line = _body() + STATUS + b"\n"

    def raw() -> None:
        fd = os.open(folder / "raw.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for _ in range(SYNCS):
            os.write(fd, line * DISPATCHERS)
            os.fdatasync(fd)
        os.close(fd)

    def logged() -> None:
        asyncio.run(_dispatch(folder / "sync.jsonl"))

    def bare() -> None:
        asyncio.run(_bare(folder / "bare.jsonl", line))

    return [
        Row(f'fsync="always", {DISPATCHERS} at once / write + fdatasync', _ratio(raw, logged), 1 / 0.6),
        Row("as many futures and fdatasync in a thread, no log / the same", _ratio(raw, bare), None),
    ]


async def _dispatch(path: Path) -> None:
    log, body = WriteAheadLog(path, fsync="always"), _body()
    await asyncio.gather(*(_dispatcher(log, body) for _ in range(DISPATCHERS)))
    log.close()


async def _bare(path: Path, line: bytes) -> None:
    """Do what any program with asyncio has to: a future for whoever waits, and a thread for the disk."""
    loop, batch, futures = asyncio.get_running_loop(), list[bytes](), list[asyncio.Future[None]]()
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def flush() -> None:
        os.write(fd, b"".join(batch))
        waiting = futures.copy()
        batch.clear()
        futures.clear()
        loop.run_in_executor(None, os.fdatasync, fd).add_done_callback(
            lambda _: [one.set_result(None) for one in waiting]
        )

    async def write() -> None:
        for _ in range(SYNCS):
            if not batch:
                loop.call_soon(flush)
            batch.append(line)
            futures.append(loop.create_future())
            await futures[-1]

    await asyncio.gather(*(write() for _ in range(DISPATCHERS)))
    os.close(fd)


async def _dispatcher(log: WriteAheadLog, body: bytes) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(SYNCS):
        written: asyncio.Future[None] = loop.create_future()
        log.append("", body, b"", STATUS, lambda _, written=written: written.set_result(None))
        await written


if __name__ == "__main__":
    print(*rows(), sep="\n")  # noqa: T201 - this is its output
