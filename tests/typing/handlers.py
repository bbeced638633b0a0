"""Handlers that fit their event, and handlers that do not. Only type checkers read this; see tests/test_typing.py."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, assert_type

from bubus import BaseEvent, EventBus, Subscription

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

T = TypeVar("T")


class Login(BaseEvent[str]):
    """Its handlers return str."""

    user: str


class AdminLogin(Login):
    """Its handlers return str too."""

    level: int = 1


class Logout(BaseEvent[None]):
    """Its handlers return nothing."""


class Maybe(BaseEvent[int | str]):
    """Its handlers return one or the other."""


class Page(BaseEvent[list[T]], Generic[T]):
    """Its handlers return lists of what it is made of."""

    first: T


class Anything(BaseEvent[Any]):
    """Its handlers return what they like."""


bus, other = EventBus("one"), EventBus("two")


def text(value: str) -> str:
    """Take a str only."""
    return value


# Functions.
async def greet(event: Login) -> str:
    return event.user


async def greet_maybe(event: Login) -> str | None:
    return event.user or None


async def nothing(event: Login) -> None:
    del event


async def count(event: Login) -> int:
    return len(event.user)


async def count_maybe(event: Login) -> str | int:
    return event.user or 0


def greet_now(event: Login) -> str:
    return event.user


def count_now(event: Login) -> int:
    return len(event.user)


async def leave(event: Logout) -> None:
    del event


async def greet_admin(event: AdminLogin) -> str:
    return event.user


async def audit(event: BaseEvent[Any]) -> str:
    return event.event_type


async def audit_object(event: object) -> str:
    return str(event)


async def any_text(event: BaseEvent[str]) -> str:
    return event.event_type


async def two(event: Login, more: int) -> str:
    return event.user * more


async def none() -> str:
    return ""


async def extra(event: Login, more: int = 2) -> str:
    return event.user * more


assert_type(bus.on(Login, greet), Subscription)
assert_type(bus.on(Login, greet_maybe), Subscription)
assert_type(bus.on(Login, nothing), Subscription)
assert_type(bus.on(Login, greet_now), Subscription)
assert_type(bus.on(Login, extra), Subscription)
assert_type(bus.on(Logout, leave), Subscription)
assert_type(bus.once(Login, greet), Subscription)
assert_type(bus.once(Login, greet_now), Subscription)
bus.on(Login, count)  # must fail: wrong result
bus.on(Login, count_maybe)  # must fail: wrong result
bus.on(Login, count_now)  # must fail: wrong result
bus.on(Login, leave)  # must fail: wrong event
bus.on(Logout, greet)  # must fail: wrong event and result
bus.on(Login, two)  # must fail: two arguments
bus.on(Login, none)  # must fail: no argument
bus.on(Login, "greet")  # must fail: not callable
bus.on(Login, greet(Login(user="")))  # must fail: called already
bus.on(3, greet)  # must fail: no pattern
bus.on(Login(user=""), greet)  # must fail: an event is no pattern
bus.on(str, greet)  # must fail: no class of events
bus.once(Login, count)  # must fail: wrong result
bus.once(Login, leave)  # must fail: wrong event

# Handlers of a base class.
assert_type(bus.on(AdminLogin, greet), Subscription)
assert_type(bus.on(Login, audit), Subscription)
assert_type(bus.on(Login, audit_object), Subscription)
assert_type(bus.on(Login, any_text), Subscription)
bus.on(Login, greet_admin)  # must fail: not every Login is one of an admin
bus.on(Maybe, greet)  # must fail: wrong event
bus.on(BaseEvent[Any], greet)  # must fail: not every event is a Login
assert_type(bus.on(BaseEvent[Any], audit), Subscription)

# Inherited results.
bus.on(AdminLogin, count)  # must fail: wrong result, inherited


# Unions as results.
def one_or_other(event: Maybe) -> str:
    return event.event_type


def both(event: Maybe) -> int | str:
    return event.event_type


def neither(event: Maybe) -> float:
    return float(event.event_type)


assert_type(bus.on(Maybe, one_or_other), Subscription)
assert_type(bus.on(Maybe, both), Subscription)
assert_type(bus.on(Maybe, lambda event: event.event_type), Subscription)
assert_type(bus.on(Maybe, lambda event: len(event.event_type)), Subscription)
bus.on(Maybe, neither)  # must fail: wrong result

# Lambdas: the parameter is inferred.
assert_type(bus.on(Login, lambda event: text(event.user)), Subscription)
assert_type(bus.on(Login, lambda event: None), Subscription)
assert_type(bus.on(Login, lambda event: greet(event)), Subscription)
assert_type(bus.on(AdminLogin, lambda event: event.user * event.level), Subscription)
assert_type(bus.once(Login, lambda event: event.user), Subscription)
bus.on(Login, lambda event: event.level)  # must fail: Login has no level
bus.on(Login, lambda event: len(event.user))  # must fail: wrong result
bus.on(Login, lambda event: count(event))  # must fail: wrong result
bus.on(Login, lambda: "")  # must fail: no argument


# Methods of every kind.
class Greeter:
    """Handlers as methods."""

    async def method(self, event: Login) -> str:
        return event.user

    async def wrong_method(self, event: Login) -> int:
        return len(event.user)

    async def other_event(self, event: Logout) -> None:
        del event

    @classmethod
    def of_class(cls, event: Login) -> str:
        return event.user

    @classmethod
    def wrong_of_class(cls, event: Login) -> int:
        return len(event.user)

    @staticmethod
    async def static(event: Login) -> str:
        return event.user

    @staticmethod
    async def wrong_static(event: Login) -> int:
        return len(event.user)

    async def __call__(self, event: Login) -> str:
        return event.user


class Counter:
    """A callable object with a wrong result."""

    def __call__(self, event: Login) -> int:
        return len(event.user)


greeter = Greeter()
assert_type(bus.on(Login, greeter.method), Subscription)
assert_type(bus.on(Login, Greeter.of_class), Subscription)
assert_type(bus.on(Login, greeter.of_class), Subscription)
assert_type(bus.on(Login, Greeter.static), Subscription)
assert_type(bus.on(Login, greeter.static), Subscription)
assert_type(bus.on(Login, greeter), Subscription)
bus.on(Login, greeter.wrong_method)  # must fail: wrong result
bus.on(Login, greeter.other_event)  # must fail: wrong event
bus.on(Login, Greeter.method)  # must fail: not bound
bus.on(Login, Greeter.wrong_of_class)  # must fail: wrong result
bus.on(Login, Greeter.wrong_static)  # must fail: wrong result
bus.on(Login, Counter())  # must fail: wrong result


# Partials.
async def prefixed(prefix: str, event: Login) -> str:
    return prefix + event.user


assert_type(bus.on(Login, partial(prefixed, "x")), Subscription)
assert_type(bus.on(Login, partial(two, more=2)), Subscription)
bus.on(Logout, partial(prefixed, "x"))  # must fail: wrong event
bus.on(Login, partial(count))  # must fail: wrong result

# Awaitables of any make.
awaitable: Callable[[Login], Awaitable[str]] = greet
coroutine: Callable[[Login], Coroutine[Any, Any, str | None]] = greet_maybe
wrong_awaitable: Callable[[Login], Awaitable[int]] = count
assert_type(bus.on(Login, awaitable), Subscription)
assert_type(bus.on(Login, coroutine), Subscription)
bus.on(Login, wrong_awaitable)  # must fail: wrong result


# Forwarding.
async def relay(event: Login) -> Login:
    return other.dispatch(event)


def relay_now(event: Login) -> Login:
    return other.dispatch(event)


def another(event: Login) -> Logout:
    return other.dispatch(Logout(event_parent_id=event.event_id))


assert_type(bus.on(Login, other.dispatch), Subscription)
assert_type(bus.on("*", other.dispatch), Subscription)
assert_type(bus.on("Login", other.dispatch), Subscription)
assert_type(bus.on(Page[int], other.dispatch), Subscription)
assert_type(bus.on(BaseEvent[Any], other.dispatch), Subscription)
assert_type(bus.on(Login, relay), Subscription)
assert_type(bus.on(Login, relay_now), Subscription)
assert_type(bus.on(Login, lambda event: other.dispatch(event)), Subscription)
assert_type(bus.once(Login, other.dispatch), Subscription)
bus.on(Login, another)  # must fail: another event is no result

# Names of events, and all of them: a handler of any event class.
assert_type(bus.on("Login", greet), Subscription)
assert_type(bus.on("*", audit), Subscription)
assert_type(bus.on("*", count), Subscription)
assert_type(bus.on("*", lambda event: event.event_type), Subscription)
assert_type(bus.once("Logout", leave), Subscription)
bus.on("*", lambda event: event.user)  # must fail: not every event has a user
bus.on("*", two)  # must fail: two arguments
bus.on("*", text)  # must fail: a str is no event
bus.on("*", none)  # must fail: no argument


# Generic events.
async def page_of_int(event: Page[int]) -> list[int]:
    return [event.first]


async def page_of_any(event: Page[Any]) -> list[Any]:
    return [event.first]


assert_type(bus.on(Page[int], page_of_int), Subscription)
assert_type(bus.on(Page[int], page_of_any), Subscription)
assert_type(bus.on(Page[Any], page_of_any), Subscription)
assert_type(bus.on(Page[str], lambda event: [event.first.upper()]), Subscription)
bus.on(Page[str], page_of_int)  # must fail: wrong event
bus.on(Page[int], lambda event: [str(event.first)])  # must fail: wrong result
bus.on(Page[int], lambda event: event.first)  # must fail: wrong result
bus.on(Page[int], lambda event: [event.first.upper()])  # must fail: an int has no upper()

# Any result.
assert_type(bus.on(Anything, lambda event: event.event_type), Subscription)
assert_type(bus.on(Anything, lambda event: 3), Subscription)
bus.on(Anything, greet)  # must fail: wrong event

# The end of a registration.
subscription = bus.on(Login, greet)
assert_type(subscription.off(), None)
with bus.on(Login, greet) as entered:
    assert_type(entered, Subscription)
assert_type(bus.off(subscription), None)
assert_type(bus.off(Login, greet), None)
assert_type(bus.off(AdminLogin, greet), None)
assert_type(bus.off("*", greet), None)
assert_type(bus.off(Page[int], page_of_int), None)
bus.off(Login)  # must fail: which handler?
bus.off(Login, leave)  # must fail: cannot be registered for it
bus.off(3, greet)  # must fail: no pattern
