"""The documentation tells the truth: its code runs, its commands serve, its tables are up to date."""

from __future__ import annotations

import inspect
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from docs.generate import REFERENCE, render
from tests.asgiserve.program import ROOT, STARTING, clean_environment

READMES = [ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md"))]

#: The reference of asgiweb, whose pages show each thing in a few lines.
PAGES = sorted(ROOT.glob("docs/asgiweb/*.md"))

#: Commands of the README that the test does not run: what they do takes the network, or is this test.
NOT_RUN = ("make serve", "make test", "pip install", "curl", "asgiserve mysite.asgi:application")


def blocks(path: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Each line of the shell blocks of the README."""
    return [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]


@pytest.mark.parametrize("path", READMES + PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_the_python_blocks_of_a_page_run_one_after_the_other(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And then the coroutines that they define and that take no argument, such as a program's `main`."""
    module = ModuleType("readme")
    monkeypatch.setitem(sys.modules, "readme", module)
    found = blocks(path, "python")
    assert found or path in PAGES
    for number, block in enumerate(found, 1):
        exec(compile(block, f"{path.name}, block {number}", "exec"), module.__dict__)
    for value in list(module.__dict__.values()):
        if inspect.iscoroutinefunction(value) and not inspect.signature(value).parameters:
            await value()


@pytest.fixture(scope="module")
def first_application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the README's first application as main.py."""
    directory = tmp_path_factory.mktemp("first")
    (directory / "main.py").write_text(blocks(ROOT / "README.md", "python")[0])
    return directory


@contextmanager
def serving(command: str, directory: Path) -> Iterator[str]:
    """Run a command of the README on a free port; yields the URL once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program, *arguments = shlex.split(command)
    address = ["--bind", f"127.0.0.1:{port}"] if program == "hypercorn" else ["--port", str(port)]
    with subprocess.Popen(
        [Path(sys.executable).with_name(program), *arguments, *address],
        cwd=directory,
        env=clean_environment() | {"PYTHONWARNINGS": "ignore"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until_it_answers(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STARTING)
            finally:
                process.kill()


def wait_until_it_answers(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + STARTING
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > deadline:
                assert process.stderr is not None
                process.kill()
                pytest.fail(process.stderr.read())
            time.sleep(0.05)


@pytest.mark.parametrize("command", [line for line in commands() if not line.startswith(NOT_RUN)])
def test_a_command_of_the_readme_serves_the_first_application(command: str, first_application: Path) -> None:
    # It may be a parent of workers that listens so far.
    with serving(command, first_application) as url, httpx.Client(base_url=url, timeout=STARTING) as client:
        assert client.get("/").text == "Hello, world!\n"
        if command.startswith("daphne"):
            return  # it runs no lifespan, as the README says, and so there are no users
        assert client.get("/users/7").json() == {"id": 7, "name": "Ada"}
        missing = client.get("/users/9")
        assert missing.status_code == 404
        assert missing.headers["x-powered-by"] == "curiosity"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing: apt install curl")
def test_clients_of_the_tutorial_see_what_it_says(tmp_path: Path) -> None:
    tutorial = ROOT / "packages/asgiweb/README.md"
    (tmp_path / "main.py").write_text("\n\n".join(blocks(tutorial, "python")))
    asked = [part for block in blocks(tutorial, "console") for part in block.split("$ ")[1:]]
    assert asked
    with serving("asgiserve main:app", tmp_path) as url:
        for command, _, expected in (part.partition("\n") for part in asked):
            program, *arguments = shlex.split(command.replace("http://127.0.0.1:8000", url))
            result = subprocess.run([program, "--silent", *arguments], capture_output=True, text=True)
            assert result.stdout.strip() == expected.strip(), command


def test_the_readme_names_every_server_that_is_tested() -> None:
    programs = {line.split()[0] for line in commands()}
    assert {"asgiserve", "uvicorn", "hypercorn", "granian", "daphne"} <= programs


def test_contributors_find_every_module_in_the_row_of_its_folder() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = dict(re.findall(r"^\| `(?:packages/\w+/src|…)/([\w/]+)/` \| (.*) \|$", text, re.MULTILINE))
    for package in ROOT.glob("packages/*/src"):
        for module in package.rglob("*.py"):
            folder = str(module.parent.relative_to(package))
            assert folder in rows, folder
            assert module.stem.startswith("_") or f"`{module.stem}`" in rows[folder], module


def test_the_reference_has_the_settings_as_they_are() -> None:
    assert REFERENCE.read_text() == render(REFERENCE.read_text()), "run `make docs`"


def test_the_readme_has_the_timeouts_as_they_are() -> None:
    from asgiserve import Config

    rows = re.findall(r"^\| `(\w+)` \| (\d+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows
    config = Config(app="main:app")
    assert {name: float(value) for name, value in rows} == {name: getattr(config, name) for name, _ in rows}


def without_code(page: Path) -> str:
    return re.sub(r"```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What a link may name after "#": GitHub makes it of each heading."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?^```", "", page.read_text(), flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "page",
    [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("packages/*/*.md"))],
    ids=lambda page: f"{page.parent.name}-{page.name}",
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", without_code(page)):
        path = page.parent / target if target else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert re.sub(r"-\d+$", "", anchor) in anchors(path), f"{target}#{anchor}"
