"""The older package's import path of `EventBus`."""

from __future__ import annotations

import logging
from typing import TypeAlias

from bubus._bus import EventBus
from bubus._event import BaseEvent
from bubus._types import T_EventResultType
from bubus.models import (
    AsyncEventHandlerClassMethod,
    AsyncEventHandlerFunc,
    AsyncEventHandlerMethod,
    EventHandler,
    EventHandlerClassMethod,
    EventHandlerFunc,
    EventHandlerMethod,
    PythonIdentifierStr,
    PythonIdStr,
    UUIDStr,
    get_handler_id,
    get_handler_name,
    uuid7str,
)

__all__ = [
    "AsyncEventHandlerClassMethod",
    "AsyncEventHandlerFunc",
    "AsyncEventHandlerMethod",
    "BaseEvent",
    "EventBus",
    "EventHandler",
    "EventHandlerClassMethod",
    "EventHandlerFunc",
    "EventHandlerMethod",
    "EventPatternType",
    "PythonIdStr",
    "PythonIdentifierStr",
    "T_EventResultType",
    "UUIDStr",
    "get_handler_id",
    "get_handler_name",
    "logger",
    "uuid7str",
]

EventPatternType: TypeAlias = str | type[BaseEvent]
"""What `EventBus.on` and `EventBus.expect` take as a pattern."""

logger: logging.Logger = logging.getLogger("bubus")
