"""In which order a bus runs its events, and what it needs while there is nothing to do."""

from __future__ import annotations

import asyncio
import functools
import gc
import random
import time
import weakref
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from bubus import BaseEvent, EventBus
from bubus.errors import StuckLoopError
from bubus.testing import VirtualTimeLoop, settled

if TYPE_CHECKING:
    from collections.abc import Iterator


class Job(BaseEvent[str]):
    n: int = 0


class Urgent(Job):
    pass


class Step(BaseEvent):
    key: int


async def test_one_bus_runs_its_events_in_the_order_of_dispatch() -> None:
    """FIFO holds for handlers that suspend and for those that do not."""
    bus = EventBus()
    seen: list[int] = []

    async def note(event: Job) -> None:
        if event.n % 3:
            await asyncio.sleep(0)
        seen.append(event.n)

    bus.on(Job, note)
    for n in range(50):
        bus.dispatch(Job(n=n))
    await bus.wait_until_idle()

    assert seen == list(range(50))


async def test_one_bus_runs_one_event_at_a_time() -> None:
    """The next event starts when no handler of the one before runs."""
    bus = EventBus()
    running, peak = 0, 0

    async def work(event: Job) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        for _ in range(3):
            await asyncio.sleep(0)
        running -= 1

    bus.on(Job, work)
    for _ in range(10):
        bus.dispatch(Job())
    await bus.wait_until_idle()

    assert peak == 1


async def test_awaiting_a_later_event_keeps_the_order() -> None:
    """Outside handlers an await may start the queue, but takes nothing out of turn."""
    bus = EventBus()
    seen: list[int] = []
    bus.on(Job, lambda event: seen.append(event.n))
    _, _, last = [bus.dispatch(Job(n=n)) for n in range(3)]
    await last

    assert seen == [0, 1, 2]


async def test_awaits_from_many_tasks_keep_the_order() -> None:
    """Whoever awaits first from outside does not get its event first."""
    bus = EventBus()
    seen: list[int] = []

    async def note(event: Job) -> None:
        await asyncio.sleep(0)
        seen.append(event.n)

    bus.on(Job, note)
    jobs = [bus.dispatch(Job(n=n)) for n in range(10)]

    async def wait(job: Job) -> None:
        await job

    await asyncio.gather(*(wait(job) for job in reversed(jobs)))
    assert seen == list(range(10))


@pytest.mark.virtual_time
async def test_R7_buses_run_side_by_side() -> None:
    """Four buses with a handler of 0.2 s each take 0.2 s together; each keeps its own order."""
    seen: dict[str, list[int]] = {}

    async def work(event: Job) -> None:
        await asyncio.sleep(0.1)
        seen.setdefault(event.event_bus.name, []).append(event.n)

    buses = [EventBus() for _ in range(4)]
    for bus in buses:
        bus.on(Job, work)
        bus.dispatch(Job(n=1))
        bus.dispatch(Job(n=2))
    start = asyncio.get_running_loop().time()
    await asyncio.gather(*(bus.wait_until_idle() for bus in buses))

    assert round(asyncio.get_running_loop().time() - start, 6) == 0.2
    assert list(seen.values()) == [[1, 2]] * 4


async def test_R15_only_the_awaited_event_is_taken_out_of_turn() -> None:
    """A handler that awaits a child gets it at once; what was queued before stays queued: P C P U1 U2."""
    bus = EventBus()
    seen: list[str] = []

    async def parent(event: Urgent) -> None:
        seen.append("P>")
        await bus.dispatch(Step(key=1))
        seen.append("P<")

    bus.on(Urgent, parent)
    bus.on(Step, lambda event: seen.append("C"))
    bus.on("Job", lambda event: seen.append("U"))
    bus.dispatch(Urgent())
    bus.dispatch(Job())
    bus.dispatch(Job())
    await bus.wait_until_idle()

    assert seen == ["P>", "C", "P<", "U", "U"]


async def test_R15_an_event_queued_long_ago_can_be_awaited_out_of_turn() -> None:
    """Also an event that somebody else queued is taken out of the middle of the queue by a handler's await."""
    bus = EventBus()
    seen: list[int] = []
    jobs: list[Job] = []

    async def parent(event: Step) -> None:
        await jobs[2]
        seen.append(-1)

    bus.on(Step, parent)
    bus.on(Job, lambda event: seen.append(event.n))
    bus.dispatch(Step(key=0))
    jobs += [bus.dispatch(Job(n=n)) for n in range(4)]
    await bus.wait_until_idle()

    assert seen == [2, -1, 0, 1, 3]


async def test_R15_the_queue_waits_while_an_event_out_of_turn_runs() -> None:
    """While the awaited child is suspended nothing else of its bus starts."""
    bus = EventBus()
    gate, inside = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def parent(event: Urgent) -> None:
        await bus.dispatch(Step(key=1))
        seen.append("parent")

    async def child(event: Step) -> None:
        inside.set()
        await gate.wait()
        seen.append("child")

    bus.on(Urgent, parent)
    bus.on(Step, child)
    bus.on("Job", lambda event: seen.append("queued"))
    bus.dispatch(Urgent())
    bus.dispatch(Job())
    await inside.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert seen == []

    gate.set()
    await bus.wait_until_idle()
    assert seen == ["child", "parent", "queued"]


async def test_the_queue_waits_for_an_event_out_of_turn_on_another_bus() -> None:
    """A bus that runs an event out of turn for another bus takes its next one only afterwards."""
    home, other = EventBus(), EventBus()
    gate, inside = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def parent(event: Urgent) -> None:
        await other.dispatch(Step(key=1))

    async def child(event: Step) -> None:
        inside.set()
        await gate.wait()
        seen.append("child")

    home.on(Urgent, parent)
    other.on(Step, child)
    other.on(Job, lambda event: seen.append("queued"))
    home.dispatch(Urgent())
    await inside.wait()
    job = other.dispatch(Job())
    for _ in range(20):
        await asyncio.sleep(0)
    assert seen == []

    gate.set()
    await job
    assert seen == ["child", "queued"]
    await home.wait_until_idle()


@attrs.frozen
class Node:
    """One event of a random program: where it goes, how its handler behaves and which events that dispatches."""

    key: int
    bus: int
    turns: int
    mode: str
    children: tuple[Node, ...]

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()


def random_programs(rng: random.Random, buses: int, roots: int) -> list[Node]:
    """Return trees of events; *mode* tells what a handler does with its children."""
    keys = iter(range(10_000))

    def node(depth: int) -> Node:
        width = rng.choice((0, 0, 1, 2, 3)) if depth else 0
        return Node(
            key=next(keys),
            bus=rng.randrange(buses),
            turns=rng.choice((0, 0, 1, 3)),
            mode=rng.choice(("leave", "await", "await", "gather", "last")),
            children=tuple(node(depth - 1) for _ in range(width)),
        )

    return [node(3) for _ in range(roots)]


@attrs.define
class Recording:
    """A run of random programs: what was dispatched, what was started, and in which order."""

    dispatched: dict[int, list[int]] = attrs.Factory(dict[int, "list[int]"])
    started: dict[int, list[int]] = attrs.Factory(dict[int, "list[int]"])
    out_of_turn: set[int] = attrs.Factory(set[int])
    awaits: int = 0
    unfinished: list[int] = attrs.Factory(list[int])
    _plan: dict[int, Node] = attrs.Factory(dict[int, "Node"])
    _buses: list[EventBus] = attrs.Factory(list[EventBus])

    async def play(self, programs: list[Node], buses: list[EventBus]) -> None:
        """Run *programs* on *buses* until all their events are complete."""
        self._plan = {node.key: node for program in programs for node in program.walk()}
        self._buses = buses
        for index, bus in enumerate(buses):
            bus.on(Step, functools.partial(self._handle, index))
        await asyncio.gather(*[self._wait(event) for event in [self._send(program) for program in programs]])

    def _send(self, node: Node) -> Step:
        event = self._buses[node.bus].dispatch(Step(key=node.key, event_timeout=None))
        self.dispatched.setdefault(node.bus, []).append(node.key)
        return event

    async def _wait(self, event: Step) -> None:
        await event
        self.awaits += 1
        if event.event_status != "completed":
            self.unfinished.append(event.key)

    async def _handle(self, bus: int, event: Step) -> None:
        node = self._plan[event.key]
        self.started.setdefault(bus, []).append(node.key)
        for _ in range(node.turns):
            await asyncio.sleep(0)
        if bus == node.bus:  # where it was forwarded to, the same event does not dispatch once more
            await self._handle_children(node)
        for _ in range(node.turns):
            await asyncio.sleep(0)

    async def _handle_children(self, node: Node) -> None:
        events = [(child, self._send(child)) for child in node.children]
        awaited = {"leave": [], "last": events[-1:]}.get(node.mode, events)
        for child, _ in awaited:
            # What an awaited event dispatches must complete for it to complete, so it may have to run early, too.
            self.out_of_turn.update(inner.key for inner in child.walk())
        if node.mode == "gather":
            await asyncio.gather(*(self._wait(event) for _, event in awaited))
        else:
            for _, event in awaited:
                await self._wait(event)


def in_turn(keys: list[int], recording: Recording) -> list[int]:
    """Return the events that no handler awaited."""
    return [key for key in keys if key not in recording.out_of_turn]


@settings(max_examples=150, deadline=None)
@given(rng=st.randoms(use_true_random=False), buses=st.integers(1, 3), roots=st.integers(1, 6))
def test_R15_all_other_events_keep_their_order(rng: random.Random, buses: int, roots: int) -> None:
    """In random programs each bus starts what no handler awaits in the order of dispatch, and each event once."""
    programs = random_programs(rng, buses, roots)
    recording = Recording()

    async def main() -> None:
        async with settled():
            all_buses = [EventBus(max_history_size=None, slow_handler_seconds=0) for _ in range(buses)]
            await recording.play(programs, all_buses)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
    assert recording.unfinished == []
    for bus, dispatched in recording.dispatched.items():
        assert sorted(recording.started[bus]) == sorted(dispatched)
        assert in_turn(recording.started[bus], recording) == in_turn(dispatched, recording)


@pytest.mark.timeout(300)
@settings(max_examples=150, deadline=None)
@given(rng=st.randoms(use_true_random=False), buses=st.integers(2, 4), roots=st.integers(1, 5))
def test_R16_programs_that_forward_end(rng: random.Random, buses: int, roots: int) -> None:
    """Random programs on buses that forward to each other run each event once on each bus it reaches, and end."""
    programs = random_programs(rng, buses, roots)
    recording = Recording()
    forwards = [(source, rng.randrange(buses)) for source in range(buses) if rng.random() < 0.6]

    async def main() -> None:
        async with settled():
            all_buses = [EventBus(max_history_size=None, slow_handler_seconds=0) for _ in range(buses)]
            for source, target in forwards:
                all_buses[source].on("*", all_buses[target].dispatch)
            await recording.play(programs, all_buses)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
    assert recording.unfinished == []
    for bus, dispatched in recording.dispatched.items():
        assert set(dispatched) <= set(recording.started[bus])
        assert len(recording.started[bus]) == len(set(recording.started[bus]))


def test_R16_await_returns_only_completed_events() -> None:
    """In 10,000 awaits of random schedules, from outside and inside handlers, none returns early."""
    rng = random.Random(16)
    recording = Recording()

    async def main() -> None:
        while recording.awaits < 10_000:
            sizes = [rng.choice((0, 1, 2, 50)) for _ in range(3)]
            buses = [EventBus(max_history_size=size, slow_handler_seconds=0) for size in sizes]
            await recording.play(random_programs(rng, 3, 8), buses)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
    assert recording.unfinished == []


@pytest.mark.parametrize("wait", ["outside", "inside", "idle"])
def test_R16_waiting_costs_no_turn_of_the_loop(wait: str) -> None:
    """While events wait for each other no timer is set and no task runs: the virtual loop knows that all is stuck."""
    entered: list[str] = []

    async def main() -> None:
        bus = EventBus(slow_handler_seconds=0)

        async def never(event: Job) -> None:
            entered.append("child")
            await asyncio.get_running_loop().create_future()

        async def parent(event: Step) -> None:
            await bus.dispatch(Job(event_timeout=None))

        bus.on(Job, never)
        bus.on(Step, parent)
        if wait == "outside":
            await bus.dispatch(Job(event_timeout=None))
        elif wait == "inside":
            await bus.dispatch(Step(key=1, event_timeout=None))
        else:
            bus.dispatch(Job(event_timeout=None))
            await bus.wait_until_idle()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        with pytest.raises(StuckLoopError):
            runner.run(main())
        assert (entered, loop.time()) == (["child"], 0.0)


async def test_a_long_queue_lets_other_tasks_run() -> None:
    """The queue yields to the loop regularly, also when no handler suspends."""
    bus = EventBus(max_pending=None)
    bus.on(Job, lambda event: None)
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticker = asyncio.create_task(tick())
    for n in range(5_000):
        bus.dispatch(Job(n=n))
    await bus.wait_until_idle()
    ticker.cancel()
    await asyncio.wait([ticker])

    assert turns >= 20


async def test_handlers_that_take_long_let_other_tasks_run_the_sooner() -> None:
    """A queue of plain functions that block for a while holds the loop up for a few of them, not for hundreds."""
    bus = EventBus()
    turns = 0
    seen: set[int] = set()

    def block(_event: Job) -> None:
        seen.add(turns)
        time.sleep(0.005)

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    bus.on(Job, block)
    ticker = asyncio.create_task(tick())
    for n in range(20):
        bus.dispatch(Job(n=n))
    await bus.wait_until_idle()
    ticker.cancel()
    await asyncio.wait([ticker])

    assert len(seen) >= 10


def test_R32_an_idle_bus_has_no_task_and_no_timer() -> None:
    """Neither a fresh bus nor one that has worked wakes the loop: 20 of them leave nothing scheduled."""
    left: list[int] = []

    async def main() -> None:
        buses = [EventBus() for _ in range(20)]

        async def suspend(event: Job) -> None:
            await asyncio.sleep(0)

        for bus in buses:
            bus.on(Job, suspend)
            await bus.dispatch(Job())
        for _ in range(3):
            await asyncio.sleep(0)
        left.append(len(asyncio.all_tasks()))
        await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        with pytest.raises(StuckLoopError):
            runner.run(main())
        assert (left, loop.time()) == ([1], 0.0)


async def test_R30_a_dropped_bus_is_freed_without_the_garbage_collector() -> None:
    """A fresh or idle bus has no reference cycle of its own: the last reference frees it, stopped or not."""
    gc.collect()
    gc.disable()
    try:
        fresh = EventBus()
        fresh_gone = weakref.ref(fresh)
        del fresh
        assert fresh_gone() is None

        idle = EventBus()
        idle.on(Job, lambda event: None)
        await idle.dispatch(Job())
        await idle.wait_until_idle()
        for _ in range(3):
            await asyncio.sleep(0)
        idle_gone = weakref.ref(idle)
        del idle
        assert idle_gone() is None
    finally:
        gc.enable()


async def test_R30_a_bus_with_queued_events_lives_until_they_are_done() -> None:
    """Dropping the last reference to a busy bus loses no event."""
    seen: list[int] = []

    def leave() -> Job:
        bus = EventBus()
        bus.on(Job, lambda event: seen.append(event.n))
        bus.dispatch(Job(n=1))
        return bus.dispatch(Job(n=2))

    job = leave()
    gc.collect()
    await job
    assert seen == [1, 2]


async def test_R44_handlers_in_flight_are_kept_alive() -> None:
    """A suspended handler that only the bus knows survives the garbage collector."""
    bus = EventBus()
    gates: weakref.WeakSet[asyncio.Event] = weakref.WeakSet()
    done: list[int] = []

    async def wait(event: Job) -> None:
        gate = asyncio.Event()
        gates.add(gate)
        await gate.wait()
        done.append(event.n)

    bus.on(Job, wait)
    bus.dispatch(Job(n=1))
    for _ in range(5):
        await asyncio.sleep(0)
        gc.collect()
    [gate] = gates
    gate.set()
    await bus.wait_until_idle()

    assert done == [1]
