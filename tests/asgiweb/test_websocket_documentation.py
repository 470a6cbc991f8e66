"""The reference of websockets: its programs run."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from asgiweb.testing import TestClient, WebSocketDenied

PAGE = Path(__file__).parents[2] / "docs/asgiweb/websockets.md"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = ModuleType("program")
    monkeypatch.setitem(sys.modules, "program", module)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), module.__dict__)
    return module


async def test_the_chat_repeats_what_is_said_and_refuses_unknown_rooms(program: Any) -> None:
    async with TestClient(program.app) as client:
        async with client.websocket("/chat/main") as ws:
            await ws.send_text("hello")
            assert await ws.receive_text() == "main: hello"
        with pytest.raises(WebSocketDenied) as refusal:
            async with client.websocket("/chat/nowhere"):
                pass
        assert refusal.value.response.status_code == 404


async def test_the_game_moves_and_says_what_is_no_move(program: Any) -> None:
    async with TestClient(program.app) as client, client.websocket("/game") as ws:
        await ws.send_json({"x": 1, "y": 2})
        assert await ws.receive_json() == {"x": 2, "y": 3}
        await ws.send_json({"x": 1})
        assert [message async for message in ws] == []
        assert (ws.close_code, ws.close_reason) == (1007, "Object missing required field `y`")
