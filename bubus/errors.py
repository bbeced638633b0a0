"""
Every error that bubus raises.

```
BubusError
├── DefinitionError(TypeError)            a class that cannot be an event
├── ValidationError(ValueError)           values that do not fit their fields
├── EncodeError(ValueError)                an event that cannot be written; names the field
├── SchemaError(TypeError)                a type of which JSON has no values, so that there is no schema
├── InvalidEvent(ValueError)              bytes that are no event of the class they are read as
│   └── NewerVersionError                 written by a newer version of that class
├── NoResultError(ValueError)             no handler returned what was asked for
├── ResultConflictError(ValueError)       two handlers returned the same key
├── OptionError(ValueError)               a setting out of range
├── OptionTypeError(TypeError)            a setting of the wrong type
├── BusNameError(ValueError)              a name that no bus can have
├── PatternError(TypeError)               `on()` was given no class, name or "*"
├── HandlerError(TypeError)               a handler that cannot be called with one event
├── MiddlewareError(TypeError)            a middleware of the wrong kind, or with a hook that cannot be called
├── NotSubscribedError(LookupError)       `off()` of something that is not registered
├── NotAnEventError(TypeError)            `dispatch()` was given something else
├── AlreadyDispatchedError(RuntimeError)  the same event twice on one bus
├── NotDispatchedError(RuntimeError)      an event was awaited that no bus has accepted
├── CapacityError(RuntimeError)           too many events are pending
├── NoLoopError(RuntimeError)             no event loop runs in this thread
├── WrongLoopError(RuntimeError)          the bus or event belongs to another loop
├── NotInHandlerError(RuntimeError)       asked for the running bus outside a handler
├── NotRunningError(AssertionError)       `step()` of a bus that was never used, or was reset
├── BusStopping(RuntimeError)             dispatch while `stop()` runs
├── BusClosed(RuntimeError)               dispatch after `stop(clear=True)`
├── DeadlockError(RuntimeError)           a handler waits for itself
├── DepthError(RecursionError)            events nested deeper than `max_depth`
├── HandlerTimeout(TimeoutError)          a handler exceeded its event's timeout
├── WaitTimeout(TimeoutError)             whoever waited gave up; the work goes on
├── HandlerCancelled(RuntimeError)        a handler let a CancelledError out
├── EventCancelled(RuntimeError)          cancelled with the handler that dispatched it
├── BusStopped(RuntimeError)              cut off by `stop()` or the end of the loop
├── EarlierError(RuntimeError)            what a handler raised in an earlier process, as `recover` knows it
├── HandlerGoneError(LookupError)         a handler that began before a crash is not registered any more
├── NotSettledError(AssertionError)       a test left events or tasks behind
├── StuckLoopError(RuntimeError)          virtual time: everybody waits, nothing is scheduled
├── AttemptTimeout(TimeoutError)          an attempt of a `retry` function exceeded its timeout
├── SemaphoreTimeout(TimeoutError)        a `retry` function got no slot in time
├── SemaphoreDirError(PermissionError)    the directory of semaphores cannot be trusted
├── NotRetryableError(TypeError)          `retry` was put on something that cannot be repeated
├── ProgramError(RuntimeError)            a program that a command line names cannot be loaded
├── MissingExtraError(ImportError)        an optional dependency is not installed
├── BridgeError                           a bridge, or the server behind it
│   ├── BridgeConnectError(ConnectionError) the server or its stream cannot be used
│   ├── BridgeUnavailable(ConnectionError)  the server did not answer; the outcome is unknown
│   │   └── StreamFull                    it answered that it has no room now
│   ├── BridgeRefused(ValueError)         the server will never take this event
│   ├── BridgeStateError(RuntimeError)    used before `start()` or after `stop()`
│   ├── BridgeFull(RuntimeError)          too many events wait for the server
│   └── RemoteError(RuntimeError)         a handler in another process raised
└── LogError                              the write-ahead log; its OSErrors carry errno and filename
    ├── LogOpenError(OSError)             the log cannot be opened, locked or repaired
    │   └── LogLockedError                someone else has it open
    ├── LogWriteError(OSError)            a line is not in the log, or not safely
    │   ├── LogLineTooLongError           a line longer than `max_line_bytes`
    │   └── LogClosedError                the log is closed, or belongs to the parent process
    ├── LogInUseError(RuntimeError)       two buses or loops where only one may write
    └── LogDamagedError(ValueError)       a line is not what was written
```
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NotRequired, TypedDict, cast

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bubus._replay import ReplayReport


def _rebuild(cls: type[BubusError], args: tuple[object, ...], state: dict[str, object]) -> BubusError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class BubusError(Exception):
    """Root of all errors of bubus."""

    @override
    def __reduce__(self) -> str | tuple[object, ...]:
        """Pickle by message and attributes, whatever the subclass' constructor takes."""
        return _rebuild, (type(self), self.args, dict(self.__dict__))


class DefinitionError(BubusError, TypeError):
    """A class that cannot be an event: a reserved name or a type nobody can check."""


class ErrorDetails(TypedDict):
    """One fault, as `ValidationError.errors` lists it."""

    type: str
    loc: tuple[int | str, ...]
    """Field, and the way into its value."""

    msg: str
    input: object
    """The value."""

    ctx: NotRequired[dict[str, object]]
    """The facts in the message."""


class ValidationError(BubusError, ValueError):
    """
    Values that do not fit their fields; every bad field is listed.

    The shape is pydantic's, so that code written for it can read it.
    """

    title: str
    """Name of the class that refused the values."""

    def __init__(self, title: str, errors: Sequence[ErrorDetails], hide_input: bool = False) -> None:
        self.title = title
        self._errors: list[ErrorDetails] = list(errors)
        super().__init__(report(title, self._errors, hide_input=hide_input))

    def errors(
        self, *, include_url: bool = False, include_context: bool = True, include_input: bool = True
    ) -> list[ErrorDetails]:
        """
        Return one dict per fault: ``type``, ``loc`` (a tuple), ``msg``, ``input`` and maybe ``ctx``.

        Args:
            include_url: Ignored: there are no pages about these faults. (pydantic's errors show theirs by default.)
            include_context: Show ``ctx``.
            include_input: Show ``input``.
        """
        del include_url
        hidden = {*["ctx"] * (not include_context), *["input"] * (not include_input)}
        shown = [{name: fact for name, fact in error.items() if name not in hidden} for error in self._errors]
        return cast("list[ErrorDetails]", shown)

    def error_count(self) -> int:
        """Return the number of faults."""
        return len(self._errors)

    def json(
        self,
        *,
        indent: int | None = None,
        include_url: bool = False,
        include_context: bool = True,
        include_input: bool = True,
    ) -> str:
        """Return `errors` as JSON; what JSON cannot tell is told by its text."""
        found = self.errors(include_url=include_url, include_context=include_context, include_input=include_input)
        return json.dumps(found, indent=indent, default=str, separators=None if indent else (",", ":"))


def report(title: str, errors: Sequence[ErrorDetails], *, hide_input: bool = False) -> str:
    """Return the text of a `ValidationError`."""
    lines = [f"{len(errors)} validation error{'s' * (len(errors) != 1)} for {title}"]
    for error in errors:
        where = ".".join(str(part) for part in error["loc"])
        lines += [where] * bool(where)
        shown = "" if hide_input else f", {_shown(error['input'])}"
        lines.append(f"  {error['msg']} [type={error['type']}{shown}]")
    return "\n".join(lines)


def _shown(value: object) -> str:
    return f"input_value={_short(value)}, input_type={type(value).__name__}"


def _short(value: object, limit: int = 50) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a value that cannot be printed must not hide the fault
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"
    text = text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text
    return text if len(text) <= limit else f"{text[: limit // 2]}...{text[-limit // 2 :]}"


class EncodeError(BubusError, ValueError):
    """An event holds what cannot be written, or not without loss; the message names the field."""


class SchemaError(BubusError, TypeError):
    """A type has no JSON schema."""


class InvalidEvent(BubusError, ValueError):  # noqa: N818 - names what was read
    """Bytes are no event of the class that they are read as; what was wrong is the ``__cause__``."""


class NewerVersionError(InvalidEvent):
    """An event was written by a newer version of its class than this program has."""


class NoResultError(BubusError, ValueError):
    """No handler returned what `event_result` and its relatives were asked for."""


class ResultConflictError(BubusError, ValueError):
    """Two handlers returned the same key and `raise_if_conflicts` is set."""


class OptionError(BubusError, ValueError):
    """A setting is out of its range."""


class OptionTypeError(BubusError, TypeError):
    """A setting has the wrong type."""


class BusNameError(BubusError, ValueError):
    """A bus name is empty, not printable, or no string."""


class PatternError(BubusError, TypeError):
    """A pattern is no event class, no event type's name and not ``"*"``."""


class HandlerError(BubusError, TypeError):
    """A handler cannot be called with one event, or the call would not run it."""


class MiddlewareError(BubusError, TypeError):
    """A middleware that is none, is given twice, or has hooks that cannot be called or do not exist."""


class NotSubscribedError(BubusError, LookupError):
    """`off` was asked for a handler that is not registered."""


class NotAnEventError(BubusError, TypeError):
    """`dispatch` was given something that is no event."""


class AlreadyDispatchedError(BubusError, RuntimeError):
    """The same event was dispatched twice on one bus."""


class NotDispatchedError(BubusError, RuntimeError):
    """An event was awaited that no bus has accepted: nobody would ever complete it."""


class CapacityError(BubusError, RuntimeError):
    """The bus has as many pending events as it may have."""


class NoLoopError(BubusError, RuntimeError):
    """No event loop runs in this thread."""


class WrongLoopError(BubusError, RuntimeError):
    """The bus or event belongs to another event loop."""


class NotInHandlerError(BubusError, RuntimeError):
    """There is no running handler to tell the bus of."""


class NotRunningError(BubusError, AssertionError):
    """`step()` was called on a bus that has not been used, or was reset."""


class BusStopping(BubusError, RuntimeError):  # noqa: N818 - names a state, like StopIteration
    """The bus is stopping and accepts nothing until `stop` has returned."""


class BusClosed(BubusError, RuntimeError):  # noqa: N818 - names a state
    """The bus was ended for good by ``stop(clear=True)``."""


class DeadlockError(BubusError, RuntimeError):
    """A handler would wait for itself."""


class DepthError(BubusError, RecursionError):
    """Events are nested deeper than the bus' `max_depth`."""


class HandlerTimeout(BubusError, TimeoutError):  # noqa: N818 - derives from TimeoutError
    """A handler exceeded its event's `event_timeout`."""


class WaitTimeout(BubusError, TimeoutError):  # noqa: N818 - derives from TimeoutError
    """The caller's own clock ran out; what it waited for goes on."""


class HandlerCancelled(BubusError, RuntimeError):  # noqa: N818 - fixed by design.md
    """A handler let a CancelledError out; it is the ``__cause__``."""


class EventCancelled(BubusError, RuntimeError):  # noqa: N818 - names an outcome
    """The event was cancelled together with the handler that dispatched it."""


class BusStopped(BubusError, RuntimeError):  # noqa: N818 - fixed by design.md
    """The bus was stopped, or its event loop ended, before the work was done."""


class EarlierError(BubusError, RuntimeError):
    """A handler failed in an earlier process; its log has kept the type and text of what it raised."""


class HandlerGoneError(BubusError, LookupError):
    """A handler had begun with an event before a crash, and is not registered in the process that recovers it."""


class NotSettledError(BubusError, AssertionError):
    """A test ended while events were unfinished, counters did not add up or tasks were left."""


class StuckLoopError(BubusError, RuntimeError):
    """In virtual time every task waits and nothing is scheduled: a deadlock."""


class AttemptTimeout(BubusError, TimeoutError):  # noqa: N818 - derives from TimeoutError
    """An attempt of a function under `retry` exceeded its `timeout`."""


class SemaphoreTimeout(BubusError, TimeoutError):  # noqa: N818 - derives from TimeoutError
    """A function under `retry` got no slot of its semaphore within `semaphore_timeout`."""


class SemaphoreDirError(BubusError, PermissionError):
    """The directory of the multiprocess semaphores is not ours, or others may write to it."""


class NotRetryableError(BubusError, TypeError):
    """`retry` was put on something whose calls it cannot repeat."""


class ProgramError(BubusError, RuntimeError):
    """A program that a command line names cannot be loaded: its module, or what should return its bus, raised."""


class MissingExtraError(BubusError, ImportError):  # pyright: ignore[reportUnsafeMultipleInheritance] - nothing before calls it
    """An optional dependency is not installed."""


class BridgeError(BubusError):
    """Root of what bridges report: events between processes."""


class BridgeConnectError(BridgeError, ConnectionError):
    """The server cannot be reached or refuses us, or its stream does not fit."""


class BridgeUnavailable(BridgeError, ConnectionError):  # noqa: N818 - names a state
    """The server did not answer: what was asked may or may not have been done."""


class StreamFull(BridgeUnavailable):
    """The stream, or the server, has no room for an event now; it may have later."""


class BridgeRefused(BridgeError, ValueError):  # noqa: N818 - names an outcome
    """The server will never take this event, however often it is sent."""


class BridgeStateError(BridgeError, RuntimeError):
    """A bridge was used before `start()`, or after `stop()`, which is final."""


class BridgeFull(BridgeError, RuntimeError):  # noqa: N818 - names a state
    """As many events wait for the server as may wait."""


class RemoteError(BridgeError, RuntimeError):
    """A handler in another process raised."""

    error_type: str
    """The name of the class of what it raised."""

    def __init__(self, error_type: str, message: str) -> None:
        self.error_type = error_type
        super().__init__(f"{error_type}: {message}")


class LogError(BubusError):
    """Root of what the write-ahead log reports."""


class LogOpenError(LogError, OSError):
    """The log cannot be opened, locked or repaired."""

    @override
    def __reduce__(self) -> str | tuple[object, ...]:
        return OSError.__reduce__(self)


class LogLockedError(LogOpenError):
    """Someone else has the log open: two writers would spoil it."""

    pid: int | None = None
    """Process id of the owner, None when it left none."""


class LogWriteError(LogError, OSError):
    """
    A line is not in the log, or nobody knows whether it will still be there after a power cut.

    The event itself is complete; its handlers have run.
    """

    lines: tuple[bytes, ...] = ()
    """The lost lines, without `event_seq` and `event_crc`, for an `on_error` that wants to save them elsewhere."""

    @override
    def __reduce__(self) -> str | tuple[object, ...]:
        return OSError.__reduce__(self)


class LogLineTooLongError(LogWriteError):
    """A line is longer than the log's `max_line_bytes`, so that no reader would accept it."""


class LogClosedError(LogWriteError):
    """The log is closed, or was opened by the process this one was forked from."""


class LogInUseError(LogError, RuntimeError):
    """A log with a journal is given to a second bus, or a log to buses of different event loops."""


class LogDamagedError(LogError, ValueError):
    """A line of a log is not what was written: torn, changed, missing, repeated or too long."""

    file: str
    """Path of the file."""

    line: int
    """Number of the line in that file, from 1."""

    offset: int
    """Bytes before that line in that file (decompressed)."""

    reason: str
    """What is wrong, safe to print."""

    replay: ReplayReport | None = None
    """What `EventBus.replay` had done by then, if that met it."""

    def __init__(self, file: str, line: int, offset: int, reason: str) -> None:
        self.file = file
        self.line = line
        self.offset = offset
        self.reason = reason
        super().__init__(f"{file}, line {line}, byte {offset}: {reason}")
