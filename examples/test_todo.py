"""Tests of todo.py: a fixture with a client, requests, errors, and a stream that is read while it lasts.

pip install 'asgiweb[testing]' pytest pytest-asyncio
pytest examples/test_todo.py -o asyncio_mode=auto
"""

from collections.abc import AsyncIterator

import pytest

from asgiweb.testing import TestClient
from examples.todo import app


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    """A client of the application, whose lifespan begins and ends with the test."""
    async with TestClient(app) as client:
        yield client


async def test_what_is_added_is_listed(client: TestClient) -> None:
    response = await client.post("/items", content="Water the plants")
    assert response.status_code == 201
    assert response.headers["location"] == "/items/1"
    assert (await client.get("/items")).json() == {"1": "Water the plants"}


async def test_each_test_begins_with_an_empty_list(client: TestClient) -> None:
    assert (await client.get("/items")).json() == {}


async def test_what_is_not_there_cannot_be_done(client: TestClient) -> None:
    response = await client.delete("/items/7", headers={"accept": "application/json"})
    assert response.status_code == 404
    assert response.json()["detail"] == "there is no item 7"


async def test_nothing_is_nothing_to_do(client: TestClient) -> None:
    assert (await client.post("/items", content=" ")).status_code == 400


async def test_the_news_come_as_they_happen(client: TestClient) -> None:
    async with client.stream("GET", "/news") as response:
        lines = response.aiter_lines()
        assert await anext(lines) == "listening"
        await client.post("/items", content="Eat")
        assert await anext(lines) == "new: Eat"
        await client.delete("/items/1")
        assert await anext(lines) == "done: Eat"
