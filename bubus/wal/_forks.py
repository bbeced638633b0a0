"""A forked child shares its parent's descriptors, and must neither write with them nor keep the lock with them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from typing import Final


class Forkable(Protocol):
    """Something that belongs to one process."""

    def after_fork(self) -> None:
        """Give up, in the child, what belongs to the parent."""


_watched: Final[WeakSet[Forkable]] = WeakSet()
_hooks: Final[list[object]] = []


def watch(log: Forkable) -> None:
    """Call ``log.after_fork()`` in every child from now on, as long as *log* is alive."""
    if not _hooks and hasattr(os, "register_at_fork"):  # at the first log, not at import, and only once
        os.register_at_fork(after_in_child=_after_fork)
        _hooks.append(_after_fork)
    _watched.add(log)


def _after_fork() -> None:
    for log in list(_watched):
        log.after_fork()
