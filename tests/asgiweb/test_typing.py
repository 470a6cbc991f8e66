"""What mypy and pyright say of code that users write: nothing of what is right, something of each mistake.

The mistakes of ``typing_cases`` are marked for both; a mark that is not needed is an error, too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.asgiserve.program import ROOT

CASES = ROOT / "tests/asgiweb/typing_cases"
README = ROOT / "packages/asgiweb/README.md"

#: Those whose code runs; that of docs/asgiweb.md itself is in pieces.
PAGES = sorted(ROOT.glob("docs/asgiweb/*.md"))

#: Seconds; pyright fetches its program for Node.js once.
PATIENCE = 300

needs_node = pytest.mark.skipif(
    shutil.which("node") is None and not os.environ.get("CI"),
    reason="node is missing: apt install nodejs npm",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with all that is checked, because pyright looks at nothing outside of it."""
    for page in (README, *PAGES):
        blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        (tmp_path / f"page_{page.stem.lower()}.py").write_text("\n\n".join(blocks))
    for directory in (ROOT / "examples", CASES):
        shutil.copytree(directory, tmp_path / directory.name, ignore=shutil.ignore_patterns("__pycache__"))
    settings = {
        "extraPaths": [str(ROOT), *map(str, ROOT.glob("packages/*/src"))],
        "pythonVersion": "3.11",
        "enableTypeIgnoreComments": False,
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    return tmp_path


@needs_node
@pytest.mark.once
@pytest.mark.timeout(PATIENCE)
def test_pyright_accepts_what_is_right_and_refuses_each_mistake(project: Path) -> None:
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    result = subprocess.run([*command, "--project", project], capture_output=True, text=True, cwd=project)
    assert result.stdout, result.stderr
    report = json.loads(result.stdout)
    found = [
        f"{entry['file']}:{entry['range']['start']['line'] + 1}: {entry['message']}"
        for entry in report["generalDiagnostics"]
        if entry["severity"] in ("error", "warning")
    ]
    assert not found, "\n".join(found)
    assert report["summary"]["filesAnalyzed"] == len(list(project.rglob("*.py")))


@pytest.mark.once
@pytest.mark.timeout(PATIENCE)
def test_mypy_accepts_what_is_right_and_refuses_each_mistake(project: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--no-error-summary"]
    result = subprocess.run(
        [*command, CASES, ROOT / "examples", *project.glob("page_*.py")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (result.stdout, result.returncode) == ("", 0), result.stdout + result.stderr


@pytest.mark.parametrize("case", sorted(CASES.glob("*.py")), ids=lambda case: case.stem)
def test_the_cases_have_mistakes_and_each_is_marked_for_both(case: Path) -> None:
    marked = [line for line in case.read_text().splitlines() if "ignore[" in line]
    assert marked
    for line in marked:
        assert "# type: ignore[" in line, line
        assert "# pyright: ignore[" in line, line
