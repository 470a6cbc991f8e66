"""Where the time of a request goes inside asgiserve: ``make profile``.

py-spy looks from outside, 500 times a second, at a process that serves the requests of
`benchmarks.in_process`; so nothing is dearer than without it. What a function spends in C is its own time
here.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from .contenders import LOOPS, Contender
from .in_process import CONTENDERS, REQUESTS, check, requests_of
from .servers import ROOT
from .tables import table

#: A frame as py-spy writes it: ``Exchange.send (asgiserve/exchange.py:126)``.
FRAME: Final = re.compile(r"(?P<function>.+) \((?P<file>[^():]+):(?P<line>\d+)\)")

#: In the stack of whatever the event loop runs; the other samples are of the program's start.
SERVING: Final = "run (asyncio/runners.py"


def main() -> int:
    """Profile one kind of request on one loop, and print the functions that take the most time."""
    asked = arguments()
    if asked.feed:
        with asyncio.Runner(loop_factory=LOOPS[asked.loop]) as runner:
            print("COST", runner.run(feed(list(REQUESTS.values())[asked.request], asked.seconds)))
        return 0
    with tempfile.NamedTemporaryFile() as stacks:
        observer = [
            str(Path(sys.executable).with_name("py-spy")),
            "record",
            "--rate",
            "500",
            "--format",
            "raw",
            "--output",
            stacks.name,
        ]
        program = [sys.executable, "-m", "benchmarks.profiling", *sys.argv[1:], "--feed"]
        run = subprocess.run([*observer, "--", *program], capture_output=True, text=True, cwd=ROOT)
        samples = Path(stacks.name).read_text().splitlines()
    told = re.search(r"COST (\S+)", run.stdout)
    if not told or not samples:
        print(run.stdout + run.stderr, file=sys.stderr)
        return 1
    cost = float(told[1])
    print(f"{list(REQUESTS)[asked.request]}, on {asked.loop}: {cost:.2f} µs of CPU time for a request.\n")
    print(table(rows(samples, cost)[: asked.lines + 2]))
    return 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiling")
    kinds = "; ".join(f"{number}: {title}" for number, title in enumerate(REQUESTS))
    parser.add_argument("--request", type=int, choices=range(len(REQUESTS)), default=0, help=kinds)
    parser.add_argument("--loop", choices=LOOPS, default="uvloop")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--feed", action="store_true", help="be the program that is looked at")
    return parser.parse_args()


async def feed(template: bytes, seconds: float) -> float:
    """Let asgiserve answer requests for some seconds; return microseconds of CPU time per request."""
    contender = Contender("asgiserve", CONTENDERS["asgiserve"])
    requests = requests_of(template, 0)
    await check(contender, requests[0][0])
    costs = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        costs.append(await contender.round(requests))
    return sum(costs) / len(costs)


def rows(samples: Iterable[str], cost: float) -> list[list[str]]:
    """Sort the functions by the time spent in each of them itself."""
    alone: Counter[tuple[str, str]] = Counter()
    hottest: dict[tuple[str, str], Counter[str]] = {}
    for sample in samples:
        stack, _, count = sample.rpartition(" ")
        leaf = FRAME.fullmatch(stack.rpartition(";")[2])
        if SERVING in stack and leaf:
            where = leaf["function"], leaf["file"]
            alone[where] += int(count)
            hottest.setdefault(where, Counter())[leaf["line"]] += int(count)
    total = alone.total()
    body = [
        [
            f"{count / total:.1%}",
            f"{count / total * cost:.2f}",
            function,
            file,
            _lines(hottest[function, file]),
        ]
        for (function, file), count in alone.most_common()
    ]
    return [
        ["share", "µs", "function", "file", "hottest lines"],
        ["---:", "---:", "---", "---", "---"],
        *body,
    ]


def _lines(counted: Counter[str]) -> str:
    total = counted.total()
    return ", ".join(f"{line} ({count / total:.0%})" for line, count in counted.most_common(3))


if __name__ == "__main__":
    sys.exit(main())
