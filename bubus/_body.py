"""A class body before the class is made: what decorators and other libraries left in it is taken out."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Protocol, cast

import attrs

from bubus._config import KEYS
from bubus._foreign import translated
from bubus._marks import Mark, Marked
from bubus._narrow import is_class, is_mapping, namespace_of
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Marking(Protocol):
    """The part of `bubus._define.Blueprint` that is needed here."""

    @property
    def own_marks(self) -> Mapping[str, Mark]: ...


@attrs.frozen(slots=True, eq=False)
class Body:
    """What a class is made from."""

    namespace: dict[str, object]
    """Its body, with each decorated function in its own place."""

    marks: dict[str, Mark]
    """What decorators left, by the names of the functions."""

    config: dict[str, object]
    """Its own settings, from `model_config` and from behind its bases."""


def opened(cls: str, namespace: Mapping[str, object], options: dict[str, object]) -> Body:
    """
    Take the body of a class called *cls* apart; settings are taken out of *options*, what stands behind the bases.

    Raises:
        DefinitionError: If its settings are no dict, or are written twice.
    """
    values = {name: translated(value) for name, value in namespace.items()}
    marks = {name: value.mark for name, value in values.items() if isinstance(value, Marked)}
    functions = {name: value.function if isinstance(value, Marked) else value for name, value in values.items()}
    behind = {key: options.pop(key) for key in [*options] if key in KEYS}
    return Body(functions, marks, {**_settings(cls, values), **behind})


def _settings(cls: str, values: Mapping[str, object]) -> Mapping[str, object]:
    """Return the settings in a class body, also those that are written in the words of pydantic 1."""
    written, older = values.get("model_config"), values.get("Config")
    if not is_class(older):
        if not is_mapping(written or {}):
            raise DefinitionError(f"{cls}: settings of an event class are written `model_config = ConfigDict(…)`")
        return cast("Mapping[str, object]", written or {})
    if written is not None:
        raise DefinitionError(f"{cls} has both model_config and a class Config; move the settings to model_config")
    warnings.warn(
        f"{cls}: `class Config` is deprecated; write `model_config = ConfigDict(…)`", DeprecationWarning, stacklevel=4
    )
    return {key: value for key, value in namespace_of(older).items() if not key.startswith("__")}


def collected_marks(cls: type, own: Mapping[str, Mark]) -> dict[str, Mark]:
    """Return the marks of a class by the names of their functions: those of its bases and its *own*."""
    found: dict[str, Mark] = {}
    for base in reversed(cls.__mro__[1:]):
        blueprint: _Marking | None = base.__dict__.get("__event_blueprint__")
        if blueprint is not None:
            found.update(blueprint.own_marks)
        else:  # a plain mixin
            mixed = {name: translated(value) for name, value in namespace_of(base).items()}
            found.update({name: value.mark for name, value in mixed.items() if isinstance(value, Marked)})
    return {**found, **own}


def is_root(cls: type) -> bool:
    """Tell whether *cls* is the event class that all others are made from."""
    return "__event_blueprint__" in cls.__dict__ and not any(
        "__event_blueprint__" in base.__dict__ for base in cls.__mro__[1:]
    )
