"""`bubus worker`: real processes on a real server, killed, restarted and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from bubus import BaseEvent, EventBus
from bubus.bridges.nats import NatsBridge
from bubus.cli._command import bubus
from tests.bridge_engines import new_stream, shared
from tests.servers import NatsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.outside,
    pytest.mark.skipif(sys.platform == "win32", reason="a test cannot send signals there"),
]

PATIENCE = 40.0

PROGRAM = """
import asyncio, os, sqlite3
from bubus import BaseEvent, EventBus

class Done(BaseEvent[int]):
    number: int
    seconds: float = 0.0

def make():
    bus = EventBus(f"Worker{os.environ['BUBUS_WORKER']}")

    @bus.on(Done)
    async def write(event: Done) -> int:
        await asyncio.sleep(event.seconds)
        with sqlite3.connect(os.environ["EFFECTS"], timeout=10) as db:
            db.execute("insert into effects values (?, ?, ?)", (event.event_id, event.number, os.getpid()))
        return os.getpid()

    return bus
"""


class Done(BaseEvent[int]):
    """What the workers handle."""

    number: int
    seconds: float = 0.0


class Shop:
    """A folder with a program, and what its workers have done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stream = new_stream()
        (folder / "shop.py").write_text(PROGRAM)
        with self.db() as db:
            db.execute("create table effects (id text, number integer, pid integer)")

    @contextlib.contextmanager
    def db(self) -> Generator[sqlite3.Connection]:
        """Open the effects."""
        with contextlib.closing(sqlite3.connect(self.folder / "effects.db", timeout=10)) as db, db:
            yield db

    def effects(self) -> list[tuple[str, int, int]]:
        """Return what was done: id, number, and by which process."""
        with self.db() as db:
            return db.execute("select * from effects").fetchall()

    @contextlib.contextmanager
    def workers(self, processes: int, stdout: int = subprocess.DEVNULL) -> Generator[subprocess.Popen[str]]:
        """Run workers, and end them."""
        arguments = ["--stream", self.stream, "--group", "g", "--processes", str(processes), "--lease", "1"]
        process = subprocess.Popen(
            [sys.executable, "-m", "bubus", "worker", "shop:make", *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(Path.cwd()),
                "EFFECTS": str(self.folder / "effects.db"),
                "BUBUS_BRIDGE": shared(NatsServer).url,
            },
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Return a shop of this test."""
    return Shop(tmp_path)


async def until(condition: Callable[[], object]) -> None:
    """Return when *condition* holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.05)


async def test_workers_share_a_stream_are_replaced_and_finish_what_they_began(shop: Shop) -> None:
    """Two workers; one is killed and another takes its place; SIGTERM lets them finish, and ends with code 0."""
    async with NatsBridge(shared(NatsServer).url, stream=shop.stream) as sender:
        with shop.workers(2) as workers:
            sent = [Done(number=number, seconds=0.01) for number in range(40)]
            await asyncio.gather(*map(sender.dispatch, sent))
            first = await sender.request(Done(number=-1), timeout=PATIENCE)
            await until(lambda: len(shop.effects()) == 41)

            victim = await first.event_result()
            os.kill(victim, signal.SIGKILL)
            pids: set[int] = set()
            while len(pids) < 2:
                answer = await sender.request(Done(number=-2), timeout=PATIENCE)
                pids.add(await answer.event_result())
            assert victim not in pids

            await sender.dispatch(slow := Done(number=100, seconds=1.0))
            await asyncio.sleep(0.4)
            workers.send_signal(signal.SIGTERM)
            _, said = await asyncio.to_thread(workers.communicate, timeout=PATIENCE)
    assert workers.returncode == 0
    assert "ended (SIGKILL); another starts" in said
    done = [event_id for event_id, number, _ in shop.effects() if number >= 0]
    assert sorted(done) == sorted([event.event_id for event in sent] + [slow.event_id])
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_terminal_gets_a_line_per_second_and_workers_end_with_their_parent(shop: Shop) -> None:
    """It says how many work and what is done; a parent that is killed leaves no worker behind."""
    theirs, ours = os.openpty()
    try:
        async with NatsBridge(shared(NatsServer).url, stream=shop.stream) as sender:
            with shop.workers(1, stdout=ours):
                answer = await sender.request(Done(number=1), timeout=PATIENCE)
                pid = await answer.event_result()
                text = ""
                while "done 1 " not in text:
                    text += (await asyncio.to_thread(os.read, theirs, 4096)).decode()
            await until(lambda: not _lives(pid))
    finally:
        os.close(theirs)
        os.close(ours)
    assert re.search(
        r"^\d\d:\d\d:\d\d  1 of 1 workers  done 1 \(\+\d/s\)  in flight 0  failed 0  dead letters 0  restarts 0\s*$",
        text,
        re.MULTILINE,
    )


def some_bus() -> EventBus:
    """Return a bus, as a program's function does."""
    return EventBus()


async def later_bus() -> EventBus:
    """Return a bus, but not at once."""
    return EventBus()


def bus_of_later() -> object:
    """Return what has to be awaited."""
    return later_bus()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("target", "url", "message"),
    [
        ("shop", "nats://127.0.0.1:1", "must be module:bus"),
        ("nowhere_at_all:bus", "nats://127.0.0.1:1", "there is no module nowhere_at_all"),
        ("json:dumps_", "nats://127.0.0.1:1", "the module json has no dumps_; name what is an EventBus there"),
        ("__main__:bus", "nats://127.0.0.1:1", "such as app for app.py"),
        ("shop.py:bus", "nats://127.0.0.1:1", "shop.py is a file; name the module, shop"),
        ("./src/shop/events.py:bus", "nats://127.0.0.1:1", "name the module, src.shop.events"),
        ("/srv/shop.py:bus", "nats://127.0.0.1:1", "name the module, shop"),
        ("..:bus", "nats://127.0.0.1:1", ".. is no module; name the module, shop.events for shop/events.py"),
        ("tests.test_cli_worker:later_bus", "nats://127.0.0.1:1", "later_bus is async"),
        ("tests.test_cli_worker:bus_of_later", "nats://127.0.0.1:1", "bus_of_later is async"),
        ("bubus:__all__", "nats://127.0.0.1:1", "not an EventBus"),
        ("tests.test_cli_worker:nothing", "http://x", "has no nothing"),
        ("tests.test_cli_worker:some_bus", "http://u:secret@x", "begins with one of nats, tls, redis, rediss, unix"),
    ],
)
def test_what_cannot_work_is_an_error_at_once(target: str, url: str, message: str) -> None:
    """Exit code 2, with what is wrong; trying again would not help, so that the supervisor ends too."""
    arguments: list[Any] = ["worker", target, "--bridge", url, "--group", "g", "--alone"]
    result = CliRunner().invoke(bubus, arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "secret" not in result.output


def test_a_supervisor_ends_when_its_workers_cannot_work(tmp_path: Path) -> None:
    """It does not start them again and again."""
    done = subprocess.run(
        [sys.executable, "-m", "bubus", "worker", "nowhere:bus", "--bridge", "nats://127.0.0.1:1", "--group", "g"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no module nowhere" in done.stderr


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os\nos.environ['NOT_SET_ANYWHERE']\n", "KeyError: 'NOT_SET_ANYWHERE'"),
        ("def bus(:\n", "SyntaxError: invalid syntax"),
        ("raise SystemExit('not here')\n", "SystemExit: not here"),
        ("def bus():\n    raise OSError('no database')\n", "OSError: no database"),
    ],
)
def test_a_program_that_cannot_be_loaded_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    """With code 3, what it raised, and where."""
    (tmp_path / "broken_shop.py").write_text(program)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "broken_shop", raising=False)
    importlib.invalidate_caches()
    result = CliRunner().invoke(
        bubus, ["worker", "broken_shop:bus", "--bridge", "nats://127.0.0.1:1", "--group", "g", "--alone"]
    )

    assert result.exit_code == 3
    assert reason in result.output
    assert "Traceback" not in result.output


def test_where_no_worker_has_worked_none_is_started_again(shop: Shop) -> None:
    """A module that cannot be imported ends all of them at once, with code 3."""
    (shop.folder / "shop.py").write_text("raise RuntimeError('unfinished')\n")
    with shop.workers(2) as workers:
        _, said = workers.communicate(timeout=PATIENCE)

    assert workers.returncode == 3
    assert "the module shop cannot be imported" in said
    assert "another starts" not in said


async def test_a_module_that_breaks_later_is_tried_again(shop: Shop) -> None:
    """While a worker was at work its program was replaced by a broken one; when that is mended, work goes on."""
    async with NatsBridge(shared(NatsServer).url, stream=shop.stream) as sender:
        with shop.workers(1) as workers:
            first = await sender.request(Done(number=1), timeout=PATIENCE)
            (shop.folder / "shop.py").write_text("raise RuntimeError('half written')\n")
            os.kill(await first.event_result(), signal.SIGKILL)
            assert workers.stderr is not None
            said = ""
            while "(exit code 3); another starts" not in said:
                said += await asyncio.to_thread(workers.stderr.readline)
            (shop.folder / "shop.py").write_text(PROGRAM)
            second = await sender.request(Done(number=2), timeout=PATIENCE)

            assert await second.event_result() != await first.event_result()
    assert "the module shop cannot be imported" in said
