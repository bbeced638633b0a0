"""What type checkers say of programs that use bubus: each line of tests/typing that must fail does, and no other."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.type_checkers import Place, mypy, pyright

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FOLDER: Final = Path(__file__).parent / "typing"

_MARK: Final = re.compile(r"# must fail(?: in (\w+))?: ")


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
