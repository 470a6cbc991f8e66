"""The page: reports as HTML. All text on it is escaped, and it has no script and loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from ..problems import POLICY as _ANY_POLICY
from .report import ExceptionReport, FrameReport, Rows

_STYLE = (Path(__file__).with_name("page.css")).read_text()

#: Even what is not escaped by mistake cannot run.
POLICY = _ANY_POLICY.format(base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode())


def render(
    title: str,
    exception: ExceptionReport,
    request: dict[str, Rows],
    routes: Sequence[tuple[str, str, str, str]],
) -> str:
    """Return the page, as a whole."""
    tables = "".join(_section(name, _table(rows)) for name, rows in request.items())
    listing = _table(routes, ("methods", "path", "name", "handler"))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><header><p>{escape(title)}</p>{_headline(exception, 1)}</header><main>"
        f"{_exception(exception)}{tables}{_section(f'Routes ({len(routes)})', listing)}</main>"
        f"<footer><p>This page is here because the application runs with <code>debug=True</code>. "
        f"What goes by the name of a secret is masked.</p></footer></body></html>\n"
    )


def _headline(report: ExceptionReport, level: int) -> str:
    return f"<h{level} class=error>{escape(report.headline)}</h{level}>"


def _exception(report: ExceptionReport) -> str:
    page = "<p class=hint>The innermost call comes first.</p>" if len(report.frames) > 1 else ""
    # The first that is not a library's is the one to look at; of none of them, the innermost.
    focus = next((frame for frame in report.frames if not frame.library), next(iter(report.frames), None))
    for index, frame in enumerate(report.frames):
        if report.left_out and index == len(report.frames) // 2:
            page += f"<p class=hint>{report.left_out} more calls are left out here.</p>"
        page += _frame(frame, focused=frame is focus)
    for number, member in enumerate(report.members, 1):
        page += (
            f"<details class=member open><summary>{number} of the group</summary>"
            f"{_headline(member, 3)}{_exception(member)}</details>"
        )
    if report.origin is not None:
        page += (
            f"<p class=relation>{report.relation}</p>{_headline(report.origin, 2)}{_exception(report.origin)}"
        )
    return page


def _frame(frame: FrameReport, *, focused: bool) -> str:
    lines = "".join(_line(number, line, frame) for number, line in frame.lines)
    source = f'<pre tabindex="0">{lines}</pre>' if lines else "<p class=hint>Its source is not there.</p>"
    variables = ""
    if frame.variables:
        variables = (
            f"<details class=locals{' open' * focused}><summary>Variables</summary>"
            f"{_table(frame.variables)}</details>"
        )
    kind = "library" if frame.library else "own"
    opened = " open" if focused or not frame.library else ""
    return (
        f"<details class={kind}{opened}><summary><b>{escape(frame.function)}</b> "
        f"<span>{escape(frame.place)}</span></summary>{source}{variables}</details>"
    )


def _line(number: int, line: str, frame: FrameReport) -> str:
    text = escape(line)
    if number == frame.number:
        if frame.marked is not None:
            start, end = frame.marked
            text = f"{escape(line[:start])}<b>{escape(line[start:end])}</b>{escape(line[end:])}"
        return f"<mark><i>{number}</i>{text}</mark>\n"
    return f"<i>{number}</i>{text}\n"


def _section(name: str, content: str) -> str:
    return f"<section><h2>{escape(name)}</h2>{content}</section>"


def _table(rows: Iterable[Sequence[str]], heads: Sequence[str] = ()) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    lines = [f"<thead><tr>{head}</tr></thead>"] if heads else []
    for first, *others in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in others)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    return f'<div class=table tabindex="0"><table>{"".join(lines)}</table></div>'
