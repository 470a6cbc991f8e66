"""The shapes of the functions that users write: handlers, middlewares, error handlers, lifespans.

A handler is called with the request, or the websocket, and with the path parameters that it names. What a
middleware gets as ``handler`` wants only the request: the parameters are bound below it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Concatenate, Protocol, TypeAlias

from .request import Request
from .response import Response
from .typevars import Error, Parameters, State
from .websockets import WebSocket

if TYPE_CHECKING:
    from .application import Application

#: What a middleware gets and calls.
Handler: TypeAlias = Callable[[Request[Any]], Awaitable[Response]]
#: A function around handlers.
Middleware: TypeAlias = Callable[[Request[State], Handler], Coroutine[Any, Any, Response]]
#: What answers a route: takes the request, and parameters of its path by name.
RouteHandler: TypeAlias = Callable[Concatenate[Request[State], Parameters], Coroutine[Any, Any, Response]]
AnyRouteHandler: TypeAlias = Callable[..., Coroutine[Any, Any, Response]]
#: What a websocket's route calls: takes the websocket, and parameters of its path by name.
WebSocketHandler: TypeAlias = Callable[Concatenate[WebSocket[State], Parameters], Coroutine[Any, Any, None]]
AnyWebSocketHandler: TypeAlias = Callable[..., Coroutine[Any, Any, None]]
#: What answers exceptions of a class.
ErrorHandler: TypeAlias = Callable[[Request[State], Error], Coroutine[Any, Any, Response]]
AnyErrorHandler: TypeAlias = Callable[[Request[Any], Any], Coroutine[Any, Any, Response]]

#: What an application's state lives in.
Lifespan: TypeAlias = "Callable[[Application[State]], AbstractAsyncContextManager[State]]"
#: An entry of ``on_startup`` or ``on_shutdown``.
Hook: TypeAlias = "Callable[[Application[State]], Awaitable[None] | None]"


class ErrorRegistrar(Protocol[State]):
    """Registers what answers a status, and gives it back unchanged."""

    def __call__(self, handler: ErrorHandler[State, Error], /) -> ErrorHandler[State, Error]:
        """Register ``handler``."""
