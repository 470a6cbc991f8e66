"""Files as responses: their headers, conditions and ranges, how they are sent, and that they are closed."""

from __future__ import annotations

import asyncio
import email
import gzip
import os
import re
import time
from collections.abc import AsyncIterable, AsyncIterator
from email.message import Message as Mail
from pathlib import Path
from typing import Any

import httpx
import pytest

from asgiweb import Application, ClientDisconnected, Handler, Middleware, Request, Response
from asgiweb.asgi import Message
from asgiweb.files import FileResponse, content_disposition, file_response
from asgiweb.files.content_types import content_type_of
from asgiweb.files.dates import parse_date
from asgiweb.files.sending import PIECE_SIZE
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import Exchange, http_scope

CONTENT = bytes(range(256)) * 1024  # 256 KiB, in which every position can be told
SMALL = b"0123456789" * 10


def open_descriptors(path: Path, process: int | str = "self") -> int:
    """Count the descriptors of a process that are of this file."""
    found = 0
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            found += os.readlink(descriptor).removesuffix(" (deleted)") == str(path)
        except FileNotFoundError:
            pass
    return found


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "large.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "small.txt"
    path.write_bytes(SMALL)
    return path


def app_of(path: Path | str, *args: Any, middlewares: Any = (), **options: Any) -> Application[None]:
    app: Application[None] = Application(middlewares=middlewares)

    @app.route("/", methods=["GET", "POST"])
    async def handler(request: Request) -> Response:
        return await file_response(request, path, *args, **options)

    return app


async def get(
    path: Path | str, asked: dict[str, str] | None = None, method: str = "GET", **options: Any
) -> httpx.Response:
    async with TestClient(app_of(path, **options)) as client:
        return await client.request(method, "/", headers=asked)


async def run(path: Path | str, scope: dict[str, Any] | None = None, **options: Any) -> Exchange:
    return await Exchange(http_scope(**(scope or {}))).run(app_of(path, **options))


class TestHead:
    async def test_a_file_is_described(self, small: Path) -> None:
        os.utime(small, ns=(0, 784111777_500_000_000))
        response = await get(small)
        assert response.content == SMALL
        assert dict(response.headers) == {
            "content-type": "text/plain; charset=utf-8",
            "content-length": "100",
            "etag": f'"{784111777_500_000_000:x}-64"',
            "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT",
            "accept-ranges": "bytes",
            "x-content-type-options": "nosniff",
        }

    @pytest.mark.parametrize("name", ["large", "small"])
    async def test_9_3_2_head_has_the_headers_of_get_and_no_body(
        self, name: str, request: pytest.FixtureRequest
    ) -> None:
        path: Path = request.getfixturevalue(name)
        whole, head = await get(path), await get(path, method="HEAD")
        assert head.headers == whole.headers
        assert (head.content, head.headers["content-length"]) == (b"", str(path.stat().st_size))
        assert open_descriptors(path) == 0

    async def test_the_etag_tells_states_of_a_file_apart(self, small: Path) -> None:
        seen = set()
        for content, changed in ((b"a", 1), (b"a", 2), (b"ab", 2)):
            small.write_bytes(content)
            os.utime(small, ns=(0, changed))
            seen.add((await get(small)).headers["etag"])
        assert len(seen) == 3

    async def test_8_8_2_1_last_modified_is_not_in_the_future(self, small: Path) -> None:
        os.utime(small, (2**33, 2**33))
        response = await get(small)
        date = parse_date(response.headers["last-modified"])
        assert date is not None
        assert date <= time.time()
        for odd in (-1, -(2**40)):
            os.utime(small, (odd, odd))
            assert (await get(small)).headers["last-modified"].startswith("Thu, 01 Jan 1970")

    async def test_what_is_given_comes_before_what_is_found_out(self, small: Path) -> None:
        options: dict[str, Any] = {
            "headers": {"ETag": '"mine"', "Cache-Control": "private"},
            "content_type": "text/csv; charset=latin-1",
        }
        response = await get(small, **options)
        assert response.headers["etag"] == '"mine"'
        assert response.headers["cache-control"] == "private"
        assert response.headers["content-type"] == "text/csv; charset=latin-1"
        assert (await get(small, {"if-none-match": '"mine"'}, **options)).status_code == 304

    async def test_8_8_3_3_a_tag_of_the_handlers_own_tells_codings_apart(self, small: Path) -> None:
        small.with_name(small.name + ".gz").write_bytes(gzip.compress(small.read_bytes()))
        asked = {"accept-encoding": "gzip"}
        for own, variant in (('"v1"', '"v1-gzip"'), ('W/"v1"', 'W/"v1"'), ("v1", "v1")):
            options: dict[str, Any] = {"headers": {"ETag": own}, "precompressed": True}
            plain = await get(small, {"accept-encoding": "identity"}, **options)
            assert plain.headers["etag"] == own
            response = await get(small, asked, **options)
            assert (response.headers["content-encoding"], response.headers["etag"]) == ("gzip", variant)
        part = {**asked, "range": "bytes=0-3", "if-range": '"v1"'}
        # What the client has is a part of the file as it is, and what it would get one of the variant.
        assert (await get(small, part, headers={"etag": '"v1"'}, precompressed=True)).status_code == 200
        part["if-range"] = '"v1-gzip"'
        assert (await get(small, part, headers={"etag": '"v1"'}, precompressed=True)).status_code == 206

    async def test_what_varies_by_more_than_the_coding(self, small: Path) -> None:
        response = await get(small, headers={"vary": "cookie"}, precompressed=True)
        assert response.headers["vary"] == "cookie, accept-encoding"
        response = await get(small, headers=[("set-cookie", "a"), ("set-cookie", "b")])
        assert response.headers.get_list("set-cookie") == ["a", "b"]

    async def test_another_status_has_neither_conditions_nor_ranges(self, small: Path) -> None:
        response = await get(small, {"if-none-match": "*", "range": "bytes=0-1"}, status=404)
        assert (response.status_code, response.content) == (404, SMALL)

    async def test_another_method_has_neither_conditions_nor_ranges(self, small: Path) -> None:
        response = await get(small, {"if-none-match": "*", "range": "bytes=0-1"}, "POST")
        assert (response.status_code, response.content) == (200, SMALL)


class TestConditions:
    async def test_15_4_5_not_modified_has_what_a_cache_updates_and_nothing_of_a_body(
        self, small: Path
    ) -> None:
        headers = {"cache-control": "no-cache", "vary": "cookie"}
        etag = (await get(small)).headers["etag"]
        response = await get(small, {"if-none-match": etag}, filename="a.txt", headers=headers)
        assert (response.status_code, response.content) == (304, b"")
        assert {"etag", "cache-control", "vary"} <= response.headers.keys()
        assert not {"content-type", "content-length", "content-disposition"} & response.headers.keys()
        assert open_descriptors(small) == 0

    async def test_13_1_3_a_date_alone_is_enough(self, small: Path) -> None:
        date = (await get(small)).headers["last-modified"]
        assert (await get(small, {"if-modified-since": date})).status_code == 304

    async def test_15_5_13_a_condition_that_fails(self, large: Path) -> None:
        for condition in (
            {"if-match": '"other"'},
            {"if-unmodified-since": "Sun, 06 Nov 1994 08:49:37 GMT"},
        ):
            assert (await get(large, condition)).status_code == 412
        assert open_descriptors(large) == 0


class TestRanges:
    @pytest.mark.parametrize(
        ("header", "start", "end"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=1000-1999", 1000, 2000),
            ("bytes=-256", len(CONTENT) - 256, len(CONTENT)),
            ("bytes=65535-196608", 65535, 196609),
            ("bytes=0-", 0, len(CONTENT)),
            ("bytes=1-", 1, len(CONTENT)),
        ],
    )
    async def test_15_3_7_1_one_range(self, large: Path, header: str, start: int, end: int) -> None:
        response = await get(large, {"range": header})
        assert response.status_code == 206
        assert response.content == CONTENT[start:end]
        assert response.headers["content-range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
        assert response.headers["content-length"] == str(end - start)
        assert response.headers["content-type"] == "application/octet-stream"
        assert open_descriptors(large) == 0

    @pytest.mark.parametrize("header", ["bytes=0-9,1000-1009,-10", "bytes=200000-,0-99999"])
    async def test_15_3_7_2_several_ranges(self, large: Path, header: str) -> None:
        response = await get(large, {"range": header}, content_type="text/x-test")
        assert response.status_code == 206
        assert response.headers["content-length"] == str(len(response.content))
        assert "content-range" not in response.headers
        parts = parts_of(response)
        wanted = []
        for one in header.removeprefix("bytes=").split(","):
            first, last = one.split("-")
            start = int(first) if first else len(CONTENT) - int(last)
            end = int(last) + 1 if first and last else len(CONTENT)
            wanted.append((f"bytes {start}-{end - 1}/{len(CONTENT)}", CONTENT[start:end]))
        assert [(part["content-range"], part.get_payload(decode=True)) for part in parts] == wanted
        assert {part["content-type"] for part in parts} == {"text/x-test"}
        assert open_descriptors(large) == 0

    async def test_15_5_17_no_byte_is_there(self, large: Path) -> None:
        response = await get(large, {"range": "bytes=1000000-"})
        assert response.status_code == 416
        assert response.headers["content-range"] == f"bytes */{len(CONTENT)}"
        assert open_descriptors(large) == 0

    async def test_14_2_ranges_are_for_get_alone(self, large: Path) -> None:
        response = await get(large, {"range": "bytes=0-0"}, "HEAD")
        assert (response.status_code, response.headers["content-length"]) == (200, str(len(CONTENT)))

    async def test_14_2_two_headers_are_none(self, small: Path) -> None:
        pairs = [(b"host", b"test"), (b"range", b"bytes=0-0"), (b"range", b"bytes=1-1")]
        assert (await run(small, {"headers": pairs})).body == SMALL

    async def test_13_1_5_if_range_sends_the_whole_of_another_state(self, small: Path) -> None:
        etag = (await get(small)).headers["etag"]
        response = await get(small, {"range": "bytes=0-0", "if-range": etag})
        assert (response.status_code, response.content) == (206, b"0")
        os.utime(small, (1, 1))
        response = await get(small, {"range": "bytes=0-0", "if-range": etag})
        assert (response.status_code, response.content) == (200, SMALL)

    async def test_13_2_2_conditions_come_before_ranges(self, small: Path) -> None:
        etag = (await get(small)).headers["etag"]
        response = await get(small, {"range": "bytes=1000-", "if-none-match": etag})
        assert response.status_code == 304

    async def test_an_empty_file_has_no_ranges(self, small: Path) -> None:
        small.write_bytes(b"")
        assert (await get(small, {"range": "bytes=-1"})).status_code == 200
        assert (await get(small, {"range": "bytes=0-"})).headers["content-range"] == "bytes */0"

    async def test_complaint_9_range_dos_many_ranges_cost_no_more_than_the_file(self, large: Path) -> None:
        """What CVE-2025-62727 was elsewhere."""
        for header in ("bytes=" + "0-," * 10_000, "bytes=" + ",".join(["0-"] * 30)):
            response = await get(large, {"range": header})
            assert len(response.content) <= len(CONTENT)

    async def test_the_type_of_a_part_is_checked_as_a_header_is(self, small: Path) -> None:
        app = app_of(small, content_type="text/plain\r\nx: y")
        async with TestClient(app, raise_exceptions=False) as client:
            for header in ("bytes=0-0", "bytes=0-0,90-91"):
                assert (await client.get("/", headers={"range": header})).status_code in (206, 500)
            small.write_bytes(SMALL * 10)
            response = await client.get("/", headers={"range": "bytes=0-0,900-901"})
        assert response.status_code == 500


def parts_of(response: httpx.Response) -> list[Mail]:
    kind = response.headers["content-type"]
    assert re.fullmatch(r"multipart/byteranges; boundary=[0-9a-f]{32}", kind)
    mail = email.message_from_bytes(b"content-type: " + kind.encode() + b"\r\n\r\n" + response.content)
    parts = mail.get_payload()
    assert isinstance(parts, list)
    assert all(isinstance(part, Mail) for part in parts)
    return parts  # type: ignore[return-value]  # what the standard library says of it is wider


class TestNames:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("report.pdf", 'attachment; filename="report.pdf"'),
            ("my report (1).pdf", 'attachment; filename="my report (1).pdf"'),
            ("na\xefve.txt", "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
            ("\u20ac.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%E2%82%AC.txt"),
            ('a"b.txt', "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
            ("50%41.txt", "attachment; filename=\"50_41.txt\"; filename*=UTF-8''50%2541.txt"),
            ("../../etc/passwd", 'attachment; filename=".._.._etc_passwd"'),
            ("a\\b", 'attachment; filename="a_b"'),
            ("a\r\nx: y", 'attachment; filename="a__x: y"'),
            ("\udcff\0", 'attachment; filename="__"'),
        ],
    )
    def test_rfc_6266_names_are_written_so_that_every_client_reads_them(
        self, name: str, expected: str
    ) -> None:
        assert content_disposition("attachment", name) == expected

    async def test_a_file_is_saved_by_its_own_name_if_none_is_given(self, small: Path) -> None:
        assert "content-disposition" not in (await get(small)).headers
        response = await get(small, disposition="inline")
        assert response.headers["content-disposition"] == 'inline; filename="small.txt"'
        response = await get(small, filename="x")
        assert response.headers["content-disposition"] == 'attachment; filename="x"'

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.MJS", "text/javascript; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.html", "text/html; charset=utf-8"),
            ("a.svg", "image/svg+xml"),
            ("a.wasm", "application/wasm"),
            ("a.webmanifest", "application/manifest+json"),
            ("a.js.map", "application/json"),
            ("a.woff2", "font/woff2"),
            ("a.avif", "image/avif"),
            ("a.tar.gz", "application/gzip"),
            ("a.doc", "application/msword"),
            ("a.tsv", "text/tab-separated-values; charset=utf-8"),
            ("a.nonsense", "application/octet-stream"),
            ("css", "application/octet-stream"),
            (".css", "text/css; charset=utf-8"),
            ("a.css/b", "application/octet-stream"),
            ("a." + "x" * 300, "application/octet-stream"),
        ],
    )
    def test_types_by_name(self, name: str, expected: str) -> None:
        assert content_type_of(name) == expected


class TestWhatIsNoFile:
    async def test_nothing_and_a_directory_and_impossible_names_are_404(self, tmp_path: Path) -> None:
        for path in (
            tmp_path / "nothing",
            tmp_path,
            tmp_path / "a\0b",
            tmp_path / ("x" * 5000),
            tmp_path / "\ud800",
            "",
        ):
            for precompressed in (False, True):
                assert (await get(path, precompressed=precompressed)).status_code == 404
        assert open_descriptors(tmp_path.resolve()) == 0

    async def test_pipes_devices_and_sockets_are_404_and_wait_for_nobody(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path / "pipe", "/dev/zero", "/dev/tty"):
            for in_threads in (False, True):
                assert (await get(path, in_threads=in_threads)).status_code == 404

    async def test_a_file_that_must_not_be_read_is_404_and_in_the_log(
        self, small: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        small.chmod(0)
        euid = os.geteuid()
        if euid == 0:
            os.seteuid(65534)
        try:
            assert (await get(small)).status_code == 404
        finally:
            os.seteuid(euid)
        assert "small.txt" in caplog.text or "Permission" in caplog.text


class TestSending:
    """By the server where it can send files and nobody else wants to, and piece by piece otherwise."""

    @staticmethod
    def with_extensions(*names: str, **changes: Any) -> dict[str, Any]:
        return {"extensions": {f"http.response.{name}": {} for name in names}, **changes}

    async def test_piece_by_piece(self, large: Path) -> None:
        exchange = await run(large)
        assert exchange.body == CONTENT
        assert exchange.headers["content-length"] == str(len(CONTENT))
        sizes = [len(message["body"]) for message in exchange.sent[1:]]
        assert sizes == [PIECE_SIZE] * 4 + [0]
        assert open_descriptors(large) == 0

    async def test_in_threads(self, large: Path, small: Path) -> None:
        assert (await run(large, in_threads=True)).body == CONTENT
        assert (await run(small, in_threads=True)).body == SMALL

    async def test_where_the_file_system_cannot_tell_what_is_cached(self) -> None:
        path = Path(f"/dev/shm/asgiweb-{os.getpid()}")
        try:
            path.write_bytes(CONTENT)
            assert (await run(path)).body == CONTENT
            path.write_bytes(SMALL)
            assert (await run(path)).body == SMALL
        finally:
            path.unlink()

    async def test_where_no_system_can_tell_what_is_cached(
        self, large: Path, small: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("asgiweb.files.opening._NOWAIT", None)
        assert (await run(large)).body == CONTENT
        assert (await run(small)).body == SMALL

    async def test_what_is_not_cached_is_read_in_a_thread(self, large: Path) -> None:
        with large.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert (await run(large)).body == CONTENT

    async def test_a_small_file_is_one_message(self, small: Path) -> None:
        exchange = await run(small, self.with_extensions("pathsend", "zerocopysend"))
        assert [message["type"] for message in exchange.sent] == [
            "http.response.start",
            "http.response.body",
        ]
        assert exchange.body == SMALL

    async def test_pathsend_of_the_whole(self, large: Path) -> None:
        exchange = await run(large, self.with_extensions("pathsend"))
        assert exchange.sent[1:] == [{"type": "http.response.pathsend", "path": str(large)}]
        assert exchange.headers["content-length"] == str(len(CONTENT))
        assert open_descriptors(large) == 0

    async def test_pathsend_has_an_absolute_path(self, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(large.parent)
        exchange = await run("large.bin", self.with_extensions("pathsend"))
        assert exchange.sent[1]["path"] == str(large)

    async def test_pathsend_is_not_for_ranges(self, large: Path) -> None:
        headers = [(b"host", b"test"), (b"range", b"bytes=1-")]
        exchange = await run(large, self.with_extensions("pathsend", headers=headers))
        assert exchange.body == CONTENT[1:]

    async def test_zerocopysend_of_the_file_that_was_described(self, large: Path) -> None:
        """Its name may be that of another by now."""
        sent: list[Message] = []
        closed = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.zerocopysend":
                descriptor = message["file"].fileno()
                large.unlink(missing_ok=True)
                closed.append(message["file"])
                message["read"] = os.pread(descriptor, message["count"], message["offset"])
            sent.append(message)

        scope = http_scope(**self.with_extensions("pathsend", "zerocopysend"))
        await app_of(large)(scope, Exchange().receive, send)
        assert [message.get("read") for message in sent] == [None, CONTENT]
        assert sent[1]["more_body"] is False
        assert [file.fileno() for file in closed] == [-1]
        assert open_descriptors(large) == 0

    async def test_zerocopysend_of_several_ranges(self, large: Path) -> None:
        body = b""

        async def send(message: Message) -> None:
            nonlocal body
            if message["type"] == "http.response.zerocopysend":
                body += os.pread(message["file"].fileno(), message["count"], message["offset"])
            else:
                body += message.get("body", b"")
            more.append(message.get("more_body"))

        more: list[bool | None] = []
        headers = [(b"host", b"test"), (b"range", b"bytes=200000-,0-99999")]
        scope = http_scope(**self.with_extensions("zerocopysend", headers=headers))
        await app_of(large)(scope, Exchange().receive, send)
        assert more == [None, True, True, True, True, False]
        assert CONTENT[200000:] in body
        assert CONTENT[:100000] in body

    async def test_head_and_304_send_no_file(self, large: Path) -> None:
        exchange = await run(large, self.with_extensions("pathsend", "zerocopysend", method="HEAD"))
        assert [message["type"] for message in exchange.sent[1:]] == ["http.response.body"]
        assert exchange.body == b""
        headers = [(b"host", b"test"), (b"if-none-match", b"*")]
        exchange = await run(large, self.with_extensions("pathsend", "zerocopysend", headers=headers))
        assert (exchange.status, exchange.body) == (304, b"")
        assert open_descriptors(large) == 0


class TestMiddlewares:
    """They see a response with a stream, and may do with it what they may do with any other."""

    SCOPE = TestSending.with_extensions("pathsend", "zerocopysend")

    async def test_a_stream_in_its_place_is_sent_instead(self, large: Path) -> None:
        async def upper(pieces: AsyncIterable[bytes | str]) -> AsyncIterator[bytes]:
            async for piece in pieces:
                assert isinstance(piece, bytes)
                yield piece.upper()

        async def replacing(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            assert isinstance(response, FileResponse)
            assert response.stream is not None
            response.stream = upper(response.stream)
            return response

        exchange = await run(large, self.SCOPE, middlewares=[replacing])
        assert exchange.body == CONTENT.upper()
        assert open_descriptors(large) == 0

    async def test_a_stream_that_is_read_to_its_end_is_closed(self, large: Path) -> None:
        async def reading(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            assert response.stream is not None
            kept.append(response)
            body = b"".join([piece async for piece in response.stream if isinstance(piece, bytes)])
            assert open_descriptors(large) == 0
            return Response(body)

        kept: list[Response] = []
        assert (await run(large, self.SCOPE, middlewares=[reading])).body == CONTENT

    async def test_headers_that_are_added_are_sent_and_the_server_still_sends_the_file(
        self, large: Path
    ) -> None:
        async def adding(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            response.headers["x"] = "y"
            return response

        exchange = await run(large, self.SCOPE, middlewares=[adding])
        assert exchange.headers["x"] == "y"
        assert exchange.sent[1]["type"] == "http.response.zerocopysend"

    async def test_a_file_that_is_dropped_is_closed(self, large: Path) -> None:
        kept: list[Response] = []

        async def dropping(request: Request, handler: Handler) -> Response:
            kept.append(await handler(request))
            assert open_descriptors(large) == 1
            return Response("instead")

        assert (await run(large, self.SCOPE, middlewares=[dropping])).body == b"instead"
        assert open_descriptors(large) == 0

    async def test_a_file_that_the_handler_does_not_answer_with_is_closed(self, large: Path) -> None:
        app = Application[None]()
        kept: list[Response] = []

        @app.get("/")
        async def handler(request: Request) -> Response:
            kept.append(await file_response(request, large))
            return Response("instead")

        await Exchange().run(app)
        assert open_descriptors(large) == 0

    async def test_a_head_that_is_refused_closes_the_file(self, large: Path) -> None:
        async def breaking(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            response.headers["x"] = "a\nb"
            return response

        assert (await run(large, self.SCOPE, middlewares=[breaking])).status == 500
        assert open_descriptors(large) == 0


class TestEnds:
    """A file is closed at once, not when nobody knows its response any more."""

    @pytest.fixture
    def kept(self) -> list[Response]:
        return []

    @pytest.fixture
    def keeping(self, kept: list[Response]) -> Middleware[Any]:
        async def keep(request: Request, handler: Handler) -> Response:
            kept.append(await handler(request))
            return kept[-1]

        return keep

    @pytest.mark.parametrize("extension", ["none", "pathsend", "zerocopysend"])
    async def test_the_end_closes_the_file(
        self, large: Path, keeping: Middleware[Any], kept: list[Response], extension: str
    ) -> None:
        await run(large, TestSending.with_extensions(extension), middlewares=[keeping])
        assert isinstance(kept[0], FileResponse)
        assert open_descriptors(large) == 0

    async def test_a_response_that_nobody_knows_any_more_closes_the_file(self, large: Path) -> None:
        request = Request(Application[None](), http_scope(), Exchange().receive, None, {})
        response = await file_response(request, large)
        assert open_descriptors(large) == 1
        del request, response
        assert open_descriptors(large) == 0

    @pytest.mark.parametrize("extension", ["none", "pathsend", "zerocopysend"])
    @pytest.mark.parametrize("sends", [0, 1])
    async def test_a_client_that_leaves_closes_the_file(
        self, large: Path, keeping: Middleware[Any], kept: list[Response], extension: str, sends: int
    ) -> None:
        exchange = Exchange(
            http_scope(**TestSending.with_extensions(extension)), sends=sends, send_error=OSError("gone")
        )
        await exchange.run(app_of(large, middlewares=[keeping]))
        assert len(exchange.sent) == sends
        assert isinstance(kept[0], FileResponse)
        assert open_descriptors(large) == 0

    async def test_a_client_that_leaves_without_a_word_closes_the_file(self, large: Path) -> None:
        exchange = Exchange()
        exchange.leave()
        await exchange.run(app_of(large))
        assert not exchange.complete
        assert open_descriptors(large) == 0

    async def test_a_request_that_is_cancelled_closes_the_file(self, large: Path) -> None:
        async def stuck(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            await asyncio.Event().wait()
            return response

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run(large, middlewares=[stuck]), 0.05)
        assert open_descriptors(large) == 0

    async def test_a_file_that_the_server_cannot_open_is_no_client_that_left(self, large: Path) -> None:
        exchange = Exchange(
            http_scope(**TestSending.with_extensions("pathsend")),
            sends=1,
            send_error=FileNotFoundError(2, "No such file", str(large)),
        )
        with pytest.raises(FileNotFoundError):
            await exchange.run(app_of(large))

    async def test_a_file_that_shrinks_is_a_fault_and_no_body_that_is_too_short(self, large: Path) -> None:
        async def shrinking(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            os.truncate(large, PIECE_SIZE + 1)
            return response

        exchange = Exchange()
        with pytest.raises(EOFError, match="shorter"):
            await exchange.run(app_of(large, middlewares=[shrinking]))
        assert not exchange.complete
        assert open_descriptors(large) == 0

    async def test_a_file_that_grows_is_sent_as_long_as_it_was(self, large: Path) -> None:
        async def growing(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            with large.open("ab") as file:
                file.write(b"more")
            return response

        assert (await run(large, middlewares=[growing])).body == CONTENT

    async def test_a_file_that_vanishes_is_sent_to_its_end(self, large: Path) -> None:
        async def removing(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            large.unlink()
            return response

        assert (await run(large, middlewares=[removing])).body == CONTENT

    async def test_without_an_application_it_is_closed_too(self, large: Path) -> None:
        request = Request(Application[None](), http_scope(), Exchange().receive, None, {})
        response = await file_response(request, large)
        exchange = Exchange(sends=1, send_error=OSError("gone"))
        with pytest.raises(ClientDisconnected):
            await exchange.run(response)
        assert open_descriptors(large) == 0
