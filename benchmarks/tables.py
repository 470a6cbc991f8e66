"""Results as Markdown tables, for README.md, for the pages of all numbers, and for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .results import OURS, Outcome, Results, ScenarioResult, Spread
from .servers import SERVERS


def ratios(results: Results, servers: Iterable[str] = SERVERS, what: str = "requests") -> str:
    """Tabulate asgiserve's rate, divided by each peer's, and the targets."""
    peers = [name for name in servers if name != OURS]
    rows = [
        ["scenario", f"asgiserve, {what}/s", *peers, "target"],
        ["---", *["---:"] * (len(peers) + 1), "---"],
    ]
    for scenario in results.scenarios:
        rate = scenario.outcomes[OURS].median("rate") if OURS in scenario.outcomes else None
        cells = [ratio_to(peer, scenario) for peer in peers]
        rows.append([scenario.title, number(rate), *cells, "<br>".join(targets(scenario)) or "none"])
    return table(rows)


def targets(scenario: ScenarioResult) -> list[str]:
    """Say each target, and whether it is met."""
    return [
        f"{target.peer} ≥ {target.least:g}: {'met' if target.met else 'missed'}"
        for target in scenario.reached()
    ]


def ratio_to(peer: str, scenario: ScenarioResult) -> str:
    """Write our rate divided by a peer's, or why there is no ratio."""
    ratio = scenario.ratio(peer)
    if ratio is None:
        outcome = scenario.outcomes.get(peer, Outcome())
        return "failed" if outcome.fault else "none" if outcome.missing else "-"
    median = f"{ratio.median:.2f}" if ratio.median >= 1 else f"**{ratio.median:.2f}**"
    return f"{median} ({spread(ratio)})"


def everything(scenario: ScenarioResult, what: str = "requests") -> str:
    """Tabulate all that was measured of all servers in one scenario, under a heading."""
    rows = [
        [
            "server",
            f"{what}/s",
            "CPU µs",
            "p50 ms",
            "p99 ms",
            "memory MiB",
            "ratio",
            "least…most",
            "CPU ratio",
        ],
        ["---", *["---:"] * 8],
    ]
    for name, outcome in scenario.outcomes.items():
        ratio, cpu_ratio = scenario.ratio(name), scenario.cpu_ratio(name)
        compared = ["", "", ""]
        if ratio and cpu_ratio and name != scenario.ours:
            compared = [f"{ratio.median:.2f}", spread(ratio), f"{cpu_ratio.median:.2f}"]
        rows.append(
            [
                name,
                number(outcome.median("rate")),
                number(outcome.median("cpu"), 1),
                number(outcome.median("p50"), 2),
                number(outcome.median("p99"), 2),
                number(outcome.peak_memory / 2**20 or None),
                *compared,
            ]
        )
    faults = [
        f"{name}: {outcome.fault or outcome.missing}"
        for name, outcome in scenario.outcomes.items()
        if outcome.fault or outcome.missing
    ]
    said = [f"Target: {t.least:g} over {t.peer}; reached: {t.ratio:.2f}." for t in scenario.reached()]
    load = " ".join([f"`{scenario.name}`, {scenario.connections} connections.", *said])
    return "\n\n".join([f"## {scenario.title}", load, table(rows), *faults])


def in_process(data: dict[str, Any]) -> str:
    """Tabulate what the servers cost by themselves."""
    rows = [
        ["loop", "request", "asgiserve", "uvicorn", "nothing but the task", "asgiserve / uvicorn", "target"],
        ["---", "---", *["---:"] * 4, "---"],
    ]
    for row in data["rows"]:
        times = [f"{row['microseconds'][name]['median']:.2f}" for name in ("asgiserve", "uvicorn", "floor")]
        ratio = Spread(**row["ratio"])
        target = f"≤ {row['target']:g}: {'met' if row['met'] else 'missed'}" if row["target"] else "none"
        rows.append([row["loop"], row["request"], *times, f"{ratio.median:.2f} ({spread(ratio)})", target])
    return table(rows)


def spread(ratio: Spread) -> str:
    """Write the least and the most."""
    return f"{ratio.least:.2f}…{ratio.most:.2f}"


def number(value: float | None, digits: int = 0) -> str:
    """Write a number that may not have been measured."""
    return "-" if value is None else f"{value:,.{digits}f}"


def table(rows: list[list[str]]) -> str:
    """Write rows as Markdown; the second one aligns the columns."""
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
