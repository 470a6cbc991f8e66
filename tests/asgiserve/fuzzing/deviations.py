"""Where asgiserve deviates from the grammar, on purpose: each with its reason, and an example.

What it reads although the grammar does not have it, as rules that replace those of `abnf`; what it refuses
although the grammar has it, is said in `oracle`, with the statuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Leniency:
    """A rule that is wider than that of the RFC."""

    definition: bytes
    example: bytes  # a request that only the wider rule lets through
    reason: str


_GET: Final = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
_CHUNKED: Final = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

LENIENCIES: Final = {
    "pchar": Leniency(
        rb"[\x21-\x22\x24-\x2e\x30-\x3e\x40-\x7e]",
        b'GET /{a}|"b"?c=[%] HTTP/1.1\r\nHost: a\r\n\r\n',
        "Browsers send these characters as they are (URL Standard, query percent-encode set). None of them "
        "can end a request line, and applications get the target as it came.",
    ),
    "empty-lines": Leniency(
        rb"(?:\r\n)*",
        b"\r\n\r\n" + _GET,
        "RFC 9112 §2.2 asks for at least one to be ignored; clients that send too many bytes send several.",
    ),
    "chunk-ext": Leniency(
        rb"[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?",
        _CHUNKED + b"0 ;; ?\r\n\r\n",
        "Extensions are ignored whatever they are (RFC 9112 §7.1.1), and old servers pad sizes with spaces. "
        "Controls are refused, so no extension can hide the end of its line.",
    ),
    "IPv6address": Leniency(
        rb"[0-9A-Fa-f:.]+",
        b"GET / HTTP/1.1\r\nHost: [::1::]\r\n\r\n",
        "An address that is none is a host that nobody has: it is for the application to know its names.",
    ),
}
