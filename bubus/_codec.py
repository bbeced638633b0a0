"""
Events as bytes: the one place with encoders and decoders.

What is written can be read back: what JSON would change in silence is refused, with the name of the field. What is
read is data: it names no class, and its nesting is bounded before a recursive decoder sees it.
"""

from __future__ import annotations

import math
import re
from sys import modules
from typing import TYPE_CHECKING, Final, TypeVar, cast

import msgspec

from bubus._config import title_of
from bubus._construct import public
from bubus._faults import Invalid, fault, in_json_words, refuse
from bubus._mode import WIRE
from bubus._narrow import is_dict, is_list_or_tuple, to_builtins
from bubus._versions import up_to_date
from bubus._wire_fields import field_writers, result_writer
from bubus._wire_values import write_unknown
from bubus.errors import EncodeError, InvalidEvent, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bubus._mode import Mode
    from bubus._shape import EventShape

MAX_DEPTH: Final = 128
"""Deepest nesting that is written or read; a decoder in C may crash on less than its input's size."""

_SHALLOW: Final = 2 * MAX_DEPTH + 150
"""Bytes of an event below which it cannot be nested deeper: a bracket takes two, and its framework fields the rest."""

_TOKENS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_DEL, _BRACKET, _BRACE = b"\x7f[{"  # as numbers: looking for those is several times as fast as for bytes
_HIDDEN: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")

_E = TypeVar("_E", bound="EventShape")

_encoder: Final = msgspec.json.Encoder(enc_hook=write_unknown)
_encode: Final = _encoder.encode
_decode: Final[Callable[[bytes], object]] = msgspec.json.Decoder(object).decode


def encode(event: EventShape) -> bytes:
    """
    Return *event* as one line of JSON, without the newline.

    Raises:
        EncodeError: If a field cannot be written, or would not be the same when read back.
    """
    try:
        data = _encode(_as_written(event) if "pydantic" in modules or event.__event_cached__ else event)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise _explain(event, error) from error
    if len(data) > _SHALLOW and is_too_deep(data, MAX_DEPTH):
        _refuse_deep_fields(event)
    # msgspec writes NaN and infinity as null; most events have one null, as they have no parent
    nulls = data.count(b"null")
    if nulls and (nulls > 1 or event.event_parent_id is not None) and nulls != _nones(event):
        _refuse_nan(event)
    return data if data.isascii() and _DEL not in data else _HIDDEN.sub(_escaped, data)


def as_builtins(event: EventShape) -> dict[str, object]:
    """Return what `encode` writes of *event*, in JSON's types."""
    return cast("dict[str, object]", to_builtins(_as_written(event), enc_hook=write_unknown))


def encode_result(value: object, annotation: object, max_depth: int) -> bytes:
    """
    Return a result of type *annotation* as JSON; control characters of C1 and line separators may stand in it raw.

    Raises:
        EncodeError: If it cannot be written, or would not be the same when read back.
    """
    name = "the result"
    try:
        writer = result_writer(annotation)
        value = value if writer is None else writer(value)
        data = _encoder.encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise EncodeError(f"{name}: {error}") from error
    if type(value) is not str:
        if is_too_deep(data, max_depth):
            raise EncodeError(f"{name} is nested deeper than {max_depth}")
        if b"null" in data:
            _refuse_nan_in(value, name)
    return data


def _as_written(event: EventShape) -> object:
    """Return *event*, or its fields where some are written as their types say."""
    cls = type(event)
    return dict(_fields(event)) if cls.__event_cached__ or field_writers(cls) else event


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(match[0].decode())


def _fields(event: EventShape) -> Iterator[tuple[str, object]]:
    """Yield the name of each field and extra, and what is written for it."""
    writers = field_writers(type(event))
    for name, value in public(event).items():
        yield name, writers[name](value) if name in writers else value


def _explain(event: EventShape, error: BaseException) -> EncodeError:
    """Return the error that names the field that could not be written."""
    writers = field_writers(type(event))
    for name, value in public(event).items():
        try:
            _ = _encoder.encode(writers[name](value) if name in writers else value)
        except RecursionError:
            return EncodeError(f"{type(event).__name__}.{name} contains itself, or is nested deeper than {MAX_DEPTH}")
        except (TypeError, ValueError, OverflowError) as cause:
            return EncodeError(f"{type(event).__name__}.{name}: {cause}")
    return EncodeError(f"{type(event).__name__}: {error}")


def _refuse_deep_fields(event: EventShape) -> None:
    deep = (name for name, value in _fields(event) if depth_exceeds(_encoder.encode(value), MAX_DEPTH - 1))
    raise EncodeError(f"{type(event).__name__}.{next(deep)} is nested deeper than {MAX_DEPTH}")


def is_too_deep(data: bytes, limit: int) -> bool:
    """Tell what `depth_exceeds` does, for most data without looking at it bracket by bracket."""
    return data.count(_BRACKET) + data.count(_BRACE) > limit and depth_exceeds(data, limit)


def depth_exceeds(data: bytes, limit: int) -> bool:
    """Tell whether lists and objects in *data* are nested deeper than *limit*; it stops at the first that is."""
    depth = 0
    for token in _TOKENS.finditer(data):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            if depth > limit:
                return True
        elif first in b"]}":
            depth -= 1
    return False


def _nones(event: EventShape) -> int:
    return sum(value is None for _, value in _fields(event))


def _refuse_nan(event: EventShape) -> None:
    for name, value in _fields(event):
        _refuse_nan_in(value, f"{type(event).__name__}.{name}")


def _refuse_nan_in(value: object, name: str) -> None:
    for number, path in _numbers(to_builtins(value, enc_hook=write_unknown), name):
        if not math.isfinite(number):
            raise EncodeError(f"{path} is {number}, for which JSON has no number; use None")


def _numbers(value: object, path: str) -> Iterator[tuple[float, str]]:
    if isinstance(value, float):
        yield value, path
    elif is_dict(value):
        for key, item in value.items():
            yield from _numbers(item, f"{path}.{key}")
    elif is_list_or_tuple(value):
        for index, item in enumerate(value):
            yield from _numbers(item, f"{path}[{index}]")


def decode(data: bytes, cls: type[_E]) -> _E:
    """
    Return the event of class *cls* that `encode`, or plain msgspec, wrote, also an older version of it.

    Raises:
        InvalidEvent: If *data* is none.
        NewerVersionError: If a newer version of *cls* wrote it.
    """
    try:
        return cls.__event_build__(up_to_date(read_object(data), cls), WIRE)
    except (Unreadable, ValidationError) as error:
        raise InvalidEvent(f"no {cls.__name__}: {error}") from error


class Unreadable(ValueError):  # noqa: N818 - says what the bytes are
    """Bytes are no JSON object, or one that is not read."""


def read_object(data: bytes | str) -> dict[str, object]:
    """
    Return the JSON object in *data*.

    Raises:
        Unreadable: If it is none, or nested deeper than `MAX_DEPTH`.
    """
    found = read_json(data)
    if not is_dict(found):
        raise Unreadable(f"it is no JSON object, but {type(found).__name__}")
    return cast("dict[str, object]", found)


def read_json(data: bytes | bytearray | str) -> object:
    """
    Return what *data* says.

    Raises:
        Unreadable: If it is no JSON, or nested deeper than `MAX_DEPTH`.
    """
    try:
        raw = data.encode() if isinstance(data, str) else bytes(data)
        if is_too_deep(raw, MAX_DEPTH):
            raise Unreadable(f"it is nested deeper than {MAX_DEPTH}")
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError) as error:
        raise Unreadable(str(error)) from error


def validate_json(data: bytes | bytearray | str, cls: type[_E], mode: Mode) -> _E:
    """
    Return the event of class *cls* in JSON as pydantic reads it.

    Raises:
        ValidationError: If there is none.
    """
    try:
        values = read_json(data)
    except Unreadable as error:
        raise refuse(title_of(cls), [fault("json_invalid", data, error=str(error))]) from error
    try:
        return cls.__event_build__(values, mode)
    except Invalid as invalid:
        raise refuse(title_of(cls), in_json_words(invalid.faults)) from invalid.__cause__
