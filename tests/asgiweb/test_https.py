"""HTTPSRedirect: where requests by http are sent, and HSTS (RFC 9110, 15.4; RFC 6797)."""

from __future__ import annotations

from typing import Any

import pytest

from asgiweb import Application, RegistrationError, Request, Response, WebSocket
from asgiweb.middleware import HTTPSRedirect
from asgiweb.testing import TestClient, WebSocketDenied
from tests.asgiweb.exchange import Exchange, client_of, http_scope


async def hello(request: Request) -> Response:
    return Response("hello")


async def echo(ws: WebSocket) -> None:
    async with ws:
        await ws.send_text("hello")


def application(**settings: Any) -> Application[None]:
    app = Application[None](middlewares=[HTTPSRedirect(**settings)])
    app.get("/{rest:path}")(hello)
    app.websocket("/ws")(echo)
    return app


async def location(target: str, host: str = "example.com", method: str = "GET", **settings: Any) -> str:
    async with client_of(application(**settings)) as client:
        response = await client.request(method, f"http://test{target}", headers={"host": host})
    assert response.status_code == settings.get("status", 308)
    return response.headers["location"]


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/a/b?c=d&c=%20",
        "/a%2Fb",
        "/%E2%82%AC?%E2%82%AC",
        "//evil.example/",
        "/?next=https://evil.example",
    ],
)
async def test_path_and_query_are_kept_as_they_were_written(target: str) -> None:
    assert await location(target) == f"https://example.com{target}"


@pytest.mark.parametrize(
    ("host", "port", "authority"),
    [
        ("example.com:80", 443, "example.com"),
        ("EXAMPLE.com:8080", 8443, "example.com:8443"),
        ("[::1]:8080", 443, "[::1]"),
    ],
)
async def test_the_port_is_that_of_https(host: str, port: int, authority: str) -> None:
    assert await location("/", host, port=port) == f"https://{authority}/"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_every_method_is_redirected(method: str, status: int) -> None:
    assert await location("/", method=method, status=status) == "https://example.com/"


@pytest.mark.parametrize(
    "host", [b"evil.example/", b"a@evil.example", b"evil.example?", b"evil.example#", b"evil\\example", b""]
)
async def test_what_is_no_host_is_nowhere_to_redirect_to(host: bytes) -> None:
    exchange = await Exchange(http_scope(headers=[(b"host", host)])).run(application())
    assert (exchange.status, "location" in exchange.headers) == (400, False)


async def test_the_scheme_in_the_scope_counts_and_no_header() -> None:
    async with client_of(application()) as client:
        headers = {"x-forwarded-proto": "https", "forwarded": "proto=https"}
        assert (await client.get("http://test/", headers=headers)).status_code == 308
        assert (await client.get("https://test/", headers={"x-forwarded-proto": "http"})).status_code == 200


async def test_rfc_6797_hsts_is_on_answers_by_https_alone() -> None:
    async with client_of(application()) as client:
        assert "strict-transport-security" not in (await client.get("http://test/")).headers
        secure = await client.get("https://test/")
        error = await client.post("https://test/")
    assert secure.headers["strict-transport-security"] == "max-age=2592000"
    assert (error.status_code, error.headers["strict-transport-security"]) == (405, "max-age=2592000")


@pytest.mark.parametrize(
    ("settings", "policy"),
    [
        ({"hsts_max_age": 10}, "max-age=10"),
        ({"hsts_max_age": 0}, "max-age=0"),
        ({"hsts_max_age": 10, "include_subdomains": True}, "max-age=10; includeSubDomains"),
        (
            {"hsts_max_age": 31_536_000, "include_subdomains": True, "preload": True},
            "max-age=31536000; includeSubDomains; preload",
        ),
        ({"hsts_max_age": None}, None),
    ],
)
async def test_the_settings_of_hsts(settings: dict[str, Any], policy: str | None) -> None:
    async with client_of(application(**settings)) as client:
        assert (await client.get("https://test/")).headers.get("strict-transport-security") == policy


async def test_a_policy_of_the_response_itself_stays() -> None:
    async def own(request: Request) -> Response:
        return Response("", headers={"strict-transport-security": "max-age=1"})

    app = application()
    app.get("/own")(own)
    async with client_of(app) as client:
        response = await client.get("https://test/own")
    assert response.headers.get_list("strict-transport-security") == ["max-age=1"]


async def test_websockets_are_opened_by_wss_alone() -> None:
    async with TestClient(application(), base_url="https://test") as client, client.websocket("/ws") as ws:
        assert await ws.receive_text() == "hello"
    async with TestClient(application()) as client:
        with pytest.raises(WebSocketDenied) as refusal:
            async with client.websocket("/ws"):
                pass
    assert refusal.value.response.status_code == 403


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"status": 303}, r"\[301, 302, 307, 308\]"),
        ({"preload": True}, "include_subdomains=True"),
        ({"preload": True, "include_subdomains": True}, "31536000"),
    ],
)
def test_what_cannot_be_right_is_refused_when_it_is_made(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RegistrationError, match=message):
        HTTPSRedirect(**settings)
