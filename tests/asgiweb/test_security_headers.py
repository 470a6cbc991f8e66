"""SecurityHeaders: what they are by default, and the policy with its nonce (CSP Level 3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from asgiweb import Application, HeaderError, RegistrationError, Request, Response, WebSocket, html_response
from asgiweb.middleware import SecurityHeaders, csp_nonce
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import client_of

CSP = "content-security-policy"


async def hello(request: Request) -> Response:
    return Response("hello")


async def page(request: Request) -> Response:
    return html_response(csp_nonce(request) if csp_nonce(request) == csp_nonce(request) else "")


async def own(request: Request) -> Response:
    return Response("", headers={"x-frame-options": "SAMEORIGIN", CSP: "default-src *"})


async def fault(request: Request) -> Response:
    raise KeyError


def application(*middlewares: Any) -> Application[None]:
    app = Application[None](middlewares=middlewares)
    for handler in (hello, page, own, fault):
        app.get(f"/{handler.__name__}")(handler)
    return app


async def ask(path: str = "/hello", **settings: Any) -> httpx.Response:
    async with client_of(application(SecurityHeaders(**settings))) as client:
        return await client.get(path)


@pytest.mark.parametrize("path", ["/hello", "/fault", "/nothing"])
async def test_the_defaults_are_on_every_answer(path: str) -> None:
    headers = dict((await ask(path)).headers)
    for name in ("content-type", "content-length", "vary"):
        headers.pop(name, None)
    assert headers == {
        "content-security-policy": "default-src 'self'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "strict-origin-when-cross-origin",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }


async def test_each_header_can_be_left_out() -> None:
    names = "csp content_type_options referrer_policy frame_options opener_policy resource_policy".split()
    settings: dict[str, Any] = dict.fromkeys(names)
    assert dict((await ask(**settings)).headers).keys() == {"content-type", "content-length"}


async def test_other_headers() -> None:
    response = await ask(
        permissions_policy="geolocation=()", embedder_policy="require-corp", others={"x-own": "1"}
    )
    assert response.headers["permissions-policy"] == "geolocation=()"
    assert response.headers["cross-origin-embedder-policy"] == "require-corp"
    assert response.headers["x-own"] == "1"


async def test_what_a_response_has_set_itself_stays() -> None:
    response = await ask("/own")
    assert response.headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert response.headers.get_list(CSP) == ["default-src *"]


async def test_a_nonce_is_in_the_policy_and_another_one_for_each_request() -> None:
    first, second = await ask("/page"), await ask("/page")
    assert first.text != second.text
    assert len(first.text) == 22
    directives = first.headers[CSP].split("; ")
    assert f"script-src 'self' 'nonce-{first.text}'" in directives
    assert f"style-src 'self' 'nonce-{first.text}'" in directives


@pytest.mark.parametrize(
    "csp",
    [
        "script-src 'nonce' 'strict-dynamic' ; ;img-src *;upgrade-insecure-requests",
        {"script-src": "'nonce' 'strict-dynamic'", "img-src": ["*"], "upgrade-insecure-requests": []},
    ],
)
async def test_a_policy_is_text_or_a_dict(csp: Any) -> None:
    response = await ask("/page", csp=csp)
    script = f"script-src 'nonce-{response.text}' 'strict-dynamic'"
    assert response.headers[CSP] == f"{script}; img-src *; upgrade-insecure-requests"
    assert (await ask(csp=csp)).headers[CSP].startswith("script-src 'strict-dynamic'; img-src *; ")


async def test_a_list_of_nothing_but_a_nonce_is_none_without_it() -> None:
    assert (await ask(csp="script-src 'nonce'")).headers[CSP] == "script-src 'none'"


async def test_a_policy_may_only_be_reported() -> None:
    response = await ask("/page", csp=None, csp_report_only="script-src 'nonce'; report-uri /reports")
    assert CSP not in response.headers
    expected = f"script-src 'nonce-{response.text}'; report-uri /reports"
    assert response.headers["content-security-policy-report-only"] == expected


async def test_rfc_9111_4_3_4_a_304_leaves_the_nonce_of_the_page_that_is_kept() -> None:
    async def kept(request: Request) -> Response:
        return Response(None, 304)

    for csp, sent in (("script-src 'nonce'", None), ("script-src 'self'", "script-src 'self'")):
        app = application(SecurityHeaders(csp=csp))
        app.get("/kept")(kept)
        async with client_of(app) as client:
            assert (await client.get("/kept")).headers.get(CSP) == sent


async def test_two_of_them_have_one_nonce_and_the_inner_policy() -> None:
    async with client_of(application(SecurityHeaders(), SecurityHeaders(csp="script-src 'nonce'"))) as client:
        response = await client.get("/page")
    assert response.headers.get_list(CSP) == [f"script-src 'nonce-{response.text}'"]


async def test_a_stream_asks_for_the_nonce_before_it_begins() -> None:
    async def late(request: Request) -> Response:
        async def stream() -> AsyncIterator[str]:
            yield csp_nonce(request)

        return Response(stream(), content_type="text/html")

    async def early(request: Request) -> Response:
        nonce = csp_nonce(request)

        async def stream() -> AsyncIterator[str]:
            assert csp_nonce(request) == nonce
            yield nonce

        return Response(stream(), content_type="text/html")

    app = application(SecurityHeaders())
    app.get("/late")(late)
    app.get("/early")(early)
    async with client_of(app) as client:
        response = await client.get("/early")
        assert f"'nonce-{response.text}'" in response.headers[CSP]
        with pytest.raises(RegistrationError, match="before the response is returned"):
            await client.get("/late")


async def test_without_the_middleware_there_is_no_nonce() -> None:
    with pytest.raises(RegistrationError, match=r"put SecurityHeaders\(\)"):
        async with TestClient(application()) as client:
            await client.get("/page")


async def test_a_websocket_passes() -> None:
    async def echo(ws: WebSocket) -> None:
        async with ws:
            await ws.send_text("hello")

    app = application(SecurityHeaders())
    app.websocket("/ws")(echo)
    async with TestClient(app) as client, client.websocket("/ws") as ws:
        assert await ws.receive_text() == "hello"


@pytest.mark.parametrize(
    ("csp", "message"),
    [
        ("script-src self", "\"'self'\", with quotes"),
        ("frame-ancestors none", "with quotes"),
        ("script-src nonce", "with quotes"),
        ("script-src 'self'; script-src *", "twice"),
        ("", "no directive: write None"),
        ("Script_Src *", "no directive such as"),
        ({"script-src": "'self'", "img-src": ["a; script-src *"]}, "not one source"),
        ({"img-src": ["a,b"]}, "not one source"),
        ({"img-src": ["http://b\xfccher.example"]}, "not one source"),
        ({"img-src": [""]}, "not one source"),
    ],
)
def test_a_policy_that_cannot_be_right_is_refused_when_it_is_made(csp: Any, message: str) -> None:
    with pytest.raises(RegistrationError, match=message):
        SecurityHeaders(csp=csp)


def test_tokens_of_other_directives_need_no_quotes() -> None:
    SecurityHeaders(csp="sandbox allow-scripts; report-to none; trusted-types self 'allow-duplicates'")


def test_a_header_that_cannot_be_sent_is_refused_when_it_is_made() -> None:
    with pytest.raises(HeaderError):
        SecurityHeaders(referrer_policy="no-referrer\r\nx: y")
