"""What is mounted: any ASGI application, which answers a prefix and all that is below.

It runs in a task of its own, as it would under a server. Its head becomes a Response, so that middlewares see
and change it as any other; what comes after the head goes to the server as it comes, each message when
the one before is sent. A response that is dropped on the way, a client that leaves and a request that is
cancelled end the task, and what it raises is raised in the request.
"""

from __future__ import annotations

from typing import Any

from ..asgi import ASGIApplication, Scope
from ..handlers import Handler
from ..request import Request
from ..response import Response
from .paths import segments_of

# What a Starlette around this application has left in the scope: one below would take its routes for its own.
_OF_STARLETTE = ("router", "app_root_path")


def mounted(app: ASGIApplication, depth: int) -> Handler:
    """Make a handler of an application whose prefix has ``depth`` segments."""
    # Imported here, because most applications mount nothing.
    from ..mounted import answer

    async def handler(request: Request[Any]) -> Response:
        return await answer(request, app, scope_below(request, depth, app))

    return handler


def state_key(app: ASGIApplication) -> str:
    """Return where the state of a mounted application's lifespan is in its parent's."""
    return f"asgiweb.mount.{id(app):x}"


def scope_below(request: Request[Any], depth: int, app: ASGIApplication) -> Scope:
    """Return the scope that a mounted application gets: the same path, and more of it in ``root_path``."""
    scope = request.scope
    outer = scope.get("root_path", "").rstrip("/")
    segments = segments_of(scope)
    state = scope.get("state") or {}
    # What begins without a slash, such as "*", is no place below anything.
    is_path = not segments[0]
    key = state_key(app)
    own = state[key] if key in state else request.app.mounted_states.get(key, {})
    below: Scope = {
        **scope,
        # With the prefix, also on servers that have taken it off (ASGI www, "root_path").
        "path": outer + "/".join(segments) if is_path else scope["path"],
        "root_path": outer + "/".join(segments[: depth + 1]) if is_path else outer,
        "state": {**state, **own},
    }
    for name in _OF_STARLETTE:
        below.pop(name, None)
    if request.match_info:
        # No part of ASGI, but where Starlette and FastAPI look for them.
        below["path_params"] = {**scope.get("path_params", {}), **request.match_info}
    return below
