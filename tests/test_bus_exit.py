"""Whole programs: they end by themselves, at once, and write nothing to stderr (R2)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.programs import complaints

WATCHDOG = 30.0
"""Seconds after which a program counts as hanging."""

DEFINITIONS = """
import asyncio
from bubus import BaseEvent, EventBus

class Ping(BaseEvent[str]):
    n: int = 0

class Outer(BaseEvent[str]):
    pass

async def pong(event: Ping) -> str:
    await asyncio.sleep(0)
    return "pong"

inside = asyncio.Event()

async def for_ever(event: Ping) -> str:
    inside.set()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        print("finally")
    return "never"
"""

IDLE = """
async def main() -> None:
    bus = EventBus()
    bus.on(Ping, pong)
    print(await (await bus.dispatch(Ping())).event_result())
"""

IDLE_AT_MODULE_LEVEL = """
bus = EventBus()
bus.on(Ping, pong)
async def main() -> None:
    print(await bus.dispatch(Ping()).event_result())
"""

NESTED = """
async def main() -> None:
    first, second = EventBus(), EventBus()
    first.on("*", second.dispatch)
    second.on(Ping, pong)
    async def outer(event: Outer) -> str:
        return str(await first.dispatch(Ping()).event_result())
    first.on(Outer, outer)
    print(await first.dispatch(Outer()).event_result())
"""

NEVER_USED = """
async def main() -> None:
    bus = EventBus()
    bus.on(Ping, pong)
    print("pong")
"""

QUEUED = """
bus = EventBus()
bus.on(Ping, pong)
async def main() -> None:
    for n in range(10):
        bus.dispatch(Ping(n=n))
    print("pong")
"""

RUNNING = """
bus = EventBus()
bus.on(Ping, for_ever)
async def main() -> None:
    bus.dispatch(Ping(event_timeout=None))
    bus.dispatch(Ping(event_timeout=None))
    await inside.wait()
    print("pong")
"""

WAITING = """
bus = EventBus()
bus.on(Ping, for_ever)
async def outer(event: Outer) -> str:
    await bus.dispatch(Ping())
    return "never"
bus.on(Outer, outer)
async def wait(event) -> None:
    await event
async def main() -> None:
    tasks = [asyncio.create_task(wait(bus.dispatch(Outer()))) for _ in range(3)]
    await inside.wait()
    print("pong")
"""

EXPECTING = """
bus = EventBus()
async def wait() -> None:
    await bus.expect(Ping, timeout=3600)
async def main() -> None:
    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    print("pong")
"""

ALL_USED_AGAIN = """
bus = EventBus()
bus.on(Ping, for_ever)
async def leave() -> None:
    bus.dispatch(Ping())
    await inside.wait()
asyncio.run(leave())
async def main() -> None:
    other = EventBus()
    bus.on(Outer, lambda event: "pong")
    print(await bus.dispatch(Outer()).event_result())
"""

PROGRAMS = {
    "idle": (IDLE, "pong\n"),
    "idle at module level": (IDLE_AT_MODULE_LEVEL, "pong\n"),
    "nested and forwarded": (NESTED, "pong\n"),
    "never used": (NEVER_USED, "pong\n"),
    "events queued": (QUEUED, "pong\n"),
    "handler running": (RUNNING, "pong\nfinally\n"),
    "tasks waiting": (WAITING, "pong\nfinally\n"),
    "somebody expecting": (EXPECTING, "pong\n"),
    "used in a second loop": (ALL_USED_AGAIN, "finally\npong\n"),
}

RUNS = {
    "asyncio": "asyncio.run(main())",
    "uvloop": "import uvloop\nuvloop.run(main())",
    "eager": """
import sys
def factory():
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop
with asyncio.Runner(loop_factory=factory if sys.version_info >= (3, 12) else None) as runner:
    runner.run(main())
""",
}


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run *program* in development mode, every warning an error."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=WATCHDOG,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )


@pytest.mark.parametrize("how", RUNS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_R2_a_program_ends_by_itself(program: str, how: str) -> None:
    """Whatever its buses are doing, the program ends without `stop`, with an empty stderr."""
    if how == "uvloop":
        pytest.importorskip("uvloop")
    code, output = PROGRAMS[program]
    done = run(f"{DEFINITIONS}\n{code}\n{RUNS[how]}\n")

    assert complaints(done.stderr) == []
    assert (done.stdout, done.returncode) == (output, 0)


def test_R2_an_error_of_the_program_is_all_that_stderr_shows() -> None:
    """When main fails while handlers run, the traceback ends with its error and nothing else is reported."""
    program = f"""{DEFINITIONS}
bus = EventBus()
bus.on(Ping, for_ever)
async def main() -> None:
    bus.dispatch(Ping())
    await inside.wait()
    raise RuntimeError("of main")
asyncio.run(main())
"""
    done = run(program)

    assert (done.stdout, done.returncode) == ("finally\n", 1)
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith("RuntimeError: of main\n")
    assert done.stderr.count("Traceback") == 1
