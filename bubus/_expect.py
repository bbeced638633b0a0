"""Waiting for an event that somebody else dispatches."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar, cast

import attrs
from typing_extensions import override

from bubus._handlers import AnyHandler, Key, describe_key, matches
from bubus.errors import WaitTimeout

if TYPE_CHECKING:
    from types import TracebackType

    from bubus._event import AnyEvent

E = TypeVar("E", bound="AnyEvent")
Predicate: TypeAlias = AnyHandler
"""Tells whether an event is the expected one, by its truth."""


@attrs.define(eq=False, repr=False)
class Expectations:
    """All expectations of one bus."""

    waiting: dict[int, Waiting] = attrs.Factory(dict[int, "Waiting"])

    def resolve(self, event: AnyEvent) -> None:
        """Give *event* to all that expect it."""
        for waiting in list(self.waiting.values()):
            if waiting.offer(event):
                _ = self.waiting.pop(id(waiting), None)  # a predicate may have come here by a dispatch of its own

    def fail(self, error: BaseException) -> None:
        """Tell all that nothing will come."""
        waiting, self.waiting = list(self.waiting.values()), {}
        for one in waiting:
            one.fail(error)


@attrs.define(eq=False, repr=False)
class Waiting:
    """One expectation, as the bus knows it."""

    key: Key
    wanted: tuple[Predicate, ...]
    unwanted: Predicate | None
    deadline: float | None
    """On the loop's clock, in seconds."""

    future: asyncio.Future[AnyEvent]
    bus: str = ""
    seconds: float = 0.0
    """Until the deadline, when the waiting began."""

    def offer(self, event: AnyEvent) -> bool:
        """Take *event* if it is the expected one; tell whether this expectation is over."""
        if self.future.done() or self.future.get_loop().is_closed():
            return True
        if not matches(self.key, event) or self.late():
            return False
        try:
            fits = all(wanted(event) for wanted in self.wanted) and not (self.unwanted and self.unwanted(event))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is the predicate's, not the event's
            self.fail(error)
            return True
        if fits and not self.future.done():
            self.future.set_result(event)
        return fits

    def late(self) -> bool:
        """Tell whether the time is over."""
        return self.deadline is not None and self.future.get_loop().time() >= self.deadline

    def fail(self, error: BaseException) -> None:
        """Let whoever waits raise *error*."""
        if isinstance(error, StopIteration | asyncio.CancelledError):  # no future takes the one, the other means more
            wrapped = RuntimeError(f"a predicate of expect({describe_key(self.key)}) raised {type(error).__name__}")
            wrapped.__cause__ = error
            error = wrapped
        if not self.future.done() and not self.future.get_loop().is_closed():
            self.future.set_exception(error)


class Expectation(Coroutine[object, None, E], Generic[E]):
    """
    The coroutine that `EventBus.expect` returns.

    It waits from the moment it is made, not from the first ``await``; dropped without one, it unregisters.
    """

    def __init__(self, waiting: Waiting, expectations: Expectations) -> None:
        self._waiting: Waiting = waiting
        self._expectations: Expectations = expectations
        self._coroutine: Coroutine[object, None, E] | None = None
        expectations.waiting[id(waiting)] = waiting

    async def _wait(self) -> E:
        waiting = self._waiting
        try:
            async with asyncio.timeout_at(waiting.deadline):
                event = cast("E", await waiting.future)
        except TimeoutError:
            if not waiting.late() or (waiting.future.done() and not waiting.future.cancelled()):
                raise
            raise WaitTimeout(
                f"no expected {describe_key(waiting.key)} was dispatched on bus {waiting.bus!r} within "
                + f"{waiting.seconds:g} s; call expect() before what causes it, and in a handler await that cause too"
            ) from None
        finally:
            self._unregister()
        return event

    def _unregister(self) -> None:
        _ = self._expectations.waiting.pop(id(self._waiting), None)

    def _started(self) -> Coroutine[object, None, E]:
        if self._coroutine is None:
            self._coroutine = self._wait()
        return self._coroutine

    @override
    def __await__(self) -> Generator[object, None, E]:
        return self._started().__await__()

    @override
    def send(self, value: None, /) -> object:
        """Go on, as any coroutine does."""
        return self._started().send(value)

    @override
    def throw(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
        /,
    ) -> object:
        """Raise inside, as any coroutine does."""
        error = typ if isinstance(typ, BaseException) else val if isinstance(val, BaseException) else typ()
        return self._started().throw(error)

    @override
    def close(self) -> None:
        """Give up waiting."""
        if self._coroutine is not None:
            self._coroutine.close()
        self._unregister()

    def __del__(self) -> None:
        self._unregister()
        if self._waiting.future.get_loop().is_closed():
            return  # nobody waits there any more, and cancelling would ask that loop to tell them
        if not self._waiting.future.done():
            _ = self._waiting.future.cancel()
        elif not self._waiting.future.cancelled():
            _ = self._waiting.future.exception()  # a predicate's error that nobody waits for is nobody's
