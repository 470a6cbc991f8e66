"""The public surface: sorted, documented, and without a server in it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import asgiweb

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "packages/asgiweb/src/asgiweb").rglob("*.py"))
PAGES = [ROOT / "docs/asgiweb.md", *sorted(ROOT.glob("docs/asgiweb/*.md"))]
REFERENCE = "".join(page.read_text() for page in PAGES)

# A type alias cannot have a docstring: its meaning is in the module's.
ALIASES = {"ErrorHandler", "Handler", "Middleware"}


def test_the_names_are_sorted() -> None:
    assert list(asgiweb.__all__) == sorted(asgiweb.__all__)


@pytest.mark.parametrize("name", asgiweb.__all__)
def test_every_name_is_there_documented_and_in_the_reference(name: str) -> None:
    value = getattr(asgiweb, name)
    if name not in ALIASES and not name.startswith("__"):
        assert value.__doc__
    assert re.search(rf"`{name}\b", REFERENCE), f"the reference does not mention {name}"


@pytest.mark.parametrize(
    "kind", [asgiweb.Application, asgiweb.Request, asgiweb.Response, asgiweb.Router, asgiweb.WebSocket]
)
def test_every_public_attribute_is_documented_and_in_the_reference(kind: type) -> None:
    for name in dir(kind):
        if name.startswith("_"):
            continue
        assert re.search(rf"`(await )?\.?{name}\b", REFERENCE), (
            f"the reference does not mention {kind.__name__}.{name}"
        )
        attribute = getattr(kind, name)
        if callable(attribute) or isinstance(attribute, property):
            assert attribute.__doc__, f"{kind.__name__}.{name}"


def test_no_module_is_a_server_or_needs_one() -> None:
    servers = {"asgiserve", "uvicorn", "hypercorn", "granian", "daphne"}
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").partition(".")[0]} if not node.level else set()
            else:
                continue
            assert not names & servers, source


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_module_begins_by_saying_what_lives_there(source: Path) -> None:
    tree = ast.parse(source.read_text())
    assert ast.get_docstring(tree)
    assert len(source.read_text().splitlines()) <= 300


def test_optional_libraries_are_not_imported() -> None:
    code = "import sys, asgiweb; print({'jinja2', 'itsdangerous', 'multipart', 'httpx'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_each_answer_to_what_users_ask_for_has_tests_of_its_number() -> None:
    page = (ROOT / "docs/asgiweb/asked.md").read_text()
    numbers = {int(number) for number in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert numbers == set(range(1, 16))
    tests = "".join(path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py")))
    assert {int(number) for number in re.findall(r"complaint_(\d+)_", tests)} == numbers
