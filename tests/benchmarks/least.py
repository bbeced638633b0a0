"""
What a bus of this kind costs at the least in Python: a toy with the bare path of an event, timed as `bus` is.

It makes the event, copies the dispatcher's context, queues, keeps a record for each handler, starts it in an eager
task that knows its call, links children to parents, forwards, remembers the last 50 events and wakes who waits. It
checks nothing, and knows no errors, timeouts, cancelling, deadlocks, stopping, logs, statistics or overridden methods.
What `bus` shows above these figures is what those cost; a limit below them is out of reach for any such bus.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from contextvars import Context, ContextVar, copy_context
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

import attrs

from bubus._state import STATE, put, state_of
from bubus._tasks import spawn
from tests.benchmarks._measure import Row, ratios
from tests.benchmarks.bus import BATCH, Order, Outer, answer, answer_later

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    AnyOrder = Order | Outer
    Work = Callable[[AnyOrder], Awaitable[object]]

CALLS = 2000
ROUNDS = 15
_HISTORY: Final = 50


@attrs.define(eq=False)
class _State:
    loop: asyncio.AbstractEventLoop
    shares: list[_Share]
    parent: _State | None = None
    records: list[_Record] = attrs.Factory(list["_Record"])
    status: str = "pending"
    open_work: int = 1
    started: float = 0.0
    completed: float = 0.0
    waiter: asyncio.Future[None] | None = None


@attrs.define(eq=False)
class _Share:
    event: AnyOrder
    state: _State
    bus: LeastBus
    context: Context | None
    queued: bool = True
    active: int = 0


@attrs.define(eq=False)
class _Record:
    event_id: str
    timeout: float | None
    result_type: object
    started: float
    share: _Share | None
    status: str = "started"
    result: object = None
    duration: float = 0.0
    children: list[AnyOrder] | None = None
    task: asyncio.Task[None] | None = None


_current: ContextVar[_Record | None] = ContextVar("current", default=None)
_state_of = cast("Callable[[AnyOrder], _State | None]", state_of)


@attrs.define(eq=False)
class LeastBus:
    """The toy."""

    name: str
    work: dict[type, Work] = attrs.Factory(dict[type, "Work"])
    """The only handler of each class of events."""

    forward: LeastBus | None = None
    """The bus that gets every event, instead of a handler."""

    queue: OrderedDict[_Share, None] = attrs.Factory(OrderedDict[_Share, None])
    running: set[_Share] = attrs.Factory(set["_Share"])
    history: dict[str, AnyOrder] = attrs.Factory(dict[str, "AnyOrder"])
    completed: deque[AnyOrder] = attrs.Factory(deque["AnyOrder"])
    turn: asyncio.Handle | None = None

    def dispatch(self, event: AnyOrder) -> AnyOrder:
        """Queue *event*."""
        loop = asyncio.get_running_loop()
        state = _state_of(event)
        event.event_path.append(self.name)
        if state is None:
            state = _State(loop, [])
            if (record := _current.get()) is not None and record.share is not None:
                _adopt(event, state, record, record.share)
            put(event, STATE, state)
        else:
            state.open_work += 1
        share = _Share(event, state, self, copy_context())
        state.shares.append(share)
        self.history[event.event_id] = event
        self.queue[share] = None
        if self.turn is None:
            self.turn = loop.call_soon(self._take_turn, context=Context())
        return event

    def wait(self, event: AnyOrder) -> Generator[object, None, None]:
        """Run *event* wherever it is queued, before its turn inside a handler, and wait for its end."""
        state = cast("_State", _state_of(event))
        inside = _current.get() is not None
        for share in state.shares:  # grows by forwards
            if share.queued and inside:
                del share.bus.queue[share]
                share.bus.begin(share)
            elif share.queued:
                share.bus.start()
        if state.open_work:
            state.waiter = asyncio.Future(loop=state.loop)
            yield from state.waiter

    def start(self) -> None:
        """Run what is queued until something suspends."""
        while self.queue and not self.running:
            self.begin(self.queue.popitem(last=False)[0])

    def begin(self, share: _Share) -> None:
        """Run the handler of one event."""
        share.queued = False
        self.running.add(share)
        event, state, context = share.event, share.state, cast("Context", share.context)
        if state.status == "pending":
            state.status, state.started = "started", monotonic()
        record = _Record(event.event_id, event.event_timeout, event.event_result_type, monotonic(), share)
        state.records.append(record)
        share.active += 1
        if self.forward is None:
            _ = spawn(_run(record, share, self.work[type(event)]), loop=state.loop, context=context, eager_start=True)
        else:
            _settle(record, share, context.run(_forward, record, self.forward, event))

    def finish(self, share: _Share) -> None:
        """Complete the event with the last of its shares, and its parents with the last of their children."""
        self.running.remove(share)
        share.context = None
        state: _State | None = share.state
        while state is not None:
            state.open_work -= 1
            if state.open_work:
                break
            state = _complete(state)
        if self.queue and not self.running and self.turn is None:
            self.turn = share.state.loop.call_soon(self._take_turn, context=Context())

    def forget(self, event: AnyOrder) -> None:
        """Remember only the last events."""
        self.completed.append(event)
        if len(self.history) > _HISTORY:
            del self.history[self.completed.popleft().event_id]

    def _take_turn(self) -> None:
        self.turn = None
        self.start()


def _adopt(event: AnyOrder, state: _State, record: _Record, share: _Share) -> None:
    put(event, "event_parent_id", share.event.event_id)
    state.parent = share.state
    share.state.open_work += 1
    record.children = [event]


def _forward(record: _Record, bus: LeastBus, event: AnyOrder) -> object:
    _ = _current.set(record)
    return bus.dispatch(event)


async def _run(record: _Record, share: _Share, work: Work) -> None:
    record.task = asyncio.current_task()
    _ = _current.set(record)
    _settle(record, share, await work(share.event))


def _settle(record: _Record, share: _Share, value: object) -> None:
    record.task = None
    record.result, record.status = value, "completed"
    record.duration = monotonic() - record.started
    share.active -= 1
    if not share.active:
        share.bus.finish(share)


def _complete(state: _State) -> _State | None:
    state.status, state.completed = "completed", monotonic()
    for share in state.shares:
        share.bus.forget(share.event)
    for record in state.records:
        record.share = None
    state.shares = []
    if state.waiter is not None and not state.waiter.done():
        state.waiter.set_result(None)
    parent, state.parent = state.parent, None
    return parent


# -- the rows ----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Wait:
    """What is awaited, since events themselves know the real bus only."""

    bus: LeastBus
    event: AnyOrder

    def __await__(self) -> Generator[object, None, None]:
        return self.bus.wait(self.event)


def _each(bus: LeastBus, kind: type[AnyOrder] = Order) -> Callable[[], Awaitable[object]]:
    async def each() -> None:
        await Wait(bus, bus.dispatch(kind(customer="Ada", amount=1)))

    return each


def _batch(bus: LeastBus) -> Callable[[], Awaitable[object]]:
    async def batch() -> None:
        events = [bus.dispatch(Order(customer="Ada", amount=number)) for number in range(BATCH)]
        await Wait(bus, events[-1])

    return batch


def _plain(name: str = "plain") -> LeastBus:
    return LeastBus(name, {Order: answer})


def _suspending() -> LeastBus:
    return LeastBus("suspending", {Order: answer_later})


def _nesting() -> LeastBus:
    bus = _plain("nesting")

    async def outer(event: AnyOrder) -> str:
        await Wait(bus, bus.dispatch(Order(customer=event.customer, amount=event.amount)))
        return event.customer

    bus.work[Outer] = outer
    return bus


def _first_of_three() -> LeastBus:
    return LeastBus("first", forward=LeastBus("second", forward=_plain("third")))


def rows() -> list[Row]:
    """Measure, and return a row for each job that has a like in `bus`."""
    jobs = {
        "least: one event, awaited each": _each(_plain()),
        "least: an event that awaits one nested child": _each(_nesting(), Outer),
        "least: an event forwarded through three buses": _each(_first_of_three()),
        "least: a handler that suspends once": _each(_suspending()),
    }
    batch = "least: one event, queued in batches of 40"
    measured = asyncio.run(ratios({batch: _batch(_plain()), **jobs}, calls=CALLS, rounds=ROUNDS))
    measured[batch] /= BATCH
    return [Row(name, ratio, None) for name, ratio in measured.items()]
