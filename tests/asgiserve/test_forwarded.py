"""`proxy_headers`: what trusted proxies say of a request (RFC 7239, X-Forwarded-*), and what others say."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import ssl
from pathlib import Path
from socket import AF_INET, AF_UNIX
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asgiserve import Config, ConfigError
from asgiserve.proxies.forwarded import read_forwarded, read_x_forwarded
from asgiserve.proxies.trusted import TrustedProxies
from tests.asgiserve.applications import Receive, Scope, Send, answer, hello, piece, start
from tests.asgiserve.program import Program, run_to_end
from tests.asgiserve.raw import GET, Client, get, request
from tests.asgiserve.serving import Moment, Serve, Serving

trustme = pytest.importorskip("trustme")

#: The peer of each test, and two networks for proxies before it.
TRUSTED = ("127.0.0.1", "10.0.0.0/8", "fd00::/8")

#: What is seen where proxies say nothing.
PLAIN: dict[str, Any] = {
    "client": "127.0.0.1",
    "scheme": "http",
    "host": ["test"],
    "server": "127.0.0.1",
    "root_path": "",
    "path": "/a",
}


async def telling(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what the scope says of the two ends."""
    told = {name: scope[name] for name in ("client", "server", "scheme", "root_path", "path")}
    told["raw_path"] = scope["raw_path"].decode()
    told["headers"] = [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
    await answer(send, json.dumps(told).encode())


def told(body: bytes) -> dict[str, Any]:
    """What `telling` has answered."""
    found: dict[str, Any] = json.loads(body)
    found["host"] = [value for name, value in found["headers"] if name == "host"]
    return found


def ask(client: Client, *fields: str, target: str = "/a") -> dict[str, Any]:
    """What the application is told of a request with further fields."""
    client.send(get(target, *fields))
    response = client.response()
    assert response.status == 200, response
    return told(response.body)


def shown(found: dict[str, Any]) -> dict[str, Any]:
    """As PLAIN: addresses without their ports."""
    client, server = (found[end][0] if found[end] else None for end in ("client", "server"))
    return {**{name: found[name] for name in PLAIN}, "client": client, "server": server}


def check(server: Serving, rows: list[tuple[tuple[str, ...], dict[str, Any]]]) -> None:
    """Ask with the fields of each row, on one connection, and expect PLAIN but for what the row says."""
    with server.connect() as client:
        for fields, expected in rows:
            found = ask(client, *fields)
            exact = {
                name: found[name] for name, value in expected.items() if isinstance(value, (list, tuple))
            }
            assert {**shown(found), **exact} == {**PLAIN, **expected}, fields
            received = [field.partition(": ")[::2] for field in fields]
            assert found["headers"][1:] == [[name.lower(), value.strip()] for name, value in received], fields


FOR: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    ((), {}),
    (("X-Forwarded-For: 203.0.113.7",), {"client": ["203.0.113.7", 0]}),
    (("X-Forwarded-For: 203.0.113.7:4711",), {"client": ["203.0.113.7", 4711]}),
    (("X-Forwarded-For: 2001:DB8::0:7",), {"client": ["2001:db8::7", 0]}),
    (("X-Forwarded-For: [2001:db8::7]",), {"client": ["2001:db8::7", 0]}),
    (("X-Forwarded-For: [2001:db8::7]:80",), {"client": ["2001:db8::7", 80]}),
    (("X-Forwarded-For: ::ffff:203.0.113.7",), {"client": "203.0.113.7"}),
    # From the right, behind trusted proxies; what stands left of the client may be made up.
    (("X-Forwarded-For: 198.51.100.1, 203.0.113.7",), {"client": "203.0.113.7"}),
    (("X-Forwarded-For: 198.51.100.1, 203.0.113.7, 10.1.2.3",), {"client": "203.0.113.7"}),
    (("X-Forwarded-For: 203.0.113.7,10.1.2.3 ,\tfd00::1",), {"client": "203.0.113.7"}),
    (("X-Forwarded-For: 203.0.113.7, [fd00::1]:80, 10.1.2.3:1",), {"client": "203.0.113.7"}),
    (("X-Forwarded-For: 203.0.113.7, ::ffff:10.1.2.3",), {"client": "203.0.113.7"}),
    (("X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 10.1.2.3"), {"client": "203.0.113.7"}),
    (("X-Forwarded-For: 10.0.0.3, 10.0.0.2, 10.0.0.1",), {"client": "10.0.0.3"}),
    (("X-Forwarded-For: , 203.0.113.7, ,",), {"client": "203.0.113.7"}),
    # What is malformed ends the walk: what is right of it counts.
    (("X-Forwarded-For: unknown",), {}),
    (("X-Forwarded-For: 203.0.113.7, unknown",), {}),
    (("X-Forwarded-For: 203.0.113.7, unknown, 10.1.2.3",), {"client": "10.1.2.3"}),
    (("X-Forwarded-For: 203.0.113.7 10.1.2.3",), {}),
    (("X-Forwarded-For: 203.0.113.256",), {}),
    (("X-Forwarded-For: 203.0.113.07",), {}),
    (("X-Forwarded-For: 203.0.113.7:",), {}),
    (("X-Forwarded-For: 203.0.113.7:65536",), {}),
    (("X-Forwarded-For: 203.0.113.7:-1",), {}),
    (("X-Forwarded-For: [203.0.113.7]",), {}),
    (("X-Forwarded-For: [2001:db8::7",), {}),
    (("X-Forwarded-For: 2001:db8::7::1",), {}),
    (("X-Forwarded-For: fe80::1%<script>",), {}),
    (('X-Forwarded-For: "203.0.113.7"',), {}),
    (("X-Forwarded-For: \xb2.\xb3.1.1",), {}),
    (("X-Forwarded-For: 203.0.113.0/24",), {}),
    (("X-Forwarded-For: ",), {}),
]

PROTO: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("X-Forwarded-Proto: https",), {"scheme": "https"}),
    (("X-Forwarded-Proto: HTTPS",), {"scheme": "https"}),
    (("X-Forwarded-Proto: http",), {}),
    (("X-Forwarded-Proto: wss",), {"scheme": "https"}),
    (("X-Forwarded-Proto: ftp",), {}),
    (("X-Forwarded-Proto: https://",), {}),
    (("X-Forwarded-Proto: ",), {}),
    # Of several values, the one of the client's hop; or the last one.
    (("X-Forwarded-Proto: https, http",), {}),
    (("X-Forwarded-Proto: http, https",), {"scheme": "https"}),
    (("X-Forwarded-Proto: http", "X-Forwarded-Proto: https"), {"scheme": "https"}),
    (
        ("X-Forwarded-For: 203.0.113.7, 10.1.2.3", "X-Forwarded-Proto: https, http"),
        {"client": "203.0.113.7", "scheme": "https"},
    ),
    (
        ("X-Forwarded-For: 203.0.113.7, 10.1.2.3", "X-Forwarded-Proto: https"),
        {"client": "203.0.113.7", "scheme": "https"},
    ),
    (  # the client sent both, to a proxy that adds to both
        ("X-Forwarded-For: 10.1.2.3, 203.0.113.7", "X-Forwarded-Proto: https, http"),
        {"client": "203.0.113.7"},
    ),
    (
        ("X-Forwarded-For: 203.0.113.7, 10.0.0.2, 10.0.0.1", "X-Forwarded-Proto: https, http"),
        {"client": "203.0.113.7"},
    ),
]

HOST: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("X-Forwarded-Host: example.org",), {"host": ["example.org"], "server": ["example.org", 80]}),
    (("X-Forwarded-Host: example.org:81",), {"host": ["example.org:81"], "server": ["example.org", 81]}),
    (("X-Forwarded-Host: [2001:db8::1]:81",), {"host": ["[2001:db8::1]:81"], "server": ["2001:db8::1", 81]}),
    (("X-Forwarded-Host: [2001:db8::1]",), {"host": ["[2001:db8::1]"], "server": ["2001:db8::1", 80]}),
    (
        ("X-Forwarded-Host: example.org", "X-Forwarded-Proto: https"),
        {"host": ["example.org"], "server": ["example.org", 443], "scheme": "https"},
    ),
    (
        ("X-Forwarded-Host: example.org", "X-Forwarded-Port: 8443"),
        {"host": ["example.org"], "server": ["example.org", 8443]},
    ),
    (("X-Forwarded-Host: a.example, b.example",), {"host": ["b.example"], "server": "b.example"}),
    (
        ("X-Forwarded-For: 203.0.113.7, 10.1.2.3", "X-Forwarded-Host: a.example, b.example"),
        {"client": "203.0.113.7", "host": ["a.example"], "server": "a.example"},
    ),
    (("X-Forwarded-Host: example.org:65536",), {}),
    (("X-Forwarded-Host: example.org:x",), {}),
    (("X-Forwarded-Host: user@example.org",), {}),
    (("X-Forwarded-Host: example.org/path",), {}),
    (("X-Forwarded-Host: exam ple.org",), {}),
    (("X-Forwarded-Host: ex\xe4mple.org",), {}),
    (("X-Forwarded-Host: :80",), {}),
    (("X-Forwarded-Host: ",), {}),
    (("X-Forwarded-Port: 8443",), {"server": ["127.0.0.1", 8443]}),
    (("X-Forwarded-Port: 0",), {}),
    (("X-Forwarded-Port: 65536",), {}),
    (("X-Forwarded-Port: \xb2",), {}),
    (("X-Forwarded-Port: +80",), {}),
]

PREFIX: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("X-Forwarded-Prefix: /api",), {"root_path": "/api", "path": "/api/a"}),
    (("X-Forwarded-Prefix: /api/",), {"root_path": "/api", "path": "/api/a"}),
    (("X-Forwarded-Prefix: /api/v1",), {"root_path": "/api/v1", "path": "/api/v1/a"}),
    (("X-Forwarded-Prefix: /%E2%82%AC",), {"root_path": "/€", "path": "/€/a"}),
    (("X-Forwarded-Prefix: /a, /b",), {"root_path": "/b", "path": "/b/a"}),
    (("X-Forwarded-Prefix: /",), {}),
    *(
        ((f"X-Forwarded-Prefix: {prefix}",), {})
        for prefix in (
            *("", "api", "//evil.example", "/a//b", "/%2Fevil.example", "/a/%2f", "/\\evil.example"),
            *("/%5Cevil.example", "/a/..", "/../a", "/%2e%2e/a", "/./a", "/a b", "/a?b", "/a#b", "/%"),
            *("/%zz", "/%0d%0aSet-Cookie:a=b", "/%00", "/%FF", "/\xe9", "/%E2%80%AE", "http://evil.example/"),
        )
    ),
]

FORWARDED: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    ((), {}),
    (("Forwarded: for=203.0.113.7",), {"client": ["203.0.113.7", 0]}),
    (('Forwarded: for="203.0.113.7:4711"',), {"client": ["203.0.113.7", 4711]}),
    (('Forwarded: For="[2001:DB8::7]"',), {"client": ["2001:db8::7", 0]}),
    (('Forwarded: for="[2001:db8::7]:80"',), {"client": ["2001:db8::7", 80]}),
    (('Forwarded: for="203.0.113.7:_port"',), {"client": ["203.0.113.7", 0]}),
    ((r'Forwarded: for="\2\0\3.0.113.7"',), {"client": "203.0.113.7"}),
    (
        ('Forwarded: FOR=203.0.113.7;Proto=HTTPS;by=10.0.0.1;host="example.org:81"',),
        {
            "client": "203.0.113.7",
            "scheme": "https",
            "host": ["example.org:81"],
            "server": ["example.org", 81],
        },
    ),
    (
        ("Forwarded: for=203.0.113.7; proto=https ;host=example.org",),
        {"client": "203.0.113.7", "scheme": "https", "host": ["example.org"], "server": ["example.org", 443]},
    ),
    (
        ('Forwarded: host="[2001:db8::1]";proto="http";secret="a, for=198.51.100.1; \\" b"',),
        {"host": ["[2001:db8::1]"], "server": ["2001:db8::1", 80]},
    ),
    # From the right, behind trusted proxies.
    (("Forwarded: for=198.51.100.1, for=203.0.113.7",), {"client": "203.0.113.7"}),
    (("Forwarded: for=203.0.113.7, for=10.1.2.3",), {"client": "203.0.113.7"}),
    (("Forwarded: for=203.0.113.7", 'Forwarded: for="[fd00::1]:1"'), {"client": "203.0.113.7"}),
    (("Forwarded: for=10.0.0.3,for=10.0.0.2,, ,for=10.0.0.1",), {"client": "10.0.0.3"}),
    (
        ("Forwarded: for=203.0.113.7;proto=https, for=10.1.2.3;proto=http",),
        {"client": "203.0.113.7", "scheme": "https"},
    ),
    (
        ("Forwarded: for=203.0.113.7, for=10.1.2.3;proto=https",),
        {"client": "203.0.113.7", "scheme": "https"},
    ),
    (("Forwarded: for=10.1.2.3;proto=https, for=203.0.113.7",), {"client": "203.0.113.7"}),
    # A client that a proxy hides has no address; and whoever spoke to it is not known.
    (("Forwarded: for=unknown",), {"client": None}),
    (("Forwarded: for=Unknown",), {"client": None}),
    (('Forwarded: for="_hidden:_80"',), {"client": None}),
    (("Forwarded: for=203.0.113.7, for=_SEVKISEK, for=10.1.2.3",), {"client": None}),
    (("Forwarded: for=203.0.113.7, for=_a;proto=https",), {"client": None, "scheme": "https"}),
    # Without "for", the client is whom we know.
    (("Forwarded: proto=https",), {"scheme": "https"}),
    (("Forwarded: for=203.0.113.7, by=10.0.0.1",), {}),
    (("Forwarded: for=203.0.113.7, by=10.0.0.1, for=10.1.2.3",), {"client": "10.1.2.3"}),
    # What is malformed ends the walk.
    *(
        ((f"Forwarded: {value}",), {})
        for value in (
            *(
                "",
                ";",
                "203.0.113.7",
                "for",
                "for=",
                "for =203.0.113.7",
                "for= 203.0.113.7",
                "for:203.0.113.7",
            ),
            *(
                "for=203.0.113.7:80",
                "for=[2001:db8::7]",
                'for="2001:db8::7"',
                'for="203.0.113.7',
                "for=hidden",
            ),
            *('for=203.0.113.7"', 'for="203.0.113.7""', "for='203.0.113.7'", "for=203.0.113.256", 'for=""'),
            *("for=203.0.113.7;for=203.0.113.7", "for=203.0.113.7 proto=https", 'for="203.0.113.7:65536"'),
            *("for=203.0.113.7;proto=https;Proto=http", 'for="_"', 'for="_a b"', "for=203.0.113.7, for=x"),
            *(
                "proto=ftp",
                "host=:80",
                'host="a/b"',
                'host="user@a"',
                'host=""',
                'for="\\',
                "for=203.0.113.7, ;",
            ),
        )
    ),
    (('Forwarded: for=203.0.113.7, for="x", for=10.1.2.3',), {"client": "10.1.2.3"}),
    # A client that wants to swallow what the proxy adds behind a comma.
    (('Forwarded: for=198.51.100.1;a=", for=203.0.113.7',), {"client": "203.0.113.7"}),
    (('Forwarded: for=198.51.100.1;a=", for="203.0.113.7"',), {"client": "203.0.113.7"}),
    (('Forwarded: for=198.51.100.1;a="\\, for="203.0.113.7";b="c"',), {"client": "203.0.113.7"}),
    (('Forwarded: a=", for=203.0.113.7;secret=",for=198.51.100.1"',), {"client": "203.0.113.7"}),
]


def test_x_forwarded_for(serve: Serve) -> None:
    with serve(telling, proxy_headers="x-forwarded", trusted_proxies=TRUSTED) as server:
        check(server, FOR)


def test_x_forwarded_proto(serve_twice: Serve) -> None:
    with serve_twice(telling, proxy_headers="x-forwarded", trusted_proxies=TRUSTED) as server:
        check(server, PROTO)


def test_x_forwarded_host_and_port(serve_twice: Serve) -> None:
    with serve_twice(telling, proxy_headers="x-forwarded", trusted_proxies=TRUSTED) as server:
        check(server, HOST)


def test_x_forwarded_prefix(serve_twice: Serve) -> None:
    with serve_twice(telling, proxy_headers="x-forwarded", trusted_proxies=TRUSTED) as server:
        check(server, PREFIX)


def test_x_forwarded_prefix_stands_before_root_path(serve_twice: Serve) -> None:
    settings = {"proxy_headers": "x-forwarded", "root_path": "/app"}
    with serve_twice(telling, **settings) as server, server.connect() as client:
        found = ask(client, "X-Forwarded-Prefix: /outer", target="/a%20b?c")
        assert (found["root_path"], found["path"]) == ("/outer/app", "/outer/app/a b")
        assert found["raw_path"] == "/a%20b"
        found = ask(client)
        assert (found["root_path"], found["path"]) == ("/app", "/app/a")


def test_forwarded_as_of_RFC_7239(serve: Serve) -> None:
    with serve(telling, proxy_headers="forwarded", trusted_proxies=TRUSTED) as server:
        check(server, FORWARDED)


ALL = (
    "X-Forwarded-For: 203.0.113.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Port: 1",
    "X-Forwarded-Prefix: /evil",
    "Forwarded: for=203.0.113.7;proto=https;host=evil.example",
)


def test_nothing_is_believed_by_default(serve: Serve) -> None:
    with serve(telling) as server:
        check(server, [(ALL, {})])


@pytest.mark.parametrize("kind", ["x-forwarded", "forwarded"])
def test_only_the_fields_that_were_chosen_are_believed(serve_twice: Serve, kind: str) -> None:
    others = tuple(field for field in ALL if field.startswith("Forwarded") is (kind == "x-forwarded"))
    with serve_twice(telling, proxy_headers=kind) as server:
        check(server, [(others, {})])


@pytest.mark.parametrize("kind", ["x-forwarded", "forwarded"])
@pytest.mark.parametrize(
    "trusted", [("10.0.0.0/8", "unix"), ("127.0.0.2",), ()], ids=["others", "one other", "nobody"]
)
def test_an_untrusted_peer_has_no_say_and_its_fields_stay(
    serve_twice: Serve, kind: str, trusted: tuple[str, ...]
) -> None:
    with serve_twice(telling, proxy_headers=kind, trusted_proxies=trusted) as server:
        check(server, [(ALL, {}), (("X-Forwarded-For: 127.0.0.2, 10.0.0.1",), {})])


def test_everybody_is_trusted(serve_twice: Serve) -> None:
    with serve_twice(telling, proxy_headers="x-forwarded", trusted_proxies=("*",)) as server:
        check(server, [(("X-Forwarded-For: 203.0.113.7, 198.51.100.1",), {"client": "203.0.113.7"})])


def test_a_proxy_on_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    fields = ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-Port: 1")
    with (
        serve(telling, proxy_headers="x-forwarded", uds=path) as server,
        server.connect() as client,
    ):
        found = ask(client, *fields)
        assert (found["client"], found["server"]) == (["203.0.113.7", 0], [path, None])
        found = ask(client, *fields, "X-Forwarded-Host: example.org")
        assert found["server"] == ["example.org", 1]
        assert ask(client)["client"] is None
    with (
        serve(
            telling, proxy_headers="x-forwarded", uds=path, trusted_proxies=("0.0.0.0/0", "::/0")
        ) as server,
        server.connect() as client,
    ):
        assert ask(client, *fields)["client"] is None


def test_each_request_of_a_connection_has_its_own_client(serve: Serve) -> None:
    """Also when they repeat the fields of the one before, or come together."""
    with serve(telling, proxy_headers="x-forwarded") as server, server.connect() as client:
        asked = ["198.51.100.1", "198.51.100.1", "198.51.100.2", None, None, "198.51.100.1"]
        fields = [
            (f"X-Forwarded-For: {address}", "X-Forwarded-Host: a") if address else () for address in asked
        ]
        expected = [(address or "127.0.0.1", ["a"] if address else ["test"]) for address in asked]
        for more, wanted in zip(fields, expected, strict=True):
            found = ask(client, *more)
            assert (found["client"][0], found["host"]) == wanted
        client.send(b"".join(get("/a", *more) for more in fields))
        for wanted in expected:
            found = told(client.response().body)
            assert (found["client"][0], found["host"]) == wanted


def test_the_host_is_replaced_or_added_and_nothing_else(serve_twice: Serve) -> None:
    more = ("X-Forwarded-Host: example.org", "X-A: 1", "X-A: 2")
    with serve_twice(telling, proxy_headers="x-forwarded") as server:
        for line, host in (("HTTP/1.1", ("Host: test",)), ("HTTP/1.0", ("Host: test",)), ("HTTP/1.0", ())):
            found = told(server.ask(request(f"GET / {line}", "X-B: 1", *host, *more)).body)
            assert found["host"] == ["example.org"]
            rest = [field for field in found["headers"] if field[0] != "host"]
            assert rest == [["x-b", "1"], ["x-forwarded-host", "example.org"], ["x-a", "1"], ["x-a", "2"]]


def test_the_access_log_has_the_client(serve_twice: Serve) -> None:
    with (
        serve_twice(telling, proxy_headers="x-forwarded", access_log=True) as server,
        server.connect() as client,
    ):
        ask(client, "X-Forwarded-For: 203.0.113.7", target="/first")
        ask(client, target="/second")
        assert "203.0.113.7" in server.records.wait("asgiserve.access", "/first")
        assert "127.0.0.1" in server.records.wait("asgiserve.access", "/second")


def test_a_malformed_request_is_not_said_to_be_of_the_last_client(serve_twice: Serve) -> None:
    with serve_twice(telling, proxy_headers="x-forwarded") as server, server.connect() as client:
        ask(client, "X-Forwarded-For: 203.0.113.7")
        client.send(b"malformed\r\n\r\n")
        assert client.response().status == 400
        assert "127.0.0.1" in server.records.wait("asgiserve.error", "400")


def test_https_before_the_proxy_is_no_tls_behind_it(serve: Serve) -> None:
    """A connection that is half-closed is answered, and ends like one without TLS."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.2)  # until the end of what the client sends has come
        await telling(scope, receive, send)

    with serve(app, proxy_headers="x-forwarded") as server, server.connect() as client:
        client.send(get("/a", "X-Forwarded-Proto: https"))
        client.end()
        assert told(client.response().body)["scheme"] == "https"
        assert client.closed()


def test_http_before_the_proxy_is_tls_behind_it(serve: Serve, tmp_path: Path) -> None:
    """A file is encrypted, whatever the proxy says."""
    authority = trustme.CA()
    chain = str(tmp_path / "both.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(chain)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    file = tmp_path / "file"
    file.write_bytes(b"x" * 500_000)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["scheme"] == "http"
        await send(start())
        await send({"type": "http.response.pathsend", "path": str(file)})

    with (
        serve(app, proxy_headers="x-forwarded", ssl_certfile=chain) as server,
        server.connect(context) as client,
    ):
        client.send(get("/", "X-Forwarded-Proto: http"))
        assert client.response().body == file.read_bytes()


def test_claims_hold_until_the_end_of_a_stream(serve_twice: Serve) -> None:
    """The log names the client of a response that was cut, too."""
    go: Moment[None] = Moment()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(piece(b"x", more=True))
        await receive()
        await receive()
        go.happen(None)

    with serve_twice(app, proxy_headers="forwarded", access_log=True) as server:
        with server.connect() as client:
            client.send(get("/", "Forwarded: for=203.0.113.7"))
            client.read_until(b"1\r\nx\r\n")
            client.reset()
        go.wait()
        assert "203.0.113.7" in server.records.wait("asgiserve.access")


# Settings


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "10.0.0.1/8",
        "10.0.0",
        "10.0.0.0/33",
        "::/129",
        "unix:/run/s",
        "**",
        "[::1]",
        "1.2.3.4:80",
    ],
)
def test_wrong_trusted_proxies(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^trusted_proxies: .*" + re.escape(name.partition("/")[0])):
        Config(app=hello, trusted_proxies=("127.0.0.1", name))


@pytest.mark.parametrize(
    ("names", "trusted", "others"),
    [
        (("10.0.0.1",), ["10.0.0.1", "::ffff:10.0.0.1"], ["10.0.0.2", "::1"]),
        (("10.0.0.0/8, fd00::/8",), ["10.0.0.1", "fd00::1"], ["11.0.0.1", "fc00::1", "::ffff:11.0.0.1"]),
        (("fe80::/10",), ["fe80::1%eth0", "fe80::1"], ["fd00::1"]),
        (("*",), ["10.0.0.1", "::1"], []),
        ((" ", ""), [], ["10.0.0.1", "::1"]),
        (("unix",), [], ["10.0.0.1", "::1"]),
    ],
)
def test_who_is_trusted(names: tuple[str, ...], trusted: list[str], others: list[str]) -> None:
    proxies = TrustedProxies(names)
    assert [host for host in trusted + others if proxies.trust_peer(AF_INET, host)] == trusted
    assert proxies.trust_peer(AF_UNIX, None) is ("unix" in names or "*" in names)
    assert proxies.trust_peer(AF_INET, None) is False  # reset by its peer before it was looked at


def test_the_command_line() -> None:
    arguments = (
        "--proxy-headers",
        "forwarded",
        "--trusted-proxy",
        "10.0.0.0/8",
        "--trusted-proxy",
        "127.0.0.1",
    )
    with Program("program", *arguments) as program, program.connect() as client:
        client.send(get("/", "Forwarded: for=203.0.113.7, for=10.0.0.9"))
        assert json.loads(client.response().body)["client"] == ["203.0.113.7", 0]
    assert run_to_end("tests.asgiserve.applications:hello", "--trusted-proxy", "nonsense").returncode == 2


# Whatever is sent

SEVERAL = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None, derandomize=True
)

PIECES = st.sampled_from(
    [
        *(
            "for",
            "by",
            "host",
            "proto",
            "=",
            ";",
            ",",
            ", ",
            '"',
            "\\",
            "[",
            "]",
            ":",
            "%",
            "/",
            "//",
            ".",
            "..",
            "_",
        ),
        *(
            "unknown",
            "_hidden",
            "203.0.113.7",
            "10.1.2.3",
            "[2001:db8::7]",
            "2001:db8::7",
            "80",
            "65536",
            "0",
        ),
        *(
            "https",
            "http",
            "wss",
            "example.org",
            "/api",
            "%2F",
            "%00",
            "%E2%82%AC",
            " ",
            "\t",
            "*",
            "@",
            "?",
            "#",
        ),
        *('for="203.0.113.7"', "for=10.1.2.3", 'for="[fd00::1]"', "\x80", "\xff", "\xb2"),
    ]
)
VALUES = st.one_of(
    st.lists(PIECES, max_size=12).map("".join),
    st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0xFF).filter(lambda c: not 0x7F <= ord(c) < 0xA0)
    ),
)
NAMES = ("For", "Proto", "Host", "Port", "Prefix")
HOSTS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[!-~]+)(:\d*)?")


def sane(found: dict[str, Any]) -> None:
    """Whatever proxies said, an application can rely on this."""
    if found["client"] is not None:
        ipaddress.ip_address(found["client"][0])
        assert 0 <= found["client"][1] <= 65535
    assert found["scheme"] in ("http", "https")
    assert len(found["host"]) == 1
    assert HOSTS.fullmatch(found["host"][0])
    host, port = found["server"]
    assert host
    assert 0 <= port <= 65535
    root = found["root_path"]
    assert root == "" or re.fullmatch(r"(/[^/\\]+)+", root)
    assert root.isprintable()
    assert found["path"] == root + "/a"


def test_no_value_of_x_forwarded_does_harm(serve_twice: Serve) -> None:
    with (
        serve_twice(telling, proxy_headers="x-forwarded", trusted_proxies=TRUSTED) as server,
        server.connect() as client,
    ):

        @SEVERAL
        @given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=7))
        def whatever(fields: list[tuple[str, str]]) -> None:
            sane(ask(client, *(f"X-Forwarded-{name}: {value}" for name, value in fields)))

        whatever()


def test_no_value_of_forwarded_does_harm(serve_twice: Serve) -> None:
    with (
        serve_twice(telling, proxy_headers="forwarded", trusted_proxies=TRUSTED) as server,
        server.connect() as client,
    ):

        @SEVERAL
        @given(st.lists(VALUES, max_size=4))
        def whatever(values: list[str]) -> None:
            sane(ask(client, *(f"Forwarded: {value}" for value in values)))

        whatever()


PROXIES = TrustedProxies(TRUSTED)

#: How a proxy may write down that 203.0.113.7 has spoken to it.
ADDED = st.tuples(
    st.sampled_from(
        ["for=203.0.113.7", 'For="203.0.113.7:80"', r'for="203\.0.113.7"', 'FOR="203.0.113.7:_x"']
    ),
    st.lists(
        st.one_of(
            st.sampled_from(["by=10.0.0.1", "proto=https", 'host="example.org"', 'x=""', ""]),
            st.text(' ,;=\\"aé').map(lambda text: 'secret="{}"'.format(re.sub(r'(["\\])', r"\\\1", text))),
        ),
        max_size=1,
    ),
    st.booleans(),
).map(lambda parts: ";".join([parts[0], *parts[1]][:: -1 if parts[2] else 1]))


@settings(deadline=None, max_examples=600, database=None, derandomize=True)
@given(VALUES, ADDED, st.integers(0, 3), st.booleans())
def test_nothing_that_a_client_sends_hides_what_proxies_add(
    sent: str, added: str, proxies: int, separate: bool
) -> None:
    """It stands left of it, in the same field or in one of its own."""
    behind = ["for=10.0.0.9;proto=http"] * proxies
    values = [sent, ", ".join([added, *behind])] if separate else [", ".join([sent, added, *behind])]
    claims = read_forwarded(PROXIES, tuple((b"forwarded", value.encode("latin-1")) for value in values))
    assert claims.client is not None
    assert claims.client[0] == "203.0.113.7"


@settings(deadline=None, max_examples=300, database=None, derandomize=True)
@given(VALUES, st.integers(0, 3), st.booleans())
def test_nothing_that_a_client_sends_hides_what_proxies_add_to_x_forwarded_for(
    sent: str, proxies: int, separate: bool
) -> None:
    added = ", ".join(["203.0.113.7:80", *["10.0.0.9"] * proxies])
    values = [sent, added] if separate else [f"{sent}, {added}"]
    fields = tuple((b"x-forwarded-for", value.encode("latin-1")) for value in values)
    assert read_x_forwarded(PROXIES, fields).client == ("203.0.113.7", 80)


@pytest.mark.parametrize(
    "piece", [",", '"', ',"', ',"\\', 'a=",b="', "for=10.0.0.1,", ',for="10.0.0.1";a=",b="', ";"]
)
def test_long_values_take_no_longer_than_their_length(piece: str, serve_twice: Serve) -> None:
    """Hops without an end, or quotes that are never closed; 60 kB would take minutes if it were squared."""
    fields = [f"Forwarded: {piece * (8000 // len(piece))}"] * 7
    with (
        serve_twice(telling, proxy_headers="forwarded", trusted_proxies=("*",)) as server,
        server.connect() as client,
    ):
        sane(ask(client, *fields))
        assert ask(client)["client"][0] == "127.0.0.1"


def test_a_reset_peer_is_not_taken_for_a_unix_socket(serve: Serve) -> None:
    """What it had sent may still be read, when the kernel no longer knows its address."""
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["client"])
        await telling(scope, receive, send)

    with serve(app, proxy_headers="x-forwarded", trusted_proxies=("unix",)) as server:
        for _ in range(50):
            client = server.connect()
            client.send(get("/a", "X-Forwarded-For: 203.0.113.7"))
            client.reset()
        assert server.ask(GET).status == 200
    assert ("203.0.113.7", 0) not in seen
