"""Buses, event loops and threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import (
    AlreadyDispatchedError,
    BubusError,
    BusStopped,
    DeadlockError,
    HandlerError,
    NoLoopError,
    WrongLoopError,
)
from bubus.testing import assert_settled, settled

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.real_time

T = TypeVar("T")

THREADS = 8
WATCHDOG = 30.0
"""Seconds after which a thread counts as stuck."""


class Job(BaseEvent[int]):
    sender: int = 0
    n: int = 0


class Outer(BaseEvent[int]):
    pass


class Inner(BaseEvent[int]):
    pass


def in_thread(function: Callable[[], T]) -> T:
    """Run *function* in a thread of its own and return what it returns."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(WATCHDOG)


def test_R1_handlers_run_on_the_loop_of_their_bus() -> None:
    """Two threads with two loops each and two buses per loop: every handler runs in its own thread and loop."""
    meet = threading.Barrier(2)

    async def session() -> None:
        thread, loop = threading.get_ident(), asyncio.get_running_loop()
        first, second = EventBus(), EventBus()

        async def inner(event: Inner) -> int:
            assert (threading.get_ident(), asyncio.get_running_loop()) == (thread, loop)
            await asyncio.sleep(0)
            assert (threading.get_ident(), asyncio.get_running_loop()) == (thread, loop)
            return 1

        async def outer(event: Outer) -> int:
            assert (threading.get_ident(), asyncio.get_running_loop()) == (thread, loop)
            return 1 + int(await second.dispatch(Inner()).event_result())

        first.on(Outer, outer)
        first.on("*", second.dispatch)
        second.on(Inner, inner)
        async with settled(first, second):
            for _ in range(50):
                assert await first.dispatch(Outer()).event_result() == 2

    def run() -> None:
        for _ in range(2):
            meet.wait(WATCHDOG)
            asyncio.run(session())

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(run) for _ in range(2)]:
            done.result(WATCHDOG)


async def test_R61_dispatch_from_a_thread_without_a_loop_is_refused() -> None:
    """The error names what to call instead, and nothing is dispatched."""
    bus = EventBus()
    await bus.dispatch(Job())
    job = Job()

    def dispatch() -> None:
        with pytest.raises(NoLoopError, match="dispatch_threadsafe"):
            bus.dispatch(job)

    await asyncio.to_thread(dispatch)
    assert (job.event_path, bus.statistics().accepted) == ([], 1)


async def test_R61_dispatch_from_another_loop_is_refused() -> None:
    """A loop in another thread cannot use the bus while its own loop runs."""
    bus = EventBus()
    await bus.dispatch(Job())
    job = Job()

    async def dispatch() -> None:
        with pytest.raises(WrongLoopError, match="dispatch_threadsafe"):
            bus.dispatch(job)

    await asyncio.to_thread(asyncio.run, dispatch())
    assert (job.event_path, bus.statistics().accepted) == ([], 1)


async def test_R1_awaiting_an_event_of_another_loop_is_refused() -> None:
    """An await in a foreign loop raises instead of running handlers there."""
    bus = EventBus()
    gate = asyncio.Event()

    async def hold(event: Job) -> int:
        await gate.wait()
        return 1

    bus.on(Job, hold)
    job = bus.dispatch(Job())

    async def wait() -> None:
        with pytest.raises(WrongLoopError):
            await job

    await asyncio.to_thread(asyncio.run, wait())
    gate.set()
    assert await job.event_result() == 1


async def test_R61_dispatch_threadsafe_gives_the_completed_event() -> None:
    """The future that other threads get resolves to the event when it is complete."""
    bus = EventBus()
    home = threading.get_ident()
    threads: list[int] = []

    async def work(event: Job) -> int:
        threads.append(threading.get_ident())
        await asyncio.sleep(0)
        return event.n * 2

    bus.on(Job, work)
    await bus.dispatch(Job())

    def dispatch() -> tuple[Job, str]:
        future = bus.dispatch_threadsafe(Job(n=21))
        assert isinstance(future, concurrent.futures.Future)
        done = future.result(WATCHDOG)
        return done, done.event_status

    job, status = await asyncio.to_thread(dispatch)
    assert status == "completed"
    assert await job.event_result() == 42
    assert set(threads) == {home}


async def test_R61_refusals_reach_the_thread() -> None:
    """What `dispatch` would raise, the future raises."""
    bus = EventBus()
    job = await bus.dispatch(Job())

    def dispatch() -> None:
        with pytest.raises(AlreadyDispatchedError):
            bus.dispatch_threadsafe(job).result(WATCHDOG)

    await asyncio.to_thread(dispatch)
    assert bus.statistics().accepted == 1


async def test_R61_dispatch_threadsafe_is_no_forward() -> None:
    """An event belongs to one loop, so `on` refuses it and tells what to write; that takes the event to the thread."""
    bus, near = EventBus(), EventBus("near")
    for register in (bus.on, bus.once):
        with pytest.raises(HandlerError, match=r"dispatch_threadsafe of bus 'near' is no handler.*`dispatch` if both"):
            register("*", near.dispatch_threadsafe)
    assert bus.handlers == {}

    far: concurrent.futures.Future[EventBus] = concurrent.futures.Future()
    seen: list[tuple[int, int]] = []
    ended = threading.Event()

    async def elsewhere() -> None:
        async with EventBus("far") as other:
            other.on(Job, lambda event: seen.append((event.n, threading.get_ident())))
            far.set_result(other)
            await asyncio.to_thread(ended.wait, WATCHDOG)

    thread = asyncio.create_task(asyncio.to_thread(asyncio.run, elsewhere()))
    other = await asyncio.wrap_future(far)

    async def send(event: Job) -> None:
        _ = await asyncio.wrap_future(other.dispatch_threadsafe(event.model_copy()))

    bus.on(Job, send)
    await bus.dispatch(Job(n=7)).event_results_list(raise_if_none=False)
    ended.set()
    await thread

    assert [n for n, _ in seen] == [7]
    assert threading.get_ident() not in {thread for _, thread in seen}


def test_R61_dispatch_threadsafe_needs_a_bus_that_has_a_loop() -> None:
    """A bus that has not run yet belongs to no loop: the call, or its future, says so at once."""
    bus = EventBus()
    with pytest.raises(BubusError):
        in_thread(lambda: bus.dispatch_threadsafe(Job()).result(WATCHDOG))
    assert bus.statistics().accepted == 0


def test_R61_async_with_gives_a_bus_its_loop() -> None:
    """A bus made at import can be used from threads as soon as its block begins, in one loop after another."""
    bus = EventBus()
    bus.on(Job, lambda event: event.n)

    async def use() -> int | None:
        async with bus:
            job = await asyncio.to_thread(lambda: bus.dispatch_threadsafe(Job(n=2)).result(WATCHDOG))
            return await job.event_result()

    assert [asyncio.run(use()), asyncio.run(use())] == [2, 2]


async def test_the_future_refuses_to_block_the_loop_that_has_to_resolve_it() -> None:
    """It says what to await instead; afterwards, without waiting, and in another loop it does as any future."""
    bus = EventBus()
    bus.on(Job, lambda event: event.n)
    future = bus.dispatch_threadsafe(Job(n=2))
    for ask in (future.result, future.exception, lambda: future.result(WATCHDOG)):
        with pytest.raises(DeadlockError, match="wrap_future"):
            ask()
    with pytest.raises(TimeoutError):
        future.result(0)

    async def ask_in_another_loop() -> Job:
        return future.result(WATCHDOG)

    job = await asyncio.to_thread(asyncio.run, ask_in_another_loop())
    assert job is await asyncio.wrap_future(future) is future.result()
    assert future.exception() is None
    assert await job.event_result() == 2


async def test_R61_cancelling_the_future_does_not_cancel_the_event() -> None:
    """A thread that gives up waiting leaves the event alone."""
    bus = EventBus()
    gate, inside = asyncio.Event(), asyncio.Event()
    jobs: list[Job] = []

    async def hold(event: Job) -> int:
        jobs.append(event)
        inside.set()
        await gate.wait()
        return 1

    await bus.dispatch(Job())
    bus.on(Job, hold)
    future = await asyncio.to_thread(lambda: bus.dispatch_threadsafe(Job()))
    await inside.wait()
    future.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert jobs[0].event_status == "started"

    gate.set()
    assert await jobs[0].event_result() == 1


async def test_R61_eight_threads_lose_nothing() -> None:
    """All events of 8 threads arrive, those of each thread in its order."""
    bus = EventBus(max_pending=None)
    seen: defaultdict[int, list[int]] = defaultdict(list)
    bus.on(Job, lambda event: seen[event.sender].append(event.n))  # type: ignore[func-returns-value]
    await bus.dispatch(Outer())
    start = threading.Barrier(THREADS)

    def send(sender: int) -> None:
        start.wait(WATCHDOG)
        futures = [bus.dispatch_threadsafe(Job(sender=sender, n=n)) for n in range(500)]
        for future in futures:
            future.result(WATCHDOG)

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(pool, send, sender) for sender in range(THREADS)))

    assert seen == {sender: list(range(500)) for sender in range(THREADS)}
    assert bus.statistics().completed == THREADS * 500 + 1


def test_a_bus_can_be_used_in_one_loop_after_the_other() -> None:
    """After the end of its loop an idle bus works in the next one, with its handlers."""
    bus = EventBus()
    bus.on(Job, lambda event: event.n)

    async def use(n: int) -> int | None:
        return await bus.dispatch(Job(n=n)).event_result()

    assert [asyncio.run(use(n)) for n in (1, 2, 3)] == [1, 2, 3]
    assert in_thread(lambda: asyncio.run(use(4))) == 4


@pytest.mark.parametrize("again", range(10))
def test_a_loop_that_ends_settles_what_is_in_flight(again: int) -> None:
    """
    Events that run or wait when ``asyncio.run`` ends are settled as by `stop`, whichever of its tasks asyncio
    happens to cancel first, and the bus goes on in the next loop.
    """
    bus = EventBus()
    left: list[Job] = []
    ended: list[str] = []

    async def for_ever(event: Job) -> int:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("finally")
        return 1

    subscription = bus.on(Job, for_ever)

    async def leave() -> None:
        left.extend(bus.dispatch(Job(n=n)) for n in range(3))
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(leave())
    assert [job.event_status for job in left] == ["completed"] * 3
    assert ended == ["finally"]
    errors = [type(result.error) for job in left for result in job.event_results.values()]
    assert errors == [BusStopped] * len(errors)
    assert_settled(bus)

    subscription.off()
    bus.on(Job, lambda event: event.n)

    async def use() -> int | None:
        return await bus.dispatch(Job(n=5)).event_result()

    assert asyncio.run(use()) == 5


@pytest.mark.filterwarnings("ignore:coroutine .*_listen. was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_leftovers_of_a_closed_loop_are_settled_at_the_next_use() -> None:
    """A loop closed by hand, without cancelling its tasks, leaves events that the next dispatch settles."""
    bus = EventBus()
    bus.on(Job, lambda event: event.n)
    loop = asyncio.new_event_loop()
    left: list[Job] = []

    async def leave() -> None:
        left.extend(bus.dispatch(Job(n=n)) for n in range(3))

    loop.run_until_complete(leave())
    loop.close()  # asyncio complains of tasks that this drops, and rightly

    async def use() -> int | None:
        return await bus.dispatch(Job(n=5)).event_result()

    assert asyncio.run(use()) == 5
    assert [job.event_status for job in left] == ["completed"] * 3
    assert_settled(bus)


def test_R1_threads_make_buses_at_the_same_time() -> None:
    """Making, naming and using buses in one thread does not disturb another that does the same."""
    start = threading.Barrier(THREADS)

    async def session(sender: int) -> int:
        buses: list[EventBus] = []
        async with asyncio.timeout(WATCHDOG):
            for n in range(200):
                buses.append(EventBus(f"Thread {sender} bus {n}"))
                await buses[-1].dispatch(Job(n=n))
        return sum(bus.statistics().completed for bus in buses)

    def run(sender: int) -> int:
        start.wait(WATCHDOG)
        return asyncio.run(session(sender))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            assert list(pool.map(run, range(THREADS), timeout=WATCHDOG)) == [200] * THREADS
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("ends", [True, False])
async def test_R1_a_handler_is_outside_in_the_loop_of_another_thread(ends: bool) -> None:
    """`asyncio.to_thread` copies the context; what is dispatched there is no child, and lives and ends in its loop."""
    bus = EventBus()
    begun, go_on = threading.Event(), threading.Event()
    inner: list[Inner] = []

    async def elsewhere() -> None:
        other = EventBus()

        async def wait(event: Inner) -> int:
            begun.set()
            await asyncio.to_thread(go_on.wait)
            return 1

        other.on(Inner, wait)
        inner.append(other.dispatch(Inner()))
        await inner[0]
        await other.stop()

    async def outer(event: Outer) -> int:
        tasks.append(asyncio.ensure_future(asyncio.to_thread(asyncio.run, elsewhere())))
        await asyncio.to_thread(begun.wait)
        if not ends:
            await asyncio.Event().wait()  # until the timeout
        return 2

    tasks: list[asyncio.Future[None]] = []
    bus.on(Outer, outer)
    event = await bus.dispatch(Outer(event_timeout=None if ends else 0.05))

    assert event.event_children == []
    assert inner[0].event_parent_id is None
    assert inner[0].event_completed_at is None
    go_on.set()
    await asyncio.gather(*tasks)
    assert [result.result for result in inner[0].event_results.values()] == [1]
