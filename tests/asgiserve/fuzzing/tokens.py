"""Bytes that requests are made of, and one stream of them that has something of everything."""

from __future__ import annotations

from typing import Final

#: Requests whose every split point is tried: something of each kind of framing, one behind the other.
SPLIT: Final = (
    b"\r\nPOST http://b:80?c HTTP/1.1\r\nhOST: a\r\nContent-Length: 05\r\n\r\n12345"
    b"GET /%41?b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    b"PUT / HTTP/1.1\r\nHost:a\r\nX-A:\t b \r\ntransfer-encoding: Chunked\r\n\r\n"
    b'5;a="b"\r\n\r\n\r\nx\r\nA\r\nGET / HTTP\r\n00\r\nX-A: b\r\nX-B:\r\n\r\n'
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n\n"
    b"GET /a HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\nPOST /b? HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n"
    b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\nGET / HTTP/1.1\r\nHost: ignored\r\n\r\n"
)

_FIELDS: Final = (
    b"Host: a|Host: [::1]:80|Host:|Connection: close|Connection: keep-alive|Connection: upgrade|Upgrade: h2c|"
    b"Content-Length: 5|Content-Length: 0|Content-Length: 5, 5|Content-Length: +5|Content-Length: 999|"
    b"Transfer-Encoding: chunked|Transfer-Encoding: gzip, chunked|Transfer-Encoding: chunked, gzip|"
    b"Transfer-Encoding: x|Expect: 100-continue|Expect: x|X-A: b|X-A: b\r\n c|X-A : b"
).split(b"|")
_LINES: Final = b"5|5;a=b|0|201|fffffffffffffff|GET / HTTP/1.1|OPTIONS * HTTP/1.1|CONNECT a:1 HTTP/1.1".split(
    b"|"
)
_PIECES: Final = (
    b"\r\n|\n|\r|\r\n\r\n| |\t|\x00|\x0b|\x7f|\xff|:|;|,|#|%c3%a9|12345|GET |HEAD |POST | HTTP/1.1| HTTP/1.0|"
    b" HTTP/1.2| HTTP/2.0|http://b:80|http://:80|https://|PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
).split(b"|")
#: What limits are reached with.
_LONG: Final = [b"/" * 130, b"X-A: b\r\n" * 9, *(b"X: %b\r\n" % (b"b" * size) for size in (100, 130))]

#: For mutations, and for the dictionary of libFuzzer.
TOKENS: Final = [*(line + b"\r\n" for line in (*_FIELDS, *_LINES)), *_PIECES, *_LONG]
