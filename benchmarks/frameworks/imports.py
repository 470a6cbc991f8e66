"""How long it takes to import a framework: in fresh processes, which take turns; the best of several.

It is CPU time, and what is imported is what the smallest application imports. Compiled files are there
already, and read from the page cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

#: What the smallest application of each begins with.
STATEMENTS: Final = {
    "asgiweb": "from asgiweb import Application, Request, Response",
    "blacksheep": "from blacksheep import Application, Request, Response",
    "falcon": "from falcon.asgi import App, Request, Response",
    "starlette": "from starlette.applications import Starlette\n"
    "from starlette.requests import Request\n"
    "from starlette.responses import Response\n"
    "from starlette.routing import Route",
    "sanic": "from sanic import HTTPResponse, Request, Sanic",
    "litestar": "from litestar import Litestar, Request, get",
    "fastapi": "from fastapi import FastAPI, Request, Response",
    "quart": "from quart import Quart, Response, request",
}

ROUNDS: Final = 9

#: The most that asgiweb may take, in milliseconds.
TARGET: Final = 80.0

_PROGRAM: Final = """
import time
begin = time.process_time()
{statement}
print(time.process_time() - begin)
"""


def measure(names: Sequence[str], rounds: int) -> dict[str, float]:
    """Import each framework in some processes; milliseconds of the fastest one."""
    best = {name: float("inf") for name in names if name in STATEMENTS}
    # Peers come compiled from pip. Where this is set, what is installed from its source never is.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(rounds + 1):  # the first one may have to compile
        for name in best:
            program = _PROGRAM.format(statement=STATEMENTS[name])
            command = [sys.executable, "-c", program]
            run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            best[name] = min(best[name], float(run.stdout) * 1e3)
    return best
