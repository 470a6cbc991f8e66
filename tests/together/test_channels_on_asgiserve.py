"""What Django Channels adds to websockets, on asgiserve: groups, consumers in threads, a check of origins."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import InvalidStatus

from tests.together.contract import shown
from tests.together.servers import Server
from tests.together.websocket_contract import closed, opened, received

pytestmark = pytest.mark.parametrize(
    "pairing", ["asgiserve/channels_websockets"], indirect=True, ids=["asgiserve"]
)


def test_a_group_hears_what_one_says(server: Server) -> None:
    with opened(server, "/members/kitchen") as ada, opened(server, "/members/cellar") as eve:
        assert received(ada) == "somebody comes"
        assert received(eve) == "somebody comes"
        with opened(server, "/members/kitchen") as bob:
            assert [received(ada), received(bob)] == ["somebody comes"] * 2
            for number in range(20):
                bob.send(f"{number}")
            expected = [f"{number}" for number in range(20)]
            assert [received(ada) for _ in expected] == expected
            assert [received(bob) for _ in expected] == expected
            bob.close(4002)
        assert received(ada) == "somebody leaves with 4002"
        eve.send("nobody else is here")
        assert received(eve) == "nobody else is here"


def test_a_view_speaks_to_a_group(server: Server) -> None:
    with opened(server, "/members/hall") as ada, server.client() as http:
        assert received(ada) == "somebody comes"
        response = http.post("/announce/hall", content="dinner is ready")
        assert response.status_code == 204, shown(response)
        assert received(ada) == "dinner is ready"


def test_consumers_in_threads(server: Server) -> None:
    with opened(server, "/calculator") as ada, opened(server, "/calculator") as bob:
        ada.send("[1, 2, 3]")
        assert json.loads(received(ada)) == json.loads(received(bob)) == {"sum": 6}
        bob.send('"enough"')
        assert closed(bob) == (4003, "as you wish")


def test_a_consumer_in_a_thread_raises(server: Server) -> None:
    with opened(server, "/calculator") as client:
        client.send("no JSON")
        assert closed(client) == (1011, "")


def test_origins(server: Server) -> None:
    with opened(server, "/same-origin", origin=f"http://127.0.0.1:{server.port}") as client:
        client.send("from here")
        assert received(client) == "from here"
    with (
        pytest.raises(InvalidStatus) as caught,
        opened(server, "/same-origin", origin="https://elsewhere.example"),
    ):
        pass
    assert caught.value.response.status_code == 403
