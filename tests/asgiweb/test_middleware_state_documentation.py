"""The reference of middlewares that keep state: its program runs and does what the text says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from asgiweb import middleware, signing
from asgiweb.middleware import redis
from asgiweb.testing import TestClient

PAGE = Path(__file__).parents[2] / "docs/asgiweb/middleware-state.md"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program on the page, all its blocks one after the other."""
    module = ModuleType("program")
    monkeypatch.setitem(sys.modules, "program", module)
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(block, PAGE.name, "exec"), module.__dict__)
    return module


async def test_the_program_of_the_page(program: ModuleType) -> None:
    async with TestClient(program.app, base_url="https://example.com") as client:
        own = {"origin": "https://example.com"}
        assert (await client.get("/me")).status_code == 403
        assert (await client.post("/login")).status_code == 403  # neither an origin nor a token
        assert (await client.post("/login", headers=own)).status_code == 303
        me = await client.get("/me")
        assert (me.text, me.headers["ratelimit-policy"]) == ("Hello, ada", '"default";q=100;w=60')
        await client.post("/logout", headers=own)
        assert (await client.get("/me")).status_code == 403
        assert (await client.get(program.link)).text == "ada@example.com gets no letters any more"
        assert (await client.get(f"{program.link}x")).status_code == 403
        page = await client.get("/letter")
        found = re.search('value="(.*?)"', page.text)
        assert found is not None
        form = {"csrf_token": found[1], "text": "Dear Ada"}
        assert (await client.post("/letter", data=form)).text == f"{len(found[1]) + 25} bytes"
        assert (await client.post("/letter", data=form | {"text": "x" * 20_000})).status_code == 413


def test_every_name_of_the_middlewares_is_in_the_reference() -> None:
    pages = "".join(page.read_text() for page in PAGE.parent.glob("*.md"))
    for name in [*middleware.__all__, *signing.__all__, *redis.__all__]:
        assert re.search(rf"`(asgiweb\.[\w.]+\.)?{name}\b", pages), f"the reference does not mention {name}"


def test_importing_them_needs_no_optional_library() -> None:
    code = (
        "import sys, asgiweb.middleware, asgiweb.signing; "
        "print({'itsdangerous', 'redis', 'jinja2', 'multipart', 'brotli'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
