"""
A bridge over Redis Streams, on Redis 6.2 or later or Valkey; needs the extra ``bubus[redis]``.

A stream ``orders`` is the key ``orders`` (or ``{orders}:0``, ``{orders}:1`` and so on, where order is kept), with a
consumer group for each group. Beside it, all in the same slot of a cluster, are ``{orders}:dead``, ``{orders}:meta``,
``{orders}:id:…`` for each id that is remembered, and ``{orders}:reply:…`` for a minute.

What an acknowledgement means is up to the server: with ``appendfsync always`` an event survives everything; with
``everysec``, the usual setting, a server that is killed has lost up to two seconds of them; `wait_for_disk` makes
every sending wait for the disk instead. The bridge says so when it starts.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import attrs
from typing_extensions import Unpack, override

from bubus._ids import new_id
from bubus._seconds import checked_seconds
from bubus.bridges import _base
from bubus.bridges._base import Delivery, Message, Verdict
from bubus.bridges._bridge import Bridge, BridgeOptions
from bubus.bridges._safe import logger, safe
from bubus.errors import BridgeConnectError, BridgeRefused, BridgeUnavailable, OptionError, StreamFull

try:
    from redis.asyncio import Redis, RedisCluster
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import NoScriptError, RedisError, ResponseError
except ModuleNotFoundError as _problem:
    raise _base.missing_extra("redis", "redis", _problem) from _problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bubus.bridges._link import Link

Entry: TypeAlias = "tuple[bytes, list[bytes] | None]"
"""Id and fields of an entry of a stream."""

_Taken: TypeAlias = "tuple[list[tuple[bytes, Entry]], list[bytes]]"
"""What `_TAKE` returns: entries with their keys, and the newest id of each shard."""

_Pending: TypeAlias = "list[tuple[bytes, bytes, int, int]]"
"""Entries that are being worked on: id, member, milliseconds since their delivery, number of deliveries."""

_Command: TypeAlias = "tuple[str | bytes | float | None, ...]"

_AS_SENT: Final = (
    "BLPOP", "CONFIG GET", "HMGET", "XAUTOCLAIM", "XCLAIM", "XINFO CONSUMERS", "XPENDING", "XRANGE", "XREAD",
    "XREADGROUP",
)  # fmt: skip
"""Commands whose replies are taken as the server sends them, whatever the client would make of them."""

_LOST: Final = (RedisError, OSError, asyncio.TimeoutError)
_CLAIM_SECONDS: Final = 0.5
"""How often a member looks for what another has left, or what is to be delivered again."""

_BUSY_SECONDS: Final = 0.05
"""How often it is looked for free shards while some wait for a member of this group."""

_REPLY_SECONDS: Final = 60
_DEAD_CONSUMER: Final = 24 * 3600 * 1000
"""Milliseconds after which a member that had nothing left to do is forgotten."""

# Stores an entry unless its id is known. KEYS: stream, id. ARGV: id, body, head, seconds to know the id, most entries,
# milliseconds after which entries go.
_STORE: Final = """
local stream, known = KEYS[1], KEYS[2]
if redis.call('EXISTS', known) == 1 then return 0 end

local function before(a, b)
  local a1, a2 = string.match(a, '(%d+)-(%d+)')
  local b1, b2 = string.match(b, '(%d+)-(%d+)')
  if a1 == b1 then return tonumber(a2) < tonumber(b2) end
  return tonumber(a1) < tonumber(b1)
end

local function oldest_needed()
  local oldest
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local facts = {}
    for i = 1, #group, 2 do facts[group[i]] = group[i + 1] end
    local id = facts['last-delivered-id']
    if facts['pending'] > 0 then id = redis.call('XPENDING', stream, facts['name'])[2] end
    if not oldest or before(id, oldest) then oldest = id end
  end
  return oldest
end

local most, age = tonumber(ARGV[5]), tonumber(ARGV[6])
if most > 0 and redis.call('XLEN', stream) >= most then
  local id = oldest_needed()
  if id then redis.call('XTRIM', stream, 'MINID', id) end
  if redis.call('XLEN', stream) >= most then
    return redis.error_reply('FULL the stream holds ' .. most .. ' events (max_events) that were not read by all')
  end
end
if age > 0 then
  local now = redis.call('TIME')
  redis.call('XTRIM', stream, 'MINID', '~', now[1] * 1000 + math.floor(now[2] / 1000) - age)
end
redis.call('XADD', stream, '*', 'id', ARGV[1], 'body', ARGV[2], 'head', ARGV[3])
redis.call('SET', known, '1', 'EX', ARGV[4])
return 1
"""

# Takes the next entry of each shard of which none is being worked on. KEYS: shards. ARGV: group, member, most entries.
_TAKE: Final = """
local taken, last = {}, {}
for i, shard in ipairs(KEYS) do
  if #taken < tonumber(ARGV[3]) and redis.call('XPENDING', shard, ARGV[1])[1] == 0 then
    local found = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', shard, '>')
    if found then taken[#taken + 1] = {shard, found[1][2][1]} end
  end
  local newest = redis.call('XREVRANGE', shard, '+', '-', 'COUNT', 1)[1]
  last[i] = newest and newest[1] or '0-0'
end
return {taken, last}
"""


# A server runs a script by this name after it has seen it once.
_STORE_SHA: Final = hashlib.sha1(_STORE.encode(), usedforsecurity=False).hexdigest()
_TAKE_SHA: Final = hashlib.sha1(_TAKE.encode(), usedforsecurity=False).hexdigest()


@attrs.frozen
class _Place:
    """Where an entry is."""

    key: str
    entry: str
    is_dead: bool = False


class RedisTransport:
    """A transport over Redis Streams; `bubus.bridges.Transport` says what each method does."""

    origin: str = ""
    inbox: str = ""

    def __init__(
        self,
        url: str,
        *,
        stream: str,
        group: str | None,
        lease: float,
        shards: int | None,
        dedupe_seconds: float,
        max_events: int | None,
        max_age: float | None,
        wait_for_disk: bool,
        cluster: bool,
        timeout: float,
        client: Mapping[str, object],
    ) -> None:
        self.stream: str = _base.checked_name("stream", stream)
        self.group: str | None = None if group is None else _base.checked_name("group", group)
        self.lease: float = _base.checked_lease(lease)
        self._wanted_shards: Final = _base.checked_shards(shards)
        self._shards: int = 0
        self._url: Final = _base.checked_url(url, ("redis", "rediss", "unix"))
        self._keep: Final = (
            max(1, round(dedupe_seconds)),
            max_events or 0,
            0 if max_age is None else max(1, round(max_age * 1000)),
        )
        if cluster and wait_for_disk:
            raise OptionError("a cluster cannot be asked to wait for the disk: set appendfsync always there")
        self._wait_for_disk: Final = wait_for_disk
        self._cluster: Final = cluster
        self._timeout: Final = checked_seconds("timeout", timeout)
        self._attempt: Final = min(self._timeout, _base.ATTEMPT_SECONDS)
        self._client_options: Final = client
        self._client: Redis | RedisCluster | None = None
        self._member: Final = new_id()
        self._next_claim: float = 0.0
        self._at_work: int = 0
        """Deliveries that were taken here and not settled, where order is kept."""

        self._freed: Final = asyncio.Event()

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} {safe(self._url)} {self.stream} group={self.group}>"

    # -- connection --------------------------------------------------------------------------------------------------

    async def connect(self, link: Link, *, ordered: bool) -> None:
        """Connect, and make what does not exist yet."""
        del link  # whether the server answers shows in each call
        options: dict[str, object] = {
            "socket_connect_timeout": 2,
            "socket_timeout": self._attempt,
            **self._client_options,
            "protocol": 2,
            "decode_responses": False,
            "retry": Retry(NoBackoff(), 0),  # what is sent twice must be sent by us, under the same id
        }
        kind = RedisCluster if self._cluster else Redis
        self._client = client = kind.from_url(self._url, **options)
        for command in _AS_SENT:
            _ = client.response_callbacks.pop(command, None)
        try:
            async with asyncio.timeout(self._timeout):
                await self._open(ordered=ordered)
        except _LOST as error:
            await self.close()
            raise BridgeConnectError(
                f"{self!r} cannot be used: {safe(error) or type(error).__name__}; check that the server runs, and who "
                + "may use it"
            ) from None
        except BaseException:
            await self.close()
            raise

    async def _open(self, *, ordered: bool) -> None:
        meta = f"{{{self.stream}}}:meta"
        shards = _base.wanted_shards(self._wanted_shards, ordered=ordered)
        _ = await self._server.execute_command("HSETNX", meta, "shards", shards)
        _ = await self._server.execute_command("HSETNX", meta, "origin", new_id())
        found, origin = await self._server.execute_command("HMGET", meta, "shards", "origin")
        self._shards = _base.agreed_shards(int(found), self.stream, self._wanted_shards, ordered=ordered)
        self.origin = origin.decode()
        self.inbox = f"{self._reply_prefix}{new_id()}"
        await self._join()
        await self._check_durability()

    async def _join(self) -> None:
        if self.group is None:
            return
        for key in self._keys:
            try:
                _ = await self._server.execute_command("XGROUP CREATE", key, self.group, "0", "MKSTREAM")
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
                await self._forget_the_dead(key)

    async def _forget_the_dead(self, key: str) -> None:
        for facts in await self._server.execute_command("XINFO CONSUMERS", key, self.group):
            member = dict(zip(facts[::2], facts[1::2], strict=True))
            if not member[b"pending"] and int(member[b"idle"]) > _DEAD_CONSUMER:
                _ = await self._server.execute_command("XGROUP DELCONSUMER", key, self.group, member[b"name"])

    async def _check_durability(self) -> None:
        if self._wait_for_disk:
            return
        try:
            pairs = await self._server.execute_command("CONFIG GET", "append*")
        except RedisError:
            logger.warning("%r: it cannot be asked what an acknowledgement means; see wait_for_disk", self)
            return
        settings = dict(zip(pairs[::2], pairs[1::2], strict=True))
        if settings.get(b"appendonly") != b"yes":
            logger.warning("%r: acknowledged events are lost when the server ends; set appendonly yes", self)
        elif settings.get(b"appendfsync") != b"always":
            logger.warning(
                "%r: up to two seconds of acknowledged events are lost when the server is killed; set appendfsync "
                + "always, or wait_for_disk=True",
                self,
            )

    async def close(self) -> None:
        """Hand back what was fetched and not taken, and disconnect."""
        client = self._client
        if client is None:
            return
        if self.origin and self.group is not None:
            try:
                async with asyncio.timeout(2):
                    await self._hand_back_all()
            except (*_LOST, BridgeUnavailable) as error:
                logger.debug("%r: what was fetched comes again when its lease ends: %s", self, safe(error))
        self._client = None
        await client.aclose()

    async def _hand_back_all(self) -> None:
        """Let others have what a cancelled call has fetched, and what was not settled."""
        for key in self._keys:
            pending = await self._server.execute_command("XPENDING", key, self.group, "-", "+", 1000, self._member)
            places = [_Place(key, entry[0].decode()) for entry in pending]
            await self._put_off(places, self.lease * 1000)

    @property
    def _server(self) -> Redis | RedisCluster:
        if self._client is None:
            raise BridgeUnavailable("not connected")
        return self._client

    async def _all(self, commands: Sequence[_Command]) -> list[object]:
        """Do commands in one go, and return the reply or error of each."""
        client = self._server
        try:
            if len(commands) == 1:  # a pipeline of one takes half as long again
                return [await client.execute_command(*commands[0])]
            pipeline = client.pipeline(transaction=False)
            for words in commands:
                _ = pipeline.execute_command(*words)
            return await pipeline.execute(raise_on_error=False)
        except ResponseError as error:
            return [error]
        except _LOST as error:
            raise _unavailable(error) from error

    @property
    def _keys(self) -> list[str]:
        """The keys of the stream."""
        if not self._shards:
            return [self.stream]
        return [f"{{{self.stream}}}:{shard}" for shard in range(self._shards)]

    @property
    def _reply_prefix(self) -> str:
        return f"{{{self.stream}}}:reply:"

    # -- publishing ----------------------------------------------------------------------------------------------------

    async def publish(self, messages: Sequence[Message], *, dead: bool = False) -> list[Exception | None]:
        """Run the script that stores what is new, for all messages in one go."""
        outcomes = await self._store(messages, "EVALSHA", _STORE_SHA, dead=dead)
        if any(isinstance(outcome, NoScriptError) for outcome in outcomes):
            outcomes = await self._store(messages, "EVAL", _STORE, dead=dead)
        return [_unavailable(outcome) if isinstance(outcome, Exception) else None for outcome in outcomes]

    async def _store(self, messages: Sequence[Message], command: str, script: str, *, dead: bool) -> list[object]:
        commands: list[_Command] = [
            (command, script, 2, *self._store_arguments(message, dead=dead)) for message in messages
        ]
        if not self._wait_for_disk:
            return await self._all(commands)
        *outcomes, last = await self._all([*commands, ("WAITAOF", 1, 0, round(self._attempt * 900))])
        on_disk = cast("Exception | list[int]", last)
        if isinstance(on_disk, Exception) or not on_disk[0]:
            return [on_disk if isinstance(on_disk, Exception) else TimeoutError("not on the disk in time")] * len(
                commands
            )
        return outcomes

    def _store_arguments(self, message: Message, *, dead: bool) -> _Command:
        seconds, most, age = (self._keep[0], 0, 0) if dead else self._keep
        key = f"{{{self.stream}}}:dead" if dead else self._keys[_base.shard_of(message, self._shards)]
        known = f"{{{self.stream}}}:id:{'dead:' if dead else ''}{message.id}"
        return key, known, message.id, message.body, message.head, seconds, most, age

    # -- receiving -----------------------------------------------------------------------------------------------------

    async def fetch(self, limit: int, wait: float) -> Sequence[Delivery]:
        """Take what others have left, or what is new, or wait for it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        try:
            while True:
                if loop.time() >= self._next_claim and (claimed := await self._claim(limit)):
                    return claimed
                self._next_claim = max(self._next_claim, loop.time() + _CLAIM_SECONDS)
                left = min(end, self._next_claim) - loop.time()
                if taken := await self._take(limit, max(left, 0.001)):
                    return taken
                if loop.time() >= end:
                    return []
        except _LOST as error:
            if str(error).startswith("NOGROUP"):
                await self._join_again()
            raise _unavailable(error) from error

    async def _join_again(self) -> None:
        """Make the group anew: the server has lost it, with the stream or without."""
        try:
            await self._join()
        except _LOST as error:
            raise _unavailable(error) from error

    async def _take(self, limit: int, seconds: float) -> list[Delivery]:
        if self._shards:
            return await self._take_in_order(limit, seconds)
        reply = await self._server.execute_command(
            "XREADGROUP", "GROUP", self.group, self._member, "COUNT", limit, "BLOCK", round(seconds * 1000) or 1,
            "STREAMS", self.stream, ">",
        )  # fmt: skip
        return [] if reply is None else [_delivery(self.stream, entry, 1) for entry in reply[0][1]]

    async def _take_in_order(self, limit: int, seconds: float) -> list[Delivery]:
        keys = self._keys
        self._freed.clear()
        arguments = len(keys), *keys, self.group, self._member, limit
        try:
            reply = await self._server.execute_command("EVALSHA", _TAKE_SHA, *arguments)
        except NoScriptError:
            reply = await self._server.execute_command("EVAL", _TAKE, *arguments)
        taken, last = cast("_Taken", reply)
        if taken:
            self._at_work += len(taken)
            return [_delivery(key.decode(), entry, 1) for key, entry in taken]
        if self._at_work:
            await _wait(self._freed, min(seconds, _BUSY_SECONDS))
        else:
            _ = await self._server.execute_command(
                "XREAD", "COUNT", 1, "BLOCK", round(seconds * 1000) or 1, "STREAMS", *keys, *last
            )
        return []

    async def _claim(self, limit: int) -> list[Delivery]:
        """Take over what was not settled within the lease."""
        lease = round(self.lease * 1000)
        claimed: list[Delivery] = []
        for key in self._keys:
            room = limit - len(claimed)
            if room < 1:
                return claimed
            reply = await self._server.execute_command(
                "XAUTOCLAIM", key, self.group, self._member, lease, "0-0", "COUNT", room
            )
            entries = [entry for entry in reply[1] if entry is not None]
            if entries:
                counts = await self._counts(key, entries)
                claimed += [_delivery(key, entry, counts.get(entry[0], 1)) for entry in entries]
        self._at_work += len(claimed)
        self._next_claim = asyncio.get_running_loop().time() + _CLAIM_SECONDS
        return claimed

    async def _counts(self, key: str, entries: Sequence[Entry]) -> dict[bytes, int]:
        """Return how often each entry was delivered."""
        replies = await self._all([("XPENDING", key, self.group, entry_id, entry_id, 1) for entry_id, _ in entries])
        rows = [row for reply in replies if not isinstance(reply, Exception) for row in cast("_Pending", reply)]
        return {entry_id: count for entry_id, _, _, count in rows}

    # -- settling ------------------------------------------------------------------------------------------------------

    async def settle(self, deliveries: Sequence[Delivery], verdict: Verdict, delay: float = 0.0) -> None:
        """Acknowledge, or change how long ago they seem to have been delivered."""
        places = [cast("_Place", delivery.place) for delivery in deliveries]
        if verdict is Verdict.WORKING:
            await self._put_off(places, 0)
            return
        if verdict is Verdict.AGAIN:
            # it looks as if the lease had begun so long ago that it ends after the delay, whoever looks then
            await self._put_off(places, max(0.0, self.lease - delay) * 1000)
            self._next_claim = min(self._next_claim, asyncio.get_running_loop().time() + delay)
        else:
            await self._finish(places)
        self._at_work = max(0, self._at_work - len(places))
        self._freed.set()

    async def _finish(self, places: Sequence[_Place]) -> None:
        by_key: dict[tuple[str, bool], list[str]] = {}
        for place in places:
            by_key.setdefault((place.key, place.is_dead), []).append(place.entry)
        commands: list[_Command] = [
            ("XDEL", key, *entries) if is_dead else ("XACK", key, self.group, *entries)
            for (key, is_dead), entries in by_key.items()
        ]
        await self._checked(commands)

    async def _put_off(self, places: Sequence[_Place], idle: float) -> None:
        await self._checked(
            [
                ("XCLAIM", place.key, self.group, self._member, 0, place.entry, "IDLE", round(idle), "JUSTID")
                for place in places
            ]
        )

    async def _checked(self, commands: Sequence[_Command]) -> None:
        for reply in await self._all(commands) if commands else ():
            if isinstance(reply, Exception):
                raise _unavailable(reply) from reply

    # -- dead letters and replies --------------------------------------------------------------------------------------

    async def letters(self, limit: int) -> Sequence[Delivery]:
        """Read the dead stream from its beginning."""
        key = f"{{{self.stream}}}:dead"
        try:
            entries = await self._server.execute_command("XRANGE", key, "-", "+", "COUNT", limit)
        except _LOST as error:
            raise _unavailable(error) from error
        return [_delivery(key, entry, 1, is_dead=True) for entry in entries]

    async def reply(self, inbox: str, data: bytes) -> None:
        """Append to a list that goes away by itself; other keys are refused, as the sender of an event names it."""
        if not inbox.startswith(self._reply_prefix) or _ID.fullmatch(inbox, len(self._reply_prefix)) is None:
            raise BridgeRefused("what wants the reply is no inbox")
        await self._checked([("RPUSH", inbox, data), ("EXPIRE", inbox, _REPLY_SECONDS)])

    async def replies(self) -> Sequence[bytes]:
        """Wait a while for the next reply."""
        try:
            popped = await self._server.execute_command("BLPOP", self.inbox, 2)
        except _LOST as error:
            raise _unavailable(error) from error
        return [] if popped is None else [popped[1]]


_ID: Final = re.compile(r"[0-9a-f-]{36}")


def _unavailable(error: Exception) -> BridgeUnavailable:
    text = safe(error) or type(error).__name__
    return StreamFull(text) if text.startswith(("FULL", "OOM")) else BridgeUnavailable(text)


def _delivery(key: str, entry: Entry, attempt: int, *, is_dead: bool = False) -> Delivery:
    entry_id, fields = entry
    values = {} if fields is None else dict(zip(fields[::2], fields[1::2], strict=True))
    message_id = values.get(b"id", entry_id).decode("utf-8", "replace")
    place = _Place(key, entry_id.decode(), is_dead)
    return Delivery(message_id, values.get(b"body", b""), values.get(b"head", b""), attempt, place)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    waiting = asyncio.ensure_future(event.wait())
    try:
        _ = await asyncio.wait([waiting], timeout=seconds)
    finally:
        _ = waiting.cancel()


class RedisBridge(Bridge):
    """
    A bridge over Redis Streams.

    Args:
        url: Where the server is: ``redis://user:password@host:6379/0``, ``rediss://…`` for TLS, ``unix://…``.
        stream: Name of the stream; it is made if there is none.
        group: Members of a group share its events, each group gets all of them. None = only send.
        lease: Seconds after which an event that is not done, and not being worked on, is delivered again. The same for
            all members of a group.
        shards: Parts of the stream that keep order; see `bubus.bridges`.
        dedupe_seconds: How long ids are remembered, in a key each.
        max_events: Events the stream (each shard of it) holds: then those that every group has done are dropped, or
            else sending waits. None = no limit.
        max_age: Seconds after which events are deleted, done or not. None = never.
        wait_for_disk: Wait for the disk with every sending (Redis 7.2, Valkey).
        cluster: Whether the server is part of a Redis Cluster.
        timeout: Seconds for `start`, and for each command (there 5 at most).
        client: Further options of ``redis.asyncio.Redis.from_url``.
        options: See `Bridge`.

    Raises:
        OptionError: If an option is out of range, or the URL another server's.
        OptionTypeError: If a name or the URL is no text.
    """

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379",
        *,
        stream: str,
        group: str | None = None,
        lease: float = 30.0,
        shards: int | None = None,
        dedupe_seconds: float = 120.0,
        max_events: int | None = None,
        max_age: float | None = None,
        wait_for_disk: bool = False,
        cluster: bool = False,
        timeout: float = 10.0,
        client: Mapping[str, object] | None = None,
        **options: Unpack[BridgeOptions],
    ) -> None:
        transport = RedisTransport(
            url,
            stream=stream,
            group=group,
            lease=lease,
            shards=shards,
            dedupe_seconds=dedupe_seconds,
            max_events=max_events,
            max_age=max_age,
            wait_for_disk=wait_for_disk,
            cluster=cluster,
            timeout=timeout,
            client=client or {},
        )
        super().__init__(transport, **options)
