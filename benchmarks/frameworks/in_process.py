"""What a framework itself costs for a request: only ``scope``, ``receive`` and ``send``, and no server.

All frameworks answer some hundred requests in each round, one after the other, and take turns. A round's
figure is CPU time; what is shown is the median of the rounds, and of their ratios.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import operator
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from ..applications.asgi import Message
from ..results import Spread
from ..scenarios import BROWSER
from .results import OURS, Row

FRAMEWORKS: Final = (
    *("asgiweb", "blacksheep", "falcon", "starlette", "litestar", "fastapi", "quart"),
    "raw",  # no framework: the floor
)

ROUNDS: Final = 41
REQUESTS: Final = 300  # of each framework in each round


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request, the right answer, and the most that asgiweb may take of a peer's time."""

    name: str
    title: str
    path: str
    status: int = 200
    media_type: bytes = b""
    body: bytes | None = None  # None: each framework has its own
    middlewares: int = 0
    targets: Mapping[str, float] = field(default_factory=dict)


def _text(name: str, title: str, middlewares: int, targets: Mapping[str, float]) -> Case:
    return Case(name, title, "/", 200, b"text/plain", b"Hello, world!", middlewares, targets)


CASES: Final = (
    _text("text", "Text", 0, {"blacksheep": 0.75, "starlette": 0.35}),
    Case(
        "json",
        "JSON, a parameter in the path",
        "/users/42",
        media_type=b"application/json",
        body=b'{"id":42,"name":"Ada Lovelace"}',
        targets={"blacksheep": 0.6, "starlette": 0.4},
    ),
    Case("not-found", "404", "/nothing/here", status=404),
    _text("one-middleware", "Text, 1 middleware", 1, {}),
    _text("five-middlewares", "Text, 5 middlewares", 5, {}),
)

#: The most that each middleware of asgiweb may cost, in microseconds: a fifth of what five of them add.
MIDDLEWARE_TARGET: Final = 0.3


def scope_of(path: str) -> dict[str, Any]:
    """Make a scope as servers do, with the header fields of a browser."""
    fields = [line.split(": ", 1) for line in BROWSER.decode().split("\r\n")[1:] if line]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in fields],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "extensions": {},
    }


class Receiving:
    """An ASGI ``receive``: there is no body, and then the client does not leave."""

    def __init__(self) -> None:
        self._told = False

    async def __call__(self) -> Message:
        """Return the one message that there is."""
        if self._told:
            await asyncio.get_running_loop().create_future()
        self._told = True
        return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Message) -> None:
    """Take a message, and forget it."""


@contextlib.asynccontextmanager
async def started(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Run the lifespan of an application: some are ready only then. Yields what it leaves in the state."""
    events: asyncio.Queue[Message] = asyncio.Queue()
    answers: asyncio.Queue[Message] = asyncio.Queue()
    state: dict[str, Any] = {}
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    task = asyncio.create_task(app(scope, events.get, answers.put))
    await events.put({"type": "lifespan.startup"})
    await _answered(answers, "startup")
    yield state
    await events.put({"type": "lifespan.shutdown"})
    await _answered(answers, "shutdown")
    await task


async def _answered(answers: asyncio.Queue[Message], event: str) -> None:
    message = await answers.get()
    if message["type"] != f"lifespan.{event}.complete":
        raise RuntimeError(f"{event} failed: {message}")


class Contender:
    """One framework with the application for one case."""

    def __init__(self, name: str, case: Case) -> None:
        self.name = name
        self.case = case
        module = importlib.import_module(f".applications.{name}", __package__)
        self.app = module.application(case.middlewares)
        self.state: dict[str, Any] = {}

    async def check(self) -> None:
        """See that it answers right; raises RuntimeError if it does not."""
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        await self.app(self._scopes(1)[0], Receiving(), keep)
        start, *pieces = sent
        body = b"".join(piece.get("body", b"") for piece in pieces)
        media_type = dict(start["headers"]).get(b"content-type", b"").partition(b";")[0]
        case = self.case
        right = start["status"] == case.status and case.body in (None, body)
        if not right or case.media_type not in (b"", media_type):
            raise RuntimeError(f"{self.name} gives a wrong answer in {case.name!r}: {sent}")

    async def round(self) -> float:
        """Answer the requests of a round; return microseconds of CPU time per request."""
        requests = [(scope, Receiving()) for scope in self._scopes(REQUESTS)]
        app = self.app
        gc.collect()
        begin = time.process_time()
        for scope, receive in requests:
            await app(scope, receive, send)
        return (time.process_time() - begin) / REQUESTS * 1e6

    def _scopes(self, number: int) -> list[dict[str, Any]]:
        """Make scopes beforehand; frameworks write into them, so each request has its own, as on a server."""
        scope = scope_of(self.case.path)
        return [
            {**scope, "headers": list(scope["headers"]), "state": self.state.copy()} for _ in range(number)
        ]


async def measure(
    cases: Sequence[Case], names: Sequence[str], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Let the frameworks take turns in some cases: by case and framework, microseconds in each round."""
    contenders = [Contender(name, case) for case in cases for name in names]
    measured: dict[str, dict[str, list[float]]] = {case.name: {name: [] for name in names} for case in cases}
    async with contextlib.AsyncExitStack() as stack:
        for contender in contenders:
            contender.state = await stack.enter_async_context(started(contender.app))
            await contender.check()
        # All of the frameworks' modules are not to be looked through before each round.
        gc.collect()
        gc.freeze()
        stack.callback(gc.unfreeze)
        for number in range(rounds + 1):
            first = number % len(contenders)  # nobody is always the one who comes after the slowest
            for contender in contenders[first:] + contenders[:first]:
                used = await contender.round()
                if number:  # the first round warms up
                    measured[contender.case.name][contender.name].append(used)
    return measured


def compare(names: Sequence[str], rounds: int) -> list[Row]:
    """Measure all cases, and sum up; the last row is what each of five middlewares costs."""
    measured = asyncio.run(measure(CASES, names, rounds))
    rows = [row(case.title, measured[case.name], case.targets) for case in CASES]
    five, none = measured["five-middlewares"], measured["text"]
    each = {
        name: asdict(Spread.of((more - less) / 5 for more, less in zip(five[name], none[name], strict=True)))
        for name in names
    }
    return [*rows, Row("Each middleware", each, {}, {}, MIDDLEWARE_TARGET)]


def row(title: str, measured: dict[str, list[float]], targets: Mapping[str, float]) -> Row:
    """Sum up one case: medians, and asgiweb's time divided by each other's, round by round."""
    ratios = {
        name: asdict(Spread.of(map(operator.truediv, measured[OURS], values)))
        for name, values in measured.items()
        if name != OURS and OURS in measured
    }
    microseconds = {name: asdict(Spread.of(values)) for name, values in measured.items()}
    return Row(title, microseconds, ratios, {peer: most for peer, most in targets.items() if peer in ratios})
