"""What there is to know of a fault: exceptions with their frames, the request, the routes."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

from ..request import Request
from .secrets import masked
from .values import Values

#: Lines around the one that failed.
_CONTEXT = 5

#: Of a deep recursion the first and the last frames are enough; of a chain or a group, so many exceptions.
_FRAMES, _EXCEPTIONS, _MEMBERS = 40, 20, 10

_LOCALS = 50

_MESSAGE = 5000

# What is in a traceback beside messages: its calls, and what joins exceptions to each other or to a group.
_NO_MESSAGE = re.compile(r'[ |]*(?:File "|(?:\+ )?(?:Exception Group )?Traceback \(|\+-|\n)')

_PACKAGE = str(Path(__file__).parents[1])
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})

#: Names and values, as text.
Rows = list[tuple[str, str]]


@dataclass(slots=True)
class FrameReport:
    """One call: ``lines`` are numbers and source, ``marked`` the columns that failed in line ``number``."""

    place: str
    function: str
    number: int
    lines: list[tuple[int, str]]
    marked: tuple[int, int] | None
    #: Whether it is of a library: asgiweb itself, what is installed, or Python's own.
    library: bool
    variables: Rows


@dataclass(slots=True)
class ExceptionReport:
    """An exception; ``relation`` says what ``origin`` is to it."""

    headline: str
    frames: list[FrameReport] = field(default_factory=list)
    left_out: int = 0
    members: list[ExceptionReport] = field(default_factory=list)
    relation: str = ""
    origin: ExceptionReport | None = None


def headline(error: BaseException) -> str:
    """Return the exception's class, message and notes, however they come about."""
    summary = traceback.TracebackException(type(error), error, None)
    kind, *notes = summary.format_exception_only()
    return "".join([_masked_message(kind), *map(masked, notes)]).strip()[:_MESSAGE]


def report_traceback(error: BaseException) -> str:
    """Return the traceback as Python writes it, with the messages as they are in headlines."""
    entries = []
    noted = False
    for entry in traceback.format_exception(error):
        if _NO_MESSAGE.match(entry):
            entries.append(entry)
            noted = False
        else:
            # The first has the class, and its notes follow.
            entries.append(masked(entry) if noted else _masked_message(entry))
            noted = True
    return "".join(entries)


def _masked_message(text: str) -> str:
    # The class comes before the message, and "InvalidToken: expired" is no secret.
    kind, colon, message = text.partition(": ")
    return kind + colon + masked(message)


def report_exception(error: BaseException, values: Values) -> ExceptionReport:
    """Report an exception, what it comes from, and what it is a group of."""
    return _report(error, values, set())


def _report(error: BaseException, values: Values, seen: set[int]) -> ExceptionReport:
    report = ExceptionReport(headline(error))
    if id(error) in seen or len(seen) >= _EXCEPTIONS:
        return report
    seen.add(id(error))
    calls = list(_calls(error.__traceback__))
    report.left_out = max(len(calls) - _FRAMES, 0)
    if report.left_out:
        calls = calls[: _FRAMES // 2] + calls[-_FRAMES // 2 :]
    report.frames = [_frame(call, number, values) for call, number in reversed(calls)]
    if isinstance(error, BaseExceptionGroup):
        report.members = [_report(member, values, seen) for member in error.exceptions[:_MEMBERS]]
    if error.__cause__ is not None:
        report.relation = "This was caused by:"
        report.origin = _report(error.__cause__, values, seen)
    elif error.__context__ is not None and not error.__suppress_context__:
        report.relation = "This came up while handling:"
        report.origin = _report(error.__context__, values, seen)
    return report


def _calls(trace: TracebackType | None) -> Iterator[tuple[TracebackType, int]]:
    while trace is not None:
        yield trace, trace.tb_lineno or 0
        trace = trace.tb_next


def _frame(trace: TracebackType, number: int, values: Values) -> FrameReport:
    frame = trace.tb_frame
    code = frame.f_code
    linecache.checkcache(code.co_filename)
    lines = []
    for line_number in range(max(1, number - _CONTEXT), number + _CONTEXT + 1):
        source = linecache.getline(code.co_filename, line_number, frame.f_globals)
        if source:
            lines.append((line_number, source.rstrip()))
    variables = list(frame.f_locals.items())
    return FrameReport(
        place=f"{code.co_filename}, line {number}",
        function=code.co_qualname,
        number=number,
        lines=lines,
        marked=_columns(code, trace.tb_lasti, dict(lines).get(number, "")),
        library=_is_library(code.co_filename),
        variables=[(name, values.write(name, value)) for name, value in variables[:_LOCALS]],
    )


def _columns(code: CodeType, instruction: int, line: str) -> tuple[int, int] | None:
    """Return where in the line the failed expression is (PEP 657); None if it is all of it, or unknown."""
    positions = list(code.co_positions())
    first, last, start, end = positions[instruction // 2] if instruction >= 0 else (None,) * 4
    if first is None or first != last or start is None or end is None:
        return None
    data = line.encode(errors="surrogatepass")
    columns = len(data[:start].decode(errors="replace")), len(data[:end].decode(errors="replace"))
    return columns if line[columns[0] : columns[1]] not in ("", line.strip()) else None


def _is_library(filename: str) -> bool:
    if filename.startswith(_PACKAGE + "/") or filename.startswith("<frozen"):
        return True
    return "site-packages" in filename or filename.startswith(_LIBRARIES)


def report_request(request: Request[Any], values: Values) -> dict[str, Rows]:
    """Report the request by what its parts are called."""
    route = request.route
    try:
        url = str(request.url)
    except Exception as error:
        url = f"none: {error}"
    about = [
        ("method", request.method),
        ("URL", masked(url)),
        ("HTTP version", str(request.scope.get("http_version", "unknown"))),
        ("client", "unknown" if request.client is None else "{}:{}".format(*request.client)),
    ]
    if route is not None:
        about += [("route", route.path), ("handler", route.location)]
        if route.name is not None:
            about.append(("name", route.name))
    tables = {
        "Request": about,
        "Path parameters": _rows(request.match_info.items(), values),
        "Query": _rows(request.query.items(), values),
        "Headers": _rows(request.headers.items(), values),
        "Cookies": [(name, values.write("cookie", value)) for name, value in request.cookies.items()],
        "Context": _rows(request.context.items(), values),
    }
    return {name: rows for name, rows in tables.items() if rows}


def _rows(items: Any, values: Values) -> Rows:
    return [(str(name), _plain(str(name), value, values)) for name, value in items]


def _plain(name: str, value: object, values: Values) -> str:
    """Text of the client needs no quotes."""
    written = values.write(name, value)
    return written[1:-1] if isinstance(value, str) and written[:1] in "'\"" else written


def report_routes(request: Request[Any]) -> list[tuple[str, str, str, str]]:
    """Report methods, path, name and handler of all routes, in the order of their paths."""
    routes = sorted(request.app.router.routes, key=lambda route: (route.path, route.methods))
    return [(", ".join(route.methods), route.path, route.name or "", route.location) for route in routes]
