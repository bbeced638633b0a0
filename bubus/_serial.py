"""
How values of a type are dumped: from an annotation to a function, where the value's own class does not say it all.

A field typed by an event class is dumped with the fields of that class, also when it holds an event of a subclass, as
in pydantic; and a type may bring functions of its own (`bubus._marks.ValueSerializer`).
"""

from __future__ import annotations

import typing
from collections import abc
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeVar, cast

import attrs
import typing_extensions as te

from bubus._dump import Dumper, Options, dump_float, dump_list, dump_mapping, dump_value, is_list
from bubus._foreign import translated
from bubus._functions import wants_info
from bubus._generics import UNIONS
from bubus._marks import SerializerMode, ValueSerializer, WhenUsed
from bubus._narrow import arguments_of, bare, is_checkable, is_list_or_tuple, is_mapping, method, origin_of
from bubus._picks import ALL, Picks
from bubus._pydantic_types import adapted_dumper, is_adapted
from bubus._types import MISSING, T_Given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bubus._shape import EventShape

_F = TypeVar("_F")
_LISTS: Final = frozenset[object](
    (list, set, frozenset, tuple, abc.Sequence, abc.Set, abc.MutableSequence, abc.MutableSet, abc.Iterable)
)
_DICTS: Final = frozenset[object]((dict, abc.Mapping, abc.MutableMapping))


@attrs.frozen(slots=True, eq=False)
class SerializationInfo(Generic[T_Given]):
    """What a serializer may know beside the value."""

    mode: Literal["python", "json"]
    by_alias: bool | None
    exclude_unset: bool
    exclude_defaults: bool
    exclude_none: bool
    round_trip: bool
    serialize_as_any: bool
    context: T_Given = attrs.field(default=None)
    """What was given as ``context=`` to `model_dump`."""

    include: object = None
    exclude: object = None
    field_name: str | None = None

    def mode_is_json(self) -> bool:
        """Tell whether only what JSON has is wanted."""
        return self.mode == "json"


def info_of(options: Options, picks: Picks, field: str | None = None) -> SerializationInfo:
    """Return what a serializer is told."""
    return SerializationInfo(
        options.mode,
        options.by_alias,
        options.exclude_unset,
        options.exclude_defaults,
        options.exclude_none,
        options.round_trip,
        options.serialize_as_any,
        options.context,
        picks.include,
        picks.exclude,
        field,
    )


def compile_dumper(annotation: object, owner: str) -> Dumper | None:
    """
    Return how values of a type are dumped, None if as their own classes say.

    Raises:
        DefinitionError: If a serializer cannot be called.
    """
    if annotation is float:
        return dump_float
    return adapted_dumper(annotation, owner) if is_adapted(annotation) else _own_dumper(annotation, owner)


def _own_dumper(annotation: object, owner: str) -> Dumper | None:
    origin, arguments = origin_of(annotation), arguments_of(annotation)
    if hasattr(origin or annotation, "__event_dump_as__"):
        return _event_dumper(cast("type[object]", origin or annotation))
    if origin is typing.Annotated:
        return _annotated(arguments, owner)
    if origin in UNIONS:
        return _union(arguments, owner)
    if isinstance(annotation, typing.NewType):
        return compile_dumper(annotation.__supertype__, owner)
    if origin in _LISTS:
        return _list(origin, arguments, owner)
    return _dict(arguments, owner) if origin in _DICTS and arguments else None


def _event_dumper(kind: type[object]) -> Dumper:
    dump = method(kind, "__event_dump_as__")

    def dumper(value: object, options: Options, picks: Picks) -> object:
        if isinstance(value, kind) and not options.by_own_class:
            return dump(value, options, picks)
        return dump_value(value, options, picks)

    return dumper


def _annotated(arguments: tuple[object, ...], owner: str) -> Dumper | None:
    kind, *items = arguments
    found = compile_dumper(kind, owner)
    for item in map(translated, items):
        if isinstance(item, ValueSerializer):
            asks = wants_info(item.function, 2 if item.mode == "wrap" else 1, owner)
            serializer = Serializer(_free(item, asks), item.mode, item.when_used, item.return_type, owner)
            found = serializer.around(found)
    return found


def _free(item: ValueSerializer, asks: bool) -> Callable[..., object]:
    """Return a serializer that belongs to no event, as one that is called with an event and an info."""

    def call(_: object, value: object, *more: object) -> object:
        return item.function(value, *(more if asks else more[:-1]))

    return call


@attrs.frozen(slots=True, eq=False)
class Serializer:
    """A function that dumps values, and what is said of it."""

    function: Callable[..., object]
    """Takes the event (None outside one), the value, a handler if it is around the usual dump, and the info."""

    mode: SerializerMode
    when_used: WhenUsed
    return_type: object
    owner: str
    field: str | None = None

    def around(self, inner: Dumper | None, event: EventShape | None = None) -> Dumper:
        """Return how values are dumped by the function, *inner* being the usual way."""
        usual = inner or dump_value
        result = None if self.return_type is MISSING else compile_dumper(self.return_type, self.owner)

        def dumper(value: object, options: Options, picks: Picks) -> object:
            if not is_used(self.when_used, value, options):
                return usual(value, options, picks)
            more = (_handler(usual, options, picks),) if self.mode == "wrap" else ()
            made = self.function(event, value, *more, info_of(options, picks, self.field))
            return (result or dump_value)(made, options, ALL if self.mode == "wrap" else picks)

        return dumper


def _handler(usual: Dumper, options: Options, picks: Picks) -> Callable[..., object]:
    def handler(value: object, _index_key: object = None, /) -> object:
        return usual(value, options, picks)

    return handler


def is_used(when: WhenUsed, value: object, options: Options) -> bool:
    """Tell whether a serializer is to be called for a value."""
    if when.startswith("json") and not options.json:
        return False
    return value is not None or not when.endswith("unless-none")


def _union(arguments: tuple[object, ...], owner: str) -> Dumper | None:
    members = [(class_of(argument), compile_dumper(argument, owner)) for argument in arguments]
    if all(dumper is None for _, dumper in members):
        return None

    def dumper(value: object, options: Options, picks: Picks) -> object:
        return (best_of(members, value) or dump_value)(value, options, picks)

    return dumper


def best_of(members: Iterable[tuple[type | None, _F]], value: object) -> _F | None:
    """Return what goes with the class that *value* is of, or with the first that it is an instance of."""
    exact = [one for kind, one in members if kind is type(value)]
    fitting = [one for kind, one in members if kind is not None and isinstance(value, kind)]
    return next(iter([*exact, *fitting]), None)


def class_of(annotation: object) -> type | None:
    """Return the class that values of a type are of, None if it is not known."""
    while origin_of(annotation) is typing.Annotated:
        annotation = arguments_of(annotation)[0]
    kind = bare(annotation)
    if te.is_typeddict(kind):
        return dict
    return kind if isinstance(kind, type) and is_checkable(kind) else None


def _list(origin: object, arguments: tuple[object, ...], owner: str) -> Dumper | None:
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is ...):  # noqa: PLR2004 - tuple[X, ...]
        return _fixed(arguments, owner)
    item = compile_dumper(arguments[0], owner) if arguments else None
    if item is None:
        return None
    found = item

    def dumper(value: object, options: Options, picks: Picks) -> object:
        return dump_list(value, options, picks, found) if is_list(value) else dump_value(value, options, picks)

    return dumper


def _fixed(arguments: tuple[object, ...], owner: str) -> Dumper | None:
    """Return how tuples with a type for each place are dumped."""
    items = [compile_dumper(argument, owner) or dump_value for argument in arguments]
    if all(item is dump_value for item in items):
        return None

    def dumper(value: object, options: Options, picks: Picks) -> object:
        if not is_list_or_tuple(value) or len(value) != len(items):
            return dump_value(value, options, picks)
        inner = [picks.of_index(index, len(items)) for index in range(len(items))]
        parts = zip(items, value, inner, strict=True)
        dumped = [item(one, options, picked) for item, one, picked in parts if picked is not None]
        return dumped if options.json else tuple(dumped)

    return dumper


def _dict(arguments: tuple[object, ...], owner: str) -> Dumper | None:
    item = compile_dumper(arguments[-1], owner)
    if item is None:
        return None
    found = item

    def dumper(value: object, options: Options, picks: Picks) -> object:
        if not is_mapping(value):
            return dump_value(value, options, picks)
        return dump_mapping(value, options, picks, found)

    return dumper
