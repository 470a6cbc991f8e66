"""Slashes at the end: redirected, answered 404, or ignored; and never a way to another host."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urljoin

import pytest

from asgiweb import Application, Handler, RegistrationError, Request, Response, WebSocket
from asgiweb.testing import TestClient, WebSocketDenied
from tests.asgiweb.exchange import Exchange, http_scope
from tests.asgiweb.scripted import ScriptedServer, disconnect, websocket_scope


async def show(request: Request) -> Response:
    return Response(request.path)


async def talk(ws: WebSocket) -> None:
    async with ws:
        pass


def app_with(*paths: str, **settings: Any) -> Application[Any]:
    app: Application[Any] = Application(**settings)
    for path in paths:
        app.router.add_get(path, show)
    return app


async def asked(app: Application[Any], raw_path: str, method: str = "GET", **changes: Any) -> Exchange:
    scope = http_scope(unquote(raw_path), method, raw_path=raw_path.encode(), **changes)
    return await Exchange(scope).run(app)


class TestRedirect:
    @pytest.mark.parametrize(
        ("route", "path", "location"),
        [
            ("/a", "/a/", "/a"),
            ("/a/", "/a", "/a/"),
            ("/a/{x}", "/a/b/", "/a/b"),
            ("/a/{x:int}/", "/a/7", "/a/7/"),
            ("/{x}", "/a%2Fb%20c/", "/a%2Fb%20c"),
            ("/{x}/", "/caf%C3%A9", "/caf%C3%A9/"),
            ("/files/{rest:path}", "/files", "/files/"),
            ("/{x}", "/a:b/", "/a:b"),
            ("/{x}/", "/caf\xe9", "/caf%C3%A9/"),
        ],
    )
    async def test_the_location_is_relative_and_quoted(self, route: str, path: str, location: str) -> None:
        app = app_with(route)
        exchange = await asked(app, path)
        assert (exchange.status, exchange.headers["location"]) == (308, location)
        assert urljoin(f"http://test{path}", location) == f"http://test{location}"
        assert (await asked(app, location)).status == 200

    async def test_an_encoded_slash_is_not_the_one_at_the_end(self) -> None:
        assert (await asked(app_with("/a"), "/a%2F")).status == 404

    async def test_the_query_is_kept(self) -> None:
        exchange = await asked(app_with("/a"), "/a/", query_string=b"b=%20c&d=e/?")
        assert exchange.headers["location"] == "/a?b=%20c&d=e/?"

    async def test_bytes_that_should_have_been_quoted_are(self) -> None:
        # As curl sends them.
        exchange = await asked(app_with("/a"), "/a/", query_string=b"b=\xc3\xa9&c=\xff")
        assert exchange.headers["location"] == "/a?b=%C3%A9&c=%FF"

    @pytest.mark.parametrize("raw_path", ["/api/a/", "/a/"])
    async def test_below_a_prefix_whatever_the_server_makes_of_it(self, raw_path: str) -> None:
        scope = http_scope("/api/a/", raw_path=raw_path.encode(), root_path="/api")
        assert (await Exchange(scope).run(app_with("/a"))).headers["location"] == "/api/a"

    @pytest.mark.parametrize("raw_path", [b"/a%20b/", None])
    async def test_below_a_prefix_that_the_server_has_nowhere_in_the_path(
        self, raw_path: bytes | None
    ) -> None:
        """hypercorn, granian and daphne behind a proxy that takes it off."""
        scope = http_scope("/a b/", raw_path=raw_path, root_path="/api é/")
        assert (await Exchange(scope).run(app_with("/a b"))).headers["location"] == "/api%20%C3%A9/a%20b"

    @pytest.mark.parametrize("path", ["/api/mounted/a/", "/mounted/a/"])
    async def test_in_an_application_that_is_mounted_below_a_prefix(self, path: str) -> None:
        app: Application[Any] = Application()
        app.mount("/mounted", app_with("/a"))
        scope = http_scope(path, raw_path=b"/mounted/a/", root_path="/api")
        assert (await Exchange(scope).run(app)).headers["location"] == "/api/mounted/a"

    async def test_a_server_without_raw_path(self) -> None:
        exchange = await Exchange(http_scope("/a b/", raw_path=None)).run(app_with("/a b"))
        assert exchange.headers["location"] == "/a%20b"

    async def test_a_raw_path_with_the_query(self) -> None:
        scope = http_scope("/a/b/", raw_path=b"/a%2Fb/?c=/", query_string=b"c=/")
        assert (await Exchange(scope).run(app_with("/{x}"))).headers["location"] == "/a%2Fb?c=/"

    @pytest.mark.parametrize(
        ("route", "path"), [("//{host}", "//evil.example/"), ("/{x}/", "/\\evil.example"), ("/{x}", "/\\e/")]
    )
    async def test_it_never_leads_to_another_host(self, route: str, path: str) -> None:
        exchange = await asked(app_with(route), path)
        assert exchange.status == 404
        assert "location" not in exchange.headers

    @pytest.mark.parametrize("path", ["/", "/b/", "/b", "/a//", "//a", ""])
    async def test_other_paths_are_404(self, path: str) -> None:
        assert (await asked(app_with("/a"), path)).status == 404

    async def test_only_to_where_the_method_is_answered(self) -> None:
        app = app_with("/a")
        for method, status in {"GET": 308, "HEAD": 308, "OPTIONS": 308, "POST": 404}.items():
            assert (await asked(app, "/a/", method)).status == status

    async def test_a_path_that_has_routes_is_not_left(self) -> None:
        app = app_with("/a")
        app.router.add_post("/a/", show)
        exchange = await asked(app, "/a/")
        assert (exchange.status, exchange.headers["allow"]) == (405, "OPTIONS, POST")

    async def test_middlewares_are_around_it(self) -> None:
        async def marking(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            response.headers["x-mark"] = "seen"
            return response

        exchange = await asked(app_with("/a", middlewares=[marking]), "/a/")
        assert (exchange.status, exchange.headers["x-mark"]) == (308, "seen")

    async def test_a_websocket_is_denied_with_the_redirection(self) -> None:
        app: Application[Any] = Application()
        app.router.add_websocket("/a", talk)
        async with TestClient(app) as client:
            with pytest.raises(WebSocketDenied) as refusal:
                async with client.websocket("/a/"):
                    pass
        response = refusal.value.response
        assert (response.status_code, response.headers["location"]) == (308, "/a")


class TestStrict:
    @pytest.mark.parametrize(("route", "path"), [("/a", "/a/"), ("/a/", "/a")])
    async def test_it_is_another_path(self, route: str, path: str) -> None:
        assert (await asked(app_with(route, trailing_slash="strict"), path)).status == 404

    async def test_for_websockets_too(self) -> None:
        app: Application[Any] = Application(trailing_slash="strict")
        app.router.add_websocket("/a", talk)
        assert (await ScriptedServer(scope=websocket_scope("/a/")).run(app)).types == ["close"]


class TestIgnore:
    @pytest.mark.parametrize(
        ("route", "path"), [("/a", "/a/"), ("/a/", "/a"), ("/{x}", "/a%2Fb/"), ("/f/{rest:path}", "/f")]
    )
    async def test_it_is_served_as_it_is(self, route: str, path: str) -> None:
        exchange = await asked(app_with(route, trailing_slash="ignore"), path)
        assert (exchange.status, exchange.body) == (200, unquote(path).encode())

    @pytest.mark.parametrize("root_path", ["", "/api"])
    async def test_an_encoded_slash_is_not_the_one_at_the_end(self, root_path: str) -> None:
        app = app_with("/a", "/f/{x}/", trailing_slash="ignore")
        assert (await asked(app, f"{root_path}/a%2F", root_path=root_path)).status == 404
        assert (await asked(app, f"{root_path}/a%2F", "DELETE", root_path=root_path)).status == 404
        assert (await asked(app, f"{root_path}/f/b%2F", root_path=root_path)).status == 200

    async def test_the_exact_path_comes_first(self) -> None:
        app = app_with("/a/", trailing_slash="ignore")

        @app.get("/a")
        async def exact(request: Request) -> Response:
            return Response("exact")

        assert (await asked(app, "/a")).body == b"exact"
        assert (await asked(app, "/a/")).body == b"/a/"

    async def test_the_methods_of_both_are_allowed(self) -> None:
        app = app_with("/a", trailing_slash="ignore")
        app.router.add_post("/a/", show)
        assert (await asked(app, "/a", "POST")).status == 200
        exchange = await asked(app, "/a", "DELETE")
        assert (exchange.status, exchange.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")

    async def test_for_websockets_too(self) -> None:
        app: Application[Any] = Application(trailing_slash="ignore")
        app.router.add_websocket("/a", talk)
        server = ScriptedServer(disconnect(), scope=websocket_scope("/a/"))
        assert (await server.run(app)).types == ["accept", "close"]


def test_another_policy_is_refused() -> None:
    with pytest.raises(RegistrationError, match="'redirect', 'strict' or 'ignore', not 'append'"):
        Application(trailing_slash="append")  # type: ignore[arg-type]  # that is the point
