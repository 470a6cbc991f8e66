"""TrustedHosts: which Host headers are answered (RFC 9110, 7.2 and 15.5.20; RFC 9112, 3.2)."""

from __future__ import annotations

import pytest

from asgiweb import Application, RegistrationError, Request, Response, WebSocket
from asgiweb.middleware import TrustedHosts
from asgiweb.testing import TestClient, WebSocketDenied
from tests.asgiweb.exchange import Exchange, http_scope


async def hello(request: Request) -> Response:
    return Response("hello")


async def echo(ws: WebSocket) -> None:
    async with ws:
        await ws.send_text("hello")


def application(*hosts: str) -> Application[None]:
    app = Application[None](middlewares=[TrustedHosts(hosts)])
    app.get("/")(hello)
    app.websocket("/")(echo)
    return app


async def status(app: Application[None], *hosts: bytes) -> int:
    scope = http_scope(headers=[(b"host", host) for host in hosts])
    return (await Exchange(scope).run(app)).status


ALL = ("example.com", "*.example.org", "192.0.2.1", "[::1]")


@pytest.mark.parametrize(
    "host",
    [
        b"example.com",
        b"EXAMPLE.com",
        b"example.com.",
        b"example.com:8000",
        b"example.com:",
        b"a.example.org",
        b"a.b.example.org:80",
        b"192.0.2.1:80",
        b"[::1]",
        b"[::1]:8000",
        b"[0:0:0:0:0:0:0:1]",
    ],
)
async def test_hosts_that_are_served(host: bytes) -> None:
    assert await status(application(*ALL), host) == 200


@pytest.mark.parametrize(
    "host",
    [b"example.org", b"evilexample.org", b"a.example.com", b"example.com.evil", b"192.0.2.2", b"[::2]"],
)
async def test_rfc_9110_15_5_20_other_hosts_are_misdirected(host: bytes) -> None:
    assert await status(application(*ALL), host) == 421


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [b""],
        [b":80"],
        [b"."],
        [b"example.com/"],
        [b"user@example.com"],
        [b"example.com:http"],
        [b"example.com:1:2"],
        [b"example.com:123456"],
        [b"a..example.org"],
        [b".example.org"],
        [b"[::1"],
        [b"[:::1]"],
        [b"::1"],
        [b"example.com example.com"],
        [b"example.com, example.com"],
        [b"example.com", b"example.com"],
        [b"ex\xe4mple.org"],
    ],
)
async def test_rfc_9112_3_2_no_host_or_two_are_a_bad_request(hosts: list[bytes]) -> None:
    assert await status(application(*ALL), *hosts) == 400


async def test_websockets_are_asked_too() -> None:
    app = application("example.com")
    async with TestClient(app) as client:
        async with client.websocket("/", headers={"host": "example.com"}) as ws:
            assert await ws.receive_text() == "hello"
        with pytest.raises(WebSocketDenied) as refusal:
            async with client.websocket("/", headers={"host": "evil.example"}):
                pass
    assert refusal.value.response.status_code == 421


@pytest.mark.parametrize(
    "host",
    ["", "*", "*example.com", "a.*.com", "https://example.com", "example.com:80", "::1", "b\xfccher.example"],
)
def test_what_is_no_host_is_refused_when_it_is_made(host: str) -> None:
    with pytest.raises(RegistrationError, match=r"is none of 'example\.com'"):
        TrustedHosts([host])


def test_one_host_is_a_list_too() -> None:
    with pytest.raises(RegistrationError, match=r"TrustedHosts\(\['example.com'\]\)"):
        TrustedHosts("example.com")
    with pytest.raises(RegistrationError, match="refuse everybody"):
        TrustedHosts([])
