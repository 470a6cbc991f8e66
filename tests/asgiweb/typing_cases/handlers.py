"""What type checkers have to know of handlers of requests; nothing of it runs.

Each mistake is marked as one. Where a checker did not see it, it would complain of a mark that is not needed.
"""

from __future__ import annotations

from typing import Any, assert_type
from uuid import UUID

from asgiweb import Application, HTTPNotFound, Request, Response, html_response, json_response, redirect
from asgiweb.testing import TestClient

app: Application[list[str]] = Application()


@app.get("/notes/{number:int}/{id:uuid}", name="note", max_body_size=0)
async def note(request: Request[list[str]], number: int, *, id: UUID) -> Response:
    assert_type(request.state, list[str])
    assert_type(request.app, Application[list[str]])
    assert_type(await request.body(), bytes)
    assert_type(await request.text(), str)
    assert_type(request.query.getall("q"), list[str])
    assert_type(request.headers["host"], str)
    assert_type(request.cookies.get("session"), str | None)
    async for piece in request:
        assert_type(piece, bytes)
    if number > 7:
        raise HTTPNotFound(f"no note {number}")
    if number == 7:
        return redirect(request.url_for("note", number=1, id=id))
    return html_response("<p>") if number else json_response({"id": id})


@app.route("/", methods=["GET", "POST"])
async def of_any_state(request: Request) -> Response:
    assert_type(request.state, Any)
    return Response(status=204)


class Page:
    async def __call__(self, request: Request[list[str]]) -> Response:
        return Response()

    async def method(self, request: Request[list[str]], number: int) -> Response:
        return Response()


app.router.add_get("/page", Page())
app.get("/method/{number:int}")(Page().method)


@app.get("/")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a str is no Response
async def with_text(request: Request[list[str]]) -> str:
    return "hello"


@app.get("/")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # and neither is nothing
async def with_nothing(request: Request[list[str]]) -> None: ...


@app.get("/")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it would block
def not_async(request: Request[list[str]]) -> Response:
    return Response()


@app.get("/")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the state is of another type
async def of_another_state(request: Request[int]) -> Response:
    return Response()


@app.get("/")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # there is a request to take
async def without_arguments() -> Response:
    return Response()


@app.get("/", nam="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # it is called name
async def with_a_wrong_option(request: Request[list[str]]) -> Response:
    return Response()


@app.get  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it needs a path
async def without_a_path(request: Request[list[str]]) -> Response:
    return Response()


async def responses() -> None:
    Response({"a": 1})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # json_response() does that
    Response().set_cookie("a", "b", max_age=60, samesite="strict")
    Response().set_cookie("a", "b", samesite="very")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test(client: TestClient) -> None:
    assert_type((await client.get("/")).text, str)
    async with client.stream("GET", "/events") as response:
        async for line in response.aiter_lines():
            assert_type(line, str)
