"""Compression: which bodies are compressed, how, and what the headers say then (RFC 9110, 8.4 and 12.5.3)."""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest

from asgiweb import Application, RegistrationError, Request, Response, WebSocket, json_response
from asgiweb.asgi import Message, Receive, Send
from asgiweb.files import file_response
from asgiweb.middleware import Compression
from asgiweb.middleware.compression import IN_THREAD
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import Exchange, client_of, http_scope

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = "All work and no play makes Jack a dull boy. " * 50
DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": zstd.decompress,
}


def answering(response: Callable[[], Response], **settings: Any) -> Application[None]:
    """Return an application whose every answer is that response."""
    app = Application[None](middlewares=[Compression(**settings)])

    async def handler(request: Request) -> Response:
        return response()

    app.route("/", methods=["GET", "POST"])(handler)
    return app


async def ask(
    response: Callable[[], Response] | Application[None],
    accept: str | None = "gzip",
    method: str = "GET",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    **settings: Any,
) -> Exchange:
    app = response if isinstance(response, Application) else answering(response, **settings)
    fields = [*headers, *([] if accept is None else [(b"accept-encoding", accept.encode())])]
    return await Exchange(http_scope(method=method, headers=fields)).run(app)


def untouched(exchange: Exchange, body: bytes = TEXT.encode()) -> bool:
    return "content-encoding" not in exchange.headers and exchange.body == body


async def pieces(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("size", [len(TEXT), IN_THREAD + 1])
async def test_a_body_is_compressed(coding: str, size: int) -> None:
    body = (TEXT * 50)[:size]
    exchange = await ask(lambda: Response(body), coding)
    assert exchange.headers["content-encoding"] == coding
    assert exchange.headers["vary"] == "accept-encoding"
    assert exchange.headers["content-length"] == str(len(exchange.body))
    assert exchange.headers["content-type"] == "text/plain; charset=utf-8"
    assert len(exchange.body) < len(body) / 5
    assert DECODERS[coding](exchange.body) == body.encode()


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate", "gzip"),
        ("deflate", None),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("gzip ; q=0.5 , br ; Q=0.501", "br"),
        ("gzip;q=0", None),
        ("gzip;q=0.000, br;q=0", None),
        ("*", "zstd"),
        ("*, zstd;q=0", "br"),
        ("*;q=0", None),
        ("gzip, *;q=0", "gzip"),
        ("identity, gzip", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("gzip;q=2", None),
        ("gzip;q=-1", None),
        ("gzip;q=", None),
        ("gzip;q=0.0001", "gzip"),
        (",,gzip,,", "gzip"),
        (";q=1,gzip", "gzip"),
    ],
)
async def test_rfc_9110_12_5_3_the_client_chooses(accept: str | None, coding: str | None) -> None:
    exchange = await ask(lambda: Response(TEXT), accept)
    assert exchange.headers.get("content-encoding") == coding
    assert exchange.headers["vary"] == "accept-encoding"


async def test_several_fields_are_one_list() -> None:
    headers = ((b"Accept-Encoding", b"gzip;q=0.5"), (b"accept-encoding", b"br"))
    assert (await ask(lambda: Response(TEXT), None, headers=headers)).headers["content-encoding"] == "br"


async def test_the_server_prefers_among_equals_and_offers_what_it_is_told() -> None:
    exchange = await ask(lambda: Response(TEXT), "gzip, br, zstd", encodings=["gzip", "br"])
    assert exchange.headers["content-encoding"] == "gzip"
    assert untouched(await ask(lambda: Response(TEXT), "zstd", encodings=["gzip", "br"]))


async def test_small_bodies_are_left_alone() -> None:
    exchange = await ask(lambda: Response("a" * 499))
    assert untouched(exchange, b"a" * 499)
    assert "vary" not in exchange.headers
    assert (await ask(lambda: Response("a" * 500))).headers["content-encoding"] == "gzip"
    assert untouched(await ask(lambda: Response(TEXT), minimum_size=10_000))
    assert untouched(await ask(lambda: Response("")), b"")


@pytest.mark.parametrize("accept", ["gzip, identity;q=0", "gzip, *;q=0"])
async def test_a_client_that_needs_a_coding_gets_it_for_small_bodies_too(accept: str) -> None:
    exchange = await ask(lambda: Response("small"), accept)
    assert gzip.decompress(exchange.body) == b"small"
    assert untouched(await ask(lambda: Response("small"), "identity;q=0"), b"small")


@pytest.mark.parametrize(
    "kind",
    [
        "text/html; charset=utf-8",
        "TEXT/CSS",
        "application/json",
        "application/problem+json",
        "image/svg+xml",
        "application/wasm",
        "font/ttf",
    ],
)
async def test_types_that_get_smaller(kind: str) -> None:
    assert (await ask(lambda: Response(TEXT, content_type=kind))).headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    "kind",
    [
        "image/png",
        "image/avif",
        "video/mp4",
        "audio/mpeg",
        "application/zip",
        "application/gzip",
        "application/pdf",
        "application/octet-stream",
        "font/woff2",
        "text/event-stream",
        "text/event-stream; charset=utf-8",
        "multipart/byteranges; boundary=text/html",
    ],
)
async def test_types_that_do_not(kind: str) -> None:
    exchange = await ask(lambda: Response(TEXT.encode(), content_type=kind))
    assert untouched(exchange)
    assert "vary" not in exchange.headers


async def test_types_are_a_setting_but_event_streams_are_never_compressed() -> None:
    types = ["application/x-own", "text/event-stream"]
    response = await ask(lambda: Response(TEXT, content_type="application/x-own"), content_types=types)
    assert response.headers["content-encoding"] == "gzip"
    assert untouched(await ask(lambda: Response(TEXT), content_types=types))
    assert untouched(await ask(lambda: Response(TEXT, content_type="text/event-stream"), content_types=types))


@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "br"},
        {"content-encoding": "identity"},
        {"content-range": "bytes 0-9/100"},
        {"cache-control": "public, No-Transform"},
        {"content-digest": "sha-256=:abc:"},
        {"repr-digest": "sha-256=:abc:"},
    ],
)
async def test_what_says_something_about_the_body_is_left_alone(headers: dict[str, str]) -> None:
    exchange = await ask(lambda: Response(TEXT, headers=headers))
    assert exchange.body == TEXT.encode()
    assert exchange.headers.get("content-encoding") == headers.get("content-encoding")
    assert "vary" not in exchange.headers


@pytest.mark.parametrize("status", [204, 206])
async def test_statuses_without_a_whole_body(status: int) -> None:
    exchange = await ask(lambda: Response(TEXT, status))
    assert "content-encoding" not in exchange.headers


@pytest.mark.parametrize("ranges", ["bytes=0-9", "bytes=0-9, 1000-1009"])
@pytest.mark.parametrize(("name", "varies"), [("a.txt", True), ("a.png", False)])
async def test_rfc_9110_15_3_7_a_part_varies_as_the_whole_does(
    ranges: str, name: str, varies: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(TEXT.encode())
    app = Application[None](middlewares=[Compression()])

    @app.get("/")
    async def file(request: Request) -> Response:
        return await file_response(request, tmp_path / name)

    for accept in ("gzip", None):
        whole, part = await ask(app, accept), await ask(app, accept, headers=((b"range", ranges.encode()),))
        assert part.status == 206
        assert "content-encoding" not in part.headers
        assert ("vary" in whole.headers) is varies
        # Of what type the parts of several are is not said where caches look: it is better to say too much.
        assert ("vary" in part.headers) is (varies or "," in ranges)


@pytest.mark.parametrize("headers", [{"cache-control": "no-transform"}, {"content-encoding": "br"}])
async def test_a_part_of_what_is_never_compressed_does_not_vary(headers: dict[str, str]) -> None:
    headers = {"content-range": "bytes 0-9/2000", **headers}
    exchange = await ask(lambda: Response(TEXT[:10], 206, headers=headers))
    assert "vary" not in exchange.headers


async def test_errors_and_answers_to_posts_are_compressed_too() -> None:
    assert (await ask(lambda: Response(TEXT, 404))).headers["content-encoding"] == "gzip"
    assert (await ask(lambda: Response(TEXT), method="POST")).headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("stream", [False, True])
async def test_rfc_9110_9_3_2_head_says_what_get_says(stream: bool) -> None:
    def response() -> Response:
        headers = {"etag": '"1"', "content-type": "text/plain"}
        return Response(pieces(TEXT) if stream else TEXT, headers=headers)

    get, head = await ask(response), await ask(response, method="HEAD")
    expected = {name: value for name, value in get.headers.items() if name != "content-length"}
    assert head.headers == expected
    assert head.body == b""


async def test_a_handler_of_head_may_tell_the_length() -> None:
    app = Application[None](middlewares=[Compression()])

    async def head(request: Request) -> Response:
        return Response(None, headers={"content-length": "2000", "content-type": "text/plain"})

    app.head("/")(head)
    exchange = await ask(app, method="HEAD")
    assert exchange.headers["content-encoding"] == "gzip"
    assert "content-length" not in exchange.headers


async def test_headers_about_the_bytes_change() -> None:
    headers = {"content-length": "2200", "accept-ranges": "bytes", "etag": '"abc"'}
    exchange = await ask(lambda: Response(TEXT, headers=headers))
    assert exchange.headers["etag"] == 'W/"abc"'
    assert exchange.headers["content-length"] == str(len(exchange.body))
    assert "accept-ranges" not in exchange.headers
    weak = await ask(lambda: Response(TEXT, headers={"etag": 'W/"abc"'}))
    assert weak.headers["etag"] == 'W/"abc"'
    plain = await ask(lambda: Response(TEXT, headers={"etag": '"abc"'}), None)
    assert plain.headers["etag"] == '"abc"'


@pytest.mark.parametrize(
    ("known", "etag"),
    [(b'W/"abc"', 'W/"abc"'), (b'W/"x", W/"abc"', 'W/"abc"'), (b'"abc"', '"abc"'), (b'W/"abcd"', '"abc"')],
)
async def test_rfc_9110_15_4_5_a_304_has_the_validator_that_the_client_has(known: bytes, etag: str) -> None:
    exchange = await ask(
        lambda: Response(None, 304, headers={"etag": '"abc"'}), headers=((b"if-none-match", known),)
    )
    assert (exchange.headers["etag"], exchange.headers["vary"]) == (etag, "accept-encoding")


async def test_equal_bodies_stay_equal() -> None:
    first, second = await ask(lambda: Response(TEXT)), await ask(lambda: Response(TEXT))
    assert first.body == second.body


def decompressor(coding: str) -> Callable[[bytes], bytes]:
    """Return what makes of each piece all that can be read of it."""
    if coding != "br":
        stream = zlib.decompressobj(31) if coding == "gzip" else zstd.ZstdDecompressor()
        return lambda data: stream.decompress(data) if data else b""
    brotli_stream = brotli.Decompressor()

    def process(data: bytes) -> bytes:
        output = brotli_stream.process(data) if data else b""
        # It gives no more than its buffer has at once.
        while more := not brotli_stream.is_finished() and brotli_stream.process(b""):
            output += more
        return bytes(output)

    return process


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_each_piece_of_a_stream_can_be_read_at_once(coding: str) -> None:
    decompress = decompressor(coding)
    texts = ["one", "", "two", "ü" * IN_THREAD, "three"]
    app = answering(lambda: Response(pieces(*texts), content_type="text/plain"))
    exchange = await ask(app, coding)
    read = [decompress(message["body"]).decode() for message in exchange.sent[1:]]
    assert [text for text in read if text] == [text for text in texts if text]


async def test_a_stream_is_closed_when_the_client_leaves() -> None:
    closed = asyncio.Event()

    async def stream() -> AsyncIterator[str]:
        try:
            while True:
                yield TEXT
                await asyncio.sleep(0)
        finally:
            closed.set()

    exchange = Exchange(
        http_scope(headers=[(b"accept-encoding", b"gzip")]), sends=3, send_error=OSError("gone")
    )
    await exchange.run(answering(lambda: Response(stream(), content_type="text/plain")))
    assert closed.is_set()


async def test_an_iterator_that_a_stream_makes_is_closed_in_the_task_of_the_request() -> None:
    closed_in = []

    class Lines:
        async def __aiter__(self) -> AsyncIterator[str]:
            try:
                while True:
                    yield TEXT
            finally:
                closed_in.append(asyncio.current_task())

    exchange = Exchange(
        http_scope(headers=[(b"accept-encoding", b"gzip")]), sends=3, send_error=OSError("gone")
    )
    await exchange.run(answering(lambda: Response(Lines(), content_type="text/plain")))
    assert closed_in == [asyncio.current_task()]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("size", "in_thread"), [(IN_THREAD - 1, False), (IN_THREAD, True)])
async def test_what_is_large_does_not_stop_the_loop(
    monkeypatch: pytest.MonkeyPatch, stream: bool, size: int, in_thread: bool
) -> None:
    threads = []

    class Compressor:
        def last(self, data: bytes) -> bytes:
            if data:
                threads.append(threading.current_thread())
            return data

        piece = last

    compression = Compression()
    monkeypatch.setitem(compression._compressors, "gzip", Compressor)
    app = Application[None](middlewares=[compression])

    async def handler(request: Request) -> Response:
        return Response(pieces("a" * size) if stream else "a" * size, content_type="text/plain")

    app.get("/")(handler)
    assert (await ask(app)).body == b"a" * size
    [thread] = threads
    assert (thread is not threading.main_thread()) is in_thread


async def test_a_stream_whose_length_is_known_is_a_body_of_that_size() -> None:
    def response() -> Response:
        headers = {"content-length": "5", "content-type": "text/plain"}
        return Response(pieces("small"), headers=headers)

    assert untouched(await ask(response), b"small")
    assert (await ask(response, minimum_size=5)).headers["content-encoding"] == "gzip"


async def test_a_response_that_sends_its_stream_in_its_own_way_sends_the_compressed_one() -> None:
    class FileResponse(Response):
        def __init__(self) -> None:
            super().__init__(
                pieces(TEXT), headers={"content-length": str(len(TEXT))}, content_type="text/plain"
            )
            self.file_stream = self.stream

        async def transmit(self, start: Message, method: str, receive: Receive, send: Send) -> None:
            assert self.stream is not self.file_stream
            await super().transmit(start, method, receive, send)

    exchange = await ask(FileResponse)
    assert gzip.decompress(exchange.body) == TEXT.encode()
    assert "content-length" not in exchange.headers


async def test_random_json_comes_back_as_it_was() -> None:
    data = {os.urandom(9).hex(): os.urandom(99).hex() for _ in range(200)}
    for accept in ("gzip", "br"):
        async with client_of(answering(lambda: json_response(data))) as client:
            response: httpx.Response = await client.get("/", headers={"accept-encoding": accept})
        assert response.headers["content-encoding"] == accept
        assert response.json() == data


async def test_a_websocket_passes() -> None:
    async def echo(ws: WebSocket) -> None:
        async with ws:
            await ws.send_text(TEXT)

    app = Application[None](middlewares=[Compression()])
    app.websocket("/")(echo)
    headers = {"accept-encoding": "gzip"}
    async with TestClient(app) as client, client.websocket("/", headers=headers) as ws:
        assert await ws.receive_text() == TEXT


def test_zstd_keeps_to_windows_that_browsers_take() -> None:
    for level in (1, 19):
        frame = zstd.ZstdCompressor(level).compress(b"a" * 10, zstd.ZstdCompressor.FLUSH_BLOCK)
        # The window's descriptor follows magic number and frame header (RFC 8878, 3.1.1.1.2).
        exponent, mantissa = frame[5] >> 3, frame[5] & 7
        assert (1 << 10 + exponent) * (8 + mantissa) // 8 <= 8 * 1024 * 1024


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encodings": ["deflate"]}, "zstd, br, gzip"),
        ({"encodings": "gzip"}, r"\['gzip'\]"),
        ({"levels": {"gzip": 10}}, "1 to 9, not 10"),
        ({"levels": {"zstd": 20}}, "1 to 19"),
        ({"levels": {"br": 4}, "encodings": ["gzip"]}, "not among the encodings"),
    ],
)
def test_what_cannot_be_right_is_refused_when_it_is_made(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RegistrationError, match=message):
        Compression(**settings)


def test_without_the_libraries_there_is_gzip(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("brotli", "backports.zstd", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    assert vars(Compression())["_names"] == ("gzip",)
    with pytest.raises(RegistrationError, match=r"pip install 'asgiweb\[compression\]'"):
        Compression(encodings=["br", "gzip"])


def test_the_package_needs_no_optional_library() -> None:
    code = "import sys, asgiweb.middleware; print({'brotli', 'backports', 'itsdangerous'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


class TestFiles:
    """Files that are too large to be read at once are compressed as they are read."""

    async def ask(self, tmp_path: Path, method: str = "GET", **fields: str) -> Exchange:
        path = tmp_path / "large.css"
        if not path.exists():
            path.write_text(TEXT * 50)
        app = Application[None](middlewares=[Compression()])

        @app.route("/", methods=["GET", "HEAD"])
        async def large(request: Request) -> Response:
            return await file_response(request, path)

        headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
        scope = http_scope(method=method, headers=[(b"accept-encoding", b"gzip"), *headers])
        # Also where the server could send the file by itself.
        scope["extensions"] = {"http.response.pathsend": {}, "http.response.zerocopysend": {}}
        return await Exchange(scope).run(app)

    async def test_a_large_file_is_compressed(self, tmp_path: Path) -> None:
        exchange = await self.ask(tmp_path)
        assert exchange.headers["content-encoding"] == "gzip"
        assert exchange.headers["vary"] == "accept-encoding"
        assert not {"content-length", "accept-ranges"} & set(exchange.headers)
        assert gzip.decompress(exchange.body).decode() == TEXT * 50

    async def test_head_has_the_fields_of_get(self, tmp_path: Path) -> None:
        head = await self.ask(tmp_path, "HEAD")
        assert head.headers == (await self.ask(tmp_path)).headers
        assert head.body == b""

    async def test_its_weak_etag_is_known_again(self, tmp_path: Path) -> None:
        etag = (await self.ask(tmp_path)).headers["etag"]
        assert etag.startswith('W/"')
        again = await self.ask(tmp_path, if_none_match=etag)
        assert (again.status, again.headers["etag"], again.body) == (304, etag, b"")

    async def test_a_range_of_it_is_of_the_file_itself(self, tmp_path: Path) -> None:
        part = await self.ask(tmp_path, range="bytes=10-19")
        assert (part.status, part.body.decode()) == (206, TEXT[10:20])
        assert "content-encoding" not in part.headers
        assert not part.headers["etag"].startswith("W/")

    async def test_a_range_is_not_joined_to_what_was_compressed(self, tmp_path: Path) -> None:
        etag = (await self.ask(tmp_path)).headers["etag"]
        whole = await self.ask(tmp_path, range="bytes=10-19", if_range=etag)
        assert (whole.status, whole.headers["content-encoding"]) == (200, "gzip")
