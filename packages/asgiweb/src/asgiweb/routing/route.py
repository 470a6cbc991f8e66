"""One registered route: what it matches, and what answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..handlers import AnyErrorHandler, Handler, Middleware
from .patterns import Pattern

if TYPE_CHECKING:
    from ..forms import FormLimits

#: Stands among the methods for opening a websocket. Methods that are in use are in capitals.
WEBSOCKET = "websocket"
#: Stands among the methods for whatever comes, of something that is mounted.
MOUNT = "mount"


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """What a group puts around its routes."""

    prefix: str = ""
    name: str | None = None
    middlewares: Sequence[Middleware[Any]] = ()
    error_handlers: Mapping[type[Exception] | int, AnyErrorHandler] = field(default_factory=dict)
    host: str | None = None


@dataclass(slots=True, eq=False)
class Route:
    """A path pattern with the methods and the handler that belong to it."""

    pattern: Pattern
    #: In capitals and sorted, without the HEAD that a GET answers too; ``("websocket",)`` for websockets,
    #: ``("mount",)`` for a mounted application.
    methods: tuple[str, ...]
    handler: Callable[..., Any]
    #: The handler, called with the request alone.
    bound_handler: Handler
    #: File and line of the handler.
    location: str
    name: str | None = None
    middlewares: Sequence[Middleware[Any]] = ()
    #: In bytes, 0 for none; None leaves it to the application.
    max_body_size: int | None = None
    #: None leaves them to the application.
    form_limits: FormLimits | None = None
    #: The groups that it is in, the outermost first.
    layers: tuple[Layer, ...] = ()
    #: The handler inside of all middlewares; composed when the first request comes.
    endpoint: Handler | None = None
    parameter_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.parameter_names = tuple([parameter.name for parameter in self.pattern.parameters])

    @property
    def path(self) -> str:
        """The pattern as it was written, with the prefixes of its groups."""
        return self.pattern.path

    @property
    def host(self) -> str | None:
        """The pattern of the host, as it was written; None for any."""
        return self.pattern.host

    def __repr__(self) -> str:
        return f"<Route {' '.join(self.methods)} {self.path!r} at {self.location}>"
