"""The lifespan of an application under test, run as a server runs it: in one task, around everything else."""

from __future__ import annotations

import asyncio
from typing import Any

from ..asgi import FAULTS, ASGIApplication, Message


class RunningLifespan:
    """One startup and one shutdown, ``timeout`` seconds each; nothing where there is no lifespan."""

    def __init__(self, app: ASGIApplication, timeout: float | None, *, raise_exceptions: bool = True) -> None:
        self._app = app
        self._timeout = timeout
        self._raise_exceptions = raise_exceptions
        #: What the application has put into the state of its lifespan; each scope gets a copy.
        self.state: dict[str, Any] = {}
        self._faults: list[Exception] = []
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        # Whether it has started and not stopped; None until it answers.
        self._running: bool | None = None

    async def start(self) -> None:
        """Wait until the application has started. Raises what has kept it from that."""
        self._task = asyncio.create_task(self._run())
        try:
            if await self._phase("startup") == "lifespan.ended":
                await self._end(self._task)
        except BaseException:
            await self._cancel(self._task)
            raise

    async def stop(self) -> None:
        """Wait until the application has shut down. Raises what has gone wrong."""
        if self._task is not None and not self._task.done():
            try:
                await self._phase("shutdown")
                await self._end(self._task)
            finally:
                await self._cancel(self._task)
        if self._faults and self._raise_exceptions:
            # What it has raised since the start, its background work included.
            raise self._faults[0]

    async def _end(self, task: asyncio.Task[None]) -> None:
        """Raises what is no fault of an application, such as what pytest.fail() raises."""
        await asyncio.wait([task], timeout=self._timeout)
        if not task.done():
            raise TimeoutError(f"the application still runs {self._timeout} s after its shutdown")
        if not task.cancelled():
            task.result()

    async def _cancel(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait([task])

    async def _phase(self, name: str) -> str:
        """Return what the application has answered."""
        await self._to_app.put({"type": f"lifespan.{name}"})
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._from_app.get()
        except TimeoutError:
            raise TimeoutError(f"the application's {name} takes longer than {self._timeout} s") from None
        if message["type"] == f"lifespan.{name}.failed":
            if self._faults:
                raise self._faults[0]
            raise RuntimeError(f"the application's {name} failed: {message.get('message', '')}")
        return str(message["type"])

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
            FAULTS: self._faults,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:
            # Before an answer, it is the specification's way to say that there is no lifespan.
            if self._running:
                self._faults.append(error)
        finally:
            self._from_app.put_nowait({"type": "lifespan.ended"})

    async def _receive(self) -> Message:
        if self._running is False and self._task is not None:
            # Some receive in a loop without an end.
            self._task.cancel()
        return await self._to_app.get()

    async def _send(self, message: Message) -> None:
        self._running = message["type"] == "lifespan.startup.complete"
        self._from_app.put_nowait(message)
