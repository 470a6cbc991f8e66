"""What leaves for the client: framing, responses without a body, the server's own fields, refusals."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

import h11
import pytest

from tests.asgiserve.applications import (
    App,
    Headers,
    Receive,
    Scope,
    Send,
    answer,
    hello,
    on_http,
    piece,
    start,
)
from tests.asgiserve.raw import GET, GET_AND_CLOSE, get, post, request
from tests.asgiserve.serving import Serve

HEAD = request("HEAD / HTTP/1.1", "Host: test")
HEAD_AND_CLOSE = request("HEAD / HTTP/1.1", "Host: test", "Connection: close")
CUT = (ConnectionResetError, h11.RemoteProtocolError)


def sending(*pieces: bytes, status: int = 200, headers: Headers = ()) -> App:
    """An application that sends these pieces."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(status, headers))
        for number, body in enumerate(pieces, 1):
            await send(piece(body, more=number < len(pieces)))

    return on_http(handler)


def bytes_of(serve: Serve, app: App, data: bytes = GET_AND_CLOSE) -> bytes:
    """All bytes of the response, without Date and Server."""
    with serve(app, date_header=False, server_header=False) as server, server.connect() as client:
        client.send(data)
        return client.read_all()


def test_9112_6_2_one_piece_gets_its_length(serve: Serve) -> None:
    assert bytes_of(serve, sending(b"ok")) == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
    )


def test_9112_6_2_empty_body_gets_length_0(serve: Serve) -> None:
    assert bytes_of(serve, sending(b"")) == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )


def test_9112_7_1_several_pieces_are_chunked_and_empty_ones_do_not_end_them(serve: Serve) -> None:
    assert bytes_of(serve, sending(b"", b"one", b"", b"x" * 16, b"")) == (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        b"3\r\none\r\n10\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"
    )


def test_9112_6_2_declared_length_is_kept(serve: Serve) -> None:
    app = sending(b"one", b"two", headers=[(b"content-length", b"6")])
    assert bytes_of(serve, app) == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nonetwo"
    )


def test_9112_6_1_never_both_length_and_coding(serve: Serve) -> None:
    app = sending(b"one", b"two", headers=[(b"transfer-encoding", b"chunked"), (b"content-length", b"6")])
    assert bytes_of(serve, app) == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nonetwo"
    )


@pytest.mark.parametrize("size", [1, 1000, 65_535, 65_536, 65_537, 1_000_000, 5_000_000])
def test_bodies_of_all_sizes_arrive_whole(serve: Serve, size: int) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    with serve(sending(body[:size])) as server:
        assert server.ask(GET).body == body[:size]
    with serve(sending(body[: size // 2], body[size // 2 : size])) as server:
        assert server.ask(GET).body == body[:size]


@pytest.mark.parametrize(
    ("pieces", "headers", "framing"),
    [
        ((b"ok",), [], b"content-length: 2\r\n"),
        ((b"",), [(b"content-length", b"1000")], b"content-length: 1000\r\n"),
        ((b"ok",), [(b"content-length", b"2")], b"content-length: 2\r\n"),
        # RFC 9110 §8.6: it may be that of a GET or none, and applications leave bodies out themselves.
        ((b"",), [], b""),
        ((b"", b""), [], b""),
    ],
    ids=["length-of-the-body", "declared-without-a-body", "declared", "neither", "neither-in-pieces"],
)
def test_9110_9_3_2_head_has_the_fields_and_no_body(
    serve: Serve, pieces: tuple[bytes, ...], headers: Headers, framing: bytes
) -> None:
    assert bytes_of(serve, sending(*pieces, headers=headers), HEAD_AND_CLOSE) == (
        b"HTTP/1.1 200 OK\r\n" + framing + b"connection: close\r\n\r\n"
    )


def test_9110_9_3_2_stream_of_a_head_is_not_sent(serve: Serve) -> None:
    data = bytes_of(serve, sending(b"one", b"two", b""), HEAD_AND_CLOSE)
    assert re.fullmatch(rb"HTTP/1.1 200 OK\r\n([a-z-]+: [^\r]*\r\n)*\r\n", data)


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("pieces", [(b"",), (b"body",), (b"one", b"two")], ids=["none", "one", "two"])
def test_9112_6_3_responses_that_never_have_a_body(
    serve: Serve, status: int, pieces: tuple[bytes, ...]
) -> None:
    app = sending(*pieces, status=status, headers=[(b"x-a", b"b")])
    assert bytes_of(serve, app) == (
        b"HTTP/1.1 %d %b\r\nx-a: b\r\nconnection: close\r\n\r\n"
        % (status, {204: b"No Content", 304: b"Not Modified"}[status])
    )


def test_9110_15_3_6_reset_content_has_length_0(serve: Serve) -> None:
    for pieces in ((b"",), (b"body",), (b"one", b"two")):
        assert bytes_of(serve, sending(*pieces, status=205)) == (
            b"HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )


def test_9110_8_6_no_length_with_204(serve: Serve) -> None:
    app = sending(b"", status=204, headers=[(b"content-length", b"0")])
    assert b"content-length" not in bytes_of(serve, app)


def test_9110_8_6_length_with_304_is_that_of_the_200(serve: Serve) -> None:
    app = sending(b"", status=304, headers=[(b"content-length", b"1000")])
    assert b"content-length: 1000\r\n" in bytes_of(serve, app)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_connection_persists_behind_a_response_without_a_body(serve: Serve, status: int) -> None:
    with serve(sending(b"body", b"more", status=status)) as server, server.connect() as client:
        for _ in range(3):
            client.send(GET)
            response = client.response()
            assert (response.status, response.body) == (status, b"")


def test_connection_persists_behind_a_head(serve: Serve) -> None:
    with serve(sending(b"body")) as server, server.connect() as client:
        client.send(HEAD + GET + HEAD + GET)
        for method, body in (("HEAD", b""), ("GET", b"body")) * 2:
            assert client.response(method).body == body


def test_1xx_never_has_a_body(serve: Serve) -> None:
    data = bytes_of(serve, sending(b"body", status=199))
    assert data.startswith(b"HTTP/1.1 199 \r\n")
    assert b"body" not in data
    assert b"content-length" not in data
    assert b"transfer-encoding" not in data


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, b"HTTP/1.1 200 OK\r\n"),
        (404, b"HTTP/1.1 404 Not Found\r\n"),
        (418, b"HTTP/1.1 418 I'm a Teapot\r\n"),
        (299, b"HTTP/1.1 299 \r\n"),
        (599, b"HTTP/1.1 599 \r\n"),
        (999, b"HTTP/1.1 999 \r\n"),
    ],
)
def test_9112_4_status_line(serve: Serve, status: int, line: bytes) -> None:
    data = bytes_of(serve, sending(b"", status=status))
    assert data[: data.index(b"\r\n") + 2].lower() == line.lower()


def test_date_and_server(serve: Serve) -> None:
    with serve(hello) as server:
        response = server.ask(GET)
    assert response["server"] == "asgiserve"
    assert re.fullmatch(r"\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT", response["date"])
    assert parsedate_to_datetime(response["date"]).tzinfo is not None


@pytest.mark.parametrize("name", ["date", "server"])
def test_date_and_server_can_be_turned_off(serve: Serve, name: str) -> None:
    with serve(hello, **{f"{name}_header": False}) as server:
        response = server.ask(GET)
    assert name not in response
    assert {"date": "server", "server": "date"}[name] in response


@pytest.mark.parametrize("name", ["date", "server", "Date", "SERVER"])
def test_field_of_the_application_replaces_the_servers(serve: Serve, name: str) -> None:
    value = "Sat, 01 Jan 2000 00:00:00 GMT"
    with serve(sending(b"ok", headers=[(name.encode(), value.encode())])) as server:
        response = server.ask(GET)
    assert response[name.lower()] == value
    assert {"date", "server"} <= {key.decode() for key, _ in response.headers}


def test_several_fields_of_one_name(serve: Serve) -> None:
    cookies = [(b"set-cookie", b"a=1"), (b"x-a", b"b"), (b"set-cookie", b"b=2"), (b"set-cookie", b"a=1")]
    with serve(sending(b"ok", headers=cookies)) as server:
        assert server.ask(GET).all("set-cookie") == ["a=1", "b=2", "a=1"]


def test_equal_lengths_are_sent_once(serve: Serve) -> None:
    app = sending(b"ok", headers=[(b"content-length", b"2"), (b"Content-Length", b"2")])
    with serve(app) as server:
        assert server.ask(GET)["content-length"] == "2"


def test_extra_headers_of_the_settings(serve: Serve) -> None:
    with serve(hello, headers=("X-Served-By: one", "x-two:2")) as server:
        response = server.ask(GET)
    assert (response["x-served-by"], response["x-two"]) == ("one", "2")


def test_hop_by_hop_fields_are_the_servers_own(serve: Serve) -> None:
    """An application, or what it proxies for, does not decide on this connection (RFC 9110 §7.6.1)."""
    with serve(sending(b"ok", headers=[(b"connection", b"keep-alive")])) as server:
        assert server.ask(GET_AND_CLOSE)["connection"] == "close"


INJECTIONS = {
    "cr-in-a-value": (b"x-a", b"b\rc"),
    "lf-in-a-value": (b"x-a", b"b\nc"),
    "crlf-in-a-value": (b"x-a", b"b\r\nset-cookie: c=d"),
    "lf-at-the-end-of-a-value": (b"x-a", b"b\n"),
    "nul-in-a-value": (b"x-a", b"b\0c"),
    "escape-in-a-value": (b"x-a", b"b\x1bc"),
    "delete-in-a-value": (b"x-a", b"b\x7fc"),
    "cr-in-a-name": (b"x-a\r", b"b"),
    "lf-in-a-name": (b"x-a\n", b"b"),
    "crlf-in-a-name": (b"x-a: b\r\nx-c", b"d"),
    "nul-in-a-name": (b"x\0a", b"b"),
    "space-in-a-name": (b"x a", b"b"),
    "colon-in-a-name": (b"x:a", b"b"),
    "empty-name": (b"", b"b"),
    "bytes-above-ascii-in-a-name": (b"caf\xe9", b"b"),
    "lf-in-content-length": (b"content-length", b"2\nx: y"),
    "lf-in-date": (b"date", b"today\r\nx: y"),
    "lf-in-connection": (b"connection", b"close\r\nx: y"),
    "lf-in-transfer-encoding": (b"transfer-encoding", b"chunked\r\nx: y"),
    "negative-content-length": (b"content-length", b"-2"),
    "content-length-of-letters": (b"content-length", b"two"),
    "content-length-with-plus": (b"content-length", b"+2"),
    "empty-content-length": (b"content-length", b""),
}


@pytest.mark.parametrize("field", INJECTIONS.values(), ids=INJECTIONS)
def test_9112_11_1_nothing_unchecked_reaches_the_wire(serve: Serve, field: tuple[bytes, bytes]) -> None:
    """Rejected each time anew, not only before the field was seen for the first time."""

    async def handler(receive: Receive, send: Send) -> None:
        for _ in range(3):
            with pytest.raises(ValueError):
                await send(start(200, [(b"x-before", b"1"), field]))
        await answer(send)

    assert bytes_of(serve, on_http(handler)) == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
    )


@pytest.mark.parametrize("status", [-200, 0, 99, 1000, 10**20])
def test_9112_4_status_outside_of_three_digits_is_rejected(serve: Serve, status: int) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        with pytest.raises(ValueError):
            await send(start(status))
        await answer(send)

    with serve(on_http(handler)) as server:
        assert server.ask(GET).status == 200


def test_two_different_lengths_are_rejected(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        with pytest.raises(ValueError):
            await send(start(200, [(b"content-length", b"2"), (b"content-length", b"3")]))
        await answer(send)

    with serve(on_http(handler)) as server:
        assert server.ask(GET)["content-length"] == "2"


@pytest.mark.parametrize("begun", [False, True], ids=["first-piece", "later-piece"])
def test_body_longer_than_declared_is_rejected_unwritten(serve: Serve, begun: bool) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [(b"content-length", b"4")]))
        if begun:
            await send(piece(b"12", more=True))
        with pytest.raises(ValueError, match="4"):
            await send(piece(b"12345"))
        await send(piece(b"34" if begun else b"1234"))

    with serve(on_http(handler)) as server, server.connect() as client:
        for _ in range(2):
            client.send(GET)
            assert client.response().body == b"1234"


def test_body_shorter_than_declared_ends_the_connection(serve: Serve) -> None:
    """The client can tell that something is missing, and does not wait for it."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [(b"content-length", b"4")]))
        await send(piece(b"12", more=True))
        await send(piece(b"3"))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        with pytest.raises(CUT):
            client.response()
        server.records.wait("Content-Length: 4")


@pytest.mark.parametrize("declared", [b"0", b"2", b"1000"])
def test_length_of_a_head_need_not_fit_its_body(serve: Serve, declared: bytes) -> None:
    with serve(sending(b"ok", headers=[(b"content-length", declared)])) as server:
        assert server.ask(HEAD, "HEAD")["content-length"] == declared.decode()


def test_access_log_tells_request_status_and_size(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"x" * 1234, 201)

    with serve(app) as server, server.connect() as client:
        client.send(post(b"", target="/made?by=me"))
        client.response()
        port = client.socket.getsockname()[1]
        server.records.wait("asgiserve.access", f"127.0.0.1:{port}", '"POST /made?by=me HTTP/1.1" 201 1234')


def test_access_log_cannot_be_forged(serve: Serve) -> None:
    with serve(hello) as server:
        server.ask(get("/a%0d%0ab%1b?c%0a"))
        line = server.records.wait("asgiserve.access")
    assert "\n" not in line
    assert "\x1b" not in line


def test_access_log_can_be_turned_off(serve: Serve) -> None:
    with serve(hello, access_log=False) as server:
        server.ask(GET)
    assert not [line for line in server.records.lines if "asgiserve.access" in line]
