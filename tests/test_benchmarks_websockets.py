"""The benchmarks of WebSockets: servers that answer alike, and a client that sees what is wrong."""

from __future__ import annotations

import dataclasses
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.measure import Cores, Measurement
from benchmarks.results import Outcome, ScenarioResult
from benchmarks.scenarios import FASTEST
from benchmarks.servers import Running
from benchmarks.websockets import frames, idle, in_process, report
from benchmarks.websockets.connection import Connection
from benchmarks.websockets.idle import Idle
from benchmarks.websockets.measure import measure
from benchmarks.websockets.results import WebSocketResults
from benchmarks.websockets.scenarios import SCENARIOS, Scenario
from benchmarks.websockets.servers import (
    SERVERS,
    serving,
    serving_nothing,
    what_is_missing,
    what_is_wrong,
)

#: The tools and their client; what they measure has tests of its own.
pytestmark = pytest.mark.once

#: Those which do not compress, whatever they are asked.
PLAIN = {"granian", "daphne"}

NAMED = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Running]:
    with serving(request.param) as running:
        yield running


@pytest.fixture(scope="module")
def cores() -> Cores:
    available = sorted(os.sched_getaffinity(0))
    return Cores(available[0], available[-1])


def few(name: str) -> Scenario:
    """A scenario with so few connections that a test can open them."""
    return dataclasses.replace(NAMED[name], connections=20)


def test_each_scenario_is_answered_right(server: Running) -> None:
    for scenario in SCENARIOS:
        missing = "no compression" if scenario.compressed and server.name in PLAIN else ""
        assert what_is_missing(server, scenario) == missing
        assert missing or what_is_wrong(server, scenario) == ""


def test_a_server_without_websockets_is_said_to_have_none() -> None:
    with serving("uvicorn-wsproto", arguments=["--ws", "none"]) as server:
        assert what_is_missing(server, NAMED["text"]).startswith("no WebSocket: HTTP/1.1 ")


@pytest.mark.parametrize("name", NAMED)
def test_the_client_measures_each_scenario(name: str, cores: Cores) -> None:
    with serving("asgiserve", core=cores.server) as server:
        measured = measure(few(name), server, 0.2, cores)
    assert measured.errors == ""
    assert measured.rate > 0
    assert measured.p50 is not None
    assert measured.p99 is not None
    assert 0 < measured.p50 <= measured.p99


def test_the_client_sees_wrong_answers(cores: Cores) -> None:
    with serving_nothing(NAMED["binary"], cores.server) as server:
        measured = measure(few("text"), server, 0.2, cores)
    assert measured.errors.endswith(" wrong")


def test_a_server_that_has_ended_is_not_measured(cores: Cores) -> None:
    with serving_nothing(NAMED["text"], cores.server) as server:
        pass
    with pytest.raises(RuntimeError, match="the client failed: ConnectionRefusedError"):
        measure(few("text"), server, 0.2, cores)


def test_the_client_is_faster_than_what_it_measures(cores: Cores) -> None:
    with serving_nothing(NAMED["text"], cores.server) as server:
        measured = measure(NAMED["text"], server, 0.5, cores)
    assert measured.errors == ""
    assert measured.rate / measured.client_load > 60_000


@pytest.mark.parametrize("compressed", [False, True])
def test_memory_of_idle_connections(compressed: bool, cores: Cores) -> None:
    measured = idle.measure("asgiserve", cores.server, compressed, connections=400)
    assert measured.memory is not None
    assert 0 < measured.memory < 500
    assert measured.answered == 400
    assert measured.fault == measured.missing == ""


def test_pings_are_answered() -> None:
    with serving("uvicorn-sansio", arguments=["--ws-ping-interval", "0.2"]) as server:
        connection = Connection(server.port, "/echo", compressed=False)
        with connection.socket:
            for _ in range(3):  # uvicorn sends no ping before the pong of the last one
                assert select.select([connection.socket], [], [], 60)[0]
                connection.answer_pings()
            connection.socket.sendall(NAMED["text"].sent)
            assert connection.message() == NAMED["text"].message


def test_memory_is_not_measured_where_nothing_is_compressed(cores: Cores) -> None:
    assert idle.measure("granian", cores.server, True, connections=1).missing == "no compression"


def test_in_one_process() -> None:
    row = in_process.compare("uvloop", "WebSocket echo, 64 bytes of text", rounds=2)
    assert row["microseconds"].keys() == {"asgiserve", "uvicorn", "floor"}
    assert row["microseconds"]["floor"]["median"] < row["microseconds"]["asgiserve"]["median"]


@pytest.mark.parametrize("length", [0, 125, 126, 65535])
def test_frames_are_read_as_they_were_sent(length: int) -> None:
    frame = frames.answered(b"x" * length, frames.BINARY)
    assert frames.read(b"..." + frame + b"more", 3) == (0x82, b"x" * length, len(frame) + 3)
    assert frames.read(frame[:-1]) is None


def outcome(*rates: float) -> Outcome:
    return Outcome([Measurement(rate, rate / 8, 1.0, 2.0, 1.0, 0.5, 0.0, 0.0, "") for rate in rates])


def run_made_up() -> WebSocketResults:
    """A run of five servers: one is without WebSockets."""
    outcomes = {
        "asgiserve": outcome(160, 180),
        "uvicorn-sansio": outcome(100, 100),
        "uvicorn-wsproto": outcome(80, 80),
        "granian": outcome(50, 50),
        "daphne": Outcome(missing="no compression"),
    }
    scenario = ScenarioResult("text", "Text", 32, {"uvicorn": 1.5, "granian": 4.0, "daphne": 2.0}, outcomes)
    memory = [
        Idle("asgiserve", False, 10_000, 5.25, 10_000),
        Idle("asgiserve", True, 10_000, 1234.5, 9_998),
        Idle("daphne", True, 10_000, None, 0, missing="no compression"),
    ]
    ceilings = {"text": outcome(200_000).rounds[0]}
    versions = {"CPython": "3.11.7"}
    return WebSocketResults("2026-01-01", "cpython-3.11", {}, versions, 1, [scenario], ceilings, memory)


def test_the_fastest_of_several_implementations_is_the_peer() -> None:
    assert [(target.peer, target.met) for target in run_made_up().scenarios[0].reached()] == [
        ("uvicorn-sansio", True),
        ("granian", False),
    ]


def test_results_survive_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    run = run_made_up()
    assert WebSocketResults.load(run.save()) == run
    assert [file.name for file in tmp_path.iterdir()] == ["cpython-3.11-websockets.json"]


def test_what_is_said_of_results() -> None:
    run = run_made_up()
    run.machine = {"processor": "P", "cores": "2", "memory": "1 GiB", "system": "S", "kernel": "K"}
    said = report.numbers(run)
    assert "daphne: no compression" in said
    assert "| daphne | - | none |" in report.memory(run.idle)
    assert "| **asgiserve** | 5.2 | 1,234.5 (2 of them lost) |" in report.memory(run.idle)
    assert report.limits(run) == (
        "Where nothing is served, the client reaches 200,000/s in “Text”, and takes 50% of its core for that."
    )


def test_targets_name_servers_that_take_part() -> None:
    servers = {server for server, _ in SERVERS.values()}
    assert {peer for scenario in SCENARIOS for peer in scenario.targets} <= {*servers, FASTEST}
