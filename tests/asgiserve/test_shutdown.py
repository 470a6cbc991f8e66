"""How a process stops: SIGINT and SIGTERM, the phases of draining, exit codes."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import h11
import pytest

from tests.asgiserve.program import Program
from tests.asgiserve.raw import GET, PATIENCE, Client, get, request

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_idle_server_stops_with_exit_code_0(number: signal.Signals) -> None:
    with Program("program") as server:
        assert server.ask().status == 200
        server.signal(number)
        assert server.exit_code() == 0
        server.wait_for("shutdown")
        assert "Traceback" not in server.output


def test_idle_connections_are_closed_silently() -> None:
    with Program("program") as server, server.connect() as idle, server.connect() as silent:
        idle.send(GET)
        idle.response()
        server.signal(signal.SIGTERM)
        assert idle.closed()
        assert silent.closed()
        assert server.exit_code() == 0


@pytest.mark.parametrize("number", SIGNALS)
def test_request_in_progress_is_answered_with_connection_close(number: signal.Signals) -> None:
    with (
        Program("program") as server,
        server.connect() as held,
        server.connect() as idle,
        server.connect() as releasing,
    ):
        idle.send(GET)
        idle.response()
        held.send(get("/hold"))
        # Part of it is there before the signal comes, so that it is a request in progress.
        releasing.send(get("/release")[:-2])
        server.wait_for("held")
        server.signal(number)
        assert idle.closed()  # draining has begun
        releasing.send(b"\r\n")
        response = releasing.response()
        assert (response.status, response["connection"]) == (200, "close")
        response = held.response()
        assert (response.body, response["connection"]) == (b"released", "close")
        assert held.closed()
        assert server.exit_code() == 0
        server.wait_for("shutdown")
        assert "cancel" not in server.output


def test_new_connections_are_refused_while_draining() -> None:
    with Program("program") as server, server.connect() as held, server.connect() as idle:
        held.send(get("/hold"))
        idle.send(GET)
        idle.response()
        server.wait_for("held")
        address = held.socket.getpeername()
        server.signal(signal.SIGTERM)
        assert idle.closed()
        with pytest.raises(ConnectionRefusedError):
            Client(address)
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


def test_pipelined_request_behind_the_one_in_progress_is_not_begun() -> None:
    with (
        Program("program") as server,
        server.connect() as client,
        server.connect() as idle,
        server.connect() as releasing,
    ):
        idle.send(GET)
        idle.response()
        client.send(get("/hold") + get("/stuck"))
        releasing.send(get("/release")[:-2])
        server.wait_for("held")
        server.signal(signal.SIGTERM)
        assert idle.closed()
        releasing.send(b"\r\n")
        assert client.response()["connection"] == "close"
        assert client.closed()
        client.close()
        assert server.exit_code() == 0
        assert "stuck" not in server.output


def test_second_signal_stops_at_once() -> None:
    with Program("program") as server, server.connect() as client, server.connect() as idle:
        idle.send(GET)
        idle.response()
        client.send(get("/stuck"))
        server.wait_for("stuck")
        server.signal(signal.SIGINT)
        assert idle.closed()
        assert server.process.poll() is None
        server.signal(signal.SIGINT)
        assert client.ended()
        assert server.exit_code() == 0
        server.wait_for("cancelled")
        server.wait_for("shutdown")
        assert "Traceback" not in server.output


def test_second_signal_does_not_cut_the_lifespan() -> None:
    with (
        Program("slow_shutdown") as server,
        server.connect() as client,
    ):
        client.send(GET)
        server.wait_for("stuck")
        server.signal(signal.SIGTERM)
        server.wait_for("waiting for 1 request")
        server.signal(signal.SIGTERM)
        server.wait_for("shutdown ends")
        assert server.exit_code() == 0


def interrupt(server: Program, sign: str) -> None:
    """Press Ctrl-C, and wait until Python has taken note, which `sign` in its output tells."""
    before = server.output.count(sign)
    server.signal(signal.SIGINT)
    server.wait_for(sign, times=before + 2)


def test_third_signal_cuts_a_lifespan_that_does_not_end() -> None:
    with Program("endless_shutdown") as server:
        server.signal(signal.SIGINT)
        server.wait_for("shutting down")
        interrupt(server, "shutting down")
        server.signal(signal.SIGINT)
        assert server.exit_code() == 0
        assert "Traceback" not in server.output


def test_second_ctrl_c_stops_an_application_that_blocks_the_event_loop() -> None:
    with Program("program") as server, server.connect() as client:
        client.send(get("/block"))
        server.wait_for("blocking")
        interrupt(server, "blocking")
        server.signal(signal.SIGINT)
        assert server.exit_code() == 0
        server.wait_for("shutdown")


IMPORTS = """
import os, time
while True:
    os.write(1, b"importing\\n")
    time.sleep(0.05)
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_ctrl_c_stops_an_import_that_takes_long(tmp_path: Path, loop: str) -> None:
    (tmp_path / "slow_module.py").write_text(IMPORTS)
    with Program("slow_module:app", "--loop", loop, directory=tmp_path, ready="importing") as server:
        server.signal(signal.SIGINT)
        server.exit_code()
        assert "listens on" not in server.output


@pytest.mark.parametrize("workers", ["1", "2"])
def test_thread_that_blocks_does_not_outlive_the_second_signal(workers: str) -> None:
    """Python itself would wait for it, after everything else has ended."""
    with Program("program", "--workers", workers) as server, server.connect() as client:
        client.send(get("/thread"))
        server.wait_for("waits for a thread")
        server.signal(signal.SIGTERM)
        server.wait_for("waiting for 1 request")
        server.signal(signal.SIGTERM)
        assert client.ended()
        assert server.exit_code() == 0
        server.wait_for("shutdown")
        server.wait_for("these threads do not end")


def test_half_a_head_does_not_hold_up_the_end() -> None:
    """It is no request in progress: nobody waits for the rest of it for the whole window, 30 s."""
    with Program("program") as server, server.connect() as client:
        client.send(b"GET / HT")
        server.ask()  # by now that was read
        server.signal(signal.SIGINT)
        assert client.closed()
        assert server.exit_code() == 0


@pytest.mark.parametrize("path", ["/stuck", "/stubborn"])
def test_application_that_does_not_end_is_cancelled_in_the_end(path: str) -> None:
    with Program("program", "--shutdown-timeout", "0.5") as server, server.connect() as client:
        client.send(get(path))
        server.wait_for("stuck")
        server.signal(signal.SIGTERM)
        server.wait_for("cancelled")
        assert client.ended()
        assert server.exit_code() == 0
        server.wait_for("cancelling 1 request")
        server.wait_for("shutdown")


def test_endless_stream_is_ended_visibly() -> None:
    with Program("program", "--shutdown-timeout", "0.5") as server, server.connect() as client:
        client.send(get("/endless"))
        client.read_until(b"tick")
        server.signal(signal.SIGTERM)
        with pytest.raises((h11.RemoteProtocolError, ConnectionResetError, AssertionError)):
            client.read_until(b"\r\n0\r\n\r\n")
        server.wait_for("stream ended")
        assert server.exit_code() == 0
        server.wait_for("shutdown")
        assert "Traceback" not in server.output


def test_stream_that_waits_for_its_client_is_told_to_end() -> None:
    """Near the end of the window, so that it can end by itself: it is not cancelled."""
    with Program("program", "--shutdown-timeout", "1") as server, server.connect() as client:
        client.send(get("/events"))
        client.read_until(b"hello")
        server.signal(signal.SIGTERM)
        server.wait_for("stream was told http.disconnect")
        assert server.exit_code() == 0
        server.wait_for("shutdown")


def test_shutdown_timeout_0_waits_for_ever() -> None:
    with (
        Program("program", "--shutdown-timeout", "0") as server,
        server.connect() as held,
        server.connect() as idle,
        server.connect() as releasing,
    ):
        idle.send(GET)
        idle.response()
        held.send(get("/hold"))
        releasing.send(get("/release")[:-2])
        server.wait_for("held")
        server.signal(signal.SIGTERM)
        assert idle.closed()
        releasing.send(b"\r\n")
        assert held.response().body == b"released"
        assert server.exit_code() == 0


def test_client_that_stays_connected_does_not_delay_the_end() -> None:
    """Neither one that sends half a head, nor one that never takes the last response."""
    with Program("program", "--shutdown-timeout", "0.5") as server:
        clients = [server.connect() for _ in range(3)]
        clients[0].send(b"GET / HTTP/1.1\r\nHo")
        clients[1].send(request("POST /hold HTTP/1.1", "Host: test", "Content-Length: 10") + b"abc")
        clients[2].send(get("/endless"))
        server.wait_for("held")
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        for client in clients:
            client.close()


def test_signal_during_startup_stops() -> None:
    with Program("slow_startup", ready="starting") as server:
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert "listens on" not in server.output
        assert "Traceback" not in server.output


def test_port_is_free_afterwards() -> None:
    with Program("program") as server, server.connect() as client:
        client.send(GET)
        client.response()
        port = client.socket.getpeername()[1]
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
    with Program("program", port=port) as again:
        assert again.ask().status == 200
    with socket.socket() as probe:
        probe.settimeout(PATIENCE)
        with pytest.raises(ConnectionRefusedError):
            probe.connect(("127.0.0.1", port))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_generator_whose_cleanup_never_ends_does_not_keep_the_process(tmp_path: Path, loop: str) -> None:
    (tmp_path / "generator.py").write_text(
        """
import asyncio

kept = []


async def numbers():
    try:
        yield 1
    finally:
        await asyncio.Event().wait()


async def app(scope, receive, send):
    kept.append(numbers())
    await kept[-1].__anext__()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun"})
"""
    )
    arguments = ("--loop", loop, "--lifespan", "off")
    with Program("generator:app", *arguments, directory=tmp_path) as server:
        assert server.ask().body == b"begun"
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
