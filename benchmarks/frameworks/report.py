"""The results over frameworks for people: charts, tables, and what README.md says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .. import tables
from ..charts import Bar, Panel, chart, panels
from ..remarks import environment, interpreter, losses, remarks
from ..results import FOLDER, Spread
from ..tables import number, table
from .imports import TARGET
from .results import OURS, FrameworkResults, Row, committed
from .servers import PAIRS

CHARTS: Final = Path(__file__).parents[1] / "charts"

#: What decides how fast they are.
DISTRIBUTIONS: Final = (
    *("asgiweb", "asgiserve", "blacksheep", "falcon", "starlette", "fastapi", "litestar", "quart", "sanic"),
    *("aiohttp", "uvicorn", "granian"),
)

#: Bars of frameworks that are much slower would leave nothing of the others to see.
CHARTED: Final = 20.0


def pages() -> dict[Path, str]:
    """All files of their own, and what has to be in them."""
    runs = committed()
    made = {FOLDER / f"{run.interpreter}-frameworks.md": numbers(run) for run in runs}
    if runs:
        rates = "Requests per second of frameworks on servers, one worker on one core (longer is better)"
        made[CHARTS / "frameworks-requests.svg"] = chart(rates, panels(runs[0], "rate"))
        alone = "A framework's own time for a request, in µs (shorter is better)"
        made[CHARTS / "frameworks-in-process.svg"] = chart(alone, own_time(runs[0]))
    return made


def own_time(results: FrameworkResults) -> list[Panel]:
    """A panel for each case in one process, without what takes CHARTED times as long as asgiweb."""
    made = []
    for row in results.in_process:
        if row.most is None and OURS in row.microseconds:
            medians = {name: spread["median"] for name, spread in row.microseconds.items() if name != "raw"}
            bars = [
                Bar(name, median, number(median, 1), ours=name == OURS)
                for name, median in medians.items()
                if median <= CHARTED * medians[OURS]
            ]
            made.append(Panel(row.title, bars))
    return made


def block() -> str:
    """What README.md says about frameworks."""
    runs = committed()
    if not runs:
        return "No results are committed yet."
    first, *others = runs
    parts = [
        environment(first, DISTRIBUTIONS),
        "![A framework's own time](benchmarks/charts/frameworks-in-process.svg)",
        "A framework's own CPU time for a request in one process, without a server, in µs; the targets are ratios.",
        in_process(first.in_process),
        imports(first.imports),
        "![Requests per second](benchmarks/charts/frameworks-requests.svg)",
        "The requests per second of asgiweb on asgiserve, divided by those of each other pair: the median of the "
        "rounds, and the least and the most. Bold is where the other is faster.",
        pairs(first),
        losses(first),
    ]
    for run in others:
        said = f"The same on {interpreter(run.versions)}, measured {run.date}:"
        parts += [said, in_process(run.in_process), imports(run.imports), pairs(run), losses(run)]
    files = ", ".join(
        f"[{run.interpreter}](benchmarks/results/{run.interpreter}-frameworks.md)" for run in runs
    )
    return "\n\n".join([*parts, f"All numbers: {files}."])


def in_process(rows: list[Row]) -> str:
    """Tabulate the medians of all frameworks, and whether targets are met."""
    names = list(dict.fromkeys(name for row in rows for name in row.microseconds))
    lines = [["in one process", *names, "target"], ["---", *["---:"] * len(names), "---"]]
    for row in rows:
        cells = [number(row.microseconds.get(name, {}).get("median"), 2) for name in names]
        lines.append([row.title, *cells, "<br>".join(said for said, _ in row.reached()) or "none"])
    return table(lines)


def imports(milliseconds: dict[str, float]) -> str:
    """Say how long the imports take."""
    if not milliseconds:
        return "Imports were not measured."
    said = ", ".join(f"{name} {number(value)}" for name, value in milliseconds.items())
    met = "met" if milliseconds.get(OURS, 0) < TARGET else "missed"
    return (
        f"Import in a fresh process, the best of several, in ms: {said}. Target: {OURS} < {TARGET:g}: {met}."
    )


def pairs(results: FrameworkResults) -> str:
    """Tabulate what came out behind servers: a row for each pair, as there are many."""
    scenarios = results.scenarios
    lines = [["pair", *(scenario.title for scenario in scenarios)], ["---", *["---:"] * len(scenarios)]]
    ours = [number(scenario.outcomes[scenario.ours].median("rate")) for scenario in scenarios]
    lines.append([f"**{next(iter(PAIRS))}**, requests/s", *ours])
    for name in [pair for pair in PAIRS if scenarios and pair != scenarios[0].ours]:
        lines.append([name, *(tables.ratio_to(name, scenario) for scenario in scenarios)])
    lines.append(["target", *("<br>".join(tables.targets(scenario)) or "none" for scenario in scenarios)])
    return table(lines)


def details(row: Row) -> str:
    """Tabulate one case in one process, with spreads and ratios, under a heading."""
    lines = [["framework", "µs", "least…most", "asgiweb / it", "least…most"], ["---", *["---:"] * 4]]
    for name, written in row.microseconds.items():
        own = Spread(**written)
        compared = ["", ""]
        if name in row.ratios:
            ratio = Spread(**row.ratios[name])
            compared = [f"{ratio.median:.2f}", tables.spread(ratio)]
        lines.append([name, f"{own.median:.2f}", tables.spread(own), *compared])
    said = "; ".join(said for said, _ in row.reached())
    return "\n\n".join(
        [f"## In one process: {row.title}", *([f"Target: {said}."] if said else []), table(lines)]
    )


def numbers(results: FrameworkResults) -> str:
    """Lay out all numbers of a run."""
    parts = [
        f"# Frameworks, {interpreter(results.versions)}",
        environment(results, DISTRIBUTIONS),
        "In one process a cell is the median of the rounds, of CPU time for one request; “raw” is no framework. "
        "Behind servers CPU time is of user and kernel, for one request; memory is the peak of all processes, "
        "summed; the ratios are those of asgiweb on asgiserve: above 1, it is ahead.",
        *map(details, results.in_process),
        "## Imports",
        imports(results.imports),
        *map(tables.everything, results.scenarios),
        "## What disturbed the run",
        "\n".join(f"- {remark}" for remark in remarks(results)) or "Nothing.",
    ]
    return "\n\n".join(parts) + "\n"
