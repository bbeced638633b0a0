"""What `retry` repeats, when, and what is left of the attempts."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import pickle
import re
import subprocess
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, assert_type

import pytest

from bubus import _clock
from bubus._retry import retry
from bubus.errors import AttemptTimeout, BubusError, NotRetryableError, OptionError, OptionTypeError
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bubus._policy import RetryOn


class Flaky:
    """Fails a number of times, then returns how often it was called."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or ValueError("not yet")
        self.calls = 0

    def call(self) -> int:
        """Return the number of this call, or raise."""
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls

    async def call_async(self) -> int:
        """Do as `call` does."""
        return self.call()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Put a clock that is moved by hand in the place of the real one."""
    fake = FakeClock()
    monkeypatch.setattr(_clock, "current", fake)
    return fake


@pytest.mark.virtual_time
async def test_waits_grow_by_the_backoff_factor() -> None:
    """wait=2 and backoff_factor=1.5 wait 2, 3 and 4.5 seconds."""
    started: list[float] = []

    @retry(wait=2, retries=3, backoff_factor=1.5)
    async def fail() -> None:
        started.append(asyncio.get_running_loop().time())
        raise ValueError

    with pytest.raises(ValueError, match="failed in 4 attempts"):
        await fail()

    assert [after - before for before, after in pairwise(started)] == pytest.approx([2, 3, 4.5])


def test_plain_functions_wait_just_so(clock: FakeClock) -> None:
    """A plain function waits as long as an async one, in its thread."""
    fail = Flaky(9)

    with pytest.raises(ValueError, match="not yet"):
        retry(wait=2, retries=3, backoff_factor=1.5)(fail.call)()

    assert clock.slept == pytest.approx([2, 3, 4.5])


def test_retries_are_additional_attempts(clock: FakeClock) -> None:
    """retries=3 allows four calls, and retries=0 one."""
    assert retry(retries=3)(Flaky(3).call)() == 4
    once = Flaky(1)
    with pytest.raises(ValueError, match="not yet"):
        retry(retries=0)(once.call)()
    assert once.calls == 1


def test_jitter_is_added_and_max_wait_bounds_the_sum(clock: FakeClock) -> None:
    """Each wait is the backed-off one plus a part of `jitter`, and never above `max_wait`."""
    with pytest.raises(ValueError, match="not yet"):
        retry(wait=1, retries=4, backoff_factor=2, jitter=0.5, max_wait=5)(Flaky(9).call)()

    assert clock.slept == pytest.approx([1.25, 2.25, 4.25, 5])


def test_a_wait_beyond_all_numbers_is_bounded_too(clock: FakeClock) -> None:
    """Two thousand doublings overflow a float; `max_wait`, or a wait of 0, holds all the same."""
    for wait, expected in ((1.0, 7.0), (0.0, 0.0)):
        with pytest.raises(ValueError, match="not yet"):
            retry(wait=wait, retries=2000, backoff_factor=2, max_wait=7)(Flaky(9999).call)()
        assert clock.slept[-1] == expected


@pytest.mark.virtual_time
async def test_timeout_is_per_attempt() -> None:
    """Each attempt gets its own timeout; one that is too slow is cancelled cleanly and repeated."""
    cleaned: list[int] = []
    pauses = iter([10, 10, 1])

    @retry(wait=0, retries=2, timeout=2)
    async def work() -> str:
        pause = next(pauses)
        try:
            await asyncio.sleep(pause)
        finally:
            cleaned.append(pause)
        return "done"

    assert await work() == "done"
    assert cleaned == [10, 10, 1]
    assert asyncio.get_running_loop().time() == pytest.approx(5)


@pytest.mark.virtual_time
async def test_a_timeout_is_a_timeout_error_that_names_the_function() -> None:
    """After the last attempt the timeout is raised, as a TimeoutError and a BubusError."""

    @retry(retries=0, timeout=0.5)
    async def sleepy() -> None:
        await asyncio.sleep(1)

    with pytest.raises(AttemptTimeout, match=r"sleepy ran longer than timeout=0\.5 s") as caught:
        await sleepy()

    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, BubusError)


async def test_a_timeout_error_of_the_function_itself_stays_as_it_is() -> None:
    """The function's own TimeoutError is retried and raised like any other."""
    own = TimeoutError("the server's")
    fail = Flaky(9, own)

    with pytest.raises(TimeoutError) as caught:
        await retry(wait=0, retries=1)(fail.call_async)()

    assert caught.value is own
    assert fail.calls == 2


def test_a_plain_function_that_overran_fails_when_it_returns(clock: FakeClock) -> None:
    """Nobody can interrupt it, but its attempt does not count as a success; an error of its own goes first."""

    @retry(retries=1, timeout=5, wait=0)
    def slow(error: Exception | None = None) -> str:
        clock.time += 6
        if error:
            raise error
        return "late"

    with pytest.raises(AttemptTimeout):
        slow()
    with pytest.raises(ValueError, match="mine"):
        slow(ValueError("mine"))
    assert clock.time == 24


async def test_no_timeout_needs_no_clock() -> None:
    """timeout=None awaits the function without any limit."""

    @retry(timeout=None)
    async def work() -> float:
        await asyncio.sleep(0)
        return 1.5

    assert await work() == 1.5


@pytest.mark.virtual_time
async def test_cancellation_is_never_retried() -> None:
    """Cancelling the call, in an attempt or in a wait, ends it; so does a CancelledError of the function's own."""
    attempt, pause, own = Flaky(0), Flaky(9), Flaky(0)

    @retry(wait=60, timeout=None)
    async def work(flaky: Flaky) -> None:
        flaky.call()
        await asyncio.sleep(60)

    @retry(wait=60)
    async def cancelled() -> None:
        own.call()
        raise asyncio.CancelledError

    tasks = [asyncio.create_task(work(attempt)), asyncio.create_task(work(pause))]
    await asyncio.sleep(1)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, asyncio.create_task(cancelled()), return_exceptions=True)

    assert [type(result) for result in results] == [asyncio.CancelledError] * 3
    assert [attempt.calls, pause.calls, own.calls] == [1, 1, 1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_exits_are_never_retried(error: type[BaseException]) -> None:
    """What is no Exception goes straight through."""
    calls: list[int] = []

    @retry
    def leave() -> None:
        calls.append(1)
        raise error

    with pytest.raises(error):
        leave()
    assert calls == [1]


def test_retry_on_chooses_by_class(clock: FakeClock) -> None:
    """Subclasses count; other errors are raised at once, as they are."""
    choices: list[RetryOn] = [OSError, (OSError, KeyError), [OSError], {OSError}]
    for retry_on in choices:
        assert retry(retry_on=retry_on)(Flaky(1, ConnectionError()).call)() == 2
        other = Flaky(1)
        with pytest.raises(ValueError, match="not yet") as caught:
            retry(retry_on=retry_on)(other.call)()
        assert other.calls == 1
        assert not hasattr(caught.value, "__notes__")


def test_retry_on_chooses_by_predicate(clock: FakeClock) -> None:
    """A function from the error to a bool decides; what it raises is raised."""
    assert retry(retry_on=lambda error: "yet" in str(error))(Flaky(2).call)() == 3

    never = Flaky(1)
    with pytest.raises(ValueError, match="not yet"):
        retry(retry_on=lambda _: False)(never.call)()
    assert never.calls == 1

    with pytest.raises(ZeroDivisionError):
        retry(retry_on=lambda _: bool(1 / 0))(Flaky(1).call)()


def test_the_last_error_is_raised_with_a_note_on_all_attempts(clock: FakeClock) -> None:
    """The original exception object comes out; its note lists number, time and error of each attempt."""
    errors = [ValueError("one"), KeyError("two"), OSError("three")]
    remaining = iter(errors)

    @retry(wait=2, retries=2)
    def fail() -> None:
        raise next(remaining)

    with pytest.raises(OSError, match="three") as caught:
        fail()

    assert caught.value is errors[-1]
    (note,) = caught.value.__notes__
    head, *lines = note.splitlines()
    assert head.endswith("fail failed in 3 attempts")
    assert lines == [
        "  attempt 1, 0 s after the call: ValueError: one",
        "  attempt 2, 2 s after the call: KeyError: 'two'",
        "  attempt 3, 4 s after the call: OSError: three",
    ]


def test_the_note_on_very_many_attempts_stays_short(clock: FakeClock) -> None:
    """The last twenty attempts are listed and the others counted."""
    with pytest.raises(ValueError, match="not yet") as caught:
        retry(wait=0, retries=99)(Flaky(999).call)()

    head, *lines = caught.value.__notes__[0].splitlines()
    assert head.endswith("failed in 100 attempts (the first 80 are left out)")
    assert len(lines) == 20


def test_each_failed_attempt_is_logged(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Every failure is a WARNING on `bubus`, with the facts as attributes of the record; success is silent."""
    retry(wait=2, retries=2)(Flaky(0).call)()
    with pytest.raises(ValueError, match="not yet"):
        retry(wait=2, retries=1)(Flaky(9).call)()

    assert {(record.name, record.levelno) for record in caplog.records} == {("bubus", logging.WARNING)}
    name = f"{__name__}.Flaky.call"
    assert [record.getMessage() for record in caplog.records] == [
        f"{name} failed in attempt 1 of 2: ValueError: not yet; next attempt in 2 s",
        f"{name} failed in attempt 2 of 2: ValueError: not yet; giving up",
    ]
    facts = [(vars(record)["retry_attempt"], vars(record)["retry_pause"]) for record in caplog.records]
    assert facts == [(1, 2.0), (2, None)]


def test_messages_of_errors_cannot_harm_a_terminal(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Control characters are escaped, long messages cut, and an error that cannot be printed does not matter."""

    class UnprintableError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    errors = iter([ValueError("\x1b[2J\u202e\n"), ValueError("x" * 10_000), UnprintableError()])

    @retry(wait=0, retries=2)
    def fail() -> None:
        raise next(errors)

    with pytest.raises(UnprintableError) as caught:
        fail()

    shown = [record.getMessage() for record in caplog.records]
    assert r"\x1b[2J\u202e\n" in shown[0]
    assert all(message.isprintable() and len(message) < 500 for message in shown)
    assert "UnprintableError, whose message raised RuntimeError" in caught.value.__notes__[0]


@pytest.mark.virtual_time
async def test_slow_warning_comes_once_while_the_call_runs(caplog: pytest.LogCaptureFixture) -> None:
    """A call that takes longer, waits included, is logged while it is still at it, and only once."""

    @retry(wait=3, retries=1, slow_warning=4)
    async def fail_slowly() -> None:
        await asyncio.sleep(2)
        raise ValueError

    call = asyncio.create_task(fail_slowly())
    await asyncio.sleep(4.5)
    (warning,) = [record.getMessage() for record in caplog.records if "slow_warning=" in record.getMessage()]
    assert "takes longer than slow_warning=4 s: called 4 s ago, 1 attempts failed" in warning
    await asyncio.wait([call])
    assert isinstance(call.exception(), ValueError)
    assert sum("slow_warning=" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.virtual_time
async def test_slow_warning_is_silent_for_quick_calls(caplog: pytest.LogCaptureFixture) -> None:
    """A call that is done in time leaves no timer and no word."""

    @retry(slow_warning=4)
    async def work() -> int:
        await asyncio.sleep(3)
        return 1

    assert await work() == 1
    await asyncio.sleep(10)
    assert caplog.records == []


def test_slow_warning_of_a_plain_function_comes_after_it(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """It cannot be looked at while it runs, so the word comes at its end, however it ends."""

    @retry(slow_warning=1, retries=0)
    def slow(seconds: float, error: Exception | None = None) -> None:
        clock.time += seconds
        if error:
            raise error

    slow(0.5)
    assert caplog.records == []
    slow(2)
    with pytest.raises(ValueError, match="mine"):
        slow(3, ValueError("mine"))
    slow_ones = [record for record in caplog.records if "slow_warning=1 s" in record.getMessage()]
    assert len(slow_ones) == 2


class Service:
    """Has every kind of method under `retry`, in both orders of the decorators."""

    def __init__(self) -> None:
        self.calls = 0

    @retry(wait=0)
    async def method(self, number: int, *, text: str = "t") -> tuple[Service, int, str]:
        """Fail once."""
        self.calls += 1
        if self.calls % 2:
            raise ValueError
        return self, number, text

    @retry
    def plain_method(self, number: int) -> int:
        """Return *number*."""
        return number

    @classmethod
    @retry(wait=0)
    async def inner_class(cls, number: int) -> tuple[type[Service], int]:
        """Take the class."""
        return cls, number

    @retry(wait=0)
    @classmethod
    async def outer_class(cls, number: int) -> tuple[type[Service], int]:
        """Take the class."""
        return cls, number

    @staticmethod
    @retry
    def inner_static(number: int) -> int:
        """Take neither."""
        return number

    @retry
    @staticmethod
    def outer_static(number: int) -> int:
        """Take neither."""
        return number


async def test_methods_of_every_kind_are_bound_as_usual() -> None:
    """Methods, class methods and static methods work in either order of the decorators."""
    service = Service()

    assert await service.method(1, text="x") == (service, 1, "x")
    assert service.plain_method(2) == 2
    for owner in (service, Service):
        assert await owner.inner_class(3) == (Service, 3)
        assert await owner.outer_class(4) == (Service, 4)
        assert owner.inner_static(5) == 5
        assert owner.outer_static(6) == 6


async def test_type_checkers_see_the_signature_that_was_decorated() -> None:
    """Parameters and result keep their types, with and without arguments; wrong calls are errors for the checker."""

    @retry
    async def bare(number: int) -> str:
        return str(number)

    @retry(wait=1)
    def plain(number: int, /, *, text: str = "") -> bytes:
        return bytes(number) + text.encode()

    service = Service()
    assert_type(await bare(1), str)
    assert_type(plain(1, text="x"), bytes)
    assert_type(await service.method(1), tuple[Service, int, str])
    assert_type(service.plain_method(1), int)
    assert_type(await Service.inner_class(1), tuple[type[Service], int])
    assert_type(await Service.outer_class(1), tuple[type[Service], int])
    assert_type(Service.inner_static(1), int)
    assert_type(Service.outer_static(1), int)
    named: Callable[[int], Coroutine[Any, Any, str]] = bare
    await named(1)


def test_the_function_keeps_its_face() -> None:
    """Name, docstring, signature and kind are those of the function underneath."""
    assert Service.method.__qualname__ == "Service.method"
    assert Service.method.__doc__ == "Fail once."
    assert list(inspect.signature(Service.method).parameters) == ["self", "number", "text"]
    assert inspect.iscoroutinefunction(Service.method)
    assert not inspect.iscoroutinefunction(Service.plain_method)
    assert pickle.loads(pickle.dumps(top_level)) is top_level


@retry
def top_level() -> None:
    """Stand at the top of a module, where pickle finds it."""


async def test_any_callable_can_be_repeated(clock: FakeClock) -> None:
    """Partials, bound methods, callable objects and builtins work, and get a name."""

    class AsyncTwice:
        async def __call__(self, number: int) -> int:
            return 2 * number

    async def add(left: int, right: int) -> int:
        return left + right

    three_and = retry(functools.partial(add, 3))
    twice = retry(AsyncTwice())
    flaky = Flaky(1)

    assert await three_and(4) == 7
    assert await twice(4) == 8
    assert await retry(wait=0)(flaky.call_async)() == 2
    assert retry(len)([1]) == 1
    assert three_and.__name__
    assert twice.__name__ == "AsyncTwice"


async def test_a_plain_function_that_makes_coroutines_is_repeated_too() -> None:
    """A lambda over an async function is retried like that function, first attempt included."""
    flaky = Flaky(2)
    call = retry(wait=0)(lambda: flaky.call_async())  # noqa: PLW0108 - the lambda is the point

    assert await call() == 3


async def test_a_plain_function_that_makes_coroutines_cannot_keep_a_slot() -> None:
    """With a limit it is refused at its first call, in words that say what to do."""
    flaky = Flaky(0)
    call = retry(semaphore_limit=1)(lambda: flaky.call_async())  # noqa: PLW0108 - see above

    with pytest.raises(NotRetryableError, match="make it `async def`"):
        await call()
    assert flaky.calls == 0


def stable_name(value: object) -> str:
    """Return a parameter's name that is the same in every run: no address is in it."""
    return re.sub(" at 0x[0-9a-f]+", "", str(value))[:60]


def wrong_options() -> list[tuple[dict[str, Any], type[Exception], str]]:
    """Return options, the error they must give, and a word of its message."""
    return [
        ({"retries": -1}, OptionError, "retries=-1"),
        ({"retries": 1.5}, OptionTypeError, "int, not float"),
        ({"retries": True}, OptionTypeError, "int, not bool"),
        ({"wait": -1}, OptionError, "wait=-1"),
        ({"wait": float("nan")}, OptionError, "wait=nan"),
        ({"wait": float("inf")}, OptionError, "wait=inf"),
        ({"wait": "3"}, OptionTypeError, "number, not str"),
        ({"wait": None}, OptionTypeError, "number, not NoneType"),
        ({"timeout": 0}, OptionError, "above 0, or None"),
        ({"timeout": -2}, OptionError, "timeout=-2"),
        ({"timeout": "x"}, OptionTypeError, "number or None"),
        ({"backoff_factor": -1}, OptionError, "backoff_factor"),
        ({"jitter": -1}, OptionError, "jitter"),
        ({"max_wait": -1}, OptionError, "max_wait"),
        ({"slow_warning": 0}, OptionError, "slow_warning"),
        ({"retry_on": BaseException}, OptionTypeError, "subclasses of Exception"),
        ({"retry_on": (ValueError, asyncio.CancelledError)}, OptionTypeError, "CancelledError"),
        ({"retry_on": "ValueError"}, OptionTypeError, "subclasses of Exception"),
        ({"retry_on": 3}, OptionTypeError, "not 3"),
        ({"retry_on": Flaky(0).call_async}, OptionTypeError, "plain function"),
        ({"semaphore_limit": 0}, OptionError, "at least 1"),
        ({"semaphore_limit": 1.0}, OptionTypeError, "int, not float"),
        ({"semaphore_limit": 1, "semaphore_timeout": -1}, OptionError, "semaphore_timeout"),
        ({"semaphore_limit": 1, "semaphore_name": ""}, OptionTypeError, "non-empty string"),
        ({"semaphore_limit": 1, "semaphore_name": 3}, OptionTypeError, "non-empty string"),
        ({"semaphore_limit": 1, "semaphore_scope": "instance"}, OptionError, "multiprocess, global, class, self"),
        ({"semaphore_limit": 1, "semaphore_scope": ["self"]}, OptionError, "multiprocess, global, class, self"),
        ({"semaphore_name": "db"}, OptionError, "without a semaphore_limit"),
        ({"semaphore_lax": True}, OptionError, "without a semaphore_limit"),
        ({"semaphore_timeout": 0}, OptionError, "without a semaphore_limit"),
        ({"semaphore_scope": "self"}, OptionError, "without a semaphore_limit"),
    ]


@pytest.mark.parametrize(("options", "error", "message"), wrong_options(), ids=stable_name)
def test_R55_wrong_options_are_refused_at_the_decorator(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Each bad option is an error of its own class before anything is called, and it names option and remedy."""
    with pytest.raises(error, match=message) as caught:
        retry(**options)

    assert isinstance(caught.value, BubusError)


class NotAFunction:
    """Is called, but is a class."""


class Called:
    """Is called with an event, and so has no instance to go by."""

    async def __call__(self, event: object) -> None:
        pass


def unrepeatable() -> list[tuple[Any, dict[str, Any], str]]:
    """Return what cannot be repeated, the options, and a word of the message."""

    def generator() -> Any:
        yield 1

    async def async_generator() -> Any:
        yield 1

    def keyword_only(*, text: str) -> None:
        pass

    limited = {"semaphore_limit": 1}
    return [
        (generator, {}, "generator"),
        (async_generator, {}, "generator"),
        (NotAFunction, {}, "put it on the methods"),
        (property(), {}, "takes a function"),
        (3, {}, "options are given as"),
        (lambda: None, {**limited, "semaphore_scope": "self"}, "takes no instance or class"),
        (keyword_only, {**limited, "semaphore_scope": "class"}, "takes no instance or class"),
        (staticmethod(generator), {**limited, "semaphore_scope": "self"}, "a static method has no self"),
        (Called(), {**limited, "semaphore_scope": "self"}, "needs a method, but .*Called is a Called"),
        (functools.partial(isinstance, 3), {**limited, "semaphore_scope": "class"}, "is a partial"),
    ]


@pytest.mark.parametrize(("target", "options", "message"), unrepeatable(), ids=stable_name)
def test_R55_what_cannot_be_repeated_is_refused_at_decoration(
    target: Any, options: dict[str, Any], message: str
) -> None:
    """Generators, classes, and methods without the owner that the scope needs are refused before they are called."""
    with pytest.raises(NotRetryableError, match=message):
        retry(wait=1, **options)(target)


def test_R55_sync_functions_are_supported(clock: FakeClock) -> None:
    """A plain function is repeated, and its limit holds."""
    flaky = Flaky(2)

    assert retry(wait=1, semaphore_limit=1)(flaky.call)() == 3
    assert clock.slept == [1, 1]


async def test_R55_no_system_is_sampled_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call neither sleeps in the loop's thread nor loads psutil; one that succeeds never leaves its turn."""
    monkeypatch.setattr(time, "sleep", pytest.fail)
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)

    @retry(semaphore_limit=2)
    async def work() -> list[int]:
        return turns

    assert await work() == []
    assert "psutil" not in sys.modules


def test_importing_and_decorating_touch_nothing() -> None:
    """No file, no directory, no logger's level: `bubus.helpers` is imported and a function decorated in vain."""
    program = """
import logging, os, sys, tempfile
tempfile.tempdir = sys.argv[1]
from bubus.helpers import retry
@retry(semaphore_limit=1, semaphore_scope="multiprocess")
def work(): pass
assert os.listdir(sys.argv[1]) == []
levels = {name: logger.level for name, logger in logging.root.manager.loggerDict.items() if hasattr(logger, "level")}
assert not any(levels.values()), levels
"""
    with_empty_directory = "import sys, tempfile; sys.argv.append(tempfile.mkdtemp())\n" + program
    subprocess.run([sys.executable, "-c", with_empty_directory], check=True, timeout=60)


@pytest.mark.virtual_time
async def test_F6_cancelling_anywhere_ends_the_call_at_once() -> None:
    """At every point where a call can be cancelled, in an attempt or between two, it ends and cleans up."""
    points = 0
    for moment in range(100):
        opened: list[int] = []

        @retry(wait=2, retries=2, timeout=3)
        async def work(opened: list[int] = opened) -> None:
            opened.append(1)
            try:
                await asyncio.sleep(1)
                await asyncio.sleep(5)
            finally:
                opened.pop()

        call = asyncio.create_task(work())
        await asyncio.sleep(moment / 4)
        if call.done():
            assert isinstance(call.exception(), AttemptTimeout)
            break
        before = asyncio.get_running_loop().time()
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        assert opened == []
        assert asyncio.get_running_loop().time() == before
        points += 1
    assert points > 40
