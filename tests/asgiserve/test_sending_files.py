"""Files that the server sends itself: ASGI's zerocopysend (X3) and pathsend (X4), with TLS and without."""

from __future__ import annotations

import asyncio
import io
import os
import random
import socket
import ssl
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11
import pytest

from asgiserve import ClientDisconnected
from tests.asgiserve.applications import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    answer,
    on_http,
    piece,
    start,
)
from tests.asgiserve.program import Program
from tests.asgiserve.raw import GET, GET_AND_CLOSE, Client, Response, eventually, get, request
from tests.asgiserve.serving import Moment, Serve, Serving

REJECTION = (TypeError, ValueError, KeyError, RuntimeError, OSError)

HEAD = request("HEAD / HTTP/1.1", "Host: test")
OLD = request("GET / HTTP/1.0", "Connection: keep-alive")

#: More than the kernel takes for a client that does not read, in both of its buffers.
HUGE = 32 * 1024 * 1024

#: Response headers of a file.
OCTETS = (b"content-type", b"application/octet-stream")


def length(size: int) -> tuple[bytes, bytes]:
    """A Content-Length field."""
    return (b"content-length", str(size).encode())


def pathsend(path: object) -> Message:
    """The event that sends a whole file by its path."""
    return {"type": "http.response.pathsend", "path": str(path)}


def zerocopysend(file: object, more: bool = False, **more_keys: Any) -> Message:
    """The event that sends a part of an open file."""
    return {"type": "http.response.zerocopysend", "file": file, "more_body": more, **more_keys}


@dataclass
class Wire:
    """How the clients of a test connect: settings of the server, and TLS or none."""

    settings: dict[str, Any] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None

    def ask(self, server: Serving, data: bytes = GET, method: str = "GET") -> Response:
        """The response to one request."""
        with server.connect(self.tls) as client:
            client.send(data)
            return client.response(method)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Wire:
    """A certificate, made once: keys take their time."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(file)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return Wire({"ssl_certfile": str(file)}, context)


@pytest.fixture(params=["tcp", "tls"])
def wire(request: pytest.FixtureRequest) -> Wire:
    """Plain TCP, where the kernel can do the work; and TLS, where it cannot."""
    if request.param == "tcp":
        return Wire()
    found: Wire = request.getfixturevalue("tls")
    return found


def bytes_of(size: int) -> bytes:
    """So many bytes that do not repeat themselves."""
    return random.Random(size).randbytes(size)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is larger than one piece of anything."""
    path = tmp_path / "file.bin"
    path.write_bytes(bytes_of(300_000))
    return path


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """A file without content that takes no room, and is too large to be on its way as a whole."""
    path = tmp_path / "huge.bin"
    with path.open("wb") as opened:
        opened.truncate(HUGE)
    return path


def descriptors(path: Path) -> int:
    """How many descriptors of a file this process has open, the server in it included."""
    found = 0
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(path))
        except FileNotFoundError:
            pass  # the one that listed them
    return found


def all_closed(path: Path) -> bool:
    """Whether the server closes its descriptors of a file."""
    return eventually(lambda: descriptors(path) == 0)


def size_of_the_rest(client: Client) -> int:
    """How many bytes still come, however the server ends the connection."""
    size = 0
    try:
        while data := client.read():
            size += len(data)
    except (ConnectionError, ssl.SSLError):
        pass
    return size


#: Ways to send a file, with what has to be told of it in advance.
Sender = Callable[[Send, Path], Awaitable[None]]


async def by_path(send: Send, path: Path) -> None:
    await send(pathsend(path))


async def by_descriptor(send: Send, path: Path) -> None:
    with path.open("rb") as opened:
        await send(zerocopysend(opened))


BOTH = pytest.mark.parametrize("sender", [by_path, by_descriptor])


def sends(sender: Sender, path: Path, *headers: tuple[bytes, bytes], status: int = 200) -> App:
    """The application that answers every request with a file, and leaves its length to the server."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(status, [OCTETS, *headers]))
        await sender(send, path)

    return on_http(handler)


# What both have in common


@BOTH
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "not-declared"])
def test_X3_X4_whole_file(serve: Serve, wire: Wire, tmp_path: Path, sender: Sender, declared: bool) -> None:
    """The connection is kept, whatever the length was said to be; and nothing is left open."""
    path = tmp_path / "file.bin"

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [OCTETS, *([length(path.stat().st_size)] if declared else [])]))
        await sender(send, path)

    with serve(on_http(handler), **wire.settings) as server, server.connect(wire.tls) as client:
        for size in (0, 1, 65_536, 1_000_000, 0, 12):
            path.write_bytes(bytes_of(size))
            client.send(GET)
            response = client.response()
            assert response.body == bytes_of(size)
            assert response["content-type"] == "application/octet-stream"
            assert "connection" not in response
            if declared or sender is by_path:
                assert response["content-length"] == str(size)
        assert all_closed(path)


@BOTH
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "not-declared"])
def test_X3_X4_client_of_http_1_0(serve: Serve, file: Path, sender: Sender, declared: bool) -> None:
    size = file.stat().st_size
    with (
        serve(sends(sender, file, *([length(size)] if declared else []))) as server,
        server.connect() as client,
    ):
        client.send(OLD)
        response = client.response()
        assert response.body == file.read_bytes()
        assert "transfer-encoding" not in response
        if declared or sender is by_path:
            assert response["connection"] == "keep-alive"
            client.send(OLD)
            assert client.response().body == file.read_bytes()


@BOTH
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "not-declared"])
def test_X3_X4_HEAD(serve_twice: Serve, wire: Wire, file: Path, sender: Sender, declared: bool) -> None:
    size = file.stat().st_size
    app = sends(sender, file, *([length(size)] if declared else []))
    with serve_twice(app, **wire.settings) as server, server.connect(wire.tls) as client:
        client.send(HEAD + GET)
        response = client.response("HEAD")
        assert response.all("content-length") in ([str(size)], [] if not declared else [str(size)])
        assert client.response().body == file.read_bytes()
        assert all_closed(file)


@BOTH
@pytest.mark.parametrize("status", [204, 205, 304])
def test_X3_X4_status_without_content(serve_twice: Serve, file: Path, sender: Sender, status: int) -> None:
    with serve_twice(sends(sender, file, status=status)) as server, server.connect() as client:
        for _ in range(2):
            client.send(GET)
            response = client.response()
            assert (response.status, response.body) == (status, b"")
        assert all_closed(file)


@BOTH
def test_X3_X4_pipelined_requests(serve_twice: Serve, wire: Wire, file: Path, sender: Sender) -> None:
    """Files between bodies, and each whole."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/file":
            await send(start())
            await sender(send, file)
        else:
            await answer(send, scope["path"].encode() * 1000)

    paths = ["/file", "/text", "/file", "/file", "/text", "/file"]
    with serve_twice(app, **wire.settings) as server, server.connect(wire.tls) as client:
        client.send(b"".join(get(path) for path in paths))
        for path in paths:
            assert client.response().body == (file.read_bytes() if path == "/file" else b"/text" * 1000)


@BOTH
def test_X3_X4_end_of_the_connection(serve_twice: Serve, wire: Wire, file: Path, sender: Sender) -> None:
    with serve_twice(sends(sender, file), **wire.settings) as server, server.connect(wire.tls) as client:
        client.send(GET_AND_CLOSE)
        response = client.response()
        assert (response.body, response["connection"]) == (file.read_bytes(), "close")
        assert client.closed()


@BOTH
def test_X3_X4_UNIX_socket(serve: Serve, tmp_path: Path, file: Path, sender: Sender) -> None:
    with serve(sends(sender, file), uds=str(tmp_path / "socket")) as server:
        assert server.ask(GET).body == file.read_bytes()


@BOTH
def test_X3_X4_access_log_has_the_size(serve_twice: Serve, wire: Wire, file: Path, sender: Sender) -> None:
    with serve_twice(sends(sender, file), **wire.settings) as server:
        wire.ask(server)
        server.records.wait('"GET / HTTP/1.1" 200 300000 ')


@BOTH
def test_X3_X4_receive_after_the_file_gives_disconnect(
    serve_twice: Serve, file: Path, sender: Sender
) -> None:
    """And further events are ignored (E13)."""
    events: list[Message] = []

    async def handler(receive: Receive, send: Send) -> None:
        await receive()
        await send(start())
        await sender(send, file)
        events.append(await receive())
        for late in (piece(b"late"), pathsend(file), pathsend("/missing"), zerocopysend(None), start(500)):
            await send(late)

    with serve_twice(on_http(handler)) as server, server.connect() as client:
        for _ in range(2):
            client.send(GET)
            assert client.response().body == file.read_bytes()
    assert events == [{"type": "http.disconnect"}] * 2


@BOTH
def test_X3_X4_before_the_start_is_rejected(serve_twice: Serve, file: Path, sender: Sender) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        with pytest.raises(RuntimeError):
            await sender(send, file)
        await answer(send)

    with serve_twice(on_http(handler)) as server:
        assert server.ask(GET).body == b"ok"
        assert all_closed(file)


@BOTH
@pytest.mark.parametrize("wrong", [-1, 1], ids=["shorter-is-declared", "longer-is-declared"])
def test_X3_X4_other_length_than_declared_is_rejected(
    serve_twice: Serve, file: Path, sender: Sender, wrong: int
) -> None:
    """And nothing was written: a body of the declared length can still be sent (A10)."""
    declared = file.stat().st_size + wrong

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [length(declared)]))
        with pytest.raises(ValueError):
            await sender(send, file)
        await send(piece(b"x" * declared))

    with serve_twice(on_http(handler)) as server, server.connect() as client:
        for _ in range(2):
            client.send(GET)
            assert client.response().body == b"x" * declared
        assert all_closed(file)


@BOTH
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "not-declared"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_X3_X4_file_after_a_head_that_went_out_alone(
    serve_twice: Serve, file: Path, sender: Sender, declared: bool, version: str
) -> None:
    """The head waits half a second for the first piece of the body, and no longer."""
    seen: Moment[None] = Moment()
    content = file.read_bytes()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [length(len(content))] if declared else []))
        await seen
        await sender(send, file)

    with serve_twice(on_http(handler)) as server, server.connect() as client:
        client.send(request(f"GET / HTTP/{version}", "Host: test", "Connection: close"))
        head = client.read_until(b"\r\n\r\n")
        seen.happen(None)
        body = client.read_all()
    if declared or version == "1.0":
        assert b"transfer-encoding" not in head
        assert body == content
    else:
        assert b"\r\ntransfer-encoding: chunked\r\n" in head
        assert dechunked(body) == content


def dechunked(data: bytes) -> bytes:
    """The content of a chunked body."""
    content = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        content += data[:size]
        assert data[size : size + 2] == b"\r\n"
        data = data[size + 2 :]
        if size == 0:
            assert data == b""
            return content


def test_X3_X4_wrong_length_after_a_head_that_went_out_alone(serve: Serve, file: Path) -> None:
    seen: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [length(2)]))
        await seen
        for sender in (by_path, by_descriptor):
            with pytest.raises(ValueError):
                await sender(send, file)
        await send(piece(b"ok"))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET_AND_CLOSE)
        client.read_until(b"\r\n\r\n")
        seen.happen(None)
        assert client.read_all() == b"ok"


@BOTH
def test_X3_X4_half_closed_client_gets_the_whole_file(serve: Serve, file: Path, sender: Sender) -> None:
    with serve(sends(sender, file)) as server, server.connect() as client:
        client.send(GET)
        client.end()
        assert client.response().body == file.read_bytes()


# Clients that are slow, or leave


@BOTH
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_E15_client_that_leaves_within_a_file(
    serve_twice: Serve, wire: Wire, huge: Path, sender: Sender, leave: str
) -> None:
    told: Moment[BaseException] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        try:
            await sender(send, huge)
        except OSError as error:
            told.happen(error)
            raise

    with serve_twice(on_http(handler), **wire.settings) as server:
        with server.connect(wire.tls) as client:
            client.send(GET)
            client.read_until(b"\r\n\r\n")
            getattr(client, leave)()
        assert type(told.wait()) is ClientDisconnected
        assert all_closed(huge)


@BOTH
def test_E15_file_for_a_client_that_has_left(serve: Serve, file: Path, sender: Sender) -> None:
    told: Moment[BaseException] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        while (await receive())["type"] != "http.disconnect":
            pass
        try:
            await sender(send, file)
        except OSError as error:
            told.happen(error)
            raise

    with serve(on_http(handler)) as server:
        with server.connect() as client:
            client.send(GET)
        assert type(told.wait()) is ClientDisconnected
        assert all_closed(file)


def test_write_timeout_ends_clients_that_do_not_read_their_files(
    serve_twice: Serve, wire: Wire, huge: Path
) -> None:
    told: dict[str, Moment[BaseException]] = {"/path": Moment(), "/descriptor": Moment()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sender = by_path if scope["path"] == "/path" else by_descriptor
        await send(start())
        try:
            await sender(send, huge)
        except OSError as error:
            told[scope["path"]].happen(error)
            raise

    with serve_twice(app, write_timeout=0.4, **wire.settings) as server:
        with server.connect(wire.tls) as one, server.connect(wire.tls) as other:
            one.send(get("/path"))
            other.send(get("/descriptor"))
            for moment in told.values():
                assert type(moment.wait()) is ClientDisconnected
            server.records.wait("write_timeout")
            assert size_of_the_rest(one) < HUGE
            assert size_of_the_rest(other) < HUGE
        assert all_closed(huge)


@BOTH
def test_client_that_does_not_read_a_file_holds_nobody_up(
    serve_twice: Serve, wire: Wire, huge: Path, sender: Sender
) -> None:
    """Others are served meanwhile; and in the end it gets its file, although it grew."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/huge":
            await send(start())
            await sender(send, huge)
        else:
            await answer(send)

    with serve_twice(app, **wire.settings) as server, server.connect(wire.tls) as slow:
        slow.send(get("/huge", "Connection: close"))
        head = slow.read_until(b"\r\n\r\n")
        assert b"HTTP/1.1 200 OK\r\n" in head
        for _ in range(10):
            assert wire.ask(server).body == b"ok"
        with huge.open("ab") as opened:
            opened.write(b"more")
        assert b"chunked" in head or b"content-length: %d\r\n" % HUGE in head
        size = size_of_the_rest(slow)
        assert size == HUGE if b"chunked" not in head else size > HUGE


@BOTH
def test_shutdown_waits_for_a_file(serve_twice: Serve, wire: Wire, huge: Path, sender: Sender) -> None:
    app = sends(sender, huge, length(HUGE))
    with serve_twice(app, **wire.settings) as server, server.connect(wire.tls) as client:
        client.send(GET)
        client.read_until(b"\r\n\r\n")
        server.stop()
        assert size_of_the_rest(client) == HUGE
        client.close()
        server.stopped()
        assert all_closed(huge)


@BOTH
def test_shutdown_that_is_forced_cuts_a_file(
    serve_twice: Serve, wire: Wire, huge: Path, sender: Sender
) -> None:
    app = sends(sender, huge, length(HUGE))
    with serve_twice(app, **wire.settings) as server, server.connect(wire.tls) as client:
        client.send(GET)
        client.read_until(b"\r\n\r\n")
        server.stop()
        server.stop()
        server.stopped()
        assert all_closed(huge)
        assert size_of_the_rest(client) < HUGE


# Files that change, and applications that do


@BOTH
def test_file_that_shrinks_while_it_is_sent(
    serve_twice: Serve, wire: Wire, huge: Path, sender: Sender
) -> None:
    """The response cannot be whole any more: it is cut, and not filled up; and the log names the file."""
    with (
        serve_twice(sends(sender, huge, length(HUGE)), **wire.settings) as server,
        server.connect(wire.tls) as client,
    ):
        client.send(GET)
        client.read_until(b"\r\n\r\n")
        os.truncate(huge, 4096)
        assert size_of_the_rest(client) < HUGE
        server.records.wait(huge.name)
        assert all_closed(huge)


@BOTH
def test_file_may_go_once_it_was_sent(serve_twice: Serve, wire: Wire, tmp_path: Path, sender: Sender) -> None:
    """A temporary file, which a background task removes."""
    path = tmp_path / "temporary.bin"

    async def handler(receive: Receive, send: Send) -> None:
        path.write_bytes(bytes_of(1_000_000))
        await send(start())
        await sender(send, path)
        path.unlink()

    with serve_twice(on_http(handler), **wire.settings) as server, server.connect(wire.tls) as client:
        for _ in range(2):
            client.send(GET)
            assert client.response().body == bytes_of(1_000_000)


@BOTH
@pytest.mark.parametrize("then", ["return", "send", "raise"])
def test_application_that_gives_up_on_a_file(
    serve_twice: Serve, wire: Wire, huge: Path, sender: Sender, then: str
) -> None:
    """It is cancelled within `send`: the response stays without its end, whatever it does next."""
    cancelled: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [length(HUGE)] if sender is by_path else []))
        try:
            async with asyncio.timeout(0.2):
                await sender(send, huge)
        except TimeoutError:
            cancelled.happen(None)
        if then == "send":
            try:
                await send(piece(b"the end"))
            except (OSError, RuntimeError, ValueError):
                pass
        if then == "raise":
            raise LookupError("no patience")

    with serve_twice(on_http(handler), **wire.settings) as server, server.connect(wire.tls) as client:
        client.send(GET)
        client.read_until(b"\r\n\r\n")
        cancelled.wait()
        assert all_closed(huge)
        end = b""
        size = 0
        try:
            while data := client.read():
                size += len(data)
                end = (end + data)[-100:]
        except (ConnectionError, ssl.SSLError):
            pass
        assert size < HUGE
        assert b"the end" not in end
        assert not end.endswith(b"0\r\n\r\n")
        claim_all(server)


def claim_all(server: Serving) -> None:
    """Claim what is logged of a response that is cut: what, and in how many lines, is not the matter here."""
    server.stop()
    server.stopped()
    for line in set(server.records.lines):
        if line.startswith("ERROR"):
            for _ in range(server.records.unclaimed.count(line)):
                server.records.wait(line)


@pytest.mark.parametrize("second", ["body", "file"])
def test_X3_events_that_are_sent_at_once_do_not_mix(
    serve_twice: Serve, wire: Wire, tmp_path: Path, second: str
) -> None:
    """The second one waits for the first, or is rejected; its bytes are never among those of the file."""
    path = tmp_path / "large.bin"
    path.write_bytes(bytes_of(20_000_000))
    ending = tmp_path / "ending.bin"
    ending.write_bytes(b"the end")

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        with path.open("rb") as opened, ending.open("rb") as last:
            message = zerocopysend(last) if second == "file" else piece(b"the end")
            first = asyncio.ensure_future(send(zerocopysend(opened, more=True)))
            await asyncio.sleep(0)
            try:
                await send(message)
            except RuntimeError:
                await first
                await send(message)
            await first

    with serve_twice(on_http(handler), **wire.settings) as server:
        assert wire.ask(server).body == bytes_of(20_000_000) + b"the end"


# By path


@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_X4_link_to_a_file(serve: Serve, file: Path, tmp_path: Path, link: str) -> None:
    path = tmp_path / "link"
    if link == "hard":
        path.hardlink_to(file)
    else:
        path.symlink_to(file)
    with serve(sends(by_path, path)) as server:
        assert server.ask(GET).body == file.read_bytes()


NAMES = ["Ωμέγα 🔑.bin", "with space", "a%20b", "new\nline", "not-utf-8-\udcff"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_X4_names_of_files(serve_twice: Serve, tmp_path: Path, name: str) -> None:
    """The path is taken as `open` takes it."""
    path = tmp_path / name
    path.write_bytes(os.fsencode(name))
    with serve_twice(sends(by_path, path)) as server:
        assert server.ask(GET).body == os.fsencode(name)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


#: What may lie at a path and is no file that could be sent; a FIFO that nobody writes to never opens.
NO_FILES: dict[str, Callable[[Path], object]] = {
    "directory": Path.mkdir,
    "fifo": make_fifo,
    "socket": make_socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_X4_what_is_no_file_is_rejected(serve_twice: Serve, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    NO_FILES[kind](path)

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        with pytest.raises((OSError, ValueError)) as caught:
            await send(pathsend(path))
        assert not isinstance(caught.value, ClientDisconnected)
        await send(piece(b"ok"))

    with serve_twice(on_http(handler)) as server, server.connect() as client:
        for _ in range(2):
            client.send(GET)
            assert client.response().body == b"ok"
        assert all_closed(path)


def test_X4_missing_file(serve: Serve, tmp_path: Path, file: Path) -> None:
    """An error of the application's, which it can mend; not a client that has left, which nobody logs."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        missing = pathsend(tmp_path / "missing")
        if scope["path"] == "/raise":
            await send(missing)
        with pytest.raises(FileNotFoundError, match="missing"):
            await send(missing)
        await send(pathsend(file))

    with serve(app) as server, server.connect() as client:
        client.send(GET)
        assert client.response().body == file.read_bytes()
        client.send(get("/raise"))
        assert client.response().status == 500
        server.records.wait("FileNotFoundError")


WRONG_PATHS: dict[str, Any] = {
    "A9-no-path": {"type": "http.response.pathsend"},
    "A10-None": {"type": "http.response.pathsend", "path": None},
    "A10-bytes": {"type": "http.response.pathsend", "path": b"/etc/hostname"},
    "A10-descriptor": {"type": "http.response.pathsend", "path": 0},
    "empty": pathsend(""),
    "NUL": pathsend("/etc/hostname\0"),
    "lone-surrogate": pathsend("/\ud800"),
}


@pytest.mark.parametrize("wrong", WRONG_PATHS.values(), ids=WRONG_PATHS)
def test_X4_wrong_path_is_rejected_and_changes_nothing(serve_twice: Serve, wrong: Message) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        with pytest.raises(REJECTION) as caught:
            await send(wrong)
        assert not isinstance(caught.value, ClientDisconnected)
        await send(piece(b"ok"))

    with serve_twice(on_http(handler)) as server:
        assert server.ask(GET).body == b"ok"


def test_X4_path_after_a_piece_of_the_body_is_rejected(serve: Serve, file: Path) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        await send(piece(b"one", more=True))
        with pytest.raises(RuntimeError):
            await send(pathsend(file))
        with file.open("rb") as opened:
            await send(zerocopysend(opened, more=True, count=3))
        with pytest.raises(RuntimeError):
            await send(pathsend(file))
        await send(piece(b"two"))

    with serve(on_http(handler)) as server:
        assert server.ask(GET).body == b"one" + file.read_bytes()[:3] + b"two"
        assert all_closed(file)


def test_X4_more_body_means_nothing(serve: Serve, file: Path) -> None:
    """The event has no such key, and keys that are not known are ignored (A11)."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        await send({**pathsend(file), "more_body": True})
        await send(piece(b"late"))

    with serve(on_http(handler)) as server, server.connect() as client:
        for _ in range(2):
            client.send(GET)
            assert client.response().body == file.read_bytes()


# By descriptor


def test_X3_part_of_a_file(serve: Serve, wire: Wire, file: Path) -> None:
    """From `offset`, or from where the file is; `count` bytes, or to its end."""
    content = file.read_bytes()
    cases: dict[str, tuple[dict[str, Any], bytes]] = {
        "/offset": ({"offset": 100}, content[100:]),
        "/count": ({"count": 100}, content[7:107]),
        "/both": ({"offset": 1, "count": 200_000}, content[1:200_001]),
        "/position": ({}, content[7:]),
        "/nothing": ({"count": 0}, b""),
        "/nothing-at-the-end": ({"offset": len(content)}, b""),
        "/start": ({"offset": 0, "count": len(content)}, content),
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        with file.open("rb") as opened:
            opened.read(7)  # what a buffered file has read ahead is not its position
            await send(zerocopysend(opened, **cases[scope["path"]][0]))

    with serve(app, **wire.settings) as server, server.connect(wire.tls) as client:
        for path, (_, expected) in cases.items():
            client.send(get(path))
            assert client.response().body == expected, path


class Descriptor:
    """As little of a file as there may be."""

    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_RDONLY)
        os.lseek(self._number, 5, os.SEEK_SET)

    def fileno(self) -> int:
        """The descriptor's number."""
        return self._number

    def close(self) -> None:
        """Close it."""
        os.close(self._number)


#: Objects with a descriptor of a file, five bytes behind its beginning.
FILES: dict[str, Callable[[Path], Any]] = {
    "buffered": lambda path: path.open("rb"),
    "unbuffered": lambda path: path.open("rb", buffering=0),
    "updated": lambda path: path.open("r+b"),
    "duplicate": lambda path: os.fdopen(os.open(path, os.O_RDONLY), "rb"),
    "fileno-alone": Descriptor,
}


@pytest.mark.parametrize("kind", FILES)
def test_X3_objects_with_a_descriptor(serve_twice: Serve, wire: Wire, file: Path, kind: str) -> None:
    """The application closes them, and not the server."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        opened = FILES[kind](file)
        try:
            if kind != "fileno-alone":
                opened.seek(5)
            await send(zerocopysend(opened))
            os.fstat(opened.fileno())
        finally:
            opened.close()

    with serve_twice(on_http(handler), **wire.settings) as server, server.connect(wire.tls) as client:
        for _ in range(2):
            client.send(GET)
            assert client.response().body == file.read_bytes()[5:]
        assert all_closed(file)


def test_X3_temporary_file_without_a_name(serve: Serve, wire: Wire) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        with tempfile.TemporaryFile() as opened:
            opened.write(bytes_of(100_000))
            opened.flush()
            opened.seek(0)
            await send(start())
            await send(zerocopysend(opened))

    with serve(on_http(handler), **wire.settings) as server:
        assert wire.ask(server).body == bytes_of(100_000)


def parts(content: bytes) -> Iterator[tuple[bytes | dict[str, Any], bytes]]:
    """A body of pieces, and of parts of a file in any order."""
    yield b"head ", b"head "
    yield {"offset": 1000, "count": 100_000}, content[1000:101_000]
    yield {"offset": 0, "count": 10}, content[:10]
    yield b"", b""
    yield b" middle ", b" middle "
    yield {"offset": 5, "count": 0}, b""
    yield {"offset": 200_000}, content[200_000:]
    yield b" end", b" end"


@pytest.mark.parametrize("framing", ["chunked", "length", "1.0", "HEAD"])
@pytest.mark.parametrize("last", ["body", "file"])
def test_X3_mixed_with_bodies(serve_twice: Serve, wire: Wire, file: Path, framing: str, last: str) -> None:
    content = file.read_bytes()
    body = b"".join(expected for _, expected in parts(content))
    if last == "file":
        body += content[:9]

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [length(len(body))] if framing == "length" else []))
        with file.open("rb") as opened:
            for part, _ in parts(content):
                if isinstance(part, bytes):
                    await send(piece(part, more=True))
                else:
                    await send(zerocopysend(opened, more=True, **part))
            if last == "file":
                await send(zerocopysend(opened, offset=0, count=9))
            else:
                await send(piece())

    data = {"1.0": OLD, "HEAD": HEAD}.get(framing, GET)
    with serve_twice(on_http(handler), **wire.settings) as server, server.connect(wire.tls) as client:
        client.send(data + (b"" if framing == "1.0" else data))
        for _ in range(1 if framing == "1.0" else 2):
            response = client.response("HEAD" if framing == "HEAD" else "GET")
            assert response.body == (b"" if framing == "HEAD" else body)
            assert response.all("transfer-encoding") in (
                [["chunked"]] if framing == "chunked" else [[], ["chunked"]] if framing == "HEAD" else [[]]
            )


def test_X3_bodies_and_files_keep_their_order_while_the_client_is_slow(serve: Serve, file: Path) -> None:
    """What is left of a body in the server's buffer leaves before the file that follows it."""
    content = file.read_bytes()
    size = 30_000

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [length(300 * 2 * size)]))
        with file.open("rb") as opened:
            for number in range(300):
                await send(piece(b"%c" % (number % 256) * size, more=True))
                await send(zerocopysend(opened, more=number < 299, offset=number, count=size))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        # The kernel takes little at once, so that nearly each piece waits in the server for a moment.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with serve(on_http(handler), [listener]) as server:
            body = server.ask(GET).body
    for number in range(300):
        assert body[:size] == b"%c" % (number % 256) * size
        assert body[size : 2 * size] == content[number : number + size]
        body = body[2 * size :]


def test_X3_file_first_and_more_to_come(serve: Serve, wire: Wire, file: Path) -> None:
    """It leaves at once (E12), in chunks of which the server knows the size beforehand."""
    seen: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        with file.open("rb") as opened:
            await send(zerocopysend(opened, more=True, count=1000))
            await seen
            await send(zerocopysend(opened, offset=1000, count=1000))

    content = file.read_bytes()
    with serve(on_http(handler), **wire.settings) as server, server.connect(wire.tls) as client:
        client.send(GET_AND_CLOSE)
        assert b"\r\ntransfer-encoding: chunked\r\n" in client.read_until(b"\r\n\r\n")
        data = b""
        while len(data) < 1000:
            data += client.read()
        seen.happen(None)
        assert dechunked(data + client.read_all()) == content[:2000]


def test_X3_range_of_a_file(serve_twice: Serve, wire: Wire, file: Path) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(206, [length(1000), (b"content-range", b"bytes 500-1499/300000")]))
        with file.open("rb") as opened:
            await send(zerocopysend(opened, offset=500, count=1000))

    with serve_twice(on_http(handler), **wire.settings) as server, server.connect(wire.tls) as client:
        for _ in range(2):
            client.send(GET)
            response = client.response()
            assert (response.status, response.body) == (206, file.read_bytes()[500:1500])
            assert response["content-length"] == "1000"


def test_X3_one_open_file_for_many_responses(serve_twice: Serve, wire: Wire, tmp_path: Path) -> None:
    """With offsets it does not matter who else reads from it."""
    path = tmp_path / "shared.bin"
    content = bytes_of(2_000_000)
    path.write_bytes(content)
    size = len(content) // 4
    found: dict[int, bytes] = {}
    with path.open("rb") as shared:

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            offset = int(scope["query_string"])
            await send(start())
            await send(zerocopysend(shared, offset=offset, count=size))

        with serve_twice(app, **wire.settings) as server:

            def ask(offset: int) -> None:
                found[offset] = wire.ask(server, get(f"/?{offset}")).body

            threads = [threading.Thread(target=ask, args=(place * size,)) for place in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert found == {offset: content[offset : offset + size] for offset in range(0, len(content), size)}


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_X3_trailers_follow_a_file(serve: Serve, file: Path, version: str) -> None:
    """It is like http.response.body: the response waits for the trailers that were announced (X6)."""
    content = file.read_bytes()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        with file.open("rb") as opened:
            await send(zerocopysend(opened))
            with pytest.raises(RuntimeError):
                await send(zerocopysend(opened))
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(request(f"GET / HTTP/{version}", "Host: test", "TE: trailers", "Connection: close"))
        client.read_until(b"\r\n\r\n")
        body = client.read_all()
    if version == "1.1":
        assert body == b"%x\r\n%b\r\n0\r\nx-sum: 1\r\n\r\n" % (len(content), content)
    else:
        assert body == content


def test_X4_trailers_after_a_path_do_not_harm(serve: Serve, file: Path) -> None:
    """They may be sent or, because the length is known, dropped: the file is whole, the connection kept."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(pathsend(file))
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})

    with serve(on_http(handler)) as server, server.connect() as client:
        for _ in range(2):
            client.send(get("/", "TE: trailers"))
            assert client.response().body == file.read_bytes()


def closed_file() -> io.BufferedReader:
    """A file that was closed too early."""
    with open(__file__, "rb") as opened:
        return opened


class Number:
    """Something with a descriptor that is none."""

    def __init__(self, number: object) -> None:
        self._number = number

    def fileno(self) -> object:
        """No descriptor."""
        return self._number


WRONG_FILES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "A9-no-file": lambda file: {},
    "A10-None": lambda file: {"file": None},
    "A10-path": lambda file: {"file": str(file)},
    "A10-bytes": lambda file: {"file": b"leak"},
    "A10-number": lambda file: {"file": 0},
    "A10-memory": lambda file: {"file": io.BytesIO(b"leak")},
    "A10-descriptor-is-text": lambda file: {"file": Number("0")},
    "closed": lambda file: {"file": closed_file()},
    "descriptor-is-negative": lambda file: {"file": Number(-1)},
    "descriptor-is-not-open": lambda file: {"file": Number(99_999)},
}

WRONG_PARTS: dict[str, dict[str, Any]] = {
    "A10-offset-is-text": {"offset": "0"},
    "A10-offset-is-float": {"offset": 0.0},
    "A10-count-is-text": {"count": "1"},
    "A10-count-is-float": {"count": 1.0},
    "negative-offset": {"offset": -1},
    "negative-count": {"count": -1},
    "more-than-there-is": {"count": 300_001},
    "more-than-there-is-from-there": {"offset": 299_999, "count": 2},
    "larger-than-any-file": {"offset": 2**63, "count": 1},
}


async def rejected_in_all_places(send: Send, wrong: Message) -> None:
    """Send something wrong before the head and within the body; the response is two pieces."""
    await send(start())
    for message in (piece(b"one ", more=True), piece(b"two ", more=True), piece(b"three")):
        with pytest.raises(REJECTION) as caught:
            await send(wrong)
        assert not isinstance(caught.value, ClientDisconnected)
        await send(message)


@pytest.mark.parametrize("case", WRONG_FILES)
def test_X3_wrong_file_is_rejected_and_changes_nothing(serve_twice: Serve, file: Path, case: str) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        wrong = {"type": "http.response.zerocopysend", "more_body": True, **WRONG_FILES[case](file)}
        await rejected_in_all_places(send, wrong)

    with serve_twice(on_http(handler)) as server:
        assert server.ask(GET).body == b"one two three"


@pytest.mark.parametrize("case", WRONG_PARTS)
def test_X3_wrong_part_is_rejected_and_changes_nothing(serve_twice: Serve, file: Path, case: str) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        with file.open("rb") as opened:
            await rejected_in_all_places(send, zerocopysend(opened, more=True, **WRONG_PARTS[case]))

    with serve_twice(on_http(handler)) as server:
        assert server.ask(GET).body == b"one two three"


@pytest.mark.parametrize("kind", ["write-only", "pipe", "socket", "directory"])
def test_X3_descriptor_of_something_else_is_rejected(serve_twice: Serve, tmp_path: Path, kind: str) -> None:
    """Nothing else can be sent by `sendfile`, which would find it out when the head is written already."""

    async def handler(receive: Receive, send: Send) -> None:
        opened: list[int] = []
        if kind == "write-only":
            (tmp_path / "file").write_bytes(b"leak")
            opened.append(os.open(tmp_path / "file", os.O_WRONLY))
        elif kind == "pipe":
            opened += os.pipe()
        elif kind == "socket":
            opened += [end.detach() for end in socket.socketpair()]
        else:
            opened.append(os.open(tmp_path, os.O_RDONLY))
        try:
            wrong = zerocopysend(Number(opened[0]), more=True, offset=0, count=0 if kind == "pipe" else 1)
            await rejected_in_all_places(send, wrong)
        finally:
            for descriptor in opened:
                os.close(descriptor)

    with serve_twice(on_http(handler)) as server:
        assert server.ask(GET).body == b"one two three"


def test_X3_more_than_the_declared_length_is_rejected(serve: Serve, file: Path) -> None:
    """Anywhere in the body; and so is a last part that leaves it too short."""
    content = file.read_bytes()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(200, [length(30)]))
        with file.open("rb") as opened:
            for wrong in (
                zerocopysend(opened, more=True),
                zerocopysend(opened, more=True, count=31),
                zerocopysend(opened, count=29),
                zerocopysend(opened, count=31),
            ):
                with pytest.raises(ValueError):
                    await send(wrong)
            await send(zerocopysend(opened, more=True, offset=0, count=10))
            for wrong in (
                zerocopysend(opened, more=True, count=21),
                zerocopysend(opened, count=19),
                zerocopysend(opened, offset=0, count=21),
            ):
                with pytest.raises(ValueError):
                    await send(wrong)
            await send(piece(b"-" * 10, more=True))
            await send(zerocopysend(opened, offset=20, count=10))

    with serve(on_http(handler)) as server, server.connect() as client:
        for _ in range(2):
            client.send(GET)
            assert client.response().body == content[:10] + b"-" * 10 + content[20:30]


def test_E7_application_that_returns_after_a_part_of_its_body(serve: Serve, file: Path) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        with file.open("rb") as opened:
            await send(zerocopysend(opened, more=True))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        with pytest.raises((h11.RemoteProtocolError, ConnectionResetError)):
            client.response()
        server.records.wait("without a complete response")


# Memory


async def serves_huge(scope: Scope, receive: Receive, send: Send) -> None:
    """For a process of its own: a file that the query names, by one event or the other."""
    assert scope["type"] == "http"
    if not scope["query_string"]:
        await answer(send)
        return
    sender = {"/path": by_path, "/descriptor": by_descriptor}[scope["path"]]
    await send(start())
    await sender(send, Path(scope["query_string"].decode()))


@pytest.mark.parametrize(("http", "loop"), [("httptools", "uvloop"), ("h11", "asyncio")])
def test_X3_X4_file_is_never_in_memory_as_a_whole(wire: Wire, huge: Path, http: str, loop: str) -> None:
    """Whether its client reads or not."""
    flags = ["--http", http, "--loop", loop, "--lifespan", "off"]
    if wire.tls is not None:
        flags += ["--ssl-certfile", wire.settings["ssl_certfile"]]
    with Program("tests.asgiserve.test_sending_files:serves_huge", *flags) as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        with Client(address, wire.tls) as client:
            client.send(GET)
            client.response()
            before = server.memory("VmRSS")
            for path in ("/path", "/descriptor"):
                with Client(address, wire.tls) as idle:
                    idle.send(get(f"{path}?{huge}"))
                    idle.read_until(b"\r\n\r\n")
                    client.send(get(f"{path}?{huge}"))
                    assert received(client) == HUGE
        assert server.memory("VmHWM") - before < HUGE // 2


def received(client: Client) -> int:
    """The size of a response's body, which is not kept."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("host", "test")]))
    parser.send(h11.EndOfMessage())
    size = 0
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            parser.receive_data(client.read())
        elif isinstance(event, h11.Data):
            size += len(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return size
