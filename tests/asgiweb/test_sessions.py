"""Sessions: nothing before somebody asks, nothing sent that has not changed, nothing that can be forged."""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asgiweb import (
    Application,
    Handler,
    HeaderError,
    HTTPForbidden,
    RegistrationError,
    Request,
    Response,
    WebSocket,
    json_response,
)
from asgiweb.errors import SessionError, StoreUnavailable
from asgiweb.middleware import MemorySessionStore, Sessions, SessionStore, session_of
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import Exchange, http_scope

SECRET = "a secret of more than 32 characters for tests"
LATER = "a later secret of more than 32 characters"


def application(sessions: Sessions) -> Application[Any]:
    """Routes that read and change the session as the query says."""
    app = Application(middlewares=[sessions])

    @app.get("/untouched")
    async def untouched(request: Request) -> Response:
        return Response("untouched")

    @app.get("/read")
    async def read(request: Request) -> Response:
        session = await session_of(request)
        return json_response({"data": dict(session), "new": session.new})

    @app.get("/write")
    async def write(request: Request) -> Response:
        session = await session_of(request)
        session.update(request.query)
        return json_response(dict(session))

    @app.get("/append")
    async def append(request: Request) -> Response:
        session = await session_of(request)
        session.setdefault("list", []).append(len(session["list"]) if "list" in session else 0)
        return Response()

    @app.get("/renew")
    async def renew(request: Request) -> Response:
        (await session_of(request)).renew()
        return Response()

    @app.get("/clear")
    async def clear(request: Request) -> Response:
        (await session_of(request)).clear()
        return Response()

    @app.get("/fail")
    async def fail(request: Request) -> Response:
        (await session_of(request))["failed"] = True
        raise HTTPForbidden

    return app


def keepers() -> list[Any]:
    return [pytest.param(lambda: SECRET, id="cookie"), pytest.param(MemorySessionStore, id="store")]


@pytest.fixture(params=keepers())
async def client(request: pytest.FixtureRequest) -> AsyncIterator[TestClient]:
    async with TestClient(application(Sessions(request.param()))) as client:
        yield client


async def data(client: TestClient) -> Any:
    return (await client.get("/read")).json()["data"]


class TestWhatIsKept:
    async def test_a_session_lives_from_request_to_request(self, client: TestClient) -> None:
        assert (await client.get("/read")).json() == {"data": {}, "new": True}
        await client.get("/write", params={"user": "Ada"})
        assert (await client.get("/read")).json() == {"data": {"user": "Ada"}, "new": False}

    async def test_a_change_inside_of_a_list_counts(self, client: TestClient) -> None:
        for _ in range(3):
            await client.get("/append")
        assert await data(client) == {"list": [0, 1, 2]}

    async def test_it_is_kept_also_when_the_answer_is_an_error(self, client: TestClient) -> None:
        assert (await client.get("/fail")).status_code == 403
        assert await data(client) == {"failed": True}

    async def test_clear_makes_the_browser_forget_it(self, client: TestClient) -> None:
        await client.get("/write", params={"user": "Ada"})
        response = await client.get("/clear")
        assert "session=; Max-Age=0; Path=/" in response.headers["set-cookie"]
        assert not client.cookies
        assert await data(client) == {}

    async def test_a_new_session_that_stays_empty_is_not_kept(self, client: TestClient) -> None:
        assert "set-cookie" not in (await client.get("/clear")).headers

    @pytest.mark.parametrize("value", ["", "x", "x" * 43, "a.b.c", "é", "x" * 5000])
    async def test_a_cookie_that_was_made_up_is_no_session(self, client: TestClient, value: str) -> None:
        headers = {"cookie": f"session={value}".encode("latin-1")}
        response = await client.get("/write?a=1", headers=headers)  # type: ignore[arg-type]  # httpx takes bytes
        assert response.json() == {"a": "1"}
        assert f"={value};" not in response.headers["set-cookie"]


class TestLaziness:
    async def test_who_does_not_ask_gets_nothing(self, client: TestClient) -> None:
        await client.get("/write", params={"user": "Ada"})
        headers = (await client.get("/untouched")).headers
        assert not {"set-cookie", "vary", "cache-control"} & set(headers)

    async def test_reading_sends_no_cookie_but_caches_are_told(self, client: TestClient) -> None:
        await client.get("/write", params={"user": "Ada"})
        headers = (await client.get("/read")).headers
        assert "set-cookie" not in headers
        assert (headers["vary"], headers["cache-control"]) == ("cookie", "private, no-cache")

    async def test_a_response_that_sets_the_cookie_is_stored_nowhere(self, client: TestClient) -> None:
        headers = (await client.get("/write", params={"user": "Ada"})).headers
        assert (headers["vary"], headers["cache-control"]) == ("cookie", "no-store")

    async def test_the_store_is_not_asked_before_the_handler_asks(self) -> None:
        store = Counting()
        async with TestClient(application(Sessions(store))) as client:
            await client.get("/write?a=1")
            await client.get("/untouched")
            assert store.calls == ["save"]
            await client.get("/read")
            assert store.calls == ["save", "load"]

    async def test_what_the_handler_says_to_caches_stays(self) -> None:
        app = Application(middlewares=[Sessions(SECRET)])

        @app.get("/")
        async def index(request: Request) -> Response:
            await session_of(request)
            return Response(headers={"cache-control": "private, max-age=5", "vary": "Accept, cookie"})

        headers = (await Exchange().run(app)).headers
        assert (headers["cache-control"], headers["vary"]) == ("private, max-age=5", "Accept, cookie")

    async def test_rolling_sends_the_cookie_again_when_it_is_read(self) -> None:
        async with TestClient(application(Sessions(SECRET, rolling=True))) as client:
            assert "set-cookie" not in (await client.get("/read")).headers
            await client.get("/write?a=1")
            assert "set-cookie" in (await client.get("/read")).headers
            assert "set-cookie" not in (await client.get("/untouched")).headers

    async def test_one_session_inside_of_another_is_another(self) -> None:
        async def counting(request: Request, handler: Handler) -> Response:
            session = await session_of(request)
            session["outer"] = session.get("outer", 0) + 1
            response = await handler(request)
            session["after"] = session is await session_of(request)
            return response

        app = Application(middlewares=[Sessions(SECRET), counting])

        @app.get("/", middlewares=[Sessions(SECRET, cookie="inner")])
        async def index(request: Request) -> Response:
            session = await session_of(request)
            session["inner"] = session.get("inner", 0) + 1
            return json_response(dict(session))

        @app.get("/outer")
        async def outer(request: Request) -> Response:
            return json_response(dict(await session_of(request)))

        async with TestClient(app) as client:
            await client.get("/")
            assert (await client.get("/")).json() == {"inner": 2}
            assert (await client.get("/outer")).json() == {"outer": 3, "after": True}


class TestTheCookie:
    async def test_its_defaults_are_safe(self, client: TestClient) -> None:
        header = (await client.get("/write?a=1")).headers["set-cookie"]
        assert header.partition("; ")[2] == "Max-Age=1209600; Path=/; SameSite=Lax; HttpOnly"
        async with TestClient(client.app, base_url="https://test") as secure:
            assert "; Secure; " in (await secure.get("/write?a=1")).headers["set-cookie"]

    async def test_host_prefix(self) -> None:
        app = application(Sessions(SECRET, host_prefix=True))
        async with TestClient(app, base_url="https://test") as client:
            header = (await client.get("/write?a=1")).headers["set-cookie"]
            assert header.startswith("__Host-session=")
            assert "; Secure" in header
            assert await data(client) == {"a": "1"}

    @pytest.mark.parametrize(
        "settings",
        [
            {"host_prefix": True, "domain": "example.com"},
            {"host_prefix": True, "path": "/a"},
            {"host_prefix": True, "secure": False},
            {"samesite": "none"},
            {"cookie": "a b"},
            {"max_age": 0},
        ],
    )
    def test_what_browsers_would_not_take_is_refused_at_once(self, settings: dict[str, Any]) -> None:
        with pytest.raises((RegistrationError, HeaderError), match=r"cookie|samesite|session"):
            Sessions(SECRET, **settings)

    async def test_it_cannot_be_forged_and_secrets_can_be_replaced(self) -> None:
        async with TestClient(application(Sessions(SECRET))) as client:
            await client.get("/write?user=Ada")
            cookies = {"session": client.cookies["session"]}
        for keeper, known in (([LATER, SECRET], {"user": "Ada"}), ([LATER], {})):
            async with TestClient(application(Sessions(keeper)), cookies=cookies) as client:
                assert await data(client) == known

    async def test_it_is_worth_nothing_after_its_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with TestClient(application(Sessions(SECRET, max_age=60))) as client:
            await client.get("/write?user=Ada")
            cookie = {"cookie": f"session={client.cookies['session']}"}
            client.cookies.clear()
            assert (await client.get("/read", headers=cookie)).json()["data"] == {"user": "Ada"}
            now = time.time()
            monkeypatch.setattr(time, "time", lambda: now + 62)
            assert (await client.get("/read", headers=cookie)).json() == {"data": {}, "new": True}

    async def test_one_that_browsers_would_not_take_is_an_error_that_says_so(self) -> None:
        async with TestClient(application(Sessions(SECRET))) as client:
            assert (await client.get("/write", params={"a": "x" * 2900})).status_code == 200
            with pytest.raises(SessionError, match=r"browsers take 4096.*MemorySessionStore"):
                await client.get("/write", params={"a": "x" * 3100})


class TestData:
    @pytest.mark.parametrize(
        "value",
        [(1, 2), datetime.date(2020, 1, 1), {1: 2}, float("nan"), b"bytes", object(), {"a"}, "\ud800"],
        ids=lambda value: type(value).__name__,
    )
    async def test_what_json_does_not_have_is_refused(self, value: object) -> None:
        app = Application(middlewares=[Sessions(SECRET)])

        @app.get("/")
        async def index(request: Request) -> Response:
            (await session_of(request))["value"] = value
            return Response()

        async with TestClient(app) as client:
            with pytest.raises(SessionError, match=r"\['value'\]"):
                await client.get("/")

    async def test_its_repr_keeps_the_values_secret(self) -> None:
        app = Application(middlewares=[Sessions(SECRET)])

        @app.get("/")
        async def index(request: Request) -> Response:
            session = await session_of(request)
            session["password"] = "secret"
            session["old"] = 1
            del session["old"]
            return Response(f"{session!r} {session.changed} {len(session)} {list(session)}")

        assert (await Exchange().run(app)).body == b"<Session ['password']> True 1 ['password']"

    async def test_without_the_middleware_the_error_says_what_to_do(self) -> None:
        app = Application()

        @app.get("/")
        async def index(request: Request) -> Response:
            await session_of(request)
            return Response()

        async with TestClient(app) as client:
            with pytest.raises(SessionError, match=r"put Sessions\(\.\.\.\) into the middlewares"):
                await client.get("/")


class Counting(MemorySessionStore):
    """Remembers what it was asked for, and does not answer when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.away = False
        self.keys: set[str] = set()

    def _asked(self, call: str, key: str) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.calls.append(call)
        self.keys.add(key)

    async def load(self, key: str) -> bytes | None:
        self._asked("load", key)
        await asyncio.sleep(0)
        return await super().load(key)

    async def save(self, key: str, data: bytes, *, ttl: float, existing: bool) -> bool:
        self._asked("save", key)
        return await super().save(key, data, ttl=ttl, existing=existing)

    async def delete(self, key: str) -> None:
        self._asked("delete", key)
        await super().delete(key)


class TestStores:
    async def test_renew_gives_another_id_and_ends_the_old_one(self) -> None:
        store = MemorySessionStore()
        async with TestClient(application(Sessions(store))) as client:
            await client.get("/write?user=Ada")
            old = client.cookies["session"]
            await client.get("/renew")
            assert client.cookies["session"] != old
            assert await data(client) == {"user": "Ada"}
            assert len(store) == 1
            client.cookies.clear()
            read = await client.get("/read", headers={"cookie": f"session={old}"})
            assert read.json() == {"data": {}, "new": True}

    async def test_an_id_that_the_client_has_chosen_is_never_taken(self) -> None:
        chosen = "x" * 43
        async with TestClient(
            application(Sessions(MemorySessionStore())), cookies={"session": chosen}
        ) as client:
            response = await client.get("/write?user=Ada")
            assert f"session={chosen}" not in response.headers["set-cookie"]

    async def test_the_store_does_not_learn_the_id(self) -> None:
        store = Counting()
        async with TestClient(application(Sessions(store))) as client:
            await client.get("/write?user=Ada")
            assert client.cookies["session"] not in "".join(store.keys)

    async def test_a_session_that_was_ended_meanwhile_does_not_come_back(self) -> None:
        store = MemorySessionStore()
        app = application(Sessions(store))
        arrived, go_on = asyncio.Event(), asyncio.Event()

        @app.get("/slow")
        async def slow(request: Request) -> Response:
            session = await session_of(request)
            session["slow"] = True
            arrived.set()
            await go_on.wait()
            return Response()

        async with TestClient(app) as client:
            await client.get("/write?user=Ada")
            cookie = {"cookie": f"session={client.cookies['session']}"}
            client.cookies.clear()
            task = asyncio.create_task(client.get("/slow", headers=cookie))
            await arrived.wait()
            await client.get("/clear", headers=cookie)
            go_on.set()
            assert "set-cookie" not in (await task).headers
            assert (await client.get("/read", headers=cookie)).json()["data"] == {}
            assert len(store) == 0

    async def test_tasks_of_one_request_have_one_session(self) -> None:
        app = Application(middlewares=[Sessions(Counting())])

        @app.get("/")
        async def index(request: Request) -> Response:
            one, other = await asyncio.gather(session_of(request), session_of(request))
            return Response(str(one is other))

        scope = http_scope(headers=[(b"host", b"test"), (b"cookie", b"session=" + b"x" * 43)])
        assert (await Exchange(scope).run(app)).body == b"True"

    async def test_a_store_that_is_away_is_503_for_who_asks(self) -> None:
        store = Counting()
        async with TestClient(application(Sessions(store)), raise_exceptions=False) as client:
            await client.get("/write?user=Ada")
            store.away = True
            assert (await client.get("/untouched")).status_code == 200
            for path in ("/read", "/write?a=1", "/clear"):
                assert (await client.get(path)).status_code == 503
            client.cookies.clear()
            assert (await client.get("/write?a=1")).status_code == 503

    async def test_memory_is_bounded_and_forgets_what_is_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(RegistrationError, match="one at least"):
            MemorySessionStore(max_sessions=0)
        store = MemorySessionStore(max_sessions=3)
        for number in range(5):
            await store.save(str(number), b"{}", ttl=10, existing=False)
        assert [await store.load(str(number)) for number in range(5)] == [None, None, b"{}", b"{}", b"{}"]
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 11)
        assert await store.load("4") is None
        await store.save("4", b"{}", ttl=10, existing=True)
        await store.save("new", b"{}", ttl=10, existing=False)
        assert len(store) == 1

    def test_the_store_in_memory_is_a_store(self) -> None:
        store: SessionStore = MemorySessionStore()
        Sessions(store)


class TestWebSockets:
    def app(self, keeper: Any) -> Application[Any]:
        app = application(Sessions(keeper))

        @app.websocket("/chat")
        async def chat(ws: WebSocket) -> None:
            session = await session_of(ws.request)
            if "refuse" in ws.request.query:
                session["refused"] = True
                raise HTTPForbidden
            session["before"] = True
            async with ws:
                await ws.send_json(dict(session))
                if "after" in ws.request.query:
                    session["after"] = True

        return app

    @pytest.mark.parametrize("keeper", keepers())
    async def test_what_changes_before_acceptance_is_kept(self, keeper: Any) -> None:
        async with TestClient(self.app(keeper())) as client:
            await client.get("/write?user=Ada")
            async with client.websocket("/chat") as ws:
                assert await ws.receive_json() == {"user": "Ada", "before": True}
            assert await data(client) == {"user": "Ada", "before": True}

    @pytest.mark.parametrize("keeper", keepers())
    async def test_the_cookie_comes_with_the_101(self, keeper: Any) -> None:
        async with TestClient(self.app(keeper())) as client:
            async with client.websocket("/chat") as ws:
                assert await ws.receive_json() == {"before": True}
            assert await data(client) == {"before": True}

    async def test_what_changes_after_acceptance_is_kept_in_a_store(self) -> None:
        async with TestClient(self.app(MemorySessionStore())) as client:
            async with client.websocket("/chat?after=1") as ws:
                await ws.receive_json()
            assert await data(client) == {"before": True, "after": True}

    async def test_what_changes_after_acceptance_is_lost_in_a_cookie_and_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with TestClient(self.app(SECRET)) as client:
            async with client.websocket("/chat?after=1") as ws:
                await ws.receive_json()
            assert await data(client) == {"before": True}
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "changed after acceptance" in caplog.text

    async def test_a_rolling_session_that_is_only_read_is_not_lost(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = self.app(SECRET)
        app.middleware(Sessions(SECRET, rolling=True))

        @app.websocket("/read")
        async def read(ws: WebSocket) -> None:
            session = await session_of(ws.request)
            async with ws:
                await ws.send_json(dict(session))
                await ws.receive()

        async with TestClient(app) as client:
            await client.get("/write?user=Ada")
            async with client.websocket("/read") as ws:
                assert await ws.receive_json() == {"user": "Ada"}
                # Its signature would have another time.
                now = time.time()
                monkeypatch.setattr(time, "time", lambda: now + 5)
        assert caplog.records == []

    async def test_a_refusal_is_a_response_like_others(self) -> None:
        store = Counting()
        async with TestClient(self.app(store)) as client:
            with pytest.raises(Exception, match="403"):
                async with client.websocket("/chat?refuse=1"):
                    pass
        assert store.calls == ["save"]


async def test_what_others_call_a_session_is_no_matter() -> None:
    """A session of a database, for example."""

    async def with_database(request: Request, handler: Handler) -> Response:
        request.context["session"] = request.context["csrf"] = "of the database"
        return await handler(request)

    app = Application(middlewares=[Sessions(SECRET), with_database])

    @app.get("/")
    async def index(request: Request) -> Response:
        (await session_of(request))["seen"] = True
        return Response(str(request.context["session"]))

    async with TestClient(app) as client:
        answer = await client.get("/")
    assert (answer.text, "set-cookie" in answer.headers) == ("of the database", True)
