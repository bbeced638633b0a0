"""Settings of event classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, cast

from typing_extensions import TypedDict

from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping


class ConfigDict(TypedDict, total=False):
    """Settings of an event class, in its attribute `model_config`."""

    extra: Literal["allow", "ignore", "forbid"]
    """What becomes of arguments that are no fields: kept (the default), dropped, refused."""


_CHOICES: Final[dict[str, tuple[object, ...]]] = {"extra": ("allow", "ignore", "forbid")}


def merged_config(cls: type, own: Mapping[str, Any]) -> ConfigDict:
    """
    Return the settings of a new class: its *own* ones over those of its bases.

    Raises:
        DefinitionError: If a setting is unknown.
    """
    merged: dict[str, Any] = {}
    for base in reversed(cls.__mro__[1:]):
        merged.update(base.__dict__.get("model_config", {}))
    for key, value in own.items():
        _check(cls, key, value)
        merged[key] = value
    return cast("ConfigDict", merged)


def _check(cls: type, key: str, value: object) -> None:
    if key not in _CHOICES:
        raise DefinitionError(f"{cls.__qualname__}.model_config: {key!r} is not supported; there is {list(_CHOICES)}")
    if value not in _CHOICES[key]:
        raise DefinitionError(f"{cls.__qualname__}.model_config: {key}={value!r} is none of {_CHOICES[key]}")
