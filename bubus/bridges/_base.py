"""What a bridge asks of an engine: eight operations over bytes, and what passes through them."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol
from zlib import crc32

import attrs

import bubus._extras as extras
from bubus._seconds import checked_seconds
from bubus.bridges._safe import safe
from bubus.errors import OptionError, OptionTypeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bubus.bridges._link import Link

KEYED_SHARDS: Final = 16
"""Parts of a stream in which events with the same key stay in order, unless it is told otherwise."""

ATTEMPT_SECONDS: Final = 5.0
"""Longest wait for an answer before something is sent again: a new leader knows nothing of the question."""

_MOST_SHARDS: Final = 256
_SHORTEST_LEASE: Final = 0.5
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What a stream or group may be called: it becomes part of subjects, keys and file names of the server."""


@attrs.frozen
class Message:
    """What is published."""

    id: str
    """The server stores one message per id, as long as its dedupe window lasts."""

    body: bytes
    """The event as JSON."""

    head: bytes = b""
    """What goes with it, as JSON in ASCII; see `bubus.bridges._wire.Head`."""

    key: str = ""
    """Messages with the same key stay in order, in a stream that has shards; without one they are spread."""

    topic: str = "event"
    """The type of the event."""


@attrs.frozen(eq=False)
class Delivery:
    """What was received."""

    id: str
    body: bytes
    head: bytes
    attempt: int
    """How often it was delivered to this group, from 1."""

    place: object
    """How the transport finds it again."""


class Verdict(Enum):
    """What is to become of a delivery."""

    DONE = "done"
    """Never deliver it to this group again; a dead letter is deleted."""

    AGAIN = "again"
    """Deliver it again, to any member of the group."""

    WORKING = "working"
    """It is still being worked on: begin its lease anew."""


class Transport(Protocol):
    """
    An engine that keeps a stream of messages, and a place in it for each group of readers.

    What a method cannot do now, or does not know whether it was done, is a `BridgeUnavailable`: the bridge does it
    again. What can never be done is a `BridgeRefused`.
    """

    stream: str
    """Name of the stream."""

    group: str | None
    """Name of the group it reads for; None if it only publishes."""

    lease: float
    """Seconds after which a delivery that was not settled goes to another member of the group."""

    origin: str
    """The identity of the stream on its server; known when connected."""

    inbox: str
    """Where replies find this transport; known when connected."""

    async def connect(self, link: Link, *, ordered: bool) -> None:
        """
        Return when messages can be published and, with a group, every message from now on will reach it.

        *ordered* says that messages will have keys.

        Raises:
            BridgeConnectError: If that is not possible.
            OptionError: If the stream was made without shards, and *ordered*.
        """
        ...

    async def close(self) -> None:
        """Let go of the server; what was not settled will be delivered again."""
        ...

    async def publish(self, messages: Sequence[Message], *, dead: bool = False) -> list[Exception | None]:
        """
        Store messages, in order, and return what became of each: None when the server has it.

        Args:
            messages: Those whose id was stored before, within the dedupe window, are not stored again.
            dead: Store them among the dead letters instead.
        """
        ...

    async def fetch(self, limit: int, wait: float) -> Sequence[Delivery]:
        """Return up to *limit* deliveries; none only if none came within *wait* seconds."""
        ...

    async def settle(self, deliveries: Sequence[Delivery], verdict: Verdict, delay: float = 0.0) -> None:
        """Tell what is to become of deliveries; those to be delivered again are, after *delay* seconds."""
        ...

    async def letters(self, limit: int) -> Sequence[Delivery]:
        """Return the oldest dead letters; they stay where they are."""
        ...

    async def reply(self, inbox: str, data: bytes) -> None:
        """Send *data* to whoever has that inbox, if it is still there."""
        ...

    async def replies(self) -> Sequence[bytes]:
        """Wait for replies in the own inbox."""
        ...


def checked_name(option: str, value: object) -> str:
    """
    Return a name that every engine takes.

    Raises:
        OptionTypeError: If *value* is no text.
        OptionError: If it is not such a name.
    """
    if not isinstance(value, str):
        raise OptionTypeError(f"{option} must be a str, not {type(value).__name__}")
    if _NAME.fullmatch(value) is None:
        raise OptionError(
            f"{option}={value!r} must be 1 to 64 letters, digits, _ or -, and begin with none of the last"
        )
    return value


def checked_url(value: object, schemes: tuple[str, ...]) -> str:
    """
    Return the URL of a server; a password in it is not shown.

    Raises:
        OptionTypeError: If *value* is no text.
        OptionError: If it begins with another scheme.
    """
    if not isinstance(value, str):
        raise OptionTypeError(f"a server's URL must be a str, not {type(value).__name__}")
    scheme, separator, _ = value.partition("://")
    if (scheme if separator else "") not in schemes:
        found = f"{safe(scheme)}://…" if separator else "a URL without a scheme"
        wanted = ", ".join(f"{one}://…" for one in schemes if one)
        raise OptionError(f"{found} is no server of this bridge; its URLs are {wanted}")
    return value


def checked_shards(value: int | None) -> int | None:
    """
    Return the number of shards, None if the stream's own is taken.

    Raises:
        OptionError: If it is out of range.
    """
    if value is not None and not 0 <= value <= _MOST_SHARDS:
        raise OptionError(f"shards={value} must be between 1 and {_MOST_SHARDS}, or 0 for a stream without order")
    return value


def checked_lease(value: object) -> float:
    """
    Return the lease in seconds.

    Raises:
        OptionTypeError: If it is no number.
        OptionError: If it is too short to be renewed in time, or without end.
    """
    lease = checked_seconds("lease", value)
    if lease < _SHORTEST_LEASE:
        raise OptionError(f"lease={lease} must be at least {_SHORTEST_LEASE} seconds")
    return lease


def wanted_shards(shards: int | None, *, ordered: bool) -> int:
    """Return how many shards a stream gets that is made now."""
    if shards is None:
        return KEYED_SHARDS if ordered else 0
    return shards


def agreed_shards(found: int, stream: str, shards: int | None, *, ordered: bool) -> int:
    """
    Return how many shards an existing stream has; 0 means that it keeps no order.

    Raises:
        OptionError: If that is not what is asked for.
    """
    if shards not in (None, found):
        raise OptionError(f"stream {stream!r} was made with shards={found}, not {shards}: use the same on every side")
    if ordered and not found:
        raise OptionError(
            f"stream {stream!r} was made without shards, so key= cannot keep its events in order: make it anew with "
            + f"shards={KEYED_SHARDS} on the side that starts first, or leave key= out"
        )
    return found


def shard_of(message: Message, shards: int) -> int:
    """Return the shard that a message belongs to."""
    return crc32((message.key or message.id).encode()) % shards if shards else 0


def missing_extra(extra: str, package: str, problem: ModuleNotFoundError) -> Exception:
    """Return the error that names the extra which brings *package*; *problem* itself, if that would not help."""
    return extras.missing_extra(f"bubus.bridges.{extra}", extra, package, problem)
