"""Memory (R9, R30, R44, L2, L6): a dropped bus is gone, nothing unreachable is kept, and excess is reported."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import weakref
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bubus import BaseEvent, EventBus

if TYPE_CHECKING:
    from collections.abc import Iterator


class Job(BaseEvent[str]):
    number: int = 0


class Child(BaseEvent[str]):
    pass


class Token:
    """Something that can be watched."""


def answer(event: Job) -> str:
    return "sync"


async def answer_later(event: Job) -> str:
    await asyncio.sleep(0)
    return "async"


async def fail(event: Job) -> str:
    raise ValueError(event.event_type)


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {task for task in (asyncio.current_task(),) if task}


@pytest.fixture
def no_gc() -> Iterator[None]:
    """Switch the cycle collector off, so that only references count."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# --- buses ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_gc")
def test_R30_a_fresh_bus_has_no_cycle() -> None:
    """A bus that never ran is freed with its last reference, without the cycle collector."""
    bus = EventBus()
    bus.on(Job, answer)
    gone = weakref.ref(bus)
    del bus
    assert gone() is None


@pytest.mark.usefixtures("no_gc")
async def test_R30_an_idle_bus_has_no_cycle() -> None:
    """A bus that has worked and is idle again is freed with its last reference, and its history with it."""
    bus = EventBus()
    bus.on(Job, answer)
    bus.on(Job, answer_later)
    for _ in range(3):
        await bus.dispatch(Job())
    await bus.wait_until_idle()
    await turns()
    gone = weakref.ref(bus)
    remembered = [weakref.ref(event) for event in bus.event_history.values()]
    del bus
    assert gone() is None
    assert [event() for event in remembered] == [None] * 3


async def test_R30_a_bus_known_only_to_its_own_handlers_is_collected() -> None:
    """Handlers that refer to their bus, failed events, children and forwards do not keep a dropped bus alive."""
    bus, other = EventBus(), EventBus()

    async def parent(event: Job, *, bus: EventBus = bus) -> str:
        await bus.dispatch(Child())
        return "parent"

    bus.on(Job, parent)
    bus.on(Job, fail)
    bus.on("*", other.dispatch)
    other.on("*", bus.dispatch)
    for _ in range(3):
        await bus.dispatch(Job())
    await bus.wait_until_idle()
    await other.wait_until_idle()
    await turns()
    gone = [weakref.ref(bus), weakref.ref(other)]
    del bus, other, parent
    gc.collect()
    assert [each() for each in gone] == [None, None]


async def test_R30_the_error_of_a_handler_that_had_suspended_does_not_keep_the_bus() -> None:
    """Whoever keeps an error keeps the frames that it went through: those of the bus are not among them."""
    bus = EventBus()

    async def fail_later(event: Job) -> str:
        await asyncio.sleep(0)
        raise ValueError(event.event_type)

    bus.on(Job, fail_later)
    event = await bus.dispatch(Job())
    (error,) = [result.error for result in event.event_results.values()]
    assert isinstance(error, ValueError)
    gone = weakref.ref(bus)
    del bus, event, fail_later
    await turns()
    gc.collect()
    assert gone() is None


async def test_R30_a_handler_that_was_left_behind_does_not_keep_the_bus() -> None:
    """What goes on after its bus has given it up is a task like any other."""
    bus = EventBus(cancel_grace=0)
    let_go = asyncio.Event()

    async def stubborn(event: Job) -> str:
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await let_go.wait()
        return event.event_type

    bus.on(Job, stubborn)
    event = bus.dispatch(Job(event_timeout=0.01))
    await event
    gone = weakref.ref(bus)
    del bus, event
    await turns()
    gc.collect()
    left = gone()
    let_go.set()
    await turns()
    assert left is None


async def test_R30_a_dropped_bus_leaves_all_instances() -> None:
    """`EventBus.all_instances` does not keep buses alive."""
    bus = EventBus()
    assert bus in EventBus.all_instances
    before = len(list(EventBus.all_instances))
    del bus
    gc.collect()
    assert len(list(EventBus.all_instances)) <= before - 1


async def test_R30_a_dropped_bus_still_finishes_its_work() -> None:
    """Events accepted by a bus that nobody holds any more are handled, and then the bus is gone."""
    bus = EventBus()
    bus.on(Job, answer_later)
    gone = weakref.ref(bus)
    event = bus.dispatch(Job())
    del bus
    gc.collect()
    assert await event.event_result() == "async"
    del event
    await turns()
    gc.collect()
    assert gone() is None


@pytest.mark.virtual_time  # looks into a loop written in Python
async def test_R30_an_idle_bus_has_no_task_and_no_timer() -> None:
    """Once all is done the loop has nothing of the bus: no task, no timer, no callback."""
    bus = EventBus()
    bus.on(Job, answer_later)
    await bus.dispatch(Job(event_timeout=1_000))
    await turns()
    loop = asyncio.get_running_loop()
    assert others() == set()
    assert list(getattr(loop, "_ready")) == []  # noqa: B009 - private to asyncio
    assert [each for each in getattr(loop, "_scheduled") if not each.cancelled()] == []  # noqa: B009 - private to asyncio


async def test_L6_ten_thousand_buses_leave_nothing() -> None:
    """Making, using and dropping 10,000 buses leaves the number of objects within 1 % and no task or bus."""

    async def cycle(count: int) -> None:
        for _ in range(count):
            bus = EventBus()
            bus.on(Job, answer)
            await bus.dispatch(Job())

    await cycle(200)
    gc.collect()
    before, alive = len(gc.get_objects()), len(list(EventBus.all_instances))
    await cycle(10_000)
    await turns()
    gc.collect()
    assert len(gc.get_objects()) <= before * 1.01
    assert len(list(EventBus.all_instances)) == alive
    assert others() == set()


async def test_L6_stopping_for_good_leaves_nothing() -> None:
    """Buses that are kept in a variable but ended hold neither handlers, events nor tasks."""
    tokens: list[weakref.ref[Token]] = []
    buses: list[EventBus] = []
    for _ in range(200):
        token, bus = Token(), EventBus()
        tokens.append(weakref.ref(token))
        bus.on(Job, lambda event, token=token: str(token))
        await bus.dispatch(Job())
        await bus.stop(clear=True)
        buses.append(bus)
        del token, bus
    gc.collect()
    assert {token() for token in tokens} == {None}
    assert others() == set()


# --- events --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, 1, 5])
async def test_R30_forgotten_events_are_freed(limit: int) -> None:
    """An event that left the history is freed, with its results, children and errors, when nobody else holds it."""
    bus = EventBus(max_history_size=limit)

    async def parent(event: Job) -> str:
        await bus.dispatch(Child())
        return "parent"

    bus.on(Job, parent)
    bus.on(Job, fail)
    references: list[weakref.ref[Any]] = []
    for _ in range(20):
        event = await bus.dispatch(Job())
        references += [weakref.ref(event), *(weakref.ref(child) for child in event.event_children)]
        del event
    await bus.wait_until_idle()
    await turns()
    gc.collect()
    assert sum(each() is not None for each in references) <= limit * 2


@pytest.mark.virtual_time  # looks into a loop written in Python
async def test_R30_awaiting_in_a_loop_lets_others_run() -> None:
    """A task that awaits event after event, whose handlers never suspend, neither starves others nor fills the loop."""
    bus = EventBus(max_history_size=10)
    bus.on(Job, answer)
    ticks: list[int] = []

    async def other() -> None:
        while len(ticks) < 5:
            ticks.append(len(ticks))
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(2_000):
        await bus.dispatch(Job())
    assert len(ticks) == 5
    assert len(getattr(asyncio.get_running_loop(), "_ready")) < 500  # noqa: B009 - private to asyncio
    await task


async def test_L2_objects_do_not_grow_with_events() -> None:
    """With a bounded history the number of objects is the same after 2,000 and after 12,000 events."""
    bus = EventBus(max_history_size=10, max_pending=None)
    bus.on(Job, answer)
    bus.on(Job, answer_later)

    async def emit(count: int) -> int:
        for number in range(count):
            await bus.dispatch(Job(number=number))
        gc.collect()
        return len(gc.get_objects())

    before = await emit(2_000)
    assert await emit(10_000) <= before + 100


SOAK = """
import asyncio, gc
from bubus import BaseEvent, EventBus

class Job(BaseEvent[int]):
    number: int

class Child(BaseEvent[int]):
    pass

def rss() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

async def main() -> None:
    bus = EventBus(max_history_size=1_000)

    async def parent(event: Job) -> int:
        if event.number % 10 == 0:
            await bus.dispatch(Child())
        return event.number

    bus.on(Job, parent)
    bus.on(Child, lambda event: 1)

    async def emit(count: int) -> None:
        for number in range(count):
            await bus.dispatch(Job(number=number))

    await emit(20_000)
    before = rss()
    await emit(60_000)
    print(rss() - before)

asyncio.run(main())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the size of the process from /proc")
def test_L2_resident_memory_stays_flat() -> None:
    """60,000 more events with a history of 1,000 add less than 8 MB to the process."""
    assert int(run(SOAK)) < 8_000_000


# --- contexts ------------------------------------------------------------------------------------------------------

holder: ContextVar[Token | None] = ContextVar("holder", default=None)


@pytest.mark.parametrize("parallel", [False, True])
async def test_R9_no_context_is_kept(*, parallel: bool) -> None:
    """What dispatcher and handlers put in their contexts is freed when the event is complete, while it is held."""
    bus = EventBus(parallel_handlers=parallel)
    tokens: list[weakref.ref[Token]] = []

    def put() -> None:
        token = Token()
        tokens.append(weakref.ref(token))
        holder.set(token)

    def sync_handler(event: Job) -> str:
        put()
        return "sync"

    async def async_handler(event: Job) -> str:
        put()
        await asyncio.sleep(0)
        return "async"

    async def failing_handler(event: Job) -> str:
        put()
        await bus.dispatch(Child())
        raise ValueError(event.event_type)

    async def dispatcher() -> Job:
        put()
        return await bus.dispatch(Job())

    for handler in (sync_handler, async_handler, failing_handler):
        bus.on(Job, handler)
    bus.on(Child, lambda event: "child")
    event = await asyncio.create_task(dispatcher())
    await turns()
    gc.collect()
    assert len(tokens) == 4
    assert [token() for token in tokens] == [None] * 4
    assert event.event_status == "completed"


async def test_R9_a_queued_event_lets_go_of_its_context_when_it_is_cut_off() -> None:
    """The context of an event that never ran is freed when the bus is stopped."""
    bus = EventBus()
    tokens: list[weakref.ref[Token]] = []

    async def dispatcher() -> Job:
        token = Token()
        tokens.append(weakref.ref(token))
        holder.set(token)
        return bus.dispatch(Job())

    event = await asyncio.create_task(dispatcher())
    await bus.stop()
    await turns()
    gc.collect()
    assert [token() for token in tokens] == [None]
    assert event.event_status == "completed"


# --- what must be kept ---------------------------------------------------------------------------------------------


async def test_R44_handlers_are_held_strongly() -> None:
    """Lambdas and methods of objects that only the bus knows are still called after a collection."""
    bus = EventBus()

    class Service:
        def handle(self, event: Job) -> str:
            return "method"

    bus.on(Job, lambda event: "lambda")
    bus.on(Job, Service().handle)
    gc.collect()
    event = await bus.dispatch(Job())
    assert [record.result for record in event.event_results.values()] == ["lambda", "method"]


async def test_R44_tasks_survive_the_collector() -> None:
    """Suspended handlers, awaiters and expect() waiters are not collected mid-flight, however often it runs."""
    bus = EventBus(parallel_handlers=True)
    loop = asyncio.get_running_loop()

    async def suspended(event: Job) -> str:
        for _ in range(5):
            future: asyncio.Future[None] = loop.create_future()
            loop.call_soon(loop.call_soon, future.set_result, None)
            await future
        return "survived"

    for _ in range(10):
        bus.on(Job, lambda event: suspended(event))  # noqa: PLW0108 - ten different callables
    expected = asyncio.ensure_future(bus.expect(Child))
    events = [bus.dispatch(Job()) for _ in range(10)]
    for _ in range(40):
        gc.collect()
        await asyncio.sleep(0)
    bus.dispatch(Child())
    assert (await expected).event_type == "Child"
    for event in events:
        assert await event.event_results_list() == ["survived"] * 10


@pytest.mark.virtual_time
async def test_R26_an_abandoned_task_is_kept_and_let_go() -> None:
    """A task left behind by a timeout lives until it ends by itself, also under the collector, and is then freed."""
    bus = EventBus(cancel_grace=0.01)
    loop = asyncio.get_running_loop()
    ended: list[str] = []
    tasks: list[weakref.ref[asyncio.Task[Any]]] = []

    async def stubborn(event: Job) -> str:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(weakref.ref(task))
        end = loop.time() + 5
        while loop.time() < end:
            try:
                async with asyncio.timeout_at(end):
                    await loop.create_future()
            except (asyncio.CancelledError, TimeoutError):
                continue
        ended.append("by itself")
        return "late"

    bus.on(Job, stubborn)
    event = await bus.dispatch(Job(event_timeout=0.01))
    gc.collect()
    assert ended == []
    await asyncio.sleep(6)
    assert ended == ["by itself"]
    del event
    await bus.dispatch(Child())
    bus.off(Job, stubborn)
    await bus.stop(clear=True)
    gc.collect()
    assert [task() for task in tasks] == [None]


# --- the warning ---------------------------------------------------------------------------------------------------

HEAVY = """
import asyncio, logging, sys, warnings
from bubus import BaseEvent, EventBus

class Records(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        told.append(record.getMessage())

told = []
logging.getLogger().addHandler(Records())
warnings.showwarning = lambda message, *rest, **more: told.append(str(message))
warnings.simplefilter("always")

class Heavy(BaseEvent[str]):
    text: str = ""
    items: list[str] = []

async def main(megabytes: int, rounds: int) -> None:
    one, two = EventBus(name="first_heavy"), EventBus(name="second_heavy")
    quiet = EventBus(name="quiet_bus")
    for bus in (one, two):
        bus.on(Heavy, lambda event: "ok")
        for number in range(rounds):
            await bus.dispatch(Heavy(items=[chr(97 + number) * 1_000_000 for _ in range(megabytes)]))
    for bus in (one, two, quiet):
        await bus.stop()

asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
for line in told:
    if "memory usage" in line.lower():
        print(line.replace("\\n", " "))
"""


def run(program: str, *arguments: object, check: bool = True) -> str:
    """Run *program* in a fresh interpreter and return what it printed."""
    done = subprocess.run(  # the program and its arguments are this file's own
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def test_R30_excessive_memory_is_reported_once() -> None:
    """When all buses together hold over 50 MB, one warning says "memory usage" and names the buses that hold it."""
    told = run(HEAVY, 10, 4).splitlines()
    assert len(told) == 1, told
    assert "memory usage" in told[0].lower()
    assert "first_heavy" in told[0]


def test_R30_little_memory_is_not_reported() -> None:
    """Buses that hold 16 MB together are not worth a word."""
    assert run(HEAVY, 2, 4) == ""


def test_R30_two_halves_make_a_whole() -> None:
    """Two buses that hold 32 MB each are reported together: the limit is for all buses of the process."""
    told = run(HEAVY, 8, 4).splitlines()
    assert len(told) == 1, told
    assert "first_heavy" in told[0]
    assert "second_heavy" in told[0]


def test_R30_a_process_that_was_large_before_is_told_too() -> None:
    """Growth is not seen below a peak that the process has had, or has got from the one that started it."""
    told = run("large = b'x' * 200_000_000\ndel large\n" + HEAVY, 10, 4).splitlines()
    assert len(told) == 1, told
