"""Multipart forms part by part, while they come; and the names of files."""

from __future__ import annotations

import asyncio

import pytest

from asgiweb import (
    BodyConsumed,
    ClientDisconnected,
    HTTPBadRequest,
    HTTPContentTooLarge,
    HTTPUnsupportedMediaType,
)
from asgiweb.asgi import Message
from asgiweb.forms import FormLimits, Part, safe_filename
from tests.asgiweb.test_forms import part, request_of


async def test_complaint_10_parts_are_there_before_the_body_is() -> None:
    request = request_of([part("a", b"1"), part("f", b"2" * 1000, "f")[:-500], b"3" * 10, b"\r\n--b--"])
    given = request._receive
    received = 0

    async def receive() -> Message:
        nonlocal received
        received += 1
        return await given()

    request._receive = receive
    parts = request.multipart()
    first = await anext(parts)
    assert (first.name, first.filename, received) == ("a", None, 1)
    assert await first.text() == "1"
    second = await anext(parts)
    assert (second.name, second.filename, received) == ("f", "f", 2)
    pieces = aiter(second)
    assert set(await anext(pieces)) == set(b"2")
    assert received == 2
    assert await anext(pieces) == b"3" * 10
    assert received == 3
    assert [piece async for piece in pieces] == []
    with pytest.raises(StopAsyncIteration):
        await anext(parts)


async def test_a_part_says_what_it_is() -> None:
    (found,) = [
        each
        async for each in request_of(
            part("a", b"", "C:\\dir\\b.png", "Content-Type: Image/PNG; x=y", "X-Own: \u20ac") + b"--b--"
        ).multipart()
    ]
    assert (found.name, found.content_type, found.headers["x-own"]) == ("a", "image/png", "\u20ac")
    assert found.safe_filename == "b.png"
    assert repr(found).startswith("<Part 'a' with the file ")


async def test_what_nobody_reads_is_skipped() -> None:
    body = b"".join([part("a", b"1" * 100), part("b", b"2" * 100), part("c", b"3"), b"--b--"])
    for size in (7, 1000):
        request = request_of([body[i : i + size] for i in range(0, len(body), size)])
        seen = []
        async for each in request.multipart():
            if each.name == "b":
                async for piece in each:
                    assert piece.startswith(b"2")
                    break
            seen.append(each.name if each.name != "c" else await each.text())
        assert seen == ["a", "b", "3"]


async def test_a_part_is_read_once_and_in_its_turn() -> None:
    old: Part | None = None
    async for each in request_of(part("a", b"1") + part("b", b"2") + b"--b--").multipart():
        if old is not None:
            with pytest.raises(BodyConsumed, match="'a'> has gone by"):
                await old.read()
        else:
            old = each
        if each.name == "b":
            assert await each.read() == b"2"
            with pytest.raises(BodyConsumed):
                await each.text()


async def test_the_body_is_gone_when_it_was_streamed() -> None:
    request = request_of(part("a", b"1") + b"--b--")
    assert [each.name async for each in request.multipart()] == ["a"]
    with pytest.raises(BodyConsumed):
        await request.body()
    with pytest.raises(BodyConsumed):
        await anext(request.multipart())
    with pytest.raises(BodyConsumed, match="was streamed already"):
        await request.form()


async def test_parts_are_limited() -> None:
    body = part("a", b"12") + part("b", b"34") + part("f", b"x" * 100, "f") + b"--b--"
    for limits, kinds in ((FormLimits(fields=1), ["a"]), (FormLimits(files=0), ["a", "b"])):
        parts = request_of(body).multipart(limits=limits)
        assert [(await anext(parts)).name for _ in kinds] == kinds
        with pytest.raises(HTTPContentTooLarge):
            await anext(parts)
    parts = request_of(body).multipart(limits=FormLimits(text_size=3))
    assert await (await anext(parts)).text() == "12"
    second = await anext(parts)
    with pytest.raises(HTTPContentTooLarge):
        await second.text()
    async for each in request_of(body).multipart(limits=FormLimits(text_size=0)):
        assert await each.read()


async def test_what_is_no_form_is_refused_when_it_is_read() -> None:
    with pytest.raises(HTTPUnsupportedMediaType):
        await anext(request_of(b"", "text/plain").multipart())
    with pytest.raises(HTTPBadRequest):
        await anext(request_of(b"x").multipart())


async def test_a_client_that_leaves_is_no_shorter_part() -> None:
    request = request_of([part("f", b"1" * 100, "f")[:-50]], leaves=True)
    pieces = aiter(await anext(request.multipart()))
    assert (await anext(pieces)).startswith(b"111")
    with pytest.raises(ClientDisconnected):
        await anext(pieces)


async def test_a_part_that_was_cancelled_is_no_shorter_part() -> None:
    request = request_of([part("f", b"1" * 100, "f")[:-50], b"rest"])
    given = request._receive
    asked = asyncio.Event()

    async def receive() -> Message:
        if asked.is_set():
            await asyncio.sleep(60)
        asked.set()
        return await given()

    request._receive = receive
    parts = request.multipart()
    each = await anext(parts)
    reading = asyncio.create_task(each.read())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    with pytest.raises(HTTPBadRequest):
        await anext(parts)


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        (None, "file"),
        ("", "file"),
        ("a.txt", "a.txt"),
        ("caf\xe9 1.txt", "caf\xe9 1.txt"),
        ("cafe\u0301", "caf\xe9"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\a.txt", "a.txt"),
        ("\\\\host\\share\\a.txt", "a.txt"),
        ("..", "file"),
        ("...", "file"),
        (".htaccess", "htaccess"),
        ("a/", "file"),
        ("a\0b\r\nc", "a_b__c"),
        ("a\u202etxt.exe", "atxt.exe"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("console", "console"),
        ("  a   b  ", "a b"),
        ('a:b*c?d"e<f>g|h', "a_b_c_d_e_f_g_h"),
        ("$(rm)`x`;&", "_(rm)_x___"),
        ("\u1fefx\u1fef\u037e\u2260", "_x__\u2260"),
        ("\ud800", "file"),
        ("-rf", "-rf"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
        ("\u20ac" * 100, "\u20ac" * 85),
        ("x." + "y" * 300, "x." + "y" * 253),
    ],
)
def test_a_safe_file_name_is_one_in_any_directory(filename: str | None, expected: str) -> None:
    assert safe_filename(filename) == expected
    assert len(expected.encode()) <= 255


def test_a_file_without_a_name_gets_one() -> None:
    assert safe_filename("", "upload") == "upload"
