"""Middleware (R51): every change of events and handlers is told once, in order, and costs nothing where nobody asks."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import time
import weakref
from collections import defaultdict
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

import pytest

from bubus import BaseEvent, EventBus, EventResult, Middleware, WriteAheadLog, wal
from bubus._scheduler import Scheduler
from bubus.errors import BusStopped, DepthError, EventCancelled, HandlerTimeout, MiddlewareError
from bubus.testing import VirtualTimeLoop, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

EventChange = Literal["pending", "started", "completed"]
ResultChange = Literal["started", "completed", "error"]


class Job(BaseEvent[str]):
    """What most tests dispatch."""

    name: str = ""


class Child(BaseEvent[str]):
    """What handlers of Job dispatch."""


class Recorder(Middleware):
    """Writes down what it is told, and checks that it is true at that moment."""

    def __init__(self, name: str = "", log: list[str] | None = None) -> None:
        self.name = name
        self.log: list[str] = [] if log is None else log
        self.events: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self.results: defaultdict[tuple[str, str], list[str]] = defaultdict(list)

    def on_event_change(self, bus: EventBus, event: BaseEvent[Any], status: EventChange) -> None:
        """Write it down."""
        assert event.event_id in bus.event_history or status == "completed"
        self.events[bus.name, event.event_id].append(status)
        self.log.append(f"{self.name}{event.event_type} {status}")

    def on_event_result_change(
        self, bus: EventBus, event: BaseEvent[Any], result: EventResult[Any], status: ResultChange
    ) -> None:
        """Write it down."""
        assert event.event_results[result.handler_id] is result
        assert result.status == status
        self.results[bus.name, result.id].append(status)
        self.log.append(f"{self.name}{event.event_type} {result.handler_name} {status}")


def watched(*middlewares: Middleware, **options: Any) -> EventBus:
    """Return a bus with middlewares."""
    return EventBus(middlewares=middlewares, **options)


def ok(event: BaseEvent[Any]) -> str:
    """Return what Job wants."""
    return "ok"


async def later(event: BaseEvent[Any]) -> str:
    """Return it after a turn of the loop."""
    await asyncio.sleep(0)
    return "later"


def fail(event: BaseEvent[Any]) -> str:
    """Raise."""
    raise ValueError(event.event_type)


async def hang(event: BaseEvent[Any]) -> str:
    """Never return."""
    return await asyncio.get_running_loop().create_future()


def assert_told(recorder: Recorder, *buses: EventBus) -> None:
    """Check that all events of *buses* went their whole way, once, and their records too."""
    accepted = sum(bus.statistics().accepted for bus in buses)
    assert len(recorder.events) == accepted
    for told in recorder.events.values():
        assert told == ["pending", "started", "completed"]
    for told in recorder.results.values():
        assert told in (["started", "completed"], ["started", "error"], ["error"])
    records = [
        result
        for bus in buses
        for event in bus.event_history.values()
        for result in event.event_results.values()
        if result.eventbus_name == bus.name
    ]
    assert {recorder.results[result.eventbus_name, result.id][-1] for result in records} <= {"completed", "error"}
    assert len(recorder.results) == len(records)
    for result in records:
        assert recorder.results[result.eventbus_name, result.id][-1] == result.status


# -- what is told --------------------------------------------------------------------------------------------------


async def test_each_change_is_told_when_it_happens() -> None:
    """An event is accepted, begun and complete; between that its handlers begin and end, one after another."""
    recorder = Recorder()
    bus = watched(recorder)
    for handler in (ok, later, fail):
        bus.on(Job, handler)
    event = bus.dispatch(Job())
    assert recorder.log == ["Job pending"]
    await event

    assert recorder.log == [
        "Job pending",
        "Job started",
        "Job ok started",
        "Job ok completed",
        "Job later started",
        "Job later completed",
        "Job fail started",
        "Job fail error",
        "Job completed",
    ]


async def test_beginnings_are_told_in_order_and_ends_the_other_way_round() -> None:
    """Each middleware encloses the next one."""
    log: list[str] = []
    bus = watched(Recorder("outer ", log), Recorder("inner ", log))
    bus.on(Job, ok)
    await bus.dispatch(Job())

    assert log == [
        "outer Job pending",
        "inner Job pending",
        "outer Job started",
        "inner Job started",
        "outer Job ok started",
        "inner Job ok started",
        "inner Job ok completed",
        "outer Job ok completed",
        "inner Job completed",
        "outer Job completed",
    ]


async def test_one_of_the_two_methods_is_enough() -> None:
    """What is not overridden is not called."""

    class Ends(Middleware):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def on_event_change(self, bus: EventBus, event: BaseEvent[Any], status: EventChange) -> None:
            self.seen.append(status)

    class Values(Middleware):
        def __init__(self) -> None:
            self.seen: list[object] = []

        def on_event_result_change(
            self, bus: EventBus, event: BaseEvent[Any], result: EventResult[Any], status: ResultChange
        ) -> None:
            self.seen.append(result.result)

    ends, values = Ends(), Values()
    for bus in (watched(ends), watched(values)):
        bus.on(Job, ok)
        await bus.dispatch(Job())

    assert (ends.seen, values.seen) == (["pending", "started", "completed"], [None, "ok"])


async def test_a_rejected_event_is_not_told_of() -> None:
    """It leaves no trace; nor does a forward that comes back."""
    recorder = Recorder()
    bus, other = watched(recorder, name="One", max_pending=1), watched(recorder, name="Two")
    bus.on("*", other.dispatch)
    other.on("*", bus.dispatch)
    event = bus.dispatch(Job())
    with pytest.raises(RuntimeError):
        bus.dispatch(Job())
    with pytest.raises(RuntimeError):
        bus.dispatch(event)
    await event

    assert_told(recorder, bus, other)
    assert len(recorder.events) == 2


async def test_an_event_is_complete_with_its_children_on_all_buses() -> None:
    """Completion is told from below, to each bus that had the event."""
    recorder = Recorder()
    bus, other = watched(recorder, name="One"), watched(recorder, name="Two", parallel_handlers=True)

    def spawn(event: Job) -> None:
        other.dispatch(Child())

    bus.on(Job, spawn)
    bus.on("*", other.dispatch)
    other.on(Child, later)
    other.on("*", later)
    await bus.dispatch(Job())

    assert_told(recorder, bus, other)
    assert recorder.log[-2:] == ["Job completed"] * 2
    assert recorder.log.index("Child completed") < recorder.log.index("Job completed")


# -- every end -----------------------------------------------------------------------------------------------------


async def test_an_event_without_handlers_goes_the_same_way() -> None:
    """It is begun and complete."""
    recorder = Recorder()
    bus = watched(recorder)
    await bus.dispatch(Job())
    assert recorder.log == ["Job pending", "Job started", "Job completed"]


@pytest.mark.virtual_time
@pytest.mark.parametrize("parallel", [False, True])
async def test_timeouts_and_what_they_cut_off(*, parallel: bool) -> None:
    """A handler out of time, its running child and its queued child: all are told, none twice."""
    recorder = Recorder()
    bus = watched(recorder, parallel_handlers=parallel)

    async def parent(event: Job) -> str:
        running, queued = bus.dispatch(Child(event_timeout=None)), bus.dispatch(Child())
        await running
        await queued
        return "never"

    bus.on(Job, parent)
    bus.on(Job, ok)
    bus.on(Child, hang)
    bus.on(Child, ok)
    event = await bus.dispatch(Job(event_timeout=1))

    assert_told(recorder, bus)
    assert isinstance(next(iter(event.event_results.values())).error, HandlerTimeout)
    errors = [result.error for child in event.event_children for result in child.event_results.values()]
    assert {type(error) for error in errors if error is not None} == {EventCancelled}


@pytest.mark.virtual_time
async def test_a_handler_that_is_left_behind_is_told_of_once() -> None:
    """Its record ends when it is given up; what it does later is nobody's business."""
    recorder = Recorder()
    bus = watched(recorder, cancel_grace=0.1)

    async def stubborn(event: Job) -> str:
        for _ in range(5):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                continue
        return "late"

    bus.on(Job, stubborn)
    await bus.dispatch(Job(event_timeout=1))
    assert recorder.log[-2:] == ["Job stubborn error", "Job completed"]
    await asyncio.sleep(60)
    assert_told(recorder, bus)


async def test_a_stop_cuts_off_what_is_running_and_what_is_queued() -> None:
    """Events that never had their turn are begun when they end; their handlers never begin."""
    recorder = Recorder()
    bus = watched(recorder)
    bus.on(Job, hang)
    bus.on(Job, ok)
    events = [bus.dispatch(Job()) for _ in range(3)]
    await asyncio.sleep(0)
    await bus.stop()

    assert_told(recorder, bus)
    assert sorted(recorder.results.values()) == [["error"]] * 5 + [["started", "error"]]
    assert {type(result.error) for event in events for result in event.event_results.values()} == {BusStopped}


async def test_an_event_that_is_nested_too_deep() -> None:
    """Its handlers are refused, and told of as failed."""
    recorder = Recorder()
    bus = watched(recorder, max_depth=3)

    async def again(event: Job) -> None:
        await bus.dispatch(Job())

    bus.on(Job, again)
    event = await bus.dispatch(Job())
    while event.event_children:
        event = event.event_children[0]

    assert_told(recorder, bus)
    assert isinstance(next(iter(event.event_results.values())).error, DepthError)
    assert min(recorder.results.values()) == ["error"]


def test_what_a_closed_loop_leaves_behind() -> None:
    """It is settled, and told of, when the bus is used again."""
    recorder = Recorder()
    bus = watched(recorder)
    bus.on(Job, hang)

    async def leave() -> None:
        bus.dispatch(Job())
        bus.dispatch(Job())
        await asyncio.sleep(0)

    async def come_back() -> None:
        await bus.stop()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave())
    loop.close()
    del loop
    assert [told[-1] for told in recorder.events.values()] == ["started", "pending"]
    asyncio.run(come_back())

    assert_told(recorder, bus)


def test_the_end_of_asyncio_run() -> None:
    """What it cancels is told of."""
    recorder = Recorder()
    bus = watched(recorder)
    bus.on(Job, hang)

    async def main() -> None:
        bus.dispatch(Job())
        bus.dispatch(Job())
        await asyncio.sleep(0)

    asyncio.run(main())
    assert_told(recorder, bus)


async def test_events_that_are_run_by_hand() -> None:
    """`process_event`, `step` and `execute_handler` are told of as what the bus does by itself."""
    recorder = Recorder()
    bus = watched(recorder)
    bus.on(Job, ok)
    await bus.process_event(Job())
    bus.dispatch(Job())
    await bus.step()
    event = Job()
    assert await bus.execute_handler(event, later) == "later"
    assert await bus.execute_handler(event, fail_softly) == "softly"
    await event

    assert recorder.log.count("Job completed") == recorder.log.count("Job pending") == bus.statistics().accepted == 4
    assert sorted(recorder.results.values()) == [["started", "completed"]] * 4


def fail_softly(event: BaseEvent[Any]) -> str:
    """Return something else than `ok`."""
    return "softly"


async def test_overridden_methods_are_told_of_too() -> None:
    """A bus whose `process_event` is overridden runs its events through it."""

    class Slow(EventBus):
        async def process_event(self, event: BaseEvent[Any], timeout: float | None = None) -> None:
            await asyncio.sleep(0)
            await super().process_event(event, timeout)

    recorder = Recorder()
    bus = Slow(middlewares=[recorder])
    bus.on(Job, ok)
    await bus.dispatch(Job())
    assert_told(recorder, bus)


async def test_an_event_that_goes_to_a_second_bus_when_it_is_complete() -> None:
    """Each bus tells of it once."""
    recorder = Recorder()
    bus, other = watched(recorder, name="One"), watched(recorder, name="Two")
    event = await bus.dispatch(Job())
    await other.dispatch(event)
    assert_told(recorder, bus, other)


class Chaos:
    """A random program on three buses: trees of events that wait, fail, run out of time, forward and are stopped."""

    def __init__(self, seed: int) -> None:
        self.chance, self.recorder = random.Random(seed), Recorder()
        self.buses: list[EventBus] = []

    async def play(self) -> None:
        """Run it to its end."""
        chance = self.chance
        for number in range(3):
            parallel = chance.random() < 0.5
            bus = watched(self.recorder, name=f"Bus{number}", parallel_handlers=parallel, max_history_size=None)
            bus.on(Job, self.act)
            bus.on(Job, ok)
            self.buses.append(bus)
        self.buses[0].on("*", self.buses[1].dispatch)
        async with settled():
            for _ in range(4):
                chance.choice(self.buses).dispatch(Job(event_timeout=chance.choice((0.05, 1, None))))
                await asyncio.sleep(chance.choice((0, 0.1)))
            await chance.choice(self.buses).stop(timeout=chance.choice((0, 0.5, 1000)))
            await asyncio.gather(*(bus.wait_until_idle() for bus in self.buses))
            await asyncio.sleep(10)

    async def act(self, event: Job) -> str:
        """Be a handler."""
        chance = self.chance
        children = [chance.choice(self.buses).dispatch(child) for child in self.offspring(event)]
        await asyncio.sleep(chance.choice((0, 0.1, 2)))
        if chance.random() < 0.2:
            raise ValueError(event.name)
        for child in children:
            if chance.random() < 0.5:
                await child
        return event.name

    def offspring(self, event: Job) -> Iterable[Job]:
        """Return the events that a handler of *event* dispatches."""
        names = "xyz"[: self.chance.randrange(4)] if len(event.name) < 3 else ""
        return [Job(name=event.name + name, event_timeout=1) for name in names]


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_are_told_of_in_full(seed: int) -> None:
    """Whatever becomes of an event, it went its whole way once, on each bus that had it."""
    chaos = Chaos(seed)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(chaos.play())
    assert_told(chaos.recorder, *chaos.buses)


# -- the log -------------------------------------------------------------------------------------------------------


async def test_the_journal_is_kept_beside_middlewares(tmp_path: Path) -> None:
    """With ``ahead=True`` both are told of each handler: what had run is not run again."""
    recorder = Recorder()
    path = tmp_path / "events.jsonl"
    bus = watched(recorder, name="Logged", wal_path=WriteAheadLog(path, ahead=True))
    bus.on(Job, ok)
    bus.on(Job, hang)
    bus.dispatch(Job())
    while not recorder.results:  # noqa: ASYNC110 - the journal is written in a thread
        await asyncio.sleep(0.001)
    await bus.stop()
    assert_told(recorder, bus)
    await bus.stop(clear=True)

    again = Recorder()
    bus = watched(again, name="Logged", wal_path=WriteAheadLog(path, ahead=True))
    bus.on(Job, ok)
    bus.on(Job, hang)
    hung = next(handler for handler in (await recovered(bus)).event_results.values() if handler.status == "started")
    assert hung.handler_name == "hang"
    await bus.stop(clear=True)
    assert again.log == ["Job pending", "Job started", "Job hang started", "Job hang error", "Job completed"]
    assert list(wal.read(path)) == []


async def recovered(bus: EventBus) -> BaseEvent[Any]:
    """Return the one event that is recovered, when a handler of it runs."""
    report = asyncio.ensure_future(bus.recover())
    while not bus.events_started:  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.001)
    report.cancel()
    await asyncio.wait([report])
    [event] = bus.events_started
    return event


# -- contexts ------------------------------------------------------------------------------------------------------

request: ContextVar[str] = ContextVar("request", default="none")
handling: ContextVar[str] = ContextVar("handling", default="none")


class Setter(Middleware):
    """Sets one variable for the event and one for each handler, and reads both at each end."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str]] = []

    def on_event_change(self, bus: EventBus, event: BaseEvent[Any], status: EventChange) -> None:
        """Set or read."""
        if status == "started":
            request.set(f"{request.get()}>{event.event_type}")
        elif status == "completed":
            self.ends.append((request.get(), handling.get()))

    def on_event_result_change(
        self, bus: EventBus, event: BaseEvent[Any], result: EventResult[Any], status: ResultChange
    ) -> None:
        """Set or read."""
        if status == "started":
            handling.set(result.handler_name)
        else:
            self.ends.append((request.get(), handling.get()))


@pytest.mark.parametrize("parallel", [False, True])
async def test_handlers_see_what_hooks_set(*, parallel: bool) -> None:
    """A variable set for an event is seen by its handlers and their children, one set for a handler by that only."""
    setter = Setter()
    bus = watched(setter, parallel_handlers=parallel)
    seen: dict[str, tuple[str, str]] = {}

    def plain(event: Job) -> None:
        seen["plain"] = request.get(), handling.get()
        request.set("changed by a handler")

    async def slow(event: Job) -> None:
        await asyncio.sleep(0)
        seen["slow"] = request.get(), handling.get()
        await bus.dispatch(Child())

    async def child(event: Child) -> None:
        seen["child"] = request.get(), handling.get()

    bus.on(Job, plain)
    bus.on(Job, slow)
    bus.on(Child, child)
    request.set("dispatcher")
    event = bus.dispatch(Job())
    request.set("too late")
    await event

    assert seen == {
        "plain": ("dispatcher>Job", "plain"),
        "slow": ("dispatcher>Job", "slow"),
        "child": ("dispatcher>Job>Child", "child"),
    }
    assert setter.ends == [
        ("dispatcher>Job", "plain"),
        ("dispatcher>Job>Child", "child"),
        ("dispatcher>Job>Child", "slow"),
        ("dispatcher>Job", "slow"),
        ("dispatcher>Job", "none"),
    ]
    assert (request.get(), handling.get()) == ("too late", "none")


async def test_what_a_hook_sets_at_dispatch_stays_with_the_event() -> None:
    """The dispatcher sees nothing of it."""

    class Early(Middleware):
        def on_event_change(self, bus: EventBus, event: BaseEvent[Any], status: EventChange) -> None:
            if status == "pending":
                request.set("set at dispatch")

    bus = watched(Early())
    bus.on(Job, lambda event: request.get())
    event = bus.dispatch(Job())
    assert request.get() == "none"
    assert await event.event_result() == "set at dispatch"


async def test_R9_no_context_is_kept_for_hooks() -> None:
    """What is in the contexts is freed when the event is complete, while the event is held."""

    class Token:
        pass

    holder: ContextVar[Token | None] = ContextVar("holder", default=None)
    tokens: list[weakref.ref[Token]] = []

    def put() -> None:
        token = Token()
        tokens.append(weakref.ref(token))
        holder.set(token)

    class Puts(Middleware):
        def on_event_change(self, bus: EventBus, event: BaseEvent[Any], status: EventChange) -> None:
            put()

        def on_event_result_change(
            self, bus: EventBus, event: BaseEvent[Any], result: EventResult[Any], status: ResultChange
        ) -> None:
            put()

    bus = watched(Puts())
    for handler in (ok, later, fail):
        bus.on(Job, handler)
    event = await bus.dispatch(Job())
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert {token() for token in tokens} == {None}
    assert event.event_status == "completed"


async def test_a_hook_may_dispatch() -> None:
    """What it dispatches is dispatched where the event was, and told of as well."""
    recorder = Recorder()

    class Echo(Middleware):
        def on_event_change(self, bus: EventBus, event: BaseEvent[Any], status: EventChange) -> None:
            if event.event_type == "Job":
                bus.dispatch(BaseEvent(event_type=f"Job{status}"))

    bus = watched(recorder, Echo())
    bus.on(Job, later)
    await bus.dispatch(Job())
    await bus.wait_until_idle()
    assert_told(recorder, bus)
    assert [event.event_type for event in bus.event_history.values()] == [
        "Job",
        "Jobpending",
        "Jobstarted",
        "Jobcompleted",
    ]


# -- hooks that fail -----------------------------------------------------------------------------------------------


class Broken(Middleware):
    """Raises at everything."""

    def __init__(self, error: Callable[[], BaseException] = ZeroDivisionError) -> None:
        self.error = error

    def on_event_change(self, bus: EventBus, event: BaseEvent[Any], status: EventChange) -> None:
        """Raise."""
        raise self.error()

    def on_event_result_change(
        self, bus: EventBus, event: BaseEvent[Any], result: EventResult[Any], status: ResultChange
    ) -> None:
        """Raise."""
        raise self.error()


async def test_a_hook_that_raises_disturbs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Events, handlers and other hooks go on; it is logged at the first, tenth and hundredth time, and counted."""
    recorder = Recorder()
    bus = watched(Broken(), recorder, Broken())
    bus.on(Job, ok)
    bus.on(Job, later)
    for _ in range(40):
        assert await bus.dispatch(Job()).event_results_list() == ["ok", "later"]

    assert_told(recorder, bus)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert sorted({text.partition(";")[0] for text in said}) == [
        f"Broken.{name}() raised ({count} times so far)"
        for name in ("on_event_change", "on_event_result_change")
        for count in (1, 10, 100)
    ]
    assert len(said) == 2 * 6
    assert all(record.exc_info for record in caplog.records)
    assert bus.statistics().failed_hooks == 2 * 40 * (3 + 4)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_hook_that_ends_the_program_ends_it(error: type[BaseException]) -> None:
    """SystemExit and KeyboardInterrupt leave through the loop, and the event settles."""
    events: list[Job] = []

    class Ends(Middleware):
        def on_event_change(self, bus: EventBus, event: BaseEvent[Any], status: EventChange) -> None:
            if status == "started":
                raise error

    async def main() -> None:
        bus = watched(Ends())
        bus.on(Job, ok)
        events.append(bus.dispatch(Job()))
        await asyncio.get_running_loop().create_future()

    with pytest.raises(error):
        asyncio.run(main())
    assert [event.event_status for event in events] == ["completed"]


async def test_a_hook_may_be_set_on_the_middleware_itself() -> None:
    """It is told as one of its class is."""
    told: list[str] = []
    middleware: Any = Middleware()

    def note(_bus: EventBus, _event: BaseEvent[Any], status: EventChange) -> None:
        told.append(status)

    middleware.on_event_change = note
    await watched(middleware).dispatch(Job())

    assert told == ["pending", "started", "completed"]


async def test_a_hook_that_returns_a_coroutine_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    """What was not seen when the bus was made is logged with the remedy; no warning of a forgotten coroutine."""

    class Hidden(Middleware):
        on_event_change = staticmethod(lambda bus, event, status: later(event))  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType, reportUnknownLambdaType, reportUnknownArgumentType] - that is the test

    bus = watched(Hidden())
    await bus.dispatch(Job())
    assert "Hidden.on_event_change() returned a coroutine" in caplog.text
    assert "start a task in it" in caplog.text
    assert bus.statistics().failed_hooks == 3


class Waiting(Middleware):
    """Has an async hook, which nobody would await."""

    async def on_event_change(self, bus: EventBus, event: BaseEvent[Any], status: EventChange) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride] - that is the test
        """Wait."""


class Yielding(Middleware):
    """Has a hook whose body would never run."""

    def on_event_change(self, bus: EventBus, event: BaseEvent[Any], status: EventChange) -> Iterator[None]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride] - that is the test
        yield


class Short(Middleware):
    """Its hook takes too little."""

    def on_event_change(self, bus: EventBus, event: BaseEvent[Any]) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride] - that is the test
        """Never called."""


class Keyword(Middleware):
    """Its hook wants what nobody gives it."""

    def on_event_result_change(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride] - that is the test
        self, bus: EventBus, event: BaseEvent[Any], result: EventResult[Any], *, status: ResultChange
    ) -> None:
        """Never called."""


class Misspelt(Middleware):
    """It would be told nothing."""

    def on_event_chnage(self, bus: EventBus, event: BaseEvent[Any], status: EventChange) -> None:
        """Never called."""


class Inventive(Middleware):
    """It waits for what nobody tells."""

    def on_connect(self) -> None:
        """Never called."""


class NoMethod(Middleware):
    """It has a hook that is none."""

    on_event_change = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType] - that is the test


class Widget:
    """Its methods are named as it likes."""

    def on_click(self) -> None:
        """Do something."""


class Both(Middleware, Widget):
    """A middleware that is something else besides, and takes whatever comes."""

    on_event_seconds = 3

    def on_event_change(self, *facts: object) -> None:
        """Look at nothing."""


def test_a_middleware_may_be_something_else_besides() -> None:
    """The methods of another base are not taken for hooks, nor is what cannot be called; nor do stars disturb."""
    assert EventBus(middlewares=[Both()]).middlewares


@pytest.mark.parametrize(
    ("middlewares", "match"),
    [
        ([Short()], r"Short\.on_event_change\(bus: .*cannot be called \(too many.*called as .*\(bus, event, status\)"),
        ([Keyword()], r"on_event_result_change\(.*cannot be called.*\(bus, event, result, status\)"),
        ([Misspelt()], r"Misspelt\.on_event_chnage\(\) is no hook: did you mean on_event_change\?"),
        ([Inventive()], r"Inventive\.on_connect\(\) is no hook: hooks are on_event_change and on_event_result_change"),
        ([NoMethod()], r"NoMethod\.on_event_change is None, not a method: it is called as NoMethod\.on_event_change\("),
        ([Waiting()], r"Waiting\.on_event_change\(\) is a coroutine function.*register an async handler"),
        ([Yielding()], r"Yielding\.on_event_change\(\) has a `yield` in its body"),
        ([Recorder], r"is no middleware: give the bus an instance, Recorder\(\)"),
        ([print], r"is no middleware: derive its class from bubus\.Middleware"),
        (Recorder(), r"must be a list of middlewares"),
        (7, r"must be a list of middlewares"),
        ([first := Recorder(), first], "given twice"),
    ],
    ids=[
        "short",
        "keyword",
        "misspelt",
        "inventive",
        "no method",
        "async",
        "generator",
        "class",
        "function",
        "no list",
        "number",
        "twice",
    ],
)
def test_what_is_no_middleware_is_refused(middlewares: Any, match: str) -> None:
    """With a TypeError that says what to do; the name of the bus is still free, and no log was opened."""
    with pytest.raises(MiddlewareError, match=match) as caught:
        EventBus("Refused", middlewares=middlewares)
    assert isinstance(caught.value, TypeError)
    assert EventBus("Refused").name == "Refused"


# -- cost ----------------------------------------------------------------------------------------------------------


def test_a_bus_without_hooks_has_the_scheduler_it_always_had() -> None:
    """Neither none, nor a middleware that overrides nothing, costs anything."""
    for bus in (EventBus(), EventBus(middlewares=[Middleware()])):
        assert type(scheduler_of(bus)) is Scheduler
        assert scheduler_of(bus).options.before_call is None
    assert type(scheduler_of(watched(Recorder()))) is not Scheduler


def scheduler_of(bus: EventBus) -> Scheduler:
    """Return what moves a bus."""
    return getattr(bus, "_scheduler")  # noqa: B009 - it is nobody's business otherwise


def test_a_bus_knows_its_middlewares() -> None:
    """In the order in which they were given."""
    one, two = Recorder(), Middleware()
    assert EventBus(middlewares=iter([one, two])).middlewares == (one, two)
    assert EventBus().middlewares == ()


async def test_a_hook_may_cut_off_the_handler_it_is_told_of() -> None:
    """A handler that is cut off while its beginning is told does not run, and the bus goes on."""

    class Stops(Middleware):
        def on_event_result_change(
            self, bus: EventBus, event: BaseEvent[Any], result: EventResult[Any], status: ResultChange
        ) -> None:
            if status == "started" and not stopped:
                stopped.append(asyncio.create_task(bus.stop()))
                bus._scheduler.cut_all(BusStopped("now"))  # pyright: ignore[reportPrivateUsage] - as the end of a loop does

    stopped: list[asyncio.Task[None]] = []
    ran: list[str] = []
    bus = watched(Stops())
    bus.on(Job, lambda event: ran.append(event.event_id) or "done")
    event = await bus.dispatch(Job())
    [result] = event.event_results.values()
    await stopped[0]

    assert isinstance(result.error, BusStopped)
    assert ran == []
    assert await bus.dispatch(Job()).event_result() == "done"


async def test_a_handler_begins_after_its_beginning_was_told() -> None:
    """The time that hooks take is no part of the handler's: started_at and duration meet at completed_at."""

    class Slow(Middleware):
        def on_event_result_change(
            self, bus: EventBus, event: BaseEvent[Any], result: EventResult[Any], status: ResultChange
        ) -> None:
            if status == "started":
                told.append(result.started_at)
                time.sleep(0.01)

    told: list[datetime | None] = []
    bus = watched(Slow())
    bus.on(Job, ok)
    event = await bus.dispatch(Job())
    [result] = event.event_results.values()

    assert told[0] is not None
    assert result.started_at is not None
    assert (result.started_at - told[0]).total_seconds() >= 0.009
