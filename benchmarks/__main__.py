"""``make bench``: all scenarios on all servers, which take turns, and what came out.

The servers of a scenario start together and stay. In each round each of them is asked once, while the others
have nothing to do; so whatever slows the machine down for a while slows all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from . import machine, remarks, report, tables
from .answers import what_is_wrong
from .applications.content import LARGE
from .measure import Client, Cores, Measurement
from .results import Outcome, Results, ScenarioResult
from .scenarios import SCENARIOS, Scenario
from .servers import SERVERS, Running
from .servers import serving as serving_alone

ROUNDS: Final = 5
SECONDS: Final = 3

#: What starts a server of a name, and ends it: ``servers.serving``, and its like.
Serving = Callable[..., AbstractContextManager[Running]]

#: Seconds in which each server is asked once before the first round.
WARM_UP: Final = 1


def main() -> int:
    """Measure what is asked for; return 1 if a server answered wrong, 2 if measuring is impossible here."""
    asked = arguments()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("Two cores are needed, one for the server and one for wrk.", file=sys.stderr)
        return 2
    if missing := [program for program in ("wrk", "taskset") if not shutil.which(program)]:
        print(f"Missing: {', '.join(missing)} (Debian: apt install wrk util-linux)", file=sys.stderr)
        return 2
    results = Results(
        date=datetime.date.today().isoformat(),
        interpreter=machine.interpreter(),
        machine=machine.describe(),
        versions=machine.versions(),
        seconds=asked.seconds,
    )
    for scenario in SCENARIOS:
        if scenario.name in asked.scenarios:
            result = run(scenario, asked.servers, asked.rounds, asked.seconds, Cores(cores[0], cores[1]))
            results.scenarios.append(result)
            print(f"\n{tables.everything(result)}\n", flush=True)
    whole = asked.servers == list(SERVERS) and asked.scenarios == [each.name for each in SCENARIOS]
    if asked.save or (whole and asked.rounds >= ROUNDS and asked.seconds >= SECONDS):
        print(f"Saved: {results.save()}")
        report.main()
    print(remarks.verdict(results))
    return any(outcome.fault for scenario in results.scenarios for outcome in scenario.outcomes.values())


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS), metavar="NAME")
    parser.add_argument("--scenarios", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each server in each round")
    parser.add_argument(
        "--save", action="store_true", help="replace the committed results, though it is a part"
    )
    return parser.parse_args()


def run(
    scenario: Scenario,
    names: Sequence[str],
    rounds: int,
    seconds: int,
    cores: Cores,
    serving: Serving = serving_alone,
) -> ScenarioResult:
    """Let some servers take turns in one scenario; ``serving`` starts each of them."""
    outcomes = {name: Outcome() for name in names}
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(tempfile.NamedTemporaryFile())
        file.write(LARGE)
        file.flush()
        running = _start(scenario, outcomes, Path(file.name), cores, stack, serving)
        client = Client(scenario, cores)
        for server in running:
            _ask(client, server, WARM_UP, running, outcomes[server.name])
        for number in range(rounds):
            running = [server for server in running if not outcomes[server.name].wrong]
            first = number % max(len(running), 1)  # nobody is always the one who comes after the slowest
            for server in running[first:] + running[:first]:
                outcome = outcomes[server.name]
                measurement = _ask(client, server, seconds, running, outcome)
                if measurement:
                    outcome.rounds.append(measurement)
                    progress = (
                        f"{scenario.name} {number + 1}/{rounds}: {server.name} {measurement.rate:.0f}/s"
                    )
                    print(f"  {progress}", file=sys.stderr, flush=True)
        for server in running:
            outcomes[server.name].peak_memory = server.peak_memory
    return ScenarioResult(
        scenario.name, scenario.title, scenario.connections, dict(scenario.targets), outcomes
    )


def _start(
    scenario: Scenario,
    outcomes: dict[str, Outcome],
    file: Path,
    cores: Cores,
    stack: contextlib.ExitStack,
    serving: Serving,
) -> list[Running]:
    """Start the servers, and return those which give the right answer; note what is wrong with the others."""
    running = []
    for name, outcome in outcomes.items():
        try:
            server = stack.enter_context(
                serving(
                    name,
                    core=cores.server,
                    loop=scenario.loop,
                    access_log=scenario.access_log,
                    environment={"BENCHMARK_FILE": str(file)},
                )
            )
        except RuntimeError as error:
            outcome.wrong = str(error)
            continue
        outcome.wrong = what_is_wrong(server, scenario)
        if not outcome.wrong:
            running.append(server)
    return running


def _ask(
    client: Client, server: Running, seconds: int, running: list[Running], outcome: Outcome
) -> Measurement | None:
    """Measure a server once; note it if that is impossible, because the server has died."""
    try:
        return client.measure(server, seconds, running)
    except RuntimeError as error:
        outcome.wrong = str(error)
        return None


if __name__ == "__main__":
    sys.exit(main())
