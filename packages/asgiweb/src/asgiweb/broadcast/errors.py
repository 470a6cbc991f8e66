"""What broadcasts raise.

AsgiwebError
└── BroadcastError           it is not entered, or in another event loop, or two read one subscription
Exception
├── MessagesLost             a subscriber of ``overflow="disconnect"`` has missed messages
└── ConnectionError
    └── BroadcastUnavailable Redis does not answer, or refuses
"""

from __future__ import annotations

from ..errors import AsgiwebError


class BroadcastError(AsgiwebError):
    """A broadcast is used where it cannot be: before it is entered, or in another event loop."""


class MessagesLost(Exception):
    """A subscriber has missed messages, and ``overflow="disconnect"`` ends it rather than to go on.

    It was too slow, or the connection to Redis was lost. In a websocket's handler this is the time to close
    the connection: its client comes back, and asks for the present state first.
    """


class BroadcastUnavailable(ConnectionError):
    """Redis does not answer, or refuses: nothing is known to have been published or subscribed to."""
