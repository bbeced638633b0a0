"""The files that hold the slots of all processes: where they are, whom they trust, when they are free."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import pytest

from bubus import _slots
from bubus._retry import retry
from bubus.errors import BubusError, SemaphoreDirError

if TYPE_CHECKING:
    from pathlib import Path

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs to act as two users")

NOBODY = 65534


@pytest.fixture(autouse=True)
def _no_override(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BUBUS_SEMAPHORE_DIR", raising=False)
    monkeypatch.setattr("bubus._slots._home.assigned", None)  # what one test assigns is not the next one's
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@retry(retries=0, semaphore_limit=2, semaphore_name="../../etc/passwd\0\x1b", semaphore_scope="multiprocess")
def limited() -> int:
    """Run in a slot."""
    return 1


def test_R54_the_directory_is_this_users_and_made_on_first_use(tmp_path: Path) -> None:
    """It is `<tempdir>/bubus-<uid>` with mode 0700, whatever the umask, and exists once a slot was wanted."""
    expected = tmp_path / f"bubus-{os.geteuid()}"
    assert _slots.directory() == expected
    assert not expected.exists()
    before = os.umask(0)
    try:
        limited()
    finally:
        os.umask(before)

    assert expected.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in expected.iterdir()} == {0o600}


def test_R54_the_environment_is_read_at_call_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BUBUS_SEMAPHORE_DIR moves the files from the next call on, and is made with its parents if missing."""
    for name in ("a/b", "c"):
        monkeypatch.setenv("BUBUS_SEMAPHORE_DIR", str(tmp_path / name))
        limited()
        assert any((tmp_path / name).iterdir())
    assert not (tmp_path / f"bubus-{os.geteuid()}").exists()


def test_names_never_reach_a_path(tmp_path: Path) -> None:
    """A hostile or very long name gives a harmless file in the directory, and different names different files."""
    limited()
    (directory,) = tmp_path.iterdir()
    for file in directory.iterdir():
        assert file.name.isascii()
        assert file.name.isprintable()
    names = ["a/b", "a_b", "a b", "x" * 300, "x" * 301, "\ud800", "", ".", "CON"]
    stems = {_slots.stem(name) for name in names}
    assert len(stems) == len(names)
    assert all(len(stem) < 80 and set(stem) <= set(f"{'x'}abCON_0123456789cdef-") for stem in stems)


def test_R54_a_directory_open_to_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default may have no bit for others; one that the user names may be read by them, but not written."""
    default = tmp_path / f"bubus-{os.geteuid()}"
    default.mkdir()
    default.chmod(0o755)
    with pytest.raises(SemaphoreDirError, match=r"\(mode 755\); run: chmod 700") as caught:
        limited()
    assert isinstance(caught.value, BubusError)
    assert isinstance(caught.value, PermissionError)
    default.chmod(0o700)
    assert limited() == 1

    monkeypatch.setenv("BUBUS_SEMAPHORE_DIR", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine").chmod(0o755)
    assert limited() == 1
    (tmp_path / "mine").chmod(0o777)
    with pytest.raises(SemaphoreDirError, match="mode 777"):
        limited()


def test_R54_a_link_or_a_file_in_its_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's trick in the directory for temporary files: a link is not followed."""
    (tmp_path / "real").mkdir(mode=0o700)
    default = tmp_path / f"bubus-{os.geteuid()}"
    default.symlink_to(tmp_path / "real")
    with pytest.raises(SemaphoreDirError, match="is no directory; remove it"):
        limited()
    default.unlink()
    default.touch()
    with pytest.raises(SemaphoreDirError, match="is no directory; remove it"):
        limited()
    monkeypatch.setenv("BUBUS_SEMAPHORE_DIR", str(tmp_path / "real"))
    assert limited() == 1


@as_root
def test_R54_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    """Its owner could take our slots, so it is not used."""
    default = tmp_path / f"bubus-{os.geteuid()}"
    default.mkdir(mode=0o700)
    os.chown(default, NOBODY, NOBODY)

    with pytest.raises(SemaphoreDirError, match=f"belongs to user {NOBODY}; set BUBUS_SEMAPHORE_DIR"):
        limited()


@as_root
def test_R54_another_user_is_not_locked_out() -> None:
    """Each user has a directory; who came first is not in the other's way."""
    program = """
import os, sys, tempfile
from bubus.helpers import retry
if len(sys.argv) > 2:
    os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
tempfile.tempdir = sys.argv[1]
@retry(retries=0, semaphore_limit=1, semaphore_name="two users", semaphore_scope="multiprocess", semaphore_timeout=0)
def work():
    return sorted(name for name in os.listdir(sys.argv[1]))
print(work())
"""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chmod(directory, 0o1777)  # noqa: PTH101 - as /tmp is
        lists = [
            subprocess.run(
                [sys.executable, "-c", program, directory, *user],
                check=True,
                capture_output=True,
                text=True,
                timeout=60,
            ).stdout
            for user in ([], [str(NOBODY)])
        ]
    assert lists[1].strip() == f"['bubus-0', 'bubus-{NOBODY}']"


def test_R54_a_held_lock_is_never_stale(tmp_path: Path) -> None:
    """A file that says it is a year old is still locked."""
    path = tmp_path / "slot"
    slot = _slots.take(path)
    assert slot
    os.utime(path, (0, time.time() - 365 * 86_400))
    assert _slots.take(path) is None
    slot.release()
    again = _slots.take(path)
    assert again
    again.release()


def test_R54_a_deleted_file_is_not_taken_for_the_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the file vanishes between open and lock, the lock on what was deleted is given up."""
    path, lock = tmp_path / "slot", _slots.lock_descriptor

    def lock_after_deletion(descriptor: int, *, blocking: bool) -> bool:
        path.unlink()
        return lock(descriptor, blocking=blocking)

    with monkeypatch.context() as patched:
        patched.setattr(_slots, "lock_descriptor", lock_after_deletion)
        assert _slots.take(path) is None
    slot = _slots.take(path)
    assert slot
    slot.release()


def test_R54_a_directory_removed_by_a_cleaner_is_made_again(tmp_path: Path) -> None:
    """Files and directory may vanish between two calls."""
    limited()
    (directory,) = tmp_path.iterdir()
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()

    assert limited() == 1
    assert directory.exists()


def test_an_error_of_the_system_leaves_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel refuses is raised as it is, and the descriptor is closed."""

    def fail(_descriptor: int, *, blocking: bool) -> bool:
        raise OSError(37, f"No locks available{blocking}")

    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are numbers of open files
    with monkeypatch.context() as patched:
        patched.setattr(_slots, "lock_descriptor", fail)
        for _ in range(5):
            with pytest.raises(OSError, match="No locks available"):
                _slots.take(tmp_path / "slot")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - see above


def test_a_released_slot_is_released_once(tmp_path: Path) -> None:
    """Releasing again does nothing, least of all close somebody else's file."""
    slot = _slots.take(tmp_path / "slot")
    assert slot
    slot.release()
    with (tmp_path / "other").open("w") as other:
        slot.release()
        other.write("still open")
    assert (tmp_path / "other").read_text() == "still open"
