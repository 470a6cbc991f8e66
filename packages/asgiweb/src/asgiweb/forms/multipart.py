"""multipart/form-data, part by part as it comes (RFC 7578), by the parser of the library multipart.

Nothing is kept here but the head of a part and at most one piece of the body. What nobody reads is skipped.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import TypeAlias

from ..exceptions import HTTPBadRequest, HTTPContentTooLarge, HTTPUnsupportedMediaType
from ..headers import media_type
from .limits import FormLimits
from .parts import Part

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


class Events:
    """What the parser finds, one by one; None ends a part. StopAsyncIteration at the end of the form."""

    __slots__ = ("_found", "_parser", "_stream", "text_left")

    def __init__(self, stream: AsyncIterator[bytes], parser: PushMultipartParser, limits: FormLimits) -> None:
        self._stream = stream
        self._parser = parser
        self._found: Iterator[Event] = iter(())
        #: Bytes of text that may still come, in all parts.
        self.text_left = limits.text_size

    def __aiter__(self) -> Events:
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
            # Some have an exception with them, which says nothing to the client.
            raise HTTPBadRequest(f"the body is no multipart/form-data: {error.args[0]}") from None


async def read_parts(
    stream: AsyncIterator[bytes], content_type: str, limits: FormLimits
) -> AsyncIterator[Part]:
    """Yield the parts of a body. HTTPBadRequest, HTTPContentTooLarge, HTTPUnsupportedMediaType."""
    events = Events(stream, _parser(content_type, limits), limits)
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
