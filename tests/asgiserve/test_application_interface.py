"""How an application is called, and what it may send: ASGI 3.0, "Applications" and "Events" (A1 to A18)."""

from __future__ import annotations

import asyncio
import inspect
import math
from contextvars import ContextVar
from typing import Any

import pytest

from asgiserve import ClientDisconnected
from tests.asgiserve.applications import (
    Message,
    Receive,
    Scope,
    Send,
    answer,
    hello,
    on_http,
    piece,
    program,
    read_body,
    start,
)
from tests.asgiserve.program import Program
from tests.asgiserve.raw import GET, GET_AND_CLOSE, PATIENCE, chunked, get, post
from tests.asgiserve.serving import Moment, Serve, seen


def test_A1_application_is_called_and_awaited_once_per_request(serve: Serve) -> None:
    calls: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        calls.append(scope["type"])
        if scope["type"] == "http":
            await answer(send)
        else:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

    with serve(app, lifespan="on") as server, server.connect() as client:
        for _ in range(3):
            client.send(GET)
            client.response()
    assert calls == ["lifespan", "http", "http", "http"]


def test_A1_application_may_be_an_object_with_call(serve: Serve) -> None:
    class Application:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await answer(send)

    with serve(Application()) as server:
        assert server.ask(GET).status == 200


def test_A2_scope_is_a_dict_with_str_keys_and_a_type(serve: Serve) -> None:
    scope = seen(serve, GET)
    assert type(scope) is dict
    assert {type(key) for key in scope} == {str}
    assert scope["type"] == "http"


def test_A3_A4_versions_of_the_interface_and_of_http(serve: Serve) -> None:
    assert seen(serve, GET)["asgi"] == {"version": "3.0", "spec_version": "2.5"}


def test_A5_receive_and_send_are_awaitable_callables_of_positional_arguments(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert list(inspect.signature(receive).parameters) == []
        assert len(inspect.signature(send).parameters) == 1
        asked = receive()
        assert inspect.isawaitable(asked)
        await asked
        for message in (start(), piece(b"ok")):
            sent = send(message)
            assert inspect.isawaitable(sent)
            assert await sent is None  # type: ignore[func-returns-value]  # whether it is None is the question

    with serve(app) as server:
        assert server.ask(GET).body == b"ok"


def test_A6_A7_events_hold_plain_values_of_exact_types(serve: Serve) -> None:
    events: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not events or events[-1].get("more_body"):
            events.append(await receive())
        await answer(send)
        events.append(await receive())

    with serve(app) as server:
        server.ask(post(b"x" * 100_000))
        server.ask(chunked(b"abc", b"d" * 1000))
    assert {event["type"] for event in events} == {"http.request", "http.disconnect"}
    for event in events:
        assert_plain(event)


def assert_plain(value: Any) -> None:
    """An event holds only what could be written down as JSON, or bytes; of these very types."""
    kinds = (bytes, str, int, float, bool, list, dict, type(None))
    assert type(value) in kinds, value
    if type(value) is float:
        assert math.isfinite(value)
    if type(value) is int:
        assert -(2**63) <= value < 2**63
    if type(value) is dict:
        assert all(type(key) is str for key in value)
    for inner in value.values() if type(value) is dict else value if type(value) is list else ():
        assert_plain(inner)


def test_A7_text_of_the_scope_is_str_and_bytes_are_bytes(serve: Serve) -> None:
    scope = seen(serve, get("/a?b=c", "X-Name: value"))
    for name in ("type", "http_version", "method", "scheme", "path", "root_path"):
        assert type(scope[name]) is str, name
    for name in ("raw_path", "query_string"):
        assert type(scope[name]) is bytes, name
    assert all(type(part) is bytes for pair in scope["headers"] for part in pair)


#: Events that a server has to reject: at the start of a response, and after it has begun.
WRONG_FIRST: dict[str, Any] = {
    "A8-unknown-type": {"type": "http.response.strat", "status": 200},
    "A8-event-of-receive": {"type": "http.request", "body": b""},
    "A9-no-type": {"status": 200, "headers": []},
    "A9-no-status": {"type": "http.response.start", "headers": []},
    "A10-type-is-bytes": {"type": b"http.response.start", "status": 200},
    "A10-status-is-str": {"type": "http.response.start", "status": "200"},
    "A10-status-is-None": {"type": "http.response.start", "status": None},
    "A10-status-is-float": {"type": "http.response.start", "status": 200.0},
    "A10-status-is-bool": {"type": "http.response.start", "status": True},
    "A10-headers-are-None": {"type": "http.response.start", "status": 200, "headers": None},
    "A10-headers-are-a-number": {"type": "http.response.start", "status": 200, "headers": 1},
    "A10-header-is-no-pair": start(200, [(b"a", b"b", b"c")]),  # type: ignore[list-item]  # that is the test
    "A10-header-name-is-str": start(200, [("x-name", b"value")]),  # type: ignore[list-item]  # same
    "A10-header-value-is-str": start(200, [(b"x-name", "value")]),  # type: ignore[list-item]  # same
    "A10-header-value-is-int": start(200, [(b"content-length", 2)]),  # type: ignore[list-item]  # same
    "A10-second-header-is-wrong": start(201, [(b"x-leak", b"1"), (b"x", None)]),  # type: ignore[list-item]
    "E14-body-before-start": {"type": "http.response.body", "body": b"early"},
}
WRONG_LATER: dict[str, Any] = {
    "A8-unknown-type": {"type": "http.response.boddy", "body": b"leak"},
    "A9-no-type": {"body": b"leak"},
    "A10-body-is-str": {"type": "http.response.body", "body": "leak"},
    "A10-body-is-None": {"type": "http.response.body", "body": None},
    "A10-body-is-a-list": {"type": "http.response.body", "body": [1]},
    "E14-second-start": start(500, [(b"x-leak", b"1")]),
}
REJECTION = (TypeError, ValueError, KeyError, RuntimeError)


@pytest.mark.parametrize("wrong", WRONG_FIRST.values(), ids=WRONG_FIRST)
def test_rejected_first_event_changes_nothing(serve: Serve, wrong: Message) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(REJECTION):
            await send(wrong)
        await answer(send)

    with serve(app, date_header=False) as server, server.connect() as client:
        client.send(GET_AND_CLOSE)
        assert client.read_all() == (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\nserver: asgiserve\r\n\r\nok"
        )


@pytest.mark.parametrize("wrong", WRONG_LATER.values(), ids=WRONG_LATER)
def test_rejected_event_after_the_head_changes_nothing(serve: Serve, wrong: Message) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        with pytest.raises(REJECTION):
            await send(wrong)
        await send(piece(b"one ", more=True))
        with pytest.raises(REJECTION):
            await send(wrong)
        await send(piece(b"two"))

    with serve(app) as server:
        response = server.ask(GET)
    assert (response.status, response.body) == (200, b"one two")
    assert "x-leak" not in response


def test_A9_error_names_the_missing_key(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(REJECTION, match="status"):
            await send({"type": "http.response.start"})
        await answer(send)

    with serve(app) as server:
        assert server.ask(GET).status == 200


def test_A11_unknown_keys_never_raise(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**start(), "x-vendor": object()})
        await send({**piece(b"ok"), "priority": 1})

    with serve(app) as server:
        assert server.ask(GET).body == b"ok"


@pytest.mark.parametrize("answered", [False, True], ids=["before-the-response", "after-the-response"])
def test_A12_application_that_raises_ends_its_connection(serve: Serve, answered: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if answered:
            await answer(send)
        raise LookupError("no such luck")

    with serve(app) as server, server.connect() as client:
        client.send(GET)
        assert client.response().status == (200 if answered else 500)
        assert client.closed()
        server.records.wait("LookupError: no such luck")


def test_A12_application_that_raises_ends_no_other_connection(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/raise":
            raise LookupError
        await answer(send)

    with serve(app) as server, server.connect() as other:
        other.send(GET)
        other.response()
        assert server.ask(get("/raise")).status == 500
        server.records.wait("LookupError")
        other.send(GET)
        assert other.response().status == 200


def test_A13_A14_send_to_a_client_that_left_does_not_harm_the_server(serve: Serve) -> None:
    left: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass
        left.happen(None)
        await answer(send)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (handler(receive, send) if scope["path"] == "/leave" else answer(send))

    with serve(app) as server:
        with server.connect() as client:
            client.send(get("/leave"))
        left.wait()
        assert server.ask(GET).status == 200


def test_A15_send_that_waits_for_a_reader_returns_when_the_client_leaves(serve: Serve) -> None:
    ended: Moment[BaseException] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        try:
            while True:
                await send(piece(b"x" * 65536, more=True))
        except ClientDisconnected as error:
            ended.happen(error)
            raise

    with serve(on_http(handler)) as server:
        with server.connect() as client:
            client.send(GET)
            client.read_until(b"xxxx")
        assert isinstance(ended.wait(), OSError)


def test_A16_extensions_are_a_dict_of_dicts(serve: Serve) -> None:
    extensions = seen(serve, GET).get("extensions", {})
    assert type(extensions) is dict
    assert all(type(key) is str and type(value) is dict for key, value in extensions.items())
    assert "tls" not in extensions


def test_A17_applications_of_two_callables_are_served(serve: Serve) -> None:
    class Application:
        """ASGI 2: made with the scope, called with receive and send."""

        def __init__(self, scope: Scope) -> None:
            self.scope = scope

        async def __call__(self, receive: Receive, send: Send) -> None:
            await answer(send, self.scope["path"].encode() + await read_body(receive))

    with serve(Application) as server:
        assert server.ask(get("/two")).body == b"/two"


def test_A18_application_runs_in_the_main_thread() -> None:
    assert callable(program)
    with Program("program") as server:
        assert server.json("/")["main_thread"] is True


def test_concurrent_requests_of_several_connections(serve: Serve) -> None:
    both: list[str] = []
    met = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        both.append(scope["path"])
        if len(both) == 2:
            met.set()
        await met.wait()
        await answer(send)

    with serve(app) as server, server.connect() as one, server.connect() as two:
        one.send(get("/one"))
        two.send(get("/two"))
        assert (one.response().status, two.response().status) == (200, 200)


variable: ContextVar[str] = ContextVar("variable", default="untouched")


def test_one_request_does_not_see_the_context_variables_of_another(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found = variable.get()
        variable.set(scope["path"])
        await answer(send, found.encode())

    with serve(app) as server, server.connect() as client:
        client.send(get("/one") + get("/two"))
        assert client.response().body == b"untouched"
        assert client.response().body == b"untouched"
        client.send(get("/three"))
        assert client.response().body == b"untouched"


def test_context_variables_do_not_pass_through_an_upload_that_was_paused(serve: Serve) -> None:
    """It is the application's `receive` that makes the event loop read again."""
    release: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found = variable.get()
        variable.set(scope["path"])
        await release
        await read_body(receive)
        await answer(send, found.encode())

    with serve(app) as server, server.connect() as client:
        data = memoryview(post(b"x" * 20_000_000, target="/one"))
        client.socket.setblocking(False)
        try:
            while data:
                data = data[client.socket.send(data) :]
        except BlockingIOError:
            pass  # the server has stopped to read
        client.socket.settimeout(PATIENCE)
        release.happen(None)
        client.send(data.tobytes())
        assert client.response().body == b"untouched"
        client.send(post(b"x", target="/two"))
        assert client.response().body == b"untouched"


def test_context_variables_do_not_pass_through_a_response_that_was_paused(serve: Serve) -> None:
    """It is the application's `send` that makes the event loop write when the client has read."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found = variable.get()
        variable.set(scope["path"])
        await answer(send, b"x" * 20_000_000, headers=[(b"x-found", found.encode())])

    with serve(app) as server, server.connect() as client:
        client.send(get("/one") + get("/two"))
        assert client.response()["x-found"] == "untouched"
        assert client.response()["x-found"] == "untouched"


def test_hello(serve: Serve) -> None:
    with serve(hello) as server:
        assert server.ask(GET).body == b"ok"
