"""ASGI servers as their users start them: a process of its own on a loopback port, ended by SIGTERM.

Every wait is for a condition: the port accepts, or the process has ended. The limits are for what hangs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

HOST: Final = "127.0.0.1"
ROOT: Final = Path(__file__).parents[2]

#: Seconds for a process to start or stop.
LIMIT: Final = 30.0

#: Seconds that a client waits for the next bytes.
PATIENCE: Final = 10.0

COMMANDS: Final[dict[str, Callable[[str, int], list[str]]]] = {
    "asgiserve": lambda app, port: [app, "--host", HOST, "--port", str(port)],
    "uvicorn": lambda app, port: [app, "--host", HOST, "--port", str(port)],
    "hypercorn": lambda app, port: [app, "--bind", f"{HOST}:{port}"],
    "granian": lambda app, port: [app, "--interface", "asgi", "--host", HOST, "--port", str(port)],
    "daphne": lambda app, port: [app, "--bind", HOST, "--port", str(port)],
}


class Server:
    """One server with the application of one framework; in ``directory`` are the files that they write."""

    def __init__(self, name: str, framework: str, directory: Path, *arguments: str) -> None:
        self.name = name
        self.framework = framework
        self.shutdown_file = directory / "shutdown"
        self.port = 0
        self._arguments = arguments
        self._output_file = directory / "output"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        """What the process has written to its standard output and error."""
        return self._output_file.read_text(errors="replace")

    def client(self) -> httpx.Client:
        """Return an HTTP client for this server, with no connection yet."""
        # verify=False: for loading certificates, which are not needed here, it takes longer than for a test.
        url = f"http://{HOST}:{self.port}"
        return httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False, verify=False)

    def connect(self) -> socket.socket:
        """Open a connection for what an HTTP client would not say, or not show."""
        return socket.create_connection((HOST, self.port), timeout=PATIENCE)

    def start(self) -> None:
        """Start unless it runs, and wait until it accepts connections."""
        if self._process is not None:
            assert self._process.poll() is None, f"{self.name} has ended:\n{self.output}"
            return
        self.shutdown_file.write_text("")
        with _reserved_port() as reservation, self._output_file.open("wb") as output:
            self.port = reservation.getsockname()[1]
            app = f"tests.together.applications.{self.framework}:app"
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.name, *COMMANDS[self.name](app, self.port), *self._arguments],
                cwd=ROOT,
                env=os.environ | {"CONTRACT_SHUTDOWN_FILE": str(self.shutdown_file), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its workers are in its group, and Ctrl-C reaches only the tests
            )
            self._wait_until_it_accepts(self._process)

    def _wait_until_it_accepts(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionRefusedError):
                self.connect().close()
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(0.02)
                raise AssertionError(f"{self.name} ended with {code} instead of starting:\n{self.output}")
        raise AssertionError(f"{self.name} accepts no connection after {LIMIT} s:\n{self.output}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, and wait for nothing."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Send SIGTERM if it runs, and wait for its end."""
        if self._process is not None:
            self.signal(signal.SIGTERM)
            self.wait()

    def wait(self, limit: float = LIMIT) -> None:
        """Wait for its end, which it was told to come to."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not stop within {limit} s:\n{self.output}") from None
        finally:
            # Nothing of a server that hangs, and no worker that it has forgotten, outlives the test.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _reserved_port() -> socket.socket:
    """Bind a free port without listening: until it is closed, nobody gets the port without asking for it."""
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind((HOST, 0))
    return reservation
