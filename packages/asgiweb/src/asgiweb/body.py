"""Reading a request's body: within its limit, once, and never cut short without saying so."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from .asgi import Message, Receive, Scope
from .errors import BodyConsumed, ClientDisconnected
from .exceptions import HTTPBadRequest, HTTPContentTooLarge

if TYPE_CHECKING:
    from .forms.reading import FormReader

#: Bytes of a body that are held for a later reader, and with them at most one message more.
HELD_SIZE = 65536

_MAX_DIGITS = 18


class BodyReader:
    """The one reader of one request's body. ``limit`` is in bytes, 0 for none.

    Raises HTTPContentTooLarge as soon as the limit is known to be passed (RFC 9110, 15.5.14), and
    ClientDisconnected when the client leaves before the end: what has come until then is never given out
    as if it were the whole.
    """

    __slots__ = (
        "_body",
        "_complete",
        "_declared",
        "_ended",
        "_given",
        "_held",
        "_held_size",
        "_hold",
        "_pieces",
        "_reading",
        "_reading_ended",
        "_receive",
        "_receiving",
        "_repeated",
        "_size",
        "_started",
        "form",
        "left",
        "limit",
        "watch",
    )

    def __init__(
        self, receive: Receive, limit: int, content_length: str | None, *, chunked: bool, hold: bool
    ) -> None:
        self._receive = receive
        self._reading = False
        # Made when a second task asks for a body that is being read: a lock for each takes 0.6 µs of 9.
        self._reading_ended: asyncio.Event | None = None
        self._receiving = asyncio.Lock()
        # What came before anybody asked for it, because the disconnect was looked for.
        self._held: deque[Message] | None = None
        self._held_size = 0
        self._hold = hold
        # Set for who waits until all of the body was read, or the client has left.
        self._ended: asyncio.Event | None = None
        #: Whether the client is known to have left.
        self.left = False
        #: What reads it as a form, and what watches for the client to leave, once somebody asks for that.
        self.form: FormReader | None = None
        self.watch: DisconnectWatch | None = None
        self.limit = limit
        self._declared = _parse_length(content_length)
        self._body: bytes | None = None
        # What was read of it as a whole, for the next who reads if the one before was cancelled.
        self._pieces: list[bytes] | None = None
        self._started = False
        self._repeated = False
        # Whether what is mounted has received a piece of it.
        self._given = False
        self._size = 0
        # Nobody has to read a body that is not there: then the next message can only be the disconnect.
        self._complete = not self._declared and not chunked

    async def read(self) -> bytes:
        """Return the whole body, which is kept for whoever asks next, or asks meanwhile in another task."""
        while self._reading:
            if self._reading_ended is None:
                self._reading_ended = asyncio.Event()
            await self._reading_ended.wait()
        if self._body is None:
            if self._pieces is None:
                self._begin()
                self._pieces = []
            pieces = self._pieces
            self._reading = True
            try:
                more = True
                while more:
                    message = await self._receive_piece()
                    more = message.get("more_body", False)
                    if piece := message.get("body"):
                        pieces.append(piece)
                # Most bodies come in one piece, which is then not copied.
                self._body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                self._pieces = None
            except HTTPContentTooLarge:
                # The piece that was too much is not among them.
                self._pieces = None
                raise
            finally:
                self._reading = False
                if self._reading_ended is not None:
                    self._reading_ended.set()
                    self._reading_ended = None
        return self._body

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes; nothing is kept. BodyConsumed for the second who tries."""
        if self._body is not None:
            yield self._body
            return
        self._begin()
        more = True
        while more:
            message = await self._receive_piece()
            more = message.get("more_body", False)
            if piece := message.get("body"):
                yield piece
        if not self._size:
            # Of nothing, nothing is gone.
            self._body = b""

    def _begin(self) -> None:
        self._check(max(self._declared, self._size))
        if self._started:
            if self.form is not None and self.form.complete:
                raise BodyConsumed("the body was read as a form, perhaps by CSRF: request.form() has it")
            raise BodyConsumed("the body was streamed already: read it with request.body() to have it twice")
        if self._given:
            raise BodyConsumed("what is mounted has read the body: with request.body() before it, both do")
        self._started = True

    async def _receive_piece(self) -> Message:
        message = await self._take()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected("the client left before the end of the body")
        self._count(message)
        self._check(self._size)
        return message

    async def _take(self) -> Message:
        """Return the next message; one that is held not behind who waits for the disconnect."""
        if not self._held:
            # "async with" takes 0.2 µs more, of 3 for a small body.
            await self._receiving.acquire()
            try:
                if not self._held:
                    return await self._ask()
            finally:
                self._receiving.release()
        return self._held.popleft()

    async def _ask(self) -> Message:
        # Some servers say once that the client has left.
        message = {"type": "http.disconnect"} if self.left else await self._receive()
        self.left = message["type"] == "http.disconnect"
        if self.left and self._ended is not None:
            self._ended.set()
        return message

    def _count(self, message: Message) -> None:
        self._size += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._complete and self._ended is not None:
            self._ended.set()

    async def receive(self, *, limited: bool = False) -> Message:
        """Receive as an ASGI application does; a body that was read as a whole comes again.

        BodyConsumed if it was streamed, HTTPContentTooLarge above the limit if it is ``limited``.
        """
        if self._body is not None and not self._repeated:
            self._repeated = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        if self._started and self._body is None:
            raise BodyConsumed("the body was streamed already, and nothing is left of it for what is mounted")
        message = await self._take()
        if message["type"] == "http.request":
            self._count(message)
            if limited:
                self._check(self._size)
            if self._complete and not self._size:
                # Nobody has to be told that nothing is gone.
                self._body, self._repeated = b"", True
            self._given = True
        return message

    def _check(self, size: int) -> None:
        if self.limit and size > self.limit:
            raise HTTPContentTooLarge(f"the body is larger than {self.limit} bytes")

    async def receive_disconnect(self) -> Message:
        """Wait for what comes after the body, without taking a piece of it from whoever may still read it.

        With ``hold`` a body that nobody reads does not stand in the way, up to HELD_SIZE.
        """
        while not (self._complete or self.left):
            if self._hold and await self.look_ahead() is not None:
                continue
            # Somebody reads the rest of it, or will.
            if self._ended is None:
                self._ended = asyncio.Event()
            self._ended.clear()
            await self._ended.wait()
        return await self._receive_next()

    async def look_ahead(self) -> Message | None:
        """Receive what comes after the body, or a piece of it, which is held for who reads it.

        None while more of the body stands in the way than is held, or somebody reads it.
        """
        if not self._complete and (self._started or self._held_size >= HELD_SIZE):
            return None
        return await self._receive_next()

    async def _receive_next(self) -> Message:
        async with self._receiving:
            known = self.left
            message = await self._ask()
            if not self.left:
                # A body that is none may still come in empty pieces.
                none = self._complete and not message.get("body")
                self._complete = none or not message.get("more_body", False)
            elif self._complete or known:
                return message
            # Also of a body that is none: who reads it waits for this message.
            if self._held is None:
                self._held = deque()
            self._held.append(message)
            self._held_size += len(message.get("body", b""))
        return message


class DisconnectWatch:
    """Asks again and again whether the client has left: with one task, because there is one who receives."""

    __slots__ = ("_body", "_task")

    def __init__(self, body: BodyReader) -> None:
        self._body = body
        self._task: asyncio.Task[None] | None = None

    async def is_disconnected(self) -> bool:
        """Say whether it has left, as far as it is known by now."""
        if not self._body.left:
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._look())
            # The task looks, and the server gets its turn: who asks in a loop may never wait otherwise.
            await asyncio.sleep(0)
        return self._body.left

    async def _look(self) -> None:
        # A receive() that fails says nothing about the client.
        with contextlib.suppress(Exception):
            while not self._body.left and await self._body.look_ahead() is not None:
                pass

    async def aclose(self) -> None:
        """End the task."""
        if self._task is not None:
            self._task.cancel()


def reader_of(scope: Scope, headers: Mapping[str, str], receive: Receive, limit: int) -> BodyReader:
    """Make the reader of a request's body. HTTPBadRequest if its length is none."""
    # HTTP/2 has no sign for a body of unknown length, but a GET with one is next to unheard of.
    unknown = scope.get("http_version", "1.1") >= "2" and scope.get("method", "GET") not in ("GET", "HEAD")
    chunked = unknown or "transfer-encoding" in headers
    # On servers of ASGI HTTP before 2.4, receive() alone tells that the client left, after the body.
    # On others send() raises then, and a body that nobody wants is not asked for.
    hold = scope.get("asgi", {}).get("spec_version", "2.0") < "2.4"
    return BodyReader(receive, limit, headers.get("content-length"), chunked=chunked, hold=hold)


def _parse_length(content_length: str | None) -> int:
    if content_length is None:
        return 0
    if content_length.isascii() and content_length.isdecimal():
        significant = content_length.lstrip("0")
        # What has more digits is above every limit, and int() refuses some thousand.
        return int(significant or 0) if len(significant) <= _MAX_DIGITS else 10**_MAX_DIGITS
    raise HTTPBadRequest("Content-Length is not a number")
