"""Which requests are served and which are refused, rule by rule: RFC 9112 (messages) and RFC 9110 (meaning).

One table, two parsers: each row is a name that begins with its section, the bytes, and the status.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.asgiserve.applications import Receive, Scope, Send, answer, echo, read_body
from tests.asgiserve.conftest import COMBINATIONS
from tests.asgiserve.raw import GET, Client
from tests.asgiserve.serving import Serving, serve_on

HOST = b"Host: test\r\n"


def line(first: bytes, rest: bytes = HOST) -> bytes:
    """A request with this request line."""
    return first + b"\r\n" + rest + b"\r\n"


def field(content: bytes) -> bytes:
    """A GET request with these bytes among its header fields, before a last one."""
    return b"GET / HTTP/1.1\r\nHost: test\r\n" + content + b"\r\nX-Last: 1\r\n\r\n"


def host(content: bytes) -> bytes:
    """A GET request with this Host."""
    return b"GET / HTTP/1.1\r\nHost: " + content + b"\r\n\r\n"


def length(content: bytes, body: bytes = b"12345") -> bytes:
    """A POST request with these bytes in the place of a Content-Length field."""
    return b"POST / HTTP/1.1\r\nHost: test\r\n" + content + b"\r\n\r\n" + body


def coding(content: bytes, body: bytes = b"5\r\n12345\r\n0\r\n\r\n", version: bytes = b"1.1") -> bytes:
    """A POST request with these bytes in the place of a Transfer-Encoding field."""
    return b"POST / HTTP/" + version + b"\r\nHost: test\r\n" + content + b"\r\n\r\n" + body


SERVED = {
    "9112-2.2-empty-line-before": b"\r\n" + GET,
    "9112-2.2-empty-lines-before": b"\r\n\r\n" + GET,
    "9112-2.3-http-1.0": line(b"GET / HTTP/1.0"),
    "9112-3.2-no-host-in-1.0": line(b"GET / HTTP/1.0", b""),
    "9112-3.2-host-is-empty": host(b""),
    "9112-3.2-host-with-port": host(b"example.com:8080"),
    "9112-3.2-host-with-empty-port": host(b"example.com:"),
    "9112-3.2-host-is-ipv4": host(b"127.0.0.1:80"),
    "9112-3.2-host-is-ipv6": host(b"[::1]:80"),
    "9112-3.2-host-with-underscore": host(b"my_host"),
    "9112-3.2-host-percent-encoded": host(b"caf%C3%A9.example"),
    "9112-3.2.1-origin-form": line(b"GET /a/b?c=d HTTP/1.1"),
    "9112-3.2.1-all-characters-of-a-path": line(b"GET /-._~!$&'()*+,;=:@%41/?/? HTTP/1.1"),
    "9112-3.2.2-absolute-form": line(b"GET http://test/a HTTP/1.1"),
    "9112-3.2.4-asterisk-form": line(b"OPTIONS * HTTP/1.1"),
    "9112-5.1-no-space-behind-the-colon": field(b"X-A:b"),
    "9112-5.1-spaces-around-the-value": field(b"X-A: \t b \t "),
    "9112-5.1-empty-value": field(b"X-A:"),
    "9110-5.5-obs-text-in-a-value": field(b"X-A: caf\xc3\xa9\xff"),
    "9110-5.5-tab-in-a-value": field(b"X-A: b\tc"),
    "9110-5.6.2-all-characters-of-a-token": field(b"!#$%&'*+-.^_`|~09azAZ: b"),
    "9112-6.1-coding-in-other-case": coding(b"Transfer-Encoding: CHUNKED"),
    "9112-6.3-length": length(b"Content-Length: 5"),
    "9112-6.3-length-0": length(b"Content-Length: 0", b""),
    "9112-6.3-length-with-zeros": length(b"Content-Length: 005"),
    "9112-6.3-no-length-is-no-body": b"POST / HTTP/1.1\r\nHost: test\r\n\r\n",
    "9110-8.6-body-of-a-get": b"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n12345",
    "9112-7.1-zeros-before-a-size": coding(b"Transfer-Encoding: chunked", b"0005\r\n12345\r\n000\r\n\r\n"),
    "9112-7.1-hexadecimal-size": coding(b"Transfer-Encoding: chunked", b"A\r\n1234567890\r\n0\r\n\r\n"),
    "9112-7.1-lower-case-size": coding(b"Transfer-Encoding: chunked", b"a\r\n1234567890\r\n0\r\n\r\n"),
    "9112-7.1.1-extension": coding(b"Transfer-Encoding: chunked", b"5;a=b\r\n12345\r\n0\r\n\r\n"),
    "9112-7.1.1-quoted-extension": coding(b"Transfer-Encoding: chunked", b'5;a="b;c"\r\n12345\r\n0\r\n\r\n'),
    "9112-7.1.1-white-space-around": coding(
        b"Transfer-Encoding: chunked", b"5 ; a = b\r\n12345\r\n0\r\n\r\n"
    ),
    "9112-7.1.2-trailers": coding(b"Transfer-Encoding: chunked", b"5\r\n12345\r\n0\r\nX-A: b\r\n\r\n"),
    "9110-7.6.1-connection-options": field(b"Connection: x-a, keep-alive"),
    "9110-7.8-upgrade-is-not-taken": field(b"Connection: upgrade\r\nUpgrade: h2c"),
    "9110-10.1.1-expectation-in-1.0-is-ignored": line(b"GET / HTTP/1.0", b"Expect: what\r\n"),
}

REFUSED = {
    "9112-2.2-bare-lf-ends-lines": (400, b"GET / HTTP/1.1\nHost: test\n\n"),
    "9112-2.2-bare-lf-ends-the-first-line": (400, b"GET / HTTP/1.1\nHost: test\r\n\r\n"),
    "9112-2.2-bare-lf-ends-a-field": (400, b"GET / HTTP/1.1\r\nHost: test\nX-A: b\r\n\r\n"),
    "9112-2.2-bare-cr-in-the-first-line": (400, line(b"GET /\r HTTP/1.1")),
    "9112-2.2-bare-cr-ends-a-field": (400, field(b"X-A: b\rX-B: c")),
    "9112-2.2-white-space-before-the-first-field": (400, line(b"GET / HTTP/1.1", b" X-A: b\r\n" + HOST)),
    "9112-2.2-no-http": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "9112-2.2-garbage": (400, b"\x00\x01\x02\x03\r\n\r\n"),
    "9112-2.3-http-2.0": (505, line(b"GET / HTTP/2.0")),
    "9112-2.3-http-0.9": (505, line(b"GET / HTTP/0.9")),
    "9112-2.3-http-3.0": (505, line(b"GET / HTTP/3.0")),
    "9112-2.3-http-2-preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "9112-2.3-lower-case-name": (400, line(b"GET / http/1.1")),
    "9112-2.3-other-name": (400, line(b"GET / ICY/1.1")),
    "9112-2.3-two-digits": (400, line(b"GET / HTTP/1.10")),
    "9112-2.3-no-minor-version": (400, line(b"GET / HTTP/1")),
    "9112-2.3-zero-before": (400, line(b"GET / HTTP/01.1")),
    "9112-3-no-version": (400, line(b"GET /")),
    "9112-3-method-alone": (400, line(b"GET")),
    "9112-3-two-spaces-before-the-target": (400, line(b"GET  / HTTP/1.1")),
    "9112-3-two-spaces-behind-the-target": (400, line(b"GET /  HTTP/1.1")),
    "9112-3-tab-for-a-space": (400, line(b"GET\t/\tHTTP/1.1")),
    "9112-3-space-before-the-method": (400, line(b" GET / HTTP/1.1")),
    "9112-3-space-behind-the-version": (400, line(b"GET / HTTP/1.1 ")),
    "9112-3-space-in-the-target": (400, line(b"GET /a b HTTP/1.1")),
    "9112-3.1-unknown-method": (501, line(b"FETCH / HTTP/1.1")),
    "9112-3.1-method-in-lower-case": (501, line(b"get / HTTP/1.1")),
    "9112-3.1-method-is-no-token": (400, line(b"G@T / HTTP/1.1")),
    "9112-3.1-control-character-in-the-method": (400, line(b"G\x01T / HTTP/1.1")),
    "9112-3.2-control-character-in-the-target": (400, line(b"GET /\x01 HTTP/1.1")),
    "9112-3.2-nul-in-the-target": (400, line(b"GET /\x00 HTTP/1.1")),
    "9112-3.2-delete-in-the-target": (400, line(b"GET /\x7f HTTP/1.1")),
    "9112-3.2-bytes-above-ascii-in-the-target": (400, line(b"GET /caf\xc3\xa9 HTTP/1.1")),
    "9112-3.2-bytes-above-ascii-in-the-query": (400, line(b"GET /?caf\xc3\xa9 HTTP/1.1")),
    "9112-3.2-fragment": (400, line(b"GET /a#b HTTP/1.1")),
    "9112-3.2-no-slash": (400, line(b"GET a HTTP/1.1")),
    "9112-3.2-host-is-missing": (400, line(b"GET / HTTP/1.1", b"")),
    "9112-3.2-host-is-repeated": (400, line(b"GET / HTTP/1.1", HOST + HOST)),
    "9112-3.2-host-is-repeated-in-1.0": (400, line(b"GET / HTTP/1.0", HOST + HOST)),
    "9112-3.2-host-is-a-list": (400, host(b"a, b")),
    "9112-3.2-host-with-a-space": (400, host(b"a b")),
    "9112-3.2-host-with-a-path": (400, host(b"a/b")),
    "9112-3.2-host-with-user-information": (400, host(b"user@a")),
    "9112-3.2-host-with-a-port-of-letters": (400, host(b"a:http")),
    "9112-3.2-host-with-a-port-too-high": (400, host(b"a:65536")),
    "9112-3.2-host-with-two-ports": (400, host(b"a:80:81")),
    "9112-3.2-host-with-a-scheme": (400, host(b"http://a")),
    "9112-3.2-host-with-broken-ipv6": (400, host(b"[::1")),
    "9112-3.2-host-with-a-query": (400, host(b"a?b")),
    "9112-3.2-host-with-bytes-above-ascii": (400, host(b"caf\xc3\xa9")),
    "9112-3.2-host-with-broken-percent": (400, host(b"a%2")),
    "9112-3.2.2-absolute-form-without-host-field": (400, line(b"GET http://test/ HTTP/1.1", b"")),
    "9112-3.2.2-absolute-form-with-user-information": (400, line(b"GET http://user@test/ HTTP/1.1")),
    "9112-3.2.2-absolute-form-without-authority": (400, line(b"GET http:///a HTTP/1.1")),
    "9112-3.2.2-absolute-form-of-another-scheme": (400, line(b"GET ftp://test/ HTTP/1.1")),
    "9112-3.2.3-authority-form": (400, line(b"GET test:80 HTTP/1.1")),
    "9112-3.2.4-asterisk-of-another-method": (400, line(b"GET * HTTP/1.1")),
    "9110-9.3.6-connect": (501, line(b"CONNECT test:80 HTTP/1.1")),
    "9112-5-no-colon": (400, field(b"X-A")),
    "9112-5-empty-name": (400, field(b": b")),
    "9112-5.1-space-before-the-colon": (400, field(b"X-A : b")),
    "9112-5.1-tab-before-the-colon": (400, field(b"X-A\t: b")),
    "9112-5.1-space-before-the-colon-of-a-length": (400, length(b"Content-Length : 5")),
    "9112-5.2-folded-line": (400, field(b"X-A: b\r\n c")),
    "9112-5.2-folded-line-with-a-tab": (400, field(b"X-A: b\r\n\tc")),
    "9112-5.2-folded-empty-line": (400, field(b"X-A: b\r\n ")),
    "9110-5.1-space-in-a-name": (400, field(b"X A: b")),
    "9110-5.1-control-character-in-a-name": (400, field(b"X\x01A: b")),
    "9110-5.1-nul-in-a-name": (400, field(b"X\x00A: b")),
    "9110-5.1-bracket-in-a-name": (400, field(b"X(A): b")),
    "9110-5.1-bytes-above-ascii-in-a-name": (400, field(b"X-\xc3\xa9: b")),
    "9110-5.5-nul-in-a-value": (400, field(b"X-A: b\x00c")),
    "9110-5.5-control-character-in-a-value": (400, field(b"X-A: b\x01c")),
    "9110-5.5-escape-in-a-value": (400, field(b"X-A: b\x1bc")),
    "9110-5.5-delete-in-a-value": (400, field(b"X-A: b\x7fc")),
    "9110-5.5-vertical-tab-around-a-value": (400, field(b"X-A: \x0bb")),
    "9112-6.1-length-and-coding": (400, coding(b"Content-Length: 5\r\nTransfer-Encoding: chunked")),
    "9112-6.1-coding-and-length": (400, coding(b"Transfer-Encoding: chunked\r\nContent-Length: 5")),
    "9112-6.1-length-0-and-coding": (400, coding(b"Content-Length: 0\r\nTransfer-Encoding: chunked")),
    "9112-6.1-unknown-coding": (501, coding(b"Transfer-Encoding: gzip")),
    "9112-6.1-unknown-coding-before-chunked": (501, coding(b"Transfer-Encoding: gzip, chunked")),
    "9112-6.1-identity": (501, coding(b"Transfer-Encoding: identity")),
    "9112-6.1-misspelt": (501, coding(b"Transfer-Encoding: xchunked")),
    "9112-6.1-chunked-is-not-last": (400, coding(b"Transfer-Encoding: chunked, gzip")),
    "9112-6.1-chunked-twice": (400, coding(b"Transfer-Encoding: chunked, chunked")),
    "9112-6.1-two-fields": (400, coding(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
    "9112-6.1-two-different-fields": (400, coding(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip")),
    "9112-6.1-empty-coding": (400, coding(b"Transfer-Encoding:")),
    "9112-6.1-vertical-tab-before-chunked": (400, coding(b"Transfer-Encoding: \x0bchunked")),
    "9112-6.1-in-1.0": (400, coding(b"Transfer-Encoding: chunked", version=b"1.0")),
    "9112-6.3-two-different-lengths": (400, length(b"Content-Length: 5\r\nContent-Length: 6")),
    "9112-6.3-two-equal-lengths": (400, length(b"Content-Length: 5\r\nContent-Length: 5")),
    "9112-6.3-list-of-lengths": (400, length(b"Content-Length: 5, 5")),
    "9112-6.3-plus": (400, length(b"Content-Length: +5")),
    "9112-6.3-minus": (400, length(b"Content-Length: -5")),
    "9112-6.3-hexadecimal-length": (400, length(b"Content-Length: 0x5")),
    "9112-6.3-fraction": (400, length(b"Content-Length: 5.0")),
    "9112-6.3-exponent": (400, length(b"Content-Length: 5e0")),
    "9112-6.3-underscore": (400, length(b"Content-Length: 1_0")),
    "9112-6.3-space-within": (400, length(b"Content-Length: 5 5")),
    "9112-6.3-empty-length": (400, length(b"Content-Length:")),
    "9112-6.3-letters": (400, length(b"Content-Length: five")),
    "9112-6.3-beyond-64-bits": (400, length(b"Content-Length: 18446744073709551621")),
    "9112-6.3-digits-of-another-script": (400, length(b"Content-Length: \xd9\xa5")),
    "9110-10.1.1-unknown-expectation": (417, field(b"Expect: 200-ok")),
}

#: Refused within the body, so that the application may have been called already.
BROKEN_CHUNKS = {
    "9112-7.1-letters-for-a-size": b"g\r\n12345\r\n0\r\n\r\n",
    "9112-7.1-minus": b"-5\r\n12345\r\n0\r\n\r\n",
    "9112-7.1-plus": b"+5\r\n12345\r\n0\r\n\r\n",
    "9112-7.1-prefix-0x": b"0x5\r\n12345\r\n0\r\n\r\n",
    "9112-7.1-underscore": b"0_5\r\n12345\r\n0\r\n\r\n",
    "9112-7.1-space-before-a-size": b" 5\r\n12345\r\n0\r\n\r\n",
    "9112-7.1-no-size": b"\r\n12345\r\n0\r\n\r\n",
    "9112-7.1-extension-without-size": b";a=b\r\n12345\r\n0\r\n\r\n",
    "9112-7.1-size-beyond-64-bits": b"10000000000000005\r\n12345\r\n0\r\n\r\n",
    "9112-7.1-chunk-longer-than-its-size": b"3\r\n12345\r\n0\r\n\r\n",
    "9112-7.1-chunk-shorter-than-its-size": b"7\r\n12345\r\n0\r\n\r\n",
    "9112-7.1-no-crlf-behind-a-chunk": b"5\r\n123450\r\n\r\n",
    "9112-7.1-bare-lf-behind-a-size": b"5\n12345\r\n0\r\n\r\n",
    "9112-7.1-bare-lf-behind-a-chunk": b"5\r\n12345\n0\r\n\r\n",
    "9112-7.1-bare-cr-behind-a-size": b"5\r12345\r\n0\r\n\r\n",
    "9112-7.1.1-bare-lf-in-an-extension": b"5;a\nb\r\n12345\r\n0\r\n\r\n",
    "9112-7.1.1-bare-cr-in-an-extension": b"5;a\rb\r\n12345\r\n0\r\n\r\n",
    "9112-7.1.1-nul-in-an-extension": b"5;a\x00b\r\n12345\r\n0\r\n\r\n",
    "9112-7.1.2-space-before-the-colon": b"5\r\n12345\r\n0\r\nX-A : b\r\n\r\n",
    "9112-7.1.2-folded-trailer": b"5\r\n12345\r\n0\r\nX-A: b\r\n c\r\n\r\n",
    "9112-7.1.2-trailer-without-colon": b"5\r\n12345\r\n0\r\nX-A\r\n\r\n",
    "9112-7.1.2-nul-in-a-trailer": b"5\r\n12345\r\n0\r\nX-A: b\x00\r\n\r\n",
    "9112-7.1.2-bare-lf-behind-a-trailer": b"5\r\n12345\r\n0\r\nX-A: b\nX-B: c\r\n\r\n",
}


class Counting:
    """Answers with the body of the request, and counts how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        await echo(scope, receive, send)


class Table:
    """One server for all rows."""

    def __init__(self, serving: Serving, app: Counting) -> None:
        self.app = app
        self.serving = serving

    def connect(self) -> Client:
        return self.serving.connect()


@pytest.fixture(scope="module", params=COMBINATIONS, ids="-".join)
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """A server for all rows, on each parser and each loop."""
    app = Counting()
    with serve_on(*request.param)(app) as serving:
        yield Table(serving, app)


@pytest.mark.parametrize("data", SERVED.values(), ids=SERVED)
def test_served(table: Table, data: bytes) -> None:
    """It is answered, and so is the next request on the connection, unless that is to be closed."""
    with table.connect() as client:
        client.send(data)
        response = client.response(data.lstrip(b"\r\n").split()[0].decode())
        assert response.status == 200
        if b"HTTP/1.0" not in data:
            client.send(GET)
            assert client.response().status == 200


@pytest.mark.parametrize(("status", "data"), REFUSED.values(), ids=REFUSED)
def test_refused(table: Table, status: int, data: bytes) -> None:
    """It is answered by the server, which then closes; the application never hears of it."""
    calls = table.app.calls
    with table.connect() as client:
        client.send(data)
        response = client.response()
        assert response.status == status
        assert response["connection"] == "close"
        assert client.closed()
    assert table.app.calls == calls


@pytest.mark.parametrize("body", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS)
def test_refused_within_a_chunked_body(table: Table, body: bytes) -> None:
    with table.connect() as client:
        client.send(coding(b"Transfer-Encoding: chunked", body) + GET)
        response = client.response()
        assert response.status == 400
        assert response["connection"] == "close"
        assert client.closed()


def test_9110_2_5_higher_minor_version_is_not_malformed(table: Table) -> None:
    """Served as HTTP/1.1, or refused for its version; 400 would blame the client."""
    with table.connect() as client:
        client.send(line(b"GET / HTTP/1.2"))
        assert client.response().status in (200, 505)


def test_9112_2_2_head_may_come_byte_by_byte(table: Table) -> None:
    data = coding(b"Transfer-Encoding: chunked", b"5;a=b\r\n12345\r\n0\r\nX-A: b\r\n\r\n")
    with table.connect() as client:
        for position in range(len(data)):
            client.send(data[position : position + 1])
        assert client.response().body == b"12345"


def test_9112_2_2_every_split_in_two_gives_the_same_answer(table: Table) -> None:
    data = coding(b"Transfer-Encoding: chunked", b"5;a=b\r\n12345\r\n3\r\nabc\r\n0\r\nX-A: b\r\n\r\n") + GET
    with table.connect() as client:
        for position in range(1, len(data)):
            client.send(data[:position])
            client.send(data[position:])
            assert client.response().body == b"12345abc"
            assert client.response().body == b""


def test_request_line_is_refused_before_its_end_is_there(table: Table) -> None:
    """What cannot become a request is not waited for."""
    with table.connect() as client:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
        assert client.response().status == 400
    with table.connect() as client:
        client.send(b"GET / HTTP/2.0\r\n")
        assert client.response().status == 505


def bytes_of(serving: Serving, data: bytes) -> bytes:
    """All that is answered to `data` on one connection."""
    with serving.connect() as client:
        client.send(data)
        client.end()
        return client.read_all()


def test_both_parsers_answer_the_same_bytes() -> None:
    rows = [
        *SERVED.items(),
        *((name, data) for name, (_, data) in REFUSED.items()),
        *((name, coding(b"Transfer-Encoding: chunked", body)) for name, body in BROKEN_CHUNKS.items()),
    ]
    answers = []
    for http in ("httptools", "h11"):
        with serve_on(http, "uvloop")(Counting(), date_header=False) as serving:
            answers.append({name: bytes_of(serving, data) for name, data in rows})
    one, other = answers
    assert {name for name in one if one[name] != other[name]} == set()


@pytest.mark.parametrize("http", ["httptools", "h11"])
def test_9112_7_1_2_trailers_do_not_become_headers(http: str) -> None:
    """httptools reports both through one callback: an authorization trailer must not be taken for a field."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        await answer(send, b" ".join(name for name, _ in scope["headers"]))

    with serve_on(http, "uvloop")(app) as serving:
        response = serving.ask(coding(b"Transfer-Encoding: chunked", b"0\r\nAuthorization: secret\r\n\r\n"))
    assert response.body == b"host transfer-encoding"
