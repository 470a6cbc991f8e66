"""Messages for whoever is listening now: published to a topic, received by all who are subscribed to it.

``Broadcast`` delivers within one event loop. ``asgiweb.broadcast.redis`` has the same over Redis, for several
processes or machines; it is imported by who wants it, because it needs a library that others do without.
"""

from .errors import BroadcastError, BroadcastUnavailable, MessagesLost
from .in_process import Broadcast, Overflow
from .subscription import Subscription

__all__ = [
    "Broadcast",
    "BroadcastError",
    "BroadcastUnavailable",
    "MessagesLost",
    "Overflow",
    "Subscription",
]
