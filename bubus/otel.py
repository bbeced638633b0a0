"""
Traces of events for OpenTelemetry; needs the extra ``bubus[otel]``.

```python
bus = EventBus("Shop", middlewares=[OpenTelemetryMiddleware()])
```

Each event has a span on each bus that handles it, and below it one for each handler. The parent of an event's span is
the span that was current where the event was dispatched, however long it waits in a queue: that of a handler for what
the handler dispatches, and that of a forward for what is forwarded. A handler's span is current while it runs.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from bubus._extras import missing_extra
from bubus._hooks import Middleware
from bubus._tree import escape

try:
    from opentelemetry import context, trace
except ModuleNotFoundError as _problem:
    raise missing_extra("bubus.otel", "otel", "opentelemetry", _problem) from _problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bubus._bus import EventBus
    from bubus._event import AnyEvent
    from bubus._hooks import EventChange, ResultChange
    from bubus._result import AnyResult

__all__ = ["OpenTelemetryMiddleware"]

# What makes a span one of a message that is processed: an event's only, or messages would be counted by handlers.
_PROCESS: Final = {
    "messaging.system": "bubus",
    "messaging.operation.type": "process",
    "messaging.operation.name": "process",
}


class OpenTelemetryMiddleware(Middleware):
    """
    Makes spans of events and of what their handlers do, named and described as OpenTelemetry says for messaging.

    The span of an event is called ``process <event type>``, is of the kind CONSUMER, and lasts from the moment when the
    bus begins with the event until that is complete, its children included. The span of a handler is called
    ``<bus>.<handler>``. Where a handler fails, both have the status ERROR and an ``error.type``, and the handler's has
    the exception.

    Args:
        tracer_provider: Where spans go; by default to the provider that the program has set globally.
    """

    def __init__(self, tracer_provider: trace.TracerProvider | None = None) -> None:
        self._tracer: trace.Tracer = trace.get_tracer("bubus", tracer_provider=tracer_provider)
        # What was begun stands in the context where it was: nothing has to be looked up, or can be left over.
        self._event: ContextVar[tuple[str, trace.Span] | None] = ContextVar("bubus_otel_event", default=None)
        self._result: ContextVar[tuple[str, trace.Span] | None] = ContextVar("bubus_otel_result", default=None)

    @override
    def on_event_change(self, bus: EventBus, event: AnyEvent, status: EventChange, /) -> None:
        """Begin the span of an event, or end it."""
        if status == "started":
            kind, attributes = trace.SpanKind.CONSUMER, _identity(bus, event) | _PROCESS
            if event.event_parent_id is not None:
                attributes["bubus.event.parent_id"] = event.event_parent_id
            span = self._tracer.start_span(f"process {event.event_type}", kind=kind, attributes=attributes)
            _ = self._event.set((event.event_id, span))
            _ = context.attach(trace.set_span_in_context(span))
        elif status == "completed" and (begun := self._event.get()) is not None and begun[0] == event.event_id:
            results = [result for result in event.event_results.values() if result.eventbus_id == bus.id]
            _end(begun[1], (result.error for result in results))

    @override
    def on_event_result_change(
        self, bus: EventBus, event: AnyEvent, result: AnyResult, status: ResultChange, /
    ) -> None:
        """Begin the span of a handler, or end it."""
        if status == "started":
            attributes = _identity(bus, event) | {"bubus.handler.id": result.handler_id}
            span = self._tracer.start_span(f"{bus.name}.{result.handler_name}", attributes=attributes)
            _ = self._result.set((result.id, span))
            _ = context.attach(trace.set_span_in_context(span))
        elif (begun := self._result.get()) is not None and begun[0] == result.id:
            if result.error is not None:
                _record(begun[1], result.error)
            _end(begun[1], [result.error])


def _identity(bus: EventBus, event: AnyEvent) -> dict[str, str]:
    return {
        "messaging.destination.name": event.event_type,
        "messaging.message.id": event.event_id,
        "bubus.bus.name": bus.name,
    }


def _end(span: trace.Span, errors: Iterable[BaseException | None]) -> None:
    error = next((error for error in errors if error is not None), None)
    if error is not None:
        kind = type(error)
        span.set_attribute("error.type", f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."))
        span.set_status(trace.StatusCode.ERROR, escape(error))
    span.end()


def _record(span: trace.Span, error: BaseException) -> None:
    with suppress(Exception):  # its own code may fail to describe it; the span has to end all the same
        span.record_exception(error)
