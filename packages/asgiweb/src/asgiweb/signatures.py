"""Reading the signatures of handlers and middlewares, once, when they are registered.

A handler names the path parameters that it wants. One that the path does not have, or whose annotation its
converter cannot satisfy, is a mistake that shows here and not in the first request.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from types import UnionType
from typing import Any, TypeVar

from .errors import RegistrationError
from .handlers import AnyRouteHandler, AnyWebSocketHandler, Handler
from .request import Request
from .websockets import WebSocket

Result = TypeVar("Result")

_BY_POSITION = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


def location_of(function: Callable[..., Any]) -> str:
    """Return file, line and name of a function, for messages."""
    target = _innermost(function)
    code = getattr(target, "__code__", None)
    if code is None:
        # Written in C, so it has no place: its name has to do.
        return repr(function)
    return f"{code.co_filename}:{code.co_firstlineno} {target.__qualname__}"


def _innermost(function: Callable[..., Any]) -> Any:
    """Return the function that was written: below decorators, partial() and objects that can be called."""
    target: Any = inspect.unwrap(function)
    while isinstance(target, partial):
        target = inspect.unwrap(target.func)
    return target if hasattr(target, "__code__") else type(target).__call__


def bind_handler(handler: AnyRouteHandler, types: Mapping[str, type[Any]]) -> Handler:
    """Make of a handler, and its path's parameters, what is called with the request alone.

    RegistrationError if the handler is no coroutine function or wants what the path does not have.
    """
    return _bound(handler, types, Request)


def bind_websocket_handler(
    handler: AnyWebSocketHandler, types: Mapping[str, type[Any]]
) -> Callable[[WebSocket[Any]], Coroutine[Any, Any, None]]:
    """Make of a websocket's handler what is called with the websocket alone; otherwise as above."""
    return _bound(handler, types, WebSocket)


def _bound(
    handler: Callable[..., Coroutine[Any, Any, Result]], types: Mapping[str, type[Any]], subject: type[Any]
) -> Callable[[Any], Coroutine[Any, Any, Result]]:
    _check_async(handler, "a handler")
    noun = subject.__name__.lower()
    parameters = list(_signature(handler).parameters.values())
    if not parameters or parameters[0].kind not in _BY_POSITION:
        raise RegistrationError(f"a handler takes the {noun} by position, before the path's parameters")
    first, *others = parameters
    _check_subject(first, handler, subject)
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in others):
        if first.name in types:
            raise RegistrationError(
                f"the path's parameter {first.name!r} is what the handler calls its {noun}"
            )
        return _bind(handler, tuple(types), everything=True)
    wanted = [parameter for parameter in others if parameter.kind is not inspect.Parameter.VAR_POSITIONAL]
    for parameter in wanted:
        _check_parameter(parameter, handler, types)
    names = tuple(parameter.name for parameter in wanted if parameter.name in types)
    if len(names) == 1 and _takes_by_position(handler, others[0], names[0]):
        return _bind_one(handler, names[0])
    return _bind(handler, names, everything=len(names) == len(types))


def _bind(
    handler: Callable[..., Coroutine[Any, Any, Result]], names: tuple[str, ...], *, everything: bool
) -> Callable[[Any], Coroutine[Any, Any, Result]]:
    if not names:
        return handler
    if everything:
        return lambda subject: handler(subject, **subject.match_info)

    def call(subject: Request[Any] | WebSocket[Any]) -> Coroutine[Any, Any, Result]:
        match_info = subject.match_info
        return handler(subject, **{name: match_info[name] for name in names})

    return call


def _takes_by_position(handler: Callable[..., Any], second: inspect.Parameter, name: str) -> bool:
    # What a decorator shows is the signature of what is below it; it may take all but the first by name only.
    plain = inspect.isfunction(handler) or inspect.ismethod(handler)
    if not plain or hasattr(handler, "__wrapped__") or hasattr(handler, "__signature__"):
        return False
    return second.name == name and second.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD


def _bind_one(
    handler: Callable[..., Coroutine[Any, Any, Result]], name: str
) -> Callable[[Any], Coroutine[Any, Any, Result]]:
    # Most paths have one parameter, and without a dict of keywords the call takes 0.1 µs less.
    return lambda subject: handler(subject, subject.match_info[name])


def check_middleware(middleware: Callable[..., Any]) -> None:
    """RegistrationError, with file and line, if this cannot be called as a middleware is."""
    _check_pair(middleware, "a middleware", "the handler")


def check_error_handler(handler: Callable[..., Any]) -> None:
    """RegistrationError, with file and line, if this cannot be called as an error handler is."""
    _check_pair(handler, "an error handler", "the exception")


def _check_pair(function: Callable[..., Any], what: str, second: str) -> None:
    what = f"{location_of(function)}: {what}"
    _check_async(function, what)
    try:
        _signature(function).bind(None, None)
    except TypeError:
        raise RegistrationError(f"{what} takes two arguments, the request and {second}") from None


def _check_async(function: Callable[..., Any], what: str) -> None:
    called = function.func if isinstance(function, partial) else function
    if not (inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(type(called).__call__)):
        raise RegistrationError(
            f"{what} is defined with 'async def'; what blocks runs in a thread by asyncio.to_thread()"
        )


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        # Annotations are evaluated late there, and may name what only type checkers import.
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def _check_subject(parameter: inspect.Parameter, handler: Callable[..., Any], subject: type[Any]) -> None:
    """Refuse a handler of requests where websockets are what comes, and the other way round."""
    annotation = _evaluated(parameter.annotation, handler)
    wanted = typing.get_origin(annotation) or annotation
    if wanted in (Request, WebSocket) and wanted is not subject:
        raise RegistrationError(
            f"the handler wants a {wanted.__name__}, and here it is given a {subject.__name__}: "
            f"'@app.websocket' is for websockets, and '@app.get' and its like for requests"
        )


def _check_parameter(
    parameter: inspect.Parameter, handler: Callable[..., Any], types: Mapping[str, type[Any]]
) -> None:
    if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        raise RegistrationError(
            f"parameters of the path are given by name, and {parameter.name!r} takes none"
        )
    if parameter.name not in types:
        if parameter.default is not inspect.Parameter.empty:
            return
        known = ", ".join(types) or "none"
        raise RegistrationError(
            f"the handler wants {parameter.name!r}, which is no parameter of the path; there are {known}"
        )
    annotation = _evaluated(parameter.annotation, handler)
    given = types[parameter.name]
    if not _fits(given, annotation):
        wanted = getattr(annotation, "__name__", annotation)
        raise RegistrationError(
            f"the handler wants {parameter.name!r} as {wanted}, and the path gives it as {given.__name__}"
        )


def _evaluated(annotation: Any, handler: Callable[..., Any]) -> Any:
    """Return what an annotation means; Any where that cannot be found out."""
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, _innermost(handler).__globals__)
    except Exception:
        # It names what only type checkers import, or what is local to a function: they will have to check it.
        return Any


def _fits(given: type[Any], annotation: Any) -> bool:
    """Tell whether a value of a converter's type is what an annotation asks for; True in case of doubt."""
    if typing.get_origin(annotation) in (typing.Union, UnionType):
        return any(_fits(given, choice) for choice in typing.get_args(annotation))
    if typing.get_origin(annotation) is typing.Annotated:
        return _fits(given, typing.get_args(annotation)[0])
    if isinstance(annotation, typing.NewType):
        return _fits(given, annotation.__supertype__)
    if annotation is Any or not isinstance(annotation, type):
        return annotation is not None
    return issubclass(given, annotation) or (given is int and annotation is float)
