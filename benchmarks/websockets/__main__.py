"""``make bench`` for WebSockets: all scenarios on all servers, which take turns, and idle connections.

It measures as the benchmark of HTTP does, with another client.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import sys
from collections.abc import Sequence
from typing import Final

from .. import machine, remarks, report, tables
from ..hardness import tell
from ..measure import Cores, Measurement
from ..results import Outcome, ScenarioResult
from ..servers import Running
from . import idle
from .measure import measure
from .report import limits, memory
from .results import WebSocketResults
from .scenarios import SCENARIOS, Scenario
from .servers import SERVERS, serving, serving_nothing, what_is_missing, what_is_wrong

ROUNDS: Final = 3
SECONDS: Final = 1

#: Seconds in which each server is asked once before the first round.
WARM_UP: Final = 0.5

#: The measurements of memory, and whether their messages are compressed.
IDLE: Final = {"idle": False, "idle-compressed": True}


def main() -> int:
    """Measure what is asked for; return 1 if a server answered wrong, 2 if measuring is impossible here."""
    asked = arguments()
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        print("Two cores are needed, one for the server and one for the client.", file=sys.stderr)
        return 2
    cores = Cores(available[0], available[1])
    results = WebSocketResults(
        date=datetime.date.today().isoformat(),
        interpreter=machine.interpreter(),
        machine=machine.describe(),
        versions=machine.versions(),
        seconds=asked.seconds,
    )
    for scenario in SCENARIOS:
        if scenario.name in asked.scenarios:
            result = run(scenario, asked.servers, asked.rounds, asked.seconds, cores)
            results.scenarios.append(result)
            print(f"\n{tables.everything(result, 'messages')}\n", flush=True)
            if not (scenario.broadcast or scenario.compressed):
                results.ceilings[scenario.name] = ceiling(scenario, asked.seconds, cores)
    results.idle = idle_connections(asked.servers, asked.scenarios, asked.connections, cores)
    if results.idle:
        print(memory(results.idle))
    whole = asked.servers == list(SERVERS) and asked.scenarios == names_of_scenarios()
    if asked.save or (whole and asked.rounds >= ROUNDS and asked.seconds >= SECONDS):
        print(f"Saved: {results.save()}")
        report.main()
    print(remarks.verdict(results))
    print(limits(results))
    wrong = any(outcome.fault for scenario in results.scenarios for outcome in scenario.outcomes.values())
    return wrong or any(each.fault for each in results.idle)


def names_of_scenarios() -> list[str]:
    """Name all that can be measured."""
    return [*(scenario.name for scenario in SCENARIOS), *IDLE]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    summary = __doc__.splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.websockets", description=summary)
    names = names_of_scenarios()
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS), metavar="NAME")
    parser.add_argument("--scenarios", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each server in each round")
    parser.add_argument("--connections", type=int, default=idle.CONNECTIONS, help="that are idle")
    parser.add_argument(
        "--save", action="store_true", help="replace the committed results, though it is a part"
    )
    return parser.parse_args()


def run(
    scenario: Scenario, names: Sequence[str], rounds: int, seconds: float, cores: Cores
) -> ScenarioResult:
    """Let some servers take turns in one scenario."""
    outcomes = {name: Outcome() for name in names}
    with contextlib.ExitStack() as stack:
        running = _start(scenario, outcomes, cores, stack)
        for server in running:
            _ask(scenario, server, WARM_UP, cores, running, outcomes[server.name])
        for number in range(rounds):
            running = [server for server in running if not outcomes[server.name].wrong]
            first = number % max(len(running), 1)  # nobody is always the one who comes after the slowest
            for server in running[first:] + running[:first]:
                outcome = outcomes[server.name]
                measurement = _ask(scenario, server, seconds, cores, running, outcome)
                if measurement:
                    outcome.rounds.append(measurement)
                    tell(f"{scenario.name} {number + 1}/{rounds}: {server.name} {measurement.rate:.0f}/s")
        for server in running:
            outcomes[server.name].peak_memory = server.peak_memory
    return ScenarioResult(
        scenario.name, scenario.title, scenario.connections, dict(scenario.targets), outcomes
    )


def _start(
    scenario: Scenario, outcomes: dict[str, Outcome], cores: Cores, stack: contextlib.ExitStack
) -> list[Running]:
    """Start the servers, and return those which answer right; note what the others lack, or do wrong."""
    running = []
    for name, outcome in outcomes.items():
        try:
            server = stack.enter_context(serving(name, core=cores.server))
        except RuntimeError as error:
            outcome.wrong = str(error)
            continue
        outcome.missing = what_is_missing(server, scenario)
        if not outcome.missing:
            outcome.wrong = what_is_wrong(server, scenario)
            if not outcome.wrong:
                running.append(server)
    return running


def _ask(
    scenario: Scenario,
    server: Running,
    seconds: float,
    cores: Cores,
    running: list[Running],
    outcome: Outcome,
) -> Measurement | None:
    """Measure a server once; note it if that is impossible."""
    try:
        return measure(scenario, server, seconds, cores, running)
    except RuntimeError as error:
        outcome.wrong = str(error)
        return None


def ceiling(scenario: Scenario, seconds: float, cores: Cores) -> Measurement:
    """Measure what answers without being a server; the best of some rounds."""
    with serving_nothing(scenario, cores.server) as nothing:
        rounds = [measure(scenario, nothing, seconds, cores) for _ in range(3)]
    return max(rounds, key=lambda measurement: measurement.rate)


def idle_connections(
    servers: Sequence[str], scenarios: Sequence[str], connections: int, cores: Cores
) -> list[idle.Idle]:
    """Measure the memory of idle connections, where it is asked for."""
    asked = [compressed for name, compressed in IDLE.items() if name in scenarios]
    if not asked:
        return []
    idle.allow(connections)
    os.sched_setaffinity(0, {cores.client})
    measured = []
    for compressed in asked:
        for name in servers:
            measured.append(idle.measure(name, cores.server, compressed, connections))
            tell(f"idle: {measured[-1]}")
    return measured


if __name__ == "__main__":
    sys.exit(main())
