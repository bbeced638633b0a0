"""How closely values are checked: the mode that a check is compiled for."""

from __future__ import annotations

import enum
from typing import Final

import attrs


class Level(enum.IntEnum):
    """How far a value may be from its type."""

    LAX = 0
    """Converted where pydantic converts."""

    STRICT = 1
    """An instance of the type or of a subclass."""

    EXACT = 2
    """An instance of the type itself: what a union tries first."""


@attrs.frozen(slots=True)
class Mode:
    """What a compiled check is for."""

    level: Level = Level.LAX
    json: bool = False
    """Values come from JSON: text may stand for a date and a list for a set, and there are no live objects."""

    strict: bool = False
    """It is the user, and not a union in search of the best fit, who wants no conversions: no dict is a record."""

    base64: bool = False
    """Text that stands for bytes is base64, as plain msgspec writes it; otherwise it is UTF-8, as in pydantic."""

    def at(self, level: Level) -> Mode:
        """Return this mode at another level."""
        return attrs.evolve(self, level=level)

    @property
    def lax(self) -> bool:
        """Whether values are converted."""
        return self.level is Level.LAX

    @property
    def builds_records(self) -> bool:
        """Whether a dict may stand for a dataclass, an event and the like."""
        return self.json or not self.strict


LAX: Final = Mode()
LAX_JSON: Final = Mode(json=True)
WIRE: Final = Mode(json=True, base64=True)
"""What `bubus._codec` and plain msgspec write."""

STRICT: Final = Mode(Level.STRICT, strict=True)
STRICT_JSON: Final = Mode(Level.STRICT, json=True, strict=True)
