"""What puts the framing around the body of a response (RFC 9112 §6 and §7), a piece at a time.

A response whose body is known as a whole needs none of these: it is written at once.
"""

from __future__ import annotations

from .response import ResponseHead, wrong_length


class LengthWriter:
    """A body of a declared length."""

    __slots__ = ("_declared", "size")

    def __init__(self, declared: int) -> None:
        self._declared = declared
        self.size = 0  # content written, in bytes

    def frame(self, body: bytes, more: bool) -> bytes:
        """Return what to write; raises ValueError, with nothing changed, if the length becomes wrong."""
        size = self.size + len(body)
        if size > self._declared or (not more and size < self._declared):
            raise wrong_length(self._declared, size)
        self.size = size
        return body


class ChunkedWriter:
    """A body in chunks, whose length nobody needs to know."""

    __slots__ = ("_line", "_line_size", "size")

    def __init__(self) -> None:
        self.size = 0
        # The line before the last chunk: many bodies come in pieces of one size.
        self._line = b""
        self._line_size = 0

    def frame(self, body: bytes, more: bool) -> bytes:
        """Return what to write."""
        size = len(body)
        if not size:
            return b"" if more else b"0\r\n\r\n"
        self.size += size
        if size != self._line_size:
            self._line = b"%x\r\n" % size
            self._line_size = size
        return b"".join((self._line, body, b"\r\n" if more else b"\r\n0\r\n\r\n"))


class CloseWriter:
    """A body that ends with the connection: of HTTP/1.0, which has no chunks."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0

    def frame(self, body: bytes, more: bool) -> bytes:
        """Return what to write."""
        self.size += len(body)
        return body


class SilentWriter:
    """A body that is not sent, whatever the application passes: of HEAD, 204, 205, 304."""

    __slots__ = ()

    size = 0

    def frame(self, body: bytes, more: bool) -> bytes:
        """Return nothing to write."""
        return b""


BodyWriter = LengthWriter | ChunkedWriter | CloseWriter | SilentWriter


def begin_body(
    head: ResponseHead, method: str, http_version: str, body: bytes, more: bool
) -> tuple[BodyWriter, bytes]:
    """Choose what frames a body, now that its first piece is known; return it and the field that says so.

    Raises ValueError, with nothing changed, if that piece contradicts the declared Content-Length.
    """
    if method == "HEAD" or not head.has_content:
        # RFC 9110 §8.6: the length that a GET would be told, where it is known.
        if more or not head.has_content or head.content_length is not None:
            return SilentWriter(), b""
        return SilentWriter(), b"content-length: %d\r\n" % len(body)
    if head.content_length is not None:
        return LengthWriter(head.content_length), b""
    if not more:
        return LengthWriter(len(body)), b"content-length: %d\r\n" % len(body)
    if http_version == "1.1":
        return ChunkedWriter(), b"transfer-encoding: chunked\r\n"
    return CloseWriter(), b""
