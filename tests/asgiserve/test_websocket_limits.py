"""What of a WebSocket waits for the application, or for its client, and what is left of it in the end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import time
import tracemalloc
from pathlib import Path

import pytest

from asgiserve import ClientDisconnected
from asgiserve.websocket.frames import FrameReader
from tests.asgiserve.applications import Receive, Scope, Send, answer
from tests.asgiserve.conftest import COMBINATIONS
from tests.asgiserve.issuing import Issuer
from tests.asgiserve.program import Program
from tests.asgiserve.raw import GET, eventually
from tests.asgiserve.serving import Moment, Serve, serve_on
from tests.asgiserve.test_memory import attack
from tests.asgiserve.websocket import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    WebSocket,
    binary,
    close,
    echo,
    fragments,
    frame,
    on_websocket,
    text,
    upgrade,
)

# What waits for the application


@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_client_that_floods_is_not_read_until_the_application_receives(serve: Serve, size: int) -> None:
    """And then everything arrives, in its order, what came behind it too."""
    go: Moment[None] = Moment()
    received: list[str] = []

    async def app(receive: Receive, send: Send) -> None:
        await go
        while (message := await receive())["type"] == "websocket.receive":
            received.append(message["text"])

    with (
        serve(on_websocket(app), ws_per_message_deflate=False) as server,
        WebSocket(server.address) as client,
    ):
        client.open()
        client.socket.settimeout(0.3)
        sent = 0
        with contextlib.suppress(TimeoutError):
            for number in range(100_000_000 // size):
                message = text(f"{number} ".ljust(size, "x"))
                client.send(message * (10_000 // size) if size == 1 else message)
                sent += 1
        # The message that the kernel took in part is sent to its end while the application receives.
        assert 0 < sent < 100_000_000 // size, "the server reads on and on"
        go.happen(None)
        seen = eventually(lambda: len(received) >= (sent * 10_000 if size == 1 else sent))
        assert seen, (sent, len(received))
    if size > 1:
        assert received == [f"{number} ".ljust(size, "x") for number in range(len(received))]


def test_ping_behind_messages_that_wait_is_answered_once_they_are_taken(serve: Serve) -> None:
    go: Moment[None] = Moment()

    async def app(receive: Receive, send: Send) -> None:
        await go
        for _ in range(40):
            assert (await receive())["type"] == "websocket.receive"
        await send({"type": "websocket.send", "text": "done"})

    with serve(on_websocket(app), ws_max_queue=3) as server, WebSocket(server.address) as client:
        client.open()
        client.send(text("a") * 2 + frame(PING, b"first"))
        assert client.frame() == Frame(PONG, b"first")
        client.send(text("b") * 38 + frame(PING, b"second"))
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.frame()
        client.socket.settimeout(10)
        go.happen(None)
        assert sorted([client.frame().payload, client.frame().payload]) == [b"done", b"second"]


def test_application_that_only_receives_lets_others_live(serve: Serve) -> None:
    """However fast its client sends."""
    turns = itertools.count()

    def turn() -> None:
        next(turns)

    async def app(receive: Receive, send: Send) -> None:
        for _ in range(10_000):
            asyncio.get_running_loop().call_soon(turn)
            assert (await receive())["type"] == "websocket.receive"

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        client.send(text("x") * 10_000)
        assert client.closing() == (1000, "")
    assert next(turns) >= 10_000 / 32


def test_application_that_only_sends_lets_others_live(serve: Serve) -> None:
    """However fast its client reads, and whether the messages are large or small."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(send)
            return
        await send({"type": "websocket.accept"})
        message = {"type": "websocket.send", "text": "x" * (10 if scope["path"] == "/small" else 50_000)}
        with contextlib.suppress(ClientDisconnected):
            while True:
                await send(message)

    with serve(app) as server:
        for path in ("/small", "/large"):
            with WebSocket(server.address) as client:
                client.open(path)
                over = time.monotonic() + 0.3
                while time.monotonic() < over:
                    client.socket.recv(1 << 20)
                client.socket.settimeout(5)
                with server.connect() as other:
                    other.send(GET)
                    assert other.response().status == 200


# Clients that do not read


def test_send_waits_for_a_slow_reader(serve: Serve) -> None:
    sent = 0
    whole = 400

    async def app(receive: Receive, send: Send) -> None:
        nonlocal sent
        for number in range(whole):
            await send({"type": "websocket.send", "bytes": number.to_bytes(4, "big") * 25_000})
            sent += 1

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        reached = -1
        while reached != sent:
            reached = sent
            time.sleep(0.2)
        assert reached < whole
        for number in range(whole):
            assert client.frame() == Frame(BINARY, number.to_bytes(4, "big") * 25_000)
        assert client.closing() == (1000, "")
    assert sent == whole


# What is left of it


#: What a connection consists of.
KEPT = ("Connection", "WebSocketConnection", "WebSocketExchange", "FrameReader", "Deflater", "Inflater")


def alive() -> int:
    """How many connections and exchanges of servers are in memory, ended ones as well."""
    names = [f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in gc.get_objects()]
    return sum(name.startswith("asgiserve.") and name.endswith(KEPT) for name in names)


#: What a client sends, whole handshakes apart from the rest, before it leaves.
STAGES: dict[str, tuple[bytes, bytes]] = {
    "half-a-handshake": (b"", upgrade()[:-2]),
    "handshake": (b"", upgrade()),
    "open": (upgrade(), b""),
    "half-a-frame": (upgrade(), text("hello")[:3]),
    "messages": (upgrade(), text("hello") * 100),
    "compressed": (upgrade("/", "Sec-WebSocket-Extensions: permessage-deflate"), text("x" * 1000)),
    "fault": (upgrade(), b"\xff\xff"),
    "close": (upgrade(), close()),
    "close-behind-messages": (upgrade("/return"), text("hello") * 100 + close()),
    "application-raises": (upgrade("/raise"), text("now")),
    "application-returns": (upgrade("/return"), text("now")),
    "denied": (upgrade("/deny"), b""),
    "refused": (upgrade(version="8"), b""),
}


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_websockets_that_come_and_go_leave_nothing(
    serve_twice: Serve, leave: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connections, exchanges or tasks; and they are freed without the garbage collector."""
    monkeypatch.setattr(logging.getLogger("asgiserve"), "propagate", False)  # pytest keeps what is logged

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/deny":
            await send({"type": "websocket.close"})
            return
        with contextlib.suppress(ClientDisconnected):
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] != "websocket.disconnect":
                if scope["path"] == "/return":
                    return
                if message["type"] == "websocket.receive":
                    await send({"type": "websocket.send", "text": message["text"]})
                if scope["path"] == "/raise" and message["type"] == "websocket.receive":
                    raise ClientDisconnected("not the server's")

    with serve_twice(app) as server:
        service = server.server._service
        assert service is not None
        gc.collect()
        gc.disable()
        try:
            before = alive()
            for handshake, data in STAGES.values():
                for _ in range(5):
                    client = WebSocket(server.address)
                    if handshake:
                        client.send(handshake)
                        client.read_until(b"\r\n\r\n")
                    client.send(data)
                    client.socket.settimeout(0.01)  # whatever it answers, if it does
                    with contextlib.suppress(TimeoutError):
                        client.read()
                    getattr(client, leave)()
            assert eventually(lambda: not service.busy)
            assert eventually(lambda: alive() <= before), alive() - before
        finally:
            gc.enable()


def test_clients_that_reset_everything_at_once_leave_nothing(serve: Serve) -> None:
    """Whatever the server is about to do then, nothing is raised in the event loop, or said by asyncio."""
    with serve(echo) as server:
        service = server.server._service
        assert service is not None
        for data in (b"", text("a"), text("a") * 50, text("a" * 200_000), frame(PING) * 50):
            for end in (b"", close(), b"\xff\xff"):
                for _ in range(5):
                    client = server.connect()
                    client.send(upgrade() + data + end)
                    client.reset()
                    client = WebSocket(server.address)
                    client.open()
                    client.send(data + end)
                    client.reset()
        assert eventually(lambda: not service.busy)


@pytest.mark.parametrize(("http", "loop"), COMBINATIONS[::3])
def test_tls_websockets_that_come_and_go_leave_nothing(http: str, loop: str, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    with serve_on(http, loop)(echo, ssl_certfile=issuer.file_for("localhost")) as server:
        service = server.server._service
        assert service is not None
        for leave in ("close", "reset"):
            for data in (b"", text("hello")[:3], binary(b"x" * 1000), close(), b"\xff\xff"):
                client = WebSocket(server.address, issuer.client())
                client.open()
                client.send(data)
                getattr(client, leave)()
        assert eventually(lambda: not service.busy)


# The memory of it


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_message_that_comes_in_tiny_pieces_needs_little_more_than_its_size(opcode: int) -> None:
    """Without a socket, where the kernel would put pieces together as it likes."""
    size = 200_000
    messages: list[str | bytes] = []

    def keep(message: str | bytes) -> bool:
        messages.append(message)
        return True

    reader = FrameReader(keep, lambda *_: True, max_size=size, max_fragments=10_000, inflater=None)
    data = b"".join(fragments(opcode, *[b"0123456789abcdef" * (size // 160)] * 10))
    tracemalloc.start()
    try:
        for place in range(0, len(data) - 2, 2):
            reader.feed(data[place : place + 2])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * size
    assert not messages
    reader.feed(data[-2:])
    whole = "0123456789abcdef" * (size // 16)
    assert messages == [whole if opcode == TEXT else whole.encode()]


#: What the process may grow by at its peak, for each client, as in `test_memory`; and of these so many.
BOUND = 1024 * 1024
ATTACKERS = 20


async def attacked(scope: Scope, receive: Receive, send: Send) -> None:
    """What a subprocess serves: a path for each way to treat a client."""
    if scope["type"] == "http":
        await answer(send)
        return
    if scope["path"] == "/unanswered":
        await asyncio.Event().wait()
    await send({"type": "websocket.accept"})
    match scope["path"]:
        case "/deaf":
            await asyncio.Event().wait()
        case "/endless":
            while True:
                await send({"type": "websocket.send", "bytes": b"x" * 65536})
        case _:
            while (message := await receive())["type"] == "websocket.receive":
                await send({**message, "type": "websocket.send"})


#: What each kind of client sends first, and then without end; none of them reads.
ATTACKS = {
    "early-frames": (upgrade("/unanswered"), text("x" * 100) * 1000),
    "messages-nobody-receives": (upgrade("/deaf"), text("x" * 100) * 1000),
    "empty-messages-nobody-receives": (upgrade("/deaf"), text("") * 10_000),
    "large-messages-nobody-receives": (upgrade("/deaf"), binary(b"x" * 100_000)),
    "pings": (upgrade("/echo"), frame(PING, b"x" * 125) * 1000),
    "empty-pings": (upgrade("/echo"), frame(PING) * 10_000),
    "pongs": (upgrade("/echo"), frame(PONG, b"x" * 125) * 1000),
    "echoes": (upgrade("/echo"), text("x" * 1000) * 100),
    "empty-fragments": (upgrade("/echo") + frame(TEXT, fin=False), frame(CONTINUATION, fin=False) * 10_000),
    "after-a-close": (upgrade("/echo") + close(), text("x" * 1000) * 100),
    "after-a-fault": (upgrade("/echo") + b"\xff\xff", text("x" * 1000) * 100),
    "stream-nobody-reads": (upgrade("/endless"), b""),
}


#: Those that the event loop could make a difference to, too.
ON_BOTH = ("early-frames", "messages-nobody-receives", "empty-pings", "stream-nobody-reads")


@pytest.mark.parametrize(
    ("combination", "kind"),
    [(COMBINATIONS[0], kind) for kind in ATTACKS] + [(COMBINATIONS[3], kind) for kind in ON_BOTH],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_memory_of_a_websocket_is_bounded(combination: tuple[str, str], kind: str) -> None:
    """Clients send as fast as they can until none of them can, or all have sent far above the bound."""
    http, loop = combination
    with Program(f"{__name__}:attacked", "--http", http, "--loop", loop, "--no-access-log") as server:
        assert server.ask().status == 200
        before = server.memory("VmRSS")
        attackers = [server.connect() for _ in range(ATTACKERS)]
        attack(attackers, *ATTACKS[kind])
        for attacker in attackers:
            attacker.reset()
        assert server.ask().status == 200
        assert (server.memory("VmHWM") - before) / ATTACKERS < BOUND
