"""What the package exports, and that each of it is documented where a user looks for it."""

from __future__ import annotations

import ast
import dataclasses
import importlib.resources
import inspect
import re
import sys
from pathlib import Path

import pytest

import asgiserve
from asgiserve import Config
from asgiserve.settings import PROCESSES
from tests.asgiserve.program import ROOT

REFERENCE = ROOT / "docs" / "asgiserve.md"
SOURCES = sorted(Path(asgiserve.__file__).parent.rglob("*.py"))
FIELDS = [field.name for field in dataclasses.fields(Config)]


def words_of_the_reference() -> set[str]:
    """The names that the reference page mentions."""
    return set(re.findall(r"\w+", REFERENCE.read_text()))


def test_exports_are_sorted_and_there() -> None:
    assert asgiserve.__all__ == sorted(asgiserve.__all__)
    for name in asgiserve.__all__:
        assert hasattr(asgiserve, name), name


def test_version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", asgiserve.__version__)


@pytest.mark.parametrize("name", [name for name in asgiserve.__all__ if not name.startswith("__")])
def test_export_has_a_docstring_of_its_own(name: str) -> None:
    exported = getattr(asgiserve, name)
    assert exported.__doc__, name
    assert not exported.__doc__.startswith(f"{name}("), "made by dataclasses"
    if inspect.isclass(exported):
        for method, function in inspect.getmembers(exported, inspect.isfunction):
            if not method.startswith("_"):
                assert function.__doc__, f"{name}.{method}"


@pytest.mark.parametrize("name", FIELDS)
def test_setting_has_help(name: str) -> None:
    """A sentence, and for a time or a size its unit; for a limit what happens then."""
    field = {field.name: field for field in dataclasses.fields(Config)}[name]
    about = field.metadata["about"]
    assert about.help.endswith("."), about.help
    assert about.group
    if name.endswith("_timeout"):
        assert about.unit == "s"
    if name.endswith("_size") or name == "max_request_line":
        assert about.unit == "bytes"
    if name.startswith("max_") and about.group != PROCESSES:
        assert re.search(r"4\d\d", about.help)


@pytest.mark.parametrize("name", [name for name in asgiserve.__all__ if not name.startswith("__")])
def test_reference_mentions_each_export(name: str) -> None:
    assert name in words_of_the_reference()


@pytest.mark.parametrize("name", FIELDS)
def test_reference_mentions_each_setting(name: str) -> None:
    assert name in words_of_the_reference()


def test_package_is_typed() -> None:
    assert importlib.resources.files(asgiserve).joinpath("py.typed").is_file()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_module_says_what_lives_there(source: Path) -> None:
    if source.read_text().strip():
        assert ast.get_docstring(ast.parse(source.read_text())), source.name


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_server_knows_no_framework(source: Path) -> None:
    """All that it shares with asgiweb, or any other, is the specification."""
    allowed = {
        *sys.stdlib_module_names,
        "asgiserve",
        "click",
        "httptools",
        "h11",
        "prometheus_client",
        "setproctitle",
        "uvloop",
        "watchfiles",
        "websockets",
    }
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            assert name.partition(".")[0] in allowed, name
