"""Requests: an event that one remote worker handles, and whose results come back."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Final, TypeVar

from bubus._context import live_call
from bubus._result import EventResult, Origin
from bubus._state import EventState, new_state, state_of
from bubus._tasks import cancel
from bubus.bridges._link import Patience
from bubus.bridges._safe import logger, safe
from bubus.bridges._wire import Reply, decode_reply, results_of
from bubus.errors import AlreadyDispatchedError, BubusError, InvalidEvent, WaitTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bubus._event import AnyEvent
    from bubus.bridges._base import Transport
    from bubus.bridges._link import Link

E = TypeVar("E", bound="AnyEvent")


class Requests:
    """Those of one bridge that wait for their results."""

    def __init__(self, transport: Transport, link: Link, max_bytes: int) -> None:
        self._transport: Final = transport
        self._link: Final = link
        self._max_bytes: Final = max_bytes
        self._waiting: dict[str, asyncio.Future[Reply]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def ask(self, event: E, send: Callable[[], Awaitable[None]], timeout: float) -> E:
        """
        Send *event* and return it, completed, with the results of whoever answers first.

        Raises:
            AlreadyDispatchedError: If it was dispatched before.
            WaitTimeout: If no results come within *timeout* seconds.
            BridgeError: If it cannot be sent.
        """
        state = _open(event)
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[event.event_id] = answer
        try:
            reply = await self._answer(send, answer, timeout)
            state.results.update(results_of(reply, event))
        except (TimeoutError, BubusError) as error:
            raise self._failed(event, state, error, timeout) from error
        finally:
            del self._waiting[event.event_id]
            state.release()
        return event

    async def stop(self) -> None:
        """Read no more replies."""
        await cancel([self._reading])

    async def _answer(
        self, send: Callable[[], Awaitable[None]], answer: asyncio.Future[Reply], timeout: float
    ) -> Reply:
        async with asyncio.timeout(timeout):
            if self._reading is None:
                self._reading = asyncio.get_running_loop().create_task(self._read(), context=Context())
            await send()
            return await answer

    @staticmethod
    def _failed(event: AnyEvent, state: EventState, error: Exception, timeout: float) -> Exception:
        reason = error
        if isinstance(error, TimeoutError):
            reason = WaitTimeout(
                f"no results of {event.event_type} came within {timeout} s: no worker has a handler for it, or it "
                + "takes longer; it may still be done"
            )
        origin = Origin(f"request:{event.event_id}", "request", "", "")
        kind: object = event.event_result_type
        result: EventResult[object] = EventResult(event.event_id, origin, timeout, kind)
        result.fail(reason, timeout)
        state.results[origin.handler_id] = result
        return reason

    async def _read(self) -> None:
        patience = Patience(self._link)
        while True:
            try:
                replies = await self._transport.replies()
            except Exception as error:  # noqa: BLE001 - other replies are still to come
                self._link.lost(error)
                await patience.wait()
                continue
            for data in replies:
                self._deliver(data)

    def _deliver(self, data: bytes) -> None:
        try:
            reply = decode_reply(data, self._max_bytes)
        except InvalidEvent as error:
            logger.warning("a reply is not understood: %s", safe(error))
            return
        answer = self._waiting.get(reply.event_id)
        if answer is not None and not answer.done():
            answer.set_result(reply)


def _open(event: AnyEvent) -> EventState:
    """Give *event* the state of one that is being handled, as a child of the event being handled here."""
    if state_of(event) is not None:
        raise AlreadyDispatchedError(
            f"{event.event_type}#{event.event_id[-4:]} was dispatched already; request() takes a new event"
        )
    call = live_call()
    if call is not None and event.event_parent_id is None:
        object.__setattr__(event, "event_parent_id", call.event.event_id)
    state = new_state(event, asyncio.get_running_loop())
    state.start()
    if call is not None and event.event_parent_id == call.event.event_id:
        call.share.state.adopt(state)
        call.event_children.append(event)
    return state
