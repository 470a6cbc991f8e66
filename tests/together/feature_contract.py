"""The contract of asgiweb's features: what is more than a request and a handler, through every server.

Made like ``contract.py``. Every server is told ``--root-path /below``, and the client speaks as a proxy does
that has taken this prefix off. Uploads, and clients that leave, are in ``test_asgiweb_uploads.py``.
"""

from __future__ import annotations

import gzip
import time
import uuid
import zlib
from typing import Final

import httpx

from tests.together.applications.business import PIECES
from tests.together.contract import Point, exchange, let_continue, shown, status
from tests.together.servers import LIMIT, Server

#: Of the file: more than is read at once, so that it is left to servers that offer to send files.
CONTENT: Final = bytes(range(256)) * 1024

ROOT_PATH: Final = "/below"

#: For a client that wants nothing compressed.
AS_IT_IS: Final = {"accept-encoding": "identity"}


def file(server: Server) -> None:
    """GET /file brings the whole file, its length and its validator; twice on one connection."""
    with server.client() as client:
        for _ in range(2):
            response = client.get("/file")
            assert response.status_code == 200, shown(response)
            assert response.content == CONTENT
            assert response.headers["content-length"] == str(len(CONTENT))
            assert response.headers["etag"], dict(response.headers)


def head_of_a_file(server: Server) -> None:
    """HEAD /file has the head of GET, and no byte of a body."""
    answer = exchange(server, "HEAD /file HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
    assert status(answer) == 200, answer[:1000]
    assert answer.endswith(b"\r\n\r\n"), answer[:1000]
    assert b"\r\ncontent-length: %d\r\n" % len(CONTENT) in answer.lower(), answer[:1000]


def range_of_a_file(server: Server) -> None:
    """GET /file with Range is answered 206 with that range, also if it is long, and 416 if it is outside."""
    with server.client() as client:
        for first, last in ((0, 0), (1, len(CONTENT) - 1), (len(CONTENT) - 5, len(CONTENT) - 1)):
            response = client.get("/file", headers={"range": f"bytes={first}-{last}"})
            assert response.status_code == 206, response.status_code
            assert response.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"
            assert response.content == CONTENT[first : last + 1]
        response = client.get("/file", headers={"range": f"bytes={len(CONTENT)}-"})
        assert response.status_code == 416, shown(response)


def file_that_the_client_has(server: Server) -> None:
    """GET /file with its validator in If-None-Match is answered 304 without a body; then all goes on."""
    with server.client() as client:
        validator = client.head("/file").headers["etag"]
        response = client.get("/file", headers={"if-none-match": validator})
        assert response.status_code == 304, shown(response)
        assert response.content == b""
        assert client.get("/file", headers={"if-none-match": '"another"'}).content == CONTENT


def events(server: Server) -> None:
    """GET /events/{key} brings its first event before it ends; when the client leaves, its finally runs."""
    key = uuid.uuid4().hex
    with server.client() as client:
        with client.stream("GET", f"/events/{key}") as response:
            assert response.headers["content-type"] == "text/event-stream", dict(response.headers)
            lines = response.iter_lines()  # while somebody holds it, the connection stays
            # Reading on would wait for ever: nothing comes after this event.
            assert f"data: {key}" in lines
            assert key not in client.get("/ended").json()
        deadline = time.monotonic() + LIMIT
        while key not in client.get("/ended").json():
            assert time.monotonic() < deadline, "the stream goes on without its client"
            time.sleep(0.02)


def mounted_application(server: Server) -> None:
    """What is mounted below /mounted gets paths and bodies, answers, and streams what it has at once."""
    with server.client() as client:
        assert client.get("/mounted/json").json() == {"hello": "world"}
        assert client.get("/mounted/greet/%C5%BDofie%20100%25").json() == {"name": "Žofie 100%"}
        assert client.post("/mounted/upload", content=iter([CONTENT, CONTENT])).json()["size"] == 2 * len(
            CONTENT
        )
        assert client.get("/mounted/nowhere").status_code == 404
        with client.stream("GET", "/mounted/stream", headers=AS_IT_IS) as response:
            received = response.iter_raw()
            assert next(received) == PIECES[0]
            for _ in PIECES[1:]:
                let_continue(client)
            assert b"".join(received) == b"".join(PIECES[1:])


def lifespan_of_a_mounted_application(server: Server) -> None:
    """What the mounted application has prepared before its first request is in its state."""
    with server.client() as client:
        response = client.get("/mounted/lifespan")
        assert response.status_code == 200, shown(response)
        assert response.json() == {"prepared": True}, shown(response)


def session(server: Server) -> None:
    """GET /visits counts the visits of one client in its cookie; another client begins anew."""
    with server.client() as client:
        assert [client.get("/visits").json() for _ in range(3)] == [1, 2, 3]
    with server.client() as other:
        response = other.get("/visits")
        assert response.json() == 1
        assert "httponly" in response.headers["set-cookie"].lower(), shown(response)


def compressed_stream(server: Server) -> None:
    """GET /stream is compressed, and each piece can be read before the next one exists."""
    with (
        server.client() as client,
        client.stream("GET", "/stream", headers={"accept-encoding": "gzip"}) as response,
    ):
        assert response.headers["content-encoding"] == "gzip", dict(response.headers)
        decompressor = zlib.decompressobj(wbits=31)
        compressed, text = b"", b""
        received = response.iter_raw()
        for count, _ in enumerate(PIECES, 1):
            expected = b"".join(PIECES[:count])
            while len(text) < len(expected):
                piece = next(received)
                compressed += piece
                text += decompressor.decompress(piece)
            assert text == expected
            if count < len(PIECES):
                let_continue(client)
        assert gzip.decompress(compressed + b"".join(received)) == b"".join(PIECES)


def slash_below_the_root_path(server: Server) -> None:
    """GET /slash/a%20b is redirected to the URL with a slash, below the root path, where clients find it."""
    with server.client() as client:
        response = client.get("/slash/a%20b?c=%2F")
        assert response.status_code == 308, shown(response)
        assert response.headers["location"] == f"{ROOT_PATH}/slash/a%20b/?c=%2F", shown(response)


def url_below_the_root_path(server: Server) -> None:
    """GET /slash/b/ makes a URL of its own, below the root path."""
    with server.client() as client:
        response = client.get("/slash/b/")
        assert response.text == f"{ROOT_PATH}/slash/b/", shown(response)


def head_of_a_stream(server: Server) -> None:
    """HEAD /events/{key} and HEAD /stream are answered at once, though the streams would wait."""
    with server.client() as client:
        for path in ("/events/head", "/stream"):
            response: httpx.Response = client.head(path)
            assert response.status_code == 200, shown(response)
        assert client.get("/visits").status_code == 200


FEATURE_CONTRACT: Final[tuple[Point, ...]] = (
    file,
    head_of_a_file,
    range_of_a_file,
    file_that_the_client_has,
    events,
    mounted_application,
    lifespan_of_a_mounted_application,
    session,
    compressed_stream,
    slash_below_the_root_path,
    url_below_the_root_path,
    head_of_a_stream,
)
