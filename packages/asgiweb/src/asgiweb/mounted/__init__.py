"""Running what is mounted: its answers to requests, its side of websockets, and its lifespan."""

from __future__ import annotations

from typing import Any

from ..asgi import ASGIApplication, Scope
from ..request import Request
from ..response import Response
from ..websockets import Handshake
from .answering import Answering
from .conversing import Conversing


async def answer(request: Request[Any], app: ASGIApplication, scope: Scope) -> Response:
    """Let a mounted application answer, up to its head; what follows is the response's stream."""
    if isinstance(request, Handshake):
        return await Conversing(request, app, scope).response()
    return await Answering(app, scope, request.receive).response()
