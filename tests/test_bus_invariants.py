"""Random faults against the one promise that holds always: every accepted event settles, every awaiter wakes up."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import attrs
import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import CapacityError
from bubus.testing import VirtualTimeLoop, assert_settled, settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WATCHDOG = 10_000.0
"""Virtual seconds; no story below takes a hundredth of it."""


CLINGING = 10.0
"""Virtual seconds after which a handler that swallows cancellation has ended by itself."""


class Trouble(BaseEvent[str]):
    depth: int = 0


@attrs.define
class Story:
    """A few buses, handlers that misbehave, and outsiders who interfere."""

    rng: random.Random
    buses: list[EventBus] = attrs.Factory(list[EventBus])
    accepted: list[Trouble] = attrs.Factory(list[Trouble])
    awaited: list[asyncio.Task[None]] = attrs.Factory(list["asyncio.Task[None]"])
    early: list[str] = attrs.Factory(list[str])

    def open_buses(self) -> None:
        """Make buses with small limits, some of them forwarding in a ring."""
        for _ in range(self.rng.randint(1, 3)):
            self.buses.append(
                EventBus(
                    max_history_size=self.rng.choice((0, 1, 5, None)),
                    max_pending=self.rng.choice((1, 3, None)),
                    max_depth=self.rng.choice((2, 5, 100)),
                    parallel_handlers=self.rng.random() < 0.4,
                    cancel_grace=0.2,
                    slow_handler_seconds=0,
                )
            )
        for bus in self.buses:
            for _ in range(self.rng.randint(0, 3)):
                bus.on(Trouble, self.handler())
            if self.rng.random() < 0.4:
                bus.on("*", self.rng.choice(self.buses).dispatch)

    def handler(self) -> Callable[[Trouble], Awaitable[str]]:
        """Return a handler that does one thing, chosen at random for each call."""
        deeds = (self.ends, self.fails, self.cancels, self.sleeps, self.oversleeps, self.clings)
        nested = (self.awaits_child, self.awaits_child, self.leaves_child, self.gathers, self.gives_up, self.spawns)

        async def handle(event: Trouble) -> str:
            deed = self.rng.choice(deeds if event.depth > 2 else (*deeds, *nested))
            return await deed(event)

        return handle

    async def ends(self, event: Trouble) -> str:
        return "done"

    async def fails(self, event: Trouble) -> str:
        raise ValueError("on purpose")

    async def cancels(self, event: Trouble) -> str:
        raise asyncio.CancelledError

    async def sleeps(self, event: Trouble) -> str:
        await asyncio.sleep(self.rng.choice((0, 0, 0.5, 1)))
        return "slept"

    async def oversleeps(self, event: Trouble) -> str:
        await asyncio.sleep(20)
        return "never"

    async def clings(self, event: Trouble) -> str:
        """Swallow cancellation, for less or more than the grace."""
        end = asyncio.get_running_loop().time() + self.rng.choice((2.1, 5))
        while (left := end - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                continue
        return "late"

    async def awaits_child(self, event: Trouble) -> str:
        await self.wait(self.send(event.depth + 1))
        return "awaited"

    async def leaves_child(self, event: Trouble) -> str:
        self.send(event.depth + 1)
        return "left"

    async def gathers(self, event: Trouble) -> str:
        children = [self.send(event.depth + 1) for _ in range(3)]
        await asyncio.gather(*(self.wait(child) for child in children))
        return "gathered"

    async def gives_up(self, event: Trouble) -> str:
        child = self.send(event.depth + 1)
        try:
            async with asyncio.timeout(self.rng.choice((0, 0.3))):
                await self.wait(child)
        except TimeoutError:
            return "gave up"
        return "awaited"

    async def spawns(self, event: Trouble) -> str:
        self.awaited.append(asyncio.create_task(self.outlive(event.depth + 1)))
        return "spawned"

    async def outlive(self, depth: int) -> None:
        await asyncio.sleep(self.rng.choice((0, 0.1, 1)))
        try:
            event = self.send(depth)
        except RuntimeError:  # refused: full, stopping
            return
        await self.wait(event)

    def send(self, depth: int) -> Trouble:
        event = Trouble(depth=depth, event_timeout=self.rng.choice((None, 0.4, 2.0)) if depth else 2.0)
        self.rng.choice(self.buses).dispatch(event)
        self.accepted.append(event)
        return event

    async def wait(self, event: Trouble) -> None:
        await event
        if event.event_status != "completed":
            self.early.append(event.event_id)

    async def outside(self) -> None:
        """Dispatch from outside, await some, cancel some awaits, stop some buses."""
        for _ in range(self.rng.randint(1, 8)):
            try:
                event = self.send(0)
            except (CapacityError, RuntimeError):
                continue
            if self.rng.random() < 0.7:
                self.awaited.append(asyncio.create_task(self.wait(event)))
            await self.interfere()

    async def interfere(self) -> None:
        choice = self.rng.random()
        if choice < 0.2 and self.awaited:
            self.rng.choice(self.awaited).cancel()
        elif choice < 0.3:
            await self.rng.choice(self.buses).stop(timeout=self.rng.choice((None, 0, 0.1, 3)))
        elif choice < 0.6:
            await asyncio.sleep(self.rng.choice((0, 0.2, 1)))

    async def play(self) -> None:
        self.open_buses()
        async with asyncio.timeout(WATCHDOG):
            await self.outside()
            while unfinished := [event for event in self.accepted if event.event_status != "completed"]:
                await self.wait(unfinished[0])
            for task in self.awaited:
                await asyncio.wait([task])
            await asyncio.sleep(CLINGING)  # a handler that was left behind is allowed to run on
            await settle(*self.buses)
            await self.end_tasks()
        for bus in self.buses:
            await bus.stop()
        assert_settled(*self.buses)

    async def end_tasks(self) -> None:
        """Raise what went wrong in a task; a cancelled wait is part of the story."""
        for task in self.awaited:
            if not task.cancelled():
                task.result()


@pytest.mark.parametrize("seed", range(200))
def test_R4_every_accepted_event_settles(seed: int) -> None:
    """Errors, timeouts, cancels, stops, evictions and refusals in any order leave nobody waiting."""
    story = Story(random.Random(seed))
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(story.play())

    assert story.early == []
    assert {event.event_status for event in story.accepted} <= {"completed"}
    for event in story.accepted:
        assert {result.status for result in event.event_results.values()} <= {"completed", "error"}
