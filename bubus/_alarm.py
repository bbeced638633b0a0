"""The one timer of a bus: it serves all its suspended handlers, whatever each of them waits for."""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from bubus._call import Call
    from bubus._state import Share

# Seconds between two rings, so that handlers which began one after another do not cost a scan each.
_PAUSE = 0.001


@attrs.define(eq=False, repr=False)
class Alarm:
    """
    Calls back for handlers that are still running when their time has come.

    A handler that ends in time costs nothing: the timer stays set, for an earlier moment than needed, until the
    bus has nothing left to do.
    """

    _running: dict[Share, None]
    """What the bus runs, kept by its scheduler."""

    _timer: asyncio.TimerHandle | None = None

    def set(self, call: Call, seconds: float, action: Callable[[Call], None]) -> None:
        """Do *action* in *seconds*, unless *call* has ended by then; replaces what was set for it."""
        loop = call.share.state.loop
        due = loop.time() + seconds
        call.alarm = due, action
        if self._timer is None or due < self._timer.when():
            self._set_timer(loop, due)

    def clear(self) -> None:
        """Forget everything: nothing runs any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def drop(self) -> None:
        """Do what `clear` does after the event loop was closed."""
        self._timer = None

    def _set_timer(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        self.clear()
        # A context of its own, or the timer would hold on to the one it was set in.
        self._timer = loop.call_at(when, self._ring, loop, context=Context())

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for call in list(self._set()):
            if call.live and call.alarm is not None and call.alarm[0] <= now:  # others may have changed it meanwhile
                action, call.alarm = call.alarm[1], None
                action(call)
        following = min((call.alarm[0] for call in self._set() if call.alarm), default=None)
        if following is not None:
            self._set_timer(loop, max(following, now + _PAUSE))

    def _set(self) -> Iterator[Call]:
        return (call for share in self._running for call in share.calls if call.live and call.alarm)
