"""A server in a thread of its own: for tests, and for programs that have no event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from .config import Config
from .process import close_loop, loop_factory
from .server import Server
from .types import ASGIApplication


class ServerThread:
    """Serves `app` in a thread, with an event loop of its own, while a ``with`` statement lasts.

    `settings` are those of Config. The calling thread goes on once the server listens. Signals and logging
    are the caller's business; all methods may be called from any thread, but not from the running event loop
    of one, which they would block. It may be started again after its end, and serves somewhere else then if
    the port is 0. Raises ConfigError for a wrong setting.
    """

    def __init__(self, app: str | ASGIApplication, **settings: Any) -> None:
        self.config = Config(app=app, **settings)
        self._server = Server(self.config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended: Future[None] = Future()

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as URLs, once it does."""
        return self._server.addresses

    def start(self) -> None:
        """Start, and return once it listens.

        Raises LoadError, StartupFailed, BindError or ConfigError if it cannot begin; RuntimeError if it runs.
        """
        if self._thread is not None and self._thread.is_alive():
            raise RuntimeError("this server runs already")
        self._server = Server(self.config)
        self._loop = loop_factory(self.config.loop)()
        self._ended = Future()
        started: Future[None] = Future()
        # A daemon, so that a program that forgets to stop it, or whose application is stuck, can still end.
        self._thread = threading.Thread(
            target=self._run, args=(self._loop, started), name="asgiserve", daemon=True
        )
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self.stop()
            self._thread.join()
            raise

    def stop(self) -> None:
        """Let it drain and end; a second call cuts what is in progress, a third one its shutdown."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
                self._loop.call_soon_threadsafe(self._server.stop)

    def join(self) -> None:
        """Wait until it has ended; raises what ended it, if that was not `stop`."""
        if self._thread is None:
            return
        try:
            self._thread.join()
        except KeyboardInterrupt:
            self.stop()  # whoever is in a hurry does not wait for what is in progress
            raise
        self._ended.result()

    def __enter__(self) -> ServerThread:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self.join()

    def _run(self, loop: asyncio.AbstractEventLoop, started: Future[None]) -> None:
        try:
            try:
                loop.run_until_complete(self._serve(started))
            finally:
                close_loop(loop)
        except BaseException as error:
            if started.done():
                self._ended.set_exception(error)
            else:
                self._ended.set_result(None)
                started.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _serve(self, started: Future[None]) -> None:
        async with self._server:
            started.set_result(None)
            await self._server.wait_stopped()
