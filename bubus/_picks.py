"""Which parts of a value to dump: `include` and `exclude`, as pydantic understands them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final, TypeAlias, cast

import attrs

from bubus._narrow import is_mapping
from bubus.errors import OptionTypeError

IncEx: TypeAlias = Container[object] | None
"""A set of names (or indices, or ``"__all__"``), or a dict from them to True, or to what to pick within."""


@attrs.frozen(slots=True, eq=False)
class Picks:
    """What to dump of one value."""

    include: IncEx = None
    exclude: IncEx = None

    def of(self, key: object) -> Picks | None:
        """Return what to dump of the part called *key*, None to leave it out."""
        if self.include is None and self.exclude is None:
            return self
        out, exclude = _found(self.exclude, key)
        if out and exclude is None:
            return None
        wanted, include = _found(self.include, key)
        if self.include is not None and not wanted and key not in self.include:
            return None
        return Picks(include, exclude)

    def of_index(self, index: int, length: int) -> Picks | None:
        """Return what to dump of the item at *index*; a negative one counts from the end."""
        if self.include is None and self.exclude is None:
            return self
        return Picks(_by_index(self.include, length), _by_index(self.exclude, length)).of(index)


ALL: Final = Picks()
"""Everything."""


def _found(picks: IncEx, key: object) -> tuple[bool, IncEx]:
    """Tell whether *picks* name *key*, and return what they pick within it, None for all of it."""
    if picks is None:
        return False, None
    if not is_mapping(picks):
        return key in picks or "__all__" in picks, None
    own, common = picks.get(key, False), picks.get("__all__", False)
    if _is_whole(own) or _is_whole(common):
        return True, None
    parts = [_checked(key, part) for part in (common, own) if part is not False and part is not None]
    if not parts:
        return False, None
    return True, parts[0] if len(parts) == 1 else {**_as_dict(parts[0]), **_as_dict(parts[1])}


def _checked(name: object, picks: object) -> Container[object]:
    if isinstance(picks, str | bytes) or not hasattr(picks, "__contains__"):
        raise OptionTypeError(f"{name}={picks!r} names no fields; pass a set or a dict of them")
    return cast("Container[object]", picks)


def _is_whole(part: object) -> bool:
    return part is True or part is ...


def _as_dict(picks: Container[object]) -> dict[object, object]:
    return dict(picks) if is_mapping(picks) else dict.fromkeys(cast("Iterable[object]", cast("object", picks)), True)


def _by_index(picks: IncEx, length: int) -> IncEx:
    """Return *picks* with indices that count from the end made ordinary ones."""
    if picks is None:
        return None
    return {
        key + length if isinstance(key, int) and not isinstance(key, bool) and key < 0 else key: part
        for key, part in _as_dict(picks).items()
    }


def picks_of(include: IncEx, exclude: IncEx) -> Picks:
    """
    Return what to dump.

    Raises:
        OptionTypeError: If one is text, or nothing that names parts.
    """
    for name, value in (("include", include), ("exclude", exclude)):
        if value is not None:
            _ = _checked(name, value)
    return ALL if include is None and exclude is None else Picks(include, exclude)
