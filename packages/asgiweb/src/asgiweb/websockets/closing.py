"""Codes and reasons of a close frame (RFC 6455, 5.5.1 and 7.4)."""

from __future__ import annotations

from ..errors import WebSocketError

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
