"""Where it listens: bindings of every kind, UNIX sockets and their files, queues of their own, and errors."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest

from asgiserve import BindError, Config, ConfigError, Server
from tests.asgiserve.applications import hello
from tests.asgiserve.program import Program, run_to_end
from tests.asgiserve.raw import GET_AND_CLOSE, PATIENCE, eventually
from tests.asgiserve.test_command_line import pids

APPLICATION = "tests.asgiserve.applications:program"

#: A test that holds with one process, and with a parent that binds for its workers.
processes = pytest.mark.parametrize("processes", [(), ("--workers", "2")], ids=["single", "workers"])


def addresses(server: Program) -> list[str]:
    """What the banner says, all of it."""
    found = re.search(r"listens on (.*?) (?:\(|as a worker)", server.wait_for("listens on"))
    assert found
    return found[1].split(", ")


def port_of(address: str) -> int:
    """The port of an address of the banner."""
    return int(address.rpartition(":")[2])


def ask(address: Any, family: int = socket.AF_INET, tls: ssl.SSLContext | None = None) -> dict[str, Any]:
    """What `program` says of a connection to an address."""
    with socket.socket(family, socket.SOCK_STREAM) as plain:
        plain.settimeout(PATIENCE)
        plain.connect(address)
        sock = tls.wrap_socket(plain, server_hostname="localhost") if tls is not None else plain
        with sock:
            sock.sendall(GET_AND_CLOSE)
            data = b""
            while more := sock.recv(65536):
                data += more
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), data
    about: dict[str, Any] = json.loads(body)
    return about


def has_ipv6() -> bool:
    """Whether this machine has an address of IPv6."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def queues(port: int) -> int:
    """How many sockets of IPv4 listen on a port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


# Bindings


@processes
def test_several_bindings_of_different_kinds(processes: tuple[str, ...], tmp_path: Path) -> None:
    """Each port 0 is a port of its own, and the banner has them all."""
    path = str(tmp_path / "socket")
    bindings = ["--bind", "127.0.0.1:0", "--bind", f"unix:{path}", "--bind", "localhost:0"]
    with Program("program", *bindings, *processes) as server:
        first, second, *others = addresses(server)
        assert second == f"unix:{path}"
        assert ask(path, socket.AF_UNIX)["client"] is None
        tcp = [first, *(other for other in others if "[" not in other)]
        assert len(set(map(port_of, tcp))) == 2
        for address in tcp:
            assert address.startswith("http://127.0.0.1:")
            assert ask(("127.0.0.1", port_of(address)))["server"] == ["127.0.0.1", port_of(address)]
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert not Path(path).exists()


def test_bindings_from_the_environment_stand_one_a_line() -> None:
    environment = {"ASGISERVE_BIND": "127.0.0.1:0\n127.0.0.1:0"}
    with Program("program", port=None, environment=environment) as server:
        assert len(addresses(server)) == 2


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("where", [("--bind", "[::]:0"), ("--host", "::", "--port", "0")], ids=" ".join)
@processes
def test_all_addresses_of_ipv6_are_those_of_ipv4_too(
    processes: tuple[str, ...], where: tuple[str, ...]
) -> None:
    """Whatever the system's default; and a client of IPv4 has an address of IPv4."""
    with Program("program", *where, *processes, port=None) as server:
        (address,) = addresses(server)
        port = port_of(address)
        assert address == f"http://[::]:{port}"
        about = ask(("127.0.0.1", port))
        assert (about["client"][0], about["server"]) == ("127.0.0.1", ["127.0.0.1", port])
        about = ask(("::1", port), socket.AF_INET6)
        assert (about["client"][0], about["server"]) == ("::1", ["::1", port])


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_one_address_of_ipv6() -> None:
    with Program("program", "--bind", "[0:0::1]:0") as server:
        (address,) = addresses(server)
        assert address.startswith("http://[::1]:")
        assert ask(("::1", port_of(address)), socket.AF_INET6)["client"][0] == "::1"


@processes
def test_inherited_descriptors(processes: tuple[str, ...], tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        numbers = [tcp.fileno(), unix.fileno()]
        bindings = [argument for number in numbers for argument in ("--bind", f"fd://{number}")]
        with Program("program", *bindings, *processes, pass_fds=numbers) as server:
            assert addresses(server) == [f"http://127.0.0.1:{tcp.getsockname()[1]}", f"unix:{path}"]
            assert ask(tcp.getsockname())["client"]
            assert ask(path, socket.AF_UNIX)["client"] is None
            server.signal(signal.SIGTERM)
            assert server.exit_code() == 0
        assert Path(path).exists()


@processes
def test_tls_on_one_binding_and_not_on_another(processes: tuple[str, ...], tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    certificate = str(tmp_path / "certificate.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    bindings = ["--bind", "http://127.0.0.1:0", "--bind", "https://127.0.0.1:0", "--bind", "127.0.0.1:0"]
    with Program("program", *bindings, "--ssl-certfile", certificate, *processes) as server:
        plain, secure, unsaid = addresses(server)
        assert plain.startswith("http://127.0.0.1:")
        assert secure.startswith("https://127.0.0.1:")
        assert unsaid.startswith("https://127.0.0.1:")
        assert ask(("127.0.0.1", port_of(plain)))
        assert ask(("127.0.0.1", port_of(secure)), tls=client)
        assert ask(("127.0.0.1", port_of(unsaid)), tls=client)


async def test_bindings_of_an_embedded_server(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = Server(Config(app=hello, lifespan="off", bind=("127.0.0.1:0", f"unix:{path}")))
    async with server:
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d*", server.addresses[0])
        assert server.addresses[1] == f"unix:{path}"
        assert path.exists()
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    """
    8000 :8000 127.0.0.1 127.0.0.1: 127.0.0.1:http 127.0.0.1:-1 ::1:8000 [::1] [::1:8000 [127.0.0.1]:80
    [nothing]:8000 *:8000 fd:// fd://three fd://-1 ftp://127.0.0.1:21 http:// http://127.0.0.1:8000/
    """.split(),
)
def test_what_is_no_binding_is_told_what_is_one(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^bind: ") as caught:
        Config(app=hello, bind=(text,))
    for form in (repr(text), "HOST:PORT", "[::]:PORT", "unix:/PATH", "fd://N", "https://"):
        assert form in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1:70000", "unix:", "unix:@", "unix:a\0b", "https://127.0.0.1:0"]
)
def test_binding_that_is_impossible_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^bind: "):
        Config(app=hello, bind=("127.0.0.1:0", text))


@pytest.mark.parametrize(
    "bind",
    [
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("0.0.0.0:8000", "127.0.0.1:8000"),
        ("0.0.0.0:8000", "[::]:8000"),
        ("[::]:8000", "[0:0::0]:8000"),
        ("unix:/run/a", "unix:/run/a"),
        ("fd://3", "fd://3"),
    ],
    ids=" ".join,
)
def test_bindings_that_collide_are_refused(bind: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"^bind: .*(is there twice|leave out)"):
        Config(app=hello, bind=bind)


def test_bindings_that_only_look_as_if_they_collide() -> None:
    assert Config(app=hello, bind=("127.0.0.1:0", "127.0.0.1:0", "[::]:8000", "0.0.0.0:8001", "[::1]:8002"))


@pytest.mark.parametrize(
    "settings",
    [
        {"bind": ("127.0.0.1:0",), "uds": "/run/a"},
        {"bind": ("127.0.0.1:0",), "fd": 3},
        {"uds": "/run/a", "fd": 3},
    ],
    ids=" ".join,
)
def test_only_one_setting_says_where_to_listen(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=" and ".join(settings)):
        Config(app=hello, **settings)


def test_empty_host_is_not_all_addresses() -> None:
    """It is a variable that somebody forgot to set."""
    with pytest.raises(ConfigError, match="host"):
        Config(app=hello, host="")


def test_wrong_binding_is_exit_code_2() -> None:
    ended = run_to_end(APPLICATION, "--bind", ":8000")
    assert ended.returncode == 2
    assert "bind: ':8000' is nothing to listen on" in ended.stderr
    assert ended.stderr.count("\n") == 1


# UNIX sockets


@processes
def test_mode_and_owner_of_a_unix_socket(processes: tuple[str, ...], tmp_path: Path) -> None:
    """They hold by the time that somebody can connect."""
    path = tmp_path / "socket"
    root = os.geteuid() == 0
    user, group = (65534, 65533) if root else (os.geteuid(), os.getegid())
    permissions = ["--uds-mode", "620", "--uds-owner", f"{user}:{group}"]
    with Program("program", "--uds", str(path), *permissions, *processes, port=None, ready="") as server:
        with socket.socket(socket.AF_UNIX) as client:

            def connects() -> bool:
                return client.connect_ex(str(path)) == 0

            assert eventually(connects), server.output
            about = path.stat()
        assert stat.S_IMODE(about.st_mode) == 0o620
        assert (about.st_uid, about.st_gid) == (user, group)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(
    ("owner", "wanted"),
    [("nobody", (65534, 0)), ("daemon:daemon", (1, 1)), (":daemon", (0, 1)), ("7", (7, 0))],
)
def test_owner_of_a_unix_socket(owner: str, wanted: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Program("program", "--bind", f"unix:{path}", "--uds-owner", owner):
        assert (path.stat().st_uid, path.stat().st_gid) == wanted


def test_owner_that_may_not_be_set_is_one_line(tmp_path: Path) -> None:
    """As somebody who is not root."""
    if os.geteuid() == 0:
        pytest.skip("root may do everything")
    ended = run_to_end(APPLICATION, "--bind", f"unix:{tmp_path}/socket", "--uds-owner", "root")
    assert ended.returncode == 1
    assert "uds_owner: Operation not permitted" in ended.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["rw-rw----", "66", "888", "0o660", "1777", "-660", " 660"])
def test_wrong_mode_is_refused(mode: str) -> None:
    with pytest.raises(ConfigError, match=r"uds_mode.* 660"):
        Config(app=hello, uds="/run/a", uds_mode=mode)


@pytest.mark.parametrize(
    "owner",
    [":", "root:", "root:root:root", "nobody knows", "root:nobody knows", ":nobody knows", "99999999999"],
)
def test_wrong_owner_is_refused(owner: str) -> None:
    with pytest.raises(ConfigError, match="uds_owner"):
        Config(app=hello, uds="/run/a", uds_owner=owner)


LEAVES = """
import os

async def app(scope, receive, send):
    await receive()
    os.chdir("/")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
"""


def test_relative_path(tmp_path: Path) -> None:
    """Its file is removed even from another directory, where the application may have gone."""
    (tmp_path / "main.py").write_text(LEAVES)
    with Program("main:app", "--bind", "unix:socket", port=None, directory=tmp_path) as server:
        assert (tmp_path / "socket").exists()
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
    assert not (tmp_path / "socket").exists()


@processes
def test_socket_that_another_server_has_put_in_the_place_stays(
    processes: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    with (
        Program("program", "--uds", str(path), *processes, port=None) as server,
        socket.socket(socket.AF_UNIX) as successor,
    ):
        path.unlink()
        successor.bind(str(path))
        successor.listen()
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert path.exists()


def test_unix_socket_of_a_server_that_is_still_starting_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Program("slow_startup", "--uds", str(path), port=None, ready="starting"):
        ended = run_to_end(APPLICATION, "--uds", str(path))
    assert ended.returncode == 1
    assert ended.stderr == f"asgiserve: cannot listen on unix:{path}: Address already in use\n"


def test_unix_socket_of_a_server_with_a_full_queue_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(str(path))
        busy.listen(0)
        client.connect(str(path))
        ended = run_to_end(APPLICATION, "--uds", str(path))
    assert ended.returncode == 1
    assert "in use" in ended.stderr


def test_what_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    """A link is none either, even to the socket of a dead server."""
    dead, link = tmp_path / "dead", tmp_path / "link"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(dead))
    link.symlink_to(dead)
    ended = run_to_end(APPLICATION, "--bind", f"unix:{link}")
    assert ended.returncode == 1
    assert ended.stderr == f"asgiserve: cannot listen on unix:{link}: something is there that is no socket\n"
    assert link.is_symlink()
    assert dead.exists()


@pytest.mark.parametrize("path", ["nowhere/socket", "x" * 200], ids=["no directory", "too long"])
def test_path_that_cannot_be_is_one_line(path: str, tmp_path: Path) -> None:
    ended = run_to_end(APPLICATION, "--bind", f"unix:{path}", directory=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"asgiserve: cannot listen on unix:{path}: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@processes
def test_socket_without_a_file(processes: tuple[str, ...], loop: str) -> None:
    name = f"asgiserve-test-{os.getpid()}-{len(processes)}-{loop}"
    with Program("program", "--bind", f"unix:@{name}", "--loop", loop, *processes) as server:
        assert addresses(server) == [f"unix:@{name}"]
        assert ask(f"\0{name}", socket.AF_UNIX)["server"] == [f"\0{name}", None]


def test_permissions_would_not_protect_a_socket_without_a_file() -> None:
    with pytest.raises(ConfigError, match="uds_mode"):
        Config(app=hello, bind=("unix:@name",), uds_mode="600")


# Queues of their own


def test_workers_share_one_queue() -> None:
    with Program("program", "--workers", "2") as server:
        server.wait_for("listens on", times=2)
        assert queues(port_of(addresses(server)[0])) == 1


def test_with_reuse_port_each_worker_has_a_queue() -> None:
    with Program("program", "--workers", "2", "--reuse-port", "on", "--no-access-log") as server:
        server.wait_for("listens on", times=2)
        assert queues(port_of(addresses(server)[0])) == 2
        assert len(pids(server, 2)) == 2
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


def test_with_reuse_port_the_queue_of_a_worker_that_is_no_longer_wanted_is_served() -> None:
    with Program("program", "--workers", "2", "--reuse-port", "on", "--no-access-log") as server:
        server.wait_for(" serves", times=2)
        server.signal(signal.SIGTTOU)
        server.wait_for("1 worker from now on")
        for _ in range(64):
            assert server.ask().status == 200  # half of them in the queue of the one that goes
        server.wait_for("ended (exit code 0)", times=2)
        assert len({server.json()["pid"] for _ in range(64)}) == 1
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


def test_with_reuse_port_workers_share_what_there_can_be_only_one_of(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        bindings = ["--bind", f"unix:{path}", "--bind", f"fd://{tcp.fileno()}"]
        more = ["--workers", "2", "--reuse-port", "on"]
        with Program("program", *bindings, *more, pass_fds=[tcp.fileno()]) as server:
            server.wait_for("listens on", times=2)
            assert ask(path, socket.AF_UNIX)
            assert ask(tcp.getsockname())
            assert queues(tcp.getsockname()[1]) == 1


# Errors


@processes
def test_port_in_use_is_one_line_and_leaves_nothing_behind(
    processes: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bindings = ["--bind", f"unix:{path}", "--bind", f"127.0.0.1:{port}"]
        ended = run_to_end(APPLICATION, *bindings, *processes)
    assert ended.returncode == 1
    assert ended.stderr == f"asgiserve: cannot listen on 127.0.0.1, port {port}: Address already in use\n"
    assert ended.stdout == ""
    assert not path.exists()


TAKES_THE_PORT = """
import os, socket

taken = socket.socket()
taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

async def app(scope, receive, send):
    await receive()
    taken.bind(("127.0.0.1", int(os.environ["THE_PORT"])))
    taken.listen()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
"""


def test_port_that_is_taken_during_the_startup_is_one_line(tmp_path: Path) -> None:
    """Two servers that are starting can both bind; the second one to listen finds out."""
    (tmp_path / "main.py").write_text(TAKES_THE_PORT)
    port = str(free_port())
    ended = run_to_end("main:app", "--port", port, directory=tmp_path, THE_PORT=port)
    assert ended.returncode == 1
    assert ended.stderr == f"asgiserve: cannot listen on http://127.0.0.1:{port}: Address already in use\n"


async def test_all_is_closed_if_one_fails() -> None:
    """In a program of somebody else's, too."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, free = taken.getsockname()[1], free_port()
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(BindError, match="Address already in use"):
            await Server(Config(app=hello, bind=(f"127.0.0.1:{free}", f"127.0.0.1:{port}"))).serve()
        assert len(os.listdir("/proc/self/fd")) == before
    with socket.create_server(("127.0.0.1", free)):
        pass


@pytest.mark.parametrize("host", ["a..b", "x" * 70], ids=["no label", "long label"])
def test_name_of_no_host_is_one_line(host: str) -> None:
    ended = run_to_end(APPLICATION, "--bind", f"{host}:8000")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"asgiserve: cannot listen on {host}, port 8000: ")
    assert ended.stderr.count("\n") == 1


def test_descriptor_of_a_datagram_socket_is_one_line() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        number = sock.fileno()
        binding = ["--bind", f"fd://{number}"]
        with Program("program", *binding, pass_fds=[number], ready="stream") as server:
            assert server.exit_code() == 1
            reason = "it is no stream socket, such as one of TCP"
            assert server.output == f"asgiserve: cannot listen on file descriptor {number}: {reason}"
