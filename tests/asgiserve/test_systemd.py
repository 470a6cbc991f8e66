"""Under a service manager: sockets that it has opened, and what it is told, without being asked for."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asgiserve import Config, Server
from tests.asgiserve.applications import hello
from tests.asgiserve.program import STARTING, Program
from tests.asgiserve.test_listeners import addresses, ask, processes

#: What a service manager does between fork and exec: the sockets become the descriptors from 3 on.
LAUNCHER = """
import fcntl, os, sys

passed = map(int, os.environ.pop("PASSED").split())
numbers = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 100) for number in passed]
for place, number in enumerate(numbers, 3):
    os.dup2(number, place)
os.environ["LISTEN_FDS"] = os.environ.pop("COUNT", str(len(numbers)))
os.environ["LISTEN_PID"] = str(os.getpid() + int(os.environ.pop("PID_OFFSET", "0")))
os.environ["LISTEN_FDNAMES"] = ":".join("web" for number in numbers)
os.execv(sys.executable, [sys.executable, "-m", "asgiserve", *sys.argv[1:]])
"""

MAIN = """
import json, os, socket

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if "NOTIFY_SOCKET" in os.environ:
            address = os.environ["NOTIFY_SOCKET"].replace("@", chr(0))
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"the application starts", address)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    about = {"variables": [name for name in os.environ if name.startswith("LISTEN_")]}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(about).encode()})
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the application is."""
    (tmp_path / "main.py").write_text(MAIN)
    return tmp_path


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    """A socket that listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def activated(
    directory: Path,
    sockets: list[socket.socket],
    *arguments: str,
    ready: str = "listens on",
    **environment: str,
) -> Program:
    """The command as a service manager starts it that has opened `sockets` for it."""
    numbers = [sock.fileno() for sock in sockets]
    return Program(
        "main:app",
        *arguments,
        port=None,
        directory=directory,
        environment={"PASSED": " ".join(map(str, numbers)), **environment},
        pass_fds=numbers,
        ready=ready,
        command=(sys.executable, "-c", LAUNCHER),
    )


# Socket activation


@processes
def test_sockets_of_a_service_manager_are_served(
    processes: tuple[str, ...], directory: Path, tcp: socket.socket
) -> None:
    """Their files are not removed, and no child sees the variables."""
    path = directory / "socket"
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        with activated(directory, [tcp, unix], *processes) as server:
            assert addresses(server) == [f"http://127.0.0.1:{tcp.getsockname()[1]}", f"unix:{path}"]
            assert ask(tcp.getsockname()) == {"variables": []}
            assert ask(str(path), socket.AF_UNIX) == {"variables": []}
            server.signal(signal.SIGTERM)
            assert server.exit_code() == 0
    assert path.exists()


def test_connections_that_came_before_the_server_are_served(directory: Path, tcp: socket.socket) -> None:
    with socket.create_connection(tcp.getsockname()) as early:
        early.settimeout(STARTING)
        early.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        with activated(directory, [tcp]):
            assert early.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_settings_win_over_activation(directory: Path, tcp: socket.socket) -> None:
    with activated(directory, [tcp], "--bind", "127.0.0.1:0", "--bind", "fd://3") as server:
        chosen, passed = addresses(server)
        assert passed == f"http://127.0.0.1:{tcp.getsockname()[1]}"
        assert ask(("127.0.0.1", int(chosen.rpartition(":")[2]))) == {"variables": []}


def test_sockets_for_another_process_are_left_alone(directory: Path, tcp: socket.socket) -> None:
    with activated(directory, [tcp], "--port", "0", PID_OFFSET="1") as server:
        assert addresses(server) != [f"http://127.0.0.1:{tcp.getsockname()[1]}"]


def test_no_sockets_at_all(directory: Path) -> None:
    with activated(directory, [], "--port", "0") as server:
        assert addresses(server)[0].startswith("http://127.0.0.1:")


@processes
def test_descriptor_that_is_no_socket_is_one_line(
    processes: tuple[str, ...], directory: Path, tcp: socket.socket
) -> None:
    with activated(directory, [tcp], *processes, ready="cannot listen", COUNT="2") as server:
        assert server.exit_code() == 1
        assert server.output.startswith("asgiserve: cannot listen on file descriptor ")
        assert len(server.lines) == 1


def test_wrong_number_of_sockets_is_one_line(directory: Path) -> None:
    with activated(directory, [], ready="LISTEN_FDS", COUNT="many") as server:
        assert server.exit_code() == 2
        assert server.output == "asgiserve: LISTEN_FDS: it must be a number of sockets, not 'many'"


# Readiness


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """What a service manager is told, and where."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(STARTING)
        if request.param == "path":
            address = str(tmp_path / "notify")
            sock.bind(address)
        else:
            address = f"@asgiserve-test-{os.getpid()}"
            sock.bind("\0" + address[1:])
        yield sock, address


@processes
def test_service_manager_is_told_of_readiness_and_of_the_end(
    processes: tuple[str, ...], directory: Path, manager: tuple[socket.socket, str]
) -> None:
    """Once, when every worker listens; and again when the shutdown begins."""
    told, address = manager
    environment = {"NOTIFY_SOCKET": address}
    with Program("main:app", *processes, directory=directory, environment=environment, ready="") as server:
        for _ in range(2 if processes else 1):
            assert told.recv(1000) == b"the application starts"
        assert told.recv(1000) == b"READY=1"
        assert ask(("127.0.0.1", int(addresses(server)[0].rpartition(":")[2])))
        server.signal(signal.SIGTERM)
        assert told.recv(1000) == b"STOPPING=1"
        assert server.exit_code() == 0
        told.setblocking(False)
        with pytest.raises(BlockingIOError):
            told.recv(1000)


def test_service_manager_that_is_gone_does_no_harm(directory: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(directory / "nobody")}
    with Program("program", environment=environment) as server:
        assert server.ask().status == 200
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


async def test_process_of_somebody_else_is_not_spoken_for(
    monkeypatch: pytest.MonkeyPatch, manager: tuple[socket.socket, str], tcp: socket.socket
) -> None:
    """An embedded server neither tells the service manager, nor takes its sockets."""
    told, address = manager
    variables: dict[str, Any] = {
        "NOTIFY_SOCKET": address,
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDS": str(tcp.fileno()),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with Server(Config(app=hello, lifespan="off", port=0)) as server:
        assert len(server.addresses) == 1
    assert os.environ["LISTEN_PID"] == str(os.getpid())
    told.setblocking(False)
    with pytest.raises(BlockingIOError):
        told.recv(1000)
