"""RequestId: where a request's name comes from, and who can see it (W3C Trace Context, 3.2)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextvars import Context
from typing import Any

import pytest

from asgiweb import Application, RegistrationError, Request, Response, WebSocket
from asgiweb.middleware import RequestId, RequestIdFilter, request_id
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import client_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"

logger = logging.getLogger("tests.request_id")


async def show(request: Request) -> Response:
    return Response(request_id(request))


async def ask(headers: dict[str, str] | None = None, **settings: Any) -> str:
    """Return the name of a request, which the handler and the header agree on."""
    app = Application[None](middlewares=[RequestId(**settings)])
    app.get("/")(show)
    async with client_of(app) as client:
        response = await client.get("/", headers=headers)
    assert response.headers[settings.get("header", "x-request-id")] == response.text
    return response.text


async def test_each_request_has_another_name() -> None:
    first, second = await ask(), await ask()
    assert first != second
    assert len(first) == 32
    assert int(first, 16)


async def test_a_name_that_a_client_chooses_is_not_taken() -> None:
    assert await ask({"x-request-id": "mine"}) != "mine"


async def test_a_name_that_a_trusted_proxy_chooses_is_taken() -> None:
    assert await ask({"x-request-id": "Root=1-67891233-abc"}, trusted=True) == "Root=1-67891233-abc"
    assert await ask({"x-correlation": "a"}, trusted=True, header="x-correlation") == "a"


@pytest.mark.parametrize("name", ["", "a b", "a" * 129, "a\x1b[0m", "a;b", "<a>", '"a"', "\xe4", "a, b"])
async def test_a_name_that_is_long_or_unsafe_is_never_taken(name: str) -> None:
    app = Application[None](middlewares=[RequestId(trusted=True)])
    app.get("/")(show)
    async with client_of(app) as client:
        response = await client.get("/", headers=[(b"x-request-id", name.encode("latin-1"))])
    assert len(response.text) == 32


@pytest.mark.parametrize(
    "traceparent",
    [f"00-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-00", f"cc-{TRACE}-{PARENT}-01-what.comes"],
)
async def test_the_trace_id_of_a_traceparent_is_the_name(traceparent: str) -> None:
    assert await ask({"traceparent": traceparent}) == TRACE
    assert await ask({"traceparent": traceparent}, traceparent=False) != TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01-",
        f"ff-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-1",
        f"0-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}",
        TRACE,
        "",
    ],
)
async def test_trace_context_3_2_2_an_invalid_traceparent_is_as_good_as_none(traceparent: str) -> None:
    assert await ask({"traceparent": traceparent}) != TRACE


async def test_two_traceparents_are_as_good_as_none() -> None:
    app = Application[None](middlewares=[RequestId()])
    app.get("/")(show)
    async with client_of(app) as client:
        header = ("traceparent", f"00-{TRACE}-{PARENT}-01")
        assert (await client.get("/", headers=[header, header])).text != TRACE


async def test_the_traceparent_is_kept_for_who_calls_on() -> None:
    async def forward(request: Request) -> Response:
        return Response(request.headers["traceparent"])

    app = Application[None](middlewares=[RequestId()])
    app.get("/")(forward)
    async with client_of(app) as client:
        header = f"00-{TRACE}-{PARENT}-01"
        assert (await client.get("/", headers={"traceparent": header})).text == header


async def test_names_may_be_made_otherwise() -> None:
    assert await ask(generate=lambda: "number 1") == "number 1"


async def test_errors_have_the_name_too_and_so_has_the_line_about_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fault(request: Request) -> Response:
        raise KeyError

    app = Application[None](middlewares=[RequestId()])
    app.get("/")(fault)
    caplog.handler.addFilter(RequestIdFilter())
    async with client_of(app) as client:
        response = await client.get("/")
    assert response.status_code == 500
    [record] = [record for record in caplog.records if record.name == "asgiweb"]
    assert vars(record)["request_id"] == response.headers["x-request-id"]


async def test_lines_of_a_stream_have_the_name(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    caplog.handler.addFilter(RequestIdFilter())

    async def stream(request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            logger.info("piece")
            yield request_id(request)

        return Response(pieces())

    app = Application[None](middlewares=[RequestId()])
    app.get("/")(stream)
    async with client_of(app) as client:
        name = (await client.get("/")).text
    [record] = [record for record in caplog.records if record.name == logger.name]
    assert vars(record)["request_id"] == name


def test_lines_outside_of_requests_have_none() -> None:
    record = logging.makeLogRecord({})
    # Tests may share the context that they run in; requests on servers do not.
    assert Context().run(RequestIdFilter().filter, record)
    assert vars(record)["request_id"] == "-"


async def test_a_websocket_has_a_name() -> None:
    async def named(ws: WebSocket) -> None:
        async with ws:
            await ws.send_text(request_id(ws.request))

    app = Application[None](middlewares=[RequestId()])
    app.websocket("/")(named)
    async with (
        TestClient(app) as client,
        client.websocket("/", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}) as ws,
    ):
        assert await ws.receive_text() == TRACE


async def test_without_the_middleware_there_is_no_name() -> None:
    app = Application[None]()
    app.get("/")(show)
    with pytest.raises(RegistrationError, match=r"put RequestId\(\)"):
        async with TestClient(app) as client:
            await client.get("/")


def test_a_header_that_is_no_name_is_refused() -> None:
    with pytest.raises(RegistrationError, match="no name of a header"):
        RequestId(header="x request id")
