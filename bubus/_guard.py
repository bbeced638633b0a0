"""How a bus learns that its event loop ends: a task that is cancelled with all others."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING

import attrs

from bubus._tasks import EAGER, spawn

if TYPE_CHECKING:
    from collections.abc import Callable


@attrs.define(eq=False, repr=False)
class Guard:
    """
    A task that lives as long as a bus has work in hand which is not done in one go, and until the loop's next turn.

    Nobody waits for it, so that only one thing can cancel it: whoever cancels all tasks of the loop, as
    `asyncio.run` does at its end.
    """

    _cut_off: Callable[[Guard], None]
    """Called once if the task is cancelled."""

    _over: asyncio.Future[None]
    resting: bool = False
    """Whether all is done: what is cancelled with it then is none of the bus' work."""

    _task: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to listen."""
        context = Context()
        self._task = spawn(self._listen(), loop=loop, context=context, eager_start=True)
        if not EAGER:
            self._task.add_done_callback(self._ended, context=context)

    @property
    def cancelled(self) -> bool:
        """Whether the task was cancelled, although it may not know yet."""
        return self._task is not None and self._task.cancelling() > 0

    def end(self) -> None:
        """End the task: the work is done."""
        if not self._over.done():
            self._over.set_result(None)

    async def _listen(self) -> None:
        try:
            await self._over
        except asyncio.CancelledError:
            self._cut_off(self)
            raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        # A task that is cancelled before its first step runs none of its own code.
        if task.cancelled():
            self._cut_off(self)
