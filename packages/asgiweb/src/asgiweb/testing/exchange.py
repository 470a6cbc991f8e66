"""One HTTP request of a test, with the application in a task of the same event loop at the other end.

Both bodies stream. The application waits in ``send()`` while the piece before is still unread. When the test
leaves, the application is told as servers do it: ``receive()`` gives http.disconnect, and ``send()`` raises
an OSError (ASGI HTTP 2.4). The head is there as soon as it is sent, which servers may put off until the body.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import httpx

from ..asgi import FAULTS, ASGIApplication, HeaderPair, Message, Scope
from .leaving import ClientLeft, is_of_leaving
from .sending import SentBody

Result = TypeVar("Result")


class Exchange:
    """A request and its response; ``timeout`` is in seconds, for each wait for the application.

    Raises TimeoutError after that, and what the application has raised or logged as a fault, if
    ``raise_exceptions`` is true.
    """

    def __init__(
        self,
        app: ASGIApplication,
        scope: Scope,
        request: httpx.Request,
        *,
        timeout: float | None,
        raise_exceptions: bool,
    ) -> None:
        self._app = app
        self._scope = scope
        self._name = f"{request.method} {request.url.raw_path.decode()}"
        self._timeout = timeout
        self._raise_exceptions = raise_exceptions
        self._faults: list[BaseException] = []
        scope[FAULTS] = self._faults
        #: Done when the client has left, or has got all it asked for.
        self._gone = asyncio.get_running_loop().create_future()
        self._body = SentBody(request, self._gone)
        self._started = asyncio.Event()
        # The one piece that may be unread; whether it is, or the end has come; whether there is room for it.
        self._piece = b""
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._complete = False
        self._ended = False
        # Whether a fault is what is answered; one that comes later is found with the body.
        self._failed = False
        #: The head of the response; the status is 0 until it has come.
        self.status = 0
        self.headers: list[HeaderPair] = []
        #: The application, in a copy of the test's context variables.
        self.task = asyncio.create_task(self._run(), name=f"the application's {self._name}")

    async def _run(self) -> None:
        try:
            try:
                await self._app(self._scope, self._body.receive, self._send)
            finally:
                await self._body.close()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # Also what pytest.fail() raises in a handler.
            if not (self._gone.done() and is_of_leaving(error)):
                self._faults.append(error)
        finally:
            self._ended = True
            self._started.set()
            self._news.set()

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", ()))
            self._failed = bool(self._faults)
            self._started.set()
            return
        if message["type"] != "http.response.body":
            raise RuntimeError(f"{self._name}: the test client knows no message {message['type']!r}")
        if not self.status:
            raise RuntimeError(f"{self._name}: a body comes before the start of the response")
        await self._room.wait()
        if self._gone.done():
            raise ClientLeft("the client has left")
        # Servers drop what is sent for HEAD (RFC 9110, 9.3.2); not all applications keep from it.
        self._piece = b"" if self._scope["method"] == "HEAD" else message.get("body", b"")
        self._room.clear()
        self._complete = not message.get("more_body", False)
        self._news.set()
        if self._complete:
            # From here on receive() gives http.disconnect, as on a server.
            self.leave()

    async def start(self) -> None:
        """Wait for the head of the response."""
        await self._wait(self._started.wait(), "has not begun to answer")
        if self._raise_exceptions and (self._failed or not self.status):
            await self.end()
        if not self.status:
            if self._raise_exceptions:
                raise RuntimeError(f"{self._name}: the application has ended without an answer")
            # What a server answers then.
            self.status = 500
            self._complete = True

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as the application sends it, and wait for the application's end after that."""
        complete = ended = False
        while not (complete or ended):
            await self._wait(self._news.wait(), "has sent nothing more")
            self._news.clear()
            piece, complete, ended = self._piece, self._complete, self._ended
            self._piece = b""
            self._room.set()
            if piece:
                yield piece
        await self.end()
        if not complete:
            raise httpx.RemoteProtocolError(f"{self._name}: the application has cut its response short")

    async def end(self) -> None:
        """Leave, unless all is said, and wait until the application is through. Raises what it has raised."""
        self.leave()
        await self._wait(asyncio.wait([self.task]), "still runs, although the client has left")
        if self._raise_exceptions and self._faults:
            raise self._faults.pop(0)

    def leave(self) -> None:
        """Let the application see that the client is away."""
        if not self._gone.done():
            self._gone.set_result(None)
        self._room.set()

    async def cancel(self) -> None:
        """End what does not end by itself."""
        self.leave()
        self.task.cancel()
        await asyncio.wait([self.task], timeout=self._timeout)

    async def _wait(self, awaitable: Coroutine[Any, Any, Result], failure: str) -> Result:
        try:
            async with asyncio.timeout(self._timeout) as limit:
                return await awaitable
        except TimeoutError:
            if not limit.expired():
                raise
            await self.cancel()
            raise TimeoutError(
                f"{self._name}: the application {failure} for {self._timeout} s; "
                f"the timeout of TestClient or of the request says how long that may be"
            ) from None


def http_scope(request: httpx.Request, client: tuple[str, int]) -> Scope:
    """Return the scope of a request (ASGI www 2.5), as a server makes it."""
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": client,
        "server": (url.host, url.port),
    }
