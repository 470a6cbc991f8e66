"""What is answered where no route does: 404, 405, 426, OPTIONS, or a redirection over a slash at the end."""

from __future__ import annotations

from typing import Any

from .exceptions import HTTPMethodNotAllowed, HTTPNotFound, HTTPPermanentRedirect, HTTPUpgradeRequired
from .request import Request
from .response import Response
from .routing.route import WEBSOCKET
from .routing.router import Router
from .routing.slashes import location_of_other, with_other_slash


async def unrouted(request: Request[Any]) -> Response:
    """Answer a request that no route was found for."""
    app = request.app
    allowed = app.router.allowed_methods(request.scope)
    method = request.method
    if app.trailing_slash == "ignore":
        allowed = sorted({*allowed, *app.router.allowed_methods(with_other_slash(request.scope))})
    elif app.trailing_slash == "redirect" and not allowed:
        _redirect(request, app.router)
    if method == "OPTIONS" and request.path == "*":
        # Of the server as a whole, which is there (RFC 9110, 9.3.7).
        return Response(None, 204)
    if not allowed or (method in allowed and request.websocket is not None):
        raise HTTPNotFound
    if method == "OPTIONS":
        return Response(None, 204, headers={"allow": ", ".join(allowed)})
    if method in allowed:
        # Only websockets are answered here. The two headers belong together (RFC 9110, 7.8 and 15.5.22).
        headers = {"upgrade": "websocket", "connection": "upgrade"}
        if request.scope.get("http_version", "1.1") >= "2":
            # There it is another way, and neither header exists (RFC 9113, 8.2.2; RFC 8441).
            headers = {}
        raise HTTPUpgradeRequired("this is a websocket", headers=headers)
    raise HTTPMethodNotAllowed(allowed)


def _redirect(request: Request[Any], router: Router) -> None:
    """Raise the redirection to where the request would be answered, if that is but a slash away."""
    method = request.method if request.websocket is None else WEBSOCKET
    if router.is_a_slash_away(request.scope, method):
        location = location_of_other(request.scope)
        if location is not None:
            raise HTTPPermanentRedirect(location)
