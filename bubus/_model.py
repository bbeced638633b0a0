"""EventModel: the fields, validation and construction of events; the run-time half is `bubus._event`."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, Literal, TypeVar

import attrs
from typing_extensions import Self, TypedDict, dataclass_transform

from bubus import _framework as framework
from bubus._compile import compile_type
from bubus._mode import LAX, Mode
from bubus._construct import Argument, Init, write_init
from bubus._faults import fault, refuse
from bubus._fields import Field, Scope, annotations_of, declare, is_class_variable, own_copy, substitute
from bubus._ids import new_id
from bubus._registry import candidates as candidates, register, registered as registered
from bubus._types import Check
from bubus.errors import DefinitionError


class ConfigDict(TypedDict, total=False):
    """Settings of an event class, in its attribute `model_config`."""

    extra: Literal["allow", "ignore", "forbid"]
    """What becomes of arguments that are no fields: kept (the default), dropped, refused."""


@dataclass_transform(kw_only_default=True, field_specifiers=(Field, attrs.field))
class EventMeta(type):
    """Makes every subclass of `EventModel` an attrs class with a constructor of its own, without a decorator."""

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        version: str | None = None,
        **options: Any,
    ) -> EventMeta:
        cls = super().__new__(mcs, name, bases, namespace, **options)
        _define(cls, namespace, version, sys._getframe(1))
        return cls

    def __init__(
        cls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        version: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, bases, namespace, **options)


def _define(cls: Any, namespace: dict[str, Any], version: str | None, frame: types.FrameType) -> None:
    scope = Scope(cls.__module__, {cls.__name__: cls}, frame)
    for p in namespace.get("__type_params__", ()):
        scope.own[p.__name__] = p
    cls.__event_scope__ = scope
    cls.__event_inits__ = {}
    own: dict[str, Any] = {}
    raw: dict[str, Any] = {}
    anns = annotations_of(cls)
    known = {a.name for base in cls.__mro__[1:] for a in getattr(base, "__attrs_attrs__", ())}
    for n, ann in anns.items():
        if n.startswith("_") or is_class_variable(ann) or n in ("model_config", "event_result_type"):
            continue
        if n.startswith(framework.RESERVED_PREFIXES) and n not in framework.CHECKS:
            raise DefinitionError(
                f"{cls.__qualname__}.{n}: names that start with event_ or model_ are reserved; rename the field"
            )
        raw[n] = ann
        own[n] = declare(namespace[n]) if n in namespace else attrs.field()
        if n in namespace:
            delattr(cls, n)
    for n in known:
        if n in namespace and n not in anns:
            own[n] = declare(namespace[n])
            delattr(cls, n)
    typs = {n: scope.resolve(a) for n, a in raw.items()}
    if own.get("event_type") is not None and "event_type" not in typs or "event_type" in own:
        default = own["event_type"]._default
        name = default if isinstance(default, str) else cls.__name__
    else:
        name = getattr(cls, "__event_own_type__", None) or cls.__name__
    cls.__event_type__ = name
    cls.__event_origin__ = cls
    _result_type(cls, namespace)
    schema = framework.schema_of(cls, version)

    def transform(_: type, attributes: list[Any]) -> list[Any]:
        out = []
        for a in attributes:
            if a.name in typs:
                a = a.evolve(type=typs[a.name])
            if a.name == "event_type":
                a = a.evolve(default=name)
            if a.name == "event_schema" and "event_schema" not in own:
                a = a.evolve(default=schema)
            out.append(a)
        order = {n: i for i, n in enumerate([*framework.CHECKS, *dict.fromkeys(a.name for a in out)])}
        return sorted(out, key=lambda a: list(framework.CHECKS).index(a.name) if a.name in framework.CHECKS else 100)

    attrs.define(
        cls,
        these=own,
        slots=False,
        kw_only=True,
        init=False,
        eq=False,
        order=False,
        repr=False,
        field_transformer=transform,
    )
    init = cls.__event_init__(LAX)
    if "__init__" not in namespace:
        cls.__init__ = init


def _result_type(cls: Any, namespace: dict[str, Any]) -> None:
    annotation: Any = getattr(cls, "event_result_type", Any)
    if namespace.get("__event_root__"):
        cls.__event_parameter__ = cls.__parameters__[0]
    for base in namespace.get("__orig_bases__", ()):
        origin = typing.get_origin(base)
        if isinstance(origin, EventMeta):
            inherited = getattr(origin, "__event_parameter__", Any)
            mapping = dict(zip(origin.__parameters__, typing.get_args(base), strict=False))
            cls.__event_parameter__ = substitute(inherited, mapping)
            annotation = cls.__event_parameter__
    if isinstance(annotation, TypeVar):
        annotation = Any
    if "event_result_type" in namespace:
        annotation = namespace["event_result_type"]
    annotation = None if annotation is type(None) else annotation
    cls.event_result_type = annotation
    cls.__event_result__ = None
    if annotation is not None and annotation is not Any:
        check = compile_type(cls.__event_scope__.resolve(annotation), f"{cls.__name__} result")
        cls.__event_result__ = check.validate


class EventModel(metaclass=EventMeta):
    """Base of `BaseEvent`: what an event is before any bus has seen it."""

    model_config: ClassVar[ConfigDict] = {"extra": "allow"}

    __event_type__: ClassVar[str]
    __event_origin__: ClassVar[type]
    __event_result__: ClassVar[Check | None]
    __event_inits__: ClassVar[dict[Mode, Init]]
    __event_scope__: ClassVar[Scope]
    __event_root__: ClassVar[bool] = False
    event_result_type: ClassVar[Any] = Any

    _event_state: Any = None

    event_type: str = attrs.field(default="EventModel")
    event_schema: str = attrs.field(default="")
    event_id: str = attrs.field(factory=new_id)
    event_parent_id: str | None = None
    event_path: list[str] = attrs.field(factory=list)
    event_timeout: float | None = 60.0
    event_created_at: datetime = attrs.field(factory=framework.utc_now)

    @classmethod
    def __event_init__(cls, mode: Mode) -> Init:
        found = cls.__event_inits__.get(mode)
        if found is None:
            arguments = [
                Argument(a, compile_type(a.type, f"{cls.__qualname__}.{a.name}", mode)) for a in attrs.fields(cls)
            ]
            arguments = [
                attrs.evolve(a, validator=attrs.evolve(a.validator, check=framework.CHECKS[a.name], exact=frozenset()))
                if a.name in framework.CHECKS
                else a
                for a in arguments
            ]
            found = cls.__event_inits__[mode] = write_init(cls, arguments, mode)
        return found

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        register(cls.__event_type__, cls)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _public(self) == _public(other)

    def __hash__(self) -> int:
        return hash(self.event_id)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_event_state"}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in _public(self).items() if not k.startswith('event_'))})"


def _public(event: Any) -> dict[str, Any]:
    return {name: value for name, value in event.__dict__.items() if name[0] != "_"}
