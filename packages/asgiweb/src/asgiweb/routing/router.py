"""The router: a tree of path segments, and a table that is the short way to paths without parameters.

Both are plain dicts, so a lookup costs the same for ten routes and for ten thousand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from ..asgi import Scope
from ..errors import RegistrationError, UrlError
from ..handlers import AnyRouteHandler, AnyWebSocketHandler, Middleware
from ..signatures import bind_handler, bind_websocket_handler, check_middleware, location_of
from ..websockets import conversation
from .converters import BUILT_IN, Converter
from .paths import segments_of
from .patterns import Pattern, parse_pattern
from .route import WEBSOCKET, Route
from .tree import Node, walk
from .urls import build_url

if TYPE_CHECKING:
    from yarl import URL

_METHOD = re.compile(r"[A-Z]+(-[A-Z]+)*")


class WebSocketRouteOptions(TypedDict, total=False):
    """What may be said of a websocket's route beside its path and handler."""

    #: For ``url_for``; unique in the application.
    name: str | None
    #: Around this route only, inside of the application's; the first is outermost.
    middlewares: Sequence[Middleware[Any]]


class RouteOptions(WebSocketRouteOptions, total=False):
    """What may be said of a route beside its path, methods and handler."""

    #: In bytes, instead of the application's limit; 0 for no limit.
    max_body_size: int | None


class Router:
    """Registered routes, and the way from a request to one of them."""

    def __init__(self) -> None:
        self._routes: list[Route] = []
        self._names: dict[str, Route] = {}
        self._converters: dict[str, Converter[Any]] = {}
        self._static: dict[str, dict[str, Route]] = {}
        self._root = Node()
        for converter in BUILT_IN:
            self.add_converter(converter)

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes in the order of their registration, which has no meaning."""
        return tuple(self._routes)

    def add_converter(self, converter: Converter[Any]) -> None:
        """Make ``{x:name}`` mean this converter, in paths registered from now on."""
        if converter.name in self._converters:
            raise RegistrationError(f"converter {converter.name!r}: there is one of this name already")
        self._converters[converter.name] = converter

    def add_route(
        self,
        path: str,
        handler: AnyRouteHandler,
        *,
        methods: Iterable[str] = ("GET",),
        **options: Unpack[RouteOptions],
    ) -> Route:
        """Let a handler answer for a path. RegistrationError if anything about it cannot be right."""
        location = location_of(handler)
        with _located(location, path):
            pattern = parse_pattern(path, self._converters)
            bound_handler = bind_handler(handler, _types(pattern))
            _check_middlewares(options)
        names = _checked_methods(methods, path, location)
        route = Route(pattern, names, handler, bound_handler, location, **options)
        self._add(route)
        return route

    def add_websocket(
        self, path: str, handler: AnyWebSocketHandler, **options: Unpack[WebSocketRouteOptions]
    ) -> Route:
        """Let a handler talk to websockets. RegistrationError if anything about it cannot be right."""
        location = location_of(handler)
        with _located(location, path):
            pattern = parse_pattern(path, self._converters)
            bound_handler = conversation(bind_websocket_handler(handler, _types(pattern)))
            _check_middlewares(options)
        route = Route(pattern, (WEBSOCKET,), handler, bound_handler, location, **options)
        self._add(route)
        return route

    def add_get(self, path: str, handler: AnyRouteHandler, **options: Unpack[RouteOptions]) -> Route:
        """Register a handler for GET, and for HEAD unless that has a handler of its own."""
        return self.add_route(path, handler, methods=("GET",), **options)

    def add_post(self, path: str, handler: AnyRouteHandler, **options: Unpack[RouteOptions]) -> Route:
        """Register a handler for POST."""
        return self.add_route(path, handler, methods=("POST",), **options)

    def add_put(self, path: str, handler: AnyRouteHandler, **options: Unpack[RouteOptions]) -> Route:
        """Register a handler for PUT."""
        return self.add_route(path, handler, methods=("PUT",), **options)

    def add_patch(self, path: str, handler: AnyRouteHandler, **options: Unpack[RouteOptions]) -> Route:
        """Register a handler for PATCH."""
        return self.add_route(path, handler, methods=("PATCH",), **options)

    def add_delete(self, path: str, handler: AnyRouteHandler, **options: Unpack[RouteOptions]) -> Route:
        """Register a handler for DELETE."""
        return self.add_route(path, handler, methods=("DELETE",), **options)

    def add_head(self, path: str, handler: AnyRouteHandler, **options: Unpack[RouteOptions]) -> Route:
        """Register a handler for HEAD, instead of the one that answers GET."""
        return self.add_route(path, handler, methods=("HEAD",), **options)

    def add_options(self, path: str, handler: AnyRouteHandler, **options: Unpack[RouteOptions]) -> Route:
        """Register a handler for OPTIONS, instead of the automatic answer."""
        return self.add_route(path, handler, methods=("OPTIONS",), **options)

    def resolve(self, scope: Scope) -> tuple[Route, dict[str, Any]] | None:
        """Find the route for a request, with its parameters converted; None for 404, 405 and OPTIONS."""
        path: str = scope["path"]
        method: str = scope["method"]
        raw_path: bytes | None = scope.get("raw_path")
        if scope.get("root_path") or (raw_path is not None and b"%2" in raw_path):
            segments = segments_of(scope)
        else:
            routes = self._static.get(path)
            if routes is not None and method in routes:
                return routes[method], {}
            segments = path.split("/")
        values: list[Any] = []
        route = walk(self._root, segments, 1, method, values, None)
        if route is None:
            return None
        if len(values) == 1:
            # Most paths have one parameter, and this takes a third of the time.
            return route, {route.parameter_names[0]: values[0]}
        values.reverse()
        return route, dict(zip(route.parameter_names, values, strict=True))

    def resolve_websocket(self, scope: Scope) -> tuple[Route, dict[str, Any]] | None:
        """Find the route for a websocket, with its parameters converted; None if there is none."""
        return self.resolve({**scope, "method": WEBSOCKET})

    def allowed_methods(self, scope: Scope) -> list[str]:
        """Return the methods that the path of a request can be asked with, sorted; none for a 404."""
        allowed: set[str] = set()
        walk(self._root, segments_of(scope), 1, "", [], allowed)
        if WEBSOCKET in allowed:
            # Its handshake is a GET (RFC 6455, 4.1).
            allowed.remove(WEBSOCKET)
            allowed.add("GET")
        if allowed:
            allowed.add("OPTIONS")
        return sorted(allowed)

    def url_for(self, name: str, parameters: Mapping[str, Any], *, root_path: str = "") -> URL:
        """Build the path of a named route. UrlError if there is none or a parameter does not fit it."""
        route = self._names.get(name)
        if route is None:
            known = ", ".join(sorted(self._names)) or "none"
            raise UrlError(f"url_for {name!r}: no route has this name; there are {known}")
        return build_url(route, parameters, root_path)

    def _add(self, route: Route) -> None:
        node = self._root.descend(route.pattern)
        self._refuse_duplicate(route, node)
        for method in route.methods:
            node.routes[method] = route
        if "GET" in route.methods:
            node.routes.setdefault("HEAD", route)
        if not route.parameter_names:
            self._static[route.path] = node.routes
        if route.name is not None:
            self._names[route.name] = route
        self._routes.append(route)

    def _refuse_duplicate(self, route: Route, node: Node) -> None:
        for method in route.methods:
            other = node.routes.get(method)
            # The HEAD that comes with a GET gives way.
            if other is not None and method in other.methods:
                raise RegistrationError(
                    f"{route.location}: {method} {route.path!r} is registered already, as {other.path!r} "
                    f"at {other.location}"
                )
        named = self._names.get(route.name) if route.name is not None else None
        if named is not None:
            raise RegistrationError(
                f"{route.location}: path {route.path!r}: the name {route.name!r} is that of {named.path!r} "
                f"at {named.location}"
            )


@contextmanager
def _located(location: str, path: str) -> Iterator[None]:
    try:
        yield
    except RegistrationError as error:
        raise RegistrationError(f"{location}: path {path!r}: {error}") from None


def _types(pattern: Pattern) -> dict[str, type[Any]]:
    return {parameter.name: parameter.converter.type for parameter in pattern.parameters}


def _check_middlewares(options: WebSocketRouteOptions) -> None:
    for middleware in options.get("middlewares", ()):
        check_middleware(middleware)


def _checked_methods(methods: Iterable[str], path: str, location: str) -> tuple[str, ...]:
    names = tuple(sorted(set(methods)))
    if isinstance(methods, str) or not names or not all(_METHOD.fullmatch(name) for name in names):
        raise RegistrationError(
            f"{location}: path {path!r}: methods are a list of names in capitals, such as ['GET', 'POST'], "
            f"not {methods!r}"
        )
    return names
