"""multipart/form-data, part by part as it comes (RFC 7578), by the parser of the library multipart.

Nothing of a part is kept here but its head and at most one piece of the body. What nobody reads is skipped.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy

from ..errors import BodyConsumed
from ..exceptions import HTTPBadRequest, HTTPContentTooLarge, HTTPUnsupportedMediaType
from ..headers import CHARSETS, media_type
from .filenames import safe_filename
from .limits import FormLimits

try:
    from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser
except ImportError as missing:
    raise ImportError(
        "multipart/form-data needs the library multipart: pip install 'asgiweb[forms]'"
    ) from missing

Event: TypeAlias = "MultipartSegment | bytes | None"

# RFC 2046, 5.1.1: at most 70 characters. A longer one would be compared with every piece of the body.
_BOUNDARY = re.compile(
    r"(?:^|;)[ \t]*boundary[ \t]*=[ \t]*"
    r'(?:"(?P<quoted>[ -!#-~]{1,70})"|(?P<token>[!-:<-~]{1,70}))[ \t]*(?=;|$)',
    re.IGNORECASE,
)


class _Events:
    """What the parser finds, one by one; None ends a part. StopAsyncIteration at the end of the form."""

    __slots__ = ("_found", "_parser", "_stream", "text_left")

    def __init__(self, stream: AsyncIterator[bytes], parser: PushMultipartParser, limits: FormLimits) -> None:
        self._stream = stream
        self._parser = parser
        self._found: Iterator[Event] = iter(())
        #: Bytes of text that may still come, in all parts.
        self.text_left = limits.text_size

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> Event:
        try:
            while True:
                for event in self._found:
                    return event
                try:
                    piece = await anext(self._stream)
                except StopAsyncIteration:
                    self._parser.close()
                    raise
                self._found = self._parser.parse(piece)
        except ParserLimitReached as error:
            raise HTTPContentTooLarge(f"the head of a part of the form is too large: {error}") from None
        except MultipartError as error:
            raise HTTPBadRequest(f"the body is no multipart/form-data: {error}") from None


class Part:
    """One part of a form, while it comes: a field, or a file if it has a ``filename``.

    It can be read once, and only until the next part is asked for: BodyConsumed otherwise.
    """

    __slots__ = ("_charset", "_events", "content_type", "filename", "headers", "name")

    def __init__(self, segment: MultipartSegment, events: _Events) -> None:
        #: The name of the field.
        self.name: str = segment.name or ""
        #: As it was sent, which may be a path, or empty; None for a field that is no file.
        self.filename: str | None = segment.filename
        #: The media type in lower case, without parameters; empty if the client does not say.
        self.content_type: str = segment.content_type or ""
        #: The header fields of this part.
        self.headers = CIMultiDictProxy(CIMultiDict(segment.headerlist))
        self._charset = (segment.charset or "utf-8").lower()
        self._events: _Events | None = events

    def __repr__(self) -> str:
        return f"<Part {self.name!r}{'' if self.filename is None else f' with the file {self.filename!r}'}>"

    @property
    def safe_filename(self) -> str:
        """The file name without directories and what is dangerous in one; "file" if nothing is left."""
        return safe_filename(self.filename)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what the part contains, as it comes."""
        events = self._take()
        async for event in events:
            if not isinstance(event, bytes):
                return
            yield event

    def _take(self) -> _Events:
        events, self._events = self._events, None
        if events is None:
            raise BodyConsumed(f"{self!r} has gone by: read a part once, before the next one is asked for")
        return events

    async def read(self) -> bytes:
        """Read all of it into memory, whatever its size: the limit is that of the body."""
        pieces = [piece async for piece in self]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def text(self) -> str:
        """Read it as text, in the charset it names or UTF-8. HTTPBadRequest if it is not that.

        HTTPContentTooLarge if the texts of the form become larger than ``FormLimits.text_size``.
        """
        if self._charset not in CHARSETS:
            raise HTTPUnsupportedMediaType(f"the charset {self._charset!r} is not known here")
        pieces = []
        events = self._take()
        async for event in events:
            if not isinstance(event, bytes):
                break
            events.text_left -= len(event)
            if events.text_left < 0:
                raise HTTPContentTooLarge("the texts of the form are too large")
            pieces.append(event)
        try:
            return b"".join(pieces).decode(self._charset)
        except ValueError:
            raise HTTPBadRequest(f"the field {self.name!r} is not text in {self._charset!r}") from None

    def leave(self) -> None:
        """Let nobody read on: the next part is asked for."""
        self._events = None


async def read_parts(
    stream: AsyncIterator[bytes], content_type: str, limits: FormLimits
) -> AsyncIterator[Part]:
    """Yield the parts of a body. HTTPBadRequest, HTTPContentTooLarge, HTTPUnsupportedMediaType."""
    events = _Events(stream, _parser(content_type, limits), limits)
    fields = files = 0
    async for event in events:
        if not isinstance(event, MultipartSegment):
            # It belongs to a part that was not read to its end.
            continue
        part = Part(event, events)
        if part.filename is None:
            fields += 1
            if fields > limits.fields:
                raise HTTPContentTooLarge(f"the form has more than {limits.fields} fields")
        else:
            files += 1
            if files > limits.files:
                raise HTTPContentTooLarge(f"the form has more than {limits.files} files")
        yield part
        part.leave()


def _parser(content_type: str, limits: FormLimits) -> PushMultipartParser:
    if media_type(content_type) != "multipart/form-data":
        raise HTTPUnsupportedMediaType("the body is not multipart/form-data")
    match = _BOUNDARY.search(content_type.partition(";")[2])
    if match is None:
        raise HTTPBadRequest("the Content-Type names no boundary of 1 to 70 characters (RFC 2046, 5.1.1)")
    return PushMultipartParser(
        match["quoted"] or match["token"],
        max_header_size=limits.part_header_size,
        max_header_count=limits.part_headers,
    )
