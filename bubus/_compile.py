"""
From an annotation to the function that checks a value against it, once per class.

pydantic's lax mode says what is accepted and what comes out. A value of exactly the right type costs one look at its
type; what msgspec can check by itself it checks in C; everything else is put together from small closures.
"""

from __future__ import annotations

import collections
import collections.abc
import enum
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import attrs
import msgspec
import typing_extensions

from bubus import _containers as containers
from bubus._coerce import SCALARS
from bubus._faults import Invalid, fail, refuse
from bubus._types import Check
from bubus.errors import DefinitionError


class Level(enum.IntEnum):
    """How far a value may be from its type."""

    LAX = 0
    """Converted where pydantic converts."""

    STRICT = 1
    """An instance of the type or a subclass."""

    EXACT = 2
    """An instance of the type itself: what a union tries first."""


@attrs.frozen(slots=True)
class Mode:
    """What the compiled check is for."""

    level: Level = Level.LAX
    json: bool = False
    """Values come from JSON: text may stand for a date, a list for a set; no live objects."""

    def at(self, level: Level) -> Mode:
        """Return this mode at another level."""
        return attrs.evolve(self, level=level)


LAX: Final = Mode()


@attrs.frozen(slots=True, eq=False)
class Validator:
    """A compiled annotation."""

    annotation: Any
    label: str
    """Names the type in the location of a union's fault."""

    check: Check
    """Returns the value to keep or raises `Invalid`."""

    exact: frozenset[type] | None = frozenset()
    """Instances of exactly these types need no check; None: no value does."""

    title: str = "value"

    def validate(self, value: object) -> Any:
        """
        Return *value* as its type wants it.

        Raises:
            ValidationError: With every fault.
        """
        try:
            return self.check(value)
        except Invalid as invalid:
            raise refuse(self.title, invalid.faults) from None


def compile_type(annotation: Any, owner: str, mode: Mode = LAX) -> Validator:
    """
    Compile *annotation*; *owner* names what it belongs to in errors.

    Raises:
        DefinitionError: If values of this type can be neither decoded nor told from others.
    """
    return attrs.evolve(_Compiler(owner, mode).build(annotation), title=owner)


@attrs.define(slots=True, eq=False)
class _Compiler:
    owner: str
    mode: Mode

    def build(self, annotation: Any) -> Validator:
        if annotation is Any or annotation is object:
            return Validator(annotation, "any", lambda value: value, exact=None)
        if annotation is None:
            annotation = type(None)
        if annotation in SCALARS:
            return self._scalar(annotation)
        origin = typing.get_origin(annotation)
        if origin in (typing.Union, types.UnionType):
            return self._union(annotation)
        if origin is list or annotation is list:
            item = self.build((typing.get_args(annotation) or (Any,))[0])
            check = containers.collection_check("list_type", containers.accepts_iterable, list, item.check)
            return Validator(annotation, f"list[{item.label}]", check)
        if origin is dict or annotation is dict:
            k, v = [self.build(a) for a in (typing.get_args(annotation) or (Any, Any))]
            check = containers.mapping_check(containers.accepts_mapping, dict, k.check, v.check)
            return Validator(annotation, f"dict[{k.label},{v.label}]", check)
        if isinstance(annotation, type):
            return self._instance(annotation)
        raise DefinitionError(f"{self.owner}: {annotation!r} can be neither decoded nor checked")

    def _scalar(self, kind: type) -> Validator:
        label, strict, lax = SCALARS[kind]
        exact = frozenset({kind})
        return Validator(kind, label, lax if self.mode.level is Level.LAX else strict, exact)

    def _union(self, annotation: Any) -> Validator:
        members = [self.build(arg) for arg in typing.get_args(annotation)]
        exact = frozenset().union(*[m.exact or () for m in members])
        def check(value: Any) -> Any:
            if type(value) in exact:
                return value
            faults = []
            for m in members:
                try:
                    return m.check(value)
                except Invalid as invalid:
                    faults += [f.under(m.label) for f in invalid.faults]
            raise Invalid(faults)
        return Validator(annotation, "union", check, exact)

    def _instance(self, kind: type) -> Validator:
        def check(value: Any) -> Any:
            if isinstance(value, kind):
                return value
            fail("is_instance_of", value, **{"class": kind.__name__})
        return Validator(kind, kind.__name__, check, frozenset({kind}))
