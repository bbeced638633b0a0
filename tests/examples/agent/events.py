"""The events of the agent, in pydantic's words."""

import os
from typing import Any, Literal

from page import Node
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bubus import BaseEvent
from bubus.models import T_EventResultType


def seconds(name: str, default: float) -> float | None:
    """Return the time limit that the environment sets for an event."""
    text = os.environ.get(name)
    if text is None:
        return default
    value = float(text)
    if value < 0:
        raise ValueError(f"{name}={text} must not be negative")
    return value


# -- the life of a session -------------------------------------------------------------------------------------------


class SessionInfo(BaseModel):
    tab_id: str
    hosts: list[str]


class SessionStartEvent(BaseEvent[SessionInfo]):
    allowed_hosts: list[str] = Field(default_factory=list, description="Hosts that may be visited; none = all")
    downloads_dir: str = Field(min_length=1)

    event_timeout: float | None = Field(default_factory=lambda: seconds("TIMEOUT_SessionStartEvent", 30.0))

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def split_hosts(cls, value: Any) -> Any:
        return [host.strip() for host in value.split(",")] if isinstance(value, str) else value


class SessionConnectedEvent(BaseEvent[None]):
    tab_id: str = Field(pattern=r"^tab-\d+$")


class SessionStopEvent(BaseEvent[None]):
    reason: str = "finished"
    force: bool = False

    event_timeout: float | None = 45.0


class SessionStoppedEvent(BaseEvent[None]):
    reason: str | None = None


class SessionErrorEvent(BaseEvent[None]):
    error_type: str
    message: str = Field(max_length=300)
    details: dict[str, Any] = Field(default_factory=dict)


# -- tabs ------------------------------------------------------------------------------------------------------------


class TabCreatedEvent(BaseEvent[None]):
    tab_id: str
    url: str


class TabClosedEvent(BaseEvent[None]):
    tab_id: str


class OpenTabEvent(BaseEvent[str]):
    url: str = "about:blank"


class SwitchTabEvent(BaseEvent[str]):
    tab_id: str | None = None


class CloseTabEvent(BaseEvent[None]):
    tab_id: str


class FocusChangedEvent(BaseEvent[None]):
    tab_id: str
    url: str


# -- navigation ------------------------------------------------------------------------------------------------------


class NavigateToUrlEvent(BaseEvent[None]):
    url: str = Field(min_length=1, max_length=2000)
    wait_until: Literal["load", "commit"] = "load"

    event_timeout: float | None = Field(default_factory=lambda: seconds("TIMEOUT_NavigateToUrlEvent", 15.0))

    @field_validator("url")
    @classmethod
    def has_scheme(cls, value: str) -> str:
        if not value.startswith(("http://", "about:")):
            raise ValueError("only http:// and about: can be visited")
        return value


class NavigationStartedEvent(BaseEvent[None]):
    tab_id: str
    url: str


class NavigationCompleteEvent(BaseEvent[None]):
    tab_id: str
    url: str
    state: "PageState | None" = None
    error_message: str | None = None


class GoBackEvent(BaseEvent[str]):
    steps: int = Field(default=1, ge=1, le=10)


class GoForwardEvent(BaseEvent[str]):
    steps: int = Field(default=1, ge=1, le=10)


class RefreshEvent(BaseEvent[None]):
    pass


# -- elements --------------------------------------------------------------------------------------------------------


class ElementSelectedEvent(BaseEvent[T_EventResultType]):
    """What is done to one element; its handlers return what the subclass says."""

    node: Node

    @field_validator("node", mode="before")
    @classmethod
    def copy_node(cls, value: Any) -> Any:
        """Keep what the element was like when it was chosen."""
        if isinstance(value, Node):
            return Node(value.index, value.tag, dict(value.attributes), value.text, list(value.options), value.value)
        return value


class ClickElementEvent(ElementSelectedEvent[dict[str, Any] | None]):
    button: Literal["left", "right"] = "left"

    event_timeout: float | None = Field(default_factory=lambda: seconds("TIMEOUT_ClickElementEvent", 15.0))


class TypeTextEvent(ElementSelectedEvent[dict[str, Any] | None]):
    text: str
    clear: bool = True
    is_sensitive: bool = False


class GetOptionsEvent(ElementSelectedEvent[dict[str, str]]):
    pass


class SelectOptionEvent(ElementSelectedEvent[dict[str, str]]):
    text: str

    @model_validator(mode="after")
    def option_exists(self) -> "SelectOptionEvent":
        if self.text not in self.node.options:
            raise ValueError(f"{self.text!r} is none of {self.node.options}")
        return self


# -- reading ---------------------------------------------------------------------------------------------------------


class PageStateRequestEvent(BaseEvent[dict[str, Any]]):
    include_nodes: bool = True


class ExtractTextEvent(BaseEvent[list[str]]):
    query: str = Field(default="", max_length=100)


class FindTextEvent(BaseEvent[bool]):
    text: str = Field(min_length=1)


# -- files -----------------------------------------------------------------------------------------------------------


class DownloadEvent(BaseEvent[str]):
    url: str

    event_timeout: float | None = Field(default_factory=lambda: seconds("TIMEOUT_DownloadEvent", 15.0))


class FileDownloadedEvent(BaseEvent[None]):
    model_config = ConfigDict(extra="forbid")

    path: str
    size: int = Field(ge=0)


class SaveStateEvent(BaseEvent[str]):
    path: str


class StateSavedEvent(BaseEvent[None]):
    path: str
    fields: int = Field(ge=0)


class LoadStateEvent(BaseEvent[dict[str, str]]):
    path: str


# -- the agent -------------------------------------------------------------------------------------------------------


class AgentStepEvent(BaseEvent[dict[str, Any]]):
    number: int = Field(gt=0)
    action: str
    arguments: dict[str, Any] = Field(default_factory=dict)

    event_timeout: float | None = Field(default_factory=lambda: seconds("TIMEOUT_AgentStepEvent", 60.0))


class AgentFinishedEvent(BaseEvent[None]):
    steps: int
    failed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def counts_fit(self) -> "AgentFinishedEvent":
        if self.failed > self.steps:
            raise ValueError("more steps failed than there were")
        return self


class PageState(BaseModel):
    """What a page looks like; events above name it before it exists."""

    url: str
    title: str
    elements: list[str] = Field(default_factory=list)


NavigationCompleteEvent.model_rebuild()
