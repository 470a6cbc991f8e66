"""The decorators that register a function as it is defined: ``@app.get("/users/{id:int}")``."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, Protocol, Unpack

from ..asgi import ASGIApplication
from ..errors import RegistrationError
from ..handlers import RouteHandler, WebSocketHandler
from ..signatures import location_of
from ..typevars import Parameters, State
from .definitions import (
    Definition,
    MountOptions,
    RouteOptions,
    WebSocketRouteOptions,
    define_mount,
    define_route,
    define_websocket,
)

if TYPE_CHECKING:
    from ..static import StaticDirectory, StaticOptions


class Registrar(Protocol[State]):
    """Registers the function it is called with, and gives it back unchanged."""

    def __call__(self, handler: RouteHandler[State, Parameters], /) -> RouteHandler[State, Parameters]:
        """Register ``handler``."""


class WebSocketRegistrar(Protocol[State]):
    """Registers the function it is called with, and gives it back unchanged."""

    def __call__(
        self, handler: WebSocketHandler[State, Parameters], /
    ) -> WebSocketHandler[State, Parameters]:
        """Register ``handler``."""


def _check_path(path: object) -> None:
    """Refuse a decorator without its path, which would take the handler for one and register nothing."""
    if callable(path):
        raise RegistrationError(f"{location_of(path)}: a route has a path: write @app.get('/path')")


class RouteDecorators(ABC, Generic[State]):
    """What registers routes by decorators. Each raises RegistrationError if the route cannot be right."""

    @abstractmethod
    def _define(self, definition: Definition) -> None:
        """Take a route in."""

    def route(
        self, path: str, *, methods: Iterable[str] = ("GET",), **options: Unpack[RouteOptions]
    ) -> Registrar[State]:
        """Register the decorated handler for a path and some methods."""
        _check_path(path)
        # May be an iterator; a text is refused, and not taken apart.
        names = methods if isinstance(methods, str) else tuple(methods)

        def register(handler: RouteHandler[State, Parameters]) -> RouteHandler[State, Parameters]:
            self._define(define_route(path, handler, names, options))
            return handler

        return register

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Registrar[State]:
        """Register the decorated handler for GET, and for HEAD unless that has a handler of its own."""
        return self.route(path, methods=("GET",), **options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Registrar[State]:
        """Register the decorated handler for POST."""
        return self.route(path, methods=("POST",), **options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Registrar[State]:
        """Register the decorated handler for PUT."""
        return self.route(path, methods=("PUT",), **options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Registrar[State]:
        """Register the decorated handler for PATCH."""
        return self.route(path, methods=("PATCH",), **options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Registrar[State]:
        """Register the decorated handler for DELETE."""
        return self.route(path, methods=("DELETE",), **options)

    def head(self, path: str, **options: Unpack[RouteOptions]) -> Registrar[State]:
        """Register the decorated handler for HEAD, instead of the one that answers GET."""
        return self.route(path, methods=("HEAD",), **options)

    def options(self, path: str, **options: Unpack[RouteOptions]) -> Registrar[State]:
        """Register the decorated handler for OPTIONS, instead of the automatic answer."""
        return self.route(path, methods=("OPTIONS",), **options)

    def websocket(self, path: str, **options: Unpack[WebSocketRouteOptions]) -> WebSocketRegistrar[State]:
        """Register the decorated handler for websockets; the path may have a GET route beside it."""
        _check_path(path)

        def register(handler: WebSocketHandler[State, Parameters]) -> WebSocketHandler[State, Parameters]:
            self._define(define_websocket(path, handler, options))
            return handler

        return register

    def mount(self, prefix: str, app: ASGIApplication, **options: Unpack[MountOptions]) -> None:
        """Let an ASGI application answer at a prefix and below, for all methods and for websockets.

        Its lifespan is run with this application's. Routes at the same place come before it.
        """
        self._define(define_mount(prefix, app, options))

    def static(
        self, prefix: str, directory: str | os.PathLike[str], **options: Unpack[StaticOptions]
    ) -> StaticDirectory:
        """Register the files of a directory for the paths below a prefix.

        Returns what has their URLs: ``assets.url(request, "app.css")``. RegistrationError if it is not there.
        """
        # Not every application has files, and those that have none need not load this.
        from ..static import StaticDirectory

        settings: dict[str, Any] = dict(options)
        names = RouteOptions.__optional_keys__
        route_options: Any = {name: settings.pop(name) for name in names if name in settings}
        files = StaticDirectory(directory, **settings)
        self.route(prefix.rstrip("/") + "/{path:path}", **route_options)(files)
        return files
