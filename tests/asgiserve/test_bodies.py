"""Request bodies: how they arrive, what becomes of those that nobody reads, and ``Expect: 100-continue``."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.asgiserve.applications import (
    Receive,
    Scope,
    Send,
    answer,
    echo,
    hello,
    on_http,
    piece,
    read_body,
    start,
)
from tests.asgiserve.raw import GET, GET_AND_CLOSE, chunked, get, post, request
from tests.asgiserve.serving import Serve

SIZES = [1, 1000, 65_535, 65_536, 65_537, 300_000, 3_000_000]


@pytest.mark.parametrize("size", SIZES)
def test_bodies_of_all_sizes_arrive_whole(serve: Serve, size: int) -> None:
    body = random.Random(size).randbytes(size)
    with serve(echo) as server, server.connect() as client:
        client.send(
            post(body) + chunked(body) + chunked(*filter(None, (body[: size // 3], body[size // 3 :])))
        )
        for _ in range(3):
            assert client.response().body == body


def test_body_that_looks_like_framing_is_left_alone(serve: Serve) -> None:
    body = b"0\r\n\r\n" + GET + b"5;a=b\r\nabcde\r\n\r\n"
    with serve(echo) as server, server.connect() as client:
        client.send(post(body) + chunked(body))
        assert [client.response().body for _ in range(2)] == [body, body]


def test_chunks_of_one_byte(serve: Serve) -> None:
    body = b"x" * 5_000
    with serve(echo) as server:
        assert server.ask(chunked(*(body[i : i + 1] for i in range(len(body))))).body == body


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH"])
def test_9110_9_1_any_method_may_have_a_body(serve: Serve, method: str) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        assert await read_body(receive) == b"body"
        await answer(send, b"ok")

    with serve(on_http(handler)) as server, server.connect() as client:
        for _ in range(2):
            client.send(post(b"body").replace(b"POST", method.encode()))
            assert client.response(method).status == 200


def test_unread_body_is_never_parsed_as_a_request(serve: Serve) -> None:
    """A response before the body was read: the rest is thrown away, or the connection is closed."""
    hidden = get("/hidden")
    calls: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(scope["path"])
        await answer(send)

    with serve(app) as server:
        for size in (100, 10_000, 1_000_000):
            with server.connect() as client:
                client.send(request("POST /one HTTP/1.1", "Host: test", f"Content-Length: {size}"))
                first = client.response()
                body = hidden * (size // len(hidden) + 1)
                try:
                    client.send(body[:size] + get("/two"))
                    client.end()
                    after = client.read_all()
                except (ConnectionResetError, BrokenPipeError):
                    after = b""
                assert first.status == 200
                assert after.count(b"HTTP/1.1 200") == (0 if "connection" in first else 1)
    assert "/hidden" not in calls


def test_connection_persists_behind_a_small_unread_body(serve: Serve) -> None:
    with serve(hello) as server, server.connect() as client:
        client.send(post(b"x" * 1000) + chunked(b"x" * 1000) + GET)
        assert [client.response().status for _ in range(3)] == [200, 200, 200]


def test_response_before_a_large_unread_body_arrives_whole(serve: Serve) -> None:
    """Closing at once would make the kernel reset the connection, and the response with it."""
    with serve(hello, max_body_size=0) as server, server.connect() as client:
        client.send(request("POST / HTTP/1.1", "Host: test", "Content-Length: 100000000"))
        client.send(b"x" * 500_000)
        response = client.response()
        assert (response.status, response["connection"]) == (200, "close")
        assert client.closed()


def test_body_is_taken_off_although_the_application_reads_only_a_part(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await receive()
        await answer(send)

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(request("POST / HTTP/1.1", "Host: test", "Content-Length: 6") + b"one")
        assert client.response().status == 200
        client.send(b"two" + GET)
        assert client.response().status == 200


def test_body_is_complete_before_the_application_reads(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        await answer(send, await read_body(receive))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(post(b"x" * 300_000))
        assert len(client.response().body) == 300_000
        client.send(GET_AND_CLOSE)
        assert client.response().status == 200


# 100 Continue: RFC 9110 §10.1.1

EXPECTING = request("POST / HTTP/1.1", "Host: test", "Content-Length: 4", "Expect: 100-continue")


@pytest.mark.parametrize("expectation", ["100-continue", "100-Continue"])
def test_9110_10_1_1_continue_is_sent_when_the_application_first_reads(
    serve: Serve, expectation: str
) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        await answer(send, body)

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(EXPECTING.replace(b"100-continue", expectation.encode()))
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"bo")
        client.send(b"dy")
        assert client.response().body == b"body"
        client.send(GET)
        response = client.response()
        assert (response.status, response.interim) == (200, [])


def test_9110_10_1_1_no_continue_where_the_application_does_not_read(serve: Serve) -> None:
    """A client that was refused may send the body or not: so the connection ends."""

    async def handler(receive: Receive, send: Send) -> None:
        await answer(send, b"no", 403)

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(EXPECTING)
        response = client.response()
        assert (response.status, response.interim, response["connection"]) == (403, [], "close")
        assert client.closed()


def test_9110_10_1_1_no_continue_where_the_body_is_there_already(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        message = await receive()
        await answer(send, message["body"])

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(EXPECTING + b"body")
        response = client.response()
        assert (response.body, response.interim) == (b"body", [])


def test_9110_10_1_1_no_continue_for_http_1_0(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await answer(send, (await receive())["body"])

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(EXPECTING.replace(b"1.1", b"1.0"))
        client.send(b"body")
        response = client.response()
        assert (response.status, response.interim) == (200, [])


def test_9110_10_1_1_no_continue_without_a_body(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await answer(send, (await receive())["body"])

    with serve(on_http(handler)) as server:
        response = server.ask(get("/", "Expect: 100-continue", "Content-Length: 0"))
        assert (response.status, response.interim) == (200, [])


def test_9110_10_1_1_no_continue_after_the_response_began(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        await send(piece(b"one", more=True))
        body = (await receive())["body"]
        await send(piece(body))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(EXPECTING)
        client.read_until(b"one\r\n")
        client.send(b"body")
        assert client.read_until(b"0\r\n\r\n") == b"4\r\nbody\r\n0\r\n\r\n"


@pytest.mark.parametrize("end", [False, True], ids=["open", "half-closed"])
def test_9112_7_1_thousands_of_chunks_that_come_at_once(serve: Serve, end: bool) -> None:
    """They are read in turns of the event loop; and the request behind them comes after them."""
    content = bytes(range(97, 123)) * 400

    async def handler(receive: Receive, send: Send) -> None:
        await answer(send, await read_body(receive))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(chunked(*(content[at : at + 1] for at in range(len(content)))) + GET)
        if end:
            client.end()
        assert client.response().body == content
        assert client.response().body == b""


def test_thousands_of_chunks_for_an_application_that_takes_its_time(serve: Serve) -> None:
    """What waits for it stays below its limit, and nothing is lost."""
    pieces = [b"x" * 1000] * 3000

    async def handler(receive: Receive, send: Send) -> None:
        size = 0
        more = True
        while more:
            await asyncio.sleep(0.01)
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
        await answer(send, str(size).encode())

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(chunked(*pieces))
        assert client.response().body == b"3000000"


def test_thousands_of_chunks_that_nobody_reads(serve: Serve) -> None:
    """The answer comes first; what is left of a short body is thrown away, and the next request answered."""

    async def handler(receive: Receive, send: Send) -> None:
        await answer(send)

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(chunked(*[b"x"] * 5000) + GET)
        for _ in range(2):
            assert client.response().status == 200
