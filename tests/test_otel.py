"""Traces: the spans that OpenTelemetry's own SDK sees of events and handlers."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bubus import BaseEvent, EventBus
from bubus.otel import OpenTelemetryMiddleware

if TYPE_CHECKING:
    from collections.abc import Mapping


# They have no types.
messaging: Any = importlib.import_module("opentelemetry.semconv._incubating.attributes.messaging_attributes")
ERROR_TYPE: str = importlib.import_module("opentelemetry.semconv.attributes.error_attributes").ERROR_TYPE


class Order(BaseEvent[str]):
    """What tests dispatch."""


class Charge(BaseEvent[str]):
    """What handlers of Order dispatch."""


class Tracing:
    """A provider of spans, and what became of them."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("test")

    def bus(self, name: str, **options: Any) -> EventBus:
        """Return a bus that is traced."""
        return EventBus(name, middlewares=[OpenTelemetryMiddleware(self.provider)], **options)

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in the order in which they began."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def span(self, name: str) -> ReadableSpan:
        """Return the only span of that name."""
        [span] = [span for span in self.spans if span.name == name]
        return span

    def tree(self) -> dict[str, str | None]:
        """Return each span's name with that of its parent."""
        names = {context_of(span).span_id: span.name for span in self.spans}
        assert len(set(names.values())) == len(names)
        assert len({context_of(span).trace_id for span in self.spans}) == 1
        return {span.name: span.parent and names[span.parent.span_id] for span in self.spans}


@pytest.fixture
def tracing() -> Tracing:
    """Return a provider of this test only."""
    return Tracing()


def context_of(span: ReadableSpan) -> trace.SpanContext:
    """Return what tells the span from others."""
    context = span.get_span_context()
    assert context is not None
    return context


def attributes_of(span: ReadableSpan) -> Mapping[str, object]:
    """Return its attributes."""
    return span.attributes or {}


async def test_an_event_is_a_message_that_is_processed(tracing: Tracing) -> None:
    """Names, kinds and attributes are those of OpenTelemetry's conventions for messaging."""
    bus = tracing.bus("Shop")
    bus.on(Order, lambda event: "ok")
    event = await bus.dispatch(Order())

    process, handler = tracing.spans
    assert (process.name, process.kind) == ("process Order", trace.SpanKind.CONSUMER)
    assert (handler.name, handler.kind) == ("Shop.<lambda>", trace.SpanKind.INTERNAL)
    assert attributes_of(process) == {
        messaging.MESSAGING_SYSTEM: "bubus",
        messaging.MESSAGING_OPERATION_TYPE: messaging.MessagingOperationTypeValues.PROCESS.value,
        messaging.MESSAGING_OPERATION_NAME: "process",
        messaging.MESSAGING_DESTINATION_NAME: "Order",
        messaging.MESSAGING_MESSAGE_ID: event.event_id,
        "bubus.bus.name": "Shop",
    }
    [result] = event.event_results.values()
    assert attributes_of(handler) == {
        messaging.MESSAGING_DESTINATION_NAME: "Order",
        messaging.MESSAGING_MESSAGE_ID: event.event_id,
        "bubus.bus.name": "Shop",
        "bubus.handler.id": result.handler_id,
    }
    assert process.status.status_code is handler.status.status_code is trace.StatusCode.UNSET
    assert tracing.tree() == {"process Order": None, "Shop.<lambda>": "process Order"}


async def test_the_parent_is_the_span_of_the_dispatcher(tracing: Tracing) -> None:
    """Wherever and whenever the event is handled: not the span of whoever runs it, or is current by then."""
    bus = tracing.bus("Shop")
    bus.on(Order, lambda event: "ok")
    with tracing.tracer.start_as_current_span("request"):
        event = bus.dispatch(Order())
    with tracing.tracer.start_as_current_span("another"):
        await event

    parents = {span.name: span.parent and span.parent.span_id for span in tracing.spans}
    assert parents["process Order"] == context_of(tracing.span("request")).span_id
    assert parents["another"] is None


async def test_what_handlers_dispatch_is_below_them(tracing: Tracing) -> None:
    """Awaited or not, however deep; and so are spans of their own."""
    bus = tracing.bus("Shop")

    async def order(event: Order) -> None:
        with tracing.tracer.start_as_current_span("own"):
            await bus.dispatch(Charge())

    async def charge(event: Charge) -> None:
        bus.dispatch(BaseEvent(event_type="Mail", event_timeout=None))

    async def mail(event: BaseEvent[Any]) -> None:
        await asyncio.sleep(0)

    bus.on(Order, order)
    bus.on(Charge, charge)
    bus.on("Mail", mail)
    event = await bus.dispatch(Order())

    assert tracing.tree() == {
        "process Order": None,
        "Shop.order": "process Order",
        "own": "Shop.order",
        "process Charge": "own",
        "Shop.charge": "process Charge",
        "process Mail": "Shop.charge",
        "Shop.mail": "process Mail",
    }
    assert attributes_of(tracing.span("process Charge"))["bubus.event.parent_id"] == event.event_id
    ends = {span.name: span.end_time or 0 for span in tracing.spans}
    assert ends["process Order"] >= max(ends.values())


async def test_forwards_are_below_what_forwards(tracing: Tracing) -> None:
    """The second bus' span of the event is a child of the first one's handler."""
    shop, audit = tracing.bus("Shop"), tracing.bus("Audit")
    shop.on("*", audit.dispatch)
    audit.on(Order, lambda event: "ok")
    await shop.dispatch(Order())

    first, forward, second, handler = tracing.spans
    names = [span.name for span in tracing.spans]
    assert names == ["process Order", "Shop.Audit.dispatch", "process Order", "Audit.<lambda>"]
    for child, parent in ((forward, first), (second, forward), (handler, second)):
        assert child.parent == context_of(parent)
    assert [attributes_of(span)["bubus.bus.name"] for span in (first, second)] == ["Shop", "Audit"]


@pytest.mark.parametrize("parallel", [False, True])
async def test_the_span_of_a_handler_is_current_in_it_alone(tracing: Tracing, *, parallel: bool) -> None:
    """Also in handlers that run at the same time."""
    bus = tracing.bus("Shop", parallel_handlers=parallel)
    current: dict[str, int] = {}

    def handler(name: str) -> Any:
        async def handle(event: Order) -> None:
            await asyncio.sleep(0)
            current[name] = trace.get_current_span().get_span_context().span_id
            await asyncio.sleep(0)

        handle.__name__ = name
        return handle

    for name in ("one", "two", "three"):
        bus.on(Order, handler(name))
    await bus.dispatch(Order())

    assert current == {name: context_of(tracing.span(f"Shop.{name}")).span_id for name in current}
    assert set(tracing.tree().values()) == {None, "process Order"}
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.virtual_time
async def test_what_fails_is_recorded(tracing: Tracing) -> None:
    """The handler's span has the exception, the event's says that it failed; other handlers' are as always."""
    bus = tracing.bus("Shop")

    def fail(event: Order) -> str:
        raise LookupError("no such order")

    async def hang(event: Order) -> str:
        return await bus.dispatch(Charge(event_timeout=None)).event_result() or ""

    async def wait(event: Charge) -> str:
        return await asyncio.get_running_loop().create_future()

    bus.on(Order, fail)
    bus.on(Order, hang)
    bus.on(Order, lambda event: "ok")
    bus.on(Charge, wait)
    await bus.dispatch(Order(event_timeout=1))

    failed = {span.name: attributes_of(span).get(ERROR_TYPE) for span in tracing.spans}
    assert failed == {
        "process Order": "LookupError",
        "Shop.fail": "LookupError",
        "Shop.hang": "bubus.errors.HandlerTimeout",
        "process Charge": "bubus.errors.EventCancelled",
        "Shop.wait": "bubus.errors.EventCancelled",
        "Shop.<lambda>": None,
    }
    for span in tracing.spans:
        assert (span.status.status_code is trace.StatusCode.ERROR) is (failed[span.name] is not None)
    [recorded] = tracing.span("Shop.fail").events
    assert (recorded.name, (recorded.attributes or {})["exception.message"]) == ("exception", "no such order")
    assert tracing.span("Shop.fail").status.description == "no such order"


async def test_what_is_cut_off_before_its_turn_has_one_span(tracing: Tracing) -> None:
    """Its handlers never began; none of their spans, and nobody else's, is ended for them."""
    bus, begun = tracing.bus("Shop"), asyncio.Event()

    async def hang(event: BaseEvent[Any]) -> str:
        bus.dispatch(Charge())
        begun.set()
        return await asyncio.get_running_loop().create_future()

    bus.on(Order, hang)
    bus.on(Charge, hang)
    bus.dispatch(Order())
    await begun.wait()
    await bus.stop()

    assert sorted(span.name for span in tracing.spans) == ["Shop.hang", "process Charge", "process Order"]
    assert {attributes_of(span)[ERROR_TYPE] for span in tracing.spans} == {"bubus.errors.BusStopped"}


async def test_two_providers_are_told_of_the_same(tracing: Tracing) -> None:
    """Each has spans of its own, all of them ended."""
    other = Tracing()
    bus = EventBus("Shop", middlewares=[OpenTelemetryMiddleware(each.provider) for each in (tracing, other)])
    bus.on(Order, lambda event: "ok")
    await bus.dispatch(Order())

    assert [span.name for span in tracing.spans] == [span.name for span in other.spans]
    assert len(tracing.spans) == 2


async def test_without_a_provider_nothing_is_recorded() -> None:
    """The API alone makes no spans; events go on."""
    bus = EventBus("Shop", middlewares=[OpenTelemetryMiddleware()])
    bus.on(Order, lambda event: "ok")
    assert await bus.dispatch(Order()).event_result() == "ok"
    assert bus.statistics().failed_hooks == 0


def test_a_missing_extra_is_named() -> None:
    """Importing the module says which extra brings OpenTelemetry; bubus itself does not import it."""
    code = "import sys, bubus; assert 'opentelemetry' not in sys.modules; sys.modules['opentelemetry'] = None"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import bubus.otel"], capture_output=True, text=True, check=False
    )
    assert "MissingExtraError: bubus.otel needs opentelemetry: pip install 'bubus[otel]'" in done.stderr


async def test_an_error_that_cannot_be_told_ends_its_spans_all_the_same() -> None:
    """Spans of a handler whose error fails to describe itself end, with the type of the error."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def fail(event: Order) -> str:
        raise Mute

    tracing = Tracing()
    bus = tracing.bus("Shop")
    bus.on(Order, fail)
    await bus.dispatch(Order())

    assert len(tracing.spans) == 2
    assert all(str((span.attributes or {})[ERROR_TYPE]).endswith("Mute") for span in tracing.spans)
    assert bus.statistics().failed_hooks == 0
