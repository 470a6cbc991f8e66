"""What the applications of the fuzzing tests do, and a record of what they saw."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.asgiserve.applications import Receive, Scope, Send, answer, piece, start


@dataclass
class Call:
    """One call of the application: the request as it saw it."""

    scope: dict[str, Any]
    body: bytes = b""
    complete: bool = False  # it saw the end of the body
    left: bool = False  # it was told that the client has left


@dataclass
class Recorder:
    """An application that behaves in one way, and keeps what it saw."""

    behaviour: Behaviour
    calls: list[Call] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = ("method", "http_version", "path", "raw_path", "query_string", "headers")
        call = Call({name: scope[name] for name in names})
        call.scope["headers"] = list(scope["headers"])
        self.calls.append(call)
        text = b"%d %b" % (len(self.calls) - 1, scope["method"].encode())
        await self.behaviour.answer(Body(call, receive), send, text)


@dataclass
class Body:
    """The request body, taken piece by piece and put on record."""

    call: Call
    receive: Receive

    async def take(self) -> bytes | None:
        """The next piece; None when the client has left."""
        message = await self.receive()
        if message["type"] == "http.disconnect":
            self.call.left = True
            return None
        self.call.body += message["body"]
        self.call.complete = not message["more_body"]
        return bytes(message["body"])

    async def all(self) -> bool:
        """Take the rest; return whether the client is there."""
        while not self.call.complete:
            if await self.take() is None:
                return False
        return True


@dataclass(frozen=True)
class Behaviour:
    """What an application does, and what becomes of it."""

    answer: Callable[[Body, Send, bytes], Awaitable[None]]
    status: int = 200
    waits: bool = True  # for the end of the body, before it answers
    ends: bool = False  # the connection with each response
    echoes: bool = False  # the request body, behind its own text
    logs: str = ""  # what the server has to say about it


async def _reads(body: Body, send: Send, text: bytes) -> None:
    if await body.all():
        await answer(send, text)


async def _streams(body: Body, send: Send, text: bytes) -> None:
    if await body.all():
        await send(start())
        await send(piece(text[:1], more=True))
        await send(piece(b"", more=True))
        await send(piece(text[1:]))


async def _closes(body: Body, send: Send, text: bytes) -> None:
    if await body.all():
        await answer(send, text, headers=[(b"connection", b"close")])


async def _raises(body: Body, send: Send, text: bytes) -> None:
    if await body.all():
        await send(start())
        raise LookupError("the application is broken")


async def _listens(body: Body, send: Send, text: bytes) -> None:
    if await body.all():
        await body.take()


async def _ignores(body: Body, send: Send, text: bytes) -> None:
    await answer(send, text)


async def _takes_one(body: Body, send: Send, text: bytes) -> None:
    if await body.take() is not None:
        await answer(send, text)


async def _echoes(body: Body, send: Send, text: bytes) -> None:
    await send(start())
    await send(piece(text, more=True))
    while not body.call.complete:
        if (content := await body.take()) is None:
            return
        await send(piece(content, more=True))
    await send(piece())


BEHAVIOURS: Final = {
    "reads": Behaviour(_reads),
    "streams": Behaviour(_streams),
    "closes": Behaviour(_closes, ends=True),
    "raises": Behaviour(_raises, status=500, ends=True, logs="the application raised"),
    "listens": Behaviour(_listens, status=503, ends=True, logs="no response after"),
    "ignores": Behaviour(_ignores, waits=False),
    "takes-one": Behaviour(_takes_one, waits=False),
    "echoes": Behaviour(_echoes, waits=False, echoes=True),
}
