"""The lifespan: order, failures, and the state that requests see (ASGI lifespan 2.0)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from asgiweb import Application, RegistrationError, Request, Response, StateError
from asgiweb.asgi import Message, Scope
from tests.asgiweb.exchange import Exchange, http_scope


@dataclass
class State:
    name: str
    events: list[str] = field(default_factory=list)


class Server:
    """A server that starts an application, and stops it when it is told to."""

    def __init__(self, app: Application[Any], *, with_state: bool = True) -> None:
        self.app = app
        self.scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        if with_state:
            self.scope["state"] = {}
        self.sent: list[Message] = []
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._told = asyncio.Event()

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self._told.set()

    async def _tell(self, event: str) -> Message:
        self._told.clear()
        self._events.put_nowait({"type": event})
        await self._told.wait()
        return self.sent[-1]

    async def start(self) -> Message:
        self._task = asyncio.create_task(self.app(self.scope, self._events.get, self._send))
        return await self._tell("lifespan.startup")

    async def stop(self) -> Message:
        message = await self._tell("lifespan.shutdown")
        await self._task
        return message

    async def ended(self) -> None:
        await self._task

    async def get(self, path: str = "/") -> Exchange:
        scope = http_scope(path)
        if "state" in self.scope:
            scope["state"] = dict(self.scope["state"])
        return await Exchange(scope).run(self.app)


def with_lifespan(events: list[str], **settings: Any) -> Application[State]:
    @asynccontextmanager
    async def lifespan(app: Application[State]) -> AsyncIterator[State]:
        events.append("enter")
        try:
            yield State("from the lifespan", events)
        except Exception as error:
            events.append(f"left by {error}")
            raise
        finally:
            events.append("leave")

    return Application(lifespan=lifespan, **settings)


def hook(events: list[str], name: str, error: Exception | None = None) -> Any:
    async def function(app: Application[Any]) -> None:
        events.append(name)
        if error is not None:
            raise error

    return function


async def test_without_anything_to_start_the_protocol_is_spoken_all_the_same() -> None:
    server = Server(Application())
    assert await server.start() == {"type": "lifespan.startup.complete"}
    assert await server.stop() == {"type": "lifespan.shutdown.complete"}


async def test_the_order() -> None:
    events: list[str] = []
    app = with_lifespan(events)
    app.on_startup += [hook(events, "start 1"), hook(events, "start 2")]
    app.on_shutdown += [hook(events, "stop 1"), hook(events, "stop 2")]
    server = Server(app)
    await server.start()
    assert events == ["enter", "start 1", "start 2"]
    await server.stop()
    assert events[3:] == ["stop 2", "stop 1", "leave"]


async def test_functions_may_be_plain_ones_and_get_the_application() -> None:
    seen: list[Application[Any]] = []
    app: Application[Any] = Application()
    app.on_startup.append(seen.append)
    app.on_shutdown.append(seen.append)
    server = Server(app)
    await server.start()
    await server.stop()
    assert seen == [app, app]


class TestState:
    async def test_requests_see_the_very_object_that_was_yielded(self) -> None:
        events: list[str] = []
        app = with_lifespan(events)
        seen: list[State] = []

        @app.get("/")
        async def handler(request: Request[State]) -> Response:
            seen.append(request.state)
            return Response()

        server = Server(app)
        await server.start()
        await server.get()
        await server.get()
        await server.stop()
        assert seen[0] is seen[1] is app.state
        assert seen[0].events is events

    async def test_it_may_be_assigned_at_startup_instead(self) -> None:
        app = Application[State]()

        async def start(app: Application[State]) -> None:
            app.state = State("assigned")

        app.on_startup.append(start)

        @app.get("/")
        async def handler(request: Request[State]) -> Response:
            return Response(request.state.name)

        server = Server(app)
        await server.start()
        assert (await server.get()).body == b"assigned"
        await server.stop()

    async def test_functions_see_what_the_lifespan_yielded(self) -> None:
        app = with_lifespan([])
        names: list[str] = []
        app.on_startup.append(lambda app: names.append(app.state.name))
        server = Server(app)
        await server.start()
        await server.stop()
        assert names == ["from the lifespan"]

    async def test_a_server_without_state_makes_no_difference(self) -> None:
        app = with_lifespan([])

        @app.get("/")
        async def handler(request: Request[State]) -> Response:
            return Response(request.state.name)

        server = Server(app, with_state=False)
        await server.start()
        assert (await server.get()).body == b"from the lifespan"
        await server.stop()

    async def test_a_server_without_lifespan_leaves_it_to_the_application(self) -> None:
        app = Application[State]()
        app.state = State("assigned at import")

        @app.get("/")
        async def handler(request: Request[State]) -> Response:
            return Response(request.state.name)

        assert (await Exchange().run(app)).body == b"assigned at import"

    async def test_a_state_of_none_is_a_state(self) -> None:
        app = Application[None]()
        app.state = None
        assert app.state is None
        assert app.has_state

    async def test_to_ask_for_a_state_that_is_not_there_is_an_error_that_explains(self) -> None:
        app: Application[Any] = Application()
        assert not app.has_state
        with pytest.raises(StateError, match="on_startup"):
            _ = app.state

    async def test_several_loops_have_each_their_own(self) -> None:
        numbers = iter(range(10))

        @asynccontextmanager
        async def lifespan(app: Application[int]) -> AsyncIterator[int]:
            yield next(numbers)

        app = Application(lifespan=lifespan)

        @app.get("/")
        async def handler(request: Request[int]) -> Response:
            return Response(str(request.state))

        first, second = Server(app), Server(app)
        await first.start()
        await second.start()
        assert (await first.get()).body == b"0"
        assert (await second.get()).body == b"1"
        await first.stop()
        await second.stop()

    async def test_applications_do_not_see_each_others(self) -> None:
        outer, inner = Application[str](), Application[str]()
        outer.state, inner.state = "outer", "inner"
        server = Server(outer)
        await server.start()
        assert outer.state_of(server.scope) == "outer"
        assert inner.state_of(server.scope) == "inner"
        await server.stop()


class TestFailures:
    async def test_a_lifespan_that_cannot_start(self, caplog: pytest.LogCaptureFixture) -> None:
        @asynccontextmanager
        async def lifespan(app: Application[None]) -> AsyncIterator[None]:
            raise OSError("no database")
            yield

        server = Server(Application(lifespan=lifespan))
        assert await server.start() == {"type": "lifespan.startup.failed", "message": "OSError: no database"}
        await server.ended()
        assert "startup failed" in caplog.text
        assert "no database" in caplog.text

    async def test_a_function_that_fails_leaves_the_lifespan_and_no_more_is_started(self) -> None:
        events: list[str] = []
        app = with_lifespan(events)
        app.on_startup += [hook(events, "start 1", ValueError("broken")), hook(events, "start 2")]
        app.on_shutdown += [hook(events, "stop 1")]
        server = Server(app)
        assert await server.start() == {"type": "lifespan.startup.failed", "message": "ValueError: broken"}
        await server.ended()
        assert events == ["enter", "start 1", "left by broken", "leave"]

    async def test_a_lifespan_that_swallows_the_failure_has_failed_all_the_same(self) -> None:
        @asynccontextmanager
        async def lifespan(app: Application[int]) -> AsyncIterator[int]:
            try:
                yield 1
            except ValueError:
                pass

        app = Application(lifespan=lifespan)
        app.on_startup.append(hook([], "", ValueError("broken")))
        server = Server(app)
        assert (await server.start())["type"] == "lifespan.startup.failed"
        await server.ended()

    async def test_a_shutdown_that_fails_is_told_after_everything_was_tried(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        events: list[str] = []
        app = with_lifespan(events)
        app.on_shutdown += [hook(events, "stop 1"), hook(events, "stop 2", ValueError("broken"))]
        server = Server(app)
        await server.start()
        assert await server.stop() == {"type": "lifespan.shutdown.failed", "message": "ValueError: broken"}
        assert events == ["enter", "stop 2", "stop 1", "left by broken", "leave"]
        assert "shutdown failed" in caplog.text

    async def test_a_server_that_gives_up_lets_the_lifespan_clean_up(self) -> None:
        events: list[str] = []
        server = Server(with_lifespan(events))
        await server.start()
        server._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server.ended()
        assert events == ["enter", "leave"]


def test_a_generator_without_its_decorator_is_refused_with_its_place() -> None:
    async def forgotten(app: Application[State]) -> AsyncIterator[State]:
        yield State("a")

    with pytest.raises(RegistrationError, match=r"test_lifespan\.py.*forgotten.*@asynccontextmanager"):
        Application[State](lifespan=forgotten)  # type: ignore[arg-type]
