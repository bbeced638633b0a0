"""A worker that ends itself by SIGKILL at one step of its work; run by the tests of faults."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from bubus import BaseEvent
from bubus.bridges import SeenFile, Verdict
from bubus.bridges.nats import NatsBridge
from bubus.bridges.redis import RedisBridge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bubus.bridges import Delivery

STEPS = ("received", "effect", "noted", "acknowledged", "never")
"""Where it ends: before and after the effect, after that was noted in the window, and after the server was told."""

VICTIM = 3
"""Which event it is, counted from when the worker began."""


class Ordered(BaseEvent[None]):
    """What it handles."""

    number: int


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


async def work(url: str, stream: str, file: str, step: str) -> None:
    """Handle events until the end, which comes at *step*."""
    kind = NatsBridge if url.startswith("nats") else RedisBridge
    seen = SeenFile(file)
    bridge = kind(url, stream=stream, group="workers", lease=1.0, window=seen, max_in_flight=4)
    count = 0

    def handle(event: Ordered) -> None:
        nonlocal count
        count += 1
        if count == VICTIM and step == "received":
            die()
        with seen.effect("write", event.event_id) as db:
            if db is not None:
                db.execute("insert into effects values (?)", (event.event_id,))
        if count == VICTIM and step == "effect":
            die()

    settle = bridge.transport.settle

    async def settle_or_die(deliveries: Sequence[Delivery], verdict: Verdict, delay: float = 0.0) -> None:
        is_victim = verdict is Verdict.DONE and count >= VICTIM
        if is_victim and step == "noted":
            die()
        await settle(deliveries, verdict, delay)
        if is_victim and step == "acknowledged":
            die()

    patched: Any = bridge.transport
    patched.settle = settle_or_die
    bridge.on(Ordered, handle)
    async with bridge:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
