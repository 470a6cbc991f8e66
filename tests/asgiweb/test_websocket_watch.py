"""Older servers, whose ``send()`` says nothing of a client that has left: handlers find out all the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asgiweb import Application, WebSocket, WebSocketDisconnect
from asgiweb.asgi import Message
from asgiweb.websockets.watch import HELD_SIZE
from tests.asgiweb.scripted import ScriptedServer, data, disconnect, text, websocket_scope

OLD = websocket_scope(asgi={"version": "3.0", "spec_version": "2.3"})


async def run(handler: Any, server: ScriptedServer) -> None:
    app: Application[Any] = Application()
    app.router.add_websocket("/", handler)
    before = asyncio.all_tasks()
    async with asyncio.timeout(30):
        await server.run(app)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before, "nothing runs on"


async def send_for_ever(ws: WebSocket) -> int:
    sent = 0
    while True:
        try:
            await ws.send_text("tick")
        except WebSocketDisconnect:
            return sent
        sent += 1


@pytest.mark.parametrize("asgi", [{"version": "3.0", "spec_version": "2.3"}, {"version": "3.0"}, {}])
async def test_a_handler_that_only_sends_ends_when_the_client_leaves(asgi: Any) -> None:
    server = ScriptedServer(scope=websocket_scope(asgi=asgi))

    async def handler(ws: WebSocket) -> None:
        async with ws:
            for _ in range(10):
                await ws.send_text("tick")
            server.give(disconnect(code=4000, reason="why"))
            await send_for_ever(ws)
            with pytest.raises(WebSocketDisconnect) as caught:
                await ws.receive()
            assert (caught.value.code, caught.value.reason) == (4000, "why")

    await run(handler, server)


async def test_what_was_read_ahead_comes_in_its_order() -> None:
    messages = [text("a"), data(b"b"), text("c"), disconnect(code=1000)]
    received = []

    async def handler(ws: WebSocket) -> None:
        async with ws:
            await send_for_ever(ws)
            received.extend([message async for message in ws])

    await run(handler, ScriptedServer(*messages, scope=OLD))
    assert received == ["a", b"b", "c"]


async def test_who_waits_for_a_message_gets_what_comes_later() -> None:
    server = ScriptedServer(scope=OLD)
    received = []

    async def handler(ws: WebSocket) -> None:
        async with ws:
            for _ in range(3):
                await ws.send_text("tick")
            asyncio.get_running_loop().call_soon(server.give, text("late"))
            asyncio.get_running_loop().call_soon(server.give, disconnect(code=1000))
            received.extend([message async for message in ws])

    await run(handler, server)
    assert received == ["late"]


async def test_nothing_is_read_ahead_of_who_receives_in_turn() -> None:
    server = ScriptedServer(*[text(f"{number}") for number in range(5)], scope=OLD)
    waiting = []

    async def handler(ws: WebSocket) -> None:
        async with ws:
            for number in range(5):
                assert await ws.receive() == f"{number}"
                await ws.send_text("echo")
                waiting.append(server.receiving)

    await run(handler, server)
    assert waiting == [0] * 5


async def test_nothing_is_read_ahead_of_another_task_that_receives() -> None:
    server = ScriptedServer(scope=OLD)

    async def handler(ws: WebSocket) -> None:
        async def reading() -> None:
            assert [message async for message in ws] == ["a"]

        async with ws, asyncio.TaskGroup() as tasks:
            tasks.create_task(reading())
            await asyncio.sleep(0)
            for _ in range(10):
                await ws.send_text("tick")
                assert server.receiving == 1
            server.give(text("a"))
            server.give(disconnect(code=1000))

    await run(handler, server)


@pytest.mark.parametrize("message", [data(b"x" * 10_000), data(b"")])
async def test_a_client_that_sends_what_nobody_reads_is_held_up(message: Message) -> None:
    server = ScriptedServer(scope=OLD)
    count = HELD_SIZE  # of empty messages, too, not so many are kept

    async def handler(ws: WebSocket) -> None:
        async with ws:
            for _ in range(count):
                server.give(message)
            for _ in range(1000):
                await ws.send_text("tick")
            assert server.left() > count - 300
            # Who reads after all gets everything.
            server.give(disconnect(code=1000))
            assert len([message async for message in ws]) == count

    await run(handler, server)


async def test_a_server_that_fails_says_so_to_who_receives(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(ScriptedServer):
        async def receive(self) -> Message:
            if self.sent:
                raise RuntimeError("of the server")
            return await super().receive()

    server = Failing(scope=OLD)

    async def handler(ws: WebSocket) -> None:
        async with ws:
            for _ in range(5):
                await ws.send_text("tick")
            await ws.receive()

    await run(handler, server)
    assert "RuntimeError: of the server" in caplog.text
    assert server.sent[-1]["code"] == 1011


async def test_a_handler_that_ends_first_leaves_nothing_behind() -> None:
    async def handler(ws: WebSocket) -> None:
        async with ws:
            for _ in range(5):
                await ws.send_text("tick")

    server = ScriptedServer(scope=OLD)
    await run(handler, server)
    assert server.types == ["accept", *["send"] * 5, "close"]


async def test_newer_servers_are_not_watched() -> None:
    server = ScriptedServer()

    async def handler(ws: WebSocket) -> None:
        async with ws:
            for _ in range(10):
                await ws.send_text("tick")
                assert server.receiving == 0

    await run(handler, server)
