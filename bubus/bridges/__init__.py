r"""
Events between processes, over an engine that keeps them: NATS JetStream, Redis Streams, or memory.

```python
from bubus.bridges.nats import NatsBridge  # extra bubus[nats]; or RedisBridge (bubus[redis]), or MemoryBridge

bridge = NatsBridge("nats://127.0.0.1:4222", stream="orders", group="billing")
bus.on("*", bridge.dispatch)  # out: what this bus handles, all groups get
bridge.on(OrderCreated, bus.dispatch)  # in: what others send, this bus handles
async with bridge:
    ...
```

**What is promised**

- *Sent once.* The event on the sending bus completes when the server has acknowledged it, or when an outbox holds it
  (``outbox="path"``: a file, forced to the disk). While the server is away it waits, as long as ``event_timeout`` lets
  it. Whenever the outcome is unknown (a timeout, a lost reply, a cancelled call) it is sent again under the same id,
  and the server stores one event per id for `dedupe_seconds`.
- *Started when it works.* `Bridge.start` returns when the stream is there and, with a group, is listened to. Without
  the server it raises `BridgeConnectError`, also with an outbox, which keeps what it holds. It can be called again:
  ``await retry(wait=1, retries=60, timeout=None, retry_on=BridgeConnectError)(bridge.start)()``.
- *Delivered at least once.* Each group gets every event; its members, in as many processes as you like, share them. One
  is acknowledged when its handlers are done. A worker that dies leaves its events to others after `lease` seconds; a
  slow one keeps them, for it renews the lease.
- *Effect once*, as far as a window knows what was done: `Seen` (the default) knows what this process has done. Use a
  `SeenFile` where several processes of a group run on one machine, and put effects into that same file
  (`SeenFile.effect`): then a kill at any moment leaves each effect there once. For effects elsewhere, hand
  ``event.event_id`` on as an idempotency key.
- *In order for each key.* With ``key=lambda event: event.order_id`` a stream is made of shards (``shards=16``), each
  with one event at a time, however many workers there are and however often one fails. More shards, more at once.
- *Failures are kept.* An event whose handlers fail is delivered `max_deliveries` times, later and later
  (`retry_delay`); then it is a dead letter with its error: `Bridge.dead_letters`, `Bridge.requeue`, `Bridge.discard`.
  All its handlers run at each delivery, those that succeeded too. What is no event, or is larger or deeper nested than
  is allowed, is one at once.
- *No loops.* What came out of a stream does not go back into it, and no bus gets what it has had: by id, also through
  several processes. `event_path` shows the names.
- *Only your classes.* An event becomes one of the class registered under its `event_type`, else a `BaseEvent`; types,
  versions and fields that a process does not know pass through it byte for byte. Nothing is imported.
- *An answer*, if you want one: ``await bridge.request(event)`` returns the event with the results of one remote worker,
  typed like local ones; what its handlers raised comes back as `RemoteError`.

**What is not**

- Exactly-once delivery. There is none; after a crash a handler may run again. The window is bounded, and a `Seen` is
  not shared.
- Order across keys, or of events without a key; order of what was requeued.
- More than the server keeps: see `bubus.bridges.nats` and `bubus.bridges.redis` about disks. The minority of a cluster
  that is cut in two takes nothing: sending waits. A change of leader takes a few seconds.
- The honesty of senders about what an event says. Whoever may write to the stream may send any event; let the server
  decide who may.

**Sizing a stream**

The server keeps every event until `max_age` seconds or `max_events`; unlimited unless you say so. Nothing that was not
read is thrown away because of `max_events`: sending waits then. Reckon with 290 bytes for a small event and 120 to 250
for what the server puts around it. `max_age` must be longer than the longest outage of any group. Ids take 100 to 150
bytes each for `dedupe_seconds`. `lease` is what a crash costs in delay: at least three times what the event loop is
ever blocked for.

*10\ :sup:`9` events a day* are 11,600 a second, in the peak perhaps 35,000. Measured on two cores that also ran the
servers (``python -m tests.benchmarks bridges``, and 84 microseconds of processor time for receiving, decoding, handling
and acknowledging one event over NATS, 47 of them the client's own): a worker process does some 3,000 (shared cores) to
10,000 events a second, so the average takes 2 to 4 processes and the peak 4 to 12, and the senders as many again. One
day is 290 GB of events and as much again around them: with ``max_age`` of a day and three replicas 1.3 to 1.7 TB of
disk, and 6 to 7 MB a second written to each. Ids of two minutes are 1.4 million, 140 to 210 MB of memory. A single
stream of NATS or Redis takes tens of thousands of events a second, not much more: divide by kind into several streams
before that.
"""

from __future__ import annotations

from bubus.bridges._base import Delivery as Delivery, Message as Message, Transport as Transport, Verdict as Verdict
from bubus.bridges._bridge import Bridge as Bridge, BridgeStatistics as BridgeStatistics
from bubus.bridges._letters import DeadLetter as DeadLetter
from bubus.bridges._outbox import Outbox as Outbox
from bubus.bridges._window import Seen as Seen, SeenFile as SeenFile, Window as Window
