"""
A bridge within one process: the same code without a server, and for the tests of programs that have one.

Everything is lost with the process; apart from that it promises what the others promise.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final, cast
from weakref import WeakKeyDictionary

import attrs
from typing_extensions import Unpack, override

from bubus._ids import new_id
from bubus.bridges import _base
from bubus.bridges._base import Delivery, Message, Verdict
from bubus.bridges._bridge import Bridge, BridgeOptions
from bubus.errors import BridgeConnectError, BridgeUnavailable, StreamFull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bubus.bridges._link import Link

_servers: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, MemoryServer]] = WeakKeyDictionary()


class MemoryServer:
    """
    Keeps the streams of the bridges that share it.

    Args:
        dedupe_seconds: How long an event id is remembered, so that publishing it again stores nothing.
    """

    def __init__(self, *, dedupe_seconds: float = 120.0) -> None:
        self.dedupe_seconds: Final = dedupe_seconds
        self._streams: dict[str, _Stream] = {}
        self._inboxes: dict[str, asyncio.Queue[bytes]] = {}
        self._is_down: bool = False

    def go_down(self) -> None:
        """Stop answering, as a server in an outage; what is stored stays."""
        self._is_down = True
        for stream in self._streams.values():
            stream.wake()

    def come_back(self) -> None:
        """Answer again."""
        self._is_down = False

    def check(self) -> None:
        """
        Answer.

        Raises:
            BridgeUnavailable: Between `go_down` and `come_back`.
        """
        if self._is_down:
            raise BridgeUnavailable("the server is down")

    def stream(self, name: str, shards: int, max_events: int) -> _Stream:
        """Return the stream of that name, made now if there is none."""
        if name not in self._streams:
            self._streams[name] = _Stream(shards, max_events, self.dedupe_seconds)
        return self._streams[name]

    def inbox(self, name: str) -> asyncio.Queue[bytes]:
        """Open an inbox for replies."""
        return self._inboxes.setdefault(name, asyncio.Queue())

    def close_inbox(self, name: str) -> None:
        """Close an inbox; replies to it are dropped from now on."""
        _ = self._inboxes.pop(name, None)

    def drop_into(self, name: str, data: bytes) -> None:
        """Put *data* into an inbox, if it is open."""
        if inbox := self._inboxes.get(name):
            inbox.put_nowait(data)


@attrs.define(eq=False)
class _Entry:
    seq: int
    message: Message
    shard: int
    unread: int
    """Groups that are not done with it."""


@attrs.define(eq=False)
class _Pending:
    entry: _Entry
    attempt: int = 0
    due: float = 0.0
    """When it is delivered again, by the loop's clock."""


@attrs.define(eq=False)
class _Group:
    keeps_order: bool
    ready: dict[int, deque[_Entry]] = attrs.Factory(dict[int, deque[_Entry]])
    """What was not delivered yet, by shard."""

    pending: dict[int, _Pending] = attrs.Factory(dict[int, _Pending])
    dues: list[tuple[float, int]] = attrs.Factory(list[tuple[float, int]])
    busy: set[int] = attrs.Factory(set[int])
    """Shards that wait for one of their events, where order is kept."""

    def add(self, entry: _Entry) -> None:
        entry.unread += 1
        self.ready.setdefault(entry.shard, deque()).append(entry)

    def take(self, now: float, lease: float, limit: int) -> list[Delivery]:
        taken: list[Delivery] = []
        while len(taken) < limit and (pending := self._next(now)):
            pending.attempt += 1
            self.put_off(pending.entry.seq, now + lease)
            message = pending.entry.message
            taken.append(Delivery(message.id, message.body, message.head, pending.attempt, pending.entry.seq))
        return taken

    def put_off(self, seq: int, due: float) -> None:
        if pending := self.pending.get(seq):
            pending.due = due
            heapq.heappush(self.dues, (due, seq))

    def next_due(self) -> float | None:
        while self.dues:
            due, seq = self.dues[0]
            if seq in self.pending and self.pending[seq].due == due:
                return due
            _ = heapq.heappop(self.dues)
        return None

    def done(self, seq: int) -> None:
        if pending := self.pending.pop(seq, None):
            pending.entry.unread -= 1
            self.busy.discard(pending.entry.shard)

    def _next(self, now: float) -> _Pending | None:
        due = self.next_due()
        if due is not None and due <= now:
            return self.pending[heapq.heappop(self.dues)[1]]
        for shard, entries in self.ready.items():
            if shard not in self.busy:
                return self._first(shard, entries)
        return None

    def _first(self, shard: int, entries: deque[_Entry]) -> _Pending:
        entry = entries.popleft()
        if not entries:
            del self.ready[shard]
        if self.keeps_order:
            self.busy.add(shard)
        pending = self.pending[entry.seq] = _Pending(entry)
        return pending


@attrs.define(eq=False)
class _Stream:
    shards: int
    max_events: int
    dedupe_seconds: float
    origin: str = attrs.Factory(new_id)
    groups: dict[str, _Group] = attrs.Factory(dict[str, _Group])
    entries: deque[_Entry] = attrs.Factory(deque[_Entry])
    dead: dict[int, Message] = attrs.Factory(dict[int, Message])
    _ids: OrderedDict[str, float] = attrs.Factory(OrderedDict[str, float])
    _last: int = 0
    _waiting: set[asyncio.Future[None]] = attrs.Factory(set["asyncio.Future[None]"])

    def join(self, name: str) -> None:
        if name not in self.groups:
            group = self.groups[name] = _Group(keeps_order=bool(self.shards))
            for entry in self.entries:
                group.add(entry)

    def store(self, message: Message, now: float, *, dead: bool) -> None:
        dedupe = f"dead {message.id}" if dead else message.id
        self._forget_ids(now)
        if dedupe in self._ids:
            return
        if not dead:
            self._make_room()
        self._ids[dedupe] = now
        self._last += 1
        if dead:
            self.dead[self._last] = message
            return
        entry = _Entry(self._last, message, _base.shard_of(message, self.shards), 0)
        self.entries.append(entry)
        for group in self.groups.values():
            group.add(entry)
        self.wake()

    async def wait(self, seconds: float) -> None:
        """Wait until something may have changed, at most *seconds*."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            _ = await asyncio.wait([future], timeout=seconds)
        finally:
            self._waiting.discard(future)

    def wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def _make_room(self) -> None:
        while len(self.entries) >= self.max_events:
            if self.entries[0].unread or not self.groups:
                raise StreamFull(f"the stream holds max_events={self.max_events} that were not read by all")
            _ = self.entries.popleft()

    def _forget_ids(self, now: float) -> None:
        while self._ids and next(iter(self._ids.values())) < now - self.dedupe_seconds:
            _ = self._ids.popitem(last=False)


class MemoryTransport:
    """A transport within one event loop; `bubus.bridges._base.Transport` says what each method does."""

    origin: str = ""
    inbox: str = ""

    def __init__(
        self,
        server: MemoryServer | None,
        *,
        stream: str,
        group: str | None,
        lease: float = 30.0,
        shards: int | None = None,
        max_events: int = 100_000,
    ) -> None:
        self.stream: str = _base.checked_name("stream", stream)
        self.group: str | None = None if group is None else _base.checked_name("group", group)
        self.lease: float = _base.checked_lease(lease)
        self._shards: Final = _base.checked_shards(shards)
        self._max_events: Final = max_events
        self._server: Final = server
        self._connected: tuple[MemoryServer, _Stream, asyncio.Queue[bytes]] | None = None

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stream} group={self.group}>"

    async def connect(self, link: Link, *, ordered: bool) -> None:
        """Make or join the stream, and join the group."""
        del link  # an outage shows in the methods themselves
        loop = asyncio.get_running_loop()
        server = self._server or _servers.setdefault(loop, MemoryServer())
        try:
            server.check()
        except BridgeUnavailable as error:
            raise BridgeConnectError(f"{self!r} cannot be used: {error}") from error
        stream = server.stream(self.stream, _base.wanted_shards(self._shards, ordered=ordered), self._max_events)
        _ = _base.agreed_shards(stream.shards, self.stream, self._shards, ordered=ordered)
        if self.group is not None:
            stream.join(self.group)
        self.origin = stream.origin
        self.inbox = new_id()
        self._connected = server, stream, server.inbox(self.inbox)

    async def close(self) -> None:
        """Close the inbox."""
        if self._connected is not None:
            server, stream, _ = self._connected
            server.close_inbox(self.inbox)
            stream.wake()
            self._connected = None

    async def publish(self, messages: Sequence[Message], *, dead: bool = False) -> list[Exception | None]:
        """Store each message."""
        return [self._store(message, dead=dead) for message in messages]

    async def fetch(self, limit: int, wait: float) -> Sequence[Delivery]:
        """Take what is there, or wait for it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        while True:
            _, stream, _ = self._open()
            group, now = self._group(stream), loop.time()
            if (taken := group.take(now, self.lease, limit)) or now >= end:
                return taken
            due = group.next_due()
            await stream.wait(max(0.0, min(end, end if due is None else due) - now))

    async def settle(self, deliveries: Sequence[Delivery], verdict: Verdict, delay: float = 0.0) -> None:
        """Take deliveries out of what is pending, or change when they are due."""
        _, stream, _ = self._open()
        due = asyncio.get_running_loop().time() + (self.lease if verdict is Verdict.WORKING else delay)
        for delivery in deliveries:
            place = cast("_Letter | int", delivery.place)
            if isinstance(place, _Letter):
                _ = stream.dead.pop(place.seq, None)
            elif verdict is Verdict.DONE:
                self._group(stream).done(place)
            else:
                self._group(stream).put_off(place, due)
        stream.wake()

    async def letters(self, limit: int) -> Sequence[Delivery]:
        """Return the first of the dead."""
        _, stream, _ = self._open()
        first = list(stream.dead.items())[:limit]
        return [Delivery(letter.id, letter.body, letter.head, 1, _Letter(seq)) for seq, letter in first]

    async def reply(self, inbox: str, data: bytes) -> None:
        """Put the reply into the inbox."""
        server, _, _ = self._open()
        server.drop_into(inbox, data)

    async def replies(self) -> Sequence[bytes]:
        """Take the next reply out of the inbox."""
        _, _, inbox = self._open()
        return [await inbox.get()]

    def _store(self, message: Message, *, dead: bool) -> Exception | None:
        try:
            _, stream, _ = self._open()
            stream.store(message, asyncio.get_running_loop().time(), dead=dead)
        except BridgeUnavailable as error:
            return error
        return None

    def _open(self) -> tuple[MemoryServer, _Stream, asyncio.Queue[bytes]]:
        if self._connected is None:
            raise BridgeUnavailable("not connected")
        self._connected[0].check()
        return self._connected

    def _group(self, stream: _Stream) -> _Group:
        return stream.groups[self.group or ""]


@attrs.frozen
class _Letter:
    """The place of a dead letter."""

    seq: int


class MemoryBridge(Bridge):
    """
    A bridge to others in the same event loop.

    Args:
        server: Keeps the streams; by default one per event loop.
        stream: Name of the stream.
        group: Members of a group share its events, each group gets all of them. None = only send.
        lease: Seconds after which an event that is not done, and not being worked on, is delivered again.
        shards: Parts of the stream that keep order; see `bubus.bridges`.
        max_events: Events the stream holds: then those that every group has done are dropped, or else sending waits.
        options: See `Bridge`.

    Raises:
        OptionError: If an option is out of range.
        OptionTypeError: If a name is no text.
    """

    def __init__(
        self,
        server: MemoryServer | None = None,
        *,
        stream: str,
        group: str | None = None,
        lease: float = 30.0,
        shards: int | None = None,
        max_events: int = 100_000,
        **options: Unpack[BridgeOptions],
    ) -> None:
        transport = MemoryTransport(
            server, stream=stream, group=group, lease=lease, shards=shards, max_events=max_events
        )
        super().__init__(transport, **options)
