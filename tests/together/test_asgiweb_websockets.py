"""asgiweb's websockets keep the contract on every server, as far as the server does."""

from __future__ import annotations

import pytest

from tests.together.contract import Point
from tests.together.deviations import hold
from tests.together.servers import Server
from tests.together.websocket_contract import WEBSOCKET_CONTRACT

SERVERS = ["asgiserve", "uvicorn", "hypercorn", "granian", "daphne"]
PAIRINGS = [f"{name}/asgiweb_websockets" for name in SERVERS]


@pytest.mark.parametrize("point", WEBSOCKET_CONTRACT, ids=lambda point: point.__name__)
@pytest.mark.parametrize("pairing", PAIRINGS, indirect=True, ids=SERVERS)
def test_websockets_on(server: Server, point: Point) -> None:
    hold(server, point, peer=server.name)
