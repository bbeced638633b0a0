"""`event_result` and its relatives, and the record of one handler's work."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import pickle
import uuid
from collections import defaultdict, deque
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import pytest

from bubus import BaseEvent, EventBus, EventResult
from bubus.errors import NoResultError, ResultConflictError, ValidationError, WaitTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Ask(BaseEvent[str]):
    pass


class Nothing(BaseEvent[None]):
    pass


class Anything(BaseEvent):
    pass


class Count(BaseEvent[int]):
    pass


class AskForEvent(BaseEvent[Ask]):
    pass


class Merge(BaseEvent[dict[str, int]]):
    pass


class Collect(BaseEvent[list[int]]):
    pass


E = TypeVar("E", bound=BaseEvent[Any])

FIRST, SECOND = ValueError("first"), KeyError("second")


def returns(value: object, name: str = "handler") -> Callable[[Any], Any]:
    """Return a handler named *name* that returns *value*."""

    def handler(event: object) -> object:
        return value

    handler.__name__ = name
    return handler


def raises(error: BaseException) -> Callable[[Any], Any]:
    """Return a handler that raises *error*."""

    def handler(event: object) -> object:
        raise error

    return handler


def any_result(result: EventResult[Any]) -> bool:
    """Select everything."""
    return True


async def asked(event: E, *handlers: Callable[[Any], Any]) -> E:
    """Dispatch *event* on a new bus with *handlers* and return it completed."""
    bus = EventBus()
    for handler in handlers:
        bus.on("*", handler)
    return await bus.dispatch(event)


async def test_event_result_is_the_first_value_in_run_order() -> None:
    """None is passed over, later values do not count."""
    ask = await asked(Ask(), returns(None), returns("first"), returns("second"))

    assert await ask.event_result() == "first"


async def test_event_result_waits_for_the_event() -> None:
    """It can be called on a pending event, inside a handler too."""
    bus = EventBus()

    async def outer(event: Anything) -> str:
        return str(await bus.dispatch(Ask()).event_result())

    bus.on(Ask, returns("inner"))
    bus.on(Anything, outer)

    assert await bus.dispatch(Ask()).event_result() == "inner"
    assert await bus.dispatch(Anything()).event_result() == "inner"


async def test_falsy_values_are_values() -> None:
    """Zero, the empty string and False count, only None does not."""
    falsy: tuple[object, ...] = (0, "", False, [], {})
    for value in falsy:
        event = await asked(Anything(), returns(None), returns(value))
        assert await event.event_result() == value


async def test_R46_awaiting_the_event_never_raises() -> None:
    """Errors of handlers are in their results; the await itself returns the event."""
    ask = Ask()
    assert await asked(ask, raises(FIRST), raises(SECOND)) is ask
    assert [result.error for result in ask.event_results.values()] == [FIRST, SECOND]


async def test_R46_one_error_is_raised_as_it_is() -> None:
    """`event_result` raises the handler's own exception object, also beside a value, with the handler in a note."""
    ask = await asked(Ask(), returns("fine"), raises(FIRST))
    failed = list(ask.event_results.values())[1]
    with pytest.raises(ValueError, match="first") as caught:
        await ask.event_result()

    assert caught.value is FIRST
    assert any(failed.handler_id in note for note in caught.value.__notes__)


async def test_R46_several_errors_are_raised_as_a_group() -> None:
    """The group holds the original exception objects, in run order."""
    ask = await asked(Ask(), raises(FIRST), returns("fine"), raises(SECOND))
    with pytest.raises(ExceptionGroup) as caught:
        await ask.event_result()

    assert caught.value.exceptions == (FIRST, SECOND)
    assert "Ask" in str(caught.value)


async def test_R46_raising_twice_adds_no_second_note() -> None:
    """Asking again for the result of a failed event raises the same error, as it was."""
    error = ValueError("once")
    ask = await asked(Ask(), raises(error))
    for _ in range(3):
        with pytest.raises(ValueError, match="once"):
            await ask.event_result()

    assert len(error.__notes__) == 1


async def test_errors_can_be_passed_over() -> None:
    """With ``raise_if_any=False`` the first value is returned, or NoResultError raised."""
    ask = await asked(Ask(), raises(FIRST), returns("fine"))
    assert await ask.event_result(raise_if_any=False) == "fine"

    failed = await asked(Ask(), raises(FIRST))
    with pytest.raises(NoResultError):
        await failed.event_result(raise_if_any=False)
    assert await failed.event_result(raise_if_any=False, raise_if_none=False) is None


async def test_R46_nothing_selected_raises_and_says_why() -> None:
    """No handler, or none with a value, is NoResultError; the message tells the two apart and names a way out."""
    unheard, silent = await asked(Ask()), await asked(Ask(), returns(None))
    with pytest.raises(NoResultError, match=r"(?i)no handler.*raise_if_none=False") as caught:
        await unheard.event_result()
    assert isinstance(caught.value, ValueError)
    with pytest.raises(NoResultError, match=r"raise_if_none=False") as other:
        await silent.event_result()

    assert str(caught.value) != str(other.value)
    for event in (unheard, silent):
        assert await event.event_result(raise_if_none=False) is None


@pytest.mark.parametrize("handlers", [(returns(None),), (returns(None), returns(None))], ids=len)
async def test_R46_an_event_without_results_returns_none(handlers: tuple[Callable[[Any], Any], ...]) -> None:
    """``BaseEvent[None]`` never raises for a missing value."""
    event = await asked(Nothing(), *handlers)

    assert await event.event_result() is None


async def test_an_event_without_results_still_raises_errors() -> None:
    """``BaseEvent[None]`` does not hide what went wrong."""
    event = await asked(Nothing(), raises(FIRST))
    with pytest.raises(ValueError, match="first"):
        await event.event_result()


async def test_a_returned_exception_is_the_handlers_error() -> None:
    """An Exception instance that is returned counts as raised."""
    ask = await asked(Ask(), returns(FIRST))
    [result] = ask.event_results.values()

    assert (result.status, result.error, result.result) == ("error", FIRST, None)
    with pytest.raises(ValueError, match="first"):
        await ask.event_result()


async def test_a_value_of_the_wrong_type_is_the_handlers_error() -> None:
    """What T does not admit is an error of that handler only."""
    count = await asked(Count(), returns("many"), returns("7"))
    wrong, right = count.event_results.values()

    assert isinstance(wrong.error, ValidationError)
    assert (wrong.status, wrong.result) == ("error", None)
    assert (right.status, right.result) == ("completed", 7)
    assert await count.event_result(raise_if_any=False) == 7


@pytest.mark.parametrize(
    "value",
    [defaultdict[str, int](int, a=1), Decimal("nan"), {1, 2}, deque([1])],
    ids=lambda value: type(value).__name__,
)
async def test_a_value_of_exactly_the_declared_type_is_passed_as_it_is(value: object) -> None:
    """It is neither checked again nor copied, whatever the type."""

    class Exact(BaseEvent[Any]):
        event_result_type = type(value)

    bus = EventBus()
    bus.on(Exact, lambda _event: value)

    assert await bus.dispatch(Exact()).event_result() is value


async def test_none_is_always_accepted() -> None:
    """A handler may return None whatever T is."""
    count = await asked(Count(), returns(None))
    [result] = count.event_results.values()

    assert (result.status, result.result, result.error) == ("completed", None, None)


async def test_a_returned_event_is_a_value_if_t_admits_it() -> None:
    """An event as result is seen by the helpers where the event class says so, and nowhere else."""
    answer = Ask()
    admitted = await asked(AskForEvent(), returns(answer))
    not_admitted = await asked(Count(), returns(answer))

    assert await admitted.event_result() is answer
    [result] = not_admitted.event_results.values()
    assert (result.status, result.error) == ("completed", None)
    assert await not_admitted.event_results_list(raise_if_none=False) == []
    assert await not_admitted.event_result(raise_if_none=False) is None


async def test_include_replaces_the_default_selection() -> None:
    """Given an `include`, None and errors can be selected too."""
    seen: list[EventResult[Any]] = []

    def failed(result: EventResult[Any]) -> bool:
        seen.append(result)
        return result.status == "error"

    ask = await asked(Ask(), returns("value"), raises(FIRST), returns(None))
    everything = await ask.event_results_list(include=lambda result: True, raise_if_any=False)
    errors = await ask.event_results_filtered(include=failed, raise_if_any=False)
    finished = await ask.event_results_list(include=lambda result: result.status == "completed", raise_if_any=False)

    assert everything == ["value", None, None]
    assert [result.error for result in errors.values()] == [FIRST]
    assert finished == ["value", None]
    assert seen == list(ask.event_results.values())


async def test_an_included_none_is_a_result() -> None:
    """When `include` selects a None there is a selection, and nothing is raised."""
    ask = await asked(Ask(), returns(None))

    assert await ask.event_result(include=lambda result: True) is None


async def test_include_that_selects_nothing_raises() -> None:
    """An empty selection is NoResultError also with an `include` of the caller's own."""
    ask = await asked(Ask(), returns("value"))
    with pytest.raises(NoResultError):
        await ask.event_result(include=lambda result: False)
    assert await ask.event_result(include=lambda result: False, raise_if_none=False) is None


async def test_an_error_of_include_reaches_the_caller() -> None:
    """A broken `include` raises where it was given and changes nothing."""

    def broken(result: EventResult[Any]) -> bool:
        raise ZeroDivisionError("include")

    ask = await asked(Ask(), returns("value"))
    with pytest.raises(ZeroDivisionError):
        await ask.event_result(include=broken)
    assert await ask.event_result() == "value"


async def test_results_list_has_all_values_in_run_order() -> None:
    """None, errors and forwards are left out by default."""
    other = EventBus()
    ask = await asked(Ask(), returns("one"), returns(None), other.dispatch, returns("two"))

    assert await ask.event_results_list() == ["one", "two"]


async def test_results_by_handler_id() -> None:
    """Values by handler id, as in `event_results`."""
    ask = await asked(Ask(), returns("one"), returns(None), returns("two"))
    ids = list(ask.event_results)

    assert await ask.event_results_by_handler_id() == {ids[0]: "one", ids[2]: "two"}
    assert [result.handler_id for result in ask.event_results.values()] == ids


async def test_R47_results_by_handler_name_lose_nothing() -> None:
    """The second and third of a name get ``#2`` and ``#3``."""
    ask = await asked(Ask(), *(returns(value, "greet") for value in "abc"), returns("d", "other"))

    assert await ask.event_results_by_handler_name() == {"greet": "a", "greet#2": "b", "greet#3": "c", "other": "d"}


async def test_R47_a_numbered_name_does_not_hide_a_real_one() -> None:
    """A handler whose name looks like a numbered one keeps its value too."""
    ask = await asked(Ask(), returns("a", "greet"), returns("b", "greet#2"), returns("c", "greet"))
    values = await ask.event_results_by_handler_name()

    assert sorted(map(str, values.values())) == ["a", "b", "c"]


async def test_results_filtered_gives_the_records() -> None:
    """A dict from handler id to EventResult, of the selected ones."""
    ask = await asked(Ask(), returns("one"), returns(None), returns("two"))
    records = await ask.event_results_filtered()

    assert [record.result for record in records.values()] == ["one", "two"]
    assert all(ask.event_results[handler_id] is record for handler_id, record in records.items())


async def test_R47_flat_dict_merges_and_the_last_handler_wins() -> None:
    """All dicts as one."""
    merge = await asked(Merge(), returns({"a": 1, "b": 1}), returns({"b": 2}), returns(None), returns({"c": 3}))

    assert await merge.event_results_flat_dict() == {"a": 1, "b": 2, "c": 3}


async def test_R47_flat_dict_can_refuse_conflicts() -> None:
    """With ``raise_if_conflicts=True`` a key of two handlers raises and is named."""
    merge = await asked(Merge(), returns({"a": 1, "b": 1}), returns({"b": 2}))
    with pytest.raises(ResultConflictError, match="b") as caught:
        await merge.event_results_flat_dict(raise_if_conflicts=True)
    assert isinstance(caught.value, ValueError)

    fine = await asked(Merge(), returns({"a": 1}), returns({"b": 2}))
    assert await fine.event_results_flat_dict(raise_if_conflicts=True) == {"a": 1, "b": 2}


async def test_R47_flat_list_joins_all_lists() -> None:
    """All lists as one, in run order, repetitions included."""
    collect = await asked(Collect(), returns([3, 1]), returns(None), returns([]), returns([1, 2]))

    assert await collect.event_results_flat_list() == [3, 1, 1, 2]


async def test_flat_helpers_do_not_raise_for_nothing_by_default() -> None:
    """Their default is ``raise_if_none=False``; errors are raised as everywhere."""
    merge, collect = await asked(Merge()), await asked(Collect(), returns(None))
    assert await merge.event_results_flat_dict() == {}
    assert await collect.event_results_flat_list() == []
    with pytest.raises(NoResultError):
        await merge.event_results_flat_dict(raise_if_none=True)
    with pytest.raises(NoResultError):
        await collect.event_results_flat_list(raise_if_none=True)

    failed = await asked(Merge(), raises(FIRST))
    with pytest.raises(ValueError, match="first"):
        await failed.event_results_flat_dict()


async def test_flat_dict_does_not_change_the_results() -> None:
    """Merging makes a new dict; the first handler's stays as it was."""
    merge = await asked(Merge(), returns({"a": 1}), returns({"b": 2}))
    flat = await merge.event_results_flat_dict()
    flat["c"] = 3

    assert await merge.event_results_list() == [{"a": 1}, {"b": 2}]


RELATIVES = [
    "event_result",
    "event_results_list",
    "event_results_by_handler_id",
    "event_results_by_handler_name",
    "event_results_filtered",
    "event_results_flat_dict",
    "event_results_flat_list",
]


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", RELATIVES)
async def test_the_wait_for_results_has_its_own_clock(name: str) -> None:
    """A `timeout` raises for whoever waits and cancels nothing; 0 means not at all."""
    bus = EventBus()

    async def slow(event: Anything) -> dict[str, int] | list[int]:
        await asyncio.sleep(5)
        return [1] if name.endswith("list") else {"a": 1}

    bus.on(Anything, slow)
    event = bus.dispatch(Anything())
    helper: Callable[..., Awaitable[object]] = getattr(event, name)
    loop = asyncio.get_running_loop()
    for timeout in (2, 0):
        start = loop.time()
        with pytest.raises(WaitTimeout) as caught:
            await helper(timeout=timeout)
        assert isinstance(caught.value, TimeoutError)
        assert round(loop.time() - start, 6) == timeout

    assert event.event_status == "started"
    assert await helper(timeout=10)
    assert await helper(timeout=0)


@pytest.mark.parametrize("name", RELATIVES)
async def test_all_relatives_take_the_same_options(name: str) -> None:
    """Errors raise, or are passed over, in every helper alike; nothing selected likewise."""
    failed, unheard = await asked(Anything(), raises(FIRST)), await asked(Anything())
    with pytest.raises(ValueError, match="first"):
        await getattr(failed, name)()
    with pytest.raises(NoResultError):
        await getattr(unheard, name)(raise_if_none=True)
    assert not await getattr(failed, name)(raise_if_any=False, raise_if_none=False)
    assert not await getattr(unheard, name)(include=any_result, raise_if_none=False)


async def test_a_record_says_who_what_and_when() -> None:
    """Every field of an EventResult after a success."""
    bus = EventBus()
    bus.on(Ask, returns("value", "answer"))
    ask = await bus.dispatch(Ask(event_timeout=7.5))
    [record] = ask.event_results.values()

    assert isinstance(record, EventResult)
    assert uuid.UUID(record.id).version == 7
    assert (record.event_id, record.handler_name) == (ask.event_id, "answer")
    assert (record.eventbus_id, record.eventbus_name) == (bus.id, bus.name)
    assert (record.status, record.result, record.error) == ("completed", "value", None)
    assert (record.timeout, record.result_type, record.event_children) == (7.5, str, [])
    assert record.handler_id
    assert ask.event_results[record.handler_id] is record
    assert record.started_at is not None
    assert record.completed_at is not None
    assert record.started_at.tzinfo is dt.UTC
    assert ask.event_created_at <= record.started_at <= record.completed_at
    assert not hasattr(record, "__dict__")


async def test_a_record_of_a_failure_keeps_the_error() -> None:
    """The exception object itself, with its traceback; the record is complete."""
    ask = await asked(Ask(), raises(FIRST))
    [record] = ask.event_results.values()

    assert (record.status, record.result, record.error) == ("error", None, FIRST)
    assert FIRST.__traceback__ is not None
    assert record.completed_at is not None


async def test_a_record_can_be_awaited() -> None:
    """It gives its value when its handler is done, before the event is, or raises its error."""
    bus = EventBus()
    gate, last, inside = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def first(event: Ask) -> str:
        inside.set()
        await gate.wait()
        return "first"

    async def second(event: Ask) -> str:
        await last.wait()
        raise FIRST

    bus.on(Ask, first)
    bus.on(Ask, second)
    ask = bus.dispatch(Ask())
    await inside.wait()
    one, two = ask.event_results.values()
    gate.set()
    assert await one == "first"
    assert ask.event_status == "started"

    last.set()
    with pytest.raises(ValueError, match="first") as caught:
        await two
    assert caught.value is FIRST
    await ask
    assert await one == "first"


async def test_records_are_made_once_per_handler() -> None:
    """`event_results` is the same record before, during and after the call."""
    bus = EventBus()
    seen: list[EventResult[Any]] = []
    bus.on(Ask, lambda event: seen.extend(event.event_results.values()))
    ask = await bus.dispatch(Ask())

    assert [id(record) for record in seen] == [id(record) for record in ask.event_results.values()]


async def test_stop_iteration_comes_out_as_runtime_error() -> None:
    """A handler that lets StopIteration out is recorded with a RuntimeError, as coroutines are, and can be awaited."""

    async def stops(event: object) -> object:
        raise StopIteration("async")

    ask = await asked(Ask(), raises(StopIteration("sync")), stops)
    for record in ask.event_results.values():
        assert isinstance(record.error, RuntimeError)
        assert isinstance(record.error.__cause__, StopIteration)
        with pytest.raises(RuntimeError):
            await record


async def test_a_result_at_work_is_copied_as_a_plain_record() -> None:
    """Copies and pickles of a result whose handler runs say what it has come to; they are no part of its work."""
    bus, go = EventBus(), asyncio.Event()

    async def wait(event: BaseEvent[Any]) -> str:
        await go.wait()
        return "done"

    bus.on("Job", wait)
    event = bus.dispatch(BaseEvent[Any](event_type="Job"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    [result] = event.event_results.values()
    for made in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert type(made) is EventResult
        assert (made.id, made.status, made.handler_id) == (result.id, "started", result.handler_id)
    go.set()
    await event
    assert result.result == "done"


async def test_a_result_at_work_is_an_event_result_to_whoever_looks() -> None:
    """The fields are those of an EventResult for attrs, and a misspelt attribute is missing in an EventResult."""
    seen: list[dict[str, Any]] = []
    errors: list[str] = []
    misspelt = "resutl"

    async def look(event: Ask) -> str:
        (result,) = event.event_results.values()
        seen.append(attrs.asdict(result))
        try:
            getattr(result, misspelt)
        except AttributeError as error:
            errors.append(str(error))
        return "yes"

    bus = EventBus()
    bus.on(Ask, look)
    event = await bus.dispatch(Ask())

    (result,) = event.event_results.values()
    names = [field.name for field in attrs.fields(EventResult)]
    assert list(seen[0]) == list(attrs.asdict(result)) == names
    assert (seen[0]["status"], result.status) == ("started", "completed")
    assert errors == ["'EventResult' object has no attribute 'resutl'"]


@pytest.mark.parametrize(("handlers", "who"), [(1, "the only handler of"), (2, "none of the 2 handlers of")])
async def test_why_there_is_no_result_is_told_in_words(handlers: int, who: str) -> None:
    """Of one handler and of several."""
    bus = EventBus()
    for number in range(handlers):

        def nothing(event: BaseEvent[Any]) -> None:
            del event

        nothing.__name__ = f"nothing{number}"
        bus.on("Ask", nothing)
    event = await bus.dispatch(BaseEvent[Any](event_type="Ask"))
    with pytest.raises(NoResultError, match=f"^{who} Ask returned (no|a) wanted value"):
        await event.event_result()


async def test_the_safe_summary_has_metadata_and_nothing_of_the_payload() -> None:
    """It can be logged: no field, result or error of the program's is in it."""

    class Secret(BaseEvent[str]):
        password: str

    bus = EventBus()

    async def tell(event: Secret) -> str:
        await bus.dispatch(Ask())
        return f"result {event.password}"

    def fail(event: Secret) -> str:
        raise ValueError(f"error {event.password}")

    bus.on(Secret, tell)
    bus.on(Secret, fail)
    event = await bus.dispatch(Secret(password="hunter2"))

    summary = event.event_log_safe_summary()
    assert "hunter2" not in str(summary)
    assert summary == {
        "event_type": "Secret",
        "event_id": event.event_id,
        "event_parent_id": None,
        "event_path": [bus.name],
        "event_status": "completed",
        "event_created_at": event.event_created_at.isoformat(),
        "handlers": 2,
        "errors": 1,
        "children": 1,
    }
