"""
The agent of tests/examples/agent, written for bubus 1.5.6 and pydantic, run as it is.

``reported.json`` and ``reported_broken.json`` are what it printed with bubus 1.5.6 installed (with the site's address
taken out); this package must let it print the same. To record them again::

    python tests/test_example_agent.py PYTHON_THAT_HAS_1_5_6
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

AGENT = Path(__file__).parent / "examples" / "agent"
PAGES = {
    "/": """<title>Shop</title><p>Welcome to the shop</p><a href='/catalogue'>Catalogue</a>
            <a href='http://elsewhere.invalid/'>Partner</a><button>Menu</button>""",
    "/catalogue": """<title>Catalogue</title><p>A red chair for 10</p><p>A blue table for 25</p><input name='search'>
                     <select name='colour'><option>red</option><option>blue</option></select><a href='/'>Home</a>""",
    "/price-list.csv": "chair,10\ntable,25\n",
}
closing = threading.Event()


class Site(http.server.BaseHTTPRequestHandler):
    """The site that the agent visits; /slow does not answer before the tests are over."""

    def do_GET(self) -> None:
        if self.path == "/slow":
            closing.wait(60)
            return
        page = PAGES.get(self.path)
        self.send_response(404 if page is None else 200)
        self.end_headers()
        self.wfile.write((page or "").encode())

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextlib.contextmanager
def serve() -> Generator[str]:
    """Serve the site; yield its address."""
    closing.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        closing.set()
        server.shutdown()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Address of the site."""
    with serve() as address:
        yield address


def run(
    script: str, site: str, downloads: Path, python: str = sys.executable, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the agent with one of its scripts, in a process of its own."""
    filled = downloads.parent / script
    filled.write_text((AGENT / script).read_text("utf-8").replace("SITE", site), "utf-8")
    downloads.mkdir()
    here = str(Path(__file__).parent.parent) if python == sys.executable else ""
    return subprocess.run(
        [python, AGENT / "agent.py", filled, downloads],
        env={**os.environ, "PYTHONPATH": here, "TIMEOUT_NavigateToUrlEvent": "2.5", **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def report(done: subprocess.CompletedProcess[str], site: str, downloads: Path) -> dict[str, Any]:
    """Return what the agent printed, without what differs from run to run."""
    assert done.stdout, done.stderr
    text = done.stdout.replace(site, "SITE").replace(json.dumps(str(downloads)), '"DOWNLOADS"')
    found: dict[str, Any] = json.loads(text)
    return found


def recorded(name: str) -> dict[str, Any]:
    """Return what bubus 1.5.6 reported."""
    found: dict[str, Any] = json.loads((AGENT / name).read_text("utf-8"))
    return found


def test_the_agent_reports_what_it_did_with_bubus_1_5_6(site: str, tmp_path: Path) -> None:
    """Every event, result, parent, path and JSON dump is the same; nothing is on stderr."""
    downloads = tmp_path / "downloads"
    done = run("script.json", site, downloads)
    assert (done.returncode, done.stderr) == (0, "")
    assert report(done, site, downloads) == recorded("reported.json")
    assert (downloads / "price-list.csv").read_text("utf-8") == PAGES["/price-list.csv"]
    assert json.loads((downloads / "state.json").read_text("utf-8")) == {"colour": "blue", "search": "chair"}
    assert (downloads / "tree.txt").read_text("utf-8").count("✅ NavigateToUrlEvent#") == 3


def test_what_goes_wrong_is_reported_as_with_bubus_1_5_6(site: str, tmp_path: Path) -> None:
    """Refused values, hosts and elements, a page that is late and one that does not exist: each by name."""
    downloads = tmp_path / "downloads"
    done = run("broken.json", site, downloads)
    assert (done.returncode, done.stderr) == (1, "")
    found = report(done, site, downloads)
    assert found == recorded("reported_broken.json")
    assert [failure["error"] for failure in found["failures"]] == [
        "url: value_error",
        "PermissionError: elsewhere.invalid is not allowed",
        "TimeoutError",
        "ConnectionError: SITE/missing answered 404",
        ": value_error",
        "ValueError: nothing can be typed into a a",
        "steps: less_than_equal",
        "LookupError: there is no tab tab-9",
    ]


def test_a_time_limit_of_the_environment_that_is_none_stops_the_agent(site: str, tmp_path: Path) -> None:
    """The factory of `event_timeout` runs when the event is made; what it raises reaches the program."""
    done = run("script.json", site, tmp_path / "downloads", TIMEOUT_SessionStartEvent="-1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.rstrip().endswith("ValueError: TIMEOUT_SessionStartEvent=-1 must not be negative")


def test_a_site_that_is_gone_is_reported(tmp_path: Path) -> None:
    """The connection that is refused is an error of every step that needs it, and told to who listens."""
    with serve() as gone:
        pass
    done = run("script.json", gone, tmp_path / "downloads")
    found = report(done, gone, tmp_path / "downloads")
    assert done.returncode == 1
    assert found["failures"][0]["error"].startswith("ConnectionRefusedError")
    told = [event for event in found["events"] if event["event_type"] == "NavigationCompleteEvent"]
    assert {event["error_message"] for event in told} == {"ConnectionRefusedError"}


def test_a_watchdog_that_is_attached_twice_is_found_by_the_names_of_its_handlers() -> None:
    """`bus.handlers` tells what is registered, by the names that were assigned."""
    program = """
from watchdogs import FileWatchdog, Session
session = Session()
watchdog = FileWatchdog(event_bus=session.event_bus, session=session)
print(watchdog.attach())
watchdog.attach()
"""
    path = os.pathsep.join([str(AGENT), str(Path(__file__).parent.parent)])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    names = [f"FileWatchdog.on_{name}Event" for name in ("Download", "LoadState", "SaveState")]
    assert done.stdout.rstrip() == repr(names)
    assert done.stderr.rstrip().endswith("RuntimeError: FileWatchdog.on_DownloadEvent is attached twice")


def record(python: str) -> None:
    """Write down what the agent reports under another interpreter's packages."""
    for script, name in (("script.json", "reported.json"), ("broken.json", "reported_broken.json")):
        with serve() as address, tempfile.TemporaryDirectory() as folder:
            downloads = Path(folder) / "downloads"
            found = report(run(script, address, downloads, python), address, downloads)
        lines = [f"{json.dumps(key)}: {_lines(value)}" for key, value in sorted(found.items())]
        (AGENT / name).write_text("{" + ",\n".join(lines) + "}\n", "utf-8")


def _lines(value: list[Any] | dict[str, Any] | int) -> str:
    """Return JSON with one line for each item of a list, which shows well in a diff."""
    if isinstance(value, list):
        return "[\n" + ",\n".join(f" {json.dumps(item)}" for item in value) + "\n]"
    return json.dumps(value)


if __name__ == "__main__":
    record(sys.argv[1])
