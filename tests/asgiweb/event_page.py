"""An application for a browser: a page that shows the events it gets, and a stream that breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from asgiweb import Application, Request, Response, html_response
from asgiweb.sse import Event, event_response, last_event_id

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Events</title><ul></ul><script>
const source = new EventSource("/events")
const show = event => {
  const item = document.createElement("li")
  item.textContent = JSON.stringify([event.type, event.lastEventId, event.data])
  document.querySelector("ul").append(item)
}
source.onmessage = show
source.addEventListener("tick", show)
</script></html>"""

app = Application()


@app.get("/")
async def page(request: Request) -> Response:
    return html_response(PAGE)


@app.get("/events")
async def events(request: Request) -> Response:
    return event_response(numbered(last_event_id(request)), retry=0.05, keep_alive=0.02)


async def numbered(last: str | None) -> AsyncIterator[Event | str]:
    """Yield three events after the last one that the browser has got; after the sixth, wait to be ended."""
    first = int(last.removeprefix("№")) + 1 if last else 1
    for number in range(first, first + 3):
        yield Event(f"line {number}\r\n  with spaces \u2028\u20ac\r", event="tick", id=f"№{number}")
    if number > 6:
        yield "end"
    if number >= 6:
        await asyncio.Event().wait()
