"""
An agent that works through a script of steps on web pages and reports every event as JSON.

    python agent.py SCRIPT.json DOWNLOADS_DIR

It is written against pydantic and bubus 1.5.6, and runs unchanged on both packages called bubus.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

import events as ev
from pydantic import ValidationError
from watchdogs import ALL, Session

from bubus import BaseEvent, EventBus
from bubus.logging import log_eventbus_tree
from bubus.service import EventBus as ServiceBus

ACTIONS: dict[str, type[BaseEvent[Any]]] = {
    "navigate": ev.NavigateToUrlEvent,
    "back": ev.GoBackEvent,
    "forward": ev.GoForwardEvent,
    "refresh": ev.RefreshEvent,
    "open_tab": ev.OpenTabEvent,
    "switch_tab": ev.SwitchTabEvent,
    "close_tab": ev.CloseTabEvent,
    "click": ev.ClickElementEvent,
    "type": ev.TypeTextEvent,
    "options": ev.GetOptionsEvent,
    "select": ev.SelectOptionEvent,
    "state": ev.PageStateRequestEvent,
    "extract": ev.ExtractTextEvent,
    "find": ev.FindTextEvent,
    "download": ev.DownloadEvent,
    "save": ev.SaveStateEvent,
    "load": ev.LoadStateEvent,
}


class AuditedBus(EventBus):
    """The session's bus; it counts what passes through it."""

    processed = 0

    async def process_event(self, event: BaseEvent[Any], timeout: float | None = None) -> None:
        await super().process_event(event, timeout)
        self.processed += 1


class Agent:
    def __init__(self, script: dict[str, Any], downloads_dir: Path) -> None:
        self.bus = EventBus(name="Agent", max_history_size=None)
        self.audited = AuditedBus(name="Session", max_history_size=None)
        self.session = Session(event_bus=self.audited)
        self.script = script
        self.downloads_dir = downloads_dir
        self.failures: list[dict[str, Any]] = []
        self.handlers = [name for watchdog in ALL for name in self._attach(watchdog)]
        self.bus.on(ev.AgentStepEvent, self.on_step)

    def _attach(self, watchdog: Any) -> list[str]:
        made = watchdog(event_bus=self.session.event_bus, session=self.session)
        assert made.event_bus is self.session.event_bus
        return made.attach()

    async def run(self) -> dict[str, Any]:
        bus = self.session.event_bus
        start = bus.dispatch(
            ev.SessionStartEvent(allowed_hosts=self.script["hosts"], downloads_dir=str(self.downloads_dir))
        )
        info = await start.event_result()
        results = [await self._step(number, step) for number, step in enumerate(self.script["steps"], 1)]
        await self.bus.dispatch(ev.AgentFinishedEvent(steps=len(results), failed=len(self.failures)))
        await bus.dispatch(ev.SessionStopEvent())
        await bus.wait_until_idle()
        return self._report(info, results)

    async def _step(self, number: int, step: dict[str, Any]) -> Any:
        arguments = {name: value for name, value in step.items() if name != "do"}
        event = self.bus.dispatch(ev.AgentStepEvent(number=number, action=step["do"], arguments=arguments))
        try:
            return await event.event_result()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a step is reported
            self.failures.append({"step": number, "error": describe(error)})
            return None

    async def on_step(self, event: ev.AgentStepEvent) -> dict[str, Any]:
        arguments = dict(event.arguments)
        if "element" in arguments:
            arguments["node"] = self.session.page.node(arguments.pop("element"))
        action = self.session.event_bus.dispatch(ACTIONS[event.action](**arguments))
        await action
        result = await action.event_result(raise_if_any=True, raise_if_none=False)
        parent = self.bus.event_history.get(action.event_parent_id or "")
        return {
            "result": result,
            "children": [child.event_type for child in action.event_children],
            "under": parent.event_type if parent else None,
        }

    def _report(self, info: Any, results: list[Any]) -> dict[str, Any]:
        bus = self.session.event_bus
        history = [*self.bus.event_history.values(), *bus.event_history.values()]
        ids = {event.event_id: number for number, event in enumerate(history, 1)}
        return {
            "session": info.model_dump(),
            "handlers": self.handlers,
            "registered": {name: len(handlers) for name, handlers in bus.handlers.items()},
            "results": results,
            "failures": self.failures,
            "fields": self.session.fields,
            "processed": self.audited.processed,
            "events": [dump(event, ids) for event in history],
            "statuses": sorted({event.event_status for event in history}),
            "names": [str(event).partition("▶ ")[2].partition("#")[0] for event in history[:2]],
        }


def describe(error: BaseException) -> str:
    """Name an error in words that do not depend on the version of a library."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['type']}" for one in error.errors())
    if isinstance(error, TimeoutError):
        return "TimeoutError"
    return f"{type(error).__name__}: {error}"


def dump(event: BaseEvent[Any], ids: dict[str, int]) -> dict[str, Any]:
    """Return the event as JSON has it, with numbers for ids and without times."""
    data = event.model_dump(mode="json")
    assert data == json.loads(event.model_dump_json())
    assert "event_results" not in data
    assert (data.pop("event_created_at"), data.pop("event_processed_at")) != (None, None)
    if "event_timeout" not in type(event).__annotations__:
        del data["event_timeout"]  # the package's default
    if isinstance(event, ev.ElementSelectedEvent):
        del data["event_result_type"]  # bubus 1.5.6 does not find it behind a generic class
    data["event_id"] = ids[data["event_id"]]
    data["event_parent_id"] = ids.get(data["event_parent_id"])
    data["results"] = [
        [one.handler_name.rpartition(".")[2], one.status, describe(one.error) if one.error else None]
        for one in event.event_results.values()
    ]
    return data


async def work(script: dict[str, Any], downloads_dir: Path) -> tuple[dict[str, Any], str]:
    """Run the agent; return its report and the tree of what its session did."""
    agent = Agent(script, downloads_dir)
    assert ServiceBus is EventBus
    try:
        return await agent.run(), log_eventbus_tree(agent.session.event_bus)
    finally:
        await agent.session.event_bus.stop(timeout=5, clear=True)
        await agent.bus.stop(timeout=5, clear=True)


def main() -> int:
    logging.getLogger("bubus").setLevel(logging.CRITICAL)
    script, downloads_dir = json.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2])
    report, tree = asyncio.run(work(script, downloads_dir))
    (downloads_dir / "tree.txt").write_text(tree, "utf-8")
    json.dump(report, sys.stdout, sort_keys=True)
    return 1 if report["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
