"""An application that answers one request in a task of its own, and its answer as a Response.

The task runs from the request to the application's end, which may be later than that of the response. Its
first message is the head, and ``head()`` returns it. What it sends then waits until somebody wants it: the
server, to whom it goes as it is, or a middleware that has put another stream around this one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from multidict import CIMultiDict

from ..asgi import ASGIApplication, Message, Receive, Scope, Send
from ..errors import ClientDisconnected
from ..exceptions import HTTPException
from ..response import Response
from ..streaming import end_task
from .files import file_pieces

logger = logging.getLogger("asgiweb")

#: What runs on after a middleware has put the body of its answer into another response.
_running: set[asyncio.Task[None]] = set()


class Answering:
    """One request at a mounted application; iterating gives the pieces of its answer's body."""

    def __init__(self, app: ASGIApplication, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        #: Whether receive() has told the application that the client left, and what it was told by otherwise:
        #: by send() that it left, or by receive() that its body is refused.
        self._left = False
        self._told: Exception | None = None
        self._head: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._early: list[Message] = []
        self._wanted = asyncio.Event()
        self._sink: Send = self._no_sink
        self._answered = False
        #: Whether the whole response was sent; the application may go on after that.
        self.complete = False
        # Whether somebody has asked how the application has ended.
        self._checked = False
        self._path = scope["path"]
        self._iterator: AsyncGenerator[bytes] | None = None
        self._task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: ASGIApplication, scope: Scope) -> None:
        await app(scope, self._received, self.send)

    async def head(self) -> Message:
        """Wait for the head. Raises what the application raises before it, or what refuses its body."""
        if not await self._has_head():
            self.check()
        if self._head.exception() is not None:
            await self._end()
        return self._head.result()

    async def response(self) -> Response:
        """Return the answer, as soon as its head is there. Raises what ``head()`` does."""
        head = await self.head()
        try:
            return MountedResponse(head, self)
        except Exception:
            # Of a head that is none nobody gets a response, whose stream would end the application.
            await self._end()
            raise

    async def forward(self, head: Message, send: Send) -> None:
        """Send a head, and all that the application sends after its own. Returns when it has ended."""
        try:
            await send(head)
            for message in self._early:
                await send(message)
            self._want(lambda message: self._forwarded(message, send))
            await asyncio.wait([self._task])
        except OSError as error:
            await self._end()
            raise ClientDisconnected("the client left before the end of the response") from error
        except BaseException:
            await self._end()
            raise
        self.check()

    async def finish(self) -> None:
        """Wait for the end of an application whose body was sent by others."""
        try:
            await asyncio.wait([self._task])
        except BaseException:
            await self._end()
            raise
        self.check()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body, for those who send it in another form."""
        return self

    async def __anext__(self) -> bytes:
        if self._iterator is None:
            self._iterator = self._pieces()
        return await anext(self._iterator)

    async def aclose(self) -> None:
        """End an application whose answer nobody wants. One that has answered may come to its end itself."""
        if self._iterator is not None:
            await self._iterator.aclose()
        if not self.complete:
            await self._end()
        elif not self._checked:
            _running.add(self._task)
            self._task.add_done_callback(self._has_run_on)

    def _has_run_on(self, task: asyncio.Task[None]) -> None:
        _running.discard(task)
        self._log_failure()

    async def send(self, message: Message) -> None:
        """Take a message from the application, as an ASGI ``send``."""
        kind = message["type"]
        if not self._head.done():
            if kind == "http.response.start":
                self._answered = True
                self._head.set_result(message)
            elif kind == "http.response.early_hint":
                self._early.append(message)
            else:
                raise RuntimeError(f"{kind!r} was sent before 'http.response.start'")
        elif not self.complete:
            # What comes after the end is ignored, as servers do (ASGI www, "Response Body").
            await self._wanted.wait()
            await self._sink(message)

    def check(self) -> None:
        """Raise what the application has raised, or that it has ended too early."""
        self._checked = True
        if self._task.cancelled():
            raise RuntimeError("the mounted application has cancelled itself")
        error = self._task.exception()
        if error is None and self._answered:
            return
        # There is nobody to answer, or it lets out what send() has raised, perhaps in another form.
        lost = self._left or isinstance(self._told, OSError)
        if (lost and not self._answered) or _leads_to(error, self._told):
            raise ClientDisconnected("the client left before the end of the response") from error
        raise error or RuntimeError("the mounted application has ended without an answer")

    async def _has_head(self) -> bool:
        """Wait for the head or the end, whatever is first."""
        waiting: list[asyncio.Future[Any]] = [self._head, self._task]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await self._end()
            raise
        return self._head.done()

    async def _received(self) -> Message:
        try:
            message = await self._receive()
        except HTTPException as error:
            # Many applications would make a fault of their own of it.
            if not self._head.done():
                self._told = error
                self._head.set_exception(error)
            raise
        if message["type"].endswith(".disconnect"):
            self._left = True
        return message

    async def _end(self) -> None:
        try:
            await end_task(self._task)
        finally:
            self._log_failure()

    def _log_failure(self) -> None:
        error = None if self._task.cancelled() else self._task.exception()
        if error is not None and not _leads_to(error, self._told):
            logger.error("the application mounted at %r failed", self._path, exc_info=error)

    def _want(self, sink: Send) -> None:
        self._sink = sink
        self._wanted.set()

    async def _forwarded(self, message: Message, send: Send) -> None:
        try:
            await send(message)
        except OSError as error:
            self._told = error
            raise
        self.complete = self._is_last(message)

    def _is_last(self, message: Message) -> bool:
        kind = message["type"]
        if kind == "http.response.trailers":
            return not message.get("more_trailers", False)
        if self._head.result().get("trailers", False):
            return False
        if kind == "http.response.pathsend":
            return True
        sends = kind in ("http.response.body", "http.response.zerocopysend")
        return sends and not message.get("more_body", False)

    async def _pieces(self) -> AsyncGenerator[bytes]:
        messages: asyncio.Queue[Message | None] = asyncio.Queue()

        async def sink(message: Message) -> None:
            messages.put_nowait(message)
            # The application goes on when its piece was sent: this is the backpressure.
            await messages.join()

        self._task.add_done_callback(lambda task: messages.put_nowait(None))
        self._want(sink)
        while (message := await messages.get()) is not None:
            if message.get("body"):
                yield message["body"]
            async for piece in file_pieces(message):
                yield piece
            self.complete = self._is_last(message)
            messages.task_done()
            if self.complete:
                return
        self.check()
        if self._left:
            raise ClientDisconnected("the client left before the end of the response")
        raise RuntimeError("the mounted application has ended before its answer")

    @staticmethod
    async def _no_sink(message: Message) -> None:
        """Stand for those who want the messages, until they come."""


def _leads_to(error: BaseException | None, cause: Exception | None) -> bool:
    """Tell whether an exception is what ``cause`` has become on its way."""
    while error is not None and error is not cause:
        error = error.__cause__ or error.__context__
    return error is not None


class MountedResponse(Response):
    """The answer of a mounted application: status and headers may be changed, the body comes from there."""

    __slots__ = ("_answering", "_head")

    def __init__(self, head: Message, answering: Answering) -> None:
        super().__init__(None, head["status"])
        self._headers = CIMultiDict(
            (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
            for name, value in head.get("headers", ())
        )
        self._head = head
        self._answering = answering
        self.stream = answering

    def start_message(self, method: str) -> Message:
        """Render the head, with what only the application knows of it, such as whether trailers follow."""
        start = super().start_message(method)
        return {**self._head, **start} if self.stream is self._answering else start

    async def transmit(self, start: Message, method: str, receive: Receive, send: Send) -> None:
        """Send the head and what the application sends after it. ClientDisconnected if nobody reads it."""
        if self.stream is self._answering:
            await self._answering.forward(start, send)
            return
        await super().transmit(start, method, receive, send)
        if self._answering.complete:
            await self._answering.finish()
