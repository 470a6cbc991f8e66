"""The lifespan of an application: ASGI lifespan 2.0 (L1 to L11)."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest

from asgiserve import StartupFailed
from tests.asgiserve.applications import Message, Receive, Scope, Send, answer, hello
from tests.asgiserve.program import Program, run_to_end
from tests.asgiserve.raw import GET, Client, get
from tests.asgiserve.serving import Moment, Serve

COMPLETE = {"type": "lifespan.startup.complete"}
SHUT_DOWN = {"type": "lifespan.shutdown.complete"}


class Living:
    """An application with a lifespan, that notes what happens in which order."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.scope: Scope = {}
        self.loops: set[asyncio.AbstractEventLoop] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.loops.add(asyncio.get_running_loop())
        if scope["type"] != "lifespan":
            self.notes.append("request")
            await self.request(scope, receive, send)
            return
        self.scope = scope
        assert await receive() == {"type": "lifespan.startup"}
        self.notes.append("startup")
        await self.startup(send)
        assert await receive() == {"type": "lifespan.shutdown"}
        self.notes.append("shutdown")
        await self.shutdown(send)

    async def startup(self, send: Send) -> None:
        await send(COMPLETE)

    async def shutdown(self, send: Send) -> None:
        await send(SHUT_DOWN)

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send)


def test_L1_one_lifespan_in_the_loop_that_serves_the_requests(serve: Serve) -> None:
    app = Living()
    with serve(app, lifespan="on") as server:
        server.ask(GET)
        server.ask(GET)
    assert app.notes == ["startup", "request", "request", "shutdown"]
    assert len(app.loops) == 1


def test_L2_scope(serve: Serve) -> None:
    app = Living()
    with serve(app, lifespan="on"):
        pass
    assert app.scope["type"] == "lifespan"
    assert app.scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
    assert app.scope["state"] == {}
    assert type(app.scope) is dict


def test_L3_connections_are_served_after_the_startup(serve: Serve) -> None:
    """A listening socket that was handed over collects them meanwhile."""
    started: Moment[None] = Moment()
    connected: Moment[None] = Moment()

    class Slow(Living):
        async def startup(self, send: Send) -> None:
            started.happen(None)
            await connected
            assert self.notes == ["startup"]
            await super().startup(send)

    app = Slow()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = serve(app, lifespan="on", sockets=[listener])
        serving.begin()
        started.wait()
        with Client(listener.getsockname()) as client:
            client.send(GET)
            connected.happen(None)
            with serving:
                assert client.response().status == 200
    assert app.notes == ["startup", "request", "shutdown"]


async def raising_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http", "this application knows no lifespan"
    await answer(send)


async def raising_in_startup(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        raise LookupError("its startup broke")
    await answer(send)


async def returning_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await answer(send)


async def returning_in_startup(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        return
    await answer(send)


def test_L4_application_that_raises_at_once_is_served_without_lifespan(serve: Serve) -> None:
    with serve(raising_at_once, lifespan="auto") as server:
        assert server.ask(GET).status == 200
    assert not [line for line in server.records.lines if "Traceback" in line]


def test_L4_application_that_raises_in_its_startup_is_served_and_the_traceback_is_logged(
    serve: Serve,
) -> None:
    with serve(raising_in_startup, lifespan="auto") as server:
        assert server.ask(GET).status == 200
        assert "Traceback" in server.records.wait("WARNING", "LookupError: its startup broke")


@pytest.mark.parametrize("app", [returning_at_once, returning_in_startup])
def test_L11_application_that_returns_from_its_lifespan_is_served_without(serve: Serve, app: object) -> None:
    with serve(app, lifespan="auto") as server:
        assert server.ask(GET).status == 200


def test_L4_lifespan_on_refuses_to_start_without_one(serve: Serve) -> None:
    for app in (raising_at_once, raising_in_startup, returning_at_once):
        with pytest.raises(StartupFailed), serve(app, lifespan="on"):
            pass


def test_lifespan_off_does_not_run_it(serve: Serve) -> None:
    app = Living()
    with serve(app, lifespan="off") as server:
        assert server.ask(GET).status == 200
    assert app.notes == ["request"]


@pytest.mark.parametrize("message", [{"message": "the database is away"}, {}])
def test_L5_startup_failed_ends_the_server(serve: Serve, message: Message) -> None:
    class Failing(Living):
        async def startup(self, send: Send) -> None:
            await send({"type": "lifespan.startup.failed", **message})

    app = Failing()
    with pytest.raises(StartupFailed) as caught, serve(app, lifespan="auto"):
        pass
    assert message.get("message", "") in str(caught.value)
    assert app.notes == ["startup"]  # L9: no shutdown


def test_L5_startup_failed_is_exit_code_3_and_tells_why() -> None:
    ended = run_to_end("tests.asgiserve.applications:failing_startup", "--port", "0")
    assert ended.returncode == 3
    assert "the database is away" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "listens on" not in ended.stderr


def test_L6_shutdown_comes_after_all_connections_are_closed(serve: Serve) -> None:
    began: Moment[None] = Moment()
    release: Moment[None] = Moment()

    class Busy(Living):
        async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
            began.happen(None)
            await release
            self.notes.append("answer")
            await answer(send)
            assert await receive() == {"type": "http.disconnect"}
            self.notes.append("end")

    app = Busy()
    with serve(app, lifespan="on") as server, server.connect() as client, server.connect() as idle:
        client.send(get("/busy"))
        began.wait()
        server.stop()
        assert idle.closed()
        release.happen(None)
        assert client.response().status == 200
        assert client.closed()
        server.stopped()
        assert app.notes == ["startup", "request", "answer", "end", "shutdown"]


def test_L7_server_waits_for_the_shutdown(serve: Serve) -> None:
    shutting: Moment[None] = Moment()
    release: Moment[None] = Moment()

    class Slow(Living):
        async def shutdown(self, send: Send) -> None:
            shutting.happen(None)
            await release
            await asyncio.sleep(0)
            self.notes.append("complete")
            await super().shutdown(send)

    app = Slow()
    with serve(app, lifespan="on") as server:
        server.stop()
        shutting.wait()
        release.happen(None)
        server.stopped()
    assert app.notes == ["startup", "shutdown", "complete"]


def test_L7_shutdown_that_takes_too_long_is_ended(serve_twice: Serve) -> None:
    class Stuck(Living):
        async def shutdown(self, send: Send) -> None:
            await asyncio.Event().wait()

    with serve_twice(Stuck(), lifespan="on", shutdown_timeout=0.3) as server:
        server.stop()
        server.stopped()
        server.records.wait("shutdown_timeout")


def test_L8_shutdown_failed_is_logged(serve: Serve) -> None:
    class Failing(Living):
        async def shutdown(self, send: Send) -> None:
            await send({"type": "lifespan.shutdown.failed", "message": "the database is gone"})

    with serve(Failing(), lifespan="on") as server:
        server.stop()
        server.stopped()
        server.records.wait("ERROR", "the database is gone")


def test_L8_shutdown_that_raises_is_logged(serve: Serve) -> None:
    class Raising(Living):
        async def shutdown(self, send: Send) -> None:
            raise LookupError("in the shutdown")

    with serve(Raising(), lifespan="on") as server:
        server.stop()
        server.stopped()
        server.records.wait("LookupError: in the shutdown")


def test_L8_shutdown_failed_ends_the_process() -> None:
    with Program("failing_shutdown") as server:
        server.signal(signal.SIGTERM)
        server.exit_code()
        server.wait_for("the database is gone")


def test_L9_no_shutdown_without_a_completed_startup(serve: Serve) -> None:
    events: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            events.append((await receive())["type"])
            raise LookupError
        await answer(send)

    with serve(app, lifespan="auto") as server:
        server.ask(GET)
    assert events == ["lifespan.startup"]


def test_L10_state_is_the_applications_own(serve: Serve) -> None:
    """The server passes on what it finds there, whatever the keys are."""
    marker = object()
    states: list[Scope] = []

    class Stateful(Living):
        async def startup(self, send: Send) -> None:
            self.scope["state"].update({"a b": marker, "state": 1})
            await send(COMPLETE)

        async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
            states.append(scope["state"])
            await answer(send)

    app = Stateful()
    with serve(app, lifespan="on") as server:
        server.ask(GET)
    assert states == [{"a b": marker, "state": 1}]
    assert app.scope["state"] == {"a b": marker, "state": 1}


def test_lifespan_that_ends_early_does_not_end_the_server(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send(COMPLETE)
            return
        await answer(send)

    with serve(app, lifespan="on") as server:
        assert server.ask(GET).status == 200


def test_events_that_do_not_fit_are_rejected(serve: Serve) -> None:
    class Wrong(Living):
        async def startup(self, send: Send) -> None:
            for wrong in ({"type": "lifespan.started"}, {"type": "http.response.start", "status": 200}, {}):
                with pytest.raises((ValueError, RuntimeError, KeyError)):
                    await send(wrong)
            await send(COMPLETE)

    app = Wrong()
    with serve(app, lifespan="on") as server:
        assert server.ask(GET).status == 200
    assert app.notes == ["startup", "request", "shutdown"]


def test_tasks_of_the_lifespan_see_its_context(serve: Serve) -> None:
    """Startup and shutdown are one call, so that an async context manager can span them."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            async with asyncio.timeout(None):
                await send(COMPLETE)
                await receive()
            await send(SHUT_DOWN)
        else:
            await hello(scope, receive, send)

    with serve(app, lifespan="on") as server:
        assert server.ask(GET).status == 200
