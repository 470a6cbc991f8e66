"""The lifespan of a mounted application, which its parent runs as a server would: in a task of its own.

One that does not know the protocol raises or returns without an answer: it has no lifespan, and that is fine.
One that says that it cannot start keeps the whole from starting. One that receives on, after its last event,
is cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Any

from ..asgi import FAULTS, SHUTDOWN, ASGIApplication, Message, Scope

logger = logging.getLogger("asgiweb")


class MountedLifespan:
    """``async with`` starts an application, and stops it. RuntimeError if it says that it cannot."""

    def __init__(self, app: ASGIApplication, prefix: str, parent: Scope) -> None:
        self._app = app
        self._prefix = prefix
        #: What it has put into its state.
        self.state: dict[str, Any] = {}
        self._scope: Scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        for key in (FAULTS, SHUTDOWN):
            if key in parent:
                self._scope[key] = parent[key]
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        # What the application has done: looked at an event, answered one, started.
        self._told = self._answered = self._started = False
        # Nothing comes any more: it will not start, or has stopped.
        self._over = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._run())
        self._started = await self._phase("startup", self._task)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._task
        if task is None or task.done():
            return
        if kind is not None and not issubclass(kind, Exception):
            # The server has given up: there is no time for a shutdown.
            task.cancel()
            await asyncio.wait([task])
            return
        if self._started:
            await self._phase("shutdown", task)

    async def _phase(self, name: str, task: asyncio.Task[None]) -> bool:
        """Tell the application what comes, and wait for its answer; False if it has none."""
        self._to_app.put_nowait({"type": f"lifespan.{name}"})
        try:
            message = await self._from_app.get()
            if name == "shutdown" or message["type"] != "lifespan.startup.complete":
                await asyncio.wait([task])
        except BaseException:
            task.cancel()
            await asyncio.wait([task])
            raise
        if message["type"] == f"lifespan.{name}.failed":
            reason = message.get("message") or "it does not say why"
            raise RuntimeError(f"the {name} of what is mounted at {self._prefix or '/'!r} failed: {reason}")
        return bool(message["type"] == f"lifespan.{name}.complete")

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        except Exception as error:
            place = self._prefix or "/"
            if self._answered:
                # What it says itself is raised by _phase().
                if not self._over:
                    logger.error("the lifespan of what is mounted at %r failed", place, exc_info=error)
            elif self._told:
                # To raise without a look at the event is the way to say that there is no lifespan.
                message = "what is mounted at %r raised in its lifespan, and goes on without one"
                logger.warning(message, place, exc_info=error)
        finally:
            self._from_app.put_nowait({"type": "lifespan.ended"})

    async def _receive(self) -> Message:
        self._told = True
        if self._over and self._task is not None:
            # Some receive in a loop without an end.
            self._task.cancel()
        return await self._to_app.get()

    async def _send(self, message: Message) -> None:
        self._answered = True
        self._over = message["type"] != "lifespan.startup.complete"
        self._from_app.put_nowait(message)
