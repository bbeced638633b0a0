"""How closely values are checked: the mode that a check is compiled for."""

from __future__ import annotations

import enum
from typing import Final

import attrs

from bubus.errors import OptionError


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

    decided: bool = False
    """The caller said whether to convert, so that what fields and classes say about it does not count."""

    base64: bool = False
    """Text that stands for bytes is base64, as plain msgspec writes it; otherwise it is UTF-8, as in pydantic."""

    by_alias: bool | None = None
    """Whether the caller wants values found by aliases; None leaves it to the class."""

    by_name: bool | None = None
    """Likewise, by the names of fields that have aliases."""

    extra: str | None = None
    """What the caller wants to become of arguments that are no fields; None leaves it to the class."""

    from_attributes: bool | None = None
    """Whether the caller wants any object to be read by its attributes; None leaves it to the class."""

    def at(self, level: Level) -> Mode:
        """Return this mode at another level."""
        return attrs.evolve(self, level=level)

    def strictly(self, strict: bool) -> Mode:
        """Return this mode as a field or class wants it that says whether to convert."""
        if self.decided or self.base64 or self.level > Level.STRICT:
            return self
        return attrs.evolve(self, level=Level.STRICT if strict else Level.LAX, strict=strict)

    def by_names(self) -> Mode:
        """Return this mode for values that are named as the fields are."""
        return attrs.evolve(self, by_alias=False, by_name=True)

    def calls(self, when: str) -> bool:
        """
        Tell whether functions that run *when* are called.

        What bubus wrote was validated before; functions that did more than check would change it again. Only those in
        place of a check are called, since nobody else knows how to read such a value; see also `doubts`.
        """
        return when == "plain" or not self.base64

    def doubts(self, when: str) -> bool:
        """Tell whether a field's function is called all the same, and counts if its value is written as it was read."""
        return self.base64 and when in {"after", "wrap"}

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

STRICT: Final = Mode(Level.STRICT, strict=True, decided=True)
STRICT_JSON: Final = Mode(Level.STRICT, json=True, strict=True, decided=True)


_BY_STRICTNESS: Final[dict[tuple[bool | None, bool], Mode]] = {
    (None, False): LAX,
    (None, True): LAX_JSON,
    (True, False): STRICT,
    (True, True): STRICT_JSON,
    (False, False): Mode(decided=True),
    (False, True): Mode(json=True, decided=True),
}


def mode_for(
    strict: bool | None,
    *,
    json: bool = False,
    extra: str | None = None,
    from_attributes: bool | None = None,
    by_alias: bool | None = None,
    by_name: bool | None = None,
) -> Mode:
    """
    Return the mode that a caller asks for.

    Raises:
        OptionError: If *extra* is none, or values shall be found neither by aliases nor by names.
    """
    if extra not in (None, "allow", "ignore", "forbid"):
        raise OptionError(f"extra={extra!r} is none of 'allow', 'ignore' and 'forbid'")
    if by_alias is False and not by_name:
        raise OptionError("with by_alias=False fields are found by name; pass by_name=True")
    found = _BY_STRICTNESS[strict, json]
    if extra is None and from_attributes is None and by_alias is None and by_name is None:
        return found
    return attrs.evolve(found, extra=extra, from_attributes=from_attributes, by_alias=by_alias, by_name=by_name)
