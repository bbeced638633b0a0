"""
What `await event` does, outside and inside handlers.

Inside a handler the awaited event is taken out of turn, on every bus it is queued on. That alone would
hang where the event's own children are queued on a bus whose handler is the one that waits: such a bus
cannot reach them in turn. `unblock` runs exactly those, and no other.
"""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from bubus._context import Runner, get_call, live_call_in
from bubus._state import NO_LOOP, QUEUED, RUNNING, EventState, Share, accepted_state, state_of
from bubus.errors import DeadlockError, WrongLoopError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from bubus._call import Call
    from bubus._event import AnyEvent

E = TypeVar("E", bound="AnyEvent")


def wait(event: E) -> Generator[object, None, E]:
    """
    Wait until *event* is complete, driving it where that is due, and return it.

    Raises:
        NotDispatchedError: If no bus has accepted it.
        DeadlockError: If the running handler handles this event, or a child of it.
        WrongLoopError: If the event belongs to another event loop.
        LogWriteError: If its line could not be written to a log.
    """
    state = state_of(event)
    if state is None or state.loop is NO_LOOP:
        state = accepted_state(event)
    if state.open_work:
        call = get_call()
        if state.loop is not get_running_loop():
            _settle_if_lost(state)
        elif call is not None and call.live and call.share.state.loop is state.loop:
            yield from _wait_inside(state, call)
        else:
            begun = 0
            while begun < len(state.shares):  # there may be more of them, by forwards
                share = state.shares[begun]
                begun += 1
                if share.stage is QUEUED:
                    share.runner.start()
            if state.open_work:
                yield from _until_completed(state)
            if state.leaving:
                # A SystemExit is on its way through the loop: nothing of the program may run before it has left.
                yield None
    if state.lost is not None and (fault := state.fault()):
        raise fault
    return event


def _settle_if_lost(state: EventState) -> None:
    """Settle an event whose loop was closed; of one that lives in another loop only `WrongLoopError` can be said."""
    if not state.loop.is_closed():
        raise WrongLoopError(
            "this event belongs to another event loop; await it there, "
            + "or use bus.dispatch_threadsafe(event).result() from this thread"
        )
    for share in state.shares:
        share.runner.settle_leftovers()


def _wait_inside(state: EventState, call: Call) -> Generator[object, None, None]:
    _refuse_own(state, call)
    awaited_by = state.awaited_by
    if awaited_by is None:
        state.awaited_by = awaited_by = []
    awaited_by.append(call)
    blocks = asyncio.current_task() is call.task
    if blocks:
        call.waiting_for = state
    try:
        begun_before = _take_out_of_turn(state, call)
        if state.open_work and blocks:
            _refuse_circle(state, call)
        if state.open_work and begun_before:
            unblock(state, (state, *_left_behind(state)))
        if state.open_work:
            yield from _until_completed(state)
    finally:
        awaited_by.remove(call)
        if blocks:
            call.waiting_for = None


def _take_out_of_turn(state: EventState, call: Call) -> bool:
    """Run the event now on every bus where it is queued; tell whether some bus had begun with it already."""
    begun_before = False
    taken = 0
    while taken < len(state.shares):  # there may be more of them, by forwards
        share = state.shares[taken]
        taken += 1
        if share.stage is QUEUED:
            share.runner.run_out_of_turn(share, call.nesting + 1)
        else:
            begun_before = True
    return begun_before


def _until_completed(state: EventState) -> Generator[object, None, None]:
    while state.open_work:
        if state.debt is not None:
            state.debt.flush()
            if not state.open_work:
                return
        # Every waiter has a future of its own, so that cancelling one cancels nothing else.
        waiter: asyncio.Future[None] = asyncio.Future(loop=state.loop)
        state.add_waiter(waiter)
        try:
            yield from waiter
        finally:
            if state.waiters is not None and waiter.cancelled():
                state.waiters.remove(waiter)


def _refuse_own(state: EventState, call: Call) -> None:
    """Raise `DeadlockError` where *call* handles the event of *state*, or a child of it."""
    ancestor: EventState | None = call.share.state
    while ancestor is not None:
        if ancestor is state:
            raise DeadlockError(
                f"handler {call.handler_name} would wait for itself: the awaited event completes only after "
                + "this handler has returned; await it outside, or in a task that outlives the handler"
            )
        ancestor = ancestor.parent


@contextmanager
def waiting_for_handlers(share: Share) -> Generator[None]:
    """
    Make known that the running handler, if there is one, waits for those of *share* and no longer.

    Raises:
        DeadlockError: If the handler is one of them, handles a child of that event, or is waited for by one of them.
    """
    call = live_call_in(share.state.loop)
    if call is None:
        yield
        return
    _refuse_own(share.state, call)
    with _waiting_inside(share, share, call):
        yield


@contextmanager
def waiting_for_result(result: Call) -> Generator[None]:
    """
    Make known that the running handler, if there is one, waits for *result* alone.

    Raises:
        DeadlockError: If that is its own result or that of a handler behind it, or if it is waited for by one of those.
        WrongLoopError: If the event belongs to another event loop.
    """
    state = result.share.state
    if state.loop is not get_running_loop():
        _settle_if_lost(state)
    call = live_call_in(state.loop)
    if call is None or result.settled:
        yield
        return
    if any(other is call for other in _up_to(result)):
        raise DeadlockError(
            f"handler {call.handler_name} would wait for itself: it awaits its own result, or that of a handler that "
            + "begins only after it; return first, or await the result outside"
        )
    with _waiting_inside(result, result.share, call):
        yield


@contextmanager
def _waiting_inside(waited_for: Share | Call, share: Share, call: Call) -> Generator[None]:
    state = share.state
    state.awaited_by = awaited_by = [] if state.awaited_by is None else state.awaited_by
    awaited_by.append(call)
    blocks = asyncio.current_task() is call.task
    if blocks:
        call.waiting_for = waited_for
    try:
        if share.stage is RUNNING:
            if blocks:
                _refuse_circle(waited_for, call)
            unblock(state, (state, *_left_behind(state)))
        yield
    finally:
        awaited_by.remove(call)
        if blocks:
            call.waiting_for = None


def _refuse_circle(waited_for: EventState | Share | Call, call: Call) -> None:
    """Raise where what *call* waits for cannot complete because, over others, it waits for *call*."""
    seen: set[int] = set()
    todo = [waited_for]
    while todo:
        other = todo.pop()
        if id(other) in seen:
            continue
        seen.add(id(other))
        for running in _needed_for(other):
            if running is call:
                raise DeadlockError(
                    f"handler {call.handler_name} awaits an event or result whose own handlers wait for this handler; "
                    + "let one of the two not await the other"
                )
            if running.waiting_for is not None:
                todo.append(running.waiting_for)
        if isinstance(other, EventState):
            todo += _open_children(other)


def _needed_for(waited_for: EventState | Share | Call) -> Iterator[Call]:
    """Yield the handlers that must end first."""
    if isinstance(waited_for, EventState):
        return _live_calls(waited_for.shares)
    return _live_calls((waited_for,)) if isinstance(waited_for, Share) else _up_to(waited_for)


def _up_to(result: Call) -> Iterator[Call]:
    """Yield the handlers that must end before *result* is there: its own and, unless parallel, those before."""
    share = result.share
    if share.runner.options.parallel_handlers:
        yield result
        return
    for call in share.calls:
        if call.live:
            yield call
        if call is result:
            break


def _live_calls(shares: Iterable[Share]) -> Iterator[Call]:
    return (call for share in shares for call in share.calls if call.live)


def _open_children(state: EventState) -> Iterator[EventState]:
    for result in state.results.values():
        for child in result.event_children:
            child_state = state_of(child)
            if child_state is not None and child_state.open_work:
                yield child_state


def _left_behind(state: EventState) -> Iterator[EventState]:
    """Yield the open descendants of *state* that are awaited already, or never will be: their dispatchers returned."""
    left = not any(_live_calls(state.shares))
    for child in _open_children(state):
        if left or child.awaited_by:
            yield child
        yield from _left_behind(child)


def blocked_runners(state: EventState) -> set[Runner]:
    """
    Return the buses that cannot go on before *state* is complete.

    A handler that waits for an event blocks its bus, and with it whatever is queued there, and whoever waits for
    that in turn, on other buses.
    """
    found: set[Runner] = set()
    seen: set[int] = set()
    todo = [state]
    while todo:
        waited_for = todo.pop()
        if id(waited_for) in seen:
            continue
        seen.add(id(waited_for))
        if waited_for.parent is not None:
            todo.append(waited_for.parent)
        for call in waited_for.awaited_by or ():
            if call.live:
                todo.append(call.share.state)
                if call.share.runner not in found:
                    found.add(call.share.runner)
                    todo += call.share.runner.queued_states()
    return found


def unblock(state: EventState, candidates: Iterable[EventState]) -> None:
    """Run those *candidates* out of turn that are queued on a bus which waits for *state* and so never gets to them."""
    blocked = blocked_runners(state)
    if not blocked:
        return
    stuck: defaultdict[Runner, list[Share]] = defaultdict(list)
    for candidate in candidates:
        for share in candidate.shares:
            if share.stage is QUEUED and share.runner in blocked:
                stuck[share.runner].append(share)
    for runner, shares in stuck.items():
        runner.run_each(iter(shares))


def unblock_rest(state: EventState) -> None:
    """Do what `unblock` does after a bus has run its handlers: for forwards they made, and children they left."""
    if _is_awaited_inside(state):
        children = () if any(_live_calls(state.shares)) else _open_children(state)
        unblock(state, (state, *children))


def _is_awaited_inside(state: EventState | None) -> bool:
    """Tell whether a handler waits for the event or one above it: a look that costs little where none does."""
    while state is not None:
        if state.awaited_by:
            return True
        state = state.parent
    return False


def blocks(call: Call, runner: Runner) -> bool:
    """Tell whether the bus of *runner* cannot become idle before *call* returns."""
    return call.share.runner is runner or runner in blocked_runners(call.share.state)
