"""How often and when a failed call is repeated."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection
from typing import TypeAlias, cast

import attrs

import bubus._clock as clock
from bubus.errors import OptionError, OptionTypeError

RetryOn: TypeAlias = type[Exception] | Collection[type[Exception]] | Callable[[Exception], bool] | None
"""Which errors are worth another attempt: their classes, or a function that tells; None means all."""


def check_seconds(name: str, value: object, *, optional: bool = False, above_zero: bool = False) -> None:
    """
    Check a number that may not be negative.

    Raises:
        OptionTypeError: If *value* is no number.
        OptionError: If it is negative, not finite, or zero where that is no answer.

    """
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        expected = "a number or None" if optional else "a number"
        raise OptionTypeError(f"retry({name}=...) takes {expected}, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        bound = "above 0" if above_zero else "of at least 0"
        raise OptionError(f"retry({name}={value!r}) must be a finite number {bound}{', or None' * optional}")


def check_count(name: str, value: object, least: int) -> None:
    """
    Check a whole number.

    Raises:
        OptionTypeError: If *value* is no int.
        OptionError: If it is below *least*.

    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionTypeError(f"retry({name}=...) takes an int, not {type(value).__name__}")
    if value < least:
        raise OptionError(f"retry({name}={value}) must be at least {least}")


def _judge(policy: Policy) -> Callable[[Exception], bool]:
    return _judge_of(policy.retry_on)


@attrs.frozen(kw_only=True)
class Policy:
    """What `retry` was told about repeating; see there."""

    wait: float
    retries: int
    timeout: float | None
    retry_on: RetryOn
    backoff_factor: float
    jitter: float
    max_wait: float | None
    slow_warning: float | None
    is_worth_it: Callable[[Exception], bool] = attrs.field(init=False, default=attrs.Factory(_judge, takes_self=True))

    def __attrs_post_init__(self) -> None:
        check_seconds("wait", self.wait)
        check_count("retries", self.retries, least=0)
        check_seconds("timeout", self.timeout, optional=True, above_zero=True)
        check_seconds("backoff_factor", self.backoff_factor)
        check_seconds("jitter", self.jitter)
        check_seconds("max_wait", self.max_wait, optional=True)
        check_seconds("slow_warning", self.slow_warning, optional=True, above_zero=True)

    def pause_after(self, attempt: int, error: Exception) -> float | None:
        """Return the seconds to wait after *attempt* (from 1) failed with *error*, None for no further attempt."""
        if attempt > self.retries or not self.is_worth_it(error):
            return None
        pause = self._backed_off(attempt) + clock.current.uniform(0.0, self.jitter)
        return pause if self.max_wait is None else min(pause, self.max_wait)

    def _backed_off(self, attempt: int) -> float:
        try:
            return self.wait and self.wait * self.backoff_factor ** (attempt - 1)
        except OverflowError:  # only `max_wait` brings anyone here alive
            return math.inf


def _judge_of(retry_on: RetryOn) -> Callable[[Exception], bool]:
    if retry_on is None:
        return _always
    if isinstance(retry_on, type):
        return _by_class((retry_on,))
    if isinstance(retry_on, Collection):
        return _by_class(tuple(cast("Collection[object]", retry_on)))
    if not callable(retry_on) or inspect.iscoroutinefunction(retry_on):
        raise OptionTypeError(f"retry(retry_on=...) takes exception classes or a plain function, not {retry_on!r}")
    return retry_on


def _is_error(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, Exception)


def _by_class(classes: tuple[object, ...]) -> Callable[[Exception], bool]:
    wrong: list[object] = [item for item in classes if not _is_error(item)]
    if wrong:
        raise OptionTypeError(
            f"retry(retry_on=...) takes subclasses of Exception, not {wrong[0]!r}; cancellation is never retried"
        )
    fitting = cast("tuple[type[Exception], ...]", classes)
    return lambda error: isinstance(error, fitting)


def _always(_error: Exception) -> bool:
    return True
