"""How to run an event that is not simply new: one that was recovered, or replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

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

    def select(self, share: Share, handlers: Sequence[Handler]) -> Sequence[Handler]:
        """Return those of *handlers* that are to run; what is known of the others becomes part of the results."""
        ...
