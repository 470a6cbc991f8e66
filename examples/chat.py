"""A chat with rooms, names, and who is here: in one process, or in several with a Redis server between them.

asgiserve examples.chat:app

pip install 'asgiweb[redis]'
CHAT_REDIS=redis://127.0.0.1 asgiserve examples.chat:app --workers 2

Its page is chat.html, which connects again by itself. Nothing is kept of what is said: a page that was away
says so. Who is here is known to presence.py.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from asgiweb import (
    Application,
    Broadcast,
    BroadcastUnavailable,
    Handler,
    HTTPForbidden,
    HTTPNotFound,
    InvalidMessage,
    MessagesLost,
    Request,
    Response,
    Subscription,
    WebSocket,
    WebSocketDisconnect,
    html_response,
    redirect,
)
from asgiweb.broadcast import Overflow
from examples.presence import Connected, Presence

PAGE = Path(__file__).with_name("chat.html").read_text(encoding="utf-8")

#: In characters: a name, whether a person's or a room's, and what is said at once.
LONGEST_NAME, LONGEST_TEXT = 20, 500
NAMES = f"names of 1 to {LONGEST_NAME} characters that can be seen"

#: A close code of our own (RFC 6455, 7.4.2): the page asks for another name before it comes back.
BAD_NAME = 4000

T = TypeVar("T")


class Said(msgspec.Struct, tag=True):
    """What somebody says in a room; when, in seconds since 1970."""

    name: str
    text: str
    at: float


@dataclass
class Chat:
    """What all websockets of a worker share."""

    said: Broadcast[Said]
    presence: Presence


def make_broadcast(kind: type[T], overflow: Overflow) -> Broadcast[T]:
    """Make a broadcast for this process, or for all that are given the same Redis."""
    url = os.environ.get("CHAT_REDIS")
    if not url:
        return Broadcast(overflow=overflow)
    from asgiweb.broadcast.redis import RedisBroadcast  # needs redis-py, which one process does without

    return RedisBroadcast.from_url(url, kind, prefix=f"chat:{kind.__name__}:", overflow=overflow)


@asynccontextmanager
async def lifespan(app: Application[Chat]) -> AsyncIterator[Chat]:
    presence = Presence(make_broadcast(Connected, "drop"))
    async with make_broadcast(Said, "disconnect") as said, presence.working():
        yield Chat(said, presence)


async def same_origin(request: Request[Chat], handler: Handler) -> Response:
    """Refuse websockets of other sites' pages: browsers let these open them, and send our cookies along."""
    origin = request.headers.get("origin")
    if request.websocket and origin and origin.partition("://")[2] != request.headers.get("host"):
        raise HTTPForbidden("only for pages of this site")
    return await handler(request)


app = Application(lifespan=lifespan, middlewares=[same_origin])


@app.get("/")
async def index(request: Request[Chat]) -> Response:
    return redirect("/rooms/lobby")


@app.get("/rooms/{room}")
async def page(request: Request[Chat], room: str) -> Response:
    if not is_name(room):
        raise HTTPNotFound(f"Rooms have {NAMES}.\n")
    return html_response(PAGE)


@app.websocket("/rooms/{room}")
async def enter(ws: WebSocket[Chat], room: str) -> None:
    said, presence, name = ws.state.said, ws.state.presence, ws.request.query.get("name", "")
    if not is_name(room):
        raise HTTPNotFound
    if not is_name(name):
        await ws.accept()  # browsers tell no page why a handshake was refused
        await ws.close(BAD_NAME, f"People have {NAMES}.")
        return
    async with (
        said.subscribe(room) as messages,
        presence.here.subscribe(room) as lists,
        ws,
        presence.entered(room, name),
        asyncio.TaskGroup() as tasks,
    ):
        relays = [tasks.create_task(relay(subscription, ws)) for subscription in (messages, lists)]
        await listen(ws, said, room, name)
        for task in relays:
            task.cancel()


def is_name(text: str) -> bool:
    return 1 <= len(text) <= LONGEST_NAME and text.isprintable() and text == text.strip()


async def listen(ws: WebSocket[Chat], said: Broadcast[Said], room: str, name: str) -> None:
    """Publish what one person says, until they leave."""
    async for text in ws.iter_text():
        if len(text) > LONGEST_TEXT:
            raise InvalidMessage(f"at most {LONGEST_TEXT} characters", code=1009)  # which closes with this
        if text.strip():
            try:
                await said.publish(room, Said(name, text, time.time()))
            except BroadcastUnavailable:
                await ws.close(1013, "no Redis")


async def relay(messages: Subscription[Any], ws: WebSocket[Chat]) -> None:
    """Send one person what is for them."""
    try:
        async for message in messages:
            await ws.send_json(message)
    except MessagesLost:
        await ws.close(1013, "messages were lost")  # the page comes back, and says that it has missed some
    except WebSocketDisconnect:
        pass  # listen() ends when it has heard what they said last


@app.error_handler(BroadcastUnavailable)
async def no_redis(request: Request[Chat], error: BroadcastUnavailable) -> Response:
    """Answer who comes while Redis is away, and can be subscribed to nothing."""
    return Response("no Redis\n", 503)
