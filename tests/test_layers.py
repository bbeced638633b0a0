"""Which module may import which: the table of design.md, and a test that fails on an import upwards."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bubus

if TYPE_CHECKING:
    from collections.abc import Iterator

# A module imports only from lines above its own. A whole number is a line of design.md; the lines between two
# hold what a module was split into. A package name stands for all modules in it, which may import each other.
TABLE = """
0    errors _types _hints _ids _clock _narrow _plan _tasks _variables bridges._safe
0.05 _extras
0.1  _aliases _config _generics _mode _marks
0.15 _pydantic_error _pydantic
0.17 _pydantic_values
0.18 _wire_values
0.3  _field_info _decorators
0.32 _pydantic_words
0.35 _foreign
0.4  _words _body
1    _alarm _guard _context _state _tree _fields _statistics _registry _callables     bridges._nats_client
1.05 _picks _json_text _predicates
1.1  _seconds _faults _policy _slots _dump _versions
1.15 _functions                                              bridges._base
1.2  _temporal _containers _records
1.3  _coerce
1.35 _standard
1.4  _unions _constraints
1.45 _pydantic_bridge
1.5  _pydantic_types
1.6  _pydantic_schema
2    _compile _semaphores _waiting _memory _threads
2.1  _framework _gate
2.15 _arguments
2.17 _shape _signature
2.2  _construct _privates
2.22 _whole
2.24 _serial
2.245 _wire_fields
2.25 _copies
2.255 _assign
2.3  _define _event_dump
2.35 _json_schema
2.9  _older_result
3    _codec _result _retry
3.05 _call
3.1  _model _older_event
4    _event
5    _handlers _history
5.1  _live_handlers
6    _hooks _expect
6.9  bridges._link
7    _dispatch wal
7.05 _resumption
7.1  _ledger _steps                                          bridges._wire bridges._window bridges._work
7.2  bridges._letters bridges._outbox bridges._requests bridges._intake
7.3  bridges._sender
7.4  bridges._bridge
8    _scheduler                                              bridges.memory bridges.nats bridges.redis
8.1  _recovery _replay _older_bus _watched
9    _bus                                                    bridges
10   testing cli otel
11   models helpers logging
11.1 service
12   __init__ __main__
"""

LINE_OF = {name: float(number) for number, *names in map(str.split, TABLE.strip().splitlines()) for name in names}
PACKAGES = ("cli", "wal")
"""Packages that count as one module."""

ROOT = Path(bubus.__file__).parent
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the name of a file's module, as the table writes it."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def entry(name: str) -> str:
    """Return the table's entry for a module, or for the package that it is part of."""
    package = name.partition(".")[0]
    return package if package in PACKAGES else name


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and full name of everything that a file imports at run time, also inside functions."""
    module = path.with_suffix("").parts
    for node in run_time_nodes(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(("bubus", *module[: len(module) - node.level])) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those under ``if TYPE_CHECKING``."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for other in child.orelse:
                yield from run_time_nodes(other)
        else:
            yield from run_time_nodes(child)


def target(imported: str) -> str | None:
    """Return the table's entry of an imported name, None if it is not of this package or has no place in the table."""
    first, *parts = imported.split(".")
    if first != "bubus" or (parts and Path(parts[0]).with_suffix(".py") in MODULES and parts[0] not in LINE_OF):
        return None
    while parts and entry(".".join(parts)) not in LINE_OF:
        parts.pop()  # the name of an object in the module
    return entry(".".join(parts)) if parts else "__init__"


def upward_imports(path: Path) -> list[str]:
    """Return what a file must not import."""
    own = entry(module_name(path))
    wrong: list[str] = []
    for lineno, imported in imports(path):
        other = target(imported)
        if other is not None and other != own and LINE_OF[other] >= LINE_OF[own]:
            wrong.append(f"bubus/{path}:{lineno} imports {imported}, which is on line {LINE_OF[other]:g} of the table")
    return wrong


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_module_has_its_place(path: Path) -> None:
    """Each module of the package is in the table."""
    assert entry(module_name(path)) in LINE_OF


@pytest.mark.parametrize("path", [path for path in MODULES if entry(module_name(path)) in LINE_OF], ids=str)
def test_no_module_imports_upwards(path: Path) -> None:
    """A module imports only from lines above its own; `__init__` and its thin re-exports from all others."""
    assert upward_imports(path) == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_import_hides_in_a_function(path: Path) -> None:
    """Imports stand at the top, so that a cycle cannot hide (reading of optional extras excepted)."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    hidden = [
        node.lineno
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom) and "bubus" in ast.unparse(node)
    ]
    assert hidden == []


def test_the_check_sees_what_it_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upward imports of all spellings are found, those for the type checker only are not."""
    (tmp_path / "_state.py").write_text(
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "import attrs\n"
        "from bubus.errors import BubusError\n"
        "if TYPE_CHECKING:\n"
        "    from bubus._bus import EventBus\n"
        "from bubus._event import BaseEvent\n"
        "from bubus import _bus\n"
        "from bubus import EventBus as Bus\n"
        "import bubus._scheduler\n"
        "def function():\n"
        "    from ._context import Call\n"
        "    from .wal.reader import read\n"
    )
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    found = [int(fault.partition(":")[2].partition(" ")[0]) for fault in upward_imports(Path("_state.py"))]

    assert found == [7, 8, 9, 10, 12, 13]
