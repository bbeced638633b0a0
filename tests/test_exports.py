"""What ``import bubus`` gives, and that it does nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from typing import Any

import bubus

HEAVY = ["pydantic", "pydantic_core", "rich", "click", "uvloop", "nats", "redis", "opentelemetry"]

IMPORT = """
import asyncio, json, logging, signal, sys, tempfile, threading, warnings, contextvars

def snapshot():
    loggers = logging.Logger.manager.loggerDict.values()
    return {
        "levels": sorted((logger.name, logger.level, len(logger.handlers), logger.propagate, logger.disabled)
                         for logger in loggers if isinstance(logger, logging.Logger) and "bubus" not in logger.name),
        "root": [logging.root.level, len(logging.root.handlers)],
        "close": [id(asyncio.BaseEventLoop.close), id(asyncio.Task), id(asyncio.run)],
        "hooks": [id(sys.excepthook), id(threading.excepthook), id(warnings.showwarning), id(sys.unraisablehook)],
        "threads": threading.active_count(),
        "signals": [str(signal.getsignal(number)) for number in signal.valid_signals()],
        "recursion": sys.getrecursionlimit(),
        "tempdir": tempfile.tempdir,
    }

done = []
ALLOWED = ("/dev/null",)
def watch(name, args):
    if name == "open":
        path, mode, flags = args
        writes = isinstance(flags, int) and flags & 3 or (isinstance(mode, str) and set(mode) & set("wax+"))
        if writes:
            done.append([name, repr(path)])
    elif name.split(".")[0] in ("socket", "subprocess", "tempfile", "shutil", "ctypes") or name in (
        "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.chmod", "os.system", "os.fork", "os.posix_spawn",
        "os.link", "os.symlink", "os.truncate", "os.utime", "os.kill", "os.putenv",
    ):
        done.append([name, repr(args)])

for module in %r:
    __import__(module)  # what our dependencies do is theirs
before = snapshot()
sys.addaudithook(watch)
import bubus
after = snapshot()
bubus_loggers = [(logger.name, logger.level) for logger in logging.Logger.manager.loggerDict.values()
                 if isinstance(logger, logging.Logger) and logger.name.split(".")[0] == "bubus"]
print(json.dumps({"done": done, "changed": [key for key in before if before[key] != after[key]],
                  "loggers": bubus_loggers, "modules": sorted(sys.modules)}))
"""


def imported(*dependencies: str) -> dict[str, list[Any]]:
    """Import bubus in a fresh process and return what that did."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-W", "error", "-c", IMPORT % (dependencies,)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.stderr, done.returncode) == ("", 0)
    report: dict[str, list[Any]] = json.loads(done.stdout)
    return report


def test_all_is_sorted_and_real() -> None:
    """Every name in ``__all__`` exists, once, in order; and every public name is in it."""
    assert list(bubus.__all__) == sorted(set(bubus.__all__))
    assert [name for name in bubus.__all__ if not hasattr(bubus, name)] == []

    public = {
        name
        for name, value in vars(bubus).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name != "annotations"
    }
    assert public <= set(bubus.__all__)


def test_what_users_need_is_exported() -> None:
    """The names of the README and of the older bubus."""
    assert {"BaseEvent", "EventBus", "EventResult", "Subscription", "ValidationError", "retry"} <= set(bubus.__all__)


def test_R33_import_does_nothing() -> None:
    """No file is written, no directory made, no process, socket or thread; nothing is patched, no level set."""
    report = imported("attrs", "filelock", "msgspec", "uuid_utils", "typing_extensions")

    assert report["done"] == []
    assert report["changed"] == []


def test_R33_import_leaves_logging_alone() -> None:
    """Loggers of bubus have no level of their own."""
    loggers: list[Any] = imported()["loggers"]

    assert [name for name, level in loggers if level != 0] == []


def test_R33_import_loads_nothing_heavy() -> None:
    """Extras and what they need are loaded when they are used, not before."""
    modules = imported()["modules"]

    assert [name for name in HEAVY if name in modules] == []


def test_py_typed_is_there() -> None:
    """Type checkers read the package's own annotations."""
    assert os.path.exists(os.path.join(os.path.dirname(bubus.__file__), "py.typed"))  # noqa: PTH110, PTH118, PTH120
