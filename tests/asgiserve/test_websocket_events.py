"""What an application gets of a WebSocket, and may send: ASGI WebSocket 2.5 (W1 to W16, E17)."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest

from asgiserve import ClientDisconnected
from tests.asgiserve.applications import Message, Receive, Scope, Send
from tests.asgiserve.serving import Moment, Serve
from tests.asgiserve.test_application_interface import assert_plain
from tests.asgiserve.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_CODE,
    PING,
    PONG,
    TEXT,
    Frame,
    WebSocket,
    binary,
    close,
    echo,
    fragments,
    frame,
    on_websocket,
    text,
    upgrade,
)

ACCEPT: Message = {"type": "websocket.accept"}

REJECTION = (TypeError, ValueError, KeyError, RuntimeError)


def said(text: str) -> Message:
    """The event that sends a text."""
    return {"type": "websocket.send", "text": text}


def opened(serve: Serve, handshake: bytes, **settings: Any) -> Scope:
    """The scope that an application gets for a handshake that it accepts."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["pool"] = ["a connection"]
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        scopes.append(scope)
        await receive()
        await send(ACCEPT)

    with serve(app, **settings) as server, WebSocket(server.address) as client:
        assert client.ask(handshake).status == 101
        assert client.closing() == (1000, "")
    return scopes[0]


# The scope


def test_W1_what_a_websocket_is_called(serve: Serve) -> None:
    scope = opened(serve, upgrade())
    assert type(scope) is dict
    assert scope["type"] == "websocket"
    assert scope["scheme"] == "ws"
    assert scope["http_version"] == "1.1"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert "method" not in scope


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], []),
        (["Sec-WebSocket-Protocol: chat"], ["chat"]),
        (["Sec-WebSocket-Protocol: chat, superchat"], ["chat", "superchat"]),
        (["Sec-WebSocket-Protocol:  b ,\ta,,c "], ["b", "a", "c"]),
        (["Sec-WebSocket-Protocol: chat", "sec-websocket-protocol: v2.x, V2"], ["chat", "v2.x", "V2"]),
        (["Sec-WebSocket-Protocol:"], []),
    ],
)
def test_W2_subprotocols_are_split_stripped_and_joined(
    serve: Serve, fields: list[str], expected: list[str]
) -> None:
    assert opened(serve, upgrade("/", *fields))["subprotocols"] == expected


def test_W3_the_rest_is_as_in_http(serve: Serve) -> None:
    fields = ("X-One: 1", "Origin: https://example.org", "X-One: 2")
    scope = opened(serve, upgrade("/a%20b/%E2%82%AC?q=%20&r", *fields), root_path="/prefix")
    assert scope["path"] == "/prefix/a b/€"
    assert scope["raw_path"] == b"/a%20b/%E2%82%AC"
    assert scope["query_string"] == b"q=%20&r"
    assert scope["root_path"] == "/prefix"
    assert [value for name, value in scope["headers"] if name == b"x-one"] == [b"1", b"2"]
    assert (b"origin", b"https://example.org") in scope["headers"]
    assert (b"upgrade", b"websocket") in scope["headers"]
    assert all(type(name) is type(value) is bytes for name, value in scope["headers"])
    assert scope["client"][0] == scope["server"][0] == "127.0.0.1"
    assert type(scope["client"][1]) is type(scope["server"][1]) is int
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert "state" not in scope


def test_W3_state_is_a_copy_of_the_lifespans(serve: Serve) -> None:
    scope = opened(serve, upgrade(), lifespan="on")
    assert scope["state"] == {"pool": ["a connection"]}


def test_A6_A7_events_hold_plain_values_of_exact_types(serve: Serve) -> None:
    events: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events.append(await receive())
        await send(ACCEPT)
        while events[-1]["type"] != "websocket.disconnect":
            events.append(await receive())

    with serve(app) as server, WebSocket(server.address) as client:
        client.open()
        client.send(text("a") + binary(b"b") + b"".join(fragments(TEXT, b"a", b"b")))
        client.send(text("x" * 300) + binary(b"x" * 70000) + close(4000, b"bye"))
        assert client.closing() == (4000, "")
    assert [event["type"] for event in events] == [
        "websocket.connect",
        *["websocket.receive"] * 5,
        "websocket.disconnect",
    ]
    for event in events:
        assert_plain(event)


# The handshake, as the application sees it


def test_W4_connect_comes_first_and_the_client_waits_until_it_is_answered(serve: Serve) -> None:
    asked: Moment[Message] = Moment()
    go: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.happen(await receive())
        await go
        await send(ACCEPT)

    with serve(app) as server, WebSocket(server.address) as client:
        client.send(upgrade())
        assert asked.wait() == {"type": "websocket.connect"}
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
        client.socket.settimeout(10)
        go.happen(None)
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")


def test_W4_accept_need_not_wait_for_connect(serve: Serve) -> None:
    events: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await send(said("first"))
        events.extend([await receive(), await receive()])

    with serve(app) as server, WebSocket(server.address) as client:
        client.open()
        assert client.message() == "first"
        client.say_goodbye()
    assert [event["type"] for event in events] == ["websocket.connect", "websocket.disconnect"]


@pytest.mark.parametrize("ahead", [1, 100, 20_000])
def test_W5_messages_that_come_before_accept_wait_for_it(serve_twice: Serve, ahead: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() == {"type": "websocket.connect"}
        early = asyncio.ensure_future(receive())
        done, _ = await asyncio.wait([early], timeout=0.05)
        assert not done
        await send(ACCEPT)
        assert (await early)["text"] == "0"
        for number in range(1, ahead):
            assert (await receive())["text"] == str(number)
        await send(said("all"))

    with serve_twice(app) as server, WebSocket(server.address) as client:
        client.send(upgrade() + b"".join(text(str(number)) for number in range(ahead)))
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert client.message() == "all"


def test_W5_close_that_comes_before_accept(serve: Serve) -> None:
    events: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(0.02)
        await send(ACCEPT)
        with pytest.raises(ClientDisconnected):
            await send(said("too late"))
        events.extend([await receive(), await receive()])

    with serve(app) as server, WebSocket(server.address) as client:
        client.send(upgrade() + text("hello") + close(4001, b"in a hurry"))
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert client.closing() == (4001, "")
        assert client.closed()
    assert events == [
        {"type": "websocket.receive", "text": "hello"},
        {"type": "websocket.disconnect", "code": 4001, "reason": "in a hurry"},
    ]


def test_W6_close_before_accept_is_403(serve: Serve) -> None:
    events: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4000, "reason": "nobody is told"})
        events.append(await receive())
        await send({"type": "websocket.close"})  # closed is closed
        for late in (ACCEPT, said("late")):
            with pytest.raises(RuntimeError):
                await send(late)

    with serve(app) as server, WebSocket(server.address) as client:
        response = client.ask(upgrade())
        assert (response.status, response["connection"]) == (403, "close")
        assert client.closed()
    assert events == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


def test_W7_subprotocol_is_told_and_none_otherwise(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        chosen = {"/none": None, "/last": scope["subprotocols"][-1]}.get(scope["path"], "absent")
        await send(ACCEPT if chosen == "absent" else {**ACCEPT, "subprotocol": chosen})

    with serve(app) as server:
        for path, expected in (("/", []), ("/none", []), ("/last", ["b"])):
            with WebSocket(server.address) as client:
                response = client.open(path, "Sec-WebSocket-Protocol: a, b")
                assert response.all("sec-websocket-protocol") == expected


def test_W7_headers_keep_their_order(serve: Serve) -> None:
    headers = [
        (b"X-First", b"1"),
        (b"set-cookie", b"a=1; Path=/"),
        (b"x-between", b"2"),
        [b"set-cookie", b"b=2"],
        (b"x-first", b"3"),
    ]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({**ACCEPT, "headers": (pair for pair in headers)})

    with serve(app) as server, WebSocket(server.address) as client:
        response = client.open()
        names = (b"x-first", b"set-cookie", b"x-between")
        found = [(name, value) for name, value in response.headers if name in names]
        assert found == [(name.lower(), value) for name, value in headers]
        assert response["server"] == "asgiserve"
        assert "date" in response


WRONG_ACCEPTS: dict[str, Any] = {
    "pseudo-header": {"headers": [(b":status", b"101")]},
    "subprotocol-as-header": {"headers": [(b"sec-websocket-protocol", b"a")]},
    "subprotocol-as-header-in-capitals": {"headers": [(b"Sec-WebSocket-Protocol", b"a")]},
    "accept-as-header": {"headers": [(b"sec-websocket-accept", b"a")]},
    "extensions-as-header": {"headers": [(b"sec-websocket-extensions", b"permessage-deflate")]},
    "upgrade-as-header": {"headers": [(b"upgrade", b"h2c")]},
    "line-end-in-a-header": {"headers": [(b"x-a", b"1\r\nx-b: 2")]},
    "header-is-str": {"headers": [("x-a", "1")]},
    "header-is-no-pair": {"headers": [(b"x-a",)]},
    "headers-are-a-number": {"headers": 1},
    "subprotocol-that-was-not-offered": {"subprotocol": "c"},
    "subprotocol-is-bytes": {"subprotocol": b"a"},
    "subprotocol-is-empty": {"subprotocol": ""},
}


@pytest.mark.parametrize("wrong", WRONG_ACCEPTS.values(), ids=WRONG_ACCEPTS)
def test_W7_wrong_accept_is_refused_and_changes_nothing(serve_twice: Serve, wrong: Message) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with pytest.raises(REJECTION):
            await send({**ACCEPT, "headers": [(b"x-leak", b"1")], **wrong})
        await send({**ACCEPT, "subprotocol": "a"})
        await send(said("works"))

    with serve_twice(app) as server, WebSocket(server.address) as client:
        response = client.open("/", "Sec-WebSocket-Protocol: a, b")
        assert response["sec-websocket-protocol"] == "a"
        assert "x-leak" not in response
        assert client.message() == "works"


def test_W7_fields_that_frame_a_message_have_no_place_in_a_101(serve: Serve) -> None:
    """Those of HTTP responses that the server decides on are its own here, too."""
    framing = [(b"content-length", b"5"), (b"transfer-encoding", b"chunked"), (b"connection", b"close")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({**ACCEPT, "headers": framing})
        await send(said("hello"))

    with serve(app) as server, WebSocket(server.address) as client:
        response = client.open()
        assert "content-length" not in response
        assert "transfer-encoding" not in response
        assert client.message() == "hello"


# Messages


def test_W8_exactly_one_of_text_and_bytes(serve: Serve) -> None:
    events: list[Message] = []

    async def app(receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "websocket.receive":
            events.append(message)

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        client.send(text("κόσμε") + binary(b"\xff") + text("") + binary(b""))
        client.say_goodbye()
    assert events == [
        {"type": "websocket.receive", "text": "κόσμε"},
        {"type": "websocket.receive", "bytes": b"\xff"},
        {"type": "websocket.receive", "text": ""},
        {"type": "websocket.receive", "bytes": b""},
    ]


SENT: dict[str, tuple[Any, Frame]] = {
    "text": ({"text": "κόσμε"}, Frame(TEXT, "κόσμε".encode())),
    "bytes": ({"bytes": b"\xff\x00"}, Frame(BINARY, b"\xff\x00")),
    "empty-text": ({"text": ""}, Frame(TEXT)),
    "empty-bytes": ({"bytes": b""}, Frame(BINARY)),
    "text-and-bytes-None": ({"text": "a", "bytes": None}, Frame(TEXT, b"a")),
    "bytes-and-text-None": ({"bytes": b"a", "text": None}, Frame(BINARY, b"a")),
    "empty-bytes-and-text-None": ({"bytes": b"", "text": None}, Frame(BINARY)),
    "bytearray": ({"bytes": bytearray(b"a")}, Frame(BINARY, b"a")),
    "memoryview": ({"bytes": memoryview(b"a")}, Frame(BINARY, b"a")),
    "unknown-keys": ({"text": "a", "compress": False}, Frame(TEXT, b"a")),
    "length-of-16-bits": ({"bytes": b"a" * 126}, Frame(BINARY, b"a" * 126)),
    "length-of-64-bits": ({"bytes": b"a" * 65536}, Frame(BINARY, b"a" * 65536)),
    "large": ({"bytes": b"ab" * 500_000}, Frame(BINARY, b"ab" * 500_000)),
}


@pytest.mark.parametrize(("message", "expected"), SENT.values(), ids=SENT)
def test_W9_one_message_is_one_frame(serve_twice: Serve, message: Message, expected: Frame) -> None:
    async def app(receive: Receive, send: Send) -> None:
        await send({"type": "websocket.send", **message})

    with serve_twice(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        assert client.frame() == expected
        assert client.closing() == (1000, "")


#: Events that are wrong once the WebSocket is open.
WRONG: dict[str, Any] = {
    "A8-unknown-type": {"type": "websocket.sned", "text": "leak"},
    "A8-event-of-receive": {"type": "websocket.receive", "text": "leak"},
    "A8-event-of-http": {"type": "http.response.body", "body": b"leak"},
    "A9-no-type": {"text": "leak"},
    "W9-neither": {"type": "websocket.send"},
    "W9-both-None": {"type": "websocket.send", "text": None, "bytes": None},
    "W9-both": {"type": "websocket.send", "text": "leak", "bytes": b"leak"},
    "W9-both-empty": {"type": "websocket.send", "text": "", "bytes": b""},
    "A10-text-is-bytes": {"type": "websocket.send", "text": b"leak"},
    "A10-bytes-is-str": {"type": "websocket.send", "bytes": "leak"},
    "A10-bytes-is-a-number": {"type": "websocket.send", "bytes": 4},
    "A10-text-is-no-unicode": {"type": "websocket.send", "text": "leak\ud800"},
    "W11-code-of-nobody": {"type": "websocket.close", "code": 1005},
    "W11-code-out-of-range": {"type": "websocket.close", "code": 70000},
    "W11-code-is-str": {"type": "websocket.close", "code": "1000"},
    "W11-reason-too-long": {"type": "websocket.close", "reason": "x" * 124},
    "W11-reason-is-bytes": {"type": "websocket.close", "reason": b"leak"},
    "W16-second-accept": ACCEPT,
    "W16-denial-after-accept": {"type": "websocket.http.response.start", "status": 200},
    "W16-body-of-a-denial": {"type": "websocket.http.response.body", "body": b"leak"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_event_is_refused_and_changes_nothing(serve_twice: Serve, wrong: Message) -> None:
    async def app(receive: Receive, send: Send) -> None:
        for answer in ("one", "two"):
            with pytest.raises(REJECTION):
                await send(wrong)
            await send(said(answer))

    with serve_twice(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        assert client.frame() == Frame(TEXT, b"one")
        assert client.frame() == Frame(TEXT, b"two")
        assert client.closing() == (1000, "")


#: Events that are wrong before the WebSocket is open.
WRONG_FIRST: dict[str, Any] = {
    "A8-unknown-type": {"type": "websocket.acept"},
    "A8-event-of-http": {"type": "http.response.start", "status": 200},
    "A9-no-type": {"subprotocol": None},
    "W16-send-before-accept": said("leak"),
    "X1-body-first": {"type": "websocket.http.response.body", "body": b"leak"},
    "X1-no-status": {"type": "websocket.http.response.start"},
    "X1-status-is-str": {"type": "websocket.http.response.start", "status": "401"},
    "X1-header-is-str": {"type": "websocket.http.response.start", "status": 401, "headers": [("a", "b")]},
}


@pytest.mark.parametrize("wrong", WRONG_FIRST.values(), ids=WRONG_FIRST)
def test_wrong_first_event_is_refused_and_changes_nothing(serve_twice: Serve, wrong: Message) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with pytest.raises(REJECTION):
            await send(wrong)
        await send(ACCEPT)
        await send(said("works"))

    with serve_twice(app) as server, WebSocket(server.address) as client:
        client.open()
        assert client.message() == "works"


def test_W10_pings_are_answered_and_fragments_joined_while_the_application_is_busy(serve: Serve) -> None:
    go: Moment[None] = Moment()
    events: list[Message] = []

    async def app(receive: Receive, send: Send) -> None:
        await go
        events.append(await receive())

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        one, *rest = fragments(TEXT, b"a", b"b", b"c")
        client.send(one + frame(PING, b"are you there?") + b"".join(rest) + frame(PONG, b"unasked"))
        assert client.frame() == Frame(PONG, b"are you there?")
        go.happen(None)
        assert client.closing() == (1000, "")
    assert events == [{"type": "websocket.receive", "text": "abc"}]


# The end


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({}, (1000, "")),
        ({"code": 1001}, (1001, "")),
        ({"code": 4999, "reason": "κόσμε"}, (4999, "κόσμε")),
        ({"code": 3000, "reason": None}, (3000, "")),
        ({"code": None, "reason": ""}, (1000, "")),
        ({"reason": "x" * 123}, (1000, "x" * 123)),
    ],
)
def test_W11_W12_close_by_the_application(serve: Serve, event: Message, expected: tuple[int, str]) -> None:
    """It gets its own code, whatever the client answers."""
    events: list[Message] = []

    async def app(receive: Receive, send: Send) -> None:
        await send(said("hello"))
        await send({"type": "websocket.close", **event})
        await send({"type": "websocket.close", "code": 4444})  # it is closed already
        events.extend([await receive(), await receive()])

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        assert client.message() == "hello"
        assert client.closing() == expected
        client.send(text("crosses") + close(4001, b"another"))
        assert client.closed()
    code, reason = expected
    assert events == [{"type": "websocket.disconnect", "code": code, "reason": reason}] * 2


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (close(1001, b"going away"), 1001, "going away"),
        (frame(CLOSE), NO_CODE, ""),
        (frame(CONTINUATION), 1002, None),
        (b"", 1006, ""),
    ],
    ids=["code-and-reason", "1005", "1002", "1006"],
)
def test_W12_messages_come_before_the_disconnect(
    serve: Serve, data: bytes, code: int, reason: str | None
) -> None:
    """All that the client sent before its end is received, however late the application asks."""
    events: list[Message] = []
    go: Moment[None] = Moment()
    done: Moment[None] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        await go
        while len(events) < 13:
            events.append(await receive())
        done.happen(None)

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        client.send(b"".join(text(str(number)) for number in range(10)) + data)
        if data:
            client.closing()
        client.end()
        assert client.ended()
        go.happen(None)
        done.wait()
    assert [event.get("text") for event in events[:10]] == [str(number) for number in range(10)]
    assert events[10] == events[11] == events[12]
    assert (events[10]["type"], events[10]["code"]) == ("websocket.disconnect", code)
    if reason is not None:
        assert events[10]["reason"] == reason


def test_W12_more_messages_than_wait_for_the_application_come_before_the_disconnect(serve: Serve) -> None:
    received: Moment[list[Message]] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        events = [await receive()]
        while events[-1]["type"] == "websocket.receive":
            await asyncio.sleep(0)
            events.append(await receive())
        received.happen(events)

    with serve(on_websocket(app), ws_max_queue=3) as server, WebSocket(server.address) as client:
        client.open()
        client.send(b"".join(text(str(number)) for number in range(500)) + close(4002, b"done"))
        events = received.wait()
        assert client.closing() == (4002, "")
        assert client.closed()
    assert [event.get("text") for event in events[:-1]] == [str(number) for number in range(500)]
    assert events[-1] == {"type": "websocket.disconnect", "code": 4002, "reason": "done"}


def test_W12_connection_that_is_reset(serve: Serve) -> None:
    received: Moment[Message] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        received.happen(await receive())

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        client.reset()
        assert received.wait() == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


@pytest.mark.parametrize("leave", ["close", "reset", "goodbye"])
def test_W13_E17_send_raises_an_OSError_once_the_client_has_left(serve: Serve, leave: str) -> None:
    """Each time, and nothing is logged of it when the application lets it out."""
    raised: list[BaseException] = []
    over: Moment[None] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.disconnect"
        for _ in range(3):
            with pytest.raises(OSError) as caught:
                await send(said("to nobody"))
            raised.append(caught.value)
        await send({"type": "websocket.close"})  # what is closed may be closed
        over.happen(None)
        await send({"type": "websocket.send", "bytes": b"to nobody"})

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        if leave == "goodbye":
            client.say_goodbye()
        else:
            getattr(client, leave)()
        over.wait()
    assert [type(error) for error in raised] == [ClientDisconnected] * 3


def test_W13_race_of_a_stream_with_a_client_that_leaves_is_not_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """The application only sends, and lets out what it gets: the server catches it."""
    ended: Moment[BaseException] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        try:
            while True:
                await send(said("x" * 100))
        except BaseException as error:
            ended.happen(error)
            raise

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        client.message()
        client.reset()
        assert type(ended.wait()) is ClientDisconnected
    assert not [line for line in server.records.lines if "raised" in line]
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_W13_error_that_has_nothing_to_do_with_the_end_is_logged_behind_it(serve_twice: Serve) -> None:
    async def app(receive: Receive, send: Send) -> None:
        await receive()
        raise LookupError("of the application")

    with serve_twice(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        client.say_goodbye()
        server.records.wait("ERROR", "WebSocket '/'", "LookupError: of the application")


def test_W14_return_closes_with_1000(serve: Serve) -> None:
    async def app(receive: Receive, send: Send) -> None:
        await receive()

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        client.send(text("the last"))
        assert client.closing() == (1000, "")
        client.send(close(1000))
        assert client.closed()


def test_W14_return_closes_with_messages_and_a_close_that_nobody_took(serve: Serve) -> None:
    """The client has closed as well, behind more messages than wait for the application: nobody waits."""
    go: Moment[None] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        await go

    with serve(on_websocket(app), ws_max_queue=2) as server, WebSocket(server.address) as client:
        client.open()
        client.send(text("nobody takes this") * 20 + close(4000))
        client.send(frame(PING))
        go.happen(None)
        assert client.closing() == (1000, "")
        client.socket.settimeout(2)  # less than the server waits for the answer to its own
        assert client.closed()


def test_W14_return_closes_with_messages_that_nobody_took_and_waits_for_the_close(serve: Serve) -> None:
    go: Moment[None] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        await go

    with serve(on_websocket(app), ws_max_queue=2) as server, WebSocket(server.address) as client:
        client.open()
        client.send(text("nobody takes this") * 20)
        go.happen(None)
        assert client.closing() == (1000, "")
        client.send(text("nor this") * 20 + frame(PING))
        client.send(close(1000))
        client.socket.settimeout(2)
        assert client.closed()


def test_W14_crash_closes_with_1011_and_is_logged_once(serve: Serve) -> None:
    async def app(receive: Receive, send: Send) -> None:
        await send(said("before"))
        raise LookupError("of the application")

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open("/crash")
        assert client.message() == "before"
        assert client.closing() == (1011, "")
        client.send(close(1011))
        assert client.closed()
        line = server.records.wait("ERROR", "WebSocket '/crash'")
        assert line.count("Traceback") == 1
        assert "LookupError: of the application" in line
    assert len([line for line in server.records.lines if "LookupError" in line]) == 1


def test_W14_crash_before_the_accept_is_sent_off_in_the_same_turn(serve: Serve) -> None:
    """What is written together arrives in its order: the 101, a message, and the end."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await send(said("hello"))
        raise LookupError("at once")

    with serve(app) as server, WebSocket(server.address) as client:
        client.open()
        assert client.message() == "hello"
        assert client.closing() == (1011, "")
        server.records.wait("LookupError")


def test_W14_return_without_an_answer_to_the_handshake_is_500(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    with serve(app) as server, WebSocket(server.address) as client:
        response = client.ask(upgrade())
        assert (response.status, response["connection"]) == (500, "close")
        assert client.closed()
        server.records.wait("without an answer to the handshake")


def test_W14_application_goes_on_after_the_end_of_the_socket_as_long_as_it_likes(serve_twice: Serve) -> None:
    left: Moment[None] = Moment()
    ended: Moment[None] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.disconnect"
        left.happen(None)
        await asyncio.sleep(1.2)
        ended.happen(None)

    with serve_twice(on_websocket(app), response_timeout=0.5) as server, WebSocket(server.address) as client:
        client.open()
        client.say_goodbye()
        left.wait()
        ended.wait()


def test_W15_crash_before_the_answer_to_the_handshake_is_500(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise LookupError("of the application")

    with serve(app) as server, WebSocket(server.address) as client:
        response = client.ask(upgrade("/crash"))
        assert (response.status, response["connection"]) == (500, "close")
        assert b"LookupError" not in response.body
        assert client.closed()
        server.records.wait("ERROR", "WebSocket '/crash'", "LookupError: of the application")


# Several tasks


def test_several_tasks_send(serve: Serve) -> None:
    """Whole messages, each task's in their order, also while the client reads slowly."""
    count, size = 20, 30_000

    async def app(receive: Receive, send: Send) -> None:
        async def talk(name: int) -> None:
            for number in range(count):
                await send(said(f"{name} {number} {'x' * size}"))

        await asyncio.gather(*(talk(name) for name in range(5)))

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        numbers: dict[str, list[int]] = {}
        for _ in range(5 * count):
            name, number, rest = str(client.message()).split(" ")
            assert rest == "x" * size
            numbers.setdefault(name, []).append(int(number))
        assert client.closing() == (1000, "")
    assert numbers == {str(name): list(range(count)) for name in range(5)}


def test_two_tasks_receive(serve: Serve) -> None:
    """Each message goes to one of them, and the end to both."""
    received: list[str] = []

    async def app(receive: Receive, send: Send) -> None:
        async def listen() -> int:
            while (message := await receive())["type"] == "websocket.receive":
                received.append(message["text"])
                await asyncio.sleep(0)
            return int(message["code"])

        assert set(await asyncio.gather(listen(), listen())) == {4000}

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        client.send(b"".join(text(str(number)) for number in range(200)))
        client.send(close(4000))
        assert client.closing() == (4000, "")
    assert sorted(map(int, received)) == list(range(200))


def test_cancelling_receive_loses_no_message(serve: Serve) -> None:
    received: list[str] = []
    timeouts = itertools.count()

    async def app(receive: Receive, send: Send) -> None:
        while True:
            try:
                message = await asyncio.wait_for(receive(), 0.001)
            except TimeoutError:
                next(timeouts)
                continue
            if message["type"] == "websocket.disconnect":
                return
            received.append(message["text"])

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        for number in range(300):
            client.send(text(str(number)))
            if number % 10 == 0:
                time.sleep(0.003)
        client.say_goodbye()
    assert received == [str(number) for number in range(300)]
    assert next(timeouts) > 0


def test_receive_and_send_at_once(serve: Serve) -> None:
    """One task reads what comes while another one sends: both to the end."""

    async def app(receive: Receive, send: Send) -> None:
        async def talk() -> None:
            for number in range(200):
                await send(said(str(number)))
                await asyncio.sleep(0)

        talking = asyncio.create_task(talk())
        for number in range(200):
            assert (await receive())["text"] == str(number)
        await talking

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        for number in range(200):
            client.send(text(str(number)))
            assert client.message() == str(number)
        assert client.closing() == (1000, "")


def test_echo_of_both_kinds(serve: Serve) -> None:
    with serve(echo) as server, WebSocket(server.address) as client:
        client.open()
        for data, answer in ((text("κόσμε"), "κόσμε"), (binary(b"\xff" * 1000), b"\xff" * 1000)):
            client.send(data)
            assert client.message() == answer
        client.say_goodbye()
