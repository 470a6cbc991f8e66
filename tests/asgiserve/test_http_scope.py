"""The scope of a request: ASGI HTTP 2.5, "HTTP Connection Scope" (S1 to S17)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h11
import pytest

from tests.asgiserve.applications import Receive, Scope, Send, answer, piece, read_body, start
from tests.asgiserve.raw import GET, chunked, get, request
from tests.asgiserve.serving import Serve


class Seeing:
    """An application that remembers the scopes it was called with, and answers."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await answer(send)


def scope_of(serve: Serve, data: bytes, method: str = "GET", **settings: Any) -> Scope:
    """The scope of one request."""
    app = Seeing()
    with serve(app, **settings) as server:
        assert server.ask(data, method).status == 200
    return app.scopes[0]


def test_S1_type_is_http(serve: Serve) -> None:
    assert scope_of(serve, GET)["type"] == "http"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_S2_http_version(serve: Serve, version: str) -> None:
    assert scope_of(serve, request(f"GET / HTTP/{version}", "Host: test"))["http_version"] == version


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "M-SEARCH"])
def test_S3_method_is_upper_case(serve: Serve, method: str) -> None:
    data = request(f"{method} / HTTP/1.1", "Host: test", "Content-Length: 0")
    assert scope_of(serve, data, method)["method"] == method


def test_S4_scheme_is_http_without_tls(serve: Serve) -> None:
    assert scope_of(serve, GET)["scheme"] == "http"


TARGETS = [
    ("/", "/", b"/", b""),
    ("/a%20b", "/a b", b"/a%20b", b""),
    ("/%E2%82%AC", "/€", b"/%E2%82%AC", b""),
    ("/%e2%82%ac", "/€", b"/%e2%82%ac", b""),
    ("/a%2Fb", "/a/b", b"/a%2Fb", b""),
    ("/a+b", "/a+b", b"/a+b", b""),
    ("/%zz", "/%zz", b"/%zz", b""),
    ("/100%", "/100%", b"/100%", b""),
    ("/a%3Fb?c", "/a?b", b"/a%3Fb", b"c"),
    ("/a/../b", "/a/../b", b"/a/../b", b""),
    ("//a//b", "//a//b", b"//a//b", b""),
    ("/a?", "/a", b"/a", b""),
    ("/a?b=%20&c", "/a", b"/a", b"b=%20&c"),
    ("/a?b?c=d/e", "/a", b"/a", b"b?c=d/e"),
    ("/?", "/", b"/", b""),
    ("/a;b=c", "/a;b=c", b"/a;b=c", b""),
]


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query_string"), TARGETS, ids=[row[0] for row in TARGETS]
)
def test_S5_S6_S7_target_is_split_and_its_path_decoded(
    serve: Serve, target: str, path: str, raw_path: bytes, query_string: bytes
) -> None:
    scope = scope_of(serve, get(target))
    assert scope["path"] == path
    assert scope["raw_path"] == raw_path
    assert scope["query_string"] == query_string


def test_S5_path_that_is_not_utf8_does_not_crash(serve: Serve) -> None:
    scope = scope_of(serve, get("/caf%e9"))
    assert scope["path"].startswith("/caf")
    scope["path"].encode()  # it can be written down
    assert scope["raw_path"] == b"/caf%e9"


def test_S8_root_path_is_empty_by_default(serve: Serve) -> None:
    scope = scope_of(serve, get("/users"))
    assert (scope["root_path"], scope["path"]) == ("", "/users")


def test_S8_path_includes_the_root_path(serve: Serve) -> None:
    """The proxy takes the prefix off; WSGI's PATH_INFO is what is left of `path` behind `root_path`."""
    scope = scope_of(serve, get("/users?x=1"), root_path="/api")
    assert (scope["root_path"], scope["path"]) == ("/api", "/api/users")


def test_S9_headers_keep_order_and_duplicates(serve: Serve) -> None:
    data = request("GET / HTTP/1.1", "Host: test", "X-B: 1", "X-A: 2", "X-B: 3", "X-B: 1")
    headers = list(scope_of(serve, data)["headers"])
    assert [tuple(pair) for pair in headers] == [
        (b"host", b"test"),
        (b"x-b", b"1"),
        (b"x-a", b"2"),
        (b"x-b", b"3"),
        (b"x-b", b"1"),
    ]


def test_S10_header_names_are_lower_case_and_values_untouched(serve: Serve) -> None:
    headers = dict(scope_of(serve, get("/", "X-MiXeD-Case: VaLuE"))["headers"])
    assert headers[b"x-mixed-case"] == b"VaLuE"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("X:v", b"v"),
        ("X: v", b"v"),
        ("X: \t v \t ", b"v"),
        ("X: a \t b", b"a \t b"),
        ("X:", b""),
        ("X:   ", b""),
        ("X: caf\xe9", b"caf\xe9"),
        ("X: a:b, c", b"a:b, c"),
    ],
)
def test_rfc9112_5_1_white_space_around_a_value_is_no_part_of_it(
    serve: Serve, line: str, value: bytes
) -> None:
    assert dict(scope_of(serve, get("/", line))["headers"])[b"x"] == value


def test_S11_cookies_are_passed_as_received(serve: Serve) -> None:
    headers = scope_of(serve, get("/", "Cookie: a=1", "Cookie: b=2"))["headers"]
    assert [value for name, value in headers if name == b"cookie"] == [b"a=1", b"b=2"]


def test_S13_S14_client_and_server_addresses(serve: Serve) -> None:
    app = Seeing()
    with serve(app) as server, server.connect() as client:
        client.send(GET)
        client.response()
        assert tuple(app.scopes[0]["client"]) == client.socket.getsockname()
        assert tuple(app.scopes[0]["server"]) == client.socket.getpeername()


def test_S13_S14_addresses_on_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    scope = scope_of(serve, GET, uds=path)
    assert scope["client"] is None
    assert list(scope["server"]) == [path, None]


def test_S13_S14_addresses_of_ipv6_have_two_parts(serve: Serve) -> None:
    app = Seeing()
    with serve(app, host="::1") as server:
        import socket

        port = int(server.server.addresses[0].rpartition(":")[2])
        with socket.create_connection(("::1", port)) as client:
            client.sendall(GET)
            client.recv(65536)
    assert list(app.scopes[0]["server"]) == ["::1", port]
    assert app.scopes[0]["client"][0] == "::1"
    assert len(app.scopes[0]["client"]) == 2


class Stateful(Seeing):
    """An application whose startup leaves a state, and whose requests change what they get of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["shared"] = []
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            assert set(scope["state"]) == {"shared"}
            scope["state"]["mine"] = True
            scope["state"]["shared"].append(scope["path"])
            await super().__call__(scope, receive, send)


def test_S15_state_is_a_shallow_copy_per_request(serve: Serve) -> None:
    app = Stateful()
    with serve(app, lifespan="on") as server, server.connect() as client:
        for path in ("/one", "/two"):
            client.send(get(path))
            assert client.response().status == 200
    assert app.scopes[0]["state"]["shared"] == ["/one", "/two"]
    assert app.scopes[0]["state"] is not app.scopes[1]["state"]


def test_S15_no_state_where_there_is_no_lifespan(serve: Serve) -> None:
    assert "state" not in scope_of(serve, GET, lifespan="off")


def test_S16_chunked_bodies_arrive_without_their_framing(serve: Serve) -> None:
    bodies: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        bodies.append(await read_body(receive))
        await answer(send)

    with serve(app) as server:
        server.ask(chunked(b"one", b"two"))
        server.ask(
            request("POST / HTTP/1.1", "Host: test", "Transfer-Encoding: chunked")
            + b'3;name=value\r\none\r\n03;a;b="c"\r\ntwo\r\n0;last\r\nX-Trailer: 1\r\n\r\n'
        )
    assert bodies == [b"onetwo", b"onetwo"]


def test_S17_requests_of_one_connection_have_scopes_of_their_own(serve: Serve) -> None:
    app = Seeing()
    with serve(app) as server, server.connect() as client:
        for path in ("/one", "/two"):
            client.send(get(path))
            client.response()
    one, two = app.scopes
    assert one is not two
    assert one["headers"] is not two["headers"]
    assert one["asgi"] is not two["asgi"]
    assert (one["path"], two["path"]) == ("/one", "/two")


@pytest.mark.parametrize("change", ["emptied", "spoilt"])
@pytest.mark.parametrize("when", ["before-the-response", "within-it", "after-it"])
def test_scope_is_the_applications_to_change(serve: Serve, change: str, when: str) -> None:
    """Neither the response, nor the access log, nor the next request depend on what it makes of it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def spoil() -> None:
            scope.update(dict.fromkeys(scope))
            if change == "emptied":
                scope.clear()

        if when == "before-the-response":
            spoil()
        await send(start(201, [(b"content-length", b"4")]))
        if when == "within-it":
            spoil()
        await send(piece(b"body"))
        spoil()

    with serve(app) as server, server.connect() as client:
        for target in ("/one?a=b", "/two"):
            client.send(get(target))
            response = client.response()
            assert (response.status, response.body) == (201, b"body")
            assert "connection" not in response
            server.records.wait("asgiserve.access", f'"GET {target} HTTP/1.1" 201 4 ')


@pytest.mark.parametrize("change", ["emptied", "spoilt"])
@pytest.mark.parametrize("begun", [False, True], ids=["before-the-response", "within-it"])
def test_application_may_change_its_scope_and_fail(serve: Serve, change: str, begun: bool) -> None:
    """The exchange ends as any other that fails does: `serve` checks that it holds nothing up."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope.update(dict.fromkeys(scope))
        if change == "emptied":
            scope.clear()
        if begun:
            await send(start())
            await send(piece(b"one", more=True))
        raise LookupError("no such user")

    with serve(app) as server, server.connect() as client:
        client.send(get("/users?a=b"))
        if begun:
            with pytest.raises((ConnectionResetError, h11.RemoteProtocolError)):
                client.response()
        else:
            assert client.response().status == 500
            assert client.closed()
        server.records.wait("LookupError: no such user")
        server.records.wait("asgiserve.access", f'"GET /users?a=b HTTP/1.1" {200 if begun else 500} ')


def test_rfc9112_3_2_2_absolute_form_replaces_the_host(serve: Serve) -> None:
    scope = scope_of(serve, request("GET http://real:81/path?q HTTP/1.1", "Host: other", "X: y"))
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/path", b"/path", b"q")
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"real:81"]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://h", "/", b""),
        ("http://h?q", "/", b"q"),
        ("HTTP://h/a%20b", "/a b", b""),
        ("https://h/", "/", b""),
    ],
)
def test_rfc9112_3_2_2_absolute_form_without_a_path(
    serve: Serve, target: str, path: str, query: bytes
) -> None:
    scope = scope_of(serve, request(f"GET {target} HTTP/1.1", "Host: h"))
    assert (scope["path"], scope["query_string"]) == (path, query)


def test_rfc9112_3_2_4_asterisk_form(serve: Serve) -> None:
    scope = scope_of(serve, request("OPTIONS * HTTP/1.1", "Host: test"), "OPTIONS")
    assert (scope["path"], scope["raw_path"], scope["method"]) == ("*", b"*", "OPTIONS")
