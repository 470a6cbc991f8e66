"""What a client can make a WebSocket do at once: others have their turn, and nothing is in vain."""

from __future__ import annotations

import asyncio
import time
import zlib

from tests.asgiserve.applications import Receive, Send
from tests.asgiserve.serving import Serve
from tests.asgiserve.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    RSV1,
    TEXT,
    Frame,
    WebSocket,
    close,
    echo,
    fragments,
    frame,
    on_websocket,
    text,
)

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


def test_flood_of_control_frames_or_fragments_lets_others_have_their_turn(serve: Serve) -> None:
    """Of 10,000 frames, which came at once, each turn of the event loop reads some hundred."""
    turns: list[int] = []

    async def app(receive: Receive, send: Send) -> None:
        await receive()
        time.sleep(0.3)  # what comes meanwhile is read at once
        done = asyncio.ensure_future(receive())
        turn = 0
        while not done.done():
            await asyncio.sleep(0)
            turn += 1
        turns.append(turn)
        await send({"type": "websocket.send", "text": "all read"})

    with serve(on_websocket(app)) as server:
        for flood in (frame(PONG) * 10_000, b"".join(fragments(TEXT, *[b"x"] * 10_000))):
            with WebSocket(server.address) as client:
                client.open()
                client.send(text("now"))
                client.send(flood + text("behind"))
                assert client.frame() == Frame(TEXT, b"all read")
    assert len(turns) == 2
    assert min(turns) >= 20


def test_everything_of_a_flood_is_read(serve: Serve) -> None:
    with serve(echo) as server, WebSocket(server.address) as client:
        client.open()
        for count in (255, 256, 257, 1000):
            client.send(frame(PING, b"?") * count + text("behind"))
            for _ in range(count):
                assert client.frame() == Frame(PONG, b"?")
            assert client.frame() == Frame(TEXT, b"behind")
            client.send(b"".join(fragments(BINARY, *[b"x"] * count)))
            assert client.message() == b"x" * count
        client.send(frame(PONG) * 1000)
        client.say_goodbye()


def test_messages_that_nobody_takes_are_not_decompressed(serve: Serve) -> None:
    """What comes behind the server's Close frame is no concern of anybody, but for the client's."""
    stream = zlib.compressobj(wbits=-15)
    bomb = stream.compress(bytes(20_000_000)) + stream.flush(zlib.Z_SYNC_FLUSH)

    async def app(receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 4000})

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open("/", DEFLATE)
        assert client.closing() == (4000, "")
        client.send(frame(BINARY, bomb, rsv=RSV1))  # larger than a message may be
        client.send(frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x82"))
        client.send(close(4000))
        assert client.closed()
        assert not [line for line in server.records.lines if "too large" in line or "UTF-8" in line]


def test_message_that_ends_its_compression_all_the_time_is_refused(serve: Serve) -> None:
    """A client may, at any place (RFC 7692, Section 7.2.3.4); but each time costs much for two bytes."""
    with serve(echo) as server, WebSocket(server.address) as client:
        client.open("/", DEFLATE)
        client.send(frame(TEXT, b"\x03\x00" * 10 + b"\x00", rsv=RSV1))
        assert client.message() == ""
        client.send(frame(TEXT, b"\x03\x00" * 30_000, rsv=RSV1))
        assert client.failed() == 1007


def test_receiver_beside_one_that_is_cancelled_gets_the_next_message(serve: Serve) -> None:
    async def app(receive: Receive, send: Send) -> None:
        first = asyncio.ensure_future(receive())
        second = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        await send({"type": "websocket.send", "text": "one is left"})
        await send({"type": "websocket.send", "text": (await second)["text"]})

    with serve(on_websocket(app)) as server, WebSocket(server.address) as client:
        client.open()
        assert client.message() == "one is left"
        client.send(text("for the other"))
        assert client.message() == "for the other"
        assert client.frame().opcode == CLOSE
