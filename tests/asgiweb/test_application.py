"""The application: methods, faults of all kinds, and the protocols it is asked to speak."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from asgiweb import (
    Application,
    Converter,
    Handler,
    HTTPFound,
    HTTPNotFound,
    RegistrationError,
    Request,
    Response,
    UrlError,
    WebSocket,
    WebSocketDisconnect,
    json_response,
)
from asgiweb.asgi import Message
from tests.asgiweb.exchange import Exchange, client_of, http_scope
from tests.asgiweb.scripted import ScriptedServer, websocket_scope


@pytest.fixture
def app() -> Application[Any]:
    app: Application[Any] = Application()

    @app.get("/")
    async def index(request: Request) -> Response:
        return Response("hello")

    @app.get("/users/{id:int}", name="user")
    async def show_user(request: Request, id: int) -> Response:
        if id > 10:
            raise HTTPNotFound(f"no user {id}")
        return json_response({"id": id, "url": str(request.url_for("user", id=id))})

    @app.post("/users/{id:int}")
    async def change_user(request: Request, id: int) -> Response:
        return json_response({"id": id, "name": (await request.json())["name"]})

    @app.get("/stream")
    async def stream(request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                yield f"{number}\n"

        return Response(pieces(), content_type="text/plain; charset=utf-8")

    @app.get("/found")
    async def found(request: Request) -> Response:
        raise HTTPFound("/")

    return app


@pytest.fixture
async def client(app: Application[Any]) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


class TestRequests:
    async def test_text(self, client: httpx.AsyncClient) -> None:
        response = await client.get("/")
        assert (response.status_code, response.text) == (200, "hello")
        assert response.headers == {"content-type": "text/plain; charset=utf-8", "content-length": "5"}

    async def test_json_and_a_parameter(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/users/7")).json() == {"id": 7, "url": "/users/7"}

    async def test_a_body(self, client: httpx.AsyncClient) -> None:
        assert (await client.post("/users/7", json={"name": "\xe9"})).json() == {"id": 7, "name": "\xe9"}

    async def test_a_body_that_is_none(self, client: httpx.AsyncClient) -> None:
        response = await client.post("/users/7", content=b"{")
        assert response.status_code == 400
        assert response.text.startswith("the body is not JSON")

    async def test_a_body_that_is_too_large(self, client: httpx.AsyncClient) -> None:
        response = await client.post("/users/7", content=b"x" * 1_000_001)
        assert (response.status_code, response.text) == (413, "the body is larger than 1000000 bytes")

    async def test_a_stream(self, client: httpx.AsyncClient) -> None:
        response = await client.get("/stream")
        assert response.text == "0\n1\n2\n"
        assert "content-length" not in response.headers

    async def test_an_exception_that_answers(self, client: httpx.AsyncClient) -> None:
        response = await client.get("/users/11")
        assert (response.status_code, response.text) == (404, "no user 11")

    async def test_a_redirect(self, client: httpx.AsyncClient) -> None:
        response = await client.get("/found")
        assert (response.status_code, response.headers["location"], response.text) == (302, "/", "")


class TestMethods:
    async def test_an_unknown_path_is_404(self, client: httpx.AsyncClient) -> None:
        for path in ("/nothing", "/users/seven", "/users/7/x", "/users"):
            response = await client.get(path)
            assert (response.status_code, response.text) == (404, "Not Found")

    async def test_another_method_is_405_with_every_method_that_works(
        self, client: httpx.AsyncClient
    ) -> None:
        response = await client.delete("/users/7")
        assert response.status_code == 405
        assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"

    @pytest.mark.parametrize("path", ["/", "/users/7", "/stream", "/users/11", "/nothing"])
    async def test_head_is_get_without_the_body(self, client: httpx.AsyncClient, path: str) -> None:
        head, get = await client.head(path), await client.get(path)
        assert head.text == ""
        assert (head.status_code, head.headers) == (get.status_code, get.headers)

    async def test_options_names_the_methods(self, client: httpx.AsyncClient) -> None:
        response = await client.options("/users/7")
        assert (response.status_code, response.text) == (204, "")
        assert response.headers == {"allow": "GET, HEAD, OPTIONS, POST"}

    async def test_options_of_an_unknown_path_is_404(self, client: httpx.AsyncClient) -> None:
        assert (await client.options("/nothing")).status_code == 404

    @pytest.mark.parametrize("trailing_slash", ["redirect", "ignore", "strict"])
    async def test_options_of_the_server_as_a_whole(self, app: Application[Any], trailing_slash: Any) -> None:
        # RFC 9110, 9.3.7.
        app.trailing_slash = trailing_slash
        exchange = await Exchange(http_scope("*", "OPTIONS")).run(app)
        assert (exchange.status, exchange.body) == (204, b"")
        assert (await Exchange(http_scope("*")).run(app)).status == 404

    @pytest.mark.parametrize("path", ["x/users/7", "x/", "x/users/7/", "users/7", "x", "http://test/users/7"])
    @pytest.mark.parametrize("method", ["GET", "OPTIONS", "DELETE"])
    @pytest.mark.parametrize("trailing_slash", ["redirect", "ignore", "strict"])
    async def test_a_path_that_begins_without_a_slash_is_that_of_no_route(
        self, app: Application[Any], path: str, method: str, trailing_slash: Any
    ) -> None:
        # Some servers let such targets through; who looks at how a path begins must not be deceived.
        app.trailing_slash = trailing_slash
        app.mount("/users", Application())
        assert (await Exchange(http_scope(path, method)).run(app)).status == 404

    async def test_options_may_have_a_handler(self, app: Application[Any], client: httpx.AsyncClient) -> None:
        @app.options("/users/{id:int}")
        async def options(request: Request) -> Response:
            return Response("mine")

        assert (await client.options("/users/7")).text == "mine"

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/nothing"), ("PUT", "/"), ("OPTIONS", "/"), ("HEAD", "/x")]
    )
    async def test_middlewares_are_around_what_no_route_answers(
        self, app: Application[Any], client: httpx.AsyncClient, method: str, path: str
    ) -> None:
        @app.middleware
        async def marking(request: Request, handler: Handler) -> Response:
            assert request.route is None
            response = await handler(request)
            response.headers["x-mark"] = "seen"
            return response

        assert (await client.request(method, path)).headers["x-mark"] == "seen"


class TestRegistration:
    async def test_the_router_takes_handlers_that_are_defined_elsewhere(self) -> None:
        async def handler(request: Request, name: str) -> Response:
            return Response(f"hello {name}, {request.match_info['name']}")

        app = Application()
        route = app.router.add_get("/{name}", handler)
        assert app.router.routes == (route,)
        async with client_of(app) as client:
            assert (await client.get("/me")).text == "hello me, me"

    async def test_a_request_knows_its_route(self) -> None:
        app = Application()

        @app.get("/{name}")
        async def handler(request: Request) -> Response:
            assert request.route is not None
            return Response(request.route.path)

        assert (await Exchange(http_scope("/me")).run(app)).body == b"/{name}"

    async def test_converters_of_ones_own(self) -> None:
        app = Application()
        app.router.add_converter(Converter("hex", int, lambda text: int(text, 16), "{:x}".format))

        @app.get("/{id:hex}", name="it")
        async def handler(request: Request, id: int) -> Response:
            return Response(str(request.url_for("it", id=id + 1)))

        assert (await Exchange(http_scope("/ff")).run(app)).body == b"/100"

    def test_mistakes_show_when_a_handler_is_registered(self, app: Application[Any]) -> None:
        with pytest.raises(
            RegistrationError, match=r"test_application\.py:\d+ .*misspelt: path '/x/\{name\}'"
        ):

            @app.get("/x/{name}")
            async def misspelt(request: Request, nmae: str) -> Response:
                return Response()

    def test_a_middleware_of_the_wrong_shape_is_refused(self) -> None:
        def plain(request: Request, handler: Handler) -> Response:
            return Response()

        with pytest.raises(RegistrationError, match="async def"):
            Application(middlewares=[plain])  # type: ignore[list-item]  # that is the point

    def test_the_middlewares_are_listed_from_the_outside_in(self) -> None:
        async def first(request: Request, handler: Handler) -> Response:
            return await handler(request)

        async def second(request: Request, handler: Handler) -> Response:
            return await handler(request)

        app = Application(middlewares=[first])
        assert app.middleware(second) is second
        assert app.middlewares == (first, second)

    def test_url_for(self, app: Application[Any]) -> None:
        assert str(app.url_for("user", id=7)) == "/users/7"
        with pytest.raises(UrlError):
            app.url_for("nobody")


class TestFaults:
    async def test_headers_that_cannot_be_sent_are_a_500(self, caplog: pytest.LogCaptureFixture) -> None:
        app = Application()

        @app.get("/")
        async def handler(request: Request) -> Response:
            return Response("a", headers={"x": "a\r\nb: c"})

        exchange = await Exchange().run(app)
        assert (exchange.status, exchange.body) == (500, b"Internal Server Error")
        assert len(caplog.records) == 1

    async def test_also_if_the_answer_to_that_has_such_headers(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = Application()

        @app.get("/")
        async def handler(request: Request) -> Response:
            raise KeyError

        @app.error_handler(500)
        async def sorry(request: Request, error: Exception) -> Response:
            return Response("sorry", 500, headers={"x": "a\r\nb: c"})

        assert (await Exchange().run(app)).body == b"Internal Server Error"
        assert len(caplog.records) == 2

    async def test_an_answered_fault_is_not_raised_to_the_server(self) -> None:
        app = Application()

        @app.get("/")
        async def handler(request: Request) -> Response:
            raise KeyError

        exchange = Exchange()
        await exchange.run(app)
        assert exchange.complete

    async def test_a_fault_after_the_start_of_the_response_is(self, caplog: pytest.LogCaptureFixture) -> None:
        app = Application()

        @app.get("/")
        async def handler(request: Request) -> Response:
            async def pieces() -> AsyncIterator[bytes]:
                yield b"a"
                raise KeyError("in the stream")

            return Response(pieces())

        exchange = Exchange()
        with pytest.raises(KeyError, match="in the stream"):
            await exchange.run(app)
        assert not exchange.complete
        assert caplog.records == []


class TestDisconnects:
    async def test_a_client_that_leaves_during_its_body(self, caplog: pytest.LogCaptureFixture) -> None:
        app = Application()
        reached = []

        @app.post("/")
        async def upload(request: Request) -> Response:
            reached.append("start")
            await request.body()
            reached.append("never")
            return Response()

        caplog.set_level(logging.DEBUG, "asgiweb")
        scope = http_scope(method="POST", headers=[(b"content-length", b"10")])
        exchange = await Exchange(scope, body=[b"half"], leaves=True).run(app)
        assert exchange.sent == []
        assert reached == ["start"]
        assert [record.levelno for record in caplog.records] == [logging.DEBUG]

    async def test_a_client_that_leaves_while_a_group_of_tasks_reads(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = Application()

        @app.post("/")
        async def upload(request: Request) -> Response:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(request.body())
            return Response()

        scope = http_scope(method="POST", headers=[(b"content-length", b"10")])
        exchange = await Exchange(scope, body=[b"half"], leaves=True).run(app)
        assert exchange.sent == []
        assert caplog.records == []

    async def test_a_websocket_of_somebody_else_that_is_closed_is_a_fault(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = Application()
        room: list[WebSocket] = []

        @app.websocket("/room")
        async def enter(ws: WebSocket) -> None:
            async with ws:
                room.append(ws)

        @app.post("/room")
        async def say(request: Request) -> Response:
            await room[0].send_text("hello")
            return Response("said")

        @app.websocket("/refused")
        async def refused(ws: WebSocket) -> None:
            await room[0].send_text("hello")

        @app.get("/stream")
        async def stream(request: Request) -> Response:
            async def pieces() -> AsyncIterator[bytes]:
                yield b"a"
                await room[0].send_text("hello")

            return Response(pieces())

        await ScriptedServer(scope=websocket_scope("/room")).run(app)
        assert (await Exchange(http_scope("/room", "POST")).run(app)).status == 500
        scope = websocket_scope("/refused", extensions={"websocket.http.response": {}})
        assert (await ScriptedServer(scope=scope).run(app)).sent[0]["status"] == 500
        messages = [record.message for record in caplog.records]
        assert messages == ["POST '/room' failed", "websocket '/refused' failed"]
        with pytest.raises(WebSocketDisconnect):
            await Exchange(http_scope("/stream")).run(app)

    @pytest.mark.parametrize("sends", [0, 1])
    async def test_a_client_that_leaves_during_the_response(
        self, app: Application[Any], sends: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        await Exchange(sends=sends, send_error=OSError("gone")).run(app)
        assert caplog.records == []

    async def test_a_client_that_leaves_during_a_stream_that_waits(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = Application()
        closed = []

        @app.get("/")
        async def handler(request: Request) -> Response:
            async def pieces() -> AsyncIterator[bytes]:
                try:
                    yield b"a"
                    await asyncio.Event().wait()
                finally:
                    closed.append(True)

            return Response(pieces())

        exchange = Exchange()
        asyncio.get_running_loop().call_later(0.01, exchange.leave)
        await exchange.run(app)
        assert closed
        assert caplog.records == []

    @pytest.mark.parametrize("version", ["2.0", "2.3", None])
    async def test_a_client_that_leaves_is_seen_after_a_body_that_nobody_reads(
        self, version: str | None
    ) -> None:
        app = Application()

        @app.post("/")
        async def handler(request: Request) -> Response:
            async def pieces() -> AsyncIterator[bytes]:
                while True:
                    yield b"a"
                    await asyncio.sleep(0)

            return Response(pieces())

        # Before version 2.4, send() does nothing where nobody is there any more.
        scope = http_scope(method="POST", headers=[(b"content-length", b"5")], asgi={"version": "3.0"})
        if version is not None:
            scope["asgi"]["spec_version"] = version
        exchange = Exchange(scope, body=[b"ab", b"cde"])
        asyncio.get_running_loop().call_later(0.01, exchange.leave)
        async with asyncio.timeout(30):
            await exchange.run(app)
        assert not exchange.complete

    async def test_a_stream_may_read_the_body_while_it_is_sent(self) -> None:
        app = Application()

        @app.post("/")
        async def echo(request: Request) -> Response:
            return Response(aiter(request))

        scope = http_scope(method="POST", headers=[(b"transfer-encoding", b"chunked")])
        exchange = await Exchange(scope, body=[b"a", b"b", b"c"]).run(app)
        assert exchange.body == b"abc"
        assert exchange.complete


class TestProtocols:
    async def test_a_websocket_that_no_route_is_for_is_closed_before_it_is_accepted(
        self, app: Application[Any]
    ) -> None:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await app(websocket_scope("/"), receive, send)
        assert [message["type"] for message in sent] == ["websocket.close"]

    async def test_an_unknown_protocol_is_an_error_that_names_it(self, app: Application[Any]) -> None:
        exchange = Exchange()
        with pytest.raises(RuntimeError, match="'mqtt'"):
            await app({"type": "mqtt"}, exchange.receive, exchange.send)

    async def test_the_scope_may_have_the_least_that_asgi_asks_for(self, app: Application[Any]) -> None:
        scope = {"type": "http", "method": "GET", "path": "/users/7", "headers": []}
        exchange = await Exchange(scope).run(app)
        assert exchange.body == b'{"id":7,"url":"/users/7"}'

    async def test_below_a_mount(self, app: Application[Any]) -> None:
        exchange = await Exchange(http_scope("/api/users/7", root_path="/api")).run(app)
        assert exchange.body == b'{"id":7,"url":"/api/users/7"}'

    async def test_messages_hold_only_what_asgi_allows(self, app: Application[Any]) -> None:
        exchange = await Exchange(http_scope("/users/7")).run(app)
        start, body = exchange.sent
        assert start.keys() == {"type", "status", "headers"}
        assert type(start["status"]) is int
        assert all(type(name) is type(value) is bytes for name, value in start["headers"])
        assert type(body["body"]) is bytes
