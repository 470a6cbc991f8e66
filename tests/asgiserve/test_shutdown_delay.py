"""``shutdown_delay``: to serve on until load balancers have noticed. And nobody waits in vain."""

from __future__ import annotations

import signal
import threading

import pytest

from tests.asgiserve.program import Program
from tests.asgiserve.raw import GET, GET_AND_CLOSE, Client, eventually, get

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


def test_those_who_wait_to_be_accepted_are_served() -> None:
    """Closing a socket resets the connections in its queue: there are some whenever clients come this fast.

    What connects between the last look at the queue and the closing is lost, which is a matter of
    microseconds. Without that look, about five of these eight clients lose a request each time.
    """
    lost: list[str] = []
    for _ in range(3):
        with Program("hello", "--no-access-log", "--shutdown-delay", "0.3") as server:
            address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
            clients = [
                threading.Thread(target=_connect_until_refused, args=(address, lost)) for _ in range(8)
            ]
            for client in clients:
                client.start()
            server.signal(signal.SIGTERM)
            assert server.exit_code() == 0
            for client in clients:
                client.join()
    assert len(lost) <= 2, lost


def _connect_until_refused(address: tuple[str, int], lost: list[str]) -> None:
    while True:
        try:
            client = Client(address)
        except ConnectionRefusedError:
            return
        except ConnectionResetError as error:
            lost.append(repr(error))  # in the very moment of the closing
            continue
        with client:
            try:
                client.send(GET_AND_CLOSE)
                if not client.read_all().startswith(b"HTTP/1.1 200 "):
                    lost.append("closed")
            except OSError as error:
                lost.append(repr(error))


def _is_refused(address: tuple[str, int]) -> bool:
    try:
        Client(address).close()
    except ConnectionRefusedError:
        return True
    return False
