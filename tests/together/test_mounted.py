"""What is mounted in an application of asgiweb keeps the contracts as it does alone."""

from __future__ import annotations

import pytest

pytest.importorskip("starlette")

from tests.together.contract import CONTRACT, Point
from tests.together.deviations import hold
from tests.together.framework_websockets import FRAMEWORK_WEBSOCKETS
from tests.together.servers import Server


@pytest.mark.parametrize("point", CONTRACT, ids=lambda point: point.__name__)
@pytest.mark.parametrize("pairing", ["asgiserve/mounted"], indirect=True)
def test_starlette_mounted_in_asgiweb(server: Server, point: Point) -> None:
    hold(server, point, peer="starlette")


@pytest.mark.parametrize("point", FRAMEWORK_WEBSOCKETS, ids=lambda point: point.__name__)
@pytest.mark.parametrize("pairing", ["asgiserve/mounted_websockets"], indirect=True)
def test_its_websockets_too(server: Server, point: Point) -> None:
    hold(server, point, peer="starlette")
