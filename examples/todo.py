"""A list of things to do, with its news as a stream; test_todo.py shows how such a program is tested.

asgiserve examples.todo:app
curl -d 'Water the plants' http://127.0.0.1:8000/items
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asgiweb import Application, Broadcast, HTTPBadRequest, HTTPNotFound, Request, Response, json_response


class Todo:
    """The state: what is to do, and who wants to know."""

    def __init__(self) -> None:
        self.items: dict[int, str] = {}
        self.news = Broadcast[str]()


@asynccontextmanager
async def lifespan(app: Application[Todo]) -> AsyncIterator[Todo]:
    todo = Todo()
    async with todo.news:
        yield todo


app = Application(lifespan=lifespan)


@app.get("/items")
async def list_items(request: Request[Todo]) -> Response:
    return json_response(request.state.items)


@app.post("/items")
async def add_item(request: Request[Todo]) -> Response:
    text = await request.text()
    if not text.strip():
        raise HTTPBadRequest("say what is to be done")
    todo = request.state
    number = max(todo.items, default=0) + 1
    todo.items[number] = text
    await todo.news.publish("items", f"new: {text}")
    location = str(request.url_for("item", number=number))
    return json_response({"number": number}, 201, headers={"location": location})


@app.delete("/items/{number:int}", name="item")
async def finish_item(request: Request[Todo], number: int) -> Response:
    todo = request.state
    if number not in todo.items:
        raise HTTPNotFound(f"there is no item {number}")
    await todo.news.publish("items", f"done: {todo.items.pop(number)}")
    return Response(status=204)


@app.get("/news")
async def news(request: Request[Todo]) -> Response:
    async def lines() -> AsyncIterator[str]:
        async with request.state.news.subscribe("items") as messages:
            yield "listening\n"
            async for message in messages:
                yield f"{message}\n"

    return Response(lines(), content_type="text/plain; charset=utf-8")
