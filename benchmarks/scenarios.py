"""What is asked of the servers, what they have to answer, and which ratio asgiserve has to reach.

A request is written here as it goes over the wire: what wrk sends, what is checked beforehand, and what the
measurement in one process feeds to a server are the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from .applications.content import CHUNK, CHUNKS, HELLO, LARGE
from .servers import Loop

#: Stands in `Scenario.targets` for the peer that is the fastest in the scenario.
FASTEST: Final = "the fastest peer"


def request(line: str, *fields: str, body: bytes = b"") -> bytes:
    """Write a request as it goes over the wire."""
    length = [f"Content-Length: {len(body)}"] if body else []
    head = [f"{line} HTTP/1.1", "Host: 127.0.0.1:8000", *fields, *length, "", ""]
    return "\r\n".join(head).encode() + body


#: 41 bytes: the least that HTTP/1.1 allows, and a port.
SMALL: Final = request("GET /")

#: Nine fields, as a browser sends them.
BROWSER: Final = request(
    "GET /users/42?x=1",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Accept: text/html,application/xhtml+xml",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br",
    "Referer: http://127.0.0.1/",
    "Cookie: session=abcdef0123456789",
    "Connection: keep-alive",
    "Cache-Control: max-age=0",
)

#: The same fields, and no two requests alike: {n} is another number in each of them.
VARIED: Final = request(
    "GET /users/{n}/posts?page={n}",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Accept: text/html,application/xhtml+xml",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br",
    "Referer: http://127.0.0.1/users/{n}",
    "Cookie: session=abcdef{n}",
    "Connection: keep-alive",
    "Cache-Control: max-age=0",
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of request, on ``connections`` at once; ``pipelined`` of them are written together."""

    name: str
    title: str
    request: bytes
    answer: bytes  # the body of a correct response
    targets: Mapping[str, float] = field(default_factory=dict)  # asgiserve's rate, divided by the peer's
    connections: int = 32
    pipelined: int = 1
    loop: Loop = "uvloop"
    access_log: bool = False


SCENARIOS: Final = (
    Scenario("get", "GET, 13 bytes", SMALL, HELLO, {"uvicorn": 1.6, "granian": 1.7}),
    Scenario("browser", "GET, nine header fields", BROWSER, HELLO, {"uvicorn": 1.6}),
    Scenario("varied", "GET, nine header fields, no two requests alike", VARIED, HELLO),
    Scenario(
        "echo",
        "POST, 1 KiB echoed",
        request("POST /echo", body=b"e" * 1024),
        answer=b"e" * 1024,
        targets={"uvicorn": 1.6},
    ),
    Scenario(
        "upload",
        "POST, 1 MiB read",
        request("POST /count", body=LARGE),
        answer=b"%d" % len(LARGE),
        targets={"uvicorn": 1.3},
        connections=8,
    ),
    Scenario("large", "GET, 1 MiB", request("GET /large"), LARGE, {"uvicorn": 1.05}, connections=8),
    Scenario(
        "chunks",
        "GET, 100 chunks of 1 KiB",
        request("GET /chunks"),
        answer=CHUNK * CHUNKS,
        targets={"uvicorn": 1.3},
        connections=16,
    ),
    Scenario(
        "file", "GET, a file of 1 MiB", request("GET /file"), LARGE, targets={FASTEST: 1.2}, connections=8
    ),
    Scenario("pipelined", "16 pipelined GETs", SMALL, HELLO, targets={"uvicorn": 1.8}, pipelined=16),
    Scenario(
        "logged",
        "GET, with an access log",
        request("GET /logged"),
        HELLO,
        targets={"uvicorn": 1.5},
        access_log=True,
    ),
    Scenario("asyncio", "GET, without uvloop", SMALL, HELLO, targets={"uvicorn": 1.5}, loop="asyncio"),
)
