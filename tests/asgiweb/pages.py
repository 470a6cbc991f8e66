"""Applications for a browser: one that pages of another site ask, and one whose page has a strict policy."""

import os
from collections.abc import AsyncIterator

from asgiweb import Application, Request, Response, WebSocket, html_response
from asgiweb.files import file_response
from asgiweb.middleware import CORS, Compression, SecurityHeaders, csp_nonce

#: The site whose pages may ask; the test knows its port only when it runs.
ORIGIN = os.environ.get("PAGE_ORIGIN", "http://localhost")

asked = Application[None](middlewares=[CORS(ORIGIN, credentials=True, expose=["x-total"]), Compression()])


@asked.get("/data")
async def data(request: Request) -> Response:
    response = Response("data", headers={"x-total": "3", "x-hidden": "4"})
    response.set_cookie("name", "Ada")
    return response


@asked.put("/data")
async def put(request: Request) -> Response:
    return Response(f"put {await request.text()} of {request.cookies.get('name')}")


@asked.get("/fault")
async def fault(request: Request) -> Response:
    raise KeyError("secret")


@asked.get("/stream")
async def stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number} " * 1000

    return Response(pieces(), content_type="text/plain; charset=utf-8")


@asked.get("/file")
async def file(request: Request) -> Response:
    return await file_response(request, __file__, headers={"cache-control": "no-cache"})


@asked.websocket("/ws")
async def ws(ws: WebSocket) -> None:
    async with ws:
        await ws.send_text("hello")


careful = Application[None](middlewares=[SecurityHeaders()])


@careful.get("/")
async def page(request: Request) -> Response:
    nonce = csp_nonce(request)
    return html_response(
        f"""<!doctype html><title>page</title>
        <style nonce="{nonce}">h1 {{ color: rgb(1, 2, 3) }}</style><style>h1 {{ margin: 77px }}</style>
        <h1 onclick="window.ran.push('attribute')">page</h1>
        <script nonce="{nonce}">window.ran = ["nonce"]</script>
        <script>window.ran.push("none")</script>
        <script nonce="guessed">window.ran.push("guessed")</script>
        <script src="data:text/javascript,window.ran.push('data')"></script>"""
    )
