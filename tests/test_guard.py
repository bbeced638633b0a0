"""How a bus learns that its event loop ends, and in which task its handlers run."""

from __future__ import annotations

import asyncio
import sys

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import BusStopped


class Job(BaseEvent[str]):
    """An event to handle."""


class Other(BaseEvent[str]):
    """Another one."""


def others() -> set[asyncio.Task[object]]:
    """Return all tasks but this one."""
    return asyncio.all_tasks() - {asyncio.current_task()}  # pyright: ignore[reportReturnType] - no task here is None


async def test_the_bus_has_one_task_while_a_handler_is_suspended() -> None:
    """Beside the handler's own task there is one of the bus, and none any more when the event is done."""
    bus, go, before = EventBus(), asyncio.Event(), others()

    async def wait(event: Job) -> str:
        await go.wait()
        return "done"

    bus.on(Job, wait)
    events = [bus.dispatch(Job()) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(others() - before) == 2
    go.set()
    await asyncio.gather(*events)
    await asyncio.sleep(0)

    assert others() == before


@pytest.mark.skipif(sys.version_info < (3, 12), reason="without eager tasks every async handler suspends")
async def test_a_bus_that_does_not_suspend_has_no_task() -> None:
    """Handlers that end at once are run without any task of the bus, however the bus is driven."""
    bus, seen = EventBus(), set[str]()

    async def look(event: Job) -> str:
        seen.update(repr(task.get_coro()) for task in asyncio.all_tasks() if "_listen" in repr(task.get_coro()))
        return "done"

    bus.on(Job, lambda event: "plain")
    bus.on(Job, look)
    await bus.dispatch(Job())
    await asyncio.gather(*[bus.dispatch(Job()) for _ in range(10)])

    assert seen == set()


def test_what_is_left_at_the_end_of_the_loop_is_cut_off() -> None:
    """At the end of `asyncio.run` a suspended handler and what is queued behind it become BusStopped, at once."""
    events: list[BaseEvent[str]] = []
    begun: list[str] = []

    async def main() -> None:
        bus = EventBus()

        async def hang(event: Job) -> str:
            return await asyncio.get_running_loop().create_future()

        bus.on(Job, hang)
        bus.on(Other, lambda event: begun.append(event.event_id) or "never")
        events.extend([bus.dispatch(Job()), bus.dispatch(Other())])
        await asyncio.sleep(0)

    asyncio.run(main())

    assert [event.event_status for event in events] == ["completed", "completed"]
    errors = [result.error for event in events for result in event.event_results.values()]
    assert [type(error) for error in errors] == [BusStopped, BusStopped]
    assert begun == []


async def test_a_plain_handler_runs_in_no_task() -> None:
    """Whoever awaits an event, or ends the handler before, lends its turn to a plain handler, but not its task."""
    bus, seen = EventBus(), list[object]()

    async def suspend(event: Job) -> str:
        await asyncio.sleep(0)
        return "done"

    def plain(event: Job) -> str:
        seen.append(asyncio.current_task())
        return "done"

    mine = asyncio.current_task()
    for handler in (plain, suspend, plain):
        bus.on(Job, lambda event, handler=handler: handler(event))
    await bus.dispatch(Job())

    assert seen == [None, None]
    assert asyncio.current_task() is mine


async def test_a_plain_handler_that_fails_gives_the_task_back() -> None:
    """After a plain handler raised, whoever awaited the event is in its own task again."""
    bus, mine = EventBus(), asyncio.current_task()
    bus.on(Job, lambda event: str(1 // 0))
    event = await bus.dispatch(Job())

    with pytest.raises(ZeroDivisionError):
        await event.event_result()
    assert asyncio.current_task() is mine


async def test_cancelling_tasks_beside_an_idle_bus_cuts_nothing_off() -> None:
    """A program that cancels all other tasks while the bus has nothing to do may dispatch and expect right after."""
    bus, tick = EventBus(), asyncio.Event()

    async def suspend(event: Job) -> str:
        await tick.wait()
        return "done"

    bus.on(Job, suspend)
    asyncio.get_running_loop().call_soon(tick.set)
    await bus.dispatch(Job())
    expected = bus.expect(Job)
    for task in others():
        task.cancel()
    event = await bus.dispatch(Job())

    assert await event.event_result() == "done"
    assert await expected is event


def test_a_bus_leaves_no_task_behind_when_its_loop_is_closed_at_once() -> None:
    """A loop that is closed by hand as soon as the last event is done has no task of the bus in it."""
    bus, loop = EventBus(), asyncio.new_event_loop()

    async def suspend(event: Job) -> str:
        await asyncio.sleep(0)
        return "done"

    async def main() -> None:
        await bus.dispatch(Job())
        bus.dispatch(Other())

    bus.on(Job, suspend)
    bus.on(Other, lambda event: "done")
    loop.run_until_complete(main())
    left = asyncio.all_tasks(loop)
    loop.close()

    assert left == set()


def test_a_bus_goes_on_in_another_loop_while_the_first_is_only_stopped() -> None:
    """What an idle bus had asked of a loop that does not go on is asked again of the next one."""
    bus, first, second = EventBus(), asyncio.new_event_loop(), asyncio.new_event_loop()

    async def begin() -> None:
        await bus.dispatch(Other())

    async def go_on() -> str | None:
        event = bus.dispatch(Other())
        await bus.wait_until_idle(timeout=5)
        return await event.event_result()

    bus.on(Other, lambda event: "done")
    first.run_until_complete(begin())
    assert second.run_until_complete(go_on()) == "done"
    first.close()
    second.close()
