"""One worker of `bubus worker`: a bus that handles what a stream brings, until it is told to stop."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, TypedDict, cast

import attrs

from bubus._bus import EventBus
from bubus._tree import describe_value, escape
from bubus._types import MISSING
from bubus.cli._signals import stop_on_signals
from bubus.errors import OptionError, ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from bubus.bridges import Bridge, BridgeStatistics
    from bubus.bridges.nats import NatsBridge
    from bubus.bridges.redis import RedisBridge

STATUS_SECONDS: Final = 1.0
STATUS_MARK: Final = "#bubus-status "
"""Begins the lines that are for the supervisor; what handlers print begins otherwise."""

_ENGINES = {"nats": "nats", "tls": "nats", "redis": "redis", "rediss": "redis", "unix": "redis"}


class Job(TypedDict):
    """What a worker is to do."""

    target: str
    """``module:bus``."""

    url: str
    stream: str
    group: str
    timeout: float
    """Seconds to finish when told to stop."""

    max_in_flight: int
    max_deliveries: int
    lease: float


class _Options(TypedDict):
    """What any engine's bridge takes of it."""

    stream: str
    group: str
    max_in_flight: int
    max_deliveries: int
    lease: float


def load_bus(target: str) -> EventBus:
    """
    Return the bus that ``module:name`` names: an EventBus, or what returns one.

    Raises:
        OptionError: If there is none.
        ProgramError: If the module, or what should return the bus, raises.
    """
    module_name, colon, name = target.rpartition(":")
    if not (module_name and colon and name):
        raise OptionError(f"{escape(target)} must be module:bus, such as shop.events:bus")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m` does
    found = _member(_imported(module_name), name)
    try:
        bus = found() if callable(found) else found
    except Exception as error:
        raise _failed(f"{escape(target)} raised", error) from error
    if inspect.iscoroutine(bus):
        bus.close()
        raise OptionError(f"{escape(target)} is async; name a bus, or a plain function that returns one")
    if not isinstance(bus, EventBus):
        raise OptionError(f"{escape(target)} is {describe_value(bus)}, not an EventBus or what returns one")
    return bus


def _member(module: ModuleType, name: str) -> object:
    found = cast("object", getattr(module, name, MISSING))
    if found is MISSING:
        members = cast("dict[str, object]", vars(module))
        buses = ", ".join(escape(other) for other, value in members.items() if isinstance(value, EventBus))
        raise OptionError(
            f"the module {escape(module.__name__)} has no {escape(name)}; "
            + (f"its buses are {buses}" if buses else "name what is an EventBus there, or a function that returns one")
        )
    return found


def _imported(name: str) -> ModuleType:
    if name == "__main__":
        raise OptionError("__main__ is the program bubus itself here; name your program's file, such as app for app.py")
    # before anything is run: of app.py Python would run app, and then look for a module py in it
    if name.endswith(".py") or not all(map(str.isidentifier, name.split("."))):
        kind = "a file" if name.endswith(".py") else "no module"
        raise OptionError(f"{escape(name)} is {kind}; name the module, {escape(_module_of(name))}")
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise OptionError(f"there is no module {escape(name)} here or in this environment") from error
        whole = f"the module {escape(name)} cannot be imported (`python -c 'import {escape(name)}'` shows where):"
        raise _failed(whole, error) from error


def _module_of(file: str) -> str:
    """Return what the module in *file* may be called, seen from the working directory."""
    path = PurePath(file.removesuffix(".py"))
    names = [part.strip(".") for part in (path.parts[-1:] if path.is_absolute() else path.parts)]
    return ".".join(filter(str.isidentifier, names)) or "shop.events for shop/events.py"


def _failed(what: str, error: BaseException) -> ProgramError:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "no frame"
    return ProgramError(f"{what} {type(error).__name__}: {escape(error)} ({escape(place)})")


def make_bridge(job: Job) -> Bridge:
    """
    Return the bridge that a job's URL asks for.

    Raises:
        OptionError: If the URL or an option is wrong.
        MissingExtraError: If the client of that engine is not installed.
    """
    scheme = job["url"].partition("://")[0]
    if scheme not in _ENGINES:
        raise OptionError(
            f"--bridge takes a URL that begins with one of {', '.join(_ENGINES)}, not {escape(scheme)}://"
        )
    options: _Options = {
        "stream": job["stream"],
        "group": job["group"],
        "max_in_flight": job["max_in_flight"],
        "max_deliveries": job["max_deliveries"],
        "lease": job["lease"],
    }
    engine = _ENGINES[scheme]
    found = vars(importlib.import_module(f"bubus.bridges.{engine}"))
    if engine == "nats":
        return cast("type[NatsBridge]", found["NatsBridge"])(job["url"].split(","), **options)
    return cast("type[RedisBridge]", found["RedisBridge"])(job["url"], **options)


async def work(job: Job, report: Callable[[Mapping[str, object]], None]) -> None:
    """
    Handle events until SIGTERM, SIGINT or the end of standard input; then finish what is being done.

    Raises:
        BubusError: If the bus cannot be found, or the stream cannot be used.
    """
    stop = asyncio.Event()
    _stop_when_told(stop)
    bus, bridge = load_bus(job["target"]), make_bridge(job)
    _ = bridge.on("*", bus.dispatch)
    await bridge.start()
    try:
        await _report_until(stop, bridge, report)
    finally:
        await bridge.stop(job["timeout"])
        await bus.stop(timeout=job["timeout"])
        report(attrs.asdict(bridge.statistics()))


async def _report_until(stop: asyncio.Event, bridge: Bridge, report: Callable[[Mapping[str, object]], None]) -> None:
    before: BridgeStatistics | None = None
    while not stop.is_set():
        now = bridge.statistics()
        if now != before:
            report(attrs.asdict(now))
        before = now
        with suppress(TimeoutError):
            async with asyncio.timeout(STATUS_SECONDS):
                _ = await stop.wait()


def _stop_when_told(stop: asyncio.Event) -> None:
    stop_on_signals(stop)
    # whoever started this process holds the other end of its input
    threading.Thread(target=_await_end_of_input, args=(asyncio.get_running_loop(), stop), daemon=True).start()


def _await_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stop when whoever started this process is gone, however that ended."""
    while os.read(0, 4096):
        pass
    with suppress(RuntimeError):  # the loop is closed: the work is done
        _ = loop.call_soon_threadsafe(stop.set)


def print_status(status: Mapping[str, object]) -> None:
    """Tell the supervisor, one line of JSON at a time."""
    _ = sys.stdout.write(f"{STATUS_MARK}{json.dumps(status)}\n")
    _ = sys.stdout.flush()
