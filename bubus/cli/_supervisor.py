"""Several workers: started, watched, started again when they end, and stopped together."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from time import monotonic, strftime
from typing import TYPE_CHECKING, Final

import attrs

from bubus.cli._signals import stop_on_signals
from bubus.cli._worker import STATUS_MARK

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable, Sequence

USAGE: Final = 2
"""The exit code of a worker that was asked for something impossible: trying again would not help."""

BROKEN: Final = 3
"""The exit code of a worker whose program cannot be loaded: where no worker has worked yet, none will."""

_SHORTEST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
"""Seconds before a worker that ended is started again; doubled each time it ends soon."""

_SOON: Final = 10.0
_LINE_SECONDS: Final = 1.0
_GRACE: Final = 5.0
"""Seconds that a worker has beyond its timeout before it is killed."""


@attrs.define(eq=False)
class Seat:
    """The place of one worker, whoever has it now."""

    number: int
    process: Process | None = None
    restarts: int = 0
    past: dict[str, int] = attrs.Factory(dict[str, int])
    """What the workers before this one have counted."""

    now: dict[str, int] = attrs.Factory(dict[str, int])

    def count(self, name: str) -> int:
        """Return a total over all workers that had this seat."""
        return self.past.get(name, 0) + self.now.get(name, 0)

    def leave(self) -> None:
        """Keep what the worker has counted."""
        self.past = {name: self.count(name) for name in {*self.past, *self.now} - {"in_flight", "waiting"}}
        self.now = {}
        self.process = None


class Supervisor:
    """
    Keeps workers running.

    Args:
        command: What to start for each.
        processes: How many.
        timeout: Seconds that workers have to finish.
        say: Called with each line about what happens.
    """

    def __init__(self, command: Sequence[str], processes: int, timeout: float, say: Callable[[str], None]) -> None:
        self._command: Final = command
        self._timeout: Final = timeout
        self._say: Final = say
        self._stop: Final = asyncio.Event()
        self._seats: Final = [Seat(number) for number in range(1, processes + 1)]
        self._exit_code: int = 0
        self._has_worked: bool = False
        """Whether any worker got as far as to report."""

    async def run(self, show: Callable[[str], None] | None) -> int:
        """Run until SIGTERM or SIGINT and return the exit code; *show* gets a line each second."""
        loop = asyncio.get_running_loop()
        stop_on_signals(self._stop)
        showing = loop.create_task(self._show(show)) if show is not None else None
        _ = await asyncio.gather(*(self._keep(seat) for seat in self._seats))
        if showing is not None:
            _ = showing.cancel()
            _ = await asyncio.wait([showing])
        return self._exit_code

    async def _keep(self, seat: Seat) -> None:
        pause = _SHORTEST_PAUSE
        while not self._stop.is_set():
            begin = monotonic()
            code = await self._run_one(seat)
            if self._stop.is_set():
                return
            if code == USAGE or (code == BROKEN and not self._has_worked):
                self._exit_code = code
                self._stop.set()
                return
            pause = min(2 * pause, _LONGEST_PAUSE) if monotonic() - begin < _SOON else _SHORTEST_PAUSE
            seat.restarts += 1
            self._say(f"worker {seat.number} ended ({_reason(code)}); another starts in {pause:g} s")
            await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                _ = await self._stop.wait()

    async def _run_one(self, seat: Seat) -> int:
        seat.process = process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "BUBUS_WORKER": str(seat.number)},
        )
        reading = asyncio.get_running_loop().create_task(self._read(seat, process))
        stopping = asyncio.get_running_loop().create_task(self._stop.wait())
        _ = await asyncio.wait([reading, stopping], return_when=asyncio.FIRST_COMPLETED)
        _ = stopping.cancel()
        code = await self._end(process)
        await reading
        seat.leave()
        return code

    async def _read(self, seat: Seat, process: Process) -> None:
        """Read what a worker says of itself, until it ends."""
        if process.stdout is None:
            return
        while line := await process.stdout.readline():
            text = line.decode("utf-8", "backslashreplace").rstrip()
            if text.startswith(STATUS_MARK):
                self._has_worked = True
                seat.now = json.loads(text.removeprefix(STATUS_MARK))
            else:  # a handler has printed it
                self._say(text)

    async def _end(self, process: Process) -> int:
        """Have a worker finish, and return its exit code; kill it if it does not."""
        if process.returncode is None and process.stdin is not None:
            process.stdin.close()  # it ends with its input: that works everywhere
        try:
            async with asyncio.timeout(self._timeout + _GRACE):
                return await process.wait()
        except TimeoutError:
            self._say(f"process {process.pid} does not end and is killed; what it had is delivered again")
            process.kill()
            self._exit_code = 1
            return await process.wait()

    async def _show(self, show: Callable[[str], None]) -> None:
        done = 0
        while True:
            await asyncio.sleep(_LINE_SECONDS)
            total = sum(seat.count("done") for seat in self._seats)
            show(self._line(total, (total - done) / _LINE_SECONDS))
            done = total

    def _line(self, done: int, rate: float) -> str:
        alive = sum(seat.process is not None for seat in self._seats)
        count = {name: sum(seat.count(name) for seat in self._seats) for name in ("in_flight", "failed", "buried")}
        return (
            f"{strftime('%H:%M:%S')}  {alive} of {len(self._seats)} workers  done {done:,} (+{rate:,.0f}/s)  "
            f"in flight {count['in_flight']}  failed {count['failed']}  dead letters {count['buried']}  "
            f"restarts {sum(seat.restarts for seat in self._seats)}"
        )


def _reason(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def command(arguments: Sequence[str]) -> list[str]:
    """Return what starts one worker."""
    return [sys.executable, "-m", "bubus", "worker", *arguments, "--alone"]
