"""Sessions and rate limits in a real Redis: shared, atomic, and nobody hangs when it is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from asgiweb import Application, Request, Response, json_response
from asgiweb.errors import StoreUnavailable
from asgiweb.middleware import (
    MemoryRateLimitStore,
    Quota,
    RateLimit,
    RateLimitStore,
    Sessions,
    SessionStore,
    session_of,
)
from asgiweb.middleware.redis import RedisRateLimitStore, RedisSessionStore
from asgiweb.testing import TestClient
from tests.redis_server import RedisServer, needs_redis, redis_server

pytestmark = needs_redis

#: Seconds for what Redis does at once, on a busy machine.
PATIENCE = 30.0


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    """A server that runs and has no keys."""
    if not shared_server.running:
        shared_server.start()
    shared_server.command("FLUSHALL")
    return shared_server


class TestSessionStore:
    async def test_what_is_saved_is_there_for_others_until_its_time_is_over(
        self, server: RedisServer
    ) -> None:
        async with (
            RedisSessionStore.from_url(server.url, timeout=PATIENCE) as one,
            RedisSessionStore.from_url(server.unix_url, timeout=PATIENCE) as other,
        ):
            stores: list[SessionStore] = [one, other]
            await stores[0].save("key", b'{"a":1}', ttl=600, existing=False)
            assert await stores[1].load("key") == b'{"a":1}'
            assert 590 < int(server.command("TTL", "session:key")) <= 600
            await one.save("key", b"{}", ttl=0.0001, existing=True)
            async with asyncio.timeout(PATIENCE):
                while await other.load("key") is not None:
                    await asyncio.sleep(0.001)

    async def test_what_was_deleted_meanwhile_does_not_come_back(self, server: RedisServer) -> None:
        async with RedisSessionStore.from_url(server.url, timeout=PATIENCE) as store:
            await store.save("key", b"{}", ttl=600, existing=False)
            await store.delete("key")
            await store.save("key", b"{}", ttl=600, existing=True)
            assert await store.load("key") is None
            assert server.command("KEYS", "*") == ""

    async def test_a_client_of_ones_own_may_decode(self, server: RedisServer) -> None:
        client = Redis.from_url(server.url, decode_responses=True)
        async with RedisSessionStore(client, prefix="mine:", timeout=PATIENCE) as store:
            await store.save("key", '{"a":"é"}'.encode(), ttl=600, existing=False)
            assert await store.load("key") == '{"a":"é"}'.encode()
            assert server.command("KEYS", "*") == "mine:key"

    async def test_a_session_goes_through_a_restart_of_redis(self, server: RedisServer) -> None:
        """What was kept is gone, as this Redis keeps nothing; sessions work again."""
        async with RedisSessionStore.from_url(server.url, pause=0.01, timeout=PATIENCE) as store:
            app: Application[Any] = Application(middlewares=[Sessions(store)])

            @app.get("/")
            async def index(request: Request) -> Response:
                session = await session_of(request)
                session["visits"] = session.get("visits", 0) + 1
                return json_response(session["visits"])

            async with TestClient(app, raise_exceptions=False) as client:
                assert [(await client.get("/")).text for _ in range(2)] == ["1", "2"]
                server.kill()
                assert (await client.get("/")).status_code == 503
                server.start()
                async with asyncio.timeout(PATIENCE):
                    while (response := await client.get("/")).status_code == 503:
                        await asyncio.sleep(0.01)
                assert response.text == "1"


class TestRateLimitStore:
    async def test_all_processes_take_from_one_bucket(self, server: RedisServer) -> None:
        quota = Quota(burst=10, interval=600.0)
        async with (
            RedisRateLimitStore.from_url(server.url, timeout=PATIENCE) as one,
            RedisRateLimitStore.from_url(server.url, timeout=PATIENCE) as other,
        ):
            stores: list[RateLimitStore] = [one, other]
            taken = await asyncio.gather(*(stores[number % 2].take("key", quota) for number in range(30)))
        allowed = [answer for answer in taken if answer.allowed]
        assert sorted(answer.remaining for answer in allowed) == list(range(10))
        refused = next(answer for answer in taken if not answer.allowed)
        assert 590 < refused.retry_after <= 600
        assert 5990 < refused.reset <= 6000
        assert 5990 < int(server.command("TTL", "ratelimit:key")) <= 6000

    async def test_it_counts_as_the_one_in_memory_does(self, server: RedisServer) -> None:
        quota = Quota(burst=3, interval=1000 / 3)
        memory = MemoryRateLimitStore()
        async with RedisRateLimitStore.from_url(server.url, timeout=PATIENCE) as store:
            for _ in range(5):
                here, there = await memory.take("key", quota), await store.take("key", quota)
                assert (here.allowed, here.remaining) == (there.allowed, there.remaining)
                assert here.reset == pytest.approx(there.reset, abs=PATIENCE)
                assert here.retry_after == pytest.approx(there.retry_after, abs=PATIENCE)

    async def test_tokens_come_back_and_full_buckets_go(self, server: RedisServer) -> None:
        quota = Quota(burst=1, interval=0.05)
        async with RedisRateLimitStore.from_url(server.url, timeout=PATIENCE) as store:
            assert (await store.take("key", quota)).allowed
            async with asyncio.timeout(PATIENCE):
                while not (await store.take("key", quota)).allowed:
                    await asyncio.sleep(0.01)
                while await asyncio.to_thread(server.command, "KEYS", "*"):
                    await asyncio.sleep(0.01)

    async def test_a_script_that_redis_has_forgotten_is_given_again(self, server: RedisServer) -> None:
        async with RedisRateLimitStore.from_url(server.url, timeout=PATIENCE) as store:
            await store.take("key", Quota(2, 600.0))
            server.command("SCRIPT", "FLUSH")
            assert (await store.take("key", Quota(2, 600.0))).remaining == 0


class TestRedisAway:
    async def test_a_limit_is_open_meanwhile_and_counts_again_later(
        self, server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with RedisRateLimitStore.from_url(server.url, pause=0.01, timeout=PATIENCE) as store:
            app: Application[Any] = Application(middlewares=[RateLimit(1, per=600, store=store)])

            @app.get("/")
            async def index(request: Request) -> Response:
                return Response()

            async with TestClient(app) as client:
                assert [(await client.get("/")).status_code for _ in range(2)] == [200, 429]
                server.kill()
                for _ in range(5):
                    assert (await client.get("/")).status_code == 200
                    await asyncio.sleep(0.02)
                server.start()
                async with asyncio.timeout(PATIENCE):
                    while (await client.get("/")).status_code == 200:
                        await asyncio.sleep(0.01)
        messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(messages) == 4, messages
        assert messages[0].startswith("RedisRateLimitStore: Redis does not answer: ")
        assert messages[1].startswith("rate limit 'default' is open: Redis does not answer: ")
        assert messages[2:] == [
            "RedisRateLimitStore: Redis answers again",
            "rate limit 'default': requests are counted again",
        ]

    async def test_one_that_hangs_keeps_nobody_longer_than_the_timeout(self, server: RedisServer) -> None:
        quota = Quota(2, 600.0)
        async with RedisRateLimitStore.from_url(server.url, timeout=0.05, pause=PATIENCE) as store:
            await until_it_answers(store, quota)
            with server.paused():
                with pytest.raises(StoreUnavailable, match="does not answer: TimeoutError"):
                    await store.take("key", quota)
                # Within the pause nobody waits at all.
                for _ in range(100):
                    with pytest.raises(StoreUnavailable, match="a moment ago"):
                        await store.take("key", quota)
            store.pause = 0
            await until_it_answers(store, quota)

    async def test_after_the_pause_one_asks_and_the_others_do_not_wait(self, server: RedisServer) -> None:
        quota = Quota(2, 600.0)
        async with RedisRateLimitStore.from_url(server.url, timeout=0.2, pause=0.5) as store:
            await until_it_answers(store, quota)
            with server.paused():
                with pytest.raises(StoreUnavailable):
                    await store.take("key", quota)
                await asyncio.sleep(0.55)
                answers = await asyncio.gather(
                    *(store.take("key", quota) for _ in range(5)), return_exceptions=True
                )
        texts = sorted(str(answer) for answer in answers)
        assert [text.partition(":")[0] for text in texts] == [
            *["Redis did not answer a moment ago"] * 4,
            "Redis does not answer",
        ]


async def until_it_answers(store: RedisRateLimitStore, quota: Quota) -> None:
    """Ask until there is an answer: the timeouts of these tests are short, and machines busy."""
    pause, store.pause = store.pause, 0
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await store.take("other", quota)
                break
            except StoreUnavailable:
                await asyncio.sleep(0.01)
    store.pause = pause
