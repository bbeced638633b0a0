"""Starting tasks, at once where Python can, which is from 3.12 on; and ending them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from contextvars import Context

EAGER: Final = sys.version_info >= (3, 12)
"""Whether tasks can start at once."""

if sys.version_info >= (3, 12):
    spawn: Final = asyncio.Task
else:

    def spawn(
        coro: Coroutine[Any, Any, None], *, loop: asyncio.AbstractEventLoop, context: Context, eager_start: bool
    ) -> asyncio.Task[None]:
        """Start a task in the next turn of the loop: this Python has no eager tasks."""
        del eager_start
        return asyncio.Task(coro, loop=loop, context=context)


_CANCEL_AGAIN: Final = 0.5
"""Seconds after which a task that was cancelled is cancelled again."""


async def cancel(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancel *tasks* until they have ended: a client may lose a cancellation that comes together with a reply."""
    todo = {task for task in tasks if task is not None}
    while todo:
        for task in todo:
            task.cancel()
        _, todo = await asyncio.wait(todo, timeout=_CANCEL_AGAIN)
