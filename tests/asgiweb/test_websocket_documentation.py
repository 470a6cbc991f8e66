"""The reference of websockets and of the test client: its programs run."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from asgiweb.testing import TestClient

REFERENCE = (Path(__file__).parents[2] / "docs/asgiweb.md").read_text()

#: What the reference takes for granted.
BEFORE = """
from dataclasses import dataclass, field

import msgspec
import pytest

from asgiweb import *
from asgiweb.testing import TestClient, WebSocketDenied


@dataclass
class State:
    rooms: list[str] = field(default_factory=lambda: ["main"])


app = Application[State]()
app.state = State()


@app.get("/rooms")
async def rooms(request: Request[State]) -> Response:
    return json_response(request.state.rooms)
"""


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = ModuleType("program")
    monkeypatch.setitem(sys.modules, "program", module)
    blocks = [
        block
        for section in ("WebSocket", "Testing")
        for block in re.findall(
            r"^```python\n(.*?)^```$",
            REFERENCE.split(f"\n## {section}\n")[1].split("\n## ")[0],
            re.MULTILINE | re.DOTALL,
        )
    ]
    assert len(blocks) == 3
    for block in (BEFORE, *blocks):
        exec(compile(block, "docs/asgiweb.md", "exec"), module.__dict__)
    return module


async def test_the_test_of_the_chat_passes(program: Any) -> None:
    await program.test_chat()


async def test_the_game_moves_and_says_what_is_no_move(program: Any) -> None:
    async with TestClient(program.app) as client, client.websocket("/game") as ws:
        await ws.send_json({"x": 1, "y": 2})
        assert await ws.receive_json() == {"x": 2, "y": 3}
        await ws.send_json({"x": 1})
        assert [message async for message in ws] == []
        assert (ws.close_code, ws.close_reason) == (1007, "Object missing required field `y`")
