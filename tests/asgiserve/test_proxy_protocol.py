"""`proxy_protocol`: headers of the PROXY protocol, versions 1 and 2 (proxy-protocol.txt of HAProxy)."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asgiserve.proxies.proxy_protocol import LONGEST_2, MalformedHeader, parse_header
from tests.asgiserve.applications import Receive, Scope, Send, answer
from tests.asgiserve.program import STARTING
from tests.asgiserve.raw import GET, Client, Response, eventually, get
from tests.asgiserve.serving import Serve, Serving

trustme = pytest.importorskip("trustme")

V1 = b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, family: int, block: bytes, length: int | None = None) -> bytes:
    """A header of version 2."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(block) if length is None else length) + block


def inet(source: str, destination: str, source_port: int = 4711, destination_port: int = 443) -> bytes:
    """Addresses and ports, as they stand in a header of version 2."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = (socket.inet_pton(family, address) for address in (source, destination))
    return b"".join(addresses) + struct.pack("!HH", source_port, destination_port)


FOUR = inet("203.0.113.7", "198.51.100.1")
SIX = inet("2001:db8::7", "2001:db8::1")
PATHS = b"/run/client".ljust(108, b"\0") + b"/run/server".ljust(108, b"\0")
TLVS = b"\x03\0\4abcd" + b"\x04\0\x10" + b"\0" * 16 + b"\x20\0\x03\1\0\0"

CLIENT = ["203.0.113.7", 4711]
SERVER = ["198.51.100.1", 443]
V2 = v2(0x21, 0x11, FOUR)

#: Headers, and what they make of the scope's client and server; "own" is what the socket says.
VALID: list[tuple[str, bytes, Any, Any]] = [
    ("v1 IPv4", V1, CLIENT, SERVER),
    (
        "v1 IPv6",
        b"PROXY TCP6 2001:DB8::7 2001:db8:0:0::1 0 65535\r\n",
        ["2001:db8::7", 0],
        ["2001:db8::1", 65535],
    ),
    ("v1 longest", b"PROXY TCP6 " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n", ..., ...),
    ("v1 mapped", b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:198.51.100.1 4711 443\r\n", CLIENT, SERVER),
    ("v1 unknown", b"PROXY UNKNOWN\r\n", "own", "own"),
    ("v1 unknown, more", b"PROXY UNKNOWN 203.0.113.7 any thing 65536\r\n", "own", "own"),
    ("v1 unknown, longest", b"PROXY UNKNOWN ".ljust(105, b"x") + b"\r\n", "own", "own"),
    ("v2 IPv4", V2, CLIENT, SERVER),
    ("v2 IPv6", v2(0x21, 0x21, SIX), ["2001:db8::7", 4711], ["2001:db8::1", 443]),
    ("v2 mapped", v2(0x21, 0x21, inet("::ffff:203.0.113.7", "::ffff:198.51.100.1")), CLIENT, SERVER),
    ("v2 over UDP", v2(0x21, 0x12, FOUR), CLIENT, SERVER),  # HTTP/3 before the proxy
    ("v2 UNIX", v2(0x21, 0x31, PATHS), None, ["/run/server", None]),
    ("v2 UNIX, no names", v2(0x21, 0x32, bytes(216)), None, None),
    ("v2 TLVs", v2(0x21, 0x11, FOUR + TLVS), CLIENT, SERVER),
    ("v2 IPv6 TLVs", v2(0x21, 0x21, SIX + TLVS * 50), ["2001:db8::7", 4711], ["2001:db8::1", 443]),
    ("v2 longest", v2(0x21, 0x11, FOUR.ljust(LONGEST_2 - 16, b"\4")), CLIENT, SERVER),
    ("v2 unspecified", v2(0x21, 0x00, b""), "own", "own"),
    ("v2 unspecified, more", v2(0x21, 0x00, TLVS), "own", "own"),
    ("v2 local", v2(0x20, 0x00, b""), "own", "own"),
    ("v2 local with addresses", v2(0x20, 0x11, FOUR + TLVS), "own", "own"),
    ("v2 local, too short for addresses", v2(0x20, 0x21, b"abc"), "own", "own"),
]

MALFORMED: list[tuple[str, bytes]] = [
    ("no header", GET),
    ("TLS", b"\x16\x03\x01\x02\0\1"),
    ("v1 lower case", b"proxy TCP4 203.0.113.7 198.51.100.1 4711 443\r\n"),
    ("v1 family", b"PROXY TCP5 203.0.113.7 198.51.100.1 4711 443\r\n"),
    ("v1 other family", b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n"),
    ("v1 other family", b"PROXY TCP6 203.0.113.7 198.51.100.1 4711 443\r\n"),
    ("v1 address", b"PROXY TCP4 203.0.113.256 198.51.100.1 4711 443\r\n"),
    ("v1 leading zero", b"PROXY TCP4 203.0.113.07 198.51.100.1 4711 443\r\n"),
    ("v1 zone", b"PROXY TCP6 fe80::1%eth0 fe80::2 4711 443\r\n"),
    ("v1 port", b"PROXY TCP4 203.0.113.7 198.51.100.1 65536 443\r\n"),
    ("v1 port's leading zero", b"PROXY TCP4 203.0.113.7 198.51.100.1 04711 443\r\n"),
    ("v1 port's sign", b"PROXY TCP4 203.0.113.7 198.51.100.1 +4711 443\r\n"),
    ("v1 too few", b"PROXY TCP4 203.0.113.7 198.51.100.1 4711\r\n"),
    ("v1 too many", b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443 1\r\n"),
    ("v1 spaces", b"PROXY TCP4  203.0.113.7 198.51.100.1 4711 443\r\n"),
    ("v1 empty", b"PROXY \r\n"),
    ("v1 too long", b"PROXY UNKNOWN ".ljust(106, b"x") + b"\r\n"),
    ("v1 without end", b"PROXY UNKNOWN ".ljust(107, b"x")),
    ("v2 version", v2(0x11, 0x11, FOUR)),
    ("v2 command", v2(0x22, 0x11, FOUR)),
    ("v2 family", v2(0x21, 0x41, FOUR)),
    ("v2 transport", v2(0x21, 0x13, FOUR)),
    ("v2 half a family", v2(0x21, 0x10, FOUR)),
    ("v2 too short", v2(0x21, 0x11, FOUR[:-1])),
    ("v2 too short", v2(0x21, 0x21, FOUR)),
    ("v2 too short", v2(0x21, 0x31, PATHS[:-1])),
    ("v2 empty", v2(0x21, 0x11, b"")),
    ("v2 too long", v2(0x21, 0x11, b"", LONGEST_2 - 15)),
    ("v2 endless", v2(0x21, 0x11, b"", 65535)),
    ("v2 almost", SIGNATURE[:-1] + b"\r" + V2[12:]),
]


async def telling(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what the scope says of the two ends."""
    await answer(send, json.dumps({end: scope[end] for end in ("client", "server", "scheme")}).encode())


def told(response: Response) -> dict[str, Any]:
    """What `telling` has answered."""
    assert response.status == 200, response
    found: dict[str, Any] = json.loads(response.body)
    return found


def own(client: Client) -> dict[str, Any]:
    """What the sockets say of the two ends of a connection."""
    return {"client": list(client.socket.getsockname()), "server": list(client.socket.getpeername())}


def ask(server: Serving, sent: bytes) -> dict[str, Any]:
    """What the application is told of a request on a new connection."""
    with server.connect() as client:
        client.send(sent)
        return told(client.response())


@pytest.mark.parametrize("pieces", ["together", "byte by byte", "apart"])
def test_client_and_server_are_those_of_the_header(serve: Serve, pieces: str) -> None:
    if pieces == "byte by byte":
        headers = [row for row in VALID if len(row[1]) < 60]
    else:
        headers = VALID
    with serve(telling, proxy_protocol=True) as server:
        for name, header, client_end, server_end in headers:
            with server.connect() as client:
                if pieces == "together":
                    client.send(header + GET)
                elif pieces == "apart":
                    client.send(header)
                    client.send(GET)
                else:
                    for byte in header + GET:
                        client.send(bytes([byte]))
                ends = own(client)
                for _ in range(2):  # of all requests of the connection
                    found = told(client.response())
                    for end, expected in (("client", client_end), ("server", server_end)):
                        if expected is not ...:
                            assert found[end] == (ends[end] if expected == "own" else expected), name
                    client.send(GET)


def test_pipelined_requests_behind_a_header(serve: Serve) -> None:
    with serve(telling, proxy_protocol=True) as server, server.connect() as client:
        client.send(V1 + GET * 20)
        for _ in range(20):
            assert told(client.response())["client"] == CLIENT


def test_what_is_malformed_ends_the_connection_without_an_answer(serve_twice: Serve) -> None:
    with serve_twice(telling, proxy_protocol=True) as server:
        for name, sent in MALFORMED:
            with server.connect() as client:
                client.send(sent)
                with contextlib.suppress(ConnectionResetError):
                    assert client.read_all() == b"", name
        assert ask(server, V1 + GET)["client"] == CLIENT
        server.records.wait("INFO asgiserve.error: 127.0.0.1:", "PROXY")
        assert len([line for line in server.records.lines if "INFO" in line and "PROXY" in line]) == len(
            MALFORMED
        )


def test_each_beginning_of_a_header_waits_for_more() -> None:
    for _, header, _, _ in VALID:
        for size in range(1, len(header)):
            assert parse_header(header[:size]) is None
        for more in (b"", b"\r\n", GET, header):
            found = parse_header(header + more)
            assert found is not None
            assert found.size == len(header)


@pytest.mark.parametrize("beginning", [b"", V1[:20], V2[:20]], ids=["nothing", "v1", "v2"])
def test_a_header_that_does_not_come_in_time(serve_twice: Serve, beginning: bytes) -> None:
    with serve_twice(telling, proxy_protocol=True, request_timeout=0.3) as server:
        with server.connect() as client:
            client.send(beginning)
            assert client.closed()
        server.records.wait("INFO asgiserve.error: 127.0.0.1:", "PROXY", "too long")


def test_a_proxy_that_looks_whether_the_server_lives_is_not_logged(serve_twice: Serve) -> None:
    with serve_twice(telling, proxy_protocol=True) as server:
        with server.connect() as client:
            client.end()
            assert client.closed()
        with server.connect() as client:
            client.send(V1[:20])
            client.end()
            assert client.closed()
        server.records.wait("PROXY", "ends early")
        assert len([line for line in server.records.lines if "PROXY" in line]) == 1


def test_of_an_untrusted_peer_no_header_is_read(serve: Serve) -> None:
    with serve(telling, proxy_protocol=True, trusted_proxies=("10.0.0.0/8", "unix")) as server:
        with server.connect() as client:
            client.send(GET)
            assert told(client.response()) == {**own(client), "scheme": "http"}
        for header in (V1, V2):
            assert server.ask(header + GET).status == 400


def test_without_the_setting_no_header_is_read(serve: Serve) -> None:
    with serve(telling) as server:
        for header in (V1, V2):
            assert server.ask(header + GET).status == 400


def test_a_proxy_on_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with serve(telling, proxy_protocol=True, uds=path) as server:
        assert ask(server, V2 + GET) == {"client": CLIENT, "server": SERVER, "scheme": "http"}
        assert ask(server, b"PROXY UNKNOWN\r\n" + GET)["client"] is None
    with serve(telling, proxy_protocol=True, uds=path, trusted_proxies=("127.0.0.1",)) as server:
        assert ask(server, GET)["server"] == [path, None]
        assert server.ask(V1 + GET).status == 400


def test_the_access_log_has_the_client(serve_twice: Serve) -> None:
    with serve_twice(telling, proxy_protocol=True, access_log=True) as server:
        ask(server, V1 + GET)
        server.records.wait("asgiserve.access", "203.0.113.7")


# Together with header fields


def test_fields_of_the_proxied_client_are_believed_if_that_is_a_proxy(serve: Serve) -> None:
    settings: dict[str, Any] = {"proxy_protocol": True, "proxy_headers": "x-forwarded"}
    asked = get("/", "X-Forwarded-For: 192.0.2.1")
    mapped = v2(0x21, 0x21, inet("::ffff:203.0.113.7", "::ffff:198.51.100.1"))
    with serve(telling, **settings, trusted_proxies=("127.0.0.1", "203.0.113.7", "unix")) as server:
        for header in (V1, V2, mapped, v2(0x20, 0x00, b"")):
            assert ask(server, header + asked)["client"] == ["192.0.2.1", 0]
        # Whoever hides behind these may be anybody.
        for header in (b"PROXY UNKNOWN\r\n", v2(0x21, 0x00, b"")):
            assert ask(server, header + asked)["client"][0] == "127.0.0.1"
        assert ask(server, v2(0x21, 0x31, PATHS) + asked)["client"] is None
    with serve(telling, **settings, trusted_proxies=("127.0.0.1",)) as server:
        for header in (V1, V2):
            assert ask(server, header + asked)["client"] == CLIENT


# TLS


class Certificate:
    """A file of a certificate for localhost, and a context that trusts it."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        self.file = str(directory / "both.pem")
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(self.file)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Made once: keys take their time."""
    return Certificate(tmp_path_factory.mktemp("tls"))


class TLSInPieces:
    """A client of TLS that decides which bytes leave together."""

    def __init__(self, client: Client, context: ssl.SSLContext) -> None:
        self._client = client
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    def hello(self) -> bytes:
        """The ClientHello."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self._outgoing.read()

    def ask(self, request: bytes) -> bytes:
        """Finish the handshake, with the request in the same piece as its end; returns the answer."""
        while True:
            self._incoming.write(self._client.read())
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                if rest := self._outgoing.read():
                    self._client.send(rest)
        self._tls.write(request)
        self._client.send(self._outgoing.read())
        answered = b""
        while not answered.endswith(b"}"):
            try:
                answered += self._tls.read()
            except ssl.SSLWantReadError:
                self._incoming.write(self._client.read())
        return answered


@pytest.mark.parametrize("header", [V1, V2, v2(0x21, 0x21, SIX + TLVS * 50)], ids=["v1", "v2", "v2 TLVs"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("pieces", ["together", "apart", "overlapping"])
def test_tls_begins_behind_the_header(
    serve_twice: Serve, certificate: Certificate, header: bytes, version: ssl.TLSVersion, pieces: str
) -> None:
    """Also if its first bytes come in one packet with the header, or with a part of that."""
    certificate.client.maximum_version = version
    with (
        serve_twice(telling, proxy_protocol=True, ssl_certfile=certificate.file) as server,
        server.connect() as client,
    ):
        tls = TLSInPieces(client, certificate.client)
        hello = tls.hello()
        if pieces == "together":
            client.send(header + hello)
        elif pieces == "apart":
            client.send(header)
            client.send(hello)
        else:
            client.send(header[:14])
            client.send(header[14:] + hello[:3])
            client.send(hello[3:])
        answered = tls.ask(GET)
        assert b" 200 " in answered
        found = json.loads(answered[answered.index(b"{") :])
        assert found["scheme"] == "https"
        assert found["client"][1] == 4711


def test_tls_without_a_header(serve_twice: Serve, certificate: Certificate) -> None:
    with serve_twice(telling, proxy_protocol=True, ssl_certfile=certificate.file) as server:
        with pytest.raises(OSError):
            server.connect(certificate.client)
        server.records.wait("INFO", "PROXY")
    settings: dict[str, Any] = {"ssl_certfile": certificate.file, "trusted_proxies": ("10.0.0.1",)}
    with (
        serve_twice(telling, proxy_protocol=True, **settings) as server,
        server.connect(certificate.client) as client,
    ):
        client.send(GET)
        assert told(client.response())["client"] == own(client)["client"]


def test_a_handshake_behind_a_header_that_fails(serve_twice: Serve, certificate: Certificate) -> None:
    settings: dict[str, Any] = {"ssl_certfile": certificate.file, "ssl_handshake_timeout": 0.5}
    with serve_twice(telling, proxy_protocol=True, **settings) as server:
        for garbage in (b"not TLS at all\r\n\r\n", b""):
            with server.connect() as client:
                client.send(V1 + garbage)
                assert client.ended()


# The end


@pytest.mark.parametrize("sent", [b"", V1[:20], V1], ids=["nothing", "half a header", "a header"])
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_a_connection_that_has_hardly_begun_does_not_keep_the_server(
    serve_twice: Serve, certificate: Certificate, sent: bytes, encrypted: bool
) -> None:
    """Even if those in progress have all the time that they want."""
    tls = {"ssl_certfile": certificate.file} if encrypted else {}
    with (
        serve_twice(telling, proxy_protocol=True, shutdown_timeout=0.0, request_timeout=0.0, **tls) as server,
        server.connect() as client,
    ):
        client.send(sent)
        with server.connect() as other:  # accepted after the first one
            other.send(b"malformed")
            assert other.ended()
        server.stop()
        server.stopped()
        assert client.ended()


def test_limit_connections_counts_those_in_their_header(serve_twice: Serve) -> None:
    with serve_twice(telling, proxy_protocol=True, limit_connections=2) as server:
        waiting = [server.connect() for _ in range(2)]
        with server.connect() as third:
            waiting[0].send(V1 + GET)
            assert told(waiting[0].response())["client"] == CLIENT
            third.send(V1 + GET)
            third.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                third.read()
            third.socket.settimeout(10)
            waiting[1].close()
            assert told(third.response())["client"] == CLIENT
        waiting[0].close()


def test_many_connections_at_once(serve_twice: Serve) -> None:
    with serve_twice(telling, proxy_protocol=True) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(200)]
        for number, client in enumerate(clients):
            client.send(v2(0x21, 0x11, inet("203.0.113.7", "198.51.100.1", number)))
        for client in reversed(clients):
            client.send(GET)
        for number, client in enumerate(clients):
            assert told(client.response())["client"] == ["203.0.113.7", number]


# Whatever is sent

BYTES = st.one_of(
    st.binary(max_size=64),
    st.builds(
        lambda header, place, byte: header[:place] + bytes([byte]) + header[place + 1 :],
        st.sampled_from([V1, V2, v2(0x21, 0x21, SIX + TLVS)]),
        st.integers(0, 60),
        st.integers(0, 255),
    ),
    st.builds(
        v2, st.sampled_from([0x20, 0x21]), st.integers(0, 0x33), st.binary(max_size=240), st.integers(0, 300)
    ),
    st.lists(
        st.sampled_from(
            [b"PROXY", b"TCP4", b"TCP6", b"UNKNOWN", b"1.2.3.4", b"::1", b"80", b"65536", b"x", b"\r\n"]
        ),
        max_size=8,
    ).map(b" ".join),
)


@settings(deadline=None, max_examples=400, database=None, derandomize=True)
@given(BYTES)
def test_parsing_never_fails_otherwise(sent: bytes) -> None:
    try:
        header = parse_header(sent + b"\r\n")
    except MalformedHeader:
        return
    assert header is None or 15 <= header.size <= LONGEST_2


def test_no_bytes_before_a_request_do_harm(serve_twice: Serve) -> None:
    """They are answered as the request that they make, or not at all; never with an error of the server."""
    with serve_twice(telling, proxy_protocol=True) as server:

        @settings(
            deadline=None,
            max_examples=100,
            database=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(BYTES)
        def whatever(sent: bytes) -> None:
            with server.connect() as client:
                answered = b""
                with contextlib.suppress(OSError):  # it may be closed already
                    client.send(sent + GET)
                    client.end()
                with contextlib.suppress(ConnectionResetError):
                    answered = client.read_all()
                assert not answered or answered.startswith(
                    (b"HTTP/1.1 200 ", b"HTTP/1.1 4", b"HTTP/1.1 505 ", b"HTTP/1.1 501 ")
                )

        whatever()
        assert ask(server, V1 + GET)["client"] == CLIENT


# The real one


@contextlib.contextmanager
def haproxy(directory: Path, server: Serving, send: str) -> Iterator[Client]:
    """A connection to HAProxy, which speaks the PROXY protocol to the server."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    configuration = directory / "haproxy.cfg"
    configuration.write_text(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
        f"listen all\n bind 127.0.0.1:{port}\n server one 127.0.0.1:{server.address[1]} {send}\n"
    )
    with subprocess.Popen([shutil.which("haproxy") or "", "-db", "-f", str(configuration)]) as process:
        try:
            clients: list[Client] = []

            def connected() -> bool:
                with contextlib.suppress(ConnectionRefusedError):
                    clients.append(Client(("127.0.0.1", port)))
                return bool(clients)

            assert eventually(connected, STARTING)
            with clients[0] as client:
                yield client
        finally:
            process.kill()


@pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")
@pytest.mark.parametrize(
    "send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"]
)
def test_haproxy(serve_twice: Serve, tmp_path: Path, send: str) -> None:
    with serve_twice(telling, proxy_protocol=True) as server, haproxy(tmp_path, server, send) as client:
        for _ in range(3):
            client.send(GET)
            assert told(client.response()) == {**own(client), "scheme": "http"}
