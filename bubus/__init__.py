"""
The event bus for strictly typed async Python.

```python
class UserLoginEvent(BaseEvent[str]):
    username: str

bus = EventBus()
bus.on(UserLoginEvent, greet)
who = await bus.dispatch(UserLoginEvent(username="alice")).event_result()
```
"""

from bubus import helpers as helpers, logging as logging, models as models, service as service
from bubus._bus import EventBus as EventBus, EventClass as EventClass
from bubus._config import ConfigDict as ConfigDict
from bubus._event import BaseEvent as BaseEvent
from bubus._handlers import Subscription as Subscription
from bubus._recovery import RecoveryReport as RecoveryReport
from bubus._replay import ReplayReport as ReplayReport
from bubus._result import EventResult as EventResult
from bubus._retry import retry as retry
from bubus._statistics import Statistics as Statistics
from bubus._words import Field as Field
from bubus.errors import BubusError as BubusError, ValidationError as ValidationError
from bubus.models import (
    EventHandler as EventHandler,
    PythonIdentifierStr as PythonIdentifierStr,
    PythonIdStr as PythonIdStr,
    UUIDStr as UUIDStr,
)
from bubus.wal import WriteAheadLog as WriteAheadLog

__all__ = [
    "BaseEvent",
    "BubusError",
    "ConfigDict",
    "EventBus",
    "EventClass",
    "EventHandler",
    "EventResult",
    "Field",
    "PythonIdStr",
    "PythonIdentifierStr",
    "RecoveryReport",
    "ReplayReport",
    "Statistics",
    "Subscription",
    "UUIDStr",
    "ValidationError",
    "WriteAheadLog",
    "retry",
]
