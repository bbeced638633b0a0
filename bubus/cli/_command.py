"""The command line: `bubus demo [FILE]`, `bubus worker MODULE:BUS`; `bubus log` has a module of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from contextlib import ExitStack, contextmanager
from importlib.resources import as_file, files
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar

import click
from typing_extensions import Unpack

from bubus._tree import escape
from bubus.cli._demo import run as run_demo
from bubus.cli._log import log, reported
from bubus.cli._report import Lines, plain_console, show
from bubus.cli._supervisor import BROKEN, Supervisor, command
from bubus.cli._worker import Job, print_status, work
from bubus.errors import BridgeConnectError, MissingExtraError, OptionError, ProgramError

if TYPE_CHECKING:
    from collections.abc import Generator

    from bubus.cli._summary import Summary


class UnreadableError(click.ClickException):
    """The file cannot be opened; the program ends with exit code 2, as for any wrong argument."""

    exit_code: ClassVar[int] = 2

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"cannot read {escape(path)}: {error.strerror}; name a file with one order a line, or none")


class BrokenError(click.ClickException):
    """The program that a worker shall run cannot be loaded."""

    exit_code: ClassVar[int] = BROKEN


@click.group()
@click.version_option(package_name="bubus")
def bubus() -> None:
    """The event bus for strictly typed async Python."""
    for stream in (sys.stdout, sys.stderr):
        # a terminal that cannot show a character gets its escape sequence instead of a crash
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@bubus.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--log", "log_path", type=click.Path(path_type=Path), help="Log the events of the orders' bus there.")
def demo(file: Path | None, *, as_json: bool, log_path: Path | None) -> None:
    """
    Put a shop's orders through three event buses and sum up what happened.

    FILE holds one order a line, as JSON; without it, 1,000 orders that come with bubus are taken. Damaged lines are
    reported on stderr, with line number and reason.
    """
    # failing handlers are part of the show and counted in the summary: no warning for each
    logging.getLogger("bubus").setLevel(logging.ERROR)
    with reported(), _opened(file) as (lines, name, size), _watcher(name, size) as watcher:
        summary = asyncio.run(run_demo(lines, watcher, log_path))
    _print(summary, as_json=as_json)


def _watcher(name: str, size: int) -> Lines:
    somebody_watches = sys.stdout.isatty() and sys.stderr.isatty()
    return Lines(plain_console(stderr=True), name, size, shown=somebody_watches)


@contextmanager
def _opened(path: Path | None) -> Generator[tuple[IO[bytes], str, int]]:
    with ExitStack() as stack:
        source = path or stack.enter_context(as_file(files("bubus.cli") / "orders.jsonl"))
        try:
            file = stack.enter_context(source.open("rb"))
        except OSError as error:
            raise UnreadableError(source, error) from None
        yield file, source.name, source.stat().st_size


def _print(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(summary.as_dict(), indent=2))
    else:
        show(summary, plain_console())


@bubus.command()
@click.argument("target", metavar="MODULE:BUS")
@click.option("--bridge", "url", required=True, envvar="BUBUS_BRIDGE", help="URL of the server: nats://…, redis://….")
@click.option("--stream", default="events", show_default=True, help="Name of the stream.")
@click.option("--group", required=True, help="Members of a group share its events.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 256), help="Workers to run.")
@click.option("--timeout", default=10.0, show_default=True, help="Seconds to finish when told to stop.")
@click.option("--max-in-flight", default=64, show_default=True, help="Events a worker handles at once.")
@click.option("--max-deliveries", default=5, show_default=True, help="Tries before an event is a dead letter.")
@click.option("--lease", default=30.0, show_default=True, help="Seconds until a dead worker's events go to another.")
@click.option("--alone", is_flag=True, hidden=True)
def worker(processes: int, *, alone: bool, **job: Unpack[Job]) -> None:
    """
    Run a bus against a stream: its handlers get the events that other processes send.

    MODULE:BUS names an EventBus, or a function that returns one. SIGTERM and Ctrl-C let the workers finish what they
    have begun. One that ends otherwise is started again; what it had goes to others.

    Exit codes: 0 after all have finished, 1 if one had to be killed, 2 for a wrong argument, 3 if the module or what
    should return the bus raises, and no worker has worked yet.
    """
    if alone:
        _work_alone(job)
        return
    options = [f"--{name.replace('_', '-')}={value}" for name, value in job.items() if name not in {"target", "url"}]
    os.environ["BUBUS_BRIDGE"] = job["url"]  # in the environment others do not see a password
    start = command([job["target"], *options])
    supervisor = Supervisor(start, processes, job["timeout"], lambda line: click.echo(line, err=True))
    raise SystemExit(asyncio.run(supervisor.run(click.echo if sys.stdout.isatty() else None)))


def _work_alone(job: Job) -> None:
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {job['group']}[%(process)d] %(levelname)s %(message)s")
    try:
        asyncio.run(work(job, print_status))
    except ProgramError as error:
        raise BrokenError(str(error)) from None
    except (OptionError, MissingExtraError) as error:
        raise click.UsageError(str(error)) from None
    except BridgeConnectError as error:
        raise click.ClickException(str(error)) from None


bubus.add_command(log)


def run() -> None:
    """Run the command that the program's arguments name."""
    bubus()
