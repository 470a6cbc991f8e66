"""From an open file to a response: its headers, the conditions of the request, the ranges it asks for."""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import dataclass
from time import time
from typing import Any

from multidict import CIMultiDict

from ..exceptions import HTTPNotFound, HTTPPreconditionFailed, HTTPRangeNotSatisfiable
from ..headers import add_vary, header_pair
from ..request import Request
from ..response import Headers, Response
from .conditional import Outcome, Validators, evaluate, range_applies
from .content_types import content_type_of, is_compressible
from .dates import format_date
from .disposition import Disposition, content_disposition
from .opening import OpenFile
from .precompressed import accepted_codings, open_variant
from .ranges import ByteRange, Unsatisfiable, parse_ranges
from .sending import FileResponse, FileStream, Part, Parts, read_parts, size_of

#: Up to this size, in bytes, a body is read at once and sent in one message. Measured on asgiserve: a request
#: for 16 KiB takes 107 µs so and 147 µs by zerocopysend, for 64 KiB the same, for 256 KiB 407 and 180 µs.
SMALL = 65536

# They describe a body (RFC 9110, 15.4.5).
_NOT_IN_304 = ("content-type", "content-encoding", "content-disposition", "content-language", "accept-ranges")


@dataclass(slots=True)
class Representation:
    """A file that is open, and the headers that describe it, which may be changed until it is sent."""

    file: OpenFile
    headers: CIMultiDict[str]

    async def response(self, request: Request[Any], status: int = 200) -> Response:
        """Answer a request with it, and close the file as soon as it is not needed any more.

        Conditions and ranges count for 200 only, and for GET and HEAD (RFC 9110, 13.2.1 and 14.2).
        """
        file = self.file
        try:
            headers = self.headers
            parts: Parts = [Part(0, file.size)]
            if status == 200 and request.method in ("GET", "HEAD"):
                asked = request.headers
                validators = self._validators()
                outcome = evaluate(asked, validators)
                if outcome is Outcome.NOT_MODIFIED:
                    file.close()
                    return self._not_modified()
                if outcome is Outcome.FAILED:
                    raise HTTPPreconditionFailed
                if "range" in asked and request.method == "GET" and range_applies(asked, validators):
                    status, parts = self._ranges(asked.getall("range"))
            if size_of(parts) > SMALL:
                stream = FileStream(file, parts)
                request.streams += (stream,)
                return FileResponse(stream, status, request.scope, headers=headers)
            body = await read_parts(file, parts)
            file.close()
            return Response(body, status, headers=headers)
        except BaseException:
            file.close()
            raise

    def add(self, headers: Headers) -> None:
        """Add headers, or replace what is there, and keep what tells the codings of the file apart."""
        own = self.headers
        etag, vary, coding = own["etag"], own.get("vary"), own.get("content-encoding")
        own.update(headers)
        if vary is not None:
            add_vary(own, vary)
        if coding is not None and own["etag"] != etag and own["etag"].startswith('"'):
            # With one strong tag for both a client would join parts of the two (RFC 9110, 8.8.3.3).
            own["etag"] = f'{own["etag"][:-1]}-{coding}"'

    def _not_modified(self) -> Response:
        for name in _NOT_IN_304:
            self.headers.popall(name, None)
        return Response(None, 304, headers=self.headers)

    def _validators(self) -> Validators:
        """Return the validators as they are in the headers, where somebody may have set his own."""
        return Validators(self.headers.get("etag", ""), self.headers.get("last-modified", ""))

    def _ranges(self, values: list[str]) -> tuple[int, Parts]:
        """Return the status and the parts to send, with the headers changed for them."""
        size = self.file.size
        try:
            # It is no list: two of it make no sense.
            ranges = parse_ranges(values[0], size) if len(values) == 1 else []
        except Unsatisfiable:
            headers = {"content-range": f"bytes */{size}"}
            raise HTTPRangeNotSatisfiable(headers=headers) from None
        if not ranges:
            return 200, [Part(0, size)]
        if len(ranges) == 1:
            self.headers["content-range"] = ranges[0].content_range(size)
            return 206, [Part(ranges[0].start, ranges[0].count)]
        return 206, self._multipart(ranges, size)

    def _multipart(self, ranges: list[ByteRange], size: int) -> Parts:
        """Return the parts of a multipart/byteranges body (14.6)."""
        boundary = secrets.token_hex(16)
        content_type = self.headers["content-type"]
        # It gets into the body here, where nobody else looks at it any more.
        header_pair("content-type", content_type)
        parts: list[Part | bytes] = []
        for one in ranges:
            head = (
                f"\r\n--{boundary}\r\ncontent-type: {content_type}\r\n"
                f"content-range: {one.content_range(size)}\r\n\r\n"
            )
            parts += [head.encode("latin-1"), Part(one.start, one.count)]
        parts.append(f"\r\n--{boundary}--\r\n".encode())
        self.headers["content-type"] = f"multipart/byteranges; boundary={boundary}"
        return parts


async def file_response(
    request: Request[Any],
    path: str | os.PathLike[str],
    status: int = 200,
    *,
    filename: str | None = None,
    disposition: Disposition | None = None,
    content_type: str | None = None,
    headers: Headers | None = None,
    precompressed: bool = False,
    in_threads: bool = False,
) -> Response:
    """Answer with a file, or what the request wants of it: 206 for ranges, 304 if the client has it.

    ``filename`` is the name to save it by. With ``precompressed``, what is in ``path + ".br"``, ``".zst"`` or
    ``".gz"`` is sent to clients that accept it. ``in_threads`` is for file systems where opening takes long.
    HTTPNotFound if no file can be read there, HTTPPreconditionFailed, HTTPRangeNotSatisfiable.
    """
    path = os.fspath(path)
    found = await find(request, path, precompressed=precompressed, in_threads=in_threads)
    if found is None:
        raise HTTPNotFound
    found.add(headers or {})
    if content_type is not None:
        found.headers["content-type"] = content_type
    if filename is not None or disposition is not None:
        name = os.path.basename(path) if filename is None else filename
        found.headers["content-disposition"] = content_disposition(disposition or "attachment", name)
    return await found.response(request, status)


async def find(
    request: Request[Any], path: str, *, precompressed: bool, within: str = "", in_threads: bool = False
) -> Representation | None:
    """Open a file, in a coding that the client accepts, and describe it; None if there is none."""
    content_type = content_type_of(path)
    varies = precompressed and is_compressible(content_type)
    accepted = ", ".join(request.headers.getall("accept-encoding", ())) if varies else ""
    codings = accepted_codings(accepted)
    if in_threads:
        opened = await asyncio.to_thread(open_variant, path, codings, within=within, in_threads=True)
    else:
        opened = open_variant(path, codings, within=within)
    if opened is None:
        return None
    file, coding = opened
    headers = CIMultiDict(
        {
            "content-type": content_type,
            "etag": f'"{file.modified_ns:x}-{file.size:x}{coding and "-" + coding}"',
            "last-modified": format_date(_last_modified(file)),
            "accept-ranges": "bytes",
            "x-content-type-options": "nosniff",
        }
    )
    if coding:
        headers["content-encoding"] = coding
    if varies:
        headers["vary"] = "accept-encoding"
    return Representation(file, headers)


def _last_modified(file: OpenFile) -> int:
    """Return the file's time of change in seconds, which is never in the future (RFC 9110, 8.8.2.1)."""
    return max(0, min(file.modified_ns // 1_000_000_000, int(time())))
