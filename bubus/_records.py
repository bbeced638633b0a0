"""Values with named parts: TypedDict, NamedTuple, dataclasses, attrs classes, Structs, and other checked models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

import attrs
import msgspec

from bubus._faults import Collector, Fault, Invalid, call_user, fail, fault
from bubus._narrow import convert, is_dict, is_list_or_tuple, is_mapping, made, method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bubus._containers import AcceptsMapping
    from bubus._mode import Mode
    from bubus._types import Check

_STRUCT_PATH: Final = re.compile(r"^(.*?)(?: - at (?:key in )?`\$(.*)`)?$", re.DOTALL)
_PATH_PART: Final = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


@attrs.frozen(slots=True, eq=False)
class Part:
    """One named part of a record."""

    key: str
    """Its name in a dict."""

    check: Check
    required: bool
    target: str = ""
    """Its name in the constructor, when that is another one."""


def collect_parts(parts: Sequence[Part], value: Mapping[object, object], faults: Collector) -> dict[str, object]:
    """Return the checked parts that *value* has, by constructor argument; faults go to *faults*."""
    results: dict[str, object] = {}
    for part in parts:
        if part.key in value:
            results[part.target or part.key] = faults.run(part.check, value[part.key], part.key)
        elif part.required:
            faults.add(fault("missing", value), part.key)
    return results


def refuse_keys(value: Mapping[object, object], faults: Collector, known: frozenset[str] | None = None) -> None:
    """Add a fault for every key that is no text, or not *known*."""
    for key in value:
        if not isinstance(key, str):
            faults.add(fault("invalid_key", key), key if isinstance(key, int) else str(key))
        elif known is not None and key not in known:
            faults.add(fault("extra_forbidden", value[key]), key)


def typed_dict_check(parts: Sequence[Part], accepts: AcceptsMapping, extra: str | None = None) -> Check:
    """Return a check for a TypedDict; keys it does not declare are kept, refused or dropped, as *extra* says."""
    known = frozenset(part.key for part in parts)

    def check(value: object) -> object:
        if not accepts(value):
            fail("dict_type", value)
        faults = Collector()
        results = collect_parts(parts, value, faults)
        if extra in ("forbid", "allow"):
            refuse_keys(value, faults, known if extra == "forbid" else None)
        faults.close()
        if extra == "allow":
            results |= {str(key): one for key, one in value.items() if key not in known}
        return results

    return check


def class_check(kind: type, parts: Sequence[Part] | None, build: Callable[..., object] | None = None) -> Check:
    """Return a check that passes instances of *kind*, and builds one from a dict unless *parts* is None."""
    make = build or kind

    def check(value: object) -> object:
        if isinstance(value, kind):
            return value
        if parts is None:
            fail("dataclass_exact_type", value, class_name=kind.__name__)
        if not is_dict(value):
            fail("dataclass_type", value, class_name=kind.__name__)
        faults = Collector()
        results = collect_parts(parts, value, faults)
        refuse_keys(value, faults)
        faults.close()
        return call_user(_keywords(make), value, results)

    return check


def _keywords(make: Callable[..., object]) -> Callable[[dict[str, object]], object]:
    return lambda arguments: make(**arguments)


def named_tuple_check(kind: type[object], parts: Sequence[Part]) -> Check:
    """Return a check for a NamedTuple: an instance, the values in order, or by name."""

    def check(value: object) -> object:
        if isinstance(value, kind):
            return value
        faults = Collector()
        if is_mapping(value):
            found = _by_name(parts, value, faults)
        elif is_list_or_tuple(value):
            found = _in_order(parts, value, faults)
        else:
            fail("named_tuple_type", value, class_name=kind.__name__)
        faults.close()
        return made(kind, found)

    return check


def _by_name(parts: Sequence[Part], value: Mapping[object, object], faults: Collector) -> dict[str, object]:
    found = collect_parts(parts, value, faults)
    refuse_keys(value, faults, frozenset(part.key for part in parts))
    return found


def _in_order(parts: Sequence[Part], value: Sequence[object], faults: Collector) -> dict[str, object]:
    if len(value) > len(parts):
        fail("too_long", value, field_type="NamedTuple", max_length=len(parts), actual_length=len(value))
    found = {
        part.key: faults.run(part.check, item, index)
        for index, (part, item) in enumerate(zip(parts, value, strict=False))
    }
    for index, part in enumerate(parts):
        if index >= len(value) and part.required:
            faults.add(fault("missing", value), index)
    return found


def struct_check(kind: type[msgspec.Struct], annotation: object, *, strict: bool) -> Check:
    """Return a check for a Struct; msgspec builds it from a dict and says what is wrong."""

    def check(value: object) -> object:
        if isinstance(value, kind):
            return value
        try:
            return convert(value, annotation, strict=strict)
        except msgspec.ValidationError as error:
            raise Invalid([_struct_fault(error, value)]) from None

    return check


def _struct_fault(error: msgspec.ValidationError, value: object) -> Fault:
    match = _STRUCT_PATH.match(str(error))
    text, path = (match[1], match[2] or "") if match else (str(error), "")
    return Fault("struct_type", text, value, tuple(_path_parts(path)))


def _path_parts(path: str) -> Iterator[int | str]:
    for part in _PATH_PART.finditer(path):
        name, index = part.group(1, 2)
        yield name or (int(index) if index.isdigit() else index)


class EventClass(Protocol):
    """The part of an event class that is needed here."""

    def __event_from__(self, value: object, mode: Mode, /) -> object:
        """Return what a field of the class makes of *value*."""


def event_check(kind: type, mode: Mode) -> Check:
    """Return a check for an event class: its instances pass as they are, a dict makes a new one."""
    build = method(kind, "__event_from__")
    return lambda value: build(value, mode)
