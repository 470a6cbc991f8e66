"""Reading the signatures of handlers and middlewares, once, when they are registered.

A handler names the path parameters that it wants. One that the path does not have, or whose annotation its
converter cannot satisfy, is a mistake that shows here and not in the first request.
"""

from __future__ import annotations

import builtins
import inspect
import sys
import typing
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from types import FunctionType, UnionType
from typing import Any, NamedTuple, TypeVar

from .errors import RegistrationError
from .handlers import AnyRouteHandler, AnyWebSocketHandler, Handler
from .request import Request
from .websockets import WebSocket

Result = TypeVar("Result")

_EMPTY = inspect.Parameter.empty
_POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
_POSITIONAL_OR_KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD
_VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
_KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY
_VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD


class Argument(NamedTuple):
    """What a function takes, as far as it matters here."""

    name: str
    kind: Any
    required: bool
    annotation: Any


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
    if _is_plain(function):
        return function
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
    arguments = arguments_of(handler)
    if not arguments or arguments[0].kind in (_KEYWORD_ONLY, _VAR_KEYWORD):
        raise RegistrationError(f"a handler takes the {noun} by position, before the path's parameters")
    first, *others = arguments
    _check_subject(first, handler, subject)
    _check_is_no_parameter(first, handler, types)
    if others and others[-1].kind is _VAR_KEYWORD:
        if first.name in types:
            raise RegistrationError(
                f"the path's parameter {first.name!r} is what the handler calls its {noun}"
            )
        return _bind(handler, tuple(types), everything=True)
    wanted = [argument for argument in others if argument.kind is not _VAR_POSITIONAL]
    for argument in wanted:
        _check_argument(argument, handler, types)
    names = tuple([argument.name for argument in wanted if argument.name in types])
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


def _takes_by_position(handler: Callable[..., Any], second: Argument, name: str) -> bool:
    if second.name != name or second.kind is not _POSITIONAL_OR_KEYWORD:
        return False
    if _is_plain(handler):
        return True
    # What a decorator shows is the signature of what is below it; it may take all but the first by name only.
    plain = inspect.isfunction(handler) or inspect.ismethod(handler)
    return plain and not hasattr(handler, "__wrapped__") and not hasattr(handler, "__signature__")


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
    if isinstance(function, type):
        name = function.__name__
        raise RegistrationError(f"{name} is a class: {what} is a function, or an object such as {name}(...)")
    if not callable(function):
        raise RegistrationError(f"{function!r} is no function: {what} is 'async def', with two arguments")
    what = f"{location_of(function)}: {what}"
    _check_async(function, what)
    try:
        _signature(function).bind(None, None)
    except TypeError:
        raise RegistrationError(f"{what} takes two arguments, the request and {second}") from None


def _check_async(function: Callable[..., Any], what: str) -> None:
    if _is_plain(function) and function.__code__.co_flags & inspect.CO_COROUTINE:
        return
    called = function.func if isinstance(function, partial) else function
    if not (inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(type(called).__call__)):
        raise RegistrationError(
            f"{what} is defined with 'async def'; what blocks runs in a thread by asyncio.to_thread()"
        )


def _is_plain(function: Callable[..., Any]) -> typing.TypeGuard[FunctionType]:
    return type(function) is FunctionType and not function.__dict__


def arguments_of(function: Callable[..., Any]) -> list[Argument]:
    """Return what a function takes, in the order of its signature."""
    # inspect.signature() takes 20 us, most of what a route costs, and most handlers are plain functions.
    # From Python 3.14 on, annotations have to be asked for in a form that cannot fail.
    if _is_plain(function) and sys.version_info < (3, 14):
        return _arguments_of_plain(function)
    return [
        Argument(parameter.name, parameter.kind, parameter.default is _EMPTY, parameter.annotation)
        for parameter in _signature(function).parameters.values()
    ]


def _arguments_of_plain(function: FunctionType) -> list[Argument]:
    code = function.__code__
    annotations = function.__annotations__
    names = code.co_varnames
    positional = code.co_argcount
    required = positional - len(function.__defaults__ or ())
    arguments = [
        Argument(
            name,
            _POSITIONAL_ONLY if index < code.co_posonlyargcount else _POSITIONAL_OR_KEYWORD,
            index < required,
            annotations.get(name, _EMPTY),
        )
        for index, name in enumerate(names[:positional])
    ]
    end = positional + code.co_kwonlyargcount
    if code.co_flags & inspect.CO_VARARGS:
        arguments.append(Argument(names[end], _VAR_POSITIONAL, False, _EMPTY))
    defaults = function.__kwdefaults__ or {}
    arguments += [
        Argument(name, _KEYWORD_ONLY, name not in defaults, annotations.get(name, _EMPTY))
        for name in names[positional:end]
    ]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        name = names[end + bool(code.co_flags & inspect.CO_VARARGS)]
        arguments.append(Argument(name, _VAR_KEYWORD, False, _EMPTY))
    return arguments


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        # Annotations are evaluated late there, and may name what only type checkers import.
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def _check_subject(argument: Argument, handler: Callable[..., Any], subject: type[Any]) -> None:
    """Refuse a handler of requests where websockets are what comes, and the other way round."""
    annotation = _evaluated(argument.annotation, handler)
    if annotation is subject:
        return
    wanted = typing.get_origin(annotation) or annotation
    if wanted in (Request, WebSocket) and wanted is not subject:
        raise RegistrationError(
            f"the handler wants a {wanted.__name__}, and here it is given a {subject.__name__}: "
            f"'@app.websocket' is for websockets, and '@app.get' and its like for requests"
        )


def _check_is_no_parameter(
    first: Argument, handler: Callable[..., Any], types: Mapping[str, type[Any]]
) -> None:
    """Refuse ``handler(id: int)``, which asks for a parameter where the request comes."""
    annotation = _evaluated(first.annotation, handler)
    if first.name in types and annotation is not Any and _fits(types[first.name], annotation):
        raise RegistrationError(
            f"{first.name!r} would be the request: a handler takes that first, by position, and then the "
            f"path's parameters"
        )


def _check_argument(argument: Argument, handler: Callable[..., Any], types: Mapping[str, type[Any]]) -> None:
    if argument.kind is _POSITIONAL_ONLY:
        raise RegistrationError(f"parameters of the path are given by name, and {argument.name!r} takes none")
    if argument.name not in types:
        if not argument.required:
            return
        known = ", ".join(types) or "none"
        raise RegistrationError(
            f"the handler wants {argument.name!r}, which is no parameter of the path; there are {known}"
        )
    annotation = _evaluated(argument.annotation, handler)
    given = types[argument.name]
    if not _fits(given, annotation):
        wanted = getattr(annotation, "__name__", annotation)
        raise RegistrationError(
            f"the handler wants {argument.name!r} as {wanted}, and the path gives it as {given.__name__}"
        )


def _evaluated(annotation: Any, handler: Callable[..., Any]) -> Any:
    """Return what an annotation means; Any where that cannot be found out."""
    if annotation is _EMPTY:
        return Any
    if not isinstance(annotation, str):
        return annotation
    names = _innermost(handler).__globals__
    if annotation.isidentifier():
        # Most are, and eval() takes 5 us.
        return names.get(annotation, getattr(builtins, annotation, Any))
    try:
        return eval(annotation, names)
    except Exception:
        # It names what only type checkers import, or what is local to a function: they will have to check it.
        return Any


def _fits(given: type[Any], annotation: Any) -> bool:
    """Tell whether a value of a converter's type is what an annotation asks for; True in case of doubt."""
    if annotation is given:
        return True
    if typing.get_origin(annotation) in (typing.Union, UnionType):
        return any(_fits(given, choice) for choice in typing.get_args(annotation))
    if typing.get_origin(annotation) is typing.Annotated:
        return _fits(given, typing.get_args(annotation)[0])
    if isinstance(annotation, typing.NewType):
        return _fits(given, annotation.__supertype__)
    if annotation is Any or not isinstance(annotation, type):
        return annotation is not None
    return issubclass(given, annotation) or (given is int and annotation is float)
