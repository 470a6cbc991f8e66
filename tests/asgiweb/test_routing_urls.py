"""url_for: what it builds finds its route again, and what it cannot build it refuses."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from yarl import URL

from asgiweb import Converter, Response, Router, UrlError
from asgiweb.request import Request
from tests.asgiweb.exchange import http_scope

ID = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")


class Size(str, Enum):  # noqa: UP042  # str() of a StrEnum would be its value
    SMALL = "small"


class Count(int, Enum):
    TWO = 2


async def handler(request: Request) -> Response:
    return Response()


def router(path: str) -> Router:
    router = Router()
    router.add_get(path, handler, name="it")
    return router


@pytest.mark.parametrize(
    ("path", "parameters", "url"),
    [
        ("/", {}, "/"),
        ("/a/", {}, "/a/"),
        ("/caf\xe9 au lait", {}, "/caf%C3%A9%20au%20lait"),
        ("/{x:int}", {"x": 7}, "/7"),
        ("/{x:int}", {"x": -7}, "/-7"),
        ("/{x:float}", {"x": 1.5}, "/1.5"),
        ("/{x:float}", {"x": 2}, "/2"),
        ("/{x:uuid}", {"x": ID}, f"/{ID}"),
        ("/{x}", {"x": "a b"}, "/a%20b"),
        ("/{x}", {"x": "a/b"}, "/a%2Fb"),
        ("/{x}", {"x": "a?b#c%d"}, "/a%3Fb%23c%25d"),
        ("/{x}", {"x": "\u20ac"}, "/%E2%82%AC"),
        ("/{x}", {"x": "a@b:c;d=e,f+g"}, "/a@b:c;d=e,f+g"),
        ("/{x}", {"x": "..."}, "/..."),
        ("/{x}", {"x": Size.SMALL}, "/small"),
        ("/{x:regex([a-z]+)}", {"x": Size.SMALL}, "/small"),
        ("/{x:int}", {"x": Count.TWO}, "/2"),
        ("/f/{x:path}", {"x": "a b/c"}, "/f/a%20b/c"),
        ("/f/{x:path}", {"x": Size.SMALL}, "/f/small"),
        ("/f/{x:path}", {"x": ""}, "/f/"),
        ("/{b}/{a:int}", {"a": 1, "b": "x"}, "/x/1"),
    ],
)
def test_a_url_finds_the_route_and_the_parameters_again(
    path: str, parameters: dict[str, Any], url: str
) -> None:
    routes = router(path)
    built = routes.url_for("it", parameters)
    assert isinstance(built, URL)
    assert str(built) == url
    match = routes.resolve(http_scope(built.path, raw_path=built.raw_path.encode()))
    assert match is not None
    assert match[1] == parameters


@pytest.mark.parametrize(
    ("path", "parameters", "message"),
    [
        ("/{x}", {}, "the parameters of '/{x}' are x, not none"),
        ("/{x}", {"y": "a"}, "are x, not y"),
        ("/a", {"x": "a"}, "are none, not x"),
        ("/{x:int}", {"x": "7"}, "takes int"),
        ("/{x:int}", {"x": 7.0}, "takes int"),
        ("/{x:int}", {"x": True}, "takes int"),
        ("/{x:int}", {"x": None}, "takes int"),
        ("/{x:float}", {"x": float("nan")}, "cannot be nan"),
        ("/{x:float}", {"x": float("inf")}, "cannot be inf"),
        ("/{x:float}", {"x": 1e300}, "cannot be 1e+300"),
        ("/{x:uuid}", {"x": str(ID)}, "takes UUID"),
        ("/{x}", {"x": 7}, "takes str"),
        ("/{x}", {"x": ""}, "cannot be ''"),
        ("/{x}", {"x": "."}, "no path is read as that"),
        ("/{x}", {"x": ".."}, "no path is read as that"),
        ("/{x}", {"x": "a\ud800"}, "no path is read as that"),
        ("/f/{x:path}", {"x": "a/\udcff"}, "no path is read as that"),
        ("/{x:date}", {"x": datetime(2026, 1, 31, 12)}, "no path is read as that"),
        ("/f/{x:path}", {"x": "a/../b"}, "no path is read as that"),
        ("/{x:path}", {"x": "/example.org"}, "two slashes"),
    ],
)
def test_what_would_not_be_found_again_is_refused(
    path: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(UrlError) as caught:
        router(path).url_for("it", parameters)
    assert message in str(caught.value)


def test_an_unknown_name_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(UrlError, match="no route has this name; there are it"):
        router("/").url_for("that", {})


def test_the_prefix_of_the_mount_comes_first() -> None:
    routes = router("/{x}")
    assert str(routes.url_for("it", {"x": "a"}, root_path="/api")) == "/api/a"
    assert str(routes.url_for("it", {"x": "a"}, root_path="/caf\xe9/")) == "/caf%C3%A9/a"


class Colour(Enum):
    RED = "red"


def test_a_converter_of_ones_own_writes_its_values() -> None:
    routes = Router()
    routes.add_converter(Converter("colour", Colour, Colour, lambda colour: str(colour.value)))
    routes.add_get("/{x:colour}", handler, name="it")
    assert str(routes.url_for("it", {"x": Colour.RED})) == "/red"
    with pytest.raises(UrlError, match="takes Colour"):
        routes.url_for("it", {"x": "red"})


def test_bool_is_refused_for_int_but_not_for_a_converter_of_bool() -> None:
    routes = Router()
    switch = Converter(
        "switch", bool, {"off": False, "on": True}.__getitem__, lambda on: "on" if on else "off"
    )
    routes.add_converter(switch)
    routes.add_get("/{x:switch}", handler, name="it")
    assert str(routes.url_for("it", {"x": True})) == "/on"
