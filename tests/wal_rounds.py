"""
Kill a writer again and again, at random moments, and look at what it leaves.

Usage: python wal_rounds.py DIR ROUNDS SEED

Each round forks a process that writes and tells through a pipe what was acknowledged. It has one thread only while it
forks, and no test runner around it.
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

sys.path.insert(0, str(Path(__file__).parents[1]))

from bubus.wal import WriteAheadLog, records
from tests.wal_child import forever
from tests.wal_faults import Acks

if TYPE_CHECKING:
    from bubus.errors import LogDamagedError
    from bubus.wal import Fsync

MODES: tuple[Fsync, ...] = ("no", "everysec", "always")


@attrs.define
class Totals:
    """What all rounds came to."""

    rounds: int = 0
    accepted: int = 0
    completed: int = 0
    torn: int = 0
    recovered: int = 0


def play(path: Path, number: int, chance: random.Random, totals: Totals) -> None:
    """Write, kill, recover and compare once."""
    mode, ahead = chance.choice(MODES), chance.random() < 0.5
    before = [record.event_id for record in records(path)] if path.exists() else []
    lines = _kill(path, number, mode, ahead=ahead, chance=chance)
    accepted = {line.split()[1] for line in lines if line.startswith("accepted")}
    completed = {line.split()[1] for line in lines if line.startswith("completed")}
    faults: list[LogDamagedError] = []
    whole = [record.event_id for record in records(path, faults.append)]
    assert len(faults) <= 1, faults
    assert all("torn" in fault.reason for fault in faults), faults
    totals.torn += len(faults)
    left = asyncio.run(_recover(path, whole))
    after = [record.event_id for record in records(path)]
    assert after[: len(before)] == before
    assert len(after) == len(set(after)), "a line was written twice"
    assert completed <= set(whole), completed - set(whole)
    assert accepted <= set(after), accepted - set(after)
    mine = {int(event_id.partition("-")[2]) for event_id in after[len(before) :]}
    assert mine == set(range(len(mine))), mine
    totals.rounds += 1
    totals.accepted += len(accepted)
    totals.completed += len(completed)
    totals.recovered += left


def _kill(path: Path, number: int, mode: Fsync, *, ahead: bool, chance: random.Random) -> list[str]:
    batch, delay = chance.randint(1, 20), chance.uniform(0, 0.03)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        log = WriteAheadLog(path, fsync=mode, ahead=ahead, rotate_bytes=chance.choice((None, 3000)))
        asyncio.run(forever(log, str(number), batch, writer))
        os._exit(1)
    os.close(writer)
    select.select([reader], [], [], 30)
    data, end = b"", time.monotonic() + delay
    while (left := end - time.monotonic()) > 0:
        if select.select([reader], [], [], left)[0]:
            data += os.read(reader, 1 << 16)
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    while more := os.read(reader, 1 << 16):
        data += more
    os.close(reader)
    return data.decode().splitlines()


async def _recover(path: Path, whole: list[str]) -> int:
    log, acks = WriteAheadLog(path, ahead=True), Acks()
    left = await log.unfinished()
    assert not {event.event_id for event in left} & set(whole)
    for event in left:
        log.attempt(event.event_id, "app.handler#1")
        acks.add(log, event.event_id)
    log.close()
    assert acks.good == [event.event_id for event in left]
    return len(left)


if __name__ == "__main__":
    place, rounds, seed = sys.argv[1:]
    dice, sums = random.Random(int(seed)), Totals()
    for index in range(int(rounds)):
        play(Path(place) / str(index // 10) / "events.jsonl", index, dice, sums)
    sys.stdout.write(f"{sums}\n")
