"""Pages as an agent sees them: fetched over HTTP, parsed into nodes that can be clicked, filled and chosen from."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

INTERACTIVE = {"a", "button", "input", "select"}


@dataclass(slots=True)
class Node:
    """An element that can be acted on; slotted, as there are many of them."""

    index: int
    tag: str
    attributes: dict[str, str]
    text: str = ""
    options: list[str] = field(default_factory=list)
    value: str | None = None


@dataclass
class Page:
    """One page that was fetched."""

    url: str
    title: str
    nodes: list[Node]
    paragraphs: list[str]

    def node(self, index: int) -> Node:
        for node in self.nodes:
            if node.index == index:
                return node
        raise LookupError(f"no element {index} on {self.url}")


class Reader(HTMLParser):
    """Collects what an agent can use."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.nodes: list[Node] = []
        self.paragraphs: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "input":
            self._open.append(tag)
        if tag in INTERACTIVE:
            self.nodes.append(Node(len(self.nodes) + 1, tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            del self._open[self._open.index(tag) :]

    def handle_data(self, data: str) -> None:
        text, inside = data.strip(), self._open[-1] if self._open else ""
        if not text:
            return
        if inside == "title":
            self.title = text
        elif inside == "p":
            self.paragraphs.append(text)
        elif inside == "option":
            self.nodes[-1].options.append(text)
        elif inside in INTERACTIVE:
            self.nodes[-1].text = text


async def fetch(url: str) -> bytes:
    """Return the body of *url*."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        writer.write(f"GET {parts.path or '/'} HTTP/1.0\r\nHost: {parts.hostname}\r\n\r\n".encode())
        await writer.drain()
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if status != 200:
        raise ConnectionError(f"{url} answered {status}")
    return body


async def load(url: str) -> Page:
    """Fetch and parse *url*."""
    reader = Reader()
    reader.feed((await fetch(url)).decode())
    return Page(url, reader.title, reader.nodes, reader.paragraphs)


def target(page: Page, node: Node) -> str | None:
    """Return where a click on *node* leads."""
    link = node.attributes.get("href")
    return urljoin(page.url, link) if link else None
