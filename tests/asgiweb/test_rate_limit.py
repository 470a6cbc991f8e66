"""The rate limit: how much passes, who counts as one client, what the answer says, and what is kept."""

from __future__ import annotations

import time
from typing import Any, Literal

import pytest

from asgiweb import Application, RegistrationError, Request, Response, WebSocket
from asgiweb.errors import StoreUnavailable
from asgiweb.middleware import (
    MemoryRateLimitStore,
    Quota,
    RateLimit,
    RateLimitStore,
    Taken,
    client_address,
)
from asgiweb.middleware.token_bucket import take
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import Exchange, http_scope


def application(*limits: RateLimit) -> Application[Any]:
    app = Application(middlewares=limits)

    @app.get("/")
    async def index(request: Request) -> Response:
        return Response("hello")

    @app.websocket("/ws")
    async def socket(ws: WebSocket) -> None:
        async with ws:
            await ws.send_text("hello")

    return app


class Clock:
    """The time that buckets see."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class TestBucket:
    def test_a_full_bucket_gives_its_burst_and_then_one_for_each_interval(self) -> None:
        quota = Quota(burst=3, interval=2.0)
        full_at, given = 0.0, []
        for now in (0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 2.0, 3.9, 4.0, 100.0, 100.0, 100.0, 100.0):
            full_at, taken = take(full_at, now, quota)
            given.append(taken.allowed)
        assert given == [True, True, True, False, False, True, False, False, True, True, True, True, False]

    def test_it_tells_what_is_left_and_when_there_is_more(self) -> None:
        quota = Quota(burst=2, interval=10.0)
        full_at, first = take(0.0, 0.0, quota)
        assert first == Taken(True, 1, 10.0, 0.0)
        full_at, second = take(full_at, 4.0, quota)
        assert second == Taken(True, 0, 16.0, 0.0)
        unchanged, refused = take(full_at, 5.0, quota)
        assert unchanged == full_at
        assert (refused.allowed, refused.remaining, refused.reset) == (False, 0, 15.0)
        assert refused.retry_after == pytest.approx(5.0)

    @pytest.mark.parametrize("burst", [1, 3, 7, 10, 1000])
    @pytest.mark.parametrize("per", [1.0, 0.3, 60.0, 3600.0])
    @pytest.mark.parametrize("now", [0.0, 12345.678, 1e6 / 3, 1e7 / 3, 1e7 + 0.1])
    def test_rounding_costs_nobody_a_token(self, burst: int, per: float, now: float) -> None:
        quota = Quota(burst, per / burst)
        full_at = 0.0
        for number in range(burst):
            full_at, taken = take(full_at, now, quota)
            assert (taken.allowed, taken.remaining) == (True, burst - number - 1)
        assert not take(full_at, now, quota)[1].allowed


class TestMemory:
    async def test_full_buckets_are_forgotten(self, clock: Clock) -> None:
        store = MemoryRateLimitStore()
        for number in range(100):
            await store.take(f"{number}", Quota(1, 1.0))
        assert len(store) == 100
        clock.now += 2
        for number in range(60):
            await store.take(f"new {number}", Quota(1, 1.0))
        assert len(store) == 60

    async def test_a_bucket_that_is_full_again_at_once_is_no_limit(self, clock: Clock) -> None:
        clock.now = 1e9
        store = MemoryRateLimitStore()
        assert (await store.take("a", Quota(1, 1e-9))).allowed
        assert len(store) == 0

    async def test_it_is_bounded(self, clock: Clock) -> None:
        store: RateLimitStore = MemoryRateLimitStore(max_keys=10)
        assert isinstance(store, MemoryRateLimitStore)
        for number in range(100):
            await store.take(f"{number}", Quota(1, 1.0))
            assert not (await store.take("busy", Quota(1, 1.0))).allowed or number == 0
        assert len(store) == 10
        with pytest.raises(RegistrationError, match="one key at least"):
            MemoryRateLimitStore(max_keys=0)


class TestAnswers:
    async def test_too_many_are_429_and_told_when_to_come_back(self, clock: Clock) -> None:
        async with TestClient(application(RateLimit(2, per=60))) as client:
            first, second, third = [await client.get("/") for _ in range(3)]
            assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
            assert first.headers["ratelimit-policy"] == '"default";q=2;w=60'
            assert first.headers["ratelimit"] == '"default";r=1;t=30'
            assert second.headers["ratelimit"] == '"default";r=0;t=60'
            assert third.headers["ratelimit"] == '"default";r=0;t=60'
            assert third.headers["retry-after"] == "30"
            clock.now += 29.5
            assert (await client.get("/")).headers["retry-after"] == "1"
            clock.now += 0.5
            assert (await client.get("/")).status_code == 200

    async def test_burst_is_what_may_come_at_once(self, clock: Clock) -> None:
        async with TestClient(application(RateLimit(10, per=1, burst=2, name="b"))) as client:
            statuses = [(await client.get("/")).status_code for _ in range(3)]
            assert statuses == [200, 200, 429]
            assert (await client.get("/")).headers["ratelimit-policy"] == '"b";q=2;w=1'

    async def test_several_limits_make_one_list(self, clock: Clock) -> None:
        app = application(RateLimit(100, per=60, name="minute"), RateLimit(2, per=1, name="second"))
        async with TestClient(app) as client:
            headers = (await client.get("/")).headers
            assert headers.get_list("ratelimit") == ['"second";r=1;t=1', '"minute";r=99;t=1']
            await client.get("/")
            refused = await client.get("/")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")

    async def test_the_fields_can_be_left_out(self, clock: Clock) -> None:
        async with TestClient(application(RateLimit(1, headers=False))) as client:
            assert "ratelimit" not in (await client.get("/")).headers
            refused = await client.get("/")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert "ratelimit" not in refused.headers

    async def test_handshakes_of_websockets_count(self, clock: Clock) -> None:
        async with TestClient(application(RateLimit(1, per=60))) as client:
            async with client.websocket("/ws") as ws:
                assert await ws.receive_text() == "hello"
            with pytest.raises(Exception, match="429"):
                async with client.websocket("/ws"):
                    pass

    @pytest.mark.parametrize("settings", [{"rate": 0}, {"rate": 1, "per": 0}, {"rate": 1, "burst": 0}])
    def test_what_would_let_nobody_through_is_refused(self, settings: dict[str, Any]) -> None:
        with pytest.raises(RegistrationError, match="1 at least"):
            RateLimit(**settings)

    def test_a_name_that_would_break_the_field_is_refused(self) -> None:
        with pytest.raises(RegistrationError, match="without quotes"):
            RateLimit(1, name='a"b')


class TestKeys:
    @pytest.mark.parametrize(
        ("client", "key"),
        [
            (("192.0.2.7", 1), "192.0.2.7"),
            (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
            (("2001:db8:1:2::", 1), "2001:db8:1:2::/64"),
            (("::ffff:192.0.2.7", 1), "192.0.2.7"),
            (("fe80::1%eth0", 1), "fe80::/64"),
            (("not:an:address", 1), "not:an:address"),
            (None, "unknown"),
        ],
    )
    def test_the_address_of_the_client(self, client: tuple[str, int] | None, key: str) -> None:
        assert (
            client_address(Request(Application(), http_scope(client=client), Exchange().receive, None, {}))
            == key
        )

    async def test_each_client_has_a_bucket(self, clock: Clock) -> None:
        app = application(RateLimit(1, per=60))
        for client, status in (("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.1", 429)):
            assert (await Exchange(http_scope(client=(client, 1))).run(app)).status == status

    async def test_a_key_may_be_awaited_and_none_is_not_limited(self, clock: Clock) -> None:
        async def user(request: Request) -> str | None:
            return request.headers.get("x-user")

        async with TestClient(application(RateLimit(1, per=60, key=user))) as client:
            for name, status in (("ada", 200), ("ada", 429), ("eve", 200)):
                assert (await client.get("/", headers={"x-user": name})).status_code == status
            for _ in range(3):
                assert (await client.get("/")).status_code == 200

    async def test_a_key_that_a_client_makes_long_is_kept_short(self, clock: Clock) -> None:
        store = Recording()
        limit = RateLimit(1, per=60, key=lambda request: request.headers["x-user"] + "\ud800", store=store)
        async with TestClient(application(limit)) as client:
            for name, status in (("a" * 9000, 200), ("a" * 9001, 200), ("a" * 9000, 429), ("b", 200)):
                assert (await client.get("/", headers={"x-user": name})).status_code == status
        assert len(store.keys) == 3
        assert "default:b\ud800" in store.keys
        assert max(map(len, store.keys)) < 300


class Recording(MemoryRateLimitStore):
    """Keeps buckets, and tells under which keys."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: set[str] = set()

    async def take(self, key: str, quota: Quota) -> Taken:
        self.keys.add(key)
        return await super().take(key, quota)


class Away:
    """A store that does not answer until it is told to."""

    away = True

    async def take(self, key: str, quota: Quota) -> Taken:
        if self.away:
            raise StoreUnavailable("away")
        return Taken(True, 1, 1.0, 0.0)


@pytest.mark.parametrize(("when", "status"), [("open", 200), ("closed", 503)])
async def test_a_store_that_is_away_lets_everybody_through_or_nobody_and_is_logged_once(
    when: Literal["open", "closed"], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = Away()
    async with TestClient(application(RateLimit(1, store=store, when_unavailable=when))) as client:
        for _ in range(3):
            assert (await client.get("/")).status_code == status
        assert [record.getMessage() for record in caplog.records] == [f"rate limit 'default' is {when}: away"]
        store.away = False
        assert (await client.get("/")).status_code == 200
        assert "counted again" in caplog.text
