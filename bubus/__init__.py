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
from bubus._aliases import AliasChoices as AliasChoices, AliasPath as AliasPath
from bubus._bus import EventBus as EventBus, EventClass as EventClass
from bubus._config import ConfigDict as ConfigDict
from bubus._decorators import (
    computed_field as computed_field,
    field_serializer as field_serializer,
    field_validator as field_validator,
    model_serializer as model_serializer,
    model_validator as model_validator,
)
from bubus._event import BaseEvent as BaseEvent
from bubus._functions import ValidationInfo as ValidationInfo
from bubus._handlers import Subscription as Subscription
from bubus._hooks import Middleware as Middleware
from bubus._recovery import RecoveryReport as RecoveryReport
from bubus._replay import ReplayReport as ReplayReport
from bubus._result import EventResult as EventResult
from bubus._retry import retry as retry
from bubus._serial import SerializationInfo as SerializationInfo
from bubus._statistics import Statistics as Statistics
from bubus._words import Field as Field, PrivateAttr as PrivateAttr
from bubus.errors import BubusError as BubusError, ValidationError as ValidationError
from bubus.models import (
    EventHandler as EventHandler,
    PythonIdentifierStr as PythonIdentifierStr,
    PythonIdStr as PythonIdStr,
    UUIDStr as UUIDStr,
)
from bubus.wal import WriteAheadLog as WriteAheadLog

__all__ = [
    "AliasChoices",
    "AliasPath",
    "BaseEvent",
    "BubusError",
    "ConfigDict",
    "EventBus",
    "EventClass",
    "EventHandler",
    "EventResult",
    "Field",
    "Middleware",
    "PrivateAttr",
    "PythonIdStr",
    "PythonIdentifierStr",
    "RecoveryReport",
    "ReplayReport",
    "SerializationInfo",
    "Statistics",
    "Subscription",
    "UUIDStr",
    "ValidationError",
    "ValidationInfo",
    "WriteAheadLog",
    "computed_field",
    "field_serializer",
    "field_validator",
    "model_serializer",
    "model_validator",
    "retry",
]
