"""The middlewares that come with asgiweb, all in one chain: what other frameworks' users complain about."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from asgiweb import Application, Handler, HTTPForbidden, Middleware, Request, Response, WebSocket, middleware
from asgiweb.asgi import Message
from asgiweb.middleware import CORS, Compression, HTTPSRedirect, RequestId, SecurityHeaders, TrustedHosts
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import Exchange, http_scope

PAGES = sorted((Path(__file__).parents[2] / "docs/asgiweb").glob("*.md"))
REFERENCE = "".join(page.read_text() for page in PAGES)

PAGE = "https://page.example"
TEXT = "All work and no play makes Jack a dull boy. " * 50

variable: ContextVar[str] = ContextVar("variable", default="unset")


def chain() -> list[Middleware[Any]]:
    return [
        RequestId(),
        TrustedHosts(["test"]),
        HTTPSRedirect(),
        CORS([PAGE]),
        SecurityHeaders(),
        Compression(encodings=["gzip"]),
    ]


def secure_scope(path: str = "/", method: str = "GET") -> Any:
    headers = [(b"host", b"test"), (b"origin", PAGE.encode()), (b"accept-encoding", b"gzip")]
    return http_scope(path, method, scheme="https", headers=headers)


async def hello(request: Request) -> Response:
    return Response(TEXT)


async def fault(request: Request) -> Response:
    raise KeyError("secret")


async def passing(request: Request, handler: Handler) -> Response:
    return await handler(request)


async def test_complaint_1_a_context_variable_is_seen_in_both_directions() -> None:
    async def outer(request: Request, handler: Handler) -> Response:
        variable.set("from the middleware")
        response = await handler(request)
        response.headers["x-variable"] = variable.get()
        return response

    async def inner(request: Request) -> Response:
        text = variable.get()
        variable.set("from the handler")
        return Response(text)

    app = Application[None](middlewares=[outer, *chain()])
    app.get("/")(inner)
    exchange = await Exchange(secure_scope()).run(app)
    assert exchange.body == b"from the middleware"
    assert exchange.headers["x-variable"] == "from the handler"


async def test_complaint_1_a_disconnect_is_seen_below_middlewares() -> None:
    seen = asyncio.Event()

    async def waiting(request: Request) -> Response:
        await request.receive_disconnect()
        seen.set()
        return Response()

    app = Application[None](middlewares=[passing, *chain()])
    app.get("/")(waiting)
    exchange = Exchange(secure_scope(), leaves=True)
    await asyncio.wait_for(exchange.run(app), 30)
    assert seen.is_set()


async def test_complaint_1_a_stream_ends_when_the_client_leaves_whatever_is_around_it() -> None:
    closed = asyncio.Event()
    begun = asyncio.Event()

    async def endless(request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            try:
                yield TEXT
                begun.set()
                await asyncio.Event().wait()
            finally:
                closed.set()

        return Response(pieces(), content_type="text/plain")

    app = Application[None](middlewares=[passing, *chain()])
    app.get("/")(endless)
    exchange = Exchange(secure_scope())
    running = asyncio.create_task(exchange.run(app))
    await asyncio.wait_for(begun.wait(), 30)
    exchange.leave()
    await asyncio.wait_for(running, 30)
    assert closed.is_set()
    assert exchange.headers["content-encoding"] == "gzip"
    assert not exchange.complete


def test_complaint_1_middlewares_are_plain_calls_that_never_wait() -> None:
    """There is no task, queue or turn of the loop in between: here, there is not even a loop."""
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    app = Application[None](middlewares=[*[passing] * 10, *chain()])
    app.get("/")(hello)
    with pytest.raises(StopIteration):
        app(secure_scope(), receive, send).send(None)
    assert sent[0]["status"] == 200


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/fault", "GET", 500), ("/nothing", "GET", 404), ("/", "POST", 405)]
)
async def test_complaint_4_errors_pass_all_middlewares(path: str, method: str, status: int) -> None:
    app = Application[None](middlewares=chain())
    app.get("/")(hello)
    app.get("/fault")(fault)
    exchange = await Exchange(secure_scope(path, method)).run(app)
    assert exchange.status == status
    assert exchange.headers.keys() >= {
        "x-request-id",
        "strict-transport-security",
        "access-control-allow-origin",
        "content-security-policy",
    }


async def test_complaint_4_what_a_middleware_raises_passes_those_around_it() -> None:
    async def refusing(request: Request, handler: Handler) -> Response:
        raise HTTPForbidden

    async def failing(request: Request, handler: Handler) -> Response:
        await handler(request)
        raise KeyError("secret")

    for failure, status in ((refusing, 403), (failing, 500)):
        app = Application[None](middlewares=[*chain(), failure])
        app.get("/")(hello)
        exchange = await Exchange(secure_scope()).run(app)
        assert exchange.status == status
        assert exchange.headers["access-control-allow-origin"] == PAGE


async def test_complaint_15_the_first_is_outermost_and_a_routes_own_are_innermost() -> None:
    order = []

    def marking(mark: str) -> Middleware[Any]:
        async def marked(request: Request, handler: Handler) -> Response:
            order.append(mark)
            response = await handler(request)
            order.append(f"/{mark}")
            return response

        return marked

    app = Application[None](middlewares=[marking("a"), *chain(), marking("b")])
    app.get("/", middlewares=[marking("c"), marking("d")])(hello)
    app.get("/other")(hello)
    await Exchange(secure_scope()).run(app)
    assert order == ["a", "b", "c", "d", "/d", "/c", "/b", "/a"]
    order.clear()
    await Exchange(secure_scope("/other")).run(app)
    assert order == ["a", "b", "/b", "/a"]


async def test_complaint_15_a_middleware_of_one_route_is_around_no_other() -> None:
    app = Application[None](middlewares=chain()[:-1])
    app.get("/compressed", middlewares=[Compression(encodings=["gzip"])])(hello)
    app.get("/")(hello)
    assert (await Exchange(secure_scope("/compressed")).run(app)).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in (await Exchange(secure_scope()).run(app)).headers


async def test_one_middleware_may_be_in_several_applications() -> None:
    middlewares = chain()
    for text in ("a", "b"):
        app = Application[None](middlewares=middlewares)

        async def handler(request: Request, text: str = text) -> Response:
            return Response(text)

        app.get("/")(handler)
        assert (await Exchange(secure_scope()).run(app)).body == text.encode()


async def test_a_websocket_passes_all_of_them() -> None:
    async def echo(ws: WebSocket) -> None:
        async with ws:
            async for message in ws:
                await ws.send_text(str(message))

    app = Application[None](middlewares=chain())
    app.websocket("/")(echo)
    headers = {"origin": PAGE, "accept-encoding": "gzip"}
    async with (
        TestClient(app, base_url="https://test") as client,
        client.websocket("/", headers=headers) as ws,
    ):
        await ws.send_text(TEXT)
        assert await ws.receive_text() == TEXT


def test_the_names_are_sorted() -> None:
    # As ruff sorts them: constants, classes, functions.
    names = sorted(middleware.__all__, key=lambda name: (not name.isupper(), name.islower(), name))
    assert middleware.__all__ == names


@pytest.mark.parametrize("name", middleware.__all__)
def test_every_name_is_documented_and_in_the_reference(name: str) -> None:
    assert getattr(middleware, name).__doc__
    assert re.search(rf"`{name}\b", REFERENCE), f"the reference does not mention {name}"


def test_who_does_not_use_them_does_not_import_them() -> None:
    code = "import sys, asgiweb; print([name for name in sys.modules if 'asgiweb.middleware' in name])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
