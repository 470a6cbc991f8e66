"""``make slowloris``: a well-behaved client while a thousand hostile ones hold connections, server by server.

The servers take turns. In each turn one runs alone on its core; the other core is for the well-behaved
client, which asks one request after the other on one connection, and for the hostile ones
(`benchmarks.hostile`), in a process that gives way to it. All deadlines that a server has are set to the same
few seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from .hardness import save, table, tell
from .hostile import KINDS
from .servers import HOST, ROOT, serving

APPLICATION: Final = "benchmarks.applications.attacked:app"

REQUEST: Final = b"GET / HTTP/1.1\r\nHost: benchmark\r\n\r\n"

#: Load above which latencies are those of the machine's scheduler, which gives turns of milliseconds.
BUSY: Final = 0.5

#: How each server is told its deadlines, as far as it has any.
DEADLINES: Final = {
    "asgiserve": lambda seconds: [
        *("--request-timeout", f"{seconds}", "--response-timeout", f"{seconds}"),
        *("--keep-alive-timeout", f"{seconds}", "--write-timeout", f"{seconds}"),
    ],
    "uvicorn": lambda seconds: ["--timeout-keep-alive", f"{seconds}"],
    "granian": lambda seconds: ["--http1-header-read-timeout", f"{seconds * 1000}"],
    "hypercorn": lambda seconds: ["--keep-alive", f"{seconds}", "--read-timeout", f"{seconds}"],
    "daphne": lambda seconds: ["--http-timeout", f"{seconds}"],
}


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the well-behaved client waited for its answers, in milliseconds."""

    requests: int
    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: list[float]) -> Latency:
        """Sum up the time that each request took."""
        cuts = statistics.quantiles(seconds, n=100)
        return cls(len(seconds), cuts[49] * 1000, cuts[98] * 1000, max(seconds) * 1000)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one server did in one round."""

    calm: Latency
    attacked: Latency
    hostile: dict[str, dict[str, Any]]  # a Tally for each kind

    @property
    def ratio(self) -> float:
        """By how much the 99th percentile rises."""
        return self.attacked.p99 / self.calm.p99


def main() -> int:
    """Measure, show, and save if asked to; return 1 if asgiserve did not end every hostile client in time."""
    asked = arguments()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    load = os.getloadavg()[0]
    if load > BUSY:
        tell(f"other programs are running (load {load:.1f}): their turns are in the 99th percentiles")
    turns: dict[str, list[Turn]] = {name: [] for name in asked.servers}
    for number in range(asked.rounds):
        first = number % len(asked.servers)
        for name in asked.servers[first:] + asked.servers[:first]:
            turn = take_turn(name, cores[0], asked)
            turns[name].append(turn)
            p99 = f"p99 {turn.calm.p99:.3f} ms, attacked {turn.attacked.p99:.3f} ms"
            tell(f"{number + 1}/{asked.rounds} {name}: {p99}")
    print(f"\n{latencies(turns)}\n\n{endings(turns)}")
    if asked.save:
        options = {"connections": asked.connections, "deadline": asked.deadline, "seconds": asked.seconds}
        kept = {
            name: {
                "ratio": statistics.median(turn.ratio for turn in taken),
                "rounds": list(map(asdict, taken)),
            }
            for name, taken in turns.items()
        }
        print(f"\nSaved: {save('slowloris', options | {'load': load, 'servers': kept})}")
    ours = [tally for turn in turns.get("asgiserve", ()) for tally in turn.hostile.values()]
    return any(tally["late"] or tally["held"] for tally in ours)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.slowloris", description=__doc__.splitlines()[0]
    )
    compared = ["asgiserve", "uvicorn", "granian"]
    parser.add_argument("--servers", nargs="+", choices=DEADLINES, default=compared, metavar="NAME")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--deadline", type=int, default=5, help="seconds that a server is told to wait")
    parser.add_argument(
        "--seconds", type=float, default=6.0, help="for which the latency is measured, each time"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", action="store_true", help="replace the committed results")
    return parser.parse_args()


def take_turn(name: str, core: int, asked: argparse.Namespace) -> Turn:
    """Measure one server without hostile clients and with them."""
    with serving(name, APPLICATION, core=core, arguments=DEADLINES[name](asked.deadline)) as server:
        measure(server.port, 1.0)
        calm = measure(server.port, asked.seconds)
        with hostile(server.port, asked) as process:
            attacked = measure(server.port, asked.seconds)
            output, _ = process.communicate()
    return Turn(calm, attacked, json.loads(output))


def measure(port: int, seconds: float) -> Latency:
    """Ask one request after the other for some time."""
    taken = []
    gc.disable()
    with socket.create_connection((HOST, port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        over = time.perf_counter() + seconds
        while (began := time.perf_counter()) < over:
            client.sendall(REQUEST)
            answer = client.recv(65536)
            while not answer.endswith(b"Hello, world!"):  # heads and bodies may come by themselves
                more = client.recv(65536)
                if not more:
                    raise ConnectionError(f"the well-behaved client was cut off after {answer!r}")
                answer += more
            taken.append(time.perf_counter() - began)
    gc.enable()
    return Latency.of(taken)


@contextlib.contextmanager
def hostile(port: int, asked: argparse.Namespace) -> Iterator[subprocess.Popen[str]]:
    """Hostile clients, all of them there; closing the process's input ends them."""
    options = [
        "--port",
        f"{port}",
        "--connections",
        f"{asked.connections}",
        "--deadline",
        f"{asked.deadline}",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hostile", *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the hostile clients did not come")
        yield process
    finally:
        process.kill()
        process.wait()


def latencies(turns: dict[str, list[Turn]]) -> str:
    """What the well-behaved client saw: medians over the rounds."""
    rows = []
    for name, taken in turns.items():
        ratios = [turn.ratio for turn in taken]
        figures = [
            statistics.median(turn.calm.p50 for turn in taken),
            statistics.median(turn.calm.p99 for turn in taken),
            statistics.median(turn.attacked.p50 for turn in taken),
            statistics.median(turn.attacked.p99 for turn in taken),
            max(turn.attacked.longest for turn in taken),
        ]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        rows.append((name, *(f"{figure:.3f}" for figure in figures), spread))
    heads = ("milliseconds", "calm p50", "p99", "attacked p50", "p99", "longest", "p99 rises to")
    return table(heads, rows)


def endings(turns: dict[str, list[Turn]]) -> str:
    """How many hostile connections were ended in time, of those that came to it, and when."""
    rows = []
    for kind in KINDS:
        row = [kind]
        for taken in turns.values():
            tallies = [turn.hostile[kind] for turn in taken]
            in_time = sum(tally["in_time"] for tally in tallies)
            due = in_time + sum(tally["late"] + tally["held"] for tally in tallies)
            latest = max((tally["latest"] for tally in tallies if tally["latest"]), default=None)
            row.append(f"{in_time} of {due}" + (f", {latest:.2f} s" if latest else ""))
        rows.append(row)
    return table(("ended in time, and the last one after", *turns), rows)


if __name__ == "__main__":
    sys.exit(main())
