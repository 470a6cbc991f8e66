"""The client: httpx, with the application in place of a network."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import httpx

from ..asgi import ASGIApplication, Receive, Scope, Send
from .exchange import Exchange, http_scope
from .lifespan import RunningLifespan
from .websocket import TestWebSocket, websocket_scope


class TestClient(httpx.AsyncClient):
    """An ``httpx.AsyncClient`` whose requests the application answers, in the same event loop.

    ``async with`` runs the application's lifespan. What the application would log as a fault is raised in
    the test, unless ``raise_exceptions`` is False: then the test sees the 500 that a client would.
    ``timeout`` is in seconds, for each wait for the application, its lifespan too; TimeoutError after that.
    """

    __test__ = False  # its name does not make it a test

    def __init__(
        self,
        app: ASGIApplication,
        *,
        raise_exceptions: bool = True,
        base_url: str = "http://test",
        headers: Mapping[str, str] | None = None,
        cookies: httpx.Cookies | dict[str, str] | None = None,
        follow_redirects: bool = False,
        client: tuple[str, int] = ("127.0.0.1", 50000),
        timeout: float | None = 10.0,
    ) -> None:
        self.app = app
        self.raise_exceptions = raise_exceptions
        self._peer = client
        self._lifespan = RunningLifespan(app, timeout, raise_exceptions=raise_exceptions)
        super().__init__(
            transport=_Transport(self._app_with_state, raise_exceptions=raise_exceptions, client=client),
            base_url=base_url,
            headers=headers,
            cookies=cookies,
            follow_redirects=follow_redirects,
            timeout=timeout,
        )

    async def __aenter__(self) -> Self:
        """Start the application. Raises what its lifespan raises."""
        await super().__aenter__()  # first, because it refuses a client that is open, or was
        try:
            await self._lifespan.start()
        except BaseException:
            await super().__aexit__()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Stop the application. Raises what its lifespan raises."""
        try:
            await super().__aexit__(kind, error, trace)
        finally:
            await self._lifespan.stop()

    async def _app_with_state(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = self._lifespan.state.copy()
        await self.app(scope, receive, send)

    def websocket(
        self,
        url: str,
        *,
        subprotocols: Sequence[str] = (),
        params: Mapping[str, str | int | float | bool | None] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = 5.0,
    ) -> TestWebSocket:
        """Open a websocket by ``async with``; cookies and headers are those of this client's requests.

        ``timeout`` is in seconds, for each wait for the application; TimeoutError after that.
        """
        request = self.build_request("GET", url, params=params, headers=headers)
        scope = websocket_scope(request, subprotocols, self._peer)
        return TestWebSocket(
            self._app_with_state,
            scope,
            request,
            self.cookies,
            timeout=timeout,
            raise_exceptions=self.raise_exceptions,
        )


class _Transport(httpx.AsyncBaseTransport):
    """The application in place of a network."""

    def __init__(self, app: ASGIApplication, *, raise_exceptions: bool, client: tuple[str, int]) -> None:
        self._app = app
        self._raise_exceptions = raise_exceptions
        self._client = client
        self._open: set[Exchange] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        exchange = Exchange(
            self._app,
            http_scope(request, self._client),
            request,
            timeout=request.extensions.get("timeout", {}).get("read"),
            raise_exceptions=self._raise_exceptions,
        )
        self._open.add(exchange)
        exchange.task.add_done_callback(lambda _: self._open.discard(exchange))
        try:
            await exchange.start()
        except BaseException:
            # If the test does not wait any longer, the application may see that in its own time.
            exchange.leave()
            raise
        return httpx.Response(exchange.status, headers=exchange.headers, stream=_Body(exchange))

    async def aclose(self) -> None:
        """End what is still running, which nobody waits for any more."""
        for exchange in tuple(self._open):
            await exchange.cancel()


class _Body(httpx.AsyncByteStream):
    """The body of a response, as httpx reads it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._exchange.pieces()

    async def aclose(self) -> None:
        """Leave, and wait for the application to see it. Raises what it has raised, unless the test has."""
        failing = sys.exc_info()[1] is not None
        try:
            await self._exchange.end()
        except Exception:
            if not failing:
                raise
