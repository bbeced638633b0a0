"""A class body before the class is made: what decorators and other libraries left in it is taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bubus._foreign import translated
from bubus._marks import Mark, Marked

if TYPE_CHECKING:
    from collections.abc import Mapping


def opened(namespace: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Mark]]:
    """Return a class body with each marked function in its own place, and the marks by name."""
    values = {name: translated(value) for name, value in namespace.items()}
    marks = {name: value.mark for name, value in values.items() if isinstance(value, Marked)}
    return {name: value.function if isinstance(value, Marked) else value for name, value in values.items()}, marks


def collected_marks(cls: type, own: Mapping[str, Mark]) -> dict[str, Mark]:
    """Return the marks of a class by the names of their functions: those of its bases and its *own*."""
    found: dict[str, Mark] = {}
    for base in reversed(cls.__mro__[1:]):
        blueprint: Any = base.__dict__.get("__event_blueprint__")
        if blueprint is not None:
            found.update(blueprint.own_marks)
        else:  # a plain mixin
            found.update({name: value.mark for name, value in vars(base).items() if isinstance(value, Marked)})
    return {**found, **own}
