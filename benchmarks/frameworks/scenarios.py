"""What is asked of frameworks behind servers; asgiweb on asgiserve has to reach a ratio to the fastest pair."""

from __future__ import annotations

from typing import Final

from ..scenarios import FASTEST, Scenario, request
from .applications.content import HELLO, ITEM

#: The least that asgiweb on asgiserve has to be faster than the fastest other pair.
TARGETS: Final = {FASTEST: 1.6}

SCENARIOS: Final = (
    Scenario("text", "Text", request("GET /"), HELLO.encode(), TARGETS),
    Scenario(
        "json",
        "JSON, a parameter in the path",
        request("GET /users/42"),
        b'{"id":42,"name":"Ada Lovelace"}',
        TARGETS,
    ),
    Scenario(
        "validated",
        "POST, JSON validated and sent back",
        request("POST /items", "Content-Type: application/json", body=ITEM),
        ITEM,
        TARGETS,
    ),
)
