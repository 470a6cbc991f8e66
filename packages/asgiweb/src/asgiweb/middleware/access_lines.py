r"""Lines of the access log. Whatever a client sends, it cannot end a line, nor reach a terminal as a control.

All but printable ASCII is escaped (``\n``, ``\x1b``, ``\xe9``), and so are quotes and backslashes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as json_text
from typing import Any

from ..request import Request
from .request_ids import REQUEST_ID

_UNSAFE = re.compile(r"[^ !#-\[\]-~]")

# With json.dumps() a line takes 17 µs instead of 10. What makes its texts makes them here, too.
_JSON = (
    '{"time": "%s", "client": %s, "method": %s, "path": %s, "http_version": %s, "status": %s, "bytes": %d, '
    '"duration_ms": %.3f, "route": %s, "request_id": %s, "complete": %s}'
)


@dataclass(slots=True)
class Outcome:
    """What has become of one request."""

    request: Request[Any]
    #: None if there was no answer.
    status: int | None
    #: Bytes of the body that were sent.
    size: int
    seconds: float
    #: Whether the answer came to its end.
    complete: bool


def text_line(outcome: Outcome, *, query: bool) -> str:
    """Write client, request line, status, bytes, milliseconds, route and request id; "-" for none."""
    request = outcome.request
    version = request.scope.get("http_version", "1.1")
    line = f"{_escaped(_method(request))} {_escaped(_target(request, query))} HTTP/{_escaped(version)}"
    return (
        f'{_word(_client(request))} "{line}" {outcome.status or "-"} {outcome.size} '
        f"{outcome.seconds * 1000:.1f}ms {_word(_route(request))} {_word(_request_id(request))}"
        f"{'' if outcome.complete else ' (incomplete)'}"
    )


def json_line(outcome: Outcome, *, query: bool) -> str:
    """Write an object with the same keys always, null for what there is not."""
    request = outcome.request
    return _JSON % (
        datetime.now(UTC).isoformat(timespec="milliseconds"),
        _json_or_null(_client(request)),
        json_text(_method(request)),
        json_text(_target(request, query)),
        json_text(request.scope.get("http_version", "1.1")),
        "null" if outcome.status is None else outcome.status,
        outcome.size,
        outcome.seconds * 1000,
        _json_or_null(_route(request)),
        _json_or_null(_request_id(request)),
        "true" if outcome.complete else "false",
    )


def _client(request: Request[Any]) -> str | None:
    client = request.scope.get("client")
    return None if client is None else str(client[0])


def _method(request: Request[Any]) -> str:
    return request.method if request.websocket is None else "WEBSOCKET"


def _target(request: Request[Any], query: bool) -> str:
    path = request.path
    if query and request.scope.get("query_string"):
        path += "?" + request.scope["query_string"].decode("latin-1")
    return path


def _route(request: Request[Any]) -> str | None:
    return None if request.route is None else request.route.path


def _request_id(request: Request[Any]) -> str | None:
    found = request.context.get(REQUEST_ID)
    return None if found is None else str(found)


def _word(text: str | None) -> str:
    """Return a text that is one word of a line."""
    return _escaped(text).replace(" ", r"\x20") if text else "-"


def _escaped(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return r"\"" if match[0] == '"' else match[0].encode("unicode_escape").decode()


def _json_or_null(text: str | None) -> str:
    return "null" if text is None else json_text(text)
