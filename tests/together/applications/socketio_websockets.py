"""A chat on python-socketio, which speaks over WebSockets, or requests that wait, or first these."""

from __future__ import annotations

from typing import Any, Final

import socketio

from tests.together.applications import business

#: Seconds between two pings, which answer a request that waits: nothing that a client leaves behind lasts longer.
PING_INTERVAL: Final = 2

server = socketio.AsyncServer(async_mode="asgi", ping_interval=PING_INTERVAL)


@server.event
async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
    if auth != {"token": "it is me"}:
        raise socketio.exceptions.ConnectionRefusedError("who are you?")
    await server.save_session(sid, {"name": environ["HTTP_X_NAME"]})


@server.event
async def echo(sid: str, *data: Any) -> tuple[Any, ...]:
    return data


@server.event
async def enter(sid: str, room: str) -> None:
    await server.enter_room(sid, room)


@server.event
async def leave(sid: str, room: str) -> None:
    await server.leave_room(sid, room)


@server.event
async def say(sid: str, room: str, text: str) -> None:
    session = await server.get_session(sid)
    await server.emit("said", (session["name"], text), room=room)


@server.event
async def announce(sid: str, text: str) -> None:
    await server.emit("announced", text, skip_sid=sid)


@server.event
async def ask_me(sid: str, question: str) -> None:
    answer = await server.call("question", question, to=sid)
    await server.emit("answered", answer, to=sid)


@server.event
async def fail(sid: str) -> None:
    business.fail()


@server.event
async def enough(sid: str) -> None:
    await server.disconnect(sid)


@server.event
async def disconnect(sid: str, reason: str) -> None:
    session = await server.get_session(sid)
    await server.emit("left", (session["name"], reason))


app = socketio.ASGIApp(server, on_shutdown=business.shut_down)
