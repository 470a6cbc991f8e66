"""Deadlines of WebSockets: pings, and clients that do not read, do not answer a Close, or do not leave."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import time
from typing import Any

import pytest

from asgiserve import ClientDisconnected
from tests.asgiserve.applications import App, Message, Receive, Scope, Send
from tests.asgiserve.raw import Client, eventually, get
from tests.asgiserve.serving import Moment, Serve, Serving, serve_on
from tests.asgiserve.websocket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    WebSocket,
    close,
    echo,
    frame,
    on_websocket,
    text,
)

#: Seconds that a client has to answer a Close, by asgiserve.websocket.connection.
CLOSE_WAIT = 5.0

#: The shortest deadlines: with the sweeps, each passes after 0.35 to 0.6 s.
SHORT = 0.1
PINGS = {"ws_ping_interval": SHORT, "ws_ping_timeout": SHORT}


def with_clock(app: App) -> App:
    """The application, and requests that are never answered, so that their deadline tells the time."""

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await app(scope, receive, send)
        else:
            await asyncio.Event().wait()

    return both


def let_pass(server: Serving, beats: int = 3) -> None:
    """Let time pass on the server's clock, which a busy machine does not hurry: 0.35 s and more each."""
    for _ in range(beats):
        assert server.ask(get("/stuck")).status == 503
        server.records.wait("response_timeout")


def is_ended(client: Client) -> bool:
    """Whether the server has closed or reset the connection, whatever came before that was not read."""
    poll = select.poll()
    poll.register(client.socket, select.POLLRDHUP)
    return bool(poll.poll(0))


def buffer_of(client: Client, size: int) -> None:
    """Let the client's kernel take no more than this off the server's hands."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


class SlowReader(WebSocket):
    """A client that reads as slowly as it is told."""

    def read_slowly(self, size: int, seconds: float) -> None:
        """Take this long for this much, which can then be read again."""
        begin = time.monotonic()
        pieces = [self._behind]
        taken = 0
        while taken < size:
            pieces.append(self.socket.recv(10_000))
            assert pieces[-1], "the connection was cut"
            taken += len(pieces[-1])
            time.sleep(max(0.0, seconds * taken / size - (time.monotonic() - begin)))
        self._behind = b"".join(pieces)


# Clients that do not read


@pytest.mark.parametrize("kind", ["silent", "sends-pongs", "half-closes"])
@pytest.mark.parametrize("size", [50, 100_000])
def test_client_that_reads_nothing_is_cut(serve_twice: Serve, size: int, kind: str) -> None:
    """`write_timeout` after the last that it took, whatever it sends; and `send` raises."""
    ended: Moment[BaseException] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        try:
            while True:
                await send({"type": "websocket.send", "bytes": b"x" * size})
        except OSError as error:
            assert (await receive())["code"] == 1006
            ended.happen(error)

    with (
        serve_twice(on_websocket(app), write_timeout=0.5, ws_ping_interval=SHORT) as server,
        WebSocket(server.address) as client,
    ):
        buffer_of(client, 4096)
        client.open()
        if kind == "half-closes":
            client.end()

        def is_cut() -> bool:
            if kind == "sends-pongs":
                with contextlib.suppress(ConnectionError):
                    client.send(frame(PONG))
            return ended.happened

        assert eventually(is_cut)
        assert type(ended.wait()) is ClientDisconnected
        if kind != "half-closes":
            assert client.ended()
            server.records.wait("the client does not read")


def test_pings_of_a_client_that_does_not_read_are_not_collected(serve: Serve) -> None:
    """Of what it did not take only the last ping has to be answered: RFC 6455, Section 5.5.3."""
    arrived: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        message = await receive()
        arrived.happen(None)
        await send({"type": "websocket.send", "text": message["text"]})
        await receive()

    with serve(on_websocket(handler)) as server, WebSocket(server.address) as client:
        buffer_of(client, 16384)
        client.open()
        ping = frame(PING, b"x" * 125)
        for _ in range(100):
            client.send(ping * 500)
        client.send(frame(PING, b"the last") + text("done"))
        arrived.wait()  # and so have the pings before it
        buffer_of(client, 1_000_000)  # or TCP waits: windows below a segment cost 27 s
        pongs = []
        while (found := client.frame()) != Frame(TEXT, b"done"):
            assert found.opcode == PONG
            pongs.append(found.payload)
        if pongs[-1] != b"the last":  # it may come behind the answer to the text
            assert client.frame() == Frame(PONG, b"the last")
        assert len(pongs) < 50_000


# Clients that are slow at the end


def test_clients_that_are_slow_at_the_end() -> None:
    """All at once, on one parser and one loop alone, because it takes the time that the server gives them."""
    size = 3_000_000

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/echo":
            await echo(scope, receive, send)
            return
        await send({"type": "websocket.accept"})
        if scope["path"] != "/return":
            await send({"type": "websocket.send", "bytes": b"x" * size})
        if scope["path"] == "/wait":
            while (await receive())["type"] != "websocket.disconnect":
                pass

    serve = serve_on("httptools", "uvloop")
    with (
        serve(app, ws_ping_interval=0) as server,
        WebSocket(server.address) as no_answer,
        WebSocket(server.address) as other_answers,
        WebSocket(server.address) as no_end,
        WebSocket(server.address) as no_end_after_a_fault,
        SlowReader(server.address) as slow,
        SlowReader(server.address) as slow_to_leave,
    ):
        buffer_of(slow, 65536)
        slow.open("/large")
        slow.read_slowly(100_000, 0.0)
        buffer_of(slow_to_leave, 65536)
        slow_to_leave.open("/wait")
        slow_to_leave.send(close(4000))
        slow_to_leave.read_slowly(100_000, 0.0)
        for client in (no_answer, other_answers):
            client.open("/return")
            assert client.closing() == (1000, "")
        begin = time.monotonic()
        for client, data, code in ((no_end, close(1000), 1000), (no_end_after_a_fault, b"\xff\xff", 1002)):
            client.open("/echo")
            client.send(data)
            assert client.closing()[0] == code
            assert client.closed()  # half of it: the server waits for the client's end

        def is_over() -> bool:
            with contextlib.suppress(ConnectionError):
                other_answers.send(frame(PING) + text("never ends"))
                no_end_after_a_fault.send(b"x" * 1000)
            for client in (slow, slow_to_leave):
                client.read_slowly(10_000, 0.02)
            return is_ended(no_answer) and is_ended(other_answers)

        assert eventually(is_over, 4 * CLOSE_WAIT)
        assert time.monotonic() - begin > CLOSE_WAIT - 1
        hung_up = select.poll()  # both halves are closed, or it is reset
        for client in (no_end, no_end_after_a_fault):
            hung_up.register(client.socket, 0)
        assert eventually(lambda: len(hung_up.poll(0)) == 2)
        for client, code in ((slow, 1000), (slow_to_leave, 4000)):
            assert client.frame() == Frame(BINARY, b"x" * size)
            assert client.closing() == (code, "")
        slow.send(close(1000))
        assert slow.closed()
        assert slow_to_leave.closed()


# Pings


def test_client_that_answers_pings_lives(serve_twice: Serve) -> None:
    with serve_twice(echo, **PINGS) as server, WebSocket(server.address) as client:
        client.open()
        for _ in range(4):
            assert client.frame() == Frame(PING)
            client.send(frame(PONG))
        client.say_goodbye()


def test_client_that_sends_anything_lives(serve_twice: Serve) -> None:
    """Also if it never answers a ping."""
    with serve_twice(echo, **PINGS) as server, WebSocket(server.address) as client:
        client.open()
        pings = 0
        while pings < 3:
            client.send(text("busy"))
            pings += client.frame() == Frame(PING)


def test_client_that_does_not_answer_a_ping_is_closed(serve: Serve) -> None:
    received: Moment[Message] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        received.happen(await receive())
        with pytest.raises(ClientDisconnected):
            await send({"type": "websocket.send", "text": "to nobody"})

    with serve(on_websocket(app), **PINGS) as server, WebSocket(server.address) as client:
        client.open()
        assert client.frame() == Frame(PING)
        assert client.closing() == (1011, "no answer to a ping")
        assert client.ended()
        server.records.wait("no answer to a ping")
        found = received.wait()
    assert found == {"type": "websocket.disconnect", "code": 1006, "reason": "no answer to a ping"}


def test_ping_finds_out_that_a_client_has_left_while_nobody_receives(serve_twice: Serve) -> None:
    """Its messages wait, so its end is not read; but a ping meets a reset."""
    go: Moment[None] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        await go
        while (await receive())["type"] != "websocket.disconnect":
            pass

    with serve_twice(on_websocket(app), ws_max_queue=2, **PINGS) as server:
        with WebSocket(server.address) as client:
            client.open()
            client.send(text("x") * 10)
        service = server.server._service
        assert service is not None
        assert eventually(lambda: not service.connections)
        go.happen(None)


def test_pings_can_be_turned_off(serve_twice: Serve) -> None:
    settings = {"ws_ping_interval": 0, "ws_ping_timeout": SHORT, "response_timeout": SHORT}
    with serve_twice(with_clock(echo), **settings) as server, WebSocket(server.address) as client:
        client.open()
        let_pass(server)
        client.send(text("hello"))
        assert client.frame() == Frame(TEXT, b"hello")


def test_pings_need_not_be_answered_where_there_is_no_timeout(serve_twice: Serve) -> None:
    settings = {"ws_ping_interval": SHORT, "ws_ping_timeout": 0, "response_timeout": SHORT}
    with serve_twice(with_clock(echo), **settings) as server, WebSocket(server.address) as client:
        client.open()
        assert client.frame() == Frame(PING)
        let_pass(server)
        client.send(text("hello"))
        assert client.frame() == Frame(TEXT, b"hello")  # no other ping before that
        client.send(frame(PONG))
        assert client.frame() == Frame(PING)


def test_client_whose_messages_wait_for_the_application_is_not_held_to_be_dead(serve_twice: Serve) -> None:
    """The server does not read, so it cannot hear."""
    go: Moment[None] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        await go
        for _ in range(10):
            assert (await receive())["type"] == "websocket.receive"

    settings: dict[str, Any] = {**PINGS, "ws_max_queue": 2, "response_timeout": SHORT}
    with (
        serve_twice(with_clock(on_websocket(app)), **settings) as server,
        WebSocket(server.address) as client,
    ):
        client.open()
        client.send(text("x") * 10)
        let_pass(server)
        go.happen(None)
        while (found := client.frame()).opcode == PING:
            pass
        assert found == Frame(CLOSE, b"\x03\xe8")


def test_slow_reader_that_has_not_come_to_the_ping_is_not_held_to_be_dead() -> None:
    """On one loop alone, because it takes its time."""
    size = 3_000_000

    async def app(receive: Receive, send: Send) -> None:
        await send({"type": "websocket.send", "bytes": b"x" * size})
        await receive()

    serve = serve_on("httptools", "uvloop")
    with (
        serve(on_websocket(app), ws_ping_interval=SHORT, ws_ping_timeout=1) as server,
        SlowReader(server.address) as client,
    ):
        buffer_of(client, 65536)
        client.open()
        client.read_slowly(size - 200_000, 3.0)
        assert client.frame() == Frame(BINARY, b"x" * size)
        assert client.frame() == Frame(PING)
        client.send(frame(PONG) + close())
