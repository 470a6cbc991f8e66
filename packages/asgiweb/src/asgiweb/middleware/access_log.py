"""The access log: a line for each request, when its response is complete or has failed.

A middleware sees a response before it is sent. So this looks at what the application gives to ``send``, which
is what the client gets, whatever outer middlewares and error handlers have made of it; and at the end of the
request, which comes in every case.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from typing import Any, Literal

from ..asgi import Message, Send
from ..errors import RegistrationError
from ..handlers import Handler
from ..request import Request
from ..response import Response
from .access_lines import Outcome, json_line, text_line


class AccessLog:
    """Logs requests at level INFO to the logger "asgiweb.access", as text or as JSON; first in the list.

    With ``query`` the path has its query, in which secrets often are.
    """

    def __init__(
        self,
        *,
        format: Literal["text", "json"] = "text",
        query: bool = False,
        logger: logging.Logger | str = "asgiweb.access",
    ) -> None:
        if format not in ("text", "json"):
            raise RegistrationError(f"AccessLog(format={format!r}): there are 'text' and 'json'")
        self._line = json_line if format == "json" else text_line
        self._query = query
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        """Let the handler answer, and log it."""
        if not self._logger.isEnabledFor(logging.INFO):
            return await handler(request)
        entry = _Entry(request, self)
        request.send_wrappers += (entry.counting,)
        # What is here is closed at the end of the request, the first one last.
        request.streams = (entry, *request.streams)
        return await handler(request)

    def write(self, outcome: Outcome) -> None:
        """Write the line of one request."""
        line = self._line(outcome, query=self._query)
        # Not info(), which looks for the line of code that it is called from.
        logger = self._logger
        logger.handle(logger.makeRecord(logger.name, logging.INFO, __file__, 0, line, (), None))


class _Entry:
    """What is known of one request's answer, until it is logged: once."""

    __slots__ = ("_began", "_complete", "_log", "_request", "_size", "_start", "_status")

    def __init__(self, request: Request[Any], log: AccessLog) -> None:
        self._request = request
        self._log: AccessLog | None = log
        self._began = time.perf_counter()
        self._status: int | None = None
        self._size = 0
        # It declares the size of a file that the server sends by itself.
        self._start: Message = {}
        self._complete = False

    def counting(self, send: Send) -> Send:
        async def counted(message: Message) -> None:
            await send(message)
            kind = message["type"]
            if kind == "http.response.start":
                self._status = message["status"]
                self._start = message
                return
            if kind == "http.response.body":
                self._size += len(message.get("body", b""))
            elif kind in ("http.response.pathsend", "http.response.zerocopysend"):
                self._size += message.get("count") or _content_length(self._start)
            else:
                return
            if not message.get("more_body", False):
                self._complete = True
                self._write()
                # There is nothing left to close, which saves a third of what all this takes.
                request = self._request
                request.streams = tuple(stream for stream in request.streams if stream is not self)

        return counted

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise TypeError("this is no stream: it is closed with them, at the end of the request")

    async def aclose(self) -> None:
        """Log what has not come to its end, and websockets."""
        ws = self._request.websocket
        if ws is not None and ws.accepted:
            self._status, self._complete = 101, True
        elif ws is not None and ws.close_code is not None and self._status is None:
            # Refused without a response, which a server answers by itself.
            self._status, self._complete = 403, True
        self._write()

    def _write(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            seconds = time.perf_counter() - self._began
            log.write(Outcome(self._request, self._status, self._size, seconds, self._complete))


def _content_length(start: Message) -> int:
    for name, value in start.get("headers", ()):
        # A number of more digits is none of bytes, and what is no number is the server's to refuse.
        if name == b"content-length" and value.isdigit() and len(value) <= 18:
            return int(value)
    return 0
