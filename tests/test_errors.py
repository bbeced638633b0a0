"""The tree of errors."""

from __future__ import annotations

import builtins
import copy
import inspect
import pickle
import re
from typing import Any

import pytest

from bubus import errors
from bubus.errors import BubusError, LogError

LINE = re.compile(r"^(?P<indent>[│ ]*)[├└]── (?P<name>\w+)(\((?P<builtin>\w+)\))? +\S", re.MULTILINE)

EXAMPLES: dict[str, Any] = {
    "int": 7,
    "float": 0.5,
    "Sequence[ErrorDetails]": [{"type": "missing", "loc": ("name",), "msg": "Field required", "input": {}}],
}
"""Constructor arguments by annotation; text where nothing else is said."""


def error_classes() -> dict[str, type[BubusError]]:
    """Return the error classes of the module by name, without the root."""
    classes = inspect.getmembers(errors, inspect.isclass)
    return {name: one for name, one in classes if issubclass(one, BubusError) and one is not BubusError}


def drawn_bases() -> dict[str, tuple[type, ...]]:
    """Return the bases of each class as the tree in the module's docstring draws them."""
    bases: dict[str, tuple[type, ...]] = {}
    above: list[str] = []
    for line in LINE.finditer(errors.__doc__ or ""):
        assert line["name"] not in bases
        del above[len(line["indent"]) // 4 :]
        parent: type = error_classes()[above[-1]] if above else BubusError
        bases[line["name"]] = (parent, getattr(builtins, line["builtin"])) if line["builtin"] else (parent,)
        above.append(line["name"])
    return bases


def made(name: str) -> BubusError:
    """Return an instance of the class *name*, with made-up arguments."""
    one = error_classes()[name]
    if "__init__" not in vars(one):
        return one("what went wrong")
    parameters = list(inspect.signature(one).parameters.values())
    return one(*(EXAMPLES.get(str(parameter.annotation), "some text") for parameter in parameters))


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    """Every class of the module is drawn, once, under its base and with the builtin it derives from."""
    assert drawn_bases() == {name: one.__bases__ for name, one in error_classes().items()}


@pytest.mark.parametrize("name", error_classes())
def test_every_error_survives_pickle_and_copy(name: str) -> None:
    """Class, message, arguments and attributes come back."""
    error = made(name)
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert (str(again), again.args, again.__dict__) == (str(error), error.args, error.__dict__)


@pytest.mark.parametrize(
    "name",
    [name for name, one in error_classes().items() if issubclass(one, LogError) and issubclass(one, OSError)],
)
def test_an_os_error_of_the_log_keeps_number_and_file(name: str) -> None:
    """Who catches an OSError asks for ``errno``: pickle does not lose it."""
    error: Any = error_classes()[name](28, "No space left on device", "events.jsonl")
    again = pickle.loads(pickle.dumps(error))

    assert (error.errno, error.filename) == (28, "events.jsonl")
    assert (again.errno, again.filename, str(again)) == (28, "events.jsonl", str(error))


@pytest.mark.parametrize("name", error_classes())
def test_every_error_says_what_it_means(name: str) -> None:
    """Each class has a docstring of its own, one sentence at least."""
    doc = error_classes()[name].__doc__ or ""

    assert doc.strip().endswith(".")
    assert doc != BubusError.__doc__
