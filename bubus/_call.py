"""One call of one handler for one event: a record that is at work."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, SupportsIndex, cast

import attrs
from typing_extensions import override

from bubus._narrow import attribute, attrs_fields
from bubus._result import EventResult
from bubus._waiting import waiting_for_result

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator

    from bubus._bus import EventBus
    from bubus._event import AnyEvent
    from bubus._handlers import Handler
    from bubus._state import EventState, Share

NO_SHARE: Final = cast("Share", cast("object", None))
"""Stands for the share of an event that is complete: a record must not keep the bus alive."""


@attrs.define(eq=False, repr=False)
class Call(EventResult[object]):
    """
    The record of a handler while it is at work, and the token that tells inside from outside.

    One object is both, because there is one for each handler of each event.
    """

    share: Share = attrs.field(init=False)
    """What it is a part of; `NO_SHARE` once the event is complete."""

    handler: Handler | None = attrs.field(init=False)
    """What is called; None once the event is complete, as a record must not keep that alive either."""

    nesting: int = attrs.field(init=False)
    """How many eager starts lie below this one on the Python stack."""

    start_time: float | None = None
    """Reading of `time.monotonic`, in seconds, when the handler started; None before. The status may be set by hand."""

    live: bool = True
    """Whether the handler has not settled: only then its tasks count as inside."""

    task: asyncio.Task[None] | None = None
    """The handler's own task; None for one that has not started or is a plain function."""

    is_suspended: bool = False
    """Whether it goes on, if it does, in a turn of the loop that is its task's own."""

    alarm: tuple[float, Callable[[Call], None]] | None = None
    """What is to be done if the handler has not settled by then, a reading of the loop's clock."""

    after: Callable[[Call], None] | None = None
    """Told when the handler has settled."""

    cut: BaseException | None = None
    """Why the handler was cancelled, if it was."""

    warned: bool = False
    """Whether it was said that the handler is slow."""

    spared: bool = False
    """Set while the handler itself runs `stop`, which must not cancel it."""

    waiting_for: EventState | Share | Call | None = None
    """What the handler's own task awaits right now: an event, the handlers of one bus, or another's result."""

    @override
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[object, ...]:
        # What is at work cannot be doubled: a copy is a plain record, for which nobody waits.
        state = {field.name: attribute(self, field.name) for field in attrs_fields(EventResult)}
        return _plain_record, (state | {"_waiters": None, "_id": self.id},)

    @override
    def __await__(self) -> Generator[object, None, object]:
        with nullcontext() if self.settled else waiting_for_result(self):
            return (yield from super().__await__())

    @property
    def event(self) -> AnyEvent:
        """The event that the handler was called with."""
        return self.share.event

    @property
    def bus(self) -> EventBus:
        """The bus that runs the handler."""
        return self.share.bus


# Users see an EventResult: in errors, and in what attrs tells of it, such as `attrs.asdict`, which would go round in
# circles through what is at work.
Call.__name__ = Call.__qualname__ = EventResult.__name__
setattr(Call, "__attrs_attrs__", attrs_fields(EventResult))  # noqa: B010 - typed as read-only


def _plain_record(state: dict[str, object]) -> EventResult[object]:
    record = EventResult.__new__(EventResult)
    for name, value in state.items():
        object.__setattr__(record, name, value)
    return record
