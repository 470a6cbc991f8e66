"""The router: registration and what it refuses, lookups, methods."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pytest

from asgiweb import Converter, RegistrationError, Response, Router
from asgiweb.request import Request
from tests.asgiweb.exchange import http_scope


async def show(request: Request) -> Response:
    return Response()


async def other(request: Request) -> Response:
    return Response()


async def show_user(request: Request, id: int) -> Response:
    return Response()


def line_of(function: Any) -> str:
    return f"{__file__}:{inspect.getsourcelines(function)[1]}"


def found(
    router: Router, path: str, method: str = "GET", **scope: Any
) -> tuple[str, Mapping[str, Any]] | None:
    match = router.resolve(http_scope(path, method, **scope))
    return None if match is None else (match[0].path, match[1])


def test_a_path_without_parameters_is_found() -> None:
    router = Router()
    route = router.add_get("/a/b", show)
    match = router.resolve(http_scope("/a/b"))
    assert match == (route, {})


def test_parameters_come_converted_by_name() -> None:
    router = Router()
    router.add_get("/{kind}/{id:int}", show_user)
    assert found(router, "/users/7") == ("/{kind}/{id:int}", {"kind": "users", "id": 7})


@pytest.mark.parametrize("path", ["/", "/a/", "/A", "/a/b", "/ a", "", "*", "a"])
def test_other_paths_are_not_found(path: str) -> None:
    router = Router()
    router.add_get("/a", show)
    assert found(router, path) is None


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_each_method_has_a_function_to_register_it(method: str) -> None:
    router = Router()
    route = getattr(router, f"add_{method}")("/a", show, name="it")
    assert route.methods == (method.upper(),)
    assert found(router, "/a", method.upper()) == ("/a", {})
    assert str(router.url_for("it", {})) == "/a"


def test_a_route_may_have_several_methods_and_others_than_the_usual() -> None:
    router = Router()
    route = router.add_route("/a", show, methods=["PROPFIND", "GET", "M-SEARCH"])
    assert route.methods == ("GET", "M-SEARCH", "PROPFIND")
    assert found(router, "/a", "M-SEARCH") == ("/a", {})


def test_get_answers_head() -> None:
    router = Router()
    router.add_get("/a", show)
    assert found(router, "/a", "HEAD") == ("/a", {})


@pytest.mark.parametrize("head_first", [True, False])
def test_head_may_have_a_handler_of_its_own(head_first: bool) -> None:
    router = Router()
    for add in (router.add_head, router.add_get) if head_first else (router.add_get, router.add_head):
        add("/a", show if add == router.add_get else other)
    match = router.resolve(http_scope("/a", "HEAD"))
    assert match is not None
    assert match[0].handler is other


def test_the_allowed_methods_are_those_of_every_route_sorted() -> None:
    router = Router()
    router.add_put("/a/b", show)
    router.add_post("/a/{x}", show)
    router.add_get("/{x:path}", show)
    assert router.allowed_methods(http_scope("/a/b")) == ["GET", "HEAD", "OPTIONS", "POST", "PUT"]
    assert router.allowed_methods(http_scope("/a/c")) == ["GET", "HEAD", "OPTIONS", "POST"]


def test_nothing_is_allowed_where_nothing_is() -> None:
    router = Router()
    router.add_get("/a", show)
    assert router.allowed_methods(http_scope("/b")) == []


def test_a_less_specific_route_answers_a_method_that_the_specific_one_has_not() -> None:
    router = Router()
    router.add_get("/users/me", show)
    router.add_post("/users/{name}", show)
    assert found(router, "/users/me", "POST") == ("/users/{name}", {"name": "me"})


def test_an_encoded_slash_stays_in_its_segment() -> None:
    router = Router()
    router.add_get("/a/b", show)
    router.add_get("/{x}", show)
    assert found(router, "/a/b", raw_path=b"/a%2Fb") == ("/{x}", {"x": "a/b"})
    assert found(router, "/a/b", raw_path=b"/a/b") == ("/a/b", {})


def test_other_encoded_characters_are_decoded() -> None:
    router = Router()
    router.add_get("/a b/{x}", show)
    assert found(router, "/a b/%", raw_path=b"/a%20b/%25") == ("/a b/{x}", {"x": "%"})


def test_routes_are_below_the_prefix_that_the_application_is_mounted_at() -> None:
    router = Router()
    router.add_get("/a", show)
    router.add_get("/", show)
    assert found(router, "/api/a", root_path="/api") == ("/a", {})
    assert found(router, "/api", root_path="/api") == ("/", {})
    assert found(router, "/api/a") is None


def test_a_path_that_is_called_like_the_prefix_is_not_mistaken_for_it() -> None:
    router = Router()
    router.add_get("/api/a", show)
    assert found(router, "/api/a", root_path="/api") is None
    assert found(router, "/api/api/a", root_path="/api") == ("/api/a", {})


def test_the_same_route_twice_is_refused_with_both_places() -> None:
    router = Router()
    router.add_get("/a/{x}", show)
    with pytest.raises(RegistrationError) as caught:
        router.add_route("/a/{x}", other, methods=["GET", "POST"])
    assert line_of(show) in str(caught.value)
    assert line_of(other) in str(caught.value)


def test_the_same_shape_with_another_parameter_name_is_the_same_route() -> None:
    router = Router()
    router.add_get("/a/{x:int}", show)
    with pytest.raises(
        RegistrationError, match=r"GET '/a/\{y:int\}' is registered already, as '/a/\{x:int\}'"
    ):
        router.add_get("/a/{y:int}", other)


def test_a_refused_route_leaves_nothing_behind() -> None:
    router = Router()
    router.add_get("/a", show, name="it")
    for path, name in (("/a", "new"), ("/b", "it")):
        with pytest.raises(RegistrationError):
            router.add_route(path, other, methods=["GET", "POST"], name=name)
    assert [route.path for route in router.routes] == ["/a"]
    assert found(router, "/a", "POST") is None
    assert found(router, "/b") is None
    router.add_get("/new", other, name="new")


def test_routes_that_differ_in_method_or_converter_are_two() -> None:
    router = Router()
    router.add_get("/a/{x:int}", show)
    router.add_post("/a/{y:int}", show)
    router.add_get("/a/{y}", show)
    assert found(router, "/a/7", "POST") == ("/a/{y:int}", {"y": 7})
    assert len(router.routes) == 3


def test_a_name_is_given_once() -> None:
    router = Router()
    router.add_get("/a", show, name="it")
    with pytest.raises(RegistrationError, match="the name 'it' is that of '/a'") as caught:
        router.add_get("/b", other, name="it")
    assert line_of(show) in str(caught.value)


def test_a_mistake_in_the_path_is_told_with_the_handlers_place() -> None:
    with pytest.raises(RegistrationError) as caught:
        Router().add_get("/{x:integer}", show)
    assert line_of(show) in str(caught.value)
    assert "'/{x:integer}'" in str(caught.value)


@pytest.mark.parametrize("methods", ["GET", [], ["get"], ["GET", ""], ["G ET"], ["GET\n"]])
def test_methods_are_a_list_of_names_in_capitals(methods: Any) -> None:
    with pytest.raises(RegistrationError, match="capitals"):
        Router().add_route("/", show, methods=methods)


def test_a_middleware_of_the_wrong_shape_is_refused() -> None:
    async def middleware(request: Request) -> Response:
        return Response()

    with pytest.raises(RegistrationError, match="the request and the handler"):
        Router().add_get("/", show, middlewares=[middleware])  # type: ignore[list-item]  # that is the point


def test_converters_can_be_added() -> None:
    router = Router()
    router.add_converter(Converter("hex", int, lambda text: int(text, 16)))
    router.add_get("/{id:hex}", show_user)
    assert found(router, "/ff") == ("/{id:hex}", {"id": 255})
    assert found(router, "/xyz") is None


def test_a_converter_is_not_replaced() -> None:
    with pytest.raises(RegistrationError, match="'int'"):
        Router().add_converter(Converter("int", int, int))


def test_routes_show_what_they_are() -> None:
    route = Router().add_route("/a", show, methods=["POST", "GET"])
    assert repr(route) == f"<Route GET POST '/a' at {line_of(show)} show>"
