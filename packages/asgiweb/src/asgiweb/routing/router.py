"""The router: a tree of path segments, and a table that is the short way to paths without parameters.

Both are plain dicts, so a lookup costs the same for ten routes and for ten thousand. A path that begins
without a slash, which some servers let through, is that of no route: it is for what is mounted at the root.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack, cast

from ..asgi import Scope
from ..errors import RegistrationError, UrlError
from ..handlers import AnyRouteHandler, AnyWebSocketHandler, Handler
from ..signatures import bind_handler, bind_websocket_handler, check_middleware
from ..websockets import conversation
from .converters import BUILT_IN, Converter
from .definitions import (
    Definition,
    RouteOptions,
    WebSocketRouteOptions,
    check_options,
    define_route,
    define_websocket,
)
from .hosts import labels_of
from .mounts import mounted
from .paths import segments_of
from .patterns import Pattern, parse_pattern, parse_prefix
from .route import MOUNT, WEBSOCKET, Layer, Route
from .tree import Node, walk
from .urls import build_url

if TYPE_CHECKING:
    from yarl import URL

#: What a request gets: a route, and the parameters of its path by name.
Match: TypeAlias = tuple[Route, Mapping[str, Any]]

#: The parameters of all paths that have none.
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Router:
    """Registered routes, and the way from a request to one of them."""

    def __init__(self) -> None:
        self._routes: list[Route] = []
        self._names: dict[str, Route] = {}
        self._converters: dict[str, Converter[Any]] = {}
        self._static: dict[str, dict[str, Match]] = {}
        self._root = Node()
        #: Routes that are bound to a host: labels of hosts first, below them paths.
        self._hosts = Node()
        self._has_hosts = False
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

    def register(self, definition: Definition, layers: tuple[Layer, ...] = ()) -> Route:
        """Register what was defined, in the groups that it is in. RegistrationError."""
        options = cast(RouteOptions, definition.options)
        path, host, name = definition.path, options.get("host"), options.get("name")
        if layers:
            path = "".join([*(layer.prefix for layer in layers), path])
            hosts = [host, *(layer.host for layer in reversed(layers))]
            host = next((one for one in hosts if one is not None), None)
            name = _full_name(name, layers)
        try:
            if layers and definition.path and not definition.path.startswith("/"):
                raise RegistrationError("a path starts with '/'; in a group it may be empty")
            check_options(definition)
            parse = parse_prefix if definition.methods == (MOUNT,) else parse_pattern
            pattern = parse(path, self._converters, host)
            middlewares = options.get("middlewares", ())
            for middleware in middlewares:
                check_middleware(middleware)
            bound_handler = _bind(definition, pattern)
        except RegistrationError as error:
            raise RegistrationError(f"{definition.location}: path {path!r}: {error}") from None
        route = Route(
            pattern,
            definition.methods,
            definition.handler,
            bound_handler,
            definition.location,
            name=name,
            middlewares=middlewares,
            max_body_size=options.get("max_body_size"),
            form_limits=options.get("form_limits"),
            layers=layers,
        )
        self._add(route)
        return route

    def add_route(
        self,
        path: str,
        handler: AnyRouteHandler,
        *,
        methods: Iterable[str] = ("GET",),
        **options: Unpack[RouteOptions],
    ) -> Route:
        """Let a handler answer for a path. RegistrationError if anything about it cannot be right."""
        return self.register(define_route(path, handler, methods, options))

    def add_websocket(
        self, path: str, handler: AnyWebSocketHandler, **options: Unpack[WebSocketRouteOptions]
    ) -> Route:
        """Let a handler talk to websockets. RegistrationError if anything about it cannot be right."""
        return self.register(define_websocket(path, handler, options))

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

    def resolve(self, scope: Scope) -> Match | None:
        """Find the route for a request, with its parameters converted; None for 404, 405 and OPTIONS."""
        if self._has_hosts:
            values: list[Any] = []
            route = walk(
                self._hosts, _with_labels(scope, segments_of(scope)), 0, scope["method"], values, None
            )
            if route is not None:
                return route, dict(zip(route.parameter_names, values, strict=True))
        path: str = scope["path"]
        try:
            # Of the same length, they are the same: nothing is quoted. To look for "%2F" takes 0.2 us.
            plain = len(scope["raw_path"]) == len(path) and not scope["root_path"]
        except (KeyError, TypeError):
            # Neither has to be there (ASGI www, "HTTP Connection Scope").
            plain = not scope.get("root_path") and not scope.get("raw_path")
        if plain:
            matches = self._static.get(path)
            if matches is not None and scope["method"] in matches:
                return matches[scope["method"]]
            segments = path.split("/")
        else:
            segments = segments_of(scope)
        values = []
        route = walk(self._root, segments if not segments[0] else [], 1, scope["method"], values, None)
        if route is None:
            return None
        if len(values) == 1:
            # Most paths have one parameter, and this takes a third of the time.
            return route, {route.parameter_names[0]: values[0]}
        return route, dict(zip(route.parameter_names, values, strict=True))

    def resolve_websocket(self, scope: Scope) -> Match | None:
        """Find the route for a websocket, with its parameters converted; None if there is none."""
        return self.resolve({**scope, "method": WEBSOCKET})

    def allowed_methods(self, scope: Scope) -> list[str]:
        """Return the methods that the path of a request can be asked with, sorted; none for a 404."""
        allowed = self._methods(scope, segments_of(scope))
        if not allowed:
            return []
        if WEBSOCKET in allowed:
            # Its handshake is a GET (RFC 6455, 4.1).
            allowed.remove(WEBSOCKET)
            allowed.add("GET")
        allowed.add("OPTIONS")
        return sorted(allowed)

    def is_a_slash_away(self, scope: Scope, method: str) -> bool:
        """Tell whether a request that no route answers would be answered but for the slash at its end."""
        segments = segments_of(scope)
        if len(segments) > 1 and not segments[-1]:
            del segments[-1]
        else:
            segments.append("")
        methods = self._methods(scope, segments)
        return method in methods or (method == "OPTIONS" and bool(methods))

    def _methods(self, scope: Scope, segments: list[str]) -> set[str]:
        """Return the methods of all routes that are there; not those of a mount, which has each of them."""
        methods: set[str] = set()
        walk(self._root, segments if not segments[0] else [], 1, "", [], methods)
        if self._has_hosts:
            walk(self._hosts, _with_labels(scope, segments), 0, "", [], methods)
        return methods

    def url_for(
        self, name: str, parameters: Mapping[str, Any], *, root_path: str = "", scope: Scope | None = None
    ) -> URL:
        """Build the path of a named route. UrlError if there is none or a parameter does not fit it.

        For a route that is bound to a host it has that host, with the scheme and port of the request's
        ``scope``; without one it begins with "//".
        """
        route = self._names.get(name)
        if route is None:
            known = ", ".join(sorted(self._names)) or "none"
            raise UrlError(f"url_for {name!r}: no route has this name; there are {known}")
        return build_url(route, parameters, root_path, scope)

    def _add(self, route: Route) -> None:
        pattern = route.pattern
        if pattern.host is None:
            node = self._root.descend(pattern.segments)
        else:
            # Labels are never empty, so the empty text between them and the path keeps them apart.
            node = self._hosts.descend([*pattern.labels, "", *pattern.segments])
        self._refuse_duplicate(route, node)
        self._has_hosts |= pattern.host is not None
        if route.methods == (MOUNT,):
            node.put_mount(route)
        else:
            for method in route.methods:
                node.routes[method] = route
            if "GET" in route.methods:
                node.routes.setdefault("HEAD", route)
            if not route.parameter_names and pattern.host is None:
                self._static[route.path] = {name: (found, _NOTHING) for name, found in node.routes.items()}
        if route.name is not None:
            self._names[route.name] = route
        self._routes.append(route)

    def _refuse_duplicate(self, route: Route, node: Node) -> None:
        for method in route.methods:
            other = node.mount if method == MOUNT else node.routes.get(method)
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


def _with_labels(scope: Scope, segments: list[str]) -> list[str]:
    # A path that begins without a slash must not go on where the labels end.
    return [*labels_of(scope), *segments] if not segments[0] else []


def _bind(definition: Definition, pattern: Pattern) -> Handler:
    if definition.methods == (MOUNT,):
        return mounted(definition.handler, len(pattern.segments))
    types = {parameter.name: parameter.converter.type for parameter in pattern.parameters}
    if definition.methods == (WEBSOCKET,):
        return conversation(bind_websocket_handler(definition.handler, types))
    return bind_handler(definition.handler, types)


def _full_name(name: str | None, layers: tuple[Layer, ...]) -> str | None:
    if name is None:
        return None
    return ".".join([*(layer.name for layer in layers if layer.name), name])
