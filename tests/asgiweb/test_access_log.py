"""The access log: one line for each request, at its end, whatever became of it, and safe to read."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asgiweb import Application, Handler, HTTPForbidden, RegistrationError, Request, Response, WebSocket
from asgiweb.asgi import Receive, Scope, Send
from asgiweb.middleware import AccessLog
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import Exchange, http_scope

LINE = re.compile(
    r'(?P<client>\S+) "(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\S+) (?P<size>\d+) [\d.]+ms (?P<route>\S+) '
    r"(?P<id>\S+)(?P<mark> \(incomplete\))?"
)


class Lines:
    """What was logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def all(self) -> list[str]:
        return [record.getMessage() for record in self._caplog.records if record.name == "asgiweb.access"]

    @property
    def one(self) -> dict[str, str | None]:
        """The fields of the only line."""
        [line] = self.all
        match = LINE.fullmatch(line)
        assert match is not None, line
        return match.groupdict()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    caplog.set_level(logging.INFO, "asgiweb.access")
    return Lines(caplog)


def application(*inner: Any, **settings: Any) -> Application[Any]:
    app = Application(middlewares=[AccessLog(**settings), *inner])

    @app.get("/users/{id:int}")
    async def user(request: Request, id: int) -> Response:
        return Response("hello")

    @app.get("/stream")
    async def stream(request: Request) -> Response:
        return Response(pieces())

    @app.get("/broken")
    async def broken(request: Request) -> Response:
        async def stream() -> AsyncIterator[str]:
            yield "a"
            raise ValueError("broken")

        return Response(stream())

    @app.get("/refused")
    async def refused(request: Request) -> Response:
        raise HTTPForbidden

    @app.get("/fault")
    async def fault(request: Request) -> Response:
        raise KeyError

    @app.get("/bad-header")
    async def bad_header(request: Request) -> Response:
        return Response(headers={"x": "a\nb"})

    return app


async def pieces() -> AsyncIterator[str]:
    yield "é"
    yield "bc"


async def test_a_line_has_what_one_looks_for(lines: Lines) -> None:
    await Exchange(http_scope("/users/7", query_string=b"token=secret")).run(application())
    assert lines.one == {
        "client": "127.0.0.1",
        "request": "GET /users/7 HTTP/1.1",
        "status": "200",
        "size": "5",
        "route": "/users/{id:int}",
        "id": "-",
        "mark": None,
    }


async def test_the_query_is_logged_if_it_is_asked_for(lines: Lines) -> None:
    await Exchange(http_scope("/users/7", query_string=b"a=%20b")).run(application(query=True))
    assert lines.one["request"] == "GET /users/7?a=%20b HTTP/1.1"


@pytest.mark.parametrize(
    ("path", "status", "size", "route"),
    [
        ("/refused", "403", "9", "/refused"),
        ("/nothing", "404", "9", "-"),
        ("/fault", "500", "21", "/fault"),
        ("/bad-header", "500", "21", "/bad-header"),
    ],
)
async def test_what_is_logged_is_what_the_client_got(
    lines: Lines, path: str, status: str, size: str, route: str
) -> None:
    exchange = await Exchange(http_scope(path)).run(application())
    assert (lines.one["status"], lines.one["size"], lines.one["route"]) == (status, size, route)
    assert str(exchange.status) == status
    assert str(len(exchange.body)) == size


async def test_outer_middlewares_and_what_they_make_of_it_count(lines: Lines) -> None:
    async def replacing(request: Request, handler: Handler) -> Response:
        await handler(request)
        return Response("replaced", 203)

    app = Application(middlewares=[replacing, AccessLog()])
    await Exchange().run(app)
    assert (lines.one["status"], lines.one["size"]) == ("203", "8")


async def test_a_stream_is_logged_at_its_end(lines: Lines) -> None:
    go_on = asyncio.Event()
    app = application()

    @app.get("/slow")
    async def slow(request: Request) -> Response:
        async def stream() -> AsyncIterator[bytes]:
            yield b"a"
            await go_on.wait()
            yield b"bc"

        return Response(stream())

    exchange = Exchange(http_scope("/slow"))
    task = asyncio.create_task(exchange.run(app))
    while len(exchange.sent) < 2:
        await asyncio.sleep(0)
    assert lines.all == []
    go_on.set()
    await task
    assert (lines.one["size"], lines.one["mark"]) == ("3", None)


async def test_bytes_are_counted_and_not_characters(lines: Lines) -> None:
    await Exchange(http_scope("/stream")).run(application())
    assert lines.one["size"] == "4"


async def test_head_has_no_body(lines: Lines) -> None:
    await Exchange(http_scope("/users/7", "HEAD")).run(application())
    await Exchange(http_scope("/stream", "HEAD")).run(application())
    assert [LINE.fullmatch(line)["size"] for line in lines.all if LINE.fullmatch(line)] == ["0", "0"]  # type: ignore[index]
    assert "incomplete" not in "".join(lines.all)


async def test_a_stream_that_fails_is_incomplete(lines: Lines) -> None:
    with pytest.raises(ValueError, match="broken"):
        await Exchange(http_scope("/broken")).run(application())
    assert (lines.one["status"], lines.one["size"], lines.one["mark"]) == ("200", "1", " (incomplete)")


async def test_a_client_that_leaves_is_incomplete(lines: Lines) -> None:
    await Exchange(http_scope("/stream"), sends=2, send_error=ConnectionResetError()).run(application())
    assert (lines.one["status"], lines.one["size"], lines.one["mark"]) == ("200", "2", " (incomplete)")


async def test_a_client_that_leaves_before_the_answer_has_none(lines: Lines) -> None:
    app = application()

    @app.post("/")
    async def upload(request: Request) -> Response:
        return Response(await request.body())

    headers = [(b"host", b"test"), (b"content-length", b"5")]
    await Exchange(http_scope(method="POST", headers=headers), body=[b"12"], leaves=True).run(app)
    assert (lines.one["status"], lines.one["mark"]) == ("-", " (incomplete)")


async def test_a_cancelled_request_is_logged(lines: Lines) -> None:
    app = application()
    arrived = asyncio.Event()

    @app.get("/")
    async def stuck(request: Request) -> Response:
        arrived.set()
        await asyncio.Event().wait()
        return Response()

    task = asyncio.create_task(Exchange().run(app))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (lines.one["status"], lines.one["mark"]) == ("-", " (incomplete)")


async def test_a_file_that_the_server_sends_has_its_length(lines: Lines) -> None:
    class FromPath(Response):
        async def transmit(self, start: Any, method: str, receive: Any, send: Any) -> None:
            await send({**start, "headers": [(b"content-length", b"1234")]})
            await send({"type": "http.response.pathsend", "path": "/file"})

    async def answering(request: Request, handler: Handler) -> Response:
        return FromPath()

    await Exchange().run(application(answering))
    assert (lines.one["size"], lines.one["mark"]) == ("1234", None)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "text", ['a\r\n127.0.0.1 "GET', "\x1b[31m", "\x9b31m", "\u2028", "\x00", "\\", "é🙂"]
)
async def test_a_client_cannot_end_a_line_nor_reach_a_terminal(lines: Lines, form: str, text: str) -> None:
    async def identified(request: Request, handler: Handler) -> Response:
        request.context["asgiweb.request_id"] = text
        return await handler(request)

    scope = http_scope(
        f"/{text}", query_string=text.encode("utf-8", "replace"), client=(text, 0), http_version=text
    )
    await Exchange(scope).run(application(identified, format=form, query=True))
    [line] = lines.all
    assert line.isascii()
    assert line.isprintable()
    if form == "json":
        assert json.loads(line)["request_id"] == text
    else:
        assert LINE.fullmatch(line)


async def test_json_has_the_same_keys_always(lines: Lines) -> None:
    app = application(format="json")
    await Exchange(http_scope("/users/7")).run(app)
    await Exchange(http_scope("/nothing", client=None)).run(app)
    found, missing = map(json.loads, lines.all)
    assert found.pop("duration_ms") >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", found.pop("time"))
    assert found == {
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/users/7",
        "http_version": "1.1",
        "status": 200,
        "bytes": 5,
        "route": "/users/{id:int}",
        "request_id": None,
        "complete": True,
    }
    assert (missing["client"], missing["route"], missing["status"]) == (None, None, 404)


async def test_websockets_are_logged_at_their_end(lines: Lines) -> None:
    app = application()

    @app.websocket("/ws/{room}")
    async def socket(ws: WebSocket, room: str) -> None:
        if room == "closed":
            raise HTTPForbidden
        async with ws:
            await ws.send_text("hello")
            await ws.receive()

    @app.websocket("/refusing")
    async def refusing(ws: WebSocket) -> None:
        await ws.close()

    async with TestClient(app) as client:
        async with client.websocket("/ws/open") as ws:
            await ws.receive_text()
            assert lines.all == []
        with pytest.raises(Exception, match="403"):
            async with client.websocket("/ws/closed"):
                pass
        with pytest.raises(Exception, match="403"):
            async with client.websocket("/refusing"):
                pass
    opened, refused, closed = [LINE.fullmatch(line) for line in lines.all]
    assert opened is not None
    assert refused is not None
    assert closed is not None
    assert (opened["request"], opened["status"]) == ("WEBSOCKET /ws/open HTTP/1.1", "101")
    assert (opened["route"], opened["mark"]) == ("/ws/{room}", None)
    assert (refused["status"], refused["size"], refused["mark"]) == ("403", "9", None)
    assert (closed["status"], closed["size"], closed["mark"]) == ("403", "0", None)


async def test_nothing_is_done_where_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "asgiweb.access")
    seen: list[Request] = []

    async def looking(request: Request, handler: Handler) -> Response:
        seen.append(request)
        return await handler(request)

    await Exchange().run(application(looking))
    assert (seen[0].send_wrappers, seen[0].streams) == ((), ())
    assert caplog.records == []


def test_a_format_that_there_is_not_is_refused() -> None:
    with pytest.raises(RegistrationError, match="'text' and 'json'"):
        AccessLog(format="xml")  # type: ignore[arg-type]  # that is the point


async def test_a_length_that_is_none_is_the_servers_to_refuse(lines: Lines) -> None:
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"9" * 5000)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello"})

    app = Application[None](middlewares=[AccessLog()])
    app.mount("/", mounted)
    assert (await Exchange(http_scope("/x")).run(app)).complete
    assert lines.one["size"] == "5"
