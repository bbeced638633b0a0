"""The older package's import path of `retry`, and the small print that came with it."""

from __future__ import annotations

import functools
import importlib.util
import logging
import sys
import time
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeVar

from typing_extensions import ParamSpec

from bubus._retry import RetryDecorator, retry
from bubus._semaphores import SEMAPHORES as GLOBAL_RETRY_SEMAPHORES
from bubus._slots import assign_directory, directory

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

__all__ = [
    "GLOBAL_RETRY_SEMAPHORES",
    "MULTIPROCESS_SEMAPHORE_DIR",
    "PSUTIL_AVAILABLE",
    "RetryDecorator",
    "retry",
    "time_execution",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")

logger: logging.Logger = logging.getLogger("bubus")

_WORTH_LOGGING: Final = 0.25
"""Seconds below which `time_execution` is silent."""


def time_execution(
    additional_text: str = "",
) -> Callable[[Callable[_P, Coroutine[object, None, _R]]], Callable[_P, Coroutine[object, None, _R]]]:
    """
    Log at DEBUG how long each call of an async function took, if it was longer than a quarter of a second.

    Args:
        additional_text: Name in the log; by default the function's.

    """

    def decorate(function: Callable[_P, Coroutine[object, None, _R]]) -> Callable[_P, Coroutine[object, None, _R]]:
        name = additional_text.strip("-") or function.__qualname__

        @functools.wraps(function)
        async def timed(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            start = time.perf_counter()
            result = await function(*args, **kwargs)
            _log_duration(name, time.perf_counter() - start)
            return result

        return timed

    return decorate


def _log_duration(name: str, seconds: float) -> None:
    if seconds > _WORTH_LOGGING:
        logger.debug("%s took %.2f s", name, seconds)


class _Helpers(ModuleType):
    """Makes two names of this module live: what they stand for is looked up when asked for."""

    _psutil: bool | None = None

    @property
    def MULTIPROCESS_SEMAPHORE_DIR(self) -> Path:  # noqa: N802 - a name of the older package
        """Where the semaphores of all processes are kept; assign a path to keep them elsewhere."""
        return directory()

    @MULTIPROCESS_SEMAPHORE_DIR.setter
    def MULTIPROCESS_SEMAPHORE_DIR(self, path: Path) -> None:  # noqa: N802 - see above
        assign_directory(path)

    @property
    def PSUTIL_AVAILABLE(self) -> bool:  # noqa: N802 - a name of the older package
        """Whether psutil is installed; nothing here uses it."""
        if self._psutil is None:
            return importlib.util.find_spec("psutil") is not None
        return self._psutil

    @PSUTIL_AVAILABLE.setter
    def PSUTIL_AVAILABLE(self, said: bool) -> None:  # noqa: N802 - see above
        self._psutil = said


if TYPE_CHECKING:
    MULTIPROCESS_SEMAPHORE_DIR: Path
    PSUTIL_AVAILABLE: bool

sys.modules[__name__].__class__ = _Helpers
