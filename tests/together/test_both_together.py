"""asgiweb on asgiserve keeps the contract, every point of it."""

from __future__ import annotations

import pytest

from tests.together.contract import CONTRACT, Point
from tests.together.servers import Server


@pytest.mark.parametrize("point", CONTRACT, ids=lambda point: point.__name__)
@pytest.mark.parametrize("pairing", ["asgiserve/asgiweb"], indirect=True)
def test_asgiweb_on_asgiserve(server: Server, point: Point) -> None:
    point(server)
