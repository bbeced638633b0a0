"""
How many times as fast as older event buses ours is.

Each peer is installed from the package index into a virtual environment of its own, in a temporary folder, for the
Python that runs this. The same workload then runs with every package in turn, in several rounds, so that a slow moment
of the machine falls on all; a figure is the median of the rounds' ratios.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Final

import attrs
import msgspec

WORKLOAD: Final = Path(__file__).with_name("_workload.py")
ROOT: Final = Path(__file__).parents[2]

INSTALL_SECONDS: Final = 300
RUN_SECONDS: Final = 60


@attrs.frozen
class Peer:
    """Another event bus, and how many times as fast as it we want to be."""

    requirement: str
    goal: float

    @property
    def package(self) -> str:
        """The name it is imported by."""
        return self.requirement.partition("==")[0]


PEERS: Final = (Peer("bubus==1.5.6", 150), Peer("abxbus", 60))


@attrs.frozen
class Speedup:
    """One line of the comparison."""

    name: str
    times: float
    """How many times as fast ours is."""

    goal: float
    ours: float
    """Our processor seconds per event."""

    theirs: float

    @property
    def ok(self) -> bool:
        """Return whether the goal is reached."""
        return self.times >= self.goal

    def __str__(self) -> str:
        """Return the line as text."""
        return (
            f"{self.name:<48} {self.times:5.0f}x  goal {self.goal:.0f}x  {'ok' if self.ok else 'MISSED':<6}"
            f"  {self.ours * 1e6:.1f} us to {self.theirs * 1e6:.0f} us"
        )


class PeerError(RuntimeError):
    """A peer could not be installed or run."""


def speedups(*, rounds: int = 5, seconds: float = 0.5) -> list[Speedup]:
    """
    Install the peers and run the workload with each; this takes a minute or two.

    Args:
        rounds: How often all packages are run.
        seconds: How long each kind of dispatching is timed in each round.

    Raises:
        PeerError: If one cannot be installed or run.
    """
    with tempfile.TemporaryDirectory(prefix="bubus-peers-") as folder:
        pythons = [_install(peer, Path(folder)) for peer in PEERS]
        taken = [_round(pythons, seconds) for _ in range(rounds)]
        names = [f"{peer.package} {_version(peer, python)}" for peer, python in zip(PEERS, pythons, strict=True)]
    return [
        _speedup(f"{names[place]}, {kind}", peer.goal, [(ours[kind], theirs[place][kind]) for ours, theirs in taken])
        for place, peer in enumerate(PEERS)
        for kind in taken[0][0]
    ]


def run_ours(seconds: float) -> dict[str, float]:
    """Run the workload with the bubus of this checkout; return seconds per event."""
    return run_workload(sys.executable, "bubus", seconds, {"PYTHONPATH": str(ROOT)})


def run_workload(
    python: str, package: str, seconds: float, environment: dict[str, str] | None = None
) -> dict[str, float]:
    """
    Run the workload with *package* in the environment that *python* belongs to; return seconds per event.

    Raises:
        PeerError: If it fails.
    """
    printed = _call([python, "-P", str(WORKLOAD), package, str(seconds)], RUN_SECONDS, environment)
    return msgspec.json.decode(printed, type=dict[str, float])


def _round(pythons: list[str], seconds: float) -> tuple[dict[str, float], list[dict[str, float]]]:
    ours = run_ours(seconds)
    return ours, [run_workload(python, peer.package, seconds) for peer, python in zip(PEERS, pythons, strict=True)]


def _speedup(name: str, goal: float, pairs: list[tuple[float, float]]) -> Speedup:
    times = statistics.median(theirs / ours for ours, theirs in pairs)
    return Speedup(
        name,
        times,
        goal,
        statistics.median(ours for ours, _ in pairs),
        statistics.median(theirs for _, theirs in pairs),
    )


def _install(peer: Peer, folder: Path) -> str:
    """Make the virtual environment of a peer; return its Python."""
    home = folder / peer.package
    venv.create(home, with_pip=True)
    python = str(home / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    _call([python, "-m", "pip", "install", "--quiet", peer.requirement], INSTALL_SECONDS)
    return python


def _version(peer: Peer, python: str) -> str:
    program = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    return _call([python, "-P", "-c", program, peer.package], RUN_SECONDS).strip()


def _call(command: list[str], limit: float, extra: dict[str, str] | None = None) -> str:
    # Our own PYTHONPATH would show a peer our bubus in place of its own.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | (extra or {})
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"{' '.join(command)} did not end within {limit} s") from error
    if done.returncode:
        raise PeerError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout
