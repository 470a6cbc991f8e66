"""``shutdown_delay``: to serve on until load balancers have noticed. And nobody waits in vain."""

from __future__ import annotations

import signal

import pytest

from tests.asgiserve.program import Program
from tests.asgiserve.raw import GET, Client, eventually, get

WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


@WORKERS
def test_everybody_is_answered_once_more_during_the_delay(workers: str) -> None:
    with (
        Program("program", "--workers", workers, "--shutdown-delay", "60") as server,
        server.connect() as kept,
        server.connect() as idle,
    ):
        kept.send(GET)
        assert "connection" not in kept.response()
        server.wait_for("listens on", times=int(workers))
        server.signal(signal.SIGTERM)
        server.wait_for("stopping in 60 s", times=int(workers))
        kept.send(GET)
        response = kept.response()
        assert (response.status, response["connection"]) == (200, "close")
        assert kept.closed()
        response = server.ask()  # on a new connection
        assert (response.status, response["connection"]) == (200, "close")
        # A second signal ends the delay.
        server.signal(signal.SIGTERM)
        assert idle.closed()
        assert server.exit_code() == 0


@WORKERS
def test_it_ends_by_itself_after_the_delay(workers: str) -> None:
    with (
        Program("program", "--workers", workers, "--shutdown-delay", "0.5") as server,
        server.connect() as idle,
    ):
        idle.send(GET)
        idle.response()
        server.wait_for("listens on", times=int(workers))
        server.signal(signal.SIGTERM)
        assert idle.closed()
        assert server.exit_code() == 0


@WORKERS
def test_nobody_can_connect_while_requests_end(workers: str) -> None:
    """With workers, their parent must not keep the socket: connections would wait, and never be accepted."""
    with Program("program", "--workers", workers) as server, server.connect() as held:
        held.send(get("/hold"))
        server.wait_for("held")
        address = held.socket.getpeername()
        server.signal(signal.SIGTERM)
        assert eventually(lambda: _is_refused(address))
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


def _is_refused(address: tuple[str, int]) -> bool:
    try:
        Client(address).close()
    except ConnectionRefusedError:
        return True
    return False
