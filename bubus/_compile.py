"""
From an annotation to the function that checks a value against it, once per class.

pydantic's lax mode says what is accepted and what comes out. A value of exactly the right type costs one look at its
type; lists of plain values are checked by msgspec in C; everything else is put together from small closures.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import typing
from collections import abc
from typing import Any, Final, NewType, TypeAlias, cast

import attrs
import msgspec
import typing_extensions as te

import bubus._containers as containers
import bubus._records as records
import bubus._unions as unions
from bubus._coerce import JSON_BYTES, SCALARS, WIRE_BYTES, Scalar
from bubus._config import DEFAULT, Settings
from bubus._constraints import Steps, adapted, common_limits, grouped, limited, limits_in, refuse_useless
from bubus._faults import Invalid, fail, fault, refuse
from bubus._fields import alias_value, evaluated
from bubus._functions import applied, reread
from bubus._generics import LITERALS, UNION, UNIONS, WRAPPERS, mapping_of, substitute
from bubus._marks import ValueValidator
from bubus._mode import LAX, Level, Mode
from bubus._narrow import (
    arguments_of,
    attribute,
    attrs_fields,
    bare,
    dataclass_fields,
    is_checkable,
    is_class as _is_class,
    is_named_tuple,
    is_type_alias,
    item_of,
    origin_of,
)
from bubus._pydantic_types import adapted_check, is_adapted
from bubus._standard import standard
from bubus.errors import DefinitionError

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bubus._types import Check

_NOTHING: Final[frozenset[type]] = frozenset()

_SEQUENCES: Final = frozenset[object]((abc.Sequence, abc.Collection, abc.Iterable))
_BUILTINS: Final = frozenset[object]((list, set, frozenset, tuple, dict))
_OLD_TUPLE: Final[object] = attribute(typing, "Tuple")
"""The older spelling, which annotations may have."""

_NOT_REQUIRED: Final = frozenset[object]((typing.NotRequired, te.NotRequired))
_REQUIRED: Final = frozenset[object]((typing.Required, te.Required))

_COLLECTIONS: Final[dict[object, tuple[type, str]]] = {
    list: (list, "list_type"),
    set: (set, "set_type"),
    frozenset: (frozenset, "frozen_set_type"),
    collections.deque: (collections.deque, "deque_type"),
    abc.MutableSequence: (list, "list_type"),
    abc.Set: (frozenset, "frozen_set_type"),
    abc.MutableSet: (set, "set_type"),
}
_MAPPINGS: Final[dict[object, tuple[type, str]]] = {
    dict: (dict, "dict_type"),
    collections.OrderedDict: (collections.OrderedDict, "ordered_dict_type"),
    collections.defaultdict: (collections.defaultdict, "default_dict_type"),
    collections.Counter: (collections.Counter, "counter_type"),
    abc.Mapping: (dict, "dict_type"),
    abc.MutableMapping: (dict, "dict_type"),
}
_CALLABLE: Final[object] = abc.Callable
_IN_C: Final = frozenset[object]((str, int, float, bool, type(None)))
"""Leaves that msgspec's strict mode and pydantic's agree on."""


@attrs.frozen(slots=True, eq=False)
class Validator:
    """A compiled annotation."""

    annotation: object
    label: str
    """Names the type in the location of a union's fault."""

    check: Check
    """Returns the value to keep or raises `Invalid`."""

    exact: frozenset[type] | None = _NOTHING
    """Instances of exactly these types need no check; None: no value does."""

    in_c: bool = False
    """Whether msgspec can check this type with the same outcome, except for faults."""

    fields: frozenset[str] | None = None
    """Names of the fields, if it is a record that a dict can be."""

    title: str = "value"
    """Heads the report of its faults."""

    asks: bool = False
    """Whether a function in it wants to know more than the value: see `bubus._functions.current`."""

    @property
    def item_check(self) -> Check | None:
        """The check as a container needs it: None if every value passes."""
        return None if self.exact is None else self.check

    def validate(self, value: object) -> object:
        """
        Return *value* as its type wants it; None always passes.

        Raises:
            ValidationError: With every fault.
        """
        if value is None:
            return None
        try:
            return self.check(value)
        except Invalid as invalid:
            raise refuse(self.title, invalid.faults) from None
        except RecursionError:
            raise refuse(self.title, [fault("recursion_loop", value)]) from None


def compile_type(annotation: object, owner: str, mode: Mode = LAX, settings: Settings = DEFAULT) -> Validator:
    """
    Compile *annotation*; *owner* names what it belongs to in errors.

    Raises:
        DefinitionError: If values of this type can be neither decoded nor told from others.
        UnknownName: If a name in it, or in a class it names, does not exist yet.
    """
    own = mode.strictly(settings.strict) if settings.strict else mode
    compiler = Compiler(owner, own, settings, mode)
    validator = compiler.build(annotation)
    return attrs.evolve(validator, title=owner, asks=bool(compiler.asking))


Builder: TypeAlias = "Callable[[Compiler, object], Validator | None]"


@attrs.define(slots=True, eq=False)
class Compiler:
    """Compiles the annotations of one owner for one mode."""

    owner: str
    mode: Mode
    settings: Settings = DEFAULT
    given: Mode = LAX
    """The mode of the whole event, in which other events within it are checked."""

    asking: list[object] = attrs.Factory(list[object])
    """Functions found that want to know more than the value."""

    parts: Compiler | None = None
    """Compiles what is within the annotation, if that is checked in another mode."""

    _open: dict[object, list[Validator]] = attrs.Factory(dict[object, list[Validator]])
    """Records being compiled; one that contains itself finds itself here."""

    def build(self, annotation: object) -> Validator:
        """
        Return the validator of *annotation*, or of a part of it.

        Raises:
            DefinitionError: If there can be none.
        """
        return (self.parts or self).top(annotation)

    def top(self, annotation: object) -> Validator:
        """
        Return the validator of *annotation* as a whole: of what it merely wraps, too.

        Raises:
            DefinitionError: If there can be none.
        """
        for builder in _BUILDERS:
            found = builder(self, annotation)
            if found is not None:
                return found
        raise DefinitionError(
            f"{self.owner}: a value can neither be decoded to {annotation!r} nor be told to be one; "
            + "use a class, or Any if every value will do"
            + ("" if self.settings.arbitrary_types_allowed else "; or allow arbitrary_types_allowed in model_config")
        )

    def arguments(self, annotation: object, *defaults: object) -> list[Validator]:
        """Return the validators of what stands in the brackets of *annotation*."""
        return [self.build(argument) for argument in arguments_of(annotation) or defaults]

    def at(self, level: Level) -> Compiler:
        """Return a compiler for another level."""
        return attrs.evolve(self, mode=self.mode.at(level), open={}, parts=None)

    def strictly(self, strict: bool | None) -> Compiler:
        """Return a compiler for an annotation, without its parts, that says itself whether values are converted."""
        if strict is None:
            return self
        return attrs.evolve(self, mode=self.mode.strictly(strict), open={}, parts=self.parts or self)

    def hints(self, kind: object) -> dict[str, object]:
        """Return the resolved annotations of a class, or of a generic one with its type arguments."""
        origin = bare(kind)
        mapping = mapping_of(origin, arguments_of(kind))
        return {name: substitute(hint, mapping) for name, hint in evaluated(origin).items()}

    def record(self, kind: object, make: Callable[[], Validator]) -> Validator:
        """Return what *make* returns; while it runs, *kind* stands for its coming result."""
        if kind in self._open:
            cell = self._open[kind]
            return Validator(kind, _name(kind), lambda value: cell[0].check(value))  # noqa: PLW0108 - not yet there
        cell = self._open[kind] = []
        try:
            cell.append(make())
        finally:
            del self._open[kind]
        return cell[0]

    def accepts(self, kind: type[Iterable[object]]) -> containers.Accepts:
        """Return the test for values that count as a *kind* of list, set or tuple in this mode."""
        if self.mode.lax:
            return containers.accepts_iterable
        if self.mode.level is Level.EXACT:
            return containers.accepts_exactly(kind)
        return containers.accepts_only(kind, list) if self.mode.json else containers.accepts_only(kind)

    @property
    def accepts_mapping(self) -> containers.AcceptsMapping:
        """The test for values that count as a dict in this mode."""
        if self.mode.lax:
            return containers.accepts_mapping
        return containers.accepts_exact_dict if self.mode.level is Level.EXACT else containers.accepts_dict


def _name(kind: object) -> str:
    return getattr(kind, "__name__", None) or repr(kind)


def _anything(_: Compiler, annotation: object) -> Validator | None:
    if annotation is not Any and annotation is not object and annotation is not te.Any:
        return None
    return Validator(annotation, "any", lambda value: value, exact=None)


def _any_in_union(compiler: Compiler, annotation: object) -> Validator | None:
    """Let a union prefer Any to a conversion, but not to an exact match."""
    if compiler.mode.level is not Level.EXACT or (annotation is not Any and annotation is not object):
        return None
    return Validator(annotation, "any", lambda value: fail("is_instance_of", value, **{"class": "Any"}))


def _wrapped(compiler: Compiler, annotation: object) -> Validator | None:
    """Look through what only wraps another annotation."""
    if annotation is None:
        return compiler.top(type(None))
    if annotation is te.LiteralString:
        return compiler.top(str)
    if isinstance(annotation, NewType):
        return compiler.top(annotation.__supertype__)
    if origin_of(annotation) in WRAPPERS:
        return compiler.top(arguments_of(annotation)[0])
    return None


def _alias(compiler: Compiler, annotation: object) -> Validator | None:
    """Look through ``type X = …``, which may contain itself."""
    if not is_type_alias(bare(annotation)):
        return None
    value = alias_value(annotation)
    return compiler.record(annotation, lambda: compiler.top(value))


def _type_variable(compiler: Compiler, annotation: object) -> Validator | None:
    if not isinstance(annotation, typing.TypeVar):
        return None
    default = getattr(annotation, "__default__", te.NoDefault)
    if default is not te.NoDefault and default is not None:
        return compiler.top(default)
    if annotation.__constraints__:
        return compiler.top(item_of(UNION, annotation.__constraints__))
    return compiler.top(annotation.__bound__ or Any)


def _annotated(compiler: Compiler, annotation: object) -> Validator | None:
    """Put limits and functions around what is annotated, in the order in which they stand there."""
    if origin_of(annotation) is not typing.Annotated:
        return None
    kind, *items = arguments_of(annotation)
    validator: Validator | None = None
    for group in grouped(items):
        validator = _with_group(compiler, annotation, kind, validator, group)
    return validator or compiler.top(kind)


def _with_group(
    compiler: Compiler, annotation: object, kind: object, inner: Validator | None, group: list[object]
) -> Validator | None:
    """Return *inner*, or what *kind* is checked by while there is no inner one yet, with one more group around it."""
    first = group[0]
    if isinstance(first, ValueValidator):
        return _with_function(compiler, inner or compiler.top(kind), first)
    limits = limits_in(group)
    if not limits:
        return inner
    if inner is None:
        return _limited_kind(compiler, annotation, kind, limits)
    return attrs.evolve(inner, annotation=annotation, check=limited(inner.check, limits), exact=_NOTHING, in_c=False)


def _limited_kind(compiler: Compiler, annotation: object, kind: object, limits: Steps) -> Validator:
    members = arguments_of(kind) if origin_of(kind) in UNIONS else ()
    some = [member for member in members if member is not type(None)]
    if len(some) == 1:  # limits are those of the type beside None
        return _nullable(annotation, _limited_kind(compiler, annotation, some[0], limits))
    refuse_useless(compiler.owner, kind, limits)
    if _is_class(kind) and kind in SCALARS:
        return _limited_scalar(compiler, annotation, kind, limits)
    if len(some) > 1 and limits.get("union_mode") == "left_to_right":
        validator = _several(compiler, annotation, some, smart=False)
    else:
        validator = compiler.strictly(_strictness(limits)).top(kind)
    return attrs.evolve(
        validator, annotation=annotation, check=limited(validator.check, limits), exact=_NOTHING, in_c=False
    )


def _strictness(limits: Steps) -> bool | None:
    return cast("bool | None", limits.get("strict"))


def _with_function(compiler: Compiler, inner: Validator, mark: ValueValidator) -> Validator:
    """Return *inner* with a user's function around it."""
    doubted = compiler.mode.doubts(mark.mode)
    if not (doubted or compiler.mode.calls(mark.mode)):
        return inner
    check, asks = applied(inner.check, mark.function, mark.mode, compiler.owner)
    if doubted:
        check = reread(inner.check, check)
    if asks:
        compiler.asking.append(mark.function)
    label = f"function-{mark.mode}[{getattr(mark.function, '__name__', repr(mark.function))}()]"
    if mark.mode != "plain":
        label = f"function-{mark.mode}[{getattr(mark.function, '__name__', mark.function)}(), {inner.label}]"
    return attrs.evolve(inner, label=label, check=check, exact=_NOTHING, in_c=False)


def _scalar(compiler: Compiler, annotation: object) -> Validator | None:
    if not _is_class(annotation) or annotation not in SCALARS:
        return None
    return _limited_scalar(compiler, annotation, annotation, {})


def _limited_scalar(compiler: Compiler, annotation: object, kind: type, limits: Steps) -> Validator:
    """Return the validator of a single value; what the class says of all values of this type counts as limits."""
    plain = _plain_scalar(compiler.strictly(_strictness(limits)).mode, compiler.settings, kind)
    every = {**common_limits(kind, compiler.settings), **limits}
    if not every:
        return attrs.evolve(plain, annotation=annotation)
    check = adapted(kind, plain.check, every, convert=compiler.mode.lax)
    return attrs.evolve(plain, annotation=annotation, check=limited(check, every), exact=_NOTHING, in_c=False)


def _plain_scalar(mode: Mode, settings: Settings, kind: type) -> Validator:
    found = SCALARS[kind]
    if kind is bytes and mode.json:
        found = WIRE_BYTES if mode.base64 else JSON_BYTES[settings.val_json_bytes]
    return _as_scalar(mode, kind, found)


def _standard(compiler: Compiler, annotation: object) -> Validator | None:
    """Check a value of the standard library that text may stand for."""
    found = standard(annotation)
    return None if found is None else _as_scalar(compiler.mode, annotation, found)


def _as_scalar(mode: Mode, kind: object, found: Scalar) -> Validator:
    if mode.level is Level.EXACT:
        check = _exactly(kind, found, json=mode.json)
    elif mode.lax:
        check = (mode.json and found.lax_json) or found.lax
    else:
        check = found.json if mode.json else found.strict
    return Validator(kind, found.label, check, found.exact, kind in _IN_C)


def _exactly(kind: object, scalar: Scalar, *, json: bool) -> Check:
    """Return the check for instances of *kind* itself, and for the text that is one in JSON."""
    text = scalar.json if json else scalar.strict
    own = frozenset[object]((kind, *scalar.exact))

    def check(value: object) -> object:
        if type(value) in own:
            return scalar.strict(value)
        return text(value) if type(value) is str else fail("is_instance_of", value, **{"class": _name(kind)})

    return check


def _union(compiler: Compiler, annotation: object) -> Validator | None:
    if origin_of(annotation) not in UNIONS:
        return None
    kinds = arguments_of(annotation)
    some = [kind for kind in kinds if kind is not type(None)]
    validator = compiler.top(some[0]) if len(some) == 1 else _several(compiler, annotation, some)
    return validator if len(some) == len(kinds) else _nullable(annotation, validator)


def _nullable(annotation: object, validator: Validator) -> Validator:
    exact = None if validator.exact is None else validator.exact | {type(None)}
    check = unions.optional_check(validator.check)
    return attrs.evolve(
        validator, annotation=annotation, check=check, exact=exact, label=f"nullable[{validator.label}]"
    )


def _several(compiler: Compiler, annotation: object, kinds: Sequence[object], *, smart: bool = True) -> Validator:
    members = [compiler.build(kind) for kind in kinds]
    exact = _NOTHING.union(*(member.exact or () for member in members)) if smart else _NOTHING
    if compiler.mode.json:
        exact -= {str}  # another member may want the text
    stricter = [level for level in (Level.EXACT, Level.STRICT) if smart and level > compiler.mode.level]
    levels = [_level(compiler.at(level), kinds) for level in stricter]
    own = [unions.Member(member.label, member.check, member.fields) for member in members]
    check = unions.union_check([*levels, lambda: own])
    label = f"union[{','.join(member.label for member in members)}]"
    return Validator(annotation, label, check, exact)


def _level(compiler: Compiler, kinds: Sequence[object]) -> Callable[[], Sequence[unions.Member]]:
    made: list[unions.Member] = []

    def members() -> Sequence[unions.Member]:
        if not made:
            validators = [compiler.build(kind) for kind in kinds]
            made.extend(unions.Member(one.label, one.check, one.fields) for one in validators)
        return made

    return members


def _literal(compiler: Compiler, annotation: object) -> Validator | None:
    if origin_of(annotation) not in LITERALS:
        return None
    values = list(_literal_values(annotation))
    check = unions.literal_check(values, written=compiler.mode.base64)
    return Validator(annotation, f"literal[{','.join(map(repr, values))}]", check)


def _literal_values(annotation: object) -> Iterable[object]:
    for value in arguments_of(annotation):
        if origin_of(value) in LITERALS:
            yield from _literal_values(value)
        else:
            yield value


def _enum(compiler: Compiler, annotation: object) -> Validator | None:
    if not _is_class(annotation) or not issubclass(annotation, enum.Enum) or not annotation.__members__:
        return None
    mode = compiler.mode
    by_value = mode.lax or (mode.json and mode.level is Level.STRICT)
    check = unions.enum_check(annotation, convert=mode.lax) if by_value else _instance_check(annotation, mode)
    if compiler.settings.use_enum_values:
        return Validator(annotation, unions.enum_label(annotation), lambda value: attribute(check(value), "value"))
    return Validator(annotation, unions.enum_label(annotation), check, frozenset({annotation}))


def _collection(compiler: Compiler, annotation: object) -> Validator | None:
    kind = bare(annotation)
    if not _is_class(kind) or kind not in _COLLECTIONS:
        return None
    (item,) = compiler.arguments(annotation, Any)
    concrete, fault = _COLLECTIONS[kind]
    accepts = compiler.accepts(concrete)
    make = containers.set_maker(concrete) if concrete in (set, frozenset) else concrete
    check = containers.collection_check(fault, accepts, make, item.item_check)
    return _in_c(compiler, annotation, label=f"{concrete.__name__}[{item.label}]", check=check, parts=[item])


def _in_c(compiler: Compiler, annotation: object, *, label: str, check: Check, parts: Sequence[Validator]) -> Validator:
    """Return the validator of a container, which tries msgspec first if it is of plain values."""
    origin = bare(annotation)
    if origin not in _BUILTINS or not all(part.in_c for part in parts):
        return Validator(annotation, label, check)
    if compiler.mode.lax and not compiler.mode.json:
        check = containers.msgspec_first(cast("type", origin), annotation, check)
    return Validator(annotation, label, check, in_c=True)


def _sequence(compiler: Compiler, annotation: object) -> Validator | None:
    kind = bare(annotation)
    if not _is_class(kind) or kind not in _SEQUENCES:
        return None
    (item,) = compiler.arguments(annotation, Any)
    check = containers.sequence_check(kind, item.item_check)
    return Validator(annotation, f"{kind.__name__.lower()}[{item.label}]", check)


def _tuple(compiler: Compiler, annotation: object) -> Validator | None:
    kind = bare(annotation)
    if kind is not tuple:
        return None
    accepts = compiler.accepts(tuple)
    arguments = arguments_of(annotation) or ((Any, ...) if annotation is tuple or annotation is _OLD_TUPLE else ())
    if len(arguments) == 2 and arguments[1] is ...:  # noqa: PLR2004 - tuple[X, ...]
        item = compiler.build(arguments[0])
        check = containers.collection_check("tuple_type", accepts, tuple, item.item_check)
        return _in_c(compiler, annotation, label=f"tuple[{item.label}, ...]", check=check, parts=[item])
    items = [compiler.build(argument) for argument in arguments]
    check = containers.tuple_check(accepts, [item.check for item in items])
    label = f"tuple[{', '.join(item.label for item in items)}]"
    return _in_c(compiler, annotation, label=label, check=check, parts=items)


def _mapping(compiler: Compiler, annotation: object) -> Validator | None:
    kind = bare(annotation)
    if not _is_class(kind) or kind not in _MAPPINGS:
        return None
    arguments = arguments_of(annotation)
    if kind is collections.Counter:
        arguments = (*(arguments or (Any,)), int)
    key_kind, item_kind = arguments or (Any, Any)
    key = (compiler.at(Level.LAX) if compiler.mode.json else compiler).build(key_kind)  # in JSON every key is text
    item = compiler.build(item_kind)
    accepts = compiler.accepts_mapping
    make, fault = _mapping_maker(kind, arguments), _MAPPINGS[kind][1]
    check = containers.mapping_check(fault, accepts, make, key.item_check, item.item_check)
    return _in_c(compiler, annotation, label=f"dict[{key.label},{item.label}]", check=check, parts=[key, item])


def _mapping_maker(kind: object, arguments: Sequence[object]) -> Callable[[dict[object, object]], object]:
    if kind is not collections.defaultdict:
        return _MAPPINGS[kind][0]
    factory = origin_of(arguments[1]) or arguments[1] if arguments else None
    return lambda pairs: collections.defaultdict(factory if callable(factory) else None, pairs)


def _typed_dict(compiler: Compiler, annotation: object) -> Validator | None:
    kind = bare(annotation)
    return compiler.record(annotation, lambda: _typed_dict_now(compiler, annotation)) if te.is_typeddict(kind) else None


def _typed_dict_now(compiler: Compiler, annotation: object) -> Validator:
    kind = bare(annotation)
    hints = compiler.hints(annotation)
    parts = [
        records.Part(name, compiler.build(hint).check, name in _required(kind, hints)) for name, hint in hints.items()
    ]
    check = records.typed_dict_check(parts, compiler.accepts_mapping, compiler.given.extra or compiler.settings.extra)
    return Validator(annotation, _name(kind), check, fields=frozenset(hints))


def _required(kind: object, hints: dict[str, object]) -> frozenset[str]:
    """Return the required keys; __required_keys__ misses what a string annotation says."""
    marked = {name: origin_of(hint) for name, hint in hints.items()}
    required = set(cast("frozenset[str]", attribute(kind, "__required_keys__")))
    required -= {name for name, mark in marked.items() if mark in _NOT_REQUIRED}
    required |= {name for name, mark in marked.items() if mark in _REQUIRED}
    return frozenset(required)


def _named_tuple(compiler: Compiler, annotation: object) -> Validator | None:
    kind = bare(annotation)
    if not is_named_tuple(kind):
        return None
    return compiler.record(annotation, lambda: _named_tuple_now(compiler, annotation, kind))


def _named_tuple_now(compiler: Compiler, annotation: object, kind: type) -> Validator:
    hints = compiler.hints(annotation)
    defaults = cast("Mapping[str, object]", attribute(kind, "_field_defaults"))
    names = cast("tuple[str, ...]", attribute(kind, "_fields"))
    parts = [records.Part(name, compiler.build(hints.get(name, Any)).check, name not in defaults) for name in names]
    return Validator(annotation, kind.__name__, records.named_tuple_check(kind, parts), frozenset({kind}))


def _event(compiler: Compiler, annotation: object) -> Validator | None:
    if not hasattr(bare(annotation), "__event_from__"):
        return None
    kind = _filled_in(annotation)
    mode = compiler.given.at(compiler.mode.level) if compiler.mode.level is Level.EXACT else compiler.given
    if compiler.parts is not None or not mode.builds_records:
        return Validator(annotation, kind.__name__, _instance_check(kind, compiler.mode), frozenset({kind}))
    settings = cast("Mapping[str, object]", attribute(kind, "model_config"))
    kept = settings.get("revalidate_instances", "never") == "never"
    has_whole = attribute(attribute(kind, "__event_blueprint__"), "has_whole")
    exact = frozenset({kind}) if kept and not has_whole else _NOTHING
    return Validator(annotation, kind.__name__, records.event_check(kind, mode), exact)


def _filled_in(alias: object) -> type[object]:
    """Return the class that stands for an event class with type arguments."""
    origin = origin_of(alias)
    return cast("type[object]", alias if origin is None else bare(item_of(origin, arguments_of(alias))))


def _struct(compiler: Compiler, annotation: object) -> Validator | None:
    kind = bare(annotation)
    if not (_is_class(kind) and issubclass(kind, msgspec.Struct)):
        return None
    if not compiler.mode.builds_records:
        return Validator(annotation, kind.__name__, _instance_check(kind, compiler.mode), frozenset({kind}))
    check = records.struct_check(kind, annotation, strict=not compiler.mode.lax)
    fields = frozenset(field.encode_name for field in msgspec.structs.fields(kind))
    return Validator(annotation, kind.__name__, check, frozenset({kind}), fields=fields)


def _adapted(compiler: Compiler, annotation: object) -> Validator | None:
    """Leave to pydantic what only pydantic knows: its models and types, and classes that tell it how to check them."""
    if not is_adapted(annotation):
        return None
    fields = frozenset(getattr(annotation, "__pydantic_fields__", ()))
    check = adapted_check(annotation, compiler)
    return Validator(annotation, _name(annotation), check, fields=fields or None)


def _dataclass(compiler: Compiler, annotation: object) -> Validator | None:
    kind = bare(annotation)
    if not (_is_class(kind) and (dataclasses.is_dataclass(kind) or attrs.has(kind))):
        return None
    return compiler.record(annotation, lambda: _dataclass_now(compiler, annotation, kind))


def _dataclass_now(compiler: Compiler, annotation: object, kind: type[object]) -> Validator:
    if not compiler.mode.builds_records:
        return Validator(annotation, kind.__name__, records.class_check(kind, None), frozenset({kind}))
    hints = compiler.hints(annotation)
    parts = list(_attrs_parts(compiler, kind, hints) if attrs.has(kind) else _dataclass_parts(compiler, kind, hints))
    fields = frozenset(part.key for part in parts) if attrs.has(kind) else None
    return Validator(annotation, kind.__name__, records.class_check(kind, parts), frozenset({kind}), fields=fields)


def _attrs_parts(compiler: Compiler, kind: type, hints: dict[str, object]) -> Iterable[records.Part]:
    for field in attrs_fields(kind):
        if field.init:
            hint = Any if attribute(field, "converter") else hints.get(field.name, field.type or Any)
            yield records.Part(field.alias or field.name, compiler.build(hint).check, field.default is attrs.NOTHING)


def _dataclass_parts(compiler: Compiler, kind: type, hints: dict[str, object]) -> Iterable[records.Part]:
    for field in dataclass_fields(kind):
        if field.init:
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            yield records.Part(field.name, compiler.build(hints[field.name]).check, required)


def _type_of(compiler: Compiler, annotation: object) -> Validator | None:
    kind = bare(annotation)
    if kind is not type:
        return None
    (base,) = arguments_of(annotation) or (Any,)
    if isinstance(base, typing.TypeVar):
        base = base.__bound__ or Any
    bases = arguments_of(base) if origin_of(base) in UNIONS else (base,)
    kinds = tuple(cast("type", bare(one)) for one in bases if one is not Any)
    label = f"is-subclass[{', '.join(map(_name, kinds))}]" if kinds else "is-type"
    return Validator(annotation, label, _live(compiler, containers.subclass_check(kinds), "issubclass"))


def _callable(_: Compiler, annotation: object) -> Validator | None:
    if _CALLABLE not in (annotation, origin_of(annotation)):
        return None

    def check(value: object) -> object:
        return value if callable(value) else fail("callable_type", value)

    return Validator(annotation, "callable", check)


def _live(compiler: Compiler, check: Check, method: str) -> Check:
    """Return *check*, or its refusal when values come from JSON, which has no live objects."""
    if not compiler.mode.json:
        return check
    return lambda value: fail("needs_python_object", value, method_name=method)


def _instance(compiler: Compiler, annotation: object) -> Validator | None:
    """Check any other class by isinstance."""
    kind = bare(annotation)
    if not _is_class(kind) or not is_checkable(kind) or not compiler.settings.arbitrary_types_allowed:
        return None
    check = _live(compiler, _instance_check(kind, compiler.mode), "isinstance")
    exact = _NOTHING if compiler.mode.json else frozenset({kind})
    return Validator(annotation, f"is-instance[{kind.__name__}]", check, exact)


def _instance_check(kind: type, mode: Mode) -> Check:
    exactly = mode.level is Level.EXACT

    def check(value: object) -> object:
        if type(value) is kind if exactly else isinstance(value, kind):
            return value
        return fail("is_instance_of", value, **{"class": kind.__name__})

    return check


_BUILDERS: Final[Sequence[Builder]] = (
    _any_in_union,
    _anything,
    _adapted,
    _wrapped,
    _alias,
    _type_variable,
    _annotated,
    _scalar,
    _standard,
    _union,
    _literal,
    _enum,
    _collection,
    _sequence,
    _mapping,
    _tuple,
    _typed_dict,
    _named_tuple,
    _event,
    _struct,
    _dataclass,
    _type_of,
    _callable,
    _instance,
)
"""Each looks at an annotation and builds its validator, or leaves it to the next."""
