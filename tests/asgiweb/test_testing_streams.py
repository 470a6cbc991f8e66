"""Streams in the test client: pieces come as they are sent, both ways, and nothing outlives the block."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import httpx
import pytest

from asgiweb import Application, Handler, Request, Response
from asgiweb.asgi import Receive, Scope, Send
from asgiweb.testing import TestClient

variable: ContextVar[str] = ContextVar("variable", default="unset")

#: Seconds for what takes none, on a busy machine.
PATIENCE = 30.0


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """See that no task outlives the client."""
    yield
    async with asyncio.timeout(PATIENCE):
        # Python closes generators that nobody has ended in tasks of their own.
        while asyncio.all_tasks() != {asyncio.current_task()}:
            await asyncio.sleep(0)


def client_of(app: Any, **settings: Any) -> TestClient:
    return TestClient(app, **{"timeout": PATIENCE} | settings)


def ticking(events: list[str]) -> Application[Any]:
    """An application that streams for ever, and says what becomes of that."""
    app: Application[Any] = Application()

    @app.get("/ticks")
    async def ticks(request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            try:
                for number in range(10**9):
                    events.append(f"made {number}")
                    yield f"tick {number}\n"
            finally:
                await asyncio.sleep(0)
                events.append("closed")

        return Response(pieces(), content_type="text/plain")

    @app.get("/silent")
    async def silent(request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            try:
                yield "first\n"
                await asyncio.Event().wait()
            finally:
                events.append("closed")

        return Response(pieces())

    @app.get("/broken")
    async def broken(request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            yield "a\n"
            raise KeyError("in the stream")

        return Response(pieces())

    return app


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 200, and leave the rest to be seen."""
    await send({"type": "http.response.start", "status": 200})


async def stop(scope: Scope) -> None:
    """End an application's lifespan by knowing none."""
    if scope["type"] == "lifespan":
        raise RuntimeError("there is no lifespan here")


class TestResponses:
    async def test_pieces_come_as_they_are_sent(self) -> None:
        app: Application[Any] = Application()
        asked: asyncio.Queue[str] = asyncio.Queue()

        @app.get("/events")
        async def events(request: Request) -> Response:
            async def pieces() -> AsyncIterator[str]:
                while (word := await asked.get()) != "end":
                    yield f"{word}\n"

            return Response(pieces())

        async with client_of(app) as client, client.stream("GET", "/events") as response:
            assert response.status_code == 200
            lines = response.aiter_lines()
            for word in ("one", "two"):
                asked.put_nowait(word)  # each is only made when the one before was read
                assert await anext(lines) == word
            asked.put_nowait("end")
            assert [line async for line in lines] == []

    async def test_leaving_the_block_closes_the_stream(self) -> None:
        events: list[str] = []
        async with client_of(ticking(events)) as client:
            async with client.stream("GET", "/silent") as response:
                async for line in response.aiter_lines():
                    assert line == "first"
                    break
                assert events == []
            assert events == ["closed"]

    async def test_the_application_waits_for_the_test_to_read(self) -> None:
        events: list[str] = []
        async with client_of(ticking(events)) as client:
            async with client.stream("GET", "/ticks") as response:
                lines = response.aiter_lines()
                assert await anext(lines) == "tick 0"
                for _ in range(100):
                    await asyncio.sleep(0)
                # One is unread, and one waits to be sent.
                assert events[-1] in ("made 1", "made 2")
                assert await anext(lines) == "tick 1"
            assert events[-1] == "closed"

    async def test_a_whole_response_is_read_as_ever(self) -> None:
        app: Application[Any] = Application()

        @app.get("/")
        async def numbers(request: Request) -> Response:
            async def pieces() -> AsyncIterator[str]:
                for number in range(100):
                    yield f"{number} "

            return Response(pieces())

        async with client_of(app) as client:
            assert (await client.get("/")).text.split() == [str(number) for number in range(100)]

    async def test_a_handler_that_waits_for_the_disconnect_sees_it(self) -> None:
        seen = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await stop(scope)
            await raw(scope, receive, send)
            while (message := await receive())["type"] != "http.disconnect":
                pass
            seen.append(message["type"])
            with pytest.raises(OSError):
                await send({"type": "http.response.body", "body": b"late"})

        async with client_of(app) as client:
            async with client.stream("GET", "/"):
                assert seen == []
            assert seen == ["http.disconnect"]

    async def test_a_test_that_waits_no_longer_is_a_client_that_has_left(self) -> None:
        left = asyncio.Event()
        app: Application[Any] = Application()

        @app.get("/")
        async def wait(request: Request) -> Response:
            while (await request.receive_disconnect())["type"] != "http.disconnect":
                pass
            left.set()
            return Response("for nobody")

        async with client_of(app) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await client.get("/")
            await asyncio.wait_for(left.wait(), PATIENCE)

    async def test_a_stream_that_is_left_open_ends_with_the_client(self) -> None:
        events: list[str] = []
        async with client_of(ticking(events)) as client:
            response = await client.send(client.build_request("GET", "/silent"), stream=True)
            assert await anext(response.aiter_lines()) == "first"
        assert events == ["closed"]


class TestExceptions:
    async def test_after_the_start_they_are_raised_where_the_body_is_read(self) -> None:
        async with client_of(ticking([])) as client, client.stream("GET", "/broken") as response:
            lines = response.aiter_lines()
            assert await anext(lines) == "a"
            with pytest.raises(KeyError, match="in the stream"):
                await anext(lines)

    async def test_or_where_the_block_is_left(self) -> None:
        async with client_of(ticking([])) as client:
            response = await client.send(client.build_request("GET", "/broken"), stream=True)
            with pytest.raises(KeyError, match="in the stream"):
                await response.aclose()

    async def test_those_of_the_test_come_first(self) -> None:
        async with client_of(ticking([])) as client:
            with pytest.raises(ZeroDivisionError):
                async with client.stream("GET", "/broken"):
                    raise ZeroDivisionError

    async def test_otherwise_the_test_sees_a_response_that_is_cut_short(self) -> None:
        async with client_of(ticking([]), raise_exceptions=False) as client:
            with pytest.raises(httpx.RemoteProtocolError, match=r"GET /broken: .* cut"):
                await client.get("/broken")

    async def test_those_of_any_application_are_raised(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await stop(scope)
            raise KeyError("x")

        async with client_of(app) as client:
            with pytest.raises(KeyError, match="x"):
                await client.get("/")
        async with client_of(app, raise_exceptions=False) as client:
            response = await client.get("/")
            assert (response.status_code, response.content) == (500, b"")

    async def test_a_test_that_fails_in_a_handler_fails(self) -> None:
        app: Application[Any] = Application()

        @app.get("/")
        async def fail(request: Request) -> Response:
            pytest.fail("here")

        async with client_of(app) as client:
            with pytest.raises(pytest.fail.Exception, match="here"):
                await client.get("/")

    async def test_an_application_that_gives_no_answer(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await stop(scope)

        async with client_of(app) as client:
            with pytest.raises(RuntimeError, match="GET /x: the application has ended without an answer"):
                await client.get("/x")

    async def test_messages_out_of_turn(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await stop(scope)
            kind = "http.response.body" if scope["path"] == "/body" else "http.response.push"
            await send({"type": kind})

        async with client_of(app) as client:
            with pytest.raises(RuntimeError, match="before the start"):
                await client.get("/body")
            with pytest.raises(RuntimeError, match=r"no message 'http\.response\.push'"):
                await client.get("/push")


class TestTimeouts:
    """Each wait for the application has an end."""

    async def test_an_application_that_never_answers(self) -> None:
        app: Application[Any] = Application()
        ended = []

        @app.get("/never")
        async def never(request: Request) -> Response:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)
            return Response()

        started = time.monotonic()
        async with TestClient(app, timeout=0.05) as client:
            with pytest.raises(TimeoutError, match=r"GET /never: the application has not begun .* 0\.05 s"):
                await client.get("/never")
        assert ended == [True]
        async with client_of(app) as client:
            with pytest.raises(TimeoutError):
                await client.get("/never", timeout=0.05)
        assert time.monotonic() - started < PATIENCE

    async def test_a_stream_that_falls_silent(self) -> None:
        events: list[str] = []
        async with TestClient(ticking(events), timeout=0.2) as client:
            with pytest.raises(TimeoutError, match="GET /silent: the application has sent nothing more"):
                await client.get("/silent")
        assert events == ["closed"]

    async def test_an_application_that_does_not_end(self) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await stop(scope)
            await Response("all of it")(scope, receive, send)
            await asyncio.Event().wait()

        async with TestClient(app, timeout=0.2) as client:
            with pytest.raises(TimeoutError, match="still runs"):
                await client.get("/")

    @pytest.mark.parametrize("phase", ["startup", "shutdown"])
    async def test_a_lifespan_that_hangs(self, phase: str) -> None:
        app: Application[Any] = Application()

        async def hang(app: Application[Any]) -> None:
            await asyncio.Event().wait()

        (app.on_startup if phase == "startup" else app.on_shutdown).append(hang)
        with pytest.raises(TimeoutError, match=f"the application's {phase} takes longer than 0.05 s"):
            async with TestClient(app, timeout=0.05):
                pass

    async def test_a_timeout_of_the_application_itself_is_its_own(self) -> None:
        app: Application[Any] = Application()

        @app.get("/")
        async def handler(request: Request) -> Response:
            raise TimeoutError("of the database")

        async with client_of(app) as client:
            with pytest.raises(TimeoutError, match="of the database"):
                await client.get("/")


class TestRequests:
    def echoing(self) -> Application[Any]:
        app: Application[Any] = Application()

        @app.post("/")
        async def echo(request: Request) -> Response:
            async def pieces() -> AsyncIterator[bytes]:
                async for piece in request:
                    yield piece

            return Response(pieces())

        @app.post("/whole")
        async def whole(request: Request) -> Response:
            return Response(await request.body())

        @app.post("/unread")
        async def unread(request: Request) -> Response:
            return Response("no, thanks")

        return app

    async def test_their_bodies_stream(self) -> None:
        words: asyncio.Queue[bytes] = asyncio.Queue()

        async def pieces() -> AsyncIterator[bytes]:
            while word := await words.get():
                yield word

        async with (
            client_of(self.echoing()) as client,
            client.stream("POST", "/", content=pieces()) as response,
        ):
            echoed = response.aiter_bytes()
            for word in (b"one", b"two"):
                words.put_nowait(word)
                assert await anext(echoed) == word
            words.put_nowait(b"")
            assert [piece async for piece in echoed] == []

    @pytest.mark.parametrize("content", [b"", b"all at once", "text"])
    async def test_bodies_that_are_there(self, content: bytes | str) -> None:
        async with client_of(self.echoing()) as client:
            response = await client.post("/whole", content=content)
            assert response.content == (content.encode() if isinstance(content, str) else content)

    async def test_one_that_nobody_reads_is_closed(self) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            await asyncio.Event().wait()

        async with client_of(self.echoing()) as client:
            assert (await client.post("/unread", content=pieces())).text == "no, thanks"

    async def test_one_that_never_ends_is_let_go_when_the_block_is_left(self) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            await asyncio.Event().wait()

        async with (
            client_of(self.echoing()) as client,
            client.stream("POST", "/", content=pieces()) as response,
        ):
            assert await anext(response.aiter_bytes()) == b"one"

    async def test_who_is_cancelled_while_receiving_loses_nothing(self) -> None:
        more = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            await more.wait()
            yield b"late"

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await stop(scope)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
            more.set()
            await Response((await receive())["body"])(scope, receive, send)

        async with client_of(app) as client:
            assert (await client.post("/", content=pieces())).content == b"late"

    async def test_what_their_iterator_raises_is_raised(self) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            raise ZeroDivisionError

        async with client_of(self.echoing()) as client:
            with pytest.raises(ZeroDivisionError):
                await client.post("/", content=pieces())

    async def test_redirects_are_followed_if_that_is_asked_for(self) -> None:
        app: Application[Any] = Application()

        @app.get("/old")
        async def old(request: Request) -> Response:
            return Response(b"", 308, headers={"location": "/new?a=b%2Fc"})

        @app.get("/new")
        async def new(request: Request) -> Response:
            return Response(f"{request.url} {request.query['a']}")

        async with client_of(app) as client:
            assert (await client.get("/old")).status_code == 308
        async with client_of(app, follow_redirects=True) as client:
            assert (await client.get("/old")).text == "http://test/new?a=b%2Fc b/c"


class TestContextVariables:
    async def test_those_of_the_test_are_seen_by_the_application_and_not_the_other_way_round(self) -> None:
        async def setting(request: Request, handler: Handler) -> Response:
            variable.set(f"{variable.get()}, then the middleware")
            return await handler(request)

        app: Application[Any] = Application(middlewares=[setting])

        @app.get("/")
        async def show(request: Request) -> Response:
            return Response(variable.get())

        variable.set("the test")
        async with client_of(app) as client:
            for _ in range(2):
                assert (await client.get("/")).text == "the test, then the middleware"
        assert variable.get() == "the test"


async def test_complaint_13_a_test_client_in_the_loop_of_the_test() -> None:
    """No thread and no loop of its own: what the test makes, such as an Event, the handler can use."""
    answer = asyncio.Event()
    loops = []
    app: Application[Any] = Application()

    @app.get("/")
    async def wait(request: Request) -> Response:
        loops.append(asyncio.get_running_loop())
        await answer.wait()
        return Response("there")

    async with client_of(app) as client, asyncio.TaskGroup() as tasks:
        response = tasks.create_task(client.get("/"))
        while not loops:
            await asyncio.sleep(0)
        answer.set()
    assert response.result().text == "there"
    assert loops == [asyncio.get_running_loop()]
