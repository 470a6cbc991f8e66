"""One part of a multipart form, while it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from multidict import CIMultiDict, CIMultiDictProxy

from ..errors import BodyConsumed
from ..exceptions import HTTPBadRequest, HTTPContentTooLarge, HTTPUnsupportedMediaType
from ..texts import CHARSETS
from .filenames import safe_filename

if TYPE_CHECKING:
    from multipart import MultipartSegment

    from .multipart import Events


class Part:
    """One part of a form, while it comes: a field, or a file if it has a ``filename``.

    It can be read once, and only until the next part is asked for: BodyConsumed otherwise.
    """

    __slots__ = ("_charset", "_events", "content_type", "filename", "headers", "name")

    def __init__(self, segment: MultipartSegment, events: Events) -> None:
        #: The name of the field.
        self.name: str = segment.name or ""
        #: As it was sent, which may be a path, or empty; None for a field that is no file.
        self.filename: str | None = segment.filename
        #: The media type in lower case, without parameters; empty if the client does not say.
        self.content_type: str = segment.content_type or ""
        #: The header fields of this part.
        self.headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict(segment.headerlist))
        self._charset = (segment.charset or "utf-8").lower()
        self._events: Events | None = events

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

    def _take(self) -> Events:
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
