"""
Types that pydantic knows and bubus does not: checked, written and described by pydantic's own TypeAdapter.

Nothing here imports pydantic. Whoever uses one of its types has imported it, so it is looked up among the modules that
are there; where it is not, no annotation can need it.
"""

from __future__ import annotations

import functools
import sys
import typing
from typing import TYPE_CHECKING, Final, Protocol, cast

import attrs

from bubus._dump import dump
from bubus._faults import Fault, Invalid
from bubus._mode import LAX, WIRE, Level, Mode
from bubus._narrow import arguments_of, bare, kind_of, origin_of
from bubus._pydantic import core, is_foreign, present
from bubus._pydantic_bridge import UNIONS, Native, bridged, raising
from bubus._pydantic_error import listed
from bubus._pydantic_values import in_log, refuse_masked, refuse_other
from bubus._variables import put
from bubus.errors import DefinitionError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bubus._dump import Dumper, Options
    from bubus._picks import Picks
    from bubus._pydantic import Adapter, Pydantic, Schema, SerializationInfo
    from bubus._types import Check

_CONFIG: Final = {"arbitrary_types_allowed": True}
_WIRE_CONFIG: Final = {
    **_CONFIG,
    "ser_json_bytes": "base64",
    "val_json_bytes": "base64",
    "ser_json_inf_nan": "strings",
}


class Compiles(Protocol):
    """The part of `bubus._compile.Compiler` that is needed here."""

    owner: str
    mode: Mode

    def build(self, annotation: object) -> Compiled:
        """Return the validator of *annotation*."""
        ...


class Compiled(Protocol):
    """The part of `bubus._compile.Validator` that is needed here."""

    @property
    def check(self) -> Check:
        """Returns the value to keep or raises `Invalid`."""
        ...


def is_adapted(annotation: object) -> bool:
    """Tell whether pydantic must check values of this type, as it brings it, or as the type tells it how."""
    if "pydantic" not in sys.modules:
        return False
    origin, arguments = origin_of(annotation), arguments_of(annotation)
    if origin is typing.Annotated:
        return _has_opaque_item(annotation)
    if origin in UNIONS:  # only pydantic knows which of its types fits best
        return len({*arguments} - {type(None)}) > 1 and any(map(is_adapted, arguments))
    return is_foreign(origin or annotation) or any(map(_has_opaque_item, arguments))  # it may concern the whole list


def _has_opaque_item(annotation: object) -> bool:
    """Tell whether *annotation* is an Annotated with an item that only pydantic understands."""
    items: tuple[object, ...] = arguments_of(annotation)[1:] if origin_of(annotation) is typing.Annotated else ()
    return any(is_foreign(item) or is_foreign(kind_of(item)) for item in items)


def adapter(annotation: object, owner: str, mode: Mode) -> Adapter:
    """
    Return pydantic's TypeAdapter of *annotation*.

    Raises:
        DefinitionError: If it cannot make one.
    """
    module = present()
    config = _WIRE_CONFIG if mode.base64 else _CONFIG
    try:
        return _configured(module, annotation, config)
    except (module.PydanticUserError, core().SchemaError) as error:
        raise DefinitionError(f"{owner}: {error}") from error


def _configured(module: Pydantic, annotation: object, config: Mapping[str, object]) -> Adapter:
    try:
        return module.TypeAdapter(annotation, config=config)
    except module.PydanticUserError as error:
        if error.code != "type-adapter-config-unused":  # it has settings of its own
            raise
        return module.TypeAdapter(annotation)


def adapted_check(annotation: object, compiler: Compiles) -> Check:
    """
    Return the check that pydantic makes for *annotation*; parts that it does not know are left to *compiler*.

    Raises:
        DefinitionError: If it cannot make one.
    """
    owner, mode = compiler.owner, compiler.mode
    read = _reading(adapter(bridged(annotation, _native(compiler)), owner, mode), mode)

    def check(value: object) -> object:
        try:
            return read(value)
        except ValueError as error:
            faults = listed(error)
            if faults is None:
                raise
            raise Invalid([Fault.of_error(one) for one in faults]) from None
        except (RuntimeError, TypeError) as error:
            if not isinstance(error, present().PydanticUserError):
                raise
            raise DefinitionError(f"{owner}: {error}") from error  # a name in it is still not known

    return check


def _reading(made: Adapter, mode: Mode) -> Callable[[object], object]:
    """Return the function that validates a value in *mode*; what comes from JSON is checked by the rules for JSON."""
    options: dict[str, object] = {} if mode.level is Level.LAX else {"strict": True}
    names = {"by_alias": mode.by_alias, "by_name": mode.by_name, "extra": mode.extra}
    options |= {name: value for name, value in names.items() if value is not None}
    if mode.base64:  # what we wrote has the names of fields, not their aliases
        options |= {"by_name": True, "by_alias": True}
    more = {} if mode.from_attributes is None else {"from_attributes": mode.from_attributes}
    from_python = functools.partial(made.validate_python, **options, **more)
    if not mode.json:
        return from_python
    to_json = core().to_json

    def from_json(value: object) -> object:
        try:
            text = to_json(value)
        except ValueError:  # a default, which did not come from JSON
            return from_python(value)
        with put(in_log, mode.base64):
            return made.validate_json(text, **options)

    return from_json


def adapted_dumper(annotation: object, owner: str) -> Dumper:
    """
    Return how values of a type are dumped by pydantic.

    Raises:
        DefinitionError: If pydantic cannot make that of the type.
    """
    made = adapter(bridged(annotation, lambda part: _Native(part, _accept)), owner, LAX)

    def dumper(value: object, options: Options, picks: Picks) -> object:
        more = options.for_pydantic()
        try:
            return made.dump_python(
                value, mode=options.mode, include=picks.include, exclude=picks.exclude, warnings="none", **more
            )
        except ValueError as error:  # a PydanticSerializationError
            raise EncodeError(f"{owner} cannot be dumped: {error}") from error

    return dumper


def _accept(value: object) -> object:
    return value


def field_writer(
    annotation: object, owner: str, write_native: Callable[[object], Callable[[object], object]]
) -> Callable[[object], object] | None:
    """
    Return the function that writes values of a type to be read again, None if their own classes say how.

    Args:
        annotation: The type.
        owner: What it belongs to, for errors.
        write_native: Returns what writes values of a class that only bubus knows.

    Raises:
        DefinitionError: If there can be none.
    """
    if not _needs_writer(annotation):
        return None
    known = bridged(annotation, lambda part: _Native(part, _accept, write_native(part)))
    dump_python = adapter(known, owner, WIRE).dump_python

    def write(value: object) -> object:
        refuse_masked(value)
        with put(in_log, True):
            return dump_python(value, mode="json", by_alias=False, round_trip=True, warnings="none")

    return write


def _needs_writer(annotation: object) -> bool:
    """Tell whether only pydantic can write values of a type, as they are of other classes than the type names."""
    kind, arguments = bare(annotation), arguments_of(annotation)
    if is_adapted(annotation) and not hasattr(kind, "__pydantic_serializer__"):
        return True
    if kind is typing.Annotated:
        return _needs_writer(arguments[0])
    return kind in UNIONS and any(map(_needs_writer, arguments))


def _native(compiler: Compiles) -> Native:
    """Return what tells pydantic to leave a class that only bubus knows, and events, to *compiler*."""
    return lambda part: _Native(part, raising(compiler.build(part).check, compiler.owner))


@attrs.frozen(slots=True, eq=False)
class _Native:
    """In an Annotated for pydantic: a class that bubus checks and dumps."""

    annotation: object
    check: Check
    write: Callable[[object], object] | None = None
    """Writes a value so that it can be read again; None dumps it."""

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> Schema:
        schemas = core().core_schema
        serialize = schemas.plain_serializer_function_ser_schema(self._write, info_arg=True)
        return schemas.no_info_plain_validator_function(self.check, serialization=serialize)

    def _write(self, value: object, info: SerializationInfo) -> object:
        refuse_other(value, cast("type", bare(self.annotation)))
        if self.write is not None:
            return self.write(value)
        return dump(value, json=info.mode == "json")
