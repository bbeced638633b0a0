"""Context variables that are set for a while."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextvars import ContextVar

    from bubus._types import T


@contextlib.contextmanager
def put(variable: ContextVar[T], value: T) -> Generator[None]:
    """Set a context variable for a while."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
