"""The pairs of framework and server that are compared, as their users pick them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final

from .. import servers
from ..servers import Loop, Options, Running

#: Ours, among the others.
OURS: Final = "asgiweb on asgiserve"

_APPLICATIONS: Final = "benchmarks.frameworks.applications"

#: Framework and server of each pair; None for a framework that is its own server.
PAIRS: Final[dict[str, tuple[str, str | None]]] = {
    OURS: ("asgiweb", "asgiserve"),
    "blacksheep on granian": ("blacksheep", "granian"),
    "blacksheep on uvicorn": ("blacksheep", "uvicorn"),
    "falcon on uvicorn": ("falcon", "uvicorn"),
    "starlette on uvicorn": ("starlette", "uvicorn"),
    "fastapi on uvicorn": ("fastapi", "uvicorn"),
    "litestar on granian": ("litestar", "granian"),
    "litestar on uvicorn": ("litestar", "uvicorn"),
    "sanic": ("sanic", None),
    "aiohttp": ("aiohttp", None),
}


@contextlib.contextmanager
def serving(
    name: str,
    *,
    core: int | None = None,
    loop: Loop = "uvloop",
    access_log: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Start a pair with the application of these benchmarks; end it."""
    framework, server = PAIRS[name]

    def command(port: int) -> list[str]:
        if server is None:
            return [f"{_APPLICATIONS}.{framework}", "--port", str(port), "--loop", loop]
        application = f"{_APPLICATIONS}.{framework}:app"
        return servers.SERVERS[server](Options(application, port, loop, access_log))

    with servers.started(name, command, core=core, environment=environment) as running:
        yield running
