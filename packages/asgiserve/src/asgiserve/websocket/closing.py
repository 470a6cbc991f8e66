"""Why a WebSocket ends: codes, reasons, and the payload of a Close frame (RFC 6455 §5.5.1, §7.4)."""

from __future__ import annotations

from typing import Final

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
NO_CODE: Final = 1005  # never on the wire: the Close frame had none
ABNORMAL: Final = 1006  # never on the wire: there was no Close frame
INVALID_DATA: Final = 1007
MESSAGE_TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012

#: The longest reason: a control frame has 125 bytes, of which the code takes two.
MAX_REASON: Final = 123

#: Codes below 3000 that may be on the wire: those registered with IANA, but for 1004, 1005, 1006 and 1015.
_REGISTERED: Final = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))


class ProtocolError(Exception):
    """What a client sent ends the connection, with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def may_be_sent(code: int) -> bool:
    """Whether a Close frame may carry this code (RFC 6455 §7.4.2)."""
    return code in _REGISTERED or 3000 <= code <= 4999


def read_close(payload: bytes) -> tuple[int, str]:
    """Read code and reason of a Close frame; raises ProtocolError."""
    if not payload:
        return NO_CODE, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not may_be_sent(code):
        raise ProtocolError(PROTOCOL_ERROR, "the code of a Close frame is not valid")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolError(INVALID_DATA, "the reason of a Close frame is not UTF-8") from None


def render_close(code: int, reason: str) -> bytes:
    """Render the payload of a Close frame; raises TypeError or ValueError."""
    if not isinstance(code, int) or not may_be_sent(code):
        raise ValueError(f"a Close frame cannot carry the code {code!r} (RFC 6455, section 7.4)")
    text = str.encode(reason)
    if len(text) > MAX_REASON:
        raise ValueError(f"the reason for closing has {len(text)} bytes, which may be {MAX_REASON} at most")
    return code.to_bytes(2, "big") + text
