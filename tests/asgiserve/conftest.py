"""Fixtures: `serve` starts a server, once for each parser on each event loop."""

from __future__ import annotations

import pytest

from tests.asgiserve.serving import Serve, serve_on

COMBINATIONS = [("httptools", "uvloop"), ("httptools", "asyncio"), ("h11", "uvloop"), ("h11", "asyncio")]


@pytest.fixture(params=COMBINATIONS, ids="-".join)
def serve(request: pytest.FixtureRequest) -> Serve:
    """Start a server for an application, with settings: ``with serve(app, request_timeout=1) as server``."""
    return serve_on(*request.param)


@pytest.fixture(params=[COMBINATIONS[0], COMBINATIONS[-1]], ids="-".join)
def serve_twice(request: pytest.FixtureRequest) -> Serve:
    """Like `serve`, for tests that take their time: each parser and each event loop once."""
    return serve_on(*request.param)
