"""``make bench`` for frameworks: in one process, their imports, and pairs with servers, which take turns."""

from __future__ import annotations

import argparse
import datetime
import logging
import os
import shutil
import sys
from typing import Final

from .. import machine, remarks, report, tables
from ..__main__ import run
from ..hardness import tell
from ..measure import Cores
from . import imports, in_process
from .report import details
from .report import imports as said_of_imports
from .results import FrameworkResults
from .scenarios import SCENARIOS
from .servers import OURS, PAIRS, serving

ROUNDS: Final = 5
SECONDS: Final = 2

#: What is measured beside the scenarios.
IN_PROCESS: Final = "in-process"
IMPORTS: Final = "imports"


def main() -> int:
    """Measure what is asked for; return 1 if an answer was wrong, 2 if measuring is impossible here."""
    asked = arguments()
    cores = sorted(os.sched_getaffinity(0))
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in asked.scenarios]
    if scenarios and len(cores) < 2:
        print("Two cores are needed, one for the server and one for wrk.", file=sys.stderr)
        return 2
    if scenarios and (missing := [name for name in ("wrk", "taskset") if not shutil.which(name)]):
        print(f"Missing: {', '.join(missing)} (Debian: apt install wrk util-linux)", file=sys.stderr)
        return 2
    results = FrameworkResults(
        date=datetime.date.today().isoformat(),
        interpreter=machine.interpreter(),
        machine=machine.describe(),
        versions=machine.versions(),
        seconds=asked.seconds,
    )
    # Logs of requests are off everywhere: BlackSheep would write a line for each 404.
    logging.disable(logging.INFO)
    if IN_PROCESS in asked.scenarios:
        tell("in one process")
        results.in_process = in_process.compare(in_process.FRAMEWORKS, asked.rounds_in_process)
        print("\n", *map(details, results.in_process), sep="\n\n", flush=True)
    if IMPORTS in asked.scenarios:
        tell("imports")
        results.imports = imports.measure(list(imports.STATEMENTS), imports.ROUNDS)
        print(f"\n{said_of_imports(results.imports)}", flush=True)
    for scenario in scenarios:
        result = run(
            scenario, asked.pairs, asked.rounds, asked.seconds, Cores(cores[0], cores[1]), serving=serving
        )
        result.ours = OURS
        results.scenarios.append(result)
        print(f"\n{tables.everything(result)}\n", flush=True)
    whole = asked.pairs == list(PAIRS) and asked.scenarios == names_of_scenarios()
    if asked.save or (whole and asked.rounds >= ROUNDS and asked.seconds >= SECONDS):
        print(f"Saved: {results.save()}")
        report.main()
    print(verdict(results))
    return any(outcome.fault for scenario in results.scenarios for outcome in scenario.outcomes.values())


def names_of_scenarios() -> list[str]:
    """Name all that can be measured."""
    return [IN_PROCESS, IMPORTS, *(scenario.name for scenario in SCENARIOS)]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frameworks", description=__doc__)
    names = names_of_scenarios()
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS), metavar="PAIR")
    parser.add_argument("--scenarios", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="behind servers")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each pair in each round")
    parser.add_argument("--rounds-in-process", type=int, default=in_process.ROUNDS, metavar="ROUNDS")
    parser.add_argument(
        "--save", action="store_true", help="replace the committed results, though it is a part"
    )
    return parser.parse_args()


def verdict(results: FrameworkResults) -> str:
    """Say for each target whether it was reached; for the terminal."""
    lines = [f"{row.title}: {said}" for row in results.in_process for said, _ in row.reached()]
    return "\n".join([*lines, *([remarks.verdict(results)] if results.scenarios else [])])


if __name__ == "__main__":
    sys.exit(main())
