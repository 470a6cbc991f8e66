"""The results for people (``python -m benchmarks.report``): charts, tables, and what README.md says.

What README.md says stands between ``<!-- speed -->`` and ``<!-- /speed -->``, and between the same with
``websockets`` and ``frameworks``. All of it is made from the committed JSON alone; a test fails if it is out of date.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from . import tables
from .charts import chart, panels
from .frameworks import report as frameworks
from .remarks import environment, interpreter, losses, remarks
from .results import FOLDER, Results
from .servers import ROOT
from .websockets import report as websockets

README: Final = ROOT / "README.md"
CHARTS: Final = Path(__file__).with_name("charts")


def main() -> None:
    """Write everything that is made from the committed results."""
    for file, text in pages().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)


def pages() -> dict[Path, str]:
    """All files that are made from the committed results, and what has to be in them."""
    runs, in_process = committed()
    readme = with_block(README.read_text(), "speed", block(runs, in_process))
    readme = with_block(readme, "websockets", websockets.block())
    readme = with_block(readme, "frameworks", frameworks.block())
    made = {README: readme, **websockets.pages(), **frameworks.pages()}
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
    runs = [Results.load(file) for file in files if re.fullmatch(r"cpython-[\d.]+\.json", file.name)]
    in_process = [file for file in files if re.fullmatch(r"cpython-[\d.]+-in-process\.json", file.name)]
    return runs, [json.loads(file.read_text()) for file in in_process]


def with_block(text: str, name: str, made: str) -> str:
    """Replace what stands between the markers of this name."""
    return re.sub(
        rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda m: f"{m[1]}\n{made}\n\n{m[2]}", text, flags=re.S
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
        said = f"The same on {interpreter(results.versions)}, measured {results.date}:"
        parts += [said, tables.ratios(results), losses(results)]
    for data in in_process:
        where = f"{interpreter(data['versions'])}, measured {data['date']}"
        said = f"The server's own CPU time for a request, without network and kernel, in µs, on {where}:"
        parts += [said, tables.in_process(data)]
    pages = ", ".join(f"[{each.interpreter}](benchmarks/results/{each.interpreter}.md)" for each in runs)
    return "\n\n".join([*parts, f"All numbers, with latencies and memory: {pages}."])


def numbers(results: Results) -> str:
    """Lay out all numbers of a run."""
    parts = [
        f"# {interpreter(results.versions)}",
        environment(results),
        "A cell is the median of the rounds. CPU time is the server's, of user and kernel, for one request; "
        "memory is the peak of its processes, summed. The ratios are asgiserve's requests per second divided "
        "by the peer's, and the peer's CPU time divided by asgiserve's: above 1, asgiserve is ahead.",
        *map(tables.everything, results.scenarios),
        "## What disturbed the run",
        "\n".join(f"- {remark}" for remark in remarks(results)) or "Nothing.",
    ]
    return "\n\n".join(parts) + "\n"


def rates_chart(results: Results) -> str:
    """Draw requests per second."""
    return chart("Requests per second, one worker on one core (longer is better)", panels(results, "rate"))


def cpu_chart(results: Results) -> str:
    """Draw CPU time per request."""
    return chart("CPU time per request, in µs (shorter is better)", panels(results, "cpu"))


if __name__ == "__main__":
    main()
