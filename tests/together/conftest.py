"""Fixtures: one server process for each pairing, and what it has written beside a failure."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

pytest.register_assert_rewrite(
    "tests.together.contract",
    "tests.together.feature_contract",
    "tests.together.websocket_contract",
    "tests.together.framework_websockets",
    "tests.together.deviations",
)

from tests.together.servers import Server  # noqa: E402 (the assertions of what is imported are rewritten)


@pytest.fixture(scope="module")
def pairing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server and a framework, given as ``"server/framework"``."""
    name, framework = request.param.split("/")
    server = Server(name, framework, tmp_path_factory.mktemp(f"{name}-{framework}"))
    yield server
    server.stop()


@pytest.fixture
def server(pairing: Server) -> Server:
    """The pairing's server, which runs: tests share its process, and one that has stopped it starts anew."""
    pairing.start()
    return pairing


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the server has written when a test fails."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(server, Server):
        report.sections.append((f"Output of {server.name}", server.output))
    return report
