"""
Every error that bubus raises.

```
BubusError
├── DefinitionError(TypeError)            a class that cannot be an event
├── ValidationError(ValueError)           values that do not fit their fields
├── NoResultError(ValueError)             no handler returned what was asked for
├── ResultConflictError(ValueError)       two handlers returned the same key
├── OptionError(ValueError)               a setting out of range
├── OptionTypeError(TypeError)            a setting of the wrong type
├── BusNameError(ValueError)              a name that no bus can have
├── PatternError(TypeError)               `on()` was given no class, name or "*"
├── HandlerError(TypeError)               a handler that cannot be called with one event
├── NotSubscribedError(LookupError)       `off()` of something that is not registered
├── NotAnEventError(TypeError)            `dispatch()` was given something else
├── AlreadyDispatchedError(RuntimeError)  the same event twice on one bus
├── NotDispatchedError(RuntimeError)      an event was awaited that no bus has accepted
├── CapacityError(RuntimeError)           too many events are pending
├── NoLoopError(RuntimeError)             no event loop runs in this thread
├── WrongLoopError(RuntimeError)          the bus or event belongs to another loop
├── NotInHandlerError(RuntimeError)       asked for the running bus outside a handler
├── BusStopping(RuntimeError)             dispatch while `stop()` runs
├── BusClosed(RuntimeError)               dispatch after `stop(clear=True)`
├── DeadlockError(RuntimeError)           a handler waits for itself
├── DepthError(RecursionError)            events nested deeper than `max_depth`
├── HandlerTimeout(TimeoutError)          a handler exceeded its event's timeout
├── WaitTimeout(TimeoutError)             whoever waited gave up; the work goes on
├── HandlerCancelled(RuntimeError)        a handler let a CancelledError out
├── EventCancelled(RuntimeError)          cancelled with the handler that dispatched it
├── BusStopped(RuntimeError)              cut off by `stop()` or the end of the loop
├── NotSettledError(AssertionError)       a test left events or tasks behind
├── StuckLoopError(RuntimeError)          virtual time: everybody waits, nothing is scheduled
└── MissingExtraError(ImportError)        an optional dependency is not installed
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _rebuild(cls: type[BubusError], args: tuple[object, ...], state: dict[str, object]) -> BubusError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class BubusError(Exception):
    """Root of all errors of bubus."""

    def __reduce__(self) -> tuple[Callable[..., BubusError], tuple[object, ...]]:
        """Pickle by message and attributes, whatever the subclass' constructor takes."""
        return _rebuild, (type(self), self.args, dict(self.__dict__))


class DefinitionError(BubusError, TypeError):
    """A class that cannot be an event: a reserved name or a type nobody can check."""


class ValidationError(BubusError, ValueError):
    """
    Values that do not fit their fields; every bad field is listed.

    The shape is pydantic's, so that code written for it can read it.
    """

    title: str
    """Name of the class that refused the values."""

    def __init__(self, title: str, errors: Sequence[dict[str, Any]]) -> None:
        self.title = title
        self._errors = list(errors)
        super().__init__(_report(title, self._errors))

    def errors(self) -> list[dict[str, Any]]:
        """Return one dict per fault: ``type``, ``loc`` (a tuple), ``msg``, ``input`` and maybe ``ctx``."""
        return [dict(error) for error in self._errors]

    def error_count(self) -> int:
        """Return the number of faults."""
        return len(self._errors)


def _report(title: str, errors: Sequence[dict[str, Any]]) -> str:
    lines = [f"{len(errors)} validation error{'s' * (len(errors) != 1)} for {title}"]
    for error in errors:
        where = ".".join(str(part) for part in error["loc"])
        kind = type(error["input"]).__name__
        lines += [where] * bool(where)
        lines.append(
            f"  {error['msg']} [type={error['type']}, input_value={_short(error['input'])}, input_type={kind}]"
        )
    return "\n".join(lines)


def _short(value: object, limit: int = 50) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a value that cannot be printed must not hide the fault
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"
    text = text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text
    return text if len(text) <= limit else f"{text[: limit // 2]}...{text[-limit // 2 :]}"


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
    """A handler cannot be called with one event."""


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


class NotSettledError(BubusError, AssertionError):
    """A test ended while events were unfinished, counters did not add up or tasks were left."""


class StuckLoopError(BubusError, RuntimeError):
    """In virtual time every task waits and nothing is scheduled: a deadlock."""


class MissingExtraError(BubusError, ImportError):
    """An optional dependency is not installed."""
