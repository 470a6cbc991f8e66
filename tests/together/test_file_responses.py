"""Starlette's file responses on asgiserve, which are left to the server where they are whole (X4)."""

from __future__ import annotations

import os
import random
from email.utils import formatdate
from pathlib import Path

import pytest

pytest.importorskip("starlette")

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.asgiserve.applications import App, Message, Receive, Scope, Send
from tests.asgiserve.raw import GET, get, request
from tests.asgiserve.serving import Serve, serve_on

CONTENT = random.Random(1).randbytes(500_000)
HEAD = request("HEAD / HTTP/1.1", "Host: test")


@pytest.fixture(params=[("httptools", "uvloop"), ("h11", "asyncio")], ids="-".join)
def serve(request: pytest.FixtureRequest) -> Serve:
    """Start asgiserve, with each parser and each event loop once."""
    return serve_on(*request.param)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to send."""
    path = tmp_path / "video.mp4"
    path.write_bytes(CONTENT)
    return path


class Watched:
    """An application, and the types of the events that it sends."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.sent: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            self.sent.append(message["type"].removeprefix("http.response."))
            await send(message)

        await self._app(scope, receive, watched)


def site(path: Path | str, *middleware: Middleware, background: BackgroundTask | None = None) -> Watched:
    """The application that answers with a file."""

    async def index(request: Request) -> Response:
        return FileResponse(path, background=background)

    return Watched(Starlette(routes=[Route("/", index)], middleware=middleware))


def test_whole_file_is_left_to_the_server(serve: Serve, file: Path) -> None:
    app = site(file)
    with serve(app) as server, server.connect() as client:
        for _ in range(2):
            client.send(GET)
            response = client.response()
            assert (response.status, response.body) == (200, CONTENT)
            assert (response["content-type"], response["content-length"]) == ("video/mp4", "500000")
    assert app.sent == ["start", "pathsend"] * 2


def test_path_may_be_relative(serve: Serve, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starlette passes it on as it is, although the specification asks for an absolute one.

    It is how the documentation of Starlette and FastAPI does it, and works on servers without the extension.
    """
    monkeypatch.chdir(file.parent)
    with serve(site(file.name)) as server:
        assert server.ask(GET).body == CONTENT
    assert not Path(file.name).is_absolute()


def test_relative_path_of_FastAPI(serve: Serve, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    app = FastAPI()

    @app.get("/", response_class=FileResponse)
    async def main() -> str:
        return "video.mp4"

    with serve(app) as server:
        assert server.ask(GET).body == CONTENT


def test_head_of_a_file(serve: Serve, file: Path) -> None:
    with serve(site(file)) as server, server.connect() as client:
        client.send(HEAD + GET)
        assert client.response("HEAD")["content-length"] == "500000"
        assert client.response().body == CONTENT


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ("bytes=0-99", CONTENT[:100]),
        ("bytes=100-", CONTENT[100:]),
        ("bytes=-1", CONTENT[-1:]),
        ("bytes=200000-400000", CONTENT[200_000:400_001]),
    ],
)
def test_range_of_a_file(serve: Serve, file: Path, ranges: str, expected: bytes) -> None:
    app = site(file)
    with serve(app) as server:
        response = server.ask(get("/", f"Range: {ranges}"))
    assert (response.status, response.body) == (206, expected)
    assert response["content-range"].endswith("/500000")
    assert "pathsend" not in app.sent


def test_ranges_of_a_file(serve: Serve, file: Path) -> None:
    with serve(site(file)) as server:
        response = server.ask(get("/", "Range: bytes=0-9,100-109"))
    assert response.status == 206
    assert response["content-type"].startswith("multipart/byteranges")
    assert CONTENT[:10] in response.body
    assert CONTENT[100:110] in response.body


def test_range_that_cannot_be_had(serve: Serve, file: Path) -> None:
    with serve(site(file)) as server, server.connect() as client:
        client.send(get("/", "Range: bytes=500000-") + get("/", "Range: bytes=x") + GET)
        assert [client.response().status for _ in range(3)] == [416, 400, 200]


def test_range_of_a_file_that_has_changed(serve: Serve, file: Path) -> None:
    """The whole of it, then."""
    app = site(file)
    with serve(app) as server:
        response = server.ask(get("/", "Range: bytes=0-9", f"If-Range: {formatdate(0, usegmt=True)}"))
    assert (response.status, response.body) == (200, CONTENT)
    assert app.sent == ["start", "pathsend"]


def test_temporary_file_that_a_background_task_removes(serve: Serve, file: Path) -> None:
    with serve(site(file, background=BackgroundTask(os.unlink, file))) as server:
        assert server.ask(GET).body == CONTENT
    assert not file.exists()


def test_missing_file(serve: Serve, tmp_path: Path) -> None:
    with serve(site(tmp_path / "missing")) as server:
        assert server.ask(GET).status == 500
        server.records.wait("does not exist")


async def passed_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """A middleware that sends the response of the application itself."""
    response = await call_next(request)
    response.headers["x-passed-on"] = "yes"
    return response


@pytest.mark.parametrize(
    "middleware",
    [Middleware(BaseHTTPMiddleware, dispatch=passed_on), Middleware(GZipMiddleware)],
    ids=["BaseHTTPMiddleware", "GZipMiddleware"],
)
def test_file_behind_middleware(serve: Serve, file: Path, middleware: Middleware) -> None:
    with serve(site(file, middleware)) as server, server.connect() as client:
        for _ in range(2):
            client.send(get("/", "Accept-Encoding: gzip"))
            response = client.response()
            assert (response.status, response.body) == (200, CONTENT)


def test_static_files(serve: Serve, file: Path) -> None:
    app = Watched(Starlette(routes=[Mount("/static", StaticFiles(directory=file.parent))]))
    with serve(app) as server, server.connect() as client:
        client.send(get("/static/video.mp4"))
        response = client.response()
        assert response.body == CONTENT
        client.send(get("/static/video.mp4", f"If-None-Match: {response['etag']}"))
        assert client.response().status == 304
        client.send(get("/static/missing"))
        assert client.response().status == 404
    assert app.sent[:2] == ["start", "pathsend"]
