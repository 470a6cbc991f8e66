"""CORS: the headers of the Fetch standard, 3.2, on every answer that a page of another site may get."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from asgiweb import Application, Handler, HTTPUnauthorized, RegistrationError, Request, Response, WebSocket
from asgiweb.middleware import CORS
from asgiweb.testing import TestClient, WebSocketDenied
from tests.asgiweb.exchange import Exchange, client_of, http_scope

PAGE = "https://page.example"
PREFLIGHT = {"origin": PAGE, "access-control-request-method": "PUT"}


async def hello(request: Request) -> Response:
    return Response("hello", headers={"x-total": "3"})


async def fault(request: Request) -> Response:
    raise KeyError("secret")


async def echo(ws: WebSocket) -> None:
    async with ws:
        await ws.send_text("hello")


def application(cors: CORS, *others: Any) -> Application[None]:
    app = Application[None](middlewares=[cors, *others])
    app.get("/")(hello)
    app.get("/fault")(fault)
    app.websocket("/ws")(echo)
    return app


async def ask(cors: CORS, path: str = "/", method: str = "GET", **headers: str) -> httpx.Response:
    async with client_of(application(cors)) as client:
        return await client.request(
            method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )


async def preflight(cors: CORS, path: str = "/", **changes: str) -> httpx.Response:
    async with client_of(application(cors)) as client:
        return await client.options(path, headers={**PREFLIGHT, **changes})


def test_the_origins_are_a_list_or_one() -> None:
    assert vars(CORS(PAGE))["_origins"] == vars(CORS([PAGE]))["_origins"] == {PAGE}


async def test_an_origin_that_is_allowed_is_named() -> None:
    response = await ask(CORS([PAGE]), origin=PAGE)
    assert response.headers["access-control-allow-origin"] == PAGE
    assert response.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://other.example",
        "http://page.example",
        "https://page.example:444",
        "https://page.example.evil.example",
        "HTTPS://PAGE.EXAMPLE",
        f"{PAGE}, {PAGE}",
        "null",
        "",
    ],
)
async def test_an_origin_that_is_not_allowed_gets_the_answer_and_no_header(origin: str) -> None:
    response = await ask(CORS([PAGE]), origin=origin)
    assert response.text == "hello"
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert response.headers["vary"] == "origin"


async def test_fetch_3_2_5_vary_is_on_answers_without_an_origin_too() -> None:
    response = await ask(CORS([PAGE]))
    assert response.headers["vary"] == "origin"
    assert "access-control-allow-origin" not in response.headers


async def test_vary_is_added_to_what_is_there() -> None:
    async def varied(request: Request) -> Response:
        return Response("", headers=[("vary", "accept"), ("vary", "cookie, Origin")])

    async def other(request: Request) -> Response:
        return Response("", headers={"vary": "accept"})

    app = application(CORS([PAGE]))
    app.get("/varied")(varied)
    app.get("/other")(other)
    async with client_of(app) as client:
        assert (await client.get("/varied")).headers.get_list("vary") == ["accept", "cookie, Origin"]
        assert (await client.get("/other")).headers.get_list("vary") == ["accept, origin"]


async def test_everybody_is_a_star_that_does_not_vary() -> None:
    for headers in ({}, {"origin": PAGE}, {"origin": "null"}):
        response = await ask(CORS("*"), **headers)
        assert response.headers["access-control-allow-origin"] == "*"
        assert "vary" not in response.headers


async def test_null_is_an_origin_like_others_when_it_is_listed() -> None:
    assert (await ask(CORS(["null"]), origin="null")).headers["access-control-allow-origin"] == "null"


async def test_a_predicate_is_asked_about_origins_that_are_not_listed() -> None:
    cors = CORS([PAGE], predicate=re.compile(r"https://[a-z]+\.example\.org").fullmatch)
    for origin, allowed in (
        (PAGE, True),
        ("https://a.example.org", True),
        ("https://a.example.org.evil.example", False),
    ):
        response = await ask(cors, origin=origin)
        assert response.headers.get("access-control-allow-origin") == (origin if allowed else None)


@pytest.mark.parametrize("origin", ["null", "nonsense", "https://a/path", "https://a, https://b"])
async def test_a_predicate_is_asked_about_origins_alone(origin: str) -> None:
    response = await ask(CORS(predicate=lambda origin: True), origin=origin)
    assert "access-control-allow-origin" not in response.headers


async def test_credentials_are_allowed_by_a_header_of_their_own() -> None:
    response = await ask(CORS([PAGE], credentials=True), origin=PAGE)
    assert response.headers["access-control-allow-credentials"] == "true"
    response = await ask(CORS([PAGE], credentials=True), origin="https://other.example")
    assert "access-control-allow-credentials" not in response.headers


async def test_headers_that_a_page_may_read_are_exposed() -> None:
    response = await ask(CORS([PAGE], expose=["x-total", "etag"]), origin=PAGE)
    assert response.headers["access-control-expose-headers"] == "x-total, etag"


async def test_what_the_handler_allows_itself_stays() -> None:
    async def public(request: Request) -> Response:
        return Response("", headers={"access-control-allow-origin": "*"})

    app = application(CORS([PAGE], credentials=True))
    app.get("/public")(public)
    async with client_of(app) as client:
        response = await client.get("/public", headers={"origin": PAGE})
    assert response.headers.get_list("access-control-allow-origin") == ["*"]
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("path", ["/", "/nothing", "/fault", "/ws"])
async def test_a_preflight_is_answered_whatever_the_path(path: str) -> None:
    response = await preflight(CORS([PAGE], credentials=True, expose=["etag"]), path)
    assert response.status_code == 204
    assert dict(response.headers) == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "DELETE, GET, HEAD, PATCH, POST, PUT",
        "access-control-allow-headers": "authorization, content-type",
        "access-control-max-age": "600",
        "vary": "origin",
    }


async def test_a_preflight_comes_before_what_asks_who_the_client_is() -> None:
    async def auth(request: Request, handler: Handler) -> Response:
        raise HTTPUnauthorized(headers={"www-authenticate": "Bearer"})

    async with client_of(application(CORS([PAGE]), auth)) as client:
        assert (await client.options("/", headers=PREFLIGHT)).status_code == 204
        response = await client.get("/", headers={"origin": PAGE})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (401, PAGE)


async def test_a_preflight_of_an_origin_that_is_not_allowed_is_refused() -> None:
    response = await preflight(CORS([PAGE]), origin="https://other.example")
    assert response.status_code == 403
    assert "https://other.example" in response.text
    assert response.headers["vary"] == "origin"
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_an_options_request_that_is_no_preflight_goes_to_the_router() -> None:
    for headers in ({"origin": PAGE}, {"access-control-request-method": "PUT"}, {}):
        async with client_of(application(CORS([PAGE]))) as client:
            response = await client.options("/", headers=headers)
        assert response.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_the_settings_of_preflights() -> None:
    cors = CORS("*", methods=["*"], headers=["*", "authorization"], max_age=0)
    response = await preflight(cors)
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["access-control-allow-methods"] == "*"
    assert response.headers["access-control-allow-headers"] == "*, authorization"
    assert response.headers["access-control-max-age"] == "0"
    response = await preflight(CORS("*", max_age=None, headers=()))
    assert "access-control-max-age" not in response.headers
    assert "access-control-allow-headers" not in response.headers


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/fault", "GET", 500), ("/nothing", "GET", 404), ("/", "DELETE", 405), ("/ws", "GET", 426)],
)
async def test_complaint_4_errors_carry_the_headers_too(path: str, method: str, status: int) -> None:
    response = await ask(CORS([PAGE]), path, method, origin=PAGE)
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == PAGE


async def test_names_of_headers_in_any_case_are_found() -> None:
    scope = http_scope(headers=[(b"Host", b"test"), (b"Origin", PAGE.encode())])
    exchange = await Exchange(scope).run(application(CORS([PAGE])))
    assert exchange.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("origin", [PAGE, "http://test", "https://test", None])
async def test_rfc_6455_10_2_websockets_are_for_pages_that_are_allowed_and_for_the_site_itself(
    origin: str | None,
) -> None:
    headers = {} if origin is None else {"origin": origin}
    async with (
        TestClient(application(CORS([PAGE]))) as client,
        client.websocket("/ws", headers=headers) as ws,
    ):
        assert await ws.receive_text() == "hello"


@pytest.mark.parametrize("origin", ["https://other.example", "null", "", "http://test:8000", "test"])
async def test_a_websocket_from_another_site_is_refused(origin: str) -> None:
    async with TestClient(application(CORS([PAGE]))) as client:
        with pytest.raises(WebSocketDenied) as refusal:
            async with client.websocket("/ws", headers={"origin": origin}):
                pass
    assert refusal.value.response.status_code == 403


async def test_a_page_without_tls_is_not_of_a_site_with_it() -> None:
    async with TestClient(application(CORS([PAGE])), base_url="https://test") as client:
        async with client.websocket("/ws", headers={"origin": "https://test"}) as ws:
            assert await ws.receive_text() == "hello"
        with pytest.raises(WebSocketDenied):
            async with client.websocket("/ws", headers={"origin": "http://test"}):
                pass


@pytest.mark.parametrize("cors", [CORS("*"), CORS([PAGE], websockets=False)])
async def test_websockets_are_left_alone_if_that_is_wanted(cors: CORS) -> None:
    async with (
        TestClient(application(cors)) as client,
        client.websocket("/ws", headers={"origin": "https://other.example"}) as ws,
    ):
        assert await ws.receive_text() == "hello"


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://a.example", "a.example:443"),
        ("http://a.example:81", "A.example:81"),
        ("http://[::1]", "[::1]"),
    ],
)
async def test_the_own_port_of_a_scheme_may_be_written(origin: str, host: str) -> None:
    async with (
        TestClient(application(CORS([PAGE]))) as client,
        client.websocket("/ws", headers={"origin": origin, "host": host}) as ws,
    ):
        assert await ws.receive_text() == "hello"


async def coroutine(origin: str) -> bool:
    return True


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"origins": "*", "credentials": True}, "list those that are trusted"),
        ({"origins": ["null"], "credentials": True}, "any page can have a frame"),
        ({"origins": [PAGE], "credentials": True, "methods": ["*"]}, "allow-methods: \\* is a name"),
        ({"origins": [PAGE], "credentials": True, "headers": ["*"]}, "allow-headers: \\* is a name"),
        ({"origins": [PAGE], "credentials": True, "expose": ["*"]}, "expose-headers: \\* is a name"),
        ({}, "allows nobody"),
        ({"origins": ["example.com"]}, "such as 'https://example.com'"),
        ({"origins": ["https://example.com/"]}, "no path"),
        ({"origins": ["https://Example.com"]}, "lower case"),
        ({"origins": ["https://example.com:443"]}, "scheme's own"),
        ({"origins": ["http://example.com:80"]}, "scheme's own"),
        ({"origins": ["https://*.example.com"]}, "predicate"),
        ({"origins": [PAGE], "headers": ["x: y"]}, "no token"),
        ({"origins": [PAGE], "methods": "GET"}, "list of texts"),
        ({"predicate": coroutine}, "plain function"),
    ],
)
def test_what_cannot_be_right_is_refused_when_it_is_made(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RegistrationError, match=message):
        CORS(**settings)
