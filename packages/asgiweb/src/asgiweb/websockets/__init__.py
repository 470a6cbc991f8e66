"""WebSockets: the handshake, which is a request like others, and the messages in both directions after it."""

from .closing import meaning
from .handshake import Handshake, conversation
from .websocket import WebSocket

__all__ = ["Handshake", "WebSocket", "conversation", "meaning"]
