"""One call of one handler for one event: a record that is at work."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, cast

import attrs

from bubus._result import EventResult

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from bubus._bus import EventBus
    from bubus._event import AnyEvent
    from bubus._state import EventState, Share

NO_SHARE: Final = cast("Share", cast("object", None))
"""Stands for the share of an event that is complete: a record must not keep the bus alive."""


def _nothing(call: Call) -> None:
    del call


@attrs.define(eq=False, repr=False)
class Call(EventResult[object]):
    """
    The record of a handler while it is at work, and the token that tells inside from outside.

    One object is both, because there is one for each handler of each event.
    """

    share: Share = attrs.field(init=False)
    """What it is a part of; `NO_SHARE` once the event is complete."""

    nesting: int = attrs.field(init=False)
    """How many eager starts lie below this one on the Python stack."""

    start_time: float = attrs.field(init=False)
    """Reading of `time.monotonic`, in seconds, when the handler started."""

    live: bool = True
    """Whether the handler still runs: only then its tasks count as inside."""

    task: asyncio.Task[None] | None = None
    """The handler's own task; None for one that has not started or is a plain function."""

    due: float = math.inf
    """When `action` is due, on the clock of the loop; set only while the handler is suspended."""

    action: Callable[[Call], None] = _nothing

    after: Callable[[Call], None] | None = None
    """Told when the handler has settled."""

    cut: BaseException | None = None
    """Why the handler was cancelled, if it was."""

    warned: bool = False
    """Whether it was said that the handler is slow."""

    spared: bool = False
    """Set while the handler itself runs `stop`, which must not cancel it."""

    waiting_for: EventState | None = None
    """The event that the handler's own task awaits right now."""

    @property
    def event(self) -> AnyEvent:
        """The event that the handler was called with."""
        return self.share.event

    @property
    def bus(self) -> EventBus:
        """The bus that runs the handler."""
        return self.share.bus
