"""The routes of an application as a table of text, for ``asgiweb routes``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .application import Application
from .handlers import Middleware
from .routing import Route
from .static import StaticDirectory

_TITLES = ("methods", "path", "host", "name", "handler", "middlewares")


def table_of(app: Application[Any]) -> str:
    """Lay out all routes, those of mounted applications of this kind too, sorted by host and path."""
    rows = sorted(_rows(app, ""), key=lambda row: (row[2], row[1], row[0]))
    if not rows:
        return "The application has no routes.\n"
    columns = list(zip(_TITLES, *rows, strict=True))
    # A column that says nothing is left out, unless it is one of those that everybody looks for.
    shown = [column for column in columns if any(column[1:]) or column[0] in ("methods", "path", "handler")]
    widths = [max(map(len, column)) for column in shown]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*shown, strict=True)
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    if app.middlewares:
        lines += ["", f"Around all of them: {_names(app.middlewares)}"]
    return "\n".join(lines) + "\n"


def _rows(
    app: Application[Any], prefix: str, host: str = "", around: tuple[Middleware[Any], ...] = ()
) -> Iterator[Sequence[str]]:
    """Yield the cells of each route, of what is mounted with the host and the middlewares of its mount."""
    for route in app.routes:
        path = prefix + route.path
        of_groups = [one for layer in route.layers for one in layer.middlewares]
        middlewares = (*around, *of_groups, *route.middlewares)
        yield (
            " ".join(route.methods),
            path or "/",
            route.host or host,
            route.name or "",
            _place(route),
            _names(middlewares),
        )
        if isinstance(route.handler, Application):
            mounted = route.handler
            yield from _rows(mounted, path, route.host or host, (*middlewares, *mounted.middlewares))


def _place(route: Route) -> str:
    if isinstance(route.handler, StaticDirectory):
        return f"files of {str(route.handler.directory).removeprefix(os.getcwd() + os.sep)}"
    return route.location.removeprefix(os.getcwd() + os.sep)


def _names(middlewares: Iterable[Middleware[Any]]) -> str:
    return ", ".join(getattr(one, "__qualname__", type(one).__qualname__) for one in middlewares)
