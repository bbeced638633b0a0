"""
Two buses with journals, one of which forwards to the other, killed before each step on the disk; see `play`.

Usage: python bus_points.py all|traced|script DIR FSYNC. With "traced" it is the kernel that kills, before the system
calls of `CALLS`; "script" is what it kills.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bubus import BaseEvent, EventBus
from bubus.wal import records
from bubus.wal._file import Disk
from tests.wal_faults import log_on

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bubus.wal import Fsync

LOGS = ("first.jsonl", "second.jsonl")
CALLS = (("write", 4), ("write", 28), ("fdatasync", 3), ("rename", 1), ("openat", 6))
"""The calls before which the kernel kills, and which of the kind in its thread; the script makes some more."""


class Order(BaseEvent[str]):
    number: int


class Deadly(Disk):
    """Kills the process before its *at*-th step."""

    def __init__(self, at: int) -> None:
        self.left = at

    def step(self) -> None:
        """Count down."""
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)

    def create(self, path: Path) -> int:
        self.step()
        return super().create(path)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self.step()
        return super().write(fd, data)

    def sync(self, fd: int) -> None:
        self.step()

    def truncate(self, fd: int, size: int) -> None:
        self.step()
        super().truncate(fd, size)

    def rename(self, source: Path, target: Path) -> None:
        self.step()
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        self.step()
        super().remove(path)

    def sync_directory(self, path: Path) -> None:
        self.step()


class Program:
    """What each process does."""

    def __init__(self, home: Path, mode: Fsync, disk: Disk) -> None:
        self.trace = os.open(home / "trace", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.told = os.open(home / "told", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        logs = [log_on(disk)(home / name, fsync=mode, ahead=True, rotate_bytes=2500) for name in LOGS]
        self.first: EventBus = EventBus("First", wal_path=logs[0])
        self.second: EventBus = EventBus("Second", wal_path=logs[1])
        self.first.on(Order, self.before)
        self.first.on(Order, self.second.dispatch)
        self.first.on(Order, self.after)
        self.second.on(Order, self.there)

    def leave(self, what: str, event: Order) -> str:
        """Leave a trace of a handler."""
        os.write(self.trace, f"{what} {event.event_id}\n".encode())
        return what

    def before(self, event: Order) -> str:
        """Run before the forward."""
        return self.leave("before", event)

    async def after(self, event: Order) -> str:
        """Run after the forward, beside what the other bus runs."""
        await asyncio.sleep(0)
        return self.leave("after", event)

    def there(self, event: Order) -> str:
        """Run on the other bus."""
        return self.leave("there", event)

    async def script(self) -> None:
        """Dispatch some events, two at a time, and say what was accepted and what is complete."""
        for number in range(0, 4, 2):
            await asyncio.gather(*(self.run(number + more) for more in range(2)))
        await self.end()

    async def run(self, number: int) -> None:
        """Dispatch one event and wait for it."""
        event = self.first.dispatch(Order(number=number))
        if self.first.wal is not None and self.first.wal.fsync == "no":
            os.write(self.told, f"accepted {event.event_id}\n".encode())
        await event
        os.write(self.told, f"completed {event.event_id}\n".encode())

    async def recover(self, *, backwards: bool) -> None:
        """Finish what was left, on one bus after the other."""
        buses = [self.second, self.first] if backwards else [self.first, self.second]
        for event in [event for bus in buses for event in (await bus.recover(max_attempts=9)).events]:
            await event
        await self.end()

    async def end(self) -> None:
        """Stop both buses for good."""
        for bus in (self.first, self.second):
            await bus.stop(timeout=30, clear=True)


def run(home: Path, mode: Fsync, job: Callable[[Program], Coroutine[Any, Any, None]], at: int = 0) -> bool:
    """Run *job* in a process that dies before its *at*-th step, and tell whether it outlived that."""
    pid = os.fork()
    if pid == 0:

        async def main() -> None:
            await job(Program(home, mode, Deadly(at)))

        asyncio.run(main())
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code == 0


def play(home: Path, mode: Fsync, at: int) -> bool:
    """Kill before the *at*-th step, kill the recovery, recover and compare; tell whether the script came to its end."""
    home.mkdir()
    survived = run(home, mode, Program.script, at)
    check(home, mode, at)
    return survived


def check(home: Path, mode: Fsync, at: int) -> None:
    """Recover, after a recovery that is killed too, and compare what is there with what was told."""
    before, whole, finished = traces(home), [ids(home / name) for name in LOGS], outcomes(home)
    backwards = at % 2 == 1
    run(home, mode, lambda program: program.recover(backwards=backwards), 1 + at * 7 % 31)
    assert run(home, mode, lambda program: program.recover(backwards=not backwards))
    after, told = traces(home), words(home / "told")
    for name, old in zip(LOGS, whole, strict=True):
        new = ids(home / name)
        assert new[: len(old)] == old
        assert len(new) == len(set(new)), f"a line of {name} was written twice: {new}"
        assert {event_id for _, event_id in told} <= set(new), name
        for event_id in set(new):
            assert all(after[what, event_id] for what in ("before", "after", "there"))
    for event_id in {event_id for word, event_id in told if word == "completed"}:
        assert event_id in whole[0]
    for what, event_id in finished | {("there", event_id) for event_id in whole[1]}:
        assert after[what, event_id] == before[what, event_id], f"{what} was repeated"


def words(path: Path) -> list[tuple[str, str]]:
    """Return what stands in a file, two words a line."""
    lines = path.read_text("ascii").splitlines() if path.exists() else []
    return [(what, event_id) for what, event_id in map(str.split, lines)]


def traces(home: Path) -> Counter[tuple[str, str]]:
    """Return how often each handler ran for each event."""
    return Counter(words(home / "trace"))


def ids(path: Path) -> list[str]:
    """Return the ids of the lines of a log."""
    faults: list[Exception] = []
    is_there = path.with_name(f"{path.name}.lock").exists()
    found = [record.event_id for record in records(path, faults.append)] if is_there else []
    assert not faults, faults
    return found


def outcomes(home: Path) -> set[tuple[str, str]]:
    """Return which handlers have finished, as far as the journals know."""
    journals = [path for name in LOGS for path in home.glob(f"{name}.journal*")]
    found = [json.loads(line) for path in journals for line in path.read_bytes().splitlines()]
    names = {"before", "after", "there"}
    known = [(_name(one["handler"]), one["id"]) for one in found if one["op"] == "outcome"]
    return {(what, event_id) for what, event_id in known if what in names}


def _name(key: str) -> str:
    return key.rpartition("#")[0].rpartition(".")[2]


def play_all(home: Path, mode: Fsync) -> int:
    """Do `play` for every step, and return how many there are."""
    for at in count(1):
        if play(home / str(at), mode, at):
            return at - 1
    raise AssertionError


def play_traced(home: Path, mode: Fsync) -> int:
    """Have the kernel kill a process before each of `CALLS`, recover and compare, and return how many there are."""
    for number, (call, at) in enumerate(CALLS, 1):
        place = home / str(number)
        place.mkdir()
        ends = ["", ".lock", ".journal", ".000001", ".000002"]
        paths = [part for name in LOGS for end in ends for part in ("-P", str(place / f"{name}{end}"))]
        trace = ["strace", "-f", "-qq", "-o", os.devnull, "-P", str(place), *paths, "-e", f"trace={call}"]
        script = [sys.executable, __file__, "script", str(place), mode]
        inject = f"inject={call}:signal=KILL:when={at}"
        done = subprocess.run([*trace, "-e", inject, *script], stdout=subprocess.PIPE, check=False)
        assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), f"{call} {at}: {done.returncode}"
        check(place, mode, number)
    return len(CALLS)


if __name__ == "__main__":
    action, place, level = sys.argv[1:]
    plays: dict[str, Callable[[Path, Any], int]] = {"all": play_all, "traced": play_traced}
    if action in plays:
        sys.stdout.write(f"points {plays[action](Path(place), level)}\n")
    else:
        run_here = Program(Path(place), level, Disk()).script  # pyright: ignore[reportArgumentType] - see above
        asyncio.run(run_here())
