"""`limit_connections`, `limit_concurrency` and `backlog`: held exactly, and nothing is lost behind them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from asgiserve.concurrency import limited
from tests.asgiserve.applications import (
    Message,
    Receive,
    Scope,
    Send,
    answer,
    hello,
    on_http,
    piece,
    read_body,
    start,
)
from tests.asgiserve.program import Program
from tests.asgiserve.raw import (
    GET,
    GET_AND_CLOSE,
    PATIENCE,
    Client,
    Response,
    eventually,
    get,
    post,
    request,
)
from tests.asgiserve.serving import Moment, Serve

#: Clients of a flood, and the requests of each of them.
CLIENTS = 24
REQUESTS = 8


class Queue(NamedTuple):
    """Of a socket that listens: connections that wait to be accepted, and how many of them may."""

    waiting: int
    backlog: int


def queue_of(listener: socket.socket) -> Queue:
    """What the kernel says: for a socket that listens, two fields of struct tcp_info mean something else."""
    information = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return Queue(*struct.unpack_from("=2I", information, 24))


def listening() -> socket.socket:
    """A socket for a server to listen on; its queue can be looked at until the server closes it."""
    return socket.create_server(("127.0.0.1", 0))


def waits(listener: socket.socket, count: int) -> bool:
    """Whether so many connections come to wait to be accepted."""
    return eventually(lambda: queue_of(listener).waiting == count)


def on(listener: socket.socket, *arguments: str) -> Program:
    """The command, serving on this socket."""
    fd = listener.fileno()
    return Program("program", "--fd", str(fd), *arguments, port=None, pass_fds=[fd])


class Crowd:
    """An application that counts how many of its calls run at the same time."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0.002)
            await answer(send)
        finally:
            self.running -= 1


class Gate:
    """An application that holds its requests until the test opens it."""

    def __init__(self) -> None:
        self.held = 0
        self._open: Moment[None] = Moment()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.held += 1
        await self._open
        await answer(send)

    def open(self) -> None:
        self._open.happen(None)

    def holds(self, count: int) -> bool:
        """Whether it comes to hold so many requests."""
        return eventually(lambda: self.held == count)


class Certificate:
    """A file of a certificate for localhost, and a context that trusts it."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        self.file = str(directory / "both.pem")
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(self.file)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Made once: keys take their time."""
    return Certificate(tmp_path_factory.mktemp("tls"))


def flood(ask: Callable[[], int]) -> Counter[int]:
    """Let many clients ask at the same time, again and again; returns how often they got which status."""

    def client() -> list[int]:
        return [ask() for _ in range(REQUESTS)]

    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = [threads.submit(client) for _ in range(CLIENTS)]
        return Counter(status for statuses in answers for status in statuses.result())


def accepted(port: int) -> int:
    """How many connections this process has accepted on a port and not closed."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # no socket, or closed meanwhile
            duplicate = os.dup(int(name))
            try:
                sock = socket.socket(fileno=duplicate)
            except OSError:
                os.close(duplicate)
                continue
            with sock:
                local = sock.getsockname()
                count += local[1:] == (port,) and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    return count


# Connections


def test_further_connections_wait_in_the_kernels_queue_and_come_in_order(serve_twice: Serve) -> None:
    with (
        listening() as listener,
        serve_twice(hello, sockets=[listener], limit_connections=3) as server,
    ):
        clients = [server.connect() for _ in range(10)]
        for client in clients:
            client.send(GET)
        for place, client in enumerate(clients):
            assert client.response().status == 200
            assert waits(listener, max(10 - 3 - place, 0))
            client.close()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_flood_never_has_more_connections_and_nothing_is_lost(
    serve_twice: Serve, certificate: Certificate, tls: bool
) -> None:
    crowd = Crowd()
    most = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal most
        most = max(most, accepted(scope["server"][1]))
        await crowd(scope, receive, send)

    settings: dict[str, Any] = {"ssl_certfile": certificate.file} if tls else {}
    with serve_twice(app, limit_connections=4, **settings) as server:

        def ask() -> int:
            with server.connect(certificate.client if tls else None) as client:
                client.send(GET_AND_CLOSE)
                return client.response().status

        assert flood(ask) == {200: CLIENTS * REQUESTS}
        assert (crowd.most, most) == (4, 4)
        assert all(ask() == 200 for _ in range(10))


def test_each_listener_gets_its_turn(serve_twice: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    servers: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        servers.append(scope["server"])
        await answer(send)

    with (
        listening() as tcp,
        socket.create_server(path, family=socket.AF_UNIX) as unix,
        serve_twice(app, sockets=[tcp, unix], limit_connections=1) as server,
    ):
        first = server.connect()
        first.send(GET)
        assert first.response().status == 200
        crowds = {place: [Client(place) for _ in range(6)] for place in (server.address, path)}
        for clients in crowds.values():
            for client in clients:
                client.send(GET_AND_CLOSE)
        first.close()
        for clients in crowds.values():
            for client in clients:
                assert client.response().status == 200
                client.close()
    assert len(set(servers[1:4])) == 2
    assert len(servers) == 13


def test_handshakes_count_until_they_fail(serve_twice: Serve, certificate: Certificate) -> None:
    with (
        listening() as listener,
        serve_twice(hello, sockets=[listener], limit_connections=2, ssl_certfile=certificate.file) as server,
    ):
        silent, wrong = server.connect(), server.connect()
        assert waits(listener, 0)
        with ThreadPoolExecutor(1) as threads:
            third = threads.submit(server.connect, certificate.client)
            assert waits(listener, 1)
            wrong.send(b"GET / HTTP/1.1\r\n\r\n")
            assert wrong.ended()
            with third.result() as client:
                client.send(GET)
                assert client.response().status == 200
                silent.close()
                wrong.close()
                with server.connect(certificate.client) as fourth:
                    fourth.send(GET)
                    assert fourth.response().status == 200


def test_handshake_does_not_outlive_the_server(serve_twice: Serve, certificate: Certificate) -> None:
    with (
        listening() as listener,
        serve_twice(hello, sockets=[listener], limit_connections=1, ssl_certfile=certificate.file) as server,
    ):
        silent = server.connect()
        waiting = server.connect()
        assert waits(listener, 1)
        server.stop()
        server.stopped()
        assert silent.ended()
        silent.close()
        waiting.close()


def test_server_drains_while_it_is_full(serve_twice: Serve) -> None:
    gate = Gate()
    with serve_twice(gate, limit_connections=2) as server:
        clients = [server.connect() for _ in range(6)]
        for client in clients:
            client.send(GET)
        assert gate.holds(2)
        server.stop()
        for client in clients[2:]:
            assert client.ended()
        gate.open()
        for client in clients[:2]:
            response = client.response()
            assert (response.status, response["connection"]) == (200, "close")
        server.stopped()
        for client in clients:
            client.close()
        assert gate.held == 2


def test_full_worker_leaves_connections_to_the_others() -> None:
    with listening() as listener, on(listener, "--workers", "2", "--limit-connections", "3") as program:
        program.wait_for("listens on", 2)
        clients = [Client(listener.getsockname()) for _ in range(10)]
        for client in clients:
            client.send(GET)
        pids = Counter(_pid(client.response()) for client in clients[:6])
        assert sorted(pids.values()) == [3, 3]
        assert waits(listener, 4)
        for client in clients[:6]:
            client.close()
        for client in clients[6:]:
            assert _pid(client.response()) in pids
            client.close()
        program.signal(signal.SIGTERM)
        assert program.exit_code() == 0


def _pid(response: Response) -> bytes:
    assert response.status == 200
    return response.body.partition(b'"pid": ')[2].partition(b",")[0]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_too_many_open_files_pass(loop: str) -> None:
    """While no file can be opened, connections wait; they are served once that is over."""
    with Program("program", "--limit-connections", "1000", "--loop", loop) as program:
        program.ask()
        pid = program.process.pid
        usual, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, most))  # there are more than that already
        clients = [program.connect() for _ in range(4)]
        for client in clients:
            client.send(GET)
        assert "Too many open files" in program.wait_for("cannot accept on http://127.0.0.1")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (usual, most))
        for client in clients:
            assert client.response().status == 200
            client.close()


@pytest.mark.parametrize(
    "arguments",
    [("--loop", "asyncio"), ("--loop", "uvloop"), ("--limit-connections", "5"), ("--workers", "2")],
    ids="=".join,
)
def test_backlog_is_the_length_of_the_kernels_queue(arguments: tuple[str, str]) -> None:
    with listening() as listener, on(listener, "--backlog", "7", *arguments):
        assert queue_of(listener).backlog == 7


# Requests


def test_request_above_the_limit_is_told_to_come_again(serve_twice: Serve) -> None:
    gate = Gate()
    with serve_twice(gate, limit_concurrency=5) as server:
        clients = [server.connect() for _ in range(8)]
        for place, client in enumerate(clients[:5], 1):
            client.send(GET)
            assert gate.holds(place)
        for client in clients[5:]:
            client.send(GET)
            response = client.response()
            assert response.status == 503
            assert response["retry-after"] == "1"
            assert response.body == b"too many requests are in progress\n"
        gate.open()
        for client in clients[:5]:
            assert client.response().status == 200
        for client in clients:
            client.send(GET)
            assert client.response().status == 200
            client.close()


def test_limit_is_exact_when_all_requests_come_in_one_turn_of_the_event_loop(serve_twice: Serve) -> None:
    gate = Gate()
    blocked: Moment[None] = Moment()
    go_on = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/block":
            blocked.happen(None)
            go_on.wait(PATIENCE)
            await answer(send)
        else:
            await gate(scope, receive, send)

    with serve_twice(app, limit_concurrency=5) as server, ThreadPoolExecutor(20) as threads:
        clients = [server.connect() for _ in range(20)]
        with server.connect() as blocker:
            blocker.send(get("/block"))
            blocked.wait()
            for client in clients:
                client.send(GET)
            go_on.set()
            assert blocker.response().status == 200
        answers = [threads.submit(client.response) for client in clients]
        assert eventually(lambda: sum(response.done() for response in answers) == 15)
        assert gate.held == 5
        gate.open()
        assert Counter(response.result().status for response in answers) == {200: 5, 503: 15}
        for client in clients:
            client.close()


def test_idle_connections_do_not_count(serve_twice: Serve) -> None:
    with serve_twice(hello, limit_concurrency=1) as server:
        clients = [server.connect() for _ in range(10)]
        for _ in range(2):
            for client in clients:
                client.send(GET)
                assert client.response().status == 200
        for client in clients:
            client.close()


def test_stream_counts_until_its_end(serve_twice: Serve) -> None:
    end: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/stream":
            await send(start())
            await send(piece(b"begun", more=True))
            await end
            await send(piece())
        else:
            await answer(send)

    with serve_twice(app, limit_concurrency=1) as server, server.connect() as stream:
        stream.send(get("/stream"))
        stream.read_until(b"begun")
        assert server.ask(GET).status == 503
        end.happen(None)
        stream.read_until(b"0\r\n\r\n")
        assert eventually(lambda: server.ask(GET).status == 200)


def test_flood_never_has_more_requests_in_progress(serve_twice: Serve) -> None:
    crowd = Crowd()
    with serve_twice(crowd, limit_concurrency=4) as server:

        def ask() -> int:
            return server.ask(GET_AND_CLOSE).status

        answers = flood(ask)
        assert answers.total() == CLIENTS * REQUESTS
        assert set(answers) == {200, 503}
        assert crowd.most == 4
        assert all(ask() == 200 for _ in range(10))


@pytest.mark.parametrize(
    ("refused", "method", "kept"),
    [
        (get(), "GET", True),
        (request("HEAD / HTTP/1.1", "Host: test"), "HEAD", True),
        (post(b"x" * 1000), "POST", True),
        (post(b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: 9"), "POST", False),
    ],
    ids=["get", "head", "post", "expect"],
)
def test_connection_goes_on_behind_a_refusal_where_it_can(
    serve_twice: Serve, refused: bytes, method: str, kept: bool
) -> None:
    gate = Gate()
    with (
        serve_twice(gate, limit_concurrency=1) as server,
        server.connect() as one,
        server.connect() as other,
    ):
        one.send(GET)
        assert gate.holds(1)
        other.send(refused)
        response = other.response(method)
        assert (response.status, response.interim) == (503, [])
        assert bool(response.body) is (method != "HEAD")
        gate.open()
        assert one.response().status == 200
        if kept:
            other.send(GET)
            assert other.response().status == 200
        else:
            assert response["connection"] == "close"
            assert other.closed()


def test_request_that_fails_gives_back_its_place(serve_twice: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await read_body(receive)
        raise LookupError("on purpose")

    with serve_twice(on_http(handler), limit_concurrency=1) as server:
        for _ in range(3):
            assert server.ask(GET).status == 500
            server.records.wait("ERROR", "the application raised")
            server.records.lines.clear()


def test_refusals_are_in_the_access_log_and_counted_in_the_other_one(serve_twice: Serve) -> None:
    gate = Gate()
    with serve_twice(gate, limit_concurrency=1) as server, server.connect() as client:
        client.send(GET)
        assert gate.holds(1)
        for _ in range(3):
            assert server.ask(get("/more", "Connection: close")).status == 503
        gate.open()
        assert client.response().status == 200
        server.records.wait("INFO asgiserve.access", '"GET / HTTP/1.1" 200')
        lines = server.records.lines
    assert sum('"GET /more HTTP/1.1" 503' in line for line in lines) == 3
    warnings = [line for line in lines if "limit_concurrency" in line]
    assert warnings == [
        "WARNING asgiserve.error: limit_concurrency is reached: 1 in progress, 1 turned away with 503"
    ]


def test_no_limit_is_no_code() -> None:
    assert limited(hello, 0) is hello


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        ({}, [("websocket.close", None)]),
        (
            {"websocket.http.response": {}},
            [("websocket.http.response.start", 503), ("websocket.http.response.body", None)],
        ),
    ],
    ids=["close", "response"],
)
async def test_websocket_above_the_limit_is_refused(
    extensions: dict[str, Any], expected: list[tuple[str, int | None]]
) -> None:
    sent: list[tuple[str, int | None]] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append((message["type"], message.get("status")))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await crowded({"type": "websocket", "extensions": extensions}, receive, send)

    crowded = limited(app, 1)
    await crowded({"type": "websocket"}, receive, send)
    assert sent == [("websocket.accept", None), *expected]
