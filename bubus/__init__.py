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

from bubus._bus import EventBus as EventBus
from bubus._event import BaseEvent as BaseEvent
from bubus._handlers import Subscription as Subscription
from bubus._result import EventResult as EventResult
from bubus._statistics import Statistics as Statistics

__all__ = ["BaseEvent", "EventBus", "EventResult", "Statistics", "Subscription"]
