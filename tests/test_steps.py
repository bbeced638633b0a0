"""Driving a bus by hand, and buses whose `step`, `process_event` or `dispatch` is not the original."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import BusStopped, DeadlockError, HandlerTimeout, NotAnEventError, NotRunningError
from tests.until import until


class Ask(BaseEvent[str]):
    number: int = 0


class Child(BaseEvent[str]):
    pass


class Far(BaseEvent[str]):
    pass


class Traced(EventBus):
    """A subclass as existing programs have them: it overrides methods and calls super()."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.trace: list[str] = []

    async def step(
        self, event: BaseEvent[Any] | None = None, timeout: float | None = None, wait_for_timeout: float = 0.1
    ) -> BaseEvent[Any] | None:
        self.trace.append("step")
        done = await super().step(event, timeout, wait_for_timeout)
        self.trace.append(f"stepped {done.event_type if done else None}")
        return done

    async def process_event(self, event: BaseEvent[Any], timeout: float | None = None) -> None:
        self.trace.append(f"process {event.event_type}")
        await super().process_event(event, timeout)
        self.trace.append(f"processed {event.event_type}")


def answer(event: Ask) -> str:
    return f"answer {event.number}"


# -- subclasses ------------------------------------------------------------------------------------------------------


async def test_overridden_methods_are_called_for_every_event_one_after_another() -> None:
    """The bus calls `self.step()` per event, which calls `self.process_event()`; FIFO holds."""
    bus = Traced("traced")
    bus.on(Ask, answer)
    events = [bus.dispatch(Ask(number=number)) for number in range(3)]
    assert [await event.event_result() for event in events] == ["answer 0", "answer 1", "answer 2"]
    await asyncio.sleep(0)
    assert bus.trace == ["step", "process Ask", "processed Ask", "stepped Ask"] * 3


async def test_a_child_awaited_in_a_handler_goes_through_process_event_alone() -> None:
    """It is run out of turn, so there is no step for it; its parent is the event whose handler dispatched it."""
    bus = Traced("traced")

    async def ask(event: Ask) -> str:
        child = await bus.dispatch(Child())
        assert child.event_parent_id == event.event_id
        return await child.event_result()

    bus.on(Ask, ask)
    bus.on(Child, lambda _: "child")
    event = bus.dispatch(Ask())
    assert await event.event_result() == "child"
    await until(lambda: "stepped Ask" in bus.trace)
    assert [line for line in bus.trace if "step" not in line] == [
        "process Ask",
        "process Child",
        "processed Child",
        "processed Ask",
    ]
    assert bus.trace.count("step") == 1
    assert [child.event_type for child in event.event_children] == ["Child"]


async def test_what_an_override_does_after_super_is_done_before_the_next_step() -> None:
    """Steps never overlap, also where an override goes on after the event; idle means that it is done."""
    log: list[str] = []

    class Slow(EventBus):
        async def step(self, *args: Any, **kwargs: Any) -> Any:
            log.append("begin")
            done = await super().step(*args, **kwargs)
            for _ in range(5):
                await asyncio.sleep(0)
            log.append("end")
            return done

    bus = Slow("slow")
    bus.on(Ask, answer)
    for number in range(3):
        bus.dispatch(Ask(number=number))
    await bus.wait_until_idle()
    assert log == ["begin", "end"] * 3


async def test_an_override_may_wait_until_its_own_bus_is_idle() -> None:
    """Its own call does not count there: it would wait for itself."""

    class Waiting(EventBus):
        waited = 0

        async def process_event(self, event: BaseEvent[Any], timeout: float | None = None) -> None:
            await super().process_event(event, timeout)
            await self.wait_until_idle()
            self.waited += 1

    bus = Waiting("waiting")
    bus.on(Ask, answer)
    assert await bus.dispatch(Ask()).event_result() == "answer 0"
    await bus.wait_until_idle()
    assert bus.waited == 1


async def test_stop_does_not_wait_for_an_override_that_hangs() -> None:
    """The event is complete; whoever wrote the method answers for what it does afterwards."""
    goes_on = asyncio.Event()

    class Hanging(EventBus):
        async def process_event(self, event: BaseEvent[Any], timeout: float | None = None) -> None:
            await super().process_event(event, timeout)
            await goes_on.wait()

    bus = Hanging("hanging")
    bus.on(Ask, answer)
    assert await bus.dispatch(Ask()).event_result() == "answer 0"
    await bus.stop()
    goes_on.set()
    await until(lambda: not bus._scheduler._drivers)  # pyright: ignore[reportPrivateUsage] - nothing else tells


async def test_a_step_that_puts_an_event_off_is_asked_again() -> None:
    """An override may return without calling super(): the event stays queued, and the loop gets its turns."""
    paused = asyncio.Event()

    class Paused(EventBus):
        asked = 0

        async def step(self, *args: Any, **kwargs: Any) -> Any:
            self.asked += 1
            if not paused.is_set():
                return None
            return await super().step(*args, **kwargs)

    bus = Paused("paused")
    bus.on(Ask, answer)
    event = bus.dispatch(Ask())
    await until(lambda: bus.asked >= 3)
    assert event.event_status == "pending"
    paused.set()
    assert await event.event_result() == "answer 0"


async def test_stop_settles_what_a_step_puts_off() -> None:
    """Nobody waits for ever on a bus whose `step` never takes anything."""

    class Never(EventBus):
        async def step(self, *args: Any, **kwargs: Any) -> Any:
            return None

    bus = Never("never")
    bus.on(Ask, answer)
    event = bus.dispatch(Ask())
    await asyncio.sleep(0)
    await bus.stop()
    with pytest.raises(BusStopped):
        await event.event_result()


async def test_process_event_that_does_not_call_super_leaves_no_event_open(caplog: pytest.LogCaptureFixture) -> None:
    """A filter drops events: they complete without results, and it is logged."""

    class Filter(EventBus):
        async def process_event(self, event: BaseEvent[Any], timeout: float | None = None) -> None:
            if not (isinstance(event, Ask) and event.number % 2):
                await super().process_event(event, timeout)

    bus = Filter("filter")
    bus.on(Ask, answer)
    first, second = bus.dispatch(Ask(number=1)), bus.dispatch(Ask(number=2))
    assert await first.event_result(raise_if_none=False) is None
    assert (first.event_status, first.event_results) == ("completed", {})
    assert await second.event_result() == "answer 2"
    assert "did not call super()" in caplog.text


@pytest.mark.parametrize("method", ["step", "process_event"])
async def test_an_error_of_an_override_is_the_error_of_the_event(method: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its handlers' results carry the error, it is logged, and the bus goes on."""
    fails = [True]

    async def broken(self: EventBus, *args: Any, **kwargs: Any) -> Any:
        if fails.pop():
            raise ValueError("the override is broken")
        fails.append(False)
        return await getattr(EventBus, method)(self, *args, **kwargs)

    bus = type("Broken", (EventBus,), {method: broken})("broken")
    bus.on(Ask, answer)
    event = bus.dispatch(Ask())
    with pytest.raises(ValueError, match="the override is broken"):
        await event.event_result()
    assert "the override is broken" in caplog.text
    fails.append(False)
    assert await bus.dispatch(Ask(number=2)).event_result() == "answer 2"


async def test_handlers_that_suspend_fail_or_time_out_are_settled_as_ever() -> None:
    """Results, errors and timeouts do not depend on who drives the bus."""
    bus = Traced("traced")

    async def suspends(event: Ask) -> str:
        await asyncio.sleep(0)
        return "late"

    async def fails(event: Ask) -> str:
        raise KeyError("no")

    async def hangs(event: Ask) -> str:
        await asyncio.Event().wait()
        return "never"

    for handler in (suspends, fails, hangs):
        bus.on(Ask, handler)
    event = await bus.dispatch(Ask(event_timeout=0.01))
    outcomes = [result.error.__class__ if result.error else result.result for result in event.event_results.values()]
    assert outcomes == ["late", KeyError, HandlerTimeout]


async def test_dispatch_and_wait_until_idle_may_be_overridden() -> None:
    """They are what `forwarding`, `dispatch_threadsafe` and programs call; super() does the work."""
    log: list[str] = []

    class Counting(EventBus):
        def dispatch(self, event: Any) -> Any:
            log.append(f"dispatch {event.event_type}")
            return super().dispatch(event)

        async def wait_until_idle(self, timeout: float | None = None) -> None:
            log.append("wait")
            await super().wait_until_idle(timeout)

    source, bus = EventBus("source"), Counting("counting")
    source.on("*", bus.dispatch)
    bus.on(Ask, answer)
    event = await source.dispatch(Ask())
    await bus.wait_until_idle()
    assert (await event.event_result(), event.event_path) == ("answer 0", ["source", "counting"])
    assert log == ["dispatch Ask", "wait"]
    assert [result.handler_name for result in event.event_results.values()] == ["counting.dispatch", "answer"]


async def test_the_originals_are_not_called_where_nothing_is_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain bus runs its events without `step` and `process_event`: no task and no turn of the loop more."""
    bus = EventBus("plain")
    bus.on(Ask, answer)

    def unexpected(*_: object, **__: object) -> None:
        raise AssertionError("nobody may be asked to drive a plain bus")

    monkeypatch.setattr("bubus._scheduler.drive", unexpected)
    assert await bus.dispatch(Ask()).event_result() == "answer 0"


# -- instrumentation -------------------------------------------------------------------------------------------------

Wrap = Callable[[str], None]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Wrap the class' methods, as tracing packages do, and note what passes through them."""
    seen: list[str] = []
    dispatch, process_event = EventBus.dispatch, EventBus.process_event

    @functools.wraps(dispatch)
    def traced_dispatch(self: EventBus, event: Any) -> Any:
        seen.append(f"dispatch {event.event_type}")
        return dispatch(self, event)

    @functools.wraps(process_event)
    async def traced_process(self: EventBus, *args: Any, **kwargs: Any) -> None:
        seen.append(f"enter {args[0].event_type}")
        await process_event(self, *args, **kwargs)
        seen.append(f"exit {args[0].event_type}")

    monkeypatch.setattr(EventBus, "dispatch", traced_dispatch)
    monkeypatch.setattr(EventBus, "process_event", traced_process)
    return seen


async def test_wrapping_the_class_traces_buses_made_before_it(request: pytest.FixtureRequest) -> None:
    """Instrumentation may come late: what is looked at is the class as it is when the event is run."""
    bus = EventBus("early")

    async def ask(_: Ask) -> str:
        return await bus.dispatch(Child()).event_result()

    bus.on(Ask, ask)
    bus.on(Child, lambda _: "child")
    assert await bus.dispatch(Ask()).event_result() == "child"
    spans: list[str] = request.getfixturevalue("spans")
    assert await bus.dispatch(Ask()).event_result() == "child"
    await asyncio.sleep(0)
    assert spans == ["dispatch Ask", "enter Ask", "dispatch Child", "enter Child", "exit Child", "exit Ask"]


async def test_a_forward_through_a_wrapped_dispatch_is_known_as_one(spans: list[str]) -> None:
    """A ring of buses ends although `dispatch` is not the original."""
    one, two = EventBus("one"), EventBus("two")
    one.on("*", two.dispatch)
    two.on("*", one.dispatch)
    event = await one.dispatch(Ask())
    assert event.event_path == ["one", "two"]
    assert {result.handler_name for result in event.event_results.values()} == {"two.dispatch", "one.dispatch"}
    assert "enter Ask" in spans


# -- by hand ---------------------------------------------------------------------------------------------------------


async def test_step_runs_the_next_event_in_order() -> None:
    """Without an event it takes the first of the queue and returns it when its handlers have run."""
    bus = EventBus("stepped")
    bus.on(Ask, answer)
    events = [bus.dispatch(Ask(number=number)) for number in range(2)]
    assert await bus.step() is events[0]
    assert (events[0].event_status, len(bus.event_queue or ())) == ("completed", 1)
    assert await bus.step() is events[1]


@pytest.mark.virtual_time
async def test_step_waits_so_long_for_an_event_and_then_returns_none() -> None:
    """`wait_for_timeout` is in seconds; an event that comes meanwhile is taken."""
    bus = EventBus("stepped")
    bus.on(Ask, answer)
    await bus.dispatch(Ask())
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert await bus.step(wait_for_timeout=2.5) is None
    assert loop.time() - begun == pytest.approx(2.5)
    waiting = asyncio.create_task(bus.step(wait_for_timeout=60))
    await asyncio.sleep(1)
    event = bus.dispatch(Ask(number=7))
    assert await waiting is event
    assert event.event_status == "completed"


async def test_step_on_a_fresh_or_reset_bus_raises() -> None:
    """Its error is an AssertionError too, as programs of the older package expect; after a dispatch it works again."""
    bus = EventBus("reset")
    bus.on(Ask, answer)
    with pytest.raises(AssertionError):
        await bus.step()
    await bus.dispatch(Ask())
    bus.event_queue = None
    with pytest.raises(NotRunningError, match="dispatch an event first"):
        await bus.step()
    event = bus.dispatch(Ask())
    assert await bus.step() is event


async def test_step_and_process_event_accept_an_event_of_their_own() -> None:
    """It enters the books as any other: history, path and results."""
    bus = EventBus("by hand")
    bus.on(Ask, answer)
    first, second = Ask(number=1), Ask(number=2)
    assert await bus.step(first) is first
    await bus.process_event(second)
    assert [event.event_path for event in (first, second)] == [["by hand"]] * 2
    assert list(bus.event_history.values()) == [first, second]
    assert await second.event_result() == "answer 2"


async def test_process_event_runs_a_queued_event_out_of_turn_and_once() -> None:
    """The others keep their order; a second call does nothing, and two at once share the run."""
    bus, seen = EventBus("by hand"), list[int]()

    async def note(event: Ask) -> str:
        await asyncio.sleep(0)
        seen.append(event.number)
        return "noted"

    bus.on(Ask, note)
    events = [bus.dispatch(Ask(number=number)) for number in range(3)]
    await asyncio.gather(bus.process_event(events[2]), bus.process_event(events[2]))
    assert seen[0] == 2 or seen[:2] == [0, 2]
    await bus.wait_until_idle()
    await bus.process_event(events[2])
    assert sorted(seen) == [0, 1, 2]
    assert seen.index(0) < seen.index(1)


@pytest.mark.virtual_time
async def test_process_event_limits_the_time_of_handlers() -> None:
    """Its timeout is in seconds, counts for this call and leaves the event's own as it is."""
    bus = EventBus("by hand")

    async def slow(_: Ask) -> str:
        await asyncio.sleep(10)
        return "slow"

    bus.on(Ask, slow)
    event = Ask()
    await bus.process_event(event, timeout=0.5)
    with pytest.raises(HandlerTimeout, match=r"0\.5 s"):
        await event.event_result()
    assert event.event_timeout == 60.0
    assert await bus.dispatch(Ask()).event_result() == "slow"


async def test_cancelling_process_event_does_not_cancel_the_event() -> None:
    """Who drives by hand may give up; the event is completed all the same."""
    bus, goes_on = EventBus("by hand"), asyncio.Event()

    async def waits(_: Ask) -> str:
        await goes_on.wait()
        return "done"

    bus.on(Ask, waits)
    event = Ask()
    driver = asyncio.create_task(bus.process_event(event))
    await until(lambda: event.event_status != "pending")
    driver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driver
    goes_on.set()
    assert await event.event_result() == "done"
    assert await bus.dispatch(Ask()).event_result() == "done"


async def test_process_event_in_its_own_handler_is_a_deadlock() -> None:
    """It raises at once instead of waiting for itself."""
    bus = EventBus("by hand")

    async def own(event: Ask) -> str:
        await bus.process_event(event)
        return "never"

    bus.on(Ask, own)
    with pytest.raises(DeadlockError):
        await bus.dispatch(Ask()).event_result()


@pytest.mark.parametrize("begun", [False, True], ids=["queued", "begun"])
async def test_process_event_in_a_handler_lets_its_bus_run_what_the_event_waits_for(begun: bool) -> None:
    """The caller's bus runs, out of turn, the child that a handler far below has queued there and not awaited."""
    first, second, third = EventBus("first"), EventBus("second"), EventBus("third")
    goes_on = asyncio.Event()

    async def drive(event: Ask) -> str:
        child = second.dispatch(Child())
        if begun:
            await until(lambda: child.event_status == "started")
            _ = asyncio.get_running_loop().call_later(0, goes_on.set)
        else:
            goes_on.set()
        await second.process_event(child)
        return "driven"

    async def ask_the_third(event: Child) -> str:
        await goes_on.wait()
        return str(await third.dispatch(Far(event_timeout=None)).event_result())

    def leave_a_child(event: Far) -> str:
        _ = first.dispatch(Ask(number=1))
        return "far"

    first.on(Ask, lambda event: drive(event) if event.number == 0 else answer(event))
    second.on(Child, ask_the_third)
    third.on(Far, leave_a_child)
    root = first.dispatch(Ask(event_timeout=None))
    assert await asyncio.wait_for(root.event_result(), 5) == "driven"
    child = root.event_children[0]
    assert await child.event_result() == "far"


async def test_handlers_that_drive_each_others_events_are_a_deadlock() -> None:
    """The second of two that wait for each other by `process_event` gets the error, the first goes on."""
    first, second = EventBus("first"), EventBus("second")
    both = asyncio.Barrier(2)

    async def drive_child(event: Ask) -> str:
        await both.wait()
        await second.process_event(far)
        return "driven"

    async def drive_ask(event: Far) -> str:
        await both.wait()
        await first.process_event(ask)
        return "driven"

    first.on(Ask, drive_child)
    second.on(Far, drive_ask)
    ask, far = first.dispatch(Ask(event_timeout=None)), second.dispatch(Far(event_timeout=None))
    outcomes = await asyncio.wait_for(asyncio.gather(ask.event_result(), far.event_result(), return_exceptions=True), 5)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DeadlockError", "str"]


async def test_what_is_no_event_is_refused() -> None:
    """The error is a TypeError and names what was given."""
    bus = EventBus("by hand")
    wrong: Any = "no event"
    calls: list[Awaitable[object]] = [
        bus.step(wrong),
        bus.process_event(wrong),
        bus.execute_handler(wrong, answer),
    ]
    for call in calls:
        with pytest.raises(NotAnEventError, match="no event"):
            await call


async def test_execute_handler_runs_one_handler_and_returns_its_value() -> None:
    """Its record is among the event's results; a second handler may follow, and errors are raised as they are."""
    bus = EventBus("by hand")
    bus.on(Ask, answer)

    async def other(event: Ask) -> str:
        await asyncio.sleep(0)
        return "other"

    def fails(event: Ask) -> str:
        raise KeyError("no")

    event = Ask(number=3)
    assert await bus.execute_handler(event, answer) == "answer 3"
    assert event.event_status == "completed"
    assert await bus.execute_handler(event, other) == "other"
    with pytest.raises(KeyError):
        await bus.execute_handler(event, fails)
    assert [result.handler_name for result in event.event_results.values()] == ["answer", "other", "fails"]
    assert bus.statistics().pending == bus.statistics().started == 0


@pytest.mark.virtual_time
async def test_execute_handler_limits_its_time() -> None:
    """The timeout is in seconds."""
    bus = EventBus("by hand")

    async def slow(_: Ask) -> str:
        await asyncio.sleep(10)
        return "slow"

    with pytest.raises(HandlerTimeout):
        await bus.execute_handler(Ask(), slow, timeout=0.5)
