"""Names that several modules share: type variables and the sentinel for "not given"."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

from typing_extensions import TypeVar, override

T = TypeVar("T")
"""Any type."""

T_co = TypeVar("T_co", covariant=True)
"""Any type that is only handed out."""

T_EventResultType = TypeVar("T_EventResultType", default=Any)  # pyright: ignore[reportExplicitAny] - a bare `BaseEvent` says nothing
"""What the handlers of an event return; `Any` for a bare `BaseEvent`."""

T_Given = TypeVar("T_Given", default=Any)  # pyright: ignore[reportExplicitAny] - only the user's code knows it
"""What a user has given, and is handed back as it came; `Any` where nobody says what."""

Values: TypeAlias = dict[str, T_Given]
"""Such values by name."""

Check: TypeAlias = Callable[[object], object]
"""Takes a value, returns the value to keep, raises `bubus._faults.Invalid`."""


ResultStatus: TypeAlias = Literal["pending", "started", "completed", "error"]
"""What has become of the work of a handler."""


class Missing(enum.Enum):
    """Type of `MISSING`, of use in annotations as ``Literal[Missing.MISSING]``."""

    MISSING = "MISSING"

    @override
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING
"""Stands for an argument that was not given, where None is a value."""
