"""The application of the websocket contract in Django Channels, with groups in a channel layer in memory."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

import django
from asgiref.sync import async_to_sync
from channels.generic.websocket import AsyncWebsocketConsumer, JsonWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from tests.together.applications import business

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)
django.setup()


class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """What routes give as keyword arguments, as attributes."""

    @property
    def parameters(self) -> dict[str, Any]:
        found: dict[str, Any] = self.scope["url_route"]["kwargs"]
        return found


class Echo(Consumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data=text_data, bytes_data=bytes_data)


class Room(Consumer):
    async def connect(self) -> None:
        await self.accept()
        query = parse_qs(self.scope["query_string"].decode())
        await self.send(json.dumps([self.parameters["number"], self.parameters["name"], query["q"][0]]))
        await self.close()


class Subprotocols(Consumer):
    async def connect(self) -> None:
        offered = self.scope["subprotocols"]
        await self.accept(business.preferred(offered))
        await self.send(json.dumps(offered))


class Headers(Consumer):
    async def connect(self) -> None:
        await self.accept(headers=business.ACCEPT_HEADERS)
        await self.send(dict(self.scope["headers"])[b"x-asked"].decode())


class ClosedAtOnce(Consumer):
    async def connect(self) -> None:
        await self.close()


class Error(Consumer):
    async def connect(self) -> None:
        business.fail()


class ErrorLater(Consumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        business.fail()


class Enough(Consumer):
    async def connect(self) -> None:
        await self.accept()
        await self.send("first")
        await self.close(4001, "enough €")


class Receiving(Consumer):
    async def disconnect(self, code: int) -> None:
        business.ends[self.parameters["key"]] = (code, "")


class Ticking(Consumer):
    """A consumer that sends in a task of its own, so that it is called when the client has left."""

    async def connect(self) -> None:
        await self.accept()
        self.ticking = asyncio.create_task(self.tick())

    async def tick(self) -> None:
        with suppress(OSError):  # the server's, in the moment before `disconnect` is called
            while True:
                await self.send("tick")
                await asyncio.sleep(0.01)

    async def disconnect(self, code: int) -> None:
        self.ticking.cancel()
        await asyncio.wait([self.ticking])
        business.ends[self.parameters["key"]] = (code, "")


class BothWays(Consumer):
    async def connect(self) -> None:
        await self.accept()
        self.counting = asyncio.create_task(business.count(self.send))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(f"echo {text_data!r}")


class Member(Consumer):
    """Somebody in a room: hears what all say there, and who comes and leaves."""

    async def connect(self) -> None:
        self.room = self.parameters["room"]
        await self.accept()
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.say("somebody comes")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.say(text_data or "")

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.room, self.channel_name)
        await self.say(f"somebody leaves with {code}")

    async def say(self, text: str) -> None:
        await self.channel_layer.group_send(self.room, {"type": "spoken", "text": text})

    async def spoken(self, event: dict[str, str]) -> None:
        await self.send(event["text"])


class Calculator(JsonWebsocketConsumer):  # type: ignore[misc]
    """A consumer in a thread, for a room of its own: adds, and tells the whole room."""

    groups = ["results"]

    def receive_json(self, content: Any, **kwargs: Any) -> None:
        if content == "enough":
            self.close(4003, "as you wish")
            return
        result = {"type": "result", "sum": sum(content)}
        async_to_sync(self.channel_layer.group_send)("results", result)

    def result(self, event: dict[str, Any]) -> None:
        self.send_json({"sum": event["sum"]})


async def ending(request: HttpRequest, key: str) -> HttpResponse:
    end = business.ends.get(key)
    return JsonResponse(end, safe=False, status=200 if end else 404)


async def announce(request: HttpRequest, room: str) -> HttpResponse:
    await get_channel_layer().group_send(room, {"type": "spoken", "text": request.body.decode()})
    return HttpResponse(status=204)


urlpatterns = [path("ends/<key>", ending), path("announce/<room>", announce)]

websockets = URLRouter(
    [
        path("echo", Echo.as_asgi()),
        path("rooms/<int:number>/<name>", Room.as_asgi()),
        path("subprotocols", Subprotocols.as_asgi()),
        path("headers", Headers.as_asgi()),
        path("unauthorized", ClosedAtOnce.as_asgi()),
        path("closed", ClosedAtOnce.as_asgi()),
        path("error", Error.as_asgi()),
        path("error/later", ErrorLater.as_asgi()),
        path("enough", Enough.as_asgi()),
        path("receiving/<key>", Receiving.as_asgi()),
        path("ticking/<key>", Ticking.as_asgi()),
        path("both-ways", BothWays.as_asgi()),
        path("members/<room>", Member.as_asgi()),
        path("calculator", Calculator.as_asgi()),
        path("same-origin", AllowedHostsOriginValidator(Echo.as_asgi())),
    ]
)

app = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": websockets})
