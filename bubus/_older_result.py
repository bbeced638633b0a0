"""What programs of the older package ask of a result, or tell it by hand; nothing else in bubus uses it."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self, TypedDict, cast, final

from typing_extensions import override

from bubus._compile import compile_type
from bubus._tree import describe_value
from bubus.errors import OptionError, OptionTypeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from datetime import datetime

    from typing_extensions import Unpack

    from bubus._types import Check, ResultStatus


class Record(Protocol):
    """The part of `bubus._result.EventResult` that is needed here."""

    timeout: float | None
    error: BaseException | None

    @property
    def status(self) -> ResultStatus: ...
    @property
    def result_type(self) -> object: ...
    @property
    def settled(self) -> bool: ...
    @property
    def started_at(self) -> datetime | None: ...
    def start(self, at: float, /) -> None: ...
    def complete(self, value: object, duration: float, /, *, forwarded: bool = ...) -> None: ...
    def fail(self, error: BaseException, duration: float, /) -> None: ...
    def __await__(self) -> Generator[object, None, object]: ...


class ResultUpdate(TypedDict, total=False):
    """What `EventResult.update` and `event_result_update` take."""

    status: ResultStatus
    result: object
    error: BaseException | str | None
    timeout: float | None
    """Seconds."""


@final
class CompletedSignal:
    """What used to be an asyncio.Event: tells whether something is complete, and waits for it."""

    __slots__ = ("_is_set", "_of", "_wait")

    def __init__(self, of: object, is_set: Callable[[], bool], wait: Callable[[], Awaitable[object]]) -> None:
        self._of: Final = of
        self._is_set: Final = is_set
        self._wait: Final = wait

    def is_set(self) -> bool:
        """Tell whether it is complete."""
        return self._is_set()

    async def wait(self) -> Literal[True]:
        """Wait until it is complete; what awaiting an event raises is raised here, too."""
        _ = await self._wait()
        return True

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._of} [{'set' if self.is_set() else 'unset'}]>"


class OlderResult:
    """The small print of the older package's results."""

    __slots__: tuple[str, ...] = ()

    @property
    def handler_completed_signal(self) -> CompletedSignal:
        """Something with the `is_set` and `wait` of an asyncio.Event, set when the handler is done, in error too."""
        record = _record(self)
        return CompletedSignal(record, lambda: record.settled, lambda: _settled(record))

    def update(self, **update: Unpack[ResultUpdate]) -> Self:
        """
        Change the record by hand, and return it.

        A *result* or *error* settles it; what is settled does not change any more. A result is checked against T of
        ``BaseEvent[T]`` as one that was returned.

        Raises:
            OptionError: If *status* is none.
            OptionTypeError: If anything else is to be changed.
        """
        check_update(update)
        record = _record(self)
        kind = record.result_type
        check = None if kind is Any or kind is None else compile_type(kind, "the result").validate
        apply_update(record, update, check)
        return self


def _record(result: OlderResult) -> Record:
    return cast("Record", cast("object", result))


async def _settled(record: Record) -> None:
    try:
        await record
    except BaseException as error:
        if error is not record.error:
            raise


def check_update(update: ResultUpdate) -> None:
    """
    Refuse what cannot be changed by hand.

    Raises:
        OptionError: If *status* is none.
        OptionTypeError: If anything else is to be changed.
    """
    unknown = update.keys() - ResultUpdate.__annotations__.keys()
    if unknown:
        raise OptionTypeError(
            f"an update cannot change {', '.join(sorted(unknown))}: only {', '.join(ResultUpdate.__annotations__)}"
        )
    status = update.get("status", "pending")
    if status not in ("pending", "started", "completed", "error"):
        raise OptionError(f"status={describe_value(status)} must be pending, started, completed or error")


def settles(update: ResultUpdate) -> bool:
    """Tell whether *update* ends the work of the handler."""
    return _error_of(update) is not None or "result" in update or update.get("status") in ("completed", "error")


def apply_update(record: Record, update: ResultUpdate, check: Check | None, event: object = None) -> None:
    """Change *record*; a result that is the *event* itself was passed on."""
    if "timeout" in update:
        record.timeout = update["timeout"]
    if record.status == "pending" and (settles(update) or update.get("status") == "started"):
        record.start(time())
    if not settles(update):
        return
    error = _error_of(update)
    if error is None and update.get("status") == "error":
        error = RuntimeError("marked as failed by hand, without an error")
    _settle(record, update.get("result"), error, check, event)


def _error_of(update: ResultUpdate) -> BaseException | None:
    error, result = update.get("error"), update.get("result")
    if error is None and isinstance(result, Exception):
        return result
    return RuntimeError(error) if isinstance(error, str) else error


def _settle(record: Record, value: object, error: BaseException | None, check: Check | None, event: object) -> None:
    started = record.started_at
    duration = 0.0 if started is None else max(time() - started.timestamp(), 0.0)
    forwarded = value is not None and value is event
    try:
        if error is None and value is not None and not forwarded and check is not None:
            value = check(value)
    except Exception as refused:  # noqa: BLE001 - also what a value's own code raises while it is checked
        error = refused
    if error is None:
        record.complete(value, duration, forwarded=forwarded)
    else:
        record.fail(error, duration)
