"""What type checkers have to know of groups, mounts and options: nothing of it runs, but `make check` looks.

Each mistake is marked as one. Where mypy did not see it, it would complain of a mark that is not needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import assert_type

from starlette.applications import Starlette
from yarl import URL

from asgiweb import Application, Converter, Group, Handler, Request, Response, Route, WebSocket


@dataclass
class State:
    users: dict[int, str]


class Color(Enum):
    RED = "red"


async def members_only(request: Request[State], handler: Handler) -> Response:
    return await handler(request)


async def no_key(request: Request[State], error: KeyError) -> Response:
    return Response(status=404)


app = Application[State](trailing_slash="strict")
Application[State](trailing_slash="append")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # there are three
app.trailing_slash = "ignore"
app.trailing_slash = "append"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
group = Group[State](
    "/g", name="g", middlewares=[members_only], error_handlers={KeyError: no_key, 404: no_key}
)
Group[State](middlewares=[no_key])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # that is an error handler
app.include(group, prefix="/p", name="p")
app.include(Group[int]())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # its state is another
app.mount("/s", Starlette(), name="s", middlewares=[members_only], host="a.example")
app.mount("/a", Application[int]())
app.mount("/g", group)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a group is included
app.mount("/m", Starlette(), max_body_size=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # what is mounted has its own
assert_type(app.routes, tuple[Route, ...])
assert_type(app.url_for("it", name="a", x=1), URL)
assert_type(Converter.enum(Color), Converter[Color])


@group.get("/{id:int}", name="it", host="{tenant}.example.com", max_body_size=1)
async def show(request: Request[State], id: int, tenant: str) -> Response:
    return Response(request.state.users[id])


@group.get("/text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a str is no answer
async def text(request: Request[State]) -> str:
    return "text"


@group.get("/other")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the state is of another type
async def of_another_state(request: Request[int]) -> Response:
    return Response()


@group.websocket("/ws", host="a.example")
async def talk(ws: WebSocket[State]) -> None:
    assert_type(ws.state, State)


@group.get("/host", hosts="a.example")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # it is called host
async def misspelt(request: Request[State]) -> Response:
    return Response()
