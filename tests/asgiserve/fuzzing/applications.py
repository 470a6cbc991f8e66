"""An application that sends anything, and what has to become of it.

`Model` is ASGI's view of a response (ASGI HTTP 2.5 and its extensions; RFC 9110 §5, §6.5, §8.6, RFC 8297),
apart from the server's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.asgiserve.applications import Message, Receive, Scope, Send, piece, start
from tests.asgiserve.fuzzing.events import PAUSE

Headers = list[tuple[bytes, bytes]]

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")

#: Fields that are the server's own, whatever the application says.
_OWN: Final = (b"connection", b"transfer-encoding", b"content-length")
#: Fields that cannot stand behind a body, among those that are tried here (RFC 9110 §6.5.1).
_NO_TRAILERS: Final = (*_OWN, b"set-cookie", b"host")


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
    hints: list[Headers] = field(default_factory=list)
    trailers: Headers = field(default_factory=list)
    announced: bool = False  # trailers follow the body
    begun: bool = False  # the head was written
    due: bool = False  # the body is complete, and its trailers are not
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
            repeated = name in (b"date", b"server") and any(key == name for key, _ in found)
            if name not in _OWN and not repeated:
                found.append((name, value))
        return found

    @property
    def closes(self) -> bool:
        """Whether the application ends the connection."""
        options = [value.lower() for name, value in self.headers if name == b"connection"]
        return self.status < 200 or any(b"close" in re.split(rb"[ \t]*,[ \t]*", value) for value in options)

    def pause(self) -> None:
        """The head leaves alone, if there is one."""
        self.begun = self.status > 0

    def take(self, message: object) -> None:
        """Take an event; raises Wrong, with nothing changed."""
        if self.complete:
            return  # ASGI: further messages are ignored
        if not isinstance(message, Mapping):
            raise Wrong
        kind = message.get("type")
        if kind == "http.response.start" and not self.status:
            self._start(message)
        elif kind == "http.response.body" and self.status and not self.due:
            self._add(message)
        elif kind == "http.response.trailers" and self.due:
            self._trail(message)
        elif kind == "http.response.early_hint":
            if not self.begun:
                self._hint(message)
        else:
            raise Wrong

    def _start(self, message: Mapping[Any, Any]) -> None:
        status = message.get("status")
        if not isinstance(status, int) or status is True or not 100 <= status <= 999:
            raise Wrong
        headers = _fields(message.get("headers", []))
        lengths = [value for name, value in headers if name == b"content-length"]
        if len({int(length) for length in lengths}) > 1:
            raise Wrong
        self.status, self.headers = status, headers
        self.length = int(lengths[0]) if lengths else None
        self.announced = bool(message.get("trailers", False))

    def _add(self, message: Mapping[Any, Any]) -> None:
        body = message.get("body", b"")
        if not isinstance(body, (bytes, bytearray, memoryview)):
            raise Wrong
        whole, ends = self.body + bytes(body), not message.get("more_body", False)
        length = len(whole) if self.length is None or self.bodiless else self.length
        if len(whole) > length or (ends and len(whole) < length):
            raise Wrong
        self.body, self.begun = whole, True
        self.due = ends and self.announced
        self.complete = ends and not self.announced

    def _trail(self, message: Mapping[Any, Any]) -> None:
        trailers = _fields(message.get("headers"))
        if any(name in _NO_TRAILERS for name, _ in trailers):
            raise Wrong
        self.trailers += trailers
        self.complete = not message.get("more_trailers", False)

    def _hint(self, message: Mapping[Any, Any]) -> None:
        links = _fields([(b"link", link) for link in _iterate(message.get("links"))])
        if links:
            self.hints.append(links)


def _iterate(items: Any) -> Iterator[Any]:
    try:
        return iter(items)
    except TypeError:
        raise Wrong from None


def _fields(items: Any) -> Headers:
    return [_field(item) for item in _iterate(items)]


def _field(item: Any) -> tuple[bytes, bytes]:
    pair = list(_iterate(item))
    if len(pair) != 2 or not all(isinstance(part, bytes) for part in pair):
        raise Wrong
    if not _TOKEN.fullmatch(pair[0]) or not _VALUE.fullmatch(pair[1]):
        raise Wrong
    name, value = pair[0].lower(), pair[1].strip(b" \t")
    if name == b"content-length" and not re.fullmatch(rb"[0-9]{1,18}", pair[1]):
        raise Wrong
    return name, value


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
                model.pause()
            else:
                await self._send(message, model, send)
        if not model.status:
            await self._send(start(), model, send)
        if not model.due:
            await self._send(piece(model.missing), model, send)
        if model.due:
            await self._send({"type": "http.response.trailers", "headers": []}, model, send)
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
