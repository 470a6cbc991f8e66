"""A chat on python-socketio, which speaks over WebSockets, or requests that wait, or first these."""

from __future__ import annotations

from typing import Any

import socketio

from tests.together.applications import business


class Chat(socketio.AsyncNamespace):  # type: ignore[misc]
    """Who has a name and the word may come in; what a method returns is the answer to its event."""

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        if auth != {"token": "it is me"}:
            raise socketio.exceptions.ConnectionRefusedError("who are you?")
        await self.save_session(sid, {"name": environ["HTTP_X_NAME"]})

    async def on_echo(self, sid: str, *data: Any) -> tuple[Any, ...]:
        return data

    async def on_enter(self, sid: str, room: str) -> None:
        await self.enter_room(sid, room)

    async def on_leave(self, sid: str, room: str) -> None:
        await self.leave_room(sid, room)

    async def on_say(self, sid: str, room: str, text: str) -> None:
        session = await self.get_session(sid)
        await self.emit("said", (session["name"], text), room=room)

    async def on_announce(self, sid: str, text: str) -> None:
        await self.emit("announced", text, skip_sid=sid)

    async def on_ask_me(self, sid: str, question: str) -> None:
        answer = await self.call("question", question, to=sid)
        await self.emit("answered", answer, to=sid)

    async def on_fail(self, sid: str) -> None:
        business.fail()

    async def on_enough(self, sid: str) -> None:
        await self.disconnect(sid)

    async def on_disconnect(self, sid: str, reason: str) -> None:
        session = await self.get_session(sid)
        await self.emit("left", (session["name"], reason))


# A ping answers a request that waits, for which the server would have to wait when it stops.
server = socketio.AsyncServer(async_mode="asgi", ping_interval=2)
server.register_namespace(Chat("/"))
app = socketio.ASGIApp(server, on_shutdown=business.shut_down)
