"""A limit for the bodies of requests, for some of the routes."""

from __future__ import annotations

from typing import Any

from ..errors import RegistrationError
from ..exceptions import HTTPContentTooLarge
from ..handlers import Handler
from ..request import Request
from ..response import Response


class BodyLimit:
    """Lowers or raises the application's ``max_body_size`` for what is below; in bytes, 0 for no limit.

    A Content-Length above it is answered 413 before the handler is called, and a body without one when it
    has passed the limit (RFC 9110, 15.5.14). A ``max_body_size`` of the route itself, which is nearer, wins.
    """

    __slots__ = ("max_size",)

    def __init__(self, max_size: int) -> None:
        if max_size < 0:
            raise RegistrationError(f"BodyLimit({max_size!r}): a limit is a number of bytes, 0 for none")
        #: The limit in bytes, 0 for none.
        self.max_size = max_size

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        """Let the handler answer, within the limit."""
        route = request.route
        if route is None or route.max_body_size is None:
            request.max_body_size = self.max_size
        limit = request.max_body_size
        if limit:
            for name, value in request.scope["headers"]:
                # What is no number is answered 400 when the body is read.
                if name == b"content-length" and value.isdigit() and _exceeds(value, limit):
                    raise HTTPContentTooLarge(f"the body is larger than {limit} bytes")
        return await handler(request)


def _exceeds(digits: bytes, limit: int) -> bool:
    # int() refuses texts of some thousand digits.
    return len(digits) > 18 or int(digits) > limit
