"""One connection, several requests: persistence, order, half-closed clients (RFC 9112 §9)."""

from __future__ import annotations

import asyncio
import contextlib
import gc

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
    start,
    target,
)
from tests.asgiserve.raw import GET, GET_AND_CLOSE, chunked, eventually, get, post, request
from tests.asgiserve.serving import Moment, Serve, serve_on

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")


def test_9112_9_3_connection_persists(serve: Serve) -> None:
    with serve(hello) as server, server.connect() as client:
        for _ in range(3):
            client.send(GET)
            response = client.response()
            assert response.status == 200
            assert "connection" not in response


@pytest.mark.parametrize(
    "option", ["close", "Close", "CLOSE", "x-a, close", "close, x-a", "keep-alive, close", ",close ,"]
)
def test_9112_9_6_client_that_asks_for_close_gets_it(serve: Serve, option: str) -> None:
    with serve(hello) as server, server.connect() as client:
        client.send(get("/", f"Connection: {option}"))
        assert client.response()["connection"] == "close"
        assert client.closed()


def test_9110_7_6_1_connection_options_may_stand_in_several_fields(serve: Serve) -> None:
    with serve(hello) as server, server.connect() as client:
        client.send(get("/", "Connection: x-a", "Connection: close"))
        assert client.response()["connection"] == "close"
        assert client.closed()


@pytest.mark.parametrize("option", ["x-close", "closed", "keep-alive", "x-a", ""])
def test_9110_7_6_1_other_options_do_not_close(serve: Serve, option: str) -> None:
    with serve(hello) as server, server.connect() as client:
        for _ in range(2):
            client.send(get("/", f"Connection: {option}"))
            assert "connection" not in client.response()


def test_9112_9_6_nothing_behind_a_request_that_closes_is_answered(serve: Serve) -> None:
    with serve(target) as server, server.connect() as client:
        client.send(get("/one", "Connection: close") + get("/two"))
        assert client.response().body == b"/one "
        assert client.closed()


def test_9112_9_6_application_may_close(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await answer(send, b"ok", 200, [(b"connection", b"close")])

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        assert client.response()["connection"] == "close"
        assert client.closed()


def test_9112_9_3_http_1_0_closes_by_default(serve: Serve) -> None:
    with serve(hello) as server, server.connect() as client:
        client.send(request("GET / HTTP/1.0"))
        response = client.response()
        assert (response.body, response["connection"]) == (b"ok", "close")
        assert client.closed()


@pytest.mark.parametrize("option", ["keep-alive", "Keep-Alive"])
def test_9112_9_3_http_1_0_persists_on_request(serve: Serve, option: str) -> None:
    with serve(hello) as server, server.connect() as client:
        for _ in range(3):
            client.send(request("GET / HTTP/1.0", f"Connection: {option}"))
            response = client.response()
            assert (response.body, response["connection"]) == (b"ok", "keep-alive")


def test_http_1_0_stream_ends_with_the_connection(serve: Serve) -> None:
    """HTTP/1.0 never gets chunks; where the length is unknown, the connection cannot persist."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        for part in (b"one", b"two"):
            await send(piece(part, more=True))
        await send(piece())

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(request("GET / HTTP/1.0", "Connection: keep-alive"))
        response = client.response()
        assert (response.body, response["connection"]) == (b"onetwo", "close")
        assert "transfer-encoding" not in response
        assert client.closed()


def test_http_1_0_with_a_declared_length_persists(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [(b"content-length", b"6")]))
        await send(piece(b"one", more=True))
        await send(piece(b"two"))

    with serve(on_http(handler)) as server, server.connect() as client:
        for _ in range(2):
            client.send(request("GET / HTTP/1.0", "Connection: keep-alive"))
            response = client.response()
            assert (response.body, response["connection"]) == (b"onetwo", "keep-alive")


def test_9112_9_3_2_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    """The first ones take the longest."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(20 - int(scope["path"][1:])):
            await asyncio.sleep(0)
        await target(scope, receive, send)

    with serve(app) as server, server.connect() as client:
        client.send(b"".join(get(f"/{number}") for number in range(20)))
        assert [client.response().body for _ in range(20)] == [b"/%d " % number for number in range(20)]


def test_9112_9_3_2_pipelined_requests_with_bodies_in_between(serve: Serve) -> None:
    data = [
        post(b"one", target="/1"),
        chunked(b"two", b"three", target="/2"),
        get("/3"),
        chunked(target="/4"),
        post(b"", target="/5"),
        post(GET, target="/6"),
        get("/7"),
    ]
    answers = [b"/1 one", b"/2 twothree", b"/3 ", b"/4 ", b"/5 ", b"/6 " + GET, b"/7 "]
    with serve(target) as server:
        with server.connect() as client:
            client.send(b"".join(data))
            assert [client.response().body for _ in data] == answers
        with server.connect() as client:
            for byte in b"".join(data):
                client.send(bytes([byte]))
            assert [client.response().body for _ in data] == answers


def test_9112_9_3_2_one_request_at_a_time(serve: Serve) -> None:
    """The second request of a connection does not begin before the first response is complete."""
    began: list[str] = []
    release: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        began.append(scope["path"])
        if scope["path"] == "/one":
            await release
            assert began == ["/one"]
        await answer(send)

    with serve(app) as server, server.connect() as client:
        client.send(get("/one") + get("/two"))
        assert server.ask(get("/other-connection")).status == 200
        began.remove("/other-connection")
        release.happen(None)
        assert [client.response().status for _ in range(2)] == [200, 200]
    assert began == ["/one", "/two"]


def test_9112_9_3_2_answer_does_not_wait_for_the_application_of_the_next_request(serve: Serve) -> None:
    """Answers that are there at once leave together; but none is kept for one that takes its time."""
    release: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/late":
            await release
        await target(scope, receive, send)

    with serve(app) as server, server.connect() as client:
        client.send(get("/one") + get("/two") + get("/late") + get("/three"))
        assert [client.response().body for _ in range(2)] == [b"/one ", b"/two "]
        release.happen(None)
        assert [client.response().body for _ in range(2)] == [b"/late ", b"/three "]


def test_9112_9_3_2_interim_response_comes_behind_the_answer_before_it(serve: Serve) -> None:
    body = post(b"body", "Expect: 100-continue", target="/two")
    head = body.removesuffix(b"body")
    with serve(target) as server, server.connect() as client:
        client.send(get("/one") + head)
        assert client.response().body == b"/one "
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"body")
        assert client.response().body == b"/two body"


def test_9112_9_3_2_large_answers_between_small_ones(serve: Serve) -> None:
    sizes = [13, 70_000, 0, 40_000, 40_000, 1, 300_000, 13]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"x" * int(scope["path"][1:]))

    with serve(app) as server, server.connect() as client:
        client.send(b"".join(get(f"/{size}") for size in sizes))
        assert [len(client.response().body) for _ in sizes] == sizes


def test_valid_request_before_garbage_is_answered(serve: Serve) -> None:
    with serve(target) as server, server.connect() as client:
        client.send(get("/one") + get("/two") + b"\x00garbage\r\n\r\n" + get("/three"))
        assert [client.response().body for _ in range(2)] == [b"/one ", b"/two "]
        assert client.response().status == 400
        assert client.closed()


def test_9112_9_6_half_closed_client_is_answered(serve: Serve) -> None:
    with serve(target) as server, server.connect() as client:
        client.send(post(b"body"))
        client.end()
        assert client.response().body == b"/ body"
        assert client.closed()


def test_9112_9_6_half_closed_client_is_answered_late(serve: Serve) -> None:
    ended: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await ended
        await asyncio.sleep(0.05)  # the end of the input has certainly been seen
        await send(start())
        await send(piece(b"one", more=True))
        await asyncio.sleep(0)
        await send(piece(b"two"))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        client.end()
        ended.happen(None)
        assert client.response().body == b"onetwo"
        assert client.closed()


def test_9112_9_6_half_closed_client_gets_all_pipelined_answers(serve: Serve) -> None:
    with serve(target) as server, server.connect() as client:
        client.send(get("/one") + post(b"body", target="/two") + get("/three"))
        client.end()
        assert [client.response().body for _ in range(3)] == [b"/one ", b"/two body", b"/three "]
        assert client.closed()


def test_9112_9_6_half_closed_client_gets_pipelined_answers_that_take_time(serve: Serve) -> None:
    ended: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/0":
            await ended
            await asyncio.sleep(0.05)  # the end of the input has certainly been seen
        await target(scope, receive, send)

    with serve(app) as server, server.connect() as client:
        client.send(b"".join(get(f"/{number}") for number in range(5)))
        client.end()
        ended.happen(None)
        assert [client.response().body for _ in range(5)] == [b"/%d " % number for number in range(5)]
        assert client.closed()


def test_9112_9_6_half_closed_client_whose_last_body_is_not_complete(serve: Serve) -> None:
    """It is told so when it is its turn, not after the time that a body may take."""
    ended: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/0":
            await ended
            await asyncio.sleep(0.05)  # the end of the input has certainly been seen
            await answer(send)
        else:
            while (await receive())["type"] != "http.disconnect":
                pass

    with serve(app) as server, server.connect() as client:
        client.send(get("/0") + post(b"body", target="/1")[:-1])
        client.end()
        ended.happen(None)
        assert client.response().body == b"ok"
        response = client.response()
        assert (response.status, response.body) == (400, b"the request body ended early\n")
        assert client.closed()


async def listening(receive: Receive, send: Send, seen: Moment[None] | None = None) -> None:
    """Stream, and stop once `receive` says that the client has left, as many frameworks do."""

    async def stream() -> None:
        await send(start())
        for number in range(4):
            await send(piece(b"%d" % number, more=True))
            if seen is not None:
                await seen
            await asyncio.sleep(0.1)  # work that takes longer than the first looks after the client
        await send(piece(b"end"))

    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.create_task(stream()), asyncio.create_task(listen())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_9112_9_6_half_closed_client_gets_the_whole_stream_of_an_application_that_listens(
    serve_twice: Serve,
) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await listening(receive, send)

    with serve_twice(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        client.end()
        assert client.response().body == b"0123end"
        assert client.closed()


def test_9112_9_6_client_that_half_closes_within_a_stream_gets_the_rest(serve_twice: Serve) -> None:
    ended: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await listening(receive, send, ended)

    with serve_twice(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        head = client.read_until(b"\r\n\r\n1\r\n0\r\n")
        client.end()
        ended.happen(None)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert client.read_all() == b"1\r\n1\r\n1\r\n2\r\n1\r\n3\r\n3\r\nend\r\n0\r\n\r\n"


def test_9112_9_6_half_closed_client_gets_a_late_response_of_an_application_that_listens(
    serve_twice: Serve,
) -> None:
    """The client is looked after by an interim response, and another one follows."""

    async def handler(receive: Receive, send: Send) -> None:
        await receive()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.5)
        await answer(send, b"late")

    with serve_twice(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        client.end()
        assert client.response().body == b"late"
        assert client.closed()


def test_application_that_listens_is_told_when_the_client_has_closed(serve: Serve) -> None:
    """A client that closes looks like one that half-closes, until something is written to it."""
    began: Moment[None] = Moment()
    told: Moment[str] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await receive()
        began.happen(None)
        told.happen((await receive())["type"])

    with serve(on_http(handler)) as server:
        with server.connect() as client:
            client.send(GET)
            began.wait()
        assert told.wait() == "http.disconnect"


def test_silent_stream_that_listens_is_told_when_the_client_has_closed() -> None:
    """Nothing is written to it, so that it takes two seconds: on both loops at once."""
    told: list[Moment[str]] = []

    async def handler(receive: Receive, send: Send) -> None:
        moment: Moment[str] = Moment()
        told.append(moment)
        await receive()
        await send(start())
        await send(piece(b"one", more=True))
        moment.happen((await receive())["type"])

    with (
        serve_on("httptools", "uvloop")(on_http(handler)) as one,
        serve_on("h11", "asyncio")(on_http(handler)) as other,
    ):
        for server in (one, other):
            with server.connect() as client:
                client.send(GET)
                client.read_until(b"one\r\n")  # what is unread would make a reset of the close
        assert [moment.wait() for moment in told] == ["http.disconnect"] * 2


def test_half_closed_client_without_a_request_is_closed(serve: Serve) -> None:
    with serve(hello) as server:
        for data in (b"", b"GET / HT", GET[:-2]):
            with server.connect() as client:
                client.send(data)
                client.end()
                assert client.ended()
        with server.connect() as client:
            client.send(GET)
            client.response()
            client.end()
            assert client.closed()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_9110_7_8_body_of_an_upgrade_that_is_not_taken(serve: Serve, framing: str) -> None:
    """A parser that stops at Upgrade loses the body, and the next request with it."""
    with serve(target) as server, server.connect() as client:
        if framing == "length":
            client.send(post(b"body", *UPGRADE, target="/one"))
        else:
            client.send(chunked(b"body", target="/one", fields=UPGRADE))
        client.send(get("/two", "Connection: Upgrade", "Upgrade: example/2") + get("/three"))
        assert [client.response().body for _ in range(3)] == [b"/one body", b"/two ", b"/three "]


def test_9110_7_8_upgrade_in_http_1_0_is_ignored(serve: Serve) -> None:
    with serve(hello) as server, server.connect() as client:
        client.send(request("GET / HTTP/1.0", "Host: test", *UPGRADE))
        assert client.response().status == 200
        assert client.closed()


@pytest.mark.parametrize("http", ["1.0", "1.1"])
def test_client_that_comes_and_goes_leaves_nothing(serve: Serve, http: str) -> None:
    with serve(hello) as server:
        for leave in ("close", "reset"):
            for data in (b"", b"GET / HT", request(f"GET / HTTP/{http}", "Host: test")):
                client = server.connect()
                client.send(data)
                getattr(client, leave)()
        assert server.ask(GET).status == 200


def test_flood_of_pipelined_requests_leaves_others_their_turns(serve: Serve) -> None:
    """However many have come in one packet, the event loop has turns between them."""
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asyncio.get_running_loop().call_soon(turn)
        await answer(send, b"%d" % turns)

    with serve(app, access_log=False) as server, server.connect() as client:
        client.send(GET * 100)
        had = [int(client.response().body) for _ in range(100)]
    assert had[-1] >= 10, had


def connections_alive() -> int:
    """How many connections of servers are in memory, closed ones as well."""
    names = [f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in gc.get_objects()]
    return sum(name.startswith("asgiserve.") and name.endswith(".Connection") for name in names)


def test_closed_connection_is_freed_without_the_garbage_collector(serve_twice: Serve) -> None:
    with serve_twice(echo) as server:
        gc.collect()
        gc.disable()
        try:
            before = connections_alive()
            for data in (
                b"",
                b"GET / HT",
                GET,
                GET_AND_CLOSE,
                post(b"body"),
                post(b"body")[:-1],
            ):
                for leave in ("close", "reset"):
                    client = server.connect()
                    client.send(data)
                    client.socket.settimeout(0.01)  # whatever it answers, if it does
                    with contextlib.suppress(TimeoutError):
                        client.read()
                    getattr(client, leave)()
            assert eventually(lambda: connections_alive() <= before)
        finally:
            gc.enable()


def test_flood_of_pipelined_requests_that_nobody_reads_stops_being_read(serve_twice: Serve) -> None:
    """The server does not collect requests, nor answers, for a client that does not read."""
    big = b"x" * 10_000

    async def handler(receive: Receive, send: Send) -> None:
        await answer(send, big)

    with serve_twice(on_http(handler)) as server, server.connect() as client:
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.send(GET * 2_000_000)
