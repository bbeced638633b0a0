"""Handlers registered by a decorator. Only type checkers read this; see tests/test_typing.py."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar, assert_type

from bubus import BaseEvent, EventBus

T = TypeVar("T")


class Login(BaseEvent[str]):
    """Its handlers return str."""

    user: str


class Logout(BaseEvent[None]):
    """Its handlers return nothing."""


class Page(BaseEvent[list[T]], Generic[T]):
    """Its handlers return lists of what it is made of."""

    first: T


bus, other = EventBus("one"), EventBus("two")


@bus.on(Login)
async def greet(event: Login) -> str:
    return event.user


@bus.on(Login)
async def greet_maybe(event: Login) -> str | None:
    return event.user or None


@bus.on(Login)
def greet_now(event: Login) -> str:
    return event.user


@bus.on(Login)
def greet_now_maybe(event: Login) -> str | None:
    return event.user or None


@bus.on(Login)
async def audit(event: BaseEvent[Any]) -> str:
    return event.event_type


@bus.on(Login)
async def relay(event: Login) -> Login:
    return other.dispatch(event)


@bus.on(Login)
def relay_now(event: Login) -> Login:
    return other.dispatch(event)


@bus.once(Logout)
async def leave(event: Logout) -> None:
    del event


@bus.on(Page[int])
def page(event: Page[int]) -> list[int]:
    return [event.first]


@bus.on("Login")
async def named(event: Login) -> int:
    return len(event.user)


@bus.once("*")
def everything(event: BaseEvent[Any]) -> bytes:
    return event.event_type.encode()


# The function goes on as one of that event.
assert_type(greet, Callable[[Login], Coroutine[Any, Any, str]])
assert_type(greet_maybe, Callable[[Login], Coroutine[Any, Any, str | None]])
assert_type(greet_now, Callable[[Login], str])
assert_type(greet_now_maybe, Callable[[Login], str | None])
assert_type(audit, Callable[[Login], Coroutine[Any, Any, str]])  # must fail in mypy: Any erases what it takes
assert_type(relay, Callable[[Login], Coroutine[Any, Any, Login]])
assert_type(relay_now, Callable[[Login], Login])
assert_type(leave, Callable[[Logout], Coroutine[Any, Any, None]])
assert_type(page, Callable[[Page[int]], list[int]])
assert_type(everything, Callable[[BaseEvent[Any]], bytes])


async def call_them() -> None:
    """Call decorated functions as what they are."""
    assert_type(await greet(Login(user="")), str)
    assert_type(greet_now(Login(user="")), str)
    assert_type(await named(Login(user="")), int)
    assert_type(everything(Logout()), bytes)
    greet_now(Logout())  # must fail: wrong event
    greet_now(3)  # must fail: no event


@bus.on(Login)  # must fail: wrong result
async def wrong_result(event: Login) -> int:
    return len(event.user)


@bus.on(Login)  # must fail: wrong result
def wrong_result_now(event: Login) -> int:
    return len(event.user)


@bus.on(Login)  # must fail: wrong event
async def wrong_event(event: Logout) -> None:
    del event


@bus.once(Login)  # must fail: wrong event
def wrong_event_once(event: Logout) -> str:
    return event.event_type


@bus.on(Login)  # must fail: two arguments
def two_arguments(event: Login, more: int) -> str:
    return event.user * more


@bus.on(Page[str])  # must fail: wrong event
def wrong_page(event: Page[int]) -> list[int]:
    return [event.first]


@bus.on("*")  # must fail: a str is no event
def no_event(event: str) -> str:
    return event
