"""The memory of one connection is bounded, whatever its client sends, and whatever it does not read.

Attackers of each kind send as fast as they can and read nothing, several at once, until the server has
stopped reading, or has cut them off, or has taken far more than the bound. The server runs in a process of
its own for each kind, because memory that one kind has left behind would hide what the next one takes.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import time
from pathlib import Path

import pytest
import trustme

from tests.asgiserve.applications import Receive, Scope, Send, answer, piece, start
from tests.asgiserve.conftest import COMBINATIONS
from tests.asgiserve.program import Program
from tests.asgiserve.raw import GET, GET_AND_CLOSE, Client, get, post, request

#: What the process may grow by at its peak, for each connection; and where it speaks TLS, which takes 512 KiB
#: ahead of the application before it stops reading, and decrypts 256 KiB at a time.
BOUND = 1024 * 1024
TLS_BOUND = 2 * BOUND

#: Attackers at once: so many that what the process moves for other reasons is small beside the bound.
ATTACKERS = 20

#: Bytes that an attacker sends at most: enough to be far above the bound, in whatever form they are kept.
ENOUGH = 16 * BOUND

#: Seconds in which no attacker could send anything: the server has stopped reading. And seconds for an
#: attack as a whole, since some are never stopped, because nothing of what they send is kept.
STILL = 0.3
LONG = 1.0

LARGE = b"x" * 300_000


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """What is attacked: a path for each way to take a body, and to answer."""
    assert scope["type"] == "http"
    match scope["path"]:
        case "/deaf":
            await asyncio.Event().wait()
        case "/count":
            while (await receive()).get("more_body"):
                pass
            await answer(send)
        case "/endless":
            await send(start())
            while True:
                await send(piece(b"x" * 65536, more=True))
        case "/large":
            await answer(send, LARGE)
        case _:
            await answer(send)


def length(size: int, target: str = "/") -> bytes:
    """The head of a POST request with a Content-Length."""
    return request(f"POST {target} HTTP/1.1", "Host: test", f"Content-Length: {size}")


def chunked(target: str = "/") -> bytes:
    """The head of a POST request whose body comes in chunks."""
    return request(f"POST {target} HTTP/1.1", "Host: test", "Transfer-Encoding: chunked")


#: What each kind of attacker sends first, and then without end.
ATTACKS = {
    "empty-lines": (b"", b"\r\n" * 5000),
    "request-line": (b"GET /", b"a" * 10_000),
    "one-header-line": (GET[:-2] + b"X: ", b"a" * 10_000),
    "tiny-header-lines": (GET[:-2], b"a:\r\n" * 2500),
    "head-just-below-the-limits": (GET[:-2] + b"".join(b"X: %b\r\n" % (b"a" * 8000) for _ in range(8)), b""),
    "chunk-size": (chunked("/count"), b"0" * 10_000),
    "chunk-extension": (chunked("/count") + b"1;", b"a" * 10_000),
    "tiny-chunk-extensions": (chunked("/count"), b"1;\r\nx\r\n" * 1000),
    "one-byte-chunks": (chunked("/count"), b"1\r\nx\r\n" * 1000),
    "one-trailer": (chunked("/count") + b"0\r\nX: ", b"a" * 10_000),
    "tiny-trailers": (chunked("/count") + b"0\r\n", b"a:\r\n" * 2500),
    "body-nobody-reads": (length(90_000_000, "/deaf"), b"x" * 65_536),
    "chunks-nobody-reads": (chunked("/deaf"), b"ffff\r\n" + b"x" * 65_535 + b"\r\n"),
    "one-byte-chunks-nobody-reads": (chunked("/deaf"), b"1\r\nx\r\n" * 1000),
    "body-after-its-answer": (length(90_000_000), b"x" * 65_536),
    "chunks-after-their-answer": (chunked(), b"1\r\nx\r\n" * 1000),
    "body-after-its-refusal": (length(900_000_000), b"x" * 65_536),
    "requests-after-the-last": (GET_AND_CLOSE, GET * 100),
    "requests-behind-one-in-progress": (get("/deaf"), GET * 100),
    "requests": (b"", GET * 100),
    "requests-with-bodies": (b"", post(b"x" * 1000) * 10),
    "requests-for-large-responses": (b"", get("/large") * 100),
    "stream-nobody-reads": (get("/endless"), b""),
}


def attack(attackers: list[Client], first: bytes, endless: bytes) -> bool:
    """Let them send until each is cut off or blocked, or has sent enough; return whether it came to that."""
    rest = {attacker.socket: memoryview(first) for attacker in attackers}
    sent = dict.fromkeys(rest, 0)
    for sock in rest:
        sock.setblocking(False)
    over = time.monotonic() + LONG
    while rest and time.monotonic() < over:
        _, ready, _ = select.select([], list(rest), [], STILL)
        if not ready:
            return True
        for sock in ready:
            try:
                size = sock.send(rest[sock] or endless)
            except (BlockingIOError, ssl.SSLWantWriteError):
                continue
            except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                del rest[sock]
                continue
            sent[sock] += size
            rest[sock] = (rest[sock] or memoryview(endless))[size:]
            if not (rest[sock] or endless) or sent[sock] > ENOUGH:
                del rest[sock]
    return not rest


def growth(server: Program, kind: str, tls: ssl.SSLContext | None = None) -> float:
    """Let attackers of one kind loose; return by how many bytes the server has grown for each of them."""
    host, _, port = server.url.rpartition("/")[2].rpartition(":")

    def connect() -> Client:
        return Client((host, int(port)), tls)

    def ask() -> None:
        with connect() as client:
            client.send(GET)
            assert client.response().status == 200

    ask()
    before = server.memory("VmRSS")
    attackers = [connect() for _ in range(ATTACKERS)]
    if not attack(attackers, *ATTACKS[kind]):
        for attacker in attackers:
            attacker.reset()  # what the kernel still holds of them is not waited for
    ask()
    grown = server.memory("VmHWM") - before
    for attacker in attackers:
        attacker.close()
    return grown / ATTACKERS


@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize("combination", COMBINATIONS[::3], ids="-".join)
def test_memory_of_a_connection_is_bounded(combination: tuple[str, str], kind: str) -> None:
    http, loop = combination
    with Program(f"{__name__}:app", "--http", http, "--loop", loop, "--no-access-log") as server:
        assert growth(server, kind) < BOUND


@pytest.mark.parametrize(
    "kind", ["body-nobody-reads", "requests-behind-one-in-progress", "stream-nobody-reads"]
)
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_memory_of_a_tls_connection_is_bounded(loop: str, kind: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    file = tmp_path / "certificate.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(file)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    settings = ("--ssl-certfile", str(file), "--loop", loop, "--no-access-log")
    with Program(f"{__name__}:app", *settings) as server:
        assert growth(server, kind, context) < TLS_BOUND
