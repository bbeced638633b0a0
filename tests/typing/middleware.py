"""Middlewares are checked where they are written. Only type checkers read this; see tests/test_typing.py."""

from __future__ import annotations

from typing import Any, Literal, assert_type

from bubus import BaseEvent, EventBus, EventResult, Middleware
from bubus.otel import OpenTelemetryMiddleware

Event = BaseEvent[Any]
Result = EventResult[Any]
Ends = Literal["completed"]


class Exact(Middleware):
    """Says what it is told in full; the names of the parameters are free."""

    def on_event_change(self, where: EventBus, what: Event, status: Literal["pending", "started", "completed"]) -> None:
        assert_type(what.event_id, str)
        assert_type(where.statistics().failed_hooks, int)

    def on_event_result_change(
        self,
        bus: EventBus,
        event: Event,
        result: Result,
        status: Literal["started", "completed", "error"],
    ) -> None:
        assert_type(result.handler_name, str)
        assert_type(result.error, BaseException | None)


class Wide(Middleware):
    """Takes more than it is told."""

    def on_event_change(self, bus: object, event: Event, status: str) -> None: ...


class FewerStatuses(Middleware):
    """Would not take "pending"."""

    def on_event_change(self, bus: EventBus, event: Event, status: Ends) -> None: ...  # must fail: status


class AnotherEvent(Middleware):
    """Would not take all events."""

    def on_event_change(self, bus: EventBus, event: BaseEvent[str], status: str) -> None: ...

    def on_event_result_change(self, bus: object, event: int, it: Result, status: str) -> None: ...  # must fail: event


class TooFew(Middleware):
    """Takes less than it is told."""

    def on_event_change(self, bus: EventBus, event: Event) -> None: ...  # must fail: no status


class Asynchronous(Middleware):
    """Would have to be awaited."""

    async def on_event_change(self, bus: EventBus, event: Event, status: str) -> None: ...  # must fail: a coroutine


class NoMiddleware:
    """Has the right method and the wrong base class."""

    def on_event_change(self, bus: EventBus, event: Event, status: str) -> None: ...


bus = EventBus("App", middlewares=[Exact(), Wide(), OpenTelemetryMiddleware()])
assert_type(bus.middlewares, tuple[Middleware, ...])
EventBus(middlewares=[NoMiddleware()])  # must fail: no middleware
EventBus(middlewares=[Exact])  # must fail: a class
EventBus(middlewares=Exact())  # must fail: no list
OpenTelemetryMiddleware("provider")  # must fail: no provider
