"""The demo's output: text for people, on a terminal or in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from bubus._tree import escape
from bubus.cli._damage import Kind

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.progress import TaskID

    from bubus.cli._damage import Damage
    from bubus.cli._lines import Line
    from bubus.cli._summary import Summary


def plain_console(*, stderr: bool = False) -> Console:
    """Return a console that takes every text literally: data cannot style or move anything."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


@attrs.define
class Lines:
    """Shows damaged lines as they are found, and a bar of the bytes read if somebody sits before it."""

    console: Console
    name: str
    size: int
    shown: bool
    _progress: Progress = attrs.field(init=False)
    _task: TaskID = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=self.console, disable=not self.shown, transient=True)
        self._task = self._progress.add_task(escape(self.name, 40), total=self.size)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_line(self, line: Line, fault: Damage | None) -> None:
        """Move the bar, and report *fault* with its line number."""
        self._progress.advance(self._task, line.size)
        if fault is not None:
            text = f"{escape(self.name)}:{line.number}: {fault.kind}: {escape(fault.reason)}"
            self.console.print(text, soft_wrap=True)


def show(summary: Summary, console: Console) -> None:
    """Print tables and the slowest order's tree."""
    for table in (_types(summary), _damage(summary)):
        if table.rows:
            console.print(table)
            console.print()
    for line in _closing(summary):
        console.print(line, soft_wrap=True)


def _types(summary: Summary) -> Table:
    table = _table("events", "count", "failed", "audited", "p50 ms", "p95 ms")
    for name, kind in summary.types.items():
        times = (f"{kind.durations.quantile(share) * 1000:.2f}" for share in (0.50, 0.95))
        counts = (f"{number:,}" for number in (kind.count, kind.failed, summary.audited.get(name, 0)))
        table.add_row(escape(name), *counts, *times)
    return table


def _damage(summary: Summary) -> Table:
    table = _table("damaged lines", "count")
    for kind in Kind:
        if summary.damage[kind]:
            table.add_row(kind, f"{summary.damage[kind]:,}")
    return table


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(first)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _closing(summary: Summary) -> list[str]:
    orders = ", ".join(f"{number:,} {outcome}" for outcome, number in summary.outcomes.most_common())
    worth = ", ".join(f"{amount:,} {currency}" for currency, amount in sorted(summary.shipped.items()))
    lines = [
        f"{summary.lines:,} lines, {summary.damage.total():,} of them damaged",
        f"orders: {orders or 'none'}",
        f"shipped: {worth or 'nothing'}",
        f"{summary.events:,} events in {summary.seconds:.2f} s: {summary.events_per_second:,.0f} events/s",
    ]
    if summary.slowest is not None:
        tree = summary.slowest.event_log_tree()
        lines += ["", f"The slowest order, {escape(summary.slowest.order_id)}:", *tree.split("\n")]
    return lines
