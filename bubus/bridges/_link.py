"""Whether the server answers, and how long to wait for it."""

from __future__ import annotations

import asyncio
from typing import Final

from bubus.bridges._safe import logger, safe

_SHORTEST: Final = 0.05
_LONGEST: Final = 1.0
"""Seconds between two attempts."""


class Link:
    """Whether the server answers. Each outage is told once, and its end once."""

    def __init__(self, name: str) -> None:
        self._name: Final = name
        self._restored: asyncio.Future[None] | None = None

    @property
    def is_up(self) -> bool:
        """Whether the server answered last time."""
        return self._restored is None

    def lost(self, error: object) -> None:
        """Learn that the server does not answer."""
        if self._restored is None:
            self._restored = asyncio.get_running_loop().create_future()
            logger.warning("%s: the server does not answer (%s); trying again until it does", self._name, safe(error))

    def restored(self) -> None:
        """Learn that the server answers."""
        if self._restored is not None:
            self._restored.set_result(None)
            self._restored = None
            logger.warning("%s: the server answers again", self._name)

    async def wait(self, seconds: float) -> None:
        """Wait until the server answers again, at most *seconds*."""
        if self._restored is not None:
            _ = await asyncio.wait([self._restored], timeout=seconds)


class Patience:
    """Waits a little longer before each attempt, unless the server answers before."""

    def __init__(self, link: Link) -> None:
        self._link: Final = link
        self._seconds: float = _SHORTEST

    async def wait(self) -> None:
        """Wait before the next attempt."""
        seconds, self._seconds = self._seconds, min(2 * self._seconds, _LONGEST)
        if self._link.is_up:
            await asyncio.sleep(seconds)
        else:
            await self._link.wait(seconds)
