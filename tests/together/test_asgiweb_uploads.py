"""asgiweb's uploads on every server: streamed, larger than memory, and broken off; and who has left."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

import pytest

from tests.together.servers import LIMIT, Server

SERVERS = ["asgiserve", "uvicorn", "hypercorn", "granian", "daphne"]

pytestmark = pytest.mark.parametrize(
    "pairing", [f"{name}/asgiweb_uploads" for name in SERVERS], indirect=True, ids=SERVERS
)

HEADERS = {"content-type": "multipart/form-data; boundary=b"}
FILE = bytes(range(256)) * 256
COPIES = 320  # of 64 KiB: 20 MiB
DIGEST = hashlib.sha256(FILE * COPIES).hexdigest()


def upload() -> Iterator[bytes]:
    """Yield a form whose length nobody knows before, so that it is sent in chunks."""
    yield b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nhello\r\n'
    yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="large"\r\n\r\n'
    for _ in range(COPIES):
        yield FILE
    yield b"\r\n--b--\r\n"


def seen(server: Server, what: str) -> bool:
    """Wait until the application has seen something."""
    deadline = time.monotonic() + LIMIT
    with server.client() as client:
        while what not in client.get("/seen").json():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
    return True


def test_complaint_10_an_upload_in_chunks_is_streamed(server: Server) -> None:
    """20 MiB come through the handler, and the process grows by a fraction of that."""
    with server.client() as client:
        answer = client.post("/parts", content=upload(), headers=HEADERS, timeout=LIMIT).json()
    assert answer["parts"][1] == ["file", "large", DIGEST]
    assert answer["growth"] < 10_000_000 or server.name != "asgiserve"


def test_an_upload_that_is_larger_than_memory_goes_to_disk(server: Server) -> None:
    with server.client() as client:
        answer = client.post("/form", content=upload(), headers=HEADERS, timeout=LIMIT).json()
    assert (answer["text"], answer["files"]) == ("hello", [["large", False, DIGEST]])
    assert answer["growth"] < 10_000_000 or server.name != "asgiserve"


@pytest.mark.parametrize("path", ["parts", "form"])
def test_a_client_that_leaves_in_the_middle_of_an_upload(server: Server, path: str) -> None:
    head = f"POST /{path}?name={path} HTTP/1.1\r\nHost: test\r\nContent-Type: {HEADERS['content-type']}\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="half"\r\n\r\n' + b"x" * 100_000
    with server.connect() as client:
        client.sendall(head.encode() + b"Content-Length: 200000\r\n\r\n" + part)
        # daphne gives a body to the application when it is there as a whole, and nothing of this one.
        if path == "parts" and server.name != "daphne":
            assert seen(server, f"piece {path}")
    if server.name != "daphne":
        assert seen(server, f"left {path}")
        assert "Traceback" not in server.output


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_handler_that_asks_sees_that_its_client_has_left(server: Server, method: str) -> None:
    with server.connect() as client:
        body = "" if method == "GET" else "Content-Length: 4\r\n"
        head = f"{method} /poll?name={method} HTTP/1.1\r\nHost: test\r\n{body}\r\n"
        client.sendall(head.encode() + (b"body" if body else b""))
        assert seen(server, f"polling {method}")
    assert seen(server, f"left {method}")


def test_who_asks_loses_nothing_of_the_body(server: Server) -> None:
    with server.client() as client:
        assert client.get("/ask").json() == [[False] * 3, ""]
        assert client.post("/ask", content=b"body").json() == [[False] * 3, "body"]
        body = b"x" * 300_000
        assert client.post("/ask", content=body).json() == [[False] * 3, body.decode()]
        assert client.post("/ask", content=iter([b"a", b"b"])).json() == [[False] * 3, "ab"]
