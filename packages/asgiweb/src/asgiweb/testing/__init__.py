"""Testing applications in the event loop of the test: HTTP requests, websockets, the lifespan.

Needs httpx: ``pip install asgiweb[testing]``.
"""

from __future__ import annotations

try:
    import httpx as _httpx  # noqa: F401 (to say what to install)
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("asgiweb.testing needs httpx: pip install 'asgiweb[testing]'") from error

from .client import TestClient
from .websocket import TestWebSocket, WebSocketDenied

__all__ = ["TestClient", "TestWebSocket", "WebSocketDenied"]
