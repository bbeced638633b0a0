"""Handlers that fail (design.md 4.9, reliability.md F2): any failure is one record's error, never the bus's."""

from __future__ import annotations

import asyncio
import gc
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import HandlerCancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator


class Job(BaseEvent[str]):
    pass


class Other(BaseEvent[str]):
    pass


class Loose(BaseEvent):
    pass


class Unprintable(Exception):
    def __str__(self) -> str:
        msg = "no text"
        raise RuntimeError(msg)

    __repr__ = __str__


class HugeText(Exception):
    def __str__(self) -> str:
        return "x" * 5_000_000

    __repr__ = __str__


class ManyArguments(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} {two}")


class BrokenNotes(Exception):
    __notes__ = 7  # type: ignore[assignment] # pyright: ignore[reportAssignmentType] - the point of this class


class FrozenError(Exception):
    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(name)


class OddEquality(Exception):
    __hash__ = None  # type: ignore[assignment] # pyright: ignore[reportAssignmentType] - the point of this class

    def __eq__(self, other: object) -> NoReturn:
        raise ArithmeticError

    def __bool__(self) -> NoReturn:
        raise ArithmeticError


class FalsyError(Exception):
    """An exception that is a collection of faults, empty at the moment."""

    def __len__(self) -> int:
        return 0


class BaseOnly(BaseException):
    pass


PLAIN: list[Callable[[], BaseException]] = [
    lambda: ValueError("plain"),
    Unprintable,
    HugeText,
    lambda: ManyArguments(1, 2),
    lambda: BrokenNotes("notes"),
    lambda: FrozenError("frozen"),
    lambda: OddEquality("odd"),
    lambda: FalsyError("empty"),
    lambda: RecursionError("deep"),
    lambda: MemoryError("much"),
    lambda: TimeoutError("its own"),
    lambda: AssertionError("asserted"),
    lambda: StopAsyncIteration("over"),
    lambda: BaseOnly("base"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    lambda: OSError(28, "No space left on device", "\x1b[31mname"),
    lambda: ExceptionGroup("several", [ValueError("a"), TypeError("b")]),
    lambda: BaseExceptionGroup("base group", [BaseOnly("a"), TypeError("b")]),
]

plain = pytest.mark.parametrize("make", PLAIN, ids=lambda make: type(make()).__name__)


def raiser(error: BaseException, how: str) -> Callable[[BaseEvent[Any]], Any]:
    def at_once(event: BaseEvent[Any]) -> NoReturn:
        raise error

    async def eagerly(event: BaseEvent[Any]) -> NoReturn:
        raise error

    async def later(event: BaseEvent[Any]) -> NoReturn:
        await asyncio.sleep(0)
        raise error

    return {"sync": at_once, "async": eagerly, "suspended": later}[how]


every_way = pytest.mark.parametrize("how", ["sync", "async", "suspended"])
both_modes = pytest.mark.parametrize("parallel", [False, True], ids=["serial", "parallel"])


def surrounded(bus: EventBus, bad: Callable[[Any], Any]) -> None:
    """Register *bad* between two handlers that work, the later of which suspends."""

    async def after(event: Job) -> str:
        await asyncio.sleep(0)
        return "after"

    bus.on(Job, lambda event: "before")
    bus.on(Job, bad)
    bus.on(Job, after)
    bus.on(Other, lambda event: "next")


def records(event: BaseEvent[Any]) -> list[Any]:
    return list(event.event_results.values())


# --- raised --------------------------------------------------------------------------------------------------------


@plain
@every_way
@both_modes
async def test_F2_any_exception_is_that_handlers_error(
    make: Callable[[], BaseException],
    how: str,
    *,
    parallel: bool,
) -> None:
    """The very exception object is recorded once, the siblings run, `await` is silent, and the bus goes on."""
    bus = EventBus(parallel_handlers=parallel)
    error = make()
    surrounded(bus, raiser(error, how))
    event = await bus.dispatch(Job())
    before, bad, after = records(event)
    assert bad.error is error
    assert (bad.status, bad.result) == ("error", None)
    assert (before.result, after.result) == ("before", "after")
    assert event.event_status == "completed"
    assert await bus.dispatch(Other()).event_result() == "next"


@plain
async def test_R46_event_result_raises_the_original(make: Callable[[], BaseException]) -> None:
    """`event_result()` raises the handler's own exception object, each time it is asked."""
    bus = EventBus()
    error = make()
    bus.on(Job, raiser(error, "async"))
    event = await bus.dispatch(Job())
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            await event.event_result()
        assert caught.value is error


@plain
async def test_F2_a_tree_with_any_exception_can_be_printed(make: Callable[[], BaseException]) -> None:
    """`log_tree()` shows every failed event, whatever its exception does when it is printed, in a bounded text."""
    bus = EventBus()
    bus.on(Job, raiser(make(), "async"))
    await bus.dispatch(Job())
    tree = bus.log_tree()
    assert "Job" in tree
    assert "\x1b" not in tree
    assert len(tree) < 100_000


@every_way
@both_modes
async def test_F2_stop_iteration_comes_out_as_a_runtime_error(how: str, *, parallel: bool) -> None:
    """A StopIteration cannot pass a coroutine: it is recorded as RuntimeError with the original as its cause."""
    bus = EventBus(parallel_handlers=parallel)
    error = StopIteration("value")
    surrounded(bus, raiser(error, how))
    event = await bus.dispatch(Job())
    before, bad, after = records(event)
    assert isinstance(bad.error, RuntimeError)
    assert bad.error.__cause__ is error
    assert (before.result, after.result) == ("before", "after")
    with pytest.raises(RuntimeError):
        await event.event_result()


async def test_R46_several_errors_come_as_a_group_in_run_order() -> None:
    """With more than one failure `event_result()` raises one ExceptionGroup that holds the original objects."""
    bus = EventBus()
    failures = [ValueError("one"), KeyError("two"), ValueError("three")]
    for failure in failures:
        bus.on(Job, raiser(failure, "async"))
    event = bus.dispatch(Job())
    with pytest.raises(ExceptionGroup) as caught:
        await event.event_result()
    assert list(caught.value.exceptions) == failures


async def test_R46_a_group_may_hold_a_base_exception() -> None:
    """A failure that is no Exception is not lost when there are several."""
    bus = EventBus()
    failures = [ValueError("one"), BaseOnly("two")]
    for failure in failures:
        bus.on(Job, raiser(failure, "async"))
    event = bus.dispatch(Job())
    with pytest.raises(BaseExceptionGroup) as caught:
        await event.event_result()
    assert list(caught.value.exceptions) == failures


async def test_R46_a_note_names_the_handler() -> None:
    """The raised exception carries one note with the handler's id, also when it is raised again."""
    bus = EventBus()
    bus.on(Job, raiser(ValueError("noted"), "async"))
    event = await bus.dispatch(Job())
    for _ in range(3):
        with pytest.raises(ValueError, match="noted") as caught:
            await event.event_result()
        (record,) = records(event)
        notes = [note for note in getattr(caught.value, "__notes__", []) if record.handler_id in note]
        assert len(notes) == 1


async def test_R46_the_traceback_leads_to_the_users_line() -> None:
    """The recorded exception's traceback ends in the handler that raised it."""
    bus = EventBus()

    async def culprit(event: Job) -> str:
        msg = "here"
        raise ValueError(msg)

    bus.on(Job, culprit)
    (record,) = records(await bus.dispatch(Job()))
    frames = traceback.extract_tb(record.error.__traceback__)
    assert frames[-1].name == "culprit"


async def test_F2_chained_exceptions_stay_chained() -> None:
    """Cause and context of the handler's exception are kept, and a long chain can be printed."""
    bus = EventBus()

    async def chained(event: Job) -> str:
        error = ValueError("0")
        for number in range(1, 2_000):
            following = ValueError(str(number))
            following.__cause__ = error
            error = following
        raise error

    bus.on(Job, chained)
    event = await bus.dispatch(Job())
    (record,) = records(event)
    assert str(record.error.__cause__) == "1998"
    assert "Job" in bus.log_tree()


async def test_F2_one_exception_object_raised_by_two_handlers() -> None:
    """The same object raised twice is recorded by both, and the group holds it twice."""
    bus = EventBus()
    error = ValueError("shared")
    bus.on(Job, raiser(error, "sync"))
    bus.on(Job, raiser(error, "async"))
    event = await bus.dispatch(Job())
    assert [record.error for record in records(event)] == [error, error]
    with pytest.raises(ExceptionGroup):
        await event.event_result()


async def test_F2_errors_of_two_buses_are_kept_apart() -> None:
    """A failure on one bus leaves the other bus's handlers of the same event alone."""
    one, two = EventBus(), EventBus()
    one.on("*", two.dispatch)
    one.on(Job, raiser(ValueError("one"), "async"))
    two.on(Job, lambda event: "two")
    event = await one.dispatch(Job())
    assert [str(record.error) for record in records(event) if record.error] == ["one"]
    assert "two" in [record.result for record in records(event)]


async def test_F2_nothing_is_left_for_the_loop_to_complain_about() -> None:
    """Failed handlers leave no exception "never retrieved" behind, whether anybody asks for results or not."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    bus = EventBus(parallel_handlers=True)
    for how in ("sync", "async", "suspended"):
        bus.on(Job, raiser(ValueError(how), how))
    for _ in range(5):
        bus.dispatch(Job())
    await bus.wait_until_idle()
    del bus
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_F2_failures_are_counted() -> None:
    """`statistics().failed` counts the events of which a handler failed."""
    bus = EventBus()
    bus.on(Job, raiser(ValueError("bad"), "async"))
    bus.on(Other, lambda event: "good")
    for event in [Job(), Other(), Job()]:
        bus.dispatch(event)
    await bus.wait_until_idle()
    counts = bus.statistics()
    assert (counts.accepted, counts.failed) == (3, 2)


async def test_F2_a_child_that_fails_is_no_error_of_its_parent() -> None:
    """A parent that awaits a failing child is not failed by it, unless it asks for the child's result."""
    bus = EventBus()

    async def tolerant(event: Job) -> str:
        await bus.dispatch(Other())
        return "went on"

    async def strict(event: Job) -> str | None:
        return await bus.dispatch(Other()).event_result()

    bus.on(Job, tolerant)
    bus.on(Job, strict)
    bus.on(Other, raiser(KeyError("child"), "async"))
    first, second = records(await bus.dispatch(Job()))
    assert first.result == "went on"
    assert isinstance(second.error, KeyError)


@every_way
@both_modes
async def test_F2_a_generator_exit_settles_its_handler_only(how: str, *, parallel: bool) -> None:
    """GeneratorExit, which also means that a coroutine is being closed, is an error of its handler and of no other."""
    bus = EventBus(parallel_handlers=parallel)
    surrounded(bus, raiser(GeneratorExit("left"), how))
    before, bad, after = records(await bus.dispatch(Job()))
    assert bad.status == "error"
    assert (before.result, after.result) == ("before", "after")
    assert await bus.dispatch(Other()).event_result() == "next"


# --- leaving through the loop --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@every_way
@both_modes
def test_F2_exits_are_recorded_and_leave_through_the_loop(
    kind: type[BaseException],
    how: str,
    *,
    parallel: bool,
) -> None:
    """SystemExit and KeyboardInterrupt settle their event, end the loop, and the bus works in the next loop."""
    bus = EventBus(parallel_handlers=parallel)
    error = kind("leaving")
    event = Job()
    bus.on(Job, lambda event: "before")
    bus.on(Job, raiser(error, how))
    bus.on(Job, lambda event: "after")
    bus.on(Other, lambda event: "next")

    async def main() -> None:
        await bus.dispatch(event)

    async def again() -> str | None:
        return await bus.dispatch(Other()).event_result()

    with pytest.raises(kind) as caught:
        asyncio.run(main())
    assert caught.value is error
    assert event.event_status == "completed"
    before, bad, after = records(event)
    assert bad.error is error
    assert (before.result, after.result) == ("before", "after")
    assert asyncio.run(again()) == "next"


def test_F2_events_behind_an_exit_settle_too() -> None:
    """Events still queued when a handler exits the program are settled when the loop has ended."""
    bus = EventBus()
    bus.on(Job, raiser(SystemExit(3), "async"))
    bus.on(Other, lambda event: "next")
    behind = [Other() for _ in range(3)]

    async def main() -> None:
        first = bus.dispatch(Job())
        for event in behind:
            bus.dispatch(event)
        await first

    with pytest.raises(SystemExit):
        asyncio.run(main())
    assert [event.event_status for event in behind] == ["completed"] * 3


# --- returned ------------------------------------------------------------------------------------------------------


@both_modes
async def test_R46_a_returned_exception_is_an_error(*, parallel: bool) -> None:
    """An Exception instance that is returned counts as that handler's error and is raised by `event_result()`."""
    bus = EventBus(parallel_handlers=parallel)
    error = ValueError("returned")

    def careless(event: Loose) -> object:
        return error

    async def careless_later(event: Loose) -> object:
        await asyncio.sleep(0)
        return ExceptionGroup("group", [error])

    bus.on(Loose, careless)
    bus.on(Loose, careless_later)
    event = await bus.dispatch(Loose())
    first, second = records(event)
    assert (first.status, first.error, first.result) == ("error", error, None)
    assert (second.status, type(second.error)) == ("error", ExceptionGroup)
    with pytest.raises(ExceptionGroup):
        await event.event_result()


async def test_R46_a_returned_exception_class_is_a_value() -> None:
    """Only instances count as errors: a class is a value like any other."""
    bus = EventBus()

    def lookup(event: Loose) -> object:
        return ValueError

    bus.on(Loose, lookup)
    event = await bus.dispatch(Loose())
    assert [(record.status, record.result) for record in records(event)] == [("completed", ValueError)]


# --- awaitables that fail ------------------------------------------------------------------------------------------


class BadAwaitable:
    def __await__(self) -> Generator[None, None, str]:
        msg = "in __await__"
        raise LookupError(msg)


class NotReally:
    def __await__(self) -> int:
        return 7


class StrangeYield:
    def __await__(self) -> Generator[object, None, str]:
        yield "not a future"
        return "unreachable"


@pytest.mark.parametrize(
    ("made", "expected"),
    [(BadAwaitable, LookupError), (NotReally, TypeError), (StrangeYield, RuntimeError)],
)
@both_modes
async def test_R43_a_broken_awaitable_is_that_handlers_error(
    made: Callable[[], Awaitable[str]],
    expected: type[Exception],
    *,
    parallel: bool,
) -> None:
    """Whatever goes wrong while a returned awaitable is awaited is recorded like an exception of the handler."""
    bus = EventBus(parallel_handlers=parallel)
    surrounded(bus, lambda event: made())
    event = await bus.dispatch(Job())
    before, bad, after = records(event)
    assert isinstance(bad.error, expected)
    assert (before.result, after.result) == ("before", "after")
    assert await bus.dispatch(Other()).event_result() == "next"


async def test_R43_a_lambda_may_return_a_failing_coroutine() -> None:
    """The error of a coroutine that a lambda returned is recorded as the lambda's."""
    bus = EventBus()
    bad = raiser(KeyError("inner"), "suspended")
    bus.on(Job, lambda event: bad(event))  # noqa: PLW0108 - a lambda is what is tested
    (record,) = records(await bus.dispatch(Job()))
    assert isinstance(record.error, KeyError)


@both_modes
async def test_R3_a_future_that_was_cancelled_is_an_error(*, parallel: bool) -> None:
    """A handler that returns a cancelled future ends as HandlerCancelled, and the others run."""
    bus = EventBus(parallel_handlers=parallel)

    def returns_cancelled(event: Job) -> asyncio.Future[str]:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        future.cancel()
        return future

    surrounded(bus, returns_cancelled)
    _, bad, after = records(await bus.dispatch(Job()))
    assert isinstance(bad.error, HandlerCancelled)
    assert isinstance(bad.error.__cause__, asyncio.CancelledError)
    assert after.result == "after"
