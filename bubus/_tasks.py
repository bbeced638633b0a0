"""Starting tasks: at once where Python can, which is from 3.12 on."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine
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
