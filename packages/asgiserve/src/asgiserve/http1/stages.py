"""Whom a connection waits for: one party at a time; and what happens when its deadline has passed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from ..deadlines import NEVER, TICK
from ..errors import RequestRefused

if TYPE_CHECKING:
    from .connection import Connection

logger: Final = logging.getLogger("asgiserve.error")


class Stage(Enum):
    """Whom a connection waits for: what its deadline means."""

    IDLE = auto()  # the client, to send the next request
    HEAD = auto()  # the client, to send the rest of a head
    BODY = auto()  # the client, to send more of a body
    RESPONSE = auto()  # the application, to start its response
    HELD = auto()  # the application, to pass the first piece of the body, which leaves with the head
    WEBSOCKET = auto()  # nobody: it is a WebSocket now
    STREAM = auto()  # the application, to go on with its response: for ever
    WRITE = auto()  # the client, to read
    CLOSING = auto()  # the client, to take the last bytes
    FAREWELL = auto()  # the same through TLS, whose end the client need not answer
    LINGER = auto()  # the client, to notice that nothing more comes, and close


def arm(connection: Connection) -> None:
    """Find whom a connection waits for now, and give them their time."""
    service = connection.service
    inbound = connection.inbound
    exchange = connection.exchange
    if connection.write_paused:
        connection.wait_for(Stage.WRITE, TICK)
    elif exchange is not None and exchange.head is not None and not exchange.begun:
        if connection.stage is not Stage.HELD:
            connection.wait_for(Stage.HELD, TICK)
    elif inbound.body is not None and not inbound.paused and not inbound.continue_due:
        connection.stage = Stage.BODY
        connection.deadline = inbound.body_deadline()
    elif exchange is None:
        connection.wait_for(Stage.IDLE, service.keep_alive_wait)
    elif not exchange.begun:
        connection.wait_for(Stage.RESPONSE, service.response_wait)
    else:
        connection.wait_for(Stage.STREAM, NEVER)


def _head(connection: Connection) -> None:
    connection.service.timeouts["request_head"] += 1
    if connection.inbound.held:
        connection.refuse(RequestRefused(HTTPStatus.REQUEST_TIMEOUT, "the request head took too long"))
    else:
        connection.close()  # browsers open connections ahead of need: no answer without a question


def _body(connection: Connection) -> None:
    connection.service.timeouts["request_body"] += 1
    if connection.exchange is None:
        connection.close()
    else:
        connection.refuse(RequestRefused(HTTPStatus.REQUEST_TIMEOUT, "the request body took too long"))


def _response(connection: Connection) -> None:
    exchange = connection.exchange
    if exchange is not None and exchange.task is not None:
        timeout = connection.service.config.response_timeout
        connection.service.timeouts["response"] += 1
        logger.error("%s: no response after %g s (response_timeout): cancelled", exchange, timeout)
        connection.answer(HTTPStatus.SERVICE_UNAVAILABLE, "the application took too long to respond")
        exchange.task.cancel()


def _held(connection: Connection) -> None:
    """No piece of the body has come soon: the head goes out alone, as an event stream needs it to."""
    if connection.exchange is not None:
        connection.respond(connection.exchange.head, b"", True)


def _write(connection: Connection) -> None:
    """Cut off a client that does not take what it must."""
    if not connection.outbound.look():
        connection.wait_for(connection.stage, TICK)
        return
    timeout = connection.service.config.write_timeout
    connection.service.timeouts["write"] += 1
    logger.info("%s: the client did not read for %g s (write_timeout)", connection.endpoints, timeout)
    connection.abort()


def _farewell(connection: Connection) -> None:
    """End a connection of TLS as soon as the client has taken everything."""
    if connection.outbound.queued():
        _write(connection)
    else:
        connection.abort()


def _linger(connection: Connection) -> None:
    """End a connection whose client does not; unless it has not taken all of the last response yet."""
    if connection.outbound.queued():
        connection.wait_for(Stage.CLOSING, TICK)
    else:
        connection.abort()


def _idle(connection: Connection) -> None:
    if not connection.service.draining:  # which shortens its time
        connection.service.timeouts["keep_alive"] += 1
    connection.close()


#: What to do with a connection whose deadline has passed in a stage.
EXPIRE: Final[dict[Stage, Callable[[Connection], None]]] = {
    Stage.IDLE: _idle,
    Stage.HEAD: _head,
    Stage.BODY: _body,
    Stage.RESPONSE: _response,
    Stage.HELD: _held,
    Stage.WRITE: _write,
    Stage.CLOSING: _write,
    Stage.FAREWELL: _farewell,
    Stage.LINGER: _linger,
}
