"""`retry`: repeat a call that fails, limit its time, and limit how many run at once."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast, overload

import attrs
from typing_extensions import ParamSpec

import bubus._clock as clock
from bubus._gate import Gate, Limit, Scope
from bubus._narrow import attribute, kind_of, remade
from bubus._policy import Policy, RetryOn
from bubus.errors import AttemptTimeout, NotRetryableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_P = ParamSpec("_P")
_R = TypeVar("_R")
_C = TypeVar("_C")

_logger: Final = logging.getLogger("bubus")

_LISTED: Final = 20
"""Attempts that the note on the last error lists; of more, the last ones."""
_SHOWN: Final = 200
"""Characters of an error's message that are shown."""


class RetryDecorator(Protocol):
    """What `retry` with options returns: it keeps the signature of what it decorates."""

    @overload
    def __call__(self, function: staticmethod[_P, _R], /) -> staticmethod[_P, _R]: ...
    @overload
    def __call__(self, function: classmethod[_C, _P, _R], /) -> classmethod[_C, _P, _R]: ...
    @overload
    def __call__(self, function: Callable[_P, _R], /) -> Callable[_P, _R]: ...


def _now() -> float:
    return clock.current.now()


@overload
def retry(function: staticmethod[_P, _R], /) -> staticmethod[_P, _R]: ...
@overload
def retry(function: classmethod[_C, _P, _R], /) -> classmethod[_C, _P, _R]: ...
@overload
def retry(function: Callable[_P, _R], /) -> Callable[_P, _R]: ...
@overload
def retry(
    wait: float = 3,
    retries: int = 3,
    timeout: float | None = 5,
    retry_on: RetryOn = None,
    backoff_factor: float = 1.0,
    semaphore_limit: int | None = None,
    semaphore_name: str | None = None,
    semaphore_lax: bool = False,
    semaphore_scope: Scope = "global",
    semaphore_timeout: float | None = None,
    *,
    jitter: float = 0.0,
    max_wait: float | None = None,
    slow_warning: float | None = None,
) -> RetryDecorator: ...
def retry(  # noqa: PLR0917 - the order is that of the older package
    wait: object = 3,
    retries: int = 3,
    timeout: float | None = 5,
    retry_on: RetryOn = None,
    backoff_factor: float = 1.0,
    semaphore_limit: int | None = None,
    semaphore_name: str | None = None,
    semaphore_lax: bool = False,
    semaphore_scope: Scope = "global",
    semaphore_timeout: float | None = None,
    *,
    jitter: float = 0.0,
    max_wait: float | None = None,
    slow_warning: float | None = None,
) -> object:
    """
    Repeat a failing call, as ``@retry`` or ``@retry(wait=2, retries=5, ...)``.

    For async and plain functions, methods, and class and static methods in either order of the decorators. The
    last error is raised as it is, with a note that lists the attempts; each failed attempt is logged on ``bubus``.
    Cancellation, KeyboardInterrupt and SystemExit are never retried.

    A plain function cannot be interrupted: an attempt that took longer than *timeout* fails when it returns. It
    waits by blocking its thread; on the thread of an event loop it refuses to wait for a slot.

    Args:
        wait: Seconds between two attempts.

        retries: Attempts after the first.

        timeout: Seconds each attempt may take; None for no limit.

        retry_on: Exception classes, or a function from the error to a bool; None retries every Exception.

        backoff_factor: Each wait is this many times the one before.

        semaphore_limit: How many calls may be inside at a time, waits between attempts included; None for no limit.

        semaphore_name: Functions of the same name share their slots; by default each has its own.

        semaphore_lax: Go on without a slot, with a warning in the log, when *semaphore_timeout* is over.

        semaphore_scope:
            Whose calls count: those in this process (``"global"``), on this class (``"class"``), on this instance
            (``"self"``), or in all processes of this user (``"multiprocess"``; the files that hold the slots are in
            ``<tempdir>/bubus-<uid>``, or where the environment variable BUBUS_SEMAPHORE_DIR says). For a function that
            is no method, its first argument counts as the instance; ``"self"`` warns of it.

        semaphore_timeout: Seconds to wait for a slot; 0 fails at once, None waits for ever.

        jitter: At most this many seconds, at random, are added to each wait.

        max_wait: Upper bound of a wait in seconds, jitter included.

        slow_warning: Seconds after which a call that is not done, waits included, is logged once.

    Raises:
        OptionError: If an option is out of range, or of no use without another.
        OptionTypeError: If an option has the wrong type.
        NotRetryableError: If the decorated object is no function whose calls can be repeated.

    """
    bare = _is_decorated(wait)
    policy = Policy(
        wait=3 if bare else cast("float", wait),
        retries=retries,
        timeout=timeout,
        retry_on=retry_on,
        backoff_factor=backoff_factor,
        jitter=jitter,
        max_wait=max_wait,
        slow_warning=slow_warning,
    )
    limit = Limit(
        limit=semaphore_limit,
        name=semaphore_name,
        lax=semaphore_lax,
        scope=semaphore_scope,
        timeout=semaphore_timeout,
    )
    decorate = functools.partial(_decorate, policy=policy, limit=limit)
    return decorate(wait) if bare else decorate


def _decorate(function: object, /, *, policy: Policy, limit: Limit) -> object:
    if isinstance(function, (staticmethod, classmethod)):
        return _decorate_descriptor(cast("object", function), policy, limit)
    name = _name(function)
    call = _repeatable(function, name)
    plan = _Plan(call, name, policy, limit.gate(call, name))
    return _async_wrapper(plan) if _is_async(call) else _plain_wrapper(plan)


def _decorate_descriptor(method: object, policy: Policy, limit: Limit) -> object:
    if issubclass(kind_of(method), staticmethod) and limit.scope in {"class", "self"}:
        raise NotRetryableError(f"semaphore_scope={limit.scope!r} needs a method; a static method has no {limit.scope}")
    return remade(kind_of(method), _decorate(attribute(method, "__func__"), policy=policy, limit=limit))


def _async_wrapper(plan: _Plan) -> object:
    @functools.wraps(plan.function)
    async def wrapper(*args: object, **kwargs: object) -> object:
        return await _Call(plan, functools.partial(plan.function, *args, **kwargs)).run(args)

    return _named(wrapper, plan)


def _plain_wrapper(plan: _Plan) -> object:
    @functools.wraps(plan.function)
    def wrapper(*args: object, **kwargs: object) -> object:
        return _Call(plan, functools.partial(plan.function, *args, **kwargs)).run_blocking(args)

    return _named(wrapper, plan)


@attrs.frozen
class _Plan:
    """One decorated function and what was asked for it."""

    function: Callable[..., object]
    name: str
    policy: Policy
    gate: Gate | None


@attrs.define
class _Call:
    """One call of a decorated function: its attempts, and what became of them."""

    plan: _Plan
    work: Callable[[], object]
    start: float = attrs.field(factory=_now, init=False)
    attempts: int = attrs.field(default=0, init=False)
    failures: tuple[str, ...] = attrs.field(default=(), init=False)

    async def run(self, args: tuple[object, ...]) -> object:
        """Wait for a slot, then try until an attempt succeeds or was the last."""
        seconds = self.plan.policy.slow_warning
        if seconds is None:
            return await self._run(args)
        timer = asyncio.get_running_loop().call_later(seconds, self._warn_slow)
        try:
            return await self._run(args)
        finally:
            timer.cancel()

    def run_blocking(self, args: tuple[object, ...]) -> object:
        """Do as `run` does, blocking this thread."""
        try:
            return self._run_blocking(args)
        finally:
            if self.plan.policy.slow_warning is not None and self._seconds() > self.plan.policy.slow_warning:
                self._warn_slow()

    async def _run(self, args: tuple[object, ...]) -> object:
        if self.plan.gate is None:
            return await self._repeat()
        release = await self.plan.gate.enter(args)
        try:
            return await self._repeat()
        finally:
            release()

    def _run_blocking(self, args: tuple[object, ...]) -> object:
        if self.plan.gate is None:
            result = self._repeat_blocking()
            return self._repeat(result) if inspect.iscoroutine(result) else result
        release = self.plan.gate.enter_blocking(args)
        try:
            return self._refuse_coroutine(self._repeat_blocking())
        finally:
            release()

    async def _repeat(self, started: Awaitable[object] | None = None) -> object:
        while True:
            try:
                work, started = started or cast("Awaitable[object]", self.work()), None
                return await self._attempt(work)
            except Exception as error:
                pause = self._failed(error)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    def _repeat_blocking(self) -> object:
        while True:
            try:
                return self._attempt_blocking()
            except Exception as error:
                pause = self._failed(error)
                if pause is None:
                    raise
            clock.current.sleep(pause)

    async def _attempt(self, work: Awaitable[object]) -> object:
        seconds = self.plan.policy.timeout
        if seconds is None:
            return await work
        clock = asyncio.timeout(seconds)
        try:
            async with clock:
                return await work
        except TimeoutError as error:
            if clock.expired():
                raise self._too_long(seconds) from error
            raise

    def _attempt_blocking(self) -> object:
        start, seconds = _now(), self.plan.policy.timeout
        result = self.work()
        if seconds is not None and _now() - start > seconds:
            raise self._too_long(seconds)
        return result

    def _too_long(self, seconds: float) -> AttemptTimeout:
        return AttemptTimeout(
            f"{self.plan.name} ran longer than timeout={seconds:g} s; raise it, or use None for no limit"
        )

    def _failed(self, error: Exception) -> float | None:
        """Record a failed attempt; return the seconds until the next, None if it was the last."""
        self.attempts += 1
        pause = self.plan.policy.pause_after(self.attempts, error)
        what = _brief(error)
        failure = f"  attempt {self.attempts}, {self._seconds():.3g} s after the call: {what}"
        self.failures = (*self.failures, failure)[-_LISTED:]
        _logger.warning(
            "%s failed in attempt %d of %d: %s; %s",
            self.plan.name,
            self.attempts,
            self.plan.policy.retries + 1,
            what,
            "giving up" if pause is None else f"next attempt in {pause:.3g} s",
            extra={"retry_function": self.plan.name, "retry_attempt": self.attempts, "retry_pause": pause},
        )
        if pause is None and self.attempts > 1:
            error.add_note(self._report())
        return pause

    def _report(self) -> str:
        left_out = self.attempts - len(self.failures)
        head = f"retry: {self.plan.name} failed in {self.attempts} attempts"
        return "\n".join([head + f" (the first {left_out} are left out)" * bool(left_out), *self.failures])

    def _warn_slow(self) -> None:
        _logger.warning(
            "%s takes longer than slow_warning=%g s: called %.3g s ago, %d attempts failed",
            self.plan.name,
            self.plan.policy.slow_warning,
            self._seconds(),
            self.attempts,
            extra={"retry_function": self.plan.name, "retry_attempt": self.attempts},
        )

    def _seconds(self) -> float:
        return _now() - self.start

    def _refuse_coroutine(self, result: object) -> object:
        if not inspect.iscoroutine(result):
            return result
        result.close()
        raise NotRetryableError(
            f"{self.plan.name} returned a coroutine, for which a plain function cannot keep a slot; make it `async def`"
        )


def _is_decorated(first: object) -> bool:
    return callable(first) or isinstance(first, (staticmethod, classmethod))


def _is_async(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - asks how it is called, not whether it can be


def _repeatable(function: object, name: str) -> Callable[..., object]:
    if not callable(function):
        raise NotRetryableError(f"retry takes a function, not {name}; options are given as retry(wait=...)")
    if isinstance(function, type):
        raise NotRetryableError(f"retry takes a function, not the class {name}; put it on the methods")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise NotRetryableError(
            f"{name} is a generator: what it has yielded cannot be repeated; put retry on its steps"
        )
    return function


def _name(function: object) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else function.__class__
    return f"{named.__module__}.{attribute(named, '__qualname__')}"


def _named(wrapper: object, plan: _Plan) -> object:
    if not hasattr(plan.function, "__name__"):  # a partial or an object with __call__
        module, _, name = plan.name.rpartition(".")
        for attribute_name, value in (("__module__", module), ("__qualname__", name), ("__name__", name)):
            setattr(wrapper, attribute_name, value)
    return wrapper


def _brief(error: Exception) -> str:
    """Return class and message, harmless to a terminal and of bounded length."""
    try:
        text = f"{type(error).__name__}: {error}".removesuffix(": ")
    except Exception as unprintable:  # noqa: BLE001 - its message must not take the place of the error
        text = f"{type(error).__name__}, whose message raised {type(unprintable).__name__}"
    text = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
