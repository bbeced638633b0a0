"""The settings of a log, checked."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar, cast

import attrs

from bubus._tree import escape
from bubus.errors import LogWriteError, OptionError, OptionTypeError
from bubus.wal._names import canonical

if TYPE_CHECKING:
    from pathlib import Path

Fsync: TypeAlias = Literal["no", "everysec", "always"]
"""When lines are forced to the disk, in Redis' words."""

OnError: TypeAlias = Literal["raise", "stop"] | Callable[[LogWriteError], object]
"""What to do about lines that cannot be written."""

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""Longest line that is written, or held in memory while reading, unless told otherwise."""

_SHORTEST: Final = 1024
_N = TypeVar("_N", int, float)


def checked_path(path: object) -> Path:
    """
    Return the one spelling of a log's path.

    Raises:
        OptionError: If it does not end in a file's name.
        OptionTypeError: If it is no str and no path of one.

    """
    try:
        text: object = os.fspath(cast("os.PathLike[str]", path))
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise OptionTypeError(f"a log's path is a str or a Path, not {type(path).__name__}")
    if not os.path.basename(text) or "\0" in text:  # noqa: PTH119 - Path would drop the slash at the end
        raise OptionError(f"a log's path ends in a file name, which {escape(repr(text))} does not")
    return canonical(text)


def _choice(*choices: Fsync) -> Callable[[object, attrs.Attribute[Fsync], object], None]:
    def check(_: object, field: attrs.Attribute[Fsync], value: object) -> None:
        if value not in choices:
            raise OptionError(f"{field.name} is one of {', '.join(choices)}, not {escape(repr(value))}")

    return check


def _truth(_: object, field: attrs.Attribute[bool], value: object) -> None:
    if not isinstance(value, bool):
        raise OptionTypeError(f"{field.name} is True or False, not {escape(repr(value))}")


def _number(kind: type[_N], *, least: float) -> Callable[[object, attrs.Attribute[_N], object], None]:
    def check(_: object, field: attrs.Attribute[_N], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, (kind, int)):
            raise OptionTypeError(f"{field.name} is a number ({kind.__name__}), not {escape(repr(value))}")
        if not value >= least:
            raise OptionError(f"{field.name} is at least {least:g}, not {value:g}")

    return check


def _reaction(_: object, field: attrs.Attribute[OnError], value: object) -> None:
    if not callable(value) and value not in ("raise", "stop"):
        raise OptionError(f'{field.name} is "raise", "stop" or what to call with each error, not {escape(repr(value))}')


_optional = attrs.validators.optional


@attrs.frozen(kw_only=True)
class Options:
    """What `WriteAheadLog` was given; see there."""

    path: Path = attrs.field(converter=checked_path)
    fsync: Fsync = attrs.field(validator=_choice("no", "everysec", "always"))
    ahead: bool = attrs.field(validator=_truth)
    rotate_bytes: int | None = attrs.field(validator=_optional(_number(int, least=1)))
    rotate_seconds: float | None = attrs.field(validator=_optional(_number(float, least=0.001)))
    keep: int | None = attrs.field(validator=_optional(_number(int, least=1)))
    max_line_bytes: int = attrs.field(validator=_number(int, least=_SHORTEST))
    on_error: OnError = attrs.field(validator=_reaction)

    def __attrs_post_init__(self) -> None:
        """Refuse what would silently do nothing."""
        if self.keep is not None and self.rotate_bytes is None and self.rotate_seconds is None:
            raise OptionError("keep counts full files; give rotate_bytes or rotate_seconds too, which make them")
