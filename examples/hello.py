"""Text, JSON, a typed path parameter, a stream and a page: what `make serve` runs.

asgiserve examples.hello:app
curl http://127.0.0.1:8000/
"""

import asyncio
from collections.abc import AsyncIterator

from asgiweb import Application, HTTPNotFound, Request, Response, html_response, json_response

app: Application[None] = Application()

SQUARES = {number: number**2 for number in range(1, 1001)}

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hello from asgiweb</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; }
  code { background: #8883; border-radius: .2rem; padding: .1rem .3rem; }
</style>
<h1>It works</h1>
<p>An <b>asgiweb</b> application, served by <b>asgiserve</b>. Its routes:
<ul>
  <li><a href="/">/</a>: text
  <li><a href="/json">/json</a>: JSON
  <li><a href="/squares/12">/squares/{number:int}</a>: a typed path parameter;
      <a href="/squares/twelve">not a number</a>, <a href="/squares/2000">not known</a>
  <li><a href="/countdown">/countdown</a>: a stream, one line a second
</ul>
<p>The source is <code>examples/hello.py</code>.
"""


@app.get("/")
async def hello(request: Request[None]) -> Response:
    return Response("Hello, world!\n")


@app.get("/json")
async def hello_json(request: Request[None]) -> Response:
    return json_response({"hello": "world"})


@app.get("/squares/{number:int}")
async def square(request: Request[None], number: int) -> Response:
    if number not in SQUARES:
        raise HTTPNotFound(f"no square of {number} is known here")
    return json_response({"number": number, "square": SQUARES[number]})


@app.get("/countdown")
async def countdown(request: Request[None]) -> Response:
    async def lines() -> AsyncIterator[str]:
        for number in (3, 2, 1):
            yield f"{number}\n"
            await asyncio.sleep(1)
        yield "Lift-off!\n"

    return Response(lines(), content_type="text/plain; charset=utf-8")


@app.get("/page")
async def page(request: Request[None]) -> Response:
    return html_response(PAGE)
