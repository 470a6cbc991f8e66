"""The lifespan of an application (ASGI lifespan 2.0): what starts before the first request and stops last.

Starting: the lifespan's context manager is entered, then mounted applications are started, and then the
functions of ``on_startup`` run, each in their order. Stopping: those of ``on_shutdown`` run, the last first,
then mounted applications are stopped, and the context manager is left. All of them are tried even if one
fails. Where the start fails, what has been entered is left again, and no ``on_shutdown`` function runs: they
may rely on everything having started.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from .asgi import FAULTS, SHUTDOWN, Receive, Scope, Send
from .background import Background
from .errors import RegistrationError
from .handlers import Hook, Lifespan
from .routing.mounts import state_key
from .routing.route import MOUNT, Route
from .shutdown import hearing_signals
from .signatures import location_of
from .typevars import State

if TYPE_CHECKING:
    from .application import Application

logger = logging.getLogger("asgiweb")


def check_lifespan(lifespan: Lifespan[Any] | None) -> None:
    """RegistrationError, with file and line, for a function that lacks its decorator."""
    kinds = (inspect.isasyncgenfunction, inspect.iscoroutinefunction, inspect.isgeneratorfunction)
    if lifespan is not None and any(is_kind(lifespan) for is_kind in kinds):
        raise RegistrationError(
            f"{location_of(lifespan)}: a lifespan is 'async def' with one 'yield', and has "
            f"@asynccontextmanager (of contextlib) above it"
        )


async def run_lifespan(
    app: Application[State], background: Background, scope: Scope, receive: Receive, send: Send
) -> None:
    """Speak the protocol with the server, from its startup to its shutdown event."""
    await receive()
    phase = "startup"
    failure: Exception | None = None
    try:
        async with AsyncExitStack() as stack:
            shutdown = stack.enter_context(app.shutting_down.following(scope.get(SHUTDOWN)))
            stack.enter_context(background.reporting_to(scope.get(FAULTS)))
            # The last to end: functions of on_shutdown may start work, too.
            stack.push_async_callback(background.drain)
            await _start(app, {**scope, SHUTDOWN: shutdown}, stack)
            # The first to end: work may need all that was started.
            stack.push_async_callback(background.drain)
            # In front of the signal handlers of whatever was started.
            stack.enter_context(hearing_signals())
            phase = "shutdown"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            shutdown.begin()
    except Exception as error:
        failure = error
        logger.error("the application's %s failed", phase, exc_info=error)
        scope.get(FAULTS, []).append(error)
    if failure is None and phase == "shutdown":
        await send({"type": "lifespan.shutdown.complete"})
    else:
        message = "" if failure is None else f"{type(failure).__name__}: {failure}"
        await send({"type": f"lifespan.{phase}.failed", "message": message})


async def _start(app: Application[State], scope: Scope, stack: AsyncExitStack) -> None:
    if app.lifespan is not None:
        app.state = await stack.enter_async_context(app.lifespan(app))
    mounts = {state_key(route.handler): route for route in app.routes if route.methods == (MOUNT,)}
    if mounts:
        await _start_mounted(app, mounts, scope, stack)
    for hook in app.on_startup:
        await _call(hook, app)
    # The server gives each request a copy of this dict: with several event loops, each has its own state.
    if "state" in scope and app.has_state:
        scope["state"][app.state_key] = app.state
    for hook in app.on_shutdown:
        stack.push_async_callback(_call, hook, app)


async def _start_mounted(
    app: Application[State], mounts: Mapping[str, Route], scope: Scope, stack: AsyncExitStack
) -> None:
    """Start each mounted application once, even if it is mounted in several places."""
    from .mounted.lifespans import MountedLifespan

    for key, route in mounts.items():
        lifespan = MountedLifespan(route.handler, route.path, scope)
        await stack.enter_async_context(lifespan)
        app.mounted_states[key] = lifespan.state
        if "state" in scope:
            scope["state"][key] = lifespan.state


async def _call(hook: Hook[State], app: Application[State]) -> None:
    result = hook(app)
    if inspect.isawaitable(result):
        await result
