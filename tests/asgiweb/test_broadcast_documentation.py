"""The reference of broadcasts: its chat runs, and it mentions everything that is public."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from asgiweb import Broadcast, Subscription, WebSocketDisconnect
from asgiweb.broadcast.redis import Codec, RedisBroadcast
from asgiweb.testing import TestClient
from tests.redis_server import needs_redis, redis_server

REFERENCE = (Path(__file__).parents[2] / "docs/asgiweb/broadcast.md").read_text()


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, all blocks of the page one after the other."""
    module = ModuleType("chat")
    monkeypatch.setitem(sys.modules, "chat", module)
    for block in re.findall(r"^```python\n(.*?)^```$", REFERENCE, re.MULTILINE | re.DOTALL):
        exec(compile(block, "broadcast.md", "exec"), module.__dict__)
    return module


async def test_the_chat_carries_messages_between_its_clients(chat: ModuleType) -> None:
    async with (
        TestClient(chat.app) as client,
        client.websocket("/rooms/a") as one,
        client.websocket("/rooms/a") as other,
        client.websocket("/rooms/b") as elsewhere,
    ):
        await one.send_text("hello")
        await elsewhere.send_text("is anybody here?")
        assert [await one.receive_text(), await other.receive_text()] == ["hello", "hello"]
        assert await elsewhere.receive_text() == "is anybody here?"
        await other.close()
        await one.send_text("bye")
        assert await one.receive_text() == "bye"


async def test_the_chat_closes_websockets_when_it_stops(chat: ModuleType) -> None:
    async with TestClient(chat.app) as client, client.websocket("/rooms/a") as ws:
        await ws.send_text("hello")
        assert await ws.receive_text() == "hello"
        await chat.app.state.__aexit__(None, None, None)
        with pytest.raises(WebSocketDisconnect) as end:
            await ws.receive()
        assert end.value.code == 1012


async def test_the_chat_closes_a_websocket_that_has_missed_messages(chat: ModuleType) -> None:
    async with TestClient(chat.app) as client, client.websocket("/rooms/a") as ws:
        await ws.send_text("hello")
        assert await ws.receive_text() == "hello"
        for subscription in chat.app.state._subscriptions():  # as a connection to Redis that is lost does
            subscription.lose("a test")
        with pytest.raises(WebSocketDisconnect) as end:
            await ws.receive()
        assert end.value.code == 1013


@needs_redis
async def test_one_line_decides_for_redis(chat: ModuleType) -> None:
    with redis_server() as server:
        for url, kind in ((None, Broadcast), (server.url, RedisBroadcast)):
            broadcast = chat.make_broadcast(url)
            assert type(broadcast) is kind
            async with broadcast, broadcast.subscribe("a") as messages:
                await broadcast.publish("a", "0")
                assert await anext(messages) == "0"


@pytest.mark.parametrize("kind", [Broadcast, Subscription, RedisBroadcast, Codec])
def test_every_public_attribute_is_documented_and_on_the_page(kind: type) -> None:
    inner = {"put", "interrupt", "lose", "end", "of"}  # between the modules of the package
    documented: dict[str, Any] = {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}
    assert documented.keys() >= inner & documented.keys()
    for name, attribute in documented.items():
        if name not in inner:
            assert re.search(rf"\b{name}\b", REFERENCE), (
                f"broadcast.md does not mention {kind.__name__}.{name}"
            )
        if callable(attribute):
            assert attribute.__doc__, f"{kind.__name__}.{name}"


def test_who_does_not_use_redis_does_not_need_its_library() -> None:
    code = "import sys, asgiweb; print('redis' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
