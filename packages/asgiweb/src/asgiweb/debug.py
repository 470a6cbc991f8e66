"""The page that shows an exception to the developer, for ``Application(debug=True)``.

All text on it is escaped, and it loads nothing: no script, style or image comes from elsewhere.
"""

from __future__ import annotations

import linecache
import traceback
from html import escape
from typing import Any

from .request import Request
from .response import Response, html_response

_CONTEXT_LINES = 4

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
h1 { font-size: 1.3rem; white-space: pre-wrap; overflow-wrap: anywhere }
section { border: 1px solid #8886; border-radius: 6px; margin: 1rem 0; overflow: hidden }
h2 { background: #8882; font-size: .9rem; margin: 0; padding: .4rem .8rem }
pre { margin: 0; overflow-x: auto; padding: .4rem .8rem }
mark { display: block }
"""


def debug_response(request: Request[Any], error: Exception) -> Response:
    """Answer 500 with a page that shows the exception and where it comes from."""
    summary = traceback.TracebackException.from_exception(error)
    title = f"{type(error).__name__} at {request.method} {request.path}"
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style><p>{escape(title)}</p>{_exception(summary)}"
        f"<p>This page is here because the application runs with <code>debug=True</code>.</p></html>"
    )
    # Even what is not escaped by mistake cannot run.
    headers = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
    # Messages and paths may hold what is no Unicode, such as names of files (os.fsdecode).
    text = page.encode(errors="backslashreplace").decode()
    return html_response(text, 500, headers=headers)


def _exception(summary: traceback.TracebackException) -> str:
    head = f"<h1>{escape(''.join(summary.format_exception_only()).strip())}</h1>"
    frames = "".join(_frame(frame) for frame in reversed(summary.stack))
    page = f"{head}<p>The innermost call comes first.</p>{frames}"
    if summary.__cause__ is not None:
        page += f"<p>This was caused by:</p>{_exception(summary.__cause__)}"
    elif summary.__context__ is not None and not summary.__suppress_context__:
        page += f"<p>This came up while handling:</p>{_exception(summary.__context__)}"
    return page


def _frame(frame: traceback.FrameSummary) -> str:
    number = frame.lineno or 0
    lines = []
    for line_number in range(max(1, number - _CONTEXT_LINES), number + _CONTEXT_LINES + 1):
        source = linecache.getline(frame.filename, line_number)
        if source:
            line = f"{line_number:5}  {escape(source.rstrip())}"
            lines.append(f"<mark>{line}</mark>" if line_number == number else line + "\n")
    place = f"{frame.filename}, line {number}, in {frame.name}"
    return f"<section><h2>{escape(place)}</h2><pre>{''.join(lines)}</pre></section>"
