"""One process: lifespan, listen, serve, drain, stop.

Shutdown has phases. The server stops accepting and closes idle connections; requests in progress are
answered with ``Connection: close``; when a fifth of the window is left, applications still running are told
that their clients have left; at its end they are cancelled and their connections cut. The lifespan's
shutdown always runs. A second call of `stop` skips to the cut, a third one cuts the lifespan's shutdown.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import socket
import ssl
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from ._version import __version__
from .accepting import Acceptor
from .config import Config
from .lifespan import Lifespan
from .listeners import Listener, bound, listener_of
from .loading import load_application
from .service import Service
from .tls import tls_context

logger: Final = logging.getLogger("asgiserve.error")

#: Which part of the shutdown window has passed when applications are told to end.
DISMISS_AT: Final = 0.8

#: Seconds that idle connections have for one more request, when another process has taken over.
RETIRED_IDLE: Final = 5.0

#: Seconds for applications that were cancelled to clean up.
CANCEL_GRACE: Final = 1.0


class Server:
    """Serves one application in the running event loop; signals are its caller's business."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.addresses: list[str] = []  # where it listens, as URLs; filled once it does
        self.started = asyncio.Event()  # set when it listens
        self._stop_asked = asyncio.Event()
        self._retiring = False  # another process has taken over
        self._stop_now = asyncio.Event()
        self._give_up = asyncio.Event()
        self._changed = asyncio.Event()
        self._service: Service | None = None

    def stop(self) -> None:
        """Drain and end; a second call cuts what is in progress, a third one also the lifespan's shutdown.

        To be called in the server's loop.
        """
        if self._stop_now.is_set():
            self._give_up.set()
        if self._stop_asked.is_set():
            self._stop_now.set()
        self._stop_asked.set()
        self._changed.set()

    def retire(self) -> None:
        """Drain and end, because another process serves on the same sockets.

        Idle connections are kept for a while to answer one more request, with ``Connection: close``, so that
        no client that is about to send one finds its connection closed. To be called in the server's loop.
        """
        self._retiring = True
        if not self.stopping:
            self.stop()

    def report(self) -> dict[str, Any]:
        """What a worker tells its parent of itself."""
        return {"requests": self._service.requests if self._service is not None else 0}

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop_asked.is_set()

    async def until_stopping(self) -> None:
        """Wait until `stop` is called."""
        await self._stop_asked.wait()

    async def serve(self, listeners: Sequence[Listener | socket.socket] | None = None) -> None:
        """Serve until `stop` is called, on these listeners or sockets, or on those that the settings name.

        Raises LoadError, StartupFailed, BindError or ConfigError if it cannot begin.
        """
        config = self.config
        app = load_application(config.app, factory=config.factory, app_dir=config.app_dir)
        tls = tls_context(config)
        with contextlib.ExitStack() as stack:
            if listeners is None:
                listeners = stack.enter_context(bound(config))
            lifespan = Lifespan(app, config.lifespan)
            await _unless(self._stop_asked, lifespan.startup())
            try:
                if not self._stop_asked.is_set():
                    self._service = Service(app, config, lifespan.state)
                    await self._serve(self._service, [listener_of(one, config) for one in listeners], tls)
            finally:
                await _unless(self._give_up, lifespan.shutdown(config.shutdown_timeout))

    async def _serve(self, service: Service, listeners: list[Listener], tls: ssl.SSLContext | None) -> None:
        """Listen until `stop` is called, then drain."""
        acceptors = [Acceptor(service, listener, tls if listener.tls else None) for listener in listeners]
        service.deadlines.start()
        try:
            for acceptor in acceptors:
                acceptor.listener.listen(self.config.backlog)
                await acceptor.open()
                self.addresses.append(str(acceptor.listener))
            how = "as a worker" if multiprocessing.parent_process() else "(Ctrl-C stops it)"
            logger.info("asgiserve %s listens on %s %s", __version__, ", ".join(self.addresses), how)
            self.started.set()
            await self._stop_asked.wait()
            for acceptor in acceptors:
                acceptor.close()
            await self._drain(service)
        finally:
            for acceptor in acceptors:
                acceptor.close()
            service.cancel()
            service.abort()
            await self._wait_idle(service, CANCEL_GRACE, even_if_forced=True)
            service.deadlines.stop()
            if service.access_log is not None:
                service.access_log.flush()

    async def _drain(self, service: Service) -> None:
        """Let what is in progress end, as far as the window allows."""
        window = self.config.shutdown_timeout
        service.on_change = self._changed.set
        service.drain(RETIRED_IDLE if self._retiring else 0.0)
        if service.exchanges:
            logger.info(
                "waiting for %s in progress, at most %g s; a second signal stops at once",
                _requests(service),
                window,
            )
        await self._wait_idle(service, window * DISMISS_AT)
        service.drain()
        service.dismiss()
        await self._wait_idle(service, window * (1 - DISMISS_AT))
        if service.exchanges:
            logger.warning("cancelling %s that did not end", _requests(service))

    async def _wait_idle(self, service: Service, timeout: float, *, even_if_forced: bool = False) -> None:
        """Wait until nothing is in progress, for `timeout` seconds (0: for ever) or the second `stop`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout or None):
                while service.busy and (even_if_forced or not self._stop_now.is_set()):
                    self._changed.clear()
                    await self._changed.wait()


def _requests(service: Service) -> str:
    count = len(service.exchanges)
    return "1 request" if count == 1 else f"{count} requests"


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do `work`, but cancel it when `event` is set; raises what the work raises."""
    task = asyncio.create_task(work)
    waiter = asyncio.create_task(event.wait())
    try:
        await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
