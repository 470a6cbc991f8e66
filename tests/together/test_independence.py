"""Neither package imports the other, nor asks for it to be installed: all they share is the specification."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator

import pytest

from tests.together.servers import ROOT

PAIRS = [("asgiserve", "asgiweb"), ("asgiweb", "asgiserve")]


def imported(source: str) -> Iterator[str]:
    """Yield the absolute names of the modules that some source imports, by statement or by function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(word.value) for word in node.args if isinstance(word, ast.Constant))


@pytest.mark.parametrize(("package", "other"), PAIRS)
def test_no_module_imports_the_other_package(package: str, other: str) -> None:
    files = sorted((ROOT / "packages" / package / "src").rglob("*.py"))
    assert files
    found = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imported(file.read_text())
        if name.partition(".")[0] == other
    ]
    assert not found


@pytest.mark.parametrize(("package", "other"), PAIRS)
def test_no_distribution_requires_the_other(package: str, other: str) -> None:
    project = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    required = [*project.get("dependencies", []), *(name for extra in extras for name in extra)]
    assert required
    assert not [name for name in required if name.startswith(other)]


@pytest.mark.parametrize(
    "source",
    [
        "import asgiweb",
        "import os, asgiweb.request as request",
        "def late():\n    from asgiweb import Request",
        "if TYPE_CHECKING:\n    from asgiweb.request import Request",
        "importlib.import_module('asgiweb')",
        "__import__('asgiweb')",
    ],
)
def test_every_form_of_import_is_seen(source: str) -> None:
    assert "asgiweb" in {name.partition(".")[0] for name in imported(source)}


def test_a_relative_import_is_no_import_of_the_other() -> None:
    assert not list(imported("from . import asgiweb\nfrom .asgiweb import Request"))
