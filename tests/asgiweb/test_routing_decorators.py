"""The decorators: one for each method, and functions that stay what they are."""

from __future__ import annotations

from typing import Any

import pytest

from asgiweb import Application, Group, RegistrationError, Response, WebSocket
from asgiweb.request import Request
from tests.asgiweb.exchange import http_scope


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_each_method_has_a_decorator(method: str) -> None:
    routes = Application[None]()

    @getattr(routes, method)("/a", name="it", max_body_size=5)  # type: ignore[untyped-decorator]  # by name
    async def handler(request: Request[None]) -> Response:
        return Response()

    match = routes.router.resolve(http_scope("/a", method.upper()))
    assert match is not None
    assert match[0].handler is handler
    assert (match[0].methods, match[0].name, match[0].max_body_size) == ((method.upper(),), "it", 5)


def test_a_function_is_given_back_and_can_be_registered_again() -> None:
    app = Application()

    @app.get("/posts")
    @app.route("/posts/{page:int}", methods=["GET", "POST"])
    async def posts(request: Request, page: int = 1) -> Response:
        return Response(str(page))

    assert [(route.path, route.methods) for route in app.router.routes] == [
        ("/posts/{page:int}", ("GET", "POST")),
        ("/posts", ("GET",)),
    ]
    assert all(route.handler is posts for route in app.router.routes)


@pytest.mark.parametrize("decorator", ["get", "post", "route", "websocket", "error_handler"])
def test_a_decorator_without_its_parentheses_is_refused(decorator: str) -> None:
    """It would take the function for its argument, and nothing would be registered."""

    async def handler(request: Request) -> Response:
        return Response()

    with pytest.raises(RegistrationError, match=r"test_routing_decorators.py:\d+ .*handler: .*@app\."):
        getattr(Application(), decorator)(handler)


def test_methods_may_be_an_iterator() -> None:
    app = Application()
    register = app.route("/a", methods=iter(["GET"]))

    @register
    async def handler(request: Request) -> Response:
        return Response()

    assert app.router.routes[0].methods == ("GET",)


@pytest.mark.parametrize("register", [Application().route, Group[None]().route])
def test_methods_are_not_one_text(register: Any) -> None:
    """It would be taken for a list of methods that are called "G", "E" and "T"."""

    async def handler(request: Request) -> Response:
        return Response()

    with pytest.raises(RegistrationError, match=r"such as \['GET', 'POST'\], not 'GET'"):
        register("/a", methods="GET")(handler)


def test_an_option_that_there_is_not_is_refused() -> None:
    """What is misspelt may be what keeps others out."""

    async def handler(request: Request) -> Response:
        return Response()

    async def talk(ws: WebSocket) -> None: ...

    app: Any = Application()
    group: Any = Group()
    group.get("/a", middleware=[])(handler)
    known = "form_limits, host, max_body_size, middlewares, name"
    cases: list[tuple[Any, str]] = [
        (lambda: app.get("/a", middleware=[])(handler), known),
        (lambda: app.router.add_get("/a", handler, middleware=[]), known),
        (lambda: app.include(group), known),
        (lambda: app.websocket("/a", max_body_size=5)(talk), "host, middlewares, name"),
        (lambda: app.mount("/a", Application(), methods=["GET"]), "host, middlewares, name"),
    ]
    for register, there in cases:
        with pytest.raises(RegistrationError, match=rf"'/a': there is no option '\w+'; there are {there}"):
            register()
    assert app.routes == ()
