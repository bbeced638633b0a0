"""The scheduler of a bus that has middlewares: it tells them of what the other one does silently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from typing_extensions import override

from bubus._scheduler import Scheduler
from bubus._state import DONE

if TYPE_CHECKING:
    from bubus._bus import EventBus
    from bubus._event import AnyEvent
    from bubus._hooks import Hooks
    from bubus._plan import Plan
    from bubus._state import EventState, Share
    from bubus._statistics import Statistics


@attrs.define(eq=False, repr=False)
class WatchedScheduler(Scheduler):
    """A `Scheduler` whose every event is told of."""

    hooks: Hooks = attrs.field(kw_only=True)

    @override
    def accept(self, event: AnyEvent, bus: EventBus, plan: Plan | None = None) -> None:
        """Do what `Scheduler.accept` does, and tell of an event that was not here before."""
        before = self.accepted
        super().accept(event, bus, plan)
        share = self.share_of(event) if self.accepted > before else None
        if share is not None:
            self.hooks.accepted(share)

    @override
    def extra_share(self, event: AnyEvent, state: EventState, bus: EventBus) -> Share:
        """Do what `Scheduler.extra_share` does, and tell of the event."""
        share = super().extra_share(event, state, bus)
        self.hooks.accepted(share)
        return share

    @override
    def _finish(self, share: Share) -> None:
        if share.stage is not DONE:
            self.hooks.begun(share)
        super()._finish(share)

    @override
    def event_completed(self, share: Share) -> None:
        """Do what `Scheduler.event_completed` does, and tell of it."""
        calls = share.calls
        super().event_completed(share)
        self.hooks.completed(share, calls)

    @override
    def statistics(self) -> Statistics:
        """Return the counters, those of the hooks included."""
        return attrs.evolve(super().statistics(), failed_hooks=self.hooks.failures)
