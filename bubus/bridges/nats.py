"""
A bridge over NATS JetStream; needs the extra ``bubus[nats]``.

A stream ``orders`` has the subjects ``orders.<shard>.<event type>``, a durable consumer for each group (one for each
shard, where order is kept), and a second stream ``orders-dead``. The payload is the event as JSON, its id is the header
``Nats-Msg-Id``; what else bridges need is in the header ``Bubus``.

An acknowledged event has been written by the server, and survives its end. Whether it survives a power cut is up to the
server's ``sync_interval`` (two minutes unless it is set) and to ``replicas``.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec
from typing_extensions import Unpack, override

from bubus._ids import new_id
from bubus._seconds import checked_seconds
from bubus.bridges import _base
from bubus.bridges._base import Delivery, Message, Verdict
from bubus.bridges._bridge import Bridge, BridgeOptions
from bubus.bridges._safe import logger, safe
from bubus.errors import BridgeConnectError, BridgeRefused, BridgeUnavailable, StreamFull

try:
    from nats.errors import Error as NatsError, MaxPayloadError
    from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, StorageType, StreamConfig
    from nats.js.errors import APIError, NotFoundError

    from bubus.bridges._nats_client import TidyClient
except ModuleNotFoundError as _problem:
    raise _base.missing_extra("nats", "nats", _problem) from _problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription
    from nats.js import JetStreamContext
    from nats.js.api import ConsumerInfo, StreamInfo

    from bubus.bridges._link import Link

_ID: Final = "Nats-Msg-Id"
_HEAD: Final = "Bubus"
_SHARDS: Final = "bubus-shards"
_ORIGIN: Final = "bubus-origin"
_HEADER_ROOM: Final = 512
"""Bytes of names and ids that go with an event beside its head."""

_FULL: Final = frozenset({10023, 10047, 10077, 10122})
"""Error codes of a server or stream that has no room: it may have some later."""

_MAX_ACK_PENDING: Final = 10_000
_SLACK: Final = 2.0
"""Seconds by which the end of a pull may be late before it counts as unanswered."""

_LOST: Final = (NatsError, OSError, asyncio.TimeoutError)
_REFUSED: Final = "authorization violation"
"""What a server says to whoever comes with no password or a wrong one."""


class _Problem(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _PubAck(msgspec.Struct):
    """What the server says to a published message."""

    error: _Problem | None = None


_pub_acks: Final = msgspec.json.Decoder(_PubAck)


@attrs.define(eq=False)
class _Pull:
    """A request for messages that is open on the server."""

    consumer: str
    left: int
    end: float
    """When the server has ended it, by the loop's clock."""


@attrs.frozen
class _Letter:
    """The place of a dead letter."""

    seq: int


@attrs.frozen(kw_only=True)
class StreamSettings:
    """How a stream is made that does not exist yet; one that exists is taken as it is."""

    replicas: int = 1
    dedupe_seconds: float = 120.0
    max_events: int | None = None
    max_age: float | None = None


class NatsTransport:
    """A transport over JetStream; `bubus.bridges.Transport` says what each method does."""

    origin: str = ""
    inbox: str = ""

    def __init__(
        self,
        servers: str | Sequence[str],
        *,
        stream: str,
        group: str | None,
        lease: float,
        shards: int | None,
        settings: StreamSettings,
        domain: str | None,
        timeout: float,
        client: Mapping[str, object],
    ) -> None:
        self.stream: str = _base.checked_name("stream", stream)
        self.group: str | None = None if group is None else _base.checked_name("group", group)
        self.lease: float = _base.checked_lease(lease)
        self._dead: Final = f"{stream}-dead"
        self._wanted_shards: Final = _base.checked_shards(shards)
        self._shards: int = 0
        urls = [servers] if isinstance(servers, str) else servers
        self._servers: Final = [_base.checked_url(url, ("nats", "tls", "ws", "wss", "")) for url in urls]
        self._settings: Final = settings
        self._domain: Final = domain
        self._prefix: Final = "$JS.API" if domain is None else f"$JS.{_base.checked_name('domain', domain)}.API"
        self._timeout: Final = checked_seconds("timeout", timeout)
        self._attempt: Final = min(self._timeout, _base.ATTEMPT_SECONDS)
        self._client_options: Final = client
        self._client: Client | None = None
        self._js: JetStreamContext
        self._link: Link
        self._numbers: Final = itertools.count(1)
        self._acks: dict[str, asyncio.Future[Msg]] = {}
        self._ack_inbox: str = ""
        self._pull_inbox: str = ""
        self._pulls: dict[str, _Pull] = {}
        self._subscription: Subscription | None = None
        """To what the pulls bring."""

        self._arrived: deque[Msg] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._replies: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_stale: bool = False
        """Whether the server was away: what is open there may be gone."""

        self._last_error: object = None
        self._refusals: int = 0
        """How often servers have refused the user since `connect` was called."""

    @override
    def __repr__(self) -> str:
        servers = ", ".join(map(safe, self._servers))
        return f"<{type(self).__name__} {servers} {self.stream} group={self.group}>"

    # -- connection --------------------------------------------------------------------------------------------------

    async def connect(self, link: Link, *, ordered: bool) -> None:
        """Connect, make what does not exist yet, and subscribe."""
        self._link = link
        self._last_error, self._refusals = None, 0
        try:
            async with asyncio.timeout(self._timeout):
                await self._open(ordered=ordered)
        except _LOST as error:
            await self._abort()
            reason = safe(self._last_error or error or type(error).__name__)
            raise BridgeConnectError(
                f"{self!r} cannot be used: {reason}; check that the server runs with JetStream (nats-server -js), and "
                + "who may use it"
            ) from None
        except BaseException:
            await self._abort()
            raise

    async def _open(self, *, ordered: bool) -> None:
        self._client = client = TidyClient()
        await client.connect(
            self._servers,
            **{
                "reconnect_time_wait": 0.1,
                "ping_interval": 10,
                "connect_timeout": 2,
                **self._client_options,
                "max_reconnect_attempts": -1,
                "error_cb": self._on_error,
                "disconnected_cb": self._on_disconnected,
                "reconnected_cb": self._on_reconnected,
                "closed_cb": self._on_closed,
            },
        )
        self._js = client.jetstream(timeout=2.0, domain=self._domain)
        await self._until_ready(ordered=ordered)
        self.inbox = client.new_inbox()
        self._ack_inbox, self._pull_inbox = client.new_inbox(), client.new_inbox()
        _ = await client.subscribe(self.inbox, cb=self._on_reply)
        _ = await client.subscribe(f"{self._ack_inbox}.*", cb=self._on_ack)
        await client.flush()

    async def _until_ready(self, *, ordered: bool) -> None:
        """Make streams and consumers; a cluster that elects a leader is asked again until the time is over."""
        while True:
            try:
                await self._make_streams(ordered=ordered)
                await self._make_consumers()
            except NatsError as error:
                if isinstance(error, APIError) and error.code != 503:  # noqa: PLR2004 - service unavailable
                    raise
                self._last_error = error or type(error).__name__
                await asyncio.sleep(0.1)
            else:
                self._last_error = None
                return

    async def _abort(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def close(self) -> None:
        """Hand back what was fetched and not taken, and disconnect."""
        client = self._client
        if client is None:
            return
        try:
            if client.is_connected:
                await self._pull_no_more()
                await client.flush(timeout=2)
        except (*_LOST, BridgeUnavailable) as error:
            logger.warning("%r: the last acknowledgements may be lost: %s", self, safe(error))
        await self._abort()

    async def _on_error(self, error: Exception) -> None:
        # while it connects, what the server has said tells more than the end of the connection that follows
        if self.inbox or not (isinstance(self._last_error, NatsError) and isinstance(error, OSError)):
            self._last_error = error
        if not self.inbox and _REFUSED in str(error).lower():
            self._refusals += 1
            if self._refusals >= len(self._servers):
                raise error  # each has had its say, which is final: asking again would only take time

    async def _on_disconnected(self) -> None:
        if self._client is None:
            return
        self._is_stale = True
        self._link.lost(self._last_error or "connection lost")
        acks, self._acks = self._acks, {}
        for future in acks.values():
            if not future.done():
                future.set_exception(BridgeUnavailable("the connection was lost"))
        self._wake()

    async def _on_reconnected(self) -> None:
        self._link.restored()
        self._wake()

    async def _on_closed(self) -> None:
        if self._client is not None:
            logger.error("%r: the client has closed the connection: %s", self, safe(self._last_error))

    # -- streams and consumers -----------------------------------------------------------------------------------------

    async def _make_streams(self, *, ordered: bool) -> None:
        settings = self._settings
        info = await self._stream_info(
            StreamConfig(
                name=self.stream,
                subjects=[f"{self.stream}.>"],
                storage=StorageType.FILE,
                discard=DiscardPolicy.NEW,  # what was not read is not thrown away: sending waits
                num_replicas=settings.replicas,
                duplicate_window=min(settings.dedupe_seconds, settings.max_age or settings.dedupe_seconds),
                max_msgs=settings.max_events,
                max_age=settings.max_age,
                metadata={
                    _SHARDS: str(_base.wanted_shards(self._wanted_shards, ordered=ordered)),
                    _ORIGIN: new_id(),
                },
            )
        )
        found = info.config.metadata or {}
        shards = int(found.get(_SHARDS, "0"))
        self._shards = _base.agreed_shards(shards, self.stream, self._wanted_shards, ordered=ordered)
        self.origin = found.get(_ORIGIN) or f"{self.stream}@{info.created}"
        _ = await self._stream_info(
            StreamConfig(
                name=self._dead,
                subjects=[f"{self._dead}.>"],
                storage=StorageType.FILE,
                num_replicas=settings.replicas,
                duplicate_window=settings.dedupe_seconds,
            )
        )

    async def _stream_info(self, config: StreamConfig) -> StreamInfo:
        """Return what the server says of a stream, made now if there is none."""
        name = config.name or ""
        try:
            return await self._js.stream_info(name)
        except NotFoundError:
            pass
        try:
            return await self._js.add_stream(config)
        except APIError as error:
            if error.err_code != 10058:  # noqa: PLR2004 - somebody else has just made it, with an origin of its own
                raise
            return await self._js.stream_info(name)

    @property
    def _consumers(self) -> dict[str, str]:
        """The names of this group's consumers, each with the subjects it reads."""
        if self.group is None:
            return {}
        if not self._shards:
            return {self.group: f"{self.stream}.>"}
        return {f"{self.group}-{shard}": f"{self.stream}.{shard}.>" for shard in range(self._shards)}

    async def _make_consumers(self) -> None:
        for name, subject in self._consumers.items():
            info = await self._make_consumer(name, subject)
            lease = info.config.ack_wait
            if lease is not None and lease != self.lease:
                logger.warning("%r: group %s has lease=%s, which is used here too", self, self.group, lease)
                self.lease = lease

    async def _make_consumer(self, name: str, subject: str) -> ConsumerInfo:
        try:
            return await self._js.consumer_info(self.stream, name)
        except NotFoundError:
            return await self._js.add_consumer(
                self.stream,
                ConsumerConfig(
                    durable_name=name,
                    ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=self.lease,
                    max_deliver=-1,  # it is the bridge that gives up, since it has the reason
                    # one at a time keeps a shard in order, whoever reads it and however often it fails
                    max_ack_pending=1 if self._shards else _MAX_ACK_PENDING,
                    filter_subject=subject,
                ),
            )

    # -- publishing ----------------------------------------------------------------------------------------------------

    async def publish(self, messages: Sequence[Message], *, dead: bool = False) -> list[Exception | None]:
        """Publish all, then wait for what the server says to each."""
        client = self._connected()
        outcomes: list[Exception | None] = [None] * len(messages)
        waiting: dict[int, tuple[str, asyncio.Future[Msg]]] = {}
        for index, message in enumerate(messages):
            try:
                waiting[index] = await self._send(client, message, dead=dead)
            except BridgeRefused as error:
                outcomes[index] = error
            except _LOST as error:
                outcomes[index] = BridgeUnavailable(safe(error or type(error).__name__))
        if waiting:
            _ = await asyncio.wait([future for _, future in waiting.values()], timeout=self._attempt)
        for index, (token, future) in waiting.items():
            _ = self._acks.pop(token, None)
            outcomes[index] = _outcome(future)
        return outcomes

    async def _send(self, client: Client, message: Message, *, dead: bool) -> tuple[str, asyncio.Future[Msg]]:
        size = len(message.body) + len(message.head) + _HEADER_ROOM
        if size > client.max_payload:
            raise BridgeRefused(
                f"event {message.id} takes {size} bytes, more than the server's max_payload={client.max_payload}: "
                + "keep large data elsewhere, and send where it is"
            )
        headers = {_ID: message.id}
        if message.head:
            headers[_HEAD] = message.head.decode()
        topic = message.topic.replace(".", "_")
        subject = f"{self._dead}.{self.group}" if dead else f"{self.stream}.{self._shard(message)}.{topic}"
        token = str(next(self._numbers))
        future = self._acks[token] = asyncio.get_running_loop().create_future()
        try:
            await client.publish(subject, message.body, reply=f"{self._ack_inbox}.{token}", headers=headers)
        except BaseException as error:
            _ = self._acks.pop(token, None)
            if isinstance(error, MaxPayloadError):
                raise BridgeRefused(f"event {message.id} is larger than the server takes") from error
            raise
        return token, future

    def _shard(self, message: Message) -> int:
        return _base.shard_of(message, self._shards)

    async def _on_ack(self, message: Msg) -> None:
        future = self._acks.get(message.subject.rpartition(".")[2])
        if future is not None and not future.done():
            future.set_result(message)

    # -- receiving -----------------------------------------------------------------------------------------------------

    async def fetch(self, limit: int, wait: float) -> Sequence[Delivery]:
        """Take what has arrived, or pull and wait for it."""
        try:
            return await self._fetch(limit, wait)
        except asyncio.CancelledError:
            await self._pull_no_more()
            raise

    async def _fetch(self, limit: int, wait: float) -> Sequence[Delivery]:
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        while not self._arrived:
            client = self._connected()
            if self._is_stale:
                await self._renew()
            self._check_pulls(loop.time())
            await self._pull(client, limit, wait)
            left = end - loop.time()
            if left <= 0:
                return []
            await self._wait(left)
        return [self._delivery(self._arrived.popleft()) for _ in range(min(limit, len(self._arrived)))]

    async def _pull_no_more(self) -> None:
        """End what is open on the server, or what is handed back would come here again; hand back what has come."""
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        self._pulls.clear()
        try:
            async with asyncio.timeout(2):
                await subscription.drain()
                waiting = [self._delivery(message) for message in self._arrived]
                self._arrived.clear()
                await self.settle(waiting, Verdict.AGAIN)
        except (*_LOST, BridgeUnavailable) as error:
            logger.debug("%r: what was fetched comes again when its lease ends: %s", self, safe(error))

    async def _wait(self, seconds: float) -> None:
        if self._arrived:
            return
        self._arrival = asyncio.get_running_loop().create_future()
        _ = await asyncio.wait([self._arrival], timeout=seconds)
        self._arrival = None

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def _renew(self) -> None:
        """Begin anew after an outage: what was open on the server is not any more, and a consumer may be gone."""
        self._pulls.clear()
        try:
            async with asyncio.timeout(self._timeout):
                await self._make_consumers()
        except _LOST as error:
            raise BridgeUnavailable(safe(error or type(error).__name__)) from error
        self._is_stale = False

    def _check_pulls(self, now: float) -> None:
        for token, pull in list(self._pulls.items()):
            if now > pull.end + _SLACK:
                del self._pulls[token]
                self._is_stale = True
                raise BridgeUnavailable("the server does not end a request for messages")

    async def _pull(self, client: Client, limit: int, wait: float) -> None:
        """Ask for as many messages as there is room for, but for those that were asked for."""
        asked = sum(pull.left for pull in self._pulls.values())
        busy = {pull.consumer for pull in self._pulls.values()}
        for consumer in self._consumers:
            batch = 1 if self._shards else limit - asked
            if batch < 1 or asked >= limit or (self._shards and consumer in busy):
                continue
            asked += batch
            await self._ask(client, consumer, batch, wait)

    async def _ask(self, client: Client, consumer: str, batch: int, wait: float) -> None:
        if self._subscription is None:
            self._subscription = await client.subscribe(f"{self._pull_inbox}.*", cb=self._on_message)
        token = str(next(self._numbers))
        self._pulls[token] = _Pull(consumer, batch, asyncio.get_running_loop().time() + wait)
        request = b'{"batch":%d,"expires":%d}' % (batch, int(wait * 1e9))
        subject = f"{self._prefix}.CONSUMER.MSG.NEXT.{self.stream}.{consumer}"
        try:
            await client.publish(subject, request, reply=f"{self._pull_inbox}.{token}")
        except _LOST as error:
            del self._pulls[token]
            raise BridgeUnavailable(safe(error or type(error).__name__)) from error

    async def _on_message(self, message: Msg) -> None:
        if not message.reply:
            self._on_status(message.subject.rpartition(".")[2], message.headers or {})
            return
        self._count_down(_ack_fields(message.reply)[0])
        self._arrived.append(message)
        self._wake()

    def _count_down(self, consumer: str) -> None:
        """Take notice that the oldest pull of *consumer* has brought one message."""
        for token, pull in self._pulls.items():
            if pull.consumer == consumer:
                pull.left -= 1
                if not pull.left:
                    del self._pulls[token]
                return

    def _on_status(self, token: str, headers: Mapping[str, str]) -> None:
        """Take notice of the end of a pull: mostly its time is over."""
        _ = self._pulls.pop(token, None)
        status = headers.get("Status")
        if status not in {"404", "408"}:
            self._is_stale = True
            logger.debug("%r: a request for messages ended with %s %s", self, status, headers.get("Description"))
        self._wake()

    def _delivery(self, message: Msg) -> Delivery:
        headers = message.headers or {}
        _, attempt, seq = _ack_fields(message.reply)
        message_id = headers.get(_ID)
        return Delivery(
            id=f"{self.stream}:{seq}" if message_id is None else str(message_id),
            body=message.data,
            head=str(headers.get(_HEAD, "")).encode(),
            attempt=int(attempt),
            place=message.reply,
        )

    # -- settling ------------------------------------------------------------------------------------------------------

    async def settle(self, deliveries: Sequence[Delivery], verdict: Verdict, delay: float = 0.0) -> None:
        """Send an acknowledgement of one kind or another for each."""
        client, word = self._connected(), _WORDS[verdict]
        if verdict is Verdict.AGAIN and delay > 0:
            word += b' {"delay": %d}' % int(delay * 1e9)
        try:
            for delivery in deliveries:
                place = cast("_Letter | str", delivery.place)
                if isinstance(place, _Letter):
                    _ = await self._js.delete_msg(self._dead, place.seq)
                else:
                    await client.publish(place, word)
        except NotFoundError:
            return  # a dead letter that somebody else has deleted
        except _LOST as error:
            raise BridgeUnavailable(safe(error or type(error).__name__)) from error

    # -- dead letters and replies --------------------------------------------------------------------------------------

    async def letters(self, limit: int) -> Sequence[Delivery]:
        """Read the dead stream from its beginning."""
        _ = self._connected()
        found: list[Delivery] = []
        seq = 1
        try:
            while len(found) < limit:
                raw = await self._js.get_msg(self._dead, seq=seq, subject=f"{self._dead}.>", next=True)
                headers = raw.headers or {}
                seq = (raw.seq or seq) + 1
                head = str(headers.get(_HEAD, "")).encode()
                found.append(Delivery(str(headers.get(_ID)), raw.data or b"", head, 1, _Letter(seq - 1)))
        except NotFoundError:
            pass
        except _LOST as error:
            raise BridgeUnavailable(safe(error or type(error).__name__)) from error
        return found

    async def reply(self, inbox: str, data: bytes) -> None:
        """Publish to an inbox; other subjects are refused, since the name comes from whoever sent the event."""
        if _INBOX.fullmatch(inbox) is None:
            raise BridgeRefused("what wants the reply is no inbox")
        try:
            await self._connected().publish(inbox, data)
        except MaxPayloadError as error:
            raise BridgeRefused("the results are larger than the server takes") from error
        except _LOST as error:
            raise BridgeUnavailable(safe(error or type(error).__name__)) from error

    async def replies(self) -> Sequence[bytes]:
        """Take the next reply."""
        return [await self._replies.get()]

    async def _on_reply(self, message: Msg) -> None:
        self._replies.put_nowait(message.data)

    def _connected(self) -> Client:
        client = self._client
        if client is None or not client.is_connected:
            raise BridgeUnavailable(safe(self._last_error or "not connected"))
        return client


_WORDS: Final = {Verdict.DONE: b"+ACK", Verdict.AGAIN: b"-NAK", Verdict.WORKING: b"+WPI"}
_INBOX: Final = re.compile(r"_INBOX\.[A-Za-z0-9]{8,64}")


def _ack_fields(subject: str) -> tuple[str, str, str]:
    """Return consumer, number of the delivery and place in the stream that an acknowledgement's subject tells."""
    tokens = subject.split(".")
    # $JS.ACK.<stream>.<consumer>.<delivered>.<seq>..., or with domain and account before the stream
    at = 3 if len(tokens) == 9 else 5  # noqa: PLR2004 - as many as there are without them
    return tokens[at], tokens[at + 1], tokens[at + 2]


def _outcome(future: asyncio.Future[Msg]) -> Exception | None:
    """Return what became of a published message."""
    if not future.done():
        _ = future.cancel()
        return BridgeUnavailable("no acknowledgement came in time")
    try:
        problem = _problem_in(future.result())
    except BridgeUnavailable as error:
        return error
    return None if problem is None else _judged(problem)


def _problem_in(message: Msg) -> _Problem | None:
    if message.headers and "Status" in message.headers:
        raise BridgeUnavailable("no stream takes it; JetStream may be starting")
    try:
        return _pub_acks.decode(message.data).error
    except msgspec.MsgspecError as error:
        raise BridgeUnavailable(f"the acknowledgement is not understood: {error}") from error


def _judged(problem: _Problem) -> Exception:
    if problem.err_code in _FULL:
        return StreamFull(problem.description)
    if problem.code in (500, 503):
        return BridgeUnavailable(problem.description)
    return BridgeRefused(problem.description)


class NatsBridge(Bridge):
    """
    A bridge over NATS JetStream.

    Args:
        servers: URL of a server, or of several of one cluster: ``nats://user:password@host:4222``, where ``%40`` stands
            for an @. With ``tls://…`` a server without TLS is refused.
        stream: Name of the stream; it is made if there is none.
        group: Members of a group share its events, each group gets all of them. None = only send.
        lease: Seconds after which an event that is not done, and not being worked on, is delivered again. A group that
            exists keeps its own.
        shards: Parts of the stream that keep order; see `bubus.bridges`.
        replicas: How many servers of a cluster keep a stream that is made now.
        dedupe_seconds: How long a stream that is made now remembers ids.
        max_events: Events that a stream which is made now holds; then sending waits. None = no limit.
        max_age: Seconds after which a stream that is made now deletes events. None = never.
        domain: JetStream domain of a leaf node.
        timeout: Seconds for `start`, and for each attempt to send (there 5 at most).
        client: Further options of ``nats.connect``, such as ``tls=ssl.create_default_context()``,
            ``user_credentials="app.creds"`` or ``nkeys_seed``.
        options: See `Bridge`.

    Raises:
        OptionError: If an option is out of range, or a URL another server's.
        OptionTypeError: If a name or URL is no text.
    """

    def __init__(
        self,
        servers: str | Sequence[str] = "nats://127.0.0.1:4222",
        *,
        stream: str,
        group: str | None = None,
        lease: float = 30.0,
        shards: int | None = None,
        replicas: int = 1,
        dedupe_seconds: float = 120.0,
        max_events: int | None = None,
        max_age: float | None = None,
        domain: str | None = None,
        timeout: float = 10.0,
        client: Mapping[str, object] | None = None,
        **options: Unpack[BridgeOptions],
    ) -> None:
        transport = NatsTransport(
            servers,
            stream=stream,
            group=group,
            lease=lease,
            shards=shards,
            settings=StreamSettings(
                replicas=replicas, dedupe_seconds=dedupe_seconds, max_events=max_events, max_age=max_age
            ),
            domain=domain,
            timeout=timeout,
            client=client or {},
        )
        super().__init__(transport, **options)
