"""
Dates, times and durations: what text and numbers each accepts.

Text is ISO 8601 as pydantic reads it; numbers are Unix time in seconds, or in milliseconds when they are large.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Final, final

from bubus._faults import fail

_MS_WATERSHED: Final = 20_000_000_000  # beyond it seconds would be after the year 2603
_FIRST_SECOND: Final = -62_167_219_200  # year 0
_LAST_SECOND: Final = 253_402_300_799  # end of the year 9999
_LAST_SECOND_OF_DAY: Final = 86_399
_LONGEST: Final = 999_999_999  # days in a timedelta
_SHORTEST_DATE: Final = 10
_SHORTEST_TIME: Final = 5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOURS, _SIXTY, _MONTHS = 23, 59, 12

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_DIGITS: Final = re.compile(r"[0-9]+")
_ISO_PART: Final = re.compile(r"([0-9]+(?:[.,][0-9]+)?|[.,][0-9]+)(.?)", re.DOTALL)
_DAYS: Final = re.compile(r"([0-9]+)\s*d(?:ays?)?,?\s*", re.IGNORECASE)
_CLOCK: Final = re.compile(r"[0-9]{1,}(?=:)")

_DAY_UNITS: Final = {"Y": timedelta(days=365), "M": timedelta(days=30), "W": timedelta(weeks=1), "D": timedelta(days=1)}
_TIME_UNITS: Final = {"H": timedelta(hours=1), "M": timedelta(minutes=1), "S": timedelta(seconds=1)}


class Unreadable(ValueError):  # noqa: N818 - says what the text is
    """Text or a number that stands for no moment; says why."""


class YearZero(Unreadable):
    """The year 0: ISO has it, Python has not."""


@final
class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at

    def number(self, width: int, name: str) -> int:
        """Read *width* digits."""
        part = self.text[self.at : self.at + width]
        if len(part) < width and (part == "" or _DIGITS.fullmatch(part)) and not name.startswith("timezone"):
            raise Unreadable("input is too short")
        if len(part) < width or not _DIGITS.fullmatch(part):
            raise Unreadable(f"invalid {name}" if name.startswith("timezone") else f"invalid character in {name}")
        self.at += width
        return int(part)

    def accept(self, characters: str) -> str:
        """Read one of *characters* if it is next; return it or ''."""
        following = self.text[self.at : self.at + 1]
        if following and following in characters:
            self.at += 1
            return following
        return ""

    def expect(self, characters: str, complaint: str) -> None:
        """Read one of *characters*."""
        if not self.accept(characters):
            raise Unreadable(complaint)

    def room(self, length: int) -> None:
        """Demand *length* more characters."""
        if len(self.text) - self.at < length:
            raise Unreadable("input is too short")

    def end(self) -> None:
        """Demand that nothing follows."""
        if self.at != len(self.text):
            raise Unreadable("unexpected extra characters at the end of the input")


def _within(value: int, limit: int, name: str, low: int = 0) -> int:
    if not low <= value <= limit:
        raise Unreadable(f"{name} value is outside expected range of {low}-{limit}")
    return value


def _read_date(reader: _Reader) -> date:
    reader.room(_SHORTEST_DATE)
    year = reader.number(4, "year")
    reader.expect("-", "invalid date separator, expected `-`")
    month = reader.number(2, "month")
    reader.expect("-", "invalid date separator, expected `-`")
    day = reader.number(2, "day")
    _ = _within(month, _MONTHS, "month", 1)
    if year == 0:
        raise YearZero("year 0 is out of range")
    try:
        return date(year, month, day)
    except ValueError:
        raise Unreadable("day value is outside expected range") from None


def _read_time(reader: _Reader) -> time:
    reader.room(_SHORTEST_TIME)
    hour = reader.number(2, "hour")
    reader.expect(":", "invalid time separator, expected `:`")
    minute = reader.number(2, "minute")
    _ = _within(hour, _HOURS, "hour")
    _ = _within(minute, _SIXTY, "minute")
    second = microsecond = 0
    if reader.accept(":"):
        second = _within(reader.number(2, "second"), _SIXTY, "second")
        microsecond = _read_fraction(reader)
    zone = _read_zone(reader)
    reader.end()
    return time(hour, minute, second, microsecond, zone)


def _read_fraction(reader: _Reader) -> int:
    if not reader.accept(".,"):
        return 0
    match = _DIGITS.match(reader.text, reader.at)
    if match is None:
        raise Unreadable("second fraction digits missing after `.`")
    reader.at = match.end()
    return int(match[0][:6].ljust(6, "0"))


def _read_zone(reader: _Reader) -> timezone | None:
    if reader.at == len(reader.text):
        return None
    if reader.accept("Zz"):
        return UTC
    sign = reader.accept("+-\u2212")
    if not sign:
        raise Unreadable("invalid timezone sign")
    hours = reader.number(2, "timezone hour")
    _ = reader.accept(":")
    minutes = _within(reader.number(2, "timezone minute"), _SIXTY, "timezone minute")
    if hours > _HOURS:
        raise Unreadable("timezone offset must be less than 24 hours")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(offset if sign == "+" else -offset) if offset else UTC


def parse_date(text: str) -> date:
    """
    Return the date that *text* is.

    Raises:
        Unreadable: If it is none.
    """
    reader = _Reader(text)
    found = _read_date(reader)
    reader.end()
    return found


def parse_time(text: str) -> time:
    """
    Return the time of day that *text* is.

    Raises:
        Unreadable: If it is none.
    """
    return _read_time(_Reader(text))


def parse_datetime(text: str) -> datetime:
    """
    Return the point in time that *text* is, as a date and a time or as Unix time.

    Raises:
        Unreadable: If it is none.
    """
    if _NUMBER.fullmatch(text):
        return from_unix(float(text))
    reader = _Reader(text)
    day = _read_date(reader)
    if reader.at == len(text):
        raise Unreadable("input is too short")
    reader.expect("Tt_ ", "invalid datetime separator, expected `T`, `t`, `_` or space")
    return datetime.combine(day, _read_time(reader))


def from_unix(number: float) -> datetime:
    """
    Return the point in time of a Unix time in seconds, or in milliseconds if it is large.

    Raises:
        Unreadable: If Python's datetime has no such point.
    """
    if math.isnan(number):
        raise Unreadable("NaN values not permitted")
    seconds = number / 1000 if abs(number) > _MS_WATERSHED else number
    if seconds > _LAST_SECOND:
        raise Unreadable("dates after 9999 are not supported as unix timestamps")
    if seconds < _FIRST_SECOND:
        raise Unreadable("dates before 0000 are not supported as unix timestamps")
    whole = math.floor(seconds)
    try:
        return _EPOCH + timedelta(seconds=whole, microseconds=round((seconds - whole) * 1_000_000))
    except OverflowError:
        raise YearZero("year 0 is out of range") from None


def parse_timedelta(text: str) -> timedelta:
    """
    Return the duration that *text* is: ISO 8601, or days and a clock time.

    Raises:
        Unreadable: If it is none.
    """
    reader = _Reader(text)
    negative = reader.accept("+-") == "-"
    reader.room(1)
    try:
        duration = _read_iso(reader) if reader.accept("P") else _read_days(reader)
    except OverflowError:
        raise Unreadable("durations may not exceed 999,999,999 days") from None
    return -duration if negative else duration


def _read_iso(reader: _Reader) -> timedelta:
    reader.room(1)
    total, units, part = timedelta(), _DAY_UNITS, "date"
    while reader.at < len(reader.text):
        if units is _DAY_UNITS and reader.accept("T"):
            units, part = _TIME_UNITS, "time"
            if total == timedelta():
                reader.room(1)
            continue
        match = _ISO_PART.match(reader.text, reader.at)
        if match is None:
            raise Unreadable("invalid digit in duration")
        if match[2] not in units:
            raise Unreadable(f"quantity invalid in {part} part of duration")
        reader.at = match.end()
        total += _times(match[1].replace(",", "."), units[match[2]])
    return total


def _times(quantity: str, unit: timedelta) -> timedelta:
    exact = Decimal(quantity) * (unit // timedelta(microseconds=1))
    return timedelta(microseconds=int(exact))


def _read_days(reader: _Reader) -> timedelta:
    if not _DIGITS.match(reader.text, reader.at):
        raise Unreadable("invalid digit in duration")
    days = _DAYS.match(reader.text, reader.at)
    if days is None:
        return _read_clock(reader)
    reader.at = days.end()
    duration = timedelta(days=int(days[1]))
    return duration if reader.at == len(reader.text) else duration + _read_clock(reader)


def _read_clock(reader: _Reader) -> timedelta:
    reader.room(_SHORTEST_TIME)
    hours = _CLOCK.match(reader.text, reader.at)
    if hours is None:
        raise Unreadable("invalid character in hour")
    reader.at = hours.end() + 1
    minutes = _within(reader.number(2, "minute"), _SIXTY, "minute")
    seconds = microseconds = 0
    if reader.accept(":"):
        seconds = _within(reader.number(2, "second"), _SIXTY, "second")
        microseconds = _read_fraction(reader)
    reader.end()
    return timedelta(hours=int(hours[0]), minutes=minutes, seconds=seconds, microseconds=microseconds)


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def strict_datetime(value: object) -> datetime:
    """Accept a datetime."""
    return value if isinstance(value, datetime) else fail("datetime_type", value)


def text_datetime(value: object) -> datetime:
    """Accept a datetime, or text that is one."""
    if (text := _text(value)) is None:
        return strict_datetime(value)
    try:
        return parse_datetime(text)
    except Unreadable as error:
        fail("datetime_parsing", value, error=str(error))


def _datetime_or_date(text: str, value: object) -> datetime:
    try:
        return _read_either(text)
    except YearZero as error:
        fail("datetime_parsing", value, error=str(error))
    except Unreadable as error:
        fail("datetime_from_date_parsing", value, error=str(error))


def _read_either(text: str) -> datetime:
    try:
        return parse_datetime(text)
    except Unreadable:
        if _NUMBER.fullmatch(text):
            raise
    return datetime.combine(parse_date(text), time())


def lax_datetime(value: object) -> datetime:
    """Accept also a date, for its midnight, and Unix time."""
    if isinstance(value, date):
        return value if isinstance(value, datetime) else datetime.combine(value, time())
    if (text := _text(value)) is not None:
        return _datetime_or_date(text, value)
    number = _number(value)
    if number is None:
        fail("datetime_type", value)
    try:
        return from_unix(number)
    except Unreadable as error:
        fail("datetime_parsing", value, error=str(error))


def strict_date(value: object) -> date:
    """Accept a date that is no datetime."""
    return value if isinstance(value, date) and not isinstance(value, datetime) else fail("date_type", value)


def text_date(value: object) -> date:
    """Accept a date, or text that is one."""
    if (text := _text(value)) is None:
        return strict_date(value)
    try:
        return parse_date(text)
    except Unreadable as error:
        fail("date_parsing", value, error=str(error))


def lax_date(value: object) -> date:
    """Accept also a midnight: as datetime, as text or as Unix time."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        moment = _moment(value)
    except YearZero as error:
        fail("date_parsing", value, error=str(error))
    except Unreadable as error:
        fail("date_from_datetime_parsing", value, error=str(error))
    if isinstance(moment, datetime) and moment.time() != time():
        fail("date_from_datetime_inexact", value)
    return moment.date() if isinstance(moment, datetime) else moment


def _moment(value: object) -> date:
    if isinstance(value, datetime):
        return value
    if (number := _number(value)) is not None:
        return from_unix(number)
    if (text := _text(value)) is None:
        fail("date_type", value)
    try:
        return parse_date(text)
    except Unreadable:
        return parse_datetime(text)


def strict_time(value: object) -> time:
    """Accept a time of day."""
    return value if isinstance(value, time) else fail("time_type", value)


def text_time(value: object) -> time:
    """Accept a time of day, or text that is one."""
    if (text := _text(value)) is None:
        return strict_time(value)
    try:
        return parse_time(text)
    except Unreadable as error:
        fail("time_parsing", value, error=str(error))


def lax_time(value: object) -> time:
    """Accept also seconds since midnight, which are UTC."""
    number = _number(value)
    if number is None:
        return text_time(value)
    reason = _no_time_of_day(number)
    return (
        (_EPOCH + timedelta(seconds=number)).timetz() if reason is None else fail("time_parsing", value, error=reason)
    )


def _no_time_of_day(number: float) -> str | None:
    if math.isnan(number):
        return "NaN values not permitted"
    if number < 0:
        return "time in seconds should be positive"
    return "numeric times may not exceed 86,399 seconds" if number > _LAST_SECOND_OF_DAY else None


def strict_timedelta(value: object) -> timedelta:
    """Accept a timedelta."""
    return value if isinstance(value, timedelta) else fail("time_delta_type", value)


def text_timedelta(value: object) -> timedelta:
    """Accept a timedelta, or text that is one."""
    if (text := _text(value)) is None:
        return strict_timedelta(value)
    try:
        return parse_timedelta(text)
    except Unreadable as error:
        fail("time_delta_parsing", value, error=str(error))


def lax_timedelta(value: object) -> timedelta:
    """Accept also seconds."""
    number = float(value) if isinstance(value, bool) else _number(value)
    if number is None:
        return text_timedelta(value)
    if math.isnan(number):
        fail("time_delta_parsing", value, error="NaN values not permitted")
    try:
        return timedelta(seconds=number)
    except OverflowError:
        fail("time_delta_parsing", value, error="durations may not exceed 999,999,999 days")
