"""Every two of the built-in middlewares, in both orders, around every kind of answer: what holds for all.

One test for each kind of answer goes through all pairs, and all twelve at once; what is wrong is listed.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asgiweb import Application, HTTPForbidden, Request, Response, WebSocket, html_response, redirect
from asgiweb.asgi import Message, Receive, Scope, Send
from asgiweb.files import file_response
from asgiweb.middleware import (
    CORS,
    CSRF,
    AccessLog,
    BodyLimit,
    Compression,
    HTTPSRedirect,
    RateLimit,
    RequestId,
    SecurityHeaders,
    Sessions,
    Timeout,
    TrustedHosts,
    csrf_token,
    session_of,
)
from asgiweb.sse import Event, event_response
from tests.asgiweb.exchange import Exchange, http_scope

SECRET = "0123456789abcdef0123456789abcdef"
ORIGIN = "https://friend.example"
TEXT = "What goes through two middlewares is still what was said. " * 40
LARGE = TEXT * 60

MIDDLEWARES: dict[str, Callable[[], Any]] = {
    "AccessLog": AccessLog,
    "BodyLimit": lambda: BodyLimit(1000),
    "CORS": lambda: CORS([ORIGIN], credentials=True, expose=["x-request-id"]),
    "CSRF": lambda: CSRF(SECRET),
    "Compression": Compression,
    "HTTPSRedirect": HTTPSRedirect,
    "RateLimit": lambda: RateLimit(1_000_000),
    "RequestId": RequestId,
    "SecurityHeaders": SecurityHeaders,
    "Sessions": lambda: Sessions(SECRET),
    "Timeout": lambda: Timeout(60),
    "TrustedHosts": lambda: TrustedHosts(["test"]),
}
#: All of them in the order of the documentation, docs/asgiweb/middleware.md.
ORDER = (
    *("AccessLog", "RequestId", "TrustedHosts", "HTTPSRedirect", "CORS", "SecurityHeaders"),
    *("Compression", "RateLimit", "Timeout", "BodyLimit", "Sessions", "CSRF"),
)
COMBINATIONS: list[tuple[str, ...]] = [*itertools.product(MIDDLEWARES, MIDDLEWARES), ORDER]

#: Headers of a list, which may come in several lines (RFC 9110, 5.3), and Set-Cookie, which is none.
SEVERAL = {"set-cookie", "ratelimit", "ratelimit-policy"}

#: What each middleware adds to every answer of a handler.
ADDED = {
    "CORS": {"access-control-allow-origin", "access-control-allow-credentials"},
    "HTTPSRedirect": {"strict-transport-security"},
    "RateLimit": {"ratelimit", "ratelimit-policy"},
    "RequestId": {"x-request-id"},
    "SecurityHeaders": {"x-content-type-options", "referrer-policy", "x-frame-options"},
}


class Watched:
    """A stream that knows whether it was closed."""

    opened = 0
    closed = 0

    def __init__(self) -> None:
        self._pieces: Iterator[bytes | str] = iter((TEXT[:100], TEXT[100:].encode()))
        Watched.opened += 1

    def __aiter__(self) -> AsyncIterator[bytes | str]:
        return self

    async def __anext__(self) -> bytes | str:
        piece = next(self._pieces, None)
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        Watched.closed += 1


async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as an application that knows nothing of asgiweb does."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    body = TEXT.encode()
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", b"%d" % len(body)),
        (b"vary", b"accept-language"),
        (b"set-cookie", b"mounted=1"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body"})
        return
    await send({"type": "http.response.body", "body": body[:200], "more_body": True})
    await send({"type": "http.response.body", "body": body[200:]})


def application(names: tuple[str, ...], directory: Path) -> Application[None]:
    app = Application[None](middlewares=[MIDDLEWARES[name]() for name in names])

    async def prepare(request: Request) -> None:
        """Use what the middlewares give to handlers, so that they have something to add."""
        if "Sessions" in names:
            (await session_of(request))["seen"] = True
        if "CSRF" in names:
            csrf_token(request)

    def get(path: str) -> Callable[[Callable[[Request], Any]], None]:
        def register(make: Callable[[Request], Any]) -> None:
            async def handler(request: Request) -> Response:
                await prepare(request)
                response: Response = await make(request)
                if response.status < 400:
                    response.set_cookie("own", "1")
                return response

            app.route(path, methods=["GET", "HEAD", "POST"])(handler)

        return register

    @get("/bytes")
    async def of_bytes(request: Request) -> Response:
        return Response(TEXT.encode(), content_type="text/plain")

    @get("/text")
    async def of_text(request: Request) -> Response:
        return html_response(TEXT, headers={"vary": "accept-language"})

    @get("/stream")
    async def of_stream(request: Request) -> Response:
        return Response(Watched(), content_type="text/plain")

    @get("/events")
    async def of_events(request: Request) -> Response:
        async def events() -> AsyncIterator[Event]:
            yield Event(TEXT)

        return event_response(events())

    @get("/small")
    async def of_small_file(request: Request) -> Response:
        return await file_response(request, directory / "small.txt")

    @get("/large")
    async def of_large_file(request: Request) -> Response:
        return await file_response(request, directory / "large.txt")

    @get("/fault")
    async def of_fault(request: Request) -> Response:
        raise LookupError("on purpose")

    @get("/forbidden")
    async def of_forbidden(request: Request) -> Response:
        raise HTTPForbidden

    @get("/redirect")
    async def of_redirect(request: Request) -> Response:
        return redirect("/elsewhere")

    @get("/nothing")
    async def of_nothing(request: Request) -> Response:
        return Response(None, 204)

    @app.websocket("/accepted")
    async def accepted(ws: WebSocket) -> None:
        await prepare(ws.request)
        async with ws:
            await ws.send_text("hello")

    @app.websocket("/refused")
    async def refused(ws: WebSocket) -> None:
        raise HTTPForbidden

    app.mount("/mounted", mounted)
    return app


@pytest.fixture(scope="module")
def applications(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Application[None]]:
    directory = tmp_path_factory.mktemp("files")
    (directory / "small.txt").write_text(TEXT)
    (directory / "large.txt").write_text(LARGE)
    return {names: application(names, directory) for names in COMBINATIONS}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Let the faults that are meant not fill the log."""
    logger = logging.getLogger("asgiweb")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


FIELDS = ((b"host", b"test"), (b"origin", ORIGIN.encode()), (b"accept-encoding", b"gzip"))

#: By name: method, path, further fields of the request, status, and the body after decoding, None for any.
KINDS: dict[str, tuple[str, str, tuple[tuple[bytes, bytes], ...], int, str | None]] = {
    "bytes": ("GET", "/bytes", (), 200, TEXT),
    "text": ("GET", "/text", (), 200, TEXT),
    "head": ("HEAD", "/text", (), 200, ""),
    "stream": ("GET", "/stream", (), 200, TEXT),
    "head of a stream": ("HEAD", "/stream", (), 200, ""),
    "events": ("GET", "/events", (), 200, f":\n\ndata: {TEXT}\n\n"),
    "small file": ("GET", "/small", (), 200, TEXT),
    "large file": ("GET", "/large", (), 200, LARGE),
    "head of a large file": ("HEAD", "/large", (), 200, ""),
    "part of a small file": ("GET", "/small", ((b"range", b"bytes=0-999"),), 206, TEXT[:1000]),
    "part of a large file": ("GET", "/large", ((b"range", b"bytes=0-99999"),), 206, LARGE[:100_000]),
    "no such part": ("GET", "/small", ((b"range", b"bytes=9999999-"),), 416, None),
    "not modified": ("GET", "/large", ((b"if-none-match", b"*"),), 304, ""),
    "precondition failed": ("GET", "/large", ((b"if-match", b'"other"'),), 412, None),
    "no content": ("GET", "/nothing", (), 204, ""),
    "redirect": ("GET", "/redirect", (), 303, ""),
    "forbidden": ("GET", "/forbidden", (), 403, None),
    "not found": ("GET", "/nowhere", (), 404, None),
    "not found, as a page": ("GET", "/nowhere", ((b"accept", b"text/html"),), 404, None),
    "method not allowed": ("DELETE", "/text", ((b"sec-fetch-site", b"same-origin"),), 405, None),
    "fault": ("GET", "/fault", (), 500, None),
    "fault, as a problem": ("GET", "/fault", ((b"accept", b"application/json"),), 500, None),
    "mounted": ("GET", "/mounted/x", (), 200, TEXT),
    "head of what is mounted": ("HEAD", "/mounted/x", (), 200, ""),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_holds_for_an_answer_holds_through_every_two_middlewares(
    kind: str, applications: dict[tuple[str, ...], Application[None]]
) -> None:
    method, path, fields, status, body = KINDS[kind]
    wrong = []
    for names, app in applications.items():
        Watched.opened = Watched.closed = 0
        scope = http_scope(path, method, scheme="https", headers=[*FIELDS, *fields])
        exchange = await Exchange(scope).run(app)
        wrong += [f"{' > '.join(names)}: {fault}" for fault in faults(exchange, names, method, status, body)]
    assert wrong == []


def faults(
    exchange: Exchange, names: tuple[str, ...], method: str, status: int, body: str | None
) -> Iterator[str]:
    if exchange.status != status or not exchange.complete:
        yield f"status {exchange.status}, {'complete' if exchange.complete else 'cut'}"
        return
    headers = exchange.header_pairs
    seen = [name.decode() for name, _ in headers]
    for name in set(seen) - SEVERAL:
        if seen.count(name) > 1:
            yield f"{name} is there {seen.count(name)} times"
    for adding in names:
        if missing := ADDED.get(adding, set()) - set(seen):
            yield f"without {sorted(missing)} of {adding}"
    yield from wrong_length(exchange, method)
    yield from wrong_body(exchange, body)
    events = exchange.headers.get("content-type") == "text/event-stream"
    if (
        "Compression" in names
        and status == 200
        and (exchange.headers.get("content-encoding") is None) != events
    ):
        yield f"coding {exchange.headers.get('content-encoding')}"
    yield from wrong_vary(exchange, names)
    cookies = [value.partition(b"=")[0].decode() for name, value in headers if name == b"set-cookie"]
    if len(cookies) != len(set(cookies)):
        yield f"cookies {cookies}"
    prepared = "own" in cookies
    for adding, cookie in (("Sessions", "session"), ("CSRF", "csrf")):
        if prepared and adding in names and cookie not in cookies:
            yield f"without the cookie of {adding}"
    if status in (200, 206, 303, 304) and not {"own", "mounted"} & set(cookies):
        yield "the handler's cookie is lost"
    if Watched.opened != Watched.closed:
        yield f"{Watched.opened} streams opened and {Watched.closed} closed"


def wrong_length(exchange: Exchange, method: str) -> Iterator[str]:
    length = exchange.headers.get("content-length")
    if exchange.status in (204, 304):
        if length is not None:
            yield f"a Content-Length of {length} with {exchange.status}"
    elif method != "HEAD" and length is not None and int(length) != len(exchange.body):
        yield f"Content-Length {length} for {len(exchange.body)} bytes"
    elif method == "HEAD" and length is not None and "content-encoding" in exchange.headers:
        yield f"Content-Length {length}, of what is not compressed"


def wrong_body(exchange: Exchange, body: str | None) -> Iterator[str]:
    data = exchange.body
    coding = exchange.headers.get("content-encoding")
    if coding and data:
        data = gzip.decompress(data)
    if coding and exchange.status in (204, 206, 304):
        yield f"{coding} with {exchange.status}"
    if body is not None and data.decode() != body:
        yield f"another body, of {len(data)} bytes"


def wrong_vary(exchange: Exchange, names: tuple[str, ...]) -> Iterator[str]:
    vary = [name.strip().lower() for name in exchange.headers.get("vary", "").split(",") if name.strip()]
    if len(vary) != len(set(vary)):
        yield f"vary: {vary}"
    if "CORS" in names and "origin" not in vary:
        yield "Vary without Origin"
    if "content-encoding" in exchange.headers and "accept-encoding" not in vary:
        yield "Vary without Accept-Encoding"
    own = any(value.startswith(b"own=") for name, value in exchange.header_pairs if name == b"set-cookie")
    if own and {"Sessions", "CSRF"} & set(names):
        if "cookie" not in vary:
            yield "Vary without Cookie"
        if "no-store" not in exchange.headers["cache-control"]:
            yield f"a cookie with Cache-Control {exchange.headers['cache-control']}"


def websocket_scope(path: str, **changes: Any) -> Scope:
    return {
        **http_scope(path, headers=[(b"host", b"test"), (b"origin", b"https://test")]),
        "type": "websocket",
        "scheme": "wss",
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
        **changes,
    }


async def converse(app: Application[None], path: str) -> list[Message]:
    sent: list[Message] = []
    messages = iter([{"type": "websocket.connect"}])

    async def receive() -> Message:
        message = next(messages, None)
        return message or await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(30):
        await app(websocket_scope(path), receive, send)
    return sent


async def test_a_websocket_is_accepted_through_every_two_middlewares(
    applications: dict[tuple[str, ...], Application[None]],
) -> None:
    wrong = []
    for names, app in applications.items():
        sent = await converse(app, "/accepted")
        kinds = [message["type"].rpartition(".")[2] for message in sent]
        cookies = [value for name, value in sent[0].get("headers", ()) if name == b"set-cookie"]
        if kinds != ["accept", "send", "close"] or len(cookies) != ("Sessions" in names):
            wrong.append((names, kinds, cookies))
    assert wrong == []


@pytest.mark.parametrize(("path", "status"), [("/refused", 403), ("/nowhere", 404)])
async def test_a_websocket_is_refused_through_every_two_middlewares(
    path: str, status: int, applications: dict[tuple[str, ...], Application[None]]
) -> None:
    wrong = []
    for names, app in applications.items():
        sent = await converse(app, path)
        start = sent[0]
        seen = [name for name, _ in start.get("headers", ())]
        twice = {name.decode() for name in seen if seen.count(name) > 1} - SEVERAL
        if (start["type"], start.get("status")) != ("websocket.http.response.start", status) or twice:
            wrong.append((names, start))
    assert wrong == []
