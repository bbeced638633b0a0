"""Watchdogs: models that hold the session and handle the events their methods are named after."""

import json
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import events as ev
from page import Node, Page, fetch, load, target
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from bubus import BaseEvent, EventBus


class Tab(BaseModel):
    """One tab with its history; `page` is what it shows."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    tab_id: str
    visited: list[str] = Field(default_factory=list)
    position: int = -1
    page: Page | None = None


def state_of(page: Page, *, include_nodes: bool = True) -> ev.PageState:
    shown = [f"[{node.index}]<{node.tag}> {node.text}".rstrip() for node in page.nodes]
    return ev.PageState(url=urlsplit(page.url).path, title=page.title, elements=shown if include_nodes else [])


class Session(BaseModel):
    """What all watchdogs share."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    event_bus: EventBus = Field(default_factory=lambda: EventBus(name="Session"))
    tabs: dict[str, Tab] = Field(default_factory=dict)
    focus: str = ""
    allowed_hosts: list[str] = Field(default_factory=list)
    downloads_dir: str = ""
    fields: dict[str, str] = Field(default_factory=dict)

    @property
    def tab(self) -> Tab:
        return self.tabs[self.focus]

    @property
    def page(self) -> Page:
        if self.tab.page is None:
            raise LookupError(f"{self.focus} shows no page yet")
        return self.tab.page


class Watchdog(BaseModel):
    """Attaches its `on_…Event` methods to the bus, each under a name of its own."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", validate_assignment=False)

    EMITS: ClassVar[list[type[BaseEvent[Any]]]] = []

    event_bus: EventBus
    session: Session

    def attach(self) -> list[str]:
        """Register every handler method by the event it is named after; return their names."""
        attached: list[str] = []
        for name in sorted(dir(type(self))):
            if not name.startswith("on_"):
                continue
            event_class = getattr(ev, name.removeprefix("on_"))
            handler = self._named(getattr(self, name), f"{type(self).__name__}.{name}")
            known = [getattr(one, "__name__", "") for one in self.event_bus.handlers.get(event_class.__name__, [])]
            if handler.__name__ in known:
                raise RuntimeError(f"{handler.__name__} is attached twice")
            self.event_bus.on(event_class, handler)
            attached.append(handler.__name__)
        return attached

    @staticmethod
    def _named(method: Any, name: str) -> Any:
        async def unique_handler(event: BaseEvent[Any]) -> Any:
            return await method(event)

        unique_handler.__name__ = name
        return unique_handler

    async def emit(self, event: BaseEvent[Any]) -> BaseEvent[Any]:
        if type(event) not in self.EMITS:
            raise RuntimeError(f"{type(self).__name__} does not emit {event.event_type}")
        return await self.event_bus.dispatch(event)


class SecurityWatchdog(Watchdog):
    """Refuses hosts that are not allowed, before anything is fetched from them."""

    EMITS: ClassVar[list[type[BaseEvent[Any]]]] = [ev.SessionErrorEvent]

    async def on_NavigateToUrlEvent(self, event: ev.NavigateToUrlEvent) -> None:
        host = urlsplit(event.url).hostname
        if host is None or not self.session.allowed_hosts or host in self.session.allowed_hosts:
            return
        await self.emit(
            ev.SessionErrorEvent(error_type="HostRefused", message=f"{host} is not allowed", details={"host": host})
        )
        raise PermissionError(f"{host} is not allowed")


class TabWatchdog(Watchdog):
    """Keeps the tabs, and what they show."""

    EMITS: ClassVar[list[type[BaseEvent[Any]]]] = [
        ev.SessionConnectedEvent,
        ev.SessionStoppedEvent,
        ev.TabCreatedEvent,
        ev.TabClosedEvent,
        ev.FocusChangedEvent,
        ev.NavigateToUrlEvent,
        ev.NavigationStartedEvent,
        ev.NavigationCompleteEvent,
    ]
    _opened: int = PrivateAttr(default=0)

    async def on_SessionStartEvent(self, event: ev.SessionStartEvent) -> ev.SessionInfo:
        self.session.allowed_hosts = event.allowed_hosts
        self.session.downloads_dir = event.downloads_dir
        tab_id = await self._open("about:blank")
        await self.emit(ev.SessionConnectedEvent(tab_id=tab_id))
        return ev.SessionInfo(tab_id=tab_id, hosts=event.allowed_hosts)

    async def on_SessionStopEvent(self, event: ev.SessionStopEvent) -> None:
        for tab_id in list(self.session.tabs):
            await self._close(tab_id)
        await self.emit(ev.SessionStoppedEvent(reason=event.reason))

    async def on_OpenTabEvent(self, event: ev.OpenTabEvent) -> str:
        tab_id = await self._open(event.url)
        if event.url != "about:blank":
            await self._navigate(event.url)
        return tab_id

    async def on_SwitchTabEvent(self, event: ev.SwitchTabEvent) -> str:
        tab_id = event.tab_id or list(self.session.tabs)[-1]
        if tab_id not in self.session.tabs:
            raise LookupError(f"there is no tab {tab_id}")
        await self._focus(tab_id)
        return tab_id

    async def on_CloseTabEvent(self, event: ev.CloseTabEvent) -> None:
        await self._close(event.tab_id)
        if self.session.focus == event.tab_id and self.session.tabs:
            await self._focus(list(self.session.tabs)[-1])

    async def on_NavigateToUrlEvent(self, event: ev.NavigateToUrlEvent) -> None:
        refused = [one.error for one in event.event_results.values() if one.error is not None]
        if refused:
            return
        tab = self.session.tab
        await self._show(event.url)
        del tab.visited[tab.position + 1 :]
        tab.visited.append(event.url)
        tab.position = len(tab.visited) - 1

    async def on_GoBackEvent(self, event: ev.GoBackEvent) -> str:
        return await self._move(-event.steps)

    async def on_GoForwardEvent(self, event: ev.GoForwardEvent) -> str:
        return await self._move(event.steps)

    async def on_RefreshEvent(self, event: ev.RefreshEvent) -> None:
        await self._show(self.session.page.url)

    async def _navigate(self, url: str) -> None:
        done = await self.emit(ev.NavigateToUrlEvent(url=url))
        await done.event_result(raise_if_none=False)

    async def _show(self, url: str) -> None:
        tab = self.session.tab
        await self.emit(ev.NavigationStartedEvent(tab_id=tab.tab_id, url=url))
        try:
            tab.page = Page(url, "", [], []) if url.startswith("about:") else await load(url)
        except ConnectionError as error:
            failed = ev.NavigationCompleteEvent(tab_id=tab.tab_id, url=url, error_message=type(error).__name__)
            await self.emit(failed)
            raise
        await self.emit(ev.NavigationCompleteEvent(tab_id=tab.tab_id, url=url, state=state_of(tab.page)))

    async def _move(self, steps: int) -> str:
        tab = self.session.tab
        position = tab.position + steps
        if not 0 <= position < len(tab.visited):
            raise IndexError("there is no such page in the history")
        tab.position = position
        await self._show(tab.visited[position])
        return tab.visited[position]

    async def _open(self, url: str) -> str:
        self._opened += 1
        tab_id = f"tab-{self._opened}"
        self.session.tabs[tab_id] = Tab(tab_id=tab_id)
        await self.emit(ev.TabCreatedEvent(tab_id=tab_id, url=url))
        await self._focus(tab_id)
        return tab_id

    async def _close(self, tab_id: str) -> None:
        del self.session.tabs[tab_id]
        await self.emit(ev.TabClosedEvent(tab_id=tab_id))

    async def _focus(self, tab_id: str) -> None:
        self.session.focus = tab_id
        page = self.session.tab.page
        await self.emit(ev.FocusChangedEvent(tab_id=tab_id, url=page.url if page else "about:blank"))


class ElementWatchdog(Watchdog):
    """Acts on elements, and reads pages."""

    EMITS: ClassVar[list[type[BaseEvent[Any]]]] = [ev.NavigateToUrlEvent]

    def _live(self, event: ev.ElementSelectedEvent[Any]) -> Node:
        node = self.session.page.node(event.node.index)
        if node.tag != event.node.tag:
            raise LookupError(f"element {node.index} is a {node.tag} by now")
        return node

    async def on_ClickElementEvent(self, event: ev.ClickElementEvent) -> dict[str, Any] | None:
        node = self._live(event)
        url = target(self.session.page, node)
        if url is None:
            node.value = "clicked"
            return {"clicked": node.text}
        done = await self.emit(ev.NavigateToUrlEvent(url=url))
        await done.event_result(raise_if_none=False)
        return {"navigated": urlsplit(url).path}

    async def on_TypeTextEvent(self, event: ev.TypeTextEvent) -> dict[str, Any] | None:
        node = self._live(event)
        if node.tag != "input":
            raise ValueError(f"nothing can be typed into a {node.tag}")
        node.value = event.text if event.clear else (node.value or "") + event.text
        name = node.attributes.get("name", str(node.index))
        self.session.fields[name] = "***" if event.is_sensitive else node.value
        return {"field": name, "length": len(node.value)}

    async def on_GetOptionsEvent(self, event: ev.GetOptionsEvent) -> dict[str, str]:
        return {str(number): option for number, option in enumerate(self._live(event).options)}

    async def on_SelectOptionEvent(self, event: ev.SelectOptionEvent) -> dict[str, str]:
        node = self._live(event)
        node.value = event.text
        self.session.fields[node.attributes.get("name", str(node.index))] = event.text
        return {"selected": event.text}

    async def on_PageStateRequestEvent(self, event: ev.PageStateRequestEvent) -> dict[str, Any]:
        return state_of(self.session.page, include_nodes=event.include_nodes).model_dump()

    async def on_ExtractTextEvent(self, event: ev.ExtractTextEvent) -> list[str]:
        return [text for text in self.session.page.paragraphs if event.query.lower() in text.lower()]

    async def on_FindTextEvent(self, event: ev.FindTextEvent) -> bool:
        return any(event.text in text for text in self.session.page.paragraphs)


class FileWatchdog(Watchdog):
    """Downloads files, and keeps what was typed."""

    EMITS: ClassVar[list[type[BaseEvent[Any]]]] = [ev.FileDownloadedEvent, ev.StateSavedEvent]

    async def on_DownloadEvent(self, event: ev.DownloadEvent) -> str:
        body = await fetch(event.url)
        path = Path(self.session.downloads_dir) / Path(urlsplit(event.url).path).name
        path.write_bytes(body)
        await self.emit(ev.FileDownloadedEvent(path=path.name, size=len(body)))
        return path.name

    async def on_SaveStateEvent(self, event: ev.SaveStateEvent) -> str:
        path = Path(self.session.downloads_dir) / event.path
        path.write_text(json.dumps(self.session.fields, sort_keys=True))
        await self.emit(ev.StateSavedEvent(path=event.path, fields=len(self.session.fields)))
        return event.path

    async def on_LoadStateEvent(self, event: ev.LoadStateEvent) -> dict[str, str]:
        self.session.fields.update(json.loads((Path(self.session.downloads_dir) / event.path).read_text()))
        return dict(self.session.fields)


ALL: list[type[Watchdog]] = [SecurityWatchdog, TabWatchdog, ElementWatchdog, FileWatchdog]
