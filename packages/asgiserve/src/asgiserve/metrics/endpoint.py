"""The endpoint of ``--metrics``: /metrics for Prometheus, and /livez and /readyz for whoever starts servers.

It is a small service beside the one that it watches, in the loop of the process that knows all figures: of
the server itself or, with workers, of their parent. It opens first and closes last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Final, Protocol

from ..config import Config
from ..errors import ConfigError
from ..service import Service
from ..sockets.accepting import acceptors_on
from ..sockets.listeners import bound
from ..types import ASGIApplication, Receive, Scope, Send
from .figures import Figures

logger: Final = logging.getLogger("asgiserve.error")

#: Seconds that a scrape in progress has, when all else has ended.
LAST_SCRAPE: Final = 0.5


class Monitored(Protocol):
    """What an endpoint tells of: a server, or the workers of a supervisor."""

    def why_dead(self) -> str:
        """Why nothing will come of it unless it is started anew; empty while it works."""
        ...

    def why_not_ready(self) -> str:
        """Why it is not to be sent requests; empty while it serves."""
        ...

    def figures(self) -> Figures:
        """What it has counted, and how things stand."""
        ...


@contextlib.asynccontextmanager
async def monitoring(config: Config, subject: Monitored) -> AsyncIterator[None]:
    """Serve metrics and probes where the settings say so; raises ConfigError or BindError."""
    if config.metrics is None:
        yield
        return
    app = endpoint(subject)
    own = _own_config(app, config, config.metrics)
    service = Service(app, own, None)
    with bound(own) as listeners:
        acceptors = acceptors_on(listeners, service, None)
        service.deadlines.start()
        try:
            for acceptor in acceptors:
                acceptor.listener.listen(own.backlog)
                await acceptor.open()
                logger.info("metrics and probes are at %s", acceptor.listener)
            yield
        finally:
            for acceptor in acceptors:
                acceptor.close()
                await acceptor.abandon()
            await _end(service)


def _own_config(app: ASGIApplication, config: Config, address: str) -> Config:
    """The settings of the endpoint: requests to it are short and answered at once."""
    return Config(
        app=app,
        bind=(address,),
        uds_mode=config.uds_mode,
        uds_owner=config.uds_owner,
        backlog=128,
        http=config.http,
        request_timeout=2.0,  # clients that hold connections make probes wait no longer than this
        keep_alive_timeout=2.0,
        response_timeout=10.0,
        write_timeout=10.0,
        max_request_line=1024,
        max_headers_size=16384,
        max_body_size=1024,
        limit_connections=256,
        access_log=False,
    )


async def _end(service: Service) -> None:
    """Let the last answers leave, and close."""
    changed = asyncio.Event()
    service.on_change = changed.set
    service.drain()
    for cut in (service.abort, service.deadlines.stop):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_SCRAPE):
                while service.busy:
                    changed.clear()
                    await changed.wait()
        cut()


def endpoint(subject: Monitored) -> ASGIApplication:
    """The application that answers for `subject`; raises ConfigError if prometheus_client is not there."""
    try:
        from .exposition import Exposition
    except ImportError:
        raise ConfigError(
            "metrics: prometheus_client is not installed; pip install 'asgiserve[metrics]'"
        ) from None
    exposition = Exposition(subject.figures)
    probes = {"/livez": subject.why_dead, "/readyz": subject.why_not_ready}

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        headers = [(b"cache-control", b"no-store")]
        status, media_type = 200, "text/plain; charset=utf-8"
        if scope["method"] not in ("GET", "HEAD"):
            status, body = 405, b"GET and HEAD are all that there is.\n"
            headers.append((b"allow", b"GET, HEAD"))
        elif path == "/metrics":
            accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
            body, media_type = exposition.render(accept.decode("latin-1"))
        elif path in probes:
            reason = probes[path]()
            status, body = (503, f"{reason}\n".encode()) if reason else (200, b"ok\n")
        else:
            status, body = 404, b"There are /metrics, /livez and /readyz.\n"
        headers.append((b"content-type", media_type.encode("latin-1")))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application
