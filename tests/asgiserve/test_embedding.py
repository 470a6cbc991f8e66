"""`Server` inside a program of somebody else's, and `run`."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from asgiserve import BindError, Config, ConfigError, LoadError, Server, ServerThread, StartupFailed, run
from tests.asgiserve.applications import (
    Receive,
    Scope,
    Send,
    answer,
    echo,
    failing_startup,
    hello,
    program,
    slow_startup,
)
from tests.asgiserve.program import ROOT, STARTING, clean_environment


def embedded(app: Any, **settings: Any) -> Server:
    """A server on a free port."""
    return Server(Config(app=app, port=0, **settings))


async def test_server_in_a_running_loop() -> None:
    async with embedded(echo, lifespan="off") as server, httpx.AsyncClient() as client:
        response = await client.post(server.addresses[0], content=b"body")
        assert (response.status_code, response.content) == (200, b"body")


async def test_httpx_keeps_the_connection_and_streams_both_ways() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 10_000

    async with embedded(echo, lifespan="off") as server, httpx.AsyncClient() as client:
        for _ in range(3):
            response = await client.post(server.addresses[0], content=pieces())
            assert len(response.content) == 100_000


async def test_application_shares_the_loop() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(asyncio.get_running_loop())
        await answer(send)

    async with embedded(app, lifespan="off") as server, httpx.AsyncClient() as client:
        await client.get(server.addresses[0])
    assert loops == [asyncio.get_running_loop()]


async def test_signals_are_the_callers_business() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    async with embedded(hello, lifespan="off"):
        assert {number: signal.getsignal(number) for number in before} == before


async def test_logging_is_the_callers_business() -> None:
    loggers = [logging.getLogger(name) for name in ("", "asgiserve", "asgiserve.error", "asgiserve.access")]
    before = [(list(logger.handlers), logger.propagate) for logger in loggers]
    async with embedded(hello, lifespan="off"):
        assert [(list(logger.handlers), logger.propagate) for logger in loggers] == before


async def test_nothing_is_left_in_the_loop() -> None:
    before = asyncio.all_tasks()
    async with embedded(program, lifespan="on") as server, httpx.AsyncClient() as client:
        await client.get(server.addresses[0])
    assert asyncio.all_tasks() == before


async def test_two_servers_in_one_loop() -> None:
    async with embedded(hello, lifespan="off") as one, embedded(echo, lifespan="off") as two:
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


async def test_exit_drains() -> None:
    """What is in progress when the statement ends is still answered."""
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        held.set()
        await gate.wait()
        await answer(send)

    held = asyncio.Event()
    async with httpx.AsyncClient() as client:
        async with embedded(app, lifespan="off") as server:
            request = asyncio.create_task(client.get(server.addresses[0]))
            await held.wait()
            asyncio.get_running_loop().call_later(0.05, gate.set)
        assert (await request).headers["connection"] == "close"


async def test_lifespan_spans_the_statement() -> None:
    events: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for kind in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{kind}"
            events.append(kind)
            await send({"type": f"lifespan.{kind}.complete"})

    async with embedded(app):
        assert events == ["startup"]
    assert events == ["startup", "shutdown"]


async def test_statement_may_end_with_an_exception() -> None:
    before = asyncio.all_tasks()
    with pytest.raises(LookupError):
        async with embedded(hello, lifespan="off"):
            raise LookupError
    assert asyncio.all_tasks() == before


async def test_errors_are_raised_on_entry() -> None:
    before = asyncio.all_tasks()
    with pytest.raises(StartupFailed, match="the database is away"):
        async with embedded(failing_startup):
            pytest.fail("it has not started")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BindError, match="in use"):
        async with Server(Config(app=hello, port=taken.getsockname()[1])):
            pytest.fail("it has not started")
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_start_and_stop_without_a_statement() -> None:
    server = embedded(hello, lifespan="off")
    with pytest.raises(RuntimeError, match="start"):
        await server.wait_stopped()
    await server.start()
    async with httpx.AsyncClient() as client:
        assert (await client.get(server.addresses[0])).status_code == 200
    with pytest.raises(TimeoutError):  # whoever waits is not the server
        await asyncio.wait_for(server.wait_stopped(), 0.01)
    server.stop()
    await server.wait_stopped()
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.addresses[0])
    with pytest.raises(RuntimeError, match="once"):
        await server.start()


async def test_sockets_of_the_caller_may_be_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(Config(app=hello, lifespan="off"))
        await server.start([listener])
        assert server.addresses == [f"http://127.0.0.1:{listener.getsockname()[1]}"]
        server.stop()
        await server.wait_stopped()


async def test_start_can_be_cancelled() -> None:
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), embedded(slow_startup):
            pytest.fail("it never starts")
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_stop_while_it_starts() -> None:
    server = embedded(slow_startup)
    asyncio.get_running_loop().call_later(0.01, server.stop)
    with pytest.raises(StartupFailed, match="stopped before"):
        await server.start()


async def test_settings_that_take_a_parent_are_refused() -> None:
    name = "tests.asgiserve.applications:hello"
    with pytest.raises(ConfigError, match=r"workers, max_requests: .* asgiserve\.run"):
        Server(Config(app=name, workers=2, max_requests=10))
    with pytest.raises(ConfigError, match="reload: "):
        ServerThread(name, reload=True)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_server_in_a_thread(loop: str) -> None:
    with ServerThread(program, port=0, loop=loop) as server:
        for _ in range(2):
            about = httpx.get(server.addresses[0]).json()
            assert about["pid"] == os.getpid()
            assert about["loop"] == loop
            assert not about["main_thread"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.addresses[0])


def test_servers_in_threads_may_be_nested_and_repeated() -> None:
    server = ServerThread(hello, port=0, lifespan="off")
    for _ in range(3):
        with server, ServerThread(echo, port=0, lifespan="off") as other:
            assert httpx.get(server.addresses[0]).content == b"ok"
            assert httpx.post(other.addresses[0], content=b"two").content == b"two"
    assert not _threads()


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "asgiserve"]


def test_thread_raises_to_the_caller_why_it_does_not_start() -> None:
    with pytest.raises(StartupFailed, match="the database is away"):
        ServerThread(failing_startup, port=0).start()
    with pytest.raises(LoadError, match="no module"), ServerThread("no_such_module:app"):
        pytest.fail("it has not started")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BindError, match="in use"):
        ServerThread(hello, port=taken.getsockname()[1]).start()
    with pytest.raises(ConfigError, match="port"):
        ServerThread(hello, port=-1)
    server = ServerThread(failing_startup, port=0)
    with pytest.raises(StartupFailed):
        server.start()
    server.stop()
    server.join()
    assert not _threads()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_thread_raises_to_the_caller_what_ended_it(loop: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send)
        asyncio.get_running_loop().call_soon(sys.exit, 7)

    server = ServerThread(app, port=0, lifespan="off", loop=loop)
    server.start()
    assert httpx.get(server.addresses[0]).status_code == 200
    with pytest.raises(SystemExit) as caught:
        server.join()
    assert caught.value.code == 7
    server.stop()


def test_exit_of_a_thread_drains() -> None:
    held = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        held.set()
        await asyncio.sleep(0.05)
        await answer(send)

    with ThreadPoolExecutor(1) as others:
        with ServerThread(app, port=0, lifespan="off") as server:
            response = others.submit(httpx.get, server.addresses[0])
            assert held.wait(STARTING)
        assert response.result().headers["connection"] == "close"


def test_second_stop_of_a_thread_cuts() -> None:
    held = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        held.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as others, ServerThread(app, port=0, lifespan="off") as server:
        response = others.submit(httpx.get, server.addresses[0])
        assert held.wait(STARTING)
        server.stop()
        server.stop()
        server.join()
        with pytest.raises(httpx.TransportError):
            response.result()


def test_thread_that_runs_is_not_started_again() -> None:
    with ServerThread(hello, port=0, lifespan="off") as server:
        with pytest.raises(RuntimeError, match="runs already"):
            server.start()
        assert httpx.get(server.addresses[0]).content == b"ok"


def test_thread_leaves_signals_and_logging_alone() -> None:
    def state() -> list[Any]:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        loggers = [
            logging.getLogger(name) for name in ("", "asgiserve", "asgiserve.error", "asgiserve.access")
        ]
        return [*handlers, *((list(logger.handlers), logger.propagate, logger.level) for logger in loggers)]

    before = state()
    with ServerThread(hello, port=0, lifespan="off"):
        assert state() == before
    assert state() == before


def test_log_says_that_it_is_embedded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with ServerThread(hello, port=0, lifespan="off") as server:
        pass
    assert f"listens on {server.addresses[0]} (embedded)" in caplog.text


def test_program_that_forgets_its_server_ends() -> None:
    code = (
        "from asgiserve import ServerThread; from tests.asgiserve.applications import hello; "
        "server = ServerThread(hello, port=0, lifespan='off'); server.start(); print(*server.addresses)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=clean_environment(),
        timeout=STARTING,
    )
    assert ended.stdout.startswith("http://127.0.0.1:")
    assert ended.stderr == ""


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


async def test_code_of_the_reference_runs() -> None:
    section = (
        (ROOT / "docs" / "asgiserve.md").read_text().partition("\n## Embedding\n")[2].partition("\n## ")[0]
    )
    blocks = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    namespace: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/asgiserve.md", "exec"), namespace)
    await namespace["main"]()
