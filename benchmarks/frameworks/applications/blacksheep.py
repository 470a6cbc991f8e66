"""The application in BlackSheep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from blacksheep import Application, FromJSON, Request, Response, Router, json, text

from .content import HELLO, user


@dataclass
class Item:
    """What ``POST /items`` takes; BlackSheep knows no Structs."""

    name: str
    price: float
    tags: list[str]


async def hello(request: Request) -> Response:
    """Answer with text."""
    return text(HELLO)


async def show_user(id: int) -> Response:
    """Answer with JSON."""
    return json(user(id))


async def create_item(item: FromJSON[Item]) -> Response:
    """Validate JSON, and send it back."""
    return json(item.value)


async def pass_through(request: Request, handler: Callable[[Request], Awaitable[Response]]) -> Response:
    """Do nothing but hand on."""
    return await handler(request)


def application(middlewares: int = 0) -> Application:
    """Make the application."""
    app = Application(router=Router())
    for _ in range(middlewares):
        app.middlewares.append(pass_through)
    app.router.add_get("/", hello)
    app.router.add_get("/users/{int:id}", show_user)
    app.router.add_post("/items", create_item)
    return app


app = application()
