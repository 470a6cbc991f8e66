"""Applications that fail, and what client and log learn of it."""

from __future__ import annotations

import asyncio

import h11
import pytest

from tests.asgiserve.applications import Receive, Scope, Send, answer, on_http, piece, read_body, start
from tests.asgiserve.raw import GET, get, post, request
from tests.asgiserve.serving import Moment, Serve

CUT = (ConnectionResetError, h11.RemoteProtocolError)


async def failing(receive: Receive, send: Send) -> None:
    raise LookupError("no such user: Ada")


def test_exception_before_the_response_is_a_500_and_a_logged_traceback(serve: Serve) -> None:
    with serve(on_http(failing)) as server, server.connect() as client:
        client.send(get("/users/ada?secret"))
        response = client.response()
        assert (response.status, response["connection"]) == (500, "close")
        assert response["content-type"].startswith("text/plain")
        assert b"Ada" not in response.body
        assert client.closed()
        record = server.records.wait("LookupError: no such user: Ada")
    assert "GET '/users/ada'" in record
    assert "in failing" in record  # the application's own frame


def test_exception_while_a_body_is_coming(serve: Serve) -> None:
    with serve(on_http(failing)) as server, server.connect() as client:
        client.send(request("POST / HTTP/1.1", "Host: test", "Content-Length: 1000000") + b"x" * 1000)
        assert client.response().status == 500
        assert client.closed()
        server.records.wait("LookupError")


@pytest.mark.parametrize("declared", [[], [(b"content-length", b"1000")]], ids=["chunked", "length"])
def test_exception_after_the_response_began_cuts_it_visibly(
    serve: Serve, declared: list[tuple[bytes, bytes]]
) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, declared))
        await send(piece(b"one", more=True))
        raise LookupError("in the middle")

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        with pytest.raises(CUT):
            client.response()
        server.records.wait("LookupError: in the middle")


def test_exception_after_an_http_1_0_stream_began_resets_the_connection(serve: Serve) -> None:
    """A plain close would say that the body is complete (RFC 9112 §8)."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        await send(piece(b"one", more=True))
        raise LookupError("in the middle")

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(request("GET / HTTP/1.0"))
        assert client.cut()
        server.records.wait("LookupError: in the middle")


def test_return_after_the_response_began_cuts_it_visibly(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        await send(piece(b"one", more=True))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        with pytest.raises(CUT):
            client.response()
        server.records.wait("without a complete response")


def test_nothing_pipelined_behind_a_failure_is_answered(serve: Serve) -> None:
    with serve(on_http(failing)) as server, server.connect() as client:
        client.send(GET + GET)
        assert client.response().status == 500
        assert client.closed()
        server.records.wait("LookupError")


class Unusual(BaseException):
    """Not an Exception, as KeyboardInterrupt and SystemExit are not."""


@pytest.mark.parametrize("kind", [Unusual, asyncio.CancelledError, ExceptionGroup, GeneratorExit])
def test_exception_of_any_kind_is_a_500(serve: Serve, kind: type[BaseException]) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        raise kind(*(("several", [ValueError()]) if kind is ExceptionGroup else ()))

    with serve(on_http(handler)) as server:
        assert server.ask(GET).status == 500
        if kind is not asyncio.CancelledError:
            server.records.wait(kind.__name__)


def test_application_that_is_no_coroutine_function_is_a_500(serve: Serve) -> None:
    def app(scope: Scope, receive: Receive, send: Send) -> None:
        return None

    with serve(app) as server:
        assert server.ask(GET).status == 500
        server.records.wait("GET '/'", "TypeError")


def test_oserror_of_the_application_is_logged(serve: Serve) -> None:
    """Only that the client left is no error; a file that is not there is one."""

    async def handler(receive: Receive, send: Send) -> None:
        raise FileNotFoundError("report.pdf")

    with serve(on_http(handler)) as server:
        assert server.ask(GET).status == 500
        server.records.wait("FileNotFoundError: report.pdf")


def test_application_that_starts_twice_may_still_answer(serve: Serve) -> None:
    """A second start is rejected, the first one stands."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200))
        with pytest.raises(RuntimeError):
            await send(start(500))
        await send(piece(b"ok"))

    with serve(on_http(handler)) as server:
        assert server.ask(GET).status == 200


def test_application_that_goes_on_after_its_response_is_left_alone(serve: Serve) -> None:
    """Background work after the answer does not delay the next request of the connection."""
    release: Moment[None] = Moment()
    ended: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send)
        if scope["path"] == "/background":
            await release
            ended.happen(None)

    with serve(app) as server, server.connect() as client:
        client.send(get("/background") + get("/next"))
        assert [client.response().status for _ in range(2)] == [200, 200]
        assert not ended.happened
        release.happen(None)
        ended.wait()


def test_client_that_leaves_is_no_error(serve: Serve) -> None:
    """In whichever state: `serve` checks that no error is logged."""
    began: list[Moment[None]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        began[-1].happen(None)
        if scope["path"] == "/reads":
            while (await receive())["type"] == "http.request":
                pass
        elif scope["path"] == "/answers":
            await answer(send, await read_body(receive))
        else:
            await answer(send, b"x" * 10_000_000)

    with serve(app) as server:
        for path in ("/reads", "/answers", "/big"):
            for leave in ("close", "reset"):
                began.append(Moment())
                client = server.connect()
                client.send(post(b"body", target=path))
                began[-1].wait()
                getattr(client, leave)()
        began.append(Moment())
        assert server.ask(get("/answers")).status == 200
