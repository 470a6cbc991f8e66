"""The reference of middlewares: the programs of its pages run and do what the text says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from asgiweb import Application, middleware, signing
from asgiweb.middleware import redis
from asgiweb.testing import TestClient

PAGES = Path(__file__).parents[2] / "docs/asgiweb"
HERE = "https://example.com"
OWN = {"origin": HERE}


def program(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program on a page, all its blocks one after the other."""
    module = ModuleType("program")
    monkeypatch.setitem(sys.modules, "program", module)
    page = PAGES / f"{name}.md"
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(block, page.name, "exec"), module.__dict__)
    return module


async def test_all_twelve_are_in_the_overview_and_work_together(monkeypatch: pytest.MonkeyPatch) -> None:
    overview = program("middleware", monkeypatch)
    app: Application[None] = overview.app
    names = [type(each).__name__ for each in app.middlewares[:12]]
    assert names == re.findall(r"^\| \[`(\w+)`\]", (PAGES / "middleware.md").read_text(), re.MULTILINE)
    async with TestClient(app, base_url=HERE) as client:
        missing = await client.get("/")
        assert missing.status_code == 404
        assert {"x-request-id", "ratelimit", "x-frame-options", "server-timing"} <= missing.headers.keys()
        overview.app.middlewares[-1].on = True
        assert (await client.get("/")).headers["retry-after"] == "60"


async def test_hosts_browsers_and_forged_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TestClient(program("security", monkeypatch).app, base_url=HERE) as client:
        page = await client.get("/")
        found = re.search('nonce="(.*?)"', page.text)
        assert found is not None
        assert f"script-src 'nonce-{found[1]}' 'strict-dynamic';" in page.headers["content-security-policy"]
        letter = await client.get("/letter", headers={"origin": "https://app.example.com"})
        assert letter.headers["access-control-allow-origin"] == "https://app.example.com"
        found = re.search('value="(.*?)"', letter.text)
        assert found is not None
        form = {"csrf_token": found[1], "text": "Dear Ada"}
        assert (await client.post("/letter", data={"text": "Dear Ada"})).status_code == 403
        assert (await client.post("/letter", data=form)).text == "Dear Ada"
        redirection = await client.get("http://www.example.com/a?b")
        assert redirection.headers["location"] == "https://www.example.com/a?b"
        assert (await client.get("https://example.org/")).status_code == 421


async def test_sessions_and_signed_values(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = program("sessions", monkeypatch)
    async with TestClient(sessions.app, base_url=HERE) as client:
        assert (await client.get("/me")).status_code == 403
        assert (await client.post("/login")).status_code == 403  # neither an origin nor a token
        assert (await client.post("/login", headers=OWN)).status_code == 303
        assert (await client.get("/me")).text == "Hello, ada"
        await client.post("/logout", headers=OWN)
        assert (await client.get("/me")).status_code == 403
        assert (await client.get(sessions.link)).text == "ada@example.com gets no letters any more"
        assert (await client.get(f"{sessions.link}x")).status_code == 403


async def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TestClient(program("limits", monkeypatch).app) as client:
        letter = await client.post("/letter", content="Dear Ada")
        assert (letter.text, letter.headers["ratelimit-policy"]) == ("8 bytes", '"default";q=100;w=60')
        assert (await client.post("/letter", content="x" * 20_001)).status_code == 413


async def test_names_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TestClient(program("observing", monkeypatch).app) as client:
        name = await client.get("/name")
        assert name.json() == {"request": name.headers["x-request-id"]}


async def test_what_is_not_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TestClient(program("compression", monkeypatch).app) as client:
        search = await client.get("/search", params={"word": "long" * 200})
        assert (search.status_code, len(search.text) > 500) == (200, True)
        assert "content-encoding" not in search.headers


def test_every_name_of_the_middlewares_is_in_the_reference() -> None:
    pages = "".join(page.read_text() for page in PAGES.glob("*.md"))
    for name in [*middleware.__all__, *signing.__all__, *redis.__all__]:
        assert re.search(rf"`(asgiweb\.[\w.]+\.)?{name}\b", pages), f"the reference does not mention {name}"


def test_importing_them_needs_no_optional_library() -> None:
    code = (
        "import sys, asgiweb.middleware, asgiweb.signing; "
        "print({'itsdangerous', 'redis', 'jinja2', 'multipart', 'brotli'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
