"""The servers that are compared: how each is started, on which core, and how it ends.

Each runs with one worker and with the settings that it has by default, except for what `Options` says.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from . import processes

HOST: Final = "127.0.0.1"
ROOT: Final = Path(__file__).parents[1]

#: Seconds for a process to start or stop on a busy machine.
LIMIT: Final = 30.0

#: The ASGI application of the benchmarks; sanic and aiohttp, which speak no ASGI, have the same of their own.
APPLICATION: Final = "benchmarks.applications.asgi:app"

Loop = Literal["uvloop", "asyncio"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a server is asked for."""

    application: str
    port: int
    loop: Loop
    access_log: bool


def _asgiserve(options: Options) -> list[str]:
    log = "--access-log" if options.access_log else "--no-access-log"
    place = ["--host", HOST, "--port", str(options.port)]
    return ["asgiserve", options.application, *place, "--loop", options.loop, log]


def _uvicorn(options: Options) -> list[str]:
    log = "--access-log" if options.access_log else "--no-access-log"
    place = ["--host", HOST, "--port", str(options.port)]
    parts = ["--http", "httptools", "--loop", options.loop]
    return ["uvicorn", options.application, *place, *parts, log]


def _granian(options: Options) -> list[str]:
    log = "--access-log" if options.access_log else "--no-access-log"
    place = ["--host", HOST, "--port", str(options.port)]
    return ["granian", options.application, "--interface", "asgi", *place, "--loop", options.loop, log]


def _hypercorn(options: Options) -> list[str]:
    log = ["--access-logfile", "-"] if options.access_log else []
    place = ["--bind", f"{HOST}:{options.port}"]
    return ["hypercorn", options.application, *place, "--worker-class", options.loop, *log]


def _daphne(options: Options) -> list[str]:
    # Twisted has no loop of uvloop's without code; the access log comes with the verbosity.
    place = ["--bind", HOST, "--port", str(options.port)]
    return ["daphne", options.application, *place, "--verbosity", "1" if options.access_log else "0"]


def _native(name: str) -> Callable[[Options], list[str]]:
    def arguments(options: Options) -> list[str]:
        if options.application != APPLICATION:
            raise ValueError(f"{name} speaks no ASGI: it can serve only its own application")
        log = ["--access-log"] if options.access_log else []
        return [f"benchmarks.applications.{name}", "--port", str(options.port), "--loop", options.loop, *log]

    return arguments


#: What comes after ``python -m`` for each server.
SERVERS: Final[dict[str, Callable[[Options], list[str]]]] = {
    "asgiserve": _asgiserve,
    "uvicorn": _uvicorn,
    "granian": _granian,
    "hypercorn": _hypercorn,
    "daphne": _daphne,
    "sanic": _native("sanic"),
    "aiohttp": _native("aiohttp"),
}


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    name: str
    port: int
    pid: int  # of the process that was started; it may have children
    output_file: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def pids(self) -> list[int]:
        """The process that was started, and its descendants."""
        return processes.tree(self.pid)

    @property
    def cpu_seconds(self) -> float:
        """CPU time that all its processes have used so far."""
        return processes.cpu_seconds(self.pid)

    @property
    def peak_memory(self) -> int:
        """The most bytes of memory that its processes have had, summed over them."""
        return processes.memory(self.pid, "VmHWM")

    @property
    def output(self) -> str:
        """What it has written to its standard output and error."""
        return self.output_file.read_text(errors="replace")


@contextlib.contextmanager
def serving(
    name: str,
    application: str = APPLICATION,
    *,
    core: int | None = None,
    loop: Loop = "uvloop",
    access_log: bool = False,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Start a server on a free port, and on one core if that is given; wait until it answers; end it.

    `arguments` are further ones for its command line. Raises RuntimeError if it does not start.
    """

    def command(port: int) -> list[str]:
        return [*SERVERS[name](Options(application, port, loop, access_log)), *arguments]

    with started(name, command, core=core, environment=environment) as server:
        yield server


@contextlib.contextmanager
def started(
    name: str,
    command: Callable[[int], Sequence[str]],
    *,
    core: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Start what comes after ``python -m`` to serve on a port; wait until it answers; end it."""
    prefix = [] if core is None else ["taskset", "--cpu-list", str(core)]
    with tempfile.TemporaryDirectory() as directory, _reserved_port() as reservation:
        port = reservation.getsockname()[1]
        output_file = Path(directory, "output")
        with output_file.open("wb") as output:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-m", *command(port)],
                cwd=ROOT,  # where -m looks for applications
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its workers are in its group, and Ctrl-C reaches only us
            )
        try:
            server = Running(name, port, process.pid, output_file)
            _wait_until_it_answers(server, process)
            yield server
        finally:
            _end(process)


def _wait_until_it_answers(server: Running, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if _answers(server.port):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(0.05)
            raise RuntimeError(f"{server.name} ended with {code} instead of starting:\n{server.output}")
    raise RuntimeError(f"{server.name} does not answer after {LIMIT:g} s:\n{server.output}")


def _answers(port: int) -> bool:
    """Whether there is any HTTP response to a request; an application may answer it with 404."""
    request = b"GET / HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((HOST, port), timeout=LIMIT) as connection:
            connection.sendall(request)
            return connection.recv(4096).startswith(b"HTTP/1.1 ")
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LIMIT)
    # Nothing of a server that hangs, and no worker that it has forgotten, stays.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _reserved_port() -> socket.socket:
    """Bind a free port without listening: until it is closed, nobody gets the port without asking for it."""
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind((HOST, 0))
    return reservation
