"""What routers are measured by, row by row: typed parameters, methods, order, slashes, all of it at once.

One application has routes of every kind together, so that each row holds beside all others.
"""

from __future__ import annotations

import enum
import inspect
import json
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse
from starlette.routing import Route as StarletteRoute

from asgiweb import Application, Converter, RegistrationError, Request, Response, UrlError, json_response
from tests.asgiweb.exchange import Exchange, http_scope

ROOT = Path(__file__).parents[2]
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


async def answer(request: Request) -> Response:
    route = request.route
    assert route is not None
    values = {name: repr(value) for name, value in request.match_info.items()}
    return json_response({"route": route.path, "method": request.method, **values})


async def in_starlette(request: StarletteRequest) -> PlainTextResponse:
    return PlainTextResponse(f"{request.scope['root_path']} {request.path_params['id']}")


#: In an order that would be wrong everywhere where order decides.
PATHS = [
    "/all/{rest:path}",
    "/t/str/{x}",
    "/t/int/{x:int}",
    "/t/float/{x:float}",
    "/t/uuid/{x:uuid}",
    "/t/date/{x:date}",
    "/t/datetime/{x:datetime}",
    "/t/color/{x:color}",
    "/t/hex/{x:hex}",
    "/t/regex/{x:regex([A-Z]{3}-?[0-9]+)}",
    "/o/{x}/edit",
    "/o/new/{y}/save",
    "/s/{x}",
    "/s/static",
    "/p/{x}",
    "/p/{x:int}",
    "/b/{rest:path}",
    "/b/{x}/hello",
    "/items",
]


def build(shuffled: int = 0) -> Application[Any]:
    app: Application[Any] = Application()
    app.router.add_converter(Converter.enum(Color))
    app.router.add_converter(Converter("hex", int, lambda text: int(text, 16), "{:x}".format))
    registrations: list[Callable[[], object]] = [partial(app.router.add_get, path, answer) for path in PATHS]
    registrations += [
        lambda: app.router.add_post("/items", answer),
        lambda: app.router.add_get("/h", answer),
        lambda: app.router.add_get("/h", answer, host="{tenant}.example.com", name="tenant"),
        lambda: app.router.add_get("/u/{x:int}/{y}", answer, name="it"),
        lambda: app.mount("/m", Starlette(routes=[StarletteRoute("/{id:int}", in_starlette)])),
    ]
    random.Random(shuffled).shuffle(registrations)
    for register in registrations:
        register()
    return app


@pytest.fixture(params=range(4), ids="order {}".format)
def app(request: pytest.FixtureRequest) -> Application[Any]:
    return build(request.param)


async def asked(app: Application[Any], path: str, method: str = "GET", **changes: Any) -> Exchange:
    return await Exchange(http_scope(path, method, **changes)).run(app)


async def found(app: Application[Any], path: str, **changes: Any) -> tuple[str, str | None]:
    body = (await asked(app, path, **changes)).body.decode()
    values = json.loads(body)
    return values["route"], values.get("x", values.get("rest", values.get("y")))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("str", "caf\xe9", "caf\xe9"),
        ("int", "-7", -7),
        ("float", "1.5", 1.5),
        ("uuid", ID, UUID(ID)),
        ("date", "2026-01-31", date(2026, 1, 31)),
        ("datetime", "2026-01-31T12:30:00Z", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
    ],
)
async def test_typed_params(app: Application[Any], kind: str, text: str, value: object) -> None:
    assert (await found(app, f"/t/{kind}/{text}"))[1] == repr(value)
    if kind != "str":
        assert (await asked(app, f"/t/{kind}/other")).status == 404


async def test_custom_converters(app: Application[Any]) -> None:
    assert (await found(app, "/t/hex/ff"))[1] == "255"
    assert (await found(app, "/t/color/red"))[1] == repr(Color.RED)
    assert (await asked(app, "/t/color/blue")).status == 404


async def test_inline_regex(app: Application[Any]) -> None:
    assert (await found(app, "/t/regex/ABC-12"))[1] == "'ABC-12'"
    for path in ("/t/regex/ABCD-12", "/t/regex/ABC-12x", "/t/regex/xABC-12"):
        assert (await asked(app, path)).status == 404


async def test_catch_all(app: Application[Any]) -> None:
    assert (await found(app, "/all/a/b//c"))[1] == "'a/b//c'"
    assert (await found(app, "/all/"))[1] == "''"


async def test_host_routing(app: Application[Any]) -> None:
    bound = await asked(app, "/h", headers=[(b"host", b"Acme.example.com:8000")])
    assert b'"tenant":"\'acme\'"' in bound.body
    assert b"tenant" not in (await asked(app, "/h")).body


async def test_mount_asgi_app(app: Application[Any]) -> None:
    assert (await asked(app, "/m/7")).body == b"/m 7"


def test_reverse_urls(app: Application[Any]) -> None:
    assert str(app.url_for("it", x=7, y="a/b c")) == "/u/7/a%2Fb%20c"
    assert str(app.url_for("tenant", tenant="acme")) == "//acme.example.com/h"
    for parameters in ({"x": "7", "y": "a"}, {"x": 7}, {"x": 7, "y": "a", "z": 1}, {"x": 7, "y": ".."}):
        with pytest.raises(UrlError):
            app.url_for("it", **parameters)


async def test_complaint_5_405_with_the_complete_allow_and_head_and_options(app: Application[Any]) -> None:
    for method, status in {"DELETE": 405, "PATCH": 405, "OPTIONS": 204}.items():
        exchange = await asked(app, "/items", method)
        assert (exchange.status, exchange.headers["allow"]) == (status, "GET, HEAD, OPTIONS, POST")
    head = await asked(app, "/items", "HEAD")
    assert (head.status, head.body) == (200, b"")


async def test_405_and_complete_allow(app: Application[Any]) -> None:
    exchange = await asked(app, "/items", "DELETE")
    assert (exchange.status, exchange.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")


async def test_head_on_a_get_route(app: Application[Any]) -> None:
    exchange = await asked(app, "/items", "HEAD")
    assert (exchange.status, exchange.body) == (200, b"")
    assert int(exchange.headers["content-length"]) > 0


async def test_options_automatic(app: Application[Any]) -> None:
    exchange = await asked(app, "/items", "OPTIONS")
    assert (exchange.status, exchange.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


async def test_complaint_7_a_trailing_slash_is_redirected_relative_with_308(app: Application[Any]) -> None:
    headers = [(b"host", b"test"), (b"x-forwarded-proto", b"https")]
    exchange = await asked(app, "/items/", query_string=b"a=1", headers=headers)
    assert (exchange.status, exchange.headers["location"]) == (308, "/items?a=1")


async def test_trailing_slash(app: Application[Any]) -> None:
    assert (await asked(app, "/items/")).status == 308
    app.trailing_slash = "strict"
    assert (await asked(app, "/items/")).status == 404
    app.trailing_slash = "ignore"
    assert (await asked(app, "/items/")).status == 200


async def test_static_beats_param_whatever_the_order(app: Application[Any]) -> None:
    assert (await found(app, "/s/static"))[0] == "/s/static"
    assert await found(app, "/s/other") == ("/s/{x}", "'other'")


async def test_int_beside_str_at_one_place(app: Application[Any]) -> None:
    assert await found(app, "/p/7") == ("/p/{x:int}", "7")
    assert await found(app, "/p/seven") == ("/p/{x}", "'seven'")


async def test_backtracking(app: Application[Any]) -> None:
    assert await found(app, "/o/new/edit") == ("/o/{x}/edit", "'new'")
    assert await found(app, "/o/new/1/save") == ("/o/new/{y}/save", "'1'")


async def test_a_route_beside_a_catch_all(app: Application[Any]) -> None:
    assert await found(app, "/b/a/hello") == ("/b/{x}/hello", "'a'")
    assert await found(app, "/b/a/bye") == ("/b/{rest:path}", "'a/bye'")


async def test_complaint_6_no_order_changes_what_is_found_and_duplicates_name_both_places(
    app: Application[Any],
) -> None:
    paths = ("/s/static", "/p/7", "/p/x", "/o/new/edit", "/b/a/hello", "/b/a/x", "/t/hex/ff")
    assert [await found(app, path) for path in paths] == [await found(build(), path) for path in paths]
    with pytest.raises(RegistrationError) as caught:
        app.router.add_get("/p/{number:int}", answer)
    assert str(caught.value).count(f"{__file__}:{inspect.getsourcelines(answer)[1]}") == 2


def test_duplicate_route_detected(app: Application[Any]) -> None:
    with pytest.raises(RegistrationError, match="registered already"):
        app.router.add_get("/items", answer)


def test_same_shape_other_param_name(app: Application[Any]) -> None:
    with pytest.raises(RegistrationError, match=r"as '/p/\{x:int\}' at"):
        app.router.add_get("/p/{y:int}", answer)


async def test_complaint_8_an_encoded_slash_is_part_of_its_parameter(app: Application[Any]) -> None:
    assert await found(app, "/s/a/b", raw_path=b"/s/a%2Fb") == ("/s/{x}", "'a/b'")
    assert await found(app, "/s/a/b", raw_path=b"/s/a%2fb") == ("/s/{x}", "'a/b'")
    assert (await asked(app, "/s/a/b", raw_path=b"/s/a/b")).status == 404


async def test_an_encoded_slash_inside_a_param(app: Application[Any]) -> None:
    assert (await found(app, "/p/a/b", raw_path=b"/p/a%2Fb"))[1] == "'a/b'"


def test_route_listing(app: Application[Any]) -> None:
    assert {*PATHS, "/items", "/m"} <= {route.path for route in app.routes}
    command = [sys.executable, "-m", "asgiweb", "routes", "examples.hello:app"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert "/squares/{number:int}" in listing
