"""Type checkers, run on a folder of files that use bubus."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

import pytest

import bubus

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE: Final = Path(bubus.__file__).parent.parent

_MYPY_ERROR: Final = re.compile(r"^(.+?):(\d+): error: (.*)$", re.MULTILINE)

Place = tuple[str, int]
"""Name of a file and number of a line."""


class _Position(TypedDict):
    line: int


class _Range(TypedDict):
    start: _Position


class _Diagnostic(TypedDict):
    file: str
    severity: str
    message: str
    range: _Range


class _Summary(TypedDict):
    filesAnalyzed: int


class _Report(TypedDict):
    generalDiagnostics: list[_Diagnostic]
    summary: _Summary


def tool(name: str) -> str:
    """Return the path of a type checker; one that is missing is a failure, not a reason to skip."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed: pip install -e '.[test]'")
    return found


def pyright(mode: str) -> Callable[[Path], dict[Place, str]]:
    """Return a run of basedpyright in one of its modes; ``standard`` is what pyright does when it is told nothing."""

    def run(folder: Path) -> dict[Place, str]:
        settings = {"typeCheckingMode": mode, "pythonVersion": "3.13", "extraPaths": [str(SOURCE)]}
        (folder.parent / "pyrightconfig.json").write_text(json.dumps(settings))
        return basedpyright(folder)

    return run


def basedpyright(folder: Path) -> dict[Place, str]:
    """Run basedpyright on a package, with the settings that are beside it."""
    command = [tool("basedpyright"), "--pythonpath", sys.executable, "--outputjson", "-p", str(folder.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report: _Report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(list(folder.rglob("*.py")))
    return {
        (_inside(folder, one["file"]), one["range"]["start"]["line"] + 1): " ".join(one["message"].split())
        for one in report["generalDiagnostics"]
        if one["severity"] in {"error", "warning"}
    }


def mypy(folder: Path) -> dict[Place, str]:
    """Run mypy --strict."""
    command = [tool("mypy"), "--strict", "--python-version=3.13", "--no-color-output", "--cache-dir=cache", folder.name]
    # mypy refuses to be led to site-packages, where it finds the package by itself.
    leading = {} if SOURCE.name == "site-packages" else {"MYPYPATH": str(SOURCE)}
    done = subprocess.run(
        [*command, "--python-executable", sys.executable],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder.parent,
        env={**os.environ, **leading},
    )
    assert not done.stderr
    found: list[tuple[str, str, str]] = _MYPY_ERROR.findall(done.stdout)
    return {(_inside(folder, str(folder.parent / file)), int(line)): message for file, line, message in found}


def _inside(folder: Path, file: str) -> str:
    # A fault in bubus itself is shown with its whole path, so that it is no line of the folder.
    return Path(file).name if Path(file).parent == folder else file
