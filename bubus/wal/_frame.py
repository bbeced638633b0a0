"""
The end of a line: its number, and a checksum over all that stands before.

``{"event_type": ..., "event_seq":7,"event_crc":2868083711}``: both are ordinary JSON, so that any tool reads the line,
and the checksum is the last key, so that it can be found without decoding.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable

SEAL_BYTES: Final = 64
"""What event_seq and event_crc add to a line, at most."""

_SEQ: Final = b',"event_seq":'
_LF, _CR, _DEL, _COMMA = 0x0A, 0x0D, 0x7F, 0x2C  # looking for a number in bytes is eight times as fast as for bytes

_SEALED: Final = re.compile(rb',"event_seq":[0-9]{1,20},"event_crc":[0-9]{1,10}\}\Z')

# What makes a terminal act or a reader see another order. In JSON it can only stand inside strings.
_UNSAFE: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]")


class BadLine(ValueError):  # noqa: N818 - never leaves the package: becomes a LogDamagedError with its place
    """A line cannot be read; the text says why and is safe to print."""


def too_long(longest: int) -> BadLine:
    """Return the error for a line that a log opened with ``max_line_bytes=longest`` does not take."""
    return BadLine(f"longer than max_line_bytes={longest}; open the log with a larger one")


def seal_all(bodies: Iterable[bytes], seq: int) -> bytes:
    """Return the whole lines for *bodies*, JSON objects without their closing braces; *seq* is the number before."""
    parts: list[bytes] = []
    for body in bodies:
        seq += 1
        number = b',"event_seq":%d,' % seq
        parts += (body, b'%b"event_crc":%d}\n' % (number, crc32(number, crc32(body))))
    return b"".join(parts)


def is_sealed(line: bytes, seq: int | None) -> bool:
    """Tell whether *line* (without its line feed) is whole and has the number *seq*."""
    if seq is None:
        return False
    crc_at = line.rfind(_COMMA, -SEAL_BYTES) + 1
    return line.endswith(b',"event_seq":%d,"event_crc":%d}' % (seq, crc32(line[:crc_at])))


def unseal(line: bytes) -> int | None:
    """
    Check the end of *line* (without its line feed) and return its number, None when it has no such end.

    Raises:
        BadLine: If the checksum is wrong.

    """
    crc_at = line.rfind(_COMMA, -SEAL_BYTES)
    if not line.endswith(b',"event_crc":%d}' % crc32(line[: crc_at + 1]), crc_at):
        if _SEALED.search(line, max(0, len(line) - SEAL_BYTES)):
            raise BadLine("the line is not what was written (event_crc does not fit)")
        return None
    seq_at = line.rfind(_COMMA, -SEAL_BYTES, crc_at)
    seq = line[seq_at + len(_SEQ) : crc_at]
    return int(seq) if line.startswith(_SEQ, seq_at) and seq.isdigit() else None


def unsealed(line: bytes) -> bytes:
    """Return a line without the number and checksum that `unseal` has found at its end."""
    return line[: line.rfind(_SEQ)] + b"}"


def clean(body: bytes) -> bytes:
    r"""
    Return *body* on one line and safe to print, with the same meaning.

    A raw line feed is white space in JSON, and control characters can be written as ``\u0085``.
    """
    if _LF in body or _CR in body:
        body = body.replace(b"\n", b" ").replace(b"\r", b" ")
    if body.isascii() and _DEL not in body:
        return body
    return _UNSAFE.sub(_escape, body)


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(match[0].decode())
