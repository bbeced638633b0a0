"""The command line of bubus; needs the extra `bubus[cli]`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bubus.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

_EXTRA = frozenset({"click", "rich"})


def refusal(problem: ModuleNotFoundError) -> Callable[[], None]:
    """
    Return what runs in place of the program: it names the extra that brings the missing module.

    Raises:
        ModuleNotFoundError: *problem* itself, if the extra would not help.
    """
    package = (problem.name or "").partition(".")[0]
    if package not in _EXTRA:
        raise problem
    message = MissingExtraError(f"the command line needs {package}: pip install 'bubus[cli]'")

    def refuse() -> None:
        _ = sys.stderr.write(f"bubus: {message}\n")
        raise SystemExit(2)

    return refuse


try:
    from bubus.cli._command import run as _run
except ModuleNotFoundError as _error:
    _run = refusal(_error)


def main() -> None:
    """Run the program `bubus`; without the extra, say how to get it and exit with code 2."""
    _run()
