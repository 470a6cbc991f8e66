"""WebSockets of a server that stops, is replaced, or has enough of them; and what is counted of them."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.asgiserve.applications import Receive, Scope, Send, answer, tell
from tests.asgiserve.conftest import COMBINATIONS
from tests.asgiserve.program import Program
from tests.asgiserve.raw import GET, eventually, get
from tests.asgiserve.scraping import ANNOUNCEMENT, Endpoint
from tests.asgiserve.serving import Moment, Serve
from tests.asgiserve.websocket import (
    PING,
    Frame,
    WebSocket,
    close,
    echo,
    on_websocket,
    text,
    upgrade,
)

APPLICATION = f"{__name__}:app"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """What subprocesses serve: a path for each kind of application; an HTTP request is told who answers."""
    if scope["type"] == "http":
        await answer(send, str(os.getpid()).encode())
        return
    assert scope["type"] == "websocket"
    match scope["path"]:
        case "/stubborn":
            await send({"type": "websocket.accept"})
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                tell("cancelled")
                raise
        case "/unanswered":
            tell("asked")
            await receive()
            message = await receive()
            tell(f"told {message['type']} {message['code']}")
        case _:
            await send({"type": "websocket.accept"})
            message = await receive()
            while message["type"] != "websocket.disconnect":
                if message["type"] == "websocket.receive":
                    await send({"type": "websocket.send", "text": f"{os.getpid()} {message['text']}"})
                message = await receive()
            tell(f"told {message['type']} {message['code']}")


def connect(server: Program) -> WebSocket:
    """A new connection to a process."""
    host, _, port = server.url.rpartition("/")[2].rpartition(":")
    return WebSocket((host, int(port)))


@pytest.mark.parametrize(("http", "loop"), COMBINATIONS)
def test_W14_sigterm_closes_with_1012(http: str, loop: str) -> None:
    """Both sides are told, and the process ends as soon as they have answered."""
    settings = ("--http", http, "--loop", loop, "--shutdown-timeout", "20")
    with Program(APPLICATION, *settings) as server, connect(server) as client, connect(server) as mute:
        for each in (client, mute):
            each.open()
        client.send(text("hello"))
        assert str(client.message()).endswith(" hello")
        server.signal(signal.SIGTERM)
        assert client.closing() == (1012, "")
        server.wait_for("told websocket.disconnect 1012", times=2)
        client.send(close(1012))
        assert client.closed()
        mute.close()
        assert server.exit_code() == 0
        assert "cancel" not in server.output
        assert "Traceback" not in server.output


def test_client_that_does_not_answer_does_not_hold_up_the_end() -> None:
    with Program(APPLICATION, "--shutdown-timeout", "1") as server, connect(server) as client:
        client.open()
        server.signal(signal.SIGTERM)
        assert client.closing() == (1012, "")
        assert server.exit_code() == 0
        assert client.ended()


def test_application_that_ignores_the_end_is_cancelled() -> None:
    with Program(APPLICATION, "--shutdown-timeout", "1") as server, connect(server) as client:
        client.open("/stubborn")
        server.signal(signal.SIGTERM)
        assert client.closing() == (1012, "")
        client.send(close(1012))
        assert client.closed()
        server.wait_for("cancelling 1 request that did not end")
        server.wait_for("cancelled")
        assert server.exit_code() == 0
        assert "Traceback" not in server.output


def test_second_signal_ends_websockets_at_once() -> None:
    with Program(APPLICATION, "--shutdown-timeout", "0") as server, connect(server) as client:
        client.open("/stubborn")
        server.signal(signal.SIGTERM)
        assert client.closing() == (1012, "")
        assert server.process.poll() is None
        server.signal(signal.SIGTERM)
        assert client.ended()
        server.wait_for("cancelled")
        assert server.exit_code() == 0


def test_handshake_that_is_not_answered_when_the_server_stops() -> None:
    """It is a request in progress: it has its time, and is then told that the client has left."""
    with Program(APPLICATION, "--shutdown-timeout", "1") as server, connect(server) as client:
        client.send(upgrade("/unanswered"))
        server.wait_for("asked")
        server.signal(signal.SIGTERM)
        server.wait_for("told websocket.disconnect 1006")
        assert client.ended()
        assert server.exit_code() == 0


def test_websocket_that_is_accepted_while_the_server_drains_is_closed(serve: Serve) -> None:
    go: Moment[None] = Moment()
    begun: Moment[None] = Moment()
    codes: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.happen(None)
        await go
        await send({"type": "websocket.accept"})
        await receive()
        codes.append((await receive())["code"])

    with serve(app) as server, WebSocket(server.address) as client:
        client.send(upgrade())
        begun.wait()
        server.stop()
        server.records.wait("waiting for 1 request")
        go.happen(None)
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert client.closing() == (1012, "")
        client.send(close(1012))
        assert client.closed()
    assert codes == [1012]


def test_crash_while_the_server_drains_is_1012_to_the_client(serve_twice: Serve) -> None:
    """And logged as any other."""

    async def app(receive: Receive, send: Send) -> None:
        assert (await receive())["code"] == 1012
        raise LookupError("of the application")

    with serve_twice(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        server.stop()
        assert client.closing() == (1012, "")
        server.records.wait("LookupError: of the application")


def test_shutdown_delay_leaves_websockets_their_time(serve_twice: Serve) -> None:
    """They go on for as long as it lasts, and new ones too."""
    with serve_twice(echo, shutdown_delay=1.0) as server, WebSocket(server.address) as old:
        old.open()
        server.stop()
        server.records.wait("shutdown_delay")
        with WebSocket(server.address) as new:
            new.open()
            for client in (old, new):
                client.send(text("still there"))
                assert client.message() == "still there"
            for client in (old, new):
                assert client.closing() == (1012, "")
                client.send(close(1012))
                assert client.closed()


def test_retiring_worker_closes_its_websockets_after_a_while() -> None:
    """They have the five seconds of idle connections, and come again to the worker that took over."""
    with (
        Program(APPLICATION, "--max-requests", "3", "--shutdown-timeout", "20") as server,
        connect(server) as client,
    ):
        client.open()
        client.send(text("?"))
        pid = str(client.message()).split()[0]
        for _ in range(2):
            server.ask()  # with the handshake, these are three
        assert eventually(lambda: server.ask().body.decode() != pid)
        client.send(text("?"))
        assert client.message() == f"{pid} ?"
        assert client.closing() == (1012, "")
        client.send(close(1012))
        assert client.closed()
        server.wait_for("told websocket.disconnect 1012")
        with connect(server) as another:
            another.open()
            another.send(text("?"))
            assert str(another.message()).split()[0] != pid
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


# Limits of load


def test_limit_concurrency_counts_websockets_and_denies_more_of_them(serve_twice: Serve) -> None:
    with (
        serve_twice(echo, limit_concurrency=1) as server,
        WebSocket(server.address) as first,
        WebSocket(server.address) as second,
    ):
        first.open()
        response = second.ask(upgrade())
        assert (response.status, response["retry-after"]) == (503, "1")
        assert second.closed()
        assert server.ask(GET).status == 503
        first.say_goodbye()

        def is_free() -> bool:
            with WebSocket(server.address) as third:
                return third.ask(upgrade()).status == 101

        assert eventually(is_free)


def test_limit_connections_counts_websockets(serve_twice: Serve) -> None:
    with (
        serve_twice(echo, limit_connections=2) as server,
        WebSocket(server.address) as first,
        WebSocket(server.address) as second,
        WebSocket(server.address) as third,
    ):
        first.open()
        second.open()
        third.send(upgrade())
        third.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            third.read()
        third.socket.settimeout(10)
        second.say_goodbye()
        second.close()
        assert third.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")


# What is counted


def test_metrics_of_websockets(serve_twice: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/no":
            await send({"type": "websocket.close"})
        else:
            await echo(scope, receive, send)

    settings = {"ws_ping_interval": 0.1, "ws_ping_timeout": 0.5}
    with serve_twice(app, metrics="127.0.0.1:0", **settings) as server:
        endpoint = Endpoint(server.records.wait(ANNOUNCEMENT))
        with WebSocket(server.address) as client, WebSocket(server.address) as silent:
            client.open()
            silent.open()
            endpoint.settles_at({("connections", "websocket"): 2, ("requests_in_progress",): 2})
            with WebSocket(server.address) as other:
                assert other.ask(upgrade("/no")).status == 403
                with WebSocket(server.address) as wrong:
                    assert wrong.ask(upgrade(version="8")).status == 426
            assert silent.frame() == Frame(PING)
            assert silent.closing()[0] == 1011
            assert silent.ended()
        endpoint.settles_at(
            {
                ("connections", "websocket"): 0,
                ("requests_in_progress",): 0,
                ("requests_total", "1xx"): 2,
                ("requests_total", "4xx"): 2,
                ("request_duration_seconds_count",): 3,
            }
        )
        assert endpoint.samples()["timeouts_total", "ping"] >= 1


def test_requests_and_websockets_side_by_side(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await echo(scope, receive, send)
        else:
            await answer(send, scope["path"].encode())

    with serve(app) as server, WebSocket(server.address) as client:
        client.open()
        for number in range(20):
            client.send(text(str(number)))
            assert server.ask(get(f"/{number}")).body == b"/%d" % number
            assert client.message() == str(number)
        client.say_goodbye()
