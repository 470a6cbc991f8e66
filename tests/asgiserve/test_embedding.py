"""`Server` inside a program of somebody else's, and `run`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from asgiserve import BindError, Config, ConfigError, LoadError, Server, StartupFailed, run
from tests.asgiserve.applications import Receive, Scope, Send, answer, echo, failing_startup, hello, program
from tests.asgiserve.program import ROOT, STARTING, clean_environment


@contextlib.asynccontextmanager
async def serving(app: Any, **settings: Any) -> AsyncIterator[Server]:
    """A server in the running loop."""
    server = Server(Config(app=app, port=0, **settings))
    task = asyncio.create_task(server.serve())
    started = asyncio.create_task(server.started.wait())
    await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            started.cancel()
            await task
        yield server
    finally:
        server.stop()
        await task


async def test_server_in_a_running_loop() -> None:
    async with serving(echo, lifespan="off") as server, httpx.AsyncClient() as client:
        response = await client.post(server.addresses[0], content=b"body")
        assert (response.status_code, response.content) == (200, b"body")


async def test_httpx_keeps_the_connection_and_streams_both_ways() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 10_000

    async with serving(echo, lifespan="off") as server, httpx.AsyncClient() as client:
        for _ in range(3):
            response = await client.post(server.addresses[0], content=pieces())
            assert len(response.content) == 100_000


async def test_application_shares_the_loop() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(asyncio.get_running_loop())
        await answer(send)

    async with serving(app, lifespan="off") as server, httpx.AsyncClient() as client:
        await client.get(server.addresses[0])
    assert loops == [asyncio.get_running_loop()]


async def test_signals_are_the_callers_business() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    async with serving(hello, lifespan="off"):
        assert {number: signal.getsignal(number) for number in before} == before


async def test_logging_is_the_callers_business() -> None:
    loggers = [logging.getLogger(name) for name in ("", "asgiserve", "asgiserve.error", "asgiserve.access")]
    before = [(list(logger.handlers), logger.propagate) for logger in loggers]
    async with serving(hello, lifespan="off"):
        assert [(list(logger.handlers), logger.propagate) for logger in loggers] == before


async def test_nothing_is_left_in_the_loop() -> None:
    before = asyncio.all_tasks()
    async with serving(program, lifespan="on") as server, httpx.AsyncClient() as client:
        await client.get(server.addresses[0])
    assert asyncio.all_tasks() == before


async def test_two_servers_in_one_loop() -> None:
    async with serving(hello, lifespan="off") as one, serving(echo, lifespan="off") as two:
        assert one.addresses != two.addresses
        async with httpx.AsyncClient() as client:
            assert (await client.get(one.addresses[0])).content == b"ok"
            assert (await client.post(two.addresses[0], content=b"two")).content == b"two"


async def test_sockets_of_the_caller_are_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(Config(app=hello, lifespan="off"))
        task = asyncio.create_task(server.serve([listener]))
        await server.started.wait()
        assert server.addresses == [f"http://127.0.0.1:{listener.getsockname()[1]}"]
        async with httpx.AsyncClient() as client:
            assert (await client.get(server.addresses[0])).status_code == 200
        server.stop()
        await task


async def test_stop_before_it_has_started() -> None:
    server = Server(Config(app=hello, port=0, lifespan="off"))
    server.stop()
    await server.serve()


async def test_cancellation_stops_it() -> None:
    server = Server(Config(app=hello, port=0, lifespan="off"))
    task = asyncio.create_task(server.serve())
    await server.started.wait()
    host, _, port = server.addresses[0].rpartition("/")[2].rpartition(":")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


async def test_errors_are_raised_to_the_caller(tmp_path: Path) -> None:
    with pytest.raises(StartupFailed, match="the database is away"):
        await Server(Config(app=failing_startup, port=0)).serve()
    with pytest.raises(LoadError, match="no module"):
        await Server(Config(app="no_such_module:app", port=0)).serve()
    with pytest.raises(ConfigError, match=r"missing\.pem"):
        await Server(Config(app=hello, port=0, ssl_certfile=str(tmp_path / "missing.pem"))).serve()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BindError, match="in use"):
        await Server(Config(app=hello, port=taken.getsockname()[1])).serve()


async def test_port_in_use_is_found_before_the_application_starts() -> None:
    """Whoever starts a second server by mistake does not want its startup to migrate the database."""
    events: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events.append(scope["type"])

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BindError):
        await Server(Config(app=app, port=taken.getsockname()[1])).serve()
    assert events == []


SCRIPT = """
import asgiserve
from tests.asgiserve.applications import program

asgiserve.run({application}, host="127.0.0.1", port={port})
print("after run")
"""


def script(application: str = "program", port: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(application=application, port=port)],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("application", ["program", "'tests.asgiserve.applications:program'"])
def test_run_serves_until_a_signal_and_returns(application: str) -> None:
    process = script(application)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        while "listens on" not in line:
            assert line
            line = process.stdout.readline()
        url = line.split("listens on ")[1].split()[0]
        assert httpx.get(url).json()["pid"] == process.pid
        process.send_signal(signal.SIGINT)
    finally:
        output, _ = process.communicate(timeout=STARTING)
    assert process.returncode == 0
    assert "after run" in output
    assert "Traceback" not in output


def test_run_exits_with_a_message_if_it_cannot_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = script(port=taken.getsockname()[1])
        output, _ = process.communicate(timeout=STARTING)
    assert process.returncode == 1
    assert "in use" in output
    assert "after run" not in output
    assert "Traceback" not in output


def test_run_refuses_wrong_settings() -> None:
    with pytest.raises(SystemExit) as caught:
        run(hello, port=-1)
    assert caught.value.code == 2


def test_module_can_be_imported_without_side_effects() -> None:
    """It touches no signal, configures no logging, and loads neither loop nor parser."""
    code = (
        "import asgiserve, sys, logging, signal; assert not logging.getLogger('asgiserve').handlers; "
        "assert 'uvloop' not in sys.modules; assert 'httptools' not in sys.modules; "
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ}, timeout=STARTING)
