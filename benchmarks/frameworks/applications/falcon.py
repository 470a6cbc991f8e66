"""The application in Falcon; JSON goes through msgspec, as its documentation proposes."""

from __future__ import annotations

import falcon
import msgspec
from falcon.asgi import App, Request, Response
from falcon.media import JSONHandler

from .content import HELLO, item_from, user


class Hello:
    """Text."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Answer with text."""
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = HELLO


class Users:
    """JSON."""

    async def on_get(self, req: Request, resp: Response, id: int) -> None:
        """Answer with JSON."""
        resp.media = user(id)


class Items:
    """JSON that is validated."""

    async def on_post(self, req: Request, resp: Response) -> None:
        """Validate JSON, and send it back."""
        resp.media = item_from(await req.stream.read())


class PassThrough:
    """The middleware that does the least."""

    async def process_request(self, req: Request, resp: Response) -> None:
        """Do nothing."""


def application(middlewares: int = 0) -> App:
    """Make the application."""
    app = App(middleware=[PassThrough() for _ in range(middlewares)])
    handler = JSONHandler(dumps=msgspec.json.encode, loads=msgspec.json.decode)
    app.req_options.media_handlers["application/json"] = handler
    app.resp_options.media_handlers["application/json"] = handler
    app.add_route("/", Hello())
    app.add_route("/users/{id:int}", Users())
    app.add_route("/items", Items())
    return app


app = application()
