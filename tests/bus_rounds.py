"""
Kill a bus with a journal again and again, at random moments and by its own handlers, and recover what it leaves.

Usage: python bus_rounds.py DIR ROUNDS SEED

Each round forks a process that dispatches events until it is killed, then one that recovers and is killed too, and
then one that may end. Handlers leave a trace in a file; acknowledgements come through a pipe.
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import signal
import sys
import time
from collections import Counter
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from bubus import BaseEvent, EventBus, WriteAheadLog
from bubus.wal import records

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bubus.wal import Fsync

MODES: tuple[Fsync, ...] = ("no", "everysec", "always")


class Work(BaseEvent[str]):
    number: int
    deadly: int = 0
    """How often its second handler kills the process."""


class Step(BaseEvent[None]):
    of: int


class Program:
    """What one process does with the log in *home*."""

    def __init__(self, home: Path, mode: Fsync, pipe: int) -> None:
        self.trace = os.open(home / "trace", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.home, self.pipe = home, pipe
        self.bus = EventBus(wal_path=WriteAheadLog(home / "events.jsonl", fsync=mode, ahead=True, rotate_bytes=20_000))
        self.bus.on(Work, self.first)
        self.bus.on(Work, self.second)
        self.bus.on(Step, lambda event: self.leave("step", event.event_id))

    def leave(self, what: str, event_id: str) -> None:
        """Leave a trace of a handler."""
        os.write(self.trace, f"{what} {event_id}\n".encode())

    def tell(self, what: str, event_id: str) -> None:
        """Acknowledge something."""
        os.write(self.pipe, f"{what} {event_id}\n".encode())

    def first(self, event: Work) -> str:
        """Dispatch a child that nobody awaits."""
        self.leave("first", event.event_id)
        return self.bus.dispatch(Step(of=event.number)).event_id

    async def second(self, event: Work) -> str:
        """Wait for a child, or kill the process."""
        self.leave("second", event.event_id)
        if event.deadly and traces(self.home)["second", event.event_id] <= event.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        await self.bus.dispatch(Step(of=event.number))
        return "done"

    async def forever(self) -> None:
        """Dispatch events, some at a time, until killed."""
        for number in count(0, 5):
            await asyncio.gather(*(self.run(number + more) for more in range(5)))

    async def run(self, number: int) -> None:
        """Dispatch one event and wait for it."""
        event = self.bus.dispatch(Work(number=number, event_timeout=None))
        if self.bus.wal is not None and self.bus.wal.fsync != "always":
            self.tell("accepted", event.event_id)
        await event
        self.tell("completed", event.event_id)

    async def recover(self) -> None:
        """Finish what was left."""
        for event in (await self.bus.recover()).events:
            await event
        await self.bus.stop(clear=True)

    async def deadly(self) -> None:
        """Dispatch an event whose handler kills the process twice, and one that it kills for ever."""
        self.bus.dispatch(Work(number=1, deadly=2))
        self.bus.dispatch(Work(number=2, deadly=99))
        await self.bus.wait_until_idle()


def traces(home: Path) -> Counter[tuple[str, str]]:
    """Return how often each handler ran for each event."""
    text = (home / "trace").read_text("ascii")
    return Counter((what, event_id) for what, event_id in map(str.split, text.splitlines()))


def run(home: Path, mode: Fsync, job: Callable[[Program], Coroutine[object, object, None]], delay: float | None) -> int:
    """Run *job* in a process, kill it after *delay* seconds, and return its exit code; what it told is in a file."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        asyncio.run(job(Program(home, mode, writer)))
        os._exit(0)
    os.close(writer)
    data, end = b"", time.monotonic() + (60 if delay is None else delay)
    while (left := end - time.monotonic()) > 0:
        if select.select([reader], [], [], left)[0]:
            more = os.read(reader, 1 << 16)
            if not more:
                break
            data += more
    os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    while more := os.read(reader, 1 << 16):
        data += more
    os.close(reader)
    with (home / "told").open("ab") as told:
        told.write(data)
    return code


def play(home: Path, chance: random.Random) -> tuple[int, int]:
    """Kill, kill the recovery, recover, and compare; return how many were accepted and how many were left over."""
    mode = chance.choice(MODES)
    run(home, mode, Program.forever, chance.uniform(0, 0.08))
    told = [line.split() for line in (home / "told").read_text("ascii").splitlines()]
    accepted = {event_id for what, event_id in told if what == "accepted"}
    completed = {event_id for what, event_id in told if what == "completed"}
    before = traces(home) if (home / "trace").exists() else Counter[tuple[str, str]]()
    whole = _ids(home)
    assert completed <= set(whole), completed - set(whole)
    run(home, mode, Program.recover, chance.uniform(0, 0.03))
    code = run(home, mode, Program.recover, None)
    assert code == 0, code
    after, ids = traces(home) if (home / "trace").exists() else before, _ids(home)
    assert len(ids) == len(set(ids)), "a line was written twice"
    assert accepted <= set(ids), accepted - set(ids)
    assert ids[: len(whole)] == whole
    for event_id in accepted:
        assert after["first", event_id], event_id
        assert after["second", event_id], event_id
    for event_id in whole:
        assert all(after[what, event_id] == before[what, event_id] for what in ("first", "second", "step")), event_id
    return len(accepted | completed), len(ids) - len(whole)


def _ids(home: Path) -> list[str]:
    faults: list[Exception] = []
    found = [record.event_id for record in records(home / "events.jsonl", faults.append)] if _is_there(home) else []
    assert len(faults) <= 1, faults
    return found


def _is_there(home: Path) -> bool:
    return (home / "events.jsonl.lock").exists()


def kill_by_handler(home: Path) -> None:
    """Let a handler kill its process: it is tried again, and given up after the third time."""
    assert run(home, "no", Program.deadly, None) == -signal.SIGKILL
    codes = [run(home, "no", Program.recover, None) for _ in range(5)]
    assert codes == [*[-signal.SIGKILL] * 4, 0], codes
    (done,) = [record for record in records(home / "events.jsonl") if record.event_type == "Work"]
    (dead,) = records(home / "events.jsonl.dead")
    assert done.payload == {"number": 1, "deadly": 2}
    assert dead.payload == {"number": 2, "deadly": 99}
    counts = traces(home)
    assert (counts["first", done.event_id], counts["second", done.event_id]) == (1, 3)
    assert (counts["first", dead.event_id], counts["second", dead.event_id]) == (1, 3)


if __name__ == "__main__":
    place, rounds, seed = sys.argv[1:]
    dice, sums = random.Random(int(seed)), [0, 0]
    Path(place, "deadly").mkdir()
    kill_by_handler(Path(place, "deadly"))
    for index in range(int(rounds)):
        folder = Path(place, str(index))
        folder.mkdir()
        sums = [total + more for total, more in zip(sums, play(folder, dice), strict=True)]
    sys.stdout.write(f"rounds={rounds}, accepted={sums[0]}, recovered={sums[1]}\n")
