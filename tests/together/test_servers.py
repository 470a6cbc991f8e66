"""The way the servers are started: what goes wrong is seen at once, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.together.servers import COMMANDS, Server


@pytest.mark.parametrize("name", COMMANDS)
def test_a_server_that_does_not_start_shows_why(name: str, tmp_path: Path) -> None:
    server = Server(name, "no_such_framework", tmp_path)
    try:
        with pytest.raises(AssertionError, match="no_such_framework"):
            server.start()
    finally:
        server.stop()
