"""Codes and reasons of a close frame (RFC 6455, 5.5.1 and 7.4), and which of them an exception means."""

from __future__ import annotations

import asyncio

from ..errors import ClientDisconnected, InvalidMessage, WebSocketError

#: The client has closed without a code.
NO_CODE = 1005
#: The connection has ended without a close frame.
ABNORMAL = 1006

# 1004 has no meaning, 1005, 1006 and 1015 say what happened without a frame, and the rest is reserved.
_SENDABLE = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})

#: Bytes for the reason: a control frame has 125, and the code takes two of them.
_REASON_SIZE = 123


def check_code(code: int) -> None:
    """WebSocketError if a close frame must not carry this code."""
    if code not in _SENDABLE and not 3000 <= code <= 4999:
        raise WebSocketError(
            f"close code {code!r}: it is 1000 to 1014 without 1004, 1005 and 1006, or 3000 to 4999; "
            f"an application's own are 4000 to 4999"
        )


def shortened(reason: str) -> str:
    """Return as much of a reason as a close frame has room for."""
    return reason.encode(errors="replace")[:_REASON_SIZE].decode(errors="ignore")


def meaning(error: BaseException | None) -> BaseException | None:
    """Return the exception that a group of tasks comes to, if there is nothing but the websocket's end in it.

    A client that leaves while a task sends makes a group of a disconnect, which is no more a fault than that.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    ends, others = error.split((ClientDisconnected, InvalidMessage))
    if ends is None or others is not None:
        return error
    invalid = ends.subgroup(InvalidMessage)
    found: BaseException = ends if invalid is None else invalid
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def code_and_reason(error: BaseException | None) -> tuple[int, str] | None:
    """Return how a websocket is closed when an exception leaves its handler; None if that cannot be."""
    error = meaning(error)
    if error is None or isinstance(error, ClientDisconnected):
        return 1000, ""
    if isinstance(error, InvalidMessage):
        return error.code, error.reason
    if isinstance(error, asyncio.CancelledError):
        return 1001, ""
    # A GeneratorExit comes from the garbage collector: nothing can be awaited then.
    return (1011, "") if isinstance(error, Exception) else None
