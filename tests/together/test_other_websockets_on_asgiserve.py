"""The websockets of every other framework keep their contract on asgiserve, as far as the framework does."""

from __future__ import annotations

import pytest

from tests.together.contract import Point
from tests.together.deviations import hold
from tests.together.framework_websockets import FRAMEWORK_WEBSOCKETS
from tests.together.servers import Server

FRAMEWORKS = ["starlette", "fastapi", "channels", "quart", "litestar", "falcon", "blacksheep"]
PAIRINGS = [f"asgiserve/{name}_websockets" for name in FRAMEWORKS]


@pytest.mark.parametrize("point", FRAMEWORK_WEBSOCKETS, ids=lambda point: point.__name__)
@pytest.mark.parametrize("pairing", PAIRINGS, indirect=True, ids=FRAMEWORKS)
def test_websockets_on_asgiserve_with(server: Server, point: Point) -> None:
    hold(server, point, peer=server.framework.removesuffix("_websockets"))
