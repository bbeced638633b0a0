"""
The command line of a log: `bubus log check|cat|stats|replay FILE`.

Exit codes: 0 = all is well; 1 = damage was found (in the log, its journal or its .dead file), or a handler failed;
2 = the log, the program or an argument is not what it should be, or damage ended a replay.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypedDict, cast

import attrs
import click
from typing_extensions import Unpack, override

from bubus._tree import escape
from bubus.cli._beside import look_beside
from bubus.cli._statistics import Counted, LogStatistics
from bubus.cli._where import Condition, ConditionError
from bubus.cli._worker import load_bus
from bubus.errors import LogDamagedError, LogError, OptionError, OptionTypeError, ProgramError
from bubus.wal import mend, records
from bubus.wal._frame import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from bubus._event import AnyEvent
    from bubus._replay import ReplayReport
    from bubus.wal import LogRecord


class RefusedError(click.ClickException):
    """Something is not what it should be; the program ends with exit code 2."""

    exit_code: ClassVar[int] = 2


class ConditionType(click.ParamType[Condition]):
    """A condition such as ``amount>=10``."""

    name: str = "condition"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Condition:
        """Parse it."""
        try:
            return value if isinstance(value, Condition) else Condition.parse(str(value))
        except ConditionError as error:
            self.fail(str(error), param, ctx)


@contextmanager
def reported() -> Generator[None]:
    """End the program with exit code 2 and one line of explanation where a log cannot be used."""
    try:
        yield
    except (LogError, OptionError, OptionTypeError, ProgramError) as error:
        raise RefusedError(escape(error, 500)) from None


class ReplayOptions(TypedDict):
    """What `EventBus.replay` takes as it was given."""

    since: str | None
    until: str | None
    children: bool
    dry_run: bool
    speed: float | None


_file = click.argument("file", type=click.Path(path_type=Path))
_types = click.option(
    "--type", "types", multiple=True, metavar="NAME", help="Only events of this type (or of several)."
)
_where = click.option(
    "--where", "conditions", multiple=True, type=ConditionType(), metavar="KEY=VALUE",
    help="Only events of which this holds; also != < <= > >= and ~ (contains), and keys with dots. Repeat it for more.",
)  # fmt: skip


@attrs.define
class Faults:
    """Prints the damage in a log, and counts it."""

    count: int = 0

    def __call__(self, fault: LogDamagedError) -> None:
        """Report one."""
        self.count += 1
        click.echo(escape(fault, 500), err=True)

    def exit(self) -> None:
        """End with exit code 1 if there was any."""
        if self.count:
            raise click.exceptions.Exit(1)


@click.group()
def log() -> None:
    """
    Check, read and replay a log of events.

    Exit codes: 0 = fine, 1 = damage was found or handlers failed, 2 = it cannot be done.
    """


@log.command()
@_file
@click.option("--repair", is_flag=True, help="Take out what is damaged, and keep it in FILE.corrupt or FILE.broken.")
def check(file: Path, *, repair: bool) -> None:
    """Look at every line of the log in FILE and of its journal, and report each that is not what was written."""
    faults = Faults()
    with reported():
        lines = sum(1 for _ in records(file, faults))
        beside = look_beside(file, faults)
        click.echo("\n".join((f"{lines} good lines, {faults.count} faults", *beside.told())))
        if repair:
            moved, missing = mend(file), _count_faults(file)
            click.echo("\n".join(_mended(file, moved, missing)))
            raise click.exceptions.Exit(int(moved + missing > 0))
    faults.exit()


def _count_faults(file: Path) -> int:
    faults: list[LogDamagedError] = []
    for _ in records(file, faults.append):
        pass
    return len(faults)


def _mended(file: Path, moved: int, missing: int) -> Generator[str]:
    if moved:
        yield f"moved {moved} damaged lines to {escape(file.name)}.corrupt"
    if missing:
        yield f'lines are missing in {missing} places, which nothing mends; --skip and on_error="skip" pass over them'
    if not moved and not missing:
        yield "nothing is lost"


@log.command()
@_file
@_types
@_where
def cat(file: Path, types: Sequence[str], conditions: Sequence[Condition]) -> None:
    """Print the lines of the log in FILE, its full files first; they are JSON."""
    faults = Faults()
    with reported():
        for record in records(file, faults):
            if _is_wanted(record, types, conditions):
                click.echo(clean(record.data))
    faults.exit()


def _is_wanted(record: LogRecord, types: Sequence[str], conditions: Sequence[Condition]) -> bool:
    if types and record.event_type not in types:
        return False
    if not conditions:
        return True
    values = cast("dict[str, object]", json.loads(record.data))
    return all(condition.holds(values) for condition in conditions)


@log.command()
@_file
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(file: Path, *, as_json: bool) -> None:
    """Count what is in the log in FILE: types, handlers, failures, times, and what is not finished or given up."""
    faults, statistics = Faults(), LogStatistics()
    with reported():
        for record in records(file, faults):
            statistics.add(record)
        beside = look_beside(file, faults)
    counted = statistics.as_dict(beside)
    click.echo(json.dumps(counted, indent=2) if as_json else "\n".join((*_told(counted), *beside.told())))
    faults.exit()


def _told(counted: Counted) -> Generator[str]:
    yield f"{counted['lines']} events, {counted['failed']} failed, {counted['bytes']} bytes"
    if counted["first"]:
        yield f"created from {counted['first']} to {counted['last']}"
    for name, count in counted["types"].items():
        yield f"{count:>9}  {escape(name)}"
    for name, calls in counted["handlers"].items():
        yield f"{calls['calls']:>9}  {escape(name)} ({calls['seconds']} s)"


@log.command()
@_file
@click.option("--app", required=True, metavar="MODULE:BUS", help="The bus, or a function that returns it.")
@_types
@_where
@click.option("--since", metavar="DATE", help="Leave out what was created before, such as 2026-11-24T18:30:00Z.")
@click.option("--until", metavar="DATE", help="Leave out what was created then or later.")
@click.option("--handler", "handlers", multiple=True, metavar="NAME", help="Run only this handler (or several).")
@click.option("--children", is_flag=True, help="Replay every line, not only what no handler dispatched.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--speed", type=float, help="1 keeps the recorded pace, 2 doubles it; as fast as possible without it.")
@click.option("--skip", is_flag=True, help="Pass over damage instead of ending with it.")
def replay(
    file: Path, app: str, types: Sequence[str], conditions: Sequence[Condition], handlers: Sequence[str], *, skip: bool,
    **options: Unpack[ReplayOptions],
) -> None:  # fmt: skip
    """Dispatch the events of the log in FILE once more on the bus of a program."""
    faults = Faults()

    def is_wanted(event: AnyEvent) -> bool:
        if types and event.event_type not in types:
            return False
        return not conditions or all(map(_holds(event.model_dump(mode="json")), conditions))

    async def run() -> ReplayReport:
        return await load_bus(app).replay(
            file, where=is_wanted, handlers=handlers or None, on_error=faults if skip else "raise", **options
        )

    with reported():
        try:
            report = asyncio.run(run())
        except LogDamagedError as error:
            if error.replay is not None:
                _tell(error.replay)
            raise
    _tell(report)
    if report.failed:
        raise click.exceptions.Exit(1)
    faults.exit()


def _tell(report: ReplayReport) -> None:
    counts = cast("dict[str, int]", attrs.asdict(report))
    click.echo(", ".join(f"{count} {name}" for name, count in counts.items()))


def _holds(values: Mapping[str, object]) -> Callable[[Condition], bool]:
    return lambda condition: condition.holds(values)
