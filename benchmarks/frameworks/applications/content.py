"""What all of the applications say and take, once."""

from __future__ import annotations

from typing import Any

import msgspec
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

HELLO = "Hello, world!"


class User(TypedDict):
    """What ``/users/{id:int}`` answers."""

    id: int
    name: str


def user(number: int) -> User:
    """Make the answer, a new one for each request."""
    return {"id": number, "name": "Ada Lovelace"}


class Item(msgspec.Struct):
    """What ``POST /items`` takes, and sends back, where a framework leaves the choice."""

    name: str
    price: float
    tags: list[str]


#: One of these, as it goes over the wire.
ITEM = b'{"name":"Difference engine","price":17470.5,"tags":["brass","steam"]}'


def item_from(body: bytes) -> Item:
    """Validate a body, for frameworks that have no validation of their own."""
    return msgspec.json.decode(body, type=Item)


def dumps(value: Any) -> str:
    """Encode JSON for frameworks whose own default has blanks in it."""
    return msgspec.json.encode(value).decode()
