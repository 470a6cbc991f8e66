"""The application in Litestar."""

from litestar import Litestar, MediaType, get, post

from .content import HELLO, Item, User, user
from .raw import PassThrough


@get("/", media_type=MediaType.TEXT)
async def hello() -> str:
    """Answer with text."""
    return HELLO


@get("/users/{id:int}")
async def show_user(id: int) -> User:
    """Answer with JSON."""
    return user(id)


@post("/items", status_code=200)
async def create_item(data: Item) -> Item:
    """Validate JSON, and send it back."""
    return data


def application(middlewares: int = 0) -> Litestar:
    """Make the application; its documentation of APIs is off."""
    return Litestar(
        [hello, show_user, create_item], middleware=[PassThrough] * middlewares, openapi_config=None
    )


app = application()
