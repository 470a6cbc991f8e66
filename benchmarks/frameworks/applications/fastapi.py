"""The application in FastAPI."""

from typing import Any

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from starlette.middleware import Middleware

from .content import HELLO, User, user
from .raw import PassThrough


class Item(BaseModel):
    """What ``POST /items`` takes."""

    name: str
    price: float
    tags: list[str]


async def hello() -> Any:
    """Answer with text."""
    return HELLO


async def show_user(id: int) -> User:
    """Answer with JSON."""
    return user(id)


async def create_item(item: Item) -> Item:
    """Validate JSON, and send it back."""
    return item


def application(middlewares: int = 0) -> FastAPI:
    """Make the application."""
    app = FastAPI(middleware=[Middleware(PassThrough)] * middlewares)
    app.get("/", response_class=PlainTextResponse)(hello)
    app.get("/users/{id}")(show_user)
    app.post("/items")(create_item)
    return app


app = application()
