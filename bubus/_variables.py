"""Context variables that are set for a while."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextvars import ContextVar


@contextlib.contextmanager
def put(variable: ContextVar[Any], value: object) -> Generator[None]:
    """Set a context variable for a while."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
