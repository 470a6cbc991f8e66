"""Queries and forms into models: texts are converted, and what does not fit is named."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from urllib.parse import urlencode
from uuid import UUID

import msgspec
import pytest

from asgiweb import Application, HTTPUnprocessableContent, Request, Response, json_response
from tests.asgiweb.exchange import Exchange, client_of, http_scope


class Color(Enum):
    RED = "red"
    NONE = ""


class Level(IntEnum):
    LOW = 1


class Search(msgspec.Struct):
    q: str
    page: int = 1
    tags: list[str] = []
    ids: set[int] = set()
    exact: bool = False


@dataclass
class Dates:
    day: date | None = None
    moment: datetime | None = None
    ids: tuple[int, ...] = field(default_factory=tuple)


class Typed(TypedDict):
    name: NotRequired[str]
    size: NotRequired[Annotated[int, msgspec.Meta(ge=0)] | None]


class Everything(msgspec.Struct, rename="kebab", omit_defaults=True):
    color: Color = Color.RED
    level: Level = Level.LOW
    sort: Literal["up", "down"] = "up"
    ratio: float = 0.0
    price: Decimal = Decimal(0)
    key: UUID = UUID(int=0)
    any_thing: Any = None
    maybe: int | None = 7
    text: str | None = None
    sure: bool | None = None


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    a: int = 0


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    walks: list[int]


def query(model: Any, text: str) -> Any:
    exchange = Exchange(http_scope(query_string=text.encode()))
    return Request(Application(), exchange.scope, exchange.receive, None, {}).query_as(model)


class Range(msgspec.Struct):
    first: int
    last: int

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError("the last is before the first")


def test_what_a_model_finds_wrong_as_a_whole_has_no_name() -> None:
    with pytest.raises(HTTPUnprocessableContent, match="the last is before the first") as caught:
        query(Range, "first=2&last=1")
    assert caught.value.members == {"errors": [{"detail": "the last is before the first"}]}


def mistake(model: Any, text: str) -> tuple[str, str]:
    with pytest.raises(HTTPUnprocessableContent) as caught:
        query(model, text)
    (error,) = caught.value.members["errors"]
    assert set(error) == {"detail", "parameter"}
    return error["parameter"], error["detail"]


@pytest.mark.parametrize(
    ("model", "text", "expected"),
    [
        (Search, "q=a", Search("a")),
        (Search, "q=1&page=2&tags=x&tags=&ids=3&ids=4&exact=true", Search("1", 2, ["x", ""], {3, 4}, True)),
        (Search, "q=&tags=one&other=7&other=8", Search("", tags=["one"])),
        (Dates, "", Dates()),
        (Dates, "day=2026-02-03&moment=2026-02-03T04:05:06Z&ids=1", None),
        (Typed, "", {}),
        (Typed, "name=a&size=3", {"name": "a", "size": 3}),
        (dict[str, int], "a=1&b=2", {"a": 1, "b": 2}),
        (dict[str, list[int]], "a=1&b=2&a=3", {"a": [1, 3], "b": [2]}),
        (Cat | Dog, "type=cat&lives=7", Cat(7)),
        (Cat | Dog, "type=dog&walks=7&walks=8", Dog([7, 8])),
    ],
)
def test_texts_are_converted(model: Any, text: str, expected: object) -> None:
    if expected is None:
        expected = Dates(date(2026, 2, 3), datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), (1,))
    assert query(model, text) == expected


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("color=red", "color", Color.RED),
        ("color=", "color", Color.NONE),
        ("level=1", "level", Level.LOW),
        ("sort=down", "sort", "down"),
        ("ratio=1.5", "ratio", 1.5),
        ("price=0.10", "price", Decimal("0.10")),
        ("key=00000000-0000-0000-0000-000000000001", "key", UUID(int=1)),
        ("any-thing=x", "any_thing", "x"),
        ("text=null", "text", "null"),
        ("text=", "text", ""),
        ("sure=on", "sure", True),
        ("sure=off", "sure", False),
        ("sure=0", "sure", False),
        ("sure=TRUE", "sure", True),
    ],
)
def test_every_type_has_its_text(text: str, name: str, expected: object) -> None:
    assert getattr(query(Everything, text), name) == expected


def test_an_empty_text_is_nothing_where_no_text_is_wanted() -> None:
    assert query(Everything, "maybe=&level=&sort=&ratio=&sure=&key=") == Everything(maybe=None)
    assert query(Search, "q=a&page=&ids=&ids=1") == Search("a", ids={1})
    assert query(Typed, "size=") == {"size": None}
    assert mistake(Cat, "type=cat&lives=") == ("lives", "Missing")


@pytest.mark.parametrize(
    ("model", "text", "parameter", "detail"),
    [
        (Search, "", "q", "Missing"),
        (Search, "q=a&page=x", "page", "Expected `int`, got `str`"),
        (Search, "q=a&ids=1&ids=x", "ids", "Expected `int`, got `str`"),
        (Search, "q=a&q=b", "q", "Expected one value, got 2"),
        (Search, "q=a&exact=perhaps", "exact", "Expected `bool`, got `str`"),
        (Dates, "day=yesterday", "day", "Invalid RFC3339 encoded date"),
        (Typed, "size=-1", "size", "Expected `int` >= 0"),
        (Everything, "color=blue", "color", "Invalid enum value 'blue'"),
        (Everything, "sort=left", "sort", "Invalid enum value 'left'"),
        (Everything, "ratio=nan", "ratio", "Expected a finite number"),
        (Everything, "price=-Infinity", "price", "Expected a finite number"),
        (Everything, "price=+nan", "price", "Expected a finite number"),
        (Everything, "price=%20NaN%0a", "price", "Expected a finite number"),
        (Everything, "price=-sNaN", "price", "Expected a finite number"),
        (Everything, "price=nan12%D9%A3", "price", "Expected a finite number"),
        (Everything, "price=_i_nf", "price", "Expected a finite number"),
        (Strict, "b=1", "b", "Unknown"),
        (dict[str, int], "a=1&b=x", "b", "Expected `int`, got `str`"),
        (Cat | Dog, "type=cow", "type", "Invalid value 'cow'"),
    ],
)
def test_what_does_not_fit_is_named(model: Any, text: str, parameter: str, detail: str) -> None:
    assert mistake(model, text) == (parameter, detail)


class Row(NamedTuple):
    a: int


class Array(msgspec.Struct, array_like=True):
    a: int


@pytest.mark.parametrize("model", [int, list[int], Row, Array, Search | int])
def test_what_has_no_names_is_no_model_of_a_query(model: Any) -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match="query"):
            query(model, "a=1")


@dataclass
class Folder:
    path: Path
    size: int = 0


def test_a_type_of_a_field_that_no_text_becomes_is_a_fault_of_the_model() -> None:
    with pytest.raises(NotImplementedError, match="no Path"):
        query(Folder, "path=a")
    with pytest.raises(NotImplementedError, match="no Path"):
        query(dict[str, Path], "path=a")


def test_a_query_of_many_names_takes_linear_time() -> None:
    text = urlencode([(f"n{number}", "1") for number in range(50_000)] + [("ids", "1")] * 50_000)
    start = time.process_time()
    assert query(Search, "q=a&" + text) == Search("a", ids={1})
    assert time.process_time() - start < 5


async def test_a_form_names_its_fields_by_pointers() -> None:
    app = Application()

    @app.post("/")
    async def create(request: Request) -> Response:
        return json_response(await request.form(Search))

    @app.error_handler(HTTPUnprocessableContent)
    async def explained(request: Request, error: HTTPUnprocessableContent) -> Response:
        return json_response(error.members, error.status)

    async with client_of(app) as client:
        answer = await client.post("/", data={"q": "a", "ids": ["1", "2"], "exact": "on"})
        assert answer.json() == {"q": "a", "page": 1, "tags": [], "ids": [1, 2], "exact": True}
        answer = await client.post("/", data={"q": "a", "ids": ["1", "x"]})
        assert answer.status_code == 422
        assert answer.json() == {"errors": [{"detail": "Expected `int`, got `str`", "pointer": "#/ids/1"}]}
        answer = await client.post("/")
        assert answer.json() == {"errors": [{"detail": "Missing", "pointer": "#/q"}]}
