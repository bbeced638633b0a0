"""The older package's import path of `EventBus`."""

from __future__ import annotations

import logging
from typing import TypeAlias

from bubus._bus import EventBus
from bubus._event import BaseEvent

__all__ = ["EventBus", "EventPatternType", "logger"]

EventPatternType: TypeAlias = str | type[BaseEvent]
"""What `EventBus.on` and `EventBus.expect` take as a pattern."""

logger: logging.Logger = logging.getLogger("bubus")
