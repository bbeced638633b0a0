"""What programs of the older package ask of events: signals, times, and results set by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bubus import BaseEvent, EventBus, ValidationError
from bubus.errors import NotDispatchedError, OptionError, OptionTypeError
from bubus.models import get_handler_id
from tests.until import until


class Ask(BaseEvent[str]):
    pass


class Child(BaseEvent[str]):
    pass


def answer(_: BaseEvent[Any]) -> str:
    return "answer"


def other(_: BaseEvent[Any]) -> str:
    return "other"


# -- signals and times -----------------------------------------------------------------------------------------------


async def test_the_signal_is_set_when_the_event_is_complete() -> None:
    """It has the `is_set` and `wait` of an asyncio.Event and follows the event."""
    bus = EventBus("signals")
    bus.on(Ask, answer)
    event = bus.dispatch(Ask())
    signal = event.event_completed_signal
    assert not signal.is_set()
    assert await signal.wait() is True
    assert signal.is_set()
    assert event.event_status == "completed"
    assert repr(signal) == f"<CompletedSignal of {event} [set]>"


async def test_waiting_for_the_signal_of_an_event_nobody_has_raises() -> None:
    """It would never be set."""
    with pytest.raises(NotDispatchedError):
        await Ask().event_completed_signal.wait()


async def test_processed_at_is_the_time_of_completion() -> None:
    """None before that; a dump of the event, read again, is a new event."""
    bus = EventBus("times")
    event = Ask()
    assert event.event_processed_at is None
    await bus.dispatch(event)
    assert event.event_processed_at == event.event_completed_at is not None


async def test_str_names_the_last_bus_the_end_of_the_id_and_the_status() -> None:
    """`?` stands for the bus before the first dispatch."""
    bus, event = EventBus("main"), Ask()
    tail = event.event_id[-4:]
    assert str(event) == f"?▶ Ask#{tail} ⏳"
    bus.dispatch(event)
    assert str(event) == f"main▶ Ask#{tail} ⏳"
    await event
    assert str(event) == f"main▶ Ask#{tail} ✅"


# -- children --------------------------------------------------------------------------------------------------------


async def test_children_are_complete_when_all_below_are() -> None:
    """Grandchildren count; an event without children has none that is open."""
    bus, inner = EventBus("family"), asyncio.Event()

    class Grandchild(BaseEvent[str]):
        pass

    async def waits(_: Grandchild) -> str:
        await inner.wait()
        return "late"

    seen: list[bool] = []
    bus.on(Ask, lambda _: (bus.dispatch(Child()), "asked")[1])
    bus.on(Child, lambda _: (bus.dispatch(Grandchild()), "child")[1])
    bus.on(Grandchild, waits)
    event = Ask()
    assert event.event_are_all_children_complete()
    bus.dispatch(event)
    await until(lambda: event.event_children and event.event_children[0].event_children)
    seen.append(event.event_are_all_children_complete())
    inner.set()
    await event
    assert (seen, event.event_are_all_children_complete()) == ([False], True)


async def test_pending_children_are_cancelled_and_running_handlers_go_on() -> None:
    """A queued child settles with the error; of a running one only the handlers that have not begun."""
    bus, side = EventBus("family"), EventBus("side")
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Child) -> str:
        begun.set()
        await goes_on.wait()
        return "slow"

    side.on(Child, slow)
    side.on(Child, other)
    bus.on(Child, answer)

    async def ask(event: Ask) -> str:
        side.dispatch(Child())
        bus.dispatch(Child())
        await begun.wait()
        event.event_cancel_pending_child_processing(ValueError("not needed any more"))
        goes_on.set()
        return "asked"

    bus.on(Ask, ask)
    event = await bus.dispatch(Ask())
    running, queued = event.event_children
    assert [result.result or str(result.error) for result in running.event_results.values()] == [
        "slow",
        "not needed any more",
    ]
    assert [str(result.error) for result in queued.event_results.values()] == ["not needed any more"]
    assert await event.event_result() == "asked"


async def test_children_are_cancelled_by_an_exception_only() -> None:
    """Anything else is refused, as it could not be raised."""
    wrong: Any = "no error"
    with pytest.raises(OptionTypeError, match="exception object"):
        Ask().event_cancel_pending_child_processing(wrong)


# -- results by hand -------------------------------------------------------------------------------------------------


async def test_results_may_be_set_by_hand_before_any_dispatch() -> None:
    """The record is made pending, moves forward only, and the event completes when it is told to."""
    bus, event = EventBus("hands"), Ask()
    record = event.event_result_update(answer, eventbus=bus)
    assert (record.status, record.eventbus_name, event.event_status) == ("pending", "hands", "pending")
    assert event.event_result_update(answer, eventbus=bus, status="started") is record
    assert (record.status, event.event_status) == ("started", "started")
    event.event_mark_complete_if_all_handlers_completed()
    assert event.event_status == "started"
    with pytest.raises(NotDispatchedError):
        await event
    event.event_result_update(answer, eventbus=bus, result="by hand")
    event.event_result_update(other, eventbus=bus, error=ValueError("no"))
    event.event_mark_complete_if_all_handlers_completed()
    assert event.event_status == "completed"
    assert await event is event
    assert await event.event_results_by_handler_id(raise_if_any=False) == {get_handler_id(answer, bus): "by hand"}
    assert str(event.event_results[get_handler_id(other, bus)].error) == "no"
    event.event_result_update(answer, eventbus=bus, result="too late")
    assert record.result == "by hand"


def test_results_may_be_set_outside_any_loop_and_without_a_bus() -> None:
    """Such an event belongs to the loop it is dispatched in first."""
    event = Ask()
    record = event.event_result_update(answer, status="completed", timeout=3.0)
    assert (record.status, record.result, record.timeout, record.handler_name) == ("completed", None, 3.0, "answer")
    assert list(event.event_results) == [get_handler_id(answer)]

    async def main() -> str:
        bus = EventBus("later")
        bus.on(Ask, other)
        outer: list[Ask] = []

        async def parent(_: Child) -> str:
            outer.append(await bus.dispatch(event))
            return "parent"

        bus.on(Child, parent)
        done = await bus.dispatch(Child())
        assert done.event_children == outer == [event]
        return await event.event_result()

    assert asyncio.run(main()) == "other"


async def test_a_result_by_hand_is_checked_as_one_that_was_returned() -> None:
    """One that does not fit T is an error; an exception as result, or text as error, is one too."""
    event = Ask()
    wrong = event.event_result_update(answer, result=[1])
    assert isinstance(wrong.error, ValidationError)
    returned = event.event_result_update(other, result=KeyError("no"))
    assert isinstance(returned.error, KeyError)
    text = event.event_result_update(len, error="went wrong")
    assert str(text.error) == "went wrong"
    bare = event.event_result_update(repr, status="error")
    assert (bare.status, bare.error is not None) == ("error", True)


async def test_an_event_under_way_completes_by_itself_and_not_by_hand() -> None:
    """Marking it does nothing while a bus has it."""
    bus, goes_on = EventBus("hands"), asyncio.Event()

    async def waits(_: Ask) -> str:
        await goes_on.wait()
        return "done"

    bus.on(Ask, waits)
    event = bus.dispatch(Ask())
    event.event_mark_complete_if_all_handlers_completed()
    assert event.event_status == "pending"
    goes_on.set()
    await event
    event.event_mark_complete_if_all_handlers_completed()
    assert await event.event_result() == "done"


async def test_a_result_is_changed_by_hand() -> None:
    """By its own method, which checks the value as one that was returned; its signal tells when it is settled."""

    class Count(BaseEvent[int]):
        pass

    record = Count().event_result_update(len)
    signal = record.handler_completed_signal
    waiting = asyncio.ensure_future(signal.wait())
    assert record.update(status="started", timeout=3) is record
    assert (record.status, record.timeout, signal.is_set()) == ("started", 3, False)
    record.update(result="7")
    assert (record.status, record.result, await waiting, repr(signal)[-6:]) == ("completed", 7, True, "[set]>")
    assert record.update(error="too late").error is None
    bad = Count().event_result_update(len).update(result="x")
    assert isinstance(bad.error, ValidationError)
    assert await bad.handler_completed_signal.wait()
    with pytest.raises(OptionTypeError, match="only status, result, error, timeout"):
        bad.update(id="x")  # pyright: ignore[reportCallIssue] - the mistake


async def test_waiting_for_a_result_can_be_cancelled() -> None:
    """The record is left as it is."""
    record = BaseEvent[Any]().event_result_update(len)
    waiting = asyncio.ensure_future(record.handler_completed_signal.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert record.status == "pending"


async def test_unknown_updates_are_refused() -> None:
    """The message names what can be changed."""
    update: Any = Ask().event_result_update
    with pytest.raises(OptionTypeError, match="cannot change foo: only status, result, error, timeout"):
        update(answer, foo=3)
    with pytest.raises(OptionError, match="status='ready' must be"):
        update(answer, status="ready")


async def test_a_result_set_by_hand_before_its_handler_began_is_cut_off_with_the_rest() -> None:
    """A stop, or a timeout, settles the results of handlers that had not begun, whatever status they were given."""
    bus = EventBus()

    def second(event: BaseEvent[Any]) -> str:
        return "second"

    async def first(event: BaseEvent[Any]) -> None:
        event.event_result_update(second, eventbus=bus, status="started")
        await asyncio.get_running_loop().create_future()

    bus.on("Job", first)
    bus.on("Job", second)
    event = bus.dispatch(BaseEvent[Any](event_type="Job"))
    await until(lambda: len(event.event_results) == 2 and bus.statistics().started == 1)
    await asyncio.sleep(0)
    await bus.stop()

    assert event.event_status == "completed"
    assert [result.status for result in event.event_results.values()] == ["error", "error"]
