"""The application of `benchmarks.idle`: the common one, and ``/sweeps``, how long asgiserve's sweeps took.

A sweep looks at the deadlines of all connections. It is timed where it happens, in the server's process, with
the connections that it has; so this needs to know its name.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from typing import Any, Final

from . import asgi
from .asgi import Receive, Scope, Send, answer

#: Milliseconds of the last sweeps; CPU time, since other programs may take their turns within one.
_taken: Final[deque[float]] = deque(maxlen=20)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Time the sweeps from the start on, and answer like the common application."""
    if scope["type"] == "lifespan":
        _time_sweeps()
    if scope["type"] == "http" and scope["path"] == "/sweeps":
        await answer(send, json.dumps(list(_taken)).encode(), b"application/json")
    else:
        await asgi.app(scope, receive, send)


def _time_sweeps() -> None:
    module: Any = sys.modules.get("asgiserve.deadlines")
    if module is None:
        return  # another server
    sweep = module.Deadlines._sweep

    def timed(deadlines: Any) -> None:
        began = time.thread_time()
        sweep(deadlines)
        _taken.append((time.thread_time() - began) * 1000)

    module.Deadlines._sweep = timed
