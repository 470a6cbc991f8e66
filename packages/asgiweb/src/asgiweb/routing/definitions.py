"""What is said of a route where it is defined, which is all that is known until its group is included."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypedDict

from ..errors import RegistrationError
from ..handlers import Middleware
from ..signatures import location_of
from .route import MOUNT, WEBSOCKET

if TYPE_CHECKING:
    from ..forms import FormLimits

_METHOD = re.compile(r"[A-Z]+(-[A-Z]+)*")


class MountOptions(TypedDict, total=False):
    """What may be said of everything beside its path and handler."""

    #: For ``url_for``; unique in the application.
    name: str | None
    #: Around this route only, inside of the application's; the first is outermost.
    middlewares: Sequence[Middleware[Any]]
    #: Answers only for this host, such as "api.example.com" or "{tenant}.example.com".
    host: str | None


class WebSocketRouteOptions(MountOptions, total=False):
    """What may be said of a websocket's route beside its path and handler."""


class RouteOptions(WebSocketRouteOptions, total=False):
    """What may be said of a route beside its path, methods and handler."""

    #: In bytes, instead of the application's limit; 0 for no limit.
    max_body_size: int | None
    #: Instead of the application's.
    form_limits: FormLimits | None


@dataclass(slots=True, eq=False)
class Definition:
    """A path, what answers there, and the options that came with it."""

    path: str
    handler: Callable[..., Any]
    methods: tuple[str, ...]
    options: RouteOptions | WebSocketRouteOptions | MountOptions
    location: str


_OPTIONS: dict[tuple[str, ...], frozenset[str]] = {
    (MOUNT,): MountOptions.__optional_keys__,
    (WEBSOCKET,): WebSocketRouteOptions.__optional_keys__,
}


def check_options(definition: Definition) -> None:
    """RegistrationError for an option that there is not: what is misspelt may be what keeps others out."""
    known = _OPTIONS.get(definition.methods, RouteOptions.__optional_keys__)
    if not definition.options.keys() <= known:
        unknown = min(definition.options.keys() - known)
        raise RegistrationError(f"there is no option {unknown!r}; there are {', '.join(sorted(known))}")


def define_route(
    path: str, handler: Callable[..., Any], methods: Iterable[str], options: RouteOptions
) -> Definition:
    """Check the methods. RegistrationError if they are none."""
    location = location_of(handler)
    names = () if isinstance(methods, str) else _sorted(tuple(methods))
    if not names:
        raise RegistrationError(
            f"{location}: path {path!r}: methods are a list of names in capitals, such as ['GET', 'POST'], "
            f"not {methods!r}"
        )
    return Definition(path, handler, names, options, location)


@lru_cache(maxsize=64)
def _sorted(methods: tuple[str, ...]) -> tuple[str, ...]:
    """Return methods without repetition, or none if there is something else among them."""
    if all(isinstance(name, str) and _METHOD.fullmatch(name) for name in methods):
        return tuple(sorted(set(methods)))
    return ()


def define_websocket(path: str, handler: Callable[..., Any], options: WebSocketRouteOptions) -> Definition:
    """Define a route of websockets."""
    return Definition(path, handler, (WEBSOCKET,), options, location_of(handler))


def define_mount(prefix: str, app: Callable[..., Any], options: MountOptions) -> Definition:
    """Check what is mounted. RegistrationError if it is no ASGI application."""
    location = location_of(app) if hasattr(app, "__code__") else f"mount of {type(app).__qualname__}"
    if not callable(app) or isinstance(app, type):
        raise RegistrationError(
            f"mount at {prefix!r}: {app!r} is no ASGI application; a Group is included: app.include(group)"
        )
    # The slash at the end says nothing: what is mounted answers with and without it.
    return Definition(prefix.removesuffix("/"), app, (MOUNT,), options, location)
