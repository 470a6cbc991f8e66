"""Who cannot keep a point of the contract, and what happens instead: the data of the table in README.md.

Only peers are listed. Where asgiserve or asgiweb breaks the contract, that is a bug, and its test fails.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

import httpx
import pytest
from websockets.exceptions import WebSocketException

from tests.together.contract import Point
from tests.together.servers import Server


@dataclass(frozen=True, slots=True)
class Deviation:
    """What a peer does instead, in words, and ``seen``: a part of what the failing check then shows.

    ``since`` is the first CPython on which it does so. ``seldom`` is for what nobody can provoke, such as
    a race of its threads: what its log shows then. Mostly, it keeps the point.
    """

    instead: str
    seen: str
    since: tuple[int, int] = (3, 11)
    seldom: str = ""


DEVIATIONS: Final[dict[str, dict[str, Deviation]]] = {
    "uvicorn": {
        "http_1_0": Deviation(
            "answers in chunks, which an HTTP/1.0 client cannot read (with httptools; h11 does it right)",
            seen="transfer-encoding: chunked",
        ),
        "lost_connection": Deviation(
            "says 1005, as if the client had closed without a code",
            seen="[1005, ''] == [1006, '']",
        ),
    },
    "hypercorn": {
        "close_code_of_client": Deviation(
            "says 1006 whatever code the client closes with",
            seen="1006 == 4002",
        ),
        "close_reason_of_client": Deviation(
            "does not tell the reason",
            seen="'' == 'bye €'",
        ),
        "close_without_code": Deviation(
            "says 1006 whatever code the client closes with",
            seen="[1006, ''] == [1005, '']",
        ),
        "shutdown_while_open": Deviation(
            "does not end while a websocket is open (CPython 3.12 on: its servers wait for connections)",
            seen="hypercorn does not stop",
            since=(3, 12),
        ),
    },
    "granian": {
        "headers": Deviation(
            "does not send the headers of an acceptance",
            seen="None == '1'",
        ),
        "close_reason_of_client": Deviation(
            "does not tell the reason",
            seen="'' == 'bye €'",
        ),
        "lost_connection": Deviation(
            "says 1005, as if the client had closed without a code",
            seen="[1005, ''] == [1006, '']",
        ),
        "shutdown_while_open": Deviation(
            "panics now and then, in a thread of its own, and ends without telling the application",
            seen="the application has written ''",
            seldom="panicked at",
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
        "lifespan_of_a_mounted_application": Deviation(
            "never runs the lifespan, so asgiweb runs no other: the mounted application has no state",
            seen="500",
        ),
        "empty_messages": Deviation(
            "does not send empty messages",
            seen="['the last'] == ['', b'', 'the last']",
        ),
        "state": Deviation(
            "never runs the lifespan: the application has no state, and asgiweb refuses the websocket",
            seen="403",
        ),
        "json_messages": Deviation(
            "cannot close with 1007, and leaves the websocket open",
            seen="timed out",
        ),
        "headers": Deviation(
            "does not send the headers of an acceptance",
            seen="None == '1'",
        ),
        "denial": Deviation(
            "has no responses for refused websockets: 403",
            seen="403 == 401",
        ),
        "denial_by_error_handler": Deviation(
            "has no responses for refused websockets: 403 without headers and body",
            seen="None == 'yes'",
        ),
        "unknown_path": Deviation(
            "has no responses for refused websockets: 403",
            seen="403 == 404",
        ),
        "error_before_acceptance": Deviation(
            "has no responses for refused websockets: 403",
            seen="403 == 500",
        ),
        "error_after_acceptance": Deviation(
            "cannot close with 1011, and leaves the websocket open",
            seen="timed out",
        ),
        "close_by_application": Deviation(
            "does not send the reason",
            seen="(4001, '') == (4001, 'enough €')",
        ),
        "close_reason_of_client": Deviation(
            "does not tell the reason",
            seen="'' == 'bye €'",
        ),
        "shutdown_while_open": Deviation(
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
    "channels": {
        "state": Deviation("has no lifespan; there is nothing to show, and no route: 500", seen="HTTP 500"),
        "denial": Deviation("has no responses for refused websockets: 403", seen="403 == 401"),
        "unknown_path": Deviation("raises ValueError: 500", seen="500 == 404"),
        "close_reason_of_client": Deviation("does not tell the reason", seen="'' == 'bye €'"),
        "shutdown_while_open": Deviation(
            "has no lifespan, so nothing of it runs when the server ends",
            seen="the application has written ''",
        ),
    },
    "starlette": {
        "unknown_path": Deviation("closes before it accepts: 403", seen="403 == 404"),
    },
    "fastapi": {
        "unknown_path": Deviation("closes before it accepts: 403", seen="403 == 404"),
    },
    "quart": {
        "empty_messages": Deviation(
            "raises KeyError when an empty binary message comes: 1011", seen="received 1011"
        ),
        "error_in_conversation": Deviation("closes with 1000, as if all were well", seen="1000 == 1011"),
        "close_code_of_client": Deviation("cancels the handler, and tells no code", seen="None == 4002"),
        "close_reason_of_client": Deviation("cancels the handler, and tells no code", seen="None == 'bye €'"),
        "close_without_code": Deviation("cancels the handler, and tells no code", seen="[None, None]"),
        "lost_connection": Deviation("cancels the handler, and tells no code", seen="[None, None]"),
    },
    "litestar": {
        "denial": Deviation("has no responses for refused websockets: 403", seen="403 == 401"),
        "unknown_path": Deviation("has no responses for refused websockets: 403", seen="403 == 404"),
        "error_before_acceptance": Deviation(
            "has no responses for refused websockets: 403", seen="403 == 500"
        ),
        "error_in_conversation": Deviation("closes with 4500", seen="4500 == 1011"),
        "close_reason_of_client": Deviation("does not tell the reason", seen="'' == 'bye €'"),
    },
    "falcon": {
        "denial": Deviation("has no responses for refused websockets: 403", seen="403 == 401"),
        "unknown_path": Deviation("has no responses for refused websockets: 403", seen="403 == 404"),
        "error_before_acceptance": Deviation(
            "has no responses for refused websockets: 403", seen="403 == 500"
        ),
        "close_reason_of_client": Deviation("does not tell the reason", seen="'' == 'bye €'"),
    },
    "blacksheep": {
        "wrong_method": Deviation(
            "answers 404 without Allow, as if there were nothing at this path",
            seen="404",
        ),
        "parameters_in_utf_8": Deviation("raises InvalidURL for a websocket: 500", seen="HTTP 500"),
        "denial": Deviation("has no responses for refused websockets: 403", seen="403 == 401"),
        "unknown_path": Deviation("has no responses for refused websockets: 403", seen="403 == 404"),
        "error_before_acceptance": Deviation(
            "has no responses for refused websockets: 403", seen="403 == 500"
        ),
        "error_in_conversation": Deviation(
            "closes with 1011, and with the text of the exception", seen="is contained here"
        ),
        "close_reason_of_client": Deviation("does not tell the reason", seen="'' == 'bye €'"),
    },
}


def hold(server: Server, point: Point, *, peer: str) -> None:
    """Check one point; raises as well if a peer keeps what it is said not to, or deviates in another way."""
    deviation = DEVIATIONS.get(peer, {}).get(point.__name__)
    if deviation is None or sys.version_info < deviation.since:
        point(server)
        return
    try:
        point(server)
    except (AssertionError, httpx.HTTPError, WebSocketException, OSError) as error:
        shown = f"{type(error).__name__}: {error}"
    else:
        if deviation.seldom:
            return
        pytest.fail(f"{peer} keeps {point.__name__} now: it can leave DEVIATIONS and the table in README.md")
    assert deviation.seen in shown
    assert deviation.seldom in server.output
