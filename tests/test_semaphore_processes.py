"""The multiprocess semaphore among real processes, some of which are killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import attrs
import pytest

from bubus._retry import retry

if TYPE_CHECKING:
    from collections.abc import Generator

WORKER = Path(__file__).with_name("semaphore_worker.py")
ROOT = WORKER.parent.parent


@attrs.define
class Worker:
    """A process of semaphore_worker.py."""

    process: subprocess.Popen[str]
    killed_at: int = 0

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self.process.pid

    def read(self) -> str:
        """Return its next line."""
        return _stream(self.process.stdout).readline().strip()

    def go(self) -> None:
        """Let it begin."""
        stdin = _stream(self.process.stdin)
        stdin.write("go\n")
        stdin.flush()

    def kill(self) -> None:
        """End it with SIGKILL, and remember when."""
        self.killed_at = time.monotonic_ns()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def count(self) -> int:
        """Wait for its end; return how often it was inside."""
        count, _longest = self.read().split()
        assert self.process.wait(30) == 0
        return int(count)


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@contextlib.contextmanager
def workers(number: int, directory: Path, *, limit: int, seconds: float, hold: float) -> Generator[list[Worker]]:
    """Start processes that are ready and wait for `go`; none outlives the block."""
    options = [str(directory / "slots"), str(directory / "log"), str(limit), str(seconds), str(hold)]
    started = [
        Worker(
            subprocess.Popen(
                [sys.executable, str(WORKER), *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        )
        for _ in range(number)
    ]
    try:
        assert [worker.read() for worker in started] == ["ready"] * number
        yield started
    finally:
        for worker in started:
            worker.process.kill()
            worker.process.communicate()


def peak(log: Path, killed: dict[int, int]) -> int:
    """Return how many were inside at once; one that was killed inside left when it was killed."""
    changes: list[tuple[int, int]] = []
    inside: set[int] = set()
    for line in log.read_text().splitlines():
        pid, what, moment = line.split()
        changes.append((int(moment), 1 if what == "enter" else -1))
        (inside.add if what == "enter" else inside.discard)(int(pid))
    assert inside <= set(killed)
    changes += [(killed[pid], -1) for pid in inside]
    now = highest = 0
    for _, change in sorted(changes):
        now += change
        highest = max(highest, now)
    assert now == 0
    return highest


@pytest.mark.outside
def test_R54_eight_processes_three_of_them_killed(tmp_path: Path) -> None:
    """Never are more than three inside, whoever is killed wherever, and all five survivors finish their work."""
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    with workers(8, tmp_path, limit=3, seconds=3, hold=0.01) as eight:
        for worker in eight:
            worker.go()
        victims = chance.sample(eight, 3)
        for victim in victims:
            time.sleep(chance.uniform(0.1, 0.8))
            victim.kill()
        survivors = [worker for worker in eight if worker not in victims]
        counts = [worker.count() for worker in survivors]

    killed = {worker.pid: worker.killed_at for worker in victims}
    assert peak(tmp_path / "log", killed) == 3, f"seed {seed}"
    assert min(counts) > 0, f"seed {seed}"


@pytest.mark.outside
def test_R54_no_process_starves(tmp_path: Path) -> None:
    """Eight processes that ask again at once after each release all get a fair part: none less than a quarter of it."""
    with workers(8, tmp_path, limit=1, seconds=6, hold=0.005) as eight:
        for worker in eight:
            worker.go()
        counts = [worker.count() for worker in eight]

    assert min(counts) >= sum(counts) / len(counts) / 4, counts
    assert peak(tmp_path / "log", {}) == 1


def test_R54_a_killed_holder_frees_its_slot_within_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL of the process that is inside lets the next one in at once; until then it waits."""
    monkeypatch.setenv("BUBUS_SEMAPHORE_DIR", str(tmp_path / "slots"))

    @retry(retries=0, semaphore_limit=1, semaphore_name="w", semaphore_scope="multiprocess", semaphore_timeout=1)
    def enter() -> bool:
        return True

    with workers(1, tmp_path, limit=1, seconds=60, hold=3600) as (holder,):
        holder.go()
        while not (tmp_path / "log").exists() or not (tmp_path / "log").read_bytes().endswith(b"\n"):
            time.sleep(0.01)
        with pytest.raises(TimeoutError):
            enter()
        holder.kill()
        assert enter()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_R54_a_forked_child_inherits_neither_locks_nor_holders(tmp_path: Path) -> None:
    """
    A killed holder's slot is free although a child that it forked lives on.

    In the child all slots of the process are free as well: the holders are the parent's.
    """
    program = """
import os, sys, time
from bubus.helpers import retry
from bubus._semaphores import named

@retry(retries=0, timeout=None, semaphore_limit=1, semaphore_name="w", semaphore_scope="multiprocess")
@retry(retries=0, timeout=None, semaphore_limit=1, semaphore_name="w")
def hold():
    if os.fork() == 0:
        assert named("w").take(1)
        print("child", flush=True)
    time.sleep(60)

hold()
"""
    environment = {**os.environ, "BUBUS_SEMAPHORE_DIR": str(tmp_path / "slots"), "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert _stream(parent.stdout).readline() == "child\n"
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(30)
        os.killpg(parent.pid, 0)  # the child is still there

        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("BUBUS_SEMAPHORE_DIR", str(tmp_path / "slots"))
            enter = retry(
                retries=0, semaphore_limit=1, semaphore_name="w", semaphore_scope="multiprocess", semaphore_timeout=1
            )(lambda: True)
            assert enter()
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate()


def test_R52_scripts_do_not_share_by_being_main(tmp_path: Path) -> None:
    """Two scripts both have a `__main__.work`; between processes their files tell them apart."""
    script = """
from bubus.helpers import retry
@retry(retries=0, semaphore_limit=1, semaphore_scope="multiprocess")
def work(): pass
work()
"""
    environment = {**os.environ, "BUBUS_SEMAPHORE_DIR": str(tmp_path / "slots"), "PYTHONPATH": str(ROOT)}
    for name in ("one.py", "two.py", "one.py"):
        (tmp_path / name).write_text(script)
        subprocess.run([sys.executable, str(tmp_path / name)], env=environment, check=True, timeout=60)

    slots = {file.name for file in (tmp_path / "slots").iterdir() if ".turn." not in file.name}
    assert len(slots) == 2
