"""Composing middlewares and a handler into one callable, once for each route.

``compose([a, b], handler)`` is ``a`` around ``b`` around ``handler``: plain calls in one task. Each step
below a middleware is guarded: whatever raises there has become a response when the middleware sees it,
so the headers that a middleware adds are on every answer, 500 included.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from .handlers import Handler, Middleware
from .request import Request
from .response import Response

if TYPE_CHECKING:
    from .error_handlers import ErrorHandlers
    from .routing import Route

Answer: TypeAlias = Callable[[Request[Any], Exception], Awaitable[Response]]


def compose(middlewares: Sequence[Middleware[Any]], handler: Handler, answer: Answer) -> Handler:
    """Put middlewares around a handler, the first outermost; ``answer`` makes responses of exceptions.

    The outermost step is left without a guard: it is for the caller to answer what comes out of it.
    """
    for middleware in reversed(middlewares):
        handler = _around(middleware, guarded(handler, answer))
    return handler


def compose_route(route: Route, middlewares: Sequence[Middleware[Any]], errors: ErrorHandlers) -> Handler:
    """Put around a route's handler its own middlewares, those of its groups, and the application's.

    A group's error handlers answer inside of its middlewares, before the ones further out are asked.
    """
    answering = [errors]
    for layer in route.layers:
        answering.append(answering[-1].inside(layer.error_handlers))
    inner = answering.pop()
    handler = compose(route.middlewares, route.bound_handler, inner.answer)
    for layer in reversed(route.layers):
        outer = answering.pop()
        if inner is not outer:
            handler = guarded(handler, inner.answer)
        handler = compose(layer.middlewares, handler, outer.answer)
        inner = outer
    return compose(middlewares, handler, errors.answer)


def _around(middleware: Middleware[Any], handler: Handler) -> Handler:
    def step(request: Request[Any]) -> Coroutine[Any, Any, Response]:
        return middleware(request, handler)

    return step


def guarded(handler: Handler, answer: Answer) -> Handler:
    """Let a handler return a response whatever it raises: ``answer`` makes one of it."""

    async def step(request: Request[Any]) -> Response:
        try:
            response = await handler(request)
            if not isinstance(response, Response):
                raise not_a_response(request, response)
        except Exception as error:
            response = await answer(request, error)
        if response.stream is not None:
            # The middleware may drop the response, or raise.
            request.streams += (response.stream,)
        return response

    return step


def not_a_response(request: Request[Any], result: object) -> TypeError:
    """Make the error for a handler or middleware that returns something else than a Response."""
    return TypeError(
        f"the answer to {request!r} is {type(result).__name__} and not a Response: "
        f"a handler returns Response(...), json_response(...) or the like, and a middleware what it was given"
    )
