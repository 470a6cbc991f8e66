"""Noticing that the server stops, early enough for what would never end by itself.

ASGI tells an application to shut down after its last connection has ended, and an endless stream holds its
connection until the server cuts it. So the signals that stop servers are heard here as well: as long as an
application runs, a handler of its own is in front of the server's, and calls it. A signal that nobody handles
keeps its default, and whoever sets a handler later is left alone.

Where signals cannot be heard, as in an event loop outside of the main thread, the lifespan's shutdown is what
remains, and what the server tells each connection.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, TypeAlias

_SIGNALS: Final = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)

_SignalHandler: TypeAlias = Callable[[int, FrameType | None], Any]


class ShuttingDown:
    """Whether an application has been told to stop: ``await app.shutting_down.wait()``, or ask ``is_set()``.

    Each event loop has its own answer. In a thread that runs none, it is yes as soon as one of them says so.
    """

    __slots__ = ("_loops",)

    def __init__(self) -> None:
        self._loops: dict[asyncio.AbstractEventLoop, LoopShutdown] = {}

    def is_set(self) -> bool:
        """Whether it has begun."""
        try:
            running = self._loops.get(asyncio.get_running_loop())
        except RuntimeError:
            return any(running.event.is_set() for running in tuple(self._loops.values()))
        return running is not None and running.event.is_set()

    __bool__ = is_set

    async def wait(self) -> None:
        """Wait until it begins; for ever where the server runs no lifespan."""
        running = self._loops.get(asyncio.get_running_loop())
        await (asyncio.Event() if running is None else running.event).wait()

    def set(self) -> None:
        """Say that it begins, in all event loops and from any thread.

        For programs that stop their server in another way than by a signal.
        """
        for running in tuple(self._loops.values()):
            running.set_from_anywhere()

    @contextmanager
    def following(self, outer: LoopShutdown | None = None) -> Iterator[LoopShutdown]:
        """Have an answer for this event loop, from before the application starts until it has ended.

        What is mounted stops with the ``outer`` one.
        """
        loop = asyncio.get_running_loop()
        # Tests start an application twice, one run inside of the other.
        around = self._loops.get(loop)
        here = self._loops[loop] = LoopShutdown(loop)
        inner = [] if outer is None else outer.inner
        inner.append(here)
        _running.append(here)
        try:
            yield here
        finally:
            here.event.set()
            _running.remove(here)
            inner.remove(here)
            if self._loops.get(loop) is here:
                del self._loops[loop]
                if around in _running:
                    self._loops[loop] = around


class LoopShutdown:
    """The shutdown of one application in one event loop."""

    __slots__ = ("event", "inner", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.event = asyncio.Event()
        #: Those of mounted applications.
        self.inner: list[LoopShutdown] = []

    def begin(self) -> None:
        """Set the event, and those of what is mounted."""
        self.event.set()
        for mounted in self.inner:
            mounted.begin()

    def set_from_anywhere(self) -> None:
        """Let it begin, from a thread or a signal handler too."""
        try:
            self.loop.call_soon_threadsafe(self.begin)
        except RuntimeError:
            # The loop is closed: nobody waits in it.
            pass


#: All that run in this process, whatever their event loop.
_running: list[LoopShutdown] = []


async def wait_in_loop() -> None:
    """Wait until all applications in the running event loop are to stop; for ever if there is none."""
    loop = asyncio.get_running_loop()
    here = [running for running in _running if running.loop is loop]
    for running in here:
        await running.event.wait()
    if not here:
        await loop.create_future()


@contextmanager
def hearing_signals() -> Iterator[None]:
    """Begin the shutdown of all applications when a signal comes that stops the server."""
    handlers = [_Chained(number) for number in _SIGNALS if _can_be_heard(number)]
    try:
        yield
    finally:
        for handler in reversed(handlers):
            handler.remove()


def _can_be_heard(number: signal.Signals) -> bool:
    # Only the main thread may set handlers. In front of the defaults nothing would be gained: they end the
    # process, and not the server.
    return threading.current_thread() is threading.main_thread() and signal.getsignal(number) not in (
        None,
        signal.SIG_DFL,
        signal.SIG_IGN,
        signal.default_int_handler,
    )


class _Chained:
    """The handler of a signal that calls the one that was there.

    Event loops hear signals by a file descriptor that Python writes to whichever handler is set, so a
    server's ``loop.add_signal_handler`` works on.
    """

    __slots__ = ("_active", "_number", "_own", "_previous")

    def __init__(self, number: signal.Signals) -> None:
        self._number = number
        self._active = True
        # Each access makes another bound method, and this one is looked for by identity.
        self._own: _SignalHandler = self._on_signal
        self._previous: Any = signal.signal(number, self._own)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._active:
            for running in tuple(_running):
                running.set_from_anywhere()
        self._previous(number, frame)

    def remove(self) -> None:
        """Put the previous handler back, unless somebody has set another: then stay, as a step to that."""
        self._active = False
        if signal.getsignal(self._number) is not self._own:
            return
        previous = self._previous
        while isinstance(link := getattr(previous, "__self__", None), _Chained) and not link._active:
            previous = link._previous
        signal.signal(self._number, previous)
