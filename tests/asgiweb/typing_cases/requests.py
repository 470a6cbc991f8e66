"""What type checkers have to know of requests: `make check` looks at this, and nothing of it runs.

Each mistake is marked as one. Where mypy did not see it, it would complain of a mark that is not needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict, assert_type

import msgspec
from multidict import CIMultiDictProxy, MultiDictProxy

from asgiweb import Application, Request, Response
from asgiweb.forms import FormData, FormLimits, Part, UploadedFile


class Item(msgspec.Struct):
    price: int


@dataclass
class Search:
    q: str


class Profile(TypedDict):
    photo: UploadedFile


app: Application[None] = Application(form_limits=FormLimits(fields=7))


@app.post("/json", form_limits=FormLimits(files=0))
async def json(request: Request[None]) -> Response:
    assert_type(await request.json(), Any)
    assert_type(await request.json(Item), Item)
    assert_type(await request.json(list[Item]), list[Item])
    assert_type(await request.json(dict[str, Search]), dict[str, Search])
    assert_type(await request.json(Profile), Profile)
    assert_type(await request.json(Item | None), Any)
    print((await request.json(Item)).prise)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # it is called price
    return Response()


@app.post("/query", form_limits=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # these are FormLimits
async def query(request: Request[None]) -> Response:
    assert_type(request.query, MultiDictProxy[str])
    assert_type(request.headers, CIMultiDictProxy[str])
    assert_type(request.query_as(Search), Search)
    assert_type(request.query_as(dict[str, int]), dict[str, int])
    request.query_as()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # into what?
    assert_type(request.accepts("text/html"), str | None)
    assert_type(request.accepts_language("de", "en"), str | None)
    assert_type(await request.is_disconnected(), bool)
    return Response(request.accepts("text/html") + "x")  # type: ignore[operator]  # pyright: ignore[reportOptionalOperand]  # it may be None


@app.post("/form")
async def form(request: Request[None]) -> Response:
    data = await request.form()
    assert_type(data, FormData)
    assert_type(data["name"], str | UploadedFile)
    assert_type(data.text("name"), str)
    assert_type(data.file("name"), UploadedFile | None)
    assert_type(data.files("name"), list[UploadedFile])
    assert_type(await request.form(limits=FormLimits()), FormData)
    assert_type(await request.form(Search), Search)
    assert_type(await request.form(Profile, limits=FormLimits()), Profile)
    data["name"] = "x"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]  # it was sent like that
    for file in data.files("name"):
        assert_type(await file.read(), bytes)
        async for piece in file:
            assert_type(piece, bytes)
    return Response()


@app.post("/multipart")
async def multipart(request: Request[None]) -> Response:
    async for part in request.multipart():
        assert_type(part, Part)
        assert_type(part.filename, str | None)
        assert_type(part.headers, CIMultiDictProxy[str])
        assert_type(await part.text(), str)
        assert_type(await part.read(), bytes)
        async for piece in part:
            assert_type(piece, bytes)
    return Response()
