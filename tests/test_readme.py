"""The README: its snippets run and print what they say, and its commands are those that the checks use."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import subprocess
import sys
import textwrap
import types
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import bubus

if TYPE_CHECKING:
    from collections.abc import Iterator

README: Final = Path(__file__).parent.parent / "README.md"

_FENCED: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ARROW: Final = re.compile(r"# → (.*)$", re.MULTILINE)
_VARYING: Final = re.compile(r"#[0-9a-f]{4}\b|\d+(\.\d+)? (ms|s)\b")

if not README.exists():
    pytest.skip("the README is not where the tests are: they run against an installed package", allow_module_level=True)


def blocks() -> list[tuple[str, str]]:
    """Return language and text of each fenced block."""
    return _FENCED.findall(README.read_text("utf-8"))


def examples() -> Iterator[tuple[str, str]]:
    """Yield each Python snippet with what it is to print: its arrows, or else the text block after it."""
    found = [*blocks(), ("", "")]
    for (language, text), (next_language, output) in pairwise(found):
        if language == "python":
            arrows = "".join(f"{line}\n" for line in _ARROW.findall(text))
            yield text, arrows + (output if next_language == "text" else "")


WHOLE_PROGRAM, IMPORTS, *SNIPPETS = examples()


def steady(output: str) -> str:
    """Return *output* without ids and durations, which differ from run to run."""
    return _VARYING.sub("_", output)


def first_name(snippet: tuple[str, str]) -> str:
    """Return a name for a snippet: that of the first class or function it defines."""
    names = re.search(r"^(?:async )?(?:class|def) (\w+)", snippet[0], re.MULTILINE)
    return names[1] if names else "plain"


def run(code: str, names: dict[str, Any]) -> None:
    """Run *code* as the inside of an async function, if it awaits anything."""
    program = compile(code, str(README), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(program, names)
    if inspect.iscoroutine(result):
        asyncio.run(result)


def test_the_first_example_runs_as_printed() -> None:
    """It is a whole program, and its output is what the README shows."""
    code, output = WHOLE_PROGRAM
    done = subprocess.run([sys.executable, "-W", "error", "-"], input=code, capture_output=True, text=True, check=False)

    assert (done.stderr, done.stdout, done.returncode) == ("", output, 0)


@pytest.mark.real_time
@pytest.mark.parametrize("snippet", SNIPPETS, ids=first_name)
def test_each_snippet_prints_what_it_says(
    snippet: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the imports the README names, each snippet runs by itself."""
    code, output = snippet
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("readme_snippet")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where annotations are looked up
    run(IMPORTS[0], vars(module))
    run(code, vars(module))

    assert steady(capsys.readouterr().out) == steady(output)


def test_every_snippet_shows_its_output() -> None:
    """A snippet that prints nothing would show that it does not fail, and nothing else."""
    assert [code for code, output in SNIPPETS if not output] == []


def test_a_wrong_output_is_noticed() -> None:
    """Arrows are compared as they stand; only ids and durations may differ."""
    assert steady("✅ Charge#a17c (0.1 ms)") == steady("✅ Charge#ffff (12 s)")
    assert steady("→ 42") != steady("→ 43")


def test_it_is_short() -> None:
    """At most 400 lines."""
    assert len(README.read_text("utf-8").splitlines()) <= 400


def test_links_lead_somewhere() -> None:
    """Every link is to a heading or a file that is there."""
    text = README.read_text("utf-8")
    anchors = {
        "#" + re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    }
    links: list[str] = re.findall(r"\]\(([^)]+)\)", text)

    assert [link for link in links if link not in anchors and not (README.parent / link).exists()] == []


def test_the_names_it_mentions_exist() -> None:
    """What the text calls `event_...` or `dispatch_...` is an attribute of events or buses."""
    event = bubus.BaseEvent(event_type="Any")
    words = set(re.findall(r"`((?:event|dispatch)_\w+)`", README.read_text("utf-8")))
    options = set(inspect.signature(bubus.EventBus).parameters)

    assert [word for word in sorted(words) if not hasattr(event, word) and not hasattr(bubus.EventBus, word)] == []
    assert {"max_history_size", "max_pending", "cancel_grace", "slow_handler_seconds"} <= options


def test_two_commands_do_all_the_set_up() -> None:
    """Each is one line that makes an environment, installs into it and runs: the main job, and the tests."""
    commands = [line for language, text in blocks() if language == "sh" for line in text.splitlines()]
    start = "python3 -m venv .venv && .venv/bin/pip install -q -e "

    assert [command.removeprefix(start) for command in commands] == [
        "'.[cli]' && .venv/bin/bubus demo",
        "'.[test]' && .venv/bin/python -m pytest -n auto",
    ]


def test_the_examples_in_docstrings_of_the_package_are_python() -> None:
    """What ``help(bubus)`` shows compiles."""
    found = _FENCED.findall(textwrap.dedent(bubus.__doc__ or ""))

    assert [language for language, _ in found] == ["python"]
    for _, code in found:
        compile(code, "bubus.__doc__", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
