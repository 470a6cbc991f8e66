"""What type checkers have to know of websockets: `make check` looks at this, and nothing of it runs.

Each mistake is marked as one. Where mypy did not see it, it would complain of a mark that is not needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, assert_type
from uuid import UUID

import httpx
import msgspec

from asgiweb import Application, Request, Response, WebSocket
from asgiweb.testing import TestClient


@dataclass
class State:
    rooms: dict[str, int]


class Move(msgspec.Struct):
    x: int


@asynccontextmanager
async def lifespan(app: Application[State]) -> AsyncIterator[State]:
    yield State(rooms={})


app = Application(lifespan=lifespan)
assert_type(app, Application[State])


@app.websocket("/rooms/{room}/{number:int}/{id:uuid}", name="room")
async def room(ws: WebSocket[State], room: str, number: int, *, id: UUID) -> None:
    assert_type(ws.state, State)
    assert_type(ws.request, Request[State])
    print(ws.state.room)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # it is called rooms
    async with ws as entered:
        assert_type(entered, WebSocket[State])
        async for message in ws:
            assert_type(message, str | bytes)
        async for text in ws.iter_text():
            assert_type(text, str)
        async for data in ws.iter_bytes():
            assert_type(data, bytes)
        async for move in ws.iter_json(Move):
            assert_type(move, Move)
        assert_type(await ws.receive_json(Move), Move)
        assert_type(await ws.receive_json(list[int]), list[int])
        assert_type(await ws.receive_json(), Any)
        await ws.send_text(b"bytes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # that is send_bytes()
        await ws.send_bytes("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # that is send_text()


@app.websocket("/")
async def of_any_state(ws: WebSocket) -> None:
    assert_type(ws.state, Any)


@app.websocket("/")
async def generic(ws: WebSocket[Any]) -> None: ...


@app.websocket("/")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the state is of another type
async def of_another_state(ws: WebSocket[int]) -> None: ...


@app.websocket("/")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a websocket is no request
async def of_a_request(request: Request[State]) -> None: ...


@app.get("/")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a request is no websocket
async def of_a_websocket(ws: WebSocket[State]) -> Response:
    return Response()


@app.websocket("/")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it would block
def not_async(ws: WebSocket[State]) -> None: ...


@app.websocket("/")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # nobody would send that
async def with_a_response(ws: WebSocket[State]) -> Response:
    return Response()


@app.websocket("/")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # there is a websocket to take
async def without_arguments() -> None: ...


async def test(client: TestClient) -> None:
    another = TestClient(app, cookies=client.cookies, headers=client.headers)
    assert_type(await another.get("/", params={"page": 1}), httpx.Response)
    client.websocket("/", params={"page": ["1"]})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    async with client.websocket("/", subprotocols=["a"], params={"page": 1}) as ws:
        assert_type(await ws.receive(), str | bytes)
        assert_type(await ws.receive_json(Move), Move)
        await ws.send_text(b"bytes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # that is send_bytes()
