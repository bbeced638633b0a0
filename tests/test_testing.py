"""`bubus.testing`: virtual time, and the check that nothing is left unfinished."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import NotSettledError, StuckLoopError
from bubus.testing import VirtualTimeLoop, assert_settled, settle, settled

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

DAY = 86_400.0


class Job(BaseEvent[str]):
    pass


def run(coroutine: Coroutine[object, object, T]) -> tuple[T, float]:
    """Run *coroutine* in virtual time; return its value and the seconds that passed."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine), runner.get_loop().time()


def test_virtual_sleeps_pass_at_once_and_in_order() -> None:
    """A thousand sleeps of up to a day end in the order of their length."""
    seen: list[int] = []

    async def sleeper(n: int) -> None:
        await asyncio.sleep(n * DAY / 1_000)
        seen.append(n)

    async def main() -> None:
        await asyncio.gather(*(sleeper(n) for n in reversed(range(1_001))))

    _, seconds = run(main())
    assert seen == list(range(1_001))
    assert round(seconds, 6) == DAY


def test_virtual_time_stands_still_while_something_can_run() -> None:
    """Turns of the loop take no time."""

    async def main() -> None:
        for _ in range(1_000):
            await asyncio.sleep(0)

    assert run(main()) == (None, 0.0)


def test_virtual_timeouts_end_in_their_order() -> None:
    """``asyncio.timeout`` works against the virtual clock, at any point of it."""

    async def main() -> float:
        await asyncio.sleep(1e6)
        start = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.25):
                await asyncio.sleep(0.5)
        return asyncio.get_running_loop().time() - start

    assert round(run(main())[0], 6) == 0.25


def test_a_virtual_deadlock_is_an_error() -> None:
    """When nobody can go on and no timer is set, the loop says who waits."""

    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StuckLoopError, match="wait_for_ever") as caught:
        run(wait_for_ever())
    assert isinstance(caught.value, RuntimeError)


def test_tasks_end_normally_after_a_virtual_deadlock() -> None:
    """The runner cancels what waits, and ``finally`` blocks run."""
    ended: list[str] = []

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("finally")

    with pytest.raises(StuckLoopError):
        run(wait_for_ever())
    assert ended == ["finally"]


async def test_a_block_without_leftovers_is_settled() -> None:
    """Events that complete by themselves are waited for."""
    bus = EventBus()
    async with settled():
        job = bus.dispatch(Job())
    assert job.event_status == "completed"


def test_an_event_that_never_ends_is_reported() -> None:
    """After the timeout the error names bus, event and handler."""

    async def main() -> None:
        bus = EventBus("Hangs", slow_handler_seconds=0)
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def hang(event: Job) -> str:
            return await never

        bus.on(Job, hang)
        job = bus.dispatch(Job(event_timeout=None))
        with pytest.raises(NotSettledError, match=f"Hangs.*{job.event_id}.*hang started") as caught:
            await settle(timeout=3)
        assert isinstance(caught.value, AssertionError)
        with pytest.raises(NotSettledError, match="1 started"):
            assert_settled(bus)
        never.set_result("done")
        await settle()

    assert round(run(main())[1], 6) == 3


async def test_a_block_answers_for_its_own_leftovers_only() -> None:
    """What was unfinished before the block is not held against it, unless a bus of the block is unfinished too."""
    old, new = EventBus(), EventBus()
    gate, inside = asyncio.Event(), asyncio.Event()

    async def hold(event: Job) -> None:
        inside.set()
        await gate.wait()

    old.on(Job, hold)
    new.on(Job, hold)
    before = old.dispatch(Job())
    await inside.wait()
    async with settled():
        await new.dispatch(BaseEvent(event_type="Other"))
    job = new.dispatch(Job())
    with pytest.raises(NotSettledError, match=job.event_id):
        await settle(timeout=0)
    gate.set()
    await settle()
    assert before.event_status == "completed"


async def test_a_task_that_is_left_is_reported() -> None:
    """A task that was started in the block and still runs is an error that names it."""

    async def straggler() -> None:
        await gate.wait()

    gate = asyncio.Event()
    old = asyncio.create_task(straggler(), name="was there before")
    started: list[asyncio.Task[None]] = []
    with pytest.raises(NotSettledError, match="task left: new one") as caught:
        async with settled():
            started.append(asyncio.create_task(straggler(), name="new one"))
    assert "was there before" not in str(caught.value)
    gate.set()
    await asyncio.gather(old, *started)


async def test_an_error_inside_the_block_comes_first() -> None:
    """The check does not hide why the block failed."""
    with pytest.raises(ZeroDivisionError):
        async with settled():
            raise ZeroDivisionError


async def test_assert_settled_looks_at_all_buses_or_those_given() -> None:
    """Without arguments every live bus counts."""
    busy, idle = EventBus(), EventBus()
    busy.dispatch(Job())
    assert_settled(idle)
    with pytest.raises(NotSettledError, match="1 pending"):
        assert_settled()
    await busy.wait_until_idle()
    assert_settled()
