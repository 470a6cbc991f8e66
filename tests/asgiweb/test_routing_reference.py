"""The router beside one as naive as the documentation: try every route, sort what matches, take the first.

On tables and requests that are made up: whatever differs is a fault of one of them, or of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import unquote

import pytest

from asgiweb import Application, RegistrationError, Response
from asgiweb.asgi import ASGIApplication, Receive, Scope, Send
from asgiweb.request import Request
from asgiweb.routing.slashes import TrailingSlash
from tests.asgiweb.exchange import Exchange, http_scope

KINDS: dict[str, tuple[int, Callable[[str], object]]] = {
    "int": (10, int),
    "float": (20, float),
    "str": (90, str),
    "path": (100, str),
}
LITERALS = ["a", "b", "7", ""]
PARAMETERS = ["{%s:int}", "{%s:float}", "{%s:str}"]
TEXTS = ["a", "b", "7", "7.5", "", "a%2Fb", "a%2F", "%C3%A9"]
METHODS = ["GET", "HEAD", "POST", "OPTIONS"]
HOSTS = [(), (), ("a", "test"), ("{h:int}", "test"), ("{h:str}", "{i:str}")]


@dataclass(frozen=True)
class Written:
    """A route as it is registered; one without methods is a mount."""

    segments: tuple[str, ...]
    methods: tuple[str, ...]
    host: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return "".join(f"/{segment}" for segment in self.segments)

    def key(self, labels: Sequence[str], texts: Sequence[str]) -> list[tuple[int, int]] | None:
        """Return how specific it is for a request, the smaller the more; None if it does not match."""
        of_host = match(self.host, labels, whole=True) if self.host else []
        of_path = match(self.segments, texts, whole=bool(self.methods))
        if of_host is None or of_path is None:
            return None
        return [(0 if self.host else 1, 0), *of_host, *of_path, (0 if self.methods else 2, 0)]


def match(patterns: Sequence[str], texts: Sequence[str], *, whole: bool) -> list[tuple[int, int]] | None:
    key: list[tuple[int, int]] = []
    for index, pattern in enumerate(patterns):
        if index == len(texts):
            return None
        if not pattern.startswith("{"):
            if pattern != texts[index]:
                return None
            key.append((0, 0))
            continue
        kind = pattern[1:-1].partition(":")[2]
        rank, parse = KINDS[kind]
        key.append((1, rank))
        if kind == "path":
            return key
        try:
            parse(texts[index])
        except ValueError:
            return None
        if not texts[index]:
            return None
    return None if whole and len(texts) > len(patterns) else key


def answer(
    app: Application[Any], table: Sequence[Written], scope: Scope, labels: list[str], texts: list[str]
) -> str:
    """Say what the documentation says of a request."""
    method, policy = scope["method"], app.trailing_slash
    other = texts[:-1] if texts[-1] == "" else [*texts, ""]
    for tried in [texts, other] if policy == "ignore" else [texts]:
        found = routes(table, method, labels, tried)
        if found:
            return found[0].path or "/"
    allowed = methods(table, labels, texts)
    if policy == "ignore":
        allowed |= methods(table, labels, other)
    if policy == "redirect" and not allowed and method in methods(table, labels, other):
        # What begins with two slashes is another host.
        return "404" if "/".join([scope["root_path"], *other]).startswith("//") else "308"
    if not allowed:
        return "404"
    return f"{204 if method == 'OPTIONS' else 405} {', '.join(sorted(allowed))}"


def routes(table: Sequence[Written], method: str, labels: list[str], texts: list[str]) -> list[Written]:
    found = []
    for route in table:
        key = route.key(labels, texts)
        if key is not None and (not route.methods or method in with_head(route)):
            found.append((key, method not in route.methods, route))
    return [route for _, _, route in sorted(found, key=lambda one: one[:2])]


def methods(table: Sequence[Written], labels: list[str], texts: list[str]) -> set[str]:
    those = [with_head(route) for route in table if route.methods and route.key(labels, texts) is not None]
    return set().union(*those, {"OPTIONS"} if those else ())


def with_head(route: Written) -> set[str]:
    return {*route.methods, *(["HEAD"] if "GET" in route.methods else [])}


def saying(what: str) -> ASGIApplication:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-route", what.encode())]})
        await send({"type": "http.response.body"})

    return app


def registered(table: Sequence[Written], policy: TrailingSlash) -> tuple[Application[Any], list[Written]]:
    """Return an application, and those routes of the table that are no duplicates."""
    app: Application[Any] = Application(trailing_slash=policy)
    taken = []
    for route in table:
        path = route.path or "/"

        async def handler(request: Request, path: str = path) -> Response:
            return Response(None, 200, headers={"x-route": path})

        host = ".".join(route.host) or None
        try:
            if route.methods:
                app.router.add_route(path, handler, methods=route.methods, host=host)
            else:
                app.mount(route.path, saying(path), host=host)
        except RegistrationError:
            continue
        taken.append(route)
    return app, taken


def any_route(dice: Random) -> Written:
    mounted = dice.random() < 0.15
    segments = [dice.choice(LITERALS + PARAMETERS) for _ in range(dice.randint(0 if mounted else 1, 3))]
    if mounted and segments and not segments[-1]:
        segments[-1] = "a"  # the slash at the end of a mount says nothing
    if not mounted and dice.random() < 0.15:
        segments.append("{%s:path}")
    named = [segment % f"p{index}" if "%" in segment else segment for index, segment in enumerate(segments)]
    ways = () if mounted else tuple(dice.sample(METHODS, dice.randint(1, 2)))
    return Written(tuple(named), ways, dice.choice(HOSTS))


@pytest.mark.parametrize("policy", ["redirect", "strict", "ignore"])
async def test_every_request_is_answered_as_the_documentation_says(policy: TrailingSlash) -> None:
    dice = Random(policy)
    for _ in range(120):
        app, table = registered([any_route(dice) for _ in range(dice.randint(1, 7))], policy)
        for _ in range(15):
            quoted = [dice.choice(TEXTS) for _ in range(dice.randint(1, 4))]
            method, host = dice.choice(METHODS), dice.choice(["a.test", "7.test", "b.c", "test", ""])
            root_path, prefix = dice.choice([("", ""), ("/root", "/root"), ("/root", "")])
            raw_path = "".join(f"/{text}" for text in quoted)
            scope = http_scope(
                root_path + unquote(raw_path),
                method,
                raw_path=(prefix + raw_path).encode(),
                root_path=root_path,
                headers=[(b"host", host.encode())],
            )
            exchange = await Exchange(scope).run(app)
            said = exchange.headers.get("x-route", str(exchange.status))
            if exchange.status in (204, 405):
                said += f" {exchange.headers['allow']}"
            texts = [unquote(text) for text in quoted]
            assert said == answer(app, table, scope, host.split("."), texts), (scope, table)
