"""Groups: prefixes, names, middlewares, error handlers and hosts that routes have in common."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from asgiweb import (
    Application,
    ClientDisconnected,
    Converter,
    Group,
    Handler,
    HTTPForbidden,
    HTTPNotFound,
    Middleware,
    RegistrationError,
    Request,
    Response,
    WebSocket,
)
from tests.asgiweb.exchange import Exchange, client_of, http_scope
from tests.asgiweb.scripted import ScriptedServer, disconnect, websocket_scope


async def show(request: Request) -> Response:
    return Response("shown")


async def show_post(request: Request, id: int) -> Response:
    return Response(f"post {id}")


async def fail(request: Request) -> Response:
    raise KeyError("key")


def marking(mark: str) -> Middleware[Any]:
    async def middleware(request: Request, handler: Handler) -> Response:
        response = await handler(request)
        response.headers["x-marks"] = response.headers.get("x-marks", "") + mark
        return response

    return middleware


def answering(text: str) -> Any:
    async def error_handler(request: Request, error: Exception) -> Response:
        return Response(f"{text}: {error!r}", 400)

    return error_handler


def blog(name: str | None = "blog") -> Group[Any]:
    group: Group[Any] = Group("/blog", name=name)

    @group.get("", name="index")
    async def index(request: Request) -> Response:
        return Response("index")

    @group.get("/posts/{id:int}", name="post")
    async def post(request: Request, id: int) -> Response:
        return Response(str(request.url_for("blog.post", id=id + 1)))

    return group


def including(*groups: Group[Any], **settings: Any) -> Application[Any]:
    app: Application[Any] = Application(**settings)
    for group in groups:
        app.include(group)
    return app


async def asked(app: Application[Any], path: str, **changes: Any) -> Exchange:
    return await Exchange(http_scope(path, **changes)).run(app)


class TestPrefixesAndNames:
    async def test_routes_are_below_the_prefix_and_in_the_name_space(self) -> None:
        app = including(blog())
        assert (await asked(app, "/blog")).body == b"index"
        assert (await asked(app, "/blog/posts/7")).body == b"/blog/posts/8"
        assert str(app.url_for("blog.index")) == "/blog"
        assert [(route.path, route.name) for route in app.routes] == [
            ("/blog", "blog.index"),
            ("/blog/posts/{id:int}", "blog.post"),
        ]

    async def test_a_prefix_may_have_parameters(self) -> None:
        group: Group[Any] = Group("/users/{user}")

        @group.get("/posts/{id:int}")
        async def post(request: Request, id: int, user: str) -> Response:
            return Response(f"{user} {id}")

        assert (await asked(including(group), "/users/me/posts/7")).body == b"me 7"

    async def test_groups_in_groups(self) -> None:
        outer: Group[Any] = Group("/api/{version:int}", name="api")
        outer.include(blog())
        app = including(outer)
        assert str(app.url_for("api.blog.post", version=1, id=2)) == "/api/1/blog/posts/2"

    async def test_a_group_may_be_included_twice_with_distinct_names(self) -> None:
        group = blog()
        app = including(group)
        app.include(group, prefix="/old", name="old")
        assert str(app.url_for("blog.index")) == "/blog"
        assert str(app.url_for("old.index")) == "/old/blog"

    def test_and_is_refused_with_the_same(self) -> None:
        group = blog()
        app = including(group)
        with pytest.raises(RegistrationError, match=r"the name 'blog.index' is that of '/blog'"):
            app.include(group, prefix="/old")

    async def test_a_group_without_name_or_prefix_adds_none(self) -> None:
        group: Group[Any] = Group()
        group.get("/a", name="a")(show)
        group.get("/b")(show)
        app = including(group)
        assert str(app.url_for("a")) == "/a"
        assert app.routes[1].name is None

    async def test_every_decorator_and_mounts_and_websockets(self) -> None:
        group: Group[Any] = Group("/g")
        for method in ("get", "post", "put", "patch", "delete", "head", "options"):
            getattr(group, method)(f"/{method}", name=method, max_body_size=5)(show)

        @group.websocket("/ws")
        async def ws(ws: WebSocket) -> None:
            async with ws:
                pass

        group.mount("/m", Application())
        app = including(group)
        assert {method for route in app.routes for method in route.methods} == {
            *("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "websocket", "mount")
        }
        assert [route.max_body_size for route in app.routes][:7] == [5] * 7
        server = ScriptedServer(disconnect(), scope=websocket_scope("/g/ws"))
        assert (await server.run(app)).types == ["accept", "close"]

    async def test_converters_of_the_application_can_be_used(self) -> None:
        group: Group[Any] = Group("/{id:hex}")
        group.get("/")(show_post)
        app = Application[Any]()
        app.router.add_converter(Converter("hex", int, lambda text: int(text, 16)))
        app.include(group)
        assert (await asked(app, "/ff/")).body == b"post 255"


class TestRefusals:
    @pytest.mark.parametrize("prefix", ["blog", "/blog/", "/"])
    def test_prefixes_that_cannot_be(self, prefix: str) -> None:
        for register in (
            lambda: Group(prefix),
            lambda: Group[Any]().include(Group(), prefix=prefix),
            lambda: Application[Any]().include(Group(), prefix=prefix),
        ):
            with pytest.raises(RegistrationError, match="write it as '/blog'"):
                register()

    def test_an_application_is_mounted_and_not_included(self) -> None:
        for includer in (Application[Any](), Group[Any]()):
            with pytest.raises(
                RegistrationError, match=r"is no Group; an application is mounted: app\.mount\("
            ):
                includer.include(Application())  # type: ignore[arg-type]  # that is the point

    def test_mistakes_name_the_handlers_place(self) -> None:
        group: Group[Any] = Group("/blog")
        group.get("/posts/{number:int}")(show_post)
        line = inspect.getsourcelines(show_post)[1]
        with pytest.raises(RegistrationError, match=rf"{__file__}:{line} show_post: path '/blog/posts/"):
            including(group)

    def test_a_path_in_a_group_starts_with_a_slash_too(self) -> None:
        group: Group[Any] = Group("/blog")
        group.get("posts")(show)
        with pytest.raises(RegistrationError, match="starts with '/'"):
            including(group)

    def test_the_same_path_in_two_groups(self) -> None:
        with pytest.raises(RegistrationError, match="GET '/blog' is registered already"):
            including(blog(), blog(name="other"))

    def test_what_comes_after_the_inclusion_is_not_lost_in_silence(self) -> None:
        group = blog()
        including(group)
        with pytest.raises(RegistrationError, match="was included already"):
            group.get("/more")(show)
        with pytest.raises(RegistrationError, match="was included already"):
            group.include(Group())

    def test_middlewares_and_error_handlers_of_the_wrong_shape(self) -> None:
        with pytest.raises(RegistrationError, match="the request and the handler"):
            Group(middlewares=[show])  # type: ignore[list-item]  # that is the point
        with pytest.raises(RegistrationError, match="the request and the exception"):
            Group(error_handlers={KeyError: show})  # type: ignore[dict-item]  # that is the point


class TestMiddlewares:
    async def test_they_are_between_the_applications_and_the_routes(self) -> None:
        inner: Group[Any] = Group("/i", middlewares=[marking("3"), marking("4")])
        inner.get("/a", middlewares=[marking("5")])(show)
        outer: Group[Any] = Group("/o", middlewares=[marking("2")])
        outer.include(inner)
        outer.get("/a")(show)
        app = including(outer, middlewares=[marking("1")])
        assert (await asked(app, "/o/i/a")).headers["x-marks"] == "54321"
        assert (await asked(app, "/o/a")).headers["x-marks"] == "21"

    async def test_they_are_around_websockets(self) -> None:
        async def refusing(request: Request, handler: Handler) -> Response:
            raise HTTPForbidden

        group: Group[Any] = Group("/g", middlewares=[refusing])

        @group.websocket("/")
        async def ws(ws: WebSocket) -> None:
            raise AssertionError("never reached")

        server = await ScriptedServer(scope=websocket_scope("/g/")).run(including(group))
        assert server.types == ["close"]


class TestErrorHandlers:
    async def test_they_answer_what_the_groups_routes_raise_inside_of_its_middlewares(self) -> None:
        group: Group[Any] = Group(
            "/g", middlewares=[marking("g")], error_handlers={KeyError: answering("group")}
        )
        group.get("/a")(fail)
        app = including(group, middlewares=[marking("a")])
        app.router.add_get("/a", fail)
        exchange = await asked(app, "/g/a")
        assert (exchange.status, exchange.body) == (400, b"group: KeyError('key')")
        assert exchange.headers["x-marks"] == "ga"
        assert (await asked(app, "/a")).status == 500

    async def test_the_nearest_comes_first_and_then_those_further_out(self) -> None:
        inner: Group[Any] = Group("/i", error_handlers={KeyError: answering("inner")})
        outer: Group[Any] = Group(
            "/o", error_handlers={LookupError: answering("outer"), 404: answering("outer 404")}
        )
        inner.get("/key")(fail)

        @inner.get("/index")
        async def index(request: Request) -> Response:
            raise IndexError("index")

        @inner.get("/missing")
        async def missing(request: Request) -> Response:
            raise HTTPNotFound("missing")

        @inner.get("/type")
        async def wrong_type(request: Request) -> Response:
            raise TypeError("type")

        outer.include(inner)
        app = including(outer, error_handlers={Exception: answering("app"), KeyError: answering("app")})
        async with client_of(app) as client:
            answers = {
                path: (await client.get(f"/o/i/{path}")).text for path in ("key", "index", "missing", "type")
            }
            nowhere = (await client.get("/o/i/nowhere")).text
        assert answers == {
            "key": "inner: KeyError('key')",
            "index": "outer: IndexError('index')",
            "missing": "outer 404: HTTPNotFound('missing')",
            "type": "app: TypeError('type')",
        }
        # No route was found, so it is in no group.
        assert nowhere == "app: HTTPNotFound('')"

    async def test_they_see_what_the_middlewares_of_their_routes_and_inner_groups_raise(self) -> None:
        async def raising(request: Request, handler: Handler) -> Response:
            raise KeyError("middleware")

        inner: Group[Any] = Group("/i", middlewares=[raising], error_handlers={KeyError: answering("inner")})
        inner.get("/a")(show)
        outer: Group[Any] = Group("/o", error_handlers={KeyError: answering("outer")})
        outer.include(inner)
        outer.get("/a", middlewares=[raising])(show)
        app = including(outer)
        assert (await asked(app, "/o/i/a")).body == b"outer: KeyError('middleware')"
        assert (await asked(app, "/o/a")).body == b"outer: KeyError('middleware')"

    async def test_what_the_groups_own_middlewares_raise_is_for_those_further_out(self) -> None:
        async def raising(request: Request, handler: Handler) -> Response:
            raise KeyError("middleware")

        group: Group[Any] = Group(
            "/g", middlewares=[marking("g"), raising], error_handlers={KeyError: answering("group")}
        )
        group.get("/a")(show)
        app = including(group, error_handlers={KeyError: answering("app")})
        exchange = await asked(app, "/g/a")
        assert (exchange.body, exchange.headers["x-marks"]) == (b"app: KeyError('middleware')", "g")

    async def test_status_500_answers_faults_which_are_logged_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        group: Group[Any] = Group("/g", error_handlers={500: answering("sorry")})
        group.get("/a")(fail)
        assert (await asked(including(group), "/g/a")).body == b"sorry: KeyError('key')"
        assert len(caplog.records) == 1

    async def test_a_disconnect_is_nobodys_to_answer(self) -> None:
        async def leaving(request: Request) -> Response:
            raise ClientDisconnected("gone")

        group: Group[Any] = Group("/g", error_handlers={Exception: answering("group")})
        group.get("/a")(leaving)
        assert (await asked(including(group), "/g/a")).sent == []


class TestHosts:
    async def test_the_nearest_host_counts(self) -> None:
        outer: Group[Any] = Group(host="a.example")
        inner: Group[Any] = Group(host="b.example")
        outer.get("/")(show)
        inner.get("/")(show)
        inner.get("/c", host="c.example")(show)
        outer.include(inner)
        assert [(route.path, route.host) for route in including(outer).routes] == [
            ("/", "a.example"),
            ("/", "b.example"),
            ("/c", "c.example"),
        ]

    async def test_parameters_of_the_host_and_the_prefix(self) -> None:
        group: Group[Any] = Group("/{id:int}", host="{tenant}.example.com")

        @group.get("/")
        async def handler(request: Request, tenant: str, id: int) -> Response:
            return Response(f"{tenant} {id}")

        exchange = await asked(including(group), "/7/", headers=[(b"host", b"acme.example.com")])
        assert exchange.body == b"acme 7"
