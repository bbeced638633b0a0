"""How to run an event that is not simply new: one that was recovered, or replayed."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bubus._handlers import Handler
    from bubus._state import Share


class Plan(Protocol):
    """What a bus asks when it begins with such an event."""

    @property
    def is_logged(self) -> bool:
        """Whether the event gets a line in the log of the bus."""
        ...

    def select(self, share: Share, handlers: Sequence[Handler], /) -> Sequence[Handler]:
        """Return those of *handlers* that are to run; what is known of the others becomes part of the results."""
        ...


replaying: Final[set[object]] = set()
"""The replays that go on in this process."""


class Replaying(Plan, Protocol):
    """A plan that also says how to run what its handlers dispatch."""

    def inherited(self, *, is_forward: bool) -> Plan:
        """Return the plan for an event, or, with *is_forward*, for the same one on another bus."""
        ...


current_replay: Final[ContextVar[Replaying | None]] = ContextVar("bubus_current_replay", default=None)
"""The replay that this code runs in."""


def inherited_plan(*, is_forward: bool) -> Plan | None:
    """Return how to run what is dispatched here: within a replay, not as if it were new."""
    replay = current_replay.get()
    return None if replay is None or replay not in replaying else replay.inherited(is_forward=is_forward)
