"""The page of the reference about routing: its programs run, as one."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.asgiweb.exchange import client_of

PAGE = Path(__file__).parents[2] / "docs/asgiweb/routing.md"


@pytest.fixture
def app() -> Any:
    module = ModuleType("program")
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), module.__dict__)
    return module.__dict__["app"]


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("http://test/users/7", '{"id":7,"url":"/users/7"}'),
        ("http://test/paints/red/ff/2026-01-31/ABC", "RED 255 31 January ABC"),
        ("http://api.example.com/", "the API"),
        ("https://acme.example.com:8000/", "acme: https://other.example.com:8000/"),
        ("http://test/blog/me/posts/1", "first, by me: /blog/me/posts/1"),
        ("http://test/archive/blog/me/posts/2", "no such post"),
        ("http://test/legacy/a", "/legacy /legacy/a"),
    ],
)
async def test_the_programs_answer_what_the_page_says(app: Any, url: str, answer: str) -> None:
    async with client_of(app) as client:
        assert (await client.get(url, headers={"authorization": "yes"})).text == answer


async def test_members_only(app: Any) -> None:
    async with client_of(app) as client:
        responses: list[httpx.Response] = [
            await client.get(path) for path in ("/blog/me/posts/1", "/legacy", "/users/7")
        ]
    assert [response.status_code for response in responses] == [403, 403, 200]


def test_urls_of_what_is_mounted(app: Any) -> None:
    assert str(app.url_for("legacy", path="a/b")) == "/legacy/a/b"
