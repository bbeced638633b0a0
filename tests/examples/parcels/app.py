"""
The parcel service over HTTP: events are request bodies and responses, and errors of handlers become statuses.

Run it with ``PARCELS=folder PRINTER=host:port uvicorn --app-dir tests/examples parcels.app:app``.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, Discriminator

from bubus import BaseEvent, ValidationError
from bubus.errors import HandlerTimeout

from .events import Booking, ParcelBooked, ParcelScanned, Quote, QuoteAsked
from .service import Declined, NotServed, ParcelService, Refused, Unknown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

STATUSES: dict[type[Exception], int] = {
    Declined: 402,
    Unknown: 404,
    NotServed: 409,
    ValidationError: 422,
    HandlerTimeout: 504,
    OSError: 503,
}
"""What a handler's error is over HTTP; the first that fits counts, and a timeout is an OSError too."""


FRAMEWORK_FIELDS = tuple(BaseEvent.model_fields)
"""What every event has: event_type, event_id, event_parent_id, event_path, event_timeout, event_created_at, ..."""


def framework_fields(body: Any) -> list[str]:
    """Return the names in the body of a request that are fields of every event."""
    return [name for name in FRAMEWORK_FIELDS if name in body] if isinstance(body, dict) else []


def refuse_framework_fields(body: Any) -> Any:
    """Let nobody outside say what only this program says of an event."""
    if taken := framework_fields(body):
        raise ValueError(f"only this service sets {', '.join(taken)}")
    return body


OwnFields = BeforeValidator(refuse_framework_fields)
"""For the body of a request; where events come from programs that are trusted, leave it out."""


class Tracked(BaseModel):
    """An event as it went through the service, and what became of it."""

    event: Annotated[ParcelBooked | ParcelScanned, Discriminator("event_type")]
    status: str
    errors: list[str]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Open the service with the server, and close it with it."""
    service = ParcelService(Path(os.environ["PARCELS"]), os.environ["PRINTER"])
    app.state.service = service
    yield
    await service.close()


app = FastAPI(title="Parcels", lifespan=lifespan)


@app.exception_handler(Refused)
@app.exception_handler(ValidationError)
@app.exception_handler(OSError)
async def tell(_: Request, error: Exception) -> JSONResponse:
    """Answer with the status of an error and its words."""
    status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
    return JSONResponse({"error": type(error).__name__, "detail": str(error)}, status)


async def done(request: Request, event: BaseEvent[Any]) -> Any:
    """Run an event and return its result, or raise what its handler raised."""
    service: ParcelService = request.app.state.service
    return await service.desk.dispatch(event).event_result()


@app.post("/quotes")
async def quote(request: Request, event: Annotated[QuoteAsked, OwnFields, Body()]) -> Quote:
    """Tell what a parcel costs."""
    return await done(request, event)


@app.post("/bookings", status_code=201)
async def book(request: Request, event: Annotated[ParcelBooked, OwnFields, Body()]) -> Booking:
    """Book a parcel."""
    return await done(request, event)


@app.post("/scans", response_model=ParcelScanned)
async def scan(request: Request, event: Annotated[ParcelScanned, OwnFields, Body()]) -> ParcelScanned:
    """Note where a parcel is; the answer is the event."""
    await done(request, event)
    return event


@app.get("/parcels/{number}/depots")
async def depots(request: Request, number: str) -> list[str]:
    """Tell the depots that a parcel has passed."""
    service: ParcelService = request.app.state.service
    return service.scans(number)


@app.get("/history")
async def history(request: Request) -> list[Tracked]:
    """Tell the last bookings and scans, and what became of them."""
    service: ParcelService = request.app.state.service
    events = [one for one in service.desk.event_history.values() if isinstance(one, ParcelBooked | ParcelScanned)]
    return [
        Tracked(
            event=one,
            status=one.event_status,
            errors=[repr(result.error) for result in one.event_results.values() if result.error is not None],
        )
        for one in events
    ]
