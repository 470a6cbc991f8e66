"""Every timeout: what ends, how the client and the application learn of it, and what is left alone.

Nothing here asserts that something was fast: only that it ended, and how, within `PATIENCE`.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import TypeVarTuple

import h11
import pytest

from asgiserve import ClientDisconnected, Config, Server
from asgiserve.deadlines import NEVER, Deadlines
from tests.asgiserve.applications import (
    Message,
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
from tests.asgiserve.raw import GET, PATIENCE, Client, get, post, request
from tests.asgiserve.serving import Moment, Serve, serve_on

#: A setting that is soon over, and one that never is within a test.
SOON = 0.1
LATE = 10 * PATIENCE

#: Soon over, but long enough for a client on a busy machine to begin what it is to be stopped in.
BEGUN = 0.5

#: How a client notices that a response is incomplete.
CUT = (ConnectionResetError, h11.RemoteProtocolError)

SLOW_POST = request("POST / HTTP/1.1", "Host: test", "Content-Length: 1000000")
SLOW_CHUNKED = request("POST / HTTP/1.1", "Host: test", "Transfer-Encoding: chunked")


def drip_until_closed(client: Client, data: bytes, pause: float = 0.05) -> None:
    """Send `data` a byte at a time until the server sends something or closes."""
    client.socket.settimeout(pause)
    try:
        for position in range(len(data)):
            client.send(data[position : position + 1])
            try:
                client.socket.recv(1, socket.MSG_PEEK)
                return
            except TimeoutError:
                pass
        raise AssertionError("the server has listened to everything")
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        client.socket.settimeout(PATIENCE)


# request_timeout: the head


def test_head_that_stops_is_a_408(serve_twice: Serve) -> None:
    with serve_twice(hello, request_timeout=BEGUN) as server, server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: te")
        response = client.response()
        assert (response.status, response["connection"]) == (408, "close")
        assert client.closed()


def test_head_that_drips_is_a_408(serve_twice: Serve) -> None:
    """The time is absolute: a byte now and then does not extend it."""
    with serve_twice(hello, request_timeout=BEGUN) as server, server.connect() as client:
        drip_until_closed(client, b"GET / HTTP/1.1\r\nHost: test\r\nX-A: " + b"a" * 1000)
        assert client.response().status == 408
        assert client.ended()


def test_head_of_a_later_request_has_its_own_time(serve_twice: Serve) -> None:
    with (
        serve_twice(hello, request_timeout=BEGUN, keep_alive_timeout=LATE) as server,
        server.connect() as client,
    ):
        client.send(GET)
        client.response()
        client.send(b"GET / HT")
        assert client.response().status == 408
        assert client.closed()


def test_connection_that_never_sends_a_byte_is_closed_silently(serve_twice: Serve) -> None:
    with serve_twice(hello, request_timeout=SOON) as server, server.connect() as client:
        assert client.closed()


def test_request_timeout_does_not_count_between_requests(serve_twice: Serve) -> None:
    with (
        serve_twice(hello, request_timeout=BEGUN, keep_alive_timeout=LATE) as server,
        server.connect() as idle,
        server.connect() as watch,
    ):
        idle.send(GET)
        idle.response()
        assert watch.closed()  # by now the request timeout is over, several times
        with server.connect() as watch_too:
            assert watch_too.closed()
        idle.send(GET)
        assert idle.response().status == 200


# request_timeout: the body


@pytest.mark.parametrize(
    "data",
    [SLOW_POST, SLOW_CHUNKED + b"5\r\n12"],
    ids=["before-the-first-byte", "within-a-chunk"],
)
def test_body_that_stops_is_a_408_and_a_disconnect(serve_twice: Serve, data: bytes) -> None:
    told: Moment[Message] = Moment()
    refused: Moment[BaseException] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        message = await receive()
        while message["type"] == "http.request":
            assert message["more_body"]
            message = await receive()
        told.happen(message)
        with pytest.raises(ClientDisconnected) as caught:
            await send(start())
        refused.happen(caught.value)

    with serve_twice(on_http(handler), request_timeout=BEGUN) as server, server.connect() as client:
        client.send(data)
        response = client.response()
        assert (response.status, response["connection"]) == (408, "close")
        assert client.ended()
        assert told.wait() == {"type": "http.disconnect"}
        refused.wait()


def test_body_below_the_least_rate_is_a_408() -> None:
    """A byte now and then keeps the connection from being still, not from being too slow.

    On one parser and one loop alone, because it takes the five seconds of grace.
    """
    serve = serve_on("httptools", "uvloop")
    with serve(echo, request_timeout=LATE, min_body_rate=1000) as server, server.connect() as client:
        client.send(SLOW_POST)
        drip_until_closed(client, b"x" * 1000)
        assert client.response().status == 408
        assert client.ended()


def test_time_in_which_a_client_waits_for_100_continue_is_not_held_against_it() -> None:
    """The application makes up its mind for longer than the grace of the least rate.

    On one parser and one loop alone, because of those five seconds.
    """
    began: Moment[None] = Moment()
    release: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/late":
            began.happen(None)
            await release
        await echo(scope, receive, send)

    with (
        serve_on("h11", "asyncio")(app, request_timeout=LATE) as server,
        server.connect() as client,
        server.connect() as watch,
    ):
        client.send(request("POST /late HTTP/1.1", "Host: test", "Content-Length: 4", "Expect: 100-continue"))
        began.wait()
        watch.send(SLOW_POST)
        assert watch.response().status == 408
        release.happen(None)
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.socket.settimeout(0.6)  # more than two sweeps over the deadlines
        with pytest.raises(TimeoutError):
            client.read()
        client.socket.settimeout(PATIENCE)
        client.send(b"body")
        assert client.response().body == b"body"


def test_body_in_small_pieces_is_served_while_they_keep_coming(serve_twice: Serve) -> None:
    """The request timeout is for each piece: all together may take longer."""
    with (
        serve_twice(echo, request_timeout=1, min_body_rate=0) as server,
        server.connect() as client,
        server.connect() as watch,
    ):
        client.send(request("POST / HTTP/1.1", "Host: test", "Content-Length: 1000"))
        watch.socket.settimeout(0.1)
        sent = 0
        watching = True
        while watching:
            client.send(b"x")
            sent += 1
            try:
                watching = not watch.closed()
            except TimeoutError:
                pass
        client.send(b"x" * (1000 - sent))
        assert client.response().body == b"x" * 1000


def test_body_that_the_application_does_not_read_is_not_held_against_the_client(serve_twice: Serve) -> None:
    """Time in which nobody wants the body is not the client's."""
    release: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await release
        await answer(send, str(len(await read_body(receive))).encode())

    # Long enough for a thread of a busy machine to go on sending when the body is read again.
    with serve_twice(on_http(handler), request_timeout=2) as server, server.connect() as client:
        size = 20_000_000
        # It has always something to send: the server may take it late, and then wait for more.
        with ThreadPoolExecutor() as pool:
            sending = pool.submit(client.send, post(b"x" * size))
            with server.connect() as watch, server.connect() as watch_too:
                assert watch.closed()
                assert watch_too.closed()
            assert not sending.done()
            release.happen(None)
            sending.result(PATIENCE)
        assert client.response().body == str(size).encode()


# response_timeout


def test_application_that_does_not_answer_is_a_503_and_cancelled(serve_twice: Serve) -> None:
    ended: Moment[str] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.happen("cancelled")
            raise

    with serve_twice(on_http(handler), response_timeout=SOON) as server, server.connect() as client:
        client.send(get("/slow"))
        response = client.response()
        assert (response.status, response["connection"]) == (503, "close")
        assert client.closed()
        assert ended.wait() == "cancelled"
        server.records.wait("ERROR", "GET '/slow'", "response_timeout")


def test_application_that_will_not_be_cancelled_cannot_answer_any_more(serve_twice: Serve) -> None:
    ended: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            with pytest.raises(ClientDisconnected):
                await answer(send, b"late")
            ended.happen(None)

    with serve_twice(on_http(handler), response_timeout=SOON) as server, server.connect() as client:
        client.send(GET)
        assert client.response().status == 503
        assert client.closed()
        ended.wait()
        server.records.wait("response_timeout")


def test_response_that_has_begun_is_not_cut(serve_twice: Serve) -> None:
    """Downloads and event streams take their time."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/stuck":
            await asyncio.Event().wait()
        await send(start())
        await send(piece(b"one", more=True))
        await stuck_ended
        await send(piece(b"two"))

    stuck_ended: Moment[None] = Moment()
    with (
        serve_twice(app, response_timeout=BEGUN, request_timeout=BEGUN, keep_alive_timeout=SOON) as server,
        server.connect() as client,
        server.connect() as watch,
    ):
        client.send(GET)
        client.read_until(b"one\r\n")
        watch.send(get("/stuck"))
        assert watch.response().status == 503
        server.records.wait("response_timeout")
        stuck_ended.happen(None)
        assert client.read_until(b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"


def test_response_timeout_begins_with_the_complete_request(serve_twice: Serve) -> None:
    with (
        serve_twice(echo, response_timeout=BEGUN, request_timeout=LATE) as server,
        server.connect() as client,
        server.connect() as watch,
    ):
        client.send(request("POST / HTTP/1.1", "Host: test", "Content-Length: 4") + b"bo")
        for _ in range(2):
            with server.connect() as stuck:
                stuck.send(SLOW_POST)
                stuck.end()
                stuck.ended()
        watch.send(GET)
        watch.response()
        client.send(b"dy")
        assert client.response().body == b"body"


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_application_whose_client_has_left_is_cancelled_after_response_timeout(
    serve_twice: Serve, leave: str
) -> None:
    """However the client left: nobody else would ever end it."""
    called: Moment[None] = Moment()
    cancelled: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        called.happen(None)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.happen(None)
            raise

    with serve_twice(on_http(handler), response_timeout=SOON) as server:
        with server.connect() as client:
            client.send(GET)
            called.wait()
            getattr(client, leave)()
        cancelled.wait()
        server.records.wait("response_timeout")


# keep_alive_timeout


def test_idle_connection_is_closed_silently(serve_twice: Serve) -> None:
    with serve_twice(hello, keep_alive_timeout=SOON) as server, server.connect() as client:
        client.send(GET)
        assert client.response().status == 200
        assert client.closed()


def test_keep_alive_timeout_does_not_end_a_request_in_progress(serve_twice: Serve) -> None:
    release: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await release
        await answer(send)

    with (
        serve_twice(app, keep_alive_timeout=SOON) as server,
        server.connect() as slow,
        server.connect() as watch,
    ):
        slow.send(get("/slow"))
        watch.send(GET)
        watch.response()
        assert watch.closed()
        release.happen(None)
        assert slow.response().status == 200


# write_timeout


def test_client_that_does_not_read_is_cut(serve_twice: Serve) -> None:
    told: Moment[BaseException] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        try:
            while True:
                await send(piece(b"x" * 65536, more=True))
        except Exception as error:
            told.happen(error)
            raise

    with serve_twice(on_http(handler), write_timeout=SOON) as server, server.connect() as client:
        client.send(GET)
        assert type(told.wait()) is ClientDisconnected
        server.records.wait("write_timeout")
        with pytest.raises(CUT):
            client.response()


def test_stream_without_a_length_that_nobody_reads_is_reset(serve_twice: Serve) -> None:
    """The end of an HTTP/1.0 stream would look like its completion."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        while True:
            await send(piece(b"x" * 65536, more=True))

    with serve_twice(on_http(handler), write_timeout=SOON) as server, server.connect() as client:
        client.send(request("GET / HTTP/1.0"))
        server.records.wait("write_timeout")
        assert client.cut()


def test_client_that_does_not_read_a_response_in_one_piece_is_cut(serve_twice: Serve) -> None:
    """The application has ended long ago: the bytes that are left are not kept for ever."""
    ended: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        try:
            await answer(send, b"x" * 50_000_000)
        except ClientDisconnected:
            pass
        ended.happen(None)

    with (
        serve_twice(on_http(handler), write_timeout=SOON, keep_alive_timeout=LATE) as server,
        server.connect() as client,
    ):
        client.send(GET)
        ended.wait()
        server.records.wait("write_timeout")
        with pytest.raises(CUT):
            client.response()


def test_client_that_reads_slowly_is_not_cut(serve_twice: Serve) -> None:
    """What counts is that it goes on: another one that does not read is cut meanwhile."""
    size = 50_000_000

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [(b"content-length", b"%d" % size)]))
        for _ in range(size // 10_000):
            await send(piece(b"x" * 10_000, more=True))
        await send(piece())

    with (
        serve_twice(on_http(handler), write_timeout=1.0) as server,
        server.connect() as slow,
        server.connect() as stuck,
    ):
        stuck.send(GET)
        slow.send(GET)
        slow.read_until(b"\r\n\r\n")
        left = size
        while not any("write_timeout" in line for line in server.records.lines):
            data = slow.socket.recv(100_000)
            assert data
            left -= len(data)
            server.records.pause(0.01)
        while left:
            data = slow.read()
            assert data
            left -= len(data)
        with pytest.raises(CUT):
            stuck.response()


# Turned off


def test_0_turns_a_timeout_off(serve_twice: Serve) -> None:
    """A second server whose timeouts are on tells when they would have passed."""
    settings = ("request_timeout", "response_timeout", "keep_alive_timeout", "write_timeout")
    release: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await release
        await answer(send)

    with (
        serve_twice(app, **dict.fromkeys(settings, 0.0)) as server,
        serve_twice(app, **dict.fromkeys(settings, SOON)) as other,
        server.connect() as silent,
        server.connect() as idle,
        server.connect() as slow,
        other.connect() as watch,
    ):
        idle.send(GET)
        idle.response()
        slow.send(get("/slow"))
        silent.send(GET[:10])
        watch.send(GET)
        watch.response()
        assert watch.closed()
        with other.connect() as watch_too:
            assert watch_too.closed()
        release.happen(None)
        assert slow.response().status == 200
        idle.send(GET)
        assert idle.response().status == 200
        silent.send(GET[10:])
        assert silent.response().status == 200


def test_many_connections_expire_together(serve_twice: Serve) -> None:
    with serve_twice(hello, request_timeout=BEGUN, keep_alive_timeout=BEGUN) as server:
        clients = [server.connect() for _ in range(200)]
        for client in clients[::2]:
            client.send(GET[:10])
        for client in clients[::2]:
            assert client.response().status == 408
        for client in clients:
            assert client.closed()
            client.close()


Ts = TypeVarTuple("Ts")


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that counts the timers it is asked for; asyncio's `call_later` calls `call_at`."""

    timers = 0

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Count, and do as asked."""
        self.timers += 1
        return super().call_at(when, callback, *args, context=context)


def test_one_sweep_per_loop_and_no_timer_per_request() -> None:
    """As many timers for 2,000 requests as for none: one for each quarter of a second."""

    async def serving() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        server = Server(Config(app=echo, port=0, lifespan="off", access_log=False))
        task = asyncio.create_task(server.serve())
        await server.started.wait()
        host, _, port = server.addresses[0].rpartition("/")[2].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        before = loop.timers
        for _ in range(2000):
            writer.write(post(b"body"))
            await reader.readuntil(b"body")
        spent = loop.timers - before
        writer.close()
        await writer.wait_closed()
        server.stop()
        await task
        return spent, 2000

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        spent, requests = runner.run(serving())
    assert spent < requests / 10


async def test_who_gets_a_new_deadline_while_others_expire_keeps_it() -> None:
    loop = asyncio.get_running_loop()
    expired: list[str] = []

    class Slow:
        deadline = 0.0

        def expire(self) -> None:
            self.deadline = NEVER
            expired.append("slow")
            loop.call_soon(quick.go_on)
            time.sleep(0.001)  # more than its share of a turn of the event loop: the next one has to wait

    class Quick:
        deadline = 0.0

        def go_on(self) -> None:
            self.deadline = NEVER

        def expire(self) -> None:
            expired.append("quick")

    quick, ticked = Quick(), asyncio.Event()
    deadlines = Deadlines([Slow(), quick], ticked.set)
    deadlines.start()
    async with asyncio.timeout(PATIENCE):
        while not expired:
            await ticked.wait()
            ticked.clear()
    for _ in range(3):
        await asyncio.sleep(0)
    deadlines.stop()
    assert expired == ["slow"]
