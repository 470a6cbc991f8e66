"""Mounted applications: scopes, answers that middlewares see, websockets, lifespans, and every end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount as StarletteMount
from starlette.routing import Route as StarletteRoute
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket

from asgiweb import Application, Group, Handler, RegistrationError, Request, Response, WebSocket
from asgiweb.asgi import Message, Receive, Scope, Send
from asgiweb.files import file_response
from asgiweb.middleware import BodyLimit
from asgiweb.testing import TestClient, WebSocketDenied
from tests.asgiweb.exchange import Exchange, client_of, http_scope
from tests.asgiweb.scripted import ScriptedServer, disconnect, text, websocket_scope


async def where(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what the scope says of the place."""
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan here")
    place = f"{scope['method']} {scope['root_path']} {scope['path']}"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-from", b"below")]})
    await send({"type": "http.response.body", "body": place.encode()})


def mounting(app: Any = where, prefix: str = "/m", **options: Any) -> Application[Any]:
    parent: Application[Any] = Application()
    parent.mount(prefix, app, **options)
    return parent


async def marking(request: Request, handler: Handler) -> Response:
    response = await handler(request)
    response.headers["x-mark"] = f"{response.status} {response.headers.get('x-from')}"
    return response


async def dropping(request: Request, handler: Handler) -> Response:
    await handler(request)
    return Response("instead")


async def doubling(request: Request, handler: Handler) -> Response:
    response = await handler(request)
    stream = response.stream
    assert stream is not None

    async def pieces() -> AsyncIterator[bytes | str]:
        async for piece in stream:
            yield piece * 2

    response.stream = pieces()
    return response


async def collecting(request: Request, handler: Handler) -> Response:
    response = await handler(request)
    assert response.stream is not None
    return Response(b"".join([piece async for piece in response.stream if isinstance(piece, bytes)]))


async def asking(request: Request, handler: Handler) -> Response:
    await request.is_disconnected()
    return await handler(request)


class TestScopes:
    @pytest.mark.parametrize(
        ("path", "place"),
        [
            ("/m", "GET /m /m"),
            ("/m/", "GET /m /m/"),
            ("/m/a/b", "GET /m /m/a/b"),
            ("/m//a", "GET /m /m//a"),
        ],
    )
    async def test_the_path_stays_and_root_path_grows(self, path: str, place: str) -> None:
        assert (await Exchange(http_scope(path)).run(mounting())).body == place.encode()

    @pytest.mark.parametrize("path", ["/", "/mm", "/x/m"])
    async def test_what_is_not_below_the_prefix_is_not_its(self, path: str) -> None:
        assert (await Exchange(http_scope(path)).run(mounting())).status == 404

    @pytest.mark.parametrize("path", ["/api/m/a", "/m/a"])
    async def test_below_a_prefix_of_the_parents_own(self, path: str) -> None:
        # Servers have it in the path, as ASGI says, or have taken it off.
        exchange = await Exchange(http_scope(path, root_path="/api")).run(mounting())
        assert exchange.body == b"GET /api/m /api/m/a"

    @pytest.mark.parametrize("prefix", ["", "/"])
    async def test_the_root_may_be_mounted(self, prefix: str) -> None:
        parent = mounting(prefix=prefix)
        assert (await Exchange(http_scope("/a")).run(parent)).body == b"GET  /a"
        assert (await Exchange(http_scope("/")).run(parent)).body == b"GET  /"

    @pytest.mark.parametrize("root_path", ["", "/api"])
    @pytest.mark.parametrize("path", ["*", "a/b"])
    async def test_a_path_without_a_slash_before_it_stays_what_it_is(self, path: str, root_path: str) -> None:
        exchange = await Exchange(http_scope(path, "OPTIONS", root_path=root_path)).run(mounting(prefix=""))
        assert exchange.body.decode() == f"OPTIONS {root_path} {path}"
        inner = Application()
        inner.get("/")(it_is_the_parents)
        inner.get("/b")(it_is_the_parents)
        scope = http_scope(path, "OPTIONS", root_path=root_path)
        exchange = await Exchange(scope).run(mounting(inner, ""))
        assert (exchange.status, exchange.headers.get("allow")) == (204 if path == "*" else 404, None)

    async def test_a_prefix_may_have_parameters(self) -> None:
        seen: list[dict[str, Any]] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["path_params"])
            await where(scope, receive, send)

        exchange = await Exchange(http_scope("/t/7/a")).run(mounting(app, "/t/{id:int}"))
        assert exchange.body == b"GET /t/7 /t/7/a"
        assert seen == [{"id": 7}]

    async def test_applications_of_this_kind_find_their_routes_and_urls(self) -> None:
        inner = Application()

        @inner.get("/{name}", name="it")
        async def it(request: Request, name: str) -> Response:
            return Response(f"{name} {request.url_for('it', name='b')} {request.app is inner}")

        parent = mounting(inner)
        parent.router.add_get("/x", it_is_the_parents, name="it")
        exchange = await Exchange(http_scope("/m/a/b", raw_path=b"/m/a%2Fb")).run(parent)
        assert exchange.body == b"a/b /m/b True"
        assert str(parent.url_for("it")) == "/x"

    @pytest.mark.parametrize(
        ("path", "raw_path", "root_path"),
        [
            ("/a/b/c", b"/a%2Fb/c", ""),
            ("/api/a/b/c", b"/api/a%2Fb/c", "/api"),
            ("/api/a/b/c", b"/a%2Fb/c", "/api"),
            ("/a/b/c", b"/a%2Fb/c?d=/", "/api"),
        ],
    )
    async def test_urls_below_a_parameter_with_an_encoded_slash(
        self, path: str, raw_path: bytes, root_path: str
    ) -> None:
        inner = Application()

        @inner.get("/{name}", name="it")
        async def it(request: Request, name: str) -> Response:
            return Response(str(request.url_for("it", name="d")))

        scope = http_scope(path, raw_path=raw_path, root_path=root_path)
        exchange = await Exchange(scope).run(mounting(inner, "/{tenant}"))
        assert exchange.body.decode() == f"{root_path}/a%2Fb/d"

    async def test_urls_of_starlette_below_an_application_that_is_below_starlette(self) -> None:
        async def it(request: StarletteRequest) -> PlainTextResponse:
            return PlainTextResponse(str(request.url_for("it")))

        innermost = Starlette(routes=[StarletteRoute("/a", it, name="it")])
        outermost = Starlette(routes=[StarletteMount("/s", mounting(innermost))])
        exchange = await Exchange(http_scope("/s/m/a")).run(outermost)
        assert (exchange.status, exchange.body) == (200, b"http://test/s/m/a")

    async def test_urls_of_mounts(self) -> None:
        parent = mounting(prefix="/t/{id:int}", name="t")
        assert str(parent.url_for("t", id=7)) == "/t/7"
        assert str(parent.url_for("t", id=7, path="a b/c")) == "/t/7/a%20b/c"


async def it_is_the_parents(request: Request) -> Response:
    return Response("the parent's")


class TestSpecificity:
    @pytest.mark.parametrize("path", ["/m", "/m/{x}", "/m/{rest:path}", "/m/a"])
    async def test_routes_come_before_a_mount_at_the_same_place(self, path: str) -> None:
        parent = mounting()
        parent.router.add_get(path, it_is_the_parents)
        asked = path.replace("{x}", "a").replace("{rest:path}", "a")
        assert (await Exchange(http_scope(asked)).run(parent)).body == b"the parent's"
        assert (await Exchange(http_scope(asked, "POST")).run(parent)).body == f"POST /m {asked}".encode()

    async def test_a_deeper_mount_comes_before_one_that_is_higher_up(self) -> None:
        parent = mounting()
        parent.mount("/m/deeper", where)
        parent.mount("", where)
        assert (await Exchange(http_scope("/m/deeper/a")).run(parent)).body == b"GET /m/deeper /m/deeper/a"
        assert (await Exchange(http_scope("/m/a")).run(parent)).body == b"GET /m /m/a"
        assert (await Exchange(http_scope("/n/a")).run(parent)).body == b"GET  /n/a"

    async def test_a_mount_comes_before_less_specific_routes(self) -> None:
        parent = mounting()
        parent.router.add_get("/{rest:path}", it_is_the_parents)
        assert (await Exchange(http_scope("/m/a")).run(parent)).body == b"GET /m /m/a"

    def test_two_at_one_place_are_refused(self) -> None:
        with pytest.raises(RegistrationError, match="mount '/m' is registered already"):
            mounting().mount("/m/", where)

    @pytest.mark.parametrize("app", [Group(), "app", Starlette])
    def test_what_is_no_application_is_refused(self, app: Any) -> None:
        with pytest.raises(RegistrationError, match="no ASGI application"):
            mounting(app)

    def test_nothing_is_mounted_where_the_rest_of_a_path_goes(self) -> None:
        with pytest.raises(RegistrationError, match="nothing is left"):
            mounting(prefix="/{rest:path}")

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
    async def test_every_method_is_its(self, method: str) -> None:
        exchange = await Exchange(http_scope("/m", method)).run(mounting())
        assert exchange.body == f"{method} /m /m".encode()

    async def test_in_groups_with_middlewares_outside(self) -> None:
        group = Group("/g", middlewares=[marking])
        group.mount("/m", where)
        parent = Application()
        parent.include(group)
        exchange = await Exchange(http_scope("/g/m/a")).run(parent)
        assert (exchange.body, exchange.headers["x-mark"]) == (b"GET /g/m /g/m/a", "200 below")


class TestAnswers:
    async def test_middlewares_see_and_change_the_head(self) -> None:
        async def teapot(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            response.status = 418
            return response

        exchange = await Exchange(http_scope("/m")).run(mounting(middlewares=[marking, teapot]))
        assert (exchange.status, exchange.headers["x-mark"]) == (418, "418 below")
        assert exchange.body == b"GET /m /m"

    async def test_other_messages_pass_as_they_are(self) -> None:
        messages: list[Message] = [
            {"type": "http.response.early_hint", "links": [b"</a>; rel=preload"]},
            {"type": "http.response.body", "body": b"a", "more_body": True},
            {"type": "http.response.zerocopysend", "file": object(), "count": 1, "more_body": False},
            {"type": "http.response.trailers", "headers": [(b"a", b"b")]},
        ]

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(messages[0])
            await send({"type": "http.response.start", "status": 200, "trailers": True})
            for message in messages[1:]:
                await send(message)
            await send({"type": "http.response.body", "body": b"too late"})

        for middlewares in ([], [marking]):
            exchange = await Exchange(http_scope("/m")).run(mounting(app, middlewares=middlewares))
            assert exchange.sent[0]["trailers"] is True
            assert exchange.sent[1:] == messages

    async def test_each_piece_waits_until_the_one_before_is_sent(self) -> None:
        taken: list[int] = []
        read = asyncio.Semaphore(0)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200})
            for number in range(3):
                taken.append(number)
                await send({"type": "http.response.body", "body": b"x", "more_body": number < 2})

        async def send(message: Message) -> None:
            await read.acquire()

        for middlewares in ([], [doubling]):
            taken.clear()
            exchange = Exchange(http_scope("/m"))
            task = asyncio.create_task(
                mounting(app, middlewares=middlewares)(exchange.scope, exchange.receive, send)
            )
            for _ in range(20):
                await asyncio.sleep(0)
            assert taken == [0]
            for _ in range(10):
                read.release()
            await task
            assert taken == [0, 1, 2]
            read = asyncio.Semaphore(0)

    async def test_a_middleware_may_put_another_stream_around_it(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "trailers": True})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            await send({"type": "http.response.body", "body": b"b"})
            await send({"type": "http.response.trailers", "headers": []})

        exchange = await Exchange(http_scope("/m")).run(mounting(app, middlewares=[doubling]))
        assert exchange.body == b"aabb"
        assert "trailers" not in exchange.sent[0]
        assert exchange.complete

    async def test_also_around_files_that_are_only_named(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"0123456789")

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200})
            if scope["path"] == "/m/path":
                await send({"type": "http.response.pathsend", "path": str(path)})
                return
            with path.open("rb") as file:
                part = {"type": "http.response.zerocopysend", "file": file, "offset": 2, "count": 3}
                await send({**part, "more_body": True})
                await send({"type": "http.response.zerocopysend", "file": file})

        parent = mounting(app, middlewares=[doubling])
        assert (await Exchange(http_scope("/m/path")).run(parent)).body == b"0123456789" * 2
        assert (await Exchange(http_scope("/m/copy")).run(parent)).body == b"234" * 2 + b"56789" * 2

    async def test_also_around_a_file_that_has_a_descriptor_and_nothing_else(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(bytes(range(256)) * 1000)
        inner: Application[Any] = Application()

        @inner.get("/file")
        async def file(request: Request) -> Response:
            return await file_response(request, path)

        headers = [(b"host", b"test"), (b"range", b"bytes=1-200000")]
        scope = http_scope("/m/file", headers=headers, extensions={"http.response.zerocopysend": {}})
        exchange = await Exchange(scope).run(mounting(inner, middlewares=[collecting]))
        assert exchange.body == path.read_bytes()[1:200001]

    async def test_a_body_that_a_middleware_has_read_comes_again(self) -> None:
        async def reading(request: Request, handler: Handler) -> Response:
            assert await request.body() == b"abc"
            return await handler(request)

        async def echo(request: StarletteRequest) -> PlainTextResponse:
            return PlainTextResponse(await request.body())

        inner = Starlette(routes=[StarletteRoute("/", echo, methods=["POST"])])
        for middlewares in ([], [reading]):
            async with client_of(mounting(inner, middlewares=middlewares)) as client:
                assert (await client.post("/m/", content=b"abc")).content == b"abc"

    @pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
    @pytest.mark.parametrize("middleware", [doubling, asking])
    async def test_a_request_that_is_read_late_does_not_wait_behind_who_looks_for_the_disconnect(
        self, spec_version: str, middleware: Any
    ) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            for _ in range(3):
                await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": (await receive())["type"].encode()})

        scope = http_scope("/m", asgi={"version": "3.0", "spec_version": spec_version})
        async with asyncio.timeout(30):
            exchange = await Exchange(scope).run(mounting(app, middlewares=[middleware]))
        assert exchange.body.endswith(b"http.request")

    @pytest.mark.parametrize(("body", "status"), [([b"ab", b"c"], 500), ([b"", b""], 200), ([b""], 200)])
    async def test_a_body_that_a_middleware_has_streamed_is_gone_if_there_was_one(
        self, body: list[bytes], status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def streaming(request: Request, handler: Handler) -> Response:
            assert [piece async for piece in request] == [piece for piece in body if piece]
            return await handler(request)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
            await where(scope, receive, send)

        scope = http_scope("/m", "POST", headers=[(b"transfer-encoding", b"chunked")])
        async with asyncio.timeout(30):
            exchange = await Exchange(scope, body=body).run(mounting(app, middlewares=[streaming]))
        assert exchange.status == status
        assert ("BodyConsumed" in caplog.text) == (status == 500)

    @pytest.mark.parametrize(("body", "status"), [([b"ab", b"c"], 500), ([b"", b""], 200), ([b""], 200)])
    async def test_a_body_that_it_has_read_is_gone_for_middlewares_if_there_was_one(
        self, body: list[bytes], status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def auditing(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            assert await request.body() == b""
            return response

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive())["more_body"]:
                pass
            await where(scope, receive, send)
            assert (await receive())["type"] == "http.disconnect"

        scope = http_scope("/m", "POST", headers=[(b"transfer-encoding", b"chunked")])
        exchange = Exchange(scope, body=body)
        exchange.leave()
        async with asyncio.timeout(30):
            await exchange.run(mounting(app, middlewares=[auditing]))
        assert exchange.status == status
        assert ("BodyConsumed" in caplog.text) == (status == 500)

    async def test_a_server_that_tells_the_disconnect_once_tells_the_middleware_and_the_application(
        self,
    ) -> None:
        messages: asyncio.Queue[Message] = asyncio.Queue()
        messages.put_nowait({"type": "http.request"})
        told: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            messages.put_nowait({"type": "http.disconnect"})
            while (await receive())["type"] != "http.disconnect":
                pass
            told.append("application")

        async def send(message: Message) -> None:
            await asyncio.sleep(0)

        async with asyncio.timeout(30):
            await mounting(app, middlewares=[doubling])(http_scope("/m"), messages.get, send)
        assert told == ["application"]

    async def test_a_body_is_not_limited_by_the_parent(self) -> None:
        async def echo(request: StarletteRequest) -> PlainTextResponse:
            return PlainTextResponse(str(len(await request.body())))

        async with client_of(
            mounting(Starlette(routes=[StarletteRoute("/", echo, methods=["POST"])]))
        ) as client:
            assert (await client.post("/m/", content=b"x" * 2_000_000)).text == "2000000"

    @pytest.mark.parametrize("inner", ["starlette", "asgiweb"])
    async def test_a_body_above_a_middlewares_limit_is_413_whatever_the_application_makes_of_it(
        self, inner: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def read(request: StarletteRequest) -> PlainTextResponse:
            return PlainTextResponse(await request.body())

        async def receive_all(request: Request) -> Response:
            return Response(await request.body())

        below: Any = Starlette(routes=[StarletteRoute("/", read, methods=["POST"])])
        if inner == "asgiweb":
            below = Application()
            below.router.add_post("/", receive_all)
        scope = http_scope("/m/", "POST", headers=[(b"transfer-encoding", b"chunked")])
        parent = mounting(below, middlewares=[BodyLimit(5)])
        assert (await Exchange(dict(scope), body=[b"abc", b"de"]).run(parent)).body == b"abcde"
        exchange = await Exchange(dict(scope), body=[b"abc", b"def", b"g"]).run(parent)
        assert exchange.status == 413
        assert exchange.body == b"the body is larger than 5 bytes"
        assert not caplog.records

    async def test_what_the_application_does_after_its_response_is_not_cut_short(self) -> None:
        done: list[str] = []
        inner_done = asyncio.Event()

        async def later() -> None:
            for _ in range(20):
                await asyncio.sleep(0)
            done.append("later")
            inner_done.set()

        async def handler(request: StarletteRequest) -> PlainTextResponse:
            return PlainTextResponse("a", background=BackgroundTask(later))

        async def replacing(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            return Response(response.stream, response.status)

        inner = Starlette(routes=[StarletteRoute("/", handler)])
        for middlewares in ([], [doubling], [replacing]):
            done.clear()
            inner_done.clear()
            exchange = await Exchange(http_scope("/m/")).run(mounting(inner, middlewares=middlewares))
            assert exchange.complete
            # In another response nobody knows of it any more, and it is not waited for.
            assert done or middlewares == [replacing]
            async with asyncio.timeout(10):
                await inner_done.wait()
            assert done == ["later"]


class Stuck:
    """An application that sends what it is told, and then waits for its end."""

    def __init__(self, *messages: Message) -> None:
        self.messages = messages
        self.reached = asyncio.Event()
        self.ended: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            for message in self.messages:
                await send(message)
            self.reached.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        except OSError:
            self.ended.append("disconnected")
            raise


HEAD: Message = {"type": "http.response.start", "status": 200}
PIECE: Message = {"type": "http.response.body", "body": b"a", "more_body": True}


class TestEnds:
    @pytest.mark.parametrize("middlewares", [[], [marking]])
    async def test_a_fault_before_the_head_is_answered_by_the_parent(
        self, middlewares: list[Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise KeyError("inside")

        exchange = await Exchange(http_scope("/m")).run(mounting(app, middlewares=middlewares))
        assert exchange.status == 500
        assert ("x-mark" in exchange.headers) == bool(middlewares)
        assert caplog.text.count("KeyError: 'inside'") == 1

    async def test_an_end_without_an_answer_is_a_fault(self, caplog: pytest.LogCaptureFixture) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            pass

        assert (await Exchange(http_scope("/m")).run(mounting(app))).status == 500
        assert "without an answer" in caplog.text

    async def test_a_body_before_the_head_is_a_fault_of_the_application(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            with pytest.raises(RuntimeError, match=r"before 'http\.response\.start'"):
                await send(PIECE)
            await send(HEAD)
            await send({"type": "http.response.body"})

        assert (await Exchange(http_scope("/m")).run(mounting(app))).status == 200

    @pytest.mark.parametrize("middlewares", [[], [doubling]])
    async def test_a_fault_in_the_body_goes_to_the_server(self, middlewares: list[Any]) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(HEAD)
            await send(PIECE)
            raise KeyError("inside")

        exchange = Exchange(http_scope("/m"))
        with pytest.raises(KeyError, match="inside"):
            await exchange.run(mounting(app, middlewares=middlewares))
        assert not exchange.complete

    async def test_a_head_that_cannot_be_sent_ends_the_application(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = Stuck({**HEAD, "headers": [(b"x", b"a\r\nb")]}, PIECE)
        assert (await Exchange(http_scope("/m")).run(mounting(app))).status == 500
        assert app.ended == ["cancelled"]
        assert "HeaderError" in caplog.text

    @pytest.mark.parametrize("wrong", [{}, {"status": 200, "headers": [("a", "text")]}])
    async def test_so_does_one_that_is_none(self, wrong: Message, caplog: pytest.LogCaptureFixture) -> None:
        app = Stuck({"type": "http.response.start", **wrong}, PIECE)
        assert (await Exchange(http_scope("/m")).run(mounting(app))).status == 500
        assert app.ended == ["cancelled"]
        assert "failed" in caplog.text

    async def test_a_response_that_is_dropped_ends_the_application(self) -> None:
        app = Stuck(HEAD, PIECE)
        exchange = await Exchange(http_scope("/m")).run(mounting(app, middlewares=[dropping]))
        assert exchange.body == b"instead"
        assert app.ended == ["cancelled"]

    async def test_so_does_one_whose_stream_is_dropped(self) -> None:
        async def emptying(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            response.stream = None
            response.body = b"instead"
            return response

        app = Stuck(HEAD, PIECE)
        exchange = await Exchange(http_scope("/m")).run(mounting(app, middlewares=[emptying]))
        assert exchange.body == b"instead"
        assert app.ended == ["cancelled"]

    async def test_a_head_request_to_a_stream_that_is_wrapped_leaves_nothing_behind(self) -> None:
        async def replacing(request: Request, handler: Handler) -> Response:
            return Response((await handler(request)).stream)

        for middleware in (replacing, doubling):
            app = Stuck(HEAD, PIECE)
            await Exchange(http_scope("/m", "HEAD")).run(mounting(app, middlewares=[middleware]))
            assert app.ended == ["cancelled"]

    async def test_a_fault_after_its_response_was_dropped_is_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(HEAD)
            try:
                await send(PIECE)
            finally:
                raise KeyError("inside")

        await Exchange(http_scope("/m")).run(mounting(app, middlewares=[dropping]))
        assert "the application mounted at '/m' failed" in caplog.text

    @pytest.mark.parametrize("late", [False, True])
    async def test_a_fault_after_an_answer_that_nobody_has_read_to_its_end_is_logged(
        self, late: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        ending = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send(HEAD)
            await send({"type": "http.response.body", "body": b"a"})
            if late:
                await ending.wait()
            raise KeyError("inside")

        exchange = Exchange(http_scope("/m"), sends=2, send_error=OSError("gone"))
        await exchange.run(mounting(app, middlewares=[doubling]))
        ending.set()
        async with asyncio.timeout(10):
            while "the application mounted at '/m' failed" not in caplog.text:
                await asyncio.sleep(0)
        assert len(caplog.records) == 1

    @pytest.mark.parametrize("messages", [[], [HEAD], [HEAD, PIECE]])
    @pytest.mark.parametrize("middlewares", [[], [doubling]])
    async def test_a_request_that_is_cancelled_twice_waits_for_the_application(
        self, messages: list[Message], middlewares: list[Any]
    ) -> None:
        reached, cleaning, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        ended: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                for message in messages:
                    await send(message)
                reached.set()
                await asyncio.Event().wait()
            finally:
                cleaning.set()
                try:
                    await go_on.wait()
                finally:
                    await go_on.wait()
                    ended.append("application")

        parent = mounting(app, middlewares=middlewares)
        task = asyncio.create_task(Exchange(http_scope("/m")).run(parent))
        task.add_done_callback(lambda task: ended.append("request"))
        for event in (reached, cleaning):
            await event.wait()
            task.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait([task])
        assert task.cancelled()
        async with asyncio.timeout(10):
            while len(ended) < 2:
                await asyncio.sleep(0)
        assert ended == ["application", "request"]

    @pytest.mark.parametrize("messages", [[], [HEAD], [HEAD, PIECE]])
    @pytest.mark.parametrize("middlewares", [[], [doubling]])
    async def test_a_request_that_is_cancelled_ends_the_application(
        self, messages: list[Message], middlewares: list[Any]
    ) -> None:
        app = Stuck(*messages)
        exchange = Exchange(http_scope("/m"))
        task = asyncio.create_task(exchange.run(mounting(app, middlewares=middlewares)))
        async with asyncio.timeout(10):
            await app.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert app.ended == ["cancelled"]

    async def test_a_client_that_leaves_is_told_by_send(self, caplog: pytest.LogCaptureFixture) -> None:
        app = Stuck(HEAD, PIECE, PIECE)
        exchange = Exchange(http_scope("/m"), sends=2, send_error=OSError("gone"))
        await exchange.run(mounting(app))
        assert app.ended == ["disconnected"]
        assert caplog.records == []

    @pytest.mark.parametrize("sends", [0, 1])
    async def test_also_where_a_middleware_reads_the_body(
        self, sends: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = Stuck(HEAD, PIECE, PIECE)
        exchange = Exchange(http_scope("/m"), sends=sends, send_error=OSError("gone"))
        await exchange.run(mounting(app, middlewares=[doubling]))
        assert app.ended == ["cancelled"]
        assert caplog.records == []

    async def test_a_client_that_leaves_is_told_by_receive(self, caplog: pytest.LogCaptureFixture) -> None:
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while (message := await receive())["type"] != "http.disconnect":
                seen.append(message["type"])
            raise RuntimeError("an exception of its own")

        exchange = Exchange(http_scope("/m"))
        asyncio.get_running_loop().call_later(0.01, exchange.leave)
        await exchange.run(mounting(app, middlewares=[marking]))
        assert seen == ["http.request"]
        assert exchange.sent == []
        assert caplog.records == []

    async def test_an_endless_stream_of_starlette_ends_with_its_client(self) -> None:
        closed: list[bool] = []

        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"a"
                    await asyncio.sleep(0)
            finally:
                closed.append(True)

        async def handler(request: StarletteRequest) -> StreamingResponse:
            return StreamingResponse(pieces())

        inner = Starlette(routes=[StarletteRoute("/", handler)])
        for spec_version in ("2.3", "2.4"):
            scope = http_scope("/m/", asgi={"version": "3.0", "spec_version": spec_version})
            error = OSError("gone") if spec_version == "2.4" else None
            exchange = Exchange(scope, sends=5, send_error=error)
            asyncio.get_running_loop().call_later(0.01, exchange.leave)
            async with asyncio.timeout(10):
                await exchange.run(mounting(inner, middlewares=[marking]))
            assert not exchange.complete


def echoing() -> Starlette:
    async def echo(ws: StarletteWebSocket) -> None:
        await ws.accept(subprotocol="b", headers=[(b"x-a", b"1")])
        async for message in ws.iter_text():
            await ws.send_text(f"{ws.scope['root_path']} {message}")

    async def refuse(ws: StarletteWebSocket) -> None:
        await ws.send_denial_response(PlainTextResponse("no", 401, headers={"x-from": "below"}))

    async def close(ws: StarletteWebSocket) -> None:
        await ws.close()

    async def leave(ws: StarletteWebSocket) -> None:
        await ws.accept()

    async def fail(ws: StarletteWebSocket) -> None:
        await ws.accept()
        raise KeyError("inside")

    handlers = {"echo": echo, "refuse": refuse, "close": close, "leave": leave, "fail": fail}
    return Starlette(routes=[WebSocketRoute(f"/{name}", handler) for name, handler in handlers.items()])


class TestWebSockets:
    @pytest.mark.parametrize("spec_version", ["2.1", "2.5"])
    async def test_a_conversation(self, spec_version: str) -> None:
        seen: list[int] = []

        async def watching(request: Request, handler: Handler) -> Response:
            assert request.websocket is not None
            response = await handler(request)
            seen.append(response.status)
            return response

        scope = websocket_scope("/m/echo", asgi={"version": "3.0", "spec_version": spec_version})
        server = ScriptedServer(text("a"), text("b"), disconnect(code=1000), scope=scope)
        await server.run(mounting(echoing(), middlewares=[watching]))
        assert server.types == ["accept", "send", "send"]
        assert [message.get("text") for message in server.sent[1:]] == ["/m a", "/m b"]
        assert (server.sent[0]["subprotocol"], server.sent[0]["headers"]) == ("b", [(b"x-a", b"1")])
        assert seen == [101]

    async def test_through_the_client(self) -> None:
        async with TestClient(mounting(echoing())) as client, client.websocket("/m/echo") as ws:
            await ws.send_text("hello")
            assert await ws.receive_text() == "/m hello"

    async def test_a_refusal_with_a_response_goes_through_the_middlewares(self) -> None:
        async with TestClient(mounting(echoing(), middlewares=[marking])) as client:
            with pytest.raises(WebSocketDenied) as refusal:
                async with client.websocket("/m/refuse"):
                    pass
        response = refusal.value.response
        assert (response.status_code, response.text) == (401, "no")
        assert response.headers["x-mark"] == "401 below"

    async def test_a_refusal_by_closing(self) -> None:
        server = await ScriptedServer(scope=websocket_scope("/m/close")).run(mounting(echoing()))
        assert server.types == ["close"]

    async def test_an_application_that_ends_closes(self) -> None:
        server = await ScriptedServer(scope=websocket_scope("/m/leave")).run(mounting(echoing()))
        assert server.types == ["accept", "close"]
        assert server.sent[1]["code"] == 1000

    async def test_one_that_fails_closes_with_1011_and_is_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = await ScriptedServer(scope=websocket_scope("/m/fail")).run(mounting(echoing()))
        assert server.types == ["accept", "close"]
        assert server.sent[1]["code"] == 1011
        assert "KeyError: 'inside'" in caplog.text

    async def test_a_websocket_that_is_cancelled_ends_the_application(self) -> None:
        app = Stuck({"type": "websocket.accept"})
        server = ScriptedServer(scope=websocket_scope("/m"))
        task = asyncio.create_task(server.run(mounting(app)))
        async with asyncio.timeout(10):
            await app.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert app.ended == ["cancelled"]

    async def test_a_client_that_has_left_is_told_by_send(self, caplog: pytest.LogCaptureFixture) -> None:
        app = Stuck({"type": "websocket.accept"}, {"type": "websocket.send", "text": "a"})
        server = ScriptedServer(scope=websocket_scope("/m"))
        server.lost = True
        await server.run(mounting(app))
        assert app.ended == ["disconnected"]
        assert caplog.records == []

    async def test_a_client_that_leaves_before_the_acceptance_is_no_fault(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        inner = Application()

        @inner.websocket("/")
        async def handler(ws: WebSocket) -> None:
            async with ws:
                await ws.receive()

        server = ScriptedServer(scope=websocket_scope("/m/"))
        server.lost = True
        await server.run(mounting(inner))
        assert server.sent == []
        assert caplog.records == []

    async def test_applications_of_this_kind(self) -> None:
        inner = Application()

        @inner.websocket("/{name}")
        async def handler(ws: WebSocket, name: str) -> None:
            async with ws:
                await ws.send_text(name)

        server = await ScriptedServer(disconnect(), scope=websocket_scope("/m/a")).run(mounting(inner))
        assert server.types == ["accept", "send", "close"]

    async def test_a_fault_after_the_client_has_left_is_a_fault(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                pass
            raise KeyError("inside")

        server = ScriptedServer(disconnect(), scope=websocket_scope("/m"))
        await server.run(mounting(app))
        assert server.types == ["accept"]
        assert caplog.text.count("KeyError: 'inside'") == 1

    async def test_what_starlette_makes_of_a_lost_connection_is_none(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def handler(ws: StarletteWebSocket) -> None:
            await ws.accept()
            server.lost = True
            await ws.send_text("a")

        server = ScriptedServer(scope=websocket_scope("/m/"))
        await server.run(mounting(Starlette(routes=[WebSocketRoute("/", handler)])))
        assert server.types == ["accept"]
        assert caplog.records == []


class TestLifespans:
    """The lifespans of mounted applications are run with their parent's."""

    async def test_complaint_11_mounted_lifespans_are_run_and_their_state_reaches_requests(self) -> None:
        events: list[str] = []

        @asynccontextmanager
        async def of_starlette(app: Starlette) -> AsyncIterator[dict[str, Any]]:
            task = asyncio.current_task()
            events.append("starlette starts")
            yield {"name": "starlette's"}
            events.append(f"starlette stops {task is asyncio.current_task()}")

        async def handler(request: StarletteRequest) -> PlainTextResponse:
            return PlainTextResponse(request.state.name)

        @asynccontextmanager
        async def of_inner(app: Application[str]) -> AsyncIterator[str]:
            events.append("inner starts")
            yield "inner's"
            events.append("inner stops")

        @asynccontextmanager
        async def of_parent(app: Application[str]) -> AsyncIterator[str]:
            events.append("parent starts")
            yield "parent's"
            events.append("parent stops")

        inner = Application(lifespan=of_inner)

        @inner.get("/")
        async def show(request: Request[str]) -> Response:
            return Response(request.state)

        parent = Application(lifespan=of_parent)
        parent.router.add_get("/", show)
        parent.mount("/s", Starlette(routes=[StarletteRoute("/", handler)], lifespan=of_starlette))
        parent.mount("/i", inner)
        parent.mount("/again", inner)
        parent.mount("/w", where)
        parent.on_startup.append(lambda app: events.append("hook"))
        async with TestClient(parent) as client:
            assert (await client.get("/s/")).text == "starlette's"
            assert (await client.get("/i")).text == (await client.get("/again/")).text == "inner's"
            assert (await client.get("/")).text == "parent's"
            assert (await client.get("/w")).text == "GET /w /w"
        assert events == [
            *("parent starts", "starlette starts", "inner starts", "hook"),
            *("inner stops", "starlette stops True", "parent stops"),
        ]

    async def test_a_start_that_fails_fails_the_parents_and_says_where(self) -> None:
        events: list[str] = []

        @asynccontextmanager
        async def lifespan(app: Application[None]) -> AsyncIterator[None]:
            events.append("first starts")
            yield
            events.append("first stops")

        @asynccontextmanager
        async def broken(app: Starlette) -> AsyncIterator[None]:
            raise OSError("no database")
            yield

        parent = mounting(Application(lifespan=lifespan), "/first")
        parent.mount("/second", Starlette(lifespan=broken))
        client = TestClient(parent)
        with pytest.raises(
            RuntimeError, match=r"(?s)startup of what is mounted at '/second' failed: .*no data"
        ):
            async with client:
                pass
        assert events == ["first starts", "first stops"]

    async def test_a_stop_that_fails_is_told_after_everything_was_tried(self) -> None:
        events: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.failed", "message": "stuck"})

        @asynccontextmanager
        async def lifespan(app: Application[None]) -> AsyncIterator[None]:
            try:
                yield
            finally:
                events.append("parent stops")

        parent = Application(lifespan=lifespan)
        parent.mount("/m", app)
        client = TestClient(parent)
        with pytest.raises(RuntimeError, match="shutdown of what is mounted at '/m' failed: stuck"):
            async with client:
                pass
        assert events == ["parent stops"]

    async def test_a_fault_in_a_lifespan_is_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await receive()
                raise KeyError("inside")
            await where(scope, receive, send)

        async with TestClient(mounting(app)) as client:
            assert (await client.get("/m")).status_code == 200
        assert "goes on without one" in caplog.text

    @pytest.mark.parametrize("moment", ["while it runs", "while it stops"])
    async def test_a_fault_after_the_start_is_logged(
        self, moment: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            assert scope["type"] == "lifespan"
            await receive()
            await send({"type": "lifespan.startup.complete"})
            if moment == "while it stops":
                await receive()
            raise KeyError("inside")

        async with TestClient(mounting(app)):
            pass
        (record,) = caplog.records
        assert (record.levelname, record.message) == (
            "ERROR",
            "the lifespan of what is mounted at '/m' failed",
        )
        assert record.exc_info is not None

    async def test_what_says_itself_that_its_stop_failed_is_reported_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.failed", "message": "stuck"})
            raise KeyError("inside")

        client = TestClient(mounting(app))
        with pytest.raises(RuntimeError, match="stuck"):
            async with client:
                pass
        assert [record.message for record in caplog.records] == ["the application's shutdown failed"]

    async def test_an_application_that_receives_for_ever_does_not_hold_up_the_stop(self) -> None:
        told: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while scope["type"] == "lifespan":
                told.append((await receive())["type"])
                await send({"type": f"{told[-1]}.complete"})

        async with asyncio.timeout(30), TestClient(mounting(app)):
            assert told == ["lifespan.startup"]
        assert told == ["lifespan.startup", "lifespan.shutdown"]

    async def test_nor_does_one_that_cannot_start(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while True:
                await receive()
                await send({"type": "lifespan.startup.failed", "message": "no"})

        async with asyncio.timeout(30):
            with pytest.raises(RuntimeError, match="startup of what is mounted at '/m' failed: no"):
                await TestClient(mounting(app)).__aenter__()

    async def test_a_server_that_gives_up_ends_mounted_lifespans(self) -> None:
        ended: list[str] = []
        started = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            started.set()
            try:
                await receive()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        events: asyncio.Queue[Message] = asyncio.Queue()
        events.put_nowait({"type": "lifespan.startup"})

        async def send(message: Message) -> None:
            pass

        parent = mounting(app)
        task: asyncio.Task[None] = asyncio.ensure_future(parent({"type": "lifespan"}, events.get, send))
        async with asyncio.timeout(10):
            await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["cancelled"]
