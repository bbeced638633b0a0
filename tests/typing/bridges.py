"""Bridges are as typed as buses. Only type checkers read this; see tests/test_typing.py."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from bubus import BaseEvent, EventBus, Subscription
from bubus.bridges.memory import MemoryBridge


class Login(BaseEvent[str]):
    """Its handlers return str."""

    user: str


class Logout(BaseEvent[None]):
    """Its handlers return nothing."""


bus, bridge = EventBus(), MemoryBridge(stream="logins", group="audit")


async def greet(event: Login) -> str:
    return event.user


async def count(event: Login) -> int:
    return len(event.user)


# Out.
assert_type(bus.on("*", bridge.dispatch), Subscription)
assert_type(bus.on(Login, bridge.dispatch), Subscription)

# In.
assert_type(bridge.on(Login, bus.dispatch), Subscription)
assert_type(bridge.on(Login, greet), Subscription)
assert_type(bridge.on(Login, lambda event: event.user.upper()), Subscription)
assert_type(bridge.on("*", bus.dispatch), Subscription)
assert_type(bridge.on("Login", greet), Subscription)
bridge.on(Login, count)  # must fail: wrong result
bridge.on(Logout, greet)  # must fail: wrong event
bridge.on(Login, lambda event: event.level)  # must fail: Login has no level
bridge.on(Login(user=""), greet)  # must fail: an event is no pattern
MemoryBridge()  # must fail: which stream?
MemoryBridge(stream="logins", colour="red")  # must fail: there is no such option


@bridge.on(Login)
async def decorated(event: Login) -> str:
    return event.user


@bridge.on(Login)  # must fail: wrong result
async def wrong(event: Login) -> int:
    return len(event.user)


assert_type(decorated, Callable[[Login], Coroutine[Any, Any, str]])


async def asked() -> None:
    """Have a remote worker handle an event."""
    assert_type(await bridge.request(Login(user="a")), Login)
    assert_type(await (await bridge.request(Login(user="a"), timeout=5)).event_result(), str)
    assert_type(await bridge.dispatch(Logout()), None)
    async with bridge as entered:
        assert_type(entered, MemoryBridge)
    await bridge.request(Login)  # must fail: the class is no event
    await bridge.request(Login(user="a"), timeout="5")  # must fail: a str is no number
