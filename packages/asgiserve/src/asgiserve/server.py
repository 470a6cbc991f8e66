"""One process: lifespan, listen, serve, drain, stop.

Shutdown has phases. If there is a delay, the server serves on, each connection for one more request. Then it
stops accepting and closes idle connections; requests in progress are answered with ``Connection: close``;
when a fifth of the window is left, applications still running are told that their clients have left; at its
end they are cancelled and their connections cut. The lifespan's shutdown always runs. A second call of `stop`
skips to the cut, a third one cuts the lifespan's shutdown.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Final

from ._version import __version__
from .config import UNSUPERVISED, Config
from .errors import ConfigError, StartupFailed
from .lifespan import Lifespan
from .loading import load_application
from .metrics.endpoint import monitoring
from .metrics.figures import Meter
from .metrics.monitored import MonitoredServer
from .service import Service
from .sockets.accepting import Acceptor, acceptors_on
from .sockets.listeners import Listener, bound, listener_of
from .tls.renewal import Renewal

logger: Final = logging.getLogger("asgiserve.error")

#: Which part of the shutdown window has passed when applications are told to end.
DISMISS_AT: Final = 0.8

#: Seconds that idle connections have for one more request, when another process has taken over.
RETIRED_IDLE: Final = 5.0

#: Seconds for applications that were cancelled to clean up.
CANCEL_GRACE: Final = 1.0


class Server:
    """Serves one application in the running event loop, once; signals are its caller's business.

    Raises ConfigError for settings that take a parent process, and for certificates that cannot be used.
    """

    def __init__(self, config: Config) -> None:
        if config.supervised:
            names = [name for name, alone in UNSUPERVISED.items() if getattr(config, name) != alone]
            raise ConfigError(f"{', '.join(names)}: a Server has no parent process; asgiserve.run has")
        self.config = config
        self.addresses: list[str] = []  # where it listens, as URLs; filled once it does
        self.started = asyncio.Event()  # set when it listens
        self._after_requests: tuple[int, Callable[[], None]] | None = None
        self.measured = config.metrics is not None  # for `report`, too
        self.role = "(embedded)"  # for the log
        self._stop_asked = asyncio.Event()
        self._retiring = False  # another process has taken over
        self._stop_now = asyncio.Event()
        self._give_up = asyncio.Event()
        self._changed = asyncio.Event()
        self._service: Service | None = None
        self._meter: Meter | None = None
        self._renewal = Renewal(config) if config.ssl_certfile is not None else None
        self._task: asyncio.Task[None] | None = None  # of `start`

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if self._task is not None:
            await self._task

    async def start(self, listeners: Sequence[Listener | socket.socket] | None = None) -> None:
        """Begin to `serve` in a task of its own, and return once it listens.

        Raises what `serve` raises if it cannot begin, or StartupFailed if `stop` was called before it had.
        """
        if self._task is not None:
            raise RuntimeError("a Server serves once: make another one")
        self._task = asyncio.create_task(self.serve(listeners), name="asgiserve")
        started = asyncio.create_task(self.started.wait())
        try:
            await asyncio.wait((self._task, started), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait((self._task,))
            raise
        finally:
            started.cancel()
        if not self.started.is_set():
            await self._task
            raise StartupFailed("the server was stopped before it had started")

    async def wait_stopped(self) -> None:
        """Wait until a server that `start` has begun has ended; raises what ended it, if not `stop`."""
        if self._task is None:
            raise RuntimeError("there is nothing to wait for: start() was not called")
        await asyncio.shield(self._task)

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

    def reload_certificates(self) -> None:
        """Read the files of certificates again, for new connections; to be called in the server's loop.

        While they cannot be used, which is logged, those that were read before stay in use.
        """
        if self._renewal is not None:
            self._renewal.reload()
        else:
            logger.info("there are no certificates to read again: ssl_certfile is not set")

    def after_requests(self, count: int, then: Callable[[], None]) -> None:
        """Count requests, for `report`, and call `then` after so many; to be called before it serves."""
        self._after_requests = (count, then)

    def report(self) -> dict[str, Any]:
        """What a worker tells its parent of itself."""
        report: dict[str, Any] = {"requests": self._service.requests if self._service is not None else 0}
        if self._meter is not None:
            report["metrics"] = dataclasses.asdict(self._meter.read())
        return report

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
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(monitoring(config, MonitoredServer(self)))
            if self._renewal is not None:
                stack.enter_context(self._renewal.watching())
            if listeners is None:
                listeners = stack.enter_context(bound(config))
            places = [listener_of(one, config) for one in listeners]
            if self._renewal is None and any(place.tls for place in places):
                raise ConfigError("ssl_certfile: a listener that speaks TLS needs a certificate")
            lifespan = Lifespan(app, config.lifespan)
            await _unless(self._stop_asked, lifespan.startup())
            try:
                if not self._stop_asked.is_set():
                    self._service = Service(app, config, lifespan.state)
                    if self._after_requests is not None:
                        self._service.count_requests(*self._after_requests)
                    if self.measured:
                        self._meter = Meter(self._service)
                    await self._serve(self._service, places)
            finally:
                await _unless(self._give_up, lifespan.shutdown(config.shutdown_timeout))

    async def _serve(self, service: Service, listeners: list[Listener]) -> None:
        """Listen until `stop` is called, then drain."""
        tls = self._renewal.context if self._renewal is not None else None
        acceptors = acceptors_on(listeners, service, tls)
        service.deadlines.start()
        try:
            for acceptor in acceptors:
                acceptor.listener.listen(self.config.backlog)
                await acceptor.open()
                self.addresses.append(str(acceptor.listener))
            where = ", ".join(self.addresses)
            logger.info("asgiserve %s listens on %s %s", __version__, where, self.role)
            self.started.set()
            await self._stop_asked.wait()
            await self._take_leave(service)
            for acceptor in acceptors:
                await (acceptor.hand_over() if self._retiring else acceptor.finish())
            await self._drain(service, acceptors)
        finally:
            for acceptor in acceptors:
                acceptor.close()
            service.cancel()
            service.abort()
            for acceptor in acceptors:
                await acceptor.abandon()
            await self._wait_idle(service, CANCEL_GRACE, even_if_forced=True)
            service.deadlines.stop()
            if service.access_log is not None:
                service.access_log.flush()

    async def _take_leave(self, service: Service) -> None:
        """Serve on for the delay, so that load balancers notice; connections end with their next response."""
        delay = self.config.shutdown_delay
        if delay and not self._retiring:
            logger.info("stopping in %g s (shutdown_delay)", delay)
            service.drain(delay)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop_now.wait(), delay)

    async def _drain(self, service: Service, acceptors: list[Acceptor]) -> None:
        """Let what is in progress end, as far as the window allows."""
        window = self.config.shutdown_timeout
        service.on_change = self._changed.set
        # After a delay, what is idle is new, and about to send its first request.
        patience = RETIRED_IDLE if self._retiring or self.config.shutdown_delay else 0.0
        service.drain(patience)
        for _ in range(2):
            await asyncio.sleep(0)  # connections that were accepted just before are there then
        for acceptor in acceptors:
            acceptor.drain(patience)
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
            if not self._stop_now.is_set():
                service.timeouts["shutdown"] += len(service.exchanges)
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
