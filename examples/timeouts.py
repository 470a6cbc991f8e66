"""What a server does about those who take too long: handlers that do, and clients that do.

Serve it with short timeouts, and let the clients run against it:

    asgiserve examples.timeouts:app --request-timeout 3 --response-timeout 3 --keep-alive-timeout 3
    python -m examples.timeouts

Each client prints when and how its connection was ended.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from asgiweb import Application, Request, Response

app: Application[None] = Application()


@app.get("/slow")
async def slow(request: Request[None]) -> Response:
    """Answer late, but in time."""
    await asyncio.sleep(1)
    return Response("slow, but here\n")


@app.get("/stream")
async def stream(request: Request[None]) -> Response:
    """Go on for longer than the response timeout: a response that has begun is not cut."""

    async def pieces() -> AsyncIterator[str]:
        for number in range(6):
            yield f"piece {number}\n"
            await asyncio.sleep(1)

    return Response(pieces(), content_type="text/plain; charset=utf-8")


@app.get("/stuck")
async def stuck(request: Request[None]) -> Response:
    """Never answer: the server answers 503 and cancels this handler."""
    await asyncio.Event().wait()
    return Response("never sent\n")


@app.post("/upload")
async def upload(request: Request[None]) -> Response:
    return Response(f"{len(await request.body())} bytes\n")


Writer = asyncio.StreamWriter
Client = Callable[[Writer], Awaitable[None]]


async def idle(writer: Writer) -> None:
    """Connect, and send nothing."""


async def keep_alive(writer: Writer) -> None:
    """Send one request, and then nothing."""
    writer.write(b"GET /slow HTTP/1.1\r\nHost: example\r\n\r\n")


async def drip_header(writer: Writer) -> None:
    """Send a header a line at a time, for ever."""
    writer.write(b"GET /slow HTTP/1.1\r\nHost: example\r\n")
    while True:
        await asyncio.sleep(0.5)
        writer.write(b"X-Drip: drop\r\n")


async def stall_body(writer: Writer) -> None:
    """Promise a body, and send half of it."""
    writer.write(b"POST /upload HTTP/1.1\r\nHost: example\r\nContent-Length: 10\r\n\r\nhello")


async def wait_for_stuck(writer: Writer) -> None:
    """Ask the handler that never answers."""
    writer.write(b"GET /stuck HTTP/1.1\r\nHost: example\r\n\r\n")


async def watch(name: str, client: Client, host: str, port: int) -> None:
    """Run one client until the server ends its connection, and print when and how that was."""
    reader, writer = await asyncio.open_connection(host, port)
    started = time.monotonic()
    sending = asyncio.ensure_future(client(writer))
    try:
        answer = await reader.read()
    except ConnectionResetError:
        answer = b""
    sending.cancel()
    await asyncio.wait([sending])
    writer.close()
    lines = [line.decode() for line in answer.splitlines() if line.startswith(b"HTTP/")]
    print(f"{name:15} ended after {time.monotonic() - started:4.1f} s: {', '.join(lines) or 'silently'}")


async def main(host: str, port: int) -> None:
    clients = [idle, keep_alive, drip_header, stall_body, wait_for_stuck]
    await asyncio.gather(*(watch(client.__name__, client, host, port) for client in clients))


if __name__ == "__main__":
    asyncio.run(main("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000))
