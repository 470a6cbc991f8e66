"""The application that answers in the place of one that does not start, while it is developed."""

from __future__ import annotations

import html

from .errors import AsgiserveError
from .types import ASGIApplication, Receive, Scope, Send

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>The application does not start</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem }}
pre {{ font-size: .875rem; background: #f4f4f4; color: #222; padding: 1rem; overflow: auto }}</style>
<h1>The application does not start</h1>
<pre>{reason}</pre>
<p>asgiserve tries again when a file changes.</p>
</html>
"""


def failing_application(error: AsgiserveError) -> ASGIApplication:
    """An application that answers each request with 503 and the reason, be it for a WebSocket or not."""
    text = f"the application does not start: {error}\n".encode()
    page = _PAGE.format(reason=html.escape(str(error))).encode()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("there is no application")
        prefix = "websocket." if scope["type"] == "websocket" else ""
        wants_page = any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
        kind = b"text/html; charset=utf-8" if wants_page else b"text/plain; charset=utf-8"
        headers = [(b"content-type", kind), (b"cache-control", b"no-store")]
        await send({"type": f"{prefix}http.response.start", "status": 503, "headers": headers})
        await send({"type": f"{prefix}http.response.body", "body": page if wants_page else text})

    return application
