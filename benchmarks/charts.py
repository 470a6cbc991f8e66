"""Bar charts as SVG, written by hand: one panel for each scenario, one bar for each server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from .results import Results
from .tables import number

COLUMNS: Final = 2
NAME: Final = 70  # width of the servers' names, at least
LETTER: Final = 7  # width of a letter of them, at most
REST: Final = 330  # width of a panel beside the names
BAR: Final = 240  # length of the longest bar
ROW: Final = 17
HEAD: Final = 30
GAP: Final = 18

#: Readable on white and on dark, and without the query, on both somehow.
STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600; fill: #1f2328 }
.bar { fill: #b6bfc9 }
.ours { fill: #2f6fde }
@media (prefers-color-scheme: dark) {
  text { fill: #9ba4ae }
  .title { fill: #e6edf3 }
  .bar { fill: #565f69 }
  .ours { fill: #6ca4f8 }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One server: its value, and how that is written."""

    name: str
    value: float
    label: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One scenario."""

    title: str
    bars: Sequence[Bar]


def chart(title: str, panels: Sequence[Panel]) -> str:
    """Draw panels in two columns; in each panel the longest bar is as long as in the others."""
    lines = []
    names = max([NAME, *(LETTER * len(bar.name) for panel in panels for bar in panel.bars)])
    width = names + REST
    top = HEAD
    for begin in range(0, len(panels), COLUMNS):
        row = panels[begin : begin + COLUMNS]
        for column, panel in enumerate(row):
            lines += _panel(panel, column * width, top, names)
        top += HEAD + max(len(panel.bars) for panel in row) * ROW + GAP
    size = f'width="{COLUMNS * width}" height="{top}" viewBox="0 0 {COLUMNS * width} {top}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<text x="0" y="16">{escape(title)}</text>',
            *lines,
            "</svg>\n",
        ]
    )


def _panel(panel: Panel, left: int, top: int, names: int) -> list[str]:
    longest = max((bar.value for bar in panel.bars), default=0.0) or 1.0
    lines = [f'<text class="title" x="{left}" y="{top + 16}">{escape(panel.title)}</text>']
    for place, bar in enumerate(panel.bars):
        y = top + HEAD + place * ROW
        length = bar.value / longest * BAR
        kind = "bar ours" if bar.ours else "bar"
        lines += [
            f'<text x="{left + names - 6}" y="{y + 4}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect class="{kind}" x="{left + names}" y="{y - 6}" width="{length:.1f}" height="12" rx="2"/>',
            f'<text x="{left + names + length + 5:.1f}" y="{y + 4}">{escape(bar.label)}</text>',
        ]
    return lines


def panels(results: Results, quantity: str) -> list[Panel]:
    """A panel for each scenario, with the median of one quantity of each server."""
    made = []
    for scenario in results.scenarios:
        bars = []
        for name, outcome in scenario.outcomes.items():
            value = None if outcome.fault else outcome.median(quantity)
            label = "failed" if outcome.fault else "none"
            if value is not None:
                label = number(value, 0 if value >= 100 else 1)
            bars.append(Bar(name, value or 0.0, label, ours=name == scenario.ours))
        made.append(Panel(scenario.title, bars))
    return made
