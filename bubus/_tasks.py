"""Starting tasks, at once where Python can, which is from 3.12 on; and ending them, and the loop."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from contextvars import Context

EAGER: Final = sys.version_info >= (3, 12)
"""Whether tasks can start at once."""


class Spawn(Protocol):
    """Starts a task; at once, if it is asked to and can."""

    def __call__(
        self,
        coro: Coroutine[object, None, None],
        *,
        loop: asyncio.AbstractEventLoop,
        context: Context,
        eager_start: bool,
    ) -> asyncio.Task[None]: ...


def _spawn_later(
    coro: Coroutine[object, None, None], *, loop: asyncio.AbstractEventLoop, context: Context, eager_start: bool
) -> asyncio.Task[None]:
    del eager_start  # this Python has no eager tasks
    return asyncio.Task(coro, loop=loop, context=context)


spawn: Final = cast("Spawn", cast("object", asyncio.Task)) if EAGER else _spawn_later


def leave(error: BaseException) -> None:
    """Raise *error*: a SystemExit or KeyboardInterrupt ends the loop that calls this."""
    raise error


_CANCEL_AGAIN: Final = 0.5
"""Seconds after which a task that was cancelled is cancelled again."""


async def cancel(tasks: Iterable[asyncio.Task[object] | None]) -> None:
    """Cancel *tasks* until they have ended: a client may lose a cancellation that comes together with a reply."""
    todo = {task for task in tasks if task is not None}
    while todo:
        for task in todo:
            _ = task.cancel()
        _, todo = await asyncio.wait(todo, timeout=_CANCEL_AGAIN)
