"""The client: httpx, with the application in place of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import httpx

from ..asgi import FAULTS, ASGIApplication, Receive, Scope, Send
from .lifespan import RunningLifespan
from .websocket import TestWebSocket, websocket_scope


class TestClient(httpx.AsyncClient):
    """An ``httpx.AsyncClient`` whose requests the application answers, in the same event loop and task.

    ``async with`` runs the application's lifespan. What the application would log as a fault is raised in
    the test, unless ``raise_exceptions`` is False: then the test sees the 500 that a client would.
    """

    __test__ = False  # its name does not make it a test

    def __init__(
        self,
        app: ASGIApplication,
        *,
        raise_exceptions: bool = True,
        base_url: str = "http://test",
        headers: Mapping[str, str] | None = None,
        cookies: dict[str, str] | None = None,
        follow_redirects: bool = False,
        client: tuple[str, int] = ("127.0.0.1", 50000),
    ) -> None:
        self.app = app
        self.raise_exceptions = raise_exceptions
        self._peer = client
        self._lifespan = RunningLifespan(app, raise_exceptions=raise_exceptions)
        super().__init__(
            transport=_Transport(self._app_with_state, raise_exceptions=raise_exceptions, client=client),
            base_url=base_url,
            headers=headers,
            cookies=cookies,
            follow_redirects=follow_redirects,
        )

    async def __aenter__(self) -> Self:
        """Start the application. Raises what its lifespan raises."""
        await self._lifespan.start()
        await super().__aenter__()
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
        params: Mapping[str, str] | None = None,
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
    """httpx.ASGITransport, which raises also what the application has caught and logged as a fault."""

    def __init__(self, app: ASGIApplication, *, raise_exceptions: bool, client: tuple[str, int]) -> None:
        self._app = app
        self._raise_exceptions = raise_exceptions
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        faults: list[Exception] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope[FAULTS] = faults
            await self._app(scope, receive, send)

        transport = httpx.ASGITransport(app, raise_app_exceptions=self._raise_exceptions, client=self._client)
        response = await transport.handle_async_request(request)
        if faults and self._raise_exceptions:
            raise faults[0]
        return response
