"""Whole programs on different loops (R2, R28, R37, F2, F7): they end by themselves, rightly and silently."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import complaints

PRELUDE = """
import asyncio, gc, logging, os, signal, sys, time
from typing import Any
from bubus import BaseEvent, EventBus

logging.getLogger("bubus").addHandler(logging.NullHandler())  # reports of failed handlers are no noise of the loop

class Job(BaseEvent[str]):
    label: str = ""

class Child(BaseEvent[str]):
    pass

async def forever() -> None:
    await asyncio.get_running_loop().create_future()

async def hang(event: BaseEvent[Any]) -> str:
    try:
        await forever()
    finally:
        print("cleaned", flush=True)
    return "never"

def answer(event: BaseEvent[Any]) -> str:
    return "ok"

async def later(event: BaseEvent[Any]) -> str:
    await asyncio.sleep(0)
    return "later"

def start(main: Any) -> None:
    how = sys.argv[1]
    if how == "uvloop":
        import uvloop
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    elif how == "eager":
        with asyncio.Runner() as runner:
            runner.get_loop().set_task_factory(asyncio.eager_task_factory)
            runner.run(main())
    else:
        asyncio.run(main())
"""

IDLE = """
async def main() -> None:
    bus = EventBus()
    bus.on(Job, answer)
    bus.on(Job, later)
    print(await bus.dispatch(Job()).event_results_list())

bus = EventBus()
bus.on(Job, answer)
start(main)
"""

MIDWAY = """
bus, other, wide = EventBus(), EventBus(), EventBus(parallel_handlers=True)

async def parent(event: Job) -> str:
    await other.dispatch(Child())
    return "never"

async def main() -> None:
    bus.on(Job, parent)
    bus.on("*", wide.dispatch)
    other.on(Child, hang)
    wide.on(Job, hang)
    wide.on(Job, later)
    wide.dispatch(Job())
    for _ in range(3):
        bus.dispatch(Job())
    waiting = asyncio.ensure_future(bus.expect(Child))
    for _ in range(5):
        await asyncio.sleep(0)
    bus.dispatch(Job(label="last moment"))

start(main)
gc.collect()
print(sorted({event.event_status for each in (bus, other, wide) for event in each.event_history.values()}))
"""

DROPPED = """
async def main() -> None:
    for _ in range(10):
        bus = EventBus()
        bus.on(Job, hang)
        bus.dispatch(Job())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del bus
        gc.collect()
    print("end of main", flush=True)

start(main)
"""

FAULTS = """
async def fail(event: Job) -> str:
    raise ValueError(event.label)

async def cancelled(event: Job) -> str:
    raise asyncio.CancelledError

async def main() -> None:
    bus = EventBus(parallel_handlers=True, cancel_grace=0.01)
    for handler in (fail, cancelled, hang, answer):
        bus.on(Job, handler)
    event = await bus.dispatch(Job(event_timeout=0.01))
    print(sorted(type(each.error).__name__ for each in event.event_results.values()))
    task = asyncio.ensure_future(bus.dispatch(Job(event_timeout=0.01)).event_result())
    await asyncio.sleep(0)
    task.cancel()
    await bus.wait_until_idle()
    await bus.stop()

start(main)
gc.collect()
"""

LEAVING = """
async def leave(event: Job) -> str:
    await asyncio.sleep(0)
    raise SystemExit(3)

async def main() -> None:
    bus = EventBus()
    bus.on(Job, leave)
    bus.on(Job, answer)
    event = bus.dispatch(Job())
    try:
        await event
    finally:
        print([each.status for each in event.event_results.values()], flush=True)

start(main)
"""

# A shell that starts jobs in the background lets them ignore Ctrl-C; the program must not inherit that.
INTERRUPTED = """
signal.signal(signal.SIGINT, signal.default_int_handler)

async def main() -> None:
    bus = EventBus()
    bus.on(Job, hang)
    event = bus.dispatch(Job())
    asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
    await event

try:
    start(main)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""

INTERRUPTED_TWICE = """
signal.signal(signal.SIGINT, signal.default_int_handler)

async def block(event: Job) -> str:
    await asyncio.sleep(0)
    for _ in range(2):  # the first cancels main, the second is raised here
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
    return "never"

async def main() -> None:
    bus = EventBus()
    bus.on(Job, block)
    await bus.dispatch(Job())

try:
    start(main)
except KeyboardInterrupt:
    print("interrupted", flush=True)
gc.collect()
"""

TWO_LOOPS = """
bus = EventBus()
bus.on(Job, answer)
bus.on(Job, later)

async def main() -> None:
    bus.dispatch(Job())
    print(await bus.dispatch(Job()).event_results_list())
    bus.dispatch(Job())

start(main)
start(main)
"""

ORDER = """
async def main() -> None:
    bus, other = EventBus(), EventBus()
    seen = []

    async def note(event: Job) -> str:
        seen.append(event.label)
        await asyncio.sleep(0)
        seen.append(event.label.upper())
        return event.label

    async def parent(event: Child) -> str:
        late, early = bus.dispatch(Job(label="late")), bus.dispatch(Job(label="early"))
        far = other.dispatch(Job(label="far"))
        await early
        await far
        return "parent"

    bus.on(Job, note)
    other.on(Job, note)
    bus.on(Child, parent)
    bus.dispatch(Job(label="a"))
    bus.dispatch(Child())
    await bus.dispatch(Job(label="z"))
    await bus.wait_until_idle()
    near = [label for label in seen if label.lower() != "far"]
    print("".join(label[0] for label in near), seen.index("FAR") > seen.index("EARLY"))

start(main)
"""

PROGRAMS = {
    "idle": (IDLE, 0, ["['ok', 'later']"]),
    "midway": (MIDWAY, 0, ["cleaned", "cleaned", "['completed']"]),
    "dropped": (DROPPED, 0, ["end of main", *["cleaned"] * 10]),
    "faults": (FAULTS, 0, ["cleaned", "['HandlerCancelled', 'HandlerTimeout', 'NoneType', 'ValueError']", "cleaned"]),
    "leaving": (LEAVING, 3, ["['error', 'completed']"]),
    "interrupted": (INTERRUPTED, 0, ["cleaned", "interrupted"]),
    "interrupted_twice": (INTERRUPTED_TWICE, 0, ["interrupted"]),
    "two_loops": (TWO_LOOPS, 0, ["['ok', 'later']"] * 2),
    "order": (ORDER, 0, ["aAeEzZlL True"]),
}

has_uvloop = importlib.util.find_spec("uvloop") is not None
MODES = [
    pytest.param("plain", [], id="plain"),
    pytest.param("plain", ["-X", "dev", "-W", "error"], id="dev"),
    pytest.param("plain", ["-O"], id="optimised"),
    pytest.param("uvloop", [], id="uvloop", marks=pytest.mark.skipif(not has_uvloop, reason="needs uvloop")),
    pytest.param(
        "uvloop", ["-X", "dev"], id="uvloop-dev", marks=pytest.mark.skipif(not has_uvloop, reason="needs uvloop")
    ),
    pytest.param(
        "eager", [], id="eager", marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks: Python 3.12")
    ),
]


def run(program: str, loop: str, options: list[str]) -> subprocess.CompletedProcess[str]:
    """Run *program* in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, *options, "-c", PRELUDE + program, loop],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize(("loop", "options"), MODES)
def test_R2_programs_end_by_themselves(name: str, loop: str, options: list[str]) -> None:
    """Each program ends without `stop()`, with the expected output and exit code, and nothing on stderr."""
    program, code, expected = PROGRAMS[name]
    done = run(program, loop, options)
    assert complaints(done.stderr) == []
    assert done.stdout.splitlines() == expected
    assert done.returncode == code


QUICK = """
import atexit

async def main() -> None:
    bus = EventBus()
    bus.on(Job, answer)
    await bus.dispatch(Job())
    end = time.monotonic()
    atexit.register(lambda: print(time.monotonic() - end))

start(main)
"""


def test_R2_a_forgotten_bus_does_not_delay_the_exit() -> None:
    """After `main` has returned the program is over at once (a watchdog of 2.5 s for 0.5 s)."""
    assert float(run(QUICK, "plain", []).stdout) < 2.5


WAKE_UPS = """
turns = 0

async def main() -> None:
    buses = [EventBus(name=f"idle{number}") for number in range(20)]
    for bus in buses:
        bus.on(Job, later)
        await bus.dispatch(Job())
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    once = loop._run_once

    def counted() -> None:
        global turns
        turns += 1
        once()

    loop._run_once = counted
    await asyncio.sleep(0.3)
    print(turns)

start(main)
"""


def test_R32_idle_buses_never_wake_the_loop() -> None:
    """While 20 used buses are idle the loop turns for the sleeper only."""
    assert int(run(WAKE_UPS, "plain", []).stdout) <= 3


BAD_INPUT = """
from bubus.errors import BubusError

def attempt(work: Any) -> str:
    try:
        work()
    except BubusError as error:
        return type(error).__name__
    return "accepted"

async def main() -> None:
    bus = EventBus()
    closed = EventBus()
    await closed.stop(clear=True)
    used = await bus.dispatch(Job())
    print(
        attempt(lambda: EventBus(name="")),
        attempt(lambda: EventBus(name="a\\nb")),
        attempt(lambda: EventBus(max_history_size=-1)),
        attempt(lambda: bus.on(3, answer)),
        attempt(lambda: bus.on(Job, 3)),
        attempt(lambda: bus.on(Job, lambda: 1)),
        attempt(lambda: bus.dispatch("text")),
        attempt(lambda: bus.dispatch(used)),
        attempt(lambda: closed.dispatch(Job())),
        attempt(lambda: Job(event_timeout=-1)),
    )

start(main)
print(attempt(lambda: EventBus().dispatch(Job())))
"""


@pytest.mark.parametrize("options", [[], ["-O"], ["-OO"]], ids=["plain", "-O", "-OO"])
def test_R37_bad_input_is_refused_under_python_O_as_well(options: list[str]) -> None:
    """No check is an `assert`: with and without optimisation the same errors are raised."""
    done = run(BAD_INPUT, "plain", options)
    assert done.stderr == ""
    assert done.stdout.split() == [
        "BusNameError",
        "BusNameError",
        "OptionError",
        "PatternError",
        "HandlerError",
        "HandlerError",
        "NotAnEventError",
        "AlreadyDispatchedError",
        "BusClosed",
        "ValidationError",
        "NoLoopError",
    ]
