"""The contract's application in Falcon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from falcon import HTTP_204
from falcon.asgi import App, Request, Response

from tests.together.applications import business


class Lifespan:
    prepared = False

    async def process_startup(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        self.prepared = True

    async def process_shutdown(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        business.shut_down()

    async def on_get(self, request: Request, response: Response) -> None:
        response.media = {"prepared": self.prepared}


class Hello:
    async def on_get(self, request: Request, response: Response) -> None:
        response.media = {"hello": "world"}

    on_head = on_get


class User:
    async def on_get(self, request: Request, response: Response, id: int) -> None:
        response.media = {"id": id}


class Greeting:
    async def on_get(self, request: Request, response: Response, name: str) -> None:
        response.media = {"name": name}


class Upload:
    async def on_post(self, request: Request, response: Response) -> None:
        response.media = await business.summary(request.stream)


class Stream:
    async def on_get(self, request: Request, response: Response) -> None:
        response.content_type = "text/plain"
        response.stream = business.pieces()

    async def on_post_continue(self, request: Request, response: Response) -> None:
        business.let_continue()
        response.status = HTTP_204

    async def on_get_broken(self, request: Request, response: Response) -> None:
        response.content_type = "text/plain"
        response.stream = business.broken_pieces()


class Error:
    async def on_get(self, request: Request, response: Response) -> None:
        business.fail()


lifespan = Lifespan()
app = App(middleware=[lifespan])
app.add_route("/json", Hello())
app.add_route("/users/{id:int}", User())
app.add_route("/greet/{name}", Greeting())
app.add_route("/upload", Upload())
app.add_route("/stream", Stream())
app.add_route("/stream/continue", Stream(), suffix="continue")
app.add_route("/stream/broken", Stream(), suffix="broken")
app.add_route("/error", Error())
app.add_route("/lifespan", lifespan)
