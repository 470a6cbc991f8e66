"""Every other framework keeps the contract on asgiserve, as far as the framework does."""

from __future__ import annotations

import pytest

from tests.together.contract import CONTRACT, Point
from tests.together.deviations import hold
from tests.together.servers import Server

FRAMEWORKS = ["starlette", "fastapi", "django", "quart", "litestar", "falcon", "blacksheep"]
PAIRINGS = [f"asgiserve/{name}" for name in FRAMEWORKS]


@pytest.mark.parametrize("point", CONTRACT, ids=lambda point: point.__name__)
@pytest.mark.parametrize("pairing", PAIRINGS, indirect=True, ids=FRAMEWORKS)
def test_asgiserve_with(server: Server, point: Point) -> None:
    hold(server, point, peer=server.framework)
