"""The command ``asgiserve``: flags, variables, banner, workers, reload, and what stands on its help page."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import asgiserve
from asgiserve import Config
from asgiserve.config import SETTINGS
from tests.asgiserve.program import STARTING, Program, run_to_end
from tests.asgiserve.raw import GET, Client, eventually, get


def test_banner_tells_where_it_listens_and_how_to_stop_it() -> None:
    with Program("program") as server:
        banner = server.wait_for("listens on")
        assert f"asgiserve {asgiserve.__version__}" in banner
        assert server.url.startswith("http://127.0.0.1:")
        assert "Ctrl-C" in banner
        assert server.ask().status == 200


def test_command_is_installed() -> None:
    command = Path(sys.executable).with_name("asgiserve")
    if not command.exists():
        pytest.skip("the package is on the path without being installed")
    ended = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert ended.stdout == f"asgiserve {asgiserve.__version__}\n"


def test_version() -> None:
    ended = run_to_end("--version")
    assert (ended.returncode, ended.stdout) == (0, f"asgiserve {asgiserve.__version__}\n")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_fits_a_terminal_and_names_every_setting(flag: str) -> None:
    ended = run_to_end(flag, COLUMNS="80")
    assert ended.returncode == 0
    assert max(map(len, ended.stdout.splitlines())) <= 80
    for field in dataclasses.fields(Config):
        if field.name not in ("app", "headers", "trusted_proxies"):
            assert re.search(rf"  --(\[no-\])?{field.name.replace('_', '-')}\b", ended.stdout), field.name
    for said in ("Exit codes:", "MODULE:ATTRIBUTE", "asgiserve.toml", "ASGISERVE_"):
        assert said in ended.stdout


def test_help_tells_units_and_defaults() -> None:
    lines = " ".join(run_to_end("--help", COLUMNS="80").stdout.split())
    for name in ("request", "response", "keep-alive", "write", "shutdown"):
        assert re.search(rf" --{name}-timeout(, --\S+)? SECONDS [^\[]+ \[\d+\] ", lines), name
    for name in ("request-line", "header-size", "headers-size", "body-size"):
        assert re.search(rf" --max-{name} BYTES [^\[]+ \[[\d_]+\] ", lines), name


def test_help_has_the_groups_of_the_settings() -> None:
    page = run_to_end("--help", COLUMNS="80").stdout
    found = re.findall(r"^(\S.*):$", page, re.MULTILINE)
    groups = list(dict.fromkeys(setting.about.group for setting in SETTINGS.values()))
    assert found == ["Configuration", *groups, "Exit codes"]


#: The flags of a start script for uvicorn, which keep their names and meaning.
UVICORN = """
    --host 127.0.0.1 --loop asyncio --http h11 --workers 1 --log-level info --no-access-log --root-path /api
    --app-dir . --lifespan on --timeout-keep-alive 5 --timeout-graceful-shutdown 10 --backlog 100
    --no-server-header --no-date-header --header x-a:b
"""


def test_flags_that_users_of_uvicorn_know() -> None:
    with Program("program", *UVICORN.split()) as server:
        response = server.ask("/users")
        about = server.json("/users")
    assert about["loop"] == "asyncio"
    assert (about["root_path"], about["path"]) == ("/api", "/api/users")
    assert about["httptools"] is False
    assert response["x-a"] == "b"
    assert "server" not in response
    assert "date" not in response
    assert "/users" not in server.output  # the access log


@pytest.mark.parametrize("flag", ["--factory", "--reload", "--reload-dir", "--uds", "--fd", "--ssl-certfile"])
def test_more_flags_that_users_of_uvicorn_know(flag: str) -> None:
    assert flag in run_to_end("--help").stdout


def test_uvloop_is_used_where_it_is_installed() -> None:
    with Program("program") as server:
        assert server.json()["loop"] == "uvloop"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_loop_can_be_chosen(loop: str) -> None:
    with Program("program", "--loop", loop) as server:
        assert server.json()["loop"] == loop


def without(library: str) -> tuple[str, ...]:
    """The command, where a library is not installed."""
    code = f"import sys; sys.modules[{library!r}] = None; from asgiserve.__main__ import main; main()"
    return (sys.executable, "-c", code)


@pytest.mark.parametrize("library", ["uvloop", "httptools", "watchfiles"])
def test_optional_libraries_are_optional(library: str) -> None:
    """asyncio for uvloop, h11 for httptools."""
    with Program("program", command=without(library)) as server:
        assert server.json()["loop"] == ("asyncio" if library == "uvloop" else "uvloop")


@pytest.mark.parametrize(
    ("library", "arguments"),
    [
        ("uvloop", ["--loop", "uvloop"]),
        ("httptools", ["--http", "httptools"]),
        ("h11", ["--http", "h11"]),
        ("watchfiles", ["--reload"]),
    ],
)
def test_missing_library_that_was_asked_for_is_exit_code_2(library: str, arguments: list[str]) -> None:
    with Program("program", *arguments, command=without(library), ready="is not installed") as server:
        assert server.exit_code() == 2
        assert f"{library} is not installed; pip install" in server.output
        assert "Traceback" not in server.output


@pytest.mark.parametrize("flag", ["--nonsense", "--port=http", "--port=70000", "--loop=trio", "--workers=0"])
def test_wrong_flag_is_exit_code_2(flag: str) -> None:
    ended = run_to_end("tests.asgiserve.applications:program", flag)
    assert ended.returncode == 2
    assert flag.removeprefix("--").split("=")[0] in ended.stderr
    assert "Traceback" not in ended.stderr


def test_settings_from_the_environment() -> None:
    environment = {
        "ASGISERVE_PORT": "0",
        "ASGISERVE_ROOT_PATH": "/env",
        "ASGISERVE_ACCESS_LOG": "false",
        "ASGISERVE_SERVER_HEADER": "0",
        "ASGISERVE_KEEP_ALIVE_TIMEOUT": "0.1",
        "ASGISERVE_MAX_BODY_SIZE": "1000",
    }
    with Program("program", port=None, environment=environment) as server, server.connect() as client:
        client.send(GET)
        response = client.response()
        assert b'"/env"' in response.body
        assert "server" not in response
        assert client.closed()
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert '"GET' not in server.output


@pytest.mark.parametrize("name", ["ASGISERVE_HEADERS", "ASGISERVE_HEADER"])
def test_headers_from_the_environment_stand_one_a_line(name: str) -> None:
    with Program("program", environment={name: "x-a: one, two\nX-B:three"}) as server:
        response = server.ask()
    assert (response["x-a"], response["x-b"]) == ("one, two", "three")


def test_application_from_the_environment() -> None:
    environment = {"ASGISERVE_APP": "tests.asgiserve.applications:program"}
    code = "import sys; del sys.argv[1]; from asgiserve.__main__ import main; main()"
    with Program("nothing", environment=environment, command=(sys.executable, "-c", code)) as server:
        assert server.ask().status == 200


def test_flag_wins_over_the_environment() -> None:
    environment = {"ASGISERVE_ROOT_PATH": "/env"}
    with Program("program", "--root-path", "/flag", environment=environment) as server:
        assert server.json()["root_path"] == "/flag"


def test_wrong_variable_is_exit_code_2() -> None:
    ended = run_to_end("tests.asgiserve.applications:program", ASGISERVE_PORT="http")
    assert ended.returncode == 2
    assert "port" in ended.stderr.lower()


def test_port_in_use_is_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_to_end("tests.asgiserve.applications:program", "--port", str(port))
    assert ended.returncode == 1
    assert f"127.0.0.1, port {port}" in ended.stderr
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "startup" not in ended.stdout


def test_host_that_is_not_of_this_machine_is_exit_code_1() -> None:
    ended = run_to_end("tests.asgiserve.applications:program", "--host", "192.0.2.1", "--port", "0")
    assert ended.returncode == 1
    assert "192.0.2.1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_access_log_and_server_log_are_different_streams() -> None:
    with Program("program") as server:
        server.ask("/logged?a=b")
        line = server.wait_for('"GET /logged?a=b HTTP/1.1" 200')
        assert line in server.standard_output
        assert server.wait_for("listens on") not in server.standard_output


@pytest.mark.parametrize("level", ["warning", "error"])
def test_log_level(level: str) -> None:
    with Program("program", "--log-level", level, ready="startup") as server:
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert "listens on" not in server.output


def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for _ in range(2):  # the second one finds nothing of the first
        with Program("program", "--uds", str(path), port=None) as server:
            assert str(path) in server.wait_for("listens on")
            with Client(str(path)) as client:
                client.send(GET)
                response = client.response()
            assert b'"client": null' in response.body
            server.signal(signal.SIGTERM)
            assert server.exit_code() == 0
        assert not path.exists()


def test_unix_socket_that_a_dead_server_has_left(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Program("program", "--uds", str(path), port=None), Client(str(path)) as client:
        client.send(GET)
        assert client.response().status == 200


def test_unix_socket_of_a_living_server_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        alive.listen()
        ended = run_to_end("tests.asgiserve.applications:program", "--uds", str(path))
        assert ended.returncode == 1
        assert str(path) in ended.stderr
    assert path.exists()


def test_file_in_the_place_of_a_unix_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    ended = run_to_end("tests.asgiserve.applications:program", "--uds", str(path))
    assert ended.returncode == 1
    assert path.read_text() == "data"


def test_inherited_file_descriptor() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        with (
            Program("program", "--fd", str(number), port=None, pass_fds=[number]),
            Client(listener.getsockname()) as client,
        ):
            client.send(GET)
            assert client.response().status == 200


def test_file_descriptor_that_is_no_socket_is_exit_code_1() -> None:
    ended = run_to_end("tests.asgiserve.applications:program", "--fd", "0")
    assert ended.returncode == 1
    assert "descriptor 0" in ended.stderr


# Several processes


def pids(server: Program, wanted: int) -> set[int]:
    """The workers that answer, once there are so many different ones."""
    found: set[int] = set()
    for _ in range(10_000):
        found.add(server.json("/")["pid"])
        if len(found) == wanted:
            return found
    raise AssertionError(f"only {found} answer")


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it goes while its file is open
        return False


def test_two_workers_serve_and_stop() -> None:
    with Program("program", "--workers", "2", "--no-access-log") as server:
        server.wait_for("startup", times=2)
        workers = pids(server, 2)
        assert server.process.pid not in workers
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        server.wait_for("shutdown", times=2)
        assert not any(map(is_running, workers))
        assert "Traceback" not in server.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_to_the_parent_lets_workers_finish(number: signal.Signals) -> None:
    """A request that takes several times as long as the parent takes between two looks at its workers."""
    with Program("program", "--workers", "2") as server, server.connect() as client:
        server.wait_for("startup", times=2)
        client.send(get("/slow"))
        server.wait_for("slow")
        server.signal(number)
        response = client.response()
        assert (response.status, response.body, response["connection"]) == (200, b"at last", "close")
        assert server.exit_code() == 0
        assert "cancelling" not in server.output


def test_workers_end_with_their_parent() -> None:
    """Also where it was killed, and could tell nobody."""
    with Program("program", "--workers", "2", "--no-access-log") as server:
        server.wait_for("startup", times=2)
        workers = pids(server, 2)
        server.signal(signal.SIGKILL)
        server.wait_for("shutdown", times=2)
        assert eventually(lambda: not any(map(is_running, workers)), STARTING)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_unix_socket_stays_when_one_of_its_workers_ends(tmp_path: Path, loop: str) -> None:
    """The others still listen on it, and so does the one that is started instead."""
    path = tmp_path / "socket"
    with Program("program", "--uds", str(path), "--workers", "2", "--loop", loop, port=None) as server:
        server.wait_for("listens on", times=2)
        os.kill(int(server.wait_for("startup").split()[1]), signal.SIGTERM)
        server.wait_for("listens on", times=3)
        with Client(str(path)) as client:
            client.send(GET)
            assert client.response().status == 200
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0
        assert not path.exists()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_unix_socket_that_was_inherited_is_not_removed(tmp_path: Path, loop: str) -> None:
    """It belongs to who has bound it."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        number = listener.fileno()
        with Program("program", "--fd", str(number), "--loop", loop, port=None, pass_fds=[number]) as server:
            server.signal(signal.SIGTERM)
            assert server.exit_code() == 0
    assert path.exists()


def test_ctrl_c_stops_workers_cleanly() -> None:
    """The terminal sends SIGINT to all of them."""
    with Program("program", "--workers", "2") as server:
        server.wait_for("startup", times=2)
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.exit_code() == 0
        server.wait_for("shutdown", times=2)
        assert "Traceback" not in server.output


def test_worker_that_dies_is_replaced() -> None:
    with Program("program", "--workers", "2", "--no-access-log") as server:
        server.wait_for("startup", times=2)
        one, other = sorted(pids(server, 2))
        os.kill(one, signal.SIGKILL)
        server.wait_for("startup", times=3)
        now = pids(server, 2)
        assert one not in now
        assert other in now
        assert str(one) in server.wait_for("died (signal SIGKILL)")
        server.signal(signal.SIGTERM)
        assert server.exit_code() == 0


def test_workers_that_cannot_start_end_the_parent() -> None:
    ended = run_to_end("tests.asgiserve.applications:failing_startup", "--port", "0", "--workers", "2")
    assert ended.returncode == 3
    assert "the database is away" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_second_signal_is_passed_on_to_the_workers() -> None:
    with Program("program", "--workers", "2") as server, server.connect() as client:
        server.wait_for("startup", times=2)
        client.send(get("/stuck"))
        server.wait_for("stuck")
        server.signal(signal.SIGTERM)
        server.wait_for("waiting for 1 request")
        assert server.process.poll() is None
        server.signal(signal.SIGTERM)
        assert client.ended()
        assert server.exit_code() == 0
        server.wait_for("shutdown", times=2)


def test_workers_need_no_port_of_their_own() -> None:
    """One socket for all: a port that is in use is an error of the parent, told once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run_to_end("tests.asgiserve.applications:program", "--port", port, "--workers", "2")
    assert ended.returncode == 1
    assert ended.stderr.count("in use") == 1


# Reload

PROGRAM = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"VERSION"})
"""


def test_reload_restarts_on_a_changed_file(tmp_path: Path) -> None:
    pytest.importorskip("watchfiles")
    file = tmp_path / "main.py"
    file.write_text(PROGRAM.replace("VERSION", "one"))
    with Program("main:app", "--reload", "--no-access-log", directory=tmp_path) as server:
        assert server.ask().body == b"one"
        file.write_text(PROGRAM.replace("VERSION", "another"))
        server.wait_for("ended (exit code 0)")
        assert server.ask().body == b"another"
        server.signal(signal.SIGINT)
        assert server.exit_code() == 0


def test_reload_survives_a_mistake(tmp_path: Path) -> None:
    """A file is saved in the middle of a change: the next change is served again."""
    pytest.importorskip("watchfiles")
    file = tmp_path / "main.py"
    file.write_text(PROGRAM.replace("VERSION", "one"))
    with Program("main:app", "--reload", directory=tmp_path) as server:
        file.write_text("def app(:\n")
        server.wait_for("ended (exit code 0)")
        response = server.ask()
        assert response.status == 503
        assert b"SyntaxError" in response.body
        assert "SyntaxError" in server.output
        file.write_text(PROGRAM.replace("VERSION", "another"))
        server.wait_for("ended (exit code 0)", times=2)
        assert server.ask().body == b"another"
        server.signal(signal.SIGINT)
        assert server.exit_code() == 0
