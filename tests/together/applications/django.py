"""The contract's application in Django, on asynchronous views. Django has no lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.http import require_POST, require_safe

from tests.together.applications import business

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "test"])


async def hello(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"hello": "world"})


async def user(request: HttpRequest, id: int) -> HttpResponse:
    return JsonResponse({"id": id})


async def greet(request: HttpRequest, name: str) -> HttpResponse:
    return JsonResponse({"name": name})


async def upload(request: HttpRequest) -> HttpResponse:
    async def body() -> AsyncIterator[bytes]:
        # Django has received all of it before it calls a view.
        while piece := request.read(65536):
            yield piece

    return JsonResponse(await business.summary(body()))


async def stream(request: HttpRequest) -> HttpResponse:
    return StreamingHttpResponse(business.pieces(), content_type="text/plain")


async def let_continue(request: HttpRequest) -> HttpResponse:
    business.let_continue()
    return HttpResponse(status=204)


async def error(request: HttpRequest) -> HttpResponse:
    business.fail()
    return HttpResponse()


async def broken_stream(request: HttpRequest) -> HttpResponse:
    return StreamingHttpResponse(business.broken_pieces(), content_type="text/plain")


urlpatterns = [
    path("json", require_safe(hello)),
    path("users/<int:id>", require_safe(user)),
    path("greet/<name>", require_safe(greet)),
    path("upload", require_POST(upload)),
    path("stream", require_safe(stream)),
    path("stream/continue", require_POST(let_continue)),
    path("error", require_safe(error)),
    path("stream/broken", require_safe(broken_stream)),
]

app = get_asgi_application()
