"""What type checkers have to know of the state: inferred from the lifespan, and held to that everywhere.

Nothing of it runs. Each mistake is marked as one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import assert_type

from asgiweb import Application, Request, Response
from asgiweb.asgi import Scope


@dataclass
class State:
    notes: dict[int, str]


@asynccontextmanager
async def lifespan(app: Application[State]) -> AsyncIterator[State]:
    assert_type(app.state, State)
    yield State(notes={})


@asynccontextmanager
async def yielding_nothing(app: Application[State]) -> AsyncIterator[None]:
    yield


async def not_a_context_manager(app: Application[State]) -> State:
    return State(notes={})


app = Application(lifespan=lifespan)
assert_type(app, Application[State])
assert_type(app.state, State)


def of_a_scope(scope: Scope) -> None:
    assert_type(app.state_of(scope), State)


@app.get("/")
async def handler(request: Request[State]) -> Response:
    assert_type(request.state, State)
    assert_type(request.state.notes, dict[int, str])
    print(request.state.note)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    print(request.state.notes["1"])  # type: ignore[index]  # pyright: ignore[reportArgumentType]
    return Response()


async def start(app: Application[State]) -> None:
    app.state = State(notes={1: "one"})


def stop(app: Application[State]) -> None:
    assert_type(app.state, State)


app.on_startup.append(start)
app.on_shutdown.append(stop)


async def start_another(app: Application[int]) -> None:
    app.state = 7


app.state = None  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]  # that is no State
app.on_startup.append(start_another)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

missing: Application[State] = Application(lifespan=yielding_nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Application(lifespan=not_a_context_manager)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Application(lifespan=lifespan(app))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it is called later
Application[State](State(notes={}))  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]  # lifespan=
