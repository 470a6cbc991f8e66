"""The answer to a fault for the developer, for ``Application(debug=True)``; loaded by the first of them.

``secrets`` and ``values`` decide what may be shown and keep it short, ``report`` gathers it, and ``page`` is
the form for browsers.
"""

from __future__ import annotations

from typing import Any

from ..exceptions import HTTPInternalServerError
from ..problems import Form, preferred_form, vary_by_accept
from ..request import Request
from ..response import Response, html_response, json_response
from .page import POLICY, render
from .report import headline, report_exception, report_request, report_routes, report_traceback
from .secrets import without_parameters
from .values import Values

__all__ = ["debug_response"]


def debug_response(request: Request[Any], error: Exception) -> Response:
    """Answer 500 with a page that shows all there is to know, or the traceback as text or problem details."""
    headers = vary_by_accept({})
    form = preferred_form(request.scope)
    if form is Form.PAGE:
        values = Values()
        page = render(
            f"{type(error).__name__} at {request.method} {request.path}",
            report_exception(error, values),
            report_request(request, values),
            report_routes(request),
        )
        return html_response(
            _shown(page, request), 500, headers=headers | {"content-security-policy": POLICY}
        )
    lines = _shown(report_traceback(error), request)
    if form is Form.TEXT:
        return Response(_shown(f"{request.method} {request.path}\n\n", request) + lines, 500, headers=headers)
    problem = {
        "type": "about:blank",
        "title": HTTPInternalServerError.title,
        "status": 500,
        "detail": _shown(headline(error), request),
        "traceback": lines.splitlines(),
    }
    return json_response(problem, 500, headers=headers, content_type=form.value)


def _shown(text: str, request: Request[Any]) -> str:
    """Mask the secrets of the path, and escape what is no Unicode, such as names of files (os.fsdecode)."""
    # Those of the mounts around it are in the scope.
    parameters = {**request.scope.get("path_params", {}), **request.match_info}
    return without_parameters(text, parameters).encode(errors="backslashreplace").decode()
