"""A name for each request, in the answer and in the lines of the log that it causes.

The trace ID of a valid ``traceparent`` is that name (W3C Trace Context, 3.2); the header itself stays what it
is, for who calls other services. A name that a client chooses could be that of somebody else's request, so
the header is believed only if it is said to come from a proxy.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from multidict import istr

from ..errors import RegistrationError
from ..handlers import Handler
from ..headers import TOKEN
from ..request import Request
from ..response import Response
from .fields import field_value

# Version 00 has exactly these fields, later ones may have more; 255 is none. No zeros for IDs, no capitals.
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace_id>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-.*)?"
)
# Nothing that means anything in a log, a header or a shell.
_SAFE_ID = re.compile(r"[0-9A-Za-z_.:=+/\-]{1,128}")

#: Where in the context of a request its name is.
REQUEST_ID = "asgiweb.request_id"
_current: ContextVar[str | None] = ContextVar(REQUEST_ID, default=None)


class RequestId:
    """Names each request: ``request_id(request)``, and the response's header.

    ``trusted`` says that whoever sends ``header`` may choose the name, of 128 safe characters at most.
    ``traceparent`` takes the trace ID where there is one. ``generate`` makes the other names: 32 hexadecimal
    digits, as trace IDs are.
    """

    def __init__(
        self,
        *,
        header: str = "x-request-id",
        trusted: bool = False,
        traceparent: bool = True,
        generate: Callable[[], str] | None = None,
    ) -> None:
        if TOKEN.fullmatch(header) is None:
            raise RegistrationError(f"RequestId: {header!r} is no name of a header, such as 'x-request-id'")
        self._header = istr(header)
        self._field = header.lower().encode() if trusted else None
        self._traceparent = traceparent
        self._generate = generate or _new_id

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        """Find or make the name, and put it into the answer."""
        context = request.context
        # One that is further out has named it already.
        identifier = context.get(REQUEST_ID) or self._received(request) or self._generate()
        context[REQUEST_ID] = identifier
        # It is not taken back: the stream of a response runs in this task, after this has returned.
        _current.set(identifier)
        response = await handler(request)
        response.headers[self._header] = identifier
        return response

    def _received(self, request: Request[Any]) -> str | None:
        if self._field is not None:
            value = field_value(request.scope, self._field)
            if value is not None and _SAFE_ID.fullmatch(value):
                return value
        if self._traceparent:
            return trace_id(field_value(request.scope, b"traceparent"))
        return None


class RequestIdFilter(logging.Filter):
    """A filter of logging that sets ``record.request_id``, "-" where no request is answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, with the name of the request."""
        record.request_id = _current.get() or "-"
        return True


def request_id(request: Request[Any]) -> str:
    """Return the request's name. RegistrationError without RequestId."""
    identifier = request.context.get(REQUEST_ID)
    if identifier is None:
        raise RegistrationError("there is no request ID: put RequestId() into the application's middlewares")
    return str(identifier)


def trace_id(traceparent: str | None) -> str | None:
    """Return the trace ID of a traceparent header; None if there is none or it is not valid (3.2.2)."""
    match = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent)
    if match is None or (match["version"] == "00" and match["more"]):
        return None
    return match["trace_id"]


def _new_id() -> str:
    return os.urandom(16).hex()
