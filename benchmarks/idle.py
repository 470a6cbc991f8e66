"""``make idle``: what ten thousand idle keep-alive connections cost, on each server.

Each connection has made one small request. Memory is what the server's processes have for themselves
(``Private`` in ``/proc/PID/smaps_rollup``), before and after, by the number of connections. Then each of them
makes another request, as browsers do, and has to be answered; and memory is looked at again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from .hardness import save, table, tell
from .servers import HOST, Running, serving

APPLICATION: Final = "benchmarks.applications.sweeps:app"

SMALL: Final = b"GET / HTTP/1.1\r\nHost: benchmark\r\n\r\n"

#: What a browser sends; no two cookies are the same.
BROWSER: Final = (
    b"GET / HTTP/1.1\r\nHost: benchmark\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Connection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\nPriority: u=0, i\r\n"
    b"Cookie: session=%040d; theme=dark\r\n\r\n"
)

#: File descriptors of a process beside its connections.
OTHERS: Final = 500

#: Connections that come before the first look, so that what a server makes once is not counted.
EARLY: Final = 200

#: What keeps idle connections open for long enough, and lets a server have so many.
SETTINGS: Final[dict[str, Sequence[str]]] = {
    "asgiserve": ["--keep-alive-timeout", "600"],
    "uvicorn": ["--timeout-keep-alive", "600"],
    "granian": ["--http", "1", "--http1-header-read-timeout", "60000", "--backpressure", "32768"],
    "hypercorn": ["--keep-alive", "600"],
    "daphne": [],
}


@dataclass(frozen=True, slots=True)
class Idle:
    """What the connections cost on one server."""

    small: float  # KiB for each connection, after one small request
    browser: float  # and after one of a browser
    answered: int  # the second time
    sweeps: list[float]  # milliseconds of the last sweeps, where they are known


def main() -> int:
    """Measure, show, and save if asked to; return 1 if a connection was not answered by asgiserve."""
    asked = arguments()
    enough = asked.connections + OTHERS
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < enough:
        print(f"{enough} file descriptors are needed, and {hard} allowed (ulimit -Hn).", file=sys.stderr)
        return 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))  # which the servers inherit
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    rounds: dict[str, list[Idle]] = {name: [] for name in asked.servers}
    for number in range(asked.rounds):
        for name in asked.servers:
            rounds[name].append(measure(name, cores[0], asked.connections))
            tell(f"{number + 1}/{asked.rounds} {name}: {rounds[name][-1].small:.2f} KiB")
    print(f"\n{show(rounds, asked.connections)}")
    if asked.save:
        kept: dict[str, Any] = {name: [asdict(each) for each in taken] for name, taken in rounds.items()}
        print(f"\nSaved: {save('idle', {'connections': asked.connections, 'servers': kept})}")
    return any(each.answered < asked.connections for each in rounds.get("asgiserve", ()))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__.splitlines()[0])
    parser.add_argument("--servers", nargs="+", choices=SETTINGS, default=list(SETTINGS), metavar="NAME")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", action="store_true", help="replace the committed results")
    return parser.parse_args()


def measure(name: str, core: int, connections: int) -> Idle:
    """Open the connections to one server, ask on each of them twice, and look at its memory."""
    with serving(name, APPLICATION, core=core, arguments=SETTINGS[name]) as server:
        opened: list[socket.socket] = []
        try:
            connect(server, opened, EARLY)
            before = private_memory(server)
            connect(server, opened, connections)
            small = private_memory(server)
            answered = sum(ask(sock, BROWSER % number) for number, sock in enumerate(opened[EARLY:]))
            browser = private_memory(server)
            sweeps = sweep_times(server) if name == "asgiserve" else []
        finally:
            for sock in opened:
                sock.close()
    return Idle((small - before) / connections, (browser - before) / connections, answered, sweeps)


def connect(server: Running, opened: list[socket.socket], number: int) -> None:
    """Open so many more connections, each with one request that is answered.

    All come from one address: each server has a port of its own, so that their ends are never the same.
    """
    for _ in range(number):
        sock = socket.create_connection((HOST, server.port), timeout=30)
        opened.append(sock)
        if not ask(sock):
            raise RuntimeError(f"{server.name} does not answer the connection number {len(opened)}")


def ask(sock: socket.socket, request: bytes = SMALL) -> bool:
    """Ask on a connection; return whether it is answered."""
    try:
        sock.sendall(request)
        answer = b""
        while not answer.endswith(b"Hello, world!"):
            more = sock.recv(65536)
            if not more:
                return False
            answer += more
    except OSError:
        return False
    return True


def private_memory(server: Running) -> float:
    """KiB that no other process shares, summed over the server's processes."""
    files = [Path(f"/proc/{pid}/smaps_rollup") for pid in server.pids]
    lines = [line for file in files for line in file.read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def sweep_times(server: Running) -> list[float]:
    """Let some sweeps happen, and ask how long they took, in milliseconds."""
    time.sleep(6)  # 20 sweeps, four in a second, and none with the requests before
    with socket.create_connection((HOST, server.port), timeout=30) as sock:
        sock.sendall(b"GET /sweeps HTTP/1.1\r\nHost: benchmark\r\nConnection: close\r\n\r\n")
        answer = b""
        while more := sock.recv(65536):
            answer += more
    found: list[float] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def show(rounds: dict[str, list[Idle]], connections: int) -> str:
    """What a connection costs: medians over the rounds."""
    rows = []
    for name, taken in rounds.items():
        sweeps = [time for each in taken for time in each.sweeps]
        rows.append(
            (
                name,
                f"{statistics.median(each.small for each in taken):.2f}",
                f"{statistics.median(each.browser for each in taken):.2f}",
                f"{min(each.answered for each in taken)} of {connections}",
                f"{statistics.median(sweeps):.2f} (longest {max(sweeps):.2f})" if sweeps else "",
            )
        )
    heads = ("KiB for each connection", "after a GET", "after a browser's", "answered again", "sweep (ms)")
    return table(heads, rows)


if __name__ == "__main__":
    sys.exit(main())
