"""A limit for the time that a handler takes until it returns its response."""

from __future__ import annotations

import asyncio
from typing import Any

from ..errors import RegistrationError
from ..exceptions import HTTPServiceUnavailable
from ..handlers import Handler
from ..request import Request
from ..response import Response


class Timeout:
    """Cancels what takes longer than ``seconds`` to return a response, and answers 503.

    503 and not 504: this is for gateways whose upstream is late (RFC 9110, 15.6.4 and 15.6.5), and here it is
    this server that is. A stream may take any time once it is returned, and so may websockets.
    """

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise RegistrationError(f"Timeout({seconds!r}): a timeout is more than 0 seconds")
        #: How long the response may take, in seconds; reading the body counts.
        self.seconds = seconds

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        """Let the handler answer in time."""
        if request.websocket is not None:
            return await handler(request)
        deadline = asyncio.timeout(self.seconds)
        try:
            async with deadline:
                return await handler(request)
        except TimeoutError:
            # One of the handler's own has become a response below; what gets here otherwise is not of this
            # deadline.
            if not deadline.expired():
                raise
        raise HTTPServiceUnavailable(f"this took longer than {self.seconds:g} seconds")
