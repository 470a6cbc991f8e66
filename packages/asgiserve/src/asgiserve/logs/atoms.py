"""The atoms of access log formats, such as ``%(h)s``: gunicorn's, and ``%(X)s`` for the mark.

What a client has sent is escaped; what is not there is ``-``.
"""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ..errors import ConfigError
from .colors import paint_status

if TYPE_CHECKING:
    from ..outcome import Outcome

#: What stands in the place of an atom.
Atom = Callable[["Outcome"], object]

_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")

#: Text, or an atom: its letter, the name in braces that some have before it, and a width.
_PIECE: Final = re.compile(
    r"(?P<text>(?:[^%]|%%)+)|%\((?:\{(?P<name>[^{}]*)\})?(?P<atom>\w*)\)(?P<width>-?\d*(?:\.\d+)?)s"
)

#: Not by `strftime`, whose names are those of the locale.
_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def compile_atoms(form: str, *, colored: bool = False) -> Callable[[Outcome], str]:
    """What makes the lines of a text with atoms; raises ConfigError that names what is wrong with it."""
    template = ""
    atoms: list[Atom] = []
    place = 0
    while place < len(form):
        piece = _PIECE.match(form, place)
        if piece is None:
            raise ConfigError(
                f"access_log_format: {form[place : place + 12]!r} is no atom; "
                "write one as %(h)s, and %% for a percent sign"
            )
        place = piece.end()
        if piece["text"] is not None:
            template += piece["text"]
        else:
            template += f"%{piece['width']}s"
            atoms.append(_atom(piece["atom"], piece["name"], colored))
    if not atoms:
        raise ConfigError(
            f"access_log_format: {form!r} has no atom such as %(h)s, and is none of default, common, "
            "combined and json"
        )
    return lambda outcome: template % tuple([atom(outcome) for atom in atoms])


def _atom(letter: str, name: str | None, colored: bool) -> Atom:
    if name is None and letter in _ATOMS:
        return _colored_status if colored and letter == "s" else _ATOMS[letter]
    if name and letter in _NAMED_ATOMS:
        return _NAMED_ATOMS[letter](name)
    wrong = letter if name is None else f"{{{name}}}{letter}"
    there_are = " ".join([*_ATOMS, *(f"{{name}}{letter}" for letter in _NAMED_ATOMS)])
    raise ConfigError(f"access_log_format: there is no atom %({wrong})s; there are: {there_are}")


def escaped(text: str) -> str:
    r"""A text that can stand between quotes in a line: ``\"``, ``\\``, ``\n``, ``\x1b``, ``\xe9``."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return r"\"" if match[0] == '"' else match[0].encode("unicode_escape").decode()


def _shown(value: bytes) -> str:
    return escaped(value.decode("latin-1")) or "-"


# Atoms that have a name in braces before them


def _request_field(name: str) -> Callable[[Outcome], str]:
    wanted = name.lower().encode()

    def field(outcome: Outcome) -> str:
        return _shown(_last(outcome, wanted))

    return field


def _last(outcome: Outcome, wanted: bytes) -> bytes:
    """The request's last field of that name; empty if there is none."""
    for name, value in reversed(outcome.fields.headers):
        if name == wanted:
            return value
    return b""


def _response_field(name: str) -> Callable[[Outcome], str]:
    # The first "." is greedy, so this finds the last one, too.
    line = re.compile(rb"(?is).*\r\n" + re.escape(name.encode()) + rb": ([^\r]*)")

    def field(outcome: Outcome) -> str:
        found = line.match(outcome.head.lines) if outcome.head is not None else None
        return _shown(found[1]) if found is not None else "-"

    return field


def _environment_variable(name: str) -> Callable[[Outcome], str]:
    value = escaped(os.environ.get(name, "")) or "-"
    return lambda outcome: value


_NAMED_ATOMS: Final[dict[str, Callable[[str], Atom]]] = {
    "i": _request_field,
    "o": _response_field,
    "e": _environment_variable,
}


# The others


def _host(outcome: Outcome) -> str:
    client = outcome.endpoints.client
    return client[0] if client is not None else str(outcome.endpoints)


def _user(outcome: Outcome) -> str:
    """The name of HTTP Basic authentication, as the client claims it (RFC 7617 §2).

    Without spaces: most formats have no quotes around it.
    """
    scheme, _, credentials = _last(outcome, b"authorization").partition(b" ")
    if scheme.lower() != b"basic":
        return "-"
    try:
        user, colon, _ = base64.b64decode(credentials).partition(b":")
    except ValueError:
        return "-"
    return _shown(user).replace(" ", r"\x20") if colon else "-"


def _request_line(outcome: Outcome) -> str:
    return f"{outcome.method} {escaped(outcome.target)} HTTP/{outcome.fields.http_version}"


def _protocol(outcome: Outcome) -> str:
    return f"HTTP/{outcome.fields.http_version}"


def _status(outcome: Outcome) -> str:
    return str(outcome.head.status) if outcome.head is not None else "-"


def _colored_status(outcome: Outcome) -> str:
    return paint_status(_status(outcome))


@lru_cache(maxsize=1)
def _apache_time(second: int) -> str:
    time = datetime.fromtimestamp(second, UTC).astimezone()
    return f"[{time:%d}/{_MONTHS[time.month - 1]}/{time:%Y:%H:%M:%S %z}]"


_ATOMS: Final[dict[str, Atom]] = {
    "h": _host,
    "l": lambda outcome: "-",
    "u": _user,
    "t": lambda outcome: _apache_time(int(time.time())),
    "r": _request_line,
    "m": lambda outcome: outcome.method,
    "U": lambda outcome: escaped(outcome.target.partition("?")[0]),
    "q": lambda outcome: escaped(outcome.target.partition("?")[2]),
    "H": _protocol,
    "s": _status,
    "B": lambda outcome: outcome.size,
    "b": lambda outcome: outcome.size or "-",
    "f": lambda outcome: _shown(_last(outcome, b"referer")),
    "a": lambda outcome: _shown(_last(outcome, b"user-agent")),
    "T": lambda outcome: int(outcome.seconds),
    "M": lambda outcome: int(outcome.seconds * 1_000),
    "D": lambda outcome: int(outcome.seconds * 1_000_000),
    "L": lambda outcome: f"{outcome.seconds:.6f}",
    "p": lambda outcome: f"<{os.getpid()}>",
    "X": lambda outcome: outcome.mark or "-",
}
