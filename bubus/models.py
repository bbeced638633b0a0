"""The older package's import path of events and results, and the small print that came with them."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from bubus._callables import handler_name, identified_name
from bubus._event import BaseEvent
from bubus._framework import VERSION as LIBRARY_VERSION
from bubus._handlers import AnyHandler
from bubus._ids import new_id as uuid7str
from bubus._marks import ValueValidator
from bubus._result import EventResult
from bubus._tree import describe_value
from bubus._types import T_EventResultType
from bubus.errors import OptionError

if TYPE_CHECKING:
    from bubus._bus import EventBus

__all__ = [
    "LIBRARY_VERSION",
    "BaseEvent",
    "EventHandler",
    "EventResult",
    "EventResultFilter",
    "PythonIdStr",
    "PythonIdentifierStr",
    "T_EventResultType",
    "UUIDStr",
    "get_handler_id",
    "get_handler_name",
    "uuid7str",
    "validate_event_name",
    "validate_python_id_str",
    "validate_uuid_str",
]

EventHandler: TypeAlias = AnyHandler
"""Any callable of one event: function, method or anything else, sync or async."""

EventResultFilter: TypeAlias = Callable[[EventResult], bool]
"""What `event_result` and its relatives take as *include*."""

logger: logging.Logger = logging.getLogger("bubus")

EventHandlerFunc = EventHandlerMethod = EventHandlerClassMethod = EventHandler
AsyncEventHandlerFunc = AsyncEventHandlerMethod = AsyncEventHandlerClassMethod = EventHandler

_PYTHON_ID: Final = re.compile(r"\d+(\.\d+)?", re.ASCII)


def validate_event_name(s: str) -> str:
    """
    Return *s* if it is an identifier that does not begin with an underscore.

    Raises:
        OptionError: If not.
    """
    if not s.isidentifier() or s.startswith("_"):
        raise OptionError(f"{describe_value(s)} must be an identifier that does not begin with an underscore")
    return s


def validate_python_id_str(s: str) -> str:
    """
    Return *s* if it is one number, or two with a dot between them.

    Raises:
        OptionError: If not.
    """
    if _PYTHON_ID.fullmatch(s) is None:
        raise OptionError(f"{describe_value(s)} must be a number as id() gives, or two with a dot between them")
    return s


def validate_uuid_str(s: str) -> str:
    """
    Return *s* as a UUID is usually written.

    Raises:
        OptionError: If it is no UUID.
    """
    try:
        return str(uuid.UUID(s))
    except ValueError:
        raise OptionError(f"{describe_value(s)} must be a UUID") from None


class Checked(ValueValidator):
    """In an Annotated: checks text by a function, in events and in pydantic's models alike."""

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[object], object]) -> dict[str, object]:
        """Tell pydantic to call the function after its own check; a schema is a plain dict, so no import is needed."""
        function = {"type": "no-info", "function": self.function}
        return {"type": "function-after", "function": function, "schema": handler(source)}


UUIDStr: TypeAlias = Annotated[str, Checked(validate_uuid_str)]
"""A UUID as text."""

PythonIdStr: TypeAlias = Annotated[str, Checked(validate_python_id_str)]
"""What ``str(id(x))`` gives, or two of them with a dot between them."""

PythonIdentifierStr: TypeAlias = Annotated[str, Checked(validate_event_name)]
"""An identifier that does not begin with an underscore."""


def get_handler_name(handler: EventHandler) -> str:
    """Return the name that results of *handler* show."""
    return handler_name(handler)


def get_handler_id(handler: EventHandler, eventbus: EventBus | None = None) -> str:
    """Return the key of *handler* in `event_results` of the events that *eventbus* runs."""
    if eventbus is None:
        return identified_name(handler)
    return eventbus.handlers.origin_of(handler).handler_id


def generic_argument(cls: type) -> object:
    """Return T of a subclass of ``BaseEvent[T]``, None where it was not said."""
    result_type: object = getattr(cls, "event_result_type", Any)
    return None if result_type is Any else result_type


_extract_basemodel_generic_arg = generic_argument
