"""Trailers and early hints, and what a scope lists (ASGI extensions: X3 to X6; files are sent elsewhere)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asgiserve import ClientDisconnected
from tests.asgiserve.applications import (
    Message,
    Receive,
    Scope,
    Send,
    answer,
    on_http,
    piece,
    start,
)
from tests.asgiserve.raw import GET, GET_AND_CLOSE, Client, get, post, request
from tests.asgiserve.serving import Moment, Serve, Serving, seen

REJECTION = (TypeError, ValueError, KeyError, RuntimeError)

FOR_FILES: dict[str, Any] = {"http.response.pathsend": {}, "http.response.zerocopysend": {}}
ALL: dict[str, Any] = {**FOR_FILES, "http.response.trailers": {}, "http.response.early_hint": {}}

#: A client that takes trailers.
TRAILERS = get("/", "TE: trailers", "Connection: close")

#: Responses without fields that every response has.
BARE: dict[str, Any] = {"server_header": False, "date_header": False}


def trailers(*headers: tuple[bytes, bytes], more: bool = False) -> Message:
    """The event of the fields behind a body, all of them by default."""
    return {"type": "http.response.trailers", "headers": list(headers), "more_trailers": more}


def hint(*links: bytes) -> Message:
    """The event of a 103 response with these links."""
    return {"type": "http.response.early_hint", "links": list(links)}


def wire(server: Serving, data: bytes) -> bytes:
    """All that is answered to `data`, byte by byte, until the server closes."""
    with server.connect() as client:
        client.send(data)
        return client.read_all()


def behind_the_head(server: Serving, data: bytes) -> bytes:
    """The body of the only response to `data` as it stands on the wire, until the server closes."""
    head, end, body = wire(server, data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert end
    return body


def rest(client: Client) -> bytes:
    """What still comes, however the server ends the connection."""
    data = b""
    try:
        while more := client.read():
            data += more
    except ConnectionResetError:
        pass
    return data


# What a scope lists


def listed(serve: Serve, data: bytes, **settings: Any) -> dict[str, Any]:
    """The extensions in the scope of a request."""
    found: dict[str, Any] = seen(serve, data, **settings)["extensions"]
    return found


@pytest.mark.parametrize("data", [GET, TRAILERS, post(b"x")], ids=["get", "te", "post"])
def test_A16_extensions_of_a_request_of_http_1_1(serve: Serve, data: bytes) -> None:
    assert listed(serve, data) == ALL


def test_A16_extensions_of_a_request_of_http_1_0(serve: Serve) -> None:
    """It knows neither interim responses nor chunks, which trailers need."""
    assert listed(serve, request("GET / HTTP/1.0", "TE: trailers")) == FOR_FILES


def test_A16_extensions_on_a_UNIX_socket(serve: Serve, tmp_path: Path) -> None:
    assert listed(serve, GET, uds=str(tmp_path / "socket")) == ALL


def test_A16_extensions_of_one_request_are_not_those_of_the_next(serve: Serve) -> None:
    """A middleware takes one off the list that it cannot handle."""
    found: list[dict[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(dict(scope["extensions"]))
        del scope["extensions"]["http.response.pathsend"]
        scope["extensions"]["x-vendor"] = {}
        await answer(send)

    with serve(app) as server, server.connect() as client:
        for _ in range(2):
            client.send(GET)
            client.response()
        assert server.ask(GET).status == 200
    assert found == [ALL] * 3


def test_X7_debug_is_neither_listed_nor_known(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert "http.response.debug" not in scope["extensions"]
        with pytest.raises(ValueError, match="debug"):
            await send({"type": "http.response.debug", "info": {}})
        await answer(send)

    with serve(app) as server:
        assert server.ask(GET).status == 200


# Trailers


async def with_trailers(receive: Receive, send: Send) -> None:
    """Answer in one piece, with two trailers."""
    await send(start(trailers=True))
    await send(piece(b"ok"))
    await send(trailers((b"x-one", b"1"), (b"x-two", b"2")))


def test_X6_trailers_follow_a_body_of_one_piece(serve: Serve) -> None:
    with serve(on_http(with_trailers), **BARE) as server:
        assert wire(server, TRAILERS) == (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            b"2\r\nok\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n"
        )


def test_X6_trailers_follow_a_body_of_many_pieces(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(piece(b"one", more=True))
        await send(piece(b"two", more=True))
        await send(piece())
        await send(trailers((b"x-sum", b"3")))

    with serve(on_http(handler)) as server:
        assert behind_the_head(server, TRAILERS) == b"3\r\none\r\n3\r\ntwo\r\n0\r\nx-sum: 3\r\n\r\n"


def test_X6_trailers_follow_an_empty_body(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(piece())
        await send(trailers((b"x-sum", b"0")))

    with serve(on_http(handler)) as server:
        assert behind_the_head(server, TRAILERS) == b"0\r\nx-sum: 0\r\n\r\n"


def test_X6_trailers_come_in_several_messages(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(piece(b"ok"))
        await send(trailers((b"x-one", b"1"), more=True))
        await send(trailers(more=True))
        await send(trailers((b"x-two", b"2")))

    with serve(on_http(handler)) as server:
        assert behind_the_head(server, TRAILERS) == b"2\r\nok\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n"


def test_X6_no_trailers_in_the_end(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(piece(b"ok"))
        await send({"type": "http.response.trailers", "headers": []})

    with serve(on_http(handler)) as server:
        assert behind_the_head(server, TRAILERS) == b"2\r\nok\r\n0\r\n\r\n"


def headers_of_every_kind() -> Iterator[Any]:
    pairs = [(b"x-a", b"1"), (b"X-B", b""), (b"x-a", b"\xe9 \t3")]
    yield pairs
    yield tuple(map(list, pairs))
    yield iter(pairs)
    yield (pair for pair in pairs)


def test_X6_trailers_are_any_iterable_of_pairs_and_keep_their_order(serve: Serve) -> None:
    kinds = headers_of_every_kind()

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(piece())
        await send({"type": "http.response.trailers", "headers": next(kinds)})

    with serve(on_http(handler)) as server:
        for _ in headers_of_every_kind():
            body = behind_the_head(server, TRAILERS).lower()
            assert body == b"0\r\nx-a: 1\r\nx-b: \r\nx-a: \xe9 \t3\r\n\r\n"


def test_X6_trailer_field_of_the_application_is_passed_on_and_not_compared(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(headers=[(b"trailer", b"x-other")], trailers=True))
        await send(piece())
        await send(trailers((b"x-sum", b"0")))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(get("/", "TE: trailers"))
        assert b"\r\ntrailer: x-other\r\n" in client.read_until(b"\r\n\r\n")
        assert client.read_until(b"\r\n\r\n") == b"0\r\nx-sum: 0\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        ("TE: trailers",),
        ("TE: Trailers", "Connection: TE"),
        ("te: deflate;q=0.5, TRAILERS",),
        ("TE: trailers,gzip",),
        ("TE: gzip;q=0.5", "TE: trailers"),
        ("TE:\ttrailers \t",),
    ],
    ids=repr,
)
def test_X6_clients_that_take_trailers(serve: Serve, fields: tuple[str, ...]) -> None:
    with serve(on_http(with_trailers)) as server, server.connect() as client:
        for _ in range(2):
            client.send(get("/", *fields))
            client.read_until(b"\r\n\r\n")
            assert client.read_until(b"\r\n\r\n") == b"2\r\nok\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("TE:",),
        ("TE: gzip",),
        ("TE: x-trailers",),
        ("TE: trailersx",),
        ("X-TE: trailers",),
        ("Trailer: trailers",),
    ],
    ids=repr,
)
def test_X6_clients_that_do_not_take_trailers(serve: Serve, fields: tuple[str, ...]) -> None:
    """The application sends them nevertheless, and the response does not end before it has."""
    with serve(on_http(with_trailers)) as server, server.connect() as client:
        for _ in range(2):
            client.send(get("/", *fields))
            client.read_until(b"\r\n\r\n")
            assert client.read_until(b"\r\n\r\n") == b"2\r\nok\r\n0\r\n\r\n"


@pytest.mark.parametrize("te", [True, False], ids=["wanted", "not-wanted"])
def test_X6_response_is_complete_with_its_trailers(serve: Serve, te: bool) -> None:
    seen: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await receive()
        waiting = asyncio.ensure_future(receive())
        await send(start(trailers=True))
        await send(piece(b"ok"))
        await seen
        await send(trailers((b"x-one", b"1"), more=True))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        await send(trailers((b"x-two", b"2")))
        assert await waiting == {"type": "http.disconnect"}

    data = get("/", *(["TE: trailers"] if te else []))
    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(data)
        client.read_until(b"2\r\nok\r\n")
        seen.happen(None)
        assert client.read_until(b"\r\n\r\n") == (
            b"0\r\nx-one: 1\r\nx-two: 2\r\n\r\n" if te else b"0\r\n\r\n"
        )


def test_X6_next_response_comes_after_the_trailers(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(piece(scope["path"].encode()))
        await asyncio.sleep(0.01)
        await send(trailers((b"x-path", scope["path"].encode())))

    with serve(app, **BARE) as server, server.connect() as client:
        client.send(get("/a", "TE: trailers") + get("/b", "TE: trailers") + GET_AND_CLOSE)
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"
        assert client.read_all() == b"".join(
            (
                head + b"\r\n2\r\n/a\r\n0\r\nx-path: /a\r\n\r\n",
                head + b"\r\n2\r\n/b\r\n0\r\nx-path: /b\r\n\r\n",
                head + b"connection: close\r\n\r\n1\r\n/\r\n0\r\n\r\n",
            )
        )


#: Requests, and beginnings of responses, for which there is no place for trailers.
NO_PLACE: dict[str, tuple[bytes, Message]] = {
    "Content-Length": (get("/", "TE: trailers"), start(headers=[(b"content-length", b"2")], trailers=True)),
    "HEAD": (request("HEAD / HTTP/1.1", "Host: test", "TE: trailers"), start(trailers=True)),
    "204": (get("/", "TE: trailers"), start(204, trailers=True)),
    "304": (get("/", "TE: trailers"), start(304, trailers=True)),
}


@pytest.mark.parametrize("case", NO_PLACE)
def test_X6_trailers_without_a_place_are_waited_for_and_dropped(serve: Serve, case: str) -> None:
    data, first = NO_PLACE[case]
    sent: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/last":
            await answer(send)
            return
        await receive()
        waiting = asyncio.ensure_future(receive())
        await send(first)
        await send(piece(b"ok"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        await send(trailers((b"x-sum", b"2")))
        sent.append((await waiting)["type"])

    with serve(app) as server, server.connect() as client:
        for _ in range(2):
            client.send(data)
            response = client.response("HEAD" if case == "HEAD" else "GET")
            assert response.status == first["status"]
            assert response.body == (b"ok" if case == "Content-Length" else b"")
            assert "x-sum" not in response
        client.send(get("/last"))
        assert client.response().body == b"ok"
    assert sent == ["http.disconnect"] * 2


def test_X6_body_of_HTTP_1_0_ends_with_the_connection_where_trailers_were_to_follow(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(piece(b"ok"))
        await send(trailers((b"x-sum", b"2")))

    with serve(on_http(handler), **BARE) as server:
        data = request("GET / HTTP/1.0", "TE: trailers", "Connection: keep-alive")
        assert wire(server, data) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok"


#: Fields that cannot stand behind a body, for they say what to do with it (RFC 9110 §6.5.1).
FORBIDDEN = """
    transfer-encoding content-length host connection trailer te authorization www-authenticate set-cookie
    cache-control expires location content-encoding content-type content-range Content-Length
""".split()

WRONG_TRAILERS: dict[str, Any] = {
    **{f"9110-6.5.1-{name}": trailers((name.encode(), b"1")) for name in FORBIDDEN},
    "E6-pseudo-header": trailers((b":status", b"200")),
    "A9-no-headers": {"type": "http.response.trailers"},
    "A10-headers-are-None": {"type": "http.response.trailers", "headers": None},
    "A10-name-is-str": trailers(("x-sum", b"1")),  # type: ignore[arg-type]  # that is the test
    "A10-value-is-str": trailers((b"x-sum", "1")),  # type: ignore[arg-type]  # same
    "A10-no-pair": trailers((b"x-sum",)),  # type: ignore[arg-type]  # same
    "name-is-no-token": trailers((b"x sum", b"1")),
    "name-is-empty": trailers((b"", b"1")),
    "CRLF-in-value": trailers((b"x-sum", b"1\r\nx-leak: 1")),
    "LF-in-value": trailers((b"x-sum", b"1\nx-leak: 1")),
    "NUL-in-value": trailers((b"x-sum", b"\0")),
    "second-is-wrong": trailers((b"x-leak", b"1"), (b"x-sum", b"\r")),
    "second-is-forbidden": trailers((b"x-leak", b"1"), (b"host", b"test"), more=True),
}


@pytest.mark.parametrize("wrong", WRONG_TRAILERS.values(), ids=WRONG_TRAILERS)
def test_X6_wrong_trailers_are_rejected_and_change_nothing(serve_twice: Serve, wrong: Message) -> None:
    """Whether the client wants them or not: an application is wrong for all of its clients."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(piece(b"ok"))
        with pytest.raises(REJECTION):
            await send(wrong)
        await send(trailers((b"x-one", b"1"), more=True))
        with pytest.raises(REJECTION):
            await send(wrong)
        await send(trailers((b"x-two", b"2")))

    with serve_twice(on_http(handler)) as server:
        assert behind_the_head(server, TRAILERS) == b"2\r\nok\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n"
        assert behind_the_head(server, GET_AND_CLOSE) == b"2\r\nok\r\n0\r\n\r\n"


@pytest.mark.parametrize("first", [{}, {"trailers": False}], ids=["not-said", "said-not"])
def test_X6_trailers_that_were_not_announced_are_rejected(serve: Serve, first: dict[str, Any]) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        for message in (start(**first), piece(b"one", more=True), piece(b"two", more=True)):
            with pytest.raises(RuntimeError):
                await send(trailers((b"x-leak", b"1")))
            await send(message)
        with pytest.raises(RuntimeError):
            await send(trailers((b"x-leak", b"1")))
        await send(piece())
        await send(trailers((b"x-late", b"1")))  # the response is complete: ignored

    with serve(on_http(handler)) as server:
        assert behind_the_head(server, TRAILERS) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


def test_X6_trailers_before_the_end_of_the_body_are_rejected(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        for message in (start(trailers=True), piece(b"one", more=True), piece(b"two")):
            with pytest.raises(RuntimeError):
                await send(trailers((b"x-leak", b"1")))
            await send(message)
        await send(trailers((b"x-sum", b"6")))

    with serve(on_http(handler)) as server:
        assert behind_the_head(server, TRAILERS) == b"3\r\none\r\n3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n"


@pytest.mark.parametrize("more", [False, True], ids=["before-the-trailers", "between-trailers"])
def test_X6_nothing_else_follows_the_end_of_the_body(serve: Serve, tmp_path: Path, more: bool) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"leak")

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(piece(b"ok"))
        if more:
            await send(trailers((b"x-one", b"1"), more=True))
        for body in (b"leak", b""):
            for flag in (False, True):
                with pytest.raises(RuntimeError):
                    await send(piece(body, more=flag))
        with pytest.raises(RuntimeError):
            await send(start())
        with pytest.raises(RuntimeError):
            await send({"type": "http.response.pathsend", "path": str(file)})
        with file.open("rb") as opened, pytest.raises(RuntimeError):
            await send({"type": "http.response.zerocopysend", "file": opened})
        with pytest.raises(REJECTION):
            await send({"type": "unheard.of"})
        await send(trailers((b"x-two", b"2")))

    with serve(on_http(handler)) as server:
        end = b"x-one: 1\r\nx-two: 2\r\n\r\n" if more else b"x-two: 2\r\n\r\n"
        assert behind_the_head(server, TRAILERS) == b"2\r\nok\r\n0\r\n" + end


def test_E13_messages_after_the_trailers_are_ignored(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await with_trailers(receive, send)
        for late in (
            trailers((b"x-late", b"1")),
            piece(b"late"),
            start(500),
            hint(b"</late>"),
            {"type": "x"},
        ):
            await send(late)
        assert await receive() == {"type": "http.disconnect"}

    with serve(on_http(handler), **BARE) as server:
        assert wire(server, get("/", "TE: trailers") + TRAILERS) == (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
            b"2\r\nok\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n"
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            b"2\r\nok\r\n0\r\nx-one: 1\r\nx-two: 2\r\n\r\n"
        )


@pytest.mark.parametrize("begun", [False, True], ids=["none-came", "more-were-to-come"])
def test_E7_application_that_returns_without_its_trailers_is_an_error(serve: Serve, begun: bool) -> None:
    """The body has no end then, so that the client can tell."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(piece(b"ok"))
        if begun:
            await send(trailers((b"x-one", b"1"), more=True))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(get("/", "TE: trailers"))
        client.read_until(b"2\r\nok\r\n")
        assert b"\r\n\r\n" not in rest(client)
        server.records.wait("GET '/'", "without a complete response")


def test_A12_application_that_raises_before_its_trailers(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(piece(b"ok"))
        raise LookupError("no such sum")

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(get("/", "TE: trailers"))
        client.read_until(b"2\r\nok\r\n")
        assert rest(client) == b""
        server.records.wait("LookupError: no such sum")


def test_E15_trailers_for_a_client_that_has_left(serve: Serve) -> None:
    told: Moment[BaseException] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        await receive()
        await send(start(trailers=True))
        await send(piece(b"ok"))
        assert await receive() == {"type": "http.disconnect"}
        try:
            await send(trailers((b"x-one", b"1")))
        except ClientDisconnected as error:
            told.happen(error)
            raise

    with serve(on_http(handler)) as server:
        with server.connect() as client:
            client.send(get("/", "TE: trailers"))
            client.read_until(b"2\r\nok\r\n")
            client.reset()
        assert isinstance(told.wait(), OSError)


def test_X6_access_log_is_written_once_and_counts_the_body_alone(serve: Serve) -> None:
    with serve(on_http(with_trailers)) as server:
        behind_the_head(server, TRAILERS)
        server.records.wait('"GET / HTTP/1.1" 200 2 ')
        assert len([line for line in server.records.lines if '"GET / HTTP/1.1"' in line]) == 1


# Early hints


CLOSED_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
HINTED = (
    b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload; as=style\r\nlink: </b.js>; rel=preload\r\n\r\n"
)
HINT = hint(b"</a.css>; rel=preload; as=style", b"</b.js>; rel=preload")


@pytest.mark.parametrize("place", ["before-the-start", "after-the-start"])
def test_X5_hint_is_written_at_once(serve: Serve, place: str) -> None:
    """The text says after the start; others take it before, where it is of more use. We take it in both."""
    seen: Moment[None] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        if place == "after-the-start":
            await send(start())
        await send(HINT)
        await seen
        if place == "before-the-start":
            await send(start())
        await send(piece(b"ok"))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET)
        assert client.read_until(b"\r\n\r\n").lower() == HINTED.lower()
        seen.happen(None)
        response = client.response()
        assert (response.status, response.body, response.interim) == (200, b"ok", [])
        assert "link" not in response


def test_X5_hints_may_be_repeated(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(hint(b"</one>"))
        await send(hint(b"</two>", b"</three>"))
        await send(start())
        await send(hint(b"</four>"))
        await send(piece(b"ok"))

    with serve(on_http(handler)) as server, server.connect() as client:
        client.send(GET + GET)
        for _ in range(2):
            response = client.response()
            assert (response.status, response.body) == (200, b"ok")
            assert "link" not in response
            assert [(interim.status, interim.all("link")) for interim in response.interim] == [
                (103, ["</one>"]),
                (103, ["</two>", "</three>"]),
                (103, ["</four>"]),
            ]


def test_X5_hint_of_a_pipelined_request_comes_behind_the_answer_before_it(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/hinted":
            await send(HINT)
        await answer(send, scope["path"].encode())

    with serve(app) as server, server.connect() as client:
        client.send(get("/one") + get("/hinted") + get("/three"))
        responses = [client.response() for _ in range(3)]
    assert [response.body for response in responses] == [b"/one", b"/hinted", b"/three"]
    assert [len(response.interim) for response in responses] == [0, 1, 0]


def test_X5_links_are_any_iterable(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        for links in ([b"</a>", b"</b>"], (b"</c>",), iter([b"</d>"]), (link for link in [b"</e>"])):
            await send({"type": "http.response.early_hint", "links": links})
        await answer(send)

    with serve(on_http(handler)) as server:
        interim = server.ask(GET).interim
    assert [hinted.all("link") for hinted in interim] == [["</a>", "</b>"], ["</c>"], ["</d>"], ["</e>"]]


def test_X5_hint_without_links_does_not_harm(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(hint())
        await answer(send)

    with serve(on_http(handler)) as server:
        assert server.ask(GET).body == b"ok"


def test_X5_hint_to_a_client_of_http_1_0_is_ignored(serve: Serve) -> None:
    """It would take it for the final response (RFC 9110 §15.2)."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(HINT)
        await send(start())
        await send(HINT)
        await send(piece(b"ok"))

    with serve(on_http(handler), **BARE) as server:
        assert wire(server, request("GET / HTTP/1.0")) == CLOSED_OK


def test_X5_hint_after_the_head_is_ignored(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start())
        await send(piece(b"one", more=True))
        await send(HINT)
        await send(piece(b"two"))
        await send(HINT)

    with serve(on_http(handler), **BARE) as server:
        assert wire(server, GET_AND_CLOSE) == (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        )


def test_X5_hint_between_body_and_trailers_is_ignored(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(piece(b"ok"))
        await send(HINT)
        await send(trailers((b"x-sum", b"2")))

    with serve(on_http(handler)) as server:
        assert behind_the_head(server, TRAILERS) == b"2\r\nok\r\n0\r\nx-sum: 2\r\n\r\n"


def test_X5_hint_before_the_answer_to_HEAD(serve: Serve) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        await send(HINT)
        await answer(send)

    with serve(on_http(handler)) as server:
        response = server.ask(request("HEAD / HTTP/1.1", "Host: test"), "HEAD")
    assert [interim.status for interim in response.interim] == [103]
    assert response.body == b""


WRONG_HINTS: dict[str, Any] = {
    "A9-no-links": {"type": "http.response.early_hint"},
    "A10-links-are-None": {"type": "http.response.early_hint", "links": None},
    "A10-links-are-str": {"type": "http.response.early_hint", "links": "</leak>"},
    "A10-links-are-bytes": {"type": "http.response.early_hint", "links": b"</leak>"},
    "A10-links-are-a-number": {"type": "http.response.early_hint", "links": 1},
    "A10-link-is-str": hint("</leak>"),  # type: ignore[arg-type]  # that is the test
    "A10-second-link-is-None": hint(b"</leak>", None),  # type: ignore[arg-type]  # same
    "CRLF": hint(b"</a>\r\nx-leak: 1"),
    "LF": hint(b"</a>\nx-leak: 1"),
    "NUL": hint(b"</a>\0"),
    "second-has-CR": hint(b"</leak>", b"</a>\r"),
}


@pytest.mark.parametrize("wrong", WRONG_HINTS.values(), ids=WRONG_HINTS)
def test_X5_wrong_hint_is_rejected_and_changes_nothing(serve_twice: Serve, wrong: Message) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        with pytest.raises(REJECTION):
            await send(wrong)
        await send(start())
        with pytest.raises(REJECTION):
            await send(wrong)
        await send(piece(b"ok"))

    with serve_twice(on_http(handler), **BARE) as server:
        assert wire(server, GET_AND_CLOSE) == CLOSED_OK


def test_X5_client_that_waits_for_100_continue_still_gets_it(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/hint-first":
            await send(HINT)
        body = (await receive())["body"]
        if scope["path"] == "/hint-later":
            await send(HINT)
        await answer(send, body)

    with serve(app) as server:
        for path, statuses in {"/hint-first": [103, 100], "/hint-later": [100, 103]}.items():
            with server.connect() as client:
                client.send(post(b"abc", "Expect: 100-continue", target=path)[:-3])
                found = [int(client.read_until(b"\r\n\r\n").split()[1])]
                if found == [103]:
                    found.append(int(client.read_until(b"\r\n\r\n").split()[1]))
                assert found == statuses[: len(found)]
                client.send(b"abc")
                response = client.response()
                assert response.body == b"abc"
                assert found + [interim.status for interim in response.interim] == statuses


@pytest.mark.parametrize("started", [False, True], ids=["before-the-start", "after-the-start"])
def test_E8_crash_after_a_hint_is_still_a_500(serve: Serve, started: bool) -> None:
    async def handler(receive: Receive, send: Send) -> None:
        if started:
            await send(start())
        await send(HINT)
        raise LookupError("no such page")

    with serve(on_http(handler)) as server:
        response = server.ask(GET)
        assert response.status == 500
        assert [interim.status for interim in response.interim] == [103]
        server.records.wait("LookupError: no such page")


def test_X5_hint_is_not_the_start_of_a_response(serve_twice: Serve) -> None:
    """response_timeout still counts."""

    async def handler(receive: Receive, send: Send) -> None:
        await send(HINT)
        await asyncio.Event().wait()

    with serve_twice(on_http(handler), response_timeout=0.3) as server:
        response = server.ask(GET)
        assert response.status == 503
        assert [interim.status for interim in response.interim] == [103]
        server.records.wait("response_timeout")


def test_E15_hint_for_a_client_that_has_left(serve: Serve) -> None:
    told: Moment[BaseException] = Moment()

    async def handler(receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        try:
            await send(HINT)
        except ClientDisconnected as error:
            told.happen(error)
            raise

    with serve(on_http(handler)) as server:
        with server.connect() as client:
            client.send(GET)
            client.reset()
        assert isinstance(told.wait(), OSError)
