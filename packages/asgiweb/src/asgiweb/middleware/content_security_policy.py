"""A Content-Security-Policy as it is written in settings, and as it is sent (CSP Level 3, 2.2).

The source ``'nonce'`` stands for one that is made for each request; where nobody asks for it, it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from ..errors import RegistrationError

PolicySource: TypeAlias = str | Mapping[str, str | Iterable[str]]

NONCE = "'nonce'"

_DIRECTIVE = re.compile(r"[a-z][a-z0-9\-]*")
# What a source cannot have in it (CSP, 2.2.1): it would begin another one, or another policy.
_NO_SOURCE = re.compile(r"[^!-~]|[;,]")
# Directives whose values are no sources, and may be called anything.
_NO_SOURCES = frozenset("report-to report-uri require-trusted-types-for sandbox trusted-types".split())
# What is nothing without its quotes: the name of a host at best.
_KEYWORDS = frozenset(
    "none nonce self report-sample strict-dynamic".split()
    + "unsafe-eval unsafe-hashes unsafe-inline wasm-unsafe-eval".split()
)


class Policy:
    """What a page may load, from "default-src 'self'; ..." or {"default-src": ["'self'"], ...}.

    RegistrationError for what browsers would ignore.
    """

    __slots__ = ("_around_nonces", "_without_nonce")

    def __init__(self, source: PolicySource) -> None:
        directives = _parsed(source)
        with_nonce = "; ".join(" ".join([name, *values]) for name, values in directives.items())
        #: The text between the nonces.
        self._around_nonces = with_nonce.split(NONCE)
        self._without_nonce = "; ".join(_without_nonce(name, values) for name, values in directives.items())

    def text(self, nonce: str | None) -> str:
        """Return the policy with this nonce, or without any."""
        return self._without_nonce if nonce is None else f"'nonce-{nonce}'".join(self._around_nonces)


def _without_nonce(name: str, values: list[str]) -> str:
    others = [value for value in values if value != NONCE]
    # A list of sources that is empty means 'none', and says so.
    return " ".join([name, *(others or ["'none'"] if values else [])])


def _parsed(source: PolicySource) -> dict[str, list[str]]:
    if isinstance(source, str):
        written = [directive.split() for directive in source.split(";") if directive.strip()]
        items = [(name, values) for name, *values in written]
    else:
        items = [(name, _words(values)) for name, values in source.items()]
    directives: dict[str, list[str]] = {}
    for name, values in items:
        if _DIRECTIVE.fullmatch(name) is None or name in directives:
            raise RegistrationError(f"CSP: {name!r} is there twice, or is no directive such as 'script-src'")
        for value in values:
            _check_source(name, value)
        directives[name] = values
    if not directives:
        raise RegistrationError("CSP: there is no directive: write None for no policy")
    return directives


def _words(values: str | Iterable[str]) -> list[str]:
    return values.split() if isinstance(values, str) else list(values)


def _check_source(name: str, value: str) -> None:
    if not value or _NO_SOURCE.search(value):
        raise RegistrationError(f"CSP: {value!r} in {name} is not one source: no spaces, ';' or ',' in it")
    if name not in _NO_SOURCES and value.lower() in _KEYWORDS:
        raise RegistrationError(f"CSP: {value!r} in {name} would be a host: write \"'{value}'\", with quotes")
