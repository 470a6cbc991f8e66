"""asgiweb's features keep their contract on every server, as far as the server does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("starlette")

from tests.together.contract import Point
from tests.together.deviations import hold
from tests.together.feature_contract import FEATURE_CONTRACT, ROOT_PATH
from tests.together.servers import Server

#: What each of the servers calls the root path.
OPTIONS = {
    "asgiserve": "--root-path",
    "uvicorn": "--root-path",
    "hypercorn": "--root-path",
    "granian": "--url-path-prefix",
    "daphne": "--root-path",
}


@pytest.fixture(scope="module")
def pairing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that is told its root path."""
    name = request.param
    server = Server(name, "asgiweb_features", tmp_path_factory.mktemp(name), OPTIONS[name], ROOT_PATH)
    yield server
    server.stop()


@pytest.mark.parametrize("point", FEATURE_CONTRACT, ids=lambda point: point.__name__)
@pytest.mark.parametrize("pairing", OPTIONS, indirect=True)
def test_features_on(server: Server, point: Point) -> None:
    hold(server, point, peer=server.name)
