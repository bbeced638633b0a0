"""Whoever takes a number of seconds refuses what is none: by an error of ours, which names the argument."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.bridges.memory import MemoryBridge, MemoryServer
from bubus.bridges.nats import NatsBridge
from bubus.bridges.redis import RedisBridge
from bubus.errors import OptionError, OptionTypeError
from bubus.testing import settle, settled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Job(BaseEvent[int]):
    """Something to wait for."""


class Setting:
    """What can be waited for, each by another method."""

    def __init__(self) -> None:
        self.bus = EventBus()
        self.bus.on(Job, lambda _: 3)
        self.event: Any = Job()

    def getter(self, name: str) -> Callable[[Any], Awaitable[object]]:
        """Return a method of the event that takes a timeout."""
        return lambda seconds: getattr(self.event, name)(timeout=seconds)

    async def leave(self, seconds: Any) -> None:
        """Leave a block that is checked."""
        async with settled(self.bus, timeout=seconds):
            pass


GETTERS = (
    "event_result",
    "event_results_list",
    "event_results_filtered",
    "event_results_by_handler_id",
    "event_results_by_handler_name",
    "event_results_flat_dict",
    "event_results_flat_list",
)
NO_NUMBERS = ("3", b"3", True, list[int](), 1j, object())
NO_TIMES = (-1, -0.001, math.nan, -math.inf)
WAITS: dict[str, Callable[[Setting], Callable[[Any], Awaitable[object]]]] = {
    **{name: lambda setting, name=name: setting.getter(name) for name in GETTERS},
    "wait_until_idle": lambda setting: setting.bus.wait_until_idle,
    "stop": lambda setting: setting.bus.stop,
    "expect": lambda setting: lambda seconds: setting.bus.expect(Job, timeout=seconds),
    "settle": lambda setting: lambda seconds: settle(setting.bus, timeout=seconds),
    "settled": lambda setting: setting.leave,
}


@pytest.mark.parametrize("name", WAITS)
async def test_waiting_refuses_what_is_no_time(name: str) -> None:
    """Text, a bool, and what is negative or not a number; whether the event is complete or not."""
    setting = Setting()
    wait = WAITS[name](setting)
    for dispatched in (False, True):
        if dispatched:
            await setting.bus.dispatch(setting.event)
        for value in NO_NUMBERS:
            with pytest.raises(OptionTypeError, match=r"^timeout=.* must be a number of seconds, such as 2\.5"):
                await wait(value)
        for value in NO_TIMES:
            with pytest.raises(OptionError, match=r"^timeout=.* must be a number of seconds that is not negative"):
                await wait(value)
    assert await setting.event.event_result(timeout=5) == 3


@pytest.mark.parametrize("name", [*GETTERS, "wait_until_idle", "expect"])
async def test_no_limit_is_none(name: str) -> None:
    """A time without end is refused, and the message says how to wait as long as it takes."""
    setting = Setting()
    await setting.bus.dispatch(setting.event)
    with pytest.raises(OptionError, match="that ends; None waits as long as it takes"):
        await WAITS[name](setting)(math.inf)


@pytest.mark.parametrize("name", ["retry_delay", "lease", "timeout"])
def test_bridges_refuse_what_is_no_time(name: str) -> None:
    """Where they are made."""
    makes: list[Callable[..., object]] = [NatsBridge, RedisBridge]
    if name != "timeout":
        makes.append(functools.partial(MemoryBridge, MemoryServer()))
    for make in makes:
        with pytest.raises(OptionTypeError, match=rf"^{name}='3' must be a number of seconds"):
            make(stream="s", **{name: "3"})
        with pytest.raises(OptionError, match=rf"^{name}=nan must be"):
            make(stream="s", **{name: math.nan})


async def test_a_bridge_refuses_to_wait_for_no_time() -> None:
    """A request with a wrong timeout sends nothing, a stop with one stops nothing."""
    text: Any = "3"
    async with MemoryBridge(MemoryServer(), stream="s") as bridge:
        for value, error in ((text, OptionTypeError), (-1, OptionError)):
            with pytest.raises(error, match=r"^timeout="):
                await bridge.request(Job(), timeout=value)
            with pytest.raises(error, match=r"^timeout="):
                await bridge.stop(value)
        await bridge.dispatch(Job())
