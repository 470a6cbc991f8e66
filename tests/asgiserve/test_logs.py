"""Logging of the command: colours, levels, what a file says of it, and who says what."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import sys
import termios
from pathlib import Path

import pytest

from docs.generate import REFERENCE
from tests.asgiserve.program import COMMAND, Program, run_to_end
from tests.asgiserve.raw import eventually, get
from tests.test_documentation import blocks

APPLICATION = "tests.asgiserve.applications:program"

#: Runs the command that follows on a terminal of its own, and passes on what it writes there.
ON_A_TERMINAL = (sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", *COMMAND)

#: Environments of a user who said nothing of colours.
NEUTRAL = {"NO_COLOR": "", "TERM": "xterm"}

PAINTED = re.compile(r"\x1b\[(?:1;)?(?P<color>3\d)m(?P<text>[^\x1b]*)\x1b\[0m")

#: An application that logs, at `info` and at `warning`, what it is asked for.
LOGGING_APPLICATION = """
import logging
from tests.asgiserve.applications import program

logger = logging.getLogger("shop")

async def app(scope, receive, send):
    if scope["type"] == "http":
        logger.info("asked for %s", scope["path"])
        logger.warning("warned of %s", scope["path"])
    await program(scope, receive, send)
"""

#: All loggers to standard error, by their names.
NAMED = {
    "formatters": {"line": {"format": "%(levelname)s %(name)s %(processName)s %(process)d: %(message)s"}},
    "handlers": {"all": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "WARNING", "handlers": ["all"]},
}


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, str]:
    """An environment in which ``shop:app`` is an application that logs."""
    (tmp_path / "shop.py").write_text(LOGGING_APPLICATION)
    return {"PYTHONPATH": str(tmp_path)}


def written(path: Path, settings: object) -> str:
    """A JSON file with these settings."""
    path.write_text(json.dumps(settings))
    return str(path)


# Colours


def painted(server: Program) -> set[tuple[str, str]]:
    """What a server has painted after two requests: texts and colours."""
    server.ask("/")
    server.ask("/missing")
    server.wait_for("GET /missing")
    server.wait_for("listens on")
    return {(found["text"], found["color"]) for found in PAINTED.finditer(server.output)}


@pytest.mark.parametrize("form", ["default", "common"])
def test_on_a_terminal_levels_and_statuses_are_painted(form: str) -> None:
    with Program(
        "program", "--access-log-format", form, command=ON_A_TERMINAL, environment=NEUTRAL
    ) as server:
        assert painted(server) == {("INFO", "32"), ("200", "32")}


def test_json_is_never_painted() -> None:
    arguments = ("--access-log-format", "json", "--log-colors", "on")
    with Program("program", *arguments) as server:
        server.ask("/")
        line = server.wait_for('"path"')
        assert json.loads(line)["status"] == 200


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        ((), {**NEUTRAL, "NO_COLOR": "1"}),
        ((), {**NEUTRAL, "TERM": "dumb"}),
        (("--log-colors", "off"), NEUTRAL),
    ],
    ids=["NO_COLOR", "dumb", "off"],
)
def test_colours_can_be_refused(arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    with Program("program", *arguments, command=ON_A_TERMINAL, environment=environment) as server:
        assert painted(server) == set()
        assert "\x1b" not in server.output


def test_elsewhere_nothing_is_painted() -> None:
    with Program("program", environment=NEUTRAL) as server:
        assert painted(server) == set()


def test_colours_can_be_forced() -> None:
    environment = {**NEUTRAL, "NO_COLOR": "1"}
    with Program("program", "--log-colors", "on", environment=environment) as server:
        assert painted(server) == {("INFO", "32"), ("200", "32")}


# What a file says

TOML = """
[formatters.line]
format = "%(levelname)s %(name)s %(processName)s %(process)d: %(message)s"

[handlers.all]
class = "logging.StreamHandler"
formatter = "line"

[root]
level = "WARNING"
handlers = ["all"]
"""


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_file_decides(tmp_path: Path, shop: dict[str, str], suffix: str) -> None:
    """The level of the server's loggers is that of the settings, where the file does not say another one."""
    path = tmp_path / f"log.{suffix}"
    path.write_text(TOML if suffix == "toml" else json.dumps(NAMED))
    with Program("shop:app", "--log-config", str(path), environment=shop) as server:
        pid = server.process.pid
        assert server.wait_for("listens on").startswith(f"INFO asgiserve.error MainProcess {pid}: asgiserve ")
        server.ask("/asked")
        line = server.wait_for("GET /asked")
        assert line.startswith(f"INFO asgiserve.access MainProcess {pid}: 127.0.0.1:")
        assert server.wait_for("warned of").startswith(f"WARNING shop MainProcess {pid}: ")
        assert "asked for" not in server.output
        assert not [line for line in server.standard_output if "GET" in line]
        assert len([line for line in server.lines if "GET /asked" in line]) == 1


def test_level_is_that_of_the_settings_where_the_file_has_none(tmp_path: Path) -> None:
    path = written(tmp_path / "log.json", NAMED)
    arguments = ("--log-config", path, "--log-level", "warning")
    with Program("program", *arguments, ready="startup") as server:
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert "listens on" not in server.output


def test_level_of_the_file_wins(tmp_path: Path) -> None:
    settings = {**NAMED, "loggers": {"asgiserve.access": {"level": "ERROR"}}}
    with Program("program", "--log-config", written(tmp_path / "log.json", settings)) as server:
        server.ask("/asked")
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert "listens on" in server.output
        assert "GET /asked" not in server.output


def test_workers_obey_the_file_and_have_names(tmp_path: Path, shop: dict[str, str]) -> None:
    path = written(tmp_path / "log.json", NAMED)
    with Program("shop:app", "--workers", "2", "--log-config", path, environment=shop) as server:
        server.wait_for("listens on", 2)
        workers = {
            re.search(r"asgiserve\.error (.+ \d+): asgiserve \S+ listens on", line)
            for line in server.lines
            if "listens on" in line and "as a worker" in line
        }
        names = {found[1] for found in workers if found}
        assert len(names) == 2, server.output
        assert all(re.fullmatch(r"worker \d+ \d+", name) for name in names), names
        server.ask("/asked")
        found = re.match(r"INFO asgiserve\.access (worker \d+ \d+): ", server.wait_for("GET /asked"))
        assert found, server.output
        assert found[1] in names


def test_worker_ends_where_the_file_has_become_wrong(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    written(path, NAMED)
    with Program("program", "--workers", "1", "--max-requests", "1000", "--log-config", str(path)) as server:
        server.wait_for("worker 1 (pid ", 2)  # it starts; it serves
        path.write_text("{")
        server.signal(signal.SIGHUP)
        server.wait_for(f"asgiserve: log_config: {path}: it is not JSON")
        assert server.ask("/").status == 200  # by the worker that was to be replaced
        assert "Traceback" not in server.output


def test_other_loggers_are_not_disabled(tmp_path: Path, shop: dict[str, str]) -> None:
    """As `logging` would do by default: those of modules that were imported before."""
    (tmp_path / "before.py").write_text(
        "import logging\n"
        "logger = logging.getLogger('before')\n"
        "from asgiserve.cli import main\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        main()\n"
        "    finally:\n"
        "        logger.warning('not disabled')\n"
    )
    command = (sys.executable, str(tmp_path / "before.py"))
    arguments = ("--log-config", written(tmp_path / "log.json", NAMED))
    with Program("shop:app", *arguments, command=command, environment=shop) as server:
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert "WARNING before MainProcess" in server.output


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("log.ini", "[loggers]\nkeys=root\n", "must end in .toml or .json"),
        ("log", "{}", "must end in .toml or .json"),
        ("missing.toml", None, "No such file"),
        ("log.toml", "[formatters\n", "it is not TOML: "),
        ("log.json", "{", "it is not JSON: "),
        ("log.json", b'{"a": "\xff"}', "it is not JSON: "),
        ("log.json", "[]", "it must hold an object"),
        ("log.json", '{"handler": {}}', "there is no key 'handler'"),
        ("log.json", '{"version": 2}', "Unsupported version"),
        ("log.json", '{"root": {"level": "LOUD"}}', "LOUD"),
        ("log.json", '{"root": {"handlers": ["none"]}}', "none"),
        ("log.json", '{"handlers": {"one": {}}}', "'one'"),
        ("log.json", '{"handlers": {"one": {"class": "none.Handler"}}}', "No module named 'none'"),
        ("log.json", '{"handlers": {"one": {"class": "logging.FileHandler"}}}', "filename"),
        ("log.json", '{"handlers": ["one"]}', "list"),
    ],
)
def test_wrong_file_is_exit_code_2(
    tmp_path: Path, name: str, content: str | bytes | None, reason: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    ended = run_to_end(APPLICATION, "--port", "0", "--log-config", str(path))
    assert ended.returncode == 2, ended.stderr
    assert f"asgiserve: log_config: {path}: " in ended.stderr
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr


def test_file_of_the_reference(tmp_path: Path, shop: dict[str, str]) -> None:
    """All lines say who writes them, and those of the access log go to standard output alone."""
    (example,) = [block for block in blocks(REFERENCE, "toml") if "formatters" in block]
    path = tmp_path / "logging.toml"
    path.write_text(example)
    with Program("shop:app", "--log-config", str(path), environment=shop) as server:
        assert " asgiserve.error: asgiserve " in server.wait_for("listens on")
        server.ask("/asked")
        assert " shop: asked for /asked" in server.wait_for("asked for")
        line = server.wait_for("GET /asked")
        assert [other for other in server.lines if "GET /asked" in other] == [line]
        assert line in server.standard_output


# Lines of several processes

ACCESS_LINE = re.compile(rb'\S+ \S+ \[\d+\] \S+ "GET /x{1000} HTTP/1\.1" 200 2 \S+ms')


def waiting_in(pipe: int) -> int:
    """Bytes in a pipe that nobody has read."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def test_lines_of_workers_are_not_torn() -> None:
    """The pipe is full, because nobody reads it; then the kernel may cut what is longer than PIPE_BUF."""
    read_end, write_end = os.pipe()
    target = "/" + "x" * 1000
    command = (
        sys.executable,
        "-c",
        f"import os, sys; os.dup2({write_end}, 1); os.execv(sys.argv[1], sys.argv[1:])",
    )
    with (
        open(read_end, "rb", buffering=0) as log,
        Program("hello", "--workers", "2", command=(*command, *COMMAND), pass_fds=[write_end]) as server,
        contextlib.ExitStack() as stack,
    ):
        os.close(write_end)
        server.wait_for("as a worker", 2)
        clients = [stack.enter_context(server.connect()) for _ in range(128)]
        for client in clients:
            client.send(get(target) * 10)
        assert eventually(lambda: waiting_in(read_end) > 8 * select.PIPE_BUF)
        text = b""
        while text.count(b"\n") < 1280:
            text += log.read(1000)
        torn = [line for line in text.splitlines() if not ACCESS_LINE.fullmatch(line)]
        assert not torn
