"""Applications that send anything: sequences of events, right and wrong, and what has to become of them.

`Model` is ASGI's view of a response (ASGI HTTP 2.5, RFC 9110 §5 and §8.6), apart from the server's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from hypothesis import strategies as st

from tests.asgiserve.applications import Message, Receive, Scope, Send, piece, start

Headers = list[tuple[bytes, bytes]]

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")

#: Fields that are the server's own, whatever the application says.
_HOP_BY_HOP: Final = (b"connection", b"transfer-encoding")

#: What an application may do instead of sending something: let the head leave alone.
PAUSE: Final = "pause"

_JUNK: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [None, True, 5, 1.5, "b", b"b", (), [], {}, [None], object]
)
_NAMES: Final = st.sampled_from(
    [
        *(b"x-a", b"X-B", b"set-cookie", b"content-length", b"Content-Length", b"transfer-encoding"),
        *(
            b"connection",
            b"date",
            b"Server",
            b"",
            b":status",
            b"x a",
            b"x-a:",
            b"x\r\ny",
            b"x\0",
            b"caf\xe9",
            b"x-a\n",
        ),
    ]
)
_VALUES: Final = st.sampled_from(
    [
        *(
            b"",
            b"b",
            b" b\t",
            b"caf\xc3\xa9",
            b"0",
            b"2",
            b"02",
            b"-2",
            b"+2",
            b"9" * 19,
            b"chunked",
            b"close",
        ),
        *(
            b"x, Close",
            b"b\r\nx-c: d",
            b"b\n",
            b"\r",
            b"b\0",
            b"\x7f",
            b"\x1b[0m",
            b"2\r\n\r\nHTTP/1.1 200 OK",
        ),
        *("b", 2, None, bytearray(b"b")),
    ]
)
_FIELDS: Final = st.tuples(_NAMES | st.binary(max_size=3), _VALUES | st.binary(max_size=3))
_WELL_FORMED: Final = st.tuples(
    st.sampled_from([b"x-a", b"X-B", b"set-cookie"]), st.sampled_from([b"b", b" b", b""])
)
_LENGTHS: Final = st.sampled_from(
    [(b"content-length", b"0"), (b"Content-Length", b"2"), (b"content-length", b"7")]
)
_HEADERS: Final = (
    st.lists(_WELL_FORMED | _LENGTHS, max_size=3)
    | st.lists(_WELL_FORMED | _FIELDS, max_size=3)
    | st.lists(_FIELDS.map(list) | _JUNK, max_size=2)
    | _JUNK
)
_STATUSES: Final = st.sampled_from(
    [200, 200, 200, 201, 404, 204, 205, 304, 100, 101, 199, 299, 999, HTTPStatus.CREATED]
) | st.sampled_from([-200, 0, 99, 1000, 2**64, 200.0, "200", b"200", None, True, [200]])
_BODIES: Final = st.sampled_from(
    [
        b"",
        b"b",
        b"bo",
        b"body",
        b"\r\n",
        b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        bytearray(b"b"),
        memoryview(b"bo"),
    ]
) | st.sampled_from(["b", None, 5, [98], object])
_START: Final = st.fixed_dictionaries(
    {"type": st.just("http.response.start"), "status": _STATUSES}, optional={"headers": _HEADERS}
)
_PIECE: Final = st.fixed_dictionaries(
    {"type": st.just("http.response.body")},
    optional={
        "body": _BODIES,
        "more_body": st.sampled_from([True, True, True, False, None, 0, 1, "yes", []]),
    },
)
_OTHER: Final = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["http.response.trailers", "http.response", "websocket.send", "", None, 5, []]
        ),
        "status": _STATUSES,
        "body": _BODIES,
    },
)

#: What an application sends, one after the other.
PROGRAMS: Final[st.SearchStrategy[list[Any]]] = st.lists(
    _START | _PIECE | _PIECE | _OTHER | _JUNK | st.just(PAUSE), max_size=8
)


class Wrong(Exception):
    """An event that has to be rejected."""


@dataclass
class Model:
    """A response, as the events that were right have made it."""

    method: str
    status: int = 0  # 0: it was not started
    headers: Headers = field(default_factory=list)
    length: int | None = None  # as declared
    body: bytes = b""
    complete: bool = False

    @property
    def bodiless(self) -> bool:
        """Whether no content is sent, whatever the application passes (RFC 9110 §6.4.1, §15.3.6)."""
        return self.method == "HEAD" or self.status < 200 or self.status in (204, 205, 304)

    @property
    def missing(self) -> bytes:
        """What has to be sent yet, so that the body is as long as declared."""
        return b"" if self.length is None or self.bodiless else b"m" * (self.length - len(self.body))

    @property
    def fields(self) -> Headers:
        """The fields that arrive, those of the application."""
        found: Headers = []
        for name, value in self.headers:
            own = name in (b"date", b"server") and any(key == name for key, _ in found)
            if name not in (*_HOP_BY_HOP, b"content-length") and not own:
                found.append((name, value))
        return found

    @property
    def closes(self) -> bool:
        """Whether the application ends the connection."""
        options = [value.lower() for name, value in self.headers if name == b"connection"]
        return self.status < 200 or any(b"close" in re.split(rb"[ \t]*,[ \t]*", value) for value in options)

    def take(self, message: object) -> None:
        """Take an event; raises Wrong, with nothing changed."""
        if self.complete:
            return  # ASGI: further messages are ignored
        kind = message.get("type") if isinstance(message, Mapping) else None
        if kind == "http.response.start" and isinstance(message, Mapping) and not self.status:
            self._start(message)
        elif kind == "http.response.body" and isinstance(message, Mapping) and self.status:
            self._add(message)
        else:
            raise Wrong

    def _start(self, message: Mapping[Any, Any]) -> None:
        status = message.get("status")
        if not isinstance(status, int) or status is True or not 100 <= status <= 999:
            raise Wrong
        headers = [_field(item) for item in _iterate(message.get("headers", []))]
        lengths = [value for name, value in headers if name == b"content-length"]
        if (
            not all(re.fullmatch(rb"[0-9]{1,18}", value) for value in lengths)
            or len(set(map(int, lengths))) > 1
        ):
            raise Wrong
        self.status, self.headers = status, headers
        self.length = int(lengths[0]) if lengths else None

    def _add(self, message: Mapping[Any, Any]) -> None:
        body = message.get("body", b"")
        if not isinstance(body, (bytes, bytearray, memoryview)):
            raise Wrong
        whole, ends = self.body + bytes(body), not message.get("more_body", False)
        if self.length is not None and not self.bodiless:
            fits = len(whole) == self.length if ends else len(whole) <= self.length
            if not fits:
                raise Wrong
        self.body, self.complete = whole, ends


def _iterate(items: Any) -> Iterator[Any]:
    try:
        return iter(items)
    except TypeError:
        raise Wrong from None


def _field(item: Any) -> tuple[bytes, bytes]:
    pair = list(_iterate(item))
    if len(pair) != 2 or not all(isinstance(part, bytes) for part in pair):
        raise Wrong
    if not _TOKEN.fullmatch(pair[0]) or not _VALUE.fullmatch(pair[1]):
        raise Wrong
    return pair[0].lower(), pair[1].strip(b" \t")


#: What `send` raises for an event that is wrong.
REJECTIONS: Final = (TypeError, ValueError, RuntimeError, KeyError)


@dataclass
class Sender:
    """An application that runs a program for each request, and sends what is missing then."""

    programs: list[list[Any]]
    models: list[Model] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        model = Model(scope["method"])
        program = self.programs[len(self.models)]
        self.models.append(model)
        for message in program:
            if message == PAUSE:
                await asyncio.sleep(0.6)  # longer than a head waits for the body
            else:
                await self._send(message, model, send)
        if not model.status:
            await self._send(start(), model, send)
        await self._send(piece(model.missing), model, send)
        for message in program:
            if message != PAUSE:
                await self._send(message, model, send)

    async def _send(self, message: Message, model: Model, send: Send) -> None:
        try:
            model.take(message)
        except Wrong:
            try:
                await send(message)
            except REJECTIONS:
                return
            self.faults.append(f"{message!r} is not rejected")
        else:
            try:
                await send(message)
            except REJECTIONS as error:
                self.faults.append(f"{message!r} is rejected: {error!r}")
