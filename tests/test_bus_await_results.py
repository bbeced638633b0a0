"""Awaiting the result of one handler inside another one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import DeadlockError, WrongLoopError

if TYPE_CHECKING:
    from bubus import EventResult


class Ask(BaseEvent[str]):
    event_timeout: float | None = None  # what hangs here hangs for good


class Reply(BaseEvent[str]):
    event_timeout: float | None = None


def result_of(event: BaseEvent[Any], number: int = 0) -> EventResult[Any]:
    """Return the record of the handler that was begun as *number*."""
    return list(event.event_results.values())[number]


async def outcomes(event: BaseEvent[Any]) -> list[object]:
    """Return what the handlers of *event* returned, or the classes of their errors."""
    await event
    return [result.result if result.error is None else type(result.error) for result in event.event_results.values()]


@pytest.mark.parametrize("number", [0, 1])
async def test_a_handler_that_awaits_itself_or_one_behind_it_is_told(number: int) -> None:
    """Handlers run one after another: its own result, or one of those behind it, would never come."""
    bus = EventBus()

    async def first(event: Ask) -> str:
        return str(await result_of(event, number))

    bus.on(Ask, first)
    bus.on(Ask, lambda event: "second")

    event = bus.dispatch(Ask())

    assert await outcomes(event) == [DeadlockError, "second"]
    assert "return first" in str(result_of(event).error)


async def test_a_handler_may_await_one_before_it() -> None:
    """What is settled is there at once."""
    bus = EventBus()

    async def second(event: Ask) -> str:
        return f"after {await result_of(event)}"

    bus.on(Ask, lambda event: "first")
    bus.on(Ask, second)

    assert await outcomes(bus.dispatch(Ask())) == ["first", "after first"]


async def test_parallel_handlers_may_await_each_other() -> None:
    """They run side by side, so the second one needs nothing of the first."""
    bus = EventBus(parallel_handlers=True)

    async def first(event: Ask) -> str:
        return f"after {await result_of(event, 1)}"

    async def second(event: Ask) -> str:
        await asyncio.sleep(0)
        return "second"

    bus.on(Ask, first)
    bus.on(Ask, second)

    assert await outcomes(bus.dispatch(Ask())) == ["after second", "second"]


async def test_a_circle_of_results_is_a_deadlock() -> None:
    """The one that would close the circle gets the error, and with it the one that waits for its result."""
    bus = EventBus(parallel_handlers=True)

    async def first(event: Ask) -> str:
        return str(await result_of(event, 1))

    async def second(event: Ask) -> str:
        return str(await result_of(event))

    bus.on(Ask, first)
    bus.on(Ask, second)

    assert await outcomes(bus.dispatch(Ask())) == [DeadlockError, DeadlockError]


async def test_a_circle_over_two_events_is_a_deadlock() -> None:
    """A handler awaits the result of its child's handler, which awaits the parent."""
    bus, other = EventBus(), EventBus()
    parent = Ask()
    replies: list[Reply] = []
    begun = asyncio.Event()

    async def ask(event: Ask) -> str:
        replies.append(other.dispatch(Reply()))
        await begun.wait()
        return str(await result_of(replies[0]))

    async def reply(event: Reply) -> str:
        begun.set()
        for _ in range(10):  # until the parent waits
            await asyncio.sleep(0)
        return str(await result_of(parent))

    bus.on(Ask, ask)
    other.on(Reply, reply)

    assert await outcomes(bus.dispatch(parent)) == [DeadlockError]
    assert await outcomes(replies[0]) == [DeadlockError]


async def test_what_the_awaited_handler_has_queued_behind_the_waiting_one_is_run() -> None:
    """A handler waits for a result that needs an event queued on the waiting one's own bus, two buses away."""
    bus, other, third = EventBus(), EventBus(), EventBus()
    order: list[str] = []
    begun = asyncio.Event()

    async def ask(event: Ask) -> str:
        child = other.dispatch(Reply(event_type="Outer"))
        await begun.wait()
        return str(await result_of(child))

    async def outer(event: Reply) -> str:
        begun.set()
        inner = third.dispatch(Reply(event_type="Inner"))
        await inner
        return "outer"

    async def inner(event: Reply) -> str:
        bus.dispatch(Reply(event_type="Last"))  # awaited as a part of Inner
        await asyncio.sleep(0)
        return "inner"

    def last(event: Reply) -> None:
        order.append("last")

    bus.on(Ask, ask)
    other.on("Outer", outer)
    third.on("Inner", inner)
    bus.on("Last", last)

    assert await outcomes(bus.dispatch(Ask())) == ["outer"]
    assert order == ["last"]


async def test_a_task_of_the_handler_may_wait_for_a_result_that_comes_after_it() -> None:
    """Outside the handler, once that has returned, nothing is in the way."""
    bus = EventBus()
    tasks: list[asyncio.Task[object]] = []
    may = asyncio.Event()

    async def later(event: Ask) -> object:
        await may.wait()
        return await result_of(event, 1)

    async def first(event: Ask) -> None:
        tasks.append(asyncio.ensure_future(later(event)))

    async def second(event: Ask) -> str:
        may.set()
        await asyncio.sleep(0)
        return "second"

    bus.on(Ask, first)
    bus.on(Ask, second)
    await bus.dispatch(Ask())

    assert await tasks[0] == "second"


async def test_a_result_of_another_loop_is_refused() -> None:
    """Its future would be resolved by another thread, and perhaps never seen."""
    bus = EventBus()
    may = asyncio.Event()

    async def ask(event: Ask) -> str:
        await may.wait()
        return "done"

    async def wait(result: EventResult[Any]) -> None:
        await result

    bus.on(Ask, ask)
    event = bus.dispatch(Ask())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    with pytest.raises(WrongLoopError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, wait(result_of(event)))

    may.set()
    assert await result_of(event) == "done"
    await event
