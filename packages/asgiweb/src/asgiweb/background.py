"""Background work: tasks that belong to the application, and not to the request that has started them.

They are not cancelled when a request ends, hold no connection open, and know nothing of each other: what
fails is logged, and the others go on. When the application stops they may come to their end, for
``background_timeout``; what is left then is cancelled, by name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, MutableSequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

logger = logging.getLogger("asgiweb")

P = ParamSpec("P")
Result = TypeVar("Result")

#: Seconds for work that was cancelled to clean up.
CANCEL_GRACE: Final = 1.0


class Work(NamedTuple):
    """A call that waits for its response to be sent, with the context variables of when it was added."""

    function: Callable[..., Coroutine[Any, Any, Any]]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    context: Context


def work_of(
    function: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Work:
    """Take note of a call, for later."""
    return Work(function, args, kwargs, copy_context())


class Background:
    """The tasks of one application, in all of its event loops."""

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._tasks: set[asyncio.Task[Any]] = set()
        # Those of them that went on after they were cancelled: nobody waits for them again.
        self._given_up: set[asyncio.Task[Any]] = set()
        self._faults: dict[asyncio.AbstractEventLoop, MutableSequence[Exception]] = {}

    def start(
        self, function: Callable[P, Coroutine[Any, Any, Result]], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Task[Result]:
        """Call a function in a task of its own, in the current context variables."""
        return self._start(Work(function, args, kwargs, copy_context()))

    def start_all(self, works: Iterable[Work]) -> None:
        """Start what has waited for its response."""
        for work in works:
            self._start(work)

    def _start(self, work: Work) -> asyncio.Task[Any]:
        loop = asyncio.get_running_loop()
        task = loop.create_task(_call(work), name=_name_of(work.function), context=work.context)
        # The event loop holds tasks only weakly.
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._given_up.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            logger.error("background work %s failed", task.get_name(), exc_info=error)
            if isinstance(error, Exception):
                self._faults.get(task.get_loop(), []).append(error)

    @contextmanager
    def reporting_to(self, faults: MutableSequence[Exception] | None) -> Iterator[None]:
        """Let a test client have what fails in this event loop, if there is one."""
        loop = asyncio.get_running_loop()
        if faults is not None:
            self._faults[loop] = faults
        try:
            yield
        finally:
            self._faults.pop(loop, None)

    async def drain(self) -> None:
        """Wait for the work in this event loop, and for what it starts; cancel it at the deadline."""
        loop = asyncio.get_running_loop()
        deadline = None if self._timeout is None else loop.time() + self._timeout
        while tasks := self._running():
            if deadline is not None and loop.time() >= deadline:
                await self._cancel(tasks)
                return
            remaining = None if deadline is None else max(0.0, deadline - loop.time())
            await asyncio.wait(tasks, timeout=remaining)

    async def _cancel(self, tasks: set[asyncio.Task[Any]]) -> None:
        logger.warning(
            "background work that has not ended in %g s is cancelled: %s", self._timeout, _names(tasks)
        )
        for task in tasks:
            task.cancel("the application stops")
        _, pending = await asyncio.wait(tasks, timeout=CANCEL_GRACE)
        self._given_up |= pending
        if pending:
            logger.error("background work does not end although it is cancelled: %s", _names(pending))

    def _running(self) -> set[asyncio.Task[Any]]:
        loop = asyncio.get_running_loop()
        # The set is copied first, in one step: other threads have event loops, too. What has just ended is
        # among them until its failure is logged.
        tasks = set(self._tasks) - self._given_up
        return {task for task in tasks if task.get_loop() is loop}


async def _call(work: Work) -> Any:
    coroutine = work.function(*work.args, **work.kwargs)
    if not asyncio.iscoroutine(coroutine):
        raise TypeError(
            f"background work is an async function, and {_name_of(work.function)} is none: give what blocks "
            f"to a thread, by background(asyncio.to_thread, function, ...)"
        )
    return await coroutine


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", function))


def _names(tasks: set[asyncio.Task[Any]]) -> str:
    return ", ".join(sorted(task.get_name() for task in tasks))
