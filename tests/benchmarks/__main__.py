"""
Run the benchmarks: ``python -m tests.benchmarks``.

Prints what each thing costs, in floors (see `tests.benchmarks._measure`) unless its name says otherwise.
"""

from __future__ import annotations

import argparse
import functools
import platform
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from tests.benchmarks import bridges, bus, least, log, peers, retry
from tests.benchmarks._measure import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Figure = Row | peers.Speedup

SECTIONS: Final = ("bus", "least", "retry", "log", "bridges")
QUICK_SECTIONS: Final = ("bus", "retry")
"""Those that take a second or two; the others are a matter of bytes and servers, of which few would say nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what *arguments* ask for, print it, and return the exit status: 2 if a peer could not be run."""
    options = _parser().parse_args(arguments)
    figures: list[Figure] = []
    failure = ""
    try:
        for measure in _measures(options).values():
            measured = measure()
            figures += measured
            if not options.json:
                sys.stdout.writelines(f"{figure}\n" for figure in measured)
                sys.stdout.flush()
    except peers.PeerError as error:
        failure = f"{error}\n"
    if options.json:
        sys.stdout.write(_as_json(figures) + "\n")
    sys.stderr.write(failure)
    return 2 if failure else exit_status(figures, check=options.check)


def exit_status(figures: Sequence[Figure], *, check: bool) -> int:
    """Return 1 if *check* is asked for and a row is above its limit, else 0. A peer's goal is no limit."""
    return int(check and any(isinstance(figure, Row) and not figure.ok for figure in figures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure what bubus costs.")
    names = ", ".join(SECTIONS)
    # Python 3.11 holds the empty default against the choices.
    parser.add_argument("section", nargs="*", choices=[*SECTIONS, []], metavar="SECTION", help=f"{names}; default: all")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a row is above its limit")
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parser.add_argument("--peers", action="store_true", help="install bubus 1.5.6 and abxbus, and compare with them")
    parser.add_argument(
        "--quick", action="store_true", help="small counts, no log and no bridges: shows that it runs, not how fast"
    )
    return parser


def measured_sections(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the names of what *arguments* ask for."""
    return tuple(_measures(_parser().parse_args(arguments)))


def _measures(options: argparse.Namespace) -> dict[str, Callable[[], Sequence[Figure]]]:
    measures: dict[str, Callable[[], Sequence[Figure]]] = {
        "bus": functools.partial(bus.rows, bus.QUICK if options.quick else bus.FULL),
        "least": least.rows,
        "retry": retry.rows,
        "log": log.rows,
        "bridges": bridges.rows,
        "peers": peers.speedups,
    }
    chosen = options.section or (QUICK_SECTIONS if options.quick else SECTIONS)
    return {name: measures[name] for name in (*chosen, *(["peers"] if options.peers else []))}


def _as_json(figures: Sequence[Figure]) -> str:
    rows = [_fields(figure) for figure in figures]
    document = {"python": platform.python_version(), "rows": rows}
    return msgspec.json.format(msgspec.json.encode(document)).decode()


def _fields(figure: Figure) -> dict[str, object]:
    if isinstance(figure, Row):
        return {"name": figure.name, "value": figure.ratio, "limit": figure.limit, "ok": figure.ok}
    return {
        "name": figure.name,
        "times_as_fast": figure.times,
        "goal": figure.goal,
        "our_seconds": figure.ours,
        "their_seconds": figure.theirs,
        "ok": figure.ok,
    }


if __name__ == "__main__":
    sys.exit(main())
