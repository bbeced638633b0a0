"""
Random sequences of everything that can go wrong (R4, R16, F4, H1).

Part one: a seeded crowd of emitters, awaiters, stoppers and broken handlers on three buses, in virtual time; whatever
happens, every accepted event settles and every awaiter wakes up. `BUBUS_FAULT_SEEDS=n` runs n seeds instead of 60.

Part two: a state machine against a model that predicts each result, status and moment of completion.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import deque
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bubus import BaseEvent, EventBus
from bubus.errors import BusClosed, BusStopped, BusStopping, CapacityError
from bubus.testing import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

SEEDS = int(os.environ.get("BUBUS_FAULT_SEEDS", "60"))
WATCHDOG = 5.0
"""Seconds of real time for one seed, which takes a small fraction of one."""

KINDS = [
    "ok",
    "sync",
    "nap",
    "fail",
    "returned",
    "hang",
    "swallow",
    "dirty",
    "cancelled",
    "cancels_itself",
    "awaited_child",
    "queued_children",
    "gathered_children",
    "failing_child",
    "abandoned_wait",
    "spawned",
    "recursion",
    "itself",
    "bad_result",
    "other_bus",
]

OUTLIVES_ITS_LOOP = {"swallow", "dirty"}
"""Kinds that go on when they are cancelled; tasks left by them are asyncio's to complain about."""


class Act(BaseEvent[str]):
    kind: str = "ok"
    level: int = 0


class Passed(Act):
    """An act that the buses forward in a ring."""


@attrs.define(eq=False)
class Crowd:
    """Three buses of different options, and what was done with them."""

    seed: int
    random: random.Random
    buses: list[EventBus]
    accepted: list[Act] = attrs.Factory(list[Act])
    refused: list[Act] = attrs.Factory(list[Act])
    runs: dict[tuple[str, str, str], int] = attrs.Factory(dict[tuple[str, str, str], int])
    stray: set[asyncio.Task[Any]] = attrs.Factory(set[asyncio.Task[Any]])
    kinds: list[str] = attrs.Factory(lambda: list(KINDS))
    unstopped: list[EventBus] = attrs.Factory(list[EventBus])
    """Buses that no stopper has chosen: two stops of one bus are tested elsewhere."""

    def make_event(self, level: int = 0, kind: str | None = None) -> Act:
        chosen = kind or self.random.choice(self.kinds if level < 3 else self.kinds[:8])
        timeout = self.random.choice([0.3, 0.7, 1.5, 3.0])
        # Forwarded recursion would triple with each level.
        make = Passed if chosen != "recursion" and self.random.random() < 0.3 else Act
        return make(kind=chosen, level=level, event_timeout=timeout)

    def send(self, level: int = 0, kind: str | None = None, bus: EventBus | None = None) -> Act | None:
        """Dispatch a random event; None when it was refused, which must leave no trace."""
        event, target = self.make_event(level, kind), bus or self.random.choice(self.buses)
        try:
            target.dispatch(event)
        except (CapacityError, BusStopping, BusClosed):
            assert event.event_path == []
            assert event.event_status == "pending"
            assert event.event_id not in target.event_history
            self.refused.append(event)
            return None
        self.accepted.append(event)
        return event

    def note_run(self, event: Act, handler: str) -> None:
        key = (event.event_id, event.event_bus.id, handler)
        self.runs[key] = self.runs.get(key, 0) + 1
        assert self.runs[key] == 1, f"{handler} ran twice for one event on one bus"
        assert event.event_status == "started"

    # -- handlers ------------------------------------------------------------------------------------------------

    def plain(self, event: Act) -> str:
        self.note_run(event, "plain")
        if event.kind == "sync":
            raise LookupError(event.kind)
        return "plain"

    async def act(self, event: Act) -> Any:
        self.note_run(event, "act")
        action: Callable[[Act], Coroutine[Any, Any, Any]] | None = getattr(self, f"do_{event.kind}", None)
        return None if action is None else await action(event)

    async def after(self, event: Act) -> str:
        self.note_run(event, "after")
        await asyncio.sleep(0)
        return "after"

    async def do_nap(self, event: Act) -> str:
        await asyncio.sleep(self.random.choice([0, 0.1, 0.5, 1]))
        return "nap"

    async def do_fail(self, event: Act) -> str:
        await asyncio.sleep(self.random.choice([0, 0.2]))
        raise ValueError(event.kind)

    async def do_returned(self, event: Act) -> Any:
        return KeyError("returned")

    async def do_hang(self, event: Act) -> None:
        await asyncio.get_running_loop().create_future()

    async def do_swallow(self, event: Act) -> str:
        end = asyncio.get_running_loop().time() + self.random.choice([0.2, 2.0, 4.0])
        while (left := end - asyncio.get_running_loop().time()) > 0:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(left)
        return "swallowed"

    async def do_dirty(self, event: Act) -> str:
        try:
            await asyncio.sleep(2)
        finally:
            await asyncio.sleep(self.random.choice([0, 0.1, 1]))
            if self.random.random() < 0.5:
                raise RuntimeError(event.kind)
        return "dirty"

    async def do_cancelled(self, event: Act) -> None:
        raise asyncio.CancelledError

    async def do_cancels_itself(self, event: Act) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return "never"

    async def do_awaited_child(self, event: Act) -> str:
        child = self.send(event.level + 1)
        if child is not None:
            await child
            assert child.event_status == "completed"
        return "parent"

    async def do_queued_children(self, event: Act) -> str:
        for _ in range(3):
            self.send(event.level + 1)
        await asyncio.sleep(self.random.choice([0, 0.4]))
        return "parent"

    async def do_gathered_children(self, event: Act) -> str:
        children = [child for child in (self.send(event.level + 1) for _ in range(3)) if child is not None]
        await asyncio.gather(*[self.finish(child) for child in children])
        return "parent"

    async def do_failing_child(self, event: Act) -> str | None:
        child = self.send(event.level + 1, "fail")
        return None if child is None else await child.event_result()

    async def do_abandoned_wait(self, event: Act) -> str:
        child = self.send(event.level + 1)
        if child is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await child
        return "impatient"

    async def do_spawned(self, event: Act) -> str:
        task = asyncio.create_task(self.emit(event.level + 1))
        self.stray.add(task)
        await asyncio.sleep(self.random.choice([0, 0.2]))
        return "spawned"

    async def do_recursion(self, event: Act) -> str:
        child = self.send(event.level, "recursion", event.event_bus)
        if child is not None:
            await child
        return "deeper"

    async def do_itself(self, event: Act) -> str:
        await event
        return "never"

    async def do_bad_result(self, event: Act) -> Any:
        return 42

    async def do_other_bus(self, event: Act) -> str:
        children = [self.send(event.level + 1, "nap", bus) for bus in self.buses]
        for child in reversed(children):
            if child is not None:
                await child
        return "far"

    # -- actors --------------------------------------------------------------------------------------------------

    async def finish(self, event: Act) -> None:
        assert await event is event
        assert event.event_status == "completed"

    async def emit(self, level: int = 0) -> None:
        event = self.send(level)
        if event is None:
            await asyncio.sleep(0.1)
            return
        how = self.random.randrange(4)
        if how == 0:
            await self.finish(event)
        elif how == 1:
            with contextlib.suppress(Exception):
                await event.event_result(timeout=self.random.choice([None, 0.2, 2]))
        elif how == 2:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.finish(event), self.random.choice([0, 0.1, 1]))

    async def emitter(self) -> None:
        for _ in range(self.random.randrange(1, 8)):
            await self.emit()
            await asyncio.sleep(self.random.choice([0, 0, 0.3]))

    async def idler(self) -> None:
        for bus in self.buses:
            with contextlib.suppress(TimeoutError):
                await bus.wait_until_idle(timeout=self.random.choice([0.1, 1, 10]))

    async def expecter(self) -> None:
        with contextlib.suppress(TimeoutError, BusStopped):
            bus = self.random.choice(self.buses)
            await bus.expect(Act, timeout=self.random.choice([0.1, 2]), predicate=lambda event: event.kind == "nap")

    async def stopper(self) -> None:
        await asyncio.sleep(self.random.choice([0, 0.5, 2]))
        bus, timeout = self.unstopped.pop(), self.random.choice([0, 0.5, 3])
        start = asyncio.get_running_loop().time()
        await bus.stop(timeout=timeout)
        assert asyncio.get_running_loop().time() - start <= timeout + 0.25

    async def canceller(self, tasks: list[asyncio.Task[None]]) -> None:
        for _ in range(self.random.randrange(6)):
            await asyncio.sleep(self.random.choice([0, 0.1, 0.6]))
            self.random.choice(tasks).cancel()

    def join(self) -> None:
        """Register the handlers, and let Passed events go around in a ring."""
        self.unstopped = self.random.sample(self.buses, len(self.buses))
        for number, bus in enumerate(self.buses):
            bus.on(Act, self.plain)
            bus.on(Act, self.act)
            bus.on(Act, self.after)
            bus.on(Passed, self.buses[(number + 1) % len(self.buses)].dispatch)


def make_crowd(seed: int) -> Crowd:
    """Return the buses and the random numbers of *seed*."""
    numbers = random.Random(seed)
    buses = [
        EventBus(
            parallel_handlers=numbers.random() < 0.5,
            max_history_size=numbers.choice([0, 1, 2, 50, None]),
            max_pending=numbers.choice([2, 5, 100, None]),
            max_depth=numbers.choice([5, 20]),
            cancel_grace=0.2,
            slow_handler_seconds=numbers.choice([0.0, 0.5]),
        )
        for _ in range(3)
    ]
    return Crowd(seed, numbers, buses)


async def play(crowd: Crowd) -> None:
    """Let all actors act at once, then check that everything has come to an end."""
    crowd.join()
    actors = [crowd.emitter] * 6 + [crowd.idler] * 2 + [crowd.expecter] * 2 + [crowd.stopper] * 2
    tasks = [asyncio.create_task(actor()) for actor in actors]
    async with asyncio.timeout(300):
        await crowd.canceller(tasks)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    unexpected = [each for each in outcomes if each is not None and not isinstance(each, asyncio.CancelledError)]
    assert unexpected == []
    async with asyncio.timeout(300):
        for event in crowd.accepted:
            await event
        for bus in crowd.buses:
            await bus.wait_until_idle()
    await asyncio.sleep(10)  # whoever swallows cancellation ends by itself within 4 s
    await asyncio.gather(*crowd.stray, return_exceptions=True)


def check_settled(crowd: Crowd) -> None:
    """Check what must hold when all is over (F4)."""
    for event in crowd.accepted:
        assert event.event_status == "completed", event
        assert event.event_completed_at is not None
        for record in event.event_results.values():
            assert record.status in {"completed", "error"}, record
            assert (record.error is not None) == (record.status == "error"), record
        assert all(child.event_status == "completed" for child in event.event_children)
    for event in crowd.refused:
        assert (event.event_status, event.event_path, event.event_results) == ("pending", [], {})
    for bus in crowd.buses:
        counts = bus.statistics()
        assert (counts.pending, counts.started) == (0, 0)
        assert counts.accepted == counts.completed
        bus.log_tree()
    accepted_by_path = sum(len(event.event_path) for event in crowd.accepted)
    assert sum(bus.statistics().accepted for bus in crowd.buses) == accepted_by_path


async def still_works(crowd: Crowd) -> None:
    """Check that each bus takes and runs one more event, and that nothing is left on the loop."""
    for bus in crowd.buses:
        event = await bus.dispatch(Act(kind="ok"))
        crowd.accepted.append(event)
        assert [record.result for record in event.event_results.values()] == ["plain", None, "after"]
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


# The thread method ends the process with all stacks shown, whatever the main thread is busy with.
watchdog = pytest.mark.timeout(WATCHDOG, method="thread")


@watchdog
@pytest.mark.parametrize("seed", range(SEEDS))
def test_R4_everything_settles_whatever_happens(seed: int) -> None:
    """Errors, timeouts, cancellations, stops, eviction and full queues leave no awaiter and no event behind."""
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails
    crowd = make_crowd(seed)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play(crowd))
        check_settled(crowd)
        runner.run(still_works(crowd))


@watchdog
@pytest.mark.parametrize("seed", range(SEEDS // 4))
def test_R4_everything_settles_when_the_loop_ends_midway(seed: int) -> None:
    """The loop's end at a random moment settles all events, and the buses work in the next loop."""
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails
    crowd = make_crowd(seed)
    crowd.kinds = [kind for kind in KINDS if kind not in OUTLIVES_ITS_LOOP]

    async def part() -> None:
        crowd.join()
        tasks = [asyncio.create_task(actor()) for actor in [crowd.emitter] * 8 + [crowd.stopper, crowd.idler]]
        await asyncio.sleep(random.Random(seed).choice([0, 0.05, 0.35, 0.6, 1.2]))
        assert tasks

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(part())
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(still_works(crowd))
    check_settled(crowd)


# --- the model -----------------------------------------------------------------------------------------------------
#
# Handlers take multiples of 0.5 s and timeouts lie 0.25 s beside that grid; with its n-th step the machine's clock
# moves 2**-(n + 3) s further off it. So no two things that the model orders happen at one moment, and sums are exact.


class Task(BaseEvent[str]):
    child: bool = False


class Small(BaseEvent[str]):
    pass


CHILD_SECONDS = 1.0


@attrs.define(eq=False)
class Work:
    """What the model knows of one event."""

    event: BaseEvent[str]
    child: bool
    timeout: float
    status: str = "pending"
    open: int = 0
    outcomes: dict[int, list[str]] = attrs.Factory(dict[int, list[str]])
    """By bus: one word per handler, in order."""


@attrs.define(eq=False)
class Line:
    """The model of one serial bus: a queue and the handler that runs."""

    number: int
    handlers: list[tuple[float, bool]] = attrs.Factory(list[tuple[float, bool]])
    """Seconds, and whether it fails at the end."""

    queue: deque[Work] = attrs.Factory(deque[Work])
    current: Work | None = None
    todo: deque[tuple[float, bool]] = attrs.Factory(deque[tuple[float, bool]])
    passes_on: bool = False
    """Whether the current event will be forwarded: handlers are looked up when it starts."""

    ends: float = 0.0
    word: str = ""

    def next_end(self) -> float:
        return float("inf") if self.current is None else self.ends


@attrs.define(eq=False)
class Model:
    """Two buses; the first may forward to the second."""

    lines: list[Line] = attrs.Factory(lambda: [Line(0), Line(1)])
    forwarding: bool = False
    now: float = 0.0

    def accept(self, number: int, work: Work) -> None:
        work.open += 1
        self.lines[number].queue.append(work)
        self.begin(self.lines[number])

    def begin(self, line: Line) -> None:
        """Start the next queued event if the bus is free."""
        while line.current is None and line.queue:
            work = line.current = line.queue.popleft()
            work.status, work.outcomes[line.number] = "started", []
            line.todo = deque(line.handlers)
            line.passes_on = self.forwarding and line.number == 0
            self.go_on(line)

    def go_on(self, line: Line) -> None:
        """Start the next handler of the current event, or finish it."""
        work = line.current
        if work is None:
            return
        if line.todo:
            seconds, fails = line.todo.popleft()
            seconds += CHILD_SECONDS * work.child
            line.ends = self.now + min(seconds, work.timeout)
            line.word = "timeout" if seconds > work.timeout else "failed" if fails else "ok"
            return
        if line.passes_on:
            self.accept(1, work)
        self.finish(line)

    def finish(self, line: Line) -> None:
        work, line.current = line.current, None
        if work is not None:
            self.give_back(work)

    def give_back(self, work: Work) -> None:
        work.open -= 1
        if not work.open:
            work.status = "completed"

    def run_until(self, moment: float) -> None:
        """Let everything happen that happens up to *moment*."""
        while (line := min(self.lines, key=Line.next_end)).next_end() <= moment:
            self.now = line.ends
            if line.current is not None:
                line.current.outcomes[line.number].append(line.word)
            self.go_on(line)
            self.begin(line)
        self.now = moment

    def idle_at(self, number: int) -> float:
        """Return when the bus will have nothing to do, if nothing is added; destroys the model's future."""
        line = self.lines[number]
        while line.current is not None:
            self.run_until(min(each.next_end() for each in self.lines))
        return self.now

    def stop(self, number: int) -> None:
        line = self.lines[number]
        if line.current is not None:
            line.current.outcomes[number] += ["stopped"] * (1 + len(line.todo))
            self.finish(line)
        while line.queue:
            work = line.queue.popleft()
            work.outcomes[number] = ["stopped"] * len(line.handlers)
            self.give_back(work)


WORDS = {"HandlerTimeout": "timeout", "ValueError": "failed", "BusStopped": "stopped", "NoneType": "ok"}


class BusMachine(RuleBasedStateMachine):
    """Drive two real buses and the model by the same calls, and compare after each."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.model = Model()
        self.works: list[Work] = []
        self.awaiters: list[tuple[Work, asyncio.Task[Any]]] = []
        self.registered: list[list[Any]] = [[], []]
        self.steps = 0

    @initialize(history=st.sampled_from([0, 1, 3, None]), other=st.sampled_from([0, 2, 50]))
    def make_buses(self, history: int | None, other: int) -> None:
        self.limits = [history, other]
        self.buses = [
            EventBus(max_history_size=limit, max_pending=None, slow_handler_seconds=0, cancel_grace=0.25)
            for limit in self.limits
        ]
        for bus in self.buses:
            bus.on(Small, self.small)

    async def small(self, event: Small) -> str:
        await asyncio.sleep(CHILD_SECONDS)
        return "small"

    def make_handler(self, bus: EventBus, seconds: float, *, fails: bool) -> Callable[[Task], Coroutine[Any, Any, str]]:
        async def handler(event: Task) -> str:
            if event.child:
                await bus.dispatch(Small())
            await asyncio.sleep(seconds)
            if fails:
                raise ValueError(seconds)
            return "ok"

        return handler

    def advance(self, halves: int = 0) -> None:
        """Let *halves* half seconds pass, and a little more that is different in each step."""
        self.steps += 1
        self.runner.run(asyncio.sleep(halves / 2 + 2.0 ** -(self.steps + 3)))
        self.model.run_until(self.time())

    def time(self) -> float:
        return self.runner.get_loop().time()

    # -- rules -------------------------------------------------------------------------------------------------------

    @rule(number=st.integers(0, 1), child=st.booleans(), timeout=st.sampled_from([0.75, 1.75, 3.75, 59.75]))
    def emit(self, number: int, timeout: float, *, child: bool) -> None:
        event = Task(child=child, event_timeout=timeout)

        async def send() -> None:
            self.buses[number].dispatch(event)
            assert event.event_status == "pending"

        self.runner.run(send())
        work = Work(event, child, timeout)
        self.works.append(work)
        self.model.accept(number, work)
        self.advance()

    @rule(number=st.integers(0, 1), halves=st.integers(1, 5), fails=st.booleans())
    def register(self, number: int, halves: int, *, fails: bool) -> None:
        bus = self.buses[number]
        subscription = bus.on(Task, self.make_handler(bus, halves / 2, fails=fails))
        self.registered[number].append(subscription)
        self.model.lines[number].handlers.append((halves / 2, fails))

    @precondition(lambda self: any(self.registered))
    @rule(data=st.data())
    def unregister(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([number for number in (0, 1) if self.registered[number]]))
        index = data.draw(st.integers(0, len(self.registered[number]) - 1))
        self.registered[number].pop(index).off()
        self.model.lines[number].handlers.pop(index)

    @precondition(lambda self: not self.model.forwarding)
    @rule()
    def forward(self) -> None:
        self.buses[0].on("*", self.pass_on)
        self.model.forwarding = True

    def pass_on(self, event: BaseEvent[Any]) -> BaseEvent[Any]:
        return self.buses[1].dispatch(event) if isinstance(event, Task) else event

    @rule(halves=st.integers(1, 9))
    def wait(self, halves: int) -> None:
        self.advance(halves)

    @precondition(lambda self: self.works)
    @rule(data=st.data())
    def start_awaiter(self, data: st.DataObject) -> None:
        work = data.draw(st.sampled_from(self.works))

        async def wait_for() -> None:
            await work.event

        async def start() -> asyncio.Task[None]:
            return asyncio.create_task(wait_for())

        self.awaiters.append((work, self.runner.run(start())))
        self.advance()

    @precondition(lambda self: self.awaiters)
    @rule(data=st.data())
    def cancel_awaiter(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.awaiters) - 1))
        work, task = self.awaiters.pop(index)
        task.cancel()
        self.advance()
        assert task.done()
        assert task.cancelled() or work.status == "completed"

    @rule(number=st.integers(0, 1))
    def stop_at_once(self, number: int) -> None:
        before = self.time()
        self.runner.run(self.buses[number].stop())
        assert self.time() == before
        self.model.stop(number)
        self.advance()

    @rule(halves=st.integers(1, 6))
    def stop_the_first_gently(self, halves: int) -> None:
        before = self.time()
        self.runner.run(self.buses[0].stop(timeout=halves / 2))
        took = self.time() - before
        assert took <= halves / 2 + 0.25
        self.model.run_until(self.time())
        if self.model.lines[0].current is not None:
            assert took >= halves / 2
        self.model.stop(0)
        self.advance()

    @precondition(lambda self: not self.model.forwarding)
    @rule(number=st.integers(0, 1))
    def wait_until_idle(self, number: int) -> None:
        self.runner.run(self.buses[number].wait_until_idle())
        ended = self.time()
        assert self.model.idle_at(number) == ended

    # -- invariants --------------------------------------------------------------------------------------------------

    @invariant()
    def statuses_agree(self) -> None:
        assert [work.event.event_status for work in self.works] == [work.status for work in self.works]

    @invariant()
    def results_agree(self) -> None:
        for work in self.works:
            for number, words in work.outcomes.items():
                assert self.words_of(work, number) == words

    def words_of(self, work: Work, number: int) -> list[str]:
        """Return one word per settled handler of the bus, forwards left out."""
        return [
            WORDS[type(record.error).__name__]
            for record in work.event.event_results.values()
            if record.eventbus_id == self.buses[number].id
            and record.status in {"completed", "error"}
            and record.handler_name != "pass_on"
        ]

    @invariant()
    def awaiters_wake_with_their_event(self) -> None:
        assert [task.done() for _, task in self.awaiters] == [work.status == "completed" for work, _ in self.awaiters]

    @invariant()
    def history_keeps_its_limit(self) -> None:
        if not self.works:
            return
        for bus, limit in zip(self.buses, self.limits, strict=True):
            in_flight = len(bus.events_pending) + len(bus.events_started)
            assert limit is None or len(bus.event_history) <= max(limit, in_flight)

    def teardown(self) -> None:
        if self.works:
            for bus in self.buses:
                self.runner.run(bus.stop())
            self.advance()
            assert {work.event.event_status for work in self.works} <= {"completed"}
        for _, task in self.awaiters:
            assert task.done()
        self.runner.close()


BusMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("BUBUS_MODEL_EXAMPLES", "100")),
    stateful_step_count=24,  # the clock's smallest step must stay above the loop's resolution
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestModel(BusMachine.TestCase):
    """The buses agree with the model after any sequence of calls (H1)."""
