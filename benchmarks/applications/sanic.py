"""The application for sanic's own server."""

from sanic import HTTPResponse, Request, Sanic
from sanic.response import file as file_response
from sanic.response import raw, text

from .content import CHUNK, CHUNKS, FILE, HELLO, LARGE
from .native import arguments


async def hello(request: Request, path: str = "") -> HTTPResponse:
    """Answer with 13 bytes."""
    return text(HELLO.decode())


async def echo(request: Request) -> HTTPResponse:
    """Answer with the request's body."""
    return raw(request.body)


async def count(request: Request) -> HTTPResponse:
    """Answer with the length of the request's body."""
    return text(str(len(request.body)))


async def large(request: Request) -> HTTPResponse:
    """Answer with 1 MiB."""
    return raw(LARGE)


async def chunks(request: Request) -> None:
    """Stream 100 chunks of 1 KiB, with no length announced."""
    response = await request.respond(content_type="text/plain")
    for _ in range(CHUNKS):
        await response.send(CHUNK)
    await response.eof()


async def file(request: Request) -> HTTPResponse:
    """Answer with a file."""
    return await file_response(FILE)


if __name__ == "__main__":
    asked = arguments()
    app = Sanic("benchmark")
    app.add_route(hello, "/")
    app.add_route(hello, "/<path:path>", name="any")
    app.add_route(echo, "/echo", methods=["POST"])
    app.add_route(count, "/count", methods=["POST"])
    app.add_route(large, "/large")
    app.add_route(chunks, "/chunks")
    app.add_route(file, "/file")
    app.config.USE_UVLOOP = asked.loop == "uvloop"
    app.run("127.0.0.1", asked.port, access_log=asked.access_log, single_process=True, motd=False)
