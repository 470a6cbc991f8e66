"""The benchmarks compare servers that answer alike, and README.md shows what their committed results say.

sanic and aiohttp are not tested: only the benchmarks themselves install them.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import remarks, report, results
from benchmarks.answers import what_is_wrong
from benchmarks.applications.content import LARGE
from benchmarks.measure import Client, Cores, Measurement
from benchmarks.results import Outcome, Results, ScenarioResult
from benchmarks.scenarios import FASTEST, SCENARIOS
from benchmarks.servers import SERVERS, Running, serving

TESTED = ["asgiserve", "uvicorn", "granian", "hypercorn", "daphne"]


@pytest.fixture(scope="module", params=TESTED)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Each server, with a log of requests, which one of the scenarios is about."""
    file = tmp_path_factory.mktemp("files") / "large"
    file.write_bytes(LARGE)
    with serving(request.param, access_log=True, environment={"BENCHMARK_FILE": str(file)}) as running:
        yield running


def test_each_scenario_is_answered_right(server: Running) -> None:
    assert {scenario.name: what_is_wrong(server, scenario) for scenario in SCENARIOS} == {
        scenario.name: "" for scenario in SCENARIOS
    }


def test_a_wrong_answer_is_seen(server: Running) -> None:
    scenario = dataclasses.replace(SCENARIOS[0], answer=b"Hello, moon!!")
    assert what_is_wrong(server, scenario).startswith("response 1 has another body: b'Hello, world!'")


@pytest.mark.skipif(
    shutil.which("wrk") is None and not os.environ.get("CI"), reason="wrk is missing: apt install wrk"
)
def test_what_wrk_and_the_kernel_say_is_understood() -> None:
    cores = sorted(os.sched_getaffinity(0))
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == "varied")
    with serving("asgiserve", core=cores[0]) as running:
        measured = Client(scenario, Cores(cores[0], cores[-1])).measure(running, 1)
        assert running.peak_memory > 1024 * 1024
    assert measured.errors == ""
    assert measured.rate > 0
    assert measured.cpu > 0
    assert measured.p50 is not None
    assert measured.p99 is not None
    assert 0 < measured.p50 <= measured.p99


def test_files_made_from_the_results_are_up_to_date() -> None:
    made = report.pages()
    assert {file: file.read_text() for file in made} == made, "run: python -m benchmarks.report"
    found = {*report.CHARTS.glob("*"), *results.FOLDER.glob("*.md"), report.README}
    assert found == set(made)


def test_the_readme_has_a_place_for_results() -> None:
    for name in ("speed", "websockets", "frameworks"):
        assert f"<!-- {name} -->\n\nmade up\n" in report.with_block(
            report.README.read_text(), name, "made up"
        )


def outcome(*rates: float) -> Outcome:
    """An outcome with these requests per second in its rounds."""
    return Outcome([Measurement(rate, rate / 8, 1.0, 2.0, 1.0, 0.5, 0.0, 0.0, "") for rate in rates])


def scenario_result() -> ScenarioResult:
    """Three rounds of three servers, and one that failed."""
    outcomes = {
        "asgiserve": outcome(160, 170, 180),
        "uvicorn": outcome(100, 100, 100),
        "granian": outcome(200, 100, 200),
        "daphne": Outcome(wrong="it is not there"),
    }
    return ScenarioResult("get", "GET", 32, {"uvicorn": 1.6, FASTEST: 1.2, "daphne": 2.0}, outcomes)


def test_ratios_are_of_rounds_and_targets_of_medians() -> None:
    scenario = scenario_result()
    assert scenario.ratio("uvicorn") == results.Spread(1.7, 1.6, 1.8)
    assert scenario.ratio("granian") == results.Spread(0.9, 0.8, 1.7)
    assert scenario.ratio("daphne") is None
    assert [(target.peer, target.met) for target in scenario.reached()] == [
        ("uvicorn", True),
        ("the fastest peer (granian)", False),
    ]


def test_results_survive_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    versions = {"CPython": "3.11.7"}
    run = Results("2026-01-01", "cpython-3.11", {"cores": "2"}, versions, 3, [scenario_result()])
    assert Results.load(run.save()) == run


def test_the_readme_says_who_is_faster_and_who_failed() -> None:
    run = Results("2026-01-01", "cpython-3.11", {}, {}, 3, [scenario_result()])
    assert remarks.losses(run) == (
        "A peer is faster at “GET” (granian 0.90). Not measured, because it failed: “GET” (daphne)."
    )


def test_targets_name_servers_that_take_part() -> None:
    assert {peer for scenario in SCENARIOS for peer in scenario.targets} <= {*SERVERS, FASTEST}
