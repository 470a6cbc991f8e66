"""The benchmarks of frameworks: applications that answer alike, and what is said of their results.

sanic and aiohttp are not tested: only the benchmarks themselves install them.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.answers import what_is_wrong
from benchmarks.frameworks import imports, in_process, report
from benchmarks.frameworks.in_process import CASES, FRAMEWORKS, Contender
from benchmarks.frameworks.results import FrameworkResults, Row
from benchmarks.frameworks.scenarios import SCENARIOS
from benchmarks.frameworks.servers import OURS, PAIRS, serving
from benchmarks.measure import Measurement
from benchmarks.results import Outcome, ScenarioResult
from benchmarks.scenarios import FASTEST
from benchmarks.servers import SERVERS, Running

#: The tools and their client; what they measure has tests of its own.
pytestmark = pytest.mark.once

#: Each framework once.
TESTED = [
    "asgiweb on asgiserve",
    "blacksheep on granian",
    "falcon on uvicorn",
    "starlette on uvicorn",
    "fastapi on uvicorn",
    "litestar on granian",
]


@pytest.fixture(scope="module", params=TESTED)
def server(request: pytest.FixtureRequest) -> Iterator[Running]:
    with serving(request.param) as running:
        yield running


def test_each_scenario_is_answered_right(server: Running) -> None:
    assert {scenario.name: what_is_wrong(server, scenario) for scenario in SCENARIOS} == {
        scenario.name: "" for scenario in SCENARIOS
    }


def test_what_is_no_item_is_refused(server: Running) -> None:
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == "validated")
    wrong = dataclasses.replace(scenario, request=scenario.request.replace(b"17470.5", b'"much"}'))
    assert what_is_wrong(server, wrong).startswith("response 1 has status ")


def test_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "REQUESTS", 5)
    measured = asyncio.run(in_process.measure(CASES, FRAMEWORKS, rounds=2))
    assert measured.keys() == {case.name for case in CASES}
    for by_framework in measured.values():
        assert by_framework.keys() == set(FRAMEWORKS)
        assert all(len(values) == 2 and min(values) > 0 for values in by_framework.values())


@pytest.mark.parametrize("name", FRAMEWORKS)
async def test_a_wrong_answer_is_seen(name: str) -> None:
    wrong = dataclasses.replace(CASES[0], body=b"Hello, moon!!")
    with pytest.raises(RuntimeError, match=f"^{name} gives a wrong answer in 'text'"):
        await Contender(name, wrong).check()


async def test_a_lifespan_that_fails_is_told() -> None:
    async def app(scope: object, receive: in_process.Receiving, send: object) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no"})  # type: ignore[operator]

    with pytest.raises(RuntimeError, match="startup failed"):
        async with in_process.started(app):
            pass


def test_imports() -> None:
    measured = imports.measure(["asgiweb", "starlette", "raw"], rounds=1)
    assert measured.keys() == {"asgiweb", "starlette"}
    assert all(0 < value < 60_000 for value in measured.values())


def outcome(*rates: float) -> Outcome:
    return Outcome([Measurement(rate, rate / 8, 1.0, 2.0, 1.0, 0.5, 0.0, 0.0, "") for rate in rates])


def run_made_up() -> FrameworkResults:
    """A run of three pairs: one failed."""
    outcomes = {
        OURS: outcome(170, 170),
        "blacksheep on granian": outcome(100, 100),
        "sanic": outcome(50, 50),
        "aiohttp": Outcome(wrong="it is not there"),
    }
    scenario = ScenarioResult("text", "Text", 32, {FASTEST: 1.6}, outcomes, OURS)
    rows = [
        in_process.row("Text", {"asgiweb": [2.0, 2.0], "blacksheep": [4.0, 5.0]}, {"blacksheep": 0.4}),
        Row("Each middleware", {"asgiweb": {"median": 0.2, "least": 0.1, "most": 0.3}}, {}, {}, 0.3),
    ]
    versions = {"CPython": "3.11.7"}
    imported = {"asgiweb": 81.0, "starlette": 90.0}
    return FrameworkResults("2026-01-01", "cpython-3.11", {}, versions, 2, [scenario], rows, imported)


def test_results_survive_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    run = run_made_up()
    assert FrameworkResults.load(run.save()) == run
    assert [file.name for file in tmp_path.iterdir()] == ["cpython-3.11-frameworks.json"]


def test_what_is_said_of_results() -> None:
    run = run_made_up()
    run.machine = {"processor": "P", "cores": "2", "memory": "1 GiB", "system": "S", "kernel": "K"}
    assert [row.reached() for row in run.in_process] == [
        [("blacksheep ≤ 0.4: missed", False)],
        [("≤ 0.3 µs: met", True)],
    ]
    assert "| Text | 2.00 | 4.50 | blacksheep ≤ 0.4: missed |" in report.in_process(run.in_process)
    assert "asgiweb 81, starlette 90. Target: asgiweb < 80: missed." in report.imports(run.imports)
    said = report.pairs(run)
    assert "| **asgiweb on asgiserve**, requests/s | 170 |" in said
    assert "| blacksheep on granian | 1.70 (1.70…1.70) |" in said
    assert "| aiohttp | failed |" in said
    assert "| target | the fastest peer (blacksheep on granian) ≥ 1.6: met |" in said
    assert "aiohttp: it is not there" in report.numbers(run)


def test_slow_frameworks_do_not_shrink_the_chart() -> None:
    run = run_made_up()
    run.in_process[0].microseconds["slow"] = {"median": 2.0 * report.CHARTED + 1, "least": 1.0, "most": 99.0}
    (panel,) = report.own_time(run)
    assert [(bar.name, bar.ours) for bar in panel.bars] == [("asgiweb", True), ("blacksheep", False)]


def test_pairs_are_of_known_servers_and_applications() -> None:
    folder = Path(in_process.__file__).with_name("applications")
    for framework, server in PAIRS.values():
        assert (folder / f"{framework}.py").exists()
        assert server is None or server in SERVERS
    assert {*FRAMEWORKS} <= {file.stem for file in folder.glob("*.py")}
    assert {*imports.STATEMENTS} <= {*FRAMEWORKS, "sanic"}
