"""The application in asgiweb."""

from __future__ import annotations

from asgiweb import Application, Handler, Request, Response, json_response

from .content import HELLO, Item, user


async def hello(request: Request) -> Response:
    """Answer with text."""
    return Response(HELLO)


async def show_user(request: Request, id: int) -> Response:
    """Answer with JSON."""
    return json_response(user(id))


async def create_item(request: Request) -> Response:
    """Validate JSON, and send it back."""
    return json_response(await request.json(Item))


async def pass_through(request: Request, handler: Handler) -> Response:
    """Do nothing but hand on."""
    return await handler(request)


def application(middlewares: int = 0) -> Application:
    """Make the application."""
    app: Application = Application(middlewares=[pass_through] * middlewares)
    app.router.add_get("/", hello)
    app.router.add_get("/users/{id:int}", show_user)
    app.router.add_post("/items", create_item)
    return app


app = application()
