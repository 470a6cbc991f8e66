"""What passes through `receive` and `send`: ASGI HTTP 2.5 (E1 to E18)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from asgiserve import ClientDisconnected
from tests.asgiserve.applications import (
    Message,
    Receive,
    Scope,
    Send,
    answer,
    on_http,
    piece,
    read_body,
    start,
)
from tests.asgiserve.raw import GET, GET_AND_CLOSE, chunked, get, post, request
from tests.asgiserve.serving import Moment, Serve

DISCONNECT = {"type": "http.disconnect"}


@pytest.mark.parametrize(
    "data", [GET, post(b""), chunked(), request("GET / HTTP/1.0")], ids=["get", "length-0", "chunked", "1.0"]
)
def test_E1_first_event_of_a_request_without_body(serve: Serve, data: bytes) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        message = await receive()
        assert message["type"] == "http.request"
        assert message.get("body", b"") == b""
        assert message.get("more_body", False) is False
        await answer(send)

    with serve(on_http(handler)) as server:
        assert server.ask(data).status == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_E2_bodies_of_the_events_make_the_body(serve: Serve, framing: str) -> None:
    body = bytes(range(256)) * 1000
    messages: list[Message] = []

    async def handler(receive: Receive, send: Send) -> None:
        while not messages or messages[-1]["more_body"]:
            messages.append(await receive())
        await answer(send)

    data = post(body) if framing == "length" else chunked(body[:1], body[1:70_000], body[70_000:])
    with serve(on_http(handler)) as server:
        assert server.ask(data).status == 200
    assert b"".join(message["body"] for message in messages) == body
    assert [message["more_body"] for message in messages] == [True] * (len(messages) - 1) + [False]


def test_E2_body_is_delivered_while_it_comes(serve: Serve) -> None:
    first: Moment[bytes] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        message = await receive()
        assert message["more_body"] is True
        first.happen(message["body"])
        await answer(send, await read_body(receive))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(request("POST / HTTP/1.1", "Host: test", "Content-Length: 6") + b"one")
        assert first.wait() == b"one"
        client.send(b"two")
        assert client.response().body == b"two"


def test_E3_receive_after_the_body_waits_for_the_end_of_the_response(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await receive()
        waiting = asyncio.ensure_future(receive())
        await send(start())
        await send(piece(b"one", more=True))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        await send(piece(b"two"))
        assert await waiting == DISCONNECT

    with serve(on_http(handler)) as server:
        assert server.ask(GET).body == b"onetwo"


def test_E3_receive_after_the_body_waits_until_the_client_leaves(serve: Serve) -> None:
    asked: Moment[None] = Moment()
    told: Moment[Message] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await receive()
        asked.happen(None)
        told.happen(await receive())

    with serve(on_http(handler)) as server:
        with server.connect() as client:
            client.send(GET)
            asked.wait()
            assert not told.happened
        assert told.wait() == DISCONNECT


def test_E4_receive_after_the_response_gives_disconnect_every_time(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await answer(send)
        for _ in range(3):
            assert await receive() == DISCONNECT

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET + post(b"never asked for") + GET)
        assert [client.response().status for _ in range(3)] == [200, 200, 200]


def test_E4_receive_after_the_client_left_gives_disconnect_every_time(serve: Serve) -> None:
    told: Moment[list[Message]] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await receive()
        told.happen([await receive() for _ in range(3)])

    with serve(on_http(handler)) as server:
        with server.connect() as client:
            client.send(GET)
        assert told.wait() == [DISCONNECT] * 3


@pytest.mark.parametrize("leave", ["close", "reset", "end"])
@pytest.mark.parametrize("framing", ["Content-Length: 10", "Transfer-Encoding: chunked"])
def test_E5_client_that_leaves_within_the_body(serve: Serve, leave: str, framing: str) -> None:
    first: Moment[None] = Moment()
    told: Moment[list[Message]] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        messages = [await receive()]
        first.happen(None)
        while messages[-1]["type"] == "http.request":
            messages.append(await receive())
        told.happen(messages)

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(request("POST / HTTP/1.1", "Host: test", framing))
        client.send(b"3\r\nabc\r\n" if "chunked" in framing else b"abc")
        first.wait()
        getattr(client, leave)()
        messages = told.wait()
        assert messages[-1] == DISCONNECT
        assert all(message["more_body"] for message in messages[:-1])


def headers_of_every_kind() -> Iterator[Any]:
    yield [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")]
    yield ((b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3"))
    yield [[b"x-a", b"1"], [b"x-b", b"2"], [b"x-a", b"3"]]
    yield (pair for pair in [(b"x-a", b"1"), [b"x-b", b"2"], (b"x-a", b"3")])
    yield iter([(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")])


def test_E6_headers_are_any_iterable_of_pairs_and_keep_their_order(serve: Serve) -> None:
    kinds = headers_of_every_kind()

    async def handler(receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": next(kinds)})
        await send(piece())

    with serve(on_http(handler)) as server, server.connect() as client:
        for _ in headers_of_every_kind():
            client.send(GET)
            headers = client.response().headers
            assert [pair for pair in headers if pair[0].startswith(b"x-")] == [
                (b"x-a", b"1"),
                (b"x-b", b"2"),
                (b"x-a", b"3"),
            ]


def test_E6_headers_are_optional(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    with serve(on_http(handler)) as server:
        assert server.ask(GET).status == 204


def test_E6_pseudo_headers_are_rejected(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        with pytest.raises(ValueError, match=":status"):
            await send(start(200, [(b":status", b"200")]))
        await answer(send)

    with serve(on_http(handler)) as server:
        assert server.ask(GET).status == 200


def test_E6_upper_case_names_are_accepted(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await answer(send, b"ok", 200, [(b"X-Upper", b"1"), (b"CONTENT-LENGTH", b"2")])

    with serve(on_http(handler)) as server:
        response = server.ask(GET)
    assert (response["x-upper"], response["content-length"]) == ("1", "2")


def test_E7_return_without_a_start_is_a_500(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        return

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        response = client.response()
        assert (response.status, response["connection"]) == (500, "close")
        assert client.closed()
        server.records.wait("GET '/'", "without a complete response")


def test_E7_return_after_the_start_alone_is_a_500(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [(b"x-leak", b"1")]))

    with serve(on_http(handler)) as server:
        response = server.ask(GET)
        assert response.status == 500
        assert "x-leak" not in response
        server.records.wait("without a complete response")


def test_E8_crash_between_start_and_body_is_a_500(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [(b"x-leak", b"1")]))
        raise ZeroDivisionError

    with serve(on_http(handler)) as server:
        response = server.ask(GET)
        assert response.status == 500
        assert "x-leak" not in response
        server.records.wait("ZeroDivisionError")


def test_E8_head_does_not_wait_for_ever_for_a_body(serve: Serve) -> None:
    """A client of an event stream wants to know that it is connected before the first event."""
    seen: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [(b"x-early", b"1")]))
        await seen
        await send(piece(b"late"))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        head = client.read_until(b"\r\n\r\n")
        assert b"x-early: 1" in head
        seen.happen(None)
        assert client.read_until(b"0\r\n\r\n") == b"4\r\nlate\r\n0\r\n\r\n"


def test_E9_response_may_start_before_the_body_was_read(serve: Serve) -> None:
    """Bytes go back and forth while both bodies are open."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send(piece(message["body"].upper(), more=more))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(request("POST / HTTP/1.1", "Host: test", "Transfer-Encoding: chunked"))
        client.send(b"3\r\none\r\n")
        client.read_until(b"3\r\nONE\r\n")
        client.send(b"3\r\ntwo\r\n")
        assert client.read_until(b"\r\nTWO\r\n") == b"3\r\nTWO\r\n"
        client.send(b"0\r\n\r\n")
        assert client.read_until(b"0\r\n\r\n") == b"0\r\n\r\n"
        client.send(GET)
        assert client.response().status == 200


@pytest.mark.parametrize("value", [b"chunked", b"gzip, chunked", b"identity"])
@pytest.mark.parametrize("more", [False, True], ids=["one-piece", "two-pieces"])
def test_E10_transfer_encoding_of_an_application_is_ignored(serve: Serve, value: bytes, more: bool) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [(b"transfer-encoding", value)]))
        if more:
            await send(piece(b"one", more=True))
        await send(piece(b"two"))

    with serve(on_http(handler)) as server:
        response = server.ask(GET)
    assert response.body == (b"onetwo" if more else b"two")
    assert response.all("transfer-encoding") == (["chunked"] if more else [])


def test_E11_framing_without_content_length(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        await send(piece(b"one", more=True))
        await send(piece(b"two"))

    with serve(on_http(handler), date_header=False, server_header=False) as server:
        with server.connect() as client:
            client.send(GET_AND_CLOSE)
            assert client.read_all() == (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
                b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
            )
        with server.connect() as client:
            client.send(request("GET / HTTP/1.0", "Connection: keep-alive"))
            assert client.read_all() == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nonetwo"


def test_E12_body_and_more_body_are_optional(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        await send({"type": "http.response.body", "more_body": True})
        await send({"type": "http.response.body", "body": b"ok", "more_body": True})
        await send({"type": "http.response.body"})

    with serve(on_http(handler)) as server:
        assert server.ask(GET).body == b"ok"


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_E12_buffers_are_taken_as_they_are_now(serve: Serve, kind: type) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        buffer = bytearray(b"ok")
        await send(start())
        await send(piece(kind(buffer), more=True))
        buffer[:] = b"no"
        await send(piece())

    with serve(on_http(handler)) as server:
        assert server.ask(GET).body == b"ok"


def test_E12_piece_is_sent_before_the_next_one_exists(serve: Serve) -> None:
    seen: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        await send(piece(b"one", more=True))
        await seen
        await send(piece(b"two"))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        client.read_until(b"one\r\n")
        seen.happen(None)
        client.read_until(b"two\r\n")


LATE: list[Message] = [
    start(500),
    piece(b"late"),
    piece(b"late", more=True),
    {"type": "http.response.trailers", "headers": []},
    {"type": "unheard.of"},
]


@pytest.mark.parametrize("late", LATE, ids=[str(message["type"]) for message in LATE])
def test_E13_messages_after_the_response_are_ignored(serve: Serve, late: Message) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await answer(send)
        await send(late)
        await send(late)

    with serve(on_http(handler), date_header=False) as server, server.connect() as client:
        for _ in range(2):
            client.send(GET)
            assert client.read_until(b"ok") == (
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nserver: asgiserve\r\n\r\nok"
            )


def test_E13_late_messages_do_not_reach_the_next_request(serve: Serve) -> None:
    second: Moment[None] = Moment()
    sent: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/first":
            await answer(send, b"first")
            await second
            await send(start(500))
            await send(piece(b"late"))
            sent.happen(None)
        else:
            second.happen(None)
            await sent
            await answer(send, b"second")

    with serve(app) as server, server.connect() as client:
        client.send(get("/first") + get("/second"))
        assert client.response().body == b"first"
        assert client.response().body == b"second"


def until_it_raises(told: Moment[BaseException], pause: float) -> Any:
    """Stream until `send` raises, and tell what it raised."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        try:
            while True:
                await send(piece(b"x", more=True))
                await asyncio.sleep(pause)
        except Exception as error:
            told.happen(error)
            raise

    return on_http(handler)


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_E15_E16_send_to_a_client_that_left_raises_an_oserror_that_is_no_error(
    serve: Serve, leave: str
) -> None:
    told: Moment[BaseException] = Moment()
    with serve(until_it_raises(told, 0.01)) as server:
        with server.connect() as client:
            client.send(GET)
            client.read_until(b"x")
            getattr(client, leave)()
        error = told.wait()
        assert type(error) is ClientDisconnected
        assert isinstance(error, OSError)
    # `serve` has checked that no error was logged.
    assert not [line for line in server.records.lines if "Traceback" in line]


def test_E16_error_that_is_raised_while_handling_it_is_no_error_either(serve: Serve) -> None:
    told: Moment[BaseException] = Moment()
    inner = until_it_raises(told, 0.01)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(inner(scope, receive, send))
        except* OSError as errors:
            raise errors.exceptions[0] from None

    with serve(app) as server:
        with server.connect() as client:
            client.send(GET)
            client.read_until(b"x")
        told.wait()
    assert not [line for line in server.records.lines if "Traceback" in line]


def test_E16_error_of_the_application_is_logged_although_the_client_left(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await receive()
        await receive()
        raise LookupError("its own")

    with serve(on_http(handler)) as server:
        with server.connect() as client:
            client.send(GET)
        server.records.wait("LookupError: its own")


def test_E17_send_raises_once_disconnect_was_received(serve: Serve) -> None:
    told: Moment[BaseException] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await receive()
        assert await receive() == DISCONNECT
        for message in (start(), piece(b"late")):
            with pytest.raises(ClientDisconnected) as caught:
                await send(message)
        told.happen(caught.value)

    with serve(on_http(handler)) as server:
        with server.connect() as client:
            client.send(GET)
        told.wait()


def test_E18_write_that_waits_for_the_client_ends_when_it_leaves(serve: Serve) -> None:
    waiting: Moment[None] = Moment()
    told: Moment[BaseException] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        try:
            while True:
                sending = asyncio.ensure_future(send(piece(b"x" * 262144, more=True)))
                done, _ = await asyncio.wait((sending,), timeout=0.3)
                if not done and not waiting.happened:
                    waiting.happen(None)
                await sending
        except OSError as error:
            told.happen(error)

    with serve(on_http(handler)) as server:
        with server.connect() as client:
            client.send(GET)
            waiting.wait()
            client.reset()
        assert type(told.wait()) is ClientDisconnected
