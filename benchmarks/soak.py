"""``make soak``: two million mixed requests, and clients that leave at every stage; nothing may grow.

In each round visitors of all kinds come (`benchmarks.visits`), beside hostile clients that run into every
timeout (`benchmarks.hostile`). When all of them have left, what the server still holds is counted: memory,
file descriptors, threads, tasks, timers, and its own objects. What it holds in the end is compared with what
it held after the rounds that warmed it up. The exit code is 1 if anything has grown, or was answered wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from . import processes
from .hardness import save, table, tell
from .servers import ROOT, Loop, Running, serving

APPLICATION: Final = "benchmarks.applications.attacked:app"

#: Deadlines of the server: short, so that they are met often; long enough for a busy machine.
DEADLINE: Final = 5
SETTINGS: Final = (
    *("--request-timeout", f"{DEADLINE}", "--response-timeout", f"{DEADLINE}"),
    *("--keep-alive-timeout", f"{DEADLINE}", "--write-timeout", f"{DEADLINE}", "--log-level", "error"),
)

#: Seconds for the server to notice that everybody has left: several deadlines.
SETTLING: Final = 4 * DEADLINE

ROUNDS: Final = 8
WARM_UP: Final = 2  # of them
LATE: Final = 3  # the last of them; a leak raises the least memory among them

HOSTILE: Final = 120

#: Bytes and objects that may be more than before. Where nothing leaks, the number of objects differs by a few
#: that are cached, while the allocators move 3 MiB up and down; a leak of four bytes a request is more.
ROOM: Final = {"memory": 2 * 1024 * 1024, "own": 20, "objects": 50}


@dataclass(frozen=True, slots=True)
class Holding:
    """What a server holds while it has no clients."""

    memory: int  # bytes, VmRSS
    descriptors: int
    threads: int
    tasks: int
    timers: int
    own: int  # objects of asgiserve's and of the event loop's classes
    objects: int  # that the garbage collector knows of
    alive: Counter[str] = field(repr=False)  # by their type

    def grown_since(self, before: Holding) -> list[str]:
        """Say what has grown, and by how much; nothing, if all is well."""
        found = []
        for name in ("memory", "descriptors", "threads", "tasks", "timers", "own", "objects"):
            then, now = getattr(before, name), getattr(self, name)
            if now - then > ROOM.get(name, 0):
                found.append(f"{name}: from {then} to {now}")
        if found:
            more = (self.alive - before.alive).most_common(10)
            found.append("more objects of: " + ", ".join(f"{name} ({count})" for name, count in more))
        return found


@dataclass(slots=True)
class Outcome:
    """What a soak on one event loop has shown."""

    requests: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)  # hostile connections, by kind
    holdings: list[Holding] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def faults(self) -> list[str]:
        """What is wrong."""
        warm, late = self.holdings[:WARM_UP], self.holdings[-LATE:]
        before = replace(warm[-1], memory=max(each.memory for each in warm))
        after = replace(late[-1], memory=min(each.memory for each in late))
        grown = after.grown_since(before)
        return [*grown, *(f"{count} times {what}" for what, count in self.wrong.items())]


def main() -> int:
    """Soak, show, and save if asked to."""
    asked = arguments()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    outcomes: dict[str, Outcome] = {}
    for loop in asked.loops:
        outcomes[loop] = soak(loop, asked.requests // len(asked.loops), cores[0])
        print(f"\n{show(loop, outcomes[loop])}\n", flush=True)
    if asked.save:
        figures = {loop: kept(outcome) for loop, outcome in outcomes.items()}
        print(f"Saved: {save('soak', {'loops': figures})}")
    return any(outcome.faults for outcome in outcomes.values())


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.splitlines()[0])
    loops: list[Loop] = ["uvloop", "asyncio"]
    parser.add_argument("--loops", nargs="+", choices=loops, default=loops, metavar="NAME")
    parser.add_argument("--requests", type=int, default=2_000_000, help="on all loops together")
    parser.add_argument("--save", action="store_true", help="replace the committed results")
    return parser.parse_args()


def soak(loop: Loop, requests: int, core: int) -> Outcome:
    """Let so many requests come on one event loop."""
    outcome = Outcome()
    began = time.monotonic()
    with serving("asgiserve", APPLICATION, core=core, loop=loop, arguments=SETTINGS) as server:
        empty = holding(server)
        for number in range(ROUNDS):
            with hostile(server, outcome):
                visit(server, outcome, requests // ROUNDS, seed=number)
            outcome.holdings.append(settled(server, empty))
            total = sum(outcome.requests.values())
            tell(f"{loop} {number + 1}/{ROUNDS}: {total} requests, {outcome.holdings[-1]}")
    outcome.seconds = time.monotonic() - began
    return outcome


def visit(server: Running, outcome: Outcome, requests: int, seed: int) -> None:
    """Send visitors, and wait until they have made their requests."""
    options = ["--port", f"{server.port}", "--requests", f"{requests}", "--seed", f"{seed}"]
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.visits", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    report = json.loads(ended.stdout)
    outcome.requests.update(report["requests"])
    outcome.wrong.update(report["wrong"])


@contextmanager
def hostile(server: Running, outcome: Outcome) -> Iterator[None]:
    """Hostile clients beside the visitors, for as long as it takes to run into every timeout."""
    options = ["--port", f"{server.port}", "--connections", f"{HOSTILE}", "--deadline", f"{DEADLINE}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hostile", *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield
        time.sleep(DEADLINE)
        output, _ = process.communicate()
        for kind, tally in json.loads(output.removeprefix("ready\n")).items():
            outcome.ended[kind] += tally["in_time"] + tally["late"]
    finally:
        process.kill()
        process.wait()


def settled(server: Running, empty: Holding) -> Holding:
    """Count what a server holds once it has noticed that all clients have left, or does not seem to."""
    over = time.monotonic() + SETTLING
    while True:
        found = holding(server)
        same = [getattr(found, name) <= getattr(empty, name) for name in ("descriptors", "tasks", "timers")]
        if all(same) or time.monotonic() > over:
            return found
        time.sleep(0.5)


def holding(server: Running) -> Holding:
    """Count what a server holds."""
    with urllib.request.urlopen(f"{server.url}/books") as response:
        books = json.load(response)
    alive = Counter(books["objects"])
    own = ("asgiserve.", "uvloop.", "asyncio.")
    return Holding(
        memory=processes.memory(server.pid),
        descriptors=len(os.listdir(f"/proc/{server.pid}/fd")),
        threads=len(os.listdir(f"/proc/{server.pid}/task")),
        tasks=books["tasks"],
        timers=sum(count for name, count in alive.items() if name.endswith("TimerHandle")),
        own=sum(count for name, count in alive.items() if name.startswith(own)),
        objects=sum(alive.values()),
        alive=alive,
    )


def show(loop: str, outcome: Outcome) -> str:
    """What the server held after each round, and what is wrong."""
    heads = ("after round", "memory (kB)", *"descriptors threads tasks timers own objects".split())
    rows = [
        (
            f"{number}" + (" (warm)" if number == WARM_UP else ""),
            f"{each.memory // 1024}",
            *(str(figure) for figure in (each.descriptors, each.threads, each.tasks, each.timers)),
            *(str(figure) for figure in (each.own, each.objects)),
        )
        for number, each in enumerate(outcome.holdings, 1)
    ]
    ended = ", ".join(f"{count} {kind}" for kind, count in outcome.ended.items())
    return "\n".join(
        (
            f"{loop}: {sum(outcome.requests.values())} requests in {outcome.seconds:.0f} s",
            f"hostile connections that were ended: {ended}",
            table(heads, rows),
            *(outcome.faults or ["nothing has grown, and nothing was answered wrong"]),
        )
    )


def kept(outcome: Outcome) -> dict[str, Any]:
    """What of an outcome goes into the results."""
    holdings = [asdict(each) for each in outcome.holdings]
    for each in holdings:
        del each["alive"]
    return {
        "requests": sum(outcome.requests.values()),
        "seconds": outcome.seconds,
        "kinds": dict(sorted(outcome.requests.items())),
        "hostile": outcome.ended,
        "holdings": holdings,
        "faults": outcome.faults,
    }


if __name__ == "__main__":
    sys.exit(main())
