"""Compressing the bodies of responses in the coding that the client prefers (RFC 9110, 8.4 and 12.5.3).

Streams stay streams: each piece is compressed so that the client can read it at once. What is not compressed
goes out untouched: event streams, parts of a body, what has a coding or a digest already, and media types
that are compressed in themselves.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

from multidict import CIMultiDict, istr

from ..errors import RegistrationError
from ..handlers import Handler
from ..headers import add_vary, media_type
from ..negotiation import accepted_encodings
from ..request import Request
from ..response import Response
from ..streaming import iterating
from .content_codings import CODINGS, Compressor
from .fields import field_value

#: Media types that get smaller; "*" stands for any text. Streams without a type are not among them.
COMPRESSIBLE = (
    "text/*",
    "*+json",
    "*+xml",
    "application/json",
    "application/javascript",
    "application/x-javascript",
    "application/x-ndjson",
    "application/xml",
    "application/wasm",
    "application/graphql",
    "application/rtf",
    "application/vnd.ms-fontobject",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/x-icon",
    "image/vnd.microsoft.icon",
)

#: Bytes from which on a body is compressed in a thread: it would block the loop for 0.15 (zstd) to 0.7 ms
#: (gzip), and the way to a thread and back costs 0.05 ms.
IN_THREAD = 65_536

# What says something about the bytes as they are (RFC 9110, 8.4 and 14.4; RFC 9530, and what was before it).
_ABOUT_WHOLE = (istr("content-encoding"), istr("repr-digest"), istr("digest"))
_ABOUT_BYTES = (*_ABOUT_WHOLE, istr("content-range"), istr("content-digest"), istr("content-md5"))
_ENCODING, _LENGTH, _RANGES, _ETAG = map(istr, "content-encoding content-length accept-ranges etag".split())
_CACHE_CONTROL = istr("cache-control")
_EVENT_STREAM = "text/event-stream"
_PARTS = "multipart/byteranges"


class Compression:
    """Compresses bodies of ``minimum_size`` bytes and more, and streams.

    ``encodings`` are of "zstd", "br" and "gzip", the preferred first; without it, all that are installed.
    ``levels`` has a level for each. A response with ``Cache-Control: no-transform`` is left alone, as a page
    should be that shows a secret beside what the client has sent (BREACH).
    """

    def __init__(
        self,
        *,
        minimum_size: int = 500,
        encodings: Iterable[str] | None = None,
        levels: Mapping[str, int] | None = None,
        content_types: Iterable[str] = COMPRESSIBLE,
    ) -> None:
        self._minimum_size = minimum_size
        self._compressors = _compressors(encodings, levels or {})
        self._names = tuple(self._compressors)
        types = "|".join(re.escape(kind.lower()).replace(r"\*", "[^;]*") for kind in content_types)
        self._compressible = lru_cache(maxsize=128)(re.compile(types).fullmatch)

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        """Compress the response, unless something speaks against it."""
        response = await handler(request)
        status = response.status
        if status < 200 or status == 204:
            return response
        if status == 206:
            if self._is_of_what_may_change(response):
                add_vary(response.headers, "accept-encoding")
            return response
        if status == 304:
            _keep_validator(request, response.headers)
            return response
        accepted, required = accepted_encodings(field_value(request.scope, b"accept-encoding"), self._names)
        size = _size(request, response)
        if size is not None and (size == 0 or (size < self._minimum_size and not required)):
            return response
        if self._may_change(response):
            add_vary(response.headers, "accept-encoding")
            if accepted:
                await self._compress(request, response, accepted[0])
        return response

    def _may_change(self, response: Response) -> bool:
        """Tell whether nothing is said about the body that would be wrong after compression."""
        kind = media_type(response.content_type or "")
        if kind == _EVENT_STREAM or self._compressible(kind) is None:
            return False
        return not _is_fixed(response.headers, _ABOUT_BYTES)

    def _is_of_what_may_change(self, response: Response) -> bool:
        """Tell whether a part is of what is compressed as a whole, which varies then (RFC 9110, 15.3.7).

        Of several parts none says here of what type it is: these may be.
        """
        kind = media_type(response.content_type or "")
        if kind != _PARTS and self._compressible(kind) is None:
            return False
        return not _is_fixed(response.headers, _ABOUT_WHOLE)

    async def _compress(self, request: Request[Any], response: Response, coding: str) -> None:
        compressor = self._compressors[coding]()
        headers = response.headers
        if request.method == "HEAD":
            # The length is what a GET would find out, and may be left out here (RFC 9110, 9.3.2).
            response.stream = response.stream or _nothing()
            response.body = b""
        elif response.stream is not None:
            # The application closes what is wrapped here.
            response.stream = _compressed(response.stream, compressor)
        else:
            in_thread = len(response.body) >= IN_THREAD
            whole = compressor.last
            response.body = (
                await asyncio.to_thread(whole, response.body) if in_thread else whole(response.body)
            )
        headers[_ENCODING] = coding
        headers.pop(_LENGTH, None)
        # Ranges would be of these bytes, which are made anew each time.
        headers.pop(_RANGES, None)
        etag = headers.get(_ETAG, "W/")
        if not etag.startswith("W/"):
            # Two codings are not the same byte for byte (RFC 9110, 8.8.1 and 8.8.3).
            headers[_ETAG] = f"W/{etag}"


async def _compressed(stream: AsyncIterable[bytes | str], compressor: Compressor) -> AsyncIterator[bytes]:
    async with iterating(stream) as pieces:
        async for piece in pieces:
            data = piece.encode() if isinstance(piece, str) else piece
            if len(data) >= IN_THREAD:
                yield await asyncio.to_thread(compressor.piece, data)
            elif data:
                yield compressor.piece(data)
    yield compressor.last(b"")


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield


def _is_fixed(headers: CIMultiDict[str], about: Iterable[str]) -> bool:
    """Tell whether headers say something ``about`` a body, or that nobody may change it."""
    if any(name in headers for name in about):
        return True
    directives = ",".join(headers.getall(_CACHE_CONTROL, ())).lower().split(",")
    return "no-transform" in map(str.strip, directives)


def _size(request: Request[Any], response: Response) -> int | None:
    """Return the size of the body, or of that which a GET would get; None where nobody knows it."""
    if response.stream is None and (response.body or request.method != "HEAD"):
        return len(response.body)
    # What a stream yields, such as a file, or what a handler of HEAD says of a GET.
    length = response.headers.get(_LENGTH, "")
    if length.isdecimal():
        return int(length)
    return None if response.stream is not None else 0


def _keep_validator(request: Request[Any], headers: CIMultiDict[str]) -> None:
    """Give a 304 the validator and Vary of the response that the client has (RFC 9110, 15.4.5)."""
    add_vary(headers, "accept-encoding")
    etag = headers.get(_ETAG, "W/")
    if not etag.startswith("W/"):
        known = field_value(request.scope, b"if-none-match") or ""
        if f"W/{etag}" in map(str.strip, known.split(",")):
            headers[_ETAG] = f"W/{etag}"


def _compressors(
    encodings: Iterable[str] | None, levels: Mapping[str, int]
) -> dict[str, Callable[[], Compressor]]:
    """Return what makes a compressor, for each coding that is used."""
    if isinstance(encodings, str):
        raise RegistrationError(f"Compression: encodings is a list, such as [{encodings!r}]")
    names = list(CODINGS) if encodings is None else list(encodings)
    if unknown := set(names) - set(CODINGS):
        raise RegistrationError(f"Compression: {sorted(unknown)} are not among {', '.join(CODINGS)}")
    if unused := set(levels) - set(names):
        raise RegistrationError(
            f"Compression: levels for {sorted(unused)}, which are not among the encodings"
        )
    compressors: dict[str, Callable[[], Compressor]] = {}
    for name in names:
        coding = CODINGS[name]
        level = levels.get(name, coding.level)
        if level not in coding.levels:
            first, last = coding.levels[0], coding.levels[-1]
            raise RegistrationError(f"Compression: levels of {name} are {first} to {last}, not {level}")
        try:
            module = importlib.import_module(coding.module)
        except ImportError:
            if encodings is not None:
                message = f"Compression: {name!r} needs pip install 'asgiweb[compression]'"
                raise RegistrationError(message) from None
        else:
            compressors[name] = partial(coding.compressor, module, level)
    return compressors
