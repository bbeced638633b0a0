"""
Run ONE event on one bus: its handlers, their clocks, their cancellation, their records.

A call ends in exactly one place, `_settle`. Handlers run in tasks of their own, so that cancelling, leaving
behind or waiting for one touches no other. On CPython 3.12+ these tasks start eagerly: a handler that does
not suspend never reaches the loop, and needs no timer.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from asyncio import current_task
from collections.abc import Awaitable, Callable
from contextvars import Context
from time import monotonic
from types import CoroutineType
from typing import TYPE_CHECKING, TypeGuard

import attrs

from bubus._call import Call
from bubus._context import enter
from bubus._event import is_event
from bubus._state import DONE, Share, state_of
from bubus._tasks import spawn
from bubus._tree import describe_error, escape
from bubus.errors import (
    BusStopped,
    DepthError,
    EventCancelled,
    HandlerCancelled,
    HandlerTimeout,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bubus._context import Runner
    from bubus._event import AnyEvent
    from bubus._handlers import AnyHandler, Handler

logger = logging.getLogger("bubus")

# Eager starts nest on the Python stack and overflow it between 150 and 200; beyond this many, go through the loop.
MAX_NESTING = 32

# What handlers return most: told apart from awaitables and events by one look-up.
_PLAIN = frozenset({type(None), str, int, float, bool, dict, list, tuple, bytes})

# Seconds; whether a handler was slow is not even asked below.
_UNNOTICED = 0.000_2

abandoned: set[asyncio.Task[None]] = set()
"""Tasks of handlers that did not let themselves be cancelled; kept until they end."""


@attrs.frozen
class Options:
    """How a bus runs its events."""

    parallel_handlers: bool
    cancel_grace: float
    """Seconds that a cancelled handler has to end."""

    max_depth: int
    slow_handler_seconds: float
    """Seconds after which a running handler is warned of; 0 = never."""

    before_call: Callable[[Call], None] | None = None
    """Told of each handler before it starts."""


# -- the handlers of one event -------------------------------------------------------------------------------------


def run(share: Share, handlers: Sequence[Handler], nesting: int, timeout: float | None = None) -> bool:
    """Make a pending record for every handler, in order, then `go_on`; *timeout* in seconds, else the event says."""
    state, runner, now = share.state, share.runner, monotonic()
    if state.status == "pending":
        state.start(now, runner.epoch)
    share.waiting = iter(_open_calls(share, handlers, nesting, timeout))
    if state.depth > runner.options.max_depth:
        _refuse_depth(share, runner.options)
    return go_on(share, now)


def go_on(share: Share, now: float | None = None) -> bool:
    """
    Start handlers until one has to be waited for; tell whether all have settled.

    *now* is a reading of `time.monotonic` that has just been taken: reading the clock takes as long as much else here.
    """
    options, state = share.runner.options, share.state
    before_call = options.before_call
    share.active = 1
    for call in share.waiting:
        if before_call is not None and call.live:
            before_call(call)
            now = None
        handler = call.handler
        if handler is None or not call.live:  # cut off, perhaps by whoever was told
            continue
        share.active += 1
        context = share.context if len(share.calls) == 1 else share.context.copy()
        call.start_time = moment = now or monotonic()
        now = None
        call.start(state.epoch + moment)
        if (function := handler.coroutine_function) is None:
            _run_plain(call, handler.function, context)
        else:
            eager = call.nesting < MAX_NESTING
            task = spawn(_run(call, function, share.event), loop=state.loop, context=context, eager_start=eager)
            if call.live:
                _suspended(call, task)
            del task
        del context  # the frames of an error refer to this one as long as the error is kept
        if share.active > 1 and not options.parallel_handlers:
            break
    share.active -= 1
    return not share.active


def _open_calls(share: Share, handlers: Sequence[Handler], nesting: int, timeout: float | None = None) -> list[Call]:
    event, results = share.event, share.state.results
    event_id = event.event_id
    kind: object = event.event_result_type
    if timeout is None:
        timeout = event.event_timeout
    calls: list[Call] = []
    share.calls = calls
    for handler in handlers:
        results[handler.id] = call = Call(event_id, handler.origin, timeout, kind)
        call.share, call.handler, call.nesting = share, handler, nesting
        calls.append(call)
    if not calls:
        share.outcome = "unhandled"
        if logger.isEnabledFor(logging.DEBUG):
            _say_unheard(event, share)
    return calls


def _say_unheard(event: AnyEvent, share: Share) -> None:
    bus, kind = escape(share.bus.name), escape(event.event_type)
    logger.debug("no handler is registered for %s#%s on bus %s", kind, event.event_id[-4:], bus)


def _refuse_depth(share: Share, options: Options) -> None:
    for call in share.calls:
        error = DepthError(
            f"{share.event.event_type} is nested {share.state.depth} events deep (max_depth={options.max_depth}): "
            + "a handler dispatches its own event without end, or max_depth is too small for a recursion that ends"
        )
        _settle(call, error=error)


# -- one handler ---------------------------------------------------------------------------------------------------


def _run_plain(call: Call, function: AnyHandler, context: Context) -> None:
    try:
        value = _in_no_task(call, function, context)
    except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its result
        _settle(call, error=_without_own_frames(error, 3))
    else:
        if value is not call.share.event and _must_be_awaited(value):
            _start_given(call, value, context)
        else:
            _settle(call, value)
    del context  # see go_on


def _start_given(call: Call, awaitable: Awaitable[object], context: Context) -> None:
    """Await in a task what a plain function returned."""
    share, eager = call.share, call.nesting < MAX_NESTING
    task = spawn(
        _run(call, lambda *_event: awaitable, share.event), loop=share.state.loop, context=context, eager_start=eager
    )
    if call.live:
        _suspended(call, task, awaitable)
    del context, task  # see go_on


def _in_no_task(call: Call, function: AnyHandler, context: Context) -> object:
    """Call a plain function outside of the task that runs: which one starts the handlers is none of its business."""
    loop = call.share.state.loop
    task = current_task(loop)
    if task is None:
        return context.run(_call, call, function)
    asyncio._leave_task(loop, task)  # noqa: SLF001 - documented under "Extending asyncio"
    try:
        return context.run(_call, call, function)
    finally:
        asyncio._enter_task(loop, task)  # noqa: SLF001 - see above
        del context, task  # see go_on


def _call(call: Call, function: AnyHandler) -> object:
    enter(call)
    return function(call.share.event)


def _must_be_awaited(value: object) -> TypeGuard[Awaitable[object]]:
    if type(value) is CoroutineType:
        return True
    return type(value) not in _PLAIN and (not is_event(value) and isinstance(value, Awaitable))


def _suspended(call: Call, task: asyncio.Task[None], awaitable: Awaitable[object] | None = None) -> None:
    call.is_suspended = True
    if call.task is None:  # it has not begun
        call.task = task
        call.nesting = 0
        task.add_done_callback(functools.partial(_never_started, call, awaitable), context=Context())
    _arm(call)


def _never_started(call: Call, awaitable: Awaitable[object] | None, task: asyncio.Task[None]) -> None:
    """Settle a handler whose task was cancelled before its first step: none of its code ever runs."""
    if call.live and task.cancelled():
        if inspect.iscoroutine(awaitable):
            awaitable.close()
        _ended_with(call, asyncio.CancelledError(), call.event)


async def _run(call: Call, function: Callable[..., Awaitable[object]], event: AnyEvent) -> None:
    """Be the handler's task: run it and settle the call, so that no callback is needed."""
    call.task = current_task()
    enter(call)
    try:
        value = await function(event)
    except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its result
        runner = call.share.runner if call.live and call.is_suspended else None
        _ended_with(call, _without_own_frames(error), event)
        if runner is not None and isinstance(error, SystemExit | KeyboardInterrupt):
            _leave_now(runner)
    else:
        if call.cut is None:
            _settle(call, value)
        else:
            _ended_late(call, event)


def _leave_now(runner: Runner) -> None:
    """Let a SystemExit or KeyboardInterrupt of the running task end the loop, as one of any task does."""
    task = current_task()
    if task is not None:
        task.add_done_callback(_look_at_error, context=Context())  # or asyncio says that nobody did
    runner.leave_now()


def _look_at_error(task: asyncio.Task[object]) -> None:
    _ = task.exception()


def _ended_late(call: Call, event: AnyEvent) -> None:
    logger.warning("%s returned a value after it was cancelled; the value is dropped", _title(call, event))
    _settle_cut(call)


def _ended_with(call: Call, error: BaseException, event: AnyEvent) -> None:
    if call.live and isinstance(error, asyncio.CancelledError):
        call.share.runner.cut_off_if_ending()
    if call.live and call.cut is None:
        if isinstance(error, GeneratorExit):
            error = BusStopped(f"{_title(call)} was cut off: its event loop ended")
        _settle(call, error=error)
        return
    if not isinstance(error, asyncio.CancelledError | GeneratorExit):
        logger.warning("%s raised after it was cancelled: %s", _title(call, event), describe_error(error))
    _settle_cut(call)


def _settle_cut(call: Call) -> None:
    if call.cut is not None:
        _settle(call, error=call.cut)


def _without_own_frames(error: BaseException, count: int = 1) -> BaseException:
    # Our frames refer to the bus: an error that is kept in a history must not keep the bus alive.
    traceback = error.__traceback__
    for _ in range(count):
        traceback = traceback and traceback.tb_next
    return error.with_traceback(traceback)


# -- clocks --------------------------------------------------------------------------------------------------------


def _arm(call: Call) -> None:
    runner, timeout = call.share.runner, call.timeout
    slow = runner.options.slow_handler_seconds
    if slow and (not timeout or slow < timeout):
        runner.alarm.set(call, slow, _warn_slow)
    elif timeout:
        runner.alarm.set(call, timeout, _time_out)


def _warn_blocked(call: Call, duration: float) -> None:
    """Do what `_warn_slow` could not: the loop, and so its timers, stood still."""
    slow = call.share.runner.options.slow_handler_seconds
    if slow and duration > slow and not call.warned:
        call.warned = True
        logger.warning(
            "%s took %.3f s and may have blocked the event loop; await in it, or move the work to a thread",
            _title(call),
            duration,
        )


def _warn_slow(call: Call) -> None:
    call.warned = True
    runner, timeout = call.share.runner, call.timeout
    slow = runner.options.slow_handler_seconds
    logger.warning(
        "%s has been running for more than %s s (possible deadlock); it waits for %s",
        _title(call),
        slow,
        _waits_for(call),
    )
    if timeout:
        runner.alarm.set(call, timeout - slow, _time_out)


def _waits_for(call: Call) -> str:
    waited_for = call.waiting_for
    if waited_for is None:
        awaited = [child for child in call.event_children if _is_awaited_by(call, child)]
        names = ", ".join(f"{escape(child.event_type)}#{child.event_id[-4:]}" for child in awaited)
        return f"its children {names}" if awaited else "something of its own, not for an event"
    if isinstance(waited_for, Call):
        return f"the result of {_title(waited_for)}"
    state = waited_for.state if isinstance(waited_for, Share) else waited_for
    for child in call.event_children:
        if state_of(child) is state:
            return f"its child {escape(child.event_type)}#{child.event_id[-4:]}"
    return "another event"


def _is_awaited_by(call: Call, child: AnyEvent) -> bool:
    """Tell whether a task of the handler waits for *child*."""
    state = state_of(child)
    return state is not None and state.awaited_by is not None and call in state.awaited_by


def _time_out(call: Call) -> None:
    error = HandlerTimeout(
        f"{_title(call)} exceeded event_timeout={call.timeout} s; raise event_timeout, or let the handler do less"
    )
    cut(call, error, call.share.runner.options.cancel_grace)


def _title(call: Call, event: AnyEvent | None = None) -> str:
    """Say which handler it is; of one that has been left behind only its task still knows the *event*."""
    kind, bus = escape((call.event if event is None else event).event_type), escape(call.eventbus_name)
    return f"handler {escape(call.handler_name)} of {kind}#{call.event_id[-4:]} on bus {bus}"


# -- cancelling ----------------------------------------------------------------------------------------------------


def cut(call: Call, error: BaseException, grace: float) -> None:
    """
    Cancel one handler, and what it dispatched, for the reason *error*.

    One that has not started settles at once; a running one when it ends, or is left behind after *grace* seconds.
    """
    todo = [(call, error, grace)]
    for one, reason, seconds in todo:  # grows as it is walked: a tree of any depth needs no stack
        if one.live and one.cut is None and not one.spared:
            one.cut = reason
            todo += _cut_children(one)
            _cancel(one, reason, seconds)


def _cancel(call: Call, error: BaseException, grace: float) -> None:
    if call.task is None:
        _settle(call, error=error)
        return
    _ = call.task.cancel()
    call.share.runner.alarm.set(call, grace, _abandon)


def _cut_children(call: Call) -> list[tuple[Call, BaseException, float]]:
    """Cut off the events that *call* dispatched, on every bus that has them; return the calls that run for them."""
    running: list[tuple[Call, BaseException, float]] = []
    for child in call.event_children:
        state = state_of(child)
        for share in () if state is None else state.shares:
            if share.stage is not DONE:
                reason = f"{escape(child.event_type)} was cancelled with {_title(call)}, which had dispatched it"
                error = EventCancelled(reason)
                error.__cause__ = call.cut
                calls, grace = share.runner.cut(share, error)
                running += [(one, error, grace) for one in calls]
    return running


def cut_calls(share: Share, error: BaseException, grace: float) -> None:
    """Cancel all handlers of *share*."""
    mark_cut(share, error)
    for call in share.calls:
        cut(call, error, grace)


def mark_cut(share: Share, error: BaseException) -> None:
    """Note that *share* is cut off, and the first reason for it."""
    share.cut = share.cut or error
    share.outcome = "cancelled"


def settle_unrun(share: Share, handlers: Sequence[Handler], error: BaseException) -> None:
    """Record *error* for every handler of an event that is cut off before its bus began with it."""
    mark_cut(share, error)
    for call in _open_calls(share, handlers, 0):
        _settle(call, error=error)


def settle_dead(share: Share, error: BaseException) -> None:
    """Record *error* for handlers whose event loop is closed, so that nothing can be cancelled or awaited."""
    mark_cut(share, error)
    share.active += 1  # or the rest of the handlers would be started as soon as the last of these settles
    for call in share.calls:
        _settle(call, error=error)
        for child in call.event_children:
            state = state_of(child)
            for child_share in () if state is None else state.shares:
                child_share.runner.settle_leftovers()


def _abandon(call: Call) -> None:
    if not call.live or call.cut is None:
        return
    task = call.task
    if task is not None and not task.done():
        _ = task.cancel()
        abandoned.add(task)
        task.add_done_callback(abandoned.discard, context=Context())
    logger.warning("%s did not let itself be cancelled in time and is left behind", _title(call))
    _settle(call, error=call.cut)


# -- the end of a call ---------------------------------------------------------------------------------------------


def _settle(call: Call, value: object = None, error: BaseException | None = None) -> None:
    if not call.live:
        return
    call.live = False
    call.task = None  # it refers to the context, which refers to the call
    if call.start_time is None:
        _record(call, value, error, 0.0)
        return
    duration = monotonic() - call.start_time
    if duration > _UNNOTICED or (call.timeout and duration > call.timeout):
        error = _check_late(call, error, duration)
    share = call.share
    kind = type(value)
    if error is None and kind in _PLAIN and (value is None or call.result_type is kind):
        call.complete(value, duration)
    elif error is None and value is share.event:
        call.complete(value, duration, forwarded=True)
    elif error is None and call.result_type is kind and not isinstance(value, Exception):
        call.complete(value, duration)
    else:
        _record(call, value, error, duration)
    if call.after is not None:
        call.after(call)
        call.after = None  # it refers to the bus and to contexts, and records are kept
    share.active -= 1
    if not share.active:
        share.runner.proceed(share)


def _record(call: Call, value: object, error: BaseException | None, duration: float) -> None:
    if error is None and isinstance(value, Exception):
        error = value
    if error is None:
        _record_value(call, value, duration)
    else:
        _record_error(call, error, duration)


def _check_late(call: Call, error: BaseException | None, duration: float) -> BaseException | None:
    """Say that a handler took long, and return the error of one that took too long without ever suspending."""
    call.share.runner.held_up(duration)
    _warn_blocked(call, duration)
    timeout = call.timeout
    if error is not None or not timeout or duration <= timeout:
        return error
    return HandlerTimeout(
        f"{_title(call)} took {duration:.3f} s without suspending, more than "
        + f"event_timeout={timeout} s; it could not be interrupted: await in it, or use a thread"
    )


def _record_value(call: Call, value: object, duration: float) -> None:
    try:
        value, forwarded = _accept_value(call, value)
    except Exception as refused:  # noqa: BLE001 - also what a value's own code raises while it is checked
        _record_error(call, refused, duration)
    else:
        call.complete(value, duration, forwarded=forwarded)


def _accept_value(call: Call, value: object) -> tuple[object, bool]:
    """Return the value checked against T, and whether it is an event that was only passed on."""
    if value is call.event:
        return value, True
    event = call.event
    check = type(event).__event_result__
    if type(value) in _PLAIN or not is_event(value):
        return (value if check is None else check(value)), False
    if check is None:
        return value, event.event_result_type is None
    try:
        return check(value), False
    except ValidationError:
        return value, True


def _record_error(call: Call, error: BaseException, duration: float) -> None:
    share = call.share
    if isinstance(error, SystemExit | KeyboardInterrupt):
        share.leaving = error
    error = _presentable(call, error)
    _add_note(error, f"in handler {call.handler_id} of {call.event.event_type}")
    share.outcome = share.outcome or "failed"
    call.fail(error, duration)
    if share.cut is None and not isinstance(error, BusStopped):
        trace = error if logger.isEnabledFor(logging.DEBUG) else None
        logger.warning("%s failed: %s", _title(call), describe_error(error), exc_info=trace)


def _presentable(call: Call, error: BaseException) -> BaseException:
    if isinstance(error, asyncio.CancelledError):
        wrapped: BaseException = HandlerCancelled(
            f"{_title(call)} let a CancelledError out: it cancelled itself, or awaited something that was cancelled"
        )
    elif isinstance(error, StopIteration):
        wrapped = RuntimeError(f"{_title(call)} raised StopIteration")
    else:
        return error
    wrapped.__cause__ = error
    return wrapped


def _add_note(error: BaseException, note: str) -> None:
    # One error object may be raised many times: a note each time would grow without end.
    try:
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    except Exception as refused:  # noqa: BLE001 - an error that takes no notes is recorded without one
        logger.debug("%s takes no note: %s", type(error).__name__, describe_error(refused))
