"""What dispatched events give. Only type checkers read this; see tests/test_typing.py."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import datetime
from typing import Any, Generic, TypeVar, assert_type

from bubus import BaseEvent, EventBus, EventResult, Statistics

T = TypeVar("T")


class Login(BaseEvent[str]):
    """Its handlers return str."""

    user: str


class AdminLogin(Login):
    """Its handlers return str too."""


class Logout(BaseEvent[None]):
    """Its handlers return nothing."""


class Page(BaseEvent[list[T]], Generic[T]):
    """Its handlers return lists of what it is made of."""

    first: T


class Stock(BaseEvent[dict[str, int]]):
    """Its handlers return dicts."""


def no_event_result(result: EventResult[int]) -> bool:
    """Choose among results of other events."""
    return result.result == 1


bus = EventBus()


async def dispatched() -> None:
    """Dispatch and wait."""
    login = bus.dispatch(Login(user="a"))
    assert_type(login, Login)
    assert_type(await login, Login)
    assert_type(await bus.dispatch(Login(user="a")), Login)
    assert_type(await bus.dispatch(Page[int](first=1)), Page[int])
    assert_type(bus.dispatch_threadsafe(Login(user="a")), Future[Login])
    assert_type(login.event_bus, EventBus)
    assert_type(bus.event_history, dict[str, BaseEvent[Any]])
    assert_type(bus.events_started, list[BaseEvent[Any]])
    assert_type(bus.statistics(), Statistics)
    assert_type(await bus.wait_until_idle(timeout=1), None)
    async with EventBus("other") as entered:
        assert_type(entered, EventBus)
    bus.dispatch(Login)  # must fail: the class is no event
    bus.dispatch("Login")  # must fail: a name is no event
    bus.dispatch(None)  # must fail: None is no event
    await bus.wait_until_idle(timeout="1")  # must fail: a str is no number
    await bus.stop(timeout="1")  # must fail: a str is no number


async def results(login: Login) -> None:
    """Ask for results."""
    assert_type(await login.event_result(), str)
    assert_type(await login.event_result(5), str)
    assert_type(await login.event_result(timeout=5, raise_if_any=False), str)
    assert_type(await login.event_result(raise_if_none=True), str)
    assert_type(await login.event_result(raise_if_none=False), str | None)
    assert_type(await login.event_result(5, None, True, False), str | None)
    assert_type(await login.event_result(include=lambda result: result.result == "a"), str | None)
    assert_type(await login.event_results_list(), list[str])
    assert_type(await login.event_results_list(raise_if_none=False), list[str])
    assert_type(await login.event_results_list(include=lambda result: result.error is None), list[str | None])
    assert_type(await login.event_results_by_handler_id(), dict[str, str])
    assert_type(await login.event_results_by_handler_id(include=lambda result: True), dict[str, str | None])
    assert_type(await login.event_results_by_handler_name(), dict[str, str])
    assert_type(await login.event_results_by_handler_name(include=lambda result: True), dict[str, str | None])
    assert_type(await login.event_results_filtered(), dict[str, EventResult[str]])
    assert_type(await AdminLogin(user="a").event_result(), str)
    assert_type(await Logout().event_result(), None)
    assert_type(await Page[int](first=1).event_result(), list[int])
    assert_type(await Page[int](first=1).event_results_list(), list[list[int]])
    assert_type(await bus.dispatch(Login(user="a")).event_result(), str)
    assert_type(await BaseEvent[int]().event_result(raise_if_none=False), int | None)
    count: int = await login.event_result()  # must fail: a str is no int
    sure: str = await login.event_result(raise_if_none=False)  # must fail: may be None
    del count, sure
    await login.event_result("5")  # must fail: a str is no number
    await login.event_result(include=lambda result: result.result + 1)  # must fail: a str, or None, and 1
    await login.event_result(include=no_event_result)  # must fail: of other results


async def flattened(page: Page[int], stock: Stock, login: Login) -> None:
    """Join the results of several handlers."""
    assert_type(await stock.event_results_flat_dict(), dict[str, int])
    assert_type(await stock.event_results_flat_dict(raise_if_conflicts=True), dict[str, int])
    assert_type(await page.event_results_flat_list(), list[int])
    assert_type(await page.event_results_flat_list(include=lambda result: bool(result.result)), list[int])
    assert_type(await login.event_results_flat_dict(), dict[object, object])
    assert_type(await login.event_results_flat_list(), list[object])
    wrong: dict[str, str] = await stock.event_results_flat_dict()  # must fail: the values are int
    del wrong


async def records(login: Login) -> None:
    """Read the record of one handler."""
    assert_type(login.event_results, dict[str, EventResult[str]])
    record = login.event_results["id"]
    assert_type(record, EventResult[str])
    assert_type(record.result, str | None)
    assert_type(await record, str | None)
    assert_type(record.error, BaseException | None)
    assert_type(record.started_at, datetime | None)
    assert_type(record.duration, float | None)
    assert_type(record.handler_name, str)
    assert_type(record.event_children, list[BaseEvent[Any]])
    record.settled = True  # must fail: follows from the status
    record.status = "done"  # must fail: there is no such status
    record.result.upper()  # must fail: may be None


async def expected() -> None:
    """Wait for an event of somebody else."""
    assert_type(await bus.expect(Login), Login)
    assert_type(await bus.expect(Login, 5.0, lambda event: event.user == "a"), Login)
    assert_type(await bus.expect(Login, timeout=5, predicate=lambda event: event.user == "a"), Login)
    assert_type(await bus.expect(Login, include=lambda event: event.user, exclude=lambda event: not event.user), Login)
    assert_type(await bus.expect(AdminLogin), AdminLogin)
    assert_type(await bus.expect(Page[int], predicate=lambda event: event.first > 1), Page[int])
    assert_type(await bus.expect("Login"), BaseEvent[Any])
    assert_type(await bus.expect("*", predicate=lambda event: event.event_type == "Login"), BaseEvent[Any])
    assert_type(await bus.expect(BaseEvent[Any]), BaseEvent[Any])
    assert_type(await (await bus.expect(Login)).event_result(), str)
    await bus.expect(Login, predicate=lambda event: event.level)  # must fail: Login has no level
    await bus.expect(Login, exclude=lambda event: event.level)  # must fail: Login has no level
    await bus.expect("Login", predicate=lambda event: event.user)  # must fail: not every event has a user
    await bus.expect(Page[int], predicate=lambda event: event.first.upper())  # must fail: an int has no upper()
    await bus.expect(Login(user="a"))  # must fail: an event is no pattern
    await bus.expect(str)  # must fail: no class of events
    await bus.expect(Login, timeout="5")  # must fail: a str is no number
    wrong: AdminLogin = await bus.expect(Login)  # must fail: not every Login is one of an admin
    del wrong


# Buses.
assert_type(EventBus("name", parallel_handlers=True, max_history_size=None, max_pending=None, cancel_grace=1), EventBus)
EventBus(3)  # must fail: an int is no name
EventBus("name", parallel_handlers="yes")  # must fail: a str is no bool
EventBus("name", max_history_size=1.5)  # must fail: no whole number
EventBus("name", max_pending="all")  # must fail: no number
EventBus("name", colour="red")  # must fail: there is no such option
