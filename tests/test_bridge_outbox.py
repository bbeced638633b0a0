"""The outbox: events that wait in a file until the server has them."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bubus import BaseEvent, EventBus, retry
from bubus.bridges import Message, Outbox
from bubus.bridges.memory import MemoryBridge, MemoryServer
from bubus.errors import BridgeConnectError, BridgeFull, LogDamagedError, LogLockedError, OptionError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real_time


class Note(BaseEvent[str]):
    """What is sent."""

    text: str = ""


BODIES = (
    b'{"event_type":"A","event_id":"1"}',
    b'{ "event_type" : "A",\n "event_id":"2", "text":"\xc2\x85\xe2\x80\xa8" }',
    b"\xff no JSON at all",
    b"{}",
)


@pytest.mark.parametrize("fsync", ["no", "always"])
async def test_an_outbox_gives_back_what_it_was_given(tmp_path: Path, fsync: Any) -> None:
    """Byte for byte, in order, across processes; what was sent is gone."""
    outbox = Outbox(tmp_path / "deep" / "box", fsync=fsync)
    assert outbox.open() == []
    messages = [Message(f"id {number}", body, b'{"buses":[]}', "k", "A") for number, body in enumerate(BODIES)]
    for message in messages:
        await outbox.put(message)
        await outbox.put(message)
    outbox.done("id 1")
    outbox.close()
    outbox.close()
    again = Outbox(tmp_path / "deep" / "box")
    assert again.open() == [message for message in messages if message.id != "id 1"]
    again.close()


async def test_an_outbox_is_bounded_locked_and_checked(tmp_path: Path) -> None:
    """One event too many is refused, a second owner too, and a changed line is not sent."""
    outbox = Outbox(tmp_path / "box", limit=1)
    outbox.open()
    await outbox.put(Message("1", BODIES[0]))
    with pytest.raises(BridgeFull, match="limit=1"):
        await outbox.put(Message("2", BODIES[0]))
    with pytest.raises(LogLockedError):
        Outbox(tmp_path / "box").open()
    outbox.close()
    file = tmp_path / "box.journal"
    file.write_bytes(file.read_bytes().replace(b'"A"', b'"B"'))
    with pytest.raises(LogDamagedError):
        Outbox(tmp_path / "box").open()
    with pytest.raises(OptionError):
        Outbox(tmp_path / "box", limit=0)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
async def test_a_forked_child_leaves_the_outbox_to_its_parent(tmp_path: Path) -> None:
    """It cannot write into it, and does not free its lock."""
    outbox = Outbox(tmp_path / "box")
    outbox.open()
    await outbox.put(Message("1", BODIES[0]))
    child = os.fork()
    if not child:
        os._exit(len(outbox))
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(outbox) == 1
    with pytest.raises(LogLockedError):
        Outbox(tmp_path / "box").open()
    outbox.close()


async def test_an_outbox_completes_events_while_the_server_is_down(tmp_path: Path) -> None:
    """The event is complete when the disk has it; it is sent when the server is back."""
    server = MemoryServer()
    bus, bridge = EventBus("B"), MemoryBridge(server, stream="s", group="g", outbox=tmp_path / "box")
    bus.on("*", bridge.dispatch)
    found: list[BaseEvent[Any]] = []
    bridge.on("*", found.append)
    async with bridge:
        server.go_down()
        events = [await bus.dispatch(Note(text=str(number))) for number in range(3)]
        for event in events:
            await event.event_results_list(raise_if_none=False)
        server.come_back()
        async with asyncio.timeout(10):
            while len(found) < 3:  # noqa: ASYNC110 - nothing of ours is told
                await asyncio.sleep(0.01)
    assert [one.event_id for one in found] == [event.event_id for event in events]


async def test_a_bridge_that_waits_for_its_server_to_start_keeps_what_its_outbox_holds(tmp_path: Path) -> None:
    """`start` raises while the server is away, and can be repeated: then what was left is sent."""
    server, found = MemoryServer(), list[str]()
    first = MemoryBridge(server, stream="s", outbox=tmp_path / "box")
    await first.start()
    server.go_down()
    notes = [Note(text=str(number)) for number in range(3)]
    for note in notes:
        await first.dispatch(note)
    await first.stop(timeout=0)

    second = MemoryBridge(server, stream="s", group="g", outbox=tmp_path / "box")
    second.on(Note, lambda event: found.append(event.event_id))
    with pytest.raises(BridgeConnectError):
        await second.start()
    starting = asyncio.create_task(
        retry(wait=0.001, retries=10_000, timeout=None, retry_on=BridgeConnectError)(second.start)()
    )
    await asyncio.sleep(0)
    server.come_back()
    await starting
    async with asyncio.timeout(10):
        while len(found) < 3:  # noqa: ASYNC110 - nothing of ours is told
            await asyncio.sleep(0.01)
    await second.stop()
    assert found == [note.event_id for note in notes]
