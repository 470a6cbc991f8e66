"""JSON into a model: what does not fit is answered with where it is (RFC 9457, RFC 6901)."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Number
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
import pytest

from asgiweb import (
    Application,
    HTTPBadRequest,
    HTTPUnprocessableContent,
    HTTPUnsupportedMediaType,
    Request,
    Response,
    json_response,
)
from asgiweb.models import NotJSON, decode_json, explain, is_json, json_pointer
from tests.asgiweb.exchange import Exchange, client_of, http_scope


class Item(msgspec.Struct):
    price: int


class Order(msgspec.Struct, rename="camel"):
    items: list[Item] = []
    by_name: dict[str, list[Item]] = {}
    by_number: dict[int, int] = {}
    amount: Annotated[int, msgspec.Meta(ge=1)] = 1


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    name: str = ""

    def __post_init__(self) -> None:
        if self.name == "root":
            raise ValueError("this name is taken")


@dataclass
class Point:
    x: int
    y: int = 0


class Named(TypedDict):
    name: str


def request_of(body: bytes, content_type: str | None = "application/json") -> Request[Any]:
    headers = [(b"content-length", b"%d" % len(body))]
    if content_type is not None:
        headers.append((b"content-type", content_type.encode()))
    exchange = Exchange(http_scope(method="POST", headers=headers), body=[body])
    return Request(Application(), exchange.scope, exchange.receive, None, {})


@pytest.mark.parametrize(
    ("body", "model", "expected"),
    [
        (b'{"items": [{"price": 1}]}', Order, Order([Item(1)])),
        (b'{"x": 1}', Point, Point(1)),
        (b'{"name": "a"}', Named, {"name": "a"}),
        (b'[{"x": 1}]', list[Point], [Point(1)]),
        (b"[1, 2]", tuple[int, int], (1, 2)),
        (b'{"a": 1}', dict[str, int], {"a": 1}),
        (b"null", Point | None, None),
        (b"[1]", Annotated[list[int], []], [1]),
        (b"[1]", Any, [1]),
    ],
)
async def test_json_becomes_whatever_msgspec_knows(body: bytes, model: Any, expected: object) -> None:
    assert await request_of(body).json(model) == expected


async def test_a_body_can_be_read_into_several_models() -> None:
    request = request_of(b'{"x": 1}')
    assert await request.json(Point) == Point(1)
    assert await request.json() == {"x": 1}


@pytest.mark.parametrize(
    ("body", "model", "detail", "pointer"),
    [
        (b'{"items": [{"price": "1"}]}', Order, "Expected `int`, got `str`", "#/items/0/price"),
        (b'{"items": [{"price": 1}, {}]}', Order, "Missing", "#/items/1/price"),
        (b"[]", Order, "Expected `object`, got `array`", "#"),
        (b"{}", Point, "Missing", "#/x"),
        (b'{"amount": 0}', Order, "Expected `int` >= 1", "#/amount"),
        (
            b'{"byName": {"a": [{"price": ""}]}}',
            Order,
            "Expected `int`, got `str`, in one of the values",
            "#/byName",
        ),
        (b'{"byNumber": {"a": 1}}', Order, "Expected `int`, got `str`, as a key", "#/byNumber"),
        (b'{"nme": "a"}', Strict, "Unknown", "#/nme"),
        (b'{"a/b~ c%": 1}', Strict, "Unknown", "#/a~1b~0%20c%25"),
        (b'{"name": "root"}', Strict, "this name is taken", "#"),
        (b'[{"name": "root"}]', list[Strict], "this name is taken", "#/0"),
        (b"[" + b"1" * 5000 + b"]", list[Any], "Integer value out of range", "#/0"),
    ],
)
async def test_what_does_not_fit_is_said_with_a_json_pointer(
    body: bytes, model: Any, detail: str, pointer: str
) -> None:
    with pytest.raises(HTTPUnprocessableContent) as caught:
        await request_of(body).json(model)
    assert caught.value.members == {"errors": [{"detail": detail, "pointer": pointer}]}
    # Who gets text has only this.
    assert caught.value.detail.endswith(f"{detail}, at {pointer}")


@pytest.mark.parametrize("model", [Any, Order])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"items": [', b"nul", b'{"a": [}'])
async def test_what_is_no_json_is_a_bad_request(body: bytes, model: Any) -> None:
    with pytest.raises(HTTPBadRequest, match="JSON"):
        await request_of(body).json(model)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/problem+json", True),
        ("application/vnd.api+json;ext=x", True),
        ("text/json", True),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=application/json", False),
        ("application/jsonp", False),
    ],
)
def test_a_type_of_json_is_one_of_these(content_type: str, expected: bool) -> None:
    assert is_json(content_type) is expected


@pytest.mark.parametrize("model", [Any, Point])
async def test_a_body_that_says_it_is_something_else_is_an_unsupported_media_type(model: Any) -> None:
    for content_type in (None, "", "application/json; charset=utf-8"):
        assert await request_of(b'{"x": 1}', content_type).json(model)
    # Pages of other sites may send this type without being asked (the CORS protocol's safelist).
    with pytest.raises(HTTPUnsupportedMediaType, match="application/json"):
        await request_of(b'{"x": 1}', "text/plain;charset=UTF-8").json(model)


async def test_a_model_that_msgspec_does_not_know_is_a_fault() -> None:
    class Unknown:
        pass

    app = Application()

    @app.post("/")
    async def create(request: Request) -> Response:
        return json_response(await request.json(list[Unknown] | set[Unknown]))

    async with client_of(app) as client:
        assert (await client.post("/", json=[])).status_code == 500


class Unknown:
    """A class that msgspec makes nothing of, such as a model of another library."""


@dataclass
class Holder:
    unknown: Unknown


@pytest.mark.parametrize(
    ("body", "model"),
    [(b"{}", Unknown), (b"[{}]", list[Unknown]), (b'{"unknown": 1}', Holder), (b'"a"', Path)],
)
async def test_a_class_that_msgspec_does_not_know_is_a_fault_of_the_model(body: bytes, model: Any) -> None:
    name = "Path" if model is Path else "Unknown"
    with pytest.raises(NotImplementedError, match=f"no {name}.*Struct"):
        await request_of(body).json(model)
    with pytest.raises(NotImplementedError):
        decode_json(body, model)


async def test_a_value_that_is_what_an_abstract_class_asks_for_is_taken() -> None:
    numbers: list[Any] = await request_of(b"[1]").json(list[Number])
    assert numbers == [1]
    with pytest.raises(HTTPUnprocessableContent, match="Expected `Number`, got `str`"):
        await request_of(b'["1"]').json(list[Number])


async def test_the_answer_is_422() -> None:
    app = Application()

    @app.post("/")
    async def create(request: Request) -> Response:
        return json_response(await request.json(Item))

    async with client_of(app) as client:
        assert (await client.post("/", json={"price": 1})).json() == {"price": 1}
        assert (await client.post("/", json={"price": "1"})).status_code == 422
        assert (await client.post("/", content=b"{")).status_code == 400
        assert (await client.post("/", data={"x": "1"})).status_code == 415


@pytest.mark.parametrize(
    "message", ["a", "- at ``", "a - at `$`", "a - at `$.`", "a - at `$.a[b]`", "a - at `$[`"]
)
def test_messages_in_another_form_are_kept(message: str) -> None:
    detail, steps = explain(msgspec.ValidationError(message))
    assert detail
    assert steps in ([], ["a"])


def test_a_json_pointer_is_a_fragment() -> None:
    assert json_pointer([]) == "#"
    assert json_pointer(["", "a b", "0", "m~n", "\u20ac"]) == "#//a%20b/0/m~0n/%E2%82%AC"


def test_messages_of_websockets_are_read_in_the_same_way() -> None:
    assert decode_json(b'{"x": 1}', Point) == Point(1)
    with pytest.raises(NotJSON):
        decode_json("{", Point)
    with pytest.raises(msgspec.ValidationError):
        decode_json("{}", Point)
