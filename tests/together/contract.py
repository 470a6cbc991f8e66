"""The contract: what every application in ``applications/`` says, through every server.

Each point is a function whose docstring states it, and which raises if a server with an application does
not keep it. They are tested in the order of `CONTRACT`; none needs what another has done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Final

import httpx

from tests.together.applications.business import PIECES, SECRET
from tests.together.servers import Server

BODY: Final = bytes(range(256)) * 4096  # 1 MiB
SUMMARY: Final = {"size": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()}


def json(server: Server) -> None:
    """GET /json is answered 200 with {"hello": "world"}, as application/json."""
    with server.client() as client:
        response = client.get("/json")
        assert response.status_code == 200, shown(response)
        assert response.headers["content-type"].partition(";")[0] == "application/json", shown(response)
        assert response.json() == {"hello": "world"}, shown(response)


def path_parameter(server: Server) -> None:
    """GET /users/7 gives the application the number 7."""
    with server.client() as client:
        response = client.get("/users/7")
        assert response.status_code == 200, shown(response)
        assert response.json() == {"id": 7}, shown(response)


def path_parameter_of_wrong_type(server: Server) -> None:
    """GET /users/seven, which is no number, is answered 404."""
    with server.client() as client:
        response = client.get("/users/seven")
        assert response.status_code == 404, shown(response)


def path_parameter_in_utf_8(server: Server) -> None:
    """GET /greet/{name} gives the application a name with percent-encoded blanks, percents and UTF-8."""
    with server.client() as client:
        response = client.get("/greet/%C5%BDofie%20100%25%E2%82%AC")
        assert response.status_code == 200, shown(response)
        assert response.json() == {"name": "Žofie 100%€"}, shown(response)


def upload(server: Server) -> None:
    """POST /upload gives the application 1 MiB unchanged, sent with Content-Length."""
    with server.client() as client:
        response = client.post("/upload", content=BODY)
        assert "content-length" in response.request.headers
        assert response.status_code == 200, shown(response)
        assert response.json() == SUMMARY, shown(response)


def chunked_upload(server: Server) -> None:
    """POST /upload gives the application 1 MiB unchanged, sent in chunks."""
    with server.client() as client:
        response = client.post("/upload", content=_in_pieces(BODY))
        assert response.request.headers["transfer-encoding"] == "chunked"
        assert response.status_code == 200, shown(response)
        assert response.json() == SUMMARY, shown(response)


def stream(server: Server) -> None:
    """GET /stream brings each piece while the next one does not exist yet."""
    with server.client() as client, client.stream("GET", "/stream") as response:
        assert response.status_code == 200, response.status_code
        received = response.iter_raw()
        text = next(received)
        for count, _ in enumerate(PIECES, 1):
            # The application waits, so this reads until the piece is here or the client's patience ends.
            expected = b"".join(PIECES[:count])
            while len(text) < len(expected):
                text += next(received)
            assert text == expected
            if text != b"".join(PIECES):
                let_continue(client)
        assert b"".join(received) == b"", "nothing comes after the last piece"


def error(server: Server) -> None:
    """GET /error, whose handler raises, is answered 500 without a word of the inside; then all goes on."""
    with server.client() as client:
        response = client.get("/error")
        assert response.status_code == 500, shown(response)
        for inside in (SECRET, "Traceback", "RuntimeError", "business", ".py"):
            assert inside not in response.text, shown(response)
    json(server)  # on a new connection: the one that saw the error may be closed (ASGI, "Error Handling")


def broken_stream(server: Server) -> None:
    """GET /stream/broken, which raises after its first piece, is cut, so that it does not look complete."""
    with server.client() as client:
        try:
            response = client.get("/stream/broken")
        except (httpx.RemoteProtocolError, httpx.ReadError):
            pass
        else:
            raise AssertionError(f"it looks whole: {shown(response)}")
    json(server)


def head(server: Server) -> None:
    """HEAD /json is answered 200 like GET, with no byte of a body."""
    answer = exchange(server, "HEAD /json HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
    assert status(answer) == 200, answer
    assert answer.endswith(b"\r\n\r\n"), answer
    assert answer.count(b"\r\n\r\n") == 1, answer
    assert b"\r\ncontent-type: application/json" in answer.lower(), answer


def wrong_method(server: Server) -> None:
    """DELETE /json is answered 405, and Allow names GET and not POST (RFC 9110, 15.5.6)."""
    with server.client() as client:
        response = client.delete("/json")
        assert response.status_code == 405, shown(response)
        allowed = [method.strip() for method in response.headers.get("allow", "").split(",")]
        assert "GET" in allowed, shown(response)
        assert "POST" not in allowed, shown(response)


def keep_alive(server: Server) -> None:
    """One connection carries several requests, with and without bodies, answered well or with 404."""
    with server.client() as client:
        responses = [
            client.get("/json"),
            client.post("/upload", content=b"in one piece"),
            client.post("/upload", content=_in_pieces(b"in two pieces")),
            client.get("/nowhere"),
            client.get("/users/7"),
        ]
        assert [response.status_code for response in responses] == [200, 200, 200, 404, 200]
        connections = {
            response.extensions["network_stream"].get_extra_info("client_addr") for response in responses
        }
        assert len(connections) == 1, f"{len(connections)} connections"


def http_1_0(server: Server) -> None:
    """GET /stream of an HTTP/1.0 client is answered without chunks: the end of the connection ends it."""
    with server.client() as client:
        for _ in PIECES[1:]:
            let_continue(client)
    answer = exchange(server, "GET /stream HTTP/1.0\r\nHost: test\r\n\r\n")
    assert status(answer) == 200, answer
    fields, _, body = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in fields.lower(), answer
    assert body == b"".join(PIECES), answer


def startup(server: Server) -> None:
    """GET /lifespan shows what the application has prepared before its first request."""
    with server.client() as client:
        response = client.get("/lifespan")
        assert response.status_code == 200, shown(response)
        assert response.json() == {"prepared": True}, shown(response)


def shutdown(server: Server) -> None:
    """SIGTERM ends the server, after the application has run its shutdown, once."""
    assert server.shutdown_file.read_text() == ""
    server.stop()
    written = server.shutdown_file.read_text()
    assert written == "shutdown\n", f"the application has written {written!r}"


Point = Callable[[Server], None]

CONTRACT: Final[tuple[Point, ...]] = (
    json,
    path_parameter,
    path_parameter_of_wrong_type,
    path_parameter_in_utf_8,
    upload,
    chunked_upload,
    stream,
    error,
    broken_stream,
    head,
    wrong_method,
    keep_alive,
    http_1_0,
    startup,
    shutdown,
)


def shown(response: httpx.Response) -> str:
    """Return a response as one line, for the message of a failure."""
    return f"{response.status_code} {dict(response.headers)} {response.text[:500]!r}"


def let_continue(client: httpx.Client) -> None:
    """Let the application make one more piece of its stream."""
    response = client.post("/stream/continue")
    assert response.status_code == 204, shown(response)


def exchange(server: Server, request: str) -> bytes:
    """Send exactly this, and return all that comes until the server closes the connection."""
    with server.connect() as connection:
        connection.sendall(request.encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def status(answer: bytes) -> int:
    """Return the status of an answer as it stood on the wire."""
    return int(answer.split(b" ", 2)[1])


def _in_pieces(body: bytes) -> Iterator[bytes]:
    """Yield a body whose length the client cannot know, so that it sends chunks."""
    half = len(body) // 2
    yield body[:half]
    yield body[half:]
