"""asgiweb keeps the contract on every other server, as far as the server does."""

from __future__ import annotations

import pytest

from tests.together.contract import CONTRACT, Point
from tests.together.deviations import hold
from tests.together.servers import Server

SERVERS = ["uvicorn", "hypercorn", "granian", "daphne"]
PAIRINGS = [f"{name}/asgiweb" for name in SERVERS]


@pytest.mark.parametrize("point", CONTRACT, ids=lambda point: point.__name__)
@pytest.mark.parametrize("pairing", PAIRINGS, indirect=True, ids=SERVERS)
def test_asgiweb_on(server: Server, point: Point) -> None:
    hold(server, point, peer=server.name)
