"""Groups: routes that are defined together, perhaps in a module of their own, and included as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import RegistrationError
from ..handlers import AnyErrorHandler, Middleware
from ..signatures import check_error_handler, check_middleware
from ..typevars import State
from .decorators import RouteDecorators
from .definitions import Definition
from .route import Layer

if TYPE_CHECKING:
    from .router import Router


class Inclusion(NamedTuple):
    """A group inside of another, with what was said where it was included."""

    group: Group[Any]
    prefix: str
    name: str | None


class Group(RouteDecorators[State]):
    """Routes with a prefix, middlewares, error handlers, a name space and a host in common.

    ``app.include(group)`` registers them, and what is wrong with one shows there. ``name="blog"`` makes of a
    route's name ``"post"`` the name ``"blog.post"``. The middlewares are inside of the application's and
    outside of the routes' own, and ``error_handlers`` answer inside of them what the routes raise.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str | None = None,
        middlewares: Sequence[Middleware[Any]] = (),
        error_handlers: Mapping[type[Exception] | int, AnyErrorHandler] | None = None,
        host: str | None = None,
    ) -> None:
        check_prefix(prefix)
        for middleware in middlewares:
            check_middleware(middleware)
        for handler in (error_handlers or {}).values():
            check_error_handler(handler)
        self.prefix = prefix
        self.name = name
        self._layer = Layer(prefix, name, tuple(middlewares), dict(error_handlers or {}), host)
        self._definitions: list[Definition] = []
        self._groups: list[Inclusion] = []
        self._included = False

    def __repr__(self) -> str:
        return f"<Group {self.prefix!r}>"

    def _define(self, definition: Definition) -> None:
        self._check_open(f"{definition.location}: path {definition.path!r}")
        self._definitions.append(definition)

    def include(self, group: Group[State], *, prefix: str = "", name: str | None = None) -> None:
        """Include a group in this one, below a further prefix, or with another name."""
        check_inclusion(group, prefix)
        self._check_open(f"{group!r}")
        self._groups.append(Inclusion(group, prefix, name))

    def _check_open(self, what: str) -> None:
        if self._included:
            raise RegistrationError(f"{what}: {self!r} was included already: this comes too late")

    def register(self, router: Router, prefix: str, name: str | None, around: tuple[Layer, ...] = ()) -> None:
        """Register everything that is in this group, inside of the layers ``around``."""
        self._included = True
        own = self._layer
        layer = Layer(
            prefix + own.prefix,
            own.name if name is None else name,
            own.middlewares,
            own.error_handlers,
            own.host,
        )
        layers = (*around, layer)
        for definition in self._definitions:
            router.register(definition, layers)
        for inclusion in self._groups:
            inclusion.group.register(router, inclusion.prefix, inclusion.name, layers)


def check_inclusion(group: object, prefix: str) -> None:
    """RegistrationError if this is no group, or not to be included below this."""
    if not isinstance(group, Group):
        raise RegistrationError(
            f"{group!r} is no Group; an application is mounted: app.mount('/prefix', application)"
        )
    check_prefix(prefix)


def check_prefix(prefix: str) -> None:
    """RegistrationError if a path cannot go on after this."""
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise RegistrationError(
            f"prefix {prefix!r}: write it as '/blog', without a slash at the end, or empty"
        )
