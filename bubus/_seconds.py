"""Numbers of seconds that callers give."""

from __future__ import annotations

import math

from bubus._tree import describe_value
from bubus.errors import OptionError, OptionTypeError


def checked_seconds(option: str, value: object, *, infinite: bool = False) -> float:
    """
    Return the seconds that were given as *option*, which may be without end if *infinite*.

    Raises:
        OptionError: If the number is negative, not a number, or without end.
        OptionTypeError: If it is no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionTypeError(f"{option}={describe_value(value)} must be a number of seconds, such as 2.5")
    if value < 0 or math.isnan(value):
        raise OptionError(f"{option}={value} must be a number of seconds that is not negative")
    if math.isinf(value) and not infinite:
        raise OptionError(f"{option}={value} must be a number of seconds that ends")
    return value


def checked_timeout(value: object) -> float | None:
    """
    Return the seconds that were given as *timeout*, None if waiting has no limit.

    Raises:
        OptionError: If the number is negative, not a number, or without end.
        OptionTypeError: If it is no number.
    """
    try:
        return None if value is None else checked_seconds("timeout", value)
    except (OptionError, OptionTypeError) as error:
        raise type(error)(f"{error}; None waits as long as it takes") from None
