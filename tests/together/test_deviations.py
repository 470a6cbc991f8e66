"""The table in README.md and the data that the tests go by are the same, and name only peers."""

from __future__ import annotations

from pathlib import Path

from tests.together.contract import CONTRACT
from tests.together.deviations import DEVIATIONS
from tests.together.feature_contract import FEATURE_CONTRACT
from tests.together.framework_websockets import FRAMEWORK_WEBSOCKETS
from tests.together.servers import COMMANDS
from tests.together.websocket_contract import WEBSOCKET_CONTRACT

FOLDER = Path(__file__).parent


def test_the_table_is_the_data() -> None:
    rows = [
        tuple(cell.strip(" `") for cell in line.strip("|").split("|"))
        for line in (FOLDER / "README.md").read_text().splitlines()
        if line.startswith("|")
    ]
    assert rows[2:] == [
        (peer, point, deviation.instead)
        for peer, points in DEVIATIONS.items()
        for point, deviation in points.items()
    ]


def test_it_names_peers_alone() -> None:
    modules = {file.stem for file in (FOLDER / "applications").glob("*.py")} - {"business"}
    frameworks = {module.removesuffix("_websockets") for module in modules}
    assert set(DEVIATIONS) <= (set(COMMANDS) | frameworks) - {"asgiserve", "asgiweb"}


def test_it_names_points_of_the_contract() -> None:
    points = {
        point.__name__ for point in (*CONTRACT, *FEATURE_CONTRACT, *WEBSOCKET_CONTRACT, *FRAMEWORK_WEBSOCKETS)
    }
    assert {name for deviations in DEVIATIONS.values() for name in deviations} <= points
