"""The reference of middlewares: its program runs and does what the text says."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from asgiweb.testing import TestClient

PAGE = Path(__file__).parents[2] / "docs/asgiweb/middleware.md"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program on the page, all its blocks one after the other."""
    pytest.importorskip("prometheus_client")
    module = ModuleType("program")
    monkeypatch.setitem(sys.modules, "program", module)
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), module.__dict__)
    return module


async def test_the_program_of_the_page(program: ModuleType) -> None:
    async with TestClient(program.app, base_url="https://example.com") as client:
        page = await client.get("/")
        found = re.search('nonce="(.*?)"', page.text)
        assert found is not None
        assert f"script-src 'nonce-{found[1]}' 'strict-dynamic';" in page.headers["content-security-policy"]
        name = await client.get("/name", headers={"origin": "https://app.example.com"})
        assert name.json() == {"request": name.headers["x-request-id"]}
        assert name.headers["access-control-allow-origin"] == "https://app.example.com"
        assert "content-encoding" not in (await client.get("/search")).headers
        assert (await client.get("http://www.example.com/a?b")).headers[
            "location"
        ] == "https://www.example.com/a?b"
        assert (await client.get("https://example.org/")).status_code == 421
