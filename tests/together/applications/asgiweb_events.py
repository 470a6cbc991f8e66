"""Streams of events that would never end, and work beside them; in asgiweb."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

from asgiweb import Application, Request, Response, WebSocket
from asgiweb.sse import Event, event_response, last_event_id

app = Application()


def note(text: str) -> None:
    """Write down what has happened, for the test."""
    with open(os.environ["CONTRACT_SHUTDOWN_FILE"], "a") as file:
        file.write(text + "\n")


async def numbers(first: int) -> AsyncIterator[Event]:
    try:
        yield Event(first, id=first)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        note("stream ended")


@app.get("/events")
async def events(request: Request) -> Response:
    return event_response(numbers(int(last_event_id(request) or 0) + 1), keep_alive=None)


@app.get("/work")
async def work(request: Request) -> Response:
    app.background(until_shutdown)
    return Response("begun")


async def until_shutdown() -> None:
    await app.shutting_down.wait()
    await asyncio.sleep(0)
    note("work ended")


@app.websocket("/ws")
async def conversation(ws: WebSocket) -> None:
    async with ws:
        closing = asyncio.create_task(close_at_shutdown(ws))
        await ws.send_text("hello")
        async for _ in ws:
            pass
        closing.cancel()
    note(f"websocket ended {ws.close_code}")


async def close_at_shutdown(ws: WebSocket) -> None:
    """Do what other servers do by themselves."""
    await app.shutting_down.wait()
    await ws.close(1012)


@app.on_shutdown.append
def end(app: Application) -> None:
    note("shutdown")
