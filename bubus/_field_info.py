"""
FieldInfo: all that is said of a field, beside its type, in its default and in its `Annotated`.

`Field()` returns one; `bubus._foreign` merges those of an annotation and of a default into `Blueprint.infos`, which is
`model_fields`. Other libraries' descriptions are translated to it by `FieldInfo.said`.
"""

from __future__ import annotations

import inspect
import typing
from functools import partial
from typing import Final, cast

import attrs
from typing_extensions import override

from bubus._generics import name_of
from bubus._marks import Limits
from bubus._narrow import attribute, attrs_fields, made
from bubus._types import MISSING

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    from bubus._aliases import Path

_NO_DEFAULT: Final[object] = inspect.Parameter.empty
_LIMITS: Final = frozenset(field.name for field in attrs_fields(Limits))


@attrs.frozen(slots=True, eq=False, repr=False)
class FieldInfo:
    """All that is known of a field; the names are pydantic's."""

    annotation: object = None
    """The type, without its `Annotated`."""

    default: object = MISSING
    """MISSING if there is none."""

    default_factory: Callable[..., object] | None = None
    """Takes nothing, or the fields validated before, as a dict."""

    alias: str | None = None
    validation_alias: str | tuple[Path, ...] | None = None
    """A name, or several ways to find the value, of which the first that leads to one counts."""

    serialization_alias: str | None = None
    title: str | None = None
    description: str | None = None
    examples: list[object] | None = None
    exclude: bool | None = None
    exclude_if: Callable[[object], bool] | None = None
    frozen: bool | None = None
    repr: bool = True
    validate_default: bool | None = None
    deprecated: str | bool | None = None
    json_schema_extra: object = None
    discriminator: str | None = None
    metadata: tuple[object, ...] = ()
    """What else stands in the `Annotated`: limits, validators, serializers, notes."""

    given: frozenset[str] = frozenset()
    """Names of what was said, and does not just have its default."""

    @classmethod
    def said(cls, **facts: object) -> FieldInfo:
        """Return a record of *facts*, as `Field` names them; limits become an item of `metadata`."""
        limits = {name: value for name, value in facts.items() if name in _LIMITS and value is not None}
        own = {name: value for name, value in facts.items() if name not in _LIMITS}
        others = cast("tuple[object, ...]", own.pop("metadata", ()))
        metadata = (*others, *([made(Limits, limits)] if limits else ()))
        given = frozenset([*own, *["metadata"] * bool(metadata)])
        return made(cls, {**own, "metadata": metadata, "given": given})

    def over(self, other: FieldInfo) -> FieldInfo:
        """Return what both say together; where both say something, *self* counts, but for metadata, which is added."""
        facts: dict[str, object] = {name: getattr(self, name) for name in self.given - {"metadata"}}
        if "default" in facts:
            _ = facts.setdefault("default_factory", None)
        elif facts.get("default_factory") is not None:
            facts["default"] = MISSING
        facts["metadata"] = (*other.metadata, *self.metadata)
        return made(partial(attrs.evolve, other), {**facts, "given": self.given | other.given})

    @override
    def __repr__(self) -> str:
        """Return what is said of the field, in pydantic's form."""
        facts: dict[str, object] = {name: getattr(self, name) for name in sorted(self.given - {"metadata"})}
        shown = "".join(f", {name}={fact!r}" for name, fact in facts.items())
        metadata = f", metadata={[*self.metadata]!r}" if self.metadata else ""
        return f"FieldInfo(annotation={name_of(self.annotation)}, required={self.is_required()}{shown}{metadata})"

    def is_required(self) -> bool:
        """Tell whether there is no default."""
        return self.default is MISSING and self.default_factory is None

    def get_default(self, *, call_default_factory: bool = False) -> object:
        """Return the default; what a factory makes only if *call_default_factory*."""
        if self.default_factory is None:
            return self.default
        return self.default_factory() if call_default_factory else None

    @property
    def factory_takes_data(self) -> bool:
        """Whether the factory wants the fields validated before."""
        return self.default_factory is not None and _takes_one(self.default_factory)

    @property
    def full_annotation(self) -> object:
        """The type with its metadata, as it is compiled."""
        return typing.Annotated[self.annotation, *self.metadata] if self.metadata else self.annotation


def _takes_one(function: Callable[..., object]) -> bool:
    """Tell whether *function* must be given one argument."""
    try:
        parameters = [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):  # of many classes in C nobody knows the signature
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len(parameters) == 1 and parameters[0].kind in kinds and attribute(parameters[0], "default") is _NO_DEFAULT
