"""
Who may go on now, and who waits: one semaphore for this process, one for all processes of a user.

The limit comes with each caller, not with the semaphore: whoever asks is let in only while fewer than its own limit
are inside. So nothing is wrong with two functions that share a name and differ in their limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, final

import attrs

import bubus._clock as clock
import bubus._slots as slots
from bubus.errors import DeadlockError

if TYPE_CHECKING:
    from pathlib import Path

Release: TypeAlias = Callable[[], None]
"""Gives a slot back; to be called exactly once."""

_PAUSE: Final = (0.002, 0.025)
"""Seconds between two tries of a file lock: short against any work worth limiting, long against the try (10 us)."""
_TRIES_PER_STEP: Final = 64
"""Files tried before the event loop gets its turn, about half a millisecond."""


class Limiter(Protocol):
    """A semaphore of any reach. Each way in returns how to give the slot back, or None when there was none."""

    async def acquire(self, limit: int, timeout: float | None = None) -> Release | None:
        """Wait at most *timeout* seconds; 0 does not wait, None waits for ever."""
        ...

    def acquire_blocking(self, limit: int, timeout: float | None = None) -> Release | None:
        """Wait likewise, blocking this thread."""
        ...


@attrs.define(eq=False)
class _Waiter:
    limit: int
    wake: Callable[[], object]
    owns_slot: bool = False


@final
class Semaphore:
    """
    Slots shared by all threads and event loops of this process, given in the order of asking.

    A slot is handed over, not put down and picked up: nobody overtakes, and whoever is cancelled in the moment of
    the handover passes it on.
    """

    held: int
    """Slots taken now."""

    def __init__(self) -> None:
        self.reset()
        _watch_forks()
        _every.add(self)

    def reset(self) -> None:
        """Forget holders and waiters."""
        self.held = 0
        self._waiters: OrderedDict[_Waiter, None] = OrderedDict()
        # Reentrant: the garbage collector may close a waiting coroutine, which then leaves, inside any of our calls.
        self._lock = threading.RLock()

    @property
    def waiting(self) -> int:
        """Return how many wait for a slot."""
        return len(self._waiters)

    def take(self, limit: int) -> Release | None:
        """Take a slot if one is free and nobody waits for it."""
        with self._lock:
            if self._waiters or self.held >= limit:
                return None
            self.held += 1
        return self.release

    def release(self) -> None:
        """Give a slot back: to the first who waits, if there is one."""
        with self._lock:
            self.held = max(0, self.held - 1)  # in a forked child the holder is the parent's, the count is ours
            self._admit()

    async def acquire(self, limit: int, timeout: float | None = None) -> Release | None:
        """Take a slot; wait for it at most *timeout* seconds."""
        release = self.take(limit)
        return release if release is not None or timeout == 0 else await self._wait(limit, timeout)

    def acquire_blocking(self, limit: int, timeout: float | None = None) -> Release | None:
        """
        Take a slot; block this thread for it at most *timeout* seconds.

        Raises:
            DeadlockError: If it would block an event loop, on which the holder of the slot may run.

        """
        release = self.take(limit)
        return release if release is not None or timeout == 0 else self._block(limit, timeout)

    async def _wait(self, limit: int, timeout: float | None) -> Release | None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        waiter = self._join(limit, lambda: loop.call_soon_threadsafe(_resolve, turn))
        with self._passing_on(waiter), contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await turn
        return self._leave(waiter)

    def _block(self, limit: int, timeout: float | None) -> Release | None:
        _refuse_to_block_a_loop()
        turn = threading.Event()
        waiter = self._join(limit, turn.set)
        with self._passing_on(waiter):
            _ = clock.current.wait(turn, timeout)
        return self._leave(waiter)

    def _join(self, limit: int, wake: Callable[[], object]) -> _Waiter:
        waiter = _Waiter(limit, wake)
        with self._lock:
            self._waiters[waiter] = None
            self._admit()
        return waiter

    def _leave(self, waiter: _Waiter) -> Release | None:
        with self._lock:
            if waiter.owns_slot:
                waiter.owns_slot = False
                return self.release
            _ = self._waiters.pop(waiter, None)
            self._admit()  # who comes next may have a higher limit
        return None

    @contextlib.contextmanager
    def _passing_on(self, waiter: _Waiter) -> Generator[None]:
        try:
            yield
        except BaseException:
            if release := self._leave(waiter):
                release()
            raise

    def _admit(self) -> None:
        while self._waiters:
            waiter = next(iter(self._waiters))
            if self.held >= waiter.limit:
                return
            del self._waiters[waiter]
            self._admit_one(waiter)

    def _admit_one(self, waiter: _Waiter) -> None:
        waiter.owns_slot = True
        self.held += 1
        try:
            _ = waiter.wake()
        except RuntimeError:  # its event loop was closed: take the slot back, unless the waiter has passed it on
            self.held -= waiter.owns_slot
            waiter.owns_slot = False


@final
class MachineSemaphore:
    """
    Slots shared by all processes of this user: one locked file each.

    Nobody ever waits inside a lock: each file is tried without blocking, with pauses between the tries. Whoever looks
    for a slot holds one more file, the turn; only the holder of the turn looks, so that a process which releases and
    asks again at once cannot pass those who wait. The callers of one process take their turn in order.
    """

    def __init__(self, name: str) -> None:
        self._stem = slots.stem(name)
        self._queue = Semaphore()

    async def acquire(self, limit: int, timeout: float | None = None) -> Release | None:
        """Take a slot; look for one at most *timeout* seconds, without blocking the event loop."""
        search = _Search(self._stem, limit, timeout)
        if timeout == 0:
            return search.at_once()
        if leave := await self._queue.acquire(1, timeout):
            with search.steps(leave) as pauses:
                for pause in pauses:
                    await asyncio.sleep(pause)
        return search.found

    def acquire_blocking(self, limit: int, timeout: float | None = None) -> Release | None:
        """
        Take a slot; look for one at most *timeout* seconds.

        Raises:
            DeadlockError: If it would block an event loop.

        """
        search = _Search(self._stem, limit, timeout)
        if timeout == 0:
            return search.at_once()
        if leave := self._queue.acquire_blocking(1, timeout):
            with search.steps(leave) as pauses:
                for pause in pauses:
                    _refuse_to_block_a_loop()
                    clock.current.sleep(pause)
        return search.found


@final
class _Search:
    """One caller's way to a slot, as pauses to make between its steps; the last step sets `found`."""

    __slots__ = ("_deadline", "_limit", "_stem", "found")

    def __init__(self, stem: str, limit: int, timeout: float | None) -> None:
        self._stem = stem
        self._limit = limit
        self._deadline = None if timeout is None else clock.current.now() + timeout
        self.found: Release | None = None

    def at_once(self) -> Release | None:
        """Look for a free slot once, without a turn."""
        for _ in self._look():
            pass
        return self.found

    @contextlib.contextmanager
    def steps(self, leave: Release) -> Generator[Generator[float]]:
        """Give out the pauses; whatever happens, the turn is given back, and then *leave* is called."""
        try:
            with contextlib.closing(self._steps()) as pauses:
                yield pauses
        finally:
            leave()

    def _steps(self) -> Generator[float]:
        while (turn := slots.take(self._path(slots.prepare_directory(), "turn"))) is None:
            if not (pause := self._pause()):
                return
            yield pause
        try:
            while not (yield from self._look()):
                if not (pause := self._pause()):
                    return
                yield pause
        finally:
            turn.release()

    def _look(self) -> Generator[float, None, bool]:
        directory = slots.prepare_directory()
        start = int(clock.current.uniform(0, self._limit))  # anywhere, lest all meet at the first file
        for tries in range(1, self._limit + 1):
            if slot := slots.take(self._path(directory, (start + tries) % self._limit)):
                self.found = slot.release
                return True
            if tries % _TRIES_PER_STEP == 0:
                yield 0.0
        return False

    def _pause(self) -> float:
        """Return the seconds until the next try, 0 when the time is over."""
        pause = clock.current.uniform(*_PAUSE)
        return pause if self._deadline is None else min(pause, max(0.0, self._deadline - clock.current.now()))

    def _path(self, directory: Path, part: int | str) -> Path:
        return directory / f"{self._stem}.{part}.lock"


SEMAPHORES: Final[weakref.WeakValueDictionary[str, Semaphore]] = weakref.WeakValueDictionary()
"""The semaphores of this process by key; an entry goes with the last function that uses it."""

_machine_wide: Final[weakref.WeakValueDictionary[str, MachineSemaphore]] = weakref.WeakValueDictionary()
_every: Final[weakref.WeakSet[Semaphore]] = weakref.WeakSet()
_registry_lock = threading.RLock()


def named(key: str) -> Semaphore:
    """Return the semaphore of *key* in this process; to be kept by whoever uses it."""
    with _registry_lock:
        return SEMAPHORES.get(key) or SEMAPHORES.setdefault(key, Semaphore())


def machine_wide(name: str) -> MachineSemaphore:
    """Return the semaphore of *name* in all processes of this user; to be kept by whoever uses it."""
    with _registry_lock:
        return _machine_wide.get(name) or _machine_wide.setdefault(name, MachineSemaphore(name))


@functools.cache
def _watch_forks() -> None:
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=_forget_parent)


def _forget_parent() -> None:
    # The holders and waiters are the parent's; its threads may have held the locks at the moment of the fork.
    global _registry_lock  # noqa: PLW0603 - a lock taken by a thread that is no more can only be replaced
    _registry_lock = threading.RLock()
    for semaphore in [*_every]:
        semaphore.reset()


def _refuse_to_block_a_loop() -> None:
    if clock.running_loop() is not None:
        raise DeadlockError(
            "a plain function would wait for a slot on the thread of an event loop, and so stop the loop that may "
            + "have to free it; make the function `async def`, or call it through asyncio.to_thread()"
        )


def _resolve(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
