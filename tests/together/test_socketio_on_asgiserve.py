"""Socket.IO on asgiserve, with python-socketio on both sides: over each transport, and changing it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest
import socketio

from tests.together.servers import HOST, PATIENCE, Server

WEBSOCKETS: Final = {"websocket": ["websocket"], "upgrade": ["polling", "websocket"]}
TRANSPORTS: Final = {**WEBSOCKETS, "polling": ["polling"]}

over_each_transport = pytest.mark.parametrize("transports", TRANSPORTS.values(), ids=TRANSPORTS)

#: A session over requests that python-socketio ends leaves the one that waits unanswered for 22 seconds.
over_websockets = pytest.mark.parametrize("transports", WEBSOCKETS.values(), ids=WEBSOCKETS)

#: What python-socketio says of a client that has left, depending on which of its tasks comes first.
LEFT: Final = {("left", "Bob", "client disconnect"), ("left", "Bob", "transport close")}

pytestmark = pytest.mark.parametrize(
    "pairing", ["asgiserve/socketio_websockets"], indirect=True, ids=["asgiserve"]
)

Connect = Callable[[str], Awaitable["Client"]]


class Client:
    """A client of Socket.IO, and the events that it gets."""

    def __init__(self) -> None:
        self.socket = socketio.AsyncClient(reconnection=False)
        self.socket.on("*", self._on_event)
        self.socket.on("disconnect", self._on_disconnect)
        self.socket.on("connect_error", self._on_connect_error)
        self.socket.on("question", self._on_question)
        self._events: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    async def _on_event(self, event: str, *data: Any) -> None:
        self._events.put_nowait((event, *data))

    async def _on_disconnect(self, reason: str) -> None:
        self._events.put_nowait(("disconnect", reason))

    async def _on_connect_error(self, data: Any) -> None:
        self._events.put_nowait(("connect_error", data))

    async def _on_question(self, question: str) -> str:
        return f"I do not know {question}"

    async def connect(
        self, server: Server, transports: list[str], name: str, token: str = "it is me"
    ) -> None:
        """Connect, and wait until it is through."""
        await self.socket.connect(
            f"http://{HOST}:{server.port}",
            headers={"X-Name": name},
            auth={"token": token},
            transports=transports,
            wait_timeout=PATIENCE,
        )

    async def call(self, event: str, *data: Any) -> Any:
        """Emit an event, and wait for what the server's handler returns."""
        return await self.socket.call(event, data, timeout=PATIENCE)

    async def event(self) -> tuple[Any, ...]:
        """Wait for the next event, whose name comes first."""
        return await asyncio.wait_for(self._events.get(), PATIENCE)


@pytest.fixture
async def connect(server: Server, transports: list[str]) -> AsyncIterator[Connect]:
    """Connect a client with a name, which is disconnected in the end."""
    clients = []

    async def connect(name: str) -> Client:
        client = Client()
        clients.append(client)
        await client.connect(server, transports, name)
        return client

    yield connect
    for client in clients:
        await client.socket.disconnect()


@over_each_transport
async def test_it_answers(connect: Connect, transports: list[str]) -> None:
    ada = await connect("Ada")
    assert ada.socket.transport() == transports[-1]
    for data in ("Žofie €", {"a": [1, None, 0.5]}, b"\x00\xff", {"deep": [b"one", b"two"]}, "x" * 200_000):
        assert await ada.call("echo", data) == data
    assert await ada.call("echo", "several", b"arguments") == ("several", b"arguments")


@over_each_transport
async def test_order(connect: Connect) -> None:
    ada = await connect("Ada")
    await ada.call("enter", "hall")
    for number in range(12):  # python-socketio takes at most 16 in one request
        await ada.socket.emit("say", ("hall", f"{number}"))
    assert [await ada.event() for _ in range(12)] == [("said", "Ada", f"{number}") for number in range(12)]


@over_each_transport
async def test_rooms(connect: Connect) -> None:
    ada, bob, eve = [await connect(name) for name in ("Ada", "Bob", "Eve")]
    for client, room in ((ada, "kitchen"), (bob, "kitchen"), (eve, "cellar")):
        await client.call("enter", room)
    await ada.call("say", "kitchen", "hello")
    assert await ada.event() == await bob.event() == ("said", "Ada", "hello")
    await bob.call("leave", "kitchen")
    await ada.call("say", "kitchen", "are you there?")
    assert await ada.event() == ("said", "Ada", "are you there?")
    await ada.call("announce", "dinner is ready")
    assert await bob.event() == await eve.event() == ("announced", "dinner is ready")


@over_each_transport
async def test_the_server_asks(connect: Connect) -> None:
    ada = await connect("Ada")
    await ada.socket.emit("ask_me", "why")
    assert await ada.event() == ("answered", "I do not know why")


@over_each_transport
async def test_the_client_leaves(connect: Connect) -> None:
    ada, bob = await connect("Ada"), await connect("Bob")
    await bob.socket.disconnect()
    assert await bob.event() == ("disconnect", "client disconnect")
    assert await ada.event() in LEFT


@over_websockets
async def test_the_server_ends_it(connect: Connect) -> None:
    ada, bob = await connect("Ada"), await connect("Bob")
    await bob.socket.emit("enough")
    assert await bob.event() == ("disconnect", "server disconnect")
    assert await ada.event() == ("left", "Bob", "server disconnect")


@over_websockets
async def test_refusal(server: Server, transports: list[str]) -> None:
    client = Client()
    with pytest.raises(socketio.exceptions.ConnectionError, match="failed to connect"):
        await client.connect(server, transports, "Eve", token="stolen")
    assert await client.event() == ("connect_error", {"message": "who are you?"})
    await client.socket.disconnect()


@over_each_transport
async def test_an_error_in_a_handler(connect: Connect) -> None:
    ada = await connect("Ada")
    await ada.socket.emit("fail")
    assert await ada.call("echo", "still here") == "still here"


@over_websockets
async def test_ordinary_ends_are_not_logged(server: Server, connect: Connect) -> None:
    logged = len(server.output)
    ada, bob, eve = [await connect(name) for name in ("Ada", "Bob", "Eve")]
    await bob.socket.disconnect()
    await eve.socket.emit("enough")
    left = {await ada.event(), await ada.event()}
    assert ("left", "Eve", "server disconnect") in left
    assert not left.isdisjoint(LEFT)
    assert await ada.call("echo", "meanwhile the server has logged what it has to")
    told = server.output[logged:]
    assert "Traceback" not in told, told
    assert "ERROR" not in told, told


@over_websockets
async def test_shutdown(server: Server, connect: Connect) -> None:
    ada = await connect("Ada")
    await asyncio.to_thread(server.stop)
    assert (await ada.event())[0] == "disconnect"
    assert server.shutdown_file.read_text() == "shutdown\n"
