"""The results for people (``python -m benchmarks.report``): charts, tables, and what README.md says.

What README.md says stands between ``<!-- speed -->`` and ``<!-- /speed -->``. All of it is made from the
committed JSON alone; a test fails if it is out of date.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from . import tables
from .charts import Bar, Panel, chart
from .results import FOLDER, OURS, Outcome, Results
from .servers import ROOT, SERVERS

README: Final = ROOT / "README.md"
CHARTS: Final = Path(__file__).with_name("charts")

#: Shares of a core beyond which a measurement is not what it should be.
NOT_IDLE: Final = 0.02
SHARED: Final = 0.1
AT_ITS_LIMIT: Final = 0.97


def main() -> None:
    """Write everything that is made from the committed results."""
    for file, text in pages().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)


def pages() -> dict[Path, str]:
    """All files that are made from the committed results, and what has to be in them."""
    runs, in_process = committed()
    made = {README: with_block(README.read_text(), block(runs, in_process))}
    for results in runs:
        made[FOLDER / f"{results.interpreter}.md"] = numbers(results)
    if runs:
        made[CHARTS / "requests.svg"] = rates_chart(runs[0])
        made[CHARTS / "cpu.svg"] = cpu_chart(runs[0])
    return made


def committed() -> tuple[list[Results], list[dict[str, Any]]]:
    """Read the results of ``make bench``, and of ``make bench-in-process``; the oldest Python first."""
    files = sorted(
        FOLDER.glob("cpython-*.json"), key=lambda file: [int(part) for part in re.findall(r"\d+", file.name)]
    )
    runs = [Results.load(file) for file in files if "in-process" not in file.name]
    return runs, [json.loads(file.read_text()) for file in files if "in-process" in file.name]


def with_block(text: str, made: str) -> str:
    """Replace what stands between the markers."""
    return re.sub(
        r"(<!-- speed -->\n).*?(<!-- /speed -->)", lambda m: f"{m[1]}\n{made}\n\n{m[2]}", text, flags=re.S
    )


def block(runs: list[Results], in_process: list[dict[str, Any]]) -> str:
    """What README.md says about speed."""
    if not runs:
        return "No results are committed yet."
    first, *others = runs
    parts = [
        environment(first),
        "![Requests per second](benchmarks/charts/requests.svg)",
        "![CPU time per request](benchmarks/charts/cpu.svg)",
        "asgiserve's requests per second, divided by those of each peer: the median of the rounds, and the "
        "least and the most. Bold is where the peer is faster.",
        tables.ratios(first),
        losses(first),
    ]
    for results in others:
        said = f"The same on {_interpreter(results.versions)}, measured {results.date}:"
        parts += [said, tables.ratios(results), losses(results)]
    for data in in_process:
        where = f"{_interpreter(data['versions'])}, measured {data['date']}"
        said = f"The server's own CPU time for a request, without network and kernel, in µs, on {where}:"
        parts += [said, tables.in_process(data)]
    pages = ", ".join(f"[{each.interpreter}](benchmarks/results/{each.interpreter}.md)" for each in runs)
    return "\n\n".join([*parts, f"All numbers, with latencies and memory: {pages}."])


def environment(results: Results) -> str:
    """When, on what, and with which versions."""
    machine, versions = results.machine, results.versions
    servers = ", ".join(f"{name} {versions[name]}" for name in SERVERS if name in versions)
    rounds = max((len(o.rounds) for s in results.scenarios for o in s.outcomes.values()), default=0)
    return (
        f"Measured {results.date} on {machine['processor']}, {machine['cores']} cores, {machine['memory']}, "
        f"{machine['system']}, {machine['kernel']}; {_interpreter(versions)}, "
        f"uvloop {versions.get('uvloop', 'missing')}; {servers}; {rounds} rounds of {results.seconds} s."
    )


def _interpreter(versions: dict[str, str]) -> str:
    name = next(iter(versions))
    return f"{name} {versions[name]}"


def losses(results: Results) -> str:
    """Name the peers that are faster, and the servers that failed."""
    faster, failed = [], []
    for scenario in results.scenarios:
        ratios = {peer: ratio.median for peer in scenario.peers() if (ratio := scenario.ratio(peer))}
        peers = [f"{peer} {ratio:.2f}" for peer, ratio in ratios.items() if ratio < 1]
        faulty = [name for name, outcome in scenario.outcomes.items() if outcome.fault]
        faster += [f"“{scenario.title}” ({', '.join(peers)})"] if peers else []
        failed += [f"“{scenario.title}” ({', '.join(faulty)})"] if faulty else []
    said = f"A peer is faster at {'; '.join(faster)}." if faster else "No peer is faster in any of these."
    return f"{said} Not measured, because it failed: {'; '.join(failed)}." if failed else said


def verdict(results: Results) -> str:
    """Say for each target whether it was reached, and what else there is to know; for the terminal."""
    lines = []
    for scenario in results.scenarios:
        for target in scenario.reached():
            met = "met" if target.met else "MISSED"
            lines.append(
                f"{met}: {scenario.title}, {target.peer}: {target.ratio:.3f}, target {target.least:g}"
            )
    return "\n".join([*lines, losses(results), *remarks(results)])


def numbers(results: Results) -> str:
    """Lay out all numbers of a run."""
    parts = [
        f"# {_interpreter(results.versions)}",
        environment(results),
        "A cell is the median of the rounds. CPU time is the server's, of user and kernel, for one request; "
        "memory is the peak of its processes, summed. The ratios are asgiserve's requests per second divided "
        "by the peer's, and the peer's CPU time divided by asgiserve's: above 1, asgiserve is ahead.",
        *map(tables.everything, results.scenarios),
        "## What disturbed the run",
        "\n".join(f"- {remark}" for remark in remarks(results)) or "Nothing.",
    ]
    return "\n\n".join(parts) + "\n"


def remarks(results: Results) -> list[str]:
    """Say which measurements were disturbed, or limited by something else than the server."""
    said: dict[str, list[str]] = {}
    for scenario in results.scenarios:
        for name, outcome in scenario.outcomes.items():
            for disturbance in _disturbances(outcome):
                said.setdefault(disturbance, []).append(f"{scenario.name} of {name}")
    return [f"{disturbance}: {', '.join(where)}" for disturbance, where in said.items()]


def _disturbances(outcome: Outcome) -> list[str]:
    idle_load = max((each.idle_load for each in outcome.rounds), default=0)
    other_load = max((each.other_load for each in outcome.rounds), default=0)
    client_load = outcome.median("client_load") or 0
    found = {
        f"The other servers took more than {NOT_IDLE:.0%} of their core": idle_load > NOT_IDLE,
        f"Other programs took more than {SHARED:.0%} of a core": other_load > SHARED,
        "wrk was at its limit, so the rate says little, and the CPU time more": client_load > AT_ITS_LIMIT,
    }
    return [disturbance for disturbance, happened in found.items() if happened]


def rates_chart(results: Results) -> str:
    """Draw requests per second."""
    return chart("Requests per second, one worker on one core (longer is better)", _panels(results, "rate"))


def cpu_chart(results: Results) -> str:
    """Draw CPU time per request."""
    return chart("CPU time per request, in µs (shorter is better)", _panels(results, "cpu"))


def _panels(results: Results, quantity: str) -> list[Panel]:
    panels = []
    for scenario in results.scenarios:
        bars = []
        for name, outcome in scenario.outcomes.items():
            value = None if outcome.fault else outcome.median(quantity)
            label = "failed" if value is None else tables.number(value, 0 if value >= 100 else 1)
            bars.append(Bar(name, value or 0.0, label, ours=name == OURS))
        panels.append(Panel(scenario.title, bars))
    return panels


if __name__ == "__main__":
    main()
