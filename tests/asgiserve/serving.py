"""A real server in a thread, with an event loop and a port of its own, and what tests want to know of it."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Generic, TypeVar

import uvloop

from asgiserve import Config, Server
from tests.asgiserve.applications import App, Receive, Scope, Send, answer
from tests.asgiserve.raw import PATIENCE, Client, Response

T = TypeVar("T")

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


class Moment(Generic[T]):
    """Something that happens once; the test's thread and the application's loop can both wait for it."""

    def __init__(self) -> None:
        self._future: Future[T] = Future()

    def happen(self, value: T) -> None:
        """It happens now, in any thread."""
        self._future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """It will never happen."""
        self._future.set_exception(error)

    @property
    def happened(self) -> bool:
        """Whether it has happened."""
        return self._future.done()

    def wait(self) -> T:
        """Block the test's thread until it has happened."""
        return self._future.result(PATIENCE)

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.shield(asyncio.wrap_future(self._future)).__await__()


class Records(logging.Handler):
    """What the server logs; each error has to be claimed by the test that provokes it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self.lines: list[str] = []
        self._unclaimed: list[str] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, as the line that it would be."""
        with self._changed:
            line = self.format(record)
            self.lines.append(line)
            if record.levelno >= logging.ERROR:
                self._unclaimed.append(line)
            self._changed.notify_all()

    def wait(self, *parts: str) -> str:
        """Wait for a record that holds all of `parts`, and claim it."""

        def matching() -> list[str]:
            return [line for line in self.lines if all(part in line for part in parts)]

        with self._changed:
            found = self._changed.wait_for(matching, PATIENCE)
            assert found, f"{parts} are not in one of {self.lines}"
            if found[0] in self._unclaimed:
                self._unclaimed.remove(found[0])
            return found[0]

    def pause(self, seconds: float) -> None:
        """Wait until something more is logged, at most this long."""
        with self._changed:
            self._changed.wait(seconds)

    @property
    def unclaimed(self) -> str:
        """The errors that no test has claimed."""
        return "\n".join(self._unclaimed)


class Serving:
    """A server that serves inside ``with``, and is asked in the end whether it left anything behind."""

    def __init__(self, config: Config, loop: str, sockets: list[socket.socket] | None = None) -> None:
        self.server = Server(config)
        self.records = Records()
        self._loop_name = loop
        self._loop: asyncio.AbstractEventLoop
        self._sockets = sockets
        self._ready: Moment[None] = Moment()
        self._result: Moment[None] = Moment()
        self._tasks_left: set[asyncio.Task[Any]] = set()
        self._loop_errors: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def __enter__(self) -> Serving:
        """Start; raises what `Server.serve` raises if it cannot."""
        self.begin()
        try:
            self._ready.wait()
        except BaseException:
            self._log(logging.Logger.removeHandler)
            raise
        return self

    def begin(self) -> None:
        """Start, and do not wait until it listens; ``with`` does, and ends what was begun."""
        if not self._thread.is_alive():
            self._log(logging.Logger.addHandler)
            self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if kind is not None:
            self.stop()
        self._thread.join(2 * PATIENCE)
        self._log(logging.Logger.removeHandler)
        if kind is None:
            assert not self._thread.is_alive(), "the server does not stop"
            assert not self._tasks_left, self._tasks_left
            assert not self._loop_errors, self._loop_errors
            assert not self.records.unclaimed, self.records.unclaimed
            assert not self._open_sockets(), self._open_sockets()

    def _log(self, change: Callable[[logging.Logger, logging.Handler], None]) -> None:
        logger = logging.getLogger("asgiserve")
        logger.setLevel(logging.DEBUG)
        change(logger, self.records)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=LOOPS[self._loop_name]) as runner:
                runner.run(self._serve())
        except BaseException as error:
            (self._result if self._ready.happened else self._ready).fail(error)
        else:
            self._result.happen(None)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: self._loop_errors.append(context))
        serving = asyncio.create_task(self.server.serve(self._sockets))
        started = asyncio.create_task(self.server.started.wait())
        await asyncio.wait((serving, started), return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if not serving.done():
            self._ready.happen(None)
        await asyncio.gather(serving, asyncio.gather(started, return_exceptions=True))
        if not self._ready.happened:
            self._ready.happen(None)
        self._tasks_left = asyncio.all_tasks() - {asyncio.current_task()}

    def stop(self) -> None:
        """Ask the server to stop; the second time, to stop at once."""
        try:
            self._loop.call_soon_threadsafe(self.server.stop)
        except RuntimeError:
            pass  # the loop is closed: it has stopped already

    def stopped(self) -> None:
        """Wait until the server has ended; raises what it raised."""
        self._result.wait()

    def _open_sockets(self) -> list[str]:
        """The server's ends of connections that some process still holds open, as the kernel lists them."""
        found = []
        for url in self.server.addresses:
            if url.startswith("http") and "[" not in url:
                port = int(url.rpartition(":")[2])
                for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
                    local, inode = line.split()[1:10:8]
                    if local.endswith(f":{port:04X}") and inode != "0":
                        found.append(line)
        return found

    @property
    def address(self) -> Any:
        """Where to connect."""
        url = self.server.addresses[0]
        if url.startswith("unix:"):
            return url.removeprefix("unix:")
        return ("127.0.0.1", int(url.rpartition(":")[2]))

    def connect(self, tls: ssl.SSLContext | None = None) -> Client:
        """A new connection."""
        return Client(self.address, tls)

    def ask(self, request: bytes, method: str = "GET") -> Response:
        """The response to `request` on a connection of its own."""
        with self.connect() as client:
            client.send(request)
            return client.response(method)


Serve = Callable[..., Serving]


def serve_on(http: str, loop: str) -> Serve:
    """What the fixture `serve` is, for one parser and one event loop."""

    def serve(app: App, sockets: list[socket.socket] | None = None, **settings: Any) -> Serving:
        chosen: dict[str, Any] = {
            "port": 0,
            "http": http,
            "loop": loop,
            "lifespan": "off",
            "shutdown_timeout": 5.0,
        }
        return Serving(Config(app=app, **(chosen | settings)), loop, sockets)

    return serve


def seen(serve: Serve, request: bytes, **settings: Any) -> Scope:
    """The scope that an application gets for `request`."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await answer(send)

    with serve(app, **settings) as server:
        assert server.ask(request).status == 200
    return scopes[0]
