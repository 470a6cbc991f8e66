"""Who cannot keep a point of the contract, and what happens instead: the data of the table in README.md.

Only peers are listed. Where asgiserve or asgiweb breaks the contract, that is a bug, and its test fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httpx
import pytest

from tests.together.contract import Point
from tests.together.servers import Server


@dataclass(frozen=True, slots=True)
class Deviation:
    """What a peer does instead, in words, and ``seen``: a part of what the failing check then shows."""

    instead: str
    seen: str


DEVIATIONS: Final[dict[str, dict[str, Deviation]]] = {
    "uvicorn": {
        "http_1_0": Deviation(
            "answers in chunks, which an HTTP/1.0 client cannot read (with httptools; h11 does it right)",
            seen="transfer-encoding: chunked",
        ),
    },
    "daphne": {
        "broken_stream": Deviation(
            "sends nothing more and leaves the connection open, so that the client waits",
            seen="ReadTimeout",
        ),
        "startup": Deviation(
            "never runs the lifespan: the application has no state, and asgiweb answers 500",
            seen="500",
        ),
        "shutdown": Deviation(
            "ends without telling the application",
            seen="the application has written ''",
        ),
    },
    "django": {
        "startup": Deviation(
            "raises ValueError on the lifespan scope and is served without; there is nothing to show: 404",
            seen="404",
        ),
        "shutdown": Deviation(
            "has no lifespan, so nothing of it runs when the server ends",
            seen="the application has written ''",
        ),
    },
    "blacksheep": {
        "wrong_method": Deviation(
            "answers 404 without Allow, as if there were nothing at this path",
            seen="404",
        ),
    },
}


def hold(server: Server, point: Point, *, peer: str) -> None:
    """Check one point; raises as well if a peer keeps what it is said not to, or deviates in another way."""
    deviation = DEVIATIONS.get(peer, {}).get(point.__name__)
    if deviation is None:
        point(server)
        return
    try:
        point(server)
    except (AssertionError, httpx.HTTPError, OSError) as error:
        shown = f"{type(error).__name__}: {error}"
    else:
        pytest.fail(f"{peer} keeps {point.__name__} now: it can leave DEVIATIONS and the table in README.md")
    assert deviation.seen in shown
