"""Routes that are bound to a host: what matches, what comes first, and the URLs that they have."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from asgiweb import Application, RegistrationError, Request, Response, Router, UrlError, WebSocket
from asgiweb.routing.hosts import labels_of, port_of
from tests.asgiweb.exchange import Exchange, http_scope
from tests.asgiweb.scripted import ScriptedServer, disconnect, websocket_scope


async def show(request: Request) -> Response:
    route = request.route
    assert route is not None
    return Response(f"{route.host} {dict(request.match_info)}")


def app_with(*hosts: str | None, path: str = "/") -> Application[Any]:
    app: Application[Any] = Application()
    for host in hosts:
        app.router.add_get(path, show, host=host)
    return app


async def asked(app: Application[Any], host: str | None, path: str = "/", method: str = "GET") -> Exchange:
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    return await Exchange(http_scope(path, method, headers=headers)).run(app)


@pytest.mark.parametrize(
    ("host", "labels", "port"),
    [
        ("example.com", ("example", "com"), ""),
        ("EXAMPLE.Com:8000", ("example", "com"), "8000"),
        ("example.com.", ("example", "com"), ""),
        ("localhost:80", ("localhost",), "80"),
        ("127.0.0.1", ("127", "0", "0", "1"), ""),
        ("[::1]:8000", ("[::1]",), "8000"),
        ("[::ffff:1.2.3.4]", ("[::ffff:1.2.3.4]",), ""),
        ("", (), ""),
        ("a..b", (), ""),
        ("a/b.example.com", (), ""),
        ("a@example.com", (), ""),
        ("b\xfccher.example", (), ""),
        ("example.com:port", (), ""),
        (".".join(["a" * 63] * 4)[:253] + ".:65535", ("a" * 63, "a" * 63, "a" * 63, "a" * 61), "65535"),
    ],
)
def test_the_host_is_taken_apart(host: str, labels: tuple[str, ...], port: str) -> None:
    scope = http_scope(headers=[(b"host", host.encode("latin-1"))])
    assert labels_of(scope) == labels
    assert port_of(scope) == port


def test_hosts_that_are_longer_than_any_name_are_none_and_not_kept() -> None:
    tracemalloc.start()
    try:
        for number in range(256):
            host = f"{number}" + ".a" * 4000
            assert labels_of(http_scope(headers=[(b"host", host.encode())])) == ()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


@pytest.mark.parametrize("hosts", [(None, "api.example.com"), ("api.example.com", None)])
async def test_host_bound_routes_come_before_those_for_any_host(hosts: tuple[str | None, ...]) -> None:
    app = app_with(*hosts)
    for host in ("api.example.com", "API.example.COM:8000", "api.example.com."):
        assert (await asked(app, host)).body == b"api.example.com {}"
    for other in ("example.com", "x.api.example.com", "api.example.com.evil.org", None):
        assert (await asked(app, other)).body == b"None {}"


@pytest.mark.parametrize("order", [1, -1])
async def test_the_most_specific_host_comes_first_whatever_the_order(order: int) -> None:
    app = app_with(*["{name}.example.com", "{number:int}.example.com", "www.example.com", "{a}.{b}"][::order])
    assert (await asked(app, "www.example.com")).body == b"www.example.com {}"
    assert (await asked(app, "7.example.com")).body == b"{number:int}.example.com {'number': 7}"
    assert (await asked(app, "acme.example.com")).body == b"{name}.example.com {'name': 'acme'}"
    assert (await asked(app, "example.com")).body == b"{a}.{b} {'a': 'example', 'b': 'com'}"


async def test_another_host_is_tried_where_one_has_no_such_path() -> None:
    app = app_with("www.example.com", path="/a")
    app.router.add_get("/{x}/b", show, host="{name}.example.com")
    app.router.add_get("/c", show)
    assert (
        await asked(app, "www.example.com", "/x/b")
    ).body == b"{name}.example.com {'name': 'www', 'x': 'x'}"
    assert (await asked(app, "www.example.com", "/c")).body == b"None {}"
    assert (await asked(app, "www.example.com", "/d")).status == 404


async def test_methods_are_those_of_every_host_that_matches() -> None:
    app = app_with(None)
    app.router.add_post("/", show, host="{name}.example.com")
    app.router.add_put("/", show, host="other.example.com")
    exchange = await asked(app, "www.example.com", method="DELETE")
    assert (exchange.status, exchange.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert (await asked(app, "www.example.com", method="OPTIONS")).headers[
        "allow"
    ] == "GET, HEAD, OPTIONS, POST"
    assert (await asked(app, "elsewhere", method="OPTIONS")).headers["allow"] == "GET, HEAD, OPTIONS"
    assert (await asked(app, "www.example.com", method="HEAD")).status == 200


async def test_parameters_reach_the_handler_converted() -> None:
    app: Application[Any] = Application()

    @app.get("/{page}", host="{shard:int}.{region:regex([a-z]{2}-[0-9])}.example.com")
    async def handler(request: Request, shard: int, region: str, page: str) -> Response:
        return Response(f"{shard!r} {region} {page}")

    assert (await asked(app, "07.eu-1.example.com", "/p")).body == b"7 eu-1 p"
    assert (await asked(app, "07.europe.example.com", "/p")).status == 404


async def test_websockets_and_mounts_have_hosts_too() -> None:
    app = app_with(None)

    @app.websocket("/", host="ws.example.com")
    async def ws(ws: WebSocket) -> None:
        async with ws:
            pass

    app.mount("", app_with("any.example.com", "{x}.example.com"), host="any.example.com")
    scope = websocket_scope(headers=[(b"host", b"ws.example.com")])
    assert (await ScriptedServer(disconnect(), scope=scope).run(app)).types == ["accept", "close"]
    assert (await ScriptedServer().run(app)).types == ["close"]
    assert (await asked(app, "any.example.com")).body == b"any.example.com {}"


async def test_a_slash_at_the_end_is_redirected_on_the_same_host() -> None:
    app = app_with("api.example.com", path="/a")
    exchange = await asked(app, "api.example.com", "/a/")
    assert (exchange.status, exchange.headers["location"]) == (308, "/a")
    assert (await asked(app, "example.com", "/a/")).status == 404


def test_a_malformed_target_does_not_reach_into_the_host() -> None:
    router = Router()
    router.add_get("/a", show, host="example.com")
    scope = http_scope("com//a", headers=[(b"host", b"example")])
    assert router.resolve(scope) is None


def test_the_same_host_and_path_twice_is_refused() -> None:
    router = Router()
    router.add_get("/", show, host="{a}.example.com")
    router.add_get("/", show, host="www.example.com")
    router.add_get("/", show)
    with pytest.raises(RegistrationError, match="registered already"):
        router.add_get("/", show, host="{b}.example.com")


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("Example.com", "in lower case"),
        ("example.com:80", "without port"),
        ("b\xfccher.example", "xn--"),
        ("", "is no label"),
        ("example..com", "is no label"),
        ("{rest:path}.example.com", "in a host it is one label"),
        ("{x:dates}.example.com", "no converter is called 'dates'"),
        ("a{x}.example.com", "not a parameter"),
        ("{x}.{x}", "two parameters are called 'x'"),
        ("{y}.example.com", "two parameters are called 'y'"),
    ],
)
def test_hosts_that_cannot_be_are_refused(host: str, message: str) -> None:
    with pytest.raises(RegistrationError) as caught:
        Router().add_get("/{y}", show, host=host)
    assert message in str(caught.value)


class TestUrls:
    def test_without_a_request_they_are_relative_to_its_scheme(self) -> None:
        router = Router()
        router.add_get("/a/{x}", show, name="it", host="{tenant}.example.com")
        assert str(router.url_for("it", {"tenant": "acme", "x": "b c"})) == "//acme.example.com/a/b%20c"

    @pytest.mark.parametrize(
        ("scope", "url"),
        [
            ({}, "http://acme.example.com/"),
            ({"scheme": "https"}, "https://acme.example.com/"),
            ({"headers": [(b"host", b"localhost:8000")]}, "http://acme.example.com:8000/"),
            ({"root_path": "/api", "path": "/api/"}, "http://acme.example.com/api/"),
        ],
    )
    async def test_with_one_they_have_its_scheme_and_port(self, scope: dict[str, Any], url: str) -> None:
        app: Application[Any] = Application()
        app.router.add_get("/", show, name="it", host="{tenant}.example.com")
        built: list[str] = []

        async def middleware(request: Request, handler: Any) -> Response:
            built.append(str(request.url_for("it", tenant="acme")))
            return Response()

        app.middleware(middleware)
        await Exchange(http_scope(**{"path": "/", **scope})).run(app)
        assert built == [url]

    def test_those_of_websockets_have_their_scheme(self) -> None:
        router = Router()

        async def handler(ws: WebSocket) -> None: ...

        router.add_websocket("/", handler, name="it", host="ws.example.com")
        assert str(router.url_for("it", {}, scope=http_scope(scheme="https"))) == "wss://ws.example.com/"

    @pytest.mark.parametrize("tenant", ["", "a.b", "ACME", "a/b", "\xe9", "a b", "a:1", "a" * 242])
    def test_what_no_host_is_read_as_is_refused(self, tenant: str) -> None:
        router = Router()
        router.add_get("/", show, name="it", host="{tenant}.example.com")
        with pytest.raises(UrlError):
            router.url_for("it", {"tenant": tenant})
