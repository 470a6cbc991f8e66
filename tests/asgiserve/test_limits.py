"""Limits on what a client may send: 414, 431 and 413, counted while it comes, and 0 for none.

Each limit is tried at its edge, and with a client that would never come to an end.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.asgiserve.applications import Message, Receive, Scope, Send, answer, echo, hello, on_http
from tests.asgiserve.raw import GET, PATIENCE, Client, chunked, get, post, request
from tests.asgiserve.serving import Moment, Serve, Serving, serve_on

POST_CHUNKED = request("POST / HTTP/1.1", "Host: test", "Transfer-Encoding: chunked")


def refused(client: Client, status: int) -> None:
    """The client is answered `status`, and the connection is closed."""
    response = client.response()
    assert (response.status, response["connection"]) == (status, "close")
    assert client.ended()


def ask(server: Serving, data: bytes) -> int:
    """The status that is answered to `data`."""
    return server.ask(data).status


def without_end(client: Client, first: bytes, endless: bytes) -> None:
    """Send `first`, and then `endless` for ever, until the server has had enough."""
    client.send(first)
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            client.send(endless)
    except (BrokenPipeError, ConnectionResetError):
        return
    raise AssertionError("the server takes everything")


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("a refused request has reached the application")


def line_of(length: int) -> bytes:
    """A request whose first line is that long, without its CRLF."""
    return get("/" + "a" * (length - len("GET / HTTP/1.1")))


def test_max_request_line(serve: Serve) -> None:
    with serve(hello, max_request_line=100) as server:
        assert ask(server, line_of(100)) == 200
        assert ask(server, line_of(101)) == 414
        assert ask(server, line_of(5000)) == 414


def test_max_request_line_is_8_kib(serve: Serve) -> None:
    with serve(hello) as server:
        assert ask(server, line_of(8192)) == 200
        assert ask(server, line_of(8193)) == 414


@pytest.mark.parametrize("first", [b"GET /", b"G", b"GET /?"], ids=["path", "method", "query"])
def test_request_line_without_end(serve: Serve, first: bytes) -> None:
    """It is refused before it is complete, for it never will be."""
    with serve(never) as server, server.connect() as client:
        client.send(first + b"A" * 20_000)
        assert client.response().status in (400, 414, 501)
        assert client.ended()


def test_max_header_size(serve: Serve) -> None:
    with serve(hello, max_header_size=100) as server:
        assert ask(server, get("/", "X: " + "a" * 97)) == 200
        assert ask(server, get("/", "X: " + "a" * 98)) == 431
        assert ask(server, get("/", "X" * 200 + ": a")) == 431


def test_max_header_size_is_8_kib(serve: Serve) -> None:
    with serve(hello) as server:
        assert ask(server, get("/", "X: " + "a" * 8189)) == 200
        assert ask(server, get("/", "X: " + "a" * 8190)) == 431


@pytest.mark.parametrize("endless", [b"a" * 10_000, b"X: " + b"a" * 9_000 + b"\r\n", b"X: a\r\n" * 1000])
def test_headers_without_end(serve: Serve, endless: bytes) -> None:
    with serve(never) as server, server.connect() as client:
        client.send(GET[:-2] + endless * 12)
        refused(client, 431)


def test_max_headers_size(serve: Serve) -> None:
    with serve(hello, max_headers_size=1000) as server:
        assert ask(server, get("/", *["X: " + "a" * 80] * 10)) == 200
        assert ask(server, get("/", *["X: " + "a" * 80] * 13)) == 431


def test_max_headers_size_is_64_kib(serve: Serve) -> None:
    with serve(hello) as server:
        assert ask(server, get("/", *["X: " + "a" * 990] * 64)) == 200
        assert ask(server, get("/", *["X: " + "a" * 1990] * 33)) == 431


def test_max_headers(serve: Serve) -> None:
    with serve(hello, max_headers=10) as server:
        assert ask(server, get("/", *["X: a"] * 9)) == 200  # and Host
        assert ask(server, get("/", *["X: a"] * 10)) == 431


def test_max_headers_is_100(serve: Serve) -> None:
    with serve(hello) as server:
        assert ask(server, get("/", *["X: a"] * 99)) == 200
        assert ask(server, get("/", *["X: a"] * 100)) == 431


def test_max_body_size_of_a_declared_length(serve: Serve) -> None:
    with serve(echo, max_body_size=1000) as server:
        assert ask(server, post(b"x" * 1000)) == 200
        with server.connect() as client:
            client.send(request("POST / HTTP/1.1", "Host: test", "Content-Length: 1001"))
            refused(client, 413)


def test_max_body_size_refuses_before_the_application_is_called(serve: Serve) -> None:
    with serve(never, max_body_size=1000) as server, server.connect() as client:
        client.send(request("POST / HTTP/1.1", "Host: test", "Content-Length: 1001") + b"x" * 1001)
        refused(client, 413)


def test_max_body_size_refuses_instead_of_100_continue(serve: Serve) -> None:
    with serve(never, max_body_size=1000) as server, server.connect() as client:
        client.send(request("POST / HTTP/1.1", "Host: test", "Content-Length: 1001", "Expect: 100-continue"))
        response = client.response()
        assert (response.status, response.interim) == (413, [])
        assert client.ended()


def test_max_body_size_of_chunks(serve: Serve) -> None:
    """Counted as they come: the application has seen the first ones, and is told that there is no end."""
    began: Moment[None] = Moment()
    told: Moment[Message] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        size = 0
        message = await receive()
        began.happen(None)
        while message["type"] == "http.request":
            assert message["more_body"]
            size += len(message["body"])
            assert size <= 1000
            message = await receive()
        told.happen(message)

    with serve(echo, max_body_size=1000) as server:
        assert ask(server, chunked(b"x" * 500, b"y" * 500)) == 200
    with serve(on_http(handler), max_body_size=1000) as server, server.connect() as client:
        client.send(POST_CHUNKED + b"1f4\r\n" + b"x" * 500 + b"\r\n")
        began.wait()
        client.send(b"1f5\r\n" + b"y" * 501 + b"\r\n0\r\n\r\n")
        refused(client, 413)
        assert told.wait() == {"type": "http.disconnect"}


def test_max_body_size_of_one_chunk_is_counted_before_it_comes(serve: Serve) -> None:
    with serve(echo, max_body_size=1000) as server, server.connect() as client:
        client.send(POST_CHUNKED + b"fffffff\r\n")
        refused(client, 413)


def test_max_body_size_is_100_mb(serve: Serve) -> None:
    with serve(echo) as server:
        for size, status in ((100_000_001, 413), (10**17, 413)):
            with server.connect() as client:
                client.send(request("POST / HTTP/1.1", "Host: test", f"Content-Length: {size}"))
                refused(client, status)


@pytest.mark.parametrize(
    ("first", "endless", "status"),
    [
        (POST_CHUNKED + b"5;", b"a" * 10_000, 413),
        (POST_CHUNKED, b"1;" + b"a" * 1000 + b"\r\nx\r\n", 413),
        (POST_CHUNKED, b"0" * 10_000, 413),
        (POST_CHUNKED + b"0\r\nX: ", b"a" * 10_000, 431),
        (POST_CHUNKED + b"0\r\n", b"X: a\r\n" * 1000, 431),
    ],
    ids=["one-extension", "an-extension-per-chunk", "digits-of-a-size", "one-trailer", "trailers"],
)
def test_framing_without_end(serve: Serve, first: bytes, endless: bytes, status: int) -> None:
    """What can be made large without sending content is limited too."""
    with serve(echo) as server, server.connect() as client:
        client.send(first + endless * (200_000 // len(endless)))
        refused(client, status)


def test_client_without_end_is_not_listened_to_for_ever() -> None:
    """What follows a refusal is thrown away for a while, so that the refusal arrives; then it is cut."""
    endless = [
        (b"GET /", b"A" * 10_000),
        (GET[:-2], b"X: a\r\n" * 1000),
        (POST_CHUNKED + b"5;", b"a" * 10_000),
        (b"", b"\r\n" * 10_000),
    ]
    with serve_on("httptools", "uvloop")(echo, request_timeout=1) as server:
        clients = [server.connect() for _ in endless]
        with ThreadPoolExecutor(len(endless)) as pool:
            # Consumed, so that an error in one of them is raised here.
            list(pool.map(lambda client, data: without_end(client, *data), clients, endless))
        for client in clients:
            client.close()


def test_0_turns_a_limit_off(serve: Serve) -> None:
    names = ("max_request_line", "max_header_size", "max_headers_size", "max_headers", "max_body_size")
    big = "a" * 100_000
    with serve(hello, **dict.fromkeys(names, 0)) as server:
        assert ask(server, get("/" + big, "X: " + big, *["Y: a"] * 1000)) == 200
        assert ask(server, request("POST / HTTP/1.1", "Host: test", f"Content-Length: {10**12}")) == 200


@pytest.mark.parametrize("end", [b"\r\n", b"X-A: b\r\nX-C: d\r\n\r\n"], ids=["no-trailers", "trailers"])
def test_0_turns_the_limit_of_trailers_off(serve: Serve, end: bytes) -> None:
    """Wherever the end of the body is divided between two packets."""
    pieces: list[Moment[None]] = []

    async def handler(receive: Receive, send: Send) -> None:
        body: bytes = b""
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
            if body and more:
                pieces[-1].happen(None)
        await answer(send, body)

    with serve(on_http(handler), max_headers_size=0) as server, server.connect() as client:
        for size in range(len(end)):
            pieces.append(Moment())
            client.send(POST_CHUNKED + b"3\r\nabc\r\n0\r\n" + end[:size])
            pieces[-1].wait()  # the first packet has been read
            client.send(end[size:])
            assert client.response().body == b"abc"


REFUSED = {
    413: request("POST / HTTP/1.1", "Host: test", "Content-Length: 200000000"),
    414: b"POST /" + b"a" * 10_000,
    417: request("POST / HTTP/1.1", "Host: test", "Content-Length: 5", "Expect: 200-ok"),
    431: request("POST / HTTP/1.1", "Host: test", "X: " + "a" * 10_000),
    501: request("POST / HTTP/1.1", "Host: test", "Transfer-Encoding: gzip"),
}


@pytest.mark.parametrize("status", REFUSED)
def test_client_that_is_refused_is_not_reset_while_it_goes_on(serve: Serve, status: int) -> None:
    """A reset could overtake the response, so that the client would never learn why."""
    with serve(echo) as server, server.connect() as client:
        client.send(REFUSED[status] + b"x" * 100_000)
        assert client.response().status == status
        for _ in range(3):
            client.send(b"x" * 100_000)
        assert client.closed()
        for _ in range(3):
            client.send(b"x" * 100_000)


def test_limits_of_one_request_are_not_those_of_all(serve: Serve) -> None:
    """What is counted begins anew with each request of a connection."""
    limits = {"max_body_size": 1000, "max_headers": 5, "max_headers_size": 200}
    with serve(echo, **limits) as server, server.connect() as client:
        for _ in range(20):
            client.send(chunked(b"x" * 600) + post(b"y" * 600))
            assert len(client.response().body) == 600
            assert len(client.response().body) == 600


def test_pipelined_requests_may_be_more_than_a_head_may_be(serve: Serve) -> None:
    """The limits hold for each request, not for what happens to come with it."""
    limits = {"max_request_line": 100, "max_header_size": 100, "max_headers_size": 200}
    with serve(hello, **limits) as server, server.connect() as client:
        client.send(GET * 500)
        for _ in range(500):
            assert client.response().status == 200
