"""What puts the framing around the body of a response (RFC 9112 §6 and §7), a piece at a time.

A response whose body is known as a whole needs none of these: it is written at once.
"""

from __future__ import annotations

from .response import ResponseHead, wrong_length


class BodyWriter:
    """A body that ends with the connection: of HTTP/1.0, which has no chunks; and what all bodies share."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0  # content so far, in bytes

    def frame(self, body: bytes, more: bool) -> bytes:
        """Return a piece of the body as it is written; raises ValueError as `before`."""
        size = len(body)
        return self.before(size, more) + body + self.after(size, more)

    def before(self, size: int, more: bool) -> bytes:
        """Count a piece of `size` bytes, and return what is written before it.

        Raises ValueError, with nothing changed, if the length becomes another than was declared.
        """
        self.size += size
        return b""

    def after(self, size: int, more: bool) -> bytes:
        """What is written behind a piece of `size` bytes."""
        return b""


class LengthWriter(BodyWriter):
    """A body of a declared length."""

    __slots__ = ("_declared",)

    def __init__(self, declared: int) -> None:
        super().__init__()
        self._declared = declared

    def before(self, size: int, more: bool) -> bytes:
        """Hold the size against the declared length."""
        size += self.size
        if size > self._declared or (not more and size < self._declared):
            raise wrong_length(self._declared, size)
        self.size = size
        return b""


class ChunkedWriter(BodyWriter):
    """A body in chunks, whose length nobody needs to know."""

    __slots__ = ("_line", "_line_size", "trailers")

    def __init__(self) -> None:
        super().__init__()
        self.trailers = b""  # fields that go out behind the body
        # The line before the last chunk: many bodies come in pieces of one size.
        self._line = b""
        self._line_size = -1

    def frame(self, body: bytes, more: bool) -> bytes:
        """Return a chunk, and the end of the body behind the last."""
        size = len(body)
        if more and size == self._line_size:  # one call instead of three, for each piece of a stream
            self.size += size
            return b"".join((self._line, body, b"\r\n"))
        return b"".join((self.before(size, more), body, self.after(size, more)))

    def before(self, size: int, more: bool) -> bytes:
        """The line with the size of the chunk."""
        if not size:
            return b""
        self.size += size
        if size != self._line_size:
            self._line = b"%x\r\n" % size
            self._line_size = size
        return self._line

    def after(self, size: int, more: bool) -> bytes:
        """The end of the chunk, and of the body."""
        end = b"\r\n" if size else b""
        return end if more else b"%b0\r\n%b\r\n" % (end, self.trailers)


class SilentWriter(BodyWriter):
    """A body that is not sent, whatever the application passes: of HEAD, 204, 205, 304."""

    __slots__ = ()

    def frame(self, body: bytes, more: bool) -> bytes:
        """Return nothing to write."""
        return b""

    def before(self, size: int, more: bool) -> bytes:
        """Count nothing."""
        return b""


def begin_body(
    head: ResponseHead, method: str, http_version: str, size: int, more: bool
) -> tuple[BodyWriter, bytes]:
    """Choose what frames a body, by the size of its first piece; return it, and the field that says so."""
    if method == "HEAD" or not head.has_content:
        # RFC 9110 §8.6: the length that a GET would be told, where it is known. Of no body it is not: many
        # applications leave that of a HEAD out themselves, however long it is.
        if more or not size or not head.has_content or head.content_length is not None:
            return SilentWriter(), b""
        return SilentWriter(), b"content-length: %d\r\n" % size
    if head.content_length is not None:
        return LengthWriter(head.content_length), b""
    if not more:
        return LengthWriter(size), b"content-length: %d\r\n" % size
    if http_version == "1.1":
        return ChunkedWriter(), b"transfer-encoding: chunked\r\n"
    return BodyWriter(), b""
