"""The results over WebSockets for people: charts, tables, and what README.md says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .. import tables
from ..charts import chart, panels
from ..remarks import environment, interpreter, losses, remarks
from ..results import FOLDER, OURS
from .idle import Idle
from .results import WebSocketResults, committed
from .servers import SERVERS

CHARTS: Final = Path(__file__).parents[1] / "charts"

#: What decides how fast they are.
DISTRIBUTIONS: Final = ("asgiserve", "uvicorn", "websockets", "wsproto", "granian", "hypercorn", "daphne")


def pages() -> dict[Path, str]:
    """All files of their own, and what has to be in them."""
    runs = committed()
    made = {FOLDER / f"{run.interpreter}-websockets.md": numbers(run) for run in runs}
    if runs:
        rates = "Messages per second over WebSockets, one worker on one core (longer is better)"
        made[CHARTS / "websockets-messages.svg"] = chart(rates, panels(runs[0], "rate"))
        cpu = "CPU time per message over WebSockets, in µs (shorter is better)"
        made[CHARTS / "websockets-cpu.svg"] = chart(cpu, panels(runs[0], "cpu"))
    return made


def block() -> str:
    """What README.md says about WebSockets."""
    runs = committed()
    if not runs:
        return "No results are committed yet."
    first, *others = runs
    parts = [
        environment(first, DISTRIBUTIONS),
        "![Messages per second](benchmarks/charts/websockets-messages.svg)",
        "![CPU time per message](benchmarks/charts/websockets-cpu.svg)",
        "asgiserve's messages per second, divided by those of each peer: the median of the rounds, and the "
        "least and the most. Bold is where the peer is faster; “none” is where it does not compress. uvicorn "
        "takes part with each of its implementations. A broadcast to 1,000 clients counts as 1,000 messages. "
        "“Compressed” is what the client sends; a server may answer the shortest messages as they are.",
        tables.ratios(first, SERVERS, "messages"),
        f"{losses(first)} {limits(first)}".strip(),
    ]
    for run in others:
        said = f"The same on {interpreter(run.versions)}, measured {run.date}:"
        parts += [said, tables.ratios(run, SERVERS, "messages"), losses(run)]
    if first.idle:
        parts += ["What an idle connection that has echoed one message takes, in KiB:", memory(first.idle)]
    pages = ", ".join(
        f"[{run.interpreter}](benchmarks/results/{run.interpreter}-websockets.md)" for run in runs
    )
    return "\n\n".join([*parts, f"All numbers: {pages}."])


def limits(results: WebSocketResults) -> str:
    """Say what the client can measure at most."""
    said = [
        f"{most.rate:,.0f}/s in “{scenario.title}”, and takes {most.client_load:.0%} of its core for that"
        for scenario in results.scenarios
        if (most := results.ceilings.get(scenario.name))
    ]
    return f"Where nothing is served, the client reaches {'; '.join(said)}." if said else ""


def memory(idle: list[Idle]) -> str:
    """Tabulate the memory of idle connections."""
    connections = max((each.connections for each in idle), default=0)
    rows = [[f"{connections:,} idle connections", "plain", "compressed"], ["---", "---:", "---:"]]
    for name in dict.fromkeys(each.server for each in idle):
        found = {each.compressed: each for each in idle if each.server == name}
        cells = [_memory(found.get(compressed)) for compressed in (False, True)]
        rows.append([f"**{name}**" if name == OURS else name, *cells])
    return tables.table(rows)


def _memory(idle: Idle | None) -> str:
    if idle is None:
        return "-"
    if idle.memory is None:
        return "failed" if idle.fault else "none"
    lost = idle.connections - idle.answered
    return f"{idle.memory:,.1f}" + (f" ({lost:,} of them lost)" if lost else "")


def numbers(results: WebSocketResults) -> str:
    """Lay out all numbers of a run."""
    parts = [
        f"# WebSockets, {interpreter(results.versions)}",
        environment(results, DISTRIBUTIONS),
        "A cell is the median of the rounds. CPU time is the server's, of user and kernel, for one message; "
        "p50 and p99 are the time until the echo is complete, or until all have what was broadcast; memory "
        "is the peak of its processes, summed. The ratios are asgiserve's messages per second divided by the "
        "peer's, and the peer's CPU time divided by asgiserve's: above 1, asgiserve is ahead.",
        *(tables.everything(scenario, "messages") for scenario in results.scenarios),
        "## Memory of idle connections, in KiB",
        memory(results.idle),
        "## What limited or disturbed the run",
        "\n".join(f"- {said}" for said in (limits(results), *remarks(results)) if said) or "Nothing.",
    ]
    return "\n\n".join(parts) + "\n"
