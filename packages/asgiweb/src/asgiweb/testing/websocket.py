"""The client's end of a websocket, with the application in a task of the same event loop at the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import httpx
import msgspec

from ..asgi import FAULTS, ASGIApplication, Message, Scope
from ..errors import WebSocketDisconnect
from .leaving import ClientLeft, is_of_leaving

Model = TypeVar("Model")

#: What comes from the application when it has ended.
_ENDED: Message = {"type": "ended"}

#: Messages of the application that the test has not received; for more it has to wait.
_UNREAD = 1000


class WebSocketDenied(Exception):
    """The application has refused the websocket, with ``response``."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"the websocket was answered {response.status_code}: {response.text[:200]!r}")
        self.response = response


class TestWebSocket:
    """A websocket of `TestClient.websocket`: entering opens it, leaving closes it and waits for its end.

    Raises WebSocketDenied where the application refuses it, WebSocketDisconnect where it has closed it,
    TimeoutError where it does neither, and what the application itself has raised.
    """

    __test__ = False  # its name does not make it a test

    def __init__(
        self,
        app: ASGIApplication,
        scope: Scope,
        request: httpx.Request,
        cookies: httpx.Cookies,
        *,
        timeout: float | None,
        raise_exceptions: bool,
    ) -> None:
        self._app = app
        self._scope = scope
        self._request = request
        self._cookies = cookies
        self._timeout = timeout
        self._raise_exceptions = raise_exceptions
        self._faults: list[BaseException] = []
        scope[FAULTS] = self._faults
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        # Set unless the application has to wait for the test to receive.
        self._room = asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None
        #: The subprotocol that was agreed on, or None.
        self.subprotocol: str | None = None
        #: The headers of the acceptance.
        self.headers = httpx.Headers()
        #: How it was closed; None until then.
        self.close_code: int | None = None
        self.close_reason = ""

    async def __aenter__(self) -> Self:
        """Open it."""
        self._task = asyncio.create_task(self._run())
        self._to_app.put_nowait({"type": "websocket.connect"})
        try:
            await self._open()
        except BaseException:
            await self._end_task()
            raise
        return self

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive_by_app, self._send_by_app)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # Also what pytest.fail() raises in a handler.
            if not (self.close_code is not None and is_of_leaving(error)):
                self._faults.append(error)
        finally:
            self._from_app.put_nowait(_ENDED)

    async def _receive_by_app(self) -> Message:
        message = await self._to_app.get()
        if message["type"] == "websocket.disconnect":
            # Whoever asks again is told again.
            self._to_app.put_nowait(message)
        return message

    async def _send_by_app(self, message: Message) -> None:
        if self.close_code is not None:
            raise ClientLeft("the client has closed the websocket")
        self._from_app.put_nowait(message)
        if self._from_app.qsize() >= _UNREAD:
            self._room.clear()
        await self._room.wait()

    async def _open(self) -> None:
        message = await self._next()
        if message["type"] == "websocket.accept":
            self.subprotocol = message.get("subprotocol")
            headers = list(message.get("headers", ()))
            self.headers = httpx.Headers(headers)
            self._cookies.extract_cookies(httpx.Response(101, headers=headers, request=self._request))
            return
        status, headers, body = 403, [], b""
        if message["type"] == "websocket.http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
            more = True
            while more:
                message = await self._next()
                body += message.get("body", b"")
                more = message.get("more_body", False)
        await self._wait_for_the_end()
        self._raise_fault()
        if message is _ENDED:
            status = 500
        response = httpx.Response(status, headers=headers, content=body, request=self._request)
        self._cookies.extract_cookies(response)
        raise WebSocketDenied(response)

    async def _next(self) -> Message:
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._from_app.get()
        except TimeoutError:
            raise TimeoutError(f"the application has sent nothing for {self._timeout} s") from None
        self._room.set()
        return message

    async def receive(self) -> str | bytes:
        """Wait for the next message."""
        if self.close_code is not None and self._from_app.empty():
            raise WebSocketDisconnect(self.close_code, self.close_reason)
        message = await self._next()
        if message["type"] == "websocket.send":
            data: str | bytes | None = message.get("text")
            return message["bytes"] if data is None else data
        if self.close_code is None:
            code = 1006 if message is _ENDED else message.get("code", 1000)
            self._closed(code, message.get("reason") or "")
            if code in (1006, 1011):
                await self._wait_for_the_end()
                self._raise_fault()
        return await self.receive()

    async def receive_text(self) -> str:
        """Wait for the next message. AssertionError if it is binary."""
        message = await self.receive()
        if isinstance(message, str):
            return message
        raise AssertionError(f"text was expected, and binary data has come: {message!r}")

    async def receive_bytes(self) -> bytes:
        """Wait for the next message. AssertionError if it is text."""
        message = await self.receive()
        if isinstance(message, bytes):
            return message
        raise AssertionError(f"binary data was expected, and text has come: {message!r}")

    @overload
    async def receive_json(self) -> Any: ...
    @overload
    async def receive_json(self, model: type[Model]) -> Model: ...
    @overload
    async def receive_json(self, model: Any) -> Any: ...
    async def receive_json(self, model: Any = Any) -> Any:
        """Wait for the next message, and decode it. ``msgspec.DecodeError`` if it is not that."""
        return msgspec.json.decode(await self.receive(), type=model)

    def __aiter__(self) -> Self:
        """Yield the messages until the application closes."""
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except WebSocketDisconnect:
            raise StopAsyncIteration from None

    async def send_text(self, text: str) -> None:
        """Send a text message."""
        self._send({"type": "websocket.receive", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        self._send({"type": "websocket.receive", "bytes": data})

    async def send_json(self, data: Any) -> None:
        """Send a text message with JSON in it."""
        self._send({"type": "websocket.receive", "text": msgspec.json.encode(data).decode()})

    def _send(self, message: Message) -> None:
        if self.close_code is not None:
            raise WebSocketDisconnect(self.close_code, self.close_reason)
        self._to_app.put_nowait(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, unless somebody has done so before."""
        if self.close_code is None:
            self._closed(code, reason)

    def _closed(self, code: int, reason: str) -> None:
        self.close_code = code
        self.close_reason = reason
        self._room.set()
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, and wait for the application to end. Raises what it has raised, unless the test has."""
        await self.close()
        try:
            await self._wait_for_the_end()
        except TimeoutError:
            if error is None:
                raise
        finally:
            await self._end_task()
        if error is None:
            self._raise_fault()

    async def _wait_for_the_end(self) -> None:
        """TimeoutError if the application's part goes on."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=self._timeout)
            if not self._task.done():
                raise TimeoutError(f"the application still runs {self._timeout} s after the websocket's end")

    async def _end_task(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    def _raise_fault(self) -> None:
        if self._faults and self._raise_exceptions:
            raise self._faults.pop(0)


def websocket_scope(request: httpx.Request, subprotocols: Sequence[str], client: tuple[str, int]) -> Scope:
    """Return the scope of a websocket (ASGI www 2.5) for the request that a client would send first."""
    url = request.url
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    if subprotocols:
        headers.append((b"sec-websocket-protocol", ", ".join(subprotocols).encode()))
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "wss" if url.scheme in ("https", "wss") else "ws",
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": headers,
        "client": client,
        "server": (url.host, url.port),
        "subprotocols": list(subprotocols),
        "extensions": {"websocket.http.response": {}},
    }
