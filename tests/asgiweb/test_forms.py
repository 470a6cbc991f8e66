"""Forms as a whole: both encodings, files in memory and on disk, and limits that are on."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from asgiweb import (
    Application,
    BodyConsumed,
    ClientDisconnected,
    Handler,
    HTTPBadRequest,
    HTTPContentTooLarge,
    HTTPException,
    HTTPUnsupportedMediaType,
    Request,
    Response,
    json_response,
)
from asgiweb.asgi import Message
from asgiweb.forms import FormData, FormLimits, UploadedFile
from asgiweb.forms.spool import Memory, Spool, close_files
from tests.asgiweb.exchange import Exchange, client_of, http_scope

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


def part(name: str, content: bytes = b"", filename: str | None = None, *headers: str) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    head = "\r\n".join(["--b", disposition, *headers])
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


def request_of(
    body: Iterable[bytes] | bytes,
    content_type: str | None = MULTIPART,
    *,
    app: Application[Any] | None = None,
    leaves: bool = False,
) -> Request[Any]:
    headers = [(b"transfer-encoding", b"chunked")]
    if content_type is not None:
        headers.append((b"content-type", content_type.encode()))
    pieces = [body] if isinstance(body, bytes) else body
    exchange = Exchange(http_scope(method="POST", headers=headers), body=pieces, leaves=leaves)
    return Request(app or Application(), exchange.scope, exchange.receive, None, {})


async def form_of(*parts: bytes, **limits: int) -> FormData:
    return await request_of(b"".join([*parts, b"--b--\r\n"])).form(limits=FormLimits(**limits))


class TestUrlencoded:
    async def test_fields_are_decoded(self) -> None:
        form = await request_of(b"a=1&b=caf%C3%A9+x&a=2&c&=d", f"{URLENCODED}; charset=UTF-8").form()
        assert list(form.items()) == [("a", "1"), ("b", "caf\xe9 x"), ("a", "2"), ("c", ""), ("", "d")]
        assert form.text("a") == "1"
        assert form.text("z", "none") == "none"
        assert form.file("a") is None

    async def test_an_empty_body_is_an_empty_form(self) -> None:
        assert not await request_of(b"", URLENCODED).form()
        assert not await request_of(b"", None).form()

    @pytest.mark.parametrize("body", [b"a=%ff", b"a=\xff", b"%ff=a"])
    async def test_what_is_not_utf_8_is_a_bad_request(self, body: bytes) -> None:
        with pytest.raises(HTTPBadRequest, match="UTF-8"):
            await request_of(body, URLENCODED).form()

    async def test_it_has_limits(self) -> None:
        limits = FormLimits(fields=2, text_size=10)
        assert len(await request_of(b"a=1&b=2", URLENCODED).form(limits=limits)) == 2
        with pytest.raises(HTTPContentTooLarge, match="2 fields"):
            await request_of(b"a&b&c", URLENCODED).form(limits=limits)
        with pytest.raises(HTTPContentTooLarge, match="too large"):
            await request_of(b"a=345678901", URLENCODED).form(limits=limits)
        assert not await request_of(b"", URLENCODED).form(limits=FormLimits(fields=0))
        with pytest.raises(HTTPContentTooLarge):
            await request_of(b"a", URLENCODED).form(limits=FormLimits(fields=0))

    async def test_complaint_9_limits_are_on_by_default(self) -> None:
        with pytest.raises(HTTPContentTooLarge, match="1000 fields"):
            await request_of(b"a&" * 1000 + b"a", URLENCODED).form()


class TestMultipart:
    async def test_fields_and_files_come_in_their_order(self) -> None:
        form = await form_of(
            part("a", b"1"),
            part("f", b"\x00\xff", "a b.bin", "Content-Type: Image/PNG; x=y", "X-Own: 1"),
            part("a", "caf\xe9".encode()),
        )
        assert list(form) == ["a", "f", "a"]
        assert form.getall("a") == ["1", "caf\xe9"]
        file = form.file("f")
        assert file is form["f"]
        assert file is not None
        assert (file.filename, file.content_type, file.size) == ("a b.bin", "image/png", 2)
        assert file.headers["x-own"] == "1"
        assert await file.read() == b"\x00\xff"
        assert form.text("f") == ""
        assert form.files("f") == [file]
        assert repr(file) == "<UploadedFile 'a b.bin', 2 bytes in memory>"

    @pytest.mark.parametrize("size", [1, 2, 3, 5, 50, 1000])
    async def test_it_does_not_matter_how_the_body_is_cut(self, size: int) -> None:
        content = b"\r\n--\r\n--a \r\n-\r--b\n" * 3
        body = b"".join([part("a", content), part("f", content, "f"), b"--b--\r\nepilogue"])
        form = await request_of([body[i : i + size] for i in range(0, len(body), size)]).form()
        assert form.text("a").encode() == content
        file = form.file("f")
        assert file is not None
        assert await file.read() == content

    async def test_no_file_was_chosen(self) -> None:
        form = await form_of(
            part("f", b"", "", "Content-Type: application/octet-stream"), part("g", b"x", "")
        )
        assert form.file("f") is None
        assert "f" not in form
        assert form.file("g") is not None

    async def test_text_is_in_the_charset_it_names(self) -> None:
        form = await form_of(part("a", b"caf\xe9", None, "Content-Type: text/plain; charset=latin-1"))
        assert form.text("a") == "caf\xe9"
        with pytest.raises(HTTPUnsupportedMediaType):
            await form_of(part("a", b"x", None, "Content-Type: text/plain; charset=utf-7"))
        with pytest.raises(HTTPBadRequest, match="'a' is not text"):
            await form_of(part("a", b"caf\xe9"))

    async def test_a_name_that_is_not_utf_8_is_said_to_be_that(self) -> None:
        body = b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n1\r\n--b--'
        with pytest.raises(HTTPBadRequest) as refused:
            await form_of(body)
        assert refused.value.detail == "the body is no multipart/form-data: Segment header failed to decode"

    @pytest.mark.parametrize(
        ("body", "content_type", "kind"),
        [
            (b"", "text/plain", HTTPUnsupportedMediaType),
            (b"a=1", None, HTTPUnsupportedMediaType),
            (b"", "multipart/mixed; boundary=b", HTTPUnsupportedMediaType),
            (b"--b--", "multipart/form-data", HTTPBadRequest),
            (b"--b--", "multipart/form-data; boundary=", HTTPBadRequest),
            (b"--b--", "multipart/form-data; boundary=b\xe9", HTTPBadRequest),
            (b"", MULTIPART, HTTPBadRequest),
            (b"--c--", MULTIPART, HTTPBadRequest),
            (b"--b\r\n\r\n\r\n--b--", MULTIPART, HTTPBadRequest),
            (part("a", b"1"), MULTIPART, HTTPBadRequest),
            (part("a", b"1") + b"--b", MULTIPART, HTTPBadRequest),
            (b"--b\nContent-Disposition: form-data; name=a\n\n1\n--b--", MULTIPART, HTTPBadRequest),
            (b"--b\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--b--", MULTIPART, HTTPBadRequest),
            (part("a", b"1", None, "Content-Length: 2") + b"--b--", MULTIPART, HTTPBadRequest),
            (part("a", b"1", None, "\xe9") + b"--b--", MULTIPART, HTTPBadRequest),
        ],
    )
    async def test_what_is_no_form_is_refused_each_time(
        self, body: bytes, content_type: str | None, kind: type[HTTPException]
    ) -> None:
        request = request_of(body, content_type)
        for _ in range(2):
            with pytest.raises(kind):
                await request.form()

    @pytest.mark.parametrize("boundary", ["{}", '"{}"'])
    async def test_a_boundary_has_70_characters_at_most(self, boundary: str) -> None:
        for size in (70, 71):
            name = "b" * size
            content_type = "multipart/form-data; boundary=" + boundary.format(name)
            request = request_of(f"--{name}--".encode(), content_type)
            if size == 70:
                assert not await request.form()
            else:
                with pytest.raises(HTTPBadRequest, match="boundary"):
                    await request.form()

    @pytest.mark.parametrize("boundary", ["b", '"b"', "b;charset=utf-8", '"b" ; charset=utf-8'])
    async def test_a_boundary_may_be_quoted(self, boundary: str) -> None:
        content_type = f"Multipart/Form-Data; x=y;Boundary={boundary}"
        assert len(await request_of(part("a") + b"--b--", content_type).form()) == 1

    @pytest.mark.parametrize(
        ("limits", "message"),
        [
            ({"fields": 1}, "1 fields"),
            ({"files": 1}, "1 files"),
            ({"files": 0}, "0 files"),
            ({"text_size": 3}, "texts"),
            ({"part_headers": 1}, "head"),
            ({"part_header_size": 50}, "head"),
        ],
    )
    async def test_it_has_limits(self, limits: dict[str, int], message: str) -> None:
        parts = [part("a", b"12"), part("a", b"34")]
        parts += [part("f", b"x" * 100, "f", "Content-Type: application/octet-stream")] * 2
        assert len(await form_of(*parts)) == 4
        assert len(await form_of(*parts, fields=2, files=2, text_size=4, part_headers=2)) == 4
        with pytest.raises(HTTPContentTooLarge, match=message):
            await form_of(*parts, **limits)

    async def test_complaint_9_limits_are_on_by_default(self) -> None:
        limits = FormLimits()
        for body in (
            part("a") * (limits.fields + 1),
            part("a", b"", "f") * (limits.files + 1),
            part("a", b"x" * (limits.text_size + 1)),
            part("a", b"", None, *["X: y"] * 8),
            part("a" * 5000),
        ):
            app = Application(max_body_size=0)
            with pytest.raises(HTTPContentTooLarge):
                await request_of(body + b"--b--", app=app).form()
        with pytest.raises(HTTPContentTooLarge):
            await request_of(part("f", b"x" * 1_000_000, "f") + b"--b--").form()

    async def test_an_application_and_a_route_have_limits_of_their_own(self) -> None:
        app = Application(form_limits=FormLimits(fields=1))

        async def count(request: Request) -> Response:
            return json_response(len(await request.form()))

        app.post("/few")(count)
        app.post("/many", form_limits=FormLimits(fields=3))(count)
        app.post("/large", form_limits=FormLimits(), max_body_size=5_000_000)(count)

        @app.post("/call")
        async def call(request: Request) -> Response:
            return json_response(len(await request.form(limits=FormLimits(fields=2))))

        async with client_of(app) as client:
            for path, most in (("/few", 1), ("/call", 2), ("/many", 3)):
                data = {f"n{number}": "1" for number in range(most)}
                assert (await client.post(path, data=data)).json() == most
                assert (await client.post(path, data=data | {"n": "1"})).status_code == 413
            files = {"f": b"x" * 2_000_000}
            assert (await client.post("/large", files=files)).json() == 1
            assert (await client.post("/many", files=files)).status_code == 413

    async def test_a_client_that_leaves_is_no_shorter_form(self) -> None:
        with pytest.raises(ClientDisconnected):
            await request_of([part("a", b"1"), part("f", b"x", "f")], leaves=True).form()


class TestHostileInput:
    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (b"\r" * 4_000_000, MULTIPART),
            (b"\r\n--" * 1_000_000, MULTIPART),
            (part("a", b"\r\n--" * 1_000_000, "f"), MULTIPART),
            (part("a", b"\r\n--" + b"b" * 4_000_000, "f"), "multipart/form-data; boundary=" + "b" * 70),
            (part("a", b"\r\n-" * 1_000_000, "f"), "multipart/form-data; boundary=" + "-" * 70),
            (part("a") * 60_000, MULTIPART),
            (b"--b\r\n" + b"a" * 4_000_000, MULTIPART),
            (b"--b\r\n" + b"a:b\r\n" * 800_000, MULTIPART),
            (b"--b\r\na:b\r\n" + b" x\r\n" * 1_000_000, MULTIPART),
            ((b"--b\r\nContent-Disposition: form-data" + b';a="\\' * 800 + b"\r\n\r\n\r\n") * 900, MULTIPART),
            ((b"--b\r\nContent-Disposition: form-data;" + b" " * 4000 + b"\r\n\r\n\r\n") * 900, MULTIPART),
            (b"--b\r\nContent-Length: " + b"1" * 4_000 + b"\r\n", MULTIPART),
            (b"--b--" + b"\r\n--b\r\n" * 500_000, MULTIPART),
            (b"&" * 4_000_000, URLENCODED),
            (b"%" * 900_000, URLENCODED),
        ],
        ids=lambda value: repr(value[:40]),
    )
    async def test_it_takes_linear_time(self, body: bytes, content_type: str) -> None:
        for size in (65536, 1000):
            pieces = [body[i : i + size] for i in range(0, len(body), size)]
            start = time.process_time()
            with contextlib.suppress(HTTPException):
                request = request_of(pieces, content_type, app=Application(max_body_size=0))
                await request.form(limits=FormLimits(fields=100_000, text_size=10_000_000))
            assert time.process_time() - start < 5

    @pytest.mark.parametrize(
        "suffix", ["", ";" * 100_000, ' ;boundary="' * 20_000, "; boundary=" + " " * 100_000]
    )
    async def test_long_content_types_take_linear_time(self, suffix: str) -> None:
        start = time.process_time()
        with pytest.raises(HTTPBadRequest):
            await request_of(b"", "multipart/form-data" + suffix).form()
        assert time.process_time() - start < 2


class TestKept:
    async def test_complaint_3_a_form_that_a_middleware_read_is_there_for_the_handler(self) -> None:
        seen: list[FormData] = []

        async def csrf(request: Request, handler: Handler) -> Response:
            seen.append(await request.form())
            return await handler(request)

        app = Application(middlewares=[csrf])

        @app.post("/")
        async def create(request: Request) -> Response:
            form = await request.form()
            seen.append(form)
            file = form.file("f")
            return Response(await file.read() if file is not None else form.text("a"))

        async with client_of(app) as client:
            assert (await client.post("/", data={"a": "text"})).text == "text"
            assert (await client.post("/", files={"f": b"file"})).text == "file"
        assert seen[0] is seen[1]
        assert seen[2] is seen[3]

    @pytest.mark.parametrize("kind", ["json", "form", "multipart"])
    async def test_complaint_3_so_is_the_body(self, kind: str) -> None:
        async def signed(request: Request, handler: Handler) -> Response:
            assert await request.body()
            return await handler(request)

        app = Application(middlewares=[signed])

        @app.post("/")
        async def create(request: Request) -> Response:
            if kind == "json":
                return json_response(await request.json(dict[str, str]))
            if kind == "form":
                return json_response(dict(await request.form()))
            return json_response({part.name: await part.text() async for part in request.multipart()})

        async with client_of(app) as client:
            if kind == "json":
                answer = await client.post("/", json={"a": "1"})
            else:
                answer = await client.post("/", files={"a": (None, "1")})
            assert answer.json() == {"a": "1"}

    async def test_two_tasks_may_read_a_form_at_once(self) -> None:
        request = request_of([part("a", b"1"), b"--b--"])
        first, second = await asyncio.gather(request.form(), request.form())
        assert first is second

    async def test_a_form_with_files_is_no_body_any_more(self) -> None:
        request = request_of([part("a", b"1"), b"--b--"])
        await request.form()
        with pytest.raises(BodyConsumed):
            await request.body()


class TestFiles:
    @pytest.mark.parametrize(
        ("memory_size", "in_memory"),
        [(300_000, [True, True, True]), (200_000, [True, True, False]), (99_999, [False, False, False])],
    )
    async def test_what_is_too_large_for_memory_is_on_disk(
        self, memory_size: int, in_memory: list[bool]
    ) -> None:
        contents = [bytes([number]) * 100_000 for number in range(3)]
        body = b"".join([*(part("f", content, "f") for content in contents), b"--b--"])
        pieces = [body[i : i + 7000] for i in range(0, len(body), 7000)]
        form = await request_of(pieces).form(limits=FormLimits(memory_size=memory_size))
        files = form.files("f")
        assert [file.in_memory for file in files] == in_memory
        assert [file.size for file in files] == [100_000] * 3
        assert [await file.read() for file in files] == contents
        await form.aclose()

    @pytest.mark.parametrize("memory_size", [1_000_000, 0])
    async def test_a_file_is_read_again_and_saved(self, memory_size: int, tmp_path: Path) -> None:
        content = bytes(range(256)) * 1000
        form = await form_of(part("f", content, "../../a.bin"), memory_size=memory_size)
        file = form.file("f")
        assert file is not None
        assert await file.read(10) == content[:10]
        assert b"".join([piece async for piece in file]) == content[10:]
        assert await file.read() == b""
        await file.seek(256)
        assert await file.read(1) == b"\x00"
        path = tmp_path / file.safe_filename
        path.write_bytes(b"old")
        await file.save(path)
        assert path == tmp_path / "a.bin"
        assert path.read_bytes() == content
        assert file.file.read() == content
        await form.aclose()
        assert file.file.closed

    async def test_a_file_that_grows_leaves_memory_at_once(self) -> None:
        memory = Memory(100)
        spool = Spool(memory)
        for _ in range(10):
            await spool.write(b"x" * 10)
        assert (memory.left, spool.size) == (0, 100)
        await spool.write(b"x")
        assert memory.left == 100
        await spool.finish()
        assert not isinstance(spool.file, io.BytesIO)
        assert spool.file.read() == b"x" * 101
        await close_files([spool.file])
        assert spool.file.closed

    @pytest.mark.parametrize("end", ["answer", "stream", "error", "dropped", "disconnect"])
    async def test_files_are_closed_whatever_becomes_of_the_request(self, end: str) -> None:
        files: list[UploadedFile] = []

        async def middleware(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            return Response("another") if end == "dropped" else response

        app = Application(middlewares=[middleware], form_limits=FormLimits(memory_size=4))

        @app.post("/")
        async def upload(request: Request) -> Response:
            form = await request.form()
            files.extend(form.files("f"))
            assert [file.in_memory for file in files] == [True, False]
            if end == "error":
                raise RuntimeError("on purpose")

            async def pieces() -> AsyncIterator[bytes]:
                for file in files:
                    yield await file.read()

            return Response(pieces() if end in ("stream", "dropped", "disconnect") else "done")

        body = [part("f", b"1234", "f"), part("f", b"56789", "g") + b"--b--"]
        headers = [(b"transfer-encoding", b"chunked"), (b"content-type", MULTIPART.encode())]
        exchange = Exchange(
            http_scope(method="POST", headers=headers),
            body=body,
            sends=1 if end == "disconnect" else None,
            send_error=OSError() if end == "disconnect" else None,
        )
        await exchange.run(app)
        if end == "stream":
            assert exchange.body == b"123456789"
        assert len(files) == 2
        assert all(file.file.closed for file in files)

    @pytest.mark.parametrize("end", ["malformed", "leaves", "too many", "cancelled"])
    async def test_files_of_a_form_that_breaks_off_are_closed(self, end: str) -> None:
        body = [part("f", b"x" * 10, "f"), part("f", b"x" * 300_000, "f"), part("f", b"x" * 300_000, "f")]
        if end == "malformed":
            body.append(b"--b\r\n\r\n")
        elif end == "too many":
            body.append(part("f", b"", "f"))
        request = request_of(body, leaves=end != "malformed")
        on_disk = len(temporary_files())
        most: list[int] = []

        async def receive() -> Message:
            most.append(len(temporary_files()) - on_disk)
            if end == "cancelled" and len(most) == 4:
                await asyncio.Event().wait()
            return await given()

        given, request._receive = request._receive, receive
        reading = asyncio.create_task(request.form(limits=FormLimits(memory_size=10, files=3)))
        while end == "cancelled" and len(most) < 4:
            await asyncio.sleep(0)
        if end == "cancelled":
            reading.cancel()
        with pytest.raises((HTTPException, ClientDisconnected, asyncio.CancelledError)) as caught:
            await reading
        assert max(most) == 2
        assert len(temporary_files()) == on_disk
        # They were closed, and not just collected: the exception still has the frames with them.
        assert caught.traceback

    @pytest.mark.parametrize("times", [1, 2, 3])
    @pytest.mark.parametrize("full", [0, 1])
    async def test_who_is_cancelled_while_a_thread_writes_leaves_no_file_open(
        self, times: int, full: int
    ) -> None:
        loop, busy = asyncio.get_running_loop(), threading.Event()
        loop.set_default_executor(ThreadPoolExecutor(1))
        body = [part("f", b"x" * 300_000, "f")] * (full + 1)
        request = request_of(body)
        on_disk = len(temporary_files())
        received = asyncio.Event()

        async def receive() -> Message:
            if len(temporary_files()) == on_disk + full:
                # What is written next waits for this.
                loop.run_in_executor(None, busy.wait)
                received.set()
            return await given()

        given, request._receive = request._receive, receive
        reading = asyncio.create_task(request.form(limits=FormLimits(memory_size=10)))
        await received.wait()
        for _ in range(times):
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.sleep(0)
        busy.set()
        with pytest.raises(asyncio.CancelledError) as caught:
            await reading
        await asyncio.to_thread(int)  # it has done all that was asked for before
        assert len(temporary_files()) == on_disk
        assert caught.traceback


def temporary_files() -> list[str]:
    """Return the open files of this process that have no name."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [name for name in found if name.startswith(tempfile.gettempdir()) and name.endswith("(deleted)")]


class Upload(msgspec.Struct):
    title: str
    file: UploadedFile
    more: list[UploadedFile] = []
    photo: UploadedFile | None = None


async def test_files_are_fields_of_a_model() -> None:
    body = [part("title", b"t"), part("file", b"1", "a"), part("more", b"2", "b"), part("more", b"3", "c")]
    model = await request_of([*body, part("photo", b"", ""), b"--b--"]).form(Upload)
    assert (model.title, model.file.filename, model.photo) == ("t", "a", None)
    assert [file.filename for file in model.more] == ["b", "c"]
    for broken, pointer in (
        (body[1:], "#/title"),
        (body[:1], "#/file"),
        ([*body[:1], part("file", b"1")], "#/file"),
    ):
        with pytest.raises(HTTPException) as caught:
            await request_of([*broken, b"--b--"]).form(Upload)
        assert caught.value.status == 422
        assert caught.value.members["errors"][0]["pointer"] == pointer


async def test_a_field_that_is_neither_text_nor_file_is_a_fault_of_the_model() -> None:
    class Saved(msgspec.Struct):
        file: Path

    for body in ([part("file", b"1", "a"), b"--b--"], [part("file", b"1"), b"--b--"]):
        with pytest.raises(NotImplementedError, match="no Path"):
            await request_of(body).form(Saved)


async def test_files_are_fields_of_a_dataclass() -> None:
    @dataclasses.dataclass
    class Picture:
        file: UploadedFile
        width: int = 0

    model = await request_of([part("file", b"1", "a"), part("width", b"7"), b"--b--"]).form(Picture)
    assert (model.file.size, model.width) == (1, 7)
    assert isinstance(model.file.file, io.BytesIO)


def test_only_multipart_needs_a_library() -> None:
    code = """
import asyncio, sys
sys.modules["multipart"] = None
from asgiweb.forms import FormLimits, Part
from tests.asgiweb.test_forms import MULTIPART, URLENCODED, request_of

async def main():
    assert (await request_of(b"a=1", URLENCODED).form(limits=FormLimits())).text("a") == "1"
    try:
        await request_of(b"--b--", MULTIPART).form()
    except ImportError as error:
        print(error)

asyncio.run(main())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'asgiweb[forms]'" in result.stdout
