"""A Redis server of a test: on a free port and a UNIX socket, killed, paused, started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Seconds for a server to start or to end on a busy machine.
PATIENCE = 30.0

#: Tests that need the program; CI has to have it.
needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None and not os.environ.get("CI"),
    reason="redis-server is missing: apt install redis-server",
)


class RedisServer:
    """``redis-server`` that keeps nothing, at the same addresses each time that it is started."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = directory / "redis.sock"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        """Where it listens on the loopback."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def unix_url(self) -> str:
        """Its UNIX socket."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start it, and return when it answers."""
        options = {"bind": "127.0.0.1", "port": str(self.port), "unixsocket": str(self.socket), "save": ""}
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["redis-server", *(word for name, value in options.items() for word in (f"--{name}", value))],
                cwd=self._directory,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"redis-server did not start:\n{(self._directory / 'log').read_text()}")
            time.sleep(0.01)

    @property
    def running(self) -> bool:
        """Whether it was started, and not killed since."""
        return self._process is not None

    def kill(self) -> None:
        """End it at once, paused or not; returns when it has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let it hang in the ``with``: its connections stay, and nobody gets an answer."""
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)  # which is nothing to one that was killed

    def command(self, *words: str) -> str:
        """What it answers to a command, as redis-cli shows it to programs."""
        return subprocess.run(
            ["redis-cli", "-s", str(self.socket), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout.strip()

    def _answers(self) -> bool:
        """Whether it is this server that answers, not another one that was faster to take the port."""
        for family, address in (
            (socket.AF_UNIX, str(self.socket)),
            (socket.AF_INET, ("127.0.0.1", self.port)),
        ):
            try:
                with socket.socket(family) as connection:
                    connection.settimeout(PATIENCE)
                    connection.connect(address)
                    connection.sendall(b"PING\r\n")
                    if connection.recv(16) != b"+PONG\r\n":
                        return False
            except OSError:
                return False
        return True


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a Redis server until the end of the ``with``."""
    # Not pytest's directory: the address of a UNIX socket has to be shorter than 108 bytes.
    with tempfile.TemporaryDirectory(prefix="redis-") as directory:
        server = RedisServer(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.kill()
