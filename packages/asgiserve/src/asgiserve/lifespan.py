"""The lifespan protocol (ASGI lifespan 2.0): the application's startup and shutdown, and its state.

An application that raises on the lifespan scope, or returns from it unasked, is one without a lifespan:
it is served all the same, and never told of the shutdown.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Literal

from .errors import StartupFailed
from .types import ASGIApplication, Message

logger: Final = logging.getLogger("asgiserve.error")


class Lifespan:
    """One run of the lifespan protocol, in the loop that serves the requests."""

    def __init__(self, app: ASGIApplication, mode: Literal["auto", "on", "off"]) -> None:
        self._app = app
        self._mode = mode
        self._task: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answered = asyncio.Event()  # startup, then shutdown, was answered, or the application ended
        self._asked = False  # the application has called receive
        self._failure: str | None = None
        self._namespace: dict[str, Any] = {}
        self.started = False

    @property
    def state(self) -> dict[str, Any] | None:
        """What requests get a shallow copy of; None where the application has no lifespan."""
        return self._namespace if self.started else None

    async def startup(self) -> None:
        """Run the startup; raises StartupFailed if the application wants it, or lacks what "on" demands."""
        if self._mode == "off":
            return
        self._events.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.create_task(self._run(), name="lifespan")
        try:
            await self._answered.wait()
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        if self._failure is not None:
            raise StartupFailed(f"the application failed to start: {self._failure or 'it gives no reason'}")
        if not self.started and self._mode == "on":
            raise StartupFailed("the application has no lifespan, and lifespan is 'on'")

    async def shutdown(self, timeout: float) -> None:
        """Run the shutdown if the startup was completed; cancel it after `timeout` seconds (0: never)."""
        if not self.started or self._task is None or self._task.done():
            return
        self._answered.clear()
        self._events.put_nowait({"type": "lifespan.shutdown"})
        try:
            await asyncio.wait_for(self._answered.wait(), timeout or None)
        except TimeoutError:
            logger.error("the application's shutdown took longer than %g s (shutdown_timeout)", timeout)
            self._task.cancel()
        if self._failure is not None:
            logger.error("the application failed to shut down: %s", self._failure or "it gives no reason")

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._namespace,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self._log(error)
        finally:
            self._answered.set()

    def _log(self, error: BaseException) -> None:
        if self._failure is not None:
            return  # it has told why by an event; Starlette raises the reason once more
        if self.started:
            logger.error("the application raised in its lifespan", exc_info=error)
        elif self._asked:
            logger.warning(
                "the application raised during its startup; serving without lifespan", exc_info=error
            )
        else:
            logger.info("the application has no lifespan")

    async def _receive(self) -> Message:
        self._asked = True
        return await self._events.get()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete" and not self._answered.is_set():
            self.started = True
        elif kind == ("lifespan.shutdown.failed" if self.started else "lifespan.startup.failed"):
            self._failure = str(message.get("message", ""))
        elif kind != "lifespan.shutdown.complete" or not self.started:
            raise RuntimeError(f"{kind!r} is not an event that the lifespan expects now")
        self._answered.set()
