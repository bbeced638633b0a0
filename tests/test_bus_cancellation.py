"""Cancellation (design.md 4.3, 4.9, 4.10; reliability.md F5, F6): at every await point, once, twice, in storms."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import BusClosed, BusStopped, EventCancelled, HandlerCancelled, HandlerTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine


class Outer(BaseEvent[str]):
    pass


class Inner(BaseEvent[str]):
    pass


class Leaf(BaseEvent[str]):
    pass


class Probe(BaseEvent[str]):
    pass


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


def records(event: BaseEvent[Any]) -> list[Any]:
    return list(event.event_results.values())


def others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {task for task in (asyncio.current_task(),) if task}


@attrs.define(eq=False)
class World:
    """Two buses, the second reached by forwards and by children, and every event they were given."""

    bus: EventBus = attrs.Factory(EventBus)
    other: EventBus = attrs.Factory(EventBus)
    events: list[BaseEvent[str]] = attrs.Factory(list[BaseEvent[str]])
    finished: list[str] = attrs.Factory(list[str])
    pace: float = 0

    def __attrs_post_init__(self) -> None:
        self.bus.on(Outer, self.outer)
        self.bus.on(Inner, self.work)
        self.bus.on(Leaf, self.other.dispatch)
        self.other.on(Inner, self.work)
        self.other.on(Leaf, self.work)
        for each in (self.bus, self.other):
            each.on(Probe, lambda event: "probe")

    def send(self, bus: EventBus, event: BaseEvent[str]) -> BaseEvent[str]:
        bus.dispatch(event)
        self.events.append(event)
        return event

    async def outer(self, event: Outer) -> str:
        self.send(self.bus, Inner())
        near, far = self.send(self.bus, Inner()), self.send(self.other, Inner())
        await near
        await asyncio.gather(far, self.send(self.bus, Leaf()))
        return "outer"

    async def work(self, event: BaseEvent[str]) -> str:
        try:
            for _ in range(2):
                await asyncio.sleep(self.pace)
        finally:
            self.finished.append(event.event_id)
        return "worked"

    async def check(self, *, may_be_closed: bool = False) -> None:
        """Check that everything accepted settles, nothing is left running, and both buses still work."""
        async with asyncio.timeout(50):
            for event in self.events:
                await event
            for bus in (self.bus, self.other):
                await bus.wait_until_idle()
        assert {event.event_status for event in self.events} <= {"completed"}
        assert all(record.status in {"completed", "error"} for event in self.events for record in records(event))
        for bus in (self.bus, self.other):
            await probe(bus, may_be_closed=may_be_closed)
        await turns(10)
        assert others() == set()


async def probe(bus: EventBus, *, may_be_closed: bool) -> None:
    try:
        event = bus.dispatch(Probe())
    except BusClosed:
        assert may_be_closed
        return
    assert await event.event_result() == "probe"


async def emit_and_wait(world: World) -> None:
    await world.send(world.bus, Outer())


async def wait_behind_a_queue(world: World) -> None:
    sent = [world.send(world.bus, event) for event in (Inner(), Outer(), Leaf())]
    await sent[-1]


async def gather_several(world: World) -> None:
    await asyncio.gather(*[world.send(world.bus, event) for event in (Leaf(), Outer(), Inner())])


async def ask_for_the_result(world: World) -> None:
    assert await world.send(world.bus, Outer()).event_result(timeout=1_000) == "outer"


async def wait_for_idleness(world: World) -> None:
    world.send(world.bus, Outer())
    world.send(world.bus, Leaf())
    await world.bus.wait_until_idle()
    await world.other.wait_until_idle(timeout=1_000)


async def stop_at_once(world: World) -> None:
    for event in (Outer(), Leaf(), Inner()):
        world.send(world.bus, event)
    await turns(2)
    await world.bus.stop()


async def stop_gently(world: World) -> None:
    for event in (Outer(), Leaf(), Inner()):
        world.send(world.bus, event)
    await world.bus.stop(timeout=1_000)


async def stop_for_good(world: World) -> None:
    world.send(world.bus, Outer())
    await turns(1)
    await world.bus.stop(timeout=1_000, clear=True)


async def stop_and_start_again(world: World) -> None:
    world.send(world.bus, Outer())
    await turns(3)
    await world.bus.stop()
    await world.send(world.bus, Leaf())


async def expect_and_get(world: World) -> None:
    expected = world.bus.expect(Leaf)
    world.send(world.bus, Outer())
    await (await expected)


async def expect_in_vain(world: World) -> None:
    world.send(world.bus, Inner())
    await asyncio.wait_for(world.bus.expect(Probe, timeout=1_000, predicate=lambda event: False), 0)


async def leave_the_block(world: World) -> None:
    async with world.bus:
        world.send(world.bus, Outer())
        await world.send(world.bus, Leaf())


SCENARIOS: list[Callable[[World], Coroutine[Any, Any, object]]] = [
    emit_and_wait,
    wait_behind_a_queue,
    gather_several,
    ask_for_the_result,
    wait_for_idleness,
    stop_at_once,
    stop_gently,
    stop_for_good,
    stop_and_start_again,
    expect_and_get,
    expect_in_vain,
    leave_the_block,
]
CLOSING = {stop_for_good, leave_the_block}

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)


async def limited(clock: asyncio.Timeout, work: Awaitable[object]) -> None:
    async with clock:
        await work


async def interrupt(task: asyncio.Task[None], clock: asyncio.Timeout, how: str) -> None:
    if how == "timeout":
        clock.reschedule(0)
        return
    task.cancel()
    if how == "twice":
        await asyncio.sleep(0)
        task.cancel()


async def run_and_interrupt(world: World, scenario: Callable[[World], Awaitable[object]], step: int, how: str) -> bool:
    """Run *scenario* for *step* turns of the loop, then interrupt it; tell whether it had ended by itself."""
    clock = asyncio.timeout(None)
    task = asyncio.create_task(limited(clock, scenario(world)))
    await turns(step)
    if task.done():
        assert task.cancelled() is False
        assert scenario is expect_in_vain or task.exception() is None
        return True
    await interrupt(task, clock, how)
    async with asyncio.timeout(50):
        await asyncio.wait([task])
    if how == "timeout" and not clock.expired():  # it ended by itself in the turn before the timer fired
        assert scenario is expect_in_vain or task.exception() is None
    elif how == "timeout":
        assert isinstance(task.exception(), TimeoutError)
    else:
        assert task.cancelled(), task
    return False


@every_scenario
@pytest.mark.parametrize("how", ["once", "twice", "timeout"])
async def test_F6_cancelled_at_every_await(scenario: Callable[[World], Awaitable[object]], how: str) -> None:
    """Whoever waits may be cancelled at any point: it propagates, every event settles, and the buses go on."""
    for step in range(1, 300):  # a timeout can be set only once the task has begun
        world = World()
        ended = await run_and_interrupt(world, scenario, step, how)
        await world.check(may_be_closed=scenario in CLOSING)
        if ended:
            return
    pytest.fail("the scenario never ended by itself")


@every_scenario
async def test_F6_every_task_cancelled_at_every_step(scenario: Callable[[World], Coroutine[Any, Any, object]]) -> None:
    """Cancelling all tasks, as the end of `asyncio.run` does, is like `stop()`: all settles, the buses work again."""
    for step in range(300):
        world = World()
        task = asyncio.create_task(scenario(world))
        await turns(step)
        ended = task.done()
        running: set[asyncio.Task[Any]] = {task, *others()}
        for each in running:
            each.cancel()
        async with asyncio.timeout(50):
            await asyncio.gather(*running, return_exceptions=True)
        await world.check(may_be_closed=scenario in CLOSING)
        if ended:
            return
    pytest.fail("the scenario never ended by itself")


@pytest.mark.virtual_time
@pytest.mark.parametrize("parallel", [False, True])
async def test_F6_a_timeout_at_every_await_of_a_handler(*, parallel: bool) -> None:
    """Whatever a handler was waiting for when its time was up, it and its whole subtree settle."""
    outcomes: set[type[BaseException] | None] = set()
    for step in range(1, 30):
        world = World(bus=EventBus(parallel_handlers=parallel), pace=1)
        event = Outer(event_timeout=step / 2 + 0.1)
        await world.send(world.bus, event)
        await world.check()
        error: BaseException | None = records(event)[0].error
        outcomes.add(None if error is None else error.__class__)
        for child in world.events[1:]:
            assert {type(each.error) for each in records(child)} <= {type(None), EventCancelled}
    assert outcomes == {HandlerTimeout, None}


async def test_F6_a_stop_at_every_moment() -> None:
    """`stop()` may come at any turn: every event settles, and the bus works again."""
    for step in range(60):
        world = World()
        for event in (Outer(), Leaf(), Outer(), Inner()):
            world.send(world.bus, event)
        await turns(step)
        await world.bus.stop()
        assert all(event.event_status != "pending" for event in world.events)
        await world.check()


async def test_F6_a_subtask_that_awaits_a_child_may_be_cancelled_at_every_step() -> None:
    """Inside a handler, cancelling a task that awaits a child leaves the child to run to its end."""
    for step in range(12):
        bus = EventBus()

        async def leaf(event: Leaf) -> str:
            await turns(6)
            return "leaf"

        async def outer(event: Outer, *, bus: EventBus = bus, step: int = step) -> str:
            child = bus.dispatch(Leaf())
            waiting = asyncio.ensure_future(child.event_result())
            await turns(step)
            waiting.cancel()
            await asyncio.wait([waiting])
            return str(await child.event_result())

        bus.on(Leaf, leaf)
        bus.on(Outer, outer)
        assert await bus.dispatch(Outer()).event_result() == "leaf"
        await bus.wait_until_idle()


# --- R3: a CancelledError of a handler's own making ------------------------------------------------------------------


async def awaits_cancelled_future(event: Outer) -> str:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.cancel()
    return await future


async def awaits_cancelled_task(event: Outer) -> str:
    task = asyncio.create_task(forever())
    await asyncio.sleep(0)
    task.cancel()
    await task
    return "never"


async def raises_it(event: Outer) -> str:
    msg = "by hand"
    raise asyncio.CancelledError(msg)


def raises_it_in_a_plain_function(event: Outer) -> str:
    msg = "by hand"
    raise asyncio.CancelledError(msg)


async def cancels_itself(event: Outer) -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    return "never"


@pytest.mark.parametrize(
    "handler",
    [awaits_cancelled_future, awaits_cancelled_task, raises_it, raises_it_in_a_plain_function, cancels_itself],
    ids=lambda handler: handler.__name__,
)
@pytest.mark.parametrize("parallel", [False, True])
async def test_R3_a_cancelled_error_of_a_handler_is_its_error(
    handler: Callable[[Outer], Any], *, parallel: bool
) -> None:
    """It becomes HandlerCancelled with the original as cause; siblings and later events run, and the bus gets idle."""
    bus = EventBus(parallel_handlers=parallel)
    bus.on(Outer, handler)
    bus.on(Outer, lambda event: "sibling")
    bus.on(Inner, lambda event: "next")
    event = await bus.dispatch(Outer())
    bad, good = records(event)
    assert isinstance(bad.error, HandlerCancelled)
    assert isinstance(bad.error.__cause__, asyncio.CancelledError)
    assert good.result == "sibling"
    with pytest.raises(HandlerCancelled):
        await event.event_result()
    assert await bus.dispatch(Inner()).event_result() == "next"
    async with asyncio.timeout(5):
        await bus.wait_until_idle()


async def test_R3_a_handler_that_cancels_itself_does_not_cancel_its_dispatcher() -> None:
    """A child's handler that ends in CancelledError leaves the task that awaits the child untouched."""
    bus = EventBus()

    async def outer(event: Outer) -> str:
        child = await bus.dispatch(Inner())
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return type(records(child)[0].error).__name__

    bus.on(Outer, outer)
    bus.on(Inner, lambda event: raises_it_in_a_plain_function(Outer()))
    assert await bus.dispatch(Outer()).event_result() == "HandlerCancelled"


@pytest.mark.virtual_time
async def test_R27_timeouts_around_an_await_leave_no_cancellation_behind() -> None:
    """After `asyncio.timeout` ended a wait, in or outside a handler, the task counts no open cancellation."""
    bus = EventBus()
    counts: list[int] = []

    async def give_up(event: BaseEvent[Any]) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await event
        task = asyncio.current_task()
        assert task is not None
        counts.append(task.cancelling())

    async def outer(event: Outer) -> str:
        await give_up(bus.dispatch(Inner()))
        return "outer"

    async def inner(event: Inner) -> str:
        await asyncio.sleep(1)
        return "inner"

    bus.on(Outer, outer)
    bus.on(Inner, inner)
    event = bus.dispatch(Inner())
    await give_up(event)
    assert await bus.dispatch(Outer()).event_result() == "outer"
    assert counts == [0, 0]
    await bus.wait_until_idle()


async def test_R3_cancelling_one_of_two_awaiters_leaves_the_other() -> None:
    """Two tasks await one event; cancelling the first does not disturb the second."""
    bus = EventBus()
    go = asyncio.Event()

    async def held(event: Inner) -> str:
        await go.wait()
        return "held"

    async def wait_for(event: Inner) -> Inner:
        return await event

    bus.on(Inner, held)
    event = bus.dispatch(Inner())
    first, second = asyncio.create_task(wait_for(event)), asyncio.create_task(wait_for(event))
    await turns(3)
    first.cancel()
    await turns(3)
    assert first.cancelled()
    assert not second.done()
    go.set()
    assert await second is event
    assert await event.event_result() == "held"


async def test_R3_an_outside_cancel_of_the_handlers_task_settles_it() -> None:
    """Somebody who finds the handler's task and cancels it causes an error result, and the bus goes on."""
    bus = EventBus()
    tasks: list[asyncio.Task[Any]] = []

    async def victim(event: Outer) -> str:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        await forever()
        return "never"

    bus.on(Outer, victim)
    bus.on(Outer, lambda event: "sibling")
    bus.on(Inner, lambda event: "next")
    event = bus.dispatch(Outer())
    following = bus.dispatch(Inner())
    await turns(5)
    tasks[0].cancel()
    await event
    bad, good = records(event)
    assert isinstance(bad.error, HandlerCancelled)
    assert good.result == "sibling"
    assert await following.event_result() == "next"


async def test_R3_an_outside_cancel_of_the_drain_is_a_stop() -> None:
    """Cancelling the bus's own tasks settles its events as BusStopped, wakes every awaiter, and leaves it usable."""
    bus = EventBus()
    mine = others()

    async def hang(event: Outer) -> str:
        await forever()
        return "never"

    bus.on(Outer, hang)
    bus.on(Inner, lambda event: "next")
    events: list[BaseEvent[str]] = [bus.dispatch(Outer()), bus.dispatch(Inner()), bus.dispatch(Inner())]
    await turns(5)
    for task in others() - mine:
        task.cancel()
    async with asyncio.timeout(5):
        for event in events:
            await event
    for event in events[1:]:
        with pytest.raises(BusStopped):
            await event.event_result()
    assert records(events[0])[0].status == "error"
    assert await bus.dispatch(Inner()).event_result() == "next"


async def test_R3_what_is_dispatched_after_an_outside_cancel_is_not_cut_off() -> None:
    """An awaiter released by the cut-off may dispatch at once: only what was there before is cut off, and only once."""
    bus = EventBus()
    mine = others()

    async def hang(event: Outer) -> str:
        await forever()
        return "never"

    bus.on(Outer, hang)
    bus.on(Inner, lambda event: "next")
    bus.dispatch(Outer())
    queued = bus.dispatch(Inner())
    await turns(5)
    for task in others() - mine:
        task.cancel()
    await queued
    assert await bus.dispatch(Inner()).event_result() == "next"


# --- F5: storms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
async def test_F5_a_storm_of_cancelled_awaiters(*, again: bool) -> None:
    """10,000 awaiting emitters cancelled in one tick: all end cancelled, their events complete, no task is left."""
    bus = EventBus(max_pending=None, max_history_size=10)
    events: list[Inner] = []
    go = asyncio.Event()

    async def held(event: Inner) -> str:
        await go.wait()
        return "held"

    async def emit() -> None:
        event = bus.dispatch(Inner())
        events.append(event)
        await event

    bus.on(Inner, held)
    emitters = [asyncio.create_task(emit()) for _ in range(10_000)]
    await turns(3)
    for _ in range(1 + again):
        for emitter in emitters:
            emitter.cancel()
        await asyncio.sleep(0)
    await asyncio.wait(emitters)
    assert all(emitter.cancelled() for emitter in emitters)
    go.set()
    await bus.wait_until_idle()
    assert {record.result for event in events for record in records(event)} == {"held"}
    assert bus.statistics().completed == bus.statistics().accepted == len(events) == 10_000
    await turns(10)
    assert others() == set()


async def test_F5_a_storm_inside_a_handler() -> None:
    """1,000 tasks of one handler that await children are cancelled in one tick; all children complete."""
    bus = EventBus(max_history_size=10)
    children: list[Inner] = []

    async def emit() -> None:
        child = bus.dispatch(Inner())
        children.append(child)
        await child

    async def inner(event: Inner) -> str:
        await turns(3)
        return "inner"

    async def outer(event: Outer) -> str:
        emitters = [asyncio.create_task(emit()) for _ in range(1_000)]
        await turns(2)
        for emitter in emitters:
            emitter.cancel()
        await asyncio.wait(emitters)
        return "outer"

    bus.on(Inner, inner)
    bus.on(Outer, outer)
    event = await bus.dispatch(Outer())
    assert await event.event_result() == "outer"
    assert len(children) == 1_000
    assert {await child.event_result() for child in children} == {"inner"}


async def test_F5_cancelled_before_they_ran() -> None:
    """Emitters cancelled before their first step dispatch nothing and leave no trace on the bus."""
    bus = EventBus()

    async def emit() -> None:
        await bus.dispatch(Inner())

    emitters = [asyncio.create_task(emit()) for _ in range(100)]
    for emitter in emitters:
        emitter.cancel()
    await asyncio.wait(emitters)
    assert bus.statistics().accepted <= 100
    await bus.wait_until_idle()
    assert bus.statistics().pending == 0
