"""How a request becomes a WebSocket, or does not: RFC 6455, Section 4, and the denials of ASGI (X1)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import h11
import pytest

from asgiserve import ClientDisconnected, LoadError
from asgiserve.failure import failing_application
from tests.asgiserve.applications import Headers, Message, Receive, Scope, Send, answer, read_body
from tests.asgiserve.issuing import Issuer
from tests.asgiserve.raw import GET, Response, chunked, get, post, request
from tests.asgiserve.serving import Moment, Serve
from tests.asgiserve.websocket import (
    KEY,
    PONG,
    WebSocket,
    accept_for,
    close,
    echo,
    frame,
    text,
    upgrade,
)

ACCEPT: Message = {"type": "websocket.accept"}

ASKED = ("Upgrade: websocket", "Connection: Upgrade")
OWN = (f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13")


def denial(status: int, headers: Headers = ()) -> Message:
    """The event that begins a denial."""
    return {"type": "websocket.http.response.start", "status": status, "headers": headers}


def piece(body: bytes, more: bool = False) -> Message:
    """A piece of a denial's body, the last one by default."""
    return {"type": "websocket.http.response.body", "body": body, "more_body": more}


async def kinds(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo messages; tell an ordinary request that it is one."""
    if scope["type"] == "websocket":
        await echo(scope, receive, send)
    else:
        await answer(send, f"{scope['type']} {scope['method']}".encode())


# What asks for a WebSocket


@pytest.mark.parametrize(
    "fields",
    [
        ["Connection: keep-alive, Upgrade", "Upgrade: websocket", *OWN],
        ["connection: UPGRADE", "UPGRADE: WebSocket", *OWN],
        ["Connection: keep-alive", "Connection: upgrade", "Upgrade: websocket", *OWN],
        ["Connection: Upgrade", "Upgrade: h2c, websocket", *OWN],
        ["Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket", *OWN],
        ["Connection: ,upgrade ,\tclose", "Upgrade: ,websocket", *OWN],
        [*ASKED, *OWN, "Content-Length: 0"],
        [*ASKED, *OWN, "Sec-WebSocket-Extensions: ;;", "Sec-WebSocket-Protocol: ,"],
        [*ASKED, f"sec-websocket-key:{KEY} ", "SEC-WEBSOCKET-VERSION:\t13"],
        [*ASKED, *OWN, "Expect: 100-continue"],
    ],
)
def test_6455_4_2_1_handshakes_in_many_words(serve: Serve, fields: list[str]) -> None:
    with serve(kinds) as server, WebSocket(server.address) as client:
        response = client.ask(get("/", *fields))
        assert response.status == 101
        assert response["sec-websocket-accept"] == accept_for(KEY)
        client.send(text("hello"))
        assert client.message() == "hello"
        client.say_goodbye()


@pytest.mark.parametrize(
    "handshake",
    [
        request("GET / HTTP/1.0", "Host: test", *ASKED, *OWN),
        request("POST / HTTP/1.1", "Host: test", *ASKED, *OWN),
        request("OPTIONS / HTTP/1.1", "Host: test", *ASKED, *OWN),
        request("GET / HTTP/1.1", "Host: test", "Connection: Upgrade", *OWN),
        request("GET / HTTP/1.1", "Host: test", "Upgrade: websocket", *OWN),
        request("GET / HTTP/1.1", "Host: test", "Upgrade: websocket", "Connection: keep-alive", *OWN),
        request("GET / HTTP/1.1", "Host: test", "Upgrade: h2c", "Connection: Upgrade", *OWN),
        request("GET / HTTP/1.1", "Host: test", "Upgrade: websocket2", "Connection: Upgrade", *OWN),
        post(b"body", *ASKED, *OWN).replace(b"POST", b"GET"),
        chunked(b"body", fields=(*ASKED, *OWN)).replace(b"POST", b"GET"),
    ],
    ids=[
        "HTTP-1.0",
        "POST",
        "OPTIONS",
        "no-Upgrade",
        "no-Connection",
        "Connection-without-it",
        "Upgrade-to-something-else",
        "Upgrade-to-something-like-it",
        "body",
        "chunks",
    ],
)
def test_6455_4_2_1_what_is_an_ordinary_request(serve: Serve, handshake: bytes) -> None:
    method = handshake.partition(b" ")[0]
    with serve(kinds) as server:
        response = server.ask(handshake)
        assert (response.status, response.body) == (200, b"http " + method)


def test_ws_none_serves_no_websockets(serve: Serve) -> None:
    with serve(kinds, ws="none") as server, server.connect() as client:
        for handshake in (upgrade(), upgrade(version="8"), upgrade(key="wrong")):
            client.send(handshake)
            assert client.response().body == b"http GET"


# What is refused


def refused(serve: Serve, handshake: bytes) -> Response:
    """The response to a handshake that never reaches the application, which ends the connection."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("this is not for the application")

    with serve(app) as server, server.connect() as client:
        client.send(handshake)
        response = client.response()
        assert client.closed()
        assert "access: " not in "".join(server.records.lines)
        return response


@pytest.mark.parametrize(
    "versions",
    [[], ["8"], ["12"], ["14"], ["13, 8"], ["13", "8"], ["13", "13"], ["0013"], ["13.0"], [""]],
    ids=str,
)
def test_6455_4_4_other_versions_are_answered_426(serve_twice: Serve, versions: list[str]) -> None:
    fields = [f"Sec-WebSocket-Version: {version}" for version in versions]
    response = refused(serve_twice, get("/", *ASKED, f"Sec-WebSocket-Key: {KEY}", *fields))
    assert response.status == 426
    assert response["sec-websocket-version"] == "13"
    assert response["upgrade"] == "websocket"
    options = {option.strip().lower() for value in response.all("connection") for option in value.split(",")}
    assert options == {"close", "upgrade"}  # RFC 9110, Sections 7.8 and 15.5.22
    assert b"13" in response.body


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [""],
        ["c2hvcnQ="],
        ["dGhlIHNhbXBsZSBub25jZSE"],  # 17 bytes, and no padding
        [KEY.rstrip("=")],
        [KEY + "="],
        [KEY[:-3] + "!=="],
        [KEY, KEY],
        [f"{KEY}, {KEY}"],
        ["\xe9" * 24],
    ],
)
def test_6455_4_2_1_malformed_keys_are_answered_400(serve_twice: Serve, keys: list[str]) -> None:
    fields = [f"Sec-WebSocket-Key: {key}" for key in keys]
    response = refused(serve_twice, get("/", *ASKED, "Sec-WebSocket-Version: 13", *fields))
    assert response.status == 400
    assert b"Sec-WebSocket-Key" in response.body


def test_refused_handshake_behind_a_request_takes_no_answer_from_it(serve: Serve) -> None:
    with serve(kinds) as server, server.connect() as client:
        client.send(GET + upgrade(version="8"))
        assert client.response().body == b"http GET"
        assert client.response().status == 426
        assert client.closed()


# When things come


@pytest.mark.parametrize("frames", [b"", text("early") + text("bird")], ids=["alone", "with-frames"])
def test_handshake_pipelined_behind_requests(serve: Serve, frames: bytes) -> None:
    with serve(kinds) as server, WebSocket(server.address) as client:
        client.send(GET + GET + upgrade() + frames)
        assert client.response().body == b"http GET"
        assert client.response().body == b"http GET"
        head = client.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        if frames:
            assert [client.message(), client.message()] == ["early", "bird"]
        client.say_goodbye()


def test_handshake_on_a_connection_that_served_a_body(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await echo(scope, receive, send)
        else:
            await answer(send, await read_body(receive))

    with serve(app) as server, WebSocket(server.address) as client:
        client.send(post(b"x" * 100_000))
        assert client.response().body == b"x" * 100_000
        client.open()
        client.say_goodbye()


def test_handshake_byte_by_byte(serve_twice: Serve) -> None:
    with serve_twice(kinds) as server, WebSocket(server.address) as client:
        client.send_chopped(upgrade() + text("hello"))
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert client.message() == "hello"
        client.say_goodbye()


def test_request_behind_a_handshake_is_not_one(serve: Serve) -> None:
    """What follows is read as frames, and is none: no cache is poisoned by what looks like a request."""
    with serve(kinds) as server, WebSocket(server.address) as client:
        client.send(upgrade() + GET)
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert client.failed() == 1002


def test_request_behind_a_handshake_that_is_denied_is_not_answered(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        await send({"type": "websocket.close"})

    with serve(app) as server, server.connect() as client:
        client.send(upgrade() + GET)
        assert client.response().status == 403
        assert client.closed()


@pytest.mark.parametrize("leave", ["close", "reset", "end"])
def test_client_that_leaves_during_the_handshake(serve: Serve, leave: str) -> None:
    """The application is told, and can neither accept nor deny."""
    asked: Moment[None] = Moment()
    events: list[Message] = []
    over: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        asked.happen(None)
        events.extend([await receive(), await receive()])
        for late in (ACCEPT, denial(401)):
            with pytest.raises(ClientDisconnected):
                await send(late)
        await send({"type": "websocket.close"})
        over.happen(None)
        await send(ACCEPT)

    with serve(app) as server, server.connect() as client:
        client.send(upgrade())
        asked.wait()
        getattr(client, leave)()
        over.wait()
        if leave == "end":
            assert client.closed()
        server.records.wait("(the client left)")
    assert events == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}] * 2


def test_client_that_leaves_before_the_application_looks(serve: Serve) -> None:
    """What was sent ahead of a handshake that nobody waits for any more is not received."""
    left: Moment[None] = Moment()
    events: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await left
        events.extend([await receive(), await receive()])

    with serve(app) as server:
        with server.connect() as client:
            client.send(upgrade() + text("early"))
            client.send(GET)
            client.reset()
        server.records.wait("(the client left)")
        left.happen(None)
    assert [event["type"] for event in events] == ["websocket.connect", "websocket.disconnect"]


def test_application_that_does_not_answer_the_handshake_is_cancelled(serve: Serve) -> None:
    ended: Moment[str] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.happen((await receive())["type"] + (await receive())["type"])
            raise

    with serve(app, response_timeout=0.2) as server, WebSocket(server.address) as client:
        response = client.ask(upgrade("/slow"))
        assert (response.status, response["connection"]) == (503, "close")
        assert client.closed()
        assert ended.wait() == "websocket.connectwebsocket.disconnect"
        server.records.wait("ERROR", "WebSocket '/slow': no response after 0.2 s (response_timeout)")


def test_response_timeout_ends_with_the_handshake(serve_twice: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await asyncio.sleep(1.2)
        await send({"type": "websocket.send", "text": "at last"})

    with serve_twice(app, response_timeout=0.5) as server, WebSocket(server.address) as client:
        client.open()
        assert client.message() == "at last"


# Where it comes from


def test_tls_is_wss(serve: Serve, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    with serve(app, ssl_certfile=issuer.file_for("localhost")) as server:
        with WebSocket(server.address, issuer.client()) as client:
            client.open()
            for message in ("hello", "x" * 500_000):
                client.send(text(message))
                assert client.message() == message
            client.send(close(4000))
            assert client.closing() == (4000, "")
            assert client.closed()
        with WebSocket(server.address, issuer.client()) as client:
            client.open()
    assert scopes[0]["scheme"] == "wss"
    assert scopes[0]["extensions"]["tls"]["tls_version"] == 0x0304
    assert set(scopes[0]["extensions"]) == {"tls", "websocket.http.response"}


def test_unix_socket(serve: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    with serve(app, uds=path) as server:
        with WebSocket(server.address) as client:
            client.open()
            client.send(text("x" * 500_000))
            assert client.message() == "x" * 500_000
            client.say_goodbye()
        with WebSocket(server.address) as client:
            client.open()
            client.send(b"\xff\xff")
            assert client.failed() == 1002
    assert scopes[0]["client"] is None
    assert scopes[0]["server"] == (path, None)


@pytest.mark.parametrize("proto", ["https", "wss"])
def test_behind_a_proxy(serve: Serve, proto: str) -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send(ACCEPT)

    fields = ("X-Forwarded-For: 192.0.2.7", f"X-Forwarded-Proto: {proto}", "X-Forwarded-Host: example.org")
    prefix = "X-Forwarded-Prefix: /mounted"
    with serve(app, proxy_headers="x-forwarded") as server:
        with WebSocket(server.address) as client:
            client.open("/chat", *fields, prefix)
            assert client.closing() == (1000, "")
        with WebSocket(server.address) as client:
            client.open("/chat", "X-Forwarded-Proto: http")
    scope, plain = scopes
    assert scope["scheme"] == "wss"
    assert scope["client"] == ("192.0.2.7", 0)
    assert scope["server"] == ("example.org", 443)
    assert (scope["root_path"], scope["path"]) == ("/mounted", "/mounted/chat")
    assert dict(scope["headers"])[b"host"] == b"example.org"
    assert plain["scheme"] == "ws"


def test_behind_the_proxy_protocol(serve: Serve) -> None:
    """All in one packet: who asks, the handshake, and a message."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    line = b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n"
    with serve(app, proxy_protocol=True) as server, WebSocket(server.address) as client:
        client.send(line + upgrade() + text("hello"))
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert client.message() == "hello"
        client.say_goodbye()
    assert tuple(scopes[0]["client"]) == ("203.0.113.7", 4711)
    assert tuple(scopes[0]["server"]) == ("198.51.100.1", 443)


# Denials


DENIALS: dict[str, tuple[list[Message], int, bytes]] = {
    "whole": ([denial(401, [(b"x-a", b"b")]), piece(b"who are you?")], 401, b"who are you?"),
    "in-pieces": ([denial(403), piece(b"no", True), piece(b"", True), piece(b", never")], 403, b"no, never"),
    "empty": ([denial(404), piece(b"")], 404, b""),
    "without-headers": (
        [{"type": "websocket.http.response.start", "status": 418}, piece(b"teapot")],
        418,
        b"teapot",
    ),
    "redirect": ([denial(307, [(b"location", b"/there")]), piece(b"")], 307, b""),
    "declared-length": (
        [denial(400, [(b"content-length", b"4")]), piece(b"no", True), piece(b"no")],
        400,
        b"nono",
    ),
    "no-content": ([denial(204), piece(b"")], 204, b""),
    "not-modified": ([denial(304, [(b"etag", b'"1"')]), piece(b"")], 304, b""),
    "success": ([denial(200), piece(b"fine, but no websocket")], 200, b"fine, but no websocket"),
    "large": ([denial(413), piece(b"x" * 1_000_000)], 413, b"x" * 1_000_000),
    "body-event-without-body": ([denial(401), {"type": "websocket.http.response.body"}], 401, b""),
    "trailers-are-for-http": (
        [{**denial(401), "trailers": True}, piece(b"a", True), piece(b"b")],
        401,
        b"ab",
    ),
}


@pytest.mark.parametrize(("events", "status", "body"), DENIALS.values(), ids=DENIALS)
def test_X1_denial_is_a_response(serve: Serve, events: list[Message], status: int, body: bytes) -> None:
    after: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for event in events:
            await send(event)
        after.append(await receive())

    with serve(app) as server, WebSocket(server.address) as client:
        response = client.ask(upgrade())
        assert (response.status, response.body) == (status, body)
        assert response["connection"] == "close"
        assert "sec-websocket-accept" not in response
        assert client.closed()
    assert after == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


def test_X1_denial_is_streamed(serve: Serve) -> None:
    go: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(denial(429))
        await send(piece(b"come ", True))
        await go
        await send(piece(b"later"))

    with serve(app) as server, server.connect() as client:
        client.send(upgrade())
        assert client.read_until(b"come ").startswith(b"HTTP/1.1 429 ")
        go.happen(None)
        assert b"later" in client.read_all()


def test_X1_nothing_else_follows_the_start_of_a_denial(serve: Serve) -> None:
    """What is out of order raises and changes nothing; behind its end all of a denial is ignored."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(denial(401))
        wrong: list[Any] = [
            ACCEPT,
            denial(402),
            {"type": "websocket.send", "text": "leak"},
            {"type": "websocket.close"},
            {"type": "http.response.body", "body": b"leak"},
            {"type": "websocket.http.response.body", "body": "leak"},
        ]
        for event in wrong:
            with pytest.raises((RuntimeError, ValueError, TypeError)):
                await send(event)
        await send(piece(b"one", True))
        for event in wrong:
            with pytest.raises((RuntimeError, ValueError, TypeError)):
                await send(event)
        await send(piece(b" two"))
        await send(piece(b"leak"))
        await send(denial(500))
        await send({"type": "websocket.close"})
        for event in (ACCEPT, {"type": "websocket.send", "text": "leak"}):
            with pytest.raises(RuntimeError):
                await send(event)

    with serve(app) as server, WebSocket(server.address) as client:
        response = client.ask(upgrade())
        assert (response.status, response.body) == (401, b"one two")
        assert client.closed()


def test_X1_accept_counts_as_long_as_a_denial_has_not_begun(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ValueError, match="header name"):
            await send(denial(401, [(b"no name", b"")]))
        await send(ACCEPT)

    with serve(app) as server, WebSocket(server.address) as client:
        client.open()
        assert client.closing() == (1000, "")


def test_X1_denial_of_the_wrong_length_is_an_error(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(denial(401, [(b"content-length", b"3")]))
        with pytest.raises(ValueError, match="declares Content-Length: 3"):
            await send(piece(b"four"))
        await send(piece(b"yes"))

    with serve(app) as server, WebSocket(server.address) as client:
        assert client.ask(upgrade()).body == b"yes"


@pytest.mark.parametrize("how", ["raises", "returns"])
@pytest.mark.parametrize("sent", [0, 1])
def test_X1_application_that_ends_within_a_denial(serve: Serve, how: str, sent: int) -> None:
    """Before its first piece that becomes a 500; later the client can tell that something is missing."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(denial(401))
        for _ in range(sent):
            await send(piece(b"some", True))
        if how == "raises":
            raise LookupError("of the application")

    with serve(app) as server, WebSocket(server.address) as client:
        if sent:
            with pytest.raises((h11.RemoteProtocolError, ConnectionResetError)):
                client.ask(upgrade())
        else:
            assert client.ask(upgrade()).status == 500
            assert client.closed()
        server.records.wait("ERROR", "LookupError" if how == "raises" else "returned without")


def test_X1_client_that_leaves_within_a_denial(serve: Serve) -> None:
    over: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send(denial(401))
        with contextlib.suppress(ClientDisconnected):
            while True:
                await send(piece(b"x" * 10_000, True))
        assert (await receive())["type"] == "websocket.disconnect"
        over.happen(None)
        await send(piece(b"x"))

    with serve(app) as server, server.connect() as client:
        client.send(upgrade())
        client.read_until(b"xxx")
        client.reset()
        over.wait()


def test_application_that_does_not_start_is_a_denial(serve_twice: Serve) -> None:
    """With --reload, until the mistake is mended."""
    with serve_twice(failing_application(LoadError("main.py, line 1"))) as server:
        with WebSocket(server.address) as client:
            response = client.ask(upgrade())
        assert response.status == 503
        assert b"main.py, line 1" in response.body


# What is told of it


def test_access_log_has_the_handshake_once_it_is_answered(serve: Serve) -> None:
    """And not the end of the WebSocket."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/no":
            await send({"type": "websocket.close"})
        else:
            await echo(scope, receive, send)

    with serve(app, access_log_format="json") as server:
        with WebSocket(server.address) as client:
            client.open("/chat?room=1", "User-Agent: test")
            client.send(frame(PONG) + text("hello"))
            assert client.message() == "hello"
            client.say_goodbye()
        with WebSocket(server.address) as client:
            assert client.ask(upgrade("/no")).status == 403
        server.records.wait("INFO asgiserve.access", '"/no"')
        lines = [line for line in server.records.lines if "asgiserve.access" in line]
    found = [json.loads(line.removeprefix("INFO asgiserve.access: ")) for line in lines]
    assert [(each["path"], each["query"], each["status"], each["bytes"]) for each in found] == [
        ("/chat", "room=1", 101, 0),
        ("/no", "", 403, 10),
    ]
    assert found[0]["mark"] is None
    assert found[0]["user_agent"] == "test"
