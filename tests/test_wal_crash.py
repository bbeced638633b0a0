"""Crashes: the process killed at any moment and before any step, and the power cut."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

from bubus.wal import WriteAheadLog, records
from tests.wal_faults import Crash, FaultDisk, Plan, PowerDisk, log_on, parts

if TYPE_CHECKING:
    from bubus.errors import LogWriteError
    from bubus.wal import Fsync

pytestmark = pytest.mark.outside

HERE = Path(__file__).parent
MODES: tuple[Fsync, ...] = ("no", "everysec", "always")
EVENTS = 10
ROUNDS = int(os.environ.get("BUBUS_KILLS", "200"))
CUTS = int(os.environ.get("BUBUS_POWER_CUTS", "150"))


def ids(path: Path) -> list[str]:
    """Return the ids of all lines of a log, which must be without fault."""
    return [record.event_id for record in records(path)]


@pytest.mark.timeout(300)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_C1_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    """200 kills at random moments, all policies, with rotation and journal; `wal_rounds.play` says what must hold."""
    seed = random.randrange(1 << 30)
    done = subprocess.run(
        [sys.executable, str(HERE / "wal_rounds.py"), str(tmp_path), str(ROUNDS), str(seed)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"seed {seed}\n{done.stdout}\n{done.stderr}"
    assert f"rounds={ROUNDS}," in done.stdout
    shutil.rmtree(tmp_path)


@attrs.define
class Told:
    """What a program was told before its process died."""

    tried: list[str] = attrs.Factory(list[str])
    accepted: list[str] = attrs.Factory(list[str])
    completed: list[str] = attrs.Factory(list[str])


async def story(log: WriteAheadLog, told: Told, prefix: str) -> None:
    """Run what was left over and twelve new events, in pairs; each third one never ends."""
    for event in await log.unfinished():
        log.attempt(event.event_id, "app.handler#1")
        await complete(log, told, event.event_id)
    for number in range(0, 12, 2):
        await asyncio.gather(*(run(log, told, f"{prefix}{number + more}") for more in range(2)))


async def run(log: WriteAheadLog, told: Told, event_id: str) -> None:
    """Do what a bus does with an event that has one handler."""
    told.tried.append(event_id)
    if log.ahead:
        ready = asyncio.get_running_loop().create_future()
        head, payload, _ = parts(event_id)
        log.accept(event_id, head, payload, partial(_settle, ready))
        await ready
        told.accepted.append(event_id)
        log.attempt(event_id, "app.handler#1")
        await asyncio.sleep(0)
        log.outcome(event_id, "app.handler#1", b"{}")
    if not (log.ahead and event_id.endswith("3")):
        await complete(log, told, event_id)


async def complete(log: WriteAheadLog, told: Told, event_id: str) -> None:
    """Write the line of an event."""
    written = asyncio.get_running_loop().create_future()
    log.append(event_id, *parts(event_id), partial(_settle, written))
    await written
    told.completed.append(event_id)


def _settle(future: asyncio.Future[None], error: LogWriteError | None) -> None:
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


async def play(disk: FaultDisk, path: Path, told: Told, mode: Fsync, prefix: str, *, ahead: bool) -> bool:
    """Open the log on *disk*, tell the story, close it, and return whether the process outlived that."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_ignore_death)
    death = loop.create_future()
    disk.on_death = lambda: loop.call_soon_threadsafe(death.cancel)
    with contextlib.suppress(Crash):
        log = log_on(disk)(path, fsync=mode, ahead=ahead, rotate_bytes=700)
        try:
            task = loop.create_task(story(log, told, prefix))
            await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
            task.cancel()
            await asyncio.wait({task})
            if not disk.is_dead:
                task.result()
                log.close()
        finally:
            if disk.is_dead:
                log.after_fork()  # as if all this were another process: nothing is written, nothing freed
    survived = not disk.is_dead
    disk.die()
    return survived


def _ignore_death(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    if not isinstance(context.get("exception"), Crash):
        loop.default_exception_handler(context)


def check(path: Path, told: Told, *, ahead: bool) -> None:
    """Check that opening succeeds, that nothing told is missing, and that nothing is there twice or never was."""
    found = asyncio.run(recover(path, ahead=ahead))
    assert len(found) == len(set(found))
    assert set(told.completed) <= set(found)
    assert set(told.accepted) <= set(found)
    assert set(found) <= set(told.tried)


async def recover(path: Path, *, ahead: bool) -> list[str]:
    """Open the log as the next process would, write what was left over, and return all ids."""
    log, told = log_on(FaultDisk())(path, ahead=ahead), Told()
    for event in await log.unfinished():
        await complete(log, told, event.event_id)
    log.close()
    return ids(path)


def dying(step: int) -> FaultDisk:
    """Return a disk whose process dies before the *step*-th step."""
    disk = FaultDisk()
    disk.plan = Plan("*", step, crash=True)
    return disk


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ahead", [False, True])
def test_C2_C4_killed_before_every_step(
    tmp_path: Path, mode: Fsync, monkeypatch: pytest.MonkeyPatch, *, ahead: bool
) -> None:
    """Dead before its n-th step, for every n, and again while what that left is recovered: nothing told is lost."""
    monkeypatch.setattr("bubus.wal._journal._SMALL", 1500)
    for step in range(1, 1000):
        path, told = tmp_path / str(step) / "events.jsonl", Told()
        survived = [
            asyncio.run(play(dying(at), path, told, mode, prefix, ahead=ahead))
            for prefix, at in (("a", step), ("b", 1 + step * 7 % 23))
        ]
        check(path, told, ahead=ahead)
        if survived[0]:
            break
    else:
        pytest.fail("the story has no end")
    assert step > 30


CALLS = ("openat", "write", "ftruncate", "fdatasync", "fsync", "rename")


@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(("mode", "ahead"), [("no", "plain"), ("always", "ahead")])
def test_C2_killed_by_the_kernel_before_every_system_call(tmp_path: Path, mode: Fsync, ahead: str) -> None:
    """A real process, killed at its n-th call of each kind that touches the log, has lost nothing it was told."""
    points = sum(_kill_at_every(call, tmp_path, mode, ahead) for call in CALLS)
    assert points > 10


def _kill_at_every(call: str, home: Path, mode: Fsync, ahead: str) -> int:
    for number in range(1, 200):
        path = home / f"{call}{number}" / "events.jsonl"
        path.parent.mkdir()
        done = _traced(path, call, f"signal=KILL:when={number}", mode, ahead)
        told = Told([str(number) for number in range(EVENTS)])
        for word, event_id in map(str.split, done.stdout.splitlines()):
            (told.accepted if word == "accepted" else told.completed).append(event_id)
        check(path, told, ahead=ahead == "ahead")
        if done.returncode == 0:
            assert len(told.completed) == EVENTS
            return number - 1
    pytest.fail("the script has no end")


def _traced(path: Path, call: str, fault: str, mode: Fsync, ahead: str) -> subprocess.CompletedProcess[str]:
    names = ["", ".lock", ".journal", ".broken", *(f".{number:06}" for number in range(1, 9))]
    paths = [part for name in names for part in ("-P", f"{path}{name}")]
    trace = ["strace", "-f", "-qq", "-o", os.devnull, "-P", str(path.parent), *paths, "-e", f"trace={call}"]
    script = [sys.executable, str(HERE / "wal_child.py"), "script", str(path), mode, ahead, str(EVENTS)]
    return subprocess.run(
        [*trace, "-e", f"inject={call}:{fault}", *script], stdout=subprocess.PIPE, text=True, check=False
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ahead", [False, True])
def test_C3_the_power_is_cut(tmp_path: Path, mode: Fsync, monkeypatch: pytest.MonkeyPatch, *, ahead: bool) -> None:
    """
    Any state that a disk may have after a power cut opens; "always" has lost nothing that was told, the others keep the
    first lines without a hole.
    """
    monkeypatch.setattr("bubus.wal._journal._SMALL", 1500)
    seed = random.randrange(1 << 30)
    for cut in range(CUTS):
        chance = random.Random(f"{seed} {cut}")
        home, after = tmp_path / f"{cut}", tmp_path / f"{cut} after"
        told, disk = Told(), PowerDisk()
        disk.plan = Plan("*", chance.randint(1, 120), crash=True)
        survived = asyncio.run(play(disk, home / "events.jsonl", told, mode, "a", ahead=ahead))
        disk.cut_power(chance, after)
        try:
            check_power(after / "events.jsonl", told, mode, ahead=ahead, survived=survived)
        except BaseException as error:
            error.add_note(f"seed {seed}, cut {cut}")
            raise


def check_power(path: Path, told: Told, mode: Fsync, *, ahead: bool, survived: bool) -> None:
    """Check what a power cut left."""
    if mode == "always" or (survived and mode == "everysec"):
        check(path, told, ahead=ahead)
        return
    asyncio.run(recover(path, ahead=ahead))
    seqs = [record.seq for record in records(path)]
    assert seqs == list(range(1, len(seqs) + 1))
