"""A limit of the requests in progress: where it is reached, further ones are answered with 503 at once.

It wraps the application when the server starts, so that a server without the limit does not know of it.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from .types import ASGIApplication, Receive, Scope, Send

logger: Final = logging.getLogger("asgiserve.error")

#: Seconds after which a client may ask again (RFC 9110 §10.2.3): requests in progress end all the time.
RETRY_AFTER: Final = 1

#: Seconds between two lines of the log about requests that were turned away.
QUIET: Final = 10.0

_HEADERS: Final = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"retry-after", b"%d" % RETRY_AFTER),
    (b"cache-control", b"no-store"),
)
_TEXT: Final = b"too many requests are in progress\n"


def limited(app: ASGIApplication, limit: int) -> ASGIApplication:
    """The application, called at most `limit` times at once; 0 stands for no limit."""
    # A method: calling an object instead would cost twice the 0.15 µs that the limit does.
    return ConcurrencyLimit(app, limit).call if limit else app


class ConcurrencyLimit:
    """An application in front of another one, which is called at most so many times at once.

    What counts is that the application runs: from the head of the request until the application returns, even
    if the response is complete or the client has left before.
    """

    def __init__(self, app: ASGIApplication, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._running = 0
        self._turned_away = 0  # since the last line of the log about it
        self._quiet_until = 0.0

    async def call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application if there is room for one more request, else turn it away."""
        if self._running >= self._limit:
            self._tell()
            await _turn_away(scope, receive, send)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1

    def _tell(self) -> None:
        self._turned_away += 1
        now = time.monotonic()
        if now >= self._quiet_until:
            logger.warning(
                "limit_concurrency is reached: %d in progress, %d turned away with 503",
                self._running,
                self._turned_away,
            )
            self._turned_away = 0
            self._quiet_until = now + QUIET


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503; the connection goes on, because a new one would be another burden."""
    kind = ""
    if scope["type"] == "websocket":
        await receive()
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1013})  # "try again later"
            return
        kind = "websocket."
    await send({"type": f"{kind}http.response.start", "status": 503, "headers": _HEADERS})
    await send({"type": f"{kind}http.response.body", "body": _TEXT})
