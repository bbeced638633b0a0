"""`AliasPath` and `AliasChoices`: places where a field's value is found, other than under one name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from typing_extensions import override

from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterable

Path: TypeAlias = tuple[str | int, ...]
"""The way to a value: a key, and further keys and indices within what stands there."""


class AliasPath:
    """A place within what is given: ``AliasPath("at", 0)`` is the first item of ``at``."""

    def __init__(self, first_arg: str, *args: str | int) -> None:
        """
        Make one of a key, and further keys and indices.

        Raises:
            DefinitionError: If a part is neither text nor an index.
        """
        self.path: list[str | int] = [first_arg, *args]
        _refuse_unless(self.path[:1], str, "a key")
        _refuse_unless(self.path[1:], (str, int), "a key or an index")

    @override
    def __repr__(self) -> str:
        return f"AliasPath(path={self.path!r})"


class AliasChoices:
    """Several places, of which the first that has a value counts: names, and `AliasPath`s."""

    def __init__(self, first_choice: str | AliasPath, *choices: str | AliasPath) -> None:
        """
        Make one of names and paths.

        Raises:
            DefinitionError: If a choice is neither.
        """
        self.choices: list[str | AliasPath] = [first_choice, *choices]
        _refuse_unless(self.choices, (str, AliasPath), "a name or an AliasPath")

    @override
    def __repr__(self) -> str:
        return f"AliasChoices(choices={self.choices!r})"


def _refuse_unless(parts: Iterable[object], kinds: type | tuple[type, ...], words: str) -> None:
    for part in parts:
        if not isinstance(part, kinds):
            raise DefinitionError(f"{part!r} in an alias must be {words}")


def lookups(alias: object) -> tuple[Path, ...]:
    """Return the ways to a value that an AliasPath or AliasChoices names, ours or pydantic's."""
    choices = cast("Iterable[str | AliasPath]", getattr(alias, "choices", [alias]))
    return tuple((choice,) if isinstance(choice, str) else tuple(choice.path) for choice in choices)


def places(alias: object) -> str | tuple[Path, ...] | None:
    """
    Return what `Field` was given as `validation_alias`: a name, or ways to a value.

    Raises:
        DefinitionError: If it is something else.
    """
    if alias is None or (isinstance(alias, str) and alias):
        return alias
    if hasattr(alias, "choices") or hasattr(alias, "path"):
        return lookups(alias)
    raise DefinitionError(f"validation_alias={alias!r} must be a name, an AliasPath or AliasChoices")
