"""Clients that hold a connection without getting on: each kind is ended soon after its deadline.

How late, is asked of the server's own clock, which a busy machine does not hurry: requests that run into
`response_timeout`, one after the other, tell that so much time has passed on it. What is ended, and how the
client learns of it, is in `test_timeouts`; the time of the wall is measured by ``make slowloris``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import select
import socket
import threading
import time
from collections.abc import Iterator

from tests.asgiserve.applications import Receive, Scope, Send, answer, echo, piece, start
from tests.asgiserve.raw import GET, PATIENCE, Client, get, request
from tests.asgiserve.serving import Serve, Serving, serve_on

#: The deadline of every client here, and that of the requests that tell the time.
DEADLINE = 2.0
BEAT = 0.5

#: A beat takes BEAT and one sweep, or a little more. This many are one second over DEADLINE, with one more
#: for what a client has to do before its time begins; twice DEADLINE is not yet over.
BEATS = 5

#: The time in which a body may be slower than `min_body_rate`; and in beats, with a second over it.
GRACE = 5.0
BEATS_OF_GRACE = 9

CHUNKED = request("POST / HTTP/1.1", "Host: test", "Transfer-Encoding: chunked")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """A path that never answers, one that streams for ever; else the body of the request."""
    if scope["path"] == "/stuck":
        await asyncio.Event().wait()
    elif scope["path"] == "/flood":
        await send(start())
        while True:
            await send(piece(b"x" * 65536, more=True))
    elif scope["method"] == "GET":
        await answer(send)
    else:
        await echo(scope, receive, send)


def with_length(body: bytes, *fields: str) -> bytes:
    """A request whose body has begun, and is a million bytes long."""
    return request("POST / HTTP/1.1", "Host: test", "Content-Length: 1000000", *fields) + body


def let_pass(server: Serving, beats: int) -> None:
    """Let time pass on the server's clock."""
    for _ in range(beats):
        assert server.ask(get("/stuck")).status == 503
        server.records.wait("response_timeout")


def is_ended(client: Client) -> bool:
    """Whether the server has closed or reset the connection, whatever came before that was not read."""
    poll = select.poll()
    poll.register(client.socket, select.POLLRDHUP)
    return bool(poll.poll(0))


@contextlib.contextmanager
def dripping(drips: dict[str, tuple[Client, bytes]]) -> Iterator[None]:
    """Send a byte for each client now and then, again and again the same ones."""
    over = threading.Event()

    def drip() -> None:
        endless = {client: itertools.cycle(data) for client, data in drips.values()}
        while not over.wait(0.1):
            for client, data in endless.items():
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client.send(bytes((next(data),)))

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def serve_impatiently(serve: Serve) -> Serving:
    """A server with short deadlines for its clients, and a shorter one for the application."""
    return serve(
        app,
        request_timeout=DEADLINE,
        keep_alive_timeout=DEADLINE,
        write_timeout=DEADLINE,
        response_timeout=BEAT,
    )


def test_slow_clients_are_ended_soon_after_their_deadline(serve_twice: Serve) -> None:
    """Those that are silent at some stage, and those that drip a head: all at once."""
    silent = {
        "before the first byte": b"",
        "in the request line": GET[:5],
        "in the head": GET[:-2],
        "after an empty line": b"\r\n",
        "before the body": with_length(b""),
        "in the body": with_length(b"x" * 1000),
        "before the body, after 100 Continue": with_length(b"", "Expect: 100-continue"),
        "before the first chunk": CHUNKED,
        "in a chunk": CHUNKED + b"5\r\n12",
        "before the trailers": CHUNKED + b"1\r\nx\r\n0\r\n",
        "between requests": GET,
        "in a second head": GET + GET[:-2],
        "in a second body": GET + with_length(b"x"),
    }
    dripped = {
        "a request line": (b"", b"GETGETGET"),
        "empty lines": (b"", b"\r\n"),
        "a head": (GET[:-2], b"X: drip\r\n"),
        "a second head": (GET + GET[:-2], b"X: drip\r\n"),
    }
    with serve_impatiently(serve_twice) as server, contextlib.ExitStack() as stack:
        clients = {name: stack.enter_context(server.connect()) for name in (*silent, *dripped)}
        for name, data in silent.items():
            clients[name].send(data)
        for name, (data, _) in dripped.items():
            clients[name].send(data)
        with dripping({name: (clients[name], data) for name, (_, data) in dripped.items()}):
            let_pass(server, BEATS)
            assert [name for name, client in clients.items() if not is_ended(client)] == []


def test_clients_that_do_not_read_are_ended_soon_after_their_deadline(serve_twice: Serve) -> None:
    with serve_impatiently(serve_twice) as server, server.connect() as usual, server.connect() as small:
        small.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for client in (usual, small):
            client.send(get("/flood"))
        let_pass(server, BEATS)
        assert is_ended(usual)
        assert is_ended(small)


def test_client_that_reads_below_the_least_rate_is_cut(serve_twice: Serve) -> None:
    """It goes on reading, a megabyte a second, but should take five."""
    settings = {"write_timeout": BEAT, "min_body_rate": 5_000_000}
    with serve_twice(app, **settings) as server, server.connect() as client:
        client.send(get("/flood"))
        patience = time.monotonic() + PATIENCE
        while not is_ended(client):
            assert time.monotonic() < patience
            with contextlib.suppress(ConnectionResetError):
                client.socket.recv(20_000)
            server.records.pause(0.02)


def test_bodies_that_drip_are_ended_soon_after_the_grace_of_the_least_rate() -> None:
    """On one parser and one loop alone, because it takes the five seconds of grace."""
    dripped = {
        "a body": (with_length(b""), b"x"),
        "chunks": (CHUNKED, b"1\r\nx\r\n"),
        "a chunk": (CHUNKED + b"fff\r\n", b"x"),
        "the size of a chunk": (CHUNKED, b"0"),
        "an extension": (CHUNKED + b"1;", b"x"),
        "a trailer": (CHUNKED + b"0\r\nX: ", b"x"),
        "trailers": (CHUNKED + b"0\r\n", b"X: a\r\n"),
        "a body behind a request": (GET + with_length(b""), b"x"),
    }
    with serve_impatiently(serve_on("httptools", "uvloop")) as server, contextlib.ExitStack() as stack:
        clients = {name: stack.enter_context(server.connect()) for name in dripped}
        for name, (data, _) in dripped.items():
            clients[name].send(data)
        with dripping({name: (clients[name], data) for name, (_, data) in dripped.items()}):
            let_pass(server, BEATS_OF_GRACE)
            assert [name for name, client in clients.items() if not is_ended(client)] == []
