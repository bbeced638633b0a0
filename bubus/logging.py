"""The older package's functions that show what a bus has done, as text."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from typing_extensions import TypeIs

from bubus._event import AnyEvent, is_event, result_row, tree_row
from bubus._tree import describe_value, escape, render

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bubus._bus import EventBus
    from bubus._result import EventResult
    from bubus._tree import Row

__all__ = [
    "format_result_value",
    "format_timestamp",
    "log_event_tree",
    "log_eventbus_tree",
    "log_eventresult_tree",
    "log_timeout_tree",
]

logger: logging.Logger = logging.getLogger("bubus")


def log_eventbus_tree(eventbus: EventBus) -> str:
    """Return what `EventBus.log_tree` does, and log it at WARNING."""
    text = eventbus.log_tree()
    logger.warning("%s", text)
    return text


def log_event_tree(
    event: AnyEvent,
    indent: str = "",
    is_last: bool = True,
    child_events_by_parent: Mapping[str | None, Sequence[AnyEvent]] | None = None,
) -> str:
    """
    Return *event*, its handlers' results and its children as a tree.

    Args:
        event: The event.
        indent: What every line begins with.
        is_last: Whether the first line's branch ends there.
        child_events_by_parent: Not needed: an event knows its children.
    """
    del child_events_by_parent
    return _indented(tree_row(event), indent, last=is_last)


def log_eventresult_tree(
    result: EventResult[object],
    indent: str = "",
    is_last: bool = True,
    child_events_by_parent: Mapping[str | None, Sequence[AnyEvent]] | None = None,
) -> str:
    """Return *result* and the events that its handler dispatched as a tree; see `log_event_tree`."""
    del child_events_by_parent
    return _indented(result_row(result), indent, last=is_last)


def log_timeout_tree(event: AnyEvent, timed_out_result: EventResult[object]) -> None:
    """Log at WARNING the tree of *event*, in which the handler of *timed_out_result* exceeded its time."""
    logger.warning(
        "handler %s exceeded %s s:\n%s",
        escape(timed_out_result.handler_name),
        timed_out_result.timeout,
        render([tree_row(event)]),
    )


def format_timestamp(dt: datetime | None) -> str:
    """Return the time of day in UTC with milliseconds; N/A for None."""
    return "N/A" if dt is None else dt.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]


def format_result_value(value: object) -> str:
    """Return what a handler returned on one safe line: text in quotes, containers by their size, events by str."""
    if is_event(value):
        return f"Event({escape(value)})"
    if _is_container(value):
        return f"{type(value).__name__}({len(value)} items)"
    return describe_value(value)


def _is_container(value: object) -> TypeIs[Collection[object]]:
    return isinstance(value, dict | list | tuple | set)


def _indented(row: Row, indent: str, *, last: bool) -> str:
    first, *rest = render([row]).split("\n")
    if not last:
        first, rest = first.replace("└──", "├──", 1), [line.replace(" ", "│", 1) for line in rest]
    return "\n".join(indent + line for line in (first, *rest))
