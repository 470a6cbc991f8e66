"""The handshake: which handler it finds, what answers it otherwise, and what middlewares see of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from asgiweb import (
    Application,
    Handler,
    HTTPForbidden,
    HTTPFound,
    HTTPNotFound,
    HTTPUnauthorized,
    RegistrationError,
    Request,
    Response,
    WebSocket,
    WebSocketError,
    json_response,
)
from asgiweb.asgi import Message
from tests.asgiweb.exchange import Exchange, client_of, http_scope
from tests.asgiweb.scripted import ScriptedServer, disconnect, text, websocket_scope

RESPONSES = {"websocket.http.response": dict[str, Any]()}


async def echo(ws: WebSocket) -> None:
    async with ws:
        async for message in ws:
            await ws.send_text(str(message))


async def hello(request: Request) -> Response:
    return Response("hello")


async def answered(app: Application[Any], path: str = "/", **scope: Any) -> ScriptedServer:
    """Open a websocket on a server that can send responses."""
    return await ScriptedServer(
        disconnect(code=1000), scope=websocket_scope(path, extensions=RESPONSES, **scope)
    ).run(app)


def response_of(server: ScriptedServer) -> tuple[int, dict[str, str], bytes]:
    start, *bodies = server.sent
    assert start["type"] == "websocket.http.response.start"
    assert {message["type"] for message in bodies} == {"websocket.http.response.body"}
    assert not bodies[-1].get("more_body", False)
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, b"".join(message["body"] for message in bodies)


class TestRouting:
    async def test_a_path_may_have_a_websocket_and_a_get_route(self) -> None:
        app: Application[Any] = Application()
        app.websocket("/x")(echo)
        app.get("/x")(hello)
        assert (await answered(app, "/x")).types == ["accept"]
        assert (await Exchange(http_scope("/x")).run(app)).body == b"hello"

    async def test_parameters_are_those_of_http(self) -> None:
        app: Application[Any] = Application()
        seen: list[object] = []

        @app.websocket("/rooms/{name}")
        async def by_name(ws: WebSocket, name: str) -> None:
            seen.append(name)
            await ws.accept()

        @app.websocket("/rooms/{number:int}")
        async def by_number(ws: WebSocket, *, number: int) -> None:
            seen.append(number)
            await ws.accept()

        @app.websocket("/files/{rest:path}")
        async def everything(ws: WebSocket, /, **parameters: Any) -> None:
            seen.append(parameters)
            await ws.accept()

        for path, raw_path in [
            ("/rooms/7", b"/rooms/7"),
            ("/rooms/a/b", b"/rooms/a%2Fb"),
            ("/files/a/b", b"/files/a/b"),
        ]:
            await answered(app, path, raw_path=raw_path)
        await answered(app, "/api/rooms/8", root_path="/api")
        assert seen == [7, "a/b", {"rest": "a/b"}, 8]

    def test_a_second_of_the_same_shape_is_refused(self) -> None:
        app: Application[Any] = Application()
        app.websocket("/rooms/{a}")(echo)
        with pytest.raises(RegistrationError, match=r"websocket '/rooms/\{b\}' is registered already.*\{a\}"):
            app.websocket("/rooms/{b}")(echo)

    def test_a_second_of_the_same_name_is_refused(self) -> None:
        app: Application[Any] = Application()
        app.get("/a", name="same")(hello)
        with pytest.raises(RegistrationError, match="the name 'same' is that of '/a'"):
            app.websocket("/b", name="same")(echo)

    def test_the_decorator_gives_the_function_back(self) -> None:
        app: Application[Any] = Application()
        assert app.websocket("/")(echo) is echo
        (route,) = app.router.routes
        assert route.methods == ("websocket",)
        assert repr(route).startswith("<Route websocket '/' at ")
        assert app.router.add_websocket("/x", echo, name="x").handler is echo
        assert str(app.url_for("x")) == "/x"

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("/{a}", "the handler wants 'room', which is no parameter of the path; there are a"),
            ("/{room:int}", "the handler wants 'room' as str, and the path gives it as int"),
            ("room", "a path starts with '/'"),
        ],
    )
    def test_a_handler_that_cannot_be_right_is_refused(self, path: str, message: str) -> None:
        app: Application[Any] = Application()

        async def handler(ws: WebSocket, room: str) -> None:
            pass

        with pytest.raises(RegistrationError) as caught:
            app.router.add_websocket(path, handler)
        assert message in str(caught.value)
        assert f"{handler.__code__.co_filename}:{handler.__code__.co_firstlineno}" in str(caught.value)

    def test_handlers_of_the_other_kind_are_refused(self) -> None:
        app: Application[Any] = Application()
        add_websocket: Callable[..., Any] = app.router.add_websocket
        with pytest.raises(RegistrationError, match="wants a Request, and here it is given a WebSocket"):
            add_websocket("/", hello)
        with pytest.raises(RegistrationError, match="wants a WebSocket, and here it is given a Request"):
            app.router.add_get("/", echo)  # type: ignore[arg-type]  # that is the point

    def test_functions_that_block_are_refused(self) -> None:
        app: Application[Any] = Application()

        def blocking(ws: WebSocket) -> None:
            pass

        with pytest.raises(RegistrationError, match="async def"):
            app.router.add_websocket("/", blocking)  # type: ignore[arg-type]  # that is the point

    async def test_http_on_the_path_of_a_websocket(self) -> None:
        app: Application[Any] = Application()
        app.websocket("/x")(echo)
        async with client_of(app) as client:
            get, post, options = [await client.request(m, "/x") for m in ("GET", "POST", "OPTIONS")]
        assert (get.status_code, get.headers["upgrade"], get.headers["connection"]) == (
            426,
            "websocket",
            "upgrade",
        )
        over_http_2 = await Exchange(http_scope("/x", http_version="2")).run(app)
        assert over_http_2.status == 426
        assert not {"upgrade", "connection"} & set(over_http_2.headers)
        assert (post.status_code, post.headers["allow"]) == (405, "GET, OPTIONS")
        assert (options.status_code, options.headers["allow"]) == (204, "GET, OPTIONS")

    @pytest.mark.parametrize("path", ["/", "/beside", "/slash/"])
    async def test_a_method_that_is_called_like_a_websocket_is_none_of_the_route(self, path: str) -> None:
        app: Application[Any] = Application(trailing_slash="ignore")
        app.websocket("/")(echo)
        app.websocket("/beside")(echo)
        app.post("/beside")(hello)
        app.websocket("/slash")(echo)
        for method in ("websocket", "mount"):
            exchange = await Exchange(http_scope(path, method)).run(app)
            assert exchange.status == 405
            allowed = "GET, OPTIONS, POST" if path == "/beside" else "GET, OPTIONS"
            assert exchange.headers["allow"] == allowed

    async def test_http_beside_a_websocket_finds_other_routes(self) -> None:
        app: Application[Any] = Application()
        app.websocket("/x/{a}")(echo)
        app.get("/{b}/{c}")(hello)
        app.post("/x/{a}")(hello)
        async with client_of(app) as client:
            assert (await client.get("/x/y")).text == "hello"
            assert (await client.put("/x/y")).headers["allow"] == "GET, HEAD, OPTIONS, POST"


class TestRefusal:
    @pytest.fixture
    def app(self) -> Application[Any]:
        app: Application[Any] = Application()
        app.get("/get")(hello)
        app.post("/post")(hello)

        @app.websocket("/unauthorized")
        async def unauthorized(ws: WebSocket) -> None:
            raise HTTPUnauthorized("who?", headers={"www-authenticate": "Basic"})

        @app.websocket("/found")
        async def found(ws: WebSocket) -> None:
            raise HTTPFound("/elsewhere")

        @app.websocket("/fault")
        async def fault(ws: WebSocket) -> None:
            raise KeyError("secret")

        @app.websocket("/closed")
        async def closed(ws: WebSocket) -> None:
            await ws.close(1008, "not you")

        @app.websocket("/forgetful")
        async def forgetful(ws: WebSocket) -> None:
            pass

        return app

    @pytest.mark.parametrize(
        ("path", "status", "body"),
        [
            ("/unauthorized", 401, b"who?"),
            ("/found", 302, b""),
            ("/nowhere", 404, b"Not Found"),
            ("/get", 404, b"Not Found"),
            ("/post", 405, b"Method Not Allowed"),
            ("/fault", 500, b"Internal Server Error"),
            ("/forgetful", 500, b"Internal Server Error"),
        ],
    )
    async def test_is_a_response(self, app: Application[Any], path: str, status: int, body: bytes) -> None:
        seen = response_of(await answered(app, path))
        assert (seen[0], seen[2]) == (status, body)
        assert seen[1].get("content-length", "0") == str(len(body))
        if path == "/unauthorized":
            assert seen[1]["www-authenticate"] == "Basic"
        if path == "/post":
            assert seen[1]["allow"] == "OPTIONS, POST"

    @pytest.mark.parametrize("extensions", [{}, None])
    @pytest.mark.parametrize("path", ["/unauthorized", "/nowhere", "/fault", "/closed"])
    async def test_is_a_close_where_the_server_has_no_responses(
        self, app: Application[Any], path: str, extensions: Any
    ) -> None:
        server = await ScriptedServer(scope=websocket_scope(path, extensions=extensions)).run(app)
        assert server.types == ["close"]

    async def test_a_stream_that_the_server_has_no_response_for_is_closed(self) -> None:
        closed: list[bool] = []

        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"a"
                yield b"b"
            finally:
                closed.append(True)

        async def refusing(request: Request, handler: Handler) -> Response:
            stream = pieces()
            await anext(stream)
            return Response(stream)

        server = await ScriptedServer().run(Application(middlewares=[refusing]))
        assert server.types == ["close"]
        assert closed == [True]

    async def test_close_before_acceptance_is_a_close_everywhere(self, app: Application[Any]) -> None:
        server = await answered(app, "/closed")
        assert server.sent == [{"type": "websocket.close", "code": 1008, "reason": "not you"}]

    @pytest.mark.parametrize("path", ["/fault", "/forgetful"])
    async def test_a_fault_is_logged_once(
        self, app: Application[Any], path: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        await answered(app, path)
        assert [record.getMessage() for record in caplog.records] == [f"websocket {path!r} failed"]
        if path == "/forgetful":
            assert "the handler returned without an answer" in caplog.text

    async def test_error_handlers_answer(self, app: Application[Any]) -> None:
        @app.error_handler(404)
        async def missing(request: Request, error: HTTPNotFound) -> Response:
            assert request.websocket is not None
            return json_response({"missing": request.path}, 404)

        @app.error_handler(KeyError)
        async def key(request: Request, error: KeyError) -> Response:
            return Response("a key", 422)

        assert response_of(await answered(app, "/nowhere"))[2] == b'{"missing":"/nowhere"}'
        assert response_of(await answered(app, "/fault"))[0] == 422

    async def test_a_page_for_developers(self) -> None:
        app: Application[Any] = Application(debug=True)

        @app.websocket("/")
        async def fault(ws: WebSocket) -> None:
            raise KeyError("secret")

        assert b"secret" in response_of(await answered(app))[2]

    async def test_may_be_a_stream_which_is_closed(self) -> None:
        app: Application[Any] = Application()
        closed = []

        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"a"
                yield b"b"
            finally:
                closed.append(True)

        @app.error_handler(403)
        async def streaming(request: Request, error: HTTPForbidden) -> Response:
            return Response(pieces(), 403)

        @app.websocket("/")
        async def forbidden(ws: WebSocket) -> None:
            raise HTTPForbidden

        server = await ScriptedServer(scope=websocket_scope(extensions=RESPONSES)).run(app)
        assert response_of(server)[2] == b"ab"
        assert (await ScriptedServer().run(app)).types == ["close"]
        assert closed == [True]  # that of the second has not begun

    async def test_a_stream_ends_when_the_client_leaves(self) -> None:
        app: Application[Any] = Application()
        closed: list[bool] = []

        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"a"
                server.give(disconnect(code=1006))
                await asyncio.Event().wait()
            finally:
                closed.append(True)

        @app.error_handler(404)
        async def streaming(request: Request, error: HTTPNotFound) -> Response:
            return Response(pieces(), 404)

        server = ScriptedServer(scope=websocket_scope(extensions=RESPONSES))
        await server.run(app)
        assert closed == [True]
        assert server.sent[-1]["more_body"]

    async def test_nobody_takes_messages_for_a_disconnect(self) -> None:
        async def waiting(request: Request, handler: Handler) -> Response:
            with pytest.raises(WebSocketError):
                await request.receive_disconnect()
            return await handler(request)

        app: Application[Any] = Application(middlewares=[waiting])
        app.websocket("/")(echo)
        server = ScriptedServer(text("a"), disconnect(code=1000))
        assert (await server.run(app)).types == ["accept", "send"]

    async def test_a_client_that_does_not_wait_for_it(self, app: Application[Any]) -> None:
        server = ScriptedServer(scope=websocket_scope("/unauthorized", extensions=RESPONSES))
        server.lost = True
        await server.run(app)
        assert server.sent == []

    async def test_a_client_that_is_gone_before_it_began(self, app: Application[Any]) -> None:
        class Gone(ScriptedServer):
            async def receive(self) -> Message:
                return disconnect(code=1006)

        assert (await Gone().run(app)).sent == []


class TestMiddlewares:
    async def test_are_the_same_around_requests_and_websockets(self) -> None:
        order: list[object] = []

        async def outer(request: Request, handler: Handler) -> Response:
            order.append("outer")
            response = await handler(request)
            order.append(response.status)
            return response

        async def inner(request: Request, handler: Handler) -> Response:
            order.append("inner")
            request.context["who"] = "Ada"
            return await handler(request)

        async def handler(ws: WebSocket) -> None:
            async with ws:
                order.append(ws.request.context["who"])

        app: Application[Any] = Application(middlewares=[outer])
        app.websocket("/x", middlewares=[inner])(handler)
        app.get("/x")(hello)
        server = await answered(app, "/x")
        assert server.types == ["accept", "close"]
        assert order == ["outer", "inner", "Ada", 101]
        await Exchange(http_scope("/x")).run(app)
        assert order[4:] == ["outer", 200]

    async def test_one_refuses_both(self) -> None:
        async def login(request: Request, handler: Handler) -> Response:
            if "authorization" not in request.headers:
                raise HTTPUnauthorized
            return await handler(request)

        app: Application[Any] = Application(middlewares=[login])
        app.websocket("/x")(echo)
        app.get("/x")(hello)
        assert response_of(await answered(app, "/x"))[0] == 401
        assert (await Exchange(http_scope("/x")).run(app)).status == 401
        server = await answered(app, "/x", headers=[(b"authorization", b"y")])
        assert server.types == ["accept"]

    async def test_one_may_answer_itself(self) -> None:
        async def closed(request: Request, handler: Handler) -> Response:
            return Response("closed", 503)

        app: Application[Any] = Application(middlewares=[closed])
        app.websocket("/x")(echo)
        assert response_of(await answered(app, "/x"))[0] == 503

    @pytest.mark.parametrize("path", ["/forbidden", "/nowhere"])
    async def test_its_headers_are_on_every_refusal(self, path: str) -> None:
        async def marking(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            response.headers["x-mark"] = "yes"
            return response

        async def forbidden(ws: WebSocket) -> None:
            raise HTTPForbidden

        app: Application[Any] = Application(middlewares=[marking])
        app.websocket("/forbidden")(forbidden)
        assert response_of(await answered(app, path))[1]["x-mark"] == "yes"

    async def test_sees_what_became_of_the_websocket(self) -> None:
        seen = []

        async def looking(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            ws = request.websocket
            assert ws is not None
            seen.append((response.status, ws.accepted, ws.close_code))
            return response

        async def fault(ws: WebSocket) -> None:
            async with ws:
                raise KeyError

        async def refusing(ws: WebSocket) -> None:
            await ws.close()

        app: Application[Any] = Application(middlewares=[looking])
        app.websocket("/echo")(echo)
        app.websocket("/fault")(fault)
        app.websocket("/refusing")(refusing)
        for path in ("/echo", "/fault", "/refusing", "/nowhere"):
            await answered(app, path)
        assert seen == [(101, True, 1000), (101, True, 1011), (403, False, 1000), (404, False, None)]

    async def test_what_one_raises_after_the_end_is_a_fault(self, caplog: pytest.LogCaptureFixture) -> None:
        async def raising(request: Request, handler: Handler) -> Response:
            await handler(request)
            raise KeyError("late")

        app: Application[Any] = Application(middlewares=[raising])
        app.websocket("/")(echo)
        server = await answered(app)
        assert server.types == ["accept"]
        assert "late" in caplog.text

    async def test_one_that_accepts_and_fails_closes_with_1011(self) -> None:
        async def raising(request: Request, handler: Handler) -> Response:
            assert request.websocket is not None
            await request.websocket.accept()
            raise KeyError

        app: Application[Any] = Application(middlewares=[raising])
        app.websocket("/")(echo)
        assert (await answered(app)).sent[-1]["code"] == 1011

    async def test_one_that_is_added_later_is_around_websockets_too(self) -> None:
        app: Application[Any] = Application()
        app.websocket("/")(echo)
        assert (await answered(app)).types == ["accept"]

        @app.middleware
        async def closed(request: Request, handler: Handler) -> Response:
            return Response("closed", 503)

        assert response_of(await answered(app))[0] == 503

    async def test_a_limit_of_time_can_leave_websockets_out(self) -> None:
        async def limiting(request: Request, handler: Handler) -> Response:
            if request.websocket is not None:
                return await handler(request)
            async with asyncio.timeout(0):
                return await handler(request)

        async def waiting(request: Request) -> Response:
            await asyncio.sleep(3600)
            return Response()

        app: Application[Any] = Application(middlewares=[limiting])
        app.websocket("/")(echo)
        app.get("/")(waiting)
        server = ScriptedServer(text("a"), disconnect(code=1000))
        assert (await server.run(app)).types == ["accept", "send"]
        assert (await Exchange(http_scope("/")).run(app)).status == 500

    async def test_everything_runs_in_one_task(self) -> None:
        tasks = []

        async def middleware(request: Request, handler: Handler) -> Response:
            tasks.append(asyncio.current_task())
            return await handler(request)

        async def handler(ws: WebSocket) -> None:
            tasks.append(asyncio.current_task())
            await ws.accept()

        app: Application[Any] = Application(middlewares=[middleware])
        app.websocket("/")(handler)
        await answered(app)
        assert tasks == [asyncio.current_task()] * 2
