"""Composing middlewares and a handler into one callable, once for each route.

``compose([a, b], handler)`` is ``a`` around ``b`` around ``handler``: plain calls in one task. Each step
below a middleware is guarded: whatever raises there has become a response when the middleware sees it,
so the headers that a middleware adds are on every answer, 500 included.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from types import FunctionType, MethodType
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
    if not middlewares:
        return handler
    outermost, *others = map(_called, middlewares)
    handler = guarded(handler, answer)
    for middleware in reversed(others):
        handler = _guarded_step(middleware, handler, answer)

    def step(request: Request[Any]) -> Coroutine[Any, Any, Response]:
        return outermost(request, handler)

    return step


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


def _called(middleware: Any) -> Middleware[Any]:
    """Return what is called: of an object its method, which takes 0.08 µs less than to call the object."""
    is_function = isinstance(middleware, FunctionType | MethodType | partial)
    called: Middleware[Any] = middleware if is_function else middleware.__call__
    return called


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


# The same around a middleware. Made of guarded() and one more function it takes 0.03 of 0.28 µs longer.
def _guarded_step(middleware: Middleware[Any], handler: Handler, answer: Answer) -> Handler:
    async def guarded(request: Request[Any]) -> Response:
        try:
            response = await middleware(request, handler)
            if not isinstance(response, Response):
                raise not_a_response(request, response)
        except Exception as error:
            response = await answer(request, error)
        if response.stream is not None:
            request.streams += (response.stream,)
        return response

    return guarded


def not_a_response(request: Request[Any], result: object) -> TypeError:
    """Make the error for a handler or middleware that returns something else than a Response."""
    return TypeError(
        f"the answer to {request!r} is {type(result).__name__} and not a Response: "
        f"a handler returns Response(...), json_response(...) or the like, and a middleware what it was given"
    )
