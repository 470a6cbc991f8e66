"""The test client: requests, websockets and the lifespan in the loop of the test, which sees exceptions."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket as StarletteWebSocket

from asgiweb import (
    Application,
    HTTPForbidden,
    Request,
    Response,
    WebSocket,
    WebSocketDisconnect,
    json_response,
)
from asgiweb.asgi import Receive, Scope, Send
from asgiweb.testing import TestClient, TestWebSocket, WebSocketDenied

variable: ContextVar[str] = ContextVar("variable", default="unset")


class Reply(msgspec.Struct):
    number: int


def application() -> Application[list[str]]:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Application[list[str]]) -> AsyncIterator[list[str]]:
        events.append("started")
        yield events
        events.append("stopped")

    app = Application(lifespan=lifespan)

    @app.get("/events")
    async def show_events(request: Request[list[str]]) -> Response:
        return json_response(request.state)

    @app.get("/fault")
    async def fault(request: Request[list[str]]) -> Response:
        raise KeyError("secret")

    @app.get("/broken-stream")
    async def broken_stream(request: Request[list[str]]) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"a"
            raise KeyError("in the stream")

        return Response(pieces())

    @app.get("/login")
    async def login(request: Request[list[str]]) -> Response:
        response = Response("welcome")
        response.set_cookie("session", "Ada")
        return response

    @app.get("/me")
    async def me(request: Request[list[str]]) -> Response:
        client = request.client
        assert client is not None
        return json_response([request.cookies.get("session"), str(request.url), client.host, variable.get()])

    @app.websocket("/echo")
    async def echo(ws: WebSocket[list[str]]) -> None:
        async with ws:
            async for message in ws:
                await (ws.send_text(message) if isinstance(message, str) else ws.send_bytes(message))
        ws.state.append(f"closed {ws.close_code} {ws.close_reason}")

    @app.websocket("/numbers")
    async def numbers(ws: WebSocket[list[str]]) -> None:
        async with ws:
            for number in range(3):
                await ws.send_json(Reply(number))

    @app.websocket("/handshake")
    async def handshake(ws: WebSocket[list[str]]) -> None:
        request = ws.request
        await ws.accept(subprotocols=["b"], headers=[("x-a", "1"), ("set-cookie", "seat=7")])
        await ws.send_json(
            [
                str(request.url),
                request.headers.get("x-asked"),
                request.cookies.get("session"),
                ws.subprotocols,
                request.headers.get("sec-websocket-protocol"),
                variable.get(),
            ]
        )

    @app.websocket("/forbidden")
    async def forbidden(ws: WebSocket[list[str]]) -> None:
        raise HTTPForbidden("not you", headers={"x-why": "because", "set-cookie": "tried=1"})

    @app.websocket("/closed")
    async def closed(ws: WebSocket[list[str]]) -> None:
        await ws.close()

    @app.websocket("/fault")
    async def fault_before(ws: WebSocket[list[str]]) -> None:
        raise KeyError("before")

    @app.websocket("/fault-after")
    async def fault_after(ws: WebSocket[list[str]]) -> None:
        async with ws:
            await ws.receive()
            raise KeyError("after")

    @app.websocket("/enough")
    async def enough(ws: WebSocket[list[str]]) -> None:
        async with ws:
            await ws.send_text("last")
            await ws.close(4000, "enough")

    @app.websocket("/deaf")
    async def deaf(ws: WebSocket[list[str]]) -> None:
        async with ws:
            await asyncio.Event().wait()

    @app.websocket("/ticks")
    async def ticks(ws: WebSocket[list[str]]) -> None:
        async with ws:
            while True:
                await ws.send_text("tick")

    return app


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(application()) as client:
        yield client


class TestRequests:
    async def test_are_answered_with_the_state_of_the_lifespan(self) -> None:
        async with TestClient(application()) as client:
            events = (await client.get("/events")).json()
            state = client.app.state  # type: ignore[attr-defined]  # an Application
        assert events == ["started"]
        assert state == ["started", "stopped"]

    async def test_cookies_are_kept(self, client: TestClient) -> None:
        assert (await client.get("/login")).text == "welcome"
        assert (await client.get("/me")).json()[0] == "Ada"

    async def test_settings_of_the_client(self) -> None:
        async with TestClient(
            application(), base_url="https://example.org", cookies={"session": "Eve"}, client=("10.0.0.1", 7)
        ) as client:
            assert (await client.get("/me")).json() == ["Eve", "https://example.org/me", "10.0.0.1", "unset"]

    async def test_they_run_in_the_context_of_the_test(self, client: TestClient) -> None:
        variable.set("of the test")
        assert (await client.get("/me")).json()[3] == "of the test"

    async def test_a_fault_is_raised(self, client: TestClient) -> None:
        with pytest.raises(KeyError, match="secret"):
            await client.get("/fault")
        assert (await client.get("/events")).status_code == 200

    async def test_a_fault_is_raised_also_if_a_handler_of_status_500_answers_it(self) -> None:
        app = application()

        @app.error_handler(500)
        async def answer(request: Request[list[str]], error: Exception) -> Response:
            return Response("sorry", 500)

        async with TestClient(app) as client:
            with pytest.raises(KeyError, match="secret"):
                await client.get("/fault")
        async with TestClient(app, raise_exceptions=False) as client:
            assert (await client.get("/fault")).text == "sorry"

    async def test_an_exception_that_is_handled_is_none(self) -> None:
        app = application()

        @app.error_handler(KeyError)
        async def answer(request: Request[list[str]], error: KeyError) -> Response:
            return Response("no such key", 404)

        async with TestClient(app) as client:
            assert (await client.get("/fault")).status_code == 404

    async def test_a_fault_is_answered_if_it_is_not_to_be_raised(self) -> None:
        async with TestClient(application(), raise_exceptions=False) as client:
            assert (await client.get("/fault")).status_code == 500

    async def test_what_a_stream_raises_is_raised(self, client: TestClient) -> None:
        with pytest.raises(KeyError, match="in the stream"):
            await client.get("/broken-stream")

    async def test_several_at_once_have_their_own_faults(self, client: TestClient) -> None:
        results = await asyncio.gather(
            client.get("/fault"), client.get("/events"), client.get("/fault"), return_exceptions=True
        )
        kinds = [type(result) for result in results]
        assert kinds == [KeyError, httpx.Response, KeyError]

    async def test_without_a_lifespan_there_is_what_was_assigned(self) -> None:
        app = application()
        app.state = ["assigned"]
        assert (await TestClient(app).get("/events")).json() == ["assigned"]


class TestLifespan:
    async def test_what_it_raises_at_the_start_is_raised(self) -> None:
        before = asyncio.all_tasks()

        @asynccontextmanager
        async def lifespan(app: Application[None]) -> AsyncIterator[None]:
            raise KeyError("no database")
            yield

        with pytest.raises(KeyError, match="no database"):
            async with TestClient(Application(lifespan=lifespan)):
                pytest.fail("it has started")
        assert asyncio.all_tasks() == before

    async def test_nothing_is_left_of_one_that_has_failed(self) -> None:
        before = asyncio.all_tasks()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "lifespan.startup.failed"})
            await asyncio.Event().wait()

        with pytest.raises(RuntimeError):
            async with TestClient(app):
                pytest.fail("it has started")
        assert asyncio.all_tasks() == before

    async def test_what_it_raises_at_the_end_is_raised(self) -> None:
        @asynccontextmanager
        async def lifespan(app: Application[None]) -> AsyncIterator[None]:
            yield
            raise KeyError("no goodbye")

        with pytest.raises(KeyError, match="no goodbye"):
            async with TestClient(Application(lifespan=lifespan)):
                pass

    async def test_it_runs_in_one_task(self) -> None:
        tasks = []

        @asynccontextmanager
        async def lifespan(app: Application[None]) -> AsyncIterator[None]:
            async with asyncio.timeout(60):  # which only the task that has entered it may leave
                tasks.append(asyncio.current_task())
                yield
                tasks.append(asyncio.current_task())

        async with TestClient(Application(lifespan=lifespan)):
            pass
        assert tasks[0] is tasks[1]

    async def test_it_ends_also_if_the_test_fails(self) -> None:
        app = application()
        with pytest.raises(ZeroDivisionError):
            async with TestClient(app):
                raise ZeroDivisionError
        assert app.state == ["started", "stopped"]

    @pytest.mark.parametrize("error", [RuntimeError, None])
    async def test_an_application_may_know_none(self, error: type[Exception] | None) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await Response("hello")(scope, receive, send)
            elif error is not None:
                raise error

        async with TestClient(app) as client:
            assert (await client.get("/")).text == "hello"

    @pytest.mark.parametrize("phase", ["startup", "shutdown"])
    async def test_one_that_says_that_it_has_failed(self, phase: str) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for name in ("startup", "shutdown"):
                await receive()
                outcome = "failed" if name == phase else "complete"
                await send({"type": f"lifespan.{name}.{outcome}", "message": "no database"})

        with pytest.raises(RuntimeError, match=f"{phase} failed: no database"):
            async with TestClient(app):
                pass

    @pytest.mark.parametrize("moment", ["while it runs", "while it stops"])
    @pytest.mark.parametrize("raise_exceptions", [True, False])
    async def test_one_that_raises_after_its_start(self, moment: str, raise_exceptions: bool) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            if moment == "while it stops":
                await receive()
            raise KeyError("no goodbye")

        async def run() -> None:
            async with TestClient(app, raise_exceptions=raise_exceptions):
                await asyncio.sleep(0)

        if not raise_exceptions:
            await run()
            return
        with pytest.raises(KeyError, match="no goodbye"):
            await run()

    async def test_of_an_application_that_receives_for_ever(self) -> None:
        told: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            while True:
                told.append((await receive())["type"])
                await send({"type": f"{told[-1]}.complete"})

        async with asyncio.timeout(30), TestClient(app):
            assert told == ["lifespan.startup"]
        assert told == ["lifespan.startup", "lifespan.shutdown"]

    async def test_one_that_goes_on_after_its_end_is_cancelled_and_the_test_told(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for _ in range(2):
                await send({"type": f"{(await receive())['type']}.complete"})
            await asyncio.Event().wait()

        before = asyncio.all_tasks()
        with pytest.raises(TimeoutError, match=r"still runs 0\.05 s after its shutdown"):
            async with asyncio.timeout(30), TestClient(app, timeout=0.05):
                pass
        assert asyncio.all_tasks() == before

    @pytest.mark.parametrize("phase", ["startup", "shutdown"])
    @pytest.mark.parametrize("raise_exceptions", [True, False])
    async def test_a_test_that_fails_in_it_fails(self, phase: str, raise_exceptions: bool) -> None:
        @asynccontextmanager
        async def lifespan(app: Application[None]) -> AsyncIterator[None]:
            if phase == "startup":
                pytest.fail("here")
            yield
            pytest.fail("here")

        with pytest.raises(pytest.fail.Exception, match="here"):
            async with TestClient(Application(lifespan=lifespan), raise_exceptions=raise_exceptions):
                assert phase == "shutdown"

    async def test_a_client_that_is_open_or_closed_is_not_started_again(self) -> None:
        app = application()
        client = TestClient(app)
        async with client:
            with pytest.raises(RuntimeError, match="more than once"):
                await client.__aenter__()
        with pytest.raises(RuntimeError, match="reopen"):
            await client.__aenter__()
        assert app.state == ["started", "stopped"]


class TestWebSockets:
    async def test_messages_of_each_kind(self, client: TestClient) -> None:
        async with client.websocket("/echo") as ws:
            await ws.send_text("a")
            await ws.send_bytes(b"b")
            await ws.send_json({"number": 7})
            await ws.send_json([1])
            assert await ws.receive_text() == "a"
            assert await ws.receive_bytes() == b"b"
            reply: Reply = await ws.receive_json(Reply)
            assert reply == Reply(7)
            assert await ws.receive_json() == [1]

    async def test_the_other_kind_fails_the_test(self, client: TestClient) -> None:
        async with client.websocket("/echo") as ws:
            await ws.send_text("a")
            with pytest.raises(AssertionError, match="'a'"):
                await ws.receive_bytes()
            await ws.send_bytes(b"b")
            with pytest.raises(AssertionError, match="b'b'"):
                await ws.receive_text()
            await ws.send_text("{}")
            with pytest.raises(msgspec.ValidationError):
                await ws.receive_json(Reply)

    async def test_async_for_yields_messages_until_the_application_closes(self, client: TestClient) -> None:
        async with client.websocket("/numbers") as ws:
            messages = [message async for message in ws]
        assert messages == ['{"number":0}', '{"number":1}', '{"number":2}']
        assert ws.close_code == 1000

    async def test_the_handshake(self, client: TestClient) -> None:
        client.cookies.set("session", "Ada")
        variable.set("of the test")
        async with client.websocket(
            "/handshake", subprotocols=["a", "b"], params={"q": "a b"}, headers={"X-Asked": "yes"}
        ) as ws:
            assert ws.subprotocol == "b"
            assert ws.headers["x-a"] == "1"
            url = "ws://test/handshake?q=a+b"
            assert await ws.receive_json() == [url, "yes", "Ada", ["a", "b"], "a, b", "of the test"]
        assert client.cookies["seat"] == "7"

    async def test_a_refusal_is_raised_with_its_response(self, client: TestClient) -> None:
        with pytest.raises(WebSocketDenied) as caught:
            async with client.websocket("/forbidden"):
                pytest.fail("it was accepted")
        response = caught.value.response
        assert (response.status_code, response.text) == (403, "not you")
        assert response.headers["x-why"] == "because"
        assert client.cookies["tried"] == "1"
        assert "403: 'not you'" in str(caught.value)

    @pytest.mark.parametrize(("path", "status"), [("/closed", 403), ("/nowhere", 404), ("/me", 404)])
    async def test_other_refusals(self, client: TestClient, path: str, status: int) -> None:
        with pytest.raises(WebSocketDenied) as caught:
            async with client.websocket(path):
                pytest.fail("it was accepted")
        assert caught.value.response.status_code == status

    async def test_a_close_of_the_application_is_raised(self, client: TestClient) -> None:
        async with client.websocket("/enough") as ws:
            assert await ws.receive() == "last"
            for use in (ws.receive, ws.receive_text, ws.receive_json):
                with pytest.raises(WebSocketDisconnect) as caught:
                    await use()
                assert (caught.value.code, caught.value.reason) == (4000, "enough")
            with pytest.raises(WebSocketDisconnect):
                await ws.send_text("x")
            assert (ws.close_code, ws.close_reason) == (4000, "enough")

    async def test_the_application_sees_a_close_of_the_test(self, client: TestClient) -> None:
        async with client.websocket("/echo") as ws:
            await ws.close(4000, "bye")
            await ws.close(4001)
            with pytest.raises(WebSocketDisconnect):
                await ws.receive()
        async with client.websocket("/echo"):
            pass
        assert (await client.get("/events")).json() == ["started", "closed 4000 bye", "closed 1000 "]

    async def test_a_handler_that_sends_for_ever_ends_with_the_block(self, client: TestClient) -> None:
        before = asyncio.all_tasks()
        async with client.websocket("/ticks") as ws:
            assert await ws.receive_text() == "tick"
        assert asyncio.all_tasks() == before

    async def test_a_handler_that_sends_more_than_the_test_reads_has_to_wait(self) -> None:
        app: Application[Any] = Application()
        sent = 0

        @app.websocket("/")
        async def flood(ws: WebSocket) -> None:
            nonlocal sent
            async with ws:
                while True:
                    await ws.send_text(f"{sent}")
                    sent += 1

        async with TestClient(app) as client, client.websocket("/") as ws:
            while sent < 900:
                await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)
            assert sent < 1100
            assert [await ws.receive_text() for _ in range(5000)] == [f"{n}" for n in range(5000)]

    async def test_a_fault_before_acceptance_is_raised(self, client: TestClient) -> None:
        with pytest.raises(KeyError, match="before"):
            async with client.websocket("/fault"):
                pytest.fail("it was accepted")

    async def test_a_fault_is_raised_where_the_test_receives(self, client: TestClient) -> None:
        async with client.websocket("/fault-after") as ws:
            await ws.send_text("go")
            with pytest.raises(KeyError, match="after"):
                await ws.receive()

    async def test_a_fault_is_raised_at_the_end_of_the_block_if_the_test_does_not_receive(
        self, client: TestClient
    ) -> None:
        with pytest.raises(KeyError, match="after"):
            async with client.websocket("/fault-after") as ws:
                await ws.send_text("go")

    async def test_a_failure_of_the_test_is_not_hidden_by_a_fault(self, client: TestClient) -> None:
        async def fail(ws: TestWebSocket) -> None:
            await ws.send_text("go")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            async with client.websocket("/fault-after") as ws:
                await fail(ws)

    async def test_nor_by_a_handler_that_does_not_end(self, client: TestClient) -> None:
        with pytest.raises(ZeroDivisionError):
            async with client.websocket("/deaf", timeout=0.05):
                raise ZeroDivisionError

    @pytest.mark.parametrize("accepted", [True, False])
    @pytest.mark.parametrize("receiving", [True, False])
    async def test_a_test_that_fails_in_a_handler_fails(self, accepted: bool, receiving: bool) -> None:
        app: Application[Any] = Application()

        @app.websocket("/")
        async def fail(ws: WebSocket) -> None:
            if accepted:
                await ws.accept()
            pytest.fail("here")

        async def talk(ws: TestWebSocket) -> None:
            async with ws:
                if receiving:
                    await ws.receive()

        async with TestClient(app) as client:
            with pytest.raises(pytest.fail.Exception, match="here"):
                await talk(client.websocket("/"))

    async def test_faults_are_answers_if_they_are_not_to_be_raised(self) -> None:
        async with TestClient(application(), raise_exceptions=False) as client:
            with pytest.raises(WebSocketDenied) as denied:
                async with client.websocket("/fault"):
                    pytest.fail("it was accepted")
            assert denied.value.response.status_code == 500
            async with client.websocket("/fault-after") as ws:
                await ws.send_text("go")
                with pytest.raises(WebSocketDisconnect) as closed:
                    await ws.receive()
                assert closed.value.code == 1011

    async def test_a_message_that_does_not_come_is_not_waited_for_for_ever(self, client: TestClient) -> None:
        async with client.websocket("/echo", timeout=0.3) as ws:
            with pytest.raises(TimeoutError, match=r"has sent nothing for 0\.3 s"):
                await ws.receive()

    async def test_a_handler_that_does_not_end_is_cancelled_and_the_test_told(
        self, client: TestClient
    ) -> None:
        before = asyncio.all_tasks()
        with pytest.raises(TimeoutError, match=r"still runs 0\.3 s after"):
            async with client.websocket("/deaf", timeout=0.3):
                pass
        assert asyncio.all_tasks() == before

    async def test_a_handler_that_does_not_answer_is_cancelled_and_the_test_told(self) -> None:
        app: Application[Any] = Application()
        cancelled = []

        @app.websocket("/")
        async def silent(ws: WebSocket) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.append(True)

        async with TestClient(app) as client:
            with pytest.raises(TimeoutError):
                async with client.websocket("/", timeout=0.3):
                    pytest.fail("it was accepted")
        assert cancelled == [True]

    async def test_two_that_talk_to_each_other(self) -> None:
        app = Application[WeakSet[WebSocket]]()
        app.state = WeakSet()

        @app.websocket("/chat/{name}")
        async def chat(ws: WebSocket[WeakSet[WebSocket]], name: str) -> None:
            async with ws:
                ws.state.add(ws)
                try:
                    async for text in ws.iter_text():
                        for member in ws.state:
                            await member.send_text(f"{name}: {text}")
                finally:
                    ws.state.remove(ws)

        async with TestClient(app) as client:
            async with client.websocket("/chat/ada") as ada, client.websocket("/chat/eve") as eve:
                await ada.send_text("hello")
                assert await ada.receive_text() == await eve.receive_text() == "ada: hello"
            assert not app.state


class TestOtherApplications:
    """Any ASGI application can be tested, and says what it likes."""

    async def open(self, *messages: Any, error: Exception | None = None) -> TestWebSocket:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            assert scope["type"] == "websocket"
            assert scope["asgi"]["spec_version"] == "2.5"
            await receive()
            for message in messages:
                await send(message)
            if error is not None:
                raise error

        return await TestClient(app).websocket("/").__aenter__()

    async def test_a_body_that_is_sent_for_head_is_dropped_as_servers_do(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            headers = [(b"content-encoding", b"gzip"), (b"content-length", b"5")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            await send({"type": "http.response.body", "body": b"bcde"})

        response = await TestClient(app).head("/")
        assert (response.headers["content-length"], response.content) == ("5", b"")

    async def test_one_that_ends_without_an_answer(self) -> None:
        with pytest.raises(WebSocketDenied) as caught:
            await self.open()
        assert caught.value.response.status_code == 500

    async def test_one_that_raises_before_it_answers(self) -> None:
        with pytest.raises(KeyError):
            await self.open(error=KeyError())

    async def test_one_that_ends_without_a_close(self) -> None:
        ws = await self.open({"type": "websocket.accept"}, {"type": "websocket.send", "text": "a"})
        assert await ws.receive() == "a"
        with pytest.raises(WebSocketDisconnect) as caught:
            await ws.receive()
        assert caught.value.code == 1006

    async def test_one_that_raises_after_it_accepted(self) -> None:
        ws = await self.open({"type": "websocket.accept"}, error=KeyError())
        with pytest.raises(KeyError):
            await ws.receive()

    async def test_an_error_of_send_after_the_end_is_none(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            for _ in range(2):
                assert (await receive())["type"] == "websocket.disconnect"
            await send({"type": "websocket.send", "text": "late"})

        async with TestClient(app).websocket("/"):
            pass

    async def test_nor_is_what_starlette_makes_of_it(self) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield b"a"

        async def stream(request: StarletteRequest) -> StreamingResponse:
            return StreamingResponse(pieces())

        async def talk(websocket: StarletteWebSocket) -> None:
            await websocket.accept()
            while True:
                await websocket.send_text("a")

        async with TestClient(Starlette(routes=[Route("/", stream), WebSocketRoute("/", talk)])) as client:
            async with client.stream("GET", "/") as response:
                assert await anext(response.aiter_bytes()) == b"a"
            async with client.websocket("/") as ws:
                assert await ws.receive() == "a"

    async def test_a_denial_may_come_in_pieces(self) -> None:
        with pytest.raises(WebSocketDenied) as caught:
            await self.open(
                {"type": "websocket.http.response.start", "status": 410},
                {"type": "websocket.http.response.body", "body": b"a", "more_body": True},
                {"type": "websocket.http.response.body", "body": b"b"},
            )
        assert caught.value.response.text == "ab"


def test_without_httpx_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['httpx'] = None; import asgiweb; import asgiweb.testing"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.splitlines()[-1].endswith("pip install 'asgiweb[testing]'")


async def test_complaint_11_the_state_is_the_object_that_was_yielded() -> None:
    """Neither a dict nor a copy: its type is known (typing_cases/state.py), and changes in it stay."""
    yielded: list[object] = []

    @asynccontextmanager
    async def lifespan(app: Application[Reply]) -> AsyncIterator[Reply]:
        reply = Reply(1)
        yielded.append(reply)
        yield reply

    app = Application(lifespan=lifespan)

    @app.get("/")
    async def handler(request: Request[Reply]) -> Response:
        yielded.append(request.state)
        request.state.number += 1
        return json_response(request.state)

    @app.websocket("/")
    async def conversation(ws: WebSocket[Reply]) -> None:
        yielded.append(ws.state)
        async with ws:
            await ws.send_json(ws.state)

    async with TestClient(app) as client:
        assert (await client.get("/")).json() == {"number": 2}
        async with client.websocket("/") as ws:
            assert await ws.receive_json(Reply) == Reply(2)
    first, *others = yielded
    assert len(others) == 2
    assert all(other is first for other in others)


async def test_complaint_12_one_exception_for_every_end_of_a_websocket_and_close_may_be_repeated() -> None:
    raised: list[WebSocketDisconnect] = []
    app: Application[None] = Application()

    @app.websocket("/{who}")
    async def conversation(ws: WebSocket[None], who: str) -> None:
        await ws.accept()
        if who == "server":
            await ws.close(4000)
        for use in (ws.receive, ws.receive_text, ws.receive_json, lambda: ws.send_text("x")):
            try:
                while True:
                    await use()
            except WebSocketDisconnect as error:
                raised.append(error)
        await ws.close(4001)
        await ws.close()
        assert ws.close_code == 4000

    async with TestClient(app) as client:
        for who in ("server", "client"):
            async with client.websocket(f"/{who}") as ws:
                if who == "client":
                    await ws.close(4000)
                    await ws.close(4002)
    assert [error.code for error in raised] == [4000] * 8
