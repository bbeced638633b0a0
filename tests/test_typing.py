"""What type checkers say of programs that use bubus: each line of tests/typing that must fail does, and no other."""

from __future__ import annotations

import ast
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
    from collections.abc import Callable, Iterable, Iterator

FOLDER: Final = Path(__file__).parent / "typing"
SOURCE: Final = Path(bubus.__file__).parent.parent

_MARK: Final = re.compile(r"# must fail(?: in (\w+))?: ")
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


class _Report(TypedDict):
    generalDiagnostics: list[_Diagnostic]


def marked(checker: str) -> set[Place]:
    """Return the lines that must fail in *checker*."""
    return {
        (file.name, number)
        for file in FOLDER.glob("*.py")
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if (found := _MARK.search(line)) and found[1] in {None, checker}
    }


def differences(wanted: set[Place], reported: dict[Place, str]) -> list[str]:
    """Return a line for each place where the marks and a checker disagree."""
    silent = [f"{name}:{line}: must fail, but nothing is reported" for name, line in sorted(wanted - reported.keys())]
    return silent + [f"{name}:{line}: {reported[name, line]}" for name, line in sorted(reported.keys() - wanted)]


def tool(name: str) -> str:
    """Return the path of a type checker; one that is missing is a failure, not a reason to skip."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed: pip install -e '.[test]'")
    return found


def pyright(mode: str) -> Callable[[Path], dict[Place, str]]:
    """Return a run of basedpyright in one of its modes; ``standard`` is what pyright does when it is told nothing."""

    def run(folder: Path) -> dict[Place, str]:
        settings = {
            "typeCheckingMode": mode,
            "pythonVersion": "3.13",
            "extraPaths": [str(SOURCE)],
            "failOnWarnings": True,
        }
        (folder.parent / "pyrightconfig.json").write_text(json.dumps(settings))
        command = [tool("basedpyright"), "--pythonpath", sys.executable, "--outputjson", "-p", str(folder.parent)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        report: _Report = json.loads(done.stdout)
        return {
            (_inside(folder, one["file"]), one["range"]["start"]["line"] + 1): one["message"]
            for one in report["generalDiagnostics"]
            if one["severity"] in {"error", "warning"}
        }

    return run


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


@pytest.mark.typecheck
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("checker", "run"),
    [("basedpyright", pyright("strict")), ("pyright", pyright("standard")), ("mypy", mypy)],
    ids=["basedpyright strict", "pyright's defaults", "mypy strict"],
)
def test_checkers_report_what_is_marked(checker: str, run: Callable[[Path], dict[Place, str]], tmp_path: Path) -> None:
    """They report each marked line, and nothing else."""
    folder = shutil.copytree(FOLDER, tmp_path / "typing")

    assert differences(marked(checker), run(folder)) == []


def test_what_must_pass_is_asserted() -> None:
    """In tests/typing, a call whose value is not used is marked as one that fails, or says what its type is."""
    unmarked = [
        f"{file.name}:{statement.lineno}"
        for file in FOLDER.glob("*.py")
        for statement in _calls(ast.parse(file.read_text("utf-8")))
        if (file.name, statement.lineno) not in marked("mypy") and not _is_assertion(statement.value)
    ]

    assert unmarked == []
    assert len(marked("basedpyright")) >= 100


def _calls(tree: ast.Module) -> Iterator[ast.Expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            yield node


def _is_assertion(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Call) and ast.unparse(expression.func) == "assert_type"


def test_a_difference_is_noticed() -> None:
    """Both a line that fails without a mark, and a mark on a line that does not fail."""
    wanted: Iterable[Place] = [("a.py", 1), ("a.py", 2)]

    assert differences(set(wanted), {("a.py", 2): "wrong", ("a.py", 3): "odd"}) == [
        "a.py:1: must fail, but nothing is reported",
        "a.py:3: odd",
    ]
