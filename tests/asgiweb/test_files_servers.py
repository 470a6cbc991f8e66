"""Files on real servers: with pathsend and zerocopysend, with pathsend alone, and without either."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from asgiweb import Application, Request, Response, json_response
from asgiweb.files import file_response
from tests.asgiserve.program import COMMAND, STARTING, Program
from tests.asgiserve.raw import PATIENCE
from tests.asgiweb.test_files import open_descriptors, parts_of

CONTENT = bytes(range(256)) * 4096

app: Application[None] = Application()
if "ASGIWEB_TEST_FILES" in os.environ:
    app.static("/static", os.environ["ASGIWEB_TEST_FILES"])


@app.get("/extensions")
async def extensions(request: Request) -> Response:
    return json_response(sorted(request.scope.get("extensions") or {}))


@app.get("/download/{name}")
async def download(request: Request, name: str) -> Response:
    path = os.path.join(os.environ["ASGIWEB_TEST_FILES"], name)
    return await file_response(request, path, filename="na\xefve.bin")


#: What starts a server, what it says when it is ready, and what it can do with files.
SERVERS: dict[str, tuple[tuple[str, ...], str, set[str]]] = {
    "asgiserve": (COMMAND, "listens on", {"pathsend", "zerocopysend"}),
    "granian": ((sys.executable, "-m", "granian", "--interface", "asgi"), "Started worker", {"pathsend"}),
    "uvicorn": ((sys.executable, "-m", "uvicorn"), "Uvicorn running", set()),
}


@dataclass
class Server:
    """A server that runs, and the directory whose files it serves."""

    name: str
    port: int
    pid: int
    root: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=STARTING, trust_env=False)

    def open_descriptors(self, path: Path) -> int:
        """Count the descriptors of a file in all of its processes."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sum(open_descriptors(path, process) for process in [str(self.pid), *children])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("static").resolve()
    (root / "large.bin").write_bytes(CONTENT)
    # More than fits into all buffers on the way to a client that does not read.
    (root / "huge.bin").write_bytes(b"")
    os.truncate(root / "huge.bin", 200_000_000)
    (root / "small.txt").write_text("small")
    return root


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, root: Path) -> Iterator[Server]:
    command, ready, _ = SERVERS[request.param]
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        port: int = reservation.getsockname()[1]
    program = Program(
        "tests.asgiweb.test_files_servers:app",
        port=port,
        command=command,
        ready=ready,
        environment={"ASGIWEB_TEST_FILES": str(root), "PYTHONWARNINGS": "ignore"},
    )
    with program:
        wait_until(lambda: accepts(port))  # granian says that it is ready before it listens
        yield Server(request.param, port, program.process.pid, root)


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + STARTING
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_servers_differ_in_what_they_can_do_with_files(server: Server) -> None:
    with server.client() as client:
        offered = {name.removeprefix("http.response.") for name in client.get("/extensions").json()}
    assert offered & {"pathsend", "zerocopysend"} == SERVERS[server.name][2]


def test_whole_files_large_and_small(server: Server) -> None:
    with server.client() as client:
        for path, content in (("large.bin", CONTENT), ("small.txt", b"small")) * 2:
            response = client.get(f"/static/{path}")
            assert response.content == content
            assert response.headers["content-length"] == str(len(content))
            head = client.head(f"/static/{path}")
            assert head.headers["content-length"] == str(len(content))
            etag = {"if-none-match": head.headers["etag"]}
            assert client.get(f"/static/{path}", headers=etag).status_code == 304
        assert client.get("/download/large.bin").content == CONTENT
        assert client.get("/static/nothing").status_code == 404
    wait_until(lambda: server.open_descriptors(server.root / "large.bin") == 0)


def test_one_and_many_ranges(server: Server) -> None:
    with server.client() as client:
        for start, end in ((0, 0), (65536, 900_000), (1, len(CONTENT) - 1)):
            response = client.get("/static/large.bin", headers={"range": f"bytes={start}-{end}"})
            assert response.status_code == 206
            assert response.content == CONTENT[start : end + 1]
        response = client.get("/static/large.bin", headers={"range": "bytes=500000-,0-9,100-300000"})
        assert response.status_code == 206
        assert [part.get_payload(decode=True) for part in parts_of(response)] == [
            CONTENT[500000:],
            CONTENT[:10],
            CONTENT[100:300001],
        ]
        assert client.get("/static/large.bin", headers={"range": "bytes=9000000-"}).status_code == 416
    wait_until(lambda: server.open_descriptors(server.root / "large.bin") == 0)


def test_curl_resumes_a_download(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "large.bin"
    target.write_bytes(CONTENT[:123_456])
    url = f"http://127.0.0.1:{server.port}/static/large.bin"
    options = ["--silent", "--fail", "--max-time", "30", "--continue-at", "-", "--output", str(target)]
    subprocess.run(["curl", *options, url], check=True, timeout=60)
    assert target.read_bytes() == CONTENT


def test_a_client_that_leaves_in_the_middle_closes_the_file(server: Server) -> None:
    path = server.root / "huge.bin"
    for asked in (b"", b"range: bytes=1-\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
            client.sendall(b"GET /static/huge.bin HTTP/1.1\r\nhost: test\r\n" + asked + b"\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 20")
            wait_until(lambda: server.open_descriptors(path) > 0)
        wait_until(lambda: server.open_descriptors(path) == 0)


def test_a_file_that_shrinks_while_it_is_sent_breaks_the_connection(server: Server) -> None:
    """The client can tell that it has not got everything."""
    if server.name == "granian":
        pytest.skip("granian sends what is left, and waits")
    path = server.root / f"shrinking-{server.name}.bin"
    path.write_bytes(b"")
    os.truncate(path, 200_000_000)
    with server.client() as client, client.stream("GET", f"/static/{path.name}") as response:
        pieces = response.iter_raw()
        next(pieces)
        os.truncate(path, 1_000_000)
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)
    wait_until(lambda: server.open_descriptors(path) == 0)


def test_a_file_that_vanishes_while_it_is_sent_is_sent_to_its_end(server: Server) -> None:
    path = server.root / f"vanishing-{server.name}.bin"
    path.write_bytes(b"")
    os.truncate(path, 50_000_000)
    with server.client() as client, client.stream("GET", f"/static/{path.name}") as response:
        pieces = response.iter_raw()
        size = len(next(pieces))
        path.unlink()
        assert size + sum(map(len, pieces)) == 50_000_000
    wait_until(lambda: server.open_descriptors(path) == 0)


@pytest.mark.parametrize(
    "target",
    [
        b"/static/../outside",
        b"/static/%2e%2e/%2e%2e/etc/passwd",
        b"/static/..%2f..%2fetc%2fpasswd",
        b"/static//etc/passwd",
        b"/static/%2fetc%2fpasswd",
        b"/static/%252e%252e/x",
        b"/static/large.bin%00",
        b"/static/%ff%fe",
        b"/static/..%5cx",
    ],
)
def test_targets_as_no_client_library_writes_them(server: Server, target: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as client:
        client.sendall(b"GET " + target + b" HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        answer = b""
        while data := client.recv(65536):
            answer += data
    assert answer[9:12] in (b"404", b"400")
    assert b"root:" not in answer
